/*
 * layout_path.c: paths.
 *
 * A path is compiled into steps, an open index or a pointer each, with the
 * bytes to add before each of them and after the last one.
 */

#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "error.h"
#include "layout.h"

enum { STEP_INDEX, STEP_POINTER };

_Static_assert(ARENA_FORM_DATA == 0 && ARENA_FORM_VALUE == 1,
               "forms index the offsets of a path");

/* --- Compiling --- */

struct compiler {
    arena_path_t path; /* as far as it is compiled */
    const char *text;  /* all of it */
    const char *at;    /* what follows */
};

/* -1, with errno EINVAL. */
static int
compile_fail(const struct compiler *compiler, const char *why)
{
    return arenap_fail(EINVAL, "path %.80s, at character %zu: %s",
                       compiler->text,
                       (size_t)(compiler->at - compiler->text), why);
}

/* The same of an index, whose last digit was read. */
static int
compile_fail_bound(const struct compiler *compiler, size_t index,
                   size_t bound)
{
    return arenap_fail(EINVAL,
                       "path %.80s, at character %zu: index %zu is past the "
                       "end of an array of %zu elements",
                       compiler->text,
                       (size_t)(compiler->at - compiler->text), index, bound);
}

/* Add bytes to where the path leads.  False: over PTRDIFF_MAX. */
static bool
compile_advance(arena_path_t *path, size_t data, size_t value)
{
    return !__builtin_add_overflow(path->offset[0], data, &path->offset[0])
           && !__builtin_add_overflow(path->offset[1], value,
                                      &path->offset[1])
           && path->offset[0] <= PTRDIFF_MAX && path->offset[1] <= PTRDIFF_MAX;
}

/* End a stretch of bytes with a step; NULL: there is no room. */
static struct arena_path_step *
compile_step(arena_path_t *path, unsigned kind)
{
    struct arena_path_step *step;

    if (path->steps == ARENA_PATH_STEPS)
        return NULL;
    step = &path->step[path->steps++];
    step->kind = kind;
    memcpy(step->offset, path->offset, sizeof step->offset);
    memset(path->offset, 0, sizeof path->offset);
    return step;
}

/* How many groups a member is looked for in that have no name. */
#define UNNAMED_MOST 1000u

/* How much of a path is the member's name; 0: it does not begin with it.
 * Names may have points and brackets in them, as in ARENA_MEMBER of a field
 * within a field. */
static size_t
name_length(const arena_layout_member_t *member, const char *path)
{
    size_t length = strlen(member->name);

    return strncmp(member->name, path, length) == 0
                   && strchr(".[-", path[length]) != NULL
               ? length
               : 0;
}

/* The first member whose name a path begins with, in groups without a name
 * too; adds its offsets, and goes on in the path. */
static const arena_layout_t *
find_member(const arena_layout_t *group, const char **path, size_t offset[2],
            unsigned *left)
{
    for (size_t i = 0; i < group->count; i++) {
        const arena_layout_member_t *member = &group->members[i];
        const arena_layout_t *found = NULL;
        size_t length;

        if (member->name != NULL) {
            length = name_length(member, *path);
            *path += length;
            if (length != 0)
                found = member->layout;
        } else if (member->layout != NULL
                   && (member->layout->kind == ARENA_LAYOUT_STRUCT
                       || member->layout->kind == ARENA_LAYOUT_UNION)
                   && *left > 0) {
            --*left;
            found = find_member(member->layout, path, offset, left);
        }
        if (found != NULL) {
            offset[0] += member->offset;
            offset[1] += member->value_offset;
            return found;
        }
    }
    return NULL;
}

static int
compile_member(struct compiler *compiler)
{
    const arena_layout_t *group = compiler->path.layout;
    size_t offset[2] = {0, 0};
    const char *at = compiler->at;
    unsigned left = UNNAMED_MOST;
    const arena_layout_t *found;

    if (group->kind != ARENA_LAYOUT_STRUCT
        && group->kind != ARENA_LAYOUT_UNION)
        return compile_fail(compiler, "this has no members");
    found = find_member(group, &at, offset, &left);
    if (found == NULL)
        return compile_fail(compiler, "there is no such member");
    if (!compile_advance(&compiler->path, offset[0], offset[1]))
        return compile_fail(compiler, "too far");
    compiler->path.layout = found;
    compiler->at = at;
    return 0;
}

/* Through a pointer. */
static int
compile_follow(struct compiler *compiler)
{
    const arena_layout_t *layout = compiler->path.layout;

    if (layout->kind != ARENA_LAYOUT_POINTER || layout->element == NULL)
        return compile_fail(compiler, "this is no pointer to something that "
                                      "has a layout");
    if (compile_step(&compiler->path, STEP_POINTER) == NULL)
        return compile_fail(compiler, "too many pointers and open indices");
    compiler->path.layout = layout->element;
    return 0;
}

/* The digits of an index; SIZE_MAX when it overflows.  False: there are
 * none. */
static bool
read_index(const char **at, size_t *out)
{
    const char *digit = *at;
    bool fits = true;

    *out = 0;
    for (; isdigit((unsigned char)*digit); digit++)
        fits = fits && !__builtin_mul_overflow(*out, (size_t)10, out)
               && !__builtin_add_overflow(*out, (size_t)(*digit - '0'), out);
    if (digit == *at)
        return false;
    if (!fits)
        *out = SIZE_MAX;
    *at = digit;
    return true;
}

/* An index between brackets, of elements of which there are bound. */
static int
compile_index(struct compiler *compiler, const arena_layout_t *element,
              size_t bound)
{
    arena_path_t *path = &compiler->path;
    struct arena_path_step *step;
    size_t index, data, value;

    if (*compiler->at == ']') {
        step = compile_step(path, STEP_INDEX);
        if (step == NULL)
            return compile_fail(compiler,
                                "too many pointers and open indices");
        step->stride[0] = element->size;
        step->stride[1] = element->value_size;
        step->bound = bound;
        path->indices++;
    } else if (!read_index(&compiler->at, &index)) {
        return compile_fail(compiler, "this is no index");
    } else if (index == SIZE_MAX) {
        return compile_fail(compiler, "no index is that large");
    } else if (index >= bound) {
        return compile_fail_bound(compiler, index, bound);
    } else if (__builtin_mul_overflow(index, element->size, &data)
               || __builtin_mul_overflow(index, element->value_size, &value)
               || !compile_advance(path, data, value)) {
        return compile_fail(compiler, "too far");
    }
    if (*compiler->at != ']')
        return compile_fail(compiler, "an index ends with ]");
    compiler->at++;
    path->layout = element;
    return 0;
}

/* What begins with a bracket. */
static int
compile_brackets(struct compiler *compiler)
{
    const arena_layout_t *layout = compiler->path.layout;

    if (layout->kind == ARENA_LAYOUT_ARRAY && layout->element != NULL) {
        compiler->at++;
        return compile_index(compiler, layout->element, layout->count);
    }
    if (compile_follow(compiler) != 0)
        return -1;
    compiler->at++;
    return compile_index(compiler, layout->element, SIZE_MAX);
}

/* What follows something; never the start. */
static int
compile_next(struct compiler *compiler)
{
    if (*compiler->at == '[')
        return compile_brackets(compiler);
    if (*compiler->at == '.') {
        compiler->at++;
        return compile_member(compiler);
    }
    if (strncmp(compiler->at, "->", 2) != 0)
        return compile_fail(compiler, "here follows ., -> or [");
    if (compile_follow(compiler) != 0)
        return -1;
    compiler->at += 2;
    return compile_member(compiler);
}

int
arena_layout_path(const arena_layout_t *layout, const char *path,
                  arena_path_t *out)
{
    struct compiler compiler = {.text = path, .at = path};

    if (layout == NULL || path == NULL || out == NULL)
        return arenap_fail(EINVAL, "a path of NULL");
    compiler.path.layout = layout;
    if (*path != '\0' && *path != '[' && *path != '-'
        && compile_member(&compiler) != 0)
        return -1;
    while (*compiler.at != '\0') {
        if (compile_next(&compiler) != 0)
            return -1;
    }
    *out = compiler.path;
    return 0;
}

/* --- Using --- */

/* 0; or -1 with errno EINVAL. */
static int
use_check(const arena_path_t *path, arena_form_t form, const size_t *indices,
          size_t count)
{
    if (path == NULL || (unsigned)form > ARENA_FORM_VALUE
        || (indices == NULL && count != 0))
        return arenap_fail(EINVAL, "a path or its indices are NULL, or %d is "
                                   "no form",
                           (int)form);
    if (count != path->indices)
        return arenap_fail(EINVAL, "the path has %u open indices, not %zu",
                           path->indices, count);
    return 0;
}

/* Add what a step by an index adds. */
static int
use_index(const struct arena_path_step *step, arena_form_t form, size_t index,
          size_t *offset)
{
    size_t bytes;

    if (index >= step->bound && step->bound != SIZE_MAX)
        return arenap_fail(ERANGE,
                           "index %zu is past the end of an array of %zu "
                           "elements",
                           index, step->bound);
    if (__builtin_mul_overflow(index, step->stride[form], &bytes)
        || __builtin_add_overflow(*offset, bytes, offset)
        || *offset > PTRDIFF_MAX)
        return arenap_fail(ERANGE,
                           "index %zu of elements of %zu bytes leads past "
                           "all memory",
                           index, step->stride[form]);
    return 0;
}

int
arena_path_offset(const arena_path_t *path, arena_form_t form,
                  const size_t *indices, size_t count, size_t *out)
{
    size_t offset = 0;

    if (use_check(path, form, indices, count) != 0)
        return -1;
    if (out == NULL || path->steps != path->indices)
        return arenap_fail(EINVAL, "the path goes through a pointer, or out "
                                   "is NULL");
    for (unsigned i = 0; i < path->steps; i++) {
        offset += path->step[i].offset[form];
        if (use_index(&path->step[i], form, indices[i], &offset) != 0)
            return -1;
    }
    *out = offset + path->offset[form];
    return 0;
}

void *
arena_path_at(const arena_path_t *path, arena_form_t form, const void *base,
              const size_t *indices, size_t count)
{
    const char *at = base;

    if (use_check(path, form, indices, count) != 0)
        return NULL;
    if (base == NULL)
        return arenap_fail_null(EINVAL, "a path from NULL");
    for (unsigned i = 0; i < path->steps; i++) {
        const struct arena_path_step *step = &path->step[i];
        size_t offset = step->offset[form];

        if (step->kind == STEP_POINTER) {
            memcpy(&at, at + offset, sizeof at);
            if (at == NULL)
                return arenap_fail_null(EFAULT, "pointer %u on the way of the "
                                                "path is NULL", i);
        } else if (use_index(step, form, *indices++, &offset) != 0) {
            return NULL;
        } else {
            at += offset;
        }
    }
    return (void *)(uintptr_t)(at + path->offset[form]);
}
