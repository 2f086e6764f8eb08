/* number.c: numbers of all sizes, signs and orders. */

#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "number.h"

/* --- Bytes --- */

/* Are the bytes of this form not in the machine's order? */
static inline bool
is_swapped(const arena_layout_t *layout, arena_form_t form)
{
    return form == ARENA_FORM_DATA && layout->order != ARENA_NATIVE_ENDIAN;
}

/* Flags are bits: the highest one is no sign. */
static inline bool
is_signed(const arena_layout_t *layout, arena_form_t form)
{
    return layout->kind != ARENA_LAYOUT_FLAGS
           && (layout->flags
               & (form == ARENA_FORM_DATA ? ARENA_LAYOUT_SIGNED_DATA
                                          : ARENA_LAYOUT_SIGNED_VALUE))
                  != 0;
}

static inline uint64_t
bytes_load(const char *src, size_t size, bool swapped)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;

    switch (size) {
    case 1:
        return (unsigned char)*src;
    case 2:
        memcpy(&two, src, sizeof two);
        return swapped ? __builtin_bswap16(two) : two;
    case 4:
        memcpy(&four, src, sizeof four);
        return swapped ? __builtin_bswap32(four) : four;
    default:
        memcpy(&eight, src, sizeof eight);
        return swapped ? __builtin_bswap64(eight) : eight;
    }
}

static inline void
bytes_store(char *dst, size_t size, bool swapped, uint64_t bits)
{
    uint16_t two = (uint16_t)bits;
    uint32_t four = (uint32_t)bits;

    switch (size) {
    case 1:
        *dst = (char)bits;
        break;
    case 2:
        two = swapped ? __builtin_bswap16(two) : two;
        memcpy(dst, &two, sizeof two);
        break;
    case 4:
        four = swapped ? __builtin_bswap32(four) : four;
        memcpy(dst, &four, sizeof four);
        break;
    default:
        bits = swapped ? __builtin_bswap64(bits) : bits;
        memcpy(dst, &bits, sizeof bits);
    }
}

/* --- Sorts of numbers --- */

static bool
size_is_sound(unsigned kind, size_t size)
{
    if (kind == ARENA_LAYOUT_BOOL)
        return size == 1;
    if (kind == ARENA_LAYOUT_FLOAT)
        return size == sizeof(float) || size == sizeof(double);
    return size <= 8 && arenap_is_pow2(size);
}

bool
arenap_number_is_sound(const arena_layout_t *layout)
{
    return size_is_sound(layout->kind, layout->size)
           && size_is_sound(layout->kind, layout->value_size);
}

/* Are the bytes of the two forms in opposite orders? */
static bool
is_reversed(const arena_layout_t *layout)
{
    return layout->kind != ARENA_LAYOUT_RAW && layout->size > 1
           && is_swapped(layout, ARENA_FORM_DATA);
}

bool
arenap_number_is_same(const arena_layout_t *layout)
{
    return layout->size == layout->value_size && !is_reversed(layout)
           && (layout->kind == ARENA_LAYOUT_RAW
               || (arenap_number_is_sound(layout)
                   && is_signed(layout, ARENA_FORM_DATA)
                          == is_signed(layout, ARENA_FORM_VALUE)));
}

void
arenap_number_copy(const arena_layout_t *layout, const char *src, char *dst,
                   size_t count)
{
    size_t size = layout->size;

    if (!is_reversed(layout)) {
        if (count != 0)
            memcpy(dst, src, count * size);
    } else if (size == 2) {
        for (size_t i = 0; i < count; i++)
            bytes_store(dst + i * 2, 2, true,
                        bytes_load(src + i * 2, 2, false));
    } else if (size == 4) {
        for (size_t i = 0; i < count; i++)
            bytes_store(dst + i * 4, 4, true,
                        bytes_load(src + i * 4, 4, false));
    } else {
        for (size_t i = 0; i < count; i++)
            bytes_store(dst + i * 8, 8, true,
                        bytes_load(src + i * 8, 8, false));
    }
}

/* --- Integers --- */

struct number
arenap_number_load(const arena_layout_t *layout, arena_form_t form,
                   const char *src)
{
    size_t size = arenap_layout_size(layout, form);
    struct number number = {
        bytes_load(src, size, is_swapped(layout, form)), false};
    uint64_t sign = (uint64_t)1 << (size * 8 - 1);

    if (is_signed(layout, form) && (number.bits & sign) != 0) {
        number.bits |= ~(sign - 1);
        number.negative = true;
    }
    return number;
}

/* Does it fit so many bytes? */
static bool
number_fits(struct number number, size_t size, bool with_sign)
{
    uint64_t sign = (uint64_t)1 << (size * 8 - 1);

    if (number.negative)
        return with_sign && number.bits >= ~(sign - 1);
    return number.bits <= (with_sign ? sign - 1 : sign - 1 + sign);
}

bool
arenap_number_store(const arena_layout_t *layout, arena_form_t form,
                    struct number number, char *dst)
{
    size_t size = arenap_layout_size(layout, form);

    if (!number_fits(number, size, is_signed(layout, form)))
        return false;
    if (dst != NULL)
        bytes_store(dst, size, is_swapped(layout, form), number.bits);
    return true;
}

/* --- Floating numbers --- */

static double
float_load(const arena_layout_t *layout, arena_form_t form, const char *src)
{
    size_t size = arenap_layout_size(layout, form);
    uint64_t bits = bytes_load(src, size, is_swapped(layout, form));
    uint32_t half = (uint32_t)bits;
    double wide;
    float narrow;

    if (size == sizeof wide) {
        memcpy(&wide, &bits, sizeof wide);
        return wide;
    }
    memcpy(&narrow, &half, sizeof narrow);
    return (double)narrow;
}

/* One of the other size. */
static uint64_t
float_bits(double number, size_t size)
{
    float narrow = (float)number;
    uint64_t bits = 0;
    uint32_t half;

    if (size == sizeof number) {
        memcpy(&bits, &number, sizeof number);
        return bits;
    }
    memcpy(&half, &narrow, sizeof half);
    return half;
}

bool
arenap_number_float(const arena_layout_t *layout, arena_form_t from,
                    const char *src, char *dst, double *out)
{
    arena_form_t to =
        from == ARENA_FORM_DATA ? ARENA_FORM_VALUE : ARENA_FORM_DATA;
    size_t size = arenap_layout_size(layout, to);
    uint64_t bits;

    if (size == arenap_layout_size(layout, from)) {
        /* As they are: whatever is no number stays just that one. */
        bits = bytes_load(src, size, is_swapped(layout, from));
    } else {
        *out = float_load(layout, from, src);
        if (size == sizeof(float) && isfinite(*out)
            && isinf((float)*out))
            return false;
        bits = float_bits(*out, size);
    }
    if (dst != NULL)
        bytes_store(dst, size, is_swapped(layout, to), bits);
    return true;
}

/* --- Text --- */

void
arenap_number_text(struct number number, char text[NUMBER_TEXT])
{
    if (number.negative)
        snprintf(text, NUMBER_TEXT, "%" PRId64, (int64_t)number.bits);
    else
        snprintf(text, NUMBER_TEXT, "%" PRIu64, number.bits);
}

void
arenap_number_type(const arena_layout_t *layout, arena_form_t form,
                   char text[NUMBER_TEXT])
{
    char sort = is_signed(layout, form) ? 'i' : 'u';

    snprintf(text, NUMBER_TEXT, "%c%zu",
             layout->kind == ARENA_LAYOUT_FLOAT ? 'f' : sort,
             arenap_layout_size(layout, form) * 8);
}
