/* inquiry.c: what an arena is, and whose an address. */

#include "config.h"

#include <errno.h>

#include "auto.h"
#include "collected.h"
#include "collector.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "pagemap.h"
#include "thread.h"
#include "usage.h"

int
arenap_usable(const struct thread *self, const struct arena *arena)
{
    if (arena->kind == ARENA_CONFINED || arena->kind == ARENA_SHARED)
        return arenap_explicit_check(self, arena);
    if (arena->kind == ARENA_AUTO && !arenap_auto_is_alive(arena))
        return arenap_fail(ESTALE, "the arena is closed");
    return 0;
}

arena_kind_t
arena_kind(const arena_t *arena)
{
    return (arena_kind_t)arena->kind;
}

const char *
arena_name(const arena_t *arena)
{
    const char *name = NULL;

    if (arena == NULL || !arena_is_alive(arena))
        return "";
    if (arena->kind == ARENA_AUTO)
        return arenap_auto_name(arena);
    if (arena->kind == ARENA_CONFINED || arena->kind == ARENA_SHARED)
        name = arena->name;
    return name != NULL ? name : "";
}

size_t
arena_bytes(const arena_t *arena)
{
    if (arena == NULL || !arena_is_alive(arena))
        return 0;
    if (arena->kind == ARENA_AUTO)
        return arenap_auto_bytes(arena);
    if (arena->kind == ARENA_IMPLICIT)
        return arenap_usage_reserved(ARENA_IMPLICIT);
    return arenap_explicit_reserved(arena);
}

bool
arena_is_alive(const arena_t *arena)
{
    if (arena == NULL)
        return false;
    if (arena->kind == ARENA_AUTO)
        return arenap_auto_is_alive(arena);
    return (atomic_load_explicit(&arena->state, memory_order_acquire)
            & ARENA_OPEN)
               != 0
           && (arenap_tls.record == NULL
               || !arenap_explicit_is_dropping(arenap_tls.record, arena));
}

bool
arena_is_accessible(const arena_t *arena)
{
    return arena_is_alive(arena)
           && (arena->kind != ARENA_CONFINED
               || arena->owner_serial == arenap_tls.serial);
}

arena_t *
arena_of(const void *ptr)
{
    struct arena *arena = arenap_pagemap_get(ptr);
    size_t size;
    void *base;
    enum block kind;

    if (arena != NULL)
        return arena != &arenap_pagemap_cached ? arena : NULL;
    kind = arenap_collector_find(ptr, &base, &size);
    return kind == BLOCK_NONE ? NULL : arenap_collected_arena(kind, base);
}
