/*
 * interpose.h: what libarena-malloc asks of libarena, and no program may.
 * These functions are exported, and in no public header.  They change with
 * the library: both are installed together.
 */
#ifndef ARENA_LIB_INTERPOSE_H
#define ARENA_LIB_INTERPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/arena.h"

/* A function of libc's that the process does not reach by its name. */
struct arena_interposed {
    const char *name;
    void *function;
};

/* Let this library, and the collector's, call libc's own functions by these
 * names.  Called before either is used, or as early as possible. */
ARENA_API void arena_interpose_bypass(const struct arena_interposed *own,
                                      size_t count);

/*
 * Start the collector, for a program that knows nothing of it: every writable
 * mapping is searched, and threads are stopped by the two signals.  Attaches
 * the calling thread.
 *
 * Returns 0; or -1 with errno set and a sentence: nothing can be collected.
 */
ARENA_API int arena_interpose_start(int suspend, int restart);

/* The bytes of ARENA_GC_EVERY, 0 for none.  From now on whoever asks counts
 * them, of each thread by itself, and libarena does not. */
ARENA_API size_t arena_interpose_gc_every(void);

/* A variable of the environment whose value means nothing: arena_report names
 * it.  And the index-th of all such, as "NAME=VALUE"; NULL: there are no
 * more. */
ARENA_API void arena_interpose_ignore(const char *name, const char *value);
ARENA_API const char *arena_interpose_ignored(size_t index);

/* As malloc and free, for what needs no more than a look into the calling
 * thread's own memory.  NULL or false: nothing was done. */
ARENA_API void *arena_interpose_alloc_at_hand(size_t size);
ARENA_API bool arena_interpose_free_at_hand(void *block);

/* Free a block of the heap or of the implicit arena; what lies in any other
 * arena is nothing to free.  If it is free already: true, with errno EINVAL
 * and a sentence.  False if it is no such block, but maybe somebody else's. */
ARENA_API bool arena_interpose_free(void *block);

/* Call visit for each mapping of the process, from the lowest address on,
 * without functions of libc's.  False: not all could be read. */
ARENA_API bool arena_interpose_mappings(
    void (*visit)(uintptr_t lo, uintptr_t hi, void *context), void *context);

/* Does it point to where libarena or the collector has blocks? */
ARENA_API bool arena_interpose_holds(const void *ptr);

/* The bytes that may be used from block on, 0 if that is not known; SIZE_MAX
 * if arena_interpose_free would return false. */
ARENA_API size_t arena_interpose_room(void *block);

/* Does it lie in an arena that frees no block by itself?  And then: the bytes
 * that may be copied from it; 0 with errno set if nobody knows. */
ARENA_API bool arena_interpose_in_arena(void *block);
ARENA_API size_t arena_interpose_extent(void *block);

/* Have a function called by each thread that pushes its first arena (true),
 * or pops its last (false). */
ARENA_API void arena_interpose_scopes(void (*told)(bool any));

/* Until they are shown again, the thread has pushed nothing. */
struct scope;
ARENA_API struct scope *arena_interpose_hide(void);
ARENA_API void arena_interpose_show(struct scope *hidden);

/* The process is to have more threads than one: from now on the collector's
 * are no difference. */
ARENA_API void arena_interpose_threads(void);

/* Collect, without the actions that follow.  False if it is not possible. */
ARENA_API bool arena_interpose_collect(void);

/*
 * The calling thread is about to be where no signal reaches it: asleep in the
 * system until its child has run a program.  Up to arena_interpose_wake,
 * which waits for the end of a collection, it touches no collected memory;
 * all registers that a function keeps for its caller are in memory.  Both do
 * nothing if threads are not stopped.  Neither nests.
 */
ARENA_API void arena_interpose_sleep(void);
ARENA_API void arena_interpose_wake(void);
ARENA_API bool arena_interpose_is_asleep(void);

/* How often the calling thread was stopped: the address of the count, which
 * changes in a signal handler. */
ARENA_API const volatile uint32_t *arena_interpose_stops(void);

/* To be asked after each call.  True if threads could not be stopped several
 * times in a row: from now on nothing is collected. */
ARENA_API bool arena_interpose_gave_up(void);

#endif
