/*
 * access.h: the checks of an access through a segment.
 *
 * What is wrong is an errno, 0 for nothing; arenap_access_fail says it.  The
 * first half looks at the segment alone, the second at its owner and whether
 * its memory is there, and keeps a shared arena from being closed until the
 * access is left.
 */
#ifndef ARENA_LIB_ACCESS_H
#define ARENA_LIB_ACCESS_H

#include "../include/arena/segment.h"
#include "internal.h"

/* Of arena_segment_t.asks.  GUARDED: the memory may be gone all the same.
 * KEPT: the rest of it is no shared arena, but what keeps the memory, which
 * the collector must see while the address alone is in use: a compiler that
 * takes the checks out of a loop has no need of the other members in it. */
#define ASKS_GUARDED ((uintptr_t)1)
#define ASKS_KEPT ((uintptr_t)2)
#define ASKS_BITS (ASKS_GUARDED | ASKS_KEPT)

/* A segment whose address does not keep its memory.  keeper: collected. */
static inline void
arenap_access_keep(arena_segment_t *segment, const void *keeper)
{
    segment->asks |= (uintptr_t)keeper | ASKS_KEPT;
}

/* The shared arena of such a word, or NULL. */
static inline struct arena *
arenap_access_shared(uintptr_t asks)
{
    return (asks & ASKS_KEPT) == 0 ? (struct arena *)(asks & ~ASKS_BITS)
                                   : NULL;
}

static inline bool
arenap_access_is_guarded(const arena_segment_t *segment)
{
    return (segment->asks & ASKS_GUARDED) != 0;
}

/* EINVAL, EACCES, ERANGE or EFAULT. */
int arenap_access_bounds(const arena_segment_t *segment, size_t offset,
                         size_t n, size_t mask, bool writes);

/* EPERM, ESTALE or ENOMEM; if 0, to be left.  slot: 0, or 1 for a second
 * segment. */
int arenap_access_enter(const arena_segment_t *segment, unsigned slot);
void arenap_access_leave(const arena_segment_t *segment, unsigned slot);

/* Which of two faults is reported. */
int arenap_access_first(int fault, int other);

/* Set errno and the sentence.  Returns -1. */
int arenap_access_fail(const arena_segment_t *segment, size_t offset, size_t n,
                       size_t mask, int fault);

/* Both halves at once; 0 when the access is entered, else -1 with errno. */
int arenap_access_begin(const arena_segment_t *segment, size_t offset,
                        size_t n, bool writes);

#endif
