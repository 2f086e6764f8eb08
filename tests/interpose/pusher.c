/*
 * pusher.c - a program that has arenas, and otherwise uses libc's malloc:
 *
 *     pusher CASE
 *
 * Exits with 0 if all is as it should be, 1 if not.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arena/budget.h>
#include <arena/heap.h>

static void
fail(const char *what)
{
    fprintf(stderr, "pusher: %s (%s)\n", what, arena_error());
    _exit(1);
}

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition))                                                     \
            fail(#condition);                                                 \
    } while (0)

static arena_t *
open_traced(void)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena;

    options.flags = ARENA_TRACED;
    arena = arena_open(ARENA_CONFINED, &options);
    CHECK(arena != NULL);
    return arena;
}

/* Is a block where malloc takes from without any scope? */
static int
is_ordinary(void *block)
{
    arena_t *arena = arena_of(block);

    return block != NULL && (arena == NULL || arena == arena_implicit());
}

/* --- Cases --- */

static void
case_family(void)
{
    arena_t *arena = open_traced();
    void *block = NULL, *more[3];

    CHECK(arena_push(arena) == 0);
    CHECK(arena_of(malloc(100)) == arena);
    CHECK(arena_of(calloc(3, 100)) == arena);
    CHECK(arena_of(realloc(NULL, 100)) == arena);
    CHECK(arena_of(reallocarray(NULL, 3, 100)) == arena);
    CHECK(arena_of(memalign(256, 100)) == arena);
    CHECK(arena_of(aligned_alloc(256, 256)) == arena);
    CHECK(arena_of(valloc(1)) == arena);
    CHECK(arena_of(pvalloc(1)) == arena);
    CHECK(posix_memalign(&block, 128, 100) == 0);
    CHECK(arena_of(block) == arena && malloc_usable_size(block) >= 100);
    more[0] = malloc(10);
    more[1] = realloc(more[0], 1000);
    more[2] = strcpy(malloc(300), "text");
    CHECK(arena_of(more[1]) == arena);
    free(more[0]);
    free(more[1]);
    free(block);
    errno = 77;
    free(more[2]);
    CHECK(errno == 77 && strcmp(more[2], "text") == 0);
    CHECK(arena_pop() == 0);
    free(more[2]);
    CHECK(strcmp(more[2], "text") == 0);
    more[1] = realloc(more[2], 100);
    CHECK(is_ordinary(more[1]) && strcmp(more[1], "text") == 0);
    free(more[1]);
    block = malloc(10);
    CHECK(is_ordinary(block));
    free(block);
    CHECK(arena_close(arena) == 0);
}

/* What libc and the loader ask for is not the arena's. */
static void
case_libc(void)
{
    arena_t *arena = open_traced();
    char *copy, *line = NULL, *text = NULL, *word = NULL;
    size_t size = 0, bytes;
    FILE *file, *stream;

    CHECK(arena_push(arena) == 0);
    bytes = arena_bytes(arena);
    copy = strdup("copied");
    CHECK(is_ordinary(copy));
    file = tmpfile();
    CHECK(file != NULL && fputs("a line\n", file) >= 0);
    rewind(file);
    CHECK(getline(&line, &size, file) == 7 && is_ordinary(line));
    stream = open_memstream(&text, &size);
    CHECK(stream != NULL && fprintf(stream, "%d", 12) == 2);
    CHECK(setenv("PUSHER", "value", 1) == 0);
    CHECK(sscanf("word", "%ms", &word) == 1 && is_ordinary(word));
    CHECK(arena_bytes(arena) == bytes);
    /* A line of the program's is libc's to grow: it leaves the arena. */
    size = 1;
    rewind(file);
    free(line);
    line = malloc(size);
    CHECK(arena_of(line) == arena);
    CHECK(getline(&line, &size, file) == 7 && strcmp(line, "a line\n") == 0);
    CHECK(arena_pop() == 0 && arena_close(arena) == 0);
    fclose(stream);
    CHECK(strcmp(text, "12") == 0 && strcmp(word, "word") == 0);
    CHECK(strcmp(getenv("PUSHER"), "value") == 0);
    free(text);
    free(word);
    free(copy);
    rewind(file);
    CHECK(getline(&line, &size, file) == 7);
    free(line);
    fclose(file);
}

struct node {
    struct node *next;
    char text[100];
};

/* The only pointer to a collected block is in the arena, and the other way. */
static void
case_collect(void)
{
    arena_t *arena = open_traced();
    struct node *first = NULL, *node;

    for (int i = 0; i < 2000; i++) {
        if (i % 2 == 0)
            CHECK(arena_push(arena) == 0);
        node = malloc(sizeof *node);
        CHECK(node != NULL);
        snprintf(node->text, sizeof node->text, "node %d", i);
        node->next = first;
        first = node;
        if (i % 2 == 0)
            CHECK(arena_pop() == 0);
        for (int j = 0; j < 10; j++)
            memset(malloc(200), 0x55, 200);
        if (i % 400 == 0)
            malloc_trim(0);
    }
    for (int i = 1999; i >= 0; i--) {
        char text[100];

        snprintf(text, sizeof text, "node %d", i);
        CHECK(strcmp(first->text, text) == 0);
        first = first->next;
    }
    CHECK(arena_close(arena) == 0);
}

static void *
thread_main(void *arg)
{
    void *block = malloc(100);

    CHECK(is_ordinary(block));
    free(arg);
    CHECK(arena_push(open_traced()) == 0);
    return malloc(10);
}

static void
case_threads(void)
{
    arena_t *arena = open_traced();

    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        void *result;

        CHECK(arena_push(arena) == 0);
        CHECK(pthread_create(&thread, NULL, thread_main, malloc(10)) == 0);
        CHECK(pthread_join(thread, &result) == 0);
        CHECK(arena_pop() == 0);
        free(result);
    }
    CHECK(arena_close(arena) == 0);
}

static void
case_closed(void)
{
    arena_t *arena = open_traced();
    char *copy;

    CHECK(arena_push(arena) == 0);
    CHECK(arena_close(arena) == 0);
    errno = 0;
    CHECK(malloc(10) == NULL && errno == ENOMEM);
    copy = strdup("libc goes on");
    CHECK(is_ordinary(copy));
    free(copy);
    CHECK(arena_pop() == 0);
    copy = malloc(10);
    CHECK(is_ordinary(copy));
    free(copy);
}

/* An arena's name is the library's, and no block of malloc's. */
static void
case_names(void)
{
    static const arena_kind_t kinds[] = {ARENA_CONFINED, ARENA_SHARED,
                                         ARENA_AUTO};
    static arena_t *arenas[60];
    char name[20];

    for (int i = 0; i < 60; i++) {
        arena_options_t options = ARENA_OPTIONS_INIT;

        snprintf(name, sizeof name, "request %d", i);
        options.name = name;
        CHECK((arenas[i] = arena_open(kinds[i % 3], &options)) != NULL);
    }
    arena_collect();
    for (int i = 0; i < 10000; i++)
        memset(malloc(16), 'x', 16);
    arena_collect();
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "request %d", i);
        CHECK(strcmp(arena_name(arenas[i]), name) == 0);
        CHECK(i % 3 == 2 || arena_close(arenas[i]) == 0);
        arenas[i] = NULL;
    }
    arena_collect();
    arena_collect();
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"family", case_family},   {"libc", case_libc},
        {"collect", case_collect}, {"threads", case_threads},
        {"closed", case_closed},   {"names", case_names},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (argc > 1 && strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            return 0;
        }
    fail("no such case");
    return 1;
}
