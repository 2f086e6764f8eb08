/*
 * case_shared.c: blocks of 32 bytes in shared arenas, one thread and two.
 *
 * With two threads the figures are per block of one thread, in wall time: with
 * two free processors they equal those of one thread if nothing is in the way.
 */

#include <pthread.h>
#include <stdlib.h>

#include <arena.h>

#include "bench.h"
#include "peer_java.h"
#include "peers.h"
#include "pools.h"

/* What a block of a thread may take if two do 1.8 times as much as one. */
#define TWO_THREADS (2 / 1.8)

/* --- All threads in one arena --- */

static pthread_barrier_t barrier;
static arena_t *common;

static void
begin_common(const struct bench_work *work)
{
    if (pthread_barrier_init(&barrier, NULL, (unsigned)work->threads) != 0)
        bench_fail("pthread_barrier_init");
}

/* One of the threads opens the arena, and closes it when all are done with
 * it. */
static void
run_common(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            common = bench_need(arena_shared(), "arena_shared");
        pthread_barrier_wait(&barrier);
        for (size_t i = 0; i < work->blocks; i++)
            bench_touch(arena_alloc_uninit(common, work->size));
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            arena_close(common);
    }
}

/* The same work, waiting included, with malloc. */
static void
run_malloc_common(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        pool_malloc(work, 1);
        pthread_barrier_wait(&barrier);
    }
}

/* --- The case --- */

static const struct bench_impl one[] = {
    {"libarena shared", BENCH_OURS, .run = pool_shared,
     .targets = {{1.5, "libarena confined"}}},
    {"libarena confined", BENCH_REFERENCE, .run = pool_confined},
    {"mimalloc mi_malloc, mi_free", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mimalloc},
    {"jemalloc malloc, free", BENCH_PEER, peer_jemalloc_begin,
     .run = pool_jemalloc},
    {"glibc malloc, free", BENCH_PEER, .run = pool_malloc},
};

static const struct bench_impl one_zeroed[] = {
    {"libarena shared", BENCH_OURS, .run = pool_shared_zeroed,
     .targets = {{1.5, "libarena confined"}}},
    {"libarena confined", BENCH_REFERENCE, .run = pool_confined_zeroed},
    {"mimalloc mi_zalloc, mi_free", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mimalloc_zeroed},
    {"jemalloc calloc, free", BENCH_PEER, peer_jemalloc_begin,
     .run = pool_jemalloc_zeroed},
    {"glibc calloc, free", BENCH_PEER, .run = pool_malloc_zeroed},
    {"JDK shared", BENCH_PEER, peer_java_begin_arenas,
     .run = peer_java_shared},
};

static const struct bench_impl two[] = {
    {"libarena shared", BENCH_OURS, .run = pool_shared,
     .targets = {{TWO_THREADS, "libarena shared, 1 thread"}}},
    {"libarena shared, 1 thread", BENCH_REFERENCE, .run = pool_shared,
     .threads = 1},
    {"mimalloc mi_malloc, mi_free", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mimalloc},
    {"jemalloc malloc, free", BENCH_PEER, peer_jemalloc_begin,
     .run = pool_jemalloc},
    {"glibc malloc, free", BENCH_PEER, .run = pool_malloc},
};

static const struct bench_impl both[] = {
    {"libarena shared", BENCH_OURS, begin_common, run_common,
     .targets = {{TWO_THREADS, "libarena shared, 1 thread"}}},
    {"libarena shared, 1 thread", BENCH_REFERENCE, begin_common, run_common,
     .threads = 1},
    {"glibc malloc, free", BENCH_PEER, begin_common, .run = run_malloc_common},
};

static const struct bench_group groups[] = {
    {"1 thread, contents not defined", .work = {100, 32, 1}, BENCH_IMPLS(one)},
    {"1 thread, zero-filled", .work = {100, 32, 1}, BENCH_IMPLS(one_zeroed)},
    {"2 threads, an arena each", .work = {100, 32, 2}, BENCH_IMPLS(two)},
    {"2 threads in one arena, 10000 blocks each", .work = {10000, 32, 2},
     BENCH_IMPLS(both)},
};

const struct bench_case case_shared = {
    .name = "shared",
    .title = "100 blocks of 32 bytes per shared arena; per block of a thread",
    .weight = 1,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
