/*
 * check_slab.c: heap blocks that are made of tiles: what keeps them, what
 * does not, and what becomes of their pages.
 */

#include <arena/heap.h>
#include <gc/gc.h>
#include <stdio.h>

#include "gc_harness.h"

#include "collector.h"
#include "magazine.h"
#include "sizeclass.h"
#include "slab.h"

#define MANY ((size_t)1200)

/* Of classes that consist of tiles: larger than half a page, and a fine one
 * that is used when blocks of such a size are many. */
static const size_t sizes[] = {4384, 1040};
static size_t block_size = 4384;

/* What the tests hold, and what they only remember. */
static char *volatile held[MANY];
static uintptr_t hidden[MANY];

/* As in a program that knows nothing of the collector. */
static void
setup(void)
{
    arenap_collector_prepare(SIGRTMAX - 2, SIGRTMAX - 1);
    expect_ok(arena_thread_attach());
    ck_assert(arenap_collector_has_tiles());
}

static bool
in_slab(uintptr_t address)
{
    uintptr_t base;
    size_t size;

    return arenap_slab_find(address, &base, &size);
}

static size_t
tiled(void)
{
    size_t count = 0;

    for (size_t i = 0; i < MANY; i++)
        count += in_slab(~hidden[i]);
    return count;
}

static size_t
held_in_slabs(void)
{
    size_t count = 0;

    for (size_t i = 0; i < MANY; i++)
        count += in_slab((uintptr_t)held[i]);
    return count;
}

/* What the slab says; only what was dropped is looked at. */
static void *
count_dead(void *out)
{
    size_t *dead = out;

    *dead = 0;
    for (size_t i = 0; i < MANY; i++)
        *dead += in_slab(~hidden[i])
                 && arenap_magazine_is_free(reveal(hidden[i]));
    return NULL;
}

static size_t
dead(void)
{
    size_t count;

    run_in_thread(count_dead, &count);
    return count;
}

/* Allocate all, and hold a pointer so many bytes into each every-th. */
struct plan {
    size_t every, inside;
    size_t chain; /* of so many, each points to the one before it, from its
                   * last word */
};

static void *
build_main(void *context)
{
    const struct plan *plan = context;
    char *last = NULL;

    for (size_t i = 0; i < MANY; i++) {
        char *block = arena_malloc(block_size);

        if (block == NULL)
            abort();
        hidden[i] = hide(block);
        fill_block(block, block_size - sizeof last, i);
        memcpy(block + block_size - sizeof last, &last, sizeof last);
        last = plan->chain != 0 && (i + 1) % plan->chain != 0 ? block : NULL;
        if (plan->every != 0 && i % plan->every == 0)
            held[i] = block + plan->inside;
    }
    last = NULL;
    scrub();
    return NULL;
}

static void
build(struct plan plan)
{
    run_in_thread(build_main, &plan);
    ck_assert_uint_gt(tiled(), MANY / 2);
}

static void *
count_damaged(void *out)
{
    size_t *damaged = out;

    *damaged = 0;
    for (size_t i = 0; i < MANY; i++)
        *damaged += held[i] != NULL
                    && !block_holds(reveal(hidden[i]),
                                    block_size - sizeof held[i], i);
    return NULL;
}

static void
expect_held_intact(void)
{
    size_t damaged;

    run_in_thread(count_damaged, &damaged);
    ck_assert_uint_eq(damaged, 0);
}

START_TEST(test_blocks_are_aligned_and_apart)
{
    block_size = sizes[_i];
    build((struct plan){1, 0, 0});
    for (size_t i = 0; i < MANY; i++) {
        ck_assert_uint_eq((uintptr_t)held[i] % ARENA_GRANULE, 0);
        if (in_slab((uintptr_t)held[i]))
            ck_assert_uint_eq(arena_usable_size(held[i]),
                              block_size == 1040 ? 1088 : 4608);
        for (size_t j = 0; j < i; j++)
            ck_assert(held[j] + block_size <= held[i]
                      || held[i] + block_size <= held[j]);
    }
}
END_TEST

/* In the first tile, in one amid the others, in the last. */
static const size_t insides[][LENGTH(sizes)] = {
    {0, 0}, {511, 63}, {512, 64}, {2000, 700}, {4383, 1039}};

START_TEST(test_pointer_anywhere_keeps_all_of_a_block)
{
    size_t which = (size_t)_i % LENGTH(sizes);

    block_size = sizes[which];
    build((struct plan){3, insides[(size_t)_i / LENGTH(sizes)][which], 0});
    collect_times(3);
    expect_held_intact();
    expect_nearly_all(dead(), tiled() - held_in_slabs());
    /* What died is had again, and nothing else. */
    run_in_thread(build_main, &(struct plan){0, 0, 0});
    expect_held_intact();
}
END_TEST

#define CHAIN ((size_t)25)

/* Dead blocks beside live ones, in the same pages, keep nothing. */
START_TEST(test_block_keeps_what_its_last_tile_points_to)
{
    size_t live = 0, lost = 0;

    block_size = sizes[_i];
    build((struct plan){0, 0, CHAIN});
    for (size_t i = CHAIN - 1; i < MANY; i += 2 * CHAIN)
        held[i] = reveal(hidden[i]);
    collect_times(3);
    for (size_t i = 0; i < MANY; i++)
        if (i / CHAIN % 2 == 0 && in_slab(~hidden[i])) {
            live++;
            lost += arenap_magazine_is_free(reveal(hidden[i]));
        }
    ck_assert_uint_eq(lost, 0);
    /* A chain or two may be kept by chance. */
    ck_assert_uint_ge(dead() + LEFT_MOST * CHAIN, tiled() - live);
}
END_TEST

static void *
free_all(void *unused)
{
    for (size_t i = 0; i < MANY; i++) {
        held[i] = NULL;
        arena_free(reveal(hidden[i]));
    }
    scrub();
    return unused;
}

START_TEST(test_pages_of_empty_slabs_are_given_back)
{
    size_t before;

    block_size = sizes[_i];
    build((struct plan){1, 0, 0});
    before = tiled();
    run_in_thread(free_all, NULL);
    collect_times(3);
    ck_assert_uint_ge(before - tiled() + 16, before); /* some are at hand */
    run_in_thread(build_main, &(struct plan){2, 100, 0});
    collect_times(2);
    expect_held_intact();
}
END_TEST

START_TEST(test_freed_again_is_refused)
{
    block_size = sizes[_i];
    build((struct plan){1, 0, 0});
    for (size_t i = 0; i < MANY; i++)
        arena_free(held[i]);
    for (size_t i = 0; i < MANY; i++) {
        errno = 0;
        arena_free(held[i]);
        ck_assert_int_eq(errno, EINVAL);
        errno = 0;
        arena_free(held[i] + 512);
        ck_assert_int_eq(errno, EINVAL);
    }
}
END_TEST

/* Free blocks that no collection can give back are no reason for one. */
START_TEST(test_blocks_between_others_are_not_collected_for)
{
    static char *volatile blocks[8000];
    uint64_t before;

    for (size_t i = 0; i < LENGTH(blocks); i++)
        blocks[i] = arena_malloc(block_size);
    for (size_t i = 0; i < LENGTH(blocks); i++)
        if (i % 8 != 0)
            arena_free(blocks[i]);
    collect_times(1);
    before = arenap_collector_count();
    for (size_t i = 0; i < LENGTH(blocks); i++)
        blocks[i] = arena_malloc(1300);
    ck_assert_uint_le(arenap_collector_count(), before + 2);
}
END_TEST

static void GC_CALLBACK
hear_nothing(GC_EventType event)
{
    (void)event;
}

/* A program may take the collector's events for itself, for a while: nothing
 * that lives is lost, and what dies is found when they are heard of again. */
START_TEST(test_collections_that_are_not_heard_of)
{
    GC_on_collection_event_proc ours = GC_get_on_collection_event();
    uint64_t before;

    block_size = sizes[_i];
    build((struct plan){1, 0, 0});
    GC_set_on_collection_event(hear_nothing);
    collect_times(2);
    for (size_t i = 0; i < MANY; i++) {
        if (i % 2 == 0)
            arena_free(held[i]);
        if (i % 4 != 1)
            held[i] = NULL;
    }
    before = arenap_collector_count();
    for (size_t i = 0; i < 8000; i++)
        (void)arena_malloc(1300);
    ck_assert_uint_le(arenap_collector_count(), before + 8);
    expect_held_intact();
    GC_set_on_collection_event(ours);
    collect_times(3);
    expect_held_intact();
    expect_nearly_all(dead(), tiled() - held_in_slabs());
}
END_TEST

/* Threads that take and give all sorts of sizes while others collect. */
static void *
churn_main(void *seed)
{
    uint64_t random = (uintptr_t)seed;
    struct {
        char *block;
        size_t size;
    } own[64] = {{NULL, 0}};

    for (size_t i = 0; i < 20000; i++) {
        size_t at = random_below(&random, 64);

        if (own[at].block != NULL
            && !block_holds(own[at].block, own[at].size, at))
            abort();
        if (i % 3 != 0) /* else it is left to the collector */
            arena_free(own[at].block);
        own[at].size =
            1025 + random_below(&random, i % 2 == 0 ? 1024 : 13000);
        own[at].block = arena_malloc(own[at].size);
        if (own[at].block == NULL)
            abort();
        fill_block(own[at].block, own[at].size, at);
        if (i % 500 == 0)
            arenap_collector_collect(arenap_thread_self());
    }
    return NULL;
}

START_TEST(test_contents_stay_in_many_threads)
{
    pthread_t thread[3];

    for (uintptr_t i = 0; i < LENGTH(thread); i++)
        ck_assert_int_eq(
            pthread_create(&thread[i], NULL, churn_main, (void *)(i + 1)), 0);
    for (size_t i = 0; i < LENGTH(thread); i++)
        pthread_join(thread[i], NULL);
}
END_TEST

/* What is asked of the system for so many bytes of live blocks. */
static void *
build_pages(void *in_use)
{
    size_t before = arenap_collector_in_use();

    build_main(&(struct plan){1, 0, 0});
    *(size_t *)in_use = arenap_collector_in_use() - before;
    return NULL;
}

/* A page has three of 1360 bytes. */
START_TEST(test_fine_class_takes_less_than_pages)
{
    size_t in_use;

    block_size = 1040;
    run_in_thread(build_pages, &in_use);
    ck_assert_uint_lt(in_use, MANY * 1200);
    ck_assert_uint_ge(in_use, MANY * block_size);
}
END_TEST

/* Too few for a class of their own. */
START_TEST(test_few_blocks_are_not_of_a_fine_class)
{
    for (size_t i = 0; i < MANY; i++) {
        char *block = arena_malloc(1040);

        ck_assert_uint_eq(arena_usable_size(block), 1360);
        arena_free(block);
    }
}
END_TEST

START_TEST(test_many_aligned_blocks_are_of_a_fine_class)
{
    size_t fine = 0;

    for (size_t i = 0; i < MANY; i++) {
        char *block = arena_aligned_alloc(64, 1300);

        ck_assert_uint_eq((uintptr_t)block % 64, 0);
        ck_assert_uint_ge(arena_usable_size(block), 1300);
        fine += arena_usable_size(block) == 1472;
        held[i] = block;
    }
    ck_assert_uint_ge(fine, MANY / 2);
    for (size_t i = 0; i < MANY; i++)
        arena_free(held[i]);
}
END_TEST

static size_t
smallest_aligned(size_t size, size_t align)
{
    size_t least = SIZE_MAX;

    for (unsigned class = 1; class < SIZECLASSES; class++) {
        size_t bytes = arenap_sizeclass[class].bytes;

        if (bytes >= size && bytes % align == 0 && bytes < least)
            least = bytes;
    }
    return least;
}

/* With the fine classes in use, and before. */
START_TEST(test_aligned_blocks_take_the_smallest_class)
{
    for (unsigned i = 1; i <= SIZECLASS_FINE && _i == 1; i++)
        arenap_sizeclass_use(SIZECLASS_SMALL + i);
    for (size_t align = 16; align <= ARENA_PAGE; align *= 2)
        for (size_t size = 1; size <= SIZECLASS_LAST; size++) {
            unsigned class = arenap_sizeclass_aligned(size, align);

            if (arenap_sizeclass[class].bytes
                != smallest_aligned(size, align))
                ck_abort_msg("%zu bytes, aligned to %zu: %u", size, align,
                             arenap_sizeclass[class].bytes);
        }
}
END_TEST

static Suite *
slab_suite(void)
{
    Suite *suite = suite_create("slab");
    TCase *blocks = tcase_create("blocks");

    tcase_add_checked_fixture(blocks, setup, NULL);
    tcase_set_timeout(blocks, 60);
    tcase_add_loop_test(blocks, test_blocks_are_aligned_and_apart, 0,
                        (int)LENGTH(sizes));
    tcase_add_loop_test(blocks, test_pointer_anywhere_keeps_all_of_a_block, 0,
                        (int)(LENGTH(insides) * LENGTH(sizes)));
    tcase_add_loop_test(blocks, test_block_keeps_what_its_last_tile_points_to,
                        0, (int)LENGTH(sizes));
    tcase_add_loop_test(blocks, test_pages_of_empty_slabs_are_given_back, 0,
                        (int)LENGTH(sizes));
    tcase_add_loop_test(blocks, test_freed_again_is_refused, 0,
                        (int)LENGTH(sizes));
    tcase_add_test(blocks, test_blocks_between_others_are_not_collected_for);
    tcase_add_loop_test(blocks, test_collections_that_are_not_heard_of, 0,
                        (int)LENGTH(sizes));
    tcase_add_test(blocks, test_contents_stay_in_many_threads);
    tcase_add_test(blocks, test_fine_class_takes_less_than_pages);
    tcase_add_test(blocks, test_few_blocks_are_not_of_a_fine_class);
    tcase_add_loop_test(blocks, test_aligned_blocks_take_the_smallest_class, 0,
                        2);
    tcase_add_test(blocks, test_many_aligned_blocks_are_of_a_fine_class);
    suite_add_tcase(suite, blocks);
    return suite;
}

int
main(void)
{
    return run_suite(slab_suite());
}
