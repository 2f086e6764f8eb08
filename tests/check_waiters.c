/* check_waiters.c: the budget under pressure: garbage that must be found in
 * time, and threads that wait for each other.
 *
 * ARENA_TEST_SECONDS sets how long the loaded tests run (5 s). */

#include <stdio.h>

#include "budget_harness.h"

#define THREADS 64
#define SLOTS 8
#define SECONDS 5.0

/* Sleep about so long, however often a collection interrupts it. */
static void
hold_ns(uint64_t nanoseconds)
{
    uint64_t end = clock_ns() + nanoseconds;
    struct timespec until = {.tv_sec = (time_t)(end / 1000000000u),
                             .tv_nsec = (long)(end % 1000000000u)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)
           == EINTR)
        continue;
}

/* --- What a block of 1 MiB reserves --- */

struct unit {
    arena_kind_t kind;
    size_t bytes;
};

static void *
unit_main(void *arg)
{
    struct unit *unit = arg;
    size_t before = usage_now().reserved;
    arena_t *arena = arena_open(unit->kind, NULL);

    if (arena != NULL && arena_alloc(arena, MIB) != NULL)
        unit->bytes = usage_now().reserved - before;
    if (unit->kind != ARENA_AUTO)
        (void)arena_close(arena);
    arena_keep_alive(arena);
    return NULL;
}

/* The bytes that an arena of a kind reserves for one such block. */
static size_t
unit_of(arena_kind_t kind)
{
    struct unit unit = {.kind = kind};

    run_in_thread(unit_main, &unit);
    ck_assert_uint_ge(unit.bytes, MIB);
    if (kind == ARENA_AUTO)
        expect_settled(base);
    return unit.bytes;
}

/* --- Garbage --- */

/* The first failure that a team saw. */
struct failures {
    atomic_size_t count;
    char sentence[256];
};

static void
failures_note(struct failures *failures)
{
    if (atomic_fetch_add(&failures->count, 1) == 0)
        snprintf(failures->sentence, sizeof failures->sentence, "%s",
                 arena_error());
}

#define expect_no_failure(failures)                                           \
    ck_assert_msg(atomic_load(&(failures)->count) == 0, "%zu failures: %s",   \
                  atomic_load(&(failures)->count), (failures)->sentence)

/* Of so many arenas that were dropped nearly all are gone.  After its heap
 * has grown the collector itself can keep one; that is no fault of the
 * budget's. */
static void
expect_dropped_gone(size_t dropped)
{
    arena_usage_t now = usage_now();

    for (size_t i = 0; i < COLLECTIONS_MOST
                       && POOL(now, ARENA_AUTO).count
                              > POOL(base, ARENA_AUTO).count;
         i++) {
        collect_scrubbed();
        now = usage_now();
    }
    expect_nearly_all(dropped + POOL(base, ARENA_AUTO).count
                          - POOL(now, ARENA_AUTO).count,
                      dropped);
}

/* Take a block of 1 MiB in an arena of its own, and forget it. */
static __attribute__((noinline)) void
drop_one(struct failures *failures)
{
    arena_t *arena = arena_auto();
    char *block = arena_alloc(arena, MIB);

    if (arena == NULL || block == NULL) {
        failures_note(failures);
        return;
    }
    block[0] = block[MIB - 1] = 1;
    arena_keep_alive(arena);
}

#define DROPPED ((size_t)2000)

static void *
drop_many_main(void *arg)
{
    for (size_t i = 0; i < DROPPED; i++)
        drop_one(arg);
    return NULL;
}

START_TEST(test_garbage_of_one_thread_never_fails)
{
    struct failures failures = {.count = 0};

    leave_room(4 * unit_of(ARENA_AUTO));
    run_in_thread(drop_many_main, &failures);
    expect_no_failure(&failures);
    ck_assert_uint_eq(usage_now().failures, base.failures);
    expect_dropped_gone(DROPPED);
}
END_TEST

/* The same on the thread that runs the test: the main thread. */
START_TEST(test_garbage_of_the_main_thread_never_fails)
{
    static struct failures failures;

    leave_room(4 * unit_of(ARENA_AUTO));
    drop_many_main(&failures);
    expect_no_failure(&failures);
    expect_dropped_gone(DROPPED);
}
END_TEST

/* With close actions, whose arenas are freed one collection later. */
static atomic_size_t actions_run;

static void
count_action(void *arg)
{
    (void)arg;
    atomic_fetch_add(&actions_run, 1);
}

static __attribute__((noinline)) void
drop_one_with_action(struct failures *failures)
{
    arena_t *arena = arena_auto();

    if (arena == NULL || arena_alloc(arena, MIB) == NULL
        || arena_on_close(arena, count_action, NULL) != 0)
        failures_note(failures);
    arena_keep_alive(arena);
}

static void *
drop_many_with_action_main(void *arg)
{
    for (size_t i = 0; i < 500; i++)
        drop_one_with_action(arg);
    return NULL;
}

START_TEST(test_garbage_with_close_actions_never_fails)
{
    struct failures failures = {.count = 0};

    atomic_store(&actions_run, 0);
    leave_room(6 * unit_of(ARENA_AUTO));
    run_in_thread(drop_many_with_action_main, &failures);
    expect_no_failure(&failures);
    expect_dropped_gone(500);
    expect_nearly_all(atomic_load(&actions_run), 500);
}
END_TEST

struct droppers {
    struct failures failures;
    uint64_t end;
    atomic_size_t completed;
};

static void
drop_until_end(void *state, size_t index)
{
    struct droppers *droppers = state;

    (void)index;
    while (clock_ns() < droppers->end) {
        drop_one(&droppers->failures);
        atomic_fetch_add(&droppers->completed, 1);
    }
}

START_TEST(test_garbage_of_many_threads_never_fails)
{
    struct droppers droppers = {.completed = 0};

    leave_room((THREADS + 8) * unit_of(ARENA_AUTO));
    droppers.end = clock_ns() + (uint64_t)(test_seconds(SECONDS) * 1e9);
    run_team(THREADS, drop_until_end, &droppers);
    expect_no_failure(&droppers.failures);
    ck_assert_uint_gt(atomic_load(&droppers.completed), 4 * THREADS);
    expect_dropped_gone(atomic_load(&droppers.completed));
}
END_TEST

/* --- Slots --- */

/* How a thread takes its slot, and gives it back. */
enum taking { TAKE_CONFINED, TAKE_SHARED, TAKE_BY_HAND, TAKINGS };

struct slots {
    enum taking taking;
    uint64_t end;
    struct failures failures;
    atomic_ullong held_ns; /* by all threads together */
    size_t completed[THREADS];
};

static arena_t *
slot_take(struct slots *slots, bool *taken)
{
    arena_t *arena;

    if (slots->taking == TAKE_BY_HAND) {
        *taken = arena_reserve(MIB) == 0;
        return NULL;
    }
    arena = slots->taking == TAKE_CONFINED ? arena_confined() : arena_shared();
    *taken = arena != NULL && arena_alloc(arena, MIB) != NULL;
    return arena;
}

static bool
slot_give_back(struct slots *slots, arena_t *arena, bool taken)
{
    if (slots->taking == TAKE_BY_HAND)
        return !taken || arena_unreserve(MIB) == 0;
    return arena_close(arena) == 0;
}

static void
slots_use(void *state, size_t index)
{
    struct slots *slots = state;

    while (clock_ns() < slots->end) {
        bool taken;
        arena_t *arena = slot_take(slots, &taken);
        uint64_t start = clock_ns();

        if (!taken)
            failures_note(&slots->failures);
        else
            hold_ns(MS_NS);
        atomic_fetch_add(&slots->held_ns, taken ? clock_ns() - start : 0);
        slots->completed[index] += taken;
        if (!slot_give_back(slots, arena, taken))
            failures_note(&slots->failures);
    }
}

static size_t
slots_unit(enum taking taking)
{
    if (taking == TAKE_BY_HAND)
        return MIB;
    return unit_of(taking == TAKE_CONFINED ? ARENA_CONFINED : ARENA_SHARED);
}

/* Of the time that the slots were there, the share in which they were
 * held. */
static double
slots_share(struct slots *slots)
{
    uint64_t start = clock_ns();

    slots->end = start + (uint64_t)(test_seconds(SECONDS) * 1e9);
    run_team(THREADS, slots_use, slots);
    return (double)atomic_load(&slots->held_ns)
           / ((double)(clock_ns() - start) * SLOTS);
}

/* Nobody is passed over: served in order of arrival, all get about as much. */
static void
expect_fair(const struct slots *slots)
{
    size_t least = SIZE_MAX, sum = 0;

    for (size_t i = 0; i < THREADS; i++) {
        sum += slots->completed[i];
        if (slots->completed[i] < least)
            least = slots->completed[i];
    }
    ck_assert_msg(2 * THREADS * least >= sum,
                  "one thread was served %zu times, the average %zu", least,
                  sum / THREADS);
}

/* Even loop numbers with explicit collections, odd ones without. */
START_TEST(test_slots_of_many_threads_are_never_idle)
{
    struct slots slots = {.taking = (enum taking)(_i / 2)};
    double share;

    expect_ok(arena_set_explicit_gc(_i % 2 == 0));
    leave_room(SLOTS * slots_unit(slots.taking));
    share = slots_share(&slots);
    expect_no_failure(&slots.failures);
    /* A tenth, where the processors are not ours alone: who is passed over
     * until the next collection or the end of a wait would hold less. */
    ck_assert_msg(share >= (test_patience() == 1   ? 0.85
                            : test_patience() <= 4 ? 0.5
                                                   : 0.1),
                  "slots were held %.0f %% of the time",
                  100 * share);
    expect_fair(&slots);
    teardown();
    expect_usage(base);
}
END_TEST

/* --- Failing --- */

/* The sentence of a reservation of 1 MiB that fails now. */
static const char *
sentence_now(void)
{
    static char sentence[160];
    arena_usage_t now = usage_now();

    snprintf(sentence, sizeof sentence,
             "cannot reserve 1048576 bytes of off-heap memory "
             "(reserved: %zu, limit: %zu)",
             now.reserved, now.limit);
    return sentence;
}

START_TEST(test_request_over_the_limit_fails_at_once)
{
    arena_t *arena = arena_auto();
    uint64_t start;

    ck_assert_ptr_nonnull(arena);
    expect_ok(arena_set_explicit_gc(_i == 0));
    expect_ok(arena_set_limit(4 * MIB));
    start = clock_ns();
    expect_fail(arena_alloc(arena, 5 * MIB), ENOMEM, "limit: 4194304)");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * AT_ONCE);
    start = clock_ns();
    expect_fail(arena_reserve(5 * MIB), ENOMEM, "limit: 4194304)");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * AT_ONCE);
    ck_assert_uint_eq(usage_now().waits, base.waits);
    arena_keep_alive(arena);
}
END_TEST

static void *volatile held[16];

static void *
hold_many_main(void *arg)
{
    struct failures *failures = arg;

    for (size_t i = 0; i < LENGTH(held); i++) {
        arena_t *arena = arena_auto();

        held[i] = arena_alloc(arena, MIB);
        if (arena == NULL || held[i] == NULL)
            failures_note(failures);
    }
    return NULL;
}

/* Forget what hold_many_main took. */
static void
drop_held(void)
{
    for (size_t i = 0; i < LENGTH(held); i++)
        held[i] = NULL;
    scrub();
}

/* All of it is in use: in collected memory that can be reached. */
START_TEST(test_full_budget_fails_in_time_with_the_sentence)
{
    struct failures failures = {.count = 0};
    arena_usage_t before;
    uint64_t start, waited;

    expect_ok(arena_set_explicit_gc(_i == 0));
    run_in_thread(hold_many_main, &failures);
    expect_no_failure(&failures);
    expect_ok(arena_set_limit(usage_now().reserved));
    before = usage_now();
    start = clock_ns();
    expect_fail(arena_reserve(MIB), ENOMEM, "");
    waited = clock_ns() - start;
    ck_assert_str_eq(arena_error(), sentence_now());
    ck_assert_uint_ge(waited, 500 * MS_NS);
    ck_assert_uint_le(waited, test_patience() * 1500 * MS_NS);
    expect_usage(before);
    drop_held();
    teardown();
    expect_settled(base);
}
END_TEST

/* Where no collector runs it is the same. */
START_TEST(test_full_budget_without_collector_fails_in_time)
{
    uint64_t start, waited;

    leave_room(2 * MIB);
    expect_ok(arena_reserve(2 * MIB));
    start = clock_ns();
    expect_fail(arena_reserve(MIB), ENOMEM, "");
    waited = clock_ns() - start;
    ck_assert_str_eq(arena_error(), sentence_now());
    ck_assert_uint_ge(waited, 500 * MS_NS);
    ck_assert_uint_le(waited, test_patience() * 1500 * MS_NS);
    expect_ok(arena_unreserve(2 * MIB));
    ck_assert_uint_eq(usage_now().collections, 0);
}
END_TEST

/* --- Being served --- */

struct waiter {
    sem_t started;
    size_t size;
    uint64_t served; /* when; 0: never */
    struct answer answer;
};

static void *
waiter_main(void *arg)
{
    struct waiter *waiter = arg;

    sem_post(&waiter->started);
    record_answer(&waiter->answer, arena_reserve(waiter->size));
    if (!waiter->answer.failed)
        waiter->served = clock_ns();
    return NULL;
}

static pthread_t
waiter_start(struct waiter *waiter, size_t size)
{
    pthread_t thread;

    waiter->size = size;
    waiter->served = 0;
    ck_assert_int_eq(sem_init(&waiter->started, 0, 0), 0);
    thread = start_thread(waiter_main, waiter);
    semaphore_wait(&waiter->started);
    return thread;
}

static int
compare_ns(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

/* What a release is: of a reservation by hand, or closing an arena. */
static uint64_t
release_and_measure(arena_t *arena)
{
    struct waiter waiter;
    pthread_t thread = waiter_start(&waiter, MIB);
    uint64_t released;

    sleep_ms(60);
    released = clock_ns();
    if (arena == NULL)
        expect_ok(arena_unreserve(MIB));
    else
        expect_ok(arena_close(arena));
    join_thread(thread);
    expect_success(&waiter.answer);
    expect_ok(arena_unreserve(MIB));
    ck_assert_uint_gt(waiter.served, 0);
    return waiter.served > released ? waiter.served - released : 0;
}

/* The middle one of 20 times from a release to the waiter's return. */
static uint64_t
median_service(bool by_hand)
{
    uint64_t ns[20];

    for (size_t i = 0; i < LENGTH(ns); i++) {
        arena_t *arena = by_hand ? NULL : arena_shared();

        if (by_hand)
            expect_ok(arena_reserve(MIB));
        else
            ck_assert_ptr_nonnull(arena_alloc(arena, MIB));
        ck_assert_uint_gt(usage_now().reserved + MIB, usage_now().limit);
        ns[i] = release_and_measure(arena);
    }
    qsort(ns, LENGTH(ns), sizeof ns[0], compare_ns);
    return ns[LENGTH(ns) / 2];
}

/* Loop numbers: bit 0 by hand or by close, bit 1 without explicit
 * collections. */
START_TEST(test_release_serves_its_waiter_at_once)
{
    size_t unit = unit_of(ARENA_SHARED);
    uint64_t median;

    expect_ok(arena_set_explicit_gc((_i & 2) == 0));
    leave_room((_i & 1) == 0 ? MIB : unit);
    median = median_service((_i & 1) == 0);
    ck_assert_msg(median <= test_patience() * 10 * MS_NS,
                  "the median was %.1f ms", (double)median / 1e6);
    teardown();
    expect_usage(base);
}
END_TEST

/* Waiters arrive one by one, and are served one by one. */
#define QUEUE ((size_t)6)

START_TEST(test_waiters_are_served_in_order_of_arrival)
{
    struct waiter waiters[QUEUE];
    pthread_t threads[QUEUE];

    leave_room(MIB);
    expect_ok(arena_reserve(MIB));
    for (size_t i = 0; i < QUEUE; i++) {
        threads[i] = waiter_start(&waiters[i], MIB);
        sleep_ms(30);
    }
    for (size_t i = 0; i < QUEUE; i++) {
        expect_ok(arena_unreserve(MIB));
        join_thread(threads[i]);
        expect_success(&waiters[i].answer);
        ck_assert_uint_eq(usage_now().manual.reserved,
                          base.manual.reserved + MIB);
    }
    for (size_t i = 1; i < QUEUE; i++)
        ck_assert_uint_gt(waiters[i].served, waiters[i - 1].served);
    expect_ok(arena_unreserve(MIB));
}
END_TEST

/* Takes a block of 1 MiB, and holds it for a while. */
struct holder {
    sem_t over;
    struct answer answer;
};

static void *
holder_main(void *arg)
{
    struct holder *holder = arg;
    arena_t *arena = arena_shared();

    record_answer(&holder->answer, arena_alloc(arena, MIB));
    semaphore_wait(&holder->over);
    (void)arena_close(arena);
    return NULL;
}

/* How long it takes from a close, whose chunk goes to the one in front, to the
 * one behind. */
static uint64_t
service_behind_a_holder(size_t unit)
{
    struct holder holder;
    struct waiter behind;
    pthread_t threads[2];
    arena_t *arena = arena_shared();
    uint64_t released;

    leave_room(unit + 150 * KIB);
    expect_ok(arena_alloc(arena, MIB));
    ck_assert_int_eq(sem_init(&holder.over, 0, 0), 0);
    threads[0] = start_thread(holder_main, &holder);
    sleep_ms(60);
    threads[1] = waiter_start(&behind, 100 * KIB);
    sleep_ms(300); /* by now it sleeps long */
    released = clock_ns();
    expect_ok(arena_close(arena));
    join_thread(threads[1]);
    expect_success(&behind.answer);
    expect_ok(arena_unreserve(100 * KIB));
    sem_post(&holder.over);
    join_thread(threads[0]);
    expect_success(&holder.answer);
    teardown();
    return behind.served - released;
}

/* Whom another stood in the way of need not look by itself, 200 ms later. */
START_TEST(test_waiter_behind_one_that_gets_a_chunk_is_served_at_once)
{
    size_t unit = unit_of(ARENA_SHARED);
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < 3; i++) {
        uint64_t ns = service_behind_a_holder(unit);

        best = ns < best ? ns : best;
    }
    ck_assert_uint_lt(best, test_patience() * 6 * MS_NS);
}
END_TEST

/* A small request need not stand behind a large one that does not fit. */
START_TEST(test_small_request_passes_a_large_one)
{
    struct waiter large;
    pthread_t thread;
    uint64_t start;

    leave_room(MIB);
    expect_ok(arena_reserve(MIB / 2));
    thread = waiter_start(&large, MIB);
    sleep_ms(60);
    start = clock_ns();
    expect_ok(arena_reserve(64 * KIB));
    ck_assert_uint_lt(clock_ns() - start,
                      test_patience() * 100 * MS_NS);
    expect_ok(arena_unreserve(64 * KIB));
    expect_ok(arena_unreserve(MIB / 2));
    join_thread(thread);
    expect_success(&large.answer);
    expect_ok(arena_unreserve(MIB));
}
END_TEST

/* A large request is not passed for ever by others that would fit. */
struct stream {
    atomic_bool stop;
};

static void *
stream_main(void *arg)
{
    struct stream *stream = arg;

    while (!atomic_load(&stream->stop)) {
        if (arena_reserve(200 * KIB) != 0)
            continue;
        hold_ns(MS_NS);
        (void)arena_unreserve(200 * KIB);
    }
    return NULL;
}

START_TEST(test_large_request_is_not_starved)
{
    struct stream stream = {.stop = false};
    pthread_t threads[8];
    uint64_t start;

    leave_room(MIB);
    for (size_t i = 0; i < LENGTH(threads); i++)
        threads[i] = start_thread(stream_main, &stream);
    sleep_ms(50);
    for (size_t i = 0; i < 20; i++) {
        start = clock_ns();
        expect_ok((arena_reserve(MIB)));
        ck_assert_uint_lt(clock_ns() - start,
                          test_patience() * 300 * MS_NS);
        expect_ok(arena_unreserve(MIB));
    }
    atomic_store(&stream.stop, true);
    for (size_t i = 0; i < LENGTH(threads); i++)
        join_thread(threads[i]);
    teardown();
    expect_usage(base);
}
END_TEST

/* Memory that is dropped while somebody waits is found. */
START_TEST(test_memory_dropped_during_the_wait_is_found)
{
    struct failures failures = {.count = 0};
    struct waiter waiter;
    pthread_t thread;

    run_in_thread(hold_many_main, &failures);
    expect_no_failure(&failures);
    expect_ok(arena_set_limit(usage_now().reserved));
    thread = waiter_start(&waiter, MIB);
    sleep_ms(150);
    drop_held();
    join_thread(thread);
    expect_success(&waiter.answer);
    expect_ok(arena_unreserve(MIB));
    teardown();
    expect_settled(base);
}
END_TEST

/* Close actions that take longer than the wait are waited for. */
static void
slow_action(void *arg)
{
    (void)arg;
    sleep_ms(900);
}

static void *
drop_slow_main(void *arg)
{
    for (size_t i = 0; i < 4; i++) {
        arena_t *arena = arena_auto();

        if (arena == NULL || arena_alloc(arena, MIB) == NULL
            || arena_on_close(arena, slow_action, NULL) != 0)
            failures_note(arg);
        arena_keep_alive(arena);
    }
    return NULL;
}

START_TEST(test_memory_behind_slow_close_actions_is_waited_for)
{
    struct failures failures = {.count = 0};
    uint64_t start;

    run_in_thread(drop_slow_main, &failures);
    expect_no_failure(&failures);
    expect_ok(arena_set_limit(usage_now().reserved));
    scrub();
    start = clock_ns();
    expect_ok(arena_reserve(MIB));
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 5000 * MS_NS);
    expect_ok(arena_unreserve(MIB));
    teardown();
    expect_settled(base);
}
END_TEST

/* A thread that the collector does not know is served like any other. */
static void *
unknown_main(void *arg)
{
    record_answer((struct answer *)arg, arena_reserve(MIB));
    return NULL;
}

START_TEST(test_garbage_is_found_for_a_thread_unknown_to_the_collector)
{
    struct failures failures = {.count = 0};
    struct answer answer;

    run_in_thread(hold_many_main, &failures);
    expect_no_failure(&failures);
    expect_ok(arena_set_limit(usage_now().reserved));
    drop_held();
    run_in_thread(unknown_main, &answer);
    expect_success(&answer);
    expect_ok(arena_unreserve(MIB));
    teardown();
    expect_settled(base);
}
END_TEST

/* Waiters share collections: so many who wait for one second do not make
 * ten collections each. */
static void
wait_in_vain(void *state, size_t index)
{
    struct failures *failures = state;

    (void)index;
    if (arena_reserve(MIB) != 0)
        failures_note(failures);
}

START_TEST(test_waiters_share_collections)
{
    struct failures failures = {.count = 0};
    uint64_t before;

    leave_room(MIB);
    expect_ok(arena_reserve(MIB));
    before = usage_now().collections;
    run_team(THREADS, wait_in_vain, &failures);
    ck_assert_uint_eq(atomic_load(&failures.count), THREADS);
    ck_assert_uint_lt(usage_now().collections - before, 10 * THREADS / 2);
    ck_assert_uint_gt(usage_now().collections, before);
    expect_ok(arena_unreserve(MIB));
}
END_TEST

/* --- Suite --- */

static TCase *
add_case(Suite *suite, const char *name, void (*fixture)(void))
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, fixture, teardown);
    tcase_set_timeout(tcase, 60 + 4 * test_seconds(SECONDS));
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void
add_waiting(Suite *suite)
{
    TCase *plain = add_case(suite, "no collector", setup);
    TCase *served = add_case(suite, "served", setup_collected);

    tcase_add_test(plain, test_full_budget_without_collector_fails_in_time);
    tcase_add_loop_test(plain, test_release_serves_its_waiter_at_once, 0, 2);
    tcase_add_test(plain, test_waiters_are_served_in_order_of_arrival);
    tcase_add_test(
        plain, test_waiter_behind_one_that_gets_a_chunk_is_served_at_once);
    tcase_add_test(plain, test_small_request_passes_a_large_one);
    tcase_add_test(plain, test_large_request_is_not_starved);
    tcase_add_loop_test(served, test_release_serves_its_waiter_at_once, 0, 4);
    tcase_add_test(served, test_waiters_are_served_in_order_of_arrival);
    tcase_add_test(
        served, test_waiter_behind_one_that_gets_a_chunk_is_served_at_once);
    tcase_add_test(served, test_small_request_passes_a_large_one);
    tcase_add_test(served, test_large_request_is_not_starved);
    tcase_add_test(served, test_memory_dropped_during_the_wait_is_found);
    tcase_add_test(served,
                   test_memory_behind_slow_close_actions_is_waited_for);
    tcase_add_test(
        served, test_garbage_is_found_for_a_thread_unknown_to_the_collector);
    tcase_add_test(served, test_waiters_share_collections);
    tcase_add_loop_test(served, test_request_over_the_limit_fails_at_once, 0,
                        2);
    tcase_add_loop_test(served,
                        test_full_budget_fails_in_time_with_the_sentence, 0,
                        2);
}

int
main(void)
{
    Suite *suite = suite_create("waiters");
    TCase *garbage = add_case(suite, "garbage", setup_collected);
    TCase *slots = add_case(suite, "slots", setup_collected);

    add_waiting(suite);
    tcase_add_test(garbage, test_garbage_of_one_thread_never_fails);
    tcase_add_test(garbage, test_garbage_of_the_main_thread_never_fails);
    tcase_add_test(garbage, test_garbage_with_close_actions_never_fails);
    tcase_add_test(garbage, test_garbage_of_many_threads_never_fails);
    tcase_add_loop_test(slots, test_slots_of_many_threads_are_never_idle, 0,
                        2 * TAKINGS);
    return run_suite(suite);
}
