/*
 * check_interpose.c - programs that know nothing of any collector, under
 * libarena-malloc: what they hide is found, what they forget comes back, and
 * their threads, signals and processes are as without it.
 *
 * Each case is one of tests/interpose/victim.c, run with the library
 * preloaded and a collection every 256 KB.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define LIBRARY "malloc/.libs/libarena-malloc.so"
#define VICTIM "tests/interpose/victim"
#define MODULE "tests/interpose/.libs/module.so"

static void
clean_environment(void)
{
    static const char *const names[] = {
        "ARENA_LIMIT",       "ARENA_MODE",   "ARENA_STATS",
        "ARENA_IGNORE_FREE", "ARENA_REPORT", "ARENA_ROOTS",
        "ARENA_TRACE",       "ARENA_PID",    "ARENA_PAST_END",
        "ARENA_GC_EVERY",    "GC_INITIAL_HEAP_SIZE",
    };

    for (size_t i = 0; i < LENGTH(names); i++)
        unsetenv(names[i]);
    setenv("LD_PRELOAD", LIBRARY, 1);
}

/* Run a case with a variable set; its exit status, or 128 and the number of
 * a signal. */
static int
run_victim(const char *name, const char *variable, const char *value)
{
    int status;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        clean_environment();
        setenv(variable, value, 1);
        execl(VICTIM, VICTIM, name, MODULE, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const char *const hidden[] = {
    "static", "tls",          "tls_thread",     "tls_module",
    "mmap",   "mmap_shared",  "mmap_protected", "sbrk",
    "argv",   "environ",      "epoll",          "specific",
    "aligned", "exit_value",  "epoll_many",     "timer",
    "sigqueue", "mqueue", "mmap_zero", "sigqueue_often",
    "sigqueue_files",
};

static const char *const stacks[] = {
    "coroutine",        "coroutine_collects", "coroutine_stopped",
    "coroutine_thread", "sigaltstack",        "sigaltstack_block",
    "coroutine_small",  "deep_stack",
};

static const char *const threads[] = {
    "short_threads", "destructors", "wrong_key", "timer_thread",
    "cancel",        "deepbind",    "fork",      "vfork",
    "loader_lock",   "programs",    "system_left",
    "fork_bare",     "fork_thread", "daemon",      "many_threads",
};

static const char *const signals[] = {
    "full_masks", "handlers",  "eintr",        "own_eintr",
    "waits",      "transfers", "wait_for_all",
};

static const char *const memory[] = {"leak", "errors", "timer_leak"};

#define CASES(group, what)                                                    \
    START_TEST(test_##group##_##what)                                         \
    {                                                                         \
        const char *name = group[_i];                                         \
                                                                              \
        ck_assert_msg(run_victim(name, "ARENA_GC_EVERY", "256K") == 0,        \
                      "case %s", name);                                       \
    }                                                                         \
    END_TEST

CASES(hidden, pointers_are_found)
CASES(stacks, of_all_kinds_are_searched)
CASES(threads, and_processes_live_and_end)
CASES(signals, are_as_without_the_library)
CASES(memory, comes_back)

/* As the collector sees fit, nothing is different. */
START_TEST(test_collections_of_the_collectors_own)
{
    ck_assert_int_eq(run_victim("leak", "ARENA_MODE", "collect"), 0);
    ck_assert_int_eq(run_victim("fork", "ARENA_MODE", "collect"), 0);
}
END_TEST

START_TEST(test_explicit_mode_serves_the_same_programs)
{
    ck_assert_int_eq(run_victim("errors", "ARENA_MODE", "explicit"), 0);
    ck_assert_int_eq(run_victim("fork", "ARENA_MODE", "explicit"), 0);
    ck_assert_int_eq(run_victim("destructors", "ARENA_MODE", "explicit"), 0);
    ck_assert_int_eq(run_victim("aligned", "ARENA_MODE", "explicit"), 0);
    ck_assert_int_eq(run_victim("thread_ends", "ARENA_MODE", "explicit"), 0);
    ck_assert_int_eq(run_victim("timer_account", "ARENA_MODE", "explicit"), 0);
    /* And does not collect. */
    ck_assert_int_ne(run_victim("leak", "ARENA_MODE", "explicit"), 0);
}
END_TEST

START_TEST(test_what_is_freed_may_be_left_to_the_collector)
{
    ck_assert_int_eq(run_victim("leak", "ARENA_IGNORE_FREE", "1"), 0);
    ck_assert_int_eq(run_victim("aligned", "ARENA_IGNORE_FREE", "1"), 0);
}
END_TEST

/* Every writable mapping counts, whatever was wished for other programs. */
START_TEST(test_roots_are_not_narrowed_by_the_environment)
{
    ck_assert_int_eq(run_victim("mmap_often", "ARENA_ROOTS", "precise"), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("interpose");
    TCase *cases = tcase_create("cases"), *modes = tcase_create("modes");

    if (access(LIBRARY, R_OK) != 0)
        return 77; /* configured with --disable-shared */
    tcase_set_timeout(cases, 30);
    tcase_set_timeout(modes, 60);
    suite_add_tcase(suite, cases);
    suite_add_tcase(suite, modes);
    tcase_add_loop_test(cases, test_hidden_pointers_are_found, 0,
                        LENGTH(hidden));
    tcase_add_loop_test(cases, test_stacks_of_all_kinds_are_searched, 0,
                        LENGTH(stacks));
    tcase_add_loop_test(cases, test_threads_and_processes_live_and_end, 0,
                        LENGTH(threads));
    tcase_add_loop_test(cases, test_signals_are_as_without_the_library, 0,
                        LENGTH(signals));
    tcase_add_loop_test(cases, test_memory_comes_back, 0, LENGTH(memory));
    tcase_add_test(modes, test_collections_of_the_collectors_own);
    tcase_add_test(modes, test_explicit_mode_serves_the_same_programs);
    tcase_add_test(modes, test_what_is_freed_may_be_left_to_the_collector);
    tcase_add_test(modes, test_roots_are_not_narrowed_by_the_environment);
    return run_suite(suite);
}
