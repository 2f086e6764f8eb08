/*
 * cleaner.h: notifications, close actions of auto arenas, and collecting on
 * demand.
 *
 * The collector's callbacks push nodes onto the pending list: no lock, no
 * allocation.  The cleaner thread takes them all and runs them.  Nodes are
 * made beforehand, by whoever registers what they stand for.
 */
#ifndef ARENA_LIB_CLEANER_H
#define ARENA_LIB_CLEANER_H

#include "internal.h"

struct pending {
    struct pending *next;
    void (*run)(struct pending *); /* on the cleaner thread; may free it */
    bool retains; /* memory, which a collection frees after it has run */
};

/* Push a node; wakes the cleaner.  From any context, the collector's too. */
void arenap_cleaner_push(struct pending *node);

/* Push a list of them, linked by next, newest first. */
void arenap_cleaner_push_all(struct pending *newest, struct pending *oldest,
                             uint32_t count);

/* Wake the cleaner: to serve the budget's waiters, to look for phantoms.  From
 * any context. */
void arenap_cleaner_kick(void);

/* Start the cleaner thread, if none runs.  0; or -1 with errno ENOMEM. */
int arenap_cleaner_start(void);

/* In a child whose parent had a cleaner: start one, if there is something to
 * do.  Hold no lock. */
extern _Atomic bool arenap_cleaner_lost;
void arenap_cleaner_revive_slow(void);

static inline void
arenap_cleaner_revive(void)
{
    if (ARENA_UNLIKELY(atomic_load_explicit(&arenap_cleaner_lost,
                                            memory_order_relaxed)))
        arenap_cleaner_revive_slow();
}

/* The calling thread waits for memory.  If it is the cleaner, inside an
 * action, and others are due, which may give some back, another thread takes
 * its place. */
void arenap_cleaner_relieve(void);

/* Nodes pushed whose run has not returned. */
size_t arenap_cleaner_pending(void);

/* A collection that began after this call, by whomever; returns when it is
 * done.  False where none is possible.  Hold no lock. */
bool arenap_cleaner_collect(void);

/* For tests: collect once in so many bytes of the heap, as ARENA_GC_EVERY
 * says; 0: as the collector sees fit.  Returns what it was.  And count some.
 * Hold no lock. */
size_t arenap_cleaner_collect_every(size_t bytes);
void arenap_cleaner_count(size_t bytes);

/* Wait until what is pending now has run, up to a deadline.  Returns at once
 * on the cleaner thread and inside actions. */
void arenap_cleaner_drain(uint64_t deadline);

/* The system refused memory: drop caches, collect.  True: try again. */
bool arenap_cleaner_reclaim(void);

void arenap_cleaner_fork_prepare(void);
void arenap_cleaner_fork_done(void);
void arenap_cleaner_fork_child(void);

#endif
