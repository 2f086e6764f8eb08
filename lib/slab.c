/* slab.c: see slab.h. */

#include "config.h"

#include <string.h>

#include "blockmap.h"
#include "collector.h"
#include "magazine.h"
#include "os.h"
#include "sizeclass.h"
#include "slab.h"

#define SLAB_PAGES_MOST 16

/* A class has so many blocks as pages, or of a larger class, first: slabs for a
 * few would take more, and what is no slab can be used for other blocks sooner.
 */
#define CLASS_FIRST 256

/* Pages that do not follow each other, until the search is given up; and how
 * many blocks are taken as pages before the next one. */
#define STRAY_PAGES 16
#define REST_BLOCKS 16

struct slab {
    struct slab *next;      /* of its class */
    struct slab *next_room; /* with free blocks */
    uintptr_t lo;
    uint32_t bytes;         /* of a block */
    uint16_t free, dead;    /* bits of blocks; dead: the sweep says so */
    uint8_t class, blocks;
    bool has_room;          /* it is in that list */
};

static struct {
    _Atomic uint64_t cycle; /* the last collection that we heard of */
    bool started;
    struct slab *slab[SIZECLASSES], *room[SIZECLASSES];
    struct slab *spare; /* records without pages */
    _Atomic size_t idle; /* bytes of free blocks */
    _Atomic size_t left; /* of these, after the last collection */
    _Atomic bool has[SIZECLASSES];     /* slabs */
    _Atomic size_t alone[SIZECLASSES]; /* blocks that were had as pages */
    _Atomic unsigned rest; /* not exact: threads count at once */
} slabs;

/* --- Slabs --- */

static size_t
tile_bytes(unsigned class)
{
    return arenap_sizeclass_is_fine(class) ? 64 : 512;
}

static uint16_t
all_blocks(const struct slab *slab)
{
    return (uint16_t)((1u << slab->blocks) - 1);
}

static uintptr_t
slab_end(const struct slab *slab)
{
    return slab->lo + slab->blocks * slab->bytes;
}

static void *
slab_block(const struct slab *slab, unsigned index)
{
    return (void *)(slab->lo + index * slab->bytes);
}

static void
slab_enter(struct slab *slab, bool there)
{
    for (uintptr_t page = slab->lo; page < slab_end(slab); page += ARENA_PAGE)
        arenap_blockmap_set_slab(page, there ? slab : NULL);
}

/* Its blocks with these bits are free, or are not any more. */
static void
slab_release(struct slab *slab, unsigned bits)
{
    slab->free |= (uint16_t)bits;
    atomic_fetch_add(&slabs.idle,
                     (size_t)__builtin_popcount(bits) * slab->bytes);
}

static void
slab_claim(struct slab *slab, unsigned bits)
{
    slab->free &= (uint16_t)~bits;
    atomic_fetch_sub(&slabs.idle,
                     (size_t)__builtin_popcount(bits) * slab->bytes);
}

static void
slab_offer(struct slab *slab)
{
    if (slab->has_room)
        return;
    slab->has_room = true;
    slab->next_room = slabs.room[slab->class];
    slabs.room[slab->class] = slab;
}

bool
arenap_slab_find(uintptr_t address, uintptr_t *base, size_t *size)
{
    const struct slab *slab = arenap_blockmap_slab(address);

    if (ARENA_LIKELY(slab == NULL) || address >= slab_end(slab))
        return false;
    *size = slab->bytes;
    *base = address - (address - slab->lo) % slab->bytes;
    return true;
}

/* --- The collector; it has its lock --- */

static bool
slab_is_unmarked(const struct slab *slab)
{
    size_t bytes = tile_bytes(slab->class);

    for (uintptr_t tile = slab->lo; tile < slab_end(slab); tile += bytes)
        if (arenap_collector_is_marked((void *)tile))
            return false;
    return true;
}

/* The sweep finds pages that are nobody's any more. */
static void
class_retire(unsigned class)
{
    struct slab **link = &slabs.slab[class], *slab;

    slabs.room[class] = NULL;
    while ((slab = *link) != NULL) {
        slab->has_room = false;
        if (slab->free == all_blocks(slab) && slab_is_unmarked(slab)) {
            *link = slab->next;
            slab_claim(slab, slab->free);
            slab_enter(slab, false);
            slab->next = slabs.spare;
            slabs.spare = slab;
            continue;
        }
        if (slab->free != 0)
            slab_offer(slab);
        link = &slab->next;
    }
}

void
arenap_slab_marked(void)
{
    for (unsigned class = 0; class < SIZECLASSES; class++) {
        class_retire(class);
        atomic_store(&slabs.has[class], slabs.slab[class] != NULL);
        /* Who knows how many of them are left. */
        atomic_store(&slabs.alone[class],
                     atomic_load(&slabs.alone[class]) / 2);
    }
}

/* What the sweep leaves alone it marks.  So it is now that those are known
 * which died; what is swept after arenap_slab_swept says nothing. */
bool
arenap_slab_keep(const void *tile)
{
    struct slab *slab = arenap_blockmap_slab((uintptr_t)tile);
    size_t offset;

    if (slab == NULL)
        return false;
    offset = (uintptr_t)tile - slab->lo;
    if (slabs.cycle != arenap_collector_cycle() && offset % slab->bytes == 0
        && offset / slab->bytes < slab->blocks)
        slab->dead |= (uint16_t)(1u << offset / slab->bytes);
    return true;
}

static void
slab_sweep(struct slab *slab)
{
    for (unsigned i = 0; i < slab->blocks; i++) {
        uint16_t bit = (uint16_t)(1u << i);
        uintptr_t *block = slab_block(slab, i);

        if ((slab->free & bit) != 0
            || ((slab->dead & bit) == 0 && arenap_collector_is_marked(block)))
            continue;
        slab_release(slab, bit);
        block[1] = arenap_magazine_sign(block);
    }
    slab->dead = 0;
    if (slab->free != 0)
        slab_offer(slab);
}

/* After one that we did not hear of, as when a program took the collector's
 * event for itself, it is not known what the marks of dead are from: those of
 * the next will do. */
void
arenap_slab_swept(uint64_t cycle)
{
    bool known = atomic_load(&slabs.cycle) + 1 == cycle;

    if (!slabs.started)
        return;
    atomic_store(&slabs.cycle, cycle);
    for (unsigned class = 0; class < SIZECLASSES; class++)
        for (struct slab *s = slabs.slab[class]; s != NULL; s = s->next)
            if (known)
                slab_sweep(s);
            else
                s->dead = 0;
    atomic_store(&slabs.left, atomic_load(&slabs.idle));
}

/* --- Taking and giving --- */

static void *
take_locked(void *class)
{
    struct slab **room = &slabs.room[*(unsigned *)class], *slab = *room;
    unsigned index;

    if (slab == NULL)
        return NULL;
    index = (unsigned)__builtin_ctz(slab->free);
    slab_claim(slab, 1u << index);
    if (slab->free == 0) {
        slab->has_room = false;
        *room = slab->next_room;
    }
    return slab_block(slab, index);
}

static void *
free_locked(void *block)
{
    struct slab *slab = arenap_blockmap_slab((uintptr_t)block);
    unsigned bit;

    /* Two may free it at once; or a collection was faster, if a thread that
     * is ending does. */
    if (slab == NULL)
        return NULL;
    bit = 1u << ((uintptr_t)block - slab->lo) / slab->bytes;
    if ((slab->free & bit) == 0) {
        slab_release(slab, bit);
        slab_offer(slab);
    }
    return NULL;
}

bool
arenap_slab_free(void *base)
{
    if (ARENA_LIKELY(arenap_blockmap_slab((uintptr_t)base) == NULL))
        return false;
    arenap_collector_locked(free_locked, base);
    return true;
}

/* --- New slabs --- */

/* Pages, each as the list of its tiles that the collector gave.  A list is
 * kept by its first block: who has a run on its stack has its pages. */
struct run {
    void *list[SLAB_PAGES_MOST];
    size_t pages;
    uintptr_t lo;
    struct slab *slab;
    unsigned class;
};

static uintptr_t
page_of(const void *tile)
{
    return (uintptr_t)tile & ~(ARENA_PAGE - 1);
}

static bool
is_whole_page(void *const *list, size_t bytes)
{
    uintptr_t page = page_of(list);
    size_t count = 0;

    for (; list != NULL && page_of(list) == page; list = *list)
        count++;
    return list == NULL && count == ARENA_PAGE / bytes;
}

/* False: the collector has no page that goes with it. */
static bool
run_extend(struct run *run)
{
    size_t bytes = tile_bytes(run->class);
    void *list = arenap_collector_alloc_page(BLOCK_TILE, bytes);
    uintptr_t page = page_of(list);

    if (list == NULL || !is_whole_page(list, bytes))
        return false;
    if (run->pages != 0 && page == run->lo - ARENA_PAGE)
        run->lo = page;
    else if (run->pages == 0 || page != run->lo + run->pages * ARENA_PAGE) {
        run->pages = 0;
        run->lo = page;
    }
    run->list[run->pages++] = list;
    return true;
}

static bool
run_collect(struct run *run, size_t pages)
{
    unsigned strays = 0;

    run->pages = 0;
    while (run->pages < pages) {
        if (!run_extend(run) || (run->pages == 1 && strays++ == STRAY_PAGES))
            return false;
    }
    return true;
}

static void *
slab_record(void *unused)
{
    struct slab *slab = slabs.spare;

    (void)unused;
    if (slab != NULL)
        slabs.spare = slab->next;
    return slab;
}

static void *
slab_add(void *context)
{
    struct run *run = context;
    struct slab *slab = run->slab;
    unsigned bytes = arenap_sizeclass[run->class].bytes;

    if (!slabs.started)
        slabs.cycle = arenap_collector_cycle();
    slabs.started = true;
    /* One by one: who has a wild pointer may look at what the record was. */
    slab->lo = run->lo;
    slab->bytes = bytes;
    slab->class = (uint8_t)run->class;
    slab->blocks = (uint8_t)(run->pages * ARENA_PAGE / bytes);
    slab->free = slab->dead = 0;
    slab_release(slab, all_blocks(slab));
    slab->has_room = false;
    slab->next = slabs.slab[run->class];
    for (unsigned i = 0; i < slab->blocks; i++) {
        uintptr_t *block = slab_block(slab, i);

        block[1] = arenap_magazine_sign(block);
    }
    slabs.slab[run->class] = slab;
    atomic_store(&slabs.has[run->class], true);
    slab_enter(slab, true);
    slab_offer(slab);
    return NULL;
}

static bool
slab_make(unsigned class)
{
    struct run run = {.class = class};

    if (!run_collect(&run, arenap_sizeclass[class].last))
        return false;
    if (!arenap_blockmap_prepare(run.lo)
        || !arenap_blockmap_prepare(run.lo + run.pages * ARENA_PAGE - 1))
        return false;
    run.slab = arenap_collector_locked(slab_record, NULL);
    if (run.slab == NULL)
        run.slab = arenap_os_meta(sizeof *run.slab);
    if (run.slab == NULL)
        return false;
    arenap_collector_locked(slab_add, &run);
    arena_keep_alive(run.list);
    return true;
}

/* Is a slab worth while, and likely to be had? */
static bool
slab_is_due(unsigned class)
{
    unsigned rest = atomic_load(&slabs.rest);

    if (rest != 0)
        atomic_store(&slabs.rest, rest - 1);
    return (atomic_load(&slabs.has[class])
            || atomic_load(&slabs.alone[class]) >= CLASS_FIRST)
           && rest == 0;
}

unsigned
arenap_slab_class(size_t size)
{
    unsigned class = arenap_sizeclass_for(size);
    unsigned fine = arenap_sizeclass_finer(size);
    size_t more = ARENA_PAGE / arenap_sizeclass[class].bytes;

    if (fine == SIZECLASS_NONE || !arenap_collector_has_tiles()
        || atomic_fetch_add(&slabs.alone[fine], more) + more < CLASS_FIRST)
        return class;
    arenap_sizeclass_use(fine);
    return fine;
}

void *
arenap_slab_alloc(struct thread *self, unsigned class)
{
    void *block;

    if (!arenap_collector_has_tiles() || self->late)
        return NULL;
    block = arenap_collector_locked(take_locked, &class);
    if (block == NULL && slab_is_due(class)) {
        if (slab_make(class))
            block = arenap_collector_locked(take_locked, &class);
        else
            atomic_store(&slabs.rest, REST_BLOCKS);
    }
    if (block != NULL)
        memset(block, 0, arenap_sizeclass[class].bytes);
    else
        atomic_fetch_add(&slabs.alone[class], 1);
    return block;
}

void
arenap_slab_gone(unsigned class)
{
    size_t alone = atomic_load(&slabs.alone[class]);

    if (arenap_sizeclass_is_tiled(class) && alone != 0)
        atomic_compare_exchange_strong(&slabs.alone[class], &alone,
                                       alone - 1);
}

size_t
arenap_slab_idle(void)
{
    size_t idle = atomic_load_explicit(&slabs.idle, memory_order_relaxed);
    size_t left = atomic_load_explicit(&slabs.left, memory_order_relaxed);

    /* If collections are not heard of, they are of no use. */
    return idle > left && atomic_load(&slabs.cycle) == arenap_collector_cycle()
               ? idle - left
               : 0;
}
