/* check_scope.c: arenas that close with a block of the program. */

#include <string.h>

#include "harness.h"

/* How many arenas were closed, and the last one that was seen open. */
static int closed;
static arena_t *seen;

static void
count_close(void *arg)
{
    (void)arg;
    closed++;
}

/* A confined arena that counts its close. */
static arena_t *
open_counted(void)
{
    arena_t *arena = arena_confined();

    if (arena == NULL || arena_on_close(arena, count_close, NULL) != 0)
        ck_abort_msg("%s", arena_error());
    seen = arena;
    return arena;
}

static arena_t *
open_nothing(void)
{
    errno = ENOMEM;
    return NULL;
}

static arena_usage_t before;

static void
setup(void)
{
    closed = 0;
    before = usage_now();
}

static void
teardown(void)
{
    expect_usage(before);
}

/* --- ARENA_AUTOCLOSE --- */

START_TEST(test_autoclose_end_of_block_closes)
{
    {
        arena_t *a ARENA_AUTOCLOSE = open_counted();

        expect_ok(arena_alloc(a, 100));
        ck_assert_int_eq(closed, 0);
    }
    ck_assert_int_eq(closed, 1);
    ck_assert(!arena_is_alive(seen));
}
END_TEST

static int
return_early(int value)
{
    arena_t *a ARENA_AUTOCLOSE = open_counted();
    int *copy = arena_memdup(a, &value, sizeof value);

    if (copy == NULL)
        return -1;
    if (*copy > 10)
        return *copy;
    return 0;
}

START_TEST(test_autoclose_return_closes_after_value)
{
    ck_assert_int_eq(return_early(42), 42);
    ck_assert_int_eq(closed, 1);
    ck_assert_int_eq(return_early(1), 0);
    ck_assert_int_eq(closed, 2);
}
END_TEST

START_TEST(test_autoclose_break_and_continue_close)
{
    for (int i = 0; i < 10; i++) {
        arena_t *a ARENA_AUTOCLOSE = open_counted();

        ck_assert_int_eq(closed, i);
        expect_ok(arena_alloc(a, 8));
        if (i == 2)
            break;
        if (i == 1)
            continue;
    }
    ck_assert_int_eq(closed, 3);
}
END_TEST

static int
leave_by_goto(void)
{
    int rounds = 0;

    for (;;) {
        arena_t *a ARENA_AUTOCLOSE = open_counted();

        if (++rounds == 4 && arena_alloc(a, 8) != NULL)
            goto out;
    }
out:
    return closed;
}

START_TEST(test_autoclose_goto_closes)
{
    ck_assert_int_eq(leave_by_goto(), 4);
}
END_TEST

START_TEST(test_autoclose_nested_closes_inner_first)
{
    arena_t *outer ARENA_AUTOCLOSE = open_counted();

    {
        arena_t *inner ARENA_AUTOCLOSE = open_counted();

        expect_ok(arena_alloc(inner, 8));
    }
    ck_assert_int_eq(closed, 1);
    ck_assert(arena_is_alive(outer));
    expect_ok(arena_close(outer));
    outer = NULL;
}
END_TEST

START_TEST(test_autoclose_null_does_nothing)
{
    errno = ERRNO_UNTOUCHED;
    {
        arena_t *a ARENA_AUTOCLOSE = NULL;

        (void)a;
    }
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
}
END_TEST

static void
close_in_scope(bool by_hand)
{
    arena_t *a ARENA_AUTOCLOSE = open_counted();

    if (by_hand)
        (void)arena_close(a);
    errno = ERRNO_UNTOUCHED;
}

START_TEST(test_autoclose_keeps_errno)
{
    close_in_scope(false);
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    ck_assert_int_eq(closed, 1);
    close_in_scope(true);
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    ck_assert_int_eq(closed, 2);
}
END_TEST

static void
spoil_errno(void *arg)
{
    (void)arg;
    errno = EIO;
}

static void
close_spoiling(void)
{
    arena_t *a ARENA_AUTOCLOSE = open_counted();

    (void)arena_on_close(a, spoil_errno, NULL);
    errno = ERRNO_UNTOUCHED;
}

START_TEST(test_autoclose_keeps_errno_from_actions)
{
    close_spoiling();
    ck_assert_int_eq(closed, 1);
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
}
END_TEST

START_TEST(test_autoclose_shared_closes)
{
    {
        arena_t *a ARENA_AUTOCLOSE = arena_shared();

        seen = a;
        expect_ok(arena_alloc(a, 100));
    }
    ck_assert(!arena_is_alive(seen));
}
END_TEST

/* --- ARENA_WITH --- */

START_TEST(test_with_runs_once_and_closes)
{
    int runs = 0;

    ARENA_WITH(a, open_counted()) {
        runs++;
        ck_assert_int_eq(closed, 0);
        ck_assert(arena_is_alive(a));
        expect_ok(arena_alloc(a, 100));
    }
    ck_assert_int_eq(runs, 1);
    ck_assert_int_eq(closed, 1);
    ck_assert(!arena_is_alive(seen));
}
END_TEST

START_TEST(test_with_failed_open_skips_block)
{
    int runs = 0;

    ARENA_WITH(a, open_nothing()) {
        runs++;
        (void)a;
    }
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_int_eq(runs, 0);
    ck_assert_int_eq(closed, 0);
}
END_TEST

START_TEST(test_with_break_leaves_block_only)
{
    int after = 0;

    for (int i = 0; i < 5; i++) {
        ARENA_WITH(a, open_counted()) {
            if (arena_is_alive(a))
                break;
            ck_abort_msg("break did not leave the block");
        }
        after++;
    }
    ck_assert_int_eq(after, 5);
    ck_assert_int_eq(closed, 5);
}
END_TEST

START_TEST(test_with_continue_leaves_block_only)
{
    int after = 0;

    for (int i = 0; i < 5; i++) {
        ARENA_WITH(a, open_counted()) {
            if (arena_is_alive(a))
                continue;
            ck_abort_msg("continue did not leave the block");
        }
        after++;
    }
    ck_assert_int_eq(after, 5);
    ck_assert_int_eq(closed, 5);
}
END_TEST

static int
return_from_with(void)
{
    ARENA_WITH(a, open_counted()) {
        int *number = arena_new(a, int);

        if (number == NULL)
            return -1;
        *number = 17;
        return *number;
    }
    return 0;
}

START_TEST(test_with_return_closes_after_value)
{
    ck_assert_int_eq(return_from_with(), 17);
    ck_assert_int_eq(closed, 1);
}
END_TEST

START_TEST(test_with_nested_closes_inner_first)
{
    ARENA_WITH(outer, open_counted()) {
        ARENA_WITH(middle, open_counted()) {
            ARENA_WITH(inner, open_counted()) {
                ck_assert_int_eq(closed, 0);
                expect_ok(arena_alloc(inner, 8));
            }
            ck_assert_int_eq(closed, 1);
            expect_ok(arena_alloc(middle, 8));
        }
        ck_assert_int_eq(closed, 2);
        expect_ok(arena_alloc(outer, 8));
        ARENA_WITH(second, open_counted()) {
            expect_ok(arena_alloc(second, 8));
        }
        ck_assert_int_eq(closed, 3);
    }
    ck_assert_int_eq(closed, 4);
}
END_TEST

START_TEST(test_with_break_of_inner_stays_in_outer)
{
    int reached = 0;

    ARENA_WITH(outer, open_counted()) {
        ARENA_WITH(inner, open_counted()) {
            if (arena_is_alive(inner))
                break;
        }
        ck_assert_int_eq(closed, 1);
        ck_assert(arena_is_alive(outer));
        reached = 1;
    }
    ck_assert_int_eq(reached, 1);
    ck_assert_int_eq(closed, 2);
}
END_TEST

START_TEST(test_with_keeps_errno)
{
    ARENA_WITH(a, open_counted()) {
        (void)arena_on_close(a, spoil_errno, NULL);
        errno = ERRNO_UNTOUCHED;
    }
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    ck_assert_int_eq(closed, 1);
}
END_TEST

START_TEST(test_with_one_statement_needs_no_braces)
{
    char *text = NULL;
    size_t length = 0;

    if (closed == 0)
        ARENA_WITH(a, open_counted())
            if ((text = arena_strdup(a, "four")) != NULL)
                length = strlen(text);
    ck_assert_uint_eq(length, 4);
    ck_assert_int_eq(closed, 1);
}
END_TEST

START_TEST(test_with_closed_by_hand_is_left_quietly)
{
    ARENA_WITH(a, open_counted()) {
        expect_ok(arena_close(a));
        errno = ERRNO_UNTOUCHED;
    }
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    ck_assert_int_eq(closed, 1);
}
END_TEST

static Suite *
scope_suite(void)
{
    Suite *suite = suite_create("scope");
    TCase *autoclose = tcase_create("autoclose");
    TCase *with = tcase_create("with");

    tcase_add_checked_fixture(autoclose, setup, teardown);
    tcase_add_test(autoclose, test_autoclose_end_of_block_closes);
    tcase_add_test(autoclose, test_autoclose_return_closes_after_value);
    tcase_add_test(autoclose, test_autoclose_break_and_continue_close);
    tcase_add_test(autoclose, test_autoclose_goto_closes);
    tcase_add_test(autoclose, test_autoclose_nested_closes_inner_first);
    tcase_add_test(autoclose, test_autoclose_null_does_nothing);
    tcase_add_test(autoclose, test_autoclose_keeps_errno);
    tcase_add_test(autoclose, test_autoclose_keeps_errno_from_actions);
    tcase_add_test(autoclose, test_autoclose_shared_closes);
    suite_add_tcase(suite, autoclose);

    tcase_add_checked_fixture(with, setup, teardown);
    tcase_add_test(with, test_with_runs_once_and_closes);
    tcase_add_test(with, test_with_failed_open_skips_block);
    tcase_add_test(with, test_with_break_leaves_block_only);
    tcase_add_test(with, test_with_continue_leaves_block_only);
    tcase_add_test(with, test_with_return_closes_after_value);
    tcase_add_test(with, test_with_nested_closes_inner_first);
    tcase_add_test(with, test_with_break_of_inner_stays_in_outer);
    tcase_add_test(with, test_with_keeps_errno);
    tcase_add_test(with, test_with_one_statement_needs_no_braces);
    tcase_add_test(with, test_with_closed_by_hand_is_left_quietly);
    suite_add_tcase(suite, with);
    return suite;
}

int
main(void)
{
    return run_suite(scope_suite());
}
