/* explicit.c: see explicit.h. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chunk.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "sync.h"
#include "thread.h"

/* Larger blocks get a chunk of their own; in large arenas, blocks that are
 * larger than this one or than an eighth of the next chunk do. */
#define BLOCK_BIG ((size_t)16 * 1024)
#define BLOCK_LARGE ((size_t)64 * 1024)

/* An arena that has so much gets larger chunks, of a quarter of what it has at
 * most. */
#define ARENA_LARGE ((size_t)1 << 20)
#define CLASS_ROOM(c)                                                         \
    ((ARENA_PAGE << (c)) - CHUNK_MALLOC_HEADER - sizeof(struct chunk))

_Static_assert(BLOCK_LARGE + BLOCK_BIG + ARENA_GRANULE
                   < CLASS_ROOM(CHUNK_CLASSES_SMALL - 1),
               "an aligned block fits the largest small class");

/* What a thread's first piece of an arena takes, and the least and the most of
 * each later one: they double up to a part of the arena, so that threads that
 * allocate much in one seldom wait for its lock. */
#define PIECE_FIRST ((size_t)256)
#define PIECE_LATER ((size_t)4096)
#define PIECE_MOST ((size_t)64 * 1024)
#define PIECE_PART 32

/* What is cleared at a time: more than that libc clears by a string
 * instruction, and nothing else runs beside those. */
#define CLEAR_STEP ((size_t)1024)

bool
arenap_explicit_is_dropping(const struct thread *self,
                            const struct arena *arena)
{
    const struct dropping *d = self->dropping;

    while (d != NULL && d->arena != arena)
        d = d->outer;
    return d != NULL;
}

int
arenap_explicit_check(const struct thread *self, const struct arena *arena)
{
    uint64_t serial = arenap_tls.serial;

    if (arena->kind == ARENA_CONFINED && arena->owner_serial != serial)
        return arenap_fail(EPERM, "the arena is confined to another thread");
    if ((atomic_load_explicit(&arena->state, memory_order_acquire)
         & ARENA_OPEN)
        == 0)
        return arenap_fail(ESTALE, "the arena is closed");
    if (arenap_explicit_is_dropping(self, arena))
        return arenap_fail(ESTALE, "the arena is being reset");
    return 0;
}

/* Only its owner adds to a confined one. */
static void
arena_add(const struct arena *arena, _Atomic size_t *counter, size_t n)
{
    if (arena->kind == ARENA_CONFINED)
        arenap_count(counter, n);
    else
        atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void
arenap_explicit_fold(struct arena *arena)
{
    uint64_t tally = arena->tally;

    if (tally == 0)
        return;
    arenap_tally_set(arena, 0);
    arena_add(arena, &arena->requested, TALLY_BYTES(tally));
    arena_add(arena, &arena->blocks, TALLY_BLOCKS(tally));
}

/* --- Carving from the arena's run: its owner, or under its lock --- */

static void *
run_carve(struct arena *arena, size_t size, size_t align, bool zero)
{
    size_t room = arenap_room(size);
    size_t skip = (size_t)(-(uintptr_t)arena->bump & (align - 1));
    size_t left = (size_t)(arena->end - arena->bump);
    char *block;

    if (left < room || left - room < skip)
        return NULL;
    block = arena->bump + skip;
    arena->bump = block + room;
    arenap_tally_add(arena, size + TALLY_BLOCK);
    return zero ? memset(block, 0, size) : block;
}

/* Make a chunk the arena's run. */
static void
run_start(struct arena *arena, struct chunk *chunk)
{
    if (arena->tally != 0)
        arenap_explicit_fold(arena);
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->bump = chunk->start;
    arena->end = chunk->end;
}

static void *
run_add_big(struct arena *arena, struct chunk *chunk, size_t size)
{
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    if (arena->growth == 0)
        arena->growth = 1;
    arena_add(arena, &arena->requested, size);
    arena_add(arena, &arena->blocks, 1);
    return chunk->start;
}

/* The class of a large arena's next chunk; 0 if it is not large, or has to do
 * with what it gets. */
static unsigned
large_class(const struct arena *arena)
{
    size_t reserved = arenap_explicit_reserved(arena);
    unsigned class = CHUNK_CLASSES_SMALL;

    if (reserved < ARENA_LARGE || arena->limited
        || (arena->flags & ARENA_TRACED) != 0)
        return 0;
    while (class + 1 < CHUNK_CLASSES
           && ARENA_PAGE << (class + 1) <= reserved / 4)
        class++;
    return arenap_budget_has(ARENA_PAGE << (class + 3)) ? class : 0;
}

static bool
is_big(const struct arena *arena, size_t size, size_t align)
{
    if (ARENA_LIKELY(size <= BLOCK_BIG && align <= BLOCK_BIG))
        return (arena->flags & ARENA_GUARDED) != 0;
    return size > BLOCK_LARGE || align > BLOCK_BIG
           || (arena->flags & ARENA_GUARDED) != 0
           || size > (ARENA_PAGE << large_class(arena)) / 8;
}

/* The least class with so much room. */
static inline unsigned
class_for(size_t room)
{
    size_t last = (room + CHUNK_MALLOC_HEADER + sizeof(struct chunk) - 1)
                  / ARENA_PAGE;

    return 63u - (unsigned)__builtin_clzl(2 * last + 1);
}

/* The next chunk is of a small class; the one after that, of which? */
static inline uint8_t
growth_after(unsigned class)
{
    return (uint8_t)(class + (class + 1 < CHUNK_CLASSES_SMALL));
}

/* The class of the next chunk, which must have room for a block. */
static unsigned
next_class(struct arena *arena, size_t size, size_t align)
{
    size_t need = arenap_round_up(size + 1, ARENA_GRANULE) + align;
    unsigned class = arena->growth, least = class_for(need), large = 0;

    if (class == CHUNK_CLASSES_SMALL - 1 || size > BLOCK_BIG)
        large = large_class(arena);
    if (large != 0)
        return large;
    while (ARENA_UNLIKELY(arena->limited) && class > least
           && !arenap_chunk_limit_has(arena, ARENA_PAGE << class))
        class--;
    if (class < least)
        class = least;
    arena->growth = growth_after(class);
    return class;
}

/* --- Confined --- */

static void *
confined_alloc(struct thread *self, struct arena *arena, size_t size,
               size_t align, bool zero)
{
    struct chunk *chunk;
    void *block = NULL;

    if (is_big(arena, size, align)) {
        arenap_explicit_settle(arena);
        chunk = arenap_chunk_take_big(self, arena, size, align, zero);
        if (chunk == NULL)
            return NULL;
        block = run_add_big(arena, chunk, size);
        if (zero && !chunk->zeroed)
            memset(block, 0, size);
        return block;
    }
    if (ARENA_LIKELY(arena->end != NULL))
        block = run_carve(arena, size, align, zero);
    if (block == NULL) {
        arenap_explicit_settle(arena);
        chunk = arenap_chunk_take(self, arena,
                                  next_class(arena, size, align));
        if (chunk == NULL)
            return NULL;
        run_start(arena, chunk);
        block = run_carve(arena, size, align, zero);
    }
    return block;
}

/* A chunk that was in the thread's cache is the arena's, which has settled. */
static inline void
confined_add(struct thread *self, struct arena *arena, struct chunk *chunk)
{
    atomic_store_explicit(chunk->slot, arena, memory_order_release);
    arenap_count(&self->counts[ARENA_CONFINED].reserved, chunk->charge);
    arenap_count(&arena->reserved, chunk->charge);
}

/* A block of up to BLOCK_BIG, in a chunk of a class. */
static inline void *
confined_next_small(struct thread *self, struct arena *arena, size_t size)
{
    size_t room = arenap_round_up(size, ARENA_GRANULE);
    unsigned class = arena->growth, least = class_for(room);
    struct chunk *chunk;

    if (class < least)
        class = least;
    else if (class == CHUNK_CLASSES_SMALL - 1
             && arenap_explicit_reserved(arena) >= ARENA_LARGE)
        return NULL;
    chunk = arenap_cache_take_listed(&self->cache, class);
    if (ARENA_UNLIKELY(chunk == NULL))
        return NULL;
    confined_add(self, arena, chunk);
    arena->growth = growth_after(class);
    run_start(arena, chunk);
    arena->bump += room;
    arenap_tally_set(arena, size + TALLY_BLOCK);
    return chunk->start;
}

/* One of up to BLOCK_LARGE, in one of its own. */
static inline void *
confined_next_large(struct thread *self, struct arena *arena, size_t size)
{
    struct chunk *chunk;

    if (arenap_explicit_reserved(arena) >= ARENA_LARGE)
        return NULL;
    chunk =
        arenap_cache_take_large(&self->cache, arenap_chunk_charge_of(size));
    if (ARENA_UNLIKELY(chunk == NULL))
        return NULL;
    confined_add(self, arena, chunk);
    chunk->start = (char *)(chunk + 1);
    chunk->end = chunk->start + size;
    chunk->zeroed = false;
    return run_add_big(arena, chunk, size);
}

void *
arenap_confined_next(struct arena *arena, size_t size)
{
    struct thread *self = arenap_tls.record;

    if (ARENA_UNLIKELY(size - 1 >= BLOCK_LARGE
                       || (arena->flags != ARENA_PLAIN
                           && (arena->flags != 0 || arena->limited))))
        return NULL;
    arenap_explicit_settle(arena);
    return ARENA_LIKELY(size <= BLOCK_BIG)
               ? confined_next_small(self, arena, size)
               : confined_next_large(self, arena, size);
}

/* --- Shared and global --- */

static void
piece_fold(struct piece *piece, struct arena *arena)
{
    uint64_t tally = atomic_load_explicit(&piece->tally, memory_order_relaxed);

    arenap_tally_add(arena, tally);
    atomic_store_explicit(&piece->tally, 0, memory_order_relaxed);
    /* What is left of it, if nobody took anything since; then it is the
     * piece's no more, which may go on if no chunk is to be had. */
    if (piece->end == arena->bump)
        arena->bump = piece->end = piece->bump;
}

/* Forget a piece, of whatever arena. */
static void
piece_drop(struct piece *piece)
{
    struct arena *arena =
        atomic_load_explicit(&piece->arena, memory_order_relaxed);

    if (arena == NULL)
        return;
    if (arenap_tls.piece == piece)
        arenap_tls.shared = arenap_tls.zeroed = NULL;
    /* Once it does not fit, it never will again. */
    if (arenap_piece_fits(piece, arena)) {
        arenap_explicit_lock(arena);
        if (arenap_piece_fits(piece, arena))
            piece_fold(piece, arena);
        arenap_explicit_unlock(arena);
    }
    atomic_store_explicit(&piece->arena, NULL, memory_order_relaxed);
    piece->bump = piece->end = NULL;
}

void
arenap_piece_flush(struct thread *thread)
{
    for (int i = 0; i < THREAD_PIECES; i++)
        piece_drop(&thread->piece[i]);
}

/* The piece is the arena's from now on, with no block yet.  Under the lock. */
static void
piece_own(struct piece *piece, struct arena *arena)
{
    arenap_piece_select(piece, arena);
    atomic_store_explicit(&piece->tally, 0, memory_order_relaxed);
    atomic_store_explicit(
        &piece->epoch,
        atomic_load_explicit(&arena->epoch, memory_order_relaxed),
        memory_order_relaxed);
    atomic_store_explicit(&piece->arena, arena, memory_order_relaxed);
}

/* What a thread takes that has had a piece of the arena. */
static size_t
piece_later(const struct piece *piece, const struct arena *arena)
{
    size_t part = arenap_explicit_reserved(arena) / PIECE_PART;
    size_t want = 2 * (size_t)piece->taken;

    if (want > part)
        want = part & ~(ARENA_GRANULE - 1);
    if (want > PIECE_MOST)
        want = PIECE_MOST;
    return want > PIECE_LATER ? want : PIECE_LATER;
}

/* Let the piece end as far behind the bump of the arena's run as it wants, or
 * at the end of the run, if that has room; under the lock. */
static bool
piece_reach(struct piece *piece, struct arena *arena, size_t room, size_t want)
{
    size_t left = (size_t)(arena->end - arena->bump);

    if (left < room)
        return false;
    if (want < room)
        want = room;
    if (want > left)
        want = left;
    piece->taken = (uint32_t)want;
    piece->end = arena->bump += want;
    return true;
}

/* Clear from an address to the end of the piece, if asked; under the lock. */
static void
piece_clear(struct piece *piece, char *from, bool zero)
{
    size_t n = 0;

    for (; zero && from < piece->end; from += n) {
        n = (size_t)(piece->end - from);
        if (n > CLEAR_STEP)
            n = CLEAR_STEP;
        __asm__("" : "+r"(n)); /* or compilers make one of their own */
        memset(from, 0, n);
    }
    piece->zeroed = zero;
}

/* Let a piece that fits have room for size bytes where it is, if need be from
 * a run that goes on behind it; under the lock. */
static bool
piece_extend(struct piece *piece, struct arena *arena, size_t size, bool zero)
{
    char *from = piece->zeroed ? piece->end : piece->bump;
    size_t has = (size_t)(piece->end - piece->bump);
    size_t room = arenap_room(size);

    if (has < room
        && (piece->end != arena->bump
            || !piece_reach(piece, arena, room - has,
                            piece_later(piece, arena))))
        return false;
    piece_clear(piece, from, zero);
    arenap_piece_select(piece, arena);
    return true;
}

/* Make the piece one with room for size bytes; under the lock. */
static bool
piece_take(struct piece *piece, struct arena *arena, size_t size, bool zero)
{
    size_t want = PIECE_FIRST;
    char *start;

    if (arenap_piece_fits(piece, arena)) {
        if (piece_extend(piece, arena, size, zero))
            return true;
        piece_fold(piece, arena);
        want = piece_later(piece, arena);
    }
    start = arena->bump;
    if (!piece_reach(piece, arena, arenap_room(size), want))
        return false;
    piece->bump = start;
    piece_clear(piece, start, zero);
    piece_own(piece, arena);
    return true;
}

static void *
piece_carve(struct piece *piece, size_t size)
{
    char *block = piece->bump;

    piece->bump += arenap_room(size);
    atomic_store_explicit(
        &piece->tally,
        atomic_load_explicit(&piece->tally, memory_order_relaxed) + size
            + TALLY_BLOCK,
        memory_order_relaxed);
    return block;
}

/* A small block, from a new piece or from the run; under the lock. */
static void *
shared_carve(struct thread *self, struct arena *arena, size_t size,
             size_t align, bool zero)
{
    struct piece *piece = arenap_piece_of(self, arena);

    if (arena->end == NULL)
        return NULL;
    if (size > PIECE_BLOCK || align > ARENA_GRANULE)
        return run_carve(arena, size, align, zero);
    return piece_take(piece, arena, size, zero) ? piece_carve(piece, size)
                                                : NULL;
}

int
arenap_explicit_enter(struct thread *self, struct arena *arena)
{
    int result;

    arenap_explicit_lock(arena);
    result = arenap_explicit_check(self, arena);
    if (result == 0)
        atomic_fetch_add(&arena->users, 1);
    arenap_explicit_unlock(arena);
    return result;
}

/* Give back the block of a closed arena, which held its parent's. */
static void
explicit_finish(struct thread *self, struct arena *arena)
{
    struct arena *parent = arena->parent;

    arenap_explicit_clean(arena);
    arenap_control_give(&self->ring, arena);
    if (parent != NULL)
        arenap_explicit_leave(self, parent);
}

/* Nobody may see that there are no users as long as there is limbo. */
void
arenap_explicit_leave(struct thread *self, struct arena *arena)
{
    struct chunk *limbo;
    bool orphan;

    arenap_explicit_lock(arena);
    while (atomic_load(&arena->users) == 1 && arena->limbo != NULL) {
        limbo = arena->limbo;
        arena->limbo = NULL;
        arenap_explicit_unlock(arena);
        arenap_chunk_give(self, arena, limbo, NULL);
        arenap_explicit_lock(arena);
    }
    orphan = atomic_load(&arena->users) == 1 && arena->orphan;
    if (orphan)
        arena->orphan = false;
    atomic_fetch_sub(&arena->users, 1);
    arenap_explicit_unlock(arena);
    if (orphan)
        explicit_finish(self, arena);
}

void
arenap_explicit_drop(struct thread *self, struct arena *arena,
                     struct chunk *chunks, const struct chunk *last)
{
    if (atomic_load(&arena->users) != 0) {
        arenap_explicit_lock(arena);
        while (atomic_load(&arena->users) != 0 && chunks != last) {
            struct chunk *next = chunks->next;

            chunks->next = arena->limbo;
            arena->limbo = chunks;
            chunks = next;
        }
        arenap_explicit_unlock(arena);
    }
    arenap_chunk_give(self, arena, chunks, last);
}

void
arenap_explicit_dispose(struct thread *self, struct arena *arena)
{
    bool now = atomic_load(&arena->users) == 0;

    if (!now) {
        arenap_explicit_lock(arena);
        now = atomic_load(&arena->users) == 0;
        arena->orphan = !now;
        arenap_explicit_unlock(arena);
    }
    if (now)
        explicit_finish(self, arena);
}

static void *
shared_alloc_big(struct thread *self, struct arena *arena, size_t size,
                 size_t align, bool zero)
{
    struct chunk *chunk = NULL;
    void *block = NULL;

    if (arenap_explicit_enter(self, arena) != 0)
        return NULL;
    chunk = arenap_chunk_take_big(self, arena, size, align, zero);
    if (chunk != NULL && zero && !chunk->zeroed)
        memset(chunk->start, 0, size);
    arenap_explicit_lock(arena);
    if (chunk != NULL && arenap_explicit_check(self, arena) == 0) {
        block = run_add_big(arena, chunk, size);
        chunk = NULL;
    }
    arenap_explicit_unlock(arena);
    if (chunk != NULL)
        arenap_chunk_give(self, arena, chunk, chunk->next);
    arenap_explicit_leave(self, arena);
    return block;
}

/* A small block when the run has no room, if the cache has a chunk for it.
 * Under the lock. */
static void *
shared_alloc_cached(struct thread *self, struct arena *arena, size_t size,
                    size_t align, bool zero)
{
    uint8_t growth = arena->growth;
    struct chunk *chunk = arenap_chunk_take_cached(
        self, arena, next_class(arena, size, align));

    if (chunk == NULL) {
        arena->growth = growth;
        return NULL;
    }
    run_start(arena, chunk);
    return shared_carve(self, arena, size, align, zero);
}

/* The same otherwise: fetch a chunk, unless another thread has brought one by
 * then.  Called with the lock, returns without. */
static void *
shared_alloc_chunk(struct thread *self, struct arena *arena, size_t size,
                   size_t align, bool zero)
{
    unsigned class = next_class(arena, size, align);
    struct chunk *chunk;
    void *block = NULL;

    atomic_fetch_add(&arena->users, 1);
    arenap_explicit_unlock(arena);
    chunk = arenap_chunk_take(self, arena, class);
    arenap_explicit_lock(arena);
    if (chunk != NULL && arenap_explicit_check(self, arena) == 0) {
        block = shared_carve(self, arena, size, align, zero);
        if (block == NULL) {
            run_start(arena, chunk);
            chunk = NULL;
            block = shared_carve(self, arena, size, align, zero);
        }
    }
    arenap_explicit_unlock(arena);
    if (chunk != NULL)
        arenap_chunk_give(self, arena, chunk, chunk->next);
    arenap_explicit_leave(self, arena);
    return block;
}

/* Is an arena as arena_shared has made it, with nothing in it and nobody? */
static bool
shared_is_new(const struct arena *arena)
{
    return arena->chunks == NULL && arena->growth == 0 && arena->flags == 0
           && !arena->limited && atomic_load(&arena->users) == 0;
}

/* Compilers make a string instruction of a memset of this size, which takes
 * longer to start than all of these. */
static void
piece_clear_first(char *start)
{
    for (size_t i = 0; i < PIECE_FIRST; i += CLEAR_MOST)
        arenap_block_clear(start + i, CLEAR_MOST);
}

/* The first block of such an arena, 0 < size <= PIECE_FIRST, in a piece of
 * that size; what the cache gives is counted as confined, so less of that is.
 * Under the lock.  NULL when the cache has no chunk. */
static void *
shared_first(struct thread *self, struct arena *arena, struct piece *piece,
             size_t size, bool zero)
{
    struct chunk *chunk;
    char *start;

    if (!arenap_cache_pop(&self->cache, arena, &chunk))
        return NULL;
    arenap_count(&self->counts[ARENA_CONFINED].reserved,
                 (size_t)0 - ARENA_PAGE);
    arenap_count(&self->counts[arena->kind].reserved, ARENA_PAGE);
    atomic_store_explicit(&arena->reserved, ARENA_PAGE, memory_order_relaxed);
    start = (char *)(chunk + 1);
    arena->growth = 1;
    arena->chunks = chunk;
    arena->bump = start + PIECE_FIRST;
    arena->end = start + CHUNK_ROOM;
    if (zero)
        piece_clear_first(start);
    piece->bump = start;
    piece->end = start + PIECE_FIRST;
    piece->taken = PIECE_FIRST;
    piece->zeroed = zero;
    piece_own(piece, arena);
    return piece_carve(piece, size);
}

/* A small block without waiting for a chunk.  Under the lock. */
static void *
shared_alloc_small(struct thread *self, struct arena *arena,
                   struct piece *piece, size_t size, size_t align, bool zero)
{
    void *block = NULL;

    if (shared_is_new(arena) && size - 1 < PIECE_FIRST && align <= ARENA_GRANULE)
        block = shared_first(self, arena, piece, size, zero);
    if (block == NULL)
        block = shared_carve(self, arena, size, align, zero);
    if (block == NULL)
        block = shared_alloc_cached(self, arena, size, align, zero);
    return block;
}

/* A block that is not big. */
static void *
shared_alloc_piece(struct thread *self, struct arena *arena,
                   struct piece *piece, size_t size, size_t align, bool zero)
{
    void *block = NULL;

    if (atomic_load_explicit(&piece->arena, memory_order_relaxed) != arena)
        piece_drop(piece);
    arenap_explicit_lock(arena);
    if (arenap_explicit_check(self, arena) == 0) {
        block = shared_alloc_small(self, arena, piece, size, align, zero);
        if (block == NULL)
            return shared_alloc_chunk(self, arena, size, align, zero);
    }
    arenap_explicit_unlock(arena);
    return block;
}

static void *
shared_alloc(struct thread *self, struct arena *arena, size_t size,
             size_t align, bool zero)
{
    if (is_big(arena, size, align))
        return shared_alloc_big(self, arena, size, align, zero);
    return shared_alloc_piece(self, arena, arenap_piece_of(self, arena), size,
                              align, zero);
}

void *
arenap_shared_alloc_small(struct thread *self, struct arena *arena,
                          size_t size, bool zero)
{
    struct piece *piece = arenap_piece_of(self, arena);
    void *block;

    if (arenap_tls.shared != arena
        && atomic_load_explicit(&piece->arena, memory_order_relaxed)
               == arena) {
        arenap_piece_select(piece, arena);
        if (zero <= piece->zeroed
            && arenap_piece_alloc(piece, arena, size, &block))
            return block;
    }
    return shared_alloc_piece(self, arena, piece, size, ARENA_GRANULE, zero);
}

/* --- Both --- */

void
arenap_explicit_clean(struct arena *arena)
{
    arenap_explicit_clean_plain(arena);
    arena->marks = NULL;
    if (arena->name != NULL)
        free(arena->name);
    arena->name = NULL;
    arena->limit = 0;
    arena->limited = false;
    arena->owner_serial = arenap_tls.serial;
    arena->parent = arena->children = arena->sibling = NULL;
    arena->actions = NULL;
    arena->closers = 0;
}

void *
arenap_explicit_alloc(struct thread *self, struct arena *arena, size_t size,
                      size_t align, bool zero)
{
    if (arena->kind != ARENA_CONFINED)
        return shared_alloc(self, arena, size, align, zero);
    if (arenap_explicit_check(self, arena) != 0)
        return NULL;
    return confined_alloc(self, arena, size, align, zero);
}

/* Move *bump from the end of the last block's old room to that of its new
 * one, if it is the last block and fits. */
static bool
resize_in(char **bump, const char *end, char *block, size_t old_size,
          size_t new_size)
{
    size_t old_room = arenap_room(old_size);
    size_t new_room = arenap_room(new_size);

    if (*bump != block + old_room || new_room > (size_t)(end - block))
        return false;
    *bump = block + new_room;
    return true;
}

bool
arenap_explicit_resize(struct thread *self, struct arena *arena, char *block,
                       size_t old_size, size_t new_size)
{
    struct piece *piece;

    if (arena->kind == ARENA_CONFINED) {
        if (!resize_in(&arena->bump, arena->end, block, old_size, new_size))
            return false;
        arenap_explicit_complicate(arena);
    } else {
        piece = arenap_piece_of(self, arena);
        if (!arenap_piece_fits(piece, arena)
            || !resize_in(&piece->bump, piece->end, block, old_size,
                          new_size))
            return false;
        if (new_size < old_size && piece->zeroed)
            memset(block + new_size, 0, old_size - new_size);
    }
    atomic_fetch_add_explicit(&arena->requested, new_size - old_size,
                              memory_order_relaxed);
    if (new_size > old_size)
        memset(block + old_size, 0, new_size - old_size);
    return true;
}

/* --- Looking --- */

static bool
chunk_has(const struct chunk *chunk, const char *ptr)
{
    return ptr >= (const char *)chunk
           && ptr < (const char *)chunk + chunk->length;
}

/* The newest mark that is older than a block at ptr, in the chunk that is
 * place-th of the list.  A mark is older than what is in chunks before the one
 * that was first when it was taken, and than what is behind it in its own. */
static struct mark *
mark_before(const struct arena *arena, const struct chunk *chunk,
            size_t place, const char *ptr)
{
    struct mark *mark = arena->marks;
    const struct chunk *first = arena->chunks;

    for (size_t i = 0; mark != NULL; mark = mark->next) {
        for (; first != mark->chunks; first = first->next)
            i++;
        if (place < i || (chunk_has(chunk, mark->bump) && ptr >= mark->bump))
            break;
    }
    return mark;
}

bool
arenap_explicit_extent(const struct arena *arena, const char *ptr,
                       struct extent *out)
{
    struct chunk *chunk = arena->chunks;
    size_t place = 0;

    while (chunk != NULL && !chunk_has(chunk, ptr)) {
        chunk = chunk->next;
        place++;
    }
    if (chunk == NULL)
        return false;
    out->chunk = chunk;
    out->start = chunk->start;
    out->end = chunk->end;
    /* The run: its bump may be at the very end of the chunk. */
    if (arena->bump > (char *)chunk && arena->bump <= chunk->end
        && arena->end <= (char *)chunk + chunk->length
        && arena->end > (char *)chunk)
        out->end = arena->bump;
    out->mark = mark_before(arena, chunk, place, ptr);
    return ptr >= out->start && ptr <= out->end;
}

int
arenap_explicit_add(struct thread *self, struct arena *arena,
                    struct chunk *chunk, size_t size)
{
    bool locked = arena->kind != ARENA_CONFINED;
    int result;

    if (locked)
        arenap_explicit_lock(arena);
    result = arenap_explicit_check(self, arena);
    if (result == 0) {
        if (!locked)
            arenap_explicit_settle(arena);
        run_add_big(arena, chunk, size);
    }
    if (locked)
        arenap_explicit_unlock(arena);
    return result;
}
