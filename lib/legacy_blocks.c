/* legacy_blocks.c: malloc and its family. */

#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "../include/arena/heap.h"
#define LEGACY_MODULE
#include "legacy.h"

/* Not renamed to heap.h's names at once: a program may have an arena_malloc
 * and an arena_free itself, and its free must not end there.  For the same
 * reason the shared library is to be linked so that these calls stay in it. */
#define LEGACY_HEAP(type, name, target, parameters, arguments)                \
    type arena_legacy_##name parameters                                       \
    {                                                                         \
        return target arguments;                                              \
    }

LEGACY_HEAP(void *, malloc, arena_malloc, (size_t size), (size))
LEGACY_HEAP(void *, calloc, arena_calloc, (size_t count, size_t size),
            (count, size))
LEGACY_HEAP(void *, realloc, arena_realloc, (void *block, size_t size),
            (block, size))
LEGACY_HEAP(void *, reallocarray, arena_reallocarray,
            (void *block, size_t count, size_t size), (block, count, size))
LEGACY_HEAP(void *, aligned_alloc, arena_aligned_alloc,
            (size_t align, size_t size), (align, size))
LEGACY_HEAP(int, posix_memalign, arena_posix_memalign,
            (void **out, size_t align, size_t size), (out, align, size))
LEGACY_HEAP(size_t, malloc_usable_size, arena_usable_size, (void *block),
            (block))

/* A pointer into an arena is nothing to free, and no fault. */
void
arena_legacy_free(void *block)
{
    int saved = errno;

    arena_free(block);
    errno = saved;
}

void
arena_legacy_ignore(void *block)
{
    (void)block;
}

/* What is no block of a size that is known is arena_realloc's to judge. */
void *
arena_legacy_realloc_keep(void *block, size_t size)
{
    size_t room = arena_usable_size(block);
    void *moved;

    if (room == 0)
        return arena_realloc(block, size);
    if (size == 0)
        return NULL;
    if (size <= room)
        return block;
    moved = arena_malloc(size);
    return moved == NULL ? NULL : memcpy(moved, block, room);
}

void *
arena_legacy_reallocarray_keep(void *block, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX; /* refused */
    return arena_legacy_realloc_keep(block, bytes);
}

/* As in glibc an alignment that is no power of two is rounded up to one, and
 * it is no error to ask for less than malloc gives. */
void *
arena_legacy_memalign(size_t align, size_t size)
{
    size_t power = ARENA_GRANULE;

    while (power < align && power <= SIZE_MAX / 2)
        power *= 2;
    if (power < align) {
        errno = EINVAL;
        return NULL;
    }
    return arena_aligned_alloc(power, size);
}

void *
arena_legacy_valloc(size_t size)
{
    return arena_aligned_alloc((size_t)sysconf(_SC_PAGESIZE), size);
}

/* As valloc, of whole pages. */
void *
arena_legacy_pvalloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (size > SIZE_MAX - page) {
        errno = ENOMEM;
        return NULL;
    }
    return arena_aligned_alloc(page, arenap_round_up(size, page));
}
