/* heap.c: see heap.h and arena/heap.h. */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../include/arena/budget.h"
#include "../include/arena/heap.h"
#include "blockmap.h"
#include "budget.h"
#include "cleaner.h"
#include "implicit.h"
#include "collector.h"
#include "error.h"
#include "heap.h"
#include "internal.h"
#include "magazine.h"
#include "maps.h"
#include "os.h"
#include "pagemap.h"
#include "payload.h"
#include "phantom.h"
#include "roots.h"
#include "scope.h"
#include "sizeclass.h"
#include "slab.h"
#include "thread.h"
#include "usage.h"

/* A thread asks the collector for its figures once in so many bytes. */
#define HEAP_STEP ((size_t)64 * 1024)

/* Idle blocks can be used for others only after a collection: it is due when
 * there are so many bytes of them, and an eighth of what it searches is: the
 * heap, and what the program has besides. */
#define HEAP_IDLE ((size_t)2 << 20)

/* From here on realloc takes more than is asked for. */
#define HEAP_ROOMY ((size_t)256 << 10)

/* From here on calloc gives pages back instead of clearing them. */
#define HEAP_CLEAR ((size_t)1 << 20)

/* From here on a block's pages are given back when it is freed, as libc's
 * malloc does: arrays that grow leave places too small for the next one. */
#define HEAP_HUGE ((size_t)128 << 10)

/* --- Accounting --- */

static struct {
    _Atomic size_t charged;
    _Atomic bool used;
    _Atomic bool updating;
} heap;

/* What the collector has in use for the heap. */
static size_t
heap_in_use(void)
{
    struct collector_figures figures;
    size_t others;

    arenap_collector_figures(&figures);
    others = arenap_usage_reserved(ARENA_AUTO)
             + arenap_usage_reserved(ARENA_IMPLICIT)
             + arenap_payload_handles() + arenap_collector_traced();
    return figures.in_use > others ? figures.in_use - others : 0;
}

/* Lower the charge to what is in use. */
void
arenap_heap_settle(void)
{
    size_t charged, in_use;

    if (!atomic_load_explicit(&heap.used, memory_order_relaxed))
        return;
    in_use = heap_in_use();
    charged = atomic_load(&heap.charged);
    while (charged > in_use)
        if (atomic_compare_exchange_weak(&heap.charged, &charged, in_use)) {
            arenap_budget_release_quietly(charged - in_use);
            return;
        }
}

/* Raise or lower the charge to what is in use and what is about to be. */
static int
heap_update(size_t more)
{
    size_t in_use = heap_in_use(), goal = in_use + more;
    size_t charged = atomic_load(&heap.charged);
    size_t idle = arenap_magazine_idle() + arenap_slab_idle();

    if (ARENA_UNLIKELY(idle >= HEAP_IDLE
                       && idle >= (in_use + arenap_roots_foreign()) / 8)
        && arenap_budget_may_collect())
        arenap_cleaner_collect();
    if (goal > charged) {
        if (arenap_budget_reserve(goal - charged) != 0)
            return -1;
        atomic_fetch_add(&heap.charged, goal - charged);
    } else if (atomic_compare_exchange_strong(&heap.charged, &charged, goal)) {
        arenap_budget_release(charged - goal);
    }
    return 0;
}

/* One thread at a time asks for the figures; those who come meanwhile take
 * what they need on top, which the next update puts right. */
ARENA_COLD static int
heap_account(struct thread *self)
{
    size_t more = self->heap_unaccounted;
    bool idle = false;
    int result;

    arenap_cleaner_count(more);
    if (atomic_compare_exchange_strong(&heap.updating, &idle, true)) {
        result = heap_update(more < HEAP_STEP ? HEAP_STEP : more);
        atomic_store(&heap.updating, false);
    } else {
        result = arenap_budget_reserve(more);
        if (result == 0)
            atomic_fetch_add(&heap.charged, more);
    }
    if (result == 0)
        self->heap_unaccounted = 0;
    return result;
}

/* Before so many bytes are asked of the collector. */
static int
heap_charge(struct thread *self, size_t size)
{
    self->heap_unaccounted += size;
    if (ARENA_LIKELY(self->heap_unaccounted < HEAP_STEP)
        || heap_account(self) == 0)
        return 0;
    self->heap_unaccounted -= size;
    return -1;
}

/* In a child: who was updating is not there. */
void
arenap_heap_fork_child(void)
{
    atomic_store(&heap.updating, false);
}

void
arenap_heap_figures(struct heap_figures *out)
{
    size_t count = 0, requested = 0, idle_count, idle_bytes;

    *out = (struct heap_figures){atomic_load(&heap.charged), 0, 0};
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next) {
        count += atomic_load(&t->heap.count);
        requested += atomic_load(&t->heap.requested);
    }
    arenap_magazine_figures(&idle_count, &idle_bytes);
    count -= idle_count;
    requested -= idle_bytes;
    if (requested == 0 || requested > PTRDIFF_MAX || count > PTRDIFF_MAX)
        return;
    /* Of what was not freed by hand, the collector took its share. */
    out->requested = requested < out->reserved ? requested : out->reserved;
    out->count = (size_t)((double)count * (double)out->requested
                          / (double)requested);
}

/* --- Blocks --- */

ARENA_COLD static int
heap_start(struct thread *self)
{
    if (arenap_collector_attach(self) != 0)
        return -1;
    arenap_roots_widen();
    atomic_store(&heap.used, true);
    return 0;
}

static bool
heap_is_ready(struct thread *self)
{
    return (ARENA_LIKELY(atomic_load_explicit(&heap.used,
                                              memory_order_relaxed))
            || heap_start(self) == 0)
           && arenap_collector_attach(self) == 0;
}

/* A block of the size's class, when there is none at hand. */
ARENA_NOINLINE static void *
heap_alloc_class(struct thread *self, size_t size)
{
    void *block = arenap_magazine_take(self, arenap_sizeclass_for(size));
    unsigned class;
    size_t bytes;

    if (ARENA_LIKELY(block != NULL))
        return block;
    class = arenap_slab_class(size);
    bytes = arenap_sizeclass[class].bytes;
    if (heap_charge(self, class <= SIZECLASS_SMALL ? ARENA_PAGE : bytes) != 0)
        return NULL;
    block = arenap_magazine_fill(self, class);
    if (ARENA_UNLIKELY(block == NULL) && arenap_cleaner_reclaim())
        block = arenap_magazine_fill(self, class);
    if (ARENA_UNLIKELY(block == NULL))
        arenap_fail_system(bytes);
    return block;
}

static void *
heap_alloc_large(struct thread *self, size_t size)
{
    uintptr_t *block;

    if (size > PTRDIFF_MAX - ARENA_PAGE) {
        arenap_fail(ENOMEM,
                    "cannot allocate %zu bytes: no object is that large",
                    size);
        return NULL;
    }
    if (heap_charge(self, size) != 0)
        return NULL;
    block = arenap_collector_alloc(self, BLOCK_HEAP, size - 1);
    if (ARENA_UNLIKELY(block == NULL) && arenap_cleaner_reclaim())
        block = arenap_collector_alloc(self, BLOCK_HEAP, size - 1);
    if (ARENA_UNLIKELY(block == NULL)) {
        arenap_fail_system(size);
        return NULL;
    }
    block[1] = 0; /* it may look free */
    arenap_count(&self->heap.requested, arenap_collector_size(block));
    arenap_count(&self->heap.count, 1);
    return block;
}

ARENA_NOINLINE static void *
heap_take_slow(size_t size)
{
    struct thread *self = arenap_thread_self();

    if (ARENA_UNLIKELY(self == NULL)) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    if (ARENA_UNLIKELY(!heap_is_ready(self)))
        return NULL;
    return size <= SIZECLASS_LAST
               ? heap_alloc_class(self, size)
               : heap_alloc_large(self, size);
}

static inline void *
take_at_hand(struct thread *self, size_t size)
{
    return ARENA_LIKELY(self != NULL && size <= SIZECLASS_LAST)
               ? arenap_magazine_pop(&self->bins, arenap_sizeclass_for(size))
               : NULL;
}

/* From the heap, whatever arena is pushed. */
static void *
heap_take(size_t size)
{
    void *block = take_at_hand(arenap_tls.record, size);

    return block != NULL ? block : heap_take_slow(size);
}

void *
arenap_heap_alloc_at_hand(size_t size)
{
    struct thread *self = arenap_tls.record;

    return ARENA_LIKELY(self != NULL) && ARENA_LIKELY(self->scope == NULL)
               ? take_at_hand(self, size)
               : NULL;
}

ARENA_NOINLINE static void *
heap_alloc_slow(size_t size)
{
    struct thread *self = arenap_tls.record;

    return self != NULL && self->scope != NULL
               ? arenap_scope_alloc(self, ARENA_GRANULE, size)
               : heap_take_slow(size);
}

static inline void *
heap_alloc(size_t size)
{
    void *block = arenap_heap_alloc_at_hand(size);

    return ARENA_LIKELY(block != NULL) ? block : heap_alloc_slow(size);
}

/* In front of an aligned block, inside the collected one. */
struct aligned {
    uintptr_t mark; /* the user's address, turned around */
    uintptr_t spare;
};

static bool
aligned_is(const char *ptr, const char *base)
{
    const struct aligned *front = (const struct aligned *)(const void *)ptr;

    return ptr >= base + sizeof *front
           && ((uintptr_t)ptr & (ARENA_GRANULE - 1)) == 0
           && front[-1].mark == ~(uintptr_t)ptr;
}

/* All blocks of the class are aligned so; those larger than any class begin
 * with a page. */
static void *
heap_alloc_in_place(size_t align, size_t size)
{
    return heap_take(
        size > SIZECLASS_LAST
            ? size
            : arenap_sizeclass[arenap_sizeclass_aligned(size, align)].bytes);
}

static void *
heap_alloc_aligned(size_t align, size_t size)
{
    struct thread *self = arenap_tls.record;
    char *base, *block;

    if (align <= ARENA_GRANULE)
        return heap_alloc(size);
    if (self != NULL && ARENA_UNLIKELY(self->scope != NULL))
        return arenap_scope_alloc(self, align, size);
    if (align > PTRDIFF_MAX / 2 || size > PTRDIFF_MAX / 2) {
        arenap_fail(ENOMEM,
                    "cannot allocate %zu bytes: no object is that large",
                    size);
        return NULL;
    }
    if (align <= ARENA_PAGE) {
        block = heap_alloc_in_place(align, size);
        if (ARENA_LIKELY(((uintptr_t)block & (align - 1)) == 0))
            return block;
        /* It came alone, and as the collector places a block of its size:
         * memory is short, or there is no slab for its class. */
        arena_free(block);
    }
    base = heap_take(size + align + sizeof(struct aligned));
    if (base == NULL)
        return NULL;
    block = (char *)arenap_round_up(
        (uintptr_t)base + sizeof(struct aligned), align);
    ((struct aligned *)(void *)block)[-1].mark = ~(uintptr_t)block;
    return block;
}

/* Give the pages of a huge block back, and leave the block as it is.  But if
 * such blocks come and go, that would cost more than it is worth: no more than
 * is in use until the next collection. */
static void
give_pages(void *base, size_t size)
{
    static _Atomic uint64_t since;
    static _Atomic size_t given;
    uint64_t cycle = arenap_collector_cycle();

    if (atomic_exchange(&since, cycle) != cycle)
        atomic_store(&given, 0);
    if (atomic_fetch_add(&given, size) < arenap_collector_in_use())
        arenap_os_discard(base, size);
}

/* Put a block at hand, or give it back to the collector, which said in cycle
 * that it is one of the heap. */
static void
heap_give(struct thread *self, void *base, size_t size, uint64_t cycle)
{
    unsigned class = arenap_sizeclass_exact(size);

    if (arenap_magazine_make_room(self, class)) {
        if (!arenap_sizeclass_is_tiled(class))
            arenap_blockmap_set((uintptr_t)base, cycle, class);
        if (arenap_magazine_push(&self->bins, class, base))
            return;
    }
    arenap_count(&self->heap.requested, (size_t)0 - size);
    arenap_count(&self->heap.count, (size_t)0 - 1);
    if (size >= HEAP_HUGE)
        give_pages(base, size);
    ((uintptr_t *)base)[1] = arenap_magazine_sign(base);
    if (arenap_slab_free(base))
        return;
    arenap_slab_gone(class);
    /* Its pages may be others' at once. */
    if (size > SIZECLASS_SMALL_LAST)
        arenap_blockmap_set((uintptr_t)base, cycle, SIZECLASS_NONE);
    arenap_collector_free_heap(self, base, size);
}

static int
fail_no_block(const void *ptr)
{
    return arenap_fail(EINVAL,
                       "%p is not the start of a block that can be freed",
                       ptr);
}

enum heap_freed
arenap_heap_free(void *ptr, void *base, size_t size, uint64_t cycle)
{
    struct thread *self = arenap_thread_self();

    if (ptr != base && !aligned_is(ptr, base)) {
        fail_no_block(ptr);
        return HEAP_NO_BLOCK;
    }
    if (arenap_magazine_is_free(base)) {
        arenap_fail(EINVAL, "the block at %p has been freed already", ptr);
        return HEAP_FREE_ALREADY;
    }
    /* Else the collector may have had it already, or may have it before it is
     * given back. */
    if (!arenap_collector_stops(self))
        return HEAP_FREED;
    arenap_phantom_freed(base);
    heap_give(self, base, size, cycle);
    return HEAP_FREED;
}

/* The class of the block that begins there, if that is known without asking
 * the collector, and it is not free; or SIZECLASS_NONE. */
static inline unsigned
heap_class(const void *ptr)
{
    unsigned class =
        arenap_blockmap_get((uintptr_t)ptr, arenap_collector_cycle());

    return ARENA_LIKELY(arenap_sizeclass_begins(class, (uintptr_t)ptr)
                        && !arenap_magazine_is_free(ptr))
               ? class
               : SIZECLASS_NONE;
}

/* Out of line, so that the short way calls nothing. */
ARENA_NOINLINE static bool
free_watched(struct thread *self, void *ptr, unsigned class)
{
    arenap_phantom_freed_slow(ptr);
    return arenap_magazine_push(&self->bins, class, ptr);
}

bool
arenap_heap_free_at_hand(void *ptr)
{
    struct thread *self = arenap_tls.record;
    unsigned class;

    if (ARENA_UNLIKELY(self == NULL)
        || ARENA_UNLIKELY((class = heap_class(ptr)) == SIZECLASS_NONE))
        return false;
    if (arenap_phantom_is_any())
        return free_watched(self, ptr, class);
    return arenap_magazine_push(&self->bins, class, ptr);
}

/* --- Whose block is it? --- */

static bool
on_stack(struct thread *self, uintptr_t ptr)
{
    char here;

    if (atomic_load(&self->stack_hi) == 0)
        arenap_roots_stack(self);
    return ptr >= (uintptr_t)&here
           && ptr < atomic_load(&self->stack_hi);
}

/* Could libc's malloc have made it?  Not what the collector or we hold, not
 * in a loaded module, not on this stack, and after a size that can be. */
static bool
is_libc_block(struct thread *self, const void *ptr)
{
    struct maps_point point = {(uintptr_t)ptr, false};
    size_t size;
    Dl_info info;

    if (((uintptr_t)ptr & (ARENA_GRANULE - 1)) != 0
        || (uintptr_t)ptr < ARENA_PAGE || arenap_pagemap_get(ptr) != NULL)
        return false;
    arenap_maps_collector_each(arenap_maps_point_visit, &point);
    arenap_os_meta_each(arenap_maps_point_visit, &point);
    if (point.inside || on_stack(self, (uintptr_t)ptr)
        || dladdr(ptr, &info) != 0
        || !arenap_os_readable((const size_t *)ptr - 1))
        return false;
    if (!arenap_os_malloc_is_libc())
        return true; /* blocks of others have no header that we know */
    size = ((const size_t *)ptr)[-1] & ~(size_t)7;
    return size >= 32 && size <= PTRDIFF_MAX
           && (size & (ARENA_GRANULE - 1)) == 0;
}

/* What is known, but nothing to free here.  -1, with errno EINVAL. */
static int
fail_others(void *block, enum block found)
{
    const struct arena *arena = arena_of(block);

    if (found == BLOCK_BUFFER)
        return arenap_fail(EINVAL,
                           "%p is or has the bytes of a direct buffer, which "
                           "arena_buffer_free frees",
                           block);
    if (arena != NULL && arena->kind != ARENA_IMPLICIT)
        return arenap_fail(EINVAL,
                           "%p is memory of an arena, which is freed with it",
                           block);
    return fail_no_block(block);
}

/* A block that the arena of a scope keeps, or libc's, or none. */
static int
free_others(void *block, enum block found)
{
    if (arenap_scope_is_block(block))
        return 0;
    if (found != BLOCK_NONE || !is_libc_block(arenap_thread_self(), block))
        return fail_others(block, found);
    free(block);
    return 0;
}

ARENA_NOINLINE static void
free_slow(void *block)
{
    uint64_t cycle = arenap_collector_cycle();
    int saved = errno, result;
    enum block found;
    size_t size;
    void *base;

    if (block == NULL || arenap_thread_self() == NULL)
        return;
    found = arenap_collector_find(block, &base, &size);
    switch (found) {
    case BLOCK_HEAP:
        result =
            arenap_heap_free(block, base, size, cycle) == HEAP_FREED ? 0 : -1;
        break;
    case BLOCK_IMPLICIT:
        result = arenap_implicit_free(block, base) ? 0 : fail_no_block(block);
        break;
    default:
        result = free_others(block, found);
        break;
    }
    if (result == 0)
        errno = saved;
}

void
arena_free(void *block)
{
    if (ARENA_UNLIKELY(!arenap_heap_free_at_hand(block)))
        free_slow(block);
}

/* The bytes from ptr to the end of its block; SIZE_MAX if none that can be
 * freed begins there: for that, *found is what the collector says. */
static size_t
room_of(void *ptr, enum block *found)
{
    unsigned class = heap_class(ptr);
    size_t size, room = ARENA_HEAP_NO_BLOCK;
    void *base;

    *found = BLOCK_HEAP;
    if (ARENA_LIKELY(class != SIZECLASS_NONE))
        return arenap_sizeclass[class].bytes;
    *found = arenap_collector_find(ptr, &base, &size);
    if (*found == BLOCK_HEAP) {
        if ((ptr == base || aligned_is(ptr, base))
            && !arenap_magazine_is_free(base))
            room = size - (size_t)((char *)ptr - (char *)base);
    } else if (*found == BLOCK_IMPLICIT
               && !arenap_implicit_size(ptr, base, &room)) {
        room = ARENA_HEAP_NO_BLOCK;
    }
    return room;
}

size_t
arenap_heap_room(void *ptr)
{
    enum block found;

    return room_of(ptr, &found);
}

bool
arenap_heap_is_block(void *ptr)
{
    return arenap_heap_room(ptr) != ARENA_HEAP_NO_BLOCK;
}

/* --- Public --- */

void *
arena_malloc(size_t size)
{
    return heap_alloc(size);
}

void *
arena_calloc(size_t count, size_t size)
{
    size_t bytes;
    void *block;

    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    block = heap_alloc(bytes);
    if (ARENA_LIKELY(block != NULL)) {
        if (ARENA_LIKELY(bytes < HEAP_CLEAR))
            memset(block, 0, bytes);
        else
            arenap_os_clear(block, bytes);
    }
    return block;
}

/* A block that grows is likely to grow again: huge ones, which cannot grow
 * where they are, move to where there is more room than they need, if memory
 * is not short.  So one that grows by a little each time is not copied as
 * often. */
static void *
alloc_to_move(size_t room, size_t size)
{
    size_t limit = arena_limit();

    if (size >= HEAP_ROOMY && size > room && size < limit / 8
        && arenap_budget_charged() < limit / 2)
        size += size / 8;
    return heap_take(size);
}

static void *
realloc_ours(void *block, size_t room, size_t size)
{
    void *moved;

    if (size <= room && size >= room / 2)
        return block;
    moved = alloc_to_move(room, size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, room < size ? room : size);
    arena_free(block);
    return moved;
}

/* A block of an arena, or libc's, or none. */
static void *
realloc_others(struct thread *self, void *block, size_t size,
               enum block found)
{
    struct arena *arena = arenap_scope_arena(block);

    if (arena != NULL)
        return arenap_scope_realloc(self, arena, block, size);
    if (found == BLOCK_NONE && is_libc_block(self, block))
        return realloc(block, size);
    fail_others(block, found);
    return NULL;
}

void *
arena_realloc(void *block, size_t size)
{
    struct thread *self = arenap_thread_self();
    enum block found;
    size_t room;

    if (block == NULL)
        return heap_alloc(size);
    if (self == NULL) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    room = room_of(block, &found);
    if (room == ARENA_HEAP_NO_BLOCK)
        return realloc_others(self, block, size, found);
    if (size == 0) {
        arena_free(block);
        return NULL;
    }
    return realloc_ours(block, room, size);
}

void *
arena_reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return arenap_fail_null(ENOMEM,
                                "cannot allocate %zu times %zu bytes: no "
                                "object is that large",
                                count, size);
    return arena_realloc(block, bytes);
}

void *
arena_aligned_alloc(size_t align, size_t size)
{
    if (!arenap_is_pow2(align))
        return arenap_fail_null(EINVAL, "an alignment of %zu is not a power "
                                        "of two",
                                align);
    return heap_alloc_aligned(align, size);
}

int
arena_posix_memalign(void **out, size_t align, size_t size)
{
    int saved = errno;
    void *block;

    if (!arenap_is_pow2(align) || align % sizeof(void *) != 0)
        return EINVAL;
    block = heap_alloc_aligned(align, size);
    errno = saved;
    if (block == NULL)
        return ENOMEM;
    *out = block;
    return 0;
}

size_t
arena_usable_size(void *block)
{
    struct thread *self = arenap_thread_self();
    enum block found;
    struct arena *arena;
    size_t room;

    if (block == NULL || self == NULL)
        return 0;
    room = room_of(block, &found);
    if (room != ARENA_HEAP_NO_BLOCK)
        return room;
    arena = arenap_scope_arena(block);
    if (arena != NULL)
        return arenap_scope_room(arena, block);
    return found == BLOCK_NONE && is_libc_block(self, block)
               ? arenap_os_usable(block)
               : 0;
}
