/*
 * bench.h - what a case is made of, and what cases share.
 *
 * A case is one kind of work, in groups; the implementations of a group, ours
 * and the peers', do the same work and are compared.  Each runs in a process
 * of its own, since malloc is slower in one that has had a second thread or a
 * collector; the driver (measure.h) has them work by turns.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>

#define BENCH_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BENCH_FIGURES 3
#define BENCH_TARGETS 2

enum bench_role {
    BENCH_OURS,
    BENCH_PEER,
    BENCH_REFERENCE /* shown beside the others; not counted as a peer */
};

/* What one loop of a group does, in each thread. */
struct bench_work {
    size_t blocks;
    size_t size;    /* of a block, in bytes */
    size_t threads; /* at the same time */
};

/* The most that a figure may be; where more is better, the least. */
struct bench_target {
    double factor;       /* of what another implementation of the group has, */
    const char *against; /* with this name; NULL: in the group's unit;
                            factor 0: no target */
};

/* One way to do the work.  Either it has run, which is timed: the figure is
 * nanoseconds for each block of a thread; or measure, which finds figures of
 * its own. */
struct bench_impl {
    const char *name;
    enum bench_role role;
    void (*begin)(const struct bench_work *work); /* once, before all rounds;
                                    or NULL; may call bench_absent */
    void (*run)(const struct bench_work *work, size_t loops);
    void (*finish)(void); /* after run, timed as well, in one thread: what its
                             garbage costs; or NULL */
    void (*measure)(const struct bench_work *work,
                    double figures[BENCH_FIGURES]);
    size_t threads;     /* 0: as the group's work says */
    size_t least_loops; /* of a round, or its end would be most of it */
    struct bench_target targets[BENCH_TARGETS];
};

struct bench_group {
    const char *name;
    const char *unit; /* of the figures; NULL: ns */
    bool more;        /* is better */
    size_t figure;    /* not 0: shows those figures of the group before, whose
                         implementations these are */
    struct bench_work work;
    const struct bench_impl *impls;
    size_t count;
};

struct bench_case {
    const char *name;
    const char *title;
    double weight;  /* a round is so many times as long as usual */
    size_t columns; /* not 0: the groups are cells of a table, shown as such;
                       they are named "ROW x COLUMN" */
    const struct bench_group *groups;
    size_t count;
};

/* The entries of a group with its implementations. */
#define BENCH_IMPLS(array) .impls = (array), .count = BENCH_COUNT(array)

/* One short round, to see that all of it runs: smaller heaps will do, and no
 * target is looked at. */
extern bool bench_quick;

/* Print what could not be done and end the process. */
_Noreturn void bench_fail(const char *what);

/* The implementation that begins cannot be measured here, and why. */
void bench_absent(const char *why);

/* A clock that never goes back, in nanoseconds. */
double bench_now(void);

/* The middle one of at most 100 values, or the mean of the middle two. */
double bench_median(const double *values, size_t count);

/* Call run in so many threads, the calling one among them. */
void bench_threads(size_t threads, void (*run)(void *arg), void *arg);

/* Use a block as a program would: write its first word.  The compiler must
 * assume that everything at the pointer is read and written. */
static inline void
bench_touch(void *block)
{
    __asm__ volatile("" : "+r"(block) : : "memory");
    *(volatile size_t *)block = 1;
}

/* Write to each page of a block. */
static inline void
bench_touch_pages(void *block, size_t size)
{
    for (size_t at = 0; at < size; at += 4096)
        bench_touch((char *)block + at);
}

/* Overwrite what functions that have returned left on the stack: what they
 * dropped is to be found by the collector while this thread waits. */
void bench_scrub(void);

/* The pointer, or the end of the process if it is NULL. */
static inline void *
bench_need(void *pointer, const char *what)
{
    if (pointer == NULL)
        bench_fail(what);
    return pointer;
}

#endif
