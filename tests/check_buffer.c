/* check_buffer.c: direct buffers. */

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define GC_THREADS 1
#define GC_NO_THREAD_REDIRECTS 1
#include <gc/gc.h>

#include <arena/buffer.h>

#include "gc_harness.h"

static arena_usage_t base;

static void
setup(void)
{
    expect_ok(arena_thread_attach());
    collect_times(3);
    base = usage_now();
}

/* What buffers hold more than at the start. */
static arena_usage_pool_t
held(void)
{
    arena_usage_pool_t pool = usage_now().buffers;

    pool.count -= base.buffers.count;
    pool.requested -= base.buffers.requested;
    pool.reserved -= base.buffers.reserved;
    return pool;
}

/* A buffer of so many bytes, which is there. */
static arena_buffer_t *
make(size_t capacity)
{
    arena_buffer_t *buffer = arena_buffer_allocate(capacity);

    ck_assert_msg(buffer != NULL, "%s", arena_error());
    return buffer;
}

/* One that holds the bytes 0, 1, 2 ... */
static arena_buffer_t *
make_counting(size_t capacity)
{
    arena_buffer_t *buffer = make(capacity);
    unsigned char *bytes = arena_buffer_address(buffer);

    for (size_t i = 0; i < capacity; i++)
        bytes[i] = (unsigned char)i;
    return buffer;
}

static void
expect_place(const arena_buffer_t *buffer, size_t position, size_t limit,
             size_t capacity)
{
    ck_assert_uint_eq(arena_buffer_position(buffer), position);
    ck_assert_uint_eq(arena_buffer_limit(buffer), limit);
    ck_assert_uint_eq(arena_buffer_capacity(buffer), capacity);
    ck_assert_uint_eq(arena_buffer_remaining(buffer), limit - position);
}

static void
place(arena_buffer_t *buffer, size_t position, size_t limit)
{
    expect_ok(arena_buffer_set_limit(buffer, limit));
    expect_ok(arena_buffer_set_position(buffer, position));
}

/* --- Allocate --- */

static const size_t capacities[] = {
    0,    1,    16,   63,    64,    448,       1000,        1024,
    1025, 2048, 4096, 65536, 70000, 1048576, 33 * 1048576};

START_TEST(test_allocate_is_zero_aligned_counted_and_freed)
{
    size_t capacity = capacities[_i];
    arena_buffer_t *buffer;

    expect_ok(buffer = arena_buffer_allocate(capacity));
    expect_place(buffer, 0, capacity, capacity);
    expect_fail(arena_buffer_reset(buffer), EINVAL, "no mark");
    ck_assert_int_eq(arena_buffer_order(buffer), ARENA_NATIVE_ENDIAN);
    ck_assert(!arena_buffer_is_read_only(buffer));
    ck_assert(is_aligned(arena_buffer_address(buffer),
                         _Alignof(max_align_t)));
    ck_assert(block_is_zero(arena_buffer_address(buffer), capacity));
    ck_assert_uint_eq(held().count, 1);
    ck_assert_uint_eq(held().requested, capacity);
    ck_assert_uint_gt(held().reserved, capacity);
    ck_assert_uint_le(held().reserved, capacity + capacity / 2 + 8192);
    fill_block(arena_buffer_address(buffer), capacity, 7);
    collect_times(3);
    ck_assert(block_holds(arena_buffer_address(buffer), capacity, 7));
    expect_ok(arena_buffer_free(buffer));
    expect_usage(base);
}
END_TEST

/* The bytes of dead buffers are used again. */
START_TEST(test_allocate_recycled_bytes_are_zero)
{
    size_t capacity = capacities[_i];

    for (size_t i = 0; i < 200 && i * capacity < 200 * MIB; i++) {
        arena_buffer_t *buffer = make(capacity);

        ck_assert(block_is_zero(arena_buffer_address(buffer), capacity));
        fill_block(arena_buffer_address(buffer), capacity, 5);
        arena_keep_alive(buffer);
    }
}
END_TEST

START_TEST(test_allocate_bad_arguments_fail_and_count_nothing)
{
    size_t huge = opaque_size((size_t)PTRDIFF_MAX + 1);
    uint64_t start = clock_ns();

    expect_fail(arena_buffer_allocate_aligned(8, 0), EINVAL, "power of two");
    expect_fail(arena_buffer_allocate_aligned(8, 24), EINVAL, "24");
    expect_fail(arena_buffer_allocate_aligned(huge, 3), EINVAL, "");
    expect_fail(arena_buffer_allocate(huge), ENOMEM, "");
    expect_fail(arena_buffer_allocate(opaque_size(SIZE_MAX)), ENOMEM, "");
    expect_fail(arena_buffer_allocate_aligned(SIZE_MAX, huge), ENOMEM, "");
    expect_fail(arena_buffer_allocate_aligned(8, huge), ENOMEM, "");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 100 * MS_NS);
    expect_usage(base);
}
END_TEST

START_TEST(test_allocate_over_the_limit_fails)
{
    arena_buffer_t *kept = make(MIB);
    uint64_t collections = usage_now().collections;

    expect_ok(arena_set_limit(4 * MIB));
    expect_fail(arena_buffer_allocate(5 * MIB), ENOMEM, "limit: 4194304");
    expect_fail(arena_buffer_allocate(200 * MIB), ENOMEM, "");
    ck_assert_uint_eq(usage_now().collections, collections);
    expect_fail(arena_buffer_allocate(7 * MIB / 2), ENOMEM, "cannot reserve");
    ck_assert_uint_eq(held().count, 1);
    expect_ok(arena_buffer_free(kept));
    expect_ok(arena_set_limit(base.limit));
    expect_usage(base);
}
END_TEST

START_TEST(test_allocate_aligned_any_power_of_two_is_aligned)
{
    size_t align = (size_t)1 << _i;

    for (size_t i = 0; i < LENGTH(capacities); i++) {
        size_t capacity = capacities[i];
        arena_buffer_t *buffer =
            arena_buffer_allocate_aligned(capacity, align);
        char *bytes;

        ck_assert_ptr_nonnull(buffer);
        bytes = arena_buffer_address(buffer);
        ck_assert(is_aligned(bytes, align));
        ck_assert(block_is_zero(bytes, capacity));
        if (capacity != 0)
            bytes[0] = bytes[capacity - 1] = 1;
        ck_assert_uint_eq(held().requested, capacity);
        ck_assert_uint_le(held().reserved,
                          capacity + capacity / 2 + 2 * align + 8192);
        expect_ok(arena_buffer_free(buffer));
        expect_usage(base);
    }
}
END_TEST

/* --- Position, limit, mark --- */

START_TEST(test_position_and_limit_stay_in_order)
{
    arena_buffer_t *buffer = make(100);

    expect_ok(arena_buffer_set_position(buffer, 60));
    expect_ok(arena_buffer_mark(buffer));
    expect_fail(arena_buffer_set_position(buffer, 101), EINVAL, "101");
    expect_fail(arena_buffer_set_limit(buffer, 101), EINVAL, "101");
    expect_place(buffer, 60, 100, 100);
    expect_ok(arena_buffer_set_limit(buffer, 50)); /* position and mark past */
    expect_place(buffer, 50, 50, 100);
    expect_fail(arena_buffer_reset(buffer), EINVAL, "");
    expect_fail(arena_buffer_set_position(buffer, 51), EINVAL, "51");
    expect_place(buffer, 50, 50, 100);
}
END_TEST

START_TEST(test_mark_is_kept_until_it_is_passed)
{
    arena_buffer_t *buffer = make(100);

    place(buffer, 20, 90);
    expect_ok(arena_buffer_mark(buffer));
    place(buffer, 30, 80);
    expect_ok(arena_buffer_reset(buffer));
    expect_place(buffer, 20, 80, 100);
    expect_ok(arena_buffer_set_position(buffer, 20));
    expect_ok(arena_buffer_reset(buffer)); /* not past: still there */
    expect_ok(arena_buffer_set_limit(buffer, 20));
    expect_ok(arena_buffer_reset(buffer));
    expect_ok(arena_buffer_set_position(buffer, 19));
    expect_fail(arena_buffer_reset(buffer), EINVAL, "");
    expect_place(buffer, 19, 20, 100);
}
END_TEST

START_TEST(test_flip_clear_and_rewind)
{
    arena_buffer_t *buffer = make_counting(100);

    place(buffer, 30, 70);
    arena_buffer_mark(buffer);
    expect_ok(arena_buffer_rewind(buffer));
    expect_place(buffer, 0, 70, 100);
    expect_fail(arena_buffer_reset(buffer), EINVAL, "");
    place(buffer, 30, 70);
    arena_buffer_mark(buffer);
    expect_ok(arena_buffer_flip(buffer));
    expect_place(buffer, 0, 30, 100);
    expect_fail(arena_buffer_reset(buffer), EINVAL, "");
    place(buffer, 20, 25);
    arena_buffer_mark(buffer);
    expect_ok(arena_buffer_clear(buffer));
    expect_place(buffer, 0, 100, 100);
    expect_fail(arena_buffer_reset(buffer), EINVAL, "");
    ck_assert_int_eq(((char *)arena_buffer_address(buffer))[99], 99);
}
END_TEST

START_TEST(test_compact_moves_what_remains_to_the_front)
{
    arena_buffer_t *buffer = make_counting(100);
    unsigned char *bytes = arena_buffer_address(buffer);

    place(buffer, 30, 70);
    arena_buffer_mark(buffer);
    expect_ok(arena_buffer_compact(buffer));
    expect_place(buffer, 40, 100, 100);
    expect_fail(arena_buffer_reset(buffer), EINVAL, "");
    for (unsigned i = 0; i < 40; i++)
        ck_assert_uint_eq(bytes[i], i + 30);
    ck_assert_uint_eq(bytes[99], 99);
    place(buffer, 5, 5);
    expect_ok(arena_buffer_compact(buffer));
    expect_place(buffer, 0, 100, 100);
}
END_TEST

/* --- Numbers --- */

/* All calls for one type: values come back, in both byte orders; what does
 * not fit moves nothing. */
#define NUMBERS(name, type, first, second)                                    \
    START_TEST(test_numbers_##name)                                           \
    {                                                                         \
        const size_t size = sizeof(type);                                     \
        arena_buffer_t *buffer = make(64);                                    \
        unsigned char *bytes = arena_buffer_address(buffer);                  \
        type value = (first), out = 0;                                        \
                                                                              \
        for (int order = 0; order < 2; order++) {                             \
            expect_ok(arena_buffer_clear(buffer));                            \
            expect_ok(arena_buffer_set_order(buffer, (arena_order_t)order));  \
            ck_assert_int_eq(arena_buffer_order(buffer), order);              \
            expect_ok(arena_buffer_put_##name(buffer, (first)));              \
            expect_ok(arena_buffer_put_##name(buffer, (second)));             \
            ck_assert_uint_eq(arena_buffer_position(buffer), 2 * size);       \
            for (size_t i = 0; i < size; i++)                                 \
                ck_assert_uint_eq(                                            \
                    bytes[i],                                                 \
                    ((unsigned char *)&value)[order == ARENA_NATIVE_ENDIAN    \
                                                  ? i                         \
                                                  : size - 1 - i]);           \
            arena_buffer_flip(buffer);                                        \
            expect_ok(arena_buffer_get_##name(buffer, &out));                 \
            ck_assert(out == (first));                                        \
            expect_ok(arena_buffer_get_##name(buffer, &out));                 \
            ck_assert(out == (second));                                       \
            expect_fail(arena_buffer_get_##name(buffer, &out), ERANGE, "");   \
            ck_assert(out == (second));                                       \
            expect_ok(arena_buffer_put_##name##_at(buffer, 1, (first)));      \
            expect_ok(arena_buffer_get_##name##_at(buffer, 1, &out));         \
            ck_assert(out == (first));                                        \
        }                                                                     \
        expect_ok(arena_buffer_set_limit(buffer, 2 * size - 1));              \
        expect_ok(arena_buffer_set_position(buffer, size));                   \
        memset(bytes, 0x55, 64);                                              \
        expect_fail(arena_buffer_put_##name(buffer, (first)), ERANGE, "");    \
        expect_fail(arena_buffer_get_##name(buffer, &out), ERANGE, "");       \
        expect_fail(arena_buffer_put_##name##_at(buffer, size, (first)),      \
                    ERANGE, "");                                              \
        expect_fail(arena_buffer_get_##name##_at(buffer, size, &out),         \
                    ERANGE, "");                                              \
        expect_fail(arena_buffer_get_##name##_at(buffer, SIZE_MAX, &out),     \
                    ERANGE, "");                                              \
        expect_fail(arena_buffer_put_##name##_at(buffer, SIZE_MAX, (first)),  \
                    ERANGE, "");                                              \
        expect_ok(arena_buffer_get_##name##_at(buffer, size - 1, &out));      \
        expect_place(buffer, size, 2 * size - 1, 64);                         \
        for (size_t i = 0; i < 64; i++)                                       \
            ck_assert_uint_eq(bytes[i], 0x55);                                \
        expect_fail(arena_buffer_get_##name(buffer, NULL), EINVAL, "");       \
        expect_fail(arena_buffer_get_##name(NULL, &out), EINVAL, "");         \
        expect_fail(arena_buffer_put_##name(NULL, 0), EINVAL, "");            \
        expect_fail(arena_buffer_get_##name##_at(NULL, 0, &out), EINVAL, ""); \
        expect_fail(arena_buffer_get_##name##_at(buffer, 0, NULL), EINVAL,    \
                    "");                                                      \
        expect_fail(arena_buffer_put_##name##_at(NULL, 0, 0), EINVAL, "");    \
        arena_keep_alive(buffer);                                             \
    }                                                                         \
    END_TEST

NUMBERS(i8, int8_t, -100, 17)
NUMBERS(u8, uint8_t, 200, 17)
NUMBERS(i16, int16_t, -12345, 77)
NUMBERS(u16, uint16_t, 0xfedc, 77)
NUMBERS(i32, int32_t, -123456789, 77)
NUMBERS(u32, uint32_t, 0xfedcba98, 77)
NUMBERS(i64, int64_t, -1234567890123456789, 77)
NUMBERS(u64, uint64_t, 0xfedcba9876543210, 77)
NUMBERS(f32, float, -1.5f, 1e30f)
NUMBERS(f64, double, -1.5e-300, 1e300)

/* A number that is none keeps its bits through a swap. */
START_TEST(test_numbers_nan_keeps_its_bits)
{
    const uint64_t bits = 0x7ff4dead0000beef;
    arena_buffer_t *buffer = make(16);
    uint64_t got = 0;
    double value;

    memcpy(&value, &bits, sizeof value);
    arena_buffer_set_order(buffer, ARENA_BIG_ENDIAN);
    expect_ok(arena_buffer_put_f64(buffer, value));
    expect_ok(arena_buffer_get_u64_at(buffer, 0, &got));
    ck_assert_uint_eq(got, bits);
}
END_TEST

START_TEST(test_order_that_is_none_is_refused)
{
    arena_buffer_t *buffer = make(16);

    expect_fail(arena_buffer_set_order(buffer, (arena_order_t)7), EINVAL,
                "");
    expect_fail(arena_buffer_set_order(NULL, ARENA_BIG_ENDIAN), EINVAL, "");
    ck_assert_int_eq(arena_buffer_order(buffer), ARENA_NATIVE_ENDIAN);
}
END_TEST

/* --- Bytes --- */

START_TEST(test_bytes_all_or_nothing)
{
    arena_buffer_t *buffer = make(10);
    char out[11] = "..........";

    expect_ok(arena_buffer_put(buffer, "hello", 5));
    expect_fail(arena_buffer_put(buffer, "abcdef", 6), ERANGE, "6 bytes");
    expect_place(buffer, 5, 10, 10);
    ck_assert(block_is_zero((char *)arena_buffer_address(buffer) + 5, 5));
    arena_buffer_flip(buffer);
    expect_fail(arena_buffer_get(buffer, out, 6), ERANGE, "limit 5");
    ck_assert_str_eq(out, "..........");
    expect_ok(arena_buffer_get(buffer, out, 5));
    ck_assert_mem_eq(out, "hello.....", 10);
    expect_place(buffer, 5, 5, 10);
    expect_fail(arena_buffer_get(buffer, out, SIZE_MAX), ERANGE, "");
    expect_fail(arena_buffer_get(buffer, NULL, 1), EINVAL, "");
    expect_fail(arena_buffer_put(buffer, NULL, 1), EINVAL, "");
    expect_fail(arena_buffer_get(NULL, out, 1), EINVAL, "");
    expect_fail(arena_buffer_put(NULL, out, 1), EINVAL, "");
    expect_ok(arena_buffer_get(buffer, NULL, 0));
    expect_ok(arena_buffer_put(buffer, NULL, 0));
}
END_TEST

START_TEST(test_bytes_at_an_index_leave_the_position)
{
    arena_buffer_t *buffer = make_counting(10);
    char out[4];

    place(buffer, 2, 8);
    expect_ok(arena_buffer_get_at(buffer, 4, out, 4));
    ck_assert_mem_eq(out, "\4\5\6\7", 4);
    expect_fail(arena_buffer_get_at(buffer, 5, out, 4), ERANGE, "");
    expect_fail(arena_buffer_put_at(buffer, 5, out, 4), ERANGE, "");
    expect_fail(arena_buffer_put_at(buffer, SIZE_MAX, out, 4), ERANGE, "");
    expect_ok(arena_buffer_put_at(buffer, 0, out, 4));
    ck_assert_mem_eq(arena_buffer_address(buffer), "\4\5\6\7\4\5\6\7", 8);
    expect_ok(arena_buffer_get_at(buffer, 8, NULL, 0));
    expect_fail(arena_buffer_get_at(buffer, 9, NULL, 0), ERANGE, "");
    expect_place(buffer, 2, 8, 10);
    arena_keep_alive(buffer);
}
END_TEST

START_TEST(test_put_buffer_moves_both_or_nothing)
{
    arena_buffer_t *source = make_counting(10), *buffer = make(12);

    place(source, 3, 9);
    expect_ok(arena_buffer_put_buffer(buffer, source));
    expect_place(source, 9, 9, 10);
    expect_place(buffer, 6, 12, 12);
    ck_assert_mem_eq(arena_buffer_address(buffer), "\3\4\5\6\7\10", 6);
    place(source, 0, 7);
    expect_fail(arena_buffer_put_buffer(buffer, source), ERANGE, "7 bytes");
    expect_place(source, 0, 7, 10);
    expect_place(buffer, 6, 12, 12);
    expect_fail(arena_buffer_put_buffer(buffer, buffer), EINVAL, "itself");
    expect_fail(arena_buffer_put_buffer(buffer, NULL), EINVAL, "");
    expect_fail(arena_buffer_put_buffer(NULL, source), EINVAL, "");
    expect_fail(arena_buffer_put_buffer(arena_buffer_read_only(buffer),
                                        source),
                EACCES, "read-only");
    arena_keep_alive(source);
    arena_keep_alive(buffer);
}
END_TEST

START_TEST(test_put_buffer_of_overlapping_views)
{
    arena_buffer_t *buffer = make_counting(10);
    arena_buffer_t *view = arena_buffer_duplicate(buffer);

    place(buffer, 2, 10);
    place(view, 0, 8);
    expect_ok(arena_buffer_put_buffer(buffer, view));
    ck_assert_mem_eq(arena_buffer_address(buffer), "\0\1\0\1\2\3\4\5\6\7", 10);
    arena_keep_alive(buffer);
}
END_TEST

/* --- Views --- */

START_TEST(test_views_share_bytes_and_inherit)
{
    arena_buffer_t *buffer = make_counting(100), *view;
    arena_usage_t before = usage_now();

    arena_buffer_set_order(buffer, ARENA_BIG_ENDIAN);
    place(buffer, 10, 50);
    arena_buffer_mark(buffer);
    place(buffer, 20, 60);
    expect_ok(view = arena_buffer_duplicate(buffer));
    expect_place(view, 20, 60, 100);
    expect_ok(arena_buffer_reset(view));
    expect_place(view, 10, 60, 100);
    expect_place(buffer, 20, 60, 100);
    ck_assert_int_eq(arena_buffer_order(view), ARENA_BIG_ENDIAN);
    expect_ok(arena_buffer_set_order(view, ARENA_LITTLE_ENDIAN));
    ck_assert_int_eq(arena_buffer_order(buffer), ARENA_BIG_ENDIAN);
    expect_ok(arena_buffer_put_u8_at(view, 0, 99));
    ck_assert_int_eq(*(char *)arena_buffer_address(buffer), 99);

    expect_ok(view = arena_buffer_slice(buffer));
    expect_place(view, 0, 40, 40);
    expect_fail(arena_buffer_reset(view), EINVAL, "");
    ck_assert_int_eq(arena_buffer_order(view), ARENA_BIG_ENDIAN);
    ck_assert_ptr_eq(arena_buffer_address(view),
                     (char *)arena_buffer_address(buffer) + 20);
    expect_ok(view = arena_buffer_slice_at(view, 5, 10));
    expect_place(view, 0, 10, 10);
    ck_assert_int_eq(*(char *)arena_buffer_address(view), 25);
    expect_fail(arena_buffer_get_at(view, 10, &before, 1), ERANGE, "");
    expect_usage(before); /* roots alone are counted */
}
END_TEST

START_TEST(test_slice_at_out_of_range_fails)
{
    arena_buffer_t *buffer = make(100);

    place(buffer, 20, 60);
    expect_fail(arena_buffer_slice_at(buffer, 0, 61), ERANGE, "");
    expect_fail(arena_buffer_slice_at(buffer, 61, 0), ERANGE, "");
    expect_fail(arena_buffer_slice_at(buffer, SIZE_MAX, 2), ERANGE, "");
    expect_fail(arena_buffer_slice_at(buffer, 2, SIZE_MAX), ERANGE, "");
    expect_fail(arena_buffer_slice_at(NULL, 0, 0), EINVAL, "");
    expect_place(arena_buffer_slice_at(buffer, 60, 0), 0, 0, 0);
    expect_place(arena_buffer_slice_at(buffer, 0, 60), 0, 60, 60);
}
END_TEST

START_TEST(test_read_only_view_is_not_written)
{
    arena_buffer_t *buffer = make_counting(100), *view, *slice;

    expect_ok(view = arena_buffer_read_only(buffer));
    slice = arena_buffer_slice_at(view, 10, 20);
    ck_assert(arena_buffer_is_read_only(view));
    ck_assert(arena_buffer_is_read_only(slice));
    ck_assert(arena_buffer_is_read_only(arena_buffer_duplicate(slice)));
    ck_assert(!arena_buffer_is_read_only(buffer));
    expect_fail(arena_buffer_put_i32(view, 1), EACCES, "read-only");
    expect_fail(arena_buffer_put_u8_at(slice, 500, 1), EACCES, "");
    expect_fail(arena_buffer_put(view, "x", 1), EACCES, "");
    expect_fail(arena_buffer_put(view, NULL, 1), EINVAL, "");
    expect_fail(arena_buffer_compact(view), EACCES, "");
    expect_fail((int)arena_buffer_read_fd(view, -1), EACCES, "");
    expect_place(view, 0, 100, 100);
    expect_ok(arena_buffer_put_u8(buffer, 55)); /* seen through the view */
    ck_assert_int_eq(*(char *)arena_buffer_address(view), 55);
    ck_assert_int_eq(*(char *)arena_buffer_address(slice), 10);
}
END_TEST

START_TEST(test_aligned_slice_moves_both_ends_inwards)
{
    arena_buffer_t *buffer = arena_buffer_allocate_aligned(100, 64), *view;
    char *bytes = arena_buffer_address(buffer);

    place(buffer, 5, 50);
    expect_ok(view = arena_buffer_aligned_slice(buffer, 8));
    expect_place(view, 0, 40, 40);
    ck_assert_ptr_eq(arena_buffer_address(view), bytes + 8);
    expect_ok(view = arena_buffer_aligned_slice(buffer, 1));
    expect_place(view, 0, 45, 45);
    place(buffer, 16, 32);
    view = arena_buffer_aligned_slice(buffer, 16);
    expect_place(view, 0, 16, 16);
    place(buffer, 5, 10); /* one multiple, and none */
    expect_place(arena_buffer_aligned_slice(buffer, 8), 0, 0, 0);
    place(buffer, 9, 10);
    expect_place(arena_buffer_aligned_slice(buffer, 8), 0, 0, 0);
    expect_place(arena_buffer_aligned_slice(buffer, (size_t)1 << 62), 0, 0,
                 0);
    expect_fail(arena_buffer_aligned_slice(buffer, 0), EINVAL, "");
    expect_fail(arena_buffer_aligned_slice(buffer, 12), EINVAL, "12");
    expect_fail(arena_buffer_aligned_slice(NULL, 8), EINVAL, "");
}
END_TEST

START_TEST(test_alignment_offset_of_an_index)
{
    arena_buffer_t *buffer = arena_buffer_allocate_aligned(100, 64);
    size_t offset = 77;

    for (size_t i = 0; i < 200; i++) {
        expect_ok(arena_buffer_alignment_offset(buffer, i, 16, &offset));
        ck_assert_uint_eq(offset, i % 16);
    }
    expect_fail(arena_buffer_alignment_offset(buffer, 0, 0, &offset), EINVAL,
                "");
    expect_fail(arena_buffer_alignment_offset(buffer, 0, 3, &offset), EINVAL,
                "");
    expect_fail(arena_buffer_alignment_offset(buffer, 0, 8, NULL), EINVAL,
                "");
    expect_fail(arena_buffer_alignment_offset(NULL, 0, 8, &offset), EINVAL,
                "");
    ck_assert_uint_eq(offset, 199 % 16);
}
END_TEST

START_TEST(test_mismatch_and_compare_look_at_what_remains)
{
    arena_buffer_t *a = make_counting(1000), *b = make_counting(2000);

    place(a, 10, 900);
    place(b, 10, 900);
    arena_buffer_set_order(b, ARENA_BIG_ENDIAN);
    expect_ok(arena_buffer_compare(a, b));
    ck_assert_int_eq(arena_buffer_mismatch(a, b), -1);
    ck_assert_int_eq(arena_buffer_compare(a, b), 0);
    arena_buffer_put_u8_at(b, 600, 255); /* 600 % 256 is less */
    ck_assert_int_eq(arena_buffer_mismatch(a, b), 590);
    ck_assert_int_lt(arena_buffer_compare(a, b), 0);
    ck_assert_int_gt(arena_buffer_compare(b, a), 0);
    arena_buffer_set_limit(b, 600); /* the front of a */
    ck_assert_int_eq(arena_buffer_mismatch(a, b), 590);
    ck_assert_int_gt(arena_buffer_compare(a, b), 0);
    arena_buffer_set_limit(b, 10); /* nothing */
    ck_assert_int_eq(arena_buffer_mismatch(a, b), 0);
    ck_assert_int_eq(arena_buffer_mismatch(b, b), -1);
    errno = 0;
    ck_assert_int_eq(arena_buffer_mismatch(a, NULL), -2);
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_int_eq(arena_buffer_compare(NULL, b), INT_MIN);
    ck_assert_int_eq(errno, EINVAL);
    arena_keep_alive(a);
    arena_keep_alive(b);
}
END_TEST

/* --- Free --- */

/* Every call that touches bytes or state. */
static void
expect_stale(arena_buffer_t *buffer, arena_buffer_t *other)
{
    size_t offset;
    uint32_t out = 0;

    expect_fail(arena_buffer_address(buffer), ESTALE, "freed");
    expect_fail(arena_buffer_set_position(buffer, 0), ESTALE, "");
    expect_fail(arena_buffer_set_limit(buffer, 4), ESTALE, "");
    expect_fail(arena_buffer_set_order(buffer, ARENA_BIG_ENDIAN), ESTALE, "");
    expect_fail(arena_buffer_mark(buffer), ESTALE, "");
    expect_fail(arena_buffer_flip(buffer), ESTALE, "");
    expect_fail(arena_buffer_clear(buffer), ESTALE, "");
    expect_fail(arena_buffer_rewind(buffer), ESTALE, "");
    expect_fail(arena_buffer_compact(buffer), ESTALE, "");
    expect_fail(arena_buffer_get_u32(buffer, &out), ESTALE, "");
    expect_fail(arena_buffer_put_u32(buffer, 1), ESTALE, "");
    expect_fail(arena_buffer_get_u32_at(buffer, 0, &out), ESTALE, "");
    expect_fail(arena_buffer_put_u32_at(buffer, 0, 1), ESTALE, "");
    expect_fail(arena_buffer_get(buffer, NULL, 0), ESTALE, "");
    expect_fail(arena_buffer_put(buffer, NULL, 0), ESTALE, "");
    expect_fail(arena_buffer_put_buffer(buffer, other), ESTALE, "");
    expect_fail(arena_buffer_put_buffer(other, buffer), ESTALE, "");
    expect_fail(arena_buffer_duplicate(buffer), ESTALE, "");
    expect_fail(arena_buffer_read_only(buffer), ESTALE, "");
    expect_fail(arena_buffer_slice(buffer), ESTALE, "");
    expect_fail(arena_buffer_slice_at(buffer, 0, 0), ESTALE, "");
    expect_fail(arena_buffer_aligned_slice(buffer, 8), ESTALE, "");
    expect_fail(arena_buffer_alignment_offset(buffer, 0, 8, &offset), ESTALE,
                "");
    expect_fail((int)arena_buffer_read_fd(buffer, -1), ESTALE, "");
    expect_fail((int)arena_buffer_write_fd(buffer, -1), ESTALE, "");
    errno = 0;
    ck_assert_int_eq(arena_buffer_mismatch(buffer, other), -2);
    ck_assert_int_eq(errno, ESTALE);
    errno = 0;
    ck_assert_int_eq(arena_buffer_compare(other, buffer), INT_MIN);
    ck_assert_int_eq(errno, ESTALE);
    expect_fail(arena_buffer_get_u32_at(buffer, 90, &out), ERANGE, "");
    expect_fail(arena_buffer_set_limit(buffer, SIZE_MAX), EINVAL, "");
    ck_assert_uint_eq(out, 0);
}

START_TEST(test_free_as_a_block_names_the_right_call)
{
    arena_buffer_t *buffer = make(_i == 0 ? 64 : 100000);

    errno = 0;
    arena_free(buffer);
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_nonnull(strstr(arena_error(), "arena_buffer_free"));
    expect_ok(arena_buffer_put_u32(buffer, 1));
    expect_ok(arena_buffer_free(buffer));
}
END_TEST

START_TEST(test_free_once_makes_the_root_and_views_stale)
{
    size_t capacity = _i == 0 ? 64 : 100000;
    arena_buffer_t *buffer = make(capacity), *view, *other = make(64);

    place(buffer, 0, 64);
    view = arena_buffer_slice(arena_buffer_duplicate(buffer));
    expect_fail(arena_buffer_free(view), EINVAL, "view");
    expect_ok(arena_buffer_put_u32(view, 1));
    arena_buffer_clear(view);
    expect_ok(arena_buffer_free(buffer));
    ck_assert_uint_eq(held().count, 1);
    ck_assert_uint_eq(held().requested, 64);
    expect_ok(arena_buffer_free(buffer));
    expect_fail(arena_buffer_free(view), EINVAL, "view");
    ck_assert_uint_eq(held().count, 1);
    expect_stale(buffer, other);
    expect_stale(view, other);
    expect_place(buffer, 0, 64, capacity);
    ck_assert_int_eq(arena_buffer_order(view), ARENA_NATIVE_ENDIAN);
    expect_ok(arena_buffer_free(NULL));
    expect_ok(arena_buffer_free(other));
    collect_times(2); /* nothing is settled twice */
    expect_usage(base);
    expect_stale(view, make(64));
}
END_TEST

struct free_race {
    arena_buffer_t *volatile buffer;
    arena_usage_t before;
    atomic_int failed;
};

static void
free_race_prepare(void *state, size_t round)
{
    struct free_race *race = state;

    race->buffer = make(round % 2 == 0 ? 64 : 100000);
}

static void
free_race_body(void *state, size_t index)
{
    struct free_race *race = state;

    (void)index;
    if (arena_buffer_free(race->buffer) != 0)
        atomic_fetch_add(&race->failed, 1);
}

static void
free_race_verify(void *state, size_t round)
{
    struct free_race *race = state;

    (void)round;
    ck_assert_int_eq(race->failed, 0);
    expect_usage(race->before);
}

START_TEST(test_free_by_several_threads_frees_once)
{
    struct free_race state = {.before = usage_now()};
    struct race race = {.threads = 4,
                        .rounds = 500,
                        .prepare = free_race_prepare,
                        .body = free_race_body,
                        .verify = free_race_verify,
                        .state = &state};

    run_race(&race);
}
END_TEST

START_TEST(test_handle_is_no_block_of_the_implicit_arena)
{
    char *volatile handle = (char *)make(64);
    arena_buffer_t *view = arena_buffer_slice((arena_buffer_t *)handle);

    ck_assert_ptr_eq(arena_of(handle), arena_implicit());
    ck_assert_ptr_eq(arena_of(view), arena_implicit());
    errno = 0;
    arena_free(handle);
    ck_assert_int_eq(errno, EINVAL);
    expect_fail(arena_resize(NULL, handle, 64, 128), EINVAL, "");
    ck_assert_uint_eq(held().count, 1);
    expect_ok(arena_pin(handle));
    expect_ok(arena_unpin(handle));
    expect_ok(arena_buffer_put_u32(view, 1));
    arena_keep_alive(handle);
}
END_TEST

START_TEST(test_null_answers_nothing)
{
    expect_fail(arena_buffer_address(NULL), EINVAL, "");
    expect_fail(arena_buffer_duplicate(NULL), EINVAL, "");
    expect_fail(arena_buffer_read_only(NULL), EINVAL, "");
    expect_fail(arena_buffer_slice(NULL), EINVAL, "");
    expect_fail(arena_buffer_set_position(NULL, 0), EINVAL, "");
    expect_fail(arena_buffer_set_limit(NULL, 0), EINVAL, "");
    expect_fail(arena_buffer_mark(NULL), EINVAL, "");
    expect_fail(arena_buffer_reset(NULL), EINVAL, "");
    expect_fail(arena_buffer_flip(NULL), EINVAL, "");
    expect_fail(arena_buffer_clear(NULL), EINVAL, "");
    expect_fail(arena_buffer_rewind(NULL), EINVAL, "");
    expect_fail(arena_buffer_compact(NULL), EINVAL, "");
    expect_fail((int)arena_buffer_read_fd(NULL, 0), EINVAL, "");
    expect_fail((int)arena_buffer_write_fd(NULL, 1), EINVAL, "");
    expect_place(NULL, 0, 0, 0);
    ck_assert(!arena_buffer_is_read_only(NULL));
    ck_assert_int_eq(arena_buffer_order(NULL), ARENA_NATIVE_ENDIAN);
}
END_TEST

/* --- Files --- */

struct tube {
    int end[2];
    const char *data;
    size_t size;
    atomic_bool done;
};

static void
tube_open(struct tube *tube)
{
    ck_assert_int_eq(pipe(tube->end), 0);
}

/* Write in pieces, slowly; then end the file. */
static void *
tube_write_main(void *arg)
{
    struct tube *tube = arg;

    for (size_t i = 0; i < tube->size; i += 1000) {
        size_t left = tube->size - i;

        if (write(tube->end[1], tube->data + i, left < 1000 ? left : 1000) < 0)
            break;
        if (i % 10000 == 0)
            sleep_ms(2);
    }
    close(tube->end[1]);
    return NULL;
}

START_TEST(test_read_fd_goes_on_after_short_counts)
{
    static char data[60000];
    struct tube tube = {.data = data, .size = sizeof data};
    arena_buffer_t *buffer = make(50000);
    pthread_t writer;

    fill_block(data, sizeof data, 3);
    tube_open(&tube);
    writer = start_thread(tube_write_main, &tube);
    place(buffer, 100, 40100);
    ck_assert_int_eq(arena_buffer_read_fd(buffer, tube.end[0]), 40000);
    expect_place(buffer, 40100, 40100, 50000);
    ck_assert_mem_eq((char *)arena_buffer_address(buffer) + 100, data, 40000);
    ck_assert_int_eq(arena_buffer_read_fd(buffer, tube.end[0]), 0);
    arena_buffer_clear(buffer);
    errno = ERRNO_UNTOUCHED;
    ck_assert_int_eq(arena_buffer_read_fd(buffer, tube.end[0]), 20000);
    expect_place(buffer, 20000, 50000, 50000);
    ck_assert_int_eq(arena_buffer_read_fd(buffer, tube.end[0]), 0); /* end */
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    ck_assert_mem_eq(arena_buffer_address(buffer), data + 40000, 20000);
    join_thread(writer);
    close(tube.end[0]);
    arena_keep_alive(buffer);
}
END_TEST

START_TEST(test_fd_error_is_told_behind_what_was_moved)
{
    struct tube tube;
    arena_buffer_t *buffer = make(4 * MIB);
    ssize_t moved;

    tube_open(&tube);
    fcntl(tube.end[0], F_SETFL, O_NONBLOCK);
    fcntl(tube.end[1], F_SETFL, O_NONBLOCK);
    expect_fail((int)arena_buffer_read_fd(buffer, tube.end[0]), EAGAIN,
                "read");
    errno = ERRNO_UNTOUCHED;
    moved = arena_buffer_write_fd(buffer, tube.end[1]);
    ck_assert_int_gt(moved, 4000);
    ck_assert_int_lt(moved, 4000000);
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    expect_place(buffer, (size_t)moved, 4 * MIB, 4 * MIB);
    expect_fail((int)arena_buffer_write_fd(buffer, tube.end[1]), EAGAIN,
                "write");
    expect_place(buffer, (size_t)moved, 4 * MIB, 4 * MIB);
    arena_buffer_clear(buffer);
    ck_assert_int_eq(arena_buffer_read_fd(buffer, tube.end[0]), moved);
    expect_place(buffer, (size_t)moved, 4 * MIB, 4 * MIB);
    expect_fail((int)arena_buffer_read_fd(buffer, -1), EBADF, "-1");
    expect_fail((int)arena_buffer_write_fd(buffer, -1), EBADF, "-1");
    close(tube.end[0]);
    close(tube.end[1]);
}
END_TEST

static atomic_int signals;

static void
on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

/* Read slowly from the pipe, so that its writer is interrupted. */
static void *
tube_drain_main(void *arg)
{
    struct tube *tube = arg;
    static char bytes[50000];
    ssize_t got;

    tube->size = 0;
    do {
        sleep_ms(2);
        got = read(tube->end[0], bytes, sizeof bytes);
        if (got > 0)
            tube->size += (size_t)got;
    } while (got > 0);
    return NULL;
}

struct interrupter {
    pthread_t target;
    atomic_bool stop;
};

static void *
interrupt_main(void *arg)
{
    struct interrupter *interrupter = arg;

    while (!interrupter->stop) {
        pthread_kill(interrupter->target, SIGUSR1);
        sleep_ms(1);
    }
    return NULL;
}

START_TEST(test_fd_interrupted_by_signals_goes_on)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
    struct interrupter interrupter = {.target = pthread_self()};
    struct tube tube = {.size = 0};
    arena_buffer_t *buffer = make(2 * MIB);
    pthread_t reader, sender;

    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    tube_open(&tube);
    reader = start_thread(tube_drain_main, &tube);
    sender = start_thread(interrupt_main, &interrupter);
    ck_assert_int_eq(arena_buffer_write_fd(buffer, tube.end[1]),
                     (ssize_t)(2 * MIB));
    close(tube.end[1]);
    join_thread(reader);
    interrupter.stop = true;
    join_thread(sender);
    ck_assert_int_gt(signals, 0);
    ck_assert_uint_eq(tube.size, 2 * MIB);
    close(tube.end[0]);
}
END_TEST

/* Moving bytes takes no memory from the budget. */
START_TEST(test_fd_works_when_the_budget_is_used_up)
{
    arena_buffer_t *buffer = make(1 * MIB);
    FILE *file = tmpfile();

    ck_assert_ptr_nonnull(file);
    expect_ok(arena_set_limit(0));
    ck_assert_int_eq(arena_buffer_write_fd(buffer, fileno(file)),
                     (ssize_t)MIB);
    rewind(file);
    arena_buffer_flip(buffer);
    ck_assert_int_eq(arena_buffer_read_fd(buffer, fileno(file)),
                     (ssize_t)MIB);
    expect_ok(arena_set_limit(base.limit));
    fclose(file);
}
END_TEST

/* --- Death --- */

#define HANDLES ((size_t)60000)

/* A herd of buffers: a third freed by hand, a third dropped, a third kept. */
struct crowd {
    size_t count, capacity;
    arena_buffer_t **kept; /* every third; or NULL */
    size_t damaged, refused;
};

static void *
crowd_build_main(void *arg)
{
    struct crowd *crowd = arg;

    for (size_t i = 0; i < crowd->count; i++) {
        arena_buffer_t *buffer = arena_buffer_allocate(crowd->capacity);

        if (buffer == NULL) {
            crowd->refused++;
            continue;
        }
        fill_block(arena_buffer_address(buffer), crowd->capacity, i);
        if (i % 3 == 0)
            crowd->refused += arena_buffer_free(buffer) != 0;
        else if (i % 3 == 1)
            crowd->kept[i / 3] = buffer;
        arena_keep_alive(buffer);
    }
    return NULL;
}

static void *
crowd_inspect_main(void *arg)
{
    struct crowd *crowd = arg;

    for (size_t i = 1; i < crowd->count; i += 3)
        crowd->damaged +=
            !block_holds(arena_buffer_address(crowd->kept[i / 3]),
                         crowd->capacity, i);
    return NULL;
}

START_TEST(test_handles_freed_dropped_and_kept)
{
    static const size_t sizes[] = {64, 500, 2000};
    struct crowd crowd = {.count = test_scaled(HANDLES) / 3 * 3,
                          .capacity = sizes[_i]};
    size_t third = crowd.count / 3;
    arena_usage_t before = usage_now();

    crowd.kept = calloc(third, sizeof *crowd.kept);
    ck_assert_ptr_nonnull(crowd.kept);
    expect_ok(arena_add_roots(crowd.kept, crowd.kept + third));
    run_in_thread(crowd_build_main, &crowd);
    ck_assert_uint_eq(crowd.refused, 0);
    collect_times(2);
    /* None is settled twice: the kept are all counted. */
    ck_assert_uint_ge(held().count, third);
    ck_assert_uint_le(held().count, third + kept_by_chance(third));
    ck_assert_uint_ge(held().requested, third * crowd.capacity);
    run_in_thread(crowd_inspect_main, &crowd);
    ck_assert_uint_eq(crowd.damaged, 0);
    expect_ok(arena_remove_roots(crowd.kept, crowd.kept + third));
    memset(crowd.kept, 0, third * sizeof *crowd.kept);
    expect_settled(before);
    expect_nothing_astray();
    free(crowd.kept);
}
END_TEST

/* One in sixteen dies among live neighbours: the bytes of larger ones, which
 * are not in the handle, are freed at once all the same. */
static void *
scattered_main(void *arg)
{
    struct crowd *crowd = arg;

    for (size_t i = 0; i < crowd->count; i++) {
        arena_buffer_t *buffer = arena_buffer_allocate(crowd->capacity);

        crowd->kept[i] = i % 16 == 0 ? NULL : buffer;
        arena_keep_alive(buffer);
    }
    return NULL;
}

START_TEST(test_scattered_deaths_are_found_at_once)
{
    struct crowd crowd = {.count = test_scaled(16000) / 16 * 16,
                          .capacity = 4000};
    size_t kept = crowd.count / 16 * 15;

    crowd.kept = calloc(crowd.count, sizeof *crowd.kept);
    ck_assert_ptr_nonnull(crowd.kept);
    expect_ok(arena_add_roots(crowd.kept, crowd.kept + crowd.count));
    run_in_thread(scattered_main, &crowd);
    collect_times(2);
    ck_assert_uint_ge(held().count, kept);
    ck_assert_uint_le(held().count, kept + kept_by_chance(crowd.count / 16));
    expect_ok(arena_remove_roots(crowd.kept, crowd.kept + crowd.count));
    memset(crowd.kept, 0, crowd.count * sizeof *crowd.kept);
    expect_settled(base);
    free(crowd.kept);
}
END_TEST

/* --- Views and the collector --- */

#define CHAIN ((size_t)10000)

struct chain {
    void **link; /* to each member, hidden; cleared when it has died */
    size_t length;
    arena_buffer_t *volatile *last;
    size_t damaged;
};

/* A duplicate of a duplicate of ... of a root. */
static void *
chain_main(void *arg)
{
    struct chain *chain = arg;
    arena_buffer_t *buffer = arena_buffer_allocate(100);

    if (buffer == NULL || arena_buffer_put_u32(buffer, 4711) != 0)
        return NULL;
    for (size_t i = 0; i < chain->length; i++) {
        chain->link[i] = (void *)GC_HIDE_POINTER(buffer);
        if (GC_register_long_link(&chain->link[i], buffer) != GC_SUCCESS)
            chain->damaged++;
        buffer = arena_buffer_duplicate(buffer);
    }
    *chain->last = buffer;
    return NULL;
}

START_TEST(test_view_keeps_the_root_and_no_intermediates)
{
    static arena_buffer_t *volatile last;
    struct chain chain = {.length = CHAIN, .last = &last};
    size_t dead = 0;
    uint32_t value = 0;

    chain.link = calloc(CHAIN, sizeof *chain.link);
    ck_assert_ptr_nonnull(chain.link);
    run_in_thread(chain_main, &chain);
    ck_assert_uint_eq(chain.damaged, 0);
    collect_times(3);
    for (size_t i = 1; i < CHAIN; i++)
        dead += chain.link[i] == NULL;
    ck_assert_uint_ge(dead * 100, CHAIN * 95);
    ck_assert_ptr_nonnull(chain.link[0]); /* the root */
    ck_assert_uint_eq(held().count, 1);
    expect_ok(arena_buffer_get_u32_at(last, 0, &value));
    ck_assert_uint_eq(value, 4711);
    last = NULL;
    for (size_t i = 0; i < CHAIN; i++)
        GC_unregister_long_link(&chain.link[i]);
    expect_settled(base);
    free(chain.link);
}
END_TEST

static void *
slices_main(void *arg)
{
    arena_buffer_t *volatile *kept = arg;
    size_t sizes[] = {64, 5000, 200000, 40 * MIB};

    for (size_t i = 0; i < LENGTH(sizes); i++) {
        arena_buffer_t *buffer = arena_buffer_allocate(sizes[i]);

        if (buffer == NULL)
            continue;
        fill_block(arena_buffer_address(buffer), 64, i);
        buffer = arena_buffer_duplicate(buffer);
        buffer = arena_buffer_slice_at(buffer, 8, 50);
        kept[i] = arena_buffer_slice_at(buffer, 8, 40);
    }
    return NULL;
}

START_TEST(test_slice_of_a_slice_of_a_duplicate_keeps_the_root)
{
    static arena_buffer_t *volatile kept[4];
    char expected[64];

    run_in_thread(slices_main, (void *)kept);
    collect_times(3);
    ck_assert_uint_eq(held().count, LENGTH(kept));
    for (size_t i = 0; i < LENGTH(kept); i++) {
        fill_block(expected, sizeof expected, i);
        ck_assert_mem_eq(arena_buffer_address(kept[i]), expected + 16, 40);
        kept[i] = NULL;
    }
    expect_settled(base);
}
END_TEST

/* --- The budget --- */

static void *
garbage_main(void *arg)
{
    const struct crowd *plan = arg;
    size_t refused = 0;

    for (size_t i = 0; i < plan->count; i++) {
        arena_buffer_t *buffer = arena_buffer_allocate(plan->capacity);

        if (buffer == NULL)
            refused++;
        else
            *(volatile char *)arena_buffer_address(buffer) = 1;
        arena_keep_alive(buffer);
    }
    return (void *)refused;
}

START_TEST(test_garbage_makes_room_under_a_limit)
{
    struct crowd plan = {.count = 1000, .capacity = MIB};

    expect_ok(arena_set_limit(usage_now().reserved + 4 * MIB + 64 * KIB));
    ck_assert_ptr_null(run_in_thread(garbage_main, &plan));
    expect_ok(arena_set_limit(base.limit));
    ck_assert_uint_gt(usage_now().collections, base.collections);
    expect_settled(base);
    expect_nothing_astray();
}
END_TEST

/* Without a limit in reach dead buffers do not pile up either. */
START_TEST(test_garbage_presses_the_collector)
{
    struct crowd plan = {.count = 3000, .capacity = MIB};

    ck_assert_ptr_null(run_in_thread(garbage_main, &plan));
    ck_assert_uint_lt(usage_now().peak, base.reserved + 400 * MIB);
    expect_settled(base);
    expect_nothing_astray();
}
END_TEST

/* Nor do those that the system maps, which leave at once. */
START_TEST(test_garbage_that_is_mapped_presses_the_collector)
{
    struct crowd plan = {.count = 100, .capacity = 40 * MIB};

    ck_assert_ptr_null(run_in_thread(garbage_main, &plan));
    ck_assert_uint_lt(usage_now().peak, base.reserved + 800 * MIB);
    expect_settled(base);
}
END_TEST

/* Who frees by hand does not pay for collections. */
START_TEST(test_free_by_hand_does_not_press_the_collector)
{
    uint64_t collections = usage_now().collections;

    for (int i = 0; i < 2000; i++)
        expect_ok(arena_buffer_free(make(MIB)));
    /* (There is one at every allocation, if the library is built so.) */
    if (getenv("ARENA_TEST_LEFT_OVER") == NULL)
        ck_assert_uint_eq(usage_now().collections, collections);
    expect_usage(base);
}
END_TEST

static void *
free_later_main(void *arg)
{
    sleep_ms(20);
    (void)arena_buffer_free(arg);
    return NULL;
}

START_TEST(test_free_wakes_who_waits_for_room)
{
    arena_buffer_t *buffer = make(3 * MIB);
    pthread_t other;

    expect_ok(arena_set_limit(usage_now().reserved + 1 * MIB));
    other = start_thread(free_later_main, buffer);
    expect_ok(arena_reserve(2 * MIB));
    expect_ok(arena_unreserve(2 * MIB));
    join_thread(other);
    expect_ok(arena_set_limit(base.limit));
    expect_usage(base);
}
END_TEST

/* --- Threads and fork --- */

static void
mixed_body(void *state, size_t index)
{
    atomic_size_t *faults = state;
    uint64_t dice = index + 1;
    size_t rounds = test_scaled(20000);

    for (size_t i = 0; i < rounds; i++) {
        size_t capacity =
            random_below(&dice, i % 50 == 0 ? 200 * KIB : 3 * KIB);
        arena_buffer_t *buffer = arena_buffer_allocate(capacity);
        char *bytes = arena_buffer_address(buffer);

        if (buffer == NULL || !block_is_zero(bytes, capacity)) {
            atomic_fetch_add(faults, 1);
            continue;
        }
        memset(bytes, 0xff, capacity);
        if (i % 3 == 0)
            atomic_fetch_add(faults, arena_buffer_free(buffer) != 0);
        else if (i % 3 == 1)
            atomic_fetch_add(faults, arena_buffer_slice(buffer) == NULL);
        arena_keep_alive(buffer);
    }
}

START_TEST(test_threads_allocate_free_and_drop)
{
    atomic_size_t faults = 0;

    run_team(4, mixed_body, &faults);
    ck_assert_uint_eq(faults, 0);
    if (!collects())
        return;
    expect_settled(base);
    expect_nothing_astray();
}
END_TEST

static bool
child_works(arena_buffer_t *buffer)
{
    arena_buffer_t *own = arena_buffer_allocate(100000);
    uint32_t value = 0;

    arena_collect();
    return arena_buffer_get_u32_at(buffer, 0, &value) == 0 && value == 4711
           && own != NULL && arena_buffer_free(own) == 0
           && arena_buffer_free(buffer) == 0;
}

START_TEST(test_fork_child_uses_and_frees)
{
    arena_buffer_t *buffer = make(100000);
    int status = -1;
    pid_t child;

    arena_buffer_put_u32(buffer, 4711);
    child = fork();
    if (child == 0)
        _exit(child_works(buffer) ? 0 : 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    expect_ok(arena_buffer_free(buffer));
    expect_usage(base);
}
END_TEST

/* --- Suite --- */

static void
add_numbers(TCase *numbers)
{
    tcase_add_test(numbers, test_numbers_i8);
    tcase_add_test(numbers, test_numbers_u8);
    tcase_add_test(numbers, test_numbers_i16);
    tcase_add_test(numbers, test_numbers_u16);
    tcase_add_test(numbers, test_numbers_i32);
    tcase_add_test(numbers, test_numbers_u32);
    tcase_add_test(numbers, test_numbers_i64);
    tcase_add_test(numbers, test_numbers_u64);
    tcase_add_test(numbers, test_numbers_f32);
    tcase_add_test(numbers, test_numbers_f64);
    tcase_add_test(numbers, test_numbers_nan_keeps_its_bits);
    tcase_add_test(numbers, test_order_that_is_none_is_refused);
}

static void
add_state(TCase *state)
{
    int sizes = (int)LENGTH(capacities);

    tcase_add_loop_test(state, test_allocate_is_zero_aligned_counted_and_freed,
                        0, sizes);
    tcase_add_loop_test(state, test_allocate_recycled_bytes_are_zero, 0,
                        sizes);
    tcase_add_test(state, test_allocate_bad_arguments_fail_and_count_nothing);
    tcase_add_test(state, test_allocate_over_the_limit_fails);
    tcase_add_loop_test(
        state, test_allocate_aligned_any_power_of_two_is_aligned, 0, 22);
    tcase_add_test(state, test_position_and_limit_stay_in_order);
    tcase_add_test(state, test_mark_is_kept_until_it_is_passed);
    tcase_add_test(state, test_flip_clear_and_rewind);
    tcase_add_test(state, test_compact_moves_what_remains_to_the_front);
}

static void
add_bytes(TCase *bytes)
{
    tcase_add_test(bytes, test_bytes_all_or_nothing);
    tcase_add_test(bytes, test_bytes_at_an_index_leave_the_position);
    tcase_add_test(bytes, test_put_buffer_moves_both_or_nothing);
    tcase_add_test(bytes, test_put_buffer_of_overlapping_views);
    tcase_add_test(bytes, test_views_share_bytes_and_inherit);
    tcase_add_test(bytes, test_slice_at_out_of_range_fails);
    tcase_add_test(bytes, test_read_only_view_is_not_written);
    tcase_add_test(bytes, test_aligned_slice_moves_both_ends_inwards);
    tcase_add_test(bytes, test_alignment_offset_of_an_index);
    tcase_add_test(bytes, test_mismatch_and_compare_look_at_what_remains);
}

static void
add_free(TCase *freeing)
{
    tcase_add_loop_test(freeing, test_free_as_a_block_names_the_right_call, 0,
                        2);
    tcase_add_loop_test(freeing,
                        test_free_once_makes_the_root_and_views_stale, 0, 2);
    tcase_add_test(freeing, test_free_by_several_threads_frees_once);
    tcase_add_test(freeing, test_handle_is_no_block_of_the_implicit_arena);
    tcase_add_test(freeing, test_null_answers_nothing);
    tcase_add_test(freeing, test_free_wakes_who_waits_for_room);
    tcase_add_test(freeing, test_threads_allocate_free_and_drop);
    tcase_add_test(freeing, test_free_by_hand_does_not_press_the_collector);
}

static void
add_death(TCase *death)
{
    if (!collects())
        return;
    tcase_add_loop_test(death, test_handles_freed_dropped_and_kept, 0, 3);
    tcase_add_test(death, test_scattered_deaths_are_found_at_once);
    tcase_add_test(death, test_view_keeps_the_root_and_no_intermediates);
    tcase_add_test(death, test_slice_of_a_slice_of_a_duplicate_keeps_the_root);
    tcase_add_test(death, test_garbage_makes_room_under_a_limit);
    tcase_add_test(death, test_garbage_presses_the_collector);
    tcase_add_test(death,
                   test_garbage_that_is_mapped_presses_the_collector);
}

int
main(void)
{
    static const struct {
        const char *name;
        void (*add)(TCase *);
        int seconds;
    } parts[] = {{"numbers", add_numbers, 10}, {"state", add_state, 60},
                 {"bytes", add_bytes, 10},     {"free", add_free, 60},
                 {"death", add_death, 120}};
    Suite *suite = suite_create("buffer");
    TCase *files = tcase_create("files");

    for (size_t i = 0; i < LENGTH(parts); i++) {
        TCase *part = tcase_create(parts[i].name);

        tcase_add_checked_fixture(part, setup, NULL);
        tcase_set_timeout(part, parts[i].seconds);
        parts[i].add(part);
        suite_add_tcase(suite, part);
    }
    tcase_add_checked_fixture(files, setup, NULL);
    tcase_set_timeout(files, 20);
    tcase_add_test(files, test_read_fd_goes_on_after_short_counts);
    tcase_add_test(files, test_fd_error_is_told_behind_what_was_moved);
    tcase_add_test(files, test_fd_interrupted_by_signals_goes_on);
    tcase_add_test(files, test_fd_works_when_the_budget_is_used_up);
    tcase_add_test(files, test_fork_child_uses_and_frees);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
