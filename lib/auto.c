/* auto.c: see auto.h. */

#include "config.h"

#include <errno.h>

#include "auto.h"
#include "cleaner.h"
#include "collected.h"
#include "collector.h"
#include "error.h"
#include "extra.h"
#include "internal.h"
#include "lifecycle.h"
#include "sync.h"
#include "thread.h"

/* --- Death --- */

int
arenap_auto_part_dead(void *block)
{
    struct part *part = block;

    /* The collector goes down the heap: ask for what it may come to. */
    __builtin_prefetch((const void *)((uintptr_t)block - PART_FIRST), 1);
    /* Not linked.  In a child, whose parent has other threads, it may be as
     * the collector gives it: of the head it clears words 0 and 1 alone before
     * its lock is free. */
    if (part->arena == NULL)
        return 0;
    if (arenap_extra_dead(part->extra))
        return 1;
    part->arena = NULL;
    arenap_extra_leave(part->extra);
    arenap_collected_settle(ARENA_AUTO, part->bytes, part->asked, 0);
    return 0;
}

int
arenap_auto_control_dead(void *block)
{
    struct arena *arena = block;
    uint64_t tag = atomic_load_explicit(&arena->owner, memory_order_relaxed);

    if ((tag & ARENA_TAG) == 0)
        return 0; /* a free slot */
    if (arenap_extra_dead(arena->extra))
        return 1;
    atomic_store_explicit(&arena->owner, 0, memory_order_relaxed);
    arenap_extra_leave(arena->extra);
    arena->extra = NULL;
    arenap_collected_settle(ARENA_AUTO, CONTROL_BYTES, (size_t)arena->tally,
                            1);
    return 0;
}

/* --- Birth --- */

/* Epochs are taken from what all threads share by so many. */
#define EPOCHS_AT_ONCE 65536

static uint64_t
epoch_next(struct thread *self)
{
    static _Atomic uint64_t last;

    if (ARENA_UNLIKELY(self->auto_epoch % EPOCHS_AT_ONCE == 0))
        self->auto_epoch = atomic_fetch_add(&last, EPOCHS_AT_ONCE) + 1;
    return self->auto_epoch++;
}

/* Fill in a control that came with its charge; then it is registered. */
static inline struct arena *
control_arm(struct thread *self, struct control *control, unsigned flags,
            struct arena_extra *extra)
{
    struct arena *arena = (struct arena *)control;

    arena->kind = ARENA_AUTO;
    arena->flags = (uint8_t)flags;
    atomic_store_explicit(&arena->state, ARENA_OPEN, memory_order_relaxed);
    atomic_store_explicit(&arena->epoch, epoch_next(self),
                          memory_order_relaxed);
    arena->extra = extra;
    /* The control's own room is not scanned. */
    if ((flags & ARENA_TRACED) == 0) {
        arena->bump = (char *)(control + 1);
        arena->end = (char *)control + CONTROL_BYTES - ARENA_GRANULE;
        control->limit = arena->end;
    }
    arenap_collected_account(self, ARENA_AUTO, CONTROL_BYTES, 0, 1);
    atomic_store_explicit(&arena->owner, ARENA_HOME(arenap_tls.serial),
                          memory_order_release);
    return arena;
}

struct arena *
arenap_auto_open_at_hand(void)
{
    struct thread *self = arenap_tls.record;
    struct control *control;

    if (ARENA_UNLIKELY(self == NULL))
        return NULL;
    control = arenap_collected_at_hand(self, BLOCK_CONTROL, CONTROL_BYTES);
    return ARENA_LIKELY(control != NULL) ? control_arm(self, control, 0, NULL)
                                         : NULL;
}

struct arena *
arenap_auto_open(struct thread *self, const arena_options_t *options)
{
    struct arena_extra *extra = NULL;
    struct control *control;

    if (options->name != NULL || options->limit != 0) {
        extra = arenap_extra_make(self, options->name, options->limit,
                                  CONTROL_BYTES);
        if (extra == NULL)
            return NULL;
    }
    control = arenap_collected_make(self, BLOCK_CONTROL, CONTROL_BYTES);
    if (control == NULL) {
        arenap_extra_leave(extra);
        return NULL;
    }
    return control_arm(self, control, options->flags, extra);
}

/* --- Closing --- */

/* Nobody is at home any more, so nobody takes the short way; and no segment is
 * of this epoch. */
void
arenap_auto_close(struct arena *arena)
{
    atomic_store_explicit(&arena->owner, ARENA_TAG, memory_order_release);
    atomic_store_explicit(&arena->epoch, 0, memory_order_release);
}

bool
arenap_auto_is_alive(const struct arena *arena)
{
    struct arena_extra *extra =
        __atomic_load_n(&arena->extra, __ATOMIC_ACQUIRE);

    return extra == NULL || !atomic_load(&extra->acting);
}

/* Under the lock: give an arena an extra, and all its parts. */
static void
auto_extend(struct arena *arena, struct arena_extra *extra)
{
    uint32_t parts = 1;

    for (struct part *p = arena->chunks; p != NULL; p = p->next) {
        p->extra = extra;
        parts++;
    }
    atomic_store_explicit(&extra->parts, parts, memory_order_relaxed);
    __atomic_store_n(&arena->extra, extra, __ATOMIC_RELEASE);
}

/* Register an action, unless it is NULL, with the arena's extra, or with one
 * that becomes the arena's.  False: another thread was faster. */
static bool
auto_register(struct arena *arena, struct arena_extra *extra,
              struct action *action)
{
    bool done;

    arenap_sync_lock(arena);
    if (arena->extra == NULL)
        auto_extend(arena, extra);
    done = arena->extra == extra;
    if (done) {
        if (action != NULL) {
            action->next = extra->actions;
            extra->actions = action;
        }
        extra->hidden = ~(uintptr_t)arena;
        atomic_store_explicit(&extra->retained, true, memory_order_release);
    }
    arenap_sync_unlock(arena);
    return done;
}

/* 1: done; 0: another thread was faster, try again; -1 with errno set. */
static int
auto_on_close(struct thread *self, struct arena *arena, void (*run)(void *),
              void *arg, bool scanned)
{
    struct arena_extra *extra =
        __atomic_load_n(&arena->extra, __ATOMIC_ACQUIRE);
    struct action *action = NULL;
    bool fresh = extra == NULL, done;

    if (!arenap_auto_is_alive(arena))
        return arenap_fail(ESTALE, "the arena is closed");
    if (fresh && (extra = arenap_extra_make_plain(self)) == NULL)
        return -1;
    if (fresh && !scanned) {
        extra->run = run;
        extra->arg = arg;
    } else if ((action = arenap_action_make(run, arg)) == NULL) {
        if (fresh)
            arenap_extra_leave(extra);
        return -1;
    }
    done = auto_register(arena, extra, action);
    if (!done && action != NULL)
        arenap_action_free(action);
    if (!done && fresh)
        arenap_extra_leave(extra);
    return done;
}

int
arenap_auto_on_close(struct thread *self, struct arena *arena,
                     void (*run)(void *), void *arg)
{
    void *base = NULL;
    size_t size;
    enum block kind = arg != NULL ? arenap_collector_find(arg, &base, &size)
                                  : BLOCK_NONE;
    int done;

    if (kind != BLOCK_NONE && arenap_collected_arena(kind, base) == arena)
        return arenap_fail(EINVAL, "the argument points into the arena, "
                                   "which would never die");
    if (arenap_collector_attach(self) != 0 || arenap_cleaner_start() != 0)
        return -1;
    do
        done = auto_on_close(self, arena, run, arg, base != NULL);
    while (done == 0);
    arena_keep_alive(arena);
    return done == 1 ? 0 : -1;
}

/* --- Asking --- */

const char *
arenap_auto_name(const struct arena *arena)
{
    return arenap_extra_name(arena->extra);
}

size_t
arenap_auto_bytes(const struct arena *arena)
{
    size_t bytes = CONTROL_BYTES;

    arenap_sync_lock(arena);
    for (const struct part *p = arena->chunks; p != NULL; p = p->next)
        bytes += p->bytes;
    arenap_sync_unlock(arena);
    return bytes;
}
