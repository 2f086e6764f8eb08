/*
 * model.h - a model of confined and shared arenas.
 *
 * A world belongs to one thread and has some arenas.  Each is the list of what
 * came into it, in order: blocks, close actions, marks, children.  To free is
 * to cut off the list's end.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdio.h>

#include <arena/segment.h>

#include "gc_harness.h"

enum {
    NODES = 20,  /* arenas of a world */
    ITEMS = 120, /* in one of them */
    STALE = 60   /* segments that are looked at again */
};

enum what { BLOCK, ACTION, MARK, CHILD };

struct note { /* the argument of a close action */
    struct world *world;
    size_t runs;
};

struct item {
    enum what what;
    arena_segment_t segment; /* a block; arena is NULL if it is no segment */
    uint64_t seed;           /* of the bytes in it */
    struct note *note;
    arena_mark_t mark;
    struct node *child; /* NULL: it was closed by itself */
};

struct node {
    arena_t *arena; /* NULL: this place is free */
    uint64_t id;    /* of who uses this place */
    struct node *parent;
    bool limited;
    size_t holds, dropping;
    struct item items[ITEMS];
    size_t count;
};

/* What is being freed: its actions run in this order, and until the last has
 * run all of it is there. */
struct frame {
    struct frame *outer;
    struct item *items;
    size_t count, room, next;
    arena_t *closed[NODES];
    size_t closed_count;
};

struct world {
    uint64_t random, last_id;
    size_t step, depth;
    struct node nodes[NODES];
    struct frame *frame; /* the innermost */
    arena_segment_t segments[STALE];
    size_t segments_count;
    bool failed;
    char fault[400];
};

/* --- Judging --- */

HARNESS void
world_fail(struct world *world, int line, const char *text, int error)
{
    if (!world->failed)
        snprintf(world->fault, sizeof world->fault,
                 "line %d, step %zu, depth %zu: %s (errno %d, %s)", line,
                 world->step, world->depth, text, error, arena_error());
    world->failed = true;
}

#define must(world, condition)                                                \
    ((condition) ? (void)0                                                    \
                 : world_fail((world), __LINE__, #condition, errno))

/* A call answers with an errno, 0 for success, which leaves errno alone; or
 * with ENOMEM, if it may.  True if it succeeded. */
#define answers_or_full(world, call, expected, may_be_full)                   \
    __extension__({                                                           \
        errno = ERRNO_UNTOUCHED;                                              \
        __auto_type result_ = (call);                                         \
        int got_ = errno, want_ = (expected);                                 \
        if (want_ == 0 && HAS_FAILED(result_) && (may_be_full))               \
            want_ = ENOMEM;                                                   \
        if (HAS_FAILED(result_) != (want_ != 0)                               \
            || got_ != (want_ != 0 ? want_ : ERRNO_UNTOUCHED))                \
            world_fail((world), __LINE__, #call " answers " #expected, got_); \
        !HAS_FAILED(result_);                                                 \
    })
#define answers(world, call, expected)                                        \
    answers_or_full(world, call, expected, false)

/* --- The model --- */

HARNESS size_t
dice(struct world *world, size_t sides)
{
    return random_below(&world->random, sides);
}

HARNESS struct node *
any_node(struct world *world)
{
    return &world->nodes[dice(world, NODES)];
}

HARNESS struct item *
any_item(struct world *world, struct node *node, enum what what)
{
    struct item *item = &node->items[dice(world, ITEMS)];
    bool found = node->arena != NULL && item < node->items + node->count
                 && item->what == what;

    return found ? item : NULL;
}

HARNESS bool
has_room(const struct node *node)
{
    return node->arena != NULL && node->count < ITEMS;
}

HARNESS struct item *
node_add(struct node *node, enum what what)
{
    struct item *item = &node->items[node->count++];

    *item = (struct item){.what = what};
    return item;
}

/* What a use of an open arena answers. */
HARNESS int
use_answer(const struct node *node)
{
    return node->dropping != 0 ? ESTALE : 0;
}

/* The open children among the items from a number on; returns how many. */
HARNESS size_t
node_children(const struct node *node, size_t since, struct node **out)
{
    size_t count = 0;

    for (size_t i = since; i < node->count; i++)
        if (node->items[i].what == CHILD && node->items[i].child != NULL)
            out[count++] = node->items[i].child;
    return count;
}

/* A node, and what is below its items from a number on, parents in front. */
HARNESS size_t
node_family(struct node *node, size_t since, struct node **out)
{
    size_t count = 1;

    out[0] = node;
    for (size_t i = 0; i < count; i++)
        count += node_children(out[i], i == 0 ? since : 0, out + count);
    return count;
}

/* What freeing the items from a number on answers. */
HARNESS int
drop_answer(struct node *node, size_t since)
{
    struct node *family[NODES];
    size_t count = node_family(node, since, family);

    if (node->dropping != 0)
        return ESTALE;
    while (count > 0)
        if (family[--count]->holds != 0)
            return EBUSY;
    return 0;
}

HARNESS void
item_verify(struct world *world, const struct item *item)
{
    if (item->what == BLOCK)
        must(world, block_holds(item->segment.addr, item->segment.size,
                                item->seed));
}

HARNESS void
node_verify(struct world *world, const struct node *node)
{
    bool open = node->dropping == 0;

    must(world, arena_is_alive(node->arena) == open);
    for (size_t i = 0; i < node->count; i++) {
        const arena_segment_t *segment = &node->items[i].segment;

        item_verify(world, &node->items[i]);
        if (segment->arena != NULL && open)
            must(world, arena_segment_is_accessible(segment));
        if (segment->size != 0)
            must(world, arena_of(segment->addr) == node->arena);
    }
}

/* --- Freeing, in the model --- */

HARNESS void
frame_push(struct frame *frame, const struct item *item)
{
    if (frame->count == frame->room) {
        frame->room = 2 * frame->room + 64;
        frame->items =
            realloc(frame->items, frame->room * sizeof *frame->items);
        if (frame->items == NULL)
            abort();
    }
    frame->items[frame->count++] = *item;
}

/* Cut off the list's end, with all that is below: what is deepest comes first,
 * and of that the newest.  Then the node itself, if it is closed. */
HARNESS void
frame_begin(struct world *world, struct frame *frame, struct node *node,
            size_t since, bool close)
{
    struct node *family[NODES];
    size_t count = node_family(node, since, family);

    *frame = (struct frame){.outer = world->frame};
    world->frame = frame;
    while (count-- > 0) {
        size_t last = count == 0 ? since : 0;

        while (family[count]->count > last)
            frame_push(frame, &family[count]->items[--family[count]->count]);
        if (count == 0 && !close)
            break;
        frame->closed[frame->closed_count++] = family[count]->arena;
        family[count]->arena = NULL;
    }
}

/* All actions have run, and the memory is gone. */
HARNESS void
frame_end(struct world *world, struct frame *frame)
{
    world->frame = frame->outer;
    for (size_t i = 0; i < frame->count; i++) {
        struct item *item = &frame->items[i];

        if (item->what == ACTION)
            must(world, item->note->runs == 1);
        free(item->note);
        if (item->segment.arena != NULL)
            world->segments[world->segments_count++ % STALE] = item->segment;
    }
    free(frame->items);
}

#endif
