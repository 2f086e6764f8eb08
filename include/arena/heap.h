/*
 * arena/heap.h - malloc's contract on collected memory.
 *
 * Blocks are scanned, and freed by arena_free or after nothing reachable
 * points to them.  From the first call on every writable mapping of the
 * process is searched for pointers, since libc and other libraries keep ours
 * in memory of their own; ARENA_ROOTS=precise or arena_set_roots choose
 * otherwise.  A program linked with -static must choose so: else nothing is
 * collected in it.
 *
 * A block that is freed a second time, and was not handed out again, is
 * recognised unless the program has written to it since.  Pointers to memory
 * that is not the library's are recognised at best effort.
 */
#ifndef ARENA_HEAP_H
#define ARENA_HEAP_H

#include "../arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Where the collector looks for pointers. */
typedef enum {
    ARENA_ROOTS_PRECISE, /**< as arena.h says */
    ARENA_ROOTS_ALL      /**< in every writable mapping too */
} arena_roots_t;

/**
 * Allocate size bytes, aligned for max_align_t, contents not defined.
 *
 * @return the block; or NULL with errno ENOMEM: over PTRDIFF_MAX, over the
 *         budget, or the system refused.
 *
 * Threads: any; attaches the calling thread.  Collects: may.
 */
ARENA_API void *arena_malloc(size_t size) ARENA_ATTR_MALLOC ARENA_ATTR_SIZE(1);

/** As arena_malloc of count * size bytes, zero-filled. */
ARENA_API void *arena_calloc(size_t count, size_t size)
    ARENA_ATTR_MALLOC ARENA_ATTR_SIZE2(1, 2);

/** As realloc; size 0 frees the block and gives NULL.  A block that libc
 *  allocated stays libc's, a block of the implicit arena becomes one of the
 *  heap.
 *  @return as arena_malloc, and EINVAL: no block, or one freed before, if that
 *          can be told; EPERM: a block that arena_alloc gave of an arena
 *          confined to another thread, whose size is not known here. */
ARENA_API void *arena_realloc(void *block, size_t size) ARENA_ATTR_SIZE(2);

/** As arena_realloc of count * size bytes, overflow-checked. */
ARENA_API void *arena_reallocarray(void *block, size_t count, size_t size)
    ARENA_ATTR_SIZE2(2, 3);

/** As arena_malloc, aligned to align.
 *  @return as arena_malloc, and EINVAL: align is no power of two. */
ARENA_API void *arena_aligned_alloc(size_t align, size_t size)
    ARENA_ATTR_MALLOC ARENA_ATTR_SIZE(2);

/** As posix_memalign: the block in *out.
 *  @return 0, EINVAL or ENOMEM, *out and errno untouched on failure. */
ARENA_API int arena_posix_memalign(void **out, size_t align, size_t size);

/** The bytes that may be used at block: at least those asked for.  0 for NULL
 *  and for what is no block. */
ARENA_API size_t arena_usable_size(void *block);

/** Choose where the collector looks.
 *  @return 0; or -1 with errno set: EINVAL: unknown; ENOTSUP: the mappings
 *          cannot be read here. */
ARENA_API int arena_set_roots(arena_roots_t roots);

/* --- Scopes ------------------------------------------------------------ */

/**
 * From now on, let malloc take from an arena on the calling thread: whatever
 * the code that is called meanwhile forgets goes with the arena.  Nests.
 *
 * That is arena_malloc and its family, the functions that arena/malloc.h
 * renames, but open_memstream, and under libarena-malloc malloc itself: there
 * what libc, the loader, libstdc++ (operator new, too), the collector and
 * this library ask for stays on the heap, so also what strdup or getline of
 * libc's give.
 *
 * A block from the arena
 *   - is zero-filled, and has a header of 16 bytes;
 *   - is not freed by arena_free or free, which do nothing then: in or after
 *     the scope, on any thread, as long as the arena is open.  A free after
 *     that is one of memory that is gone, as twice is elsewhere;
 *   - stays in the arena when it is reallocated while that is pushed on the
 *     thread, in place if it is the last one there; else it is copied to
 *     where malloc takes from then.  So is a block that arena_alloc gave, of
 *     any arena, with more than its bytes, since its size is not known.
 * A block of the heap stays one when it is reallocated: who holds it may not
 * know of the scope.
 *
 * When the arena is closed, over its limit, or being reset, malloc fails with
 * ENOMEM: arena_error() says why.  It does not go back to the heap before
 * arena_pop.  A thread that ends pops what it has pushed, in the last round
 * of its thread-specific destructors; a child of fork keeps what the thread
 * that called it has.
 *
 * @param arena  a confined, shared or auto arena with ARENA_TRACED; an auto
 *               arena is kept alive until it is popped
 *
 * @return 0; or -1 with errno set:
 *         EINVAL  NULL, or not ARENA_TRACED, as the global and the implicit
 *                 arena never are: a block may hold the only pointer to a
 *                 collected one
 *         EPERM   confined to another thread
 *         ESTALE  closed
 *         ENOMEM  the system refused
 *
 * Threads: confined: its owner; else any.  Collects: may.
 * As MemoryContextSwitchTo of PostgreSQL, which its palloc takes from.
 */
ARENA_API int arena_push(arena_t *arena);

/** Undo the last arena_push of the calling thread.
 *  @return 0; or -1 with errno EINVAL: it has pushed nothing. */
ARENA_API int arena_pop(void);

#ifdef __cplusplus
}
#endif

#endif
