/*
 * trace.h: a log of events, one line of text each, as arena_trace(5) has it.
 *
 * Asked for by ARENA_TRACE, which is read once.  A line is one write(2), to a
 * file that is opened for it: nothing is kept open in a program that may
 * close whatever it finds.  Takes no lock, and calls no collector, so it may
 * be called with any lock, and by the collector.
 */
#ifndef ARENA_LIB_TRACE_H
#define ARENA_LIB_TRACE_H

#include "internal.h"

/* Is there a log? */
extern bool arenap_trace_on;

/* A reservation of so many bytes has a line of its own. */
#define TRACE_LARGE ((size_t)1 << 20)

/* Once, before any of the others. */
void arenap_trace_init(void);

/* What the collector has in use, before and after a collection, in bytes. */
void arenap_trace_collect_begin(size_t in_use);
void arenap_trace_collect_end(size_t in_use);

/* Threads are about to be stopped; they run again. */
void arenap_trace_stop(void);
void arenap_trace_go_on(void);

/* A large reservation; one that waits, and no longer does; one refused. */
void arenap_trace_reserve(size_t size);
void arenap_trace_wait(size_t size);
void arenap_trace_wait_end(size_t size, uint64_t ns, bool granted);
void arenap_trace_refuse(size_t size, size_t limit);

#endif
