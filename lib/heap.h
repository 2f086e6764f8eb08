/*
 * heap.h: arena_malloc and its family.
 *
 * Blocks carry no header.  They are accounted by page: what the collector has
 * in use, less what auto arenas, implicit blocks and buffers have of it, is
 * charged to the budget, and brought up to date after every so many bytes of
 * requests.
 */
#ifndef ARENA_LIB_HEAP_H
#define ARENA_LIB_HEAP_H

#include "internal.h"

struct heap_figures {
    size_t reserved;         /* exact to a page, as of the last update */
    size_t requested, count; /* estimates: the collector tells of no block */
};

void arenap_heap_figures(struct heap_figures *out);

/* After a collection: give back what is not in use any more. */
void arenap_heap_settle(void);

/* In a child. */
void arenap_heap_fork_child(void);

#define ARENA_HEAP_NO_BLOCK SIZE_MAX

/* The bytes from ptr to the end of its block; ARENA_HEAP_NO_BLOCK if none
 * that can be freed begins there. */
size_t arenap_heap_room(void *ptr);

/* A block of no defined contents, if one is at hand; or NULL. */
void *arenap_heap_alloc_at_hand(size_t size);

/* Free a block whose size is known without asking the collector, if there is
 * room for it at hand.  False: nothing is done. */
bool arenap_heap_free_at_hand(void *ptr);

enum heap_freed {
    HEAP_FREED, /* or left to the collector */
    HEAP_FREE_ALREADY, /* errno is EINVAL */
    HEAP_NO_BLOCK      /* none begins there; errno is EINVAL */
};

/* Free what arena_free was given and the collector says, in cycle, is a block
 * of the heap. */
enum heap_freed arenap_heap_free(void *ptr, void *base, size_t size,
                                 uint64_t cycle);

/* Does an implicit block or a heap block begin there?  Not a handle. */
bool arenap_heap_is_block(void *ptr);

#endif
