/*
 * sizeclass.h: the sizes that heap blocks are kept at hand in.
 *
 * The collector fills a page with blocks of one size, so the sizes are those
 * that leave little of a page over: every multiple of 16 up to 512, and then
 * what a page can be divided into; from 2048 on tiles (slab.h) and whole
 * pages.  Between 1024 and 2048 a page has room for three or two: there are
 * fine classes between these, of tiles, which are used when a program has many
 * blocks of such a size.
 */
#ifndef ARENA_LIB_SIZECLASS_H
#define ARENA_LIB_SIZECLASS_H

#include "internal.h"

#define SIZECLASS_NONE 0u   /* no class: too large, or another size */
#define SIZECLASS_SMALL 38u /* classes of less than a page */
#define SIZECLASS_FINE 5u   /* the fine ones; tiled, like some of: */
#define SIZECLASS_LARGE 18u /* the others */
#define SIZECLASSES (1 + SIZECLASS_SMALL + SIZECLASS_FINE + SIZECLASS_LARGE)

#define SIZECLASS_SMALL_LAST ((size_t)2048)
#define SIZECLASS_STEP ((size_t)512) /* of those that are larger */
#define SIZECLASS_LAST (8 * ARENA_PAGE)

struct sizeclass {
    uint32_t inverse; /* 2^32 / bytes, rounded up; whole pages: 1; tiles: 0,
                       * as they are not told by where in a page they begin */
    uint16_t bytes;
    uint16_t last; /* where in a page a block can begin at the latest; tiles:
                    * how many pages blocks of the class divide, with no rest
                    * or one of some tiles */
};

extern ARENA_HIDDEN const struct sizeclass arenap_sizeclass[SIZECLASSES];
extern ARENA_HIDDEN _Atomic uint8_t
    arenap_sizeclass_small[SIZECLASS_SMALL_LAST / ARENA_GRANULE + 1];
extern ARENA_HIDDEN const uint8_t
    arenap_sizeclass_large[SIZECLASS_LAST / SIZECLASS_STEP + 1];

/* The class for a size up to SIZECLASS_LAST. */
static inline unsigned
arenap_sizeclass_for(size_t size)
{
    if (ARENA_LIKELY(size <= SIZECLASS_SMALL_LAST))
        return atomic_load_explicit(
            &arenap_sizeclass_small[(size + ARENA_GRANULE - 1)
                                    / ARENA_GRANULE],
            memory_order_relaxed);
    return arenap_sizeclass_large[(size + SIZECLASS_STEP - 1)
                                  / SIZECLASS_STEP];
}

/* The smallest fine class that is large enough, if it is smaller than that for
 * the size; or SIZECLASS_NONE. */
unsigned arenap_sizeclass_finer(size_t size);

/* From now on a fine class is the one for its sizes. */
void arenap_sizeclass_use(unsigned fine);

/* The class whose blocks have just that size, or SIZECLASS_NONE. */
static inline unsigned
arenap_sizeclass_exact(size_t size)
{
    unsigned class = SIZECLASS_NONE;

    if (size <= SIZECLASS_LAST)
        class = arenap_sizeclass_for(size);
    if (ARENA_UNLIKELY(arenap_sizeclass[class].bytes != size))
        class = arenap_sizeclass_finer(size);
    return arenap_sizeclass[class].bytes == size ? class : SIZECLASS_NONE;
}

/* Does a block of the class begin there?  None of SIZECLASS_NONE does.  Blocks
 * follow each other from the beginning of a page.  (A multiple of bytes times
 * the inverse has a fraction of less than the inverse: D. Lemire and others,
 * "Faster remainder by direct computation", 2019.) */
static inline bool
arenap_sizeclass_begins(unsigned class, uintptr_t ptr)
{
    uint32_t offset = (uint32_t)(ptr & (ARENA_PAGE - 1));

    return offset * arenap_sizeclass[class].inverse
               < arenap_sizeclass[class].inverse
           && offset <= arenap_sizeclass[class].last;
}

static inline bool
arenap_sizeclass_is_fine(unsigned class)
{
    return class - SIZECLASS_SMALL - 1 < SIZECLASS_FINE;
}

/* Do its blocks consist of tiles? */
static inline bool
arenap_sizeclass_is_tiled(unsigned class)
{
    return class > SIZECLASS_SMALL && arenap_sizeclass[class].inverse == 0;
}

/* The smallest class of a size whose blocks are all aligned so, whether it is
 * in use if it is a fine one; or SIZECLASS_NONE.  The alignment is a power of
 * two. */
unsigned arenap_sizeclass_aligned(size_t size, size_t align);

#endif
