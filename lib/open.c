/* open.c: the arenas that are always there, and opening others. */

#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "chunk.h"
#include "collector.h"
#include "control.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "os.h"
#include "sync.h"
#include "thread.h"
#include "usage.h"

/* --- The two that are always there --- */

struct arena arenap_global = {
    .owner = ARENA_NOBODY,
    .kind = ARENA_GLOBAL,
    .state = ARENA_OPEN,
    .epoch = 1,
};

struct arena arenap_implicit = {
    .owner = ARENA_NOBODY,
    .kind = ARENA_IMPLICIT,
    .state = ARENA_OPEN,
    .epoch = 1,
};

arena_t *
arena_global(void)
{
    return &arenap_global;
}

arena_t *
arena_implicit(void)
{
    return &arenap_implicit;
}

/* --- Opening --- */

/* What begins a control block, from kind up to epoch, as one word. */
static uint64_t
explicit_word(const struct thread *self, arena_kind_t kind, uint8_t state)
{
    const struct {
        uint8_t kind, flags, growth, state;
        uint32_t born;
    } fields = {(uint8_t)kind, kind == ARENA_CONFINED ? ARENA_PLAIN : 0, 0,
                state, (uint32_t)(self->stamp >> ARENA_TICK_SHIFT)};
    uint64_t word;

    _Static_assert(sizeof word == sizeof fields
                       && offsetof(struct arena, epoch)
                              == offsetof(struct arena, kind) + sizeof word,
                   "one store writes all five");
    memcpy(&word, &fields, sizeof word);
    return word;
}

/* Reading the clock costs as much as opening: in a burst it is read once in
 * a while. */
#define STAMP_BURST 128
#define STAMP_FRESH 1000000u /* ns */

static void
stamp_read(struct thread *self)
{
    uint64_t now = arenap_os_coarse();

    self->stamp_due = self->ring.taken.all
                      + (now - self->stamp < STAMP_FRESH ? STAMP_BURST : 0);
    self->stamp = now;
    self->plain = explicit_word(self, ARENA_CONFINED, ARENA_OPEN);
    arenap_chunk_age();
}

/* Set what the first line of a control block has, but for the owner; the rest
 * is as in one never used: who closes an arena sees to that. */
static inline void
explicit_init(struct arena *arena, uint64_t word)
{
    typedef uint64_t __attribute__((may_alias)) any;

    memset(&arena->chunks, 0,
           offsetof(struct arena, tally) - offsetof(struct arena, chunks));
    arenap_tally_set(arena, 0);
    __atomic_store_n((any *)(void *)&arena->kind, word, __ATOMIC_RELEASE);
}

/* The owner comes last: from then on the fast paths work. */
static inline void
explicit_own(struct arena *arena, uint64_t owner)
{
    ARENA_ASSERT(arenap_explicit_reserved(arena) == 0);
    ARENA_ASSERT(arena->owner_serial == arenap_tls.serial);
    ARENA_ASSERT(arena->marks == NULL && arena->lease == 0);
    ARENA_ASSERT(atomic_load(&arena->requested) == 0);
    ARENA_ASSERT(atomic_load(&arena->blocks) == 0);
    ARENA_ASSERT(arena->children == NULL && arena->actions == NULL);
    ARENA_ASSERT(arena->holds == NULL && arena->users == 0);
    ARENA_ASSERT(!arena->orphan && !arena->gathered);
    atomic_store_explicit(&arena->owner, owner, memory_order_release);
}

/* A control block that is ready to be published. */
static struct arena *
explicit_make(struct thread *self, arena_kind_t kind)
{
    struct arena *arena = arenap_control_take(&self->ring);

    if (ARENA_UNLIKELY(arena == NULL)) {
        arenap_fail_system(sizeof *arena);
        return NULL;
    }
    if (self->ring.taken.all >= self->stamp_due)
        stamp_read(self);
    explicit_init(arena, explicit_word(self, kind, 0));
    atomic_store_explicit(&arena->reserved, 0, memory_order_relaxed);
    arena->owner_serial = arenap_tls.serial;
    return arena;
}

static void
explicit_publish(struct thread *self, struct arena *arena, arena_kind_t kind)
{
    arenap_count(&self->counts[kind].count, 1);
    atomic_store_explicit(&arena->state, ARENA_OPEN, memory_order_release);
    explicit_own(arena, kind == ARENA_CONFINED ? arenap_tls.serial
                                               : ARENA_NOBODY);
}

static ARENA_NOINLINE struct arena *
explicit_open(arena_kind_t kind)
{
    struct thread *self = arenap_thread_self();
    struct arena *arena;

    if (ARENA_UNLIKELY(self == NULL)) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    arena = explicit_make(self, kind);
    if (ARENA_LIKELY(arena != NULL))
        explicit_publish(self, arena, kind);
    return arena;
}

/* Has the thread a control block at hand, and a clock that is good enough? */
static inline bool
open_is_short(const struct thread *self)
{
    return ARENA_LIKELY(self != NULL)
           && ARENA_LIKELY(self->ring.taken.all < self->stamp_due)
           && ARENA_LIKELY(arenap_control_can_pop(&self->ring));
}

/* The short way is counted by the ring. */
ARENA_ALIGNED arena_t *
arena_confined(void)
{
    struct thread *self = arenap_tls.record;
    struct arena *arena;

    if (!open_is_short(self))
        return explicit_open(ARENA_CONFINED);
    arena = arenap_control_pop(&self->ring);
    explicit_init(arena, self->plain);
    explicit_own(arena, arenap_tls.serial);
    return arena;
}

/* The ring counts all that it gives as confined; so one less is. */
arena_t *
arena_shared(void)
{
    struct thread *self = arenap_tls.record;
    struct arena *arena;

    if (!open_is_short(self))
        return explicit_open(ARENA_SHARED);
    arenap_count(&self->counts[ARENA_CONFINED].count, (size_t)0 - 1);
    arena = arenap_control_pop(&self->ring);
    arenap_count(&self->counts[ARENA_SHARED].count, 1);
    explicit_init(arena, explicit_word(self, ARENA_SHARED, ARENA_OPEN));
    explicit_own(arena, ARENA_NOBODY);
    return arena;
}

arena_t *
arena_auto(void)
{
    struct arena *arena = arenap_auto_open_at_hand();

    return ARENA_LIKELY(arena != NULL) ? arena : arena_open(ARENA_AUTO, NULL);
}

/* The options of a caller, who may have been built with a shorter structure.
 * 0; or -1 with errno set. */
static int
options_read(arena_options_t *out, arena_kind_t kind,
             const arena_options_t *options)
{
    static const arena_options_t defaults = ARENA_OPTIONS_INIT;

    *out = defaults;
    if ((unsigned)kind > ARENA_IMPLICIT)
        return arenap_fail(EINVAL, "%d is no kind of arena", (int)kind);
    if (options == NULL)
        return 0;
    if (options->size != sizeof *options)
        return arenap_fail(EINVAL, "options of %zu bytes, not %zu: start "
                                   "from ARENA_OPTIONS_INIT",
                           options->size, sizeof *options);
    *out = *options;
    if ((out->flags & ~(ARENA_TRACED | ARENA_GUARDED)) != 0)
        return arenap_fail(EINVAL, "unknown flags %#x", out->flags);
    if (out->parent != NULL
        && (out->parent->kind != kind
            || (kind != ARENA_CONFINED && kind != ARENA_SHARED)))
        return arenap_fail(EINVAL, "the parent is %s, the child %s",
                           arenap_kind_name(out->parent->kind),
                           arenap_kind_name(kind));
    return 0;
}

static int
options_supported(const arena_options_t *options, arena_kind_t kind)
{
    bool guarded = (options->flags & ARENA_GUARDED) != 0;
    bool traced = (options->flags & ARENA_TRACED) != 0;
    bool any = options->name != NULL || options->limit != 0
               || options->chunk_size != 0 || options->flags != 0;

    if (any && (kind == ARENA_GLOBAL || kind == ARENA_IMPLICIT))
        return arenap_fail(ENOTSUP, "the %s arena takes no options",
                           arenap_kind_name(kind));
    if (guarded && (traced || kind == ARENA_AUTO))
        return arenap_fail(ENOTSUP, "ARENA_GUARDED is for confined and "
                                    "shared arenas that are not traced");
    return 0;
}

/* Put the arena under its parent, unless that is closed. */
static int
tree_join(struct thread *self, struct arena *arena)
{
    struct arena *parent = arena->parent;
    int result;

    arenap_sync_tree_lock();
    arenap_sync_lock(parent);
    result = arenap_explicit_check(self, parent);
    if (result == 0) {
        arena->order = parent->next_order++;
        arena->sibling = parent->children;
        parent->children = arena;
        arenap_explicit_complicate(parent);
        arena->limited |= parent->limited;
        explicit_publish(self, arena, (arena_kind_t)arena->kind);
    }
    arenap_sync_unlock(parent);
    arenap_sync_tree_unlock();
    return result;
}

/* The class of the first chunk that a hint asks for. */
static uint8_t
growth_for(size_t hint)
{
    unsigned class = 0;

    while (class + 1 < CHUNK_CLASSES_SMALL && ARENA_PAGE << class < hint)
        class++;
    return (uint8_t)class;
}

/* Not by strdup: libc would take it from whatever malloc the program has, while
 * what the library itself takes and frees is always libc's. */
char *
arenap_name_copy(const char *name)
{
    size_t size = strlen(name) + 1;
    char *copy = malloc(size);

    if (copy == NULL) {
        arenap_fail_system(size);
        return NULL;
    }
    return memcpy(copy, name, size);
}

static struct arena *
explicit_open_with(struct thread *self, arena_kind_t kind,
                   const arena_options_t *options)
{
    char *name = NULL;
    struct arena *arena;

    if ((options->flags & ARENA_TRACED) != 0 && arenap_collector_start() != 0)
        return NULL;
    if (options->name != NULL
        && (name = arenap_name_copy(options->name)) == NULL)
        return NULL;
    arena = explicit_make(self, kind);
    if (arena == NULL) {
        free(name);
        return NULL;
    }
    arena->name = name;
    arena->flags = (uint8_t)options->flags; /* not plain */
    arena->growth = growth_for(options->chunk_size);
    arena->limit = options->limit;
    arena->limited = options->limit != 0;
    arena->next_order = 0;
    atomic_store(&arena->subtree, 0);
    arena->parent = options->parent;
    if (options->parent == NULL)
        explicit_publish(self, arena, kind);
    else if (tree_join(self, arena) != 0) {
        arenap_explicit_clean(arena);
        arenap_control_give(&self->ring, arena);
        return NULL;
    }
    return arena;
}

arena_t *
arena_open(arena_kind_t kind, const arena_options_t *options)
{
    struct thread *self = arenap_thread_self();
    arena_options_t known;

    if (self == NULL) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    if (options_read(&known, kind, options) != 0
        || options_supported(&known, kind) != 0
        || (known.parent != NULL
            && arenap_explicit_check(self, known.parent) != 0))
        return NULL;
    switch (kind) {
    case ARENA_GLOBAL:
        return &arenap_global;
    case ARENA_IMPLICIT:
        return &arenap_implicit;
    case ARENA_AUTO:
        return arenap_auto_open(self, &known);
    default:
        return explicit_open_with(self, kind, &known);
    }
}

void
arena_scope_end(arena_t **arena)
{
    int saved = errno;

    arena_close(*arena);
    errno = saved;
}
