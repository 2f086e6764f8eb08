/*
 * budget.h: what may be held, what is held, and who waits for it.
 *
 * charged is what all modules hold, reserved or cached.  It is taken and
 * given back without a lock as long as nobody waits.  Who does not fit joins
 * the queue of waiters; from then on whoever releases hands the bytes over to
 * those in front, and small requests alone may pass.
 */
#ifndef ARENA_LIB_BUDGET_H
#define ARENA_LIB_BUDGET_H

#include "internal.h"

/* Requests up to this size may pass a larger one that waits. */
#define BUDGET_SMALL ((size_t)64 * 1024)

/* Take bytes, waiting and collecting as arena/budget.h says.  Returns 0; or
 * -1 with errno ENOMEM.  Collects: hold no lock. */
int arenap_budget_reserve(size_t size);

/* Take bytes if they are there; whoever waits. */
bool arenap_budget_try(size_t size);

/* Would they be there now? */
bool arenap_budget_has(size_t size);

struct chunk;

/* As arenap_budget_reserve; but if it has to wait, it may be handed a chunk
 * of that charge and source which another thread gave back, in *chunk. */
int arenap_budget_reserve_chunk(size_t size, unsigned source,
                                struct chunk **chunk);

/* Hand a chunk over to who waits in front for just such a one.  False if
 * nobody does. */
bool arenap_budget_hand_over(struct chunk *chunk);

/* Give bytes back that were freed by hand.  Any context but the
 * collector's. */
void arenap_budget_release(size_t size);

/* Give bytes back from inside the collector: takes no lock, so that waiters
 * are served only by the next arenap_budget_serve. */
void arenap_budget_release_quietly(size_t size);

/* Serve waiters from what was released quietly; by hand, if it was freed
 * so: then those who wait need not collect. */
void arenap_budget_serve(void);
void arenap_budget_serve_by_hand(void);

/* Length of the queue. */
extern ARENA_HIDDEN _Atomic uint32_t arenap_budget_waiting;

/* Does anybody wait?  Then nothing should be cached. */
static inline bool
arenap_budget_is_short(void)
{
    return atomic_load_explicit(&arenap_budget_waiting, memory_order_relaxed)
           != 0;
}

/* May a reservation collect? */
bool arenap_budget_may_collect(void);

size_t arenap_budget_limit(void);
size_t arenap_budget_charged(void);
size_t arenap_budget_peak(void); /* of charged */
size_t arenap_budget_manual_count(void);

/* The counters of slow reservations. */
struct budget_figures {
    size_t peak;
    uint64_t waits, wait_ns, failures;
};
void arenap_budget_figures(struct budget_figures *out);

/* What the program reserved by hand: see usage.c. */
extern _Atomic size_t arenap_budget_manual_bytes;

void arenap_budget_init(void);
void arenap_budget_fork_prepare(void);
void arenap_budget_fork_done(void);

/* In a child: what the modules hold, without what vanished threads were about
 * to take or give. */
void arenap_budget_set_charged(size_t held);

#endif
