/*
 * old.c - an old program, in what C89 and C17 have in common, with everything
 * that a renaming could trip over.  Compiled by tests/check_routes.sh with
 * -include arena/malloc.h.  Exits with 0 if all is as it should be.
 */

#define _GNU_SOURCE

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef OLD_DECLARATIONS
/* As before there were headers. */
extern char *strdup();
extern char *getcwd();
#endif

/* Names of the library's, and of libc's, with other meanings. */
typedef struct arena {
    char *free;
    unsigned long malloc;
} arena_t;

struct methods {
    void (*free)(void *);
    void *(*malloc)(size_t);
    void *(*realloc)(void *, size_t);
};

static struct methods methods = {free, malloc, realloc};

static void
arena_free(arena_t *arena)
{
    free(arena->free);
    arena->free = NULL;
}

static int
fail(const char *what)
{
    fprintf(stderr, "old: %s\n", what);
    return 1;
}

#define NEED(condition)                                                       \
    if (!(condition))                                                         \
        return fail(#condition)

/* In files that are compiled in another way. */
extern char *other_copy(const char *text);
extern int is_ours(void *block); /* of the library, or else of libc */

static int
blocks(void)
{
    arena_t arena;
    char *text, *more;
    void (*volatile give)(void *) = &free;
    size_t i;

    arena.malloc = 100;
    arena.free = (char *)malloc(arena.malloc);
    NEED(arena.free != NULL && is_ours(arena.free));
    arena_free(&arena);
    text = (char *)methods.malloc(100);
    NEED(is_ours(text));
    strcpy(text, "text");
    text = (char *)methods.realloc(text, 50000);
    NEED(text != NULL && is_ours(text) && strcmp(text, "text") == 0);
    methods.free(text);
    NEED((text = (char *)calloc(10, 10)) != NULL && is_ours(text));
    for (i = 0; i < 100; i++)
        NEED(text[i] == 0);
    give(text);
    give(NULL);
    NEED((more = strdup("copied")) != NULL && is_ours(more));
    free(more);
    NEED((more = getcwd(NULL, 0)) != NULL && is_ours(more));
    free(more);
    return 0;
}

static int
mixed(void)
{
    char *text = other_copy("from elsewhere");

    NEED(text != NULL && !is_ours(text));
    text = (char *)realloc(text, 100);
    NEED(text != NULL && strcmp(text, "from elsewhere") == 0);
    free(text);
    return 0;
}

int
main(void)
{
    return blocks() != 0 || mixed() != 0;
}
