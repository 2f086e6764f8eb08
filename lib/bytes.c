/* bytes.c: getting from direct buffers and putting into them; see buffer.h
 * and arena/buffer.h. */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "access.h"
#include "buffer.h"
#include "error.h"
#include "internal.h"
#include "os.h"

/* --- Numbers --- */

/* Copy a number of 1, 2, 4 or 8 bytes, turned around. */
static inline void
copy_swapped(void *to, const void *from, size_t n)
{
    uint64_t eight;
    uint32_t four;
    uint16_t two;

    switch (n) {
    case 8:
        memcpy(&eight, from, n);
        eight = __builtin_bswap64(eight);
        memcpy(to, &eight, n);
        break;
    case 4:
        memcpy(&four, from, n);
        four = __builtin_bswap32(four);
        memcpy(to, &four, n);
        break;
    case 2:
        memcpy(&two, from, n);
        two = __builtin_bswap16(two);
        memcpy(to, &two, n);
        break;
    default:
        memcpy(to, from, n);
        break;
    }
}

static inline void
copy_number(const arena_buffer_t *buffer, void *to, const void *from, size_t n)
{
    if (buffer->swapped)
        copy_swapped(to, from, n);
    else
        memcpy(to, from, n);
}

/* Over a segment. */
static ARENA_COLD int
number_get_over(const arena_buffer_t *buffer, size_t index, void *out,
                size_t n)
{
    arena_segment_t part;
    char bytes[8];

    if (arenap_buffer_part(buffer, index, n, false, &part) != 0
        || arena_get_bytes(&part, 0, bytes, n) != 0)
        return -1;
    copy_number(buffer, out, bytes, n);
    arena_keep_alive(buffer);
    return 0;
}

static ARENA_COLD int
number_put_over(const arena_buffer_t *buffer, size_t index, const void *value,
                size_t n)
{
    arena_segment_t part;
    char bytes[8];
    int result;

    if (arenap_buffer_part(buffer, index, n, true, &part) != 0)
        return -1;
    copy_number(buffer, bytes, value, n);
    result = arena_set_bytes(&part, 0, bytes, n);
    arena_keep_alive(buffer);
    return result;
}

static inline int
number_get(const arena_buffer_t *buffer, size_t index, void *out, size_t n)
{
    const char *from;

    if (ARENA_UNLIKELY(out == NULL))
        return arenap_fail(EINVAL, "no place for the number");
    from = arenap_buffer_span(buffer, index, n, false);
    if (ARENA_UNLIKELY(from == NULL))
        return number_get_over(buffer, index, out, n);
    copy_number(buffer, out, from, n);
    arena_keep_alive(buffer);
    return 0;
}

static inline int
number_put(arena_buffer_t *buffer, size_t index, const void *value, size_t n)
{
    char *to = arenap_buffer_span(buffer, index, n, true);

    if (ARENA_UNLIKELY(to == NULL))
        return number_put_over(buffer, index, value, n);
    copy_number(buffer, to, value, n);
    arena_keep_alive(buffer);
    return 0;
}

/* Advance the position when the call succeeded. */
static inline int
advance(arena_buffer_t *buffer, size_t n, int result)
{
    if (result == 0)
        buffer->position += n;
    return result;
}

#define NUMBER(name, type)                                                    \
    int arena_buffer_get_##name(arena_buffer_t *buffer, type *out)            \
    {                                                                         \
        return advance(buffer, sizeof *out,                                   \
                       number_get(buffer, arenap_buffer_position(buffer),     \
                                  out, sizeof *out));                         \
    }                                                                         \
    int arena_buffer_put_##name(arena_buffer_t *buffer, type value)           \
    {                                                                         \
        return advance(buffer, sizeof value,                                  \
                       number_put(buffer, arenap_buffer_position(buffer),     \
                                  &value, sizeof value));                     \
    }                                                                         \
    int arena_buffer_get_##name##_at(const arena_buffer_t *buffer,            \
                                     size_t index, type *out)                 \
    {                                                                         \
        return number_get(buffer, index, out, sizeof *out);                   \
    }                                                                         \
    int arena_buffer_put_##name##_at(arena_buffer_t *buffer, size_t index,    \
                                     type value)                              \
    {                                                                         \
        return number_put(buffer, index, &value, sizeof value);               \
    }

NUMBER(i8, int8_t)
NUMBER(u8, uint8_t)
NUMBER(i16, int16_t)
NUMBER(u16, uint16_t)
NUMBER(i32, int32_t)
NUMBER(u32, uint32_t)
NUMBER(i64, int64_t)
NUMBER(u64, uint64_t)
NUMBER(f32, float)
NUMBER(f64, double)

/* --- Bytes --- */

/* Over a segment. */
static ARENA_COLD int
move_over(const arena_buffer_t *buffer, size_t index, void *bytes, size_t n,
          bool in)
{
    arena_segment_t part;
    int result = arenap_buffer_part(buffer, index, n, in, &part);

    if (result == 0)
        result = in ? arena_set_bytes(&part, 0, bytes, n)
                    : arena_get_bytes(&part, 0, bytes, n);
    arena_keep_alive(buffer);
    return result;
}

int
arena_buffer_get_at(const arena_buffer_t *buffer, size_t index, void *out,
                    size_t n)
{
    const char *from;

    if (out == NULL && n != 0)
        return arenap_fail(EINVAL, "no place for the bytes");
    from = arenap_buffer_span(buffer, index, n, false);
    if (from == NULL)
        return move_over(buffer, index, out, n, false);
    if (n != 0)
        memmove(out, from, n);
    arena_keep_alive(buffer);
    return 0;
}

int
arena_buffer_put_at(arena_buffer_t *buffer, size_t index, const void *data,
                    size_t n)
{
    char *to;

    if (data == NULL && n != 0)
        return arenap_fail(EINVAL, "no bytes were given");
    to = arenap_buffer_span(buffer, index, n, true);
    if (to == NULL)
        return move_over(buffer, index, (void *)(uintptr_t)data, n, true);
    if (n != 0)
        memmove(to, data, n);
    arena_keep_alive(buffer);
    return 0;
}

int
arena_buffer_get(arena_buffer_t *buffer, void *out, size_t n)
{
    return advance(
        buffer, n,
        arena_buffer_get_at(buffer, arenap_buffer_position(buffer), out, n));
}

int
arena_buffer_put(arena_buffer_t *buffer, const void *data, size_t n)
{
    return advance(
        buffer, n,
        arena_buffer_put_at(buffer, arenap_buffer_position(buffer), data, n));
}

/* One of them is over a segment. */
static ARENA_COLD int
put_over(const arena_buffer_t *buffer, const arena_buffer_t *source, size_t n)
{
    arena_segment_t to, from;

    if (arenap_buffer_part(buffer, arenap_buffer_position(buffer), n, true,
                           &to)
            != 0
        || arenap_buffer_part(source, source->position, n, false, &from) != 0)
        return -1;
    return arena_segment_copy(&to, 0, &from, 0, n);
}

int
arena_buffer_put_buffer(arena_buffer_t *buffer, arena_buffer_t *source)
{
    size_t n = arena_buffer_remaining(source);
    const char *from;
    char *to;

    if (source == NULL)
        return arenap_buffer_fail_null();
    if (source == buffer)
        return arenap_fail(EINVAL, "a buffer cannot be put into itself");
    to = arenap_buffer_span(buffer, arenap_buffer_position(buffer), n, true);
    from = arenap_buffer_span(source, source->position, n, false);
    if (to != NULL && from != NULL)
        memmove(to, from, n);
    else if (put_over(buffer, source, n) != 0)
        return -1;
    buffer->position += n;
    source->position += n;
    arena_keep_alive(buffer);
    arena_keep_alive(source);
    return 0;
}

/* --- Comparing --- */

#define STRIDE ((size_t)256)

/* How many bytes are the same at the front of both. */
static size_t
common(const unsigned char *a, const unsigned char *b, size_t n)
{
    size_t i = 0;

    while (n - i >= STRIDE && memcmp(a + i, b + i, STRIDE) == 0)
        i += STRIDE;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* What remains in both, up to the shorter one's end: how much of it is the
 * same, and the bytes behind that, if there are any. */
struct meeting {
    size_t length, same;
    unsigned char a, b;
};

/* One of them is over a segment. */
static ARENA_COLD int
meet_over(const arena_buffer_t *a, const arena_buffer_t *b,
          struct meeting *out)
{
    arena_segment_t of_a, of_b;
    ptrdiff_t same;

    if (arenap_buffer_part(a, a->position, out->length, false, &of_a) != 0
        || arenap_buffer_part(b, b->position, out->length, false, &of_b) != 0
        || (same = arena_segment_mismatch(&of_a, &of_b)) == -2)
        return -1;
    out->same = same == -1 ? out->length : (size_t)same;
    if (same != -1
        && (arena_get_u8(&of_a, out->same, &out->a) != 0
            || arena_get_u8(&of_b, out->same, &out->b) != 0))
        return -1;
    return 0;
}

static int
meet(const arena_buffer_t *a, const arena_buffer_t *b, struct meeting *out)
{
    size_t of_a = arena_buffer_remaining(a), of_b = arena_buffer_remaining(b);
    const unsigned char *at_a, *at_b;
    int result = 0;

    if (a == NULL || b == NULL)
        return arenap_buffer_fail_null();
    out->length = of_a < of_b ? of_a : of_b;
    at_a = (unsigned char *)arenap_buffer_span(a, a->position, of_a, false);
    at_b = (unsigned char *)arenap_buffer_span(b, b->position, of_b, false);
    if (at_a == NULL || at_b == NULL) {
        result = meet_over(a, b, out);
    } else {
        out->same = common(at_a, at_b, out->length);
        if (out->same < out->length) {
            out->a = at_a[out->same];
            out->b = at_b[out->same];
        }
    }
    arena_keep_alive(a);
    arena_keep_alive(b);
    return result;
}

ptrdiff_t
arena_buffer_mismatch(const arena_buffer_t *a, const arena_buffer_t *b)
{
    struct meeting meeting;

    if (meet(a, b, &meeting) != 0)
        return -2;
    if (meeting.same == meeting.length
        && arena_buffer_remaining(a) == arena_buffer_remaining(b))
        return -1;
    return (ptrdiff_t)meeting.same;
}

static int
compare_sizes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

int
arena_buffer_compare(const arena_buffer_t *a, const arena_buffer_t *b)
{
    struct meeting meeting;

    if (meet(a, b, &meeting) != 0)
        return INT_MIN;
    return meeting.same == meeting.length
               ? compare_sizes(arena_buffer_remaining(a),
                               arena_buffer_remaining(b))
               : compare_sizes(meeting.a, meeting.b);
}

/* --- Files --- */

static ssize_t
fail_transfer(const char *what, int fd)
{
    int error = errno;
    char text[128];

    return arenap_fail(error, "cannot %s descriptor %d: %s", what, fd,
                       strerror_r(error, text, sizeof text));
}

/* Move left bytes in or out, in as many steps as it takes. */
static ssize_t
transfer_bytes(char *bytes, size_t left, int fd, bool in)
{
    size_t done = 0;
    int saved = errno;

    while (done < left) {
        ssize_t n = in ? read(fd, bytes + done, left - done)
                       : write(fd, bytes + done, left - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && done == 0)
            return fail_transfer(in ? "read from" : "write to", fd);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    errno = saved;
    return (ssize_t)done;
}

/* The system could not reach the first byte: of a file that is mapped and has
 * become shorter, as all other accesses say. */
static ssize_t
fail_cut(const arena_segment_t *part)
{
    char first;

    return arenap_access_is_guarded(part)
                   && !arenap_os_copy(&first, part->addr, 1)
               ? arenap_access_fail(part, 0, part->size, 0, EIO)
               : -1;
}

/* Over a segment: the system is given its address, so its arena is kept from
 * being closed meanwhile.  Not by an access, which a close would wait for as
 * long as this takes. */
static ARENA_COLD ssize_t
transfer_over(arena_buffer_t *buffer, size_t left, int fd, bool in)
{
    arena_segment_t part;
    ssize_t done = -1;

    if (arenap_buffer_part(buffer, arenap_buffer_position(buffer), left, in,
                           &part)
            != 0
        || arena_get_bytes(&part, 0, NULL, 0) != 0
        || arena_acquire(part.arena) != 0)
        return -1;
    /* It may have been reset before that. */
    if (arena_get_bytes(&part, 0, NULL, 0) == 0)
        done = transfer_bytes(part.addr, left, fd, in);
    if (done < 0 && errno == EFAULT)
        done = fail_cut(&part);
    arena_release(part.arena);
    return done;
}

static ssize_t
transfer(arena_buffer_t *buffer, int fd, bool in)
{
    size_t left = arena_buffer_remaining(buffer);
    char *bytes =
        arenap_buffer_span(buffer, arenap_buffer_position(buffer), left, in);
    ssize_t done = bytes != NULL ? transfer_bytes(bytes, left, fd, in)
                                 : transfer_over(buffer, left, fd, in);

    if (done > 0)
        buffer->position += (size_t)done;
    arena_keep_alive(buffer);
    return done;
}

ssize_t
arena_buffer_read_fd(arena_buffer_t *buffer, int fd)
{
    return transfer(buffer, fd, true);
}

ssize_t
arena_buffer_write_fd(arena_buffer_t *buffer, int fd)
{
    return transfer(buffer, fd, false);
}
