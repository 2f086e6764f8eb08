/*
 * check_magazine.c: heap blocks that are kept at hand: their sizes, who gets
 * them, what a collection does with them, and blocks freed twice.
 *
 * The linker puts functions between the library and some of what it calls
 * (--wrap, see tests.am): memory is refused, or comes as it does when there is
 * little.
 */

#include <arena/heap.h>
#include <arena/phantom.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define GC_THREADS 1
#define GC_NO_THREAD_REDIRECTS 1
#include <gc/gc.h>
#include <gc/gc_mark.h>

#include "gc_harness.h"

#include "blockmap.h"
#include "collector.h"
#include "magazine.h"
#include "sizeclass.h"
#include "thread.h"

#define MOST 20000 /* blocks that a test holds at once */

static void *volatile held[MOST];

static void
setup(void)
{
    expect_ok(arena_thread_attach());
}

static size_t
at_hand(void)
{
    size_t count, bytes;

    arenap_magazine_figures(&count, &bytes);
    return count;
}

/* --- Memory that comes in another way --- */

static __thread struct {
    bool one_by_one;         /* the collector has no page of blocks left */
    bool armed;              /* a request is refused */
    unsigned long skip, all; /* after so many; and all that follow */
    unsigned long refused;
} shortage;

static bool
is_refused(void)
{
    if (!shortage.armed)
        return false;
    if (shortage.skip > 0) {
        shortage.skip--;
        return false;
    }
    if (shortage.refused > 0 && !shortage.all)
        return false;
    shortage.refused++;
    return true;
}

void *__real_arenap_os_meta(size_t size);
void *__real_GC_generic_malloc(size_t size, int kind);
void __real_GC_generic_malloc_many(size_t size, int kind, void **list);

void *__wrap_arenap_os_meta(size_t size);
void *__wrap_GC_generic_malloc(size_t size, int kind);
void __wrap_GC_generic_malloc_many(size_t size, int kind, void **list);

void *
__wrap_arenap_os_meta(size_t size)
{
    return is_refused() ? NULL : __real_arenap_os_meta(size);
}

void *
__wrap_GC_generic_malloc(size_t size, int kind)
{
    return is_refused() ? NULL : __real_GC_generic_malloc(size, kind);
}

/* Its last attempt is to allocate one block, to whose size it adds a byte. */
void
__wrap_GC_generic_malloc_many(size_t size, int kind, void **list)
{
    if (is_refused()) {
        *list = NULL;
    } else if (shortage.one_by_one) {
        *list = __real_GC_generic_malloc(size, kind);
        if (*list != NULL)
            *(void **)*list = NULL;
    } else {
        __real_GC_generic_malloc_many(size, kind, list);
    }
}

/* --- Holding blocks --- */

static int
compare(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

    return (x > y) - (x < y);
}

static bool
different(size_t count)
{
    uintptr_t *sorted = malloc(count * sizeof *sorted);
    bool same = sorted == NULL;

    for (size_t i = 0; i < count && !same; i++)
        sorted[i] = (uintptr_t)held[i];
    if (!same)
        qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 1; i < count && !same; i++)
        same = sorted[i] == sorted[i - 1];
    free(sorted);
    return !same;
}

static void
hold(size_t from, size_t to, size_t size)
{
    for (size_t i = from; i < to; i++) {
        void *block = arena_malloc(size);

        held[i] = block;
        if (block == NULL)
            ck_abort_msg("%s", arena_error());
        fill_block(block, size, i);
    }
}

static void
drop(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        arena_free(held[i]);
        held[i] = NULL;
    }
}

/* All that are held are different, and nobody has written to them. */
static void
expect_held(size_t count, size_t size)
{
    size_t damaged = 0;

    ck_assert(different(count));
    for (size_t i = 0; i < count; i++)
        damaged += !block_holds(held[i], size, i);
    ck_assert_uint_eq(damaged, 0);
}

static void
expect_nothing_twice(size_t size)
{
    size_t count = size > 4 * KIB ? 100 : 3000;

    hold(0, count, size);
    expect_held(count, size);
    drop(0, count);
}

/* --- Sizes --- */

START_TEST(test_class_is_the_smallest_that_is_large_enough)
{
    ck_assert_uint_eq(arenap_sizeclass_for(0), 1);
    for (size_t size = 1; size <= SIZECLASS_LAST; size++) {
        unsigned class = arenap_sizeclass_for(size);

        ck_assert_uint_lt(class, SIZECLASSES);
        ck_assert_uint_ge(arenap_sizeclass[class].bytes, size);
        ck_assert_uint_lt(arenap_sizeclass[class - 1].bytes, size);
    }
}
END_TEST

START_TEST(test_class_of_an_exact_size_is_found_and_no_other)
{
    for (size_t size = 1; size <= SIZECLASS_LAST + 5000; size++) {
        unsigned found = arenap_sizeclass_exact(size), class = 0;

        for (unsigned i = 1; i < SIZECLASSES; i++)
            if (arenap_sizeclass[i].bytes == size)
                class = i;
        ck_assert_uint_eq(found, class);
    }
}
END_TEST

START_TEST(test_class_begins_only_where_a_whole_block_lies)
{
    for (unsigned class = 0; class < SIZECLASSES; class++) {
        size_t bytes = arenap_sizeclass[class].bytes;

        for (uintptr_t offset = 0; offset < ARENA_PAGE; offset++) {
            bool begins = class != SIZECLASS_NONE
                          && !arenap_sizeclass_is_tiled(class)
                          && offset % bytes == 0
                          && (offset == 0 || offset + bytes <= ARENA_PAGE);

            ck_assert(arenap_sizeclass_begins(class, 7 * ARENA_PAGE + offset)
                      == begins);
        }
    }
}
END_TEST

START_TEST(test_class_for_an_alignment_has_only_aligned_blocks)
{
    size_t wrong = 0;

    for (size_t align = 1; align <= ARENA_PAGE; align *= 2)
        for (size_t size = 0; size <= SIZECLASS_LAST; size++) {
            size_t bytes =
                arenap_sizeclass[arenap_sizeclass_aligned(size, align)].bytes;

            wrong += bytes < size || bytes == 0 || bytes % align != 0;
        }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(arenap_sizeclass_aligned(SIZECLASS_LAST + 1, 16), 0);
    ck_assert_uint_eq(arenap_sizeclass_aligned(1, 2 * ARENA_PAGE), 0);
}
END_TEST

/* Around each border of a class. */
START_TEST(test_block_has_the_room_that_was_asked_for)
{
    for (unsigned class = 1; class < SIZECLASSES; class++)
        for (size_t i = 0; i < 3; i++) {
            size_t size = arenap_sizeclass[class].bytes + i - 1;

            hold(0, 20, size);
            expect_held(20, size);
            for (size_t j = 0; j < 20; j++) {
                ck_assert_uint_ge(arena_usable_size(held[j]), size);
                ck_assert(is_aligned(held[j], ARENA_GRANULE));
            }
            drop(0, 20);
        }
}
END_TEST

static void *
make_aligned(void *arg)
{
    shortage.one_by_one = arg != NULL;
    for (size_t align = 32; align <= 4 * ARENA_PAGE; align *= 2)
        for (size_t size = 1; size <= 5000; size += size / 3 + 1) {
            for (size_t i = 0; i < 20; i++)
                held[i] = arena_aligned_alloc(align, size);
            for (size_t i = 0; i < 20; i++) {
                if (held[i] == NULL || !is_aligned(held[i], align)
                    || arena_usable_size(held[i]) < size)
                    return "misaligned";
                memset(held[i], 0xff, size);
            }
            errno = 0;
            drop(0, 20);
            if (errno != 0)
                return "not freed";
        }
    return NULL;
}

START_TEST(test_aligned_block_is_aligned_however_it_comes)
{
    ck_assert_str_eq(make_aligned(NULL) == NULL ? "good" : "bad", "good");
    ck_assert(run_in_thread(make_aligned, &shortage) == NULL);
}
END_TEST

/* --- At hand --- */

START_TEST(test_last_block_freed_is_the_first_to_be_used_again)
{
    for (unsigned class = 1; class < SIZECLASSES; class++) {
        size_t size = arenap_sizeclass[class].bytes;
        uintptr_t a, b;

        hold(0, 2, size);
        a = hide(held[0]);
        b = hide(held[1]);
        drop(0, 2);
        hold(0, 2, size);
        ck_assert(hide(held[0]) == b);
        ck_assert(hide(held[1]) == a);
        drop(0, 2);
    }
}
END_TEST

static void *
use_and_free(void *arg)
{
    size_t *size = arg;

    for (size_t i = 0; i < 5000; i++)
        held[i] = arena_malloc(*size);
    drop(0, 5000);
    return NULL;
}

START_TEST(test_end_of_a_thread_gives_its_blocks_to_others)
{
    static const size_t sizes[] = {16, 80, 500, 2048};
    uint64_t allocated = 0;

    for (size_t i = 0; i < LENGTH(sizes); i++) {
        size_t size = sizes[i], before;

        run_in_thread(use_and_free, &size);
        before = at_hand();
        ck_assert_uint_ge(before, 5000 - 5000 / 8);
        allocated = usage_now().heap.reserved;
        hold(0, 4000, size);
        ck_assert_uint_le(at_hand(), before - 4000);
        ck_assert_uint_le(usage_now().heap.reserved, allocated + 64 * KIB);
        expect_held(4000, size);
        drop(0, 4000);
    }
}
END_TEST

START_TEST(test_usage_counts_every_block)
{
    for (unsigned class = 1; class < SIZECLASSES; class++) {
        size_t bytes = arenap_sizeclass[class].bytes;
        size_t count = bytes > 4096 ? 50 : 500;
        arena_usage_t before, now;

        shortage.one_by_one = class % 2 != 0;
        before = usage_now();
        hold(0, count, bytes);
        now = usage_now();
        ck_assert_uint_eq(now.heap.count - before.heap.count, count);
        ck_assert_uint_ge(now.heap.requested - before.heap.requested,
                          count * bytes);
        ck_assert_uint_ge(now.heap.reserved, now.heap.requested);
        drop(0, count);
        now = usage_now();
        ck_assert_uint_eq(now.heap.count, before.heap.count);
        ck_assert_uint_eq(now.heap.requested, before.heap.requested);
    }
    shortage.one_by_one = false;
}
END_TEST

START_TEST(test_calloc_after_dirty_frees_is_zero)
{
    static const size_t sizes[] = {1,       16,        100,        2048,
                                   2049,    30000,     MIB - 1,    MIB,
                                   MIB + 1, 3 * MIB + 17, 5000000};

    for (size_t i = 0; i < LENGTH(sizes); i++)
        for (size_t round = 0; round < 5; round++) {
            char *block = arena_malloc(sizes[i]);

            ck_assert_ptr_nonnull(block);
            memset(block, 0xa5, arena_usable_size(block));
            arena_free(block);
            block = arena_calloc(1, sizes[i]);
            ck_assert_ptr_nonnull(block);
            ck_assert(block_is_zero(block, sizes[i]));
            arena_free(block);
        }
}
END_TEST

/* --- Freeing what is free --- */

#define expect_refused(block, part)                                           \
    do {                                                                      \
        errno = 0;                                                            \
        arena_free(block);                                                    \
        ck_assert_int_eq(errno, EINVAL);                                      \
        ck_assert_msg(strstr(arena_error(), (part)) != NULL, "%s",            \
                      arena_error());                                         \
    } while (0)

static const size_t freed_sizes[] = {1, 16, 24, 100, 1000, 2048, 2049, 30000};

START_TEST(test_freed_again_at_hand_is_refused)
{
    for (size_t i = 0; i < LENGTH(freed_sizes); i++) {
        hold(0, 1, freed_sizes[i]);
        arena_free(held[0]);
        for (size_t j = 0; j < 3; j++)
            expect_refused(held[0], "has been freed already");
        expect_nothing_twice(freed_sizes[i]);
    }
}
END_TEST

static void *
free_again_main(void *arg)
{
    errno = 0;
    arena_free(arg);
    return errno == EINVAL ? NULL : arg;
}

START_TEST(test_freed_again_by_another_thread_is_refused)
{
    for (size_t i = 0; i < LENGTH(freed_sizes); i++) {
        hold(0, 1, freed_sizes[i]);
        arena_free(held[0]);
        ck_assert(run_in_thread(free_again_main, held[0]) == NULL);
        expect_nothing_twice(freed_sizes[i]);
    }
}
END_TEST

static void *
free_many_main(void *arg)
{
    for (size_t i = 0; i < 1000; i++)
        arena_free(held[i]);
    return arg;
}

static void
expect_many_refused(size_t size)
{
    for (size_t i = 0; i < 1000; i++)
        expect_refused(held[i], size > 2048 ? "free" : "freed already");
}

START_TEST(test_freed_again_in_the_depot_is_refused)
{
    for (size_t i = 0; i < LENGTH(freed_sizes); i++) {
        hold(0, 1000, freed_sizes[i]);
        run_in_thread(free_many_main, NULL);
        expect_many_refused(freed_sizes[i]);
        expect_nothing_twice(freed_sizes[i]);
    }
}
END_TEST

/* Some other block of each page is kept. */
START_TEST(test_freed_again_after_a_collection_is_refused)
{
    for (size_t i = 0; collects() && freed_sizes[i] <= 1000; i++) {
        hold(0, 2000, freed_sizes[i]);
        for (size_t j = 0; j < 2000; j += 2)
            arena_free(held[j]);
        collect_scrubbed();
        for (size_t j = 0; j < 2000; j += 2)
            expect_refused(held[j], "freed already");
        expect_nothing_twice(freed_sizes[i]);
    }
}
END_TEST

START_TEST(test_freed_again_large_or_aligned_is_refused)
{
    void *large, *aligned;

    expect_ok(large = arena_malloc(100 * KIB));
    expect_ok(aligned = arena_aligned_alloc(8 * KIB, 100));
    arena_free(large);
    expect_refused(large, "not the start of a block");
    arena_free(aligned);
    expect_refused(aligned, "freed already");
    expect_nothing_twice(100 * KIB);
    expect_nothing_twice(8 * KIB + 116);
}
END_TEST

/* Of 1024 bytes and one more the collector makes 1344, which no class has. */
START_TEST(test_freed_again_of_a_size_without_a_class_is_refused)
{
    shortage.one_by_one = true;
    hold(0, 200, 1000);
    shortage.one_by_one = false;
    for (size_t i = 0; i < 200; i++) {
        arena_free(held[i]);
        expect_refused(held[i], "freed already");
    }
    for (size_t i = 0; i < 200; i++)
        expect_refused(held[i], "freed already");
    expect_nothing_twice(1000);
    collect_scrubbed();
    expect_nothing_twice(1000);
}
END_TEST

static void *
free_twice_main(void *refused)
{
    hold(0, 200, 100);
    for (size_t i = 0; i < 200; i++) {
        arena_free(held[i]);
        errno = 0;
        arena_free(held[i]);
        *(size_t *)refused += errno == EINVAL;
    }
    return NULL;
}

/* It has no blocks at hand. */
START_TEST(test_freed_again_by_a_thread_of_the_programs_is_refused)
{
    size_t refused = 0;
    pthread_t thread;

    if (!collects())
        return;
    ck_assert_int_eq(
        GC_pthread_create(&thread, NULL, free_twice_main, &refused), 0);
    ck_assert_int_eq(GC_pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(refused, 200);
    expect_nothing_twice(100);
}
END_TEST

/* It came with others of its page. */
START_TEST(test_freed_before_it_was_used_is_refused)
{
    struct bin *bin;
    uint32_t count;

    hold(0, 1, 480);
    bin = &arenap_tls.record->bins.class[arenap_sizeclass_for(480)];
    count = atomic_load(&bin->count);
    ck_assert_uint_gt(count, 0);
    for (uint32_t i = 0; i < count; i++)
        expect_refused(atomic_load(&bin->slot)[i], "freed already");
    expect_nothing_twice(480);
}
END_TEST

/* 85 of 48 bytes are less than a page. */
START_TEST(test_freed_where_no_block_begins_is_refused)
{
    char *page;

    hold(0, 1, 48);
    page = (char *)((uintptr_t)held[0] & ~(uintptr_t)(ARENA_PAGE - 1));
    expect_refused(page + 85 * 48, "not the start of a block");
    expect_refused((char *)held[0] + 16, "not the start of a block");
    drop(0, 1);
}
END_TEST

/* What a free block holds may be copied by a program that copies more than it
 * has initialised. */
START_TEST(test_copy_of_a_free_block_is_not_free)
{
    hold(0, 2, 100);
    arena_free(held[0]);
    memcpy(held[1], held[0], 100);
    errno = 0;
    ck_assert_uint_ge(arena_usable_size(held[1]), 100);
    arena_free(held[1]);
    ck_assert_int_eq(errno, 0);
}
END_TEST

/* --- Collections --- */

START_TEST(test_collection_keeps_what_is_at_hand_and_drops_the_depot)
{
    size_t size = 64, before, own;
    size_t reserved;

    if (!collects())
        return;
    collect_times(2);
    reserved = usage_now().heap.reserved;
    hold(0, 100, size);
    drop(0, 100);
    own = at_hand();
    for (size_t i = 0; i < 20; i++)
        hold(i * 1000, (i + 1) * 1000, 400);
    run_in_thread(free_many_main, NULL);
    drop(1000, MOST);
    before = at_hand();
    ck_assert_uint_ge(before, MOST);
    collect_scrubbed();
    hold(0, 1, 700); /* of a new class: it looks into the depot */
    ck_assert_uint_le(at_hand(), own + 500);
    ck_assert_uint_ge(at_hand(), 50);
    ck_assert_uint_le(usage_now().heap.reserved, reserved + 2 * MIB);
    drop(0, 1);
    expect_nothing_twice(400);
    expect_nothing_twice(size);
}
END_TEST

static void *
hold_every_second_main(void *unused)
{
    for (size_t i = 0; i < 2 * (size_t)MOST; i++) {
        void *block = arena_malloc(400);

        if (i % 2 == 0)
            held[i / 2] = block;
    }
    return unused;
}

/* Where every second block died, others come. */
START_TEST(test_collection_finds_room_between_blocks_in_use)
{
    size_t reserved;

    if (!collects())
        return;
    run_in_thread(hold_every_second_main, NULL);
    collect_times(2);
    reserved = usage_now().heap.reserved;
    for (size_t i = 0; i < MOST / 2; i++)
        ck_assert_ptr_nonnull(arena_malloc(400));
    ck_assert_uint_le(usage_now().heap.reserved, reserved + 2 * MIB);
}
END_TEST

static atomic_size_t deaths;
static pthread_barrier_t meet;

static void
count_death(void *arg)
{
    (void)arg;
    atomic_fetch_add(&deaths, 1);
}

/* Blocks whose only pointers are in blocks that this thread has at hand. */
static void *
keep_nothing_main(void *arg)
{
    for (size_t i = 0; i < 100; i++) {
        void **block = arena_calloc(1, 200);

        block[5] = arena_calloc(1, 500);
        (void)arena_cleaner_register(block[5], count_death, NULL);
        held[i] = block;
    }
    drop(0, 100);
    scrub();
    barrier_wait(&meet);
    barrier_wait(&meet);
    return arg;
}

START_TEST(test_block_at_hand_keeps_nothing_alive)
{
    pthread_t thread;

    if (!collects())
        return;
    barrier_init(&meet, 2);
    thread = start_thread(keep_nothing_main, NULL);
    barrier_wait(&meet);
    collect_times(3);
    /* With a sanitizer the collector's tables are searched, which have the
     * addresses of pages: the first block of each stays. */
    ck_assert_uint_ge(atomic_load(&deaths), 80);
    barrier_wait(&meet);
    join_thread(thread);
}
END_TEST

static void *
idle_main(void *arg)
{
    size_t *size = arg;
    bool good;

    for (size_t i = 0; i < 3000; i++)
        held[i] = arena_malloc(*size);
    for (size_t i = 0; i < 3000; i++)
        arena_free(held[i]);
    memset((void *)held, 0, sizeof held);
    barrier_wait(&meet); /* now there are blocks at hand here */
    barrier_wait(&meet); /* others hold half of the table */
    for (size_t i = 10000; i < 12000; i++) {
        held[i] = arena_malloc(*size);
        memset(held[i], 0x5a, *size);
    }
    good = true;
    for (size_t i = 0; i < 10000; i++)
        good &= block_holds(held[i], *size, i);
    return good ? NULL : arg;
}

static uint64_t cycle_before;

/* All threads' blocks have been marked: that was it. */
static int GC_CALLBACK
stop_early(void)
{
    struct thread *t = arenap_thread_first();

    for (; t != NULL; t = t->next)
        if (atomic_load(&t->bins.cycle) > cycle_before)
            return 1;
    return 0;
}

static GC_push_other_roots_proc found_roots;

/* What the hooks find, and so call, if they are not there. */
static void
lose_hooks(void)
{
    GC_set_push_other_roots(found_roots);
    GC_set_start_callback(NULL);
}

static void
collect_abandoned(void)
{
    cycle_before = arenap_collector_cycle();
    ck_assert_int_eq(GC_try_to_collect(stop_early), 0);
    ck_assert_uint_eq(arenap_collector_cycle(), cycle_before);
    GC_gcollect();
}

static void
collect_unnoticed(void)
{
    cycle_before = arenap_collector_cycle();
    lose_hooks();
    GC_gcollect();
    GC_gcollect();
    ck_assert_uint_eq(arenap_collector_cycle(), cycle_before + 2);
}

static void
collect_partly_unnoticed(void)
{
    collect_unnoticed();
    arena_collect();
}

static void (*const odd_collections[])(void) = {
    collect_scrubbed, collect_abandoned, collect_unnoticed,
    collect_partly_unnoticed,
};

/* A thread has blocks at hand, and sleeps while that happens; and so has the
 * thread that lets it happen. */
START_TEST(test_collection_of_any_sort_hands_nothing_out_twice)
{
    size_t size = 112;
    pthread_t thread;

    if (!collects())
        return;
    arena_free(arena_malloc(size));
    barrier_init(&meet, 2);
    thread = start_thread(idle_main, &size);
    barrier_wait(&meet);
    hold(15000, 17000, size);
    drop(15000, 17000);
    odd_collections[_i]();
    hold(0, 10000, size);
    barrier_wait(&meet);
    ck_assert(join_thread(thread) == NULL);
    ck_assert(different(12000 < MOST ? 12000 : MOST));
    arenap_collector_rehook();
}
END_TEST

static void
setup_odd(void)
{
    GC_INIT();
    found_roots = GC_get_push_other_roots();
    setup();
}

/* Once the depot was dropped nothing is idle; also if nobody looks into it. */
START_TEST(test_collection_for_idle_blocks_happens_once)
{
    uint64_t before;

    if (!collects())
        return;
    for (size_t round = 0; round < 10; round++) {
        for (size_t i = 0; i < MOST; i++)
            held[i] = arena_malloc(1300);
        drop(0, MOST);
    }
    before = arenap_collector_count();
    for (size_t i = 0; i < MOST; i++)
        held[i] = arena_malloc(400);
    ck_assert_uint_le(arenap_collector_count(), before + 2);
    drop(0, MOST);
}
END_TEST

/* --- Many threads --- */

#define TEAM 4
#define SLOTS 300
#define BOXES 64

struct parcel {
    uint32_t size, seed;
};

static struct parcel *volatile slots[TEAM][SLOTS];
static _Atomic(struct parcel *) boxes[BOXES];
static atomic_size_t damaged;

static size_t
any_size(uint64_t *state)
{
    size_t dice = random_below(state, 100);

    if (dice < 80)
        return sizeof(struct parcel) + random_below(state, 600);
    if (dice < 97)
        return sizeof(struct parcel) + random_below(state, 6 * KIB);
    return sizeof(struct parcel) + random_below(state, 100 * KIB);
}

static void
parcel_write(struct parcel *block, size_t size, uint64_t *state)
{
    block->size = (uint32_t)size;
    block->seed = (uint32_t)random_next(state);
    fill_block(block + 1, size - sizeof *block, block->seed);
}

static void
parcel_check(struct parcel *block)
{
    if (block->size < sizeof *block
        || !block_holds(block + 1, block->size - sizeof *block, block->seed))
        atomic_fetch_add(&damaged, 1);
}

static struct parcel *
parcel_make(uint64_t *state)
{
    size_t size = any_size(state), dice = random_below(state, 10);
    struct parcel *block;

    if (dice == 0)
        block = arena_aligned_alloc((size_t)16 << random_below(state, 10),
                                    size);
    else if (dice == 1)
        block = arena_calloc(1, size);
    else
        block = arena_malloc(size);
    if (block == NULL || (dice == 1 && !block_is_zero(block, size)))
        atomic_fetch_add(&damaged, 1);
    if (block != NULL)
        parcel_write(block, size, state);
    return block;
}

static struct parcel *
parcel_resize(struct parcel *block, uint64_t *state)
{
    size_t size = any_size(state), kept = block->size;
    struct parcel *moved = arena_realloc(block, size);

    if (moved == NULL) {
        atomic_fetch_add(&damaged, 1);
        return block;
    }
    if (size >= kept)
        parcel_check(moved);
    parcel_write(moved, size, state);
    return moved;
}

static void
team_step(struct parcel *volatile *slot, uint64_t *state)
{
    size_t dice = random_below(state, 10);

    if (*slot == NULL) {
        *slot = parcel_make(state);
        return;
    }
    parcel_check(*slot);
    if (dice < 2) {
        *slot = atomic_exchange(&boxes[random_below(state, BOXES)], *slot);
    } else if (dice < 4) {
        *slot = parcel_resize(*slot, state);
    } else if (dice < 5) {
        *slot = NULL; /* left to the collector */
    } else {
        arena_free(*slot);
        *slot = parcel_make(state);
    }
}

static void
team_main(void *unused, size_t index)
{
    size_t steps = test_scaled(30000);
    uint64_t state = index + 1;

    (void)unused;
    for (size_t i = 0; i < steps; i++) {
        team_step(&slots[index][random_below(&state, SLOTS)], &state);
        if (index == 0 && i % (steps / 20) == 0)
            arena_collect();
    }
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[index][i] != NULL)
            parcel_check(slots[index][i]);
}

START_TEST(test_contents_stay_in_many_threads)
{
    for (size_t round = 0; round < 2; round++)
        run_team(TEAM, team_main, NULL);
    ck_assert_uint_eq(atomic_load(&damaged), 0);
}
END_TEST

/* --- Fork --- */

static atomic_bool stop;

static void *
busy_main(void *arg)
{
    uint64_t state = *(size_t *)arg + 1;

    while (!atomic_load(&stop)) {
        void *large = arena_malloc(40 * KIB);
        void *small[20];

        for (size_t i = 0; i < LENGTH(small); i++)
            small[i] = arena_malloc(random_below(&state, 3000));
        for (size_t i = 0; i < LENGTH(small); i++)
            arena_free(small[i]);
        arena_free(large);
    }
    return NULL;
}

/* What is wrong in the child, as its exit status. */
static int
child_main(void)
{
    size_t charged;

    for (unsigned class = 1; class < SIZECLASSES; class++) {
        size_t bytes = arenap_sizeclass[class].bytes;

        for (size_t i = 0; i < 300; i++) {
            if ((held[i] = arena_malloc(bytes)) == NULL)
                return 1;
            fill_block(held[i], bytes, i);
        }
        if (!different(300))
            return 2;
        for (size_t i = 0; i < 300; i++)
            if (!block_holds(held[i], bytes, i))
                return 3;
        if (class % 10 == 0)
            arena_collect();
        drop(0, 300);
    }
    arena_collect();
    charged = usage_now().heap.reserved;
    for (size_t i = 0; i < 1000; i++)
        arena_free(arena_malloc(50 * KIB));
    return usage_now().heap.reserved > charged + 4 * MIB ? 4 : 0;
}

START_TEST(test_fork_with_blocks_at_hand_child_and_parent_go_on)
{
    size_t index[3] = {0, 1, 2};
    pthread_t threads[3];

    for (size_t i = 0; i < 3; i++)
        threads[i] = start_thread(busy_main, &index[i]);
    for (size_t i = 0; i < 4; i++) {
        pid_t child;
        int status;

        arena_free(arena_malloc(100));
        child = fork();
        if (child == 0)
            _exit(child_main());
        ck_assert_int_gt(child, 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        hold(0, 1000, 100);
        expect_held(1000, 100);
        drop(0, 1000);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 3; i++)
        join_thread(threads[i]);
}
END_TEST

/* --- Shortage --- */

/* Allocate and free in a thread that has nothing at hand yet. */
static void *
short_main(void *arg)
{
    const unsigned long *skip = arg;
    const char *wrong = NULL;
    size_t failures = 0;

    shortage.skip = *skip / 2;
    shortage.all = *skip % 2;
    shortage.refused = 0;
    shortage.armed = true;
    for (size_t i = 0; i < 2000; i++) {
        size_t size = i % 4 == 0 ? 5000 : 16 * (i % 40);

        errno = 0;
        held[i] = arena_malloc(size);
        if (held[i] == NULL && errno != ENOMEM)
            wrong = "errno is not ENOMEM";
        if (held[i] == NULL && ++failures == 3)
            shortage.armed = false; /* each took a collection */
        if (held[i] != NULL)
            fill_block(held[i], size, i);
    }
    for (size_t i = 0; i < 2000; i++) {
        size_t size = i % 4 == 0 ? 5000 : 16 * (i % 40);

        if (held[i] != NULL && !block_holds(held[i], size, i))
            wrong = "damaged";
    }
    errno = 0;
    drop(0, 2000);
    if (errno != 0)
        wrong = "a block was not freed";
    shortage.armed = false;
    return (void *)wrong;
}

START_TEST(test_memory_refused_at_any_place_leaves_all_well)
{
    for (unsigned long i = 0; i < 60; i++) {
        unsigned long skip = i < 40 ? i : i * i - 1500;
        size_t count = usage_now().heap.count;
        const char *wrong = run_in_thread(short_main, &skip);

        ck_assert_msg(wrong == NULL, "after %lu: %s", skip / 2, wrong);
        ck_assert_uint_eq(usage_now().heap.count, count);
    }
    expect_nothing_twice(64);
}
END_TEST

/* --- */

static TCase *
sizes_case(void)
{
    TCase *sizes = tcase_create("sizes");

    tcase_add_checked_fixture(sizes, setup, NULL);
    tcase_set_timeout(sizes, 60);
    tcase_add_test(sizes, test_class_is_the_smallest_that_is_large_enough);
    tcase_add_test(sizes, test_class_of_an_exact_size_is_found_and_no_other);
    tcase_add_test(sizes,
                   test_class_begins_only_where_a_whole_block_lies);
    tcase_add_test(sizes,
                   test_class_for_an_alignment_has_only_aligned_blocks);
    tcase_add_test(sizes, test_block_has_the_room_that_was_asked_for);
    tcase_add_test(sizes, test_aligned_block_is_aligned_however_it_comes);
    tcase_add_test(sizes, test_calloc_after_dirty_frees_is_zero);
    return sizes;
}

static TCase *
at_hand_case(void)
{
    TCase *at = tcase_create("at hand");

    tcase_add_checked_fixture(at, setup, NULL);
    tcase_set_timeout(at, 60);
    tcase_add_test(at, test_last_block_freed_is_the_first_to_be_used_again);
    tcase_add_test(at, test_end_of_a_thread_gives_its_blocks_to_others);
    tcase_add_test(at, test_usage_counts_every_block);
    tcase_add_test(at, test_freed_before_it_was_used_is_refused);
    return at;
}

static TCase *
freed_case(void)
{
    TCase *freed = tcase_create("freed again");

    tcase_add_checked_fixture(freed, setup, NULL);
    tcase_set_timeout(freed, 60);
    tcase_add_test(freed, test_freed_again_at_hand_is_refused);
    tcase_add_test(freed, test_freed_again_by_another_thread_is_refused);
    tcase_add_test(freed, test_freed_again_in_the_depot_is_refused);
    tcase_add_test(freed, test_freed_again_after_a_collection_is_refused);
    tcase_add_test(freed, test_freed_again_large_or_aligned_is_refused);
    tcase_add_test(freed,
                   test_freed_again_of_a_size_without_a_class_is_refused);
    tcase_add_test(freed,
                   test_freed_again_by_a_thread_of_the_programs_is_refused);
    tcase_add_test(freed, test_freed_where_no_block_begins_is_refused);
    tcase_add_test(freed, test_copy_of_a_free_block_is_not_free);
    return freed;
}

static TCase *
collections_case(void)
{
    TCase *collections = tcase_create("collections");

    tcase_add_checked_fixture(collections, setup_odd, NULL);
    tcase_set_timeout(collections, 60);
    tcase_add_test(
        collections,
        test_collection_keeps_what_is_at_hand_and_drops_the_depot);
    tcase_add_test(collections,
                   test_collection_finds_room_between_blocks_in_use);
    tcase_add_test(collections, test_block_at_hand_keeps_nothing_alive);
    tcase_add_loop_test(collections,
                        test_collection_of_any_sort_hands_nothing_out_twice,
                        0, (int)LENGTH(odd_collections));
    tcase_add_test(collections,
                   test_collection_for_idle_blocks_happens_once);
    return collections;
}

static TCase *
threads_case(void)
{
    TCase *threads = tcase_create("threads");

    tcase_add_checked_fixture(threads, setup, NULL);
    tcase_set_timeout(threads, 120);
    tcase_add_test(threads, test_contents_stay_in_many_threads);
    tcase_add_test(threads,
                   test_memory_refused_at_any_place_leaves_all_well);
    tcase_add_test(threads,
                   test_fork_with_blocks_at_hand_child_and_parent_go_on);
    return threads;
}

static Suite *
magazine_suite(void)
{
    Suite *suite = suite_create("magazine");

    suite_add_tcase(suite, sizes_case());
    suite_add_tcase(suite, freed_case());
    suite_add_tcase(suite, collections_case());
    suite_add_tcase(suite, threads_case());
    suite_add_tcase(suite, at_hand_case());
    return suite;
}

int
main(void)
{
    return run_suite(magazine_suite());
}
