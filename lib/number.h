/* number.h: reading and writing numbers as layouts say, with range checks. */
#ifndef ARENA_LIB_NUMBER_H
#define ARENA_LIB_NUMBER_H

#include <string.h>

#include "layout.h"

/* Any integer of up to 64 bits, signed or not. */
struct number {
    uint64_t bits; /* two's complement */
    bool negative;
};

#define NUMBER_TEXT 32 /* bytes of a number or of a type's name */

/* Is it the number of a table?  There, one over INT64_MAX is written as the
 * negative one of the same bits. */
static inline bool
arenap_number_is(struct number number, int64_t value)
{
    return number.bits == (uint64_t)value;
}

/* Are both forms of a number of a size that there is? */
bool arenap_number_is_sound(const arena_layout_t *layout);

/* Are both forms of a number or of raw bytes the same bytes? */
bool arenap_number_is_same(const arena_layout_t *layout);

/* Are both forms numbers of one size and sort, or raw bytes, so that all of
 * them can be copied without a look at each? */
static inline bool
arenap_number_is_plain(const arena_layout_t *layout)
{
    const unsigned integers = 1u << 1 | 1u << 2 | 1u << 4 | 1u << 8;
    const unsigned floats = 1u << sizeof(float) | 1u << sizeof(double);

    if (layout->size != layout->value_size)
        return false;
    if (layout->kind == ARENA_LAYOUT_INT)
        return layout->size <= 8 && (integers >> layout->size & 1) != 0
               && ((layout->flags & ARENA_LAYOUT_SIGNED_DATA) != 0)
                      == ((layout->flags & ARENA_LAYOUT_SIGNED_VALUE) != 0);
    if (layout->kind == ARENA_LAYOUT_FLOAT)
        return layout->size <= 8 && (floats >> layout->size & 1) != 0;
    return layout->kind == ARENA_LAYOUT_RAW;
}

/* Copy some of those. */
void arenap_number_copy(const arena_layout_t *layout, const char *src,
                        char *dst, size_t count);

/* Copy one of those. */
static inline void
arenap_number_copy_one(const arena_layout_t *layout, const char *src,
                       char *dst)
{
    if (layout->order != ARENA_NATIVE_ENDIAN)
        arenap_number_copy(layout, src, dst, 1);
    else if (layout->size == 8)
        memcpy(dst, src, 8);
    else if (layout->size == 4)
        memcpy(dst, src, 4);
    else
        arenap_number_copy(layout, src, dst, 1);
}

/* Read an integer. */
struct number arenap_number_load(const arena_layout_t *layout,
                                 arena_form_t form, const char *src);

/* Write it, unless dst is NULL.  False: it does not fit. */
bool arenap_number_store(const arena_layout_t *layout, arena_form_t form,
                         struct number number, char *dst);

/* Read a floating number in one form and write it in the other, unless dst is
 * NULL.  False: it does not fit; *out is what it is. */
bool arenap_number_float(const arena_layout_t *layout, arena_form_t from,
                         const char *src, char *dst, double *out);

/* For sentences. */
void arenap_number_text(struct number number, char text[NUMBER_TEXT]);
void arenap_number_type(const arena_layout_t *layout, arena_form_t form,
                        char text[NUMBER_TEXT]);

#endif
