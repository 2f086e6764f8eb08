/*
 * draft.h: copies that are made before there is memory for them.
 *
 * A draft has the bytes of all copies in the order in which they will lie in
 * one block, but for the pointers, of which it keeps a list: where they are
 * and what they lead to.  The root may go to other memory than that block; it
 * leads the draft then.  What is large and needs no look at each of its bytes
 * is not copied twice: it has a place in the tail, which follows the draft's
 * bytes in the block, and is copied when the block is there.
 *
 * Everything is malloc'd beyond a small beginning, and lives as long as one
 * call.
 */
#ifndef ARENA_LIB_DRAFT_H
#define ARENA_LIB_DRAFT_H

#include <string.h>

#include "internal.h"

/* A pointer that is not NULL. */
struct link {
    size_t at;     /* in the draft */
    size_t object; /* of the graph */
};

#define DRAFT_FEW_BYTES 768u
#define DRAFT_FEW_LINKS 24u

/* From so many bytes on a copy goes to the tail. */
#define DRAFT_TAIL 2048u

struct draft {
    char *bytes; /* moves when it grows */
    size_t size, room;
    size_t lead;  /* bytes before what will be in the block */
    size_t align; /* of the block */
    size_t tail_size, tail_align;
    struct link *links; /* in the order in which they were met */
    size_t link_count, link_room;
    struct link few_links[DRAFT_FEW_LINKS];
    char few_bytes[DRAFT_FEW_BYTES];
};

void arenap_draft_init(struct draft *draft);
void arenap_draft_free(struct draft *draft);

/* What is in the draft so far goes elsewhere, and not to the block. */
void arenap_draft_lead(struct draft *draft);

/* The place of a copy, zero-filled; one of no bytes has a byte of its own.
 * align is a power of two.  False: the system refuses memory, or there can be
 * no such block: it would be larger than the budget's limit. */
bool arenap_draft_place(struct draft *draft, size_t size, size_t align,
                        size_t *place);

/* Make room for more bytes, so that there are at least so many, likewise. */
bool arenap_draft_grow(struct draft *draft, size_t least);

/* Copy length bytes of a string, and 0, likewise. */
static inline bool
arenap_draft_string(struct draft *draft, const char *text, size_t length,
                    size_t *place)
{
    if (ARENA_UNLIKELY(length >= draft->room - draft->size)
        && (length >= PTRDIFF_MAX - draft->size
            || !arenap_draft_grow(draft, draft->size + length + 1)))
        return false;
    *place = draft->size;
    memcpy(draft->bytes + draft->size, text, length);
    draft->bytes[draft->size + length] = '\0';
    draft->size += length + 1;
    return true;
}

/* The place of a copy in the tail, likewise. */
bool arenap_draft_place_tail(struct draft *draft, size_t size, size_t align,
                             size_t *place);

/* Make room for more pointers.  False: the system refuses memory. */
bool arenap_draft_grow_links(struct draft *draft);

/* Note a pointer, likewise. */
static inline bool
arenap_draft_link(struct draft *draft, size_t at, size_t object)
{
    if (ARENA_UNLIKELY(draft->link_count == draft->link_room)
        && !arenap_draft_grow_links(draft))
        return false;
    draft->links[draft->link_count++] = (struct link){at, object};
    return true;
}

/* The size of the block, of which the tail begins at *tail; 0: nothing is in
 * it.  False: larger than PTRDIFF_MAX. */
bool arenap_draft_measure(const struct draft *draft, size_t *size,
                          size_t *tail);

#endif
