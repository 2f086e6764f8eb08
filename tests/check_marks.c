/* check_marks.c: marks in confined arenas, and rewinding to them. */

#include <string.h>

#include "../include/arena/segment.h"
#include "action_harness.h"

static void
setup(void)
{
    setup_actions();
    setup_confined();
}

static arena_t *
open_child(arena_t *parent)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *child;

    options.parent = parent;
    child = arena_open(ARENA_CONFINED, &options);
    ck_assert_ptr_nonnull(child);
    return child;
}

/* --- Mark --- */

START_TEST(test_mark_success_leaves_errno_and_usage_count)
{
    arena_usage_t before = usage_now();
    arena_mark_t mark;

    expect_ok(arena_mark(arena, &mark));
    expect_ok(arena_rewind(arena, mark));
    ck_assert_uint_eq(usage_now().count, before.count);
    expect_ok(arena_close(arena));
    ck_assert_uint_le(usage_now().reserved, before.reserved);
}
END_TEST

START_TEST(test_mark_where_one_is_needs_no_memory)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_mark_t first, mark;
    arena_t *small;

    options.limit = 8 * KIB;
    expect_ok(small = arena_open(ARENA_CONFINED, &options));
    expect_ok(arena_mark(small, &first));
    for (size_t i = 0; i < 10000; i++) {
        expect_ok(arena_mark(small, &mark));
        ck_assert_ptr_nonnull(arena_alloc(small, 100));
        expect_ok(arena_rewind(small, mark));
    }
    expect_ok(arena_rewind(small, first));
    expect_ok(arena_close(small));
}
END_TEST

/* A segment between the two is of the first one, and not of the second. */
START_TEST(test_mark_after_a_segment_is_another_one)
{
    static char outside[8];
    arena_mark_t first, second;
    arena_segment_t segment;

    expect_ok(arena_mark(arena, &first));
    expect_ok(arena_segment_wrap(arena, outside, sizeof outside, &segment));
    expect_ok(arena_mark(arena, &second));
    expect_ok(arena_rewind(arena, second));
    ck_assert(arena_segment_is_alive(&segment));
    expect_ok(arena_rewind(arena, first));
    ck_assert(!arena_segment_is_alive(&segment));
}
END_TEST

START_TEST(test_mark_null_fails_einval)
{
    arena_mark_t mark = {0, 0};
    arena_usage_t before = usage_now();

    expect_fail(arena_mark(NULL, &mark), EINVAL, "");
    expect_fail(arena_mark(arena, NULL), EINVAL, "");
    expect_fail(arena_mark(arena_global(), NULL), EINVAL, "");
    expect_fail(arena_rewind(NULL, mark), EINVAL, "");
    expect_usage(before);
}
END_TEST

START_TEST(test_mark_other_kinds_fails_enotsup)
{
    arena_t *shared = arena_shared();
    arena_mark_t mark;

    expect_fail(arena_mark(shared, &mark), ENOTSUP, "");
    expect_fail(arena_mark(arena_global(), &mark), ENOTSUP, "");
    expect_fail(arena_mark(arena_implicit(), &mark), ENOTSUP, "");
    expect_ok(arena_close(shared));
}
END_TEST

START_TEST(test_mark_closed_fails_estale)
{
    arena_mark_t mark;

    expect_ok(arena_close(arena));
    expect_fail(arena_mark(arena, &mark), ESTALE, "");
    expect_fail(arena_mark(arena, NULL), EINVAL, "");
}
END_TEST

/* --- Rewind: memory --- */

START_TEST(test_rewind_keeps_what_came_before)
{
    char *small, *large;
    arena_mark_t mark;

    expect_ok(small = arena_alloc(arena, 100));
    expect_ok(large = arena_alloc(arena, 300000));
    fill_block(small, 100, 1);
    fill_block(large, 300000, 2);
    expect_ok(arena_mark(arena, &mark));
    for (size_t round = 0; round < 50; round++) {
        char *later;

        expect_ok(later = arena_alloc(arena, 10000 * (round + 1)));
        memset(later, 0xff, 10000 * (round + 1));
        expect_ok(arena_rewind(arena, mark));
    }
    ck_assert(block_holds(small, 100, 1));
    ck_assert(block_holds(large, 300000, 2));
}
END_TEST

START_TEST(test_rewind_frees_what_came_after)
{
    arena_usage_t marked, rewound;
    arena_mark_t mark;

    expect_ok(arena_alloc(arena, 16));
    expect_ok(arena_mark(arena, &mark));
    marked = usage_now();
    for (size_t i = 0; i < 32; i++)
        expect_ok(arena_alloc(arena, MIB / 2));
    ck_assert_uint_ge(usage_now().reserved - marked.reserved, 16 * MIB);
    expect_ok(arena_rewind(arena, mark));
    rewound = usage_now();
    ck_assert_uint_le(rewound.reserved, marked.reserved + MIB);
    ck_assert_uint_eq(rewound.kind[ARENA_CONFINED].requested,
                      marked.kind[ARENA_CONFINED].requested);
}
END_TEST

START_TEST(test_rewind_again_and_again_does_not_grow)
{
    arena_mark_t mark;
    size_t bytes = 0;

    expect_ok(arena_mark(arena, &mark));
    for (size_t round = 0; round < 20000; round++) {
        if (arena_alloc(arena, 3000) == NULL || arena_alloc(arena, 40) == NULL
            || arena_rewind(arena, mark) != 0)
            ck_abort_msg("round %zu: %s", round, arena_error());
        if (round == 10)
            bytes = arena_bytes(arena);
    }
    ck_assert_uint_le(arena_bytes(arena), bytes);
}
END_TEST

START_TEST(test_rewind_recycled_memory_is_zero)
{
    static const size_t sizes[] = {16, 1000, 5000, 70000, 2097152};
    arena_mark_t mark;

    expect_ok(arena_alloc(arena, 24));
    expect_ok(arena_mark(arena, &mark));
    for (size_t i = 0; i < 3 * LENGTH(sizes); i++) {
        size_t size = sizes[i % LENGTH(sizes)];
        void *dirty, *clean;

        expect_ok(dirty = arena_alloc_uninit(arena, size));
        memset(dirty, 0xa5, size);
        expect_ok(arena_rewind(arena, mark));
        expect_ok(clean = arena_alloc(arena, size));
        ck_assert(block_is_zero(clean, size));
        memset(clean, 0x5a, size);
        expect_ok(arena_rewind(arena, mark));
    }
}
END_TEST

START_TEST(test_rewind_does_not_overlap_earlier_blocks)
{
    static struct extent extents[400];
    uint64_t random = 11;

    for (size_t i = 0; i < LENGTH(extents); i++) {
        arena_mark_t mark;

        extents[i].size = random_below(&random, 3000);
        extents[i].start = arena_alloc_uninit(arena, extents[i].size);
        ck_assert_ptr_nonnull(extents[i].start);
        expect_ok(arena_mark(arena, &mark));
        expect_ok(arena_alloc(arena, random_below(&random, 20000)));
        expect_ok(arena_rewind(arena, mark));
    }
    ck_assert(extents_disjoint(extents, LENGTH(extents)));
}
END_TEST

START_TEST(test_rewind_resize_does_not_touch_what_came_before)
{
    arena_mark_t mark;
    char *block, *next, *grown;

    expect_ok(block = arena_alloc(arena, 100));
    fill_block(block, 100, 3);
    expect_ok(arena_mark(arena, &mark));
    expect_ok(grown = arena_resize(arena, block, 100, 200));
    memset(grown + 100, 0xff, 100);
    expect_ok(arena_rewind(arena, mark));
    ck_assert(block_holds(block, 100, 3));
    expect_ok(next = arena_alloc(arena, 200));
    ck_assert(block_is_zero(next, 200));
    memset(next, 0xff, 200);
    ck_assert(block_holds(block, 100, 3));
}
END_TEST

/* --- Rewind: marks --- */

START_TEST(test_rewind_mark_stays_good)
{
    arena_mark_t outer, inner;

    expect_ok(arena_mark(arena, &outer));
    expect_ok(arena_mark(arena, &inner));
    for (size_t i = 0; i < 5; i++)
        expect_ok(arena_rewind(arena, inner));
    for (size_t i = 0; i < 5; i++)
        expect_ok(arena_rewind(arena, outer));
}
END_TEST

START_TEST(test_rewind_drops_inner_marks)
{
    arena_mark_t outer, middle, inner;
    arena_usage_t before;

    expect_ok(arena_mark(arena, &outer));
    expect_ok(arena_alloc(arena, 100));
    expect_ok(arena_mark(arena, &middle));
    expect_ok(arena_alloc(arena, 100));
    expect_ok(arena_mark(arena, &inner));
    expect_ok(arena_rewind(arena, middle));
    before = usage_now();
    expect_fail(arena_rewind(arena, inner), EINVAL, "");
    expect_usage(before);
    expect_ok(arena_rewind(arena, middle));
    expect_ok(arena_rewind(arena, outer));
    expect_fail(arena_rewind(arena, middle), EINVAL, "");
    expect_fail(arena_rewind(arena, inner), EINVAL, "");
    expect_ok(arena_rewind(arena, outer));
}
END_TEST

START_TEST(test_rewind_dropped_mark_is_not_revived_by_new_one)
{
    arena_mark_t outer, dropped, later;

    expect_ok(arena_mark(arena, &outer));
    expect_ok(arena_mark(arena, &dropped));
    expect_ok(arena_rewind(arena, outer));
    expect_ok(arena_mark(arena, &later));
    expect_fail(arena_rewind(arena, dropped), EINVAL, "");
    expect_ok(arena_rewind(arena, later));
}
END_TEST

START_TEST(test_rewind_foreign_mark_fails_einval)
{
    arena_t *other = arena_confined();
    arena_mark_t foreign, invented = {0, 0};
    arena_usage_t before;
    char *block;

    expect_ok(arena_mark(other, &foreign));
    expect_ok(block = arena_alloc(arena, 100));
    fill_block(block, 100, 1);
    before = usage_now();
    expect_fail(arena_rewind(arena, foreign), EINVAL, "");
    expect_fail(arena_rewind(arena, invented), EINVAL, "");
    invented.id = UINT64_MAX;
    expect_fail(arena_rewind(arena, invented), EINVAL, "");
    expect_usage(before);
    ck_assert(block_holds(block, 100, 1));
    expect_ok(arena_rewind(other, foreign));
    expect_ok(arena_close(other));
}
END_TEST

START_TEST(test_rewind_mark_of_reset_arena_fails_einval)
{
    arena_mark_t mark, later;

    expect_ok(arena_mark(arena, &mark));
    expect_ok(arena_reset(arena));
    expect_fail(arena_rewind(arena, mark), EINVAL, "");
    expect_ok(arena_mark(arena, &later));
    expect_fail(arena_rewind(arena, mark), EINVAL, "");
    expect_ok(arena_rewind(arena, later));
}
END_TEST

START_TEST(test_rewind_mark_of_closed_arena_fails_in_later_ones)
{
    arena_mark_t mark;

    expect_ok(arena_mark(arena, &mark));
    expect_ok(arena_close(arena));
    for (size_t i = 0; i < 200; i++) {
        arena_mark_t own;
        arena_t *later;

        expect_ok(later = arena_confined());
        expect_ok(arena_mark(later, &own));
        expect_fail(arena_rewind(later, mark), EINVAL, "");
        expect_ok(arena_close(later));
    }
}
END_TEST

START_TEST(test_rewind_many_nested_marks_work)
{
    enum { DEPTH = 1000 };
    static arena_mark_t marks[DEPTH];
    static char *blocks[DEPTH];

    for (size_t i = 0; i < DEPTH; i++) {
        expect_ok(arena_mark(arena, &marks[i]));
        expect_ok(blocks[i] = arena_alloc_uninit(arena, 300));
        fill_block(blocks[i], 300, i);
    }
    for (size_t i = DEPTH; i-- > 0;) {
        ck_assert(block_holds(blocks[i], 300, i));
        expect_ok(arena_rewind(arena, marks[i]));
        expect_ok(arena_alloc(arena, 300));
        expect_ok(arena_rewind(arena, marks[i]));
    }
}
END_TEST

/* --- Rewind: actions and children --- */

START_TEST(test_rewind_runs_later_actions_last_first)
{
    arena_mark_t mark;

    expect_ok(arena_on_close(arena, note, &numbers[1]));
    expect_ok(arena_mark(arena, &mark));
    expect_ok(arena_on_close(arena, note, &numbers[2]));
    expect_ok(arena_on_close(arena, note, &numbers[3]));
    expect_ok(arena_rewind(arena, mark));
    ck_assert_uint_eq(ran_count, 2);
    ck_assert_int_eq(ran[0], 3);
    ck_assert_int_eq(ran[1], 2);
    expect_ok(arena_rewind(arena, mark));
    ck_assert_uint_eq(ran_count, 2);
    expect_ok(arena_close(arena));
    ck_assert_uint_eq(ran_count, 3);
    ck_assert_int_eq(ran[2], 1);
}
END_TEST

/* What an action of a rewind saw. */
struct inside {
    char *block;
    bool intact;
    bool alive;
    struct answer alloc, on_close, close, rewind;
    arena_mark_t mark;
};

static void
look_inside(void *arg)
{
    struct inside *inside = arg;

    inside->intact = block_holds(inside->block, 400000, 7);
    inside->alive = arena_is_alive(arena);
    record_answer(&inside->alloc, arena_alloc(arena, 8));
    record_answer(&inside->on_close, arena_on_close(arena, note, numbers));
    record_answer(&inside->close, arena_close(arena));
}

START_TEST(test_rewind_action_finds_arena_closed_and_memory_intact)
{
    static struct inside inside;

    expect_ok(arena_mark(arena, &inside.mark));
    expect_ok(arena_on_close(arena, look_inside, &inside));
    expect_ok(inside.block = arena_alloc_uninit(arena, 400000));
    fill_block(inside.block, 400000, 7);
    expect_ok(arena_rewind(arena, inside.mark));
    ck_assert(inside.intact);
    ck_assert(!inside.alive);
    expect_answer(&inside.alloc, ESTALE, "");
    expect_answer(&inside.on_close, ESTALE, "");
    expect_answer(&inside.close, ESTALE, "");
    ck_assert(arena_is_alive(arena));
    expect_ok(arena_alloc(arena, 8));
    ck_assert_uint_eq(ran_count, 0);
}
END_TEST

START_TEST(test_rewind_closes_later_children_only)
{
    arena_t *early = open_child(arena);
    arena_t *late;
    arena_mark_t mark;

    expect_ok(arena_on_close(early, note, &numbers[1]));
    expect_ok(arena_mark(arena, &mark));
    late = open_child(arena);
    expect_ok(arena_on_close(late, note, &numbers[2]));
    expect_ok(arena_rewind(arena, mark));
    ck_assert(arena_is_alive(early));
    ck_assert(!arena_is_alive(late));
    expect_fail(arena_alloc(late, 8), ESTALE, "");
    expect_ok(arena_alloc(early, 8));
    ck_assert_uint_eq(ran_count, 1);
    ck_assert_int_eq(ran[0], 2);
    expect_ok(arena_close(arena));
    ck_assert(!arena_is_alive(early));
    ck_assert_uint_eq(ran_count, 2);
}
END_TEST

START_TEST(test_rewind_acquired_arena_fails_ebusy_unchanged)
{
    arena_mark_t mark;
    arena_usage_t before;
    char *block;

    expect_ok(arena_mark(arena, &mark));
    expect_ok(block = arena_alloc(arena, 500));
    fill_block(block, 500, 1);
    expect_ok(arena_on_close(arena, note, &numbers[1]));
    expect_ok(arena_acquire(arena));
    expect_ok(arena_acquire(arena));
    before = usage_now();
    expect_fail(arena_rewind(arena, mark), EBUSY, "2");
    expect_usage(before);
    ck_assert_uint_eq(ran_count, 0);
    ck_assert(block_holds(block, 500, 1));
    expect_ok(arena_release(arena));
    expect_ok(arena_release(arena));
    expect_ok(arena_rewind(arena, mark));
    ck_assert_uint_eq(ran_count, 1);
}
END_TEST

START_TEST(test_rewind_acquired_later_child_fails_ebusy_unchanged)
{
    arena_usage_t before;
    arena_mark_t mark;
    arena_t *child;

    expect_ok(arena_mark(arena, &mark));
    expect_ok(arena_on_close(arena, note, &numbers[1]));
    child = open_child(arena);
    expect_ok(arena_on_close(child, note, &numbers[2]));
    expect_ok(arena_acquire(child));
    before = usage_now();
    expect_fail(arena_rewind(arena, mark), EBUSY, "1");
    expect_usage(before);
    ck_assert(arena_is_alive(child));
    ck_assert_uint_eq(ran_count, 0);
    expect_ok(arena_release(child));
    expect_ok(arena_rewind(arena, mark));
    ck_assert(!arena_is_alive(child));
    ck_assert_uint_eq(ran_count, 2);
    ck_assert_int_eq(ran[0], 2);
    ck_assert_int_eq(ran[1], 1);
}
END_TEST

START_TEST(test_rewind_acquired_earlier_child_does_not_matter)
{
    arena_t *early = open_child(arena);
    arena_mark_t mark;

    expect_ok(arena_acquire(early));
    expect_ok(arena_mark(arena, &mark));
    expect_ok(arena_alloc(arena, 100));
    expect_ok(arena_rewind(arena, mark));
    ck_assert(arena_is_alive(early));
    expect_ok(arena_release(early));
}
END_TEST

static Suite *
marks_suite(void)
{
    Suite *suite = suite_create("marks");
    TCase *mark = tcase_create("mark");
    TCase *memory = tcase_create("rewind_memory");
    TCase *marks = tcase_create("rewind_marks");
    TCase *actions = tcase_create("rewind_actions");

    tcase_add_checked_fixture(mark, setup, teardown_arena);
    tcase_add_test(mark, test_mark_success_leaves_errno_and_usage_count);
    tcase_add_test(mark, test_mark_null_fails_einval);
    tcase_add_test(mark, test_mark_where_one_is_needs_no_memory);
    tcase_add_test(mark, test_mark_after_a_segment_is_another_one);
    tcase_add_test(mark, test_mark_other_kinds_fails_enotsup);
    tcase_add_test(mark, test_mark_closed_fails_estale);
    suite_add_tcase(suite, mark);

    tcase_add_checked_fixture(memory, setup, teardown_arena);
    tcase_add_test(memory, test_rewind_keeps_what_came_before);
    tcase_add_test(memory, test_rewind_frees_what_came_after);
    tcase_add_test(memory, test_rewind_again_and_again_does_not_grow);
    tcase_add_test(memory, test_rewind_recycled_memory_is_zero);
    tcase_add_test(memory, test_rewind_does_not_overlap_earlier_blocks);
    tcase_add_test(memory, test_rewind_resize_does_not_touch_what_came_before);
    suite_add_tcase(suite, memory);

    tcase_add_checked_fixture(marks, setup, teardown_arena);
    tcase_add_test(marks, test_rewind_mark_stays_good);
    tcase_add_test(marks, test_rewind_drops_inner_marks);
    tcase_add_test(marks, test_rewind_dropped_mark_is_not_revived_by_new_one);
    tcase_add_test(marks, test_rewind_foreign_mark_fails_einval);
    tcase_add_test(marks, test_rewind_mark_of_reset_arena_fails_einval);
    tcase_add_test(marks,
                   test_rewind_mark_of_closed_arena_fails_in_later_ones);
    tcase_add_test(marks, test_rewind_many_nested_marks_work);
    suite_add_tcase(suite, marks);

    tcase_add_checked_fixture(actions, setup, teardown_arena);
    tcase_add_test(actions, test_rewind_runs_later_actions_last_first);
    tcase_add_test(actions,
                   test_rewind_action_finds_arena_closed_and_memory_intact);
    tcase_add_test(actions, test_rewind_closes_later_children_only);
    tcase_add_test(actions, test_rewind_acquired_arena_fails_ebusy_unchanged);
    tcase_add_test(actions,
                   test_rewind_acquired_later_child_fails_ebusy_unchanged);
    tcase_add_test(actions,
                   test_rewind_acquired_earlier_child_does_not_matter);
    suite_add_tcase(suite, actions);
    return suite;
}

int
main(void)
{
    return run_suite(marks_suite());
}
