/*
 * case_implicit.c: blocks of the implicit arena, by themselves.
 *
 * Where blocks are dropped a round ends with a full collection.  The collector
 * alone is asked for as much as the library asks it for, its header included;
 * it tells nobody of a death, as the library needs it to.  With two threads
 * the figures are per block of one thread.
 */

#include <arena.h>
#include <arena/budget.h>

#include "bench.h"
#include "peer_libgc.h"
#include "pools.h"

#define SIZE 64
#define HEADER 16

static void
run_implicit(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0)
        bench_touch(arena_alloc(NULL, work->size));
}

static void
run_implicit_free(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        void *block = arena_alloc(NULL, work->size);

        bench_touch(block);
        arena_free(block);
    }
}

static void
run_libgc_same(const struct bench_work *work, size_t loops)
{
    struct bench_work same = *work;

    same.size += HEADER;
    peer_libgc_run(&same, loops);
}

/* All of it zero-filled. */

static const struct bench_impl dropped[] = {
    {"libarena implicit", BENCH_OURS, .run = run_implicit,
     .finish = arena_collect, .targets = {{1.8, "libgc GC_malloc, 80 bytes"}}},
    {"libgc GC_malloc, 80 bytes", BENCH_PEER, peer_libgc_begin, run_libgc_same,
     .finish = peer_libgc_collect},
    {"libgc GC_malloc", BENCH_PEER, peer_libgc_begin, peer_libgc_run,
     .finish = peer_libgc_collect},
    {"libgc GC_malloc_atomic, memset", BENCH_PEER, peer_libgc_begin,
     peer_libgc_run_atomic, .finish = peer_libgc_collect},
    {"libgc GC_finalized_malloc", BENCH_PEER, peer_libgc_begin,
     peer_libgc_run_finalized, .finish = peer_libgc_collect},
    {"libgc GC_malloc, finalizer", BENCH_PEER, peer_libgc_begin,
     peer_libgc_run_finalizer, .finish = peer_libgc_collect_twice},
};

static const struct bench_impl freed[] = {
    {"libarena implicit, arena_free", BENCH_OURS, .run = run_implicit_free},
    {"libgc GC_malloc, GC_free", BENCH_PEER, peer_libgc_begin,
     .run = peer_libgc_run_free},
    {"glibc calloc, free", BENCH_PEER, .run = pool_malloc_zeroed},
};

static const struct bench_group groups[] = {
    {"dropped, 1 thread", .work = {1, SIZE, 1}, BENCH_IMPLS(dropped)},
    {"dropped, 2 threads", .work = {1, SIZE, 2}, BENCH_IMPLS(dropped)},
    {"freed by hand, 1 thread", .work = {1, SIZE, 1}, BENCH_IMPLS(freed)},
    {"freed by hand, 2 threads", .work = {1, SIZE, 2}, BENCH_IMPLS(freed)},
};

const struct bench_case case_implicit = {
    .name = "implicit",
    .title =
        "blocks by themselves; per block of a thread, collections included",
    .weight = 4,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
