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

#define SIZE 64

_Static_assert(SIZE == PEER_BLOCK, "the same work");

static arena_queue_t *queue;

static void
begin(void)
{
    queue = bench_need(arena_queue_new(), "arena_queue_new");
}

static void
end(void)
{
    arena_queue_free(queue);
}

static void
run_phantom(size_t loops)
{
    arena_phantom_t *phantom;

    while (loops-- > 0) {
        void *block = arena_alloc(NULL, SIZE);

        bench_touch(block);
        bench_need(arena_phantom_new(block, queue, NULL),
                   "arena_phantom_new");
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
run_cleaner(size_t loops)
{
    while (loops-- > 0) {
        void *block = arena_alloc(NULL, SIZE);

        bench_touch(block);
        bench_need(arena_cleaner_register(block, tell, NULL),
                   "arena_cleaner_register");
    }
    arena_collect();
}

static void
run_cleaner_by_hand(size_t loops)
{
    while (loops-- > 0) {
        void *block = arena_alloc(NULL, SIZE);

        bench_touch(block);
        arena_clean(bench_need(arena_cleaner_register(block, tell, NULL),
                               "arena_cleaner_register"));
    }
    arena_collect();
}

static const char dead[] = "a block of 64 bytes dies, and that is told";
static const char by_hand[] = "the same, told by hand before";

static const struct bench_impl impls[] = {
    {"libarena phantom and queue", dead, BENCH_OURS, 1, begin, run_phantom,
     end},
    {"libarena cleaner", dead, BENCH_OURS, 1, NULL, run_cleaner, NULL},
    {"libgc finalizer, no order", dead, BENCH_PEER, 1, peer_libgc_begin,
     peer_libgc_run_finalizer, NULL},
    {"libgc long link alone", dead, BENCH_REFERENCE, 1, peer_libgc_begin,
     peer_libgc_run_link, peer_libgc_end_link},
    {"libarena cleaner, arena_clean", by_hand, BENCH_OURS, 1, NULL,
     run_cleaner_by_hand, NULL},
    {"libgc finalizer, no order, undone", by_hand, BENCH_PEER, 1,
     peer_libgc_begin, peer_libgc_run_finalizer_undone, NULL},
};

const struct bench_case case_phantom = {
    .name = "phantom",
    .title = "being told of a death; per block, its making and collections "
             "included",
    .weight = 5,
    .impls = impls,
    .count = BENCH_COUNT(impls),
};
