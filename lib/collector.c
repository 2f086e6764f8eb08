/*
 * collector.c: starting the Boehm collector, 8.2 and later.  Its sides are in
 * collector_*.c, which alone include gc.h:
 *
 *   _kinds     what our blocks are to it
 *   _threads   which threads it knows
 *   _blocks    having blocks, and freeing them
 *   _find      what is at an address; _links: what is cleared by a death
 *   _hooks     what we do when a collection begins, and marks; _mark: what is
 *              asked of it meanwhile
 *   _events    as a collection gets on
 *   _collect   collecting
 *
 * No setting of the process is changed; hooks are chained.
 */

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "../include/arena/budget.h"
#include "blockmap.h"
#include "collector.h"
#include "collector_gc.h"
#include "error.h"
#include "internal.h"
#include "maps.h"
#include "roots.h"
#include "thread.h"

/* What the heap begins with; and for a program that knows nothing of it, and
 * is to stay small if it leaks. */
#define HEAP_FIRST ((size_t)16 << 20)
#define HEAP_FIRST_UNKNOWING ((size_t)8 << 20)

struct arenap_gc arenap_gc = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .heap_first = HEAP_FIRST};

static const char *
collector_unusable(void)
{
    if (GC_get_find_leak())
        return "the collector only looks for leaks in this process";
    if (GC_is_incremental_mode())
        return "the collector runs in incremental mode, which write-protects "
               "memory";
    if (!GC_get_all_interior_pointers())
        return "the collector ignores interior pointers in this process";
    return NULL;
}

/* The collector begins with a heap of 64 KiB, and collects hundreds of times
 * before it has grown to a useful size. */
static void
heap_begin(void)
{
    size_t share = arena_limit() / 8;

    GC_expand_hp(share < arenap_gc.heap_first ? share : arenap_gc.heap_first);
}

/* The heap grows by this part of itself when a block does not fit.  Left to
 * itself the collector grows it by as much as may be allocated between two
 * collections: then large blocks find room at its end, and the places that
 * others have left stay empty beside them. */
#define HEAP_GROWTH 16

void
arenap_collector_prepare(int suspend, int restart)
{
    GC_set_suspend_signal(suspend);
    GC_set_thr_restart_signal(restart);
    arenap_gc.paced = getenv("GC_FREE_SPACE_DIVISOR") == NULL;
    if (arenap_gc.paced)
        GC_set_free_space_divisor(HEAP_GROWTH);
    arenap_gc_listen();
    arenap_gc.heap_first = HEAP_FIRST_UNKNOWING;
    /* Libraries' data is found with the mappings.  Going through the list of
     * libraries takes a lock of the loader's, which another thread may hold
     * while it waits for memory. */
    GC_set_no_dls(1);
}

bool
arenap_collector_is_earlier(void)
{
    return GC_is_init_called();
}

/* Long tables without pointers that keep anything: most of what a small
 * program has. */
static void
roots_exclude(void)
{
    void *lo, *hi;

    GC_exclude_static_roots(arenap_blockmap,
                            arenap_blockmap
                                + ((size_t)1 << BLOCKMAP_ROOT_BITS));
    arenap_maps_notes(&lo, &hi);
    GC_exclude_static_roots(lo, hi);
}

static void
collector_init(struct thread *self)
{
    bool ours;

    /* Before the collector takes memory, so that all of it is known. */
    arenap_maps_watch();
    ours = !GC_is_init_called();
    if (ours)
        GC_set_warn_proc(GC_ignore_warn_proc);
    /* Nor may who starts a set-id program choose a file for it to write. */
    if (ours && getauxval(AT_SECURE) != 0)
        unsetenv("GC_LOG_FILE");
    GC_INIT();
    GC_allow_register_threads();
    /* The collector takes the thread that starts it for the main one, and
     * would wait for it when it has ended. */
    if (ours && self->tid != getpid())
        atomic_store(&self->attached, ATTACHED_OURS);
    if (ours && getenv("GC_INITIAL_HEAP_SIZE") == NULL)
        heap_begin();
    arenap_gc.reason = collector_unusable();
    if (arenap_gc.reason != NULL) {
        atomic_store(&arenap_gc.state, UNUSABLE);
        return;
    }
    arenap_gc_kinds_make();
    roots_exclude();
    arenap_roots_prepare(); /* takes memory, which a collection should not */
    arenap_gc_hook();
    arenap_gc_links_begin();
    arenap_gc_watch();
    atomic_store(&arenap_gc.state, STARTED);
}

bool
arenap_collector_started(void)
{
    return atomic_load_explicit(&arenap_gc.state, memory_order_acquire)
           == STARTED;
}

ARENA_COLD static int
collector_start_slow(struct thread *self)
{
    pthread_mutex_lock(&arenap_gc.lock);
    if (atomic_load(&arenap_gc.state) == NOT_STARTED)
        collector_init(self);
    pthread_mutex_unlock(&arenap_gc.lock);
    if (atomic_load(&arenap_gc.state) == UNUSABLE)
        return arenap_fail(ENOTSUP, "%s", arenap_gc.reason);
    return 0;
}

int
arenap_collector_start(void)
{
    struct thread *self;

    if (arenap_collector_started())
        return 0;
    self = arenap_thread_self();
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    return collector_start_slow(self);
}

void
arenap_collector_fork_child(void)
{
    pthread_mutex_init(&arenap_gc.lock, NULL);
}
