/* heap.c: see heap.h and arena/heap.h. */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../include/arena/heap.h"
#include "budget.h"
#include "cleaner.h"
#include "collected.h"
#include "collector.h"
#include "error.h"
#include "heap.h"
#include "internal.h"
#include "maps.h"
#include "os.h"
#include "pagemap.h"
#include "payload.h"
#include "phantom.h"
#include "roots.h"
#include "thread.h"
#include "usage.h"

/* A thread asks the collector for its figures once in so many bytes. */
#define HEAP_STEP ((size_t)64 * 1024)

/* The collector clears small blocks that are freed, and links them. */
#define HEAP_SMALL ((size_t)2048)

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
            arenap_budget_release(charged - in_use);
            return;
        }
}

/* Raise or lower the charge to what is in use and what is about to be. */
static int
heap_update(size_t more)
{
    size_t goal = heap_in_use() + more;
    size_t charged = atomic_load(&heap.charged);

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
heap_account(struct thread *self, size_t size)
{
    size_t more = self->heap_unaccounted + size;
    bool idle = false;
    int result;

    if (atomic_compare_exchange_strong(&heap.updating, &idle, true)) {
        result = heap_update(size < HEAP_STEP ? HEAP_STEP : size);
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

void
arenap_heap_figures(struct heap_figures *out)
{
    size_t count = 0, requested = 0;

    *out = (struct heap_figures){atomic_load(&heap.charged), 0, 0};
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next) {
        count += atomic_load(&t->heap.count);
        requested += atomic_load(&t->heap.requested);
    }
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

static void *
heap_alloc(size_t size)
{
    struct thread *self = arenap_thread_self();
    void *block;

    if (ARENA_UNLIKELY(self == NULL)) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    if (ARENA_UNLIKELY(size > PTRDIFF_MAX - ARENA_PAGE)) {
        arenap_fail(ENOMEM,
                    "cannot allocate %zu bytes: no object is that large",
                    size);
        return NULL;
    }
    if ((ARENA_UNLIKELY(!atomic_load_explicit(&heap.used,
                                              memory_order_relaxed))
         && heap_start(self) != 0)
        || arenap_collector_attach(self) != 0)
        return NULL;
    self->heap_unaccounted += size;
    if (ARENA_UNLIKELY(self->heap_unaccounted >= HEAP_STEP)
        && heap_account(self, size) != 0) {
        self->heap_unaccounted -= size;
        return NULL;
    }
    block = arenap_collector_alloc(self, BLOCK_HEAP, size + (size == 0));
    if (ARENA_UNLIKELY(block == NULL) && arenap_cleaner_reclaim())
        block = arenap_collector_alloc(self, BLOCK_HEAP, size + (size == 0));
    if (ARENA_UNLIKELY(block == NULL)) {
        arenap_fail_system(size);
        return NULL;
    }
    arenap_count(&self->heap.requested, arenap_collector_size(block));
    arenap_count(&self->heap.count, 1);
    return block;
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

static void *
heap_alloc_aligned(size_t align, size_t size)
{
    char *base, *block;

    if (align <= ARENA_GRANULE)
        return heap_alloc(size);
    if (align > PTRDIFF_MAX / 2 || size > PTRDIFF_MAX / 2) {
        arenap_fail(ENOMEM,
                    "cannot allocate %zu bytes: no object is that large",
                    size);
        return NULL;
    }
    base = heap_alloc(size + align + sizeof(struct aligned));
    if (base == NULL)
        return NULL;
    block = (char *)arenap_round_up(
        (uintptr_t)base + sizeof(struct aligned), align);
    ((struct aligned *)(void *)block)[-1].mark = ~(uintptr_t)block;
    return block;
}

/* Does a block look as if it were free already?  All zero but for a link to
 * another one of its size.  Then it is left to the collector: that costs a
 * little if it was not free, while a second free would hand it out twice. */
static bool
looks_free(const void *base, size_t size)
{
    const uintptr_t *word = base;
    enum block kind;
    void *link;
    size_t link_size;

    for (size_t i = 1; i < size / sizeof *word; i++)
        if (word[i] != 0)
            return false;
    if (word[0] == 0)
        return true;
    kind = arenap_collector_find((const void *)word[0], &link, &link_size);
    return kind == BLOCK_HEAP && link == (const void *)word[0]
           && link_size == size;
}

bool
arenap_heap_free(void *ptr, void *base, size_t size)
{
    struct thread *self = arenap_thread_self();

    if (ptr != base && !aligned_is(ptr, base))
        return false;
    arenap_phantom_freed(base);
    if (size <= HEAP_SMALL && looks_free(base, size))
        return true;
    if (self != NULL) {
        arenap_count(&self->heap.requested, (size_t)0 - size);
        arenap_count(&self->heap.count, (size_t)0 - 1);
    }
    arenap_collector_free(base);
    return true;
}

/* --- Whose block is it? --- */

struct address {
    uintptr_t ptr;
    bool inside;
};

static void
address_visit(uintptr_t lo, uintptr_t hi, void *context)
{
    struct address *address = context;

    address->inside |= address->ptr >= lo && address->ptr < hi;
}

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
    struct address address = {(uintptr_t)ptr, false};
    size_t size;
    Dl_info info;

    if (((uintptr_t)ptr & (ARENA_GRANULE - 1)) != 0
        || (uintptr_t)ptr < ARENA_PAGE || arenap_pagemap_get(ptr) != NULL)
        return false;
    arenap_maps_collector_each(address_visit, &address);
    arenap_os_meta_each(address_visit, &address);
    if (address.inside || on_stack(self, (uintptr_t)ptr)
        || dladdr(ptr, &info) != 0
        || !arenap_os_readable((const size_t *)ptr - 1))
        return false;
    if (!arenap_os_malloc_is_libc())
        return true; /* blocks of others have no header that we know */
    size = ((const size_t *)ptr)[-1] & ~(size_t)7;
    return size >= 32 && size <= PTRDIFF_MAX
           && (size & (ARENA_GRANULE - 1)) == 0;
}

static int
fail_no_block(const void *ptr)
{
    return arenap_fail(EINVAL,
                       "%p is not the start of a block that can be freed",
                       ptr);
}

void
arena_free(void *block)
{
    struct thread *self = arenap_thread_self();
    int saved = errno;
    bool done = false;
    size_t size;
    void *base;

    if (block == NULL || self == NULL)
        return;
    switch (arenap_collector_find(block, &base, &size)) {
    case BLOCK_HEAP:
        done = arenap_heap_free(block, base, size);
        break;
    case BLOCK_IMPLICIT:
        done = arenap_implicit_free(block, base);
        break;
    case BLOCK_NONE:
        done = is_libc_block(self, block);
        if (done)
            free(block);
        break;
    default:
        break;
    }
    if (done)
        errno = saved;
    else
        fail_no_block(block);
}

#define NO_BLOCK SIZE_MAX

/* The bytes from ptr to the end of its block, less the collector's slop; or
 * NO_BLOCK. */
size_t
arenap_heap_room(void *ptr)
{
    size_t size, room = NO_BLOCK;
    void *base;

    switch (arenap_collector_find(ptr, &base, &size)) {
    case BLOCK_HEAP:
        if (ptr == base || aligned_is(ptr, base))
            room = size - 1 - (size_t)((char *)ptr - (char *)base);
        break;
    case BLOCK_IMPLICIT:
        if (!arenap_implicit_size(ptr, base, &room))
            room = NO_BLOCK;
        break;
    default:
        break;
    }
    return room;
}

bool
arenap_heap_is_block(void *ptr)
{
    return arenap_heap_room(ptr) != NO_BLOCK;
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

    /* The collector clears blocks of this kind. */
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    return heap_alloc(bytes);
}

static void *
realloc_ours(void *block, size_t room, size_t size)
{
    void *moved;

    if (size <= room && size >= room / 2)
        return block;
    moved = heap_alloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, room < size ? room : size);
    arena_free(block);
    return moved;
}

void *
arena_realloc(void *block, size_t size)
{
    struct thread *self = arenap_thread_self();
    size_t room, own;
    void *base;

    if (block == NULL)
        return heap_alloc(size);
    if (self == NULL)
        return arenap_fail_null(ENOMEM, "%s", arena_error());
    if (arenap_collector_find(block, &base, &own) == BLOCK_NONE) {
        if (is_libc_block(self, block))
            return realloc(block, size);
        fail_no_block(block);
        return NULL;
    }
    room = arenap_heap_room(block);
    if (room == NO_BLOCK) {
        fail_no_block(block);
        return NULL;
    }
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
    size_t room, own;
    void *base;

    if (block == NULL || self == NULL)
        return 0;
    if (arenap_collector_find(block, &base, &own) != BLOCK_NONE) {
        room = arenap_heap_room(block);
        return room != NO_BLOCK ? room : 0;
    }
    return is_libc_block(self, block) ? arenap_os_usable(block) : 0;
}
