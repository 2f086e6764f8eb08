/*
 * segment.h: how segments are made; segment.c.
 */
#ifndef ARENA_LIB_SEGMENT_H
#define ARENA_LIB_SEGMENT_H

#include "../include/arena/segment.h"
#include "explicit.h"
#include "internal.h"
#include "thread.h"

/* Kept to arena_segment_t.flags: over the bytes of a direct buffer. */
#define SEGMENT_BUFFER 8u

/* All of a segment of an arena but where it is.  Begin before the memory is
 * taken; mark is the newest one that is older than the memory.  0; or -1 with
 * errno ENOMEM. */
int arenap_segment_begin(struct thread *self, struct arena *arena,
                         struct mark *mark, arena_segment_t *out);

/* After it is taken: false when the arena was closed or reset in between. */
bool arenap_segment_hold(const arena_segment_t *segment);

#endif
