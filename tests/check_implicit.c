/* check_implicit.c: the implicit arena, where each block is freed by itself,
 * by the collector or by arena_free. */

#include "gc_harness.h"

static arena_usage_t base;

static void
setup(void)
{
    expect_ok(arena_thread_attach());
    collect_times(3);
    base = usage_now();
}

/* What the implicit arena holds more than at the start. */
static size_t
blocks_held(void)
{
    arena_usage_t now = usage_now();

    return POOL(now, ARENA_IMPLICIT).count - POOL(base, ARENA_IMPLICIT).count;
}

static size_t
bytes_requested(void)
{
    arena_usage_t now = usage_now();

    return POOL(now, ARENA_IMPLICIT).requested
           - POOL(base, ARENA_IMPLICIT).requested;
}

static size_t
bytes_reserved(void)
{
    arena_usage_t now = usage_now();

    return POOL(now, ARENA_IMPLICIT).reserved
           - POOL(base, ARENA_IMPLICIT).reserved;
}

static const size_t block_sizes[] = {1,    16,   17,   24,   48,      100,
                                     255,  256,  431,  448,  512,     1000,
                                     2032, 2048, 2049, 4096, 10000,   65535,
                                     65536, 300000, 1048576};

/* --- Arena --- */

START_TEST(test_arena_is_one_and_of_its_kind)
{
    arena_t *arena;

    expect_ok(arena = arena_implicit());
    ck_assert_ptr_eq(arena, arena_implicit());
    ck_assert_ptr_eq(arena, arena_open(ARENA_IMPLICIT, NULL));
    ck_assert_int_eq(arena_kind(arena), ARENA_IMPLICIT);
    ck_assert(arena_is_alive(arena));
    ck_assert(arena_is_accessible(arena));
    expect_ok(arena_acquire(arena));
    expect_ok(arena_release(arena));
}
END_TEST

static void
ignore(void *arg)
{
    (void)arg;
}

START_TEST(test_arena_does_not_offer_closing)
{
    arena_t *arena = arena_implicit();
    arena_mark_t mark;

    expect_fail(arena_close(arena), ENOTSUP, "");
    expect_fail(arena_close_wait(arena, 0), ENOTSUP, "");
    expect_fail(arena_reset(arena), ENOTSUP, "");
    expect_fail(arena_mark(arena, &mark), ENOTSUP, "");
    expect_fail(arena_on_close(arena, ignore, NULL), ENOTSUP, "");
    expect_fail(arena_adopt(arena), ENOTSUP, "");
    ck_assert_ptr_nonnull(arena_alloc(arena, 10));
}
END_TEST

START_TEST(test_null_means_implicit_in_allocation_calls_only)
{
    arena_mark_t mark;

    ck_assert_ptr_eq(arena_of(arena_alloc(NULL, 10)), arena_implicit());
    expect_fail(arena_reset(NULL), EINVAL, "");
    expect_fail(arena_mark(NULL, &mark), EINVAL, "");
    expect_fail(arena_on_close(NULL, ignore, NULL), EINVAL, "");
    expect_fail(arena_adopt(NULL), EINVAL, "");
    expect_fail(arena_acquire(NULL), EINVAL, "");
    expect_fail(arena_release(NULL), EINVAL, "");
}
END_TEST

/* --- Alloc --- */

START_TEST(test_alloc_any_size_is_zero_aligned_and_counted)
{
    size_t size = block_sizes[_i];
    arena_t *arena = _i % 2 == 0 ? NULL : arena_implicit();
    char *block;

    expect_ok(block = arena_alloc(arena, size));
    ck_assert(is_aligned(block, _Alignof(max_align_t)));
    ck_assert(block_is_zero(block, size));
    ck_assert_uint_eq(blocks_held(), 1);
    ck_assert_uint_eq(bytes_requested(), size);
    ck_assert_uint_ge(bytes_reserved(), size);
    ck_assert_ptr_eq(arena_of(block), arena_implicit());
    ck_assert_ptr_eq(arena_of(block + size / 2), arena_implicit());
    ck_assert_ptr_eq(arena_of(block + size - 1), arena_implicit());
    fill_block(block, size, 3);
    collect_times(3);
    ck_assert(block_holds(block, size, 3));
    expect_ok((arena_free(block), 0));
    expect_usage(base);
}
END_TEST

START_TEST(test_alloc_of_nothing_is_distinct)
{
    struct extent extents[300];

    for (size_t i = 0; i < LENGTH(extents); i++) {
        char *block = arena_alloc(NULL, opaque_size(0));

        ck_assert_ptr_nonnull(block);
        ck_assert(is_aligned(block, _Alignof(max_align_t)));
        extents[i] = (struct extent){block, 0};
    }
    ck_assert_uint_eq(blocks_held(), LENGTH(extents));
    ck_assert(extents_disjoint(extents, LENGTH(extents)));
    for (size_t i = 0; i < LENGTH(extents); i++)
        arena_free((void *)extents[i].start);
    expect_usage(base);
}
END_TEST

START_TEST(test_alloc_aligned_any_power_of_two_is_aligned)
{
    size_t align = (size_t)1 << _i;

    for (size_t size = 0; size < 100000; size = 3 * size + 1) {
        char *block = arena_alloc_aligned(NULL, size, align);

        ck_assert_ptr_nonnull(block);
        ck_assert(is_aligned(block, align));
        ck_assert(block_is_zero(block, size));
        memset(block, 0xff, size);
        expect_ok((arena_free(block), 0));
        expect_usage(base);
    }
}
END_TEST

START_TEST(test_alloc_bad_size_or_alignment_fails_and_counts_nothing)
{
    size_t huge = opaque_size((size_t)PTRDIFF_MAX + 1);

    expect_fail(arena_alloc_aligned(NULL, 8, 0), EINVAL, "");
    expect_fail(arena_alloc_aligned(NULL, 8, 3), EINVAL, "");
    expect_fail(arena_alloc_aligned(NULL, 8, 48), EINVAL, "");
    expect_fail(arena_alloc_aligned(NULL, huge, 3), EINVAL, "");
    expect_fail(arena_alloc(NULL, huge), ENOMEM, "");
    expect_fail(arena_alloc(NULL, opaque_size(SIZE_MAX)), ENOMEM, "");
    expect_fail(arena_alloc_uninit(NULL, opaque_size(SIZE_MAX)), ENOMEM, "");
    expect_fail(arena_alloc_array(NULL, huge, 4), ENOMEM, "");
    expect_usage(base);
}
END_TEST

START_TEST(test_alloc_copies_and_text)
{
    arena_t *none = NULL;
    int *numbers = arena_new_array(none, int, 1000);

    ck_assert_ptr_nonnull(numbers);
    ck_assert(block_is_zero(numbers, 1000 * sizeof *numbers));
    ck_assert_ptr_nonnull(arena_new(none, double));
    ck_assert_str_eq(arena_strdup(NULL, "text"), "text");
    ck_assert_str_eq(arena_strndup(NULL, "text", 2), "te");
    ck_assert_str_eq(arena_printf(NULL, "%d-%s", 7, "x"), "7-x");
    ck_assert_mem_eq(arena_memdup(NULL, "a\0b", 3), "a\0b", 3);
    ck_assert_ptr_nonnull(arena_alloc_uninit(NULL, 77));
    ck_assert_uint_eq(blocks_held(), 7);
}
END_TEST

/* --- Free --- */

START_TEST(test_free_gives_back_exactly_one)
{
    size_t size = block_sizes[_i];
    char *first = arena_alloc(NULL, size);
    char *second = arena_alloc(NULL, size);

    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(second);
    fill_block(second, size, 9);
    expect_ok((arena_free(first), 0));
    ck_assert_uint_eq(blocks_held(), 1);
    ck_assert_uint_eq(bytes_requested(), size);
    ck_assert(block_holds(second, size, 9));
    collect_times(2);
    ck_assert_uint_eq(blocks_held(), 1);
    ck_assert(block_holds(second, size, 9));
    expect_ok((arena_free(second), 0));
    expect_usage(base);
}
END_TEST

START_TEST(test_free_null_does_nothing)
{
    expect_ok((arena_free(NULL), 0));
    expect_usage(base);
}
END_TEST

/* arena_free refuses the pointer and nothing changes. */
static void
expect_free_refused(void *pointer)
{
    arena_usage_t before = usage_now();

    errno = 0;
    arena_free(pointer);
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_str_ne(arena_error(), "");
    expect_usage(before);
}

START_TEST(test_free_twice_is_refused)
{
    size_t size = block_sizes[_i];
    char *volatile neighbour = arena_alloc(NULL, size);
    char *volatile block = arena_alloc(NULL, size);

    ck_assert_ptr_nonnull(neighbour);
    ck_assert_ptr_nonnull(block);
    expect_ok((arena_free(block), 0));
    expect_free_refused(block);
    expect_free_refused(block);
    collect_times(2);
    expect_free_refused(block);
    ck_assert_uint_eq(blocks_held(), 1);
    expect_ok((arena_free(neighbour), 0));
    expect_usage(base);
}
END_TEST

START_TEST(test_free_inside_a_block_is_refused)
{
    size_t size = block_sizes[_i];
    char *block = arena_alloc(NULL, size);
    size_t offsets[] = {1, 8, 16, size / 2, size - 1};

    ck_assert_ptr_nonnull(block);
    fill_block(block, size, 4);
    for (size_t i = 0; i < LENGTH(offsets); i++) {
        if (offsets[i] > 0 && offsets[i] < size)
            expect_free_refused(block + offsets[i]);
    }
    ck_assert(block_holds(block, size, 4));
    expect_ok((arena_free(block), 0));
    expect_usage(base);
}
END_TEST

START_TEST(test_free_before_a_block_is_refused)
{
    size_t size = block_sizes[_i];
    char *block = arena_alloc(NULL, size);
    uintptr_t address = (uintptr_t)block;

    ck_assert_ptr_nonnull(block);
    expect_free_refused((void *)(address - 1));
    expect_free_refused((void *)(address - 8));
    expect_ok((arena_free(block), 0));
    expect_usage(base);
}
END_TEST

START_TEST(test_free_of_what_is_no_block_is_refused)
{
    static _Alignas(16) char static_bytes[64];
    _Alignas(16) char stack_bytes[64] = {0};
    char *libc_block;

    if (malloc_is_replaced())
        return; /* what lies before a pointer is looked at */
    libc_block = malloc(100);
    expect_free_refused(static_bytes);
    expect_free_refused(static_bytes + 16);
    expect_free_refused(static_bytes + 1);
    expect_free_refused(stack_bytes);
    expect_free_refused(stack_bytes + 16);
    expect_free_refused(stack_bytes + 3);
    expect_free_refused(libc_block + 1);
    expect_free_refused((void *)opaque_size(1));
    expect_free_refused((void *)opaque_size(4096));
    expect_free_refused((void *)opaque_size(SIZE_MAX - 15));
    expect_free_refused((void *)(uintptr_t)ignore);
    free(libc_block);
}
END_TEST

START_TEST(test_free_of_other_arenas_memory_is_refused)
{
    arena_t *confined = arena_confined();
    arena_t *shared = arena_shared();
    arena_t *automatic = arena_auto();

    expect_free_refused(arena_alloc(confined, 100));
    expect_free_refused(arena_alloc(shared, MIB));
    expect_free_refused(arena_alloc(automatic, 100));
    expect_free_refused(arena_alloc(automatic, MIB));
    expect_free_refused(arena_alloc(arena_global(), 100));
    expect_free_refused(confined);
    expect_free_refused(automatic);
    expect_free_refused(arena_implicit());
    expect_ok(arena_close(confined));
    expect_ok(arena_close(shared));
    arena_keep_alive(automatic);
}
END_TEST

START_TEST(test_free_of_libc_block_goes_to_libc)
{
    if (malloc_is_replaced())
        return;
    expect_ok((arena_free(malloc(100)), 0));
    expect_ok((arena_free(malloc(10 * MIB)), 0));
    expect_ok((arena_free(strdup("text")), 0));
    expect_usage(base);
}
END_TEST

/* --- Resize --- */

START_TEST(test_resize_moves_contents_zeroes_the_rest_and_frees_the_old)
{
    size_t size = 1;
    char *block = arena_alloc(NULL, size);

    ck_assert_ptr_nonnull(block);
    fill_block(block, size, 5);
    while (size < 4 * MIB) {
        size_t more = 2 * size + 5;
        char *moved;

        expect_ok(moved = arena_resize(NULL, block, size, more));
        ck_assert(block_holds(moved, size, 5));
        ck_assert(block_is_zero(moved + size, more - size));
        ck_assert_uint_eq(blocks_held(), 1);
        ck_assert_uint_eq(bytes_requested(), more);
        fill_block(moved, more, 5);
        block = moved;
        size = more;
    }
    arena_free(block);
    expect_usage(base);
}
END_TEST

START_TEST(test_resize_smaller_keeps_the_front)
{
    char *block = arena_alloc(NULL, 100000);
    char *smaller;

    ck_assert_ptr_nonnull(block);
    fill_block(block, 100000, 5);
    expect_ok(smaller = arena_resize(arena_implicit(), block, 100000, 10));
    ck_assert(block_holds(smaller, 10, 5));
    ck_assert_uint_eq(blocks_held(), 1);
    expect_ok(smaller = arena_resize(NULL, smaller, 10, 200));
    ck_assert(block_holds(smaller, 10, 5));
    ck_assert(block_is_zero(smaller + 10, 190));
    expect_ok((arena_free(smaller), 0));
    expect_usage(base);
}
END_TEST

START_TEST(test_resize_moved_old_block_is_freed_once)
{
    char *volatile block = arena_alloc(NULL, 100);
    char *volatile moved = arena_resize(NULL, block, 100, 100000);

    ck_assert_ptr_nonnull(moved);
    ck_assert_ptr_ne(moved, block);
    expect_free_refused(block);
    collect_times(2);
    ck_assert_uint_eq(blocks_held(), 1);
    expect_ok((arena_free(moved), 0));
    expect_usage(base);
}
END_TEST

START_TEST(test_resize_null_allocates)
{
    char *block;

    expect_ok(block = arena_resize(NULL, NULL, 0, 100));
    ck_assert(block_is_zero(block, 100));
    ck_assert_uint_eq(blocks_held(), 1);
    expect_ok((arena_free(block), 0));
    expect_usage(base);
}
END_TEST

START_TEST(test_resize_failure_leaves_the_block)
{
    char *block = arena_alloc(NULL, 1000);
    arena_usage_t before = usage_now();

    ck_assert_ptr_nonnull(block);
    fill_block(block, 1000, 8);
    expect_fail(arena_resize(NULL, block, 1000, opaque_size(SIZE_MAX)), ENOMEM,
                "");
    expect_usage(before);
    ck_assert(block_holds(block, 1000, 8));
    expect_ok((arena_free(block), 0));
}
END_TEST

START_TEST(test_resize_foreign_block_fails_einval)
{
    static _Alignas(16) char static_bytes[64];
    arena_t *confined = arena_confined();
    char *block = arena_alloc(confined, 100);
    char *own = arena_alloc(NULL, 100);

    expect_fail(arena_resize(NULL, static_bytes, 64, 100), EINVAL, "");
    expect_fail(arena_resize(NULL, block, 100, 200), EINVAL, "");
    expect_fail(arena_resize(confined, own, 100, 200), EINVAL, "");
    expect_ok(arena_close(confined));
    expect_ok((arena_free(own), 0));
    expect_usage(base);
}
END_TEST

/* --- Dropping --- */

/* Blocks of one size, some of them kept in a table. */
struct batch {
    size_t count, size, align;
    size_t every; /* keep each every-th; 0: none */
    uintptr_t *hidden;
    size_t refused, dirty, damaged, freed;
};

static void *volatile in_static[HERD];

static bool
batch_keeps(const struct batch *batch, size_t i)
{
    return batch->every != 0 && i % batch->every == 0;
}

static void *
batch_build_main(void *arg)
{
    struct batch *batch = arg;

    for (size_t i = 0; i < batch->count; i++) {
        char *block = arena_alloc_aligned(NULL, batch->size, batch->align);

        if (block == NULL) {
            batch->refused++;
            return NULL;
        }
        batch->dirty += !block_is_zero(block, batch->size);
        fill_block(block, batch->size, i);
        batch->hidden[i] = hide(block);
        if (batch_keeps(batch, i))
            in_static[i] = block + (i % 3 * batch->size) / 2;
    }
    return NULL;
}

static void
batch_build(struct batch *batch)
{
    batch->hidden = calloc(batch->count, sizeof *batch->hidden);
    ck_assert_ptr_nonnull(batch->hidden);
    run_in_thread(batch_build_main, batch);
    ck_assert_uint_eq(batch->refused, 0);
    ck_assert_uint_eq(batch->dirty, 0);
    ck_assert_uint_eq(blocks_held(), batch->count);
    ck_assert_uint_eq(bytes_requested(), batch->count * batch->size);
}

static void *
batch_inspect_main(void *arg)
{
    struct batch *batch = arg;

    for (size_t i = 0; i < batch->count; i++) {
        if (batch_keeps(batch, i))
            batch->damaged += !block_holds(reveal(batch->hidden[i]),
                                           batch->size, i);
    }
    return NULL;
}

static void
batch_expect_intact(struct batch *batch)
{
    batch->damaged = 0;
    run_in_thread(batch_inspect_main, batch);
    ck_assert_uint_eq(batch->damaged, 0);
}

static void
batch_drop(void)
{
    for (size_t i = 0; i < HERD; i++)
        in_static[i] = NULL;
}

/* So many blocks that they take some megabytes. */
static size_t
batch_count(size_t size)
{
    return size > 10000 ? 100 : test_scaled(HERD);
}

/* A pointer to a block, into its middle, or one past its end keeps it, and
 * it alone. */
START_TEST(test_drop_half_of_the_blocks_frees_just_those)
{
    size_t size = block_sizes[_i];
    struct batch batch = {.count = batch_count(size), .size = size,
                          .align = 16, .every = 2};

    batch_build(&batch);
    collect_times(2);
    expect_nearly_all(batch.count - blocks_held(), batch.count / 2);
    collect_times(18);
    batch_expect_intact(&batch);
    ck_assert_uint_ge(blocks_held(), batch.count / 2);
    ck_assert_uint_eq(bytes_requested(), blocks_held() * size);
    batch_drop();
    expect_settled(base);
    free(batch.hidden);
}
END_TEST

START_TEST(test_drop_aligned_blocks_frees_them)
{
    struct batch batch = {.count = 300, .size = 100,
                          .align = (size_t)1 << _i, .every = 3};

    batch_build(&batch);
    collect_times(2);
    expect_nearly_all(batch.count - blocks_held(), 200);
    batch_expect_intact(&batch);
    batch_drop();
    expect_settled(base);
    free(batch.hidden);
}
END_TEST

static void *
batch_free_main(void *arg)
{
    struct batch *batch = arg;

    for (size_t i = 0; i < batch->count; i++) {
        if (!batch_keeps(batch, i))
            continue;
        errno = 0;
        arena_free(reveal(batch->hidden[i]));
        batch->refused += errno != 0;
        batch->freed++;
        in_static[i] = NULL;
    }
    return NULL;
}

/* Some by hand, the others by the collector: each is counted once. */
START_TEST(test_drop_and_free_mixed_counts_each_block_once)
{
    size_t size = block_sizes[_i];
    struct batch batch = {.count = batch_count(size), .size = size,
                          .align = 16, .every = 3};

    batch_build(&batch);
    run_in_thread(batch_free_main, &batch);
    ck_assert_uint_eq(batch.refused, 0);
    ck_assert_uint_eq(blocks_held(), batch.count - batch.freed);
    expect_settled(base);
    collect_times(3);
    expect_settled(base);
    free(batch.hidden);
}
END_TEST

/* Larger than what is free: the collector maps memory for it. */
#define GROWING 10
#define GROWING_BYTES ((size_t)100 << 20)

static void *
growing_build_main(void *arg)
{
    size_t *refused = arg;

    for (size_t i = 0; i < GROWING; i++)
        *refused += arena_alloc(NULL, GROWING_BYTES) == NULL;
    return NULL;
}

/* Where the collector's mappings begin is known to the library, which must not
 * keep what lies there. */
START_TEST(test_drop_blocks_for_which_the_heap_grew_frees_them)
{
    size_t refused = 0;

    run_in_thread(growing_build_main, &refused);
    ck_assert_uint_eq(refused, 0);
    expect_settled(base);
}
END_TEST

/* Nothing in a block keeps another: contents are not scanned. */
static void *
chain_build_main(void *arg)
{
    size_t *refused = arg;
    void **block = NULL;

    for (size_t i = 0; i < HERD; i++) {
        void **next = arena_alloc(NULL, 200);

        if (next == NULL) {
            ++*refused;
            return NULL;
        }
        *next = block;
        block = next;
    }
    in_static[0] = block;
    return NULL;
}

START_TEST(test_drop_pointer_inside_a_block_does_not_keep)
{
    size_t refused = 0;

    run_in_thread(chain_build_main, &refused);
    ck_assert_uint_eq(refused, 0);
    collect_times(2);
    expect_nearly_all(HERD - blocks_held(), HERD - 1);
    in_static[0] = NULL;
    expect_settled(base);
}
END_TEST

/* --- Pin --- */

static void *
pin_build_main(void *arg)
{
    struct batch *batch = arg;

    for (size_t i = 0; i < batch->count; i++) {
        char *block = arena_alloc(NULL, batch->size);

        batch->refused += block == NULL || arena_pin(block) != 0;
        if (block != NULL)
            fill_block(block, batch->size, i);
        batch->hidden[i] = hide(block);
    }
    return NULL;
}

static void *
unpin_main(void *arg)
{
    struct batch *batch = arg;

    for (size_t i = 0; i < batch->count; i++)
        batch->refused += arena_unpin(reveal(batch->hidden[i])) != 0;
    return NULL;
}

START_TEST(test_pin_keeps_blocks_until_unpin)
{
    struct batch batch = {.count = 500, .size = 400, .every = 1};

    batch.hidden = calloc(batch.count, sizeof *batch.hidden);
    ck_assert_ptr_nonnull(batch.hidden);
    run_in_thread(pin_build_main, &batch);
    collect_times(5);
    batch_expect_intact(&batch);
    ck_assert_uint_eq(blocks_held(), batch.count);
    run_in_thread(unpin_main, &batch);
    ck_assert_uint_eq(batch.refused, 0);
    collect_times(2);
    expect_nearly_all(batch.count - blocks_held(), batch.count);
    expect_settled(base);
    free(batch.hidden);
}
END_TEST

/* --- Many threads --- */

#define TEAM_SLOTS 64

struct slot {
    char *volatile block;
    size_t size;
    uint64_t seed;
};

struct team {
    size_t rounds;
    atomic_size_t refused, dirty, damaged, not_freed;
};

static size_t
team_size(uint64_t *state)
{
    size_t dice = random_below(state, 1000);

    if (dice < 900)
        return 1 + random_below(state, 300);
    if (dice < 998)
        return 1 + random_below(state, 5000);
    return 1 + random_below(state, 100 * KIB);
}

/* Let go of a slot: by hand, or by forgetting it. */
static void
team_let_go(struct team *team, struct slot *slot, bool by_hand)
{
    if (slot->block == NULL)
        return;
    if (!block_holds(slot->block, slot->size, slot->seed))
        atomic_fetch_add(&team->damaged, 1);
    if (by_hand) {
        errno = 0;
        arena_free(slot->block);
        if (errno != 0)
            atomic_fetch_add(&team->not_freed, 1);
    }
    slot->block = NULL;
}

static void
team_work(void *arg, size_t index)
{
    struct team *team = arg;
    struct slot slots[TEAM_SLOTS] = {{NULL, 0, 0}};
    uint64_t state = index + 1;

    for (size_t i = 0; i < team->rounds; i++) {
        struct slot *slot = &slots[random_below(&state, TEAM_SLOTS)];

        team_let_go(team, slot, random_below(&state, 3) == 0);
        slot->size = team_size(&state);
        slot->seed = i;
        slot->block = arena_alloc(NULL, slot->size);
        if (slot->block == NULL) {
            atomic_fetch_add(&team->refused, 1);
            continue;
        }
        if (!block_is_zero(slot->block, slot->size))
            atomic_fetch_add(&team->dirty, 1);
        fill_block(slot->block, slot->size, slot->seed);
    }
    for (size_t i = 0; i < TEAM_SLOTS; i++)
        team_let_go(team, &slots[i], i % 2 == 0);
}

START_TEST(test_threads_allocating_freeing_dropping_are_counted_exactly)
{
    struct team team = {.rounds = test_scaled(100000)};

    run_team(4, team_work, &team);
    ck_assert_uint_eq(atomic_load(&team.refused), 0);
    ck_assert_uint_eq(atomic_load(&team.dirty), 0);
    ck_assert_uint_eq(atomic_load(&team.damaged), 0);
    ck_assert_uint_eq(atomic_load(&team.not_freed), 0);
    expect_settled(base);
}
END_TEST

/* Of many threads that free the same block one succeeds. */
#define SAME_BLOCKS 2000

struct same {
    void *volatile blocks[SAME_BLOCKS];
    atomic_size_t freed, refused, other;
};

static void
same_free(void *arg, size_t index)
{
    struct same *same = arg;

    (void)index;
    for (size_t i = 0; i < SAME_BLOCKS; i++) {
        errno = 0;
        arena_free(same->blocks[i]);
        if (errno == 0)
            atomic_fetch_add(&same->freed, 1);
        else if (errno == EINVAL)
            atomic_fetch_add(&same->refused, 1);
        else
            atomic_fetch_add(&same->other, 1);
    }
}

START_TEST(test_threads_freeing_the_same_block_free_it_once)
{
    static struct same same;

    for (size_t i = 0; i < SAME_BLOCKS; i++)
        same.blocks[i] = arena_alloc(NULL, 16 + i);
    ck_assert_uint_eq(blocks_held(), SAME_BLOCKS);
    run_team(4, same_free, &same);
    ck_assert_uint_eq(atomic_load(&same.freed), SAME_BLOCKS);
    ck_assert_uint_eq(atomic_load(&same.refused), 3 * SAME_BLOCKS);
    ck_assert_uint_eq(atomic_load(&same.other), 0);
    expect_usage(base);
    for (size_t i = 0; i < SAME_BLOCKS; i++)
        same.blocks[i] = NULL;
}
END_TEST

/* --- Suite --- */

static TCase *
add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void
add_drop(Suite *suite)
{
    TCase *drop = add_case(suite, "drop");
    TCase *threads = add_case(suite, "threads");

    tcase_add_loop_test(drop, test_drop_half_of_the_blocks_frees_just_those, 0,
                        LENGTH(block_sizes));
    tcase_add_loop_test(drop, test_drop_aligned_blocks_frees_them, 5, 17);
    tcase_add_loop_test(drop, test_drop_and_free_mixed_counts_each_block_once,
                        0, LENGTH(block_sizes));
    tcase_add_test(drop, test_drop_blocks_for_which_the_heap_grew_frees_them);
    tcase_add_test(drop, test_drop_pointer_inside_a_block_does_not_keep);
    tcase_add_test(drop, test_pin_keeps_blocks_until_unpin);
    tcase_add_test(
        threads, test_threads_allocating_freeing_dropping_are_counted_exactly);
    tcase_add_test(threads, test_threads_freeing_the_same_block_free_it_once);
}

static void
add_alloc(Suite *suite)
{
    TCase *arena = add_case(suite, "arena");
    TCase *alloc = add_case(suite, "alloc");

    tcase_add_test(arena, test_arena_is_one_and_of_its_kind);
    tcase_add_test(arena, test_arena_does_not_offer_closing);
    tcase_add_test(arena, test_null_means_implicit_in_allocation_calls_only);
    tcase_add_loop_test(alloc, test_alloc_any_size_is_zero_aligned_and_counted,
                        0, LENGTH(block_sizes));
    tcase_add_test(alloc, test_alloc_of_nothing_is_distinct);
    tcase_add_loop_test(alloc, test_alloc_aligned_any_power_of_two_is_aligned,
                        0, 17);
    tcase_add_test(alloc,
                   test_alloc_bad_size_or_alignment_fails_and_counts_nothing);
    tcase_add_test(alloc, test_alloc_copies_and_text);
}

static void
add_free(Suite *suite)
{
    TCase *tcase = add_case(suite, "free");
    TCase *resize = add_case(suite, "resize");

    tcase_add_loop_test(tcase, test_free_gives_back_exactly_one, 0,
                        LENGTH(block_sizes));
    tcase_add_test(tcase, test_free_null_does_nothing);
    tcase_add_loop_test(tcase, test_free_twice_is_refused, 0,
                        LENGTH(block_sizes));
    tcase_add_loop_test(tcase, test_free_inside_a_block_is_refused, 0,
                        LENGTH(block_sizes));
    tcase_add_loop_test(tcase, test_free_before_a_block_is_refused, 0,
                        LENGTH(block_sizes));
    tcase_add_test(tcase, test_free_of_what_is_no_block_is_refused);
    tcase_add_test(tcase, test_free_of_other_arenas_memory_is_refused);
    tcase_add_test(tcase, test_free_of_libc_block_goes_to_libc);
    tcase_add_test(
        resize, test_resize_moves_contents_zeroes_the_rest_and_frees_the_old);
    tcase_add_test(resize, test_resize_smaller_keeps_the_front);
    tcase_add_test(resize, test_resize_moved_old_block_is_freed_once);
    tcase_add_test(resize, test_resize_null_allocates);
    tcase_add_test(resize, test_resize_failure_leaves_the_block);
    tcase_add_test(resize, test_resize_foreign_block_fails_einval);
}

int
main(void)
{
    Suite *suite = suite_create("implicit");

    add_drop(suite);
    add_alloc(suite);
    add_free(suite);
    return run_suite(suite);
}
