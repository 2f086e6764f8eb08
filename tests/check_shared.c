/* check_shared.c: shared arenas and the global arena, used by several threads
 * at once. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena_harness.h"

enum { THREADS = 4, BLOCKS = 5000 };

/* --- One shared arena --- */

START_TEST(test_open_default_gives_accessible_shared_arena)
{
    arena_t *other;

    expect_ok(other = arena_open(ARENA_SHARED, NULL));
    ck_assert_int_eq(arena_kind(other), ARENA_SHARED);
    ck_assert(arena_is_alive(other));
    ck_assert(arena_is_accessible(other));
    ck_assert_str_eq(arena_name(other), "");
    ck_assert_ptr_ne(other, arena);
    expect_ok(arena_close(other));
}
END_TEST

START_TEST(test_open_is_counted_until_close)
{
    arena_usage_t before = usage_now();
    arena_t *other = arena_shared();
    arena_usage_pool_t is, was = before.kind[ARENA_SHARED];

    expect_ok(arena_alloc(other, 160000));
    is = usage_now().kind[ARENA_SHARED];
    ck_assert_uint_eq(is.count, was.count + 1);
    ck_assert_uint_eq(is.requested, was.requested + 160000);
    ck_assert_uint_eq(is.reserved, was.reserved + arena_bytes(other));
    expect_ok(arena_close(other));
    expect_usage(before);
}
END_TEST

START_TEST(test_alloc_every_call_works)
{
    char *block;

    expect_ok(block = arena_alloc_aligned(arena, 100, 4096));
    ck_assert(is_aligned(block, 4096));
    expect_ok(block = arena_alloc_array(arena, 10, 10));
    ck_assert(block_is_zero(block, 100));
    expect_ok(block = arena_alloc_uninit(arena, 5));
    expect_ok(block = arena_memdup(arena, "abc", 4));
    ck_assert_str_eq(block, "abc");
    expect_ok(block = arena_strdup(arena, "def"));
    ck_assert_str_eq(block, "def");
    expect_ok(block = arena_strndup(arena, "ghijk", 3));
    ck_assert_str_eq(block, "ghi");
    expect_ok(block = arena_printf(arena, "%d", 12));
    ck_assert_str_eq(block, "12");
    ck_assert_ptr_eq(arena_of(block), arena);
}
END_TEST

START_TEST(test_alloc_failures_leave_usage)
{
    arena_usage_t before = usage_now();

    expect_fail(arena_alloc(arena, opaque_size(SIZE_MAX)), ENOMEM, "");
    expect_fail(arena_alloc_array(arena, opaque_size(SIZE_MAX), 2), ENOMEM,
                "");
    expect_fail(arena_alloc_aligned(arena, 8, 24), EINVAL, "");
    expect_usage(before);
    expect_ok(arena_close(arena));
    expect_fail(arena_alloc(arena, opaque_size(SIZE_MAX)), ESTALE, "");
    expect_fail(arena_alloc_array(arena, opaque_size(SIZE_MAX), 2), ESTALE,
                "");
    expect_fail(arena_alloc_aligned(arena, opaque_size(SIZE_MAX), 24), EINVAL,
                "");
}
END_TEST

/* Threads that take all that a limited arena gives. */
struct exhaustion {
    arena_t *arena;
    size_t granted[THREADS]; /* bytes */
    size_t wrong[THREADS];   /* times it held too much, or failed oddly */
};

static void
exhaust(void *state, size_t index)
{
    struct exhaustion *all = state;

    while (arena_alloc(all->arena, 1000) != NULL) {
        all->granted[index] += 1000;
        all->wrong[index] += arena_bytes(all->arena) > MIB;
    }
    all->wrong[index] += errno != ENOMEM;
}

START_TEST(test_limit_holds_for_all_threads_together)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    struct exhaustion all = {.arena = NULL};
    size_t granted = 0;

    options.limit = MIB;
    expect_ok(all.arena = arena_open(ARENA_SHARED, &options));
    run_team(THREADS, exhaust, &all);
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_uint_eq(all.wrong[i], 0);
        granted += all.granted[i];
    }
    ck_assert_uint_gt(granted, 0);
    ck_assert_uint_le(granted, MIB);
    expect_fail(arena_alloc(all.arena, MIB), ENOMEM, "1048576");
    expect_ok(arena_reset(all.arena));
    expect_ok(arena_alloc(all.arena, 1000));
    expect_ok(arena_close(all.arena));
}
END_TEST

/* What is left of the run when no chunk can be had is carved once: by pieces
 * for small blocks, but not for aligned ones. */
START_TEST(test_blocks_after_the_limit_was_met_do_not_overlap)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    struct extent extents[100];
    size_t count = 0;
    arena_t *limited;
    char *block;

    options.limit = 4 * KIB;
    limited = arena_open(ARENA_SHARED, &options);
    ck_assert_ptr_nonnull(limited);
    while ((block = arena_alloc(limited, 96)) != NULL && count < 50)
        extents[count++] = (struct extent){block, 96};
    for (size_t i = 0; i < 20; i++) {
        block = arena_alloc_aligned(limited, 16, i % 2 == 0 ? 32 : 16);
        if (block != NULL)
            extents[count++] = (struct extent){block, 16};
    }
    ck_assert(extents_disjoint(extents, count));
    expect_ok(arena_close(limited));
}
END_TEST

/* What another thread did with a shared arena. */
struct visit {
    char *block;
    bool alive, accessible;
    struct answer alloc, on_close, acquire, release, reset, close;
};

static void *
visit_and_close(void *arg)
{
    struct visit *visit = arg;

    visit->alive = arena_is_alive(arena);
    visit->accessible = arena_is_accessible(arena);
    record_answer(&visit->alloc, visit->block = arena_alloc(arena, 100));
    record_answer(&visit->acquire, arena_acquire(arena));
    record_answer(&visit->release, arena_release(arena));
    record_answer(&visit->on_close, arena_on_close(arena, do_nothing, NULL));
    record_answer(&visit->reset, arena_reset(arena));
    record_answer(&visit->close, arena_close(arena));
    return NULL;
}

START_TEST(test_other_thread_may_use_and_close)
{
    struct visit visit = {.alive = false};

    run_in_thread(visit_and_close, &visit);
    ck_assert(visit.alive);
    ck_assert(visit.accessible);
    expect_success(&visit.alloc);
    expect_success(&visit.acquire);
    expect_success(&visit.release);
    expect_success(&visit.on_close);
    expect_success(&visit.reset);
    expect_success(&visit.close);
    ck_assert(!arena_is_alive(arena));
    expect_fail(arena_alloc(arena, 8), ESTALE, "");
    expect_fail(arena_close(arena), ESTALE, "");
}
END_TEST

static void *
allocate_filled(void *arg)
{
    char *block = arena_alloc(arg, 3000);

    if (block != NULL)
        fill_block(block, 3000, 3);
    return block;
}

START_TEST(test_blocks_of_ended_thread_stay)
{
    char *blocks[50];

    for (size_t i = 0; i < LENGTH(blocks); i++) {
        blocks[i] = run_in_thread(allocate_filled, arena);
        ck_assert_ptr_nonnull(blocks[i]);
        expect_ok(arena_alloc(arena, 3000));
    }
    for (size_t i = 0; i < LENGTH(blocks); i++) {
        ck_assert(block_holds(blocks[i], 3000, 3));
        ck_assert_ptr_eq(arena_of(blocks[i] + 2999), arena);
    }
}
END_TEST

static void *
open_and_end(void *arg)
{
    (void)arg;
    return arena_shared();
}

START_TEST(test_opening_thread_may_end)
{
    arena_t *other = run_in_thread(open_and_end, NULL);
    char *block;

    ck_assert(arena_is_alive(other));
    ck_assert(arena_is_accessible(other));
    expect_ok(block = arena_alloc(other, 5000));
    ck_assert(block_is_zero(block, 5000));
    expect_ok(arena_close(other));
}
END_TEST

/* --- Threads at once --- */

/* The blocks that the threads of a team took, each filled with a pattern
 * of its number; and what was wrong with them when they came. */
struct harvest {
    arena_t *arena;
    struct extent extents[THREADS * BLOCKS];
    size_t wrong[THREADS];
};

static struct harvest harvest;

static void
reap(void *state, size_t index)
{
    struct harvest *all = state;
    uint64_t random = index + 1;

    for (size_t i = index * BLOCKS; i < (index + 1) * BLOCKS; i++) {
        size_t size = random_below(&random, i % 50 == 0 ? 9000 : 300);
        size_t align = (size_t)16 << random_below(&random, 4);
        char *block = i % 3 == 0 ? arena_alloc_aligned(all->arena, size, align)
                                 : arena_alloc(all->arena, size);

        all->extents[i] = (struct extent){block, size};
        if (block == NULL || !block_is_zero(block, size)
            || !is_aligned(block, i % 3 == 0 ? align : 16)
            || arena_of(block) != all->arena)
            all->wrong[index]++;
        else
            fill_block(block, size, i);
    }
}

/* Have a team take blocks, then look at all of them. */
static void
check_harvest(arena_t *from)
{
    memset(&harvest, 0, sizeof harvest);
    harvest.arena = from;
    run_team(THREADS, reap, &harvest);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_uint_eq(harvest.wrong[i], 0);
    for (size_t i = 0; i < THREADS * BLOCKS; i++)
        if (!block_holds(harvest.extents[i].start, harvest.extents[i].size, i))
            ck_abort_msg("block %zu has changed", i);
    ck_assert(extents_disjoint(harvest.extents, THREADS * BLOCKS));
}

START_TEST(test_threads_at_once_get_own_zeroed_blocks)
{
    check_harvest(arena);
}
END_TEST

START_TEST(test_threads_after_reset_get_own_zeroed_blocks)
{
    for (size_t round = 0; round < 5; round++) {
        check_harvest(arena);
        expect_ok(arena_reset(arena));
    }
}
END_TEST

START_TEST(test_threads_after_reopen_get_own_zeroed_blocks)
{
    arena_usage_t before;

    expect_ok(arena_close(arena));
    before = usage_now();
    for (size_t round = 0; round < 5; round++) {
        arena = arena_shared();
        check_harvest(arena);
        expect_ok(arena_close(arena));
        expect_usage(before);
    }
}
END_TEST

START_TEST(test_threads_at_once_are_counted_exactly)
{
    arena_usage_t before = usage_now();
    size_t asked = 0;
    arena_usage_pool_t is, was = before.kind[ARENA_SHARED];

    check_harvest(arena);
    for (size_t i = 0; i < THREADS * BLOCKS; i++)
        asked += harvest.extents[i].size;
    is = usage_now().kind[ARENA_SHARED];
    ck_assert_uint_ge(is.requested - was.requested, asked);
    ck_assert_uint_ge(is.reserved - was.reserved, asked);
    ck_assert_uint_eq(is.reserved - was.reserved, arena_bytes(arena));
}
END_TEST

/* Threads of a pool that keep what they remember of an arena while it is
 * reset, or closed and replaced by another. */
struct stale_pieces {
    bool replace;
    char *blocks[THREADS][2]; /* NULL: none, or not zeroed */
};

static void
pieces_prepare(void *state, size_t round)
{
    struct stale_pieces *pieces = state;

    if (round > 0 && !pieces->replace)
        expect_ok(arena_reset(arena));
    if (round > 0 && pieces->replace) {
        expect_ok(arena_close(arena));
        expect_ok(arena = arena_shared());
    }
}

static void
pieces_body(void *state, size_t index)
{
    struct stale_pieces *pieces = state;

    for (size_t i = 0; i < 2; i++) {
        char *block = arena_alloc(arena, 200);

        if (block != NULL && !block_is_zero(block, 200))
            block = NULL;
        if (block != NULL)
            fill_block(block, 200, index * 2 + i);
        pieces->blocks[index][i] = block;
    }
}

static void
pieces_verify(void *state, size_t round)
{
    struct stale_pieces *pieces = state;

    for (size_t i = 0; i < THREADS * 2; i++) {
        char *block = pieces->blocks[i / 2][i % 2];

        if (block == NULL || !block_holds(block, 200, i)
            || arena_of(block) != arena)
            ck_abort_msg("round %zu, block %zu", round, i);
    }
}

START_TEST(test_pieces_of_earlier_contents_are_not_used)
{
    static struct stale_pieces pieces;
    struct race race = {
        .threads = THREADS,
        .rounds = 500,
        .prepare = pieces_prepare,
        .body = pieces_body,
        .verify = pieces_verify,
        .state = &pieces,
    };

    pieces.replace = _i != 0;
    run_race(&race);
}
END_TEST

/* --- Resize --- */

static void *
allocate_some(void *arg)
{
    return arena_alloc(arg, 100);
}

START_TEST(test_resize_last_block_of_this_thread_stays_in_place)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *roomy;
    char *block, *other;

    options.chunk_size = MIB;
    expect_ok(roomy = arena_open(ARENA_SHARED, &options));
    expect_ok(block = arena_alloc(roomy, 32));
    fill_block(block, 32, 1);
    other = run_in_thread(allocate_some, roomy);
    ck_assert_ptr_nonnull(other);
    memset(other, 0xff, 100);
    ck_assert_ptr_eq(arena_resize(roomy, block, 32, 96), block);
    ck_assert(block_holds(block, 32, 1));
    ck_assert(block_is_zero(block + 32, 64));
    expect_ok(arena_close(roomy));
}
END_TEST

/* A block per thread, resized step by step while all do so. */
static void
grow(void *state, size_t index)
{
    size_t *wrong = state;
    size_t size = 8;
    char *block = arena_alloc(arena, size);

    while (block != NULL && size < 200000) {
        size_t more = size + size / 3 + 1;

        fill_block(block, size, index);
        block = arena_resize(arena, block, size, more);
        if (block == NULL || !block_holds(block, size, index)
            || !block_is_zero(block + size, more - size))
            wrong[index]++;
        size = more;
    }
    wrong[index] += block == NULL;
}

START_TEST(test_resize_by_threads_at_once_keeps_contents)
{
    size_t wrong[THREADS] = {0};

    for (size_t round = 0; round < 10; round++)
        run_team(THREADS, grow, wrong);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_uint_eq(wrong[i], 0);
}
END_TEST

START_TEST(test_resize_of_other_threads_block_keeps_contents)
{
    char *block = run_in_thread(allocate_filled, arena);

    ck_assert_ptr_nonnull(block);
    expect_ok(block = arena_resize(arena, block, 3000, 9000));
    ck_assert(block_holds(block, 3000, 3));
    ck_assert(block_is_zero(block + 3000, 6000));
}
END_TEST

/* --- The global arena --- */

START_TEST(test_global_is_one_and_stays)
{
    arena_t *global;

    expect_ok(global = arena_global());
    ck_assert_ptr_eq(global, arena_global());
    expect_ok(global = arena_open(ARENA_GLOBAL, NULL));
    ck_assert_ptr_eq(global, arena_global());
    ck_assert_int_eq(arena_kind(global), ARENA_GLOBAL);
    ck_assert(arena_is_alive(global));
    ck_assert(arena_is_accessible(global));
}
END_TEST

START_TEST(test_global_unoffered_operations_fail_enotsup)
{
    arena_t *global = arena_global();
    arena_usage_t before = usage_now();
    arena_mark_t mark;

    expect_fail(arena_close(global), ENOTSUP, "");
    expect_fail(arena_close_wait(global, 0), ENOTSUP, "");
    expect_fail(arena_close_wait(global, -1), ENOTSUP, "");
    expect_fail(arena_reset(global), ENOTSUP, "");
    expect_fail(arena_on_close(global, do_nothing, NULL), ENOTSUP, "");
    expect_fail(arena_mark(global, &mark), ENOTSUP, "");
    expect_fail(arena_adopt(global), ENOTSUP, "");
    expect_usage(before);
    ck_assert(arena_is_alive(global));
    expect_ok(arena_alloc(global, 100));
}
END_TEST

START_TEST(test_implicit_unoffered_operations_fail_enotsup)
{
    arena_t *implicit = arena_implicit();
    arena_mark_t mark;

    expect_ok(implicit = arena_open(ARENA_IMPLICIT, NULL));
    ck_assert_ptr_eq(implicit, arena_implicit());
    ck_assert_int_eq(arena_kind(implicit), ARENA_IMPLICIT);
    expect_fail(arena_close(implicit), ENOTSUP, "");
    expect_fail(arena_close_wait(implicit, 0), ENOTSUP, "");
    expect_fail(arena_reset(implicit), ENOTSUP, "");
    expect_fail(arena_on_close(implicit, do_nothing, NULL), ENOTSUP, "");
    expect_fail(arena_mark(implicit, &mark), ENOTSUP, "");
    expect_fail(arena_adopt(implicit), ENOTSUP, "");
    ck_assert(arena_is_alive(implicit));
}
END_TEST

START_TEST(test_global_options_fail_enotsup)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *global;

    expect_ok(global = arena_open(ARENA_GLOBAL, &options));
    ck_assert_ptr_eq(global, arena_global());
    options.limit = 1000;
    expect_fail(arena_open(ARENA_GLOBAL, &options), ENOTSUP, "");
    expect_fail(arena_open(ARENA_IMPLICIT, &options), ENOTSUP, "");
    options.limit = 0;
    options.name = "a name";
    expect_fail(arena_open(ARENA_GLOBAL, &options), ENOTSUP, "");
}
END_TEST

START_TEST(test_global_acquire_and_release_always_succeed)
{
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_int_eq(arena_acquire(arena_global()), 0);
        ck_assert_int_eq(arena_acquire(arena_implicit()), 0);
    }
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_int_eq(arena_release(arena_global()), 0);
        ck_assert_int_eq(arena_release(arena_implicit()), 0);
    }
    expect_ok(arena_alloc(arena_global(), 10));
}
END_TEST

START_TEST(test_global_threads_at_once_get_own_zeroed_blocks)
{
    check_harvest(arena_global());
}
END_TEST

START_TEST(test_global_blocks_are_counted_and_stay)
{
    arena_usage_pool_t is, was = usage_now().kind[ARENA_GLOBAL];
    char *blocks[100];

    for (size_t i = 0; i < LENGTH(blocks); i++) {
        expect_ok(blocks[i] = arena_alloc(arena_global(), 16000));
        fill_block(blocks[i], 16000, i);
    }
    is = usage_now().kind[ARENA_GLOBAL];
    ck_assert_uint_eq(is.requested - was.requested, 1600000);
    ck_assert_uint_ge(is.reserved, is.requested);
    collect_scrubbed();
    ck_assert_int_eq(arena_trim(), 0);
    for (size_t i = 0; i < LENGTH(blocks); i++)
        ck_assert(block_holds(blocks[i], 16000, i));
}
END_TEST

START_TEST(test_global_blocks_of_ended_thread_stay)
{
    char *block = run_in_thread(allocate_filled, arena_global());

    for (size_t i = 0; i < 100; i++)
        expect_ok(arena_alloc(arena_global(), 3000));
    ck_assert(block_holds(block, 3000, 3));
    ck_assert_ptr_eq(arena_of(block), arena_global());
}
END_TEST

static void
add_shared(Suite *suite)
{
    TCase *one = tcase_create("shared");
    TCase *threads = tcase_create("threads");
    TCase *resize = tcase_create("resize");

    tcase_add_checked_fixture(one, setup_shared, teardown_arena);
    tcase_add_test(one, test_open_default_gives_accessible_shared_arena);
    tcase_add_test(one, test_open_is_counted_until_close);
    tcase_add_test(one, test_alloc_every_call_works);
    tcase_add_test(one, test_alloc_failures_leave_usage);
    tcase_add_test(one, test_limit_holds_for_all_threads_together);
    tcase_add_test(one, test_blocks_after_the_limit_was_met_do_not_overlap);
    tcase_add_test(one, test_other_thread_may_use_and_close);
    tcase_add_test(one, test_blocks_of_ended_thread_stay);
    tcase_add_test(one, test_opening_thread_may_end);
    suite_add_tcase(suite, one);

    tcase_add_checked_fixture(threads, setup_shared, teardown_arena);
    tcase_set_timeout(threads, 60);
    tcase_add_test(threads, test_threads_at_once_get_own_zeroed_blocks);
    tcase_add_test(threads, test_threads_after_reset_get_own_zeroed_blocks);
    tcase_add_test(threads, test_threads_after_reopen_get_own_zeroed_blocks);
    tcase_add_test(threads, test_threads_at_once_are_counted_exactly);
    tcase_add_loop_test(threads, test_pieces_of_earlier_contents_are_not_used,
                        0, 2);
    suite_add_tcase(suite, threads);

    tcase_add_checked_fixture(resize, setup_shared, teardown_arena);
    tcase_add_test(resize,
                   test_resize_last_block_of_this_thread_stays_in_place);
    tcase_add_test(resize, test_resize_by_threads_at_once_keeps_contents);
    tcase_add_test(resize, test_resize_of_other_threads_block_keeps_contents);
    suite_add_tcase(suite, resize);
}

static void
add_global(Suite *suite)
{
    TCase *global = tcase_create("global");

    tcase_set_timeout(global, 30);
    tcase_add_test(global, test_global_is_one_and_stays);
    tcase_add_test(global, test_global_unoffered_operations_fail_enotsup);
    tcase_add_test(global, test_implicit_unoffered_operations_fail_enotsup);
    tcase_add_test(global, test_global_options_fail_enotsup);
    tcase_add_test(global, test_global_acquire_and_release_always_succeed);
    tcase_add_test(global, test_global_threads_at_once_get_own_zeroed_blocks);
    tcase_add_test(global, test_global_blocks_are_counted_and_stay);
    tcase_add_test(global, test_global_blocks_of_ended_thread_stay);
    suite_add_tcase(suite, global);
}

int
main(void)
{
    Suite *suite = suite_create("shared");

    add_shared(suite);
    add_global(suite);
    return run_suite(suite);
}
