/* stock.c: see stock.h. */

#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "budget.h"
#include "chunk.h"
#include "internal.h"
#include "os.h"
#include "stock.h"

/* By pages: one bin for each number up to 15, then eight for each doubling. */
#define BINS_EXACT 16u
#define BINS_STEPS 8u
#define BINS (BINS_EXACT + 5 * BINS_STEPS)

#define SOURCES 2u

_Static_assert((STOCK_LARGEST / ARENA_PAGE) >> 9 == 0,
               "bins end at 512 pages");
_Static_assert(CHUNK_ALIGNED < SOURCES && CHUNK_MALLOC < SOURCES,
               "sources are indices");

/* Below this it is not worth while to keep a part of what is old. */
#define OLD_LEAST ((size_t)256 << 10)

static struct {
    pthread_mutex_t lock;
    struct chunk *bin[SOURCES][BINS];
    _Atomic size_t bytes; /* changes under the lock */
    size_t idle;          /* the least that was there since it aged */
    uint64_t aged;
} stock = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The bin of chunks of so many pages; and the first one in which all have as
 * many. */
static unsigned
bin_of(size_t pages)
{
    unsigned log;

    if (pages < BINS_EXACT)
        return (unsigned)pages;
    log = 63u - (unsigned)__builtin_clzl(pages);
    return BINS_EXACT + (log - 4) * BINS_STEPS
           + (unsigned)(pages >> (log - 3)) % BINS_STEPS;
}

static unsigned
bin_above(size_t pages)
{
    return bin_of(pages - 1) + 1;
}

static struct chunk *
bin_pop(struct chunk **bin)
{
    struct chunk *chunk = *bin;

    *bin = chunk->next;
    atomic_fetch_sub_explicit(&stock.bytes, chunk->charge,
                              memory_order_relaxed);
    return chunk;
}

static size_t
most(void)
{
    size_t share = arenap_budget_limit() / 16;

    return share < STOCK_BYTES ? share : STOCK_BYTES;
}

bool
arenap_stock_give(struct chunk *chunk)
{
    size_t charge = chunk->charge;
    struct chunk **bin;
    bool fits;

    if (chunk->source >= SOURCES || charge < STOCK_LEAST
        || charge > STOCK_LARGEST)
        return false;
    bin = &stock.bin[chunk->source][bin_of(charge / ARENA_PAGE)];
    pthread_mutex_lock(&stock.lock);
    fits = !arenap_budget_is_short()
           && arenap_stock_bytes() + charge <= most();
    if (fits) {
        chunk->next = *bin;
        *bin = chunk;
        atomic_fetch_add_explicit(&stock.bytes, charge, memory_order_relaxed);
    }
    pthread_mutex_unlock(&stock.lock);
    return fits;
}

struct chunk *
arenap_stock_take(unsigned source, size_t charge)
{
    size_t pages = charge / ARENA_PAGE;
    struct chunk *chunk = NULL, **bin;

    if (source >= SOURCES || charge < STOCK_LEAST || charge > STOCK_LARGEST
        || arenap_stock_bytes() == 0)
        return NULL;
    pthread_mutex_lock(&stock.lock);
    bin = &stock.bin[source][bin_of(pages)];
    if (*bin == NULL || (*bin)->charge < charge)
        bin = &stock.bin[source][bin_above(pages)];
    if (*bin != NULL) {
        chunk = bin_pop(bin);
        if (arenap_stock_bytes() < stock.idle)
            stock.idle = arenap_stock_bytes();
    }
    pthread_mutex_unlock(&stock.lock);
    return chunk;
}

/* So many bytes, the largest chunks first, as a list.  Under the lock. */
static struct chunk *
take_out(size_t bytes)
{
    size_t left = arenap_stock_bytes();
    struct chunk *all = NULL;

    left = left > bytes ? left - bytes : 0;
    for (unsigned i = BINS * SOURCES; i-- > 0;) {
        struct chunk **bin = &stock.bin[i % SOURCES][i / SOURCES];

        while (*bin != NULL && arenap_stock_bytes() > left) {
            struct chunk *chunk = bin_pop(bin);

            chunk->next = all;
            all = chunk;
        }
    }
    return all;
}

struct chunk *
arenap_stock_old(void)
{
    uint64_t now;
    struct chunk *old = NULL;

    if (arenap_stock_bytes() == 0)
        return NULL;
    now = arenap_os_coarse();
    pthread_mutex_lock(&stock.lock);
    if (now - stock.aged >= STOCK_AGE) {
        size_t idle = stock.idle;

        old = take_out(idle > OLD_LEAST ? idle / 4 : idle);
        stock.idle = arenap_stock_bytes();
        stock.aged = now;
    }
    pthread_mutex_unlock(&stock.lock);
    return old;
}

struct chunk *
arenap_stock_empty(void)
{
    struct chunk *all;

    if (arenap_stock_bytes() == 0)
        return NULL;
    pthread_mutex_lock(&stock.lock);
    all = take_out(SIZE_MAX);
    stock.idle = 0;
    pthread_mutex_unlock(&stock.lock);
    return all;
}

size_t
arenap_stock_bytes(void)
{
    return atomic_load_explicit(&stock.bytes, memory_order_relaxed);
}

void
arenap_stock_fork_prepare(void)
{
    pthread_mutex_lock(&stock.lock);
}

void
arenap_stock_fork_done(void)
{
    pthread_mutex_unlock(&stock.lock);
}
