/* handshake.c: see handshake.h. */

#include "config.h"

#include <sched.h>

#include "handshake.h"
#include "internal.h"
#include "os.h"
#include "sync.h"
#include "thread.h"

/* An access that is not over after this many looks is a long one, or its
 * thread has no processor: then sleep in between. */
#define LOOKS 64
#define NAP_NS 50000

static void
wait_for(const _Atomic(const struct arena *) *accessing,
         const struct arena *arena)
{
    unsigned looks = 0;

    while (atomic_load_explicit(accessing, memory_order_acquire) == arena) {
        if (++looks < LOOKS)
            sched_yield();
        else
            arenap_os_sleep(NAP_NS);
    }
}

/* The caller itself accesses nothing: what its record says is of an access
 * that it has left by a longjmp. */
static void
wait_for_threads(const struct arena *arena)
{
    struct thread *t = arenap_thread_first();

    for (; t != NULL; t = t->next)
        for (unsigned slot = 0; slot < THREAD_ACCESSES; slot++)
            if (t != arenap_tls.record)
                wait_for(&t->accessing[slot], arena);
}

/* The barriers here and of a thread's first access: either that sees the new
 * epoch, or it is seen here. */
static bool
others_access(void)
{
    struct thread *t;

    atomic_thread_fence(memory_order_seq_cst);
    for (t = arenap_thread_first(); t != NULL; t = t->next)
        if (t != arenap_tls.record
            && atomic_load_explicit(&t->accesses, memory_order_acquire))
            return true;
    return false;
}

ARENA_COLD void
arenap_handshake_first(struct thread *self)
{
    atomic_store_explicit(&self->accesses, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void
arenap_handshake_wait(const struct arena *arena)
{
    if (!others_access())
        return;
    arenap_os_heavy();
    wait_for_threads(arena);
}

void
arenap_handshake_wait_all(const struct arena *list)
{
    bool any = false;

    for (const struct arena *a = list; a != NULL; a = a->free_next)
        any |= arenap_handshake_is_due(a);
    if (!any || !others_access())
        return;
    arenap_os_heavy();
    for (const struct arena *a = list; a != NULL; a = a->free_next)
        if (arenap_handshake_is_due(a))
            wait_for_threads(a);
}

/* The lock is the one under which closers advance the epoch: who does so
 * later sees what is stored here. */
bool
arenap_handshake_expect(struct arena *arena, uint64_t epoch)
{
    if (atomic_load_explicit(&arena->segmented, memory_order_acquire)
        != epoch + 1) {
        arenap_sync_lock(arena);
        if (atomic_load(&arena->epoch) == epoch)
            atomic_store(&arena->segmented, epoch + 1);
        arenap_sync_unlock(arena);
    }
    return atomic_load_explicit(&arena->epoch, memory_order_acquire) == epoch;
}

void
arenap_handshake_forget(struct thread *thread)
{
    for (unsigned slot = 0; slot < THREAD_ACCESSES; slot++)
        arenap_handshake_leave(thread, slot);
    atomic_store_explicit(&thread->accesses, false, memory_order_release);
}
