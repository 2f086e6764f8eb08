/* payload.c: see payload.h. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../include/arena/budget.h"
#include "budget.h"
#include "cleaner.h"
#include "collector.h"
#include "internal.h"
#include "os.h"
#include "payload.h"
#include "thread.h"
#include "usage.h"

/* From here on the system's malloc maps pages of its own every time. */
#define MAPPED_FIRST ((size_t)32 << 20)

/* --- Pressure: the collector sees handles only ---
 *
 * Payloads outside of its heap make it collect as its own blocks do: when
 * those allocated since the last collection, and not freed by hand, are half
 * of all that it has to look after, and not just a few. */

#define PRESSURE_LEAST ((size_t)64 << 20)

static struct {
    _Atomic size_t held;  /* bytes outside */
    _Atomic size_t fresh; /* of these, since the last collection began */
    _Atomic size_t reclaimed; /* found dead so far */
} outside;

void
arenap_payload_collecting(void)
{
    atomic_store_explicit(&outside.fresh, 0, memory_order_relaxed);
}

ARENA_COLD static void
pressure_collect(size_t least)
{
    struct collector_figures figures;

    arenap_collector_figures(&figures);
    if (!arenap_budget_may_collect()
        || atomic_load(&outside.fresh) < figures.in_use / 2)
        return;
    /* One of those who come here at the same time. */
    if (atomic_exchange(&outside.fresh, 0) >= least)
        arenap_cleaner_collect();
}

static void
pressure_add(size_t length)
{
    size_t fresh = atomic_fetch_add(&outside.fresh, length) + length;
    size_t limit = arena_limit();
    size_t least = limit / 2 < PRESSURE_LEAST ? limit / 2 : PRESSURE_LEAST;

    /* What is over the limit is refused at once. */
    if (ARENA_UNLIKELY(fresh >= least && length <= limit
                       && fresh >= atomic_load(&outside.held) / 2))
        pressure_collect(least);
}

static void
pressure_sub(size_t length)
{
    size_t fresh = atomic_load(&outside.fresh), less;

    do
        less = fresh > length ? fresh - length : 0;
    while (!atomic_compare_exchange_weak(&outside.fresh, &fresh, less));
}

size_t
arenap_payload_handles(void)
{
    size_t held = atomic_load(&outside.held);
    size_t reserved = arenap_usage_reserved(POOL_BUFFERS);

    return (reserved > held ? reserved - held : 0)
           + arenap_usage_reserved(POOL_HANDLES);
}

/* --- The system --- */

/* Pages for a payload that begins at a multiple of align; nothing else is
 * kept. */
static char *
mapped_get(size_t length, size_t align)
{
    size_t extra = align > ARENA_PAGE ? align : 0;
    char *base = arenap_os_map(length + extra), *data;

    if (base == NULL || extra == 0)
        return base;
    data = (char *)arenap_round_up((uintptr_t)base, align);
    if (data != base)
        arenap_os_unmap(base, (size_t)(data - base));
    if (base + extra != data)
        arenap_os_unmap(data + length, (size_t)(base + extra - data));
    return data;
}

/* What the system gives, zero-filled; NULL if it refuses. */
static void *
payload_get(const struct payload *payload, size_t align)
{
    int saved = errno;
    void *base = payload->is_mapped ? mapped_get(payload->length, align)
                                    : calloc(1, payload->length);

    errno = saved;
    return base;
}

static void
payload_put(const struct payload *payload)
{
    if (payload->is_mapped)
        arenap_os_unmap(payload->base, payload->length);
    else
        free(payload->base);
}

/* --- The cache ---
 *
 * A collection finds many payloads dead at once.  The system's malloc would
 * give so many pages back, to be mapped and cleared again one by one.  So
 * some are kept, charged but counted under nothing, until the next ones of
 * the same length are asked for.  What is freed by hand goes back at once,
 * and so does everything while the budget is short. */

#define CACHE_SLOTS 128
#define CACHE_BYTES PRESSURE_LEAST
#define CACHE_SMALLEST ((size_t)64 * 1024)

static struct {
    _Atomic size_t bytes;
    /* Payloads, each of which begins with what is known of it.  Whoever takes
     * one out of its slot owns it. */
    _Atomic(struct payload *) slot[CACHE_SLOTS];
} cache;

/* Keep a dead payload and its charge.  From inside the collector. */
static bool
cache_keep(const struct payload *payload)
{
    size_t length = payload->length;

    if (payload->is_mapped || length < CACHE_SMALLEST
        || arenap_budget_is_short())
        return false;
    if (atomic_fetch_add(&cache.bytes, length) + length <= CACHE_BYTES)
        for (int i = 0; i < CACHE_SLOTS; i++) {
            struct payload *none = NULL;

            if (atomic_load_explicit(&cache.slot[i], memory_order_relaxed)
                != NULL)
                continue;
            *(struct payload *)payload->base = *payload;
            if (atomic_compare_exchange_strong(&cache.slot[i], &none,
                                               payload->base))
                return true;
        }
    atomic_fetch_sub(&cache.bytes, length);
    return false;
}

/* Take any one out.  False: there is none. */
static bool
cache_take(struct payload *out)
{
    if (atomic_load(&cache.bytes) == 0)
        return false;
    for (int i = 0; i < CACHE_SLOTS; i++) {
        struct payload *kept = NULL;

        if (atomic_load_explicit(&cache.slot[i], memory_order_relaxed) != NULL)
            kept = atomic_exchange(&cache.slot[i], NULL);
        if (kept != NULL) {
            *out = *kept;
            atomic_fetch_sub(&cache.bytes, out->length);
            return true;
        }
    }
    return false;
}

/* Give what was taken out back to the system. */
static void
cache_free(const struct payload *kept)
{
    free(kept->base);
    arenap_budget_release(kept->length);
}

/* A payload of just this length, or NULL.  One of another length goes back to
 * malloc: so what nobody wants does not stay. */
static void *
cache_find(size_t length)
{
    struct payload kept;

    if (length < CACHE_SMALLEST || !cache_take(&kept))
        return NULL;
    if (kept.length == length)
        return kept.base;
    cache_free(&kept);
    return NULL;
}

void
arenap_payload_flush(void)
{
    struct payload kept;

    while (cache_take(&kept))
        cache_free(&kept);
}

size_t
arenap_payload_cached(void)
{
    return atomic_load(&cache.bytes);
}

/* --- Payloads --- */

void
arenap_payload_begin(struct payload *payload, size_t capacity, size_t align)
{
    size_t slack = align > ARENA_GRANULE ? align : 0;

    payload->is_mapped = capacity + slack >= MAPPED_FIRST;
    payload->length =
        payload->is_mapped
            ? arenap_round_up(capacity + (capacity == 0), ARENA_PAGE)
            : capacity + slack;
    pressure_add(payload->length);
    payload->base = payload->is_mapped ? NULL : cache_find(payload->length);
}

void
arenap_payload_cancel(const struct payload *payload)
{
    pressure_sub(payload->length);
    if (payload->base != NULL)
        cache_free(payload);
}

bool
arenap_payload_complete(struct payload *payload, size_t align)
{
    if (payload->base != NULL) {
        memset(payload->base, 0, payload->length);
    } else {
        payload->base = payload_get(payload, align);
        if (payload->base == NULL && arenap_cleaner_reclaim())
            payload->base = payload_get(payload, align);
    }
    if (payload->base == NULL) {
        pressure_sub(payload->length);
        return false;
    }
    atomic_fetch_add(&outside.held, payload->length);
    return true;
}

bool
arenap_payload_dead(const struct payload *payload)
{
    atomic_fetch_sub(&outside.held, payload->length);
    atomic_fetch_add(&outside.reclaimed, payload->length);
    if (cache_keep(payload))
        return false;
    payload_put(payload);
    return true;
}

size_t
arenap_payload_reclaimed(void)
{
    return atomic_load(&outside.reclaimed);
}

void
arenap_payload_free(const struct payload *payload)
{
    pressure_sub(payload->length);
    atomic_fetch_sub(&outside.held, payload->length);
    payload_put(payload);
}
