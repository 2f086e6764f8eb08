/*
 * auto.c: an auto arena is freed after nothing reachable points to it or into
 * its blocks; its close action then runs.
 *
 * The collector is conservative: a stale word on a stack can keep an arena a
 * while longer.  So a program never counts on one arena's end; this one makes
 * a hundred, and asks for half of them.
 */

#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <arena.h>
#include <arena/budget.h>

#define ARENAS 100
#define KEPT 42

static atomic_int closed[ARENAS];
static char *volatile kept; /* a global: the collector looks here */

static void
on_close(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* Make the arenas, and forget all of them but for one block's middle. */
static void *
make_arenas(void *unused)
{
    for (int i = 0; i < ARENAS; i++) {
        arena_t *a = arena_auto();
        char *text = arena_printf(a, "number %d", i);

        assert(text != NULL);
        assert(arena_on_close(a, on_close, &closed[i]) == 0);
        if (i == KEPT)
            kept = text + strlen("number ");
    }
    return unused;
}

static int
count_closed(void)
{
    int count = 0;

    for (int i = 0; i < ARENAS; i++) {
        assert(closed[i] <= 1);
        count += closed[i];
    }
    return count;
}

int
main(void)
{
    pthread_t maker;

    assert(arena_thread_attach() == 0);
    assert(pthread_create(&maker, NULL, make_arenas, NULL) == 0);
    pthread_join(maker, NULL); /* its stack is gone, and its pointers */

    arena_collect();
    printf("closed by the collector: %d of %d\n", count_closed(), ARENAS);
    assert(count_closed() >= ARENAS / 2);

    printf("kept by a pointer into it: \"%s\"\n", kept);
    assert(closed[KEPT] == 0);
    assert(strcmp(kept, "42") == 0);
    return 0;
}
