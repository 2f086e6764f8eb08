/* graph.c: a hash table of objects, in the order in which they come. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "graph.h"

void
arenap_graph_init(struct graph *graph)
{
    graph->objects = graph->few;
    graph->slots = NULL;
    graph->room = GRAPH_FEW;
    graph->count = 0;
}

void
arenap_graph_free(struct graph *graph)
{
    if (graph->objects == graph->few)
        return;
    free(graph->objects);
    free(graph->slots);
}

/* The slot of an object, or the empty one where it would be. */
static inline uint32_t *
graph_slot(const struct graph *graph, const struct object *key)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    uint64_t hash = ((uint64_t)(uintptr_t)key->src
                     + 3 * (uint64_t)(uintptr_t)key->layout)
                    * golden;
    size_t mask = 2 * graph->room - 1, i;

    for (i = (size_t)(hash >> 32) & mask; graph->slots[i] != 0;
         i = (i + 1) & mask) {
        if (arenap_graph_is_same(&graph->objects[graph->slots[i] - 1], key))
            break;
    }
    return &graph->slots[i];
}

/* Up to so many objects it grows fast. */
#define GRAPH_STEEP ((size_t)1024)

/* Make room for more objects.  False when the system refuses. */
static ARENA_NOINLINE bool
graph_grow(struct graph *graph)
{
    size_t room = graph->room < GRAPH_STEEP ? 4 * graph->room
                                            : 2 * graph->room;
    struct object *objects;
    uint32_t *slots;

    if (room > UINT32_MAX)
        return false;
    objects = malloc(room * sizeof *objects);
    slots = calloc(2 * room, sizeof *slots);
    if (objects == NULL || slots == NULL) {
        free(objects);
        free(slots);
        return false;
    }
    memcpy(objects, graph->objects, graph->count * sizeof *objects);
    arenap_graph_free(graph);
    graph->objects = objects;
    graph->slots = slots;
    graph->room = room;
    for (size_t i = 0; i < graph->count; i++)
        *graph_slot(graph, &objects[i]) = (uint32_t)i + 1;
    return true;
}

size_t
arenap_graph_enter_many(struct graph *graph, const struct object *object,
                        bool *fresh)
{
    uint32_t *slot = graph->slots != NULL ? graph_slot(graph, object) : NULL;

    *fresh = slot == NULL || *slot == 0;
    if (!*fresh)
        return *slot - (size_t)1;
    if (graph->count == graph->room) {
        if (!graph_grow(graph))
            return GRAPH_NONE;
        slot = graph_slot(graph, object);
    }
    graph->objects[graph->count] = *object;
    *slot = (uint32_t)++graph->count;
    return graph->count - 1;
}
