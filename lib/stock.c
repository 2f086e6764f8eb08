/* stock.c: see stock.h. */

#include "config.h"

#include <pthread.h>
#include <stdatomic.h>

#include "ager.h"
#include "budget.h"
#include "chunk.h"
#include "os.h"
#include "stock.h"

#define SOURCES 2u

_Static_assert((STOCK_LARGEST / ARENA_PAGE) >> 9 == 0,
               "bins end at 512 pages");
_Static_assert(CHUNK_ALIGNED < SOURCES && CHUNK_MALLOC < SOURCES,
               "sources are indices");

/* Chunks that are put in or taken out under the lock at a time. */
#define LOT 64

static struct {
    pthread_mutex_t lock;
    struct chunk *bin[SOURCES][STOCK_BINS];
    _Atomic size_t bytes; /* changes under the lock */
    /* Of this age: when it began, the least and the most that was there. */
    uint64_t began;
    size_t least, most;
    bool large;        /* the age before had more than STOCK_IDLE */
    size_t old;        /* what nobody needed in the age before */
    _Atomic uint64_t stepped; /* when some of that was last taken out */
} stock = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- Bins: under the lock --- */

/* The first bin in which all have as much. */
static unsigned
bin_above(size_t charge)
{
    return arenap_stock_bin(charge - ARENA_PAGE) + 1;
}

static void
bin_push(struct chunk *chunk)
{
    struct chunk **bin = &stock.bin[chunk->source][chunk->bin];

    chunk->next = *bin;
    *bin = chunk;
    atomic_store_explicit(&stock.bytes, arenap_stock_bytes() + chunk->charge,
                          memory_order_relaxed);
    if (arenap_stock_bytes() > stock.most)
        stock.most = arenap_stock_bytes();
}

static struct chunk *
bin_pop(struct chunk **bin)
{
    struct chunk *chunk = *bin;

    *bin = chunk->next;
    chunk->next = NULL;
    atomic_store_explicit(&stock.bytes, arenap_stock_bytes() - chunk->charge,
                          memory_order_relaxed);
    if (arenap_stock_bytes() < stock.least)
        stock.least = arenap_stock_bytes();
    return chunk;
}

/* --- Giving and taking --- */

/* Keep a lot of the list; what does not fit goes to another one.  Returns the
 * rest. */
static struct chunk *
give_lot(struct chunk *list, size_t room, struct chunk **excess)
{
    pthread_mutex_lock(&stock.lock);
    for (unsigned i = 0; i < LOT && list != NULL; i++) {
        struct chunk *chunk = list;

        list = chunk->next;
        if (chunk->source < SOURCES && chunk->bin != 0
            && !arenap_budget_is_short()
            && arenap_stock_bytes() + chunk->charge <= room) {
            bin_push(chunk);
        } else {
            chunk->next = *excess;
            *excess = chunk;
        }
    }
    pthread_mutex_unlock(&stock.lock);
    return list;
}

static struct chunk *
give_all(struct chunk *list, size_t room)
{
    struct chunk *excess = NULL;

    while (list != NULL)
        list = give_lot(list, room, &excess);
    return excess;
}

struct chunk *
arenap_stock_give(struct chunk *list)
{
    size_t share = arenap_budget_limit() / 8;

    if (share <= STOCK_IDLE || arenap_ager_is_running())
        return give_all(list, share);
    list = give_all(list, STOCK_IDLE);
    if (list != NULL && arenap_stock_bytes() > STOCK_IDLE - STOCK_LARGEST
        && arenap_ager_start())
        list = give_all(list, share);
    return list;
}

/* Those at the top of a bin that have as much, as a list. */
static struct chunk *
take_lot(struct chunk **bin, size_t charge, size_t more)
{
    struct chunk *first = bin_pop(bin), **end = &first->next;

    for (unsigned i = 0; i < LOT && *bin != NULL && (*bin)->charge >= charge
                         && (*bin)->charge <= more;
         i++) {
        more -= (*bin)->charge;
        *end = bin_pop(bin);
        end = &(*end)->next;
    }
    return first;
}

struct chunk *
arenap_stock_take(unsigned source, size_t charge, size_t more)
{
    struct chunk *list = NULL, **bin;

    if (source >= SOURCES || !arenap_stock_fits(charge)
        || arenap_stock_bytes() == 0)
        return NULL;
    pthread_mutex_lock(&stock.lock);
    bin = &stock.bin[source][arenap_stock_bin(charge)];
    if (*bin == NULL || (*bin)->charge < charge)
        bin = &stock.bin[source][bin_above(charge)];
    if (*bin != NULL)
        list = take_lot(bin, charge, more);
    pthread_mutex_unlock(&stock.lock);
    return list;
}

/* --- Giving back to the system --- */

/* So many bytes, the largest chunks first, as a list.  Under the lock. */
static struct chunk *
take_out(size_t bytes)
{
    size_t left = arenap_stock_bytes();
    struct chunk *all = NULL;

    left = left > bytes ? left - bytes : 0;
    for (unsigned i = STOCK_BINS * SOURCES; i-- > 0;) {
        struct chunk **bin = &stock.bin[i % SOURCES][i / SOURCES];

        while (*bin != NULL && arenap_stock_bytes() > left) {
            struct chunk *chunk = bin_pop(bin);

            chunk->next = all;
            all = chunk;
        }
    }
    return all;
}

/* Another age begins.  Under the lock. */
static void
age_begin(uint64_t now)
{
    stock.old = stock.least;
    stock.large = stock.most > STOCK_IDLE;
    stock.least = stock.most = arenap_stock_bytes();
    stock.began = now;
}

/* Take out a part of what is old.  Under the lock. */
static struct chunk *
old_part(size_t part)
{
    size_t before = arenap_stock_bytes();
    struct chunk *list;

    if (stock.old > stock.least)
        stock.old = stock.least;
    list = take_out(part < stock.old ? part : stock.old);
    part = before - arenap_stock_bytes();
    stock.old -= part < stock.old ? part : stock.old;
    return list;
}

struct chunk *
arenap_stock_old(size_t part)
{
    struct chunk *list;
    uint64_t now;

    if (arenap_stock_bytes() == 0)
        return NULL;
    now = arenap_os_coarse();
    if (now - atomic_load_explicit(&stock.stepped, memory_order_relaxed)
        < STOCK_STEP_AGE)
        return NULL;
    pthread_mutex_lock(&stock.lock);
    atomic_store_explicit(&stock.stepped, now, memory_order_relaxed);
    if (now - stock.began >= STOCK_AGE)
        age_begin(now);
    list = old_part(part);
    pthread_mutex_unlock(&stock.lock);
    return list;
}

struct chunk *
arenap_stock_remove(size_t bytes)
{
    struct chunk *list;

    if (arenap_stock_bytes() == 0)
        return NULL;
    pthread_mutex_lock(&stock.lock);
    list = take_out(bytes);
    pthread_mutex_unlock(&stock.lock);
    return list;
}

/* --- Figures --- */

size_t
arenap_stock_bytes(void)
{
    return atomic_load_explicit(&stock.bytes, memory_order_relaxed);
}

bool
arenap_stock_is_large(void)
{
    bool large;

    pthread_mutex_lock(&stock.lock);
    large = stock.large || stock.most > STOCK_IDLE;
    pthread_mutex_unlock(&stock.lock);
    return large;
}

/* --- Fork --- */

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
