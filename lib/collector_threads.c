/* collector_threads.c: which threads the collector knows. */

#include "config.h"

#include <errno.h>

#include "collector.h"
#include "collector_gc.h"
#include "error.h"
#include "internal.h"
#include "magazine.h"
#include "roots.h"
#include "stop.h"
#include "thread.h"

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

bool
arenap_gc_enter(struct thread *self, struct visit *visit)
{
    bool known = atomic_load(&self->attached) != ATTACHED_NOT;

    visit->detach = !known;
    return known || attach_slow(self) == 0;
}

void
arenap_gc_leave(struct thread *self, struct visit *visit)
{
    if (visit->detach)
        arenap_collector_detach(self);
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
