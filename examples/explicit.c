/*
 * explicit.c: allocate, set, free, each by hand: the three steps of any
 * memory outside a collected heap, in the three ways that the library has.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include <arena.h>
#include <arena/buffer.h>

/* A block by itself. */
static void
by_block(void)
{
    int64_t *number = arena_new(arena_implicit(), int64_t);

    assert(number != NULL && *number == 0);
    *number = 42;
    printf("block:  %lld\n", (long long)*number);
    arena_free(number);
}

/* All blocks of an arena together. */
static void
by_arena(void)
{
    arena_t *arena = arena_confined();
    int64_t *numbers = arena_new_array(arena, int64_t, 1000);

    assert(numbers != NULL);
    numbers[7] = 49;
    printf("arena:  %lld\n", (long long)numbers[7]);
    assert(arena_close(arena) == 0);
}

/* A buffer: every access is checked, before the free and after it. */
static void
by_buffer(void)
{
    arena_buffer_t *buffer = arena_buffer_allocate(sizeof(int64_t));
    int64_t number = 0;

    assert(buffer != NULL);
    assert(arena_buffer_put_i64_at(buffer, 0, 42) == 0);
    assert(arena_buffer_get_i64_at(buffer, 0, &number) == 0 && number == 42);
    printf("buffer: %lld\n", (long long)number);
    assert(arena_buffer_put_i64_at(buffer, 1, 42) == -1 && errno == ERANGE);
    printf("buffer: %s\n", arena_error());

    assert(arena_buffer_free(buffer) == 0);
    assert(arena_buffer_get_i64_at(buffer, 0, &number) == -1);
    assert(errno == ESTALE);
    printf("buffer: %s\n", arena_error());
    assert(arena_buffer_free(buffer) == 0); /* a second time: nothing */
}

int
main(void)
{
    by_block();
    by_arena();
    by_buffer();
    return 0;
}
