/* chunk_cache.c: see chunk_cache.h. */

#include "config.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "chunk.h"
#include "chunk_cache.h"
#include "internal.h"
#include "os.h"
#include "stock.h"
#include "thread.h"

/* --- The cache --- */

static struct chunk *
stack_pop(struct chunk_cache *cache)
{
    size_t n = cache->firsts.all;

    if (n == 0)
        return NULL;
    arenap_counted_add(&cache->firsts, (uint64_t)0 - 1);
    return cache->first[n - 1];
}

/* Move a list to another one. */
static void
large_drop(struct chunk_cache *cache, size_t i, struct chunk **all)
{
    for (struct chunk *chunk; (chunk = cache->large[i]) != NULL;) {
        cache->large[i] = chunk->next;
        arenap_count(&cache->large_bytes, (size_t)0 - chunk->charge);
        chunk->next = *all;
        *all = chunk;
    }
}

/* --- All of it --- */

/* All chunks of a cache that nobody is inside, as one list. */
static struct chunk *
cache_empty(struct chunk_cache *cache)
{
    struct chunk *all = NULL;

    for (unsigned class = 0; class < CHUNK_CLASSES; class++) {
        struct chunk *chunk;

        while ((chunk = cache->list[class]) != NULL) {
            cache->list[class] = chunk->next;
            chunk->next = all;
            all = chunk;
        }
    }
    for (struct chunk *chunk; (chunk = stack_pop(cache)) != NULL;) {
        chunk->next = all;
        all = chunk;
    }
    for (unsigned i = 0; i < CHUNK_LARGES; i++)
        large_drop(cache, i, &all);
    atomic_store(&cache->bytes, 0);
    return all;
}

/* A thread that once had a large arena would cache nothing for its small ones
 * otherwise. */
void
arenap_lists_evict(struct chunk_cache *cache, const struct chunk *chunk,
                   struct chunk **evicted)
{
    for (unsigned class = CHUNK_CLASSES - 1; class > 0; class--)
        while (class != chunk->class && cache->list[class] != NULL
               && !arenap_list_fits(cache, chunk)) {
            struct chunk *one = arenap_list_pop(cache, class);

            one->next = *evicted;
            *evicted = one;
        }
}

/* --- Taking and giving --- */

struct chunk *
arenap_cache_take(struct chunk_cache *cache, unsigned class)
{
    struct chunk *chunk;

    if (class != 0)
        return arenap_cache_take_listed(cache, class);
    if (!arenap_cache_enter(cache))
        return NULL;
    chunk = stack_pop(cache);
    arenap_cache_leave(cache);
    return chunk;
}

void
arenap_cache_load(struct chunk_cache *cache, struct chunk *list)
{
    struct chunk *rest = NULL, *next;

    if (list == NULL)
        return;
    if (!arenap_cache_enter(cache)) {
        arenap_chunks_keep(list);
        return;
    }
    large_drop(cache, list->bin % CHUNK_LARGES, &rest);
    for (; list != NULL; list = next) {
        next = list->next;
        if (!arenap_large_push(cache, list)) {
            list->next = rest;
            rest = list;
        }
    }
    arenap_cache_leave(cache);
    arenap_chunks_keep(rest);
}

void
arenap_chunk_flush(struct thread *thread)
{
    struct chunk_cache *cache = &thread->cache;
    struct chunk *all;
    uint32_t none = 0;

    if (atomic_load(&cache->steal) & CACHE_OFF)
        return; /* it was never used */
    while (!atomic_compare_exchange_weak(&cache->steal, &none,
                                         CACHE_STRIPPED)) {
        none = 0;
        sched_yield();
    }
    all = cache_empty(cache);
    atomic_store_explicit(&cache->steal, 0, memory_order_release);
    /* Of one that is gone, it may be that this is a child just forked: no
     * place to start a thread, as the stock may. */
    if (thread == arenap_tls.record)
        arenap_chunks_keep(all);
    else
        arenap_chunks_release(all);
}

/* Empty the cache of a thread that was told to stay out. */
static struct chunk *
cache_steal(struct chunk_cache *cache)
{
    struct chunk *all = NULL;

    while (atomic_load_explicit(&cache->busy, memory_order_acquire))
        sched_yield();
    if (atomic_load(&cache->steal) == CACHE_STOLEN)
        all = cache_empty(cache);
    atomic_fetch_and_explicit(&cache->steal, ~(uint32_t)CACHE_STOLEN,
                              memory_order_release);
    return all;
}

/* Some thread empties all caches. */
static _Atomic uint32_t flushing;

size_t
arenap_chunk_cached(void)
{
    size_t bytes = arenap_stock_bytes();

    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next)
        bytes += arenap_cache_read(&t->cache.bytes)
                 + arenap_cache_read(&t->cache.large_bytes)
                 + arenap_counted_all(&t->cache.firsts) * ARENA_PAGE;
    return bytes;
}

/* At exit: checkers for leaks should find none of ours. */
__attribute__((destructor)) static void
chunk_exit(void)
{
    arenap_chunk_flush_all();
}

/* What a thread that is gone was changing may be linked to anything: it is
 * lost.  Nobody would wait for that thread to leave it, either. */
static void
cache_forget(struct chunk_cache *cache)
{
    arenap_counted_add(&cache->firsts, (uint64_t)0 - cache->firsts.all);
    memset(cache->list, 0, sizeof cache->list);
    memset(cache->large, 0, sizeof cache->large);
    atomic_store(&cache->busy, 0);
}

static size_t
lists_bytes(struct chunk *const *lists, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        for (const struct chunk *c = lists[i]; c != NULL; c = c->next)
            bytes += c->charge;
    return bytes;
}

/* Who emptied it, or was about to count what it put there, may be gone. */
static void
cache_recount(struct chunk_cache *cache)
{
    atomic_store(&cache->bytes, lists_bytes(cache->list, CHUNK_CLASSES));
    atomic_store(&cache->large_bytes,
                 lists_bytes(cache->large, CHUNK_LARGES));
}

void
arenap_chunk_fork_child(void)
{
    atomic_store(&flushing, 0);
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next) {
        atomic_fetch_and(&t->cache.steal, CACHE_OFF);
        atomic_store(&t->cache.firsts.changes, 0);
        if (t != arenap_tls.record && atomic_load(&t->cache.busy))
            cache_forget(&t->cache);
        cache_recount(&t->cache);
    }
}

bool
arenap_chunk_flush_all(void)
{
    uint32_t none = 0;
    bool any = false, all = arenap_chunk_drop(SIZE_MAX);
    struct thread *t;

    /* One thread at a time; one barrier serves for all caches. */
    if (!arenap_os_has_heavy)
        return all;
    for (t = arenap_thread_first(); t != NULL && !any; t = t->next)
        any = (arenap_cache_read(&t->cache.bytes)
               | arenap_cache_read(&t->cache.large_bytes)
               | arenap_counted_all(&t->cache.firsts))
              != 0;
    if (!any || !atomic_compare_exchange_strong(&flushing, &none, 1))
        return all;
    any = all;
    for (t = arenap_thread_first(); t != NULL; t = t->next)
        atomic_fetch_or(&t->cache.steal, CACHE_STOLEN);
    arenap_os_heavy();
    for (t = arenap_thread_first(); t != NULL; t = t->next)
        if (atomic_load(&t->cache.steal) & CACHE_STOLEN)
            any |= arenap_chunks_release(cache_steal(&t->cache));
    atomic_store(&flushing, 0);
    return any;
}
