/* chunk.c: see chunk.h. */

#include "config.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "ager.h"
#include "budget.h"
#include "chunk.h"
#include "cleaner.h"
#include "collector.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "mapping.h"
#include "os.h"
#include "pagemap.h"
#include "stock.h"
#include "thread.h"

/* From here on the system's malloc maps pages of its own every time; then
 * it is better to know that they are zero. */
#define CHUNK_HUGE ((size_t)32 << 20)

_Static_assert(sizeof(struct chunk) == 64, "room starts on a cache line");

/* --- Limits of arenas --- */

static void
limit_give(struct arena *from, const struct arena *to, size_t size)
{
    for (; from != to; from = from->parent)
        if (from->limit != 0)
            atomic_fetch_sub(&from->subtree, size);
}

/* Take size from the limit of the arena and of each ancestor. */
static int
limit_take(struct arena *arena, size_t size)
{
    for (struct arena *a = arena; a != NULL; a = a->parent) {
        size_t held = atomic_load(&a->subtree);

        if (a->limit == 0)
            continue;
        do {
            if (held > a->limit || size > a->limit - held) {
                limit_give(arena, a, size);
                return arenap_fail(ENOMEM,
                                   "cannot take %zu bytes for the arena "
                                   "(held: %zu, its limit: %zu)",
                                   size, held, a->limit);
            }
        } while (!atomic_compare_exchange_weak(&a->subtree, &held,
                                               held + size));
    }
    return 0;
}

/* --- Making and freeing --- */

void
arenap_chunk_release(struct chunk *chunk)
{
    size_t charge = chunk->charge;

    if (chunk->source == CHUNK_MALLOC && arenap_budget_hand_over(chunk))
        return;
    arenap_pagemap_set(chunk, chunk->length, NULL);
    switch ((enum chunk_source)chunk->source) {
    case CHUNK_ALIGNED:
    case CHUNK_MALLOC:
        free(chunk->base);
        break;
    case CHUNK_MAPPED:
        arenap_os_unmap(chunk->base, charge);
        break;
    case CHUNK_TRACED:
        arenap_collector_free_traced(chunk->base);
        break;
    case CHUNK_FILE:
        arenap_mapping_release(chunk);
        break;
    }
    arenap_budget_release(charge);
}

/* What the system gives for a chunk of length bytes; NULL if it refuses. */
static struct chunk *
chunk_get(enum chunk_source source, size_t length, bool zero, void **base)
{
    int saved = errno;
    void *block = NULL;

    switch (source) {
    case CHUNK_ALIGNED:
        if (posix_memalign(&block, ARENA_PAGE, length) != 0)
            block = NULL;
        break;
    case CHUNK_MALLOC:
        block = zero ? calloc(1, length + ARENA_PAGE)
                     : malloc(length + ARENA_PAGE);
        break;
    case CHUNK_MAPPED:
        block = arenap_os_map(length);
        break;
    case CHUNK_FILE:
        block = arenap_os_map_room(length);
        break;
    case CHUNK_TRACED:
        block = arenap_collector_alloc_traced(length);
        break;
    }
    errno = saved;
    *base = block;
    return block == NULL ? NULL
                         : (struct chunk *)arenap_round_up((uintptr_t)block,
                                                           ARENA_PAGE);
}

static void
chunk_put(enum chunk_source source, void *base, size_t length)
{
    if (source == CHUNK_MAPPED || source == CHUNK_FILE)
        arenap_os_unmap(base, length);
    else if (source == CHUNK_TRACED)
        arenap_collector_free_traced(base);
    else
        free(base);
}

/* The slots of its pages, if they follow one another; or NULL. */
static pagemap_slot *
chunk_slots(const struct chunk *chunk)
{
    size_t last = (chunk->length - 1) / ARENA_PAGE;
    pagemap_slot *slot;

    if (chunk->length > STOCK_LARGEST)
        return NULL;
    slot = arenap_pagemap_slot(chunk);
    return arenap_pagemap_slot((const char *)chunk + last * ARENA_PAGE)
                   == slot + last
               ? slot
               : NULL;
}

/* A new chunk whose charge is reserved already; gives it back on failure. */
static struct chunk *
chunk_make(enum chunk_source source, size_t length, size_t charge, bool zero)
{
    struct chunk *chunk;
    void *base;

    chunk = chunk_get(source, length, zero, &base);
    if (chunk == NULL && arenap_cleaner_reclaim())
        chunk = chunk_get(source, length, zero, &base);
    if (chunk != NULL && !arenap_pagemap_prepare(chunk, length)) {
        chunk_put(source, base, length);
        chunk = NULL;
    }
    if (chunk == NULL) {
        arenap_budget_release(charge);
        arenap_fail_system(charge);
        return NULL;
    }
    chunk->next = NULL;
    chunk->start = (char *)(chunk + 1);
    chunk->end = (char *)chunk + (length & ~(ARENA_GRANULE - 1));
    chunk->charge = charge;
    chunk->base = base;
    chunk->length = length;
    chunk->slot = chunk_slots(chunk);
    chunk->class = CHUNK_CLASSES;
    chunk->source = (uint8_t)source;
    chunk->bin = arenap_stock_fits(charge) ? (uint8_t)arenap_stock_bin(charge)
                                           : 0;
    chunk->zeroed = source == CHUNK_MAPPED || source == CHUNK_TRACED
                    || (source == CHUNK_MALLOC && zero);
    return chunk;
}

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

static bool
stack_push(struct chunk_cache *cache, struct chunk *chunk)
{
    chunk->next = NULL;
    if (!arenap_stack_put(cache, cache->firsts.all, chunk))
        return false;
    arenap_counted_add(&cache->firsts, 1);
    return true;
}

/* --- Large ones: each list has those of one bin of the stock --- */

static struct chunk *
large_pop(struct chunk_cache *cache, size_t charge)
{
    unsigned bin = arenap_stock_bin(charge);
    struct chunk **list = &cache->large[bin % CHUNK_LARGES], *chunk = *list;

    if (chunk == NULL || chunk->bin != bin || chunk->charge < charge)
        return NULL;
    *list = chunk->next;
    arenap_cache_add(&cache->large_bytes, (size_t)0 - chunk->charge);
    return chunk;
}

static bool
large_push(struct chunk_cache *cache, struct chunk *chunk)
{
    struct chunk **list = &cache->large[chunk->bin % CHUNK_LARGES];

    if (arenap_budget_is_short()
        || arenap_cache_read(&cache->large_bytes) + chunk->charge
               > CHUNK_LARGE_BYTES
        || (*list != NULL && (*list)->bin != chunk->bin))
        return false;
    chunk->next = *list;
    *list = chunk;
    arenap_cache_add(&cache->large_bytes, chunk->charge);
    return true;
}

/* Move a list to another one. */
static void
large_drop(struct chunk_cache *cache, size_t i, struct chunk **all)
{
    for (struct chunk *chunk; (chunk = cache->large[i]) != NULL;) {
        cache->large[i] = chunk->next;
        arenap_cache_add(&cache->large_bytes, (size_t)0 - chunk->charge);
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

static struct chunk *
list_pop(struct chunk_cache *cache, unsigned class)
{
    struct chunk *chunk = cache->list[class];

    if (chunk != NULL) {
        cache->list[class] = chunk->next;
        arenap_cache_add(&cache->bytes, (size_t)0 - chunk->charge);
    }
    return chunk;
}

/* Make room for a chunk: of what is not of its class the largest goes, added
 * to a list.  A thread that once had a large arena would cache nothing for
 * its small ones otherwise. */
static void
lists_evict(struct chunk_cache *cache, const struct chunk *chunk,
            struct chunk **evicted)
{
    for (unsigned class = CHUNK_CLASSES - 1; class > 0; class--)
        while (class != chunk->class && cache->list[class] != NULL
               && arenap_cache_read(&cache->bytes) + chunk->charge
                      > CHUNK_CACHE_BYTES) {
            struct chunk *one = list_pop(cache, class);

            one->next = *evicted;
            *evicted = one;
        }
}

static bool
list_push(struct chunk_cache *cache, struct chunk *chunk,
          struct chunk **evicted)
{
    if (arenap_budget_is_short() || chunk->class >= CHUNK_CLASSES_SMALL)
        return false;
    if (arenap_cache_read(&cache->bytes) + chunk->charge > CHUNK_CACHE_BYTES)
        lists_evict(cache, chunk, evicted);
    if (arenap_cache_read(&cache->bytes) + chunk->charge > CHUNK_CACHE_BYTES)
        return false;
    chunk->next = cache->list[chunk->class];
    cache->list[chunk->class] = chunk;
    arenap_cache_add(&cache->bytes, chunk->charge);
    return true;
}

static bool
chunks_release(struct chunk *chunk)
{
    bool any = chunk != NULL;

    while (chunk != NULL) {
        struct chunk *next = chunk->next;

        arenap_chunk_release(chunk);
        chunk = next;
    }
    return any;
}

/* Keep what a thread has no room for, if that fits in the stock. */
static void
chunks_stock(struct chunk *list)
{
    if (list != NULL)
        chunks_release(arenap_stock_give(list));
}

void
arenap_chunk_age_by(size_t part)
{
    chunks_release(arenap_stock_old(part));
}

void
arenap_chunk_age(void)
{
    if (arenap_ager_is_running())
        return;
    arenap_chunk_age_by(STOCK_STEP);
    /* In a child; or the thread ended as somebody else still relied on it. */
    if (ARENA_UNLIKELY(arenap_stock_bytes() > STOCK_IDLE))
        arenap_ager_start();
}

bool
arenap_chunk_drop(size_t bytes)
{
    return chunks_release(arenap_stock_remove(bytes));
}

static struct chunk *
cache_take(struct chunk_cache *cache, unsigned class)
{
    struct chunk *chunk;

    if (!arenap_cache_enter(cache))
        return NULL;
    chunk = class == 0 ? stack_pop(cache) : list_pop(cache, class);
    arenap_cache_leave(cache);
    return chunk;
}

/* Is it kept by its bin, for blocks of their own? */
static bool
is_large(const struct chunk *chunk)
{
    return chunk->source == CHUNK_MALLOC && chunk->bin != 0;
}

/* What it takes the place of is added to a list. */
static bool
cache_give(struct chunk_cache *cache, struct chunk *chunk,
           struct chunk **evicted)
{
    bool large = is_large(chunk), fits;

    if ((chunk->class == CHUNK_CLASSES && !large)
        || !arenap_cache_enter(cache))
        return false;
    fits = large               ? large_push(cache, chunk)
           : chunk->class == 0 ? stack_push(cache, chunk)
                               : list_push(cache, chunk, evicted);
    arenap_cache_leave(cache);
    return fits;
}

static struct chunk *
cache_take_large(struct chunk_cache *cache, size_t charge)
{
    struct chunk *chunk;

    if (!arenap_cache_enter(cache))
        return NULL;
    chunk = large_pop(cache, charge);
    arenap_cache_leave(cache);
    return chunk;
}

/* Put chunks of one bin in the place of what was there, which goes back to the
 * stock with those for which there is no room. */
static void
cache_load(struct chunk_cache *cache, struct chunk *list)
{
    struct chunk *rest = NULL, *next;

    if (list == NULL)
        return;
    if (!arenap_cache_enter(cache)) {
        chunks_stock(list);
        return;
    }
    large_drop(cache, list->bin % CHUNK_LARGES, &rest);
    for (; list != NULL; list = next) {
        next = list->next;
        if (!large_push(cache, list)) {
            list->next = rest;
            rest = list;
        }
    }
    arenap_cache_leave(cache);
    chunks_stock(rest);
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
        chunks_stock(all);
    else
        chunks_release(all);
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
            any |= chunks_release(cache_steal(&t->cache));
    atomic_store(&flushing, 0);
    return any;
}

/* --- For arenas --- */

static inline void
chunk_count(struct thread *self, struct arena *arena, size_t charge)
{
    arenap_count(&self->counts[arena->kind].reserved, charge);
    /* Others change it at the same time only inside the arena: so where there
     * are none, and no more can come, one thread alone does. */
    if (arena->kind == ARENA_CONFINED || atomic_load(&arena->users) == 0)
        atomic_store_explicit(&arena->reserved,
                              arenap_explicit_reserved(arena) + charge,
                              memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&arena->reserved, charge,
                                  memory_order_relaxed);
}

/* Four at a time: compilers do not unroll loops of atomic stores. */
static inline void
slots_set(pagemap_slot *slot, size_t count, struct arena *arena)
{
    for (; count >= 4; count -= 4, slot += 4) {
        atomic_store_explicit(&slot[0], arena, memory_order_release);
        atomic_store_explicit(&slot[1], arena, memory_order_release);
        atomic_store_explicit(&slot[2], arena, memory_order_release);
        atomic_store_explicit(&slot[3], arena, memory_order_release);
    }
    for (; count != 0; count--, slot++)
        atomic_store_explicit(slot, arena, memory_order_release);
}

static inline void
chunk_owner(struct chunk *chunk, struct arena *arena)
{
    if (ARENA_LIKELY(chunk->slot != NULL))
        slots_set(chunk->slot, (chunk->length - 1) / ARENA_PAGE + 1, arena);
    else
        arenap_pagemap_set(chunk, chunk->length, arena);
}

static inline struct chunk *
chunk_hand_out(struct thread *self, struct arena *arena, struct chunk *chunk)
{
    chunk_owner(chunk, arena);
    chunk_count(self, arena, chunk->charge);
    return chunk;
}

/* A chunk that another arena had. */
static void
chunk_renew(struct chunk *chunk)
{
    chunk->next = NULL;
    chunk->start = (char *)(chunk + 1);
    chunk->zeroed = false;
}

/* One that is kept, or NULL.  Where one large block is there will be more:
 * then the thread has those at hand. */
static struct chunk *
chunk_unstock(struct thread *self, enum chunk_source source, size_t charge)
{
    struct chunk *chunk = NULL;
    bool large = source == CHUNK_MALLOC && arenap_stock_fits(charge);

    if (large)
        chunk = cache_take_large(&self->cache, charge);
    if (chunk == NULL) {
        chunk = arenap_stock_take(source, charge,
                                  large ? CHUNK_LARGE_BYTES / 2 : 0);
        if (chunk != NULL)
            cache_load(&self->cache, chunk->next);
    }
    if (chunk != NULL)
        chunk_renew(chunk);
    return chunk;
}

/* Reserve and make a chunk, or take one out of the stock; the arena's limit
 * has been taken. */
static struct chunk *
chunk_reserve(struct thread *self, enum chunk_source source,
              struct arena *arena, size_t length, size_t charge, bool zero)
{
    struct chunk *chunk = NULL, *handed;

    /* One from the stock may be larger than what the limit was asked for. */
    if (!arena->limited)
        chunk = chunk_unstock(self, source, charge);
    if (chunk != NULL)
        return chunk;
    if (arenap_budget_reserve_chunk(charge, source, &handed) == 0) {
        chunk = handed;
        if (chunk != NULL)
            chunk_renew(chunk);
        else
            chunk = chunk_make(source, length, charge, zero);
    }
    if (chunk == NULL)
        limit_give(arena, NULL, charge);
    return chunk;
}

static ARENA_NOINLINE struct chunk *
chunk_take_new(struct thread *self, struct arena *arena, unsigned class)
{
    size_t charge = ARENA_PAGE << class;
    size_t length = charge - CHUNK_MALLOC_HEADER;
    bool traced = arena->flags & ARENA_TRACED;
    struct chunk *chunk;

    chunk = chunk_reserve(self, traced ? CHUNK_TRACED : CHUNK_ALIGNED, arena,
                          length, charge, false);
    if (chunk == NULL || traced)
        return chunk;
    chunk->class = (uint8_t)class;
    return chunk;
}

struct chunk *
arenap_chunk_take_cached(struct thread *self, struct arena *arena,
                         unsigned class)
{
    struct chunk *chunk = NULL;

    if (!arena->limited && (arena->flags & ARENA_TRACED) == 0)
        chunk = cache_take(&self->cache, class);
    return chunk != NULL ? chunk_hand_out(self, arena, chunk) : NULL;
}

struct chunk *
arenap_chunk_take(struct thread *self, struct arena *arena, unsigned class)
{
    struct chunk *chunk = NULL;

    ARENA_ASSERT(class < CHUNK_CLASSES);
    if (ARENA_UNLIKELY(arena->limited)
        && limit_take(arena, ARENA_PAGE << class) != 0)
        return NULL;
    if (ARENA_LIKELY(!(arena->flags & ARENA_TRACED)))
        chunk = cache_take(&self->cache, class);
    if (ARENA_UNLIKELY(chunk == NULL)) {
        chunk = chunk_take_new(self, arena, class);
        if (chunk == NULL)
            return NULL;
    }
    return chunk_hand_out(self, arena, chunk);
}

/* A block that ends where an inaccessible page begins. */
static struct chunk *
chunk_take_guarded(struct thread *self, struct arena *arena, size_t size,
                   size_t align)
{
    size_t room = arenap_round_up(size, align);
    size_t length = arenap_round_up(sizeof(struct chunk) + room
                                        + (align > ARENA_GRANULE ? align : 0),
                                    ARENA_PAGE);
    size_t charge = length + ARENA_PAGE;
    struct chunk *chunk;
    char *guard;

    if (limit_take(arena, charge) != 0)
        return NULL;
    chunk = chunk_reserve(self, CHUNK_MAPPED, arena, charge, charge, true);
    if (chunk == NULL)
        return NULL;
    guard = (char *)chunk + length;
    if (!arenap_os_guard(guard, ARENA_PAGE)) {
        arenap_chunk_release(chunk);
        limit_give(arena, NULL, charge);
        arenap_fail_system(ARENA_PAGE);
        return NULL;
    }
    chunk->start = (char *)((uintptr_t)(guard - size) & ~(align - 1));
    chunk->end = chunk->start + size;
    return chunk;
}

struct chunk *
arenap_chunk_take_big(struct thread *self, struct arena *arena, size_t size,
                      size_t align, bool zero)
{
    size_t slack = align > sizeof(struct chunk) ? align : 0;
    size_t length = arenap_round_up(sizeof(struct chunk) + slack + size,
                                    ARENA_PAGE);
    size_t charge = length;
    enum chunk_source source = CHUNK_MAPPED;
    struct chunk *chunk;

    if (arena->flags & ARENA_GUARDED) {
        chunk = chunk_take_guarded(self, arena, size, align);
        return chunk == NULL ? NULL : chunk_hand_out(self, arena, chunk);
    }
    if (arena->flags & ARENA_TRACED) {
        source = CHUNK_TRACED;
    } else if (length < CHUNK_HUGE) {
        source = CHUNK_MALLOC;
        charge += ARENA_PAGE;
    }
    if (ARENA_UNLIKELY(arena->limited) && limit_take(arena, charge) != 0)
        return NULL;
    chunk = chunk_reserve(self, source, arena, length, charge, zero);
    if (chunk == NULL)
        return NULL;
    chunk->start =
        (char *)arenap_round_up((uintptr_t)chunk->start, align);
    chunk->end = chunk->start + size;
    return chunk_hand_out(self, arena, chunk);
}

struct chunk *
arenap_chunk_take_file(struct thread *self, struct arena *arena, size_t page,
                       size_t length)
{
    struct chunk *chunk;

    if (limit_take(arena, page) != 0)
        return NULL;
    chunk = chunk_reserve(self, CHUNK_FILE, arena, length, page, true);
    return chunk != NULL ? chunk_hand_out(self, arena, chunk) : NULL;
}

/* Take one from its arena; what the thread does not keep goes to a list. */
static void
chunk_give(struct thread *self, struct arena *arena, struct chunk *chunk,
           struct chunk **rest)
{
    chunk_count(self, arena, (size_t)0 - chunk->charge);
    if (ARENA_UNLIKELY(arena->limited))
        limit_give(arena, NULL, chunk->charge);
    chunk_owner(chunk, &arenap_pagemap_cached);
    if (!cache_give(&self->cache, chunk, rest)) {
        chunk->next = *rest;
        *rest = chunk;
    }
}

void
arenap_chunk_give(struct thread *self, struct arena *arena,
                  struct chunk *chunks, const struct chunk *last)
{
    struct chunk *rest = NULL;

    while (chunks != last) {
        struct chunk *next = chunks->next;

        chunk_give(self, arena, chunks, &rest);
        chunks = next;
    }
    if (rest != NULL) {
        chunks_stock(rest);
        arenap_chunk_age();
    }
}
