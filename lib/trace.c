/* trace.c: see trace.h. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "budget.h"
#include "heap.h"
#include "internal.h"
#include "os.h"
#include "thread.h"
#include "trace.h"
#include "usage.h"

#define TRACE_VERSION 1
#define LINE 512

bool arenap_trace_on;

static struct {
    char path[PATH_MAX]; /* absolute */
    pid_t first; /* the process whose log has the plain name */
    _Atomic pid_t writer; /* that has begun its own */
    /* Of the collection that runs, of which there is one at a time. */
    uint64_t collections, stop_begin, stopped;
} trace;

/* --- Lines --- */

static bool
path_of(char path[PATH_MAX], pid_t self)
{
    int length = self == trace.first
                     ? snprintf(path, PATH_MAX, "%s", trace.path)
                     : snprintf(path, PATH_MAX, "%s.%d", trace.path,
                                (int)self);

    return length > 0 && length < PATH_MAX;
}

static void
line_append(const char *line, size_t length, pid_t self, int flags)
{
    char path[PATH_MAX];
    long file;

    if (!path_of(path, self))
        return;
    file = syscall(SYS_openat, AT_FDCWD, path,
                   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0666);
    if (file < 0)
        return;
    syscall(SYS_write, file, line, length);
    syscall(SYS_close, file);
}

__attribute__((format(printf, 2, 3))) static void
line_write(int flags, const char *format, ...)
{
    int saved = errno, length, rest;
    char line[LINE];
    va_list args;

    length = snprintf(line, sizeof line, "%" PRIu64 " ", arenap_os_now());
    va_start(args, format);
    rest = vsnprintf(line + length, sizeof line - (size_t)length - 1, format,
                     args);
    va_end(args);
    length += rest;
    if (length < LINE - 1) {
        line[length++] = '\n';
        line_append(line, (size_t)length, getpid(), flags);
    }
    errno = saved;
}

/* The first line of a process: of a child that was forked, too. */
static void
begin_once(void)
{
    pid_t self = getpid(), before = atomic_exchange(&trace.writer, self);

    if (before != self)
        line_write(self == trace.first && before != 0 ? 0 : O_TRUNC,
                   "start version=%d pid=%d limit=%zu", TRACE_VERSION,
                   (int)self, arenap_budget_limit());
}

#define TRACE(...)                                                            \
    do {                                                                      \
        if (ARENA_LIKELY(!arenap_trace_on))                                   \
            return;                                                           \
        begin_once();                                                         \
        line_write(0, __VA_ARGS__);                                           \
    } while (0)

/* --- Events --- */

/* What is reserved, by kind. */
static void
trace_usage(void)
{
    struct heap_figures heap;

    arenap_heap_figures(&heap);
    TRACE("usage reserved=%zu global=%zu auto=%zu confined=%zu shared=%zu "
          "implicit=%zu heap=%zu buffers=%zu manual=%zu",
          arenap_budget_charged(), arenap_usage_reserved(ARENA_GLOBAL),
          arenap_usage_reserved(ARENA_AUTO),
          arenap_usage_reserved(ARENA_CONFINED),
          arenap_usage_reserved(ARENA_SHARED),
          arenap_usage_reserved(ARENA_IMPLICIT), heap.reserved,
          arenap_usage_reserved(POOL_BUFFERS),
          atomic_load(&arenap_budget_manual_bytes));
}

void
arenap_trace_collect_begin(size_t in_use)
{
    trace.stopped = 0;
    trace.collections++;
    TRACE("collect number=%" PRIu64 " in_use=%zu reserved=%zu",
          trace.collections, in_use, arenap_budget_charged());
}

void
arenap_trace_stop(void)
{
    trace.stop_begin = arenap_os_now();
}

void
arenap_trace_go_on(void)
{
    trace.stopped += arenap_os_now() - trace.stop_begin;
}

static void
trace_collect_end(size_t in_use)
{
    TRACE("collected number=%" PRIu64 " in_use=%zu reserved=%zu "
          "stopped=%" PRIu64,
          trace.collections, in_use, arenap_budget_charged(), trace.stopped);
}

void
arenap_trace_collect_end(size_t in_use)
{
    trace_collect_end(in_use);
    trace_usage();
}

static void
trace_reserve(size_t size)
{
    TRACE("reserve size=%zu reserved=%zu", size, arenap_budget_charged());
}

void
arenap_trace_reserve(size_t size)
{
    if (ARENA_LIKELY(!arenap_trace_on))
        return;
    trace_reserve(size);
    trace_usage();
}

void
arenap_trace_wait(size_t size)
{
    TRACE("wait size=%zu reserved=%zu", size, arenap_budget_charged());
}

void
arenap_trace_wait_end(size_t size, uint64_t ns, bool granted)
{
    TRACE("waited size=%zu ns=%" PRIu64 " granted=%d reserved=%zu", size, ns,
          granted, arenap_budget_charged());
}

static void
trace_refuse(size_t size, size_t limit)
{
    TRACE("refuse size=%zu reserved=%zu limit=%zu", size,
          arenap_budget_charged(), limit);
}

void
arenap_trace_refuse(size_t size, size_t limit)
{
    trace_refuse(size, limit);
    if (arenap_trace_on)
        trace_usage();
}

/* --- The beginning and the end --- */

/* Absolute, for programs that change their directory. */
static bool
path_take(const char *name)
{
    size_t used = 0;

    if (*name != '/') {
        if (getcwd(trace.path, sizeof trace.path - 1) == NULL)
            return false;
        used = strlen(trace.path);
        trace.path[used++] = '/';
    }
    if (strlen(name) >= sizeof trace.path - used)
        return false;
    strcpy(trace.path + used, name);
    return true;
}

void
arenap_trace_init(void)
{
    const char *name = secure_getenv("ARENA_TRACE");
    const char *first = secure_getenv("ARENA_PID");
    int saved = errno;

    if (name != NULL && *name != '\0' && path_take(name)) {
        trace.first = first != NULL ? (pid_t)strtol(first, NULL, 10)
                                    : getpid();
        /* Who named the process began its file. */
        if (first != NULL && trace.first == getpid())
            atomic_store(&trace.writer, -1);
        arenap_trace_on = true;
    }
    errno = saved;
}

__attribute__((destructor)) static void
trace_end(void)
{
    if (arenap_trace_on)
        trace_usage();
    TRACE("end");
}
