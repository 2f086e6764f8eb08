/*
 * case_phantom.c: being told of the death of a block.
 *
 * Each loop makes a block, has its death told, and drops it; a round ends
 * with a full collection, and counts what was told, so that the whole of it
 * is paid for.  The collector's finalizer without order tells the same, and
 * brings the block back for one collection more; its long link alone is the
 * least that can be done, and tells nobody: somebody has to look.
 */

#include <arena.h>
#include <arena/budget.h>
#include <arena/phantom.h>

#include "bench.h"
#include "peer_libgc.h"

static arena_queue_t *queue;

static void
begin(const struct bench_work *work)
{
    (void)work;
    queue = bench_need(arena_queue_new(), "arena_queue_new");
}

static void
run_phantom(const struct bench_work *work, size_t loops)
{
    arena_phantom_t *phantom;

    while (loops-- > 0) {
        void *block = arena_alloc(NULL, work->size);

        bench_touch(block);
        bench_need(arena_phantom_new(block, queue, NULL), "arena_phantom_new");
    }
    arena_collect();
    while ((phantom = arena_queue_poll(queue)) != NULL)
        arena_phantom_free(phantom);
}

static size_t told;

static void
tell(void *arg)
{
    (void)arg;
    told++;
}

static void
run_cleaner(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        void *block = arena_alloc(NULL, work->size);

        bench_touch(block);
        bench_need(arena_cleaner_register(block, tell, NULL),
                   "arena_cleaner_register");
    }
}

static void
run_cleaner_by_hand(const struct bench_work *work, size_t loops)
{
    while (loops-- > 0) {
        void *block = arena_alloc(NULL, work->size);

        bench_touch(block);
        arena_clean(bench_need(arena_cleaner_register(block, tell, NULL),
                               "arena_cleaner_register"));
    }
}

static const struct bench_impl dead[] = {
    {"libarena phantom and queue", BENCH_OURS, begin, .run = run_phantom},
    {"libarena cleaner", BENCH_OURS, .run = run_cleaner,
     .finish = arena_collect},
    {"libgc finalizer, no order", BENCH_PEER, peer_libgc_begin,
     peer_libgc_run_finalizer, .finish = peer_libgc_collect_twice},
    {"libgc long link alone", BENCH_REFERENCE, peer_libgc_begin,
     .run = peer_libgc_run_link},
};

static const struct bench_impl by_hand[] = {
    {"libarena cleaner, arena_clean", BENCH_OURS, .run = run_cleaner_by_hand,
     .finish = arena_collect},
    {"libgc finalizer, no order, undone", BENCH_PEER, peer_libgc_begin,
     peer_libgc_run_finalizer_undone, .finish = peer_libgc_collect},
};

static const struct bench_group groups[] = {
    {"a block of 64 bytes dies, and that is told", .work = {1, 64, 1},
     BENCH_IMPLS(dead)},
    {"the same, told by hand before", .work = {1, 64, 1},
     BENCH_IMPLS(by_hand)},
};

const struct bench_case case_phantom = {
    .name = "phantom",
    .title = "being told of a death; per block, its making and collections "
             "included",
    .weight = 4,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
