/*
 * case_auto.c: auto arenas that are dropped and found by the collector.
 *
 * A round ends with a full collection, so that it pays for all the garbage it
 * made.  malloc and free stand for a program that knows when to free.
 */

#include <arena.h>
#include <arena/budget.h>

#include "bench.h"
#include "peer_java.h"
#include "peer_libgc.h"
#include "pools.h"

static void
run_auto(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_auto(), "arena_auto");

        for (size_t i = 0; i < work->blocks; i++)
            bench_touch(arena_alloc(a, work->size));
    }
}

static size_t closed;

static void
count_closed(void *arg)
{
    (void)arg;
    closed++;
}

static void
run_action(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_auto(), "arena_auto");

        if (arena_on_close(a, count_closed, NULL) != 0)
            bench_fail("arena_on_close");
        bench_touch(arena_alloc(a, work->size));
    }
}

/* All of it zero-filled. */

static const struct bench_impl one[] = {
    {"libarena auto", BENCH_OURS, .run = run_auto, .finish = arena_collect,
     .targets = {{130, NULL}}},
    {"libarena auto, close action", BENCH_OURS, .run = run_action,
     .finish = arena_collect, .targets = {{260, NULL}}},
    {"libgc handle, finalizer, calloc", BENCH_PEER, peer_libgc_begin,
     peer_libgc_run_handle, .finish = peer_libgc_collect},
    {"JDK auto", BENCH_PEER, peer_java_begin_arenas, .run = peer_java_auto,
     .least_loops = 400000},
    {"glibc calloc, free", BENCH_REFERENCE, .run = pool_malloc_zeroed},
};

static const struct bench_impl many[] = {
    {"libarena auto", BENCH_OURS, .run = run_auto, .finish = arena_collect,
     .targets = {{12, NULL}}},
    {"libgc GC_malloc", BENCH_PEER, peer_libgc_begin, peer_libgc_run,
     .finish = peer_libgc_collect},
    {"JDK auto", BENCH_PEER, peer_java_begin_arenas, .run = peer_java_auto,
     .least_loops = 10000},
    {"glibc calloc, free", BENCH_REFERENCE, .run = pool_malloc_zeroed},
};

static const struct bench_group groups[] = {
    {"one block of 64 bytes per arena", .work = {1, 64, 1}, BENCH_IMPLS(one)},
    {"100 blocks of 64 bytes per arena", .work = {100, 64, 1},
     BENCH_IMPLS(many)},
};

const struct bench_case case_auto = {
    .name = "auto",
    .title = "arenas that are dropped; per block, collections included",
    .weight = 4,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
