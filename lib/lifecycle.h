/*
 * lifecycle.h: what close.c, reset.c, action.c and hold.c share: closing, and
 * what keeps an arena from being closed.
 *
 * Closing has three steps: under the locks, the arena and all descendants are
 * marked closed, or nothing is, when one of them is acquired; then, without a
 * lock, their actions run, children before parents; then their memory is
 * freed.
 */
#ifndef ARENA_LIB_LIFECYCLE_H
#define ARENA_LIB_LIFECYCLE_H

#include "internal.h"
#include "sync.h"
#include "thread.h"

/* --- action.c --- */

/* Where an action is: in memory that the collector scans, once it runs, so
 * that arg is kept; else in memory from malloc, or inside of something. */
enum action_place { ACTION_SCANNED, ACTION_MALLOCED, ACTION_LODGED };

/* A registered close action. */
struct action {
    struct action *next;
    void (*run)(void *);
    void *arg;
    enum action_place place;
};

/* NULL with errno set. */
struct action *arenap_action_make(void (*run)(void *), void *arg);
void arenap_action_free(struct action *action);

/* Run a list down to but without last, and free it.  No lock is held. */
void arenap_actions_run(struct thread *self, struct action *actions,
                        const struct action *last);

/* --- hold.c --- */

/* How many acquires a thread holds. */
struct hold {
    struct hold *next;
    uint64_t serial;
    uint32_t count;
};

/* That of the thread with a serial, or NULL; under the lock. */
struct hold *arenap_hold_find(struct arena *arena, uint64_t serial);

/* Of an arena that is closed. */
void arenap_holds_free(struct arena *arena);

/* --- close.c: the arenas that are closed together --- */

struct closing {
    struct arena *all; /* linked by free_next, children before parents */
    sync_set stripes;
};

/* May it be closed, reset and the like?  0; or -1 with errno EINVAL, ENOTSUP,
 * EPERM or ESTALE. */
int arenap_closeable(const struct thread *self, const struct arena *arena,
                     const char *operation);

/* Take the tree lock, to close the arena or its descendants: until the end
 * nobody else closes it.  0; or -1, without the lock, as arenap_closeable. */
int arenap_closing_begin(struct thread *self, struct arena *arena,
                         const char *operation);

/* Put an arena's descendants, from an order on, into the list, and the arena
 * itself if asked; and take all their locks. */
void arenap_closing_gather(struct closing *closing, struct arena *arena,
                           uint64_t order, bool itself);

/* Give all locks back. */
void arenap_closing_end(const struct closing *closing, struct arena *arena);

/* The first arena of the list, or arena itself, that is acquired. */
struct arena *arenap_closing_busy(const struct closing *closing,
                                  struct arena *arena);

/* -1, with errno EBUSY. */
int arenap_closing_fail(const struct arena *busy);

/* With all locks: from here on nobody can use them. */
void arenap_closing_mark(struct closing *closing);

/* Then, without a lock: run their actions, free what they had. */
void arenap_closing_act(struct thread *self, struct closing *closing);
void arenap_closing_dispose(struct thread *self, struct closing *closing);

#endif
