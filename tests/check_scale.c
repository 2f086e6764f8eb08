/* check_scale.c: very many arenas, very many threads, and what the snapshot
 * and the report say about arenas. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { ARENAS = 100000, SHORT_THREADS = 10000, EARLY_THREADS = 1000 };

/* All that the budget is charged for. */
static size_t
charged(const arena_usage_t *usage)
{
    return usage->reserved + usage->cached;
}

/* --- Many arenas --- */

/* Open so many arenas with a block of 32 bytes each. */
static arena_t **
open_many(void)
{
    arena_t **arenas = calloc(ARENAS, sizeof *arenas);

    ck_assert_ptr_nonnull(arenas);
    for (size_t i = 0; i < ARENAS; i++) {
        char *block;

        arenas[i] = arena_confined();
        block = arenas[i] != NULL ? arena_alloc(arenas[i], 32) : NULL;
        if (block == NULL || !block_is_zero(block, 32))
            ck_abort_msg("arena %zu: %s", i, arena_error());
        fill_block(block, 32, i);
    }
    return arenas;
}

START_TEST(test_many_arenas_open_stay_small)
{
    arena_usage_t before = usage_now(), opened;
    size_t resident = resident_now();
    arena_t **arenas = open_many();

    opened = usage_now();
    if (!HARNESS_SANITIZED)
        ck_assert_uint_lt(resident_now() - resident, 512 * MIB);
    ck_assert_uint_lt(charged(&opened) - charged(&before), 512 * MIB);
    ck_assert_uint_eq(opened.count - before.count, ARENAS);
    ck_assert_uint_eq(opened.kind[ARENA_CONFINED].count
                          - before.kind[ARENA_CONFINED].count,
                      ARENAS);
    ck_assert_uint_eq(opened.requested - before.requested, 32 * ARENAS);
    for (size_t i = 0; i < ARENAS; i++)
        if (arena_close(arenas[i]) != 0)
            ck_abort_msg("arena %zu: %s", i, arena_error());
    free(arenas);
    expect_usage(before);
    ck_assert_int_eq(arena_trim(), 0);
    ck_assert_uint_le(usage_now().cached, before.cached);
}
END_TEST

START_TEST(test_many_arenas_closed_in_random_order_restore_usage)
{
    arena_usage_t before = usage_now();
    arena_t **arenas = open_many();
    uint64_t random = 99;

    for (size_t i = ARENAS; i > 1; i--) {
        size_t other = random_below(&random, i);
        arena_t *swapped = arenas[i - 1];

        arenas[i - 1] = arenas[other];
        arenas[other] = swapped;
    }
    for (size_t i = 0; i < ARENAS; i++)
        if (!arena_is_alive(arenas[i]) || arena_close(arenas[i]) != 0)
            ck_abort_msg("arena %zu: %s", i, arena_error());
    free(arenas);
    expect_usage(before);
}
END_TEST

START_TEST(test_many_arenas_opened_again_do_not_grow)
{
    size_t resident = 0, in_use = 0;

    for (size_t round = 0; round < 6; round++) {
        arena_t **arenas = open_many();
        arena_usage_t usage;

        for (size_t i = 0; i < ARENAS; i++)
            if (arena_close(arenas[i]) != 0)
                ck_abort_msg("arena %zu: %s", i, arena_error());
        free(arenas);
        usage = usage_now();
        if (round == 1) {
            resident = resident_now();
            in_use = charged(&usage);
        }
        if (round > 1) {
            ck_assert_uint_le(charged(&usage), in_use);
            if (!HARNESS_SANITIZED)
                ck_assert_uint_le(resident_now(), resident + 2 * MIB);
        }
    }
}
END_TEST

/* --- Many threads --- */

static void *
live_shortly(void *arg)
{
    const size_t *number = arg;
    arena_t *arena = *number % 2 == 0 ? arena_confined() : arena_shared();
    size_t failures = arena == NULL;

    for (size_t size = 10; size < 100000; size *= 9)
        failures += arena_alloc(arena, size) == NULL;
    failures += arena_close(arena) != 0;
    return failures == 0 ? NULL : arg;
}

START_TEST(test_many_short_threads_leave_nothing)
{
    arena_usage_t before = usage_now(), early = before, late;
    size_t resident = 0;

    for (size_t i = 0; i < SHORT_THREADS; i++) {
        if (i == EARLY_THREADS) {
            early = usage_now();
            resident = resident_now();
        }
        if (run_in_thread(live_shortly, &i) != NULL)
            ck_abort_msg("a call failed in thread %zu", i);
    }
    late = usage_now();
    expect_usage(before);
    ck_assert_uint_le(charged(&late), charged(&early));
    if (!HARNESS_SANITIZED)
        ck_assert_uint_le(resident_now(), resident + 2 * MIB);
}
END_TEST

/* --- Snapshot --- */

static size_t
pool_sum(const arena_usage_t *usage, size_t field)
{
    const arena_usage_pool_t *const others[] = {
        &usage->heap, &usage->buffers, &usage->mapped, &usage->manual};
    size_t sum = 0;

    for (size_t i = 0; i < LENGTH(usage->kind) + LENGTH(others); i++) {
        const arena_usage_pool_t *pool = i < LENGTH(usage->kind)
                                             ? &usage->kind[i]
                                             : others[i - LENGTH(usage->kind)];

        sum += field == 0   ? pool->reserved
               : field == 1 ? pool->requested
                            : pool->count;
    }
    return sum;
}

static bool
sums_hold(const arena_usage_t *usage)
{
    return usage->reserved == pool_sum(usage, 0)
           && usage->requested == pool_sum(usage, 1)
           && usage->count == pool_sum(usage, 2);
}

START_TEST(test_usage_totals_are_sums_of_pools)
{
    arena_t *confined = arena_confined();
    arena_t *shared = arena_shared();
    arena_usage_t usage;

    for (size_t size = 1; size < 2 * MIB; size = size * 3 + 5) {
        expect_ok(arena_alloc(confined, size));
        expect_ok(arena_alloc(shared, size));
        expect_ok(arena_alloc(arena_global(), size));
        expect_ok(arena_alloc(NULL, size));
        expect_ok(arena_reserve(size));
        usage = usage_now();
        ck_assert(sums_hold(&usage));
        ck_assert_uint_ge(usage.peak, usage.reserved);
        ck_assert_uint_le(charged(&usage), usage.limit);
        expect_ok(arena_unreserve(size));
    }
    expect_ok(arena_close(confined));
    expect_ok(arena_close(shared));
    usage = usage_now();
    ck_assert(sums_hold(&usage));
}
END_TEST

/* Threads that keep the counters moving while one looks at them. */
struct churn {
    size_t snapshots;
    size_t wrong;
    size_t failures[4];
};

static void
churn(void *state, size_t index)
{
    struct churn *all = state;

    for (size_t i = 0; i < 5000; i++) {
        arena_t *arena = index % 2 == 0 ? arena_confined() : arena_shared();
        arena_usage_t usage;

        for (size_t size = 100; size < 200000; size *= 7)
            all->failures[index] += arena_alloc(arena, size) == NULL;
        if (index == 0) {
            usage = usage_now();
            all->snapshots++;
            all->wrong += !sums_hold(&usage);
        }
        all->failures[index] += arena_close(arena) != 0;
    }
}

START_TEST(test_usage_among_busy_threads_is_consistent)
{
    arena_usage_t before = usage_now();
    struct churn all = {.snapshots = 0};

    run_team(4, churn, &all);
    ck_assert_uint_eq(all.snapshots, 5000);
    ck_assert_uint_eq(all.wrong, 0);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(all.failures[i], 0);
    expect_usage(before);
}
END_TEST

START_TEST(test_usage_of_shorter_structure_writes_no_further)
{
    arena_usage_t whole, part;
    size_t size = offsetof(arena_usage_t, cached);

    memset(&part, 0x77, sizeof part);
    arena_usage(&whole, sizeof whole);
    arena_usage(&part, size);
    ck_assert_int_eq(memcmp(&part, &whole, size), 0);
    for (size_t i = size; i < sizeof part; i++)
        ck_assert_uint_eq(((unsigned char *)&part)[i], 0x77);
}
END_TEST

/* --- Report --- */

/* The report as a string, to be freed. */
static char *
report_text(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    expect_ok(arena_report(stream));
    ck_assert_int_eq(fclose(stream), 0);
    ck_assert_ptr_nonnull(text);
    return text;
}

/* The words of the report's line that has this name: their number; 0 if there
 * is no such line.  Overwrites the text from there on. */
static size_t
report_words(char *text, const char *name, char **words, size_t most)
{
    char *line = strstr(text, name);
    size_t count = 0;
    char *rest = NULL;

    if (line == NULL)
        return 0;
    while (line > text && line[-1] != '\n')
        line--;
    line[strcspn(line, "\n")] = '\0';
    for (char *word = strtok_r(line, " \t|,;:=()[]\"", &rest);
         word != NULL && count < most;
         word = strtok_r(NULL, " \t|,;:=()[]\"", &rest))
        words[count++] = word;
    return count;
}

static bool
has_word(char *const *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

static arena_t *
open_named(arena_kind_t kind, const char *name)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena;

    options.name = name;
    arena = arena_open(kind, &options);
    for (size_t i = 0; arena != NULL && i < 37; i++)
        if (arena_alloc(arena, 123) == NULL)
            return NULL;
    return arena;
}

START_TEST(test_report_lists_open_arena_until_closed)
{
    arena_kind_t kind = _i == 0 ? ARENA_CONFINED : ARENA_SHARED;
    arena_t *arena = open_named(kind, "probe-of-report");
    char *text = report_text();
    char *words[64], bytes[32];
    size_t count = report_words(text, "probe-of-report", words, 64);

    ck_assert_uint_gt(count, 0);
    snprintf(bytes, sizeof bytes, "%zu", arena_bytes(arena));
    ck_assert(has_word(words, count, "probe-of-report"));
    ck_assert(has_word(words, count, _i == 0 ? "confined" : "shared"));
    ck_assert(has_word(words, count, bytes));
    ck_assert(has_word(words, count, "37"));
    free(text);
    expect_ok(arena_close(arena));
    text = report_text();
    ck_assert_ptr_null(strstr(text, "probe-of-report"));
    free(text);
}
END_TEST

/* Arenas that two living threads open in turn: 0, 2 by the test's thread, 1,
 * 3 by another. */
struct owners {
    pthread_barrier_t turn;
    arena_t *arenas[4];
};

static const char *const owner_names[4] = {"report-a", "report-b", "report-c",
                                           "report-d"};

static void *
open_in_turn(void *arg)
{
    struct owners *owners = arg;

    for (size_t i = 1; i < 4; i += 2) {
        barrier_wait(&owners->turn);
        owners->arenas[i] = open_named(ARENA_CONFINED, owner_names[i]);
        barrier_wait(&owners->turn);
    }
    barrier_wait(&owners->turn);
    (void)arena_close(owners->arenas[1]);
    (void)arena_close(owners->arenas[3]);
    return NULL;
}

/* Is there a word of the lines by which the threads can be told apart: the
 * same for 0 and 2, the same for 1 and 3, and another one?  Ages cannot be
 * it, since the arenas were opened in turn. */
static bool
owners_differ(void)
{
    char *text = report_text();
    char *copies[4], *words[4][64];
    size_t least = 64;
    bool found = false;

    for (size_t i = 0; i < 4; i++) {
        size_t count;

        copies[i] = strdup(text);
        ck_assert_ptr_nonnull(copies[i]);
        count = report_words(copies[i], owner_names[i], words[i], 64);
        least = count < least ? count : least;
    }
    for (size_t i = 0; i < least; i++)
        if (strcmp(words[0][i], words[2][i]) == 0
            && strcmp(words[1][i], words[3][i]) == 0
            && strcmp(words[0][i], words[1][i]) != 0)
            found = true;
    for (size_t i = 0; i < 4; i++)
        free(copies[i]);
    free(text);
    return found;
}

START_TEST(test_report_tells_owners_apart)
{
    struct owners owners;
    pthread_t thread;

    barrier_init(&owners.turn, 2);
    thread = start_thread(open_in_turn, &owners);
    for (size_t i = 0; i < 4; i += 2) {
        owners.arenas[i] = open_named(ARENA_CONFINED, owner_names[i]);
        ck_assert_ptr_nonnull(owners.arenas[i]);
        barrier_wait(&owners.turn);
        barrier_wait(&owners.turn);
    }
    ck_assert(owners_differ());
    barrier_wait(&owners.turn);
    join_thread(thread);
    expect_ok(arena_close(owners.arenas[0]));
    expect_ok(arena_close(owners.arenas[2]));
    pthread_barrier_destroy(&owners.turn);
}
END_TEST

/* A line each, whatever its name; and no two names look the same. */
START_TEST(test_report_shows_control_characters_of_names_by_number)
{
    static const char *const names[][2] = {
        {"two\nlines", "two\\012lines"},
        {"\033[2Jgone\177", "\\033[2Jgone\\177"},
        {"back\\012slash", "back\\134012slash"},
        {"na\303\257ve\t", "na\303\257ve\\011"},
    };
    arena_options_t options = ARENA_OPTIONS_INIT;
    char shown[32], *text;
    arena_t *arena;

    options.name = names[_i][0];
    ck_assert_ptr_nonnull(arena = arena_open(ARENA_CONFINED, &options));
    text = report_text();
    snprintf(shown, sizeof shown, " %s ", names[_i][1]);
    ck_assert_msg(strstr(text, shown) != NULL, "%s", text);
    ck_assert_str_eq(arena_name(arena), names[_i][0]);
    free(text);
    expect_ok(arena_close(arena));
}
END_TEST

/* One of nothing else is cut, and not within a number. */
START_TEST(test_report_of_long_names_of_control_characters)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    char name[100], *text, *end;
    arena_t *arena;

    memset(name, '\n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    options.name = name;
    ck_assert_ptr_nonnull(arena = arena_open(ARENA_SHARED, &options));
    text = report_text();
    ck_assert_ptr_nonnull(end = strrchr(text, '\\'));
    ck_assert_int_eq(strncmp(end, "\\012 ", 5), 0);
    free(text);
    expect_ok(arena_close(arena));
}
END_TEST

START_TEST(test_report_null_fails_einval)
{
    arena_usage_t before = usage_now();

    expect_fail(arena_report(NULL), EINVAL, "");
    expect_usage(before);
}
END_TEST

static Suite *
scale_suite(void)
{
    Suite *suite = suite_create("scale");
    TCase *many = tcase_create("many");
    TCase *usage = tcase_create("usage");
    TCase *report = tcase_create("report");

    tcase_set_timeout(many, 120);
    tcase_add_test(many, test_many_arenas_open_stay_small);
    tcase_add_test(many,
                   test_many_arenas_closed_in_random_order_restore_usage);
    tcase_add_test(many, test_many_arenas_opened_again_do_not_grow);
    tcase_add_test(many, test_many_short_threads_leave_nothing);
    suite_add_tcase(suite, many);

    tcase_set_timeout(usage, 60);
    tcase_add_test(usage, test_usage_totals_are_sums_of_pools);
    tcase_add_test(usage, test_usage_among_busy_threads_is_consistent);
    tcase_add_test(usage, test_usage_of_shorter_structure_writes_no_further);
    suite_add_tcase(suite, usage);

    tcase_add_loop_test(report, test_report_lists_open_arena_until_closed, 0,
                        2);
    tcase_add_test(report, test_report_tells_owners_apart);
    tcase_add_loop_test(
        report, test_report_shows_control_characters_of_names_by_number, 0, 4);
    tcase_add_test(report, test_report_of_long_names_of_control_characters);
    tcase_add_test(report, test_report_null_fails_einval);
    suite_add_tcase(suite, report);
    return suite;
}

int
main(void)
{
    return run_suite(scale_suite());
}
