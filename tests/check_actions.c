/* check_actions.c: close actions, and resetting, which runs them too. */

#include <stdatomic.h>
#include <string.h>

#include "action_harness.h"

/* --- Actions --- */

START_TEST(test_on_close_runs_all_last_first_once)
{
    open_kind(_i);
    for (size_t i = 0; i < 150; i++) {
        expect_ok(arena_on_close(arena, note, &numbers[i]));
        expect_ok(arena_alloc(arena, i * 10));
    }
    ck_assert_uint_eq(ran_count, 0);
    expect_ok(arena_close(arena));
    ck_assert_uint_eq(ran_count, 150);
    for (int i = 0; i < 150; i++)
        ck_assert_int_eq(ran[i], 149 - i);
    expect_fail(arena_close(arena), ESTALE, "");
    ck_assert_uint_eq(ran_count, 150);
}
END_TEST

START_TEST(test_on_close_same_action_twice_runs_twice)
{
    open_kind(_i);
    expect_ok(arena_on_close(arena, note, &numbers[5]));
    expect_ok(arena_on_close(arena, note, &numbers[5]));
    expect_ok(arena_close(arena));
    ck_assert_uint_eq(ran_count, 2);
}
END_TEST

START_TEST(test_on_close_null_action_fails_einval_unchanged)
{
    arena_usage_t before;

    open_kind(_i);
    before = usage_now();
    expect_fail(arena_on_close(arena, NULL, &numbers[0]), EINVAL, "");
    expect_fail(arena_on_close(NULL, note, &numbers[0]), EINVAL, "");
    expect_usage(before);
    expect_ok(arena_close(arena));
    ck_assert_uint_eq(ran_count, 0);
}
END_TEST

START_TEST(test_on_close_closed_fails_estale_and_does_not_run)
{
    open_kind(_i);
    expect_ok(arena_close(arena));
    expect_fail(arena_on_close(arena, note, &numbers[0]), ESTALE, "");
    ck_assert_uint_eq(ran_count, 0);
}
END_TEST

/* What an action saw. */
struct inside {
    char *blocks[4];
    bool intact, alive, accessible;
    pthread_t thread;
    struct answer alloc, resize, on_close, close, close_wait, acquire, reset;
    struct answer elsewhere;
};

static const size_t inside_sizes[4] = {10, 3000, 100000, 5000000};

static int
call_alloc(arena_t *a)
{
    return arena_alloc(a, 8) != NULL ? 0 : -1;
}

static void
look_inside(void *arg)
{
    struct inside *inside = arg;

    inside->thread = pthread_self();
    inside->alive = arena_is_alive(arena);
    inside->accessible = arena_is_accessible(arena);
    record_answer(&inside->alloc, arena_alloc(arena, 8));
    record_answer(&inside->resize, arena_resize(arena, NULL, 0, 8));
    record_answer(&inside->on_close, arena_on_close(arena, note, numbers));
    record_answer(&inside->close, arena_close(arena));
    record_answer(&inside->close_wait, arena_close_wait(arena, -1));
    record_answer(&inside->acquire, arena_acquire(arena));
    record_answer(&inside->reset, arena_reset(arena));
    inside->elsewhere = ask_in_thread(call_alloc, arena);
    inside->intact = true;
    for (size_t i = 0; i < LENGTH(inside->blocks); i++)
        if (!block_holds(inside->blocks[i], inside_sizes[i], i))
            inside->intact = false;
}

/* Take and fill the blocks that an action looks at. */
static void
fill_inside(struct inside *inside)
{
    for (size_t i = 0; i < LENGTH(inside->blocks); i++) {
        expect_ok(inside->blocks[i] =
                      arena_alloc_uninit(arena, inside_sizes[i]));
        fill_block(inside->blocks[i], inside_sizes[i], i);
    }
}

/* The arena counted as closed for the action, with its memory intact. */
static void
check_inside(const struct inside *inside)
{
    ck_assert(inside->intact);
    ck_assert(!inside->alive);
    ck_assert(!inside->accessible);
    ck_assert(pthread_equal(inside->thread, pthread_self()));
    expect_answer(&inside->alloc, ESTALE, "");
    expect_answer(&inside->resize, ESTALE, "");
    expect_answer(&inside->on_close, ESTALE, "");
    expect_answer(&inside->close, ESTALE, "");
    expect_answer(&inside->close_wait, ESTALE, "");
    expect_answer(&inside->acquire, ESTALE, "");
    expect_answer(&inside->reset, ESTALE, "");
}

START_TEST(test_on_close_inside_arena_is_closed_and_memory_intact)
{
    static struct inside first, last;
    arena_usage_t before = usage_now();

    open_kind(_i);
    expect_ok(arena_on_close(arena, look_inside, &first));
    fill_inside(&last);
    memcpy(first.blocks, last.blocks, sizeof first.blocks);
    expect_ok(arena_on_close(arena, look_inside, &last));
    expect_ok(arena_close(arena));
    check_inside(&last);
    check_inside(&first);
    expect_answer(&first.elsewhere, kind == ARENA_CONFINED ? EPERM : ESTALE,
                  "");
    ck_assert_uint_eq(ran_count, 0);
    expect_usage(before);
}
END_TEST

static void
use_other_arena(void *arg)
{
    arena_t *other = arena_confined();
    bool *worked = arg;
    char *block = arena_alloc(other, 50000);

    *worked = block != NULL && block_is_zero(block, 50000)
              && arena_on_close(other, note, &numbers[9]) == 0
              && arena_close(other) == 0;
}

START_TEST(test_on_close_inside_other_arenas_can_be_used)
{
    bool worked = false;

    open_kind(_i);
    expect_ok(arena_alloc(arena, 50000));
    expect_ok(arena_on_close(arena, use_other_arena, &worked));
    expect_ok(arena_close(arena));
    ck_assert(worked);
    ck_assert_uint_eq(ran_count, 1);
}
END_TEST

START_TEST(test_on_close_waiting_closer_runs_actions)
{
    open_kind(_i);
    expect_ok(arena_on_close(arena, note, &numbers[4]));
    expect_ok(arena_close_wait(arena, 100));
    ck_assert_uint_eq(ran_count, 1);
    ck_assert_int_eq(ran[0], 4);
}
END_TEST

/* --- Reset --- */

/* Threads take parts of auto arenas, and register their first actions
 * meanwhile. */
static arena_t *volatile autos[300];
static atomic_size_t team_faults;

static void
team_allocate(void *arg, size_t index)
{
    (void)arg;
    for (size_t i = 0; i < LENGTH(autos); i++)
        for (size_t k = 0; k < 8; k++) {
            if (arena_alloc(autos[i], 5000) == NULL)
                atomic_fetch_add(&team_faults, 1);
            if (k == 2 * index
                && arena_on_close(autos[i], do_nothing, NULL) != 0)
                atomic_fetch_add(&team_faults, 1);
        }
}

START_TEST(test_on_close_auto_while_others_allocate)
{
    for (size_t i = 0; i < LENGTH(autos); i++)
        ck_assert_ptr_nonnull(autos[i] = arena_auto());
    run_team(4, team_allocate, NULL);
    ck_assert_uint_eq(atomic_load(&team_faults), 0);
    for (size_t i = 0; i < LENGTH(autos); i++) {
        ck_assert_uint_gt(arena_bytes(autos[i]), 4 * 8 * 5000);
        autos[i] = NULL;
    }
}
END_TEST

START_TEST(test_reset_frees_contents_and_keeps_open)
{
    arena_usage_t empty, after;
    char *block;

    open_kind(_i);
    empty = usage_now();
    for (size_t round = 0; round < 5; round++) {
        expect_ok(arena_alloc(arena, 100));
        for (size_t i = 0; i < 16; i++)
            expect_ok(arena_alloc(arena, MIB));
        expect_ok(arena_reset(arena));
        ck_assert(arena_is_alive(arena));
        after = usage_now();
        ck_assert_uint_le(after.reserved, empty.reserved + MIB);
        ck_assert_uint_eq(after.requested, empty.requested);
        ck_assert_uint_eq(after.count, empty.count);
        ck_assert_uint_le(arena_bytes(arena), MIB);
    }
    expect_ok(block = arena_alloc(arena, 100));
    ck_assert_ptr_eq(arena_of(block), arena);
    expect_ok(arena_close(arena));
}
END_TEST

START_TEST(test_reset_runs_actions_once)
{
    open_kind(_i);
    expect_ok(arena_on_close(arena, note, &numbers[1]));
    expect_ok(arena_on_close(arena, note, &numbers[2]));
    expect_ok(arena_reset(arena));
    ck_assert_uint_eq(ran_count, 2);
    ck_assert_int_eq(ran[0], 2);
    ck_assert_int_eq(ran[1], 1);
    expect_ok(arena_reset(arena));
    expect_ok(arena_on_close(arena, note, &numbers[3]));
    expect_ok(arena_close(arena));
    ck_assert_uint_eq(ran_count, 3);
    ck_assert_int_eq(ran[2], 3);
}
END_TEST

START_TEST(test_reset_inside_arena_is_closed_and_memory_intact)
{
    static struct inside inside;

    open_kind(_i);
    fill_inside(&inside);
    expect_ok(arena_on_close(arena, look_inside, &inside));
    expect_ok(arena_reset(arena));
    check_inside(&inside);
    ck_assert_uint_eq(ran_count, 0);
    ck_assert(arena_is_alive(arena));
    ck_assert(arena_is_accessible(arena));
    expect_ok(arena_alloc(arena, 100));
    expect_ok(arena_close(arena));
}
END_TEST

START_TEST(test_reset_keeps_name_and_kind)
{
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.name = "kept";
    expect_ok(arena = arena_open(kinds[_i], &options));
    expect_ok(arena_reset(arena));
    ck_assert_str_eq(arena_name(arena), "kept");
    ck_assert_int_eq(arena_kind(arena), kinds[_i]);
    expect_ok(arena_close(arena));
}
END_TEST

START_TEST(test_reset_again_and_again_does_not_grow)
{
    arena_usage_t early = {.reserved = 0}, late;

    open_kind(_i);
    for (size_t round = 0; round < 5000; round++) {
        for (size_t i = 0; i < 10; i++)
            if (arena_alloc(arena, 1000) == NULL)
                ck_abort_msg("round %zu: %s", round, arena_error());
        if (arena_reset(arena) != 0)
            ck_abort_msg("round %zu: %s", round, arena_error());
        if (round == 100)
            early = usage_now();
    }
    late = usage_now();
    ck_assert_uint_le(late.reserved, early.reserved);
    ck_assert_uint_le(late.cached, early.cached);
}
END_TEST

static void
add_actions(Suite *suite)
{
    TCase *actions = tcase_create("on_close");
    TCase *reset = tcase_create("reset");

    tcase_add_checked_fixture(actions, setup_actions, NULL);
    add_for_kinds(actions, test_on_close_runs_all_last_first_once);
    add_for_kinds(actions, test_on_close_same_action_twice_runs_twice);
    add_for_kinds(actions, test_on_close_null_action_fails_einval_unchanged);
    add_for_kinds(actions, test_on_close_closed_fails_estale_and_does_not_run);
    add_for_kinds(actions,
                  test_on_close_inside_arena_is_closed_and_memory_intact);
    add_for_kinds(actions, test_on_close_inside_other_arenas_can_be_used);
    add_for_kinds(actions, test_on_close_waiting_closer_runs_actions);
    tcase_add_test(actions, test_on_close_auto_while_others_allocate);
    suite_add_tcase(suite, actions);

    tcase_add_checked_fixture(reset, setup_actions, NULL);
    add_for_kinds(reset, test_reset_frees_contents_and_keeps_open);
    add_for_kinds(reset, test_reset_runs_actions_once);
    add_for_kinds(reset, test_reset_inside_arena_is_closed_and_memory_intact);
    add_for_kinds(reset, test_reset_keeps_name_and_kind);
    add_for_kinds(reset, test_reset_again_and_again_does_not_grow);
    suite_add_tcase(suite, reset);
}

int
main(void)
{
    Suite *suite = suite_create("actions");

    add_actions(suite);
    return run_suite(suite);
}
