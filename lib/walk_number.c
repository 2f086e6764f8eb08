/* walk_number.c: numbers of a value, which are checked and converted. */

#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "number.h"
#include "walk_kind.h"

static ARENA_COLD int
fail_variant(struct walk *walk, const arena_layout_t *layout,
             struct number number, uint64_t unknown)
{
    char text[NUMBER_TEXT];

    if (layout->kind == ARENA_LAYOUT_FLAGS)
        return arenap_fault_set(
            &walk->fault, EINVAL, "no flag of %.40s is %#llx",
            arenap_layout_name(layout), (unsigned long long)unknown);
    arenap_number_text(number, text);
    return arenap_fault_set(&walk->fault, EINVAL, "no variant of %.40s is %s",
                            arenap_layout_name(layout), text);
}

/* Has an enumeration or a flag set a name for it? */
static int
check_variants(struct walk *walk, const arena_layout_t *layout,
               struct number number)
{
    size_t width = 8 * arenap_layout_size(layout, walk->from);
    uint64_t unknown = number.bits & (UINT64_MAX >> (64 - width));

    for (size_t i = 0; i < layout->count; i++) {
        int64_t value = layout->variants[i].value;

        if (layout->kind == ARENA_LAYOUT_ENUM
            && arenap_number_is(number, value))
            return 0;
        unknown &= ~(uint64_t)value;
    }
    if (layout->kind == ARENA_LAYOUT_FLAGS && unknown == 0)
        return 0;
    return fail_variant(walk, layout, number, unknown);
}

static ARENA_COLD int
fail_range(struct walk *walk, const arena_layout_t *layout, const char *text)
{
    char type[NUMBER_TEXT];

    arenap_number_type(layout, walk->to, type);
    return arenap_fault_set(&walk->fault, ERANGE, "%s does not fit %s", text,
                            type);
}

int
arenap_walk_int(struct walk *walk, const arena_layout_t *layout,
                const char *src, size_t dst)
{
    char text[NUMBER_TEXT];
    struct number number;

    if (!arenap_number_is_sound(layout))
        return arenap_walk_unsound(walk, layout);
    number = arenap_number_load(layout, walk->from, src);
    if (layout->kind != ARENA_LAYOUT_INT
        && check_variants(walk, layout, number) != 0)
        return -1;
    if (arenap_number_store(layout, walk->to, number,
                            arenap_walk_copy(walk, dst)))
        return 0;
    arenap_number_text(number, text);
    return fail_range(walk, layout, text);
}

int
arenap_walk_float(struct walk *walk, const arena_layout_t *layout,
                  const char *src, size_t dst)
{
    char text[NUMBER_TEXT];
    double number;

    if (!arenap_number_is_sound(layout))
        return arenap_walk_unsound(walk, layout);
    if (arenap_number_float(layout, walk->from, src,
                            arenap_walk_copy(walk, dst), &number))
        return 0;
    snprintf(text, sizeof text, "%g", number);
    return fail_range(walk, layout, text);
}

int
arenap_walk_bool(struct walk *walk, const arena_layout_t *layout,
                 const char *src, size_t dst)
{
    if (!arenap_number_is_sound(layout))
        return arenap_walk_unsound(walk, layout);
    if (*src != 0 && *src != 1)
        return arenap_fault_set(&walk->fault, EINVAL, "%d is no bool",
                                (unsigned char)*src);
    *arenap_walk_copy(walk, dst) = *src;
    return 0;
}
