/*
 * malloc_workloads.c: what allocators find easy and hard.
 *
 *     malloc_workloads small|transfer|grow|large SIZE
 *
 * Uses malloc and free alone and is linked with nothing of libarena's, so it
 * can be run with any malloc.  Prints a sum that depends on SIZE alone.
 */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t size;

static void *
must(void *block)
{
    if (block == NULL) {
        fputs("malloc_workloads: no memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return block;
}

/* xorshift64: the same numbers everywhere. */
static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* --- Small objects with free --- */

#define SMALL_LIVE 50000

static uint64_t
run_small(void)
{
    static unsigned char *live[SMALL_LIVE];
    uint64_t random = 88172645463325252u, sum = 0;

    for (size_t i = 0; i < size * 2000000; i++) {
        uint64_t r = next_random(&random);
        unsigned char **slot = &live[r % SMALL_LIVE];
        size_t bytes = 8 + (r >> 32) % 120;

        if (*slot != NULL)
            sum += **slot;
        free(*slot);
        *slot = must(malloc(bytes));
        memset(*slot, (int)(r >> 40), bytes < 32 ? bytes : 32);
    }
    for (size_t i = 0; i < SMALL_LIVE; i++)
        free(live[i]);
    return sum;
}

/* --- Made by one thread, freed by another --- */

#define QUEUE_ROOM 64
#define BATCH 128

struct batch {
    unsigned char *block[BATCH];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct batch *batch[QUEUE_ROOM];
    size_t put, taken;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER};

static void
queue_put(struct batch *batch)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.put - queue.taken == QUEUE_ROOM)
        pthread_cond_wait(&queue.changed, &queue.lock);
    queue.batch[queue.put++ % QUEUE_ROOM] = batch;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
}

static struct batch *
queue_take(void)
{
    struct batch *batch;

    pthread_mutex_lock(&queue.lock);
    while (queue.put == queue.taken)
        pthread_cond_wait(&queue.changed, &queue.lock);
    batch = queue.batch[queue.taken++ % QUEUE_ROOM];
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    return batch;
}

static void *
produce(void *unused)
{
    uint64_t random = 88172645463325252u;

    (void)unused;
    for (size_t i = 0; i < size * 20000; i++) {
        struct batch *batch = must(malloc(sizeof *batch));

        for (size_t j = 0; j < BATCH; j++) {
            batch->block[j] =
                must(malloc(16 + next_random(&random) % 200));
            batch->block[j][0] = (unsigned char)(i + j);
        }
        queue_put(batch);
    }
    return NULL;
}

static uint64_t
run_transfer(void)
{
    pthread_t producer;
    uint64_t sum = 0;

    if (pthread_create(&producer, NULL, produce, NULL) != 0)
        exit(EXIT_FAILURE);
    for (size_t i = 0; i < size * 20000; i++) {
        struct batch *batch = queue_take();

        for (size_t j = 0; j < BATCH; j++) {
            sum += batch->block[j][0];
            free(batch->block[j]);
        }
        free(batch);
    }
    pthread_join(producer, NULL);
    return sum;
}

/* --- Growing by realloc --- */

#define GROW_STRINGS 200

static uint64_t
run_grow(void)
{
    uint64_t random = 88172645463325252u, sum = 0;

    for (size_t round = 0; round < size * 8; round++) {
        char *text[GROW_STRINGS] = {NULL};
        size_t length[GROW_STRINGS] = {0}, room[GROW_STRINGS] = {0};

        for (size_t i = 0; i < 200000; i++) {
            uint64_t r = next_random(&random);
            size_t which = r % GROW_STRINGS, more = (r >> 32) % 100;

            if (length[which] + more > room[which]) {
                room[which] = length[which] + length[which] / 4 + more + 16;
                text[which] = must(realloc(text[which], room[which]));
            }
            memset(text[which] + length[which], (int)which, more);
            length[which] += more;
        }
        for (size_t i = 0; i < GROW_STRINGS; i++) {
            sum += length[i] + (unsigned char)text[i][length[i] / 2];
            free(text[i]);
        }
    }
    return sum;
}

/* --- Large blocks --- */

#define LARGE_LIVE 40

static uint64_t
run_large(void)
{
    unsigned char *live[LARGE_LIVE] = {NULL};
    uint64_t random = 88172645463325252u, sum = 0;

    for (size_t i = 0; i < size * 6000; i++) {
        uint64_t r = next_random(&random);
        unsigned char **slot = &live[r % LARGE_LIVE];
        size_t bytes = 20000 + (r >> 32) % 1000000;

        if (*slot != NULL)
            sum += (*slot)[10000];
        free(*slot);
        *slot = must(malloc(bytes));
        for (size_t at = 0; at < bytes; at += 2000)
            (*slot)[at] = (unsigned char)r;
    }
    for (size_t i = 0; i < LARGE_LIVE; i++)
        free(live[i]);
    return sum;
}

static const struct {
    const char *name;
    uint64_t (*run)(void);
} workloads[] = {
    {"small", run_small},
    {"transfer", run_transfer},
    {"grow", run_grow},
    {"large", run_large},
};

int
main(int argc, char **argv)
{
    if (argc == 3)
        size = strtoul(argv[2], NULL, 10);
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (size != 0 && strcmp(argv[1], workloads[i].name) == 0) {
            printf("%llu\n", (unsigned long long)workloads[i].run());
            return EXIT_SUCCESS;
        }
    fputs("usage: malloc_workloads small|transfer|grow|large SIZE\n", stderr);
    return EXIT_FAILURE;
}
