/*
 * interposer.h: the map of libarena-malloc.
 *
 * The library stands before libc, by LD_PRELOAD or -larena-malloc, and
 * answers for the whole process:
 *
 *   start.c    the beginning, the environment
 *   report.c   figures, faults, the end
 *   memory.c   malloc and its family
 *   scopes.c   the same, of threads that have pushed an arena
 *   threads.c  threads, fork, libraries
 *   mainstack.c  the main thread's stack
 *   spawn.c    processes that a thread waits for asleep
 *   kernel.c   pointers that only the kernel holds
 *   signals.c  what the program does with signals
 *   waits.c    calls that only wait, which a signal ends; watch.h
 *   transfers.c  reading and writing, which one may cut short
 *
 * It is linked with the shared libarena, and not with the core: a program may
 * use arenas itself, and there is to be one budget and one collector's user
 * in the process.  What libarena and the collector call goes to libc's own
 * functions (arena_interpose_bypass): neither gets its own memory from here.
 *
 * Until the library's constructor has run, and whenever libarena is at work
 * below (inside), memory is libc's.  It is searched for pointers as all
 * writable memory is, so no table is kept of it: what libarena does not know
 * is libc's.
 */
#ifndef ARENA_MALLOC_INTERPOSER_H
#define ARENA_MALLOC_INTERPOSER_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/interpose.h"

#define INTERPOSE __attribute__((visibility("default")))
#define INTERPOSE_TLS _Thread_local __attribute__((tls_model("initial-exec")))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* libc's functions, under a name that nobody can stand before. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *block);

/* --- start.c --- */

enum mode {
    MODE_EARLY,   /* the constructor has not run */
    MODE_COLLECT, /* memory is collected */
    MODE_EXPLICIT /* it is libc's, and accounted */
};

extern _Atomic int arenap_mode;

/* How most calls of malloc and free are answered; follows the mode. */
enum answer {
    ANSWER_SLOWLY,
    ANSWER_AT_HAND, /* from what the thread has at hand, if it has */
    ANSWER_SYSTEM   /* by libc, accounted: nothing was ever collected */
};

extern _Atomic int arenap_answer;

struct options {
    size_t gc_every;  /* bytes; 0: as the collector sees fit */
    bool ignore_free; /* leave all to the collector */
    bool past_end;    /* a pointer to a block's end keeps it, too */
    bool stats;
    const char *report;
};
extern struct options arenap_options;

/* The call is libarena's own: depth.  With INSIDE_SCOPED in it the thread has
 * pushed an arena, so that one test finds both. */
extern INTERPOSE_TLS unsigned arenap_inside;

#define INSIDE_SCOPED (1u << 31)

static inline bool
arenap_is_inside(void)
{
    return (arenap_inside & ~INSIDE_SCOPED) != 0;
}

static inline bool
arenap_is_scoped(void)
{
    return UNLIKELY((arenap_inside & INSIDE_SCOPED) != 0);
}

static inline int
arenap_mode_now(void)
{
    return atomic_load_explicit(&arenap_mode, memory_order_relaxed);
}

/* Threads could not be stopped: go on without a collector. */
void arenap_mode_give_up(void);

/* The next definition of a function after ours: libc's.  NULL if there is
 * none. */
void *arenap_real_find(const char *name);

/* libc's own, whatever lies between: a program that is linked with another
 * allocator has that one's first. */
void *arenap_libc_find(const char *name);

/* One place where REAL or LIBC is used.  All of them lie in a section of their
 * own, and are filled when the library starts: to look for a function takes
 * locks of the loader's, which a signal handler cannot. */
struct real {
    const char *name;
    void *(*find)(const char *name);
    _Atomic(void *) function;
} __attribute__((aligned(32))); /* so that they lie one after the other */

/* REAL(name): the next function of that name; LIBC(name): libc's own. */
#define REAL(name) FOUND(arenap_real_find, name)
#define LIBC(name) FOUND(arenap_libc_find, name)
#define FOUND(find_, name_)                                                   \
    (__extension__({                                                          \
        static struct real real_                                              \
            __attribute__((section("arena_real"), used)) = {#name_, find_,    \
                                                            NULL};            \
        void *found_ = atomic_load_explicit(&real_.function,                  \
                                            memory_order_relaxed);            \
                                                                              \
        if (UNLIKELY(found_ == NULL)) {                                       \
            found_ = find_(#name_);                                           \
            atomic_store(&real_.function, found_);                            \
        }                                                                     \
        (__typeof__(&name_))found_;                                           \
    }))

/* --- report.c --- */

void arenap_report_start(void);

/* Why nothing is collected, though it was asked for. */
void arenap_report_reason(const char *reason);

/* Write a line to the report, if there is to be one, that names a fault. */
void arenap_report_fault(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* A pointer into collected memory that no block begins at: a fault, and the
 * end of the process, as it is with libc; not if what is freed is ignored. */
void arenap_report_wild(const char *function, const void *ptr);

/* One that is passed on to libc, which ends the process if it is nobody's. */
void arenap_report_foreign(const char *function, const void *ptr);

/* Early: the process leaves without its exit handlers. */
void arenap_report_end(bool early);
void arenap_report_fork_child(void);

/* --- memory.c --- */

void arenap_memory_start(void);

/* Give back what this thread, which ends, has reserved in advance. */
void arenap_memory_settle(void);

/* --- scopes.c: on a thread that has pushed an arena --- */

/* The address that a function of malloc's will return to. */
#define CALLER __builtin_return_address(0)

void *arenap_scopes_alloc(size_t size, const void *caller);
void *arenap_scopes_calloc(size_t count, size_t size, const void *caller);
void *arenap_scopes_memalign(size_t align, size_t size, const void *caller);
void *arenap_scopes_realloc(void *block, size_t size, const void *caller);

void arenap_scopes_start(void);

/* --- threads.c --- */

void arenap_threads_start(void);

/* Have arenap_memory_settle called when this thread ends.  False: it will not
 * be. */
bool arenap_threads_tell_end(void);

/* As pthread_create and pthread_getattr_np, for libarena. */
int arenap_threads_create_quietly(pthread_t *thread,
                                  const pthread_attr_t *attr,
                                  void *(*routine)(void *), void *arg);
int arenap_threads_attr_quietly(pthread_t thread, pthread_attr_t *attr);

/* --- mainstack.c --- */

/* The stack of the calling thread; false: that is not the main one, or it
 * cannot be told. */
bool arenap_mainstack_find(void **stack, size_t *size);

/* --- spawn.c --- */

/* Around a handler of the program's: if the thread was about to sleep, it is
 * awake meanwhile. */
bool arenap_spawn_interrupt(void);
void arenap_spawn_resume(void);

/* --- kernel.c --- */

/* A signal was delivered with a value. */
void arenap_kernel_signalled(const siginfo_t *info);

/* So many bytes were read: maybe signals. */
void arenap_kernel_read(int file, const void *bytes, ssize_t size);

void arenap_kernel_fork_prepare(void);
void arenap_kernel_fork_done(void);

/* --- signals.c --- */

/* The two signals that belong to the collector. */
int arenap_signals_suspend(void);
int arenap_signals_restart(void);

/* A set without these two; the copy, or NULL for NULL. */
const sigset_t *arenap_signals_strip(const sigset_t *set, sigset_t *copy);

/* Signal handlers of the program's that ran on this thread. */
extern INTERPOSE_TLS volatile unsigned arenap_signals_handled;

/* Those that run now; not less than the truth, as some leave by longjmp. */
extern INTERPOSE_TLS volatile unsigned arenap_signals_depth;

#endif
