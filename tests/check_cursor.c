/* check_cursor.c: cursors, which carve up a run of an arena themselves. */

#include <string.h>

#include <arena/inline.h>

#include "arena_harness.h"

static bool
is_all(const void *block, size_t size, int value)
{
    const unsigned char *bytes = block;

    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

/* --- Blocks --- */

/* Sizes up to so many bytes, each block filled with a number of its own. */
static void
fill_blocks(arena_cursor_t *cursor, unsigned char **blocks, size_t count,
            size_t most)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = 1 + i * 37 % most;

        expect_ok(blocks[i] = arena_cursor_alloc(cursor, size));
        ck_assert_uint_eq((uintptr_t)blocks[i] % 16, 0);
        ck_assert(is_all(blocks[i], size, 0));
        memset(blocks[i], (int)(i % 251 + 1), size);
    }
}

static void
verify_blocks(unsigned char **blocks, size_t count, size_t most)
{
    for (size_t i = 0; i < count; i++)
        ck_assert(is_all(blocks[i], 1 + i * 37 % most, (int)(i % 251 + 1)));
}

START_TEST(test_alloc_gives_zeroed_blocks_that_do_not_overlap)
{
    static const size_t most[] = {16, 100, 3000, 20000};
    arena_cursor_t cursor = arena_cursor(arena);
    unsigned char *blocks[1000];

    fill_blocks(&cursor, blocks, LENGTH(blocks), most[_i]);
    verify_blocks(blocks, LENGTH(blocks), most[_i]);
    arena_cursor_end(&cursor);
}
END_TEST

START_TEST(test_alloc_between_calls_on_the_arena_does_not_overlap)
{
    arena_cursor_t cursor = arena_cursor(arena);
    unsigned char *blocks[600];

    for (size_t i = 0; i < LENGTH(blocks); i++) {
        if (i % 3 == 0)
            expect_ok(blocks[i] = arena_alloc(arena, 50));
        else if (i % 3 == 1)
            expect_ok(blocks[i] = arena_cursor_alloc_uninit(&cursor, 50));
        else
            expect_ok(blocks[i] = arena_resize(arena, NULL, 0, 50));
        if (i % 100 == 99)
            arena_cursor_end(&cursor);
        memset(blocks[i], (int)(i % 251), 50);
    }
    for (size_t i = 0; i < LENGTH(blocks); i++)
        ck_assert(is_all(blocks[i], 50, (int)(i % 251)));
}
END_TEST

START_TEST(test_alloc_of_size_0_gives_distinct_blocks)
{
    arena_cursor_t cursor = arena_cursor(arena);
    void *a, *b, *c;

    expect_ok(a = arena_cursor_alloc(&cursor, 0));
    expect_ok(b = arena_cursor_alloc_uninit(&cursor, 0));
    expect_ok(c = arena_cursor_alloc(&cursor, 1));
    ck_assert(a != b && b != c && a != c);
}
END_TEST

START_TEST(test_alloc_too_large_is_refused_and_cursor_goes_on)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 14, SIZE_MAX - 15,
                                   PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1};
    arena_cursor_t cursor = arena_cursor(arena);
    char *block;

    expect_ok(block = arena_cursor_alloc(&cursor, 16));
    memset(block, 1, 16);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        expect_fail(arena_cursor_alloc(&cursor, sizes[i]), ENOMEM, "");
        expect_ok(arena_cursor_alloc(&cursor, 16));
    }
    ck_assert_int_eq(block[15], 1);
}
END_TEST

START_TEST(test_alloc_works_for_every_kind)
{
    arena_t *kinds[] = {NULL, arena_global(), arena_auto(), arena_shared(),
                        arena_implicit()};

    for (size_t i = 0; i < LENGTH(kinds); i++) {
        arena_cursor_t cursor = arena_cursor(kinds[i]);
        char *block;

        for (int j = 0; j < 100; j++) {
            expect_ok(block = arena_cursor_alloc(&cursor, 24));
            ck_assert(is_all(block, 24, 0));
            ck_assert_ptr_eq(arena_of(block), kinds[i] != NULL
                                                  ? kinds[i]
                                                  : arena_implicit());
        }
        arena_cursor_end(&cursor);
    }
    expect_ok(arena_close(kinds[3]));
}
END_TEST

START_TEST(test_alloc_works_with_guards_and_limits)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_cursor_t cursor;
    arena_t *guarded, *limited;
    int count = 0;

    options.flags = ARENA_GUARDED;
    expect_ok(guarded = arena_open(ARENA_CONFINED, &options));
    cursor = arena_cursor(guarded);
    for (int i = 0; i < 10; i++)
        expect_ok(arena_cursor_alloc(&cursor, 100));
    expect_ok(arena_close(guarded));

    options.flags = 0;
    options.limit = 64 * KIB;
    expect_ok(limited = arena_open(ARENA_CONFINED, &options));
    cursor = arena_cursor(limited);
    while (arena_cursor_alloc(&cursor, 100) != NULL)
        count++;
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_int_gt(count, 100);
    ck_assert_int_le(count, (int)(64 * KIB / 112));
    expect_ok(arena_close(limited));
}
END_TEST

START_TEST(test_two_cursors_of_an_arena_do_not_overlap)
{
    arena_cursor_t a = arena_cursor(arena), b = arena_cursor(arena);
    unsigned char *of_a[300], *of_b[300];

    for (size_t i = 0; i < 300; i++) {
        expect_ok(of_a[i] = arena_cursor_alloc_uninit(&a, 40));
        expect_ok(of_b[i] = arena_cursor_alloc_uninit(&b, 40));
        memset(of_a[i], 1, 40);
        memset(of_b[i], 2, 40);
    }
    for (size_t i = 0; i < 300; i++)
        ck_assert(is_all(of_a[i], 40, 1) && is_all(of_b[i], 40, 2));
    arena_cursor_end(&a);
    expect_ok(arena_cursor_alloc(&b, 40));
    arena_cursor_end(&b);
}
END_TEST

/* --- What takes the run away --- */

START_TEST(test_alloc_after_close_is_stale)
{
    arena_cursor_t cursor = arena_cursor(arena);

    expect_ok(arena_cursor_alloc(&cursor, 32));
    expect_ok(arena_close(arena));
    expect_fail(arena_cursor_alloc(&cursor, 32), ESTALE, "");
    expect_fail(arena_cursor_alloc_uninit(&cursor, 32), ESTALE, "");
    arena_cursor_end(&cursor);
}
END_TEST

START_TEST(test_alloc_after_close_touches_no_arena_opened_since)
{
    arena_cursor_t cursor = arena_cursor(arena);
    arena_t *others[200];
    char *blocks[200];

    expect_ok(arena_cursor_alloc(&cursor, 32));
    expect_ok(arena_close(arena));
    for (size_t i = 0; i < LENGTH(others); i++) {
        expect_ok(others[i] = arena_confined());
        expect_ok(blocks[i] = arena_alloc(others[i], 64));
    }
    /* Stale; or, its control block being used again, a block of that. */
    for (int i = 0; i < 10; i++) {
        char *block = arena_cursor_alloc_uninit(&cursor, 32);

        if (block != NULL)
            memset(block, 1, 32);
    }
    for (size_t i = 0; i < LENGTH(others); i++) {
        ck_assert(is_all(blocks[i], 64, 0));
        expect_ok(arena_close(others[i]));
    }
}
END_TEST

START_TEST(test_alloc_after_close_of_parent_is_stale)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_cursor_t cursor;
    arena_t *child;

    options.parent = arena;
    expect_ok(child = arena_open(ARENA_CONFINED, &options));
    cursor = arena_cursor(child);
    expect_ok(arena_cursor_alloc(&cursor, 32));
    expect_ok(arena_close(arena));
    expect_fail(arena_cursor_alloc(&cursor, 32), ESTALE, "");
}
END_TEST

START_TEST(test_alloc_after_reset_is_of_new_contents)
{
    arena_cursor_t cursor = arena_cursor(arena);
    unsigned char *blocks[300], *other;

    for (int round = 0; round < 3; round++) {
        fill_blocks(&cursor, blocks, LENGTH(blocks), 60);
        expect_ok(arena_reset(arena));
        expect_ok(other = arena_alloc(arena, 100));
        memset(other, 255, 100);
        fill_blocks(&cursor, blocks, LENGTH(blocks), 60);
        verify_blocks(blocks, LENGTH(blocks), 60);
        ck_assert(is_all(other, 100, 255));
    }
}
END_TEST

START_TEST(test_rewind_frees_what_cursor_gave_since_and_no_more)
{
    arena_cursor_t cursor = arena_cursor(arena);
    unsigned char *before[20], *after[300];
    arena_mark_t mark;
    size_t bytes = 0;

    fill_blocks(&cursor, before, LENGTH(before), 60);
    expect_ok(arena_mark(arena, &mark));
    for (int round = 0; round < 50; round++) {
        fill_blocks(&cursor, after, LENGTH(after), 60);
        verify_blocks(after, LENGTH(after), 60);
        verify_blocks(before, LENGTH(before), 60);
        if (round == 10)
            bytes = arena_bytes(arena);
        expect_ok(arena_rewind(arena, mark));
    }
    ck_assert_uint_le(arena_bytes(arena), bytes);
}
END_TEST

START_TEST(test_other_arena_does_not_end_a_run)
{
    arena_cursor_t cursor = arena_cursor(arena);
    char *first, *second;

    expect_ok(first = arena_cursor_alloc(&cursor, 32));
    for (int i = 0; i < 3; i++) {
        arena_t *other = arena_confined();
        arena_cursor_t its = arena_cursor(other);

        expect_ok(arena_cursor_alloc(&its, 32));
        expect_ok(arena_close(other));
        expect_ok(second = arena_cursor_alloc(&cursor, 32));
        ck_assert_ptr_eq(second, first + 32);
        first = second;
    }
}
END_TEST

/* --- Threads --- */

struct asked {
    arena_cursor_t *cursor;
    void *block;
    int error;
};

static void *
ask_elsewhere(void *arg)
{
    struct asked *asked = arg;
    arena_t *own = arena_confined();

    asked->block = arena_cursor_alloc(asked->cursor, 32);
    asked->error = errno;
    arena_cursor_end(asked->cursor);
    arena_close(own);
    return NULL;
}

START_TEST(test_alloc_in_another_thread_is_refused)
{
    arena_cursor_t cursor = arena_cursor(arena), theirs;
    struct asked asked = {&theirs, NULL, 0};
    pthread_t thread;
    char *first, *second;

    expect_ok(first = arena_cursor_alloc(&cursor, 32));
    theirs = cursor;
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_elsewhere, &asked), 0);
    pthread_join(thread, NULL);
    ck_assert_ptr_null(asked.block);
    ck_assert_int_eq(asked.error, EPERM);
    expect_ok(second = arena_cursor_alloc(&cursor, 32));
    ck_assert_ptr_eq(second, first + 32);
}
END_TEST

static void *
leave_arena(void *arg)
{
    arena_t *left = arena_confined();
    arena_cursor_t cursor = arena_cursor(left);

    *(arena_t **)arg = left;
    return arena_cursor_alloc(&cursor, 32);
}

START_TEST(test_adopted_arena_lends_again)
{
    arena_t *left = NULL;
    arena_cursor_t cursor;
    char *blocks[10];
    void *block = NULL;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, leave_arena, &left), 0);
    pthread_join(thread, &block);
    ck_assert_ptr_nonnull(block);
    expect_ok(arena_adopt(left));
    cursor = arena_cursor(left);
    for (size_t i = 0; i < LENGTH(blocks); i++)
        expect_ok(blocks[i] = arena_cursor_alloc(&cursor, 32));
    for (size_t i = 0; i < LENGTH(blocks); i++)
        ck_assert_ptr_ne(blocks[i], block);
    expect_ok(arena_close(left));
    expect_fail(arena_cursor_alloc(&cursor, 32), ESTALE, "");
}
END_TEST

/* --- Accounting --- */

START_TEST(test_usage_is_exact_after_end_and_after_close)
{
    arena_usage_t before = usage_now(), after;
    bool ends = _i % 2 == 0;

    for (int i = 0; i < 300; i++) {
        arena_t *a;
        arena_cursor_t cursor;

        expect_ok(a = arena_confined());
        cursor = arena_cursor(a);
        for (int j = 0; j < 5; j++)
            expect_ok(arena_cursor_alloc(&cursor, 33));
        if (ends)
            arena_cursor_end(&cursor);
        after = usage_now();
        ck_assert_uint_eq(after.kind[ARENA_CONFINED].reserved
                              - before.kind[ARENA_CONFINED].reserved,
                          arena_bytes(a));
        if (ends)
            ck_assert_uint_eq(after.kind[ARENA_CONFINED].requested
                                  - before.kind[ARENA_CONFINED].requested,
                              5 * 33);
        expect_ok(arena_close(a));
        after = usage_now();
        ck_assert_uint_eq(after.reserved, before.reserved);
        ck_assert_uint_eq(after.requested, before.requested);
        ck_assert_uint_eq(after.count, before.count);
    }
}
END_TEST

START_TEST(test_end_gives_rest_of_run_back)
{
    arena_cursor_t cursor = arena_cursor(arena);
    char *block;

    for (int i = 0; i < 10000; i++) {
        expect_ok(block = arena_cursor_alloc(&cursor, 16));
        arena_cursor_end(&cursor);
        arena_cursor_end(&cursor);
    }
    /* 160,000 bytes in chunks of up to 128 KiB. */
    ck_assert_uint_le(arena_bytes(arena), 512 * KIB);
    ck_assert_ptr_eq(arena_alloc(arena, 16), block + 16);
}
END_TEST

static Suite *
cursor_suite(void)
{
    Suite *suite = suite_create("cursor");
    TCase *blocks = tcase_create("blocks");
    TCase *taken = tcase_create("taken away");
    TCase *threads = tcase_create("threads");
    TCase *usage = tcase_create("usage");

    tcase_add_checked_fixture(blocks, setup_confined, teardown_arena);
    tcase_add_loop_test(
        blocks, test_alloc_gives_zeroed_blocks_that_do_not_overlap, 0, 4);
    tcase_add_test(blocks,
                   test_alloc_between_calls_on_the_arena_does_not_overlap);
    tcase_add_test(blocks, test_alloc_of_size_0_gives_distinct_blocks);
    tcase_add_test(blocks,
                   test_alloc_too_large_is_refused_and_cursor_goes_on);
    tcase_add_test(blocks, test_alloc_works_for_every_kind);
    tcase_add_test(blocks, test_alloc_works_with_guards_and_limits);
    tcase_add_test(blocks, test_two_cursors_of_an_arena_do_not_overlap);
    suite_add_tcase(suite, blocks);

    tcase_add_checked_fixture(taken, setup_confined, teardown_arena);
    tcase_add_test(taken, test_alloc_after_close_is_stale);
    tcase_add_test(taken,
                   test_alloc_after_close_touches_no_arena_opened_since);
    tcase_add_test(taken, test_alloc_after_close_of_parent_is_stale);
    tcase_add_test(taken, test_alloc_after_reset_is_of_new_contents);
    tcase_add_test(taken,
                   test_rewind_frees_what_cursor_gave_since_and_no_more);
    tcase_add_test(taken, test_other_arena_does_not_end_a_run);
    suite_add_tcase(suite, taken);

    tcase_add_checked_fixture(threads, setup_confined, teardown_arena);
    tcase_add_test(threads, test_alloc_in_another_thread_is_refused);
    tcase_add_test(threads, test_adopted_arena_lends_again);
    suite_add_tcase(suite, threads);

    tcase_add_checked_fixture(usage, setup_confined, teardown_arena);
    tcase_add_loop_test(usage, test_usage_is_exact_after_end_and_after_close,
                        0, 2);
    tcase_add_test(usage, test_end_gives_rest_of_run_back);
    suite_add_tcase(suite, usage);
    return suite;
}

int
main(void)
{
    return run_suite(cursor_suite());
}
