/* blockmap.c: see blockmap.h. */

#include "config.h"

#include "blockmap.h"
#include "os.h"

_Atomic(struct blockmap_leaf *)
    arenap_blockmap[(size_t)1 << BLOCKMAP_ROOT_BITS];

/* A loser of the race to add a leaf wastes addresses, no memory. */
ARENA_COLD static void
leaf_make(uintptr_t address)
{
    uintptr_t page = address >> BLOCKMAP_PAGE_BITS;
    struct blockmap_leaf *leaf, *none = NULL;

    if (page >> (BLOCKMAP_LEAF_BITS + BLOCKMAP_ROOT_BITS) != 0)
        return;
    leaf = arenap_os_meta(sizeof *leaf);
    if (leaf != NULL)
        atomic_compare_exchange_strong(
            &arenap_blockmap[page >> BLOCKMAP_LEAF_BITS], &none, leaf);
}

bool
arenap_blockmap_prepare(uintptr_t address)
{
    if (ARENA_UNLIKELY(arenap_blockmap_slot(address) == NULL))
        leaf_make(address);
    return arenap_blockmap_slot(address) != NULL;
}

void
arenap_blockmap_set_slab(uintptr_t address, struct slab *slab)
{
    atomic_store_explicit(
        arenap_blockmap_slot(address),
        slab != NULL ? BLOCKMAP_IS_SLAB | (uintptr_t)slab : 0,
        memory_order_release);
}

void
arenap_blockmap_set(uintptr_t address, uint64_t cycle, unsigned class)
{
    blockmap_slot *slot = arenap_blockmap_slot(address);

    if (ARENA_UNLIKELY(slot == NULL) && arenap_blockmap_prepare(address))
        slot = arenap_blockmap_slot(address);
    if (slot != NULL)
        atomic_store_explicit(slot, cycle << BLOCKMAP_CLASS_BITS | class,
                              memory_order_relaxed);
}
