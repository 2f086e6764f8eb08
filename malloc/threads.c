/* threads.c: see interposer.h. */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <threads.h>

#include "../include/arena.h"
#include "interposer.h"

/* --- Threads --- */

/* What a new thread is told: collected memory.  libc keeps the pointer in the
 * new thread's control block, which is searched as any mapping. */
struct errand {
    union {
        void *(*posix)(void *);
        thrd_start_t c11;
    } routine;
    void *arg;
};

static pthread_key_t key_of_end;
static bool has_key;

/* Attached first: until then no register of this thread is searched, and the
 * errand holds the pointer.  libarena's own threads do not come here. */
static struct errand
errand_take(void *arg)
{
    struct errand errand;

    if (arenap_mode_now() == MODE_COLLECT) {
        arenap_inside++;
        arena_thread_attach();
        arenap_inside--;
    }
    errand = *(struct errand *)arg;
    free(arg);
    errno = 0;
    return errand;
}

static struct errand *
errand_new(void *arg)
{
    struct errand *errand = malloc(sizeof *errand);

    if (arenap_mode_now() == MODE_COLLECT) {
        arenap_inside++;
        arena_interpose_threads();
        arenap_inside--;
    }
    if (errand != NULL)
        errand->arg = arg;
    return errand;
}

static bool
is_plain(void)
{
    return arenap_mode_now() == MODE_EARLY || arenap_is_inside();
}

static void *
thread_main(void *arg)
{
    struct errand errand = errand_take(arg);

    return errand.routine.posix(errand.arg);
}

static int
thread_main_c11(void *arg)
{
    struct errand errand = errand_take(arg);

    return errand.routine.c11(errand.arg);
}

int
arenap_threads_create_quietly(pthread_t *thread, const pthread_attr_t *attr,
                              void *(*routine)(void *), void *arg)
{
    int error;

    arenap_inside++;
    error = REAL(pthread_create)(thread, attr, routine, arg);
    arenap_inside--;
    return error;
}

int
arenap_threads_attr_quietly(pthread_t thread, pthread_attr_t *attr)
{
    size_t size;
    void *stack;
    int error;

    arenap_inside++;
    if (pthread_equal(thread, pthread_self())
        && arenap_mainstack_find(&stack, &size)) {
        pthread_attr_init(attr);
        error = pthread_attr_setstack(attr, stack, size);
    } else {
        error = REAL(pthread_getattr_np)(thread, attr);
    }
    arenap_inside--;
    return error;
}

INTERPOSE int
pthread_create(pthread_t *thread, const pthread_attr_t *attr,
               void *(*routine)(void *), void *arg)
{
    struct errand *errand;
    int error;

    if (is_plain())
        return REAL(pthread_create)(thread, attr, routine, arg);
    errand = errand_new(arg);
    if (errand == NULL)
        return EAGAIN;
    errand->routine.posix = routine;
    error = REAL(pthread_create)(thread, attr, thread_main, errand);
    if (error != 0)
        free(errand);
    return error;
}

INTERPOSE int
thrd_create(thrd_t *thread, thrd_start_t routine, void *arg)
{
    struct errand *errand;
    int error;

    if (is_plain())
        return REAL(thrd_create)(thread, routine, arg);
    errand = errand_new(arg);
    if (errand == NULL)
        return thrd_nomem;
    errand->routine.c11 = routine;
    error = REAL(thrd_create)(thread, thread_main_c11, errand);
    if (error != thrd_success)
        free(errand);
    return error;
}

static void
thread_end(void *unused)
{
    (void)unused;
    arenap_memory_settle();
}

bool
arenap_threads_tell_end(void)
{
    return has_key && pthread_setspecific(key_of_end, &key_of_end) == 0;
}

/* --- Fork --- */

/* Between the collector's preparation and its end nobody may ask it for
 * memory; handlers of others may run there. */
static void
fork_begin(void)
{
    arenap_kernel_fork_prepare();
    arenap_inside++;
}

static void
fork_end(void)
{
    arenap_inside--;
    arenap_kernel_fork_done();
}

static void
fork_child(void)
{
    fork_end();
    arenap_report_fork_child();
}

/* --- Libraries --- */

/* One that looks into itself first would find libc's malloc, and our free. */
INTERPOSE void *
dlopen(const char *path, int flags)
{
    void *(*real)(const char *, int) = REAL(dlopen);

    return real(path, flags & ~RTLD_DEEPBIND);
}

void
arenap_threads_start(void)
{
    has_key = pthread_key_create(&key_of_end, thread_end) == 0;
    pthread_atfork(fork_begin, fork_end, fork_child);
}
