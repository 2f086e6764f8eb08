/* segment.c: making segments, parts and views of them; see arena/segment.h. */

#include "config.h"

#include <errno.h>
#include <stdint.h>

#include "access.h"
#include "buffer.h"
#include "cell.h"
#include "collected.h"
#include "collector.h"
#include "error.h"
#include "explicit.h"
#include "handshake.h"
#include "internal.h"
#include "magazine.h"
#include "mapping.h"
#include "pagemap.h"
#include "segment.h"
#include "sync.h"
#include "thread.h"

_Static_assert(_Alignof(struct arena) > ASKS_BITS,
               "an arena's address and the bits go into one word");

/* --- Of an arena --- */

int
arenap_segment_begin(struct thread *self, struct arena *arena,
                     struct mark *mark, arena_segment_t *out)
{
    struct cell *cell;

    *out = (arena_segment_t){.arena = arena};
    out->live = (const uint64_t *)(const void *)&arena->epoch;
    if (arena->kind == ARENA_CONFINED) {
        out->owner = arenap_tls.serial;
        out->confined = UINT64_MAX;
    } else if (arena->kind == ARENA_SHARED) {
        out->asks = (uintptr_t)arena;
    }
    if (mark != NULL) {
        cell = arenap_cell_of(self, mark);
        if (cell == NULL)
            return arenap_fail_system(sizeof *cell);
        out->live = &cell->epoch;
    }
    out->epoch = __atomic_load_n(out->live, __ATOMIC_ACQUIRE);
    return 0;
}

bool
arenap_segment_hold(const arena_segment_t *segment)
{
    return segment->arena->kind != ARENA_SHARED
           || arenap_handshake_expect(segment->arena, segment->epoch);
}

/* The newest mark, of an arena that the calling thread may use. */
static struct mark *
newest_mark(const struct arena *arena)
{
    return arena->kind == ARENA_CONFINED ? arena->marks : NULL;
}

int
arena_segment_make_(arena_t *arena, size_t size, size_t align,
                    arena_segment_t *out)
{
    struct thread *self = arenap_thread_self();
    arena_segment_t made;

    if (arena == NULL || out == NULL)
        return arenap_fail(EINVAL, "no arena, or no place for the segment");
    if (self == NULL)
        return arenap_fail_system(sizeof *self);
    if (!arenap_is_pow2(align))
        return arenap_fail(EINVAL, "an alignment of %zu is not a power of "
                                   "two",
                           align);
    if (arenap_usable(self, arena) != 0)
        return -1;
    do {
        if (arenap_segment_begin(self, arena, newest_mark(arena), &made) != 0)
            return -1;
        made.addr = arena_alloc_aligned(arena, size, align);
        if (made.addr == NULL)
            return -1;
    } while (!arenap_segment_hold(&made));
    made.size = size;
    *out = made;
    return 0;
}

/* --- Of a pointer --- */

static int
fail_no_block(const void *ptr)
{
    return arenap_fail(EINVAL, "%p leads to no block of an arena", ptr);
}

static void
segment_set(arena_segment_t *out, const char *ptr, const char *end)
{
    out->addr = (void *)(uintptr_t)ptr;
    out->size = (size_t)(end - ptr);
}

/* In a chunk of an explicit arena; its owner, or under its lock. */
static int
of_chunk(struct thread *self, struct arena *arena, const char *ptr,
         arena_segment_t *out)
{
    struct extent extent;

    if (arena->kind != ARENA_GLOBAL
        && arenap_explicit_check(self, arena) != 0)
        return errno == EPERM ? -1 : fail_no_block(ptr);
    if (!arenap_explicit_extent(arena, ptr, &extent))
        return fail_no_block(ptr);
    if (arenap_segment_begin(self, arena, extent.mark, out) != 0)
        return -1;
    segment_set(out, ptr, extent.end);
    if (extent.chunk->source == CHUNK_FILE)
        arenap_mapping_describe(extent.chunk, out);
    return 0;
}

/* Who owns the arena needs no lock; that of another thread's may be closed,
 * and its control block used for an arena of another kind, at any time. */
static int
of_explicit(struct thread *self, struct arena *arena, const char *ptr,
            arena_segment_t *out)
{
    int result;

    if (arena->kind == ARENA_CONFINED
        && arena->owner_serial == arenap_tls.serial)
        return of_chunk(self, arena, ptr, out);
    arenap_sync_lock(arena);
    result = of_chunk(self, arena, ptr, out);
    arenap_sync_unlock(arena);
    if (result == 0 && !arenap_segment_hold(out))
        return fail_no_block(ptr);
    return result;
}

static int
of_collected(struct thread *self, const char *ptr, arena_segment_t *out)
{
    const char *start, *end;
    size_t size;
    void *base;
    enum block kind = arenap_collector_find(ptr, &base, &size);

    if (kind == BLOCK_NONE
        || (kind == BLOCK_HEAP && arenap_magazine_is_free(base))
        || !arenap_collected_extent(kind, base, size, ptr, &start, &end)
        || arenap_segment_begin(self, arenap_collected_arena(kind, base),
                                NULL, out)
               != 0)
        return fail_no_block(ptr);
    segment_set(out, ptr, end);
    return 0;
}

int
arena_segment_of(const void *ptr, arena_segment_t *out)
{
    struct arena *arena = arenap_pagemap_get(ptr);
    struct thread *self = arenap_thread_self();
    arena_segment_t made;
    int result;

    if (out == NULL)
        return arenap_fail(EINVAL, "no place for the segment");
    if (self == NULL)
        return arenap_fail_system(sizeof *self);
    if (arena == &arenap_pagemap_cached)
        return fail_no_block(ptr);
    result = arena != NULL ? of_explicit(self, arena, ptr, &made)
                           : of_collected(self, ptr, &made);
    if (result == 0)
        *out = made;
    return result;
}

int
arena_get_segment(const arena_segment_t *segment, size_t offset,
                  arena_segment_t *out)
{
    arena_segment_t null;
    void *ptr = NULL;

    if (arena_get_ptr(segment, offset, out != NULL ? &ptr : NULL) != 0)
        return -1;
    if (ptr != NULL)
        return arena_segment_of(ptr, out);
    if (arenap_segment_begin(arenap_thread_self(), arena_global(), NULL,
                             &null)
        != 0)
        return -1;
    *out = null;
    return 0;
}

/* --- Over memory that the caller vouches for --- */

static void
unhold_arena(void *arena)
{
    arena_release(arena);
}

static void
unhold_block(void *block)
{
    arena_unpin(block);
}

/* Is an arena a descendant of another?  It is acquired, so its ancestors stay
 * open. */
static bool
is_below(const struct arena *arena, const struct arena *other)
{
    while (arena != NULL && arena != other)
        arena = arena->parent;
    return arena != NULL;
}

/* Keep an explicit arena open until another one ends. */
static int
keep_arena(struct arena *arena, struct arena *other)
{
    int result, saved;

    if (arena_acquire(other) != 0)
        return -1;
    result = is_below(other, arena)
                 ? arenap_fail(ENOTSUP, "the memory is a child's: kept by its "
                                        "parent, neither could be closed")
                 : arena_on_close(arena, unhold_arena, other);
    saved = errno;
    if (result != 0)
        arena_release(other);
    errno = saved;
    return result;
}

/* Keep a collected block alive until an arena ends. */
static int
keep_block(struct arena *arena, void *addr)
{
    int result, saved;

    if (arena_pin(addr) != 0)
        return -1;
    result = arena_on_close(arena, unhold_block, addr);
    saved = errno;
    if (result != 0)
        arena_unpin(addr);
    errno = saved;
    return result;
}

/* Have what other, an arena, has at addr kept until the arena ends. */
static int
keep_while(struct arena *arena, struct arena *other, void *addr)
{
    if (arena->kind == ARENA_GLOBAL || arena->kind == ARENA_IMPLICIT)
        return arenap_fail(ENOTSUP, "the memory is another arena's, and "
                                    "would have to be kept for ever");
    return other->kind == ARENA_CONFINED || other->kind == ARENA_SHARED
               ? keep_arena(arena, other)
               : keep_block(arena, addr);
}

int
arena_segment_wrap(arena_t *arena, void *addr, size_t size,
                   arena_segment_t *out)
{
    struct thread *self = arenap_thread_self();
    struct arena *other;
    arena_segment_t made;

    if (arena == NULL || out == NULL || (addr == NULL && size != 0)
        || size > PTRDIFF_MAX || size > UINTPTR_MAX - (uintptr_t)addr)
        return arenap_fail(EINVAL, "no arena, no place, or no memory: %zu "
                                   "bytes at %p",
                           size, addr);
    if (self == NULL)
        return arenap_fail_system(sizeof *self);
    if (arenap_usable(self, arena) != 0
        || arenap_segment_begin(self, arena, newest_mark(arena), &made) != 0)
        return -1;
    other = size != 0 ? arena_of(addr) : NULL;
    if (other != NULL && other != arena && other->kind != ARENA_GLOBAL
        && keep_while(arena, other, addr) != 0)
        return -1;
    if (!arenap_segment_hold(&made))
        return arenap_fail(ESTALE, "the arena is closed");
    made.addr = addr;
    made.size = size;
    made.flags = ARENA_SEGMENT_WRAPPED;
    if (arena->kind == ARENA_AUTO)
        arenap_access_keep(&made, arena);
    *out = made;
    return 0;
}

/* --- Reinterpreting --- */

/* How many bytes there are from the segment's address on. */
static size_t
known_size(const arena_segment_t *segment)
{
    arena_segment_t found;
    const struct arena_buffer *root;

    if ((segment->flags & ARENA_SEGMENT_WRAPPED) != 0)
        return segment->addr != NULL ? PTRDIFF_MAX : 0;
    if ((segment->flags & SEGMENT_BUFFER) != 0) {
        root = (const struct arena_buffer *)(const void *)segment->live;
        return root->capacity - (size_t)((char *)segment->addr - root->data);
    }
    if (arena_of(segment->addr) != segment->arena
        || arena_segment_of(segment->addr, &found) != 0)
        return segment->size;
    return found.size;
}

int
arena_segment_reinterpret(const arena_segment_t *segment, size_t size,
                          arena_segment_t *out)
{
    int saved = errno, fault = out == NULL ? EINVAL : 0;
    size_t known = 0;

    if (fault == 0)
        fault = arenap_access_bounds(segment, 0, 0, 0, false);
    if (fault == 0) {
        known = segment->size >= size ? segment->size : known_size(segment);
        fault = arenap_access_enter(segment, 0);
        if (fault == 0)
            arenap_access_leave(segment, 0);
    }
    if (fault == EINVAL)
        return arenap_access_fail(NULL, 0, 0, 0, EINVAL);
    if (size > known)
        return arenap_fail(ERANGE, "%zu bytes at %p, where only %zu are known",
                           size, segment->addr, known);
    if (fault != 0)
        return arenap_access_fail(segment, 0, size, 0, fault);
    errno = saved;
    *out = *segment;
    out->size = size;
    return 0;
}

/* --- Parts and views --- */

/* 0 when all three are there; else what to return. */
static int
part_check(const arena_segment_t *segment, size_t offset, size_t size,
           size_t mask, const arena_segment_t *out)
{
    int fault = out == NULL ? EINVAL
                            : arenap_access_bounds(segment, offset, size,
                                                   mask, false);

    return fault == 0
               ? 0
               : arenap_access_fail(segment, offset, size, mask, fault);
}

static void
part_take(const arena_segment_t *segment, size_t offset, size_t size,
          arena_segment_t *out)
{
    *out = *segment;
    out->addr = (char *)segment->addr + offset;
    out->size = size;
}

int
arena_segment_slice(const arena_segment_t *segment, size_t offset, size_t size,
                    arena_segment_t *out)
{
    if (part_check(segment, offset, size, 0, out) != 0)
        return -1;
    part_take(segment, offset, size, out);
    return 0;
}

int
arena_segment_slice_aligned(const arena_segment_t *segment, size_t offset,
                            size_t size, size_t align, arena_segment_t *out)
{
    if (!arenap_is_pow2(align))
        return arenap_fail(EINVAL, "an alignment of %zu is not a power of "
                                   "two",
                           align);
    if (part_check(segment, offset, size, align - 1, out) != 0)
        return -1;
    part_take(segment, offset, size, out);
    return 0;
}

int
arena_segment_read_only(const arena_segment_t *segment, arena_segment_t *out)
{
    if (part_check(segment, 0, 0, 0, out) != 0)
        return -1;
    part_take(segment, 0, segment->size, out);
    out->flags |= ARENA_SEGMENT_READ_ONLY;
    return 0;
}

int
arena_segment_split(const arena_segment_t *segment, size_t element,
                    size_t parts, size_t index, arena_segment_t *out)
{
    size_t all, each, more, first;

    if (part_check(segment, 0, 0, 0, out) != 0)
        return -1;
    if (element == 0 || parts == 0 || segment->size % element != 0)
        return arenap_fail(EINVAL,
                           "%zu bytes do not make %zu parts of elements of "
                           "%zu bytes",
                           segment->size, parts, element);
    if (index >= parts)
        return arenap_fail(ERANGE, "there is no part %zu of %zu", index,
                           parts);
    all = segment->size / element;
    each = all / parts;
    more = all % parts; /* of the first parts have one more */
    first = each * index + (index < more ? index : more);
    part_take(segment, first * element, (each + (index < more)) * element,
              out);
    return 0;
}

int
arena_segment_overlap(const arena_segment_t *segment,
                      const arena_segment_t *other, arena_segment_t *out)
{
    uintptr_t at, first, last, of_other;

    if (part_check(segment, 0, 0, 0, out) != 0
        || part_check(other, 0, 0, 0, out) != 0)
        return -1;
    at = (uintptr_t)segment->addr;
    of_other = (uintptr_t)other->addr;
    first = at > of_other ? at : of_other;
    last = at + segment->size < of_other + other->size
               ? at + segment->size
               : of_other + other->size;
    if (first >= last)
        return 0;
    part_take(segment, first - at, last - first, out);
    return 1;
}

/* --- Asking --- */

bool
arena_segment_is_alive(const arena_segment_t *segment)
{
    return segment != NULL && segment->live != NULL
           && __atomic_load_n(segment->live, __ATOMIC_ACQUIRE)
                  == segment->epoch;
}

bool
arena_segment_is_accessible(const arena_segment_t *segment)
{
    return arena_segment_is_alive(segment)
           && ((segment->owner ^ arenap_tls.serial) & segment->confined) == 0;
}
