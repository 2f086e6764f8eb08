/*
 * arena/threads.h - make every thread that is started with pthread_create or
 * thrd_create known to the collector before its first instruction runs.
 *
 * A thread attaches itself on its first use of collected memory.  One that
 * only holds pointers, in its stack, its registers or the argument that it
 * was given, has no such use: what it alone can reach is freed, unless it
 * calls arena_thread_attach or was started through this header.
 *
 * Either for a whole program, without editing it,
 *
 *   cc $(pkg-config --cflags libarena) -include arena/threads.h program.c \
 *       -larena -lgc
 *
 * or in the source files that start threads,
 *
 *   #include <arena/threads.h>
 *   #include <pthread.h>
 *
 * in this order.  gcc accepts the other order, too; clang then leaves alone
 * the whole file's pthread_create if it was used before this header.
 *
 * The header includes nothing and defines no macro but its guard: it renames
 * the symbols, so &pthread_create and the program's own declarations keep
 * working.  The new names are
 *
 *   int arena_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
 *                            void *(*routine)(void *), void *arg);
 *
 * and the like for thrd_create, with the contract of pthread_create:
 *
 *   - the thread is attached as by arena_thread_attach, and detached when it
 *     has ended, whichever way; if it cannot be attached it runs all the
 *     same, and what arg points into is then kept for good;
 *   - arg keeps the collected memory that it points into from the call on,
 *     even if the caller drops its own pointer at once;
 *   - the value returned is an error number, not -1; EAGAIN also when the
 *     system refuses the few bytes that this takes;
 *   - what the routine returns is not seen by the collector after the thread
 *     has ended: pin it, or keep it elsewhere, if it is the only pointer and
 *     pthread_join comes later (not needed where all mappings are searched,
 *     see arena/heap.h).
 *
 * Attached threads can see EINTR, see arena_thread_attach in arena.h.
 * Threads that libraries start for themselves are not reached.
 */
#ifndef ARENA_THREADS_H
#define ARENA_THREADS_H

#ifndef __ASSEMBLER__

#ifndef __GNUC__
#error "arena/threads.h needs gcc or clang (#pragma redefine_extname)"
#endif

/* A name that is a macro is left alone, as in arena/malloc.h. */
#ifndef pthread_create
#pragma redefine_extname pthread_create arena_pthread_create
#endif
#ifndef thrd_create
#pragma redefine_extname thrd_create arena_legacy_thrd_create
#endif

#endif

#endif
