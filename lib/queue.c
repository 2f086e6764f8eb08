/* queue.c: see queue.h and arena/phantom.h. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "cleaner.h"
#include "error.h"
#include "os.h"
#include "phantom.h"
#include "queue.h"
#include "record.h"
#include "roots.h"

#define MS ((uint64_t)1000000)

/* An action that does not return keeps the cleaner from looking for deaths in
 * collections of the program's own: who waits looks, too, so often. */
#define QUEUE_LOOK (500 * MS)

struct arena_queue {
    record_t *first, *last;
    _Atomic size_t count;
    _Atomic uint32_t signal; /* changes when something was put in */
    uint32_t waiters;
    bool freed;
    size_t references; /* phantoms, waiters, and the program's own */
};

/* --- Under the lock --- */

bool
arenap_queue_is_open(const arena_queue_t *queue)
{
    return queue != NULL && !queue->freed;
}

void
arenap_queue_join(arena_queue_t *queue)
{
    queue->references++;
}

void *
arenap_queue_leave(arena_queue_t *queue)
{
    return queue != NULL && --queue->references == 0 ? queue : NULL;
}

void
arenap_queue_append(record_t *phantom)
{
    arena_queue_t *queue = phantom->queue;

    phantom->next = NULL;
    phantom->previous = queue->last;
    if (queue->last == NULL)
        queue->first = phantom;
    else
        queue->last->next = phantom;
    queue->last = phantom;
    atomic_fetch_add(&queue->count, 1);
    atomic_fetch_add(&queue->signal, 1);
    if (queue->waiters != 0)
        arenap_os_wake(&queue->signal, 1);
}

void
arenap_queue_cut(record_t *phantom)
{
    arena_queue_t *queue = phantom->queue;

    if (phantom->previous == NULL)
        queue->first = phantom->next;
    else
        phantom->previous->next = phantom->next;
    if (phantom->next == NULL)
        queue->last = phantom->previous;
    else
        phantom->next->previous = phantom->previous;
    atomic_fetch_sub(&queue->count, 1);
}

static record_t *
queue_take(arena_queue_t *queue)
{
    record_t *first = queue->first;

    if (first != NULL) {
        arenap_queue_cut(first);
        first->state = RECORD_DONE;
    }
    return first;
}

/* --- Waiting --- */

/* Sleep until something is put in, or the time is over.  The lock is held
 * before and after.  False: it is over. */
static bool
queue_sleep(arena_queue_t *queue, uint64_t deadline)
{
    uint32_t seen = atomic_load(&queue->signal);
    uint64_t look = arenap_os_now() + QUEUE_LOOK;
    bool in_time = true;

    queue->waiters++;
    arenap_record_unlock();
    arenap_roots_scrub();
    if (!arenap_os_wait(&queue->signal, seen,
                        deadline < look ? deadline : look))
        in_time = deadline > look;
    arenap_phantom_scan();
    arenap_record_lock();
    queue->waiters--;
    return in_time;
}

static record_t *
queue_await(arena_queue_t *queue, uint64_t deadline, bool *freed)
{
    bool in_time = true;
    record_t *phantom;
    void *garbage;

    arenap_record_lock();
    arenap_queue_join(queue);
    while ((phantom = queue_take(queue)) == NULL && !queue->freed && in_time)
        in_time = queue_sleep(queue, deadline);
    *freed = queue->freed;
    garbage = arenap_queue_leave(queue);
    arenap_record_unlock();
    free(garbage);
    return phantom;
}

/* --- Public --- */

arena_queue_t *
arena_queue_new(void)
{
    arena_queue_t *queue = calloc(1, sizeof *queue);

    if (queue == NULL) {
        arenap_fail_system(sizeof *queue);
        return NULL;
    }
    queue->references = 1;
    return queue;
}

void
arena_queue_free(arena_queue_t *queue)
{
    void *garbage;

    if (queue == NULL)
        return;
    arenap_record_lock();
    queue->freed = true;
    while (queue_take(queue) != NULL)
        continue;
    atomic_fetch_add(&queue->signal, 1);
    arenap_os_wake(&queue->signal, INT32_MAX);
    garbage = arenap_queue_leave(queue);
    arenap_record_unlock();
    free(garbage);
}

arena_phantom_t *
arena_queue_poll(arena_queue_t *queue)
{
    record_t *phantom;

    if (queue == NULL)
        return arenap_fail_null(EINVAL, "no queue");
    arenap_phantom_scan();
    if (atomic_load(&queue->count) == 0)
        return NULL;
    arenap_record_lock();
    phantom = queue_take(queue);
    arenap_record_unlock();
    return phantom;
}

arena_phantom_t *
arena_queue_remove(arena_queue_t *queue, int timeout_ms)
{
    uint64_t deadline = ARENA_OS_NEVER;
    record_t *phantom = arena_queue_poll(queue);
    int saved = errno;
    bool freed;

    if (phantom != NULL || queue == NULL || timeout_ms == 0)
        return phantom;
    if (timeout_ms > 0)
        deadline = arenap_os_now() + (uint64_t)timeout_ms * MS;
    /* After fork there may be none, and deaths are found by it. */
    if (atomic_load(&arenap_phantom_watched) != 0)
        arenap_cleaner_start();
    phantom = queue_await(queue, deadline, &freed);
    if (phantom == NULL && freed)
        return arenap_fail_null(ESTALE, "the queue was freed");
    errno = saved;
    return phantom;
}
