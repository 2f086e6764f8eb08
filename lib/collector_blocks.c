/* collector_blocks.c: having blocks of the collector, and freeing them. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "budget.h"
#include "cleaner.h"
#include "collector.h"
#include "collector_gc.h"
#include "internal.h"
#include "magazine.h"
#include "sizeclass.h"
#include "thread.h"

/* --- Blocks --- */

/* --enable-debug=stress: whatever a caller forgot to keep dies here. */
static const bool stress = ARENA_DEBUG_STRESS;

/* The collector was called, and may have found some dead. */
static inline void
after_collector(void)
{
    if (ARENA_UNLIKELY(arenap_budget_is_short()))
        arenap_budget_serve();
    arenap_cleaner_revive();
}

/* Of a chunk the head alone is cleared; words 0 and 1 before the collector's
 * lock is free, for another thread may fork then. */
static void *
block_get(enum block kind, size_t size)
{
    bool large = kind == BLOCK_HEAP && size >= SIZECLASS_LAST;
    void *block;

    do
        block = GC_generic_malloc(
            size, (int)(large ? arenap_gc.heap_large : arenap_gc.kind[kind]));
    while (block != NULL && arenap_collector_is_spare(kind, block, size + 1));
    if (kind == BLOCK_CHUNK && block != NULL)
        memset(block, 0, BLOCK_CHUNK_HEAD);
    return block;
}

void *
arenap_collector_alloc(struct thread *self, enum block kind, size_t size)
{
    int saved = errno;
    void *block;

    if (stress && !self->late && arenap_collector_can_collect())
        GC_gcollect();
    if (ARENA_UNLIKELY(self->late)) {
        struct visit visit;

        if (!arenap_gc_enter(self, &visit))
            return NULL;
        block = block_get(kind, size);
        arenap_gc_leave(self, &visit);
    } else {
        block = block_get(kind, size);
    }
    after_collector();
    errno = saved;
    return block;
}

/* --- Lists of blocks ---
 *
 * The blocks of a list are linked through word 0, which the collector scans;
 * but it does not see the list.  So a collection sweeps them, and leaves the
 * list wrong: a list is good for as long as no collection has begun.  Who
 * takes a block has it in a register before asking for that, and with it all
 * that follow, wherever the collector stops the thread. */

/* Forget all lists if they are not good any more. */
static void
lists_refresh(struct thread *self)
{
    uint64_t now = arenap_collector_cycle();

    if (ARENA_LIKELY(self->list_cycle == now))
        return;
    memset(self->list, 0, sizeof self->list);
    self->list_cycle = now;
}

void *
arenap_collector_alloc_page(enum block kind, size_t bytes)
{
    int saved = errno;
    void *first = NULL;

    GC_generic_malloc_many(bytes, (int)arenap_gc.kind[kind], &first);
    after_collector();
    errno = saved;
    return first;
}

/* Fill a list. */
ARENA_COLD static bool
list_fill(struct thread *self, enum block kind, void **list, size_t bytes)
{
    void *first = arenap_collector_alloc_page(kind, bytes);

    if (first == NULL)
        return false;
    lists_refresh(self);
    *list = first;
    return true;
}

void *
arenap_collector_alloc_listed(struct thread *self, enum block kind,
                              size_t bytes)
{
    void **list = &self->list[kind][bytes / ARENA_GRANULE], *block;

    _Static_assert(LIST_KINDS == BLOCK_LISTED, "a row of lists for each kind");
    ARENA_ASSERT(kind < BLOCK_LISTED && bytes % ARENA_GRANULE == 0);
    if (ARENA_UNLIKELY(stress || self->late))
        return arenap_collector_alloc(self, kind, bytes - 1);
    do {
        lists_refresh(self);
        if (ARENA_UNLIKELY(*list == NULL)
            && !list_fill(self, kind, list, bytes))
            return arenap_collector_alloc(self, kind, bytes - 1);
        block = arenap_thread_listed(self, kind, bytes);
    } while (ARENA_UNLIKELY(block == NULL));
    return block;
}

void *
arenap_collector_alloc_traced(size_t size)
{
    struct thread *self = arenap_thread_self();
    int saved = errno;
    struct visit visit;
    void *block;

    if (self == NULL || !arenap_gc_enter(self, &visit))
        return NULL;
    block = GC_malloc_uncollectable(size);
    arenap_gc_leave(self, &visit);
    if (block != NULL)
        atomic_fetch_add(&arenap_gc.traced, GC_size(block));
    errno = saved;
    return block;
}

void
arenap_collector_free_traced(void *base)
{
    atomic_fetch_sub(&arenap_gc.traced, GC_size(base));
    GC_free(base);
}

size_t
arenap_collector_traced(void)
{
    return atomic_load(&arenap_gc.traced);
}

void
arenap_collector_free(struct thread *self, void *base)
{
    if (arenap_collector_stops(self))
        GC_free(base);
}

struct freed {
    uintptr_t *block;
    size_t size;
};

/* The collector has cleared it, and would link it a second time.  Somebody
 * may have it already: only as the first of its list it is surely free. */
static void *
freed_sign(void *context)
{
    struct freed *freed = context;

    if (arenap_gc.heap_free[freed->size / ARENA_GRANULE] == freed->block)
        freed->block[1] = arenap_magazine_sign(freed->block);
    return NULL;
}

void
arenap_collector_free_heap(struct thread *self, void *base, size_t size)
{
    struct freed freed = {base, size};

    arenap_collector_free(self, base);
    if (size <= SIZECLASS_SMALL_LAST)
        arenap_collector_locked(freed_sign, &freed);
}
