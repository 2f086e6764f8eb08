/*
 * implicit.c: with NULL as its arena a block is freed by itself, after
 * nothing reachable points to it.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arena.h>
#include <arena/budget.h>

#define BLOCKS 10000
#define SIZE 1024

/* The caller need not free what it gets. */
static char *
greeting(const char *name)
{
    return arena_printf(NULL, "Hello, %s!", name);
}

static size_t
implicit_blocks(void)
{
    arena_usage_t usage;

    arena_usage(&usage, sizeof(usage));
    return usage.kind[ARENA_IMPLICIT].count;
}

int
main(void)
{
    char *text = greeting("world");
    int local;

    assert(text != NULL && strcmp(text, "Hello, world!") == 0);
    assert(arena_of(text) == arena_implicit());

    /* Garbage: each pointer is gone as soon as the next one comes. */
    for (int i = 0; i < BLOCKS; i++) {
        char *block = arena_alloc(NULL, SIZE);

        assert(block != NULL && block[0] == 0 && block[SIZE - 1] == 0);
        memset(block, i, SIZE);
    }
    printf("before a collection: %zu blocks\n", implicit_blocks());
    arena_collect();
    printf("after a collection:  %zu blocks\n", implicit_blocks());
    assert(implicit_blocks() < BLOCKS / 2);
    assert(strcmp(text, "Hello, world!") == 0);
    printf("still there: %s\n", text);

    /* A block may also be freed by hand; anything else is refused. */
    arena_free(text);
    errno = 0;
    arena_free(&local);
    assert(errno == EINVAL);
    printf("freeing no block: %s\n", arena_error());
    return 0;
}
