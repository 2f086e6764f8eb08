/*
 * check_host.c: a program that uses the collector itself, and has its own
 * settings, finalizers and hooks, set before or after the library's.
 */

#include <arena/heap.h>
#include <arena/phantom.h>

#define GC_THREADS 1
#define GC_NO_THREAD_REDIRECTS 1
#include <gc/gc.h>
#include <gc/gc_mark.h>

#include "gc_harness.h"

static arena_queue_t *queue;

static void
setup(void)
{
    GC_INIT();
    expect_ok(arena_thread_attach());
    expect_ok(arena_set_roots(ARENA_ROOTS_PRECISE));
    expect_ok(queue = arena_queue_new());
}

static size_t
queue_drain(void)
{
    arena_phantom_t *phantom;
    size_t count = 0;

    for (; (phantom = arena_queue_poll(queue)) != NULL; count++)
        arena_phantom_free(phantom);
    return count;
}

/* --- Objects of the program's own --- */

#define OBJECTS 960

struct objects {
    size_t size, count, every;
    size_t refused;
};

static void *volatile table[OBJECTS];

static void *
objects_main(void *arg)
{
    struct objects *o = arg;

    (void)arena_thread_attach();
    for (size_t i = 0; i < o->count; i++) {
        void *object =
            i % 3 == 0 ? GC_MALLOC_ATOMIC(o->size) : GC_MALLOC(o->size);

        o->refused += arena_phantom_new(object, queue, NULL) == NULL;
        if (i % o->every != 0)
            table[i] = object;
    }
    return NULL;
}

static const struct {
    size_t size, count;
} sizes[] = {{16, 960},   {100, 960},     {700, 960},
             {2048, 480}, {20 * KIB, 160}, {MIB, 48}};

START_TEST(test_objects_are_told_within_two_collections)
{
    struct objects o = {sizes[_i / 2].size, sizes[_i / 2].count,
                        _i % 2 == 0                      ? 1
                        : sizes[_i / 2].count < HERD / 4 ? 4
                                                         : 16,
                        0};
    size_t told, total = o.count / o.every;

    run_in_thread(objects_main, &o);
    ck_assert_uint_eq(o.refused, 0);
    collect_scrubbed();
    told = queue_drain();
    collect_scrubbed();
    told += queue_drain();
    expect_nearly_all(told, total);
}
END_TEST

/* Chains of so many: who is kept by chance keeps those behind it. */
#define CHAIN 20

static void *
chain_main(void *arg)
{
    void **previous = NULL;

    (void)arena_thread_attach();
    for (size_t i = 0; i < 200; i++) {
        void **object = GC_MALLOC(48);

        if (i % CHAIN == 0)
            previous = NULL;
        *object = previous;
        previous = object;
        (void)arena_phantom_new(object, queue, NULL);
    }
    return arg;
}

static void *
cycles_main(void *arg)
{
    (void)arena_thread_attach();
    for (size_t i = 0; i < 100; i++) {
        void **one = GC_MALLOC(48), **other = GC_MALLOC(5000);

        *one = other;
        *other = one;
        (void)arena_phantom_new(one, queue, NULL);
        (void)arena_phantom_new(other, queue, NULL);
    }
    return arg;
}

START_TEST(test_chain_and_cycles_are_told_in_one_collection)
{
    size_t told;

    run_in_thread(_i == 0 ? chain_main : cycles_main, NULL);
    collect_scrubbed();
    told = queue_drain();
    ck_assert_uint_ge(told + LEFT_MOST * (_i == 0 ? CHAIN : 2), 200);
    ck_assert_uint_le(told, 200);
}
END_TEST

START_TEST(test_object_let_go_of_can_be_freed_by_its_program)
{
    for (size_t i = 0; i < 2000; i++) {
        void *object = GC_MALLOC(i % 2 == 0 ? 100 : 10000);
        arena_phantom_t *phantom;

        expect_ok(phantom = arena_phantom_new(object, queue, NULL));
        arena_phantom_clear(phantom);
        GC_FREE(object);
        ck_assert(arena_phantom_refers_to(phantom, NULL));
        arena_phantom_free(phantom);
    }
    collect_times(2);
    ck_assert_ptr_null(arena_queue_poll(queue));
}
END_TEST

/* --- Finalizers --- */

#define FINALIZED 200

static atomic_int finalized[FINALIZED];
static atomic_int notices;
static pthread_t finalizing_thread;

static void GC_CALLBACK
finalize(void *object, void *data)
{
    (void)object;
    finalizing_thread = pthread_self();
    atomic_fetch_add(&finalized[(size_t)(uintptr_t)data], 1);
}

static void GC_CALLBACK
notice(void)
{
    atomic_fetch_add(&notices, 1);
}

static size_t
finalized_once(void)
{
    size_t once = 0;

    for (size_t i = 0; i < FINALIZED; i++) {
        ck_assert_int_le(atomic_load(&finalized[i]), 1);
        once += (size_t)atomic_load(&finalized[i]);
    }
    return once;
}

static void *
finalized_main(void *arg)
{
    (void)arena_thread_attach();
    for (size_t i = 0; i < FINALIZED; i++) {
        void *object = GC_MALLOC(i % 2 == 0 ? 40 : 4000);

        GC_REGISTER_FINALIZER_NO_ORDER(object, finalize, (void *)i, NULL,
                                       NULL);
        (void)arena_phantom_new(object, queue, NULL);
        (void)arena_phantom_new(arena_alloc(NULL, 40), queue, NULL);
    }
    return arg;
}

/* Its object lives until the finalizer has run. */
START_TEST(test_object_with_a_finalizer_is_told_one_collection_later)
{
    run_in_thread(finalized_main, NULL);
    collect_scrubbed();
    expect_nearly_all(finalized_once(), FINALIZED);
    expect_nearly_all(queue_drain(), FINALIZED); /* the blocks alone */
    collect_scrubbed();
    expect_nearly_all(queue_drain(), FINALIZED);
    ck_assert_uint_le(finalized_once(), FINALIZED);
}
END_TEST

/* The program runs its finalizers when and where it likes. */
START_TEST(test_finalize_on_demand_and_notifier_stay_the_programs)
{
    if (_i == 1) { /* before the library starts the collector */
        GC_set_finalize_on_demand(1);
        GC_set_finalizer_notifier(notice);
    }
    setup();
    if (_i == 0) {
        GC_set_finalize_on_demand(1);
        GC_set_finalizer_notifier(notice);
    }
    run_in_thread(finalized_main, NULL);
    collect_times(3);
    expect_ok(arena_trim());
    ck_assert_uint_eq(finalized_once(), 0);
    ck_assert_int_gt(atomic_load(&notices), 0);
    expect_nearly_all(queue_drain(), FINALIZED);
    ck_assert_int_eq(GC_get_finalize_on_demand(), 1);
    ck_assert(GC_get_finalizer_notifier() == notice);
    GC_invoke_finalizers();
    expect_nearly_all(finalized_once(), FINALIZED);
    ck_assert(pthread_equal(finalizing_thread, pthread_self()));
    collect_times(2);
    expect_nearly_all(queue_drain(), FINALIZED);
    GC_invoke_finalizers();
    finalized_once();
}
END_TEST

/* --- Hooks --- */

static atomic_int host_starts, host_roots;
static GC_start_callback_proc found_start;
static GC_push_other_roots_proc found_roots, first_roots;
static bool hooks_are_polite;

static void GC_CALLBACK
host_start(void)
{
    atomic_fetch_add(&host_starts, 1);
    if (hooks_are_polite && found_start != NULL)
        found_start();
}

/* Not to call what it found would forget all stacks of the collector's own
 * threads; so an impolite one calls what there was before the library. */
static void GC_CALLBACK
host_push(void)
{
    atomic_fetch_add(&host_roots, 1);
    if (hooks_are_polite)
        found_roots();
    else
        first_roots();
}

static void
host_hook(bool polite)
{
    hooks_are_polite = polite;
    found_start = GC_get_start_callback();
    GC_set_start_callback(host_start);
    found_roots = GC_get_push_other_roots();
    GC_set_push_other_roots(host_push);
}

/* Blocks that live by pins only, which the library's hook pushes. */
static void *
pinned_main(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < 100; i++) {
        char *block = arena_alloc(NULL, 100);

        fill_block(block, 100, i);
        table[i] = (void *)hide(block);
        (void)arena_pin(block);
        (void)arena_phantom_new(block, queue, NULL);
    }
    return NULL;
}

/* The range is malloc'd: only the library's hook looks there. */
static void **range;

static void *
range_main(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < 100; i++) {
        range[i] = arena_alloc(NULL, 100);
        (void)arena_phantom_new(range[i], queue, NULL);
    }
    return NULL;
}

static void *
garbage_main(void *arg)
{
    for (size_t i = 0; i < 100; i++)
        (void)arena_phantom_new(arena_alloc(NULL, 20), queue, NULL);
    return arg;
}

enum hooks { HOOKS_BEFORE, HOOKS_AFTER_POLITE, HOOKS_AFTER_IMPOLITE };

/* Wherever the program's hooks are, they are called, and ours too; from the
 * second collection on, if it threw ours out: collections that the library
 * runs put them back before they begin. */
START_TEST(test_hooks_of_the_program_and_of_the_library_are_called)
{
    int starts, roots;

    GC_INIT();
    first_roots = GC_get_push_other_roots();
    if (_i == HOOKS_BEFORE)
        host_hook(true);
    setup();
    range = malloc(100 * sizeof *range);
    ck_assert_ptr_nonnull(range);
    expect_ok(arena_add_roots(range, range + 100));
    run_in_thread(pinned_main, NULL);
    run_in_thread(range_main, NULL);
    if (_i != HOOKS_BEFORE)
        host_hook(_i == HOOKS_AFTER_POLITE);
    for (int round = 0; round < 5; round++) {
        starts = atomic_load(&host_starts);
        roots = atomic_load(&host_roots);
        run_in_thread(garbage_main, NULL);
        collect_scrubbed();
        ck_assert_int_gt(atomic_load(&host_starts), starts);
        ck_assert_int_gt(atomic_load(&host_roots), roots);
        expect_nearly_all(queue_drain(), 100);
    }
    /* Its own collections, from now on, find ours in place. */
    for (int round = 0; round < 5; round++) {
        run_in_thread(garbage_main, NULL);
        scrub();
        roots = atomic_load(&host_roots);
        GC_gcollect();
        ck_assert_int_eq(atomic_load(&host_roots), roots + 1);
        expect_nearly_all(queue_drain(), 100);
    }
    for (size_t i = 0; i < 100; i++)
        ck_assert(block_holds(reveal((uintptr_t)table[i]), 100, i));
    /* It can take its own out, too. */
    if (_i == HOOKS_AFTER_POLITE) {
        GC_set_push_other_roots(found_roots);
        GC_set_start_callback(found_start);
        starts = atomic_load(&host_starts);
        roots = atomic_load(&host_roots);
        run_in_thread(garbage_main, NULL);
        collect_scrubbed();
        ck_assert_int_eq(atomic_load(&host_starts), starts);
        ck_assert_int_eq(atomic_load(&host_roots), roots);
        expect_nearly_all(queue_drain(), 100);
    }
    expect_ok(arena_remove_roots(range, range + 100));
    free(range);
}
END_TEST

/* Plug-ins of the program, each of which calls what it found. */
#define PLUGINS 8

static GC_start_callback_proc plugin_found[PLUGINS];
static atomic_int plugin_calls;

static void
plugin_call(int plugin)
{
    atomic_fetch_add(&plugin_calls, 1);
    if (plugin_found[plugin] != NULL)
        plugin_found[plugin]();
}

#define PLUGIN(i)                                                             \
    static void GC_CALLBACK plugin_##i(void)                                  \
    {                                                                         \
        plugin_call(i);                                                       \
    }
PLUGIN(0)
PLUGIN(1)
PLUGIN(2)
PLUGIN(3)
PLUGIN(4)
PLUGIN(5)
PLUGIN(6)
PLUGIN(7)

static const GC_start_callback_proc plugins[PLUGINS] = {
    plugin_0, plugin_1, plugin_2, plugin_3,
    plugin_4, plugin_5, plugin_6, plugin_7};

START_TEST(test_hooks_of_many_plugins_are_called_and_ours_too)
{
    GC_INIT();
    setup();
    for (int i = 0; i < PLUGINS; i++) {
        plugin_found[i] = GC_get_start_callback();
        GC_set_start_callback(plugins[i]);
        atomic_store(&plugin_calls, 0);
        run_in_thread(garbage_main, NULL);
        collect_scrubbed();
        ck_assert_int_ge(atomic_load(&plugin_calls), i + 1);
        expect_nearly_all(queue_drain(), 100);
    }
}
END_TEST

/* A program that does as the library: who is not in front puts itself
 * there. */
START_TEST(test_hook_that_is_put_back_again_and_again_is_called)
{
    GC_INIT();
    setup();
    for (int i = 0; i < 3 * PLUGINS; i++) {
        if (GC_get_start_callback() != plugin_0) {
            plugin_found[0] = GC_get_start_callback();
            GC_set_start_callback(plugin_0);
        }
        atomic_store(&plugin_calls, 0);
        run_in_thread(garbage_main, NULL);
        collect_scrubbed();
        ck_assert_int_ge(atomic_load(&plugin_calls), 1);
        expect_nearly_all(queue_drain(), 100);
    }
}
END_TEST

/* --- Collections that the program runs --- */

static void *
collecting_main(void *arg)
{
    (void)arena_thread_attach();
    sleep_ms(200);
    GC_gcollect();
    return arg;
}

static atomic_int acted;

static void
act(void *arg)
{
    (void)arg;
    atomic_fetch_add(&acted, 1);
}

static void *
cleaned_main(void *arg)
{
    for (size_t i = 0; i < 100; i++)
        (void)arena_cleaner_register(arena_alloc(NULL, 20), act, NULL);
    return arg;
}

/* Nobody calls the library meanwhile.  With its hooks, without the first, and
 * with neither. */
START_TEST(test_collection_of_the_programs_own_runs_actions)
{
    uint64_t start;

    GC_INIT();
    first_roots = GC_get_push_other_roots();
    setup();
    for (int round = 0; round < 10; round++) {
        atomic_store(&acted, 0);
        run_in_thread(cleaned_main, NULL);
        sleep_ms(100); /* the cleaner falls asleep */
        if (_i >= 1)
            GC_set_start_callback(NULL);
        if (_i == 2)
            GC_set_push_other_roots(first_roots);
        scrub();
        GC_gcollect();
        start = clock_ns();
        while ((size_t)atomic_load(&acted) + kept_by_chance(100) < 100
               && clock_ns() - start < test_patience() * 500 * MS_NS)
            sleep_ms(1);
        expect_nearly_all((size_t)atomic_load(&acted), 100);
    }
}
END_TEST

START_TEST(test_collection_of_the_programs_own_wakes_who_waits)
{
    arena_phantom_t *phantom;
    pthread_t thread;

    run_in_thread(garbage_main, NULL);
    thread = start_thread(collecting_main, NULL);
    phantom = arena_queue_remove(queue, 20000);
    ck_assert_ptr_nonnull(phantom);
    arena_phantom_free(phantom);
    join_thread(thread);
    expect_nearly_all(queue_drain() + 1, 100);
}
END_TEST

static void
hold_up(void *arg)
{
    sem_t *semaphores = arg;

    sem_post(&semaphores[0]);
    semaphore_wait(&semaphores[1]);
}

/* The cleaner is in an action that blocks: who waits looks. */
START_TEST(test_collection_is_noticed_while_an_action_blocks)
{
    static sem_t semaphores[2];
    arena_phantom_t *phantom;
    pthread_t thread;
    void *block;

    sem_init(&semaphores[0], 0, 0);
    sem_init(&semaphores[1], 0, 0);
    block = arena_malloc(10);
    expect_ok(arena_cleaner_register(block, hold_up, semaphores));
    arena_free(block);
    semaphore_wait(&semaphores[0]);
    run_in_thread(garbage_main, NULL);
    thread = start_thread(collecting_main, NULL);
    phantom = arena_queue_remove(queue, 20000);
    ck_assert_ptr_nonnull(phantom);
    arena_phantom_free(phantom);
    join_thread(thread);
    sem_post(&semaphores[1]);
}
END_TEST

/* --- Suite --- */

int
main(void)
{
    Suite *suite = suite_create("host");
    TCase *objects = tcase_create("objects");
    TCase *bare = tcase_create("bare");

    tcase_add_checked_fixture(objects, setup, NULL);
    tcase_set_timeout(objects, 30);
    tcase_add_loop_test(objects, test_objects_are_told_within_two_collections,
                        0, 2 * LENGTH(sizes));
    tcase_add_loop_test(objects,
                        test_chain_and_cycles_are_told_in_one_collection, 0,
                        2);
    tcase_add_test(objects, test_object_let_go_of_can_be_freed_by_its_program);
    tcase_add_test(objects,
                   test_object_with_a_finalizer_is_told_one_collection_later);
    tcase_add_test(objects,
                   test_collection_of_the_programs_own_wakes_who_waits);
    tcase_add_test(objects,
                   test_collection_is_noticed_while_an_action_blocks);
    suite_add_tcase(suite, objects);
    tcase_set_timeout(bare, 60);
    tcase_add_loop_test(
        bare, test_finalize_on_demand_and_notifier_stay_the_programs, 0, 2);
    tcase_add_loop_test(
        bare, test_hooks_of_the_program_and_of_the_library_are_called,
        HOOKS_BEFORE, HOOKS_AFTER_IMPOLITE + 1);
    tcase_add_test(bare, test_hooks_of_many_plugins_are_called_and_ours_too);
    tcase_add_test(bare,
                   test_hook_that_is_put_back_again_and_again_is_called);
    tcase_add_loop_test(bare,
                        test_collection_of_the_programs_own_runs_actions, 0,
                        3);
    suite_add_tcase(suite, bare);
    return run_suite(suite);
}
