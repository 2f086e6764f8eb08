/* filled.c: blocks that are allocated with contents, and those that change
 * their size. */

#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "error.h"
#include "explicit.h"
#include "heap.h"
#include "internal.h"
#include "thread.h"

/* --- Filled --- */

/* An unfilled block of size bytes with the first length of data. */
static void *
alloc_filled(struct arena *arena, size_t size, const void *data,
             size_t length)
{
    char *block;

    if (arenap_explicit_fill_begin(arena) != 0)
        return NULL;
    block = arena_alloc_uninit(arena, size);
    if (block != NULL && length != 0)
        memcpy(block, data, length);
    if (block != NULL && length < size)
        memset(block + length, 0, size - length);
    arenap_explicit_fill_end(arena);
    return block;
}

void *
arena_memdup(arena_t *arena, const void *data, size_t size)
{
    if (data == NULL && size != 0)
        return arenap_fail_null(EINVAL, "no data to copy");
    return alloc_filled(arena, size, data, size);
}

char *
arena_strndup(arena_t *arena, const char *s, size_t n)
{
    size_t length;

    if (s == NULL)
        return arenap_fail_null(EINVAL, "no string to copy");
    length = strnlen(s, n);
    return alloc_filled(arena, length + 1, s, length);
}

char *
arena_strdup(arena_t *arena, const char *s)
{
    return s != NULL ? arena_strndup(arena, s, strlen(s))
                     : arenap_fail_null(EINVAL, "no string to copy");
}

char *
arena_vprintf(arena_t *arena, const char *format, va_list args)
{
    char shortly[256], *text = NULL;
    va_list again;
    int saved = errno, length;

    if (format == NULL)
        return arenap_fail_null(EINVAL, "no format to print");
    va_copy(again, args);
    length = vsnprintf(shortly, sizeof shortly, format, args);
    errno = saved;
    if (length < 0) {
        arenap_fail(EINVAL, "the format \"%.100s\" cannot be printed",
                    format);
    } else if ((size_t)length < sizeof shortly) {
        text = alloc_filled(arena, (size_t)length + 1, shortly,
                            (size_t)length + 1);
    } else if (arenap_explicit_fill_begin(arena) == 0) {
        text = arena_alloc_uninit(arena, (size_t)length + 1);
        if (text != NULL)
            vsnprintf(text, (size_t)length + 1, format, again);
        arenap_explicit_fill_end(arena);
    }
    va_end(again);
    return text;
}

char *
arena_printf(arena_t *arena, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

/* --- Resizing --- */

/* Zero-filled, with the old block's bytes. */
static void *
resize_move(struct arena *arena, const void *block, size_t old_size,
            size_t new_size)
{
    return alloc_filled(arena, new_size, block,
                        old_size < new_size ? old_size : new_size);
}

static bool
resize_in_place(struct thread *self, struct arena *arena, char *block,
                size_t old_size, size_t new_size)
{
    bool done;

    if (arena->kind == ARENA_IMPLICIT)
        return false;
    if (arena->kind == ARENA_AUTO)
        return arenap_auto_resize(arena, block, old_size, new_size);
    if (arenap_explicit_fill_begin(arena) != 0)
        return false;
    done = arenap_explicit_resize(self, arena, block, old_size, new_size);
    arenap_explicit_fill_end(arena);
    return done;
}

void *
arena_resize(arena_t *arena, void *block, size_t old_size, size_t new_size)
{
    struct thread *self = arenap_thread_self();
    void *moved;

    if (block == NULL)
        return arena_alloc(arena, new_size);
    if (arena == NULL)
        arena = &arenap_implicit;
    if (self == NULL) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    if (arena->kind == ARENA_CONFINED || arena->kind == ARENA_SHARED) {
        if (arena_of(block) != arena
            && (atomic_load(&arena->state) & ARENA_OPEN) != 0)
            return arenap_fail_null(EINVAL, "%p is no block of the arena",
                                    block);
        if (arenap_explicit_check(self, arena) != 0)
            return NULL;
    } else if (arena_of(block) != arena
               || (arena->kind == ARENA_IMPLICIT
                   && !arenap_heap_is_block(block))) {
        return arenap_fail_null(EINVAL, "%p is no block of the arena",
                                block);
    }
    if (new_size <= PTRDIFF_MAX
        && resize_in_place(self, arena, block, old_size, new_size))
        return block;
    moved = resize_move(arena, block, old_size, new_size);
    if (moved != NULL && arena->kind == ARENA_IMPLICIT)
        arena_free(block);
    arena_keep_alive(arena);
    return moved;
}
