/* check_owner.c: who may use a confined arena, how faults are ordered and
 * told, and taking over the arena of a thread that has ended. */

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena_harness.h"

/* --- Calls about an arena --- */

static int
call_alloc(arena_t *a)
{
    return arena_alloc(a, 8) != NULL ? 0 : -1;
}

static int
call_aligned(arena_t *a)
{
    return arena_alloc_aligned(a, 8, 64) != NULL ? 0 : -1;
}

static int
call_array(arena_t *a)
{
    return arena_alloc_array(a, 2, 8) != NULL ? 0 : -1;
}

static int
call_uninit(arena_t *a)
{
    return arena_alloc_uninit(a, 8) != NULL ? 0 : -1;
}

static int
call_memdup(arena_t *a)
{
    return arena_memdup(a, "x", 1) != NULL ? 0 : -1;
}

static int
call_strdup(arena_t *a)
{
    return arena_strdup(a, "x") != NULL ? 0 : -1;
}

static int
call_strndup(arena_t *a)
{
    return arena_strndup(a, "xyz", 2) != NULL ? 0 : -1;
}

static int
call_printf(arena_t *a)
{
    return arena_printf(a, "%d", 1) != NULL ? 0 : -1;
}

static int
call_resize(arena_t *a)
{
    return arena_resize(a, NULL, 0, 8) != NULL ? 0 : -1;
}

static int
call_mark(arena_t *a)
{
    arena_mark_t mark;

    return arena_mark(a, &mark);
}

static int
call_on_close(arena_t *a)
{
    return arena_on_close(a, do_nothing, NULL);
}

static int
call_close_wait(arena_t *a)
{
    return arena_close_wait(a, 0);
}

static int
call_huge_alloc(arena_t *a)
{
    return arena_alloc(a, opaque_size(SIZE_MAX)) != NULL ? 0 : -1;
}

static int
call_huge_array(arena_t *a)
{
    size_t huge = opaque_size(SIZE_MAX);

    return arena_alloc_array(a, huge, huge) != NULL ? 0 : -1;
}

static int
call_bad_aligned(arena_t *a)
{
    return arena_alloc_aligned(a, 8, 3) != NULL ? 0 : -1;
}

static int
call_bad_memdup(arena_t *a)
{
    const void *volatile none = NULL;

    return arena_memdup(a, none, 1) != NULL ? 0 : -1;
}

static int
call_bad_strdup(arena_t *a)
{
    const char *volatile none = NULL;

    return arena_strdup(a, none) != NULL ? 0 : -1;
}

static int
call_bad_on_close(arena_t *a)
{
    return arena_on_close(a, NULL, NULL);
}

static int
call_bad_mark(arena_t *a)
{
    return arena_mark(a, NULL);
}

static int
call_bad_rewind(arena_t *a)
{
    arena_mark_t invented = {0, 0};

    return arena_rewind(a, invented);
}

static int
call_child(arena_t *parent)
{
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.parent = parent;
    return arena_open(ARENA_CONFINED, &options) != NULL ? 0 : -1;
}

/* Calls that only the owner may make, and only while the arena is open. */
static int (*const owners_calls[])(arena_t *) = {
    call_alloc,      call_aligned,    call_array,    call_uninit,
    call_memdup,     call_strdup,     call_strndup,  call_printf,
    call_resize,     call_mark,       call_on_close, call_child,
    arena_close,     call_close_wait, arena_reset,   arena_acquire,
    call_huge_alloc, call_huge_array,
};

/* Calls with a bad argument, whoever makes them and whenever. */
static int (*const bad_calls[])(arena_t *) = {
    call_bad_aligned,  call_bad_memdup, call_bad_strdup,
    call_bad_on_close, call_bad_mark,
};

/* --- Wrong thread --- */

START_TEST(test_call_by_other_thread_fails_eperm_unchanged)
{
    struct answer answer;
    arena_usage_t before;
    size_t bytes;
    char *block;

    expect_ok(block = arena_alloc(arena, 100));
    fill_block(block, 100, 1);
    before = usage_now();
    bytes = arena_bytes(arena);
    answer = ask_in_thread(owners_calls[_i], arena);
    expect_answer(&answer, EPERM, "");
    expect_usage(before);
    ck_assert(arena_is_alive(arena));
    ck_assert_uint_eq(arena_bytes(arena), bytes);
    ck_assert(block_holds(block, 100, 1));
    expect_ok(arena_alloc(arena, 100));
    expect_ok(arena_close(arena));
}
END_TEST

/* What another thread may know about a confined arena. */
struct view {
    char *block;
    bool alive, accessible, found;
    arena_kind_t kind;
    size_t bytes;
    char name[8];
};

static void *
look(void *arg)
{
    struct view *view = arg;

    view->alive = arena_is_alive(arena);
    view->accessible = arena_is_accessible(arena);
    view->found = arena_of(view->block) == arena;
    view->kind = arena_kind(arena);
    view->bytes = arena_bytes(arena);
    snprintf(view->name, sizeof view->name, "%s", arena_name(arena));
    return NULL;
}

START_TEST(test_questions_by_other_thread_are_answered)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    struct view view = {.accessible = true, .kind = ARENA_GLOBAL};

    expect_ok(arena_close(arena));
    options.name = "a name";
    expect_ok(arena = arena_open(ARENA_CONFINED, &options));
    expect_ok(view.block = arena_alloc(arena, 100));
    run_in_thread(look, &view);
    ck_assert(view.alive);
    ck_assert(!view.accessible);
    ck_assert(view.found);
    ck_assert_int_eq(view.kind, ARENA_CONFINED);
    ck_assert_uint_eq(view.bytes, arena_bytes(arena));
    ck_assert_str_eq(view.name, "a name");
}
END_TEST

START_TEST(test_parent_of_other_thread_fails_eperm)
{
    struct answer answer;

    answer = ask_in_thread(call_child, arena);
    expect_answer(&answer, EPERM, "");
    expect_ok(arena_close(arena));
    answer = ask_in_thread(call_child, arena);
    expect_answer(&answer, EPERM, "");
}
END_TEST

/* --- Closed --- */

START_TEST(test_call_on_closed_arena_fails_estale_unchanged)
{
    arena_usage_t before;

    expect_ok(arena_alloc(arena, 100));
    expect_ok(arena_close(arena));
    before = usage_now();
    expect_fail(owners_calls[_i](arena), ESTALE, "");
    expect_usage(before);
    ck_assert(!arena_is_alive(arena));
    ck_assert(!arena_is_accessible(arena));
    ck_assert_uint_eq(arena_bytes(arena), 0);
}
END_TEST

START_TEST(test_call_on_closed_arena_by_other_thread_fails_eperm)
{
    struct answer answer;

    expect_ok(arena_close(arena));
    answer = ask_in_thread(owners_calls[_i], arena);
    expect_answer(&answer, EPERM, "");
}
END_TEST

/* --- Order of faults --- */

START_TEST(test_bad_argument_is_told_before_anything_else)
{
    struct answer answer;

    expect_fail(bad_calls[_i](arena), EINVAL, "");
    answer = ask_in_thread(bad_calls[_i], arena);
    expect_answer(&answer, EINVAL, "");
    expect_ok(arena_close(arena));
    expect_fail(bad_calls[_i](arena), EINVAL, "");
    answer = ask_in_thread(bad_calls[_i], arena);
    expect_answer(&answer, EINVAL, "");
}
END_TEST

START_TEST(test_bad_mark_by_other_thread_fails_einval)
{
    struct answer answer = ask_in_thread(call_bad_rewind, arena);

    expect_answer(&answer, EINVAL, "");
}
END_TEST

START_TEST(test_bad_argument_is_told_before_kind)
{
    expect_fail(arena_on_close(arena_global(), NULL, NULL), EINVAL, "");
    expect_fail(arena_on_close(arena_implicit(), NULL, NULL), EINVAL, "");
    expect_fail(arena_mark(arena_global(), NULL), EINVAL, "");
}
END_TEST

START_TEST(test_kind_is_told_before_closed)
{
    arena_t *shared = arena_shared();
    arena_mark_t mark;

    expect_ok(arena_close(shared));
    expect_fail(arena_adopt(shared), ENOTSUP, "");
    expect_fail(arena_mark(shared, &mark), ENOTSUP, "");
}
END_TEST

START_TEST(test_wrong_thread_is_told_before_acquired)
{
    struct answer answer;

    expect_ok(arena_acquire(arena));
    answer = ask_in_thread(arena_close, arena);
    expect_answer(&answer, EPERM, "");
    answer = ask_in_thread(arena_reset, arena);
    expect_answer(&answer, EPERM, "");
    expect_ok(arena_release(arena));
}
END_TEST

START_TEST(test_null_arena_fails_einval)
{
    arena_usage_t before = usage_now();

    expect_fail(arena_reset(NULL), EINVAL, "");
    expect_fail(arena_acquire(NULL), EINVAL, "");
    expect_fail(arena_release(NULL), EINVAL, "");
    expect_fail(arena_on_close(NULL, do_nothing, NULL), EINVAL, "");
    expect_fail(arena_adopt(NULL), EINVAL, "");
    expect_usage(before);
    ck_assert(!arena_is_alive(NULL));
    ck_assert(!arena_is_accessible(NULL));
    ck_assert_uint_eq(arena_bytes(NULL), 0);
}
END_TEST

/* --- Sentences --- */

static void *
fail_elsewhere(void *arg)
{
    bool *silent_first = arg;

    *silent_first = arena_error()[0] == '\0';
    (void)arena_alloc_aligned(arena_global(), 8, 3);
    return NULL;
}

START_TEST(test_error_is_of_this_threads_last_failure)
{
    bool silent_first = false;
    char sentence[256];

    expect_fail(arena_alloc(arena, opaque_size(SIZE_MAX)), ENOMEM, "");
    snprintf(sentence, sizeof sentence, "%s", arena_error());
    expect_ok(arena_alloc(arena, 8));
    run_in_thread(fail_elsewhere, &silent_first);
    ck_assert(silent_first);
    ck_assert_str_eq(arena_error(), sentence);
    expect_fail(arena_adopt(NULL), EINVAL, "");
    ck_assert_str_ne(arena_error(), sentence);
}
END_TEST

/* Let a descriptor lead into a file; returns where it led before. */
static int
redirect(int descriptor, FILE *file)
{
    int saved = dup(descriptor);

    ck_assert_int_ge(saved, 0);
    ck_assert_int_ge(dup2(fileno(file), descriptor), 0);
    return saved;
}

START_TEST(test_failures_print_nothing)
{
    FILE *file = tmpfile();
    int out, err;

    ck_assert_ptr_nonnull(file);
    fflush(NULL);
    out = redirect(STDOUT_FILENO, file);
    err = redirect(STDERR_FILENO, file);
    for (size_t i = 0; i < LENGTH(bad_calls); i++)
        (void)bad_calls[i](arena);
    (void)call_huge_alloc(arena);
    (void)arena_release(arena);
    (void)arena_close(arena);
    for (size_t i = 0; i < LENGTH(owners_calls); i++)
        (void)owners_calls[i](arena);
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    ck_assert_int_eq(lseek(fileno(file), 0, SEEK_END), 0);
    fclose(file);
}
END_TEST

/* --- Adopt --- */

/* Open an arena with a block, and end. */
static void *
leave_an_arena(void *arg)
{
    char **block = arg;
    arena_t *left = arena_confined();

    *block = arena_alloc(left, 1000);
    if (*block != NULL)
        fill_block(*block, 1000, 1);
    return left;
}

START_TEST(test_adopt_of_ended_thread_takes_over)
{
    arena_usage_t before = usage_now();
    char *block = NULL, *next;
    arena_t *left = run_in_thread(leave_an_arena, &block);

    ck_assert(arena_is_alive(left));
    ck_assert(!arena_is_accessible(left));
    expect_fail(arena_alloc(left, 8), EPERM, "");
    expect_fail(arena_close(left), EPERM, "");
    expect_ok(arena_adopt(left));
    ck_assert(arena_is_accessible(left));
    ck_assert(block_holds(block, 1000, 1));
    expect_ok(next = arena_alloc(left, 1000));
    ck_assert(block_is_zero(next, 1000));
    memset(next, 0xff, 1000);
    ck_assert(block_holds(block, 1000, 1));
    ck_assert_ptr_eq(arena_of(block), left);
    expect_ok(arena_close(left));
    expect_usage(before);
}
END_TEST

START_TEST(test_adopt_by_owner_changes_nothing)
{
    arena_usage_t before = usage_now();

    expect_ok(arena_adopt(arena));
    expect_ok(arena_adopt(arena));
    ck_assert(arena_is_accessible(arena));
    expect_usage(before);
}
END_TEST

START_TEST(test_adopt_of_living_owner_fails_eperm)
{
    struct answer answer = ask_in_thread(arena_adopt, arena);

    expect_answer(&answer, EPERM, "");
    ck_assert(arena_is_accessible(arena));
    expect_ok(arena_alloc(arena, 8));
}
END_TEST

START_TEST(test_adopt_other_kinds_fails_enotsup)
{
    arena_t *shared = arena_shared();

    expect_fail(arena_adopt(shared), ENOTSUP, "");
    expect_fail(arena_adopt(arena_global()), ENOTSUP, "");
    expect_fail(arena_adopt(arena_implicit()), ENOTSUP, "");
    expect_ok(arena_close(shared));
}
END_TEST

START_TEST(test_adopt_closed_fails_estale)
{
    struct answer answer;

    expect_ok(arena_close(arena));
    expect_fail(arena_adopt(arena), ESTALE, "");
    answer = ask_in_thread(arena_adopt, arena);
    expect_answer(&answer, EPERM, "");
}
END_TEST

START_TEST(test_adopt_twice_has_one_winner)
{
    char *block = NULL;
    arena_t *left = run_in_thread(leave_an_arena, &block);
    struct answer answer;

    expect_ok(arena_adopt(left));
    answer = ask_in_thread(arena_adopt, left);
    expect_answer(&answer, EPERM, "");
    expect_ok(arena_close(left));
}
END_TEST

START_TEST(test_adopt_is_needed_by_threads_with_a_recycled_id)
{
    char *block = NULL;
    arena_t *left = run_in_thread(leave_an_arena, &block);

    for (size_t i = 0; i < 50; i++) {
        struct answer answer = ask_in_thread(call_alloc, left);

        expect_answer(&answer, EPERM, "");
        answer = ask_in_thread(arena_close, left);
        expect_answer(&answer, EPERM, "");
    }
    expect_ok(arena_adopt(left));
    expect_ok(arena_close(left));
}
END_TEST

static void *
leave_an_acquired_arena(void *arg)
{
    struct answer *answer = arg;
    arena_t *left = arena_confined();

    record_answer(answer, arena_acquire(left));
    return left;
}

START_TEST(test_adopt_acquired_by_ended_thread_can_be_released)
{
    struct answer acquired;
    arena_t *left = run_in_thread(leave_an_acquired_arena, &acquired);

    expect_success(&acquired);
    expect_ok(arena_adopt(left));
    expect_fail(arena_close(left), EBUSY, "1");
    expect_ok(arena_alloc(left, 8));
    expect_ok(arena_release(left));
    expect_fail(arena_release(left), EINVAL, "");
    expect_ok(arena_close(left));
}
END_TEST

/* A thread that owns an arena until it is let go. */
struct lingering {
    pthread_barrier_t opened, leave;
    arena_t *arena;
};

static void *
linger(void *arg)
{
    struct lingering *lingering = arg;

    lingering->arena = arena_confined();
    barrier_wait(&lingering->opened);
    barrier_wait(&lingering->leave);
    return NULL;
}

/* In a forked child: 0 if the arenas of the thread that it does not have can
 * be adopted, and its own used; else the number of the step that failed. */
static int
check_child(arena_t *vanished)
{
    arena_t *own;

    if (arena_alloc(arena, 100) == NULL)
        return 1;
    if (arena_close(arena) != 0)
        return 2;
    if (arena_alloc(vanished, 8) != NULL || errno != EPERM)
        return 3;
    if (arena_adopt(vanished) != 0)
        return 4;
    if (arena_alloc(vanished, 100000) == NULL || arena_close(vanished) != 0)
        return 5;
    own = arena_shared();
    if (own == NULL || arena_alloc(own, 100) == NULL || arena_close(own) != 0)
        return 6;
    return 0;
}

START_TEST(test_adopt_after_fork_takes_arena_of_vanished_thread)
{
    static struct lingering lingering;
    pthread_t owner;
    int status = -1;
    pid_t child;

    barrier_init(&lingering.opened, 2);
    barrier_init(&lingering.leave, 2);
    owner = start_thread(linger, &lingering);
    barrier_wait(&lingering.opened);
    child = fork();
    if (child == 0)
        _exit(check_child(lingering.arena));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    expect_fail(arena_adopt(lingering.arena), EPERM, "");
    expect_ok(arena_alloc(arena, 8));
    barrier_wait(&lingering.leave);
    join_thread(owner);
    expect_ok(arena_adopt(lingering.arena));
    expect_ok(arena_close(lingering.arena));
}
END_TEST

/* --- The end of a thread --- */

/* An arena that a thread closes in its last moments. */
struct last_moment {
    pthread_key_t key;
    arena_t *arena;
    struct answer alloc, close;
};

static void
close_at_end(void *arg)
{
    struct last_moment *moment = arg;

    record_answer(&moment->alloc, arena_alloc(moment->arena, 100));
    record_answer(&moment->close, arena_close(moment->arena));
}

static void *
end_with_an_arena(void *arg)
{
    struct last_moment *moment = arg;

    moment->arena = arena_confined();
    (void)arena_alloc(moment->arena, 100);
    pthread_setspecific(moment->key, moment);
    return NULL;
}

START_TEST(test_owner_in_destructor_may_use_and_close)
{
    static struct last_moment moment;
    arena_usage_t before = usage_now();

    ck_assert_int_eq(pthread_key_create(&moment.key, close_at_end), 0);
    run_in_thread(end_with_an_arena, &moment);
    expect_success(&moment.alloc);
    expect_success(&moment.close);
    ck_assert(!arena_is_alive(moment.arena));
    expect_usage(before);
    pthread_key_delete(moment.key);
}
END_TEST

static void
add_faults(Suite *suite)
{
    TCase *thread = tcase_create("wrong_thread");
    TCase *closed = tcase_create("closed");
    TCase *order = tcase_create("order");
    int calls = (int)LENGTH(owners_calls);

    tcase_add_checked_fixture(thread, setup_confined, teardown_arena);
    tcase_add_loop_test(
        thread, test_call_by_other_thread_fails_eperm_unchanged, 0, calls);
    tcase_add_test(thread, test_questions_by_other_thread_are_answered);
    tcase_add_test(thread, test_parent_of_other_thread_fails_eperm);
    suite_add_tcase(suite, thread);

    tcase_add_checked_fixture(closed, setup_confined, teardown_arena);
    tcase_add_loop_test(
        closed, test_call_on_closed_arena_fails_estale_unchanged, 0, calls);
    tcase_add_loop_test(closed,
                        test_call_on_closed_arena_by_other_thread_fails_eperm,
                        0, calls);
    suite_add_tcase(suite, closed);

    tcase_add_checked_fixture(order, setup_confined, teardown_arena);
    tcase_add_loop_test(order, test_bad_argument_is_told_before_anything_else,
                        0, (int)LENGTH(bad_calls));
    tcase_add_test(order, test_bad_mark_by_other_thread_fails_einval);
    tcase_add_test(order, test_bad_argument_is_told_before_kind);
    tcase_add_test(order, test_kind_is_told_before_closed);
    tcase_add_test(order, test_wrong_thread_is_told_before_acquired);
    tcase_add_test(order, test_null_arena_fails_einval);
    suite_add_tcase(suite, order);
}

static void
add_ownership(Suite *suite)
{
    TCase *error = tcase_create("error");
    TCase *adopt = tcase_create("adopt");

    tcase_add_checked_fixture(error, setup_confined, teardown_arena);
    tcase_add_test(error, test_error_is_of_this_threads_last_failure);
    tcase_add_test(error, test_failures_print_nothing);
    suite_add_tcase(suite, error);

    tcase_add_checked_fixture(adopt, setup_confined, teardown_arena);
    tcase_add_test(adopt, test_adopt_of_ended_thread_takes_over);
    tcase_add_test(adopt, test_adopt_by_owner_changes_nothing);
    tcase_add_test(adopt, test_adopt_of_living_owner_fails_eperm);
    tcase_add_test(adopt, test_adopt_other_kinds_fails_enotsup);
    tcase_add_test(adopt, test_adopt_closed_fails_estale);
    tcase_add_test(adopt, test_adopt_twice_has_one_winner);
    tcase_add_test(adopt, test_adopt_is_needed_by_threads_with_a_recycled_id);
    tcase_add_test(adopt, test_adopt_acquired_by_ended_thread_can_be_released);
    tcase_add_test(adopt,
                   test_adopt_after_fork_takes_arena_of_vanished_thread);
    tcase_add_test(adopt, test_owner_in_destructor_may_use_and_close);
    suite_add_tcase(suite, adopt);
}

int
main(void)
{
    Suite *suite = suite_create("owner");

    add_faults(suite);
    add_ownership(suite);
    return run_suite(suite);
}
