/*
 * requests.c - a server's loop that forgets what it allocates.
 *
 *     requests COUNT [THREADS]
 *
 * Answers COUNT requests, shared among the threads.  Each takes a small
 * structure and 1 KiB of text, neither of which is freed.  Prints the resident
 * memory in MiB at ten points of the way, then the peak and the seconds.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64
#define TEXT_BYTES 1024
#define SAMPLES 10

struct request {
    unsigned long number;
    char *text;
};

static unsigned long share; /* requests of one thread */
static long sampled;        /* the most; the kernel's own peak may lag */

static struct request *
request_new(unsigned long number)
{
    struct request *request = malloc(sizeof *request);

    if (request == NULL || (request->text = malloc(TEXT_BYTES)) == NULL) {
        fputs("requests: no memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    request->number = number;
    snprintf(request->text, TEXT_BYTES, "request %lu", number);
    memset(request->text + 32, (int)('a' + number % 26), TEXT_BYTES - 32);
    return request;
}

static unsigned long
answer(unsigned long number)
{
    struct request *request = request_new(number);

    return (unsigned char)request->text[TEXT_BYTES / 2] + request->number;
}

static long
resident_mib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE) >> 20;
}

static long
peak_mib(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss >> 10;
}

static void
sample(void)
{
    long now = resident_mib();

    if (now > sampled)
        sampled = now;
    printf(" %ld", now);
    fflush(stdout);
}

/* Argument: whether this thread tells of the memory. */
static void *
serve(void *tells)
{
    unsigned long sum = 0;

    for (unsigned long i = 0; i < share; i++) {
        sum += answer(i);
        if (tells != NULL && (i + 1) % (share / SAMPLES) == 0) {
            sample();
        }
    }
    return (void *)sum;
}

int
main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned long threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    pthread_t thread[THREADS_MAX];
    struct timespec start, end;
    long peak;

    if (threads == 0 || threads > THREADS_MAX || count / threads < SAMPLES) {
        fputs("usage: requests COUNT [THREADS]\n", stderr);
        return EXIT_FAILURE;
    }
    share = count / threads;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned long i = 1; i < threads; i++)
        if (pthread_create(&thread[i], NULL, serve, NULL) != 0)
            return EXIT_FAILURE;
    serve(&share);
    for (unsigned long i = 1; i < threads; i++)
        pthread_join(thread[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    peak = peak_mib();
    printf(" %ld %.1f\n", peak > sampled ? peak : sampled,
           (double)(end.tv_sec - start.tv_sec)
               + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    return EXIT_SUCCESS;
}
