/* check_children.c: arenas that belong to other arenas, and close with them.
 */

#include <string.h>

#include "action_harness.h"

static arena_usage_t before;
static arena_t *parent, *child, *grandchild;

static void
setup(void)
{
    setup_actions();
    before = usage_now();
}

static arena_t *
open_under(arena_t *above, arena_kind_t as, size_t limit)
{
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.parent = above;
    options.limit = limit;
    return arena_open(as, &options);
}

/* Open a parent, its child and its grandchild, each with an action of its
 * number and a block. */
static void
open_family(int number)
{
    arena_t **const family[] = {&parent, &child, &grandchild};
    arena_t *above = NULL;

    for (size_t i = 0; i < LENGTH(family); i++) {
        *family[i] = open_under(above, kinds[number], 0);
        ck_assert_ptr_nonnull(*family[i]);
        expect_ok(arena_on_close(*family[i], note, &numbers[i + 1]));
        expect_ok(arena_alloc(*family[i], 1000));
        above = *family[i];
    }
}

/* --- Open --- */

START_TEST(test_open_child_is_open_and_counted)
{
    arena_usage_t opened;

    open_family(_i);
    opened = usage_now();
    ck_assert_uint_eq(opened.kind[kinds[_i]].count,
                      before.kind[kinds[_i]].count + 3);
    ck_assert_int_eq(arena_kind(child), kinds[_i]);
    ck_assert(arena_is_alive(grandchild));
    ck_assert_ptr_eq(arena_of(arena_alloc(grandchild, 50)), grandchild);
    expect_ok(arena_close(parent));
    expect_usage(before);
}
END_TEST

START_TEST(test_open_parent_of_other_kind_fails_einval)
{
    arena_t *confined = arena_confined();
    arena_t *shared = arena_shared();
    arena_t *const never[] = {arena_global(), arena_implicit()};
    arena_usage_t opened = usage_now();

    expect_fail(open_under(confined, ARENA_SHARED, 0), EINVAL, "");
    expect_fail(open_under(shared, ARENA_CONFINED, 0), EINVAL, "");
    for (size_t i = 0; i < LENGTH(never); i++) {
        expect_fail(open_under(never[i], ARENA_SHARED, 0), EINVAL, "");
        expect_fail(open_under(never[i], ARENA_CONFINED, 0), EINVAL, "");
    }
    expect_usage(opened);
    expect_ok(arena_close(confined));
    expect_ok(arena_close(shared));
}
END_TEST

START_TEST(test_open_child_of_other_kind_fails_einval)
{
    arena_usage_t opened;

    parent = arena_open(kinds[_i], NULL);
    opened = usage_now();
    expect_fail(open_under(parent, ARENA_GLOBAL, 0), EINVAL, "");
    expect_fail(open_under(parent, ARENA_IMPLICIT, 0), EINVAL, "");
    expect_fail(open_under(parent, ARENA_AUTO, 0), EINVAL, "");
    expect_usage(opened);
    expect_ok(arena_close(parent));
}
END_TEST

START_TEST(test_open_under_closed_parent_fails_estale)
{
    parent = arena_open(kinds[_i], NULL);
    expect_ok(arena_close(parent));
    expect_fail(open_under(parent, kinds[_i], 0), ESTALE, "");
    expect_usage(before);
}
END_TEST

/* --- Close --- */

START_TEST(test_close_parent_closes_descendants)
{
    open_family(_i);
    expect_ok(arena_close(parent));
    ck_assert(!arena_is_alive(parent));
    ck_assert(!arena_is_alive(child));
    ck_assert(!arena_is_alive(grandchild));
    expect_fail(arena_alloc(child, 8), ESTALE, "");
    expect_fail(arena_close(child), ESTALE, "");
    expect_fail(arena_close(grandchild), ESTALE, "");
    expect_usage(before);
}
END_TEST

START_TEST(test_close_parent_runs_actions_of_children_first)
{
    open_family(_i);
    expect_ok(arena_on_close(parent, note, &numbers[4]));
    expect_ok(arena_on_close(child, note, &numbers[5]));
    expect_ok(arena_on_close(grandchild, note, &numbers[6]));
    expect_ok(arena_close(parent));
    ck_assert_uint_eq(ran_count, 6);
    ck_assert_int_eq(ran[0], 6);
    ck_assert_int_eq(ran[1], 3);
    ck_assert_int_eq(ran[2], 5);
    ck_assert_int_eq(ran[3], 2);
    ck_assert_int_eq(ran[4], 4);
    ck_assert_int_eq(ran[5], 1);
}
END_TEST

/* What an action saw of the family. */
struct inside {
    char *blocks[3]; /* of parent, child, grandchild */
    bool intact, alive;
    struct answer alloc[3];
};

static void
look_inside(void *arg)
{
    struct inside *inside = arg;

    inside->alive = arena_is_alive(parent) || arena_is_alive(child)
                    || arena_is_alive(grandchild);
    record_answer(&inside->alloc[0], arena_alloc(parent, 8));
    record_answer(&inside->alloc[1], arena_alloc(child, 8));
    record_answer(&inside->alloc[2], arena_alloc(grandchild, 8));
    inside->intact = true;
    for (size_t i = 0; i < 3; i++)
        if (!block_holds(inside->blocks[i], 200000, i))
            inside->intact = false;
}

/* Give each of the family a block, and an action that looks at all. */
static void
watch_family(struct inside *inside)
{
    arena_t *const family[] = {parent, child, grandchild};

    for (size_t i = 0; i < 3; i++) {
        char *block;

        expect_ok(block = arena_alloc(family[i], 200000));
        fill_block(block, 200000, i);
        for (size_t j = 0; j < 3; j++)
            inside[j].blocks[i] = block;
        expect_ok(arena_on_close(family[i], look_inside, &inside[i]));
    }
}

START_TEST(test_close_inside_all_are_closed_and_all_memory_intact)
{
    static struct inside inside[3];

    open_family(_i);
    watch_family(inside);
    expect_ok(arena_close(parent));
    for (size_t i = 0; i < 3; i++) {
        ck_assert(inside[i].intact);
        ck_assert(!inside[i].alive);
        for (size_t j = 0; j < 3; j++)
            expect_answer(&inside[i].alloc[j], ESTALE, "");
    }
    expect_usage(before);
}
END_TEST

START_TEST(test_close_acquired_descendant_fails_ebusy_unchanged)
{
    arena_usage_t opened;

    open_family(_i);
    for (size_t i = 0; i < 3; i++)
        expect_ok(arena_acquire(grandchild));
    opened = usage_now();
    expect_fail(arena_close(parent), EBUSY, "3");
    expect_fail(arena_close(child), EBUSY, "3");
    expect_fail(arena_reset(parent), EBUSY, "3");
    expect_usage(opened);
    ck_assert(arena_is_alive(parent));
    ck_assert(arena_is_alive(child));
    ck_assert(arena_is_alive(grandchild));
    ck_assert_uint_eq(ran_count, 0);
    expect_ok(arena_alloc(parent, 100));
    expect_ok(arena_alloc(grandchild, 100));
    expect_ok(arena_acquire(child));
    expect_ok(arena_release(child));
    for (size_t i = 0; i < 3; i++)
        expect_ok(arena_release(grandchild));
    expect_ok(arena_close(parent));
    ck_assert_uint_eq(ran_count, 3);
    expect_usage(before);
}
END_TEST

START_TEST(test_close_wait_waits_for_descendants)
{
    struct answer answer;

    open_family(1);
    answer = ask_in_thread(arena_acquire, grandchild);
    expect_success(&answer);
    expect_fail(arena_close_wait(parent, 20), ETIMEDOUT, "");
    ck_assert(arena_is_alive(parent));
    ck_assert(arena_is_alive(grandchild));
    ck_assert_uint_eq(ran_count, 0);
    expect_ok(arena_acquire(grandchild));
    expect_ok(arena_release(grandchild));
    expect_ok(arena_release(grandchild));
    expect_ok(arena_close_wait(parent, 20));
    ck_assert_uint_eq(ran_count, 3);
    expect_usage(before);
}
END_TEST

START_TEST(test_close_child_leaves_parent)
{
    arena_usage_t opened;

    open_family(_i);
    opened = usage_now();
    expect_ok(arena_close(child));
    ck_assert_uint_eq(ran_count, 2);
    ck_assert_int_eq(ran[0], 3);
    ck_assert_int_eq(ran[1], 2);
    ck_assert(!arena_is_alive(grandchild));
    ck_assert(arena_is_alive(parent));
    ck_assert_uint_eq(usage_now().count, opened.count - 2);
    expect_ok(arena_alloc(parent, 100));
    expect_ok(arena_close(parent));
    ck_assert_uint_eq(ran_count, 3);
    expect_usage(before);
}
END_TEST

START_TEST(test_close_parent_acquired_leaves_child_closable)
{
    open_family(_i);
    expect_ok(arena_acquire(parent));
    expect_ok(arena_close(child));
    expect_fail(arena_close(parent), EBUSY, "1");
    expect_ok(arena_release(parent));
    expect_ok(arena_close(parent));
    expect_usage(before);
}
END_TEST

START_TEST(test_close_parent_of_many_closes_all)
{
    static arena_t *children[2000];

    parent = arena_open(kinds[_i], NULL);
    for (size_t i = 0; i < LENGTH(children); i++) {
        children[i] =
            open_under(i % 3 == 2 ? children[i - 1] : parent, kinds[_i], 0);
        if (children[i] == NULL || arena_alloc(children[i], 40) == NULL
            || arena_on_close(children[i], note, &numbers[7]) != 0)
            ck_abort_msg("child %zu: %s", i, arena_error());
    }
    for (size_t i = 0; i < LENGTH(children); i += 9)
        expect_ok(arena_close(children[i]));
    ck_assert(!arena_is_alive(children[0]));
    ck_assert(arena_is_alive(children[1]));
    expect_ok(arena_close(parent));
    ck_assert_uint_eq(ran_count, LENGTH(children));
    expect_usage(before);
}
END_TEST

START_TEST(test_close_deep_family_works)
{
    arena_t *lowest;

    parent = arena_open(kinds[_i], NULL);
    lowest = parent;
    for (size_t depth = 0; depth < 20000; depth++) {
        lowest = open_under(lowest, kinds[_i], 0);
        if (lowest == NULL)
            ck_abort_msg("depth %zu: %s", depth, arena_error());
    }
    expect_ok(arena_on_close(lowest, note, &numbers[8]));
    expect_ok(arena_acquire(lowest));
    expect_fail(arena_close(parent), EBUSY, "1");
    expect_ok(arena_release(lowest));
    expect_ok(arena_close(parent));
    ck_assert_uint_eq(ran_count, 1);
    expect_usage(before);
}
END_TEST

START_TEST(test_close_children_in_turn_does_not_grow_parent)
{
    size_t bytes;

    parent = arena_open(kinds[_i], NULL);
    expect_ok(arena_alloc(parent, 100));
    bytes = arena_bytes(parent);
    for (size_t i = 0; i < 10000; i++) {
        arena_t *brief = open_under(parent, kinds[_i], 0);

        if (brief == NULL || arena_alloc(brief, 100) == NULL
            || arena_close(brief) != 0)
            ck_abort_msg("child %zu: %s", i, arena_error());
    }
    ck_assert_uint_eq(arena_bytes(parent), bytes);
    expect_ok(arena_close(parent));
    expect_usage(before);
}
END_TEST

/* --- Reset --- */

START_TEST(test_reset_parent_closes_descendants)
{
    open_family(_i);
    expect_ok(arena_reset(parent));
    ck_assert(arena_is_alive(parent));
    ck_assert(!arena_is_alive(child));
    ck_assert(!arena_is_alive(grandchild));
    ck_assert_uint_eq(ran_count, 3);
    ck_assert_int_eq(ran[0], 3);
    ck_assert_int_eq(ran[1], 2);
    ck_assert_int_eq(ran[2], 1);
    expect_ok(child = open_under(parent, kinds[_i], 0));
    expect_ok(arena_alloc(child, 100));
    expect_ok(arena_close(parent));
    ck_assert(!arena_is_alive(child));
    ck_assert_uint_eq(ran_count, 3);
    expect_usage(before);
}
END_TEST

START_TEST(test_reset_child_leaves_parent)
{
    char *block;

    open_family(_i);
    expect_ok(block = arena_alloc(parent, 100));
    fill_block(block, 100, 1);
    expect_ok(arena_reset(child));
    ck_assert(arena_is_alive(parent));
    ck_assert(arena_is_alive(child));
    ck_assert(!arena_is_alive(grandchild));
    ck_assert(block_holds(block, 100, 1));
    ck_assert_uint_eq(ran_count, 2);
    expect_ok(arena_close(parent));
    expect_usage(before);
}
END_TEST

/* --- Limit --- */

START_TEST(test_limit_of_parent_counts_bytes_of_descendants)
{
    arena_usage_t opened;

    parent = open_under(NULL, kinds[_i], MIB);
    child = open_under(parent, kinds[_i], 0);
    grandchild = open_under(child, kinds[_i], 0);
    expect_ok(arena_alloc(grandchild, 600 * KIB));
    opened = usage_now();
    expect_fail(arena_alloc(parent, 600 * KIB), ENOMEM, "1048576");
    expect_fail(arena_alloc(child, 600 * KIB), ENOMEM, "1048576");
    expect_fail(arena_alloc(grandchild, 600 * KIB), ENOMEM, "1048576");
    expect_usage(opened);
    expect_ok(arena_alloc(child, 200 * KIB));
    expect_ok(arena_close(grandchild));
    expect_ok(arena_alloc(parent, 600 * KIB));
    expect_fail(arena_alloc(child, 600 * KIB), ENOMEM, "1048576");
    expect_ok(arena_close(parent));
    expect_usage(before);
}
END_TEST

START_TEST(test_limit_of_child_is_its_own)
{
    parent = arena_open(kinds[_i], NULL);
    child = open_under(parent, kinds[_i], MIB);
    expect_fail(arena_alloc(child, 2 * MIB), ENOMEM, "1048576");
    expect_ok(arena_alloc(child, MIB / 2));
    expect_ok(arena_alloc(parent, 2 * MIB));
    expect_ok(arena_close(parent));
    expect_usage(before);
}
END_TEST

START_TEST(test_limit_of_parent_is_free_again_after_child_reset)
{
    parent = open_under(NULL, kinds[_i], 2 * MIB);
    child = open_under(parent, kinds[_i], 0);
    for (size_t round = 0; round < 20; round++) {
        expect_ok(arena_alloc(child, 3 * MIB / 2));
        expect_fail(arena_alloc(parent, 3 * MIB / 2), ENOMEM, "2097152");
        expect_ok(arena_reset(child));
    }
    expect_ok(arena_alloc(parent, 3 * MIB / 2));
    expect_ok(arena_close(parent));
    expect_usage(before);
}
END_TEST

#define OTHERS 400

static arena_t *others[OTHERS];
static arena_kind_t others_kind;

/* The parent is closed while its child gives back what it had; many arenas
 * with a limit come after it. */
static void
close_parent_and_open_others(void *arg)
{
    (void)arg;
    expect_ok(arena_close(parent));
    for (size_t i = 0; i < OTHERS / 2; i++)
        expect_ok(arena_close(others[i]));
    for (size_t i = 0; i < OTHERS; i++)
        others[i] = open_under(NULL, others_kind, MIB);
}

START_TEST(test_limit_of_others_is_not_touched_by_an_orphan)
{
    others_kind = kinds[_i];
    for (size_t i = 0; i < OTHERS / 2; i++)
        others[i] = open_under(NULL, others_kind, MIB);
    parent = open_under(NULL, others_kind, MIB);
    child = open_under(parent, others_kind, 0);
    expect_ok(arena_alloc(child, 100000));
    expect_ok(arena_on_close(child, close_parent_and_open_others, NULL));
    expect_ok(arena_reset(child));
    ck_assert(!arena_is_alive(child));
    for (size_t i = 0; i < OTHERS; i++) {
        expect_ok(arena_alloc(others[i], MIB / 2));
        expect_fail(arena_alloc(others[i], MIB), ENOMEM, "1048576");
        expect_ok(arena_close(others[i]));
    }
    expect_usage(before);
}
END_TEST

START_TEST(test_usage_counts_bytes_of_a_child_once)
{
    arena_usage_t opened;

    open_family(_i);
    opened = usage_now();
    expect_ok(arena_alloc(grandchild, 8 * MIB));
    ck_assert_uint_ge(usage_now().reserved, opened.reserved + 8 * MIB);
    ck_assert_uint_lt(usage_now().reserved, opened.reserved + 12 * MIB);
    ck_assert_uint_eq(usage_now().requested, opened.requested + 8 * MIB);
    expect_ok(arena_close(parent));
    expect_usage(before);
}
END_TEST

static void
add_open_and_limit(Suite *suite)
{
    TCase *open = tcase_create("open");
    TCase *limit = tcase_create("limit");

    tcase_add_checked_fixture(open, setup, NULL);
    add_for_kinds(open, test_open_child_is_open_and_counted);
    tcase_add_test(open, test_open_parent_of_other_kind_fails_einval);
    add_for_kinds(open, test_open_child_of_other_kind_fails_einval);
    add_for_kinds(open, test_open_under_closed_parent_fails_estale);
    suite_add_tcase(suite, open);

    tcase_add_checked_fixture(limit, setup, NULL);
    add_for_kinds(limit, test_limit_of_parent_counts_bytes_of_descendants);
    add_for_kinds(limit, test_limit_of_child_is_its_own);
    add_for_kinds(limit, test_limit_of_parent_is_free_again_after_child_reset);
    add_for_kinds(limit, test_limit_of_others_is_not_touched_by_an_orphan);
    add_for_kinds(limit, test_usage_counts_bytes_of_a_child_once);
    suite_add_tcase(suite, limit);
}

static void
add_closing(Suite *suite)
{
    TCase *closing = tcase_create("close");
    TCase *reset = tcase_create("reset");

    tcase_add_checked_fixture(closing, setup, NULL);
    tcase_set_timeout(closing, 20);
    add_for_kinds(closing, test_close_parent_closes_descendants);
    add_for_kinds(closing, test_close_parent_runs_actions_of_children_first);
    add_for_kinds(closing,
                  test_close_inside_all_are_closed_and_all_memory_intact);
    add_for_kinds(closing,
                  test_close_acquired_descendant_fails_ebusy_unchanged);
    tcase_add_test(closing, test_close_wait_waits_for_descendants);
    add_for_kinds(closing, test_close_child_leaves_parent);
    add_for_kinds(closing, test_close_parent_acquired_leaves_child_closable);
    add_for_kinds(closing, test_close_parent_of_many_closes_all);
    add_for_kinds(closing, test_close_deep_family_works);
    add_for_kinds(closing, test_close_children_in_turn_does_not_grow_parent);
    suite_add_tcase(suite, closing);

    tcase_add_checked_fixture(reset, setup, NULL);
    add_for_kinds(reset, test_reset_parent_closes_descendants);
    add_for_kinds(reset, test_reset_child_leaves_parent);
    suite_add_tcase(suite, reset);
}

int
main(void)
{
    Suite *suite = suite_create("children");

    add_open_and_limit(suite);
    add_closing(suite);
    return run_suite(suite);
}
