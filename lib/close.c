/* close.c: closing; see lifecycle.h. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "cell.h"
#include "chunk.h"
#include "chunk_cache.h"
#include "control.h"
#include "cursor.h"
#include "error.h"
#include "explicit.h"
#include "handshake.h"
#include "internal.h"
#include "lifecycle.h"
#include "os.h"
#include "sync.h"
#include "thread.h"
#include "usage.h"

/* --- The arenas that are closed together --- */

/* Children of an arena opened at or after an order, oldest in front. */
static struct arena *
children_since(struct arena *arena, uint64_t order)
{
    struct arena *oldest = NULL;

    for (struct arena *c = arena->children; c != NULL && c->order >= order;
         c = c->sibling) {
        c->free_next = oldest;
        oldest = c;
    }
    return oldest;
}

int
arenap_closing_begin(struct thread *self, struct arena *arena,
                     const char *operation)
{
    int result;

    arenap_sync_tree_lock();
    arenap_sync_lock(arena);
    result = arenap_closeable(self, arena, operation);
    if (result == 0)
        arena->gathered = true;
    arenap_sync_unlock(arena);
    if (result != 0)
        arenap_sync_tree_unlock();
    return result;
}

void
arenap_closing_end(const struct closing *closing, struct arena *arena)
{
    arena->gathered = false;
    arenap_sync_unlock_set(closing->stripes);
    arenap_sync_tree_unlock();
}

/* Parents first, then turned around. */
void
arenap_closing_gather(struct closing *closing, struct arena *arena,
                      uint64_t order, bool itself)
{
    struct arena *first = itself ? arena : children_since(arena, order);
    struct arena *last = first, *turned = NULL;

    closing->stripes = arenap_sync_stripe(arena);
    if (itself)
        arena->free_next = NULL;
    if (itself && arena->parent != NULL)
        closing->stripes |= arenap_sync_stripe(arena->parent);
    while (last != NULL && last->free_next != NULL)
        last = last->free_next;
    for (struct arena *a = first; a != NULL; a = a->free_next) {
        closing->stripes |= arenap_sync_stripe(a);
        last->free_next = children_since(a, 0);
        while (last->free_next != NULL)
            last = last->free_next;
    }
    for (struct arena *next; first != NULL; first = next) {
        next = first->free_next;
        first->free_next = turned;
        turned = first;
    }
    closing->all = turned;
    arenap_sync_lock_set(closing->stripes);
}

struct arena *
arenap_closing_busy(const struct closing *closing, struct arena *arena)
{
    if (atomic_load(&arena->acquired) != 0)
        return arena;
    for (struct arena *a = closing->all; a != NULL; a = a->free_next)
        if (atomic_load(&a->acquired) != 0)
            return a;
    return NULL;
}

int
arenap_closing_fail(const struct arena *busy)
{
    uint32_t count = atomic_load(&busy->acquired);

    return arenap_fail(EBUSY, "the arena%s%s is acquired %u time%s",
                       busy->name != NULL ? " " : "",
                       busy->name != NULL ? busy->name : "", count,
                       count == 1 ? "" : "s");
}

static void
tree_unlink(struct arena *arena)
{
    struct arena **link;

    if (arena->parent == NULL)
        return;
    for (link = &arena->parent->children; *link != NULL;
         link = &(*link)->sibling)
        if (*link == arena) {
            *link = arena->sibling;
            return;
        }
}

/* Under its lock; under the tree lock, too, if it has or may get relatives. */
static inline void
mark_closed(struct arena *a)
{
    if (ARENA_UNLIKELY(a->lease != 0))
        arenap_cursor_revoke(a);
    if (ARENA_UNLIKELY(a->marks != NULL))
        arenap_cells_drop(a, NULL);
    atomic_store_explicit(&a->owner, ARENA_NOBODY, memory_order_relaxed);
    a->bump = a->end = NULL;
    a->closes++;
    /* Nobody else writes it; see handshake.h for who must see it. */
    atomic_store_explicit(
        &a->epoch, atomic_load_explicit(&a->epoch, memory_order_relaxed) + 1,
        memory_order_release);
    atomic_store_explicit(&a->state, 0, memory_order_release);
    /* Who waits to close it finds it closed. */
    if (ARENA_UNLIKELY(atomic_load(&a->sleepers) != 0))
        arenap_os_wake(&a->acquired, INT32_MAX);
}

void
arenap_closing_mark(struct closing *closing)
{
    for (struct arena *a = closing->all; a != NULL; a = a->free_next) {
        tree_unlink(a);
        /* What it gives back is taken off its parent's limit. */
        if (a->parent != NULL)
            atomic_fetch_add(&a->parent->users, 1);
        mark_closed(a);
    }
}

void
arenap_closing_act(struct thread *self, struct closing *closing)
{
    arenap_handshake_wait_all(closing->all);
    for (struct arena *a = closing->all; a != NULL; a = a->free_next) {
        struct action *actions = a->actions;

        a->actions = NULL;
        arenap_actions_run(self, actions, NULL);
    }
}

/* Free what a closed arena had, and give its control block back. */
static void
arena_dispose(struct thread *self, struct arena *arena)
{
    struct chunk *chunks = arena->chunks;

    arena->chunks = NULL;
    arenap_explicit_drop(self, arena, chunks, NULL);
    arenap_count(&self->counts[arena->kind].count, (size_t)0 - 1);
    arenap_explicit_dispose(self, arena);
}

void
arenap_closing_dispose(struct thread *self, struct closing *closing)
{
    for (struct arena *a = closing->all, *next; a != NULL; a = next) {
        next = a->free_next;
        arenap_holds_free(a);
        arena_dispose(self, a);
    }
}

/* Run the actions and free the memory of what was marked.  Success leaves
 * errno alone, whatever an action does. */
static int
closing_finish(struct thread *self, struct closing *closing)
{
    int saved = errno;

    arenap_closing_act(self, closing);
    arenap_closing_dispose(self, closing);
    errno = saved;
    return 0;
}

int
arenap_closeable(const struct thread *self, const struct arena *arena,
                 const char *operation)
{
    if (arena->kind != ARENA_CONFINED && arena->kind != ARENA_SHARED)
        return arenap_fail(ENOTSUP, "%s arenas cannot be %s",
                           arenap_kind_name(arena->kind), operation);
    return arenap_explicit_check(self, arena);
}

/* --- Close --- */

/* Mark the arena and its descendants closed, or nothing.  0; or -1 with errno
 * set, EBUSY with *busy set. */
static int
close_mark(struct thread *self, struct arena *arena, struct closing *closing,
           struct arena **busy)
{
    int result = 0;

    *busy = NULL;
    if (arenap_closing_begin(self, arena, "closed") != 0)
        return -1;
    arenap_closing_gather(closing, arena, 0, true);
    *busy = arenap_closing_busy(closing, arena);
    if (*busy != NULL)
        result = arenap_closing_fail(*busy);
    else
        arenap_closing_mark(closing);
    arenap_closing_end(closing, arena);
    return result;
}

/* An arena that has no parent and no children, and is not acquired, is marked
 * closed under its own lock alone.  False: nothing was done. */
static bool
close_mark_single(struct thread *self, struct arena *arena,
                  struct closing *closing)
{
    bool single;

    arenap_explicit_lock(arena);
    single = arenap_explicit_check(self, arena) == 0 && arena->parent == NULL
             && arena->children == NULL && !arena->gathered
             && arena->closers == 0 && atomic_load(&arena->acquired) == 0;
    if (single) {
        arena->free_next = NULL;
        closing->all = arena;
        mark_closed(arena);
    }
    arenap_explicit_unlock(arena);
    return single;
}

/* Is there nothing in an arena, marked and without a parent, but chunks? */
static bool
close_is_simple(const struct arena *arena)
{
    return arena->actions == NULL && arena->holds == NULL
           && atomic_load(&arena->users) == 0
           && !arenap_handshake_is_due(arena);
}

/* Give its chunks back: the only one of most the short way, which counts it
 * as confined. */
static inline void
simple_free(struct thread *self, struct arena *arena)
{
    struct chunk *chunk = arena->chunks;

    arena->chunks = NULL;
    if (ARENA_UNLIKELY(chunk == NULL || chunk->next != NULL
                       || chunk->class != 0 || arena->limited
                       || !arenap_cache_push(&self->cache, chunk))) {
        arenap_chunk_give(self, arena, chunk, NULL);
    } else if (arena->kind != ARENA_CONFINED) {
        arenap_count(&self->counts[arena->kind].reserved,
                     (size_t)0 - ARENA_PAGE);
        arenap_count(&self->counts[ARENA_CONFINED].reserved, ARENA_PAGE);
    }
}

/* The same with its control block. */
static inline void
simple_give(struct thread *self, struct arena *arena)
{
    if (ARENA_LIKELY(arenap_control_can_push(&self->ring))) {
        arenap_control_push(&self->ring, arena);
        if (arena->kind == ARENA_CONFINED)
            return;
        arenap_count(&self->counts[ARENA_CONFINED].count, 1);
    } else {
        arenap_control_give(&self->ring, arena);
    }
    arenap_count(&self->counts[arena->kind].count, (size_t)0 - 1);
}

static ARENA_NOINLINE int
close_slow(struct arena *arena)
{
    struct thread *self = arenap_thread_self();
    struct closing closing;
    struct arena *busy;

    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (arena->kind != ARENA_SHARED
        && arenap_closeable(self, arena, "closed") != 0)
        return -1;
    if (close_mark_single(self, arena, &closing)) {
        if (close_is_simple(arena)) {
            simple_free(self, arena);
            arenap_explicit_clean(arena);
            simple_give(self, arena);
            return 0;
        }
    } else if (close_mark(self, arena, &closing, &busy) != 0) {
        return -1;
    }
    return closing_finish(self, &closing);
}

static inline void
close_mark_plain(struct arena *arena)
{
    atomic_store_explicit(&arena->owner, ARENA_NOBODY, memory_order_relaxed);
    atomic_store_explicit(&arena->state, 0, memory_order_relaxed);
    arenap_count(&arena->epoch, 1);
}

/* A plain arena of the calling thread, marked. */
static ARENA_NOINLINE int
close_plain(struct arena *arena)
{
    struct thread *self = arenap_tls.record;

    simple_free(self, arena);
    arenap_explicit_clean_plain(arena);
    simple_give(self, arena);
    return 0;
}

static ARENA_NOINLINE int
close_longer(struct arena *arena)
{
    uint64_t owner =
        atomic_load_explicit(&arena->owner, memory_order_relaxed);
    uint64_t serial = arenap_tls.serial;

    if ((owner != serial && owner != ARENA_LENT(serial))
        || (arena->flags & ARENA_PLAIN) == 0)
        return close_slow(arena);
    arenap_cursor_revoke(arena);
    close_mark_plain(arena);
    return close_plain(arena);
}

ARENA_ALIGNED int
arena_close(arena_t *arena)
{
    struct thread *self = arenap_tls.record;
    struct chunk *chunk;

    if (ARENA_UNLIKELY(arena == NULL))
        return 0;
    if (ARENA_UNLIKELY(
            atomic_load_explicit(&arena->owner, memory_order_relaxed)
                != arenap_tls.serial
            || !arenap_explicit_is_short(arena)))
        return close_longer(arena);
    /* The short way: its only chunk goes to the cache, if nothing stands in
     * the way; the cache and the ring count both. */
    close_mark_plain(arena);
    chunk = arena->chunks;
    if (ARENA_UNLIKELY(!arenap_control_can_push(&self->ring)
                       || chunk == NULL
                       || !arenap_cache_push(&self->cache, chunk)))
        return close_plain(arena);
    arenap_control_push(&self->ring, arena);
    return 0;
}

/* --- Close, waiting --- */

/* Set or clear the closing bit of a set of arenas; with the locks. */
static void
closing_bar(struct closing *closing, bool bar)
{
    for (struct arena *a = closing->all; a != NULL; a = a->free_next) {
        if (bar)
            atomic_fetch_or(&a->state, ARENA_CLOSING);
        else if (a->closers == 0)
            atomic_fetch_and(&a->state, (uint8_t)~ARENA_CLOSING);
    }
}

/* Does the caller hold one of them? */
static struct arena *
closing_held(const struct closing *closing)
{
    for (struct arena *a = closing->all; a != NULL; a = a->free_next) {
        struct hold *hold = arenap_hold_find(a, arenap_tls.serial);

        if (hold != NULL && hold->count != 0)
            return a;
    }
    return NULL;
}

/* Bar new acquires; again after each wait, for children opened since. */
static int
wait_begin(struct thread *self, struct arena *arena, bool first,
           uint64_t *closes)
{
    struct closing closing;
    struct arena *held;
    int result = 0;

    if (arenap_closing_begin(self, arena, "closed") != 0)
        return -1;
    arenap_closing_gather(&closing, arena, 0, true);
    held = closing_held(&closing);
    if (held != NULL) {
        result = arenap_closing_fail(held);
    } else {
        closing_bar(&closing, true);
        arena->closers += first;
        if (first)
            *closes = arena->closes;
    }
    arenap_closing_end(&closing, arena);
    return result;
}

static void
wait_end(struct arena *arena, uint64_t closes)
{
    struct closing closing;

    arenap_sync_tree_lock();
    /* Not of an arena that uses the control block by now, and not for those
     * who still wait.  As long as we count among the closers, it is closed
     * under the tree lock alone. */
    if (arena->closes == closes) {
        arenap_closing_gather(&closing, arena, 0, true);
        if (--arena->closers == 0)
            closing_bar(&closing, false);
        arenap_sync_unlock_set(closing.stripes);
    }
    arenap_sync_tree_unlock();
}

/* Sleep until somebody releases a busy arena.  False: too late. */
static bool
wait_for_release(struct arena *busy, uint64_t deadline)
{
    bool in_time = true;
    uint32_t count;

    /* A release that does not see the sleeper is seen here. */
    atomic_fetch_add(&busy->sleepers, 1);
    count = atomic_load(&busy->acquired);
    if (count != 0)
        in_time = arenap_os_wait(&busy->acquired, count, deadline);
    atomic_fetch_sub(&busy->sleepers, 1);
    return in_time;
}

static int
close_waiting(struct thread *self, struct arena *arena, uint64_t deadline,
              struct closing *closing)
{
    uint64_t closes = 0;
    bool first = true, in_time = true;
    struct arena *busy;

    for (;;) {
        if (wait_begin(self, arena, first, &closes) != 0)
            return -1;
        first = false;
        if (close_mark(self, arena, closing, &busy) == 0)
            return 0;
        if (busy == NULL)
            return -1; /* somebody else closed it */
        if (!in_time || arenap_os_now() >= deadline) {
            wait_end(arena, closes);
            return arenap_fail(ETIMEDOUT, "the arena is still acquired");
        }
        in_time = wait_for_release(busy, deadline);
    }
}

int
arena_close_wait(arena_t *arena, int timeout_ms)
{
    struct thread *self = arenap_thread_self();
    uint64_t deadline = ARENA_OS_NEVER;
    struct closing closing;
    int saved = errno;

    if (arena == NULL)
        return 0;
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (timeout_ms >= 0)
        deadline = arenap_os_now() + (uint64_t)timeout_ms * 1000000u;
    if (arenap_closeable(self, arena, "closed") != 0
        || close_waiting(self, arena, deadline, &closing) != 0)
        return -1;
    errno = saved; /* of attempts that failed */
    return closing_finish(self, &closing);
}
