/*
 * gc_harness.h - building garbage, hiding pointers from the collector, and
 * counting what dies.
 *
 * The collector is conservative: a pointer that an earlier call left in a
 * dead stack slot or a register keeps an arena.  So
 *   - garbage is built in bulk, in a helper thread that has been joined;
 *   - the tests keep pointers hidden, in malloc'd memory, and look behind
 *     them in helper threads only;
 *   - 64 KiB of dead stack are overwritten before each collection;
 *   - the places from which something is meant to be kept are volatile;
 *   - what must die is counted in shares of a herd, what must live is exact.
 */
#ifndef GC_HARNESS_H
#define GC_HARNESS_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define HERD ((size_t)1000) /* the most members of a herd in a table */
#define COLLECTIONS_MOST 10 /* after which nothing more is hoped for */
#define LEFT_MOST ((size_t)2) /* that an old word keeps even then */

/* --- Environment ------------------------------------------------------- */

/* Seconds that a test under load takes: ARENA_TEST_SECONDS, or fallback. */
HARNESS double
test_seconds(double fallback)
{
    const char *text = getenv("ARENA_TEST_SECONDS");
    double seconds = text != NULL ? strtod(text, NULL) : 0;

    return seconds > 0 ? seconds : fallback;
}

/* A number of members, for slow builds scaled by ARENA_TEST_SCALE percent;
 * never below 100, so that one in a hundred still is one. */
HARNESS size_t
test_scaled(size_t count)
{
    const char *text = getenv("ARENA_TEST_SCALE");
    double percent = text != NULL ? strtod(text, NULL) : 0;
    size_t scaled = (size_t)((double)count * percent / 100);

    if (percent <= 0 || scaled > count)
        return count;
    return scaled < 100 ? 100 : scaled;
}

/* Is malloc not libc's own: a sanitizer's, or valgrind's? */
HARNESS bool
malloc_is_replaced(void)
{
    const char *preloaded = getenv("LD_PRELOAD");

    return HARNESS_SANITIZED
           || (preloaded != NULL && strstr(preloaded, "vgpreload") != NULL);
}

/* --- Pointers that the collector does not see -------------------------- */

HARNESS uintptr_t
hide(const volatile void *ptr)
{
    return ~(uintptr_t)ptr;
}

HARNESS void *
reveal(uintptr_t hidden)
{
    return (void *)~hidden;
}

/* --- Collecting -------------------------------------------------------- */

/* Are there collections?  Under the thread sanitizer there are none. */
HARNESS bool
collects(void)
{
    return getenv("GC_DONT_GC") == NULL;
}

HARNESS void
collect_times(size_t times)
{
    for (size_t i = 0; i < times; i++)
        collect_scrubbed();
}

HARNESS void
stir_action(void *arg)
{
    (void)arg;
    scrub();
}

HARNESS void *
stir_main(void *arg)
{
    for (size_t i = 0; i < 20; i++) {
        arena_t *arena = arena_auto();

        (void)arena_on_close(arena, stir_action, NULL);
        arena_keep_alive(arena);
    }
    scrub();
    return arg;
}

/* Move what may still be in the way of the last block.  The dead stack of the
 * library's own thread is overwritten, by close actions.  And after its heap
 * has grown the collector itself keeps the block at a certain place; a
 * reservation that waits in vain moves that place. */
HARNESS void
stir(void)
{
    size_t limit = arena_limit();

    run_in_thread(stir_main, NULL);
    arena_set_limit(usage_now().reserved);
    if (arena_reserve(1) == 0)
        arena_unreserve(1);
    arena_set_limit(limit);
    collect_times(2);
}

/* An earlier snapshot, but for one pool and what it adds to the totals, which
 * are as they are now. */
HARNESS void
usage_forgive(arena_usage_t *before, arena_usage_pool_t *pool,
              const arena_usage_pool_t *pool_now)
{
    before->reserved += pool_now->reserved - pool->reserved;
    before->requested += pool_now->requested - pool->requested;
    before->count += pool_now->count - pool->count;
    *pool = *pool_now;
}

/* As usage_difference; but of what is collected one or two may be left. */
HARNESS const char *
settled_difference(const arena_usage_t *before)
{
    arena_usage_t now = usage_now(), expected = *before;

    if (now.count > before->count + LEFT_MOST)
        return usage_difference(before);
    usage_forgive(&expected, &POOL(expected, ARENA_AUTO),
                  &POOL(now, ARENA_AUTO));
    usage_forgive(&expected, &POOL(expected, ARENA_IMPLICIT),
                  &POOL(now, ARENA_IMPLICIT));
    usage_forgive(&expected, &expected.buffers, &now.buffers);
    return usage_difference(&expected);
}

/* Collect until the counters are as in an earlier snapshot; returns how they
 * differ at last, but for what an old word may keep on any machine. */
HARNESS const char *
settle(const arena_usage_t *before)
{
    for (size_t i = 0;
         i < COLLECTIONS_MOST && usage_difference(before) != NULL; i++) {
        if (i >= 3)
            stir();
        collect_scrubbed();
    }
    return settled_difference(before);
}

/* They are, at the latest after some collections; a test of one object alone
 * says nothing here, since it may be left. */
#define expect_settled(before)                                                \
    do {                                                                      \
        const char *unsettled_ = settle(&(before));                           \
        ck_assert_msg(unsettled_ == NULL, "usage changed: %s", unsettled_);   \
    } while (0)

/* Nothing is charged to the budget that belongs to nobody: what is more than
 * all pools together are caches, and those can be given up. */
#define expect_nothing_astray()                                               \
    do {                                                                      \
        expect_ok(arena_trim());                                              \
        ck_assert_uint_eq(usage_now().cached, 0);                             \
    } while (0)

/* What a conservative collector keeps by chance, by an old word in a register
 * or on a stack, is a number and not a share: of a herd of some dozens up to
 * two may be kept, of others one in a hundred more. */
HARNESS size_t
kept_by_chance(size_t total)
{
    return total < 10 ? 0 : LEFT_MOST + total / 100;
}

/* All, but for what is kept by chance. */
#define expect_nearly_all(part, total)                                        \
    do {                                                                      \
        size_t part_ = (part), total_ = (total);                              \
        ck_assert_msg(part_ + kept_by_chance(total_) >= total_                \
                          && part_ <= total_,                                 \
                      "%s: %zu of %zu", #part, part_, total_);                \
    } while (0)

/* --- Herds of auto arenas ---------------------------------------------- */

/* Which pointer keeps a member. */
enum form {
    FORM_INSIDE,   /* into the middle of a block */
    FORM_START,    /* to a block */
    FORM_PAST_END, /* one past the end of a block */
    FORM_HANDLE,   /* the arena itself */
    FORMS
};

/* What holds it. */
enum grip {
    GRIP_TABLE,  /* a table of pointers, at table */
    GRIP_PIN,    /* arena_pin */
    GRIP_ACQUIRE /* arena_acquire */
};

struct herd_block {
    uintptr_t hidden;
    size_t size;
};

struct member {
    uintptr_t handle; /* hidden */
    uintptr_t kept;   /* hidden: the pointer that keeps it */
    struct herd_block *blocks;
    size_t bytes;        /* arena_bytes, when it was complete */
    atomic_int notified; /* how often its close action ran */
};

struct herd {
    /* The plan. */
    size_t count;  /* members; at most HERD with GRIP_TABLE */
    size_t blocks; /* of each */
    unsigned flags;
    bool action; /* each has a close action that counts */
    enum form form;
    enum grip grip;
    size_t every; /* keep each every-th member; 0: none */
    void *volatile *table;
    /* What came of it. */
    struct member *members;
    size_t refused; /* calls that failed */
    size_t dirty;   /* blocks that were not zero */
    size_t damaged; /* blocks that have changed since */
};

HARNESS bool
herd_keeps(const struct herd *herd, size_t i)
{
    return herd->every != 0 && i % herd->every == 0;
}

/* Sizes are mixed: most are small, a few take several pages. */
HARNESS size_t
herd_block_size(size_t member, size_t block)
{
    uint64_t state = (member * 1000 + block + 1) * 0x9e3779b97f4a7c15u;
    size_t dice = random_below(&state, 100);

    if (dice < 90)
        return 1 + random_below(&state, 512);
    if (dice < 99)
        return 512 + random_below(&state, 4 * KIB);
    return 4 * KIB + random_below(&state, 60 * KIB);
}

HARNESS void
herd_note(void *arg)
{
    struct member *member = arg;

    atomic_fetch_add(&member->notified, 1);
}

/* The pointer that keeps member i. */
HARNESS void *
herd_pointer(const struct herd *herd, size_t i)
{
    const struct member *member = &herd->members[i];
    const struct herd_block *block = &member->blocks[i % herd->blocks];
    char *start = reveal(block->hidden);

    switch (herd->form) {
    case FORM_INSIDE:
        return start + block->size / 2;
    case FORM_PAST_END:
        return start + block->size;
    case FORM_HANDLE:
        return reveal(member->handle);
    default:
        return start;
    }
}

HARNESS void
herd_take(struct herd *herd, size_t i)
{
    struct member *member = &herd->members[i];
    void *pointer = herd_pointer(herd, i);

    member->kept = hide(pointer);
    if (herd->grip == GRIP_TABLE)
        herd->table[i] = pointer;
    else if (herd->grip == GRIP_PIN)
        herd->refused += arena_pin(pointer) != 0;
    else
        herd->refused += arena_acquire(reveal(member->handle)) != 0;
}

HARNESS void
herd_fill_member(struct herd *herd, size_t i, arena_t *arena)
{
    struct member *member = &herd->members[i];

    for (size_t j = 0; j < herd->blocks; j++) {
        size_t size = herd_block_size(i, j);
        void *block = arena_alloc(arena, size);

        member->blocks[j].hidden = hide(block);
        member->blocks[j].size = size;
        if (block == NULL) {
            herd->refused++;
            continue;
        }
        herd->dirty += !block_is_zero(block, size);
        fill_block(block, size, i * 1000 + j);
    }
}

HARNESS void *
herd_build_main(void *arg)
{
    struct herd *herd = arg;
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.flags = herd->flags;
    for (size_t i = 0; i < herd->count && herd->refused == 0; i++) {
        struct member *member = &herd->members[i];
        arena_t *arena = arena_open(ARENA_AUTO, &options);

        if (arena == NULL) {
            herd->refused++;
            return NULL;
        }
        member->handle = hide(arena);
        herd_fill_member(herd, i, arena);
        if (herd->action)
            herd->refused += arena_on_close(arena, herd_note, member) != 0;
        member->bytes = arena_bytes(arena);
        if (herd->refused == 0 && herd_keeps(herd, i))
            herd_take(herd, i);
        arena_keep_alive(arena);
    }
    return NULL;
}

/* Build the members that the plan asks for; no call may fail. */
HARNESS void
herd_build(struct herd *herd)
{
    herd->members = calloc(herd->count, sizeof *herd->members);
    ck_assert_ptr_nonnull(herd->members);
    for (size_t i = 0; i < herd->count; i++) {
        struct member *member = &herd->members[i];

        member->blocks = calloc(herd->blocks, sizeof *member->blocks);
        if (member->blocks == NULL)
            ck_abort_msg("no memory for the books");
    }
    run_in_thread(herd_build_main, herd);
    ck_assert_uint_eq(herd->refused, 0);
    ck_assert_uint_eq(herd->dirty, 0);
}

HARNESS void *
herd_inspect_main(void *arg)
{
    struct herd *herd = arg;

    herd->damaged = 0;
    for (size_t i = 0; i < herd->count; i++) {
        for (size_t j = 0; herd_keeps(herd, i) && j < herd->blocks; j++) {
            const struct herd_block *block = &herd->members[i].blocks[j];

            herd->damaged += !block_holds(reveal(block->hidden), block->size,
                                          i * 1000 + j);
        }
    }
    return NULL;
}

/* How many blocks of the kept members have changed. */
HARNESS size_t
herd_damaged(struct herd *herd)
{
    run_in_thread(herd_inspect_main, herd);
    return herd->damaged;
}

/* How many members are meant to live. */
HARNESS size_t
herd_kept(const struct herd *herd)
{
    size_t kept = 0;

    for (size_t i = 0; i < herd->count; i++)
        kept += herd_keeps(herd, i);
    return kept;
}

/* How many members, of the kept or of the dropped ones, were notified. */
HARNESS size_t
herd_notified(const struct herd *herd, bool kept)
{
    size_t notified = 0;

    for (size_t i = 0; i < herd->count; i++) {
        if (herd_keeps(herd, i) == kept)
            notified += atomic_load(&herd->members[i].notified) > 0;
    }
    return notified;
}

/* How many members were notified more than once. */
HARNESS size_t
herd_notified_again(const struct herd *herd)
{
    size_t again = 0;

    for (size_t i = 0; i < herd->count; i++)
        again += atomic_load(&herd->members[i].notified) > 1;
    return again;
}

/* The bytes of the members that are not yet notified. */
HARNESS size_t
herd_bytes_left(const struct herd *herd)
{
    size_t bytes = 0;

    for (size_t i = 0; i < herd->count; i++) {
        if (atomic_load(&herd->members[i].notified) == 0)
            bytes += herd->members[i].bytes;
    }
    return bytes;
}

/* How many members are gone by the counters, if nothing but the herd was
 * opened since a snapshot.  What was left of an earlier test may go too. */
HARNESS size_t
herd_gone(const struct herd *herd, const arena_usage_t *before)
{
    arena_usage_t now = usage_now();
    size_t gone = POOL(*before, ARENA_AUTO).count + herd->count
                  - POOL(now, ARENA_AUTO).count;

    return gone < herd->count ? gone : herd->count;
}

HARNESS void *
herd_drop_main(void *arg)
{
    struct herd *herd = arg;

    for (size_t i = 0; i < herd->count; i++) {
        struct member *member = &herd->members[i];

        if (!herd_keeps(herd, i))
            continue;
        if (herd->grip == GRIP_TABLE)
            herd->table[i] = NULL;
        else if (herd->grip == GRIP_PIN)
            herd->refused += arena_unpin(reveal(member->kept)) != 0;
        else
            herd->refused += arena_release(reveal(member->handle)) != 0;
    }
    return NULL;
}

/* Let go of the kept members. */
HARNESS void
herd_drop(struct herd *herd)
{
    run_in_thread(herd_drop_main, herd);
    ck_assert_uint_eq(herd->refused, 0);
}

/* Free the books, unless the close actions of living members need them. */
HARNESS void
herd_free(struct herd *herd)
{
    size_t notified = herd_notified(herd, true) + herd_notified(herd, false);

    if (herd->action && notified < herd->count)
        return;
    for (size_t i = 0; i < herd->count; i++)
        free(herd->members[i].blocks);
    free(herd->members);
    herd->members = NULL;
}

/* --- Threads that hold pointers ---------------------------------------- */

/* A thread that does nothing but hold a table of HERD pointers. */
struct keeper {
    bool attach; /* by hand */
    bool detach; /* by hand, after that */
    bool leave;  /* leave the pointers where they are when it ends */
    /* Private. */
    pthread_t thread;
    sem_t ready, done;
    void *volatile *table;
    int error; /* of attach and detach */
};

static __thread void *volatile keeper_tls[HERD] __attribute__((unused));

HARNESS void
semaphore_wait(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue;
}

/* Publish the table and wait until it is no longer needed. */
HARNESS void
keeper_hold(struct keeper *keeper, void *volatile *table)
{
    if (keeper->attach && arena_thread_attach() != 0)
        keeper->error = errno;
    if (keeper->detach && arena_thread_detach() != 0)
        keeper->error = errno;
    keeper->table = table;
    sem_post(&keeper->ready);
    semaphore_wait(&keeper->done);
    for (size_t i = 0; i < HERD && !keeper->leave; i++)
        table[i] = NULL;
}

HARNESS void *
keeper_on_stack(void *arg)
{
    void *volatile table[HERD] = {NULL};

    keeper_hold(arg, table);
    return NULL;
}

HARNESS void *
keeper_in_tls(void *arg)
{
    keeper_hold(arg, keeper_tls);
    return NULL;
}

/* Start it; returns the table. */
HARNESS void *volatile *
keeper_start(struct keeper *keeper, void *(*function)(void *))
{
    keeper->error = 0;
    ck_assert_int_eq(sem_init(&keeper->ready, 0, 0), 0);
    ck_assert_int_eq(sem_init(&keeper->done, 0, 0), 0);
    keeper->thread = start_thread(function, keeper);
    semaphore_wait(&keeper->ready);
    ck_assert_int_eq(keeper->error, 0);
    return keeper->table;
}

HARNESS void
keeper_stop(struct keeper *keeper)
{
    sem_post(&keeper->done);
    join_thread(keeper->thread);
    sem_destroy(&keeper->ready);
    sem_destroy(&keeper->done);
}

#endif
