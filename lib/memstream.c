/*
 * memstream.c: open_memstream, into blocks of arena_malloc's.
 *
 * The stream is not buffered by libc.  A program may drop the stream, and
 * the two variables with it, without closing it; a buffer that is written
 * later, by fflush(NULL) or at exit, would then be reported into what has
 * taken their place.
 *
 * Moving about is POSIX's: the end is that of all that was written.  (glibc
 * takes the place of the last write for it.)
 */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "../include/arena/heap.h"
#define LEGACY_MODULE
#include "legacy.h"
#include "scope.h"

/* In memory of libc's, which alone knows it. */
struct memstream {
    char *data; /* data[length] is '\0'; a root */
    size_t capacity, length, position;
    char **text; /* the program's variables */
    size_t *size;
};

#define MEMSTREAM_FIRST 256

/* What the program reads after fflush or fclose. */
static void
memstream_tell(struct memstream *memory)
{
    *memory->text = memory->data;
    *memory->size = memory->position < memory->length ? memory->position
                                                      : memory->length;
}

/* Make room for a text that ends at end, and its '\0'. */
static bool
memstream_grow(struct memstream *memory, size_t end)
{
    size_t wish = 2 * memory->capacity;
    char *wider;

    if (end < memory->capacity)
        return true;
    wish = wish <= end ? end + 1 : wish;
    wider = arena_realloc(memory->data, wish);
    if (wider == NULL)
        return false;
    memory->data = wider;
    memory->capacity = wish;
    return true;
}

/* Returns 0 for a failure, as fopencookie wants it. */
static ssize_t
memstream_write(void *cookie, const char *bytes, size_t size)
{
    struct memstream *memory = cookie;
    size_t start = memory->position, end = start + size;

    if (end > SSIZE_MAX || end < start) {
        errno = EFBIG;
        return 0;
    }
    if (!memstream_grow(memory, end))
        return 0;
    if (start > memory->length) /* the program moved past the end */
        memset(memory->data + memory->length, 0, start - memory->length);
    memcpy(memory->data + start, bytes, size);
    memory->position = end;
    if (end > memory->length) {
        memory->length = end;
        memory->data[end] = '\0';
    }
    memstream_tell(memory);
    return (ssize_t)size;
}

/* Anywhere but before the beginning; the next write fills a gap. */
static int
memstream_seek(void *cookie, off64_t *offset, int whence)
{
    struct memstream *memory = cookie;
    off64_t base = 0;

    if (whence == SEEK_CUR)
        base = (off64_t)memory->position;
    else if (whence == SEEK_END)
        base = (off64_t)memory->length;
    if (*offset < -base || *offset > SSIZE_MAX - base) {
        errno = EINVAL;
        return -1;
    }
    *offset += base;
    memory->position = (size_t)*offset;
    memstream_tell(memory);
    return 0;
}

static struct memstream *
memstream_new(char **text, size_t *size)
{
    struct memstream *memory = calloc(1, sizeof *memory);
    struct scope *scope;

    if (memory == NULL)
        return NULL;
    memory->text = text;
    memory->size = size;
    memory->capacity = MEMSTREAM_FIRST;
    /* The stream, which libc keeps, may outlive a pushed arena. */
    scope = arenap_scope_hide();
    memory->data = arena_calloc(1, MEMSTREAM_FIRST);
    arenap_scope_show(scope);
    if (memory->data == NULL
        || arena_add_roots(&memory->data, &memory->data + 1) != 0) {
        arena_free(memory->data);
        free(memory);
        errno = ENOMEM;
        return NULL;
    }
    return memory;
}

static void
memstream_free(struct memstream *memory)
{
    arena_remove_roots(&memory->data, &memory->data + 1);
    free(memory);
}

/* Like libc's, the text ends where the stream stood. */
static int
memstream_close(void *cookie)
{
    struct memstream *memory = cookie;
    char *text;

    memstream_tell(memory);
    text = arena_realloc(memory->data, *memory->size + 1);
    if (text != NULL)
        *memory->text = text;
    (*memory->text)[*memory->size] = '\0';
    memstream_free(memory);
    return 0;
}

FILE *
arena_legacy_open_memstream(char **text, size_t *size)
{
    static const cookie_io_functions_t functions = {
        .write = memstream_write,
        .seek = memstream_seek,
        .close = memstream_close,
    };
    struct memstream *memory;
    FILE *stream;

    if (text == NULL || size == NULL) {
        errno = EINVAL;
        return NULL;
    }
    memory = memstream_new(text, size);
    if (memory == NULL)
        return NULL;
    stream = fopencookie(memory, "w", functions);
    if (stream == NULL) {
        arena_free(memory->data);
        memstream_free(memory);
        return NULL;
    }
    setvbuf(stream, NULL, _IONBF, 0);
    memstream_tell(memory);
    return stream;
}

