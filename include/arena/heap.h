/*
 * arena/heap.h - malloc's contract on collected memory.
 *
 * Blocks are scanned, and freed by arena_free or after nothing reachable
 * points to them.  From the first call on every writable mapping of the
 * process is searched for pointers, since libc and other libraries keep ours
 * in memory of their own; ARENA_ROOTS=precise or arena_set_roots choose
 * otherwise.  A program linked with -static must choose so: else nothing is
 * collected in it.
 *
 * A block that is freed a second time, and was not handed out again, is
 * recognised unless the program has written to it since.  Pointers to memory
 * that is not the library's are recognised at best effort.
 */
#ifndef ARENA_HEAP_H
#define ARENA_HEAP_H

#include "../arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Where the collector looks for pointers. */
typedef enum {
    ARENA_ROOTS_PRECISE, /**< as arena.h says */
    ARENA_ROOTS_ALL      /**< in every writable mapping too */
} arena_roots_t;

/**
 * Allocate size bytes, aligned for max_align_t, contents not defined.
 *
 * @return the block; or NULL with errno ENOMEM: over PTRDIFF_MAX, over the
 *         budget, or the system refused.
 *
 * Threads: any; attaches the calling thread.  Collects: may.
 */
ARENA_API void *arena_malloc(size_t size) ARENA_ATTR_MALLOC ARENA_ATTR_SIZE(1);

/** As arena_malloc of count * size bytes, zero-filled. */
ARENA_API void *arena_calloc(size_t count, size_t size)
    ARENA_ATTR_MALLOC ARENA_ATTR_SIZE2(1, 2);

/** As realloc; size 0 frees the block and gives NULL.  A block that libc
 *  allocated stays libc's, a block of the implicit arena becomes one of the
 *  heap.
 *  @return as arena_malloc, and EINVAL: a block of an explicit arena, whose
 *          size is not known; no block, or one freed before, if that can be
 *          told. */
ARENA_API void *arena_realloc(void *block, size_t size) ARENA_ATTR_SIZE(2);

/** As arena_realloc of count * size bytes, overflow-checked. */
ARENA_API void *arena_reallocarray(void *block, size_t count, size_t size)
    ARENA_ATTR_SIZE2(2, 3);

/** As arena_malloc, aligned to align.
 *  @return as arena_malloc, and EINVAL: align is no power of two. */
ARENA_API void *arena_aligned_alloc(size_t align, size_t size)
    ARENA_ATTR_MALLOC ARENA_ATTR_SIZE(2);

/** As posix_memalign: the block in *out.
 *  @return 0, EINVAL or ENOMEM, *out and errno untouched on failure. */
ARENA_API int arena_posix_memalign(void **out, size_t align, size_t size);

/** The bytes that may be used at block: at least those asked for.  0 for NULL
 *  and for what is no block. */
ARENA_API size_t arena_usable_size(void *block);

/** Choose where the collector looks.
 *  @return 0; or -1 with errno set: EINVAL: unknown; ENOTSUP: the mappings
 *          cannot be read here. */
ARENA_API int arena_set_roots(arena_roots_t roots);

#ifdef __cplusplus
}
#endif

#endif
