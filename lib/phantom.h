/*
 * phantom.h: what other modules do for phantoms and cleaners.
 *
 * They learn of deaths through the collector's long links, which it sets to
 * zero when an object is really gone; and from those who free a block by hand.
 */
#ifndef ARENA_LIB_PHANTOM_H
#define ARENA_LIB_PHANTOM_H

#include "internal.h"

/* Referents that are watched.  Zero: all of this costs one load. */
extern ARENA_HIDDEN _Atomic size_t arenap_phantom_watched;

void arenap_phantom_freed_slow(void *base);

static inline bool
arenap_phantom_is_any(void)
{
    return ARENA_UNLIKELY(atomic_load_explicit(&arenap_phantom_watched,
                                               memory_order_relaxed)
                          != 0);
}

/* The collected block that begins at base is about to be freed by hand. */
static inline void
arenap_phantom_freed(void *base)
{
    if (arenap_phantom_is_any())
        arenap_phantom_freed_slow(base);
}

/* Tell of what collections that are over have found; cheap if none is new.
 * Hold no lock. */
void arenap_phantom_scan(void);

/* A collection begins; the collector's lock is held. */
void arenap_phantom_collecting(void);

/* A referent is watched: see to it that its death is noticed. */
void arenap_phantom_expect(void);

/* The cleaner thread woke up: look, and see to it that it is woken again. */
void arenap_phantom_watch(void);

/* A block of kind BLOCK_WITNESS died; called by the collector. */
int arenap_phantom_witness_dead(void *block);

void arenap_phantom_fork_prepare(void);
void arenap_phantom_fork_done(void);
void arenap_phantom_fork_child(void);

#endif
