/*
 * walk_kind.h: what a walk does with each kind of layout, in the modules that
 * walk.c calls and that call each other.
 *
 * All of these read a thing at src, whose copy is at dst in the draft, and
 * return 0; or -1: the fault says why.  by is the number that counts or tells
 * what is there (arena_layout_member_t), or NULL.
 */
#ifndef ARENA_LIB_WALK_KIND_H
#define ARENA_LIB_WALK_KIND_H

#include "number.h"
#include "walk.h"

/* --- walk.c --- */

/* A thing of any kind. */
int arenap_walk_kind(struct walk *walk, const arena_layout_t *layout,
                     const char *src, size_t dst, const struct number *by);

/* A layout that contradicts itself.  Returns -1. */
ARENA_COLD int arenap_walk_unsound(struct walk *walk,
                                   const arena_layout_t *layout);

/* The draft moves when something is added to it. */
static inline char *
arenap_walk_copy(const struct walk *walk, size_t dst)
{
    return walk->draft.bytes + dst;
}

/* As arenap_walk_kind, plain numbers at once. */
static inline int
arenap_walk_one(struct walk *walk, const arena_layout_t *layout,
                const char *src, size_t dst, const struct number *by)
{
    if (!arenap_number_is_plain(layout))
        return arenap_walk_kind(walk, layout, src, dst, by);
    arenap_number_copy_one(layout, src, arenap_walk_copy(walk, dst));
    return 0;
}

/* --- walk_number.c --- */

/* Enumerations and flag sets are integers, too. */
int arenap_walk_int(struct walk *walk, const arena_layout_t *layout,
                    const char *src, size_t dst);
int arenap_walk_float(struct walk *walk, const arena_layout_t *layout,
                      const char *src, size_t dst);
int arenap_walk_bool(struct walk *walk, const arena_layout_t *layout,
                     const char *src, size_t dst);

/* --- walk_pointer.c --- */

int arenap_walk_string(struct walk *walk, const arena_layout_t *layout,
                       const char *src, size_t dst);
int arenap_walk_pointer(struct walk *walk, const arena_layout_t *layout,
                        const char *src, size_t dst, const struct number *by);

/* How many elements there are at a pointer that is not NULL. */
int arenap_walk_count(struct walk *walk, const arena_layout_t *target,
                      const struct number *by, size_t *count);

/* Is all of an object there, and nothing else? */
int arenap_walk_readable(struct walk *walk, const struct object *object);

/* Find a place for the copy of elements, whose size is not over PTRDIFF_MAX
 * in either form; they are copied when they are walked, or at the end. */
int arenap_walk_place(struct walk *walk, struct object *object);

/* --- walk_group.c --- */

/* Arrays, structures and unions. */
int arenap_walk_group(struct walk *walk, const arena_layout_t *layout,
                      const char *src, size_t dst, const struct number *by);

/* So many of one layout, one after the other. */
int arenap_walk_elements(struct walk *walk, const arena_layout_t *element,
                         size_t count, const char *src, size_t dst);

#endif
