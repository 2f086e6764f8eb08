/*
 * record.h: the records behind phantoms and cleaners.
 *
 * A record lies in a slab that is never unmapped and that the collector does
 * not look into; so does its slot, which is the collector's long link.  All
 * addresses of referents are kept hidden, turned around: nothing here keeps
 * one alive.  What the user gave along is in memory that the collector scans.
 *
 * A death is claimed under the lock, once: by a scan that finds the slot
 * zero, by who frees the referent, or by the program itself.  The lock is a
 * leaf and never held while the collector is called; so a link is taken from
 * the record under the lock, and undone after it (unlinking).  Until then the
 * record stays in the table of referents, where who frees the referent finds
 * it and waits; and holds count who still needs it.
 */
#ifndef ARENA_LIB_RECORD_H
#define ARENA_LIB_RECORD_H

#include "../include/arena/phantom.h"
#include "cleaner.h"
#include "internal.h"
#include "sync.h"

struct slab;
struct thread;

enum record_kind { RECORD_UNUSED, RECORD_PHANTOM, RECORD_CLEANER };

enum record_state {
    RECORD_NEW,     /* not yet complete */
    RECORD_ACTIVE,  /* waits for the death of its referent */
    RECORD_CLEARED, /* phantom: has none any more */
    RECORD_QUEUED,  /* phantom: in its queue */
    RECORD_PENDING, /* cleaner: on the pending list */
    RECORD_DONE     /* told for good; cleaner: its action runs, or ran */
};

struct arena_phantom {
    struct pending node; /* must be first; cleaner: on the pending list */
    struct arena_phantom *next, *previous; /* in the queue; of unused ones */
    struct arena_phantom *same, **place;   /* in the table of referents */
    uintptr_t referent;                    /* hidden; while in the table */
    union {
        arena_queue_t *queue;   /* phantom */
        void (*action)(void *); /* cleaner */
    };
    struct slab *slab;
    uint32_t index;
    uint32_t generation; /* how often it was given back */
    uint32_t holds;
    uint8_t kind;   /* enum record_kind */
    uint8_t state;  /* enum record_state */
    bool linked;    /* the collector knows the slot */
    bool unlinking; /* a thread is about to tell it otherwise */
};

typedef struct arena_phantom record_t;

/* The lock of all records and queues. */
extern ARENA_HIDDEN struct stripe arenap_record_stripe;

static inline void
arenap_record_lock(void)
{
    arenap_stripe_lock(&arenap_record_stripe);
}

static inline void
arenap_record_unlock(void)
{
    arenap_stripe_unlock(&arenap_record_stripe);
}

/* --- Without the lock --- */

/* The collected block that ptr stands for as a referent; NULL: none. */
void *arenap_record_base(const void *ptr);

/* A record, new, with one hold; its link is made when base is not NULL.  NULL
 * with errno set. */
record_t *arenap_record_make(struct thread *self, enum record_kind kind,
                             void *base, void *held);

/* Undo the link that arenap_record_take_link took. */
void arenap_record_unlink(record_t *record);

/* --- Under the lock --- */

/* It is complete, and watches base from now on, if that is not NULL. */
void arenap_record_activate(record_t *record, void *base);

/* It lets go of its referent.  True: arenap_record_unlink must follow. */
bool arenap_record_take_link(record_t *record);

/* Has the referent been found dead, or let go of? */
bool arenap_record_is_clear(const record_t *record);

/* Is this hidden address its referent? */
bool arenap_record_refers_to(const record_t *record, uintptr_t hidden);

/* One hold less; the last one gives the record back. */
void arenap_record_release(record_t *record);

/* What the user gave along. */
void *arenap_record_held(const record_t *record);

/* The record with an index; NULL if there never was one. */
record_t *arenap_record_at(uint32_t index);

/* phantom.c: the cleaner's part. */
void arenap_record_run(struct pending *node);

#endif
