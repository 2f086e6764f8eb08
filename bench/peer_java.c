/* peer_java.c: see peer_java.h. */

#include "peer_java.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM_NS 1.5e9

static FILE *to_java, *from_java;

/* In the child: becomes the JDK, which compiles the source as it starts.  Of
 * one that it cannot compile, nobody wants to read. */
static _Noreturn void
java_become(const char *source, size_t limit, const int in[2],
            const int out[2])
{
    const char *home = getenv("JAVA_HOME");
    char path[4096] = "java", option[64];

    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    close(in[1]);
    close(out[0]);
    if (home != NULL && *home != '\0')
        snprintf(path, sizeof path, "%s/bin/java", home);
    snprintf(option, sizeof option, "-XX:MaxDirectMemorySize=%zu", limit);
    execlp(path, path, option, source, (char *)NULL);
    _exit(127);
}

static bool
java_start(const char *source, size_t limit)
{
    char line[64];
    int in[2], out[2];
    pid_t pid;

    if (pipe(in) != 0 || pipe(out) != 0)
        bench_fail("pipe");
    pid = fork();
    if (pid < 0)
        bench_fail("fork");
    if (pid == 0)
        java_become(source, limit, in, out);
    close(in[0]);
    close(out[1]);
    to_java = bench_need(fdopen(in[1], "w"), "fdopen");
    from_java = bench_need(fdopen(out[0], "r"), "fdopen");
    return fgets(line, sizeof line, from_java) != NULL
           && strcmp(line, "ready\n") == 0;
}

void
peer_java_measure(const char *name, const struct bench_work *work,
                  double number, double figures[BENCH_FIGURES])
{
    fprintf(to_java, "%s %zu %zu %.0f\n", name, work->blocks, work->size,
            number);
    if (fflush(to_java) != 0
        || fscanf(from_java, " done %lf %lf", &figures[0], &figures[1]) != 2) {
        errno = EPIPE;
        bench_fail("java");
    }
}

/* The JDK interprets at first, and compiles what it finds itself doing. */
static void
java_warm(const char *name, const struct bench_work *work)
{
    double end = bench_now() + (bench_quick ? 0 : WARM_NS);
    double none[BENCH_FIGURES];

    for (double loops = 1; bench_now() < end; loops *= 2)
        peer_java_measure(name, work, loops, none);
}

static void
java_run(const char *name, const struct bench_work *work, size_t loops)
{
    static bool warm;
    double none[BENCH_FIGURES];

    if (!warm)
        java_warm(name, work);
    warm = true;
    peer_java_measure(name, work, (double)loops, none);
}

/* --- Arenas --- */

void
peer_java_begin_arenas(const struct bench_work *work)
{
    (void)work;
    if (!java_start(BENCH_JAVA "/JdkArenas.java", (size_t)1 << 30))
        bench_absent("no JDK of version 22 or later");
}

void
peer_java_confined(const struct bench_work *work, size_t loops)
{
    java_run("confined", work, loops);
}

void
peer_java_slicing(const struct bench_work *work, size_t loops)
{
    java_run("slicing", work, loops);
}

void
peer_java_shared(const struct bench_work *work, size_t loops)
{
    java_run("shared", work, loops);
}

void
peer_java_auto(const struct bench_work *work, size_t loops)
{
    java_run("auto", work, loops);
}

/* --- Direct buffers --- */

void
peer_java_begin_buffers(size_t limit)
{
    if (!java_start(BENCH_JAVA "/JdkBuffers.java", limit))
        bench_absent("no JDK of version 17 or later");
}

void
peer_java_drop(const struct bench_work *work, size_t count)
{
    java_run("drop", work, count);
}

void
peer_java_contend(const char *name, const struct bench_work *work,
                  double length_ns, double figures[BENCH_FIGURES])
{
    struct bench_work threads = {.blocks = work->threads, .size = work->size};

    peer_java_measure(name, &threads, length_ns, figures);
}
