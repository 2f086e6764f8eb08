/*
 * string_builder.c: a text that grows in an arena.  As long as it is the last
 * block that was taken, arena_resize grows it where it is.
 */

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <arena.h>

struct builder {
    arena_t *arena;
    char *text;
    size_t length;
    size_t size;
};

/* Append a text.  -1: no memory; the builder is as it was. */
static int
append(struct builder *b, const char *text)
{
    size_t length = strlen(text);

    if (b->length + length + 1 > b->size) {
        size_t size = 2 * (b->length + length + 1);
        char *grown = arena_resize(b->arena, b->text, b->size, size);

        if (grown == NULL)
            return -1;
        b->text = grown;
        b->size = size;
    }
    memcpy(b->text + b->length, text, length + 1);
    b->length += length;
    return 0;
}

int
main(void)
{
    ARENA_WITH (a, arena_confined()) {
        struct builder b = {a, NULL, 0, 0};
        char *start;

        assert(append(&b, "squares:") == 0);
        start = b.text;
        for (int i = 1; i <= 20; i++) {
            ARENA_WITH (scratch, arena_confined()) {
                char *item = arena_printf(scratch, " %d", i * i);

                assert(item != NULL && append(&b, item) == 0);
            }
        }
        printf("%s\n", b.text);
        assert(strlen(b.text) == b.length);
        assert(strcmp(b.text + b.length - 8, " 361 400") == 0);
        printf("grown in place: %s\n", b.text == start ? "yes" : "no");

        /* Another block is in the way now: the text moves. */
        start = b.text;
        assert(arena_strdup(a, "in the way") != NULL);
        for (int i = 0; i < 100; i++)
            assert(append(&b, "!") == 0);
        assert(b.text != start && b.text[b.length - 1] == '!');
        assert(memcmp(b.text, "squares: 1 4 9", 14) == 0);
        printf("moved: %zu characters\n", b.length);
    }
    return 0;
}
