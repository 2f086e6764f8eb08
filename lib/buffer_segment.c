/* buffer_segment.c: buffers over segments, and segments of buffers.
 *
 * A buffer over a segment is a view like others, but its root is no buffer: a
 * block that holds the segment.  Nothing is read or written there by address:
 * each call goes through the segment and its checks. */

#include "config.h"

#include <errno.h>

#include "access.h"
#include "buffer.h"
#include "collected.h"
#include "collector.h"
#include "error.h"
#include "internal.h"
#include "segment.h"
#include "thread.h"

/* The root of a buffer over a segment. */
struct over {
    _Atomic uint64_t tag; /* BUFFER_OVER */
    const void *keeps;    /* what keeps the memory, if the collector does */
    /* --- not seen by the collector, from here on --- */
    arena_segment_t segment;
};

_Static_assert(sizeof(struct over) % ARENA_GRANULE == 0,
               "a list has blocks of this size");
_Static_assert(offsetof(struct over, keeps)
                   == offsetof(struct arena_buffer, root),
               "the collector sees both");

/* The segment that a buffer is over, or NULL. */
static const arena_segment_t *
segment_under(const struct arena_buffer *buffer)
{
    const struct over *over = (const void *)buffer->root;

    return over != NULL
                   && atomic_load_explicit(&over->tag, memory_order_acquire)
                          == BUFFER_OVER
               ? &over->segment
               : NULL;
}

bool
arenap_buffer_over_is_alive(const struct arena_buffer *buffer)
{
    return arena_segment_is_alive(segment_under(buffer));
}

void
arenap_buffer_over_dead(void)
{
    arenap_collected_uncount(POOL_HANDLES, sizeof(struct over), 0, 0);
}

/* --- Segments of buffers --- */

int
arenap_buffer_part(const struct arena_buffer *buffer, size_t index, size_t n,
                   bool writes, arena_segment_t *out)
{
    const arena_segment_t *under;
    const struct arena_buffer *root;

    if (arenap_buffer_bounds(buffer, index, n, writes) != 0)
        return -1;
    under = segment_under(buffer);
    root = buffer->root != NULL ? buffer->root : buffer;
    if (under != NULL) {
        *out = *under;
    } else {
        *out = (arena_segment_t){
            .arena = arena_implicit(),
            .epoch = BUFFER_ARMED,
            .live = (const uint64_t *)(const void *)&root->tag,
            .flags = SEGMENT_BUFFER,
        };
        if (root->outside)
            arenap_access_keep(out, root);
    }
    out->addr = buffer->data + index;
    out->size = n;
    if (buffer->read_only)
        out->flags |= ARENA_SEGMENT_READ_ONLY;
    return 0;
}

int
arena_buffer_segment(const arena_buffer_t *buffer, arena_segment_t *out)
{
    if (out == NULL)
        return arenap_fail(EINVAL, "no place for the segment");
    if (arenap_buffer_check(buffer) != 0)
        return -1;
    return arenap_buffer_part(buffer, buffer->position,
                              buffer->limit - buffer->position, false, out);
}

/* --- Buffers over segments --- */

/* The one thing that keeps a segment's memory, if it is collected. */
static const void *
keeper_of(const arena_segment_t *segment)
{
    switch (arena_kind(segment->arena)) {
    case ARENA_AUTO:
        return segment->arena;
    case ARENA_IMPLICIT:
        return segment->addr;
    default:
        return NULL;
    }
}

static struct arena_buffer *
over_make(const arena_segment_t *segment)
{
    struct thread *self = arenap_thread_self();
    struct over *over;

    if (self == NULL) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    over = arenap_buffer_handle(self, sizeof *over);
    if (over == NULL)
        return NULL;
    over->keeps = keeper_of(segment);
    over->segment = *segment;
    atomic_store_explicit(&over->tag, BUFFER_OVER, memory_order_release);
    return (struct arena_buffer *)(void *)over;
}

arena_buffer_t *
arena_buffer_of_segment(const arena_segment_t *segment)
{
    struct arena_buffer *root, *view;

    if (segment == NULL || segment->live == NULL)
        return arenap_fail_null(EINVAL, "no segment was given");
    if (!arena_segment_is_alive(segment)) {
        arenap_access_fail(segment, 0, 0, 0, ESTALE);
        return NULL;
    }
    root = (segment->flags & SEGMENT_BUFFER) != 0
               ? (struct arena_buffer *)(uintptr_t)segment->live
               : over_make(segment);
    if (root == NULL)
        return NULL;
    view = arenap_buffer_view(root, segment->addr, segment->size);
    if (view != NULL)
        view->read_only = (segment->flags & ARENA_SEGMENT_READ_ONLY) != 0;
    arena_keep_alive(segment->live);
    return view;
}
