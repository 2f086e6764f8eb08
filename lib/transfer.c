/* transfer.c: copies, arrays, strings and atomic operations through segments;
 * see arena/segment.h. */

#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "access.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "os.h"

/* Bytes that are turned around, or may not be there, go through a place of
 * this size. */
#define STEP ((size_t)4096)

/* --- Moving bytes --- */

/* One side of a copy, in bounds and entered. */
struct side {
    char *at;
    bool guarded; /* its bytes may not be there */
};

static inline struct side
side_of(const arena_segment_t *segment, size_t offset)
{
    return (struct side){(char *)segment->addr + offset,
                         arenap_access_is_guarded(segment)};
}

static inline struct side
side_plain(void *memory)
{
    return (struct side){memory, false};
}

/* Files get shorter at their end: when the last byte is there, all are. */
static bool
side_is_there(struct side side, size_t n)
{
    char last;

    return !side.guarded || n == 0
           || arenap_os_copy(&last, side.at + n - 1, 1);
}

/* Turn elements of one size around; n is a multiple of it. */
#define TURN(bits, bytes, n)                                                  \
    for (size_t i_ = 0; i_ < (n); i_ += (bits) / 8) {                         \
        uint##bits##_t element_;                                              \
                                                                              \
        memcpy(&element_, (bytes) + i_, sizeof element_);                     \
        element_ = __builtin_bswap##bits(element_);                           \
        memcpy((bytes) + i_, &element_, sizeof element_);                     \
    }

static void
turn(char *bytes, size_t n, size_t element)
{
    if (element == 2)
        TURN(16, bytes, n)
    else if (element == 4)
        TURN(32, bytes, n)
    else
        TURN(64, bytes, n)
}

static bool
piece_move(struct side to, struct side from, size_t n, size_t turned)
{
    char piece[STEP];

    if (from.guarded ? !arenap_os_copy(piece, from.at, n)
                     : (memcpy(piece, from.at, n), false))
        return false;
    if (turned > 1)
        turn(piece, n, turned);
    if (to.guarded)
        return arenap_os_copy(to.at, piece, n);
    memcpy(to.at, piece, n);
    return true;
}

/* Move n bytes, as memmove does; elements of turned bytes are turned around.
 * False: bytes of a file are not there. */
static bool
move(struct side to, struct side from, size_t n, size_t turned)
{
    bool backwards = to.at > from.at;
    size_t done = 0, step, at;

    if (!to.guarded && !from.guarded && turned <= 1) {
        if (n != 0)
            memmove(to.at, from.at, n);
        return true;
    }
    if (!side_is_there(from, n) || !side_is_there(to, n))
        return false;
    for (; done < n; done += step) {
        step = n - done < STEP ? n - done : STEP;
        at = backwards ? n - done - step : done;
        if (!piece_move((struct side){to.at + at, to.guarded},
                        (struct side){from.at + at, from.guarded}, step,
                        turned))
            return false;
    }
    return true;
}

/* --- One segment --- */

/* Move between a segment and memory of the caller's; in: into the segment. */
static int
move_one(const arena_segment_t *segment, size_t offset, void *memory, size_t n,
         bool in, size_t turned)
{
    bool there;

    if (memory == NULL && n != 0)
        return arenap_access_fail(segment, offset, n, 0, EINVAL);
    if (arenap_access_begin(segment, offset, n, in) != 0)
        return -1;
    there = in ? move(side_of(segment, offset), side_plain(memory), n, turned)
               : move(side_plain(memory), side_of(segment, offset), n,
                      turned);
    arenap_access_leave(segment, 0);
    return there ? 0 : arenap_access_fail(segment, offset, n, 0, EIO);
}

int
arena_get_bytes(const arena_segment_t *segment, size_t offset, void *out,
                size_t n)
{
    return move_one(segment, offset, out, n, false, 1);
}

int
arena_set_bytes(const arena_segment_t *segment, size_t offset,
                const void *data, size_t n)
{
    return move_one(segment, offset, (void *)(uintptr_t)data, n, true, 1);
}

/* --- Arrays --- */

/* ERANGE, in elements: their bytes may be more than there can be. */
static int
fail_elements(const arena_segment_t *segment, size_t offset, size_t count,
              size_t element)
{
    return arenap_fail(ERANGE,
                       "%zu elements of %zu bytes at offset %zu are not in a "
                       "segment of %zu bytes",
                       count, element, offset, segment->size);
}

static int
check_element(size_t element, arena_order_t order, arena_order_t other)
{
    if (element == 0 || element > 8 || !arenap_is_pow2(element))
        return arenap_fail(EINVAL, "elements of %zu bytes: there are those "
                                   "of 1, 2, 4 and 8",
                           element);
    if ((unsigned)order > ARENA_BIG_ENDIAN
        || (unsigned)other > ARENA_BIG_ENDIAN)
        return arenap_fail(EINVAL, "no such byte order");
    return 0;
}

/* Their bytes; an overflow is in no bounds. */
static size_t
bytes_of(size_t count, size_t element)
{
    size_t n;

    return __builtin_mul_overflow(count, element, &n) ? SIZE_MAX : n;
}

/* Move an array, whose elements are turned around or not, as move_one. */
static int
move_array(const arena_segment_t *segment, size_t offset, void *memory,
           size_t count, size_t element, bool in, arena_order_t order)
{
    if (check_element(element, order, order) != 0)
        return -1;
    if (move_one(segment, offset, memory, bytes_of(count, element), in,
                 order == ARENA_NATIVE_ENDIAN ? 1 : element)
        == 0)
        return 0;
    return errno == ERANGE ? fail_elements(segment, offset, count, element)
                           : -1;
}

int
arena_get_array(const arena_segment_t *segment, size_t offset, void *out,
                size_t count, size_t element, arena_order_t order)
{
    return move_array(segment, offset, out, count, element, false, order);
}

int
arena_set_array(const arena_segment_t *segment, size_t offset,
                const void *data, size_t count, size_t element,
                arena_order_t order)
{
    return move_array(segment, offset, (void *)(uintptr_t)data, count, element,
                      true, order);
}

/* --- Filling --- */

int
arena_segment_fill(const arena_segment_t *segment, uint8_t value)
{
    char piece[STEP];
    struct side to;
    size_t step;
    bool there;

    if (arenap_access_begin(segment, 0,
                            segment != NULL ? segment->size : 0, true)
        != 0)
        return -1;
    to = side_of(segment, 0);
    there = side_is_there(to, segment->size);
    if (!to.guarded && segment->size != 0)
        memset(to.at, value, segment->size);
    memset(piece, value, to.guarded ? sizeof piece : 0);
    for (size_t i = 0; to.guarded && there && i < segment->size; i += step) {
        step = segment->size - i < STEP ? segment->size - i : STEP;
        there = arenap_os_copy(to.at + i, piece, step);
    }
    arenap_access_leave(segment, 0);
    return there ? 0
                 : arenap_access_fail(segment, 0, segment->size, 0, EIO);
}

/* --- Two segments --- */

/* What of two segments is used. */
struct pair {
    const arena_segment_t *a, *b;
    size_t at_a, at_b, n_a, n_b;
};

static int
pair_fail(const struct pair *pair, int fault, bool of_b)
{
    return of_b ? arenap_access_fail(pair->b, pair->at_b, pair->n_b, 0, fault)
                : arenap_access_fail(pair->a, pair->at_a, pair->n_a, 0,
                                     fault);
}

/* Enter both; the first may be written to.  0; or -1 with errno set. */
static int
pair_begin(const struct pair *pair, bool writes)
{
    int a = arenap_access_bounds(pair->a, pair->at_a, pair->n_a, 0, writes);
    int b = arenap_access_bounds(pair->b, pair->at_b, pair->n_b, 0, false);
    int fault = arenap_access_first(a, b);

    if (fault != 0)
        return pair_fail(pair, fault, fault != a);
    a = arenap_access_enter(pair->a, 0);
    b = arenap_access_enter(pair->b, 1);
    fault = arenap_access_first(a, b);
    if (fault == 0)
        return 0;
    if (a == 0)
        arenap_access_leave(pair->a, 0);
    if (b == 0)
        arenap_access_leave(pair->b, 1);
    return pair_fail(pair, fault, fault != a);
}

static void
pair_end(const struct pair *pair)
{
    arenap_access_leave(pair->a, 0);
    arenap_access_leave(pair->b, 1);
}

static int
pair_copy(const struct pair *pair, size_t turned)
{
    bool there;

    if (pair_begin(pair, true) != 0)
        return -1;
    there = move(side_of(pair->a, pair->at_a), side_of(pair->b, pair->at_b),
                 pair->n_a, turned);
    pair_end(pair);
    return there ? 0 : pair_fail(pair, EIO, arenap_access_is_guarded(pair->b));
}

int
arena_segment_copy(const arena_segment_t *to, size_t to_offset,
                   const arena_segment_t *from, size_t from_offset, size_t n)
{
    return pair_copy(&(struct pair){to, from, to_offset, from_offset, n, n},
                     1);
}

int
arena_segment_copy_array(const arena_segment_t *to, size_t to_offset,
                         arena_order_t to_order, const arena_segment_t *from,
                         size_t from_offset, arena_order_t from_order,
                         size_t count, size_t element)
{
    size_t n = bytes_of(count, element);
    bool fits;

    if (check_element(element, to_order, from_order) != 0)
        return -1;
    if (pair_copy(&(struct pair){to, from, to_offset, from_offset, n, n},
                  to_order == from_order ? 1 : element)
        == 0)
        return 0;
    if (errno != ERANGE)
        return -1;
    fits = n <= to->size && to_offset <= to->size - n;
    return fail_elements(fits ? from : to, fits ? from_offset : to_offset,
                         count, element);
}

/* How many bytes are the same at the front of both. */
static size_t
common(const char *a, const char *b, size_t n)
{
    const size_t stride = 256;
    size_t i = 0;

    while (n - i >= stride && memcmp(a + i, b + i, stride) == 0)
        i += stride;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* The same of sides that may not be there.  False: one is not. */
static bool
common_guarded(struct side a, struct side b, size_t n, size_t *same)
{
    char of_a[STEP], of_b[STEP];
    size_t step;

    for (*same = 0; *same < n; *same += step) {
        size_t found;

        step = n - *same < STEP ? n - *same : STEP;
        if (!arenap_os_copy(of_a, a.at + *same, step)
            || !arenap_os_copy(of_b, b.at + *same, step))
            return false;
        found = common(of_a, of_b, step);
        if (found < step) {
            *same += found;
            break;
        }
    }
    return true;
}

ptrdiff_t
arena_segment_mismatch(const arena_segment_t *a, const arena_segment_t *b)
{
    struct pair pair = {a, b, 0, 0, 0, 0};
    struct side side_a, side_b;
    size_t n, same = 0;
    bool there = true;

    if (a != NULL)
        pair.n_a = a->size;
    if (b != NULL)
        pair.n_b = b->size;
    if (pair_begin(&pair, false) != 0)
        return -2;
    n = a->size < b->size ? a->size : b->size;
    side_a = side_of(a, 0);
    side_b = side_of(b, 0);
    if (side_a.guarded || side_b.guarded)
        there = common_guarded(side_a, side_b, n, &same);
    else
        same = common(side_a.at, side_b.at, n);
    pair_end(&pair);
    if (!there) {
        pair_fail(&pair, EIO, side_b.guarded);
        return -2;
    }
    return same == n && a->size == b->size ? -1 : (ptrdiff_t)same;
}

/* --- Strings --- */

/* The first unit that is zero, among those that are whole; SIZE_MAX: none. */
static size_t
find_end(const char *bytes, size_t n, size_t unit)
{
    static const char zero[4];
    const char *end;

    if (unit == 1) {
        end = n != 0 ? memchr(bytes, 0, n) : NULL;
        return end != NULL ? (size_t)(end - bytes) : SIZE_MAX;
    }
    for (size_t i = 0; i + unit <= n; i += unit)
        if (memcmp(bytes + i, zero, unit) == 0)
            return i;
    return SIZE_MAX;
}

/* How many of n bytes can be copied at once: whole units, up to the end of a
 * page, as the next one may not be there; but a unit that lies across. */
static size_t
units_on_page(const char *bytes, size_t n, size_t unit)
{
    size_t left = STEP - (uintptr_t)bytes % STEP;

    if (left > n)
        left = n;
    left -= left % unit;
    return left != 0 ? left : unit;
}

/* The same where bytes may not be there. */
static size_t
find_end_guarded(const char *bytes, size_t n, size_t unit, bool *there)
{
    char piece[STEP];
    size_t step, end;

    *there = true;
    for (size_t i = 0; i + unit <= n; i += step) {
        step = units_on_page(bytes + i, n - i, unit);
        *there = arenap_os_copy(piece, bytes + i, step);
        if (!*there)
            return SIZE_MAX;
        end = find_end(piece, step, unit);
        if (end != SIZE_MAX)
            return i + end;
    }
    return SIZE_MAX;
}

int
arena_string_length(const arena_segment_t *segment, size_t offset, size_t unit,
                    size_t *out)
{
    size_t n, length;
    bool there = true;

    if (unit != 1 && unit != 2 && unit != 4)
        return arenap_fail(EINVAL, "strings of units of %zu bytes: there are "
                                   "those of 1, 2 and 4",
                           unit);
    if (out == NULL)
        return arenap_access_fail(segment, offset, 0, 0, EINVAL);
    if (arenap_access_begin(segment, offset, 0, false) != 0)
        return -1;
    n = segment->size - offset;
    length = arenap_access_is_guarded(segment)
                 ? find_end_guarded((char *)segment->addr + offset, n, unit,
                                    &there)
                 : find_end((char *)segment->addr + offset, n, unit);
    arenap_access_leave(segment, 0);
    if (!there)
        return arenap_access_fail(segment, offset, n, 0, EIO);
    if (length == SIZE_MAX)
        return arenap_fail(ERANGE, "the string at offset %zu has no end in a "
                                   "segment of %zu bytes",
                           offset, segment->size);
    *out = length / unit;
    return 0;
}

char *
arena_get_string(const arena_segment_t *segment, size_t offset, arena_t *to)
{
    size_t length;
    char *copy;

    if (arena_string_length(segment, offset, 1, &length) != 0)
        return NULL;
    if (arenap_explicit_fill_begin(to) != 0)
        return NULL;
    /* Not while the access is entered: this may wait. */
    copy = arena_alloc(to, length + 1);
    if (copy != NULL && arena_get_bytes(segment, offset, copy, length) != 0)
        copy = NULL;
    arenap_explicit_fill_end(to);
    return copy;
}

int
arena_set_string(const arena_segment_t *segment, size_t offset, const char *s)
{
    if (s == NULL)
        return arenap_fail(EINVAL, "the string is NULL");
    return arena_set_bytes(segment, offset, s, strlen(s) + 1);
}

/* --- Atomic operations --- */

#define ATOMIC(type, at)                                                      \
    do {                                                                      \
        type *word_ = (type *)(void *)(at), new_ = (type)value;               \
        type expected_ = (type)*seen;                                         \
                                                                              \
        switch (operation) {                                                  \
        case ARENA_ATOMIC_LOAD_:                                              \
            *seen = __atomic_load_n(word_, __ATOMIC_SEQ_CST);                 \
            break;                                                            \
        case ARENA_ATOMIC_STORE_:                                             \
            __atomic_store_n(word_, new_, __ATOMIC_SEQ_CST);                  \
            break;                                                            \
        case ARENA_ATOMIC_EXCHANGE_:                                          \
            *seen = __atomic_exchange_n(word_, new_, __ATOMIC_SEQ_CST);       \
            break;                                                            \
        case ARENA_ATOMIC_COMPARE_EXCHANGE_:                                  \
            stored = __atomic_compare_exchange_n(word_, &expected_, new_,     \
                                                 false, __ATOMIC_SEQ_CST,     \
                                                 __ATOMIC_SEQ_CST);           \
            *seen = expected_;                                                \
            break;                                                            \
        case ARENA_ATOMIC_FETCH_ADD_:                                         \
            *seen = __atomic_fetch_add(word_, new_, __ATOMIC_SEQ_CST);        \
            break;                                                            \
        case ARENA_ATOMIC_FETCH_AND_:                                         \
            *seen = __atomic_fetch_and(word_, new_, __ATOMIC_SEQ_CST);        \
            break;                                                            \
        case ARENA_ATOMIC_FETCH_OR_:                                          \
            *seen = __atomic_fetch_or(word_, new_, __ATOMIC_SEQ_CST);         \
            break;                                                            \
        default:                                                              \
            *seen = __atomic_fetch_xor(word_, new_, __ATOMIC_SEQ_CST);        \
            break;                                                            \
        }                                                                     \
    } while (0)

/* Returns whether compare_exchange has stored. */
static int
atomic_do(char *at, size_t width, int operation, uint64_t value,
          uint64_t *seen)
{
    int stored = 0;

    if (width == 4)
        ATOMIC(uint32_t, at);
    else
        ATOMIC(uint64_t, at);
    return stored;
}

int
arena_segment_atomic_(const arena_segment_t *segment, size_t offset,
                      size_t width, int operation, uint64_t value,
                      uint64_t *seen)
{
    bool writes = operation != ARENA_ATOMIC_LOAD_;
    int fault = seen == NULL
                        || (operation & ~ARENA_ATOMIC_FETCH_XOR_) != 0
                        || (width != 4 && width != 8)
                    ? EINVAL
                    : arenap_access_bounds(segment, offset, width, width - 1,
                                           writes);
    int stored = 0;

    if (fault == 0)
        fault = arenap_access_enter(segment, 0);
    if (fault != 0)
        return arenap_access_fail(segment, offset, width, width - 1, fault);
    if (side_is_there(side_of(segment, offset), width))
        stored = atomic_do((char *)segment->addr + offset, width, operation,
                           value, seen);
    else
        fault = EIO;
    arenap_access_leave(segment, 0);
    return fault == 0 ? stored
                      : arenap_access_fail(segment, offset, width, 0, EIO);
}
