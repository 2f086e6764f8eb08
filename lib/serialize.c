/*
 * serialize.c: copying what a layout describes from one form to the other.
 *
 * The same walk is done twice.  The first time it reads everything, checks
 * every number, and enters in a graph which objects of memory there are; then
 * one block is allocated for all copies; the second time it writes them.  So
 * whatever fails does so before anything has changed.  Objects are walked in
 * the order in which they were met: nothing recurses along pointers, only
 * along the nesting of structures, which ends at LAYOUT_DEPTH.
 *
 * What is read is not trusted to stay the same between the walks: the second
 * one writes within the objects that the first one found, or fails.
 */

#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "explicit.h"
#include "graph.h"
#include "layout.h"
#include "number.h"
#include "thread.h"

#define PATH_BYTES 112
#define WHY_BYTES 96

struct walk {
    arena_form_t from, to;
    struct graph graph;
    bool writing;
    size_t object; /* that is walked */
    char *root;   /* where the copy of the root goes, and */
    char *block;  /* of the others; while writing */
    int error;
    char why[WHY_BYTES];
    char path[PATH_BYTES]; /* of what failed, at its end */
    size_t path_at;
};

/* Where something is read, where its copy goes (NULL: not yet), and how deep
 * it is nested. */
struct place {
    const char *src;
    char *dst;
    unsigned depth;
};

static struct place
place_at(const struct place *place, size_t src, size_t dst)
{
    return (struct place){place->src + src,
                          place->dst != NULL ? place->dst + dst : NULL,
                          place->depth + 1};
}

static int walk_one(struct walk *walk, const arena_layout_t *layout,
                    const struct place *at, const struct number *by);

/* --- Failures --- */

static int walk_fail(struct walk *walk, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

static int
walk_fail(struct walk *walk, int error, const char *format, ...)
{
    va_list args;

    walk->error = error;
    va_start(args, format);
    vsnprintf(walk->why, sizeof walk->why, format, args);
    va_end(args);
    return -1;
}

static int
walk_fail_broken(struct walk *walk, const arena_layout_t *layout)
{
    return walk_fail(walk, EINVAL, "%.40s is no sound layout",
                     arenap_layout_name(layout));
}

/* Put text before the path.  One that becomes too long loses its start. */
static ARENA_COLD void
path_add(struct walk *walk, const char *text)
{
    size_t length = strlen(text);

    if (length > walk->path_at) {
        memcpy(walk->path, "...", 3);
        walk->path_at = 0;
        return;
    }
    walk->path_at -= length;
    memcpy(walk->path + walk->path_at, text, length);
}

static ARENA_COLD void
path_add_index(struct walk *walk, size_t index)
{
    char text[NUMBER_TEXT];

    snprintf(text, sizeof text, "[%zu]", index);
    path_add(walk, text);
}

static ARENA_COLD void
path_add_member(struct walk *walk, const arena_layout_member_t *member)
{
    if (member->name == NULL)
        return;
    path_add(walk, member->name);
    path_add(walk, ".");
}

/* What is there is reached through a pointer; to one of several elements its
 * index is there already. */
static ARENA_COLD void
path_add_pointer(struct walk *walk, bool counted)
{
    if (counted)
        return;
    if (walk->path[walk->path_at] == '.') {
        walk->path_at++;
        path_add(walk, "->");
    } else {
        path_add(walk, "[0]");
    }
}

/* Put the way to a pointer, at an offset in something, before the path.
 * False: it is not there. */
static ARENA_COLD bool
path_add_way(struct walk *walk, const arena_layout_t *layout, size_t offset,
             const arena_layout_t *pointer, unsigned depth)
{
    size_t size;

    if (layout == pointer)
        return offset == 0;
    if (depth > LAYOUT_DEPTH
        || offset >= arenap_layout_size(layout, walk->from))
        return false;
    if (layout->kind == ARENA_LAYOUT_ARRAY) {
        size = arenap_layout_size(layout->element, walk->from);
        if (size == 0
            || !path_add_way(walk, layout->element, offset % size, pointer,
                             depth + 1))
            return false;
        path_add_index(walk, offset / size);
        return true;
    }
    if (layout->kind != ARENA_LAYOUT_STRUCT
        && layout->kind != ARENA_LAYOUT_UNION)
        return false;
    for (size_t i = 0; i < layout->count; i++) {
        const arena_layout_member_t *member = &layout->members[i];
        size_t start = arenap_member_offset(member, walk->from);

        if (offset >= start
            && path_add_way(walk, member->layout, offset - start, pointer,
                            depth + 1)) {
            path_add_member(walk, member);
            return true;
        }
    }
    return false;
}

/* Complete the path, from the object that was walked to the root.  The root is
 * the first object, and each was met in an earlier one. */
static ARENA_COLD void
path_complete(struct walk *walk)
{
    size_t i = walk->object;

    while (i != 0 && walk->path_at > 0) {
        const struct object *object = &walk->graph.objects[i];
        const struct object *parent = &walk->graph.objects[object->parent];
        size_t size = arenap_layout_size(parent->key.layout, walk->from);

        path_add_pointer(walk, object->counted);
        path_add_way(walk, parent->key.layout,
                     size != 0 ? object->parent_offset % size : 0,
                     object->pointer, 0);
        if (parent->counted && size != 0)
            path_add_index(walk, object->parent_offset / size);
        i = object->parent;
    }
}

/* Tell the caller of the library.  -1. */
static ARENA_COLD int
walk_report(struct walk *walk, const arena_layout_t *root)
{
    const char *path;

    path_complete(walk);
    path = walk->path + walk->path_at;
    path += *path == '.';
    return arenap_fail(walk->error, "%s%s%.40s: %s", path,
                       *path != '\0' ? " of " : "", arenap_layout_name(root),
                       walk->why);
}

/* --- Scalars --- */

/* Has an enumeration or a flag set a name for it? */
static int
check_variants(struct walk *walk, const arena_layout_t *layout,
               struct number number)
{
    uint64_t mask = 0, width;
    char text[NUMBER_TEXT];

    width = UINT64_MAX >> (64 - 8 * arenap_layout_size(layout, walk->from));
    for (size_t i = 0; i < layout->count; i++) {
        uint64_t value = (uint64_t)layout->variants[i].value;

        if (layout->kind == ARENA_LAYOUT_ENUM
            && value == number.bits
            && (layout->variants[i].value < 0) == number.negative)
            return 0;
        mask |= value;
    }
    if (layout->kind == ARENA_LAYOUT_FLAGS) {
        uint64_t unknown = number.bits & ~mask & width;

        if (unknown == 0)
            return 0;
        return walk_fail(walk, EINVAL, "no flag of %.40s is %#llx",
                         arenap_layout_name(layout),
                         (unsigned long long)unknown);
    }
    arenap_number_text(number, text);
    return walk_fail(walk, EINVAL, "no variant of %.40s is %s",
                     arenap_layout_name(layout), text);
}

static int
walk_int(struct walk *walk, const arena_layout_t *layout,
         const struct place *at)
{
    struct number number;
    char text[NUMBER_TEXT], type[NUMBER_TEXT];

    if (!arenap_number_is_sound(layout))
        return walk_fail_broken(walk, layout);
    number = arenap_number_load(layout, walk->from, at->src);
    if (layout->kind != ARENA_LAYOUT_INT
        && check_variants(walk, layout, number) != 0)
        return -1;
    if (arenap_number_store(layout, walk->to, number, at->dst))
        return 0;
    arenap_number_text(number, text);
    arenap_number_type(layout, walk->to, type);
    return walk_fail(walk, ERANGE, "%s does not fit %s", text, type);
}

static int
walk_float(struct walk *walk, const arena_layout_t *layout,
           const struct place *at)
{
    char type[NUMBER_TEXT];
    double number;

    if (!arenap_number_is_sound(layout))
        return walk_fail_broken(walk, layout);
    if (arenap_number_float(layout, walk->from, at->src, at->dst, &number))
        return 0;
    arenap_number_type(layout, walk->to, type);
    return walk_fail(walk, ERANGE, "%g does not fit %s", number, type);
}

static int
walk_bool(struct walk *walk, const arena_layout_t *layout,
          const struct place *at)
{
    if (!arenap_number_is_sound(layout))
        return walk_fail_broken(walk, layout);
    if (*at->src != 0 && *at->src != 1)
        return walk_fail(walk, EINVAL, "%d is no bool",
                         (unsigned char)*at->src);
    if (at->dst != NULL)
        *at->dst = *at->src;
    return 0;
}

static int
walk_raw(struct walk *walk, const arena_layout_t *layout,
         const struct place *at)
{
    if (layout->size != layout->value_size)
        return walk_fail_broken(walk, layout);
    if (at->dst != NULL)
        memcpy(at->dst, at->src, layout->size);
    return 0;
}

/* --- Pointers and strings --- */

static int
fail_pointee(struct walk *walk, int error, const char *target)
{
    switch (error) {
    case EPERM:
        return walk_fail(walk, error, "points into an arena that is confined "
                                      "to another thread");
    case ESTALE:
        return walk_fail(walk, error, "points into an arena that is closed");
    case ERANGE:
        return walk_fail(walk, error, "the memory pointed to ends before what "
                                      "is there");
    case ENOMEM:
        return walk_fail(walk, error, "the system refused memory, or the "
                                      "copy exceeds PTRDIFF_MAX bytes");
    default:
        return walk_fail(walk, error, "it lies where the copy is to be "
                                      "written, or %s is no sound layout",
                         target);
    }
}

/* Enter an object if it is new. */
static int
pointee_add(struct walk *walk, const struct object *object)
{
    int error = 0;

    if (arenap_graph_find(&walk->graph, &object->key) == GRAPH_NONE)
        error = arenap_graph_add(&walk->graph, object, true);
    return error == 0
               ? 0
               : fail_pointee(walk, error,
                              arenap_layout_name(object->key.layout));
}

/* Enter an object that a pointer points to, or write where its copy is. */
static int
walk_pointee(struct walk *walk, const struct object_key *key,
             const arena_layout_t *pointer, const struct place *at,
             bool counted)
{
    struct object object = {
        .key = *key, .pointer = pointer, .counted = counted};
    const char *copy;
    size_t found;

    if (!walk->writing) {
        object.parent = walk->object;
        object.parent_offset =
            (size_t)(at->src - walk->graph.objects[walk->object].key.src);
        return pointee_add(walk, &object);
    }
    found = arenap_graph_find(&walk->graph, key);
    if (found == GRAPH_NONE)
        return walk_fail(walk, EINVAL, "it was changed while it was copied");
    copy = found == 0 ? walk->root
                      : walk->block + walk->graph.objects[found].place;
    memcpy(at->dst, &copy, sizeof copy);
    return 0;
}

static int
walk_string(struct walk *walk, const arena_layout_t *layout,
            const struct place *at)
{
    struct object_key key = {NULL, &arenap_graph_byte, 0};
    size_t length;
    int error;

    if (layout->size != sizeof key.src || layout->value_size != layout->size)
        return walk_fail_broken(walk, layout);
    memcpy(&key.src, at->src, sizeof key.src);
    if (key.src == NULL)
        return 0;
    error = arenap_graph_string(key.src, &length);
    if (error != 0)
        return fail_pointee(walk, error, "");
    key.count = length + 1;
    return walk_pointee(walk, &key, layout, at, false);
}

/* How many elements there are at a pointer that is not NULL. */
static int
pointee_count(struct walk *walk, const arena_layout_t *target,
              const struct number *by, size_t *count)
{
    size_t size = arenap_layout_size(target, walk->from);
    char text[NUMBER_TEXT];

    *count = by != NULL ? (size_t)by->bits : 1;
    if (by == NULL
        || (!by->negative && !__builtin_mul_overflow(*count, size, &size)
            && size <= PTRDIFF_MAX && *count <= PTRDIFF_MAX))
        return 0;
    arenap_number_text(*by, text);
    return walk_fail(walk, ERANGE, "a count of %s", text);
}

static int
walk_pointer(struct walk *walk, const arena_layout_t *layout,
             const struct place *at, const struct number *by)
{
    struct object_key key = {NULL, layout->element, 1};
    int error;

    if (layout->size != sizeof key.src || layout->value_size != layout->size)
        return walk_fail_broken(walk, layout);
    memcpy(&key.src, at->src, sizeof key.src);
    if (key.src == NULL && by != NULL && by->bits != 0
        && layout->element != NULL)
        return walk_fail(walk, EINVAL, "NULL, with a count that is not 0");
    if (layout->element == NULL || key.src == NULL) {
        if (at->dst != NULL)
            memcpy(at->dst, &key.src, sizeof key.src);
        return 0;
    }
    if (pointee_count(walk, key.layout, by, &key.count) != 0)
        return -1;
    error = arenap_graph_readable(key.src,
                                  key.count
                                      * arenap_layout_size(key.layout,
                                                           walk->from));
    if (error != 0)
        return fail_pointee(walk, error, "");
    return walk_pointee(walk, &key, layout, at, by != NULL);
}

/* --- Arrays, structures and unions --- */

/* Can elements be copied without a look at each? */
static bool
is_plain(const arena_layout_t *layout)
{
    return (layout->kind == ARENA_LAYOUT_INT
            || layout->kind == ARENA_LAYOUT_FLOAT
            || layout->kind == ARENA_LAYOUT_RAW)
           && arenap_number_always_fits(layout);
}

static int
walk_elements(struct walk *walk, const arena_layout_t *element, size_t count,
              const struct place *at, bool named)
{
    size_t from = arenap_layout_size(element, walk->from);
    size_t to = arenap_layout_size(element, walk->to);

    if (is_plain(element)) {
        if (at->dst != NULL && count != 0)
            arenap_number_copy(element, at->src, at->dst, count);
        return 0;
    }
    for (size_t i = 0; i < count && (from | to) != 0; i++) {
        struct place place = place_at(at, i * from, i * to);

        if (walk_one(walk, element, &place, NULL) != 0) {
            if (named)
                path_add_index(walk, i);
            return -1;
        }
    }
    return 0;
}

static int
walk_array(struct walk *walk, const arena_layout_t *layout,
           const struct place *at, const struct number *by)
{
    size_t count = layout->count, from, to;
    char text[NUMBER_TEXT];

    if (layout->element == NULL
        || __builtin_mul_overflow(count, layout->element->size, &from)
        || __builtin_mul_overflow(count, layout->element->value_size, &to)
        || from > layout->size || to > layout->value_size)
        return walk_fail_broken(walk, layout);
    if (by != NULL && (by->negative || by->bits > count)) {
        arenap_number_text(*by, text);
        return walk_fail(walk, ERANGE, "%s of %zu elements", text, count);
    }
    if (by != NULL)
        count = (size_t)by->bits;
    return walk_elements(walk, layout->element, count, at, true);
}

/* Does the member lie within its group, in both forms? */
static bool
is_within(const arena_layout_t *group, const arena_layout_member_t *member)
{
    return member->layout != NULL && member->offset <= group->size
           && member->layout->size <= group->size - member->offset
           && member->value_offset <= group->value_size
           && member->layout->value_size
                  <= group->value_size - member->value_offset;
}

static int
walk_member(struct walk *walk, const arena_layout_t *group,
            const arena_layout_member_t *member, const struct place *at,
            const struct number *by)
{
    struct place place = place_at(at, arenap_member_offset(member, walk->from),
                                  arenap_member_offset(member, walk->to));
    int result = is_within(group, member)
                     ? walk_one(walk, member->layout, &place, by)
                     : walk_fail_broken(walk, group);

    if (result != 0)
        path_add_member(walk, member);
    return result;
}

/* Read the number that a member's by names. */
static int
read_by(struct walk *walk, const arena_layout_t *group,
        const arena_layout_member_t *member, const struct place *at,
        struct number *out)
{
    const arena_layout_member_t *by = arenap_layout_by(group, member);

    if (by == NULL || !is_within(group, by)
        || !arenap_number_is_sound(by->layout))
        return walk_fail_broken(walk, group);
    *out = arenap_number_load(by->layout, walk->from,
                              at->src + arenap_member_offset(by, walk->from));
    return 0;
}

static int
walk_struct(struct walk *walk, const arena_layout_t *layout,
            const struct place *at)
{
    for (size_t i = 0; i < layout->count; i++) {
        const arena_layout_member_t *member = &layout->members[i];
        struct number by;
        int result;

        if (member->by == NULL)
            result = walk_member(walk, layout, member, at, NULL);
        else if (read_by(walk, layout, member, at, &by) != 0)
            return -1;
        else
            result = walk_member(walk, layout, member, at, &by);
        if (result != 0)
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
                  const struct place *at)
{
    unsigned left = SAME_MOST;

    if (!is_same(layout, 0, 0, &left))
        return walk_fail(walk, EINVAL, "nothing tells which member of %.40s "
                                       "is held",
                         arenap_layout_name(layout));
    if (at->dst != NULL)
        memcpy(at->dst, at->src, layout->size);
    return 0;
}

static int
walk_union(struct walk *walk, const arena_layout_t *layout,
           const struct place *at, const struct number *by)
{
    char text[NUMBER_TEXT];
    size_t i;
    int chosen;

    if (by == NULL) {
        if (layout->choose == NULL)
            return walk_untold_union(walk, layout, at);
        chosen = layout->choose(at->src, walk->from);
        if (chosen < 0 || (size_t)chosen >= layout->count)
            return walk_fail(walk, EINVAL, "no member of %.40s was chosen",
                             arenap_layout_name(layout));
        return walk_member(walk, layout, &layout->members[chosen], at, NULL);
    }
    for (i = 0; i < layout->count; i++) {
        int64_t tag = layout->members[i].tag;

        if ((uint64_t)tag == by->bits && (tag < 0) == by->negative)
            return walk_member(walk, layout, &layout->members[i], at, NULL);
    }
    arenap_number_text(*by, text);
    return walk_fail(walk, EINVAL, "no member of %.40s has the tag %s",
                     arenap_layout_name(layout), text);
}

/* --- The walk --- */

static int
walk_one(struct walk *walk, const arena_layout_t *layout,
         const struct place *at, const struct number *by)
{
    if (at->depth > LAYOUT_DEPTH)
        return walk_fail(walk, EINVAL, "nested more than %u deep",
                         LAYOUT_DEPTH);
    if (layout->size == 0 && layout->value_size == 0)
        return 0;
    switch (layout->kind) {
    case ARENA_LAYOUT_INT:
    case ARENA_LAYOUT_ENUM:
    case ARENA_LAYOUT_FLAGS:
        return walk_int(walk, layout, at);
    case ARENA_LAYOUT_FLOAT:
        return walk_float(walk, layout, at);
    case ARENA_LAYOUT_BOOL:
        return walk_bool(walk, layout, at);
    case ARENA_LAYOUT_STRING:
        return walk_string(walk, layout, at);
    case ARENA_LAYOUT_POINTER:
        return walk_pointer(walk, layout, at, by);
    case ARENA_LAYOUT_ARRAY:
        return walk_array(walk, layout, at, by);
    case ARENA_LAYOUT_STRUCT:
        return walk_struct(walk, layout, at);
    case ARENA_LAYOUT_UNION:
        return walk_union(walk, layout, at, by);
    case ARENA_LAYOUT_PADDING:
        return 0;
    case ARENA_LAYOUT_RAW:
        return walk_raw(walk, layout, at);
    default:
        return walk_fail_broken(walk, layout);
    }
}

static int
walk_object(struct walk *walk, size_t index)
{
    struct object object = walk->graph.objects[index]; /* the table may move */
    struct place at = {object.key.src, NULL, 0};

    walk->object = index;
    if (walk->writing)
        at.dst = index == 0 ? walk->root : walk->block + object.place;
    if (object.key.layout == &arenap_graph_byte) {
        if (at.dst != NULL)
            memcpy(at.dst, at.src, object.key.count - 1);
        return 0; /* the block is zero-filled: it ends there */
    }
    return walk_elements(walk, object.key.layout, object.key.count, &at,
                         object.counted);
}

/* Walk all objects, those that are met on the way too. */
static int
walk_all(struct walk *walk)
{
    for (size_t i = 0; i < walk->graph.count; i++) {
        if (walk_object(walk, i) != 0)
            return -1;
    }
    return 0;
}

/* --- A call --- */

/* What is asked for. */
struct request {
    arena_t *arena;
    const arena_layout_t *layout;
    const char *src;
    char *out; /* or NULL: the root goes to the arena too */
    arena_form_t from;
};

/* The first walk, from the root on. */
static int
request_scan(struct walk *walk, const struct request *request)
{
    struct object root = {.key = {request->src, request->layout, 1}};
    size_t size = arenap_layout_size(request->layout, walk->from);
    int error;

    if (request->out != NULL) {
        walk->graph.out = request->out;
        walk->graph.out_size = arenap_layout_size(request->layout, walk->to);
    }
    error = size > PTRDIFF_MAX ? EINVAL
                               : arenap_graph_readable(request->src, size);
    if (error == 0)
        error = arenap_graph_add(&walk->graph, &root, request->out == NULL);
    if (error != 0)
        return fail_pointee(walk, error, arenap_layout_name(request->layout));
    return walk_all(walk);
}

/* The block for all copies, if there are any.  0; or -1 with errno set. */
static int
request_allocate(struct walk *walk, const struct request *request)
{
    arena_t *arena = request->arena;
    bool implicit = arena == NULL || arena->kind == ARENA_IMPLICIT;
    struct thread *self = arenap_thread_self();

    walk->block = NULL;
    if (request->out != NULL && implicit && walk->graph.size != 0)
        return arenap_fail(EINVAL, "what %s points to needs an arena, and not "
                                   "the implicit one",
                           arenap_layout_name(request->layout));
    if (walk->graph.size == 0) {
        if (implicit || arena->kind == ARENA_AUTO || self == NULL)
            return 0;
        return arenap_explicit_check(self, arena);
    }
    walk->block =
        arena_alloc_aligned(arena, walk->graph.size, walk->graph.align);
    return walk->block != NULL ? 0 : -1;
}

static int
request_write(struct walk *walk, const struct request *request)
{
    walk->root = request->out;
    if (walk->root == NULL)
        walk->root = walk->block;
    else
        memset(walk->root, 0, arenap_layout_size(request->layout, walk->to));
    walk->writing = true;
    return walk_all(walk);
}

/* The copy of the root; or NULL with errno set. */
static void *
request_run(const struct request *request)
{
    struct walk walk;
    void *result = NULL;
    int before = errno, error;

    arenap_graph_init(&walk.graph, request->from);
    walk.from = walk.graph.from;
    walk.to = walk.graph.to;
    walk.writing = false;
    walk.object = 0;
    walk.path_at = sizeof walk.path - 1;
    walk.path[walk.path_at] = '\0';
    if (request_scan(&walk, request) != 0)
        walk_report(&walk, request->layout);
    else if (request_allocate(&walk, request) == 0) {
        if (request_write(&walk, request) == 0)
            result = walk.root;
        else
            walk_report(&walk, request->layout);
    }
    error = result != NULL ? before : errno;
    arenap_graph_free(&walk.graph);
    arena_keep_alive(request->src);
    errno = error;
    return result;
}

/* 0; or -1 with errno EINVAL or ERANGE. */
static int
request_check(const struct request *request, size_t size, size_t out_size)
{
    const arena_layout_t *layout = request->layout;
    bool data = request->from == ARENA_FORM_DATA;

    if (layout == NULL || request->src == NULL)
        return arenap_fail(EINVAL, "the layout or what it describes is NULL");
    if (size < arenap_layout_size(layout, request->from))
        return arenap_fail(ERANGE, "%s has %zu bytes of %s, not %zu",
                           arenap_layout_name(layout),
                           arenap_layout_size(layout, request->from),
                           data ? "data" : "value", size);
    if (out_size < arenap_layout_size(layout, data ? ARENA_FORM_VALUE
                                                   : ARENA_FORM_DATA))
        return arenap_fail(ERANGE, "%zu bytes are too few for %s", out_size,
                           arenap_layout_name(layout));
    return 0;
}

void *
arena_serialize(arena_t *arena, const arena_layout_t *layout,
                const void *value)
{
    struct request request = {arena, layout, value, NULL, ARENA_FORM_VALUE};

    if (request_check(&request, SIZE_MAX, SIZE_MAX) != 0)
        return NULL;
    return request_run(&request);
}

int
arena_serialize_into(void *out, size_t size, arena_t *arena,
                     const arena_layout_t *layout, const void *value)
{
    struct request request = {arena, layout, value, out, ARENA_FORM_VALUE};

    if (out == NULL)
        return arenap_fail(EINVAL, "out is NULL");
    if (request_check(&request, SIZE_MAX, size) != 0)
        return -1;
    return request_run(&request) != NULL ? 0 : -1;
}

void *
arena_deserialize(arena_t *arena, const arena_layout_t *layout,
                  const void *data, size_t size)
{
    struct request request = {arena, layout, data, NULL, ARENA_FORM_DATA};

    if (request_check(&request, size, SIZE_MAX) != 0)
        return NULL;
    return request_run(&request);
}

int
arena_deserialize_into(void *out, size_t out_size, arena_t *arena,
                       const arena_layout_t *layout, const void *data,
                       size_t size)
{
    struct request request = {arena, layout, data, out, ARENA_FORM_DATA};

    if (out == NULL)
        return arenap_fail(EINVAL, "out is NULL");
    if (request_check(&request, size, out_size) != 0)
        return -1;
    return request_run(&request) != NULL ? 0 : -1;
}
