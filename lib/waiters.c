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

static void
queue_unlink(struct waiter **link)
{
    queue.small -= (*link)->size <= BUDGET_SMALL;
    *link = (*link)->next;
    if (*link == NULL)
        queue.last = link;
    atomic_fetch_sub(&arenap_budget_waiting, 1);
}

/* Take a waiter out of the queue, at *link, and let it go on. */
static void
queue_answer(struct waiter **link, enum waiter_state state)
{
    struct waiter *waiter = *link;

    queue_unlink(link);
    /* The waiter may be gone after the store; waking an address that nobody
     * waits on does no harm. */
    atomic_store(&waiter->state, state);
    arenap_os_wake(&waiter->state, 1);
}

bool
arenap_budget_hand_over(struct chunk *chunk)
{
    struct waiter *first;
    bool taken;

    if (atomic_load(&arenap_budget_waiting) == 0)
        return false;
    pthread_mutex_lock(&queue.lock);
    first = queue.first;
    taken = first != NULL && first->source == chunk->source
            && first->size == chunk->charge;
    if (taken) {
        first->chunk = chunk;
        queue_answer(&queue.first, GRANTED);
        atomic_store(&queue.moved, arenap_os_now());
    }
    pthread_mutex_unlock(&queue.lock);
    return taken;
}

/* Let those go on whom it fits: those in front, and small ones behind.  True:
 * there were such. */
static bool
queue_serve(void)
{
    struct waiter **link = &queue.first;
    bool blocked = false, any = false;

    while (*link != NULL && (!blocked || queue.small != 0)) {
        struct waiter *waiter = *link;

        /* The limit was lowered: it would stand in the way for nothing. */
        if (waiter->size > arenap_budget_limit()) {
            queue_answer(link, REFUSED);
            continue;
        }
        if ((blocked && waiter->size > BUDGET_SMALL)
            || !arenap_budget_try(waiter->size)) {
            blocked = true;
            link = &waiter->next;
            continue;
        }
        queue_answer(link, GRANTED);
        any = true;
    }
    return any;
}

static void
queue_serve_by_hand(void)
{
    if (queue_serve())
        atomic_store(&queue.moved, arenap_os_now());
}

static void
serve(bool by_hand)
{
    if (atomic_load(&arenap_budget_waiting) == 0)
        return;
    pthread_mutex_lock(&queue.lock);
    if (by_hand)
        queue_serve_by_hand();
    else
        queue_serve();
    pthread_mutex_unlock(&queue.lock);
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
    pthread_mutex_lock(&queue.lock);
    waiter->next = NULL;
    *queue.last = waiter;
    queue.last = &waiter->next;
    queue.small += waiter->size <= BUDGET_SMALL;
    atomic_fetch_add(&arenap_budget_waiting, 1);
    queue_serve_by_hand();
    pthread_mutex_unlock(&queue.lock);
}

void
arenap_waiters_leave(struct waiter *waiter)
{
    pthread_mutex_lock(&queue.lock);
    for (struct waiter **link = &queue.first; *link; link = &(*link)->next)
        if (*link == waiter) {
            queue_unlink(link);
            break;
        }
    queue_serve_by_hand(); /* those behind it may fit */
    pthread_mutex_unlock(&queue.lock);
}

bool
arenap_waiters_move(void)
{
    return arenap_os_now() - atomic_load(&queue.moved) < MOVES_NS;
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
