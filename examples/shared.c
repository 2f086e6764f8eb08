/*
 * shared.c: any thread may allocate from a shared arena and close it.  Who
 * works with its memory acquires it: then nobody closes it meanwhile.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arena.h>

#define THREADS 4
#define LINES 1000

static arena_t *arena;
static char *lines[THREADS][LINES];
static sem_t acquired;

static void *
write_lines(void *arg)
{
    size_t me = *(const size_t *)arg;

    for (int i = 0; i < LINES; i++) {
        lines[me][i] = arena_printf(arena, "thread %zu, line %d", me, i);
        assert(lines[me][i] != NULL);
    }
    return NULL;
}

static void *
read_lines(void *unused)
{
    size_t bytes = 0;

    assert(arena_acquire(arena) == 0);
    sem_post(&acquired);
    usleep(20000);
    for (int i = 0; i < LINES; i++)
        bytes += strlen(lines[0][i]);
    printf("reader: %zu characters in the lines of thread 0\n", bytes);
    assert(arena_release(arena) == 0);
    return unused;
}

int
main(void)
{
    pthread_t threads[THREADS];
    size_t ids[THREADS];
    pthread_t reader;

    arena = arena_shared();
    assert(arena != NULL);
    for (size_t i = 0; i < THREADS; i++) {
        ids[i] = i;
        assert(pthread_create(&threads[i], NULL, write_lines, &ids[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert(strcmp(lines[3][999], "thread 3, line 999") == 0);

    assert(sem_init(&acquired, 0, 0) == 0);
    assert(pthread_create(&reader, NULL, read_lines, NULL) == 0);
    while (sem_wait(&acquired) != 0)
        continue;
    assert(arena_close(arena) == -1 && errno == EBUSY);
    printf("close while acquired: %s\n", arena_error());
    assert(arena_close_wait(arena, -1) == 0); /* after the reader's release */
    assert(arena_close(arena) == -1 && errno == ESTALE);
    printf("closed twice: %s\n", arena_error());
    pthread_join(reader, NULL);
    return 0;
}
