/*
 * case_buffer.c: direct buffers that are dropped and found by the collector.
 *
 * A round ends with a full collection, so that it pays for all the deaths.
 * The large ones run under a limit of 256 MiB, here and in the JDK; a ring of
 * 256 blocks from calloc stands for a program that knows when to free.
 */

#include <stdlib.h>
#include <string.h>

#include <arena.h>
#include <arena/budget.h>
#include <arena/buffer.h>

#include "bench.h"
#include "peer_java.h"
#include "peer_libgc.h"

#define SMALL 64
#define LARGE ((size_t)1 << 20)
#define LIMIT ((size_t)256 << 20)
#define RING (LIMIT / LARGE)
#define PAGE 4096

_Static_assert(SMALL == PEER_BLOCK, "the same work");

static void
touch_pages(char *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += PAGE)
        bench_touch(bytes + at);
}

/* --- libarena --- */

static void
drop_buffers(size_t size, size_t count)
{
    while (count-- > 0) {
        arena_buffer_t *buffer =
            bench_need(arena_buffer_allocate(size), "arena_buffer_allocate");

        touch_pages(arena_buffer_address(buffer), size);
    }
    arena_collect();
}

static void
run_small(size_t loops)
{
    drop_buffers(SMALL, loops);
}

static void
run_large(size_t loops)
{
    size_t limit = arena_limit();

    arena_set_limit(LIMIT);
    drop_buffers(LARGE, loops);
    arena_set_limit(limit);
}

static void
run_large_freed(size_t loops)
{
    while (loops-- > 0) {
        arena_buffer_t *buffer =
            bench_need(arena_buffer_allocate(LARGE), "arena_buffer_allocate");

        touch_pages(arena_buffer_address(buffer), LARGE);
        arena_buffer_free(buffer);
    }
    arena_collect();
}

/* --- malloc --- */

static void
run_small_calloc(size_t loops)
{
    while (loops-- > 0) {
        void *block = calloc(1, SMALL);

        bench_touch(block);
        free(block);
    }
}

/* Full from the first round on: malloc has its pages already. */
static void *ring[RING];
static size_t ring_next;

static void
run_ring(size_t loops)
{
    while (loops-- > 0) {
        void **slot = &ring[ring_next++ % RING];

        free(*slot);
        *slot = bench_need(calloc(1, LARGE), "calloc");
        touch_pages(*slot, LARGE);
    }
}

static void
end_ring(void)
{
    for (size_t i = 0; i < RING; i++)
        free(ring[i]);
}

static void
run_large_calloc(size_t loops)
{
    while (loops-- > 0) {
        void *block = bench_need(calloc(1, LARGE), "calloc");

        touch_pages(block, LARGE);
        free(block);
    }
}

/* --- The JDK --- */

static void
run_small_java(size_t loops)
{
    peer_java_drop(SMALL, loops);
}

static void
run_large_java(size_t loops)
{
    peer_java_drop(LARGE, loops);
}

/* --- The case: all of it zero-filled --- */

static const char small[] = "64 bytes, dropped";
static const char large[] = "1 MiB, touched and dropped, limit 256 MiB";
static const char freed[] = "1 MiB, touched and freed by hand";

static const struct bench_impl impls[] = {
    {"libarena direct buffer", small, BENCH_OURS, 1, NULL, run_small, NULL},
    {"libgc handle, finalizer, calloc", small, BENCH_PEER, 1,
     peer_libgc_begin, peer_libgc_run_handle, NULL},
    {"JDK allocateDirect", small, BENCH_PEER, 1, peer_java_begin,
     run_small_java, peer_java_end},
    {"calloc and free", small, BENCH_REFERENCE, 1, NULL, run_small_calloc,
     NULL},
    {"libarena direct buffer", large, BENCH_OURS, 1, NULL, run_large, NULL},
    {"JDK allocateDirect", large, BENCH_PEER, 1, peer_java_begin,
     run_large_java, peer_java_end},
    {"calloc and free, ring of 256", large, BENCH_PEER, 1, NULL, run_ring,
     end_ring},
    {"libarena direct buffer", freed, BENCH_OURS, 1, NULL, run_large_freed,
     NULL},
    {"calloc and free", freed, BENCH_PEER, 1, NULL, run_large_calloc, NULL},
};

const struct bench_case case_buffer = {
    .name = "buffer",
    .title = "direct buffers; per buffer, collections included",
    .weight = 20,
    .impls = impls,
    .count = BENCH_COUNT(impls),
};
