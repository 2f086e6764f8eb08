/*
 * internal.h: the map of the library, and what every module needs.
 *
 * A block goes to the user from one of these places:
 *
 *   arena.c      allocation in any arena: fast paths, checks, dispatch; open.c:
 *                opening; filled.c: strings and other blocks with contents;
 *                inquiry.c: what an arena is, and whose an address
 *   explicit.c   confined, shared and global arenas: bump allocation in
 *                chunks of the system's malloc, marks, freeing
 *   auto.c       auto arenas: rings of collected parts; auto_parts.c: where
 *                they allocate
 *   implicit.c   implicit blocks
 *   buffer.c     direct buffers: collected handles over bytes from malloc,
 *                which payload.c has; bytes.c: reading and writing them
 *   mapping.c    mapped files, as chunks of an arena
 *   heap.c       arena_malloc and its family; scope.c: arenas that malloc
 *                takes from for a while
 *   legacy_*.c   libc's allocating functions, and those that free or grow
 *                memory of the program's, for programs that are only
 *                recompiled (legacy.h); so is memstream.c
 *   serialize.c  copies of what a layout describes (layout.c, and paths in
 *                layout_path.c), in any of those: walk.c goes through a
 *                value (walk_number.c, walk_pointer.c, walk_group.c: its
 *                parts), graph.c finds what was met before, pointee.c says
 *                how far memory goes, number.c converts numbers, draft.c
 *                holds the copies until there is a block, fault.c names the
 *                field
 *
 * Checked memory, over all of these:
 *
 *   segment.c    making segments, parts and views of them
 *   access.c     the checks of an access; single numbers
 *   transfer.c   copies, arrays, strings, atomic operations
 *   handshake.c  accesses of shared arenas against their close
 *   cell.c       what makes segments stale that a rewind has undone
 *
 * Below them:
 *
 *   close.c      closing, with children; lifecycle.h is the header of these
 *   reset.c      reset, marks, rewind
 *   cursor.c     runs of confined arenas that programs carve up themselves
 *   action.c     close actions; extra.c: those of auto arenas, and more
 *   hold.c       acquire, release, adopt
 *   chunk.c      chunks of explicit kinds: making, freeing and keeping them;
 *                chunk_take.c: whose they are, and limits; chunk_cache.c: each
 *                thread's; stock.c: large ones, kept for all threads; ager.c:
 *                a thread that ages those
 *   magazine.c   free heap blocks at hand, per thread; the depot between them
 *   sizeclass.c  the sizes of those; blockmap.c: from an address to its class
 *   surplus.c    pages that the collector will not need soon
 *   control.c    control blocks of explicit arenas: slabs, never unmapped
 *   pagemap.c    from an address to its arena, without a lock
 *   collected.c  how collected blocks are had and counted; collected_find.c:
 *                whose one is that is found
 *   budget.c     what all of them reserve from; reserve.c: what is done for
 *                reservations that do not fit; waiters.c: their queue
 *   credit.c     what each thread has of it for small collected blocks
 *   cleaner.c    the pending list, the cleaner thread, collecting on demand
 *   phantom.c    phantoms and cleanables; queue.c: where phantoms go
 *   record.c     what is behind both: links to referents, and deaths
 *   usage.c      snapshots and the report; trace.c: a log of events
 *   thread.c     the record of each thread, its beginning and its end; fork
 *   collector.c  the collector, which collector_*.c alone know
 *   roots.c      what the collector looks at beside its own: pins, ranges,
 *                thread-local storage, all writable mappings
 *   maps.c       reading the process's mappings; the collector's own ones
 *   stop.c       stopping threads of programs that know no collector
 *   linkage.c    answering what another library calls
 *   interpose.c  what libarena-malloc asks for
 *   os_linux.c   the system: memory, clock, waiting, limits
 *   environment.c  the variables that are read, and those passed over
 *   error.c      arena_error
 *
 * Locks, in the order in which they may nest: the tree lock and the arena
 * stripes (sync.c), the leaves: budget, waiters, thread list,
 * control, records (record.c), the depot (magazine.c), the stock, meta.  None
 * is ever held while the collector is called, since a collection runs code of
 * the host program; so the collector's own lock may be taken before any of
 * them, never after.
 */
#ifndef ARENA_INTERNAL_H
#define ARENA_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/arena.h"

/* --- Compiler --- */

#define ARENA_LIKELY(x) __builtin_expect(!!(x), 1)
#define ARENA_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* Of two ways that both matter the first goes straight on; but the other is
 * not made small, by jumps to what they have in common. */
#if __has_builtin(__builtin_expect_with_probability)
#define ARENA_MOSTLY(x) __builtin_expect_with_probability(!!(x), 1, 0.75)
#else
#define ARENA_MOSTLY(x) (!!(x))
#endif
#define ARENA_COLD __attribute__((noinline, cold))
#define ARENA_NOINLINE __attribute__((noinline))
/* Of functions so short that where they begin in a cache line shows. */
#define ARENA_ALIGNED __attribute__((aligned(64)))
#define ARENA_INLINE inline __attribute__((always_inline))

/* Of variables that the shortest ways read: no table of addresses between. */
#define ARENA_HIDDEN __attribute__((visibility("hidden")))

/* Thread-local storage without a call: the library asks for about 32 bytes. */
#define ARENA_TLS _Thread_local __attribute__((tls_model("initial-exec")))

#define ARENA_GRANULE ((size_t)16) /* of every block: alignof(max_align_t) */
#define ARENA_PAGE ((size_t)4096)  /* of the page map, and of chunks */
#define ARENA_LINE ((size_t)64)    /* of the processor's cache */

_Static_assert(_Alignof(max_align_t) <= 16, "blocks are 16-byte aligned");

/* --- Assertions: --enable-debug; otherwise compiled, never evaluated --- */

void arenap_assert_failed(const char *condition, const char *file, int line)
    __attribute__((noreturn));

#if ARENA_DEBUG
#define ARENA_ASSERT(c)                                                       \
    (ARENA_LIKELY(c) ? (void)0 : arenap_assert_failed(#c, __FILE__, __LINE__))
#else
#define ARENA_ASSERT(c) ((void)sizeof(!(c)))
#endif

/* --- struct arena --- */

struct action;
struct arena_extra;
struct chunk;
struct hold;
struct thread;

/* Owner of what no thread owns; odd numbers are serials of threads, or what
 * stands for them as owner of an arena that lends its run to a cursor. */
#define ARENA_NOBODY ((uint64_t)2)
#define ARENA_SERIALS 8 /* apart from one thread to the next */
#define ARENA_LENT(serial) ((serial) - 4)

/* In its place an auto arena has a tag; which thread opened it, above the bits
 * that make it one.  Serials are one less than a multiple of ARENA_SERIALS. */
#define ARENA_TAG ((uint64_t)8)
#define ARENA_HOME(serial) (2 * (serial) + 2 + ARENA_TAG)

enum arena_state {
    ARENA_OPEN = 1u,    /* not closed */
    ARENA_CLOSING = 2u, /* a closer waits: no new acquires */
};

/* Beside the public flags: confined, and it never had a parent, children,
 * actions, marks, holds or options. */
#define ARENA_PLAIN 0x80u

/* Ticks of struct arena: 16.8 ms each, so that 32 bits last for two years. */
#define ARENA_TICK_SHIFT 24

/*
 * The control block of an arena.
 *
 * Of explicit kinds it lies in a slab (control.c) and is used again.  Of an
 * auto arena only the first ARENA_AUTO_HEAD bytes exist: they are the head of
 * a collected block (auto.h), whose first two words the collector knows.
 *
 * A confined arena is touched by its owner alone, so owner, bump, end and the
 * like are plain there; in shared and global ones they are guarded by the
 * arena's stripe lock.
 */
struct arena {
    /* Serial of the thread that may allocate without asking, or ARENA_LENT of
     * it; ARENA_NOBODY when closed, and for all kinds but
     * confined.  Auto: ARENA_HOME of the thread that opened it, or ARENA_TAG
     * when its close actions run or ran. */
    _Atomic uint64_t owner;
    void *chunks; /* newest first; auto: the newest part of the ring */
    char *bump;   /* next free byte, a multiple of the granule */
    char *end;    /* of the current chunk's room; auto: of what is zero */
    struct arena_extra *extra; /* auto: name, actions, pins; or NULL */
    /* Bytes asked for, and for explicit kinds TALLY_BLOCK per block, since
     * the last fold into requested and blocks. */
    uint64_t tally;
    uint8_t kind;   /* arena_kind_t */
    uint8_t flags;  /* of the options, and ARENA_PLAIN */
    uint8_t growth; /* class of the next chunk */
    _Atomic uint8_t state;
    uint32_t born; /* explicit kinds: when, in ticks of the coarse clock */
    _Atomic uint64_t epoch; /* advanced whenever contents are freed */
    /* --- explicit kinds only, from here on --- */
    _Atomic size_t reserved; /* but see arenap_explicit_is_short */
    _Atomic size_t requested; /* of folded tallies */
    _Atomic size_t blocks;
    struct mark *marks; /* newest first, in the arena's own memory */
    uint64_t owner_serial; /* confined: of the owner; stays when closed */
    uint64_t lease; /* of the run that a cursor has; 0: none */
    /* --- and of those, only when they are not plain --- */
    size_t limit;           /* 0: none */
    _Atomic size_t subtree; /* with a limit: own and descendants' bytes */
    struct action *actions; /* newest first */
    struct arena *parent, *children, *sibling; /* children newest first */
    uint64_t order;      /* among the parent's children, rising */
    uint64_t next_order; /* of its own children */
    _Atomic uint32_t acquired;                 /* sum of holds */
    uint32_t closers; /* threads in arena_close_wait of this arena */
    /* Threads inside it with no lock; see explicit.h.  More come under the
     * lock, and only while it is open. */
    _Atomic uint32_t users;
    bool orphan;        /* closed; the last of them disposes of it */
    bool gathered;      /* somebody with the tree lock is about to mark it */
    bool limited;       /* it or an ancestor has a limit */
    uint8_t stripe;     /* its lock; never changes */
    struct chunk *limbo; /* freed contents that they may still write to */
    _Atomic uint32_t sleepers; /* in arena_close_wait, for its release */
    uint64_t closes;    /* so far; says whether it is the same arena */
    _Atomic uint64_t rewinds; /* so far, of all arenas that had it */
    _Atomic uint64_t segmented; /* shared: after the last epoch with segments */
    struct hold *holds;
    char *name; /* malloc'd, or NULL */
    struct arena *free_next; /* control.c; and of those being closed */
};

/* The two that are always there. */
extern ARENA_HIDDEN struct arena arenap_global, arenap_implicit;

/* An arena's name; to be freed.  NULL with errno set. */
char *arenap_name_copy(const char *name);

#define ARENA_AUTO_HEAD 64
_Static_assert(offsetof(struct arena, reserved) == ARENA_AUTO_HEAD,
               "the first line is what auto arenas have");

/* A block adds its size and this to a tally: a chunk's worth of blocks has
 * less than 2^30 bytes, so one addition counts both. */
#define TALLY_BLOCK ((uint64_t)1 << 30)
#define TALLY_BYTES(t) ((size_t)((t) & (TALLY_BLOCK - 1)))
#define TALLY_BLOCKS(t) ((size_t)((t) >> 30))

/* --- Counting --- */

/*
 * How many of something there are, or were; and how many of those went some
 * longer way, which counts them elsewhere too.  The short ways add to the
 * first alone.  Written by one thread; others read both together, so that
 * what goes the longer ways never shows.
 */
struct counted {
    uint64_t all, longer;
    _Atomic uint32_t changes; /* odd while both are being changed */
};

/* Add to both; the first must not go below zero. */
static inline void
arenap_counted_add(struct counted *counted, uint64_t by)
{
    uint32_t changes =
        atomic_load_explicit(&counted->changes, memory_order_relaxed);

    atomic_store_explicit(&counted->changes, changes + 1,
                          memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    __atomic_store_n(&counted->all, counted->all + by, __ATOMIC_RELAXED);
    __atomic_store_n(&counted->longer, counted->longer + by,
                     __ATOMIC_RELAXED);
    atomic_store_explicit(&counted->changes, changes + 2,
                          memory_order_release);
}

/* The short ways: so many by now. */
static inline void
arenap_counted_set(struct counted *counted, uint64_t all)
{
    __atomic_store_n(&counted->all, all, __ATOMIC_RELAXED);
}

/* All, to a thread that does not write it. */
static inline size_t
arenap_counted_all(struct counted *counted)
{
    return __atomic_load_n(&counted->all, __ATOMIC_RELAXED);
}

/* Those of the short ways; wraps below zero. */
size_t arenap_counted_short(struct counted *counted);

/* --- Arithmetic --- */

/* Round up to a power of two; may wrap. */
static inline size_t
arenap_round_up(size_t size, size_t to)
{
    return (size + (to - 1)) & ~(to - 1);
}

/* The bytes that a block of a size takes of a run; one of size 0 has an
 * address of its own too. */
static inline size_t
arenap_room(size_t size)
{
    return arenap_round_up(size + (size == 0), ARENA_GRANULE);
}

static inline bool
arenap_is_pow2(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

#endif
