/*
 * arena/inline.h - blocks of a confined arena without a call: a cursor.
 *
 *     arena_cursor_t cursor = arena_cursor(arena);
 *
 *     while (more())
 *         add(arena_cursor_alloc(&cursor, sizeof(struct item)));
 *     arena_cursor_end(&cursor);
 *
 * A cursor is a local variable that holds a run of the arena's memory; a block
 * is a step of a pointer that the compiler can keep in a register.  When the
 * run is used up, a call fetches the next one.
 *
 * Blocks of a cursor are the arena's blocks, like all others.  In between the
 * arena can be used as ever: allocated from, marked, reset, closed.  Whatever
 * frees memory of the arena, and a mark, takes the run away; the next block
 * then is one of what the arena has become, or fails.  So does a block that
 * another thread asks for.
 *
 * One cursor at a time has a run of an arena.  Others of the same arena, and
 * those of other kinds of arena, give blocks all the same, with a call each.
 *
 * Errors, "Threads", "Lifetime" and "Collects" are as in arena.h.  The model
 * is the slicing allocator of the JDK's java.lang.foreign.
 */
#ifndef ARENA_INLINE_H
#define ARENA_INLINE_H

#include <string.h>

#include "../arena.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ARENA_CURSOR_INLINE_                                                  \
    static __inline__ __attribute__((unused, always_inline))
#define ARENA_CURSOR_LIKELY_(x) __builtin_expect(!!(x), 1)
#define ARENA_CURSOR_TLS_ __extension__ extern __thread
#else
#define ARENA_CURSOR_INLINE_ static inline
#define ARENA_CURSOR_LIKELY_(x) (x)
#define ARENA_CURSOR_TLS_ extern _Thread_local
#endif

/**
 * A cursor.  Read and change nothing by hand.  A copy of one that is in use
 * gives the same blocks again.
 */
typedef struct arena_cursor_run {
    uint64_t turn;    /* the run is good in this turn of the thread */
    char *bump, *end; /* what is left of the run; multiples of 16 */
    uint64_t tally;   /* bytes asked for, and for each block 2^30 */
    uint64_t lease;   /* the run's, as the arena knows it; 0: none */
    arena_t *arena;
} arena_cursor_t;

/* A cursor and the block that it gave. */
typedef struct arena_cursor_step_ {
    arena_cursor_t cursor;
    void *block;
} arena_cursor_step_t_;

/* Changes whenever a run of the thread may have been taken away; no two
 * threads have the same. */
ARENA_CURSOR_TLS_ ARENA_API uint64_t arena_turn_;

/* A block that the run has no room for, or that it must not give. */
ARENA_C99_ ARENA_API arena_cursor_step_t_
arena_cursor_next_(arena_cursor_t cursor, size_t size, bool zero);
ARENA_API void arena_cursor_return_(arena_cursor_t cursor);

/**
 * A cursor of an arena.  It takes nothing before its first block.
 *
 * @param arena  any arena; NULL stands for the implicit one
 *
 * @return the cursor; never fails.
 *
 * Threads:  any; it is to be used by one thread, the arena's owner.
 * Lifetime: until arena_cursor_end, or as long as the variable.
 * Collects: never.
 */
ARENA_CURSOR_INLINE_ arena_cursor_t
arena_cursor(arena_t *arena)
{
    arena_cursor_t cursor;

    cursor.turn = cursor.tally = cursor.lease = 0;
    cursor.bump = cursor.end = NULL;
    cursor.arena = arena;
    return cursor;
}

/* The bytes that a block takes; 0 of size 0 and of one that wraps. */
ARENA_CURSOR_INLINE_ size_t
arena_cursor_room_(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

/* Is the run still the cursor's, and is there room in it? */
ARENA_C99_ ARENA_CURSOR_INLINE_ bool
arena_cursor_fits_(const arena_cursor_t *cursor, size_t size)
{
    return ARENA_CURSOR_LIKELY_(cursor->turn == arena_turn_)
           && ARENA_CURSOR_LIKELY_(arena_cursor_room_(size) - 1
                                   < (size_t)(cursor->end - cursor->bump));
}

/* A block that fits. */
ARENA_CURSOR_INLINE_ void *
arena_cursor_take_(arena_cursor_t *cursor, size_t size)
{
    char *block = cursor->bump;

    cursor->bump = block + arena_cursor_room_(size);
    cursor->tally += size + ((uint64_t)1 << 30);
    return block;
}

/**
 * Allocate as arena_alloc_uninit does: bytes not defined, aligned for any
 * type.
 *
 * @param cursor  not NULL
 * @param size    in bytes; 0 gives a pointer of its own
 *
 * @return the block; or NULL with errno set, as arena_alloc_uninit.
 *
 * Threads:  the owner of the arena; others get EPERM.
 * Lifetime: the arena's.  The block counts in arena_usage and arena_report
 *           once the run is used up or the cursor has ended; not if the run
 *           was taken away.
 * Collects: may, as an allocation does.
 */
ARENA_CURSOR_INLINE_ void *
arena_cursor_alloc_uninit(arena_cursor_t *cursor, size_t size)
{
    arena_cursor_step_t_ next;

    if (arena_cursor_fits_(cursor, size))
        return arena_cursor_take_(cursor, size);
    next = arena_cursor_next_(*cursor, size, false);
    *cursor = next.cursor;
    return next.block;
}

/**
 * As arena_cursor_alloc_uninit, but zero-filled.
 */
ARENA_CURSOR_INLINE_ void *
arena_cursor_alloc(arena_cursor_t *cursor, size_t size)
{
    arena_cursor_step_t_ next;

    if (arena_cursor_fits_(cursor, size))
        return memset(arena_cursor_take_(cursor, size), 0, size);
    next = arena_cursor_next_(*cursor, size, true);
    *cursor = next.cursor;
    return next.block;
}

/**
 * End a cursor: what is left of its run goes back to the arena.  Needed
 * before another cursor of the arena can have a run, and before the arena is
 * closed for that to be at its fastest; no more than that.
 *
 * @param cursor  not NULL; it is then as arena_cursor has made it
 *
 * Threads:  the owner of the arena; for others it does nothing.
 * Lifetime: the blocks stay.
 * Collects: never.
 */
ARENA_CURSOR_INLINE_ void
arena_cursor_end(arena_cursor_t *cursor)
{
    if (cursor->lease != 0)
        arena_cursor_return_(*cursor);
    *cursor = arena_cursor(cursor->arena);
}

#ifdef __cplusplus
}
#endif

#endif
