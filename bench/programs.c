/*
 * programs.c: run a command as it is and under arena-run, by turns.
 *
 *     programs [-c] [-n ROUNDS] [-o FILE] NAME ARENA_RUN COMMAND [ARGUMENT...]
 *
 * The command gets in RUN what it has to put before its program: nothing,
 * ARENA_RUN, or ARENA_RUN --mode explicit (not with -c).  Each round has one
 * run of each kind, beginning with another one every time.  A ratio is the
 * median of the ratios within the rounds, so that a slow minute of the machine
 * hits all of them.  Adds a line to FILE (stdout):
 *
 *     name, then median wall s, cpu s and KB: plain, collect, explicit,
 *     then ratios of wall, cpu and KB to plain: collect, explicit
 *
 * Memory is the highest resident set among the command's processes.
 *
 * Exit status: 0; 1 if a run failed or printed something else than another.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 100

enum { PLAIN, COLLECT, EXPLICIT, KINDS_MAX };

static const char *const kind_names[] = {"plain", "collect", "explicit"};
static const char *const kind_options[] = {NULL, "", " --mode explicit"};

static int kinds = KINDS_MAX;

enum { WALL, CPU, MEMORY, MEASURES };

static double measured[KINDS_MAX][MEASURES][ROUNDS_MAX];

__attribute__((noreturn)) static void
fail(const char *what)
{
    fprintf(stderr, "programs: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* --- Running --- */

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((noreturn)) static void
become(int kind, const char *run, const char *output, char **command)
{
    int file = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    char *words;

    if (kind == PLAIN)
        unsetenv("RUN");
    else if (asprintf(&words, "%s%s", run, kind_options[kind]) == -1
             || setenv("RUN", words, 1) != 0)
        fail("RUN");
    if (file == -1 || dup2(file, STDOUT_FILENO) == -1)
        fail(output);
    execvp(command[0], command);
    fail(command[0]);
}

static void
run_once(int kind, const char *run, const char *output, char **command,
         double result[MEASURES])
{
    double start = now();
    struct rusage usage;
    pid_t child;
    int status;

    child = fork();
    if (child == 0)
        become(kind, run, output, command);
    if (child == -1 || wait4(child, &status, 0, &usage) != child)
        fail("fork");
    result[WALL] = now() - start;
    result[CPU] = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    result[MEMORY] = (double)usage.ru_maxrss;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "programs: it fails (%s, status %#x)\n",
                kind_names[kind], (unsigned)status);
        exit(EXIT_FAILURE);
    }
}

/* --- Outputs --- */

static bool
same(FILE *a, FILE *b)
{
    int c;

    do {
        c = getc(a);
        if (c != getc(b))
            return false;
    } while (c != EOF);
    return true;
}

static void
compare_outputs(char output[KINDS_MAX][32])
{
    for (int kind = COLLECT; kind < kinds; kind++) {
        FILE *a = fopen(output[PLAIN], "r"), *b = fopen(output[kind], "r");

        if (a == NULL || b == NULL)
            fail(output[kind]);
        if (!same(a, b)) {
            fprintf(stderr, "programs: %s and %s differ\n", output[PLAIN],
                    output[kind]);
            exit(EXIT_FAILURE);
        }
        fclose(a);
        fclose(b);
    }
}

/* --- Figures --- */

static int
ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double
median(const double *values, size_t count)
{
    double sorted[ROUNDS_MAX];

    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, ascending);
    return count % 2 == 1 ? sorted[count / 2]
                          : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static double
ratio(int kind, int measure, size_t rounds)
{
    double ratios[ROUNDS_MAX];

    for (size_t i = 0; i < rounds; i++)
        ratios[i] = measured[kind][measure][i] / measured[PLAIN][measure][i];
    return median(ratios, rounds);
}

static void
print_line(FILE *file, const char *name, size_t rounds)
{
    fputs(name, file);
    for (int kind = PLAIN; kind < kinds; kind++)
        for (int m = 0; m < MEASURES; m++)
            fprintf(file, ",%.4f", median(measured[kind][m], rounds));
    for (int kind = COLLECT; kind < kinds; kind++)
        for (int m = 0; m < MEASURES; m++)
            fprintf(file, ",%.4f", ratio(kind, m, rounds));
    putc('\n', file);
    fclose(file);
}

static void
run_round(size_t round, char output[KINDS_MAX][32], char **arguments)
{
    for (int j = 0; j < kinds; j++) {
        int kind = (int)((round + (size_t)j) % (size_t)kinds);
        double result[MEASURES];

        run_once(kind, arguments[1], output[kind], arguments + 2, result);
        for (int m = 0; m < MEASURES; m++)
            measured[kind][m][round] = result[m];
    }
    compare_outputs(output);
}

int
main(int argc, char **argv)
{
    char output[KINDS_MAX][32];
    size_t rounds = 5;
    FILE *csv = stdout;
    int option;

    while ((option = getopt(argc, argv, "+cn:o:")) != -1)
        if (option == 'c')
            kinds = EXPLICIT;
        else if (option == 'n')
            rounds = strtoul(optarg, NULL, 10);
        else if (option != 'o' || (csv = fopen(optarg, "ae")) == NULL)
            return EXIT_FAILURE;
    if (argc - optind < 3 || rounds == 0 || rounds > ROUNDS_MAX)
        return EXIT_FAILURE;
    for (int kind = 0; kind < kinds; kind++)
        snprintf(output[kind], sizeof *output, "out.%s", kind_names[kind]);
    for (size_t i = 0; i < rounds; i++)
        run_round(i, output, argv + optind);
    print_line(csv, argv[optind], rounds);
    return EXIT_SUCCESS;
}
