/*
 * children.c: an arena per connection, and one in it per request.  Closing
 * the parent closes what is left of its children.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arena.h>

static char order[64];

static void
note(void *arg)
{
    strcat(order, arg);
    strcat(order, " ");
}

static arena_t *
open_child(arena_t *parent, const char *name)
{
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.parent = parent;
    options.name = name;
    return arena_open(ARENA_CONFINED, &options);
}

int
main(void)
{
    arena_t *connection = arena_confined();
    arena_t *first = open_child(connection, "first");
    arena_t *second = open_child(connection, "second");
    arena_t *third = open_child(connection, "third");

    assert(first != NULL && second != NULL && third != NULL);
    assert(strcmp(arena_name(second), "second") == 0);
    assert(arena_on_close(connection, note, "connection") == 0);
    assert(arena_on_close(first, note, "first") == 0);
    assert(arena_on_close(second, note, "second") == 0);

    /* A child may be closed before its parent. */
    assert(arena_close(first) == 0);
    assert(strcmp(order, "first ") == 0);

    /* An acquired child holds its parent open, too. */
    assert(arena_acquire(third) == 0);
    assert(arena_close(connection) == -1 && errno == EBUSY);
    printf("close: %s\n", arena_error());
    assert(arena_is_alive(second));
    assert(arena_release(third) == 0);

    /* All children go with the parent, and their actions run first. */
    assert(arena_close(connection) == 0);
    assert(!arena_is_alive(second) && !arena_is_alive(third));
    printf("closed in this order: %s\n", order);
    assert(strcmp(order, "first second connection ") == 0);

    /* A confined child needs a confined parent. */
    assert(open_child(arena_global(), "orphan") == NULL && errno == EINVAL);
    printf("wrong parent: %s\n", arena_error());
    return 0;
}
