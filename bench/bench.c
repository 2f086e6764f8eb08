/*
 * bench.c: run the cases, print a table, write a CSV file.
 *
 * Each implementation is first calibrated to loops that fill one round.  Then
 * come the rounds; in each of them every implementation runs once, starting
 * with another one every time, so that a slow minute of the machine hits all
 * of them.  The ratio is the median of the ratios within each round.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define IMPLS_MAX 32
#define ROUNDS_MAX 1000
#define ROUNDS_LEAST 9

/* Those that start threads or the collector come last: malloc is slower in a
 * process that has had a second thread. */
static const struct bench_case *const cases[] = {
    &case_confined,
    &case_open_close,
    &case_shared,
    &case_auto,
    &case_buffer,
    &case_phantom,
    &case_segment,
    &case_serialize,
};

static const char *const role_names[] = {"libarena", "peer", "reference"};

struct settings {
    size_t rounds;
    double round_ns;
    const char *csv_path; /* or NULL */
    bool list;
};

/* What was measured for one implementation. */
struct result {
    size_t loops;          /* per round */
    double ns[ROUNDS_MAX]; /* per operation, by round */
    const char *absent;    /* why it was not measured, or NULL */
    double median;
    double minimum;
    double ratio;     /* to the best peer; 0: there is none */
    const char *best; /* that peer */
};

static struct result results[IMPLS_MAX];
static const char *absent; /* of the implementation that begins */

void
bench_fail(const char *what)
{
    fprintf(stderr, "bench: %s failed: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

void
bench_absent(const char *why)
{
    absent = why;
}

/* --- Measuring --- */

static double
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double
time_run(const struct bench_impl *impl, size_t loops)
{
    double start = now_ns();

    impl->run(loops);
    return now_ns() - start;
}

/* Find the loops that take about target nanoseconds; warms up, too. */
static size_t
calibrate(const struct bench_impl *impl, double target)
{
    size_t loops = 1;
    double ns = time_run(impl, loops);

    while (ns < target / 2 && loops < SIZE_MAX / 4) {
        loops *= 2;
        ns = time_run(impl, loops);
    }
    ns = time_run(impl, loops);
    if (ns > target * 2)
        return loops;
    return (size_t)((double)loops * target / ns) + 1;
}

static void
show_progress(const char *name, size_t round, size_t rounds)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (round < rounds)
        fprintf(stderr, "\r%s: round %zu of %zu ", name, round + 1, rounds);
    else
        fprintf(stderr, "\r%*s\r", (int)strlen(name) + 30, "");
    fflush(stderr);
}

static void
measure_round(const struct bench_impl *impl, struct result *r, size_t round)
{
    double ns = time_run(impl, r->loops);

    r->ns[round] = ns / (double)r->loops / (double)impl->operations;
}

static void
measure(const struct bench_case *c, const struct settings *s)
{
    double target = s->round_ns * (double)c->weight;

    for (size_t i = 0; i < c->count; i++) {
        absent = NULL;
        if (c->impls[i].begin != NULL)
            c->impls[i].begin();
        results[i].absent = absent;
        results[i].loops =
            absent == NULL ? calibrate(&c->impls[i], target) : 0;
    }
    for (size_t round = 0; round < s->rounds; round++) {
        show_progress(c->name, round, s->rounds);
        for (size_t n = 0; n < c->count; n++) {
            size_t i = (round + n) % c->count;

            if (results[i].absent == NULL)
                measure_round(&c->impls[i], &results[i], round);
        }
    }
    show_progress(c->name, s->rounds, s->rounds);
    for (size_t i = 0; i < c->count; i++) {
        if (c->impls[i].end != NULL)
            c->impls[i].end();
    }
}

/* --- Figures --- */

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
median_of(const double *values, size_t count, double *minimum)
{
    static double sorted[ROUNDS_MAX];

    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), compare_doubles);
    if (minimum != NULL)
        *minimum = sorted[0];
    if (count % 2 == 1)
        return sorted[count / 2];
    return (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* The peer of the group with the least median; c->count: there is none. */
static size_t
best_peer(const struct bench_case *c, const char *group)
{
    size_t best = c->count;

    for (size_t i = 0; i < c->count; i++) {
        if (c->impls[i].role != BENCH_PEER || results[i].absent != NULL
            || strcmp(c->impls[i].group, group) != 0)
            continue;
        if (best == c->count || results[i].median < results[best].median)
            best = i;
    }
    return best;
}

static void
compute(const struct bench_case *c, size_t rounds)
{
    static double ratios[ROUNDS_MAX];

    for (size_t i = 0; i < c->count; i++) {
        struct result *r = &results[i];

        r->median = median_of(r->ns, rounds, &r->minimum);
    }
    for (size_t i = 0; i < c->count; i++) {
        size_t best = best_peer(c, c->impls[i].group);

        results[i].ratio = 0;
        results[i].best = "";
        if (best == c->count || results[i].absent != NULL)
            continue;
        for (size_t round = 0; round < rounds; round++)
            ratios[round] = results[i].ns[round] / results[best].ns[round];
        results[i].ratio = median_of(ratios, rounds, NULL);
        results[i].best = c->impls[best].name;
    }
}

/* --- Output --- */

static void
print_row(const struct bench_impl *impl, const struct result *r)
{
    static const char marks[] = {'*', ' ', '+'};

    if (r->absent != NULL) {
        printf(" %c %-42s %s\n", marks[impl->role], impl->name, r->absent);
        return;
    }
    printf(" %c %-42s %10.2f %10.2f", marks[impl->role], impl->name, r->median,
           r->minimum);
    if (r->ratio > 0)
        printf(" %7.2f", r->ratio);
    printf("\n");
}

static void
print_table(const struct bench_case *c)
{
    const char *group = "";

    printf("\n%s: %s\n", c->name, c->title);
    printf("   %-42s %10s %10s %7s\n", "", "median ns", "least ns", "ratio");
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->impls[i].group, group) != 0) {
            group = c->impls[i].group;
            printf("  %s\n", group);
        }
        print_row(&c->impls[i], &results[i]);
    }
    fflush(stdout);
}

static void
write_csv(FILE *csv, const struct bench_case *c, size_t rounds)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct bench_impl *impl = &c->impls[i];
        const struct result *r = &results[i];

        if (r->absent != NULL)
            continue;
        fprintf(csv, "%s,\"%s\",\"%s\",%s,%zu,%zu,%.4f,%.4f,%.4f,\"%s\"\n",
                c->name, impl->group, impl->name, role_names[impl->role],
                rounds, r->loops, r->median, r->minimum, r->ratio, r->best);
    }
}

static FILE *
open_csv(const char *path)
{
    FILE *csv = fopen(path, "w");

    if (csv == NULL)
        bench_fail(path);
    fprintf(csv, "case,group,implementation,role,rounds,loops,median_ns,"
                 "least_ns,ratio,best_peer\n");
    return csv;
}

/* --- Command line --- */

static _Noreturn void
usage(void)
{
    fprintf(stderr,
            "usage: bench [-l] [-q] [-o FILE] [-r ROUNDS] [-t MS] [CASE...]\n"
            "  -l  list the cases\n"
            "  -o  write the figures to FILE, too, as CSV\n"
            "  -q  one short round, to see that all of it runs\n"
            "  -r  rounds, %d at least (15)\n"
            "  -t  length of a round in milliseconds (15)\n",
            ROUNDS_LEAST);
    exit(EXIT_FAILURE);
}

static size_t
number(const char *text, size_t least, size_t most)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least
        || value > most)
        usage();
    return value;
}

static struct settings
parse_options(int argc, char **argv)
{
    struct settings s = {15, 15e6, NULL, false};
    int option;

    while ((option = getopt(argc, argv, "lqo:r:t:")) != -1) {
        switch (option) {
        case 'l':
            s.list = true;
            break;
        case 'q':
            s.rounds = 1;
            s.round_ns = 1e5;
            break;
        case 'o':
            s.csv_path = optarg;
            break;
        case 'r':
            s.rounds = number(optarg, ROUNDS_LEAST, ROUNDS_MAX);
            break;
        case 't':
            s.round_ns = (double)number(optarg, 1, 10000) * 1e6;
            break;
        default:
            usage();
        }
    }
    return s;
}

/* Was the case asked for?  Without names all are. */
static bool
is_wanted(const struct bench_case *c, char **names)
{
    if (*names == NULL)
        return true;
    for (; *names != NULL; names++) {
        if (strcmp(*names, c->name) == 0)
            return true;
    }
    return false;
}

static bool
is_known(const char *name)
{
    for (size_t i = 0; i < BENCH_COUNT(cases); i++) {
        if (strcmp(cases[i]->name, name) == 0)
            return true;
    }
    return false;
}

static void
run_case(const struct bench_case *c, const struct settings *s, FILE *csv)
{
    if (c->count > IMPLS_MAX) {
        errno = E2BIG;
        bench_fail(c->name);
    }
    measure(c, s);
    compute(c, s->rounds);
    print_table(c);
    if (csv != NULL)
        write_csv(csv, c, s->rounds);
}

int
main(int argc, char **argv)
{
    struct settings s = parse_options(argc, argv);
    FILE *csv = NULL;

    for (int i = optind; i < argc; i++) {
        if (!is_known(argv[i]))
            usage();
    }
    if (s.list) {
        for (size_t i = 0; i < BENCH_COUNT(cases); i++)
            printf("%-12s %s\n", cases[i]->name, cases[i]->title);
        return EXIT_SUCCESS;
    }
    if (s.csv_path != NULL)
        csv = open_csv(s.csv_path);
    printf("%zu rounds; * libarena, + for reference, not a peer;\n"
           "ratio: to the best peer of the group, by round; below 1 is "
           "faster\n",
           s.rounds);
    for (size_t i = 0; i < BENCH_COUNT(cases); i++) {
        if (is_wanted(cases[i], argv + optind))
            run_case(cases[i], &s, csv);
    }
    if (csv != NULL && fclose(csv) != 0)
        bench_fail(s.csv_path);
    return EXIT_SUCCESS;
}
