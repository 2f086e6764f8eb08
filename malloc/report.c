/*
 * report.c: what is told about a process, and its end; see interposer.h.
 *
 * Figures go to stderr, of the process in which the library was started.  The
 * report goes to a file: of the process that arena-run became, or where there
 * was none before, to the one that was named; of every other process, forked
 * or executed by it, to that name, a dot and its number.  So no process
 * writes over another's.
 *
 * Faults are written when they happen, since the program may not live to its
 * end.  Each line is one call of write(2).
 */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../include/arena/budget.h"
#include "interposer.h"

/* Above the numbers that programs name themselves. */
#define ERROR_FILE 100

/* Faults of a process that have a line of their own. */
#define FAULT_LINES 100

static struct {
    pid_t pid;   /* in which the library was started */
    pid_t first; /* whose report has the plain name */
    int error;   /* stderr, which many programs close at their end */
    struct stat error_file; /* what it is */
    const char *reason; /* why nothing is collected, if it was asked for */
    _Atomic pid_t writer; /* that has begun its file */
    _Atomic bool ended;
    _Atomic uint64_t faults;
} report;

void
arenap_report_reason(const char *reason)
{
    report.reason = reason;
}

/* --- The file --- */

static bool
report_path(char path[PATH_MAX])
{
    pid_t self = getpid();
    int length = self == report.first
                     ? snprintf(path, PATH_MAX, "%s", arenap_options.report)
                     : snprintf(path, PATH_MAX, "%s.%d",
                                arenap_options.report, (int)self);

    return length > 0 && length < PATH_MAX;
}

/* To append to.  What an earlier process of this number left goes; what an
 * earlier program of this process did stays, if arena-run began the file. */
static int
report_open(void)
{
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    char path[PATH_MAX];

    if (!report_path(path))
        return -1;
    if (atomic_exchange(&report.writer, getpid()) != getpid())
        flags |= O_TRUNC;
    return open(path, flags, 0666);
}

/* --- The beginning --- */

static pid_t
first_process(void)
{
    const char *known = secure_getenv("ARENA_PID");
    char number[16];

    if (known != NULL)
        return (pid_t)strtol(known, NULL, 10);
    snprintf(number, sizeof number, "%d", (int)report.pid);
    setenv("ARENA_PID", number, 1);
    return report.pid;
}

static void
error_keep(void)
{
    report.error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, ERROR_FILE);
    if (report.error != -1 && fstat(report.error, &report.error_file) != 0)
        report.error = -1;
}

/* A program that closes all files may have opened one of its own there. */
static bool
error_is_kept(void)
{
    struct stat file;

    return report.error != -1 && fstat(report.error, &file) == 0
           && file.st_dev == report.error_file.st_dev
           && file.st_ino == report.error_file.st_ino;
}

static void
quick_end(void)
{
    arenap_report_end(true);
}

void
arenap_report_start(void)
{
    bool begun = secure_getenv("ARENA_PID") != NULL;
    int file;

    report.pid = getpid();
    if (arenap_options.stats)
        error_keep();
    if (arenap_options.report != NULL) {
        report.first = first_process();
        if (begun && report.first == report.pid)
            atomic_store(&report.writer, report.pid);
        else if (report.first == report.pid && (file = report_open()) != -1)
            close(file);
    }
    if (arenap_options.stats || arenap_options.report != NULL)
        at_quick_exit(quick_end);
}

/* --- Faults --- */

static void
write_line(int file, const char *line, size_t length)
{
    ssize_t unused = write(file, line, length);

    (void)unused;
}

void
arenap_report_fault(const char *format, ...)
{
    static const char last[] = "fault: there are more\n";
    char line[512] = "fault: ";
    size_t length = strlen(line);
    int saved = errno, file;
    uint64_t number;
    va_list args;

    if (arenap_options.report == NULL)
        return;
    number = atomic_fetch_add(&report.faults, 1);
    if (number > FAULT_LINES)
        return;
    arenap_inside++;
    va_start(args, format);
    vsnprintf(line + length, sizeof line - length - 1, format, args);
    va_end(args);
    length = strlen(line);
    line[length++] = '\n';
    file = report_open();
    if (file != -1) {
        if (number < FAULT_LINES)
            write_line(file, line, length);
        else
            write_line(file, last, sizeof last - 1);
        close(file);
    }
    arenap_inside--;
    errno = saved;
}

void
arenap_report_wild(const char *function, const void *ptr)
{
    char line[128];
    int length;

    arenap_report_fault("%s(%p): not the start of a block that is in use",
                        function, ptr);
    if (arenap_options.ignore_free)
        return;
    length = snprintf(line, sizeof line, "%s(): invalid pointer\n", function);
    write_line(STDERR_FILENO, line, (size_t)length);
    arenap_inside++;
    REAL(abort)();
}

/* In a module or on this stack there are no blocks. */
void
arenap_report_foreign(const char *function, const void *ptr)
{
    const char *frame = __builtin_frame_address(0);
    pthread_attr_t attributes;
    void *stack = NULL;
    size_t size = 0;
    Dl_info info;

    /* What is asked here frees something, too. */
    if (arenap_options.report == NULL || arenap_is_inside())
        return;
    arenap_inside++;
    if (REAL(pthread_getattr_np)(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &stack, &size);
        pthread_attr_destroy(&attributes);
    }
    if (((const char *)ptr >= frame
         && (const char *)ptr < (const char *)stack + size)
        || dladdr(ptr, &info) != 0)
        arenap_report_fault("%s(%p): not a block", function, ptr);
    arenap_inside--;
}

/* --- The end --- */

static void
print_figures(int file, const char *begin)
{
    bool collects = arenap_mode_now() == MODE_COLLECT;
    arena_usage_t usage;

    arena_usage(&usage, sizeof usage);
    dprintf(file,
            "%s%s, %zu KB reserved at the end, %zu KB at most, "
            "%" PRIu64 " collections\n",
            begin, collects ? "collect" : "explicit", usage.reserved >> 10,
            usage.peak >> 10, usage.collections);
    if (report.reason != NULL)
        dprintf(file, "%snot collected: %s\n", begin, report.reason);
}

/* The report has them from arena_report. */
static void
print_ignored(int file, const char *begin)
{
    const char *variable;

    for (size_t i = 0; (variable = arena_interpose_ignored(i)) != NULL; i++)
        dprintf(file, "%signored: %s\n", begin, variable);
}

/* Explicitly, the C library sees to what is freed: that nothing is known of
 * it is not to look like none. */
static void
print_faults(int file, const char *begin)
{
    uint64_t faults = atomic_load(&report.faults);

    if (faults != 0 || arenap_mode_now() == MODE_COLLECT)
        dprintf(file, "%sfaults: %" PRIu64 "\n", begin, faults);
}

static void
write_report(void)
{
    char begin[128];
    int file = report_open();
    FILE *stream;

    if (file == -1)
        return;
    snprintf(begin, sizeof begin, "%.100s: ", program_invocation_short_name);
    print_figures(file, begin);
    print_faults(file, begin);
    stream = fdopen(file, "a");
    if (stream == NULL) {
        close(file);
        return;
    }
    arena_report(stream);
    fclose(stream);
}

/* Early: the process leaves without its exit handlers. */
void
arenap_report_end(bool early)
{
    int saved = errno;
    bool own = getpid() == report.pid;

    if ((!own && early)
        || (!arenap_options.stats && arenap_options.report == NULL)
        || atomic_exchange(&report.ended, true))
        return;
    arenap_inside++;
    if (arenap_options.stats && own && error_is_kept()) {
        print_figures(report.error, "arena: ");
        print_ignored(report.error, "arena: ");
    }
    if (arenap_options.report != NULL)
        write_report();
    arenap_inside--;
    errno = saved;
}

void
arenap_report_fork_child(void)
{
    atomic_store(&report.ended, false);
    atomic_store(&report.faults, 0);
}

__attribute__((destructor)) static void
report_exit(void)
{
    arenap_report_end(false);
}

/* --- Leaving otherwise --- */

/* Not from where locks may be held that the report takes: inside a call of
 * ours, or in a handler of the program's, which may have interrupted one of
 * libc's; and not in a child of vfork. */
static void
leave(void)
{
    if (arenap_mode_now() != MODE_EARLY && !arenap_is_inside()
        && arenap_signals_depth == 0 && !arena_interpose_is_asleep())
        arenap_report_end(true);
}

INTERPOSE void
_exit(int status)
{
    leave();
    REAL(_exit)(status);
    __builtin_unreachable();
}

INTERPOSE void
_Exit(int status)
{
    leave();
    REAL(_Exit)(status);
    __builtin_unreachable();
}

INTERPOSE void
abort(void)
{
    /* Not the collector's own, which may hold the lock that figures take. */
    if (!arenap_is_inside())
        leave();
    REAL(abort)();
    __builtin_unreachable();
}
