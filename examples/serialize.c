/*
 * serialize.c: a deep copy of a structure, with all that it points to, into
 * an arena; and what is said of one that is not sound.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arena.h>
#include <arena/layout.h>

enum rank { NOVICE, MASTER };

struct person {
    char *name;
    enum rank rank;
    struct person *friend;
    unsigned count; /* of marks */
    uint8_t *marks;
};

/* The compiler checks these tables against the types. */
ARENA_FORWARD(person_layout, struct person);
ARENA_POINTER(person_pointer, person_layout);
ARENA_POINTER(marks_pointer, arena_layout_u8);
ARENA_ENUM(rank_layout, enum rank, ARENA_VARIANT(NOVICE),
           ARENA_VARIANT(MASTER));
ARENA_STRUCT(person_layout, struct person,
             ARENA_MEMBER(struct person, name, arena_layout_string),
             ARENA_MEMBER(struct person, rank, rank_layout),
             ARENA_MEMBER(struct person, friend, person_pointer),
             ARENA_MEMBER(struct person, count, arena_layout_uint),
             ARENA_MEMBER_BY(struct person, marks, marks_pointer, count));

static struct person *
copy_of_locals(arena_t *arena)
{
    char ada[] = "Ada", bob[] = "Bob";
    uint8_t marks[] = {1, 2, 1};
    struct person b = {bob, NOVICE, NULL, 0, NULL};
    struct person a = {ada, MASTER, &b, 3, marks};

    b.friend = &a; /* a cycle is copied as one */
    return arena_serialize(arena, &person_layout, &a);
}

int
main(void)
{
    arena_t *arena = arena_confined();
    struct person *copy = copy_of_locals(arena);

    assert(copy != NULL);
    printf("%s and %s, last mark %d\n", copy->name, copy->friend->name,
           copy->marks[2]);
    assert(copy->friend->friend == copy);
    assert(arena_of(copy->friend->name) == arena);

    copy->friend->rank = (enum rank)9;
    assert(arena_serialize(arena, &person_layout, copy) == NULL);
    assert(errno == EINVAL);
    puts(arena_error());
    assert(strstr(arena_error(), "friend->rank") != NULL);
    arena_close(arena);
    return 0;
}
