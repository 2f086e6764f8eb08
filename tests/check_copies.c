/* check_copies.c: copies and formatted text in arenas, and resizing. */

#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wchar.h>

#include "arena_harness.h"

/* --- Copies --- */

START_TEST(test_memdup_copies_any_size)
{
    static unsigned char data[70000];

    fill_block(data, sizeof data, 9);
    for (size_t size = 0; size <= sizeof data; size = size * 2 + 1) {
        void *copy;

        expect_ok(copy = arena_memdup(arena, data, size));
        ck_assert(is_aligned(copy, _Alignof(max_align_t)));
        ck_assert_int_eq(memcmp(copy, data, size), 0);
        ck_assert_ptr_eq(arena_of(copy), arena);
    }
    expect_ok(arena_memdup(arena, NULL, 0));
}
END_TEST

START_TEST(test_copies_of_null_fail_einval)
{
    const char *volatile none = NULL;
    arena_usage_t before = usage_now();

    expect_fail(arena_memdup(arena, none, 1), EINVAL, "");
    expect_fail(arena_strdup(arena, none), EINVAL, "");
    expect_fail(arena_strndup(arena, none, 5), EINVAL, "");
    expect_fail(arena_printf(arena, none, 1), EINVAL, "");
    expect_usage(before);
}
END_TEST

START_TEST(test_memdup_over_ptrdiff_max_fails_enomem)
{
    arena_usage_t before = usage_now();

    expect_fail(arena_memdup(arena, &before, opaque_size(SIZE_MAX)), ENOMEM,
                "18446744073709551615");
    expect_usage(before);
}
END_TEST

START_TEST(test_strdup_copies_text)
{
    char text[] = "some text";
    char *copy, *empty;

    expect_ok(copy = arena_strdup(arena, text));
    expect_ok(empty = arena_strdup(arena, ""));
    memset(text, 'x', sizeof text - 1);
    ck_assert_str_eq(copy, "some text");
    ck_assert_str_eq(empty, "");
    ck_assert_ptr_ne(copy, empty);
}
END_TEST

START_TEST(test_strndup_copies_at_most_n)
{
    char *part, *all, *none;

    expect_ok(part = arena_strndup(arena, "some text", 4));
    expect_ok(all = arena_strndup(arena, "some text", 100));
    expect_ok(none = arena_strndup(arena, "some text", 0));
    ck_assert_str_eq(part, "some");
    ck_assert_str_eq(all, "some text");
    ck_assert_str_eq(none, "");
    expect_ok(all = arena_strndup(arena, "some text", opaque_size(SIZE_MAX)));
    ck_assert_str_eq(all, "some text");
}
END_TEST

START_TEST(test_strndup_unterminated_reads_no_further)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *copy;

    ck_assert_ptr_ne(pages, MAP_FAILED);
    ck_assert_int_eq(mprotect(pages + page, page, PROT_NONE), 0);
    memset(pages, 'z', page);
    expect_ok(copy = arena_strndup(arena, pages + page - 5, 5));
    ck_assert_str_eq(copy, "zzzzz");
    munmap(pages, 2 * page);
}
END_TEST

START_TEST(test_printf_formats_text)
{
    char *text, *empty;

    expect_ok(text = arena_printf(arena, "%s:%d:%.2f", "file", 42, 1.5));
    ck_assert_str_eq(text, "file:42:1.50");
    ck_assert_ptr_eq(arena_of(text), arena);
    expect_ok(empty = arena_printf(arena, "%s", ""));
    ck_assert_str_eq(empty, "");
}
END_TEST

START_TEST(test_printf_long_text_is_whole)
{
    static const int widths[] = {15, 16, 255, 4095, 4096, 200000};

    for (size_t i = 0; i < LENGTH(widths); i++) {
        size_t width = (size_t)widths[i];
        char *text;

        expect_ok(text = arena_printf(arena, "%*d|", widths[i], 7));
        ck_assert_uint_eq(strlen(text), width + 1);
        ck_assert_int_eq(text[width - 1], '7');
        ck_assert_int_eq(text[0], ' ');
    }
}
END_TEST

START_TEST(test_printf_unprintable_fails_einval)
{
    arena_usage_t before = usage_now();

    /* A wide character that the C locale cannot express. */
    expect_fail(arena_printf(arena, "%lc", (wint_t)0x20ac), EINVAL, "");
    expect_usage(before);
    expect_ok(arena_printf(arena, "%d", 1));
}
END_TEST

__attribute__((format(printf, 1, 2))) static char *
print_through(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

START_TEST(test_vprintf_formats_text)
{
    char *text;

    expect_ok(text = print_through("%d-%s-%*c", 7, "seven", 300, '!'));
    ck_assert_uint_eq(strlen(text), 308);
    ck_assert_int_eq(strncmp(text, "7-seven- ", 9), 0);
    ck_assert_int_eq(text[307], '!');
}
END_TEST

/* --- Resize --- */

START_TEST(test_resize_null_allocates_zeroed)
{
    void *block;

    expect_ok(block = arena_resize(arena, NULL, 0, 1000));
    ck_assert(block_is_zero(block, 1000));
    ck_assert_ptr_eq(arena_of(block), arena);
    expect_ok(block = arena_resize(arena, NULL, 0, 0));
    ck_assert_ptr_eq(arena_of(block), arena);
}
END_TEST

START_TEST(test_resize_last_block_stays_in_place)
{
    arena_t *roomy = open_roomy();
    void *block, *again;

    expect_ok(arena_alloc(roomy, 48));
    expect_ok(block = arena_alloc(roomy, 100));
    for (size_t size = 200; size <= 1000; size += 200) {
        expect_ok(again = arena_resize(roomy, block, size - 100, size));
        ck_assert_ptr_eq(again, block);
        expect_ok(again = arena_resize(roomy, block, size, size + 100));
        ck_assert_ptr_eq(again, block);
    }
    expect_ok(again = arena_resize(roomy, block, 1100, 10));
    ck_assert_ptr_eq(again, block);
    expect_ok(arena_close(roomy));
}
END_TEST

START_TEST(test_resize_other_block_moves_and_keeps_old)
{
    char *block, *last, *moved;

    expect_ok(block = arena_alloc(arena, 100));
    fill_block(block, 100, 5);
    expect_ok(last = arena_alloc(arena, 100));
    fill_block(last, 100, 6);
    expect_ok(moved = arena_resize(arena, block, 100, 5000));
    ck_assert_ptr_ne(moved, block);
    ck_assert(is_aligned(moved, _Alignof(max_align_t)));
    ck_assert(block_holds(moved, 100, 5));
    ck_assert(block_is_zero(moved + 100, 4900));
    memset(moved, 0, 5000);
    ck_assert(block_holds(block, 100, 5));
    ck_assert(block_holds(last, 100, 6));
    ck_assert_ptr_eq(arena_of(block), arena);
}
END_TEST

START_TEST(test_resize_shrunk_then_grown_shows_zero)
{
    char *block;

    expect_ok(block = arena_alloc_uninit(arena, 1000));
    memset(block, 0xa5, 1000);
    expect_ok(block = arena_resize(arena, block, 1000, 10));
    expect_ok(block = arena_resize(arena, block, 10, 2000));
    for (size_t i = 0; i < 10; i++)
        ck_assert_uint_eq((unsigned char)block[i], 0xa5);
    ck_assert(block_is_zero(block + 10, 1990));
}
END_TEST

START_TEST(test_resize_stepwise_keeps_contents)
{
    size_t size = 1;
    uint64_t random = 77;
    char *block, *neighbour;

    expect_ok(block = arena_alloc(arena, size));
    while (size < 3 * MIB) {
        size_t more = size + 1 + random_below(&random, size);

        fill_block(block, size, size);
        expect_ok(block = arena_resize(arena, block, size, more));
        ck_assert(block_holds(block, size, size));
        ck_assert(block_is_zero(block + size, more - size));
        size = more;
        if (random_below(&random, 3) == 0) {
            expect_ok(neighbour = arena_alloc_uninit(arena, 40));
            memset(neighbour, 0xee, 40);
        }
    }
}
END_TEST

START_TEST(test_resize_to_zero_gives_block)
{
    char *block, *none, *next;

    expect_ok(block = arena_alloc(arena, 64));
    expect_ok(none = arena_resize(arena, block, 64, 0));
    ck_assert_ptr_eq(arena_of(none), arena);
    expect_ok(next = arena_alloc(arena, 16));
    ck_assert_ptr_ne(none, next);
    expect_ok(none = arena_resize(arena, none, 0, 32));
    ck_assert(block_is_zero(none, 32));
}
END_TEST

START_TEST(test_resize_failure_leaves_block)
{
    arena_t *limited = open_limited(256 * KIB);
    arena_usage_t before;
    char *block;

    expect_ok(block = arena_alloc(limited, 1000));
    fill_block(block, 1000, 4);
    before = usage_now();
    expect_fail(arena_resize(limited, block, 1000, MIB), ENOMEM, "262144");
    expect_fail(arena_resize(limited, block, 1000, opaque_size(SIZE_MAX)),
                ENOMEM, "");
    expect_usage(before);
    ck_assert(block_holds(block, 1000, 4));
    expect_ok(block = arena_resize(limited, block, 1000, 2000));
    ck_assert(block_holds(block, 1000, 4));
    expect_ok(arena_close(limited));
}
END_TEST

START_TEST(test_resize_foreign_block_fails_einval)
{
    arena_t *other = arena_confined();
    int local = 0;
    arena_usage_t before;
    void *block;

    expect_ok(block = arena_alloc(other, 50));
    fill_block(block, 50, 8);
    before = usage_now();
    expect_fail(arena_resize(arena, block, 50, 100), EINVAL, "");
    expect_fail(arena_resize(arena, &local, 4, 100), EINVAL, "");
    expect_usage(before);
    ck_assert(block_holds(block, 50, 8));
    expect_ok(arena_close(other));
}
END_TEST

/* --- Suite --- */

static TCase *
add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup_confined, teardown_arena);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void
add_copies(Suite *suite)
{
    TCase *tcase = add_case(suite, "copies");

    tcase_add_test(tcase, test_memdup_copies_any_size);
    tcase_add_test(tcase, test_copies_of_null_fail_einval);
    tcase_add_test(tcase, test_memdup_over_ptrdiff_max_fails_enomem);
    tcase_add_test(tcase, test_strdup_copies_text);
    tcase_add_test(tcase, test_strndup_copies_at_most_n);
    tcase_add_test(tcase, test_strndup_unterminated_reads_no_further);
    tcase_add_test(tcase, test_printf_formats_text);
    tcase_add_test(tcase, test_printf_long_text_is_whole);
    tcase_add_test(tcase, test_printf_unprintable_fails_einval);
    tcase_add_test(tcase, test_vprintf_formats_text);
}

static void
add_resize(Suite *suite)
{
    TCase *tcase = add_case(suite, "resize");

    tcase_add_test(tcase, test_resize_null_allocates_zeroed);
    tcase_add_test(tcase, test_resize_last_block_stays_in_place);
    tcase_add_test(tcase, test_resize_other_block_moves_and_keeps_old);
    tcase_add_test(tcase, test_resize_shrunk_then_grown_shows_zero);
    tcase_add_test(tcase, test_resize_stepwise_keeps_contents);
    tcase_add_test(tcase, test_resize_to_zero_gives_block);
    tcase_add_test(tcase, test_resize_failure_leaves_block);
    tcase_add_test(tcase, test_resize_foreign_block_fails_einval);
}

int
main(void)
{
    Suite *suite = suite_create("copies");

    add_copies(suite);
    add_resize(suite);
    return run_suite(suite);
}
