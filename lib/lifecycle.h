/*
 * lifecycle.h: closing, and what keeps an arena from being closed.
 *
 * Closing has three steps: under the locks, the arena and all descendants are
 * marked closed, or nothing is, when one of them is acquired; then, without a
 * lock, their actions run, children before parents; then their memory is
 * freed.
 */
#ifndef ARENA_LIB_LIFECYCLE_H
#define ARENA_LIB_LIFECYCLE_H

#include "internal.h"
#include "thread.h"

/* A registered close action.  In memory that the collector scans, once it
 * runs, so that arg is kept. */
struct action {
    struct action *next;
    void (*run)(void *);
    void *arg;
    bool scanned;
};

/* NULL with errno set. */
struct action *arenap_action_make(void (*run)(void *), void *arg);
void arenap_action_free(struct action *action);

/* Run a list down to but without last, and free it.  No lock is held. */
void arenap_actions_run(struct thread *self, struct action *actions,
                        const struct action *last);

#endif
