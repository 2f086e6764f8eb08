/* check_flags.c: arenas whose contents are scanned, and arenas that stop a
 * program which runs past the end of a block. */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness.h"

/* --- Traced --- */

enum { HELD = 2000 };

/* Arenas to hold the only pointers to collected memory. */
struct holder {
    arena_t *arena;
    void ***table; /* in the arena, hidden from the collector in between */
};

static arena_t *
open_flagged(arena_kind_t kind, unsigned flags)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena;

    options.flags = flags;
    arena = arena_open(kind, &options);
    if (arena == NULL)
        ck_abort_msg("%s", arena_error());
    return arena;
}

/* Put into the arena a table that holds the only pointers to implicit blocks
 * of 64 bytes with known contents. */
static void *
hold_blocks(void *arg)
{
    struct holder *holder = arg;
    void **table = arena_alloc_array(holder->arena, HELD, sizeof *table);

    for (size_t i = 0; table != NULL && i < HELD; i++) {
        table[i] = arena_alloc(NULL, 64);
        if (table[i] == NULL)
            return NULL;
        fill_block(table[i], 64, i);
    }
    holder->table = (void ***)~(uintptr_t)table;
    scrub();
    return arg;
}

/* How many implicit blocks there are after collections. */
static size_t
blocks_left(void)
{
    for (size_t i = 0; i < 3; i++)
        collect_scrubbed();
    return usage_now().kind[ARENA_IMPLICIT].count;
}

static size_t
blocks_changed(const struct holder *holder)
{
    void **table = (void **)~(uintptr_t)holder->table;
    size_t changed = 0;

    for (size_t i = 0; i < HELD; i++)
        changed += !block_holds(table[i], 64, i);
    return changed;
}

START_TEST(test_traced_contents_keep_collected_memory)
{
    static struct holder holder;
    arena_kind_t kind = _i == 0 ? ARENA_CONFINED : ARENA_SHARED;
    size_t base = usage_now().kind[ARENA_IMPLICIT].count;

    /* A helper makes the garbage; only shared arenas can be its own. */
    holder.arena = open_flagged(kind, ARENA_TRACED);
    if (kind == ARENA_SHARED)
        ck_assert_ptr_nonnull(run_in_thread(hold_blocks, &holder));
    else
        ck_assert_ptr_nonnull(hold_blocks(&holder));
    ck_assert_uint_eq(blocks_left(), base + HELD);
    ck_assert_uint_eq(blocks_changed(&holder), 0);
    expect_ok(arena_close(holder.arena));
    ck_assert_uint_le(blocks_left(), base + HELD / 2);
}
END_TEST

START_TEST(test_untraced_contents_keep_nothing)
{
    static struct holder holder;
    size_t base = usage_now().kind[ARENA_IMPLICIT].count;

    holder.arena = open_flagged(ARENA_SHARED, 0);
    ck_assert_ptr_nonnull(run_in_thread(hold_blocks, &holder));
    ck_assert_uint_le(blocks_left(), base + HELD / 2);
    expect_ok(arena_close(holder.arena));
}
END_TEST

START_TEST(test_traced_arena_works_as_any_other)
{
    arena_usage_t before = usage_now();
    arena_t *traced = open_flagged(ARENA_CONFINED, ARENA_TRACED);
    char *small, *large;

    for (size_t round = 0; round < 3; round++) {
        expect_ok(small = arena_alloc(traced, 100));
        expect_ok(large = arena_alloc(traced, 2 * MIB));
        ck_assert(block_is_zero(small, 100));
        ck_assert(block_is_zero(large, 2 * MIB));
        ck_assert_ptr_eq(arena_of(large + MIB), traced);
        memset(small, 0xa5, 100);
        memset(large, 0xa5, 2 * MIB);
        expect_ok(arena_reset(traced));
    }
    expect_ok(arena_close(traced));
    ck_assert_uint_le(usage_now().kind[ARENA_CONFINED].reserved,
                      before.kind[ARENA_CONFINED].reserved);
}
END_TEST

START_TEST(test_traced_many_opened_and_closed_work)
{
    for (size_t i = 0; i < 5000; i++) {
        arena_t *traced = open_flagged(ARENA_CONFINED, ARENA_TRACED);

        if (arena_alloc(traced, 100) == NULL || arena_close(traced) != 0)
            ck_abort_msg("arena %zu: %s", i, arena_error());
    }
    collect_scrubbed();
}
END_TEST

START_TEST(test_flags_not_for_a_kind_fail_enotsup)
{
    arena_usage_t before = usage_now();
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.flags = ARENA_TRACED;
    expect_fail(arena_open(ARENA_GLOBAL, &options), ENOTSUP, "");
    expect_fail(arena_open(ARENA_IMPLICIT, &options), ENOTSUP, "");
    options.flags = ARENA_GUARDED;
    expect_fail(arena_open(ARENA_GLOBAL, &options), ENOTSUP, "");
    expect_fail(arena_open(ARENA_IMPLICIT, &options), ENOTSUP, "");
    expect_fail(arena_open(ARENA_AUTO, &options), ENOTSUP, "");
    expect_usage(before);
}
END_TEST

/* --- Guarded --- */

static arena_t *guarded;

static void
guarded_setup(void)
{
    struct rlimit none = {0, 0};

    /* A fault is to end the test in the plain way, and to leave no core. */
    signal(SIGSEGV, SIG_DFL);
    setrlimit(RLIMIT_CORE, &none);
    guarded = open_flagged(ARENA_CONFINED, ARENA_GUARDED);
}

static void
guarded_teardown(void)
{
    (void)arena_close(guarded);
}

static const size_t guarded_sizes[] = {16, 64, 4096, 4112, 65536, 1048576};

START_TEST(test_guarded_write_up_to_the_end_is_fine)
{
    size_t size = guarded_sizes[_i];

    for (size_t i = 0; i < 20; i++) {
        char *block;

        expect_ok(block = arena_alloc(guarded, size));
        ck_assert(is_aligned(block, _Alignof(max_align_t)));
        ck_assert(block_is_zero(block, size));
        fill_block(block, size, i);
        ck_assert(block_holds(block, size, i));
        ck_assert_ptr_eq(arena_of(block + size - 1), guarded);
    }
}
END_TEST

START_TEST(test_guarded_write_past_the_end_dies)
{
    size_t size = guarded_sizes[_i];
    volatile char *block = arena_alloc(guarded, size);

    ck_assert_ptr_nonnull((const void *)(uintptr_t)block);
    block[size - 1] = 1;
    block[size] = 1;
    ck_abort_msg("a write past the end went through");
}
END_TEST

START_TEST(test_guarded_read_past_the_end_dies)
{
    size_t size = guarded_sizes[_i];
    volatile char *block = arena_alloc(guarded, size);

    ck_assert_ptr_nonnull((const void *)(uintptr_t)block);
    ck_abort_msg("a read past the end gave %d", block[size]);
}
END_TEST

START_TEST(test_guarded_unaligned_size_ends_at_page)
{
    volatile char *block = arena_alloc_aligned(guarded, opaque_size(13), 1);

    ck_assert_ptr_nonnull((const void *)(uintptr_t)block);
    block[12] = 1;
    block[13] = 1;
    ck_abort_msg("a write past the end went through");
}
END_TEST

START_TEST(test_guarded_write_past_earlier_block_dies)
{
    volatile char *block = arena_alloc(guarded, opaque_size(160));

    ck_assert_ptr_nonnull((const void *)(uintptr_t)block);
    for (size_t i = 0; i < 10; i++)
        expect_ok(arena_alloc(guarded, 160));
    block[160] = 1;
    ck_abort_msg("a write past the end went through");
}
END_TEST

START_TEST(test_guarded_shared_write_past_the_end_dies)
{
    arena_t *shared = open_flagged(ARENA_SHARED, ARENA_GUARDED);
    volatile char *block = arena_alloc(shared, opaque_size(320));

    ck_assert_ptr_nonnull((const void *)(uintptr_t)block);
    block[319] = 1;
    block[320] = 1;
    ck_abort_msg("a write past the end went through");
}
END_TEST

START_TEST(test_guarded_resize_moves_the_guard)
{
    char *block;
    volatile char *grown;

    expect_ok(block = arena_alloc(guarded, 160));
    fill_block(block, 160, 1);
    expect_ok(block = arena_resize(guarded, block, 160, 9600));
    ck_assert(block_holds(block, 160, 1));
    ck_assert(block_is_zero(block + 160, 9440));
    grown = block;
    grown[9599] = 1;
    grown[9600] = 1;
    ck_abort_msg("a write past the end went through");
}
END_TEST

START_TEST(test_guarded_block_is_charged_two_pages)
{
    arena_usage_t before = usage_now();
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (size_t i = 1; i <= 10; i++) {
        expect_ok(arena_alloc(guarded, 1));
        ck_assert_uint_ge(arena_bytes(guarded), i * 2 * page);
    }
    ck_assert_uint_ge(usage_now().reserved, before.reserved + 20 * page);
}
END_TEST

START_TEST(test_guarded_close_gives_everything_back)
{
    arena_usage_t before;

    expect_ok(arena_close(guarded));
    before = usage_now();
    for (size_t round = 0; round < 200; round++) {
        arena_t *arena = open_flagged(ARENA_SHARED, ARENA_GUARDED);

        for (size_t size = 0; size < 40000; size += 3999)
            if (arena_alloc(arena, size) == NULL)
                ck_abort_msg("size %zu: %s", size, arena_error());
        expect_ok(arena_close(arena));
    }
    expect_usage(before);
}
END_TEST

START_TEST(test_guarded_alignments_are_honoured)
{
    for (size_t align = 1; align <= MIB; align *= 2) {
        char *block;

        expect_ok(block = arena_alloc_aligned(guarded, align + 5, align));
        ck_assert(is_aligned(block, align));
        ck_assert(block_is_zero(block, align + 5));
        memset(block, 0xff, align + 5);
        expect_ok(block = arena_alloc_aligned(guarded, 0, align));
        ck_assert(is_aligned(block, align));
    }
}
END_TEST

static void
add_traced(Suite *suite)
{
    TCase *traced = tcase_create("traced");

    tcase_set_timeout(traced, 30);
    tcase_add_loop_test(traced, test_traced_contents_keep_collected_memory, 0,
                        2);
    tcase_add_test(traced, test_untraced_contents_keep_nothing);
    tcase_add_test(traced, test_traced_arena_works_as_any_other);
    tcase_add_test(traced, test_traced_many_opened_and_closed_work);
    tcase_add_test(traced, test_flags_not_for_a_kind_fail_enotsup);
    suite_add_tcase(suite, traced);
}

static void
add_guarded(Suite *suite)
{
    TCase *fine = tcase_create("guarded");
    TCase *fault = tcase_create("guarded_fault");
    int sizes = (int)LENGTH(guarded_sizes);

    tcase_add_checked_fixture(fine, guarded_setup, guarded_teardown);
    tcase_add_loop_test(fine, test_guarded_write_up_to_the_end_is_fine, 0,
                        sizes);
    tcase_add_test(fine, test_guarded_block_is_charged_two_pages);
    tcase_add_test(fine, test_guarded_close_gives_everything_back);
    tcase_add_test(fine, test_guarded_alignments_are_honoured);
    suite_add_tcase(suite, fine);

    tcase_add_checked_fixture(fault, guarded_setup, guarded_teardown);
    tcase_add_loop_test_raise_signal(
        fault, test_guarded_write_past_the_end_dies, SIGSEGV, 0, sizes);
    tcase_add_loop_test_raise_signal(
        fault, test_guarded_read_past_the_end_dies, SIGSEGV, 0, sizes);
    tcase_add_test_raise_signal(
        fault, test_guarded_unaligned_size_ends_at_page, SIGSEGV);
    tcase_add_test_raise_signal(
        fault, test_guarded_write_past_earlier_block_dies, SIGSEGV);
    tcase_add_test_raise_signal(
        fault, test_guarded_shared_write_past_the_end_dies, SIGSEGV);
    tcase_add_test_raise_signal(fault, test_guarded_resize_moves_the_guard,
                                SIGSEGV);
    suite_add_tcase(suite, fault);
}

int
main(void)
{
    Suite *suite = suite_create("flags");

    add_traced(suite);
    add_guarded(suite);
    return run_suite(suite);
}
