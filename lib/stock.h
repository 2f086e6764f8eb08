/*
 * stock.h: large chunks that no arena has, kept for all threads.
 *
 * Memory that a large arena gives back to the system costs a page fault for
 * each page when the next one asks for it: a hundred times what the block
 * itself costs.  So chunks of 16 KiB to 1 MiB that the caches of the threads
 * have no room for are kept, with their charge, STOCK_BYTES of them at most,
 * and a sixteenth of the limit at most.  They age: of what nobody needed for
 * STOCK_AGE a quarter goes back to the system, whenever somebody comes by.
 * All goes back before a reservation fails, and none is kept while memory is
 * short.
 *
 * Invariant: a chunk in the stock is charged, counted under nothing, and in
 * the page map as cached.
 */
#ifndef ARENA_LIB_STOCK_H
#define ARENA_LIB_STOCK_H

#include <stdbool.h>
#include <stddef.h>

struct chunk;

#define STOCK_LEAST ((size_t)16 << 10)
#define STOCK_LARGEST ((size_t)1 << 20)
#define STOCK_BYTES ((size_t)64 << 20)
#define STOCK_AGE 50000000u /* ns */

/* Keep a chunk of the system's malloc.  False: it does not fit. */
bool arenap_stock_give(struct chunk *chunk);

/* A chunk of that source with a charge of at least that, and at most an eighth
 * more; or NULL.  What is in it is not defined. */
struct chunk *arenap_stock_take(unsigned source, size_t charge);

/* What has been there for too long, as a list for the caller to release. */
struct chunk *arenap_stock_old(void);

/* Everything, as a list for the caller to release. */
struct chunk *arenap_stock_empty(void);

size_t arenap_stock_bytes(void);

void arenap_stock_fork_prepare(void);
void arenap_stock_fork_done(void);

#endif
