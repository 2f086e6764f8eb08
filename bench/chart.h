/*
 * chart.h - the results as an SVG file: a bar chart for each case.
 */
#ifndef BENCH_CHART_H
#define BENCH_CHART_H

#include "measure.h"

/* The chart of a case follows, of which each group is added as it is known. */
void chart_case(const struct bench_case *c);
void chart_group(const struct bench_group *group,
                 const struct result *results);

/* Write all of them, one below the other. */
void chart_write(const char *path);

#endif
