/*
 * case_grid.c: blocks of many sizes, few and many of them in an arena, beside
 * the best of the other arena allocators.
 */

#include "bench.h"
#include "pools.h"

static const struct bench_impl impls[] = {
    {"libarena confined", BENCH_OURS, .run = pool_confined},
    POOL_PEERS,
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
