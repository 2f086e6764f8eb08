/* walk.c: what is done with each kind of layout. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "number.h"
#include "pointee.h"
#include "walk.h"

/* What follows reads a thing at src, whose copy is at dst in the draft, which
 * moves when something is added to it. */
static inline char *
copy_at(const struct walk *walk, size_t dst)
{
    return walk->draft.bytes + dst;
}

static int walk_kind(struct walk *walk, const arena_layout_t *layout,
                     const char *src, size_t dst, const struct number *by);

static inline int
walk_one(struct walk *walk, const arena_layout_t *layout, const char *src,
         size_t dst, const struct number *by)
{
    if (!arenap_number_is_plain(layout))
        return walk_kind(walk, layout, src, dst, by);
    arenap_number_copy_one(layout, src, copy_at(walk, dst));
    return 0;
}

static ARENA_COLD int
fail_unsound(struct walk *walk, const arena_layout_t *layout)
{
    return arenap_fault_set(&walk->fault, EINVAL, "%.40s is no sound layout",
                            arenap_layout_name(layout));
}

/* --- Scalars --- */

static ARENA_COLD int
fail_variant(struct walk *walk, const arena_layout_t *layout,
             struct number number, uint64_t unknown)
{
    char text[NUMBER_TEXT];

    if (layout->kind == ARENA_LAYOUT_FLAGS)
        return arenap_fault_set(&walk->fault, EINVAL,
                                "no flag of %.40s is %#llx",
                                arenap_layout_name(layout),
                                (unsigned long long)unknown);
    arenap_number_text(number, text);
    return arenap_fault_set(&walk->fault, EINVAL, "no variant of %.40s is %s",
                            arenap_layout_name(layout), text);
}

/* Has an enumeration or a flag set a name for it? */
static int
check_variants(struct walk *walk, const arena_layout_t *layout,
               struct number number)
{
    size_t width = 8 * arenap_layout_size(layout, walk->from);
    uint64_t unknown = number.bits & (UINT64_MAX >> (64 - width));

    for (size_t i = 0; i < layout->count; i++) {
        int64_t value = layout->variants[i].value;

        if (layout->kind == ARENA_LAYOUT_ENUM
            && arenap_number_is(number, value))
            return 0;
        unknown &= ~(uint64_t)value;
    }
    if (layout->kind == ARENA_LAYOUT_FLAGS && unknown == 0)
        return 0;
    return fail_variant(walk, layout, number, unknown);
}

static ARENA_COLD int
fail_number(struct walk *walk, const arena_layout_t *layout,
            struct number number)
{
    char text[NUMBER_TEXT], type[NUMBER_TEXT];

    arenap_number_text(number, text);
    arenap_number_type(layout, walk->to, type);
    return arenap_fault_set(&walk->fault, ERANGE, "%s does not fit %s", text,
                            type);
}

static int
walk_int(struct walk *walk, const arena_layout_t *layout,
         const char *src, size_t dst)
{
    struct number number;

    if (!arenap_number_is_sound(layout))
        return fail_unsound(walk, layout);
    number = arenap_number_load(layout, walk->from, src);
    if (layout->kind != ARENA_LAYOUT_INT
        && check_variants(walk, layout, number) != 0)
        return -1;
    if (arenap_number_store(layout, walk->to, number, copy_at(walk, dst)))
        return 0;
    return fail_number(walk, layout, number);
}

static int
walk_float(struct walk *walk, const arena_layout_t *layout,
           const char *src, size_t dst)
{
    char type[NUMBER_TEXT];
    double number;

    if (!arenap_number_is_sound(layout))
        return fail_unsound(walk, layout);
    if (arenap_number_float(layout, walk->from, src, copy_at(walk, dst),
                            &number))
        return 0;
    arenap_number_type(layout, walk->to, type);
    return arenap_fault_set(&walk->fault, ERANGE, "%g does not fit %s", number,
                            type);
}

static int
walk_bool(struct walk *walk, const arena_layout_t *layout,
          const char *src, size_t dst)
{
    if (!arenap_number_is_sound(layout))
        return fail_unsound(walk, layout);
    if (*src != 0 && *src != 1)
        return arenap_fault_set(&walk->fault, EINVAL, "%d is no bool",
                                (unsigned char)*src);
    *copy_at(walk, dst) = *src;
    return 0;
}

/* --- Pointers and strings --- */

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

/* Find a place for the copy of elements, whose size is not over PTRDIFF_MAX
 * in either form; they are copied when they are walked, or at the end. */
static int
place_elements(struct walk *walk, struct object *object)
{
    const arena_layout_t *layout = object->layout;
    size_t size = object->count * arenap_layout_size(layout, walk->to);
    size_t align = arenap_layout_align(layout, walk->to);

    if (!arenap_is_pow2(align))
        return fail_unsound(walk, layout);
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
    if (object->in_tail
            ? arenap_draft_place_tail(&walk->draft, length + 1, 1,
                                      &object->place)
            : arenap_draft_string(&walk->draft, object->src, length,
                                  &object->place))
        return 0;
    return fail_memory(walk);
}

/* Is all of it there, and nothing else? */
static int
check_elements(struct walk *walk, const struct object *object)
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
        && (object->layout == NULL ? place_string(walk, object) != 0
            : check_elements(walk, object) != 0
                  || place_elements(walk, object) != 0))
        return -1;
    return arenap_draft_link(&walk->draft, dst, index)
               ? 0
               : fail_memory(walk);
}

static int
walk_string(struct walk *walk, const arena_layout_t *layout,
            const char *src, size_t dst)
{
    struct object key = {.layout = NULL};

    if (layout->size != sizeof key.src || layout->value_size != layout->size)
        return fail_unsound(walk, layout);
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

/* How many elements there are at a pointer that is not NULL. */
static int
pointee_count(struct walk *walk, const arena_layout_t *target,
              const struct number *by, size_t *count)
{
    size_t most = target->size > target->value_size ? target->size
                                                    : target->value_size;
    size_t bytes;

    *count = by != NULL ? (size_t)by->bits : 1;
    if (!__builtin_mul_overflow(*count, most, &bytes) && bytes <= PTRDIFF_MAX
        && *count <= PTRDIFF_MAX)
        return 0;
    return by == NULL ? fail_unsound(walk, target) : fail_count(walk, by);
}

static int
walk_pointer(struct walk *walk, const arena_layout_t *layout,
             const char *src, size_t dst, const struct number *by)
{
    struct object key = {.layout = layout->element, .counted = by != NULL};

    if (layout->size != sizeof key.src || layout->value_size != layout->size)
        return fail_unsound(walk, layout);
    memcpy(&key.src, src, sizeof key.src);
    if (layout->element == NULL) {
        memcpy(copy_at(walk, dst), &key.src, sizeof key.src);
        return 0;
    }
    if (key.src == NULL)
        return by == NULL || by->bits == 0
                   ? 0
                   : arenap_fault_set(&walk->fault, EINVAL,
                                      "NULL, with a count that is not 0");
    if (pointee_count(walk, key.layout, by, &key.count) != 0)
        return -1;
    return walk_pointee(walk, &key, dst);
}

/* --- Arrays, structures and unions --- */

static int
walk_elements(struct walk *walk, const arena_layout_t *element, size_t count,
              const char *src, size_t dst)
{
    size_t from = arenap_layout_size(element, walk->from);
    size_t to = arenap_layout_size(element, walk->to);

    if (arenap_number_is_plain(element)) {
        arenap_number_copy(element, src, copy_at(walk, dst), count);
        return 0;
    }
    for (size_t i = 0; i < count && (from | to) != 0; i++) {
        if (walk_one(walk, element, src + i * from, dst + i * to, NULL) != 0) {
            arenap_fault_index(&walk->fault, i);
            return -1;
        }
    }
    return 0;
}

static int
walk_array(struct walk *walk, const arena_layout_t *layout,
           const char *src, size_t dst, const struct number *by)
{
    size_t count = layout->count, from, to;
    char text[NUMBER_TEXT];

    if (layout->element == NULL
        || __builtin_mul_overflow(count, layout->element->size, &from)
        || __builtin_mul_overflow(count, layout->element->value_size, &to)
        || from > layout->size || to > layout->value_size)
        return fail_unsound(walk, layout);
    if (by != NULL && (by->negative || by->bits > count)) {
        arenap_number_text(*by, text);
        return arenap_fault_set(&walk->fault, ERANGE, "%s of %zu elements",
                                text, count);
    }
    if (by != NULL)
        count = (size_t)by->bits;
    return walk_elements(walk, layout->element, count, src, dst);
}

/* Does the member lie within its group, in both forms? */
static inline bool
is_within(const arena_layout_t *group, const arena_layout_member_t *member)
{
    return member->layout != NULL && member->offset <= group->size
           && member->layout->size <= group->size - member->offset
           && member->value_offset <= group->value_size
           && member->layout->value_size
                  <= group->value_size - member->value_offset;
}

static ARENA_COLD int
fail_member(struct walk *walk, const arena_layout_t *group,
            const arena_layout_member_t *member)
{
    (void)fail_unsound(walk, group);
    arenap_fault_member(&walk->fault, member);
    return -1;
}

/* Read the number that a member's by names. */
static int
read_by(struct walk *walk, const arena_layout_t *group,
        const arena_layout_member_t *member, const char *src,
        struct number *out)
{
    const arena_layout_member_t *by = arenap_layout_by(group, member);

    if (by == NULL)
        return arenap_fault_set(&walk->fault, EINVAL,
                                "no member of %.32s is a number %.24s",
                                arenap_layout_name(group), member->by);
    if (!arenap_number_is_sound(by->layout))
        return fail_unsound(walk, by->layout);
    *out = arenap_number_load(by->layout, walk->from,
                              src + arenap_member_offset(by, walk->from));
    return 0;
}

/* Where a structure is noted whose members are all within it: one that is
 * copied often is looked at once. */
static inline const arena_layout_t **
sound_slot(struct walk *walk, const arena_layout_t *group)
{
    return &walk->sound[((uintptr_t)group >> 5) % WALK_SOUND];
}

static int
check_members(struct walk *walk, const arena_layout_t *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (!is_within(group, &group->members[i]))
            return fail_member(walk, group, &group->members[i]);
    }
    *sound_slot(walk, group) = group;
    return 0;
}

/* A member that is not plain, or that a number counts or tells. */
static int
walk_other_member(struct walk *walk, const arena_layout_t *group,
                  const arena_layout_member_t *member, const char *src,
                  size_t dst)
{
    const char *from = src + arenap_member_offset(member, walk->from);
    struct number by;
    int result;

    dst += arenap_member_offset(member, walk->to);
    if (member->by == NULL)
        result = walk_kind(walk, member->layout, from, dst, NULL);
    else if ((result = read_by(walk, group, member, src, &by)) == 0)
        result = walk_one(walk, member->layout, from, dst, &by);
    if (ARENA_UNLIKELY(result != 0))
        arenap_fault_member(&walk->fault, member);
    return result;
}

static int
walk_struct(struct walk *walk, const arena_layout_t *layout, const char *src,
            size_t dst)
{
    if (*sound_slot(walk, layout) != layout
        && check_members(walk, layout) != 0)
        return -1;
    for (size_t i = 0; i < layout->count; i++) {
        const arena_layout_member_t *member = &layout->members[i];

        if (member->by == NULL && arenap_number_is_plain(member->layout))
            arenap_number_copy_one(
                member->layout, src + arenap_member_offset(member, walk->from),
                copy_at(walk, dst + arenap_member_offset(member, walk->to)));
        else if (walk_other_member(walk, layout, member, src, dst) != 0)
            return -1;
    }
    return 0;
}

/* How many layouts are looked at to see whether a union can be copied. */
#define SAME_MOST 1000u

/* Are both forms the same bytes, without pointers that are followed? */
static bool
is_same(const arena_layout_t *layout, size_t offset, size_t value_offset,
        unsigned *left)
{
    if (*left == 0 || layout == NULL || offset != value_offset
        || layout->size != layout->value_size)
        return false;
    --*left;
    switch (layout->kind) {
    case ARENA_LAYOUT_STRING:
        return false;
    case ARENA_LAYOUT_POINTER:
        return layout->element == NULL;
    case ARENA_LAYOUT_ARRAY:
        return is_same(layout->element, 0, 0, left);
    case ARENA_LAYOUT_STRUCT:
    case ARENA_LAYOUT_UNION:
        for (size_t i = 0; i < layout->count; i++) {
            const arena_layout_member_t *member = &layout->members[i];

            if (!is_same(member->layout, member->offset, member->value_offset,
                         left))
                return false;
        }
        return true;
    default:
        return layout->kind == ARENA_LAYOUT_PADDING
               || arenap_number_is_same(layout);
    }
}

/* One that nothing is known of. */
static int
walk_untold_union(struct walk *walk, const arena_layout_t *layout,
                  const char *src, size_t dst)
{
    unsigned left = SAME_MOST;

    if (!is_same(layout, 0, 0, &left))
        return arenap_fault_set(&walk->fault, EINVAL,
                                "nothing tells which member of %.40s is held",
                                arenap_layout_name(layout));
    memcpy(copy_at(walk, dst), src, layout->size);
    return 0;
}

/* The member that a union holds. */
static int
walk_held(struct walk *walk, const arena_layout_t *layout,
          const arena_layout_member_t *member, const char *src, size_t dst)
{
    if (!is_within(layout, member))
        return fail_member(walk, layout, member);
    if (walk_one(walk, member->layout,
                 src + arenap_member_offset(member, walk->from),
                 dst + arenap_member_offset(member, walk->to), NULL)
        == 0)
        return 0;
    arenap_fault_member(&walk->fault, member);
    return -1;
}

static int
walk_union(struct walk *walk, const arena_layout_t *layout,
           const char *src, size_t dst, const struct number *by)
{
    char text[NUMBER_TEXT];
    size_t i;
    int chosen;

    if (by == NULL) {
        if (layout->choose == NULL)
            return walk_untold_union(walk, layout, src, dst);
        chosen = layout->choose(src, walk->from);
        if (chosen < 0 || (size_t)chosen >= layout->count)
            return arenap_fault_set(&walk->fault, EINVAL,
                                    "no member of %.40s was chosen",
                                    arenap_layout_name(layout));
        return walk_held(walk, layout, &layout->members[chosen], src, dst);
    }
    for (i = 0; i < layout->count; i++) {
        if (arenap_number_is(*by, layout->members[i].tag))
            return walk_held(walk, layout, &layout->members[i], src, dst);
    }
    arenap_number_text(*by, text);
    return arenap_fault_set(&walk->fault, EINVAL,
                            "no member of %.40s has the tag %s",
                            arenap_layout_name(layout), text);
}

/* What is made of other layouts. */
static int
walk_group(struct walk *walk, const arena_layout_t *layout,
           const char *src, size_t dst, const struct number *by)
{
    int result;

    if (walk->depth == LAYOUT_DEPTH)
        return arenap_fault_set(&walk->fault, EINVAL,
                                "nested more than %u deep", LAYOUT_DEPTH);
    if (layout->size == 0 && layout->value_size == 0)
        return 0;
    walk->depth++;
    if (layout->kind == ARENA_LAYOUT_STRUCT)
        result = walk_struct(walk, layout, src, dst);
    else if (layout->kind == ARENA_LAYOUT_UNION)
        result = walk_union(walk, layout, src, dst, by);
    else
        result = walk_array(walk, layout, src, dst, by);
    walk->depth--;
    return result;
}

/* --- The walk --- */

static int
walk_kind(struct walk *walk, const arena_layout_t *layout, const char *src,
          size_t dst, const struct number *by)
{
    switch (layout->kind) {
    case ARENA_LAYOUT_INT:
    case ARENA_LAYOUT_ENUM:
    case ARENA_LAYOUT_FLAGS:
        return walk_int(walk, layout, src, dst);
    case ARENA_LAYOUT_FLOAT:
        return walk_float(walk, layout, src, dst);
    case ARENA_LAYOUT_BOOL:
        return walk_bool(walk, layout, src, dst);
    case ARENA_LAYOUT_STRING:
        return walk_string(walk, layout, src, dst);
    case ARENA_LAYOUT_POINTER:
        return walk_pointer(walk, layout, src, dst, by);
    case ARENA_LAYOUT_ARRAY:
    case ARENA_LAYOUT_STRUCT:
    case ARENA_LAYOUT_UNION:
        return walk_group(walk, layout, src, dst, by);
    case ARENA_LAYOUT_PADDING:
        return 0;
    default:
        return fail_unsound(walk, layout);
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
        return walk_one(walk, object->layout, object->src, object->place,
                        NULL);
    return walk_elements(walk, object->layout, object->count, object->src,
                         object->place);
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
    if (pointee_count(walk, layout, NULL, &count) != 0
        || check_elements(walk, &key) != 0
        || place_elements(walk, &walk->graph.objects[0]) != 0)
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
