/* collector_collect.c: collecting, and what it has come to. */

#include "config.h"

#include <errno.h>

#include "cleaner.h"
#include "collector.h"
#include "collector_gc.h"
#include "internal.h"
#include "thread.h"

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

    if (!arenap_gc_enter(self, &visit))
        return;
    arenap_collector_rehook();
    self->collecting = true;
    GC_gcollect();
    self->collecting = false;
    arenap_gc_leave(self, &visit);
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

    if (self == NULL || !arenap_gc_enter(self, &visit))
        return;
    arenap_collector_rehook();
    self->collecting = true;
    for (int i = 0; i < 3; i++)
        GC_gcollect_and_unmap();
    self->collecting = false;
    arenap_gc_leave(self, &visit);
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
