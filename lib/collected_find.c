/* collected_find.c: whose a collected block is, and how far it goes; see
 * collected.h. */

#include "config.h"

#include "auto.h"
#include "buffer.h"
#include "collected.h"
#include "collector.h"
#include "implicit.h"
#include "internal.h"

struct arena *
arenap_collected_arena(unsigned block_kind, void *base)
{
    struct arena *arena = base;
    uint64_t tag;

    switch (block_kind) {
    case BLOCK_CHUNK:
    case BLOCK_CHUNK_TRACED:
        return ((struct part *)base)->arena;
    case BLOCK_CONTROL:
        tag = atomic_load_explicit(&arena->owner, memory_order_acquire);
        return (tag & ARENA_TAG) != 0 ? arena : NULL;
    case BLOCK_IMPLICIT:
        tag = atomic_load_explicit(&arena->owner, memory_order_acquire);
        return (tag & ARENA_TAG) != 0 ? arena_implicit() : NULL;
    case BLOCK_BUFFER:
        tag = atomic_load_explicit(&arena->owner, memory_order_acquire);
        return (tag & BUFFER_IN_USE) != 0 ? arena_implicit() : NULL;
    case BLOCK_HEAP:
        return arena_implicit();
    default:
        return NULL;
    }
}

bool
arenap_collected_extent(enum block kind, void *base, size_t size,
                        const char *ptr, const char **start, const char **end)
{
    switch (kind) {
    case BLOCK_CONTROL:
    case BLOCK_CHUNK:
    case BLOCK_CHUNK_TRACED:
        if (!arenap_auto_extent(kind, base, size, start, end))
            return false;
        break;
    case BLOCK_IMPLICIT:
        if (!arenap_implicit_extent(base, start, end))
            return false;
        break;
    case BLOCK_HEAP:
        *start = base;
        *end = *start + size; /* as arena_usable_size says */
        break;
    default:
        return false;
    }
    return ptr >= *start && ptr <= *end;
}
