/*
 * waits.c: calls that only wait, and that any signal ends; see interposer.h
 * and watch.h.  These are the ones that signal(7) names as never restarted,
 * and a few that it does not.
 */

#include "config.h"

#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "interposer.h"
#include "watch.h"

/* --- Time --- */

/* Milliseconds up to a time, rounded up; -1: for ever. */
static int
left_ms(int timeout, int64_t until)
{
    int64_t left = until - now();

    if (timeout < 0)
        return timeout;
    return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

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

/* Not the errno of its own: 0, -1 for a signal, or another number. */
INTERPOSE int
thrd_sleep(const struct timespec *wish, struct timespec *rest)
{
    int error = is_time(wish) ? sleep_for(CLOCK_REALTIME, wish, rest)
                              : EINVAL;

    return error == 0 ? 0 : error == EINTR ? -1 : -2;
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
    struct timespec wish = {0};
    int64_t until;
    int result;

    if (timeout != NULL)
        wish = (struct timespec){timeout->tv_sec, timeout->tv_usec * 1000};
    until = now() + to_ns(&wish);
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

    siginfo_t own;
    int number;

    set = arenap_signals_strip(set, &copy);
    info = info != NULL ? info : &own;
    number = RESTARTED(int, REAL(sigwaitinfo)(set, info));
    if (number > 0)
        arenap_kernel_signalled(info);
    return number;
}

INTERPOSE int
sigtimedwait(const sigset_t *set, siginfo_t *info,
             const struct timespec *timeout)
{
    sigset_t copy;

    siginfo_t own;
    int number;

    set = arenap_signals_strip(set, &copy);
    info = info != NULL ? info : &own;
    number = RESTARTED_UNTIL(timeout,
                             REAL(sigtimedwait)(set, info, timeout));
    if (number > 0)
        arenap_kernel_signalled(info);
    return number;
}

/* As libc's, which takes no notice of a handler; by way of what says who sent
 * the signal. */
INTERPOSE int
sigwait(const sigset_t *set, int *number)
{
    int got;

    while ((got = sigwaitinfo(set, NULL)) == -1 && errno == EINTR)
        ;
    if (got == -1)
        return errno;
    *number = got;
    return 0;
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
semtimedop(int id, struct sembuf *operations, size_t count,
           const struct timespec *timeout)
{
    return RESTARTED_UNTIL(timeout, REAL(semtimedop)(id, operations, count,
                                                     timeout));
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

/* --- Files that take their time --- */

INTERPOSE int
aio_suspend(const struct aiocb *const list[], int count,
            const struct timespec *timeout)
{
    return RESTARTED_UNTIL(timeout, REAL(aio_suspend)(list, count, timeout));
}

INTERPOSE int
fallocate(int file, int mode, off_t offset, off_t length)
{
    return RESTARTED(int, REAL(fallocate)(file, mode, offset, length));
}

INTERPOSE int
posix_fallocate(int file, off_t offset, off_t length)
{
    struct watch watch = watch_begin();
    int error;

    while (watch_again(&watch,
                       error = REAL(posix_fallocate)(file, offset, length)))
        ;
    return error;
}

/* Other names of the same, where numbers of files have 64 bits. */
int fallocate64(int file, int mode, off_t offset, off_t length);
int posix_fallocate64(int file, off_t offset, off_t length);

INTERPOSE int
fallocate64(int file, int mode, off_t offset, off_t length)
{
    return fallocate(file, mode, offset, length);
}

INTERPOSE int
posix_fallocate64(int file, off_t offset, off_t length)
{
    return posix_fallocate(file, offset, length);
}

/* Of libaio, which returns an error number turned around. */
struct io_context;
struct io_event;
int io_getevents(struct io_context *context, long least, long most,
                 struct io_event *events, struct timespec *timeout);

INTERPOSE int
io_getevents(struct io_context *context, long least, long most,
             struct io_event *events, struct timespec *timeout)
{
    __typeof__(&io_getevents) real = REAL(io_getevents);
    struct watch watch = watch_begin();
    bool timed = is_time(timeout);
    int64_t until = timed ? now() + to_ns(timeout) : 0;
    struct timespec left;
    int result;

    if (real == NULL)
        return -ENOSYS;
    while ((result = real(context, least, most, events, timeout)) < 0
           && watch_again(&watch, -result))
        if (timed) {
            left = from_ns(until - now());
            timeout = &left;
        }
    return result;
}
