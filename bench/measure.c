/*
 * measure.c: see measure.h.
 *
 * Each implementation has a process, which waits for requests: calibrate, that
 * is find the loops that fill a round; or run a round.  In each round every
 * implementation works once, one at a time, starting with another one every
 * time, so that a slow minute of the machine hits all of them.  The ratio is
 * the median of the ratios within each round.
 */

#include "measure.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct request {
    double target_ns; /* calibrate for rounds of this length, if not 0 */
    size_t loops;     /* else do these */
};

struct answer {
    char absent[ABSENT_MAX];
    size_t loops;
    double figures[BENCH_FIGURES];
};

struct worker {
    pid_t pid;
    int socket;
};

/* --- In the implementation's process --- */

static struct answer answer; /* to the last request */

void
bench_absent(const char *why)
{
    snprintf(answer.absent, sizeof answer.absent, "%s", why);
}

struct job {
    const struct bench_impl *impl;
    const struct bench_work *work;
    size_t loops;
};

static void
job_run(void *arg)
{
    const struct job *job = arg;

    job->impl->run(job->work, job->loops);
}

static double
time_run(const struct bench_impl *impl, const struct bench_work *work,
         size_t loops)
{
    struct job job = {impl, work, loops};
    double start = bench_now();

    bench_threads(work->threads, job_run, &job);
    if (impl->finish != NULL)
        impl->finish();
    return bench_now() - start;
}

/* The time of the fastest of three: the others may have been interrupted. */
static double
time_least(const struct bench_impl *impl, const struct bench_work *work,
           size_t loops)
{
    double least = time_run(impl, work, loops);

    for (int i = 1; i < 3; i++)
        least = fmin(least, time_run(impl, work, loops));
    return least;
}

/* The loops that take about target nanoseconds; warms up, too. */
static size_t
calibrate(const struct bench_impl *impl, const struct bench_work *work,
          double target)
{
    size_t least = bench_quick ? 0 : impl->least_loops;
    size_t loops = least > 0 ? least : 1;
    double ns;

    while (time_run(impl, work, loops) < target / 2
           || (ns = time_least(impl, work, loops)) < target / 2)
        loops *= 2;
    if (ns > target * 2 || loops == least)
        return loops;
    return (size_t)((double)loops * target / ns) + 1;
}

static void
do_request(const struct bench_impl *impl, const struct bench_work *work,
           const struct request *request)
{
    if (impl->measure != NULL) {
        if (request->target_ns == 0)
            impl->measure(work, answer.figures);
    } else if (request->target_ns > 0) {
        answer.loops = calibrate(impl, work, request->target_ns);
    } else {
        answer.figures[0] = time_run(impl, work, request->loops)
                            / (double)request->loops / (double)work->blocks;
    }
}

static _Noreturn void
worker_main(const struct bench_impl *impl, struct bench_work work, int socket)
{
    struct request request;

    if (impl->threads != 0)
        work.threads = impl->threads;
    if (impl->begin != NULL)
        impl->begin(&work);
    while (write(socket, &answer, sizeof answer) == sizeof answer
           && read(socket, &request, sizeof request) == sizeof request)
        do_request(impl, &work, &request);
    _exit(EXIT_SUCCESS);
}

/* --- In the driver --- */

static struct worker workers[IMPLS_MAX];

/* The answer of worker i, who was asked something, or has begun. */
static void
worker_answer(const struct bench_group *group, size_t i)
{
    if (read(workers[i].socket, &answer, sizeof answer) == sizeof answer)
        return;
    fprintf(stderr, "bench: %s, %s: the process has died\n", group->name,
            group->impls[i].name);
    exit(EXIT_FAILURE);
}

static void
worker_ask(const struct bench_group *group, size_t i, double target_ns,
           size_t loops)
{
    struct request request = {target_ns, loops};

    if (write(workers[i].socket, &request, sizeof request) != sizeof request)
        bench_fail(group->impls[i].name);
    worker_answer(group, i);
}

static void
worker_start(const struct bench_group *group, size_t i)
{
    int sockets[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        bench_fail("socketpair");
    fflush(NULL);
    memset(&answer, 0, sizeof answer);
    workers[i].pid = fork();
    if (workers[i].pid < 0)
        bench_fail("fork");
    if (workers[i].pid == 0) {
        for (size_t j = 0; j < i; j++)
            close(workers[j].socket);
        close(sockets[0]);
        worker_main(&group->impls[i], group->work, sockets[1]);
    }
    close(sockets[1]);
    workers[i].socket = sockets[0];
    worker_answer(group, i);
}

/* It ends when its socket does. */
static void
worker_stop(size_t i)
{
    close(workers[i].socket);
    waitpid(workers[i].pid, NULL, 0);
}

static void
show_progress(const struct bench_case *c, const struct bench_group *group,
              size_t round, size_t rounds)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s: %.50s: round %zu of %zu", c->name,
                group->name, round + 1, rounds);
}

static void
hide_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

static void
begin_group(const struct bench_group *group, double target_ns,
            struct result *results)
{
    for (size_t i = 0; i < group->count; i++) {
        worker_start(group, i);
        memcpy(results[i].absent, answer.absent, sizeof answer.absent);
        if (*results[i].absent == '\0')
            worker_ask(group, i, target_ns, 0);
        results[i].loops = answer.loops;
    }
}

static void
do_round(const struct bench_group *group, size_t round, struct result *results)
{
    for (size_t n = 0; n < group->count; n++) {
        size_t i = (round + n) % group->count;

        if (*results[i].absent != '\0')
            continue;
        worker_ask(group, i, 0, results[i].loops);
        for (size_t f = 0; f < BENCH_FIGURES; f++)
            results[i].figures[f][round] = answer.figures[f];
    }
}

void
measure_group(const struct bench_case *c, const struct bench_group *group,
              const struct settings *s, struct result *results)
{
    if (group->count > IMPLS_MAX) {
        errno = E2BIG;
        bench_fail(group->name);
    }
    show_progress(c, group, 0, s->rounds);
    begin_group(group, s->round_ns * c->weight, results);
    for (size_t round = 0; round < s->rounds; round++) {
        show_progress(c, group, round, s->rounds);
        do_round(group, round, results);
    }
    for (size_t i = 0; i < group->count; i++)
        worker_stop(i);
    hide_progress();
}

/* --- Figures --- */

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double
bench_median(const double *values, size_t count)
{
    double sorted[ROUNDS_MAX];

    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    return count % 2 == 1
               ? sorted[count / 2]
               : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static double
least_of(const double *values, size_t count)
{
    double least = values[0];

    for (size_t i = 1; i < count; i++)
        least = fmin(least, values[i]);
    return least;
}

/* The median of the ratios by round; 0 if there is none, as where the other
 * figure is 0 (of failures, say). */
static double
ratio_of(const double *values, const double *others, size_t rounds)
{
    double ratios[ROUNDS_MAX], ratio;

    for (size_t round = 0; round < rounds; round++)
        ratios[round] = values[round] / others[round];
    ratio = bench_median(ratios, rounds);
    return isfinite(ratio) ? ratio : 0;
}

/* The best peer; group->count: there is none. */
static size_t
best_peer(const struct bench_group *group, const struct result *results)
{
    size_t best = group->count;

    for (size_t i = 0; i < group->count; i++) {
        if (group->impls[i].role != BENCH_PEER || *results[i].absent != '\0')
            continue;
        if (best == group->count
            || (group->more ? results[i].median > results[best].median
                            : results[i].median < results[best].median))
            best = i;
    }
    return best;
}

/* The implementation of that name that was measured, or group->count. */
static size_t
find(const struct bench_group *group, const struct result *results,
     const char *name)
{
    size_t i = 0;

    while (i < group->count
           && (strcmp(group->impls[i].name, name) != 0
               || *results[i].absent != '\0'))
        i++;
    return i;
}

static void
judge(const struct bench_group *group, size_t rounds, struct result *results,
      size_t i, size_t t)
{
    const struct bench_target *target = &group->impls[i].targets[t];
    struct result *r = &results[i];
    double figure = r->median, limit = target->factor;

    r->against[t] = 0;
    r->verdicts[t] = target->factor == 0 || bench_quick ? NO_TARGET : UNKNOWN;
    if (r->verdicts[t] == NO_TARGET || *r->absent != '\0')
        return;
    if (target->against != NULL) {
        size_t other = find(group, results, target->against);

        if (other == group->count)
            return;
        r->against[t] =
            ratio_of(r->figures[group->figure],
                     results[other].figures[group->figure], rounds);
        /* Both figures can be 0, which have no ratio. */
        if (r->against[t] > 0)
            figure = r->against[t];
        else
            limit *= results[other].median;
    }
    r->verdicts[t] =
        (group->more ? figure >= limit : figure <= limit) ? HELD : MISSED;
}

void
measure_compute(const struct bench_group *group, size_t rounds,
                struct result *results)
{
    size_t best;

    for (size_t i = 0; i < group->count; i++) {
        struct result *r = &results[i];

        if (*r->absent != '\0')
            continue;
        r->median = bench_median(r->figures[group->figure], rounds);
        r->least = least_of(r->figures[group->figure], rounds);
    }
    best = best_peer(group, results);
    for (size_t i = 0; i < group->count; i++) {
        struct result *r = &results[i];

        r->ratio = 0;
        r->best = "";
        if (best < group->count && *r->absent == '\0') {
            r->ratio = ratio_of(r->figures[group->figure],
                                results[best].figures[group->figure], rounds);
            r->best = group->impls[best].name;
        }
        for (size_t t = 0; t < BENCH_TARGETS; t++)
            judge(group, rounds, results, i, t);
    }
}
