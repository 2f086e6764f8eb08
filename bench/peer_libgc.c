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
