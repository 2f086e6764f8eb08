/*
 * stock.h: large chunks that no arena has, kept for all threads.
 *
 * Memory that a large arena gives back to the system costs a page fault for
 * each page when the next one asks for it: a hundred times what the block
 * itself costs.  So chunks of 16 KiB to 1 MiB that the caches of the threads
 * have no room for are kept, with their charge: an eighth of the limit at
 * most.  They age: what nobody needed for a whole STOCK_AGE goes back to the
 * system, a little at a time, whenever somebody comes by; and when there are
 * more than STOCK_IDLE bytes, by a thread that is there only as long as that
 * (ager.h), so that a program which does nothing any more keeps no more.  All
 * goes back before a reservation fails, and none is kept while memory is
 * short.
 *
 * Invariant: a chunk in the stock is charged, counted under nothing, and in
 * the page map as cached.
 */
#ifndef ARENA_LIB_STOCK_H
#define ARENA_LIB_STOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "internal.h"

struct chunk;

#define STOCK_LEAST ((size_t)16 << 10)
#define STOCK_LARGEST ((size_t)1 << 20)
#define STOCK_IDLE ((size_t)64 << 20)
#define STOCK_AGE 1000000000u /* ns */
/* What goes back at once, and how often: 100 MiB in a second. */
#define STOCK_STEP ((size_t)1 << 20)
#define STOCK_STEP_AGE 10000000u /* ns */

/* By pages: one bin for each number up to 15, then eight for each doubling. */
#define STOCK_BINS_EXACT 16u
#define STOCK_BINS_STEPS 8u
#define STOCK_BINS (STOCK_BINS_EXACT + 5 * STOCK_BINS_STEPS)

/* Is it a size that is kept? */
static inline bool
arenap_stock_fits(size_t charge)
{
    return charge - STOCK_LEAST <= STOCK_LARGEST - STOCK_LEAST;
}

/* The bin of chunks with a charge that is. */
static inline unsigned
arenap_stock_bin(size_t charge)
{
    size_t pages = charge / ARENA_PAGE;
    unsigned log;

    if (pages < STOCK_BINS_EXACT)
        return (unsigned)pages;
    log = 63u - (unsigned)__builtin_clzl(pages);
    return STOCK_BINS_EXACT + (log - 4) * STOCK_BINS_STEPS
           + (unsigned)(pages >> (log - 3)) % STOCK_BINS_STEPS;
}

/* Keep a list of chunks of the system's malloc.  Returns those that do not
 * fit. */
struct chunk *arenap_stock_give(struct chunk *list);

/* A chunk of that source with a charge of at least that, and at most a quarter
 * more; or NULL.  What is in it is not defined.  If there are more such in its
 * bin they follow it in a list, up to that many bytes without it. */
struct chunk *arenap_stock_take(unsigned source, size_t charge, size_t more);

/* What has been there for too long, if it is time, but not much more than a
 * part of so many bytes: a list for the caller to release. */
struct chunk *arenap_stock_old(size_t part);

/* So many bytes, or a little more; the same. */
struct chunk *arenap_stock_remove(size_t bytes);

size_t arenap_stock_bytes(void);

/* Is it above STOCK_IDLE, or was so within the last STOCK_AGE? */
bool arenap_stock_is_large(void);

void arenap_stock_fork_prepare(void);
void arenap_stock_fork_done(void);

#endif
