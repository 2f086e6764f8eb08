/*
 * pin.c: the collector does not look into malloc'd memory.  A pointer that is
 * kept only there needs a pin, or the memory that holds it must be a root.
 */

#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <arena.h>
#include <arena/budget.h>

#define ARENAS 100

static atomic_int closed;
static arena_t **table; /* malloc'd: its contents are not seen */

static void
count_close(void *unused)
{
    (void)unused;
    closed++;
}

static void *
fill_table(void *unused)
{
    for (int i = 0; i < ARENAS; i++) {
        table[i] = arena_auto();
        assert(arena_on_close(table[i], count_close, NULL) == 0);
        assert(arena_pin(table[i]) == 0);
    }
    return unused;
}

static void *
unpin_all(void *unused)
{
    for (int i = 0; i < ARENAS; i++)
        assert(arena_unpin(table[i]) == 0);
    return unused;
}

/* In a thread of its own, so that no pointer stays on a living stack. */
static void
run(void *(*function)(void *))
{
    pthread_t thread;

    assert(pthread_create(&thread, NULL, function, NULL) == 0);
    pthread_join(thread, NULL);
    arena_collect();
}

int
main(void)
{
    assert(arena_thread_attach() == 0);
    table = malloc(ARENAS * sizeof(*table));
    assert(table != NULL);
    run(fill_table);
    printf("pinned: %d of %d arenas closed\n", closed, ARENAS);
    assert(closed == 0);

    /* The table as a root does the same for all of them. */
    assert(arena_add_roots(table, table + ARENAS) == 0);
    run(unpin_all);
    printf("in a root: %d of %d arenas closed\n", closed, ARENAS);
    assert(closed == 0);
    assert(arena_remove_roots(table, table + ARENAS) == 0);

    arena_collect();
    printf("not seen: %d of %d arenas closed\n", closed, ARENAS);
    assert(closed >= ARENAS / 2); /* the scan is conservative */
    free(table);
    return 0;
}
