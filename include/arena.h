/*
 * arena.h - memory that belongs to an arena: freed when the arena is closed,
 * or when nobody can reach it any more.
 *
 * Five kinds of arena, one rule each:
 *
 *   global    never freed
 *   auto      freed all at once, after nothing reachable points to the arena
 *             or into any block of it
 *   confined  freed by arena_close; one thread, its owner, may use it
 *   shared    freed by arena_close; any thread may use it
 *   implicit  each block by itself, after nothing reachable points to it
 *
 * A pointer into auto or implicit memory, or one past its end, keeps it
 * alive, wherever the collector looks: registers, stacks, globals and static
 * thread-local variables of attached threads, and collected memory that is
 * scanned.  It does not look into malloc'd or mmap'd memory, values of
 * pthread_setspecific, or the contents of arenas opened without ARENA_TRACED:
 * for those there are arena_pin and arena_add_roots.
 *
 * Errors, for the whole interface.  A call that fails returns NULL or -1,
 * sets errno, leaves every state as it was, and arena_error() then says in a
 * sentence what was wrong.  A call that succeeds leaves errno alone.  When
 * several things are wrong the first of this list is reported:
 *
 *   EINVAL     bad argument: an alignment that is not a power of two, NULL
 *              where an object is needed, a mark of another arena, a release
 *              without an acquire
 *   ENOTSUP    this kind of arena does not offer the operation
 *   EPERM      a confined arena, touched by a thread that does not own it
 *   ESTALE     the arena is closed
 *   EBUSY      the arena is acquired: the sentence says how often
 *   ETIMEDOUT  the time given is over, and nothing has changed
 *   ENOMEM     size over PTRDIFF_MAX or an overflow (at once), over the
 *              arena's limit, over the budget, or the system refused: the
 *              sentence says which, with the numbers
 *
 * (arena/buffer.h adds EACCES and ERANGE, arena/layout.h ERANGE and EFAULT,
 * arena/segment.h all of these and EIO.)
 *
 * "Threads", "Lifetime" and "Collects" in the comments below: who may call,
 * how long results are good, and whether the call may run a collection (which
 * may run the finalizers of a program that uses libgc itself, on the calling
 * thread; hold no lock that those take).
 *
 * The models are the JDK's java.lang.foreign.Arena (JDK 22 and later) for
 * kinds, confinement and closing, and coffi for the implicit arena.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* --- Compiler ---------------------------------------------------------- */

#if defined(__GNUC__)
#define ARENA_API __attribute__((visibility("default")))
#define ARENA_C99_ __extension__ /* before declarations with bool */
#define ARENA_ATTR_MALLOC __attribute__((malloc))
#define ARENA_ATTR_SIZE(n) __attribute__((alloc_size(n)))
#define ARENA_ATTR_SIZE2(n, m) __attribute__((alloc_size(n, m)))
#define ARENA_ATTR_FORMAT(f, a) __attribute__((format(printf, f, a)))
#define ARENA_ATTR_CLEANUP(f) __attribute__((cleanup(f)))
#else
#define ARENA_API
#define ARENA_C99_
#define ARENA_ATTR_MALLOC
#define ARENA_ATTR_SIZE(n)
#define ARENA_ATTR_SIZE2(n, m)
#define ARENA_ATTR_FORMAT(f, a)
#define ARENA_ATTR_CLEANUP(f)
#endif

/* Of functions that take no longer than the stub that linkers put between a
 * program and a library: called by their address instead. */
#if defined(__has_attribute)
#if __has_attribute(noplt)
#define ARENA_API_SHORT __attribute__((noplt)) ARENA_API
#endif
#endif
#ifndef ARENA_API_SHORT
#define ARENA_API_SHORT ARENA_API
#endif

#if defined(__cplusplus)
#define ARENA_ALIGNOF(type) alignof(type)
extern "C" {
#else
#define ARENA_ALIGNOF(type) _Alignof(type)
#endif

/* --- Types ------------------------------------------------------------- */

/** An arena.  Opaque. */
typedef struct arena arena_t;

/** The kinds of arena; see the top of this file. */
typedef enum {
    ARENA_GLOBAL,
    ARENA_AUTO,
    ARENA_CONFINED,
    ARENA_SHARED,
    ARENA_IMPLICIT
} arena_kind_t;

/** Option flag: the arena's contents are scanned, so that pointers stored in
 *  them keep collected memory alive.  Not for global and implicit. */
#define ARENA_TRACED 1u

/** Option flag: every block ends at an inaccessible page, so that running
 *  past its end stops the program at once.  For hunting faults: a block
 *  costs two pages at least.  For confined and shared arenas. */
#define ARENA_GUARDED 2u

/** How to open an arena.  Start from ARENA_OPTIONS_INIT. */
typedef struct arena_options {
    size_t size;       /**< sizeof(arena_options_t), set by the initialiser */
    const char *name;  /**< for statistics and reports; copied; may be NULL */
    size_t limit;      /**< bytes it may hold, in chunks of 4 KiB and more;
                            0: only the budget limits it */
    size_t chunk_size; /**< hint for its first chunk; 0: the default */
    arena_t *parent;   /**< confined, shared: closed when the parent closes */
    unsigned flags;    /**< ARENA_TRACED, ARENA_GUARDED */
} arena_options_t;

/** Initialiser of arena_options_t: everything default. */
#define ARENA_OPTIONS_INIT                                                    \
    {                                                                         \
        sizeof(arena_options_t), 0, 0, 0, 0, 0                                \
    }

/** A place in a confined arena, to rewind to.  Opaque; copy it freely. */
typedef struct arena_mark_place {
    uint64_t id;    /**< of the mark; never used again in the process */
    uint64_t arena; /**< that it was taken in */
} arena_mark_t;

/* --- Opening and closing ----------------------------------------------- */

/**
 * The global arena: one per process, never closed, its memory never freed.
 *
 * @return the arena; never fails.
 *
 * Threads: any.  Lifetime: the process's.  Collects: never.
 * As Arena.global() of the JDK.
 */
ARENA_API arena_t *arena_global(void);

/**
 * The implicit arena: each block allocated from it is freed by itself.
 *
 * Its blocks are not searched for pointers: a list of them loses its tail.
 * arena_malloc of arena/heap.h has blocks that are.
 *
 * NULL means the same in the arena_alloc calls, and only there.
 *
 * @return the arena; never fails.
 *
 * Threads: any.  Lifetime: the process's.  Collects: never.
 * As coffi's allocation without an arena.
 */
ARENA_API arena_t *arena_implicit(void);

/**
 * Open an auto arena: its memory is freed all at once, after nothing
 * reachable points to it or into any of its blocks.
 *
 * The first call in a process starts the collector.
 *
 * @return the arena; or NULL with errno set:
 *         ENOTSUP  the collector runs in a mode that auto arenas cannot use
 *                  (incremental, or finding leaks)
 *         ENOMEM   over the budget, or the system refused
 *
 * Threads:  any; attaches the calling thread.
 * Lifetime: while the collector can see a pointer to it or into a block.
 * Collects: may.
 * As Arena.ofAuto() of the JDK, but raw pointers count.
 */
ARENA_API arena_t *arena_auto(void);

/**
 * Open a confined arena, owned by the calling thread.
 *
 * Check for NULL, here and at the other openers: arena_alloc takes NULL for
 * the implicit arena.
 *
 * @return the arena; or NULL with errno ENOMEM: the system refused.
 *
 * Threads:  any; only the owner may allocate from it and close it.
 * Lifetime: until arena_close.  An arena whose owner thread ended stays open
 *           until some thread takes it over with arena_adopt.
 * Collects: never.
 * As Arena.ofConfined() of the JDK.
 *
 *     arena_t *a = arena_confined();
 *     char *line = arena_printf(a, "%s:%d", file, number);
 *     ...
 *     arena_close(a);
 */
ARENA_API_SHORT arena_t *arena_confined(void);

/**
 * Open a shared arena: any thread may use and close it.
 *
 * @return the arena; or NULL with errno ENOMEM: the system refused.
 *
 * Threads: any.  Lifetime: until arena_close.  Collects: never.
 * As Arena.ofShared() of the JDK.
 */
ARENA_API_SHORT arena_t *arena_shared(void);

/**
 * Open an arena with options.
 *
 * A child (options->parent) is closed when its parent closes or resets; a
 * confined child needs a confined parent of the same thread, a shared child a
 * shared one.  The child's bytes count in the parent's limit.
 * ARENA_GLOBAL and ARENA_IMPLICIT give the arenas of arena_global and
 * arena_implicit, and take no options but the defaults.
 *
 * @param kind     which kind
 * @param options  how, or NULL for the defaults; not kept
 *
 * @return the arena; or NULL with errno set:
 *         EINVAL   unknown kind or flag, options->size of no known version,
 *                  a parent of the wrong kind
 *         ENOTSUP  options that this kind does not take
 *         EPERM    the parent is confined to another thread
 *         ESTALE   the parent is closed
 *         ENOMEM   over the budget, or the system refused
 *
 * Threads:  any.
 * Lifetime: by its kind, as above.
 * Collects: may, for ARENA_AUTO and with ARENA_TRACED, else never.
 */
ARENA_API arena_t *arena_open(arena_kind_t kind,
                              const arena_options_t *options);

/**
 * Close an arena: run its close actions, then free all its memory.
 *
 * Children are closed with it: all of them are marked closed first, then
 * their actions run, then the arena's own, last registered first; only then
 * any memory is freed.  The cost is a few instructions per chunk, however
 * many blocks there are.
 *
 * @param arena  the arena; NULL: nothing is done
 *
 * @return 0; or -1 with errno set:
 *         ENOTSUP  global, auto or implicit
 *         EPERM    confined to another thread
 *         ESTALE   closed already (of several closers one wins, the others
 *                  get this, and arena_is_alive is false by then)
 *         EBUSY    it or a descendant is acquired
 *
 * Threads:  shared: any; confined: its owner.
 * Lifetime: the handle answers ESTALE afterwards, until its control block is
 *           used again: while that thread lives, at the earliest after 64
 *           further closes by it.
 * Collects: never; but the close actions may.
 */
ARENA_API_SHORT int arena_close(arena_t *arena);

/**
 * Close an arena after waiting for those who acquired it.
 *
 * While it waits the arena stays alive and allocations go on; new acquires
 * get EBUSY, so the wait cannot starve.  Otherwise as arena_close.
 *
 * @param arena       the arena; NULL: nothing is done
 * @param timeout_ms  milliseconds; < 0: for ever, 0: do not wait
 *
 * @return 0; or -1 with errno as arena_close, and:
 *         EBUSY      the calling thread itself holds an acquire
 *         ETIMEDOUT  still acquired; nothing has changed
 *
 * Threads, Lifetime, Collects: as arena_close.
 */
ARENA_API int arena_close_wait(arena_t *arena, int timeout_ms);

/**
 * Free all contents of an arena and keep it open.
 *
 * Runs its close actions, closes its children, makes its marks invalid.  In
 * those actions the arena counts as closed for the thread that runs them.
 * What other threads allocate while a shared arena is reset either goes with
 * the old contents or belongs to the new.
 *
 * @param arena  a confined or shared arena
 *
 * @return 0; or -1 with errno set:
 *         EINVAL   NULL
 *         ENOTSUP  global, auto or implicit
 *         EPERM, ESTALE, EBUSY  as arena_close
 *
 * Threads, Collects: as arena_close.
 */
ARENA_API int arena_reset(arena_t *arena);

/* --- Allocation -------------------------------------------------------- */

/**
 * Allocate zero-filled memory.
 *
 * Size 0 gives a valid pointer that no other block has.
 *
 * @param arena  the arena; NULL: the implicit arena
 * @param size   in bytes
 *
 * @return the block, aligned for max_align_t; or NULL with errno set:
 *         EPERM    confined to another thread
 *         ESTALE   closed
 *         ENOTSUP  implicit: the collector runs in an unusable mode
 *         ENOMEM   see the top of this file
 *
 * Threads:  confined: its owner; else any.
 * Lifetime: the arena's.
 * Collects: auto, implicit and traced arenas may.  For every kind the budget
 *           may, when it is short and a collector runs.
 * As MemorySegment Arena.allocate of the JDK.
 */
ARENA_API_SHORT void *arena_alloc(arena_t *arena, size_t size)
    ARENA_ATTR_MALLOC ARENA_ATTR_SIZE(2);

/** As arena_alloc, but aligned to align.
 *  @return as arena_alloc, and EINVAL: align is no power of two. */
ARENA_API void *arena_alloc_aligned(arena_t *arena, size_t size, size_t align)
    ARENA_ATTR_MALLOC ARENA_ATTR_SIZE(2);

/** As arena_alloc of count * size bytes.
 *  @return as arena_alloc; ENOMEM too when the product overflows. */
ARENA_API void *arena_alloc_array(arena_t *arena, size_t count, size_t size)
    ARENA_ATTR_MALLOC ARENA_ATTR_SIZE2(2, 3);

/** As arena_alloc, but the contents are not defined: the cheapest one. */
ARENA_API_SHORT void *arena_alloc_uninit(arena_t *arena, size_t size)
    ARENA_ATTR_MALLOC ARENA_ATTR_SIZE(2);

/** As arena_alloc, filled with the size bytes at data.
 *  @return as arena_alloc, and EINVAL: data is NULL and size is not 0. */
ARENA_API void *arena_memdup(arena_t *arena, const void *data, size_t size)
    ARENA_ATTR_MALLOC;

/** As arena_alloc, filled with a copy of the string s.
 *  @return as arena_alloc, and EINVAL: s is NULL. */
ARENA_API char *arena_strdup(arena_t *arena, const char *s)
    ARENA_ATTR_MALLOC;

/** As arena_strdup, of at most n bytes of s; always terminated. */
ARENA_API char *arena_strndup(arena_t *arena, const char *s, size_t n)
    ARENA_ATTR_MALLOC;

/** As arena_alloc, filled with the text that printf would print.
 *  @return as arena_alloc, and EINVAL: format is NULL or cannot be printed. */
ARENA_API char *arena_printf(arena_t *arena, const char *format, ...)
    ARENA_ATTR_MALLOC ARENA_ATTR_FORMAT(2, 3);

/** As arena_printf, with the arguments in args. */
ARENA_API char *arena_vprintf(arena_t *arena, const char *format, va_list args)
    ARENA_ATTR_MALLOC ARENA_ATTR_FORMAT(2, 0);

/**
 * Change the size of a block; new bytes are zero.
 *
 * In place when it is the last block that this thread took from the arena,
 * and room is left; else it moves to a new block aligned for max_align_t.
 * Global, auto, confined and shared arenas keep the old block until they are
 * freed; the implicit arena frees it.
 *
 * @param arena     the arena that holds the block; NULL: the implicit arena
 * @param block     the block; NULL: allocates
 * @param old_size  the size that it was allocated with, in bytes
 * @param new_size  in bytes
 *
 * @return the block; or NULL, the block untouched, with errno as
 *         arena_alloc, and:
 *         EINVAL   the arena does not hold the block
 *
 * Threads, Collects: as arena_alloc.
 */
ARENA_API void *arena_resize(arena_t *arena, void *block, size_t old_size,
                             size_t new_size);

/**
 * Free a block of the implicit arena or of arena_malloc at once.
 *
 * Exactly once against the collector.  What libc's malloc allocated is given
 * to libc's free.  Anything else is refused and nothing changes: a block of
 * another arena, a block freed before, a pointer into the middle of a block
 * or to no block at all.  Pointers to memory that is not the library's are
 * recognised at best effort.  A block that a pushed arena gave in malloc's
 * place (arena/heap.h) stays in it, in silence.
 *
 * A block of arena_malloc that was freed before is recognised as long as it
 * was not handed out again, and nobody has written to it since.
 *
 * @param block  the block; NULL: nothing is done
 *
 * errno is kept when it succeeds; EINVAL tells of a refusal.
 *
 * Threads: any.  Collects: never.
 */
ARENA_API void arena_free(void *block);

/** A zero-filled object of the type, aligned for it; as arena_alloc_aligned. */
#define arena_new(arena, type)                                                \
    ((type *)arena_alloc_aligned((arena), sizeof(type), ARENA_ALIGNOF(type)))

/** A zero-filled array of n objects of the type; as arena_alloc_array.
 *  For types that need no more than max_align_t's alignment. */
#define arena_new_array(arena, type, n)                                       \
    ((type *)arena_alloc_array((arena), (n), sizeof(type)))

/**
 * Remember the present place in a confined arena.
 *
 * A mark stays good through any number of rewinds to it, until the arena is
 * reset, closed, or rewound to an earlier mark.
 *
 * A mark takes some 100 bytes of the arena, which a rewind to an earlier one
 * frees.  Taken where the newest one is, with nothing in between, it takes
 * none: so a loop may mark and rewind.
 *
 * @param arena  a confined arena
 * @param out    receives the mark
 *
 * @return 0; or -1 with errno set:
 *         EINVAL   arena or out is NULL
 *         ENOTSUP  not a confined arena
 *         EPERM    confined to another thread
 *         ESTALE   closed
 *         ENOMEM   over the arena's limit or the budget, or the system refused
 *
 * Threads: the owner.  Collects: as arena_alloc.
 */
ARENA_API int arena_mark(arena_t *arena, arena_mark_t *out);

/**
 * Free what was allocated after a mark was taken.
 *
 * Close actions registered after it run, children opened after it are
 * closed, marks taken after it become invalid.
 *
 * @param arena  a confined arena
 * @param mark   a mark of this arena
 *
 * @return 0; or -1 with errno set:
 *         EINVAL   arena is NULL; a mark of another arena or a dropped one
 *         ENOTSUP, EPERM, ESTALE  as arena_mark
 *         EBUSY    the arena, or a child to be closed, is acquired
 *
 * Threads: the owner.  Collects: never; but the close actions may.
 */
ARENA_API int arena_rewind(arena_t *arena, arena_mark_t mark);

/* --- Keeping open, close actions, ownership ---------------------------- */

/**
 * Keep an arena from being closed until arena_release.  Nests.
 *
 * On an auto arena it pins the arena; on the global and the implicit arena it
 * does nothing.
 *
 * @return 0; or -1 with errno set:
 *         EINVAL   NULL
 *         EPERM    confined to another thread
 *         ESTALE   closed
 *         EBUSY    a thread waits in arena_close_wait
 *         ENOMEM   the system refused
 *
 * Threads: confined: its owner; else any.  Collects: never.
 */
ARENA_API int arena_acquire(arena_t *arena);

/**
 * Undo one arena_acquire.
 *
 * One of the calling thread's own, or, when it has none, one of another
 * thread's.
 *
 * @return 0; or -1 with errno EINVAL: NULL, or not acquired.
 *
 * Threads: any, also for confined arenas.  Collects: never.
 */
ARENA_API int arena_release(arena_t *arena);

/**
 * Register an action to run when the arena is closed, reset, rewound, or, for
 * an auto arena, found unreachable.
 *
 * Actions run last registered first, each exactly once, all of them before
 * any memory of the arena is freed.  In one of them the arena counts as
 * closed.  Explicit kinds run them on the thread that closes; auto arenas on
 * the library's own cleaner thread.  An action must return: not by longjmp, an
 * exception or pthread_exit.
 *
 * @param arena   an auto, confined or shared arena
 * @param action  called with arg
 * @param arg     kept alive until the action has run.  For an auto arena it
 *                must not lead back to the arena, or the arena is never freed
 *
 * @return 0; or -1 with errno set, the action not registered:
 *         EINVAL   arena or action is NULL; arg points into the auto arena
 *         ENOTSUP  global or implicit
 *         EPERM    confined to another thread
 *         ESTALE   closed
 *         ENOMEM   over the budget, or the system refused
 *
 * Threads: confined: its owner; else any.  Collects: may, when a collector
 * runs.
 */
ARENA_API int arena_on_close(arena_t *arena, void (*action)(void *),
                             void *arg);

/**
 * Take over a confined arena whose owner thread has ended.
 *
 * Ended means that the last round of its thread-specific destructors has
 * begun; after fork the threads that the child does not have count as ended.
 *
 * @return 0, also when the caller owns it already; or -1 with errno set:
 *         EINVAL   NULL
 *         ENOTSUP  not a confined arena
 *         EPERM    its owner lives, or another thread was faster
 *         ESTALE   closed
 *
 * Threads: any; of several callers one wins.  Collects: never.
 */
ARENA_API int arena_adopt(arena_t *arena);

/* --- What the collector sees ------------------------------------------- */

/**
 * Keep the collected memory that ptr points into, wherever ptr is stored.
 * Counted: as many arena_unpin are needed.
 *
 * @return 0; or -1 with errno set:
 *         EINVAL   ptr does not point into collected memory
 *         ENOMEM   the system refused
 *
 * Threads: any.  Collects: may.
 */
ARENA_API int arena_pin(const void *ptr);

/** Undo one arena_pin of the same pointer.
 *  @return 0; or -1 with errno EINVAL: it is not pinned. */
ARENA_API int arena_unpin(const void *ptr);

/**
 * Let the collector look for pointers in the bytes from lo up to hi.
 *
 * @return 0; or -1 with errno set:
 *         EINVAL   lo is NULL or not below hi
 *         ENOTSUP  the collector runs in an unusable mode
 *         ENOMEM   the system refused
 *
 * Threads:  any.
 * Lifetime: the bytes must stay readable until arena_remove_roots.
 * Collects: may.
 */
ARENA_API int arena_add_roots(void *lo, void *hi);

/** Undo arena_add_roots with the same two values.
 *  @return 0; or -1 with errno EINVAL: no such range. */
ARENA_API int arena_remove_roots(void *lo, void *hi);

/**
 * Make the calling thread's registers, stack and static thread-local
 * variables visible to the collector.
 *
 * A thread does so by itself on its first use of collected memory, and undoes
 * it when it ends: call this in threads that only hold pointers.  Attached
 * threads can see EINTR from sleep, poll, select, epoll_wait and the like
 * when a collection happens.
 *
 * @return 0, also when it is attached; or -1 with errno set:
 *         ENOTSUP  the collector runs in an unusable mode
 *         ENOMEM   the system refused
 *
 * Threads: any.  Collects: never.
 */
ARENA_API int arena_thread_attach(void);

/** Undo the attachment of the calling thread, made by hand or by itself.
 *  Its pointers no longer count.
 *  @return 0, also when it is not attached; or -1 with errno EPERM: the main
 *          thread, or one that the program registered with libgc itself. */
ARENA_API int arena_thread_detach(void);

/* --- Asking ------------------------------------------------------------ */

/** The arena's kind.  Threads: any.  Never fails; arena must not be NULL. */
ARENA_API arena_kind_t arena_kind(const arena_t *arena);

/** The arena's name, "" if it has none.  Good while the arena is open. */
ARENA_API const char *arena_name(const arena_t *arena);

/** The bytes that the arena has reserved from the budget; 0 when closed or
 *  NULL.  Threads: any. */
ARENA_API size_t arena_bytes(const arena_t *arena);

/** Is the arena open?  NULL: no.  Threads: any.  Never fails. */
ARENA_C99_ ARENA_API bool arena_is_alive(const arena_t *arena);

/** Is the arena open, and may the calling thread allocate from it? */
ARENA_C99_ ARENA_API bool arena_is_accessible(const arena_t *arena);

/**
 * The arena whose memory holds ptr.
 *
 * The pointer may lead anywhere into a block, or nowhere: any value is safe.
 * arena_implicit() for blocks of the implicit arena and of arena_malloc.
 *
 * @return the arena; or NULL if there is none, errno untouched.
 *
 * Threads: any.  Collects: never.  Constant time.
 */
ARENA_API arena_t *arena_of(const void *ptr);

/** Make sure that what ptr points into is alive up to this call.  Needed only
 *  where the compiler could drop or disguise the last pointer to it. */
ARENA_API void arena_keep_alive(const void *ptr);

/** This thread's last failure as a sentence, "" if there was none.  Good
 *  until the thread's next failure. */
ARENA_API const char *arena_error(void);

/** List the open arenas: kind, name, bytes, blocks, age in seconds, owner.
 *  Auto arenas are listed as one line, with their count.
 *  The age of an arena opened in a burst is the age of the burst.  Of a name
 *  control characters and backslashes are shown as \ and three octal digits.
 *  Says, too, which variables of the environment have a value that means
 *  nothing, and whether another libarena is in the process.
 *  @return 0; or -1 with errno set: EINVAL: stream is NULL; or as fprintf. */
ARENA_API int arena_report(FILE *stream);

/* --- Scopes ------------------------------------------------------------ */

/** For ARENA_AUTOCLOSE and ARENA_WITH; keeps errno. */
ARENA_API void arena_scope_end(arena_t **arena);

/**
 * Closes the arena when the variable's block is left in any way but longjmp
 * and the end of the thread; keeps errno.
 *
 *     arena_t *a ARENA_AUTOCLOSE = arena_confined();
 */
#define ARENA_AUTOCLOSE ARENA_ATTR_CLEANUP(arena_scope_end)

/**
 * A block with an arena of its own, closed as by ARENA_AUTOCLOSE.
 *
 * If open gives NULL the block is skipped.  break and continue inside apply
 * to the block itself.
 *
 *     ARENA_WITH(a, arena_confined()) {
 *         char *text = arena_strdup(a, line);
 *         ...
 *     }
 */
#define ARENA_WITH(name, open)                                                \
    for (arena_t *name ARENA_AUTOCLOSE = (open),                              \
                       *ARENA_ONCE_(name) = name;                             \
         ARENA_ONCE_(name) != NULL; ARENA_ONCE_(name) = NULL)
#define ARENA_ONCE_(name) name##_once_

#ifdef __cplusplus
}
#endif

#endif
