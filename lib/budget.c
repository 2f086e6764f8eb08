/* budget.c: see budget.h and arena/budget.h. */

#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../include/arena/budget.h"
#include "budget.h"
#include "chunk.h"
#include "chunk_cache.h"
#include "cleaner.h"
#include "collector.h"
#include "credit.h"
#include "environment.h"
#include "error.h"
#include "internal.h"
#include "os.h"
#include "payload.h"
#include "roots.h"
#include "thread.h"
#include "trace.h"

#define MS ((uint64_t)1000000)

#define BUDGET_SLEEPS 9
#define BUDGET_UNPIN_ROUND 2
/* By how many times running actions may stretch each sleep: by 5 seconds
 * altogether.  Not by more in one: an action that blocks must not keep those
 * from collecting who would find other memory. */
#define BUDGET_ACTIONS 10
#define BUDGET_ACTIONS_STEP (10 * MS)

/* The queue moves by itself if a waiter was served so recently from what was
 * freed by hand; rounds that believe it; and the last of those that are slept
 * through in one, which are as many as could not doubt it yet: waking all who
 * wait each millisecond took more time than serving them. */
#define BUDGET_MOVES (10 * MS)
#define BUDGET_PATIENCE 6
#define BUDGET_DOZE 3

#define NO_CHUNK UINT_MAX

enum waiter_state { WAITING, GRANTED, REFUSED };

struct waiter {
    struct waiter *next;
    size_t size;
    unsigned source;     /* of the chunk that it may be handed, or NO_CHUNK */
    struct chunk *chunk; /* that it was handed */
    _Atomic uint32_t state; /* enum waiter_state */
};

static struct {
    _Atomic size_t limit, charged, peak;
    _Atomic bool explicit_gc;
    _Atomic uint64_t waits, wait_ns, failures;
    pthread_mutex_t lock; /* of the queue, and of manual_count */
    struct waiter *first, **last;
    size_t small; /* waiters of up to BUDGET_SMALL */
    _Atomic uint64_t moved; /* when a waiter was last served by hand */
    size_t manual_count;
} budget = {.limit = ARENA_UNLIMITED,
            .explicit_gc = true,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .last = &budget.first};

_Atomic uint32_t arenap_budget_waiting;
_Atomic size_t arenap_budget_manual_bytes;

/* --- Taking and giving --- */

static void
budget_peak(size_t charged)
{
    size_t peak = atomic_load_explicit(&budget.peak, memory_order_relaxed);

    while (charged > peak
           && !atomic_compare_exchange_weak(&budget.peak, &peak, charged))
        ;
}

bool
arenap_budget_try(size_t size)
{
    size_t limit = atomic_load_explicit(&budget.limit, memory_order_relaxed);
    size_t charged = atomic_load(&budget.charged);

    do {
        if (charged > limit || size > limit - charged)
            return false;
    } while (!atomic_compare_exchange_weak(&budget.charged, &charged,
                                           charged + size));
    budget_peak(charged + size);
    return true;
}

bool
arenap_budget_has(size_t size)
{
    size_t limit = atomic_load_explicit(&budget.limit, memory_order_relaxed);
    size_t charged =
        atomic_load_explicit(&budget.charged, memory_order_relaxed);

    return !arenap_budget_is_short() && charged <= limit
           && size <= limit - charged;
}

static void
queue_unlink(struct waiter **link)
{
    budget.small -= (*link)->size <= BUDGET_SMALL;
    *link = (*link)->next;
    if (*link == NULL)
        budget.last = link;
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
    pthread_mutex_lock(&budget.lock);
    first = budget.first;
    taken = first != NULL && first->source == chunk->source
            && first->size == chunk->charge;
    if (taken) {
        first->chunk = chunk;
        queue_answer(&budget.first, GRANTED);
        atomic_store(&budget.moved, arenap_os_now());
    }
    pthread_mutex_unlock(&budget.lock);
    return taken;
}

/* Let those go on whom it fits: those in front, and small ones behind.  True:
 * there were such. */
static bool
queue_serve(void)
{
    struct waiter **link = &budget.first;
    bool blocked = false, any = false;

    while (*link != NULL && (!blocked || budget.small != 0)) {
        struct waiter *waiter = *link;

        /* The limit was lowered: it would stand in the way for nothing. */
        if (waiter->size > atomic_load(&budget.limit)) {
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
        atomic_store(&budget.moved, arenap_os_now());
}

static void
serve(bool by_hand)
{
    if (atomic_load(&arenap_budget_waiting) == 0)
        return;
    pthread_mutex_lock(&budget.lock);
    if (by_hand)
        queue_serve_by_hand();
    else
        queue_serve();
    pthread_mutex_unlock(&budget.lock);
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

void
arenap_budget_release(size_t size)
{
    atomic_fetch_sub(&budget.charged, size);
    arenap_budget_serve_by_hand();
}

void
arenap_budget_release_quietly(size_t size)
{
    atomic_fetch_sub(&budget.charged, size);
    if (atomic_load(&arenap_budget_waiting) != 0)
        arenap_cleaner_kick();
}

bool
arenap_budget_may_collect(void)
{
    return atomic_load(&budget.explicit_gc);
}

/* --- Waiting --- */

static void
queue_join(struct waiter *waiter)
{
    pthread_mutex_lock(&budget.lock);
    waiter->next = NULL;
    *budget.last = waiter;
    budget.last = &waiter->next;
    budget.small += waiter->size <= BUDGET_SMALL;
    atomic_fetch_add(&arenap_budget_waiting, 1);
    queue_serve_by_hand();
    pthread_mutex_unlock(&budget.lock);
}

/* Unless it was answered after all. */
static void
queue_leave(struct waiter *waiter)
{
    pthread_mutex_lock(&budget.lock);
    for (struct waiter **link = &budget.first; *link; link = &(*link)->next)
        if (*link == waiter) {
            queue_unlink(link);
            break;
        }
    queue_serve_by_hand(); /* those behind it may fit */
    pthread_mutex_unlock(&budget.lock);
}

static bool
waiter_answered(const struct waiter *waiter)
{
    return atomic_load(&waiter->state) != WAITING;
}

/* Sleep for a time, less what is served before.  Time in which the cleaner
 * runs actions is not counted, up to BUDGET_ACTIONS times as much. */
static bool
waiter_sleep(struct waiter *waiter, uint64_t ns)
{
    uint64_t deadline = arenap_os_now() + ns, spare = BUDGET_ACTIONS * ns;

    while (!waiter_answered(waiter)) {
        if (arenap_os_wait(&waiter->state, WAITING, deadline))
            continue;
        if (arenap_cleaner_pending() == 0 || spare < BUDGET_ACTIONS_STEP
            || arenap_tls.record->acting != 0)
            break;
        spare -= BUDGET_ACTIONS_STEP;
        deadline = arenap_os_now() + BUDGET_ACTIONS_STEP;
    }
    return waiter_answered(waiter);
}

static bool
queue_moves(void)
{
    return arenap_os_now() - atomic_load(&budget.moved) < BUDGET_MOVES;
}

/* What can be freed without waiting.  While the queue moves, because memory
 * is released by hand, the early rounds leave the collector alone. */
static void
budget_collect(int round)
{
    bool moves = queue_moves();

    arenap_chunk_flush_all();
    arenap_payload_flush();
    arenap_credit_drop_all();
    /* After fork, or if it could not be started, nobody runs what is due. */
    if (arenap_cleaner_pending() != 0)
        arenap_cleaner_start();
    if (arenap_budget_may_collect() && (round >= BUDGET_PATIENCE || !moves))
        arenap_cleaner_collect();
    arenap_cleaner_relieve();
    arenap_budget_serve();
}

static void
budget_wait(struct waiter *waiter)
{
    bool unpin = arenap_budget_may_collect();

    arenap_roots_scrub();
    budget_collect(-1);
    for (int round = 0; round < BUDGET_SLEEPS; round++) {
        uint64_t ns = MS << round;

        while (round < BUDGET_DOZE && queue_moves())
            ns += MS << ++round;
        if (waiter_answered(waiter) || waiter_sleep(waiter, ns))
            return;
        /* The collector itself may keep one block; heap growth moves that
         * pointer of its on. */
        if (unpin && round >= BUDGET_UNPIN_ROUND) {
            arenap_collector_unpin();
            unpin = false;
        }
        budget_collect(round);
    }
    queue_leave(waiter);
}

static int
budget_fail(size_t size)
{
    size_t limit = atomic_load(&budget.limit);

    atomic_fetch_add(&budget.failures, 1);
    arenap_trace_refuse(size, limit);
    return arenap_fail(ENOMEM,
                       "cannot reserve %zu bytes of off-heap memory "
                       "(reserved: %zu, limit: %zu)",
                       size, atomic_load(&budget.charged), limit);
}

static bool
passes(size_t size)
{
    return !arenap_budget_is_short() && arenap_budget_try(size);
}

/* What is kept for reuse gives way: first as much of the stock as is asked
 * for, then all. */
static bool
reserve_from_caches(size_t size)
{
    if (arenap_chunk_drop(size) && passes(size))
        return true;
    arenap_chunk_flush_all();
    arenap_payload_flush();
    arenap_credit_drop_all();
    return passes(size);
}

static ARENA_COLD int
reserve_slow(size_t size, unsigned source, struct chunk **chunk)
{
    struct waiter waiter = {
        .size = size, .source = source, .state = WAITING};
    uint64_t start, waited;
    int saved = errno;
    bool done;

    if (size > atomic_load(&budget.limit))
        return budget_fail(size);
    if (reserve_from_caches(size)) {
        errno = saved;
        return 0;
    }
    start = arenap_os_now();
    atomic_fetch_add(&budget.waits, 1);
    arenap_trace_wait(size);
    queue_join(&waiter);
    if (!waiter_answered(&waiter))
        budget_wait(&waiter);
    done = atomic_load(&waiter.state) == GRANTED;
    waited = arenap_os_now() - start;
    atomic_fetch_add(&budget.wait_ns, waited);
    arenap_trace_wait_end(size, waited, done);
    errno = saved;
    *chunk = waiter.chunk;
    return done ? 0 : budget_fail(size);
}

int
arenap_budget_reserve_chunk(size_t size, unsigned source,
                            struct chunk **chunk)
{
    *chunk = NULL;
    if (ARENA_LIKELY((!arenap_budget_is_short() || size <= BUDGET_SMALL)
                     && arenap_budget_try(size))) {
        if (ARENA_UNLIKELY(size >= TRACE_LARGE))
            arenap_trace_reserve(size);
        return 0;
    }
    return reserve_slow(size, source, chunk);
}

int
arenap_budget_reserve(size_t size)
{
    struct chunk *none;

    return arenap_budget_reserve_chunk(size, NO_CHUNK, &none);
}

/* --- Figures --- */

size_t
arenap_budget_limit(void)
{
    return atomic_load(&budget.limit);
}

size_t
arenap_budget_charged(void)
{
    return atomic_load(&budget.charged);
}

size_t
arenap_budget_manual_count(void)
{
    size_t count;

    pthread_mutex_lock(&budget.lock);
    count = budget.manual_count;
    pthread_mutex_unlock(&budget.lock);
    return count;
}

void
arenap_budget_figures(struct budget_figures *out)
{
    out->peak = atomic_load(&budget.peak);
    out->waits = atomic_load(&budget.waits);
    out->wait_ns = atomic_load(&budget.wait_ns);
    out->failures = atomic_load(&budget.failures);
}

/* --- Environment --- */

/* A size with K, M, G or T, or a percentage of whole. */
static bool
parse_limit(const char *text, size_t whole, size_t *out)
{
    static const char units[] = "KMGT";
    unsigned long long number;
    const char *unit;
    unsigned shift = 0;
    char *end;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    if (strcmp(end, "%") == 0 && number <= 100) {
        *out = whole / 100 * (size_t)number + whole % 100 * number / 100;
        return true;
    }
    if (*end != '\0'
        && (unit = strchr(units, toupper((unsigned char)*end))) != NULL) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (*end != '\0' || number > SIZE_MAX >> shift)
        return false;
    *out = (size_t)number << shift;
    return true;
}

/* When to collect. */
static void
init_collections(void)
{
    const char *explicit_gc = arenap_environment_get("ARENA_EXPLICIT_GC");
    const char *gc_every = arenap_environment_get("ARENA_GC_EVERY");
    size_t every = 0;

    if (gc_every != NULL && strchr(gc_every, '%') == NULL
        && parse_limit(gc_every, 0, &every))
        arenap_cleaner_collect_every(every);
    else if (gc_every != NULL)
        arenap_environment_ignore("ARENA_GC_EVERY", gc_every);
    if (explicit_gc != NULL && strcmp(explicit_gc, "0") == 0)
        atomic_store(&budget.explicit_gc, false);
    else if (explicit_gc != NULL && strcmp(explicit_gc, "1") != 0)
        arenap_environment_ignore("ARENA_EXPLICIT_GC", explicit_gc);
}

void
arenap_budget_init(void)
{
    const char *limit = arenap_environment_get("ARENA_LIMIT");
    size_t whole = arenap_os_memory(), bytes = whole;
    int saved = errno;

    if (limit != NULL && !parse_limit(limit, whole, &bytes))
        fprintf(stderr,
                "libarena: ARENA_LIMIT=%s is not a size such as 512M or 50%%;"
                " the limit is %zu bytes\n",
                limit, bytes);
    errno = saved;
    atomic_store(&budget.limit, bytes);
    init_collections();
}

/* --- Fork --- */

void
arenap_budget_fork_prepare(void)
{
    pthread_mutex_lock(&budget.lock);
}

void
arenap_budget_fork_done(void)
{
    pthread_mutex_unlock(&budget.lock);
}

/* The waiters are not in the child. */
void
arenap_budget_fork_child(void)
{
    budget.first = NULL;
    budget.last = &budget.first;
    budget.small = 0;
    atomic_store(&arenap_budget_waiting, 0);
}

void
arenap_budget_set_charged(size_t held)
{
    atomic_store(&budget.charged, held);
}

/* --- Public --- */

int
arena_reserve(size_t size)
{
    if (arenap_thread_self() == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (arenap_budget_reserve(size) != 0)
        return -1;
    pthread_mutex_lock(&budget.lock);
    atomic_fetch_add(&arenap_budget_manual_bytes, size);
    budget.manual_count++;
    pthread_mutex_unlock(&budget.lock);
    return 0;
}

int
arena_unreserve(size_t size)
{
    size_t held;

    pthread_mutex_lock(&budget.lock);
    held = atomic_load(&arenap_budget_manual_bytes);
    if (size <= held) {
        atomic_store(&arenap_budget_manual_bytes, held - size);
        if (budget.manual_count != 0)
            budget.manual_count--;
    }
    pthread_mutex_unlock(&budget.lock);
    if (size > held)
        return arenap_fail(EINVAL,
                           "cannot unreserve %zu bytes: %zu are reserved",
                           size, held);
    arenap_budget_release(size);
    return 0;
}

int
arena_set_limit(size_t bytes)
{
    if (arenap_thread_self() == NULL)
        return arenap_fail_system(sizeof(struct thread));
    atomic_store(&budget.limit, bytes);
    arenap_credit_drop_all();
    arenap_budget_serve();
    return 0;
}

size_t
arena_limit(void)
{
    arenap_thread_self(); /* reads the environment, the first time */
    return atomic_load(&budget.limit);
}

int
arena_set_explicit_gc(bool enabled)
{
    arenap_thread_self();
    atomic_store(&budget.explicit_gc, enabled);
    return 0;
}
