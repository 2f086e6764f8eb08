/*
 * case_buffer.c: direct buffers that are dropped and found by the collector.
 *
 * A round ends with a full collection, so that it pays for all the deaths.
 * The large ones run under a limit of 256 MiB, here and in the JDK; a ring of
 * 256 blocks from calloc stands for a program that knows when to free.
 */

#include <stdlib.h>

#include <arena.h>
#include <arena/budget.h>
#include <arena/buffer.h>

#include "bench.h"
#include "peer_java.h"
#include "peer_libgc.h"
#include "pools.h"

#define LARGE ((size_t)1 << 20)
#define LIMIT ((size_t)256 << 20)
#define RING (LIMIT / LARGE)

/* --- libarena --- */

static void
run_dropped(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        arena_buffer_t *buffer = bench_need(arena_buffer_allocate(work->size),
                                            "arena_buffer_allocate");

        bench_touch_pages(arena_buffer_address(buffer), work->size);
    }
}

static void
begin_large(const struct bench_work *work)
{
    (void)work;
    arena_set_limit(LIMIT);
}

static void
run_freed(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        arena_buffer_t *buffer = bench_need(arena_buffer_allocate(work->size),
                                            "arena_buffer_allocate");

        bench_touch_pages(arena_buffer_address(buffer), work->size);
        arena_buffer_free(buffer);
    }
}

/* --- malloc --- */

/* Full from the first round on: malloc has its pages already. */
static void *ring[RING];
static size_t ring_next;

static void
run_ring(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        void **slot = &ring[ring_next++ % RING];

        free(*slot);
        *slot = bench_need(calloc(1, work->size), "calloc");
        bench_touch_pages(*slot, work->size);
    }
}

static void
run_calloc(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        void *block = bench_need(calloc(1, work->size), "calloc");

        bench_touch_pages(block, work->size);
        free(block);
    }
}

/* --- The JDK --- */

static void
begin_java(const struct bench_work *work)
{
    (void)work;
    peer_java_begin_buffers(LIMIT);
}

/* --- The case: all of it zero-filled --- */

static const struct bench_impl small[] = {
    {"libarena direct buffer", BENCH_OURS, .run = run_dropped,
     .finish = arena_collect},
    {"libgc handle, finalizer, calloc", BENCH_PEER, peer_libgc_begin,
     peer_libgc_run_handle, .finish = peer_libgc_collect},
    {"JDK allocateDirect", BENCH_PEER, begin_java, .run = peer_java_drop,
     .least_loops = 200000},
    {"glibc calloc, free", BENCH_REFERENCE, .run = pool_malloc_zeroed},
};

static const struct bench_impl large[] = {
    {"libarena direct buffer", BENCH_OURS, begin_large, run_dropped,
     .finish = arena_collect},
    {"JDK allocateDirect", BENCH_PEER, begin_java, .run = peer_java_drop},
    {"glibc calloc, free, ring of 256", BENCH_PEER, .run = run_ring},
};

static const struct bench_impl freed[] = {
    {"libarena direct buffer", BENCH_OURS, .run = run_freed,
     .finish = arena_collect},
    {"glibc calloc, free", BENCH_PEER, .run = run_calloc},
};

static const struct bench_group groups[] = {
    {"64 bytes, dropped", .work = {1, 64, 1}, BENCH_IMPLS(small)},
    {"1 MiB, touched and dropped, limit 256 MiB", .work = {1, LARGE, 1},
     BENCH_IMPLS(large)},
    {"1 MiB, touched and freed by hand", .work = {1, LARGE, 1},
     BENCH_IMPLS(freed)},
};

const struct bench_case case_buffer = {
    .name = "buffer",
    .title = "direct buffers; per buffer, collections included",
    .weight = 5,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
