/* layout.c: the scalars, building layouts, and asking them. */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "error.h"
#include "explicit.h"
#include "layout.h"

/* --- Scalars --- */

#define SCALAR(symbol, text, kind, order, flags, type)                        \
    const arena_layout_t symbol = {                                           \
        kind,           order,         flags,          0,                     \
        text,           sizeof(type),  _Alignof(type), sizeof(type),          \
        _Alignof(type), 0,             NULL,           NULL,                  \
        NULL,           NULL,          {NULL, NULL}}
#define INTEGER(symbol, text, order, type)                                    \
    SCALAR(symbol, text, ARENA_LAYOUT_INT, order, ARENA_SIGNS_(type, type),   \
           type)
#define IN_ORDERS(macro, symbol, text, type)                                  \
    macro(symbol, text, ARENA_NATIVE_ENDIAN, type);                           \
    macro(symbol##_le, text, ARENA_LITTLE_ENDIAN, type);                      \
    macro(symbol##_be, text, ARENA_BIG_ENDIAN, type)
#define FLOATING(symbol, text, order, type)                                   \
    SCALAR(symbol, text, ARENA_LAYOUT_FLOAT, order, 0, type)

INTEGER(arena_layout_i8, "i8", ARENA_NATIVE_ENDIAN, int8_t);
INTEGER(arena_layout_u8, "u8", ARENA_NATIVE_ENDIAN, uint8_t);
IN_ORDERS(INTEGER, arena_layout_i16, "i16", int16_t);
IN_ORDERS(INTEGER, arena_layout_u16, "u16", uint16_t);
IN_ORDERS(INTEGER, arena_layout_i32, "i32", int32_t);
IN_ORDERS(INTEGER, arena_layout_u32, "u32", uint32_t);
IN_ORDERS(INTEGER, arena_layout_i64, "i64", int64_t);
IN_ORDERS(INTEGER, arena_layout_u64, "u64", uint64_t);
IN_ORDERS(FLOATING, arena_layout_f32, "f32", float);
IN_ORDERS(FLOATING, arena_layout_f64, "f64", double);
INTEGER(arena_layout_char, "char", ARENA_NATIVE_ENDIAN, char);
INTEGER(arena_layout_short, "short", ARENA_NATIVE_ENDIAN, short);
INTEGER(arena_layout_int, "int", ARENA_NATIVE_ENDIAN, int);
INTEGER(arena_layout_uint, "unsigned", ARENA_NATIVE_ENDIAN, unsigned);
INTEGER(arena_layout_long, "long", ARENA_NATIVE_ENDIAN, long);
INTEGER(arena_layout_ulong, "unsigned long", ARENA_NATIVE_ENDIAN,
        unsigned long);
INTEGER(arena_layout_size_t, "size_t", ARENA_NATIVE_ENDIAN, size_t);
SCALAR(arena_layout_bool, "bool", ARENA_LAYOUT_BOOL, 0, 0, bool);
SCALAR(arena_layout_string, "string", ARENA_LAYOUT_STRING, 0, 0, char *);
SCALAR(arena_layout_address, "address", ARENA_LAYOUT_POINTER, 0, 0, void *);

_Static_assert(sizeof(bool) == 1, "the bytes of a bool are checked as one");

const char *
arenap_layout_name(const arena_layout_t *layout)
{
    static const char *const names[] = {
        "layout", "integer", "float", "bool", "string",  "pointer", "array",
        "struct", "union",   "enum",  "flags", "padding", "raw bytes"};

    if (layout->name != NULL)
        return layout->name;
    return names[layout->kind < sizeof names / sizeof names[0] ? layout->kind
                                                               : 0];
}

/* The first of that name.  In most tables it is the very same string. */
static const arena_layout_member_t *
member_named(const arena_layout_t *layout, const char *name)
{
    for (size_t i = 0; i < layout->count; i++) {
        if (layout->members[i].name == name)
            return &layout->members[i];
    }
    for (size_t i = 0; i < layout->count; i++) {
        const arena_layout_member_t *member = &layout->members[i];

        if (member->name != NULL && strcmp(member->name, name) == 0)
            return member;
    }
    return NULL;
}

const arena_layout_member_t *
arenap_layout_by(const arena_layout_t *layout,
                 const arena_layout_member_t *member)
{
    const arena_layout_member_t *by = member_named(layout, member->by);

    return by != NULL && by->layout != NULL
                   && arenap_layout_is_number(by->layout)
               ? by
               : NULL;
}

/* --- Building --- */

/* May layouts be built there?  They point to each other. */
static int
build_check(const arena_t *arena)
{
    if (arena == NULL || arena_kind(arena) == ARENA_IMPLICIT)
        return arenap_fail(EINVAL, "layouts are not built in the implicit "
                                   "arena: its blocks do not keep each other");
    return 0;
}

/* A layout that is as a model; NULL with errno set. */
static arena_layout_t *
build_copy(arena_t *arena, const arena_layout_t *model)
{
    return arena_memdup(arena, model, sizeof *model);
}

static arena_layout_t *
build_too_large(const char *what)
{
    return arenap_fail_null(ENOMEM, "the %s is larger than PTRDIFF_MAX bytes",
                            what);
}

/* What a layout has beside itself, in one block with it: so that a failure
 * leaves nothing behind. */
struct parts {
    size_t size; /* of count members or variants */
    size_t text; /* bytes of names */
};

static void
parts_add_text(struct parts *parts, const char *text)
{
    if (text != NULL)
        parts->text += strlen(text) + 1;
}

/* A copy of a string that may be NULL, at *at, which goes on behind it. */
static const char *
parts_copy_text(char **at, const char *text)
{
    size_t size = text != NULL ? strlen(text) + 1 : 0;
    char *copy = *at;

    if (text == NULL)
        return NULL;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

/* A layout as a model, with its name, and room for its parts: members or
 * variants begin right behind it, *text gets where their names go.  When they
 * are there comes build_end.  NULL with errno set. */
static arena_layout_t *
build_block(arena_t *arena, const arena_layout_t *model,
            const struct parts *parts, char **text)
{
    size_t size = sizeof *model;
    arena_layout_t *layout;

    if (__builtin_add_overflow(size, parts->size, &size)
        || __builtin_add_overflow(size, parts->text, &size))
        return build_too_large("table");
    if (arenap_explicit_fill_begin(arena) != 0)
        return NULL;
    layout = arena_alloc(arena, size);
    if (layout == NULL) {
        arenap_explicit_fill_end(arena);
        return NULL;
    }
    *layout = *model;
    *text = (char *)(layout + 1) + parts->size;
    layout->name = parts_copy_text(text, model->name);
    return layout;
}

/* All of the block is written. */
static arena_layout_t *
build_end(arena_t *arena, arena_layout_t *layout)
{
    arenap_explicit_fill_end(arena);
    return layout;
}

/* One more level than what it is made of; 0 is as 1. */
static unsigned
build_depth(unsigned depth, const arena_layout_t *part)
{
    unsigned deeper = part->depth == 0 ? 2 : part->depth + 1u;

    return deeper > depth ? deeper : depth;
}

arena_layout_t *
arena_layout_number(arena_t *arena, const arena_layout_t *data,
                    const arena_layout_t *value)
{
    arena_layout_t model;

    if (build_check(arena) != 0)
        return NULL;
    if (data == NULL || value == NULL || data->kind != value->kind
        || (data->kind != ARENA_LAYOUT_INT
            && data->kind != ARENA_LAYOUT_FLOAT))
        return arenap_fail_null(EINVAL, "a number has two layouts, of "
                                        "integers or of floating numbers");
    model = *data;
    model.value_size = value->value_size;
    model.value_align = value->value_align;
    model.flags = (unsigned char)((data->flags & ARENA_LAYOUT_SIGNED_DATA)
                                  | (value->flags
                                     & ARENA_LAYOUT_SIGNED_VALUE));
    return build_copy(arena, &model);
}

/* Are elements aligned that follow each other?  False with errno EINVAL. */
static bool
is_repeatable(const arena_layout_t *element, arena_form_t form)
{
    size_t size = arenap_layout_size(element, form);
    size_t align = arenap_layout_align(element, form);

    if (align <= 1 || size % align == 0)
        return true;
    arenap_fail(EINVAL, "the size of %s, %zu bytes, is no multiple of its "
                        "alignment, %zu",
                arenap_layout_name(element), size, align);
    return false;
}

arena_layout_t *
arena_layout_array(arena_t *arena, const arena_layout_t *element, size_t count)
{
    arena_layout_t model = {.kind = ARENA_LAYOUT_ARRAY, .count = count};
    unsigned depth;

    if (build_check(arena) != 0)
        return NULL;
    if (element == NULL)
        return arenap_fail_null(EINVAL, "an array of NULL");
    if (!is_repeatable(element, ARENA_FORM_DATA)
        || !is_repeatable(element, ARENA_FORM_VALUE))
        return NULL;
    if (__builtin_mul_overflow(element->size, count, &model.size)
        || __builtin_mul_overflow(element->value_size, count,
                                  &model.value_size)
        || model.size > PTRDIFF_MAX || model.value_size > PTRDIFF_MAX)
        return build_too_large("array");
    depth = build_depth(1, element);
    if (depth > LAYOUT_DEPTH)
        return arenap_fail_null(EINVAL, "nested more than %u deep",
                                LAYOUT_DEPTH);
    model.depth = (unsigned char)depth;
    model.align = element->align;
    model.value_align = element->value_align;
    model.element = element;
    return build_copy(arena, &model);
}

arena_layout_t *
arena_layout_pointer(arena_t *arena, const arena_layout_t *target)
{
    arena_layout_t model = arena_layout_address;

    if (build_check(arena) != 0)
        return NULL;
    model.name = NULL;
    model.count = 1;
    model.element = target;
    return build_copy(arena, &model);
}

int
arena_layout_set_target(arena_layout_t *pointer, const arena_layout_t *target)
{
    if (pointer == NULL || target == NULL
        || pointer->kind != ARENA_LAYOUT_POINTER || pointer->element != NULL)
        return arenap_fail(EINVAL, "the target of what is no pointer, or has "
                                   "one, or NULL");
    pointer->element = target;
    return 0;
}

static arena_layout_t *
build_named(arena_t *arena, arena_layout_kind_t kind, const char *name,
            const arena_layout_t *number,
            const arena_layout_variant_t *variants, size_t count)
{
    struct parts parts = {0, 0};
    arena_layout_variant_t *copies;
    arena_layout_t model, *layout;
    char *text;

    if (build_check(arena) != 0)
        return NULL;
    if (number == NULL || number->kind != ARENA_LAYOUT_INT
        || (variants == NULL && count != 0))
        return arenap_fail_null(EINVAL, "variants are names of integers");
    model = *number;
    model.kind = (unsigned char)kind;
    model.name = name;
    model.count = count;
    if (__builtin_mul_overflow(count, sizeof *copies, &parts.size))
        return build_too_large("table");
    parts_add_text(&parts, name);
    for (size_t i = 0; i < count; i++)
        parts_add_text(&parts, variants[i].name);
    layout = build_block(arena, &model, &parts, &text);
    if (layout == NULL)
        return NULL;
    copies = (arena_layout_variant_t *)(layout + 1);
    for (size_t i = 0; i < count; i++) {
        copies[i] = variants[i];
        copies[i].name = parts_copy_text(&text, variants[i].name);
    }
    layout->variants = copies;
    return build_end(arena, layout);
}

arena_layout_t *
arena_layout_enum(arena_t *arena, const char *name,
                  const arena_layout_t *number,
                  const arena_layout_variant_t *variants, size_t count)
{
    return build_named(arena, ARENA_LAYOUT_ENUM, name, number, variants,
                       count);
}

arena_layout_t *
arena_layout_flags(arena_t *arena, const char *name,
                   const arena_layout_t *number,
                   const arena_layout_variant_t *variants, size_t count)
{
    return build_named(arena, ARENA_LAYOUT_FLAGS, name, number, variants,
                       count);
}

static arena_layout_t *
build_bytes(arena_t *arena, arena_layout_kind_t kind, size_t size,
            size_t align)
{
    arena_layout_t model = {
        .kind = (unsigned char)kind,
        .size = size,
        .align = align,
        .value_size = size,
        .value_align = align,
    };

    if (!arenap_is_pow2(align))
        return arenap_fail_null(EINVAL, "the alignment %zu is no power of two",
                                align);
    if (size > PTRDIFF_MAX)
        return build_too_large("run of bytes");
    return build_copy(arena, &model);
}

arena_layout_t *
arena_layout_padding(arena_t *arena, size_t size)
{
    if (build_check(arena) != 0)
        return NULL;
    if (size == 0)
        return arenap_fail_null(EINVAL, "padding of 0 bytes");
    return build_bytes(arena, ARENA_LAYOUT_PADDING, size, 1);
}

arena_layout_t *
arena_layout_raw(arena_t *arena, size_t size, size_t align)
{
    if (build_check(arena) != 0)
        return NULL;
    return build_bytes(arena, ARENA_LAYOUT_RAW, size, align);
}

arena_layout_t *
arena_layout_aligned(arena_t *arena, const arena_layout_t *layout,
                     size_t align)
{
    arena_layout_t model;
    bool group;

    if (build_check(arena) != 0)
        return NULL;
    if (layout == NULL || !arenap_is_pow2(align))
        return arenap_fail_null(EINVAL, "a layout aligned to %zu, which is no "
                                        "power of two, or no layout", align);
    group = layout->kind == ARENA_LAYOUT_STRUCT
            || layout->kind == ARENA_LAYOUT_UNION
            || layout->kind == ARENA_LAYOUT_ARRAY;
    if (group && align < layout->align)
        return arenap_fail_null(EINVAL, "members of %s are aligned to %zu, "
                                        "more than %zu",
                                arenap_layout_name(layout), layout->align,
                                align);
    model = *layout;
    model.align = align;
    if (model.value_align < align)
        model.value_align = align;
    return build_copy(arena, &model);
}

/* --- Structures and unions --- */

/* One form of a structure or union that grows by a member at a time. */
struct grown {
    bool is_union;
    size_t pack; /* 0: none */
    size_t size, align;
};

/* Place a member; false if it becomes too large. */
static bool
grown_add(struct grown *grown, size_t size, size_t align, size_t *offset)
{
    size_t end;

    if (grown->pack != 0 && align > grown->pack)
        align = grown->pack;
    if (align > grown->align)
        grown->align = align;
    *offset = grown->is_union ? 0 : arenap_round_up(grown->size, align);
    if (*offset > PTRDIFF_MAX || size > PTRDIFF_MAX - *offset)
        return false;
    end = *offset + size;
    if (end > grown->size)
        grown->size = end;
    return true;
}

/* Round its size up; false if it becomes too large. */
static bool
grown_end(struct grown *grown)
{
    grown->size = arenap_round_up(grown->size, grown->align);
    return grown->size <= PTRDIFF_MAX;
}

/* 0; or -1 with errno EINVAL. */
static int
options_check(arena_layout_options_t *out,
              const arena_layout_options_t *options)
{
    static const arena_layout_options_t defaults = ARENA_LAYOUT_OPTIONS_INIT;
    const size_t *powers[] = {&out->pack, &out->align, &out->value_pack,
                              &out->value_align};

    *out = options != NULL ? *options : defaults;
    if (out->size != sizeof *out)
        return arenap_fail(EINVAL, "options of %zu bytes, not %zu: start from "
                                   "ARENA_LAYOUT_OPTIONS_INIT",
                           out->size, sizeof *out);
    for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++) {
        if (*powers[i] != 0 && !arenap_is_pow2(*powers[i]))
            return arenap_fail(EINVAL, "%zu is no power of two", *powers[i]);
    }
    return 0;
}

/* Is the number that the member names there, and of use?  As members_check. */
static int
member_check_by(const arena_layout_t *group,
                const arena_layout_member_t *member)
{
    const char *name = member->name != NULL ? member->name : "without a name";

    if (group->kind == ARENA_LAYOUT_UNION)
        return arenap_fail(EINVAL,
                           "member %.40s of %.40s cannot be counted or told "
                           "by %.40s: it is one of a union",
                           name, arenap_layout_name(group), member->by);
    if (!arenap_layout_takes_by(member->layout))
        return arenap_fail(EINVAL,
                           "member %.40s of %.40s cannot be counted or told "
                           "by %.40s: its layout is no array, union or "
                           "pointer to what has one",
                           name, arenap_layout_name(group), member->by);
    if (arenap_layout_by(group, member) == NULL)
        return arenap_fail(EINVAL,
                           "member %.40s of %.40s cannot be counted or told "
                           "by %.40s: no member of that name is a number",
                           name, arenap_layout_name(group), member->by);
    return 0;
}

/* Is every member usable?  0, and the depth is set; or -1 with errno
 * EINVAL. */
static int
members_check(arena_layout_t *group)
{
    unsigned depth = 1;

    for (size_t i = 0; i < group->count; i++) {
        const arena_layout_member_t *member = &group->members[i];

        if (member->layout == NULL)
            return arenap_fail(EINVAL, "member %zu of %s has no layout", i,
                               arenap_layout_name(group));
        depth = build_depth(depth, member->layout);
    }
    if (depth > LAYOUT_DEPTH)
        return arenap_fail(EINVAL, "nested more than %u deep", LAYOUT_DEPTH);
    group->depth = (unsigned char)depth;
    for (size_t i = 0; i < group->count; i++) {
        const arena_layout_member_t *member = &group->members[i];

        if (member->by != NULL && member_check_by(group, member) != 0)
            return -1;
    }
    return 0;
}

/* Find both sizes of the group; copies, if there are, get the members'
 * offsets.  False with errno set: too large. */
static bool
members_place(const arena_layout_t *group, struct grown grown[2],
              arena_layout_member_t *copies)
{
    for (size_t i = 0; i < group->count; i++) {
        const arena_layout_t *layout = group->members[i].layout;
        size_t offset, value_offset;

        if (!grown_add(&grown[0], layout->size, layout->align, &offset)
            || !grown_add(&grown[1], layout->value_size, layout->value_align,
                          &value_offset))
            return build_too_large("structure") != NULL;
        if (copies != NULL) {
            copies[i].offset = offset;
            copies[i].value_offset = value_offset;
        }
    }
    if (!grown_end(&grown[0]) || !grown_end(&grown[1]))
        return build_too_large("structure") != NULL;
    return true;
}

/* The group and its members, all checked, in one block. */
static arena_layout_t *
build_members(arena_t *arena, const arena_layout_t *group,
              struct grown grown[2])
{
    struct parts parts = {group->count * sizeof *group->members, 0};
    arena_layout_member_t *copies;
    arena_layout_t *layout;
    char *text;

    parts_add_text(&parts, group->name);
    for (size_t i = 0; i < group->count; i++)
        parts_add_text(&parts, group->members[i].name);
    layout = build_block(arena, group, &parts, &text);
    if (layout == NULL)
        return NULL;
    copies = (arena_layout_member_t *)(layout + 1);
    for (size_t i = 0; i < group->count; i++) {
        copies[i] = group->members[i];
        copies[i].name = parts_copy_text(&text, copies[i].name);
    }
    for (size_t i = 0; i < group->count; i++) {
        if (copies[i].by != NULL)
            copies[i].by = copies[arenap_layout_by(group, &copies[i])
                                  - group->members].name;
    }
    (void)members_place(group, grown, copies); /* did fit before */
    layout->members = copies;
    return build_end(arena, layout);
}

static size_t
at_least_1(size_t n)
{
    return n > 1 ? n : 1;
}

/* A structure or union; group has what is given. */
static arena_layout_t *
build_group(arena_t *arena, arena_layout_t *group,
            const arena_layout_options_t *options)
{
    bool is_union = group->kind == ARENA_LAYOUT_UNION;
    arena_layout_options_t known;
    struct grown start[2], grown[2];

    if (build_check(arena) != 0 || options_check(&known, options) != 0)
        return NULL;
    if (group->members == NULL && group->count != 0)
        return arenap_fail_null(EINVAL, "members are NULL");
    if (members_check(group) != 0)
        return NULL;
    start[0] = (struct grown){is_union, known.pack, 0,
                              at_least_1(known.align)};
    start[1] = (struct grown){is_union, known.value_pack, 0,
                              at_least_1(known.value_align)};
    memcpy(grown, start, sizeof grown);
    if (!members_place(group, grown, NULL))
        return NULL;
    group->size = grown[0].size;
    group->align = grown[0].align;
    group->value_size = grown[1].size;
    group->value_align = grown[1].align;
    return build_members(arena, group, start);
}

arena_layout_t *
arena_layout_struct(arena_t *arena, const char *name,
                    const arena_layout_member_t *members, size_t count,
                    const arena_layout_options_t *options)
{
    arena_layout_t group = {.kind = ARENA_LAYOUT_STRUCT,
                            .name = name,
                            .members = members,
                            .count = count};

    return build_group(arena, &group, options);
}

arena_layout_t *
arena_layout_union(arena_t *arena, const char *name,
                   const arena_layout_member_t *members, size_t count,
                   arena_layout_choose_t choose,
                   const arena_layout_options_t *options)
{
    arena_layout_t group = {.kind = ARENA_LAYOUT_UNION,
                            .name = name,
                            .members = members,
                            .count = count,
                            .choose = choose};

    return build_group(arena, &group, options);
}

/* --- Asking --- */

size_t
arena_layout_size(const arena_layout_t *layout, arena_form_t form)
{
    return layout != NULL ? arenap_layout_size(layout, form) : 0;
}

size_t
arena_layout_align(const arena_layout_t *layout, arena_form_t form)
{
    return layout != NULL ? arenap_layout_align(layout, form) : 0;
}

/* Has it variants? */
static bool
has_variants(const arena_layout_t *layout)
{
    return layout != NULL
           && (layout->kind == ARENA_LAYOUT_ENUM
               || layout->kind == ARENA_LAYOUT_FLAGS);
}

int
arena_layout_variant_value(const arena_layout_t *layout, const char *name,
                           int64_t *out)
{
    if (!has_variants(layout) || name == NULL || out == NULL)
        return arenap_fail(EINVAL, "no enumeration or flag set, or NULL");
    for (size_t i = 0; i < layout->count; i++) {
        const arena_layout_variant_t *variant = &layout->variants[i];

        if (variant->name != NULL && strcmp(variant->name, name) == 0) {
            *out = variant->value;
            return 0;
        }
    }
    return arenap_fail(EINVAL, "%s has no variant %s",
                       arenap_layout_name(layout), name);
}

const char *
arena_layout_variant_name(const arena_layout_t *layout, int64_t value)
{
    for (size_t i = 0; has_variants(layout) && i < layout->count; i++) {
        if (layout->variants[i].value == value)
            return layout->variants[i].name;
    }
    return NULL;
}
