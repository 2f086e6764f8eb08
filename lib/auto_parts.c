/* auto_parts.c: where auto arenas allocate; see auto.h. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "auto.h"
#include "budget.h"
#include "collected.h"
#include "collector.h"
#include "error.h"
#include "extra.h"
#include "internal.h"
#include "roots.h"
#include "sync.h"
#include "thread.h"

/* Parts: each twice as large as the one before, from PART_FIRST on and up to
 * PART_DOUBLED of these steps; then every PART_REPEAT times.  So of a large
 * arena at most a fifth is not in use yet, and the collector has few parts to
 * look at.  Beyond PART_LAST it finds memory less easily. */
#define PART_LAST (60 * ARENA_PAGE)
#define PART_DOUBLED 3
#define PART_REPEAT 8

/* Of a chunk so much is cleared at a time. */
#define CLEAN_STEP ((size_t)1024)

/* --- Parts --- */

/* Make a part; not linked. */
static void *
part_make(struct thread *self, struct arena *arena, enum block kind,
          size_t bytes)
{
    struct arena_extra *extra =
        __atomic_load_n(&arena->extra, __ATOMIC_ACQUIRE);
    void *part;

    if (!arenap_extra_take(extra, bytes))
        return NULL;
    part = arenap_collected_make(self, kind, bytes);
    if (part == NULL)
        arenap_extra_give(extra, bytes);
    return part;
}

/* Put a part into the ring.  Under the arena's lock: the arena may have got
 * an extra since the part was made. */
static void
part_link(struct thread *self, struct arena *arena, struct part *part,
          size_t bytes)
{
    part->next = arena->chunks;
    part->arena = arena;
    part->extra = arena->extra;
    if (part->extra != NULL)
        atomic_fetch_add(&part->extra->parts, 1);
    part->bytes = bytes;
    arenap_collected_account(self, ARENA_AUTO, bytes, 0, 0);
    __atomic_store_n(&arena->chunks, part, __ATOMIC_RELEASE);
}

/* Bytes of the next part, after so many steps. */
static size_t
part_next(unsigned growth)
{
    unsigned doubled = growth <= PART_DOUBLED
                           ? growth
                           : PART_DOUBLED
                                 + (growth - PART_DOUBLED) / PART_REPEAT;
    size_t bytes = PART_FIRST << doubled;

    return bytes < PART_LAST ? bytes : PART_LAST;
}

/* Whoever has the arena's lock takes the steps; others look without it. */
static unsigned
growth_of(const struct arena *arena)
{
    return __atomic_load_n(&arena->growth, __ATOMIC_RELAXED);
}

static void
growth_advance(struct arena *arena)
{
    unsigned growth = growth_of(arena);

    if (part_next(growth) < PART_LAST)
        __atomic_store_n(&arena->growth, (uint8_t)(growth + 1),
                         __ATOMIC_RELAXED);
}

/* Bytes of the next part of an arena, for a block that needs so many. */
static size_t
part_bytes(const struct arena *arena, size_t need)
{
    size_t own = arenap_round_up(
        need + sizeof(struct part) + ARENA_GRANULE, ARENA_PAGE);
    size_t next = part_next(growth_of(arena));

    if (own > next / 2)
        return own > PART_FIRST ? own : PART_FIRST;
    return next;
}

static inline bool
is_home(const struct arena *arena)
{
    return atomic_load_explicit(&arena->owner, memory_order_relaxed)
           == ARENA_HOME(arenap_tls.serial);
}

/* Take a block from a run; NULL if it has no room. */
static inline void *
run_carve(char **bump, const char *end, size_t size, size_t align)
{
    char *from = *bump;
    size_t room = arenap_room(size);
    size_t skip = (size_t)(-(uintptr_t)from & (align - 1));
    size_t left = (size_t)(end - from);

    if (left < room || left - room < skip)
        return NULL;
    __atomic_store_n(bump, from + skip + room, __ATOMIC_RELAXED);
    return from + skip;
}

static char **
limit_of(struct arena *arena)
{
    return &((struct control *)arena)->limit;
}

/* Clear bytes of a run: whole granules, of which the last is before limit.
 * Lines that are cleared next are asked for meanwhile: nobody has used them
 * since the collector had them, so they come from memory. */
static void
run_clear(char *from, const char *to, const char *limit)
{
    typedef uint64_t pair __attribute__((vector_size(16), may_alias));
    const pair zero = {0, 0};

    for (; to - from >= (ptrdiff_t)ARENA_LINE; from += ARENA_LINE) {
        pair *line = (pair *)(void *)from;

        if (limit - from > (ptrdiff_t)CLEAN_STEP)
            __builtin_prefetch(from + CLEAN_STEP, 1);
        line[0] = line[1] = line[2] = line[3] = zero;
    }
    for (; from < to; from += sizeof zero)
        *(pair *)(void *)from = zero;
}

/* Clear the next bytes of the run of the thread at home. */
static void
home_clean(struct arena *arena)
{
    const char *limit = *limit_of(arena);
    size_t left = (size_t)(limit - arena->bump);

    arena->end = arena->bump + (left < CLEAN_STEP ? left : CLEAN_STEP);
    run_clear(arena->bump, arena->end, limit);
}

static void *
home_alloc(struct arena *arena, size_t size, size_t align, bool zero)
{
    void *block = run_carve(&arena->bump, *limit_of(arena), size, align);

    if (block == NULL)
        return NULL;
    arena->tally += size;
    if (arena->bump <= arena->end)
        return block;
    if (zero)
        memset(block, 0, size);
    home_clean(arena);
    return block;
}

static const char *
part_end(const struct part *part)
{
    return (const char *)part + part->bytes - ARENA_GRANULE;
}

static void *
guest_alloc(struct arena *arena, size_t size, size_t align, bool zero)
{
    struct part *part;
    void *block = NULL;

    arenap_sync_lock(arena);
    part = ((struct control *)arena)->guests;
    if (part != NULL)
        block = run_carve(&part->bump, part_end(part), size, align);
    if (block != NULL)
        part->asked += size;
    arenap_sync_unlock(arena);
    if (block != NULL && zero)
        memset(block, 0, size);
    return block;
}

/* Go on in a part, from bump on, where more is left there than in the run
 * that is in use. */
static bool
home_go_on(struct arena *arena, char *bump, char *end, bool is_clean)
{
    if (end - bump <= *limit_of(arena) - arena->bump)
        return false;
    *limit_of(arena) = end;
    __atomic_store_n(&arena->bump, bump, __ATOMIC_RELAXED);
    arena->end = is_clean ? end : bump;
    return true;
}

static void
guest_go_on(struct arena *arena, struct part *part)
{
    struct control *control = (struct control *)arena;
    const struct part *now = control->guests;

    if (now != NULL
        && part_end(part) - part->bump <= part_end(now) - now->bump)
        return;
    control->guests = part;
    growth_advance(arena);
}

/* Ask for the lines that are written to next: those that are cleared first;
 * and of the next part, if it is the one behind this, those at its ends, where
 * the collector writes.  Inline: gcc drops calls of a function that does
 * nothing else. */
static ARENA_INLINE void
part_ahead(const struct part *part, size_t bytes)
{
    uintptr_t from = (uintptr_t)part, next = from + bytes;

    for (size_t ahead = 0; ahead < CLEAN_STEP; ahead += ARENA_LINE)
        __builtin_prefetch((const void *)(from + ahead), 1);
    __builtin_prefetch((const void *)next, 1);
    __builtin_prefetch((const void *)(next + bytes - ARENA_LINE), 1);
}

/* Link a part that was made for a block, take the block, and go on there. */
static ARENA_NOINLINE void *
part_begin(struct arena *arena, struct part *part, size_t bytes,
           size_t size, size_t align, bool zero)
{
    struct thread *self = arenap_tls.record;
    bool traced = (arena->flags & ARENA_TRACED) != 0;
    char *block, *end = (char *)part + bytes - ARENA_GRANULE;

    if (part == NULL)
        return NULL;
    part_ahead(part, bytes);
    block = (char *)arenap_round_up((uintptr_t)(part + 1), align);
    if (zero && !traced)
        memset(block, 0, size);
    part->bump = block + arenap_room(size);
    arenap_sync_lock(arena);
    part_link(self, arena, part, bytes);
    if (is_home(arena)) {
        arena->tally += size;
        if (home_go_on(arena, part->bump, end, traced))
            growth_advance(arena);
    } else {
        part->asked = size;
        guest_go_on(arena, part);
    }
    arenap_sync_unlock(arena);
    arenap_count(&self->counts[ARENA_AUTO].requested, size);
    return block;
}

/* A block from a part of its own, or from the arena's next one.  To make it
 * may wait for others to die: what earlier calls have left on the stack must
 * not keep them, and this one never has the address of a part there. */
static ARENA_NOINLINE void *
auto_alloc_part(struct thread *self, struct arena *arena, size_t size,
                size_t align, bool zero)
{
    size_t bytes = part_bytes(arena,
                              arenap_round_up(size + 1, ARENA_GRANULE)
                                  + (align > ARENA_GRANULE ? align : 0));

    if (ARENA_UNLIKELY(!arenap_budget_has(bytes)))
        arenap_roots_scrub();
    return part_begin(arena,
                      part_make(self, arena,
                                (arena->flags & ARENA_TRACED) != 0
                                    ? BLOCK_CHUNK_TRACED
                                    : BLOCK_CHUNK,
                                bytes),
                      bytes, size, align, zero);
}

void *
arenap_auto_alloc(struct thread *self, struct arena *arena, size_t size,
                  size_t align, bool zero)
{
    void *block;

    if (!arenap_auto_is_alive(arena)) {
        arenap_fail(ESTALE, "the arena is closed");
        return NULL;
    }
    block = is_home(arena) ? home_alloc(arena, size, align, zero)
                           : guest_alloc(arena, size, align, zero);
    if (block == NULL)
        return auto_alloc_part(self, arena, size, align, zero);
    arenap_count(&self->counts[ARENA_AUTO].requested, size);
    return block;
}

/* Give the block that is the last of a run another size. */
static bool
run_resize(char **bump, const char *end, const char *block, size_t old_size,
           size_t new_size)
{
    const char *now = *bump;

    if (now != block + arenap_room(old_size)
        || arenap_room(new_size) > (size_t)(end - block))
        return false;
    __atomic_store_n(bump, *bump - arenap_room(old_size)
                               + arenap_room(new_size),
                     __ATOMIC_RELAXED);
    return true;
}

static bool
home_resize(struct arena *arena, const char *block, size_t old_size,
            size_t new_size)
{
    const char *from = arena->bump;

    if (!run_resize(&arena->bump, *limit_of(arena), block, old_size,
                    new_size))
        return false;
    arena->tally += new_size - old_size;
    if (arena->bump < from || arena->bump > arena->end)
        arena->end = arena->bump;
    return true;
}

static bool
guest_resize(struct arena *arena, const char *block, size_t old_size,
             size_t new_size)
{
    struct part *part;
    bool done;

    arenap_sync_lock(arena);
    part = ((struct control *)arena)->guests;
    done = part != NULL
           && run_resize(&part->bump, part_end(part), block, old_size,
                         new_size);
    if (done)
        part->asked += new_size - old_size;
    arenap_sync_unlock(arena);
    return done;
}

bool
arenap_auto_resize(struct arena *arena, char *block, size_t old_size,
                   size_t new_size)
{
    bool done = arenap_auto_is_alive(arena)
                && (is_home(arena)
                        ? home_resize(arena, block, old_size, new_size)
                        : guest_resize(arena, block, old_size, new_size));

    if (done) {
        arenap_count(&arenap_thread_self()->counts[ARENA_AUTO].requested,
                     new_size - old_size);
        if (new_size > old_size)
            memset(block + old_size, 0, new_size - old_size);
    }
    return done;
}

/* --- Looking --- */

/* The room for blocks of an auto arena's part. */
static const char *
part_room(enum block kind, const void *base)
{
    return (const char *)base
           + (kind == BLOCK_CONTROL ? sizeof(struct control)
                                    : sizeof(struct part));
}

/* If a run goes on between start and end, no block is behind its bump. */
static void
extent_cut(const char *start, const char **end, char *const *bump)
{
    const char *from = __atomic_load_n(bump, __ATOMIC_RELAXED);

    if (from >= start && from <= *end)
        *end = from;
}

bool
arenap_auto_extent(enum block kind, void *base, size_t size,
                   const char **start, const char **end)
{
    struct arena *arena = arenap_collected_arena(kind, base);

    if (arena == NULL)
        return false;
    *start = part_room(kind, base);
    *end = (const char *)base + size - COLLECTED_SLOP;
    extent_cut(*start, end, &arena->bump);
    arenap_sync_lock(arena);
    if (((struct control *)arena)->guests == base)
        extent_cut(*start, end, &((struct part *)base)->bump);
    arenap_sync_unlock(arena);
    return true;
}
