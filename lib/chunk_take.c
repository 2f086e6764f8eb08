/* chunk_take.c: chunks for arenas, and back: limits, and whose they are; see
 * chunk.h. */

#include "config.h"

#include <errno.h>

#include "budget.h"
#include "chunk.h"
#include "chunk_cache.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "os.h"
#include "pagemap.h"
#include "stock.h"
#include "thread.h"

/* From here on the system's malloc maps pages of its own every time; then
 * it is better to know that they are zero. */
#define CHUNK_HUGE ((size_t)32 << 20)

/* --- Limits of arenas --- */

static void
limit_give(struct arena *from, const struct arena *to, size_t size)
{
    for (; from != to; from = from->parent)
        if (from->limit != 0)
            atomic_fetch_sub(&from->subtree, size);
}

static bool
limit_has(const struct arena *arena, size_t held, size_t size)
{
    return held <= arena->limit && size <= arena->limit - held;
}

bool
arenap_chunk_limit_has(const struct arena *arena, size_t size)
{
    for (; arena != NULL; arena = arena->parent)
        if (arena->limit != 0
            && !limit_has(arena, atomic_load(&arena->subtree), size))
            return false;
    return true;
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
            if (!limit_has(a, held, size)) {
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

/* --- Whose they are --- */

static inline void
chunk_count(struct thread *self, struct arena *arena, size_t charge)
{
    arenap_count(&self->counts[arena->kind].reserved, charge);
    /* Others change it at the same time only inside the arena: so where there
     * are none, and no more can come, one thread alone does. */
    if (arena->kind == ARENA_CONFINED || atomic_load(&arena->users) == 0)
        arenap_count(&arena->reserved, charge);
    else
        atomic_fetch_add_explicit(&arena->reserved, charge,
                                  memory_order_relaxed);
}

static inline void
chunk_owner(struct chunk *chunk, struct arena *arena)
{
    if (ARENA_LIKELY(chunk->slot != NULL))
        atomic_store_explicit(chunk->slot, arena, memory_order_release);
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
        chunk = arenap_cache_take_large(&self->cache, charge);
    if (chunk == NULL) {
        chunk = arenap_stock_take(source, charge,
                                  large ? CHUNK_LARGE_BYTES / 2 : 0);
        if (chunk != NULL)
            arenap_cache_load(&self->cache, chunk->next);
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
    struct chunk *chunk = chunk_unstock(self, source, charge), *handed;

    /* What an arena can hold within its limit does not depend on what others
     * left.  To put it back would keep what arenas with limits free, and
     * never use it. */
    if (chunk != NULL && arena->limited && chunk->charge != charge) {
        arenap_chunk_release(chunk);
        chunk = NULL;
    }
    if (chunk != NULL)
        return chunk;
    if (arenap_budget_reserve_chunk(charge, source, &handed) == 0) {
        chunk = handed;
        if (chunk != NULL)
            chunk_renew(chunk);
        else
            chunk = arenap_chunk_make(source, length, charge, zero);
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
        chunk = arenap_cache_take(&self->cache, class);
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
        chunk = arenap_cache_take(&self->cache, class);
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

    /* What is not plain is never short, where reserved would not be kept. */
    arenap_explicit_complicate(arena);
    if (limit_take(arena, page) != 0)
        return NULL;
    chunk = chunk_reserve(self, CHUNK_FILE, arena, length, page, true);
    return chunk != NULL ? chunk_hand_out(self, arena, chunk) : NULL;
}

/* --- Back from arenas --- */

/* Chunks that are given back at a time, the thread inside its cache. */
#define LOT 64

static inline void
chunk_take_back(struct thread *self, struct arena *arena, struct chunk *chunk)
{
    chunk_count(self, arena, (size_t)0 - chunk->charge);
    if (ARENA_UNLIKELY((arena->flags & ARENA_PLAIN) == 0 && arena->limited))
        limit_give(arena, NULL, chunk->charge);
    chunk_owner(chunk, &arenap_pagemap_cached);
}

/* Put a chunk into the cache, or else, as what it displaces, into a list. */
static inline void
chunk_put_back(struct chunk_cache *cache, bool inside, struct chunk *chunk,
               struct chunk **rest)
{
    if (inside && arenap_cache_keep(cache, chunk, rest))
        return;
    chunk->next = *rest;
    *rest = chunk;
}

static ARENA_NOINLINE void
give_rest(struct chunk *rest)
{
    arenap_chunks_keep(rest);
    arenap_chunk_age();
}

static inline void
give_one(struct thread *self, struct arena *arena, struct chunk *chunk)
{
    struct chunk *rest = NULL;
    bool inside;

    chunk_take_back(self, arena, chunk);
    inside = arenap_cache_enter(&self->cache);
    chunk_put_back(&self->cache, inside, chunk, &rest);
    if (inside)
        arenap_cache_leave(&self->cache);
    if (ARENA_UNLIKELY(rest != NULL))
        give_rest(rest);
}

/* A lot of a list.  Returns what is left of it. */
static inline struct chunk *
give_lot(struct thread *self, struct arena *arena, struct chunk *chunks,
         const struct chunk *last, struct chunk **rest)
{
    bool inside = arenap_cache_enter(&self->cache);

    for (unsigned i = 0; i < LOT && chunks != last; i++) {
        struct chunk *chunk = chunks;

        chunks = chunk->next;
        chunk_take_back(self, arena, chunk);
        chunk_put_back(&self->cache, inside, chunk, rest);
    }
    if (inside)
        arenap_cache_leave(&self->cache);
    return chunks;
}

static ARENA_NOINLINE void
give_many(struct thread *self, struct arena *arena, struct chunk *chunks,
          const struct chunk *last)
{
    struct chunk *rest = NULL;

    while (chunks != last)
        chunks = give_lot(self, arena, chunks, last, &rest);
    if (ARENA_UNLIKELY(rest != NULL))
        give_rest(rest);
}

void
arenap_chunk_give(struct thread *self, struct arena *arena,
                  struct chunk *chunks, const struct chunk *last)
{
    if (chunks == last)
        return;
    if (chunks->next == last)
        give_one(self, arena, chunks);
    else
        give_many(self, arena, chunks, last);
}
