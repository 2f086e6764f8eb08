/*
 * cleaner.c: a handle that is collected, and something behind it that has to
 * be closed.  By hand if the program thinks of it; if not, when the handle is
 * found dead.  Once in any case.
 */

#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <arena.h>
#include <arena/budget.h>
#include <arena/phantom.h>

#define HANDLES 50

static atomic_int open_files;

/* What the action needs.  It does not point to the handle, which would never
 * die then. */
struct state {
    FILE *file;
};

struct handle {
    FILE *file;
    arena_cleanable_t *cleanable;
};

static void
state_close(void *arg)
{
    struct state *state = arg;

    fclose(state->file);
    free(state);
    atomic_fetch_sub(&open_files, 1);
}

static struct handle *
handle_open(void)
{
    struct handle *handle = arena_new(NULL, struct handle);
    struct state *state = malloc(sizeof *state);

    assert(handle != NULL && state != NULL);
    state->file = handle->file = tmpfile();
    assert(state->file != NULL);
    atomic_fetch_add(&open_files, 1);
    handle->cleanable = arena_cleaner_register(handle, state_close, state);
    assert(handle->cleanable != NULL);
    return handle;
}

static void
handle_close(struct handle *handle)
{
    assert(arena_clean(handle->cleanable) == 0); /* again: nothing */
}

static void *
careless(void *arg)
{
    for (int i = 0; i < HANDLES; i++) {
        struct handle *handle = handle_open();

        fputs("some text", handle->file);
        /* Reading handle->file is not enough to keep the handle meanwhile. */
        arena_keep_alive(handle);
    }
    return arg;
}

int
main(void)
{
    struct handle *careful = handle_open();
    pthread_t thread;

    assert(atomic_load(&open_files) == 1);
    handle_close(careful);
    handle_close(careful);
    assert(atomic_load(&open_files) == 0);

    assert(pthread_create(&thread, NULL, careless, NULL) == 0);
    assert(pthread_join(thread, NULL) == 0);
    printf("forgotten: %d files\n", HANDLES);
    arena_collect(); /* and what it found is done */
    assert(atomic_load(&open_files) <= 1);
    puts("closed by the cleaner");
    return 0;
}
