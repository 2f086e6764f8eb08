/* stop.c: see stop.h. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "collector.h"
#include "internal.h"
#include "linkage.h"
#include "os.h"
#include "pagemap.h"
#include "roots.h"
#include "stop.h"
#include "thread.h"

#define MS ((uint64_t)1000000)

/* How long a thread is waited for: one that has only to get a processor, any
 * other, and one that no signal can reach now.  The collector sends the
 * signal again, and so asks, every 100 ms. */
#define PATIENCE_RUNS (5000 * MS)
#define PATIENCE (1000 * MS)
#define PATIENCE_STUCK (50 * MS)

/* So many collections in a row without a thread: no more of them.  Each is
 * followed by a pause, twice as long as the one before. */
#define STOP_TRIES 6
#define STOP_PAUSE (100 * MS)

typedef void stop_handler(int number, siginfo_t *info, void *context);

static struct {
    bool active;
    int suspend, restart;
    stop_handler *handler; /* the collector's */
    _Atomic bool partial;
    _Atomic unsigned in_vain; /* collections, in a row */
    _Atomic bool paused;         /* until then no collection begins: */
    _Atomic uint64_t pause_end;
} stop;

/* The record of a thread that is known to the collector: thread-local storage
 * of this kind is at the same distance from every thread's handle. */
static struct thread *
record_of(pthread_t thread)
{
    uintptr_t here = (uintptr_t)&arenap_tls;
    const struct arenap_tls *there =
        (const struct arenap_tls *)(here - (uintptr_t)pthread_self()
                                    + (uintptr_t)thread);

    return there->record;
}

/* --- What the collector calls instead --- */

/* A signal that comes late, or once more, stops nobody. */
static void
handle_suspend(int number, siginfo_t *info, void *context)
{
    struct thread *self = arenap_tls.record;
    uint8_t awaited = STOP_AWAITED;

    if (self != NULL
        && !atomic_compare_exchange_strong(&self->stop, &awaited,
                                           STOP_STOPPED))
        return;
    if (self != NULL)
        atomic_store(&self->stop_frame,
                     (uintptr_t)__builtin_frame_address(0));
    arenap_tls.stops++;
    arenap_tls.stopped = true;
    stop.handler(number, info, context);
    arenap_tls.stopped = false;
}

static int
answer_sigaction(int number, const struct sigaction *action,
                 struct sigaction *before)
{
    struct sigaction ours;

    if (action == NULL
        || (number != stop.suspend && number != stop.restart))
        return sigaction(number, action, before);
    ours = *action;
    /* All of them, with the two that sigfillset leaves out. */
    memset(&ours.sa_mask, 0xff, sizeof ours.sa_mask);
    if (number == stop.suspend && (action->sa_flags & SA_SIGINFO) != 0) {
        stop.handler = action->sa_sigaction;
        ours.sa_sigaction = handle_suspend;
    }
    return sigaction(number, &ours, before);
}

#define KERNEL_SET_BYTES 8UL

/* In the handler; sigsuspend itself is a point of cancellation. */
static int
answer_sigsuspend(const sigset_t *unused)
{
    sigset_t set;

    (void)unused;
    memset(&set, 0xff, sizeof set);
    sigdelset(&set, stop.restart);
    return (int)syscall(SYS_rt_sigsuspend, &set, KERNEL_SET_BYTES);
}

static int
answer_setcancelstate(int state, int *before)
{
    if (!arenap_tls.stopped)
        return pthread_setcancelstate(state, before);
    if (before != NULL)
        *before = PTHREAD_CANCEL_ENABLE;
    return 0;
}

/* What the system says of a thread, as in proc(5); 0 if it does not.  Called
 * while others are stopped, maybe with a lock. */
static char
state_of(int tid)
{
    char path[48], text[128];
    const char *state = NULL;
    long file, got;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return 0;
    got = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    if (got > 0) {
        text[got] = '\0';
        state = strrchr(text, ')'); /* after a name of up to 15 bytes */
    }
    return state != NULL && state[1] == ' ' ? state[2] : 0;
}

static uint64_t
patience_with(const struct thread *thread)
{
    switch (state_of(thread->tid)) {
    case 'D': /* asleep, whatever comes */
    case 'T': /* stopped, or traced */
    case 't':
        return PATIENCE_STUCK;
    case 'R':
        return PATIENCE_RUNS;
    default:
        return PATIENCE;
    }
}

static bool
waited_enough(const struct thread *thread)
{
    uint64_t waited = arenap_os_now() - thread->stop_since;

    return waited > PATIENCE_STUCK && waited > patience_with(thread);
}

/* ESRCH: the collector need not wait for this thread. */
static int
suspend_may(struct thread *thread)
{
    uint8_t was = STOP_ASLEEP;

    if (atomic_compare_exchange_strong(&thread->stop, &was, STOP_HELD)
        || was == STOP_HELD || was == STOP_ABANDONED)
        return ESRCH;
    was = STOP_RUNS;
    if (atomic_compare_exchange_strong(&thread->stop, &was, STOP_AWAITED)) {
        thread->stop_since = arenap_os_now();
        return 0;
    }
    if (was == STOP_ASLEEP) /* just now */
        return suspend_may(thread);
    if (was == STOP_AWAITED && waited_enough(thread)
        && atomic_compare_exchange_strong(&thread->stop, &was,
                                          STOP_ABANDONED)) {
        atomic_store(&stop.partial, true);
        return ESRCH;
    }
    return 0;
}

/* The same for restarting: one that was not stopped hears nothing. */
static int
restart_may(struct thread *thread)
{
    uint8_t was = STOP_HELD;

    if (atomic_compare_exchange_strong(&thread->stop, &was, STOP_ASLEEP)
        || was == STOP_ASLEEP)
        return ESRCH;
    if (atomic_exchange(&thread->stop, STOP_RUNS) != STOP_ABANDONED)
        return 0;
    atomic_store(&stop.pause_end,
                 arenap_os_now()
                     + (STOP_PAUSE << atomic_load(&stop.in_vain)) / 2);
    if (!atomic_exchange(&stop.paused, true))
        arenap_collector_pause();
    return ESRCH;
}

static int
answer_pthread_kill(pthread_t thread, int number)
{
    struct thread *record = record_of(thread);
    int error = 0;

    if (record != NULL && number == stop.suspend)
        error = suspend_may(record);
    else if (record != NULL && number == stop.restart)
        error = restart_may(record);
    if (error != 0)
        return error;
    error = pthread_kill(thread, number);
    /* The queue of signals is full: the collector will send it again. */
    return error == EAGAIN ? 0 : error;
}

void
arenap_stop_answer(const void *collector, int suspend, int restart)
{
    stop.suspend = suspend;
    stop.restart = restart;
    stop.active =
        arenap_linkage_replace(collector, "sigaction",
                               (void *)answer_sigaction)
        && arenap_linkage_replace(collector, "pthread_kill",
                                  (void *)answer_pthread_kill)
        && arenap_linkage_replace(collector, "sigsuspend",
                                  (void *)answer_sigsuspend)
        && arenap_linkage_replace(collector, "pthread_setcancelstate",
                                  (void *)answer_setcancelstate);
}

void
arenap_stop_unblock(void)
{
    sigset_t set;

    if (!stop.active)
        return;
    sigemptyset(&set);
    sigaddset(&set, stop.suspend);
    sigaddset(&set, stop.restart);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* --- Sleep --- */

/* Not by a function that is a point of cancellation. */
static void
moment_pass(void)
{
    const struct timespec moment = {.tv_nsec = 100000};

    syscall(SYS_nanosleep, &moment, NULL);
}

static bool
stop_turn(struct thread *self, uint8_t from, uint8_t to)
{
    return atomic_compare_exchange_strong(&self->stop, &from, to);
}

void
arenap_stop_sleep(void)
{
    struct thread *self = arenap_tls.record;

    if (!stop.active || self == NULL
        || atomic_load(&self->attached) == ATTACHED_NOT)
        return;
    atomic_store(&self->sleep_frame, (uintptr_t)__builtin_frame_address(0));
    arenap_tls.asleep = true;
    /* A signal that was sent will come; nothing is lost by trying again. */
    while (!stop_turn(self, STOP_RUNS, STOP_ASLEEP))
        sched_yield();
}

void
arenap_stop_wake(void)
{
    struct thread *self = arenap_tls.record;

    if (!arenap_tls.asleep)
        return;
    while (!stop_turn(self, STOP_ASLEEP, STOP_RUNS))
        moment_pass();
    arenap_tls.asleep = false;
}

bool
arenap_stop_is_asleep(void)
{
    return arenap_tls.asleep;
}

/* --- Pauses --- */

void
arenap_stop_resume(void)
{
    if (atomic_load(&stop.paused)
        && arenap_os_now() >= atomic_load(&stop.pause_end)
        && atomic_exchange(&stop.paused, false))
        arenap_collector_resume();
}

/* --- Stacks --- */

/* More than the collector's handler takes of a stack. */
#define HANDLER_BYTES 4096

/* No stack inside an arena is larger. */
#define PUSH_AHEAD ((uintptr_t)16 << 20)

/* The stack in use is part of a block of ours or of the collector's, where no
 * mapping is searched for roots. */
static void
push_block(uintptr_t from)
{
    size_t size;
    void *base;
    bool ours;
    uintptr_t page = from & ~(uintptr_t)(ARENA_PAGE - 1);
    uintptr_t end = arenap_pagemap_run(page, page + PUSH_AHEAD, &ours);

    if (arenap_collector_find((void *)from, &base, &size) != BLOCK_NONE) {
        arenap_collector_push((void *)from, (char *)base + size);
    } else if (ours) {
        arenap_collector_push((void *)from, (void *)end);
    }
}

/* Let the collector see an empty stack; all of it, and of the stack in use,
 * is searched with the mappings. */
static void
stack_hide(struct thread *thread, uintptr_t frame, uintptr_t base)
{
    thread->astray = true;
    arenap_collector_stack_base(thread->handle, base);
    push_block(frame & ~(sizeof(void *) - 1));
}

/* What the collector searches of it is out of date. */
static void
stack_of_sleeper(struct thread *thread)
{
    uintptr_t frame = atomic_load(&thread->sleep_frame);

    thread->astray = true;
    if (frame < atomic_load(&thread->stack_lo)
        || frame >= atomic_load(&thread->stack_hi))
        push_block(frame & ~(sizeof(void *) - 1));
}

void
arenap_stop_before_stacks(const void *hook_frame)
{
    struct thread *self = arenap_tls.record;

    if (!stop.active)
        return;
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next) {
        uintptr_t frame = atomic_load(&t->stop_frame);
        uintptr_t lo = atomic_load(&t->stack_lo);
        uintptr_t hi = atomic_load(&t->stack_hi);
        uint8_t how = atomic_load(&t->stop);
        bool stopped = t == self || how == STOP_STOPPED;

        t->astray = false;
        if (atomic_load(&t->attached) == ATTACHED_NOT || t->handle == NULL)
            continue;
        if (t == self)
            frame = (uintptr_t)hook_frame;
        if (frame != 0 && (frame < lo || frame >= hi))
            /* One that did not stop may have left that stack long ago. */
            stack_hide(t, frame, stopped ? frame : frame - HANDLER_BYTES);
        if (how == STOP_HELD)
            stack_of_sleeper(t);
    }
}

void
arenap_stop_after_stacks(void)
{
    if (!stop.active)
        return;
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next)
        if (t->astray)
            arenap_collector_stack_base(t->handle, t->base);
    if (!atomic_load(&stop.partial))
        atomic_store(&stop.in_vain, 0);
}

bool
arenap_stop_is_partial(void)
{
    if (!atomic_exchange(&stop.partial, false))
        return false;
    atomic_fetch_add(&stop.in_vain, 1);
    return true;
}

bool
arenap_stop_is_troubled(void)
{
    return atomic_load_explicit(&stop.in_vain, memory_order_relaxed) != 0;
}

bool
arenap_stop_is_hopeless(void)
{
    return atomic_load_explicit(&stop.in_vain, memory_order_relaxed)
           >= STOP_TRIES;
}
