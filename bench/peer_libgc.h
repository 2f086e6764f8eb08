/*
 * peer_libgc.h - the collector used without the library, as a peer.
 *
 * What the runs drop is found by peer_libgc_collect, which is to be their
 * finish.  They can run in any thread.
 */
#ifndef PEER_LIBGC_H
#define PEER_LIBGC_H

#include "bench.h"

void peer_libgc_begin(const struct bench_work *work);

/* A full collection; two, where finalizers brought back what they were told
 * of. */
void peer_libgc_collect(void);
void peer_libgc_collect_twice(void);

/* GC_malloc of the work's blocks, which are dropped at once. */
void peer_libgc_run(const struct bench_work *work, size_t loops);

/* The same, of blocks that are not scanned; zero-filled by hand. */
void peer_libgc_run_atomic(const struct bench_work *work, size_t loops);

/* The same by GC_finalized_malloc. */
void peer_libgc_run_finalized(const struct bench_work *work, size_t loops);

/* The same, and GC_free. */
void peer_libgc_run_free(const struct bench_work *work, size_t loops);

/* A collected handle whose finalizer frees a calloc'd block. */
void peer_libgc_run_handle(const struct bench_work *work, size_t loops);

/* A block whose death a finalizer without order tells; the same, with the
 * finalizer taken away before; a block with a long link that is looked at,
 * after a collection of its own. */
void peer_libgc_run_finalizer(const struct bench_work *work, size_t loops);
void peer_libgc_run_finalizer_undone(const struct bench_work *work,
                                     size_t loops);
void peer_libgc_run_link(const struct bench_work *work, size_t loops);

/* A list of so many blocks of a size, each of which points to the next.
 * Scanned: for as long as the process lives. */
void peer_libgc_fill(size_t count, size_t size);
void peer_libgc_fill_atomic(size_t count, size_t size);

#endif
