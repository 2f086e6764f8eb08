/* peer_libgc.c: see peer_libgc.h.  The one file here that includes gc.h. */

#include "peer_libgc.h"

#include <stdlib.h>
#include <string.h>

#define GC_THREADS
#include <gc/gc.h>
#include <gc/gc_disclaim.h>

void
peer_libgc_begin(const struct bench_work *work)
{
    (void)work;
    GC_INIT();
    GC_allow_register_threads();
    GC_init_finalized_malloc();
}

void
peer_libgc_collect(void)
{
    GC_gcollect();
}

void
peer_libgc_collect_twice(void)
{
    GC_gcollect();
    GC_gcollect();
}

/* --- Blocks --- */

/* Was the thread not known? */
static bool
attach(void)
{
    struct GC_stack_base base;

    if (GC_thread_is_registered())
        return false;
    if (GC_get_stack_base(&base) != GC_SUCCESS
        || GC_register_my_thread(&base) != GC_SUCCESS)
        bench_fail("GC_register_my_thread");
    return true;
}

/* A function that does this with the work's blocks; attached says whether it
 * has to detach the thread. */
#define RUN(name, action)                                                     \
    void peer_libgc_##name(const struct bench_work *work, size_t loops)       \
    {                                                                         \
        bool attached = attach();                                             \
        size_t size = work->size;                                             \
                                                                              \
        for (size_t n = loops * work->blocks; n > 0; n--)                     \
            action;                                                           \
        if (attached)                                                         \
            GC_unregister_my_thread();                                        \
    }

RUN(run, bench_touch(GC_malloc(size)))
RUN(run_atomic, bench_touch(memset(GC_malloc_atomic(size), 0, size)))

static void GC_CALLBACK
finalized(void *object, void *data)
{
    (void)object;
    (void)data;
}

static const struct GC_finalizer_closure closure = {finalized, NULL};

RUN(run_finalized, bench_touch(GC_finalized_malloc(size, &closure)))

static void
alloc_and_free(size_t size)
{
    void *block = GC_malloc(size);

    bench_touch(block);
    GC_free(block);
}

RUN(run_free, alloc_and_free(size))

/* --- Deaths that are told --- */

struct handle {
    void *block;
};

static void GC_CALLBACK
handle_dead(void *object, void *data)
{
    struct handle *handle = object;

    (void)data;
    free(handle->block);
}

static void
handle_new(size_t size)
{
    struct handle *handle = GC_malloc_atomic(sizeof(*handle));

    handle->block = calloc(1, size);
    GC_register_finalizer_no_order(handle, handle_dead, NULL, NULL, NULL);
    bench_touch(handle->block);
}

RUN(run_handle, handle_new(size))

static size_t dead;

static void GC_CALLBACK
note_dead(void *object, void *data)
{
    (void)object;
    (void)data;
    dead++;
}

static void
finalizer_new(size_t size, bool undone)
{
    void *block = GC_malloc(size);

    GC_register_finalizer_no_order(block, note_dead, NULL, NULL, NULL);
    bench_touch(block);
    if (undone)
        GC_register_finalizer_no_order(block, NULL, NULL, NULL, NULL);
}

RUN(run_finalizer, finalizer_new(size, false))
RUN(run_finalizer_undone, finalizer_new(size, true))

/* Slots in memory that is not scanned, used in turn. */
static void **slots;
static size_t slots_size;

void
peer_libgc_run_link(const struct bench_work *work, size_t loops)
{
    if (slots_size < loops) {
        free(slots);
        slots = bench_need(calloc(loops, sizeof(void *)), "calloc");
        slots_size = loops;
    }
    for (size_t i = 0; i < loops; i++) {
        void *block = GC_malloc(work->size);

        bench_touch(block);
        slots[i] = (void *)GC_HIDE_POINTER(block);
        GC_register_long_link(&slots[i], block);
    }
    GC_gcollect();
    for (size_t i = 0; i < loops; i++) {
        dead += slots[i] == NULL;
        if (slots[i] != NULL)
            GC_unregister_long_link(&slots[i]);
    }
}

/* --- A live heap --- */

static void **first; /* of the list */

void
peer_libgc_fill(size_t count, size_t size)
{
    while (count-- > 0) {
        void **block = bench_need(GC_malloc(size), "GC_malloc");

        *block = first;
        first = block;
    }
}

static void **table;

void
peer_libgc_fill_atomic(size_t count, size_t size)
{
    table = bench_need(GC_malloc(count * sizeof *table), "GC_malloc");
    for (size_t i = 0; i < count; i++)
        bench_touch(
            table[i] = bench_need(GC_malloc_atomic(size), "GC_malloc_atomic"));
}
