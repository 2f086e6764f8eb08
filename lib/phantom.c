/* phantom.c: phantoms and cleanables; see arena/phantom.h. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "cleaner.h"
#include "collector.h"
#include "error.h"
#include "internal.h"
#include "phantom.h"
#include "queue.h"
#include "record.h"
#include "thread.h"

/* --- Making either --- */

/* What both need of the calling thread and the library.  NULL with errno
 * set. */
static struct thread *
watch_begin(void)
{
    struct thread *self = arenap_thread_self();

    if (self == NULL) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    if (arenap_collector_start() != 0 || arenap_collector_attach(self) != 0)
        return NULL;
    return self;
}

/* The block of a referent, which held does not point into; NULL with errno
 * set. */
static void *
watch_base(const void *referent, const void *held)
{
    void *base = arenap_record_base(referent);

    if (base == NULL)
        return arenap_fail_null(EINVAL,
                                "%p does not point into collected memory",
                                referent);
    if (arenap_record_base(held) == base)
        return arenap_fail_null(EINVAL, "the argument points into the "
                                        "referent, which would never die");
    return base;
}

/* Complete a record; it is told of from now on. */
static void
watch_start(record_t *record, void *base)
{
    arenap_record_lock();
    if (record->kind == RECORD_PHANTOM && record->queue != NULL)
        arenap_queue_join(record->queue);
    arenap_record_activate(record, base);
    arenap_record_unlock();
    arena_keep_alive(base);
    if (base != NULL)
        arenap_phantom_expect();
}

/* --- Phantoms --- */

arena_phantom_t *
arena_phantom_new(const void *referent, arena_queue_t *queue, void *data)
{
    struct thread *self = watch_begin();
    record_t *phantom;
    void *base = NULL;

    if (self == NULL)
        return NULL;
    if (referent != NULL && (base = watch_base(referent, data)) == NULL)
        return NULL;
    if (arenap_cleaner_start() != 0)
        return NULL;
    phantom = arenap_record_make(self, RECORD_PHANTOM, base, data);
    if (phantom == NULL)
        return NULL;
    phantom->queue = queue;
    watch_start(phantom, base);
    arena_keep_alive(referent);
    return phantom;
}

bool
arena_phantom_refers_to(const arena_phantom_t *phantom, const void *ptr)
{
    void *base = arenap_record_base(ptr);
    bool does = false;

    if (phantom == NULL)
        return false;
    arenap_record_lock();
    if (ptr == NULL)
        does = arenap_record_is_clear(phantom);
    else if (base != NULL)
        does = arenap_record_refers_to(phantom, ~(uintptr_t)base);
    arenap_record_unlock();
    arena_keep_alive(ptr);
    return does;
}

void *
arena_phantom_data(const arena_phantom_t *phantom)
{
    return phantom != NULL ? arenap_record_held(phantom) : NULL;
}

void
arena_phantom_clear(arena_phantom_t *phantom)
{
    bool unlink = false;

    if (phantom == NULL)
        return;
    arenap_record_lock();
    if (phantom->state == RECORD_ACTIVE) {
        phantom->state = RECORD_CLEARED;
        unlink = arenap_record_take_link(phantom);
    }
    arenap_record_unlock();
    if (unlink)
        arenap_record_unlink(phantom);
}

bool
arena_phantom_enqueue(arena_phantom_t *phantom)
{
    bool unlink = false, done;

    if (phantom == NULL)
        return arenap_fail(EINVAL, "no phantom") == 0;
    arenap_record_lock();
    if (phantom->state == RECORD_ACTIVE) {
        phantom->state = RECORD_CLEARED;
        unlink = arenap_record_take_link(phantom);
    }
    done = phantom->state == RECORD_CLEARED
           && arenap_queue_is_open(phantom->queue);
    if (done) {
        phantom->state = RECORD_QUEUED;
        arenap_queue_append(phantom);
    }
    arenap_record_unlock();
    if (unlink)
        arenap_record_unlink(phantom);
    return done;
}

void
arena_phantom_free(arena_phantom_t *phantom)
{
    void *garbage = NULL;
    bool unlink = false;

    if (phantom == NULL)
        return;
    arenap_record_lock();
    if (phantom->kind == RECORD_PHANTOM) {
        if (phantom->state == RECORD_QUEUED)
            arenap_queue_cut(phantom);
        phantom->state = RECORD_DONE;
        unlink = arenap_record_take_link(phantom);
        garbage = arenap_queue_leave(phantom->queue);
        phantom->queue = NULL;
        arenap_record_release(phantom);
    }
    arenap_record_unlock();
    free(garbage);
    if (unlink)
        arenap_record_unlink(phantom);
}

/* --- Cleanables ---
 *
 * The index of a record and its generation, with upper bits that no address
 * has: one whose record has been used again is told from it. */

#define CLEANABLE_MARK ((uint64_t)0xA)
#define CLEANABLE_MARK_SHIFT 60
#define CLEANABLE_INDEX_SHIFT 32
#define CLEANABLE_INDEX (((uint64_t)1 << 28) - 1)

_Static_assert(sizeof(uintptr_t) >= 8, "a cleanable fits into a pointer");

static arena_cleanable_t *
cleanable_of(const record_t *record)
{
    return (arena_cleanable_t *)(uintptr_t)(
        CLEANABLE_MARK << CLEANABLE_MARK_SHIFT
        | (uint64_t)record->index << CLEANABLE_INDEX_SHIFT
        | record->generation);
}

/* Its record, or NULL.  Under the lock. */
static record_t *
cleanable_record(const arena_cleanable_t *cleanable)
{
    uint64_t number = (uintptr_t)cleanable;
    record_t *record;

    if (number >> CLEANABLE_MARK_SHIFT != CLEANABLE_MARK)
        return NULL;
    record = arenap_record_at(
        (uint32_t)(number >> CLEANABLE_INDEX_SHIFT & CLEANABLE_INDEX));
    return record != NULL && (uint32_t)number <= record->generation ? record
                                                                     : NULL;
}

static bool
cleanable_is_stale(const arena_cleanable_t *cleanable, const record_t *record)
{
    return (uint32_t)(uintptr_t)cleanable != record->generation
           || record->kind != RECORD_CLEANER;
}

/* Call the action.  The record, and so what it holds, stays until then. */
static void
cleaner_act(record_t *record)
{
    struct thread *self = arenap_thread_self();

    if (self != NULL)
        self->acting++;
    record->action(arenap_record_held(record));
    if (self != NULL)
        self->acting--;
    arenap_record_lock();
    arenap_record_release(record);
    arenap_record_unlock();
}

void
arenap_record_run(struct pending *node)
{
    record_t *record = (record_t *)node;
    bool due;

    arenap_record_lock();
    due = record->state == RECORD_PENDING;
    record->state = RECORD_DONE;
    arenap_record_release(record); /* as a node */
    arenap_record_unlock();
    if (due)
        cleaner_act(record);
}

arena_cleanable_t *
arena_cleaner_register(const void *referent, void (*action)(void *),
                       void *arg)
{
    arena_cleanable_t *cleanable;
    struct thread *self;
    record_t *record;
    void *base;

    if (referent == NULL || action == NULL)
        return arenap_fail_null(EINVAL, "no %s",
                                action == NULL ? "action" : "referent");
    self = watch_begin();
    if (self == NULL || (base = watch_base(referent, arg)) == NULL
        || arenap_cleaner_start() != 0)
        return NULL;
    record = arenap_record_make(self, RECORD_CLEANER, base, arg);
    if (record == NULL)
        return NULL;
    record->action = action;
    cleanable = cleanable_of(record);
    watch_start(record, base);
    arena_keep_alive(referent);
    return cleanable;
}

/* Take the action of a cleanable, to be called.  Under the lock. */
static bool
cleaner_claim(record_t *record, bool *unlink)
{
    if (record->state != RECORD_ACTIVE && record->state != RECORD_PENDING)
        return false;
    record->state = RECORD_DONE;
    *unlink = arenap_record_take_link(record);
    return true;
}

int
arena_clean(arena_cleanable_t *cleanable)
{
    bool mine = false, unlink = false;
    int saved = errno;
    record_t *record;

    arenap_record_lock();
    record = cleanable_record(cleanable);
    if (record != NULL && !cleanable_is_stale(cleanable, record))
        mine = cleaner_claim(record, &unlink);
    arenap_record_unlock();
    if (record == NULL)
        return arenap_fail(EINVAL, "%p is no cleanable", (void *)cleanable);
    if (unlink)
        arenap_record_unlink(record);
    if (mine)
        cleaner_act(record);
    errno = saved;
    return 0;
}

void
arena_cleanable_free(arena_cleanable_t *cleanable)
{
    (void)cleanable;
}
