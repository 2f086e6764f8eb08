/* check_layout.c: layouts against the compiler, builders, paths. */

#include <stdio.h>
#include <string.h>

#include <arena/layout.h>

#include "layout_harness.h"
#include "layout_types.h"

/* --- Against the compiler --- */

#define SCALAR(name) &arena_layout_##name
#define ARRAY(element, n) there(arena_layout_array(arena, element, n))
#define MADE(name) make_##name()

#define DECLARE_MEMBER(type, name, brackets, layout) type name brackets;
#define OFFER_MEMBER(type, name, brackets, layout)                            \
    {#name, layout, 0, 0, NULL, 0},
#define CHECK_MEMBER(type, name, brackets, layout)                            \
    expect_member(made, #name, offsetof(struct_type, name),                   \
                  sizeof(((struct_type *)0)->name));

/* A type, the function that makes its layout, and the one that compares
 * them. */
#define DEFINE_TYPE(sort, name, list, attribute, pack)                        \
    sort name {                                                               \
        list(DECLARE_MEMBER)                                                  \
    } attribute;                                                              \
    static const arena_layout_t *make_##name(void)                            \
    {                                                                         \
        const arena_layout_member_t members[] = {list(OFFER_MEMBER)};         \
                                                                              \
        return make_##sort(#name, members, LENGTH(members), pack);            \
    }                                                                         \
    static void check_##name(void)                                            \
    {                                                                         \
        typedef sort name struct_type;                                        \
        const arena_layout_t *made = make_##name();                           \
                                                                              \
        expect_whole(made, sizeof(struct_type), _Alignof(struct_type));       \
        list(CHECK_MEMBER)                                                    \
    }

#define DEFINE_LIST(name)                                                     \
    DEFINE_TYPE(struct, name, LIST_##name, , 0)                               \
    DEFINE_TYPE(struct, name##_packed, LIST_##name,                           \
                __attribute__((packed)), 1)                                   \
    _Pragma("pack(push, 2)")                                                  \
    DEFINE_TYPE(struct, name##_pack2, LIST_##name, , 2)                       \
    _Pragma("pack(pop)")                                                      \
    DEFINE_TYPE(union, name##_union, LIST_##name, , 0)

static arena_layout_options_t
packed_to(size_t pack)
{
    arena_layout_options_t options = ARENA_LAYOUT_OPTIONS_INIT;

    options.pack = pack;
    options.value_pack = pack;
    return options;
}

static const arena_layout_t *
make_struct(const char *name, const arena_layout_member_t *members,
            size_t count, size_t pack)
{
    arena_layout_options_t options = packed_to(pack);

    return there(arena_layout_struct(arena, name, members, count, &options));
}

static const arena_layout_t *
make_union(const char *name, const arena_layout_member_t *members,
           size_t count, size_t pack)
{
    arena_layout_options_t options = packed_to(pack);

    return there(arena_layout_union(arena, name, members, count, NULL,
                                    &options));
}

static void
expect_whole(const arena_layout_t *made, size_t size, size_t align)
{
    for (unsigned form = ARENA_FORM_DATA; form <= ARENA_FORM_VALUE; form++) {
        ck_assert_msg(arena_layout_size(made, form) == size,
                      "size of %s: %zu, not %zu", made->name,
                      arena_layout_size(made, form), size);
        ck_assert_msg(arena_layout_align(made, form) == align,
                      "alignment of %s: %zu, not %zu", made->name,
                      arena_layout_align(made, form), align);
    }
}

static void
expect_member(const arena_layout_t *made, const char *name, size_t expected,
              size_t size)
{
    arena_path_t path;
    size_t offset;

    expect_ok(arena_layout_path(made, name, &path));
    for (unsigned form = ARENA_FORM_DATA; form <= ARENA_FORM_VALUE; form++) {
        expect_ok(arena_path_offset(&path, form, NULL, 0, &offset));
        ck_assert_msg(offset == expected, "offset of %s.%s: %zu, not %zu",
                      made->name, name, offset, expected);
        ck_assert_uint_eq(arena_layout_size(path.layout, form), size);
    }
}

EACH_LIST(DEFINE_LIST)

#define CHECKS_OF(name)                                                       \
    check_##name, check_##name##_packed, check_##name##_pack2,                \
        check_##name##_union,

static void (*const checks[])(void) = {EACH_LIST(CHECKS_OF)};

_Static_assert(LENGTH(checks) >= 60, "at least 60 types are compared");

START_TEST(test_build_agrees_with_the_compiler)
{
    checks[_i]();
}
END_TEST

struct __attribute__((aligned(64))) wide {
    char a;
    int b;
};

START_TEST(test_build_aligned_agrees_with_the_compiler)
{
    const arena_layout_member_t members[] = {
        {"a", &arena_layout_char, 0, 0, NULL, 0},
        {"b", &arena_layout_int, 0, 0, NULL, 0}};
    arena_layout_options_t options = ARENA_LAYOUT_OPTIONS_INIT;
    const arena_layout_t *made;

    options.align = options.value_align = 64;
    made = there(arena_layout_struct(arena, "wide", members, 2, &options));
    expect_whole(made, sizeof(struct wide), _Alignof(struct wide));
    expect_member(made, "b", offsetof(struct wide, b), sizeof(int));
}
END_TEST

/* The data packed, the value as the compiler has it. */
START_TEST(test_build_forms_are_independent)
{
    const arena_layout_member_t members[] = {
        {"a", &arena_layout_u8, 0, 0, NULL, 0},
        {"b", &arena_layout_u32_be, 0, 0, NULL, 0}};
    arena_layout_options_t options = ARENA_LAYOUT_OPTIONS_INIT;
    const arena_layout_t *made;

    options.pack = 1;
    made = there(arena_layout_struct(arena, NULL, members, 2, &options));
    ck_assert_uint_eq(arena_layout_size(made, ARENA_FORM_DATA), 5);
    ck_assert_uint_eq(arena_layout_align(made, ARENA_FORM_DATA), 1);
    ck_assert_uint_eq(arena_layout_size(made, ARENA_FORM_VALUE), 8);
    ck_assert_uint_eq(arena_layout_align(made, ARENA_FORM_VALUE), 4);
    ck_assert_uint_eq(made->members[1].offset, 1);
    ck_assert_uint_eq(made->members[1].value_offset, 4);
}
END_TEST

/* long and int: 16 bytes, as in C; the JDK says 12. */
START_TEST(test_build_pads_the_end)
{
    const arena_layout_member_t members[] = {
        {"a", &arena_layout_long, 0, 0, NULL, 0},
        {"b", &arena_layout_int, 0, 0, NULL, 0}};
    const arena_layout_t *made =
        there(arena_layout_struct(arena, NULL, members, 2, NULL));

    ck_assert_uint_eq(arena_layout_size(made, ARENA_FORM_DATA), 16);
}
END_TEST

/* int, long and 9 bytes: 16 bytes, as in C; the JDK says 9. */
START_TEST(test_build_pads_a_union)
{
    const arena_layout_member_t members[] = {
        {"a", &arena_layout_int, 0, 0, NULL, 0},
        {"b", &arena_layout_long, 0, 0, NULL, 0},
        {"c", ARRAY(&arena_layout_u8, 9), 0, 0, NULL, 0}};
    const arena_layout_t *made =
        there(arena_layout_union(arena, NULL, members, 3, NULL, NULL));

    ck_assert_uint_eq(arena_layout_size(made, ARENA_FORM_DATA), 16);
    ck_assert_uint_eq(arena_layout_align(made, ARENA_FORM_DATA), 8);
}
END_TEST

START_TEST(test_build_empty_struct_has_size_0)
{
    const arena_layout_t *made =
        there(arena_layout_struct(arena, "empty", NULL, 0, NULL));

    expect_whole(made, 0, 1);
}
END_TEST

START_TEST(test_build_number_of_no_use_is_named)
{
    arena_layout_member_t members[] = {
        {.name = "count", .layout = &arena_layout_u32},
        {.name = "plain", .layout = &arena_layout_i32, .by = "count"},
    };

    expect_fail(arena_layout_struct(arena, "s", members, 2, NULL), EINVAL,
                "member plain of s cannot be counted or told by count: its "
                "layout");
    members[1].layout = arena_layout_array(arena, &arena_layout_u8, 9);
    expect_fail(arena_layout_union(arena, "u", members, 2, NULL, NULL), EINVAL,
                "it is one of a union");
    members[1].by = "cuont";
    expect_fail(arena_layout_struct(arena, "s", members, 2, NULL), EINVAL,
                "by cuont: no member of that name");
}
END_TEST

START_TEST(test_build_padding_takes_its_bytes)
{
    const arena_layout_member_t members[] = {
        {"a", &arena_layout_u8, 0, 0, NULL, 0},
        {NULL, there(arena_layout_padding(arena, 5)), 0, 0, NULL, 0},
        {"b", &arena_layout_u8, 0, 0, NULL, 0}};
    const arena_layout_t *made =
        there(arena_layout_struct(arena, NULL, members, 3, NULL));

    expect_whole(made, 7, 1);
    ck_assert_uint_eq(made->members[2].offset, 6);
    expect_fail(arena_layout_padding(arena, 0), EINVAL, "padding");
}
END_TEST

START_TEST(test_build_aligned_raises_and_lowers)
{
    const arena_layout_member_t members[] = {
        {"a", &arena_layout_u8, 0, 0, NULL, 0},
        {"b", there(arena_layout_aligned(arena, &arena_layout_i32, 1)), 0, 0,
         NULL, 0},
        {"c", there(arena_layout_aligned(arena, &arena_layout_u8, 16)), 0, 0,
         NULL, 0}};
    const arena_layout_t *made =
        there(arena_layout_struct(arena, NULL, members, 3, NULL));

    ck_assert_uint_eq(made->members[1].offset, 1);
    ck_assert_uint_eq(made->members[2].offset, 16);
    ck_assert_uint_eq(made->size, 32);
    expect_fail(arena_layout_aligned(arena, made, 8), EINVAL, "16");
    expect_fail(arena_layout_aligned(arena, made, 24), EINVAL, "power");
    expect_fail(arena_layout_aligned(arena, NULL, 8), EINVAL, "");
    /* Its size, 1, is no multiple of 16 now. */
    expect_fail(arena_layout_array(arena, members[2].layout, 2), EINVAL,
                "multiple");
}
END_TEST

START_TEST(test_build_number_has_two_types)
{
    const arena_layout_t *made = there(
        arena_layout_number(arena, &arena_layout_u16_be, &arena_layout_int));

    ck_assert_uint_eq(arena_layout_size(made, ARENA_FORM_DATA), 2);
    ck_assert_uint_eq(arena_layout_size(made, ARENA_FORM_VALUE), 4);
    expect_fail(
        arena_layout_number(arena, &arena_layout_int, &arena_layout_f32),
        EINVAL, "");
    expect_fail(arena_layout_number(arena, made, NULL), EINVAL, "");
}
END_TEST

START_TEST(test_build_bad_arguments_fail)
{
    const arena_layout_member_t none = {"a", NULL, 0, 0, NULL, 0};
    const arena_layout_member_t lost = {"a", &arena_layout_string, 0, 0, "n",
                                        0};
    arena_layout_options_t options = ARENA_LAYOUT_OPTIONS_INIT;
    arena_layout_t *pointer = arena_layout_pointer(arena, NULL);

    expect_fail(arena_layout_struct(arena, NULL, NULL, 1, NULL), EINVAL, "");
    expect_fail(arena_layout_struct(arena, "s", &none, 1, NULL), EINVAL,
                "member 0 of s");
    expect_fail(arena_layout_struct(arena, "s", &lost, 1, NULL), EINVAL, "n");
    expect_fail(arena_layout_array(arena, NULL, 1), EINVAL, "");
    expect_fail(arena_layout_raw(arena, 8, 3), EINVAL, "3");
    expect_fail(arena_layout_enum(arena, "e", &arena_layout_f32, NULL, 0),
                EINVAL, "");
    expect_fail(arena_layout_flags(arena, "e", &arena_layout_int, NULL, 1),
                EINVAL, "");
    options.pack = 3;
    expect_fail(arena_layout_struct(arena, NULL, NULL, 0, &options), EINVAL,
                "3");
    options.size = 1;
    expect_fail(arena_layout_struct(arena, NULL, NULL, 0, &options), EINVAL,
                "INIT");
    expect_ok(arena_layout_set_target(pointer, &arena_layout_int));
    expect_fail(arena_layout_set_target(pointer, &arena_layout_int), EINVAL,
                "");
    expect_fail(arena_layout_set_target(NULL, &arena_layout_int), EINVAL, "");
}
END_TEST

START_TEST(test_build_too_large_fails)
{
    const arena_layout_t *half =
        ARRAY(&arena_layout_u8, opaque_size(PTRDIFF_MAX / 2 + 1));
    const arena_layout_member_t members[] = {{"a", half, 0, 0, NULL, 0},
                                             {"b", half, 0, 0, NULL, 0}};

    expect_fail(arena_layout_array(arena, &arena_layout_u64, SIZE_MAX / 2),
                ENOMEM, "PTRDIFF_MAX");
    expect_fail(arena_layout_array(arena, half, 2), ENOMEM, "");
    expect_fail(arena_layout_struct(arena, NULL, members, 2, NULL), ENOMEM,
                "");
    expect_fail(arena_layout_raw(arena, opaque_size(SIZE_MAX), 1), ENOMEM, "");
}
END_TEST

START_TEST(test_build_too_deep_fails)
{
    const arena_layout_t *layout = &arena_layout_u8;

    for (size_t i = 0; i < 63; i++)
        layout = ARRAY(layout, 1);
    expect_fail(arena_layout_array(arena, layout, 1), EINVAL, "deep");
}
END_TEST

START_TEST(test_build_in_arenas_that_do_not_keep_fails)
{
    expect_fail(arena_layout_pointer(NULL, NULL), EINVAL, "implicit");
    expect_fail(arena_layout_padding(arena_implicit(), 1), EINVAL, "implicit");
    expect_fail(arena_layout_struct(NULL, NULL, NULL, 0, NULL), EINVAL, "");
}
END_TEST

START_TEST(test_build_copies_what_it_is_given)
{
    char name[] = "point", field[] = "x";
    arena_layout_member_t member = {field, &arena_layout_int, 0, 0, NULL, 0};
    const arena_layout_t *made =
        there(arena_layout_struct(arena, name, &member, 1, NULL));

    memset(name, '-', sizeof name - 1);
    memset(field, '-', sizeof field - 1);
    memset(&member, 0, sizeof member);
    ck_assert_str_eq(made->name, "point");
    expect_member(made, "x", 0, sizeof(int));
}
END_TEST

START_TEST(test_variants_by_name_and_value)
{
    const arena_layout_variant_t variants[] = {
        {"red", 0}, {"green", 5}, {"blue", 6}, {"azure", 6}};
    const arena_layout_t *made = there(arena_layout_enum(
        arena, "color", &arena_layout_i16, variants, LENGTH(variants)));
    int64_t value = 0;

    expect_ok(arena_layout_variant_value(made, "azure", &value));
    ck_assert_int_eq(value, 6);
    ck_assert_str_eq(arena_layout_variant_name(made, 6), "blue");
    ck_assert_ptr_null(arena_layout_variant_name(made, 1));
    expect_fail(arena_layout_variant_value(made, "pink", &value), EINVAL,
                "color has no variant pink");
    expect_fail(arena_layout_variant_value(&arena_layout_int, "x", &value),
                EINVAL, "");
    ck_assert_int_eq(value, 6);
}
END_TEST

/* --- Paths --- */

struct point {
    int32_t x, y;
};

struct shape {
    char kind;
    struct point points[4];
    double matrix[2][3];
    struct shape *next;
    struct point *more;
    size_t count;
};

ARENA_STRUCT(point_layout, struct point,
             ARENA_MEMBER(struct point, x, arena_layout_i32),
             ARENA_MEMBER(struct point, y, arena_layout_i32));
ARENA_ARRAY(points_layout, point_layout, 4);
ARENA_ARRAY(row_layout, arena_layout_f64, 3);
ARENA_ARRAY(matrix_layout, row_layout, 2);
ARENA_FORWARD(shape_layout, struct shape);
ARENA_POINTER(shape_pointer, shape_layout);
ARENA_POINTER(point_pointer, point_layout);
ARENA_STRUCT(shape_layout, struct shape,
             ARENA_MEMBER(struct shape, kind, arena_layout_char),
             ARENA_MEMBER(struct shape, points, points_layout),
             ARENA_MEMBER(struct shape, matrix, matrix_layout),
             ARENA_MEMBER(struct shape, next, shape_pointer),
             ARENA_MEMBER_BY(struct shape, more, point_pointer, count),
             ARENA_MEMBER(struct shape, count, arena_layout_size_t));

static size_t
offset_of(const char *text, const size_t *indices, size_t count)
{
    arena_path_t path;
    size_t offset = SIZE_MAX;

    expect_ok(arena_layout_path(&shape_layout, text, &path));
    expect_ok(arena_path_offset(&path, ARENA_FORM_VALUE, indices, count,
                                &offset));
    return offset;
}

START_TEST(test_path_offsets_are_the_compilers)
{
    const size_t three = 3, both[] = {1, 2};

    ck_assert_uint_eq(offset_of("", NULL, 0), 0);
    ck_assert_uint_eq(offset_of("points", NULL, 0),
                      offsetof(struct shape, points));
    ck_assert_uint_eq(offset_of("points[2].y", NULL, 0),
                      offsetof(struct shape, points[2].y));
    ck_assert_uint_eq(offset_of("points[].y", &three, 1),
                      offsetof(struct shape, points[3].y));
    ck_assert_uint_eq(offset_of("matrix[][]", both, 2),
                      offsetof(struct shape, matrix[1][2]));
    ck_assert_uint_eq(offset_of("matrix[1][]", both, 1),
                      offsetof(struct shape, matrix[1][1]));
}
END_TEST

START_TEST(test_path_leads_through_pointers)
{
    struct point more[3] = {{0, 0}, {0, 0}, {7, 8}};
    struct shape second = {.more = more}, first = {.next = &second};
    arena_path_t path;
    size_t index = 2;

    expect_ok(arena_layout_path(&shape_layout, "next->more[].y", &path));
    ck_assert_ptr_eq(path.layout, &arena_layout_i32);
    ck_assert_ptr_eq(
        arena_path_at(&path, ARENA_FORM_VALUE, &first, &index, 1), &more[2].y);
    expect_fail(
        arena_path_at(&path, ARENA_FORM_VALUE, &second, &index, 1), EFAULT,
        "NULL");
    index = SIZE_MAX / 2;
    expect_fail(arena_path_at(&path, ARENA_FORM_VALUE, &first, &index, 1),
                ERANGE, "");
    expect_fail(arena_path_offset(&path, ARENA_FORM_VALUE, &index, 1, &index),
                EINVAL, "pointer");
    expect_ok(arena_layout_path(&shape_layout, "next->next->more[1]", &path));
    second.next = &first;
    first.more = more;
    ck_assert_ptr_eq(arena_path_at(&path, ARENA_FORM_VALUE, &first, NULL, 0),
                     &more[1]);
}
END_TEST

static const char *const bad_paths[] = {
    "none",      "points.x",   "points[4]",    "points[-1]",
    "points[",   "points[1",   "points[x]",    "kind[0]",
    "kind.x",    "next.kind",  "points->x",    ".kind",
    "kind ",     "points[1]x", "points..x",    "next->",
    "next->->x", "next-kind",  "points[1].",   "kindness",
    "kin",       "[0]",        "->kind",       "more[18446744073709551616]",
    "more[9223372036854775807].y"};

START_TEST(test_path_bad_text_fails)
{
    arena_path_t path;

    expect_fail(arena_layout_path(&shape_layout, bad_paths[_i], &path), EINVAL,
                "path");
}
END_TEST

START_TEST(test_path_bad_use_fails)
{
    const size_t four = 4;
    arena_path_t path;
    size_t out = 77;

    expect_ok(arena_layout_path(&shape_layout, "points[].x", &path));
    expect_fail(arena_path_offset(&path, ARENA_FORM_DATA, &four, 1, &out),
                ERANGE, "index 4 is past the end of an array of 4");
    expect_fail(arena_path_offset(&path, ARENA_FORM_DATA, NULL, 0, &out),
                EINVAL, "1 open");
    expect_fail(arena_path_offset(&path, (arena_form_t)2, &four, 1, &out),
                EINVAL, "form");
    expect_fail(arena_path_offset(NULL, ARENA_FORM_DATA, NULL, 0, &out),
                EINVAL, "");
    expect_fail(arena_path_offset(&path, ARENA_FORM_DATA, &four, 1, NULL),
                EINVAL, "");
    expect_fail(arena_path_at(&path, ARENA_FORM_DATA, NULL, &four, 1), EINVAL,
                "");
    expect_fail(arena_layout_path(NULL, "x", &path), EINVAL, "");
    expect_fail(arena_layout_path(&shape_layout, NULL, &path), EINVAL, "");
    expect_fail(arena_layout_path(&shape_layout, "kind", NULL), EINVAL, "");
    ck_assert_uint_eq(out, 77);
}
END_TEST

START_TEST(test_path_index_past_the_end_is_named)
{
    const size_t last = SIZE_MAX;
    struct shape shape = {0};
    struct point points[1];
    arena_path_t path;

    expect_fail(arena_layout_path(&shape_layout, "points[4]", &path), EINVAL,
                "index 4 is past the end of an array of 4");
    expect_ok(arena_layout_path(&shape_layout, "more[]", &path));
    shape.more = points;
    expect_fail(arena_path_at(&path, ARENA_FORM_VALUE, &shape, &last, 1),
                ERANGE, "elements of 8 bytes");
}
END_TEST

struct outer {
    struct point inner;
    struct point pair[2];
};

ARENA_STRUCT(outer_layout, struct outer,
             ARENA_MEMBER(struct outer, inner.y, arena_layout_i32),
             ARENA_MEMBER(struct outer, pair[1].x, arena_layout_i32));

START_TEST(test_path_to_field_within_a_field)
{
    struct outer outer;
    arena_path_t path;

    expect_ok(arena_layout_path(&outer_layout, "inner.y", &path));
    ck_assert_ptr_eq(arena_path_at(&path, ARENA_FORM_VALUE, &outer, NULL, 0),
                     &outer.inner.y);
    expect_ok(arena_layout_path(&outer_layout, "pair[1].x", &path));
    ck_assert_ptr_eq(arena_path_at(&path, ARENA_FORM_VALUE, &outer, NULL, 0),
                     &outer.pair[1].x);
    expect_fail(arena_layout_path(&outer_layout, "inner", &path), EINVAL,
                "no such member");
}
END_TEST

START_TEST(test_path_too_many_steps_fails)
{
    arena_path_t path;
    char text[200] = "next";

    for (size_t i = 1; i < ARENA_PATH_STEPS; i++)
        strcat(text, "->next");
    expect_ok(arena_layout_path(&shape_layout, text, &path));
    strcat(text, "->next->kind");
    expect_fail(arena_layout_path(&shape_layout, text, &path), EINVAL,
                "too many");
}
END_TEST

/* Of two members the first; those of members without a name, too. */
START_TEST(test_path_finds_members_as_c_does)
{
    const arena_layout_member_t inner[] = {
        {"a", &arena_layout_u8, 0, 0, NULL, 0},
        {"b", &arena_layout_u16, 0, 0, NULL, 0}};
    const arena_layout_member_t outer[] = {
        {"x", &arena_layout_u32, 0, 0, NULL, 0},
        {NULL, there(arena_layout_struct(arena, NULL, inner, 2, NULL)), 0, 0,
         NULL, 0},
        {"x", &arena_layout_u64, 0, 0, NULL, 0}};
    const arena_layout_t *made =
        there(arena_layout_struct(arena, NULL, outer, 3, NULL));

    expect_member(made, "x", 0, 4);
    expect_member(made, "b", 6, 2);
}
END_TEST

/* --- Suite --- */

static Suite *
layout_suite(void)
{
    Suite *suite = suite_create("layout");
    TCase *build = tcase_create("build");
    TCase *path = tcase_create("path");

    tcase_add_checked_fixture(build, setup, teardown);
    tcase_add_loop_test(build, test_build_agrees_with_the_compiler, 0,
                        (int)LENGTH(checks));
    tcase_add_test(build, test_build_aligned_agrees_with_the_compiler);
    tcase_add_test(build, test_build_forms_are_independent);
    tcase_add_test(build, test_build_pads_the_end);
    tcase_add_test(build, test_build_pads_a_union);
    tcase_add_test(build, test_build_empty_struct_has_size_0);
    tcase_add_test(build, test_build_number_of_no_use_is_named);
    tcase_add_test(build, test_build_padding_takes_its_bytes);
    tcase_add_test(build, test_build_aligned_raises_and_lowers);
    tcase_add_test(build, test_build_number_has_two_types);
    tcase_add_test(build, test_build_bad_arguments_fail);
    tcase_add_test(build, test_build_too_large_fails);
    tcase_add_test(build, test_build_too_deep_fails);
    tcase_add_test(build, test_build_in_arenas_that_do_not_keep_fails);
    tcase_add_test(build, test_build_copies_what_it_is_given);
    tcase_add_test(build, test_variants_by_name_and_value);
    suite_add_tcase(suite, build);

    tcase_add_checked_fixture(path, setup, teardown);
    tcase_add_test(path, test_path_offsets_are_the_compilers);
    tcase_add_test(path, test_path_leads_through_pointers);
    tcase_add_loop_test(path, test_path_bad_text_fails, 0,
                        (int)LENGTH(bad_paths));
    tcase_add_test(path, test_path_bad_use_fails);
    tcase_add_test(path, test_path_index_past_the_end_is_named);
    tcase_add_test(path, test_path_to_field_within_a_field);
    tcase_add_test(path, test_path_too_many_steps_fails);
    tcase_add_test(path, test_path_finds_members_as_c_does);
    suite_add_tcase(suite, path);
    return suite;
}

int
main(void)
{
    return run_suite(layout_suite());
}
