/*
 * maps.h: the process's writable mappings, and which of them are the
 * collector's own.
 *
 * The collector's memory must not be searched for pointers as a root: its
 * tables hold the address of every block.  It asks the system for memory
 * through the shared library's procedure linkage table, so its calls of mmap
 * are answered by a function of ours, which writes down what it was given;
 * the same for the threads that it makes for marking.
 */
#ifndef ARENA_LIB_MAPS_H
#define ARENA_LIB_MAPS_H

#include "internal.h"

/* Begin to watch the collector's calls; before it is started, if possible. */
void arenap_maps_watch(void);

/* Was the watch begun, so that all of the collector's memory is known? */
bool arenap_maps_watched(void);

/* Whether the collector, which can do without, gets threads that help it. */
void arenap_maps_refuse_threads(bool refuse);

typedef void maps_visit(uintptr_t lo, uintptr_t hi, void *context);

/* Where those ranges are noted.  Some begin where a block does: they must be
 * no roots. */
void arenap_maps_notes(void **lo, void **hi);

/* The collector's memory: heap, tables, stacks of its threads, and the data
 * of the library itself.  Takes no lock. */
void arenap_maps_collector_each(maps_visit *visit, void *context);

/* A visit that finds out whether an address, its context, is in any range. */
struct maps_point {
    uintptr_t address;
    bool inside;
};
void arenap_maps_point_visit(uintptr_t lo, uintptr_t hi, void *context);

/*
 * Call visit for the parts of a range that have pages of their own; a sparse
 * mapping of terabytes has few.  Calls the system directly.  False if the
 * system cannot tell and the range is too large to look at.
 */
bool arenap_maps_resident(uintptr_t lo, uintptr_t hi, maps_visit *visit,
                          void *context);

/* Copy bytes of this process that may be unmapped, or beyond the end of a
 * file.  How many could be read; 0: none, -1: the system does not allow it. */
long arenap_maps_copy(void *to, uintptr_t from, size_t size);

/* Call visit for each mapping that may hold pointers.  Allocates nothing and
 * calls the system directly: threads are stopped.  False, after some visits
 * or none, if the mappings cannot be read. */
bool arenap_maps_each(maps_visit *visit, void *context);

/* The same for every mapping, with no threads stopped; from the lowest address
 * on.  Takes a path's length of the stack. */
bool arenap_maps_all(maps_visit *visit, void *context);

#endif
