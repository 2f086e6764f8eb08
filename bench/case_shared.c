/*
 * case_shared.c: blocks of 32 bytes in shared arenas, one thread and two.
 *
 * With two threads the figures are per block of one thread, in wall time:
 * with two free processors they equal those of one thread if nothing is in
 * the way.  Rounds are interleaved, so the rows of one thread are measured in a
 * process that has had two; malloc is slower there than in one that has not.
 */

#include <pthread.h>
#include <stdlib.h>

#include <arena.h>

#include "bench.h"

#define BLOCKS 100
#define BLOCKS_COMMON 10000 /* of each thread, where both use one arena */
#define SIZE 32

/* --- One arena after the other --- */

static void
run_arena(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_shared(), "arena_shared");

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(arena_alloc_uninit(a, SIZE));
        arena_close(a);
    }
}

static void
run_arena_zeroed(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_shared(), "arena_shared");

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(arena_alloc(a, SIZE));
        arena_close(a);
    }
}

static void
run_malloc(size_t loops)
{
    void *blocks[BLOCKS];

    while (loops-- > 0) {
        for (int i = 0; i < BLOCKS; i++) {
            blocks[i] = malloc(SIZE);
            bench_touch(blocks[i]);
        }
        for (int i = 0; i < BLOCKS; i++)
            free(blocks[i]);
    }
}

static void
run_calloc(size_t loops)
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

/* --- Two threads --- */

struct job {
    void (*run)(size_t loops);
    size_t loops;
};

static void *
job_main(void *arg)
{
    const struct job *job = arg;

    job->run(job->loops);
    return NULL;
}

/* Run the same work in a second thread and in this one. */
static void
run_twice(void (*run)(size_t loops), size_t loops)
{
    struct job job = {run, loops};
    pthread_t second;

    if (pthread_create(&second, NULL, job_main, &job) != 0)
        bench_fail("pthread_create");
    run(loops);
    pthread_join(second, NULL);
}

static void
run_arena_twice(size_t loops)
{
    run_twice(run_arena, loops);
}

static void
run_malloc_twice(size_t loops)
{
    run_twice(run_malloc, loops);
}

/* --- Two threads in one arena --- */

static pthread_barrier_t barrier;
static arena_t *common;

static void
common_begin(void)
{
    if (pthread_barrier_init(&barrier, NULL, 2) != 0)
        bench_fail("pthread_barrier_init");
}

static void
common_end(void)
{
    pthread_barrier_destroy(&barrier);
}

/* One of the two threads opens the arena, and closes it when both are done
 * with it. */
static void
run_arena_common(size_t loops)
{
    while (loops-- > 0) {
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            common = bench_need(arena_shared(), "arena_shared");
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < BLOCKS_COMMON; i++)
            bench_touch(arena_alloc_uninit(common, SIZE));
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            arena_close(common);
    }
}

/* The same work, waiting included, with malloc. */
static void
run_malloc_common(size_t loops)
{
    void **blocks =
        bench_need(malloc(BLOCKS_COMMON * sizeof(void *)), "malloc");

    while (loops-- > 0) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < BLOCKS_COMMON; i++) {
            blocks[i] = malloc(SIZE);
            bench_touch(blocks[i]);
        }
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < BLOCKS_COMMON; i++)
            free(blocks[i]);
    }
    free(blocks);
}

static void
run_arena_common_twice(size_t loops)
{
    run_twice(run_arena_common, loops);
}

static void
run_malloc_common_twice(size_t loops)
{
    run_twice(run_malloc_common, loops);
}

/* --- The case --- */

static const char one[] = "1 thread, contents not defined";
static const char one_zeroed[] = "1 thread, zero-filled";
static const char two[] = "2 threads, an arena each, contents not defined";
static const char both[] = "2 threads in one arena, 10000 blocks each";

static const struct bench_impl impls[] = {
    {"libarena arena_alloc_uninit", one, BENCH_OURS, BLOCKS, NULL, run_arena,
     NULL},
    {"malloc and free", one, BENCH_PEER, BLOCKS, NULL, run_malloc, NULL},
    {"libarena arena_alloc", one_zeroed, BENCH_OURS, BLOCKS, NULL,
     run_arena_zeroed, NULL},
    {"calloc and free", one_zeroed, BENCH_PEER, BLOCKS, NULL, run_calloc, NULL},
    {"libarena arena_alloc_uninit", two, BENCH_OURS, BLOCKS, NULL,
     run_arena_twice, NULL},
    {"malloc and free", two, BENCH_PEER, BLOCKS, NULL, run_malloc_twice, NULL},
    {"libarena arena_alloc_uninit", both, BENCH_OURS, BLOCKS_COMMON,
     common_begin, run_arena_common_twice, common_end},
    {"malloc and free", both, BENCH_PEER, BLOCKS_COMMON, NULL,
     run_malloc_common_twice, NULL},
};

const struct bench_case case_shared = {
    .name = "shared",
    .title =
        "100 blocks of 32 bytes per shared arena; per block, open and close "
        "included",
    .weight = 1,
    .impls = impls,
    .count = BENCH_COUNT(impls),
};
