/* collected.c: see collected.h. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "budget.h"
#include "buffer.h"
#include "cleaner.h"
#include "collected.h"
#include "collector.h"
#include "credit.h"
#include "error.h"
#include "extra.h"
#include "internal.h"
#include "lifecycle.h"
#include "os.h"
#include "phantom.h"
#include "roots.h"
#include "sync.h"
#include "thread.h"

/* --- Sizes ---
 *
 * The collector adds a byte to every request, so that a pointer past the end
 * of the last user's block still points into the collected one. */

#define SLOP ((size_t)1)

/* This bit of word 0 of a small block says that it is in use and accounted:
 * links of free lists do not have it. */
#define TAG_ARMED ARENA_TAG

/* A control has room for 5 granules of the user's. */
#define CONTROL_BYTES ((size_t)176)

/* Parts: each twice as large as the one before, up to PART_DOUBLED of these
 * steps; then every PART_REPEAT times.  So of a large arena at most a fifth is
 * not in use yet, and the collector has few parts to look at.  Beyond
 * PART_LAST it finds memory less easily. */
#define PART_FIRST (2 * ARENA_PAGE)
#define PART_LAST (60 * ARENA_PAGE)
#define PART_DOUBLED 3
#define PART_REPEAT 8

/* Of a chunk so much is cleared at a time. */
#define CLEAN_STEP ((size_t)1024)

/* The collector's classes are as large as the request up to here, rounded up
 * by a factor of less than a third. */
#define SMALL_LAST ((size_t)2048)

/* --- Settling accounts --- */

static struct {
    _Atomic size_t reserved, requested, count;
} dead[POOLS];

void
arenap_collected_dead(unsigned pool, size_t *reserved, size_t *requested,
                      size_t *count)
{
    *reserved = atomic_load(&dead[pool].reserved);
    *requested = atomic_load(&dead[pool].requested);
    *count = atomic_load(&dead[pool].count);
}

void
arenap_collected_uncount_unknown(unsigned pool, size_t reserved,
                                 size_t requested, size_t count)
{
    atomic_fetch_add_explicit(&dead[pool].reserved, reserved,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&dead[pool].requested, requested,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&dead[pool].count, count, memory_order_relaxed);
}

static void
settle(arena_kind_t kind, size_t reserved, size_t requested, size_t count)
{
    struct thread *self = arenap_tls.record;

    if (ARENA_LIKELY(self != NULL)) {
        arenap_collected_account(self, kind, (size_t)0 - reserved,
                                 (size_t)0 - requested, (size_t)0 - count);
        arenap_credit_give(&self->credit, reserved);
    } else {
        arenap_collected_uncount_unknown(kind, reserved, requested, count);
        arenap_budget_release_quietly(reserved);
    }
}

/* --- Blocks --- */

/* The bytes that the collector takes for a small request, slop included:
 * learnt from it. */
static _Atomic uint16_t class_bytes[SMALL_LAST];

/* An upper bound, where it is not known. */
static size_t
class_charge(size_t request)
{
    return request + SLOP > SMALL_LAST
               ? arenap_round_up(request + SLOP, ARENA_PAGE)
               : arenap_round_up(2 * (request + SLOP), ARENA_GRANULE);
}

/* What it did take.  The difference goes back. */
ARENA_COLD static size_t
class_learn(struct thread *self, size_t request, void *block, size_t charge)
{
    size_t size;
    void *base;

    arenap_collector_find(block, &base, &size);
    if (size > charge)
        return charge;
    if (request < SMALL_LAST)
        atomic_store_explicit(&class_bytes[request], (uint16_t)size,
                              memory_order_relaxed);
    arenap_credit_give(&self->credit, charge - size);
    return size;
}

/* A block of request bytes, whose class has known bytes, if that is known;
 * own and extra are reserved for it. */
static inline void *
block_take(struct thread *self, enum block kind, size_t request, size_t known,
           size_t own, size_t extra)
{
    void *block;

    if (arenap_collector_attach(self) != 0
        || arenap_credit_take(&self->credit, own + extra) != 0)
        return NULL;
    if (known - 1 < LIST_LAST)
        block = arenap_collector_alloc_listed(self, kind, known);
    else
        block = arenap_collector_alloc(self, kind, request);
    /* The collector may refuse although garbage exists. */
    if (block == NULL && arenap_cleaner_reclaim())
        block = arenap_collector_alloc(self, kind, request);
    if (block == NULL) {
        arenap_credit_give(&self->credit, own + extra);
        arenap_fail_system(own);
    }
    return block;
}

/* A zero-filled block of so many bytes, slop included, if the thread has one
 * at hand and the credit for it; or NULL. */
static inline void *
small_at_hand(struct thread *self, enum block kind, size_t bytes)
{
    void *block;

    if (ARENA_UNLIKELY(!self->kept
                       || !arenap_credit_take_at_hand(&self->credit, bytes)))
        return NULL;
    block = arenap_thread_listed(self, kind, bytes);
    if (ARENA_UNLIKELY(block == NULL))
        arenap_credit_give(&self->credit, bytes);
    return block;
}

void *
arenap_collected_block(struct thread *self, enum block kind, size_t request,
                       size_t extra, size_t *charge)
{
    size_t known = request < SMALL_LAST
                       ? atomic_load_explicit(&class_bytes[request],
                                              memory_order_relaxed)
                       : 0;
    size_t own = known != 0 ? known : class_charge(request);
    void *block = block_take(self, kind, request, known, own, extra);

    if (block != NULL)
        *charge = known != 0 ? known : class_learn(self, request, block, own);
    return block;
}

/* A zero-filled block whose charge is reserved: n bytes, of which the last is
 * never handed out.  NULL with errno set and nothing reserved. */
static void *
block_make(struct thread *self, enum block kind, size_t bytes)
{
    return block_take(self, kind, bytes - SLOP, bytes, bytes, 0);
}

/* --- Auto arenas: controls and parts --- */

/* A part, a chunk of the collector's, which sees words 0 and 1. */
struct part {
    struct part *next; /* older, or NULL */
    struct arena *arena;
    size_t bytes; /* accounted; 0 when settled */
    struct arena_extra *extra;
    size_t asked; /* bytes that guests asked for */
    char *bump;   /* of the guests' part */
};

/* An arena's control.  The thread that opened it is at home: it alone touches
 * bump, end, limit and tally, and takes no lock for that.  All others are
 * guests; they share a part, under the arena's lock. */
struct control {
    char head[ARENA_AUTO_HEAD]; /* as struct arena begins */
    char *limit;                /* of the run that begins with bump */
    struct part *guests;        /* where they allocate, or NULL */
};

_Static_assert(sizeof(struct part) % 16 == 0, "blocks are aligned");
_Static_assert(sizeof(struct control) % 16 == 0, "blocks are aligned");
_Static_assert(sizeof(struct part) <= BLOCK_CHUNK_HEAD,
               "the collector's callback finds it zero");
_Static_assert(offsetof(struct arena, chunks) == sizeof(void *),
               "the ring goes through word 1 of the control");
_Static_assert(offsetof(struct arena, owner) == 0, "the tag is word 0");

/* --- Auto arenas: death --- */

int
arenap_collected_chunk_dead(void *block)
{
    struct part *part = block;
    size_t bytes = part->bytes;

    if (bytes == 0)
        return 0;
    if (arenap_extra_dead(part->extra))
        return 1;
    part->bytes = 0;
    arenap_extra_leave(part->extra);
    part->extra = NULL;
    settle(ARENA_AUTO, bytes, part->asked, 0);
    return 0;
}

int
arenap_collected_control_dead(void *block)
{
    struct arena *arena = block;
    uint64_t tag = atomic_load_explicit(&arena->owner, memory_order_relaxed);

    if ((tag & TAG_ARMED) == 0)
        return 0; /* a free slot */
    if (arenap_extra_dead(arena->extra))
        return 1;
    atomic_store_explicit(&arena->owner, 0, memory_order_relaxed);
    arenap_extra_leave(arena->extra);
    arena->extra = NULL;
    settle(ARENA_AUTO, CONTROL_BYTES, (size_t)arena->tally, 1);
    return 0;
}

/* --- Auto arenas: birth --- */

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
    control = small_at_hand(self, BLOCK_CONTROL, CONTROL_BYTES);
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
    control = block_make(self, BLOCK_CONTROL, CONTROL_BYTES);
    if (control == NULL) {
        arenap_extra_leave(extra);
        return NULL;
    }
    return control_arm(self, control, options->flags, extra);
}

/* --- Auto arenas: growing --- */

/* Make a part; not linked. */
static void *
part_make(struct thread *self, struct arena *arena, enum block kind,
          size_t bytes)
{
    struct arena_extra *extra = arena->extra;
    void *part;

    if (!arenap_extra_take(extra, bytes))
        return NULL;
    part = block_make(self, kind, bytes);
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

/* The same, for a block that needs so many. */
static size_t
part_bytes(struct arena *arena, size_t need)
{
    size_t own = arenap_round_up(
        need + sizeof(struct part) + ARENA_GRANULE, ARENA_PAGE);
    size_t next = part_next(arena->growth);

    if (own > next / 2)
        return own > PART_FIRST ? own : PART_FIRST;
    return next;
}

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

    for (; to - from >= 64; from += 64) {
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

static void
growth_advance(struct arena *arena)
{
    if (part_next(arena->growth) < PART_LAST)
        arena->growth++;
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
    bool done = is_home(arena)
                    ? home_resize(arena, block, old_size, new_size)
                    : guest_resize(arena, block, old_size, new_size);

    if (done) {
        arenap_count(&arenap_thread_self()->counts[ARENA_AUTO].requested,
                     new_size - old_size);
        if (new_size > old_size)
            memset(block + old_size, 0, new_size - old_size);
    }
    return done;
}

/* --- Auto arenas: actions --- */

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

/* --- Auto arenas: asking --- */

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

struct arena *
arenap_collected_arena(unsigned block_kind, void *base)
{
    struct arena *arena = base;
    uint64_t tag;

    switch (block_kind) {
    case BLOCK_CHUNK:
    case BLOCK_CHUNK_TRACED:
        return ((struct part *)base)->arena;
    case BLOCK_CONTROL:
        tag = atomic_load_explicit(&arena->owner, memory_order_acquire);
        return (tag & TAG_ARMED) != 0 ? arena : NULL;
    case BLOCK_IMPLICIT:
        tag = atomic_load_explicit(&arena->owner, memory_order_acquire);
        return (tag & TAG_ARMED) != 0 ? arena_implicit() : NULL;
    case BLOCK_BUFFER:
        tag = atomic_load_explicit(&arena->owner, memory_order_acquire);
        return (tag & BUFFER_IN_USE) != 0 ? arena_implicit() : NULL;
    case BLOCK_HEAP:
        return arena_implicit();
    default:
        return NULL;
    }
}

/* --- Implicit blocks --- */

struct implicit {
    _Atomic uint64_t tag; /* TAG_ARMED, and the charge above bit 8 */
    uint64_t shape;       /* size in bytes << 6 | log2 of the alignment */
};

#define TAG_CHARGE_SHIFT 8
#define SHAPE_SHIFT 6
#define SHAPE_ALIGN(shape) ((size_t)1 << ((shape) & 63))

static void *
implicit_user(struct implicit *block)
{
    return (void *)arenap_round_up((uintptr_t)(block + 1),
                                   SHAPE_ALIGN(block->shape));
}

/* Fill in a block that came with a charge; then it is registered. */
static inline void
implicit_arm(struct thread *self, struct implicit *block, size_t charge,
             size_t size, size_t align)
{
    block->shape = (uint64_t)size << SHAPE_SHIFT
                   | (unsigned)__builtin_ctzl(align);
    arenap_collected_account(self, ARENA_IMPLICIT, charge, size, 1);
    atomic_store_explicit(&block->tag,
                          (uint64_t)charge << TAG_CHARGE_SHIFT | TAG_ARMED,
                          memory_order_release);
}

void *
arenap_implicit_alloc_at_hand(size_t size)
{
    struct thread *self = arenap_tls.record;
    struct implicit *block;
    size_t bytes;

    if (ARENA_UNLIKELY(self == NULL
                       || size > LIST_LAST - sizeof *block - SLOP))
        return NULL;
    bytes = arenap_round_up(sizeof *block + size + SLOP, ARENA_GRANULE);
    block = small_at_hand(self, BLOCK_IMPLICIT, bytes);
    if (ARENA_UNLIKELY(block == NULL))
        return NULL;
    implicit_arm(self, block, bytes, size, ARENA_GRANULE);
    return block + 1;
}

void *
arenap_implicit_alloc(struct thread *self, size_t size, size_t align)
{
    size_t request = sizeof(struct implicit) + size
                     + (align > ARENA_GRANULE ? align : 0);
    struct implicit *block;
    size_t charge;

    block = arenap_collected_block(self, BLOCK_IMPLICIT, request, 0, &charge);
    if (block == NULL)
        return NULL;
    implicit_arm(self, block, charge, size, align);
    return implicit_user(block);
}

int
arenap_collected_implicit_dead(void *object)
{
    struct implicit *block = object;
    uint64_t tag = atomic_load_explicit(&block->tag, memory_order_relaxed);

    if ((tag & TAG_ARMED) == 0)
        return 0;
    /* Nobody can reach it: nobody else can claim the tag. */
    atomic_store_explicit(&block->tag, 0, memory_order_relaxed);
    settle(ARENA_IMPLICIT, (size_t)(tag >> TAG_CHARGE_SHIFT),
           (size_t)(block->shape >> SHAPE_SHIFT), 1);
    return 0;
}

bool
arenap_implicit_free(const void *ptr, void *base)
{
    struct implicit *block = base;
    uint64_t tag = atomic_load_explicit(&block->tag, memory_order_acquire);
    size_t size = (size_t)(block->shape >> SHAPE_SHIFT);
    struct thread *self = arenap_thread_self();

    if ((tag & TAG_ARMED) == 0 || implicit_user(block) != ptr)
        return false;
    if (!arenap_collector_stops(self))
        return true; /* left to the collector, whose it may be already */
    /* The tag goes once, here or in the collector: so does the account. */
    if (!atomic_compare_exchange_strong(&block->tag, &tag, 0))
        return false;
    settle(ARENA_IMPLICIT, (size_t)(tag >> TAG_CHARGE_SHIFT), size, 1);
    arenap_phantom_freed(block);
    arenap_collector_free(self, block);
    arenap_budget_serve_by_hand();
    return true;
}

bool
arenap_implicit_size(const void *ptr, void *base, size_t *size)
{
    struct implicit *block = base;

    *size = (size_t)(block->shape >> SHAPE_SHIFT);
    return (atomic_load(&block->tag) & TAG_ARMED) != 0
           && implicit_user(block) == ptr;
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

static bool
auto_extent(enum block kind, void *base, size_t size, const char **start,
            const char **end)
{
    struct arena *arena = arenap_collected_arena(kind, base);

    if (arena == NULL)
        return false;
    *start = part_room(kind, base);
    *end = (const char *)base + size - SLOP;
    extent_cut(*start, end, &arena->bump);
    arenap_sync_lock(arena);
    if (((struct control *)arena)->guests == base)
        extent_cut(*start, end, &((struct part *)base)->bump);
    arenap_sync_unlock(arena);
    return true;
}

bool
arenap_collected_extent(enum block kind, void *base, size_t size,
                        const char *ptr, const char **start, const char **end)
{
    struct implicit *block = base;

    switch (kind) {
    case BLOCK_CONTROL:
    case BLOCK_CHUNK:
    case BLOCK_CHUNK_TRACED:
        if (!auto_extent(kind, base, size, start, end))
            return false;
        break;
    case BLOCK_IMPLICIT:
        if ((atomic_load(&block->tag) & TAG_ARMED) == 0)
            return false;
        *start = implicit_user(block);
        *end = *start + (block->shape >> SHAPE_SHIFT);
        break;
    case BLOCK_HEAP:
        *start = base;
        *end = *start + size; /* as arena_usable_size says */
        break;
    default:
        return false;
    }
    return ptr >= *start && ptr <= *end;
}
