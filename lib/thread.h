/*
 * thread.h: the record of each thread.
 *
 * Records are never unmapped.  One that a thread left is used again by a
 * later thread, with its counters as they are: only sums over all records
 * mean anything.  Who a thread is says its serial, which is never used again.
 *
 * A thread gives its record back in the last round of its thread-specific
 * destructors.  Which round is the last is known only for threads that were
 * bound before the first; others, and what a thread calls after the last, are
 * found out: their records are on the list of ending threads, and are taken
 * back when the system no longer knows the thread.  The collector cannot be
 * told of the end of another thread: so in each round it is told to forget
 * this one, which becomes known again only if it is used again.
 */
#ifndef ARENA_LIB_THREAD_H
#define ARENA_LIB_THREAD_H

#include "chunk_cache.h"
#include "control.h"
#include "counter.h"
#include "credit.h"
#include "internal.h"
#include "magazine.h"

enum attached {
    ATTACHED_NOT,
    ATTACHED_OURS, /* we registered it with the collector */
    ATTACHED_HOST  /* the collector or its user did */
};

/* A run of an arena's chunk that one thread allocates from without a lock.
 * Valid while epoch is the arena's. */
struct piece {
    _Atomic(struct arena *) arena;
    _Atomic uint64_t epoch;
    char *bump, *end;
    _Atomic uint64_t tally; /* as in struct arena */
    uint32_t taken; /* bytes, the last time */
    bool zeroed;    /* are its bytes zero? */
} __attribute__((aligned(64)));

#define THREAD_PIECES 8

/* Shared arenas that a thread can access at a time, through segments. */
#define THREAD_ACCESSES 2

/* Kinds of collected blocks that are kept in lists, and their classes: up to
 * 29 granules. */
#define LIST_KINDS 3
#define LIST_CLASSES 30

/* The pools that are counted by thread: the kinds of arena, by arena_kind_t,
 * and then these. */
enum {
    POOL_BUFFERS = ARENA_IMPLICIT + 1,
    POOL_HANDLES, /* of buffers, not charged: views, and those freed by hand */
    POOLS
};

/* What this thread took and gave back, by pool; wraps below zero when other
 * threads take what this one gives.  Written by its thread only. */
struct counts {
    _Atomic size_t reserved, requested, count;
};

/* An arena whose contents this thread drops, actions running; innermost
 * first. */
struct dropping {
    const struct arena *arena;
    const struct dropping *outer;
};

struct thread {
    /* --- what the fast paths touch --- */
    _Atomic uint64_t serial; /* 0: nobody's */
    uint64_t plain; /* how arenas begin that are opened the short way */
    struct chunk_cache cache;
    struct control_ring ring;
    uint64_t stamp_due; /* by then, as ring.taken counts, it is too old */
    uint64_t stamp;     /* coarse clock, ns */
    struct counts counts[POOLS];
    /* Free collected blocks, by granules; good for one cycle. */
    void *list[LIST_KINDS][LIST_CLASSES];
    uint64_t list_cycle; /* collections by then */
    struct credit credit;
    uint64_t auto_epoch; /* the next of those that it has; auto.c */
    struct arena_extra *extras; /* free ones; see extra.h */
    uint32_t extras_count;
    bool kept; /* known to the collector until it says otherwise */
    struct bins bins;    /* free heap blocks at hand */
    struct piece piece[THREAD_PIECES];
    struct cell *cells; /* free ones; see cell.h */
    uint64_t leases;    /* of cursors, so far */
    /* See handshake.h. */
    _Atomic(const struct arena *) accessing[THREAD_ACCESSES];
    _Atomic bool accesses; /* has it ever? */
    /* --- the rest --- */
    struct thread *next;      /* all records */
    struct thread *next_free; /* unused, or ending, ones */
    int tid;
    unsigned rounds; /* of thread-specific destructors so far */
    bool late; /* no further round may come */
    bool is_main;
    bool is_cleaner;
    bool relieved;    /* was the cleaner, and ends after this action */
    bool collecting;  /* inside the collector, through us */
    unsigned acting;  /* depth of close actions that it runs */
    const struct dropping *dropping;
    /* What the collector must know of its stack; see roots.c. */
    _Atomic uint8_t attached; /* enum attached */
    _Atomic uintptr_t stack_lo, stack_hi, tcb;
    void *handle;   /* the collector's, of a thread that it knows */
    uintptr_t base; /* where the collector's search of the stack ends */
    /* How it is stopped; see stop.c. */
    _Atomic uint8_t stop;         /* enum stop */
    bool astray;                  /* found on another stack this time */
    uint64_t stop_since;          /* when the signal was sent */
    _Atomic uintptr_t stop_frame; /* of the handler, when it last ran */
    _Atomic uintptr_t sleep_frame; /* of who went to sleep last */
    size_t heap_unaccounted; /* bytes since the last update; heap.c */
    struct counts heap;
    struct scope *scope; /* innermost, or NULL; scope.h */
    char error[256];
} __attribute__((aligned(64)));

struct arenap_tls {
    uint64_t serial;       /* 0: not bound */
    struct thread *record; /* NULL: not bound */
    /* The piece of the shared arena that was used last; of no arena when that
     * is NULL.  Then the piece says the same. */
    const struct arena *shared;
    const struct arena *zeroed; /* the same; NULL if the piece is not zero */
    struct piece *piece;
    bool ended;
    bool stopped;            /* inside the handler of stop.c */
    bool asleep;             /* by stop.c */
    volatile uint32_t stops; /* how often it was */
};

extern ARENA_HIDDEN ARENA_TLS struct arenap_tls arenap_tls;
/* arena_self_ of arena/segment.h is its serial, too. */

/* Bind a record to the calling thread; NULL when the system refuses. */
struct thread *arenap_thread_bind(void);

/* The calling thread's record; NULL when the system refuses one. */
static inline struct thread *
arenap_thread_self(void)
{
    struct thread *self = arenap_tls.record;

    return ARENA_LIKELY(self != NULL) ? self : arenap_thread_bind();
}

/* A zero-filled block from a list; or NULL, for instance if the next one is
 * spare: there may be more.  It is in a register
 * before the count of collections is read, and with it all that follow, where
 * a collection that begins later finds them. */
static inline void *
arenap_thread_listed(struct thread *self, enum block kind, size_t bytes)
{
    void **list = &self->list[kind][bytes / ARENA_GRANULE];
    void **block = *(void **volatile *)list;

    atomic_signal_fence(memory_order_seq_cst);
    if (ARENA_UNLIKELY(block == NULL
                       || self->list_cycle != arenap_collector_cycle()))
        return NULL;
    *list = *block;
    *block = NULL;
    return ARENA_LIKELY(!arenap_collector_is_spare(kind, block, bytes))
               ? block
               : NULL;
}

/* Start a detached thread that takes no signals but the collector's.  0, or an
 * error number. */
int arenap_thread_spawn(void *(*main)(void *));

/* Take back records of ending threads that the system no longer knows. */
void arenap_thread_reclaim(void);

/* The first of all records, linked by next; readers take no lock. */
struct thread *arenap_thread_first(void);

/* The thread with a serial, or NULL if it has ended. */
struct thread *arenap_thread_find(uint64_t serial);

#endif
