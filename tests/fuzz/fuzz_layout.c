/*
 * fuzz_layout.c: layouts that the input builds, values that fit them more or
 * less, paths.
 *
 * Of a value that is serialized the data must give a value back, and that one
 * the same data again.  Memory that values point to is malloc'd to the byte,
 * so that the address sanitizer sees what is read past it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arena/layout.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- The input --- */

struct input {
    const uint8_t *at, *end;
};

static unsigned
take(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static uint64_t
take_word(struct input *input)
{
    uint64_t word = 0;

    for (size_t i = 0; i < sizeof word; i++)
        word = word << 8 | take(input);
    return word;
}

static void
must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "violated: %s (%s)\n", what, arena_error());
        abort();
    }
}

/* --- Layouts --- */

#define LAYOUTS ((size_t)48)
#define MEMBERS ((size_t)6)
#define SIZE_MOST ((size_t)4096)

struct layouts {
    arena_t *arena;
    const arena_layout_t *made[LAYOUTS];
    size_t count;
    arena_layout_t *open[LAYOUTS]; /* pointers without a target */
    size_t opened;
};

static const arena_layout_t *const scalars[] = {
    &arena_layout_i8,     &arena_layout_u8,     &arena_layout_i16,
    &arena_layout_u16_be, &arena_layout_i32_le, &arena_layout_u32,
    &arena_layout_i64_be, &arena_layout_u64,    &arena_layout_f32_be,
    &arena_layout_f64,    &arena_layout_bool,   &arena_layout_string,
    &arena_layout_address};

#define SCALARS (sizeof scalars / sizeof scalars[0])

static const arena_layout_t *
pick(const struct layouts *layouts, struct input *input)
{
    return layouts->made[take(input) % layouts->count];
}

static int
choose_first(const void *bytes, arena_form_t form)
{
    (void)bytes;
    (void)form;
    return 0;
}

static const char *const names[] = {"a", "b", "c", "d", "e", "f", "n", NULL};

static arena_layout_t *
build_group(struct layouts *layouts, struct input *input, bool is_union)
{
    arena_layout_options_t options = ARENA_LAYOUT_OPTIONS_INIT;
    arena_layout_member_t members[MEMBERS];
    size_t count = take(input) % (MEMBERS + 1);
    unsigned how = take(input);

    memset(members, 0, sizeof members);
    options.pack = (how & 7) == 0 ? 0 : (size_t)1 << (how & 3);
    options.align = (how & 8) == 0 ? 0 : (size_t)1 << (how >> 6);
    options.value_pack = (how & 16) == 0 ? 0 : (size_t)1 << (how & 3);
    for (size_t i = 0; i < count; i++) {
        unsigned byte = take(input);

        members[i].name = names[i];
        members[i].layout = pick(layouts, input);
        members[i].tag = (int64_t)i;
        if ((byte & 1) != 0)
            members[i].by = names[byte >> 5];
        if ((byte & 2) != 0)
            members[i].name = names[(byte >> 2) & 7];
    }
    if (is_union)
        return arena_layout_union(layouts->arena, "u", members, count,
                                  (how & 32) != 0 ? choose_first : NULL,
                                  &options);
    return arena_layout_struct(layouts->arena, "s", members, count, &options);
}

static arena_layout_t *
build_named(struct layouts *layouts, struct input *input, bool flags)
{
    arena_layout_variant_t variants[4];
    size_t count = take(input) % 5;

    for (size_t i = 0; i < count; i++) {
        variants[i].name = names[i];
        variants[i].value =
            flags ? (int64_t)((uint64_t)1 << (take(input) & 63))
                  : (int64_t)take(input);
    }
    if (flags)
        return arena_layout_flags(layouts->arena, "f", pick(layouts, input),
                                  variants, count);
    return arena_layout_enum(layouts->arena, "e", pick(layouts, input),
                             variants, count);
}

static arena_layout_t *
build_pointer(struct layouts *layouts, struct input *input)
{
    unsigned how = take(input);
    arena_layout_t *pointer = arena_layout_pointer(
        layouts->arena, (how & 1) != 0 ? pick(layouts, input) : NULL);

    if ((how & 1) == 0)
        layouts->open[layouts->opened++] = pointer;
    return pointer;
}

static arena_layout_t *
build_one(struct layouts *layouts, struct input *input)
{
    unsigned how = take(input);
    arena_t *arena = layouts->arena;

    switch (how % 10) {
    case 0:
        return arena_layout_array(arena, pick(layouts, input),
                                  take(input) % 9);
    case 1:
        return build_pointer(layouts, input);
    case 2:
    case 3:
    case 4:
        return build_group(layouts, input, false);
    case 5:
        return build_group(layouts, input, true);
    case 6:
        return build_named(layouts, input, (how & 16) != 0);
    case 7:
        if ((how & 16) != 0)
            return arena_layout_padding(arena, take(input) % 9);
        return arena_layout_raw(arena, take(input), (how & 15) + 1);
    case 8:
        if ((how & 16) != 0)
            return arena_layout_aligned(arena, pick(layouts, input),
                                        (size_t)1 << (take(input) & 7));
        return arena_layout_number(arena, pick(layouts, input),
                                   pick(layouts, input));
    default:
        return arena_layout_array(arena, pick(layouts, input),
                                  take_word(input));
    }
}

static void
build_all(struct layouts *layouts, struct input *input)
{
    size_t tries = take(input) % (LAYOUTS - SCALARS);

    memcpy(layouts->made, scalars, sizeof scalars);
    layouts->count = SCALARS;
    layouts->opened = 0;
    for (size_t i = 0; i < tries; i++) {
        const arena_layout_t *made = build_one(layouts, input);

        if (made == NULL)
            continue;
        must(made->size <= PTRDIFF_MAX && made->value_size <= PTRDIFF_MAX,
             "sizes are not too large");
        must(made->depth <= 64, "depths are not too large");
        layouts->made[layouts->count++] = made;
    }
    for (size_t i = 0; i < layouts->opened; i++)
        must(arena_layout_set_target(layouts->open[i], pick(layouts, input))
                 == 0,
             "an open pointer takes a target");
}

/* --- Values --- */

#define OBJECTS ((size_t)64)

struct objects {
    struct input *input;
    struct {
        char *start;
        const arena_layout_t *layout;
        size_t count;
    } made[OBJECTS];
    size_t count;
};

static void fill(struct objects *objects, const arena_layout_t *layout,
                 char *at, const uint64_t *by, unsigned depth);

/* Some elements, or those that were made before. */
static char *
make_elements(struct objects *objects, const arena_layout_t *layout,
              size_t count)
{
    unsigned how = take(objects->input);
    size_t size = layout->value_size;
    char *start;

    if (how % 8 == 0)
        return NULL;
    if (objects->count > 0 && how % 8 == 1) {
        size_t i = take(objects->input) % objects->count;

        if (objects->made[i].layout == layout
            && objects->made[i].count >= count)
            return objects->made[i].start;
    }
    if (objects->count == OBJECTS || size > SIZE_MOST
        || size * count > SIZE_MOST)
        return NULL;
    start = calloc(1, size * count);
    must(start != NULL, "there is memory");
    objects->made[objects->count].start = start;
    objects->made[objects->count].layout = layout;
    objects->made[objects->count++].count = count;
    for (size_t i = 0; i < count && size != 0; i++)
        fill(objects, layout, start + i * size, NULL, 0);
    return start;
}

static char *
make_string(struct objects *objects)
{
    size_t length = take(objects->input) % 20;
    char *text;

    if (objects->count == OBJECTS || length == 19)
        return NULL;
    text = calloc(1, length + 1);
    must(text != NULL, "there is memory");
    memset(text, 'x', length);
    objects->made[objects->count].start = text;
    objects->made[objects->count].layout = &arena_layout_string;
    objects->made[objects->count++].count = 0;
    return text;
}

static void
fill_number(struct objects *objects, const arena_layout_t *layout, char *at)
{
    unsigned how = take(objects->input);
    uint64_t word;

    /* Of a sort that is known: small, or a variant, or anything. */
    if (layout->kind == ARENA_LAYOUT_BOOL)
        word = how == 0 ? 2 : how & 1;
    else if (layout->count != 0 && how % 16 != 0)
        word = (uint64_t)layout->variants[how % layout->count].value;
    else if (how % 4 != 0)
        word = how % 5;
    else
        word = take_word(objects->input);
    memcpy(at, &word, layout->value_size < 8 ? layout->value_size : 8);
}

/* The number that a member's by names, as far as it is small. */
static uint64_t
read_by(const arena_layout_t *group, const arena_layout_member_t *member,
        const char *at)
{
    uint64_t word = 0;

    for (size_t i = 0; i < group->count; i++) {
        const arena_layout_member_t *by = &group->members[i];

        if (by->name != NULL && strcmp(by->name, member->by) == 0) {
            memcpy(&word, at + by->value_offset,
                   by->layout->value_size < 8 ? by->layout->value_size : 8);
            return word;
        }
    }
    return 0;
}

static void
fill_struct(struct objects *objects, const arena_layout_t *layout, char *at,
            unsigned depth)
{
    for (size_t i = 0; i < layout->count; i++) {
        const arena_layout_member_t *member = &layout->members[i];

        if (member->by == NULL)
            fill(objects, member->layout, at + member->value_offset, NULL,
                 depth);
    }
    for (size_t i = 0; i < layout->count; i++) {
        const arena_layout_member_t *member = &layout->members[i];
        uint64_t by;

        if (member->by == NULL)
            continue;
        by = read_by(layout, member, at);
        fill(objects, member->layout, at + member->value_offset, &by, depth);
    }
}

static void
fill(struct objects *objects, const arena_layout_t *layout, char *at,
     const uint64_t *by, unsigned depth)
{
    /* Of elements, and of the member of a union. */
    uint64_t count = by != NULL ? *by : 1, chosen = by != NULL ? *by : 0;
    char *pointer;

    if (layout->value_size == 0 || depth > 70)
        return;
    switch (layout->kind) {
    case ARENA_LAYOUT_POINTER:
        /* More than can be made: only NULL may be told so. */
        pointer = layout->element != NULL && count < 64
                      ? make_elements(objects, layout->element, (size_t)count)
                      : NULL;
        memcpy(at, &pointer, sizeof pointer);
        break;
    case ARENA_LAYOUT_STRING:
        pointer = make_string(objects);
        memcpy(at, &pointer, sizeof pointer);
        break;
    case ARENA_LAYOUT_ARRAY:
        for (size_t i = 0; i < layout->count; i++)
            fill(objects, layout->element,
                 at + i * layout->element->value_size, NULL,
                 depth + 1);
        break;
    case ARENA_LAYOUT_STRUCT:
        fill_struct(objects, layout, at, depth + 1);
        break;
    case ARENA_LAYOUT_UNION:
        if (chosen < layout->count)
            fill(objects, layout->members[chosen].layout, at, NULL, depth + 1);
        break;
    case ARENA_LAYOUT_RAW:
    case ARENA_LAYOUT_PADDING:
        memset(at, (int)take(objects->input), layout->value_size);
        break;
    default:
        fill_number(objects, layout, at);
    }
}

/* --- Properties --- */

/* The data of a value give it back, and that one the same data; the sizes of
 * the root are kept to the byte. */
static void
round_trip(arena_t *arena, const arena_layout_t *layout, const char *value)
{
    char *data = malloc(layout->size), *again = malloc(layout->size);
    char *back = malloc(layout->value_size);

    if (arena_serialize_into(data, layout->size, arena, layout, value) == 0) {
        bool good = arena_deserialize_into(back, layout->value_size, arena,
                                           layout, data, layout->size)
                    == 0;

        must(good, "what was serialized can be deserialized");
        must(arena_serialize_into(again, layout->size, arena, layout, back)
                 == 0,
             "and serialized");
        must(arena_serialize(arena, layout, value) != NULL, "into the arena");
        must(arena_deserialize(arena, layout, data, layout->size) != NULL,
             "and from it");
    } else {
        must(arena_serialize(arena, layout, value) == NULL, "both ways fail");
    }
    free(data);
    free(again);
    free(back);
}

/* May the layout, or what it is made of, lead to other memory? */
static bool
leads(const arena_layout_t *layout, unsigned *left)
{
    if (*left == 0)
        return true;
    --*left;
    switch (layout->kind) {
    case ARENA_LAYOUT_POINTER:
    case ARENA_LAYOUT_STRING:
        return true;
    case ARENA_LAYOUT_ARRAY:
        return leads(layout->element, left);
    case ARENA_LAYOUT_STRUCT:
    case ARENA_LAYOUT_UNION:
        for (size_t i = 0; i < layout->count; i++) {
            if (leads(layout->members[i].layout, left))
                return true;
        }
        return false;
    default:
        return false;
    }
}

/* Any bytes are data of a layout that leads nowhere; those that are good give
 * the same value again. */
static void
any_bytes(arena_t *arena, const arena_layout_t *layout, struct input *input)
{
    unsigned left = 1000;
    char *data, *again, *value, *second;

    if (leads(layout, &left))
        return;
    data = malloc(layout->size);
    again = malloc(layout->size);
    value = malloc(layout->value_size);
    second = malloc(layout->value_size);
    for (size_t i = 0; i < layout->size; i++)
        data[i] = (char)take(input);
    if (arena_deserialize_into(value, layout->value_size, arena, layout, data,
                               layout->size)
            == 0
        && arena_serialize_into(again, layout->size, NULL, layout, value)
               == 0) {
        must(arena_deserialize_into(second, layout->value_size, NULL, layout,
                                    again, layout->size)
                 == 0,
             "what was serialized can be deserialized");
        must(memcmp(value, second, layout->value_size) == 0,
             "and is the same");
    }
    free(data);
    free(again);
    free(value);
    free(second);
}

/* A path that is good leads into the layout. */
static void
any_path(const arena_layout_t *layout, struct input *input)
{
    static const char letters[] = "abcn[]0123.->";
    char text[24] = "";
    size_t length = take(input) % (sizeof text - 1), indices[ARENA_PATH_STEPS];
    arena_path_t path;
    size_t offset;

    for (size_t i = 0; i < length; i++)
        text[i] = letters[take(input) % (sizeof letters - 1)];
    if (arena_layout_path(layout, text, &path) != 0)
        return;
    for (size_t i = 0; i < path.indices; i++)
        indices[i] = take(input) % 4;
    for (unsigned form = ARENA_FORM_DATA; form <= ARENA_FORM_VALUE; form++) {
        if (arena_path_offset(&path, (arena_form_t)form, indices, path.indices,
                              &offset)
            == 0)
            must(offset + arena_layout_size(path.layout, (arena_form_t)form)
                     <= arena_layout_size(layout, (arena_form_t)form),
                 "a path leads into its layout");
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    struct layouts layouts = {.arena = arena_confined()};
    struct objects objects = {.input = &input, .count = 0};

    must(layouts.arena != NULL, "an arena can be opened");
    build_all(&layouts, &input);
    for (size_t i = 0; i < 3; i++) {
        const arena_layout_t *root = layouts.made[layouts.count - 1 - i];
        char *value;

        any_path(root, &input);
        if (root->size > SIZE_MOST || root->value_size > SIZE_MOST)
            continue;
        value = calloc(1, root->value_size);
        fill(&objects, root, value, NULL, 0);
        round_trip(layouts.arena, root, value);
        any_bytes(layouts.arena, root, &input);
        free(value);
    }
    for (size_t i = 0; i < objects.count; i++)
        free(objects.made[i].start);
    must(arena_close(layouts.arena) == 0, "the arena can be closed");
    return 0;
}
