/*
 * collector.c: the Boehm collector, 8.2 and later.
 *
 * Dead blocks are told of by disclaim procedures of kinds of our own, which
 * do not depend on the settings of a host program that uses the collector
 * too.  No setting of the process is changed; hooks are chained.
 *
 *   BLOCK_CONTROL, _IMPLICIT, _BUFFER  swept within the collection that finds
 *       them dead, for their kind asks to be marked from (mark_from_all = 1).
 *       Bit 3 of word 0 says that the block is in use: links of free lists
 *       are multiples of 16, and the collector marks from blocks with bits 0
 *       or 1 set only, so cycles die.
 *   BLOCK_TILE  searched by a procedure of ours; see slab.h.
 *   BLOCK_CHUNK, _TRACED, BLOCK_WITNESS   more than half a page, which the
 *       collector sweeps at once in any case.
 */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define GC_THREADS 1
#define GC_NO_THREAD_REDIRECTS 1
#include <gc/gc.h>
#include <gc/gc_disclaim.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>

#include "../include/arena/budget.h"
#include "blockmap.h"
#include "budget.h"
#include "buffer.h"
#include "cleaner.h"
#include "auto.h"
#include "implicit.h"
#include "collector.h"
#include "credit.h"
#include "error.h"
#include "internal.h"
#include "magazine.h"
#include "maps.h"
#include "os.h"
#include "payload.h"
#include "phantom.h"
#include "roots.h"
#include "slab.h"
#include "stop.h"
#include "surplus.h"
#include "thread.h"
#include "trace.h"

enum collector_state { NOT_STARTED, STARTED, UNUSABLE };

/* More ranges than this are marked from one by one: the collector's stack of
 * ranges is bounded. */
#define PUSHES_AT_ONCE 1000

#define BLOCK_KINDS_MOST UINT_MAX /* no kind of the collector's */

/* What the heap begins with; and for a program that knows nothing of it, and
 * is to stay small if it leaks. */
#define HEAP_FIRST ((size_t)16 << 20)
#define HEAP_FIRST_UNKNOWING ((size_t)8 << 20)

static struct {
    pthread_mutex_t lock; /* of starting */
    _Atomic int state;
    const char *reason; /* of UNUSABLE */
    unsigned kind[BLOCK_KINDS];
    unsigned heap_large; /* BLOCK_HEAP larger than any class */
    void **heap_free;    /* lists of small ones, by granules */
    bool has_tiles;
    bool paced; /* by us */
    size_t heap_first;
    unsigned pushes; /* in this collection */
    bool began;      /* this collection has called our first hook */
    _Atomic size_t traced; /* bytes that are only freed by hand */
} collector = {.lock = PTHREAD_MUTEX_INITIALIZER, .heap_first = HEAP_FIRST};

/* --- Hooks ---
 *
 * A program that sets a hook after us usually calls the one it found, but
 * need not.  When another one than ours is found in the place, ours goes in
 * front of it, and calls it.  So each hook of ours is a ladder of functions,
 * each with its own next one: if the program's hook calls what it found, that
 * is a lower rung, and if the program puts back what it found, only what it
 * had added is gone.  The outermost does our own work, once. */

#define RUNGS 4

typedef void(GC_CALLBACK *hook_proc)(void);

struct ladder {
    hook_proc rung[RUNGS]; /* ours */
    hook_proc next[RUNGS]; /* what each calls */
    bool inside[RUNGS];    /* what it calls has not returned */
    unsigned count;        /* of rungs in use */
    unsigned depth;        /* of rungs that are being called */
    void (*before)(void); /* or NULL: before anything is called */
    void (*work)(void);
};

/* The collector's lock is held.  A hook that a program puts back in front of
 * us calls the rung that calls it: then the next lower one is meant. */
static void
ladder_call(struct ladder *ladder, unsigned rung)
{
    while (rung > 0 && ladder->inside[rung])
        rung--;
    if (ladder->inside[rung])
        return;
    if (ladder->depth++ == 0 && ladder->before != NULL)
        ladder->before();
    ladder->inside[rung] = true;
    if (ladder->next[rung] != NULL)
        ladder->next[rung]();
    ladder->inside[rung] = false;
    if (--ladder->depth == 0)
        ladder->work();
}

/* The rung to be put into the place, where found was.  When there is none
 * left, found itself, which may call one. */
static hook_proc
ladder_climb(struct ladder *ladder, hook_proc found)
{
    unsigned i;

    for (i = 0; i < ladder->count; i++)
        if (found == ladder->rung[i])
            return found;
    for (i = 0; i < ladder->count; i++)
        if (found == ladder->next[i])
            return ladder->rung[i];
    if (ladder->count == RUNGS)
        return found;
    ladder->next[ladder->count] = found;
    return ladder->rung[ladder->count++];
}

#define RUNG(ladder, i)                                                       \
    static void GC_CALLBACK ladder##_rung_##i(void)                           \
    {                                                                         \
        ladder_call(&ladder, i);                                              \
    }
#define RUNGS_OF(ladder)                                                      \
    {                                                                         \
        ladder##_rung_0, ladder##_rung_1, ladder##_rung_2, ladder##_rung_3    \
    }

static struct ladder on_start, on_roots;

RUNG(on_start, 0)
RUNG(on_start, 1)
RUNG(on_start, 2)
RUNG(on_start, 3)
RUNG(on_roots, 0)
RUNG(on_roots, 1)
RUNG(on_roots, 2)
RUNG(on_roots, 3)

/* The collector's lock is held. */
static void *
roots_hook(void *unused)
{
    hook_proc found = GC_get_push_other_roots();
    hook_proc ours = ladder_climb(&on_roots, found);

    if (ours != found)
        GC_set_push_other_roots(ours);
    return unused;
}

static void
start_hook(void)
{
    hook_proc found = GC_get_start_callback();
    hook_proc ours = ladder_climb(&on_start, found);

    if (ours != found)
        GC_set_start_callback(ours);
}

/* Before threads are stopped. */
static void
start_work(void)
{
    collector.began = true;
    roots_hook(NULL);
    arenap_roots_prepare();
    arenap_payload_collecting();
    arenap_phantom_collecting();
}

/* All threads are stopped, and the collector has not looked at their
 * stacks. */
static void
roots_before(void)
{
    collector.pushes = 0;
    arenap_magazine_mark(GC_get_gc_no());
    arenap_credit_drop_all();
    arenap_stop_before_stacks(__builtin_frame_address(0));
}

static void
roots_work(void)
{
    arenap_stop_after_stacks();
    /* The other hook takes the collector's lock to be set. */
    if (!collector.began)
        arenap_cleaner_kick();
    collector.began = false;
    arenap_roots_push();
}

static struct ladder on_start = {.rung = RUNGS_OF(on_start),
                                 .work = start_work};
static struct ladder on_roots = {.rung = RUNGS_OF(on_roots),
                                 .before = roots_before,
                                 .work = roots_work};

void
arenap_collector_rehook(void)
{
    if (!arenap_collector_started()
        || pthread_mutex_trylock(&collector.lock) != 0)
        return;
    start_hook();
    GC_call_with_alloc_lock(roots_hook, NULL);
    pthread_mutex_unlock(&collector.lock);
}

void
arenap_collector_push(const void *lo, const void *hi)
{
    /* The collector's prototypes want no const. */
    union {
        const void *in;
        void *out;
    } from = {lo}, to = {hi};

    if (++collector.pushes <= PUSHES_AT_ONCE)
        GC_push_all(from.out, to.out);
    else
        GC_push_all_eager(from.out, to.out);
}

void
arenap_collector_keep_all(uintptr_t lo, uintptr_t hi)
{
    while (lo < hi) {
        char *base = GC_base((void *)lo);
        size_t size;

        if (base == NULL) {
            lo += ARENA_PAGE;
            continue;
        }
        size = GC_size(base);
        if (size > ARENA_PAGE / 2) {
            GC_set_mark_bit(base);
            lo = arenap_round_up((uintptr_t)base + size, ARENA_PAGE);
            continue;
        }
        for (; (uintptr_t)base + size <= lo + ARENA_PAGE; base += size)
            GC_set_mark_bit(base);
        lo += ARENA_PAGE;
    }
}

/* The collector's table has the first page of a block that is free, and its
 * size, but finds no object there. */
size_t
arenap_collector_free_at(uintptr_t page, uintptr_t *next)
{
    void *base, *at = (void *)page;
    size_t size;

    *next = page + ARENA_PAGE;
    if (!GC_is_heap_ptr(at))
        return 0;
    base = GC_base(at);
    size = GC_size(base != NULL ? base : at);
    if (base != NULL) {
        if (size > ARENA_PAGE)
            *next = arenap_round_up((uintptr_t)base + size, ARENA_PAGE);
        return 0;
    }
    *next = page + size;
    return size;
}

void
arenap_collector_mark(const void *base)
{
    GC_set_mark_bit(base);
}

bool
arenap_collector_is_marked(const void *base)
{
    return GC_is_marked(base) != 0;
}

bool
arenap_collector_has_tiles(void)
{
    return collector.has_tiles;
}

void *
arenap_collector_locked(void *(*function)(void *), void *context)
{
    return GC_call_with_alloc_lock(function, context);
}

void
arenap_collector_push_now(const void *lo, const void *hi)
{
    union {
        const void *in;
        void *out;
    } from = {lo}, to = {hi};

    GC_push_all_eager(from.out, to.out);
}

void
arenap_collector_stack_base(void *handle, uintptr_t base)
{
    struct GC_stack_base bottom = {.mem_base = (void *)base};

    GC_set_stackbottom(handle, &bottom);
}

bool
arenap_collector_is_earlier(void)
{
    return GC_is_init_called();
}

void
arenap_collector_bounds(uintptr_t *lo, uintptr_t *hi)
{
    *lo = (uintptr_t)GC_least_plausible_heap_addr;
    *hi = (uintptr_t)GC_greatest_plausible_heap_addr;
}

bool
arenap_collector_is_heap(const void *page)
{
    return GC_is_heap_ptr(page);
}

/* --- The log of events --- */

/* The collector's lock is held. */
static size_t
in_use_inside(void)
{
    struct GC_prof_stats_s stats;

    GC_get_prof_stats_unsafe(&stats, sizeof stats);
    return stats.heapsize_full - stats.free_bytes_full;
}

static GC_on_collection_event_proc event_next;

static void GC_CALLBACK
event_hook(GC_EventType event)
{
    if (event_next != NULL)
        event_next(event);
    switch (event) {
    case GC_EVENT_START:
        arenap_trace_collect_begin(in_use_inside());
        break;
    case GC_EVENT_PRE_STOP_WORLD:
        arenap_trace_stop();
        break;
    case GC_EVENT_POST_START_WORLD:
        arenap_trace_go_on();
        break;
    case GC_EVENT_END:
        arenap_trace_collect_end(in_use_inside());
        break;
    default:
        break;
    }
}

static void
events_watch(void)
{
    if (!arenap_trace_on)
        return;
    event_next = GC_get_on_collection_event();
    GC_set_on_collection_event(event_hook);
}

/* --- Starting --- */

static unsigned
kind_make(GC_word descriptor, int add_size, int clear, GC_disclaim_proc dead,
          int mark_from_all)
{
    unsigned kind =
        GC_new_kind(GC_new_free_list(), descriptor, add_size, clear);

    if (dead != NULL)
        GC_register_disclaim_proc((int)kind, dead, mark_from_all);
    return kind;
}

/* The collector sweeps blocks that are partly in use, and forgets its lists of
 * free ones, only of kinds that have given a single small block: not of those
 * that were asked for whole lists alone. */
static void
kind_use(enum block kind)
{
    (void)GC_generic_malloc(1, (int)collector.kind[kind]);
}

/* From a tile of a block to its first one, and from there to what the block
 * points to.  A tile that is of no block yet is linked to the next one. */
static struct GC_ms_entry *
tile_mark(GC_word *tile, struct GC_ms_entry *top, struct GC_ms_entry *limit,
          GC_word unused)
{
    uintptr_t at = (uintptr_t)tile, base;
    size_t size = sizeof *tile;

    (void)unused;
    if (arenap_slab_find(at, &base, &size)) {
        if (arenap_magazine_is_free((void *)base))
            return top;
        if (at != base)
            return GC_mark_and_push((void *)base, top, limit, NULL);
    }
    for (size_t i = 0; i < size / sizeof *tile; i++)
        top = GC_MARK_AND_PUSH((void *)tile[i], top, limit,
                               (void **)(tile + i));
    return top;
}

static int GC_CALLBACK
tile_dead(void *tile)
{
    return arenap_slab_keep(tile);
}

static void GC_CALLBACK collection_event(GC_EventType event);

/* The collector has room for few kinds, which a host program may need. */
static void
tiles_make(void)
{
    collector.kind[BLOCK_TILE] = BLOCK_KINDS_MOST;
    collector.has_tiles = GC_get_on_collection_event() == collection_event;
    if (collector.has_tiles)
        collector.kind[BLOCK_TILE] =
            kind_make(GC_MAKE_PROC(GC_new_proc(tile_mark), 0), 0, 1,
                      tile_dead, 0);
}

static void
kinds_make(void)
{
    const GC_word word = sizeof(void *);

    collector.kind[BLOCK_CONTROL] = kind_make(
        GC_DS_LENGTH | 2 * word, 0, 1, arenap_auto_control_dead, 1);
    collector.kind[BLOCK_CHUNK] = kind_make(
        GC_DS_LENGTH | 2 * word, 0, 0, arenap_auto_part_dead, 0);
    collector.kind[BLOCK_CHUNK_TRACED] =
        kind_make(GC_DS_LENGTH, 1, 1, arenap_auto_part_dead, 0);
    collector.kind[BLOCK_IMPLICIT] = kind_make(
        GC_DS_LENGTH | word, 0, 1, arenap_implicit_dead, 1);
    collector.kind[BLOCK_BUFFER] =
        kind_make(GC_DS_LENGTH | 2 * word, 0, 1, arenap_buffer_dead, 1);
    /* Old pointers in blocks that a program does not fill keep garbage, and
     * that keeps more: what comes from the collector is cleared.  To clear
     * large ones costs too much. */
    collector.heap_free = GC_new_free_list();
    collector.kind[BLOCK_HEAP] =
        GC_new_kind(collector.heap_free, GC_DS_LENGTH, 1, 1);
    collector.heap_large = kind_make(GC_DS_LENGTH, 1, 0, NULL, 0);
    collector.kind[BLOCK_WITNESS] =
        kind_make(GC_DS_LENGTH, 0, 1, arenap_phantom_witness_dead, 0);
    tiles_make();
    for (unsigned kind = 0; kind < BLOCK_LISTED; kind++)
        kind_use((enum block)kind);
    kind_use(BLOCK_HEAP);
}

/* The collector ends the process if there is no memory for the first link
 * ever.  There is now. */
static void
links_begin(void)
{
    static void *slot;
    void *block = GC_malloc_atomic(1);

    if (block == NULL)
        return;
    slot = (void *)GC_HIDE_POINTER(block);
    if (GC_register_long_link(&slot, block) == GC_SUCCESS)
        GC_unregister_long_link(&slot);
    slot = NULL;
}

static const char *
collector_unusable(void)
{
    if (GC_get_find_leak())
        return "the collector only looks for leaks in this process";
    if (GC_is_incremental_mode())
        return "the collector runs in incremental mode, which write-protects "
               "memory";
    if (!GC_get_all_interior_pointers())
        return "the collector ignores interior pointers in this process";
    return NULL;
}

/* The collector begins with a heap of 64 KiB, and collects hundreds of times
 * before it has grown to a useful size. */
static void
heap_begin(void)
{
    size_t share = arena_limit() / 8;

    GC_expand_hp(share < collector.heap_first ? share : collector.heap_first);
}

/* The collector's lock is held. */
static size_t
pages_in_use(void)
{
    return GC_get_heap_size() - GC_get_free_bytes();
}

/* The heap grows by this part of itself when a block does not fit.  Left to
 * itself the collector grows it by as much as may be allocated between two
 * collections: then large blocks find room at its end, and the places that
 * others have left stay empty beside them. */
#define HEAP_GROWTH 16

/* A program that frees what it uses gains nothing by a collection: then the
 * next one is due after twice as many bytes as live, else after two thirds.
 * The collector's lock is held. */
static void
pace_event(GC_EventType event)
{
    static size_t before;
    size_t live = pages_in_use();
    bool gained = live <= before - before / 4;

    if (event == GC_EVENT_START)
        before = live;
    if (event != GC_EVENT_END)
        return;
    GC_set_min_bytes_allocd(1 + (gained ? live / 3 * 2 : 2 * live));
    if (gained)
        arenap_surplus_give_back(live, GC_get_free_bytes());
}

/* The same. */
static void GC_CALLBACK
collection_event(GC_EventType event)
{
    if (event == GC_EVENT_RECLAIM_START)
        arenap_slab_marked();
    else if (event == GC_EVENT_RECLAIM_END)
        arenap_slab_swept(GC_get_gc_no());
    else if (collector.paced)
        pace_event(event);
}

void
arenap_collector_prepare(int suspend, int restart)
{
    GC_set_suspend_signal(suspend);
    GC_set_thr_restart_signal(restart);
    collector.paced = getenv("GC_FREE_SPACE_DIVISOR") == NULL;
    if (collector.paced)
        GC_set_free_space_divisor(HEAP_GROWTH);
    if (GC_get_on_collection_event() == NULL)
        GC_set_on_collection_event(collection_event);
    collector.heap_first = HEAP_FIRST_UNKNOWING;
    /* Libraries' data is found with the mappings.  Going through the list of
     * libraries takes a lock of the loader's, which another thread may hold
     * while it waits for memory. */
    GC_set_no_dls(1);
}

static void
collector_init(struct thread *self)
{
    bool ours;

    /* Before the collector takes memory, so that all of it is known. */
    arenap_maps_watch();
    ours = !GC_is_init_called();
    if (ours)
        GC_set_warn_proc(GC_ignore_warn_proc);
    /* Nor may who starts a set-id program choose a file for it to write. */
    if (ours && getauxval(AT_SECURE) != 0)
        unsetenv("GC_LOG_FILE");
    GC_INIT();
    GC_allow_register_threads();
    /* The collector takes the thread that starts it for the main one, and
     * would wait for it when it has ended. */
    if (ours && self->tid != getpid())
        atomic_store(&self->attached, ATTACHED_OURS);
    if (ours && getenv("GC_INITIAL_HEAP_SIZE") == NULL)
        heap_begin();
    collector.reason = collector_unusable();
    if (collector.reason != NULL) {
        atomic_store(&collector.state, UNUSABLE);
        return;
    }
    kinds_make();
    /* No pointers to blocks, and long: most of what a small program has. */
    GC_exclude_static_roots(arenap_blockmap,
                            arenap_blockmap
                                + ((size_t)1 << BLOCKMAP_ROOT_BITS));
    arenap_roots_prepare(); /* takes memory, which a collection should not */
    start_hook();
    GC_call_with_alloc_lock(roots_hook, NULL);
    links_begin();
    events_watch();
    atomic_store(&collector.state, STARTED);
}

bool
arenap_collector_started(void)
{
    return atomic_load_explicit(&collector.state, memory_order_acquire)
           == STARTED;
}

ARENA_COLD static int
collector_start_slow(struct thread *self)
{
    pthread_mutex_lock(&collector.lock);
    if (atomic_load(&collector.state) == NOT_STARTED)
        collector_init(self);
    pthread_mutex_unlock(&collector.lock);
    if (atomic_load(&collector.state) == UNUSABLE)
        return arenap_fail(ENOTSUP, "%s", collector.reason);
    return 0;
}

int
arenap_collector_start(void)
{
    struct thread *self;

    if (arenap_collector_started())
        return 0;
    self = arenap_thread_self();
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    return collector_start_slow(self);
}

void
arenap_collector_fork_child(void)
{
    pthread_mutex_init(&collector.lock, NULL);
}

/* --- Threads --- */

ARENA_COLD static int
attach_slow(struct thread *self)
{
    struct GC_stack_base base;
    enum attached how = ATTACHED_HOST;

    if (arenap_collector_start() != 0)
        return -1;
    if (atomic_load(&self->attached) == ATTACHED_OURS)
        how = ATTACHED_OURS;
    else if (!GC_thread_is_registered()) {
        if (GC_get_stack_base(&base) != GC_SUCCESS
            || GC_register_my_thread(&base) != GC_SUCCESS)
            return arenap_fail(ENOMEM,
                               "the collector cannot register this thread");
        how = ATTACHED_OURS;
    }
    arenap_stop_unblock();
    self->handle = GC_get_my_stackbottom(&base);
    self->base = (uintptr_t)base.mem_base;
    arenap_roots_thread(self);
    atomic_store_explicit(&self->attached, how, memory_order_release);
    self->kept = arenap_collector_is_kept(self);
    return 0;
}

/* Nobody would tell the collector of the end of a late thread: it is known
 * during each call only.  One that is late from its beginning has far to go,
 * and would lose what it holds meanwhile. */
static int
attach_late(struct thread *self)
{
    if (self->rounds == 0 && !arenap_tls.ended)
        return arenap_fail(ENOMEM, "the end of this thread would not be "
                                   "noticed: the system refused a "
                                   "thread-specific value");
    return arenap_collector_start();
}

/* One that the program made known to the collector is forgotten by it when it
 * ends, before its thread-specific destructors run. */
static int
attach_host(struct thread *self)
{
    if (self->is_main || GC_thread_is_registered())
        return 0;
    atomic_store(&self->attached, ATTACHED_NOT);
    return self->late ? attach_late(self) : attach_slow(self);
}

int
arenap_collector_attach(struct thread *self)
{
    if (ARENA_LIKELY(atomic_load_explicit(&self->attached,
                                          memory_order_relaxed)
                         == ATTACHED_OURS
                     && atomic_load_explicit(&self->tcb, memory_order_relaxed)
                            != 0))
        return 0;
    if (atomic_load(&self->attached) == ATTACHED_HOST)
        return attach_host(self);
    return self->late ? attach_late(self) : attach_slow(self);
}

bool
arenap_collector_is_kept(struct thread *self)
{
    uint8_t how = atomic_load_explicit(&self->attached, memory_order_relaxed);

    return how == ATTACHED_OURS ? !self->late
                                : how == ATTACHED_HOST && self->is_main;
}

bool
arenap_collector_stops(struct thread *self)
{
    return self != NULL && !self->late && arenap_collector_attach(self) == 0;
}

void
arenap_collector_detach(struct thread *self)
{
    uint8_t how = atomic_load(&self->attached);

    arenap_magazine_flush(self);

    self->kept = false;
    /* First ours, then the collector's: see roots.h. */
    atomic_store(&self->attached, ATTACHED_NOT);
    atomic_store(&self->tcb, 0);
    if (how == ATTACHED_OURS)
        GC_unregister_my_thread();
}

/* A late thread, and one that has only explicit arenas, is not left known to
 * the collector. */
struct visit {
    bool detach;
};

static bool
collector_enter(struct thread *self, struct visit *visit)
{
    bool known = atomic_load(&self->attached) != ATTACHED_NOT;

    visit->detach = !known;
    return known || attach_slow(self) == 0;
}

static void
collector_leave(struct thread *self, struct visit *visit)
{
    if (visit->detach)
        arenap_collector_detach(self);
}

/* --- Blocks --- */

/* --enable-debug=stress: whatever a caller forgot to keep dies here. */
static const bool stress = ARENA_DEBUG_STRESS;

/* The collector was called, and may have found some dead. */
static inline void
after_collector(void)
{
    if (ARENA_UNLIKELY(arenap_budget_is_short()))
        arenap_budget_serve();
    arenap_cleaner_revive();
}

/* A chunk is told of with its head zero, at least. */
static void *
block_get(enum block kind, size_t size)
{
    bool large = kind == BLOCK_HEAP && size >= SIZECLASS_LAST;
    void *block;

    do
        block = GC_generic_malloc(
            size, (int)(large ? collector.heap_large : collector.kind[kind]));
    while (block != NULL && arenap_collector_is_spare(kind, block, size + 1));
    if (kind == BLOCK_CHUNK && block != NULL)
        memset(block, 0, BLOCK_CHUNK_HEAD);
    return block;
}

void *
arenap_collector_alloc(struct thread *self, enum block kind, size_t size)
{
    int saved = errno;
    void *block;

    if (stress && !self->late && arenap_collector_can_collect())
        GC_gcollect();
    if (ARENA_UNLIKELY(self->late)) {
        struct visit visit;

        if (!collector_enter(self, &visit))
            return NULL;
        block = block_get(kind, size);
        collector_leave(self, &visit);
    } else {
        block = block_get(kind, size);
    }
    after_collector();
    errno = saved;
    return block;
}

/* --- Lists of blocks ---
 *
 * The blocks of a list are linked through word 0, which the collector scans;
 * but it does not see the list.  So a collection sweeps them, and leaves the
 * list wrong: a list is good for as long as no collection has begun.  Who
 * takes a block has it in a register before asking for that, and with it all
 * that follow, wherever the collector stops the thread. */

/* Forget all lists if they are not good any more. */
static void
lists_refresh(struct thread *self)
{
    uint64_t now = arenap_collector_cycle();

    if (ARENA_LIKELY(self->list_cycle == now))
        return;
    memset(self->list, 0, sizeof self->list);
    self->list_cycle = now;
}

void *
arenap_collector_alloc_page(enum block kind, size_t bytes)
{
    int saved = errno;
    void *first = NULL;

    GC_generic_malloc_many(bytes, (int)collector.kind[kind], &first);
    after_collector();
    errno = saved;
    return first;
}

/* Fill a list. */
ARENA_COLD static bool
list_fill(struct thread *self, enum block kind, void **list, size_t bytes)
{
    void *first = arenap_collector_alloc_page(kind, bytes);

    if (first == NULL)
        return false;
    lists_refresh(self);
    *list = first;
    return true;
}

void *
arenap_collector_alloc_listed(struct thread *self, enum block kind,
                              size_t bytes)
{
    void **list = &self->list[kind][bytes / ARENA_GRANULE], *block;

    _Static_assert(LIST_KINDS == BLOCK_LISTED, "a row of lists for each kind");
    ARENA_ASSERT(kind < BLOCK_LISTED && bytes % ARENA_GRANULE == 0);
    if (ARENA_UNLIKELY(stress || self->late))
        return arenap_collector_alloc(self, kind, bytes - 1);
    do {
        lists_refresh(self);
        if (ARENA_UNLIKELY(*list == NULL)
            && !list_fill(self, kind, list, bytes))
            return arenap_collector_alloc(self, kind, bytes - 1);
        block = arenap_thread_listed(self, kind, bytes);
    } while (ARENA_UNLIKELY(block == NULL));
    return block;
}

void *
arenap_collector_alloc_traced(size_t size)
{
    struct thread *self = arenap_thread_self();
    int saved = errno;
    struct visit visit;
    void *block;

    if (self == NULL || !collector_enter(self, &visit))
        return NULL;
    block = GC_malloc_uncollectable(size);
    collector_leave(self, &visit);
    if (block != NULL)
        atomic_fetch_add(&collector.traced, GC_size(block));
    errno = saved;
    return block;
}

void
arenap_collector_free_traced(void *base)
{
    atomic_fetch_sub(&collector.traced, GC_size(base));
    GC_free(base);
}

size_t
arenap_collector_traced(void)
{
    return atomic_load(&collector.traced);
}

void
arenap_collector_free(struct thread *self, void *base)
{
    if (arenap_collector_stops(self))
        GC_free(base);
}

struct freed {
    uintptr_t *block;
    size_t size;
};

/* The collector has cleared it, and would link it a second time.  Somebody
 * may have it already: only as the first of its list it is surely free. */
static void *
freed_sign(void *context)
{
    struct freed *freed = context;

    if (collector.heap_free[freed->size / ARENA_GRANULE] == freed->block)
        freed->block[1] = arenap_magazine_sign(freed->block);
    return NULL;
}

void
arenap_collector_free_heap(struct thread *self, void *base, size_t size)
{
    struct freed freed = {base, size};

    arenap_collector_free(self, base);
    if (size <= SIZECLASS_SMALL_LAST)
        arenap_collector_locked(freed_sign, &freed);
}

size_t
arenap_collector_size(const void *base)
{
    uintptr_t start;
    size_t size;

    return arenap_slab_find((uintptr_t)base, &start, &size) ? size
                                                             : GC_size(base);
}

enum block
arenap_collector_find(const void *ptr, void **base, size_t *size)
{
    union {
        const void *in;
        void *out;
    } address = {ptr};
    uintptr_t start;
    unsigned kind;

    if (!arenap_collector_started())
        return BLOCK_NONE;
    if (arenap_slab_find((uintptr_t)ptr, &start, size)) {
        *base = (void *)start;
        return BLOCK_HEAP;
    }
    if ((*base = GC_base(address.out)) == NULL)
        return BLOCK_NONE;
    kind = (unsigned)GC_get_kind_and_size(*base, size);
    for (unsigned i = 0; i < BLOCK_KINDS; i++)
        if (collector.kind[i] == kind)
            return (enum block)i;
    return kind == collector.heap_large ? BLOCK_HEAP : BLOCK_NONE;
}

bool
arenap_collector_holds(const void *ptr)
{
    union {
        const void *in;
        void *out;
    } address = {ptr};

    return arenap_collector_started() && GC_base(address.out) != NULL;
}

/* --- Links --- */

bool
arenap_collector_link(struct thread *self, _Atomic uintptr_t *slot,
                      void *base)
{
    int saved = errno, result = GC_NO_MEMORY;
    struct visit visit;

    if (collector_enter(self, &visit)) {
        result = GC_register_long_link((void **)(void *)slot, base);
        collector_leave(self, &visit);
    }
    errno = saved;
    return result != GC_NO_MEMORY;
}

/* The collector takes its entry out of a table under its lock, and frees it
 * after that.  Meanwhile nothing but the thread's stack keeps the entry from
 * being collected: so the thread must be known, or nobody may collect. */
void
arenap_collector_unlink(_Atomic uintptr_t *slot)
{
    struct thread *self = arenap_thread_self();
    int saved = errno;
    struct visit visit;

    if (self != NULL && arenap_collector_attach(self) == 0
        && collector_enter(self, &visit)) {
        GC_unregister_long_link((void **)(void *)slot);
        collector_leave(self, &visit);
    } else {
        GC_disable();
        GC_unregister_long_link((void **)(void *)slot);
        GC_enable();
    }
    errno = saved;
}

/* The variable itself, since it is read for each block; it is older than the
 * function that reads it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
const volatile uintptr_t *arenap_collector_cycles = &GC_gc_no;
#pragma GCC diagnostic pop

uint64_t
arenap_collector_count(void)
{
    return GC_get_gc_no();
}

static void *
count_read(void *out)
{
    *(uint64_t *)out = GC_get_gc_no();
    return NULL;
}

uint64_t
arenap_collector_count_done(void)
{
    uint64_t count;

    GC_call_with_alloc_lock(count_read, &count);
    return count;
}

/* --- Collecting --- */

size_t
arenap_collector_in_use(void)
{
    return pages_in_use();
}

void
arenap_collector_get_help(void)
{
    GC_start_mark_threads();
}

void
arenap_collector_forbid(void)
{
    GC_disable();
}

/* GC_disable would wait for the lock that our caller's caller has. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
void
arenap_collector_pause(void)
{
    GC_dont_gc++;
}
#pragma GCC diagnostic pop

void
arenap_collector_resume(void)
{
    GC_enable();
}

bool
arenap_collector_can_collect(void)
{
    return arenap_collector_started() && !GC_is_disabled();
}

void
arenap_collector_collect(struct thread *self)
{
    int saved = errno;
    struct visit visit;

    if (!collector_enter(self, &visit))
        return;
    arenap_collector_rehook();
    self->collecting = true;
    GC_gcollect();
    self->collecting = false;
    collector_leave(self, &visit);
    errno = saved;
}

/* libgc keeps the end of its newest heap section in a variable that it scans,
 * and that can be the address of a block. */
void
arenap_collector_unpin(void)
{
    int saved = errno;

    if (arenap_collector_can_collect())
        GC_expand_hp(65536);
    errno = saved;
}

void
arenap_collector_trim(struct thread *self)
{
    int saved = errno;
    struct visit visit;

    if (self == NULL || !collector_enter(self, &visit))
        return;
    arenap_collector_rehook();
    self->collecting = true;
    for (int i = 0; i < 3; i++)
        GC_gcollect_and_unmap();
    self->collecting = false;
    collector_leave(self, &visit);
    errno = saved;
}

void
arenap_collector_unblock(sigset_t *set)
{
    int suspend = GC_get_suspend_signal();
    int restart = GC_get_thr_restart_signal();

    sigdelset(set, suspend > 0 ? suspend : SIGPWR);
    sigdelset(set, restart > 0 ? restart : SIGXCPU);
}

void
arenap_collector_figures(struct collector_figures *out)
{
    struct GC_prof_stats_s stats;
    GC_word heap, unused;

    *out = (struct collector_figures){0, 0, 0};
    if (!arenap_collector_started())
        return;
    GC_get_heap_usage_safe(&heap, &unused, NULL, NULL, NULL);
    GC_get_prof_stats(&stats, sizeof stats);
    out->in_use = heap - unused;
    out->collections = GC_get_gc_no();
    out->reclaimed =
        stats.reclaimed_bytes_before_gc + stats.bytes_reclaimed_since_gc;
}

/* --- Public --- */

int
arena_thread_attach(void)
{
    struct thread *self = arenap_thread_self();

    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (arenap_collector_attach(self) != 0)
        return -1;
    if (self->late)
        return arenap_fail(ENOMEM, "this thread is at its end");
    return 0;
}

int
arena_thread_detach(void)
{
    struct thread *self = arenap_thread_self();

    if (self == NULL || atomic_load(&self->attached) == ATTACHED_NOT)
        return 0;
    if (atomic_load(&self->attached) == ATTACHED_HOST)
        return arenap_fail(EPERM, "the collector, not libarena, registered "
                                  "this thread");
    arenap_collector_detach(self);
    return 0;
}

void
arena_keep_alive(const void *ptr)
{
    __asm__ volatile("" : : "g"(ptr) : "memory");
}
