/* check_races.c: calls of many threads that fall together with a close, an
 * adoption, or a reset: nothing is lost and nothing is done twice. */

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "os.h"
#include "sync.h"

enum { THREADS = 8, ROUNDS = 1000 };

/* What all races need; each has more of its own behind it. */
struct round {
    arena_t *arena;
    arena_usage_t before;
    size_t closer;   /* the thread that closes */
    atomic_int runs; /* of the arena's first action */
};

static void
count_run(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* Open the shared arena of a round, with an action that counts its runs. */
static void
open_round(struct round *round, size_t number)
{
    round->before = usage_now();
    round->closer = number % THREADS;
    atomic_store(&round->runs, 0);
    expect_ok(round->arena = arena_shared());
    expect_ok(arena_on_close(round->arena, count_run, &round->runs));
}

/* It is closed, its action ran once, and everything was given back. */
static void
check_round(struct round *round)
{
    ck_assert(!arena_is_alive(round->arena));
    ck_assert_int_eq(atomic_load(&round->runs), 1);
    expect_fail(arena_alloc(round->arena, 8), ESTALE, "");
    expect_usage(round->before);
}

/* Let the closing thread come sooner or later than the others. */
static void
vary_start(uint64_t *random)
{
    spin_ns(random_below(random, 20000));
}

static void
run_rounds(void (*prepare)(void *, size_t), void (*body)(void *, size_t),
           void (*verify)(void *, size_t), void *state)
{
    struct race race = {THREADS, ROUNDS, prepare, body, verify, state};

    run_race(&race);
}

/* --- Close and close --- */

struct closes {
    struct round round;
    int results[THREADS];
    int errors[THREADS];
    bool alive[THREADS]; /* after the call */
};

static void
closes_prepare(void *state, size_t round)
{
    struct closes *closes = state;

    open_round(&closes->round, round);
    expect_ok(arena_alloc(closes->round.arena, 5000));
}

static void
closes_body(void *state, size_t index)
{
    struct closes *closes = state;

    errno = 0;
    closes->results[index] = index % 2 == 0
                                 ? arena_close(closes->round.arena)
                                 : arena_close_wait(closes->round.arena, -1);
    closes->errors[index] = errno;
    closes->alive[index] = arena_is_alive(closes->round.arena);
}

static void
closes_verify(void *state, size_t round)
{
    struct closes *closes = state;
    int winners = 0;

    for (size_t i = 0; i < THREADS; i++) {
        int error = closes->results[i] == 0 ? 0 : closes->errors[i];

        winners += error == 0;
        if (closes->alive[i] || (error != 0 && error != ESTALE))
            ck_abort_msg("round %zu, thread %zu: errno %d, alive %d", round, i,
                         error, (int)closes->alive[i]);
    }
    ck_assert_int_eq(winners, 1);
    check_round(&closes->round);
}

START_TEST(test_close_by_all_has_one_winner)
{
    static struct closes closes;

    run_rounds(closes_prepare, closes_body, closes_verify, &closes);
}
END_TEST

/* --- Alloc and close --- */

struct allocs {
    struct round round;
    uint64_t random[THREADS];
    int errors[THREADS];   /* of the first call that failed */
    bool revived[THREADS]; /* after that a block was given */
    bool alive[THREADS];   /* after that the arena was alive */
    int close_result;
};

static void
allocs_prepare(void *state, size_t round)
{
    struct allocs *allocs = state;

    for (size_t i = 0; i < THREADS; i++)
        allocs->random[i] = round * THREADS + i + 1;
    open_round(&allocs->round, round);
}

static void
allocs_body(void *state, size_t index)
{
    struct allocs *allocs = state;
    arena_t *arena = allocs->round.arena;

    if (index == allocs->round.closer) {
        vary_start(&allocs->random[index]);
        allocs->close_result = arena_close(arena);
        return;
    }
    while (arena_alloc(arena, random_below(&allocs->random[index], 400))
           != NULL)
        continue;
    allocs->errors[index] = errno;
    allocs->alive[index] = arena_is_alive(arena);
    allocs->revived[index] = arena_alloc(arena, 8) != NULL;
}

static void
allocs_verify(void *state, size_t round)
{
    struct allocs *allocs = state;

    ck_assert_int_eq(allocs->close_result, 0);
    for (size_t i = 0; i < THREADS; i++)
        if (i != allocs->round.closer
            && (allocs->errors[i] != ESTALE || allocs->alive[i]
                || allocs->revived[i]))
            ck_abort_msg("round %zu, thread %zu: errno %d, alive %d, "
                         "a block %d",
                         round, i, allocs->errors[i], (int)allocs->alive[i],
                         (int)allocs->revived[i]);
    check_round(&allocs->round);
}

START_TEST(test_alloc_against_close_is_undone_or_stale)
{
    static struct allocs allocs;

    run_rounds(allocs_prepare, allocs_body, allocs_verify, &allocs);
}
END_TEST

/* --- On close and close --- */

enum { MOST_ACTIONS = 200 };

struct registrations {
    struct round round;
    uint64_t random;
    size_t count[THREADS]; /* registered */
    int errors[THREADS];
    atomic_int runs[THREADS][MOST_ACTIONS];
    int close_result;
};

static void
registrations_prepare(void *state, size_t round)
{
    struct registrations *all = state;

    for (size_t i = 0; i < THREADS; i++)
        for (size_t j = 0; j < MOST_ACTIONS; j++)
            atomic_store(&all->runs[i][j], 0);
    all->random = round + 1;
    open_round(&all->round, round);
}

static void
registrations_body(void *state, size_t index)
{
    struct registrations *all = state;
    size_t count = 0;

    if (index == all->round.closer) {
        vary_start(&all->random);
        all->close_result = arena_close(all->round.arena);
        return;
    }
    while (count < MOST_ACTIONS
           && arena_on_close(all->round.arena, count_run,
                             &all->runs[index][count])
                  == 0)
        count++;
    all->errors[index] = count < MOST_ACTIONS ? errno : ESTALE;
    all->count[index] = count;
}

static void
registrations_verify(void *state, size_t round)
{
    struct registrations *all = state;

    ck_assert_int_eq(all->close_result, 0);
    for (size_t i = 0; i < THREADS; i++) {
        if (i == all->round.closer)
            continue;
        if (all->errors[i] != ESTALE)
            ck_abort_msg("round %zu: errno %d", round, all->errors[i]);
        for (size_t j = 0; j < MOST_ACTIONS; j++)
            if (atomic_load(&all->runs[i][j]) != (j < all->count[i]))
                ck_abort_msg("round %zu: action %zu of %zu ran %d times",
                             round, j, all->count[i],
                             atomic_load(&all->runs[i][j]));
    }
    check_round(&all->round);
}

START_TEST(test_on_close_against_close_runs_what_was_registered)
{
    static struct registrations all;

    run_rounds(registrations_prepare, registrations_body, registrations_verify,
               &all);
}
END_TEST

/* --- Acquire and close --- */

struct acquires {
    struct round round;
    bool wait; /* the closer waits, or tries again and again */
    uint64_t random;
    uint64_t *slots;       /* in the arena, one for each thread */
    size_t held[THREADS];  /* acquires that succeeded */
    size_t wrong[THREADS]; /* of them, those that saw a closed arena */
    int errors[THREADS];   /* a failure that may not be; 0: none */
    int close_error;
};

static void
acquires_prepare(void *state, size_t round)
{
    struct acquires *all = state;

    memset(all->wrong, 0, sizeof all->wrong);
    memset(all->errors, 0, sizeof all->errors);
    all->random = round + 1;
    open_round(&all->round, round);
    expect_ok(all->slots =
                  arena_new_array(all->round.arena, uint64_t, THREADS * 8));
}

/* Hold the arena once: it is open and its memory is there all the time. */
static bool
acquires_hold(struct acquires *all, size_t index)
{
    arena_t *arena = all->round.arena;
    uint64_t *slot = &all->slots[index * 8];

    if (arena_acquire(arena) != 0) {
        if (errno != ESTALE && !(all->wait && errno == EBUSY))
            all->errors[index] = errno;
        return false;
    }
    for (uint64_t i = 1; i <= 20; i++) {
        *slot = i;
        atomic_signal_fence(memory_order_seq_cst);
        all->wrong[index] += *slot != i || !arena_is_alive(arena);
    }
    all->held[index]++;
    if (arena_release(arena) != 0)
        all->errors[index] = errno;
    return true;
}

/* Close the arena however often that has to be tried. */
static int
acquires_close(struct acquires *all)
{
    if (all->wait)
        return arena_close_wait(all->round.arena, -1) == 0 ? 0 : errno;
    while (arena_close(all->round.arena) != 0) {
        if (errno != EBUSY)
            return errno;
        sched_yield();
    }
    return 0;
}

static void
acquires_body(void *state, size_t index)
{
    struct acquires *all = state;

    if (index == all->round.closer) {
        vary_start(&all->random);
        all->close_error = acquires_close(all);
        return;
    }
    for (size_t i = 0; i < 30 && acquires_hold(all, index); i++)
        if (i % 4 == 3)
            sched_yield();
}

static void
acquires_verify(void *state, size_t round)
{
    struct acquires *all = state;

    ck_assert_int_eq(all->close_error, 0);
    for (size_t i = 0; i < THREADS; i++)
        if (all->wrong[i] != 0 || all->errors[i] != 0)
            ck_abort_msg("round %zu, thread %zu: %zu wrong, errno %d", round,
                         i, all->wrong[i], all->errors[i]);
    check_round(&all->round);
}

START_TEST(test_acquire_against_close_keeps_open_or_is_stale)
{
    static struct acquires all;
    size_t held = 0;

    memset(&all, 0, sizeof all);
    all.wait = _i != 0;
    run_rounds(acquires_prepare, acquires_body, acquires_verify, &all);
    for (size_t i = 0; i < THREADS; i++)
        held += all.held[i];
    ck_assert_uint_gt(held, 0);
}
END_TEST

/* --- Release and release --- */

struct releases {
    struct round round;
    size_t acquired;
    int results[THREADS];
    int errors[THREADS];
};

static void
releases_prepare(void *state, size_t round)
{
    struct releases *all = state;

    open_round(&all->round, round);
    all->acquired = round % (THREADS + 1);
    for (size_t i = 0; i < all->acquired; i++)
        expect_ok(arena_acquire(all->round.arena));
}

static void
releases_body(void *state, size_t index)
{
    struct releases *all = state;

    errno = 0;
    all->results[index] = arena_release(all->round.arena);
    all->errors[index] = errno;
}

static void
releases_verify(void *state, size_t round)
{
    struct releases *all = state;
    size_t released = 0;

    for (size_t i = 0; i < THREADS; i++) {
        released += all->results[i] == 0;
        if (all->results[i] != 0 && all->errors[i] != EINVAL)
            ck_abort_msg("round %zu: errno %d", round, all->errors[i]);
    }
    ck_assert_uint_eq(released, all->acquired);
    expect_ok(arena_close(all->round.arena));
    check_round(&all->round);
}

START_TEST(test_release_by_all_undoes_each_acquire_once)
{
    static struct releases all;

    run_rounds(releases_prepare, releases_body, releases_verify, &all);
}
END_TEST

/* --- Adopt and adopt --- */

struct adoptions {
    arena_t *arena;
    arena_usage_t before;
    int results[THREADS];
    int errors[THREADS];
    bool accessible[THREADS]; /* after the call */
    pthread_barrier_t adopted;
    int close_result;
};

static void *
open_and_end(void *arg)
{
    (void)arg;
    return arena_confined();
}

static void
adoptions_prepare(void *state, size_t round)
{
    struct adoptions *all = state;

    (void)round;
    all->before = usage_now();
    all->arena = run_in_thread(open_and_end, NULL);
    ck_assert_ptr_nonnull(all->arena);
    all->close_result = -1;
}

/* Adopt, and when all have tried, close it as its owner. */
static void
adoptions_body(void *state, size_t index)
{
    struct adoptions *all = state;

    errno = 0;
    all->results[index] = arena_adopt(all->arena);
    all->errors[index] = errno;
    all->accessible[index] = arena_is_accessible(all->arena);
    barrier_wait(&all->adopted);
    if (all->results[index] == 0 && arena_alloc(all->arena, 100) != NULL)
        all->close_result = arena_close(all->arena);
}

static void
adoptions_verify(void *state, size_t round)
{
    struct adoptions *all = state;
    int winners = 0;

    for (size_t i = 0; i < THREADS; i++) {
        bool won = all->results[i] == 0;

        winners += won;
        if (all->accessible[i] != won || (!won && all->errors[i] != EPERM))
            ck_abort_msg("round %zu, thread %zu: result %d, errno %d", round,
                         i, all->results[i], all->errors[i]);
    }
    ck_assert_int_eq(winners, 1);
    ck_assert_int_eq(all->close_result, 0);
    ck_assert(!arena_is_alive(all->arena));
    expect_usage(all->before);
}

START_TEST(test_adopt_by_all_has_one_winner)
{
    static struct adoptions all;

    barrier_init(&all.adopted, THREADS);
    run_rounds(adoptions_prepare, adoptions_body, adoptions_verify, &all);
    pthread_barrier_destroy(&all.adopted);
}
END_TEST

/* --- Children and close --- */

struct families {
    struct round round;
    uint64_t random;
    size_t opened[THREADS];
    int errors[THREADS];
    atomic_int runs[THREADS];
    int close_result;
};

static void
families_prepare(void *state, size_t round)
{
    struct families *all = state;

    for (size_t i = 0; i < THREADS; i++)
        atomic_store(&all->runs[i], 0);
    all->random = round + 1;
    open_round(&all->round, round);
}

/* Open children until the parent is closed; close every other one. */
static void
families_body(void *state, size_t index)
{
    struct families *all = state;
    arena_options_t options = ARENA_OPTIONS_INIT;
    size_t opened = 0;
    arena_t *child;

    if (index == all->round.closer) {
        vary_start(&all->random);
        all->close_result = arena_close(all->round.arena);
        return;
    }
    options.parent = all->round.arena;
    while ((child = arena_open(ARENA_SHARED, &options)) != NULL) {
        opened += arena_on_close(child, count_run, &all->runs[index]) == 0;
        if (opened % 2 == 0)
            (void)arena_close(child);
    }
    all->errors[index] = errno;
    all->opened[index] = opened;
}

static void
families_verify(void *state, size_t round)
{
    struct families *all = state;

    ck_assert_int_eq(all->close_result, 0);
    for (size_t i = 0; i < THREADS; i++) {
        if (i == all->round.closer)
            continue;
        if (all->errors[i] != ESTALE
            || (size_t)atomic_load(&all->runs[i]) != all->opened[i])
            ck_abort_msg("round %zu: errno %d, %d of %zu actions", round,
                         all->errors[i], atomic_load(&all->runs[i]),
                         all->opened[i]);
    }
    check_round(&all->round);
}

START_TEST(test_children_against_close_of_parent_are_closed_once)
{
    static struct families all;

    run_rounds(families_prepare, families_body, families_verify, &all);
}
END_TEST

/* --- Alloc and reset --- */

struct resets {
    struct round round;
    uint64_t random[THREADS];
    size_t refused[THREADS];
    int reset_result;
};

static void
resets_prepare(void *state, size_t round)
{
    struct resets *all = state;

    for (size_t i = 0; i < THREADS; i++)
        all->random[i] = round * THREADS + i + 1;
    memset(all->refused, 0, sizeof all->refused);
    open_round(&all->round, round);
}

/* In the actions of a reset the arena counts as closed for that thread only:
 * the others are never refused. */
static void
resets_body(void *state, size_t index)
{
    struct resets *all = state;

    if (index == all->round.closer) {
        vary_start(&all->random[index]);
        all->reset_result = arena_reset(all->round.arena);
        return;
    }
    for (size_t i = 0; i < 100; i++)
        all->refused[index] +=
            arena_alloc(all->round.arena,
                        random_below(&all->random[index], 2000))
            == NULL;
}

static void
resets_verify(void *state, size_t round)
{
    struct resets *all = state;

    ck_assert_int_eq(all->reset_result, 0);
    for (size_t i = 0; i < THREADS; i++)
        if (all->refused[i] != 0)
            ck_abort_msg("round %zu: %zu refused", round, all->refused[i]);
    ck_assert(arena_is_alive(all->round.arena));
    ck_assert_int_eq(atomic_load(&all->round.runs), 1);
    expect_ok(arena_close(all->round.arena));
    check_round(&all->round);
}

START_TEST(test_alloc_against_reset_is_freed_or_stays)
{
    static struct resets all;

    run_rounds(resets_prepare, resets_body, resets_verify, &all);
}
END_TEST

/* --- A closer among acquirers --- */

enum { SPINNERS = 3, CLOSES = 101 };

struct spinning {
    struct round round;
    atomic_size_t spins[SPINNERS + 1];
    uint64_t took[CLOSES];
    size_t closes;
    int close_result;
};

static void
spinning_prepare(void *state, size_t round)
{
    struct spinning *all = state;

    for (size_t i = 0; i <= SPINNERS; i++)
        atomic_store(&all->spins[i], 0);
    open_round(&all->round, round);
}

/* Thread 0 closes, once all others are acquiring without a pause. */
static void
spinning_body(void *state, size_t index)
{
    struct spinning *all = state;
    arena_t *arena = all->round.arena;
    uint64_t start;

    while (index != 0) {
        if (arena_acquire(arena) == 0) {
            atomic_fetch_add(&all->spins[index], 1);
            arena_release(arena);
        } else if (errno == ESTALE)
            return;
    }
    for (size_t i = 1; i <= SPINNERS; i++)
        while (atomic_load(&all->spins[i]) == 0)
            sched_yield();
    start = clock_ns();
    all->close_result = arena_close_wait(arena, -1);
    all->took[all->closes++] = clock_ns() - start;
}

static void
spinning_verify(void *state, size_t round)
{
    struct spinning *all = state;

    (void)round;
    ck_assert_int_eq(all->close_result, 0);
    check_round(&all->round);
}

static int
compare_times(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;

    return (*a > *b) - (*a < *b);
}

START_TEST(test_close_wait_among_spinning_acquirers_is_prompt)
{
    static struct spinning all;
    struct race race = {
        .threads = SPINNERS + 1,
        .rounds = CLOSES,
        .prepare = spinning_prepare,
        .body = spinning_body,
        .verify = spinning_verify,
        .state = &all,
    };

    all.closes = 0;
    run_race(&race);
    ck_assert_uint_eq(all.closes, CLOSES);
    qsort(all.took, CLOSES, sizeof all.took[0], compare_times);
    if (!HARNESS_SANITIZED)
        ck_assert_uint_lt(all.took[CLOSES / 2],
                          test_patience() * 5 * MS_NS);
}
END_TEST

/* --- The lock of an arena --------------------------------------------- */

enum { CONTEST_ROUNDS = 20, CONTEST_TIMES = 100 };

struct contest {
    struct stripe lock;
    size_t count; /* under it */
};

static void
contest_prepare(void *state, size_t number)
{
    (void)number;
    ((struct contest *)state)->count = 0;
}

/* Held for so long, now and then, that the others go to sleep. */
static void
contest_run(void *state, size_t index)
{
    struct contest *contest = state;

    for (size_t i = 0; i < CONTEST_TIMES; i++) {
        arenap_stripe_lock(&contest->lock);
        contest->count++;
        if ((i + index) % 16 == 0)
            spin_ns(20000);
        arenap_stripe_unlock(&contest->lock);
    }
}

static void
contest_verify(void *state, size_t number)
{
    struct contest *contest = state;

    (void)number;
    ck_assert_uint_eq(contest->count, THREADS * CONTEST_TIMES);
    ck_assert_uint_eq(atomic_load(&contest->lock.state), STRIPE_FREE);
    ck_assert_uint_eq(atomic_load(&contest->lock.sleepers), 0);
}

/* The second time where the system has no barrier that one thread makes for
 * all. */
START_TEST(test_lock_keeps_others_out_and_wakes_them)
{
    struct contest contest = {.count = 0};
    struct race race = {THREADS,     CONTEST_ROUNDS, contest_prepare,
                        contest_run, contest_verify, &contest};

    arena_close(arena_shared());
    if (_i == 1)
        arenap_os_has_heavy = false;
    run_race(&race);
}
END_TEST

static Suite *
races_suite(void)
{
    Suite *suite = suite_create("races");
    TCase *races = tcase_create("races");

    tcase_set_timeout(races, 120);
    tcase_add_test(races, test_close_by_all_has_one_winner);
    tcase_add_loop_test(races, test_lock_keeps_others_out_and_wakes_them, 0,
                        2);
    tcase_add_test(races, test_alloc_against_close_is_undone_or_stale);
    tcase_add_test(races,
                   test_on_close_against_close_runs_what_was_registered);
    tcase_add_loop_test(
        races, test_acquire_against_close_keeps_open_or_is_stale, 0, 2);
    tcase_add_test(races, test_release_by_all_undoes_each_acquire_once);
    tcase_add_test(races, test_adopt_by_all_has_one_winner);
    tcase_add_test(races,
                   test_children_against_close_of_parent_are_closed_once);
    tcase_add_test(races, test_alloc_against_reset_is_freed_or_stays);
    tcase_add_test(races, test_close_wait_among_spinning_acquirers_is_prompt);
    suite_add_tcase(suite, races);
    return suite;
}

int
main(void)
{
    return run_suite(races_suite());
}
