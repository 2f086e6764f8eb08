/* check_phantom.c: phantom references and their queues. */

#include <arena/heap.h>
#include <arena/buffer.h>
#include <arena/phantom.h>

#include "gc_harness.h"

static arena_queue_t *queue;

static void
setup(void)
{
    expect_ok(arena_thread_attach());
    expect_ok(arena_set_roots(ARENA_ROOTS_PRECISE));
    expect_ok(queue = arena_queue_new());
}

static void
teardown(void)
{
    arena_phantom_t *phantom;

    while ((phantom = arena_queue_poll(queue)) != NULL)
        arena_phantom_free(phantom);
    arena_queue_free(queue);
}

/* Free all that are in the queue; how many there were. */
static size_t
queue_drain(void)
{
    arena_phantom_t *phantom;
    size_t count = 0;

    for (; (phantom = arena_queue_poll(queue)) != NULL; count++)
        arena_phantom_free(phantom);
    return count;
}

/* A block that a pointer in a volatile place keeps. */
static void *volatile kept;

static void *
keep_block(size_t size)
{
    expect_ok(kept = arena_alloc(NULL, size));
    return kept;
}

/* --- Making one --- */

START_TEST(test_new_null_referent_is_clear_and_can_be_enqueued)
{
    int data;
    arena_phantom_t *phantom;

    expect_ok(phantom = arena_phantom_new(NULL, queue, &data));
    ck_assert(arena_phantom_refers_to(phantom, NULL));
    ck_assert(!arena_phantom_refers_to(phantom, &data));
    ck_assert_ptr_eq(arena_phantom_data(phantom), &data);
    collect_times(2);
    ck_assert_ptr_null(arena_queue_poll(queue));
    ck_assert(arena_phantom_enqueue(phantom));
    ck_assert(!arena_phantom_enqueue(phantom));
    ck_assert_ptr_eq(arena_queue_poll(queue), phantom);
    ck_assert(!arena_phantom_enqueue(phantom));
    arena_phantom_free(phantom);
}
END_TEST

START_TEST(test_new_of_memory_that_is_not_collected_fails_einval)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    void *block = malloc(100);
    arena_t *traced, *plain;
    int local = 0;

    options.flags = ARENA_TRACED;
    expect_ok(traced = arena_open(ARENA_CONFINED, &options));
    expect_ok(plain = arena_shared());
    expect_fail(arena_phantom_new(block, queue, NULL), EINVAL, "collected");
    expect_fail(arena_phantom_new(&local, queue, NULL), EINVAL, "");
    expect_fail(arena_phantom_new(&queue, queue, NULL), EINVAL, "");
    expect_fail(arena_phantom_new(traced, queue, NULL), EINVAL, "");
    expect_fail(arena_phantom_new(arena_alloc(traced, 100), queue, NULL),
                EINVAL, "");
    expect_fail(arena_phantom_new(arena_alloc(plain, 100), queue, NULL),
                EINVAL, "");
    expect_fail(arena_phantom_new(arena_alloc(arena_global(), 100), queue,
                                  NULL),
                EINVAL, "");
    expect_fail(arena_phantom_new((void *)8, queue, NULL), EINVAL, "");
    expect_ok(arena_close(traced));
    expect_ok(arena_close(plain));
    free(block);
}
END_TEST

START_TEST(test_new_data_into_the_referent_fails_einval)
{
    char *block = keep_block(1000);
    arena_t *arena = arena_auto();
    char *heap = arena_malloc(100);

    expect_fail(arena_phantom_new(block, queue, block), EINVAL, "never die");
    expect_fail(arena_phantom_new(block, queue, block + 999), EINVAL, "");
    expect_fail(arena_phantom_new(arena, queue, arena_alloc(arena, 5000)),
                EINVAL, "");
    expect_fail(arena_phantom_new(arena_alloc(arena, 8), queue, arena),
                EINVAL, "");
    expect_fail(arena_phantom_new(heap, queue, heap + 50), EINVAL, "");
    arena_keep_alive(arena);
    arena_keep_alive(heap);
}
END_TEST

START_TEST(test_refers_to_knows_the_referent_by_any_pointer_into_it)
{
    char *block = keep_block(100000), *other = arena_alloc(NULL, 100);
    arena_t *arena = arena_auto();
    char *inside = arena_alloc(arena, 5000);
    arena_phantom_t *of_block, *of_arena;

    expect_ok(of_block = arena_phantom_new(block + 50, queue, NULL));
    expect_ok(of_arena = arena_phantom_new(inside + 10, queue, NULL));
    ck_assert(arena_phantom_refers_to(of_block, block));
    ck_assert(arena_phantom_refers_to(of_block, block + 99999));
    ck_assert(!arena_phantom_refers_to(of_block, other));
    ck_assert(!arena_phantom_refers_to(of_block, NULL));
    ck_assert(!arena_phantom_refers_to(of_block, &block));
    ck_assert(arena_phantom_refers_to(of_arena, arena));
    ck_assert(arena_phantom_refers_to(of_arena, arena_alloc(arena, 20000)));
    ck_assert(!arena_phantom_refers_to(of_arena, block));
    collect_times(2);
    ck_assert(arena_phantom_refers_to(of_block, block));
    ck_assert(arena_phantom_refers_to(of_arena, inside));
    arena_keep_alive(arena);
    arena_keep_alive(other);
    arena_phantom_free(of_block);
    arena_phantom_free(of_arena);
}
END_TEST

START_TEST(test_calls_with_null_do_nothing)
{
    errno = ERRNO_UNTOUCHED;
    arena_phantom_clear(NULL);
    arena_phantom_free(NULL);
    arena_queue_free(NULL);
    ck_assert_ptr_null(arena_phantom_data(NULL));
    ck_assert(!arena_phantom_refers_to(NULL, NULL));
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    ck_assert(!arena_phantom_enqueue(NULL));
    ck_assert_int_eq(errno, EINVAL);
    expect_fail(arena_queue_poll(NULL), EINVAL, "");
    expect_fail(arena_queue_remove(NULL, 0), EINVAL, "");
    expect_fail(arena_queue_remove(NULL, -1), EINVAL, "");
}
END_TEST

/* --- Letting go by hand --- */

START_TEST(test_clear_then_enqueue_still_succeeds_once)
{
    arena_phantom_t *phantom;
    void *block = keep_block(64);

    expect_ok(phantom = arena_phantom_new(block, queue, NULL));
    arena_phantom_clear(phantom);
    arena_phantom_clear(phantom);
    ck_assert(arena_phantom_refers_to(phantom, NULL));
    ck_assert(!arena_phantom_refers_to(phantom, block));
    ck_assert_ptr_null(arena_queue_poll(queue));
    ck_assert(arena_phantom_enqueue(phantom));
    ck_assert(!arena_phantom_enqueue(phantom));
    ck_assert_ptr_eq(arena_queue_poll(queue), phantom);
    arena_phantom_free(phantom);
}
END_TEST

START_TEST(test_enqueue_lets_go_of_a_living_referent)
{
    arena_phantom_t *phantom;
    void *block = keep_block(64);

    expect_ok(phantom = arena_phantom_new(block, queue, NULL));
    ck_assert(arena_phantom_enqueue(phantom));
    ck_assert(arena_phantom_refers_to(phantom, NULL));
    arena_phantom_clear(phantom); /* stays where it is */
    ck_assert(!arena_phantom_enqueue(phantom));
    ck_assert_ptr_eq(arena_queue_poll(queue), phantom);
    kept = NULL;
    block = NULL;
    collect_times(3);
    ck_assert_ptr_null(arena_queue_poll(queue));
    arena_phantom_free(phantom);
}
END_TEST

START_TEST(test_enqueue_without_a_queue_is_false_and_lets_go)
{
    arena_phantom_t *phantom;
    void *block = keep_block(64);

    expect_ok(phantom = arena_phantom_new(block, NULL, NULL));
    errno = ERRNO_UNTOUCHED;
    ck_assert(!arena_phantom_enqueue(phantom));
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
    ck_assert(arena_phantom_refers_to(phantom, NULL));
    ck_assert(!arena_phantom_enqueue(phantom));
    arena_phantom_free(phantom);
}
END_TEST

START_TEST(test_free_leaves_the_queue_and_forgets_the_referent)
{
    arena_phantom_t *phantoms[3];
    void *block = keep_block(64);

    for (size_t i = 0; i < 3; i++)
        expect_ok(phantoms[i] = arena_phantom_new(block, queue, NULL));
    for (size_t i = 0; i < 3; i++)
        ck_assert(arena_phantom_enqueue(phantoms[i]));
    arena_phantom_free(phantoms[1]);
    ck_assert_ptr_eq(arena_queue_poll(queue), phantoms[0]);
    ck_assert_ptr_eq(arena_queue_poll(queue), phantoms[2]);
    ck_assert_ptr_null(arena_queue_poll(queue));
    arena_phantom_free(phantoms[0]);
    arena_phantom_free(phantoms[2]);
}
END_TEST

/* --- Death --- */

#define PHANTOMS 1000

/* Referents of one kind, each with a phantom; some are kept in a table. */
struct flock {
    void *(*make)(size_t size);
    size_t size, count, every; /* each every-th dies; 1: all */
    size_t refused;
    size_t phantoms; /* of each */
    arena_queue_t *queue;
    arena_phantom_t *phantom[PHANTOMS]; /* the first of each */
};

static struct flock flock;
static void *volatile flock_table[PHANTOMS];

static void *
make_implicit(size_t size)
{
    return arena_alloc(NULL, size);
}

static void *
make_heap(size_t size)
{
    return arena_malloc(size);
}

static void *
make_auto(size_t size)
{
    arena_t *arena = arena_auto();

    return arena != NULL ? arena_alloc(arena, size) : NULL;
}

static void *
flock_build_main(void *arg)
{
    struct flock *f = arg;

    for (size_t i = 0; i < f->count; i++) {
        void *referent = f->make(f->size);

        f->refused += referent == NULL;
        for (size_t j = 0; j < f->phantoms; j++) {
            arena_phantom_t *phantom =
                arena_phantom_new(referent, f->queue, (void *)(i + 1));

            f->refused += phantom == NULL;
            if (j == 0)
                f->phantom[i] = phantom;
        }
        if (i % f->every != 0)
            flock_table[i] = referent;
    }
    return NULL;
}

static void
flock_build(void *(*make)(size_t size), size_t size, size_t count,
            size_t every, size_t phantoms)
{
    flock = (struct flock){.make = make, .size = size, .count = count,
                           .every = every, .phantoms = phantoms,
                           .queue = queue};
    run_in_thread(flock_build_main, &flock);
    ck_assert_uint_eq(flock.refused, 0);
}

/* Empty the queue; how many phantoms of dropped ones were in it, and that
 * none of a kept one was. */
static size_t
flock_notified(void)
{
    arena_phantom_t *phantom;
    size_t dead = 0;

    for (; (phantom = arena_queue_poll(queue)) != NULL; dead++) {
        size_t i = (size_t)(uintptr_t)arena_phantom_data(phantom) - 1;

        ck_assert_uint_eq(i % flock.every, 0);
        ck_assert(arena_phantom_refers_to(phantom, NULL));
        ck_assert(!arena_phantom_enqueue(phantom));
        arena_phantom_free(phantom);
    }
    return dead;
}

static void
flock_drop(void)
{
    for (size_t i = 0; i < PHANTOMS; i++)
        flock_table[i] = NULL;
}

static const struct referent {
    void *(*make)(size_t size);
    size_t size, count;
} referents[] = {
    {make_implicit, 16, 960},        {make_implicit, 100, 960},
    {make_implicit, 700, 960},       {make_implicit, 2048, 480},
    {make_implicit, 20 * KIB, 160},  {make_implicit, MIB, 48},
    {make_heap, 16, 960},            {make_heap, 100, 960},
    {make_heap, 700, 960},           {make_heap, 2048, 480},
    {make_heap, 20 * KIB, 160},      {make_heap, MIB, 48},
    {make_auto, 16, 960},            {make_auto, 3000, 480},
    {make_auto, 100 * KIB, 96},
};

/* Alone, and one in sixteen (of few: in four) among living ones. */
START_TEST(test_death_all_are_told_within_two_collections)
{
    const struct referent *r = &referents[_i / 2];
    size_t every = _i % 2 == 0 ? 1 : r->count < PHANTOMS / 4 ? 4 : 16, told;

    flock_build(r->make, r->size, r->count, every, 1);
    collect_scrubbed();
    told = flock_notified();
    collect_scrubbed();
    told += flock_notified();
    expect_nearly_all(told, r->count / every);
    collect_times(2);
    ck_assert_uint_le(flock_notified() + told, r->count / every); /* once */
    flock_drop();
}
END_TEST

START_TEST(test_death_tells_all_phantoms_of_a_referent)
{
    size_t told;

    flock_build(make_implicit, 40, 100, 1, 7);
    collect_times(2);
    told = flock_notified();
    ck_assert_uint_eq(told % 7, 0);
    expect_nearly_all(told / 7, 100);
}
END_TEST

START_TEST(test_death_without_a_queue_clears)
{
    arena_queue_t *no_queue = queue;
    size_t clear = 0;

    queue = NULL;
    flock_build(make_implicit, 40, 300, 1, 1);
    queue = no_queue;
    collect_times(2);
    for (size_t i = 0; i < 300; i++) {
        clear += arena_phantom_refers_to(flock.phantom[i], NULL);
        ck_assert(!arena_phantom_enqueue(flock.phantom[i]));
        arena_phantom_free(flock.phantom[i]);
    }
    expect_nearly_all(clear, 300);
}
END_TEST

START_TEST(test_death_after_clear_or_free_is_not_told)
{
    flock_build(make_implicit, 40, 300, 1, 1);
    for (size_t i = 0; i < 300; i++) {
        if (i % 2 == 0)
            arena_phantom_clear(flock.phantom[i]);
        else
            arena_phantom_free(flock.phantom[i]);
    }
    collect_times(3);
    ck_assert_ptr_null(arena_queue_poll(queue));
    for (size_t i = 0; i < 300; i += 2)
        ck_assert(arena_phantom_enqueue(flock.phantom[i]));
    ck_assert_uint_eq(queue_drain(), 150);
}
END_TEST

/* Linked blocks, in chains of so many: each has a phantom, and who is kept by
 * chance keeps those behind it. */
#define CHAIN 20

static void *
chain_main(void *arg)
{
    void **previous = NULL;

    for (size_t i = 0; i < 200; i++) {
        void **block = arena_malloc(64);

        if (i % CHAIN == 0)
            previous = NULL;
        *block = previous;
        previous = block;
        (void)arena_phantom_new(block, queue, NULL);
    }
    return arg;
}

static void *
cycles_main(void *arg)
{
    for (size_t i = 0; i < 100; i++) {
        void **one = arena_malloc(64), **other = arena_malloc(3000);

        *one = other;
        *other = one;
        (void)arena_phantom_new(one, queue, NULL);
        (void)arena_phantom_new(other, queue, NULL);
    }
    return arg;
}

START_TEST(test_death_of_a_chain_is_told_in_one_collection)
{
    size_t told;

    run_in_thread(chain_main, NULL);
    collect_scrubbed();
    told = queue_drain();
    ck_assert_uint_ge(told + LEFT_MOST * CHAIN, 200);
    ck_assert_uint_le(told, 200);
}
END_TEST

START_TEST(test_death_of_cycles_is_told_in_one_collection)
{
    run_in_thread(cycles_main, NULL);
    collect_scrubbed();
    expect_nearly_all(queue_drain(), 200);
}
END_TEST

/* Data is another referent, which lives as long as the phantom. */
static void *
data_main(void *arg)
{
    for (size_t i = 0; i < 100; i++) {
        char *data = arena_alloc(NULL, 100);

        fill_block(data, 100, i);
        flock.phantom[i] =
            arena_phantom_new(arena_alloc(NULL, 50), NULL, data);
        (void)arena_phantom_new(data, queue, NULL);
    }
    return arg;
}

START_TEST(test_data_is_kept_until_the_phantom_is_freed)
{
    run_in_thread(data_main, NULL);
    collect_times(3);
    ck_assert_ptr_null(arena_queue_poll(queue));
    for (size_t i = 0; i < 100; i++) {
        ck_assert(block_holds(arena_phantom_data(flock.phantom[i]), 100, i));
        arena_phantom_free(flock.phantom[i]);
    }
    scrub();
    stir();
    expect_nearly_all(queue_drain(), 100);
}
END_TEST

/* An arena with a close action dies in two collections, and is told once. */
static atomic_int closed;

static void
close_note(void *arg)
{
    (void)arg;
    atomic_fetch_add(&closed, 1);
}

static void *
arenas_main(void *arg)
{
    for (size_t i = 0; i < 200; i++) {
        arena_t *arena = arena_auto();

        (void)arena_on_close(arena, close_note, NULL);
        (void)arena_phantom_new(arena, queue, NULL);
        arena_keep_alive(arena);
    }
    return arg;
}

START_TEST(test_death_of_an_arena_with_actions_is_told_once)
{
    atomic_store(&closed, 0);
    run_in_thread(arenas_main, NULL);
    collect_scrubbed();
    expect_nearly_all(queue_drain(), 200);
    expect_nearly_all((size_t)atomic_load(&closed), 200);
    collect_times(3);
    ck_assert_uint_le(queue_drain(), kept_by_chance(200));
}
END_TEST

/* --- Freeing by hand --- */

START_TEST(test_arena_free_tells_at_once)
{
    for (size_t i = 0; i < 200; i++) {
        size_t size = i * i;
        char *block =
            i % 2 == 0 ? arena_malloc(size) : arena_alloc(NULL, size);
        arena_phantom_t *phantom;

        if (i % 4 < 2)
            memset(block, 'x', size); /* others look as if they were free */
        expect_ok(phantom = arena_phantom_new(block, queue, NULL));
        arena_free(block);
        ck_assert(arena_phantom_refers_to(phantom, NULL));
        ck_assert_ptr_eq(arena_queue_poll(queue), phantom);
        arena_phantom_free(phantom);
    }
    collect_times(2);
    ck_assert_ptr_null(arena_queue_poll(queue));
}
END_TEST

/* The payload of one in three is in its handle. */
START_TEST(test_buffer_freed_by_hand_tells_at_once_and_only_once)
{
    for (size_t i = 0; i < 200; i++) {
        arena_buffer_t *buffer =
            arena_buffer_allocate(i % 3 == 0 ? 64 : 64 * KIB);
        arena_buffer_t *view;
        arena_phantom_t *phantom;

        expect_ok(buffer);
        expect_ok(view = arena_buffer_duplicate(buffer));
        expect_ok(phantom = arena_phantom_new(buffer, queue, NULL));
        ck_assert_ptr_null(arena_queue_poll(queue));
        ck_assert(arena_phantom_refers_to(phantom, buffer));
        expect_fail(arena_buffer_free(view), EINVAL, "");
        ck_assert_ptr_null(arena_queue_poll(queue));
        expect_ok(arena_buffer_free(buffer));
        ck_assert_ptr_eq(arena_queue_poll(queue), phantom);
        expect_ok(arena_buffer_free(buffer));
        arena_phantom_free(phantom);
    }
    collect_times(2);
    ck_assert_ptr_null(arena_queue_poll(queue));
}
END_TEST

static void *
dropped_buffers_main(void *arg)
{
    for (size_t i = 0; i < 300; i++) {
        arena_buffer_t *buffer = arena_buffer_allocate(i * 16);

        expect_ok(buffer);
        expect_ok(arena_phantom_new(buffer, queue, NULL));
    }
    return arg;
}

START_TEST(test_buffers_dropped_are_told)
{
    run_in_thread(dropped_buffers_main, NULL);
    collect_scrubbed();
    expect_nearly_all(queue_drain(), 300);
}
END_TEST

START_TEST(test_arena_free_tells_all_in_the_order_they_were_made)
{
    char *block = arena_alloc(NULL, 100);
    arena_phantom_t *phantoms[10];

    for (size_t i = 0; i < 10; i++)
        expect_ok(phantoms[i] = arena_phantom_new(block, queue, NULL));
    arena_phantom_clear(phantoms[4]);
    arena_free(block);
    for (size_t i = 0; i < 10; i++)
        if (i != 4)
            ck_assert_ptr_eq(arena_queue_poll(queue), phantoms[i]);
    ck_assert_ptr_null(arena_queue_poll(queue));
    for (size_t i = 0; i < 10; i++)
        arena_phantom_free(phantoms[i]);
}
END_TEST

START_TEST(test_realloc_and_resize_tell_when_they_move)
{
    char *block = arena_malloc(100), *moved;
    arena_phantom_t *phantom;

    expect_ok(phantom = arena_phantom_new(block, queue, NULL));
    expect_ok(moved = arena_realloc(block, 100));
    ck_assert_ptr_eq(moved, block);
    ck_assert_ptr_null(arena_queue_poll(queue));
    expect_ok(moved = arena_realloc(block, 10000));
    ck_assert_ptr_eq(arena_queue_poll(queue), phantom);
    ck_assert(!arena_phantom_refers_to(phantom, moved));
    arena_phantom_free(phantom);
    arena_free(moved);

    block = arena_alloc(NULL, 100);
    expect_ok(phantom = arena_phantom_new(block, queue, NULL));
    expect_ok(moved = arena_resize(arena_implicit(), block, 100, 50000));
    ck_assert_ptr_eq(arena_queue_poll(queue), phantom);
    arena_phantom_free(phantom);
    arena_free(moved);
}
END_TEST

/* --- Queues --- */

START_TEST(test_queue_is_first_in_first_out)
{
    arena_phantom_t *phantoms[50];

    for (size_t i = 0; i < 50; i++)
        expect_ok(phantoms[i] = arena_phantom_new(NULL, queue, NULL));
    for (size_t i = 0; i < 50; i++)
        ck_assert(arena_phantom_enqueue(phantoms[i * 7 % 50]));
    for (size_t i = 0; i < 50; i++) {
        ck_assert_ptr_eq(i % 2 == 0 ? arena_queue_poll(queue)
                                    : arena_queue_remove(queue, 1000),
                         phantoms[i * 7 % 50]);
        arena_phantom_free(phantoms[i * 7 % 50]);
    }
}
END_TEST

START_TEST(test_queue_empty_is_null_and_leaves_errno)
{
    uint64_t start;

    errno = ERRNO_UNTOUCHED;
    ck_assert_ptr_null(arena_queue_poll(queue));
    ck_assert_ptr_null(arena_queue_remove(queue, 0));
    start = clock_ns();
    ck_assert_ptr_null(arena_queue_remove(queue, 50));
    ck_assert_uint_ge(clock_ns() - start, 50 * MS_NS);
    ck_assert_uint_lt(clock_ns() - start, test_patience() * 200 * MS_NS);
    ck_assert_int_eq(errno, ERRNO_UNTOUCHED);
}
END_TEST

struct wait {
    int timeout_ms;
    arena_phantom_t *got;
    uint64_t ns;
    int error;
};

static void *
wait_main(void *arg)
{
    struct wait *wait = arg;
    uint64_t start = clock_ns();

    errno = ERRNO_UNTOUCHED;
    wait->got = arena_queue_remove(queue, wait->timeout_ms);
    wait->error = errno;
    wait->ns = clock_ns() - start;
    return NULL;
}

START_TEST(test_remove_for_ever_waits_for_an_enqueue)
{
    struct wait wait = {.timeout_ms = -1};
    arena_phantom_t *phantom;
    pthread_t thread;

    expect_ok(phantom = arena_phantom_new(NULL, queue, NULL));
    thread = start_thread(wait_main, &wait);
    sleep_ms(700); /* longer than it sleeps at a time */
    ck_assert(arena_phantom_enqueue(phantom));
    join_thread(thread);
    ck_assert_ptr_eq(wait.got, phantom);
    ck_assert_int_eq(wait.error, ERRNO_UNTOUCHED);
    ck_assert_uint_ge(wait.ns, 600 * MS_NS);
    arena_phantom_free(phantom);
}
END_TEST

/* Two wait, one gets it; the other one's time is not cut short. */
START_TEST(test_remove_of_the_loser_waits_out_its_time)
{
    struct wait waits[4];
    pthread_t threads[4];
    arena_phantom_t *phantom;
    size_t got = 0;

    expect_ok(phantom = arena_phantom_new(NULL, queue, NULL));
    for (size_t i = 0; i < 4; i++) {
        waits[i] = (struct wait){.timeout_ms = 300};
        threads[i] = start_thread(wait_main, &waits[i]);
    }
    sleep_ms(50);
    ck_assert(arena_phantom_enqueue(phantom));
    for (size_t i = 0; i < 4; i++)
        join_thread(threads[i]);
    for (size_t i = 0; i < 4; i++) {
        got += waits[i].got == phantom;
        if (waits[i].got == NULL)
            ck_assert_uint_ge(waits[i].ns, 300 * MS_NS);
    }
    ck_assert_uint_eq(got, 1);
    arena_phantom_free(phantom);
}
END_TEST

/* Collections interrupt a waiter; its time is not cut short either. */
START_TEST(test_remove_is_not_cut_short_by_collections)
{
    struct wait wait = {.timeout_ms = 200};
    pthread_t thread = start_thread(wait_main, &wait);

    collect_times(20);
    join_thread(thread);
    ck_assert_ptr_null(wait.got);
    ck_assert_uint_ge(wait.ns, 200 * MS_NS);
}
END_TEST

START_TEST(test_remove_waits_for_a_death)
{
    struct wait wait = {.timeout_ms = 20000};
    pthread_t thread;

    flock_build(make_implicit, 40, 100, 1, 1);
    thread = start_thread(wait_main, &wait);
    sleep_ms(20);
    collect_scrubbed();
    join_thread(thread);
    ck_assert_ptr_nonnull(wait.got);
    arena_phantom_free(wait.got);
}
END_TEST

START_TEST(test_queue_free_wakes_waiters_with_estale)
{
    struct wait waits[3];
    pthread_t threads[3];

    for (size_t i = 0; i < 3; i++) {
        waits[i] = (struct wait){.timeout_ms = i == 0 ? 20000 : -1};
        threads[i] = start_thread(wait_main, &waits[i]);
    }
    sleep_ms(100);
    arena_queue_free(queue);
    for (size_t i = 0; i < 3; i++) {
        join_thread(threads[i]);
        ck_assert_ptr_null(waits[i].got);
        ck_assert_int_eq(waits[i].error, ESTALE);
    }
    queue = arena_queue_new();
}
END_TEST

START_TEST(test_queue_free_leaves_its_phantoms_without_a_queue)
{
    arena_phantom_t *in, *waiting, *done;
    void *block = keep_block(10);

    expect_ok(in = arena_phantom_new(block, queue, NULL));
    expect_ok(waiting = arena_phantom_new(block, queue, &in));
    expect_ok(done = arena_phantom_new(block, queue, NULL));
    ck_assert(arena_phantom_enqueue(done));
    ck_assert_ptr_eq(arena_queue_poll(queue), done);
    ck_assert(arena_phantom_enqueue(in));
    arena_queue_free(queue);
    ck_assert(!arena_phantom_enqueue(in));
    ck_assert(arena_phantom_refers_to(waiting, block));
    ck_assert_ptr_eq(arena_phantom_data(waiting), &in);
    ck_assert(!arena_phantom_enqueue(waiting));
    ck_assert(arena_phantom_refers_to(waiting, NULL));
    arena_free(block);
    arena_phantom_free(done);
    arena_phantom_free(waiting);
    arena_phantom_free(in);
    queue = arena_queue_new();
}
END_TEST

/* --- Races --- */

#define CONSUMERS 4
#define MANY ((size_t)20000)

struct consumers {
    atomic_int *taken; /* by index: how often */
    atomic_size_t total;
};

static void
consume(void *state, size_t index)
{
    struct consumers *consumers = state;
    arena_phantom_t *phantom;

    if (index == 0) { /* the producer */
        for (size_t i = 0; i < MANY; i++) {
            phantom = arena_phantom_new(NULL, queue, (void *)i);
            if (!arena_phantom_enqueue(phantom))
                return;
        }
        return;
    }
    while (atomic_load(&consumers->total) < MANY) {
        phantom = arena_queue_remove(queue, 20);
        if (phantom == NULL)
            continue;
        atomic_fetch_add(&consumers->taken[(size_t)(uintptr_t)
                                               arena_phantom_data(phantom)],
                         1);
        arena_phantom_free(phantom);
        atomic_fetch_add(&consumers->total, 1);
    }
}

START_TEST(test_consumers_each_get_distinct_phantoms)
{
    static struct consumers consumers;

    consumers.taken = calloc(MANY, sizeof *consumers.taken);
    ck_assert_ptr_nonnull(consumers.taken);
    run_team(CONSUMERS + 1, consume, &consumers);
    for (size_t i = 0; i < MANY; i++)
        ck_assert_int_eq(atomic_load(&consumers.taken[i]), 1);
    free(consumers.taken);
}
END_TEST

/* Four threads enqueue by hand what a fifth one's collection finds dead. */
static atomic_int enqueued[PHANTOMS];

static void
enqueue_prepare(void *state, size_t round)
{
    (void)state;
    (void)round;
    for (size_t i = 0; i < PHANTOMS; i++)
        atomic_store(&enqueued[i], 0);
    flock_build(make_implicit, 30, PHANTOMS, 1, 1);
}

static void
enqueue_body(void *state, size_t index)
{
    (void)state;
    if (index == 4) {
        collect_scrubbed();
        return;
    }
    for (size_t i = 0; i < PHANTOMS; i++) {
        size_t which = index % 2 == 0 ? i : PHANTOMS - 1 - i;

        if (arena_phantom_enqueue(flock.phantom[which]))
            atomic_fetch_add(&enqueued[which], 1);
    }
}

static void
enqueue_verify(void *state, size_t round)
{
    arena_phantom_t *phantom;
    size_t polled = 0;

    (void)state;
    (void)round;
    for (size_t i = 0; i < PHANTOMS; i++)
        ck_assert_int_le(atomic_load(&enqueued[i]), 1);
    for (; (phantom = arena_queue_poll(queue)) != NULL; polled++)
        arena_phantom_free(phantom);
    ck_assert_uint_eq(polled, PHANTOMS);
}

START_TEST(test_enqueue_races_the_collector_exactly_once)
{
    struct race race = {.threads = 5, .rounds = 20,
                        .prepare = enqueue_prepare, .body = enqueue_body,
                        .verify = enqueue_verify};

    run_race(&race);
}
END_TEST

/* Exactly one of four threads, with no collector to be faster. */
static void
alone_body(void *state, size_t index)
{
    if (index < 4)
        enqueue_body(state, index);
}

static void
alone_verify(void *state, size_t round)
{
    for (size_t i = 0; i < PHANTOMS; i++)
        ck_assert_int_eq(atomic_load(&enqueued[i]), 1);
    enqueue_verify(state, round);
}

/* Blocks are kept in a table, so that no collection finds them dead. */
static void
living_prepare(void *state, size_t round)
{
    (void)state;
    (void)round;
    for (size_t i = 0; i < PHANTOMS; i++) {
        atomic_store(&enqueued[i], 0);
        flock_table[i] = arena_alloc(NULL, 30);
        flock.phantom[i] =
            arena_phantom_new(flock_table[i], queue, NULL);
    }
}

START_TEST(test_enqueue_is_true_in_exactly_one_thread)
{
    struct race race = {.threads = 4, .rounds = 20,
                        .prepare = living_prepare, .body = alone_body,
                        .verify = alone_verify};

    run_race(&race);
}
END_TEST

/* One thread clears, and frees, while another frees the referents. */
static void
free_body(void *state, size_t index)
{
    (void)state;
    for (size_t i = 0; i < PHANTOMS; i++) {
        if (index == 0)
            arena_free(flock_table[i]);
        else if (index == 1)
            arena_phantom_clear(flock.phantom[i]);
        else if (i % 200 == 0)
            collect_scrubbed();
    }
}

static void
free_verify(void *state, size_t round)
{
    (void)state;
    (void)round;
    for (size_t i = 0; i < PHANTOMS; i++) {
        ck_assert(arena_phantom_refers_to(flock.phantom[i], NULL));
        arena_phantom_free(flock.phantom[i]);
        flock_table[i] = NULL;
    }
    ck_assert_ptr_null(arena_queue_poll(queue));
}

START_TEST(test_clear_races_arena_free)
{
    struct race race = {.threads = 3, .rounds = 20,
                        .prepare = living_prepare, .body = free_body,
                        .verify = free_verify};

    run_race(&race);
}
END_TEST

/* --- Suite --- */

static void
add_making(Suite *suite)
{
    TCase *making = tcase_create("making");
    TCase *by_hand = tcase_create("by hand");

    tcase_add_checked_fixture(making, setup, teardown);
    tcase_add_test(making,
                   test_new_null_referent_is_clear_and_can_be_enqueued);
    tcase_add_test(making,
                   test_new_of_memory_that_is_not_collected_fails_einval);
    tcase_add_test(making, test_new_data_into_the_referent_fails_einval);
    tcase_add_test(making,
                   test_refers_to_knows_the_referent_by_any_pointer_into_it);
    tcase_add_test(making, test_calls_with_null_do_nothing);
    suite_add_tcase(suite, making);
    tcase_add_checked_fixture(by_hand, setup, teardown);
    tcase_add_test(by_hand, test_clear_then_enqueue_still_succeeds_once);
    tcase_add_test(by_hand, test_enqueue_lets_go_of_a_living_referent);
    tcase_add_test(
        by_hand, test_enqueue_without_a_queue_is_false_and_lets_go);
    tcase_add_test(by_hand,
                   test_free_leaves_the_queue_and_forgets_the_referent);
    tcase_add_test(by_hand, test_arena_free_tells_at_once);
    tcase_add_test(by_hand,
                   test_buffer_freed_by_hand_tells_at_once_and_only_once);
    tcase_add_test(by_hand,
                   test_arena_free_tells_all_in_the_order_they_were_made);
    tcase_add_test(by_hand, test_realloc_and_resize_tell_when_they_move);
    suite_add_tcase(suite, by_hand);
}

static void
add_death(Suite *suite)
{
    TCase *death = tcase_create("death");

    tcase_add_checked_fixture(death, setup, teardown);
    tcase_set_timeout(death, 60);
    tcase_add_loop_test(death,
                        test_death_all_are_told_within_two_collections, 0,
                        2 * LENGTH(referents));
    tcase_add_test(death, test_death_tells_all_phantoms_of_a_referent);
    tcase_add_test(death, test_death_without_a_queue_clears);
    tcase_add_test(death, test_death_after_clear_or_free_is_not_told);
    tcase_add_test(death, test_death_of_a_chain_is_told_in_one_collection);
    tcase_add_test(death, test_death_of_cycles_is_told_in_one_collection);
    tcase_add_test(death, test_data_is_kept_until_the_phantom_is_freed);
    tcase_add_test(death, test_death_of_an_arena_with_actions_is_told_once);
    tcase_add_test(death, test_buffers_dropped_are_told);
    suite_add_tcase(suite, death);
}

static void
add_queues(Suite *suite, bool collections)
{
    TCase *queues = tcase_create("queues");
    TCase *races = tcase_create("races");

    tcase_add_checked_fixture(queues, setup, teardown);
    tcase_set_timeout(queues, 30);
    tcase_add_test(queues, test_queue_is_first_in_first_out);
    tcase_add_test(queues, test_queue_empty_is_null_and_leaves_errno);
    tcase_add_test(queues, test_remove_for_ever_waits_for_an_enqueue);
    tcase_add_test(queues, test_remove_of_the_loser_waits_out_its_time);
    tcase_add_test(queues, test_remove_is_not_cut_short_by_collections);
    if (collections)
        tcase_add_test(queues, test_remove_waits_for_a_death);
    tcase_add_test(queues, test_queue_free_wakes_waiters_with_estale);
    tcase_add_test(queues,
                   test_queue_free_leaves_its_phantoms_without_a_queue);
    suite_add_tcase(suite, queues);
    tcase_add_checked_fixture(races, setup, teardown);
    tcase_set_timeout(races, 120);
    tcase_add_test(races, test_consumers_each_get_distinct_phantoms);
    tcase_add_test(races, test_enqueue_races_the_collector_exactly_once);
    tcase_add_test(races, test_enqueue_is_true_in_exactly_one_thread);
    tcase_add_test(races, test_clear_races_arena_free);
    suite_add_tcase(suite, races);
}

int
main(void)
{
    Suite *suite = suite_create("phantom");
    bool collections = getenv("GC_DONT_GC") == NULL;

    add_making(suite);
    if (collections)
        add_death(suite);
    add_queues(suite, collections);
    return run_suite(suite);
}
