/* check_threads.c: threads that the collector knows, and threads that own
 * arenas. */

#include <arena/heap.h>
#include <limits.h>
#include <stdio.h>

#include "gc_harness.h"

static arena_usage_t base;

static void
setup(void)
{
    expect_ok(arena_thread_attach());
    collect_times(3);
    base = usage_now();
}

/* --- Attach and detach by hand --- */

START_TEST(test_attach_main_thread_succeeds_any_number_of_times)
{
    expect_ok(arena_thread_attach());
    expect_ok(arena_thread_attach());
}
END_TEST

START_TEST(test_detach_main_thread_fails_eperm)
{
    arena_t *arena;

    expect_fail(arena_thread_detach(), EPERM, "");
    ck_assert_ptr_nonnull(arena = arena_auto());
    collect_scrubbed();
    ck_assert(arena_is_alive(arena));
}
END_TEST

struct attachment {
    struct answer detach_before, attach, attach_again, detach, detach_again,
        attach_later;
    bool works;
};

static void *
attachment_main(void *arg)
{
    struct attachment *a = arg;
    arena_t *volatile arena;

    record_answer(&a->detach_before, arena_thread_detach());
    record_answer(&a->attach, arena_thread_attach());
    record_answer(&a->attach_again, arena_thread_attach());
    record_answer(&a->detach, arena_thread_detach());
    record_answer(&a->detach_again, arena_thread_detach());
    record_answer(&a->attach_later, arena_thread_attach());
    arena = arena_auto();
    a->works = arena_alloc(arena, 1000) != NULL;
    arena_collect();
    a->works &= arena_is_alive(arena);
    return NULL;
}

START_TEST(test_attach_and_detach_in_any_order_succeed)
{
    struct attachment a = {.works = false};

    for (int i = 0; i < 20; i++) /* of these two may be kept by chance */
        run_in_thread(attachment_main, &a);
    expect_success(&a.detach_before);
    expect_success(&a.attach);
    expect_success(&a.attach_again);
    expect_success(&a.detach);
    expect_success(&a.detach_again);
    expect_success(&a.attach_later);
    ck_assert(a.works);
    expect_settled(base);
}
END_TEST

static void *
detached_use_main(void *arg)
{
    bool *works = arg;
    arena_t *volatile arena = arena_auto();

    *works = arena != NULL && arena_thread_detach() == 0;
    arena = arena_auto();
    *works &= arena_alloc(arena, 1000) != NULL;
    arena_collect();
    *works &= arena_is_alive(arena) && arena_alloc(arena, 1000) != NULL;
    return NULL;
}

START_TEST(test_detached_thread_attaches_itself_again_on_use)
{
    bool works = false;

    for (int i = 0; i < 20; i++) {
        run_in_thread(detached_use_main, &works);
        ck_assert(works);
    }
    expect_settled(base);
}
END_TEST

/* --- Threads that only hold pointers --- */

START_TEST(test_attached_holder_keeps_what_is_on_its_stack)
{
    struct keeper keeper = {.attach = true, .leave = true};
    struct herd herd = {.count = test_scaled(HERD), .blocks = 3,
                        .action = true, .every = 1};

    herd.table = keeper_start(&keeper, keeper_on_stack);
    herd_build(&herd);
    collect_times(5);
    ck_assert_uint_eq(herd_notified(&herd, true), 0);
    ck_assert_uint_eq(herd_damaged(&herd), 0);
    keeper_stop(&keeper);
    collect_times(2);
    expect_nearly_all(herd_notified(&herd, true), herd.count);
    expect_settled(base);
    herd_free(&herd);
}
END_TEST

/* Never attached, or attached and detached again: its stack is not looked
 * at. */
START_TEST(test_unattached_holder_keeps_nothing)
{
    struct keeper keeper = {.attach = _i == 1, .detach = _i == 1};
    struct herd herd = {.count = test_scaled(HERD), .blocks = 3, .every = 1};

    herd.table = keeper_start(&keeper, keeper_on_stack);
    herd_build(&herd);
    collect_times(2);
    expect_nearly_all(herd_gone(&herd, &base), herd.count);
    keeper_stop(&keeper);
    expect_settled(base);
    herd_free(&herd);
}
END_TEST

/* A thread's pointers count while it lives, and not after its end. */
START_TEST(test_ended_holder_keeps_nothing)
{
    struct keeper keeper = {.attach = true, .leave = true};
    struct herd herd = {.count = test_scaled(HERD), .blocks = 3,
                        .action = true, .every = 1};

    herd.table = keeper_start(&keeper, _i == 0 ? keeper_in_tls
                                               : keeper_on_stack);
    herd_build(&herd);
    keeper_stop(&keeper);
    collect_times(2);
    expect_nearly_all(herd_notified(&herd, true), herd.count);
    expect_settled(base);
    herd_free(&herd);
}
END_TEST

/* --- Threads that attach themselves, and end --- */

static void
use_everything(atomic_size_t *faults)
{
    arena_t *arena = arena_auto();
    arena_t *confined = arena_confined();
    bool good = arena != NULL && confined != NULL
                && arena_alloc(arena, 3000) != NULL
                && arena_alloc(NULL, 100) != NULL
                && arena_alloc(confined, 100) != NULL
                && arena_close(confined) == 0;

    if (!good)
        atomic_fetch_add(faults, 1);
    arena_keep_alive(arena);
}

static void *
end_by_return(void *arg)
{
    use_everything(arg);
    return NULL;
}

static void *
end_by_exit(void *arg)
{
    use_everything(arg);
    pthread_exit(NULL);
}

static void *
end_by_cancel(void *arg)
{
    use_everything(arg);
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return NULL;
}

static void *
end_after_collecting(void *arg)
{
    use_everything(arg);
    arena_collect();
    return NULL;
}

static void *
end_after_attaching(void *arg)
{
    if (arena_thread_attach() != 0)
        atomic_fetch_add((atomic_size_t *)arg, 1);
    return NULL;
}

static void *(*const endings[])(void *) = {
    end_by_return, end_by_exit, end_by_cancel, end_after_collecting,
    end_after_attaching};

/* A thread that ended attached would be waited for by the next collection,
 * which then aborts. */
START_TEST(test_thousand_ended_threads_do_not_disturb_collections)
{
    atomic_size_t faults = 0;

    for (size_t i = 0; i < test_scaled(1000); i++) {
        join_thread(start_thread(endings[_i], &faults));
        if (i % 100 == 0)
            collect_scrubbed();
    }
    ck_assert_uint_eq(atomic_load(&faults), 0);
    expect_settled(base);
}
END_TEST

static void *
run_detached_main(void *arg)
{
    sem_t *ended = ((void **)arg)[0];

    use_everything(((void **)arg)[1]);
    sem_post(ended);
    return NULL;
}

START_TEST(test_detached_threads_do_not_disturb_collections)
{
    static sem_t ended;
    static atomic_size_t faults;
    static void *both[2] = {&ended, &faults};
    pthread_t thread;

    ck_assert_int_eq(sem_init(&ended, 0, 0), 0);
    for (size_t i = 0; i < 200; i++) {
        thread = start_thread(run_detached_main, both);
        ck_assert_int_eq(pthread_detach(thread), 0);
    }
    for (size_t i = 0; i < 200; i++)
        semaphore_wait(&ended);
    collect_times(3);
    ck_assert_uint_eq(atomic_load(&faults), 0);
    expect_settled(base);
}
END_TEST

/* Threads start and end while others collect. */
static void
come_and_go(void *state, size_t index)
{
    for (size_t i = 0; i < 100; i++) {
        if (index == 0)
            arena_collect();
        else
            use_everything(state);
    }
}

START_TEST(test_threads_that_come_and_go_during_collections_work)
{
    atomic_size_t faults = 0;

    for (size_t i = 0; i < 20; i++)
        run_team(6, come_and_go, &faults);
    ck_assert_uint_eq(atomic_load(&faults), 0);
    expect_settled(base);
}
END_TEST

/* The library is used first by a thread that is not the main one. */
START_TEST(test_first_use_by_a_thread_that_ends_works)
{
    atomic_size_t faults = 0;

    run_in_thread(endings[_i], &faults);
    collect_times(3);
    ck_assert_uint_eq(atomic_load(&faults), 0);
    base = usage_now();
    use_everything(&faults);
    collect_times(3);
    run_in_thread(end_after_collecting, &faults);
    ck_assert_uint_eq(atomic_load(&faults), 0);
}
END_TEST

/* A thread whose end the library would not hear of is refused what only the
 * collector could find there. */
static void *
keyless_main(void *arg)
{
    struct answer *answers = arg;
    arena_t *confined = arena_confined();

    record_answer(&answers[0], arena_thread_attach());
    record_answer(&answers[1], arena_alloc(NULL, 100));
    record_answer(&answers[2], arena_auto());
    record_answer(&answers[3], arena_malloc(100));
    record_answer(&answers[4], arena_alloc(confined, 100));
    record_answer(&answers[5], arena_close(confined));
    return NULL;
}

START_TEST(test_threads_without_a_key_have_no_collected_memory)
{
    pthread_key_t *keys = malloc(PTHREAD_KEYS_MAX * sizeof *keys);
    struct answer answers[6];
    size_t count = 0;

    while (count < PTHREAD_KEYS_MAX
           && pthread_key_create(&keys[count], NULL) == 0)
        count++;
    expect_ok(arena_thread_attach());
    expect_ok(arena_alloc(NULL, 100));
    run_in_thread(keyless_main, answers);
    while (count > 0)
        pthread_key_delete(keys[--count]);
    free(keys);
    for (size_t i = 0; i < 4; i++)
        expect_answer(&answers[i], ENOMEM, "thread-specific");
    expect_success(&answers[4]);
    expect_success(&answers[5]);
}
END_TEST

/* --- Destructors of thread-specific data --- */

#define ROUNDS_MOST 4 /* rounds of destructors that POSIX promises */

struct departure {
    pthread_key_t key;
    char *block;       /* pinned: the value of a key is not looked at */
    int rounds;        /* how often to be called again */
    atomic_size_t *faults;
};

static pthread_key_t earlier_key, later_key;
static atomic_size_t departures;

/* Uses collected memory when the thread may have been detached already. */
static void
depart(void *value)
{
    struct departure *departure = value;
    arena_t *arena = arena_auto();
    char *block = arena_alloc(arena, 5000);
    bool good = arena != NULL && block != NULL && block_is_zero(block, 5000)
                && arena_alloc(NULL, 50) != NULL;

    if (departure->rounds-- > 0) {
        good &= pthread_setspecific(departure->key, departure) == 0;
    } else {
        good &= block_holds(departure->block, 200, 6);
        good &= arena_unpin(departure->block) == 0;
        errno = 0;
        arena_free(departure->block);
        good &= errno == 0;
        atomic_fetch_add(&departures, 1);
    }
    arena_keep_alive(arena);
    if (!good)
        atomic_fetch_add(departure->faults, 1);
    if (departure->block != NULL && departure->rounds < 0)
        free(departure);
}

static void
depart_prepare(pthread_key_t key, int rounds, atomic_size_t *faults)
{
    struct departure *departure = malloc(sizeof *departure);
    char *block = arena_alloc(NULL, 200);

    if (departure == NULL || block == NULL || arena_pin(block) != 0) {
        atomic_fetch_add(faults, 1);
        free(departure);
        return;
    }
    fill_block(block, 200, 6);
    *departure = (struct departure){key, block, rounds, faults};
    if (pthread_setspecific(key, departure) != 0)
        atomic_fetch_add(faults, 1);
}

struct departing {
    int rounds;
    atomic_size_t faults;
};

static void *
departing_main(void *arg)
{
    struct departing *departing = arg;

    depart_prepare(earlier_key, departing->rounds, &departing->faults);
    depart_prepare(later_key, departing->rounds, &departing->faults);
    return NULL;
}

/* One key is made before the library is used for the first time, the other
 * after it: destructors run in the order of keys. */
static void
setup_keys(void)
{
    ck_assert_int_eq(pthread_key_create(&earlier_key, depart), 0);
    setup();
    ck_assert_int_eq(pthread_key_create(&later_key, depart), 0);
}

static void
teardown_keys(void)
{
    pthread_key_delete(earlier_key);
    pthread_key_delete(later_key);
}

START_TEST(test_destructor_may_use_collected_memory)
{
    struct departing departing = {.rounds = _i};
    size_t threads = test_scaled(200);

    atomic_store(&departures, 0);
    for (size_t i = 0; i < threads; i++) {
        run_in_thread(departing_main, &departing);
        if (i % 20 == 0)
            collect_scrubbed();
    }
    ck_assert_uint_eq(atomic_load(&departing.faults), 0);
    ck_assert_uint_eq(atomic_load(&departures), 2 * threads);
    collect_times(3);
    expect_settled(base);
}
END_TEST

/* What is freed when no collection stops the thread any more. */
struct last_free {
    pthread_key_t key;
    void *block;
    int rounds;
};

static void
free_in_last_round(void *value)
{
    struct last_free *last = value;

    if (--last->rounds > 0)
        (void)pthread_setspecific(last->key, last);
    else
        arena_free(last->block);
}

static void *
last_free_main(void *arg)
{
    struct last_free *last = arg;

    arena_free(arena_malloc(100));
    (void)pthread_setspecific(last->key, last);
    return NULL;
}

/* Had a collection come between the thread's last look at the block and the
 * free, it would be somebody else's: so it is not touched. */
START_TEST(test_block_freed_in_the_last_round_is_the_collectors)
{
    static const size_t sizes[] = {24, 600, 5000, 200000};
    struct last_free last = {.rounds = 0};

    ck_assert_int_eq(pthread_key_create(&last.key, free_in_last_round), 0);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i / 2];
        bool late = i % 2 == 1;

        last.rounds = late ? ROUNDS_MOST - 1 : 1;
        expect_ok(last.block = arena_malloc(size));
        fill_block(last.block, size, i);
        run_in_thread(last_free_main, &last);
        ck_assert_int_eq(arena_usable_size(last.block) >= size, late);
        if (late) {
            ck_assert(block_holds(last.block, size, i));
            arena_free(last.block);
        }
    }
    pthread_key_delete(last.key);
}
END_TEST

/* The first use of all is in a destructor. */
static atomic_size_t *late_faults;

static void
late_use(void *value)
{
    (void)value;
    use_everything(late_faults);
}

static void *
late_use_main(void *arg)
{
    if (pthread_setspecific(*(pthread_key_t *)arg, arg) != 0)
        atomic_fetch_add(late_faults, 1);
    return NULL;
}

START_TEST(test_destructor_may_be_a_threads_first_use)
{
    atomic_size_t faults = 0;
    pthread_key_t key;

    late_faults = &faults;
    ck_assert_int_eq(pthread_key_create(&key, late_use), 0);
    for (size_t i = 0; i < 100; i++)
        run_in_thread(late_use_main, &key);
    ck_assert_uint_eq(atomic_load(&faults), 0);
    collect_times(3);
    expect_settled(base);
    pthread_key_delete(key);
}
END_TEST

/* --- Owners --- */

struct owner {
    arena_t *arena;
    sem_t opened, go_on;
};

static void *
owner_main(void *arg)
{
    struct owner *owner = arg;

    owner->arena = arena_confined();
    (void)arena_alloc(owner->arena, 100);
    sem_post(&owner->opened);
    semaphore_wait(&owner->go_on);
    return NULL;
}

static pthread_t
owner_start(struct owner *owner)
{
    pthread_t thread;

    ck_assert_int_eq(sem_init(&owner->opened, 0, 0), 0);
    ck_assert_int_eq(sem_init(&owner->go_on, 0, 0), 0);
    thread = start_thread(owner_main, owner);
    semaphore_wait(&owner->opened);
    ck_assert_ptr_nonnull(owner->arena);
    return thread;
}

static void
owner_end(struct owner *owner, pthread_t thread)
{
    sem_post(&owner->go_on);
    join_thread(thread);
}

START_TEST(test_adopt_from_living_owner_fails_eperm)
{
    struct owner owner;
    pthread_t thread = owner_start(&owner);

    expect_fail(arena_adopt(owner.arena), EPERM, "");
    expect_fail(arena_alloc(owner.arena, 10), EPERM, "");
    expect_fail(arena_close(owner.arena), EPERM, "");
    ck_assert(arena_is_alive(owner.arena));
    ck_assert(!arena_is_accessible(owner.arena));
    owner_end(&owner, thread);
    expect_ok(arena_adopt(owner.arena));
    expect_ok(arena_close(owner.arena));
    expect_usage(base);
}
END_TEST

START_TEST(test_adopt_from_ended_owner_gives_everything)
{
    struct owner owner;
    char *block;

    owner_end(&owner, owner_start(&owner));
    expect_fail(arena_alloc(owner.arena, 10), EPERM, "");
    ck_assert(!arena_is_accessible(owner.arena));
    expect_ok(arena_adopt(owner.arena));
    ck_assert(arena_is_accessible(owner.arena));
    expect_ok(arena_adopt(owner.arena));
    expect_ok(block = arena_alloc(owner.arena, 1000));
    ck_assert(block_is_zero(block, 1000));
    ck_assert_ptr_eq(arena_of(block), owner.arena);
    expect_ok(arena_close(owner.arena));
    expect_usage(base);
}
END_TEST

START_TEST(test_adopt_by_second_thread_fails_eperm)
{
    struct owner owner;
    struct answer answer;

    owner_end(&owner, owner_start(&owner));
    expect_ok(arena_adopt(owner.arena));
    answer = ask_in_thread(arena_adopt, owner.arena);
    expect_answer(&answer, EPERM, "");
    expect_ok(arena_close(owner.arena));
    expect_usage(base);
}
END_TEST

/* Threads that race for the arena stay until all of them have tried. */
struct adoption {
    arena_t *arena;
    pthread_barrier_t all_tried;
    atomic_size_t won, lost, other;
};

static void
adopt_and_stay(void *state, size_t index)
{
    struct adoption *adoption = state;
    bool won;

    (void)index;
    errno = 0;
    won = arena_adopt(adoption->arena) == 0;
    atomic_fetch_add(won                ? &adoption->won
                     : errno == EPERM ? &adoption->lost
                                      : &adoption->other,
                     1);
    barrier_wait(&adoption->all_tried);
    if (won && arena_close(adoption->arena) != 0)
        atomic_fetch_add(&adoption->other, 1);
}

START_TEST(test_adopt_by_many_threads_has_one_winner)
{
    for (size_t i = 0; i < 100; i++) {
        struct owner owner;
        struct adoption adoption = {.arena = NULL};

        owner_end(&owner, owner_start(&owner));
        adoption.arena = owner.arena;
        barrier_init(&adoption.all_tried, 8);
        run_team(8, adopt_and_stay, &adoption);
        ck_assert_uint_eq(atomic_load(&adoption.won), 1);
        ck_assert_uint_eq(atomic_load(&adoption.lost), 7);
        ck_assert_uint_eq(atomic_load(&adoption.other), 0);
        pthread_barrier_destroy(&adoption.all_tried);
    }
    expect_usage(base);
}
END_TEST

/* The system gives the ids of ended threads to new ones: those own nothing. */
START_TEST(test_owner_is_no_later_thread_with_the_same_id)
{
    struct owner owner;
    struct answer answer;

    owner_end(&owner, owner_start(&owner));
    for (size_t i = 0; i < 100; i++) {
        answer = ask_in_thread(arena_close, owner.arena);
        expect_answer(&answer, EPERM, "");
    }
    ck_assert(arena_is_alive(owner.arena));
    expect_ok(arena_adopt(owner.arena));
    expect_ok(arena_close(owner.arena));
}
END_TEST

/* In its destructors, but the last round, a thread still owns its arenas. */
struct leaving {
    pthread_key_t key;
    arena_t *arena;
    bool allocated;
    struct answer adopt, close;
};

static void
leave(void *value)
{
    struct leaving *leaving = value;

    leaving->allocated = arena_alloc(leaving->arena, 100) != NULL;
    leaving->adopt = ask_in_thread(arena_adopt, leaving->arena);
    record_answer(&leaving->close, arena_close(leaving->arena));
}

static void *
leaving_main(void *arg)
{
    struct leaving *leaving = arg;

    leaving->arena = arena_confined();
    if (pthread_setspecific(leaving->key, leaving) != 0)
        return NULL;
    return leaving->arena;
}

START_TEST(test_owner_in_its_destructors_still_owns)
{
    struct leaving leaving = {.allocated = false};

    ck_assert_int_eq(pthread_key_create(&leaving.key, leave), 0);
    ck_assert_ptr_nonnull(run_in_thread(leaving_main, &leaving));
    ck_assert(leaving.allocated);
    expect_answer(&leaving.adopt, EPERM, "");
    expect_success(&leaving.close);
    expect_usage(base);
    pthread_key_delete(leaving.key);
}
END_TEST

START_TEST(test_adopt_of_other_kinds_fails_enotsup)
{
    arena_t *shared = arena_shared();
    arena_t *automatic = arena_auto();

    expect_fail(arena_adopt(shared), ENOTSUP, "");
    expect_fail(arena_adopt(automatic), ENOTSUP, "");
    expect_fail(arena_adopt(arena_global()), ENOTSUP, "");
    expect_fail(arena_adopt(arena_implicit()), ENOTSUP, "");
    expect_fail(arena_adopt(NULL), EINVAL, "");
    expect_ok(arena_close(shared));
    arena_keep_alive(automatic);
}
END_TEST

START_TEST(test_release_by_another_thread_succeeds)
{
    arena_t *arena = arena_confined();
    struct answer answer;

    expect_ok(arena_acquire(arena));
    expect_fail(arena_close(arena), EBUSY, "1");
    answer = ask_in_thread(arena_acquire, arena);
    expect_answer(&answer, EPERM, "");
    answer = ask_in_thread(arena_release, arena);
    expect_success(&answer);
    answer = ask_in_thread(arena_release, arena);
    expect_answer(&answer, EINVAL, "");
    expect_ok(arena_close(arena));
    expect_usage(base);
}
END_TEST

/* Many arenas left behind by ended threads can all be taken over. */
START_TEST(test_adopt_after_many_owners_closes_everything)
{
    static struct owner owners[200];

    for (size_t i = 0; i < LENGTH(owners); i++)
        owner_end(&owners[i], owner_start(&owners[i]));
    ck_assert_uint_eq(POOL(usage_now(), ARENA_CONFINED).count,
                      POOL(base, ARENA_CONFINED).count + LENGTH(owners));
    for (size_t i = 0; i < LENGTH(owners); i++) {
        expect_ok(arena_adopt(owners[i].arena));
        expect_ok(arena_close(owners[i].arena));
    }
    expect_usage(base);
}
END_TEST

/* --- Errors are each thread's own --- */

static void *
fail_main(void *arg)
{
    bool *apart = arg;

    *apart = arena_error()[0] == '\0';
    (void)arena_close(arena_global());
    *apart &= arena_error()[0] != '\0';
    return NULL;
}

START_TEST(test_error_belongs_to_the_thread)
{
    char mine[256];
    bool apart = false;

    expect_fail(arena_alloc_aligned(arena_global(), 1, 3), EINVAL, "");
    snprintf(mine, sizeof mine, "%s", arena_error());
    run_in_thread(fail_main, &apart);
    ck_assert(apart);
    ck_assert_str_eq(arena_error(), mine);
}
END_TEST

/* --- Suite --- */

static TCase *
add_case(Suite *suite, const char *name, void (*fixture)(void),
         void (*end)(void))
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, fixture, end);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void
add_attach(Suite *suite)
{
    TCase *attach = add_case(suite, "attach", setup, NULL);
    TCase *first = add_case(suite, "first use", NULL, NULL);
    TCase *keys = add_case(suite, "destructors", setup_keys, teardown_keys);

    tcase_add_loop_test(first, test_first_use_by_a_thread_that_ends_works, 0,
                        LENGTH(endings));
    /* In a process of its own, where the library is not used yet. */
    if (getenv("CK_FORK") == NULL)
        tcase_add_test(first,
                       test_threads_without_a_key_have_no_collected_memory);
    tcase_add_test(attach,
                   test_attach_main_thread_succeeds_any_number_of_times);
    tcase_add_test(attach, test_detach_main_thread_fails_eperm);
    tcase_add_test(attach, test_attach_and_detach_in_any_order_succeed);
    tcase_add_test(attach, test_detached_thread_attaches_itself_again_on_use);
    tcase_add_test(attach, test_attached_holder_keeps_what_is_on_its_stack);
    tcase_add_loop_test(attach, test_unattached_holder_keeps_nothing, 0, 2);
    tcase_add_loop_test(attach, test_ended_holder_keeps_nothing, 0, 2);
    tcase_add_loop_test(
        attach, test_thousand_ended_threads_do_not_disturb_collections, 0,
        LENGTH(endings));
    tcase_add_test(attach, test_detached_threads_do_not_disturb_collections);
    tcase_add_test(attach,
                   test_threads_that_come_and_go_during_collections_work);
    tcase_add_loop_test(keys, test_destructor_may_use_collected_memory, 0,
                        ROUNDS_MOST - 1);
    tcase_add_test(keys, test_destructor_may_be_a_threads_first_use);
    tcase_add_test(keys,
                   test_block_freed_in_the_last_round_is_the_collectors);
}

static void
add_owner(Suite *suite)
{
    TCase *owner = add_case(suite, "owner", setup, NULL);

    tcase_add_test(owner, test_adopt_from_living_owner_fails_eperm);
    tcase_add_test(owner, test_adopt_from_ended_owner_gives_everything);
    tcase_add_test(owner, test_adopt_by_second_thread_fails_eperm);
    tcase_add_test(owner, test_adopt_by_many_threads_has_one_winner);
    tcase_add_test(owner, test_owner_is_no_later_thread_with_the_same_id);
    tcase_add_test(owner, test_owner_in_its_destructors_still_owns);
    tcase_add_test(owner, test_adopt_of_other_kinds_fails_enotsup);
    tcase_add_test(owner, test_release_by_another_thread_succeeds);
    tcase_add_test(owner, test_adopt_after_many_owners_closes_everything);
    tcase_add_test(owner, test_error_belongs_to_the_thread);
}

int
main(void)
{
    Suite *suite = suite_create("threads");

    add_attach(suite);
    add_owner(suite);
    return run_suite(suite);
}
