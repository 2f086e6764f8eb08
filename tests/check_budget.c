/* check_budget.c: the budget: reservations by hand, limits, counters, and
 * what the environment says about them. */

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arena/heap.h>

#include "budget_harness.h"

/* The sentence of a reservation that fails now. */
static const char *
sentence_for(size_t size)
{
    static char sentence[160];
    arena_usage_t now = usage_now();

    snprintf(sentence, sizeof sentence,
             "cannot reserve %zu bytes of off-heap memory "
             "(reserved: %zu, limit: %zu)",
             size, now.reserved, now.limit);
    return sentence;
}

/* --- Reserve and unreserve --- */

START_TEST(test_reserve_is_counted_by_hand)
{
    arena_usage_t now;

    expect_ok(arena_reserve(1000));
    expect_ok(arena_reserve(3 * MIB));
    now = usage_now();
    ck_assert_uint_eq(now.manual.reserved, base.manual.reserved + 3146728);
    ck_assert_uint_eq(now.manual.requested, base.manual.requested + 3146728);
    ck_assert_uint_eq(now.manual.count, base.manual.count + 2);
    ck_assert_uint_eq(now.reserved, base.reserved + 3146728);
    ck_assert_uint_eq(now.requested, base.requested + 3146728);
    ck_assert_uint_eq(now.count, base.count + 2);
    expect_ok(arena_unreserve(3 * MIB));
    now = usage_now();
    ck_assert_uint_eq(now.manual.reserved, base.manual.reserved + 1000);
    ck_assert_uint_eq(now.manual.count, base.manual.count + 1);
    expect_ok(arena_unreserve(1000));
    expect_usage(base);
}
END_TEST

START_TEST(test_reserve_nothing_is_counted_and_takes_nothing)
{
    arena_usage_t now;

    expect_ok(arena_reserve(0));
    now = usage_now();
    ck_assert_uint_eq(now.manual.count, base.manual.count + 1);
    ck_assert_uint_eq(now.reserved, base.reserved);
    expect_ok(arena_unreserve(0));
    expect_usage(base);
}
END_TEST

START_TEST(test_unreserve_too_much_fails_einval_and_changes_nothing)
{
    arena_usage_t before;

    expect_fail(arena_unreserve(1), EINVAL, "");
    expect_usage(base);
    expect_ok(arena_reserve(1000));
    before = usage_now();
    expect_fail(arena_unreserve(1001), EINVAL, "");
    expect_fail(arena_unreserve(opaque_size(SIZE_MAX)), EINVAL, "");
    expect_usage(before);
    expect_ok(arena_unreserve(1000));
    expect_fail(arena_unreserve(1000), EINVAL, "");
    expect_usage(base);
}
END_TEST

/* What arenas hold is not by hand. */
START_TEST(test_unreserve_of_arenas_memory_fails_einval)
{
    arena_t *arena = arena_confined();
    arena_usage_t before;

    ck_assert_ptr_nonnull(arena_alloc(arena, 5 * MIB));
    before = usage_now();
    expect_fail(arena_unreserve(MIB), EINVAL, "");
    expect_usage(before);
    expect_ok(arena_close(arena));
    expect_usage(base);
}
END_TEST

static void
reserve_and_back(void *state, size_t index)
{
    atomic_size_t *faults = state;

    for (size_t i = 0; i < 20000; i++) {
        size_t size = 1 + (i * 7919 + index) % 100000;

        if (arena_reserve(size) != 0 || arena_unreserve(size) != 0)
            atomic_fetch_add(faults, 1);
    }
}

START_TEST(test_reserve_by_many_threads_adds_up)
{
    atomic_size_t faults = 0;

    run_team(8, reserve_and_back, &faults);
    ck_assert_uint_eq(atomic_load(&faults), 0);
    expect_usage(base);
}
END_TEST

/* --- Limit --- */

START_TEST(test_limit_is_what_was_set)
{
    ck_assert_uint_eq(arena_limit(), base.limit);
    ck_assert_uint_gt(base.limit, 0);
    expect_ok(arena_set_limit(123456789));
    ck_assert_uint_eq(arena_limit(), 123456789);
    ck_assert_uint_eq(usage_now().limit, 123456789);
    expect_ok(arena_set_limit(ARENA_UNLIMITED));
    ck_assert_uint_eq(arena_limit(), ARENA_UNLIMITED);
    expect_ok(arena_set_limit(0));
    ck_assert_uint_eq(arena_limit(), 0);
}
END_TEST

START_TEST(test_limit_reached_exactly_is_allowed)
{
    leave_room(MIB);
    expect_ok(arena_reserve(MIB));
    expect_fail(arena_reserve(1), ENOMEM, sentence_for(1));
    expect_ok(arena_reserve(0));
    expect_ok(arena_unreserve(0));
    expect_ok(arena_unreserve(MIB));
    expect_fail(arena_reserve(usage_now().limit + 1), ENOMEM, "");
    expect_ok(arena_reserve(MIB));
    expect_ok(arena_unreserve(MIB));
}
END_TEST

START_TEST(test_limit_full_fails_enomem_with_the_sentence)
{
    leave_room(2 * MIB);
    expect_ok(arena_reserve(2 * MIB));
    expect_fail(arena_reserve(MIB), ENOMEM, "");
    ck_assert_str_eq(arena_error(), sentence_for(MIB));
    expect_ok(arena_unreserve(2 * MIB));
    teardown();
    expect_usage(base);
}
END_TEST

START_TEST(test_limit_below_the_request_fails_at_once_with_the_sentence)
{
    uint64_t start;

    expect_ok(arena_set_explicit_gc(_i == 0));
    expect_ok(arena_set_limit(MIB - 1));
    start = clock_ns();
    expect_fail(arena_reserve(MIB), ENOMEM, "");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * AT_ONCE);
    ck_assert_uint_eq(usage_now().waits, base.waits);
    ck_assert_str_eq(arena_error(), sentence_for(MIB));
    start = clock_ns();
    expect_fail(arena_reserve(opaque_size(SIZE_MAX)), ENOMEM, "");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * AT_ONCE);
    teardown();
    expect_usage(base);
}
END_TEST

START_TEST(test_limit_below_the_block_fails_at_once)
{
    arena_t *arena = arena_open((arena_kind_t)_i, NULL);
    arena_usage_t before;
    uint64_t start;
    char limit[40];

    ck_assert_ptr_nonnull(arena);
    expect_ok(arena_set_limit(3 * MIB));
    before = usage_now();
    snprintf(limit, sizeof limit, ", limit: %zu)", 3 * MIB);
    start = clock_ns();
    expect_fail(arena_alloc(arena, 4 * MIB), ENOMEM, "cannot reserve ");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * AT_ONCE);
    ck_assert_uint_eq(usage_now().waits, base.waits);
    ck_assert_ptr_nonnull(strstr(arena_error(), limit));
    expect_usage(before);
    ck_assert_ptr_nonnull(arena_alloc(arena, 100));
    if (_i == ARENA_CONFINED || _i == ARENA_SHARED)
        expect_ok(arena_close(arena));
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_limit_zero_means_zero)
{
    arena_t *arena = arena_confined();
    uint64_t start;

    expect_ok(arena_set_limit(0));
    start = clock_ns();
    expect_fail(arena_reserve(1), ENOMEM, "limit: 0)");
    expect_fail(arena_alloc(arena, MIB), ENOMEM, "limit: 0)");
    expect_fail(arena_alloc(arena_global(), MIB), ENOMEM, "limit: 0)");
    ck_assert_uint_lt(clock_ns() - start,
                      test_patience() * 3 * AT_ONCE);
    ck_assert_uint_eq(usage_now().waits, base.waits);
    expect_ok(arena_reserve(0));
    expect_ok(arena_unreserve(0));
    expect_ok(arena_close(arena));
    teardown();
    expect_usage(base);
}
END_TEST

static pthread_barrier_t meet;

/* Small collected blocks come with more of the budget than they need. */
static void *
hold_small_main(void *arg)
{
    void *volatile block = arena_alloc(NULL, 100);

    barrier_wait(&meet);
    barrier_wait(&meet);
    return block != NULL ? NULL : arg;
}

/* What an idle thread has in advance goes to who needs it, at once. */
START_TEST(test_limit_is_reached_to_the_byte)
{
    pthread_t thread;
    uint64_t start;

    expect_ok(arena_set_explicit_gc(false));
    barrier_init(&meet, 2);
    thread = start_thread(hold_small_main, "");
    barrier_wait(&meet);
    leave_room(MIB);
    ck_assert_ptr_nonnull(arena_alloc(NULL, 100));
    start = clock_ns();
    expect_ok(arena_reserve(usage_now().limit - usage_now().reserved));
    ck_assert_uint_lt(clock_ns() - start, test_patience() * AT_ONCE);
    ck_assert_uint_eq(usage_now().reserved, usage_now().limit);
    ck_assert_uint_eq(usage_now().cached, 0);
    barrier_wait(&meet);
    ck_assert_ptr_null(join_thread(thread));
    expect_ok(arena_unreserve(usage_now().manual.reserved));
    teardown();
}
END_TEST

START_TEST(test_limit_zero_refuses_collected_memory)
{
    arena_t *automatic = arena_auto();

    ck_assert_ptr_nonnull(automatic);
    expect_ok(arena_set_limit(0));
    expect_fail(arena_alloc(NULL, 1000), ENOMEM, "limit: 0)");
    expect_fail(arena_alloc(automatic, MIB), ENOMEM, "limit: 0)");
    expect_ok(arena_set_limit(base.limit));
    ck_assert_ptr_nonnull(arena_alloc(NULL, 1000));
    ck_assert_ptr_nonnull(arena_alloc(automatic, MIB));
}
END_TEST

START_TEST(test_limit_lowered_below_use_frees_nothing)
{
    arena_t *arena = arena_confined();
    char *block = arena_alloc(arena, 4 * MIB);
    arena_usage_t before;

    ck_assert_ptr_nonnull(block);
    fill_block(block, 4 * MIB, 2);
    expect_ok(arena_set_limit(2 * MIB));
    before = usage_now();
    ck_assert_uint_ge(before.reserved, 4 * MIB);
    expect_fail(arena_reserve(MIB), ENOMEM, sentence_for(MIB));
    expect_usage(before);
    ck_assert(block_holds(block, 4 * MIB, 2));
    expect_ok(arena_close(arena));
    expect_ok(arena_reserve(MIB));
    expect_ok(arena_unreserve(MIB));
}
END_TEST

/* Free memory kept for reuse never stands in the way of a reservation. */
START_TEST(test_limit_counts_caches_and_drops_them_when_needed)
{
    arena_usage_t now;

    for (size_t i = 0; i < 100; i++) {
        arena_t *arena = arena_confined();

        if (arena_alloc(arena, 50 * KIB) == NULL || arena_close(arena) != 0)
            ck_abort_msg("%s", arena_error());
    }
    leave_room(MIB);
    expect_ok(arena_reserve(MIB));
    now = usage_now();
    ck_assert_uint_le(now.reserved + now.cached, now.limit);
    expect_ok(arena_unreserve(MIB));
}
END_TEST

/* A refused allocation gives everything back, for every kind. */
START_TEST(test_limit_refusal_leaves_no_trace)
{
    arena_t *arena = arena_open((arena_kind_t)_i, NULL);
    char *volatile block = arena_alloc(arena, 100);
    arena_usage_t before;

    ck_assert_ptr_nonnull(arena);
    ck_assert_ptr_nonnull(block);
    leave_room(2 * MIB);
    expect_ok(arena_reserve(2 * MIB));
    before = usage_now();
    for (size_t i = 0; i < 4; i++)
        expect_fail(arena_alloc(arena, MIB), ENOMEM, "cannot reserve ");
    expect_usage(before);
    arena_keep_alive(block);
    expect_ok(arena_unreserve(2 * MIB));
    expect_nothing_astray();
    if (_i == ARENA_CONFINED || _i == ARENA_SHARED)
        expect_ok(arena_close(arena));
    arena_keep_alive(arena);
}
END_TEST

/* --- An arena's own limit --- */

static const arena_kind_t limited_kinds[] = {ARENA_AUTO, ARENA_CONFINED,
                                             ARENA_SHARED};

START_TEST(test_arena_limit_binds_one_arena)
{
    arena_kind_t kind = limited_kinds[_i];
    arena_t *limited = open_limited_within(kind, MIB, NULL);
    arena_t *other = open_limited_within(kind, 0, NULL);
    uint64_t start = clock_ns();

    expect_fail(arena_alloc(limited, 2 * MIB), ENOMEM, "1048576");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * AT_ONCE);
    ck_assert_ptr_nonnull(arena_alloc(limited, 100 * KIB));
    ck_assert_ptr_nonnull(arena_alloc(other, 2 * MIB));
    ck_assert_uint_le(arena_bytes(limited), MIB);
    if (kind != ARENA_AUTO) {
        expect_ok(arena_close(limited));
        expect_ok(arena_close(other));
    }
    arena_keep_alive(limited);
    arena_keep_alive(other);
}
END_TEST

START_TEST(test_arena_limit_counts_children)
{
    arena_kind_t kind = _i == 0 ? ARENA_CONFINED : ARENA_SHARED;
    arena_t *parent = open_limited_within(kind, 4 * MIB, NULL);
    arena_t *child = open_limited_within(kind, 0, parent);
    arena_t *grandchild = open_limited_within(kind, 0, child);

    ck_assert_ptr_nonnull(arena_alloc(grandchild, 2 * MIB));
    expect_fail(arena_alloc(child, 3 * MIB), ENOMEM, "4194304");
    expect_fail(arena_alloc(parent, 3 * MIB), ENOMEM, "4194304");
    expect_ok(arena_close(grandchild));
    ck_assert_ptr_nonnull(arena_alloc(child, 3 * MIB));
    expect_ok(arena_close(parent));
    expect_usage(base);
}
END_TEST

/* --- Usage --- */

/* A structure of an older header ends earlier. */
START_TEST(test_usage_smaller_structure_is_not_written_past)
{
    static const size_t sizes[] = {
        0,
        offsetof(arena_usage_t, reserved),
        offsetof(arena_usage_t, peak),
        offsetof(arena_usage_t, kind),
        offsetof(arena_usage_t, heap),
        offsetof(arena_usage_t, manual)};
    union {
        arena_usage_t usage;
        unsigned char bytes[sizeof(arena_usage_t)];
    } out;

    expect_ok(arena_reserve(12345));
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        size_t size = sizes[i], untouched = 0;

        memset(out.bytes, 0xa5, sizeof out.bytes);
        arena_usage(&out.usage, size);
        for (size_t j = size; j < sizeof out.bytes; j++)
            untouched += out.bytes[j] == 0xa5;
        ck_assert_uint_eq(untouched, sizeof out.bytes - size);
        if (size >= offsetof(arena_usage_t, peak))
            ck_assert_uint_eq(out.usage.reserved, base.reserved + 12345);
    }
    expect_ok(arena_unreserve(12345));
}
END_TEST

START_TEST(test_usage_peak_stays_when_use_falls)
{
    arena_usage_t now;

    expect_ok(arena_reserve(64 * MIB));
    expect_ok(arena_unreserve(64 * MIB));
    now = usage_now();
    ck_assert_uint_ge(now.peak, base.reserved + 64 * MIB);
    ck_assert_uint_eq(now.reserved, base.reserved);
    expect_ok(arena_reserve(MIB));
    ck_assert_uint_eq(usage_now().peak, now.peak);
    expect_ok(arena_unreserve(MIB));
}
END_TEST

/* Are the totals the sums of the pools? */
static bool
usage_adds_up(const arena_usage_t *usage)
{
    const arena_usage_pool_t *more[] = {&usage->heap, &usage->buffers,
                                        &usage->mapped, &usage->manual};
    arena_usage_pool_t sum = {0, 0, 0};

    for (size_t i = 0; i < LENGTH(usage->kind) + LENGTH(more); i++) {
        const arena_usage_pool_t *pool
            = i < LENGTH(usage->kind) ? &usage->kind[i]
                                      : more[i - LENGTH(usage->kind)];

        sum.reserved += pool->reserved;
        sum.requested += pool->requested;
        sum.count += pool->count;
    }
    return sum.reserved == usage->reserved
           && sum.requested == usage->requested && sum.count == usage->count;
}

START_TEST(test_usage_totals_are_the_sums_of_all_pools)
{
    arena_t *confined = arena_confined();
    arena_t *shared = arena_shared();
    arena_t *automatic = arena_auto();
    void *volatile block = arena_alloc(NULL, 5000);
    arena_usage_t now;

    ck_assert_ptr_nonnull(arena_alloc(confined, 10000));
    ck_assert_ptr_nonnull(arena_alloc(shared, 20000));
    ck_assert_ptr_nonnull(arena_alloc(automatic, 30000));
    ck_assert_ptr_nonnull(arena_alloc(arena_global(), 40000));
    expect_ok(arena_reserve(50000));
    now = usage_now();
    ck_assert(usage_adds_up(&now));
    ck_assert_uint_ge(now.reserved, base.reserved + 155000);
    ck_assert_uint_eq(now.requested, base.requested + 155000);
    expect_ok(arena_unreserve(50000));
    expect_ok(arena_close(confined));
    expect_ok(arena_close(shared));
    arena_free(block);
    now = usage_now();
    ck_assert(usage_adds_up(&now));
    ck_assert_uint_eq(now.requested, base.requested + 70000);
    arena_keep_alive(automatic);
}
END_TEST

struct churn {
    atomic_bool stop;
    atomic_size_t faults;
};

static void
churn_and_look(void *state, size_t index)
{
    struct churn *churn = state;

    if (index == 0) {
        for (size_t i = 0; i < 20000; i++) {
            arena_usage_t now = usage_now();

            if (!usage_adds_up(&now))
                atomic_fetch_add(&churn->faults, 1);
        }
        atomic_store(&churn->stop, true);
    }
    while (!atomic_load(&churn->stop)) {
        arena_t *arena = index % 2 == 0 ? arena_confined() : arena_shared();

        (void)arena_alloc(arena, 100);
        (void)arena_alloc(arena, 100 * KIB);
        (void)arena_alloc(arena, 100);
        (void)arena_reserve(777);
        (void)arena_close(arena);
        (void)arena_unreserve(777);
    }
}

START_TEST(test_usage_is_consistent_while_others_allocate)
{
    struct churn churn = {.stop = false};

    run_team(4, churn_and_look, &churn);
    ck_assert_uint_eq(atomic_load(&churn.faults), 0);
    expect_usage(base);
}
END_TEST

START_TEST(test_usage_waits_and_failures_are_counted)
{
    arena_usage_t before, now;

    leave_room(MIB);
    expect_ok(arena_reserve(MIB));
    before = usage_now();
    expect_fail(arena_reserve(100), ENOMEM, "");
    now = usage_now();
    ck_assert_uint_eq(now.failures, before.failures + 1);
    ck_assert_uint_eq(now.waits, before.waits + 1);
    ck_assert_uint_ge(now.wait_ns, before.wait_ns + 500 * MS_NS);
    expect_ok(arena_unreserve(MIB));
    expect_ok(arena_reserve(100));
    ck_assert_uint_eq(usage_now().waits, now.waits);
    ck_assert_uint_eq(usage_now().failures, now.failures);
    expect_ok(arena_unreserve(100));
}
END_TEST

/* --- Collections --- */

START_TEST(test_collect_is_counted)
{
    uint64_t before = usage_now().collections;

    arena_collect();
    ck_assert_uint_gt(usage_now().collections, before);
}
END_TEST

/* Where no collector runs there is nothing to collect. */
START_TEST(test_collect_without_collector_does_nothing)
{
    arena_t *arena = arena_confined();

    ck_assert_ptr_nonnull(arena_alloc(arena, MIB));
    expect_ok(arena_close(arena));
    leave_room(MIB);
    expect_ok(arena_reserve(MIB));
    expect_fail(arena_reserve(1), ENOMEM, "");
    expect_ok(arena_unreserve(MIB));
    ck_assert_uint_eq(usage_now().collections, 0);
}
END_TEST

START_TEST(test_explicit_gc_decides_whether_reserve_collects)
{
    uint64_t before;

    leave_room(MIB);
    expect_ok(arena_reserve(MIB));
    expect_ok(arena_set_explicit_gc(false));
    before = usage_now().collections;
    expect_fail(arena_reserve(MIB / 2), ENOMEM, "");
    ck_assert_uint_eq(usage_now().collections, before);
    expect_ok(arena_set_explicit_gc(true));
    expect_fail(arena_reserve(MIB / 2), ENOMEM, "");
    ck_assert_uint_gt(usage_now().collections, before);
    expect_ok(arena_unreserve(MIB));
}
END_TEST

/* An action that collects, and one that closes, allocates and collects. */
static atomic_size_t collected;

static void
collecting_action(void *arg)
{
    (void)arg;
    arena_collect();
    atomic_fetch_add(&collected, 1);
}

START_TEST(test_collect_in_a_close_action_does_not_deadlock)
{
    arena_t *arena = arena_open((arena_kind_t)_i, NULL);

    atomic_store(&collected, 0);
    ck_assert_ptr_nonnull(arena_alloc(arena, 1000));
    expect_ok(arena_on_close(arena, collecting_action, NULL));
    expect_ok(arena_on_close(arena, collecting_action, NULL));
    expect_ok(arena_close(arena));
    ck_assert_uint_eq(atomic_load(&collected), 2);
    expect_usage(base);
}
END_TEST

static void *
build_collecting_main(void *arg)
{
    size_t *faults = arg;

    for (size_t i = 0; i < 100; i++) {
        arena_t *arena = arena_auto();

        *faults += arena == NULL || arena_alloc(arena, 1000) == NULL;
        *faults += arena_on_close(arena, collecting_action, NULL) != 0;
        arena_keep_alive(arena);
    }
    return NULL;
}

START_TEST(test_collect_in_an_action_of_an_auto_arena_does_not_deadlock)
{
    size_t faults = 0;

    atomic_store(&collected, 0);
    run_in_thread(build_collecting_main, &faults);
    ck_assert_uint_eq(faults, 0);
    collect_times(2);
    expect_nearly_all(atomic_load(&collected), 100);
    expect_settled(base);
}
END_TEST

/* The library's own thread, short of budget itself, must not wait for what
 * only it could do. */
static struct answer action_answer;
static atomic_ullong action_ns;

static void
reserving_action(void *arg)
{
    uint64_t start = clock_ns();

    (void)arg;
    if (atomic_load(&action_ns) != 0)
        return;
    record_answer(&action_answer, arena_reserve(MIB));
    atomic_store(&action_ns, clock_ns() - start);
}

static void *
build_reserving_main(void *arg)
{
    size_t *faults = arg;

    for (size_t i = 0; i < 100; i++)
        *faults += arena_on_close(arena_auto(), reserving_action, NULL) != 0;
    return NULL;
}

START_TEST(test_reserve_in_an_action_at_full_budget_fails_in_time)
{
    size_t faults = 0;

    run_in_thread(build_reserving_main, &faults);
    ck_assert_uint_eq(faults, 0);
    leave_room(MIB);
    expect_ok(arena_reserve(MIB));
    collect_times(2);
    ck_assert_uint_gt(atomic_load(&action_ns), 0);
    ck_assert_uint_lt(atomic_load(&action_ns),
                      test_patience() * 1500 * MS_NS);
    ck_assert(!action_answer.failed || action_answer.error == ENOMEM);
    if (!action_answer.failed)
        expect_ok(arena_unreserve(MIB));
    expect_ok(arena_unreserve(MIB));
    expect_ok(arena_set_limit(base.limit));
    expect_settled(base);
}
END_TEST

/* --- Trim --- */

START_TEST(test_trim_gives_up_what_is_cached)
{
    arena_t *arenas[100];

    for (size_t i = 0; i < LENGTH(arenas); i++) {
        arenas[i] = arena_shared();
        if (arena_alloc(arenas[i], 100 * KIB) == NULL)
            ck_abort_msg("%s", arena_error());
    }
    for (size_t i = 0; i < LENGTH(arenas); i++)
        expect_ok(arena_close(arenas[i]));
    expect_nothing_astray();
    expect_usage(base);
}
END_TEST

static void *
build_resident_main(void *arg)
{
    size_t *faults = arg;

    for (size_t i = 0; i < 128; i++) {
        arena_t *arena = arena_auto();
        char *block = arena_alloc(arena, MIB);

        *faults += arena == NULL || block == NULL;
        if (block != NULL)
            memset(block, 1, MIB);
        arena_keep_alive(arena);
    }
    return NULL;
}

START_TEST(test_trim_gives_free_collected_memory_to_the_system)
{
    size_t faults = 0, before, built;

    if (HARNESS_SANITIZED)
        return;
    expect_ok(arena_trim());
    before = resident_now();
    run_in_thread(build_resident_main, &faults);
    ck_assert_uint_eq(faults, 0);
    built = resident_now();
    ck_assert_uint_gt(built, before + 32 * MIB);
    scrub();
    expect_ok(arena_trim());
    ck_assert_uint_lt(resident_now(), before + 16 * MIB);
    expect_settled(base);
}
END_TEST

/* --- Environment --- */

/* This program, run with an environment of its own: prints one number. */
struct run {
    int status;
    size_t number;   /* what it printed */
    size_t lines;    /* on stderr */
    char text[1000]; /* of these */
};

static void
run_read(FILE *file, char *text, size_t size)
{
    size_t length;

    rewind(file);
    length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    fclose(file);
}

static void
run_child(const char *question, const char *name, const char *value, FILE *out,
          FILE *err)
{
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);

    if (length < 0)
        _exit(98);
    program[length] = '\0';
    unsetenv("ARENA_LIMIT");
    unsetenv("ARENA_EXPLICIT_GC");
    unsetenv("ARENA_GC_EVERY");
    unsetenv("ARENA_ROOTS");
    if (name != NULL)
        setenv(name, value, 1);
    dup2(fileno(out), STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    execl(program, "check_budget", question, (char *)NULL);
    _exit(99);
}

static struct run
run_self(const char *question, const char *name, const char *value)
{
    struct run run = {.number = 0};
    FILE *out = tmpfile(), *err = tmpfile();
    char text[100];
    pid_t pid;

    ck_assert_ptr_nonnull(out);
    ck_assert_ptr_nonnull(err);
    pid = fork();
    if (pid == 0)
        run_child(question, name, value, out, err);
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &run.status, 0), pid);
    ck_assert_int_eq(run.status, 0);
    run_read(out, text, sizeof text);
    run_read(err, run.text, sizeof run.text);
    ck_assert_int_eq(sscanf(text, "%zu", &run.number), 1);
    for (const char *c = run.text; *c != '\0'; c++)
        run.lines += *c == '\n';
    return run;
}

/* The other side of run_self. */
static int
answer(const char *question)
{
    uint64_t before;

    if (strcmp(question, "limit") == 0) {
        printf("%zu\n", arena_limit());
        return EXIT_SUCCESS;
    }
    if (strcmp(question, "ignored") == 0) {
        arena_free(arena_malloc(1));
        printf("0\n");
        return arena_report(stderr) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (arena_thread_attach() != 0)
        return EXIT_FAILURE;
    arena_collect();
    arena_set_limit(usage_now().reserved + MIB);
    before = usage_now().collections;
    if (arena_reserve(MIB) != 0 || arena_reserve(MIB) == 0)
        return EXIT_FAILURE;
    printf("%zu\n", (size_t)(usage_now().collections - before));
    return EXIT_SUCCESS;
}

static const struct {
    const char *text;
    size_t limit;
} good_limits[] = {{"1048576", MIB},
                   {"1", 1},
                   {"64K", 64 * KIB},
                   {"512M", 512 * MIB},
                   {"3G", 3 * 1024 * MIB},
                   {"0", 0}};

/* As it is for most programs: cleared, rather than malformed. */
START_TEST(test_environment_limit_that_is_empty_is_none)
{
    struct run empty = run_self("limit", "ARENA_LIMIT", "");
    struct run unset = run_self("limit", NULL, NULL);

    ck_assert_uint_eq(empty.number, unset.number);
    ck_assert_uint_eq(empty.lines, 0);
}
END_TEST

START_TEST(test_environment_limit_in_bytes_is_taken)
{
    struct run run = run_self("limit", "ARENA_LIMIT", good_limits[_i].text);

    ck_assert_uint_eq(run.number, good_limits[_i].limit);
    ck_assert_str_eq(run.text, "");
}
END_TEST

START_TEST(test_environment_limit_in_percent_is_taken)
{
    size_t all = run_self("limit", NULL, NULL).number;
    struct run half = run_self("limit", "ARENA_LIMIT", "50%");
    struct run whole = run_self("limit", "ARENA_LIMIT", "100%");

    ck_assert_uint_gt(all, 16 * MIB);
    ck_assert_uint_ge(half.number, all / 2 - 4096);
    ck_assert_uint_le(half.number, all / 2 + 4096);
    ck_assert_uint_ge(whole.number, all - 4096);
    ck_assert_uint_le(whole.number, all + 4096);
    ck_assert_str_eq(half.text, "");
    ck_assert_str_eq(whole.text, "");
}
END_TEST

static const char *const bad_limits[] = {"foo",  "-1",   "10kmt", "1.5.5G",
                                         "%",    "-50%", "K",     "12 apples",
                                         "0x",   "5%%",  "1MM",   "M1"};

START_TEST(test_environment_malformed_limit_is_refused_in_one_line)
{
    size_t all = run_self("limit", NULL, NULL).number;
    struct run run = run_self("limit", "ARENA_LIMIT", bad_limits[_i]);

    ck_assert_uint_eq(run.number, all);
    ck_assert_uint_eq(run.lines, 1);
    ck_assert_int_eq(run.text[strlen(run.text) - 1], '\n');
    ck_assert_ptr_nonnull(strstr(run.text, "ARENA_LIMIT"));
}
END_TEST

/* A number that does not fit must not turn into a small one. */
START_TEST(test_environment_limit_too_large_does_not_wrap)
{
    static const char *const huge[] = {
        "18446744073709551617", "17179869185G", "99999999999999999999M"};
    size_t all = run_self("limit", NULL, NULL).number;

    for (size_t i = 0; i < LENGTH(huge); i++) {
        struct run run = run_self("limit", "ARENA_LIMIT", huge[i]);

        ck_assert(run.number == all || run.number == ARENA_UNLIMITED);
        ck_assert_uint_le(run.lines, 1);
    }
}
END_TEST

START_TEST(test_environment_default_limit_is_the_machines_memory_at_most)
{
    size_t all = run_self("limit", NULL, NULL).number;
    size_t pages = (size_t)sysconf(_SC_PHYS_PAGES);

    ck_assert_uint_le(all, pages * (size_t)sysconf(_SC_PAGESIZE));
    ck_assert_uint_gt(all, 16 * MIB);
}
END_TEST

START_TEST(test_environment_explicit_gc_decides_whether_reserve_collects)
{
    struct run off = run_self("collections", "ARENA_EXPLICIT_GC", "0");
    struct run on = run_self("collections", "ARENA_EXPLICIT_GC", "1");
    struct run unset = run_self("collections", NULL, NULL);

    ck_assert_uint_eq(off.number, 0);
    ck_assert_uint_gt(on.number, 0);
    ck_assert_uint_gt(unset.number, 0);
}
END_TEST

static const struct {
    const char *name, *value;
    bool ignored;
} variables[] = {
    {"ARENA_ROOTS", "all", false},     {"ARENA_ROOTS", "precise", false},
    {"ARENA_ROOTS", "", false},        {"ARENA_ROOTS", "precisely", true},
    {"ARENA_GC_EVERY", "10M", false},  {"ARENA_GC_EVERY", "0", false},
    {"ARENA_GC_EVERY", "10%", true},   {"ARENA_GC_EVERY", "often", true},
    {"ARENA_EXPLICIT_GC", "1", false}, {"ARENA_EXPLICIT_GC", "off", true},
};

START_TEST(test_environment_report_names_values_that_mean_nothing)
{
    struct run run =
        run_self("ignored", variables[_i].name, variables[_i].value);
    char line[100];

    snprintf(line, sizeof line, "ignored: %s=%s\n", variables[_i].name,
             variables[_i].value);
    ck_assert_msg((strstr(run.text, line) != NULL) == variables[_i].ignored,
                  "%s", run.text);
    ck_assert_msg((strstr(run.text, "ignored") != NULL)
                      == variables[_i].ignored,
                  "%s", run.text);
}
END_TEST

/* --- Suite --- */

static TCase *
add_case(Suite *suite, const char *name, void (*fixture)(void))
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, fixture, teardown);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return tcase;
}

/* Where no collector runs. */
static void
add_plain(Suite *suite)
{
    TCase *none = add_case(suite, "no collector", setup);
    TCase *reserve = add_case(suite, "reserve", setup);
    TCase *limit = add_case(suite, "limit", setup);

    tcase_add_test(none, test_collect_without_collector_does_nothing);
    tcase_add_test(reserve, test_reserve_is_counted_by_hand);
    tcase_add_test(reserve, test_reserve_nothing_is_counted_and_takes_nothing);
    tcase_add_test(reserve,
                   test_unreserve_too_much_fails_einval_and_changes_nothing);
    tcase_add_test(reserve, test_unreserve_of_arenas_memory_fails_einval);
    tcase_add_test(reserve, test_reserve_by_many_threads_adds_up);
    tcase_add_test(limit, test_limit_is_what_was_set);
    tcase_add_test(limit, test_limit_reached_exactly_is_allowed);
    tcase_add_test(limit, test_limit_full_fails_enomem_with_the_sentence);
    tcase_add_loop_test(
        limit, test_limit_below_the_request_fails_at_once_with_the_sentence, 0,
        2);
    tcase_add_test(limit, test_limit_zero_means_zero);
    tcase_add_test(limit, test_limit_lowered_below_use_frees_nothing);
    tcase_add_test(limit, test_limit_counts_caches_and_drops_them_when_needed);
    tcase_add_loop_test(limit, test_arena_limit_counts_children, 0, 2);
}

/* Where one does. */
static void
add_collected(Suite *suite)
{
    TCase *limit = add_case(suite, "collected limit", setup_collected);
    TCase *gc = add_case(suite, "collect", setup_collected);

    tcase_add_test(limit, test_limit_reached_exactly_is_allowed);
    tcase_add_test(limit, test_limit_full_fails_enomem_with_the_sentence);
    tcase_add_loop_test(limit, test_limit_below_the_block_fails_at_once,
                        ARENA_GLOBAL, ARENA_IMPLICIT + 1);
    tcase_add_test(limit, test_limit_is_reached_to_the_byte);
    tcase_add_test(limit, test_limit_zero_refuses_collected_memory);
    tcase_add_loop_test(limit, test_limit_refusal_leaves_no_trace,
                        ARENA_GLOBAL, ARENA_IMPLICIT + 1);
    tcase_add_loop_test(limit, test_arena_limit_binds_one_arena, 0,
                        LENGTH(limited_kinds));
    tcase_add_loop_test(gc, test_collect_in_a_close_action_does_not_deadlock,
                        ARENA_CONFINED, ARENA_SHARED + 1);
    tcase_add_test(gc, test_trim_gives_up_what_is_cached);
    tcase_add_test(gc, test_trim_gives_free_collected_memory_to_the_system);
    if (!collects())
        return;
    tcase_add_test(gc, test_collect_is_counted);
    tcase_add_test(gc, test_explicit_gc_decides_whether_reserve_collects);
    tcase_add_test(
        gc, test_collect_in_an_action_of_an_auto_arena_does_not_deadlock);
    tcase_add_test(gc, test_reserve_in_an_action_at_full_budget_fails_in_time);
}

static void
add_usage(Suite *suite)
{
    TCase *usage = add_case(suite, "usage", setup_collected);

    tcase_add_test(usage, test_usage_smaller_structure_is_not_written_past);
    tcase_add_test(usage, test_usage_peak_stays_when_use_falls);
    tcase_add_test(usage, test_usage_totals_are_the_sums_of_all_pools);
    tcase_add_test(usage, test_usage_is_consistent_while_others_allocate);
    tcase_add_test(usage, test_usage_waits_and_failures_are_counted);
}

static void
add_environment(Suite *suite)
{
    TCase *tcase = add_case(suite, "environment", setup);

    tcase_add_test(tcase, test_environment_limit_that_is_empty_is_none);
    tcase_add_loop_test(tcase, test_environment_limit_in_bytes_is_taken, 0,
                        LENGTH(good_limits));
    tcase_add_test(tcase, test_environment_limit_in_percent_is_taken);
    tcase_add_loop_test(
        tcase, test_environment_malformed_limit_is_refused_in_one_line, 0,
        LENGTH(bad_limits));
    tcase_add_test(tcase, test_environment_limit_too_large_does_not_wrap);
    tcase_add_test(
        tcase, test_environment_default_limit_is_the_machines_memory_at_most);
    if (collects())
        tcase_add_test(
            tcase,
            test_environment_explicit_gc_decides_whether_reserve_collects);
    tcase_add_loop_test(
        tcase, test_environment_report_names_values_that_mean_nothing, 0,
        (int)LENGTH(variables));
}

int
main(int argc, char **argv)
{
    Suite *suite;

    if (argc == 2)
        return answer(argv[1]);
    suite = suite_create("budget");
    add_plain(suite);
    add_collected(suite);
    add_usage(suite);
    add_environment(suite);
    return run_suite(suite);
}
