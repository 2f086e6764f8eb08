/* legacy_threads.c: threads that are attached before they run. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#define LEGACY_MODULE
#include "legacy.h"

/*
 * What a new thread is told.  Until it is attached and holds arg itself, the
 * collector looks for the pointer here: the creator may drop its own, and
 * the stack of a thread that is not attached is not searched.
 */
struct start {
    void *arg; /* a root */
    union {
        void *(*posix)(void *);
        thrd_start_t c11;
    } routine;
};

/* Returns NULL when there is no memory. */
static struct start *
start_new(void *arg)
{
    struct start *start = malloc(sizeof *start);

    if (start == NULL)
        return NULL;
    start->arg = arg;
    /* Where no collector can run, nothing needs to be kept. */
    if (arena_add_roots(&start->arg, &start->arg + 1) != 0
        && errno == ENOMEM) {
        free(start);
        return NULL;
    }
    return start;
}

static void
start_free(struct start *start)
{
    arena_remove_roots(&start->arg, &start->arg + 1);
    free(start);
}

/* Take over, on the new thread.  If it cannot be attached nobody will see
 * what it holds, and so the root stays. */
static struct start
start_take(struct start *start)
{
    struct start taken = *start;

    if (arena_thread_attach() == 0)
        start_free(start);
    errno = 0;
    return taken;
}

static void *
start_posix(void *arg)
{
    struct start start = start_take(arg);

    return start.routine.posix(start.arg);
}

static int
start_c11(void *arg)
{
    struct start start = start_take(arg);

    return start.routine.c11(start.arg);
}

int
arena_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                     void *(*routine)(void *), void *arg)
{
    int saved = errno, error = EAGAIN;
    struct start *start = start_new(arg);

    if (start != NULL) {
        start->routine.posix = routine;
        error = pthread_create(thread, attr, start_posix, start);
        if (error != 0)
            start_free(start);
    }
    errno = saved;
    return error;
}

int
arena_legacy_thrd_create(thrd_t *thread, thrd_start_t routine, void *arg)
{
    int saved = errno, result = thrd_nomem;
    struct start *start = start_new(arg);

    if (start != NULL) {
        start->routine.c11 = routine;
        result = thrd_create(thread, start_c11, start);
        if (result != thrd_success)
            start_free(start);
    }
    errno = saved;
    return result;
}
