/*
 * layout_harness.h - what the suites about layouts share: an arena for each
 * test, and calls that must succeed.
 */
#ifndef LAYOUT_HARNESS_H
#define LAYOUT_HARNESS_H

#include <arena/layout.h>

#include "harness.h"

static arena_t *arena;

HARNESS void
setup(void)
{
    arena = arena_confined();
    ck_assert(arena != NULL);
}

HARNESS void
teardown(void)
{
    expect_ok(arena_close(arena));
}

/* A layout that is there. */
HARNESS const arena_layout_t *
there(const arena_layout_t *layout)
{
    ck_assert_msg(layout != NULL, "%s", arena_error());
    return layout;
}

HARNESS void *
serialized(const arena_layout_t *layout, const void *value)
{
    void *data;

    expect_ok(data = arena_serialize(arena, layout, value));
    return data;
}

HARNESS void *
deserialized(const arena_layout_t *layout, const void *data)
{
    void *value;

    expect_ok(value = arena_deserialize(
                  arena, layout, data,
                  arena_layout_size(layout, ARENA_FORM_DATA)));
    return value;
}

#endif
