/*
 * case_segment.c: adding up 4 KiB of numbers through a segment, per number,
 * beside the same through a pointer; and a segment's whole life.
 */

/* What loops cost is the question, so let the compiler work at them. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

#include <stdint.h>

#include <arena.h>
#include <arena/segment.h>

#include "bench.h"

#define NUMBERS 1024
#define BYTES (NUMBERS * sizeof(int32_t))

static arena_t *confined, *shared;
static arena_segment_t of_confined, of_shared;

static void
use(int64_t sum)
{
    __asm__ volatile("" : : "r"(sum) : "memory");
}

static void
begin(const struct bench_work *work)
{
    (void)work;
    confined = bench_need(arena_confined(), "arena_confined");
    shared = bench_need(arena_shared(), "arena_shared");
    if (arena_segment(confined, BYTES, 4, &of_confined) != 0
        || arena_segment(shared, BYTES, 4, &of_shared) != 0)
        bench_fail("arena_segment");
}

/* --- The compiler sees the bounds --- */

static int64_t
sum_seen(arena_segment_t segment)
{
    int64_t sum = 0;
    int32_t number;

    segment.size = BYTES;
    for (size_t i = 0; i < NUMBERS; i++) {
        if (arena_get_i32_at(&segment, i, &number) != 0)
            return -1;
        sum += number;
    }
    return sum;
}

static void
run_seen(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0)
        use(sum_seen(of_confined));
}

static void
run_pointer(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        const int32_t *numbers = of_confined.addr;
        int64_t sum = 0;

        for (size_t i = 0; i < NUMBERS; i++)
            sum += numbers[i];
        use(sum);
    }
}

/* --- It does not --- */

static __attribute__((noinline)) int64_t
sum_unseen(const arena_segment_t *segment, size_t count)
{
    int64_t sum = 0;
    int32_t number;

    for (size_t i = 0; i < count; i++) {
        if (arena_get_i32_at(segment, i, &number) != 0)
            return -1;
        sum += number;
    }
    return sum;
}

static void
run_unseen(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0)
        use(sum_unseen(&of_confined, NUMBERS));
}

static void
run_shared(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0)
        use(sum_unseen(&of_shared, NUMBERS));
}

/* --- A whole life --- */

static void
run_life(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        arena_t *arena = bench_need(arena_confined(), "arena_confined");
        arena_segment_t s;

        if (arena_segment(arena, work->size, 8, &s) != 0)
            bench_fail("arena_segment");
        arena_close(arena);
    }
}

static const struct bench_impl sum[] = {
    {"libarena, bounds seen", BENCH_OURS, begin, .run = run_seen},
    {"libarena, bounds not seen", BENCH_OURS, begin, .run = run_unseen},
    {"libarena, shared", BENCH_OURS, begin, .run = run_shared},
    {"pointer, not checked", BENCH_PEER, begin, .run = run_pointer},
};

static const struct bench_impl life[] = {
    {"libarena confined", BENCH_OURS, .run = run_life},
};

static const struct bench_group groups[] = {
    {"4 KiB of numbers added up, each", .work = {NUMBERS, 4, 1},
     BENCH_IMPLS(sum)},
    {"open, segment of 64 bytes, close", .work = {1, 64, 1},
     BENCH_IMPLS(life)},
};

const struct bench_case case_segment = {
    .name = "segment",
    .title = "checked access to memory",
    .weight = 1,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
