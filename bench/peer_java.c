/* peer_java.c: see peer_java.h. */

#include "peer_java.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static struct {
    pid_t pid; /* 0: does not run */
    FILE *to, *from;
} java;

/* In the child: becomes the JDK, which compiles the source as it starts. */
static _Noreturn void
java_become(const int in[2], const int out[2])
{
    const char *home = getenv("JAVA_HOME");
    char path[4096] = "java";

    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[1]);
    close(out[0]);
    if (home != NULL && *home != '\0')
        snprintf(path, sizeof path, "%s/bin/java", home);
    execlp(path, path, "-XX:MaxDirectMemorySize=256m",
           BENCH_JAVA, (char *)NULL);
    _exit(127);
}

/* Does it answer with this line? */
static bool
java_answers(const char *expected)
{
    char line[64];

    return fgets(line, sizeof line, java.from) != NULL
           && strcmp(line, expected) == 0;
}

void
peer_java_begin(void)
{
    int in[2], out[2];

    if (java.pid != 0)
        return;
    if (pipe(in) != 0 || pipe(out) != 0)
        bench_fail("pipe");
    fflush(NULL);
    java.pid = fork();
    if (java.pid < 0)
        bench_fail("fork");
    if (java.pid == 0)
        java_become(in, out);
    close(in[0]);
    close(out[1]);
    java.to = bench_need(fdopen(in[1], "w"), "fdopen");
    java.from = bench_need(fdopen(out[0], "r"), "fdopen");
    signal(SIGPIPE, SIG_IGN);
    if (!java_answers("ready\n")) {
        peer_java_end();
        bench_absent("no java that runs " BENCH_JAVA);
    }
}

void
peer_java_drop(size_t size, size_t count)
{
    fprintf(java.to, "%zu %zu\n", size, count);
    if (fflush(java.to) != 0 || !java_answers("done\n")) {
        errno = EPIPE;
        bench_fail("java");
    }
}

void
peer_java_end(void)
{
    if (java.pid == 0)
        return;
    fclose(java.to);
    fclose(java.from);
    waitpid(java.pid, NULL, 0);
    java.pid = 0;
}
