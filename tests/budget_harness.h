/* budget_harness.h - for suites that lower the limit: it is as before after
 * each test. */
#ifndef BUDGET_HARNESS_H
#define BUDGET_HARNESS_H

#include "gc_harness.h"

#define AT_ONCE (50 * MS_NS)

/* The counters before a test. */
static arena_usage_t base;

HARNESS void
setup(void)
{
    base = usage_now();
}

HARNESS void
setup_collected(void)
{
    expect_ok(arena_thread_attach());
    collect_times(3);
    setup();
}

HARNESS void
teardown(void)
{
    expect_ok(arena_set_limit(base.limit));
    expect_ok(arena_set_explicit_gc(true));
}

/* Give the budget room for so many bytes more than are reserved. */
HARNESS size_t
leave_room(size_t bytes)
{
    size_t limit = usage_now().reserved + bytes;

    expect_ok(arena_set_limit(limit));
    return limit;
}

#endif
