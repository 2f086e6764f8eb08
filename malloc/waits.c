/*
 * waits.c: calls that a signal interrupts; see interposer.h.
 *
 * The system does not take these up again by itself after a handler ran, or
 * with a time that has grown meanwhile.  If that handler was the collector's,
 * and no other, the program is not to see it.  Deadlines are absolute, so
 * that collections do not stretch them.
 */

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

#include "interposer.h"

/* --- Taking up again --- */

struct watch {
    uint32_t stops;
    unsigned handled;
};

static struct watch
watch_begin(void)
{
    return (struct watch){*arena_interpose_stops(), arenap_signals_handled};
}

/* A call failed with this error: was it the collector's doing alone? */
static bool
watch_again(struct watch *watch, int error)
{
    struct watch before = *watch;

    if (error != EINTR)
        return false;
    *watch = watch_begin();
    return watch->stops != before.stops && watch->handled == before.handled;
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

static int64_t
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* Nanoseconds; as good as for ever, if there are too many of them. */
static int64_t
to_ns(const struct timespec *time)
{
    return time->tv_sec > INT64_MAX / 4 / SECOND
               ? INT64_MAX / 4
               : time->tv_sec * SECOND + time->tv_nsec;
}

static struct timespec
from_ns(int64_t ns)
{
    if (ns < 0)
        ns = 0;
    return (struct timespec){.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
}

static bool
is_time(const struct timespec *time)
{
    return time != NULL && time->tv_sec >= 0 && time->tv_nsec >= 0
           && time->tv_nsec < SECOND;
}

/* Milliseconds up to a time, rounded up; -1: for ever. */
static int
left_ms(int timeout, int64_t until)
{
    int64_t left = until - now();

    if (timeout < 0)
        return timeout;
    return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
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

/* --- Sleeping --- */

/* An error number, as clock_nanosleep. */
static int
sleep_for(clockid_t clock, const struct timespec *wish, struct timespec *rest)
{
    struct watch watch = watch_begin();
    int64_t until = now() + to_ns(wish);
    struct timespec left = *wish;
    int error;

    while (watch_again(
        &watch, error = REAL(clock_nanosleep)(clock, 0, &left, rest)))
        left = from_ns(until - now());
    return error;
}

INTERPOSE int
clock_nanosleep(clockid_t clock, int flags, const struct timespec *wish,
                struct timespec *rest)
{
    struct watch watch = watch_begin();
    int error;

    if ((flags & TIMER_ABSTIME) == 0 && is_time(wish)
        && (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC))
        return sleep_for(clock, wish, rest);
    while (watch_again(
        &watch, error = REAL(clock_nanosleep)(clock, flags, wish, rest)))
        ;
    return error;
}

INTERPOSE int
nanosleep(const struct timespec *wish, struct timespec *rest)
{
    int error;

    if (!is_time(wish))
        return REAL(nanosleep)(wish, rest);
    error = sleep_for(CLOCK_REALTIME, wish, rest);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

INTERPOSE unsigned
sleep(unsigned seconds)
{
    struct timespec wish = {.tv_sec = seconds}, rest = {0};
    int saved = errno;

    if (sleep_for(CLOCK_REALTIME, &wish, &rest) == 0) {
        errno = saved;
        return 0;
    }
    errno = EINTR;
    return (unsigned)rest.tv_sec + (rest.tv_nsec >= SECOND / 2);
}

INTERPOSE int
usleep(useconds_t us)
{
    struct timespec wish = from_ns((int64_t)us * 1000);

    return nanosleep(&wish, NULL);
}

INTERPOSE int
pause(void)
{
    return RESTARTED(int, REAL(pause)());
}

/* --- Files --- */

INTERPOSE int
poll(struct pollfd *files, nfds_t count, int timeout)
{
    struct watch watch = watch_begin();
    int64_t until = now() + (int64_t)timeout * 1000000;
    int left = timeout, result;

    while ((result = REAL(poll)(files, count, left)) == -1
           && watch_again(&watch, errno))
        left = left_ms(timeout, until);
    return result;
}

INTERPOSE int
ppoll(struct pollfd *files, nfds_t count, const struct timespec *timeout,
      const sigset_t *mask)
{
    sigset_t copy;

    mask = arenap_signals_strip(mask, &copy);
    return RESTARTED_UNTIL(timeout,
                           REAL(ppoll)(files, count, timeout, mask));
}

/* What _FORTIFY_SOURCE calls; libc's own ends the program. */
int __poll_chk(struct pollfd *files, nfds_t count, int timeout, size_t room);
int __ppoll_chk(struct pollfd *files, nfds_t count,
                const struct timespec *timeout, const sigset_t *mask,
                size_t room);

INTERPOSE int
__poll_chk(struct pollfd *files, nfds_t count, int timeout, size_t room)
{
    if (room / sizeof *files < count)
        return REAL(__poll_chk)(files, count, timeout, room);
    return poll(files, count, timeout);
}

INTERPOSE int
__ppoll_chk(struct pollfd *files, nfds_t count,
            const struct timespec *timeout, const sigset_t *mask, size_t room)
{
    if (room / sizeof *files < count)
        return REAL(__ppoll_chk)(files, count, timeout, mask, room);
    return ppoll(files, count, timeout, mask);
}

/* The system takes what is left of the time off the timeout. */
INTERPOSE int
select(int count, fd_set *in, fd_set *out, fd_set *other,
       struct timeval *timeout)
{
    struct watch watch = watch_begin();
    int64_t until = timeout == NULL ? 0
                                    : now() + timeout->tv_sec * SECOND
                                          + timeout->tv_usec * 1000;
    int result;

    while ((result = REAL(select)(count, in, out, other, timeout)) == -1
           && watch_again(&watch, errno))
        if (timeout != NULL) {
            struct timespec left = from_ns(until - now());

            timeout->tv_sec = left.tv_sec;
            timeout->tv_usec = left.tv_nsec / 1000;
        }
    return result;
}

INTERPOSE int
pselect(int count, fd_set *in, fd_set *out, fd_set *other,
        const struct timespec *timeout, const sigset_t *mask)
{
    sigset_t copy;

    mask = arenap_signals_strip(mask, &copy);
    return RESTARTED_UNTIL(
        timeout, REAL(pselect)(count, in, out, other, timeout, mask));
}

INTERPOSE int
epoll_pwait(int file, struct epoll_event *events, int count, int timeout,
            const sigset_t *mask)
{
    struct watch watch = watch_begin();
    int64_t until = now() + (int64_t)timeout * 1000000;
    int left = timeout, result;
    sigset_t copy;

    mask = arenap_signals_strip(mask, &copy);
    while ((result = REAL(epoll_pwait)(file, events, count, left, mask)) == -1
           && watch_again(&watch, errno))
        left = left_ms(timeout, until);
    return result;
}

INTERPOSE int
epoll_wait(int file, struct epoll_event *events, int count, int timeout)
{
    return epoll_pwait(file, events, count, timeout, NULL);
}

INTERPOSE int
epoll_pwait2(int file, struct epoll_event *events, int count,
             const struct timespec *timeout, const sigset_t *mask)
{
    sigset_t copy;

    mask = arenap_signals_strip(mask, &copy);
    return RESTARTED_UNTIL(
        timeout, REAL(epoll_pwait2)(file, events, count, timeout, mask));
}

/* --- Signals --- */

INTERPOSE int
sigsuspend(const sigset_t *set)
{
    sigset_t copy;

    set = arenap_signals_strip(set, &copy);
    return RESTARTED(int, REAL(sigsuspend)(set));
}

INTERPOSE int
sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
    sigset_t copy;

    set = arenap_signals_strip(set, &copy);
    return RESTARTED(int, REAL(sigwaitinfo)(set, info));
}

INTERPOSE int
sigtimedwait(const sigset_t *set, siginfo_t *info,
             const struct timespec *timeout)
{
    sigset_t copy;

    set = arenap_signals_strip(set, &copy);
    return RESTARTED_UNTIL(timeout,
                           REAL(sigtimedwait)(set, info, timeout));
}

/* --- Semaphores and messages --- */

INTERPOSE int
sem_wait(sem_t *sem)
{
    return RESTARTED(int, REAL(sem_wait)(sem));
}

INTERPOSE int
sem_timedwait(sem_t *sem, const struct timespec *until)
{
    return RESTARTED(int, REAL(sem_timedwait)(sem, until));
}

INTERPOSE int
sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    return RESTARTED(int, REAL(sem_clockwait)(sem, clock, until));
}

INTERPOSE int
semop(int id, struct sembuf *operations, size_t count)
{
    return RESTARTED(int, REAL(semop)(id, operations, count));
}

INTERPOSE int
msgsnd(int id, const void *message, size_t size, int flags)
{
    return RESTARTED(int, REAL(msgsnd)(id, message, size, flags));
}

INTERPOSE ssize_t
msgrcv(int id, void *message, size_t size, long type, int flags)
{
    return RESTARTED(ssize_t, REAL(msgrcv)(id, message, size, type, flags));
}
