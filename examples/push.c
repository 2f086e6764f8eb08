/*
 * push.c: what leaky code allocates by malloc goes with an arena.
 */

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <arena/budget.h>
#include <arena/heap.h>

/* An old program has these two from -include arena/malloc.h. */
#define malloc arena_malloc
#define realloc arena_realloc

/* Counts the words, and frees nothing. */
static int
leaky_count(const char *text)
{
    char **words = NULL;
    int count = 0;

    for (size_t length; *text != '\0'; text += length) {
        text += strspn(text, " ");
        length = strcspn(text, " ");
        if (length == 0)
            break;
        words = realloc(words, ((size_t)count + 1) * sizeof *words);
        assert(words != NULL);
        words[count] = malloc(length + 1);
        assert(words[count] != NULL);
        memcpy(words[count], text, length);
        words[count++][length] = '\0';
    }
    return count;
}

int
main(void)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_usage_t before, after;
    char *kept = malloc(100);

    /* Its blocks may hold the only pointer to a collected one. */
    options.flags = ARENA_TRACED;
    arena_usage(&before, sizeof before);
    for (int i = 0; i < 1000; i++) {
        arena_t *a = arena_open(ARENA_CONFINED, &options);

        assert(a != NULL && arena_push(a) == 0);
        assert(leaky_count("one arena  many words") == 4);
        /* A block of the heap stays one. */
        kept = realloc(kept, 100 + (size_t)i);
        assert(arena_of(kept) == arena_implicit());
        assert(arena_pop() == 0);
        assert(arena_close(a) == 0);
    }
    arena_usage(&after, sizeof after);
    printf("confined: %zu bytes before, %zu after\n",
           before.kind[ARENA_CONFINED].reserved,
           after.kind[ARENA_CONFINED].reserved);
    assert(after.kind[ARENA_CONFINED].reserved
           == before.kind[ARENA_CONFINED].reserved);
    arena_free(kept);
    return 0;
}
