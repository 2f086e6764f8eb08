/* check_segment.c: checked memory: bounds, alignment, thread, liveness. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <arena/buffer.h>
#include <arena/segment.h>

#include "gc_harness.h"

static arena_t *arena;
static arena_segment_t segment; /* of 64 bytes, aligned to 64 */

static void
setup(void)
{
    arena = arena_confined();
    ck_assert_ptr_nonnull(arena);
    ck_assert_int_eq(arena_segment(arena, 64, 64, &segment), 0);
}

static void
teardown(void)
{
    (void)arena_close(arena);
}

static arena_segment_t
slice_of(const arena_segment_t *of, size_t offset, size_t size)
{
    arena_segment_t part;

    expect_ok(arena_segment_slice(of, offset, size, &part));
    return part;
}

static arena_segment_t
read_only(const arena_segment_t *of)
{
    arena_segment_t view;

    expect_ok(arena_segment_read_only(of, &view));
    return view;
}

/* --- Making --- */

START_TEST(test_make_is_zero_aligned_and_sized)
{
    ck_assert_uint_eq(segment.size, 64);
    ck_assert_ptr_eq(segment.arena, arena);
    ck_assert(is_aligned(segment.addr, 64));
    ck_assert(block_is_zero(segment.addr, 64));
}
END_TEST

START_TEST(test_make_bad_arguments_fails_and_changes_nothing)
{
    arena_segment_t out = segment;
    arena_usage_t before = usage_now();

    expect_fail(arena_segment(NULL, 8, 8, &out), EINVAL, "");
    expect_fail(arena_segment(arena, 8, 8, NULL), EINVAL, "");
    expect_fail(arena_segment(arena, 8, 0, &out), EINVAL, "power of two");
    expect_fail(arena_segment(arena, 8, 3, &out), EINVAL, "3");
    expect_fail(arena_segment(arena, SIZE_MAX, 1, &out), ENOMEM, "");
    ck_assert_mem_eq(&out, &segment, sizeof out);
    expect_usage(before);
}
END_TEST

START_TEST(test_missing_pointers_are_told_apart)
{
    arena_segment_t none = {0};
    char byte;

    expect_fail(arena_get_bytes(NULL, 0, &byte, 1), EINVAL, "segment is NULL");
    expect_fail(arena_get_bytes(&none, 0, &byte, 1), EINVAL, "all zero");
    expect_fail(arena_get_bytes(&segment, 0, NULL, 1), EINVAL, "pointer");
}
END_TEST

START_TEST(test_make_size_0_has_its_own_address)
{
    arena_segment_t a, b;
    uint8_t byte;

    expect_ok(arena_segment(arena, 0, 1, &a));
    expect_ok(arena_segment(arena, 0, 1, &b));
    ck_assert_ptr_ne(a.addr, b.addr);
    expect_fail(arena_get_u8(&a, 0, &byte), ERANGE, "0 bytes");
}
END_TEST

START_TEST(test_make_in_closed_arena_fails_estale)
{
    arena_segment_t out;

    expect_ok(arena_close(arena));
    expect_fail(arena_segment(arena, 8, 8, &out), ESTALE, "");
    expect_fail(arena_segment(arena, 8, 3, &out), EINVAL, "");
}
END_TEST

START_TEST(test_zero_segment_fails_einval)
{
    arena_segment_t none, out;
    int32_t number;

    memset(&none, 0, sizeof none);
    expect_fail(arena_get_i32(&none, 0, &number), EINVAL, "");
    expect_fail(arena_set_i32(&none, 0, 1), EINVAL, "");
    expect_fail(arena_get_i32(NULL, 0, &number), EINVAL, "");
    expect_fail(arena_get_i32(&segment, 0, NULL), EINVAL, "");
    expect_fail(arena_segment_slice(&none, 0, 0, &out), EINVAL, "");
    expect_fail(arena_segment_fill(&none, 1), EINVAL, "");
    ck_assert(!arena_segment_is_alive(&none));
    ck_assert(!arena_segment_is_alive(NULL));
}
END_TEST

/* --- Numbers --- */

/* Set, get and look at the bytes, by each way of one type. */
#define NUMBER_TEST(name, type, value)                                        \
    START_TEST(test_number_##name##_round_trips)                              \
    {                                                                         \
        type number = (value);                                                \
        unsigned char native[sizeof(type)], turned[sizeof(type)];             \
        const unsigned char *bytes = segment.addr;                            \
        type got = 0;                                                         \
                                                                              \
        memcpy(native, &number, sizeof native);                               \
        for (size_t i = 0; i < sizeof native; i++)                            \
            turned[i] = native[sizeof native - 1 - i];                        \
        expect_ok(arena_set_##name(&segment, 16, number));                    \
        ck_assert_mem_eq(bytes + 16, native, sizeof native);                  \
        expect_ok(arena_get_##name(&segment, 16, &got));                      \
        ck_assert_mem_eq(&got, &number, sizeof got);                          \
        expect_ok(arena_set_##name##_le(&segment, 16, number));               \
        ck_assert_mem_eq(bytes + 16,                                          \
                         ARENA_NATIVE_ENDIAN == ARENA_LITTLE_ENDIAN           \
                             ? native                                         \
                             : turned,                                        \
                         sizeof native);                                      \
        expect_ok(arena_get_##name##_le(&segment, 16, &got));                 \
        ck_assert_mem_eq(&got, &number, sizeof got);                          \
        expect_ok(arena_set_##name##_be_at(&segment, 2, number));             \
        ck_assert_mem_eq(bytes + 2 * sizeof got,                              \
                         ARENA_NATIVE_ENDIAN == ARENA_BIG_ENDIAN ? native     \
                                                                 : turned,    \
                         sizeof native);                                      \
        expect_ok(arena_get_##name##_be_at(&segment, 2, &got));               \
        ck_assert_mem_eq(&got, &number, sizeof got);                          \
        expect_ok(arena_set_##name##_unaligned(&segment, 33, number));        \
        ck_assert_mem_eq(bytes + 33, native, sizeof native);                  \
        expect_ok(arena_get_##name##_unaligned(&segment, 33, &got));          \
        ck_assert_mem_eq(&got, &number, sizeof got);                          \
        expect_ok(arena_set_##name##_at(&segment, 64 / sizeof got - 1,        \
                                        number));                             \
        ck_assert_mem_eq(bytes + 64 - sizeof got, native, sizeof native);     \
        got = (value);                                                        \
        expect_fail(arena_get_##name##_at(&segment, 64 / sizeof got, &got),   \
                    ERANGE, "64");                                            \
        expect_fail(arena_set_##name##_at(&segment, opaque_size(SIZE_MAX / 2), \
                                          number),                            \
                    ERANGE, "");                                              \
        expect_fail(arena_get_##name(&segment, 65 - sizeof got, &got),        \
                    ERANGE, "");                                              \
        if (sizeof got > 1)                                                   \
            expect_fail(arena_set_##name(&segment, 1, number), EFAULT, "");   \
        ck_assert_mem_eq(&got, &number, sizeof got);                          \
    }                                                                         \
    END_TEST

NUMBER_TEST(i8, int8_t, -100)
NUMBER_TEST(u8, uint8_t, 200)
NUMBER_TEST(i16, int16_t, -30001)
NUMBER_TEST(u16, uint16_t, 60001)
NUMBER_TEST(i32, int32_t, -2000000001)
NUMBER_TEST(u32, uint32_t, 4000000001u)
NUMBER_TEST(i64, int64_t, -9000000000000000001)
NUMBER_TEST(u64, uint64_t, 0x0123456789abcdef)
NUMBER_TEST(f32, float, -1.25f)
NUMBER_TEST(f64, double, 1e-300)
NUMBER_TEST(ptr, void *, (void *)&segment)

START_TEST(test_number_nan_keeps_its_bits)
{
    const uint64_t signalling = 0x7ff4dead0000beef;
    uint64_t bits;
    double number;

    expect_ok(arena_set_u64(&segment, 0, signalling));
    expect_ok(arena_get_f64(&segment, 0, &number));
    expect_ok(arena_set_f64_be(&segment, 8, number));
    expect_ok(arena_get_u64_be(&segment, 8, &bits));
    ck_assert_uint_eq(bits, signalling);
}
END_TEST

START_TEST(test_number_bool_reads_any_byte_writes_one)
{
    uint8_t byte;
    bool truth;

    expect_ok(arena_set_u8(&segment, 3, 0x80));
    expect_ok(arena_get_bool(&segment, 3, &truth));
    ck_assert(truth);
    expect_ok(arena_set_bool(&segment, 3, true));
    expect_ok(arena_get_u8(&segment, 3, &byte));
    ck_assert_uint_eq(byte, 1);
    expect_fail(arena_get_bool(&segment, 3, NULL), EINVAL, "");
}
END_TEST

START_TEST(test_number_offset_near_ends_of_range_fails)
{
    static const size_t offsets[] = {
        61,           64,           (size_t)1 << 31, (size_t)1 << 32,
        SIZE_MAX / 2, SIZE_MAX - 2, SIZE_MAX - 3,    SIZE_MAX};
    static const size_t indices[] = {16, (size_t)1 << 30, (size_t)1 << 62,
                                     ((size_t)1 << 62) + 1, SIZE_MAX};
    int32_t number = 1;

    for (size_t i = 0; i < LENGTH(offsets); i++) {
        size_t offset = opaque_size(offsets[i]);

        expect_fail(arena_get_i32(&segment, offset, &number), ERANGE, "");
        expect_fail(arena_set_i32_unaligned(&segment, offset, 1), ERANGE, "");
    }
    for (size_t i = 0; i < LENGTH(indices); i++) {
        size_t index = opaque_size(indices[i]);

        expect_fail(arena_get_i32_at(&segment, index, &number), ERANGE, "");
        expect_fail(arena_set_i32_at(&segment, index, 1), ERANGE, "");
    }
    ck_assert_int_eq(number, 1);
    ck_assert(block_is_zero(segment.addr, 64));
}
END_TEST

/* --- The order of faults --- */

static void *
order_elsewhere(void *context)
{
    arena_segment_t view = read_only(&segment);
    struct answer *answers = context;
    int32_t number;

    record_answer(&answers[0], arena_set_i32(&view, 1000, 1));
    record_answer(&answers[1], arena_get_i32(&segment, 1001, &number));
    record_answer(&answers[2], arena_get_i32(&segment, 1, &number));
    record_answer(&answers[3], arena_get_i32(&segment, 0, &number));
    record_answer(&answers[4], arena_set_i32(&segment, 0, 1));
    record_answer(&answers[5], arena_get_bytes(&segment, 0, NULL, 0));
    record_answer(&answers[6], arena_segment_fill(&segment, 1));
    return NULL;
}

static void
expect_order(const struct answer *answers, int last)
{
    expect_answer(&answers[0], EACCES, "read-only");
    expect_answer(&answers[1], ERANGE, "1001");
    expect_answer(&answers[2], EFAULT, "multiple of 4");
    for (int i = 3; i < 7; i++)
        expect_answer(&answers[i], last, "");
}

START_TEST(test_order_in_another_thread_ends_with_eperm)
{
    struct answer answers[7];

    run_in_thread(order_elsewhere, answers);
    expect_order(answers, EPERM);
    expect_ok(arena_close(arena));
    run_in_thread(order_elsewhere, answers);
    expect_order(answers, EPERM);
    order_elsewhere(answers);
    expect_order(answers, ESTALE);
}
END_TEST

START_TEST(test_order_same_for_all_kinds_of_operation)
{
    arena_segment_t view = read_only(&segment), empty = slice_of(&view, 0, 0);
    char buffer[8];

    expect_ok(arena_close(arena));
    expect_fail(arena_set_bytes(&view, 99, "x", 1), EACCES, "");
    expect_fail(arena_set_bytes(&view, 0, "", 0), EACCES, "");
    expect_fail(arena_segment_fill(&empty, 0), EACCES, "");
    expect_fail(arena_segment_copy(&view, 99, &segment, 99, 1), EACCES, "");
    expect_fail(arena_segment_copy(&segment, 0, &view, 65, 0), ERANGE, "65");
    expect_fail(arena_segment_copy(&segment, 0, &view, 0, 0), ESTALE, "");
    expect_fail(arena_get_bytes(&segment, 64, buffer, 0), ESTALE, "");
    expect_fail(arena_get_array(&segment, 0, buffer, 0, 4,
                                ARENA_BIG_ENDIAN),
                ESTALE, "");
    ck_assert_int_eq(arena_segment_mismatch(&empty, &empty), -2);
    ck_assert_int_eq(errno, ESTALE);
    expect_fail(arena_get_string(&segment, 0, NULL), ESTALE, "");
    expect_fail(arena_get_string(&segment, 65, NULL), ERANGE, "");
}
END_TEST

static int
make_too_large(arena_t *of)
{
    arena_segment_t s;

    return arena_segment(of, opaque_size(SIZE_MAX), 8, &s);
}

START_TEST(test_order_of_making)
{
    arena_t *shared = arena_shared();
    struct answer answer = ask_in_thread(make_too_large, arena);

    expect_answer(&answer, EPERM, "");
    expect_ok(arena_close(shared));
    expect_fail(make_too_large(shared), ESTALE, "");
    expect_fail(make_too_large(arena), ENOMEM, "");
    expect_ok(arena_close(arena));
    expect_fail(make_too_large(arena), ESTALE, "");
}
END_TEST

#define NOTHINGS 10

/* All that can be done with no bytes, and what looks at none. */
static void *
do_nothing(void *context)
{
    arena_segment_t empty = slice_of(&segment, 64, 0), out;
    struct answer *answers = context;
    arena_buffer_t *buffer;
    char byte;

    record_answer(&answers[0], arena_get_bytes(&empty, 0, NULL, 0));
    record_answer(&answers[1], arena_set_bytes(&empty, 0, NULL, 0));
    record_answer(&answers[2], arena_segment_fill(&empty, 1));
    record_answer(&answers[3],
                  arena_segment_copy(&segment, 64, &segment, 64, 0));
    record_answer(&answers[4], arena_segment_copy_array(
                                   &segment, 0, ARENA_BIG_ENDIAN, &segment, 0,
                                   ARENA_LITTLE_ENDIAN, 0, 8));
    record_answer(&answers[5],
                  arena_get_array(&empty, 0, &byte, 0, 8, ARENA_BIG_ENDIAN));
    record_answer(&answers[6],
                  arena_set_array(&empty, 0, &byte, 0, 8, ARENA_BIG_ENDIAN));
    record_answer(&answers[7],
                  arena_segment_mismatch(&empty, &segment) == 0 ? 0 : -1);
    record_answer(&answers[8], arena_segment_reinterpret(&segment, 0, &out));
    record_answer(&answers[9],
                  (buffer = arena_buffer_of_segment(&empty)) == NULL
                      ? -1
                      : arena_buffer_get_at(buffer, 0, NULL, 0));
    return NULL;
}

START_TEST(test_operations_on_no_bytes_check_as_others)
{
    struct answer answers[NOTHINGS];

    do_nothing(answers);
    for (size_t i = 0; i < NOTHINGS; i++)
        expect_success(&answers[i]);
    run_in_thread(do_nothing, answers);
    for (size_t i = 0; i < NOTHINGS; i++)
        expect_answer(&answers[i], EPERM, "");
    expect_ok(arena_close(arena));
    do_nothing(answers);
    for (size_t i = 0; i < NOTHINGS; i++)
        expect_answer(&answers[i], ESTALE, "");
}
END_TEST

/* All that writes, out of bounds and askew, of a part of a view that was
 * reinterpreted. */
START_TEST(test_read_only_cannot_be_written_by_anything)
{
    arena_segment_t view = read_only(&segment);
    int64_t expected = 0;

    expect_ok(arena_segment_slice(&view, 1, 40, &view));
    expect_ok(arena_segment_reinterpret(&view, 60, &view));
    ck_assert(arena_segment_same_address(
        &view, &(arena_segment_t){.addr = (char *)segment.addr + 1}));
    expect_fail(arena_set_i8(&view, 99, 1), EACCES, "");
    expect_fail(arena_set_f64_be_at(&view, SIZE_MAX, 1), EACCES, "");
    expect_fail(arena_set_ptr_unaligned(&view, 0, NULL), EACCES, "");
    expect_fail(arena_set_bool(&view, 0, true), EACCES, "");
    expect_fail(arena_set_bytes(&view, 0, "x", 1), EACCES, "");
    expect_fail(arena_set_array(&view, 0, &expected, 1, 8, ARENA_BIG_ENDIAN),
                EACCES, "");
    expect_fail(arena_set_string(&view, 99, ""), EACCES, "");
    expect_fail(arena_segment_fill(&view, 0), EACCES, "");
    expect_fail(arena_segment_copy(&view, 0, &view, 0, 0), EACCES, "");
    expect_fail(arena_segment_copy_array(&view, 0, ARENA_BIG_ENDIAN, &segment,
                                         0, ARENA_LITTLE_ENDIAN, 0, 4),
                EACCES, "");
    expect_fail(arena_atomic_store_i64(&view, 0, 1), EACCES, "");
    expect_fail(arena_atomic_exchange_i64(&view, 0, 1, NULL), EACCES, "");
    expect_fail(arena_atomic_fetch_xor_i64(&view, 99, 1, NULL), EACCES, "");
    expect_fail(arena_atomic_compare_exchange_i64(&view, 0, &expected, 1),
                EACCES, "");
    ck_assert(block_is_zero(segment.addr, 64));
}
END_TEST

/* --- Liveness --- */

START_TEST(test_close_makes_stale_and_reuse_does_not_revive)
{
    int32_t number;

    expect_ok(arena_close(arena));
    ck_assert(!arena_segment_is_alive(&segment));
    for (size_t i = 0; i < 1000; i++) {
        arena_t *next = arena_confined();
        arena_segment_t other;

        expect_ok(arena_segment(next, 64, 64, &other));
        expect_fail(arena_get_i32(&segment, 0, &number), ESTALE, "");
        expect_fail(arena_set_i32(&segment, 0, 1), ESTALE, "");
        expect_ok(arena_get_i32(&other, 0, &number));
        expect_ok(arena_close(next));
    }
}
END_TEST

START_TEST(test_reset_makes_stale)
{
    int32_t number;

    expect_ok(arena_reset(arena));
    expect_fail(arena_get_i32(&segment, 0, &number), ESTALE, "");
    expect_ok(arena_segment(arena, 64, 64, &segment));
    expect_ok(arena_get_i32(&segment, 0, &number));
}
END_TEST

/* Of what came before a mark, between two, and after both. */
START_TEST(test_rewind_makes_stale_what_came_after)
{
    arena_segment_t between, after, again;
    arena_mark_t outer, inner;
    int32_t number;

    expect_ok(arena_mark(arena, &outer));
    expect_ok(arena_segment(arena, 8, 8, &between));
    expect_ok(arena_mark(arena, &inner));
    expect_ok(arena_segment(arena, 8, 8, &after));
    expect_ok(arena_rewind(arena, inner));
    expect_fail(arena_get_i32(&after, 0, &number), ESTALE, "rewound");
    expect_ok(arena_get_i32(&between, 0, &number));
    expect_ok(arena_segment(arena, 8, 8, &again));
    expect_fail(arena_get_i32(&after, 0, &number), ESTALE, "");
    expect_ok(arena_rewind(arena, outer));
    expect_fail(arena_get_i32(&again, 0, &number), ESTALE, "");
    expect_fail(arena_get_i32(&between, 0, &number), ESTALE, "");
    expect_ok(arena_get_i32(&segment, 0, &number));
    /* The words that they looked at are used again. */
    for (int i = 0; i < 100; i++) {
        expect_ok(arena_mark(arena, &inner));
        expect_ok(arena_segment(arena, 8, 8, &again));
        expect_fail(arena_get_i32(&after, 0, &number), ESTALE, "");
        expect_fail(arena_get_i32(&between, 0, &number), ESTALE, "");
        expect_ok(arena_rewind(arena, outer));
    }
    expect_ok(arena_close(arena));
    expect_fail(arena_get_i32(&segment, 0, &number), ESTALE, "");
    expect_fail(arena_get_i32(&again, 0, &number), ESTALE, "");
}
END_TEST

/* A segment of a pointer lives as long as the block does. */
START_TEST(test_rewind_knows_segments_of_pointers)
{
    char *before, *big_before, *after, *big_after;
    arena_segment_t of[4];
    arena_mark_t mark;
    uint8_t byte;

    expect_ok(before = arena_alloc(arena, 100));
    expect_ok(big_before = arena_alloc(arena, 100000));
    expect_ok(arena_mark(arena, &mark));
    expect_ok(after = arena_alloc(arena, 100));
    expect_ok(big_after = arena_alloc(arena, 100000));
    expect_ok(arena_segment_of(before, &of[0]));
    expect_ok(arena_segment_of(big_before, &of[1]));
    expect_ok(arena_segment_of(after, &of[2]));
    expect_ok(arena_segment_of(big_after, &of[3]));
    expect_ok(arena_rewind(arena, mark));
    expect_ok(arena_get_u8(&of[0], 0, &byte));
    expect_ok(arena_get_u8(&of[1], 0, &byte));
    expect_fail(arena_get_u8(&of[2], 0, &byte), ESTALE, "");
    expect_fail(arena_get_u8(&of[3], 0, &byte), ESTALE, "");
}
END_TEST

static void
try_in_action(void *answer)
{
    record_answer((struct answer *)answer, arena_set_i32(&segment, 0, 1));
}

START_TEST(test_close_action_finds_it_stale)
{
    struct answer answer;

    expect_ok(arena_on_close(arena, try_in_action, &answer));
    expect_ok(arena_close(arena));
    expect_answer(&answer, ESTALE, "");
}
END_TEST

/* --- All kinds --- */

static void
expect_usable(arena_t *of)
{
    arena_segment_t s;
    int64_t number;

    expect_ok(arena_segment(of, 1000, 32, &s));
    ck_assert_ptr_eq(s.arena, of);
    ck_assert(is_aligned(s.addr, 32));
    expect_ok(arena_set_i64_at(&s, 124, -5));
    expect_ok(arena_get_i64(&s, 992, &number));
    ck_assert_int_eq(number, -5);
    expect_fail(arena_get_i64_at(&s, 125, &number), ERANGE, "");
    ck_assert(arena_segment_is_accessible(&s));
    expect_ok(arena_segment_of((char *)s.addr + 8, &s));
    ck_assert_ptr_eq(s.arena, of);
    ck_assert_uint_ge(s.size, 992);
    expect_ok(arena_get_i64(&s, 984, &number));
    ck_assert_int_eq(number, -5);
}

START_TEST(test_kinds_are_all_usable)
{
    arena_t *shared = arena_shared();

    expect_usable(arena_global());
    expect_usable(arena_auto());
    expect_usable(arena);
    expect_usable(shared);
    expect_usable(arena_implicit());
    expect_ok(arena_close(shared));
}
END_TEST

static arena_segment_t herd[200];

static void *
build_herd(void *unused)
{
    for (size_t i = 0; i < LENGTH(herd); i++) {
        arena_segment_t whole;

        if (arena_segment(i % 2 == 0 ? arena_auto() : arena_implicit(), 256,
                          8, &whole)
                == 0
            && arena_segment_slice(&whole, 128, 128, &herd[i]) == 0)
            fill_block(herd[i].addr, 128, i);
    }
    return unused;
}

/* The slice is all that is kept. */
START_TEST(test_slice_keeps_collected_memory)
{
    arena_usage_t before = usage_now();

    expect_ok(arena_thread_attach());
    run_in_thread(build_herd, NULL);
    collect_times(3);
    for (size_t i = 0; i < LENGTH(herd); i++)
        ck_assert(block_holds(herd[i].addr, 128, i));
    memset(herd, 0, sizeof herd);
    if (getenv("GC_DONT_GC") != NULL)
        return;
    for (int i = 0; i < COLLECTIONS_MOST; i++)
        if (usage_now().kind[ARENA_AUTO].count
            > before.kind[ARENA_AUTO].count + 5)
            collect_times(1);
    ck_assert_uint_le(usage_now().kind[ARENA_AUTO].count,
                      before.kind[ARENA_AUTO].count + 5);
}
END_TEST

static void *
build_ends(void *unused)
{
    for (size_t i = 0; i < LENGTH(herd); i++) {
        arena_segment_t whole;

        if (arena_segment(arena_implicit(), 256, 8, &whole) == 0
            && arena_segment_slice(&whole, 256, 0, &herd[i]) == 0)
            fill_block(whole.addr, 256, i);
    }
    return unused;
}

/* An empty slice at the very end is. */
START_TEST(test_slice_at_the_end_keeps_collected_memory)
{
    expect_ok(arena_thread_attach());
    run_in_thread(build_ends, NULL);
    collect_times(3);
    for (size_t i = 0; i < LENGTH(herd); i++) {
        ck_assert_uint_eq(herd[i].size, 0);
        ck_assert(block_holds((char *)herd[i].addr - 256, 256, i));
    }
    memset(herd, 0, sizeof herd);
}
END_TEST

/* --- Of pointers --- */

START_TEST(test_of_pointer_knows_exact_bounds)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_segment_t s;
    arena_t *guarded;
    char *block;

    options.flags = ARENA_GUARDED;
    guarded = arena_open(ARENA_CONFINED, &options);
    expect_ok(block = arena_alloc(guarded, 77));
    expect_ok(arena_segment_of(block + 7, &s));
    ck_assert_uint_eq(s.size, 70);
    expect_ok(block = arena_alloc(arena, 100001));
    expect_ok(arena_segment_of(block + 1, &s));
    ck_assert_uint_eq(s.size, 100000);
    expect_ok(block = arena_alloc(NULL, 33));
    expect_ok(arena_segment_of(block + 3, &s));
    ck_assert_uint_eq(s.size, 30);
    expect_fail(arena_segment_of(block - 1, &s), EINVAL, "");
    arena_free(block);
    expect_ok(arena_close(guarded));
}
END_TEST

START_TEST(test_of_pointer_elsewhere_fails)
{
    arena_segment_t s = segment;
    char *block;
    int local = 0;

    expect_fail(arena_segment_of(&local, &s), EINVAL, "no block");
    expect_fail(arena_segment_of(NULL, &s), EINVAL, "");
    expect_fail(arena_segment_of(segment.addr, NULL), EINVAL, "");
    expect_ok(block = arena_alloc(arena, 10));
    expect_fail(arena_segment_of(block + 17, &s), EINVAL, "");
    expect_ok(arena_close(arena));
    expect_fail(arena_segment_of(block, &s), EINVAL, "");
    ck_assert_mem_eq(&s, &segment, sizeof s);
}
END_TEST

static int
ask_of(arena_t *unused)
{
    arena_segment_t s;

    (void)unused;
    return arena_segment_of(segment.addr, &s);
}

START_TEST(test_of_pointer_into_foreign_confined_fails_eperm)
{
    struct answer answer = ask_in_thread(ask_of, arena);

    expect_answer(&answer, EPERM, "");
}
END_TEST

START_TEST(test_loaded_pointer_has_its_owner)
{
    arena_t *other = arena_confined();
    arena_segment_t target = segment, loaded;
    int32_t number;

    expect_ok(arena_segment(other, 100000, 8, &target));
    expect_ok(arena_set_ptr(&segment, 8, (char *)target.addr + 400));
    expect_ok(arena_get_segment(&segment, 8, &loaded));
    ck_assert_ptr_eq(loaded.arena, other);
    ck_assert_uint_eq(loaded.size, 99600);
    expect_ok(arena_close(other));
    expect_fail(arena_get_i32(&loaded, 0, &number), ESTALE, "");
    expect_fail(arena_get_segment(&segment, 8, &loaded), EINVAL, "");
    expect_ok(arena_get_segment(&segment, 0, &loaded));
    ck_assert_ptr_null(loaded.addr);
    ck_assert_uint_eq(loaded.size, 0);
    expect_fail(arena_get_i32(&loaded, 0, &number), ERANGE, "");
    expect_fail(arena_get_segment(&segment, 0, NULL), EINVAL, "");
}
END_TEST

START_TEST(test_loaded_pointer_into_collected_memory)
{
    arena_t *collected = arena_auto();
    arena_segment_t loaded;
    char *block;
    int32_t number = 0;

    expect_ok(block = arena_alloc(NULL, 100));
    expect_ok(arena_set_ptr(&segment, 0, block + 40));
    expect_ok(arena_get_segment(&segment, 0, &loaded));
    ck_assert_ptr_eq(loaded.arena, arena_implicit());
    ck_assert_uint_eq(loaded.size, 60);
    expect_ok(block = arena_alloc(collected, 100));
    expect_ok(arena_set_ptr(&segment, 0, block));
    expect_ok(arena_get_segment(&segment, 0, &loaded));
    ck_assert_ptr_eq(loaded.arena, collected);
    expect_ok(arena_set_i32(&loaded, 96, 5));
    memcpy(&number, block + 96, sizeof number);
    ck_assert_int_eq(number, 5);
}
END_TEST

/* --- Wrapping and reinterpreting --- */

START_TEST(test_wrap_gives_the_arenas_lifetime)
{
    int32_t here[4] = {1, 2, 3, 4}, number;
    arena_segment_t s, longer;

    expect_ok(arena_segment_wrap(arena, here, sizeof here, &s));
    expect_ok(arena_get_i32_at(&s, 3, &number));
    ck_assert_int_eq(number, 4);
    expect_ok(arena_segment_reinterpret(&s, 8, &longer));
    expect_ok(arena_segment_reinterpret(&longer, 16, &longer));
    ck_assert_uint_eq(longer.size, 16);
    expect_ok(arena_close(arena));
    expect_fail(arena_get_i32_at(&s, 3, &number), ESTALE, "");
    expect_fail(arena_segment_wrap(arena, here, 4, &s), ESTALE, "");
    expect_fail(arena_segment_wrap(NULL, here, 4, &s), EINVAL, "");
    expect_fail(arena_segment_wrap(arena, NULL, 4, &s), EINVAL, "");
    expect_fail(arena_segment_wrap(arena, here, SIZE_MAX - 4, &s), EINVAL,
                "");
}
END_TEST

START_TEST(test_wrap_that_fails_keeps_nothing)
{
    arena_t *closed = arena_shared();
    arena_segment_t s;

    expect_ok(arena_close(closed));
    expect_fail(arena_segment_wrap(closed, segment.addr, 8, &s), ESTALE, "");
    expect_fail(arena_segment_wrap(arena_implicit(), segment.addr, 8, &s),
                ENOTSUP, "");
    expect_ok(arena_close(arena));
}
END_TEST

START_TEST(test_wrap_keeps_the_other_arena)
{
    arena_t *shared = arena_shared();
    arena_segment_t alias;
    int32_t number;

    expect_fail(arena_segment_wrap(arena_global(), segment.addr, 8, &alias),
                ENOTSUP, "");
    expect_ok(arena_segment_wrap(shared, segment.addr, 64, &alias));
    expect_fail(arena_close(arena), EBUSY, "1 time");
    expect_ok(arena_get_i32(&alias, 0, &number));
    expect_ok(arena_close(shared));
    expect_ok(arena_close(arena));
}
END_TEST

/* Neither could ever be closed. */
START_TEST(test_wrap_of_a_childs_memory_fails)
{
    static const arena_kind_t kinds[] = {ARENA_CONFINED, ARENA_SHARED};

    for (size_t i = 0; i < LENGTH(kinds); i++) {
        arena_options_t options = ARENA_OPTIONS_INIT;
        arena_t *parent = arena_open(kinds[i], NULL), *child, *grandchild;
        arena_segment_t s = segment;
        char *block;

        options.parent = parent;
        child = arena_open(kinds[i], &options);
        options.parent = child;
        grandchild = arena_open(kinds[i], &options);
        expect_ok(block = arena_alloc(grandchild, 8));
        expect_fail(arena_segment_wrap(parent, block, 8, &s), ENOTSUP,
                    "child");
        expect_ok(block = arena_alloc(child, 8));
        expect_fail(arena_segment_wrap(parent, block, 8, &s), ENOTSUP,
                    "child");
        ck_assert_mem_eq(&s, &segment, sizeof s);
        /* The other way round is well. */
        expect_ok(arena_segment_wrap(grandchild, block, 8, &s));
        expect_fail(arena_close(child), EBUSY, "1 time");
        expect_ok(arena_close(grandchild));
        expect_ok(arena_close(parent));
    }
}
END_TEST

START_TEST(test_reinterpret_of_nothing_fails)
{
    arena_segment_t s;

    expect_ok(arena_segment_wrap(arena, NULL, 0, &s));
    expect_fail(arena_segment_reinterpret(&s, 8, &s), ERANGE, "");
    expect_ok(arena_segment_reinterpret(&s, 0, &s));
}
END_TEST

START_TEST(test_reinterpret_is_bounded_by_what_is_known)
{
    arena_segment_t big, part, view;
    int32_t number;

    expect_ok(arena_segment(arena, 50000, 8, &big));
    part = slice_of(&big, 1000, 10);
    view = read_only(&part);
    expect_ok(arena_segment_reinterpret(&view, 49000, &part));
    ck_assert_uint_eq(part.size, 49000);
    expect_fail(arena_set_i32(&part, 0, 1), EACCES, "");
    expect_ok(arena_get_i32(&part, 48996, &number));
    expect_fail(arena_segment_reinterpret(&view, 49001, &part), ERANGE,
                "49000");
    expect_fail(arena_segment_reinterpret(&view, SIZE_MAX, &part), ERANGE,
                "");
    expect_fail(arena_segment_reinterpret(&view, 1, NULL), EINVAL, "");
    expect_ok(arena_close(arena));
    expect_fail(arena_segment_reinterpret(&view, 10, &part), ESTALE, "");
}
END_TEST

/* --- Parts --- */

START_TEST(test_slice_stays_within)
{
    arena_segment_t part, end, out = segment;

    part = slice_of(&segment, 16, 32);
    ck_assert_ptr_eq(part.addr, (char *)segment.addr + 16);
    end = slice_of(&part, 32, 0);
    ck_assert_uint_eq(end.size, 0);
    expect_fail(arena_segment_slice(&part, 33, 0, &out), ERANGE, "");
    expect_fail(arena_segment_slice(&part, 0, 33, &out), ERANGE, "");
    expect_fail(arena_segment_slice(&part, 1, SIZE_MAX, &out), ERANGE, "");
    expect_fail(arena_segment_slice(&part, SIZE_MAX, 2, &out), ERANGE, "");
    expect_fail(arena_segment_slice(&part, 0, 1, NULL), EINVAL, "");
    ck_assert_mem_eq(&out, &segment, sizeof out);
    expect_ok(arena_segment_slice(&out, 1, 2, &out));
    ck_assert_uint_eq(out.size, 2);
}
END_TEST

START_TEST(test_slice_aligned_checks_the_address)
{
    arena_segment_t part;

    expect_ok(arena_segment_slice_aligned(&segment, 32, 8, 32, &part));
    expect_fail(arena_segment_slice_aligned(&segment, 48, 8, 32, &part),
                EFAULT, "32");
    expect_fail(arena_segment_slice_aligned(&segment, 48, 17, 32, &part),
                ERANGE, "");
    expect_fail(arena_segment_slice_aligned(&segment, 48, 8, 0, &part),
                EINVAL, "");
    expect_fail(arena_segment_slice_aligned(&segment, 99, 8, 3, &part),
                EINVAL, "");
}
END_TEST

static void *
slice_elsewhere(void *answer)
{
    arena_segment_t part;

    record_answer((struct answer *)answer,
                  arena_segment_slice(&segment, 8, 8, &part));
    return NULL;
}

START_TEST(test_slice_of_dead_in_another_thread_works)
{
    struct answer answer;

    expect_ok(arena_close(arena));
    run_in_thread(slice_elsewhere, &answer);
    expect_success(&answer);
}
END_TEST

START_TEST(test_split_gives_disjoint_parts_of_all)
{
    for (size_t parts = 1; parts <= 20; parts++) {
        char *next = segment.addr;

        for (size_t i = 0; i < parts; i++) {
            arena_segment_t part;

            expect_ok(arena_segment_split(&segment, 4, parts, i, &part));
            ck_assert_ptr_eq(part.addr, next);
            ck_assert_uint_eq(part.size % 4, 0);
            ck_assert_uint_le(part.size, (16 / parts + 1) * 4);
            next += part.size;
        }
        ck_assert_ptr_eq(next, (char *)segment.addr + 64);
    }
}
END_TEST

START_TEST(test_split_bad_arguments_fail)
{
    arena_segment_t part;

    expect_fail(arena_segment_split(&segment, 0, 1, 0, &part), EINVAL, "");
    expect_fail(arena_segment_split(&segment, 4, 0, 0, &part), EINVAL, "");
    expect_fail(arena_segment_split(&segment, 7, 2, 0, &part), EINVAL, "7");
    expect_fail(arena_segment_split(&segment, 4, 2, 2, &part), ERANGE, "2");
}
END_TEST

START_TEST(test_overlap_is_of_the_first)
{
    arena_segment_t a = slice_of(&segment, 0, 32),
                    b = slice_of(&segment, 24, 40),
                    inside = slice_of(&segment, 8, 4),
                    nothing = slice_of(&segment, 8, 0), out = segment;

    ck_assert_int_eq(arena_segment_overlap(&a, &b, &out), 1);
    ck_assert_ptr_eq(out.addr, b.addr);
    ck_assert_uint_eq(out.size, 8);
    ck_assert_int_eq(arena_segment_overlap(&a, &inside, &out), 1);
    ck_assert_ptr_eq(out.addr, inside.addr);
    ck_assert_uint_eq(out.size, 4);
    out = segment;
    ck_assert_int_eq(arena_segment_overlap(&inside, &b, &out), 0);
    ck_assert_int_eq(arena_segment_overlap(&a, &nothing, &out), 0);
    a = slice_of(&segment, 0, 24);
    ck_assert_int_eq(arena_segment_overlap(&a, &b, &out), 0);
    ck_assert_mem_eq(&out, &segment, sizeof out);
    expect_fail(arena_segment_overlap(NULL, &b, &out), EINVAL, "");
    ck_assert(arena_segment_same_address(&segment, &a));
    ck_assert(!arena_segment_same_address(&segment, &b));
}
END_TEST

/* --- Bytes --- */

START_TEST(test_fill_sets_all_of_any_size)
{
    arena_segment_t big, part;
    unsigned char *bytes;

    expect_ok(arena_segment(arena, 600, 1, &big));
    bytes = big.addr;
    for (size_t size = 0; size <= 512; size += 1 + size / 8) {
        memset(bytes, 1, 600);
        part = slice_of(&big, 40, size);
        expect_ok(arena_segment_fill(&part, 0xab));
        ck_assert_uint_eq(bytes[39], 1);
        ck_assert_uint_eq(bytes[40 + size], 1);
        for (size_t i = 0; i < size; i++)
            ck_assert_uint_eq(bytes[40 + i], 0xab);
    }
}
END_TEST

/* Against memmove, for overlaps of all kinds; and turned around. */
START_TEST(test_copy_is_memmove)
{
    static unsigned char model[20000], moved[20000];
    static const size_t at[] = {0, 1, 7, 8, 100, 4095, 4096, 9000};
    static const size_t sizes[] = {0, 1, 8, 16, 512, 4096, 10000};
    arena_segment_t big;

    expect_ok(arena_segment(arena, sizeof model, 8, &big));
    for (size_t i = 0; i < LENGTH(at) * LENGTH(at) * LENGTH(sizes); i++) {
        size_t to = at[i % LENGTH(at)], from = at[i / LENGTH(at) % LENGTH(at)];
        size_t n = sizes[i / LENGTH(at) / LENGTH(at)];

        fill_block(model, sizeof model, i);
        memcpy(big.addr, model, sizeof model);
        memmove(model + to, model + from, n);
        expect_ok(arena_segment_copy(&big, to, &big, from, n));
        ck_assert_mem_eq(big.addr, model, sizeof model);
        for (size_t k = 0; k < n / 8 * 8; k++)
            moved[k] = model[from + (k ^ 7)];
        memcpy(model + to, moved, n / 8 * 8);
        expect_ok(arena_segment_copy_array(&big, to, ARENA_BIG_ENDIAN, &big,
                                           from, ARENA_LITTLE_ENDIAN, n / 8,
                                           8));
        ck_assert_mem_eq(big.addr, model, sizeof model);
    }
}
END_TEST

START_TEST(test_copy_out_of_bounds_copies_nothing)
{
    arena_segment_t small = slice_of(&segment, 0, 16);
    unsigned char before[64];

    fill_block(segment.addr, 64, 5);
    memcpy(before, segment.addr, 64);
    expect_fail(arena_segment_copy(&small, 8, &segment, 32, 9), ERANGE, "");
    expect_fail(arena_segment_copy(&segment, 0, &small, 0, 17), ERANGE, "");
    expect_fail(arena_segment_copy_array(&segment, 0, ARENA_NATIVE_ENDIAN,
                                         &segment, 0, ARENA_NATIVE_ENDIAN,
                                         ((size_t)1 << 61) + 1, 8),
                ERANGE, "");
    expect_fail(arena_segment_copy_array(&segment, 0, ARENA_NATIVE_ENDIAN,
                                         &segment, 0, ARENA_NATIVE_ENDIAN, 1,
                                         3),
                EINVAL, "3");
    expect_fail(arena_set_bytes(&small, 10, before, 7), ERANGE, "");
    expect_fail(arena_set_bytes(&small, 0, NULL, 7), EINVAL, "");
    ck_assert_mem_eq(segment.addr, before, 64);
}
END_TEST

START_TEST(test_mismatch_finds_the_first_difference)
{
    arena_segment_t a, b, part;

    expect_ok(arena_segment(arena, 3000, 1, &a));
    expect_ok(arena_segment(arena, 3000, 1, &b));
    fill_block(a.addr, 3000, 1);
    fill_block(b.addr, 3000, 1);
    ck_assert_int_eq(arena_segment_mismatch(&a, &b), -1);
    for (size_t i = 0; i < 3000; i += 1 + i / 10) {
        ((unsigned char *)b.addr)[i] ^= 1;
        ck_assert_int_eq(arena_segment_mismatch(&a, &b), (ptrdiff_t)i);
        ((unsigned char *)b.addr)[i] ^= 1;
    }
    part = slice_of(&b, 0, 1000);
    ck_assert_int_eq(arena_segment_mismatch(&a, &part), 1000);
    part = slice_of(&b, 0, 0);
    ck_assert_int_eq(arena_segment_mismatch(&part, &a), 0);
    ck_assert_int_eq(arena_segment_mismatch(&part, &part), -1);
    ck_assert_int_eq(arena_segment_mismatch(&part, NULL), -2);
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

/* Zeroes that take no memory, and one byte. */
START_TEST(test_mismatch_beyond_2_gib)
{
    const size_t size = ((size_t)1 << 31) + 5000;
    char *bytes[2];
    arena_segment_t s[2];

    if (malloc_is_replaced())
        return;
    for (size_t i = 0; i < 2; i++) {
        bytes[i] = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ck_assert(bytes[i] != MAP_FAILED);
        madvise(bytes[i], size, MADV_HUGEPAGE); /* quicker, if it works */
        expect_ok(arena_segment_wrap(arena, bytes[i], size, &s[i]));
    }
    bytes[1][size - 3] = 1;
    ck_assert_int_eq(arena_segment_mismatch(&s[0], &s[1]),
                     (ptrdiff_t)size - 3);
    munmap(bytes[0], size);
    munmap(bytes[1], size);
}
END_TEST

START_TEST(test_array_turns_byte_order)
{
    arena_segment_t few = slice_of(&segment, 0, 16);
    uint32_t numbers[16], got[16];
    uint32_t one;

    for (uint32_t i = 0; i < 16; i++)
        numbers[i] = 0x01020304 * (i + 1);
    expect_ok(arena_set_array(&segment, 0, numbers, 16, 4, ARENA_BIG_ENDIAN));
    expect_ok(arena_get_u32_be_at(&segment, 9, &one));
    ck_assert_uint_eq(one, numbers[9]);
    expect_ok(arena_get_array(&segment, 0, got, 16, 4, ARENA_BIG_ENDIAN));
    ck_assert_mem_eq(got, numbers, sizeof got);
    expect_ok(arena_get_array(&segment, 1, got, 15, 4, ARENA_LITTLE_ENDIAN));
    expect_fail(arena_get_array(&segment, 0, got, 17, 4, ARENA_BIG_ENDIAN),
                ERANGE, "17 elements of 4 bytes at offset 0");
    expect_fail(arena_set_array(&segment, 0, got, (size_t)1 << 62, 4,
                                ARENA_BIG_ENDIAN),
                ERANGE, "4611686018427387904 elements of 4 bytes");
    expect_fail(arena_segment_copy_array(&segment, 0, ARENA_BIG_ENDIAN, &few,
                                         8, ARENA_BIG_ENDIAN, 3, 4),
                ERANGE, "at offset 8 are not in a segment of 16");
    expect_fail(arena_get_array(&segment, 0, got, 1, 5, ARENA_BIG_ENDIAN),
                EINVAL, "5");
    expect_fail(arena_get_array(&segment, 0, NULL, 1, 4, ARENA_BIG_ENDIAN),
                EINVAL, "");
}
END_TEST

/* --- Strings --- */

START_TEST(test_string_round_trips)
{
    char *copy;
    size_t length;

    expect_ok(arena_set_string(&segment, 3, "h\xc3\xa9llo"));
    expect_ok(copy = arena_get_string(&segment, 3, arena));
    ck_assert_str_eq(copy, "h\xc3\xa9llo");
    ck_assert_ptr_eq(arena_of(copy), arena);
    expect_ok(arena_string_length(&segment, 3, 1, &length));
    ck_assert_uint_eq(length, 6);
    expect_fail(arena_string_length(&segment, 3, 3, &length), EINVAL, "3");
    expect_fail(arena_set_string(&segment, 3, NULL), EINVAL, "string is NULL");
    expect_fail(arena_string_length(&segment, 3, 1, NULL), EINVAL, "pointer");
}
END_TEST

START_TEST(test_string_without_end_fails)
{
    arena_segment_t empty = slice_of(&segment, 64, 0), odd;
    size_t length;

    memset(segment.addr, 'x', 64);
    expect_fail(arena_get_string(&segment, 0, arena), ERANGE, "no end");
    expect_fail(arena_get_string(&empty, 0, arena), ERANGE, "no end");
    /* A last byte that is no whole unit ends nothing. */
    ((char *)segment.addr)[62] = 0;
    odd = slice_of(&segment, 0, 63);
    expect_fail(arena_string_length(&odd, 0, 2, &length), ERANGE, "");
    ((char *)segment.addr)[61] = 0;
    expect_ok(arena_string_length(&odd, 1, 2, &length));
    ck_assert_uint_eq(length, 30);
}
END_TEST

START_TEST(test_string_too_long_writes_nothing)
{
    arena_segment_t five = slice_of(&segment, 0, 5);

    expect_fail(arena_set_string(&five, 0, "12345"), ERANGE, "6 bytes");
    ck_assert(block_is_zero(segment.addr, 64));
    expect_ok(arena_set_string(&five, 0, "1234"));
}
END_TEST

/* The byte behind the segment cannot be read. */
START_TEST(test_string_does_not_look_past_the_end)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *guarded;
    size_t length;

    options.flags = ARENA_GUARDED;
    guarded = arena_open(ARENA_CONFINED, &options);
    for (size_t size = 1; size < 70; size++) {
        arena_segment_t s;

        expect_ok(arena_segment(guarded, size, 1, &s));
        memset(s.addr, 'y', size);
        expect_fail(arena_get_string(&s, 0, arena), ERANGE, "");
        expect_fail(arena_string_length(&s, 0, 2, &length), ERANGE, "");
        expect_fail(arena_string_length(&s, 0, 4, &length), ERANGE, "");
    }
    expect_ok(arena_close(guarded));
}
END_TEST

/* --- Atomic operations --- */

START_TEST(test_atomic_operations_do_what_they_say)
{
    int32_t old = 0, expected = 5;
    uint64_t wide = 0;

    expect_ok(arena_atomic_store_i32(&segment, 4, 7));
    expect_ok(arena_atomic_fetch_add_i32(&segment, 4, -2, &old));
    ck_assert_int_eq(old, 7);
    ck_assert_int_eq(
        arena_atomic_compare_exchange_i32(&segment, 4, &expected, -9), 1);
    ck_assert_int_eq(
        arena_atomic_compare_exchange_i32(&segment, 4, &expected, 1), 0);
    ck_assert_int_eq(expected, -9);
    expect_ok(arena_atomic_exchange_i32(&segment, 4, 12, &old));
    ck_assert_int_eq(old, -9);
    expect_ok(arena_atomic_fetch_and_i32(&segment, 4, 6, NULL));
    expect_ok(arena_atomic_fetch_or_i32(&segment, 4, 1, NULL));
    expect_ok(arena_atomic_fetch_xor_i32(&segment, 4, 7, &old));
    ck_assert_int_eq(old, 5);
    expect_ok(arena_atomic_load_i32(&segment, 4, &old));
    ck_assert_int_eq(old, 2);
    expect_ok(arena_atomic_fetch_add_u64(&segment, 8, UINT64_MAX, &wide));
    expect_ok(arena_atomic_load_u64(&segment, 8, &wide));
    ck_assert_uint_eq(wide, UINT64_MAX);
}
END_TEST

START_TEST(test_atomic_faults)
{
    arena_segment_t view = read_only(&segment);
    int64_t number;

    expect_fail(arena_atomic_load_i64(&segment, 4, &number), EFAULT, "8");
    expect_fail(arena_atomic_store_i64(&view, 4, 1), EACCES, "");
    expect_ok(arena_atomic_load_i64(&view, 8, &number));
    expect_fail(arena_atomic_load_i64(&segment, 64, &number), ERANGE, "");
    expect_fail(arena_atomic_load_i64(&segment, 0, NULL), EINVAL, "");
    expect_fail(
        arena_atomic_compare_exchange_i64(&segment, 0, NULL, 1), EINVAL, "");
}
END_TEST

/* --- Buffers --- */

START_TEST(test_buffer_segment_is_what_remains)
{
    arena_buffer_t *buffer = arena_buffer_allocate(100), *view;
    arena_segment_t s;
    uint8_t byte;

    expect_ok(arena_buffer_set_position(buffer, 10));
    expect_ok(arena_buffer_set_limit(buffer, 90));
    expect_ok(arena_buffer_segment(buffer, &s));
    ck_assert_uint_eq(s.size, 80);
    expect_ok(arena_set_u8(&s, 0, 77));
    expect_ok(arena_buffer_get_u8(buffer, &byte));
    ck_assert_uint_eq(byte, 77);
    view = arena_buffer_read_only(buffer);
    expect_ok(arena_buffer_segment(view, &s));
    expect_fail(arena_set_u8(&s, 0, 77), EACCES, "");
    expect_ok(arena_segment_reinterpret(&s, 89, &s));
    expect_fail(arena_segment_reinterpret(&s, 90, &s), ERANGE, "89");
    expect_fail(arena_segment_of(s.addr, &s), EINVAL, "");
    expect_ok(arena_buffer_free(buffer));
    expect_fail(arena_get_u8(&s, 0, &byte), ESTALE, "");
    expect_fail(arena_buffer_segment(view, &s), ESTALE, "");
    expect_fail(arena_buffer_segment(NULL, &s), EINVAL, "");
}
END_TEST

/* --- Buffers over segments --- */

static arena_buffer_t *
buffer_over(const arena_segment_t *of)
{
    arena_buffer_t *buffer;

    expect_ok(buffer = arena_buffer_of_segment(of));
    return buffer;
}

static void
expect_buffer_usable(arena_t *of)
{
    arena_buffer_t *buffer;
    arena_segment_t s;
    uint32_t number;
    char text[6];

    expect_ok(arena_segment(of, 100, 8, &s));
    buffer = buffer_over(&s);
    ck_assert_uint_eq(arena_buffer_capacity(buffer), 100);
    ck_assert_uint_eq(arena_buffer_limit(buffer), 100);
    ck_assert_uint_eq(arena_buffer_position(buffer), 0);
    ck_assert_int_eq((int)arena_buffer_order(buffer), ARENA_NATIVE_ENDIAN);
    ck_assert_ptr_eq(arena_buffer_address(buffer), s.addr);
    expect_ok(arena_buffer_put_u32(buffer, 0x01020304));
    expect_ok(arena_buffer_set_order(buffer, ARENA_BIG_ENDIAN));
    expect_ok(arena_buffer_put_u32(buffer, 0x01020304));
    expect_ok(arena_buffer_put(buffer, "hello", 6));
    expect_ok(arena_get_u32(&s, 0, &number));
    ck_assert_uint_eq(number, 0x01020304);
    expect_ok(arena_get_u32_be(&s, 4, &number));
    ck_assert_uint_eq(number, 0x01020304);
    expect_ok(arena_buffer_flip(buffer));
    ck_assert_uint_eq(arena_buffer_remaining(buffer), 14);
    expect_ok(arena_buffer_get_u32_at(buffer, 4, &number));
    ck_assert_uint_eq(number, 0x01020304);
    expect_ok(arena_buffer_get_at(buffer, 8, text, 6));
    ck_assert_str_eq(text, "hello");
    expect_fail(arena_buffer_get_u32_at(buffer, 11, &number), ERANGE, "14");
    expect_ok(arena_buffer_set_position(buffer, 8));
    expect_ok(arena_buffer_compact(buffer));
    ck_assert_str_eq(s.addr, "hello");
    ck_assert_uint_eq(arena_buffer_position(buffer), 6);
}

START_TEST(test_buffer_over_segments_of_all_kinds)
{
    arena_t *shared = arena_shared();

    expect_buffer_usable(arena_global());
    expect_buffer_usable(arena_auto());
    expect_buffer_usable(arena);
    expect_buffer_usable(shared);
    expect_buffer_usable(arena_implicit());
    expect_ok(arena_close(shared));
}
END_TEST

static arena_buffer_t *elsewhere;

static int
get_elsewhere(arena_t *unused)
{
    uint8_t byte;

    (void)unused;
    return arena_buffer_get_u8(elsewhere, &byte);
}

static int
make_elsewhere(arena_t *unused)
{
    (void)unused;
    return arena_buffer_of_segment(&segment) != NULL ? 0 : -1;
}

START_TEST(test_buffer_over_segment_checks_as_it_does)
{
    arena_segment_t view = read_only(&segment), none = {0};
    arena_buffer_t *buffer = buffer_over(&segment), *part;
    struct answer answer;
    uint8_t byte;

    expect_fail(arena_buffer_of_segment(NULL), EINVAL, "");
    expect_fail(arena_buffer_of_segment(&none), EINVAL, "");
    expect_fail(arena_buffer_put_u8(buffer_over(&view), 1), EACCES, "");
    expect_fail(arena_buffer_put_u8(arena_buffer_read_only(buffer), 1),
                EACCES, "");
    expect_fail(arena_buffer_free(buffer), EINVAL, "view");
    elsewhere = buffer;
    answer = ask_in_thread(get_elsewhere, arena);
    expect_answer(&answer, EPERM, "confined");
    ck_assert_uint_eq(arena_buffer_position(buffer), 0);
    answer = ask_in_thread(make_elsewhere, arena);
    expect_success(&answer);
    expect_ok(part = arena_buffer_slice_at(buffer, 60, 4));
    expect_ok(arena_buffer_put_u8_at(part, 3, 7));
    expect_ok(arena_get_u8(&segment, 63, &byte));
    ck_assert_uint_eq(byte, 7);
    expect_ok(arena_close(arena));
    expect_fail(arena_buffer_get_u8(part, &byte), ESTALE, "closed");
    expect_fail(arena_buffer_put_at(part, 0, NULL, 0), ESTALE, "");
    expect_fail(arena_buffer_flip(buffer), ESTALE, "");
    expect_fail(arena_buffer_slice(buffer), ESTALE, "");
    expect_fail(arena_buffer_slice_at(buffer, 65, 0), ERANGE, "");
    expect_fail(arena_buffer_compact(buffer), ESTALE, "");
    expect_fail(arena_buffer_segment(buffer, &view), ESTALE, "");
    expect_fail(arena_buffer_of_segment(&segment), ESTALE, "");
    ck_assert_ptr_null(arena_buffer_address(buffer));
    ck_assert_uint_eq(arena_buffer_capacity(buffer), 64);
}
END_TEST

/* There and back: what is left of the buffer, with the arena's lifetime. */
START_TEST(test_buffer_over_segment_gives_a_segment)
{
    arena_buffer_t *buffer = buffer_over(&segment);
    arena_segment_t s, view = read_only(&segment);
    uint8_t byte;

    expect_ok(arena_buffer_set_position(buffer, 10));
    expect_ok(arena_buffer_set_limit(buffer, 20));
    expect_ok(arena_buffer_segment(buffer, &s));
    ck_assert_ptr_eq(s.addr, (char *)segment.addr + 10);
    ck_assert_uint_eq(s.size, 10);
    ck_assert_ptr_eq(s.arena, arena);
    expect_ok(arena_set_u8(&s, 0, 1));
    expect_ok(arena_buffer_segment(buffer_over(&view), &s));
    expect_fail(arena_set_u8(&s, 0, 1), EACCES, "");
    expect_ok(arena_close(arena));
    expect_fail(arena_get_u8(&s, 0, &byte), ESTALE, "");
}
END_TEST

START_TEST(test_buffer_over_segment_of_a_buffer_is_a_view)
{
    arena_buffer_t *root = arena_buffer_allocate(100), *view;
    arena_segment_t s, part;
    uint8_t byte;

    expect_ok(arena_buffer_set_order(root, ARENA_BIG_ENDIAN));
    expect_ok(arena_buffer_segment(root, &s));
    part = slice_of(&s, 40, 20);
    view = buffer_over(&part);
    ck_assert_uint_eq(arena_buffer_capacity(view), 20);
    ck_assert_int_eq((int)arena_buffer_order(view), ARENA_NATIVE_ENDIAN);
    expect_ok(arena_buffer_put_u8_at(view, 3, 9));
    expect_ok(arena_buffer_get_u8_at(root, 43, &byte));
    ck_assert_uint_eq(byte, 9);
    expect_ok(arena_buffer_free(root));
    expect_fail(arena_buffer_get_u8(view, &byte), ESTALE, "");
    expect_fail(arena_buffer_of_segment(&part), ESTALE, "");
}
END_TEST

/* Copies and comparisons, between both sorts of buffers. */
START_TEST(test_buffer_over_segment_beside_others)
{
    arena_buffer_t *direct = arena_buffer_allocate(64);
    arena_buffer_t *over = buffer_over(&segment), *other;
    arena_buffer_t *pairs[][2] = {{direct, over}, {over, direct}};
    unsigned char bytes[64];

    fill_block(bytes, 64, 3);
    expect_ok(arena_buffer_put_at(direct, 0, bytes, 64));
    expect_ok(arena_buffer_put_buffer(over, direct));
    ck_assert_mem_eq(segment.addr, bytes, 64);
    ck_assert_uint_eq(arena_buffer_position(over), 64);
    ck_assert_uint_eq(arena_buffer_remaining(direct), 0);
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        arena_buffer_t *a = pairs[i][0], *b = pairs[i][1];

        expect_ok(arena_buffer_clear(a));
        expect_ok(arena_buffer_clear(b));
        ck_assert_int_eq(arena_buffer_mismatch(a, b), -1);
        ck_assert_int_eq(arena_buffer_compare(a, b), 0);
        expect_ok(arena_buffer_set_limit(a, 50));
        ck_assert_int_eq(arena_buffer_mismatch(a, b), 50);
        ck_assert_int_lt(arena_buffer_compare(a, b), 0);
        expect_ok(arena_buffer_put_u8_at(a, 40, bytes[40] ^ 0x80));
        ck_assert_int_eq(arena_buffer_mismatch(a, b), 40);
        ck_assert_int_eq(arena_buffer_compare(a, b) > 0, bytes[40] < 0x80);
        expect_ok(arena_buffer_put_u8_at(a, 40, bytes[40]));
    }
    expect_ok(arena_buffer_clear(over));
    expect_ok(other = arena_buffer_slice_at(over, 8, 56));
    expect_ok(arena_buffer_set_limit(over, 56));
    expect_ok(arena_buffer_put_buffer(other, over));
    ck_assert_mem_eq((char *)segment.addr + 8, bytes, 56);
    expect_ok(arena_close(arena));
    expect_ok(arena_buffer_clear(direct));
    ck_assert_int_eq(arena_buffer_mismatch(direct, over), -2);
    ck_assert_int_eq(errno, ESTALE);
    expect_fail(arena_buffer_put_buffer(direct, over), ESTALE, "");
}
END_TEST

struct reading {
    arena_buffer_t *buffer;
    int from;
    ssize_t done;
};

static void *
read_some(void *arg)
{
    struct reading *reading = arg;

    reading->done = arena_buffer_read_fd(reading->buffer, reading->from);
    return NULL;
}

/* While it waits for the descriptor the arena cannot be closed. */
START_TEST(test_buffer_over_segment_reads_and_writes_descriptors)
{
    arena_t *shared = arena_shared();
    struct reading reading;
    arena_segment_t s;
    pthread_t reader;
    int ends[2], closed;

    ck_assert_int_eq(pipe(ends), 0);
    expect_ok(arena_segment(shared, 5, 1, &s));
    reading.buffer = buffer_over(&s);
    reading.from = ends[0];
    reader = start_thread(read_some, &reading);
    do {
        sleep_ms(1);
        closed = arena_acquire(shared) == 0 ? arena_reset(shared) : -1;
        ck_assert_int_eq(closed, -1);
        ck_assert_int_eq(errno, EBUSY);
        expect_ok(arena_release(shared));
    } while (strstr(arena_error(), "2 times") == NULL);
    ck_assert_int_eq(write(ends[1], "12345", 5), 5);
    join_thread(reader);
    ck_assert_int_eq(reading.done, 5);
    ck_assert_mem_eq(s.addr, "12345", 5);
    expect_ok(arena_buffer_flip(reading.buffer));
    ck_assert_int_eq(arena_buffer_write_fd(reading.buffer, ends[1]), 5);
    expect_ok(arena_close(shared));
    ck_assert_int_eq(arena_buffer_write_fd(reading.buffer, ends[1]), -1);
    ck_assert_int_eq(errno, ESTALE);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

static arena_buffer_t *buffers[200];

static void *
build_buffers(void *unused)
{
    for (size_t i = 0; i < LENGTH(buffers); i++) {
        arena_segment_t whole, part;

        if (arena_segment(i % 2 == 0 ? arena_auto() : arena_implicit(), 256,
                          8, &whole)
                == 0
            && arena_segment_slice(&whole, 128, 128, &part) == 0) {
            fill_block(part.addr, 128, i);
            buffers[i] = arena_buffer_of_segment(&part);
        }
    }
    return unused;
}

/* The buffer is all that is kept. */
START_TEST(test_buffer_over_segment_keeps_collected_memory)
{
    arena_usage_t before = usage_now();
    unsigned char bytes[128];

    expect_ok(arena_thread_attach());
    run_in_thread(build_buffers, NULL);
    collect_times(3);
    for (size_t i = 0; i < LENGTH(buffers); i++) {
        expect_ok(arena_buffer_get_at(buffers[i], 0, bytes, 128));
        ck_assert(block_holds(bytes, 128, i));
    }
    memset(buffers, 0, sizeof buffers);
    if (getenv("GC_DONT_GC") != NULL)
        return;
    for (int i = 0; i < COLLECTIONS_MOST; i++)
        if (usage_now().kind[ARENA_AUTO].count
            > before.kind[ARENA_AUTO].count + 5)
            collect_times(1);
    ck_assert_uint_le(usage_now().kind[ARENA_AUTO].count,
                      before.kind[ARENA_AUTO].count + 5);
    ck_assert_uint_le(usage_now().buffers.count, before.buffers.count);
}
END_TEST

static Suite *
segment_suite(void)
{
    Suite *s = suite_create("segment");
    TCase *make = tcase_create("make"), *number = tcase_create("number");
    TCase *live = tcase_create("live"), *of = tcase_create("of");
    TCase *part = tcase_create("part"), *bytes = tcase_create("bytes");
    TCase *buffer = tcase_create("buffer"), *large = tcase_create("large");

    tcase_add_checked_fixture(make, setup, teardown);
    tcase_add_test(make, test_make_is_zero_aligned_and_sized);
    tcase_add_test(make, test_make_bad_arguments_fails_and_changes_nothing);
    tcase_add_test(make, test_missing_pointers_are_told_apart);
    tcase_add_test(make, test_make_size_0_has_its_own_address);
    tcase_add_test(make, test_make_in_closed_arena_fails_estale);
    tcase_add_test(make, test_zero_segment_fails_einval);
    tcase_add_test(make, test_kinds_are_all_usable);
    suite_add_tcase(s, make);

    tcase_add_checked_fixture(number, setup, teardown);
    tcase_add_test(number, test_number_i8_round_trips);
    tcase_add_test(number, test_number_u8_round_trips);
    tcase_add_test(number, test_number_i16_round_trips);
    tcase_add_test(number, test_number_u16_round_trips);
    tcase_add_test(number, test_number_i32_round_trips);
    tcase_add_test(number, test_number_u32_round_trips);
    tcase_add_test(number, test_number_i64_round_trips);
    tcase_add_test(number, test_number_u64_round_trips);
    tcase_add_test(number, test_number_f32_round_trips);
    tcase_add_test(number, test_number_f64_round_trips);
    tcase_add_test(number, test_number_ptr_round_trips);
    tcase_add_test(number, test_number_nan_keeps_its_bits);
    tcase_add_test(number, test_number_bool_reads_any_byte_writes_one);
    tcase_add_test(number, test_number_offset_near_ends_of_range_fails);
    suite_add_tcase(s, number);

    tcase_add_checked_fixture(live, setup, teardown);
    tcase_add_test(live, test_order_in_another_thread_ends_with_eperm);
    tcase_add_test(live, test_order_same_for_all_kinds_of_operation);
    tcase_add_test(live, test_order_of_making);
    tcase_add_test(live, test_operations_on_no_bytes_check_as_others);
    tcase_add_test(live, test_read_only_cannot_be_written_by_anything);
    tcase_add_test(live, test_close_makes_stale_and_reuse_does_not_revive);
    tcase_add_test(live, test_reset_makes_stale);
    tcase_add_test(live, test_rewind_makes_stale_what_came_after);
    tcase_add_test(live, test_rewind_knows_segments_of_pointers);
    tcase_add_test(live, test_close_action_finds_it_stale);
    tcase_add_test(live, test_slice_keeps_collected_memory);
    tcase_add_test(live, test_slice_at_the_end_keeps_collected_memory);
    suite_add_tcase(s, live);

    tcase_add_checked_fixture(of, setup, teardown);
    tcase_add_test(of, test_of_pointer_knows_exact_bounds);
    tcase_add_test(of, test_of_pointer_elsewhere_fails);
    tcase_add_test(of, test_of_pointer_into_foreign_confined_fails_eperm);
    tcase_add_test(of, test_loaded_pointer_has_its_owner);
    tcase_add_test(of, test_loaded_pointer_into_collected_memory);
    tcase_add_test(of, test_wrap_gives_the_arenas_lifetime);
    tcase_add_test(of, test_wrap_that_fails_keeps_nothing);
    tcase_add_test(of, test_wrap_keeps_the_other_arena);
    tcase_add_test(of, test_wrap_of_a_childs_memory_fails);
    tcase_add_test(of, test_reinterpret_of_nothing_fails);
    tcase_add_test(of, test_reinterpret_is_bounded_by_what_is_known);
    suite_add_tcase(s, of);

    tcase_add_checked_fixture(buffer, setup, teardown);
    tcase_add_test(buffer, test_buffer_segment_is_what_remains);
    tcase_add_test(buffer, test_buffer_over_segments_of_all_kinds);
    tcase_add_test(buffer, test_buffer_over_segment_checks_as_it_does);
    tcase_add_test(buffer, test_buffer_over_segment_gives_a_segment);
    tcase_add_test(buffer, test_buffer_over_segment_of_a_buffer_is_a_view);
    tcase_add_test(buffer, test_buffer_over_segment_beside_others);
    tcase_add_test(buffer,
                   test_buffer_over_segment_reads_and_writes_descriptors);
    tcase_add_test(buffer, test_buffer_over_segment_keeps_collected_memory);
    suite_add_tcase(s, buffer);

    tcase_add_checked_fixture(part, setup, teardown);
    tcase_add_test(part, test_slice_stays_within);
    tcase_add_test(part, test_slice_aligned_checks_the_address);
    tcase_add_test(part, test_slice_of_dead_in_another_thread_works);
    tcase_add_test(part, test_split_gives_disjoint_parts_of_all);
    tcase_add_test(part, test_split_bad_arguments_fail);
    tcase_add_test(part, test_overlap_is_of_the_first);
    suite_add_tcase(s, part);

    tcase_add_checked_fixture(bytes, setup, teardown);
    tcase_add_test(bytes, test_fill_sets_all_of_any_size);
    tcase_add_test(bytes, test_copy_is_memmove);
    tcase_add_test(bytes, test_copy_out_of_bounds_copies_nothing);
    tcase_add_test(bytes, test_mismatch_finds_the_first_difference);
    tcase_add_test(bytes, test_array_turns_byte_order);
    tcase_add_test(bytes, test_string_round_trips);
    tcase_add_test(bytes, test_string_without_end_fails);
    tcase_add_test(bytes, test_string_too_long_writes_nothing);
    tcase_add_test(bytes, test_string_does_not_look_past_the_end);
    tcase_add_test(bytes, test_atomic_operations_do_what_they_say);
    tcase_add_test(bytes, test_atomic_faults);
    suite_add_tcase(s, bytes);

    tcase_add_checked_fixture(large, setup, teardown);
    tcase_set_timeout(large, 60);
    tcase_add_test(large, test_mismatch_beyond_2_gib);
    suite_add_tcase(s, large);
    return s;
}

int
main(void)
{
    return run_suite(segment_suite());
}
