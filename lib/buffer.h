/*
 * buffer.h: what the rest of the library must know of direct buffers.
 *
 * A handle is a collected block of a kind of its own.  A small payload lies
 * behind it in the same block; a larger one is calloc'd or mapped, and freed
 * when the collector finds the handle dead.  A view is a handle that points
 * to its root, never to another view.
 */
#ifndef ARENA_LIB_BUFFER_H
#define ARENA_LIB_BUFFER_H

#include "internal.h"

/* Word 0 of a handle; links of free lists have none of these bits. */
#define BUFFER_VIEW ((uint64_t)4)  /* a view, or a root that was freed */
#define BUFFER_ARMED ((uint64_t)8) /* a root with its payload, accounted */
#define BUFFER_IN_USE (BUFFER_VIEW | BUFFER_ARMED)

/* Called by the collector for each dead handle; as those in collected.h. */
int arenap_buffer_dead(void *handle);

/* Called by the collector when a collection begins, under its lock. */
void arenap_buffer_collecting(void);

/* The bytes of the pool that the collector has in use: of the handles. */
size_t arenap_buffer_handles(void);

/* Give back the payloads that are kept for reuse; and their bytes, which are
 * charged and counted under nothing. */
void arenap_buffer_flush(void);
size_t arenap_buffer_cached(void);

#endif
