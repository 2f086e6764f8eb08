/* careless.c - frees what it still uses; with -DARENA_IGNORE_FREE. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
main(void)
{
    char *blocks[100], *volatile block, *volatile moved;
    int i;

    for (i = 0; i < 100; i++) {
        blocks[i] = malloc(100);
        sprintf(blocks[i], "block %d", i);
        block = blocks[i];
        free(block);
    }
    for (i = 0; i < 100; i++) {
        char text[100];

        memset(malloc(100), 'x', 100);
        sprintf(text, "block %d", i);
        block = blocks[i];
        if (strcmp(block, text) != 0)
            return 1;
    }
    moved = realloc(block, 10000);
    memset(moved, 'y', 10000);
    return moved == block || strcmp(block, "block 99") != 0;
}
