/*
 * cell.h: what makes segments stale that a rewind has undone.
 *
 * A segment is good as long as the word that it points to is what it was when
 * the segment was made.  That word is the arena's epoch, which each close and
 * reset advances.  A rewind undoes the blocks since a mark alone: so segments
 * of those point to a word of that mark instead, a cell, which is advanced
 * when the arena is rewound to the mark, or past it, or closed or reset.
 *
 * Cells outlive the marks: they are never unmapped, used again, and only ever
 * go up.  A mark gets one when the first segment needs it.
 */
#ifndef ARENA_LIB_CELL_H
#define ARENA_LIB_CELL_H

#include "explicit.h"
#include "internal.h"
#include "thread.h"

/* Changed by the thread that owns the arena, looked at by any. */
struct cell {
    uint64_t epoch;
    struct cell *next; /* of those that no mark has */
};

/* That of a mark of the calling thread's; NULL: the system refused. */
struct cell *arenap_cell_of(struct thread *self, struct mark *mark);

/* The marks of an arena down to but without last are about to go. */
void arenap_cells_drop(struct arena *arena, const struct mark *last);

/* The arena is being rewound to a mark. */
void arenap_cell_advance(const struct mark *mark);

#endif
