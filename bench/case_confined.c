/*
 * case_confined.c: 100 blocks of 32 bytes in an arena, per block, opening and
 * closing included.
 */

#include "bench.h"
#include "peer_java.h"
#include "peers.h"
#include "pools.h"

#define WORK {.blocks = 100, .size = 32, .threads = 1}

static const struct bench_impl raw[] = {
    {"libarena arena_alloc_uninit", BENCH_OURS, .run = pool_confined,
     .targets = {{0.75, "APR apr_palloc"}}},
    {"libarena arena_cursor_alloc_uninit", BENCH_OURS, .run = pool_cursor,
     .targets = {{1.15, "inline bump in one chunk"}}},
    {"APR apr_palloc", BENCH_PEER, pool_begin_apr, .run = pool_apr},
    {"APR apr_palloc, own allocator", BENCH_PEER, pool_begin_apr,
     .run = pool_apr_own},
    {"glibc obstack_alloc", BENCH_PEER, .run = pool_obstack},
    {"talloc_size", BENCH_PEER, peer_talloc_begin, .run = pool_talloc},
    {"talloc_size, talloc_pool", BENCH_PEER, peer_talloc_begin,
     .run = pool_talloc_pool},
    {"mimalloc mi_heap_malloc, destroy", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mi_heap},
    {"mimalloc mi_malloc, mi_free", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mimalloc},
    {"jemalloc malloc, free", BENCH_PEER, peer_jemalloc_begin,
     .run = pool_jemalloc},
    {"glibc malloc, free", BENCH_PEER, .run = pool_malloc},
    {"inline bump in one chunk", BENCH_REFERENCE, pool_begin_bump,
     .run = pool_bump_known},
    {"the same, in a register", BENCH_REFERENCE, pool_begin_bump,
     .run = pool_bump},
};

static const struct bench_impl zeroed[] = {
    {"libarena arena_alloc", BENCH_OURS, .run = pool_confined_zeroed,
     .targets = {{1, "APR apr_pcalloc"}}},
    {"libarena arena_cursor_alloc", BENCH_OURS, .run = pool_cursor_zeroed,
     .targets = {{1.15, "inline bump in one chunk, memset"}}},
    {"APR apr_pcalloc", BENCH_PEER, pool_begin_apr, .run = pool_apr_zeroed},
    {"APR apr_pcalloc, own allocator", BENCH_PEER, pool_begin_apr,
     .run = pool_apr_own_zeroed},
    {"glibc obstack_alloc, memset", BENCH_PEER, .run = pool_obstack_zeroed},
    {"talloc_zero_size", BENCH_PEER, peer_talloc_begin,
     .run = pool_talloc_zeroed},
    {"talloc_zero_size, talloc_pool", BENCH_PEER, peer_talloc_begin,
     .run = pool_talloc_pool_zeroed},
    {"mimalloc mi_heap_zalloc, destroy", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mi_heap_zeroed},
    {"mimalloc mi_zalloc, mi_free", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mimalloc_zeroed},
    {"jemalloc calloc, free", BENCH_PEER, peer_jemalloc_begin,
     .run = pool_jemalloc_zeroed},
    {"glibc calloc, free", BENCH_PEER, .run = pool_malloc_zeroed},
    {"JDK confined, slicing allocator", BENCH_PEER, peer_java_begin_arenas,
     .run = peer_java_slicing},
    {"JDK confined", BENCH_PEER, peer_java_begin_arenas,
     .run = peer_java_confined},
    {"inline bump in one chunk, memset", BENCH_REFERENCE, pool_begin_bump,
     .run = pool_bump_known_zeroed},
    {"the same, in a register", BENCH_REFERENCE, pool_begin_bump,
     .run = pool_bump_zeroed},
};

static const struct bench_group groups[] = {
    {"contents not defined", .work = WORK, BENCH_IMPLS(raw)},
    {"zero-filled", .work = WORK, BENCH_IMPLS(zeroed)},
};

const struct bench_case case_confined = {
    .name = "confined",
    .title = "100 blocks of 32 bytes per arena; per block, open and close "
             "included",
    .weight = 1,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
