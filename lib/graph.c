/* graph.c: which objects a value leads to, and where their copies go. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector.h"
#include "graph.h"
#include "pagemap.h"

/* --- The table --- */

const arena_layout_t arenap_graph_byte = {
    .kind = ARENA_LAYOUT_RAW,
    .name = "string",
    .size = 1,
    .align = 1,
    .value_size = 1,
    .value_align = 1,
};

void
arenap_graph_init(struct graph *graph, arena_form_t from)
{
    graph->from = from;
    graph->to = from == ARENA_FORM_DATA ? ARENA_FORM_VALUE : ARENA_FORM_DATA;
    graph->objects = graph->few;
    graph->slots = graph->few_slots;
    graph->room = GRAPH_FEW;
    graph->count = 0;
    graph->size = 0;
    graph->align = 1;
    graph->out = NULL;
    graph->out_size = 0;
    memset(graph->few_slots, 0, sizeof graph->few_slots);
}

void
arenap_graph_free(struct graph *graph)
{
    if (graph->objects != graph->few)
        free(graph->objects);
    if (graph->slots != graph->few_slots)
        free(graph->slots);
}

/* The slot of an object, or the empty one where it would be. */
static size_t *
graph_slot(const struct graph *graph, const struct object_key *key)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    uint64_t hash = (uint64_t)(uintptr_t)key->src * golden;
    size_t mask = 2 * graph->room - 1, i;

    hash = (hash ^ (hash >> 29) ^ (uint64_t)(uintptr_t)key->layout
            ^ key->count) * golden;
    for (i = (size_t)(hash >> 32) & mask; graph->slots[i] != 0;
         i = (i + 1) & mask) {
        const struct object *object = &graph->objects[graph->slots[i] - 1];

        if (object->key.src == key->src && object->key.layout == key->layout
            && object->key.count == key->count)
            break;
    }
    return &graph->slots[i];
}

size_t
arenap_graph_find(const struct graph *graph, const struct object_key *key)
{
    size_t found = *graph_slot(graph, key);

    return found != 0 ? found - 1 : GRAPH_NONE;
}

/* Make room for as many objects again.  False when the system refuses. */
static bool
graph_grow(struct graph *graph)
{
    size_t room = 2 * graph->room;
    struct object *objects = malloc(room * sizeof *objects);
    size_t *slots = calloc(2 * room, sizeof *slots);

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
        *graph_slot(graph, &objects[i].key) = i + 1;
    return true;
}

/* Give an object its place in the block; one of no bytes has a byte of its
 * own.  False: the block becomes too large. */
static bool
graph_place(struct graph *graph, struct object *object)
{
    size_t align = arenap_layout_align(object->key.layout, graph->to);
    size_t size = arenap_layout_size(object->key.layout, graph->to);

    if (__builtin_mul_overflow(size, object->key.count, &size)
        || size > PTRDIFF_MAX || align > PTRDIFF_MAX)
        return false;
    size += size == 0;
    object->place = arenap_round_up(graph->size, align);
    if (object->place > PTRDIFF_MAX || size > PTRDIFF_MAX - object->place)
        return false;
    graph->size = object->place + size;
    if (align > graph->align)
        graph->align = align;
    return true;
}

/* Does what is read overlap what will be written? */
static bool
graph_overlaps(const struct graph *graph, const struct object_key *key)
{
    uintptr_t src = (uintptr_t)key->src, out = (uintptr_t)graph->out;
    size_t size = key->count * arenap_layout_size(key->layout, graph->from);

    return graph->out != NULL
           && (src < out ? out - src < size : src - out < graph->out_size);
}

int
arenap_graph_add(struct graph *graph, const struct object *object,
                 bool in_block)
{
    struct object *added;

    if (!arenap_is_pow2(arenap_layout_align(object->key.layout, graph->to))
        || graph_overlaps(graph, &object->key))
        return EINVAL;
    if (graph->count == graph->room && !graph_grow(graph))
        return ENOMEM;
    added = &graph->objects[graph->count];
    *added = *object;
    if (in_block && !graph_place(graph, added))
        return ENOMEM;
    *graph_slot(graph, &object->key) = ++graph->count;
    return 0;
}

/* --- Memory that is known --- */

/* Of so many bytes, how many lie in the memory that src points into, if that
 * is the library's; else all.  0; or an errno. */
static int
known_bytes(const char *src, size_t want, size_t *out)
{
    struct arena *arena = arenap_pagemap_get(src);
    uintptr_t page = (uintptr_t)src & ~(ARENA_PAGE - 1);
    size_t size, bytes;
    void *base;

    *out = want;
    if (arena == NULL) {
        if (arenap_collector_find(src, &base, &size) == BLOCK_NONE)
            return 0;
        bytes = size - (size_t)(src - (char *)base);
        *out = bytes < want ? bytes : want;
        return 0;
    }
    if (arena == &arenap_pagemap_cached)
        return ESTALE;
    if (!arena_is_accessible(arena))
        return arena_is_alive(arena) ? EPERM : ESTALE;
    bytes = ARENA_PAGE - (size_t)((uintptr_t)src - page);
    while (bytes < want
           && arenap_pagemap_get((void *)(page += ARENA_PAGE)) == arena)
        bytes += ARENA_PAGE;
    if (bytes < want)
        *out = bytes;
    return 0;
}

int
arenap_graph_readable(const char *src, size_t size)
{
    size_t bytes;
    int error = known_bytes(src, size, &bytes);

    return error != 0 || bytes >= size ? error : ERANGE;
}

int
arenap_graph_string(const char *src, size_t *length)
{
    size_t want = 256, bytes;

    for (;;) {
        int error = known_bytes(src, want, &bytes);

        if (error != 0)
            return error;
        *length = strnlen(src, bytes);
        if (*length < bytes)
            return 0;
        if (bytes < want || want > PTRDIFF_MAX / 2)
            return ERANGE;
        want *= 2;
    }
}
