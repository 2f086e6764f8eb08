/*
 * legacy_lines.c: reading lines of any length.
 *
 * libc's getline grows the line by its own realloc, which must not see a
 * block of ours.  So the line is read here, a character at a time: those of
 * libc that find its end faster are not to be had from outside.
 */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>

#include "../include/arena/heap.h"
#define LEGACY_MODULE
#include "legacy.h"

#define LINE_FIRST 120

/* Make room for need bytes in a line that may be ours, libc's or NULL.  It
 * doubles, so that a long line is copied a few times only. */
static bool
line_grow(char **line, size_t *size, size_t need)
{
    size_t wish = *size <= SSIZE_MAX / 2 ? 2 * *size : SSIZE_MAX;
    char *wider;

    if (need <= *size)
        return true;
    if (need > SSIZE_MAX) {
        errno = EOVERFLOW;
        return false;
    }
    wish = wish < LINE_FIRST ? LINE_FIRST : wish;
    wider = arena_realloc(*line, wish < need ? need : wish);
    if (wider == NULL)
        return false;
    *size = wish < need ? need : wish;
    *line = wider;
    return true;
}

/* With the stream locked.  *line and *size agree at every moment, since the
 * thread may be cancelled while it reads. */
static ssize_t
line_read(char **line, size_t *size, int delimiter, FILE *stream)
{
    size_t length = 0;
    int c;

    if (*line == NULL)
        *size = 0;
    if (!line_grow(line, size, 1))
        return -1;
    do {
        c = getc_unlocked(stream);
        if (c == EOF)
            break;
        if (!line_grow(line, size, length + 2)) /* c and the end */
            return -1;
        (*line)[length++] = (char)c;
    } while (c != delimiter);
    if (length == 0)
        return -1;
    (*line)[length] = '\0';
    return (ssize_t)length;
}

/* A thread that is cancelled in here must not leave the stream locked. */
static void
line_unlock(void *stream)
{
    funlockfile(stream);
}

static ssize_t
line_get(char **line, size_t *size, int delimiter, FILE *stream)
{
    ssize_t length;

    if (line == NULL || size == NULL) {
        errno = EINVAL;
        return -1;
    }
    flockfile(stream);
    pthread_cleanup_push(line_unlock, stream);
    length = line_read(line, size, delimiter, stream);
    pthread_cleanup_pop(1);
    return length;
}

ssize_t
arena_legacy_getdelim(char **line, size_t *size, int delimiter, FILE *stream)
{
    return line_get(line, size, delimiter, stream);
}

/*
 * Old programs have a getline(text, limit) of their own.  gcc renames its
 * callers, but not a definition that no declaration comes before: then the
 * call arrives here, and is passed on, its two arguments where they were.
 */
typedef ssize_t own_getline(char **text, size_t *limit, FILE *unused);

static struct {
    pthread_once_t once;
    own_getline *function; /* NULL: the program has none */
} own_line = {PTHREAD_ONCE_INIT, NULL};

/* One of the program itself: another library's is as libc's. */
static void
own_line_find(void)
{
    void *first = dlsym(RTLD_DEFAULT, "getline");
    Dl_info program, owner;

    if (first != NULL && dladdr(first, &owner) != 0
        && dladdr((const void *)getauxval(AT_ENTRY), &program) != 0
        && owner.dli_fbase == program.dli_fbase
        && dlsym(RTLD_NEXT, "getline") != first)
        memcpy(&own_line.function, &first, sizeof first);
}

ssize_t
arena_legacy_getline(char **line, size_t *size, FILE *stream)
{
    pthread_once(&own_line.once, own_line_find);
    if (own_line.function != NULL)
        return own_line.function(line, size, stream);
    return line_get(line, size, '\n', stream);
}
