/*
 * case_cleaners.c: many live cleaners: what it takes to register and to clean
 * one, of few and of many.
 *
 * The referents are made before, and are live all the time.
 */

#include <stdlib.h>

#include <arena.h>
#include <arena/budget.h>
#include <arena/phantom.h>

#include "bench.h"
#include "peer_java.h"

#define MANY 1000000
#define FEW 10000

/* Roots of the collector.  Not static: it would look there in all cases. */
static void **referents;
static arena_cleanable_t **cleanables;

static size_t
count_of(const struct bench_work *work)
{
    return bench_quick ? work->blocks / 100 : work->blocks;
}

static void
begin_arena(const struct bench_work *work)
{
    size_t count = work->blocks;

    referents = bench_need(calloc(count, sizeof *referents), "calloc");
    cleanables = bench_need(calloc(count, sizeof *cleanables), "calloc");
    if (arena_add_roots(referents, referents + count) != 0
        || arena_add_roots(cleanables, cleanables + count) != 0)
        bench_fail("arena_add_roots");
}

static size_t told;

static void
tell(void *arg)
{
    (void)arg;
    told++;
}

static void
measure(size_t count, double figures[BENCH_FIGURES])
{
    double start, registered, cleaned;

    for (size_t i = 0; i < count; i++)
        referents[i] = bench_need(arena_alloc(NULL, 16), "arena_alloc");
    start = bench_now();
    for (size_t i = 0; i < count; i++)
        cleanables[i] =
            bench_need(arena_cleaner_register(referents[i], tell, NULL),
                       "arena_cleaner_register");
    registered = bench_now();
    for (size_t i = 0; i < count; i++)
        arena_clean(cleanables[i]);
    cleaned = bench_now();
    figures[0] = (registered - start) / (double)count;
    figures[1] = (cleaned - registered) / (double)count;
}

static void
measure_many(const struct bench_work *work, double figures[BENCH_FIGURES])
{
    measure(count_of(work), figures);
}

static void
measure_few(const struct bench_work *work, double figures[BENCH_FIGURES])
{
    (void)work;
    measure(FEW, figures);
}

static void
begin_java(const struct bench_work *work)
{
    (void)work;
    peer_java_begin_buffers((size_t)1 << 20);
}

static void
measure_java(const struct bench_work *work, double figures[BENCH_FIGURES])
{
    struct bench_work many = {.blocks = count_of(work)};

    peer_java_measure("cleaners", &many, 0, figures);
}

#define OURS "libarena"
#define OURS_FEW "libarena, 10,000 of them"
#define JDK "JDK Cleaner"
#define TARGETS .targets = {{1, JDK}, {1.5, OURS_FEW}}

static const struct bench_impl registering[] = {
    {OURS, BENCH_OURS, begin_arena, .measure = measure_many, TARGETS},
    {OURS_FEW, BENCH_REFERENCE, begin_arena, .measure = measure_few},
    {JDK, BENCH_PEER, begin_java, .measure = measure_java},
};

static const struct bench_impl cleaning[] = {
    {OURS, BENCH_OURS, TARGETS},
    {OURS_FEW, .role = BENCH_REFERENCE},
    {JDK, .role = BENCH_PEER},
};

static const struct bench_group groups[] = {
    {"registering each of 1,000,000", .work = {MANY, 0, 1},
     BENCH_IMPLS(registering)},
    {"cleaning each of 1,000,000", .figure = 1, BENCH_IMPLS(cleaning)},
};

const struct bench_case case_cleaners = {
    .name = "cleaners",
    .title = "many cleaners of live blocks",
    .weight = 1,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
