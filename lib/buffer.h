/*
 * buffer.h: direct buffers.  buffer.c: their birth and death, views, position
 * and limit; bytes.c: getting and putting.
 *
 * A handle is a collected block of a kind of its own.  A small payload lies
 * behind it in the same block; a larger one is calloc'd or mapped, and freed
 * when the collector finds the handle dead.  A view is a handle that points
 * to its root, never to another view.
 */
#ifndef ARENA_LIB_BUFFER_H
#define ARENA_LIB_BUFFER_H

#include "../include/arena/buffer.h"
#include "internal.h"

/* Word 0 of a handle; links of free lists have none of these bits. */
#define BUFFER_VIEW ((uint64_t)4)  /* a view, or a root that was freed */
#define BUFFER_ARMED ((uint64_t)8) /* a root with its payload, accounted */
#define BUFFER_IN_USE (BUFFER_VIEW | BUFFER_ARMED)

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

/* Say why arenap_buffer_span gave none.  Returns NULL. */
char *arenap_buffer_span_fail(const struct arena_buffer *buffer, size_t index,
                              size_t n, bool writes);

/* The n bytes at an index, below the limit; NULL with errno set. */
static inline char *
arenap_buffer_span(const struct arena_buffer *buffer, size_t index, size_t n,
                   bool writes)
{
    if (ARENA_LIKELY(buffer != NULL && !(writes && buffer->read_only)
                     && n <= buffer->limit && index <= buffer->limit - n
                     && arenap_buffer_is_alive(buffer)))
        return buffer->data + index;
    return arenap_buffer_span_fail(buffer, index, n, writes);
}

#endif
