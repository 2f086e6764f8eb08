/*
 * usage.c: arena_usage and arena_report.
 *
 * Threads count what they take from each pool in their own records; blocks
 * that a thread without a record found dead are counted apart.  What is
 * charged to the budget and counted under nothing is what the caches hold: so
 * the parts always add up to the whole.
 */

#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "../include/arena/budget.h"
#include "budget.h"
#include "cleaner.h"
#include "collected.h"
#include "collector.h"
#include "control.h"
#include "environment.h"
#include "error.h"
#include "explicit.h"
#include "heap.h"
#include "internal.h"
#include "linkage.h"
#include "mapping.h"
#include "os.h"
#include "payload.h"
#include "phantom.h"
#include "sync.h"
#include "thread.h"
#include "usage.h"

const char *
arenap_kind_name(unsigned kind)
{
    static const char *const names[] = {"global", "auto", "confined",
                                        "shared", "implicit"};

    return kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

/* --- By pool --- */

/* Who changes one may be made to wait while it does. */
#define COUNTED_TRIES 1000

size_t
arenap_counted_short(struct counted *counted)
{
    size_t both = 0;

    for (int i = 0; i < COUNTED_TRIES; i++) {
        uint32_t changes =
            atomic_load_explicit(&counted->changes, memory_order_acquire);

        both = __atomic_load_n(&counted->all, __ATOMIC_RELAXED)
               - __atomic_load_n(&counted->longer, __ATOMIC_RELAXED);
        atomic_thread_fence(memory_order_acquire);
        if (changes % 2 == 0
            && atomic_load_explicit(&counted->changes, memory_order_relaxed)
                   == changes)
            break;
        sched_yield();
    }
    return both;
}

static void
pool_read(arena_usage_pool_t *pool, unsigned from)
{
    size_t reserved, requested, count;

    arenap_collected_dead(from, &reserved, &requested, &count);
    pool->reserved = (size_t)0 - reserved;
    pool->requested = (size_t)0 - requested;
    pool->count = (size_t)0 - count;
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next) {
        pool->reserved += atomic_load(&t->counts[from].reserved);
        pool->requested += atomic_load(&t->counts[from].requested);
        pool->count += atomic_load(&t->counts[from].count);
        if (from == ARENA_CONFINED) {
            pool->reserved += arenap_cache_popped(&t->cache) * ARENA_PAGE;
            pool->count += arenap_control_popped(&t->ring);
        }
    }
    /* A block that went from a thread already read to one not yet read. */
    if (pool->reserved > PTRDIFF_MAX)
        pool->reserved = 0;
    if (pool->requested > PTRDIFF_MAX)
        pool->requested = 0;
    if (pool->count > PTRDIFF_MAX)
        pool->count = 0;
}

size_t
arenap_usage_reserved(unsigned from)
{
    arena_usage_pool_t pool;

    pool_read(&pool, from);
    return pool.reserved;
}

/* --- What explicit arenas were asked for: known to each alone --- */

struct asked {
    size_t requested, blocks;
};

/* Whatever its control block is of by now. */
static unsigned
arena_kind_now(const struct arena *arena)
{
    return __atomic_load_n(&arena->kind, __ATOMIC_RELAXED);
}

/* Read while others allocate; exact when nobody does. */
static struct asked
arena_asked(struct arena *arena, unsigned kind)
{
    uint64_t tally = __atomic_load_n(&arena->tally, __ATOMIC_RELAXED);
    struct asked asked = {
        atomic_load(&arena->requested) + TALLY_BYTES(tally),
        atomic_load(&arena->blocks) + TALLY_BLOCKS(tally),
    };

    if (kind == ARENA_CONFINED)
        return asked;
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next) {
        struct piece *piece = arenap_piece_of(t, arena);

        if (arenap_piece_fits(piece, arena)) {
            tally = atomic_load(&piece->tally);
            asked.requested += TALLY_BYTES(tally);
            asked.blocks += TALLY_BLOCKS(tally);
        }
    }
    return asked;
}

static void
requested_visit(struct arena *arena, void *context)
{
    arena_usage_t *usage = context;
    unsigned kind;

    if ((atomic_load(&arena->state) & ARENA_OPEN) == 0)
        return;
    kind = arena_kind_now(arena);
    usage->kind[kind].requested += arena_asked(arena, kind).requested;
}

/* --- The snapshot --- */

static void
heap_read(arena_usage_t *usage)
{
    struct heap_figures figures;

    arenap_heap_figures(&figures);
    usage->heap.reserved = figures.reserved;
    usage->heap.requested = figures.requested;
    usage->heap.count = figures.count;
}

static void
pool_add(arena_usage_t *usage, const arena_usage_pool_t *pool)
{
    usage->reserved += pool->reserved;
    usage->requested += pool->requested;
    usage->count += pool->count;
}

static void
pools_read(arena_usage_t *usage)
{
    for (unsigned kind = 0; kind < 5; kind++)
        pool_read(&usage->kind[kind], kind);
    pool_read(&usage->buffers, POOL_BUFFERS);
    heap_read(usage);
    arenap_mapping_figures(&usage->mapped);
    usage->manual.reserved = usage->manual.requested =
        atomic_load(&arenap_budget_manual_bytes);
    usage->manual.count = arenap_budget_manual_count();
}

size_t
arenap_usage_reserved_all(void)
{
    arena_usage_t usage;

    memset(&usage, 0, sizeof usage);
    pools_read(&usage);
    for (int kind = 0; kind < 5; kind++)
        pool_add(&usage, &usage.kind[kind]);
    pool_add(&usage, &usage.heap);
    pool_add(&usage, &usage.buffers);
    pool_add(&usage, &usage.manual);
    return usage.reserved;
}

#define TRIES 8

/* Read until two readings agree, or nearly so. */
static void
snapshot_read(arena_usage_t *usage)
{
    arena_usage_t before;
    size_t charged;

    pools_read(usage);
    for (int i = 0; i < TRIES; i++) {
        before = *usage;
        charged = arenap_budget_charged();
        pools_read(usage);
        if (memcmp(&before, usage, sizeof before) == 0
            && charged == arenap_budget_charged())
            break;
    }
    arenap_control_each(requested_visit, usage);
    requested_visit(&arenap_global, usage);
    for (int kind = 0; kind < 5; kind++)
        pool_add(usage, &usage->kind[kind]);
    pool_add(usage, &usage->heap);
    pool_add(usage, &usage->buffers);
    pool_add(usage, &usage->manual);
    usage->cached = charged > usage->reserved ? charged - usage->reserved : 0;
    /* The budget does not charge those. */
    pool_add(usage, &usage->mapped);
}

void
arena_usage(arena_usage_t *out, size_t size)
{
    struct budget_figures budget;
    struct collector_figures collector;
    arena_usage_t usage;

    if (out == NULL)
        return;
    memset(&usage, 0, sizeof usage);
    snapshot_read(&usage);
    arenap_budget_figures(&budget);
    arenap_collector_figures(&collector);
    usage.limit = arena_limit();
    usage.peak = budget.peak;
    arenap_phantom_scan();
    usage.pending = arenap_cleaner_pending();
    usage.collections = collector.collections;
    usage.reclaimed = collector.reclaimed + arenap_payload_reclaimed();
    usage.waits = budget.waits;
    usage.wait_ns = budget.wait_ns;
    usage.failures = budget.failures;
    memcpy(out, &usage, size < sizeof usage ? size : sizeof usage);
    if (size > sizeof usage)
        memset((char *)out + sizeof usage, 0, size - sizeof usage);
}

/* --- The report --- */

struct report {
    FILE *stream;
    uint64_t now;
    bool failed;
};

/* Seconds. */
static double
report_age(const struct report *report, const struct arena *arena)
{
    uint32_t now = (uint32_t)(report->now >> ARENA_TICK_SHIFT);

    return (double)(now - arena->born) * (1u << ARENA_TICK_SHIFT) / 1e9;
}

/* A name on one line: control characters, and what stands for them, are
 * written by their numbers. */
static void
name_escape(const char *name, char *out, size_t size)
{
    while (*name != '\0' && size > sizeof "\\ooo") {
        unsigned char c = (unsigned char)*name++;
        int length = snprintf(
            out, size, c < ' ' || c == 0x7f || c == '\\' ? "\\%03o" : "%c", c);

        out += length;
        size -= (size_t)length;
    }
    *out = '\0';
}

static void
report_visit(struct arena *arena, void *context)
{
    struct report *report = context;
    char name[64] = "", owner[32] = "-";
    struct thread *thread;
    struct asked asked;
    unsigned kind;
    size_t bytes;

    /* The lock keeps the name, while it is copied. */
    arenap_sync_lock(arena);
    if ((atomic_load(&arena->state) & ARENA_OPEN) == 0) {
        arenap_sync_unlock(arena);
        return;
    }
    kind = arena_kind_now(arena);
    asked = arena_asked(arena, kind);
    bytes = arenap_explicit_reserved(arena);
    if (arena->name != NULL)
        name_escape(arena->name, name, sizeof name);
    if (kind == ARENA_CONFINED) {
        thread = arenap_thread_find(arena->owner_serial);
        snprintf(owner, sizeof owner, thread != NULL ? "thread %d" : "ended",
                 thread != NULL ? thread->tid : 0);
    }
    arenap_sync_unlock(arena);
    report->failed |= fprintf(report->stream,
                              "%-9s %-24s %12zu %10zu %10.3f  %s\n",
                              arenap_kind_name(kind),
                              *name != '\0' ? name : "-", bytes, asked.blocks,
                              report_age(report, arena),
                              owner)
                      < 0;
}

/* What may surprise who reads the figures.  False if it cannot be written. */
static bool
report_notes(FILE *stream)
{
    const char *variable;
    bool good = true;

    for (size_t i = 0; (variable = arenap_environment_ignored(i)) != NULL; i++)
        good &= fprintf(stream, "ignored: %s\n", variable) >= 0;
    if (arenap_linkage_is_twice())
        good &= fputs("another libarena is in this process: its arenas and "
                      "its budget are apart from these\n",
                      stream)
                >= 0;
    return good;
}

int
arena_report(FILE *stream)
{
    struct report report = {.stream = stream, .now = arenap_os_coarse()};
    arena_usage_t usage;
    const arena_usage_pool_t *collected = &usage.kind[ARENA_AUTO];

    if (stream == NULL)
        return arenap_fail(EINVAL, "no stream to report to");
    arena_usage(&usage, sizeof usage);
    report.failed =
        fprintf(stream, "%-9s %-24s %12s %10s %10s  %s\n", "kind", "name",
                "bytes", "blocks", "age (s)", "owner")
        < 0;
    arenap_control_each(report_visit, &report);
    report.failed |=
        fprintf(stream, "%-9s %-24s %12zu %10s %10s  %s\n", "auto",
                "(all open ones)", collected->reserved, "-", "-", "-")
            < 0
        || fprintf(stream,
                   "open: %zu confined, %zu shared, %zu auto; blocks: %zu "
                   "implicit; buffers: %zu\n",
                   usage.kind[ARENA_CONFINED].count,
                   usage.kind[ARENA_SHARED].count, collected->count,
                   usage.kind[ARENA_IMPLICIT].count, usage.buffers.count)
               < 0
        || fprintf(stream,
                   "reserved %zu, cached %zu, limit %zu; peak %zu\n",
                   usage.reserved, usage.cached, usage.limit, usage.peak)
               < 0
        || !report_notes(stream);
    return report.failed ? -1 : 0;
}
