/*
 * fuzz_segment.c: operations on segments against a model: for libFuzzer.
 *
 * The input is a program.  Segments are parts of arenas' blocks; the model
 * knows of each which block, where, and whether it may be written to; and of
 * each block whether it lives, and its bytes.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arena/segment.h>

#define BLOCKS 100
#define SEGMENTS 8
#define ROOM 300

struct block {
    arena_t *arena;
    bool alive, after_mark;
    unsigned char bytes[ROOM];
};

struct model {
    arena_segment_t segment;
    struct block *block;
    size_t offset;
    bool read_only;
};

static struct block blocks[BLOCKS];
static size_t made;
static struct model models[SEGMENTS];
static arena_t *confined, *shared;
static arena_mark_t mark;
static bool marked;
static const uint8_t *input, *input_end;

static size_t
next(void)
{
    return input < input_end ? *input++ : 0;
}

/* Mostly in bounds, sometimes far from them. */
static size_t
next_number(void)
{
    size_t n = next();

    switch (n) {
    case 255:
        return SIZE_MAX - next();
    case 254:
        return (size_t)1 << (next() % 64);
    case 253:
        return n + next();
    default:
        return n % 64;
    }
}

#define EXPECT(condition)                                                     \
    do {                                                                      \
        if (!(condition))                                                     \
            abort();                                                          \
    } while (0)

static bool
is_alive(const struct model *m)
{
    return m->block != NULL && m->block->alive;
}

/* What an access must answer: 0 or an errno. */
static int
expected(const struct model *m, size_t offset, size_t n, size_t align,
         bool writes)
{
    if (m->block == NULL)
        return EINVAL;
    if (writes && m->read_only)
        return EACCES;
    if (n > m->segment.size || offset > m->segment.size - n)
        return ERANGE;
    if (((uintptr_t)m->segment.addr + offset) % align != 0)
        return EFAULT;
    return is_alive(m) ? 0 : ESTALE;
}

static void
check(int result, int error)
{
    EXPECT(error == 0 ? result == 0 : result == -1 && errno == error);
}

static void
blocks_die(const arena_t *arena, bool after_mark)
{
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].arena == arena
            && (!after_mark || blocks[i].after_mark))
            blocks[i].alive = false;
}

/* --- Operations --- */

static void
make(struct model *m)
{
    size_t size = next() % ROOM;
    arena_t *arena = next() % 2 == 0 ? confined : shared;

    if (made == BLOCKS)
        return;
    EXPECT(arena_segment(arena, size, (size_t)1 << next() % 7, &m->segment)
           == 0);
    blocks[made] = (struct block){.arena = arena,
                                  .alive = true,
                                  .after_mark =
                                      marked && arena == confined};
    *m = (struct model){m->segment, &blocks[made++], 0, false};
}

static void
slice(struct model *m, struct model *out)
{
    size_t offset = next_number(), size = next_number();
    int error = expected(m, offset, size, 1, false);
    arena_segment_t part;

    check(arena_segment_slice(&m->segment, offset, size, &part),
          error == ESTALE ? 0 : error);
    if (error != 0 && error != ESTALE)
        return;
    *out = *m;
    out->segment = part;
    out->offset += offset;
}

static void
make_read_only(struct model *m)
{
    if (arena_segment_read_only(&m->segment, &m->segment) == 0)
        m->read_only = true;
}

static unsigned char *
bytes_of(const struct model *m, size_t offset)
{
    return m->block->bytes + m->offset + offset;
}

#define NUMBER(name, type)                                                    \
    static void number_##name(struct model *m)                                \
    {                                                                         \
        size_t place = next_number(), at, way = next() % 4;                   \
        bool overflows = __builtin_mul_overflow(place, sizeof(type), &at);    \
        type value = (type)(place * 0x0101010101010101), got = 0;             \
        int error;                                                            \
                                                                              \
        if (way % 2 == 0)                                                     \
            error = expected(m, place, sizeof value, sizeof value,            \
                             way == 0);                                       \
        else                                                                  \
            error = overflows ? expected(m, SIZE_MAX, 1, 1, way == 1)         \
                              : expected(m, at, sizeof value, sizeof value,   \
                                         way == 1);                           \
        at = way % 2 == 0 ? place : at;                                       \
        switch (way) {                                                        \
        case 0:                                                               \
            check(arena_set_##name(&m->segment, place, value), error);        \
            break;                                                            \
        case 1:                                                               \
            check(arena_set_##name##_at(&m->segment, place, value), error);   \
            break;                                                            \
        case 2:                                                               \
            check(arena_get_##name(&m->segment, place, &got), error);         \
            break;                                                            \
        default:                                                              \
            check(arena_get_##name##_at(&m->segment, place, &got), error);    \
            break;                                                            \
        }                                                                     \
        if (error == 0 && way < 2)                                            \
            memcpy(bytes_of(m, at), &value, sizeof value);                    \
        else if (error == 0)                                                  \
            EXPECT(memcmp(bytes_of(m, at), &got, sizeof got) == 0);           \
    }

NUMBER(u8, uint8_t)
NUMBER(u16, uint16_t)
NUMBER(u32, uint32_t)
NUMBER(u64, uint64_t)

/* The first of two faults, of copies. */
static int
first_of(int a, int b)
{
    static const int order[] = {EINVAL, EACCES, ERANGE, ESTALE, 0};
    size_t first = 0;

    while (order[first] != a && order[first] != b)
        first++;
    return order[first];
}

static void
copy(struct model *to, struct model *from)
{
    size_t to_offset = next_number(), from_offset = next_number(),
           n = next_number();
    int error = first_of(expected(to, to_offset, n, 1, true),
                         expected(from, from_offset, n, 1, false));

    check(arena_segment_copy(&to->segment, to_offset, &from->segment,
                             from_offset, n),
          error);
    if (error == 0)
        memmove(bytes_of(to, to_offset), bytes_of(from, from_offset), n);
}

/* Elements that are turned around on the way, whatever overlaps. */
static void
copy_turned(struct model *to, struct model *from)
{
    size_t to_offset = next_number(), from_offset = next_number(),
           count = next_number(), element = (size_t)1 << next() % 4, n;
    unsigned char turned[ROOM];
    int error;

    if (__builtin_mul_overflow(count, element, &n))
        n = SIZE_MAX;
    error = first_of(expected(to, to_offset, n, 1, true),
                     expected(from, from_offset, n, 1, false));
    check(arena_segment_copy_array(&to->segment, to_offset, ARENA_BIG_ENDIAN,
                                   &from->segment, from_offset,
                                   ARENA_LITTLE_ENDIAN, count, element),
          error);
    if (error != 0)
        return;
    for (size_t i = 0; i < n; i++)
        turned[i] = bytes_of(from, from_offset)[i ^ (element - 1)];
    memcpy(bytes_of(to, to_offset), turned, n);
}

static void
mismatch(struct model *a, struct model *b)
{
    int error = first_of(expected(a, 0, 0, 1, false),
                         expected(b, 0, 0, 1, false));
    ptrdiff_t found = arena_segment_mismatch(&a->segment, &b->segment);
    size_t n = a->segment.size < b->segment.size ? a->segment.size
                                                 : b->segment.size;
    size_t same = 0;

    EXPECT((error != 0) == (found == -2));
    EXPECT(error == 0 || errno == error);
    if (error != 0)
        return;
    while (same < n && *bytes_of(a, same) == *bytes_of(b, same))
        same++;
    EXPECT(found
           == (same == n && a->segment.size == b->segment.size
                   ? -1
                   : (ptrdiff_t)same));
}

/* Through a buffer over the segment. */
static void
buffer(struct model *m)
{
    arena_buffer_t *over = arena_buffer_of_segment(&m->segment);
    size_t index = next_number(), n = next() % 80;
    unsigned char bytes[80];
    bool puts = next() % 2 == 0;
    int error = expected(m, 0, 0, 1, false);

    EXPECT((over == NULL) == (error != 0));
    EXPECT(error == 0 || errno == error);
    if (over == NULL)
        return;
    error = expected(m, index, n, 1, puts);
    memset(bytes, (int)(index + n), sizeof bytes);
    check(puts ? arena_buffer_put_at(over, index, bytes, n)
               : arena_buffer_get_at(over, index, bytes, n),
          error);
    if (error == 0 && puts)
        memcpy(bytes_of(m, index), bytes, n);
    else if (error == 0)
        EXPECT(memcmp(bytes_of(m, index), bytes, n) == 0);
}

static void
fill(struct model *m)
{
    uint8_t value = (uint8_t)next();
    int error = expected(m, 0, m->segment.size, 1, true);

    check(arena_segment_fill(&m->segment, value), error);
    if (error == 0)
        memset(bytes_of(m, 0), value, m->segment.size);
}

static void
string(struct model *m)
{
    char text[80];
    size_t offset = next_number(), length = next() % 79, found = 0;
    int error = expected(m, offset, length + 1, 1, true);
    const unsigned char *end = NULL;

    memset(text, 'a', length);
    text[length] = '\0';
    check(arena_set_string(&m->segment, offset, text), error);
    if (error == 0)
        memcpy(bytes_of(m, offset), text, length + 1);
    error = expected(m, offset, 0, 1, false);
    if (error == 0) {
        end = memchr(bytes_of(m, offset), 0, m->segment.size - offset);
        error = end == NULL ? ERANGE : 0;
    }
    check(arena_string_length(&m->segment, offset, 1, &found), error);
    if (error == 0)
        EXPECT(bytes_of(m, offset) + found == end);
}

static void
end_some(void)
{
    switch (next() % 5) {
    case 0:
        EXPECT(arena_close(confined) == 0);
        blocks_die(confined, false);
        confined = arena_confined();
        marked = false;
        break;
    case 1:
        EXPECT(arena_reset(shared) == 0);
        blocks_die(shared, false);
        break;
    case 2:
        EXPECT(arena_close(shared) == 0);
        blocks_die(shared, false);
        shared = arena_shared();
        break;
    case 3:
        if (marked)
            break;
        EXPECT(arena_mark(confined, &mark) == 0);
        marked = true;
        break;
    default:
        if (!marked)
            break;
        EXPECT(arena_rewind(confined, mark) == 0);
        blocks_die(confined, true);
        break;
    }
}

static void
step(void)
{
    struct model *m = &models[next() % SEGMENTS];

    switch (next() % 14) {
    case 0:
        make(m);
        break;
    case 1:
        slice(m, &models[next() % SEGMENTS]);
        break;
    case 2:
        make_read_only(m);
        break;
    case 3:
        number_u8(m);
        break;
    case 4:
        number_u16(m);
        break;
    case 5:
        number_u32(m);
        break;
    case 6:
        number_u64(m);
        break;
    case 7:
        copy(m, &models[next() % SEGMENTS]);
        break;
    case 8:
        fill(m);
        break;
    case 9:
        string(m);
        break;
    case 10:
        copy_turned(m, &models[next() % SEGMENTS]);
        break;
    case 11:
        mismatch(m, &models[next() % SEGMENTS]);
        break;
    case 12:
        buffer(m);
        break;
    default:
        end_some();
        break;
    }
}

/* What is alive holds what the model says. */
static void
compare_all(void)
{
    for (size_t i = 0; i < SEGMENTS; i++) {
        const struct model *m = &models[i];
        unsigned char got[ROOM];

        EXPECT(arena_segment_is_alive(&m->segment) == is_alive(m));
        if (!is_alive(m))
            continue;
        EXPECT(arena_get_bytes(&m->segment, 0, got, m->segment.size) == 0);
        EXPECT(memcmp(got, bytes_of(m, 0), m->segment.size) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    input_end = data + size;
    memset(models, 0, sizeof models);
    memset(blocks, 0, sizeof blocks);
    made = 0;
    marked = false;
    confined = arena_confined();
    shared = arena_shared();
    while (input < input_end)
        step();
    compare_all();
    EXPECT(arena_close(confined) == 0);
    EXPECT(arena_close(shared) == 0);
    return 0;
}
