/*
 * walk.h: from a value to the copies of all that it leads to.
 *
 * A walk reads everything once, checks every number, and makes the copies in
 * a draft; so what fails does so before anything has changed.  Objects are
 * walked in the order in which they were met: nothing recurses along
 * pointers, only along the nesting of structures, which ends at LAYOUT_DEPTH.
 */
#ifndef ARENA_LIB_WALK_H
#define ARENA_LIB_WALK_H

#include "draft.h"
#include "fault.h"
#include "graph.h"

/* Structures whose members were looked at lately. */
#define WALK_SOUND 4u

struct walk {
    arena_form_t from, to;
    const char *out; /* where the root's copy goes, if not to the block */
    size_t object;   /* that is walked */
    unsigned depth;  /* of structures, unions and arrays in that */
    const arena_layout_t *sound[WALK_SOUND];
    struct fault fault;
    struct graph graph;
    struct draft draft;
};

void arenap_walk_init(struct walk *walk, arena_form_t from, const char *out);
void arenap_walk_free(struct walk *walk);

/* Walk from the root, the first object, on.  0; or -1: the fault says why. */
int arenap_walk(struct walk *walk, const arena_layout_t *layout,
                const char *src);

#endif
