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

/* At one address there is one string. */
static inline bool
is_same_object(const struct object *a, const struct object *b)
{
    return a->src == b->src && a->layout == b->layout
           && (a->count == b->count || a->layout == NULL);
}

/* Of a few. */
static size_t
find_few(const struct graph *graph, const struct object *key)
{
    for (size_t i = 0; i < graph->count; i++) {
        if (is_same_object(&graph->few[i], key))
            return i;
    }
    return GRAPH_NONE;
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
        if (is_same_object(&graph->objects[graph->slots[i] - 1], key))
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

/* Find an object; if it is not there, *slot is where its index belongs. */
static inline size_t
graph_find(const struct graph *graph, const struct object *key,
           uint32_t **slot)
{
    *slot = NULL;
    if (graph->slots == NULL)
        return find_few(graph, key);
    *slot = graph_slot(graph, key);
    return **slot != 0 ? **slot - (size_t)1 : GRAPH_NONE;
}

size_t
arenap_graph_enter(struct graph *graph, const struct object *object,
                   bool *fresh)
{
    uint32_t *slot;
    size_t found = graph_find(graph, object, &slot);

    *fresh = found == GRAPH_NONE;
    if (!*fresh)
        return found;
    if (graph->count == graph->room) {
        if (!graph_grow(graph))
            return GRAPH_NONE;
        slot = graph_slot(graph, object);
    }
    graph->objects[graph->count++] = *object;
    if (slot != NULL)
        *slot = (uint32_t)graph->count;
    return graph->count - 1;
}
