/* legacy_vectors.c: vectors of strings, of argz.h and envz.h. */

#include "config.h"

#include <argz.h>
#include <envz.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEGACY_MODULE
#include "legacy.h"

/* Make a vector of ours libc's, which is about to grow or free it.  Vectors
 * that libc makes are its own from the beginning. */
static int
vector_give(char **argz, size_t length)
{
    char *given;

    if (*argz == NULL || arena_of(*argz) == NULL)
        return 0;
    given = malloc(length + 1);
    if (given == NULL)
        return ENOMEM;
    memcpy(given, *argz, length);
    arena_free(*argz);
    *argz = given;
    return 0;
}

/* By hand: it cannot fail, and so cannot ask for memory. */
static void
vector_delete(char **argz, size_t *length, char *entry)
{
    size_t size;

    if (entry == NULL)
        return;
    size = strlen(entry) + 1;
    *length -= size;
    memmove(entry, entry + size, *length - (size_t)(entry - *argz));
    if (*length == 0) {
        arena_free(*argz);
        *argz = NULL;
    }
}

void
arena_legacy_argz_delete(char **argz, size_t *length, char *entry)
{
    vector_delete(argz, length, entry);
}

void
arena_legacy_envz_remove(char **envz, size_t *length, const char *name)
{
    vector_delete(envz, length, envz_entry(*envz, *length, name));
}

/* The others: libc's, on a vector of libc's. */
#define LEGACY_VECTOR(name, parameters, arguments)                            \
    int arena_legacy_##name parameters                                        \
    {                                                                         \
        int error = vector_give(argz, *length);                               \
                                                                              \
        return error != 0 ? error : name arguments;                           \
    }

LEGACY_VECTOR(argz_append,
              (char **argz, size_t *length, const char *more, size_t extent),
              (argz, length, more, extent))
LEGACY_VECTOR(argz_add, (char **argz, size_t *length, const char *s),
              (argz, length, s))
LEGACY_VECTOR(argz_add_sep,
              (char **argz, size_t *length, const char *s, int separator),
              (argz, length, s, separator))
LEGACY_VECTOR(argz_replace,
              (char **argz, size_t *length, const char *s, const char *with,
               unsigned *count),
              (argz, length, s, with, count))
LEGACY_VECTOR(envz_add,
              (char **argz, size_t *length, const char *name,
               const char *value),
              (argz, length, name, value))
LEGACY_VECTOR(envz_merge,
              (char **argz, size_t *length, const char *more, size_t extent,
               int override),
              (argz, length, more, extent, override))

int
arena_legacy_argz_insert(char **argz, size_t *length, char *before,
                         const char *s)
{
    /* Elsewhere than in the vector: libc refuses it. */
    bool inside = before >= *argz && before < *argz + *length;
    size_t at = inside ? (size_t)(before - *argz) : 0;
    int error = vector_give(argz, *length);

    if (error != 0)
        return error;
    return argz_insert(argz, length, inside ? *argz + at : before, s);
}
