/*
 * case_pause.c: how long a collection takes while 1 GiB is live.  Nearly all
 * of it the program stands still.
 */

#include <arena.h>

#include "bench.h"
#include "peer_libgc.h"

#define BLOCK 1024
#define LARGE 16           /* arenas that hold all */
#define SMALL (10 * 1024L) /* about 100 blocks in each */

static arena_t *arenas[SMALL]; /* static, so the collector looks here */

static size_t
blocks(void)
{
    return ((size_t)1 << (bench_quick ? 24 : 30)) / BLOCK;
}

static void
fill_arenas(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        arenas[i] = bench_need(arena_auto(), "arena_auto");
        for (size_t j = 0; j < blocks() / count; j++)
            bench_touch(arena_alloc(arenas[i], BLOCK));
    }
}

static void
begin_large(const struct bench_work *work)
{
    (void)work;
    fill_arenas(LARGE);
}

static void
begin_small(const struct bench_work *work)
{
    (void)work;
    fill_arenas(SMALL);
}

static void
begin_scanned(const struct bench_work *work)
{
    peer_libgc_begin(work);
    peer_libgc_fill(blocks(), BLOCK);
}

static void
begin_atomic(const struct bench_work *work)
{
    peer_libgc_begin(work);
    peer_libgc_fill_atomic(blocks(), BLOCK);
}

/* The same call for all, so that nothing but the heap differs. */
static void
measure(const struct bench_work *work, double figures[BENCH_FIGURES])
{
    double start = bench_now();

    (void)work;
    peer_libgc_collect();
    figures[0] = (bench_now() - start) / 1e6;
}

static const struct bench_impl impls[] = {
    {"libarena, 16 auto arenas", BENCH_OURS, begin_large, .measure = measure,
     .targets = {{6, NULL}}},
    {"libarena, 10240 auto arenas", BENCH_OURS, begin_small,
     .measure = measure},
    {"libgc GC_malloc, linked", BENCH_PEER, begin_scanned, .measure = measure},
    {"libgc GC_malloc_atomic, a table", BENCH_PEER, begin_atomic,
     .measure = measure},
};

static const struct bench_group groups[] = {
    {"1 GiB live in blocks of 1 KiB", .unit = "ms", .work = {1, BLOCK, 1},
     BENCH_IMPLS(impls)},
};

const struct bench_case case_pause = {
    .name = "pause",
    .title = "a collection while much is live",
    .weight = 1,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
