/*
 * payload.h: the bytes of large direct buffers, outside of the collector's
 * heap.
 *
 * The collector does not see them: payloads that are allocated make it
 * collect, and some of those that it finds dead are kept for the next ones.
 */
#ifndef ARENA_LIB_PAYLOAD_H
#define ARENA_LIB_PAYLOAD_H

#include "internal.h"

struct payload {
    void *base;     /* what to free */
    size_t length;  /* of it; its charge, too */
    bool is_mapped; /* own pages, not malloc's */
};

/* Choose the length for so many bytes at a multiple of align.  May collect.
 * If base is not NULL afterwards, the charge is held already. */
void arenap_payload_begin(struct payload *payload, size_t capacity,
                          size_t align);

/* Not after all. */
void arenap_payload_cancel(const struct payload *payload);

/* Get the bytes, zero-filled; the charge is held by now.  The first multiple
 * of align is where the user's begin.  False: the system refused. */
bool arenap_payload_complete(struct payload *payload, size_t align);

/* Its buffer is found dead.  From inside the collector; takes no lock but
 * malloc's.  False: it is kept for reuse, and its charge stays held. */
bool arenap_payload_dead(const struct payload *payload);

/* Bytes found dead so far. */
size_t arenap_payload_reclaimed(void);

/* Its buffer is freed by hand. */
void arenap_payload_free(const struct payload *payload);

/* Give back those that are kept for reuse; and their bytes, which are charged
 * and counted under nothing. */
void arenap_payload_flush(void);
size_t arenap_payload_cached(void);

/* Called by the collector when a collection begins, under its lock. */
void arenap_payload_collecting(void);

/* What the collector has in use for handles of buffers: reserved for buffers
 * and not for payloads, or not reserved at all. */
size_t arenap_payload_handles(void);

#endif
