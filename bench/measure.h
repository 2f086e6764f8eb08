/*
 * measure.h - the figures of a group: rounds, medians, ratios.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "bench.h"

#define IMPLS_MAX 16
#define ROUNDS_MAX 100
#define ABSENT_MAX 100

struct settings {
    size_t rounds;
    double round_ns;
    const char *csv_path; /* or NULL */
    const char *svg_path; /* or NULL */
    bool list;
};

enum verdict { NO_TARGET, HELD, MISSED, UNKNOWN };

/* What was found for one implementation. */
struct result {
    char absent[ABSENT_MAX]; /* why it was not measured; or empty */
    size_t loops;            /* per round */
    double figures[BENCH_FIGURES][ROUNDS_MAX]; /* by round */

    /* Of the figure that the group shows. */
    double median;
    double least;
    double ratio;                  /* to the best peer; 0: there is none */
    const char *best;              /* that peer, or "" */
    double against[BENCH_TARGETS]; /* ratios to the targets' peers; 0: none */
    enum verdict verdicts[BENCH_TARGETS];
};

/* Run all rounds of a group, each implementation in a process of its own.
 * Results are the group's, by implementation. */
void measure_group(const struct bench_case *c, const struct bench_group *group,
                   const struct settings *s, struct result *results);

/* Find medians, ratios and verdicts from the figures. */
void measure_compute(const struct bench_group *group, size_t rounds,
                     struct result *results);

#endif
