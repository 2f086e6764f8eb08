/* chunk.c: see chunk.h. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "ager.h"
#include "budget.h"
#include "chunk.h"
#include "cleaner.h"
#include "collector.h"
#include "error.h"
#include "internal.h"
#include "mapping.h"
#include "os.h"
#include "pagemap.h"
#include "stock.h"

_Static_assert(sizeof(struct chunk) == 64, "room starts on a cache line");

/* --- Making and freeing --- */

void
arenap_chunk_release(struct chunk *chunk)
{
    size_t charge = chunk->charge;

    if (chunk->source == CHUNK_MALLOC && arenap_budget_hand_over(chunk))
        return;
    arenap_pagemap_set(chunk, chunk->length, NULL);
    switch ((enum chunk_source)chunk->source) {
    case CHUNK_ALIGNED:
    case CHUNK_MALLOC:
        free(chunk->base);
        break;
    case CHUNK_MAPPED:
        arenap_os_unmap(chunk->base, charge);
        break;
    case CHUNK_TRACED:
        arenap_collector_free_traced(chunk->base);
        break;
    case CHUNK_FILE:
        arenap_mapping_release(chunk);
        break;
    }
    arenap_budget_release(charge);
}

/* What the system gives for a chunk of length bytes; NULL if it refuses. */
static struct chunk *
chunk_get(enum chunk_source source, size_t length, bool zero, void **base)
{
    int saved = errno;
    void *block = NULL;

    switch (source) {
    case CHUNK_ALIGNED:
        if (posix_memalign(&block, ARENA_PAGE, length) != 0)
            block = NULL;
        break;
    case CHUNK_MALLOC:
        block = zero ? calloc(1, length + ARENA_PAGE)
                     : malloc(length + ARENA_PAGE);
        break;
    case CHUNK_MAPPED:
        block = arenap_os_map(length);
        break;
    case CHUNK_FILE:
        block = arenap_os_map_room(length);
        break;
    case CHUNK_TRACED:
        block = arenap_collector_alloc_traced(length);
        break;
    }
    errno = saved;
    *base = block;
    return block == NULL ? NULL
                         : (struct chunk *)arenap_round_up((uintptr_t)block,
                                                           ARENA_PAGE);
}

static void
chunk_put(enum chunk_source source, void *base, size_t length)
{
    if (source == CHUNK_MAPPED || source == CHUNK_FILE)
        arenap_os_unmap(base, length);
    else if (source == CHUNK_TRACED)
        arenap_collector_free_traced(base);
    else
        free(base);
}

struct chunk *
arenap_chunk_make(enum chunk_source source, size_t length, size_t charge,
                  bool zero)
{
    struct chunk *chunk;
    void *base;

    chunk = chunk_get(source, length, zero, &base);
    if (chunk == NULL && arenap_cleaner_reclaim())
        chunk = chunk_get(source, length, zero, &base);
    if (chunk != NULL && !arenap_pagemap_prepare(chunk, length)) {
        chunk_put(source, base, length);
        chunk = NULL;
    }
    if (chunk == NULL) {
        arenap_budget_release(charge);
        arenap_fail_system(charge);
        return NULL;
    }
    chunk->next = NULL;
    chunk->start = (char *)(chunk + 1);
    chunk->end = (char *)chunk + (length & ~(ARENA_GRANULE - 1));
    chunk->charge = charge;
    chunk->base = base;
    chunk->length = length;
    chunk->slot = length <= STOCK_LARGEST
                      ? arenap_pagemap_gather(chunk, length)
                      : NULL;
    chunk->class = CHUNK_CLASSES;
    chunk->source = (uint8_t)source;
    chunk->bin = arenap_stock_fits(charge) ? (uint8_t)arenap_stock_bin(charge)
                                           : 0;
    chunk->zeroed = source == CHUNK_MAPPED || source == CHUNK_TRACED
                    || (source == CHUNK_MALLOC && zero);
    return chunk;
}

/* --- Keeping --- */

bool
arenap_chunks_release(struct chunk *chunk)
{
    bool any = chunk != NULL;

    while (chunk != NULL) {
        struct chunk *next = chunk->next;

        arenap_chunk_release(chunk);
        chunk = next;
    }
    return any;
}

void
arenap_chunks_keep(struct chunk *list)
{
    if (list != NULL)
        arenap_chunks_release(arenap_stock_give(list));
}

void
arenap_chunk_age_by(size_t part)
{
    arenap_chunks_release(arenap_stock_old(part));
}

void
arenap_chunk_age(void)
{
    if (arenap_ager_is_running())
        return;
    arenap_chunk_age_by(STOCK_STEP);
    /* In a child; or the thread ended as somebody else still relied on it. */
    if (ARENA_UNLIKELY(arenap_stock_bytes() > STOCK_IDLE))
        arenap_ager_start();
}

bool
arenap_chunk_drop(size_t bytes)
{
    return arenap_chunks_release(arenap_stock_remove(bytes));
}
