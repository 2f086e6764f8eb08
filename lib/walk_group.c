/* walk_group.c: arrays, structures and unions of a value. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "walk_kind.h"

int
arenap_walk_elements(struct walk *walk, const arena_layout_t *element,
                     size_t count, const char *src, size_t dst)
{
    size_t from = arenap_layout_size(element, walk->from);
    size_t to = arenap_layout_size(element, walk->to);

    if (arenap_number_is_plain(element)) {
        arenap_number_copy(element, src, arenap_walk_copy(walk, dst), count);
        return 0;
    }
    for (size_t i = 0; i < count && (from | to) != 0; i++) {
        if (arenap_walk_one(walk, element, src + i * from, dst + i * to, NULL)
            != 0) {
            arenap_fault_index(&walk->fault, i);
            return -1;
        }
    }
    return 0;
}

static int
walk_array(struct walk *walk, const arena_layout_t *layout, const char *src,
           size_t dst, const struct number *by)
{
    size_t count = layout->count, from, to;
    char text[NUMBER_TEXT];

    if (layout->element == NULL
        || __builtin_mul_overflow(count, layout->element->size, &from)
        || __builtin_mul_overflow(count, layout->element->value_size, &to)
        || from > layout->size || to > layout->value_size)
        return arenap_walk_unsound(walk, layout);
    if (by != NULL && (by->negative || by->bits > count)) {
        arenap_number_text(*by, text);
        return arenap_fault_set(&walk->fault, ERANGE, "%s of %zu elements",
                                text, count);
    }
    if (by != NULL)
        count = (size_t)by->bits;
    return arenap_walk_elements(walk, layout->element, count, src, dst);
}

/* Does the member lie within its group, in both forms? */
static inline bool
is_within(const arena_layout_t *group, const arena_layout_member_t *member)
{
    return member->layout != NULL && member->offset <= group->size
           && member->layout->size <= group->size - member->offset
           && member->value_offset <= group->value_size
           && member->layout->value_size
                  <= group->value_size - member->value_offset;
}

static ARENA_COLD int
fail_member(struct walk *walk, const arena_layout_t *group,
            const arena_layout_member_t *member)
{
    (void)arenap_walk_unsound(walk, group);
    arenap_fault_member(&walk->fault, member);
    return -1;
}

/* Read the number that a member's by names. */
static int
read_by(struct walk *walk, const arena_layout_t *group,
        const arena_layout_member_t *member, const char *src,
        struct number *out)
{
    const arena_layout_member_t *by = arenap_layout_by(group, member);

    if (by == NULL)
        return arenap_fault_set(&walk->fault, EINVAL,
                                "no member of %.32s is a number %.24s",
                                arenap_layout_name(group), member->by);
    if (!arenap_number_is_sound(by->layout))
        return arenap_walk_unsound(walk, by->layout);
    *out = arenap_number_load(by->layout, walk->from,
                              src + arenap_member_offset(by, walk->from));
    return 0;
}

/* Where a structure is noted whose members are all within it: one that is
 * copied often is looked at once. */
static inline const arena_layout_t **
sound_slot(struct walk *walk, const arena_layout_t *group)
{
    return &walk->sound[((uintptr_t)group >> 5) % WALK_SOUND];
}

static int
check_members(struct walk *walk, const arena_layout_t *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (!is_within(group, &group->members[i]))
            return fail_member(walk, group, &group->members[i]);
    }
    *sound_slot(walk, group) = group;
    return 0;
}

/* A member that is not plain, or that a number counts or tells. */
static int
walk_other_member(struct walk *walk, const arena_layout_t *group,
                  const arena_layout_member_t *member, const char *src,
                  size_t dst)
{
    const char *from = src + arenap_member_offset(member, walk->from);
    struct number by;
    int result;

    dst += arenap_member_offset(member, walk->to);
    if (member->by == NULL)
        result = arenap_walk_kind(walk, member->layout, from, dst, NULL);
    else if ((result = read_by(walk, group, member, src, &by)) == 0)
        result = arenap_walk_one(walk, member->layout, from, dst, &by);
    if (ARENA_UNLIKELY(result != 0))
        arenap_fault_member(&walk->fault, member);
    return result;
}

static int
walk_struct(struct walk *walk, const arena_layout_t *layout, const char *src,
            size_t dst)
{
    if (*sound_slot(walk, layout) != layout
        && check_members(walk, layout) != 0)
        return -1;
    for (size_t i = 0; i < layout->count; i++) {
        const arena_layout_member_t *member = &layout->members[i];
        size_t from = arenap_member_offset(member, walk->from);
        size_t to = arenap_member_offset(member, walk->to);

        if (member->by == NULL && arenap_number_is_plain(member->layout))
            arenap_number_copy_one(member->layout, src + from,
                                   arenap_walk_copy(walk, dst + to));
        else if (walk_other_member(walk, layout, member, src, dst) != 0)
            return -1;
    }
    return 0;
}

/* How many layouts are looked at to see whether a union can be copied. */
#define SAME_MOST 1000u

/* Are both forms the same bytes, without pointers that are followed? */
static bool
is_same(const arena_layout_t *layout, size_t offset, size_t value_offset,
        unsigned *left)
{
    if (*left == 0 || layout == NULL || offset != value_offset
        || layout->size != layout->value_size)
        return false;
    --*left;
    switch (layout->kind) {
    case ARENA_LAYOUT_STRING:
        return false;
    case ARENA_LAYOUT_POINTER:
        return layout->element == NULL;
    case ARENA_LAYOUT_ARRAY:
        return is_same(layout->element, 0, 0, left);
    case ARENA_LAYOUT_STRUCT:
    case ARENA_LAYOUT_UNION:
        for (size_t i = 0; i < layout->count; i++) {
            const arena_layout_member_t *member = &layout->members[i];

            if (!is_same(member->layout, member->offset, member->value_offset,
                         left))
                return false;
        }
        return true;
    default:
        return layout->kind == ARENA_LAYOUT_PADDING
               || arenap_number_is_same(layout);
    }
}

/* One that nothing is known of. */
static int
walk_untold_union(struct walk *walk, const arena_layout_t *layout,
                  const char *src, size_t dst)
{
    unsigned left = SAME_MOST;

    if (!is_same(layout, 0, 0, &left))
        return arenap_fault_set(&walk->fault, EINVAL,
                                "nothing tells which member of %.40s is held",
                                arenap_layout_name(layout));
    memcpy(arenap_walk_copy(walk, dst), src, layout->size);
    return 0;
}

/* The member that a union holds. */
static int
walk_held(struct walk *walk, const arena_layout_t *layout,
          const arena_layout_member_t *member, const char *src, size_t dst)
{
    if (!is_within(layout, member))
        return fail_member(walk, layout, member);
    if (arenap_walk_one(walk, member->layout,
                        src + arenap_member_offset(member, walk->from),
                        dst + arenap_member_offset(member, walk->to), NULL)
        == 0)
        return 0;
    arenap_fault_member(&walk->fault, member);
    return -1;
}

static int
walk_union(struct walk *walk, const arena_layout_t *layout, const char *src,
           size_t dst, const struct number *by)
{
    char text[NUMBER_TEXT];
    size_t i;
    int chosen;

    if (by == NULL) {
        if (layout->choose == NULL)
            return walk_untold_union(walk, layout, src, dst);
        chosen = layout->choose(src, walk->from);
        if (chosen < 0 || (size_t)chosen >= layout->count)
            return arenap_fault_set(&walk->fault, EINVAL,
                                    "no member of %.40s was chosen",
                                    arenap_layout_name(layout));
        return walk_held(walk, layout, &layout->members[chosen], src, dst);
    }
    for (i = 0; i < layout->count; i++) {
        if (arenap_number_is(*by, layout->members[i].tag))
            return walk_held(walk, layout, &layout->members[i], src, dst);
    }
    arenap_number_text(*by, text);
    return arenap_fault_set(&walk->fault, EINVAL,
                            "no member of %.40s has the tag %s",
                            arenap_layout_name(layout), text);
}

/* What is made of other layouts. */
int
arenap_walk_group(struct walk *walk, const arena_layout_t *layout,
                  const char *src, size_t dst, const struct number *by)
{
    int result;

    if (walk->depth == LAYOUT_DEPTH)
        return arenap_fault_set(&walk->fault, EINVAL,
                                "nested more than %u deep", LAYOUT_DEPTH);
    if (layout->size == 0 && layout->value_size == 0)
        return 0;
    walk->depth++;
    if (layout->kind == ARENA_LAYOUT_STRUCT)
        result = walk_struct(walk, layout, src, dst);
    else if (layout->kind == ARENA_LAYOUT_UNION)
        result = walk_union(walk, layout, src, dst, by);
    else
        result = walk_array(walk, layout, src, dst, by);
    walk->depth--;
    return result;
}
