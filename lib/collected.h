/*
 * collected.h: what all blocks share that the collector frees, those of auto
 * arenas (auto.h), implicit ones (implicit.h) and direct buffers: how they are
 * had and counted, and whose one is that is found.
 */
#ifndef ARENA_LIB_COLLECTED_H
#define ARENA_LIB_COLLECTED_H

#include "collector.h"
#include "credit.h"
#include "internal.h"
#include "thread.h"

/* The collector adds a byte to every request, so that a pointer past the end
 * of the last user's block still points into the collected one. */
#define COLLECTED_SLOP ((size_t)1)

/* --- Having one --- */

/* A zero-filled block of request bytes.  Reserved are its bytes as the
 * collector takes them, which *charge gets, and extra bytes that the caller
 * will hold elsewhere.  NULL with errno set and nothing reserved. */
void *arenap_collected_block(struct thread *self, enum block kind,
                             size_t request, size_t extra, size_t *charge);

/* The same of just so many bytes, slop included, of a listed kind or a part of
 * an auto arena. */
void *arenap_collected_make(struct thread *self, enum block kind,
                            size_t bytes);

/* A zero-filled block of so many bytes, slop included, if the thread has one
 * at hand and the credit for it; or NULL. */
static ARENA_INLINE void *
arenap_collected_at_hand(struct thread *self, enum block kind, size_t bytes)
{
    void *block;

    if (ARENA_UNLIKELY(!self->kept
                       || !arenap_credit_take_at_hand(&self->credit, bytes)))
        return NULL;
    block = arenap_thread_listed(self, kind, bytes);
    if (ARENA_UNLIKELY(block == NULL))
        arenap_credit_give(&self->credit, bytes);
    return block;
}

/* --- Counting --- */

/* Count what was taken from a pool of thread.h. */
static inline void
arenap_collected_account(struct thread *self, unsigned pool, size_t reserved,
                         size_t requested, size_t count)
{
    arenap_count(&self->counts[pool].reserved, reserved);
    arenap_count(&self->counts[pool].requested, requested);
    arenap_count(&self->counts[pool].count, count);
}

/* Threads that the library does not know collect, too. */
void arenap_collected_uncount_unknown(unsigned pool, size_t reserved,
                                      size_t requested, size_t count);

/* Count what went back to it.  Takes no lock: the collector's callbacks call
 * it, on any thread. */
static inline void
arenap_collected_uncount(unsigned pool, size_t reserved, size_t requested,
                         size_t count)
{
    struct thread *self = arenap_tls.record;

    if (ARENA_LIKELY(self != NULL))
        arenap_collected_account(self, pool, (size_t)0 - reserved,
                                 (size_t)0 - requested, (size_t)0 - count);
    else
        arenap_collected_uncount_unknown(pool, reserved, requested, count);
}

/* The same, and give what was reserved back. */
void arenap_collected_settle(arena_kind_t kind, size_t reserved,
                             size_t requested, size_t count);

/* What died and is to be subtracted from what the threads counted. */
void arenap_collected_dead(unsigned pool, size_t *reserved, size_t *requested,
                           size_t *count);

/* --- Finding: collected_find.c --- */

/* The arena that a collected block of ours belongs to, by what the collector
 * says of it. */
struct arena *arenap_collected_arena(unsigned block_kind, void *base);

/* Where the block that ptr points into begins and ends, of a kind that is an
 * auto arena's, the implicit arena's or arena_malloc's; of auto arenas what is
 * in use of the part.  False: no block can be there. */
bool arenap_collected_extent(enum block kind, void *base, size_t size,
                             const char *ptr, const char **start,
                             const char **end);

#endif
