/* arena.c: the public calls on arenas: checks, fast paths, dispatch. */

#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunk.h"
#include "collected.h"
#include "collector.h"
#include "control.h"
#include "error.h"
#include "explicit.h"
#include "heap.h"
#include "internal.h"
#include "lifecycle.h"
#include "os.h"
#include "pagemap.h"
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

/* --- Allocation: the slow half --- */

int
arenap_usable(const struct thread *self, const struct arena *arena)
{
    if (arena->kind == ARENA_CONFINED || arena->kind == ARENA_SHARED)
        return arenap_explicit_check(self, arena);
    if (arena->kind == ARENA_AUTO && !arenap_auto_is_alive(arena))
        return arenap_fail(ESTALE, "the arena is closed");
    return 0;
}

ARENA_NOINLINE static void *
alloc_slow(struct arena *arena, size_t size, size_t align, bool zero)
{
    struct thread *self = arenap_thread_self();

    if (ARENA_UNLIKELY(self == NULL)) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    if (arena == NULL)
        arena = &arenap_implicit;
    /* Room for headers and rounding is within the other half. */
    if (ARENA_UNLIKELY(size > PTRDIFF_MAX || align > PTRDIFF_MAX / 2
                       || size + align > PTRDIFF_MAX - 4 * ARENA_PAGE)) {
        if (arenap_usable(self, arena) == 0)
            arenap_fail(ENOMEM,
                        "cannot allocate %zu bytes: no object is that large",
                        size);
        return NULL;
    }
    if (align < ARENA_GRANULE && (arena->flags & ARENA_GUARDED) == 0)
        align = ARENA_GRANULE;
    switch ((arena_kind_t)arena->kind) {
    case ARENA_AUTO:
        return arenap_auto_alloc(self, arena, size, align, zero);
    case ARENA_IMPLICIT:
        return arenap_implicit_alloc(self, size, align);
    default:
        return arenap_explicit_alloc(self, arena, size, align, zero);
    }
}

/* --- Allocation: the fast half --- */

/*
 * What is not the shortest way is a function of its own that is called last,
 * as a jump: so that the shortest ways have nothing to save on the stack.
 */

static ARENA_INLINE char *
run_take(struct arena *arena, size_t size)
{
    char *block = arena->bump;

    arena->bump = block + arenap_round_up(size, ARENA_GRANULE);
    arenap_tally_add(arena, size + TALLY_BLOCK);
    return block;
}

/* Of an arena whose run was lent, and of an auto arena. */
static ARENA_NOINLINE void *
alloc_rest(struct arena *arena, size_t size, bool zero)
{
    uint64_t owner =
        atomic_load_explicit(&arena->owner, memory_order_relaxed);
    void *block;

    if (owner == ARENA_LENT(arenap_tls.serial)) {
        if (arenap_run_fits(arena->bump, size, arena->end)) {
            block = run_take(arena, size);
            return zero ? arenap_block_clear(block, size) : block;
        }
    } else if (arena->kind == ARENA_AUTO) {
        block = arenap_auto_alloc_at_hand(arena, size);
        if (ARENA_LIKELY(block != NULL))
            return block;
    }
    return alloc_slow(arena, size, ARENA_GRANULE, zero);
}

/* Of an arena of the calling thread whose run has no room. */
static ARENA_NOINLINE void *
alloc_next(struct arena *arena, size_t size, bool zero)
{
    void *block = arenap_confined_next(arena, size);

    if (ARENA_UNLIKELY(block == NULL))
        return alloc_slow(arena, size, ARENA_GRANULE, zero);
    return zero ? arenap_block_clear(block, size) : block;
}

/* Of a shared or global arena, from whose last piece there was none; or of one
 * that is closed. */
static ARENA_NOINLINE void *
alloc_shared(struct arena *arena, size_t size, bool zero)
{
    struct thread *self = arenap_tls.record;

    if (ARENA_UNLIKELY(self == NULL || size - 1 >= PIECE_BLOCK
                       || (arena->kind != ARENA_SHARED
                           && arena->kind != ARENA_GLOBAL)
                       || (arena->flags & ARENA_GUARDED) != 0))
        return alloc_slow(arena, size, ARENA_GRANULE, zero);
    return arenap_shared_alloc_small(self, arena, size, zero);
}

/* Where nothing was at hand. */
static ARENA_NOINLINE void *
alloc_other(struct arena *arena, size_t size, bool zero)
{
    uint64_t owner =
        atomic_load_explicit(&arena->owner, memory_order_relaxed);

    if (owner == arenap_tls.serial)
        return alloc_next(arena, size, zero);
    if (owner != ARENA_NOBODY)
        return alloc_rest(arena, size, zero);
    return alloc_shared(arena, size, zero);
}

static ARENA_NOINLINE void *
alloc_implicit(size_t size, bool zero)
{
    void *block = arenap_implicit_alloc_at_hand(size);

    return ARENA_LIKELY(block != NULL)
               ? block
               : alloc_slow(NULL, size, ARENA_GRANULE, zero);
}

/* From an arena of the calling thread: from its run, or the first block.
 * False when there is no room. */
static ARENA_INLINE bool
alloc_own(struct arena *arena, size_t size, bool zero, void **out)
{
    if (ARENA_MOSTLY(arenap_run_fits(arena->bump, size, arena->end)))
        *out = run_take(arena, size);
    else if (arena->chunks != NULL || !arenap_explicit_is_short(arena)
             || !arenap_explicit_first(arenap_tls.record, arena, size, out))
        return false;
    if (zero)
        arenap_block_clear(*out, size);
    return true;
}

/* The same, or from the piece that the thread used last. */
static ARENA_INLINE bool
alloc_at_hand(struct arena *arena, size_t size, bool zero, void **out)
{
    if (ARENA_MOSTLY(
            atomic_load_explicit(&arena->owner, memory_order_relaxed)
            == arenap_tls.serial))
        return alloc_own(arena, size, zero, out);
    return ARENA_LIKELY((zero ? arenap_tls.zeroed : arenap_tls.shared)
                        == arena)
           && arenap_piece_alloc(arenap_tls.piece, arena, size, out);
}

ARENA_ALIGNED void *
arena_alloc(arena_t *arena, size_t size)
{
    void *block;

    if (ARENA_UNLIKELY(arena == NULL))
        return alloc_implicit(size, true);
    return ARENA_LIKELY(alloc_at_hand(arena, size, true, &block))
               ? block
               : alloc_other(arena, size, true);
}

ARENA_ALIGNED void *
arena_alloc_uninit(arena_t *arena, size_t size)
{
    void *block;

    if (ARENA_UNLIKELY(arena == NULL))
        return alloc_implicit(size, false);
    return ARENA_LIKELY(alloc_at_hand(arena, size, false, &block))
               ? block
               : alloc_other(arena, size, false);
}

void *
arena_alloc_aligned(arena_t *arena, size_t size, size_t align)
{
    if (ARENA_UNLIKELY(!arenap_is_pow2(align)))
        return arenap_fail_null(EINVAL, "an alignment of %zu is not a power "
                                        "of two",
                                align);
    if (align <= ARENA_GRANULE
        && (arena == NULL || (arena->flags & ARENA_GUARDED) == 0))
        return arena_alloc(arena, size);
    return alloc_slow(arena, size, align, true);
}

void *
arena_alloc_array(arena_t *arena, size_t count, size_t size)
{
    size_t bytes;

    if (ARENA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        bytes = SIZE_MAX; /* refused, after the arena's own faults */
    return arena_alloc(arena, bytes);
}

/* --- Allocation: filled --- */

/* An unfilled block of size bytes with the first length of data. */
static void *
alloc_filled(struct arena *arena, size_t size, const void *data,
             size_t length)
{
    char *block;

    if (arenap_explicit_fill_begin(arena) != 0)
        return NULL;
    block = arena_alloc_uninit(arena, size);
    if (block != NULL && length != 0)
        memcpy(block, data, length);
    if (block != NULL && length < size)
        memset(block + length, 0, size - length);
    arenap_explicit_fill_end(arena);
    return block;
}

void *
arena_memdup(arena_t *arena, const void *data, size_t size)
{
    if (data == NULL && size != 0)
        return arenap_fail_null(EINVAL, "no data to copy");
    return alloc_filled(arena, size, data, size);
}

char *
arena_strndup(arena_t *arena, const char *s, size_t n)
{
    size_t length;

    if (s == NULL)
        return arenap_fail_null(EINVAL, "no string to copy");
    length = strnlen(s, n);
    return alloc_filled(arena, length + 1, s, length);
}

char *
arena_strdup(arena_t *arena, const char *s)
{
    return s != NULL ? arena_strndup(arena, s, strlen(s))
                     : arenap_fail_null(EINVAL, "no string to copy");
}

char *
arena_vprintf(arena_t *arena, const char *format, va_list args)
{
    char shortly[256], *text = NULL;
    va_list again;
    int saved = errno, length;

    if (format == NULL)
        return arenap_fail_null(EINVAL, "no format to print");
    va_copy(again, args);
    length = vsnprintf(shortly, sizeof shortly, format, args);
    errno = saved;
    if (length < 0) {
        arenap_fail(EINVAL, "the format \"%.100s\" cannot be printed",
                    format);
    } else if ((size_t)length < sizeof shortly) {
        text = alloc_filled(arena, (size_t)length + 1, shortly,
                            (size_t)length + 1);
    } else if (arenap_explicit_fill_begin(arena) == 0) {
        text = arena_alloc_uninit(arena, (size_t)length + 1);
        if (text != NULL)
            vsnprintf(text, (size_t)length + 1, format, again);
        arenap_explicit_fill_end(arena);
    }
    va_end(again);
    return text;
}

char *
arena_printf(arena_t *arena, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

/* --- Resizing and freeing --- */

/* Zero-filled, with the old block's bytes. */
static void *
resize_move(struct arena *arena, const void *block, size_t old_size,
            size_t new_size)
{
    return alloc_filled(arena, new_size, block,
                        old_size < new_size ? old_size : new_size);
}

static bool
resize_in_place(struct thread *self, struct arena *arena, char *block,
                size_t old_size, size_t new_size)
{
    bool done;

    if (arena->kind == ARENA_IMPLICIT)
        return false;
    if (arena->kind == ARENA_AUTO)
        return arenap_auto_resize(arena, block, old_size, new_size);
    if (arenap_explicit_fill_begin(arena) != 0)
        return false;
    done = arenap_explicit_resize(self, arena, block, old_size, new_size);
    arenap_explicit_fill_end(arena);
    return done;
}

void *
arena_resize(arena_t *arena, void *block, size_t old_size, size_t new_size)
{
    struct thread *self = arenap_thread_self();
    void *moved;

    if (block == NULL)
        return arena_alloc(arena, new_size);
    if (arena == NULL)
        arena = &arenap_implicit;
    if (self == NULL) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    if (arena->kind == ARENA_CONFINED || arena->kind == ARENA_SHARED) {
        if (arena_of(block) != arena
            && (atomic_load(&arena->state) & ARENA_OPEN) != 0)
            return arenap_fail_null(EINVAL, "%p is no block of the arena",
                                    block);
        if (arenap_explicit_check(self, arena) != 0)
            return NULL;
    } else if (arena_of(block) != arena
               || (arena->kind == ARENA_IMPLICIT
                   && !arenap_heap_is_block(block))) {
        return arenap_fail_null(EINVAL, "%p is no block of the arena",
                                block);
    }
    if (new_size <= PTRDIFF_MAX
        && resize_in_place(self, arena, block, old_size, new_size))
        return block;
    moved = resize_move(arena, block, old_size, new_size);
    if (moved != NULL && arena->kind == ARENA_IMPLICIT)
        arena_free(block);
    arena_keep_alive(arena);
    return moved;
}

void
arena_scope_end(arena_t **arena)
{
    int saved = errno;

    arena_close(*arena);
    errno = saved;
}

/* --- Asking --- */

arena_kind_t
arena_kind(const arena_t *arena)
{
    return (arena_kind_t)arena->kind;
}

const char *
arena_name(const arena_t *arena)
{
    const char *name = NULL;

    if (arena == NULL || !arena_is_alive(arena))
        return "";
    if (arena->kind == ARENA_AUTO)
        return arenap_auto_name(arena);
    if (arena->kind == ARENA_CONFINED || arena->kind == ARENA_SHARED)
        name = arena->name;
    return name != NULL ? name : "";
}

size_t
arena_bytes(const arena_t *arena)
{
    if (arena == NULL || !arena_is_alive(arena))
        return 0;
    if (arena->kind == ARENA_AUTO)
        return arenap_auto_bytes(arena);
    if (arena->kind == ARENA_IMPLICIT)
        return arenap_usage_reserved(ARENA_IMPLICIT);
    return arenap_explicit_reserved(arena);
}

bool
arena_is_alive(const arena_t *arena)
{
    if (arena == NULL)
        return false;
    if (arena->kind == ARENA_AUTO)
        return arenap_auto_is_alive(arena);
    return (atomic_load_explicit(&arena->state, memory_order_acquire)
            & ARENA_OPEN)
               != 0
           && (arenap_tls.record == NULL
               || !arenap_explicit_is_dropping(arenap_tls.record, arena));
}

bool
arena_is_accessible(const arena_t *arena)
{
    return arena_is_alive(arena)
           && (arena->kind != ARENA_CONFINED
               || arena->owner_serial == arenap_tls.serial);
}

arena_t *
arena_of(const void *ptr)
{
    struct arena *arena = arenap_pagemap_get(ptr);
    size_t size;
    void *base;
    enum block kind;

    if (arena != NULL)
        return arena != &arenap_pagemap_cached ? arena : NULL;
    kind = arenap_collector_find(ptr, &base, &size);
    return kind == BLOCK_NONE ? NULL : arenap_collected_arena(kind, base);
}
