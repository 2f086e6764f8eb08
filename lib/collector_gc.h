/*
 * collector_gc.h: what the modules of the collector share: collector.c and
 * collector_*.c.  No other file includes gc.h.
 */
#ifndef ARENA_LIB_COLLECTOR_GC_H
#define ARENA_LIB_COLLECTOR_GC_H

#include <pthread.h>

#define GC_THREADS 1
#define GC_NO_THREAD_REDIRECTS 1
#include <gc/gc.h>
#include <gc/gc_disclaim.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>

#include "collector.h"
#include "internal.h"

enum collector_state { NOT_STARTED, STARTED, UNUSABLE };

struct arenap_gc {
    pthread_mutex_t lock; /* of starting */
    _Atomic int state;
    const char *reason; /* of UNUSABLE */
    unsigned kind[BLOCK_KINDS];
    unsigned heap_large; /* BLOCK_HEAP larger than any class */
    void **heap_free;    /* lists of small ones, by granules */
    bool has_tiles;
    bool paced; /* by us */
    size_t heap_first;
    unsigned pushes; /* in this collection, and stacks */
    bool began;      /* this collection has called our first hook */
    _Atomic size_t traced; /* bytes that are only freed by hand */
};

extern ARENA_HIDDEN struct arenap_gc arenap_gc;

/* --- When it is started --- */

void arenap_gc_kinds_make(void);

/* Put our hooks into the collector's places. */
void arenap_gc_hook(void);

/* Log collections, if that was asked for. */
void arenap_gc_watch(void);

/* For a program that knows nothing of the collector: hear of its collections,
 * unless somebody does; and do we? */
void arenap_gc_listen(void);
bool arenap_gc_listens(void);

/* The collector ends the process if there is no memory for the first link
 * ever.  There is now. */
void arenap_gc_links_begin(void);

/* --- Later --- */

/* A late thread, and one that has only explicit arenas, is not left known to
 * the collector. */
struct visit {
    bool detach;
};

bool arenap_gc_enter(struct thread *self, struct visit *visit);
void arenap_gc_leave(struct thread *self, struct visit *visit);

#endif
