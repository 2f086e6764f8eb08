/* sizeclass.c: see sizeclass.h. */

#include "config.h"

#include "sizeclass.h"

#define SMALL(bytes)                                                          \
    {                                                                         \
        (uint32_t)((((uint64_t)1 << 32) + (bytes) - 1) / (bytes)), bytes,     \
            4096 - (bytes)                                                    \
    }
#define SMALL_4(bytes)                                                        \
    SMALL(bytes), SMALL((bytes) + 16), SMALL((bytes) + 32),                   \
        SMALL((bytes) + 48)
#define FINE(tiles, pages)                                                    \
    {                                                                         \
        0, (tiles) * 64, pages                                                \
    }
#define TILES(tiles, pages)                                                   \
    {                                                                         \
        0, (tiles) * 512, pages                                               \
    }
#define PAGES(pages)                                                          \
    {                                                                         \
        1, (pages) * 4096, 0                                                  \
    }

const struct sizeclass arenap_sizeclass[SIZECLASSES] = {
    {0, 0, 0},    SMALL_4(16),  SMALL_4(80),  SMALL_4(144), SMALL_4(208),
    SMALL_4(272), SMALL_4(336), SMALL_4(400), SMALL_4(464), SMALL(576),
    SMALL(672),   SMALL(816),   SMALL(1024),  SMALL(1360),  SMALL(2048),
    /* 1088, 1216, 1472, 1600, 1792 */
    FINE(17, 4),  FINE(19, 3),  FINE(23, 4),  FINE(25, 2),  FINE(28, 7),
    TILES(5, 5),  TILES(6, 3),  TILES(7, 7),  PAGES(1),     TILES(9, 9),
    TILES(10, 5), TILES(12, 3), TILES(14, 7), PAGES(2),     TILES(18, 9),
    TILES(20, 5), TILES(22, 11), PAGES(3),    PAGES(4),     PAGES(5),
    PAGES(6),     PAGES(7),     PAGES(8),
};

#define TIMES_4(class) class, class, class, class
#define TIMES_8(class) TIMES_4(class), TIMES_4(class)

/* By granules, rounded up; nothing is served like one byte. */
_Atomic uint8_t
    arenap_sizeclass_small[SIZECLASS_SMALL_LAST / ARENA_GRANULE + 1] = {
        1,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
        17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
        /* 33 to 36, 42, 51, 64, 85, 128 */
        TIMES_4(33), TIMES_4(34), 34, 34, TIMES_8(35), 35, TIMES_8(36),
        TIMES_4(36), 36, TIMES_8(37), TIMES_8(37), TIMES_4(37), 37,
        TIMES_8(38), TIMES_8(38), TIMES_8(38), TIMES_8(38), TIMES_8(38), 38,
        38, 38,
};

/* By steps, rounded up. */
const uint8_t arenap_sizeclass_large[SIZECLASS_LAST / SIZECLASS_STEP + 1] = {
    0, 0, 0, 0, 0,
    /* 5 to 7, 8, 9, 10, 12, 14, 16, 18, 20, 22, 24 */
    44, 45, 46, 47, 48, 49, 50, 50, 51, 51, 52, 52, 53, 53, 54, 54, 55, 55,
    56, 56,
    /* 32 to 64 */
    TIMES_8(57), TIMES_8(58), TIMES_8(59), TIMES_8(60), TIMES_8(61),
};

unsigned
arenap_sizeclass_finer(size_t size)
{
    unsigned fine = SIZECLASS_SMALL + 1;

    if (size <= SIZECLASS_SMALL_LAST / 2 || size > SIZECLASS_SMALL_LAST)
        return SIZECLASS_NONE;
    while (arenap_sizeclass_is_fine(fine)
           && arenap_sizeclass[fine].bytes < size)
        fine++;
    return arenap_sizeclass_is_fine(fine)
                   && arenap_sizeclass[fine].bytes
                          < arenap_sizeclass[arenap_sizeclass_for(size)].bytes
               ? fine
               : SIZECLASS_NONE;
}

void
arenap_sizeclass_use(unsigned fine)
{
    for (size_t size = ARENA_GRANULE; size <= arenap_sizeclass[fine].bytes;
         size += ARENA_GRANULE)
        if (arenap_sizeclass_finer(size) == fine)
            atomic_store_explicit(
                &arenap_sizeclass_small[size / ARENA_GRANULE], (uint8_t)fine,
                memory_order_relaxed);
}

/* The smallest fine class that is large enough, and smaller than another that
 * will do; or that one. */
static unsigned
aligned_finer(size_t size, size_t align, unsigned other)
{
    if (size <= SIZECLASS_SMALL_LAST / 2 || size > SIZECLASS_SMALL_LAST)
        return other;
    for (unsigned fine = SIZECLASS_SMALL + 1; arenap_sizeclass_is_fine(fine);
         fine++) {
        size_t bytes = arenap_sizeclass[fine].bytes;

        if (bytes >= size && bytes % align == 0)
            return bytes < arenap_sizeclass[other].bytes ? fine : other;
    }
    return other;
}

unsigned
arenap_sizeclass_aligned(size_t size, size_t align)
{
    unsigned class;

    if (size > SIZECLASS_LAST || align > ARENA_PAGE)
        return SIZECLASS_NONE;
    class = arenap_sizeclass_for(size);
    if (arenap_sizeclass_is_fine(class))
        class = SIZECLASS_SMALL;
    /* None of the fine ones is aligned to more than half a page. */
    while (arenap_sizeclass[class].bytes % align != 0)
        class++;
    return aligned_finer(size, align, class);
}
