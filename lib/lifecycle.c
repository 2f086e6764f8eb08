/* lifecycle.c: see lifecycle.h. */

#include "config.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "chunk.h"
#include "collected.h"
#include "collector.h"
#include "control.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "lifecycle.h"
#include "os.h"
#include "roots.h"
#include "sync.h"
#include "thread.h"
#include "usage.h"

/* How many acquires a thread holds. */
struct hold {
    struct hold *next;
    uint64_t serial;
    uint32_t count;
};

/* --- Actions --- */

struct action *
arenap_action_make(void (*run)(void *), void *arg)
{
    bool scanned = arenap_collector_started();
    struct action *action;

    action = scanned ? arenap_collector_alloc_traced(sizeof *action)
                     : malloc(sizeof *action);
    if (action == NULL) {
        arenap_fail_system(sizeof *action);
        return NULL;
    }
    action->run = run;
    action->arg = arg;
    action->scanned = scanned;
    return action;
}

void
arenap_action_free(struct action *action)
{
    if (action->scanned)
        arenap_collector_free_traced(action);
    else
        free(action);
}

void
arenap_actions_run(struct thread *self, struct action *actions,
                   const struct action *last)
{
    self->acting++;
    while (actions != last) {
        struct action *next = actions->next;

        actions->run(actions->arg);
        arenap_action_free(actions);
        actions = next;
    }
    self->acting--;
}

/* --- The arenas that are closed together --- */

struct closing {
    struct arena *all; /* linked by free_next, children before parents */
    sync_set stripes;
};

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

/* Put an arena's descendants, from an order on, into the list: parents first,
 * then turned around.  Under the tree lock. */
static void
closing_gather(struct closing *closing, struct arena *arena, uint64_t order,
               bool itself)
{
    struct arena *first = itself ? arena : children_since(arena, order);
    struct arena *last = first, *turned = NULL;

    closing->stripes = arenap_sync_stripe(arena);
    if (itself)
        arena->free_next = NULL;
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
}

/* The first arena of the list, or arena itself, that is acquired. */
static struct arena *
closing_busy(const struct closing *closing, struct arena *arena)
{
    if (atomic_load(&arena->acquired) != 0)
        return arena;
    for (struct arena *a = closing->all; a != NULL; a = a->free_next)
        if (atomic_load(&a->acquired) != 0)
            return a;
    return NULL;
}

static int
fail_busy(const struct arena *busy)
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

/* With all locks: from here on nobody can use them. */
static void
closing_mark(struct closing *closing)
{
    for (struct arena *a = closing->all; a != NULL; a = a->free_next) {
        tree_unlink(a);
        atomic_store(&a->owner, ARENA_NOBODY);
        a->bump = a->end = a->zeroed = NULL;
        a->closes++;
        atomic_fetch_add(&a->epoch, 1);
        atomic_store(&a->state, 0);
        /* Who waits to close it finds it closed. */
        if (atomic_load(&a->sleepers) != 0)
            arenap_os_wake(&a->acquired, INT32_MAX);
    }
}

static void
closing_act(struct thread *self, struct closing *closing)
{
    for (struct arena *a = closing->all; a != NULL; a = a->free_next) {
        struct action *actions = a->actions;

        a->actions = NULL;
        arenap_actions_run(self, actions, NULL);
    }
}

static void
holds_free(struct arena *arena)
{
    while (arena->holds != NULL) {
        struct hold *next = arena->holds->next;

        free(arena->holds);
        arena->holds = next;
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

static void
closing_dispose(struct thread *self, struct closing *closing)
{
    for (struct arena *a = closing->all, *next; a != NULL; a = next) {
        next = a->free_next;
        holds_free(a);
        arena_dispose(self, a);
    }
}

/* Run the actions and free the memory of what was marked.  Success leaves
 * errno alone, whatever an action does. */
static int
closing_finish(struct thread *self, struct closing *closing)
{
    int saved = errno;

    closing_act(self, closing);
    closing_dispose(self, closing);
    errno = saved;
    return 0;
}

/* --- Close --- */

/* Common to close, reset and the like: EINVAL, ENOTSUP, EPERM, ESTALE. */
static int
closeable(const struct thread *self, const struct arena *arena,
          const char *operation)
{
    if (arena->kind != ARENA_CONFINED && arena->kind != ARENA_SHARED)
        return arenap_fail(ENOTSUP, "%s arenas cannot be %s",
                           arenap_kind_name(arena->kind), operation);
    return arenap_explicit_check(self, arena);
}

/* Mark the arena and its descendants closed, or nothing.  0; or -1 with errno
 * set, EBUSY with *busy set. */
static int
close_mark(struct thread *self, struct arena *arena, struct closing *closing,
           struct arena **busy)
{
    int result;

    arenap_sync_tree_lock();
    *busy = NULL;
    /* First: an arena that is closed is in somebody else's list. */
    result = closeable(self, arena, "closed");
    if (result == 0) {
        closing_gather(closing, arena, 0, true);
        arenap_sync_lock_set(closing->stripes);
        *busy = closing_busy(closing, arena);
        if (*busy != NULL)
            result = fail_busy(*busy);
        else
            closing_mark(closing);
        arenap_sync_unlock_set(closing->stripes);
    }
    arenap_sync_tree_unlock();
    return result;
}

static ARENA_NOINLINE int
close_slow(struct arena *arena)
{
    struct thread *self = arenap_thread_self();
    struct closing closing;
    struct arena *busy;

    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (closeable(self, arena, "closed") != 0
        || close_mark(self, arena, &closing, &busy) != 0)
        return -1;
    return closing_finish(self, &closing);
}

static inline void
close_mark_plain(struct arena *arena)
{
    atomic_store_explicit(&arena->owner, ARENA_NOBODY, memory_order_relaxed);
    atomic_store_explicit(&arena->state, 0, memory_order_relaxed);
    arenap_count(&arena->epoch, 1);
}

/* A plain arena of the calling thread, marked: it has chunks and nothing
 * else. */
static ARENA_NOINLINE int
close_plain(struct arena *arena)
{
    struct thread *self = arenap_tls.record;

    arenap_explicit_free(self, arena, arena->chunks, NULL);
    arenap_explicit_clean(arena);
    arenap_count(&self->counts[ARENA_CONFINED].count, (size_t)0 - 1);
    arenap_control_give(&self->ring, arena);
    return 0;
}

int
arena_close(arena_t *arena)
{
    struct thread *self = arenap_tls.record;
    struct chunk *chunk;
    bool is_short;

    if (arena == NULL)
        return 0;
    if (ARENA_UNLIKELY(
            atomic_load_explicit(&arena->owner, memory_order_relaxed)
                != arenap_tls.serial
            || (arena->flags & ARENA_PLAIN) == 0))
        return close_slow(arena);
    /* The short way: its only chunk goes to the cache, if nothing stands in
     * the way; the cache and the ring count both. */
    chunk = arena->chunks;
    is_short = arenap_explicit_is_short(arena);
    close_mark_plain(arena);
    if (ARENA_UNLIKELY(!is_short || chunk == NULL
                       || arenap_control_count(&self->ring) == CONTROL_ROOM
                       || !arenap_cache_push(&self->cache, chunk)))
        return close_plain(arena);
    arenap_control_push(&self->ring, arena);
    return 0;
}

/* --- Close, waiting --- */

static struct hold *
hold_find(struct arena *arena, uint64_t serial)
{
    struct hold *hold = arena->holds;

    while (hold != NULL && hold->serial != serial)
        hold = hold->next;
    return hold;
}

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
        struct hold *hold = hold_find(a, arenap_tls.serial);

        if (hold != NULL && hold->count != 0)
            return a;
    }
    return NULL;
}

/* Bar new acquires; again after each wait, for children opened since. */
static int
wait_begin(struct thread *self, struct arena *arena, bool first)
{
    struct closing closing;
    struct arena *held;
    int result;

    arenap_sync_tree_lock();
    result = closeable(self, arena, "closed");
    if (result == 0) {
        closing_gather(&closing, arena, 0, true);
        arenap_sync_lock_set(closing.stripes);
        held = closing_held(&closing);
        if (held != NULL) {
            result = fail_busy(held);
        } else {
            closing_bar(&closing, true);
            arena->closers += first;
        }
        arenap_sync_unlock_set(closing.stripes);
    }
    arenap_sync_tree_unlock();
    return result;
}

static void
wait_end(struct arena *arena, uint64_t closes)
{
    struct closing closing;

    arenap_sync_tree_lock();
    /* Not of an arena that uses the control block by now, and not for those
     * who still wait. */
    if (arena->closes == closes && --arena->closers == 0) {
        closing_gather(&closing, arena, 0, true);
        arenap_sync_lock_set(closing.stripes);
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
    uint64_t closes = arena->closes;
    bool first = true, in_time = true;
    struct arena *busy;

    for (;;) {
        if (wait_begin(self, arena, first) != 0)
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
    if (closeable(self, arena, "closed") != 0
        || close_waiting(self, arena, deadline, &closing) != 0)
        return -1;
    errno = saved; /* of attempts that failed */
    return closing_finish(self, &closing);
}

/* --- Reset and rewind: the contents go, the arena stays --- */

/* What is taken out of an arena that stays open. */
struct contents {
    struct closing children;
    struct action *actions, *last_action;
    struct chunk *chunks, *last_chunk;
};

/* Run actions, in the order of a close. */
static void
contents_act(struct thread *self, struct contents *contents)
{
    int saved = errno;

    closing_act(self, &contents->children);
    arenap_actions_run(self, contents->actions, contents->last_action);
    errno = saved;
}

static void
contents_dispose(struct thread *self, struct arena *arena,
                 struct contents *contents)
{
    closing_dispose(self, &contents->children);
    /* An action may have closed the arena; it is still ours to use. */
    arenap_explicit_drop(self, arena, contents->chunks, contents->last_chunk);
    arenap_explicit_leave(self, arena);
}

/* With the locks: everything. */
static void
contents_take_all(struct arena *arena, struct contents *contents)
{
    arenap_explicit_settle(arena);
    if (arena->growth == 1)
        arena->growth = 0; /* if plain, it is short again */
    contents->actions = arena->actions;
    contents->chunks = arena->chunks;
    contents->last_action = NULL;
    contents->last_chunk = NULL;
    arena->actions = NULL;
    arena->chunks = NULL;
    arena->marks = NULL;
    arena->bump = arena->end = arena->zeroed = NULL;
    arena->tally = 0;
    atomic_store(&arena->requested, 0);
    atomic_store(&arena->blocks, 0);
    atomic_fetch_add(&arena->epoch, 1);
}

static void
contents_take_since(struct arena *arena, const struct mark *mark,
                    struct contents *contents)
{
    contents->actions = arena->actions;
    contents->chunks = arena->chunks;
    contents->last_action = mark->actions;
    contents->last_chunk = mark->chunks;
    while (arena->marks != mark)
        arena->marks = arena->marks->next;
    arena->actions = mark->actions;
    arena->chunks = mark->chunks;
    arena->bump = arena->zeroed = mark->bump;
    arena->end = mark->end;
    arena->tally = 0;
    atomic_store(&arena->requested, mark->requested);
    atomic_store(&arena->blocks, mark->blocks);
}

/* Take out what came after a mark, or everything (mark is NULL). */
static int
contents_take(struct thread *self, struct arena *arena,
              const struct mark *mark, struct contents *contents)
{
    struct arena *busy;
    int result;

    arenap_sync_tree_lock();
    result = closeable(self, arena, "reset");
    if (result == 0) {
        closing_gather(&contents->children, arena,
                       mark != NULL ? mark->next_order : 0, false);
        arenap_sync_lock_set(contents->children.stripes);
        busy = closing_busy(&contents->children, arena);
        if (busy != NULL) {
            result = fail_busy(busy);
        } else {
            closing_mark(&contents->children);
            /* Its owner asks, from here on, and hears of the dropping. */
            if (arena->kind == ARENA_CONFINED)
                atomic_store(&arena->owner, ARENA_NOBODY);
            arena->users++; /* until its contents are freed */
            if (mark != NULL)
                contents_take_since(arena, mark, contents);
            else
                contents_take_all(arena, contents);
        }
        arenap_sync_unlock_set(contents->children.stripes);
    }
    arenap_sync_tree_unlock();
    return result;
}

/* While its actions run, the arena counts as closed for this thread. */
static int
drop_acting(struct thread *self, struct arena *arena, const struct mark *mark)
{
    struct dropping dropping = {arena, self->dropping};
    struct contents contents;

    if (contents_take(self, arena, mark, &contents) != 0)
        return -1;
    self->dropping = &dropping;
    contents_act(self, &contents);
    self->dropping = dropping.outer;
    if (arena->kind == ARENA_CONFINED
        && (atomic_load(&arena->state) & ARENA_OPEN) != 0)
        atomic_store(&arena->owner, arena->owner_serial);
    contents_dispose(self, arena, &contents);
    return 0;
}

int
arena_reset(arena_t *arena)
{
    struct thread *self = arenap_thread_self();

    if (arena == NULL)
        return arenap_fail(EINVAL, "no arena to reset");
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (closeable(self, arena, "reset") != 0)
        return -1;
    return drop_acting(self, arena, NULL);
}

/* --- Marks --- */

static int
markable(const struct arena *arena)
{
    if (arena == NULL)
        return arenap_fail(EINVAL, "no arena to mark or rewind");
    if (arena->kind != ARENA_CONFINED)
        return arenap_fail(ENOTSUP, "%s arenas have no marks",
                           arenap_kind_name(arena->kind));
    return 0;
}

static int
fail_mark(void)
{
    return arenap_fail(EINVAL, "the mark is of another arena, or was "
                               "dropped");
}

int
arena_mark(arena_t *arena, arena_mark_t *out)
{
    static _Atomic uint64_t last_id;
    struct thread *self = arenap_thread_self();
    struct mark *mark;
    size_t requested, blocks;

    if (out == NULL)
        return arenap_fail(EINVAL, "no place to put the mark");
    if (markable(arena) != 0)
        return -1;
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (arenap_explicit_check(self, arena) != 0)
        return -1;
    arenap_explicit_complicate(arena);
    arenap_explicit_fold(arena);
    requested = atomic_load(&arena->requested);
    blocks = atomic_load(&arena->blocks);
    mark = arenap_explicit_alloc(self, arena, sizeof *mark, ARENA_GRANULE,
                                 false);
    if (mark == NULL)
        return -1;
    /* The mark itself is none of the program's blocks. */
    arena->tally = 0;
    atomic_store(&arena->requested, requested);
    atomic_store(&arena->blocks, blocks);
    mark->next = arena->marks;
    mark->id = atomic_fetch_add(&last_id, 1) + 1;
    mark->chunks = arena->chunks;
    mark->bump = arena->bump;
    mark->end = arena->end;
    mark->actions = arena->actions;
    mark->next_order = arena->next_order;
    mark->requested = requested;
    mark->blocks = blocks;
    arena->marks = mark;
    *out = (arena_mark_t){.id = mark->id, .arena = (uintptr_t)arena};
    return 0;
}

int
arena_rewind(arena_t *arena, arena_mark_t mark)
{
    struct thread *self = arenap_thread_self();
    const struct mark *found;

    if (markable(arena) != 0)
        return -1;
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (mark.arena != (uintptr_t)arena)
        return fail_mark();
    if (arenap_explicit_check(self, arena) != 0)
        return -1;
    found = arena->marks;
    while (found != NULL && found->id != mark.id)
        found = found->next;
    if (found == NULL)
        return fail_mark();
    return drop_acting(self, arena, found);
}

/* --- Acquire and release --- */

/* Under the lock, which is left for malloc. */
static int
acquire_explicit(struct thread *self, struct arena *arena)
{
    struct hold *spare = malloc(sizeof *spare), *hold;
    int result;

    arenap_sync_lock(arena);
    result = arenap_explicit_check(self, arena);
    hold = hold_find(arena, arenap_tls.serial);
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
    hold = hold_find(arena, arenap_tls.serial);
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

/* --- Close actions --- */

static int
on_close_explicit(struct thread *self, struct arena *arena,
                  struct action *action)
{
    int result;

    arenap_sync_lock(arena);
    result = arenap_explicit_check(self, arena);
    if (result == 0) {
        action->next = arena->actions;
        arena->actions = action;
        arenap_explicit_complicate(arena);
    }
    arenap_sync_unlock(arena);
    return result;
}

int
arena_on_close(arena_t *arena, void (*action)(void *), void *arg)
{
    struct thread *self = arenap_thread_self();
    struct action *made;
    int result;

    if (arena == NULL || action == NULL)
        return arenap_fail(EINVAL, "no arena or no action");
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (arena->kind == ARENA_GLOBAL || arena->kind == ARENA_IMPLICIT)
        return arenap_fail(ENOTSUP, "%s arenas are never closed",
                           arenap_kind_name(arena->kind));
    if (arena->kind == ARENA_AUTO)
        return arenap_auto_on_close(self, arena, action, arg);
    if (arenap_explicit_check(self, arena) != 0)
        return -1;
    made = arenap_action_make(action, arg);
    if (made == NULL)
        return -1;
    result = on_close_explicit(self, arena, made);
    if (result != 0)
        arenap_action_free(made);
    return result;
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
        arena->owner_serial = arenap_tls.serial;
        atomic_store(&arena->owner, arenap_tls.serial);
    }
    arenap_sync_unlock(arena);
    return result;
}
