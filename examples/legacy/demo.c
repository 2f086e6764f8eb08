/*
 * demo.c - runs one program twice, watches both, and compares.
 *
 *     demo [-n passes] [-m MiB] LIST PLAIN BOUNDED DIRECTORY
 *
 * LIST names the input files.  PLAIN is the program as it is, BOUNDED the same
 * program on libarena's malloc; both run over LIST and write into DIRECTORY,
 * the second under ARENA_LIMIT.  -n and -m choose the passes and the limit.
 *
 * Exit status: 0 both ran, their outputs are identical and the second stayed
 * within its limit; 1 not so; 2 the demo cannot run here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB 1048576.0
#define KIB_PER_MIB 1024

/* How many passes: as many as read TEXT_TOTAL bytes, within bounds. */
#define TEXT_TOTAL 700e6
#define PASSES_MIN 3
#define PASSES_MAX 40

/* Memory that one pass leaves behind, per byte of text, for a guess before
 * the first run: about 1.5 were measured. */
#define GUESS_PER_BYTE 2.0

/* The limit, in what one pass needs (LIVE): twice that, one for what is alive
 * and one for what the collector has not found yet.  The rest is ROOM for
 * memory that is resident but not the program's: the collector's tables, in
 * proportion, and the C library. */
#define LIMIT_LIVE 2.0
#define LIMIT_ROOM 0.25
#define LIMIT_BASE_MIB 16

#define SAMPLE_MS 25
#define LIVE_LINE_MS 100
#define PROGRESS_LINES 8 /* per run, of those that stay */

#define CHART_COLUMNS 61
#define CHART_ROWS 14

/* A run takes at most this many times as long as the one before. */
#define PATIENCE 10
#define PATIENCE_BASE_S 60

struct sample {
    double seconds;
    long kib;
};

struct run {
    const char *name;    /* in the table */
    const char *program; /* its path */
    char mark;           /* in the chart */
    char output[4096];   /* where it writes */
    double patience;     /* seconds, 0: no end */

    double seconds;
    long peak_kib;
    int status; /* as wait4 gives it */
    struct sample *samples;
    size_t count, room;
};

/* What watch.c wrote. */
struct figures {
    uint64_t limit, peak, waits, collections, reclaimed;
};

static bool on_terminal;

static void
refuse(const char *format, ...)
{
    va_list list;

    fputs("demo: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(2);
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
mib(long kib)
{
    return (double)kib / KIB_PER_MIB;
}

/* --- Input ------------------------------------------------------------- */

/* Read a file once, so that neither run finds it warmer than the other; its
 * size, or -1. */
static long
input_read(const char *path)
{
    static char buffer[65536];
    long size = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        size += n;
    close(fd);
    return n < 0 ? -1 : size;
}

static double
input_size(const char *list, long *files)
{
    char path[4096];
    double bytes = 0;
    FILE *in = fopen(list, "r");

    if (in == NULL)
        refuse("cannot open %s: %s", list, strerror(errno));
    *files = 0;
    while (fgets(path, sizeof path, in) != NULL) {
        path[strcspn(path, "\n")] = '\0';
        long size = input_read(path);
        if (size >= 0) {
            bytes += (double)size;
            ++*files;
        }
    }
    fclose(in);
    return bytes;
}

/* The number in a line of /proc or /sys: "key: number", or a bare number when
 * key is empty; -1 if it is not there. */
static double
system_number(const char *path, const char *key)
{
    char line[256];
    double value = -1;
    FILE *in = fopen(path, "r");

    if (in == NULL)
        return -1;
    while (value < 0 && fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, key, strlen(key)) == 0
            && sscanf(line + strlen(key), "%lf", &value) != 1)
            value = -1;
    fclose(in);
    return value;
}

/* Memory that may be used here, in bytes; < 0 if nobody knows. */
static double
memory_available(void)
{
    double machine = system_number("/proc/meminfo", "MemAvailable:") * 1024;
    double group = system_number("/sys/fs/cgroup/memory.max", "");

    return group >= 0 && (machine < 0 || group < machine) ? group : machine;
}

/* So many that the first run's memory grows well past one pass, and still
 * fits into the machine. */
static int
choose_passes(double bytes)
{
    double memory = memory_available();
    double passes = TEXT_TOTAL / bytes + 1;

    if (passes < PASSES_MIN)
        passes = PASSES_MIN;
    if (passes > PASSES_MAX)
        passes = PASSES_MAX;
    if (memory >= 0 && passes * bytes * GUESS_PER_BYTE > memory * 0.75)
        passes = memory * 0.75 / (bytes * GUESS_PER_BYTE);
    if (passes < 2)
        refuse("%.0f MiB of memory are too few to run this input plainly",
               memory / MIB);
    return (int)passes;
}

/* --- Running ----------------------------------------------------------- */

static long
resident_kib(int statm)
{
    char text[128];
    long pages;
    ssize_t n = pread(statm, text, sizeof text - 1, 0);

    if (n <= 0)
        return -1;
    text[n] = '\0';
    if (sscanf(text, "%*s %ld", &pages) != 1)
        return -1;
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
run_sample(struct run *run, double seconds, int statm)
{
    long kib = resident_kib(statm);

    if (kib <= 0) /* it has ended */
        return;
    if (run->count == run->room) {
        size_t room = run->room * 2 + 1024;
        struct sample *more = realloc(run->samples, room * sizeof *more);
        if (more == NULL)
            return;
        run->samples = more;
        run->room = room;
    }
    run->samples[run->count].seconds = seconds;
    run->samples[run->count].kib = kib;
    run->count++;
}

/* Forget what was sampled while the process was ending. */
static void
run_trim(struct run *run)
{
    while (run->count > 1
           && run->samples[run->count - 1].kib
                  < run->samples[run->count - 2].kib)
        run->count--;
}

static long
run_last_kib(const struct run *run)
{
    return run->count > 0 ? run->samples[run->count - 1].kib : 0;
}

static void
clear_line(void)
{
    if (on_terminal)
        printf("\r%72s\r", "");
}

/* One line with the state of the run; on a terminal the next one replaces it
 * unless it stays. */
static void
run_show(const struct run *run, double seconds, const char *text, bool stays)
{
    if (!stays && !on_terminal)
        return;
    printf("%s  %-9s %-42.42s %6.1f s %6.0f MiB%s", on_terminal ? "\r" : "",
           run->name, text, seconds, mib(run_last_kib(run)), stays ? "\n" : "");
    fflush(stdout);
}

/* Show a line that the program wrote.  Of the passes some stay, evenly
 * spread; all else is a message, shown in full. */
static void
run_told(const struct run *run, double seconds, const char *text)
{
    int pass, passes;

    if (sscanf(text, "pass %d of %d", &pass, &passes) == 2 && passes > 0) {
        run_show(run, seconds, text,
                 pass * PROGRESS_LINES / passes
                     != (pass - 1) * PROGRESS_LINES / passes);
        return;
    }
    clear_line();
    printf("  %-9s %s\n", run->name, text);
}

/* The program's own progress lines, as they come; false at their end. */
static bool
run_relay(const struct run *run, int fd, double seconds, char *text,
          size_t size)
{
    static char pending[1024];
    static size_t used;
    char *end;
    ssize_t n = read(fd, pending + used, sizeof pending - 1 - used);

    if (n <= 0) {
        used = 0;
        return n < 0 && errno == EINTR;
    }
    used += (size_t)n;
    pending[used] = '\0';
    while ((end = strchr(pending, '\n')) != NULL
           || used == sizeof pending - 1) {
        if (end == NULL)
            end = pending + used - 1;
        *end++ = '\0';
        snprintf(text, size, "%.*s", (int)size - 1, pending);
        run_told(run, seconds, text);
        used -= (size_t)(end - pending);
        memmove(pending, end, used + 1);
    }
    return true;
}

static void
run_child(const struct run *run, const char *list, int passes, int err)
{
    char times[16];

    snprintf(times, sizeof times, "%d", passes);
    dup2(err, STDERR_FILENO);
    execl(run->program, run->program, "-n", times, "-f", list, "-o",
          run->output, (char *)NULL);
    fprintf(stderr, "%s: %s\n", run->program, strerror(errno));
    _exit(127);
}

/* Sample and relay until the program has closed its stderr. */
static void
run_watch(struct run *run, pid_t pid, int err, double start)
{
    char path[64];
    char text[512] = "starting";
    struct pollfd ready = {.fd = err, .events = POLLIN};
    double shown = 0;
    int statm;

    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    statm = open(path, O_RDONLY | O_CLOEXEC);
    for (;;) {
        int events = poll(&ready, 1, SAMPLE_MS);
        double seconds = now() - start;

        run_sample(run, seconds, statm);
        if (events > 0 && !run_relay(run, err, seconds, text, sizeof text))
            break;
        if (seconds - shown >= LIVE_LINE_MS / 1e3) {
            run_show(run, seconds, text, false);
            shown = seconds;
        }
        if (run->patience > 0 && seconds > run->patience)
            kill(pid, SIGKILL);
    }
    if (statm >= 0)
        close(statm);
}

static void
run_run(struct run *run, const char *list, int passes)
{
    struct rusage usage;
    int err[2];
    pid_t pid;
    double start;

    fflush(stdout);
    if (pipe2(err, O_CLOEXEC) != 0)
        refuse("pipe: %s", strerror(errno));
    start = now();
    pid = fork();
    if (pid < 0)
        refuse("fork: %s", strerror(errno));
    if (pid == 0)
        run_child(run, list, passes, err[1]);
    close(err[1]);
    run_watch(run, pid, err[0], start);
    close(err[0]);
    while (wait4(pid, &run->status, 0, &usage) < 0 && errno == EINTR)
        ;
    run->seconds = now() - start;
    run->peak_kib = usage.ru_maxrss;
    run_trim(run);
    clear_line();
}

/* Did it run to its end?  Says why, if not. */
static bool
run_succeeded(const struct run *run)
{
    if (WIFSIGNALED(run->status))
        printf("FAILED: the %s run was ended by signal %d (%s)%s.\n", run->name,
               WTERMSIG(run->status), strsignal(WTERMSIG(run->status)),
               run->patience > 0 && run->seconds > run->patience
                   ? ", since it took too long"
                   : "");
    else if (WEXITSTATUS(run->status) != 0)
        printf("FAILED: the %s run exited with status %d.\n", run->name,
               WEXITSTATUS(run->status));
    return WIFEXITED(run->status) && WEXITSTATUS(run->status) == 0;
}

/* --- Comparing --------------------------------------------------------- */

struct comparison {
    bool same;
    long size;     /* of what is identical, from the start */
    char last[80]; /* its last line */
};

/* Compare two open files, byte by byte. */
static void
compare_streams(struct comparison *result, FILE *a, FILE *b)
{
    size_t column = 0;
    int c;

    while (c = getc(a), c == getc(b) && c != EOF) {
        result->size++;
        if (c == '\n') {
            result->last[column] = '\0';
            column = 0;
        } else if (column < sizeof result->last - 1) {
            result->last[column++] = (char)c;
        }
    }
    result->same = feof(a) && feof(b) && result->size > 0;
}

static struct comparison
compare_files(const char *path, const char *other)
{
    struct comparison result = {false, 0, ""};
    FILE *a = fopen(path, "r");
    FILE *b = fopen(other, "r");

    if (a != NULL && b != NULL)
        compare_streams(&result, a, b);
    if (a != NULL)
        fclose(a);
    if (b != NULL)
        fclose(b);
    return result;
}

static bool
read_figures(const char *path, struct figures *figures)
{
    FILE *in = fopen(path, "r");
    int n;

    if (in == NULL)
        return false;
    n = fscanf(in,
               "limit=%" SCNu64 " peak=%" SCNu64 " waits=%" SCNu64
               " collections=%" SCNu64 " reclaimed=%" SCNu64,
               &figures->limit, &figures->peak, &figures->waits,
               &figures->collections, &figures->reclaimed);
    fclose(in);
    return n == 5;
}

static void
print_table(const struct run *plain, const struct run *bounded,
            const struct figures *figures, long limit_mib)
{
    printf("\n  %-26s %14s %14s\n", "", plain->name, bounded->name);
    printf("  %-26s %12.1f s %12.1f s\n", "time", plain->seconds,
           bounded->seconds);
    printf("  %-26s %10.0f MiB %10.0f MiB\n", "peak resident memory",
           mib(plain->peak_kib), mib(bounded->peak_kib));
    printf("  %-26s %14s %10ld MiB\n", "limit", "none", limit_mib);
    printf("  %-26s %14s %14" PRIu64 "\n", "collections", "none",
           figures->collections);
    printf("  %-26s %14s %10.0f MiB\n", "reclaimed", "nothing",
           (double)figures->reclaimed / MIB);
}

/* --- Chart ------------------------------------------------------------- */

struct chart {
    char cell[CHART_ROWS][CHART_COLUMNS + 1];
    double seconds; /* at the right edge */
    long kib;       /* at the upper edge */
};

static int
chart_row(const struct chart *chart, long kib)
{
    double row = (double)kib / (double)chart->kib * (CHART_ROWS - 1) + 0.5;

    return row >= CHART_ROWS ? CHART_ROWS - 1 : (int)row;
}

/* The most that was resident in a column's time, or -1. */
static long
chart_value(const struct chart *chart, const struct run *run, int column)
{
    long most = -1;
    size_t i;

    for (i = 0; i < run->count; i++) {
        double x = run->samples[i].seconds / chart->seconds * CHART_COLUMNS;
        if ((int)x == column && run->samples[i].kib > most)
            most = run->samples[i].kib;
    }
    return most;
}

static void
chart_curve(struct chart *chart, const struct run *run)
{
    int column, row, last = 0;
    long kib = 0;

    for (column = 0; column < CHART_COLUMNS; column++) {
        double left = column * chart->seconds / CHART_COLUMNS;
        long value = chart_value(chart, run, column);

        if (left > run->seconds)
            break;
        if (value >= 0)
            kib = value;
        row = chart_row(chart, kib);
        /* A steep step is drawn from one row to the other. */
        for (; last < row - 1; last++)
            chart->cell[last + 1][column] = run->mark;
        for (; last > row + 1; last--)
            chart->cell[last - 1][column] = run->mark;
        chart->cell[row][column] = run->mark;
        last = row;
    }
}

/* The length of a line without the blanks at its end. */
static int
chart_width(const char *line)
{
    int width = CHART_COLUMNS;

    while (width > 0 && line[width - 1] == ' ')
        width--;
    return width;
}

static void
print_chart(const struct run *plain, const struct run *bounded, long limit_mib)
{
    struct chart chart;
    int row, limit_row;

    chart.seconds =
        plain->seconds > bounded->seconds ? plain->seconds : bounded->seconds;
    chart.seconds += SAMPLE_MS / 1e3;
    chart.kib = limit_mib * KIB_PER_MIB;
    if (chart.kib < plain->peak_kib)
        chart.kib = plain->peak_kib;
    if (chart.kib < bounded->peak_kib)
        chart.kib = bounded->peak_kib;
    for (row = 0; row < CHART_ROWS; row++) {
        memset(chart.cell[row], ' ', CHART_COLUMNS);
        chart.cell[row][CHART_COLUMNS] = '\0';
    }
    limit_row = chart_row(&chart, limit_mib * KIB_PER_MIB);
    memset(chart.cell[limit_row], '-', CHART_COLUMNS);
    chart_curve(&chart, plain);
    chart_curve(&chart, bounded);

    printf("\n  Resident memory over time: %c %s, %c %s, --- the limit\n\n",
           plain->mark, plain->name, bounded->mark, bounded->name);
    for (row = CHART_ROWS - 1; row >= 0; row--) {
        if (row == limit_row)
            printf("%6ld ", limit_mib);
        else if (row == CHART_ROWS - 1)
            printf("%6.0f ", mib(chart.kib));
        else if (row == 0)
            printf("%6s ", "0");
        else
            printf("%6s ", "");
        printf("|%.*s\n", chart_width(chart.cell[row]), chart.cell[row]);
    }
    printf("   MiB +");
    for (row = 0; row < CHART_COLUMNS; row++)
        putchar('-');
    printf("\n        0%*.1f s\n", CHART_COLUMNS - 3, chart.seconds);
}

/* --- The demo ---------------------------------------------------------- */

/* What one pass needs, and from it the limit. */
static long
choose_limit(const struct run *plain, int passes)
{
    double live = mib(plain->peak_kib) / passes;
    double limit = live * (LIMIT_LIVE + LIMIT_ROOM) + LIMIT_BASE_MIB;

    return (long)limit + 1;
}

static void
explain_limit(const struct run *plain, int passes, long limit_mib, bool given)
{
    printf("\n  Its peak is %.0f MiB, so one of %d passes needs about "
           "%.0f MiB.\n",
           mib(plain->peak_kib), passes, mib(plain->peak_kib) / passes);
    if (given)
        printf("  The limit was given: %ld MiB.\n\n", limit_mib);
    else
        printf("  The limit for the second run is twice that, and an eighth "
               "and %d MiB\n  more for the collector's own tables and the C "
               "library: %ld MiB.\n\n",
               LIMIT_BASE_MIB, limit_mib);
}

static bool
judge_outputs(const struct run *plain, const struct run *bounded)
{
    struct comparison c = compare_files(plain->output, bounded->output);

    if (c.same)
        printf("  Outputs: identical, %ld bytes each.  Their last line:\n"
               "    %s\n",
               c.size, c.last);
    else
        printf("FAILED: the outputs differ after %ld bytes:\n  %s\n  %s\n",
               c.size, plain->output, bounded->output);
    return c.same;
}

static bool
judge_limit(const struct run *bounded, const struct figures *figures,
            long limit_mib)
{
    if (figures->limit != (uint64_t)limit_mib * KIB_PER_MIB * 1024) {
        printf("FAILED: the limit in force was %" PRIu64 " bytes.\n",
               figures->limit);
        return false;
    }
    if (bounded->peak_kib > limit_mib * KIB_PER_MIB
        || figures->peak > figures->limit) {
        printf("FAILED: the %s run had %.1f MiB resident, and %.1f MiB "
               "counted in its\n  budget; the limit is %ld MiB.\n",
               bounded->name, mib(bounded->peak_kib),
               (double)figures->peak / MIB, limit_mib);
        return false;
    }
    printf("  Limit: kept, with %.0f MiB of %ld MiB.\n", mib(bounded->peak_kib),
           limit_mib);
    return true;
}

/* The verdict, in sentences. */
static bool
judge(const struct run *plain, const struct run *bounded,
      const struct figures *figures, long limit_mib)
{
    bool same, within;

    putchar('\n');
    same = judge_outputs(plain, bounded);
    within = judge_limit(bounded, figures, limit_mib);
    return same && within;
}

static bool
demo(struct run *plain, struct run *bounded, const char *list,
     const char *directory, int passes, long limit_mib)
{
    struct figures figures;
    char path[4096];
    char limit[32];
    bool given = limit_mib > 0;

    printf("The program as it is, on the C library's malloc:\n\n");
    run_run(plain, list, passes);
    if (!run_succeeded(plain))
        return false;

    if (!given)
        limit_mib = choose_limit(plain, passes);
    explain_limit(plain, passes, limit_mib, given);
    printf("The same on libarena, with ARENA_LIMIT=%ldM:\n\n", limit_mib);
    snprintf(path, sizeof path, "%s/figures", directory);
    unlink(path);
    snprintf(limit, sizeof limit, "%ldM", limit_mib);
    setenv("ARENA_LIMIT", limit, 1);
    setenv("DEMO_FIGURES", path, 1);
    bounded->patience = plain->seconds * PATIENCE + PATIENCE_BASE_S;
    run_run(bounded, list, passes);
    if (!run_succeeded(bounded))
        return false;
    if (!read_figures(path, &figures)) {
        printf("FAILED: the %s run left no figures.\n", bounded->name);
        return false;
    }
    print_table(plain, bounded, &figures, limit_mib);
    print_chart(plain, bounded, limit_mib);
    return judge(plain, bounded, &figures, limit_mib);
}

static long
number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value < 1 || value > 1000000)
        refuse("not a number from 1 to 1000000: %s", text);
    return value;
}

static void
run_init(struct run *run, const char *name, char mark, const char *program,
         const char *directory)
{
    memset(run, 0, sizeof *run);
    run->name = name;
    run->mark = mark;
    run->program = program;
    snprintf(run->output, sizeof run->output, "%s/%s.txt", directory, name);
    unlink(run->output);
}

int
main(int argc, char **argv)
{
    struct run plain, bounded;
    const char *list;
    double bytes;
    long files, limit_mib = 0;
    int option, passes = 0;
    bool fine;

    while ((option = getopt(argc, argv, "m:n:")) != -1) {
        if (option == 'm')
            limit_mib = number(optarg);
        else if (option == 'n')
            passes = (int)number(optarg);
        else
            return 2;
    }
    if (argc - optind != 4)
        refuse("usage: demo [-n passes] [-m MiB] LIST PLAIN BOUNDED "
               "DIRECTORY");
    list = argv[optind];
    run_init(&plain, "malloc", 'm', argv[optind + 1], argv[optind + 3]);
    run_init(&bounded, "libarena", 'a', argv[optind + 2], argv[optind + 3]);

    on_terminal = isatty(STDOUT_FILENO);
    bytes = input_size(list, &files);
    if (bytes == 0)
        refuse("the input is empty");
    if (passes == 0)
        passes = choose_passes(bytes);
    printf("Input: %ld files, %.1f MB.  Passes over it: %d.\n\n", files,
           bytes / 1e6, passes);
    fine = demo(&plain, &bounded, list, argv[optind + 3], passes, limit_mib);
    if (fine)
        printf("  The outputs are in %s.\n", argv[optind + 3]);
    free(plain.samples);
    free(bounded.samples);
    return fine ? 0 : 1;
}
