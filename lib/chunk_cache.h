/*
 * chunk_cache.h: the chunks that a thread keeps.
 *
 * Chunks of the small classes are kept for reuse in a cache of the thread that
 * freed them, last in first out; one that does not fit displaces larger ones,
 * or any of another class.  So are some of those that have one large block.
 */
#ifndef ARENA_LIB_CHUNK_CACHE_H
#define ARENA_LIB_CHUNK_CACHE_H

#include "budget.h"
#include "chunk.h"
#include "counter.h"
#include "internal.h"
#include "os.h"
#include "pagemap.h"
#include "stock.h"

/* Twice what an arena has when its chunks begin to be of the last small
 * class. */
#define CHUNK_CACHE_BYTES ((size_t)512 * 1024)
#define CHUNK_FIRSTS ((size_t)16)
#define CHUNK_LARGES 4
#define CHUNK_LARGE_BYTES ((size_t)1 << 20)

/*
 * The thread's cache.  Other threads empty it when the budget is short, so
 * its thread says when it is inside: busy and steal are a handshake with the
 * barriers of os.h, which cost the thread no atomic operation.
 */
enum {
    CACHE_STRIPPED = 1u << 8, /* its own thread empties the cache */
    CACHE_STOLEN = 2u << 8,   /* another one does */
    CACHE_OFF = 4u << 8       /* for good: this system has no heavy barrier */
};

_Static_assert(CHUNK_FIRSTS < CACHE_STRIPPED,
               "one comparison tells whether there is a chunk to take");

struct chunk_cache {
    _Atomic uint32_t busy;  /* set by its thread */
    _Atomic uint32_t steal; /* CACHE_... bits: not zero keeps it out */
    /* Of class 0, of which most are: a stack, linked to nothing.  Of all
     * others: lists. */
    struct counted firsts;
    /* Those above firsts are the last that were there; one more is never any
     * chunk's place. */
    struct chunk *first[CHUNK_FIRSTS + 1];
    pagemap_slot *slot[CHUNK_FIRSTS]; /* each one's own */
    _Atomic size_t bytes;
    struct chunk *list[CHUNK_CLASSES];
    /* For blocks of their own: each list has one bin of the stock. */
    struct chunk *large[CHUNK_LARGES];
    _Atomic size_t large_bytes;
};

/* Enter the cache; false when somebody empties it. */
static inline bool
arenap_cache_enter(struct chunk_cache *cache)
{
    atomic_store_explicit(&cache->busy, 1, memory_order_relaxed);
    arenap_os_light();
    if (ARENA_LIKELY(
            atomic_load_explicit(&cache->steal, memory_order_acquire) == 0))
        return true;
    atomic_store_explicit(&cache->busy, 0, memory_order_release);
    return false;
}

static inline void
arenap_cache_leave(struct chunk_cache *cache)
{
    atomic_store_explicit(&cache->busy, 0, memory_order_release);
}

/* Its counters are written inside, or when nobody else is: by arenap_count. */
static inline size_t
arenap_cache_read(_Atomic size_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Put a chunk where the next one goes, behind n of them, now nobody's; it is
 * on the stack when it is counted.  Inside.  False when it does not fit. */
static inline bool
arenap_stack_put(struct chunk_cache *cache, size_t n, struct chunk *chunk)
{
    if (ARENA_UNLIKELY(arenap_budget_is_short()))
        return false;
    /* Mostly it comes back to where it was: to compare is faster than to
     * store what the next pop would have to wait for. */
    if (ARENA_UNLIKELY(cache->first[n] != chunk)) {
        if (n == CHUNK_FIRSTS)
            return false;
        cache->first[n] = chunk;
        cache->slot[n] = chunk->slot;
    }
    /* Before it is in the cache, from where others may take it. */
    atomic_store_explicit(cache->slot[n], &arenap_pagemap_cached,
                          memory_order_release);
    return true;
}

/* The short ways: a chunk of class 0 off the stack, now the arena's, if there
 * is one; and one onto it, if it fits. */
static inline bool
arenap_cache_pop(struct chunk_cache *cache, struct arena *arena,
                 struct chunk **out)
{
    uint32_t steal;
    size_t n;

    atomic_store_explicit(&cache->busy, 1, memory_order_relaxed);
    arenap_os_light();
    steal = atomic_load_explicit(&cache->steal, memory_order_acquire);
    /* It is empty, or somebody empties it, who may be counting it down. */
    n = arenap_counted_all(&cache->firsts);
    if (ARENA_UNLIKELY(n <= steal)) {
        arenap_cache_leave(cache);
        return false;
    }
    arenap_counted_set(&cache->firsts, n - 1);
    *out = cache->first[n - 1];
    atomic_store_explicit(cache->slot[n - 1], arena, memory_order_release);
    arenap_cache_leave(cache);
    return true;
}

static inline bool
arenap_cache_push(struct chunk_cache *cache, struct chunk *chunk)
{
    size_t n;

    if (ARENA_UNLIKELY(!arenap_cache_enter(cache)))
        return false;
    n = cache->firsts.all;
    if (ARENA_UNLIKELY(!arenap_stack_put(cache, n, chunk))) {
        arenap_cache_leave(cache);
        return false;
    }
    arenap_counted_set(&cache->firsts, n + 1);
    arenap_cache_leave(cache);
    return true;
}

/* Chunks popped less chunks pushed: what confined arenas have of the thread's
 * by the short ways, which count it in no other place.  Wraps below zero. */
static inline size_t
arenap_cache_popped(struct chunk_cache *cache)
{
    return (size_t)0 - arenap_counted_short(&cache->firsts);
}

/* A chunk of a class off its list, or NULL.  Inside. */
static inline struct chunk *
arenap_list_pop(struct chunk_cache *cache, unsigned class)
{
    struct chunk *chunk = cache->list[class];

    if (chunk != NULL) {
        cache->list[class] = chunk->next;
        arenap_count(&cache->bytes, (size_t)0 - chunk->charge);
    }
    return chunk;
}

/* A chunk of a class above 0, or NULL. */
static inline struct chunk *
arenap_cache_take_listed(struct chunk_cache *cache, unsigned class)
{
    struct chunk *chunk;

    if (ARENA_UNLIKELY(!arenap_cache_enter(cache)))
        return NULL;
    chunk = arenap_list_pop(cache, class);
    arenap_cache_leave(cache);
    return chunk;
}

/* The same for one block of its own: with a charge of at least that. */
static inline struct chunk *
arenap_cache_take_large(struct chunk_cache *cache, size_t charge)
{
    unsigned bin = arenap_stock_bin(charge);
    struct chunk **list = &cache->large[bin % CHUNK_LARGES], *chunk;

    if (ARENA_UNLIKELY(!arenap_cache_enter(cache)))
        return NULL;
    chunk = *list;
    if (chunk != NULL && chunk->bin == bin && chunk->charge >= charge) {
        *list = chunk->next;
        arenap_count(&cache->large_bytes, (size_t)0 - chunk->charge);
    } else {
        chunk = NULL;
    }
    arenap_cache_leave(cache);
    return chunk;
}

/* A chunk of any class, or NULL. */
struct chunk *arenap_cache_take(struct chunk_cache *cache, unsigned class);

/* Make room for a chunk: of what is not of its class the largest goes, added
 * to a list. */
void arenap_lists_evict(struct chunk_cache *cache, const struct chunk *chunk,
                        struct chunk **evicted);

static inline bool
arenap_stack_push(struct chunk_cache *cache, struct chunk *chunk)
{
    chunk->next = NULL;
    if (!arenap_stack_put(cache, cache->firsts.all, chunk))
        return false;
    arenap_counted_add(&cache->firsts, 1);
    return true;
}

static inline bool
arenap_list_fits(struct chunk_cache *cache, const struct chunk *chunk)
{
    return arenap_cache_read(&cache->bytes) + chunk->charge
           <= CHUNK_CACHE_BYTES;
}

static inline bool
arenap_list_push(struct chunk_cache *cache, struct chunk *chunk,
                 struct chunk **evicted)
{
    if (ARENA_UNLIKELY(arenap_budget_is_short()))
        return false;
    if (ARENA_UNLIKELY(!arenap_list_fits(cache, chunk))) {
        arenap_lists_evict(cache, chunk, evicted);
        if (!arenap_list_fits(cache, chunk))
            return false;
    }
    chunk->next = cache->list[chunk->class];
    cache->list[chunk->class] = chunk;
    arenap_count(&cache->bytes, chunk->charge);
    return true;
}

/* Of large ones a list has those of one bin. */
static inline bool
arenap_large_push(struct chunk_cache *cache, struct chunk *chunk)
{
    struct chunk **list = &cache->large[chunk->bin % CHUNK_LARGES];

    if (arenap_budget_is_short()
        || arenap_cache_read(&cache->large_bytes) + chunk->charge
               > CHUNK_LARGE_BYTES
        || (*list != NULL && (*list)->bin != chunk->bin))
        return false;
    chunk->next = *list;
    *list = chunk;
    arenap_count(&cache->large_bytes, chunk->charge);
    return true;
}

/* Keep a chunk; what it takes the place of is added to a list.  False: it does
 * not fit.  Inside. */
static inline bool
arenap_cache_keep(struct chunk_cache *cache, struct chunk *chunk,
                  struct chunk **evicted)
{
    if (chunk->class == CHUNK_CLASSES)
        return chunk->source == CHUNK_MALLOC && chunk->bin != 0
               && arenap_large_push(cache, chunk);
    if (chunk->class == 0)
        return arenap_stack_push(cache, chunk);
    return chunk->class < CHUNK_CLASSES_SMALL
           && arenap_list_push(cache, chunk, evicted);
}

/* Put chunks of one bin in the place of what was there, which goes back to the
 * stock with those for which there is no room. */
void arenap_cache_load(struct chunk_cache *cache, struct chunk *list);

/* Empty the cache of a thread: of the caller's own, large chunks go to the
 * stock; or of one that is gone. */
void arenap_chunk_flush(struct thread *thread);

/* Empty the caches of all threads, and the stock.  Returns true if that freed
 * anything. */
bool arenap_chunk_flush_all(void);

/* Bytes in all caches; exact when no other thread runs. */
size_t arenap_chunk_cached(void);

/* In a child: nobody is inside a cache, or empties one. */
void arenap_chunk_fork_child(void);

#endif
