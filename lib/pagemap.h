/*
 * pagemap.h: from an address to the arena whose chunk holds it.
 *
 * A radix tree over 47-bit addresses in three levels of 12, 12 and 11 bits,
 * one slot per page.  Nodes are never freed, slots hold control blocks, which
 * are never unmapped: so any thread may look up any address at any time.  A
 * range that covers all pages of a leaf is kept in one word above it, so that
 * a chunk of a gigabyte costs 128 stores.  And the pages of a range can
 * follow its first one: then one store says of all of them whose they are.
 *
 * The caller owns the pages that it sets; two callers never set one page at
 * the same time.
 */
#ifndef ARENA_LIB_PAGEMAP_H
#define ARENA_LIB_PAGEMAP_H

#include "internal.h"

typedef _Atomic(struct arena *) pagemap_slot;

/* Stands for pages of ours that belong to no arena now: cached chunks. */
extern ARENA_HIDDEN struct arena arenap_pagemap_cached;

/* Make the nodes for a range.  False when the system refuses memory. */
bool arenap_pagemap_prepare(const void *address, size_t size);

/* Set all pages that [address, address + size) touches; arena may be NULL.
 * The range was prepared. */
void arenap_pagemap_set(const void *address, size_t size, struct arena *arena);

/* Make all pages of a range follow the first one, until they are set.  Returns
 * the slot of that.  The range was prepared, is nobody's, and is shorter than
 * what a leaf has. */
pagemap_slot *arenap_pagemap_gather(const void *address, size_t size);

/* The arena, arenap_pagemap_cached, or NULL. */
struct arena *arenap_pagemap_get(const void *address);

/* The end of the run of pages from address, at most up to hi, that are all
 * ours or all not; *ours says which.  Both page-aligned. */
uintptr_t arenap_pagemap_run(uintptr_t address, uintptr_t hi, bool *ours);

#endif
