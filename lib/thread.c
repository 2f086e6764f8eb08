/* thread.c: see thread.h; and what fork does to all modules. */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "../include/arena/segment.h"
#include "ager.h"
#include "budget.h"
#include "chunk_cache.h"
#include "cleaner.h"
#include "collector.h"
#include "control.h"
#include "cursor.h"
#include "explicit.h"
#include "extra.h"
#include "handshake.h"
#include "heap.h"
#include "internal.h"
#include "magazine.h"
#include "os.h"
#include "payload.h"
#include "phantom.h"
#include "roots.h"
#include "scope.h"
#include "stock.h"
#include "stop.h"
#include "sync.h"
#include "thread.h"
#include "trace.h"
#include "usage.h"
#include "waiters.h"

ARENA_TLS struct arenap_tls arenap_tls;
ARENA_TLS uint64_t arena_self_;

/* The thread sanitizer's, if the program has that. */
void __tsan_init(void) __attribute__((weak));

static struct {
    pthread_once_t once;
    pthread_key_t key; /* tells of a thread's end */
    bool has_key;
    _Atomic uint64_t last_serial;
    _Atomic(struct thread *) all;
    pthread_mutex_t lock; /* of the lists below */
    struct thread *unused, *ending;
    _Atomic size_t endings; /* on the list; read without the lock */
} threads = {.once = PTHREAD_ONCE_INIT,
             .last_serial = ARENA_SERIALS - 1,
             .lock = PTHREAD_MUTEX_INITIALIZER};

struct thread *
arenap_thread_first(void)
{
    return atomic_load_explicit(&threads.all, memory_order_acquire);
}

struct thread *
arenap_thread_find(uint64_t serial)
{
    struct thread *t = arenap_thread_first();

    while (t != NULL
           && atomic_load_explicit(&t->serial, memory_order_acquire)
                  != serial)
        t = t->next;
    return t;
}

/* --- The end of a thread --- */

/* Drop what the record holds for its thread.  The caller is that thread, or
 * knows that it is gone. */
static void
thread_strip(struct thread *thread)
{
    arenap_handshake_forget(thread);
    arenap_scope_drop(thread);
    arenap_piece_flush(thread);
    arenap_chunk_flush(thread);
    arenap_control_flush(&thread->ring);
    arenap_credit_flush(&thread->credit);
}

static void
thread_retire(struct thread *thread)
{
    /* From here on its confined arenas can be adopted. */
    atomic_store_explicit(&thread->serial, 0, memory_order_release);
    pthread_mutex_lock(&threads.lock);
    thread->next_free = threads.unused;
    threads.unused = thread;
    pthread_mutex_unlock(&threads.lock);
}

static void
ending_add(struct thread *thread)
{
    pthread_mutex_lock(&threads.lock);
    thread->next_free = threads.ending;
    threads.ending = thread;
    atomic_fetch_add(&threads.endings, 1);
    pthread_mutex_unlock(&threads.lock);
}

static void
ending_remove(struct thread *thread)
{
    struct thread **link;

    pthread_mutex_lock(&threads.lock);
    for (link = &threads.ending; *link != NULL; link = &(*link)->next_free)
        if (*link == thread) {
            *link = thread->next_free;
            atomic_fetch_sub(&threads.endings, 1);
            break;
        }
    pthread_mutex_unlock(&threads.lock);
}

/* Destructors of other keys may use the library, in this round and in later
 * ones: so the record stays until the last round, arming itself again. */
static void
thread_end(void *unused)
{
    /* Not what the key holds: a program that uses a key which it never made
     * writes to any. */
    struct thread *self = arenap_tls.record;
    /* Its own record of a thread is gone in the last round. */
    unsigned rounds = PTHREAD_DESTRUCTOR_ITERATIONS - (__tsan_init != NULL);

    (void)unused;
    if (self == NULL)
        return;
    arenap_collector_detach(self);
    if (++self->rounds == 1)
        ending_add(self);
    self->late = self->rounds >= rounds - 1;
    if (self->rounds < rounds
        && pthread_setspecific(threads.key, self) == 0)
        return;
    ending_remove(self);
    thread_strip(self);
    arenap_tls.record = NULL;
    arenap_tls.serial = arena_self_ = 0;
    arenap_cursor_begin(0);
    arenap_tls.ended = true;
    thread_retire(self);
}

void
arenap_thread_reclaim(void)
{
    struct thread *gone = NULL, **link;

    pthread_mutex_lock(&threads.lock);
    for (link = &threads.ending; *link != NULL;) {
        struct thread *thread = *link;

        if (arenap_os_tid_gone(thread->tid)) {
            *link = thread->next_free;
            thread->next_free = gone;
            gone = thread;
            atomic_fetch_sub(&threads.endings, 1);
        } else {
            link = &thread->next_free;
        }
    }
    pthread_mutex_unlock(&threads.lock);
    while (gone != NULL) {
        struct thread *next = gone->next_free;

        thread_strip(gone);
        thread_retire(gone);
        gone = next;
    }
}

/* --- Threads of our own --- */

int
arenap_thread_spawn(void *(*main)(void *))
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    int error;

    if (pthread_attr_init(&attr) != 0)
        return ENOMEM;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    arenap_collector_unblock(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attr, main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return error;
}

/* --- Fork: prepare in the order of locks; the child is alone --- */

static void
fork_prepare(void)
{
    arenap_cleaner_fork_prepare();
    arenap_roots_fork_prepare();
    arenap_sync_fork_prepare();
    pthread_mutex_lock(&threads.lock);
    arenap_budget_fork_prepare();
    arenap_control_fork_prepare();
    arenap_phantom_fork_prepare();
    arenap_magazine_fork_prepare();
    arenap_stock_fork_prepare();
    arenap_os_fork_prepare();
}

static void
fork_done(void)
{
    arenap_os_fork_done();
    arenap_stock_fork_done();
    arenap_magazine_fork_done();
    arenap_phantom_fork_done();
    arenap_control_fork_done();
    arenap_budget_fork_done();
    pthread_mutex_unlock(&threads.lock);
    arenap_sync_fork_done();
    arenap_roots_fork_done();
    arenap_cleaner_fork_done();
}

static void
fork_child(void)
{
    fork_done();
    arenap_sync_fork_child();
    arenap_waiters_fork_child();
    arenap_chunk_fork_child();
    arenap_ager_fork_child();
    arenap_collector_fork_child();
    arenap_phantom_fork_child();
    arenap_extra_fork_child();
    arenap_heap_fork_child();
    threads.ending = NULL;
    atomic_store(&threads.endings, 0);
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next) {
        if (t == arenap_tls.record) {
            t->tid = arenap_os_tid();
            continue;
        }
        arenap_handshake_forget(t);
        if (atomic_load(&t->serial) == 0)
            continue;
        atomic_store(&t->attached, ATTACHED_NOT);
        t->kept = false;
        arenap_magazine_forget(t);
        atomic_store(&t->stop, STOP_RUNS);
        t->is_cleaner = t->relieved = t->collecting = false;
        t->acting = 0;
        /* What it was about to change may be half done: let it be. */
        for (int i = 0; i < THREAD_PIECES; i++)
            atomic_store(&t->piece[i].arena, NULL);
        arenap_control_forget(&t->ring);
        arenap_chunk_flush(t);
        thread_retire(t);
    }
    arenap_budget_set_charged(arenap_usage_reserved_all()
                              + arenap_chunk_cached()
                              + arenap_credit_fork_child()
                              + arenap_payload_cached());
    arenap_cleaner_fork_child();
}

/* --- The beginning --- */

static void
threads_init(void)
{
    arenap_os_init();
    arenap_magazine_init();
    arenap_budget_init();
    arenap_trace_init();
    threads.has_key = pthread_key_create(&threads.key, thread_end) == 0;
    pthread_atfork(fork_prepare, fork_done, fork_child);
}

static struct thread *
record_make(void)
{
    struct thread *thread = arenap_os_meta(sizeof *thread);

    if (thread == NULL)
        return NULL;
    atomic_store(&thread->cache.steal, arenap_os_has_heavy ? 0 : CACHE_OFF);
    thread->next = atomic_load(&threads.all);
    while (!atomic_compare_exchange_weak(&threads.all, &thread->next, thread))
        ;
    return thread;
}

static struct thread *
record_take(void)
{
    struct thread *thread;

    if (atomic_load(&threads.endings) != 0)
        arenap_thread_reclaim();
    pthread_mutex_lock(&threads.lock);
    thread = threads.unused;
    if (thread != NULL)
        threads.unused = thread->next_free;
    pthread_mutex_unlock(&threads.lock);
    return thread != NULL ? thread : record_make();
}

ARENA_COLD struct thread *
arenap_thread_bind(void)
{
    struct thread *self;

    pthread_once(&threads.once, threads_init);
    self = record_take();
    if (self == NULL)
        return NULL;
    self->tid = arenap_os_tid();
    self->rounds = 0;
    self->late = arenap_tls.ended;
    self->is_main = self->tid == getpid();
    self->is_cleaner = self->relieved = false;
    self->collecting = false;
    self->acting = 0;
    self->stamp_due = self->ring.taken.all;
    self->stamp = 0;
    atomic_store(&self->stack_hi, 0);
    atomic_store(&self->stop_frame, 0);
    self->error[0] = '\0';
    /* In a child: those of a thread that it does not have. */
    arenap_scope_drop(self);
    arenap_tls.record = self;
    arenap_tls.serial =
        atomic_fetch_add(&threads.last_serial, ARENA_SERIALS) + ARENA_SERIALS;
    arena_self_ = arenap_tls.serial;
    arenap_cursor_begin(arenap_tls.serial);
    atomic_store_explicit(&self->serial, arenap_tls.serial,
                          memory_order_release);
    if (!self->late && threads.has_key
        && pthread_setspecific(threads.key, self) == 0)
        return self;
    /* The main thread's end is the process's, most often. */
    self->late = self->late || !self->is_main;
    ending_add(self);
    return self;
}
