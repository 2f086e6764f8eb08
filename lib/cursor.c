/* cursor.c: see cursor.h. */

#include "config.h"

#include "../include/arena/inline.h"
#include "cursor.h"
#include "explicit.h"
#include "internal.h"
#include "thread.h"

ARENA_TLS uint64_t arena_turn_;

_Static_assert(TALLY_BLOCK == (uint64_t)1 << 30,
               "cursors count in the same way");

void
arenap_cursor_begin(uint64_t serial)
{
    arena_turn_ = serial << 32;
}

static uint64_t
owner_of(const struct arena *arena)
{
    return atomic_load_explicit(&arena->owner, memory_order_relaxed);
}

static void
lease_end(struct arena *arena)
{
    arena->lease = 0;
    if (owner_of(arena) == ARENA_LENT(arena->owner_serial))
        atomic_store_explicit(&arena->owner, arena->owner_serial,
                              memory_order_relaxed);
}

void
arenap_cursor_revoke(struct arena *arena)
{
    if (arena->lease == 0)
        return;
    lease_end(arena);
    arena_turn_++;
}

/* Does the arena know the cursor's lease?  It does not when it belongs to
 * another thread. */
static bool
lease_holds(const arena_cursor_t *cursor)
{
    return cursor->lease != 0
           && owner_of(cursor->arena) == ARENA_LENT(arenap_tls.serial)
           && cursor->arena->lease == cursor->lease;
}

/* Lend the arena's run, if it is one that can. */
static void
run_lend(arena_cursor_t *cursor)
{
    struct arena *arena = cursor->arena;

    if (arena == NULL || owner_of(arena) != arenap_tls.serial
        || arena->bump == arena->end)
        return;
    cursor->bump = arena->bump;
    cursor->end = arena->bump = arena->end;
    cursor->turn = arena_turn_;
    cursor->lease = arena->lease = ++arenap_tls.record->leases;
    atomic_store_explicit(&arena->owner, ARENA_LENT(arenap_tls.serial),
                          memory_order_relaxed);
}

/* Take the run back from a cursor whose lease holds; what is left of it, if
 * the arena has not gone on to another chunk. */
static void
run_return(const arena_cursor_t *cursor)
{
    struct arena *arena = cursor->arena;

    arenap_tally_add(arena, cursor->tally);
    if (arena->bump == cursor->end)
        arena->bump = cursor->bump;
    lease_end(arena);
}

arena_cursor_step_t_
arena_cursor_next_(arena_cursor_t cursor, size_t size, bool zero)
{
    arena_cursor_step_t_ next = {cursor, NULL};

    if (lease_holds(&cursor)) {
        /* Perhaps it was another arena that took its run back. */
        next.cursor.turn = arena_turn_;
        if (arena_cursor_fits_(&next.cursor, size)) {
            next.block = arena_cursor_take_(&next.cursor, size);
            if (zero)
                memset(next.block, 0, size);
            return next;
        }
        run_return(&cursor);
    }
    next.cursor = arena_cursor(cursor.arena);
    next.block = zero ? arena_alloc(cursor.arena, size)
                      : arena_alloc_uninit(cursor.arena, size);
    if (next.block != NULL)
        run_lend(&next.cursor);
    return next;
}

void
arena_cursor_return_(arena_cursor_t cursor)
{
    if (lease_holds(&cursor))
        run_return(&cursor);
}
