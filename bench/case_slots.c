/*
 * case_slots.c: 64 threads on a limit of eight blocks of 1 MiB, each of which
 * they hold for 1 ms and give back.  A bare semaphore that is handed to the
 * first in the queue, without any memory, is the best that can be done.
 *
 * Who sleeps for 1 ms wakes up later than that, by what the machine takes to
 * wake a thread that is alone.  That is no limit's doing: so the whole, of
 * which a share was served, is what the slots allow with holds of that length.
 */

#include <pthread.h>
#include <semaphore.h>

#include "bench.h"
#include "limits.h"
#include "peer_java.h"

#define SIZE ((size_t)1 << 20)
#define SLOTS 8
#define HOLD_NS 1e6

/* --- By hand --- */

struct waiter {
    struct waiter *next;
    sem_t served;
};

static struct {
    pthread_mutex_t lock;
    size_t free;
    struct waiter *first, **last;
} semaphore = {PTHREAD_MUTEX_INITIALIZER, SLOTS, NULL, &semaphore.first};

static void *
take_semaphore(size_t size)
{
    struct waiter self = {.next = NULL};
    bool wait;

    (void)size;
    pthread_mutex_lock(&semaphore.lock);
    wait = semaphore.free == 0;
    if (wait) {
        sem_init(&self.served, 0, 0);
        *semaphore.last = &self;
        semaphore.last = &self.next;
    } else {
        semaphore.free--;
    }
    pthread_mutex_unlock(&semaphore.lock);
    if (wait) {
        while (sem_wait(&self.served) != 0)
            continue;
        sem_destroy(&self.served);
    }
    return &semaphore;
}

static void
give_semaphore(void *taken)
{
    struct waiter *first;

    (void)taken;
    pthread_mutex_lock(&semaphore.lock);
    first = semaphore.first;
    if (first == NULL) {
        semaphore.free++;
    } else {
        semaphore.first = first->next;
        if (semaphore.first == NULL)
            semaphore.last = &semaphore.first;
    }
    pthread_mutex_unlock(&semaphore.lock);
    if (first != NULL)
        sem_post(&first->served);
}

static const struct limits_way by_semaphore = {take_semaphore, give_semaphore};

/* --- Measuring --- */

/* The last is found from what the JDK gives. */
enum { SERVED, WORST, NOMINAL };

/* The hold of a thread that is alone, as a multiple of what it asks for. */
static double
hold_stretch(void)
{
    return limits_hold_alone_ns(HOLD_NS) / HOLD_NS;
}

static void
measure(const struct bench_work *work, const struct limits_way *way,
        double figures[BENCH_FIGURES])
{
    double hold = hold_stretch();
    struct limits_seen seen =
        limits_contend(work, way, HOLD_NS, limits_length_ns());

    figures[NOMINAL] = 100 * (double)seen.taken * HOLD_NS / (seen.ns * SLOTS);
    figures[SERVED] = figures[NOMINAL] * hold;
    figures[WORST] = seen.worst_ns / 1e6;
}

static void
begin_arena(const struct bench_work *work)
{
    limits_set(&limits_shared, SLOTS, work->size);
}

static void
measure_arena(const struct bench_work *work, double figures[BENCH_FIGURES])
{
    measure(work, &limits_shared, figures);
}

static void
measure_uninit(const struct bench_work *work, double figures[BENCH_FIGURES])
{
    measure(work, &limits_shared_uninit, figures);
}

static void
measure_semaphore(const struct bench_work *work, double figures[BENCH_FIGURES])
{
    measure(work, &by_semaphore, figures);
}

static void
begin_java(const struct bench_work *work)
{
    peer_java_begin_buffers(SLOTS * work->size);
}

static void
measure_java(const struct bench_work *work, double figures[BENCH_FIGURES])
{
    double hold = hold_stretch();

    peer_java_contend("slots", work, limits_length_ns(), figures);
    figures[NOMINAL] = figures[SERVED];
    figures[SERVED] *= hold;
}

#define OURS "libarena shared"
#define UNINIT "libarena shared, not cleared"
#define JDK "JDK allocateDirect, invokeCleaner"
#define SEMAPHORE "hand-off semaphore"

static const struct bench_impl use[] = {
    {OURS, BENCH_OURS, begin_arena, .measure = measure_arena,
     .targets = {{93, NULL}}},
    {UNINIT, BENCH_OURS, begin_arena, .measure = measure_uninit},
    {JDK, BENCH_PEER, begin_java, .measure = measure_java},
    {SEMAPHORE, BENCH_REFERENCE, .measure = measure_semaphore},
};

static const struct bench_impl nominal[] = {
    {OURS, .role = BENCH_OURS},
    {UNINIT, .role = BENCH_OURS},
    {JDK, .role = BENCH_PEER},
    {SEMAPHORE, .role = BENCH_REFERENCE},
};

static const struct bench_impl wait[] = {
    {OURS, BENCH_OURS, .targets = {{100, NULL}}},
    {UNINIT, .role = BENCH_OURS},
    {JDK, .role = BENCH_PEER},
    {SEMAPHORE, .role = BENCH_REFERENCE},
};

static const struct bench_group groups[] = {
    {"blocks served, of those that slots / hold allows", .unit = "%",
     .more = true, .work = {1, SIZE, 64}, BENCH_IMPLS(use)},
    {"the same, were no hold longer than 1 ms", .unit = "%",
     .more = true, .figure = NOMINAL, BENCH_IMPLS(nominal)},
    {"worst wait for a block", .unit = "ms", .figure = WORST, BENCH_IMPLS(wait)},
};

const struct bench_case case_slots = {
    .name = "slots",
    .title = "64 threads on 8 slots of 1 MiB, held 1 ms, closed by hand",
    .weight = 1,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
