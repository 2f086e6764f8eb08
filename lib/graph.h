/*
 * graph.h: the objects of memory that a value leads to.
 *
 * A object is what a pointer points to: some elements of one layout, or a
 * string.  It is entered once, when it is first met, and given its place in
 * the one block that all copies will lie in.  The table is malloc'd beyond
 * the first few objects, and lives as long as one call.
 */
#ifndef ARENA_LIB_GRAPH_H
#define ARENA_LIB_GRAPH_H

#include "layout.h"

/* What tells an object from others. */
struct object_key {
    const char *src;
    const arena_layout_t *layout; /* of an element */
    size_t count;                 /* of elements */
};

struct object {
    struct object_key key;
    size_t place; /* in the block */
    /* Where it was met first: which object, where in it, by what pointer. */
    size_t parent, parent_offset;
    const arena_layout_t *pointer;
    bool counted; /* it has elements, not one */
};

#define GRAPH_FEW 16u

struct graph {
    arena_form_t from, to;
    struct object *objects; /* in the order in which they were met */
    size_t count, room;   /* a power of two */
    size_t *slots;        /* twice as many: 0, or 1 + index of an object */
    size_t size, align;   /* of the block */
    const char *out;      /* that nothing may be read from, or NULL */
    size_t out_size;
    struct object few[GRAPH_FEW];
    size_t few_slots[2 * GRAPH_FEW];
};

#define GRAPH_NONE SIZE_MAX

/* The elements of a string, of which the last one is 0. */
extern const arena_layout_t arenap_graph_byte;

void arenap_graph_init(struct graph *graph, arena_form_t from);
void arenap_graph_free(struct graph *graph);

/* The index of an object, or GRAPH_NONE. */
size_t arenap_graph_find(const struct graph *graph,
                         const struct object_key *key);

/* Enter an object that is not there; its place is set.  0; or an errno:
 * ENOMEM, or EINVAL: the layout's alignment, or it lies where the copy
 * will. */
int arenap_graph_add(struct graph *graph, const struct object *object,
                     bool in_block);

/* May size bytes be read?  0; or an errno: EPERM, ESTALE; ERANGE: memory of
 * ours that ends before. */
int arenap_graph_readable(const char *src, size_t size);

/* The length of a string, likewise. */
int arenap_graph_string(const char *src, size_t *length);

#endif
