/*
 * check_walk.c: values and layouts that are meant to do harm, numbers at the
 * ends of their ranges, pieces of all sizes, closing and collecting meanwhile.
 */

#include "config.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <arena/heap.h>
#include <arena/layout.h>

#include "gc_harness.h"
#include "layout_harness.h"

/* --- Ranges --- */

/* The least and the most that each integer holds. */
static const struct range {
    const arena_layout_t *layout;
    bool is_signed;
} ranges[] = {{&arena_layout_i8, true},      {&arena_layout_u8, false},
              {&arena_layout_i16_be, true},  {&arena_layout_u16_be, false},
              {&arena_layout_i32_be, true},  {&arena_layout_u32_be, false},
              {&arena_layout_i64_be, true},  {&arena_layout_u64_be, false},
              {&arena_layout_i16_le, true},  {&arena_layout_u16_le, false},
              {&arena_layout_short, true},   {&arena_layout_int, true},
              {&arena_layout_uint, false},   {&arena_layout_long, true},
              {&arena_layout_ulong, false},  {&arena_layout_size_t, false}};

static int64_t
range_least(const struct range *range)
{
    size_t bits = 8 * range->layout->size;

    return range->is_signed ? -(int64_t)((uint64_t)1 << (bits - 1) >> 1) * 2
                            : 0;
}

static uint64_t
range_most(const struct range *range)
{
    size_t bits = 8 * range->layout->size - range->is_signed;

    return UINT64_MAX >> (64 - bits);
}

/* A number through a layout whose value is the widest of its sign. */
static void
expect_signed(const arena_layout_t *layout, int64_t number, bool fits)
{
    char text[32];

    if (fits) {
        ck_assert_int_eq(
            *(int64_t *)deserialized(layout, serialized(layout, &number)),
            number);
        return;
    }
    snprintf(text, sizeof text, "%" PRId64 " does not fit", number);
    expect_fail(arena_serialize(arena, layout, &number), ERANGE, text);
}

static void
expect_unsigned(const arena_layout_t *layout, uint64_t number, bool fits)
{
    char text[40];

    if (fits) {
        ck_assert_uint_eq(
            *(uint64_t *)deserialized(layout, serialized(layout, &number)),
            number);
        return;
    }
    snprintf(text, sizeof text, "%" PRIu64 " does not fit", number);
    expect_fail(arena_serialize(arena, layout, &number), ERANGE, text);
}

START_TEST(test_int_ends_of_the_range)
{
    const struct range *range = &ranges[_i];
    const arena_layout_t *from_signed = there(
        arena_layout_number(arena, range->layout, &arena_layout_i64));
    const arena_layout_t *from_unsigned = there(
        arena_layout_number(arena, range->layout, &arena_layout_u64));
    int64_t least = range_least(range);
    uint64_t most = range_most(range);

    expect_signed(from_signed, least, true);
    if (least > INT64_MIN)
        expect_signed(from_signed, least - 1, false);
    expect_signed(from_signed,
                  most < INT64_MAX ? (int64_t)most : INT64_MAX, true);
    if (most < INT64_MAX)
        expect_signed(from_signed, (int64_t)most + 1, false);
    expect_unsigned(from_unsigned, most, true);
    if (most < UINT64_MAX)
        expect_unsigned(from_unsigned, most + 1, false);
    expect_unsigned(from_unsigned, UINT64_MAX, most == UINT64_MAX);
}
END_TEST

/* --- Numbers over INT64_MAX --- */

#define TOP ((uint64_t)1 << 63)
#define LAST UINT64_MAX

ARENA_ENUM(wide_layout, uint64_t, ARENA_VARIANT(TOP), ARENA_VARIANT(LAST),
           ARENA_VARIANT(0));
ARENA_ENUM_AS(narrow_layout, int8_t, uint64_t, ARENA_BIG_ENDIAN,
              {"minus", -1}, {"one", 1});
ARENA_FLAGS(wide_flags, uint64_t, ARENA_VARIANT(TOP), ARENA_VARIANT(1));

START_TEST(test_enum_over_int64_max)
{
    const uint64_t good[] = {TOP, LAST, 0}, bad[] = {1, TOP + 1, LAST - 1};
    int64_t value;

    for (size_t i = 0; i < LENGTH(good); i++) {
        ck_assert_uint_eq(*(uint64_t *)deserialized(
                              &wide_layout,
                              serialized(&wide_layout, &good[i])),
                          good[i]);
        expect_fail(arena_serialize(arena, &wide_layout, &bad[i]), EINVAL,
                    "no variant");
    }
    expect_ok(arena_layout_variant_value(&wide_layout, "TOP", &value));
    ck_assert_uint_eq((uint64_t)value, TOP);
    ck_assert_str_eq(arena_layout_variant_name(&wide_layout, (int64_t)LAST),
                     "LAST");
}
END_TEST

/* What is -1 there is not the largest number here. */
START_TEST(test_enum_minus_one_is_not_the_largest)
{
    const uint64_t largest = UINT64_MAX;
    const int8_t minus = -1;

    expect_fail(arena_deserialize(arena, &narrow_layout, &largest, 8), ERANGE,
                "does not fit i8");
    expect_fail(arena_serialize(arena, &narrow_layout, &minus), ERANGE,
                "-1 does not fit u64");
}
END_TEST

START_TEST(test_flags_of_bit_63)
{
    const uint64_t good = TOP | 1, bad = TOP | 2;

    ck_assert_uint_eq(
        *(uint64_t *)deserialized(&wide_flags, serialized(&wide_flags, &good)),
        good);
    expect_fail(arena_serialize(arena, &wide_flags, &bad), EINVAL, "0x2");
}
END_TEST

struct tagged {
    uint64_t tag;
    union number {
        uint32_t whole;
        float broken;
    } number;
};

ARENA_UNION(number_layout, union number, 0,
            ARENA_CASE(union number, whole, arena_layout_u32, 1),
            ARENA_CASE(union number, broken, arena_layout_f32, (int64_t)LAST));
ARENA_STRUCT(tagged_layout, struct tagged,
             ARENA_MEMBER(struct tagged, tag, arena_layout_u64),
             ARENA_MEMBER_BY(struct tagged, number, number_layout, tag));

START_TEST(test_union_tag_over_int64_max)
{
    struct tagged value = {LAST, {.broken = 0.5f}};
    const struct tagged *copy = serialized(&tagged_layout, &value);

    ck_assert(copy->number.broken == 0.5f);
    value.tag = LAST - 1;
    expect_fail(arena_serialize(arena, &tagged_layout, &value), EINVAL,
                "no member of union number has the tag 18446744073709551614");
}
END_TEST

/* --- Pieces of all sizes --- */

struct piece {
    size_t count;
    uint32_t *numbers;
    char *text, *text_again;
    uint32_t *again;
    struct piece *self;
};

ARENA_FORWARD(piece_layout, struct piece);
ARENA_POINTER(piece_pointer, piece_layout);
ARENA_POINTER(numbers_pointer, arena_layout_u32_be);
ARENA_STRUCT(piece_layout, struct piece,
             ARENA_MEMBER(struct piece, count, arena_layout_size_t),
             ARENA_MEMBER_BY(struct piece, numbers, numbers_pointer, count),
             ARENA_MEMBER(struct piece, text, arena_layout_string),
             ARENA_MEMBER(struct piece, text_again, arena_layout_string),
             ARENA_MEMBER_BY(struct piece, again, numbers_pointer, count),
             ARENA_MEMBER(struct piece, self, piece_pointer));

static const size_t counts[] = {0,   1,    2,    63,    255,   256,  257,
                                511, 512,  513,  1023,  2047,  2048, 2049,
                                10000, 100000};

static void
piece_make(struct piece *piece, size_t count)
{
    piece->count = count;
    piece->numbers = malloc((count + 1) * sizeof *piece->numbers);
    piece->text = malloc(count + 1);
    ck_assert(piece->numbers != NULL && piece->text != NULL);
    for (size_t i = 0; i < count; i++) {
        piece->numbers[i] = (uint32_t)(i * 2654435761u);
        piece->text[i] = (char)('a' + i % 26);
    }
    piece->text[count] = '\0';
    piece->text_again = piece->text;
    piece->again = piece->numbers;
    piece->self = piece;
}

static void
expect_piece(const struct piece *piece, const struct piece *expected,
             bool swapped)
{
    size_t differing = 0;

    ck_assert_uint_eq(piece->count, expected->count);
    for (size_t i = 0; i < piece->count; i++) {
        uint32_t number = expected->numbers[i];

        differing += piece->numbers[i]
                     != (swapped ? __builtin_bswap32(number) : number);
    }
    ck_assert_uint_eq(differing, 0);
    ck_assert_str_eq(piece->text, expected->text);
    ck_assert_ptr_eq(piece->text_again, piece->text);
    ck_assert_ptr_eq(piece->again, piece->numbers);
    ck_assert_ptr_eq(piece->self, piece);
    ck_assert(is_aligned(piece->numbers, _Alignof(uint32_t)));
    ck_assert_ptr_eq(arena_of(piece->numbers), arena);
    ck_assert_ptr_eq(arena_of(piece->text), arena);
}

START_TEST(test_pieces_of_all_sizes)
{
    bool swapped = ARENA_NATIVE_ENDIAN == ARENA_LITTLE_ENDIAN;
    struct piece piece, back;
    struct piece *data;

    piece_make(&piece, counts[_i]);
    data = serialized(&piece_layout, &piece);
    expect_piece(data, &piece, swapped);
    expect_piece(deserialized(&piece_layout, data), &piece, false);
    expect_ok(arena_deserialize_into(&back, sizeof back, arena, &piece_layout,
                                     data, sizeof *data));
    expect_piece(&back, &piece, false);
    free(piece.numbers);
    free(piece.text);
}
END_TEST

/* Each at its own alignment, the large ones too. */
START_TEST(test_pieces_are_aligned)
{
    const arena_layout_t *wide =
        there(arena_layout_aligned(arena, &arena_layout_u64, 8));
    const arena_layout_t *raw = there(arena_layout_raw(arena, 4096, 4096));
    const arena_layout_member_t members[] = {
        {"n", &arena_layout_u64, 0, 0, NULL, 0},
        {"text", &arena_layout_string, 0, 0, NULL, 0},
        {"wide", there(arena_layout_pointer(arena, wide)), 0, 0, "n", 0},
        {"raw", there(arena_layout_pointer(arena, raw)), 0, 0, NULL, 0},
        {"raws", there(arena_layout_pointer(arena, raw)), 0, 0, "n", 0}};
    struct {
        uint64_t n;
        const char *text;
        uint64_t *wide;
        void *raw, *raws;
    } value = {2, "odd", NULL, NULL, NULL}, *copy;
    char *bytes = calloc(3, 4096);
    uint64_t wides[2] = {1, 2};

    value.wide = wides;
    value.raw = bytes;
    value.raws = bytes + 4096;
    memset(bytes + 4096, 'x', 8192);
    copy = serialized(
        there(arena_layout_struct(arena, NULL, members, 5, NULL)), &value);
    ck_assert(is_aligned(copy->wide, 8));
    ck_assert(is_aligned(copy->raw, 4096));
    ck_assert(is_aligned(copy->raws, 4096));
    ck_assert_mem_eq(copy->raws, bytes + 4096, 8192);
    ck_assert_mem_eq(copy->raw, bytes, 4096);
    free(bytes);
}
END_TEST

/* An address is copied as it is, a function's too. */
typedef int (*compare_function)(const void *, const void *);

struct callback {
    compare_function function;
    void *context;
};

ARENA_STRUCT(callback_layout, struct callback,
             ARENA_MEMBER(struct callback, function, arena_layout_address),
             ARENA_MEMBER(struct callback, context, arena_layout_address));

static int
compare(const void *a, const void *b)
{
    return a < b ? -1 : a > b;
}

START_TEST(test_addresses_are_copied_as_they_are)
{
    struct callback value = {compare, &value};
    const struct callback *copy = deserialized(
        &callback_layout, serialized(&callback_layout, &value));

    ck_assert(copy->function == compare);
    ck_assert_ptr_eq(copy->context, &value);
}
END_TEST

/* --- Memory that is known --- */

struct span {
    uint32_t length;
    char *bytes;
};

ARENA_POINTER(bytes_pointer, arena_layout_char);
ARENA_STRUCT(span_layout, struct span,
             ARENA_MEMBER(struct span, length, arena_layout_u32),
             ARENA_MEMBER_BY(struct span, bytes, bytes_pointer, length));

/* Implicit blocks end where they were asked to, not where there is room. */
START_TEST(test_implicit_block_ends_exactly)
{
    struct span span = {100, arena_alloc(NULL, 100)};

    ck_assert_ptr_nonnull(serialized(&span_layout, &span));
    span.length = 101;
    expect_fail(arena_serialize(arena, &span_layout, &span), ERANGE, "ends");
    span.bytes += 100;
    expect_fail(arena_serialize(arena, &span_layout, &span), ERANGE, "ends");
    span.length = 0;
    ck_assert_ptr_nonnull(serialized(&span_layout, &span));
    memset(span.bytes - 100, 'x', 100);
    span.bytes -= 100;
    expect_fail(arena_serialize(arena, &arena_layout_string, &span.bytes),
                ERANGE, "ends");
    arena_free(span.bytes);
}
END_TEST

/* As long as the library has it at hand: not when it collects all the time. */
START_TEST(test_freed_block_fails)
{
    char *text;

    if (malloc_is_replaced() || ARENA_DEBUG_STRESS)
        return;
    text = arena_malloc(40);
    ck_assert(text != NULL);
    strcpy(text, "text");
    ck_assert_ptr_nonnull(serialized(&arena_layout_string, &text));
    arena_free(text);
    expect_fail(arena_serialize(arena, &arena_layout_string, &text), ESTALE,
                "freed");
}
END_TEST

/* Nothing is read there: no harm. */
START_TEST(test_nothing_at_the_copy_is_no_overlap)
{
    struct span out, span = {0, (char *)&out};

    expect_ok(arena_serialize_into(&out, sizeof out, arena, &span_layout,
                                   &span));
    span.length = 1;
    expect_fail(arena_serialize_into(&out, sizeof out, arena, &span_layout,
                                     &span),
                EINVAL, "bytes of struct span: it lies where the copy");
}
END_TEST

/* --- Hostile layouts --- */

/* Each member of a union may be where a pointer is that did not hold. */
START_TEST(test_unions_in_unions_take_no_time)
{
    const arena_layout_t *bad = there(
        arena_layout_enum(arena, "none", &arena_layout_u8, NULL, 0));
    const arena_layout_t *nested = &arena_layout_u64;
    arena_layout_member_t members[3];
    const char *target = "x", *value[2] = {(const char *)&target, NULL};
    const arena_layout_t *pointer = there(arena_layout_pointer(arena, bad));

    memset(members, 0, sizeof members);
    for (size_t i = 0; i < 60; i++) {
        members[0].name = "a";
        members[1].name = "b";
        members[0].layout = members[1].layout = nested;
        nested = there(
            arena_layout_union(arena, "nested", members, 2, NULL, NULL));
    }
    members[0].layout = members[1].layout = nested;
    members[2].name = "pointer";
    members[2].layout = pointer;
    members[2].tag = 7;
    members[0].layout =
        there(arena_layout_union(arena, "all", members, 3, NULL, NULL));
    members[0].name = "held";
    members[0].by = "tag";
    members[1].name = "tag";
    members[1].layout = &arena_layout_u64;
    value[1] = (const char *)(uintptr_t)7;
    expect_fail(
        arena_serialize(
            arena,
            there(arena_layout_struct(arena, "outer", members, 2, NULL)),
            value),
        EINVAL, "of outer: no variant of none is ");
}
END_TEST

/* Nothing is in them, however many there are. */
START_TEST(test_endless_nothing_takes_no_time)
{
    const arena_layout_t *nothing =
        there(arena_layout_struct(arena, "nothing", NULL, 0, NULL));
    struct span span = {UINT32_MAX, (char *)&span};
    arena_layout_member_t members[2];

    memset(members, 0, sizeof members);
    for (size_t i = 0; i < 50; i++) {
        members[0].layout = members[1].layout = nothing;
        nothing =
            there(arena_layout_struct(arena, "nothing", members, 2, NULL));
    }
    nothing = there(arena_layout_array(arena, nothing, SIZE_MAX));
    ck_assert_ptr_nonnull(serialized(nothing, &span));
    members[0] = (arena_layout_member_t){"n", &arena_layout_u32, 0, 0, NULL,
                                         0};
    members[1] = (arena_layout_member_t){
        "all", there(arena_layout_pointer(arena, nothing)), 0, 0, "n", 0};
    ck_assert_ptr_nonnull(serialized(
        there(arena_layout_struct(arena, NULL, members, 2, NULL)), &span));
}
END_TEST

/* What would never fit the budget is refused before it is put together. */
START_TEST(test_absurd_alignment_takes_no_memory)
{
    arena_layout_options_t options = ARENA_LAYOUT_OPTIONS_INIT;
    const arena_layout_member_t member = {"a", &arena_layout_bool, 0, 0, NULL,
                                          0};
    const bool value = true, *pointer = &value;
    size_t limit = arena_limit();
    const arena_layout_t *layout;

    options.align = (size_t)1 << 31;
    layout = there(arena_layout_struct(arena, "wide", &member, 1, &options));
    expect_ok(arena_set_limit(usage_now().reserved + 64 * MIB));
    expect_fail(arena_serialize(arena, layout, &value), ENOMEM, "");
    expect_fail(arena_serialize(arena,
                                there(arena_layout_pointer(arena, layout)),
                                &pointer),
                ENOMEM, "");
    expect_ok(arena_set_limit(limit));
}
END_TEST

/* Tables made by hand. */
START_TEST(test_tables_that_are_wrong_fail)
{
    arena_layout_member_t members[] = {
        {"list", &bytes_pointer, 0, 0, "count", 0},
        {"count", NULL, 8, 8, NULL, 0}};
    arena_layout_t table = span_layout, array = arena_layout_u8;
    const uint64_t value[4] = {0, 0, 0, 0};
    arena_path_t path;

    table.members = members;
    expect_fail(arena_serialize(arena, &table, value), EINVAL,
                "count of struct span: struct span is no sound layout");
    members[1].layout = &arena_layout_string;
    expect_fail(arena_serialize(arena, &table, value), EINVAL,
                "list of struct span: no member of struct span is a number "
                "count");
    members[1].layout = &arena_layout_u64;
    members[1].offset = members[1].value_offset = SIZE_MAX;
    expect_fail(arena_serialize(arena, &table, value), EINVAL, "sound");
    array.kind = ARENA_LAYOUT_ARRAY;
    array.count = 5;
    expect_fail(arena_serialize(arena, &array, value), EINVAL, "sound");
    expect_fail(arena_layout_path(&array, "[0]", &path), EINVAL, "path");
    members[0].name = NULL;
    members[0].layout = NULL;
    expect_fail(arena_layout_path(&table, "a", &path), EINVAL, "path");
}
END_TEST

START_TEST(test_build_on_a_depth_that_is_wrong_fails)
{
    arena_layout_t deep = arena_layout_u8;

    deep.depth = UCHAR_MAX;
    expect_fail(arena_layout_array(arena, &deep, 1), EINVAL, "deep");
}
END_TEST

/* --- Sentences --- */

struct chain {
    struct chain *next_of_this_chain;
    bool good;
};

ARENA_FORWARD(chain_layout, struct chain);
ARENA_POINTER(chain_pointer, chain_layout);
ARENA_STRUCT(chain_layout, struct chain,
             ARENA_MEMBER(struct chain, next_of_this_chain, chain_pointer),
             ARENA_MEMBER(struct chain, good, arena_layout_bool));

/* However long its parts are, a path that loses its start says so, and all of
 * the rest is in it. */
START_TEST(test_path_that_is_too_long)
{
    struct chain chain[20];
    char expected[200] = "good of struct chain: 7 is no bool";

    memset(chain, 0, sizeof chain);
    for (size_t i = 0; i + 1 < LENGTH(chain); i++)
        chain[i].next_of_this_chain = &chain[i + 1];
    memset(&chain[LENGTH(chain) - 1].good, 7, 1);
    ck_assert_ptr_null(arena_serialize(arena, &chain_layout, chain));
    for (size_t i = 0; i < 5; i++) {
        memmove(expected + 20, expected, strlen(expected) + 1);
        memcpy(expected, "next_of_this_chain->", 20);
    }
    memmove(expected + 5, expected, strlen(expected) + 1);
    memcpy(expected, "...->", 5);
    ck_assert_str_eq(arena_error(), expected);
}
END_TEST

/* --- Closing meanwhile --- */

static arena_t *to_close;
static unsigned asked;

/* As if another thread did; all is read and checked before a block is there,
 * so that this is asked once for each union. */
static int
choose_and_close(const void *bytes, arena_form_t form)
{
    (void)bytes;
    (void)form;
    if (asked++ == 1)
        (void)arena_close(to_close);
    return 0;
}

ARENA_UNION(closing_layout, union number, choose_and_close,
            ARENA_CASE(union number, whole, arena_layout_u32, 0));
ARENA_ARRAY(closing_twice, closing_layout, 2);

START_TEST(test_shared_arena_that_closes_meanwhile_fails)
{
    const union number value[2] = {{1}, {2}};

    to_close = arena_shared();
    asked = 0;
    expect_fail(arena_serialize(to_close, &closing_twice, value), ESTALE,
                "closed");
    ck_assert_uint_eq(asked, 2);
}
END_TEST

/* Another thread does, at any time: what is there by then is right. */
static void *
close_main(void *unused)
{
    (void)unused;
    sleep_ms(1);
    return arena_close(to_close) == 0 ? NULL : to_close;
}

START_TEST(test_shared_arena_that_is_closed_by_another)
{
    struct piece piece, *copy;

    piece_make(&piece, 600);
    for (size_t i = 0; i < test_scaled(100); i++) {
        pthread_t closer;

        to_close = arena_shared();
        closer = start_thread(close_main, NULL);
        do {
            const arena_layout_member_t member = {
                "a", &arena_layout_int, 0, 0, NULL, 0};

            (void)arena_layout_struct(to_close, "made", &member, 1, NULL);
            copy = arena_serialize(to_close, &piece_layout, &piece);
        } while (copy != NULL);
        ck_assert_int_eq(errno, ESTALE);
        join_thread(closer);
    }
    free(piece.numbers);
    free(piece.text);
}
END_TEST

/* --- Collections meanwhile --- */

struct holder {
    char *text;
    union number number;
    struct holder *next;
};

/* Whatever only the value keeps must stay, and what is freed is used again. */
static int
choose_and_collect(const void *bytes, arena_form_t form)
{
    (void)bytes;
    (void)form;
    collect_scrubbed();
    for (size_t i = 0; i < 100; i++) {
        char *waste = arena_alloc(NULL, 40);

        if (waste != NULL)
            memset(waste, 'z', 40);
    }
    return 0;
}

ARENA_FORWARD(holder_layout, struct holder);
ARENA_POINTER(holder_pointer, holder_layout);
ARENA_UNION(collecting_layout, union number, choose_and_collect,
            ARENA_CASE(union number, whole, arena_layout_u32, 0));
ARENA_STRUCT(holder_layout, struct holder,
             ARENA_MEMBER(struct holder, text, arena_layout_string),
             ARENA_MEMBER(struct holder, number, collecting_layout),
             ARENA_MEMBER(struct holder, next, holder_pointer));

#define HOLDERS 5

static struct holder *volatile held;

/* A list of blocks that keep each other, of which only the first is known. */
static void *
holders_build(void *unused)
{
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.flags = ARENA_TRACED;
    for (size_t i = 0; i < HOLDERS; i++) {
        arena_t *own = arena_open(ARENA_AUTO, &options);
        struct holder *holder = arena_new(own, struct holder);

        holder->text = arena_printf(NULL, "text %zu", i);
        holder->next = held;
        held = holder;
    }
    scrub();
    return unused;
}

static void *
holders_copy(void *unused)
{
    struct holder *value = held;

    held = NULL;
    held = arena_serialize(arena_auto(), &holder_layout, value);
    scrub();
    return unused;
}

START_TEST(test_collections_while_it_is_copied)
{
    const struct holder *copy;
    size_t i = HOLDERS;
    char text[16];

    held = NULL;
    run_in_thread(holders_build, NULL);
    run_in_thread(holders_copy, NULL);
    collect_scrubbed();
    for (copy = held; copy != NULL; copy = copy->next) {
        snprintf(text, sizeof text, "text %zu", --i);
        ck_assert_str_eq(copy->text, text);
    }
    ck_assert_uint_eq(i, 0);
    held = NULL;
}
END_TEST

/* --- Suite --- */

static Suite *
walk_suite(void)
{
    Suite *suite = suite_create("walk");
    TCase *number = tcase_create("number");
    TCase *piece = tcase_create("piece");
    TCase *hostile = tcase_create("hostile");
    TCase *meanwhile = tcase_create("meanwhile");

    tcase_add_checked_fixture(number, setup, teardown);
    tcase_add_loop_test(number, test_int_ends_of_the_range, 0,
                        (int)LENGTH(ranges));
    tcase_add_test(number, test_enum_over_int64_max);
    tcase_add_test(number, test_enum_minus_one_is_not_the_largest);
    tcase_add_test(number, test_flags_of_bit_63);
    tcase_add_test(number, test_union_tag_over_int64_max);
    suite_add_tcase(suite, number);

    tcase_add_checked_fixture(piece, setup, teardown);
    tcase_set_timeout(piece, 20);
    tcase_add_loop_test(piece, test_pieces_of_all_sizes, 0,
                        (int)LENGTH(counts));
    tcase_add_test(piece, test_pieces_are_aligned);
    tcase_add_test(piece, test_addresses_are_copied_as_they_are);
    tcase_add_test(piece, test_implicit_block_ends_exactly);
    tcase_add_test(piece, test_freed_block_fails);
    tcase_add_test(piece, test_nothing_at_the_copy_is_no_overlap);
    suite_add_tcase(suite, piece);

    tcase_add_checked_fixture(hostile, setup, teardown);
    tcase_add_test(hostile, test_unions_in_unions_take_no_time);
    tcase_add_test(hostile, test_endless_nothing_takes_no_time);
    tcase_add_test(hostile, test_absurd_alignment_takes_no_memory);
    tcase_add_test(hostile, test_tables_that_are_wrong_fail);
    tcase_add_test(hostile, test_build_on_a_depth_that_is_wrong_fails);
    tcase_add_test(hostile, test_path_that_is_too_long);
    suite_add_tcase(suite, hostile);

    tcase_set_timeout(meanwhile, 60);
    tcase_add_test(meanwhile, test_shared_arena_that_closes_meanwhile_fails);
    tcase_add_test(meanwhile, test_shared_arena_that_is_closed_by_another);
    tcase_add_test(meanwhile, test_collections_while_it_is_copied);
    suite_add_tcase(suite, meanwhile);
    return suite;
}

int
main(void)
{
    return run_suite(walk_suite());
}
