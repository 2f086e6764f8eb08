/* check_handshake.c: accesses of shared arenas against their close. */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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
    arena_segment_t part[ACCESSORS];   /* of it, or all */
    arena_buffer_t *buffer[ACCESSORS]; /* over that */
    uint64_t seed;
    bool resets;
    atomic_size_t stale, other; /* faults */
    atomic_size_t accesses;
    atomic_bool closed;
};

static int
access_somehow(const arena_segment_t *s, const arena_buffer_t *buffer,
               size_t index, size_t turn)
{
    int64_t number;
    size_t half = s->size / 2;
    arena_segment_t first, second;

    switch ((index + turn) % 7) {
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
    case 5:
        return arena_buffer_get_i64_at(buffer, turn % (s->size / 8), &number);
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
    for (size_t i = 0; i < ACCESSORS; i++) {
        /* To the thread sanitizer, what one does to another's bytes is a
         * race; it is to look for those with the close. */
        expect_ok(arena_segment_split(&storm->segment, 16,
                                      ARENA_OS_TSAN ? ACCESSORS : 1,
                                      ARENA_OS_TSAN ? i : 0, &storm->part[i]));
        expect_ok(storm->buffer[i] = arena_buffer_of_segment(&storm->part[i]));
    }
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

    if (index == ACCESSORS) {
        storm_close(storm);
        return;
    }
    for (size_t turn = 0;; turn++) {
        bool closed = atomic_load(&storm->closed);

        errno = 0;
        if (access_somehow(&storm->part[index], storm->buffer[index], index,
                           turn)
            != 0) {
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

/* --- Segments of pointers beside a close --- */

#define FINDERS 4

struct finding {
    arena_t *arena;
    char *block;
    atomic_size_t other; /* faults */
};

static void
finding_prepare(void *state, size_t round)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    struct finding *finding = state;

    (void)round;
    options.flags = ARENA_GUARDED;
    finding->arena = arena_open(ARENA_SHARED, &options);
    expect_ok(finding->block = arena_alloc(finding->arena, 64));
}

/* Until there is no block there, or another one already. */
static void
finding_body(void *state, size_t index)
{
    struct finding *finding = state;
    arena_segment_t s;
    uint8_t byte;

    if (index == FINDERS) {
        if (arena_close(finding->arena) != 0)
            atomic_fetch_add(&finding->other, 1);
        return;
    }
    for (;;) {
        errno = 0;
        if (arena_segment_of(finding->block, &s) != 0
            || arena_get_u8(&s, 0, &byte) != 0)
            break;
    }
    if (errno != EINVAL && errno != ESTALE)
        atomic_fetch_add(&finding->other, 1);
}

static void
finding_verify(void *state, size_t round)
{
    struct finding *finding = state;

    (void)round;
    ck_assert_uint_eq(atomic_load(&finding->other), 0);
}

START_TEST(test_segment_of_a_pointer_beside_a_close)
{
    struct finding finding = {.other = 0};
    struct race race = {FINDERS + 1,     10 * rounds(), finding_prepare,
                        finding_body,    finding_verify, &finding};

    run_race(&race);
}
END_TEST

/* --- Strings copied into an arena beside its close --- */

struct copying {
    arena_t *arena;
    arena_segment_t text;
    atomic_size_t other; /* faults */
};

static void
copying_prepare(void *state, size_t round)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    struct copying *copying = state;

    (void)round;
    options.flags = ARENA_GUARDED;
    copying->arena = arena_open(ARENA_SHARED, &options);
}

static void
copying_body(void *state, size_t index)
{
    struct copying *copying = state;
    uint64_t seed = index + 1;

    if (index == FINDERS) {
        spin_ns(random_below(&seed, MS_NS / 5));
        if (arena_close(copying->arena) != 0)
            atomic_fetch_add(&copying->other, 1);
        return;
    }
    errno = 0;
    while (arena_get_string(&copying->text, 0, copying->arena) != NULL)
        ;
    if (errno != ESTALE)
        atomic_fetch_add(&copying->other, 1);
}

static void
copying_verify(void *state, size_t round)
{
    struct copying *copying = state;

    (void)round;
    ck_assert_uint_eq(atomic_load(&copying->other), 0);
}

START_TEST(test_string_is_copied_beside_a_close)
{
    static char text[200000];
    struct copying copying = {.other = 0};
    struct race race = {FINDERS + 1,  3 * rounds(),   copying_prepare,
                        copying_body, copying_verify, &copying};

    memset(text, 'x', sizeof text - 1);
    expect_ok(arena_segment_wrap(arena_global(), text, sizeof text,
                                 &copying.text));
    run_race(&race);
}
END_TEST

/* --- First accesses beside a close --- */

struct fresh {
    struct finding finding;
    arena_segment_t segment;
};

/* Each thread is a new one. */
static void
fresh_body(void *state, size_t index)
{
    struct fresh *fresh = state;
    uint64_t seed = (uintptr_t)fresh->finding.block + index;

    spin_ns(random_below(&seed, 20000));
    if (index == FINDERS) {
        if (arena_close(fresh->finding.arena) != 0)
            atomic_fetch_add(&fresh->finding.other, 1);
        return;
    }
    errno = 0;
    while (arena_segment_mismatch(&fresh->segment, &fresh->segment) == -1)
        ;
    if (errno != ESTALE)
        atomic_fetch_add(&fresh->finding.other, 1);
}

START_TEST(test_first_access_never_overlaps_a_close)
{
    struct fresh fresh = {.finding.other = 0};

    for (size_t i = 0; i < 5 * rounds(); i++) {
        finding_prepare(&fresh.finding, i);
        expect_ok(arena_segment(fresh.finding.arena, 100000, 1,
                                &fresh.segment));
        run_team(FINDERS + 1, fresh_body, &fresh);
        finding_verify(&fresh.finding, i);
    }
}
END_TEST

/* --- The barrier alone ---
 *
 * One thread says that it accesses and then looks at the epoch, the other
 * advances the epoch and then looks who accesses.  Both at once, many times
 * over: it never happens that neither has seen the other. */

#define MEETINGS ((size_t)(HARNESS_SANITIZED ? 2000 : 20000))

struct meetings {
    arena_t *arena;
    struct thread *accessor;
    bool first;   /* each access is as the first one of its thread */
    bool seen[2]; /* by each, in this meeting */
    size_t missed;
    /* The last meeting that each is ready for. */
    atomic_size_t here[2] __attribute__((aligned(64)));
    _Atomic uint64_t epoch __attribute__((aligned(64)));
};

static void
meet(struct meetings *meetings, size_t index, size_t number)
{
    atomic_store(&meetings->here[index], number);
    for (size_t i = 1; atomic_load(&meetings->here[1 - index]) < number; i++)
        if (i % 1000 == 0)
            sched_yield();
}

/* Let one of them come a little later, now the one and now the other. */
static void
come_late(size_t index, size_t number)
{
    if (number % 2 == index)
        for (volatile size_t i = 0; i < number / 2 % 50; i++)
            ;
}

/* Both look at what the other is going to change: so they have a copy of it
 * in their caches that is out of date a moment later. */
static bool
is_accessed(struct meetings *m)
{
    return atomic_load_explicit(&m->accessor->accessing[0],
                                memory_order_acquire)
           != NULL;
}

static bool
is_over(struct meetings *m)
{
    return atomic_load_explicit(&m->epoch, memory_order_acquire) != 0;
}

static void
access_meeting(struct meetings *m, size_t number)
{
    struct thread *self = arenap_thread_self();

    if (number == 1)
        m->accessor = self;
    if (m->first)
        atomic_store(&self->accesses, false);
    (void)is_over(m);
    meet(m, 0, number);
    come_late(0, number);
    arenap_handshake_enter(self, 0, m->arena);
    m->seen[0] = is_over(m);
    meet(m, 0, number + 1);
    arenap_handshake_leave(self, 0);
    meet(m, 0, number + 2);
}

static void
close_meeting(struct meetings *m, size_t number)
{
    if (number > 1)
        (void)is_accessed(m);
    meet(m, 1, number);
    come_late(1, number);
    atomic_store_explicit(&m->epoch, 1, memory_order_relaxed);
    if (m->first) {
        atomic_thread_fence(memory_order_seq_cst);
        m->seen[1] = atomic_load(&m->accessor->accesses);
    } else {
        arenap_os_heavy();
        m->seen[1] = is_accessed(m);
    }
    meet(m, 1, number + 1);
    m->missed += !m->seen[0] && !m->seen[1];
    atomic_store(&m->epoch, 0);
    meet(m, 1, number + 2);
}

static void
meetings_body(void *state, size_t index)
{
    for (size_t i = 1; i < 3 * MEETINGS; i += 3)
        (index == 0 ? access_meeting : close_meeting)(state, i);
}

static void
expect_no_meeting_missed(bool first)
{
    struct meetings meetings = {.arena = arena_shared(), .first = first};

    run_team(2, meetings_body, &meetings);
    ck_assert_uint_eq(meetings.missed, 0);
    expect_ok(arena_close(meetings.arena));
}

START_TEST(test_access_and_close_see_each_other)
{
    expect_no_meeting_missed(false);
}
END_TEST

START_TEST(test_first_access_and_close_see_each_other)
{
    expect_no_meeting_missed(true);
}
END_TEST

/* From here on this process may not call membarrier. */
static bool
forbid_membarrier(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {LENGTH(filter), filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
           && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* A program that has begun shuts itself in. */
START_TEST(test_sandbox_without_membarrier_is_noticed)
{
    arena_usage_t before = usage_now();
    arena_t *arena = arena_shared();

    expect_ok(arena_alloc(arena, 10000));
    if (!forbid_membarrier())
        return;
    expect_no_meeting_missed(false);
    storm(false);
    expect_ok(arena_close(arena));
    ck_assert_uint_eq(usage_now().reserved, before.reserved);
}
END_TEST

/* --- Accesses that were never left --- */

struct stray {
    arena_t *arena;
    unsigned slot;
    atomic_bool closing, closed;
    atomic_int runs;
};

static void
stray_run(void *arg)
{
    struct stray *stray = arg;

    atomic_fetch_add(&stray->runs, 1);
}

static void
stray_open(struct stray *stray)
{
    arena_segment_t s;

    *stray = (struct stray){.arena = arena_shared()};
    expect_ok(arena_segment(stray->arena, 64, 8, &s));
    expect_ok(arena_on_close(stray->arena, stray_run, stray));
}

static void *
enter_and_end(void *arg)
{
    struct stray *stray = arg;

    arenap_handshake_enter(arenap_thread_self(), stray->slot, stray->arena);
    return NULL;
}

/* As when it is cancelled in arena_map_sync. */
START_TEST(test_close_does_not_wait_for_threads_that_ended)
{
    struct stray stray;

    for (unsigned slot = 0; slot < THREAD_ACCESSES; slot++) {
        stray_open(&stray);
        stray.slot = slot;
        run_in_thread(enter_and_end, &stray);
        expect_ok(arena_close(stray.arena));
        ck_assert_int_eq(atomic_load(&stray.runs), 1);
    }
}
END_TEST

/* As after a longjmp out of a handler of SIGSEGV. */
START_TEST(test_close_does_not_wait_for_itself)
{
    struct stray stray;

    stray_open(&stray);
    arenap_handshake_enter(arenap_thread_self(), 1, stray.arena);
    expect_ok(arena_close(stray.arena));
    ck_assert_int_eq(atomic_load(&stray.runs), 1);
}
END_TEST

static void *
close_stray(void *arg)
{
    struct stray *stray = arg;

    atomic_store(&stray->closing, true);
    if (arena_close(stray->arena) == 0)
        atomic_store(&stray->closed, true);
    return NULL;
}

START_TEST(test_waiting_close_cannot_be_cancelled)
{
    arena_usage_t before = usage_now();
    struct thread *self = arenap_thread_self();
    struct stray stray;
    pthread_t closer;

    stray_open(&stray);
    arenap_handshake_enter(self, 0, stray.arena);
    closer = start_thread(close_stray, &stray);
    while (!atomic_load(&stray.closing))
        sleep_ms(1);
    sleep_ms(20);
    ck_assert_int_eq(pthread_cancel(closer), 0);
    sleep_ms(20);
    ck_assert(!atomic_load(&stray.closed));
    arenap_handshake_leave(self, 0);
    join_thread(closer);
    ck_assert(atomic_load(&stray.closed));
    ck_assert_int_eq(atomic_load(&stray.runs), 1);
    expect_usage(before);
}
END_TEST

struct access {
    struct stray stray;
    sem_t entered, leave;
};

static void *
stay_inside(void *arg)
{
    struct access *access = arg;
    struct thread *self = arenap_thread_self();

    arenap_handshake_enter(self, 1, access->stray.arena);
    sem_post(&access->entered);
    sem_wait(&access->leave);
    arenap_handshake_leave(self, 1);
    return NULL;
}

/* A child does not have the thread that is inside. */
START_TEST(test_close_in_a_child_does_not_wait_for_the_parents_threads)
{
    struct access access;
    pthread_t thread;
    int status = 0;
    pid_t pid;

    stray_open(&access.stray);
    sem_init(&access.entered, 0, 0);
    sem_init(&access.leave, 0, 0);
    thread = start_thread(stay_inside, &access);
    sem_wait(&access.entered);
    pid = fork();
    if (pid == 0) {
        alarm(10);
        _exit(arena_close(access.stray.arena) == 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    sem_post(&access.leave);
    join_thread(thread);
    expect_ok(arena_close(access.stray.arena));
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

/* --- Who pays ---
 *
 * Busy threads work for a while without closes, and for a while beside them;
 * and again.  What they lose is told twice: of their work in that time, of
 * which the closer's own share of the processors is a part, and of their work
 * per second of processor time that they had, which is what closing does to
 * others.  ARENA_TEST_FIGURES=1 prints both, ARENA_TEST_SECONDS is for how
 * long, ARENA_TEST_PATIENCE=1 is to the letter. */

#define BUSY 20
#define CLOSES 200
#define PAIRS 9

struct busy {
    pthread_t thread;
    atomic_size_t turns;
} __attribute__((aligned(64)));

static struct busy busy[BUSY];
static atomic_bool over;

/* Reads and writes a few pages of its own. */
static void *
be_busy(void *arg)
{
    struct busy *self = arg;
    volatile uint64_t words[2048] = {0};

    for (size_t turn = 0; !atomic_load_explicit(&over, memory_order_relaxed);
         turn++) {
        for (size_t i = 0; i < LENGTH(words); i += 8)
            words[i] += turn;
        atomic_store_explicit(&self->turns, turn, memory_order_relaxed);
    }
    return NULL;
}

static uint64_t
cpu_of(pthread_t thread)
{
    struct timespec now;
    clockid_t clock;

    if (pthread_getcpuclockid(thread, &clock) != 0
        || clock_gettime(clock, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Has accessed a segment of a shared arena: so closing looks at others. */
static void *
access_once(void *arg)
{
    int32_t number;

    (void)arena_get_i32(arg, 0, &number);
    while (!atomic_load_explicit(&over, memory_order_relaxed))
        sleep_ms(10);
    return NULL;
}

/* What all of them have done so far, and in how much time. */
struct done {
    double turns, cpu, time;
};

static struct done
done_now(void)
{
    struct done done = {0, 0, (double)clock_ns()};

    for (size_t i = 0; i < BUSY; i++) {
        done.turns += (double)atomic_load(&busy[i].turns);
        done.cpu += (double)cpu_of(busy[i].thread);
    }
    return done;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
median(double *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, compare);
    return numbers[count / 2];
}

/* Other programs disturb most of the measurements when the machine is busy,
 * but not all. */
static double
least(const double *numbers, size_t count)
{
    double found = numbers[0];

    for (size_t i = 1; i < count; i++)
        if (numbers[i] < found)
            found = numbers[i];
    return found;
}

/* Open, use and close; returns the processor time of that. */
static double
close_one(void)
{
    uint64_t begin = cpu_of(pthread_self());
    arena_t *arena = arena_shared();
    arena_segment_t s;

    expect_ok(arena_segment(arena, 64, 8, &s));
    expect_ok(arena_set_i32(&s, 0, 1));
    expect_ok(arena_close(arena));
    return (double)(cpu_of(pthread_self()) - begin);
}

struct loss {
    double of_time[PAIRS], of_cpu[PAIRS]; /* as shares */
    size_t closes;
    double cost[PAIRS * CLOSES]; /* ns of the closer's, of the last ones */
};

/* Close CLOSES of them, evenly over a time; or as many as fit. */
static void
close_for(struct loss *loss, uint64_t time, bool as_many)
{
    uint64_t begin = clock_ns();

    for (size_t n = 0; clock_ns() - begin < time; n++) {
        uint64_t due = begin + n * time / CLOSES;
        struct timespec until = {(time_t)(due / 1000000000u),
                                 (long)(due % 1000000000u)};

        if (!as_many)
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        loss->cost[loss->closes++ % LENGTH(loss->cost)] = close_one();
    }
}

/* What share of its rate was lost? */
static double
lost(double after, double in_time, double before, double in_time_before)
{
    return 1 - after / in_time / before * in_time_before;
}

static void
measure(struct loss *loss, bool as_many)
{
    uint64_t time = (uint64_t)(test_seconds(0.5) * 1e9 / PAIRS / 2);

    loss->closes = 0;
    for (size_t i = 0; i < PAIRS; i++) {
        struct done begin = done_now(), middle, end;

        sleep_ms((unsigned)(time / MS_NS));
        middle = done_now();
        close_for(loss, time, as_many);
        end = done_now();
        loss->of_time[i] =
            lost(end.turns - middle.turns, end.time - middle.time,
                 middle.turns - begin.turns, middle.time - begin.time);
        loss->of_cpu[i] =
            lost(end.turns - middle.turns, end.cpu - middle.cpu,
                 middle.turns - begin.turns, middle.cpu - begin.cpu);
    }
}

static double
cost_of(struct loss *loss)
{
    return median(loss->cost, loss->closes < LENGTH(loss->cost)
                                  ? loss->closes
                                  : LENGTH(loss->cost));
}

static void
print_loss(const char *name, struct loss *loss)
{
    printf("%s: %zu closes beside %d busy threads: they lose %.1f %% of "
           "their work, %.1f %% of it per processor second; the closer's "
           "processor time: %.1f us (medians)\n",
           name, loss->closes, BUSY, 100 * median(loss->of_time, PAIRS),
           100 * median(loss->of_cpu, PAIRS), cost_of(loss) / 1000);
    fflush(stdout);
}

START_TEST(test_close_beside_busy_threads_is_cheap)
{
    static struct loss alone, evenly, as_many;
    double most = 0.05 * (test_patience() < 8 ? test_patience() : 8);
    arena_t *arena = arena_shared();
    arena_segment_t s;
    pthread_t other;

    for (size_t i = 0; i < BUSY; i++)
        busy[i].thread = start_thread(be_busy, &busy[i]);
    measure(&alone, false);
    expect_ok(arena_segment(arena, 64, 8, &s));
    other = start_thread(access_once, &s);
    measure(&evenly, false);
    measure(&as_many, true);
    atomic_store(&over, true);
    for (size_t i = 0; i < BUSY; i++)
        join_thread(busy[i].thread);
    join_thread(other);
    expect_ok(arena_close(arena));
    if (getenv("ARENA_TEST_FIGURES") != NULL) {
        print_loss("segments in one thread", &alone);
        print_loss("segments in several", &evenly);
        print_loss("the same, as many as fit", &as_many);
    }
    if (malloc_is_replaced())
        return;
    ck_assert_double_le(cost_of(&alone), 20000.0 * test_patience());
    ck_assert_double_le(cost_of(&evenly), 20000.0 * test_patience());
    ck_assert_double_le(least(alone.of_cpu, PAIRS), most);
    ck_assert_double_le(least(evenly.of_cpu, PAIRS), most);
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

    tcase_set_timeout(race, 20);
    tcase_add_test(race, test_close_never_overlaps_an_access);
    tcase_add_test(race, test_reset_never_overlaps_an_access);
    tcase_add_test(race, test_close_without_membarrier_never_overlaps);
    tcase_add_test(race, test_access_and_close_see_each_other);
    tcase_add_test(race, test_first_access_and_close_see_each_other);
    tcase_add_test(race, test_sandbox_without_membarrier_is_noticed);
    tcase_add_test(race, test_close_does_not_wait_for_threads_that_ended);
    tcase_add_test(race, test_close_does_not_wait_for_itself);
    tcase_add_test(race, test_waiting_close_cannot_be_cancelled);
    tcase_add_test(
        race, test_close_in_a_child_does_not_wait_for_the_parents_threads);
    tcase_add_test(race, test_segment_of_a_pointer_beside_a_close);
    tcase_add_test(race, test_string_is_copied_beside_a_close);
    tcase_add_test(race, test_first_access_never_overlaps_a_close);
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
