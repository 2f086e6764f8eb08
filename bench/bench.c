/*
 * bench.c: run the cases, print a table, write a CSV file and charts.
 */

#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"
#include "chart.h"
#include "measure.h"
#include "report.h"

#define ROUNDS_LEAST 9
#define THREADS_MAX 64

bool bench_quick;

/* --- What cases share --- */

void
bench_fail(const char *what)
{
    fprintf(stderr, "bench: %s failed: %s\n", what, strerror(errno));
    _exit(EXIT_FAILURE);
}

double
bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

void
bench_scrub(void)
{
    char stack[4096];

    memset(stack, 0, sizeof stack);
    __asm__ volatile("" : : "r"(stack) : "memory");
}

struct start {
    void (*run)(void *arg);
    void *arg;
};

static void *
thread_main(void *arg)
{
    const struct start *start = arg;

    start->run(start->arg);
    return NULL;
}

void
bench_threads(size_t threads, void (*run)(void *arg), void *arg)
{
    struct start start = {run, arg};
    pthread_t others[THREADS_MAX];

    for (size_t i = 1; i < threads; i++)
        if (pthread_create(&others[i], NULL, thread_main, &start) != 0)
            bench_fail("pthread_create");
    run(arg);
    for (size_t i = 1; i < threads; i++)
        pthread_join(others[i], NULL);
}

/* --- Command line --- */

static _Noreturn void
usage(void)
{
    fprintf(stderr,
            "usage: bench [-l] [-q] [-o CSV] [-s SVG] [-r ROUNDS] [-t MS] "
            "[CASE...]\n"
            "  -l  list the cases\n"
            "  -o  write the figures to this file, too\n"
            "  -q  one short round, to see that all of it runs\n"
            "  -r  rounds, %d at least, and by default\n"
            "  -s  draw bar charts into this file\n"
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
        || value > most) {
        fprintf(stderr, "bench: \"%s\" is no number from %zu to %zu\n", text,
                least, most);
        usage();
    }
    return value;
}

static struct settings
parse_options(int argc, char **argv)
{
    struct settings s = {.rounds = ROUNDS_LEAST, .round_ns = 15e6};
    int option;

    while ((option = getopt(argc, argv, "lqo:r:s:t:")) != -1) {
        switch (option) {
        case 'l':
            s.list = true;
            break;
        case 'q':
            bench_quick = true;
            s.rounds = 1;
            s.round_ns = 1e5;
            break;
        case 'o':
            s.csv_path = optarg;
            break;
        case 'r':
            s.rounds = number(optarg, ROUNDS_LEAST, ROUNDS_MAX);
            break;
        case 's':
            s.svg_path = optarg;
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

/* --- Running --- */

static void
run_group(const struct bench_case *c, size_t index, const struct settings *s,
          FILE *csv)
{
    static struct result results[IMPLS_MAX];
    const struct bench_group *group = &c->groups[index];

    if (group->figure == 0)
        measure_group(c, group, s, results);
    measure_compute(group, s->rounds, results);
    if (c->columns == 0)
        report_group(c, group, results);
    else
        report_cell(c, index, results);
    if (csv != NULL)
        report_csv(csv, c, group, s->rounds, results);
    if (s->svg_path != NULL)
        chart_group(group, results);
}

static void
run_case(const struct bench_case *c, const struct settings *s, FILE *csv)
{
    report_case(c);
    if (s->svg_path != NULL)
        chart_case(c);
    for (size_t i = 0; i < c->count; i++)
        run_group(c, i, s, csv);
}

static FILE *
open_csv(const char *path)
{
    FILE *csv = fopen(path, "w");

    if (csv == NULL)
        bench_fail(path);
    report_csv_head(csv);
    return csv;
}

static const struct bench_case *
case_named(const char *name)
{
    for (size_t i = 0; i < BENCH_COUNT(cases); i++) {
        if (strcmp(cases[i]->name, name) == 0)
            return cases[i];
    }
    fprintf(stderr, "bench: there is no case \"%s\"\n", name);
    usage();
}

/* The cases of that name, or all of them. */
static void
run_cases(char **names, const struct settings *s, FILE *csv)
{
    if (*names == NULL)
        for (size_t i = 0; i < BENCH_COUNT(cases); i++)
            run_case(cases[i], s, csv);
    for (; *names != NULL; names++)
        run_case(case_named(*names), s, csv);
}

int
main(int argc, char **argv)
{
    struct settings s = parse_options(argc, argv);
    FILE *csv = NULL;

    for (int i = optind; i < argc; i++)
        case_named(argv[i]);
    if (s.list) {
        for (size_t i = 0; i < BENCH_COUNT(cases); i++)
            printf("%-12s %s\n", cases[i]->name, cases[i]->title);
        return EXIT_SUCCESS;
    }
    signal(SIGPIPE, SIG_IGN);
    /* For all threads and programs to come: or each sleep is 50 microseconds
     * longer than was asked for. */
    prctl(PR_SET_TIMERSLACK, 1);
    /* The same for all: one that begins small is collected all the time, and
     * the figures are those of an empty heap's collection. */
    setenv("GC_INITIAL_HEAP_SIZE", "128M", 0);
    if (s.csv_path != NULL)
        csv = open_csv(s.csv_path);
    printf("%zu rounds; * libarena, + for reference, not a peer\n"
           "to best, target: ratios by round to the best peer of the group, "
           "and to the target's\n",
           s.rounds);
    if (bench_quick)
        printf("quick: one short round, whose figures mean nothing\n");
    run_cases(argv + optind, &s, csv);
    report_totals();
    if (csv != NULL && fclose(csv) != 0)
        bench_fail(s.csv_path);
    if (s.svg_path != NULL)
        chart_write(s.svg_path);
    return EXIT_SUCCESS;
}
