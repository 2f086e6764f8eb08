/*
 * case_limit.c: blocks of 1 MiB that are dropped at once, where four fit.
 */

#include <arena.h>
#include <arena/budget.h>

#include "bench.h"
#include "limits.h"
#include "peer_java.h"

#define SIZE ((size_t)1 << 20)
#define FIT 4

static __attribute__((noinline)) void
take(const struct limits_way *way)
{
    bench_need(way->take(SIZE), "a block");
}

static void
drop(const struct limits_way *way, size_t loops)
{
    while (loops-- > 0) {
        take(way);
        bench_scrub();
    }
}

#define WAY(name)                                                             \
    static void begin_##name(const struct bench_work *work)                   \
    {                                                                         \
        (void)work;                                                           \
        limits_set(&limits_##name, FIT, SIZE);                                \
    }                                                                         \
                                                                              \
    static void run_##name(const struct bench_work *work, size_t loops)       \
    {                                                                         \
        (void)work;                                                           \
        drop(&limits_##name, loops);                                          \
    }

WAY(buffer)
WAY(auto)
WAY(implicit)

static void
begin_java(const struct bench_work *work)
{
    (void)work;
    peer_java_begin_buffers(FIT * SIZE);
}

static const struct bench_impl impls[] = {
    {"libarena direct buffer", BENCH_OURS, begin_buffer, .run = run_buffer,
     .targets = {{0.5, "JDK allocateDirect"}}},
    {"libarena auto", BENCH_OURS, begin_auto, .run = run_auto,
     .targets = {{0.5, "JDK allocateDirect"}}},
    {"libarena implicit", BENCH_OURS, begin_implicit, .run = run_implicit,
     .targets = {{0.5, "JDK allocateDirect"}}},
    {"JDK allocateDirect", BENCH_PEER, begin_java, .run = peer_java_drop,
     .least_loops = 100},
};

static const struct bench_group groups[] = {
    {"each", .work = {1, SIZE, 1}, BENCH_IMPLS(impls)},
};

const struct bench_case case_limit = {
    .name = "limit",
    .title = "blocks of 1 MiB, zero-filled, dropped at once; limit of four",
    .weight = 10,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
