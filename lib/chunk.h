/*
 * chunk.h: the memory of explicit arenas.
 *
 * A chunk is a run of whole pages of the page map.  Its header is at its
 * start.  What an arena gives back is kept for reuse in a cache of the thread
 * (chunk_cache.h).  What does not fit there goes to the stock that all threads
 * share (stock.h), or to the system.
 *
 * Invariant: a chunk's charge is reserved in the budget as long as it exists.
 * While an arena has it, it is also counted under the arena's kind; what is
 * reserved but not counted under anything is what the caches hold.
 */
#ifndef ARENA_LIB_CHUNK_H
#define ARENA_LIB_CHUNK_H

#include "internal.h"
#include "pagemap.h"

struct thread;

/* Class c has 4096 << c bytes, less what malloc puts in front of a block: so
 * that the system's heap has no gaps between neighbours.  The small classes
 * are the first chunks of all arenas; the others are for large arenas, and not
 * kept by threads. */
#define CHUNK_CLASSES 9
#define CHUNK_CLASSES_SMALL 6
#define CHUNK_MALLOC_HEADER ((size_t)16)

enum chunk_source {
    CHUNK_ALIGNED, /* posix_memalign */
    CHUNK_MALLOC,  /* malloc or calloc, base before the chunk */
    CHUNK_MAPPED,  /* own pages */
    CHUNK_TRACED,  /* uncollectable memory that the collector scans */
    CHUNK_FILE,    /* a page of ours, then pages of a file; see mapping.c */
};

struct chunk {
    struct chunk *next; /* in the arena, or in the cache */
    char *start, *end;  /* of the room for blocks, or of its only one */
    size_t charge;      /* bytes reserved in the budget */
    void *base;         /* what to free */
    size_t length;      /* bytes of the page map from the chunk's address */
    pagemap_slot *slot; /* of its first page, which the others follow; of one
                         * that is never kept, NULL */
    uint8_t class;      /* CHUNK_CLASSES: none */
    uint8_t source;     /* enum chunk_source */
    uint8_t bin;        /* of the stock; 0: it does not fit there */
    bool zeroed;        /* the room was zero when the chunk was made */
} __attribute__((aligned(64)));

/* --- For arenas: chunk_take.c --- */

/* A chunk of a class from the thread's cache, for an arena that has no limit
 * and is not traced; or NULL.  Takes no lock. */
struct chunk *arenap_chunk_take_cached(struct thread *self,
                                       struct arena *arena, unsigned class);

/* Have the limits of the arena and of its ancestors so much left? */
bool arenap_chunk_limit_has(const struct arena *arena, size_t size);

/* A chunk of a class for an arena, charged to it.  NULL with errno set. */
struct chunk *arenap_chunk_take(struct thread *self, struct arena *arena,
                                unsigned class);

/* Room of a chunk of class 0. */
#define CHUNK_ROOM                                                            \
    (ARENA_PAGE - CHUNK_MALLOC_HEADER - sizeof(struct chunk))

/* The charge of a chunk of the system's malloc for one block of a size, which
 * needs no larger alignment than what follows the header has. */
static inline size_t
arenap_chunk_charge_of(size_t size)
{
    return arenap_round_up(sizeof(struct chunk) + size, ARENA_PAGE)
           + ARENA_PAGE;
}

/* A chunk for one block of its own, at start, zero-filled if asked. */
struct chunk *arenap_chunk_take_big(struct thread *self, struct arena *arena,
                                    size_t size, size_t align, bool zero);

/* Memory of length bytes for an arena, of which the caller is to put a file
 * behind the first page; that page is charged.  NULL with errno set. */
struct chunk *arenap_chunk_take_file(struct thread *self, struct arena *arena,
                                     size_t page, size_t length);

/* Give back a list of chunks of an arena, down to but without last. */
void arenap_chunk_give(struct thread *self, struct arena *arena,
                       struct chunk *chunks, const struct chunk *last);

/* --- Making, freeing and keeping: chunk.c --- */

/* A new chunk, whose charge is reserved already; gives it back on failure.
 * NULL with errno set. */
struct chunk *arenap_chunk_make(enum chunk_source source, size_t length,
                                size_t charge, bool zero);

/* Give back to the system a chunk that no arena has. */
void arenap_chunk_release(struct chunk *chunk);

/* The same of a list.  False: it is empty. */
bool arenap_chunks_release(struct chunk *chunk);

/* Keep what a thread has no room for, if that fits in the stock. */
void arenap_chunks_keep(struct chunk *list);

/* Give a little back of what has been in the stock for too long, unless there
 * is a thread for that, and see that there is one if the stock is large; or a
 * part of so many bytes.  No lock is held. */
void arenap_chunk_age(void);
void arenap_chunk_age_by(size_t part);

/* Give back so many bytes of the stock, or a little more.  False: it has
 * nothing. */
bool arenap_chunk_drop(size_t bytes);

#endif
