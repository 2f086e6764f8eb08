/*
 * check_roots.c: what the collector meets when every writable mapping is a
 * root: sparse mappings, ends of files, memory that vanishes, no files left.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <arena.h>
#include <arena/budget.h>
#include <arena/heap.h>

#include "harness.h"

#include "roots.h"

#define HIDDEN 100
#define TEBIBYTE ((size_t)1 << 40)

/* The only pointers to HIDDEN blocks are put here, in memory of libc's. */
static volatile uintptr_t *place;

static void *
hide_main(void *unused)
{
    place = malloc(HIDDEN * sizeof *place);
    for (size_t i = 0; i < HIDDEN; i++) {
        char *block = arena_malloc(100);

        memset(block, (int)i + 1, 100);
        place[i] = (uintptr_t)block;
    }
    return unused;
}

static size_t
hidden_damaged(void)
{
    size_t damaged = 0;

    for (size_t i = 0; i < HIDDEN; i++) {
        const char *block = (const char *)place[i];

        for (size_t k = 0; k < 100; k++)
            if (block[k] != (char)(i + 1)) {
                damaged++;
                break;
            }
    }
    return damaged;
}

/* Allocate over what was freed by mistake. */
static void
churn(void)
{
    for (size_t i = 0; i < 20000; i++)
        memset(arena_malloc(100), 0xff, 100);
}

static void
expect_hidden_live(void)
{
    for (int i = 0; i < 3; i++) {
        collect_scrubbed();
        churn();
    }
    ck_assert_uint_eq(hidden_damaged(), 0);
}

static void
setup(void)
{
    /* To learn the main thread's stack takes a file. */
    expect_ok(arena_thread_attach());
    run_in_thread(hide_main, NULL);
}

START_TEST(test_sparse_mapping_costs_no_time)
{
    uint64_t start = clock_ns();
    char *sparse = mmap(NULL, TEBIBYTE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert_ptr_ne(sparse, MAP_FAILED);
    sparse[TEBIBYTE / 2] = 1;
    expect_hidden_live();
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 10000 * MS_NS);
}
END_TEST

START_TEST(test_sparse_mapping_pointer_in_it_keeps)
{
    uintptr_t *sparse = mmap(NULL, TEBIBYTE, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                             0);
    volatile uintptr_t *moved = sparse + TEBIBYTE / 16;

    ck_assert_ptr_ne(sparse, MAP_FAILED);
    for (size_t i = 0; i < HIDDEN; i++)
        moved[i] = place[i];
    memset((void *)(uintptr_t)place, 0, HIDDEN * sizeof *place);
    free((void *)(uintptr_t)place);
    place = moved;
    expect_hidden_live();
}
END_TEST

/* By that, collections that only save memory are put off. */
START_TEST(test_bytes_searched_are_those_resident)
{
    size_t bytes = (size_t)32 << 20, before;
    char *mapping;

    arena_collect();
    before = arenap_roots_foreign();
    ck_assert_uint_gt(before, 0);
    mapping = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(mapping, MAP_FAILED);
    memset(mapping, 1, bytes);
    arena_collect();
    ck_assert_uint_ge(arenap_roots_foreign(), before / 2 + bytes);
    ck_assert_uint_lt(arenap_roots_foreign(), 2 * before + 3 * bytes / 2);
    ck_assert_int_eq(munmap(mapping, 2 * bytes), 0);
    arena_collect();
    ck_assert_uint_lt(arenap_roots_foreign(), before + bytes / 2);
}
END_TEST

START_TEST(test_mapping_beyond_end_of_file_does_no_harm)
{
    int file = memfd_create("short", 0);

    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(ftruncate(file, 4096), 0);
    ck_assert_ptr_ne(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED,
                          file, 0),
                     MAP_FAILED);
    expect_hidden_live();
}
END_TEST

static void *
short_main(void *unused)
{
    arena_free(arena_malloc(64));
    return unused;
}

/* Stacks of threads that have ended are unmapped by others. */
START_TEST(test_threads_that_end_meanwhile_do_no_harm)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 16 << 20);
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 30; i++)
            ck_assert_int_eq(pthread_create(&thread, &attr, short_main, NULL),
                             0);
        arena_collect();
    }
    ck_assert_uint_eq(hidden_damaged(), 0);
}
END_TEST

/* Without a look at the mappings nothing may be freed. */
START_TEST(test_no_file_left_frees_nothing)
{
    struct rlimit limit, none;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 3; i++) {
        collect_scrubbed();
        churn();
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(hidden_damaged(), 0);
}
END_TEST

/* The control: without libc's memory as a root they do die. */
START_TEST(test_precise_roots_lose_what_only_libc_holds)
{
    expect_ok(arena_set_roots(ARENA_ROOTS_PRECISE));
    for (int i = 0; i < 3; i++) {
        collect_scrubbed();
        churn();
    }
    ck_assert_uint_gt(hidden_damaged(), HIDDEN / 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("roots");
    TCase *all = tcase_create("all mappings");

    tcase_add_checked_fixture(all, setup, NULL);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, test_sparse_mapping_costs_no_time);
    tcase_add_test(all, test_sparse_mapping_pointer_in_it_keeps);
    tcase_add_test(all, test_bytes_searched_are_those_resident);
    tcase_add_test(all, test_mapping_beyond_end_of_file_does_no_harm);
    tcase_add_test(all, test_threads_that_end_meanwhile_do_no_harm);
    tcase_add_test(all, test_no_file_left_frees_nothing);
    tcase_add_test(all, test_precise_roots_lose_what_only_libc_holds);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
