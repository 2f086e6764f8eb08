/* pools.c: see pools.h. */

#include "pools.h"

#include <obstack.h>
#include <stdlib.h>
#include <string.h>

#include <arena.h>
#include <arena/inline.h>

#include "peers.h"

/* The function of a pool: of a type, opened, with blocks taken and closed by
 * these expressions.  They may name pool, blocks, size, and i, the number of
 * the block.  Programs mostly know the size when they are compiled, which is
 * of use to memset and to code that is inlined; so this does for that of most
 * cases. */
#define POOL(name, type, open, alloc, close)                                  \
    static inline __attribute__((always_inline)) void name##_loops(           \
        size_t loops, size_t blocks, size_t size)                             \
    {                                                                         \
        while (loops-- > 0) {                                                 \
            type pool = (open);                                               \
                                                                              \
            for (size_t i = 0; i < blocks; i++)                               \
                bench_touch(alloc);                                           \
            close;                                                            \
        }                                                                     \
    }                                                                         \
                                                                              \
    void pool_##name(const struct bench_work *work, size_t loops)             \
    {                                                                         \
        if (work->size == 32)                                                 \
            name##_loops(loops, work->blocks, 32);                            \
        else                                                                  \
            name##_loops(loops, work->blocks, work->size);                    \
    }

/* --- libarena --- */

POOL(confined, arena_t *, bench_need(arena_confined(), "arena_confined"),
     arena_alloc_uninit(pool, size), arena_close(pool))
POOL(confined_zeroed, arena_t *,
     bench_need(arena_confined(), "arena_confined"), arena_alloc(pool, size),
     arena_close(pool))
POOL(shared, arena_t *, bench_need(arena_shared(), "arena_shared"),
     arena_alloc_uninit(pool, size), arena_close(pool))
POOL(shared_zeroed, arena_t *, bench_need(arena_shared(), "arena_shared"),
     arena_alloc(pool, size), arena_close(pool))

static inline void
cursor_close(arena_cursor_t *cursor)
{
    arena_cursor_end(cursor);
    arena_close(cursor->arena);
}

POOL(cursor, arena_cursor_t,
     arena_cursor(bench_need(arena_confined(), "arena_confined")),
     arena_cursor_alloc_uninit(&pool, size), cursor_close(&pool))
POOL(cursor_zeroed, arena_cursor_t,
     arena_cursor(bench_need(arena_confined(), "arena_confined")),
     arena_cursor_alloc(&pool, size), cursor_close(&pool))

/* --- APR --- */

static void *apr_parent;     /* allocator of the process */
static void *apr_parent_own; /* allocator of its own */

void
pool_begin_apr(const struct bench_work *work)
{
    void *allocator;

    peer_apr_begin(work);
    if (apr.pool_destroy == NULL)
        return;
    if (apr.initialize() != 0
        || apr.pool_create(&apr_parent, NULL, NULL, NULL) != 0
        || apr.allocator_create(&allocator) != 0
        || apr.pool_create(&apr_parent_own, NULL, NULL, allocator) != 0)
        bench_fail("APR");
}

static inline void *
apr_open(void *parent)
{
    void *pool;

    if (apr.pool_create(&pool, parent, NULL, NULL) != 0)
        bench_fail("apr_pool_create");
    return pool;
}

/* apr_pcalloc is this macro. */
#define APR_PCALLOC(pool, size) memset(apr.palloc(pool, size), 0, size)

POOL(apr, void *, apr_open(apr_parent), apr.palloc(pool, size),
     apr.pool_destroy(pool))
POOL(apr_zeroed, void *, apr_open(apr_parent), APR_PCALLOC(pool, size),
     apr.pool_destroy(pool))
POOL(apr_own, void *, apr_open(apr_parent_own), apr.palloc(pool, size),
     apr.pool_destroy(pool))
POOL(apr_own_zeroed, void *, apr_open(apr_parent_own), APR_PCALLOC(pool, size),
     apr.pool_destroy(pool))

/* --- talloc --- */

/* Of one block, its header and what aligns it. */
#define TALLOC_BLOCK(size) ((size) + 112)
#define TALLOC_POOL_MOST ((size_t)1 << 20)

static inline void *
talloc_pool_open(size_t blocks, size_t size)
{
    size_t room = blocks * TALLOC_BLOCK(size);

    return tallocs.pool(NULL,
                        room < TALLOC_POOL_MOST ? room : TALLOC_POOL_MOST);
}

POOL(talloc, void *, tallocs.named(NULL, 0, "talloc_new"),
     tallocs.named(pool, size, "block"), tallocs.free(pool, "here"))
POOL(talloc_zeroed, void *, tallocs.named(NULL, 0, "talloc_new"),
     tallocs.zero(pool, size, "block"), tallocs.free(pool, "here"))
POOL(talloc_pool, void *, talloc_pool_open(blocks, size),
     tallocs.named(pool, size, "block"), tallocs.free(pool, "here"))
POOL(talloc_pool_zeroed, void *, talloc_pool_open(blocks, size),
     tallocs.zero(pool, size, "block"), tallocs.free(pool, "here"))

/* --- obstack --- */

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

static _Thread_local struct obstack stack;

static inline struct obstack *
obstack_open(void)
{
    obstack_init(&stack);
    return &stack;
}

POOL(obstack, struct obstack *, obstack_open(), obstack_alloc(pool, (int)size),
     obstack_free(pool, NULL))
POOL(obstack_zeroed, struct obstack *, obstack_open(),
     memset(obstack_alloc(pool, (int)size), 0, size), obstack_free(pool, NULL))

/* --- mimalloc's heaps --- */

POOL(mi_heap, void *, mimalloc.heap_new(), mimalloc.heap_malloc(pool, size),
     mimalloc.heap_destroy(pool))
POOL(mi_heap_zeroed, void *, mimalloc.heap_new(),
     mimalloc.heap_zalloc(pool, size), mimalloc.heap_destroy(pool))

/* --- By hand --- */

static char *chunk, *chunk_end;

/* As an arena is that other code knows of. */
static struct by_hand {
    char *next;
} *by_hand;

void
pool_begin_bump(const struct bench_work *work)
{
    size_t size = 64 * 1024;

    if (size < work->blocks * work->size)
        size = work->blocks * work->size;
    chunk = bench_need(malloc(size), "malloc");
    chunk_end = chunk + size;
    by_hand = bench_need(malloc(sizeof *by_hand), "malloc");
}

static inline struct by_hand *
by_hand_open(void)
{
    by_hand->next = chunk;
    return by_hand;
}

static inline void *
bump(char **next, size_t size)
{
    char *block = *next;

    if ((size_t)(chunk_end - block) < size)
        bench_fail("the chunk's size");
    *next = block + size;
    return block;
}

POOL(bump, char *, chunk, bump(&pool, size), (void)pool)
POOL(bump_zeroed, char *, chunk, memset(bump(&pool, size), 0, size),
     (void)pool)
POOL(bump_known, struct by_hand *, by_hand_open(), bump(&pool->next, size),
     (void)pool)
POOL(bump_known_zeroed, struct by_hand *, by_hand_open(),
     memset(bump(&pool->next, size), 0, size), (void)pool)

/* --- malloc and free --- */

static _Thread_local void *kept[10000];

#define FREE_ALL(free)                                                        \
    do {                                                                      \
        for (size_t i = 0; i < blocks; i++)                                   \
            free(pool[i]);                                                    \
    } while (0)

#define MALLOC(name, alloc, free)                                             \
    POOL(name, void **, kept, pool[i] = (alloc), FREE_ALL(free))

MALLOC(malloc, malloc(size), free)
MALLOC(malloc_zeroed, calloc(1, size), free)
MALLOC(mimalloc, mimalloc.malloc(size), mimalloc.free)
MALLOC(mimalloc_zeroed, mimalloc.zalloc(size), mimalloc.free)
MALLOC(jemalloc, jemalloc.malloc(size), jemalloc.free)
MALLOC(jemalloc_zeroed, jemalloc.calloc(1, size), jemalloc.free)
