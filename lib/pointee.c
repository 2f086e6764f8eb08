/* pointee.c: how far memory goes that may be the library's. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "collected.h"
#include "collector.h"
#include "magazine.h"
#include "pagemap.h"
#include "pointee.h"

/* Of so many bytes, how many lie in a collected block.  0; or an errno. */
static inline int
collected_bytes(const char *src, size_t want, size_t *out)
{
    const char *start, *end;
    size_t size;
    void *base;
    enum block kind = arenap_collector_find(src, &base, &size);

    *out = want;
    if (kind == BLOCK_NONE)
        return 0;
    if (kind == BLOCK_HEAP && arenap_magazine_is_free(base))
        return ESTALE;
    if (kind == BLOCK_BUFFER)
        end = (char *)base + size; /* the bytes of a small one are in it */
    else if (!arenap_collected_extent(kind, base, size, src, &start, &end))
        end = src;
    if ((size_t)(end - src) < want)
        *out = (size_t)(end - src);
    return 0;
}

/* Of so many bytes, how many lie in the memory that src points into, if that
 * is the library's; else all.  0; or an errno. */
static inline int
known_bytes(const char *src, size_t want, size_t *out)
{
    struct arena *arena = arenap_pagemap_get(src);
    uintptr_t page = (uintptr_t)src & ~(ARENA_PAGE - 1);
    size_t bytes = ARENA_PAGE - (size_t)((uintptr_t)src - page);

    if (arena == NULL)
        return collected_bytes(src, want, out);
    if (arena == &arenap_pagemap_cached)
        return ESTALE;
    if (!arena_is_accessible(arena))
        return arena_is_alive(arena) ? EPERM : ESTALE;
    while (bytes < want
           && arenap_pagemap_get((void *)(page += ARENA_PAGE)) == arena)
        bytes += ARENA_PAGE;
    *out = bytes < want ? bytes : want;
    return 0;
}

int
arenap_pointee_readable(const char *src, size_t size)
{
    size_t bytes;
    int error = known_bytes(src, size, &bytes);

    return error != 0 || bytes >= size ? error : ERANGE;
}

int
arenap_pointee_string(const char *src, size_t *length)
{
    size_t want = 256, bytes;

    for (;;) {
        int error = known_bytes(src, want, &bytes);

        if (error != 0)
            return error;
        *length = strnlen(src, bytes);
        if (*length < bytes)
            return 0;
        if (bytes < want || want > PTRDIFF_MAX / 2)
            return ERANGE;
        want *= 2;
    }
}
