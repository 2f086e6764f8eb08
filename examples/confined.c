/*
 * confined.c: a confined arena belongs to one thread, and all its memory is
 * freed at once.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <arena.h>

struct word {
    struct word *next;
    const char *text;
};

/* Split a line into words.  No word is ever freed by itself. */
static struct word *
split(arena_t *a, const char *line)
{
    struct word *first = NULL;
    struct word **last = &first;

    for (;;) {
        size_t length;

        line += strspn(line, " ");
        length = strcspn(line, " ");
        if (length == 0)
            return first;
        *last = arena_new(a, struct word);
        assert(*last != NULL);
        (*last)->text = arena_strndup(a, line, length);
        last = &(*last)->next;
        line += length;
    }
}

/* Another thread is refused; the arena is not harmed. */
static void *
intrude(void *a)
{
    errno = 0;
    assert(arena_alloc(a, 1) == NULL && errno == EPERM);
    printf("another thread: %s\n", arena_error());
    return NULL;
}

int
main(void)
{
    arena_t *a = arena_confined();
    pthread_t thread;
    int count = 0;

    assert(a != NULL && arena_kind(a) == ARENA_CONFINED);
    for (struct word *w = split(a, "one arena  many blocks"); w != NULL;
         w = w->next) {
        printf("word %d: %s\n", ++count, w->text);
        assert(arena_of(w->text) == a);
    }
    assert(count == 4);
    assert(pthread_create(&thread, NULL, intrude, a) == 0);
    pthread_join(thread, NULL);

    assert(arena_close(a) == 0);
    assert(!arena_is_alive(a));
    assert(arena_alloc(a, 1) == NULL && errno == ESTALE);
    printf("after the close: %s\n", arena_error());
    return 0;
}
