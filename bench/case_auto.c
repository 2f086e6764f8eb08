/*
 * case_auto.c: memory that is dropped and found by the collector.
 *
 * A round ends with a full collection, so that it pays for all the garbage it
 * made.  malloc and free stand for a program that knows when to free.
 */

#include <stdlib.h>

#include <arena.h>
#include <arena/budget.h>

#include "bench.h"
#include "peer_libgc.h"

#define BLOCKS 100
#define SIZE 64

_Static_assert(BLOCKS == PEER_BLOCKS && SIZE == PEER_BLOCK, "the same work");

/* --- libarena --- */

static void
run_auto_one(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_auto(), "arena_auto");

        bench_touch(arena_alloc(a, SIZE));
    }
    arena_collect();
}

static void
run_auto_many(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_auto(), "arena_auto");

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(arena_alloc(a, SIZE));
    }
    arena_collect();
}

static void
run_implicit(size_t loops)
{
    while (loops-- > 0)
        bench_touch(arena_alloc(NULL, SIZE));
    arena_collect();
}

static void
run_implicit_free(size_t loops)
{
    while (loops-- > 0) {
        void *block = arena_alloc(NULL, SIZE);

        bench_touch(block);
        arena_free(block);
    }
    arena_collect();
}

/* --- malloc --- */

static void
run_calloc_one(size_t loops)
{
    while (loops-- > 0) {
        void *block = calloc(1, SIZE);

        bench_touch(block);
        free(block);
    }
}

static void
run_calloc_many(size_t loops)
{
    void *blocks[BLOCKS];

    while (loops-- > 0) {
        for (int i = 0; i < BLOCKS; i++) {
            blocks[i] = calloc(1, SIZE);
            bench_touch(blocks[i]);
        }
        for (int i = 0; i < BLOCKS; i++)
            free(blocks[i]);
    }
}

/* --- The case: all of it zero-filled --- */

static const char one[] = "one block of 64 bytes per arena, dropped";
static const char many[] = "100 blocks of 64 bytes per arena, dropped";
static const char single[] = "a block of 64 bytes by itself, dropped";
static const char freed[] = "a block of 64 bytes by itself, freed by hand";

static const struct bench_impl impls[] = {
    {"libarena auto arena", one, BENCH_OURS, 1, NULL, run_auto_one, NULL},
    {"libgc handle, finalizer, calloc", one, BENCH_PEER, 1, peer_libgc_begin,
     peer_libgc_run_handle, NULL},
    {"calloc and free", one, BENCH_REFERENCE, 1, NULL, run_calloc_one, NULL},
    {"libarena auto arena", many, BENCH_OURS, BLOCKS, NULL, run_auto_many,
     NULL},
    {"libgc GC_malloc", many, BENCH_PEER, BLOCKS, peer_libgc_begin,
     peer_libgc_run_many, NULL},
    {"calloc and free", many, BENCH_REFERENCE, BLOCKS, NULL, run_calloc_many,
     NULL},
    {"libarena implicit arena", single, BENCH_OURS, 1, NULL, run_implicit,
     NULL},
    {"libgc GC_malloc", single, BENCH_PEER, 1, peer_libgc_begin, peer_libgc_run,
     NULL},
    {"libgc GC_malloc_atomic, memset", single, BENCH_PEER, 1, peer_libgc_begin,
     peer_libgc_run_atomic, NULL},
    {"libarena implicit arena, arena_free", freed, BENCH_OURS, 1, NULL,
     run_implicit_free, NULL},
    {"calloc and free", freed, BENCH_PEER, 1, NULL, run_calloc_one, NULL},
};

const struct bench_case case_auto = {
    .name = "auto",
    .title = "dropped memory; per block, collections included",
    .weight = 5,
    .impls = impls,
    .count = BENCH_COUNT(impls),
};
