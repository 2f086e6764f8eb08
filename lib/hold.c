/* hold.c: who keeps an arena from being closed, and whose it is. */

#include "config.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "auto.h"
#include "cursor.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "lifecycle.h"
#include "os.h"
#include "sync.h"
#include "thread.h"
#include "usage.h"

struct hold *
arenap_hold_find(struct arena *arena, uint64_t serial)
{
    struct hold *hold = arena->holds;

    while (hold != NULL && hold->serial != serial)
        hold = hold->next;
    return hold;
}

void
arenap_holds_free(struct arena *arena)
{
    while (arena->holds != NULL) {
        struct hold *next = arena->holds->next;

        free(arena->holds);
        arena->holds = next;
    }
}

/* --- Acquire and release --- */

/* Under the lock, which is left for malloc. */
static int
acquire_explicit(struct thread *self, struct arena *arena)
{
    int saved = errno, result;
    struct hold *spare = malloc(sizeof *spare), *hold;

    errno = saved; /* it is not always needed */
    arenap_sync_lock(arena);
    result = arenap_explicit_check(self, arena);
    hold = arenap_hold_find(arena, arenap_tls.serial);
    if (result == 0 && (atomic_load(&arena->state) & ARENA_CLOSING) != 0) {
        result = arenap_fail(EBUSY, "a thread waits to close the arena");
    } else if (result == 0 && hold == NULL && spare == NULL) {
        result = arenap_fail_system(sizeof *spare);
    } else if (result == 0 && hold == NULL) {
        hold = spare;
        spare = NULL;
        *hold = (struct hold){arena->holds, arenap_tls.serial, 0};
        arena->holds = hold;
    }
    if (result == 0) {
        hold->count++;
        arenap_explicit_complicate(arena);
        atomic_fetch_add(&arena->acquired, 1);
    }
    arenap_sync_unlock(arena);
    free(spare);
    /* Who holds the arena may be waiting for a processor that a thread uses
     * to try again and again. */
    if (result != 0 && errno == EBUSY) {
        sched_yield();
        errno = EBUSY;
    }
    return result;
}

int
arena_acquire(arena_t *arena)
{
    struct thread *self = arenap_thread_self();

    if (arena == NULL)
        return arenap_fail(EINVAL, "no arena to acquire");
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (arena->kind == ARENA_AUTO && !arenap_auto_is_alive(arena))
        return arenap_fail(ESTALE, "the arena is closed");
    if (arena->kind == ARENA_AUTO)
        return arena_pin((char *)arena + 1);
    if (arena->kind != ARENA_CONFINED && arena->kind != ARENA_SHARED)
        return 0;
    return acquire_explicit(self, arena);
}

/* Remove one acquire: the caller's own, else any. */
static int
release_explicit(struct arena *arena)
{
    struct hold *hold, **link, *empty = NULL;
    bool wake = false;

    arenap_sync_lock(arena);
    hold = arenap_hold_find(arena, arenap_tls.serial);
    if (hold == NULL)
        hold = arena->holds;
    if (hold != NULL) {
        atomic_fetch_sub(&arena->acquired, 1);
        wake = atomic_load(&arena->sleepers) != 0;
        if (--hold->count == 0) {
            for (link = &arena->holds; *link != hold; link = &(*link)->next)
                ;
            *link = hold->next;
            empty = hold;
        }
    }
    arenap_sync_unlock(arena);
    if (hold == NULL)
        return arenap_fail(EINVAL, "the arena is not acquired");
    free(empty);
    if (wake)
        arenap_os_wake(&arena->acquired, INT32_MAX);
    return 0;
}

int
arena_release(arena_t *arena)
{
    if (arena == NULL)
        return arenap_fail(EINVAL, "no arena to release");
    if (arenap_thread_self() == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (arena->kind == ARENA_AUTO) {
        if (arena_unpin((char *)arena + 1) == 0)
            return 0;
        return arenap_fail(EINVAL, "the arena is not acquired");
    }
    if (arena->kind != ARENA_CONFINED && arena->kind != ARENA_SHARED)
        return 0;
    return release_explicit(arena);
}

/* --- Adopt --- */

int
arena_adopt(arena_t *arena)
{
    struct thread *self = arenap_thread_self();
    int result = 0;

    if (arena == NULL)
        return arenap_fail(EINVAL, "no arena to adopt");
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (arena->kind != ARENA_CONFINED)
        return arenap_fail(ENOTSUP, "%s arenas have no owner",
                           arenap_kind_name(arena->kind));
    arenap_thread_reclaim();
    arenap_sync_lock(arena);
    if (arena->owner_serial != arenap_tls.serial
        && arenap_thread_find(arena->owner_serial) != NULL)
        result = arenap_fail(EPERM, "the arena's owner lives");
    else if ((atomic_load(&arena->state) & ARENA_OPEN) == 0)
        result = arenap_fail(ESTALE, "the arena is closed");
    else if (arena->owner_serial != arenap_tls.serial) {
        arenap_cursor_revoke(arena);
        arena->owner_serial = arenap_tls.serial;
        atomic_store(&arena->owner, arenap_tls.serial);
    }
    arenap_sync_unlock(arena);
    return result;
}
