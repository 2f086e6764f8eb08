/* collector_find.c: what is at an address of the collector's heap. */

#include "config.h"

#include "collector.h"
#include "collector_gc.h"
#include "internal.h"
#include "slab.h"

size_t
arenap_collector_size(const void *base)
{
    uintptr_t start;
    size_t size;

    return arenap_slab_find((uintptr_t)base, &start, &size) ? size
                                                             : GC_size(base);
}

enum block
arenap_collector_find(const void *ptr, void **base, size_t *size)
{
    union {
        const void *in;
        void *out;
    } address = {ptr};
    uintptr_t start;
    unsigned kind;

    if (!arenap_collector_started())
        return BLOCK_NONE;
    if (arenap_slab_find((uintptr_t)ptr, &start, size)) {
        *base = (void *)start;
        return BLOCK_HEAP;
    }
    if ((*base = GC_base(address.out)) == NULL)
        return BLOCK_NONE;
    kind = (unsigned)GC_get_kind_and_size(*base, size);
    for (unsigned i = 0; i < BLOCK_KINDS; i++)
        if (arenap_gc.kind[i] == kind)
            return (enum block)i;
    return kind == arenap_gc.heap_large ? BLOCK_HEAP : BLOCK_NONE;
}

bool
arenap_collector_holds(const void *ptr)
{
    union {
        const void *in;
        void *out;
    } address = {ptr};

    return arenap_collector_started() && GC_base(address.out) != NULL;
}

/* The collector's table has the first page of a block that is free, and its
 * size, but finds no object there. */
size_t
arenap_collector_free_at(uintptr_t page, uintptr_t *next)
{
    void *base, *at = (void *)page;
    size_t size;

    *next = page + ARENA_PAGE;
    if (!GC_is_heap_ptr(at))
        return 0;
    base = GC_base(at);
    size = GC_size(base != NULL ? base : at);
    if (base != NULL) {
        if (size > ARENA_PAGE)
            *next = arenap_round_up((uintptr_t)base + size, ARENA_PAGE);
        return 0;
    }
    *next = page + size;
    return size;
}

void
arenap_collector_bounds(uintptr_t *lo, uintptr_t *hi)
{
    *lo = (uintptr_t)GC_least_plausible_heap_addr;
    *hi = (uintptr_t)GC_greatest_plausible_heap_addr;
}

bool
arenap_collector_is_heap(const void *page)
{
    return GC_is_heap_ptr(page);
}
