/*
 * surplus.h: pages that a collection has set free, and that are too many.
 *
 * The collector keeps a free page for some collections before it gives it
 * back, and looks for room in the order of sizes: large blocks are had from
 * the system while tens of megabytes lie free in small pieces.
 */
#ifndef ARENA_LIB_SURPLUS_H
#define ARENA_LIB_SURPLUS_H

#include "internal.h"

/* Give back most of what is free, if it is much, of a heap with so many bytes
 * live and free.  The addresses stay the collector's, whose lock is held. */
void arenap_surplus_give_back(size_t live, size_t unused);

#endif
