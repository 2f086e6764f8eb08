/* walk_pointer.c: pointers and strings of a value, and what they lead to. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "pointee.h"
#include "walk_kind.h"

static ARENA_COLD int
fail_pointee(struct walk *walk, int error)
{
    const char *why = "the memory pointed to ends before what is there";

    if (error == EPERM)
        why = "points into an arena that is confined to another thread";
    else if (error == ESTALE)
        why = "points into an arena that is closed, or memory that is freed";
    return arenap_fault_set(&walk->fault, error, "%s", why);
}

static ARENA_COLD int
fail_memory(struct walk *walk)
{
    return arenap_fault_set(&walk->fault, ENOMEM,
                            "the system refused memory, or the copy exceeds "
                            "the budget's limit");
}

/* What is read must not lie where the root's copy will be written. */
static int
check_apart(struct walk *walk, const char *src, size_t size)
{
    uintptr_t from = (uintptr_t)src, out = (uintptr_t)walk->out;
    size_t out_size =
        arenap_layout_size(walk->graph.objects[0].layout, walk->to);

    if (walk->out == NULL || size == 0
        || (from < out ? out - from >= size : from - out >= out_size))
        return 0;
    return arenap_fault_set(&walk->fault, EINVAL,
                            "it lies where the copy is to be written");
}

int
arenap_walk_place(struct walk *walk, struct object *object)
{
    const arena_layout_t *layout = object->layout;
    size_t size = object->count * arenap_layout_size(layout, walk->to);
    size_t align = arenap_layout_align(layout, walk->to);

    if (!arenap_is_pow2(align))
        return arenap_walk_unsound(walk, layout);
    object->in_tail = size >= DRAFT_TAIL && object->counted
                      && arenap_number_is_plain(layout);
    if (object->in_tail
            ? arenap_draft_place_tail(&walk->draft, size, align,
                                      &object->place)
            : arenap_draft_place(&walk->draft, size, align, &object->place))
        return 0;
    return fail_memory(walk);
}

/* Find a place for a string, and copy it unless that is done at the end. */
static int
place_string(struct walk *walk, struct object *object)
{
    size_t length;
    int error = arenap_pointee_string(object->src, &length);

    if (error != 0)
        return fail_pointee(walk, error);
    if (check_apart(walk, object->src, length + 1) != 0)
        return -1;
    object->count = length;
    object->in_tail = length >= DRAFT_TAIL;
    if (object->in_tail ? arenap_draft_place_tail(&walk->draft, length + 1, 1,
                                                  &object->place)
                        : arenap_draft_string(&walk->draft, object->src,
                                              length, &object->place))
        return 0;
    return fail_memory(walk);
}

int
arenap_walk_readable(struct walk *walk, const struct object *object)
{
    size_t size =
        object->count * arenap_layout_size(object->layout, walk->from);
    int error = arenap_pointee_readable(object->src, size);

    if (error != 0)
        return fail_pointee(walk, error);
    return check_apart(walk, object->src, size);
}

/* Enter an object if it is new, and note a pointer to it. */
static int
walk_pointee(struct walk *walk, const struct object *key, size_t dst)
{
    struct graph *graph = &walk->graph;
    struct object *object;
    bool fresh;
    size_t index = arenap_graph_enter(graph, key, &fresh);

    if (index == GRAPH_NONE)
        return fail_memory(walk);
    object = &graph->objects[index];
    if (fresh
        && (object->layout == NULL
                ? place_string(walk, object) != 0
                : arenap_walk_readable(walk, object) != 0
                      || arenap_walk_place(walk, object) != 0))
        return -1;
    return arenap_draft_link(&walk->draft, dst, index) ? 0 : fail_memory(walk);
}

int
arenap_walk_string(struct walk *walk, const arena_layout_t *layout,
                   const char *src, size_t dst)
{
    struct object key = {.layout = NULL};

    if (layout->size != sizeof key.src || layout->value_size != layout->size)
        return arenap_walk_unsound(walk, layout);
    memcpy(&key.src, src, sizeof key.src);
    return key.src != NULL ? walk_pointee(walk, &key, dst) : 0;
}

static ARENA_COLD int
fail_count(struct walk *walk, const struct number *by)
{
    char text[NUMBER_TEXT];

    arenap_number_text(*by, text);
    return arenap_fault_set(&walk->fault, ERANGE, "a count of %s", text);
}

int
arenap_walk_count(struct walk *walk, const arena_layout_t *target,
                  const struct number *by, size_t *count)
{
    size_t most =
        target->size > target->value_size ? target->size : target->value_size;
    size_t bytes;

    *count = by != NULL ? (size_t)by->bits : 1;
    if (!__builtin_mul_overflow(*count, most, &bytes) && bytes <= PTRDIFF_MAX
        && *count <= PTRDIFF_MAX)
        return 0;
    return by == NULL ? arenap_walk_unsound(walk, target)
                      : fail_count(walk, by);
}

int
arenap_walk_pointer(struct walk *walk, const arena_layout_t *layout,
                    const char *src, size_t dst, const struct number *by)
{
    struct object key = {.layout = layout->element, .counted = by != NULL};

    if (layout->size != sizeof key.src || layout->value_size != layout->size)
        return arenap_walk_unsound(walk, layout);
    memcpy(&key.src, src, sizeof key.src);
    if (layout->element == NULL) {
        memcpy(arenap_walk_copy(walk, dst), &key.src, sizeof key.src);
        return 0;
    }
    if (key.src == NULL)
        return by == NULL || by->bits == 0
                   ? 0
                   : arenap_fault_set(&walk->fault, EINVAL,
                                      "NULL, with a count that is not 0");
    if (arenap_walk_count(walk, key.layout, by, &key.count) != 0)
        return -1;
    return walk_pointee(walk, &key, dst);
}
