/*
 * handshake.h: a checked access of a shared arena and its close never
 * overlap, and the access costs no atomic read-modify-write.
 *
 * A thread says in its own record which arena it is accessing, and then looks
 * whether the epoch is still the one of its segment.  Who closes or resets
 * advances the epoch, and then looks at all records.  The barriers of os.h
 * stand between the two steps of both: so either the access sees the new
 * epoch, or the closer sees the access and waits for its end.
 *
 * An arena that never had a segment in this epoch is closed without that, and
 * so is any as long as no other thread has ever accessed one: the first access
 * of a thread says so, and makes a barrier of its own.
 */
#ifndef ARENA_LIB_HANDSHAKE_H
#define ARENA_LIB_HANDSHAKE_H

#include "internal.h"
#include "os.h"
#include "thread.h"

/* The first access of a thread. */
void arenap_handshake_first(struct thread *self);

/* Before the check of the epoch.  slot: 0, or 1 for a second arena. */
static inline void
arenap_handshake_enter(struct thread *self, unsigned slot,
                       const struct arena *arena)
{
    if (ARENA_UNLIKELY(!atomic_load_explicit(&self->accesses,
                                             memory_order_relaxed)))
        arenap_handshake_first(self);
    atomic_store_explicit(&self->accessing[slot], arena,
                          memory_order_relaxed);
    arenap_os_light_or_full();
}

static inline void
arenap_handshake_leave(struct thread *self, unsigned slot)
{
    atomic_store_explicit(&self->accessing[slot], NULL, memory_order_release);
}

/* The epoch of the arena has been advanced: had it segments in the last one,
 * so that somebody may be accessing it? */
static inline bool
arenap_handshake_is_due(const struct arena *arena)
{
    return arena->kind == ARENA_SHARED
           && atomic_load(&arena->segmented) == atomic_load(&arena->epoch);
}

/* The epoch of the arena has been advanced: wait until nobody accesses it.
 * No lock is held. */
void arenap_handshake_wait(const struct arena *arena);

/* The same of the arenas of a list linked by free_next that are shared and
 * had segments. */
void arenap_handshake_wait_all(const struct arena *list);

/* A segment is being made of an arena in an epoch: a close from now on looks
 * for accesses.  False when that epoch is over. */
bool arenap_handshake_expect(struct arena *arena, uint64_t epoch);

/* A thread that is ending, or gone, accesses nothing, whatever it was doing
 * when it was cancelled or forked. */
void arenap_handshake_forget(struct thread *thread);

#endif
