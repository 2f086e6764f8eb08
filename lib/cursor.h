/*
 * cursor.h: runs of confined arenas that cursors have (arena/inline.h).
 *
 * An arena lends one run at a time: all of what it has left.  It knows the
 * lease, and the cursor does; the run is the cursor's as long as both agree.
 * A cursor does not look at the arena for each block, but at the turn of its
 * thread, which advances whenever an arena of the thread takes its run back:
 * since all that does so is done by the arena's owner, and turns of different
 * threads are different, nothing else can have happened while the turn is the
 * one that the cursor knows.
 *
 * While it lends, the arena has ARENA_LENT of the serial as its owner, so that
 * the shortest way of closing it is not taken.
 */
#ifndef ARENA_LIB_CURSOR_H
#define ARENA_LIB_CURSOR_H

#include "internal.h"

/* arena_turn_ of arena/inline.h is the thread's turn.  Begin with those of a
 * serial; 0 for none. */
void arenap_cursor_begin(uint64_t serial);

/* What the arena lent is its own no more, and not the cursor's either.  Its
 * owner, or one who adopts it. */
void arenap_cursor_revoke(struct arena *arena);

#endif
