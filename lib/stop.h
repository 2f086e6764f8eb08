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
 *   - a thread that says so beforehand is asleep: it is not stopped, and all
 *     of its stack is searched;
 *   - any other one that does not stop in time (in a system call that cannot
 *     be interrupted, or under a debugger) is done without.  Nothing is freed
 *     by that collection, and the next ones are put off, for longer each time
 *     in a row; then no more are tried.
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
    STOP_ABANDONED, /* it did not come */
    STOP_ASLEEP,   /* it touches nothing before it has asked */
    STOP_HELD      /* so it is, and a collection runs */
};

/* Answer the calls of the collector, whose code is at an address.  Before it
 * is started. */
void arenap_stop_answer(const void *collector, int suspend, int restart);

/* Let the calling thread be stopped, whatever it blocks. */
void arenap_stop_unblock(void);

/*
 * The calling thread goes to sleep: up to arenap_stop_wake, which waits for
 * the end of a collection, it neither reads nor changes what a collection
 * looks at, and needs no signal to be stopped.  What it had in registers must
 * be in memory.
 */
void arenap_stop_sleep(void);
void arenap_stop_wake(void);

/* Is the calling thread asleep?  In a child of vfork, its parent. */
bool arenap_stop_is_asleep(void);

/* End a pause between collections, if it is time. */
void arenap_stop_resume(void);

/* Before and after the collector pushes the stacks of all threads; the frame
 * is that of its hook. */
void arenap_stop_before_stacks(const void *frame);
void arenap_stop_after_stacks(void);

/* Did a thread not stop this time? */
bool arenap_stop_is_partial(void);

/* Has the last collection been for nothing, because of that? */
bool arenap_stop_is_troubled(void);

/* Have several collections in a row been for nothing, because of that? */
bool arenap_stop_is_hopeless(void);

#endif
