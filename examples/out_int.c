/*
 * out_int.c: a C function that gives its result through a pointer, called
 * with memory of a confined arena that ends with the call.
 */

#undef NDEBUG
#include <assert.h>
#include <stdio.h>

#include <arena.h>

/* As many C functions are: the result goes to *out, the answer is 0 or -1. */
static int
out_int(int *out)
{
    *out = 42;
    return 0;
}

/* The same for those who want a value: the place for it is the arena's. */
static int
call_out_int(void)
{
    int result = -1;

    ARENA_WITH(arena, arena_confined()) {
        int *out = arena_new(arena, int);

        if (out != NULL && out_int(out) == 0)
            result = *out;
    } /* closed here, and *out with it */
    return result;
}

int
main(void)
{
    int result = call_out_int();

    assert(result == 42);
    printf("out_int gave %d\n", result);
    return 0;
}
