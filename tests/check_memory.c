/* check_memory.c: the memory that arenas hand out: zeroed, never twice, and
 * known to arena_of. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arena_harness.h"

/* --- Zeroing of recycled memory --- */

static const size_t recycled_sizes[] = {
    1,     16,    100,    255,    1000,    4000,    4096,     8192,
    16000, 65536, 100000, 262144, 1048576, 3000000, 16777216,
};

/* Fill an arena's memory with blocks of a size, 1 MiB or one block. */
static void
make_dirty(arena_t *dirty, size_t size)
{
    for (size_t total = 0; total == 0 || total < MIB; total += size + 64) {
        char *block = arena_alloc_uninit(dirty, size);

        if (block == NULL)
            ck_abort_msg("%s", arena_error());
        memset(block, 0xa5, size);
    }
}

/* Do as many blocks of the size all come zeroed? */
static bool
comes_zeroed(arena_t *clean, size_t size)
{
    for (size_t total = 0; total == 0 || total < MIB; total += size + 64) {
        char *block = arena_alloc(clean, size);

        if (block == NULL || !block_is_zero(block, size))
            return false;
    }
    return true;
}

START_TEST(test_recycled_after_close_is_zero)
{
    size_t size = recycled_sizes[_i];

    for (size_t round = 0; round < 3; round++) {
        arena_t *clean;

        make_dirty(arena, size);
        expect_ok(arena_close(arena));
        clean = arena_confined();
        ck_assert(comes_zeroed(clean, size));
        expect_ok(arena_close(clean));
        arena = arena_confined();
    }
}
END_TEST

START_TEST(test_recycled_after_reset_is_zero)
{
    size_t size = recycled_sizes[_i];

    for (size_t round = 0; round < 3; round++) {
        make_dirty(arena, size);
        expect_ok(arena_reset(arena));
        ck_assert(comes_zeroed(arena, size));
    }
}
END_TEST

START_TEST(test_recycled_by_other_sizes_is_zero)
{
    size_t size = recycled_sizes[_i];
    arena_t *clean;

    make_dirty(arena, size);
    expect_ok(arena_close(arena));
    clean = arena_confined();
    for (size_t i = 0; i < LENGTH(recycled_sizes); i++)
        ck_assert(comes_zeroed(clean, recycled_sizes[i]));
    expect_ok(arena_close(clean));
}
END_TEST

START_TEST(test_recycled_in_every_zeroed_call_is_zero)
{
    size_t size = recycled_sizes[_i];
    void *aligned, *array, *resized;
    char *small;

    make_dirty(arena, size);
    expect_ok(arena_reset(arena));
    expect_ok(aligned = arena_alloc_aligned(arena, size, 128));
    expect_ok(array = arena_alloc_array(arena, size, 1));
    expect_ok(resized = arena_resize(arena, NULL, 0, size));
    expect_ok(small = arena_alloc(arena, 1));
    ck_assert(block_is_zero(aligned, size));
    ck_assert(block_is_zero(array, size));
    ck_assert(block_is_zero(resized, size));
    *small = 'x';
    expect_ok(small = arena_resize(arena, small, 1, size + 1));
    ck_assert_int_eq(*small, 'x');
    ck_assert(block_is_zero(small + 1, size));
}
END_TEST

/* Blocks of a size: one not filled, made smaller, and then one zeroed, next to
 * it in memory; each has its own bytes, whatever comes after it. */
START_TEST(test_recycled_in_turns_is_zero_and_leaves_neighbours)
{
    arena_t *mixed = _i == 0 ? arena_confined() : arena_shared();
    char *before = NULL, *filled, *zeroed, pattern[400];

    memset(pattern, 0xa5, sizeof pattern);
    make_dirty(mixed, 1000);
    expect_ok(arena_reset(mixed));
    for (size_t size = 1; size <= sizeof pattern; size++) {
        expect_ok(filled = arena_alloc_uninit(mixed, size));
        memset(filled, 0xa5, size);
        ck_assert(before == NULL || memcmp(before, pattern, size - 1) == 0);
        expect_ok(filled = arena_resize(mixed, filled, size, size / 2));
        expect_ok(zeroed = arena_alloc(mixed, size));
        ck_assert(block_is_zero(zeroed, size));
        ck_assert_int_eq(memcmp(filled, pattern, size / 2), 0);
        memset(zeroed, 0xa5, size);
        before = zeroed;
    }
    expect_ok(arena_close(mixed));
}
END_TEST

static void *
dirty_a_thread(void *arg)
{
    arena_t *confined = arena_confined();
    arena_t *shared = arena_shared();

    (void)arg;
    for (size_t i = 0; i < LENGTH(recycled_sizes); i++) {
        make_dirty(confined, recycled_sizes[i]);
        make_dirty(shared, recycled_sizes[i]);
    }
    (void)arena_close(shared);
    (void)arena_close(confined);
    return NULL;
}

START_TEST(test_recycled_from_ended_thread_is_zero)
{
    run_in_thread(dirty_a_thread, NULL);
    for (size_t i = 0; i < LENGTH(recycled_sizes); i++)
        ck_assert(comes_zeroed(arena, recycled_sizes[i]));
}
END_TEST

START_TEST(test_recycled_after_trim_is_zero)
{
    make_dirty(arena, 5000);
    make_dirty(arena, 5000000);
    expect_ok(arena_close(arena));
    ck_assert_int_eq(arena_trim(), 0);
    arena = arena_confined();
    ck_assert(comes_zeroed(arena, 5000));
    ck_assert(comes_zeroed(arena, 5000000));
}
END_TEST

/* --- Blocks never overlap --- */

enum { BLOCKS = 700 };

struct block {
    char *start;
    size_t size;
};

/* A block of a random call, size and alignment, up to 1 MiB each. */
static struct block
random_block(uint64_t *random)
{
    size_t limit = (size_t)1 << random_below(random, 21);
    size_t align = (size_t)1 << random_below(random, 21);
    struct block block = {NULL, random_below(random, limit)};

    switch (random_below(random, 4)) {
    case 0:
        block.start = arena_alloc(arena, block.size);
        break;
    case 1:
        block.start = arena_alloc_uninit(arena, block.size);
        break;
    case 2:
        block.start = arena_resize(arena, NULL, 0, block.size);
        break;
    default:
        block.start = arena_alloc_aligned(arena, block.size, align);
        if (!is_aligned(block.start, align))
            block.start = NULL;
        break;
    }
    return block;
}

START_TEST(test_overlap_random_blocks_are_disjoint)
{
    static struct block blocks[BLOCKS];
    static struct extent extents[BLOCKS];
    uint64_t random = (uint64_t)_i + 1;

    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = random_block(&random);
        if (blocks[i].start == NULL || arena_of(blocks[i].start) != arena)
            ck_abort_msg("block %zu: %s", i, arena_error());
        fill_block(blocks[i].start, blocks[i].size, i);
        extents[i] = (struct extent){blocks[i].start, blocks[i].size};
    }
    for (size_t i = 0; i < BLOCKS; i++)
        if (!block_holds(blocks[i].start, blocks[i].size, i))
            ck_abort_msg("block %zu has changed", i);
    ck_assert(extents_disjoint(extents, BLOCKS));
}
END_TEST

START_TEST(test_overlap_resized_blocks_are_disjoint)
{
    static struct block blocks[100];
    uint64_t random = (uint64_t)_i + 1;

    memset(blocks, 0, sizeof blocks);
    for (size_t step = 0; step < 3000; step++) {
        size_t i = random_below(&random, LENGTH(blocks));
        size_t size = random_below(&random, 4000);
        size_t kept = size < blocks[i].size ? size : blocks[i].size;
        char *start =
            arena_resize(arena, blocks[i].start, blocks[i].size, size);

        if (start == NULL || !block_holds(start, kept, i)
            || !block_is_zero(start + kept, size - kept))
            ck_abort_msg("step %zu, %zu to %zu", step, blocks[i].size, size);
        blocks[i] = (struct block){start, size};
        fill_block(start, size, i);
    }
    for (size_t i = 0; i < LENGTH(blocks); i++)
        ck_assert(block_holds(blocks[i].start, blocks[i].size, i));
}
END_TEST

START_TEST(test_overlap_two_arenas_in_turn_are_disjoint)
{
    static struct extent extents[4000];
    arena_t *other = arena_confined();
    uint64_t random = 5;

    for (size_t i = 0; i < LENGTH(extents); i++) {
        extents[i].size = random_below(&random, 700);
        extents[i].start =
            arena_alloc(i % 2 == 0 ? arena : other, extents[i].size);
        if (arena_of(extents[i].start) != (i % 2 == 0 ? arena : other))
            ck_abort_msg("block %zu", i);
    }
    ck_assert(extents_disjoint(extents, LENGTH(extents)));
    expect_ok(arena_close(other));
}
END_TEST

/* --- Arena of --- */

START_TEST(test_of_any_place_in_a_block_finds_arena)
{
    static const size_t sizes[] = {1,      24,      999,      4096,     8193,
                                   100000, 1048576, 67108864, 200000000};

    for (size_t i = 0; i < LENGTH(sizes); i++) {
        size_t step = sizes[i] / 64 + 1;
        char *block;

        expect_ok(block = arena_alloc_uninit(arena, sizes[i]));
        for (size_t offset = 0; offset < sizes[i]; offset += step)
            if (arena_of(block + offset) != arena)
                ck_abort_msg("size %zu, offset %zu", sizes[i], offset);
        ck_assert_ptr_eq(arena_of(block + sizes[i] - 1), arena);
    }
}
END_TEST

START_TEST(test_of_each_kind_finds_its_arena)
{
    arena_t *shared = arena_shared();
    char *own, *common, *lasting;

    expect_ok(own = arena_alloc(arena, 100));
    expect_ok(common = arena_alloc(shared, 100));
    expect_ok(lasting = arena_alloc(arena_global(), 100));
    ck_assert_ptr_eq(arena_of(own + 50), arena);
    ck_assert_ptr_eq(arena_of(common + 50), shared);
    ck_assert_ptr_eq(arena_of(lasting + 50), arena_global());
    expect_ok(arena_close(shared));
    ck_assert_ptr_null(arena_of(common));
    ck_assert_ptr_eq(arena_of(own), arena);
}
END_TEST

START_TEST(test_of_closed_arena_finds_nothing)
{
    static const size_t sizes[] = {1, 100, 5000, 70000, 1048576, 67108864};
    char *blocks[LENGTH(sizes)];

    for (size_t i = 0; i < LENGTH(sizes); i++)
        expect_ok(blocks[i] = arena_alloc(arena, sizes[i]));
    expect_ok(arena_close(arena));
    errno = ERRNO_UNTOUCHED;
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        ck_assert_ptr_null(arena_of(blocks[i]));
        ck_assert_ptr_null(arena_of(blocks[i] + sizes[i] - 1));
    }
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
}
END_TEST

static int initialised = 1;

START_TEST(test_of_memory_of_others_finds_nothing)
{
    int local = 0;
    void *heap = malloc(100);
    void *pages =
        mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    expect_ok(arena_alloc(arena, 100));
    errno = ERRNO_UNTOUCHED;
    ck_assert_ptr_null(arena_of(NULL));
    ck_assert_ptr_null(arena_of(&local));
    ck_assert_ptr_null(arena_of(&initialised));
    ck_assert_ptr_null(arena_of(heap));
    ck_assert_ptr_null(arena_of(pages));
    ck_assert_ptr_null(arena_of("constant"));
    ck_assert_ptr_null(arena_of((const void *)(uintptr_t)setup_confined));
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    munmap(pages, 1 << 20);
    free(heap);
}
END_TEST

START_TEST(test_of_wild_value_is_safe)
{
    uint64_t random = 42;
    size_t wrong = 0;

    expect_ok(arena_alloc(arena, 100));
    errno = ERRNO_UNTOUCHED;
    for (size_t i = 0; i < 300000; i++) {
        uintptr_t wild = random_next(&random) >> random_below(&random, 64);
        arena_t *found = arena_of((const void *)wild);

        wrong += found != NULL && found != arena;
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        uintptr_t wild = (uintptr_t)1 << bit;

        wrong += arena_of((const void *)wild) != NULL;
        wrong += arena_of((const void *)(wild - 1)) != NULL;
        wrong += arena_of((const void *)(0 - wild)) != NULL;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
}
END_TEST

START_TEST(test_of_places_around_an_arena_is_safe)
{
    size_t found_others = 0;
    char *block;

    expect_ok(block = arena_alloc(arena, 3 * MIB));
    for (uintptr_t offset = 0; offset < 512 * MIB; offset += 4093) {
        uintptr_t place = (uintptr_t)block;
        arena_t *above = arena_of((const void *)(place + offset));
        arena_t *below = arena_of((const void *)(place - offset));

        found_others += above != NULL && above != arena;
        found_others += below != NULL && below != arena;
        if (offset < 3 * MIB && above != arena)
            ck_abort_msg("not found at offset %zu", (size_t)offset);
    }
    ck_assert_uint_eq(found_others, 0);
}
END_TEST

static Suite *
memory_suite(void)
{
    Suite *suite = suite_create("memory");
    TCase *recycled = tcase_create("recycled");
    TCase *overlap = tcase_create("overlap");
    TCase *of = tcase_create("of");
    int sizes = (int)LENGTH(recycled_sizes);

    tcase_add_checked_fixture(recycled, setup_confined, teardown_arena);
    tcase_set_timeout(recycled, 30);
    tcase_add_loop_test(recycled, test_recycled_after_close_is_zero, 0, sizes);
    tcase_add_loop_test(recycled, test_recycled_after_reset_is_zero, 0, sizes);
    tcase_add_loop_test(recycled, test_recycled_by_other_sizes_is_zero, 0,
                        sizes);
    tcase_add_loop_test(recycled, test_recycled_in_every_zeroed_call_is_zero,
                        0, sizes);
    tcase_add_loop_test(
        recycled, test_recycled_in_turns_is_zero_and_leaves_neighbours, 0, 2);
    tcase_add_test(recycled, test_recycled_from_ended_thread_is_zero);
    tcase_add_test(recycled, test_recycled_after_trim_is_zero);
    suite_add_tcase(suite, recycled);

    tcase_add_checked_fixture(overlap, setup_confined, teardown_arena);
    tcase_set_timeout(overlap, 30);
    tcase_add_loop_test(overlap, test_overlap_random_blocks_are_disjoint, 0,
                        6);
    tcase_add_loop_test(overlap, test_overlap_resized_blocks_are_disjoint, 0,
                        6);
    tcase_add_test(overlap, test_overlap_two_arenas_in_turn_are_disjoint);
    suite_add_tcase(suite, overlap);

    tcase_add_checked_fixture(of, setup_confined, teardown_arena);
    tcase_set_timeout(of, 30);
    tcase_add_test(of, test_of_any_place_in_a_block_finds_arena);
    tcase_add_test(of, test_of_each_kind_finds_its_arena);
    tcase_add_test(of, test_of_closed_arena_finds_nothing);
    tcase_add_test(of, test_of_memory_of_others_finds_nothing);
    tcase_add_test(of, test_of_wild_value_is_safe);
    tcase_add_test(of, test_of_places_around_an_arena_is_safe);
    suite_add_tcase(suite, of);
    return suite;
}

int
main(void)
{
    return run_suite(memory_suite());
}
