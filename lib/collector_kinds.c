/*
 * collector_kinds.c: what our blocks are to the collector.
 *
 * Dead blocks are told of by disclaim procedures of kinds of our own, which
 * do not depend on the settings of a host program that uses the collector
 * too.
 *
 *   BLOCK_CONTROL, _IMPLICIT, _BUFFER  swept within the collection that finds
 *       them dead, for their kind asks to be marked from (mark_from_all = 1).
 *       Bit 3 of word 0 says that the block is in use: links of free lists
 *       are multiples of 16, and the collector marks from blocks with bits 0
 *       or 1 set only, so cycles die.
 *   BLOCK_TILE  searched by a procedure of ours; see slab.h.
 *   BLOCK_CHUNK, _TRACED, BLOCK_WITNESS   more than half a page, which the
 *       collector sweeps at once in any case.
 */

#include "config.h"

#include <limits.h>

#include "auto.h"
#include "buffer.h"
#include "collector.h"
#include "collector_gc.h"
#include "implicit.h"
#include "internal.h"
#include "magazine.h"
#include "phantom.h"
#include "slab.h"

#define BLOCK_KINDS_MOST UINT_MAX /* no kind of the collector's */

static unsigned
kind_make(GC_word descriptor, int add_size, int clear, GC_disclaim_proc dead,
          int mark_from_all)
{
    unsigned kind =
        GC_new_kind(GC_new_free_list(), descriptor, add_size, clear);

    if (dead != NULL)
        GC_register_disclaim_proc((int)kind, dead, mark_from_all);
    return kind;
}

/* The collector sweeps blocks that are partly in use, and forgets its lists of
 * free ones, only of kinds that have given a single small block: not of those
 * that were asked for whole lists alone. */
static void
kind_use(enum block kind)
{
    (void)GC_generic_malloc(1, (int)arenap_gc.kind[kind]);
}

/* From a tile of a block to its first one, and from there to what the block
 * points to.  A tile that is of no block yet is linked to the next one. */
static struct GC_ms_entry *
tile_mark(GC_word *tile, struct GC_ms_entry *top, struct GC_ms_entry *limit,
          GC_word unused)
{
    uintptr_t at = (uintptr_t)tile, base;
    size_t size = sizeof *tile;

    (void)unused;
    if (arenap_slab_find(at, &base, &size)) {
        if (arenap_magazine_is_free((void *)base))
            return top;
        if (at != base)
            return GC_mark_and_push((void *)base, top, limit, NULL);
    }
    for (size_t i = 0; i < size / sizeof *tile; i++)
        top = GC_MARK_AND_PUSH((void *)tile[i], top, limit,
                               (void **)(tile + i));
    return top;
}

static int GC_CALLBACK
tile_dead(void *tile)
{
    return arenap_slab_keep(tile);
}

/* The collector has room for few kinds, which a host program may need. */
static void
tiles_make(void)
{
    arenap_gc.kind[BLOCK_TILE] = BLOCK_KINDS_MOST;
    arenap_gc.has_tiles = arenap_gc_listens();
    if (arenap_gc.has_tiles)
        arenap_gc.kind[BLOCK_TILE] =
            kind_make(GC_MAKE_PROC(GC_new_proc(tile_mark), 0), 0, 1,
                      tile_dead, 0);
}

void
arenap_gc_kinds_make(void)
{
    const GC_word word = sizeof(void *);

    arenap_gc.kind[BLOCK_CONTROL] = kind_make(
        GC_DS_LENGTH | 2 * word, 0, 1, arenap_auto_control_dead, 1);
    arenap_gc.kind[BLOCK_CHUNK] = kind_make(
        GC_DS_LENGTH | 2 * word, 0, 0, arenap_auto_part_dead, 0);
    arenap_gc.kind[BLOCK_CHUNK_TRACED] =
        kind_make(GC_DS_LENGTH, 1, 1, arenap_auto_part_dead, 0);
    arenap_gc.kind[BLOCK_IMPLICIT] = kind_make(
        GC_DS_LENGTH | word, 0, 1, arenap_implicit_dead, 1);
    arenap_gc.kind[BLOCK_BUFFER] =
        kind_make(GC_DS_LENGTH | 2 * word, 0, 1, arenap_buffer_dead, 1);
    /* Old pointers in blocks that a program does not fill keep garbage, and
     * that keeps more: what comes from the collector is cleared.  To clear
     * large ones costs too much. */
    arenap_gc.heap_free = GC_new_free_list();
    arenap_gc.kind[BLOCK_HEAP] =
        GC_new_kind(arenap_gc.heap_free, GC_DS_LENGTH, 1, 1);
    arenap_gc.heap_large = kind_make(GC_DS_LENGTH, 1, 0, NULL, 0);
    arenap_gc.kind[BLOCK_WITNESS] =
        kind_make(GC_DS_LENGTH, 0, 1, arenap_phantom_witness_dead, 0);
    tiles_make();
    for (unsigned kind = 0; kind < BLOCK_LISTED; kind++)
        kind_use((enum block)kind);
    kind_use(BLOCK_HEAP);
}

bool
arenap_collector_has_tiles(void)
{
    return arenap_gc.has_tiles;
}
