/*
 * peer_libgc.h - the collector used without the library, as a peer.
 *
 * The runs do their work on the same collected heap as the library's own, and
 * end with a full collection, as ours do.
 */
#ifndef PEER_LIBGC_H
#define PEER_LIBGC_H

#include <stddef.h>

#define PEER_BLOCK 64
#define PEER_BLOCKS 100

void peer_libgc_begin(void);

/* GC_malloc of a block that is dropped at once. */
void peer_libgc_run(size_t loops);

/* The same, of a block that is not scanned; zero-filled by hand. */
void peer_libgc_run_atomic(size_t loops);

/* 100 blocks, then all of them are dropped. */
void peer_libgc_run_many(size_t loops);

/* A collected handle whose finalizer frees a calloc'd block. */
void peer_libgc_run_handle(size_t loops);

/* A block whose death a finalizer without order tells; the same, with the
 * finalizer taken away before; a block with a long link that is looked at. */
void peer_libgc_run_finalizer(size_t loops);
void peer_libgc_run_finalizer_undone(size_t loops);
void peer_libgc_run_link(size_t loops);
void peer_libgc_end_link(void);

#endif
