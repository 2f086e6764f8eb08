/*
 * case_open_close.c: open an arena, take one block of 32 bytes, close it.
 */

#include <arena.h>
#include <arena/segment.h>

#include "bench.h"
#include "peer_java.h"
#include "peers.h"
#include "pools.h"

#define SIZE 32
#define WORK {.blocks = 1, .size = SIZE, .threads = 1}

static void
run_segment(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        arena_t *arena = bench_need(arena_shared(), "arena_shared");
        arena_segment_t segment;

        if (arena_segment(arena, SIZE, 8, &segment) != 0
            || arena_set_i64_at(&segment, 0, 1) != 0)
            bench_fail("arena_segment");
        arena_close(arena);
    }
}

static const struct bench_impl raw[] = {
    {"libarena confined", BENCH_OURS, .run = pool_confined,
     .targets = {{0.2, "APR pool"}}},
    POOL_PEERS,
    {"mimalloc mi_malloc, mi_free", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mimalloc},
    {"jemalloc malloc, free", BENCH_PEER, peer_jemalloc_begin,
     .run = pool_jemalloc},
    {"glibc malloc, free", BENCH_PEER, .run = pool_malloc},
};

static const struct bench_impl zeroed[] = {
    {"libarena confined", BENCH_OURS, .run = pool_confined_zeroed},
    {"APR pool", BENCH_PEER, pool_begin_apr, .run = pool_apr_zeroed},
    {"APR pool, own allocator", BENCH_PEER, pool_begin_apr,
     .run = pool_apr_own_zeroed},
    {"glibc obstack", BENCH_PEER, .run = pool_obstack_zeroed},
    {"talloc", BENCH_PEER, peer_talloc_begin, .run = pool_talloc_zeroed},
    {"mimalloc mi_heap, destroy", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mi_heap_zeroed},
    {"glibc calloc, free", BENCH_PEER, .run = pool_malloc_zeroed},
    {"JDK confined", BENCH_PEER, peer_java_begin_arenas,
     .run = peer_java_confined},
};

static const struct bench_impl shared[] = {
    {"libarena shared, zero-filled", BENCH_OURS, .run = pool_shared_zeroed,
     .targets = {{60, NULL}}},
    {"libarena shared, a segment", BENCH_OURS, .run = run_segment,
     .targets = {{1000, NULL}}},
    {"JDK shared", BENCH_PEER, peer_java_begin_arenas,
     .run = peer_java_shared},
};

static const struct bench_group groups[] = {
    {"confined, contents not defined", .work = WORK, BENCH_IMPLS(raw)},
    {"confined, zero-filled", .work = WORK, BENCH_IMPLS(zeroed)},
    {"shared", .work = WORK, BENCH_IMPLS(shared)},
};

const struct bench_case case_open_close = {
    .name = "open_close",
    .title = "open, one block of 32 bytes, close",
    .weight = 1,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
