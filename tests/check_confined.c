/* check_confined.c: opening a confined arena, and allocating from it. */

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wchar.h>

#include "arena_harness.h"

static size_t limit_before;

static void
setup(void)
{
    limit_before = arena_limit();
    setup_confined();
}

static void
teardown(void)
{
    teardown_arena();
    (void)arena_set_limit(limit_before);
}

/* --- Open --- */

START_TEST(test_open_default_gives_accessible_confined_arena)
{
    ck_assert_int_eq(arena_kind(arena), ARENA_CONFINED);
    ck_assert(arena_is_alive(arena));
    ck_assert(arena_is_accessible(arena));
    ck_assert_str_eq(arena_name(arena), "");
}
END_TEST

START_TEST(test_open_success_leaves_errno)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *first, *second, *third;

    expect_ok(first = arena_confined());
    expect_ok(second = arena_open(ARENA_CONFINED, NULL));
    expect_ok(third = arena_open(ARENA_CONFINED, &options));
    ck_assert_ptr_ne(first, second);
    ck_assert_ptr_ne(second, third);
    expect_ok(arena_close(second));
    expect_ok(arena_close(first));
    expect_ok(arena_close(third));
}
END_TEST

START_TEST(test_open_is_counted_until_close)
{
    arena_usage_t before = usage_now();
    arena_t *other = arena_confined();
    arena_usage_t opened = usage_now();

    ck_assert_uint_eq(opened.kind[ARENA_CONFINED].count,
                      before.kind[ARENA_CONFINED].count + 1);
    ck_assert_uint_eq(opened.count, before.count + 1);
    expect_ok(arena_close(other));
    expect_usage(before);
}
END_TEST

START_TEST(test_open_unknown_kind_fails_einval)
{
    arena_usage_t before = usage_now();

    expect_fail(arena_open((arena_kind_t)5, NULL), EINVAL, "");
    expect_fail(arena_open((arena_kind_t)77, NULL), EINVAL, "");
    expect_usage(before);
}
END_TEST

START_TEST(test_open_unknown_flag_fails_einval)
{
    arena_usage_t before = usage_now();
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.flags = 1u << 30;
    expect_fail(arena_open(ARENA_CONFINED, &options), EINVAL, "");
    options.flags |= ARENA_GUARDED;
    expect_fail(arena_open(ARENA_CONFINED, &options), EINVAL, "");
    expect_usage(before);
}
END_TEST

START_TEST(test_open_options_of_no_size_fails_einval)
{
    arena_usage_t before = usage_now();
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.size = 0;
    expect_fail(arena_open(ARENA_CONFINED, &options), EINVAL, "");
    options.size = 3;
    expect_fail(arena_open(ARENA_CONFINED, &options), EINVAL, "");
    expect_usage(before);
}
END_TEST

START_TEST(test_open_name_is_copied)
{
    char name[] = "a name that the caller overwrites at once";
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *named;

    options.name = name;
    expect_ok(named = arena_open(ARENA_CONFINED, &options));
    memset(name, 'x', sizeof name - 1);
    ck_assert_str_eq(arena_name(named),
                     "a name that the caller overwrites at once");
    expect_ok(arena_close(named));
}
END_TEST

START_TEST(test_open_name_any_length_is_kept)
{
    char name[301];
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.name = name;
    for (size_t length = 0; length < sizeof name; length += 50) {
        arena_t *named;

        memset(name, 'n', length);
        name[length] = '\0';
        expect_ok(named = arena_open(ARENA_CONFINED, &options));
        ck_assert_str_eq(arena_name(named), name);
        expect_ok(arena_close(named));
    }
}
END_TEST

START_TEST(test_open_chunk_size_any_value_works)
{
    static const size_t hints[] = {1, 15, 17, 4096, 100000, 4194304};
    arena_options_t options = ARENA_OPTIONS_INIT;

    for (size_t i = 0; i < LENGTH(hints); i++) {
        arena_t *hinted;
        void *small, *large;

        options.chunk_size = hints[i];
        expect_ok(hinted = arena_open(ARENA_CONFINED, &options));
        expect_ok(small = arena_alloc(hinted, 24));
        expect_ok(large = arena_alloc(hinted, 50000));
        ck_assert(block_is_zero(small, 24));
        ck_assert(block_is_zero(large, 50000));
        expect_ok(arena_close(hinted));
    }
}
END_TEST

START_TEST(test_open_chunk_size_reserves_first_chunk)
{
    arena_t *roomy = open_roomy();

    expect_ok(arena_alloc(arena, 16));
    expect_ok(arena_alloc(roomy, 16));
    ck_assert_uint_ge(arena_bytes(roomy), 32 * KIB);
    ck_assert_uint_lt(arena_bytes(arena), arena_bytes(roomy));
    expect_ok(arena_close(roomy));
}
END_TEST

/* --- Alloc --- */

START_TEST(test_alloc_any_small_size_is_zero_and_aligned)
{
    size_t wrong = 0;

    for (size_t size = 0; size <= 4200; size++) {
        char *block = arena_alloc(arena, size);

        if (block == NULL || !is_aligned(block, _Alignof(max_align_t))
            || !block_is_zero(block, size) || arena_of(block) != arena) {
            wrong++;
            continue;
        }
        memset(block, 0x5a, size);
    }
    ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(test_alloc_large_size_is_zero_and_aligned)
{
    size_t size = ((size_t)1 << (unsigned)_i) + 1;
    char *block;

    expect_ok(block = arena_alloc(arena, size));
    ck_assert(is_aligned(block, _Alignof(max_align_t)));
    ck_assert(block_is_zero(block, size));
    fill_block(block, size, 1);
    expect_ok(arena_alloc(arena, 16));
    ck_assert(block_holds(block, size, 1));
}
END_TEST

START_TEST(test_alloc_zero_size_is_distinct_and_aligned)
{
    enum { COUNT = 3000 };
    static struct extent extents[COUNT];
    size_t wrong = 0;

    for (size_t i = 0; i < COUNT; i++) {
        extents[i].size = i % 3 == 0 ? 8 : 0;
        extents[i].start = arena_alloc(arena, extents[i].size);
        if (extents[i].start == NULL
            || !is_aligned(extents[i].start, _Alignof(max_align_t))
            || arena_of(extents[i].start) != arena)
            wrong++;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert(extents_disjoint(extents, COUNT));
}
END_TEST

START_TEST(test_alloc_success_leaves_errno)
{
    expect_ok(arena_alloc(arena, 0));
    expect_ok(arena_alloc(arena, 100));
    expect_ok(arena_alloc(arena, 10 * MIB));
}
END_TEST

START_TEST(test_alloc_over_ptrdiff_max_fails_enomem_at_once)
{
    size_t over = opaque_size((size_t)PTRDIFF_MAX + 1);
    arena_usage_t before = usage_now();
    uint64_t start = clock_ns();
    char number[32];

    snprintf(number, sizeof number, "%zu", over);
    expect_fail(arena_alloc(arena, over), ENOMEM, number);
    expect_fail(arena_alloc(arena, opaque_size(SIZE_MAX)), ENOMEM,
                "18446744073709551615");
    expect_fail(arena_alloc_uninit(arena, over), ENOMEM, number);
    expect_fail(arena_alloc_aligned(arena, over, 1), ENOMEM, number);
    expect_fail(arena_resize(arena, NULL, 0, over), ENOMEM, number);
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 250 * MS_NS);
    expect_usage(before);
    expect_ok(arena_alloc(arena, 16));
}
END_TEST

START_TEST(test_alloc_over_budget_limit_fails_enomem_at_once)
{
    arena_usage_t before;
    uint64_t start;

    expect_ok(arena_alloc(arena, 16));
    ck_assert_int_eq(arena_set_limit(64 * MIB), 0);
    before = usage_now();
    start = clock_ns();
    expect_fail(arena_alloc(arena, 100 * MIB), ENOMEM, "67108864");
    expect_fail(arena_alloc(arena, opaque_size(PTRDIFF_MAX)), ENOMEM, "");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 250 * MS_NS);
    expect_usage(before);
    expect_ok(arena_alloc(arena, MIB));
}
END_TEST

START_TEST(test_alloc_refused_by_system_fails_enomem_unchanged)
{
    arena_usage_t before;
    size_t bytes;

    ck_assert_int_eq(arena_set_limit(ARENA_UNLIMITED), 0);
    expect_ok(arena_alloc(arena, 16));
    before = usage_now();
    bytes = arena_bytes(arena);
    expect_fail(arena_alloc(arena, opaque_size((size_t)1 << 60)), ENOMEM, "");
    expect_usage(before);
    ck_assert_uint_eq(arena_bytes(arena), bytes);
    expect_ok(arena_alloc(arena, 16));
}
END_TEST

START_TEST(test_alloc_is_counted_until_close)
{
    arena_usage_t before = usage_now();
    arena_t *other = arena_confined();
    arena_usage_pool_t was = before.kind[ARENA_CONFINED];
    arena_usage_pool_t is;

    for (size_t i = 0; i < 1000; i++)
        ck_assert_ptr_nonnull(arena_alloc(other, 160));
    ck_assert_ptr_nonnull(arena_alloc(other, 3 * MIB));
    is = usage_now().kind[ARENA_CONFINED];
    ck_assert_uint_eq(is.requested - was.requested, 160000 + 3 * MIB);
    ck_assert_uint_ge(is.reserved - was.reserved, 160000 + 3 * MIB);
    ck_assert_uint_eq(is.reserved - was.reserved, arena_bytes(other));
    expect_ok(arena_close(other));
    expect_usage(before);
}
END_TEST

/* Of libgc: has the collector been started? */
extern int GC_is_init_called(void);

/* What comes after the first block: nothing of it may change what the first
 * chunk counts for. */
static void
then_another_chunk(arena_t *a)
{
    expect_ok(arena_alloc(a, 4000));
}

static void
then_big_block(arena_t *a)
{
    expect_ok(arena_alloc(a, 100 * KIB));
}

static void
then_acquire(arena_t *a)
{
    expect_ok(arena_acquire(a));
    expect_ok(arena_release(a));
}

static void
then_action(arena_t *a)
{
    expect_ok(arena_on_close(a, free, NULL));
}

static void
then_mark(arena_t *a)
{
    arena_mark_t mark;

    expect_ok(arena_mark(a, &mark));
    expect_ok(arena_alloc(a, 50 * KIB));
    expect_ok(arena_rewind(a, mark));
}

static void
then_child(arena_t *a)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *child;

    options.parent = a;
    expect_ok(child = arena_open(ARENA_CONFINED, &options));
    expect_ok(arena_close(child));
}

static void
then_reset(arena_t *a)
{
    expect_ok(arena_reset(a));
    expect_ok(arena_alloc(a, 32));
}

static void (*const thens[])(arena_t *) = {
    then_another_chunk, then_big_block, then_acquire, then_action,
    then_mark,          then_child,     then_reset,
};

#define THENS ((int)(sizeof thens / sizeof *thens))

START_TEST(test_alloc_bytes_are_exact_whatever_follows_first_block)
{
    arena_usage_t before = usage_now(), after;
    arena_t *a;

    for (int i = 0; i < 300; i++) {
        expect_ok(a = arena_confined());
        ck_assert_uint_eq(arena_bytes(a), 0);
        expect_ok(arena_alloc(a, 32));
        ck_assert_uint_eq(arena_bytes(a), 4 * KIB);
        thens[_i](a);
        ck_assert_uint_ge(arena_bytes(a), 4 * KIB);
        after = usage_now();
        ck_assert_uint_eq(after.kind[ARENA_CONFINED].reserved
                              - before.kind[ARENA_CONFINED].reserved,
                          arena_bytes(a));
        ck_assert_uint_eq(after.kind[ARENA_CONFINED].count,
                          before.kind[ARENA_CONFINED].count + 1);
        expect_ok(arena_close(a));
        expect_usage(before);
    }
}
END_TEST

/* Blocks of first chunks of every kind. */
static const struct {
    size_t size, count;
} firsts[] = {
    {4 * KIB, 1},   {4 * KIB, 10},   {9000, 1},      {16 * KIB, 1},
    {16 * KIB, 10}, {20000, 1},      {64 * KIB, 1},  {64 * KIB, 10},
    {64 * KIB, 30}, {64 * KIB + 1, 1}, {500 * KIB, 2}, {1000, 1000},
};

static size_t
confined_reserved(const arena_usage_t *before)
{
    return usage_now().kind[ARENA_CONFINED].reserved
           - before->kind[ARENA_CONFINED].reserved;
}

START_TEST(test_alloc_bytes_are_exact_whatever_the_first_blocks)
{
    size_t size = firsts[_i].size, count = firsts[_i].count;
    arena_usage_t before = usage_now(), is;
    arena_t *a;

    for (size_t i = 0; i < 3 * LENGTH(thens); i++) {
        expect_ok(a = arena_confined());
        for (size_t k = 0; k < count; k++) {
            char *block = k % 2 == 0 ? arena_alloc(a, size)
                                     : arena_alloc_uninit(a, size);

            if (block == NULL || (k % 2 == 0 && !block_is_zero(block, size)))
                ck_abort_msg("block %zu: %s", k, arena_error());
            memset(block, 0xa5, size);
        }
        is = usage_now();
        ck_assert_uint_eq(POOL(is, ARENA_CONFINED).requested
                              - POOL(before, ARENA_CONFINED).requested,
                          size * count);
        ck_assert_uint_ge(arena_bytes(a), size * count);
        ck_assert_uint_eq(confined_reserved(&before), arena_bytes(a));
        thens[i % LENGTH(thens)](a);
        ck_assert_uint_eq(confined_reserved(&before), arena_bytes(a));
        expect_ok(arena_close(a));
        expect_usage(before);
    }
}
END_TEST

/* All pages of a block are of one arena, and then of another. */
START_TEST(test_alloc_every_page_is_the_arenas_until_close)
{
    static const size_t sizes[] = {5000,      16 * KIB, 64 * KIB,
                                   500 * KIB, 3 * MIB,  20 * MIB};
    size_t size = sizes[_i];
    arena_t *a;

    for (int round = 0; round < 3; round++) {
        char *block[3];

        expect_ok(a = arena_confined());
        for (size_t i = 0; i < LENGTH(block); i++) {
            expect_ok(block[i] = arena_alloc_uninit(a, size));
            for (size_t at = 0; at < size; at += 4096)
                ck_assert_ptr_eq(arena_of(block[i] + at), a);
            ck_assert_ptr_eq(arena_of(block[i] + size - 1), a);
        }
        expect_ok(arena_close(a));
        for (size_t i = 0; i < LENGTH(block); i++)
            for (size_t at = 0; at < size; at += 4096)
                ck_assert_ptr_null(arena_of(block[i] + at));
        if (round == 1)
            expect_ok(arena_trim());
    }
}
END_TEST

START_TEST(test_alloc_explicit_kinds_start_no_collector)
{
    arena_t *shared = arena_shared();

    for (size_t size = 1; size < 4 * MIB; size *= 3) {
        ck_assert_ptr_nonnull(arena_alloc(arena, size));
        ck_assert_ptr_nonnull(arena_alloc(shared, size));
        ck_assert_ptr_nonnull(arena_alloc(arena_global(), size));
    }
    expect_ok(arena_reset(shared));
    expect_ok(arena_close(shared));
    ck_assert_int_eq(GC_is_init_called(), 0);
    ck_assert_uint_eq(usage_now().collections, 0);
}
END_TEST

/* --- Aligned --- */

START_TEST(test_aligned_any_power_of_two_is_honoured)
{
    static const size_t sizes[] = {0, 1, 7, 64, 1000, 5000, 70000};
    size_t align = (size_t)1 << (unsigned)_i;

    for (size_t i = 0; i < LENGTH(sizes); i++) {
        char *block;

        expect_ok(arena_alloc(arena, 1));
        expect_ok(block = arena_alloc_aligned(arena, sizes[i], align));
        ck_assert(is_aligned(block, align));
        ck_assert(block_is_zero(block, sizes[i]));
        ck_assert_ptr_eq(arena_of(block), arena);
        memset(block, 0xff, sizes[i]);
    }
}
END_TEST

START_TEST(test_aligned_bad_alignment_fails_einval)
{
    static const size_t bad[] = {
        0, 3, 5, 6, 12, 24, 100, SIZE_MAX, SIZE_MAX - 1, PTRDIFF_MAX};
    arena_usage_t before = usage_now();

    for (size_t i = 0; i < LENGTH(bad); i++) {
        expect_fail(arena_alloc_aligned(arena, 8, bad[i]), EINVAL, "");
        expect_fail(arena_alloc_aligned(arena, 0, bad[i]), EINVAL, "");
    }
    expect_usage(before);
}
END_TEST

START_TEST(test_aligned_huge_alignment_fails_enomem)
{
    arena_usage_t before;

    ck_assert_int_eq(arena_set_limit(ARENA_UNLIMITED), 0);
    before = usage_now();
    for (unsigned shift = 60; shift < 64; shift++)
        expect_fail(arena_alloc_aligned(arena, 8, (size_t)1 << shift), ENOMEM,
                    "");
    expect_usage(before);
    expect_ok(arena_alloc_aligned(arena, 8, 64));
}
END_TEST

/* --- Array and new --- */

START_TEST(test_array_product_is_zero_and_usable)
{
    uint32_t *numbers;

    expect_ok(numbers = arena_alloc_array(arena, 10001, sizeof *numbers));
    ck_assert(block_is_zero(numbers, 10001 * sizeof *numbers));
    ck_assert(is_aligned(numbers, _Alignof(max_align_t)));
    fill_block(numbers, 10001 * sizeof *numbers, 3);
    expect_ok(arena_alloc_array(arena, 7, 7));
    ck_assert(block_holds(numbers, 10001 * sizeof *numbers, 3));
}
END_TEST

START_TEST(test_array_overflow_fails_enomem_at_once)
{
    static const size_t factors[][2] = {
        {SIZE_MAX, 2},
        {2, SIZE_MAX},
        {SIZE_MAX / 2 + 1, 2},
        {SIZE_MAX, SIZE_MAX},
        {(size_t)1 << 32, (size_t)1 << 32},
        {PTRDIFF_MAX, 2},
        {SIZE_MAX / 3 + 1, 3},
    };
    arena_usage_t before = usage_now();
    uint64_t start = clock_ns();

    for (size_t i = 0; i < LENGTH(factors); i++)
        expect_fail(arena_alloc_array(arena, opaque_size(factors[i][0]),
                                      opaque_size(factors[i][1])),
                    ENOMEM, "");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 250 * MS_NS);
    expect_usage(before);
}
END_TEST

START_TEST(test_array_of_nothing_is_distinct)
{
    void *none, *empty, *neither;

    expect_ok(none = arena_alloc_array(arena, 0, 16));
    expect_ok(empty = arena_alloc_array(arena, 16, 0));
    expect_ok(neither = arena_alloc_array(arena, 0, 0));
    expect_ok(arena_alloc_array(arena, 0, opaque_size(SIZE_MAX)));
    ck_assert_ptr_ne(none, empty);
    ck_assert_ptr_ne(empty, neither);
    ck_assert_ptr_ne(none, neither);
}
END_TEST

struct wide {
    _Alignas(256) char first;
    double second;
};

START_TEST(test_new_object_is_zero_and_aligned_for_its_type)
{
    for (size_t i = 0; i < 20; i++) {
        struct wide *wide;
        char *letter;

        expect_ok(letter = arena_new(arena, char));
        expect_ok(wide = arena_new(arena, struct wide));
        ck_assert_int_eq(*letter, 0);
        ck_assert(is_aligned(wide, _Alignof(struct wide)));
        ck_assert(block_is_zero(wide, sizeof *wide));
        wide->second = 1.5;
        *letter = 'a';
    }
}
END_TEST

START_TEST(test_new_array_counts_elements)
{
    double *numbers;

    expect_ok(numbers = arena_new_array(arena, double, 500));
    ck_assert(block_is_zero(numbers, 500 * sizeof *numbers));
    for (size_t i = 0; i < 500; i++)
        numbers[i] = (double)i;
    expect_ok(arena_new_array(arena, char, 0));
    ck_assert(numbers[499] >= 499.0 && numbers[499] <= 499.0);
    expect_fail(arena_new_array(arena, double, opaque_size(SIZE_MAX)), ENOMEM,
                "");
}
END_TEST

START_TEST(test_uninit_any_size_is_aligned_and_usable)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 300000, 3000000};

    for (size_t i = 0; i < LENGTH(sizes); i++) {
        void *block;

        expect_ok(block = arena_alloc_uninit(arena, sizes[i]));
        ck_assert(is_aligned(block, _Alignof(max_align_t)));
        ck_assert_ptr_eq(arena_of(block), arena);
        fill_block(block, sizes[i], i);
        expect_ok(arena_alloc_uninit(arena, 33));
        ck_assert(block_holds(block, sizes[i], i));
    }
}
END_TEST

/* --- Limit --- */

START_TEST(test_limit_passed_fails_enomem_with_the_limit)
{
    arena_t *limited = open_limited(300 * KIB);
    arena_usage_t before = usage_now();

    expect_fail(arena_alloc(limited, MIB), ENOMEM, "307200");
    expect_usage(before);
    expect_ok(arena_alloc(limited, 100 * KIB));
    expect_ok(arena_close(limited));
}
END_TEST

START_TEST(test_limit_by_small_blocks_is_never_passed)
{
    size_t limit = 400 * KIB;
    arena_t *limited = open_limited(limit);
    size_t granted = 0;
    arena_usage_t full;

    while (arena_alloc(limited, 1000) != NULL) {
        granted += 1000;
        ck_assert_uint_le(arena_bytes(limited), limit);
    }
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_uint_gt(granted, 0);
    ck_assert_uint_le(granted, limit);
    full = usage_now();
    expect_fail(arena_alloc(limited, 1000), ENOMEM, "409600");
    expect_usage(full);
    ck_assert(arena_is_alive(limited));
    expect_ok(arena_close(limited));
}
END_TEST

START_TEST(test_limit_is_free_again_after_reset)
{
    arena_t *limited = open_limited(2 * MIB);

    for (size_t round = 0; round < 5; round++) {
        expect_ok(arena_alloc(limited, 3 * MIB / 2));
        expect_fail(arena_alloc(limited, 3 * MIB / 2), ENOMEM, "2097152");
        expect_ok(arena_reset(limited));
    }
    expect_ok(arena_close(limited));
}
END_TEST

START_TEST(test_limit_of_one_arena_spares_others)
{
    arena_t *limited = open_limited(100 * KIB);

    expect_fail(arena_alloc(limited, MIB), ENOMEM, "102400");
    expect_ok(arena_alloc(arena, MIB));
    expect_ok(arena_close(limited));
}
END_TEST

/* --- Suite --- */

static TCase *
add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void
add_open(Suite *suite)
{
    TCase *tcase = add_case(suite, "open");

    tcase_add_test(tcase, test_open_default_gives_accessible_confined_arena);
    tcase_add_test(tcase, test_open_success_leaves_errno);
    tcase_add_test(tcase, test_open_is_counted_until_close);
    tcase_add_test(tcase, test_open_unknown_kind_fails_einval);
    tcase_add_test(tcase, test_open_unknown_flag_fails_einval);
    tcase_add_test(tcase, test_open_options_of_no_size_fails_einval);
    tcase_add_test(tcase, test_open_name_is_copied);
    tcase_add_test(tcase, test_open_name_any_length_is_kept);
    tcase_add_test(tcase, test_open_chunk_size_any_value_works);
    tcase_add_test(tcase, test_open_chunk_size_reserves_first_chunk);
}

static void
add_alloc(Suite *suite)
{
    TCase *tcase = add_case(suite, "alloc");

    tcase_add_test(tcase, test_alloc_any_small_size_is_zero_and_aligned);
    tcase_add_loop_test(tcase, test_alloc_large_size_is_zero_and_aligned, 12,
                        27);
    tcase_add_test(tcase, test_alloc_zero_size_is_distinct_and_aligned);
    tcase_add_test(tcase, test_alloc_success_leaves_errno);
    tcase_add_test(tcase, test_alloc_over_ptrdiff_max_fails_enomem_at_once);
    tcase_add_test(tcase, test_alloc_over_budget_limit_fails_enomem_at_once);
    tcase_add_test(tcase, test_alloc_refused_by_system_fails_enomem_unchanged);
    tcase_add_test(tcase, test_alloc_is_counted_until_close);
    tcase_add_loop_test(
        tcase, test_alloc_bytes_are_exact_whatever_follows_first_block, 0,
        THENS);
    tcase_add_loop_test(
        tcase, test_alloc_bytes_are_exact_whatever_the_first_blocks, 0,
        LENGTH(firsts));
    tcase_add_loop_test(
        tcase, test_alloc_every_page_is_the_arenas_until_close, 0, 6);
    tcase_add_test(tcase, test_alloc_explicit_kinds_start_no_collector);
}

static void
add_variants(Suite *suite)
{
    TCase *aligned = add_case(suite, "aligned");
    TCase *array = add_case(suite, "array");

    tcase_add_loop_test(aligned, test_aligned_any_power_of_two_is_honoured, 0,
                        24);
    tcase_add_test(aligned, test_aligned_bad_alignment_fails_einval);
    tcase_add_test(aligned, test_aligned_huge_alignment_fails_enomem);
    tcase_add_test(array, test_array_product_is_zero_and_usable);
    tcase_add_test(array, test_array_overflow_fails_enomem_at_once);
    tcase_add_test(array, test_array_of_nothing_is_distinct);
    tcase_add_test(array, test_new_object_is_zero_and_aligned_for_its_type);
    tcase_add_test(array, test_new_array_counts_elements);
    tcase_add_test(array, test_uninit_any_size_is_aligned_and_usable);
}

static void
add_limit(Suite *suite)
{
    TCase *tcase = add_case(suite, "limit");

    tcase_add_test(tcase, test_limit_passed_fails_enomem_with_the_limit);
    tcase_add_test(tcase, test_limit_by_small_blocks_is_never_passed);
    tcase_add_test(tcase, test_limit_is_free_again_after_reset);
    tcase_add_test(tcase, test_limit_of_one_arena_spares_others);
}

int
main(void)
{
    Suite *suite = suite_create("confined");

    add_open(suite);
    add_alloc(suite);
    add_variants(suite);
    add_limit(suite);
    return run_suite(suite);
}
