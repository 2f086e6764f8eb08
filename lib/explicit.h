/*
 * explicit.h: confined, shared and global arenas: allocation and freeing.
 *
 * Blocks are carved from the run [bump, end) of the arena.  The bytes from
 * bump to zeroed are zero, and zeroed is never below bump: memory is cleared
 * ahead in steps that grow, so that small zeroed blocks cost no call.
 *
 * A confined arena's owner carves blocks itself.  In shared and global ones a
 * thread takes a piece under the arena's lock and carves from that; the piece
 * is cleared when it is taken, so that the fast path writes nothing to memory
 * that a closer may be freeing.
 */
#ifndef ARENA_LIB_EXPLICIT_H
#define ARENA_LIB_EXPLICIT_H

#include "internal.h"
#include "thread.h"

/* A place to rewind to, in the arena's own memory. */
struct mark {
    struct mark *next; /* older */
    uint64_t id;
    struct chunk *chunks;
    char *bump, *end; /* after the mark itself */
    struct action *actions;
    uint64_t next_order; /* of children */
    size_t requested, blocks;
};

/* A block, after all fast paths have failed.  Arguments are valid; size 0 is
 * still 0.  NULL with errno set. */
void *arenap_explicit_alloc(struct thread *self, struct arena *arena,
                            size_t size, size_t align, bool zero);

/* Change the size of the last block in place; false if that cannot be. */
bool arenap_explicit_resize(struct thread *self, struct arena *arena,
                            char *block, size_t old_size, size_t new_size);

/* May this thread use the arena?  0; or -1 with errno EPERM or ESTALE. */
int arenap_explicit_check(const struct thread *self,
                          const struct arena *arena);

/* Is the calling thread dropping the arena's contents? */
bool arenap_explicit_is_dropping(const struct thread *self,
                                 const struct arena *arena);

/* Add tally to requested and blocks.  Owner or lock. */
void arenap_explicit_fold(struct arena *arena);

/* Give back a list of chunks, down to but without last. */
void arenap_explicit_free(struct thread *self, struct arena *arena,
                          struct chunk *chunks, const struct chunk *last);

/* Fold and drop all pieces of a thread that ends. */
void arenap_piece_flush(struct thread *thread);

static inline struct piece *
arenap_piece_of(struct thread *self, const struct arena *arena)
{
    uintptr_t a = (uintptr_t)arena;

    return &self->piece[(a >> 6 ^ a >> 9) % THREAD_PIECES];
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

#endif
