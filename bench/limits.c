/* limits.c: see limits.h. */

#include "limits.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <arena.h>
#include <arena/budget.h>
#include <arena/buffer.h>

/* --- Ways --- */

typedef void *limits_alloc(arena_t *arena, size_t size);

static void *
arena_with_block(arena_t *arena, limits_alloc *alloc, size_t size)
{
    void *block = arena == NULL ? NULL : alloc(arena, size);

    if (block == NULL)
        return NULL;
    bench_touch(block);
    return arena;
}

static void *
shared_with_block(limits_alloc *alloc, size_t size)
{
    arena_t *arena = arena_shared();
    void *taken = arena_with_block(arena, alloc, size);

    if (taken == NULL)
        arena_close(arena);
    return taken;
}

static void *
take_shared(size_t size)
{
    return shared_with_block(arena_alloc, size);
}

static void *
take_shared_uninit(size_t size)
{
    return shared_with_block(arena_alloc_uninit, size);
}

static void
give_shared(void *taken)
{
    if (arena_close(taken) != 0)
        bench_fail("arena_close");
}

static void *
take_auto(size_t size)
{
    return arena_with_block(arena_auto(), arena_alloc, size);
}

static void *
take_implicit(size_t size)
{
    void *block = arena_alloc(NULL, size);

    if (block != NULL)
        bench_touch(block);
    return block;
}

static void *
take_buffer(size_t size)
{
    arena_buffer_t *buffer = arena_buffer_allocate(size);

    if (buffer != NULL)
        bench_touch(arena_buffer_address(buffer));
    return buffer;
}

const struct limits_way limits_shared = {take_shared, give_shared};
const struct limits_way limits_shared_uninit = {take_shared_uninit,
                                                give_shared};
const struct limits_way limits_auto = {take_auto, NULL};
const struct limits_way limits_implicit = {take_implicit, NULL};
const struct limits_way limits_buffer = {take_buffer, NULL};

/* --- Limits --- */

static size_t
reserved(void)
{
    arena_usage_t usage;

    arena_usage(&usage, sizeof usage);
    return usage.reserved;
}

struct unit {
    const struct limits_way *way;
    size_t size;
    size_t bytes; /* that it reserves */
};

/* In a thread of its own, whose stack keeps nothing that was dropped. */
static void *
unit_main(void *arg)
{
    struct unit *unit = arg;
    size_t before = reserved();
    void *taken = bench_need(unit->way->take(unit->size), "a block");

    unit->bytes = reserved() - before;
    if (unit->way->give != NULL)
        unit->way->give(taken);
    return NULL;
}

void
limits_set(const struct limits_way *way, size_t blocks, size_t size)
{
    struct unit unit = {.way = way, .size = size};
    pthread_t thread;

    if (pthread_create(&thread, NULL, unit_main, &unit) != 0)
        bench_fail("pthread_create");
    pthread_join(thread, NULL);
    if (way->give == NULL)
        arena_collect();
    if (arena_set_limit(reserved() + blocks * unit.bytes) != 0)
        bench_fail("arena_set_limit");
}

/* --- Threads --- */

#define HOLDS_ALONE 21

struct contention {
    const struct limits_way *way;
    size_t size;
    double hold_ns;
    double end;
    struct limits_seen seen;
    pthread_mutex_t lock; /* of seen */
};

/* Sleep until then, however often a collection interrupts it. */
static void
sleep_until(double ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1e9)};

    t.tv_nsec = (long)(ns - (double)t.tv_sec * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
}

/* False: there was no block. */
static __attribute__((noinline)) bool
take_and_give(struct contention *c, struct limits_seen *seen, double start)
{
    void *taken = c->way->take(c->size);
    double taken_at = bench_now();

    if (taken_at - start > seen->worst_ns)
        seen->worst_ns = taken_at - start;
    if (taken == NULL)
        return false;
    if (c->hold_ns > 0)
        sleep_until(taken_at + c->hold_ns);
    if (c->way->give != NULL)
        c->way->give(taken);
    return true;
}

static void
contend(void *arg)
{
    struct contention *c = arg;
    struct limits_seen seen = {0};
    double now = bench_now(), start = now;

    for (; now < c->end; now = bench_now()) {
        bool taken = take_and_give(c, &seen, start);

        bench_scrub();
        seen.taken += taken;
        seen.failures += !taken;
        if (taken)
            start = bench_now();
    }
    pthread_mutex_lock(&c->lock);
    c->seen.taken += seen.taken;
    c->seen.failures += seen.failures;
    if (seen.worst_ns > c->seen.worst_ns)
        c->seen.worst_ns = seen.worst_ns;
    pthread_mutex_unlock(&c->lock);
}

double
limits_length_ns(void)
{
    return bench_quick ? 5e7 : 1e9;
}

/* The middle one of some: one may be interrupted. */
double
limits_hold_alone_ns(double hold_ns)
{
    double held[HOLDS_ALONE];

    for (size_t i = 0; i < HOLDS_ALONE; i++) {
        double start = bench_now();

        sleep_until(start + hold_ns);
        held[i] = bench_now() - start;
    }
    return bench_median(held, HOLDS_ALONE);
}

struct limits_seen
limits_contend(const struct bench_work *work, const struct limits_way *way,
               double hold_ns, double length_ns)
{
    struct contention c = {.way = way, .size = work->size, .hold_ns = hold_ns};
    double start = bench_now();

    pthread_mutex_init(&c.lock, NULL);
    c.end = start + length_ns;
    bench_threads(work->threads, contend, &c);
    c.seen.ns = bench_now() - start;
    return c.seen;
}
