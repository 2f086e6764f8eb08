/*
 * blockmap.h: from an address to the size class of the heap blocks there.
 *
 * What is entered for a page was true when it was entered: the collector may
 * give the page to other blocks after its next collection.  So an entry names
 * the collections by then, and is believed for as long as no more have ended.
 * Till then a page keeps its blocks: one of them was in use when the page was
 * entered, and pages with such are not given to others by any but the next
 * collection.  Blocks of whole pages, which arena_free gives back at once, are
 * taken out.
 *
 * Pages of a slab (slab.h) name that, for as long as it is there.
 *
 * Entries are read and written without a lock, a word each; tables are never
 * freed.
 */
#ifndef ARENA_LIB_BLOCKMAP_H
#define ARENA_LIB_BLOCKMAP_H

#include "internal.h"

#define BLOCKMAP_PAGE_BITS 12
#define BLOCKMAP_LEAF_BITS 17
#define BLOCKMAP_ROOT_BITS 18
#define BLOCKMAP_CLASS_BITS 8
#define BLOCKMAP_IS_SLAB ((uint64_t)1 << 63) /* of an entry; no cycle has it */

typedef _Atomic uint64_t blockmap_slot;

struct blockmap_leaf {
    blockmap_slot slot[(size_t)1 << BLOCKMAP_LEAF_BITS];
};

extern ARENA_HIDDEN _Atomic(struct blockmap_leaf *)
    arenap_blockmap[(size_t)1 << BLOCKMAP_ROOT_BITS];

/* The place of an address's page; NULL if there is none yet. */
static inline blockmap_slot *
arenap_blockmap_slot(uintptr_t address)
{
    uintptr_t page = address >> BLOCKMAP_PAGE_BITS;
    struct blockmap_leaf *leaf;

    if (ARENA_UNLIKELY(page >> (BLOCKMAP_LEAF_BITS + BLOCKMAP_ROOT_BITS) != 0))
        return NULL;
    leaf = atomic_load_explicit(&arenap_blockmap[page >> BLOCKMAP_LEAF_BITS],
                                memory_order_acquire);
    return ARENA_LIKELY(leaf != NULL)
               ? &leaf->slot[page
                             & (((uintptr_t)1 << BLOCKMAP_LEAF_BITS) - 1)]
               : NULL;
}

/* The class there; SIZECLASS_NONE if it is not known in this cycle. */
static inline unsigned
arenap_blockmap_get(uintptr_t address, uint64_t cycle)
{
    blockmap_slot *slot = arenap_blockmap_slot(address);
    uint64_t entry;

    if (ARENA_UNLIKELY(slot == NULL))
        return 0;
    entry = atomic_load_explicit(slot, memory_order_relaxed);
    return ARENA_LIKELY(entry >> BLOCKMAP_CLASS_BITS == cycle)
               ? entry & (((unsigned)1 << BLOCKMAP_CLASS_BITS) - 1)
               : 0;
}

struct slab;

/* The slab that has the page; or NULL. */
static inline struct slab *
arenap_blockmap_slab(uintptr_t address)
{
    blockmap_slot *slot = arenap_blockmap_slot(address);
    uint64_t entry;

    if (ARENA_UNLIKELY(slot == NULL))
        return NULL;
    entry = atomic_load_explicit(slot, memory_order_acquire);
    return ARENA_UNLIKELY((entry & BLOCKMAP_IS_SLAB) != 0)
               ? (struct slab *)(uintptr_t)(entry & ~BLOCKMAP_IS_SLAB)
               : NULL;
}

/* Have a table for a page.  False: there is no memory. */
bool arenap_blockmap_prepare(uintptr_t address);

/* Enter a slab, or none.  There is a table. */
void arenap_blockmap_set_slab(uintptr_t address, struct slab *slab);

/* Enter a page; without memory for a table it is just not known. */
void arenap_blockmap_set(uintptr_t address, uint64_t cycle, unsigned class);

#endif
