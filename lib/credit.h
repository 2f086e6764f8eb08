/*
 * credit.h: what a thread has of the budget for small collected blocks.
 *
 * It takes some at a time, hands it out by block, and gets back what the
 * blocks had that it finds dead: most blocks touch nothing that threads
 * share.  What it has left counts as cached.
 *
 * Each collection, and who needs memory, takes that away from all threads,
 * so it stands in nobody's way.  Only the thread itself writes bytes and seen;
 * others add to dropped.  If that happens between a thread's look and its
 * taking, the thread has less than nothing, by a block or two, and makes that
 * good when it takes more.
 */
#ifndef ARENA_LIB_CREDIT_H
#define ARENA_LIB_CREDIT_H

#include "budget.h"
#include "internal.h"

struct credit {
    _Atomic ptrdiff_t bytes;   /* and what was dropped since seen */
    _Atomic ptrdiff_t seen;    /* of dropped, by the thread */
    _Atomic ptrdiff_t dropped; /* by others, in all */
};

/* A thread takes so much more than it needs, and keeps no more than that:
 * bytes. */
#define CREDIT_STEP ((size_t)4096)
#define CREDIT_MOST (4 * CREDIT_STEP)

/* Take bytes, if they are there. */
static inline bool
arenap_credit_take_at_hand(struct credit *credit, size_t size)
{
    ptrdiff_t left =
        atomic_load_explicit(&credit->bytes, memory_order_relaxed)
        - (ptrdiff_t)size;

    if (ARENA_UNLIKELY(
            left < 0
            || atomic_load_explicit(&credit->seen, memory_order_relaxed)
                   != atomic_load_explicit(&credit->dropped,
                                           memory_order_relaxed)))
        return false;
    atomic_store_explicit(&credit->bytes, left, memory_order_relaxed);
    return true;
}

/* Take bytes, from the budget if need be: as arenap_budget_reserve. */
int arenap_credit_take(struct credit *credit, size_t size);

/* Bytes of a block that died, or was not had.  Takes no lock: the collector's
 * callbacks call it, on any thread. */
void arenap_credit_give_slow(struct credit *credit, size_t size);

static inline void
arenap_credit_give(struct credit *credit, size_t size)
{
    ptrdiff_t bytes =
        atomic_load_explicit(&credit->bytes, memory_order_relaxed)
        + (ptrdiff_t)size;

    if (ARENA_UNLIKELY(bytes > (ptrdiff_t)CREDIT_MOST
                       || arenap_budget_is_short()))
        arenap_credit_give_slow(credit, size);
    else
        atomic_store_explicit(&credit->bytes, bytes, memory_order_relaxed);
}

/* Give all back to the budget.  By its thread, or when that is gone. */
void arenap_credit_flush(struct credit *credit);

/* Give back what all threads have.  From any context. */
void arenap_credit_drop_all(void);

/* In a child: those of threads that it does not have are gone.  What is left,
 * in bytes. */
size_t arenap_credit_fork_child(void);

#endif
