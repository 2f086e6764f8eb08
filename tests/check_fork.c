/* check_fork.c: what a child process can do after fork, while other threads
 * of its parent allocate. */

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arena/phantom.h>

#include "gc_harness.h"

#define FORKS 30
#define CHILD_SECONDS 30

/* What the parent prepares, and the child finds. */
static struct herd kept = {.count = 200, .blocks = 5, .action = true,
                           .every = 1};
static struct herd dropped = {.count = 200, .blocks = 5, .action = true};
static void *volatile in_static[HERD];
static arena_t *vanished_arena; /* of a thread that the child does not have */
static arena_t *shared_arena;
static arena_t *own_arena; /* confined, of the thread that forks */
static char *own_block;
static sem_t vanishing_ready, vanishing_done;
static pthread_t vanishing;
static atomic_bool stop;
static atomic_size_t refused;
static arena_queue_t *queue;
static arena_phantom_t *queued_phantom; /* in it */
static arena_phantom_t *phantom;        /* of the block below */
static char *volatile watched_block;
static arena_cleanable_t *cleanable; /* of it, too */

/* --- The child's side --- */

/* Check's bookkeeping belongs to the parent: a child says what is wrong and
 * ends. */
static void
child_need(bool good, const char *what, int line)
{
    if (good)
        return;
    dprintf(STDERR_FILENO, "check_fork.c:%d: child: %s (errno %d, %s)\n", line,
            what, errno, arena_error());
    _exit(EXIT_FAILURE);
}

#define NEED(what) child_need((what), #what, __LINE__)

static void
child_uses_arenas_of_the_parent(void)
{
    char *block;

    NEED(block_holds(own_block, 1000, 1));
    NEED((block = arena_alloc(own_arena, 5000)) != NULL);
    NEED(block_is_zero(block, 5000));
    NEED(arena_close(own_arena) == 0);
    NEED(arena_alloc(shared_arena, 5000) != NULL);
    NEED(arena_close(shared_arena) == 0);
    NEED(arena_alloc(arena_global(), 100) != NULL);
}

static void
child_adopts_what_a_vanished_thread_owned(void)
{
    NEED(arena_is_alive(vanished_arena));
    NEED(arena_alloc(vanished_arena, 10) == NULL && errno == EPERM);
    NEED(arena_adopt(vanished_arena) == 0);
    NEED(arena_alloc(vanished_arena, 1000) != NULL);
    NEED(arena_close(vanished_arena) == 0);
}

static atomic_int actions;

static void
count_action(void *arg)
{
    (void)arg;
    atomic_fetch_add(&actions, 1);
}

static void
child_opens_and_closes(void)
{
    arena_t *confined = arena_confined();
    arena_t *shared = arena_shared();
    arena_t *automatic = arena_auto();

    NEED(confined != NULL && shared != NULL && automatic != NULL);
    NEED(arena_alloc(confined, 100000) != NULL);
    NEED(arena_alloc(shared, 100000) != NULL);
    NEED(arena_alloc(automatic, 100000) != NULL);
    NEED(arena_alloc(NULL, 100) != NULL);
    NEED(arena_on_close(confined, count_action, NULL) == 0);
    NEED(arena_on_close(shared, count_action, NULL) == 0);
    NEED(arena_close(confined) == 0);
    NEED(arena_close(shared) == 0);
    NEED(actions == 2);
    arena_keep_alive(automatic);
}

/* The library's cleaner thread did not survive the fork, and is needed. */
static void
child_collects_and_runs_actions(void)
{
    struct herd young = {.count = 200, .blocks = 5, .action = true};

    herd_build(&young);
    collect_times(2);
    NEED(herd_notified(&young, false) >= 198);
    NEED(herd_notified(&kept, true) == 0);
    NEED(herd_damaged(&kept) == 0);
    herd_drop(&kept);
    collect_times(2);
    NEED(herd_notified(&kept, true) >= 198);
    NEED(herd_notified_again(&kept) == 0);
    NEED(herd_notified_again(&young) == 0);
}

static void *
watch_garbage_main(void *arg)
{
    for (size_t i = 0; i < 100; i++) {
        void *block = arena_alloc(NULL, 100);

        NEED(arena_phantom_new(block, queue, arg) != NULL);
        NEED(arena_cleaner_register(block, count_action, NULL) != NULL);
    }
    return NULL;
}

/* What the parent watches is watched in the child, and what the child adds. */
static void
child_watches(void)
{
    arena_phantom_t *next;
    int told = 0, young = 0;

    NEED(arena_queue_poll(queue) == queued_phantom);
    NEED(arena_phantom_refers_to(phantom, watched_block));
    actions = 0;
    NEED(arena_clean(cleanable) == 0 && actions == 1);
    NEED(arena_clean(cleanable) == 0 && actions == 1);
    arena_free(watched_block);
    NEED(arena_phantom_refers_to(phantom, NULL));
    run_in_thread(watch_garbage_main, &young);
    collect_times(2);
    while ((next = arena_queue_poll(queue)) != NULL) {
        told += next == phantom;
        young += arena_phantom_data(next) == &young;
        arena_phantom_free(next);
    }
    NEED(told == 1);
    NEED(young >= 98);
    NEED(actions >= 99);
    NEED(arena_queue_remove(queue, 10) == NULL);
    arena_phantom_free(queued_phantom);
}

/* What the parent dropped before the fork is found in both. */
static void
child_finds_garbage_of_the_parent(void)
{
    collect_times(2);
    NEED(herd_notified(&dropped, false) >= 198);
    NEED(herd_notified_again(&dropped) == 0);
    NEED(herd_damaged(&kept) == 0);
}

/* A reservation drops the caches, those of threads that are gone too, before
 * it fails; and then the next one finds nothing. */
static void
child_reserves(void)
{
    arena_usage_t before;
    char limit[64];

    NEED(arena_reserve(3 * MIB) == 0);
    before = usage_now();
    NEED(arena_set_limit(before.reserved + MIB + 64 * KIB) == 0);
    snprintf(limit, sizeof limit, ", limit: %zu)", usage_now().limit);
    NEED(arena_reserve(MIB) == 0);
    NEED(usage_now().manual.reserved == before.manual.reserved + MIB);
    NEED(arena_reserve(MIB) == -1 && errno == ENOMEM);
    NEED(strstr(arena_error(), "cannot reserve 1048576 bytes of off-heap "
                               "memory (reserved: ")
         == arena_error());
    NEED(strstr(arena_error(), limit) != NULL);
    NEED(arena_unreserve(MIB) == 0);
    NEED(arena_unreserve(3 * MIB) == 0);
    NEED(arena_set_limit(ARENA_UNLIMITED) == 0);
}

static void *
child_thread_main(void *arg)
{
    arena_t *confined = arena_confined();
    arena_t *automatic = arena_auto();

    NEED(confined != NULL && automatic != NULL);
    NEED(arena_alloc(confined, 1000) != NULL);
    NEED(arena_alloc(automatic, 1000) != NULL);
    NEED(arena_close(confined) == 0);
    arena_collect();
    NEED(arena_is_alive(automatic));
    arena_keep_alive(automatic);
    return arg;
}

static void
child_main(void)
{
    alarm(CHILD_SECONDS);
    NEED(arena_set_limit(ARENA_UNLIMITED) == 0);
    child_uses_arenas_of_the_parent();
    child_adopts_what_a_vanished_thread_owned();
    child_opens_and_closes();
    child_collects_and_runs_actions();
    child_watches();
    child_reserves();
    run_in_thread(child_thread_main, NULL);
    collect_times(2);
    _exit(EXIT_SUCCESS);
}

/* A child that leaves nothing of its parent's as it was. */
static void
child_that_changes_everything(void)
{
    alarm(CHILD_SECONDS);
    child_finds_garbage_of_the_parent();
    child_uses_arenas_of_the_parent();
    child_adopts_what_a_vanished_thread_owned();
    child_watches();
    herd_drop(&kept);
    NEED(arena_reserve(5 * MIB) == 0);
    NEED(arena_set_limit(0) == 0);
    collect_times(2);
    _exit(EXIT_SUCCESS);
}

static void
child_needs_actions(int least)
{
    uint64_t start = clock_ns();

    while (atomic_load(&actions) < least
           && clock_ns() - start < test_patience() * 1000 * MS_NS)
        sleep_ms(1);
    NEED(atomic_load(&actions) >= least);
    _exit(EXIT_SUCCESS);
}

/* Two that make an action due, and ask the library for nothing after that. */
static void
child_that_frees(void)
{
    alarm(CHILD_SECONDS);
    arena_free(watched_block);
    child_needs_actions(1);
}

static void *
unwatched_garbage_main(void *arg)
{
    for (size_t i = 0; i < 4000; i++)
        (void)arena_alloc(NULL, 100000);
    return arg;
}

/* One block alone may be kept by an old word. */
static void *
watched_garbage_main(void *arg)
{
    for (size_t i = 0; i < 20; i++)
        (void)arena_cleaner_register(arena_alloc(NULL, 100), count_action,
                                     NULL);
    return arg;
}

static void
child_that_allocates(void)
{
    alarm(CHILD_SECONDS);
    watched_block = NULL;
    run_in_thread(watched_garbage_main, NULL);
    run_in_thread(unwatched_garbage_main, NULL);
    NEED(arena_alloc(NULL, 100) != NULL);
    child_needs_actions(1);
}

static pid_t
wait_for(pid_t pid, int *status, int flags)
{
    pid_t ended;

    do {
        ended = waitpid(pid, status, flags);
    } while (ended == -1 && errno == EINTR);
    return ended;
}

/* Nobody waits for a thread that was stopped while it changed its cache. */
static void
child_that_empties_caches(void)
{
    arena_usage_t usage;

    alarm(CHILD_SECONDS);
    NEED(arena_trim() == 0);
    usage = usage_now();
    NEED(usage.cached < MIB);
    NEED(arena_set_limit(usage.reserved + MIB / 2) == 0);
    NEED(arena_reserve(MIB / 2) == 0);
    _exit(EXIT_SUCCESS);
}

/* Garbage is found, what a vanished thread was about to use among it. */
static void
child_that_collects(void)
{
    alarm(CHILD_SECONDS);
    arena_collect();
    _exit(EXIT_SUCCESS);
}

/* A child of a child. */
static void
child_forks(void)
{
    pid_t pid;
    int status = 0;

    alarm(2 * CHILD_SECONDS);
    NEED(arena_auto() != NULL);
    NEED((pid = fork()) >= 0);
    if (pid == 0)
        child_main();
    NEED(wait_for(pid, &status, 0) == pid);
    NEED(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
    child_main();
}

/* --- The parent's side --- */

/* Allocates all the time.  Under a tight budget some of it may be refused. */
static void *
allocating_main(void *arg)
{
    size_t i = 0;

    (void)arg;
    while (!atomic_load(&stop)) {
        arena_t *automatic = arena_auto();
        arena_t *confined = arena_confined();
        arena_t *shared = arena_shared();
        size_t size = 1 + i++ % 50 * 1000;
        bool good = automatic != NULL && confined != NULL && shared != NULL;

        good &= arena_alloc(automatic, size) != NULL;
        good &= arena_alloc(NULL, size) != NULL;
        good &= arena_alloc(confined, size) != NULL;
        good &= arena_alloc(shared, size) != NULL;
        good &= arena_close(confined) == 0 && arena_close(shared) == 0;
        if (!good)
            atomic_fetch_add(&refused, 1);
    }
    return NULL;
}

/* Has parts of auto arenas from memory that was used before. */
static void *
filling_main(void *arg)
{
    while (!atomic_load(&stop)) {
        arena_t *arena = arena_auto();

        for (int i = 0; i < 40; i++) {
            char *block = arena_alloc_uninit(arena, 8000);

            if (block != NULL)
                memset(block, 0x55, 8000);
            else
                atomic_fetch_add(&refused, 1);
        }
    }
    return arg;
}

/* Is in its cache of chunks most of the time. */
static void *
opening_main(void *arg)
{
    while (!atomic_load(&stop)) {
        arena_t *arena = arena_confined();

        if (arena_alloc_uninit(arena, 5000) == NULL || arena_close(arena) != 0)
            atomic_fetch_add(&refused, 1);
    }
    return arg;
}

static void
ignore(void *arg)
{
    (void)arg;
}

/* Registers, undoes and frees all the time, in a queue of its own. */
static void *
watching_main(void *arg)
{
    arena_queue_t *own = arena_queue_new();

    while (!atomic_load(&stop)) {
        char *block = arena_alloc(NULL, 100);
        arena_cleanable_t *by_hand =
            arena_cleaner_register(block, ignore, NULL);
        arena_phantom_t *enqueued = arena_phantom_new(block, own, NULL);
        arena_phantom_t *freed = arena_phantom_new(block, own, NULL);
        bool good = by_hand != NULL && enqueued != NULL && freed != NULL;

        good = good && arena_phantom_enqueue(enqueued);
        good = good && arena_queue_poll(own) == enqueued;
        good = good && arena_clean(by_hand) == 0;
        arena_free(block);
        good = good && arena_queue_poll(own) == freed;
        arena_phantom_free(enqueued);
        arena_phantom_free(freed);
        if (!good)
            atomic_fetch_add(&refused, 1);
    }
    arena_queue_free(own);
    return arg;
}

static void *
vanishing_main(void *arg)
{
    (void)arg;
    vanished_arena = arena_confined();
    (void)arena_alloc(vanished_arena, 5000);
    sem_post(&vanishing_ready);
    semaphore_wait(&vanishing_done);
    if (arena_close(vanished_arena) != 0)
        atomic_fetch_add(&refused, 1);
    return NULL;
}

static void
setup(void)
{
    atomic_store(&stop, false);
    atomic_store(&refused, 0);
    expect_ok(arena_thread_attach());
    ck_assert_int_eq(sem_init(&vanishing_ready, 0, 0), 0);
    ck_assert_int_eq(sem_init(&vanishing_done, 0, 0), 0);
    vanishing = start_thread(vanishing_main, NULL);
    semaphore_wait(&vanishing_ready);
    ck_assert_ptr_nonnull(vanished_arena);
    ck_assert_ptr_nonnull(shared_arena = arena_shared());
    kept.table = in_static;
    herd_build(&kept);
    expect_ok(queue = arena_queue_new());
    expect_ok(queued_phantom = arena_phantom_new(NULL, queue, NULL));
    ck_assert(arena_phantom_enqueue(queued_phantom));
    expect_ok(watched_block = arena_alloc(NULL, 100));
    expect_ok(phantom = arena_phantom_new(watched_block, queue, NULL));
    expect_ok(cleanable =
                  arena_cleaner_register(watched_block, count_action, NULL));
}

static void
teardown(void)
{
    sem_post(&vanishing_done);
    join_thread(vanishing);
    expect_ok(arena_close(shared_arena));
    herd_drop(&kept);
    ck_assert_int_eq(actions, 0);
    ck_assert_ptr_eq(arena_queue_poll(queue), queued_phantom);
    arena_free(watched_block);
    ck_assert_ptr_eq(arena_queue_poll(queue), phantom);
    arena_phantom_free(queued_phantom);
    arena_phantom_free(phantom);
    arena_queue_free(queue);
}

/* The arena of the thread that is going to fork. */
static void
prepare_fork(void)
{
    own_arena = arena_confined();
    own_block = arena_alloc(own_arena, 1000);
    if (own_arena == NULL || own_block == NULL)
        ck_abort_msg("%s", arena_error());
    fill_block(own_block, 1000, 1);
}

/* Wait for a child, which must end well, and soon. */
static void
expect_child_ends_well(pid_t pid, size_t which)
{
    uint64_t deadline = clock_ns() + 2 * CHILD_SECONDS * 1000 * MS_NS;
    int status = 0;
    pid_t ended = 0;

    while (ended == 0 && clock_ns() < deadline) {
        ended = wait_for(pid, &status, WNOHANG);
        if (ended == 0)
            sleep_ms(1);
    }
    if (ended == 0) {
        kill(pid, SIGKILL);
        wait_for(pid, &status, 0);
        ck_abort_msg("child %zu hangs", which);
    }
    ck_assert_int_eq(ended, pid);
    ck_assert_msg(!WIFSIGNALED(status), "child %zu: signal %d", which,
                  WTERMSIG(status));
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS,
                  "child %zu failed", which);
}

static void
fork_once(void (*child)(void), size_t which)
{
    pid_t pid;

    prepare_fork();
    pid = fork();
    if (pid == 0)
        child();
    ck_assert_int_gt(pid, 0);
    expect_child_ends_well(pid, which);
    ck_assert(block_holds(own_block, 1000, 1));
    expect_ok(arena_close(own_arena));
}

/* Fork a number of times while two threads allocate and one watches. */
static void
fork_under_load(void (*child)(void), size_t forks)
{
    pthread_t threads[3];

    for (size_t i = 0; i < LENGTH(threads); i++)
        threads[i] =
            start_thread(i == 2 ? watching_main : allocating_main, NULL);
    for (size_t i = 0; i < forks; i++)
        fork_once(child, i);
    atomic_store(&stop, true);
    for (size_t i = 0; i < LENGTH(threads); i++)
        join_thread(threads[i]);
}

/* --- Tests --- */

START_TEST(test_fork_while_others_allocate_child_can_do_everything)
{
    fork_under_load(child_main, FORKS);
    ck_assert_uint_eq(atomic_load(&refused), 0);
    ck_assert_uint_eq(herd_damaged(&kept), 0);
    ck_assert_uint_eq(herd_notified(&kept, true), 0);
}
END_TEST

/* The others are waiting for the budget most of the time. */
START_TEST(test_fork_while_others_wait_for_memory_child_can_do_everything)
{
    arena_usage_t before = usage_now();

    expect_ok(arena_set_limit(before.reserved + 2 * MIB));
    fork_under_load(child_main, 10);
    expect_ok(arena_set_limit(before.limit));
    ck_assert_uint_eq(herd_damaged(&kept), 0);
    ck_assert_uint_eq(herd_notified(&kept, true), 0);
}
END_TEST

START_TEST(test_fork_while_others_change_their_caches_child_can_empty_them)
{
    pthread_t threads[2];

    for (size_t i = 0; i < LENGTH(threads); i++)
        threads[i] = start_thread(opening_main, NULL);
    for (size_t i = 0; i < FORKS; i++)
        fork_once(child_that_empties_caches, i);
    atomic_store(&stop, true);
    for (size_t i = 0; i < LENGTH(threads); i++)
        join_thread(threads[i]);
    ck_assert_uint_eq(atomic_load(&refused), 0);
}
END_TEST

START_TEST(test_fork_while_others_fill_auto_arenas_child_can_collect)
{
    pthread_t threads[2];

    for (size_t i = 0; i < LENGTH(threads); i++)
        threads[i] = start_thread(filling_main, NULL);
    for (size_t i = 0; i < 60; i++)
        fork_once(child_that_collects, i);
    atomic_store(&stop, true);
    for (size_t i = 0; i < LENGTH(threads); i++)
        join_thread(threads[i]);
    ck_assert_uint_eq(atomic_load(&refused), 0);
}
END_TEST

START_TEST(test_fork_by_a_child_works_too)
{
    fork_under_load(child_forks, 5);
    ck_assert_uint_eq(atomic_load(&refused), 0);
}
END_TEST

static void *
forking_main(void *arg)
{
    fork_under_load(child_main, 5);
    return arg;
}

START_TEST(test_fork_by_another_thread_works_too)
{
    run_in_thread(forking_main, NULL);
    ck_assert_uint_eq(atomic_load(&refused), 0);
    ck_assert_uint_eq(herd_damaged(&kept), 0);
}
END_TEST

START_TEST(test_fork_what_falls_due_in_the_child_is_run_there)
{
    for (size_t i = 0; i < 5; i++) {
        fork_once(child_that_frees, i);
        fork_once(child_that_allocates, i);
    }
}
END_TEST

/* What a child drops, closes and reserves is nothing to its parent. */
START_TEST(test_fork_leaves_the_parent_as_it_was)
{
    arena_usage_t before;

    collect_times(3);
    before = usage_now();
    herd_build(&dropped);
    for (size_t i = 0; i < 5; i++)
        fork_once(child_that_changes_everything, i);
    collect_times(2);
    expect_nearly_all(herd_notified(&dropped, false), dropped.count);
    ck_assert_uint_eq(herd_notified_again(&dropped), 0);
    expect_settled(before);
    expect_fail(arena_adopt(vanished_arena), EPERM, "");
    ck_assert_uint_eq(herd_notified(&kept, true), 0);
}
END_TEST

/* --- Suite --- */

static TCase *
add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 400);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int
main(void)
{
    Suite *suite = suite_create("fork");
    TCase *load = add_case(suite, "load");
    TCase *nested = add_case(suite, "nested");

    tcase_add_test(load,
                   test_fork_while_others_allocate_child_can_do_everything);
    tcase_add_test(
        load, test_fork_while_others_wait_for_memory_child_can_do_everything);
    tcase_add_test(
        load, test_fork_while_others_change_their_caches_child_can_empty_them);
    tcase_add_test(
        load, test_fork_while_others_fill_auto_arenas_child_can_collect);
    tcase_add_test(nested, test_fork_by_a_child_works_too);
    tcase_add_test(nested, test_fork_by_another_thread_works_too);
    tcase_add_test(nested,
                   test_fork_what_falls_due_in_the_child_is_run_there);
    tcase_add_test(nested, test_fork_leaves_the_parent_as_it_was);
    return run_suite(suite);
}
