/* magazine.c: see magazine.h. */

#include "config.h"

#include <pthread.h>

#include "blockmap.h"
#include "collector.h"
#include "magazine.h"
#include "os.h"
#include "slab.h"
#include "thread.h"

/* What a thread keeps of a class: bytes in a magazine, and blocks at least and
 * at most. */
#define MAGAZINE_BYTES ((uint32_t)4 * 1024)
#define MAGAZINE_LEAST 1u
#define MAGAZINE_MOST 128u

static struct {
    pthread_mutex_t lock;
    _Atomic uint64_t cycle; /* collections by then; else all is stale */
    _Atomic(struct magazine *) full[SIZECLASSES];
    struct magazine *empty[SIZECLASSES];
    _Atomic size_t count, bytes;
} depot = {.lock = PTHREAD_MUTEX_INITIALIZER};

uintptr_t arenap_magazine_key;

static struct magazine *
magazine_of(void **slot)
{
    return (struct magazine *)(void *)((char *)slot
                                       - offsetof(struct magazine, slot));
}

/* Odd and with the highest bit set, so no address; else different in each
 * process, so that no program has it in its data. */
void
arenap_magazine_init(void)
{
    arenap_magazine_key =
        (uintptr_t)arenap_os_random() | (uintptr_t)1
        | (uintptr_t)1 << (8 * sizeof(uintptr_t) - 1);
}

static uint32_t
bin_room(unsigned class)
{
    uint32_t room = MAGAZINE_BYTES / arenap_sizeclass[class].bytes;

    if (room < MAGAZINE_LEAST)
        return MAGAZINE_LEAST;
    return room < MAGAZINE_MOST ? room : MAGAZINE_MOST;
}

/* Blocks came from the collector, or are left to it: negative. */
static void
count_taken(struct thread *self, unsigned class, size_t blocks)
{
    arenap_count(&self->heap.count, blocks);
    arenap_count(&self->heap.requested,
                 blocks * arenap_sizeclass[class].bytes);
}

/* One block came that need not be of a class: it is given back as what it
 * is. */
static void *
count_single(struct thread *self, uintptr_t *block)
{
    arenap_count(&self->heap.count, 1);
    arenap_count(&self->heap.requested, arenap_collector_size(block));
    block[1] = 0;
    return block;
}

/* --- The depot; its lock is held --- */

static void
depot_count(unsigned class, size_t blocks)
{
    size_t bytes = blocks * arenap_sizeclass[class].bytes;

    atomic_store(&depot.count, atomic_load(&depot.count) + blocks);
    atomic_store(&depot.bytes, atomic_load(&depot.bytes) + bytes);
}

static void
depot_put_empty(unsigned class, struct magazine *magazine)
{
    atomic_store(&magazine->count, 0);
    magazine->next = depot.empty[class];
    depot.empty[class] = magazine;
}

static struct magazine *
depot_get_empty(unsigned class)
{
    struct magazine *magazine = depot.empty[class];

    if (magazine != NULL)
        depot.empty[class] = magazine->next;
    else
        magazine = arenap_os_meta(sizeof *magazine
                                  + bin_room(class) * sizeof(void *));
    return magazine;
}

static void
depot_put(unsigned class, struct magazine *magazine)
{
    magazine->next = atomic_load(&depot.full[class]);
    atomic_store(&depot.full[class], magazine);
    depot_count(class, atomic_load(&magazine->count));
}

static struct magazine *
depot_get(unsigned class)
{
    struct magazine *magazine = atomic_load(&depot.full[class]);

    if (magazine != NULL) {
        atomic_store(&depot.full[class], magazine->next);
        depot_count(class, (size_t)0 - atomic_load(&magazine->count));
    }
    return magazine;
}

/* Forget what collections have left to the collector. */
static void
depot_refresh(struct thread *self)
{
    uint64_t now = arenap_collector_cycle();
    struct magazine *magazine;

    if (atomic_load(&depot.cycle) == now)
        return;
    for (unsigned class = 1; class < SIZECLASSES; class++)
        while ((magazine = depot_get(class)) != NULL) {
            count_taken(self, class,
                        (size_t)0 - atomic_load(&magazine->count));
            depot_put_empty(class, magazine);
        }
    atomic_store(&depot.cycle, now);
}

static void
depot_lock(struct thread *self)
{
    pthread_mutex_lock(&depot.lock);
    depot_refresh(self);
}

static void
depot_unlock(void)
{
    pthread_mutex_unlock(&depot.lock);
}

static struct magazine *
magazine_make(struct thread *self, unsigned class)
{
    struct magazine *magazine;

    depot_lock(self);
    magazine = depot_get_empty(class);
    depot_unlock();
    return magazine;
}

/* --- A thread's bins --- */

/* Blocks; near enough while the thread moves them. */
static size_t
bin_count(const struct bin *bin)
{
    const struct magazine *spare = atomic_load(&bin->spare);
    size_t count = atomic_load(&bin->count);

    return spare != NULL ? count + atomic_load(&spare->count) : count;
}

/* May this thread have blocks at hand?  Not if a collection would not stop
 * it. */
static bool
bins_allowed(struct thread *self)
{
    return !ARENA_DEBUG_STRESS && arenap_collector_is_kept(self);
}

/* Forget what the last collection has not marked. */
static void
bins_refresh(struct thread *self)
{
    struct bins *bins = &self->bins;
    uint64_t now = arenap_collector_cycle();

    if (ARENA_LIKELY(atomic_load(&bins->cycle) == now))
        return;
    for (unsigned class = 1; class < SIZECLASSES; class++) {
        struct bin *bin = &bins->class[class];
        struct magazine *spare = atomic_load(&bin->spare);
        size_t dropped = atomic_exchange(&bin->count, 0);

        if (spare != NULL)
            dropped += atomic_exchange(&spare->count, 0);
        if (dropped != 0)
            count_taken(self, class, (size_t)0 - dropped);
    }
    atomic_store(&bins->cycle, now);
}

/* Give a bin its first magazine. */
static bool
bin_open(struct thread *self, unsigned class)
{
    struct bin *bin = &self->bins.class[class];
    struct magazine *magazine;

    if (ARENA_LIKELY(atomic_load(&bin->slot) != NULL))
        return true;
    magazine = magazine_make(self, class);
    if (magazine == NULL)
        return false;
    self->bins.used = true;
    atomic_store(&bin->slot, magazine->slot);
    atomic_store(&bin->room, bin_room(class));
    return true;
}

/* The loaded magazine is empty; the spare one is not. */
static void
bin_load_spare(struct bin *bin)
{
    struct magazine *empty = magazine_of(atomic_load(&bin->slot));
    struct magazine *spare = atomic_load(&bin->spare);

    atomic_store(&empty->count, 0);
    atomic_store(&bin->slot, spare->slot);
    atomic_store(&bin->count, atomic_load(&spare->count));
    atomic_store(&bin->spare, empty);
}

/* The loaded magazine is empty.  What the depot has is good only until a
 * collection begins, and after that if it was loaded by then. */
static bool
bin_load_from_depot(struct thread *self, unsigned class)
{
    struct bin *bin = &self->bins.class[class];
    struct magazine *empty, *full;
    bool loaded = false;

    if (atomic_load(&depot.full[class]) == NULL)
        return false;
    depot_lock(self);
    full = depot_get(class);
    if (full != NULL) {
        uint32_t count = atomic_load(&full->count);

        empty = magazine_of(atomic_load(&bin->slot));
        atomic_store(&bin->slot, full->slot);
        atomic_store(&bin->count, count);
        depot_put_empty(class, empty);
        loaded = arenap_collector_cycle() == atomic_load(&depot.cycle);
        if (!loaded) {
            atomic_store(&bin->count, 0);
            count_taken(self, class, (size_t)0 - count);
        }
    }
    depot_unlock();
    return loaded;
}

/* Both are full: the spare one goes to the depot; but not with blocks of
 * pages, which can become others at once if they are given back. */
static bool
bin_unload_to_depot(struct thread *self, unsigned class)
{
    struct bin *bin = &self->bins.class[class];
    struct magazine *full = magazine_of(atomic_load(&bin->slot));
    struct magazine *spare = atomic_load(&bin->spare), *empty;

    if (class > SIZECLASS_SMALL)
        return false;
    depot_lock(self);
    empty = depot_get_empty(class);
    if (empty != NULL) {
        atomic_store(&full->count, atomic_load(&bin->count));
        depot_put(class, spare);
        atomic_store(&bin->spare, full);
        atomic_store(&bin->count, 0);
        atomic_store(&bin->slot, empty->slot);
        /* Nobody has marked it since it was the thread's. */
        if (arenap_collector_cycle() != atomic_load(&depot.cycle)) {
            depot_get(class);
            count_taken(self, class,
                        (size_t)0 - atomic_load(&spare->count));
            depot_put_empty(class, spare);
        }
    }
    depot_unlock();
    return empty != NULL;
}

/* The loaded magazine is full; the spare one is empty. */
static void
bin_unload(struct bin *bin)
{
    struct magazine *full = magazine_of(atomic_load(&bin->slot));
    struct magazine *empty = atomic_load(&bin->spare);

    atomic_store(&full->count, atomic_load(&bin->count));
    atomic_store(&bin->spare, full);
    atomic_store(&bin->count, 0);
    atomic_store(&bin->slot, empty->slot);
}

static bool
bin_has_spare(struct thread *self, unsigned class)
{
    struct bin *bin = &self->bins.class[class];
    struct magazine *spare;

    if (atomic_load(&bin->spare) != NULL)
        return true;
    spare = magazine_make(self, class);
    atomic_store(&bin->spare, spare);
    return spare != NULL;
}

bool
arenap_magazine_make_room(struct thread *self, unsigned class)
{
    struct bin *bin = &self->bins.class[class];

    if (class == SIZECLASS_NONE || !bins_allowed(self)
        || !bin_open(self, class))
        return false;
    bins_refresh(self);
    if (atomic_load(&bin->count) < atomic_load(&bin->room))
        return true;
    if (!bin_has_spare(self, class))
        return false;
    if (atomic_load(&atomic_load(&bin->spare)->count) != 0)
        return bin_unload_to_depot(self, class);
    bin_unload(bin);
    return true;
}

void *
arenap_magazine_take(struct thread *self, unsigned class)
{
    struct bin *bin = &self->bins.class[class];
    struct magazine *spare;

    if (!bins_allowed(self) || !bin_open(self, class))
        return NULL;
    bins_refresh(self);
    spare = atomic_load(&bin->spare);
    if (atomic_load(&bin->count) == 0) {
        if (spare != NULL && atomic_load(&spare->count) != 0)
            bin_load_spare(bin);
        else if (!bin_load_from_depot(self, class))
            return NULL;
    }
    return arenap_magazine_pop(&self->bins, class);
}

/* Put blocks of a list into a magazine that is not in use; the rest of the
 * list.  The list itself stays as it is, and keeps them all: as long as its
 * first block is in a register, and not at hand, since then a collection does
 * not search it. */
static void **
list_load(void **block, struct magazine *magazine, uint32_t room,
          unsigned class)
{
    uint64_t cycle = arenap_collector_cycle();
    uintptr_t page = 0;
    uint32_t count = 0;

    for (; block != NULL && count < room; block = *block) {
        if (((uintptr_t)block & ~(ARENA_PAGE - 1)) != page) {
            page = (uintptr_t)block & ~(ARENA_PAGE - 1);
            arenap_blockmap_set(page, cycle, class);
        }
        block[1] = (void *)arenap_magazine_sign(block);
        magazine->slot[count++] = block;
    }
    atomic_store(&magazine->count, count);
    return block;
}

/* Load what the collector gave; the bin is empty. */
static void
bin_load_list(struct thread *self, unsigned class, void **first)
{
    struct bin *bin = &self->bins.class[class];
    struct magazine *loaded = magazine_of(atomic_load(&bin->slot));
    uint32_t room = atomic_load(&bin->room), count;
    void **rest = list_load(first, loaded, room, class);

    count = atomic_load(&loaded->count);
    atomic_store(&bin->count, count);
    if (rest != NULL && bin_has_spare(self, class)
        && atomic_load(&atomic_load(&bin->spare)->count) == 0) {
        list_load(rest, atomic_load(&bin->spare), room, class);
        count += atomic_load(&atomic_load(&bin->spare)->count);
        arena_keep_alive(rest);
    }
    count_taken(self, class, count);
    arena_keep_alive(first);
}

/* One block, which may be of a larger size than that of the class: then
 * nobody enters it. */
static void *
fill_one(struct thread *self, unsigned class)
{
    uint64_t cycle = arenap_collector_cycle();
    uintptr_t *block = arenap_collector_alloc(
        self, BLOCK_HEAP, arenap_sizeclass[class].bytes - 1);

    if (block == NULL)
        return NULL;
    if (!arenap_sizeclass_is_tiled(class)
        && arenap_collector_size(block) == arenap_sizeclass[class].bytes)
        arenap_blockmap_set((uintptr_t)block, cycle, class);
    return count_single(self, block);
}

/* Blocks of a page, from the collector.  When memory is short it gives only
 * one, of any size that is large enough. */
static void *
fill_page(struct thread *self, unsigned class)
{
    size_t bytes = arenap_sizeclass[class].bytes;
    uintptr_t *block = arenap_collector_alloc_page(BLOCK_HEAP, bytes);

    if (block == NULL)
        return NULL;
    if (block[0] == 0 && arenap_collector_size(block) != bytes)
        return count_single(self, block);
    bins_refresh(self);
    /* The collector may have run a finalizer of the host program's, and that
     * may have been here. */
    if (atomic_load(&self->bins.class[class].count) == 0)
        bin_load_list(self, class, (void **)block);
    return arenap_magazine_pop(&self->bins, class);
}

void *
arenap_magazine_fill(struct thread *self, unsigned class)
{
    void *block = NULL;

    if (arenap_sizeclass_is_tiled(class)) {
        if ((block = arenap_slab_alloc(self, class)) != NULL)
            count_taken(self, class, 1);
    } else if (arenap_sizeclass[class].bytes <= ALLOC_PAGE_LAST
               && bins_allowed(self) && bin_open(self, class)) {
        block = fill_page(self, class);
    }
    return block != NULL ? block : fill_one(self, class);
}

/* --- The collector --- */

static void
slots_mark(void **slot, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        arenap_collector_mark(slot[i]);
}

/* Good before this collection; or marked by it already, or by one that was
 * abandoned after that and did not count. */
static bool
bins_are_good(const struct bins *bins, uint64_t cycle)
{
    uint64_t marked = atomic_load(&bins->cycle);

    return marked == cycle || marked == cycle + 1;
}

void
arenap_magazine_mark(uint64_t cycle)
{
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next) {
        struct bins *bins = &t->bins;

        if (!bins->used || !bins_are_good(bins, cycle))
            continue;
        for (unsigned class = 1; class < SIZECLASSES; class++) {
            struct bin *bin = &bins->class[class];
            struct magazine *spare = atomic_load(&bin->spare);

            if (atomic_load(&bin->slot) == NULL)
                continue;
            slots_mark(atomic_load(&bin->slot), atomic_load(&bin->count));
            if (spare != NULL)
                slots_mark(spare->slot, atomic_load(&spare->count));
        }
        atomic_store(&bins->cycle, cycle + 1);
    }
}

/* --- The end of a thread; fork --- */

/* The depot takes a magazine with what is in it, if that is good. */
static void
depot_take_over(struct thread *self, unsigned class,
                struct magazine *magazine, bool good)
{
    uint32_t count = atomic_load(&magazine->count);

    if (good && count != 0) {
        depot_put(class, magazine);
        return;
    }
    count_taken(self, class, (size_t)0 - count);
    depot_put_empty(class, magazine);
}

static void
bin_close(struct thread *self, unsigned class, bool good)
{
    struct bin *bin = &self->bins.class[class];
    void **slot = atomic_load(&bin->slot);
    struct magazine *spare = atomic_load(&bin->spare);

    if (slot != NULL) {
        struct magazine *loaded = magazine_of(slot);

        atomic_store(&loaded->count, atomic_load(&bin->count));
        depot_take_over(self, class, loaded, good);
    }
    if (spare != NULL)
        depot_take_over(self, class, spare, good);
    atomic_store(&bin->room, 0);
    atomic_store(&bin->count, 0);
    atomic_store(&bin->spare, NULL);
    atomic_store(&bin->slot, NULL);
}

void
arenap_magazine_flush(struct thread *self)
{
    if (!self->bins.used)
        return;
    depot_lock(self);
    /* If a collection comes in between, the depot is stale as well. */
    for (unsigned class = 1; class < SIZECLASSES; class++)
        bin_close(self, class,
                  atomic_load(&self->bins.cycle)
                      == atomic_load(&depot.cycle));
    self->bins.used = false;
    depot_unlock();
}

void
arenap_magazine_forget(struct thread *thread)
{
    if (!thread->bins.used)
        return;
    /* It may have been about to move a magazine, which is then in two
     * places: none of them is used again. */
    for (unsigned class = 1; class < SIZECLASSES; class++) {
        struct bin *bin = &thread->bins.class[class];

        count_taken(thread, class, (size_t)0 - bin_count(bin));
        atomic_store(&bin->room, 0);
        atomic_store(&bin->count, 0);
        atomic_store(&bin->spare, NULL);
        atomic_store(&bin->slot, NULL);
    }
    thread->bins.used = false;
}

void
arenap_magazine_fork_prepare(void)
{
    pthread_mutex_lock(&depot.lock);
}

void
arenap_magazine_fork_done(void)
{
    pthread_mutex_unlock(&depot.lock);
}

/* --- Figures --- */

/* What a collection has left to the collector is not idle any more, even if
 * nobody has looked into the depot since. */
size_t
arenap_magazine_idle(void)
{
    return atomic_load_explicit(&depot.cycle, memory_order_relaxed)
                   == arenap_collector_cycle()
               ? atomic_load_explicit(&depot.bytes, memory_order_relaxed)
               : 0;
}

void
arenap_magazine_figures(size_t *count, size_t *bytes)
{
    *count = atomic_load(&depot.count);
    *bytes = atomic_load(&depot.bytes);
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next)
        for (unsigned class = 1; class < SIZECLASSES; class++) {
            size_t blocks = bin_count(&t->bins.class[class]);

            *count += blocks;
            *bytes += blocks * arenap_sizeclass[class].bytes;
        }
}
