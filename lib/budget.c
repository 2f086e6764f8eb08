/* budget.c: see budget.h and arena/budget.h. */

#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../include/arena/budget.h"
#include "budget.h"
#include "cleaner.h"
#include "credit.h"
#include "environment.h"
#include "error.h"
#include "internal.h"
#include "os.h"
#include "thread.h"
#include "waiters.h"

static struct {
    _Atomic size_t limit, charged, peak;
    _Atomic bool explicit_gc;
    pthread_mutex_t lock; /* of manual_count */
    size_t manual_count;
} budget = {.limit = ARENA_UNLIMITED,
            .explicit_gc = true,
            .lock = PTHREAD_MUTEX_INITIALIZER};

_Atomic size_t arenap_budget_manual_bytes;

/* --- Taking and giving --- */

static void
budget_peak(size_t charged)
{
    size_t peak = atomic_load_explicit(&budget.peak, memory_order_relaxed);

    while (charged > peak
           && !atomic_compare_exchange_weak(&budget.peak, &peak, charged))
        ;
}

bool
arenap_budget_try(size_t size)
{
    size_t limit = atomic_load_explicit(&budget.limit, memory_order_relaxed);
    size_t charged = atomic_load(&budget.charged);

    do {
        if (charged > limit || size > limit - charged)
            return false;
    } while (!atomic_compare_exchange_weak(&budget.charged, &charged,
                                           charged + size));
    budget_peak(charged + size);
    return true;
}

bool
arenap_budget_has(size_t size)
{
    size_t limit = atomic_load_explicit(&budget.limit, memory_order_relaxed);
    size_t charged =
        atomic_load_explicit(&budget.charged, memory_order_relaxed);

    return !arenap_budget_is_short() && charged <= limit
           && size <= limit - charged;
}

void
arenap_budget_release(size_t size)
{
    atomic_fetch_sub(&budget.charged, size);
    arenap_budget_serve_by_hand();
}

void
arenap_budget_release_quietly(size_t size)
{
    atomic_fetch_sub(&budget.charged, size);
    if (atomic_load(&arenap_budget_waiting) != 0)
        arenap_cleaner_kick();
}

bool
arenap_budget_may_collect(void)
{
    return atomic_load(&budget.explicit_gc);
}

/* --- Figures --- */

size_t
arenap_budget_limit(void)
{
    return atomic_load(&budget.limit);
}

size_t
arenap_budget_charged(void)
{
    return atomic_load(&budget.charged);
}

size_t
arenap_budget_peak(void)
{
    return atomic_load(&budget.peak);
}

size_t
arenap_budget_manual_count(void)
{
    size_t count;

    pthread_mutex_lock(&budget.lock);
    count = budget.manual_count;
    pthread_mutex_unlock(&budget.lock);
    return count;
}

/* --- Environment --- */

/* A size with K, M, G or T, or a percentage of whole. */
static bool
parse_limit(const char *text, size_t whole, size_t *out)
{
    static const char units[] = "KMGT";
    unsigned long long number;
    const char *unit;
    unsigned shift = 0;
    char *end;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    if (strcmp(end, "%") == 0 && number <= 100) {
        *out = whole / 100 * (size_t)number + whole % 100 * number / 100;
        return true;
    }
    if (*end != '\0'
        && (unit = strchr(units, toupper((unsigned char)*end))) != NULL) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (*end != '\0' || number > SIZE_MAX >> shift)
        return false;
    *out = (size_t)number << shift;
    return true;
}

/* When to collect. */
static void
init_collections(void)
{
    const char *explicit_gc = arenap_environment_get("ARENA_EXPLICIT_GC");
    const char *gc_every = arenap_environment_get("ARENA_GC_EVERY");
    size_t every = 0;

    if (gc_every != NULL && strchr(gc_every, '%') == NULL
        && parse_limit(gc_every, 0, &every))
        arenap_cleaner_collect_every(every);
    else if (gc_every != NULL)
        arenap_environment_ignore("ARENA_GC_EVERY", gc_every);
    if (explicit_gc != NULL && strcmp(explicit_gc, "0") == 0)
        atomic_store(&budget.explicit_gc, false);
    else if (explicit_gc != NULL && strcmp(explicit_gc, "1") != 0)
        arenap_environment_ignore("ARENA_EXPLICIT_GC", explicit_gc);
}

void
arenap_budget_init(void)
{
    const char *limit = arenap_environment_get("ARENA_LIMIT");
    size_t whole = arenap_os_memory(), bytes = whole;
    int saved = errno;

    if (limit != NULL && !parse_limit(limit, whole, &bytes))
        fprintf(stderr,
                "libarena: ARENA_LIMIT=%s is not a size such as 512M or 50%%;"
                " the limit is %zu bytes\n",
                limit, bytes);
    errno = saved;
    atomic_store(&budget.limit, bytes);
    init_collections();
}

/* --- Fork --- */

void
arenap_budget_fork_prepare(void)
{
    pthread_mutex_lock(&budget.lock);
    arenap_waiters_fork_prepare();
}

void
arenap_budget_fork_done(void)
{
    arenap_waiters_fork_done();
    pthread_mutex_unlock(&budget.lock);
}

void
arenap_budget_set_charged(size_t held)
{
    atomic_store(&budget.charged, held);
}

/* --- Public --- */

int
arena_reserve(size_t size)
{
    if (arenap_thread_self() == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (arenap_budget_reserve(size) != 0)
        return -1;
    pthread_mutex_lock(&budget.lock);
    atomic_fetch_add(&arenap_budget_manual_bytes, size);
    budget.manual_count++;
    pthread_mutex_unlock(&budget.lock);
    return 0;
}

int
arena_unreserve(size_t size)
{
    size_t held;

    pthread_mutex_lock(&budget.lock);
    held = atomic_load(&arenap_budget_manual_bytes);
    if (size <= held) {
        atomic_store(&arenap_budget_manual_bytes, held - size);
        if (budget.manual_count != 0)
            budget.manual_count--;
    }
    pthread_mutex_unlock(&budget.lock);
    if (size > held)
        return arenap_fail(EINVAL,
                           "cannot unreserve %zu bytes: %zu are reserved",
                           size, held);
    arenap_budget_release(size);
    return 0;
}

int
arena_set_limit(size_t bytes)
{
    if (arenap_thread_self() == NULL)
        return arenap_fail_system(sizeof(struct thread));
    atomic_store(&budget.limit, bytes);
    arenap_credit_drop_all();
    arenap_budget_serve();
    return 0;
}

size_t
arena_limit(void)
{
    arenap_thread_self(); /* reads the environment, the first time */
    return atomic_load(&budget.limit);
}

int
arena_set_explicit_gc(bool enabled)
{
    arenap_thread_self();
    atomic_store(&budget.explicit_gc, enabled);
    return 0;
}
