/*
 * arena_harness.h - for suites about one arena: that arena, opened before each
 * test and closed after it.
 */
#ifndef ARENA_HARNESS_H
#define ARENA_HARNESS_H

#include "harness.h"

static arena_t *arena __attribute__((unused));

HARNESS void
setup_confined(void)
{
    arena = arena_confined();
    ck_assert_ptr_nonnull(arena);
}

HARNESS void
setup_shared(void)
{
    arena = arena_shared();
    ck_assert_ptr_nonnull(arena);
}

HARNESS void
teardown_arena(void)
{
    (void)arena_close(arena);
}

/* Open a confined arena with room for small blocks in its first chunk. */
HARNESS arena_t *
open_roomy(void)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *roomy;

    options.chunk_size = 64 * KIB;
    roomy = arena_open(ARENA_CONFINED, &options);
    ck_assert_ptr_nonnull(roomy);
    return roomy;
}

HARNESS arena_t *
open_limited(size_t limit)
{
    return open_limited_within(ARENA_CONFINED, limit, NULL);
}

/* A close action. */
HARNESS void
do_nothing(void *arg)
{
    (void)arg;
}

#endif
