/*
 * mark_rewind.c: memory for one step of a loop, given back after each step
 * without closing the arena.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arena.h>

#define STEPS 1000

/* A million bytes of scratch memory per step. */
static void
work(arena_t *a, int step)
{
    for (int i = 0; i < 100; i++) {
        char *block = arena_alloc(a, 10000);

        assert(block != NULL && block[0] == 0);
        memset(block, step, 10000);
    }
}

int
main(void)
{
    arena_t *a = arena_confined();
    char *result = arena_strdup(a, "kept");
    arena_mark_t outer;
    arena_mark_t inner;
    size_t bytes = 0;

    assert(result != NULL);
    assert(arena_mark(a, &outer) == 0);
    for (int step = 0; step < STEPS; step++) {
        work(a, step);
        if (step == 0)
            bytes = arena_bytes(a);
        assert(arena_rewind(a, outer) == 0); /* the mark stays good */
    }
    printf("after 1 step %zu bytes, after %d steps %zu\n", bytes, STEPS,
           arena_bytes(a));
    assert(arena_bytes(a) <= bytes);
    assert(strcmp(result, "kept") == 0);

    /* Marks nest; rewinding past one drops it. */
    assert(arena_mark(a, &inner) == 0);
    assert(arena_rewind(a, outer) == 0);
    assert(arena_rewind(a, inner) == -1 && errno == EINVAL);
    printf("dropped mark: %s\n", arena_error());

    assert(arena_close(a) == 0);
    return 0;
}
