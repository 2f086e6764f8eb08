/* record.c: see record.h and phantom.h. */

#include "config.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "collected.h"
#include "collector.h"
#include "error.h"
#include "os.h"
#include "pagemap.h"
#include "phantom.h"
#include "queue.h"
#include "record.h"
#include "thread.h"

/* Records of a slab: what is held fills two pages of the collector's, less
 * the byte that it adds. */
#define SLAB_RECORDS 1023
#define DIRECTORY_FIRST 64
#define TABLE_FIRST 1024

/* Of a slot without a referent.  Hidden addresses end in four ones. */
#define SLOT_EMPTY ((uintptr_t)1)

/* As many as a cleanable can name. */
#define RECORDS_MOST ((uint32_t)1 << 28)

struct slab {
    _Atomic(struct slab *) next;
    void **held; /* scanned */
    /* Hidden addresses of referents; the collector writes 0. */
    _Atomic uintptr_t slot[SLAB_RECORDS];
    record_t record[SLAB_RECORDS];
};

enum witness { WITNESS_NONE, WITNESS_WANTED, WITNESS_ALIVE };

static struct {
    record_t *unused; /* linked by next */
    _Atomic(struct slab *) first;
    struct slab *last;
    struct slab **directory; /* by index */
    uint32_t slabs, room;
    record_t **table; /* by referent; chained, a power of two */
    _Atomic size_t size;
    size_t unlinking; /* records that are */
    _Atomic uint64_t scanned;  /* the last collection that was looked at */
    _Atomic bool collecting;   /* one has begun since */
    _Atomic uint8_t witness;   /* enum witness */
    _Atomic uintptr_t batch;   /* of witnesses, the last; their first word */
} records;

_Atomic size_t arenap_phantom_watched;

struct stripe arenap_record_stripe;

/* --- Slabs --- */

static size_t
record_position(const record_t *record)
{
    return (size_t)(record - record->slab->record);
}

static _Atomic uintptr_t *
record_slot(const record_t *record)
{
    return &record->slab->slot[record_position(record)];
}

void *
arenap_record_held(const record_t *record)
{
    return record->slab->held[record_position(record)];
}

record_t *
arenap_record_at(uint32_t index)
{
    uint32_t slab = index / SLAB_RECORDS;

    return slab < records.slabs
               ? &records.directory[slab]->record[index % SLAB_RECORDS]
               : NULL;
}

/* Room in the directory for one more; under the lock. */
static bool
directory_grow(void)
{
    uint32_t room = records.room == 0 ? DIRECTORY_FIRST : 2 * records.room;
    struct slab **wider;

    if (records.slabs < records.room)
        return true;
    if (records.slabs >= RECORDS_MOST / SLAB_RECORDS)
        return false;
    wider = arenap_os_meta(room * sizeof(struct slab *));
    if (wider == NULL)
        return false;
    if (records.slabs != 0)
        memcpy(wider, records.directory,
               records.slabs * sizeof(struct slab *));
    records.directory = wider;
    records.room = room;
    return true;
}

static void
slab_fill(struct slab *slab, void **held)
{
    slab->held = held;
    for (uint32_t i = SLAB_RECORDS; i-- > 0;) {
        record_t *record = &slab->record[i];

        atomic_store_explicit(&slab->slot[i], SLOT_EMPTY,
                              memory_order_relaxed);
        record->slab = slab;
        record->index = records.slabs * SLAB_RECORDS + i;
        record->next = records.unused;
        records.unused = record;
    }
    records.directory[records.slabs++] = slab;
    if (records.last == NULL)
        atomic_store(&records.first, slab);
    else
        atomic_store(&records.last->next, slab);
    records.last = slab;
}

/* One more slab, unless another thread was faster.  Without the lock. */
static bool
slab_add(void)
{
    void **held =
        arenap_collector_alloc_traced(SLAB_RECORDS * sizeof(void *));
    struct slab *slab = NULL;
    bool done;

    if (held == NULL)
        return false;
    arenap_record_lock();
    done = records.unused != NULL;
    if (!done && directory_grow())
        slab = arenap_os_meta(sizeof *slab);
    if (slab != NULL)
        slab_fill(slab, held);
    arenap_record_unlock();
    if (slab == NULL)
        arenap_collector_free_traced(held);
    return done || slab != NULL;
}

/* --- The table of referents --- */

/* Pages are scattered.  Blocks of one page have places side by side: who makes
 * many of them finds the next place in its cache. */
static record_t **
table_place(record_t **table, size_t size, uintptr_t hidden)
{
    size_t page = (hidden / ARENA_PAGE) * 0x9E3779B97F4A7C15u >> 20;
    size_t granule = hidden % ARENA_PAGE / ARENA_GRANULE;

    return &table[(page + granule) & (size - 1)];
}

static void
table_link(record_t **place, record_t *record)
{
    record->place = place;
    record->same = *place;
    if (*place != NULL)
        (*place)->place = &record->same;
    *place = record;
}

/* Under the lock, as all that changes it. */
static void
watched_add(size_t n)
{
    atomic_store_explicit(
        &arenap_phantom_watched,
        atomic_load_explicit(&arenap_phantom_watched, memory_order_relaxed)
            + n,
        memory_order_release);
}

static void
table_add(record_t *record, uintptr_t hidden)
{
    record->referent = hidden;
    table_link(table_place(records.table, records.size, hidden), record);
    watched_add(1);
}

static void
table_remove(record_t *record)
{
    if (record->referent == 0)
        return;
    *record->place = record->same;
    if (record->same != NULL)
        record->same->place = record->place;
    record->referent = 0;
    watched_add((size_t)0 - 1);
}

/* The oldest of a place comes last, as before. */
static void
table_move(record_t **wider, size_t size)
{
    for (size_t i = 0; i < records.size; i++) {
        record_t *oldest = NULL, *next;

        for (record_t *r = records.table[i]; r != NULL; r = next) {
            next = r->same;
            r->same = oldest;
            oldest = r;
        }
        for (; oldest != NULL; oldest = next) {
            next = oldest->same;
            table_link(table_place(wider, size, oldest->referent), oldest);
        }
    }
}

/* Room for one more; without the lock. */
static bool
table_grow(void)
{
    size_t size, old_size = atomic_load(&records.size);
    record_t **wider, **unused;

    if (atomic_load(&arenap_phantom_watched) < old_size)
        return true;
    size = old_size == 0 ? TABLE_FIRST : 2 * old_size;
    wider = calloc(size, sizeof(record_t *));
    if (wider == NULL)
        return old_size != 0; /* it becomes slower, no more */
    arenap_record_lock();
    unused = wider; /* another thread was faster */
    if (records.size == old_size) {
        unused = records.table;
        table_move(wider, size);
        records.table = wider;
        records.size = size;
    }
    arenap_record_unlock();
    free(unused);
    return true;
}

/* --- Taking and giving back --- */

static record_t *
record_take(enum record_kind kind)
{
    record_t *record;

    do {
        arenap_record_lock();
        record = records.unused;
        if (record != NULL) {
            records.unused = record->next;
            record->kind = (uint8_t)kind;
            record->state = RECORD_NEW;
            record->holds = 1;
        }
        arenap_record_unlock();
    } while (record == NULL && slab_add());
    return record;
}

void
arenap_record_release(record_t *record)
{
    ARENA_ASSERT(record->holds != 0);
    if (--record->holds != 0)
        return;
    ARENA_ASSERT(!record->linked && record->referent == 0);
    record->slab->held[record_position(record)] = NULL;
    atomic_store_explicit(record_slot(record), SLOT_EMPTY,
                          memory_order_relaxed);
    record->kind = RECORD_UNUSED;
    /* One whose generations are used up is not used again: a cleanable is
     * never taken for another one. */
    if (++record->generation == UINT32_MAX)
        return;
    record->next = records.unused;
    records.unused = record;
}

static void
record_discard(record_t *record)
{
    arenap_record_lock();
    arenap_record_release(record);
    arenap_record_unlock();
}

void *
arenap_record_base(const void *ptr)
{
    void *base = NULL;
    size_t size;
    enum block kind;

    /* Chunks of explicit arenas that are traced do not die. */
    if (ptr == NULL || arenap_pagemap_get(ptr) != NULL)
        return NULL;
    kind = arenap_collector_find(ptr, &base, &size);
    switch (kind) {
    case BLOCK_CONTROL:
    case BLOCK_CHUNK:
    case BLOCK_CHUNK_TRACED:
        return arenap_collected_arena(kind, base);
    case BLOCK_IMPLICIT:
        return arenap_collected_arena(kind, base) != NULL ? base : NULL;
    case BLOCK_WITNESS:
        return NULL;
    default:
        return base;
    }
}

static bool
record_link(struct thread *self, record_t *record, void *base)
{
    _Atomic uintptr_t *slot = record_slot(record);

    atomic_store(slot, ~(uintptr_t)base);
    return arenap_collector_link(self, slot, base)
           || (arenap_cleaner_reclaim()
               && arenap_collector_link(self, slot, base));
}

record_t *
arenap_record_make(struct thread *self, enum record_kind kind, void *base,
                   void *held)
{
    record_t *record = NULL;
    int saved = errno;

    if (table_grow())
        record = record_take(kind);
    if (record == NULL && arenap_cleaner_reclaim() && table_grow())
        record = record_take(kind);
    if (record == NULL) {
        arenap_fail_system(sizeof *record);
        return NULL;
    }
    record->slab->held[record_position(record)] = held;
    if (base != NULL && !record_link(self, record, base)) {
        record_discard(record);
        arenap_fail_system(sizeof *record);
        return NULL;
    }
    errno = saved;
    return record;
}

void
arenap_record_activate(record_t *record, void *base)
{
    record->state = base != NULL ? RECORD_ACTIVE : RECORD_CLEARED;
    record->linked = base != NULL;
    if (base != NULL)
        table_add(record, ~(uintptr_t)base);
}

/* --- Letting go --- */

bool
arenap_record_take_link(record_t *record)
{
    if (!record->linked)
        return false;
    record->linked = false;
    record->unlinking = true;
    record->holds++;
    records.unlinking++;
    return true;
}

static void
unlink_finish(record_t *record)
{
    table_remove(record);
    records.unlinking -= record->unlinking;
    record->unlinking = false;
    atomic_store_explicit(record_slot(record), SLOT_EMPTY,
                          memory_order_relaxed);
}

void
arenap_record_unlink(record_t *record)
{
    arenap_collector_unlink(record_slot(record));
    arenap_record_lock();
    unlink_finish(record);
    arenap_record_release(record);
    arenap_record_unlock();
}

bool
arenap_record_is_clear(const record_t *record)
{
    return record->state != RECORD_ACTIVE
           || atomic_load(record_slot(record)) == 0;
}

bool
arenap_record_refers_to(const record_t *record, uintptr_t hidden)
{
    return record->state == RECORD_ACTIVE
           && atomic_load(record_slot(record)) == hidden;
}

/* --- Telling: once, under the lock --- */

/* Actions that are due, in a list for the cleaner. */
struct due {
    struct pending *newest, *oldest;
    uint32_t count;
};

static void
due_push(const struct due *due)
{
    if (due->count != 0)
        arenap_cleaner_push_all(due->newest, due->oldest, due->count);
}

static void
record_tell(record_t *record, struct due *due)
{
    if (record->state != RECORD_ACTIVE)
        return; /* the program was faster */
    if (record->kind == RECORD_CLEANER) {
        record->state = RECORD_PENDING;
        record->holds++;
        record->node.run = arenap_record_run;
        record->node.next = due->newest;
        due->newest = &record->node;
        if (due->count++ == 0)
            due->oldest = &record->node;
    } else if (arenap_queue_is_open(record->queue)) {
        record->state = RECORD_QUEUED;
        arenap_queue_append(record);
    } else {
        record->state = RECORD_DONE;
    }
}

/* --- Deaths that the collector found --- */

static void
slab_scan(struct slab *slab)
{
    struct due due = {NULL, NULL, 0};

    for (size_t i = 0; i < SLAB_RECORDS; i++) {
        record_t *record = &slab->record[i];

        /* A link that the collector cleared is gone. */
        if (atomic_load_explicit(&slab->slot[i], memory_order_relaxed) != 0
            || !record->linked)
            continue;
        record->linked = false;
        unlink_finish(record);
        record_tell(record, &due);
    }
    due_push(&due);
}

static bool
slab_has_deaths(struct slab *slab)
{
    for (size_t i = 0; i < SLAB_RECORDS; i++)
        if (atomic_load_explicit(&slab->slot[i], memory_order_relaxed) == 0)
            return true;
    return false;
}

/* The collector counts a collection before it clears links, and holds its
 * lock for both: so the count that says how far this scan sees is taken under
 * that lock. */
void
arenap_phantom_scan(void)
{
    uint64_t number;

    if (atomic_load(&arenap_phantom_watched) == 0
        || (!atomic_load(&records.collecting)
            && arenap_collector_count() == atomic_load(&records.scanned)))
        return;
    atomic_store(&records.collecting, false);
    number = arenap_collector_count_done();
    for (struct slab *slab = atomic_load(&records.first); slab != NULL;
         slab = atomic_load(&slab->next)) {
        if (!slab_has_deaths(slab))
            continue;
        arenap_record_lock();
        slab_scan(slab);
        arenap_record_unlock();
    }
    /* What another thread claimed before us it has told when we have had the
     * lock. */
    arenap_record_lock();
    if (atomic_load(&records.scanned) < number)
        atomic_store(&records.scanned, number);
    arenap_record_unlock();
}

/* --- Learning of collections that the program runs by itself ---
 *
 * The collector's start callback tells of them.  But the program may have put
 * another in its place: then blocks tell that nothing points to, and that die
 * in the next one.  They alone would not do, since a stale word somewhere may
 * keep one: of several the last one made is the likeliest. */

#define WITNESS_BYTES ((size_t)2049) /* large: swept at once */
#define WITNESSES 4

void
arenap_phantom_collecting(void)
{
    if (atomic_load(&arenap_phantom_watched) == 0)
        return;
    atomic_store(&records.collecting, true);
    arenap_cleaner_kick();
}

int
arenap_phantom_witness_dead(void *block)
{
    _Atomic uintptr_t *armed = block;
    uint8_t alive = WITNESS_ALIVE;

    if (atomic_exchange(armed, 0) == atomic_load(&records.batch)
        && atomic_compare_exchange_strong(&records.witness, &alive,
                                          WITNESS_NONE)) {
        atomic_store(&records.collecting, true);
        arenap_cleaner_kick();
    }
    return 0;
}

static ARENA_NOINLINE bool
witness_make(struct thread *self, uintptr_t batch)
{
    _Atomic uintptr_t *armed =
        arenap_collector_alloc(self, BLOCK_WITNESS, WITNESS_BYTES);

    if (armed == NULL)
        return false;
    atomic_store(armed, batch);
    return true;
}

/* Those that die before all are made tell nothing. */
static void
witnesses_make(struct thread *self)
{
    uintptr_t batch = atomic_load(&records.batch) + 1;
    uint64_t count;
    int made = 0;

    for (int i = 0; i < WITNESSES; i++)
        made += witness_make(self, batch);
    count = arenap_collector_count();
    atomic_store(&records.batch, batch);
    atomic_store(&records.witness,
                 made != 0 && arenap_collector_count() == count
                     ? WITNESS_ALIVE
                     : WITNESS_NONE);
    arenap_phantom_scan();
}

void
arenap_phantom_expect(void)
{
    uint8_t none = WITNESS_NONE;

    if (atomic_load(&records.witness) == WITNESS_NONE
        && atomic_compare_exchange_strong(&records.witness, &none,
                                          WITNESS_WANTED))
        arenap_cleaner_kick();
}

void
arenap_phantom_watch(void)
{
    struct thread *self = arenap_tls.record;

    arenap_phantom_scan();
    if (atomic_load(&records.witness) == WITNESS_ALIVE)
        return;
    if (self != NULL && atomic_load(&self->attached) != ATTACHED_NOT
        && atomic_load(&arenap_phantom_watched) != 0)
        witnesses_make(self);
    else
        atomic_store(&records.witness, WITNESS_NONE);
}

/* --- Deaths by hand --- */

/* Take the links of a referent's records, into a list of their nodes, oldest
 * first.  False: another thread is about to undo one. */
static bool
freed_take(uintptr_t hidden, struct pending **taken)
{
    record_t **place = table_place(records.table, records.size, hidden);

    for (record_t *r = *place; r != NULL; r = r->same)
        if (r->referent == hidden && r->unlinking)
            return false;
    for (record_t *r = *place; r != NULL; r = r->same)
        if (r->referent == hidden && arenap_record_take_link(r)) {
            r->node.next = *taken;
            *taken = &r->node;
        }
    return true;
}

/* The block may be used again as soon as this returns: no link is left. */
ARENA_COLD void
arenap_phantom_freed_slow(void *base)
{
    uintptr_t hidden = ~(uintptr_t)base;
    struct due due = {NULL, NULL, 0};
    struct pending *taken = NULL, *next;

    arenap_record_lock();
    while (records.size != 0 && !freed_take(hidden, &taken)) {
        arenap_record_unlock();
        sched_yield();
        arenap_record_lock();
    }
    arenap_record_unlock();
    if (taken == NULL)
        return;
    for (struct pending *node = taken; node != NULL; node = node->next)
        arenap_collector_unlink(record_slot((record_t *)node));
    arenap_record_lock();
    for (; taken != NULL; taken = next) {
        record_t *record = (record_t *)taken;

        next = taken->next;
        unlink_finish(record);
        record_tell(record, &due);
        arenap_record_release(record);
    }
    due_push(&due);
    arenap_record_unlock();
    arenap_cleaner_revive();
}

/* --- Fork --- */

void
arenap_phantom_fork_prepare(void)
{
    arenap_record_lock();
}

void
arenap_phantom_fork_done(void)
{
    arenap_record_unlock();
}

/* Links that a thread was about to undo are undone by who comes next.  What
 * threads held that are not in the child stays: a record or two. */
void
arenap_phantom_fork_child(void)
{
    arenap_stripe_fork_child(&arenap_record_stripe);
    for (uint32_t i = 0; i < records.slabs && records.unlinking != 0; i++)
        for (uint32_t j = 0; j < SLAB_RECORDS; j++) {
            record_t *record = &records.directory[i]->record[j];

            if (!record->unlinking)
                continue;
            record->linked = true;
            record->unlinking = false;
            records.unlinking--;
        }
}
