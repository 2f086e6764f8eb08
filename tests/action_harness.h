/*
 * action_harness.h - for suites about arenas that are closed: both kinds of
 * these, and close actions that note in which order they ran.
 */
#ifndef ACTION_HARNESS_H
#define ACTION_HARNESS_H

#include "arena_harness.h"

/* A test runs for confined and for shared arenas, by its number. */
static const arena_kind_t kinds[] __attribute__((unused)) = {ARENA_CONFINED,
                                                             ARENA_SHARED};

#define add_for_kinds(tcase, test) tcase_add_loop_test(tcase, test, 0, 2)

static arena_kind_t kind __attribute__((unused));

/* Open the arena that such a test is about. */
HARNESS void
open_kind(int number)
{
    kind = kinds[number];
    arena = arena_open(kind, NULL);
    ck_assert_ptr_nonnull(arena);
}

/* The actions that ran, by number, in order. */
static int ran[200];
static size_t ran_count;

HARNESS void
note(void *number)
{
    if (ran_count < LENGTH(ran))
        ran[ran_count] = *(const int *)number;
    ran_count++;
}

/* What they are registered with. */
static int numbers[200];

/* Before each test. */
HARNESS void
setup_actions(void)
{
    ran_count = 0;
    for (int i = 0; i < (int)LENGTH(numbers); i++)
        numbers[i] = i;
}

#endif
