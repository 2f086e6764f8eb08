/* scope.c: see scope.h, and arena_push in arena/heap.h. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "../include/arena/budget.h"
#include "../include/arena/heap.h"
#include "chunk.h"
#include "auto.h"
#include "collector.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "scope.h"
#include "sync.h"
#include "thread.h"
#include "usage.h"

struct scope {
    struct scope *outer;
    struct arena *arena;
    uint64_t epoch;  /* of the arena, when it was last known to be the same */
    uint64_t closes; /* of explicit kinds */
};

static void (*_Atomic scope_told)(bool pushed);

/* --- The scopes of a thread --- */

static void
scopes_set(struct thread *self, struct scope *scope)
{
    void (*told)(bool) = atomic_load(&scope_told);
    bool before = self->scope != NULL;

    self->scope = scope;
    if (told != NULL && before != (scope != NULL))
        told(scope != NULL);
}

/* Is it still the arena that was pushed?  A control block that was closed is
 * used again; one that was reset has another epoch only. */
static bool
is_current(struct scope *scope)
{
    struct arena *arena = scope->arena;
    uint64_t epoch = atomic_load(&arena->epoch);
    bool same;

    if (ARENA_LIKELY(epoch == scope->epoch))
        return true;
    arenap_sync_lock(arena);
    same = arena->closes == scope->closes;
    arenap_sync_unlock(arena);
    if (same)
        scope->epoch = epoch;
    return same;
}

/* The calling thread's scope of an arena, or NULL. */
static struct scope *
scope_of(struct thread *self, const struct arena *arena)
{
    struct scope *scope = self->scope;

    while (scope != NULL && (scope->arena != arena || !is_current(scope)))
        scope = scope->outer;
    return scope;
}

static int
pushable(struct thread *self, struct arena *arena)
{
    if (arena->kind == ARENA_GLOBAL || arena->kind == ARENA_IMPLICIT
        || (arena->flags & ARENA_TRACED) == 0)
        return arenap_fail(EINVAL, "the %s arena was not opened with "
                                   "ARENA_TRACED: what malloc gives may hold "
                                   "the only pointer to a collected block",
                           arenap_kind_name(arena->kind));
    if (arena->kind != ARENA_AUTO)
        return arenap_explicit_check(self, arena);
    if (!arenap_auto_is_alive(arena))
        return arenap_fail(ESTALE, "the arena is closed");
    return 0;
}

int
arena_push(arena_t *arena)
{
    struct thread *self = arenap_thread_self();
    struct scope *scope;

    if (arena == NULL)
        return arenap_fail(EINVAL, "no arena to push");
    if (self == NULL)
        return arenap_fail_system(sizeof *self);
    if (pushable(self, arena) != 0)
        return -1;
    scope = arenap_collector_alloc_traced(sizeof *scope);
    if (scope == NULL)
        return arenap_fail_system(sizeof *scope);
    scope->outer = self->scope;
    scope->arena = arena;
    scope->epoch = atomic_load(&arena->epoch);
    if (arena->kind != ARENA_AUTO) {
        arenap_sync_lock(arena);
        scope->epoch = atomic_load(&arena->epoch);
        scope->closes = arena->closes;
        arenap_sync_unlock(arena);
    }
    scopes_set(self, scope);
    return 0;
}

int
arena_pop(void)
{
    struct thread *self = arenap_thread_self();
    struct scope *scope;

    if (self == NULL)
        return arenap_fail_system(sizeof *self);
    scope = self->scope;
    if (scope == NULL)
        return arenap_fail(EINVAL, "this thread has pushed no arena");
    scopes_set(self, scope->outer);
    arenap_collector_free_traced(scope);
    return 0;
}

void
arenap_scope_drop(struct thread *thread)
{
    struct scope *scope = thread->scope;

    if (thread == arenap_tls.record)
        scopes_set(thread, NULL);
    thread->scope = NULL;
    while (scope != NULL) {
        struct scope *outer = scope->outer;

        arenap_collector_free_traced(scope);
        scope = outer;
    }
}

struct scope *
arenap_scope_hide(void)
{
    struct thread *self = arenap_thread_self();
    struct scope *scope = NULL;

    if (self != NULL) {
        scope = self->scope;
        self->scope = NULL;
    }
    return scope;
}

void
arenap_scope_show(struct scope *scope)
{
    if (scope != NULL)
        arenap_tls.record->scope = scope;
}

void
arenap_scope_tell(void (*told)(bool pushed))
{
    atomic_store(&scope_told, told);
}

/* --- Blocks and their headers --- */

struct head {
    size_t room;    /* of the block: a multiple of the granule */
    uint64_t mark;
};

_Static_assert(sizeof(struct head) == ARENA_GRANULE, "blocks are aligned");

/* An odd number: epochs differ in all bits. */
#define SPREAD ((uint64_t)0x9e3779b97f4a7c15)

static uint64_t
head_mark(const struct arena *arena, const void *block)
{
    uint64_t epoch =
        atomic_load_explicit(&arena->epoch, memory_order_relaxed);

    if (arena->kind == ARENA_CONFINED)
        epoch += atomic_load_explicit(&arena->rewinds, memory_order_relaxed);
    return ~(uint64_t)(uintptr_t)block ^ (uint64_t)(uintptr_t)arena
           ^ epoch * SPREAD;
}

struct arena *
arenap_scope_arena(const void *block)
{
    struct arena *arena = arena_of(block);

    return arena == arena_implicit() ? NULL : arena;
}

/* The header of a block that an arena holds; NULL if it has none. */
static struct head *
head_of(const struct arena *arena, const void *block)
{
    struct head *head = (struct head *)(uintptr_t)block - 1;

    if (((uintptr_t)block & (ARENA_GRANULE - 1)) != 0
        || (arena->flags & ARENA_TRACED) == 0 || arena_of(head) != arena
        || head->mark != head_mark(arena, block))
        return NULL;
    return head;
}

size_t
arenap_scope_room(struct arena *arena, const void *block)
{
    const struct head *head = head_of(arena, block);

    return head != NULL ? head->room : 0;
}

bool
arenap_scope_is_block(const void *block)
{
    struct arena *arena = arenap_scope_arena(block);

    return arena != NULL && head_of(arena, block) != NULL;
}

/* What malloc, which fails in one way only, makes of any failure. */
static void *
fail_as_malloc(void)
{
    errno = ENOMEM;
    return NULL;
}

static void *
fail_large(size_t size)
{
    return arenap_fail_null(ENOMEM, "cannot allocate %zu bytes: no object is "
                                    "that large",
                            size);
}

/* A header, and a block of at least size bytes behind it. */
static void *
scope_take(struct scope *scope, size_t align, size_t size)
{
    struct arena *arena = scope->arena;
    size_t slack = align > ARENA_GRANULE ? align - ARENA_GRANULE : 0;
    size_t total;
    char *base, *block;
    struct head *head;

    if (size > PTRDIFF_MAX - 2 * ARENA_PAGE || slack > PTRDIFF_MAX / 2
        || size + slack > PTRDIFF_MAX - 2 * ARENA_PAGE)
        return fail_large(size);
    if (!is_current(scope))
        return arenap_fail_null(ENOMEM, "the arena that malloc takes from "
                                        "was closed: arena_pop is missing");
    total = sizeof *head + slack + arenap_room(size);
    base = arena_alloc(arena, total);
    if (base == NULL)
        return fail_as_malloc();
    block = (char *)arenap_round_up((uintptr_t)base + sizeof *head,
                                    slack + ARENA_GRANULE);
    head = (struct head *)(void *)block - 1;
    head->room = (size_t)(base + total - block);
    head->mark = head_mark(arena, block);
    return block;
}

void *
arenap_scope_alloc(struct thread *self, size_t align, size_t size)
{
    return scope_take(self->scope, align, size);
}

/* --- realloc --- */

/* Let the last block of the arena take more.  The thread may use the arena:
 * it has a scope of it. */
static bool
grow_in_place(struct thread *self, struct arena *arena, struct head *head,
              size_t size)
{
    size_t held = sizeof *head + head->room;
    size_t wanted = sizeof *head + arenap_room(size);
    bool done;

    if (arena->kind == ARENA_AUTO)
        done = arenap_auto_resize(arena, (char *)head, held, wanted);
    else
        done = arenap_explicit_check(self, arena) == 0
               && arenap_explicit_resize(self, arena, (char *)head, held,
                                         wanted);
    if (done)
        head->room = wanted - sizeof *head;
    return done;
}

/* From a block without a header to the end of the room of its chunk. */
static size_t
extent_explicit(struct thread *self, struct arena *arena, const char *block)
{
    size_t extent = 0;

    if (arena->kind == ARENA_CONFINED
        && arenap_explicit_check(self, arena) != 0)
        return 0;
    arenap_sync_lock(arena);
    for (const struct chunk *c = arena->chunks; c != NULL; c = c->next)
        if (block >= (const char *)(c + 1) && block < c->end)
            extent = (size_t)(c->end - block);
    arenap_sync_unlock(arena);
    if (extent == 0)
        arenap_fail(EINVAL, "%p is no block of the arena",
                    (const void *)block);
    return extent;
}

size_t
arenap_scope_extent(struct thread *self, struct arena *arena,
                    const void *block)
{
    const struct head *head = head_of(arena, block);
    size_t size;
    void *base;

    if (head != NULL)
        return head->room;
    if (arena->kind != ARENA_AUTO)
        return extent_explicit(self, arena, block);
    arenap_collector_find(block, &base, &size);
    return (size_t)((char *)base + size - (const char *)block);
}

/* What a block is moved to: of one that grows the old room is lost until the
 * arena is closed, so it gets more than it asks for, if memory is not short. */
static void *
move_to(struct scope *scope, size_t extent, size_t size)
{
    void *moved = NULL;
    int saved = errno;

    if (scope == NULL)
        return arena_malloc(size);
    if (extent < size && size < arena_limit() / 16) {
        moved = scope_take(scope, ARENA_GRANULE, size + size / 2);
        errno = saved;
    }
    return moved != NULL ? moved : scope_take(scope, ARENA_GRANULE, size);
}

/* Stays in its arena while that is pushed here, however far out: a block that
 * moved into an inner scope would go before its time. */
void *
arenap_scope_realloc(struct thread *self, struct arena *arena, void *block,
                     size_t size)
{
    struct head *head = head_of(arena, block);
    struct scope *scope = scope_of(self, arena);
    size_t extent;
    void *moved;

    if (size == 0)
        return NULL;
    if (size > PTRDIFF_MAX - 2 * ARENA_PAGE)
        return fail_large(size);
    if (head != NULL && scope != NULL
        && (size <= head->room || grow_in_place(self, arena, head, size)))
        return block;
    extent = arenap_scope_extent(self, arena, block);
    if (extent == 0)
        return NULL;
    moved = move_to(scope, extent, size);
    if (moved != NULL)
        memcpy(moved, block, extent < size ? extent : size);
    return moved;
}
