/* check_stress.c: all kinds of memory by many threads at once, while one of
 * them collects without a pause.
 *
 * ARENA_TEST_SECONDS sets how long it takes (10 s). */

#include <arena/heap.h>

#include "gc_harness.h"

#define THREADS 8
#define SECONDS 10.0
#define SLOTS 48
#define POOL_SIZE 16
#define GLOBAL_MOST 200 /* blocks of each thread: they are never freed */

/* --- What a thread holds --- */

enum holding {
    HOLD_NOTHING,
    HOLD_AUTO,     /* blocks of an auto arena, by one pointer into one */
    HOLD_CONFINED, /* a confined arena */
    HOLD_IMPLICIT, /* a block */
    HOLD_HEAP,     /* a block of arena_malloc */
    HOLD_GLOBAL,   /* a block */
    HOLDINGS
};

#define BLOCKS 6

/* Lies on the stack of its thread.  Of an auto arena only one block's middle
 * is there; where the others begin is hidden. */
struct slot {
    enum holding holding;
    arena_t *arena;        /* confined only */
    char *volatile inside; /* what keeps the rest */
    uintptr_t hidden[BLOCKS];
    size_t size[BLOCKS];
    size_t blocks;
    uint64_t seed;
};

struct stress {
    uint64_t end;
    atomic_size_t refused; /* calls that failed */
    atomic_size_t dirty;   /* blocks that were not zero */
    atomic_size_t damaged; /* blocks that have changed */
    atomic_size_t actions_due, actions_run;
    atomic_size_t rounds, collections;
    struct {
        pthread_mutex_t lock;
        arena_t *arena;
    } pool[POOL_SIZE]; /* shared arenas that all threads use */
};

struct worker {
    struct stress *stress;
    uint64_t random;
    uint64_t next_seed;
    size_t globals;
    struct slot slots[SLOTS];
};

static void
count(atomic_size_t *counter, bool yes)
{
    if (yes)
        atomic_fetch_add(counter, 1);
}

static void
note_action(void *arg)
{
    atomic_fetch_add((atomic_size_t *)arg, 1);
}

static size_t
random_size(uint64_t *state)
{
    size_t dice = random_below(state, 1000);

    if (dice < 800)
        return 1 + random_below(state, 400);
    if (dice < 990)
        return 1 + random_below(state, 8000);
    return 1 + random_below(state, 300 * KIB);
}

/* --- Taking --- */

/* Book a block of the slot, zeroed or not, and fill it. */
static void
slot_add(struct worker *worker, struct slot *slot, char *block, size_t size,
         bool zeroed)
{
    struct stress *stress = worker->stress;

    count(&stress->refused, block == NULL);
    if (block == NULL)
        return;
    count(&stress->dirty, zeroed && !block_is_zero(block, size));
    fill_block(block, size, slot->seed + slot->blocks);
    slot->hidden[slot->blocks] = hide(block);
    slot->size[slot->blocks] = size;
    slot->blocks++;
    slot->inside = block + size / 2;
}

static void
take_arena(struct worker *worker, struct slot *slot, arena_t *arena)
{
    struct stress *stress = worker->stress;
    size_t blocks = 1 + random_below(&worker->random, BLOCKS);

    count(&stress->refused, arena == NULL);
    if (arena == NULL)
        return;
    for (size_t i = 0; i < blocks; i++) {
        size_t size = random_size(&worker->random);

        slot_add(worker, slot, arena_alloc(arena, size), size, true);
    }
    if (random_below(&worker->random, 4) == 0) {
        atomic_fetch_add(&stress->actions_due, 1);
        count(&stress->refused,
              arena_on_close(arena, note_action, &stress->actions_run) != 0);
    }
    arena_keep_alive(arena);
}

static void
slot_take(struct worker *worker, struct slot *slot)
{
    size_t size = random_size(&worker->random);

    slot->holding = 1 + (enum holding)random_below(&worker->random,
                                                   HOLDINGS - 1);
    slot->blocks = 0;
    slot->seed = worker->next_seed;
    worker->next_seed += BLOCKS;
    if (slot->holding == HOLD_GLOBAL && worker->globals++ >= GLOBAL_MOST)
        slot->holding = HOLD_IMPLICIT;
    if (slot->holding == HOLD_AUTO) {
        take_arena(worker, slot, arena_auto());
    } else if (slot->holding == HOLD_CONFINED) {
        slot->arena = arena_confined();
        take_arena(worker, slot, slot->arena);
    } else if (slot->holding == HOLD_IMPLICIT) {
        slot_add(worker, slot, arena_alloc(NULL, size), size, true);
    } else if (slot->holding == HOLD_HEAP) {
        slot_add(worker, slot, arena_malloc(size), size, false);
    } else {
        size = size % 100 + 1;
        slot_add(worker, slot, arena_alloc(arena_global(), size), size, true);
    }
}

/* --- Letting go --- */

static void
slot_verify(struct worker *worker, const struct slot *slot)
{
    for (size_t i = 0; i < slot->blocks; i++)
        count(&worker->stress->damaged,
              !block_holds(reveal(slot->hidden[i]), slot->size[i],
                           slot->seed + i));
}

static void
free_by_hand(struct worker *worker, struct slot *slot)
{
    errno = 0;
    arena_free(reveal(slot->hidden[0]));
    count(&worker->stress->refused, errno != 0);
}

static void
slot_let_go(struct worker *worker, struct slot *slot)
{
    slot_verify(worker, slot);
    if (slot->holding == HOLD_CONFINED && slot->arena != NULL)
        count(&worker->stress->refused, arena_close(slot->arena) != 0);
    else if (slot->holding == HOLD_HEAP && slot->blocks == 1)
        free_by_hand(worker, slot);
    else if (slot->holding == HOLD_IMPLICIT && slot->blocks == 1
             && random_below(&worker->random, 2) == 0)
        free_by_hand(worker, slot);
    slot->holding = HOLD_NOTHING;
    slot->inside = NULL;
    slot->arena = NULL;
    slot->blocks = 0;
}

/* Make a block of arena_malloc larger or smaller. */
static void
slot_reallocate(struct worker *worker, struct slot *slot)
{
    size_t size = random_size(&worker->random);
    size_t kept = size < slot->size[0] ? size : slot->size[0];
    char *block = arena_realloc(reveal(slot->hidden[0]), size);

    count(&worker->stress->refused, block == NULL);
    if (block == NULL)
        return;
    slot->inside = block;
    slot->hidden[0] = hide(block);
    count(&worker->stress->damaged,
          kept >= sizeof(uint64_t)
              && !block_holds(block, kept - kept % sizeof(uint64_t),
                              slot->seed));
    slot->size[0] = size;
    fill_block(block, size, slot->seed);
}

/* --- Shared arenas --- */

/* Use an arena of the pool, which others use and close. */
static void
pool_use(struct worker *worker)
{
    struct stress *stress = worker->stress;
    size_t which = random_below(&worker->random, POOL_SIZE);
    size_t size = random_size(&worker->random);
    arena_t *arena;
    char *block;

    pthread_mutex_lock(&stress->pool[which].lock);
    arena = stress->pool[which].arena;
    count(&stress->refused, arena_acquire(arena) != 0);
    pthread_mutex_unlock(&stress->pool[which].lock);
    block = arena_alloc(arena, size);
    count(&stress->refused, block == NULL);
    if (block != NULL) {
        count(&stress->dirty, !block_is_zero(block, size));
        fill_block(block, size, worker->next_seed);
        arena_keep_alive(arena_alloc(arena, 10));
        count(&stress->damaged,
              !block_holds(block, size, worker->next_seed));
    }
    count(&stress->refused, arena_release(arena) != 0);
}

/* Close an arena of the pool, when nobody is in it, and put another there. */
static void
pool_renew(struct worker *worker)
{
    struct stress *stress = worker->stress;
    size_t which = random_below(&worker->random, POOL_SIZE);
    arena_t *renewed = arena_shared();
    arena_t *old;

    count(&stress->refused, renewed == NULL);
    if (renewed == NULL)
        return;
    atomic_fetch_add(&stress->actions_due, 1);
    count(&stress->refused,
          arena_on_close(renewed, note_action, &stress->actions_run) != 0);
    pthread_mutex_lock(&stress->pool[which].lock);
    old = stress->pool[which].arena;
    stress->pool[which].arena = renewed;
    pthread_mutex_unlock(&stress->pool[which].lock);
    count(&stress->refused, arena_close_wait(old, -1) != 0);
}

/* --- Threads --- */

static void
work_once(struct worker *worker)
{
    struct slot *slot = &worker->slots[random_below(&worker->random, SLOTS)];
    size_t dice = random_below(&worker->random, 20);

    if (dice == 0)
        pool_renew(worker);
    else if (dice < 5)
        pool_use(worker);
    else if (slot->holding == HOLD_NOTHING)
        slot_take(worker, slot);
    else if (slot->holding == HOLD_HEAP && slot->blocks == 1 && dice < 10)
        slot_reallocate(worker, slot);
    else if (dice < 12)
        slot_verify(worker, slot);
    else
        slot_let_go(worker, slot);
}

static void
work_until_end(struct stress *stress, size_t index)
{
    struct worker worker = {.stress = stress, .random = index + 1,
                            .next_seed = index << 40};

    while (clock_ns() < stress->end) {
        for (size_t i = 0; i < 50; i++)
            work_once(&worker);
        atomic_fetch_add(&stress->rounds, 1);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (worker.slots[i].holding != HOLD_NOTHING)
            slot_let_go(&worker, &worker.slots[i]);
    }
}

static void
stress_thread(void *state, size_t index)
{
    struct stress *stress = state;

    if (index < THREADS) {
        work_until_end(stress, index);
        return;
    }
    while (clock_ns() < stress->end) {
        arena_collect();
        atomic_fetch_add(&stress->collections, 1);
    }
}

/* --- Tests --- */

static struct stress stress;
static arena_usage_t base;

/* Stacks of ended threads, which roots of all mappings would include, keep
 * nothing here. */
static void
setup(void)
{
    expect_ok(arena_thread_attach());
    expect_ok(arena_set_roots(ARENA_ROOTS_PRECISE));
    collect_times(3);
    base = usage_now();
}

static void
open_pool(void)
{
    memset(&stress, 0, sizeof stress);
    for (size_t i = 0; i < POOL_SIZE; i++) {
        pthread_mutex_init(&stress.pool[i].lock, NULL);
        stress.pool[i].arena = arena_shared();
        ck_assert_ptr_nonnull(stress.pool[i].arena);
    }
}

static void
close_pool(void)
{
    for (size_t i = 0; i < POOL_SIZE; i++)
        expect_ok(arena_close(stress.pool[i].arena));
}

/* Nothing but the global arena, which keeps what it has, and arena_malloc's
 * pool, which is estimated, may differ from an earlier snapshot. */
static arena_usage_t
usage_to_expect(const arena_usage_t *before)
{
    arena_usage_t now = usage_now(), expected = *before;

    usage_forgive(&expected, &POOL(expected, ARENA_GLOBAL),
                  &POOL(now, ARENA_GLOBAL));
    usage_forgive(&expected, &expected.heap, &now.heap);
    return expected;
}

/* A block of arena_malloc is not cleared when it is freed.  Where all mappings
 * are searched, some old word can be its address, and then it keeps what it
 * held: a few of the many thousands that were. */
#define FEW 16

static void
forgive_a_few(arena_usage_t *expected)
{
    arena_usage_t now = usage_now();

    for (int kind = ARENA_AUTO; kind <= ARENA_IMPLICIT; kind++) {
        arena_usage_pool_t *pool = &expected->kind[kind];

        if ((kind == ARENA_AUTO || kind == ARENA_IMPLICIT)
            && now.kind[kind].count <= pool->count + FEW
            && now.kind[kind].reserved <= pool->reserved + MIB)
            usage_forgive(expected, pool, &now.kind[kind]);
    }
}

static void
expect_no_errors(void)
{
    ck_assert_uint_gt(atomic_load(&stress.rounds), THREADS);
    ck_assert_uint_gt(atomic_load(&stress.collections), 1);
    ck_assert_uint_eq(atomic_load(&stress.refused), 0);
    ck_assert_uint_eq(atomic_load(&stress.dirty), 0);
    ck_assert_uint_eq(atomic_load(&stress.damaged), 0);
}

/* Collect until the counters are back, and every action has run. */
static void
expect_all_gone(const arena_usage_t *before)
{
    arena_usage_t expected = usage_to_expect(before);

    for (size_t i = 0; i < COLLECTIONS_MOST; i++) {
        collect_scrubbed();
        expected = usage_to_expect(before);
        if (usage_difference(&expected) == NULL)
            break;
        if (i >= 3)
            stir();
    }
    forgive_a_few(&expected);
    expect_usage(expected);
    ck_assert_uint_le(atomic_load(&stress.actions_run),
                      atomic_load(&stress.actions_due));
    ck_assert_uint_ge(atomic_load(&stress.actions_run) + FEW,
                      atomic_load(&stress.actions_due));
    ck_assert_uint_eq(usage_now().pending, 0);
    expect_nothing_astray();
    ck_assert_uint_le(usage_now().heap.reserved,
                      before->heap.reserved + MIB);
}

START_TEST(test_all_kinds_by_many_threads_stay_intact_and_are_given_back)
{
    open_pool();
    stress.end = clock_ns() + (uint64_t)(test_seconds(SECONDS) * 1e9);
    run_team(THREADS + 1, stress_thread, &stress);
    expect_no_errors();
    close_pool();
    expect_all_gone(&base);
}
END_TEST

/* Under a limit not far above what is in use. */
START_TEST(test_all_kinds_under_a_limit_stay_intact_and_are_given_back)
{
    size_t limit = base.reserved + 64 * MIB;

    expect_ok(arena_set_limit(limit));
    open_pool();
    stress.end = clock_ns() + (uint64_t)(test_seconds(SECONDS) * 1e9);
    run_team(THREADS + 1, stress_thread, &stress);
    expect_no_errors();
    ck_assert_uint_le(usage_now().peak, limit);
    expect_ok(arena_set_limit(base.limit));
    close_pool();
    expect_all_gone(&base);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stress");
    TCase *tcase = tcase_create("all kinds");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 120 + 4 * test_seconds(SECONDS));
    tcase_add_test(
        tcase, test_all_kinds_by_many_threads_stay_intact_and_are_given_back);
    tcase_add_test(
        tcase, test_all_kinds_under_a_limit_stay_intact_and_are_given_back);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
