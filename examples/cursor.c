/*
 * cursor.c: a tree of many small nodes, with blocks that cost no call.
 */

#undef NDEBUG
#include <assert.h>
#include <stdio.h>

#include <arena/inline.h>

#define NODES 100000

struct node {
    struct node *left, *right;
    unsigned key;
};

static struct node *
insert(struct node **root, arena_cursor_t *cursor, unsigned key)
{
    while (*root != NULL)
        root = key < (*root)->key ? &(*root)->left : &(*root)->right;
    *root = arena_cursor_alloc(cursor, sizeof **root); /* zero-filled */
    if (*root != NULL)
        (*root)->key = key;
    return *root;
}

static size_t
count(const struct node *node)
{
    return node == NULL ? 0 : 1 + count(node->left) + count(node->right);
}

int
main(void)
{
    arena_t *arena = arena_confined();
    arena_cursor_t cursor = arena_cursor(arena);
    struct node *root = NULL;
    unsigned key = 1;

    for (int i = 0; i < NODES; i++) {
        key = key * 1664525u + 1013904223u;
        assert(insert(&root, &cursor, key >> 8) != NULL);
    }
    arena_cursor_end(&cursor);
    printf("%zu nodes in %zu bytes\n", count(root), arena_bytes(arena));
    assert(count(root) == NODES);

    /* Once the arena is closed, there is nothing to take from. */
    assert(arena_close(arena) == 0);
    assert(arena_cursor_alloc(&cursor, 1) == NULL);
    printf("after close: %s\n", arena_error());
    return 0;
}
