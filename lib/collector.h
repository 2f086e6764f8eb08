/*
 * collector.h: what the library asks of the Boehm collector.  collector.c and
 * collector_*.c alone include gc.h.
 *
 * Rules for all callers: hold no lock (a call may run a collection, and that
 * the host program's finalizers); between _enter and _leave, or when
 * attached, the thread is known to the collector.
 */
#ifndef ARENA_LIB_COLLECTOR_H
#define ARENA_LIB_COLLECTOR_H

#include <signal.h>

#include "internal.h"

struct thread;

/* What our collected blocks are.  Scanned says which words hold pointers. */
enum block {
    /* Those that come from lists, too: at least word 0. */
    BLOCK_CONTROL,  /* of an auto arena; words 0 and 1 */
    BLOCK_IMPLICIT, /* word 0, which is no pointer but on a list */
    BLOCK_BUFFER,   /* handles of direct buffers; words 0 and 1 */
    BLOCK_LISTED,
    BLOCK_CHUNK = BLOCK_LISTED, /* auto: part of more than 2048 bytes; words
                                 * 0, 1 */
    BLOCK_CHUNK_TRACED,         /* as BLOCK_CHUNK, all words */
    BLOCK_HEAP,                 /* arena_malloc; all words */
    BLOCK_TILE,                 /* part of a block of BLOCK_HEAP: slab.h */
    BLOCK_WITNESS,              /* tells of a collection by its death; none */
    BLOCK_KINDS,
    BLOCK_NONE = BLOCK_KINDS
};

#define BLOCK_CHUNK_HEAD ((size_t)64)

/* Start the collector.  0; or -1 with errno ENOTSUP. */
int arenap_collector_start(void);
bool arenap_collector_started(void);

/* Before it is started, for a program that knows nothing of it: the signals
 * to stop and restart threads by, and no warnings. */
void arenap_collector_prepare(int suspend, int restart);

/* Bytes of the heap's pages that have something in them, about. */
size_t arenap_collector_in_use(void);

/* Let threads help to mark, if there are to be any. */
void arenap_collector_get_help(void);

/* No collection from now on: not all pointers can be seen. */
void arenap_collector_forbid(void);

/* The same until it is resumed.  Only where the collector calls us, while it
 * restarts threads. */
void arenap_collector_pause(void);
void arenap_collector_resume(void);

/* Is a collection possible now? */
bool arenap_collector_can_collect(void);

/* Make the calling thread known, until it ends or is detached.  0; or -1 with
 * errno set. */
int arenap_collector_attach(struct thread *self);
void arenap_collector_detach(struct thread *self);

/* A zero-filled block, but for a large one of BLOCK_HEAP, and the rest of one
 * of BLOCK_CHUNK after its head; NULL, errno untouched, when there is none.
 * It is up to the caller to collect and try again.  A byte is added to the
 * size. */
void *arenap_collector_alloc(struct thread *self, enum block kind,
                             size_t size);

/* The same, of a listed kind and just so many bytes, slop included, up to
 * LIST_LAST.  The collector's lock is taken once for a page of them. */
#define LIST_LAST ((LIST_CLASSES - 1) * ARENA_GRANULE)
void *arenap_collector_alloc_listed(struct thread *self, enum block kind,
                                    size_t bytes);

/* The collector does not sweep a page of blocks of which more than 7/8 live:
 * the dead ones among them would be told of late, or never.  So of a page of
 * controls the first eighth is never in use. */
static inline bool
arenap_collector_is_spare(enum block kind, const void *block, size_t bytes)
{
    size_t slots = ARENA_PAGE / bytes;

    return kind == BLOCK_CONTROL
           && ((uintptr_t)block & (ARENA_PAGE - 1))
                  < (slots - slots * 7 / 8) * bytes;
}

/* A zero-filled block that is scanned, and freed by arenap_collector_free
 * alone. */
void *arenap_collector_alloc_traced(size_t size);

/* Blocks of just so many bytes, slop included, up to ALLOC_PAGE_LAST, linked
 * through word 0: those that are free on some page.  The caller keeps the
 * first one.  NULL, errno untouched, when there are none. */
#define ALLOC_PAGE_LAST ((size_t)2032)
void *arenap_collector_alloc_page(enum block kind, size_t bytes);

/* Give a block back; but what a thread that no collection would stop holds may
 * have been collected, and be another's, by now: its blocks are left to the
 * collector. */
void arenap_collector_free(struct thread *self, void *base);

/* The same of a heap block of that size; if it is small it stays known to be
 * free. */
void arenap_collector_free_heap(struct thread *self, void *base, size_t size);

/* To free what arenap_collector_alloc_traced gave; and what it gave that is
 * not freed, in bytes. */
void arenap_collector_free_traced(void *base);
size_t arenap_collector_traced(void);

/* The bytes of a collected block, given its start. */
size_t arenap_collector_size(const void *base);

/* The block that ptr points into: which kind, where it begins, its size.
 * BLOCK_NONE for what is not ours.  Any value is safe. */
enum block arenap_collector_find(const void *ptr, void **base, size_t *size);

/* Any collected block, ours or the host program's. */
bool arenap_collector_holds(const void *ptr);

/* Have a slot, which the collector does not scan, set to zero when the
 * collected block at base is really gone: also after its finalizer, if it has
 * one.  The caller keeps the block meanwhile.  False: no memory. */
bool arenap_collector_link(struct thread *self, _Atomic uintptr_t *slot,
                           void *base);
void arenap_collector_unlink(_Atomic uintptr_t *slot);

/* Collections that have marked all: the next sweep, and the first block that
 * it frees, come after that.  It changes while threads are stopped. */
extern ARENA_HIDDEN const volatile uintptr_t *arenap_collector_cycles;

static inline uint64_t
arenap_collector_cycle(void)
{
    return *arenap_collector_cycles;
}

/* Is the calling thread known to the collector until it says otherwise? */
bool arenap_collector_is_kept(struct thread *self);

/* Would a collection stop the calling thread from here on, and look at its
 * registers?  Not if it is late. */
bool arenap_collector_stops(struct thread *self);

/* Collections that have begun to end; and those that are over, for which it
 * waits for one that runs. */
uint64_t arenap_collector_count(void);
uint64_t arenap_collector_count_done(void);

/* The program may have put its own hooks in the place of ours: call them, and
 * be called again. */
void arenap_collector_rehook(void);

void arenap_collector_collect(struct thread *self);
void arenap_collector_unpin(void);
void arenap_collector_trim(struct thread *self);

/* In a child, where the collector may not have got further than to begin. */
void arenap_collector_fork_child(void);

/* Take the signals that stop and restart threads out of a set. */
void arenap_collector_unblock(sigset_t *set);

struct collector_figures {
    size_t in_use; /* bytes of pages that hold blocks */
    uint64_t collections, reclaimed;
};
void arenap_collector_figures(struct collector_figures *out);

/* --- For roots.c, while the collector marks --- */

/* Look for pointers in a range. */
void arenap_collector_push(const void *lo, const void *hi);

/* Let the search of a thread's stack end there, given the thread's handle. */
void arenap_collector_stack_base(void *handle, uintptr_t base);

/* Nothing in a range of the collector's memory is freed this time. */
void arenap_collector_keep_all(uintptr_t lo, uintptr_t hi);

/* --- For slab.c --- */

/* Are there any?  Only for programs that know nothing of the collector. */
bool arenap_collector_has_tiles(void);

/* What a function returns that nothing collects meanwhile. */
void *arenap_collector_locked(void *(*function)(void *), void *context);

/* Has the last collection found the block, or the sweep left it? */
bool arenap_collector_is_marked(const void *base);

/* --- For surplus.c, which has the collector's lock --- */

/* The bytes of the free room that begins with a page of the collector's, or 0;
 * and which page is the next to be asked for. */
size_t arenap_collector_free_at(uintptr_t page, uintptr_t *next);

/* --- For magazine.c, while the collector marks --- */

/* This block of ours lives; it is not searched. */
void arenap_collector_mark(const void *base);

/* --- For roots.c again --- */

/* As arenap_collector_push, and done with the range on return. */
void arenap_collector_push_now(const void *lo, const void *hi);

/* --- For maps.c --- */

/* Was the collector started by somebody else already? */
bool arenap_collector_is_earlier(void);

/* Between which addresses is its heap?  Is the page one of it? */
void arenap_collector_bounds(uintptr_t *lo, uintptr_t *hi);
bool arenap_collector_is_heap(const void *page);

#endif
