/* report.c: see report.h. */

#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const role_names[] = {"libarena", "peer", "reference"};
static const char *const verdict_names[] = {"", "held", "MISSED",
                                            "not measured"};

/* What the totals say of the missed ones. */
static struct {
    FILE *file; /* writes to text */
    char *text;
    size_t length;
    size_t counts[4]; /* by verdict */
} totals;

static const char *
unit_of(const struct bench_group *group)
{
    return group->unit == NULL ? "ns" : group->unit;
}

static void
format_target(char *text, size_t size, const struct bench_group *group,
              const struct bench_target *target)
{
    const char *than = group->more ? ">=" : "<=";

    if (target->against != NULL)
        snprintf(text, size, "%s %.4g x %s", than, target->factor,
                 target->against);
    else
        snprintf(text, size, "%s %.4g %s", than, target->factor,
                 unit_of(group));
}

static void
count_target(const struct bench_case *c, const char *what, const char *name,
             const char *text, double figure, enum verdict verdict)
{
    totals.counts[verdict]++;
    if (verdict != MISSED && verdict != UNKNOWN)
        return;
    if (totals.file == NULL)
        totals.file = bench_need(open_memstream(&totals.text, &totals.length),
                                 "open_memstream");
    fprintf(totals.file, "  %-12s %s, %s%s%s: ", verdict_names[verdict],
            c->name, what, *name == '\0' ? "" : ": ", name);
    if (verdict == MISSED)
        fprintf(totals.file, "%.3g, ", figure);
    fprintf(totals.file, "%s\n", text);
}

/* --- The table --- */

/* Four digits or so. */
static void
print_figure(double value)
{
    printf(" %10.*f",
           fabs(value) < 100     ? 2
           : fabs(value) < 10000 ? 1
                                 : 0,
           value);
}

static void
print_ratio(double ratio)
{
    if (ratio > 0)
        printf(" %7.2f", ratio);
    else
        printf(" %7s", "");
}

static void
print_target(const struct bench_case *c, const struct bench_group *group,
             const struct bench_impl *impl, const struct result *r, size_t t)
{
    char text[100];

    format_target(text, sizeof text, group, &impl->targets[t]);
    print_ratio(r->against[t]);
    printf("  %s: %s", text, verdict_names[r->verdicts[t]]);
    count_target(c, group->name, impl->name, text,
                 r->against[t] > 0 ? r->against[t] : r->median,
                 r->verdicts[t]);
}

static void
print_row(const struct bench_case *c, const struct bench_group *group,
          const struct bench_impl *impl, const struct result *r)
{
    static const char marks[] = {'*', ' ', '+'};

    printf(" %c %-34s", marks[impl->role], impl->name);
    if (*r->absent != '\0') {
        printf(" %s\n", r->absent);
        return;
    }
    print_figure(r->median);
    print_figure(r->least);
    print_ratio(r->ratio);
    for (size_t t = 0; t < BENCH_TARGETS; t++) {
        if (r->verdicts[t] == NO_TARGET)
            continue;
        if (t > 0)
            printf("\n%67s", "");
        print_target(c, group, impl, r, t);
    }
    printf("\n");
}

void
report_case(const struct bench_case *c)
{
    printf("\n%s: %s\n", c->name, c->title);
    if (c->columns == 0)
        printf("   %-34s %10s %10s %7s %7s  %s\n", "", "median", "least",
               "to best", "target", "target");
    fflush(stdout);
}

void
report_group(const struct bench_case *c, const struct bench_group *group,
             const struct result *results)
{
    printf("  %s (%s)\n", group->name, unit_of(group));
    for (size_t i = 0; i < group->count; i++)
        print_row(c, group, &group->impls[i], &results[i]);
    fflush(stdout);
}

/* --- A table of cells: the ratio of our first implementation --- */

#define CELL_MOST 1.25
#define MEAN_MOST 1.0

static struct {
    double logs; /* of the ratios */
    size_t count;
    double worst;
    const struct bench_group *worst_cell;
} cells;

/* Where " x " is in a cell's name. */
static const char *
cell_split(const struct bench_group *group)
{
    return bench_need(strstr(group->name, " x "), group->name);
}

static void
print_columns(const struct bench_case *c)
{
    printf("   %-12s", "");
    for (size_t i = 0; i < c->columns; i++)
        printf(" %9s", cell_split(&c->groups[i]) + 1);
    printf("\n");
}

static void
print_foot_line(const struct bench_case *c, const char *what, double figure,
                double most)
{
    enum verdict verdict = figure <= most ? HELD : MISSED;
    char text[40];

    snprintf(text, sizeof text, "<= %.2f", most);
    printf(" * %s: %.2f", what, figure);
    if (!bench_quick) {
        printf("  %s: %s", text, verdict_names[verdict]);
        count_target(c, what, "", text, figure, verdict);
    }
    putchar('\n');
}

static void
print_foot(const struct bench_case *c)
{
    char worst[100];

    if (cells.count == 0) {
        printf("   no peer is there\n");
        return;
    }
    snprintf(worst, sizeof worst, "worst cell (%s)", cells.worst_cell->name);
    print_foot_line(c, "geometric mean", exp(cells.logs / (double)cells.count),
                    MEAN_MOST);
    print_foot_line(c, worst, cells.worst, CELL_MOST);
}

void
report_cell(const struct bench_case *c, size_t cell,
            const struct result *results)
{
    const struct bench_group *group = &c->groups[cell];
    double ratio = results[0].ratio;

    if (cell == 0) {
        memset(&cells, 0, sizeof cells);
        print_columns(c);
    }
    if (cell % c->columns == 0)
        printf("   %-12.*s", (int)(cell_split(group) - group->name),
               group->name);
    printf(" %9.2f", ratio);
    if (ratio > 0) {
        cells.logs += log(ratio);
        cells.count++;
    }
    if (ratio > cells.worst) {
        cells.worst = ratio;
        cells.worst_cell = group;
    }
    if ((cell + 1) % c->columns == 0)
        printf("\n");
    if (cell + 1 == c->count)
        print_foot(c);
    fflush(stdout);
}

/* --- CSV --- */

void
report_csv_head(FILE *csv)
{
    fprintf(csv, "case,group,implementation,role,unit,rounds,loops,median,"
                 "least,ratio,best_peer,target,target_ratio,verdict,"
                 "target_2,target_2_ratio,verdict_2\n");
}

void
report_csv(FILE *csv, const struct bench_case *c,
           const struct bench_group *group, size_t rounds,
           const struct result *results)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct bench_impl *impl = &group->impls[i];
        const struct result *r = &results[i];

        if (*r->absent != '\0')
            continue;
        fprintf(csv, "%s,\"%s\",\"%s\",%s,%s,%zu,%zu,%.4f,%.4f,%.4f,\"%s\"",
                c->name, group->name, impl->name, role_names[impl->role],
                unit_of(group), rounds, r->loops, r->median, r->least,
                r->ratio, r->best);
        for (size_t t = 0; t < BENCH_TARGETS; t++) {
            char text[100] = "";

            if (r->verdicts[t] != NO_TARGET)
                format_target(text, sizeof text, group, &impl->targets[t]);
            fprintf(csv, ",\"%s\",%.4f,%s", text, r->against[t],
                    verdict_names[r->verdicts[t]]);
        }
        putc('\n', csv);
    }
}

/* --- Totals --- */

void
report_totals(void)
{
    if (bench_quick)
        return;
    printf("\ntargets: %zu held, %zu missed, %zu not measured\n",
           totals.counts[HELD], totals.counts[MISSED], totals.counts[UNKNOWN]);
    if (totals.file == NULL)
        return;
    fclose(totals.file);
    fputs(totals.text, stdout);
    free(totals.text);
}
