/*
 * control.h: control blocks of explicit arenas.
 *
 * They come from slabs that are never unmapped, so a stale handle can always
 * be asked.  Each thread keeps the last ARENA_CONTROL_RING that it closed, in
 * order, and uses the oldest again only when there are more; so a handle
 * answers ESTALE for at least that many further closes.
 */
#ifndef ARENA_LIB_CONTROL_H
#define ARENA_LIB_CONTROL_H

#include "internal.h"

#define ARENA_CONTROL_RING 64
#define CONTROL_ROOM (2 * ARENA_CONTROL_RING)

struct control_ring {
    struct counted taken, given; /* so far */
    struct arena *block[CONTROL_ROOM];
};

static inline uint64_t
arenap_control_count(const struct control_ring *ring)
{
    return ring->given.all - ring->taken.all;
}

/* The short ways: one block out, one block in.  They may be gone when the
 * ring can pop, and can push. */
static inline bool
arenap_control_can_pop(const struct control_ring *ring)
{
    return arenap_control_count(ring) > ARENA_CONTROL_RING;
}

static inline bool
arenap_control_can_push(const struct control_ring *ring)
{
    return arenap_control_count(ring) < CONTROL_ROOM;
}

static inline struct arena *
arenap_control_pop(struct control_ring *ring)
{
    uint64_t taken = ring->taken.all;

    arenap_counted_set(&ring->taken, taken + 1);
    return ring->block[taken % CONTROL_ROOM];
}

static inline void
arenap_control_push(struct control_ring *ring, struct arena *arena)
{
    uint64_t given = ring->given.all;

    arenap_counted_set(&ring->given, given + 1);
    ring->block[given % CONTROL_ROOM] = arena;
}

/* Blocks popped less blocks pushed: confined arenas opened and closed the
 * short ways, which count them in no other place.  Wraps below zero. */
static inline size_t
arenap_control_popped(struct control_ring *ring)
{
    return arenap_counted_short(&ring->taken)
           - arenap_counted_short(&ring->given);
}

/* A closed control block, or NULL when the system refuses. */
struct arena *arenap_control_take(struct control_ring *ring);

/* Put back a closed control block. */
void arenap_control_give(struct control_ring *ring, struct arena *arena);

/* The thread ends: all its closed blocks go to everyone. */
void arenap_control_flush(struct control_ring *ring);

/* The same in a child, for a thread that is not there; its blocks are lost. */
void arenap_control_forget(struct control_ring *ring);

/* Call visit for every control block there is, open or not. */
void arenap_control_each(void (*visit)(struct arena *, void *), void *context);

void arenap_control_fork_prepare(void);
void arenap_control_fork_done(void);

#endif
