/* check_cleaner.c: actions that are called when memory has died. */

#include <arena/heap.h>
#include <arena/phantom.h>

#include "gc_harness.h"

#include "cleaner.h"
#include "os.h"

static void
setup(void)
{
    expect_ok(arena_thread_attach());
    expect_ok(arena_set_roots(ARENA_ROOTS_PRECISE));
}

/* How often an action ran, by number, and on which thread. */
struct ran {
    atomic_int times;
    pthread_t thread;
    int acted_errno;
};

#define MOST 1000

static struct ran ran[MOST];
static arena_cleanable_t *cleanables[MOST];
static void *volatile table[MOST];

static void
note(void *arg)
{
    struct ran *r = arg;

    r->thread = pthread_self();
    atomic_fetch_add(&r->times, 1);
    errno = EDOM;
}

static size_t
ran_count(size_t count)
{
    size_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += (size_t)atomic_load(&ran[i].times);
    return sum;
}

static size_t
ran_again(size_t count)
{
    size_t again = 0;

    for (size_t i = 0; i < count; i++)
        again += atomic_load(&ran[i].times) > 1;
    return again;
}

struct batch {
    size_t count;
    bool keep;
    size_t refused;
    void (*action)(void *);
};

static void *
batch_main(void *arg)
{
    struct batch *batch = arg;

    for (size_t i = 0; i < batch->count; i++) {
        void *block = arena_alloc(NULL, 40);

        atomic_store(&ran[i].times, 0);
        table[i] = batch->keep ? block : NULL;
        cleanables[i] =
            arena_cleaner_register(block, batch->action, &ran[i]);
        batch->refused += cleanables[i] == NULL;
    }
    return NULL;
}

/* Register note for so many blocks, kept in the table or dropped. */
static void
register_batch(size_t count, bool keep)
{
    struct batch batch = {.count = count, .keep = keep, .action = note};

    run_in_thread(batch_main, &batch);
    ck_assert_uint_eq(batch.refused, 0);
}

/* A cleaner thread that is held up in an action. */
static sem_t held, let_go;

static void
hold_up(void *arg)
{
    (void)arg;
    sem_post(&held);
    semaphore_wait(&let_go);
}

static void
cleaner_hold_up(void)
{
    char *block = arena_malloc(100);

    sem_init(&held, 0, 0);
    sem_init(&let_go, 0, 0);
    expect_ok(arena_cleaner_register(block, hold_up, NULL));
    arena_free(block);
    semaphore_wait(&held);
}

/* --- Registering --- */

START_TEST(test_register_refuses_bad_arguments)
{
    char *block = arena_alloc(NULL, 100);
    arena_t *arena = arena_auto(), *confined = arena_confined();
    int local = 0;

    expect_fail(arena_cleaner_register(NULL, note, ran), EINVAL, "referent");
    expect_fail(arena_cleaner_register(block, NULL, ran), EINVAL, "action");
    expect_fail(arena_cleaner_register(&local, note, ran), EINVAL, "");
    expect_fail(arena_cleaner_register(confined, note, ran), EINVAL, "");
    expect_fail(arena_cleaner_register(block, note, block), EINVAL, "die");
    expect_fail(arena_cleaner_register(block, note, block + 50), EINVAL, "");
    expect_fail(arena_cleaner_register(arena, note, arena_alloc(arena, 9)),
                EINVAL, "");
    arena_keep_alive(block);
    arena_keep_alive(arena);
    expect_ok(arena_close(confined));
}
END_TEST

START_TEST(test_action_runs_once_on_another_thread)
{
    register_batch(500, false);
    ck_assert_uint_eq(ran_count(500), 0);
    collect_scrubbed();
    expect_nearly_all(ran_count(500), 500);
    collect_times(3);
    expect_nearly_all(ran_count(500), 500);
    ck_assert_uint_eq(ran_again(500), 0);
    for (size_t i = 0; i < 500; i++)
        if (atomic_load(&ran[i].times) == 1)
            ck_assert(!pthread_equal(ran[i].thread, pthread_self()));
}
END_TEST

START_TEST(test_action_of_the_living_does_not_run)
{
    register_batch(300, true);
    collect_times(3);
    ck_assert_uint_eq(ran_count(300), 0);
    for (size_t i = 0; i < 300; i++)
        table[i] = NULL;
    collect_times(2);
    expect_nearly_all(ran_count(300), 300);
}
END_TEST

/* Handles are dropped here, and freed: that cancels nothing. */
START_TEST(test_forgetting_the_cleanable_does_not_cancel)
{
    register_batch(300, false);
    for (size_t i = 0; i < 300; i++) {
        arena_cleanable_free(cleanables[i]);
        cleanables[i] = NULL;
    }
    arena_cleanable_free(NULL);
    collect_times(2);
    expect_nearly_all(ran_count(300), 300);
}
END_TEST

START_TEST(test_all_actions_of_a_referent_run_in_order)
{
    char *block = arena_alloc(NULL, 100);

    for (size_t i = 0; i < 10; i++)
        expect_ok(arena_cleaner_register(block, note, &ran[i]));
    arena_free(block);
    collect_scrubbed();
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(atomic_load(&ran[i].times), 1);
}
END_TEST

START_TEST(test_free_runs_the_action_once_on_the_cleaner_thread)
{
    for (size_t i = 0; i < 100; i++) {
        void *block = i % 2 == 0 ? arena_malloc(i) : arena_alloc(NULL, i);

        expect_ok(cleanables[i] =
                      arena_cleaner_register(block, note, &ran[i]));
        arena_free(block);
    }
    collect_times(2);
    for (size_t i = 0; i < 100; i++) {
        ck_assert_int_eq(atomic_load(&ran[i].times), 1);
        ck_assert(!pthread_equal(ran[i].thread, pthread_self()));
        expect_ok(arena_clean(cleanables[i]));
    }
    ck_assert_uint_eq(ran_count(100), 100);
}
END_TEST

/* What arg points to is kept until the action has seen it. */
static atomic_int intact;

static void
look_at(void *arg)
{
    atomic_fetch_add(&intact, block_holds(arg, 200, 7));
}

static void *
arg_main(void *arg)
{
    for (size_t i = 0; i < 200; i++) {
        void *held_block = arena_memdup(NULL, arg, 200);

        (void)arena_cleaner_register(arena_alloc(NULL, 10), look_at,
                                     held_block);
        (void)arena_cleaner_register(held_block, note, &ran[i]);
    }
    return NULL;
}

START_TEST(test_arg_is_kept_until_the_action_has_run)
{
    char pattern[200];

    fill_block(pattern, sizeof pattern, 7);
    run_in_thread(arg_main, pattern);
    collect_scrubbed();
    ck_assert_uint_eq(ran_count(200), 0); /* args were alive until just now */
    expect_nearly_all((size_t)atomic_load(&intact), 200);
    collect_times(2);
    stir();
    expect_nearly_all(ran_count(200), 200);
}
END_TEST

/* --- Inside an action --- */

static void
do_everything(void *arg)
{
    struct ran *r = arg;
    arena_cleanable_t *cleanable;
    void *block = arena_alloc(NULL, 100);
    arena_t *arena = arena_auto();

    r->acted_errno = 0;
    if (block == NULL || arena == NULL
        || arena_phantom_new(arena, NULL, NULL) == NULL)
        r->acted_errno = errno;
    cleanable = arena_cleaner_register(block, note, &ran[500]);
    if (cleanable == NULL || arena_clean(cleanable) != 0)
        r->acted_errno = errno;
    if (arena_cleaner_register(block, note, &ran[501]) == NULL)
        r->acted_errno = errno;
    arena_free(block);
    arena_collect(); /* does not wait for what it is itself a part of */
    atomic_fetch_add(&r->times, 1);
}

START_TEST(test_action_may_call_everything)
{
    struct batch batch = {.count = 20, .action = do_everything};

    run_in_thread(batch_main, &batch);
    collect_times(3);
    expect_nearly_all(ran_count(20), 20);
    for (size_t i = 0; i < 20; i++)
        ck_assert_int_eq(ran[i].acted_errno, 0);
    ck_assert_uint_eq((size_t)atomic_load(&ran[500].times), ran_count(20));
    ck_assert_uint_eq((size_t)atomic_load(&ran[501].times), ran_count(20));
}
END_TEST

static arena_cleanable_t *own_cleanable;

static void
clean_itself(void *arg)
{
    note(arg);
    if (arena_clean(own_cleanable) != 0)
        note(arg);
}

START_TEST(test_action_that_cleans_itself_runs_once)
{
    void *block = arena_malloc(100);

    expect_ok(own_cleanable =
                  arena_cleaner_register(block, clean_itself, ran));
    expect_ok(arena_clean(own_cleanable));
    ck_assert_int_eq(atomic_load(&ran[0].times), 1);
    arena_free(block);
}
END_TEST

/* --- Cleaning by hand --- */

START_TEST(test_clean_runs_it_here_once)
{
    register_batch(200, true);
    for (size_t i = 0; i < 200; i++) {
        expect_ok(arena_clean(cleanables[i]));
        ck_assert_int_eq(atomic_load(&ran[i].times), 1);
        ck_assert(pthread_equal(ran[i].thread, pthread_self()));
        expect_ok(arena_clean(cleanables[i]));
        table[i] = NULL;
    }
    collect_times(3);
    ck_assert_uint_eq(ran_count(200), 200);
    for (size_t i = 0; i < 200; i++)
        expect_ok(arena_clean(cleanables[i]));
    ck_assert_uint_eq(ran_count(200), 200);
}
END_TEST

/* The record of a stale one has been used again, many times. */
START_TEST(test_clean_of_a_stale_cleanable_does_nothing)
{
    void *block = arena_malloc(100);
    arena_cleanable_t *stale, *fresh;
    arena_phantom_t *phantom;

    expect_ok(stale = arena_cleaner_register(block, note, &ran[0]));
    expect_ok(arena_clean(stale));
    for (size_t i = 0; i < 5000; i++) {
        expect_ok(fresh = arena_cleaner_register(block, note, &ran[1]));
        ck_assert_ptr_ne(fresh, stale);
        expect_ok(arena_clean(stale));
        expect_ok(arena_clean(fresh));
        expect_ok(phantom = arena_phantom_new(block, NULL, NULL));
        expect_ok(arena_clean(fresh));
        arena_phantom_free(phantom);
    }
    ck_assert_int_eq(atomic_load(&ran[0].times), 1);
    ck_assert_int_eq(atomic_load(&ran[1].times), 5000);
    arena_free(block);
}
END_TEST

START_TEST(test_clean_of_no_cleanable_fails_einval)
{
    int local;

    expect_fail(arena_clean(NULL), EINVAL, "");
    expect_fail(arena_clean((arena_cleanable_t *)&local), EINVAL, "");
    expect_fail(arena_clean((arena_cleanable_t *)-1), EINVAL, "");
    expect_fail(arena_clean((arena_cleanable_t *)
                                (uintptr_t)0xAFFFFFFF00000000u),
                EINVAL, "");
    register_batch(1, true);
    expect_fail(arena_clean((arena_cleanable_t *)
                                ((uintptr_t)cleanables[0] + 1)),
                EINVAL, "");
    ck_assert_uint_eq(ran_count(1), 0);
    expect_ok(arena_clean(cleanables[0]));
}
END_TEST

/* No bits of a cleanable look like an address: it keeps nothing. */
START_TEST(test_cleanable_is_no_address)
{
    register_batch(100, true);
    for (size_t i = 0; i < 100; i++) {
        uintptr_t top = (uintptr_t)cleanables[i] >> 56;

        ck_assert(top != 0 && top != 0xff);
    }
}
END_TEST

/* Found dead, but not yet run, since the cleaner is held up. */
START_TEST(test_clean_takes_what_is_pending)
{
    size_t pending, before;

    cleaner_hold_up();
    before = usage_now().pending;
    register_batch(100, false);
    /* arena_collect would wait. */
    for (size_t i = 0; i < 3; i++) {
        scrub();
        arena_set_limit(usage_now().reserved);
        (void)arena_reserve(1);
        arena_set_limit(ARENA_UNLIMITED);
    }
    pending = usage_now().pending - before;
    expect_nearly_all(pending, 100);
    for (size_t i = 0; i < 50; i++)
        expect_ok(arena_clean(cleanables[i]));
    ck_assert_uint_eq(ran_count(50), 50);
    ck_assert_uint_eq(ran_count(100), 50);
    sem_post(&let_go);
    collect_times(2);
    expect_nearly_all(ran_count(100), 100);
    ck_assert_uint_eq(ran_again(100), 0);
    ck_assert_uint_eq(usage_now().pending, 0);
    for (size_t i = 0; i < 50; i++)
        ck_assert(pthread_equal(ran[i].thread, pthread_self()));
}
END_TEST

/* --- Races --- */

#define RACE_OBJECTS 300

static void
clean_prepare(void *state, size_t round)
{
    (void)state;
    register_batch(RACE_OBJECTS, round % 2 == 0);
}

static void
clean_body(void *state, size_t index)
{
    (void)state;
    if (index == 4) {
        for (size_t i = 0; i < RACE_OBJECTS; i++)
            table[i] = NULL;
        collect_times(3);
        return;
    }
    for (size_t i = 0; i < RACE_OBJECTS; i++)
        (void)arena_clean(
            cleanables[index % 2 == 0 ? i : RACE_OBJECTS - 1 - i]);
}

static void
clean_verify(void *state, size_t round)
{
    (void)state;
    (void)round;
    collect_scrubbed(); /* what is pending has run */
    for (size_t i = 0; i < RACE_OBJECTS; i++)
        ck_assert_int_eq(atomic_load(&ran[i].times), 1);
}

START_TEST(test_clean_races_the_collector_exactly_once)
{
    struct race race = {.threads = 5, .rounds = 20,
                        .prepare = clean_prepare, .body = clean_body,
                        .verify = clean_verify};

    run_race(&race);
}
END_TEST

/* --- The budget --- */

/* Garbage up to twice the limit, while the cleaner is held up. */
static void *
use_memory_main(void *arg)
{
    size_t *refused = arg;

    for (size_t i = 0; i < 2000; i++) {
        arena_t *arena;

        *refused += arena_alloc(NULL, 10 * KIB) == NULL;
        arena = arena_auto();
        *refused += arena == NULL || arena_alloc(arena, 20 * KIB) == NULL;
    }
    return NULL;
}

START_TEST(test_blocked_action_does_not_stop_the_budget)
{
    size_t refused = 0, limit = arena_limit();
    uint64_t start;

    cleaner_hold_up();
    register_batch(100, false); /* these wait behind it */
    arena_set_limit(usage_now().reserved + 20 * MIB);
    run_in_thread(use_memory_main, &refused);
    ck_assert_uint_eq(refused, 0);
    expect_ok(arena_reserve(15 * MIB));
    start = clock_ns();
    expect_fail(arena_reserve(10 * MIB), ENOMEM, "cannot reserve");
    ck_assert_uint_lt(clock_ns() - start,
                      (5200 + test_patience() * 1000) * MS_NS);
    sem_post(&let_go);
    arena_set_limit(limit);
    expect_ok(arena_unreserve(15 * MIB));
    collect_times(2);
    expect_nearly_all(ran_count(100), 100);
}
END_TEST

/* Memory of the program's own comes back through actions. */
static void
unreserve_one(void *arg)
{
    (void)arg;
    (void)arena_unreserve(MIB);
}

static void *
reserve_main(void *arg)
{
    size_t *refused = arg;

    for (size_t i = 0; i < 500; i++) {
        void *handle = arena_alloc(NULL, 16);

        *refused += arena_reserve(MIB) != 0
                    || arena_cleaner_register(handle, unreserve_one, NULL)
                           == NULL;
    }
    return NULL;
}

START_TEST(test_budget_waits_for_actions_that_give_back)
{
    size_t refused = 0, limit = arena_limit();
    arena_usage_t before = usage_now();

    arena_set_limit(before.reserved + 20 * MIB);
    run_in_thread(reserve_main, &refused);
    ck_assert_uint_eq(refused, 0);
    arena_set_limit(limit);
    collect_times(2);
    ck_assert_uint_le(POOL(usage_now(), ARENA_IMPLICIT).count, 10);
    ck_assert_uint_le(usage_now().manual.reserved, 10 * MIB);
}
END_TEST

/* An action that needs more than there is, while what would make room is
 * queued behind it. */
static struct {
    int result;
    uint64_t ns;
    sem_t done;
} hungry;

static void
reserve_much(void *arg)
{
    uint64_t start = clock_ns();

    (void)arg;
    hungry.result = arena_reserve(15 * MIB);
    hungry.ns = clock_ns() - start;
    sem_post(&hungry.done);
}

START_TEST(test_action_gets_memory_from_those_behind_it)
{
    size_t limit = arena_limit();
    void *blocks[21];

    sem_init(&hungry.done, 0, 0);
    for (size_t i = 0; i < 21; i++) {
        expect_ok(blocks[i] = arena_malloc(100));
        if (i > 0)
            expect_ok(arena_reserve(MIB));
        expect_ok(arena_cleaner_register(
            blocks[i], i == 0 ? reserve_much : unreserve_one, NULL));
    }
    cleaner_hold_up();
    for (size_t i = 0; i < 21; i++)
        arena_free(blocks[i]);
    arena_set_limit(usage_now().reserved + usage_now().cached);
    sem_post(&let_go);
    semaphore_wait(&hungry.done);
    arena_set_limit(limit);
    ck_assert_int_eq(hungry.result, 0);
    ck_assert_uint_lt(hungry.ns, test_patience() * 400 * MS_NS);
    arena_collect();
    ck_assert_uint_eq(usage_now().pending, 0);
    expect_ok(arena_unreserve(15 * MIB));
    /* There is one cleaner again, which goes on. */
    for (int round = 0; round < 3; round++) {
        register_batch(100, false);
        collect_scrubbed();
        expect_nearly_all(ran_count(100), 100);
    }
}
END_TEST

/* --- Many --- */

/* The processor time of all threads together: that of others, who use the
 * processors too, says nothing. */
static double
processor_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Two that drain: the second one comes just when the first one's goal is
 * reached, and what it waits for goes on only when the first one has gone, or
 * after half a second. */
static struct relay {
    struct pending first, second;
    atomic_bool begun, may_end, gone;
    atomic_size_t late;
} relay;

static void
first_run(struct pending *unused)
{
    (void)unused;
    atomic_store(&relay.begun, true);
    while (!atomic_load(&relay.may_end))
        sched_yield();
}

static void
second_run(struct pending *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 500 && !atomic_load(&relay.gone); i++)
        sleep_ms(1);
    atomic_fetch_add(&relay.late, !atomic_load(&relay.gone));
}

static void *
drain_second(void *unused)
{
    while (!atomic_load(&relay.begun))
        sched_yield();
    sleep_ms(1); /* the first one waits by now, but now and then */
    arenap_cleaner_push(&relay.second);
    atomic_store(&relay.may_end, true);
    while (arenap_cleaner_pending() > 1)
        continue;
    arenap_cleaner_drain(ARENA_OS_NEVER);
    return unused;
}

START_TEST(test_who_drains_does_not_wait_for_what_came_later)
{
    expect_ok(arenap_cleaner_start());
    for (int round = 0; round < 60; round++) {
        pthread_t other;

        relay.first = (struct pending){.run = first_run};
        relay.second = (struct pending){.run = second_run};
        atomic_store(&relay.begun, false);
        atomic_store(&relay.may_end, false);
        atomic_store(&relay.gone, false);
        other = start_thread(drain_second, NULL);
        arenap_cleaner_push(&relay.first);
        arenap_cleaner_drain(ARENA_OS_NEVER);
        atomic_store(&relay.gone, true);
        pthread_join(other, NULL);
        ck_assert_uint_lt(atomic_load(&relay.late), 10);
    }
}
END_TEST

/* Nanoseconds per registration, and per cleaning by hand, beside so many
 * others; and of a collection. */
struct cost {
    double add, clean, collect;
};

static void
ignore(void *arg)
{
    (void)arg;
}

struct crowd {
    size_t count;
    void **blocks; /* in memory that is scanned */
    arena_cleanable_t **cleanables;
    size_t refused;
};

static void
crowd_add(struct crowd *crowd, size_t to)
{
    for (; crowd->count < to; crowd->count++) {
        void *block = arena_alloc(NULL, 16);

        crowd->blocks[crowd->count] = block;
        crowd->cleanables[crowd->count] =
            arena_cleaner_register(block, ignore, NULL);
        crowd->refused += crowd->cleanables[crowd->count] == NULL;
    }
}

static struct cost
crowd_cost(struct crowd *crowd)
{
    enum { SAMPLE = 20000 };
    struct cost cost;
    double start;
    size_t whole = crowd->count;

    start = processor_ns();
    crowd_add(crowd, whole + SAMPLE);
    cost.add = (processor_ns() - start) / SAMPLE;
    start = processor_ns();
    for (size_t i = 0; i < SAMPLE; i++)
        (void)arena_clean(crowd->cleanables[whole + i]);
    cost.clean = (processor_ns() - start) / SAMPLE;
    crowd->count = whole;
    start = processor_ns();
    arena_collect();
    cost.collect = processor_ns() - start;
    return cost;
}

START_TEST(test_a_million_cleaners_cost_as_much_each_as_fewer)
{
    size_t most = test_scaled(1000000), few = most / 10;
    struct crowd crowd = {0};
    struct cost of_few, of_most;
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena;

    options.flags = ARENA_TRACED;
    expect_ok(arena = arena_open(ARENA_CONFINED, &options));
    crowd.blocks = arena_alloc(arena, (most + 20000) * sizeof(void *));
    crowd.cleanables = calloc(most + 20000, sizeof(void *));
    ck_assert(crowd.blocks != NULL && crowd.cleanables != NULL);
    crowd_add(&crowd, few);
    of_few = crowd_cost(&crowd);
    crowd_add(&crowd, most);
    of_most = crowd_cost(&crowd);
    ck_assert_uint_eq(crowd.refused, 0);
    /* Ten times as many: caches miss, tables grow, and that is all. */
    ck_assert_msg(of_most.add < 20 * of_few.add
                      && of_most.clean < 20 * of_few.clean,
                  "registering %.0f and %.0f ns, cleaning %.0f and %.0f ns",
                  of_few.add, of_most.add, of_few.clean, of_most.clean);
    ck_assert_msg(of_most.collect < 40 * of_few.collect + 50e6,
                  "a collection %.1f and %.1f ms", of_few.collect / 1e6,
                  of_most.collect / 1e6);
    if (getenv("ARENA_TEST_FIGURES") != NULL)
        fprintf(stderr,
                "%zu, %zu cleaners: add %.0f, %.0f ns; clean %.0f, %.0f ns; "
                "collect %.1f, %.1f ms\n",
                few, most, of_few.add, of_most.add, of_few.clean,
                of_most.clean, of_few.collect / 1e6, of_most.collect / 1e6);
    free(crowd.cleanables);
    expect_ok(arena_close(arena));
}
END_TEST

/* --- Suite --- */

static void
add_actions(Suite *suite)
{
    TCase *actions = tcase_create("actions");
    TCase *inside = tcase_create("inside");

    tcase_add_checked_fixture(actions, setup, NULL);
    tcase_set_timeout(actions, 30);
    tcase_add_test(actions, test_register_refuses_bad_arguments);
    tcase_add_test(actions, test_action_runs_once_on_another_thread);
    tcase_add_test(actions, test_action_of_the_living_does_not_run);
    tcase_add_test(actions, test_forgetting_the_cleanable_does_not_cancel);
    tcase_add_test(actions, test_all_actions_of_a_referent_run_in_order);
    tcase_add_test(actions,
                   test_free_runs_the_action_once_on_the_cleaner_thread);
    tcase_add_test(actions, test_arg_is_kept_until_the_action_has_run);
    suite_add_tcase(suite, actions);
    tcase_add_checked_fixture(inside, setup, NULL);
    tcase_set_timeout(inside, 30);
    tcase_add_test(inside, test_action_may_call_everything);
    tcase_add_test(inside, test_action_that_cleans_itself_runs_once);
    suite_add_tcase(suite, inside);
}

static void
add_clean(Suite *suite)
{
    TCase *clean = tcase_create("clean");
    TCase *load = tcase_create("load");

    tcase_add_checked_fixture(clean, setup, NULL);
    tcase_set_timeout(clean, 30);
    tcase_add_test(clean, test_clean_runs_it_here_once);
    tcase_add_test(clean, test_clean_of_a_stale_cleanable_does_nothing);
    tcase_add_test(clean, test_clean_of_no_cleanable_fails_einval);
    tcase_add_test(clean, test_cleanable_is_no_address);
    tcase_add_test(clean, test_clean_takes_what_is_pending);
    suite_add_tcase(suite, clean);
    tcase_add_checked_fixture(load, setup, NULL);
    tcase_set_timeout(load, 120);
    tcase_add_test(load, test_clean_races_the_collector_exactly_once);
    tcase_add_test(load, test_blocked_action_does_not_stop_the_budget);
    tcase_add_test(load, test_budget_waits_for_actions_that_give_back);
    tcase_add_test(load, test_action_gets_memory_from_those_behind_it);
    tcase_add_test(load,
                   test_who_drains_does_not_wait_for_what_came_later);
    tcase_add_test(load,
                   test_a_million_cleaners_cost_as_much_each_as_fewer);
    suite_add_tcase(suite, load);
}

int
main(void)
{
    Suite *suite = suite_create("cleaner");

    add_actions(suite);
    add_clean(suite);
    return run_suite(suite);
}
