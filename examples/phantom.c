/*
 * phantom.c: a phantom reference tells that memory is gone, after the fact.
 * The memory cannot be got from it: so what is needed then goes along as data.
 */

#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <arena.h>
#include <arena/budget.h>
#include <arena/phantom.h>

#define VISITS 100

struct visit {
    char user[64];
    char page[8192];
};

static arena_queue_t *gone;

/* Visits that nobody closes; on a thread of its own, whose stack is gone
 * when it has ended. */
static void *
serve(void *arg)
{
    for (int i = 0; i < VISITS; i++) {
        arena_t *a = arena_auto();
        struct visit *visit = arena_new(a, struct visit);
        char *label = arena_printf(NULL, "visit %d", i);

        assert(visit != NULL && label != NULL);
        strcpy(visit->user, label);
        arena_phantom_t *phantom = arena_phantom_new(visit, gone, label);

        assert(phantom != NULL);
        assert(arena_phantom_refers_to(phantom, visit->page));
        assert(!arena_phantom_refers_to(phantom, NULL));
    }
    return arg;
}

int
main(void)
{
    pthread_t thread;
    arena_phantom_t *phantom;
    int told = 0;

    gone = arena_queue_new();
    assert(gone != NULL);
    assert(arena_queue_poll(gone) == NULL); /* nothing yet */
    assert(pthread_create(&thread, NULL, serve, NULL) == 0);
    assert(pthread_join(thread, NULL) == 0);

    arena_collect();
    while ((phantom = arena_queue_remove(gone, 100)) != NULL) {
        if (told++ < 3)
            printf("gone: %s\n", (char *)arena_phantom_data(phantom));
        assert(arena_phantom_refers_to(phantom, NULL));
        arena_phantom_free(phantom);
    }
    /* A stale word somewhere can keep one. */
    printf("%s of %d visits are gone\n", told >= 98 ? "98 or more" : "few",
           VISITS);
    assert(told >= 98);
    arena_queue_free(gone);
    return 0;
}
