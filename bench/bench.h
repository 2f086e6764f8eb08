/*
 * bench.h - the benchmark driver.
 *
 * A case is one kind of work; its implementations do that work, ours and the
 * peers'.  The driver runs them in interleaved rounds of about equal length
 * and compares each with the best peer of its group.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>

#define BENCH_COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum bench_role {
    BENCH_OURS,
    BENCH_PEER,
    BENCH_REFERENCE /* shown beside the others; not counted as a peer */
};

/* One way to do the work.  Only implementations of one group, named by the
 * same text, do the same work and are compared. */
struct bench_impl {
    const char *name;
    const char *group;
    enum bench_role role;
    size_t operations;   /* that one loop does, in one thread */
    void (*begin)(void); /* once, before all rounds; or NULL; may call
                            bench_absent */
    void (*run)(size_t loops);
    void (*end)(void); /* once, after all rounds; or NULL */
};

struct bench_case {
    const char *name;
    const char *title;
    size_t weight; /* a round is this many times as long as usual */
    const struct bench_impl *impls;
    size_t count;
};

extern const struct bench_case case_confined;
extern const struct bench_case case_open_close;
extern const struct bench_case case_shared;
extern const struct bench_case case_auto;
extern const struct bench_case case_buffer;
extern const struct bench_case case_phantom;
extern const struct bench_case case_segment;
extern const struct bench_case case_serialize;

/* Print what could not be done and end the program. */
_Noreturn void bench_fail(const char *what);

/* The implementation that begins cannot be measured here, and why. */
void bench_absent(const char *why);

/* Use a block as a program would: write its first word.  The compiler must
 * assume that everything at the pointer is read and written. */
static inline void
bench_touch(void *block)
{
    __asm__ volatile("" : "+r"(block) : : "memory");
    *(volatile size_t *)block = 1;
}

/* The pointer, or the end of the program if it is NULL. */
static inline void *
bench_need(void *pointer, const char *what)
{
    if (pointer == NULL)
        bench_fail(what);
    return pointer;
}

#endif
