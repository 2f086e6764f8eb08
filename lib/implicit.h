/*
 * implicit.h: implicit blocks, each collected by itself: a header, and the
 * user's bytes at the alignment that was asked for.  Each carries its own
 * account, settled when the collector finds it dead or it is freed by hand.
 */
#ifndef ARENA_LIB_IMPLICIT_H
#define ARENA_LIB_IMPLICIT_H

#include "internal.h"
#include "thread.h"

/* A block, if one of its size is at hand; or NULL. */
void *arenap_implicit_alloc_at_hand(size_t size);

void *arenap_implicit_alloc(struct thread *self, size_t size, size_t align);

/* Free the block that begins at ptr, of which the collector says base.
 * False if it is none, or not any more. */
bool arenap_implicit_free(const void *ptr, void *base);

/* The size that a block was asked for.  False if ptr does not begin one. */
bool arenap_implicit_size(const void *ptr, void *base, size_t *size);

/* Where the one begins and ends of which the collector says base.  False:
 * there is none. */
bool arenap_implicit_extent(void *base, const char **start, const char **end);

/* Called by the collector for each dead one, in several threads at once: takes
 * no lock and touches no other block. */
int arenap_implicit_dead(void *block);

#endif
