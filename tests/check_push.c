/* check_push.c: arena_push and arena_pop, and blocks of arenas in the hands
 * of free and realloc. */

#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arena/heap.h>

#include "gc_harness.h"
#include "harness.h"
#include "legacy.h"

/* --- Arenas that can be pushed ----------------------------------------- */

static arena_t *
open_traced(arena_kind_t kind, size_t limit)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena;

    options.flags = ARENA_TRACED;
    options.limit = limit;
    arena = arena_open(kind, &options);
    ck_assert_ptr_nonnull(arena);
    return arena;
}

static const arena_kind_t kinds[] = {ARENA_CONFINED, ARENA_SHARED,
                                     ARENA_AUTO};

static void
close_if_explicit(arena_t *arena)
{
    if (arena_kind(arena) != ARENA_AUTO)
        expect_ok(arena_close(arena));
}

/* --- What is taken from it --------------------------------------------- */

/* Remembers much, and frees little of it. */
static size_t
leaky_parse(const char *text)
{
    size_t words = 0, room = 0;
    char **list = NULL, *printed = NULL;

    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        char *copy = arena_malloc(length + 1);

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, text, length);
        copy[length] = '\0';
        if (words == room) {
            room = room == 0 ? 1 : 2 * room;
            list = arena_reallocarray(list, room, sizeof *list);
            ck_assert_ptr_nonnull(list);
        }
        list[words++] = copy;
        ck_assert_ptr_nonnull(arena_legacy_strdup(copy));
        ck_assert_int_gt(arena_legacy_asprintf(&printed, "<%s>", copy), 0);
        if (words % 3 == 0)
            arena_free(copy);
        text += length + (text[length] == ' ');
    }
    return words;
}

#define WORDS_500 500

static char *
long_text(void)
{
    static char text[WORDS_500 * 8];

    text[0] = '\0';
    for (int i = 0; i < WORDS_500; i++)
        sprintf(text + strlen(text), "w%d ", i);
    return text;
}

START_TEST(test_leaky_code_leaves_nothing_behind)
{
    arena_t *warm = open_traced(ARENA_CONFINED, 0), *arena;
    arena_usage_t before;

    /* The heap is there, and the arena's first chunk. */
    arena_free(arena_malloc(1));
    expect_ok(arena_close(warm));
    before = usage_now();
    for (int i = 0; i < 20; i++) {
        arena = open_traced(ARENA_CONFINED, 0);
        expect_ok(arena_push(arena));
        ck_assert_uint_eq(leaky_parse(long_text()), WORDS_500);
        expect_ok(arena_pop());
        ck_assert_uint_gt(arena_bytes(arena), WORDS_500 * 32);
        expect_ok(arena_close(arena));
    }
    expect_usage(before);
}
END_TEST

/* From each of malloc's family, and no other function. */
START_TEST(test_the_family_takes_from_the_arena)
{
    arena_t *arena = open_traced(kinds[_i], 0);
    void *block, *blocks[8];

    expect_ok(arena_push(arena));
    blocks[0] = arena_malloc(100);
    blocks[1] = arena_calloc(7, 100);
    blocks[2] = arena_realloc(NULL, 100);
    blocks[3] = arena_reallocarray(NULL, 3, 100);
    blocks[4] = arena_aligned_alloc(4096, 100);
    ck_assert_int_eq(arena_posix_memalign(&blocks[5], 64, 3000), 0);
    blocks[6] = arena_malloc(0);
    blocks[7] = arena_malloc(300 * KIB);
    for (size_t i = 0; i < LENGTH(blocks); i++) {
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_ptr_eq(arena_of(blocks[i]), arena);
        ck_assert(is_aligned(blocks[i], 16));
    }
    ck_assert(is_aligned(blocks[4], 4096) && is_aligned(blocks[5], 64));
    ck_assert(block_is_zero(blocks[1], 700));
    ck_assert(block_is_zero(blocks[7], 300 * KIB));
    ck_assert_ptr_ne(blocks[6], blocks[5]);
    block = arena_alloc(NULL, 10);
    ck_assert_ptr_eq(arena_of(block), arena_implicit());
    expect_ok(arena_pop());
    ck_assert_ptr_eq(arena_of(block = arena_malloc(10)), arena_implicit());
    arena_free(block);
    close_if_explicit(arena);
}
END_TEST

START_TEST(test_scopes_nest_and_belong_to_a_thread)
{
    arena_t *outer = open_traced(ARENA_CONFINED, 0);
    arena_t *inner = open_traced(ARENA_SHARED, 0);

    expect_ok(arena_push(outer));
    ck_assert_ptr_eq(arena_of(arena_malloc(1)), outer);
    expect_ok(arena_push(inner));
    expect_ok(arena_push(inner));
    ck_assert_ptr_eq(arena_of(arena_malloc(1)), inner);
    expect_ok(arena_pop());
    ck_assert_ptr_eq(arena_of(arena_malloc(1)), inner);
    expect_ok(arena_pop());
    ck_assert_ptr_eq(arena_of(arena_malloc(1)), outer);
    expect_ok(arena_pop());
    expect_fail(arena_pop(), EINVAL, "pushed no arena");
    expect_ok(arena_close(outer));
    expect_ok(arena_close(inner));
}
END_TEST

struct other {
    arena_t *arena;
    void *block;
    struct answer push, pop;
};

static void *
other_main(void *arg)
{
    struct other *other = arg;

    record_answer(&other->push, arena_push(other->arena));
    record_answer(&other->pop, arena_pop());
    other->block = arena_malloc(1);
    return NULL;
}

START_TEST(test_other_threads_take_from_the_heap)
{
    struct other other = {.arena = open_traced(ARENA_CONFINED, 0)};

    expect_ok(arena_push(other.arena));
    run_in_thread(other_main, &other);
    expect_answer(&other.push, EPERM, "another thread");
    expect_answer(&other.pop, EINVAL, "pushed no arena");
    ck_assert_ptr_eq(arena_of(other.block), arena_implicit());
    expect_ok(arena_pop());
    expect_ok(arena_close(other.arena));
    arena_free(other.block);
}
END_TEST

/* What only a block of the arena points to is kept. */
static void *
leave_main(void *arg)
{
    void ***kept = arg;

    for (size_t i = 0; i < HERD; i++) {
        kept[0][i] = arena_alloc(NULL, 200);
        fill_block(kept[0][i], 200, i);
    }
    return NULL;
}

START_TEST(test_blocks_are_searched_for_pointers)
{
    arena_t *arena = open_traced(kinds[_i], 0);
    void **kept;

    expect_ok(arena_push(arena));
    kept = arena_malloc(HERD * sizeof *kept);
    expect_ok(arena_pop());
    run_in_thread(leave_main, &kept);
    collect_times(3);
    for (size_t i = 0; i < HERD; i++)
        ck_assert(block_holds(kept[i], 200, i));
    close_if_explicit(arena);
}
END_TEST

/* --- free -------------------------------------------------------------- */

static void *
free_main(void *block)
{
    errno = ERRNO_UNTOUCHED;
    arena_free(block);
    return errno == ERRNO_UNTOUCHED ? block : NULL;
}

START_TEST(test_free_of_a_block_does_nothing)
{
    arena_t *arena = open_traced(kinds[_i], 0);
    char *first, *block;

    expect_ok(arena_push(arena));
    first = arena_malloc(100);
    block = arena_malloc(5000);
    fill_block(block, 5000, 1);
    ck_assert_ptr_nonnull(free_main(block));
    ck_assert_ptr_nonnull(free_main(block));
    ck_assert_ptr_ne(arena_malloc(5000), block);
    expect_ok(arena_pop());
    ck_assert_ptr_nonnull(free_main(first));
    ck_assert_ptr_nonnull(run_in_thread(free_main, block));
    ck_assert(block_holds(block, 5000, 1));
    close_if_explicit(arena);
}
END_TEST

/* What arena_alloc gave is refused by arena_free, and nothing to free. */
START_TEST(test_free_of_other_blocks_changes_nothing)
{
    arena_t *confined = arena_confined(), *shared = arena_shared();
    arena_t *kept = arena_auto();
    void *blocks[] = {arena_alloc(confined, 50), arena_alloc(shared, 50),
                      arena_alloc(kept, 50),
                      arena_alloc(arena_global(), 50)};

    for (size_t i = 0; i < LENGTH(blocks); i++) {
        fill_block(blocks[i], 50, i);
        errno = 0;
        arena_free(blocks[i]);
        ck_assert_int_eq(errno, EINVAL);
        errno = ERRNO_UNTOUCHED;
        arena_legacy_free(blocks[i]);
        ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
        ck_assert(block_holds(blocks[i], 50, i));
        ck_assert_uint_eq(arena_usable_size(blocks[i]), 0);
    }
    arena_close(confined);
    arena_close(shared);
}
END_TEST

/* --- realloc ----------------------------------------------------------- */

START_TEST(test_last_block_grows_in_place)
{
    arena_t *arena = open_traced(kinds[_i], 0);
    char *block, *again;

    expect_ok(arena_push(arena));
    /* Until a thread takes larger pieces of a shared arena. */
    for (int i = 0; i < 20; i++)
        ck_assert_ptr_nonnull(arena_malloc(100));
    block = arena_malloc(100);
    fill_block(block, 100, 7);
    ck_assert_uint_ge(arena_usable_size(block), 100);
    again = arena_realloc(block, 300);
    ck_assert_ptr_eq(again, block);
    ck_assert_uint_ge(arena_usable_size(block), 300);
    ck_assert_ptr_eq(arena_realloc(block, 10), block);
    arena_malloc(1);
    again = arena_realloc(block, 600);
    ck_assert_ptr_ne(again, block);
    ck_assert_ptr_eq(arena_of(again), arena);
    ck_assert(block_holds(again, 100, 7));
    again = arena_realloc(again, 500 * KIB);
    ck_assert_ptr_eq(arena_of(again), arena);
    ck_assert(block_holds(again, 100, 7));
    ck_assert_ptr_null(arena_realloc(again, 0));
    expect_ok(arena_pop());
    close_if_explicit(arena);
}
END_TEST

/* An aligned one keeps its address, or loses its alignment as elsewhere. */
START_TEST(test_aligned_blocks_are_reallocated)
{
    arena_t *arena = open_traced(kinds[_i], 0);

    expect_ok(arena_push(arena));
    for (size_t align = 16; align <= 8192; align *= 2) {
        char *block = arena_aligned_alloc(align, 100), *again;

        ck_assert(is_aligned(block, align));
        ck_assert_uint_ge(arena_usable_size(block), 100);
        fill_block(block, 100, align);
        arena_free(block);
        memset(block + 100, 0, arena_usable_size(block) - 100);
        again = arena_realloc(block, 3000);
        ck_assert(block_holds(again, 100, align));
    }
    expect_ok(arena_pop());
    close_if_explicit(arena);
}
END_TEST

START_TEST(test_block_moves_to_where_malloc_takes_from)
{
    arena_t *arena = open_traced(kinds[_i], 0);
    arena_t *other = open_traced(ARENA_SHARED, 0);
    char *block, *moved;

    expect_ok(arena_push(arena));
    block = arena_malloc(100);
    fill_block(block, 100, 3);
    expect_ok(arena_pop());
    /* Even when it would fit. */
    moved = arena_realloc(block, 50);
    ck_assert_ptr_eq(arena_of(moved), arena_implicit());
    ck_assert(block_holds(moved, 50, 3));
    arena_free(moved);
    expect_ok(arena_push(other));
    moved = arena_realloc(block, 2000);
    ck_assert_ptr_eq(arena_of(moved), other);
    ck_assert(block_holds(moved, 100, 3));
    expect_ok(arena_pop());
    close_if_explicit(arena);
    ck_assert(block_holds(moved, 100, 3));
    expect_ok(arena_close(other));
}
END_TEST

/* The outer arena may live for longer. */
START_TEST(test_block_stays_with_the_outer_scope)
{
    arena_t *outer = open_traced(ARENA_SHARED, 0);
    arena_t *inner = open_traced(ARENA_CONFINED, 0);
    char *block, *heap = arena_malloc(100);

    fill_block(heap, 100, 8);
    expect_ok(arena_push(outer));
    block = arena_malloc(100);
    fill_block(block, 100, 9);
    arena_malloc(1);
    expect_ok(arena_push(inner));
    block = arena_realloc(block, 5000);
    ck_assert_ptr_eq(arena_of(block), outer);
    heap = arena_realloc(heap, 5000);
    ck_assert_ptr_eq(arena_of(heap), arena_implicit());
    expect_ok(arena_pop());
    expect_ok(arena_close(inner));
    ck_assert(block_holds(block, 100, 9) && block_holds(heap, 100, 8));
    expect_ok(arena_pop());
    expect_ok(arena_close(outer));
    arena_free(heap);
}
END_TEST

static void *
grow_main(void *block)
{
    return arena_realloc(block, 5000);
}

START_TEST(test_block_is_reallocated_on_another_thread)
{
    arena_t *arena = open_traced(kinds[_i], 0);
    char *block, *moved;

    expect_ok(arena_push(arena));
    block = arena_malloc(1000);
    fill_block(block, 1000, 3);
    expect_ok(arena_pop());
    moved = run_in_thread(grow_main, block);
    ck_assert_ptr_eq(arena_of(moved), arena_implicit());
    ck_assert(block_holds(moved, 1000, 3));
    arena_free(moved);
    close_if_explicit(arena);
}
END_TEST

/* Their size is not known: all up to the end of the chunk may be theirs. */
START_TEST(test_blocks_without_a_header_are_copied)
{
    static const size_t sizes[] = {1, 100, 4000, 5000, 100000, 1100000};
    arena_t *arenas[] = {arena_confined(), arena_shared(), arena_auto(),
                         arena_global(), open_traced(ARENA_CONFINED, 0),
                         open_traced(ARENA_AUTO, 0)};

    for (size_t i = 0; i < LENGTH(arenas); i++)
        for (size_t j = 0; j < LENGTH(sizes); j++) {
            char *block = arena_alloc(arenas[i], sizes[j]), *moved;

            fill_block(block, sizes[j], i);
            moved = arena_realloc(block, 2 * sizes[j] + 7000);
            ck_assert_ptr_eq(arena_of(moved), arena_implicit());
            ck_assert(block_holds(moved, sizes[j], i));
            arena_free(moved);
        }
    for (size_t i = 0; i < LENGTH(arenas); i++)
        if (arena_kind(arenas[i]) == ARENA_CONFINED
            || arena_kind(arenas[i]) == ARENA_SHARED)
            expect_ok(arena_close(arenas[i]));
}
END_TEST

static void *
refused_main(void *arg)
{
    struct other *other = arg;

    record_answer(&other->push, arena_realloc(other->block, 100));
    return NULL;
}

START_TEST(test_block_of_unknown_size_elsewhere_is_refused)
{
    struct other other = {.arena = arena_confined()};

    other.block = arena_alloc(other.arena, 10);
    run_in_thread(refused_main, &other);
    expect_answer(&other.push, EPERM, "another thread");
    expect_ok(arena_close(other.arena));
}
END_TEST

/* A header that earlier contents left is none. */
START_TEST(test_old_headers_do_not_count)
{
    arena_t *arena = open_traced(ARENA_CONFINED, 0);
    arena_mark_t mark;
    char *block, *old, *moved;

    for (int round = 0; round < 2; round++) {
        expect_ok(arena_mark(arena, &mark));
        expect_ok(arena_push(arena));
        old = arena_malloc(10);
        expect_ok(arena_pop());
        if (round == 0)
            expect_ok(arena_rewind(arena, mark));
        else
            expect_ok(arena_reset(arena));
        if (round == 1)
            expect_ok(arena_mark(arena, &mark));
        ck_assert_ptr_nonnull(arena_alloc_uninit(arena, 16));
        block = arena_alloc_uninit(arena, 500);
        ck_assert_ptr_eq(block, old);
        fill_block(block, 500, 5);
        ck_assert_uint_eq(arena_usable_size(block), 0);
        moved = arena_realloc(block, 600);
        ck_assert(block_holds(moved, 500, 5));
        arena_free(moved);
        expect_ok(arena_reset(arena));
    }
    expect_ok(arena_close(arena));
}
END_TEST

/* --- Faults ------------------------------------------------------------ */

START_TEST(test_push_refuses_what_cannot_serve)
{
    arena_t *plain = arena_confined(), *shared = arena_shared();
    arena_t *traced = open_traced(ARENA_CONFINED, 0);

    expect_fail(arena_push(NULL), EINVAL, "no arena");
    expect_fail(arena_push(plain), EINVAL, "ARENA_TRACED");
    expect_fail(arena_push(shared), EINVAL, "ARENA_TRACED");
    expect_fail(arena_push(arena_auto()), EINVAL, "ARENA_TRACED");
    expect_fail(arena_push(arena_global()), EINVAL, "ARENA_TRACED");
    expect_fail(arena_push(arena_implicit()), EINVAL, "ARENA_TRACED");
    expect_ok(arena_close(traced));
    expect_fail(arena_push(traced), ESTALE, "closed");
    expect_fail(arena_pop(), EINVAL, "pushed no arena");
    expect_ok(arena_close(plain));
    expect_ok(arena_close(shared));
}
END_TEST

/* Though its control block may serve another arena by then. */
START_TEST(test_malloc_fails_when_the_arena_is_closed)
{
    arena_t *arena = open_traced(ARENA_CONFINED, 0), *later = NULL;

    expect_ok(arena_push(arena));
    expect_ok(arena_close(arena));
    expect_fail(arena_malloc(1), ENOMEM, "closed");
    for (int i = 0; i < 1000 && later != arena; i++) {
        later = open_traced(ARENA_CONFINED, 0);
        if (later != arena)
            expect_ok(arena_close(later));
    }
    ck_assert_ptr_eq(later, arena);
    expect_fail(arena_malloc(1), ENOMEM, "closed");
    expect_fail(arena_calloc(1, 1), ENOMEM, "closed");
    expect_fail(arena_realloc(NULL, 1), ENOMEM, "closed");
    expect_fail(arena_aligned_alloc(64, 1), ENOMEM, "closed");
    expect_ok(arena_pop());
    ck_assert_ptr_eq(arena_of(arena_malloc(1)), arena_implicit());
    expect_ok(arena_close(later));
}
END_TEST

START_TEST(test_malloc_goes_on_in_an_arena_that_was_reset)
{
    arena_t *arena = open_traced(ARENA_SHARED, 0);

    expect_ok(arena_push(arena));
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_eq(arena_of(arena_malloc(10)), arena);
        expect_ok(arena_reset(arena));
    }
    expect_ok(arena_pop());
    expect_ok(arena_close(arena));
}
END_TEST

START_TEST(test_malloc_fails_over_the_limit)
{
    arena_t *arena = open_traced(kinds[_i], 256 * KIB);
    char *block = NULL;
    size_t count = 0;

    expect_ok(arena_push(arena));
    while ((block = arena_malloc(1000)) != NULL && count < 1000)
        count++;
    ck_assert_uint_gt(count, 50);
    ck_assert_uint_lt(count, 260);
    expect_fail(arena_malloc(100000), ENOMEM, "limit");
    expect_fail(arena_malloc(SIZE_MAX - opaque_size(100)), ENOMEM, "large");
    expect_fail(arena_malloc(opaque_size(PTRDIFF_MAX)), ENOMEM, "large");
    expect_fail(arena_calloc(SIZE_MAX / 2, opaque_size(3)), ENOMEM, "large");
    expect_fail(arena_aligned_alloc(SIZE_MAX / 2 + 1, opaque_size(1)),
                ENOMEM, "large");
    expect_fail(arena_aligned_alloc(opaque_size(48), 1), EINVAL, "power");
    ck_assert_int_eq(arena_posix_memalign((void **)&block, 64, 100000),
                     ENOMEM);
    expect_ok(arena_pop());
    ck_assert_ptr_nonnull(arena_malloc(100000));
    close_if_explicit(arena);
}
END_TEST

/* The block stays what it was. */
START_TEST(test_realloc_fails_over_the_limit)
{
    arena_t *arena = open_traced(ARENA_CONFINED, 256 * KIB);
    char *block;

    expect_ok(arena_push(arena));
    block = arena_malloc(1000);
    fill_block(block, 1000, 4);
    expect_fail(arena_realloc(block, 300 * KIB), ENOMEM, "limit");
    expect_fail(arena_realloc(block, SIZE_MAX - opaque_size(8)), ENOMEM,
                "large");
    ck_assert(block_holds(block, 1000, 4));
    expect_ok(arena_pop());
    expect_ok(arena_close(arena));
}
END_TEST

/* --- Threads and processes that end ------------------------------------ */

static _Atomic size_t closed;

static void
count_close(void *arg)
{
    (void)arg;
    atomic_fetch_add(&closed, 1);
}

static void *
push_and_end_main(void *arg)
{
    for (size_t i = 0; i < 100; i++) {
        arena_t *arena = open_traced(ARENA_AUTO, 0);

        if (arena_on_close(arena, count_close, NULL) != 0
            || arena_push(arena) != 0 || arena_malloc(100) == NULL)
            return NULL;
    }
    return arg;
}

START_TEST(test_thread_that_ends_leaves_no_scopes)
{
    static int done;

    atomic_store(&closed, 0);
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_eq(run_in_thread(push_and_end_main, &done), &done);
    for (int i = 0; i < COLLECTIONS_MOST && atomic_load(&closed) < 300; i++) {
        collect_scrubbed();
        sleep_ms(5);
    }
    expect_nearly_all(atomic_load(&closed), (size_t)300);
}
END_TEST

static void *
hold_main(void *arg)
{
    arena_t *arena = open_traced(ARENA_AUTO, 0);
    uintptr_t *hidden = arg;

    if (arena_on_close(arena, count_close, NULL) != 0
        || arena_push(arena) != 0)
        return NULL;
    *hidden = hide(arena);
    arena = NULL;
    collect_times(5);
    sleep_ms(20);
    return arena_of(arena_malloc(10)) == reveal(*hidden) ? arg : NULL;
}

START_TEST(test_pushed_auto_arena_is_kept)
{
    uintptr_t *hidden = malloc(sizeof *hidden);

    atomic_store(&closed, 0);
    ck_assert_ptr_eq(run_in_thread(hold_main, hidden), hidden);
    free(hidden);
}
END_TEST

struct forked {
    arena_t *shared;
    pthread_barrier_t gate;
};

static void *
forked_main(void *arg)
{
    struct forked *forked = arg;

    arena_push(forked->shared);
    barrier_wait(&forked->gate);
    barrier_wait(&forked->gate);
    arena_pop();
    return NULL;
}

static void *
plain_main(void *arg)
{
    return arena_of(arena_malloc(1)) == arena_implicit() ? arg : NULL;
}

/* The thread that forked keeps its scopes; those of others are no one's. */
static int
in_child(arena_t *arena)
{
    static int any;

    if (arena_of(arena_malloc(10)) != arena || arena_pop() != 0
        || arena_of(arena_malloc(10)) != arena_implicit())
        return 1;
    for (int i = 0; i < 3; i++)
        if (run_in_thread(plain_main, &any) != &any)
            return 2;
    return arena_close(arena) == 0 ? 0 : 3;
}

START_TEST(test_child_keeps_the_scopes_of_its_thread)
{
    arena_t *arena = open_traced(ARENA_CONFINED, 0);
    struct forked forked = {.shared = open_traced(ARENA_SHARED, 0)};
    pthread_t thread;
    int status;
    pid_t child;

    barrier_init(&forked.gate, 2);
    /* The one function of legacy.h that is not weak: it brings the others. */
    ck_assert_int_eq(arena_pthread_create(&thread, NULL, forked_main,
                                          &forked),
                     0);
    barrier_wait(&forked.gate);
    expect_ok(arena_push(arena));
    child = fork();
    if (child == 0)
        _exit(in_child(arena));
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_ptr_eq(arena_of(arena_malloc(10)), arena);
    expect_ok(arena_pop());
    barrier_wait(&forked.gate);
    join_thread(thread);
    expect_ok(arena_close(arena));
    expect_ok(arena_close(forked.shared));
}
END_TEST

/* --- Many threads in one shared arena ---------------------------------- */

struct team {
    arena_t *shared;
    _Atomic size_t faults;
};

static void
team_main(void *state, size_t index)
{
    struct team *team = state;
    char *kept = NULL;

    if (arena_push(team->shared) != 0)
        atomic_fetch_add(&team->faults, 1);
    for (size_t i = 0; i < 2000; i++) {
        size_t size = 1 + (i * 37 + index) % 700;
        char *block = arena_malloc(size);

        if (block == NULL || arena_of(block) != team->shared
            || !block_is_zero(block, size)) {
            atomic_fetch_add(&team->faults, 1);
            break;
        }
        fill_block(block, size, index);
        kept = arena_realloc(block, 2 * size);
        if (kept == NULL || !block_holds(kept, size, index))
            atomic_fetch_add(&team->faults, 1);
        arena_free(kept);
    }
    if (arena_pop() != 0)
        atomic_fetch_add(&team->faults, 1);
}

START_TEST(test_threads_share_a_pushed_arena)
{
    struct team team = {.shared = open_traced(ARENA_SHARED, 0)};

    run_team(4, team_main, &team);
    ck_assert_uint_eq(atomic_load(&team.faults), 0);
    expect_ok(arena_close(team.shared));
}
END_TEST

/* --- The suite --------------------------------------------------------- */

static Suite *
push_suite(void)
{
    Suite *s = suite_create("push");
    TCase *taking = tcase_create("taking");
    TCase *freeing = tcase_create("freeing");
    TCase *faults = tcase_create("faults");
    TCase *ends = tcase_create("ends");
    int all = LENGTH(kinds);

    tcase_set_timeout(taking, 10);
    tcase_set_timeout(freeing, 10);
    tcase_set_timeout(faults, 10);
    tcase_set_timeout(ends, 10);
    tcase_add_test(taking, test_leaky_code_leaves_nothing_behind);
    tcase_add_loop_test(taking, test_the_family_takes_from_the_arena, 0, all);
    tcase_add_test(taking, test_scopes_nest_and_belong_to_a_thread);
    tcase_add_test(taking, test_other_threads_take_from_the_heap);
    tcase_add_loop_test(taking, test_blocks_are_searched_for_pointers, 0,
                        all);
    suite_add_tcase(s, taking);

    tcase_add_loop_test(freeing, test_free_of_a_block_does_nothing, 0, all);
    tcase_add_test(freeing, test_free_of_other_blocks_changes_nothing);
    tcase_add_loop_test(freeing, test_last_block_grows_in_place, 0, all);
    tcase_add_loop_test(freeing, test_aligned_blocks_are_reallocated, 0, all);
    tcase_add_loop_test(freeing, test_block_moves_to_where_malloc_takes_from,
                        0, all);
    tcase_add_test(freeing, test_block_stays_with_the_outer_scope);
    tcase_add_loop_test(freeing, test_block_is_reallocated_on_another_thread,
                        0, all);
    tcase_add_test(freeing, test_blocks_without_a_header_are_copied);
    tcase_add_test(freeing, test_block_of_unknown_size_elsewhere_is_refused);
    tcase_add_test(freeing, test_old_headers_do_not_count);
    suite_add_tcase(s, freeing);

    tcase_add_test(faults, test_push_refuses_what_cannot_serve);
    tcase_add_test(faults, test_malloc_fails_when_the_arena_is_closed);
    tcase_add_test(faults, test_malloc_goes_on_in_an_arena_that_was_reset);
    tcase_add_loop_test(faults, test_malloc_fails_over_the_limit, 0, all);
    tcase_add_test(faults, test_realloc_fails_over_the_limit);
    suite_add_tcase(s, faults);

    tcase_add_test(ends, test_thread_that_ends_leaves_no_scopes);
    tcase_add_test(ends, test_pushed_auto_arena_is_kept);
    tcase_add_test(ends, test_child_keeps_the_scopes_of_its_thread);
    tcase_add_test(ends, test_threads_share_a_pushed_arena);
    suite_add_tcase(s, ends);
    return s;
}

int
main(void)
{
    return run_suite(push_suite());
}
