/*
 * close_action.c: what else ends with an arena, such as files and locks, is
 * told by close actions.  They run last registered first, before any memory
 * of the arena is freed.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arena.h>

static char order[8];

struct log {
    arena_t *arena;
    const char *name;
    FILE *file;
};

/* The log lives in the arena: it may still be read here. */
static void
log_close(void *arg)
{
    struct log *log = arg;

    printf("closing %s\n", log->name);
    assert(fclose(log->file) == 0);
    assert(!arena_is_alive(log->arena));
    strcat(order, log->name);
}

/* Open a file that is closed with the arena.  NULL: could not. */
static struct log *
log_open(arena_t *a, const char *name)
{
    struct log *log = arena_new(a, struct log);

    if (log == NULL)
        return NULL;
    log->arena = a;
    log->name = arena_strdup(a, name);
    log->file = tmpfile();
    if (log->name == NULL || log->file == NULL)
        return NULL;
    if (arena_on_close(a, log_close, log) != 0) {
        fclose(log->file);
        return NULL;
    }
    return log;
}

int
main(void)
{
    arena_t *a = arena_confined();

    assert(log_open(a, "A") != NULL);
    assert(log_open(a, "B") != NULL);
    assert(fprintf(log_open(a, "C")->file, "hello\n") == 6);
    assert(arena_close(a) == 0);
    assert(strcmp(order, "CBA") == 0);

    /* Arenas that are never closed take no actions. */
    assert(arena_on_close(arena_global(), log_close, NULL) == -1);
    assert(errno == ENOTSUP);
    printf("global arena: %s\n", arena_error());
    return 0;
}
