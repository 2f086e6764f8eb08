/*
 * serialize.c: copies of what a layout describes, from one form to the other.
 *
 * A walk checks a value and makes the copies in a draft.  Then all of them get
 * one block, to which the draft is moved; only now something changes.
 */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "error.h"
#include "explicit.h"
#include "number.h"
#include "thread.h"
#include "walk.h"

/* What is asked for. */
struct request {
    arena_t *arena;
    const arena_layout_t *layout;
    const char *src;
    char *out; /* or NULL: the root goes to the arena too */
    arena_form_t from;
};

/* Where the copies go; NULL: nothing goes there. */
struct target {
    char *out, *block, *tail;
};

/* May the arena be used, from which nothing is needed? */
static int
arena_check(arena_t *arena)
{
    struct thread *self = arenap_thread_self();

    if (arena == NULL || arena->kind == ARENA_IMPLICIT
        || arena->kind == ARENA_AUTO || self == NULL)
        return 0;
    return arenap_explicit_check(self, arena);
}

static char *
copy_of(const struct walk *walk, const struct target *target, size_t index)
{
    const struct object *object = &walk->graph.objects[index];

    if (index == 0 && target->out != NULL)
        return target->out;
    return object->in_tail ? target->tail + object->place
                           : target->block + object->place - walk->draft.lead;
}

/* Let the pointers in the draft lead to where the copies will be. */
static void
write_links(struct walk *walk, const struct target *target)
{
    const struct draft *draft = &walk->draft;

    for (size_t i = 0; i < draft->link_count; i++) {
        const char *copy = copy_of(walk, target, draft->links[i].object);

        memcpy(draft->bytes + draft->links[i].at, &copy, sizeof copy);
    }
}

static void
write_tail(struct walk *walk, const struct target *target)
{
    for (size_t i = 0; i < walk->graph.count; i++) {
        const struct object *object = &walk->graph.objects[i];
        char *copy = copy_of(walk, target, i);

        if (!object->in_tail)
            continue;
        if (object->layout == NULL)
            memcpy(copy, object->src, object->count); /* 0 follows */
        else
            arenap_number_copy(object->layout, object->src, copy,
                               object->count);
    }
}

/* Move the draft to where the copies shall be.  The block is zero-filled. */
static void
write_all(struct walk *walk, const struct target *target)
{
    const struct draft *draft = &walk->draft;

    write_links(walk, target);
    if (target->out != NULL)
        memcpy(target->out, draft->bytes,
               arenap_layout_size(walk->graph.objects[0].layout, walk->to));
    if (target->block != NULL)
        memcpy(target->block, draft->bytes + draft->lead,
               draft->size - draft->lead);
    if (draft->tail_size != 0)
        write_tail(walk, target);
}

/* The copy of the root, after all that it leads to has got a block and is
 * there; or NULL with errno set. */
static void *
request_write(struct walk *walk, const struct request *request)
{
    const struct draft *draft = &walk->draft;
    arena_t *arena = request->arena;
    struct target target = {.out = request->out};
    size_t size, tail, align = draft->align;

    if (!arenap_draft_measure(draft, &size, &tail))
        return arenap_fail_null(ENOMEM, "the copy of %s is larger than "
                                        "PTRDIFF_MAX bytes",
                                arenap_layout_name(request->layout));
    if (size == 0) {
        if (arena_check(arena) != 0)
            return NULL;
        write_all(walk, &target);
        return target.out;
    }
    if (target.out != NULL
        && (arena == NULL || arena->kind == ARENA_IMPLICIT))
        return arenap_fail_null(EINVAL, "what %s points to needs an arena, "
                                        "and not the implicit one",
                                arenap_layout_name(request->layout));
    if (draft->tail_align > align)
        align = draft->tail_align;
    if (arenap_explicit_fill_begin(arena) != 0)
        return NULL;
    target.block = arena_alloc_aligned(arena, size, align);
    if (target.block != NULL) {
        target.tail = target.block + tail;
        write_all(walk, &target);
    }
    arenap_explicit_fill_end(arena);
    return target.block == NULL || target.out == NULL ? target.block
                                                      : target.out;
}

/* The copy of the root; or NULL with errno set. */
static void *
request_run(const struct request *request)
{
    struct walk walk;
    void *result = NULL;
    int before = errno, error;

    arenap_walk_init(&walk, request->from, request->out);
    if (arenap_walk(&walk, request->layout, request->src) == 0)
        result = request_write(&walk, request);
    else
        arenap_fault_report(&walk.fault, request->layout);
    error = result != NULL ? before : errno;
    arenap_walk_free(&walk);
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
