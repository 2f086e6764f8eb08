/*
 * chunk.h: the memory of explicit arenas.
 *
 * A chunk is a run of whole pages of the page map.  Its header is at its
 * start.  Chunks of the standard classes are kept for reuse in a cache of the
 * thread that freed them, last in first out; one that does not fit displaces
 * larger ones, or any of another class.  So are some of those that have one
 * large block.  What does not fit then goes to the stock that all threads
 * share (stock.h), or to the system.
 *
 * Invariant: a chunk's charge is reserved in the budget as long as it exists.
 * While an arena has it, it is also counted under the arena's kind; what is
 * reserved but not counted under anything is what the caches hold.
 */
#ifndef ARENA_LIB_CHUNK_H
#define ARENA_LIB_CHUNK_H

#include "budget.h"
#include "internal.h"
#include "os.h"
#include "pagemap.h"

struct thread;

/* Class c has 4096 << c bytes, less what malloc puts in front of a block: so
 * that the system's heap has no gaps between neighbours.  The small classes
 * are the first chunks of all arenas; the others are for large arenas, and not
 * kept by threads. */
#define CHUNK_CLASSES 9
#define CHUNK_CLASSES_SMALL 6
#define CHUNK_MALLOC_HEADER ((size_t)16)
/* Twice what an arena has when its chunks begin to be of the last small
 * class. */
#define CHUNK_CACHE_BYTES ((size_t)512 * 1024)
#define CHUNK_FIRSTS ((size_t)16)
#define CHUNK_LARGES 4
#define CHUNK_LARGE_BYTES ((size_t)1 << 20)

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
    pagemap_slot *slot; /* of its pages, if they follow one another; of one
                         * that is never kept, NULL */
    uint8_t class;      /* CHUNK_CLASSES: none */
    uint8_t source;     /* enum chunk_source */
    uint8_t bin;        /* of the stock; 0: it does not fit there */
    bool zeroed;        /* the room was zero when the chunk was made */
} __attribute__((aligned(64)));

/*
 * The thread's cache.  Other threads empty it when the budget is short, so
 * its thread says when it is inside: busy and steal are a handshake with the
 * barriers of os.h, which cost the thread no atomic operation.
 */
enum {
    CACHE_STRIPPED = 1u << 8, /* its own thread empties the cache */
    CACHE_STOLEN = 2u << 8,   /* another one does */
    CACHE_OFF = 4u << 8       /* for good: this system has no heavy barrier */
};

_Static_assert(CHUNK_FIRSTS < CACHE_STRIPPED,
               "one comparison tells whether there is a chunk to take");

struct chunk_cache {
    _Atomic uint32_t busy;  /* set by its thread */
    _Atomic uint32_t steal; /* CACHE_... bits: not zero keeps it out */
    /* Of class 0, of which most are: a stack, linked to nothing.  Of all
     * others: lists. */
    struct counted firsts;
    /* Those above firsts are the last that were there; one more is never any
     * chunk's place. */
    struct chunk *first[CHUNK_FIRSTS + 1];
    pagemap_slot *slot[CHUNK_FIRSTS]; /* each one's own */
    _Atomic size_t bytes;
    struct chunk *list[CHUNK_CLASSES];
    /* For blocks of their own: each list has one bin of the stock. */
    struct chunk *large[CHUNK_LARGES];
    _Atomic size_t large_bytes;
};

/* Enter the cache; false when somebody empties it. */
static inline bool
arenap_cache_enter(struct chunk_cache *cache)
{
    atomic_store_explicit(&cache->busy, 1, memory_order_relaxed);
    arenap_os_light();
    if (ARENA_LIKELY(
            atomic_load_explicit(&cache->steal, memory_order_acquire) == 0))
        return true;
    atomic_store_explicit(&cache->busy, 0, memory_order_release);
    return false;
}

static inline void
arenap_cache_leave(struct chunk_cache *cache)
{
    atomic_store_explicit(&cache->busy, 0, memory_order_release);
}

/* Add to a counter of the cache; inside, or when nobody else is. */
static inline void
arenap_cache_add(_Atomic size_t *counter, size_t n)
{
    if (ARENA_OS_TSAN)
        atomic_store_explicit(
            counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
            memory_order_relaxed);
    else
        *(size_t *)(void *)counter += n;
}

static inline size_t
arenap_cache_read(_Atomic size_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Put a chunk where the next one goes, behind n of them, now nobody's; it is
 * on the stack when it is counted.  Inside.  False when it does not fit. */
static inline bool
arenap_stack_put(struct chunk_cache *cache, size_t n, struct chunk *chunk)
{
    if (ARENA_UNLIKELY(arenap_budget_is_short()))
        return false;
    /* Mostly it comes back to where it was: to compare is faster than to
     * store what the next pop would have to wait for. */
    if (ARENA_UNLIKELY(cache->first[n] != chunk)) {
        if (n == CHUNK_FIRSTS)
            return false;
        cache->first[n] = chunk;
        cache->slot[n] = chunk->slot;
    }
    /* Before it is in the cache, from where others may take it. */
    atomic_store_explicit(cache->slot[n], &arenap_pagemap_cached,
                          memory_order_release);
    return true;
}

/* The short ways: a chunk of class 0 off the stack, now the arena's, if there
 * is one; and one onto it, if it fits. */
static inline bool
arenap_cache_pop(struct chunk_cache *cache, struct arena *arena,
                 struct chunk **out)
{
    uint32_t steal;
    size_t n;

    atomic_store_explicit(&cache->busy, 1, memory_order_relaxed);
    arenap_os_light();
    steal = atomic_load_explicit(&cache->steal, memory_order_acquire);
    n = cache->firsts.all;
    /* It is empty, or somebody empties it. */
    if (ARENA_UNLIKELY(n <= steal)) {
        arenap_cache_leave(cache);
        return false;
    }
    arenap_counted_set(&cache->firsts, n - 1);
    *out = cache->first[n - 1];
    atomic_store_explicit(cache->slot[n - 1], arena, memory_order_release);
    arenap_cache_leave(cache);
    return true;
}

static inline bool
arenap_cache_push(struct chunk_cache *cache, struct chunk *chunk)
{
    size_t n;

    if (ARENA_UNLIKELY(!arenap_cache_enter(cache)))
        return false;
    n = cache->firsts.all;
    if (ARENA_UNLIKELY(!arenap_stack_put(cache, n, chunk))) {
        arenap_cache_leave(cache);
        return false;
    }
    arenap_counted_set(&cache->firsts, n + 1);
    arenap_cache_leave(cache);
    return true;
}

/* Chunks popped less chunks pushed: what confined arenas have of the thread's
 * by the short ways, which count it in no other place.  Wraps below zero. */
static inline size_t
arenap_cache_popped(struct chunk_cache *cache)
{
    return (size_t)0 - arenap_counted_short(&cache->firsts);
}

/* A chunk of a class from the thread's cache, for an arena that has no limit
 * and is not traced; or NULL.  Takes no lock. */
struct chunk *arenap_chunk_take_cached(struct thread *self,
                                       struct arena *arena, unsigned class);

/* A chunk of a class for an arena, charged to it.  NULL with errno set. */
struct chunk *arenap_chunk_take(struct thread *self, struct arena *arena,
                                unsigned class);

/* Room of a chunk of class 0. */
#define CHUNK_ROOM                                                            \
    (ARENA_PAGE - CHUNK_MALLOC_HEADER - sizeof(struct chunk))

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

/* Give back to the system a chunk that no arena has. */
void arenap_chunk_release(struct chunk *chunk);

/* Give a little back of what has been in the stock for too long, unless there
 * is a thread for that, and see that there is one if the stock is large; or a
 * part of so many bytes.  No lock is held. */
void arenap_chunk_age(void);
void arenap_chunk_age_by(size_t part);

/* Give back so many bytes of the stock, or a little more.  False: it has
 * nothing. */
bool arenap_chunk_drop(size_t bytes);

/* Empty the cache of a thread: of the caller's own, large chunks go to the
 * stock; or of one that is gone. */
void arenap_chunk_flush(struct thread *thread);

/* Empty the caches of all threads, and the stock.  Returns true if that freed
 * anything. */
bool arenap_chunk_flush_all(void);

/* Bytes in all caches; exact when no other thread runs. */
size_t arenap_chunk_cached(void);

/* In a child: nobody is inside a cache, or empties one. */
void arenap_chunk_fork_child(void);

#endif
