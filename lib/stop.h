/*
 * stop.h: stopping threads of a program that knows nothing of the collector.
 *
 * The collector stops threads by signals, for a program that it can rely on:
 * that does not block all signals, switches no stacks, and is never long in
 * the kernel.  Where malloc itself is replaced no program is such; so here
 * are answers to the calls by which the collector stops threads:
 *
 *   - its handler runs with all signals blocked, libc's own two included, and
 *     touches no cancellation state;
 *   - a thread stopped on another stack than its own (a coroutine's, or one
 *     of sigaltstack) has both searched;
 *   - a thread that does not stop in time (a vfork, a debugger) is done
 *     without.  Nothing is freed by that collection.
 *
 * Everything but arenap_stop_answer may be called at any time, and does
 * nothing if the collector's calls are not answered.
 */
#ifndef ARENA_LIB_STOP_H
#define ARENA_LIB_STOP_H

#include "internal.h"

/* Where a thread is between two collections, and in one. */
enum stop {
    STOP_RUNS,
    STOP_AWAITED,  /* it was sent the signal */
    STOP_STOPPED,  /* it is in the handler */
    STOP_ABANDONED /* it did not come */
};

/* Answer the calls of the collector, whose code is at an address.  Before it
 * is started. */
void arenap_stop_answer(const void *collector, int suspend, int restart);

/* Let the calling thread be stopped, whatever it blocks. */
void arenap_stop_unblock(void);

/* Before and after the collector pushes the stacks of all threads; the frame
 * is that of its hook. */
void arenap_stop_before_stacks(const void *frame);
void arenap_stop_after_stacks(void);

/* Did a thread not stop this time? */
bool arenap_stop_is_partial(void);

/* Have several collections in a row been for nothing, because of that? */
bool arenap_stop_is_hopeless(void);

#endif
