/*
 * limits.h - limits of a few blocks, and threads that have to share them.
 */
#ifndef LIMITS_H
#define LIMITS_H

#include "bench.h"

/* How a block is taken from a limit, and given back. */
struct limits_way {
    void *(*take)(size_t size); /* NULL: failed */
    void (*give)(void *taken);  /* NULL: it is dropped */
};

/* Set the library's limit to what is reserved now and so many blocks more. */
void limits_set(const struct limits_way *way, size_t blocks, size_t size);

struct limits_seen {
    size_t taken;
    size_t failures;
    double worst_ns; /* wait for a block */
    double ns;       /* that all of it took */
};

/* How long that is to be seen. */
double limits_length_ns(void);

/* How long a thread that is alone, and sleeps for hold_ns, holds a block. */
double limits_hold_alone_ns(double hold_ns);

/* As many threads as the work says take blocks, hold each for hold_ns, and
 * give it back, until length_ns are over.  One that fails tries again, and
 * its wait goes on. */
struct limits_seen limits_contend(const struct bench_work *work,
                                  const struct limits_way *way, double hold_ns,
                                  double length_ns);

/* Ways of the library. */
extern const struct limits_way limits_shared; /* an arena for each */
extern const struct limits_way limits_shared_uninit;
extern const struct limits_way limits_auto;   /* the same */
extern const struct limits_way limits_implicit;
extern const struct limits_way limits_buffer;

#endif
