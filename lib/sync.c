/* sync.c: see sync.h. */

#include "config.h"

#include <pthread.h>

#include "internal.h"
#include "sync.h"

#define STRIPES 64

static struct {
    pthread_mutex_t lock;
} __attribute__((aligned(64))) stripe[STRIPES] = {
    [0 ... STRIPES - 1] = {PTHREAD_MUTEX_INITIALIZER}};

static pthread_mutex_t tree = PTHREAD_MUTEX_INITIALIZER;

static inline unsigned
stripe_index(const struct arena *arena)
{
    uintptr_t a = (uintptr_t)arena;

    return (unsigned)((a >> 4 ^ a >> 10) % STRIPES);
}

void
arenap_sync_lock(const struct arena *arena)
{
    pthread_mutex_lock(&stripe[stripe_index(arena)].lock);
}

void
arenap_sync_unlock(const struct arena *arena)
{
    pthread_mutex_unlock(&stripe[stripe_index(arena)].lock);
}

sync_set
arenap_sync_stripe(const struct arena *arena)
{
    return (sync_set)1 << stripe_index(arena);
}

void
arenap_sync_lock_set(sync_set set)
{
    for (; set != 0; set &= set - 1)
        pthread_mutex_lock(&stripe[__builtin_ctzll(set)].lock);
}

void
arenap_sync_unlock_set(sync_set set)
{
    for (; set != 0; set &= set - 1)
        pthread_mutex_unlock(&stripe[__builtin_ctzll(set)].lock);
}

void
arenap_sync_tree_lock(void)
{
    pthread_mutex_lock(&tree);
}

void
arenap_sync_tree_unlock(void)
{
    pthread_mutex_unlock(&tree);
}

void
arenap_sync_fork_prepare(void)
{
    arenap_sync_tree_lock();
    arenap_sync_lock_set(~(sync_set)0);
}

void
arenap_sync_fork_done(void)
{
    arenap_sync_unlock_set(~(sync_set)0);
    arenap_sync_tree_unlock();
}
