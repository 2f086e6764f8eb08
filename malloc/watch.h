/*
 * watch.h: was it the collector's signal that ended a call, or the program's?
 *
 * The system does not take up some calls by itself after a handler ran, or
 * with a time that has grown meanwhile, or ends them with a part done.  If
 * that handler was the collector's, and no other, the program is not to see
 * it.  Deadlines are absolute, so that collections do not stretch them.
 */
#ifndef ARENA_MALLOC_WATCH_H
#define ARENA_MALLOC_WATCH_H

#include <errno.h>
#include <time.h>

#include "interposer.h"

/* --- Taking up again --- */

struct watch {
    uint32_t stops;
    unsigned handled;
};

static inline struct watch
watch_begin(void)
{
    return (struct watch){*arena_interpose_stops(), arenap_signals_handled};
}

/* A call failed with this error: was it the collector's doing alone? */
static inline bool
watch_again(struct watch *watch, int error)
{
    struct watch before = *watch;

    if (error != EINTR)
        return false;
    *watch = watch_begin();
    return watch->stops != before.stops && watch->handled == before.handled;
}

/* It ended early, without a failure: the same. */
static inline bool
watch_goes_on(struct watch *watch)
{
    return watch_again(watch, EINTR);
}

/* RESTARTED(type, call): the call, until it was not the collector. */
#define RESTARTED(type, call)                                                 \
    (__extension__({                                                          \
        struct watch watch_ = watch_begin();                                  \
        type result_;                                                         \
                                                                              \
        do                                                                    \
            result_ = (call);                                                 \
        while (result_ == -1 && watch_again(&watch_, errno));                 \
        result_;                                                              \
    }))

/* --- Time --- */

#define SECOND ((int64_t)1000000000)

static inline int64_t
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* Nanoseconds; as good as for ever, if there are too many of them. */
static inline int64_t
to_ns(const struct timespec *time)
{
    return time->tv_sec > INT64_MAX / 4 / SECOND
               ? INT64_MAX / 4
               : time->tv_sec * SECOND + time->tv_nsec;
}

static inline struct timespec
from_ns(int64_t ns)
{
    if (ns < 0)
        ns = 0;
    return (struct timespec){.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
}

static inline bool
is_time(const struct timespec *time)
{
    return time != NULL && time->tv_sec >= 0 && time->tv_nsec >= 0
           && time->tv_nsec < SECOND;
}

/* The same with a variable that points to a time, of which only what is left
 * is given the next time. */
#define RESTARTED_UNTIL(timeout, call)                                        \
    (__extension__({                                                          \
        struct watch watch_ = watch_begin();                                  \
        bool timed_ = is_time(timeout);                                       \
        int64_t until_ = timed_ ? now() + to_ns(timeout) : 0;                 \
        struct timespec left_;                                                \
        int result_;                                                          \
                                                                              \
        while ((result_ = (call)) == -1 && watch_again(&watch_, errno))       \
            if (timed_) {                                                     \
                left_ = from_ns(until_ - now());                              \
                (timeout) = &left_;                                           \
            }                                                                 \
        result_;                                                              \
    }))

#endif
