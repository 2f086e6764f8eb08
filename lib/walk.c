/* walk.c: from object to object, and where a fault is. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "walk_kind.h"

int
arenap_walk_unsound(struct walk *walk, const arena_layout_t *layout)
{
    return arenap_fault_set(&walk->fault, EINVAL, "%.40s is no sound layout",
                            arenap_layout_name(layout));
}

int
arenap_walk_kind(struct walk *walk, const arena_layout_t *layout,
                 const char *src, size_t dst, const struct number *by)
{
    switch (layout->kind) {
    case ARENA_LAYOUT_INT:
    case ARENA_LAYOUT_ENUM:
    case ARENA_LAYOUT_FLAGS:
        return arenap_walk_int(walk, layout, src, dst);
    case ARENA_LAYOUT_FLOAT:
        return arenap_walk_float(walk, layout, src, dst);
    case ARENA_LAYOUT_BOOL:
        return arenap_walk_bool(walk, layout, src, dst);
    case ARENA_LAYOUT_STRING:
        return arenap_walk_string(walk, layout, src, dst);
    case ARENA_LAYOUT_POINTER:
        return arenap_walk_pointer(walk, layout, src, dst, by);
    case ARENA_LAYOUT_ARRAY:
    case ARENA_LAYOUT_STRUCT:
    case ARENA_LAYOUT_UNION:
        return arenap_walk_group(walk, layout, src, dst, by);
    case ARENA_LAYOUT_PADDING:
        return 0;
    default:
        return arenap_walk_unsound(walk, layout);
    }
}

static int
walk_object(struct walk *walk, size_t index)
{
    const struct object *object = &walk->graph.objects[index];

    walk->object = index;
    if (object->layout == NULL || object->in_tail)
        return 0;
    if (!object->counted)
        return arenap_walk_one(walk, object->layout, object->src,
                               object->place, NULL);
    return arenap_walk_elements(walk, object->layout, object->count,
                                object->src, object->place);
}

/* The object whose copy is around a place in the draft.  The last one may be
 * without a place yet. */
static ARENA_COLD size_t
object_around(const struct walk *walk, size_t place)
{
    for (size_t i = 0; i < walk->graph.count; i++) {
        const struct object *object = &walk->graph.objects[i];

        if (object->layout != NULL && !object->in_tail
            && object->place <= place
            && place - object->place
                   < object->count
                         * arenap_layout_size(object->layout, walk->to))
            return i;
    }
    return 0;
}

/* Complete the fault's path, from the object that was walked to the root.
 * Each object but the root was met first by a pointer in an earlier one. */
static ARENA_COLD void
walk_locate(struct walk *walk)
{
    const struct object *objects = walk->graph.objects;
    struct fault *fault = &walk->fault;

    for (size_t i = walk->object, parent; i != 0 && !fault->cut; i = parent) {
        const struct link *link = walk->draft.links;
        size_t size, inside;

        while (link->object != i)
            link++;
        parent = object_around(walk, link->at);
        size = arenap_layout_size(objects[parent].layout, walk->to);
        inside = link->at - objects[parent].place;
        arenap_fault_arrow(fault, objects[i].counted);
        arenap_fault_way(fault, objects[parent].layout, walk->to,
                         inside % size, objects[i].layout);
        if (objects[parent].counted)
            arenap_fault_index(fault, inside / size);
    }
}

static int
walk_root(struct walk *walk, const arena_layout_t *layout, const char *src)
{
    const struct object key = {.src = src, .layout = layout, .count = 1};
    size_t count;
    bool fresh;

    (void)arenap_graph_enter(&walk->graph, &key, &fresh);
    if (arenap_walk_count(walk, layout, NULL, &count) != 0
        || arenap_walk_readable(walk, &key) != 0
        || arenap_walk_place(walk, &walk->graph.objects[0]) != 0)
        return -1;
    if (walk->out != NULL)
        arenap_draft_lead(&walk->draft);
    return 0;
}

int
arenap_walk(struct walk *walk, const arena_layout_t *layout, const char *src)
{
    if (walk_root(walk, layout, src) != 0)
        return -1;
    for (size_t i = 0; i < walk->graph.count; i++) {
        if (walk_object(walk, i) != 0) {
            walk_locate(walk);
            return -1;
        }
    }
    return 0;
}

void
arenap_walk_init(struct walk *walk, arena_form_t from, const char *out)
{
    walk->from = from;
    walk->to = from == ARENA_FORM_DATA ? ARENA_FORM_VALUE : ARENA_FORM_DATA;
    walk->out = out;
    walk->object = 0;
    walk->depth = 0;
    memset(walk->sound, 0, sizeof walk->sound);
    arenap_fault_init(&walk->fault);
    arenap_graph_init(&walk->graph);
    arenap_draft_init(&walk->draft);
}

void
arenap_walk_free(struct walk *walk)
{
    arenap_graph_free(&walk->graph);
    arenap_draft_free(&walk->draft);
}
