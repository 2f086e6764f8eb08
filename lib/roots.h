/*
 * roots.h: what the collector looks at, beside what it finds by itself.
 *
 * Static thread-local variables of attached threads, pins, ranges that the
 * program named; and, once arena_malloc is used, every writable mapping, less
 * the collector's memory, the library's, and the stacks of attached threads
 * below what the collector scans of them.
 *
 * A gap is fatal, an overlap harmless: so a thread is made known to the
 * collector before its stack is left out here, and its stack is no longer
 * left out before the collector forgets it.
 */
#ifndef ARENA_LIB_ROOTS_H
#define ARENA_LIB_ROOTS_H

#include "internal.h"

struct thread;

/* Write down the calling thread's stack. */
void arenap_roots_stack(struct thread *self);

/* The same, and its thread control block, now that it is attached. */
void arenap_roots_thread(struct thread *self);

/* The bytes between the caller's frame and the end of the thread's own stack;
 * 0 on another one, as coroutines and handlers may have, and if the stack was
 * never written down. */
size_t arenap_roots_stack_left(const struct thread *self);

/* As arenap_os_scrub, if the stack has room for it. */
void arenap_roots_scrub(void);

/* Before threads are stopped: the loaded modules' thread-local storage. */
void arenap_roots_prepare(void);

/* While they are stopped: push all roots. */
void arenap_roots_push(void);

/* Bytes of the program's mappings that the last collection had to search. */
size_t arenap_roots_foreign(void);

/* Count or discount a pin on a collected block. */
int arenap_roots_pin(const void *ptr);
int arenap_roots_unpin(const void *ptr);

/* The program uses arena_malloc: unless told otherwise, look everywhere. */
void arenap_roots_widen(void);

void arenap_roots_fork_prepare(void);
void arenap_roots_fork_done(void);

#endif
