/*
 * case_open_close.c: open an arena, take one block of 32 bytes, close it.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <obstack.h>
#include <stdlib.h>

#include <arena.h>

#include "bench.h"
#ifdef HAVE_APR
#include "peer_apr.h"
#endif

#define SIZE 32

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

static void
run_confined(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_confined(), "arena_confined");

        bench_touch(arena_alloc_uninit(a, SIZE));
        arena_close(a);
    }
}

static void
run_confined_zeroed(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_confined(), "arena_confined");

        bench_touch(arena_alloc(a, SIZE));
        arena_close(a);
    }
}

static void
run_shared(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_shared(), "arena_shared");

        bench_touch(arena_alloc_uninit(a, SIZE));
        arena_close(a);
    }
}

#ifdef HAVE_APR
static inline void
open_and_close(size_t loops, apr_pool_t *parent)
{
    while (loops-- > 0) {
        apr_pool_t *pool = apr_open(parent);

        bench_touch(apr_palloc(pool, SIZE));
        apr_pool_destroy(pool);
    }
}

static void
run_apr(size_t loops)
{
    open_and_close(loops, apr_parent);
}

static void
run_apr_own(size_t loops)
{
    open_and_close(loops, apr_parent_own);
}

static void
run_apr_zeroed(size_t loops)
{
    while (loops-- > 0) {
        apr_pool_t *pool = apr_open(apr_parent_own);

        bench_touch(apr_pcalloc(pool, SIZE));
        apr_pool_destroy(pool);
    }
}
#endif

static void
run_obstack(size_t loops)
{
    while (loops-- > 0) {
        struct obstack stack;

        obstack_init(&stack);
        bench_touch(obstack_alloc(&stack, SIZE));
        obstack_free(&stack, NULL);
    }
}

static void
run_malloc(size_t loops)
{
    while (loops-- > 0) {
        void *block = malloc(SIZE);

        bench_touch(block);
        free(block);
    }
}

static void
run_calloc(size_t loops)
{
    while (loops-- > 0) {
        void *block = calloc(1, SIZE);

        bench_touch(block);
        free(block);
    }
}

static const char raw[] = "contents not defined";
static const char zeroed[] = "zero-filled";

static const struct bench_impl impls[] = {
    {"libarena confined", raw, BENCH_OURS, 1, NULL, run_confined, NULL},
    {"libarena shared", raw, BENCH_OURS, 1, NULL, run_shared, NULL},
#ifdef HAVE_APR
    {"APR pool", raw, BENCH_PEER, 1, apr_begin, run_apr, NULL},
    {"APR pool, own allocator", raw, BENCH_PEER, 1, apr_begin, run_apr_own,
     NULL},
#endif
    {"glibc obstack", raw, BENCH_PEER, 1, NULL, run_obstack, NULL},
    {"malloc and free", raw, BENCH_PEER, 1, NULL, run_malloc, NULL},
    {"libarena confined", zeroed, BENCH_OURS, 1, NULL, run_confined_zeroed,
     NULL},
#ifdef HAVE_APR
    {"APR pool, own allocator", zeroed, BENCH_PEER, 1, apr_begin,
     run_apr_zeroed, NULL},
#endif
    {"calloc and free", zeroed, BENCH_PEER, 1, NULL, run_calloc, NULL},
};

const struct bench_case case_open_close = {
    .name = "open_close",
    .title = "open, one block of 32 bytes, close",
    .weight = 1,
    .impls = impls,
    .count = BENCH_COUNT(impls),
};
