/*
 * kernel.c: pointers that only the kernel holds; see interposer.h.
 *
 * What the kernel is told of files (epoll, message queues), timers, signals
 * that are queued and the stack for handlers, is written down here, in
 * memory that is searched as all writable memory is.  It is forgotten when
 * the kernel forgets it, as far as that can be seen: what stays for longer
 * only keeps some memory.
 *
 * Not here: timers and queues that call a function have it in a block of
 * libc's; the control blocks of aio(7) are the program's.  io_uring has no
 * call that could be answered.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "interposer.h"

/* --- By file: pages of words, made when needed, without a lock --- */

#define FILES_PER_PAGE 512
#define FILE_PAGES 2048

struct by_file {
    _Atomic(uint64_t *) page[FILE_PAGES];
};

static uint64_t *
page_make(_Atomic(uint64_t *) *place)
{
    uint64_t *page = __libc_calloc(FILES_PER_PAGE, sizeof *page);
    uint64_t *other = NULL;

    if (page == NULL || atomic_compare_exchange_strong(place, &other, page))
        return page;
    __libc_free(page);
    return other;
}

/* The word of a file; NULL if there is none for it. */
static uint64_t *
by_file(struct by_file *table, int file, bool make)
{
    unsigned index = (unsigned)file / FILES_PER_PAGE;
    uint64_t *page;

    if (file < 0 || index >= FILE_PAGES)
        return NULL;
    page = atomic_load(&table->page[index]);
    if (page == NULL && make)
        page = page_make(&table->page[index]);
    return page == NULL ? NULL : &page[(unsigned)file % FILES_PER_PAGE];
}

static void
by_file_set(struct by_file *table, int file, uint64_t value)
{
    uint64_t *word = by_file(table, file, value != 0);

    if (word != NULL)
        *word = value;
}

/* --- epoll: by instance, then by what it watches --- */

static struct by_file instances;

static struct by_file *
instance_of(int epoll, bool make)
{
    uint64_t *word = by_file(&instances, epoll, make), none = 0;
    struct by_file *instance;

    if (word == NULL)
        return NULL;
    instance = (struct by_file *)(uintptr_t)__atomic_load_n(
        word, __ATOMIC_ACQUIRE);
    if (instance != NULL || !make)
        return instance;
    instance = __libc_calloc(1, sizeof *instance);
    if (instance == NULL
        || __atomic_compare_exchange_n(word, &none,
                                       (uint64_t)(uintptr_t)instance, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return instance;
    __libc_free(instance);
    return (struct by_file *)(uintptr_t)none;
}

/* Until the kernel has it, the value is in this frame. */
INTERPOSE int
epoll_ctl(int epoll, int operation, int file, struct epoll_event *event)
{
    bool is_told = event != NULL && operation != EPOLL_CTL_DEL;
    volatile uint64_t value = is_told ? event->data.u64 : 0;
    int result = REAL(epoll_ctl)(epoll, operation, file, event);
    struct by_file *instance;
    int saved = errno;

    if (result != 0)
        return result;
    instance = instance_of(epoll, value != 0);
    if (instance != NULL)
        by_file_set(instance, file, value);
    errno = saved;
    return result;
}

/* --- Message queues: the value that comes with a notification --- */

static struct by_file queues;

INTERPOSE int
mq_notify(mqd_t queue, const struct sigevent *event)
{
    volatile uintptr_t value =
        event != NULL ? (uintptr_t)event->sigev_value.sival_ptr : 0;
    int result, saved;

    /* A copy of attributes of a thread is handed to the kernel: libc's. */
    arenap_inside++;
    result = REAL(mq_notify)(queue, event);
    arenap_inside--;
    saved = errno;
    if (result == 0)
        by_file_set(&queues, (int)queue, value);
    errno = saved;
    return result;
}

INTERPOSE int
mq_close(mqd_t queue)
{
    int result = REAL(mq_close)(queue);

    if (result == 0)
        by_file_set(&queues, (int)queue, 0);
    return result;
}

/* --- By number: a table of pairs --- */

struct pair {
    uintptr_t key, value; /* value 0: free */
};

struct table {
    struct pair *pairs; /* open addressing; the size is a power of two */
    size_t size;
    _Atomic size_t used;
};

#define TABLE_FIRST 256 /* a page */
#define TABLE_LAST ((size_t)1 << 17)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A handler may come here, too, and would wait for the thread that it
 * interrupted. */
static void
lock_tables(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before); /* less the collector's */
    pthread_mutex_lock(&lock);
}

static void
unlock_tables(const sigset_t *before)
{
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

static struct pair *
table_find(const struct table *table, uintptr_t key)
{
    size_t i = (size_t)(key * 0x9E3779B97F4A7C15u >> 32);

    for (;; i++) {
        struct pair *pair = &table->pairs[i & (table->size - 1)];

        if (pair->value == 0 || pair->key == key)
            return pair;
    }
}

/* Not from malloc: sigqueue may be called by a handler, which has interrupted
 * that. */
static bool
table_grow(struct table *table)
{
    struct table before, wider = {
        .size = table->size == 0 ? TABLE_FIRST : 2 * table->size};

    if (wider.size > TABLE_LAST)
        return false;
    wider.pairs = mmap(NULL, wider.size * sizeof *wider.pairs,
                       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
    if (wider.pairs == MAP_FAILED)
        return false;
    for (size_t i = 0; i < table->size; i++)
        if (table->pairs[i].value != 0)
            *table_find(&wider, table->pairs[i].key) = table->pairs[i];
    before = *table;
    table->pairs = wider.pairs;
    table->size = wider.size;
    if (before.size != 0)
        munmap(before.pairs, before.size * sizeof *before.pairs);
    return true;
}

/* The pair of a key, to be filled; NULL if there is no room. */
static struct pair *
table_add(struct table *table, uintptr_t key)
{
    struct pair *pair;

    if (2 * (atomic_load(&table->used) + 1) > table->size
        && !table_grow(table))
        return NULL;
    pair = table_find(table, key);
    if (pair->value == 0)
        atomic_fetch_add(&table->used, 1);
    pair->key = key;
    return pair;
}

/* Close the gap that a pair leaves, so that searches still end. */
static void
table_remove(struct table *table, struct pair *pair)
{
    size_t mask = table->size - 1, i = (size_t)(pair - table->pairs);

    *pair = (struct pair){0, 0};
    atomic_fetch_sub(&table->used, 1);
    for (i = (i + 1) & mask; table->pairs[i].value != 0; i = (i + 1) & mask) {
        struct pair moved = table->pairs[i];

        table->pairs[i] = (struct pair){0, 0};
        *table_find(table, moved.key) = moved;
    }
}

/* --- Timers: the value that comes with the signal --- */

static struct table timers;

static void
timer_set(timer_t timer, uintptr_t value)
{
    int saved = errno;
    struct pair *pair;
    sigset_t before;

    if (value == 0 && atomic_load(&timers.used) == 0)
        return;
    lock_tables(&before);
    if (value != 0) {
        pair = table_add(&timers, (uintptr_t)timer);
        if (pair != NULL)
            pair->value = value;
    } else {
        pair = table_find(&timers, (uintptr_t)timer);
        if (pair->value != 0)
            table_remove(&timers, pair);
    }
    unlock_tables(&before);
    errno = saved;
}

INTERPOSE int
timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
    volatile uintptr_t value =
        event != NULL ? (uintptr_t)event->sigev_value.sival_ptr : 0;
    int result = REAL(timer_create)(clock, event, timer);

    if (result == 0)
        timer_set(*timer, value);
    return result;
}

INTERPOSE int
timer_delete(timer_t timer)
{
    int result = REAL(timer_delete)(timer);

    if (result == 0)
        timer_set(timer, 0);
    return result;
}

/* --- Signals that were queued: how often, by value --- */

static struct table queued;

/* Before it is sent, since it may be there at once. */
static void
queued_add(const union sigval sent)
{
    int saved = errno;
    sigset_t before;
    struct pair *pair;

    if (sent.sival_ptr == NULL)
        return;
    lock_tables(&before);
    pair = table_add(&queued, (uintptr_t)sent.sival_ptr);
    if (pair != NULL)
        pair->value++;
    unlock_tables(&before);
    errno = saved;
}

static void
queued_remove(const union sigval sent)
{
    int saved = errno;
    sigset_t before;
    struct pair *pair;

    if (sent.sival_ptr == NULL || atomic_load(&queued.used) == 0)
        return;
    lock_tables(&before);
    pair = table_find(&queued, (uintptr_t)sent.sival_ptr);
    if (pair->value > 1)
        pair->value--;
    else if (pair->value == 1)
        table_remove(&queued, pair);
    unlock_tables(&before);
    errno = saved;
}

void
arenap_kernel_signalled(const siginfo_t *info)
{
    if (info->si_code == SI_QUEUE && info->si_pid == getpid())
        queued_remove(info->si_value);
}

/* The same bytes may have come from a pipe: then the signal has been read
 * before, and its value may have been queued again. */
static bool
is_signalfd(int file)
{
    static const char kind[] = "anon_inode:[signalfd]";
    char path[32], name[sizeof kind];
    long length;

    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    length = syscall(SYS_readlinkat, AT_FDCWD, path, name, sizeof name);
    return length == sizeof kind - 1
           && memcmp(name, kind, sizeof kind - 1) == 0;
}

static bool
is_queued(const struct signalfd_siginfo *info)
{
    return info->ssi_code == SI_QUEUE && info->ssi_ptr != 0
           && info->ssi_pid == (uint32_t)getpid();
}

void
arenap_kernel_read(int file, const void *bytes, ssize_t size)
{
    struct signalfd_siginfo info;
    bool known = false;
    int saved = errno;

    if (atomic_load(&queued.used) == 0 || size <= 0
        || (size_t)size % sizeof info != 0)
        return;
    for (size_t at = 0; at < (size_t)size; at += sizeof info) {
        memcpy(&info, (const char *)bytes + at, sizeof info);
        if (!is_queued(&info))
            continue;
        if (!known && !is_signalfd(file))
            break;
        known = true;
        queued_remove((union sigval){
            .sival_ptr = (void *)(uintptr_t)info.ssi_ptr});
    }
    errno = saved;
}

INTERPOSE int
sigqueue(pid_t process, int number, const union sigval value)
{
    bool own = process == getpid() && number != 0;
    int result;

    if (own)
        queued_add(value);
    result = REAL(sigqueue)(process, number, value);
    if (own && result != 0)
        queued_remove(value);
    return result;
}

INTERPOSE int
pthread_sigqueue(pthread_t thread, int number, const union sigval value)
{
    int error;

    queued_add(value);
    error = REAL(pthread_sigqueue)(thread, number, value);
    if (error != 0)
        queued_remove(value);
    return error;
}

/* --- The stack for handlers: of this thread --- */

static __attribute__((used)) INTERPOSE_TLS void *volatile handlers_stack;

INTERPOSE int
sigaltstack(const stack_t *stack, stack_t *before)
{
    void *volatile told = NULL;
    bool is_told = stack != NULL;
    int result;

    if (is_told && (stack->ss_flags & SS_DISABLE) == 0)
        told = stack->ss_sp;
    result = REAL(sigaltstack)(stack, before);
    if (result == 0 && is_told)
        handlers_stack = told;
    return result;
}

/* --- Fork --- */

static sigset_t before_fork; /* with the lock */

void
arenap_kernel_fork_prepare(void)
{
    sigset_t before;

    lock_tables(&before);
    before_fork = before;
}

void
arenap_kernel_fork_done(void)
{
    sigset_t before = before_fork;

    unlock_tables(&before);
}
