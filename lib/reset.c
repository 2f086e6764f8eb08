/* reset.c: the contents of an arena go, all or those since a mark; the arena
 * stays. */

#include "config.h"

#include <errno.h>

#include "cell.h"
#include "cursor.h"
#include "error.h"
#include "explicit.h"
#include "handshake.h"
#include "internal.h"
#include "lifecycle.h"
#include "sync.h"
#include "thread.h"
#include "usage.h"

/* --- Reset and rewind: the contents go, the arena stays --- */

/* What is taken out of an arena that stays open. */
struct contents {
    struct closing children;
    struct action *actions, *last_action;
    struct chunk *chunks, *last_chunk;
    bool had_segments; /* of a shared arena: they may be in use */
};

/* Run actions, in the order of a close. */
static void
contents_act(struct thread *self, struct arena *arena,
             struct contents *contents)
{
    int saved = errno;

    if (contents->had_segments)
        arenap_handshake_wait(arena);
    arenap_closing_act(self, &contents->children);
    arenap_actions_run(self, contents->actions, contents->last_action);
    errno = saved;
}

static void
contents_dispose(struct thread *self, struct arena *arena,
                 struct contents *contents)
{
    arenap_closing_dispose(self, &contents->children);
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
    contents->had_segments =
        arena->kind == ARENA_SHARED
        && atomic_load(&arena->segmented) == atomic_load(&arena->epoch) + 1;
    arena->actions = NULL;
    arena->chunks = NULL;
    arenap_cells_drop(arena, NULL);
    arena->marks = NULL;
    arena->bump = arena->end = NULL;
    arenap_tally_set(arena, 0);
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
    contents->had_segments = false;
    arenap_cells_drop(arena, mark);
    arenap_cell_advance(mark);
    while (arena->marks != mark)
        arena->marks = arena->marks->next;
    arena->actions = mark->actions;
    arena->chunks = mark->chunks;
    arena->bump = mark->bump;
    arena->end = mark->end;
    arenap_tally_set(arena, 0);
    atomic_store(&arena->requested, mark->requested);
    atomic_store(&arena->blocks, mark->blocks);
    /* Not the epoch: what came before the mark has segments. */
    atomic_fetch_add(&arena->rewinds, 1);
}

/* Take out what came after a mark, or everything (mark is NULL). */
static int
contents_take(struct thread *self, struct arena *arena,
              const struct mark *mark, struct contents *contents)
{
    struct arena *busy;
    int result = 0;

    if (arenap_closing_begin(self, arena, "reset") != 0)
        return -1;
    arenap_closing_gather(&contents->children, arena,
                          mark != NULL ? mark->next_order : 0, false);
    busy = arenap_closing_busy(&contents->children, arena);
    if (busy != NULL) {
        result = arenap_closing_fail(busy);
    } else {
        arenap_closing_mark(&contents->children);
        /* Its owner asks, from here on, and hears of the dropping. */
        arenap_cursor_revoke(arena);
        if (arena->kind == ARENA_CONFINED)
            atomic_store(&arena->owner, ARENA_NOBODY);
        /* Until its contents are freed. */
        atomic_fetch_add(&arena->users, 1);
        if (mark != NULL)
            contents_take_since(arena, mark, contents);
        else
            contents_take_all(arena, contents);
    }
    arenap_closing_end(&contents->children, arena);
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
    contents_act(self, arena, &contents);
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
    if (arenap_closeable(self, arena, "reset") != 0)
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

/* How often one place is given out, with a number of its own each time. */
#define MARK_TURNS ((uint32_t)1 << 24)

/* May the mark be given out once more: has nothing happened since?  Segments
 * since then would be stale after a rewind to it, and not after one to a later
 * mark. */
static bool
mark_is_here(const struct mark *mark, const struct arena *arena)
{
    return mark != NULL && mark->turns < MARK_TURNS && mark->cell == NULL
           && mark->bump == arena->bump && mark->chunks == arena->chunks
           && mark->end == arena->end && mark->actions == arena->actions
           && mark->next_order == arena->next_order
           && mark->blocks == atomic_load(&arena->blocks)
           && mark->requested == atomic_load(&arena->requested);
}

static void
mark_give_out(struct mark *mark, struct arena *arena, arena_mark_t *out)
{
    *out = (arena_mark_t){.id = mark->id + mark->turns++,
                          .arena = (uintptr_t)arena};
}

/* Is it that mark, not dropped?  Then *turn is which. */
static bool
mark_has(const struct mark *mark, uint64_t id, uint32_t *turn)
{
    if (id - mark->id >= mark->turns)
        return false;
    *turn = (uint32_t)(id - mark->id);
    return *turn <= mark->kept || *turn >= mark->fresh;
}

/* Rewind to one of the turns of a mark, and drop the later ones. */
static int
mark_rewind(struct thread *self, struct arena *arena, struct mark *mark,
            uint32_t turn)
{
    uint32_t kept = mark->kept, fresh = mark->fresh;

    mark->kept = turn;
    mark->fresh = mark->turns;
    if (drop_acting(self, arena, mark) == 0)
        return 0;
    mark->kept = kept;
    mark->fresh = fresh;
    return -1;
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
    arenap_cursor_revoke(arena);
    arenap_explicit_complicate(arena);
    arenap_explicit_fold(arena);
    /* So a loop of marks and rewinds needs the memory of one. */
    if (mark_is_here(arena->marks, arena)) {
        mark_give_out(arena->marks, arena, out);
        return 0;
    }
    requested = atomic_load(&arena->requested);
    blocks = atomic_load(&arena->blocks);
    mark =
        arenap_explicit_alloc(self, arena, sizeof *mark, ARENA_GRANULE, false);
    if (mark == NULL)
        return -1;
    /* The mark itself is none of the program's blocks. */
    arenap_tally_set(arena, 0);
    atomic_store(&arena->requested, requested);
    atomic_store(&arena->blocks, blocks);
    mark->next = arena->marks;
    mark->id = atomic_fetch_add(&last_id, MARK_TURNS) + 1;
    mark->turns = mark->kept = 0;
    mark->fresh = 1;
    mark->chunks = arena->chunks;
    mark->bump = arena->bump;
    mark->end = arena->end;
    mark->actions = arena->actions;
    mark->next_order = arena->next_order;
    mark->requested = requested;
    mark->blocks = blocks;
    mark->cell = NULL;
    arena->marks = mark;
    mark_give_out(mark, arena, out);
    return 0;
}

int
arena_rewind(arena_t *arena, arena_mark_t mark)
{
    struct thread *self = arenap_thread_self();
    struct mark *found;
    uint32_t turn = 0;

    if (markable(arena) != 0)
        return -1;
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (mark.arena != (uintptr_t)arena)
        return fail_mark();
    if (arenap_explicit_check(self, arena) != 0)
        return -1;
    found = arena->marks;
    while (found != NULL && !mark_has(found, mark.id, &turn))
        found = found->next;
    if (found == NULL)
        return fail_mark();
    return mark_rewind(self, arena, found, turn);
}
