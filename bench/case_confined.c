/*
 * case_confined.c: 100 blocks of 32 bytes in an arena, per block, opening and
 * closing included.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <obstack.h>
#include <stdlib.h>
#include <string.h>

#include <arena.h>
#include <arena/inline.h>

#include "bench.h"
#ifdef HAVE_APR
#include "peer_apr.h"
#endif

#define BLOCKS 100
#define SIZE 32
#define CHUNK (64 * 1024)

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

/* --- libarena --- */

static void
run_arena_uninit(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_confined(), "arena_confined");

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(arena_alloc_uninit(a, SIZE));
        arena_close(a);
    }
}

static void
run_arena_zeroed(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_confined(), "arena_confined");

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(arena_alloc(a, SIZE));
        arena_close(a);
    }
}

static void
run_cursor_uninit(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_confined(), "arena_confined");
        arena_cursor_t cursor = arena_cursor(a);

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(arena_cursor_alloc_uninit(&cursor, SIZE));
        arena_cursor_end(&cursor);
        arena_close(a);
    }
}

static void
run_cursor_zeroed(size_t loops)
{
    while (loops-- > 0) {
        arena_t *a = bench_need(arena_confined(), "arena_confined");
        arena_cursor_t cursor = arena_cursor(a);

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(arena_cursor_alloc(&cursor, SIZE));
        arena_cursor_end(&cursor);
        arena_close(a);
    }
}

/* --- APR --- */

#ifdef HAVE_APR
static inline void
palloc_blocks(size_t loops, apr_pool_t *parent)
{
    while (loops-- > 0) {
        apr_pool_t *pool = apr_open(parent);

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(apr_palloc(pool, SIZE));
        apr_pool_destroy(pool);
    }
}

static inline void
pcalloc_blocks(size_t loops, apr_pool_t *parent)
{
    while (loops-- > 0) {
        apr_pool_t *pool = apr_open(parent);

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(apr_pcalloc(pool, SIZE));
        apr_pool_destroy(pool);
    }
}

static void
run_apr(size_t loops)
{
    palloc_blocks(loops, apr_parent);
}

static void
run_apr_own(size_t loops)
{
    palloc_blocks(loops, apr_parent_own);
}

static void
run_apr_zeroed(size_t loops)
{
    pcalloc_blocks(loops, apr_parent);
}

static void
run_apr_own_zeroed(size_t loops)
{
    pcalloc_blocks(loops, apr_parent_own);
}
#endif

/* --- obstack --- */

static void
run_obstack(size_t loops)
{
    while (loops-- > 0) {
        struct obstack stack;

        obstack_init(&stack);
        for (int i = 0; i < BLOCKS; i++)
            bench_touch(obstack_alloc(&stack, SIZE));
        obstack_free(&stack, NULL);
    }
}

static void
run_obstack_zeroed(size_t loops)
{
    while (loops-- > 0) {
        struct obstack stack;

        obstack_init(&stack);
        for (int i = 0; i < BLOCKS; i++)
            bench_touch(memset(obstack_alloc(&stack, SIZE), 0, SIZE));
        obstack_free(&stack, NULL);
    }
}

/* --- malloc: all blocks live until the end, as in an arena --- */

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

/* --- By hand: one chunk, allocated before and used again by each arena ---
 *
 * In a structure that other code knows of, as an arena is that is handed from
 * function to function; and in variables of one loop, which compilers keep in
 * registers. */

struct by_hand {
    char *next, *end;
};

static char *chunk;
static struct by_hand *by_hand;

static void
bump_begin(void)
{
    if (chunk != NULL)
        return;
    chunk = bench_need(malloc(CHUNK), "malloc");
    by_hand = bench_need(malloc(sizeof *by_hand), "malloc");
}

static void
bump_end(void)
{
    free(by_hand);
    free(chunk);
    chunk = NULL;
    by_hand = NULL;
}

static inline void *
bump(char **next, char *end)
{
    char *block = *next;

    if (end - block < SIZE)
        bench_fail("the chunk's size");
    *next = block + SIZE;
    return block;
}

static void
run_bump(size_t loops)
{
    while (loops-- > 0) {
        char *next = chunk;
        char *end = chunk + CHUNK;

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(bump(&next, end));
    }
}

static void
run_bump_zeroed(size_t loops)
{
    while (loops-- > 0) {
        char *next = chunk;
        char *end = chunk + CHUNK;

        for (int i = 0; i < BLOCKS; i++)
            bench_touch(memset(bump(&next, end), 0, SIZE));
    }
}

static void
run_bump_known(size_t loops)
{
    while (loops-- > 0) {
        *by_hand = (struct by_hand){chunk, chunk + CHUNK};
        for (int i = 0; i < BLOCKS; i++)
            bench_touch(bump(&by_hand->next, by_hand->end));
    }
}

static void
run_bump_known_zeroed(size_t loops)
{
    while (loops-- > 0) {
        *by_hand = (struct by_hand){chunk, chunk + CHUNK};
        for (int i = 0; i < BLOCKS; i++)
            bench_touch(
                memset(bump(&by_hand->next, by_hand->end), 0, SIZE));
    }
}

/* --- The case --- */

static const char raw[] = "contents not defined";
static const char zeroed[] = "zero-filled";

static const struct bench_impl impls[] = {
    {"libarena arena_alloc_uninit", raw, BENCH_OURS, BLOCKS, NULL,
     run_arena_uninit, NULL},
    {"libarena arena_cursor_alloc_uninit", raw, BENCH_OURS, BLOCKS, NULL,
     run_cursor_uninit, NULL},
#ifdef HAVE_APR
    {"APR apr_palloc", raw, BENCH_PEER, BLOCKS, apr_begin, run_apr, NULL},
    {"APR apr_palloc, own allocator", raw, BENCH_PEER, BLOCKS, apr_begin,
     run_apr_own, NULL},
#endif
    {"glibc obstack_alloc", raw, BENCH_PEER, BLOCKS, NULL, run_obstack, NULL},
    {"malloc and free", raw, BENCH_PEER, BLOCKS, NULL, run_malloc, NULL},
    {"inline bump in one 64 KiB chunk", raw, BENCH_REFERENCE, BLOCKS,
     bump_begin, run_bump_known, bump_end},
    {"the same, in variables of the loop", raw, BENCH_REFERENCE, BLOCKS,
     bump_begin, run_bump, bump_end},
    {"libarena arena_alloc", zeroed, BENCH_OURS, BLOCKS, NULL, run_arena_zeroed,
     NULL},
    {"libarena arena_cursor_alloc", zeroed, BENCH_OURS, BLOCKS, NULL,
     run_cursor_zeroed, NULL},
#ifdef HAVE_APR
    {"APR apr_pcalloc", zeroed, BENCH_PEER, BLOCKS, apr_begin, run_apr_zeroed,
     NULL},
    {"APR apr_pcalloc, own allocator", zeroed, BENCH_PEER, BLOCKS, apr_begin,
     run_apr_own_zeroed, NULL},
#endif
    {"glibc obstack_alloc, memset", zeroed, BENCH_PEER, BLOCKS, NULL,
     run_obstack_zeroed, NULL},
    {"calloc and free", zeroed, BENCH_PEER, BLOCKS, NULL, run_calloc, NULL},
    {"inline bump in one 64 KiB chunk, memset", zeroed, BENCH_REFERENCE, BLOCKS,
     bump_begin, run_bump_known_zeroed, bump_end},
    {"the same, in variables of the loop", zeroed, BENCH_REFERENCE, BLOCKS,
     bump_begin, run_bump_zeroed, bump_end},
};

const struct bench_case case_confined = {
    .name = "confined",
    .title =
        "100 blocks of 32 bytes per arena; per block, open and close included",
    .weight = 1,
    .impls = impls,
    .count = BENCH_COUNT(impls),
};
