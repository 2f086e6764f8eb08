/* number.h: reading and writing numbers as layouts say, with range checks. */
#ifndef ARENA_LIB_NUMBER_H
#define ARENA_LIB_NUMBER_H

#include "layout.h"

/* Any integer of up to 64 bits, signed or not. */
struct number {
    uint64_t bits; /* two's complement */
    bool negative;
};

#define NUMBER_TEXT 32 /* bytes of a number or of a type's name */

/* Are both forms of a number of a size that there is? */
bool arenap_number_is_sound(const arena_layout_t *layout);

/* Are both forms of a number or of raw bytes the same bytes? */
bool arenap_number_is_same(const arena_layout_t *layout);

/* Does each number of one form fit the other?  And copy some of those. */
bool arenap_number_always_fits(const arena_layout_t *layout);
void arenap_number_copy(const arena_layout_t *layout, const char *src,
                        char *dst, size_t count);

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
