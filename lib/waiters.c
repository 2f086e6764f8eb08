/* waiters.c: see waiters.h. */

#include "config.h"

#include <pthread.h>

#include "budget.h"
#include "chunk.h"
#include "internal.h"
#include "os.h"
#include "waiters.h"

/* The queue moves by itself if a waiter was served so recently from what was
 * freed by hand. */
#define MOVES_NS 10000000u

static struct {
    pthread_mutex_t lock;
    struct waiter *first, **last;
    size_t small;           /* waiters of up to BUDGET_SMALL */
    _Atomic uint64_t moved; /* when a waiter was last served by hand */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .last = &queue.first};

_Atomic uint32_t arenap_budget_waiting;

/* --- Serving --- */

static struct waiter *
queue_unlink(struct waiter **link)
{
    struct waiter *waiter = *link;

    queue.small -= waiter->size <= BUDGET_SMALL;
    *link = waiter->next;
    if (*link == NULL)
        queue.last = link;
    waiter->next = NULL;
    atomic_fetch_sub(&arenap_budget_waiting, 1);
    return waiter;
}

/* Take those out whom it fits, as a list with their answers: those in front,
 * and small ones behind.  Under the lock. */
static struct waiter *
queue_take(void)
{
    struct waiter **link = &queue.first, *all = NULL, **end = &all;
    bool blocked = false;

    while (*link != NULL && (!blocked || queue.small != 0)) {
        struct waiter *waiter = *link;
        /* The limit was lowered: it would stand in the way for nothing. */
        bool refused = waiter->size > arenap_budget_limit();

        if (!refused
            && ((blocked && waiter->size > BUDGET_SMALL)
                || !arenap_budget_try(waiter->size))) {
            blocked = true;
            link = &waiter->next;
            continue;
        }
        waiter->answer = refused ? REFUSED : GRANTED;
        *end = queue_unlink(link);
        end = &waiter->next;
    }
    return all;
}

/* Let those go on who were taken out.  Without the lock: one that wakes up on
 * this processor takes this thread's place, and others may need the lock by
 * then. */
static void
waiters_answer(struct waiter *waiter, bool by_hand)
{
    for (struct waiter *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (by_hand && waiter->answer == GRANTED)
            atomic_store(&queue.moved, arenap_os_now());
        /* It may be gone after the store; waking an address that nobody waits
         * on does no harm. */
        atomic_store(&waiter->state, waiter->answer);
        arenap_os_wake(&waiter->state, 1);
    }
}

bool
arenap_budget_hand_over(struct chunk *chunk)
{
    struct waiter *first;
    bool fits;

    if (atomic_load(&arenap_budget_waiting) == 0)
        return false;
    pthread_mutex_lock(&queue.lock);
    first = queue.first;
    fits = first != NULL && first->source == chunk->source
           && first->size == chunk->charge;
    if (fits) {
        queue_unlink(&queue.first);
        first->chunk = chunk;
        first->answer = GRANTED;
        first->next = queue_take(); /* those behind it may fit */
    }
    pthread_mutex_unlock(&queue.lock);
    if (fits)
        waiters_answer(first, true);
    return fits;
}

static void
serve(bool by_hand)
{
    struct waiter *served;

    if (atomic_load(&arenap_budget_waiting) == 0)
        return;
    pthread_mutex_lock(&queue.lock);
    served = queue_take();
    pthread_mutex_unlock(&queue.lock);
    waiters_answer(served, by_hand);
}

void
arenap_budget_serve(void)
{
    serve(false);
}

void
arenap_budget_serve_by_hand(void)
{
    serve(true);
}

/* --- Waiting --- */

void
arenap_waiters_join(struct waiter *waiter)
{
    struct waiter *served;

    pthread_mutex_lock(&queue.lock);
    waiter->next = NULL;
    *queue.last = waiter;
    queue.last = &waiter->next;
    queue.small += waiter->size <= BUDGET_SMALL;
    atomic_fetch_add(&arenap_budget_waiting, 1);
    served = queue_take();
    pthread_mutex_unlock(&queue.lock);
    waiters_answer(served, true);
}

void
arenap_waiters_leave(struct waiter *waiter)
{
    struct waiter **link = &queue.first, *served;
    bool answered;

    pthread_mutex_lock(&queue.lock);
    while (*link != NULL && *link != waiter)
        link = &(*link)->next;
    answered = *link == NULL;
    if (!answered)
        queue_unlink(link);
    served = queue_take(); /* those behind it may fit */
    pthread_mutex_unlock(&queue.lock);
    waiters_answer(served, true);
    /* Whoever took it out is about to tell. */
    while (answered && !arenap_waiter_is_answered(waiter))
        arenap_os_wait(&waiter->state, WAITING, ARENA_OS_NEVER);
}

bool
arenap_waiters_move(void)
{
    uint64_t moved = atomic_load(&queue.moved); /* not later than now */

    return arenap_os_now() - moved < MOVES_NS;
}

/* --- Fork --- */

void
arenap_waiters_fork_prepare(void)
{
    pthread_mutex_lock(&queue.lock);
}

void
arenap_waiters_fork_done(void)
{
    pthread_mutex_unlock(&queue.lock);
}

void
arenap_waiters_fork_child(void)
{
    queue.first = NULL;
    queue.last = &queue.first;
    queue.small = 0;
    atomic_store(&arenap_budget_waiting, 0);
}
