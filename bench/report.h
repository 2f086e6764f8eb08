/*
 * report.h - what is shown of the results: a table on standard output, a CSV
 * file, and the totals at the end.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "measure.h"

void report_case(const struct bench_case *c);

/* A group of a case that is no table of cells. */
void report_group(const struct bench_case *c, const struct bench_group *group,
                  const struct result *results);

/* A cell of a case with columns, and its foot after the last one. */
void report_cell(const struct bench_case *c, size_t cell,
                 const struct result *results);

void report_csv_head(FILE *csv);
void report_csv(FILE *csv, const struct bench_case *c,
                const struct bench_group *group, size_t rounds,
                const struct result *results);

/* How many targets are held, and which are not. */
void report_totals(void);

#endif
