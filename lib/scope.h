/*
 * scope.h: arena_push and arena_pop, and blocks of arenas in malloc's hands.
 *
 * A thread's scopes are a list, innermost first, in memory that the collector
 * scans: what keeps a pushed auto arena alive.
 *
 * A block that is handed out in a scope has a header in front, inside the
 * arena: realloc is told no size, and the arena keeps none.  The header names
 * the arena, its epoch and the block, so that one left over from earlier
 * contents is not taken for one.
 */
#ifndef ARENA_LIB_SCOPE_H
#define ARENA_LIB_SCOPE_H

#include "internal.h"
#include "thread.h"

/* A zero-filled block from the innermost scope, of which there is one.  NULL
 * with errno ENOMEM and a sentence. */
void *arenap_scope_alloc(struct thread *self, size_t align, size_t size);

/* The arena whose memory holds a block, and that frees no block by itself:
 * NULL for what the heap and the implicit arena have, and all others. */
struct arena *arenap_scope_arena(const void *block);

/* Of a block that an arena holds: realloc.  NULL with errno set. */
void *arenap_scope_realloc(struct thread *self, struct arena *arena,
                           void *block, size_t size);

/* Was the block handed out in a scope? */
bool arenap_scope_is_block(const void *block);

/* The bytes that may be used at it; 0 if it was not handed out in a scope. */
size_t arenap_scope_room(struct arena *arena, const void *block);

/* The bytes that may be read at it: what realloc has to copy.  0 with errno
 * set if nobody knows. */
size_t arenap_scope_extent(struct thread *self, struct arena *arena,
                           const void *block);

/* Forget all scopes of a thread that ended, or is about to. */
void arenap_scope_drop(struct thread *thread);

/* Until they are shown again, the calling thread has no scopes. */
struct scope *arenap_scope_hide(void);
void arenap_scope_show(struct scope *scope);

/* Have a function called by each thread that gets its first scope (true), or
 * leaves its last (false). */
void arenap_scope_tell(void (*told)(bool pushed));

#endif
