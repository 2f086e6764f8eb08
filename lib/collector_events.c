/* collector_events.c: what we do as a collection gets on: a log, and when the
 * next one is due. */

#include "config.h"

#include "collector.h"
#include "collector_gc.h"
#include "internal.h"
#include "slab.h"
#include "surplus.h"
#include "trace.h"

/* --- The pace --- */

size_t
arenap_collector_in_use(void)
{
    return GC_get_heap_size() - GC_get_free_bytes();
}

/* A program that frees what it uses gains nothing by a collection: then the
 * next one is due after twice as many bytes as live, else after two thirds.
 * The collector's lock is held. */
static void
pace_event(GC_EventType event)
{
    static size_t before;
    size_t live = arenap_collector_in_use();
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
    else if (arenap_gc.paced)
        pace_event(event);
}

void
arenap_gc_listen(void)
{
    if (GC_get_on_collection_event() == NULL)
        GC_set_on_collection_event(collection_event);
}

bool
arenap_gc_listens(void)
{
    return GC_get_on_collection_event() == collection_event;
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

void
arenap_gc_watch(void)
{
    if (!arenap_trace_on)
        return;
    event_next = GC_get_on_collection_event();
    GC_set_on_collection_event(event_hook);
}
