/*
 * extra.h: what an auto arena has besides memory: a name, a limit, close
 * actions.
 *
 * All parts of the arena point to it, and it lasts until the last of them is
 * gone. While there are actions that have not run, each part that the
 * collector finds dead has to stay; the first one that asks has the actions
 * run.
 *
 * Extras are never given back to the system, but used again: what a
 * collection frees takes no lock.
 */
#ifndef ARENA_LIB_EXTRA_H
#define ARENA_LIB_EXTRA_H

#include "cleaner.h"
#include "internal.h"
#include "lifecycle.h"
#include "thread.h"

struct arena_extra {
    struct pending node; /* must be first: pushed when the arena is dead; links
                          * free ones */
    union {
        uintptr_t hidden; /* the arena, turned around: this keeps nothing */
        struct arena_extra *batch; /* free: the next list */
    };
    struct action *actions; /* but the first that was registered, if that is */
    void (*run)(void *);    /* this, unless NULL; */
    void *arg;              /* what the collector need not see */
    _Atomic uint32_t parts; /* that point here, the control among them */
    _Atomic bool reported;  /* pushed */
    _Atomic bool retained;  /* it has actions that have not run */
    _Atomic bool acting;    /* they run, or ran: the arena is closed */
    bool is_told;           /* it has a name or a limit, and what follows */
    /* --- another line --- */
    _Atomic size_t reserved;
    size_t limit; /* of that; 0: none */
    char *name;   /* malloc'd, or NULL */
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct arena_extra, reserved) == 64,
               "one line is enough for an action");

/* One for an arena with one part: for a name, or NULL, and a limit of which so
 * much is taken already; or for neither.  NULL with errno set. */
struct arena_extra *arenap_extra_make(struct thread *self, const char *name,
                                      size_t limit, size_t reserved);
struct arena_extra *arenap_extra_make_plain(struct thread *self);

/* Its name; "" if it has none.  extra may be NULL, here and below. */
const char *arenap_extra_name(const struct arena_extra *extra);

/* Take bytes for the arena.  False, with errno set: it would pass its
 * limit. */
bool arenap_extra_take(struct arena_extra *extra, size_t bytes);
void arenap_extra_give(struct arena_extra *extra, size_t bytes);

/* One of the parts is found dead.  True: it must stay for now.  From inside
 * the collector, as the next one. */
bool arenap_extra_dead(struct arena_extra *extra);

/* One part less. */
void arenap_extra_leave(struct arena_extra *extra);

/* In a child: forget the free ones of threads that it does not have, which
 * they may have been about to use. */
void arenap_extra_fork_child(void);

#endif
