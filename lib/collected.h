/*
 * collected.h: auto arenas and implicit blocks.
 *
 * An auto arena is a small collected block, its control, with room for a few
 * small blocks of the user; and parts: further blocks, each with a header.
 * They form a ring of pointers that the collector sees, control -> newest
 * part -> ... -> oldest part, and each part -> control: so a pointer to
 * anything keeps everything, and all dies in one collection.
 *
 * The thread that opened an arena allocates from it without a lock; others
 * share a part, under one.
 *
 * Each carries its own account, settled when the collector finds it dead.
 *
 * An arena with a name, a limit or actions has an extra, which its parts
 * share; see extra.h.
 */
#ifndef ARENA_LIB_COLLECTED_H
#define ARENA_LIB_COLLECTED_H

#include "collector.h"
#include "internal.h"
#include "thread.h"

/* --- Auto arenas --- */

/* One without options, if a block for it is at hand; or NULL. */
struct arena *arenap_auto_open_at_hand(void);

struct arena *arenap_auto_open(struct thread *self,
                               const arena_options_t *options);

/* A zero-filled block of an arena that the calling thread opened, if its run
 * has so much that is zero; or false.  Blocks of size 0 take the long way. */
static ARENA_INLINE bool
arenap_auto_alloc_at_hand(struct arena *arena, size_t size, void **out)
{
    char *block = arena->bump;

    if (ARENA_UNLIKELY(size - 1 >= (size_t)(arena->end - block)))
        return false;
    __atomic_store_n(&arena->bump, block + arenap_round_up(size, ARENA_GRANULE),
                     __ATOMIC_RELAXED);
    arena->tally += size;
    arenap_count(&arenap_tls.record->counts[ARENA_AUTO].requested, size);
    *out = block;
    return true;
}

/* A block; arguments are valid.  NULL with errno set. */
void *arenap_auto_alloc(struct thread *self, struct arena *arena, size_t size,
                        size_t align, bool zero);

bool arenap_auto_resize(struct arena *arena, char *block, size_t old_size,
                        size_t new_size);

int arenap_auto_on_close(struct thread *self, struct arena *arena,
                         void (*run)(void *), void *arg);

/* Its close actions are about to run. */
void arenap_auto_close(struct arena *arena);

/* False from then on. */
bool arenap_auto_is_alive(const struct arena *arena);

const char *arenap_auto_name(const struct arena *arena);
size_t arenap_auto_bytes(const struct arena *arena);

/* --- Implicit blocks --- */

/* A block, if one of its size is at hand; or NULL. */
void *arenap_implicit_alloc_at_hand(size_t size);

void *arenap_implicit_alloc(struct thread *self, size_t size, size_t align);

/* Free the block that begins at ptr, of which the collector says base.
 * False if it is none, or not any more. */
bool arenap_implicit_free(const void *ptr, void *base);

/* The size that a block was asked for.  False if ptr does not begin one. */
bool arenap_implicit_size(const void *ptr, void *base, size_t *size);

/* Where the block that ptr points into begins and ends, of a kind that is an
 * auto arena's, the implicit arena's or arena_malloc's; of auto arenas what is
 * in use of the part.  False: no block can be there. */
bool arenap_collected_extent(enum block kind, void *base, size_t size,
                             const char *ptr, const char **start,
                             const char **end);

/* --- All that the collector frees, direct buffers too --- */

/* A zero-filled block of request bytes.  Reserved are its bytes as the
 * collector takes them, which *charge gets, and extra bytes that the caller
 * will hold elsewhere.  NULL with errno set and nothing reserved. */
void *arenap_collected_block(struct thread *self, enum block kind,
                             size_t request, size_t extra, size_t *charge);

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

/* The arena that a collected block of ours belongs to, by what the collector
 * says of it. */
struct arena *arenap_collected_arena(unsigned block_kind, void *base);

/* What died and is to be subtracted from what the threads counted. */
void arenap_collected_dead(unsigned pool, size_t *reserved, size_t *requested,
                           size_t *count);

/* Called by the collector for each dead block, under its lock or in several
 * threads at once: they take no lock and touch no other block.  Nonzero:
 * not yet. */
int arenap_collected_control_dead(void *block);
int arenap_collected_chunk_dead(void *block);
int arenap_collected_implicit_dead(void *block);

#endif
