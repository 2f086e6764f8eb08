/*
 * source_route.h - an old program, compiled with -include arena/malloc.h and
 * otherwise as it was.  It knows nothing of the library; what it allocated is
 * judged by check_source_route.c.
 */
#ifndef SOURCE_ROUTE_H
#define SOURCE_ROUTE_H

#include <pthread.h>
#include <stddef.h>

/* A way to get a block that free takes. */
struct route_maker {
    const char *name; /* NULL ends a list */
    void *(*make)(void);
};

extern const struct route_maker route_makers[];   /* blocks of the library */
extern const struct route_maker route_fortified[]; /* or libc's: by flags */
extern const struct route_maker route_foreign[];  /* of libc, always */

void route_free(void *block);
void *route_realloc(void *block, size_t size);

/* Each returns NULL; or the condition that did not hold. */
const char *route_blocks(void);
const char *route_aligned(void);
const char *route_pointers(void);
const char *route_names(void);
const char *route_own_arena(void);
const char *route_errno(void);
const char *route_impossible(void);
const char *route_print(void);
const char *route_print_fortified(void);
const char *route_lines(void);
const char *route_lines_into(void);
const char *route_memstream(void);
const char *route_memstream_seek(void);
const char *route_paths(void);
const char *route_scandir(void);
const char *route_tempnam(void);
const char *route_pattern(void);
const char *route_registers(void);
const char *route_vector(void);

/* Start a thread whose argument is the only pointer to a block.  It waits
 * for the gate.  Returns an error number. */
int route_thread_start(pthread_t *thread, pthread_barrier_t *gate, int id);

/* What a thread that was started with this id, below 100, returns if all is
 * well. */
void *route_thread_result(int id);

#endif
