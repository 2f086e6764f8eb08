/* interpose.c: see interpose.h. */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "../include/arena/heap.h"
#include "cleaner.h"
#include "implicit.h"
#include "collector.h"
#include "environment.h"
#include "error.h"
#include "heap.h"
#include "internal.h"
#include "interpose.h"
#include "linkage.h"
#include "maps.h"
#include "os.h"
#include "pagemap.h"
#include "roots.h"
#include "scope.h"
#include "stop.h"
#include "thread.h"

static const void *
collector_code(void)
{
    return dlsym(RTLD_DEFAULT, "GC_gcollect");
}

void
arena_interpose_bypass(const struct arena_interposed *own, size_t count)
{
    const void *collector = collector_code();

    for (size_t i = 0; i < count; i++) {
        if (own[i].function == NULL)
            continue;
        arenap_linkage_replace((void *)arena_interpose_bypass, own[i].name,
                               own[i].function);
        arenap_linkage_replace(collector, own[i].name, own[i].function);
    }
    arenap_os_malloc_is_bypassed();
}

/* A program, guile for one, that has its own ways with the collector: which
 * pointers count, what is searched, who is told.  Two cannot have theirs. */
static const char *
other_master(void)
{
    static const char *const names[] = {
        "GC_set_all_interior_pointers",
        "GC_all_interior_pointers",
        "GC_set_start_callback",
        "GC_set_push_other_roots",
        "GC_set_on_collection_event",
        "GC_set_find_leak",
        "GC_find_leak",
        "GC_enable_incremental",
        "GC_clear_roots",
        "GC_set_suspend_signal",
        NULL,
    };

    return arenap_linkage_user("libgc.so.", names, collector_code(),
                               (void *)arena_interpose_start);
}

/*
 * With threads that help it to mark, the process would have more than one.
 * Some calls then fail (unshare of users), and the rights that a program gives
 * up step by step are those of one thread, which libc does not forgive: it
 * ends the process if setgid succeeds in one thread and not in another.  So
 * there are none before the program has threads itself, or so much memory that
 * it must be worth the while.
 */
#define MEMORY_ALONE ((size_t)16 << 20)

static _Atomic bool alone;

void
arena_interpose_threads(void)
{
    int saved = errno;

    if (!atomic_load(&alone) || !atomic_exchange(&alone, false))
        return;
    arenap_maps_refuse_threads(false);
    arenap_collector_get_help();
    errno = saved;
}

/* --- The stack below ---
 *
 * Once in about thirteen times the collector clears 16 KiB of the stack below
 * it, so that what earlier calls left there keeps nothing.  A program that was
 * made for libc's malloc may have less: near the end of a thread's stack, or
 * on one of a coroutine's, which it took from malloc.  There nothing is
 * cleared. */
#define CLEAR_ONE_IN 13u
#define CLEAR_BYTES ((size_t)16 * 1024)

ARENA_NOINLINE static void
clear_below(void)
{
    char below[CLEAR_BYTES];

    memset(below, 0, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
}

/* What it returns to its caller passes through. */
static void *
answer_clear_stack(void *block)
{
    static _Atomic unsigned calls; /* not exact */
    unsigned call = atomic_load_explicit(&calls, memory_order_relaxed);
    const struct thread *self = arenap_tls.record;

    atomic_store_explicit(&calls, call + 1, memory_order_relaxed);
    if (call % CLEAR_ONE_IN == 0 && self != NULL
        && arenap_roots_stack_left(self) >= 2 * CLEAR_BYTES)
        clear_below();
    return block;
}

int
arena_interpose_start(int suspend, int restart)
{
    const char *other = other_master();

    if (other != NULL)
        return arenap_fail(ENOTSUP, "%s sets up the collector in its own way",
                           other);
    if (!arenap_collector_is_earlier()) {
        arenap_collector_prepare(suspend, restart);
        arenap_maps_refuse_threads(true);
        atomic_store(&alone, true);
        arenap_stop_answer(collector_code(), suspend, restart);
        arenap_linkage_replace(collector_code(), "GC_clear_stack",
                               (void *)answer_clear_stack);
    }
    if (arena_thread_attach() != 0)
        return -1;
    return arena_set_roots(ARENA_ROOTS_ALL);
}

size_t
arena_interpose_gc_every(void)
{
    return arenap_cleaner_collect_every(0);
}

void
arena_interpose_ignore(const char *name, const char *value)
{
    arenap_environment_ignore(name, value);
}

const char *
arena_interpose_ignored(size_t index)
{
    return arenap_environment_ignored(index);
}

void *
arena_interpose_alloc_at_hand(size_t size)
{
    return arenap_heap_alloc_at_hand(size);
}

bool
arena_interpose_free_at_hand(void *block)
{
    return arenap_heap_free_at_hand(block);
}

bool
arena_interpose_free(void *block)
{
    uint64_t cycle = arenap_collector_cycle();
    size_t size;
    void *base;

    switch (arenap_collector_find(block, &base, &size)) {
    case BLOCK_HEAP:
        return arenap_heap_free(block, base, size, cycle) != HEAP_NO_BLOCK;
    case BLOCK_IMPLICIT:
        return arenap_implicit_free(block, base);
    default:
        return arenap_scope_arena(block) != NULL;
    }
}

bool
arena_interpose_mappings(
    void (*visit)(uintptr_t lo, uintptr_t hi, void *context), void *context)
{
    return arenap_maps_all(visit, context);
}

bool
arena_interpose_holds(const void *ptr)
{
    struct maps_point point = {(uintptr_t)ptr,
                               arenap_pagemap_get(ptr) != NULL};

    /* Pages without a block, too. */
    arenap_maps_collector_each(arenap_maps_point_visit, &point);
    return point.inside;
}

size_t
arena_interpose_room(void *block)
{
    size_t room = arenap_heap_room(block);
    struct arena *arena;

    if (room == SIZE_MAX && (arena = arenap_scope_arena(block)) != NULL)
        room = arenap_scope_room(arena, block);
    return room;
}

bool
arena_interpose_in_arena(void *block)
{
    return arenap_scope_arena(block) != NULL;
}

size_t
arena_interpose_extent(void *block)
{
    struct thread *self = arenap_thread_self();
    struct arena *arena = arenap_scope_arena(block);

    return self != NULL && arena != NULL
               ? arenap_scope_extent(self, arena, block)
               : 0;
}

void
arena_interpose_scopes(void (*told)(bool any))
{
    arenap_scope_tell(told);
}

struct scope *
arena_interpose_hide(void)
{
    return arenap_scope_hide();
}

void
arena_interpose_show(struct scope *hidden)
{
    arenap_scope_show(hidden);
}

bool
arena_interpose_collect(void)
{
    return arenap_cleaner_collect();
}

void
arena_interpose_sleep(void)
{
    arenap_stop_sleep();
}

void
arena_interpose_wake(void)
{
    arenap_stop_wake();
}

bool
arena_interpose_is_asleep(void)
{
    return arenap_stop_is_asleep();
}

const volatile uint32_t *
arena_interpose_stops(void)
{
    return &arenap_tls.stops;
}

ARENA_COLD static bool
gave_up_slow(void)
{
    static _Atomic bool forbidden;

    if (!arenap_stop_is_hopeless()) {
        arenap_stop_resume();
        return false;
    }
    if (!atomic_exchange(&forbidden, true))
        arenap_collector_forbid();
    return true;
}

bool
arena_interpose_gave_up(void)
{
    if (atomic_load_explicit(&alone, memory_order_relaxed)
        && arenap_collector_in_use() > MEMORY_ALONE)
        arena_interpose_threads();
    return ARENA_UNLIKELY(arenap_stop_is_troubled()) && gave_up_slow();
}
