/* peer_libgc.c: see peer_libgc.h.  The one file here that includes gc.h. */

#include "peer_libgc.h"

#include <stdlib.h>
#include <string.h>

#include <gc.h>

#include "bench.h"

void
peer_libgc_begin(void)
{
    GC_INIT();
}

void
peer_libgc_run(size_t loops)
{
    while (loops-- > 0)
        bench_touch(GC_malloc(PEER_BLOCK));
    GC_gcollect();
}

void
peer_libgc_run_atomic(size_t loops)
{
    while (loops-- > 0)
        bench_touch(memset(GC_malloc_atomic(PEER_BLOCK), 0, PEER_BLOCK));
    GC_gcollect();
}

void
peer_libgc_run_many(size_t loops)
{
    void *blocks[PEER_BLOCKS];

    while (loops-- > 0) {
        for (int i = 0; i < PEER_BLOCKS; i++) {
            blocks[i] = GC_malloc(PEER_BLOCK);
            bench_touch(blocks[i]);
        }
    }
    memset(blocks, 0, sizeof(blocks));
    GC_gcollect();
}

struct handle {
    void *block;
};

static void
handle_dead(void *object, void *data)
{
    struct handle *handle = object;

    (void)data;
    free(handle->block);
}

void
peer_libgc_run_handle(size_t loops)
{
    while (loops-- > 0) {
        struct handle *handle = GC_malloc_atomic(sizeof(*handle));

        handle->block = calloc(1, PEER_BLOCK);
        GC_register_finalizer_no_order(handle, handle_dead, NULL, NULL, NULL);
        bench_touch(handle->block);
    }
    GC_gcollect();
}

static size_t dead;

static void
note_dead(void *object, void *data)
{
    (void)object;
    (void)data;
    dead++;
}

/* The second collection frees what the first one's finalizers brought back. */
void
peer_libgc_run_finalizer(size_t loops)
{
    while (loops-- > 0) {
        void *block = GC_malloc(PEER_BLOCK);

        GC_register_finalizer_no_order(block, note_dead, NULL, NULL, NULL);
        bench_touch(block);
    }
    GC_gcollect();
    GC_gcollect();
}

void
peer_libgc_run_finalizer_undone(size_t loops)
{
    while (loops-- > 0) {
        void *block = GC_malloc(PEER_BLOCK);

        GC_register_finalizer_no_order(block, note_dead, NULL, NULL, NULL);
        bench_touch(block);
        GC_register_finalizer_no_order(block, NULL, NULL, NULL, NULL);
    }
    GC_gcollect();
}

/* Slots in memory that is not scanned, used in turn. */
static void **slots;
static size_t slots_size;

void
peer_libgc_run_link(size_t loops)
{
    if (slots_size < loops) {
        free(slots);
        slots = bench_need(calloc(loops, sizeof(void *)), "calloc");
        slots_size = loops;
    }
    for (size_t i = 0; i < loops; i++) {
        void *block = GC_malloc(PEER_BLOCK);

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

void
peer_libgc_end_link(void)
{
    free(slots);
    slots = NULL;
    slots_size = 0;
}
