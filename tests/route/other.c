/* other.c - a part of the old program that is compiled without the header. */

#include <stdlib.h>
#include <string.h>

#include <arena.h>

char *other_copy(const char *text);
int is_ours(void *block);

char *
other_copy(const char *text)
{
    char *copy = malloc(strlen(text) + 1);

    return copy == NULL ? NULL : strcpy(copy, text);
}

int
is_ours(void *block)
{
    return arena_of(block) == arena_implicit();
}
