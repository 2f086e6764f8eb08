/* collected.c: see collected.h. */

#include "config.h"

#include "budget.h"
#include "cleaner.h"
#include "collected.h"
#include "collector.h"
#include "credit.h"
#include "error.h"
#include "internal.h"
#include "thread.h"

/* The collector's classes are as large as the request up to here, rounded up
 * by a factor of less than a third. */
#define SMALL_LAST ((size_t)2048)

/* --- Settling accounts --- */

static struct {
    _Atomic size_t reserved, requested, count;
} dead[POOLS];

void
arenap_collected_dead(unsigned pool, size_t *reserved, size_t *requested,
                      size_t *count)
{
    *reserved = atomic_load(&dead[pool].reserved);
    *requested = atomic_load(&dead[pool].requested);
    *count = atomic_load(&dead[pool].count);
}

void
arenap_collected_uncount_unknown(unsigned pool, size_t reserved,
                                 size_t requested, size_t count)
{
    atomic_fetch_add_explicit(&dead[pool].reserved, reserved,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&dead[pool].requested, requested,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&dead[pool].count, count, memory_order_relaxed);
}

void
arenap_collected_settle(arena_kind_t kind, size_t reserved,
                        size_t requested, size_t count)
{
    struct thread *self = arenap_tls.record;

    if (ARENA_LIKELY(self != NULL)) {
        arenap_collected_account(self, kind, (size_t)0 - reserved,
                                 (size_t)0 - requested, (size_t)0 - count);
        arenap_credit_give(&self->credit, reserved);
    } else {
        arenap_collected_uncount_unknown(kind, reserved, requested, count);
        arenap_budget_release_quietly(reserved);
    }
}

/* --- Blocks --- */

/* The bytes that the collector takes for a small request, slop included:
 * learnt from it. */
static _Atomic uint16_t class_bytes[SMALL_LAST];

/* An upper bound, where it is not known. */
static size_t
class_charge(size_t request)
{
    return request + COLLECTED_SLOP > SMALL_LAST
               ? arenap_round_up(request + COLLECTED_SLOP, ARENA_PAGE)
               : arenap_round_up(2 * (request + COLLECTED_SLOP),
                                 ARENA_GRANULE);
}

/* What it did take.  The difference goes back. */
ARENA_COLD static size_t
class_learn(struct thread *self, size_t request, void *block, size_t charge)
{
    size_t size;
    void *base;

    arenap_collector_find(block, &base, &size);
    if (size > charge)
        return charge;
    if (request < SMALL_LAST)
        atomic_store_explicit(&class_bytes[request], (uint16_t)size,
                              memory_order_relaxed);
    arenap_credit_give(&self->credit, charge - size);
    return size;
}

/* A block of request bytes, whose class has known bytes, if that is known;
 * own and extra are reserved for it. */
static inline void *
block_take(struct thread *self, enum block kind, size_t request, size_t known,
           size_t own, size_t extra)
{
    void *block;

    if (arenap_collector_attach(self) != 0
        || arenap_credit_take(&self->credit, own + extra) != 0)
        return NULL;
    if (known - 1 < LIST_LAST)
        block = arenap_collector_alloc_listed(self, kind, known);
    else
        block = arenap_collector_alloc(self, kind, request);
    /* The collector may refuse although garbage exists. */
    if (block == NULL && arenap_cleaner_reclaim())
        block = arenap_collector_alloc(self, kind, request);
    if (block == NULL) {
        arenap_credit_give(&self->credit, own + extra);
        arenap_fail_system(own);
    }
    return block;
}

void *
arenap_collected_block(struct thread *self, enum block kind, size_t request,
                       size_t extra, size_t *charge)
{
    size_t known = request < SMALL_LAST
                       ? atomic_load_explicit(&class_bytes[request],
                                              memory_order_relaxed)
                       : 0;
    size_t own = known != 0 ? known : class_charge(request);
    void *block = block_take(self, kind, request, known, own, extra);

    if (block != NULL)
        *charge = known != 0 ? known : class_learn(self, request, block, own);
    return block;
}

void *
arenap_collected_make(struct thread *self, enum block kind, size_t bytes)
{
    return block_take(self, kind, bytes - COLLECTED_SLOP, bytes, bytes, 0);
}
