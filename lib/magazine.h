/*
 * magazine.h: free heap blocks at hand.
 *
 * A thread has, per size class, a magazine that arena_malloc takes from and
 * arena_free fills, without a lock, and a spare one.  Full magazines go from
 * thread to thread through the depot.  (After J. Bonwick and J. Adams,
 * "Magazines and Vmem", USENIX 2001.)
 *
 * The collector takes these blocks for allocated ones that nothing points to.
 * So a collection marks those that threads have at hand, unseen, before it
 * searches anything: their contents are old, and keep nothing.  What is in
 * the depot then is left to it: blocks that lie idle are given back at no
 * cost.  A magazine is good for the collections that have marked it; if a
 * collection did not call us, all are found to be stale, and are forgotten.
 *
 * A collection can stop a thread anywhere here.  So at each step every block
 * of a thread's is in a magazine of its, or in a register; being in two
 * magazines does no harm.
 */
#ifndef ARENA_LIB_MAGAZINE_H
#define ARENA_LIB_MAGAZINE_H

#include "collector.h"
#include "internal.h"
#include "sizeclass.h"

/* It has as many slots as the room of its class is. */
struct magazine {
    struct magazine *next; /* in the depot */
    _Atomic uint32_t count; /* while it is not the one that is loaded */
    void *slot[];
};

/* Of one class.  Without a magazine, room is 0.  Its size is a power of two,
 * so that it is found by a shift. */
struct bin {
    void **_Atomic slot; /* of the magazine that is loaded */
    _Atomic uint32_t count, room;
    struct magazine *_Atomic spare; /* or NULL */
} __attribute__((aligned(32)));

struct bins {
    _Atomic uint64_t cycle; /* collections by then; else they are stale */
    bool used;
    struct bin class[SIZECLASSES];
};

/* In word 1 of a block that is free, and of no other: arena_malloc clears the
 * word.  Not an address; different for each block, so that a program which
 * copies memory that it has not initialised copies no such word. */
extern ARENA_HIDDEN uintptr_t arenap_magazine_key;

static inline uintptr_t
arenap_magazine_sign(const void *block)
{
    return arenap_magazine_key ^ (uintptr_t)block;
}

static inline bool
arenap_magazine_is_free(const void *block)
{
    return ((const uintptr_t *)block)[1] == arenap_magazine_sign(block);
}

/* A block at hand; or NULL.  Of its contents only two words are defined, and
 * zero: the first, where the collector's link to another block was, and the
 * key.  The block is in a register before the count of collections is read:
 * one that begins later finds it there. */
static inline void *
arenap_magazine_pop(struct bins *bins, unsigned class)
{
    struct bin *bin = &bins->class[class];
    uint32_t count = atomic_load_explicit(&bin->count, memory_order_relaxed);
    uintptr_t *block;

    if (ARENA_UNLIKELY(count == 0))
        return NULL;
    block = ((uintptr_t *volatile *)atomic_load_explicit(
        &bin->slot, memory_order_relaxed))[count - 1];
    atomic_signal_fence(memory_order_seq_cst);
    if (ARENA_UNLIKELY(
            atomic_load_explicit(&bins->cycle, memory_order_relaxed)
            != arenap_collector_cycle()))
        return NULL;
    atomic_store_explicit(&bin->count, count - 1, memory_order_relaxed);
    block[0] = block[1] = 0;
    return block;
}

/* Put a block of the class at hand.  False: there is no room.  It stays in a
 * register until it counts. */
static inline bool
arenap_magazine_push(struct bins *bins, unsigned class, void *block)
{
    struct bin *bin = &bins->class[class];
    uint32_t count = atomic_load_explicit(&bin->count, memory_order_relaxed);

    if (ARENA_UNLIKELY(
            count
            >= atomic_load_explicit(&bin->room, memory_order_relaxed)))
        return false;
    ((uintptr_t *)block)[1] = arenap_magazine_sign(block);
    atomic_load_explicit(&bin->slot, memory_order_relaxed)[count] = block;
    atomic_store_explicit(&bin->count, count + 1, memory_order_release);
    __asm__ volatile("" : : "r"(block) : "memory");
    return true;
}

struct thread;

void arenap_magazine_init(void);

/* A block from the spare magazine or the depot; NULL if there is none, or
 * this thread has no magazines.  Its contents are not defined. */
void *arenap_magazine_take(struct thread *self, unsigned class);

/* A block from the collector, and others of its page at hand; NULL, errno
 * untouched, when there is none.  It may collect. */
void *arenap_magazine_fill(struct thread *self, unsigned class);

/* Make room for a block of a class that the collector says is one of the
 * heap, in cycle.  False: give it back to the collector. */
bool arenap_magazine_make_room(struct thread *self, unsigned class);

/* The thread is about to be forgotten by the collector. */
void arenap_magazine_flush(struct thread *self);

/* Blocks at hand anywhere, and their bytes. */
void arenap_magazine_figures(size_t *count, size_t *bytes);

/* Bytes in the depot. */
size_t arenap_magazine_idle(void);

/* A collection, the (cycle + 1)th, has stopped all threads. */
void arenap_magazine_mark(uint64_t cycle);

void arenap_magazine_fork_prepare(void);
void arenap_magazine_fork_done(void);

/* In a child: the thread is not there. */
void arenap_magazine_forget(struct thread *thread);

#endif
