/*
 * slab.h: heap blocks that pages cannot be divided into.
 *
 * The collector gives a block of more than 2048 bytes pages of its own, be it
 * 4384 bytes, and one of 1040 a third of a page.  Such blocks are made of
 * tiles here: collected blocks of 512 or 64 bytes, of a kind of their own.
 * Pages of tiles that follow each other are a slab, which is divided into
 * blocks of one class; so a block is some tiles in a row, wherever pages meet.
 *
 * Whether it lives is for the collector to say, by its own marks: from
 * whichever tile of a block it comes to, it goes on to the first one, and from
 * there to all that the block points to (tile_mark in collector_kinds.c).  So
 * when it is done the first one tells.  Tiles of a slab are not swept: the
 * collector is told to keep them, and the block can be used again.  Pages go
 * back to it when nothing is left in their slab.  What is not at hand, in a
 * slab, has the signature of free blocks: it is not searched.
 *
 * Tables change under the collector's lock alone.
 */
#ifndef ARENA_LIB_SLAB_H
#define ARENA_LIB_SLAB_H

#include "internal.h"
#include "thread.h"

/* The block that the address is in, used or free. */
bool arenap_slab_find(uintptr_t address, uintptr_t *base, size_t *size);

/* There is no block at hand of the class for that size.  The class to have one
 * of: the same, or a fine one if many were asked for. */
unsigned arenap_slab_class(size_t size);

/* A block of a class that consists of tiles, zero-filled; NULL, errno
 * untouched, if it is better taken as pages.  It may collect. */
void *arenap_slab_alloc(struct thread *self, unsigned class);

/* Give a block back, which is signed as free.  False: it is not of tiles. */
bool arenap_slab_free(void *base);

/* A block of a class that was taken as pages is given back. */
void arenap_slab_gone(unsigned class);

/* Bytes of blocks that became free since the last collection: what is between
 * blocks in use, another one would not set free either. */
size_t arenap_slab_idle(void);

/* --- For collector_*.c, which have its lock --- */

/* All is marked.  Pages of empty slabs are left to the sweep. */
void arenap_slab_marked(void);

/* The sweep wants an unmarked tile.  True: it is to be left alone. */
bool arenap_slab_keep(const void *tile);

/* The sweep, of the collection of that number, is over. */
void arenap_slab_swept(uint64_t cycle);

#endif
