/* check_stock.c: large chunks that are kept for the next arena: that they are
 * used again, are zero again, have a bound, age, and are never in the way. */

#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/chunk_cache.h"
#include "../lib/stock.h"
#include "harness.h"

/* What the caches of threads may hold beside the stock. */
#define THREADS_OWN (CHUNK_CACHE_BYTES + CHUNK_LARGE_BYTES + 512 * KIB)

static arena_usage_t base;

static void
setup(void)
{
    expect_ok(arena_trim());
    base = usage_now();
}

static arena_t *
arena_with(size_t blocks, size_t size)
{
    arena_t *arena = arena_confined();

    for (size_t i = 0; i < blocks; i++) {
        char *block = arena_alloc_uninit(arena, size);

        if (block == NULL)
            ck_abort_msg("%s", arena_error());
        memset(block, 0xa5, size);
    }
    return arena;
}

/* One after another, each with a block of another size, as requests have. */
START_TEST(test_arenas_with_a_limit_use_what_others_left)
{
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.limit = 1 * MIB;
    for (size_t i = 0; i < 1000; i++) {
        arena_t *arena = arena_open(ARENA_SHARED, &options);

        ck_assert_ptr_nonnull(
            arena_alloc_uninit(arena, 70 * KIB + (size_t)_i * i * 37 % (400 * KIB)));
        expect_ok(arena_close(arena));
    }
    ck_assert_uint_le(usage_now().cached - base.cached, 4 * MIB);
}
END_TEST

static const size_t sizes[] = {16 * KIB + 1, 64 * KIB, 100001, 511 * KIB, 999,
                               4 * KIB};

START_TEST(test_what_one_arena_had_the_next_one_gets)
{
    size_t size = sizes[_i], blocks = 8 * MIB / size;
    arena_usage_t closed, again;
    arena_t *arena;

    expect_ok(arena_close(arena_with(blocks, size)));
    closed = usage_now();
    ck_assert_uint_eq(closed.reserved, base.reserved);
    ck_assert_uint_ge(closed.cached - base.cached, 7 * MIB);
    arena = arena_with(blocks, size);
    again = usage_now();
    ck_assert_uint_le(again.reserved + again.cached,
                      closed.reserved + closed.cached + 256 * KIB);
    expect_ok(arena_close(arena));
    expect_ok(arena_trim());
    expect_usage(base);
    ck_assert_uint_le(usage_now().cached, base.cached);
}
END_TEST

START_TEST(test_zero_filled_means_zero)
{
    size_t size = sizes[_i], blocks = 4 * MIB / size;
    arena_t *arena;

    for (int round = 0; round < 3; round++) {
        expect_ok(arena_close(arena_with(blocks, size)));
        arena = round % 2 == 0 ? arena_confined() : arena_shared();
        for (size_t i = 0; i < blocks; i++) {
            char *block = arena_alloc(arena, size - 8 * i % 512);

            if (block == NULL || !block_is_zero(block, size - 8 * i % 512))
                ck_abort_msg("block %zu: %s", i, arena_error());
            memset(block, 0x5a, size - 8 * i % 512);
        }
        expect_ok(arena_close(arena));
    }
}
END_TEST

/* A chunk that fits may be larger than what was asked for, never smaller; and
 * blocks do not lie in one another. */
START_TEST(test_any_size_gets_room_of_its_own)
{
    enum { BLOCKS = 200 };
    uint64_t random = 7;

    for (int round = 0; round < 10; round++) {
        arena_t *arena = arena_shared();
        char *block[BLOCKS];
        size_t size[BLOCKS];

        for (size_t i = 0; i < BLOCKS; i++) {
            size_t align = (size_t)1 << random_below(&random, 15);

            size[i] = 1 + random_below(&random, 300 * KIB);
            block[i] = arena_alloc_aligned(arena, size[i], align);
            if (block[i] == NULL || (uintptr_t)block[i] % align != 0)
                ck_abort_msg("block %zu: %s", i, arena_error());
            memset(block[i], (int)i, size[i]);
        }
        for (size_t i = 0; i < BLOCKS; i++)
            if (block[i][0] != (char)i
                || memcmp(block[i], block[i] + 1, size[i] - 1) != 0)
                ck_abort_msg("block %zu of %zu bytes", i, size[i]);
        expect_ok(arena_close(arena));
    }
    expect_ok(arena_trim());
    expect_usage(base);
}
END_TEST

START_TEST(test_huge_blocks_are_not_kept)
{
    expect_ok(arena_close(arena_with(16, 8 * MIB)));
    ck_assert_uint_le(usage_now().cached, base.cached + THREADS_OWN);
}
END_TEST

static void
wait_for_cached(size_t bytes)
{
    uint64_t start = clock_ns();

    while (usage_now().cached > bytes) {
        if (clock_ns() - start > test_patience() * 1000 * MS_NS)
            ck_abort_msg("%zu bytes are left", usage_now().cached);
        sleep_ms(10);
    }
}

/* Of a program that does nothing any more, and so on; the second time what
 * made it smaller has ended. */
START_TEST(test_an_idle_program_keeps_a_bounded_amount)
{
    for (int round = 0; round < 2; round++) {
        expect_ok(arena_close(arena_with(2 * STOCK_IDLE / (64 * KIB),
                                         64 * KIB)));
        wait_for_cached(STOCK_IDLE + THREADS_OWN);
        sleep_ms(round == 0 ? 2 * STOCK_AGE / MS_NS : 0);
    }
}
END_TEST

/* 0, if the stock gets smaller although nothing but one arena is opened. */
static int
child_main(void)
{
    uint64_t start = clock_ns();

    if (usage_now().cached <= 2 * STOCK_IDLE
        || arena_close(arena_confined()) != 0)
        return 1;
    while (usage_now().cached > STOCK_IDLE + THREADS_OWN) {
        if (clock_ns() - start > test_patience() * 1000 * MS_NS)
            return 2;
        sleep_ms(10);
    }
    return 0;
}

/* The thread that ages the stock is not in a child. */
START_TEST(test_an_idle_child_keeps_a_bounded_amount)
{
    int status;
    pid_t child;

    expect_ok(arena_close(arena_with(3 * STOCK_IDLE / (64 * KIB), 64 * KIB)));
    child = fork();
    if (child == 0)
        _exit(child_main());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(test_a_limit_bounds_it_and_can_use_all)
{
    size_t limit = 32 * MIB;
    arena_t *arena;

    expect_ok(arena_set_limit(base.reserved + limit));
    expect_ok(arena_close(arena_with(12 * MIB / (64 * KIB), 64 * KIB)));
    ck_assert_uint_le(usage_now().cached,
                      (base.reserved + limit) / 8 + THREADS_OWN);
    arena = arena_with(1, limit - MIB);
    ck_assert_uint_eq(usage_now().failures, base.failures);
    ck_assert_uint_eq(usage_now().waits, base.waits);
    expect_ok(arena_close(arena));
    expect_ok(arena_set_limit(ARENA_UNLIMITED));
}
END_TEST

/* An arena's own limit is asked for what it gets. */
START_TEST(test_an_arena_with_a_limit_gets_no_more)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena;

    options.limit = 80 * KIB;
    expect_ok(arena_close(arena_with(40, 70 * KIB)));
    arena = arena_open(ARENA_CONFINED, &options);
    ck_assert_ptr_nonnull(arena);
    ck_assert_ptr_nonnull(arena_alloc(arena, 64 * KIB));
    expect_ok(arena_close(arena));
    expect_ok(arena_trim());
    expect_usage(base);
}
END_TEST

/* What was needed once goes back while small arenas come and go. */
START_TEST(test_what_is_not_needed_ages)
{
    arena_usage_t now;

    expect_ok(arena_close(arena_with(16 * MIB / (64 * KIB), 64 * KIB)));
    ck_assert_uint_ge(usage_now().cached, 15 * MIB);
    for (int i = 0; i < 2000; i++) {
        for (int k = 0; k < 200; k++)
            expect_ok(arena_close(arena_with(1, 32)));
        sleep_ms(10);
        now = usage_now();
        if (now.cached <= base.cached + THREADS_OWN)
            return;
    }
    ck_abort_msg("%zu bytes are left", now.cached);
}
END_TEST

/* Blocks of 16 to 64 KiB of a large arena share chunks, those of a small one
 * do not; and one with a limit gets what it asks for, not more. */
START_TEST(test_large_arenas_have_large_chunks)
{
    static const size_t block_sizes[] = {100, 16 * KIB, 20 * KIB, 64 * KIB};
    size_t size = block_sizes[_i];
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena = arena_with(40 * MIB / size, size);

    ck_assert_uint_le(arena_bytes(arena), 40 * MIB / 16 * 19);
    expect_ok(arena_close(arena));
    options.limit = 8 * MIB;
    arena = arena_open(ARENA_CONFINED, &options);
    for (size_t i = 0; i < 5 * MIB / size; i++)
        ck_assert_ptr_nonnull(arena_alloc(arena, size));
    expect_ok(arena_close(arena));
}
END_TEST

static void *
threads_main(void *arg)
{
    for (size_t round = 0; round < 50; round++) {
        arena_t *arena = arena_with(64, 40 * KIB);

        if (arena_close(arena) != 0)
            return arg;
        /* What the thread itself has at hand, the others may take away. */
        for (size_t i = 0; i < 100; i++)
            if (arena_close(arena_with(1, 32)) != 0)
                return arg;
        if (round % 16 == 0)
            arena_trim();
    }
    return NULL;
}

START_TEST(test_threads_share_it)
{
    pthread_t threads[4];

    for (size_t i = 0; i < LENGTH(threads); i++)
        threads[i] = start_thread(threads_main, "");
    for (size_t i = 0; i < LENGTH(threads); i++)
        ck_assert_ptr_null(join_thread(threads[i]));
    expect_ok(arena_trim());
    expect_usage(base);
}
END_TEST

/* Blocks of one thread, looked up by another one. */
static _Atomic(char *) shown;
static _Atomic bool ended;

static void *
look_main(void *unused)
{
    size_t at = 0;

    (void)unused;
    while (!atomic_load(&ended)) {
        char *block = atomic_load(&shown);
        arena_t *found = block != NULL ? arena_of(block + at) : NULL;

        /* It may be closed by now: nothing can be asked of it. */
        if ((uintptr_t)found % sizeof(void *) != 0)
            return "not the arena of any block";
        at = (at + 4096) % (64 * KIB);
    }
    return NULL;
}

/* What one finds of memory that goes from arena to arena, or back to the
 * system, is an arena or nothing. */
START_TEST(test_pages_can_be_looked_up_meanwhile)
{
    pthread_t thread = start_thread(look_main, NULL);
    uint64_t random = 11;

    for (int i = 0; i < 20000; i++) {
        arena_t *arena = arena_confined();

        for (size_t k = random_below(&random, 4); k-- > 0;)
            atomic_store(&shown, arena_alloc_uninit(
                                     arena, 64 * KIB + 999
                                                + random_below(&random,
                                                               32 * KIB)));
        expect_ok(arena_close(arena));
        if (i % 100 == 0)
            expect_ok(arena_trim());
    }
    atomic_store(&ended, true);
    ck_assert_ptr_null(join_thread(thread));
    expect_ok(arena_trim());
    expect_usage(base);
}
END_TEST

/* --- The first chunks of small arenas --- */

enum { FIRSTS = 5000 };

/* One thread empties the caches from which the others take first chunks. */
static void
take_or_empty(void *state, size_t index)
{
    atomic_size_t *wrong = state;

    for (size_t i = 0; i < FIRSTS; i++) {
        arena_t *arena;
        char *block;

        if (index == 0) {
            *wrong += arena_trim() != 0;
            continue;
        }
        arena = i % 2 == 0 ? arena_confined() : arena_shared();
        block = arena_alloc(arena, 64);
        *wrong += block == NULL || !block_is_zero(block, 64)
                  || arena_of(block) != arena;
        if (block != NULL)
            fill_block(block, 64, i);
        *wrong += arena_close(arena) != 0;
    }
}

START_TEST(test_first_chunks_while_others_empty_the_caches)
{
    atomic_size_t wrong = 0;

    run_team(3, take_or_empty, &wrong);
    ck_assert_uint_eq(atomic_load(&wrong), 0);
    expect_ok(arena_trim());
    expect_usage(base);
}
END_TEST

static Suite *
stock_suite(void)
{
    Suite *suite = suite_create("stock");
    TCase *tcase = tcase_create("stock");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(
        tcase, test_arenas_with_a_limit_use_what_others_left, 0, 2);
    tcase_add_loop_test(tcase, test_what_one_arena_had_the_next_one_gets, 0,
                        LENGTH(sizes));
    tcase_add_loop_test(tcase, test_zero_filled_means_zero, 0, LENGTH(sizes));
    tcase_add_test(tcase, test_any_size_gets_room_of_its_own);
    tcase_add_test(tcase, test_huge_blocks_are_not_kept);
    tcase_add_test(tcase, test_an_idle_program_keeps_a_bounded_amount);
    tcase_add_test(tcase, test_an_idle_child_keeps_a_bounded_amount);
    tcase_add_test(tcase, test_a_limit_bounds_it_and_can_use_all);
    tcase_add_test(tcase, test_an_arena_with_a_limit_gets_no_more);
    tcase_add_test(tcase, test_what_is_not_needed_ages);
    tcase_add_loop_test(tcase, test_large_arenas_have_large_chunks, 0, 4);
    tcase_add_test(tcase, test_threads_share_it);
    tcase_add_test(tcase, test_pages_can_be_looked_up_meanwhile);
    tcase_add_test(tcase, test_first_chunks_while_others_empty_the_caches);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    return run_suite(stock_suite());
}
