/*
 * waiters.h: the queue of those who wait for the budget, in the order of their
 * arrival.
 *
 * A waiter is on its thread's stack.  It is answered once, by whoever frees
 * what it waits for: with so many bytes that are charged, or with a chunk of
 * just that charge which another thread gave back; or with a refusal, when the
 * limit has become less than that.
 */
#ifndef ARENA_LIB_WAITERS_H
#define ARENA_LIB_WAITERS_H

#include <limits.h>

#include "internal.h"

struct chunk;

#define NO_CHUNK UINT_MAX

enum waiter_state { WAITING, GRANTED, REFUSED };

struct waiter {
    struct waiter *next;
    size_t size;
    unsigned source;     /* of the chunk that it may be handed, or NO_CHUNK */
    struct chunk *chunk; /* that it was handed */
    enum waiter_state answer; /* when it has been taken out */
    _Atomic uint32_t state; /* enum waiter_state */
};

/* Join the end of the queue; it may be answered at once. */
void arenap_waiters_join(struct waiter *waiter);

/* Leave it, unless it was answered after all. */
void arenap_waiters_leave(struct waiter *waiter);

static inline bool
arenap_waiter_is_answered(const struct waiter *waiter)
{
    return atomic_load(&waiter->state) != WAITING;
}

/* Does the queue move by itself, because memory is freed by hand? */
bool arenap_waiters_move(void);

void arenap_waiters_fork_prepare(void);
void arenap_waiters_fork_done(void);

/* In a child: nobody waits. */
void arenap_waiters_fork_child(void);

#endif
