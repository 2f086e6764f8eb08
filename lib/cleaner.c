/* cleaner.c: see cleaner.h. */

#include "config.h"

#include <errno.h>
#include <pthread.h>

#include "../include/arena/budget.h"
#include "budget.h"
#include "chunk_cache.h"
#include "cleaner.h"
#include "collector.h"
#include "error.h"
#include "heap.h"
#include "internal.h"
#include "os.h"
#include "payload.h"
#include "phantom.h"
#include "roots.h"
#include "sync.h"
#include "thread.h"

/* A collection pushes while the thread runs what it has pushed: each has a
 * line of its own. */
#define LINE __attribute__((aligned(64)))

static struct {
    /* Pushed by anybody, newest first; only ever taken as a whole. */
    LINE _Atomic(struct pending *) stack;
    _Atomic uint32_t pushed; /* nodes so far; wraps */
    _Atomic uint32_t wake;   /* changes when there is something to do */
    _Atomic bool asleep;     /* the thread must be woken, by one of all */
    LINE _Atomic uint32_t done; /* nodes that have run, in the order pushed */
    _Atomic uint32_t freeing;   /* of those, how many retained memory */
    _Atomic uint32_t drainers;  /* threads that wait for done to get on */
    _Atomic uint32_t goal;      /* nearest value of done that one waits for;
                                 * changes under the lock */
    _Atomic bool running;       /* the thread exists */
    uint32_t woken;             /* wake, when this process was forked */
    _Atomic uint32_t relieved;  /* threads whose action goes on beside it */
    struct stripe lock;         /* of the queue, the goal, and of starting */
    struct pending *first, **last;
} cleaner = {.last = &cleaner.first};

_Atomic bool arenap_cleaner_lost;

/* --- The pending list --- */

void
arenap_cleaner_kick(void)
{
    atomic_fetch_add(&cleaner.wake, 1);
    if (atomic_load(&cleaner.asleep)
        && atomic_exchange(&cleaner.asleep, false))
        arenap_os_wake(&cleaner.wake, 1);
}

void
arenap_cleaner_push_all(struct pending *newest, struct pending *oldest,
                        uint32_t count)
{
    struct pending *head = atomic_load(&cleaner.stack);

    atomic_fetch_add(&cleaner.pushed, count);
    do
        oldest->next = head;
    while (!atomic_compare_exchange_weak(&cleaner.stack, &head, newest));
    /* Who pushed the first one kicks, or has. */
    if (head == NULL)
        arenap_cleaner_kick();
}

void
arenap_cleaner_push(struct pending *node)
{
    arenap_cleaner_push_all(node, node, 1);
}

size_t
arenap_cleaner_pending(void)
{
    uint32_t done = atomic_load(&cleaner.done);

    return atomic_load(&cleaner.pushed) - done;
}

/* Move what was pushed to the end of the queue, oldest first. */
static void
queue_fill(void)
{
    struct pending *node = atomic_exchange(&cleaner.stack, NULL);
    struct pending *oldest = NULL, **end = NULL;

    for (struct pending *next; node != NULL; node = next) {
        next = node->next;
        if (oldest == NULL)
            end = &node->next;
        node->next = oldest;
        oldest = node;
    }
    if (oldest != NULL) {
        *cleaner.last = oldest;
        cleaner.last = end;
    }
}

static struct pending *
queue_take(void)
{
    struct pending *node;

    arenap_stripe_lock(&cleaner.lock);
    if (cleaner.first == NULL)
        queue_fill();
    node = cleaner.first;
    if (node != NULL) {
        cleaner.first = node->next;
        if (cleaner.first == NULL)
            cleaner.last = &cleaner.first;
    }
    arenap_stripe_unlock(&cleaner.lock);
    return node;
}

/* --- The thread --- */

/* Counters wrap: a comes before b. */
static bool
is_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

/* Those who drain are woken when the nearest goal is reached, not by each
 * node: it took longer to wake them than to run most actions.  A relieved
 * thread has no place in the order, so it always wakes them. */
static void
cleaner_run(struct thread *self, struct pending *node)
{
    bool retains = node->retains, relieved;
    uint32_t done;

    node->run(node);
    if (retains)
        atomic_fetch_add(&cleaner.freeing, 1);
    relieved = self != NULL && self->relieved;
    if (relieved)
        atomic_fetch_sub(&cleaner.relieved, 1);
    done = atomic_fetch_add(&cleaner.done, 1) + 1;
    if (atomic_load(&cleaner.drainers) != 0
        && (relieved || !is_before(done, atomic_load(&cleaner.goal))))
        arenap_os_wake(&cleaner.done, INT32_MAX);
}

/* The thread's record, if it has none yet; NULL while the system refuses one.
 * Actions may touch collected memory. */
static struct thread *
cleaner_bind(struct thread *self)
{
    if (self == NULL && (self = arenap_thread_self()) != NULL) {
        self->is_cleaner = true;
        arena_thread_attach();
    }
    return self;
}

static void *
cleaner_main(void *unused)
{
    struct thread *self = NULL;

    for (;;) {
        uint32_t seen = atomic_load(&cleaner.wake);
        struct pending *node;

        self = cleaner_bind(self);
        arenap_collector_rehook();
        arenap_budget_serve();
        arenap_phantom_watch();
        while ((node = queue_take()) != NULL) {
            cleaner_run(self, node);
            if (self != NULL && self->relieved)
                return unused;
        }
        arenap_roots_scrub();
        /* Who changes wake after this wakes us; who did before is seen. */
        atomic_store(&cleaner.asleep, true);
        arenap_os_wait(&cleaner.wake, seen, ARENA_OS_NEVER);
        atomic_store(&cleaner.asleep, false);
    }
    return unused;
}

/* More than so many at a time wait as everybody does. */
#define RELIEVED_MOST 8

void
arenap_cleaner_relieve(void)
{
    struct thread *self = arenap_tls.record;
    uint32_t relieved = atomic_load(&cleaner.relieved);

    if (self == NULL || !self->is_cleaner || relieved == RELIEVED_MOST
        || arenap_cleaner_pending() <= relieved + 1)
        return;
    arenap_stripe_lock(&cleaner.lock);
    /* First: who drains must not miss it when the other one is done. */
    atomic_fetch_add(&cleaner.relieved, 1);
    self->relieved = arenap_thread_spawn(cleaner_main) == 0;
    self->is_cleaner = !self->relieved;
    if (!self->relieved)
        atomic_fetch_sub(&cleaner.relieved, 1);
    arenap_stripe_unlock(&cleaner.lock);
}

int
arenap_cleaner_start(void)
{
    int error = 0;

    if (atomic_load(&cleaner.running))
        return 0;
    arenap_stripe_lock(&cleaner.lock);
    if (!atomic_load(&cleaner.running)) {
        error = arenap_thread_spawn(cleaner_main);
        atomic_store(&cleaner.running, error == 0);
    }
    arenap_stripe_unlock(&cleaner.lock);
    if (error != 0)
        return arenap_fail(ENOMEM, "the system refused a cleaner thread");
    return 0;
}

void
arenap_cleaner_revive_slow(void)
{
    int saved = errno;

    if (atomic_load(&cleaner.wake) == cleaner.woken
        || !atomic_exchange(&arenap_cleaner_lost, false))
        return;
    /* If it cannot be had now, then perhaps later. */
    if (arenap_cleaner_start() != 0)
        atomic_store(&arenap_cleaner_lost, true);
    errno = saved;
}

/* How far the cleaner is; it wakes us at a goal, or before.  As long as one
 * sleeps on a value of done, the goal is after that: who replaces one that has
 * been reached wakes those who wait for it, since the cleaner may have come
 * to it and see the new one only. */
static uint32_t
drain_look(uint32_t goal)
{
    uint32_t done, nearest;
    bool waits, reached;

    arenap_stripe_lock(&cleaner.lock);
    done = atomic_load(&cleaner.done);
    nearest = atomic_load(&cleaner.goal);
    waits = is_before(done, goal);
    reached = !is_before(done, nearest);
    if (waits && (reached || is_before(goal, nearest)))
        atomic_store(&cleaner.goal, goal);
    arenap_stripe_unlock(&cleaner.lock);
    if (waits && reached && atomic_load(&cleaner.drainers) > 1)
        arenap_os_wake(&cleaner.done, INT32_MAX);
    return done;
}

void
arenap_cleaner_drain(uint64_t deadline)
{
    struct thread *self = arenap_thread_self();
    uint32_t goal = atomic_load(&cleaner.pushed), done;

    if (self == NULL || self->is_cleaner || self->acting != 0)
        return;
    atomic_fetch_add(&cleaner.drainers, 1);
    /* Without threads beside the cleaner nodes are done in order. */
    while (is_before(done = drain_look(goal), goal)
           || atomic_load(&cleaner.relieved) != 0)
        if (arenap_cleaner_start() != 0
            || !arenap_os_wait(&cleaner.done, done, deadline))
            break;
    atomic_fetch_sub(&cleaner.drainers, 1);
}

/* --- Collecting: one collection serves all who came before it --- */

static struct {
    pthread_mutex_t lock;
    uint32_t started;
    _Atomic uint32_t finished;
    bool running;
} collection = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool
arenap_cleaner_collect(void)
{
    struct thread *self = arenap_thread_self();
    uint32_t goal, finished;

    /* Inside a collection: a finalizer of the host program brought us here. */
    if (self == NULL || self->collecting || !arenap_collector_can_collect())
        return false;
    pthread_mutex_lock(&collection.lock);
    goal = collection.started + 1;
    while (is_before(finished = atomic_load(&collection.finished), goal)) {
        bool mine = !collection.running;

        if (mine) {
            collection.running = true;
            collection.started++;
        }
        pthread_mutex_unlock(&collection.lock);
        if (mine)
            arenap_collector_collect(self);
        else
            arenap_os_wait(&collection.finished, finished, ARENA_OS_NEVER);
        pthread_mutex_lock(&collection.lock);
        if (mine) {
            collection.running = false;
            atomic_store(&collection.finished, collection.started);
            arenap_os_wake(&collection.finished, INT32_MAX);
        }
    }
    pthread_mutex_unlock(&collection.lock);
    arenap_heap_settle();
    arenap_phantom_scan();
    arenap_budget_serve();
    return true;
}

bool
arenap_cleaner_reclaim(void)
{
    arenap_chunk_flush_all();
    arenap_payload_flush();
    if (arenap_budget_may_collect())
        arenap_cleaner_collect();
    return true;
}

/* --- At times --- */

static struct {
    _Atomic size_t every, since;
} times;

size_t
arenap_cleaner_collect_every(size_t bytes)
{
    return atomic_exchange(&times.every, bytes);
}

void
arenap_cleaner_count(size_t bytes)
{
    size_t every = atomic_load_explicit(&times.every, memory_order_relaxed);

    if (ARENA_LIKELY(every == 0))
        return;
    if (atomic_fetch_add(&times.since, bytes) + bytes >= every) {
        atomic_store(&times.since, 0);
        arenap_cleaner_collect();
    }
}

/* --- Fork --- */

void
arenap_cleaner_fork_prepare(void)
{
    pthread_mutex_lock(&collection.lock);
    arenap_stripe_lock(&cleaner.lock);
}

void
arenap_cleaner_fork_done(void)
{
    arenap_stripe_unlock(&cleaner.lock);
    pthread_mutex_unlock(&collection.lock);
}

/* The cleaner is not in the child.  A node that it was running counts as run:
 * its action began in the parent.  The rest waits for a new cleaner. */
void
arenap_cleaner_fork_child(void)
{
    struct thread *self = arenap_tls.record;
    uint32_t due = 0, goes_on = self != NULL && self->relieved;

    arenap_stripe_fork_child(&cleaner.lock);
    collection.running = false;
    atomic_store(&collection.finished, collection.started);
    atomic_store(&cleaner.asleep, false);
    atomic_store(&cleaner.drainers, 0);
    /* An action that forks goes on, in both. */
    if (self != NULL && self->is_cleaner) {
        atomic_fetch_add(&cleaner.done, atomic_exchange(&cleaner.relieved, 0));
        return;
    }
    queue_fill();
    for (struct pending *node = cleaner.first; node; node = node->next)
        due++;
    atomic_store(&cleaner.done,
                 atomic_load(&cleaner.pushed) - due - goes_on);
    atomic_store(&cleaner.relieved, goes_on);
    cleaner.woken = atomic_load(&cleaner.wake) - (due != 0);
    if (atomic_exchange(&cleaner.running, false))
        atomic_store(&arenap_cleaner_lost, true);
}

/* --- Public --- */

void
arena_collect(void)
{
    uint32_t freeing = atomic_load(&cleaner.freeing);

    if (!arenap_collector_started() || arena_thread_attach() != 0)
        return;
    if (!arenap_cleaner_collect())
        return;
    arenap_payload_flush();
    arenap_cleaner_drain(ARENA_OS_NEVER);
    /* Arenas that had actions are freed by the next collection. */
    if (atomic_load(&cleaner.freeing) != freeing)
        arenap_cleaner_collect();
}

int
arena_trim(void)
{
    arena_collect();
    arenap_chunk_flush_all();
    arenap_payload_flush();
    if (arenap_collector_can_collect())
        arenap_collector_trim(arenap_thread_self());
    arenap_os_trim();
    return 0;
}
