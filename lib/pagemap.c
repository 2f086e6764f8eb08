/* pagemap.c: see pagemap.h. */

#include "config.h"

#include "internal.h"
#include "os.h"
#include "pagemap.h"

#define PAGE_BITS 12
#define LEAF_BITS 11
#define NODE_BITS 12
#define ROOT_BITS 12

#define LEAF_SLOTS ((size_t)1 << LEAF_BITS)
#define LINE_SLOTS (64 / sizeof(pagemap_slot))
#define LEAF_LINES (LEAF_SLOTS / LINE_SLOTS)
#define NODE_SLOTS ((size_t)1 << NODE_BITS)
#define ROOT_SLOTS ((size_t)1 << ROOT_BITS)
#define LEAF_BYTES ((size_t)1 << (LEAF_BITS + PAGE_BITS))
#define ADDRESS_BITS (PAGE_BITS + LEAF_BITS + NODE_BITS + ROOT_BITS)

struct leaf {
    pagemap_slot slot[LEAF_SLOTS];
};

/* A page is at whole[i] if that is set, else in leaf[i]. */
struct node {
    _Atomic(struct leaf *) leaf[NODE_SLOTS];
    pagemap_slot whole[NODE_SLOTS];
};

static _Atomic(struct node *) root[ROOT_SLOTS];

struct arena arenap_pagemap_cached;

/* --- Indices --- */

static inline size_t
root_index(uintptr_t a)
{
    return a >> (ADDRESS_BITS - ROOT_BITS);
}

static inline size_t
node_index(uintptr_t a)
{
    return (a >> (PAGE_BITS + LEAF_BITS)) & (NODE_SLOTS - 1);
}

/* Neighbours have slots in different cache lines: they are often chunks of two
 * threads, each of which writes its slot whenever it opens or closes an
 * arena. */
static inline size_t
leaf_index(uintptr_t a)
{
    size_t page = (a >> PAGE_BITS) & (LEAF_SLOTS - 1);

    return page % LEAF_LINES * LINE_SLOTS + page / LEAF_LINES;
}

static inline struct node *
node_of(uintptr_t a)
{
    if (a >> ADDRESS_BITS != 0)
        return NULL;
    return atomic_load_explicit(&root[root_index(a)], memory_order_acquire);
}

static inline struct leaf *
leaf_of(struct node *node, uintptr_t a)
{
    return atomic_load_explicit(&node->leaf[node_index(a)],
                                memory_order_acquire);
}

/* --- Growing: a loser of the race to add a node wastes it --- */

static struct node *
node_make(uintptr_t a)
{
    struct node *node = node_of(a), *none = NULL;

    if (node != NULL || a >> ADDRESS_BITS != 0)
        return node;
    node = arenap_os_meta(sizeof *node);
    if (node != NULL
        && !atomic_compare_exchange_strong(&root[root_index(a)], &none, node))
        node = none;
    return node;
}

static struct leaf *
leaf_make(struct node *node, uintptr_t a)
{
    struct leaf *leaf = leaf_of(node, a), *none = NULL;

    if (leaf != NULL)
        return leaf;
    leaf = arenap_os_meta(sizeof *leaf);
    if (leaf != NULL
        && !atomic_compare_exchange_strong(&node->leaf[node_index(a)], &none,
                                           leaf))
        leaf = none;
    return leaf;
}

bool
arenap_pagemap_prepare(const void *address, size_t size)
{
    uintptr_t a = (uintptr_t)address & ~(LEAF_BYTES - 1);
    uintptr_t hi = (uintptr_t)address + size;

    for (; a < hi; a += LEAF_BYTES) {
        struct node *node = node_make(a);

        if (node == NULL || leaf_make(node, a) == NULL)
            return false;
    }
    return true;
}

/* --- Setting and getting --- */

void
arenap_pagemap_set(const void *address, size_t size, struct arena *arena)
{
    uintptr_t a = (uintptr_t)address & ~(ARENA_PAGE - 1);
    uintptr_t hi = (uintptr_t)address + size;

    while (a < hi) {
        struct node *node = node_of(a);
        uintptr_t next = (a & ~(LEAF_BYTES - 1)) + LEAF_BYTES;
        pagemap_slot *slot;

        if ((a & (LEAF_BYTES - 1)) == 0 && hi >= next) {
            atomic_store_explicit(&node->whole[node_index(a)], arena,
                                  memory_order_release);
            a = next;
            continue;
        }
        if (next > hi)
            next = arenap_round_up(hi, ARENA_PAGE);
        for (slot = leaf_of(node, a)->slot; a < next; a += ARENA_PAGE)
            atomic_store_explicit(&slot[leaf_index(a)], arena,
                                  memory_order_release);
    }
}

static pagemap_slot *
slot_of(uintptr_t a)
{
    return &leaf_of(node_of(a), a)->slot[leaf_index(a)];
}

/* A page that follows another has in its slot how far behind it is, and this
 * bit, which no address of an arena has. */
#define FOLLOWS ((uintptr_t)1)

pagemap_slot *
arenap_pagemap_gather(const void *address, size_t size)
{
    uintptr_t a = (uintptr_t)address;

    for (uintptr_t behind = ARENA_PAGE; behind < size; behind += ARENA_PAGE)
        atomic_store_explicit(slot_of(a + behind),
                              (struct arena *)(behind | FOLLOWS),
                              memory_order_release);
    return slot_of(a);
}

static struct arena *
slot_get(uintptr_t a)
{
    struct node *node = node_of(a);
    struct leaf *leaf;
    struct arena *arena;

    if (node == NULL)
        return NULL;
    arena = atomic_load_explicit(&node->whole[node_index(a)],
                                 memory_order_acquire);
    if (arena != NULL || (leaf = leaf_of(node, a)) == NULL)
        return arena;
    return atomic_load_explicit(&leaf->slot[leaf_index(a)],
                                memory_order_acquire);
}

/* Who asks while the range becomes another one may be sent back more than
 * once, but never ahead. */
struct arena *
arenap_pagemap_get(const void *address)
{
    uintptr_t a = (uintptr_t)address;
    struct arena *arena = slot_get(a);

    while (((uintptr_t)arena & FOLLOWS) != 0) {
        a -= (uintptr_t)arena - FOLLOWS;
        arena = slot_get(a);
    }
    return arena;
}

uintptr_t
arenap_pagemap_run(uintptr_t address, uintptr_t hi, bool *ours)
{
    uintptr_t a = address;

    *ours = arenap_pagemap_get((void *)a) != NULL;
    while (a < hi) {
        struct node *node = node_of(a);

        if (node == NULL
            || (atomic_load(&node->whole[node_index(a)]) == NULL
                && leaf_of(node, a) == NULL)) {
            if (*ours)
                return a;
            a = (a & ~(LEAF_BYTES - 1)) + LEAF_BYTES;
            continue;
        }
        if ((arenap_pagemap_get((void *)a) != NULL) != *ours)
            return a;
        a += ARENA_PAGE;
    }
    return hi;
}
