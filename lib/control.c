/* control.c: see control.h. */

#include "config.h"

#include <pthread.h>

#include "control.h"
#include "internal.h"
#include "os.h"
#include "sync.h"
#include "thread.h"

#define SLAB_BLOCKS 63

/* Slabs are pushed, never removed: readers take no lock. */
struct slab {
    struct slab *next;
    _Atomic size_t used;
    struct {
        struct arena arena;
    } __attribute__((aligned(64))) block[SLAB_BLOCKS];
};

/* Closed blocks of all threads, oldest first. */
static struct {
    pthread_mutex_t lock;
    _Atomic(struct slab *) slabs;
    struct arena *first, *last;
} control = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct arena *
slab_take(void)
{
    struct slab *slab = atomic_load(&control.slabs);
    struct arena *arena;
    size_t used;

    if (slab == NULL || atomic_load(&slab->used) == SLAB_BLOCKS) {
        struct slab *fresh = arenap_os_meta(sizeof *fresh);

        if (fresh == NULL)
            return NULL;
        fresh->next = slab;
        atomic_store(&control.slabs, fresh);
        slab = fresh;
    }
    used = atomic_load(&slab->used);
    arena = &slab->block[used].arena;
    atomic_store(&arena->owner, ARENA_NOBODY);
    arena->stripe = arenap_stripe_choose(arenap_tls.serial, used);
    atomic_store(&slab->used, used + 1);
    return arena;
}

static struct arena *
control_fetch(void)
{
    struct arena *arena;

    pthread_mutex_lock(&control.lock);
    arena = control.first;
    if (arena != NULL)
        control.first = arena->free_next;
    else
        arena = slab_take();
    pthread_mutex_unlock(&control.lock);
    return arena;
}

static void
control_append(struct arena *arena)
{
    arena->free_next = NULL;
    if (control.first == NULL)
        control.first = arena;
    else
        control.last->free_next = arena;
    control.last = arena;
}

/* Out of the ring, and into it, the longer ways. */
static struct arena *
ring_take(struct control_ring *ring)
{
    struct arena *arena = ring->block[ring->taken.all % CONTROL_ROOM];

    arenap_counted_add(&ring->taken, 1);
    return arena;
}

static void
ring_give(struct control_ring *ring, struct arena *arena)
{
    ring->block[ring->given.all % CONTROL_ROOM] = arena;
    arenap_counted_add(&ring->given, 1);
}

struct arena *
arenap_control_take(struct control_ring *ring)
{
    return arenap_control_can_pop(ring) ? ring_take(ring) : control_fetch();
}

void
arenap_control_give(struct control_ring *ring, struct arena *arena)
{
    if (!arenap_control_can_push(ring)) {
        pthread_mutex_lock(&control.lock);
        control_append(ring_take(ring));
        pthread_mutex_unlock(&control.lock);
    }
    ring_give(ring, arena);
}

void
arenap_control_flush(struct control_ring *ring)
{
    pthread_mutex_lock(&control.lock);
    while (arenap_control_count(ring) != 0)
        control_append(ring_take(ring));
    pthread_mutex_unlock(&control.lock);
}

void
arenap_control_forget(struct control_ring *ring)
{
    arenap_counted_add(&ring->taken, arenap_control_count(ring));
    /* It may have been stopped in the middle. */
    atomic_store(&ring->taken.changes, 0);
    atomic_store(&ring->given.changes, 0);
}

void
arenap_control_each(void (*visit)(struct arena *, void *), void *context)
{
    struct slab *slab = atomic_load(&control.slabs);

    for (; slab != NULL; slab = slab->next) {
        size_t used = atomic_load(&slab->used);

        for (size_t i = 0; i < used; i++)
            visit(&slab->block[i].arena, context);
    }
}

void
arenap_control_fork_prepare(void)
{
    pthread_mutex_lock(&control.lock);
}

void
arenap_control_fork_done(void)
{
    pthread_mutex_unlock(&control.lock);
}
