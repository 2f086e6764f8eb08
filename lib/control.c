/* control.c: see control.h. */

#include "config.h"

#include <pthread.h>

#include "control.h"
#include "internal.h"
#include "os.h"

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
    atomic_store(&slab->used, used + 1);
    return arena;
}

struct arena *
arenap_control_take_slow(void)
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

void
arenap_control_give_slow(struct arena *arena)
{
    pthread_mutex_lock(&control.lock);
    control_append(arena);
    pthread_mutex_unlock(&control.lock);
}

void
arenap_control_flush(struct control_ring *ring)
{
    pthread_mutex_lock(&control.lock);
    while (arenap_control_count(ring) != 0)
        control_append(ring->block[ring->taken++ % CONTROL_ROOM]);
    pthread_mutex_unlock(&control.lock);
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
