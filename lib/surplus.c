/* surplus.c: see surplus.h. */

#include "config.h"

#include "collector.h"
#include "maps.h"
#include "os.h"
#include "surplus.h"

/* Fewer bytes are not worth looking for. */
#define SURPLUS_LEAST ((size_t)4 << 20)

/* What is live grows soon by this part of it, for which pages are kept. */
#define SURPLUS_KEPT 4

static void
range_give_back(uintptr_t lo, uintptr_t hi, void *context)
{
    size_t *keep = context;

    while (lo < hi) {
        uintptr_t page = lo;
        size_t size, kept;

        size = arenap_collector_free_at(page, &lo);
        if (size > hi - page)
            size = hi - page;
        kept = size < *keep ? size : *keep;
        *keep -= kept;
        if (size != kept)
            arenap_os_discard((char *)page + kept, size - kept);
    }
}

void
arenap_surplus_give_back(size_t live, size_t unused)
{
    size_t keep = live / SURPLUS_KEPT;

    if (unused >= keep + SURPLUS_LEAST)
        arenap_maps_collector_each(range_give_back, &keep);
}
