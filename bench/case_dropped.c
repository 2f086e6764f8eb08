/*
 * case_dropped.c: 64 threads that drop blocks of 1 MiB, where eight fit.
 */

#include "bench.h"
#include "limits.h"
#include "peer_java.h"

#define SIZE ((size_t)1 << 20)
#define FIT 8

static void
measure(const struct bench_work *work, const struct limits_way *way,
        double figures[BENCH_FIGURES])
{
    struct limits_seen seen = limits_contend(work, way, 0, limits_length_ns());

    figures[0] = (double)seen.failures;
    figures[1] = seen.ns / 1e3 / (double)seen.taken;
}

#define WAY(name)                                                             \
    static void begin_##name(const struct bench_work *work)                   \
    {                                                                         \
        limits_set(&limits_##name, FIT, work->size);                          \
    }                                                                         \
                                                                              \
    static void measure_##name(const struct bench_work *work,                 \
                               double figures[BENCH_FIGURES])                 \
    {                                                                         \
        measure(work, &limits_##name, figures);                               \
    }

WAY(buffer)
WAY(auto)

static void
begin_java(const struct bench_work *work)
{
    peer_java_begin_buffers(FIT * work->size);
}

static void
measure_java(const struct bench_work *work, double figures[BENCH_FIGURES])
{
    peer_java_contend("dropped", work, limits_length_ns(), figures);
}

/* Of whole numbers, none. */
#define NONE 0.5

#define BUFFER "libarena direct buffer"
#define AUTO "libarena auto"
#define JDK "JDK allocateDirect"

static const struct bench_impl failures[] = {
    {BUFFER, BENCH_OURS, begin_buffer, .measure = measure_buffer,
     .targets = {{1, JDK}, {NONE, NULL}}},
    {AUTO, BENCH_OURS, begin_auto, .measure = measure_auto,
     .targets = {{1, JDK}, {NONE, NULL}}},
    {JDK, BENCH_PEER, begin_java, .measure = measure_java},
};

static const struct bench_impl each[] = {
    {BUFFER, .role = BENCH_OURS},
    {AUTO, .role = BENCH_OURS},
    {JDK, .role = BENCH_PEER},
};

static const struct bench_group groups[] = {
    {"failures in 1 s", .unit = "failures", .work = {1, SIZE, 64},
     BENCH_IMPLS(failures)},
    {"a block, of all threads together", .unit = "us", .figure = 1,
     BENCH_IMPLS(each)},
};

const struct bench_case case_dropped = {
    .name = "dropped",
    .title = "64 threads that drop blocks of 1 MiB; limit of eight",
    .weight = 1,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
