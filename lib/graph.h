/*
 * graph.h: the objects of memory that a value leads to.
 *
 * An object is what a pointer points to: some elements of one layout, or a
 * string.  It is entered when it is first met, and found from then on: among a
 * few one by one, among more by a hash table, which is malloc'd and lives as
 * long as one call.
 */
#ifndef ARENA_LIB_GRAPH_H
#define ARENA_LIB_GRAPH_H

#include "layout.h"

struct object {
    /* What tells it from others. */
    const char *src;
    const arena_layout_t *layout; /* of an element; NULL: a string */
    size_t count; /* of elements; a string's length, when it has a place */
    /* Where its copy goes: in the draft, or behind that (draft.h). */
    size_t place;
    bool in_tail;
    bool counted; /* it is elements by a count, not one */
};

#define GRAPH_FEW 16u

struct graph {
    struct object *objects; /* in the order in which they were met */
    size_t count, room;     /* a power of two */
    uint32_t *slots; /* NULL: few; twice as many: 0, or 1 + an index */
    struct object few[GRAPH_FEW];
};

#define GRAPH_NONE SIZE_MAX

void arenap_graph_init(struct graph *graph);
void arenap_graph_free(struct graph *graph);

/* As arenap_graph_enter, among many. */
size_t arenap_graph_enter_many(struct graph *graph,
                               const struct object *object, bool *fresh);

/* At one address there is one string. */
static inline bool
arenap_graph_is_same(const struct object *a, const struct object *b)
{
    return a->src == b->src && a->layout == b->layout
           && (a->count == b->count || a->layout == NULL);
}

/* The index of an object, which is entered if it is *fresh; GRAPH_NONE: the
 * system refuses memory. */
static inline size_t
arenap_graph_enter(struct graph *graph, const struct object *object,
                   bool *fresh)
{
    size_t i, count = graph->count;

    if (graph->slots != NULL)
        return arenap_graph_enter_many(graph, object, fresh);
    for (i = 0; i < count; i++) {
        if (arenap_graph_is_same(&graph->few[i], object)) {
            *fresh = false;
            return i;
        }
    }
    if (count == GRAPH_FEW)
        return arenap_graph_enter_many(graph, object, fresh);
    *fresh = true;
    graph->few[count] = *object;
    graph->count = count + 1;
    return count;
}

#endif
