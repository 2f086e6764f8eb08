/*
 * harness.h - what the test programs share: checks of results and of the
 * budget's counters, threads, time, and memory patterns.
 *
 * Assertions belong on the thread that runs the test.  Other threads record
 * what they saw (struct answer, or a structure of the test's own), and the
 * test looks at it after they were joined.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <arena.h>
#include <arena/budget.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* Of functions in headers of the tests. */
#define HARNESS static __attribute__((unused))

/* How many elements an array has. */
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Do resident sizes and mappings say something in this build? */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HARNESS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HARNESS_SANITIZED 1
#endif
#endif
#ifndef HARNESS_SANITIZED
#define HARNESS_SANITIZED 0
#endif

/* --- Results ----------------------------------------------------------- */

/* An errno that no call sets, to see whether one was left alone. */
#define ERRNO_UNTOUCHED 9999

/* Has a call failed, by its result: -1, NULL? */
#define HAS_FAILED(result)                                                    \
    _Generic((result), int : int_failed, default : pointer_failed)(result)

bool int_failed(int result);
bool pointer_failed(const volatile void *result);

/* What is wrong with a failure; NULL if it is the one that was expected. */
const char *failure_fault(bool failed, int got, int error,
                          const char *got_text, const char *part);

/* The call fails with this errno, and arena_error() is a sentence that
 * contains part ("" for any sentence). */
#define expect_fail(expr, error, part)                                        \
    do {                                                                      \
        errno = 0;                                                            \
        __auto_type result_ = (expr);                                         \
        int errno_ = errno;                                                   \
        const char *fault_ =                                                  \
            failure_fault(HAS_FAILED(result_), errno_, (error),               \
                          arena_error(), (part));                             \
        ck_assert_msg(fault_ == NULL, "%s: %s", #expr, fault_);               \
    } while (0)

/* The call succeeds and leaves errno alone. */
#define expect_ok(expr)                                                       \
    do {                                                                      \
        errno = ERRNO_UNTOUCHED;                                              \
        __auto_type result_ = (expr);                                         \
        int errno_ = errno;                                                   \
        ck_assert_msg(!HAS_FAILED(result_), "%s: errno %d, %s", #expr,        \
                      errno_, arena_error());                                 \
        ck_assert_msg(errno_ == ERRNO_UNTOUCHED, "%s: set errno to %d",       \
                      #expr, errno_);                                         \
    } while (0)

/* How many times longer than the contract says a thing may take: a processor
 * that others use too is no fault of the library's.  ARENA_TEST_PATIENCE; by
 * default 16.  Check's time limits of tests are as many times longer, unless
 * CK_TIMEOUT_MULTIPLIER says otherwise.  With 1 the contract is tested to the
 * letter. */
unsigned test_patience(void);

/* What a call answered on another thread. */
struct answer {
    bool failed;
    int error;          /* errno after the call, 0 before */
    char sentence[256]; /* arena_error() after the call */
};

/* Make a call and record its answer. */
#define record_answer(answer, expr)                                           \
    do {                                                                      \
        errno = 0;                                                            \
        __auto_type result_ = (expr);                                         \
        int errno_ = errno;                                                   \
        answer_set((answer), HAS_FAILED(result_), errno_);                    \
    } while (0)

void answer_set(struct answer *answer, bool failed, int error);

/* As expect_fail and expect_ok, of an answer. */
#define expect_answer(answered, expected, part)                               \
    do {                                                                      \
        const struct answer *answer_ = (answered);                            \
        const char *fault_ =                                                  \
            failure_fault(answer_->failed, answer_->error, (expected),        \
                          answer_->sentence, (part));                         \
        ck_assert_msg(fault_ == NULL, "%s: %s", #answered, fault_);           \
    } while (0)

#define expect_success(answered)                                              \
    do {                                                                      \
        const struct answer *answer_ = (answered);                            \
        ck_assert_msg(!answer_->failed && answer_->error == 0,                \
                      "%s: errno %d, %s", #answered, answer_->error,          \
                      answer_->sentence);                                     \
    } while (0)

/* --- The budget's counters --------------------------------------------- */

/* A snapshot of them. */
arena_usage_t usage_now(void);

/* How the counters of what is held differ from an earlier snapshot: a text,
 * good until the next call; NULL if they do not. */
const char *usage_difference(const arena_usage_t *before);

/* What is held (all counters of limit, reserved, requested and count; not
 * caches and statistics) is as in an earlier snapshot. */
#define expect_usage(before)                                                  \
    do {                                                                      \
        const char *difference_ = usage_difference(&(before));                \
        ck_assert_msg(difference_ == NULL, "usage changed: %s",               \
                      difference_);                                           \
    } while (0)

/* The pool of confined, shared arenas ... in a snapshot. */
#define POOL(usage, kind_of) ((usage).kind[kind_of])

/* --- Threads ----------------------------------------------------------- */

/* Run a function on a thread of its own and wait for its end. */
void *run_in_thread(void *(*function)(void *), void *arg);

/* Make a call about an arena on a thread of its own. */
struct answer ask_in_thread(int (*call)(arena_t *), arena_t *arena);

/* Start a thread; ends the test if that cannot be done. */
pthread_t start_thread(void *(*function)(void *), void *arg);

/* Wait for the end of a thread. */
void *join_thread(pthread_t thread);

/* A barrier for a number of threads. */
void barrier_init(pthread_barrier_t *barrier, size_t threads);

/* Wait until all threads of the barrier are here. */
void barrier_wait(pthread_barrier_t *barrier);

/* Run a function on so many threads at once, each with its index, and wait
 * for their end. */
void run_team(size_t threads, void (*function)(void *state, size_t index),
              void *state);

/* Rounds that a pool of threads goes through together. */
struct race {
    size_t threads;
    size_t rounds;
    void (*prepare)(void *state, size_t round); /* alone, on the caller */
    void (*body)(void *state, size_t index);    /* by all threads at once */
    void (*verify)(void *state, size_t round);  /* alone, on the caller */
    void *state;
};

/* Run them. */
void run_race(const struct race *race);

/* Pass about so many nanoseconds without sleeping. */
void spin_ns(uint64_t nanoseconds);

/* --- Time -------------------------------------------------------------- */

#define MS_NS ((uint64_t)1000000) /* nanoseconds in a millisecond */

/* The monotonic clock in nanoseconds. */
uint64_t clock_ns(void);

/* Sleep, however often a signal interrupts it. */
void sleep_ms(unsigned milliseconds);

/* --- Memory ------------------------------------------------------------ */

/* Overwrite the dead part of this thread's stack. */
void scrub(void);

/* Scrub, then arena_collect. */
void collect_scrubbed(void);

/* Open an arena that may hold so many bytes, 0 for any number; within a
 * parent, if that is not NULL. */
arena_t *open_limited_within(arena_kind_t kind, size_t limit,
                             arena_t *parent);

/* A value that the compiler cannot know. */
size_t opaque_size(size_t value);

/* The next number of a random sequence; *state starts it, not 0. */
uint64_t random_next(uint64_t *state);

/* A random number below limit, which is not 0. */
size_t random_below(uint64_t *state, size_t limit);

/* Fill a block with bytes that follow from seed. */
void fill_block(void *block, size_t size, uint64_t seed);

/* Does the block hold just those bytes? */
bool block_holds(const void *block, size_t size, uint64_t seed);

/* Is every byte of it zero? */
bool block_is_zero(const void *block, size_t size);

/* Is it aligned to align, a power of two? */
bool is_aligned(const void *block, size_t align);

/* Where a block lies.  Of size 0: it has an address of its own. */
struct extent {
    const char *start;
    size_t size;
};

/* Does no extent overlap another?  Sorts them. */
bool extents_disjoint(struct extent *extents, size_t count);

/* Bytes of this process that are resident. */
size_t resident_now(void);

/* --- Programs ---------------------------------------------------------- */

/* Run a suite as the environment asks for; returns main's result. */
int run_suite(Suite *suite);

#endif
