/* check_auto.c: auto arenas, what keeps them, and what happens when nothing
 * does. */

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <arena/segment.h>

#include "gc_harness.h"

static arena_usage_t base;

static void
setup(void)
{
    expect_ok(arena_thread_attach());
    collect_times(3);
    base = usage_now();
}

/* Its number in the system, which is the process's for the main thread. */
static pid_t
this_thread(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* --- Open --- */

static arena_t *
open_auto(void)
{
    arena_t *arena = arena_auto();

    ck_assert_msg(arena != NULL, "%s", arena_error());
    return arena;
}

START_TEST(test_open_gives_accessible_auto_arena)
{
    arena_t *arena = open_auto();

    ck_assert_int_eq(arena_kind(arena), ARENA_AUTO);
    ck_assert(arena_is_alive(arena));
    ck_assert(arena_is_accessible(arena));
    ck_assert_str_eq(arena_name(arena), "");
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_open_success_leaves_errno)
{
    static struct member member;
    arena_t *first, *second;
    char *block;

    expect_ok(first = arena_auto());
    expect_ok(second = arena_open(ARENA_AUTO, NULL));
    expect_ok(block = arena_alloc(first, 100));
    expect_ok(block = arena_alloc(second, 100 * KIB));
    expect_ok(arena_on_close(first, herd_note, &member));
    ck_assert_ptr_ne(first, second);
    arena_keep_alive(first);
    arena_keep_alive(block);
}
END_TEST

START_TEST(test_open_and_alloc_are_counted)
{
    arena_t *arena = open_auto();
    arena_usage_t opened = usage_now();
    char *block = arena_alloc(arena, 10000);
    arena_usage_t now = usage_now();

    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(POOL(opened, ARENA_AUTO).count,
                      POOL(base, ARENA_AUTO).count + 1);
    ck_assert_uint_eq(POOL(now, ARENA_AUTO).count,
                      POOL(opened, ARENA_AUTO).count);
    ck_assert_uint_eq(POOL(now, ARENA_AUTO).requested,
                      POOL(opened, ARENA_AUTO).requested + 10000);
    ck_assert_uint_eq(POOL(now, ARENA_AUTO).reserved,
                      POOL(base, ARENA_AUTO).reserved + arena_bytes(arena));
    ck_assert_uint_ge(arena_bytes(arena), 10000);
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_open_name_is_copied)
{
    char name[] = "pixels";
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena;

    options.name = name;
    arena = arena_open(ARENA_AUTO, &options);
    ck_assert_ptr_nonnull(arena);
    memset(name, 'x', sizeof name - 1);
    collect_scrubbed();
    ck_assert_str_eq(arena_name(arena), "pixels");
    arena_keep_alive(arena);
}
END_TEST

/* --- Close: not offered --- */

START_TEST(test_close_fails_enotsup_and_arena_stays_usable)
{
    arena_t *arena = open_auto();
    char *block = arena_memdup(arena, "intact", 7);
    arena_mark_t mark;

    expect_fail(arena_close(arena), ENOTSUP, "");
    expect_fail(arena_close_wait(arena, 0), ENOTSUP, "");
    expect_fail(arena_close_wait(arena, -1), ENOTSUP, "");
    expect_fail(arena_reset(arena), ENOTSUP, "");
    expect_fail(arena_mark(arena, &mark), ENOTSUP, "");
    expect_fail(arena_adopt(arena), ENOTSUP, "");
    ck_assert(arena_is_alive(arena));
    ck_assert_ptr_nonnull(arena_alloc(arena, 10));
    ck_assert_str_eq(block, "intact");
}
END_TEST

/* --- Alloc --- */

static const size_t block_sizes[] = {
    1,        2,        15,       16,       17,           100,     1000,
    2047,     2048,     4095,     4096,     4097,         65535,   65536,
    65537,    MIB - 1,  MIB,      MIB + 1,  5 * MIB + 13, 33 * MIB};

START_TEST(test_alloc_any_size_is_zero_aligned_and_writable)
{
    size_t size = block_sizes[_i];
    arena_t *arena = open_auto();

    for (size_t i = 0; i < 3; i++) {
        char *block = arena_alloc(arena, size);

        ck_assert_ptr_nonnull(block);
        ck_assert(is_aligned(block, _Alignof(max_align_t)));
        ck_assert(block_is_zero(block, size));
        fill_block(block, size, i);
        ck_assert(block_holds(block, size, i));
        ck_assert_ptr_eq(arena_of(block), arena);
        ck_assert_ptr_eq(arena_of(block + size / 2), arena);
        ck_assert_ptr_eq(arena_of(block + size - 1), arena);
    }
}
END_TEST

START_TEST(test_alloc_aligned_any_power_of_two_is_aligned)
{
    size_t align = (size_t)1 << _i;
    arena_t *arena = open_auto();

    for (size_t size = 0; size < 10000; size = 3 * size + 1) {
        char *block = arena_alloc_aligned(arena, size, align);

        ck_assert_ptr_nonnull(block);
        ck_assert(is_aligned(block, align));
        ck_assert(block_is_zero(block, size));
        memset(block, 0xff, size);
    }
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_alloc_bad_alignment_fails_einval)
{
    static const size_t aligns[] = {0, 3, 6, 24, 4097, SIZE_MAX};
    arena_t *arena = open_auto();
    arena_usage_t before = usage_now();

    for (size_t i = 0; i < LENGTH(aligns); i++)
        expect_fail(arena_alloc_aligned(arena, 8, aligns[i]), EINVAL, "");
    expect_usage(before);
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_alloc_over_ptrdiff_max_fails_enomem_at_once)
{
    arena_t *arena = open_auto();
    arena_usage_t before = usage_now();
    size_t huge = opaque_size((size_t)PTRDIFF_MAX + 1);
    uint64_t start = clock_ns();

    expect_fail(arena_alloc(arena, huge), ENOMEM, "");
    expect_fail(arena_alloc(arena, opaque_size(SIZE_MAX)), ENOMEM, "");
    expect_fail(arena_alloc_uninit(arena, huge), ENOMEM, "");
    expect_fail(arena_alloc_array(arena, huge, 2), ENOMEM, "");
    expect_fail(arena_alloc_aligned(arena, opaque_size(PTRDIFF_MAX), 4096),
                ENOMEM, "");
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 250 * MS_NS);
    expect_usage(before);
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_alloc_of_nothing_is_distinct)
{
    struct extent extents[500];
    arena_t *arena = open_auto();

    for (size_t i = 0; i < LENGTH(extents); i++) {
        char *block = arena_alloc(arena, opaque_size(0));

        ck_assert_ptr_nonnull(block);
        ck_assert(is_aligned(block, _Alignof(max_align_t)));
        extents[i] = (struct extent){block, 0};
    }
    ck_assert(extents_disjoint(extents, LENGTH(extents)));
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_alloc_blocks_do_not_overlap)
{
    static struct extent extents[5000];
    arena_t *arena = open_auto();
    bool intact = true;

    for (size_t i = 0; i < LENGTH(extents); i++) {
        size_t size = herd_block_size(0, i);
        char *block = arena_alloc(arena, size);

        if (block == NULL)
            ck_abort_msg("%s", arena_error());
        fill_block(block, size, i);
        extents[i] = (struct extent){block, size};
    }
    for (size_t i = 0; i < LENGTH(extents); i++)
        intact &= block_holds(extents[i].start, extents[i].size, i);
    ck_assert(intact);
    ck_assert(extents_disjoint(extents, LENGTH(extents)));
    memset(extents, 0, sizeof extents);
    arena_keep_alive(arena);
}
END_TEST

/* Its parts grow with it, but not far ahead of what is asked for. */
START_TEST(test_alloc_in_a_large_arena_holds_little_more)
{
    arena_t *arena = arena_auto();

    ck_assert_ptr_nonnull(arena);
    for (size_t asked = KIB; asked <= 8 * MIB; asked += KIB) {
        ck_assert_ptr_nonnull(arena_alloc(arena, KIB));
        if (asked >= MIB)
            ck_assert_uint_le(arena_bytes(arena), asked + asked / 4);
    }
    ck_assert_uint_ge(arena_bytes(arena), 8 * MIB);
}
END_TEST

START_TEST(test_alloc_copies_and_text)
{
    arena_t *arena = open_auto();
    int *numbers = arena_new_array(arena, int, 1000);
    double *number = arena_new(arena, double);

    ck_assert_ptr_nonnull(numbers);
    ck_assert(block_is_zero(numbers, 1000 * sizeof *numbers));
    ck_assert_ptr_nonnull(number);
    ck_assert_str_eq(arena_strdup(arena, "text"), "text");
    ck_assert_str_eq(arena_strndup(arena, "text", 2), "te");
    ck_assert_str_eq(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
    ck_assert_mem_eq(arena_memdup(arena, "a\0b", 3), "a\0b", 3);
    ck_assert_ptr_nonnull(arena_alloc_uninit(arena, 77));
}
END_TEST

START_TEST(test_resize_keeps_contents_and_zeroes_the_rest)
{
    arena_t *arena = open_auto();
    size_t size = 10;
    char *block = arena_alloc(arena, size);

    ck_assert_ptr_nonnull(block);
    fill_block(block, size, 5);
    while (size < MIB) {
        size_t more = 2 * size + 7;
        char *moved = arena_resize(arena, block, size, more);

        ck_assert_ptr_nonnull(moved);
        ck_assert(block_holds(moved, size, 5));
        ck_assert(block_is_zero(moved + size, more - size));
        fill_block(moved, more, 5);
        block = moved;
        size = more;
    }
}
END_TEST

struct team {
    arena_t *arena;
    atomic_size_t faults;
};

static void
team_allocate(void *state, size_t index)
{
    struct team *team = state;
    char *blocks[1000];

    for (size_t i = 0; i < LENGTH(blocks); i++) {
        size_t size = herd_block_size(index, i);

        blocks[i] = arena_alloc(team->arena, size);
        if (blocks[i] == NULL || !block_is_zero(blocks[i], size)) {
            atomic_fetch_add(&team->faults, 1);
            return;
        }
        fill_block(blocks[i], size, index * 1000 + i);
    }
    for (size_t i = 0; i < LENGTH(blocks); i++) {
        size_t size = herd_block_size(index, i);

        if (!block_holds(blocks[i], size, index * 1000 + i))
            atomic_fetch_add(&team->faults, 1);
    }
}

START_TEST(test_alloc_by_many_threads_gives_each_its_own)
{
    struct team team = {.arena = open_auto()};

    run_team(8, team_allocate, &team);
    ck_assert_uint_eq(atomic_load(&team.faults), 0);
    arena_keep_alive(team.arena);
}
END_TEST

/* A thread that did not open the arena gives the last block other sizes. */
static void *
guest_resize_main(void *arg)
{
    arena_t *arena = arg;
    char *block = arena_alloc(arena, 24), *resized;

    if (block == NULL)
        return arg;
    fill_block(block, 24, 1);
    resized = arena_resize(arena, block, 24, 1000);
    if (resized != block || !block_holds(resized, 24, 1)
        || !block_is_zero(resized + 24, 976))
        return arg;
    memset(resized, 0xff, 1000);
    if (arena_resize(arena, resized, 1000, 8) != resized)
        return arg;
    block = arena_alloc(arena, 2000);
    return block != NULL && block_is_zero(block, 2000) ? NULL : arg;
}

START_TEST(test_alloc_and_resize_by_a_guest)
{
    arena_t *arena = open_auto();
    char *own = arena_alloc(arena, 100);
    size_t asked = POOL(usage_now(), ARENA_AUTO).requested;

    fill_block(own, 100, 2);
    ck_assert_ptr_null(run_in_thread(guest_resize_main, arena));
    ck_assert_uint_eq(POOL(usage_now(), ARENA_AUTO).requested - asked, 2008);
    ck_assert_ptr_null(run_in_thread(guest_resize_main, arena));
    ck_assert_uint_eq(POOL(usage_now(), ARENA_AUTO).requested - asked, 4016);
    ck_assert(block_holds(own, 100, 2));
    arena_keep_alive(arena);
}
END_TEST

/* What the thread that opened the arena gives back is not zero any more. */
START_TEST(test_resize_then_alloc_at_home_gives_zeroes)
{
    arena_t *arena = open_auto();

    for (size_t i = 0; i < 100; i++) {
        char *block = arena_alloc(arena, 24), *next;

        ck_assert_ptr_nonnull(block);
        ck_assert(block_is_zero(block, 24));
        block = arena_resize(arena, block, 24, 500 + i);
        ck_assert_ptr_nonnull(block);
        memset(block, 0xff, 500 + i);
        ck_assert_ptr_eq(arena_resize(arena, block, 500 + i, 8), block);
        next = arena_alloc(arena, 16 + i % 3 * 400);
        ck_assert_ptr_nonnull(next);
        ck_assert(block_is_zero(next, 16 + i % 3 * 400));
        memset(next, 0xff, 16 + i % 3 * 400);
    }
}
END_TEST

/* A block of each size, at places where more or less is clear ahead. */
START_TEST(test_alloc_of_any_size_in_used_memory_gives_zeroes)
{
    uint64_t random = 1;

    for (size_t round = 0; round < 50; round++) {
        arena_t *arena = open_auto();

        for (size_t i = 0; i < 200; i++) {
            size_t size = random_next(&random) % (i % 16 == 0 ? 3000 : 200);
            size_t align = (size_t)16 << random_next(&random) % 3;
            char *block = i % 2 == 0
                              ? arena_alloc(arena, size)
                              : arena_alloc_aligned(arena, size, align);

            ck_assert_ptr_nonnull(block);
            ck_assert(block_is_zero(block, size));
            memset(block, 0xff, size);
        }
        if (round % 10 == 9)
            collect_times(1);
    }
}
END_TEST

START_TEST(test_of_outside_arenas_is_null_and_leaves_errno)
{
    static char static_byte;
    char stack_byte = 0;
    char *libc_block = malloc(100);
    arena_t *arena = open_auto();

    errno = ERRNO_UNTOUCHED;
    ck_assert_ptr_null(arena_of(NULL));
    ck_assert_ptr_null(arena_of(&static_byte));
    ck_assert_ptr_null(arena_of(&stack_byte));
    ck_assert_ptr_null(arena_of(libc_block));
    ck_assert_ptr_null(arena_of(reveal(0)));
    ck_assert_ptr_null(arena_of((void *)opaque_size(1)));
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    free(libc_block);
    arena_keep_alive(arena);
}
END_TEST

/* --- Limit --- */

START_TEST(test_limit_passed_fails_enomem_with_numbers)
{
    arena_t *arena = open_limited_within(ARENA_AUTO, 256 * KIB, NULL);
    char *block = arena_memdup(arena, "intact", 7);
    arena_usage_t before = usage_now();

    expect_fail(arena_alloc(arena, 300 * KIB), ENOMEM, "262144");
    expect_usage(before);
    ck_assert_str_eq(block, "intact");
    ck_assert_ptr_nonnull(arena_alloc(arena, 100));
    ck_assert_ptr_nonnull(arena_alloc(open_auto(), 300 * KIB));
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_limit_by_small_blocks_is_never_passed)
{
    arena_t *arena = open_limited_within(ARENA_AUTO, 256 * KIB, NULL);
    size_t held = 0;

    while (arena_alloc(arena, 1000) != NULL) {
        held += 1000;
        ck_assert_uint_le(arena_bytes(arena), 256 * KIB);
    }
    expect_fail(arena_alloc(arena, 1000), ENOMEM, "262144");
    ck_assert_uint_le(held, 256 * KIB);
    ck_assert_uint_ge(held, 64 * KIB);
    ck_assert(arena_is_alive(arena));
}
END_TEST

/* --- On close --- */

struct witness {
    uintptr_t handle, block; /* hidden */
    arena_segment_t segment; /* of the block; its pointers hidden */
    size_t number;
    atomic_int runs;
    int order[4];
    bool intact[4], alive[4], accessible[4], refused[4];
    pid_t thread[4];
};

static pid_t builder_thread;

/* An access through a segment of the block. */
static int
witness_get(const struct witness *witness)
{
    arena_segment_t s = witness->segment;
    uint8_t byte;

    s.addr = reveal((uintptr_t)s.addr);
    s.arena = reveal((uintptr_t)s.arena);
    s.live = reveal((uintptr_t)s.live);
    return arena_get_u8(&s, 0, &byte);
}

static void
witness_keep(struct witness *witness, const arena_segment_t *s)
{
    witness->segment = *s;
    witness->segment.addr = (void *)hide(s->addr);
    witness->segment.arena = (arena_t *)hide(s->arena);
    witness->segment.live = (const uint64_t *)hide(s->live);
}

/* What an action sees. */
static void
witness_look(struct witness *witness, int which)
{
    int run = atomic_fetch_add(&witness->runs, 1);
    arena_t *arena = reveal(witness->handle);

    if (run >= 4)
        return;
    witness->order[run] = which;
    witness->thread[run] = this_thread();
    witness->intact[run] = block_holds(reveal(witness->block), 5000,
                                       witness->number);
    witness->alive[run] = arena_is_alive(arena);
    witness->accessible[run] = arena_is_accessible(arena);
    errno = 0;
    witness->refused[run] = arena_alloc(arena, 16) == NULL && errno == ESTALE;
    errno = 0;
    witness->refused[run] &= arena_on_close(arena, herd_note, NULL) == -1
                             && errno == ESTALE;
    errno = 0;
    witness->refused[run] &= witness_get(witness) == -1 && errno == ESTALE;
}

static void
witness_first(void *arg)
{
    witness_look(arg, 1);
}

static void
witness_second(void *arg)
{
    witness_look(arg, 2);
}

static void
witness_third(void *arg)
{
    witness_look(arg, 3);
}

#define WITNESSES ((size_t)200)

static struct witness *witnesses;

static void *
witness_build_main(void *arg)
{
    size_t *faults = arg;

    builder_thread = this_thread();
    for (size_t i = 0; i < WITNESSES; i++) {
        struct witness *witness = &witnesses[i];
        arena_t *arena = arena_auto();
        char *block = arena_alloc(arena, 5000);
        arena_segment_t segment;

        if (arena == NULL || block == NULL
            || arena_segment_of(block, &segment) != 0) {
            ++*faults;
            return NULL;
        }
        fill_block(block, 5000, i);
        witness->number = i;
        witness->handle = hide(arena);
        witness->block = hide(block);
        witness_keep(witness, &segment);
        *faults += arena_on_close(arena, witness_first, witness) != 0;
        *faults += arena_on_close(arena, witness_second, witness) != 0;
        *faults += arena_on_close(arena, witness_third, witness) != 0;
        arena_keep_alive(arena);
    }
    return NULL;
}

/* Arenas with three actions each, dropped and collected. */
static void
setup_witnesses(void)
{
    size_t faults = 0;

    setup();
    witnesses = calloc(WITNESSES, sizeof *witnesses);
    ck_assert_ptr_nonnull(witnesses);
    run_in_thread(witness_build_main, &faults);
    ck_assert_uint_eq(faults, 0);
    collect_times(2);
}

/* How many witnesses have seen something in each of three runs. */
static size_t
witnesses_that(bool (*saw)(const struct witness *, int run))
{
    size_t count = 0;

    for (size_t i = 0; i < WITNESSES; i++) {
        const struct witness *witness = &witnesses[i];

        count += atomic_load(&witness->runs) >= 3 && saw(witness, 0)
                 && saw(witness, 1) && saw(witness, 2);
    }
    return count;
}

static bool
saw_anything(const struct witness *witness, int run)
{
    return witness->order[run] != 0;
}

static bool
saw_its_turn(const struct witness *witness, int run)
{
    return witness->order[run] == 3 - run;
}

static bool
saw_memory(const struct witness *witness, int run)
{
    return witness->intact[run];
}

static bool
saw_closed_arena(const struct witness *witness, int run)
{
    return !witness->alive[run] && !witness->accessible[run]
           && witness->refused[run];
}

static bool
saw_other_thread(const struct witness *witness, int run)
{
    return witness->thread[run] != getpid()
           && witness->thread[run] != builder_thread;
}

/* A thread that opens arenas, drops them, and is asked by their actions to
 * allocate in them again. */
struct opener {
    uintptr_t handle[HERD]; /* hidden */
    uintptr_t asked_for;    /* the same */
    sem_t ready, asked, answered;
    atomic_bool over;
    size_t faults, answers, refusals;
};

static struct opener opener;

static void
opener_ask(void *arg)
{
    if (atomic_load(&opener.over))
        return;
    opener.asked_for = *(uintptr_t *)arg;
    sem_post(&opener.asked);
    semaphore_wait(&opener.answered);
}

static void *
opener_build(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < HERD; i++) {
        arena_t *arena = arena_auto();

        /* The first block leaves room that is at hand. */
        if (arena == NULL || arena_alloc(arena, 100) == NULL
            || arena_alloc(arena, 100) == NULL
            || arena_on_close(arena, opener_ask, &opener.handle[i]) != 0) {
            opener.faults++;
            continue;
        }
        opener.handle[i] = hide(arena);
        arena_keep_alive(arena);
    }
    return NULL;
}

static void *
opener_main(void *arg)
{
    void *(*volatile build)(void *) = opener_build;

    build(arg);
    scrub();
    sem_post(&opener.ready);
    for (;;) {
        semaphore_wait(&opener.asked);
        if (atomic_load(&opener.over))
            return NULL;
        opener.answers++;
        errno = 0;
        opener.refusals += arena_alloc(reveal(opener.asked_for), 16) == NULL
                           && errno == ESTALE;
        sem_post(&opener.answered);
    }
}

START_TEST(test_on_close_dropped_refuses_the_thread_that_opened_it)
{
    pthread_t thread;

    ck_assert_int_eq(sem_init(&opener.ready, 0, 0), 0);
    ck_assert_int_eq(sem_init(&opener.asked, 0, 0), 0);
    ck_assert_int_eq(sem_init(&opener.answered, 0, 0), 0);
    thread = start_thread(opener_main, NULL);
    semaphore_wait(&opener.ready);
    collect_times(2);
    atomic_store(&opener.over, true);
    sem_post(&opener.asked);
    join_thread(thread);
    ck_assert_uint_eq(opener.faults, 0);
    ck_assert_uint_eq(opener.refusals, opener.answers);
    expect_nearly_all(opener.answers, HERD);
}
END_TEST

/* Arenas with a block of another thread's, the last of its run, that an action
 * wants to make smaller. */
#define LENT ((size_t)50)

struct lent {
    arena_t *arena;
    uintptr_t handle, block; /* hidden */
};

static struct lent lent[LENT];
static atomic_size_t lent_refusals, lent_answers;

static void
lent_resize(void *arg)
{
    const struct lent *one = arg;

    errno = 0;
    lent_refusals +=
        arena_resize(reveal(one->handle), reveal(one->block), 100, 50) == NULL
        && errno == ESTALE;
    lent_answers++;
}

static void *
lent_fill(void *arg)
{
    struct lent *one = arg;
    void *block = arena_alloc(one->arena, 100);

    if (block != NULL && arena_on_close(one->arena, lent_resize, one) == 0)
        one->block = hide(block);
    return NULL;
}

static void *
lent_build(void *arg)
{
    for (size_t i = 0; i < LENT; i++) {
        lent[i].arena = arena_auto();
        lent[i].handle = hide(lent[i].arena);
        run_in_thread(lent_fill, &lent[i]);
        lent[i].arena = NULL;
    }
    return arg;
}

START_TEST(test_on_close_dropped_refuses_to_resize_in_place)
{
    run_in_thread(lent_build, NULL);
    for (size_t i = 0; i < LENT; i++)
        ck_assert_uint_ne(lent[i].block, 0);
    collect_times(2);
    ck_assert_uint_eq(atomic_load(&lent_refusals),
                      atomic_load(&lent_answers));
    expect_nearly_all(atomic_load(&lent_answers), LENT);
}
END_TEST

START_TEST(test_on_close_dropped_runs_each_action_once)
{
    size_t several = 0;

    expect_nearly_all(witnesses_that(saw_anything), WITNESSES);
    collect_times(5);
    for (size_t i = 0; i < WITNESSES; i++) {
        int runs = atomic_load(&witnesses[i].runs);

        several += runs != 0 && runs != 3;
    }
    ck_assert_uint_eq(several, 0);
}
END_TEST

START_TEST(test_on_close_dropped_runs_last_registered_first)
{
    ck_assert_uint_eq(witnesses_that(saw_its_turn),
                      witnesses_that(saw_anything));
    expect_nearly_all(witnesses_that(saw_its_turn), WITNESSES);
}
END_TEST

START_TEST(test_on_close_dropped_shows_memory_intact)
{
    ck_assert_uint_eq(witnesses_that(saw_memory),
                      witnesses_that(saw_anything));
    expect_nearly_all(witnesses_that(saw_memory), WITNESSES);
}
END_TEST

START_TEST(test_on_close_dropped_counts_as_closed)
{
    ck_assert_uint_eq(witnesses_that(saw_closed_arena),
                      witnesses_that(saw_anything));
    expect_nearly_all(witnesses_that(saw_closed_arena), WITNESSES);
}
END_TEST

START_TEST(test_on_close_dropped_runs_on_the_librarys_thread)
{
    ck_assert_uint_eq(witnesses_that(saw_other_thread),
                      witnesses_that(saw_anything));
    expect_nearly_all(witnesses_that(saw_other_thread), WITNESSES);
}
END_TEST

START_TEST(test_on_close_done_leaves_nothing_pending)
{
    ck_assert_uint_eq(usage_now().pending, 0);
}
END_TEST

/* An arena whose actions are found by an allocation, not by arena_collect,
 * runs them on the library's thread too. */
static void *
churn_main(void *arg)
{
    size_t *faults = arg;

    builder_thread = this_thread();
    for (size_t i = 0; i < 400; i++) {
        arena_t *arena = arena_auto();

        *faults += arena == NULL || arena_alloc(arena, MIB) == NULL;
        arena_keep_alive(arena);
    }
    return NULL;
}

START_TEST(test_on_close_found_by_allocation_runs_on_the_librarys_thread)
{
    size_t faults = 0;

    witnesses = calloc(WITNESSES, sizeof *witnesses);
    ck_assert_ptr_nonnull(witnesses);
    run_in_thread(witness_build_main, &faults);
    ck_assert_uint_eq(faults, 0);
    arena_set_limit(usage_now().reserved + 32 * MIB);
    run_in_thread(churn_main, &faults);
    arena_set_limit(base.limit);
    ck_assert_uint_eq(faults, 0);
    collect_times(2);
    expect_nearly_all(witnesses_that(saw_other_thread), WITNESSES);
    ck_assert_uint_eq(witnesses_that(saw_other_thread),
                      witnesses_that(saw_anything));
}
END_TEST

/* An argument that nothing but the action refers to. */
static void *volatile arg_owners[WITNESSES];
static atomic_size_t args_intact, args_seen;

static void
arg_inspect(void *arg)
{
    atomic_fetch_add(&args_seen, 1);
    if (block_holds(arg, 300, 12))
        atomic_fetch_add(&args_intact, 1);
}

static void *
arg_build_main(void *arg)
{
    size_t *faults = arg;

    for (size_t i = 0; i < WITNESSES; i++) {
        arena_t *arena = arena_auto();
        void *block = arena_alloc(NULL, 300);

        if (arena == NULL || block == NULL) {
            ++*faults;
            return NULL;
        }
        fill_block(block, 300, 12);
        *faults += arena_on_close(arena, arg_inspect, block) != 0;
        arg_owners[i] = arena;
    }
    return NULL;
}

START_TEST(test_on_close_argument_is_kept_until_the_action_has_run)
{
    size_t faults = 0;
    arena_usage_t held;

    atomic_store(&args_seen, 0);
    atomic_store(&args_intact, 0);
    run_in_thread(arg_build_main, &faults);
    ck_assert_uint_eq(faults, 0);
    collect_times(3);
    held = usage_now();
    ck_assert_uint_eq(atomic_load(&args_seen), 0);
    ck_assert_uint_ge(POOL(held, ARENA_IMPLICIT).count + LEFT_MOST,
                      POOL(base, ARENA_IMPLICIT).count + WITNESSES);
    memset((void *)arg_owners, 0, sizeof arg_owners);
    collect_times(2);
    expect_nearly_all(atomic_load(&args_intact), WITNESSES);
    expect_settled(base);
    ck_assert_uint_eq(atomic_load(&args_intact), atomic_load(&args_seen));
}
END_TEST

START_TEST(test_on_close_argument_in_the_arena_fails_einval)
{
    arena_t *arena = open_auto();
    char *small = arena_alloc(arena, 100);
    char *big = arena_alloc(arena, MIB);
    arena_usage_t before = usage_now();

    expect_fail(arena_on_close(arena, herd_note, small), EINVAL, "");
    expect_fail(arena_on_close(arena, herd_note, small + 50), EINVAL, "");
    expect_fail(arena_on_close(arena, herd_note, big), EINVAL, "");
    expect_fail(arena_on_close(arena, herd_note, big + MIB / 2), EINVAL, "");
    expect_fail(arena_on_close(arena, herd_note, arena), EINVAL, "");
    expect_usage(before);
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_on_close_null_fails_einval)
{
    arena_t *arena = open_auto();

    expect_fail(arena_on_close(arena, NULL, NULL), EINVAL, "");
    expect_fail(arena_on_close(NULL, herd_note, NULL), EINVAL, "");
    arena_keep_alive(arena);
}
END_TEST

/* An action that uses the library itself. */
static atomic_size_t busy_done;

static void
busy_action(void *arg)
{
    arena_t *confined = arena_confined();
    arena_t *automatic = arena_auto();
    bool good = confined != NULL && automatic != NULL
                && arena_alloc(confined, 1000) != NULL
                && arena_alloc(automatic, 1000) != NULL
                && arena_alloc(NULL, 1000) != NULL
                && arena_close(confined) == 0;

    (void)arg;
    if (good)
        atomic_fetch_add(&busy_done, 1);
}

static void *
busy_build_main(void *arg)
{
    size_t *faults = arg;

    for (size_t i = 0; i < 100; i++)
        *faults += arena_on_close(arena_auto(), busy_action, NULL) != 0;
    return NULL;
}

START_TEST(test_on_close_action_may_use_the_library)
{
    size_t faults = 0;

    atomic_store(&busy_done, 0);
    run_in_thread(busy_build_main, &faults);
    ck_assert_uint_eq(faults, 0);
    collect_times(2);
    expect_nearly_all(atomic_load(&busy_done), 100);
    stir();
    expect_nearly_all(atomic_load(&busy_done), 100);
}
END_TEST

/* --- Reach: where a pointer keeps an arena, and where not --- */

static void *volatile in_static[HERD];
static __thread void *volatile in_main_tls[HERD];
static struct keeper keeper;
static void *volatile *mapped;
static arena_t *outer;
static arena_t *volatile outer_auto;

static void *volatile *
place_static(void)
{
    return in_static;
}

static void *volatile *
place_main_tls(void)
{
    return in_main_tls;
}

static void *volatile *
place_thread_tls(void)
{
    keeper = (struct keeper){.attach = true};
    return keeper_start(&keeper, keeper_in_tls);
}

static void *volatile *
place_thread_stack(void)
{
    keeper = (struct keeper){.attach = true};
    return keeper_start(&keeper, keeper_on_stack);
}

static void
unplace_thread(void)
{
    keeper_stop(&keeper);
}

static void *volatile *
place_malloc(void)
{
    mapped = calloc(HERD, sizeof *mapped);
    ck_assert_ptr_nonnull((void *)mapped);
    return mapped;
}

static void
unplace_malloc(void)
{
    free((void *)mapped);
}

static void *volatile *
place_roots(void)
{
    place_malloc();
    expect_ok(arena_add_roots((void *)mapped, (void *)(mapped + HERD)));
    return mapped;
}

static void
unplace_roots(void)
{
    expect_ok(arena_remove_roots((void *)mapped, (void *)(mapped + HERD)));
    unplace_malloc();
}

static void *volatile *
place_removed_roots(void)
{
    place_roots();
    expect_ok(arena_remove_roots((void *)mapped, (void *)(mapped + HERD)));
    return mapped;
}

static void *volatile *
place_mmap(void)
{
    void *pages = mmap(NULL, HERD * sizeof *mapped, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(pages, MAP_FAILED);
    mapped = pages;
    return mapped;
}

static void
unplace_mmap(void)
{
    ck_assert_int_eq(munmap((void *)mapped, HERD * sizeof *mapped), 0);
}

/* A table in an arena of a kind. */
static void *volatile *
place_arena(arena_kind_t kind, unsigned flags)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    void *volatile *table;

    options.flags = flags;
    outer = arena_open(kind, &options);
    ck_assert_ptr_nonnull(outer);
    table = arena_alloc_array(outer, HERD, sizeof *table);
    ck_assert_ptr_nonnull((void *)table);
    return table;
}

static void *volatile *
place_confined(void)
{
    return place_arena(ARENA_CONFINED, 0);
}

static void *volatile *
place_shared(void)
{
    return place_arena(ARENA_SHARED, 0);
}

static void *volatile *
place_traced_confined(void)
{
    return place_arena(ARENA_CONFINED, ARENA_TRACED);
}

static void *volatile *
place_traced_shared(void)
{
    return place_arena(ARENA_SHARED, ARENA_TRACED);
}

static void
unplace_closed(void)
{
    expect_ok(arena_close(outer));
    outer = NULL;
}

static void *volatile *
place_auto(void)
{
    void *volatile *table = place_arena(ARENA_AUTO, 0);

    outer_auto = outer;
    outer = NULL;
    return table;
}

static void *volatile *
place_traced_auto(void)
{
    void *volatile *table = place_arena(ARENA_AUTO, ARENA_TRACED);

    outer_auto = outer;
    outer = NULL;
    return table;
}

static void
unplace_auto(void)
{
    outer_auto = NULL;
}

static void
unplace_nothing(void)
{
}

struct place {
    const char *name;
    void *volatile *(*open)(void);
    void (*close)(void);
};

static const struct place seen_places[] = {
    {"a static table", place_static, unplace_nothing},
    {"__thread of the main thread", place_main_tls, unplace_nothing},
    {"__thread of a thread", place_thread_tls, unplace_thread},
    {"the stack of a thread", place_thread_stack, unplace_thread},
    {"malloc'd memory with arena_add_roots", place_roots, unplace_roots},
    {"a traced confined arena", place_traced_confined, unplace_closed},
    {"a traced shared arena", place_traced_shared, unplace_closed},
    {"a traced auto arena", place_traced_auto, unplace_auto}};

static const struct place unseen_places[] = {
    {"malloc'd memory", place_malloc, unplace_malloc},
    {"mmap'd memory", place_mmap, unplace_mmap},
    {"removed roots", place_removed_roots, unplace_malloc},
    {"a confined arena", place_confined, unplace_closed},
    {"a shared arena", place_shared, unplace_closed},
    {"an auto arena", place_auto, unplace_auto}};

/* The herd is kept, whole, through collections; the rest of it is not. */
static void
expect_herd_kept(struct herd *herd, const char *by)
{
    collect_times(5);
    ck_assert_msg(herd_notified(herd, true) == 0, "%s: %zu of %zu lost", by,
                  herd_notified(herd, true), herd_kept(herd));
    ck_assert_msg(herd_damaged(herd) == 0, "%s: %zu blocks damaged", by,
                  herd_damaged(herd));
    expect_nearly_all(herd_notified(herd, false),
                      herd->count - herd_kept(herd));
}

/* Once dropped it is gone, notified once each. */
static void
expect_herd_dies(struct herd *herd)
{
    herd_drop(herd);
    collect_times(2);
    expect_nearly_all(herd_notified(herd, true), herd_kept(herd));
    ck_assert_uint_eq(herd_notified_again(herd), 0);
}

START_TEST(test_reach_pointer_in_a_scanned_place_keeps)
{
    const struct place *place = &seen_places[_i];
    arena_usage_t before;
    struct herd herd = {.count = test_scaled(HERD), .blocks = 4,
                        .action = true, .every = 2};

    herd.table = place->open();
    before = usage_now();
    herd_build(&herd);
    expect_herd_kept(&herd, place->name);
    expect_herd_dies(&herd);
    expect_settled(before);
    place->close();
    herd_free(&herd);
}
END_TEST

START_TEST(test_reach_pointer_of_any_form_keeps)
{
    static const char *const names[FORMS] = {"an interior pointer", "a block",
                                             "one past the end",
                                             "the handle"};
    struct herd herd = {.count = test_scaled(HERD), .blocks = 5,
                        .action = true, .form = (enum form)_i, .every = 2,
                        .table = in_static};

    herd_build(&herd);
    expect_herd_kept(&herd, names[_i]);
    expect_herd_dies(&herd);
    expect_settled(base);
    herd_free(&herd);
}
END_TEST

START_TEST(test_reach_one_block_per_arena_any_form_keeps)
{
    struct herd herd = {.count = test_scaled(HERD), .blocks = 1,
                        .action = true, .form = (enum form)_i, .every = 2,
                        .table = in_static};

    herd_build(&herd);
    expect_herd_kept(&herd, "a pointer to an only block");
    expect_herd_dies(&herd);
    expect_settled(base);
    herd_free(&herd);
}
END_TEST

START_TEST(test_reach_pointer_in_an_unscanned_place_does_not_keep)
{
    const struct place *place = &unseen_places[_i];
    arena_usage_t before;
    struct herd herd = {.count = test_scaled(HERD), .blocks = 4, .every = 1};

    herd.table = place->open();
    before = usage_now();
    herd_build(&herd);
    collect_times(2);
    expect_nearly_all(herd_gone(&herd, &before), herd.count);
    expect_settled(before);
    place->close();
    herd_free(&herd);
}
END_TEST

START_TEST(test_reach_nothing_points_dies_without_action_too)
{
    struct herd herd = {.count = test_scaled(HERD), .blocks = 10,
                        .action = _i == 1};

    herd_build(&herd);
    collect_times(2);
    expect_nearly_all(herd_gone(&herd, &base), herd.count);
    expect_settled(base);
    herd_free(&herd);
}
END_TEST

#define OUTERS ((size_t)5)

static arena_t *volatile outers[OUTERS];

static void *
place_traced_autos_main(void *arg)
{
    struct herd *herds = arg;

    for (size_t i = 0; i < OUTERS; i++) {
        herds[i].table = place_traced_auto();
        outers[i] = outer_auto;
    }
    outer_auto = NULL;
    return NULL;
}

/* The only pointers are in traced arenas that nothing refers to any more; the
 * plans, which do, are in memory that the collector does not see.  An arena
 * that is kept by chance keeps its herd, so there are several. */
START_TEST(test_reach_traced_auto_arena_dropped_drops_what_it_held)
{
    struct herd *herds = calloc(OUTERS, sizeof *herds);
    size_t gone = 0;

    ck_assert_ptr_nonnull(herds);
    run_in_thread(place_traced_autos_main, herds);
    for (size_t i = 0; i < OUTERS; i++) {
        herds[i].count = test_scaled(HERD / OUTERS);
        herds[i].blocks = 2;
        herds[i].action = true;
        herds[i].every = 1;
        herd_build(&herds[i]);
    }
    collect_times(3);
    for (size_t i = 0; i < OUTERS; i++)
        ck_assert_uint_eq(herd_notified(&herds[i], true), 0);
    for (size_t i = 0; i < OUTERS; i++)
        outers[i] = NULL;
    collect_times(3);
    for (size_t i = 0; i < OUTERS; i++) {
        size_t notified = herd_notified(&herds[i], true);

        gone += notified + kept_by_chance(herds[i].count) >= herds[i].count;
    }
    ck_assert_uint_ge(gone + LEFT_MOST, OUTERS);
    if (gone == OUTERS)
        expect_settled(base);
    for (size_t i = 0; i < OUTERS; i++)
        herd_free(&herds[i]);
    free(herds);
}
END_TEST

START_TEST(test_reach_traced_arena_closed_drops_what_it_held)
{
    struct herd herd = {.count = test_scaled(HERD), .blocks = 2,
                        .action = true, .every = 1};

    herd.table = _i == 0 ? place_traced_confined() : place_traced_shared();
    herd_build(&herd);
    collect_times(3);
    ck_assert_uint_eq(herd_notified(&herd, true), 0);
    unplace_closed();
    collect_times(2);
    expect_nearly_all(herd_notified(&herd, true), herd.count);
    expect_settled(base);
    herd_free(&herd);
}
END_TEST

/* Rings of traced arenas: each holds the only pointer to the next, so that
 * who is kept by chance keeps a ring. */
#define RING 10

static atomic_size_t ring_notes;

static void
ring_note(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ring_notes, 1);
}

static size_t
ring_build(void)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *first = NULL, *last = NULL;
    void **link = NULL, **first_link = NULL;
    size_t faults = 0;

    options.flags = ARENA_TRACED;
    for (size_t i = 0; i < RING; i++) {
        arena_t *arena = arena_open(ARENA_AUTO, &options);
        void **slot = arena_alloc(arena, 1000);

        if (arena == NULL || slot == NULL)
            return 1;
        faults += arena_on_close(arena, ring_note, NULL) != 0;
        *slot = link;
        link = slot;
        first_link = first_link == NULL ? slot : first_link;
        first = first == NULL ? arena : first;
        last = arena;
    }
    *first_link = link;
    arena_keep_alive(first);
    arena_keep_alive(last);
    return faults;
}

static void *
rings_build_main(void *arg)
{
    size_t *faults = arg;

    for (size_t i = 0; i < HERD / RING; i++)
        *faults += ring_build();
    return NULL;
}

START_TEST(test_reach_cycle_of_traced_arenas_dies)
{
    size_t faults = 0;

    atomic_store(&ring_notes, 0);
    run_in_thread(rings_build_main, &faults);
    ck_assert_uint_eq(faults, 0);
    collect_times(2);
    ck_assert_uint_ge(atomic_load(&ring_notes) + LEFT_MOST * RING, HERD);
    collect_times(3);
    ck_assert_uint_le(atomic_load(&ring_notes), HERD);
    if (atomic_load(&ring_notes) == HERD)
        expect_settled(base);
}
END_TEST

/* --- Pin and acquire --- */

START_TEST(test_pin_keeps_until_unpin)
{
    struct herd herd = {.count = test_scaled(HERD), .blocks = 4,
                        .action = true, .form = (enum form)_i, .every = 2,
                        .grip = GRIP_PIN};

    herd_build(&herd);
    expect_herd_kept(&herd, "a pin");
    expect_herd_dies(&herd);
    expect_settled(base);
    herd_free(&herd);
}
END_TEST

START_TEST(test_acquire_keeps_until_release)
{
    struct herd herd = {.count = test_scaled(HERD), .blocks = 4,
                        .action = true, .every = 2, .grip = GRIP_ACQUIRE};

    herd_build(&herd);
    expect_herd_kept(&herd, "an acquire");
    expect_herd_dies(&herd);
    expect_settled(base);
    herd_free(&herd);
}
END_TEST

/* Take every kept member a second time. */
static void *
herd_take_again_main(void *arg)
{
    struct herd *herd = arg;

    for (size_t i = 0; i < herd->count; i++) {
        if (herd_keeps(herd, i))
            herd_take(herd, i);
    }
    return NULL;
}

START_TEST(test_pin_and_acquire_are_counted)
{
    struct herd herd = {.count = test_scaled(HERD), .blocks = 2,
                        .action = true, .every = 2,
                        .grip = _i == 0 ? GRIP_PIN : GRIP_ACQUIRE};

    herd_build(&herd);
    run_in_thread(herd_take_again_main, &herd);
    ck_assert_uint_eq(herd.refused, 0);
    herd_drop(&herd);
    expect_herd_kept(&herd, "the second of two");
    expect_herd_dies(&herd);
    expect_settled(base);
    herd_free(&herd);
}
END_TEST

/* Pins of neighbouring addresses come and go: each needs just its own
 * unpins. */
START_TEST(test_pin_of_many_addresses_is_counted_for_each)
{
    arena_t *arena = open_auto();
    char *block = arena_alloc(arena, 1000);
    size_t wrong = 0;

    ck_assert_ptr_nonnull(block);
    for (size_t round = 0; round < 10; round++) {
        for (size_t i = 0; i < 1000; i++)
            wrong += arena_pin(block + i) != 0;
        for (size_t i = 0; i < 1000; i += 2)
            wrong += arena_pin(block + i) != 0;
        for (size_t i = 0; i < 1000; i++)
            wrong += arena_unpin(block + i) != 0;
        for (size_t i = 0; i < 1000; i++)
            wrong += (arena_unpin(block + i) == 0) != (i % 2 == 0);
    }
    ck_assert_uint_eq(wrong, 0);
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_unpin_without_pin_fails_einval)
{
    arena_t *arena = open_auto();
    char *block = arena_alloc(arena, 100);

    expect_fail(arena_unpin(block), EINVAL, "");
    expect_ok(arena_pin(block));
    expect_fail(arena_unpin(block + 1), EINVAL, "");
    expect_ok(arena_unpin(block));
    expect_fail(arena_unpin(block), EINVAL, "");
    expect_fail(arena_unpin(NULL), EINVAL, "");
    arena_keep_alive(arena);
}
END_TEST

START_TEST(test_pin_uncollected_memory_fails_einval)
{
    static char static_byte;
    char stack_byte = 0;
    arena_t *confined = arena_confined();

    expect_fail(arena_pin(NULL), EINVAL, "");
    expect_fail(arena_pin(&static_byte), EINVAL, "");
    expect_fail(arena_pin(&stack_byte), EINVAL, "");
    expect_fail(arena_pin(arena_alloc(confined, 10)), EINVAL, "");
    expect_ok(arena_close(confined));
}
END_TEST

START_TEST(test_release_without_acquire_fails_einval)
{
    arena_t *arena = open_auto();

    expect_fail(arena_release(arena), EINVAL, "");
    expect_ok(arena_acquire(arena));
    expect_ok(arena_release(arena));
    expect_fail(arena_release(arena), EINVAL, "");
    ck_assert(arena_is_alive(arena));
}
END_TEST

START_TEST(test_roots_bad_range_fails_einval)
{
    static char range[64];

    expect_fail(arena_add_roots(NULL, range), EINVAL, "");
    expect_fail(arena_add_roots(range, range), EINVAL, "");
    expect_fail(arena_add_roots(range + 64, range), EINVAL, "");
    expect_fail(arena_remove_roots(range, range + 64), EINVAL, "");
    expect_ok(arena_add_roots(range, range + 64));
    expect_fail(arena_remove_roots(range, range + 32), EINVAL, "");
    expect_ok(arena_remove_roots(range, range + 64));
    expect_fail(arena_remove_roots(range, range + 64), EINVAL, "");
}
END_TEST

/* --- Bulk --- */

/* What is held is what was not yet notified, after the memory of the others
 * had its collection; some of these may be kept by an old word until later. */
static void
expect_books_balance(const struct herd *herd)
{
    size_t notified, left = 0, balance;
    arena_usage_t now;

    for (size_t i = 0; i < COLLECTIONS_MOST; i++) {
        collect_scrubbed();
        now = usage_now();
        notified = herd_notified(herd, true) + herd_notified(herd, false);
        left = herd->count - notified;
        if (POOL(now, ARENA_AUTO).count == POOL(base, ARENA_AUTO).count + left)
            break;
    }
    balance = POOL(base, ARENA_AUTO).count + left;
    ck_assert_uint_ge(POOL(now, ARENA_AUTO).count + LEFT_MOST, balance);
    ck_assert_uint_le(POOL(now, ARENA_AUTO).count, balance + LEFT_MOST);
    if (POOL(now, ARENA_AUTO).count == balance)
        ck_assert_uint_eq(POOL(now, ARENA_AUTO).reserved,
                          POOL(base, ARENA_AUTO).reserved
                              + herd_bytes_left(herd));
}

START_TEST(test_bulk_half_of_a_thousand_arenas_lives_and_half_dies)
{
    struct herd herd = {.count = test_scaled(HERD), .blocks = 100,
                        .action = true, .every = 2, .table = in_static};

    herd_build(&herd);
    collect_times(2);
    expect_nearly_all(herd_notified(&herd, false),
                      herd.count - herd_kept(&herd));
    collect_times(18);
    ck_assert_uint_eq(herd_notified(&herd, true), 0);
    ck_assert_uint_eq(herd_damaged(&herd), 0);
    ck_assert_uint_eq(herd_notified_again(&herd), 0);
    expect_books_balance(&herd);
    expect_herd_dies(&herd);
    expect_settled(base);
    expect_nearly_all(herd_notified(&herd, true), herd_kept(&herd));
    herd_free(&herd);
}
END_TEST

static void *
open_every_second_main(void *arg)
{
    for (size_t i = 0; i < 2 * HERD; i++) {
        arena_t *arena = arena_auto();

        if (arena == NULL)
            return arg;
        in_static[i / 2] = arena;
    }
    return NULL;
}

/* With no action: nothing but controls, which the collector gave by the page
 * and finds by the page. */
START_TEST(test_bulk_half_of_the_empty_arenas_dies)
{
    size_t left;

    ck_assert_ptr_null(run_in_thread(open_every_second_main, ""));
    collect_times(2);
    left = POOL(usage_now(), ARENA_AUTO).count
           - POOL(base, ARENA_AUTO).count;
    ck_assert_uint_ge(left, HERD);
    expect_nearly_all(2 * HERD - left, HERD);
    for (size_t i = 0; i < HERD; i++)
        in_static[i] = NULL;
    expect_settled(base);
}
END_TEST

static atomic_size_t told;

static void
tell(void *arg)
{
    (void)arg;
    atomic_fetch_add(&told, 1);
}

static void *
open_with_action_main(void *arg)
{
    for (size_t i = 0; i < HERD; i++) {
        in_static[i] = arena_auto();
        if (in_static[i] == NULL || arena_on_close(in_static[i], tell, NULL))
            return arg;
    }
    return NULL;
}

/* The collector does not sweep a page of which nearly all is live: the few
 * that die there are told of all the same, and at once. */
START_TEST(test_bulk_one_of_sixteen_is_told_at_once)
{
    size_t dropped = 0;

    atomic_store(&told, 0);
    ck_assert_ptr_null(run_in_thread(open_with_action_main, ""));
    collect_times(2);
    ck_assert_uint_eq(atomic_load(&told), 0);
    for (size_t i = 0; i < HERD; i += 16, dropped++)
        in_static[i] = NULL;
    collect_times(1);
    expect_nearly_all(atomic_load(&told), dropped);
    for (size_t i = 0; i < HERD; i++)
        in_static[i] = NULL;
    (void)settle(&base);
    expect_nearly_all(atomic_load(&told), HERD);
}
END_TEST

/* Memory that was used before comes back zeroed: each build checks that. */
START_TEST(test_bulk_memory_comes_back_zeroed)
{
    for (size_t round = 0; round < 6; round++) {
        struct herd herd = {.count = test_scaled(HERD) / 2, .blocks = 50,
                            .action = round % 2 == 1};

        herd_build(&herd);
        collect_times(2);
        expect_nearly_all(herd_gone(&herd, &base), herd.count);
        expect_settled(base);
        herd_free(&herd);
    }
}
END_TEST

static void *
big_recycle_main(void *arg)
{
    size_t *dirty = arg;

    for (size_t i = 0; i < 200; i++) {
        arena_t *arena = arena_auto();
        char *block = arena_alloc(arena, MIB);

        if (arena == NULL || block == NULL) {
            ++*dirty;
            return NULL;
        }
        *dirty += !block_is_zero(block, MIB);
        memset(block, 0xff, MIB);
        arena_keep_alive(arena);
    }
    return NULL;
}

START_TEST(test_bulk_big_memory_comes_back_zeroed)
{
    size_t dirty = 0;

    for (size_t round = 0; round < 3; round++) {
        run_in_thread(big_recycle_main, &dirty);
        collect_times(2);
    }
    ck_assert_uint_eq(dirty, 0);
    expect_settled(base);
}
END_TEST

/* --- Suite --- */

static TCase *
add_case(Suite *suite, const char *name, void (*fixture)(void))
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, fixture, NULL);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void
add_reach(Suite *suite)
{
    TCase *reach = add_case(suite, "reach", setup);
    TCase *bulk = add_case(suite, "bulk", setup);

    tcase_add_loop_test(reach, test_reach_pointer_in_a_scanned_place_keeps, 0,
                        LENGTH(seen_places));
    tcase_add_loop_test(reach, test_reach_pointer_of_any_form_keeps, 0, FORMS);
    tcase_add_loop_test(reach, test_reach_one_block_per_arena_any_form_keeps,
                        0, FORMS);
    tcase_add_loop_test(
        reach, test_reach_pointer_in_an_unscanned_place_does_not_keep, 0,
        LENGTH(unseen_places));
    tcase_add_loop_test(reach,
                        test_reach_nothing_points_dies_without_action_too, 0,
                        2);
    tcase_add_test(reach,
                   test_reach_traced_auto_arena_dropped_drops_what_it_held);
    tcase_add_loop_test(reach,
                        test_reach_traced_arena_closed_drops_what_it_held, 0,
                        2);
    tcase_add_test(reach, test_reach_cycle_of_traced_arenas_dies);
    tcase_add_test(bulk,
                   test_bulk_half_of_a_thousand_arenas_lives_and_half_dies);
    tcase_add_test(bulk, test_bulk_half_of_the_empty_arenas_dies);
    tcase_add_test(bulk, test_bulk_one_of_sixteen_is_told_at_once);
    tcase_add_test(bulk, test_bulk_memory_comes_back_zeroed);
    tcase_add_test(bulk, test_bulk_big_memory_comes_back_zeroed);
}

static void
add_pin(Suite *suite)
{
    TCase *pin = add_case(suite, "pin", setup);

    tcase_add_loop_test(pin, test_pin_keeps_until_unpin, 0, FORMS);
    tcase_add_test(pin, test_acquire_keeps_until_release);
    tcase_add_loop_test(pin, test_pin_and_acquire_are_counted, 0, 2);
    tcase_add_test(pin, test_pin_of_many_addresses_is_counted_for_each);
    tcase_add_test(pin, test_unpin_without_pin_fails_einval);
    tcase_add_test(pin, test_pin_uncollected_memory_fails_einval);
    tcase_add_test(pin, test_release_without_acquire_fails_einval);
    tcase_add_test(pin, test_roots_bad_range_fails_einval);
}

static void
add_actions(Suite *suite)
{
    TCase *seen = add_case(suite, "witnesses", setup_witnesses);
    TCase *tcase = add_case(suite, "on_close", setup);

    tcase_add_test(seen, test_on_close_dropped_runs_each_action_once);
    tcase_add_test(seen, test_on_close_dropped_runs_last_registered_first);
    tcase_add_test(seen, test_on_close_dropped_shows_memory_intact);
    tcase_add_test(seen, test_on_close_dropped_counts_as_closed);
    tcase_add_test(seen, test_on_close_dropped_runs_on_the_librarys_thread);
    tcase_add_test(seen, test_on_close_done_leaves_nothing_pending);
    tcase_add_test(
        tcase, test_on_close_found_by_allocation_runs_on_the_librarys_thread);
    tcase_add_test(tcase,
                   test_on_close_argument_is_kept_until_the_action_has_run);
    tcase_add_test(tcase, test_on_close_argument_in_the_arena_fails_einval);
    tcase_add_test(tcase, test_on_close_null_fails_einval);
    tcase_add_test(tcase,
                   test_on_close_dropped_refuses_the_thread_that_opened_it);
    tcase_add_test(tcase, test_on_close_dropped_refuses_to_resize_in_place);
    tcase_add_test(tcase, test_on_close_action_may_use_the_library);
}

static void
add_alloc(Suite *suite)
{
    TCase *open = add_case(suite, "open", setup);
    TCase *alloc = add_case(suite, "alloc", setup);

    tcase_add_test(open, test_open_gives_accessible_auto_arena);
    tcase_add_test(open, test_open_success_leaves_errno);
    tcase_add_test(open, test_open_and_alloc_are_counted);
    tcase_add_test(open, test_open_name_is_copied);
    tcase_add_test(open, test_close_fails_enotsup_and_arena_stays_usable);
    tcase_add_loop_test(alloc,
                        test_alloc_any_size_is_zero_aligned_and_writable, 0,
                        LENGTH(block_sizes));
    tcase_add_loop_test(alloc, test_alloc_aligned_any_power_of_two_is_aligned,
                        0, 21);
    tcase_add_test(alloc, test_alloc_bad_alignment_fails_einval);
    tcase_add_test(alloc, test_alloc_over_ptrdiff_max_fails_enomem_at_once);
    tcase_add_test(alloc, test_alloc_of_nothing_is_distinct);
    tcase_add_test(alloc, test_alloc_blocks_do_not_overlap);
    tcase_add_test(alloc, test_alloc_in_a_large_arena_holds_little_more);
    tcase_add_test(alloc, test_alloc_copies_and_text);
    tcase_add_test(alloc, test_resize_keeps_contents_and_zeroes_the_rest);
    tcase_add_test(alloc, test_alloc_by_many_threads_gives_each_its_own);
    tcase_add_test(alloc, test_alloc_and_resize_by_a_guest);
    tcase_add_test(alloc, test_resize_then_alloc_at_home_gives_zeroes);
    tcase_add_test(alloc, test_alloc_of_any_size_in_used_memory_gives_zeroes);
    tcase_add_test(alloc, test_of_outside_arenas_is_null_and_leaves_errno);
    tcase_add_test(alloc, test_limit_passed_fails_enomem_with_numbers);
    tcase_add_test(alloc, test_limit_by_small_blocks_is_never_passed);
}

int
main(void)
{
    Suite *suite = suite_create("auto");

    add_reach(suite);
    add_pin(suite);
    add_actions(suite);
    add_alloc(suite);
    return run_suite(suite);
}
