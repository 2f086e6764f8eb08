/* check_handshake.c: accesses of shared arenas against their close. */

#include <stdlib.h>
#include <string.h>

#include <arena/segment.h>

#include "gc_harness.h"
#include "handshake.h"
#include "os.h"

#define ACCESSORS 10
#define SIZE (MIB - MIB % 160) /* parts have whole elements */

/* How many, for each storm: ARENA_TEST_ROUNDS, or few, as each takes 40 ms. */
static size_t
rounds(void)
{
    const char *text = getenv("ARENA_TEST_ROUNDS");

    return text != NULL ? strtoul(text, NULL, 10)
                        : ARENA_OS_TSAN ? 5 : 30;
}

/* --- Accessors against a closer --- */

struct storm {
    arena_t *arena; /* of ARENA_GUARDED: unmapped when it is closed */
    arena_segment_t segment;
    uint64_t seed;
    bool resets;
    atomic_size_t stale, other; /* faults */
    atomic_size_t accesses;
    atomic_bool closed;
};

static int
access_somehow(const arena_segment_t *s, size_t index, size_t turn)
{
    int64_t number;
    size_t half = s->size / 2;
    arena_segment_t first, second;

    switch ((index + turn) % 6) {
    case 0:
        return arena_get_i64_at(s, turn % (s->size / 8), &number);
    case 1:
        return arena_segment_copy(s, 0, s, half, half);
    case 2:
        return arena_segment_copy_array(s, half, ARENA_BIG_ENDIAN, s, 0,
                                        ARENA_LITTLE_ENDIAN, half / 8, 8);
    case 3:
        arena_segment_slice(s, 0, half, &first);
        arena_segment_slice(s, half, half, &second);
        return arena_segment_mismatch(&first, &second) == -2 ? -1 : 0;
    case 4:
        return arena_segment_fill(s, (uint8_t)turn);
    default:
        return arena_set_i64(s, turn % (s->size / 8) * 8, 1);
    }
}

static void
storm_prepare(void *state, size_t round)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    struct storm *storm = state;

    (void)round;
    options.flags = ARENA_GUARDED;
    storm->arena = arena_open(ARENA_SHARED, &options);
    ck_assert_ptr_nonnull(storm->arena);
    ck_assert_int_eq(arena_segment(storm->arena, SIZE, 8, &storm->segment),
                     0);
    atomic_store(&storm->stale, 0);
    atomic_store(&storm->closed, false);
}

static void
storm_close(struct storm *storm)
{
    spin_ns(random_below(&storm->seed, 2 * MS_NS));
    if ((storm->resets ? arena_reset(storm->arena)
                       : arena_close(storm->arena))
        != 0)
        atomic_fetch_add(&storm->other, 1);
    atomic_store(&storm->closed, true);
}

static void
storm_body(void *state, size_t index)
{
    struct storm *storm = state;
    arena_segment_t mine = storm->segment;

    if (index == ACCESSORS) {
        storm_close(storm);
        return;
    }
    /* To the thread sanitizer, what one does to another's bytes is a race;
     * it is to look for those with the close. */
    if (ARENA_OS_TSAN)
        (void)arena_segment_split(&mine, 16, ACCESSORS, index, &mine);
    for (size_t turn = 0;; turn++) {
        bool closed = atomic_load(&storm->closed);

        errno = 0;
        if (access_somehow(&mine, index, turn) != 0) {
            atomic_fetch_add(errno == ESTALE ? &storm->stale : &storm->other,
                             1);
            return;
        }
        atomic_fetch_add_explicit(&storm->accesses, 1, memory_order_relaxed);
        if (closed) {
            atomic_fetch_add(&storm->other, 1);
            return;
        }
    }
}

static void
storm_verify(void *state, size_t round)
{
    struct storm *storm = state;

    (void)round;
    ck_assert_uint_eq(atomic_load(&storm->other), 0);
    ck_assert_uint_eq(atomic_load(&storm->stale), ACCESSORS);
    ck_assert(!arena_segment_is_alive(&storm->segment));
    if (storm->resets)
        ck_assert_int_eq(arena_close(storm->arena), 0);
}

static void
storm(bool resets)
{
    struct storm storm = {.seed = 77, .resets = resets};
    struct race race = {ACCESSORS + 1, rounds(), storm_prepare,
                        storm_body,    storm_verify,     &storm};

    run_race(&race);
    ck_assert_uint_gt(atomic_load(&storm.accesses), 0);
}

START_TEST(test_close_never_overlaps_an_access)
{
    storm(false);
}
END_TEST

START_TEST(test_reset_never_overlaps_an_access)
{
    storm(true);
}
END_TEST

/* Where the system has no barrier that one thread makes for all. */
START_TEST(test_close_without_membarrier_never_overlaps)
{
    arenap_os_has_heavy = false;
    storm(false);
}
END_TEST

/* --- Many arenas at once --- */

#define MANY 50

static arena_t *many[MANY];
static arena_segment_t of_many[MANY];
static atomic_size_t many_closed;

static void
many_body(void *state, size_t index)
{
    int32_t number;

    (void)state;
    for (size_t i = 0; i < 1000; i++)
        if (arena_get_i32_at(&of_many[index], i % 16, &number) != 0)
            return;
    if (arena_close(many[index]) == 0)
        atomic_fetch_add(&many_closed, 1);
}

START_TEST(test_unrelated_arenas_close_at_once)
{
    for (size_t i = 0; i < MANY; i++) {
        many[i] = arena_shared();
        expect_ok(arena_segment(many[i], 64, 8, &of_many[i]));
    }
    run_team(MANY, many_body, NULL);
    ck_assert_uint_eq(atomic_load(&many_closed), MANY);
}
END_TEST

/* --- Who pays --- */

#define BUSY 20
#define CLOSES 200

static atomic_bool over;

static void *
be_busy(void *counter)
{
    size_t turns = 0;

    while (!atomic_load_explicit(&over, memory_order_relaxed))
        turns++;
    *(size_t *)counter = turns;
    return NULL;
}

static uint64_t
cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The median processor time of opening, using and closing. */
static uint64_t
closes_cost(void)
{
    static uint64_t cost[CLOSES];

    for (size_t i = 0; i < CLOSES; i++) {
        uint64_t begin = cpu_ns();
        arena_t *arena = arena_shared();
        arena_segment_t s;

        expect_ok(arena_segment(arena, 64, 8, &s));
        expect_ok(arena_set_i32(&s, 0, 1));
        expect_ok(arena_close(arena));
        cost[i] = cpu_ns() - begin;
    }
    qsort(cost, CLOSES, sizeof *cost, compare);
    return cost[CLOSES / 2];
}

START_TEST(test_close_beside_busy_threads_is_cheap)
{
    pthread_t threads[BUSY];
    static size_t turns[BUSY];
    uint64_t median;

    for (size_t i = 0; i < BUSY; i++)
        threads[i] = start_thread(be_busy, &turns[i]);
    median = closes_cost();
    atomic_store(&over, true);
    for (size_t i = 0; i < BUSY; i++)
        join_thread(threads[i]);
    if (!malloc_is_replaced())
        ck_assert_msg(median <= 20000 * (uint64_t)test_patience(),
                      "%zu ns", (size_t)median);
    if (getenv("ARENA_TEST_FIGURES") != NULL)
        printf("closer's processor time, median of %d beside %d busy "
               "threads: %zu ns\n",
               CLOSES, BUSY, (size_t)median);
}
END_TEST

/* An arena without segments is closed without looking. */
START_TEST(test_expect_says_whether_the_epoch_is_over)
{
    arena_t *arena = arena_shared();
    arena_segment_t s = {0};

    uint64_t epoch = atomic_load(&arena->epoch);

    ck_assert(atomic_load(&arena->segmented) != epoch + 1);
    expect_ok(arena_segment(arena, 64, 8, &s));
    ck_assert(atomic_load(&arena->segmented) == epoch + 1);
    ck_assert(arenap_handshake_expect(arena, s.epoch));
    expect_ok(arena_reset(arena));
    ck_assert(!arenap_handshake_expect(arena, s.epoch));
    expect_ok(arena_close(arena));
}
END_TEST

static Suite *
handshake_suite(void)
{
    Suite *s = suite_create("handshake");
    TCase *race = tcase_create("race"), *cost = tcase_create("cost");

    tcase_set_timeout(race, 60);
    tcase_add_test(race, test_close_never_overlaps_an_access);
    tcase_add_test(race, test_reset_never_overlaps_an_access);
    tcase_add_test(race, test_close_without_membarrier_never_overlaps);
    tcase_add_test(race, test_unrelated_arenas_close_at_once);
    tcase_add_test(race, test_expect_says_whether_the_epoch_is_over);
    suite_add_tcase(s, race);
    tcase_set_timeout(cost, 60);
    tcase_add_test(cost, test_close_beside_busy_threads_is_cheap);
    suite_add_tcase(s, cost);
    return s;
}

int
main(void)
{
    return run_suite(handshake_suite());
}
