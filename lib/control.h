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
    uint32_t taken, given; /* so far; they wrap */
    struct arena *block[CONTROL_ROOM];
};

struct arena *arenap_control_take_slow(void);
void arenap_control_give_slow(struct arena *arena);

static inline uint32_t
arenap_control_count(const struct control_ring *ring)
{
    return ring->given - ring->taken;
}

/* A closed control block, or NULL when the system refuses. */
static inline struct arena *
arenap_control_take(struct control_ring *ring)
{
    if (ARENA_UNLIKELY(arenap_control_count(ring) <= ARENA_CONTROL_RING))
        return arenap_control_take_slow();
    return ring->block[ring->taken++ % CONTROL_ROOM];
}

/* Put back a closed control block into a ring that is not full. */
static inline void
arenap_control_put(struct control_ring *ring, struct arena *arena)
{
    ring->block[ring->given++ % CONTROL_ROOM] = arena;
}

/* Put back a closed control block. */
static inline void
arenap_control_give(struct control_ring *ring, struct arena *arena)
{
    if (ARENA_UNLIKELY(arenap_control_count(ring) == CONTROL_ROOM))
        arenap_control_give_slow(ring->block[ring->taken++ % CONTROL_ROOM]);
    arenap_control_put(ring, arena);
}

/* The thread ends: all its closed blocks go to everyone. */
void arenap_control_flush(struct control_ring *ring);

/* Call visit for every control block there is, open or not. */
void arenap_control_each(void (*visit)(struct arena *, void *), void *context);

void arenap_control_fork_prepare(void);
void arenap_control_fork_done(void);

#endif
