/* reserve.c: reservations, and what is done for those that do not fit; see
 * budget.h and arena/budget.h. */

#include "config.h"

#include <errno.h>

#include "budget.h"
#include "chunk.h"
#include "chunk_cache.h"
#include "cleaner.h"
#include "collector.h"
#include "credit.h"
#include "error.h"
#include "internal.h"
#include "os.h"
#include "payload.h"
#include "roots.h"
#include "thread.h"
#include "trace.h"
#include "waiters.h"

#define MS ((uint64_t)1000000)

#define BUDGET_SLEEPS 9
#define BUDGET_UNPIN_ROUND 2
/* By how many times running actions may stretch each sleep: by 5 seconds
 * altogether.  Not by more in one: an action that blocks must not keep those
 * from collecting who would find other memory. */
#define BUDGET_ACTIONS 10
#define BUDGET_ACTIONS_STEP (10 * MS)

/* Rounds that believe that the queue moves; and the last of those that are
 * slept through in one, which are as many as could not doubt it yet: waking
 * all who wait each millisecond took more time than serving them. */
#define BUDGET_PATIENCE 6
#define BUDGET_DOZE 3

static struct {
    _Atomic uint64_t waits, wait_ns, failures;
} figures;

/* --- Waiting --- */

/* Sleep for a time, less what is served before.  Time in which the cleaner
 * runs actions is not counted, up to BUDGET_ACTIONS times as much. */
static bool
waiter_sleep(struct waiter *waiter, uint64_t ns)
{
    uint64_t deadline = arenap_os_now() + ns, spare = BUDGET_ACTIONS * ns;

    while (!arenap_waiter_is_answered(waiter)) {
        if (arenap_os_wait(&waiter->state, WAITING, deadline))
            continue;
        if (arenap_cleaner_pending() == 0 || spare < BUDGET_ACTIONS_STEP
            || arenap_tls.record->acting != 0)
            break;
        spare -= BUDGET_ACTIONS_STEP;
        deadline = arenap_os_now() + BUDGET_ACTIONS_STEP;
    }
    return arenap_waiter_is_answered(waiter);
}

/* What can be freed without waiting.  While the queue moves, because memory
 * is released by hand, the early rounds leave the collector alone. */
static void
budget_collect(int round)
{
    bool moves = arenap_waiters_move();

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
    /* What is freed while others wait goes to them, and is kept nowhere. */
    if (!arenap_waiters_move())
        budget_collect(-1);
    for (int round = 0; round < BUDGET_SLEEPS; round++) {
        uint64_t ns = MS << round;

        while (round < BUDGET_DOZE && arenap_waiters_move())
            ns += MS << ++round;
        if (arenap_waiter_is_answered(waiter) || waiter_sleep(waiter, ns))
            return;
        /* The collector itself may keep one block; heap growth moves that
         * pointer of its on. */
        if (unpin && round >= BUDGET_UNPIN_ROUND) {
            arenap_collector_unpin();
            unpin = false;
        }
        budget_collect(round);
    }
    arenap_waiters_leave(waiter);
}

static int
budget_fail(size_t size)
{
    size_t limit = arenap_budget_limit();

    atomic_fetch_add(&figures.failures, 1);
    arenap_trace_refuse(size, limit);
    return arenap_fail(ENOMEM,
                       "cannot reserve %zu bytes of off-heap memory "
                       "(reserved: %zu, limit: %zu)",
                       size, arenap_budget_charged(), limit);
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

    if (size > arenap_budget_limit())
        return budget_fail(size);
    /* While others wait nothing is kept for reuse. */
    if (!arenap_budget_is_short() && reserve_from_caches(size)) {
        errno = saved;
        return 0;
    }
    start = arenap_os_now();
    atomic_fetch_add(&figures.waits, 1);
    arenap_trace_wait(size);
    arenap_waiters_join(&waiter);
    if (!arenap_waiter_is_answered(&waiter))
        budget_wait(&waiter);
    done = atomic_load(&waiter.state) == GRANTED;
    waited = arenap_os_now() - start;
    atomic_fetch_add(&figures.wait_ns, waited);
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

void
arenap_budget_figures(struct budget_figures *out)
{
    out->peak = arenap_budget_peak();
    out->waits = atomic_load(&figures.waits);
    out->wait_ns = atomic_load(&figures.wait_ns);
    out->failures = atomic_load(&figures.failures);
}
