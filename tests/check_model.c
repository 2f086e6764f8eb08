/* check_model.c: random calls on trees of arenas, each answer compared with
 * what a model of the contract says.  Close actions make random calls in turn.
 *
 * ARENA_TEST_SCALE is the number of steps in percent; ARENA_TEST_SEED starts
 * somewhere else.  A failure names its seed and step. */

#include "model.h"

enum {
    WORLDS = 3,
    STEPS = 20000,
    DEPTH = 3 /* of closes in actions of closes */
};

/* --- Actions --- */

static void step(struct world *world);

/* Is it the one that is next? */
static bool
frame_expects(struct frame *frame, const struct note *note)
{
    while (frame != NULL && frame->next < frame->count) {
        const struct item *item = &frame->items[frame->next++];

        if (item->what == ACTION)
            return item->note == note;
    }
    return false;
}

/* What is being freed is there, and counts as closed. */
static void
frame_verify(struct world *world, const struct frame *frame)
{
    for (size_t i = 0; i < frame->count; i++) {
        item_verify(world, &frame->items[i]);
        if (frame->items[i].segment.arena != NULL)
            answers(world, arena_segment_fill(&frame->items[i].segment, 0),
                    ESTALE);
    }
    for (size_t i = 0; i < frame->closed_count; i++) {
        must(world, !arena_is_alive(frame->closed[i]));
        answers(world, arena_alloc(frame->closed[i], 1), ESTALE);
        answers(world, arena_close(frame->closed[i]), ESTALE);
    }
}

static void
action_run(void *arg)
{
    struct note *note = arg;
    struct world *world = note->world;

    note->runs++;
    must(world, frame_expects(world->frame, note));
    if (world->failed)
        return;
    frame_verify(world, world->frame);
    world->depth++;
    for (size_t i = dice(world, 4); i > 0 && world->depth <= DEPTH; i--)
        step(world);
    world->depth--;
    errno = EDOM; /* the closer keeps its own */
}

/* --- Steps --- */

static void
step_open(struct world *world)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    struct node *node = any_node(world), *parent = any_node(world);
    arena_kind_t kind = dice(world, 3) == 0 ? ARENA_SHARED : ARENA_CONFINED;
    int expected = 0;
    arena_t *arena;

    if (node->arena != NULL)
        return;
    *node = (struct node){.id = ++world->last_id};
    options.flags = dice(world, 8) == 0 ? ARENA_GUARDED : 0;
    options.limit = dice(world, 4) == 0 ? 64 * KIB : 0;
    options.chunk_size = dice(world, 4) == 0 ? dice(world, 200 * KIB) : 0;
    if (dice(world, 2) == 0 && has_room(parent)) {
        options.parent = parent->arena;
        node->parent = parent;
        expected = arena_kind(parent->arena) != kind ? EINVAL
                                                     : use_answer(parent);
    }
    node->limited =
        options.limit != 0 || (node->parent != NULL && node->parent->limited);
    if (!answers(world, arena = arena_open(kind, &options), expected))
        return;
    node->arena = arena;
    if (node->parent != NULL)
        node_add(node->parent, CHILD)->child = node;
}

static size_t
any_size(struct world *world)
{
    size_t sides = dice(world, 100);

    if (sides < 85)
        return sides < 10 ? 0 : dice(world, 300);
    return dice(world, sides < 97 ? 10 * KIB : 300 * KIB);
}

static void
item_fill(struct world *world, struct item *item, void *block, size_t size)
{
    item->seed = ++world->last_id;
    item->segment.size = size;
    item->segment.addr = block;
    fill_block(block, size, item->seed);
}

static void
step_alloc(struct world *world)
{
    struct node *node = any_node(world);
    size_t size = any_size(world), align = (size_t)1 << dice(world, 17);
    char *block;

    if (!has_room(node))
        return;
    if (dice(world, 4) != 0)
        align = 1;
    if (!answers_or_full(world,
                         block = arena_alloc_aligned(node->arena, size, align),
                         use_answer(node), node->limited))
        return;
    must(world, is_aligned(block, align));
    must(world, block_is_zero(block, size));
    item_fill(world, node_add(node, BLOCK), block, size);
}

static void
step_segment(struct world *world)
{
    struct node *node = any_node(world);
    size_t size = any_size(world);
    arena_segment_t segment;
    struct item *item;

    if (!has_room(node)
        || !answers_or_full(world,
                            arena_segment(node->arena, size, 8, &segment),
                            use_answer(node), node->limited))
        return;
    item = node_add(node, BLOCK);
    item->segment = segment;
    item_fill(world, item, segment.addr, size);
}

static void
step_resize(struct world *world)
{
    struct node *node = any_node(world);
    struct item *item = any_item(world, node, BLOCK);
    size_t size = any_size(world), kept, old;
    char *block;

    if (item == NULL || !has_room(node) || item->segment.arena != NULL)
        return;
    old = item->segment.size;
    if (old != 0
        && answers_or_full(world,
                           block = arena_resize(node->arena,
                                                item->segment.addr, old, size),
                           use_answer(node), node->limited)) {
        kept = (size < old ? size : old) & ~(sizeof(uint64_t) - 1);
        must(world, block_holds(block, kept, item->seed));
        must(world, size <= old || block_is_zero(block + old, size - old));
        /* The old place is kept: what has moved is one more block. */
        item_fill(world,
                  block == item->segment.addr ? item : node_add(node, BLOCK),
                  block, size);
    }
}

static void
step_action(struct world *world)
{
    struct node *node = any_node(world);
    struct note *note = malloc(sizeof *note);

    if (note == NULL)
        abort();
    *note = (struct note){.world = world};
    if (has_room(node)
        && answers(world, arena_on_close(node->arena, action_run, note),
                   use_answer(node)))
        node_add(node, ACTION)->note = note;
    else
        free(note);
}

static void
step_mark(struct world *world)
{
    struct node *node = any_node(world);
    arena_mark_t mark;

    if (!has_room(node))
        return;
    if (arena_kind(node->arena) != ARENA_CONFINED)
        answers(world, arena_mark(node->arena, &mark), ENOTSUP);
    else if (answers_or_full(world, arena_mark(node->arena, &mark),
                             use_answer(node), node->limited))
        node_add(node, MARK)->mark = mark;
}

/* Rewind to a mark, whose number it is; without one, reset. */
static void
node_drop(struct world *world, struct node *node, const struct item *mark)
{
    size_t since = mark != NULL ? (size_t)(mark - node->items) + 1 : 0;
    arena_mark_t place = mark != NULL ? mark->mark : (arena_mark_t){0, 0};
    int expected = drop_answer(node, since);
    arena_t *arena = node->arena;
    uint64_t id = node->id;
    struct frame frame;

    if (expected == 0) {
        frame_begin(world, &frame, node, since, false);
        node->dropping++;
    }
    if (mark != NULL)
        answers(world, arena_rewind(arena, place), expected);
    else
        answers(world, arena_reset(arena), expected);
    if (expected != 0)
        return;
    if (node->id == id) /* no action has closed it */
        node->dropping--;
    frame_end(world, &frame);
}

static void
step_drop(struct world *world)
{
    struct node *node = any_node(world);
    const struct item *mark = any_item(world, node, MARK);

    if (node->arena != NULL && (mark != NULL || dice(world, 8) == 0))
        node_drop(world, node, mark);
}

static void
node_close(struct world *world, struct node *node)
{
    int expected = drop_answer(node, 0);
    arena_t *arena = node->arena;
    struct frame frame;

    node_verify(world, node);
    if (expected == 0) {
        for (size_t i = node->parent != NULL ? node->parent->count : 0;
             i-- > 0;)
            if (node->parent->items[i].child == node)
                node->parent->items[i].child = NULL;
        frame_begin(world, &frame, node, 0, true);
    }
    if (dice(world, 2) == 0)
        answers(world, arena_close(arena), expected);
    else
        answers(world, arena_close_wait(arena, 0), expected);
    if (expected == 0)
        frame_end(world, &frame);
}

static void
step_close(struct world *world)
{
    struct node *node = any_node(world);

    if (node->arena != NULL)
        node_close(world, node);
}

static void
step_hold(struct world *world)
{
    struct node *node = any_node(world);

    if (node->arena == NULL)
        return;
    if (node->holds != 0) {
        answers(world, arena_release(node->arena), 0);
        node->holds--;
    } else if (dice(world, 4) != 0) {
        answers(world, arena_release(node->arena), EINVAL);
    } else if (answers(world, arena_acquire(node->arena), use_answer(node))) {
        node->holds++;
    }
}

/* What is gone stays gone. */
static void
step_stale(struct world *world)
{
    const arena_segment_t *segment = &world->segments[dice(world, STALE)];

    if (segment->arena != NULL)
        answers(world, arena_segment_fill(segment, 1), ESTALE);
}

static void
step(struct world *world)
{
    static void (*const steps[])(struct world *) = {
        step_open,   step_alloc,   step_alloc,  step_alloc, step_alloc,
        step_alloc,  step_segment, step_resize, step_mark,  step_action,
        step_action, step_drop,    step_close,  step_hold,  step_stale,
        step_open};

    steps[dice(world, LENGTH(steps))](world);
}

/* --- Worlds --- */

static uint64_t
environment_number(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    uint64_t number = text != NULL ? strtoull(text, NULL, 10) : 0;

    return number != 0 ? number : fallback;
}

static void
world_run(void *state, size_t index)
{
    struct world *world = (struct world *)state + index;
    size_t steps = STEPS * environment_number("ARENA_TEST_SCALE", 100) / 100;

    for (; world->step < steps && !world->failed; world->step++)
        step(world);
    world->depth = DEPTH; /* actions do nothing any more */
    for (size_t i = 0; i < NODES; i++)
        for (struct node *n = &world->nodes[i]; n->holds != 0; n->holds--)
            answers(world, arena_release(n->arena), 0);
    for (size_t i = 0; i < NODES && !world->failed; i++)
        if (world->nodes[i].arena != NULL)
            node_close(world, &world->nodes[i]);
}

/* Worlds on threads of their own; nothing is left at the end. */
START_TEST(test_worlds_on_several_threads_are_as_their_models_say)
{
    struct world *worlds = calloc(WORLDS, sizeof *worlds);
    uint64_t seed = environment_number("ARENA_TEST_SEED", 5);
    arena_usage_t before = usage_now();

    ck_assert_ptr_nonnull(worlds);
    for (size_t i = 0; i < WORLDS; i++) {
        worlds[i].random = (seed * 100 + i) * 0x9e3779b97f4a7c15u;
    }
    run_team(WORLDS, world_run, worlds);
    for (size_t i = 0; i < WORLDS; i++)
        ck_assert_msg(!worlds[i].failed, "seed %zu, world %zu, %s",
                      (size_t)seed, i, worlds[i].fault);
    free(worlds);
    expect_usage(before);
    expect_nothing_astray();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("model");
    TCase *tcase = tcase_create("worlds");

    tcase_set_timeout(
        tcase, 60 + (double)environment_number("ARENA_TEST_SCALE", 100));
    tcase_add_test(tcase,
                   test_worlds_on_several_threads_are_as_their_models_say);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
