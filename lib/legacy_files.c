/*
 * legacy_files.c: names of files, and directories.
 *
 * libc's function does the work.  Its result is copied and freed at once, by
 * the free that belongs to the malloc that libc uses.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../include/arena/heap.h"
#define LEGACY_MODULE
#include "legacy.h"

/* What glibc's headers declare under _FORTIFY_SOURCE only. */
char *__realpath_chk(const char *path, char *resolved, size_t room);
char *__getcwd_chk(char *buffer, size_t size, size_t room);

/* --- Copies of what libc made --- */

/* Move a block of libc's into one of ours with room for size bytes, of which
 * the first used ones are copied.  The block is freed in any case. */
static void *
legacy_take(void *block, size_t used, size_t size)
{
    void *copy = NULL;

    if (block != NULL) {
        copy = arena_malloc(size);
        if (copy != NULL)
            memcpy(copy, block, used);
        free(block);
    }
    return copy;
}

static char *
legacy_take_string(char *text)
{
    size_t size = text == NULL ? 0 : strlen(text) + 1;

    return legacy_take(text, size, size);
}

/* --- Names --- */

/* These allocate only when they are given no buffer. */

char *
arena_legacy_realpath(const char *path, char *resolved)
{
    char *result = realpath(path, resolved);

    return resolved == NULL ? legacy_take_string(result) : result;
}

char *
arena_legacy_realpath_chk(const char *path, char *resolved, size_t room)
{
    if (resolved == NULL)
        return legacy_take_string(realpath(path, NULL));
    return __realpath_chk(path, resolved, room);
}

char *
arena_legacy_canonicalize_file_name(const char *path)
{
    return legacy_take_string(realpath(path, NULL));
}

/* As getcwd(NULL, size): a block of size bytes, or of what it takes. */
static char *
path_getcwd(size_t size)
{
    char *path = getcwd(NULL, size);
    size_t used = path == NULL ? 0 : strlen(path) + 1;

    return legacy_take(path, used, size == 0 ? used : size);
}

char *
arena_legacy_getcwd(char *buffer, size_t size)
{
    return buffer == NULL ? path_getcwd(size) : getcwd(buffer, size);
}

char *
arena_legacy_getcwd_chk(char *buffer, size_t size, size_t room)
{
    if (buffer == NULL)
        return path_getcwd(size);
    return __getcwd_chk(buffer, size, room);
}

char *
arena_legacy_get_current_dir_name(void)
{
    return legacy_take_string(get_current_dir_name());
}

/* Could a temporary file be there? */
static bool
path_is_dir(const char *path)
{
    struct stat status;

    return path != NULL && stat(path, &status) == 0
           && S_ISDIR(status.st_mode);
}

/* Put other letters in the place of the last six. */
static bool
path_vary(char *path)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char *end = path + strlen(path);
    uint64_t bits;

    if (getrandom(&bits, sizeof bits, 0) != sizeof bits)
        return false;
    for (int i = 1; i <= 6; i++) {
        end[-i] = letters[bits % (sizeof letters - 1)];
        bits /= sizeof letters - 1;
    }
    return true;
}

/* Not by libc's: the linker warns everybody who refers to that.  A name that
 * nothing has when it is looked up is all that can be promised. */
char *
arena_legacy_tempnam(const char *dir, const char *prefix)
{
    const char *places[] = {secure_getenv("TMPDIR"), dir, P_tmpdir, "/tmp"};
    size_t place = 0, size;
    struct stat status;
    char *path;

    while (!path_is_dir(places[place]))
        if (++place == sizeof places / sizeof *places)
            return NULL;
    size = strlen(places[place]) + sizeof "/abcdeXXXXXX";
    path = arena_malloc(size);
    if (path == NULL)
        return NULL;
    snprintf(path, size, "%s/%.5sXXXXXX", places[place],
             prefix != NULL ? prefix : "file");
    while (path_vary(path))
        if (lstat(path, &status) != 0 && errno == ENOENT)
            return path;
    arena_free(path);
    return NULL;
}

/* --- Directories --- */

/* libc calls the program's functions on entries of its own; what is chosen is
 * then moved.  Programs free each entry, and the list, or forget them. */

static size_t
entry_size(const void *entry)
{
    return ((const struct dirent *)entry)->d_reclen;
}

static size_t
entry_size64(const void *entry)
{
    return ((const struct dirent64 *)entry)->d_reclen;
}

/* Move entries of libc's into blocks of ours.  After the first failure the
 * others are freed and not tried: when the budget is short each try takes its
 * time.  to is zero-filled. */
static bool
entries_take(void **from, void **to, size_t length,
             size_t (*size_of)(const void *))
{
    bool complete = true;

    for (size_t i = 0; i < length; i++) {
        size_t size = size_of(from[i]);

        if (complete)
            to[i] = legacy_take(from[i], size, size);
        else
            free(from[i]);
        complete = complete && to[i] != NULL;
    }
    for (size_t i = 0; !complete && i < length; i++)
        arena_free(to[i]);
    return complete;
}

/* Move what scandir gave, count entries or a failure, into blocks of ours.
 * Returns count; or -1 with everything freed. */
static int
list_take(void ***list, int count, size_t (*size_of)(const void *))
{
    size_t length = count > 0 ? (size_t)count : 0;
    void **from = *list, **to;

    if (count < 0)
        return count;
    to = arena_calloc(length, sizeof *to);
    if (to == NULL) {
        for (size_t i = 0; i < length; i++)
            free(from[i]);
        count = -1;
    } else if (!entries_take(from, to, length, size_of)) {
        arena_free(to);
        count = -1;
    } else {
        *list = to;
    }
    free(from);
    return count;
}

int
arena_legacy_scandir(const char *path, struct dirent ***list,
                     int (*filter)(const struct dirent *),
                     int (*compare)(const struct dirent **,
                                    const struct dirent **))
{
    int count = scandir(path, list, filter, compare);

    return list_take((void ***)list, count, entry_size);
}

int
arena_legacy_scandir64(const char *path, struct dirent64 ***list,
                       int (*filter)(const struct dirent64 *),
                       int (*compare)(const struct dirent64 **,
                                      const struct dirent64 **))
{
    int count = scandir64(path, list, filter, compare);

    return list_take((void ***)list, count, entry_size64);
}
