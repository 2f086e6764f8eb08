/*
 * chart.c: see chart.h.
 *
 * The bars of a group share a scale.  One that is much longer than the
 * shortest is cut, and its figure stands beside it: else the others could not
 * be seen. Where more is better none is.
 */

#include "chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH 900
#define NAMES 300 /* where bars begin */
#define BAR_MOST 480
#define ROW 18
#define CUT 12.0 /* times the shortest bar */

static const char *const colours[] = {"#1b6ca8", "#c9d1d9", "#e3d5b8"};

static struct {
    FILE *file; /* writes to text */
    char *text;
    size_t length;
    int y; /* the next line's */
} chart;

static void
put_escaped(const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", chart.file);
            break;
        case '&':
            fputs("&amp;", chart.file);
            break;
        default:
            putc(*text, chart.file);
        }
    }
}

static void
put_text(int x, const char *attributes, const char *text)
{
    fprintf(chart.file, "<text x=\"%d\" y=\"%d\" %s>", x, chart.y, attributes);
    put_escaped(text);
    fputs("</text>\n", chart.file);
}

void
chart_case(const struct bench_case *c)
{
    char title[300];

    if (chart.file == NULL)
        chart.file = bench_need(open_memstream(&chart.text, &chart.length),
                                "open_memstream");
    chart.y += 2 * ROW;
    snprintf(title, sizeof title, "%s: %s", c->name, c->title);
    put_text(10, "font-weight=\"bold\"", title);
}

static void
put_bar(const struct bench_impl *impl, double value, double most)
{
    bool cut = value > most;
    int length = most > 0 ? (int)(fmin(value, most) / most * BAR_MOST) : 0;
    char label[40];

    chart.y += ROW;
    put_text(NAMES - 6, "text-anchor=\"end\"", impl->name);
    fprintf(chart.file,
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>"
            "\n",
            NAMES, chart.y - ROW + 5, length > 0 ? length : 1, ROW - 4,
            colours[impl->role]);
    snprintf(label, sizeof label, "%s%.4g", cut ? "\342\200\246 " : "", value);
    put_text(NAMES + length + 6, "", label);
}

void
chart_group(const struct bench_group *group, const struct result *results)
{
    double least = INFINITY, most = 0;
    char title[200];

    for (size_t i = 0; i < group->count; i++) {
        if (*results[i].absent != '\0')
            continue;
        most = fmax(most, results[i].median);
        if (results[i].median > 0)
            least = fmin(least, results[i].median);
    }
    if (!group->more)
        most = fmin(most, least * CUT);
    snprintf(title, sizeof title, "%s (%s)", group->name,
             group->unit == NULL ? "ns" : group->unit);
    chart.y += ROW + 6;
    put_text(20, "font-style=\"italic\"", title);
    for (size_t i = 0; i < group->count; i++)
        if (*results[i].absent == '\0')
            put_bar(&group->impls[i], results[i].median, most);
}

void
chart_write(const char *path)
{
    FILE *svg = fopen(path, "w");

    if (svg == NULL || fclose(chart.file) != 0)
        bench_fail(path);
    fprintf(svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
            "height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "%s</svg>\n",
            WIDTH, chart.y + 2 * ROW, chart.text);
    free(chart.text);
    if (fclose(svg) != 0)
        bench_fail(path);
}
