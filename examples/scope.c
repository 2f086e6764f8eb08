/*
 * scope.c: arenas that close when their block is left.
 */

#define _POSIX_C_SOURCE 200809L
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arena.h>

static int closes;

static void
count_close(void *arg)
{
    printf("closed: %s\n", (const char *)arg);
    closes++;
}

/* Left in three ways; the arena is closed in all of them. */
static int
sum_of_fields(const char *line)
{
    arena_t *a ARENA_AUTOCLOSE = arena_confined();
    char *copy = arena_strdup(a, line);
    char *save = NULL;
    int sum = 0;

    if (copy == NULL || arena_on_close(a, count_close, "fields") != 0)
        return -1;
    for (char *field = strtok_r(copy, ",", &save); field != NULL;
         field = strtok_r(NULL, ",", &save)) {
        int value = atoi(field);

        if (value == 0)
            return -1;
        sum += value;
    }
    return sum;
}

int
main(void)
{
    assert(sum_of_fields("1,2,3") == 6);
    assert(closes == 1);
    assert(sum_of_fields("1,two,3") == -1);
    assert(closes == 2);

    /* An arena for a block: the inner one is closed first. */
    ARENA_WITH (outer, arena_confined()) {
        arena_on_close(outer, count_close, "outer");
        ARENA_WITH (inner, arena_confined()) {
            arena_on_close(inner, count_close, "inner");
            assert(arena_new_array(inner, int, 1000) != NULL);
        }
        assert(closes == 3);
    }
    assert(closes == 4);

    /* break leaves the block, and only that. */
    for (int i = 0; i < 3; i++) {
        ARENA_WITH (a, arena_confined()) {
            arena_on_close(a, count_close, "round");
            if (i == 1)
                break;
        }
    }
    assert(closes == 7);
    return 0;
}
