/* fault.c: sentences that name a field. */

#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "fault.h"

void
arenap_fault_init(struct fault *fault)
{
    fault->error = 0;
    fault->cut = false;
    fault->path_at = sizeof fault->path - 1;
    fault->path[fault->path_at] = '\0';
}

int
arenap_fault_set(struct fault *fault, int error, const char *format, ...)
{
    va_list args;

    fault->error = error;
    va_start(args, format);
    vsnprintf(fault->why, sizeof fault->why, format, args);
    va_end(args);
    return -1;
}

/* One that becomes too long stays without its start. */
static void
path_add(struct fault *fault, const char *text)
{
    size_t length = strlen(text);

    fault->cut = fault->cut || length > fault->path_at;
    if (fault->cut)
        return;
    fault->path_at -= length;
    memcpy(fault->path + fault->path_at, text, length);
}

void
arenap_fault_index(struct fault *fault, size_t index)
{
    char text[32];

    snprintf(text, sizeof text, "[%zu]", index);
    path_add(fault, text);
}

void
arenap_fault_member(struct fault *fault, const arena_layout_member_t *member)
{
    if (member->name == NULL)
        return;
    path_add(fault, member->name);
    path_add(fault, ".");
}

/* To elements by a count, an index is there already. */
void
arenap_fault_arrow(struct fault *fault, bool counted)
{
    if (counted)
        return;
    if (fault->path[fault->path_at] == '.') {
        fault->path_at++;
        path_add(fault, "->");
    } else {
        path_add(fault, "[0]");
    }
}

/* Do both lead to the same? */
static bool
leads_to(const arena_layout_t *layout, const arena_layout_t *target)
{
    if (target == NULL)
        return layout->kind == ARENA_LAYOUT_STRING;
    return layout->kind == ARENA_LAYOUT_POINTER && layout->element == target;
}

/* How many layouts are looked at.  In a structure one member is where the
 * pointer is, but all members of a union may be. */
#define WAY_MOST 1000u

/* Is the offset within the member? */
static bool
is_in(const arena_layout_member_t *member, arena_form_t form, size_t offset)
{
    size_t start = arenap_member_offset(member, form);

    return member->layout != NULL && offset >= start
           && offset - start < arenap_layout_size(member->layout, form);
}

/* As arenap_fault_way.  False: it is not there. */
static bool
add_way(struct fault *fault, const arena_layout_t *layout, arena_form_t form,
        size_t offset, const arena_layout_t *target, unsigned *left)
{
    if (*left == 0)
        return false;
    --*left;
    if (leads_to(layout, target))
        return offset == 0;
    if (layout->kind == ARENA_LAYOUT_ARRAY) {
        const arena_layout_t *element = layout->element;
        size_t size = element != NULL ? arenap_layout_size(element, form) : 0;

        if (size == 0
            || !add_way(fault, element, form, offset % size, target, left))
            return false;
        arenap_fault_index(fault, offset / size);
        return true;
    }
    if (layout->kind != ARENA_LAYOUT_STRUCT
        && layout->kind != ARENA_LAYOUT_UNION)
        return false;
    for (size_t i = 0; i < layout->count; i++) {
        const arena_layout_member_t *member = &layout->members[i];

        if (is_in(member, form, offset)
            && add_way(fault, member->layout, form,
                       offset - arenap_member_offset(member, form), target,
                       left)) {
            arenap_fault_member(fault, member);
            return true;
        }
    }
    return false;
}

void
arenap_fault_way(struct fault *fault, const arena_layout_t *layout,
                 arena_form_t form, size_t offset,
                 const arena_layout_t *target)
{
    unsigned left = WAY_MOST;

    if (!add_way(fault, layout, form, offset, target, &left))
        fault->cut = true;
}

int
arenap_fault_report(const struct fault *fault, const arena_layout_t *root)
{
    const char *path = fault->path + fault->path_at;

    path += *path == '.';
    return arenap_fail(fault->error, "%s%s%s%.40s: %s",
                       fault->cut ? "..." : "", path,
                       *path != '\0' || fault->cut ? " of " : "",
                       arenap_layout_name(root), fault->why);
}
