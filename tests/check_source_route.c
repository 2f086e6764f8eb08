/*
 * check_source_route.c: programs that are compiled again with
 * arena/malloc.h; threads of arena/threads.h; and pointers that only libc
 * has.
 */

#define _GNU_SOURCE

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arena/heap.h>

#include "harness.h"
#include "legacy.h"
#include "source_route.h"

/* What the old program says of itself. */
#define expect_right(call)                                                    \
    do {                                                                      \
        const char *fault_ = (call);                                          \
        ck_assert_msg(fault_ == NULL, "%s: not %s", #call, fault_);           \
    } while (0)

/* --- What the program gets --- */

START_TEST(test_makers_give_blocks_of_the_library)
{
    for (const struct route_maker *m = route_makers; m->name != NULL; m++) {
        void *block = m->make();

        ck_assert_msg(block != NULL, "%s failed", m->name);
        ck_assert_msg(arena_of(block) == arena_implicit(), "%s: not ours",
                      m->name);
        route_free(block);
    }
}
END_TEST

START_TEST(test_makers_of_libc_give_blocks_that_free_takes)
{
    for (const struct route_maker *m = route_foreign; m->name != NULL; m++) {
        void *block = m->make();

        ck_assert_msg(block != NULL, "%s failed", m->name);
        ck_assert_msg(arena_of(block) == NULL, "%s: not libc's", m->name);
        block = route_realloc(block, 5000);
        ck_assert_msg(block != NULL, "%s: not grown", m->name);
        errno = ERRNO_UNTOUCHED;
        route_free(block);
        ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    }
}
END_TEST

START_TEST(test_fortified_makers_give_blocks_that_free_takes)
{
    for (const struct route_maker *m = route_fortified; m->name != NULL; m++) {
        void *block = m->make();

        ck_assert_msg(block != NULL, "%s failed", m->name);
        errno = ERRNO_UNTOUCHED;
        route_free(block);
        ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    }
}
END_TEST

/* --- What it does with them --- */

START_TEST(test_names_of_libc_used_otherwise_keep_their_meaning)
{
    expect_right(route_names());
    expect_right(route_pointers());
    expect_right(route_own_arena());
}
END_TEST

START_TEST(test_blocks_keep_the_contract_of_malloc)
{
    expect_right(route_blocks());
    expect_right(route_aligned());
    expect_right(route_errno());
}
END_TEST

START_TEST(test_printing_into_new_blocks_is_complete)
{
    expect_right(route_print());
    expect_right(route_print_fortified());
}
END_TEST

START_TEST(test_lines_of_any_length_are_read)
{
    expect_right(route_lines());
    expect_right(route_lines_into());
}
END_TEST

START_TEST(test_memstream_behaves_as_posix_says)
{
    expect_right(route_memstream());
    expect_right(route_memstream_seek());
}
END_TEST

START_TEST(test_names_of_files_are_found)
{
    expect_right(route_paths());
    expect_right(route_scandir());
    expect_right(route_tempnam());
}
END_TEST

START_TEST(test_blocks_that_libc_grows_or_frees_are_taken_back)
{
    expect_right(route_pattern());
    expect_right(route_registers());
    expect_right(route_vector());
}
END_TEST

/* --- Bad input --- */

static void
expect_refused(void *block)
{
    errno = ERRNO_UNTOUCHED;
    route_free(block);
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    expect_fail(route_realloc(block, 200), EINVAL, "");
}

/* Where libc's malloc ends the program, at best, nothing happens. */
START_TEST(test_wild_pointers_are_neither_freed_nor_grown)
{
    static char variable[64];
    char *block = route_realloc(NULL, 3000), local[64];

    fill_block(block, 3000, 1);
    expect_refused(block + 16);
    expect_refused(block + 1);
    expect_refused(variable + 16);
    expect_refused(local);
    expect_refused((void *)(uintptr_t)16);
    expect_refused((void *)(uintptr_t)expect_refused);
    expect_refused((void *)~(uintptr_t)15);
    ck_assert(block_holds(block, 3000, 1));
    route_free(block);
    /* Twice. */
    expect_refused(block);
}
END_TEST

START_TEST(test_impossible_sizes_and_alignments_fail)
{
    expect_right(route_impossible());
}
END_TEST

/* libc keeps the stream: what it writes to does not go with an arena. */
START_TEST(test_memstream_is_not_in_a_pushed_arena)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena;
    char *text;
    size_t size;
    FILE *stream;

    options.flags = ARENA_TRACED;
    arena = arena_open(ARENA_CONFINED, &options);
    expect_ok(arena_push(arena));
    stream = arena_legacy_open_memstream(&text, &size);
    ck_assert_int_ge(fprintf(stream, "%01000d", 1), 1000);
    expect_ok(arena_pop());
    expect_ok(arena_close(arena));
    ck_assert_int_eq(fclose(stream), 0);
    ck_assert_ptr_eq(arena_of(text), arena_implicit());
    ck_assert_uint_eq(strlen(text), 1000);
    arena_free(text);
}
END_TEST

START_TEST(test_what_is_freed_can_be_ignored)
{
    char *block = arena_malloc(100), *moved;

    fill_block(block, 100, 2);
    arena_legacy_ignore(block);
    ck_assert_ptr_eq(arena_legacy_realloc_keep(block, 50), block);
    moved = arena_legacy_reallocarray_keep(block, 50, 100);
    ck_assert_ptr_ne(moved, block);
    memset(moved + 100, 1, 4900);
    ck_assert(block_holds(block, 100, 2) && block_holds(moved, 100, 2));
    ck_assert_ptr_null(arena_legacy_realloc_keep(block, 0));
    ck_assert(block_holds(block, 100, 2));
    expect_fail(arena_legacy_reallocarray_keep(block, SIZE_MAX, 2), ENOMEM,
                "large");
    expect_fail(arena_legacy_realloc_keep(block + 1, 50), EINVAL, "");
    block = arena_legacy_realloc_keep(NULL, 10);
    ck_assert_ptr_nonnull(block);
    arena_free(block);
}
END_TEST

/* --- Threads --- */

#define THREADS 8

/* Run a function on a thread that is attached from its beginning. */
static void
run_attached(void *(*function)(void *), void *arg)
{
    pthread_t thread;

    ck_assert_int_eq(arena_pthread_create(&thread, NULL, function, arg), 0);
    join_thread(thread);
}

/* Allocate some MiB of blocks of a size, overwrite and forget them. */
static void *
churn_main(void *arg)
{
    size_t size = *(size_t *)arg;

    for (size_t total = 0; total < 4 * MIB; total += size) {
        void *block = arena_malloc(size);

        if (block != NULL)
            memset(block, 0xff, size);
    }
    return NULL;
}

/* Collect, and let what died be used again. */
static void
churn(size_t times)
{
    for (size_t i = 0; i < times; i++) {
        static const size_t sizes[] = {24, 128, 256, 1100};
        size_t size = sizes[i % LENGTH(sizes)];

        run_attached(churn_main, &size);
        collect_scrubbed();
    }
}

/* With precise roots nothing but the thread's own stack has the argument. */
START_TEST(test_thread_keeps_its_argument_from_the_start)
{
    pthread_t threads[THREADS];
    pthread_barrier_t gate;

    ck_assert_int_eq(arena_set_roots(ARENA_ROOTS_PRECISE), 0);
    barrier_init(&gate, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(route_thread_start(&threads[i], &gate, i), 0);
        collect_scrubbed();
    }
    barrier_wait(&gate);
    churn(8);
    barrier_wait(&gate);
    for (int i = 0; i < THREADS; i++)
        ck_assert_ptr_eq(join_thread(threads[i]), route_thread_result(i));
    pthread_barrier_destroy(&gate);
    ck_assert_int_eq(arena_set_roots(ARENA_ROOTS_ALL), 0);
}
END_TEST

static int
c11_main(void *arg)
{
    return *(int *)arg + 1;
}

START_TEST(test_thread_of_c11_gives_its_result)
{
    int *number = arena_malloc(sizeof *number), result = 0;
    thrd_t thread;

    ck_assert_ptr_nonnull(number);
    *number = 41;
    ck_assert_int_eq(arena_legacy_thrd_create(&thread, c11_main, number),
                     thrd_success);
    ck_assert_int_eq(thrd_join(thread, &result), thrd_success);
    ck_assert_int_eq(result, 42);
}
END_TEST

/* A stack of this size does not exist. */
START_TEST(test_thread_create_refused_returns_the_error)
{
    pthread_attr_t attr;
    pthread_t thread;
    int error;

    ck_assert_int_eq(pthread_attr_init(&attr), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&attr, (size_t)1 << 50), 0);
    errno = ERRNO_UNTOUCHED;
    error = arena_pthread_create(&thread, &attr, churn_main, NULL);
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    ck_assert_int_gt(error, 0);
    pthread_attr_destroy(&attr);
}
END_TEST

/* --- Pointers that only libc has --- */

#define HIDDEN 200 /* blocks in each place */
#define TEXT 100   /* bytes of a block that are looked at */
#define ROUNDS 20

struct leaf {
    size_t number;
    char text[TEXT];
};

/* What was found of the blocks in each place. */
struct found {
    size_t environ, tree, table;
    bool failed; /* could not be hidden */
};

static void *tree; /* points to libc's node */

static int
leaf_compare(const void *a, const void *b)
{
    size_t x = ((const struct leaf *)a)->number;
    size_t y = ((const struct leaf *)b)->number;

    return (x > y) - (x < y);
}

/* The variable's definition: its name, then letters. */
static void
variable_write(char *text, size_t number)
{
    int length = snprintf(text, TEXT, "ROUTE_%zu=", number);

    memset(text + length, 'a' + (int)(number % 26), TEXT - 1 - (size_t)length);
    text[TEXT - 1] = '\0';
}

static bool
hide_in_environ(size_t number)
{
    char *text = arena_malloc(TEXT);

    if (text == NULL)
        return false;
    variable_write(text, number);
    return putenv(text) == 0;
}

static bool
hide_in_tree(size_t number)
{
    struct leaf *leaf = arena_malloc(sizeof *leaf);

    if (leaf == NULL)
        return false;
    leaf->number = number;
    fill_block(leaf->text, TEXT, number);
    return tsearch(leaf, &tree, leaf_compare) != NULL;
}

static bool
hide_in_table(size_t number)
{
    ENTRY entry = {arena_malloc(24), arena_malloc(TEXT)};

    if (entry.key == NULL || entry.data == NULL)
        return false;
    snprintf(entry.key, 24, "key %zu", number);
    fill_block(entry.data, TEXT, number);
    return hsearch(entry, ENTER) != NULL;
}

static void *
hide_main(void *arg)
{
    struct found *found = arg;

    for (size_t i = 0; i < HIDDEN; i++)
        found->failed |= !hide_in_environ(i) || !hide_in_tree(i)
                         || !hide_in_table(i);
    return NULL;
}

static void *
find_main(void *arg)
{
    struct found *found = arg;

    for (size_t i = 0; i < HIDDEN; i++) {
        char text[TEXT], name[24];
        struct leaf wanted = {.number = i}, **leaf;
        ENTRY *entry, key = {name, NULL};
        const char *value;

        variable_write(text, i);
        snprintf(name, sizeof name, "ROUTE_%zu", i);
        value = getenv(name);
        found->environ += value != NULL
                          && strcmp(value, strchr(text, '=') + 1) == 0;
        leaf = tfind(&wanted, &tree, leaf_compare);
        found->tree += leaf != NULL && block_holds((*leaf)->text, TEXT, i);
        snprintf(name, sizeof name, "key %zu", i);
        entry = hsearch(key, FIND);
        found->table += entry != NULL && block_holds(entry->data, TEXT, i);
    }
    return NULL;
}

static void
forget_hidden(void)
{
    char name[24];

    for (size_t i = 0; i < HIDDEN; i++) {
        snprintf(name, sizeof name, "ROUTE_%zu", i);
        unsetenv(name);
    }
    tdestroy(tree, arena_free);
    tree = NULL;
    hdestroy();
}

START_TEST(test_pointers_that_only_libc_has_keep_blocks)
{
    struct found found = {0, 0, 0, false};
    arena_usage_t usage;

    ck_assert_int_ne(hcreate(2 * HIDDEN), 0);
    run_attached(hide_main, &found);
    ck_assert(!found.failed);
    churn(ROUNDS);
    run_attached(find_main, &found);
    ck_assert_uint_eq(found.environ, HIDDEN);
    ck_assert_uint_eq(found.tree, HIDDEN);
    ck_assert_uint_eq(found.table, HIDDEN);
    /* It was not for want of collections. */
    usage = usage_now();
    ck_assert_uint_ge(usage.collections, ROUNDS);
    ck_assert_uint_lt(usage.heap.reserved, ROUNDS * 4 * MIB / 2);
    forget_hidden();
}
END_TEST

/* --- The suite --- */

static Suite *
source_route_suite(void)
{
    Suite *s = suite_create("source_route");
    TCase *blocks = tcase_create("blocks");
    TCase *program = tcase_create("program");
    TCase *threads = tcase_create("threads");
    TCase *hidden = tcase_create("hidden");

    tcase_add_test(blocks, test_makers_give_blocks_of_the_library);
    tcase_add_test(blocks, test_makers_of_libc_give_blocks_that_free_takes);
    tcase_add_test(blocks, test_fortified_makers_give_blocks_that_free_takes);
    suite_add_tcase(s, blocks);

    tcase_add_test(program,
                   test_names_of_libc_used_otherwise_keep_their_meaning);
    tcase_add_test(program, test_blocks_keep_the_contract_of_malloc);
    tcase_add_test(program, test_printing_into_new_blocks_is_complete);
    tcase_add_test(program, test_lines_of_any_length_are_read);
    tcase_add_test(program, test_memstream_behaves_as_posix_says);
    tcase_add_test(program, test_names_of_files_are_found);
    tcase_add_test(program,
                   test_blocks_that_libc_grows_or_frees_are_taken_back);
    tcase_add_test(program, test_wild_pointers_are_neither_freed_nor_grown);
    tcase_add_test(program, test_impossible_sizes_and_alignments_fail);
    tcase_add_test(program, test_memstream_is_not_in_a_pushed_arena);
    tcase_add_test(program, test_what_is_freed_can_be_ignored);
    suite_add_tcase(s, program);

    tcase_set_timeout(threads, 60);
    tcase_add_test(threads, test_thread_keeps_its_argument_from_the_start);
    tcase_add_test(threads, test_thread_of_c11_gives_its_result);
    tcase_add_test(threads, test_thread_create_refused_returns_the_error);
    suite_add_tcase(s, threads);

    tcase_set_timeout(hidden, 60);
    tcase_add_test(hidden, test_pointers_that_only_libc_has_keep_blocks);
    suite_add_tcase(s, hidden);
    return s;
}

int
main(void)
{
    return run_suite(source_route_suite());
}
