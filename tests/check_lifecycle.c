/* check_lifecycle.c: closing arenas, keeping them open, waiting to close
 * them, and the handles of closed arenas. */

#include <string.h>

#include "action_harness.h"

/* --- Close --- */

START_TEST(test_close_frees_and_restores_usage)
{
    arena_usage_t before = usage_now();

    open_kind(_i);
    for (size_t size = 0; size < 300000; size += 7777)
        expect_ok(arena_alloc(arena, size));
    expect_ok(arena_alloc(arena, 40 * MIB));
    expect_ok(arena_close(arena));
    ck_assert(!arena_is_alive(arena));
    ck_assert(!arena_is_accessible(arena));
    ck_assert_uint_eq(arena_bytes(arena), 0);
    expect_usage(before);
}
END_TEST

START_TEST(test_close_empty_arena_works)
{
    arena_usage_t before = usage_now();

    open_kind(_i);
    expect_ok(arena_close(arena));
    expect_usage(before);
}
END_TEST

START_TEST(test_close_null_does_nothing)
{
    arena_usage_t before = usage_now();

    expect_ok(arena_close(NULL));
    expect_ok(arena_close_wait(NULL, -1));
    expect_ok(arena_close_wait(NULL, 0));
    expect_usage(before);
}
END_TEST

START_TEST(test_close_twice_fails_estale_unchanged)
{
    arena_usage_t before;

    open_kind(_i);
    expect_ok(arena_on_close(arena, note, &numbers[1]));
    expect_ok(arena_close(arena));
    before = usage_now();
    expect_fail(arena_close(arena), ESTALE, "");
    expect_fail(arena_close_wait(arena, 0), ESTALE, "");
    expect_fail(arena_close_wait(arena, -1), ESTALE, "");
    expect_fail(arena_reset(arena), ESTALE, "");
    expect_usage(before);
    ck_assert_uint_eq(ran_count, 1);
}
END_TEST

START_TEST(test_close_acquired_fails_ebusy_with_count)
{
    arena_usage_t before;
    char *block;

    open_kind(_i);
    expect_ok(block = arena_alloc(arena, 1000));
    fill_block(block, 1000, 1);
    expect_ok(arena_on_close(arena, note, &numbers[1]));
    for (size_t i = 0; i < 7; i++)
        expect_ok(arena_acquire(arena));
    before = usage_now();
    expect_fail(arena_close(arena), EBUSY, "7");
    expect_fail(arena_reset(arena), EBUSY, "7");
    expect_usage(before);
    ck_assert(arena_is_alive(arena));
    ck_assert(block_holds(block, 1000, 1));
    ck_assert_uint_eq(ran_count, 0);
    expect_ok(arena_alloc(arena, 100));
    for (size_t i = 0; i < 7; i++)
        expect_ok(arena_release(arena));
    expect_ok(arena_close(arena));
    ck_assert_uint_eq(ran_count, 1);
}
END_TEST

START_TEST(test_close_handle_answers_estale_for_64_more)
{
    static arena_t *handles[3000];

    for (size_t i = 0; i < LENGTH(handles); i++) {
        handles[i] = arena_open(kinds[_i], NULL);
        if (handles[i] == NULL || arena_alloc(handles[i], 8) == NULL)
            ck_abort_msg("arena %zu: %s", i, arena_error());
        for (size_t back = 1; back <= 64 && back <= i; back++)
            if (handles[i - back] == handles[i]
                || arena_is_alive(handles[i - back])
                || arena_alloc(handles[i - back], 8) != NULL
                || errno != ESTALE)
                ck_abort_msg("arena %zu, %zu back", i, back);
        ck_assert_int_eq(arena_close(handles[i]), 0);
        if (arena_close(handles[i]) != -1 || errno != ESTALE)
            ck_abort_msg("arena %zu is closed twice", i);
    }
}
END_TEST

START_TEST(test_close_many_open_in_any_order_works)
{
    static arena_t *open[500];
    arena_usage_t before = usage_now();
    uint64_t random = 3;

    memset(open, 0, sizeof open);
    for (size_t step = 0; step < 20000; step++) {
        size_t i = random_below(&random, LENGTH(open));

        if (open[i] == NULL)
            open[i] = arena_open(kinds[step % 2], NULL);
        else if (random_below(&random, 4) != 0)
            ck_assert_ptr_nonnull(
                arena_alloc(open[i], random_below(&random, 5000)));
        else {
            ck_assert_int_eq(arena_close(open[i]), 0);
            open[i] = NULL;
        }
    }
    for (size_t i = 0; i < LENGTH(open); i++)
        ck_assert_int_eq(arena_close(open[i]), 0);
    expect_usage(before);
}
END_TEST

/* --- Acquire and release --- */

START_TEST(test_acquire_nests_and_release_undoes_one)
{
    open_kind(_i);
    expect_ok(arena_acquire(arena));
    expect_ok(arena_acquire(arena));
    expect_ok(arena_acquire(arena));
    expect_fail(arena_close(arena), EBUSY, "3");
    expect_ok(arena_release(arena));
    expect_fail(arena_close(arena), EBUSY, "2");
    expect_ok(arena_acquire(arena));
    expect_fail(arena_close(arena), EBUSY, "3");
    expect_ok(arena_release(arena));
    expect_ok(arena_release(arena));
    expect_fail(arena_close(arena), EBUSY, "1");
    expect_ok(arena_release(arena));
    expect_ok(arena_close(arena));
}
END_TEST

START_TEST(test_release_without_acquire_fails_einval_unchanged)
{
    arena_usage_t before;

    open_kind(_i);
    before = usage_now();
    expect_fail(arena_release(arena), EINVAL, "");
    expect_fail(arena_release(arena), EINVAL, "");
    expect_ok(arena_acquire(arena));
    expect_fail(arena_close(arena), EBUSY, "1");
    expect_ok(arena_release(arena));
    expect_fail(arena_release(arena), EINVAL, "");
    expect_usage(before);
    expect_ok(arena_close(arena));
    expect_fail(arena_release(arena), EINVAL, "");
}
END_TEST

START_TEST(test_release_by_other_threads_works)
{
    struct answer answer;

    open_kind(_i);
    expect_ok(arena_acquire(arena));
    expect_ok(arena_acquire(arena));
    answer = ask_in_thread(arena_release, arena);
    expect_success(&answer);
    expect_fail(arena_close(arena), EBUSY, "1");
    answer = ask_in_thread(arena_release, arena);
    expect_success(&answer);
    answer = ask_in_thread(arena_release, arena);
    expect_answer(&answer, EINVAL, "");
    expect_fail(arena_release(arena), EINVAL, "");
    expect_ok(arena_close(arena));
}
END_TEST

START_TEST(test_acquire_by_several_threads_adds_up)
{
    struct answer answer;

    open_kind(1);
    expect_ok(arena_acquire(arena));
    for (size_t i = 0; i < 4; i++) {
        answer = ask_in_thread(arena_acquire, arena);
        expect_success(&answer);
    }
    expect_fail(arena_close(arena), EBUSY, "5");
    for (size_t i = 0; i < 5; i++)
        expect_ok(arena_release(arena));
    expect_fail(arena_release(arena), EINVAL, "");
    expect_ok(arena_close(arena));
}
END_TEST

START_TEST(test_acquire_closed_fails_estale)
{
    open_kind(_i);
    expect_ok(arena_close(arena));
    expect_fail(arena_acquire(arena), ESTALE, "");
}
END_TEST

/* --- Close, waiting --- */

START_TEST(test_close_wait_free_arena_closes_at_once)
{
    static const int timeouts[] = {0, 1, 5000, -1};
    uint64_t start = clock_ns();

    for (size_t i = 0; i < LENGTH(timeouts); i++) {
        open_kind(_i);
        expect_ok(arena_alloc(arena, 100));
        expect_ok(arena_close_wait(arena, timeouts[i]));
        ck_assert(!arena_is_alive(arena));
    }
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 2000 * MS_NS);
}
END_TEST

START_TEST(test_close_wait_self_held_fails_ebusy_at_once)
{
    static const int timeouts[] = {0, 5000, -1};
    uint64_t start = clock_ns();
    arena_usage_t before;

    open_kind(_i);
    expect_ok(arena_acquire(arena));
    expect_ok(arena_acquire(arena));
    before = usage_now();
    for (size_t i = 0; i < LENGTH(timeouts); i++)
        expect_fail(arena_close_wait(arena, timeouts[i]), EBUSY, "2");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 2000 * MS_NS);
    expect_usage(before);
    ck_assert(arena_is_alive(arena));
    expect_ok(arena_acquire(arena));
    for (size_t i = 0; i < 3; i++)
        expect_ok(arena_release(arena));
    expect_ok(arena_close_wait(arena, 0));
}
END_TEST

START_TEST(test_close_wait_time_over_fails_etimedout_unchanged)
{
    arena_usage_t before;
    struct answer answer;
    uint64_t start, took;

    open_kind(1);
    expect_ok(arena_on_close(arena, note, &numbers[1]));
    answer = ask_in_thread(arena_acquire, arena);
    expect_success(&answer);
    before = usage_now();
    start = clock_ns();
    expect_fail(arena_close_wait(arena, 60), ETIMEDOUT, "");
    took = clock_ns() - start;
    ck_assert_uint_ge(took, 59 * MS_NS);
    ck_assert_uint_lt(took, test_patience() * 2000 * MS_NS);
    expect_usage(before);
    ck_assert(arena_is_alive(arena));
    ck_assert_uint_eq(ran_count, 0);
    expect_ok(arena_alloc(arena, 8));
    expect_ok(arena_acquire(arena));
    expect_fail(arena_close(arena), EBUSY, "2");
    expect_ok(arena_release(arena));
    expect_ok(arena_release(arena));
    expect_ok(arena_close_wait(arena, 60));
}
END_TEST

START_TEST(test_close_wait_zero_does_not_wait)
{
    struct answer answer;
    uint64_t start;

    open_kind(1);
    answer = ask_in_thread(arena_acquire, arena);
    expect_success(&answer);
    start = clock_ns();
    expect_fail(arena_close_wait(arena, 0), ETIMEDOUT, "");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 1000 * MS_NS);
    expect_ok(arena_release(arena));
    expect_ok(arena_close(arena));
}
END_TEST

/* A thread that waits to close the arena. */
struct waiter {
    int timeout_ms;
    struct answer answer;
    uint64_t took;
};

static void *
wait_to_close(void *arg)
{
    struct waiter *waiter = arg;
    uint64_t start = clock_ns();

    record_answer(&waiter->answer,
                  arena_close_wait(arena, waiter->timeout_ms));
    waiter->took = clock_ns() - start;
    return NULL;
}

/* Wait until a thread is inside arena_close_wait: acquires are refused. */
static void
await_waiter(void)
{
    uint64_t deadline = clock_ns() + test_patience() * 3000 * MS_NS;

    while (arena_acquire(arena) == 0) {
        arena_release(arena);
        if (clock_ns() > deadline)
            ck_abort_msg("acquires go on while a thread waits to close");
        sleep_ms(1);
    }
    ck_assert_int_eq(errno, EBUSY);
}

START_TEST(test_close_wait_arena_stays_usable_meanwhile)
{
    struct waiter waiter = {.timeout_ms = _i == 0 ? -1 : 60000};
    struct answer answer;
    pthread_t thread;

    open_kind(1);
    expect_ok(arena_acquire(arena));
    thread = start_thread(wait_to_close, &waiter);
    await_waiter();
    ck_assert(arena_is_alive(arena));
    ck_assert(arena_is_accessible(arena));
    for (size_t i = 0; i < 1000; i++)
        expect_ok(arena_alloc(arena, 500));
    expect_ok(arena_on_close(arena, note, &numbers[3]));
    expect_fail(arena_acquire(arena), EBUSY, "");
    answer = ask_in_thread(arena_acquire, arena);
    expect_answer(&answer, EBUSY, "");
    ck_assert_uint_eq(ran_count, 0);
    expect_ok(arena_release(arena));
    join_thread(thread);
    expect_success(&waiter.answer);
    ck_assert(!arena_is_alive(arena));
    ck_assert_uint_eq(ran_count, 1);
}
END_TEST

START_TEST(test_close_wait_of_two_waiters_one_closes)
{
    struct waiter first = {.timeout_ms = -1}, second = first;
    struct answer answer;
    pthread_t threads[2];

    open_kind(1);
    expect_ok(arena_acquire(arena));
    threads[0] = start_thread(wait_to_close, &first);
    await_waiter();
    threads[1] = start_thread(wait_to_close, &second);
    answer = ask_in_thread(arena_close, arena);
    expect_answer(&answer, EBUSY, "1");
    ck_assert(arena_is_alive(arena));
    expect_ok(arena_release(arena));
    join_thread(threads[0]);
    join_thread(threads[1]);
    if (!first.answer.failed) {
        expect_success(&first.answer);
        expect_answer(&second.answer, ESTALE, "");
    } else {
        expect_success(&second.answer);
        expect_answer(&first.answer, ESTALE, "");
    }
}
END_TEST

START_TEST(test_close_wait_release_wakes_waiter)
{
    struct waiter waiter = {.timeout_ms = 20000};
    pthread_t thread;
    uint64_t released;

    open_kind(1);
    expect_ok(arena_acquire(arena));
    expect_ok(arena_acquire(arena));
    thread = start_thread(wait_to_close, &waiter);
    await_waiter();
    sleep_ms(30);
    expect_ok(arena_release(arena));
    sleep_ms(30);
    ck_assert(arena_is_alive(arena));
    released = clock_ns();
    expect_ok(arena_release(arena));
    join_thread(thread);
    ck_assert_uint_lt(clock_ns() - released, test_patience() * 2000 * MS_NS);
    expect_success(&waiter.answer);
    ck_assert_uint_ge(waiter.took, 50 * MS_NS);
}
END_TEST

START_TEST(test_close_wait_given_up_lets_acquires_in_again)
{
    struct waiter waiter = {.timeout_ms = 100};

    open_kind(1);
    expect_ok(arena_acquire(arena));
    run_in_thread(wait_to_close, &waiter);
    expect_answer(&waiter.answer, ETIMEDOUT, "");
    expect_ok(arena_acquire(arena));
    expect_ok(arena_release(arena));
    expect_ok(arena_release(arena));
    expect_ok(arena_close(arena));
}
END_TEST

static void *
leave_acquired(void *arg)
{
    struct answer *answer = arg;
    arena_t *left = arena_confined();

    record_answer(answer, arena_acquire(left));
    return left;
}

START_TEST(test_close_wait_adopted_waits_for_earlier_owner)
{
    struct answer acquired;

    arena = run_in_thread(leave_acquired, &acquired);
    expect_success(&acquired);
    expect_ok(arena_adopt(arena));
    expect_fail(arena_close_wait(arena, 20), ETIMEDOUT, "");
    ck_assert(arena_is_accessible(arena));
    expect_ok(arena_release(arena));
    expect_ok(arena_close_wait(arena, 20));
}
END_TEST

static void
add_closing(Suite *suite)
{
    TCase *closing = tcase_create("close");
    TCase *acquire = tcase_create("acquire");

    tcase_add_checked_fixture(closing, setup_actions, NULL);
    add_for_kinds(closing, test_close_frees_and_restores_usage);
    add_for_kinds(closing, test_close_empty_arena_works);
    tcase_add_test(closing, test_close_null_does_nothing);
    add_for_kinds(closing, test_close_twice_fails_estale_unchanged);
    add_for_kinds(closing, test_close_acquired_fails_ebusy_with_count);
    add_for_kinds(closing, test_close_handle_answers_estale_for_64_more);
    tcase_add_test(closing, test_close_many_open_in_any_order_works);
    suite_add_tcase(suite, closing);

    tcase_add_checked_fixture(acquire, setup_actions, NULL);
    add_for_kinds(acquire, test_acquire_nests_and_release_undoes_one);
    add_for_kinds(acquire,
                  test_release_without_acquire_fails_einval_unchanged);
    add_for_kinds(acquire, test_release_by_other_threads_works);
    tcase_add_test(acquire, test_acquire_by_several_threads_adds_up);
    add_for_kinds(acquire, test_acquire_closed_fails_estale);
    suite_add_tcase(suite, acquire);
}

static void
add_waiting(Suite *suite)
{
    TCase *waiting = tcase_create("close_wait");

    tcase_add_checked_fixture(waiting, setup_actions, NULL);
    tcase_set_timeout(waiting, 20);
    add_for_kinds(waiting, test_close_wait_free_arena_closes_at_once);
    add_for_kinds(waiting, test_close_wait_self_held_fails_ebusy_at_once);
    tcase_add_test(waiting,
                   test_close_wait_time_over_fails_etimedout_unchanged);
    tcase_add_test(waiting, test_close_wait_zero_does_not_wait);
    tcase_add_loop_test(waiting, test_close_wait_arena_stays_usable_meanwhile,
                        0, 2);
    tcase_add_test(waiting, test_close_wait_of_two_waiters_one_closes);
    tcase_add_test(waiting, test_close_wait_release_wakes_waiter);
    tcase_add_test(waiting, test_close_wait_given_up_lets_acquires_in_again);
    tcase_add_test(waiting, test_close_wait_adopted_waits_for_earlier_owner);
    suite_add_tcase(suite, waiting);
}

int
main(void)
{
    Suite *suite = suite_create("lifecycle");

    add_closing(suite);
    add_waiting(suite);
    return run_suite(suite);
}
