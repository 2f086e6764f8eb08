/*
 * layout.h: what layout.c, layout_path.c and serialize.c share.
 *
 * A layout comes from a builder or from a table of the user's, in either form
 * perhaps wrong: what is read of it is checked where it would do harm.
 */
#ifndef ARENA_LIB_LAYOUT_H
#define ARENA_LIB_LAYOUT_H

#include "../include/arena/layout.h"

#include "internal.h"

/* How far structures, unions and arrays may nest: what recurses along them
 * ends there. */
#define LAYOUT_DEPTH 64u

static inline size_t
arenap_layout_size(const arena_layout_t *layout, arena_form_t form)
{
    return form == ARENA_FORM_DATA ? layout->size : layout->value_size;
}

static inline size_t
arenap_layout_align(const arena_layout_t *layout, arena_form_t form)
{
    return form == ARENA_FORM_DATA ? layout->align : layout->value_align;
}

static inline size_t
arenap_member_offset(const arena_layout_member_t *member, arena_form_t form)
{
    return form == ARENA_FORM_DATA ? member->offset : member->value_offset;
}

/* Can a member of this kind be counted or told by a number? */
static inline bool
arenap_layout_takes_by(const arena_layout_t *layout)
{
    return layout->kind == ARENA_LAYOUT_ARRAY
           || layout->kind == ARENA_LAYOUT_UNION
           || (layout->kind == ARENA_LAYOUT_POINTER
               && layout->element != NULL);
}

/* Has it one of the integer representations? */
static inline bool
arenap_layout_is_number(const arena_layout_t *layout)
{
    return layout->kind == ARENA_LAYOUT_INT
           || layout->kind == ARENA_LAYOUT_ENUM
           || layout->kind == ARENA_LAYOUT_FLAGS
           || layout->kind == ARENA_LAYOUT_BOOL;
}

/* What it is called in a sentence. */
const char *arenap_layout_name(const arena_layout_t *layout);

/* The number that a member's by names, or NULL. */
const arena_layout_member_t *
arenap_layout_by(const arena_layout_t *layout,
                 const arena_layout_member_t *member);

#endif
