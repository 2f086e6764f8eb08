/*
 * fault.h: what is wrong with a value, and where: the path from the root to
 * the field, which is put together from its end.
 */
#ifndef ARENA_LIB_FAULT_H
#define ARENA_LIB_FAULT_H

#include "layout.h"

/* A sentence has room for both. */
#define FAULT_PATH 112
#define FAULT_WHY 96

struct fault {
    int error;
    bool cut; /* the path has lost its start */
    size_t path_at;
    char why[FAULT_WHY];
    char path[FAULT_PATH]; /* from path_at on */
};

void arenap_fault_init(struct fault *fault);

/* Say what is wrong.  Returns -1. */
int arenap_fault_set(struct fault *fault, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Put before the path: an index; a member, if it has a name; what follows a
 * pointer, to elements by a count or to one. */
void arenap_fault_index(struct fault *fault, size_t index);
void arenap_fault_member(struct fault *fault,
                         const arena_layout_member_t *member);
void arenap_fault_arrow(struct fault *fault, bool counted);

/* Put before the path the way to a pointer to target, or to a string (NULL),
 * that lies at an offset in a form of something. */
void arenap_fault_way(struct fault *fault, const arena_layout_t *layout,
                      arena_form_t form, size_t offset,
                      const arena_layout_t *target);

/* Tell the caller of the library, whose layout is root.  -1, with errno. */
int arenap_fault_report(const struct fault *fault, const arena_layout_t *root);

#endif
