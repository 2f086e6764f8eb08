/* harness.c: what the test programs share. */

#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- Results --- */

bool
int_failed(int result)
{
    return result == -1;
}

bool
pointer_failed(const volatile void *result)
{
    return result == NULL;
}

const char *
failure_fault(bool failed, int got, int error, const char *got_text,
              const char *part)
{
    static char fault[512];

    if (!failed)
        return "succeeded";
    if (got != error) {
        snprintf(fault, sizeof fault, "errno is %d (%s), not %d", got,
                 got_text, error);
        return fault;
    }
    if (got_text == NULL || got_text[0] == '\0')
        return "no sentence";
    if (strstr(got_text, part) == NULL) {
        snprintf(fault, sizeof fault, "\"%s\" does not say \"%s\"", got_text,
                 part);
        return fault;
    }
    return NULL;
}

void
answer_set(struct answer *answer, bool failed, int error)
{
    answer->failed = failed;
    answer->error = error;
    snprintf(answer->sentence, sizeof answer->sentence, "%s", arena_error());
}

/* --- The budget's counters --- */

arena_usage_t
usage_now(void)
{
    arena_usage_t usage;

    memset(&usage, 0xff, sizeof usage);
    arena_usage(&usage, sizeof usage);
    return usage;
}

/* Compare one counter; returns NULL if it is the same. */
static const char *
counter_difference(const char *pool, const char *name, size_t before,
                   size_t now)
{
    static char text[128];

    if (before == now)
        return NULL;
    snprintf(text, sizeof text, "%s.%s was %zu, is %zu", pool, name, before,
             now);
    return text;
}

static const char *
pool_difference(const char *name, const arena_usage_pool_t *before,
                const arena_usage_pool_t *now)
{
    const char *text;

    text =
        counter_difference(name, "reserved", before->reserved, now->reserved);
    if (text == NULL)
        text = counter_difference(name, "requested", before->requested,
                                  now->requested);
    if (text == NULL)
        text = counter_difference(name, "count", before->count, now->count);
    return text;
}

const char *
usage_difference(const arena_usage_t *before)
{
    static const char *const kinds[5] = {"global", "auto", "confined",
                                         "shared", "implicit"};
    arena_usage_t now = usage_now();
    const char *text = NULL;

    for (size_t i = 0; i < 5 && text == NULL; i++)
        text = pool_difference(kinds[i], &before->kind[i], &now.kind[i]);
    if (text == NULL)
        text = pool_difference("buffers", &before->buffers, &now.buffers);
    if (text == NULL)
        text = pool_difference("mapped", &before->mapped, &now.mapped);
    if (text == NULL)
        text = pool_difference("manual", &before->manual, &now.manual);
    if (text == NULL)
        text = counter_difference("all", "reserved", before->reserved,
                                  now.reserved);
    if (text == NULL)
        text = counter_difference("all", "requested", before->requested,
                                  now.requested);
    if (text == NULL)
        text = counter_difference("all", "count", before->count, now.count);
    if (text == NULL)
        text = counter_difference("all", "limit", before->limit, now.limit);
    return text;
}

/* --- Threads --- */

pthread_t
start_thread(void *(*function)(void *), void *arg)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, function, arg);

    ck_assert_msg(error == 0, "cannot create a thread: %s", strerror(error));
    return thread;
}

void *
join_thread(pthread_t thread)
{
    void *result = NULL;
    int error = pthread_join(thread, &result);

    ck_assert_msg(error == 0, "cannot join a thread: %s", strerror(error));
    return result;
}

void *
run_in_thread(void *(*function)(void *), void *arg)
{
    return join_thread(start_thread(function, arg));
}

struct question {
    int (*call)(arena_t *);
    arena_t *arena;
    struct answer answer;
};

static void *
question_main(void *arg)
{
    struct question *question = arg;

    record_answer(&question->answer, question->call(question->arena));
    return NULL;
}

struct answer
ask_in_thread(int (*call)(arena_t *), arena_t *arena)
{
    struct question question = {.call = call, .arena = arena};

    run_in_thread(question_main, &question);
    return question.answer;
}

void
barrier_init(pthread_barrier_t *barrier, size_t threads)
{
    int error = pthread_barrier_init(barrier, NULL, (unsigned)threads);

    ck_assert_msg(error == 0, "cannot make a barrier: %s", strerror(error));
}

void
barrier_wait(pthread_barrier_t *barrier)
{
    pthread_barrier_wait(barrier);
}

struct member {
    void (*function)(void *, size_t);
    void *state;
    size_t index;
    pthread_barrier_t *start;
};

static void *
member_main(void *arg)
{
    struct member *member = arg;

    barrier_wait(member->start);
    member->function(member->state, member->index);
    return NULL;
}

void
run_team(size_t threads, void (*function)(void *state, size_t index),
         void *state)
{
    struct member *members = calloc(threads, sizeof *members);
    pthread_t *ids = calloc(threads, sizeof *ids);
    pthread_barrier_t start;

    ck_assert_ptr_nonnull(members);
    ck_assert_ptr_nonnull(ids);
    barrier_init(&start, threads);
    for (size_t i = 0; i < threads; i++) {
        members[i] = (struct member){function, state, i, &start};
        ids[i] = start_thread(member_main, &members[i]);
    }
    for (size_t i = 0; i < threads; i++)
        join_thread(ids[i]);
    pthread_barrier_destroy(&start);
    free(ids);
    free(members);
}

/* A member of a race's pool: takes part in the two barriers of each round. */
struct racer {
    const struct race *race;
    pthread_barrier_t *barrier;
    size_t index;
};

static void *
racer_main(void *arg)
{
    struct racer *racer = arg;
    const struct race *race = racer->race;

    for (size_t round = 0; round < race->rounds; round++) {
        barrier_wait(racer->barrier);
        race->body(race->state, racer->index);
        barrier_wait(racer->barrier);
    }
    return NULL;
}

void
run_race(const struct race *race)
{
    struct racer *racers = calloc(race->threads, sizeof *racers);
    pthread_t *ids = calloc(race->threads, sizeof *ids);
    pthread_barrier_t barrier;

    ck_assert_ptr_nonnull(racers);
    ck_assert_ptr_nonnull(ids);
    barrier_init(&barrier, race->threads + 1);
    for (size_t i = 0; i < race->threads; i++) {
        racers[i] = (struct racer){race, &barrier, i};
        ids[i] = start_thread(racer_main, &racers[i]);
    }
    for (size_t round = 0; round < race->rounds; round++) {
        race->prepare(race->state, round);
        barrier_wait(&barrier);
        barrier_wait(&barrier);
        race->verify(race->state, round);
    }
    for (size_t i = 0; i < race->threads; i++)
        join_thread(ids[i]);
    pthread_barrier_destroy(&barrier);
    free(ids);
    free(racers);
}

void
spin_ns(uint64_t nanoseconds)
{
    uint64_t end = clock_ns() + nanoseconds;

    while (clock_ns() < end)
        continue;
}

/* --- Time --- */

uint64_t
clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void
sleep_ms(unsigned milliseconds)
{
    uint64_t end = clock_ns() + milliseconds * MS_NS;
    struct timespec until;

    until.tv_sec = (time_t)(end / 1000000000u);
    until.tv_nsec = (long)(end % 1000000000u);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)
           == EINTR)
        continue;
}

/* --- Memory --- */

__attribute__((noinline)) void
scrub(void)
{
    volatile char dead[64 * 1024];

    for (size_t i = 0; i < sizeof dead; i++)
        dead[i] = 0;
}

void
collect_scrubbed(void)
{
    scrub();
    arena_collect();
}

arena_t *
open_limited_within(arena_kind_t kind, size_t limit, arena_t *parent)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena;

    options.limit = limit;
    options.parent = parent;
    arena = arena_open(kind, &options);
    ck_assert_msg(arena != NULL, "%s", arena_error());
    return arena;
}

size_t
opaque_size(size_t value)
{
    volatile size_t hidden = value;

    return hidden;
}

uint64_t
random_next(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

size_t
random_below(uint64_t *state, size_t limit)
{
    return (size_t)(random_next(state) >> 11) % limit;
}

/* The state from which the bytes of a block follow; never 0. */
static uint64_t
pattern_start(uint64_t seed)
{
    uint64_t state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return state != 0 ? state : 1;
}

void
fill_block(void *block, size_t size, uint64_t seed)
{
    unsigned char *bytes = block;
    uint64_t state = pattern_start(seed);

    while (size > 0) {
        uint64_t word = random_next(&state);
        size_t part = size < sizeof word ? size : sizeof word;

        memcpy(bytes, &word, part);
        bytes += part;
        size -= part;
    }
}

bool
block_holds(const void *block, size_t size, uint64_t seed)
{
    const unsigned char *bytes = block;
    uint64_t state = pattern_start(seed);

    while (size > 0) {
        uint64_t word = random_next(&state);
        size_t part = size < sizeof word ? size : sizeof word;

        if (memcmp(bytes, &word, part) != 0)
            return false;
        bytes += part;
        size -= part;
    }
    return true;
}

bool
block_is_zero(const void *block, size_t size)
{
    const unsigned char *bytes = block;

    return size == 0
           || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

bool
is_aligned(const void *block, size_t align)
{
    return ((uintptr_t)block & (align - 1)) == 0;
}

static int
extent_compare(const void *left, const void *right)
{
    const struct extent *a = left;
    const struct extent *b = right;

    if (a->start != b->start)
        return (uintptr_t)a->start < (uintptr_t)b->start ? -1 : 1;
    return 0;
}

bool
extents_disjoint(struct extent *extents, size_t count)
{
    qsort(extents, count, sizeof *extents, extent_compare);
    for (size_t i = 1; i < count; i++) {
        const struct extent *below = &extents[i - 1];
        size_t size = below->size > 0 ? below->size : 1;

        if ((uintptr_t)extents[i].start - (uintptr_t)below->start < size)
            return false;
    }
    return true;
}

size_t
resident_now(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    int fields;

    ck_assert_ptr_nonnull(file);
    fields = fscanf(file, "%lu %lu", &total, &resident);
    fclose(file);
    ck_assert_int_eq(fields, 2);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* --- Programs --- */

int
run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    /* A collector that starts in a test finds room for its garbage. */
    setenv("GC_INITIAL_HEAP_SIZE", "256M", 0);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- Patience --- */

unsigned
test_patience(void)
{
    const char *wish = getenv("ARENA_TEST_PATIENCE");
    int times = wish != NULL ? atoi(wish) : 16;

    return times > 0 ? (unsigned)times : 1;
}

/* Check's own time limits, of 4 seconds and more, are for a machine that has
 * nothing else to do.  It reads the factor when a case is made. */
__attribute__((constructor)) static void
be_patient(void)
{
    char factor[16];

    snprintf(factor, sizeof factor, "%u", test_patience());
    setenv("CK_TIMEOUT_MULTIPLIER", factor, 0);
}
