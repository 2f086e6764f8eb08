/* roots.c: see roots.h. */

#include "config.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../include/arena/heap.h"
#include "collector.h"
#include "environment.h"
#include "error.h"
#include "internal.h"
#include "maps.h"
#include "os.h"
#include "pagemap.h"
#include "roots.h"
#include "stop.h"
#include "thread.h"

/* --- Where --- */

enum { ROOTS_UNSET = -1 };

/* Stack that arenap_os_scrub overwrites, and as much again. */
#define SCRUB_ROOM ((size_t)16 * 1024)

static struct {
    _Atomic int mode;    /* arena_roots_t that the program chose, or unset */
    _Atomic bool wide;   /* all mappings are pushed */
} roots = {.mode = ROOTS_UNSET};

/* --- Thread-local storage ---
 *
 * glibc keeps, for each thread, a vector of the addresses of the modules'
 * blocks.  The thread control block points to it; the element before its
 * first one counts them. */

struct tls_module {
    size_t id, size;
};

#define MODULES_FIRST 64

static struct {
    struct tls_module *module;
    size_t count, room;
    unsigned long long loads, unloads; /* the loader's counters */
    bool known;
} tls;

static bool
tls_grow(void)
{
    size_t room = tls.room == 0 ? MODULES_FIRST : 2 * tls.room;
    struct tls_module *wider = arenap_os_meta(room * sizeof *wider);

    if (wider == NULL)
        return false;
    if (tls.count != 0)
        memcpy(wider, tls.module, tls.count * sizeof *wider);
    tls.module = wider;
    tls.room = room;
    return true;
}

static int
tls_visit(struct dl_phdr_info *info, size_t size, void *context)
{
    bool *fresh = context;

    (void)size;
    if (*fresh) {
        if (tls.loads == info->dlpi_adds && tls.unloads == info->dlpi_subs)
            return 1;
        tls.loads = info->dlpi_adds;
        tls.unloads = info->dlpi_subs;
        tls.count = 0;
        *fresh = false;
    }
    if (info->dlpi_tls_modid == 0)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_TLS)
            continue;
        if (tls.count == tls.room && !tls_grow()) {
            tls.loads = 0; /* look again next time */
            return 1;
        }
        tls.module[tls.count].id = info->dlpi_tls_modid;
        tls.module[tls.count++].size = info->dlpi_phdr[i].p_memsz;
    }
    return 0;
}

/* Thread-local storage is in some mapping: where all of them are searched the
 * loader need not be asked, which takes a lock of its own. */
void
arenap_roots_prepare(void)
{
    bool fresh = true;

    tls.known = !atomic_load(&roots.wide);
    if (tls.known)
        dl_iterate_phdr(tls_visit, &fresh);
}

#if defined(__x86_64__) && defined(__GLIBC__)
#define DTV_OFFSET 8
#elif defined(__aarch64__) && defined(__GLIBC__)
#define DTV_OFFSET 0
#endif

#ifdef DTV_OFFSET
struct dtv_slot {
    void *block; /* element -1: how many elements */
    void *to_free;
};

/* The calling thread's control block. */
static uintptr_t
tls_control_block(void)
{
#if defined(__x86_64__)
    return (uintptr_t)pthread_self();
#else
    return (uintptr_t)__builtin_thread_pointer();
#endif
}

static void
tls_push(uintptr_t control_block)
{
    const struct dtv_slot *dtv =
        *(struct dtv_slot **)(control_block + DTV_OFFSET);
    size_t slots = (size_t)dtv[-1].block;

    for (size_t i = 0; i < tls.count; i++) {
        char *block;

        if (tls.module[i].id > slots)
            continue;
        block = dtv[tls.module[i].id].block;
        if (block != NULL && block != (void *)-1)
            arenap_collector_push(block, block + tls.module[i].size);
    }
}
#else
/* Elsewhere the collector's own view of the stack is all there is. */
static uintptr_t
tls_control_block(void)
{
    return 1;
}

static void
tls_push(uintptr_t control_block)
{
    (void)control_block;
}
#endif

void
arenap_roots_stack(struct thread *self)
{
    pthread_attr_t attr;
    void *stack;
    size_t size;

    atomic_store(&self->stack_lo, 0);
    atomic_store(&self->stack_hi, 0);
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        if (pthread_attr_getstack(&attr, &stack, &size) == 0) {
            atomic_store(&self->stack_lo, (uintptr_t)stack);
            atomic_store(&self->stack_hi, (uintptr_t)stack + size);
        }
        pthread_attr_destroy(&attr);
    }
}

void
arenap_roots_thread(struct thread *self)
{
    arenap_roots_stack(self);
    /* Above it the main stack goes on, with argv and environ. */
    if (self->base > atomic_load(&self->stack_lo)
        && self->base < atomic_load(&self->stack_hi))
        atomic_store(&self->stack_hi, self->base);
    atomic_store_explicit(&self->tcb, tls_control_block(),
                          memory_order_release);
}

ARENA_NOINLINE size_t
arenap_roots_stack_left(const struct thread *self)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uintptr_t lo = atomic_load_explicit(&self->stack_lo, memory_order_relaxed);
    uintptr_t hi = atomic_load_explicit(&self->stack_hi, memory_order_relaxed);

    return here >= lo && here < hi ? here - lo : 0;
}

/* A thread that was never attached has called nothing that needs it. */
void
arenap_roots_scrub(void)
{
    const struct thread *self = arenap_tls.record;

    if (self != NULL && arenap_roots_stack_left(self) >= SCRUB_ROOM)
        arenap_os_scrub();
}

/* --- Pins: a table of pointers in memory that the collector scans --- */

struct pin {
    const void *ptr;
    size_t count;
};

static struct {
    pthread_mutex_t lock;
    struct pin *table; /* open addressing; the size is a power of two */
    size_t size, used;
} pins = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define PINS_FIRST 64

static struct pin *
pin_find(struct pin *table, size_t size, const void *ptr)
{
    size_t i = ((uintptr_t)ptr >> 4) * 0x9E3779B97F4A7C15u >> 20;

    for (;; i++)
        if (table[i & (size - 1)].ptr == ptr
            || table[i & (size - 1)].ptr == NULL)
            return &table[i & (size - 1)];
}

/* Make room for one more; called and left with the lock, which is not held
 * while the collector is called. */
static bool
pins_grow(void)
{
    while (2 * (pins.used + 1) > pins.size) {
        size_t size = pins.size == 0 ? PINS_FIRST : 2 * pins.size;
        size_t old_size = pins.size;
        struct pin *wider, *old;

        pthread_mutex_unlock(&pins.lock);
        wider = arenap_collector_alloc_traced(size * sizeof *wider);
        pthread_mutex_lock(&pins.lock);
        if (wider == NULL)
            return false;
        old = wider; /* another thread was faster */
        if (pins.size == old_size) {
            old = pins.table;
            for (size_t i = 0; i < old_size; i++)
                if (old[i].ptr != NULL)
                    *pin_find(wider, size, old[i].ptr) = old[i];
            pins.table = wider;
            pins.size = size;
        }
        if (old != NULL) {
            pthread_mutex_unlock(&pins.lock);
            arenap_collector_free_traced(old);
            pthread_mutex_lock(&pins.lock);
        }
    }
    return true;
}

/* Both are called by threads that a collection stops. */
int
arenap_roots_pin(const void *ptr)
{
    struct pin *pin;
    bool room;

    pthread_mutex_lock(&pins.lock);
    room = pins_grow();
    if (room) {
        pin = pin_find(pins.table, pins.size, ptr);
        pins.used += pin->ptr == NULL;
        pin->ptr = ptr;
        pin->count++;
    }
    pthread_mutex_unlock(&pins.lock);
    if (!room)
        return arenap_fail(ENOMEM, "no memory for a table of pins");
    return 0;
}

/* Close the gap that an entry leaves, so that searches still end. */
static void
pin_remove(struct pin *pin)
{
    size_t mask = pins.size - 1, i = (size_t)(pin - pins.table);

    *pin = (struct pin){NULL, 0};
    pins.used--;
    for (i = (i + 1) & mask; pins.table[i].ptr != NULL; i = (i + 1) & mask) {
        struct pin moved = pins.table[i];

        pins.table[i] = (struct pin){NULL, 0};
        *pin_find(pins.table, pins.size, moved.ptr) = moved;
    }
}

int
arenap_roots_unpin(const void *ptr)
{
    struct pin *pin = NULL;

    pthread_mutex_lock(&pins.lock);
    if (pins.size != 0 && ptr != NULL) {
        pin = pin_find(pins.table, pins.size, ptr);
        if (pin->ptr == NULL)
            pin = NULL;
        else if (--pin->count == 0)
            pin_remove(pin);
    }
    pthread_mutex_unlock(&pins.lock);
    if (pin == NULL)
        return arenap_fail(EINVAL, "%p is not pinned", ptr);
    return 0;
}

/* --- Ranges of the program --- */

/* Read while threads are stopped, maybe in the middle of a change: so every
 * change is one store that leaves a good list. */
struct range {
    struct range *next;
    char *lo, *hi;
};

static struct {
    pthread_mutex_t lock;
    struct range *first;
} ranges = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- All mappings --- */

struct hole {
    uintptr_t lo, hi; /* a part of a mapping still to be pushed */
    uintptr_t cut_lo, cut_hi;
};

/* Remember the lowest excluded range that touches the part. */
static void
hole_visit(uintptr_t lo, uintptr_t hi, void *context)
{
    struct hole *hole = context;

    if (hi > hole->lo && lo < hole->cut_lo) {
        hole->cut_lo = lo > hole->lo ? lo : hole->lo;
        hole->cut_hi = hi;
    }
}

/* Stacks of attached threads, as far as the collector searches them. */
static void
stacks_each(maps_visit *visit, void *context)
{
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next)
        if (atomic_load(&t->attached) != ATTACHED_NOT && !t->astray
            && atomic_load(&t->stack_hi) != 0)
            visit(atomic_load(&t->stack_lo), atomic_load(&t->stack_hi),
                  context);
}

static _Atomic size_t foreign; /* bytes, in the last collection */

size_t
arenap_roots_foreign(void)
{
    return atomic_load_explicit(&foreign, memory_order_relaxed);
}

/* Memory that a thread which is not stopped may unmap meanwhile, or that lies
 * beyond the end of a file, is searched in a copy. */
#define COPY_BYTES ((size_t)64 * 1024)

static void
push_copy(uintptr_t lo, uintptr_t hi, void *unused)
{
    static uintptr_t copy[COPY_BYTES / sizeof(uintptr_t)];

    (void)unused;
    arenap_count(&foreign, hi - lo);
    while (lo < hi) {
        size_t size = hi - lo < COPY_BYTES ? hi - lo : COPY_BYTES;
        long got = arenap_maps_copy(copy, lo, size);

        if (got < 0) { /* forbidden here: as it is, then */
            arenap_collector_push((void *)lo, (void *)hi);
            return;
        }
        if (got == 0) {
            lo += ARENA_PAGE;
            continue;
        }
        arenap_collector_push_now(
            copy, (char *)copy + ((size_t)got & ~(sizeof(void *) - 1)));
        lo += (size_t)got;
    }
}

/* Push what is not a chunk of ours. */
static void
push_foreign(uintptr_t lo, uintptr_t hi, bool *all)
{
    while (lo < hi) {
        bool ours;
        uintptr_t end = arenap_pagemap_run(lo, hi, &ours);

        if (!ours && !arenap_maps_resident(lo, end, push_copy, NULL))
            *all = false;
        lo = end;
    }
}

static void
mapping_push(uintptr_t lo, uintptr_t hi, void *context)
{
    struct hole hole = {lo, hi, hi, hi};
    bool *all = context;

    while (hole.lo < hi) {
        hole.cut_lo = hole.cut_hi = hi;
        arenap_maps_collector_each(hole_visit, &hole);
        arenap_os_meta_each(hole_visit, &hole);
        stacks_each(hole_visit, &hole);
        if (hole.cut_lo > hole.lo)
            push_foreign(hole.lo, hole.cut_lo, all);
        hole.lo = hole.cut_hi;
    }
}

static void
keep_all(uintptr_t lo, uintptr_t hi, void *unused)
{
    (void)unused;
    arenap_collector_keep_all(lo, hi);
}

void
arenap_roots_push(void)
{
    bool all = true;

    atomic_store(&foreign, 0);
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next) {
        uintptr_t tcb = atomic_load(&t->tcb);

        if (tls.known && atomic_load(&t->attached) != ATTACHED_NOT
            && tcb != 0)
            tls_push(tcb);
    }
    for (struct range *r = ranges.first; r != NULL; r = r->next)
        arenap_collector_push(r->lo, r->hi);
    /* Never collect with a part of the roots. */
    if (atomic_load(&roots.wide)
            ? !arenap_maps_each(mapping_push, &all) || !all
            : !tls.known)
        all = false;
    if (arenap_stop_is_partial() || !all)
        arenap_maps_collector_each(keep_all, NULL);
}

/* --- Choosing --- */

static void
roots_read(uintptr_t lo, uintptr_t hi, void *unused)
{
    (void)lo;
    (void)hi;
    (void)unused;
}

ARENA_COLD static int
roots_choose(arena_roots_t mode)
{
    /* A collection reads the mappings itself, once they are roots. */
    if (mode == ARENA_ROOTS_ALL && !atomic_load(&roots.wide)
        && (!arenap_maps_watched() || !arenap_maps_each(roots_read, NULL)))
        return -1;
    atomic_store(&roots.wide, mode == ARENA_ROOTS_ALL);
    atomic_store(&roots.mode, (int)mode);
    return 0;
}

static void
widen_once(void)
{
    const char *wish = arenap_environment_get("ARENA_ROOTS");

    if (atomic_load(&roots.mode) != ROOTS_UNSET)
        return;
    if (wish != NULL && strcmp(wish, "precise") != 0
        && strcmp(wish, "all") != 0)
        arenap_environment_ignore("ARENA_ROOTS", wish);
    if (wish != NULL && strcmp(wish, "precise") == 0)
        roots_choose(ARENA_ROOTS_PRECISE);
    else if (roots_choose(ARENA_ROOTS_ALL) != 0)
        arenap_collector_forbid();
}

void
arenap_roots_widen(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, widen_once);
}

/* --- Fork --- */

void
arenap_roots_fork_prepare(void)
{
    pthread_mutex_lock(&pins.lock);
    pthread_mutex_lock(&ranges.lock);
}

void
arenap_roots_fork_done(void)
{
    pthread_mutex_unlock(&ranges.lock);
    pthread_mutex_unlock(&pins.lock);
}

/* --- Public --- */

int
arena_set_roots(arena_roots_t mode)
{
    if (mode != ARENA_ROOTS_PRECISE && mode != ARENA_ROOTS_ALL)
        return arenap_fail(EINVAL, "%d is no choice of roots", (int)mode);
    if (arenap_collector_start() != 0)
        return -1;
    if (roots_choose(mode) != 0)
        return arenap_fail(ENOTSUP, "the mappings cannot be read here, or "
                                    "the collector's are not known");
    return 0;
}

/* A thread that changes what a collection reads must be stopped by it. */
static int
roots_enter(void)
{
    struct thread *self = arenap_thread_self();

    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    return arenap_collector_attach(self);
}

int
arena_pin(const void *ptr)
{
    if (!arenap_collector_holds(ptr))
        return arenap_fail(EINVAL, "%p does not point into collected memory",
                           ptr);
    return roots_enter() != 0 ? -1 : arenap_roots_pin(ptr);
}

int
arena_unpin(const void *ptr)
{
    if (!arenap_collector_started())
        return arenap_fail(EINVAL, "%p is not pinned", ptr);
    return roots_enter() != 0 ? -1 : arenap_roots_unpin(ptr);
}

int
arena_add_roots(void *lo, void *hi)
{
    struct range *range;

    if (lo == NULL || (uintptr_t)lo >= (uintptr_t)hi)
        return arenap_fail(EINVAL, "no bytes from %p up to %p", lo, hi);
    if (roots_enter() != 0)
        return -1;
    range = malloc(sizeof *range);
    if (range == NULL)
        return arenap_fail_system(sizeof *range);
    /* The collector reads whole words. */
    range->lo = (char *)arenap_round_up((uintptr_t)lo, sizeof(void *));
    range->hi = (char *)((uintptr_t)hi & ~(sizeof(void *) - 1));
    if (range->hi < range->lo)
        range->hi = range->lo;
    pthread_mutex_lock(&ranges.lock);
    range->next = ranges.first;
    __atomic_store_n(&ranges.first, range, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&ranges.lock);
    return 0;
}

int
arena_remove_roots(void *lo, void *hi)
{
    char *from = (char *)arenap_round_up((uintptr_t)lo, sizeof(void *));
    char *to = (char *)((uintptr_t)hi & ~(sizeof(void *) - 1));
    struct range *found = NULL;

    if (to < from)
        to = from;
    if (arenap_collector_started() && roots_enter() != 0)
        return -1;
    pthread_mutex_lock(&ranges.lock);
    for (struct range **link = &ranges.first; *link; link = &(*link)->next)
        if ((*link)->lo == from && (*link)->hi == to) {
            found = *link;
            __atomic_store_n(link, found->next, __ATOMIC_RELEASE);
            break;
        }
    pthread_mutex_unlock(&ranges.lock);
    if (found == NULL)
        return arenap_fail(EINVAL, "no roots from %p up to %p", lo, hi);
    free(found);
    return 0;
}
