/*
 * case_malloc.c: arena_malloc, beside the collector alone and mallocs.
 *
 * Where blocks are dropped a round ends with a full collection.  With two
 * threads the figures are per block of one thread.
 */

#include <arena.h>
#include <arena/budget.h>
#include <arena/heap.h>

#include "bench.h"
#include "peer_libgc.h"
#include "peers.h"
#include "pools.h"

static void
run_dropped(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0)
        bench_touch(arena_malloc(work->size));
}

static void
run_freed(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        void *block = arena_malloc(work->size);

        bench_touch(block);
        arena_free(block);
    }
}

static const struct bench_impl dropped[] = {
    {"libarena arena_malloc", BENCH_OURS, .run = run_dropped,
     .finish = arena_collect, .targets = {{1.1, "libgc GC_malloc"}}},
    {"libgc GC_malloc", BENCH_PEER, peer_libgc_begin, peer_libgc_run,
     .finish = peer_libgc_collect},
};

static const struct bench_impl freed[] = {
    {"libarena arena_malloc, arena_free", BENCH_OURS, .run = run_freed,
     .targets = {{0.5, "libgc GC_malloc, GC_free"},
                 {1.5, "glibc malloc, free"}}},
    {"libgc GC_malloc, GC_free", BENCH_PEER, peer_libgc_begin,
     .run = peer_libgc_run_free},
    {"glibc malloc, free", BENCH_PEER, .run = pool_malloc},
    {"mimalloc mi_malloc, mi_free", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mimalloc},
    {"jemalloc malloc, free", BENCH_PEER, peer_jemalloc_begin,
     .run = pool_jemalloc},
};

#define SIZE(bytes, fate, number, text)                                       \
    {                                                                         \
#bytes " bytes, " #fate ", " text, .work = {1, bytes, number },       \
                                                    BENCH_IMPLS(fate)         \
    }
#define SIZES(fate, number, text)                                             \
    SIZE(16, fate, number, text), SIZE(64, fate, number, text),               \
        SIZE(256, fate, number, text), SIZE(1024, fate, number, text)

static const struct bench_group groups[] = {
    SIZES(dropped, 1, "1 thread"),
    SIZES(dropped, 2, "2 threads"),
    SIZES(freed, 1, "1 thread"),
    SIZES(freed, 2, "2 threads"),
};

const struct bench_case case_malloc = {
    .name = "malloc",
    .title = "arena_malloc; per block of a thread, collections included",
    .weight = 3,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
