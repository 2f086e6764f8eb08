/*
 * budget.c: one limit for all memory that the library holds, with the
 * program's own memory in it, and limits of single arenas.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include <arena.h>
#include <arena/budget.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

static arena_usage_t
usage(void)
{
    arena_usage_t u;

    arena_usage(&u, sizeof(u));
    return u;
}

static void
limit_the_process(void)
{
    assert(arena_set_limit(16 * MIB) == 0);

    /* Memory of our own, say a mapping, counts if we say so. */
    assert(arena_reserve(4 * MIB) == 0);
    assert(usage().manual.reserved == 4 * MIB);

    /* More than the limit: refused at once. */
    assert(arena_reserve(17 * MIB) == -1 && errno == ENOMEM);
    printf("too large for ever: %s\n", arena_error());
    assert(usage().manual.reserved == 4 * MIB);

    /* More than is left: refused after half a second of trying. */
    assert(arena_reserve(15 * MIB) == -1 && errno == ENOMEM);
    printf("too large for now: %s\n", arena_error());

    assert(arena_unreserve(4 * MIB) == 0);
    assert(arena_reserve(15 * MIB) == 0);
    assert(arena_unreserve(15 * MIB) == 0);
    assert(arena_set_limit(ARENA_UNLIMITED) == 0);
}

static void
limit_an_arena(void)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *a;
    size_t blocks = 0;

    options.name = "request";
    options.limit = 1 * MIB;
    a = arena_open(ARENA_CONFINED, &options);
    assert(a != NULL);
    while (arena_alloc(a, 10 * KIB) != NULL)
        blocks++;
    assert(errno == ENOMEM);
    printf("after %zu blocks of 10 KiB: %s\n", blocks, arena_error());
    assert(blocks > 0 && blocks <= 102 && arena_bytes(a) <= 1 * MIB);
    assert(usage().kind[ARENA_CONFINED].reserved >= arena_bytes(a));
    assert(arena_close(a) == 0);
}

int
main(void)
{
    printf("default limit: %zu MiB\n", arena_limit() / MIB);
    limit_the_process();
    limit_an_arena();
    printf("most that was ever held: %zu KiB\n", usage().peak / KIB);
    return 0;
}
