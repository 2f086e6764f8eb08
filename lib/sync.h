/*
 * sync.h: the locks of arenas.
 *
 * Arenas share a fixed set of stripe locks: so that fork can take them all, and
 * a child finds every arena in a consistent state.  A thread holds one stripe
 * at a time, except under the tree lock, where arenap_sync_lock_set takes
 * several in order.
 *
 * A control block has one of a few stripes of the thread that it was made for.
 * So threads that use arenas of their own do not write to each other's cache
 * lines, as they would if all used all stripes by turns.
 */
#ifndef ARENA_LIB_SYNC_H
#define ARENA_LIB_SYNC_H

#include "internal.h"
#include "os.h"

/* A lock of one word: what it costs when nobody else wants it is what opening
 * and closing a shared arena costs.  It is freed by a store that no barrier
 * follows, so that what was written under it need not be in memory by then;
 * whoever is about to sleep makes the barrier (os.h). */
enum { STRIPE_FREE, STRIPE_HELD };

#define STRIPES 64
#define STRIPES_THREAD 8 /* of a thread */

struct stripe {
    _Atomic uint32_t state;
    _Atomic uint32_t sleepers; /* threads that are to be woken */
} __attribute__((aligned(64)));

extern ARENA_HIDDEN struct stripe arenap_stripe[STRIPES];

/* The stripe of the nth control block that is made, by a thread. */
static inline uint8_t
arenap_stripe_choose(uint64_t serial, size_t nth)
{
    uint64_t first = serial / ARENA_SERIALS * STRIPES_THREAD;

    return (uint8_t)((first + nth % STRIPES_THREAD) % STRIPES);
}

/* Auto arenas have no whole control block; theirs goes by the address. */
static inline unsigned
arenap_stripe_index(const struct arena *arena)
{
    uintptr_t a = (uintptr_t)arena;

    if (ARENA_LIKELY(__atomic_load_n(&arena->kind, __ATOMIC_RELAXED)
                     != ARENA_AUTO))
        return arena->stripe;
    return (unsigned)((a >> 4 ^ a >> 10) % STRIPES);
}

void arenap_stripe_wait(struct stripe *stripe);
void arenap_stripe_wake(struct stripe *stripe);

static inline bool
arenap_stripe_try(struct stripe *stripe)
{
    uint32_t state = STRIPE_FREE;

    return atomic_compare_exchange_strong_explicit(
        &stripe->state, &state, STRIPE_HELD, memory_order_acquire,
        memory_order_relaxed);
}

static inline void
arenap_stripe_lock(struct stripe *stripe)
{
    if (ARENA_UNLIKELY(!arenap_stripe_try(stripe)))
        arenap_stripe_wait(stripe);
}

static inline void
arenap_stripe_unlock(struct stripe *stripe)
{
    atomic_store_explicit(&stripe->state, STRIPE_FREE, memory_order_release);
    arenap_os_light();
    if (ARENA_UNLIKELY(atomic_load_explicit(&stripe->sleepers,
                                            memory_order_relaxed)
                       != 0))
        arenap_stripe_wake(stripe);
}

static inline void
arenap_sync_lock(const struct arena *arena)
{
    arenap_stripe_lock(&arenap_stripe[arenap_stripe_index(arena)]);
}

static inline void
arenap_sync_unlock(const struct arena *arena)
{
    arenap_stripe_unlock(&arenap_stripe[arenap_stripe_index(arena)]);
}

/* In a child: nobody sleeps. */
static inline void
arenap_stripe_fork_child(struct stripe *stripe)
{
    atomic_store_explicit(&stripe->sleepers, 0, memory_order_relaxed);
}

/* The same of an arena that is not auto. */
static inline void
arenap_explicit_lock(const struct arena *arena)
{
    arenap_stripe_lock(&arenap_stripe[arena->stripe]);
}

static inline void
arenap_explicit_unlock(const struct arena *arena)
{
    arenap_stripe_unlock(&arenap_stripe[arena->stripe]);
}

/* A set of stripes, to be taken together. */
typedef uint64_t sync_set;

sync_set arenap_sync_stripe(const struct arena *arena);
void arenap_sync_lock_set(sync_set set);
void arenap_sync_unlock_set(sync_set set);

/* Guards parents, children and siblings of all arenas. */
void arenap_sync_tree_lock(void);
void arenap_sync_tree_unlock(void);

void arenap_sync_fork_prepare(void);
void arenap_sync_fork_done(void);
void arenap_sync_fork_child(void);

#endif
