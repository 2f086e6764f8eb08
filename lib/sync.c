/* sync.c: see sync.h. */

#include "config.h"

#include <pthread.h>

#include "internal.h"
#include "os.h"
#include "sync.h"

/* What is done under a lock is mostly over before a system call would be. */
#define SPINS 100

/* Who may be missed by who frees a lock looks again after that. */
#define MISSED_NS 1000000u

struct stripe arenap_stripe[STRIPES];

static pthread_mutex_t tree = PTHREAD_MUTEX_INITIALIZER;

ARENA_COLD void
arenap_stripe_wait(struct stripe *stripe)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&stripe->state, memory_order_relaxed)
                == STRIPE_FREE
            && arenap_stripe_try(stripe))
            return;
        arenap_os_pause();
    }
    /* Who frees it from here on either has done so before we look, or sees
     * that we sleep; or, if the system has no such barrier, may miss us. */
    atomic_fetch_add(&stripe->sleepers, 1);
    arenap_os_heavy();
    while (!arenap_stripe_try(stripe))
        arenap_os_wait(&stripe->state, STRIPE_HELD,
                       atomic_load(&arenap_os_has_heavy)
                           ? ARENA_OS_NEVER
                           : arenap_os_now() + MISSED_NS);
    atomic_fetch_sub(&stripe->sleepers, 1);
}

ARENA_COLD void
arenap_stripe_wake(struct stripe *stripe)
{
    arenap_os_wake(&stripe->state, 1);
}

sync_set
arenap_sync_stripe(const struct arena *arena)
{
    return (sync_set)1 << arenap_stripe_index(arena);
}

void
arenap_sync_lock_set(sync_set set)
{
    for (; set != 0; set &= set - 1)
        arenap_stripe_lock(&arenap_stripe[__builtin_ctzll(set)]);
}

void
arenap_sync_unlock_set(sync_set set)
{
    for (; set != 0; set &= set - 1)
        arenap_stripe_unlock(&arenap_stripe[__builtin_ctzll(set)]);
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

void
arenap_sync_fork_child(void)
{
    for (size_t i = 0; i < STRIPES; i++)
        arenap_stripe_fork_child(&arenap_stripe[i]);
}
