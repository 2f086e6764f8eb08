/*
 * check_push_malloc.c: arenas under libarena-malloc: the cases of
 * tests/interpose/pusher.c, in both modes and with free left out.
 */

#include "config.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define LIBRARY "malloc/.libs/libarena-malloc.so"
/* Not what libtool puts in its place, which is a script. */
#define PUSHER "tests/interpose/.libs/pusher"

static const char *const cases[] = {"family", "libc", "collect", "threads",
                                    "closed", "names"};

static const struct {
    const char *variable, *value;
} settings[] = {
    {"ARENA_MODE", "collect"},
    {"ARENA_GC_EVERY", "256K"},
    {"ARENA_IGNORE_FREE", "1"},
    {"ARENA_MODE", "explicit"},
};

static void
run_pusher(const char *name, const char *variable, const char *value)
{
    int status;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        unsetenv("GC_INITIAL_HEAP_SIZE");
        setenv("LD_LIBRARY_PATH", "lib/.libs", 1);
        setenv("LD_PRELOAD", LIBRARY, 1);
        setenv(variable, value, 1);
        execl(PUSHER, PUSHER, name, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "case %s, %s=%s: status %#x", name, variable,
                  value, status);
}

START_TEST(test_arenas_work_under_the_library)
{
    for (size_t i = 0; i < LENGTH(settings); i++)
        run_pusher(cases[_i], settings[i].variable, settings[i].value);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("push_malloc");
    TCase *tcase = tcase_create("cases");

    if (access(LIBRARY, R_OK) != 0)
        return 77; /* configured with --disable-shared */
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_arenas_work_under_the_library, 0,
                        LENGTH(cases));
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
