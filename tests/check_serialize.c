/* check_serialize.c: values to data and back, by all sorts of layouts. */

#include <limits.h>
#include <math.h>
#include <stdio.h>

#include <arena/heap.h>
#include <arena/layout.h>

#include "gc_harness.h"
#include "layout_harness.h"

/* --- Scalars --- */

/* A value, and its bytes with the least significant first. */
struct scalar {
    const arena_layout_t *layout, *little, *big;
    size_t size;
    union {
        int8_t i8;
        uint8_t u8;
        int16_t i16;
        uint16_t u16;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        float f32;
        double f64;
        char text;
        bool truth;
    } value;
    const char *bytes;
};

#define ORDERS(name)                                                          \
    &arena_layout_##name, &arena_layout_##name##_le, &arena_layout_##name##_be
#define ORDER(name)                                                           \
    &arena_layout_##name, &arena_layout_##name, &arena_layout_##name

static const struct scalar scalars[] = {
    {ORDER(i8), 1, {.i8 = -2}, "\xfe"},
    {ORDER(u8), 1, {.u8 = 254}, "\xfe"},
    {ORDERS(i16), 2, {.i16 = -2}, "\xfe\xff"},
    {ORDERS(u16), 2, {.u16 = 0x1234}, "\x34\x12"},
    {ORDERS(i32), 4, {.i32 = INT32_MIN}, "\x00\x00\x00\x80"},
    {ORDERS(u32), 4, {.u32 = 0xfedcba98}, "\x98\xba\xdc\xfe"},
    {ORDERS(i64), 8, {.i64 = INT64_MIN + 1}, "\1\0\0\0\0\0\0\x80"},
    {ORDERS(u64), 8, {.u64 = UINT64_MAX - 1},
     "\xfe\xff\xff\xff\xff\xff\xff\xff"},
    {ORDERS(f32), 4, {.f32 = -2.5f}, "\x00\x00\x20\xc0"},
    {ORDERS(f64), 8, {.f64 = 1e300}, "\x9c\x75\x00\x88\x3c\xe4\x37\x7e"},
    {ORDER(char), 1, {.text = 'x'}, "x"},
    {ORDER(bool), 1, {.truth = true}, "\1"}};

static void
round_trip(const arena_layout_t *layout, const void *value, size_t size,
           const char *bytes, bool reversed)
{
    unsigned char *data = serialized(layout, value);

    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(data[i],
                          (unsigned char)bytes[reversed ? size - 1 - i : i]);
    ck_assert_mem_eq(deserialized(layout, data), value, size);
}

START_TEST(test_scalar_goes_there_and_back)
{
    const struct scalar *scalar = &scalars[_i];

    ck_assert_uint_eq(scalar->layout->size, scalar->size);
    round_trip(scalar->layout, &scalar->value, scalar->size, scalar->bytes,
               ARENA_NATIVE_ENDIAN == ARENA_BIG_ENDIAN);
    round_trip(scalar->little, &scalar->value, scalar->size, scalar->bytes,
               false);
    round_trip(scalar->big, &scalar->value, scalar->size, scalar->bytes,
               true);
}
END_TEST

/* What is no number stays just that one. */
START_TEST(test_float_keeps_every_bit)
{
    const uint32_t signaling = 0x7fa12345;
    float value;

    memcpy(&value, &signaling, sizeof value);
    ck_assert_mem_eq(deserialized(&arena_layout_f32_be,
                                  serialized(&arena_layout_f32_be, &value)),
                     &signaling, 4);
}
END_TEST

ARENA_INT_AS(small_layout, int, uint8_t, ARENA_NATIVE_ENDIAN);
ARENA_INT_AS(byte_layout, int, int8_t, ARENA_NATIVE_ENDIAN);
ARENA_INT_AS(port_layout, int, uint16_t, ARENA_BIG_ENDIAN);
ARENA_INT_AS(huge_layout, uint64_t, int64_t, ARENA_NATIVE_ENDIAN);
ARENA_INT_AS(wide_layout, int8_t, int64_t, ARENA_NATIVE_ENDIAN);
ARENA_FLOAT_AS(half_layout, double, float, ARENA_BIG_ENDIAN);

static const struct {
    const arena_layout_t *layout;
    int value;
    bool fits;
} narrowings[] = {{&small_layout, 255, true},   {&small_layout, 256, false},
                  {&small_layout, -1, false},   {&byte_layout, 127, true},
                  {&byte_layout, 128, false},   {&byte_layout, -128, true},
                  {&byte_layout, -129, false},  {&port_layout, 65535, true},
                  {&port_layout, 65536, false},
                  {&port_layout, INT_MIN, false}};

START_TEST(test_int_that_does_not_fit_fails)
{
    const arena_layout_t *layout = narrowings[_i].layout;
    int value = narrowings[_i].value;
    char number[16];

    if (narrowings[_i].fits) {
        ck_assert_int_eq(*(int *)deserialized(layout,
                                              serialized(layout, &value)),
                         value);
        return;
    }
    snprintf(number, sizeof number, "%d", value);
    expect_fail(arena_serialize(arena, layout, &value), ERANGE, number);
}
END_TEST

START_TEST(test_int_that_does_not_fit_the_value_fails)
{
    const int64_t fits = -128, over = 128;
    const uint64_t large = UINT64_MAX;

    ck_assert_int_eq(*(int8_t *)deserialized(&wide_layout, &fits), -128);
    expect_fail(arena_deserialize(arena, &wide_layout, &over, 8), ERANGE,
                "128 does not fit i8");
    expect_fail(arena_deserialize(arena, &huge_layout, &fits, 8), ERANGE,
                "-128 does not fit u64");
    expect_fail(arena_serialize(arena, &huge_layout, &large), ERANGE,
                "18446744073709551615 does not fit i64");
}
END_TEST

START_TEST(test_float_that_does_not_fit_fails)
{
    const double good[] = {0.5, -0.0, (double)INFINITY, 3e38};
    const double bad = 4e38, none = (double)NAN;

    for (size_t i = 0; i < LENGTH(good); i++)
        ck_assert_double_eq(
            (double)(float)*(double *)deserialized(
                &half_layout, serialized(&half_layout, &good[i])),
            (double)(float)good[i]);
    ck_assert(isnan(*(double *)deserialized(
        &half_layout, serialized(&half_layout, &none))));
    expect_fail(arena_serialize(arena, &half_layout, &bad), ERANGE,
                "does not fit f32");
}
END_TEST

START_TEST(test_bool_that_is_none_fails)
{
    const unsigned char two = 2;

    expect_fail(arena_serialize(arena, &arena_layout_bool, &two), EINVAL,
                "2 is no bool");
    expect_fail(arena_deserialize(arena, &arena_layout_bool, &two, 1), EINVAL,
                "2 is no bool");
}
END_TEST

/* --- Enumerations and flag sets --- */

enum color { RED = -1, GREEN = 5, BLUE };

ARENA_ENUM(color_layout, enum color, ARENA_VARIANT(RED), ARENA_VARIANT(GREEN),
           ARENA_VARIANT(BLUE));
ARENA_ENUM_AS(wire_color, enum color, int16_t, ARENA_BIG_ENDIAN,
              ARENA_VARIANT(RED), ARENA_VARIANT(GREEN), ARENA_VARIANT(BLUE));

START_TEST(test_enum_goes_there_and_back)
{
    const enum color all[] = {RED, GREEN, BLUE};
    unsigned char *data;

    for (size_t i = 0; i < LENGTH(all); i++) {
        ck_assert_int_eq(*(enum color *)serialized(&color_layout, &all[i]),
                         (int)all[i]);
        data = serialized(&wire_color, &all[i]);
        ck_assert_uint_eq(data[1], (unsigned char)all[i]);
        ck_assert_int_eq(*(enum color *)deserialized(&wire_color, data),
                         (int)all[i]);
    }
}
END_TEST

START_TEST(test_enum_unknown_value_fails)
{
    const enum color bad = (enum color)4;
    const unsigned char data[] = {0, 7};

    expect_fail(arena_serialize(arena, &color_layout, &bad), EINVAL,
                "no variant of enum color is 4");
    expect_fail(arena_deserialize(arena, &wire_color, data, 2), EINVAL, "7");
}
END_TEST

#define FLAG_LOW 1u
#define FLAG_PAIR 6u
#define FLAG_HIGH 0x80000000u

ARENA_FLAGS(flags_layout, int, ARENA_VARIANT(FLAG_LOW),
            ARENA_VARIANT(FLAG_PAIR), ARENA_VARIANT(FLAG_HIGH));
ARENA_FLAGS_AS(wire_flags, int, uint32_t, ARENA_LITTLE_ENDIAN,
               ARENA_VARIANT(FLAG_LOW), ARENA_VARIANT(FLAG_PAIR),
               ARENA_VARIANT(FLAG_HIGH));
ARENA_FLAGS_AS(narrow_flags, int, uint8_t, ARENA_LITTLE_ENDIAN,
               ARENA_VARIANT(FLAG_LOW), ARENA_VARIANT(FLAG_HIGH));

/* Bit 31 of an int, too. */
START_TEST(test_flags_go_there_and_back)
{
    const int all[] = {0, 1, 2, 7, INT_MIN, INT_MIN + 5};

    for (size_t i = 0; i < LENGTH(all); i++) {
        ck_assert_int_eq(
            *(int *)deserialized(&flags_layout,
                                 serialized(&flags_layout, &all[i])),
            all[i]);
        ck_assert_int_eq(*(int *)deserialized(
                             &wire_flags, serialized(&wire_flags, &all[i])),
                         all[i]);
    }
}
END_TEST

START_TEST(test_flags_unknown_bits_fail)
{
    const int bad = INT_MIN + 9, high = INT_MIN;

    expect_fail(arena_serialize(arena, &flags_layout, &bad), EINVAL, "0x8");
    expect_fail(arena_deserialize(arena, &wire_flags, &bad, 4), EINVAL, "0x8");
    expect_fail(arena_serialize(arena, &narrow_flags, &high), ERANGE, "u8");
}
END_TEST

/* --- Structures --- */

struct inner {
    uint8_t a;
    uint32_t b;
};

struct __attribute__((packed)) wire_inner {
    uint8_t a;
    uint32_t b;
};

ARENA_STRUCT_AS(inner_layout, struct inner, struct wire_inner,
                ARENA_MEMBER_AS(struct inner, struct wire_inner, a,
                                arena_layout_u8),
                ARENA_MEMBER_AS(struct inner, struct wire_inner, b,
                                arena_layout_u32_be));
ARENA_ARRAY(inners_layout, inner_layout, 3);

START_TEST(test_struct_to_another_form)
{
    const struct inner value = {1, 0x02030405};
    unsigned char *data = serialized(&inner_layout, &value);
    const struct inner *back = deserialized(&inner_layout, data);

    ck_assert_mem_eq(data, "\1\2\3\4\5", 5);
    ck_assert_uint_eq(back->a, 1);
    ck_assert_uint_eq(back->b, 0x02030405);
    ck_assert(is_aligned(back, _Alignof(struct inner)));
}
END_TEST

START_TEST(test_array_of_structs_to_another_form)
{
    const struct inner values[3] = {{1, 2}, {3, 4}, {5, 6}};
    unsigned char *data = serialized(&inners_layout, values);
    const struct inner *back = deserialized(&inners_layout, data);

    ck_assert_mem_eq(data, "\1\0\0\0\2\3\0\0\0\4\5\0\0\0\6", 15);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(back[i].a, values[i].a);
        ck_assert_uint_eq(back[i].b, values[i].b);
    }
}
END_TEST

/* Neither what the compiler leaves out nor padding is copied. */
START_TEST(test_struct_gaps_are_zero)
{
    const arena_layout_member_t members[] = {
        {"a", &arena_layout_u8, 0, 0, NULL, 0},
        {NULL, there(arena_layout_padding(arena, 2)), 0, 0, NULL, 0},
        {"b", &arena_layout_u32, 0, 0, NULL, 0}};
    const arena_layout_t *layout =
        there(arena_layout_struct(arena, NULL, members, 3, NULL));
    unsigned char value[8], data[10];

    memset(value, 0xaa, sizeof value);
    memset(data, 0xbb, sizeof data);
    ck_assert_uint_eq(layout->size, 8);
    ck_assert_mem_eq(serialized(layout, value),
                     "\xaa\0\0\0\xaa\xaa\xaa\xaa", 8);
    expect_ok(arena_serialize_into(data, sizeof data, NULL, layout, value));
    ck_assert_mem_eq(data, "\xaa\0\0\0\xaa\xaa\xaa\xaa\xbb\xbb", 10);
}
END_TEST

struct text_bytes {
    char bytes[5];
};

ARENA_RAW(bytes_layout, struct text_bytes);

START_TEST(test_raw_bytes_are_copied)
{
    ck_assert_mem_eq(serialized(&bytes_layout, "a\0b\0c"), "a\0b\0c", 5);
    ck_assert_mem_eq(deserialized(&bytes_layout, "a\0b\0c"), "a\0b\0c", 5);
}
END_TEST

START_TEST(test_empty_struct_is_copied)
{
    const arena_layout_t *empty =
        there(arena_layout_struct(arena, NULL, NULL, 0, NULL));
    const arena_layout_t *many =
        there(arena_layout_array(arena, empty, SIZE_MAX));

    ck_assert_ptr_ne(serialized(empty, ""), serialized(empty, ""));
    ck_assert_ptr_nonnull(serialized(many, ""));
}
END_TEST

/* --- Counted things and unions --- */

struct list {
    uint8_t length;
    int32_t *numbers;
    uint16_t used;
    int32_t some[4];
};

struct __attribute__((packed)) wire_list {
    uint16_t used;
    int32_t some[4];
    uint8_t length;
    int32_t *numbers;
};

ARENA_POINTER(i32_pointer, arena_layout_i32_be);
ARENA_ARRAY(i32_array, arena_layout_i32_be, 4);
#define LIST struct list, struct wire_list
#define APPLY(macro, ...) macro(__VA_ARGS__)
ARENA_STRUCT_AS(list_layout, struct list, struct wire_list,
                APPLY(ARENA_MEMBER_AS, LIST, length, arena_layout_u8),
                APPLY(ARENA_MEMBER_BY_AS, LIST, numbers, i32_pointer, length),
                APPLY(ARENA_MEMBER_AS, LIST, used, arena_layout_u16_be),
                APPLY(ARENA_MEMBER_BY_AS, LIST, some, i32_array, used));

START_TEST(test_counted_elements_are_copied)
{
    int32_t numbers[] = {1, -2, 3};
    const struct list value = {3, numbers, 2, {7, 8, 9, 10}};
    struct wire_list *data = serialized(&list_layout, &value);
    const struct list *back = deserialized(&list_layout, data);
    const int32_t *wire;

    memcpy(&wire, &data->numbers, sizeof wire);
    ck_assert_ptr_ne(wire, numbers);
    ck_assert_ptr_eq(arena_of(wire), arena);
    ck_assert_mem_eq(wire, "\0\0\0\1\xff\xff\xff\xfe\0\0\0\3", 12);
    ck_assert_mem_eq(back->numbers, numbers, sizeof numbers);
    ck_assert_int_eq(back->some[0], 7);
    ck_assert_int_eq(back->some[1], 8);
    /* Those beyond the used ones are not copied. */
    ck_assert(block_is_zero(&back->some[2], 2 * sizeof back->some[0]));
}
END_TEST

START_TEST(test_counts_that_do_not_match_fail)
{
    int32_t numbers[] = {1, 2};
    struct list value = {1, NULL, 2, {7, 8, 9, 10}};
    struct list *back;

    expect_fail(arena_serialize(arena, &list_layout, &value), EINVAL,
                "numbers of struct list: NULL");
    value.numbers = numbers;
    value.used = 5;
    expect_fail(arena_serialize(arena, &list_layout, &value), ERANGE,
                "some of struct list: 5 of 4");
    value.used = 4;
    value.length = 0;
    back = deserialized(&list_layout, serialized(&list_layout, &value));
    ck_assert_ptr_nonnull(back->numbers);
    value.numbers = NULL;
    back = deserialized(&list_layout, serialized(&list_layout, &value));
    ck_assert_ptr_null(back->numbers);
}
END_TEST

struct span {
    long length;
    void *bytes;
};

ARENA_POINTER(bytes_pointer, arena_layout_u8);
ARENA_STRUCT(span_layout, struct span,
             ARENA_MEMBER(struct span, length, arena_layout_long),
             ARENA_MEMBER_BY(struct span, bytes, bytes_pointer, length));

START_TEST(test_counts_that_are_absurd_fail)
{
    struct span span = {-1, &span};

    expect_fail(arena_serialize(arena, &span_layout, &span), ERANGE, "-1");
    span.length = LONG_MAX;
    span.bytes = arena_alloc(arena, 10);
    expect_fail(arena_serialize(arena, &span_layout, &span), ERANGE, "ends");
    span.length = 10;
    ck_assert_ptr_nonnull(serialized(&span_layout, &span));
}
END_TEST

enum kind { KIND_NUMBER, KIND_TEXT, KIND_PAIR };

union held {
    int64_t number;
    char *text;
    struct inner pair;
};

struct tagged {
    enum kind kind;
    union held held;
};

ARENA_STRUCT(pair_layout, struct inner,
             ARENA_MEMBER(struct inner, a, arena_layout_u8),
             ARENA_MEMBER(struct inner, b, arena_layout_u32));
ARENA_ENUM(kind_layout, enum kind, ARENA_VARIANT(KIND_NUMBER),
           ARENA_VARIANT(KIND_TEXT), ARENA_VARIANT(KIND_PAIR));
ARENA_UNION(held_layout, union held, 0,
            ARENA_CASE(union held, number, arena_layout_i64, KIND_NUMBER),
            ARENA_CASE(union held, text, arena_layout_string, KIND_TEXT));
ARENA_STRUCT(tagged_layout, struct tagged,
             ARENA_MEMBER(struct tagged, kind, kind_layout),
             ARENA_MEMBER_BY(struct tagged, held, held_layout, kind));

START_TEST(test_union_told_by_a_field)
{
    struct tagged value = {KIND_TEXT, {.text = (char *)"hello"}};
    struct tagged *back = serialized(&tagged_layout, &value);

    ck_assert_str_eq(back->held.text, "hello");
    ck_assert_ptr_ne(back->held.text, value.held.text);
    value.kind = KIND_NUMBER;
    value.held.number = -5;
    back = deserialized(&tagged_layout, serialized(&tagged_layout, &value));
    ck_assert_int_eq(back->held.number, -5);
    value.kind = KIND_PAIR;
    expect_fail(arena_serialize(arena, &tagged_layout, &value), EINVAL,
                "held of struct tagged: no member of union held has the tag");
}
END_TEST

/* Texts begin with their address, which is even; numbers are odd. */
static int
choose_held(const void *bytes, arena_form_t form)
{
    int64_t number;

    (void)form;
    memcpy(&number, bytes, sizeof number);
    return number == -1 ? 7 : (int)(number & 1);
}

ARENA_UNION(chosen_layout, union held, choose_held,
            ARENA_CASE(union held, text, arena_layout_string, 0),
            ARENA_CASE(union held, number, arena_layout_i64, 0));

START_TEST(test_union_told_by_a_function)
{
    static const struct text_bytes text
        __attribute__((aligned(8))) = {"even"};
    union held value, *back;

    memset(&value, 0xff, sizeof value);
    value.number = 77;
    back = deserialized(&chosen_layout, serialized(&chosen_layout, &value));
    ck_assert_int_eq(back->number, 77);
    value.text = (char *)(uintptr_t)text.bytes;
    back = deserialized(&chosen_layout, serialized(&chosen_layout, &value));
    ck_assert_str_eq(back->text, "even");
    value.number = -1;
    expect_fail(arena_serialize(arena, &chosen_layout, &value), EINVAL,
                "no member");
}
END_TEST

union plain {
    int64_t number;
    struct inner pair;
};

ARENA_UNION(plain_layout, union plain, 0,
            ARENA_CASE(union plain, number, arena_layout_i64, 0),
            ARENA_CASE(union plain, pair, pair_layout, 0));

START_TEST(test_union_that_nothing_tells)
{
    const union plain value = {.number = 0x0102030405060708};
    const union held held = {.number = 0};

    ck_assert_mem_eq(serialized(&plain_layout, &value), &value, sizeof value);
    expect_fail(arena_serialize(arena, &held_layout, &held), EINVAL,
                "nothing tells");
}
END_TEST

/* --- Pointers and strings --- */

struct person {
    char *name;
    uint8_t age;
    struct person *friend;
    struct person *others[2];
    void *opaque;
};

ARENA_FORWARD(person_layout, struct person);
ARENA_POINTER(person_pointer, person_layout);
ARENA_ARRAY(person_pointers, person_pointer, 2);
ARENA_STRUCT(person_layout, struct person,
             ARENA_MEMBER(struct person, name, arena_layout_string),
             ARENA_MEMBER(struct person, age, arena_layout_u8),
             ARENA_MEMBER(struct person, friend, person_pointer),
             ARENA_MEMBER(struct person, others, person_pointers),
             ARENA_MEMBER(struct person, opaque, arena_layout_address));

static char ada[] = "Ada", bob[] = "Bob";

START_TEST(test_deep_copy_is_all_in_the_arena)
{
    struct person b = {bob, 2, NULL, {NULL, NULL}, NULL};
    struct person a = {ada, 1, &b, {NULL, &b}, &b};
    struct person *copy = serialized(&person_layout, &a);

    ck_assert_ptr_eq(arena_of(copy), arena);
    ck_assert_ptr_eq(arena_of(copy->name), arena);
    ck_assert_ptr_eq(arena_of(copy->friend), arena);
    ck_assert_ptr_eq(arena_of(copy->friend->name), arena);
    ck_assert_str_eq(copy->name, "Ada");
    ck_assert_str_eq(copy->friend->name, "Bob");
    ck_assert_ptr_null(copy->others[0]);
    ck_assert_ptr_null(copy->friend->friend);
    ck_assert_ptr_eq(copy->opaque, &b);
    ck_assert_ptr_eq(copy->friend, copy->others[1]);
    ck_assert(is_aligned(copy->friend, _Alignof(struct person)));
}
END_TEST

START_TEST(test_null_strings_and_pointers_are_fine)
{
    static const struct person nobody; /* its gaps are zero, too */
    const char *null = NULL;

    ck_assert_mem_eq(deserialized(&person_layout,
                                  serialized(&person_layout, &nobody)),
                     &nobody, sizeof nobody);
    ck_assert_mem_eq(serialized(&arena_layout_string, &null), &null,
                     sizeof null);
}
END_TEST

START_TEST(test_string_is_a_value_of_its_own)
{
    const char *text = "text", **copy;

    copy = serialized(&arena_layout_string, &text);
    ck_assert_ptr_ne(*copy, text);
    ck_assert_str_eq(*copy, "text");
}
END_TEST

START_TEST(test_shared_and_cyclic_stay_so)
{
    struct person a = {ada, 1, NULL, {NULL, NULL}, NULL};
    struct person b = {ada, 2, &a, {NULL, NULL}, NULL};
    struct person *copy;

    a.friend = &b;
    a.others[0] = &a;
    b.others[1] = &b;
    copy = serialized(&person_layout, &a);
    ck_assert_ptr_eq(copy->others[0], copy);
    ck_assert_ptr_eq(copy->friend->friend, copy);
    ck_assert_ptr_eq(copy->friend->others[1], copy->friend);
    ck_assert_ptr_eq(copy->name, copy->friend->name);
    ck_assert_ptr_ne(copy->name, ada);
}
END_TEST

/* Into memory of the caller's the root is copied, and found again, too. */
START_TEST(test_into_cycles_lead_to_the_root)
{
    struct person a = {ada, 1, &a, {NULL, NULL}, NULL}, copy;

    expect_ok(arena_serialize_into(&copy, sizeof copy, arena, &person_layout,
                                   &a));
    ck_assert_ptr_eq(copy.friend, &copy);
    ck_assert_ptr_eq(arena_of(copy.name), arena);
    memset(&a, 0, sizeof a);
    expect_ok(arena_deserialize_into(&a, sizeof a, arena, &person_layout,
                                     &copy, sizeof copy));
    ck_assert_ptr_eq(a.friend, &a);
    ck_assert_str_eq(a.name, "Ada");
}
END_TEST

/* Nothing recurses along a list. */
START_TEST(test_long_list_is_copied)
{
    size_t length = test_scaled(300000), i;
    struct person *all = calloc(length, sizeof *all), *copy;

    ck_assert(all != NULL);
    for (i = 0; i < length; i++) {
        all[i].age = (uint8_t)i;
        all[i].name = i % 2 == 0 ? ada : NULL;
        all[i].friend = i + 1 < length ? &all[i + 1] : NULL;
    }
    copy = serialized(&person_layout, all);
    for (i = 0; copy != NULL; copy = copy->friend, i++)
        ck_assert_uint_eq(copy->age, (uint8_t)i);
    ck_assert_uint_eq(i, length);
    free(all);
}
END_TEST

/* Layouts built at run time, of a type that points to itself. */
START_TEST(test_built_layouts_work_alike)
{
    arena_layout_t *pointer = arena_layout_pointer(arena, NULL);
    const arena_layout_member_t members[] = {
        {"number", &arena_layout_u16_be, 0, 0, NULL, 0},
        {"next", pointer, 0, 0, NULL, 0}};
    arena_layout_options_t options = ARENA_LAYOUT_OPTIONS_INIT;
    struct node {
        uint16_t number;
        struct node *next;
    } second = {0x0102, NULL}, first = {0x0304, &second}, *back;
    const arena_layout_t *layout;
    unsigned char *data, *next;

    options.pack = 1;
    layout = there(arena_layout_struct(arena, "node", members, 2, &options));
    expect_ok(arena_layout_set_target(pointer, layout));
    data = serialized(layout, &first);
    ck_assert_mem_eq(data, "\3\4", 2);
    memcpy(&next, data + 2, sizeof next);
    ck_assert_mem_eq(next, "\1\2\0\0\0\0\0\0\0\0", 10);
    back = deserialized(layout, data);
    ck_assert_uint_eq(back->number, 0x0304);
    ck_assert_uint_eq(back->next->number, 0x0102);
    ck_assert_ptr_null(back->next->next);
}
END_TEST

/* --- Failures --- */

ARENA_ENUM(age_layout, uint8_t, ARENA_VARIANT(1), ARENA_VARIANT(2));
struct aged {
    char *name;
    uint8_t age;
};
ARENA_STRUCT(aged_layout, struct aged,
             ARENA_MEMBER(struct aged, name, arena_layout_string),
             ARENA_MEMBER(struct aged, age, age_layout));
ARENA_ARRAY(pair_of_aged, aged_layout, 2);
struct group {
    struct aged people[2];
    struct group *more;
    struct aged *all;
    uint8_t **ages;
    size_t count;
};
ARENA_FORWARD(group_layout, struct group);
ARENA_POINTER(group_pointer, group_layout);
ARENA_POINTER(aged_pointer, aged_layout);
ARENA_POINTER(age_pointer, age_layout);
ARENA_POINTER(ages_pointer, age_pointer);
ARENA_STRUCT(group_layout, struct group,
             ARENA_MEMBER(struct group, people, pair_of_aged),
             ARENA_MEMBER_BY(struct group, more, group_pointer, count),
             ARENA_MEMBER_BY(struct group, all, aged_pointer, count),
             ARENA_MEMBER(struct group, ages, ages_pointer),
             ARENA_MEMBER(struct group, count, arena_layout_size_t));

START_TEST(test_failure_names_the_path)
{
    struct aged all[2] = {{ada, 1}, {bob, 2}};
    struct group more[2] = {{.people = {{ada, 1}, {ada, 1}}},
                            {.people = {{ada, 1}, {ada, 1}}}};
    struct group group = {{{ada, 1}, {bob, 2}}, more, all, NULL, 2};
    uint8_t age = 1, *ages = &age;

    ck_assert_ptr_nonnull(serialized(&group_layout, &group));
    group.people[1].age = 3;
    expect_fail(arena_serialize(arena, &group_layout, &group), EINVAL,
                "people[1].age of struct group: no variant of uint8_t is 3");
    group.people[1].age = 2;
    all[1].age = 0;
    expect_fail(arena_serialize(arena, &group_layout, &group), EINVAL,
                "all[1].age of struct group: ");
    all[1].age = 1;
    more[1].people[0].age = 9;
    expect_fail(arena_serialize(arena, &group_layout, &group), EINVAL,
                "more[1].people[0].age of struct group: ");
    more[1].people[0].age = 1;
    more[1].ages = &ages;
    ck_assert_ptr_nonnull(serialized(&group_layout, &group));
    age = 0;
    expect_fail(arena_serialize(arena, &group_layout, &group), EINVAL,
                "more[1].ages[0][0] of struct group: ");
}
END_TEST

START_TEST(test_failure_after_an_arrow_names_the_path)
{
    struct person b = {NULL, 0, NULL, {NULL, NULL}, NULL};
    struct person a = {NULL, 0, NULL, {NULL, &b}, NULL};

    b.friend = arena_alloc(NULL, sizeof b / 2);
    expect_fail(arena_serialize(arena, &person_layout, &a), ERANGE,
                "others[1]->friend of struct person: ");
    arena_free(b.friend);
}
END_TEST

/* A path that is too long loses its start. */
START_TEST(test_failure_far_away_names_the_end)
{
    enum { FAR = 100 };
    struct group groups[FAR];

    memset(groups, 0, sizeof groups);
    for (size_t i = 0; i < FAR; i++) {
        groups[i].people[0].age = groups[i].people[1].age = 1;
        groups[i].more = i + 1 < FAR ? &groups[i + 1] : NULL;
        groups[i].count = i + 1 < FAR;
        groups[i].all = i + 1 < FAR ? groups[i].people : NULL;
    }
    groups[FAR - 1].people[1].age = 77;
    expect_fail(arena_serialize(arena, &group_layout, groups), EINVAL,
                "more[0].people[1].age of struct group: no variant");
}
END_TEST

/* Whatever fails leaves the arena and the caller's memory as they were. */
START_TEST(test_failure_changes_nothing)
{
    struct aged all[2] = {{ada, 1}, {bob, 7}};
    struct group group = {{{ada, 1}, {bob, 2}}, NULL, all, NULL, 2};
    struct group out;
    arena_usage_t before;

    group.more = &group;
    group.count = 1;
    ck_assert_ptr_nonnull(serialized(&group_layout, &group));
    all[0].age = 0;
    memset(&out, 0x5a, sizeof out);
    before = usage_now();
    for (size_t i = 0; i < 100; i++) {
        expect_fail(arena_serialize(arena, &group_layout, &group), EINVAL,
                    "all[0].age");
        expect_fail(arena_serialize_into(&out, sizeof out, arena,
                                         &group_layout, &group),
                    EINVAL, "all[0].age");
    }
    expect_usage(before);
    for (size_t i = 0; i < sizeof out; i++)
        ck_assert_uint_eq(((unsigned char *)&out)[i], 0x5a);
}
END_TEST

START_TEST(test_bad_arguments_fail)
{
    struct person a = {ada, 1, NULL, {NULL, NULL}, NULL}, out;
    arena_layout_t broken = arena_layout_i32;

    expect_fail(arena_serialize(arena, NULL, &a), EINVAL, "");
    expect_fail(arena_serialize(arena, &person_layout, NULL), EINVAL, "");
    expect_fail(arena_serialize_into(NULL, 100, arena, &person_layout, &a),
                EINVAL, "");
    expect_fail(arena_serialize_into(&out, sizeof out - 1, arena,
                                     &person_layout, &a),
                ERANGE, "too few");
    expect_fail(arena_deserialize(arena, &person_layout, &a, sizeof a - 1),
                ERANGE, "struct person has");
    expect_fail(arena_deserialize_into(&out, 1, arena, &person_layout, &a,
                                       sizeof a),
                ERANGE, "");
    expect_fail(arena_serialize_into(&a, sizeof a, arena, &person_layout, &a),
                EINVAL, "copy");
    broken.size = 3;
    expect_fail(arena_serialize(arena, &broken, &a), EINVAL, "sound");
    broken.kind = 99;
    expect_fail(arena_serialize(arena, &broken, &a), EINVAL, "sound");
    broken = arena_layout_i32;
    broken.align = 3;
    expect_fail(arena_deserialize(arena, &arena_layout_i32, NULL, 4), EINVAL,
                "");
    expect_fail(arena_serialize(arena, &broken, &a), EINVAL, "sound");
}
END_TEST

/* A structure in itself: only a table made by hand can be one. */
START_TEST(test_endless_layout_fails)
{
    arena_layout_t endless = person_layout;
    arena_layout_member_t member = {"self", &endless, 0, 0, NULL, 0};
    char bytes[200] = {0};

    endless.members = &member;
    endless.count = 1;
    expect_fail(arena_serialize(arena, &endless, bytes), EINVAL, "deep");
}
END_TEST

/* On a thread that does not own the arena: into it, and out of it. */
struct trespass {
    struct person *theirs; /* in the arena */
    struct answer into, from;
};

static void *
trespass_main(void *state)
{
    struct trespass *trespass = state;
    struct person b = {ada, 1, NULL, {NULL, NULL}, NULL};
    arena_t *mine = arena_confined();

    record_answer(&trespass->into,
                  arena_serialize(arena, &person_layout, &b));
    record_answer(&trespass->from,
                  arena_deserialize(mine, &person_pointer, &trespass->theirs,
                                    sizeof trespass->theirs));
    arena_close(mine);
    return NULL;
}

START_TEST(test_arenas_of_others_fail)
{
    struct trespass trespass;

    trespass.theirs = arena_alloc(arena, sizeof *trespass.theirs);
    run_in_thread(trespass_main, &trespass);
    expect_answer(&trespass.into, EPERM, "confined");
    expect_answer(&trespass.from, EPERM, "points into an arena");
}
END_TEST

START_TEST(test_closed_arena_fails)
{
    const struct person nobody = {NULL, 0, NULL, {NULL, NULL}, NULL};
    struct person out;
    arena_t *closed = arena_shared();

    expect_ok(arena_close(closed));
    expect_fail(arena_serialize(closed, &person_layout, &nobody), ESTALE, "");
    expect_fail(arena_serialize_into(&out, sizeof out, closed, &person_layout,
                                     &nobody),
                ESTALE, "");
}
END_TEST

/* Its memory is kept for the next arena. */
START_TEST(test_pointer_into_a_closed_arena_fails)
{
    arena_t *closed = arena_confined();
    char *text = arena_strdup(closed, "text");

    expect_ok(arena_close(closed));
    expect_fail(arena_serialize(arena, &arena_layout_string, &text), ESTALE,
                "closed");
}
END_TEST

/* Not where every mapping is a root for a checker to stumble over. */
START_TEST(test_string_that_does_not_end_fails)
{
    char *text;

    if (malloc_is_replaced())
        return;
    text = arena_malloc(1 * MIB);
    ck_assert(text != NULL);
    memset(text, 'x', arena_usable_size(text));
    expect_fail(arena_serialize(arena, &arena_layout_string, &text), ERANGE,
                "ends");
    text[arena_usable_size(text) - 1] = '\0';
    ck_assert_ptr_nonnull(serialized(&arena_layout_string, &text));
    arena_free(text);
}
END_TEST

/* A count that is past the block, of memory that is known. */
START_TEST(test_pointee_past_its_block_fails)
{
    struct span span = {100, NULL};

    span.bytes = arena_alloc(NULL, 100);
    ck_assert_ptr_nonnull(serialized(&span_layout, &span));
    span.length = 10000;
    expect_fail(arena_serialize(arena, &span_layout, &span), ERANGE,
                "bytes of struct span: the memory pointed to ends");
    arena_free(span.bytes);
}
END_TEST

/* --- Kinds of arena --- */

/* One block: it goes at once. */
START_TEST(test_implicit_is_one_block)
{
    struct person b = {bob, 2, NULL, {NULL, NULL}, NULL};
    struct person a = {ada, 1, &b, {NULL, &b}, NULL}, *copy, out;
    size_t before = POOL(usage_now(), ARENA_IMPLICIT).count;

    expect_ok(copy = arena_serialize(NULL, &person_layout, &a));
    ck_assert_uint_eq(POOL(usage_now(), ARENA_IMPLICIT).count, before + 1);
    ck_assert_ptr_eq(arena_of(copy->friend->name), arena_implicit());
    collect_times(3);
    ck_assert_str_eq(copy->friend->name, "Bob");
    arena_free(copy);
    ck_assert_uint_eq(POOL(usage_now(), ARENA_IMPLICIT).count, before);
    expect_fail(
        arena_serialize_into(&out, sizeof out, NULL, &person_layout, &a),
        EINVAL, "arena");
    expect_fail(arena_serialize_into(&out, sizeof out, arena_implicit(),
                                     &person_layout, &a),
                EINVAL, "arena");
}
END_TEST

static void
use_kind(arena_t *of)
{
    struct person b = {bob, 2, NULL, {NULL, NULL}, NULL};
    struct person a = {ada, 1, &b, {NULL, &b}, NULL}, *copy, *back;

    expect_ok(copy = arena_serialize(of, &person_layout, &a));
    expect_ok(back = arena_deserialize(of, &person_layout, copy,
                                       sizeof *copy));
    ck_assert_ptr_eq(arena_of(back->friend->name), of);
    ck_assert_str_eq(back->friend->name, "Bob");
}

START_TEST(test_every_kind_of_arena)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *shared = arena_shared(), *guarded;

    options.flags = ARENA_GUARDED;
    expect_ok(guarded = arena_open(ARENA_SHARED, &options));
    use_kind(arena_global());
    use_kind(arena_implicit());
    use_kind(arena_auto());
    use_kind(shared);
    use_kind(guarded);
    expect_ok(arena_close(shared));
    expect_ok(arena_close(guarded));
}
END_TEST

START_TEST(test_arena_limit_is_kept)
{
    struct span span = {100000, NULL};
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *limited;

    span.bytes = calloc(1, (size_t)span.length);
    options.limit = 50000;
    expect_ok(limited = arena_open(ARENA_CONFINED, &options));
    expect_fail(arena_serialize(limited, &span_layout, &span), ENOMEM, "");
    expect_ok(arena_close(limited));
    free(span.bytes);
}
END_TEST

/* --- Collections --- */

struct three {
    char *first, *second, *third;
};

ARENA_STRUCT(three_layout, struct three,
             ARENA_MEMBER(struct three, first, arena_layout_string),
             ARENA_MEMBER(struct three, second, arena_layout_string),
             ARENA_MEMBER(struct three, third, arena_layout_string));

static struct three *volatile kept[HERD];
static size_t herd; /* how many of them */

static void
three_texts(char texts[3][40], size_t i)
{
    for (size_t j = 0; j < 3; j++)
        snprintf(texts[j], 40, "text %zu of structure %zu", j, i);
}

/* In an arena each, in arenas of ten, or in a block of their own. */
static arena_t *
three_arena(size_t i)
{
    static arena_t *several;

    if (i % 10 == 0)
        several = arena_auto();
    return i % 3 == 0 ? arena_auto() : i % 3 == 1 ? several : NULL;
}

/* Serialize, or deserialize, and drop everything but the outer pointers. */
static void *
three_build(void *unused)
{
    for (size_t i = 0; i < herd; i++) {
        char texts[3][40];
        struct three value = {texts[0], texts[1], texts[2]};
        arena_t *of = three_arena(i);

        three_texts(texts, i);
        kept[i] = i % 2 == 0 ? arena_serialize(of, &three_layout, &value)
                             : arena_deserialize(of, &three_layout, &value,
                                                 sizeof value);
    }
    three_arena(10);
    scrub();
    return unused;
}

static size_t
three_corrupted(void)
{
    size_t corrupted = 0;

    for (size_t i = 0; i < herd; i++) {
        const struct three *copy = kept[i];
        char texts[3][40];

        three_texts(texts, i);
        corrupted += copy == NULL || strcmp(copy->first, texts[0]) != 0
                     || strcmp(copy->second, texts[1]) != 0
                     || strcmp(copy->third, texts[2]) != 0;
    }
    return corrupted;
}

/* Use what was freed, if something was. */
static void *
churn(void *unused)
{
    for (size_t i = 0; i < 40; i++) {
        arena_t *waste = arena_auto();
        char *text = arena_alloc(waste, 50 + 10 * i);

        if (text != NULL)
            memset(text, 'z', 50 + 10 * i);
    }
    return unused;
}

/* One pointer to any of the pieces keeps all of them. */
static void *
inner_build(void *unused)
{
    for (size_t i = 0; i < herd; i++) {
        char texts[3][40];
        struct three value = {texts[0], texts[1], texts[2]}, *copy;

        three_texts(texts, i);
        copy = arena_serialize(three_arena(i), &three_layout, &value);
        kept[i] = copy != NULL ? (void *)copy->third : NULL;
    }
    three_arena(10);
    scrub();
    return unused;
}

/* The root of a copy whose last piece is at text. */
static const struct three *
inner_root(const char *text, size_t i)
{
    char texts[3][40];

    three_texts(texts, i);
    return (const void *)(text - strlen(texts[0]) - strlen(texts[1]) - 2
                          - sizeof(struct three));
}

static size_t
inner_corrupted(void)
{
    size_t corrupted = 0;

    for (size_t i = 0; i < herd; i++) {
        const char *text = (const char *)kept[i];
        const struct three *copy = text != NULL ? inner_root(text, i) : NULL;
        char texts[3][40];

        three_texts(texts, i);
        corrupted += copy == NULL || copy->third != text
                     || strcmp(copy->first, texts[0]) != 0
                     || strcmp(copy->second, texts[1]) != 0
                     || strcmp(copy->third, texts[2]) != 0;
    }
    return corrupted;
}

START_TEST(test_inner_pointer_keeps_everything)
{
    herd = test_scaled(HERD);
    run_in_thread(inner_build, NULL);
    for (size_t i = 0; i < 10; i++) {
        run_in_thread(churn, NULL);
        collect_scrubbed();
        ck_assert_uint_eq(inner_corrupted(), 0);
    }
    for (size_t i = 0; i < herd; i++)
        kept[i] = NULL;
}
END_TEST

START_TEST(test_outer_pointer_keeps_everything)
{
    herd = test_scaled(HERD);
    run_in_thread(three_build, NULL);
    for (size_t i = 0; i < 50; i++) {
        run_in_thread(churn, NULL);
        collect_scrubbed();
        ck_assert_uint_eq(three_corrupted(), 0);
    }
    for (size_t i = 0; i < herd; i++)
        kept[i] = NULL;
}
END_TEST

/* --- Suite --- */

static Suite *
serialize_suite(void)
{
    Suite *suite = suite_create("serialize");
    TCase *scalar = tcase_create("scalar");
    TCase *group = tcase_create("group");
    TCase *deep = tcase_create("deep");
    TCase *fail = tcase_create("fail");
    TCase *kinds = tcase_create("kinds");

    tcase_add_checked_fixture(scalar, setup, teardown);
    tcase_add_loop_test(scalar, test_scalar_goes_there_and_back, 0,
                        (int)LENGTH(scalars));
    tcase_add_test(scalar, test_float_keeps_every_bit);
    tcase_add_loop_test(scalar, test_int_that_does_not_fit_fails, 0,
                        (int)LENGTH(narrowings));
    tcase_add_test(scalar, test_int_that_does_not_fit_the_value_fails);
    tcase_add_test(scalar, test_float_that_does_not_fit_fails);
    tcase_add_test(scalar, test_bool_that_is_none_fails);
    tcase_add_test(scalar, test_enum_goes_there_and_back);
    tcase_add_test(scalar, test_enum_unknown_value_fails);
    tcase_add_test(scalar, test_flags_go_there_and_back);
    tcase_add_test(scalar, test_flags_unknown_bits_fail);
    suite_add_tcase(suite, scalar);

    tcase_add_checked_fixture(group, setup, teardown);
    tcase_add_test(group, test_struct_to_another_form);
    tcase_add_test(group, test_array_of_structs_to_another_form);
    tcase_add_test(group, test_struct_gaps_are_zero);
    tcase_add_test(group, test_raw_bytes_are_copied);
    tcase_add_test(group, test_empty_struct_is_copied);
    tcase_add_test(group, test_counted_elements_are_copied);
    tcase_add_test(group, test_counts_that_do_not_match_fail);
    tcase_add_test(group, test_counts_that_are_absurd_fail);
    tcase_add_test(group, test_union_told_by_a_field);
    tcase_add_test(group, test_union_told_by_a_function);
    tcase_add_test(group, test_union_that_nothing_tells);
    suite_add_tcase(suite, group);

    tcase_add_checked_fixture(deep, setup, teardown);
    tcase_set_timeout(deep, 20);
    tcase_add_test(deep, test_deep_copy_is_all_in_the_arena);
    tcase_add_test(deep, test_null_strings_and_pointers_are_fine);
    tcase_add_test(deep, test_string_is_a_value_of_its_own);
    tcase_add_test(deep, test_shared_and_cyclic_stay_so);
    tcase_add_test(deep, test_into_cycles_lead_to_the_root);
    tcase_add_test(deep, test_long_list_is_copied);
    tcase_add_test(deep, test_built_layouts_work_alike);
    suite_add_tcase(suite, deep);

    tcase_add_checked_fixture(fail, setup, teardown);
    tcase_add_test(fail, test_failure_names_the_path);
    tcase_add_test(fail, test_failure_after_an_arrow_names_the_path);
    tcase_add_test(fail, test_failure_far_away_names_the_end);
    tcase_add_test(fail, test_failure_changes_nothing);
    tcase_add_test(fail, test_bad_arguments_fail);
    tcase_add_test(fail, test_endless_layout_fails);
    tcase_add_test(fail, test_arenas_of_others_fail);
    tcase_add_test(fail, test_closed_arena_fails);
    tcase_add_test(fail, test_pointer_into_a_closed_arena_fails);
    tcase_add_test(fail, test_string_that_does_not_end_fails);
    tcase_add_test(fail, test_pointee_past_its_block_fails);
    suite_add_tcase(suite, fail);

    tcase_add_checked_fixture(kinds, setup, teardown);
    tcase_set_timeout(kinds, 60);
    tcase_add_test(kinds, test_implicit_is_one_block);
    tcase_add_test(kinds, test_every_kind_of_arena);
    tcase_add_test(kinds, test_arena_limit_is_kept);
    tcase_add_test(kinds, test_outer_pointer_keeps_everything);
    tcase_add_test(kinds, test_inner_pointer_keeps_everything);
    suite_add_tcase(suite, kinds);
    return suite;
}

int
main(void)
{
    return run_suite(serialize_suite());
}
