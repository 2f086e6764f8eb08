/*
 * buffer.h: direct buffers.  buffer.c: their birth and death, views, position
 * and limit; bytes.c: getting and putting; buffer_segment.c: buffers over
 * segments.
 *
 * A handle is a collected block of a kind of its own.  A small payload lies
 * behind it in the same block; a larger one is calloc'd or mapped, and freed
 * when the collector finds the handle dead.  A view is a handle that points
 * to its root, never to another view.
 */
#ifndef ARENA_LIB_BUFFER_H
#define ARENA_LIB_BUFFER_H

#include "../include/arena/segment.h"
#include "internal.h"
#include "thread.h"

/* Word 0 of a handle; links of free lists have none of these bits. */
#define BUFFER_VIEW ((uint64_t)4)  /* a view, or a root that was freed */
#define BUFFER_ARMED ((uint64_t)8) /* a root with its payload, accounted */
#define BUFFER_OVER ((uint64_t)16) /* no buffer: what is over a segment */
#define BUFFER_IN_USE (BUFFER_VIEW | BUFFER_ARMED | BUFFER_OVER)

struct arena_buffer {
    _Atomic uint64_t tag;      /* BUFFER_... */
    struct arena_buffer *root; /* of a view; NULL: it is a root */
    /* --- not seen by the collector, from here on --- */
    char *data;
    size_t capacity, limit, position;
    size_t mark;     /* or BUFFER_NO_MARK */
    uint32_t charge; /* bytes of the handle's block */
    bool outside;    /* a struct payload is behind the handle; of a root */
    bool read_only;
    bool swapped; /* its byte order is not the machine's */
};

#define BUFFER_NO_MARK SIZE_MAX

/* Called by the collector for each dead handle; as those in collected.h. */
int arenap_buffer_dead(void *handle);

static inline bool
arenap_buffer_is_alive(const struct arena_buffer *buffer)
{
    const struct arena_buffer *root =
        buffer->root != NULL ? buffer->root : buffer;

    return atomic_load_explicit(&root->tag, memory_order_relaxed)
           == BUFFER_ARMED;
}

static inline size_t
arenap_buffer_position(const struct arena_buffer *buffer)
{
    return buffer != NULL ? buffer->position : 0;
}

/* EINVAL: there is none.  Returns -1. */
int arenap_buffer_fail_null(void);

/* 0, or what every call that touches the buffer fails with. */
int arenap_buffer_check(const struct arena_buffer *buffer);

/* Not EINVAL, EACCES or ERANGE?  0; or -1 with errno set. */
int arenap_buffer_bounds(const struct arena_buffer *buffer, size_t index,
                         size_t n, bool writes);

/* The n bytes at an index, below the limit, if they are a direct buffer's;
 * NULL: there is a fault, or it is over a segment. */
static inline char *
arenap_buffer_span(const struct arena_buffer *buffer, size_t index, size_t n,
                   bool writes)
{
    if (ARENA_LIKELY(buffer != NULL && !(writes && buffer->read_only)
                     && n <= buffer->limit && index <= buffer->limit - n
                     && arenap_buffer_is_alive(buffer)))
        return buffer->data + index;
    return NULL;
}

/* What to do when that gives none: the same as a segment, whose accesses
 * check the rest.  0; or -1 with errno set. */
int arenap_buffer_part(const struct arena_buffer *buffer, size_t index,
                       size_t n, bool writes, arena_segment_t *out);

/* Is it over a segment, whose memory is there? */
bool arenap_buffer_over_is_alive(const struct arena_buffer *buffer);

/* Called for each dead root of those. */
void arenap_buffer_over_dead(void);

/* A handle of some kind, attached, counted and zero-filled; of a size that
 * is a multiple of the granule.  NULL with errno set. */
void *arenap_buffer_handle(struct thread *self, size_t size);

/* A view of size bytes at data, which a root has.  NULL with errno set. */
arena_buffer_t *arenap_buffer_view(struct arena_buffer *root, char *data,
                                   size_t size);

#endif
