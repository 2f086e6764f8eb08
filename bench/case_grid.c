/*
 * case_grid.c: blocks of many sizes, few and many of them in an arena, beside
 * the best of the other arena allocators.
 */

#include "bench.h"
#include "peers.h"
#include "pools.h"

static const struct bench_impl impls[] = {
    {"libarena confined", BENCH_OURS, .run = pool_confined},
    {"APR pool", BENCH_PEER, pool_begin_apr, .run = pool_apr},
    {"APR pool, own allocator", BENCH_PEER, pool_begin_apr,
     .run = pool_apr_own},
    {"glibc obstack", BENCH_PEER, .run = pool_obstack},
    {"talloc", BENCH_PEER, peer_talloc_begin, .run = pool_talloc},
    {"talloc_pool", BENCH_PEER, peer_talloc_begin, .run = pool_talloc_pool},
    {"mimalloc mi_heap, destroy", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mi_heap},
};

#define CELL(row, bytes, column)                                              \
    {                                                                         \
        row " x " #column, .work = {column, bytes, 1}, BENCH_IMPLS(impls)     \
    }
#define ROW(row, bytes)                                                       \
    CELL(row, bytes, 1), CELL(row, bytes, 10), CELL(row, bytes, 100),         \
        CELL(row, bytes, 1000), CELL(row, bytes, 10000)

static const struct bench_group groups[] = {
    ROW("16 B", 16),      ROW("32 B", 32),      ROW("64 B", 64),
    ROW("256 B", 256),    ROW("1 KiB", 1024),   ROW("4 KiB", 4096),
    ROW("16 KiB", 16384), ROW("64 KiB", 65536),
};

const struct bench_case case_grid = {
    .name = "grid",
    .title =
        "blocks of a size x how many in an arena; ratio to the best allocator",
    .weight = 0.5,
    .columns = 5,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
