/*
 * explicit.h: confined, shared and global arenas: allocation and freeing.
 *
 * Blocks are carved from the run [bump, end) of the arena, and those of
 * confined arenas by their owner, who clears each one as it takes it.
 *
 * In shared and global ones a thread takes a piece under the arena's lock and
 * carves from that.  Where zeroed blocks are asked for all of the piece is
 * cleared at once, under the lock: so that the fast path writes nothing to
 * memory that a closer may be freeing.
 */
#ifndef ARENA_LIB_EXPLICIT_H
#define ARENA_LIB_EXPLICIT_H

#include <string.h>

#include "chunk.h"
#include "chunk_cache.h"
#include "error.h"
#include "internal.h"
#include "thread.h"

/* A place to rewind to, in the arena's own memory.  It has been given to the
 * program so many times, by numbers from id on: those up to kept are good, and
 * those from fresh on.  What was dropped between them by earlier rewinds to the
 * same place is not told from what was not: it is the same place. */
struct mark {
    struct mark *next; /* older */
    uint64_t id;
    uint32_t turns, kept, fresh;
    struct chunk *chunks;
    char *bump, *end; /* after the mark itself */
    struct action *actions;
    uint64_t next_order; /* of children */
    size_t requested, blocks;
    struct cell *cell; /* NULL until a segment needs it */
};

/* A block, after all fast paths have failed.  Arguments are valid; size 0 is
 * still 0.  NULL with errno set. */
void *arenap_explicit_alloc(struct thread *self, struct arena *arena,
                            size_t size, size_t align, bool zero);

/* A block of an arena whose owner is the calling thread, when its run has no
 * room; its contents are not defined.  NULL if the thread has no chunk at hand
 * for it, or it is not small, or of size 0. */
void *arenap_confined_next(struct arena *arena, size_t size);

/* Change the size of the last block in place; false if that cannot be. */
bool arenap_explicit_resize(struct thread *self, struct arena *arena,
                            char *block, size_t old_size, size_t new_size);

/*
 * A thread that fetches a chunk, or fills a block of a shared arena, does so
 * without a lock.  Until it leaves, the control block is not used again and
 * chunks are not freed: what is closed or reset meanwhile is left to the last
 * who leaves.
 */

/* Enter an arena that is open.  0; or -1 with errno set. */
int arenap_explicit_enter(struct thread *self, struct arena *arena);
void arenap_explicit_leave(struct thread *self, struct arena *arena);

/* Around allocating and filling a block of any arena, or NULL: a shared one
 * may be closed by another thread between them.  0; or -1 with errno set. */
static inline int
arenap_explicit_fill_begin(struct arena *arena)
{
    struct thread *self;

    if (arena == NULL || arena->kind != ARENA_SHARED)
        return 0;
    self = arenap_thread_self();
    if (self == NULL)
        return arenap_fail_system(sizeof *self);
    return arenap_explicit_enter(self, arena);
}

static inline void
arenap_explicit_fill_end(struct arena *arena)
{
    if (arena != NULL && arena->kind == ARENA_SHARED)
        arenap_explicit_leave(arenap_tls.record, arena);
}

/* Free a list of chunks, down to but without last, now or later. */
void arenap_explicit_drop(struct thread *self, struct arena *arena,
                          struct chunk *chunks, const struct chunk *last);

/* The arena is closed and has nothing any more: give its block back, now or
 * later; and leave its parent, which was entered when it was marked closed. */
void arenap_explicit_dispose(struct thread *self, struct arena *arena);

/* May this thread use the arena?  0; or -1 with errno EPERM or ESTALE. */
int arenap_explicit_check(const struct thread *self,
                          const struct arena *arena);

/* The same of an arena of any kind. */
int arenap_usable(const struct thread *self, const struct arena *arena);

/* Is the calling thread dropping the arena's contents? */
bool arenap_explicit_is_dropping(const struct thread *self,
                                 const struct arena *arena);

/* Forget what only arenas that are not plain have; their control block is
 * about to be used again. */
void arenap_explicit_clean(struct arena *arena);

/* The same of what plain ones have. */
static inline void
arenap_explicit_clean_plain(struct arena *arena)
{
    atomic_store_explicit(&arena->reserved, 0, memory_order_relaxed);
    atomic_store_explicit(&arena->requested, 0, memory_order_relaxed);
    atomic_store_explicit(&arena->blocks, 0, memory_order_relaxed);
}

/* Its tally is its owner's, or under the lock; others read it. */
static inline void
arenap_tally_set(struct arena *arena, uint64_t tally)
{
    __atomic_store_n(&arena->tally, tally, __ATOMIC_RELAXED);
}

/* In one instruction, as arenap_count. */
static inline void
arenap_tally_add(struct arena *arena, uint64_t tally)
{
    if (ARENA_OS_TSAN)
        arenap_tally_set(arena, arena->tally + tally);
    else
        arena->tally += tally;
}

/* Add tally to requested and blocks.  Owner or lock. */
void arenap_explicit_fold(struct arena *arena);

/* Where a block of an arena may lie. */
struct extent {
    const char *start, *end; /* of the block if that is known, else of what is
                              * in use of its chunk */
    struct chunk *chunk;
    struct mark *mark; /* the newest that is older than the block, or NULL */
};

/* Find that of an address.  Owner or lock.  False: no block can be there. */
bool arenap_explicit_extent(const struct arena *arena, const char *ptr,
                            struct extent *out);

/* Give a chunk to an arena, for one block of size bytes that is all of it.
 * 0; or -1 with errno EPERM or ESTALE, and then it is the caller's. */
int arenap_explicit_add(struct thread *self, struct arena *arena,
                        struct chunk *chunk, size_t size);

/* Larger blocks are carved from the arena itself, not from a piece. */
#define PIECE_BLOCK ((size_t)1024)

/* A block of 0 < size <= PIECE_BLOCK of a shared or global arena, not guarded,
 * from which the piece that the thread used last has none. */
void *arenap_shared_alloc_small(struct thread *self, struct arena *arena,
                                size_t size, bool zero);

/* Fold and drop all pieces of a thread that ends. */
void arenap_piece_flush(struct thread *thread);

/* Is the arena plain, open, and has no chunk, or one that came from the cache
 * the short way?  As long as it is, reserved is not kept.  All of kind, flags,
 * growth and state at once. */
static inline bool
arenap_explicit_is_short(const struct arena *arena)
{
    static const uint8_t want[4] = {ARENA_CONFINED, ARENA_PLAIN, 0,
                                    ARENA_OPEN};

    return memcmp(&arena->kind, want, sizeof want) == 0;
}

/* Bytes of its chunks.  What the threads of a shared arena write under its
 * lock is not looked at. */
static inline size_t
arenap_explicit_reserved(const struct arena *arena)
{
    if (arena->kind == ARENA_CONFINED && arenap_explicit_is_short(arena))
        return arena->chunks != NULL ? ARENA_PAGE : 0;
    return atomic_load_explicit(&arena->reserved, memory_order_relaxed);
}

/* Before an arena stops being short.  Owner or lock. */
static inline void
arenap_explicit_settle(struct arena *arena)
{
    if (!arenap_explicit_is_short(arena))
        return;
    atomic_store_explicit(&arena->reserved, arenap_explicit_reserved(arena),
                          memory_order_relaxed);
    arena->growth = arena->chunks != NULL;
}

/* The arena is not plain any more.  Owner or lock. */
static inline void
arenap_explicit_complicate(struct arena *arena)
{
    if ((arena->flags & ARENA_PLAIN) == 0)
        return;
    arenap_explicit_settle(arena);
    arena->flags &= (uint8_t)~ARENA_PLAIN;
}

static inline struct piece *
arenap_piece_of(struct thread *self, const struct arena *arena)
{
    uintptr_t a = (uintptr_t)arena;

    return &self->piece[(a ^ a >> 3) / sizeof(struct piece) % THREAD_PIECES];
}

/* Does the piece belong to this state of this arena? */
static inline bool
arenap_piece_fits(const struct piece *piece, const struct arena *arena)
{
    return atomic_load_explicit(&piece->arena, memory_order_relaxed) == arena
           && atomic_load_explicit(&piece->epoch, memory_order_relaxed)
                  == atomic_load_explicit(&arena->epoch,
                                          memory_order_acquire);
}

/* Does a block fit between bump and a limit, which are multiples of the
 * granule?  Not if it is of size 0: those take the long way. */
static ARENA_INLINE bool
arenap_run_fits(const char *bump, size_t size, const char *limit)
{
    return size - 1 < (size_t)(limit - bump);
}

/* The piece is the one that the calling thread used last. */
static inline void
arenap_piece_select(struct piece *piece, const struct arena *arena)
{
    arenap_tls.shared = arena;
    arenap_tls.zeroed = piece->zeroed ? arena : NULL;
    arenap_tls.piece = piece;
}

/* From the calling thread's piece of an arena, if it is of this state of the
 * arena and has room.  False otherwise. */
static ARENA_INLINE bool
arenap_piece_alloc(struct piece *piece, const struct arena *arena, size_t size,
                   void **out)
{
    /* Nobody else writes it; so it can be compared where it is. */
    const uint64_t *epoch = (const uint64_t *)(const void *)&piece->epoch;
    char *block = piece->bump;

    if (ARENA_UNLIKELY(
            *epoch != atomic_load_explicit(&arena->epoch, memory_order_acquire)
            || !arenap_run_fits(block, size, piece->end)))
        return false;
    piece->bump = block + arenap_round_up(size, ARENA_GRANULE);
    arenap_count(&piece->tally, size + TALLY_BLOCK);
    *out = block;
    return true;
}

/* Larger blocks are cleared by a call. */
#define CLEAR_MOST ((size_t)128)

/* Clear a block of 0 < size bytes, up to the end of its room or of itself:
 * with stores of 16 bytes that may overlap. */
static ARENA_INLINE void *
arenap_block_clear(char *block, size_t size)
{
    typedef uint64_t pair __attribute__((vector_size(16), may_alias));
    const pair zero = {0, 0};
    pair *first = (pair *)(void *)block;
    pair *end = (pair *)(void *)(block + arenap_round_up(size, ARENA_GRANULE));

    if (ARENA_UNLIKELY(size > 2 * sizeof *first)) {
        if (size > CLEAR_MOST)
            return memset(block, 0, size);
        if (size > 4 * sizeof *first)
            first[2] = first[3] = end[-4] = end[-3] = zero;
        first[1] = end[-2] = zero;
    }
    first[0] = end[-1] = zero;
    return block;
}

/* The first block of an arena of the calling thread that is short and has no
 * chunk.  False when the block is not small, or the cache has none. */
static ARENA_INLINE bool
arenap_explicit_first(struct thread *self, struct arena *arena, size_t size,
                      void **out)
{
    struct chunk *chunk;
    char *start;

    if (ARENA_UNLIKELY(size - 1 >= CHUNK_ROOM
                       || !arenap_cache_pop(&self->cache, arena, &chunk)))
        return false;
    start = (char *)(chunk + 1);
    arena->chunks = chunk;
    arena->bump = start + arenap_round_up(size, ARENA_GRANULE);
    arena->end = start + CHUNK_ROOM;
    arenap_tally_set(arena, size + TALLY_BLOCK);
    *out = start;
    return true;
}

#endif
