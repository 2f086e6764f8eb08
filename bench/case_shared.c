/*
 * case_shared.c: blocks of 32 bytes in shared arenas, one thread and two.
 *
 * With two threads the figures are per block of one thread, in wall time: with
 * two free processors they equal those of one thread if nothing is in the way.
 * What confined arenas take, which threads share nothing of, is what two
 * threads at once cost on the machine.
 */

#include <sched.h>
#include <stdatomic.h>

#include <arena.h>

#include "bench.h"
#include "peer_java.h"
#include "peers.h"
#include "pools.h"

/* What a block of a thread may take if two do 1.8 times as much as one. */
#define TWO_THREADS (2 / 1.8)

/* --- All threads in one arena --- */

/* The threads meet without going to sleep: to be woken would take as long as
 * all the blocks.  They yield now and then, if there is no processor for
 * each. */
#define SPINS 1000

static struct {
    _Atomic size_t here;
    _Atomic size_t meetings;
} meeting;

static arena_t *common;

/* Wait until all threads are here.  True in the one that came last. */
static bool
meet(const struct bench_work *work)
{
    size_t meetings = atomic_load(&meeting.meetings);

    if (atomic_fetch_add(&meeting.here, 1) + 1 == work->threads) {
        atomic_store(&meeting.here, 0);
        atomic_store(&meeting.meetings, meetings + 1);
        return true;
    }
    for (int i = 1; atomic_load(&meeting.meetings) == meetings; i++)
        if (i % SPINS == 0)
            sched_yield();
    return false;
}

/* One of the threads opens the arena, and one closes it when all are done
 * with it. */
static void
run_common(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        if (meet(work))
            common = bench_need(arena_shared(), "arena_shared");
        meet(work);
        for (size_t i = 0; i < work->blocks; i++)
            bench_touch(arena_alloc_uninit(common, work->size));
        if (meet(work))
            arena_close(common);
    }
}

/* The same work, meetings included, with something of each thread's own. */
static void
run_apart(const struct bench_work *work, size_t loops,
          void (*run)(const struct bench_work *work, size_t loops))
{
    while (loops-- > 0) {
        meet(work);
        meet(work);
        run(work, 1);
        meet(work);
    }
}

static void
run_confined_apart(const struct bench_work *work, size_t loops)
{
    run_apart(work, loops, pool_confined);
}

static void
run_malloc_apart(const struct bench_work *work, size_t loops)
{
    run_apart(work, loops, pool_malloc);
}

static void
run_nothing(const struct bench_work *work, size_t loops)
{
    (void)work;
    (void)loops;
}

static void
run_meetings(const struct bench_work *work, size_t loops)
{
    run_apart(work, loops, run_nothing);
}

/* --- The case --- */

static const struct bench_impl one[] = {
    {"libarena shared", BENCH_OURS, .run = pool_shared,
     .targets = {{1.5, "libarena confined"}}},
    {"libarena confined", BENCH_REFERENCE, .run = pool_confined},
    {"mimalloc mi_malloc, mi_free", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mimalloc},
    {"jemalloc malloc, free", BENCH_PEER, peer_jemalloc_begin,
     .run = pool_jemalloc},
    {"glibc malloc, free", BENCH_PEER, .run = pool_malloc},
};

static const struct bench_impl one_zeroed[] = {
    {"libarena shared", BENCH_OURS, .run = pool_shared_zeroed,
     .targets = {{1.5, "libarena confined"}}},
    {"libarena confined", BENCH_REFERENCE, .run = pool_confined_zeroed},
    {"mimalloc mi_zalloc, mi_free", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mimalloc_zeroed},
    {"jemalloc calloc, free", BENCH_PEER, peer_jemalloc_begin,
     .run = pool_jemalloc_zeroed},
    {"glibc calloc, free", BENCH_PEER, .run = pool_malloc_zeroed},
    {"JDK shared", BENCH_PEER, peer_java_begin_arenas,
     .run = peer_java_shared},
};

static const struct bench_impl two[] = {
    {"libarena shared", BENCH_OURS, .run = pool_shared,
     .targets = {{TWO_THREADS, "libarena shared, 1 thread"}}},
    {"libarena shared, 1 thread", BENCH_REFERENCE, .run = pool_shared,
     .threads = 1},
    {"libarena confined", BENCH_REFERENCE, .run = pool_confined},
    {"libarena confined, 1 thread", BENCH_REFERENCE, .run = pool_confined,
     .threads = 1},
    {"mimalloc mi_malloc, mi_free", BENCH_PEER, peer_mimalloc_begin,
     .run = pool_mimalloc},
    {"jemalloc malloc, free", BENCH_PEER, peer_jemalloc_begin,
     .run = pool_jemalloc},
    {"glibc malloc, free", BENCH_PEER, .run = pool_malloc},
};

static const struct bench_impl both[] = {
    {"libarena shared", BENCH_OURS, .run = run_common,
     .targets = {{TWO_THREADS, "libarena shared, 1 thread"}}},
    {"libarena shared, 1 thread", BENCH_REFERENCE, .run = run_common,
     .threads = 1},
    {"libarena confined, one each", BENCH_REFERENCE,
     .run = run_confined_apart},
    {"libarena confined, 1 thread", BENCH_REFERENCE,
     .run = run_confined_apart, .threads = 1},
    {"the threads' meetings alone", BENCH_REFERENCE, .run = run_meetings},
    {"glibc malloc, free", BENCH_PEER, .run = run_malloc_apart},
};

static const struct bench_group groups[] = {
    {"1 thread, contents not defined", .work = {100, 32, 1}, BENCH_IMPLS(one)},
    {"1 thread, zero-filled", .work = {100, 32, 1}, BENCH_IMPLS(one_zeroed)},
    {"2 threads, an arena each", .work = {100, 32, 2}, BENCH_IMPLS(two)},
    {"2 threads in one arena, 10000 blocks each", .work = {10000, 32, 2},
     BENCH_IMPLS(both)},
};

const struct bench_case case_shared = {
    .name = "shared",
    .title = "100 blocks of 32 bytes per shared arena; per block of a thread",
    .weight = 1,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
