/*
 * transfers.c: reading and writing, by way of sockets above all; see
 * interposer.h and watch.h.
 *
 * The system takes these up again after a handler, but for two cases.  A
 * socket that has a timeout (SO_RCVTIMEO, SO_SNDTIMEO) fails with EINTR.  And
 * a call that has transferred a part returns that: who writes much to a pipe
 * counts on its being written, as long as no signal comes that he knows of.
 */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "interposer.h"
#include "watch.h"

static bool
is_watched(void)
{
    return LIKELY(arenap_mode_now() == MODE_COLLECT);
}

/* --- Sockets with a timeout --- */

enum direction { INWARD = SO_RCVTIMEO, OUTWARD = SO_SNDTIMEO };

struct transfer {
    struct watch watch;
    int64_t begin;
    int file;
    enum direction direction;
    int late; /* the errno of its timeout */
};

/* To a few ms, which is less than a scheduler's. */
static int64_t
coarse_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static struct transfer
transfer_begin(int file, enum direction direction)
{
    return (struct transfer){watch_begin(), coarse_now(), file, direction,
                             EAGAIN};
}

/* Nanoseconds; 0: none, or no socket. */
static int64_t
timeout_of(int file, enum direction direction)
{
    struct timeval time = {0, 0};
    socklen_t size = sizeof time;

    if (getsockopt(file, SOL_SOCKET, (int)direction, &time, &size) != 0)
        return 0;
    return time.tv_sec * SECOND + time.tv_usec * 1000;
}

/* A call failed: is it to be made again?  If so, only when it will find
 * something, since it would begin to count from there. */
static bool
transfer_again(struct transfer *transfer)
{
    struct pollfd file = {.fd = transfer->file,
                          .events = transfer->direction == INWARD ? POLLIN
                                                                  : POLLOUT};
    int64_t timeout, left;
    int ready;

    if (errno != EINTR || !watch_again(&transfer->watch, EINTR))
        return false;
    timeout = timeout_of(transfer->file, transfer->direction);
    if (timeout == 0)
        return true;
    left = (transfer->begin + timeout - now() + 999999) / 1000000;
    ready = left <= 0 ? 0
                      : poll(&file, 1, left > INT_MAX ? INT_MAX : (int)left);
    if (ready == 0)
        errno = transfer->late;
    return ready > 0;
}

/* TRANSFERRED(type, file, direction, call) */
#define TRANSFERRED(type, file, direction, call)                              \
    (__extension__({                                                          \
        type done_;                                                           \
                                                                              \
        if (!is_watched()) {                                                  \
            done_ = (call);                                                   \
        } else {                                                              \
            struct transfer transfer_ = transfer_begin(file, direction);      \
                                                                              \
            do                                                                \
                done_ = (call);                                               \
            while (done_ == -1 && transfer_again(&transfer_));                \
        }                                                                     \
        done_;                                                                \
    }))

/* The same of so many bytes, of which the call transfers those that are left
 * from done_ on: made again while the collector alone has cut it short.  The
 * rest of a file that does not block will fail, and is left to the program. */
#define TRANSFERRED_ALL(file, direction, size, call)                          \
    (__extension__({                                                          \
        ssize_t done_ = 0, part_;                                             \
        struct transfer transfer_;                                            \
        int saved_ = errno;                                                   \
        bool watched_ = is_watched();                                         \
                                                                              \
        if (watched_)                                                         \
            transfer_ = transfer_begin(file, direction);                      \
        do {                                                                  \
            do                                                                \
                part_ = (call);                                               \
            while (part_ == -1 && watched_ && transfer_again(&transfer_));    \
            if (part_ > 0)                                                    \
                done_ += part_;                                               \
        } while (watched_ && part_ > 0 && (size_t)done_ < (size)              \
                 && watch_goes_on(&transfer_.watch));                         \
        if (part_ == -1 && done_ != 0)                                        \
            errno = saved_;                                                   \
        done_ != 0 ? done_ : part_;                                           \
    }))

/* --- Plain bytes --- */

INTERPOSE ssize_t
read(int file, void *bytes, size_t size)
{
    ssize_t done =
        TRANSFERRED(ssize_t, file, INWARD, REAL(read)(file, bytes, size));

    arenap_kernel_read(file, bytes, done);
    return done;
}

INTERPOSE ssize_t
readv(int file, const struct iovec *parts, int count)
{
    return TRANSFERRED(ssize_t, file, INWARD,
                       REAL(readv)(file, parts, count));
}

INTERPOSE ssize_t
write(int file, const void *bytes, size_t size)
{
    return TRANSFERRED_ALL(file, OUTWARD, size,
                           REAL(write)(file, (const char *)bytes + done_,
                                       size - (size_t)done_));
}

INTERPOSE ssize_t
recv(int file, void *bytes, size_t size, int flags)
{
    /* One that only peeks would begin at the same bytes again. */
    if ((flags & (MSG_WAITALL | MSG_PEEK)) != MSG_WAITALL)
        return TRANSFERRED(ssize_t, file, INWARD,
                           REAL(recv)(file, bytes, size, flags));
    return TRANSFERRED_ALL(file, INWARD, size,
                           REAL(recv)(file, (char *)bytes + done_,
                                      size - (size_t)done_, flags));
}

INTERPOSE ssize_t
send(int file, const void *bytes, size_t size, int flags)
{
    return TRANSFERRED_ALL(file, OUTWARD, size,
                           REAL(send)(file, (const char *)bytes + done_,
                                      size - (size_t)done_, flags));
}

INTERPOSE ssize_t
recvfrom(int file, void *bytes, size_t size, int flags,
         __SOCKADDR_ARG address, socklen_t *length)
{
    return TRANSFERRED(
        ssize_t, file, INWARD,
        REAL(recvfrom)(file, bytes, size, flags, address, length));
}

INTERPOSE ssize_t
sendto(int file, const void *bytes, size_t size, int flags,
       __CONST_SOCKADDR_ARG address, socklen_t length)
{
    return TRANSFERRED_ALL(file, OUTWARD, size,
                           REAL(sendto)(file, (const char *)bytes + done_,
                                        size - (size_t)done_, flags, address,
                                        length));
}

INTERPOSE ssize_t
getrandom(void *bytes, size_t size, unsigned flags)
{
    return TRANSFERRED_ALL(-1, INWARD, size,
                           REAL(getrandom)((char *)bytes + done_,
                                           size - (size_t)done_, flags));
}

/* What _FORTIFY_SOURCE calls; libc's own ends the program. */
ssize_t __read_chk(int file, void *bytes, size_t size, size_t room);
ssize_t __recv_chk(int file, void *bytes, size_t size, size_t room,
                   int flags);
ssize_t __recvfrom_chk(int file, void *bytes, size_t size, size_t room,
                       int flags, __SOCKADDR_ARG address, socklen_t *length);

INTERPOSE ssize_t
__read_chk(int file, void *bytes, size_t size, size_t room)
{
    if (room < size)
        return REAL(__read_chk)(file, bytes, size, room);
    return read(file, bytes, size);
}

INTERPOSE ssize_t
__recv_chk(int file, void *bytes, size_t size, size_t room, int flags)
{
    if (room < size)
        return REAL(__recv_chk)(file, bytes, size, room, flags);
    return recv(file, bytes, size, flags);
}

INTERPOSE ssize_t
__recvfrom_chk(int file, void *bytes, size_t size, size_t room, int flags,
               __SOCKADDR_ARG address, socklen_t *length)
{
    if (room < size)
        return REAL(__recvfrom_chk)(file, bytes, size, room, flags, address,
                                    length);
    return recvfrom(file, bytes, size, flags, address, length);
}

/* --- In parts --- */

static size_t
parts_size(const struct iovec *parts, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

/* Copy what is left of some parts after so many bytes; how many there are. */
static size_t
parts_rest(struct iovec *rest, const struct iovec *parts, size_t count,
           size_t done)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        if (done >= parts[i].iov_len) {
            done -= parts[i].iov_len;
            continue;
        }
        rest[left].iov_base = (char *)parts[i].iov_base + done;
        rest[left++].iov_len = parts[i].iov_len - done;
        done = 0;
    }
    return left;
}

/* Without what goes before the bytes, which is there already. */
__attribute__((noinline)) static ssize_t
send_rest(int file, const struct msghdr *message, int flags, size_t done)
{
    struct iovec parts[IOV_MAX];
    struct msghdr rest = {.msg_name = message->msg_name,
                          .msg_namelen = message->msg_namelen,
                          .msg_iov = parts};

    rest.msg_iovlen =
        parts_rest(parts, message->msg_iov, message->msg_iovlen, done);
    return REAL(sendmsg)(file, &rest, flags);
}

__attribute__((noinline)) static ssize_t
write_rest(int file, const struct iovec *parts, int count, size_t done)
{
    struct iovec rest[IOV_MAX];
    size_t left = parts_rest(rest, parts, (size_t)count, done);

    return REAL(writev)(file, rest, (int)left);
}

INTERPOSE ssize_t
writev(int file, const struct iovec *parts, int count)
{
    if (count <= 0 || count > IOV_MAX)
        return REAL(writev)(file, parts, count);
    return TRANSFERRED_ALL(
        file, OUTWARD, parts_size(parts, (size_t)count),
        done_ == 0 ? REAL(writev)(file, parts, count)
                   : write_rest(file, parts, count, (size_t)done_));
}

INTERPOSE ssize_t
sendmsg(int file, const struct msghdr *message, int flags)
{
    if (message == NULL || message->msg_iovlen > IOV_MAX)
        return REAL(sendmsg)(file, message, flags);
    return TRANSFERRED_ALL(
        file, OUTWARD, parts_size(message->msg_iov, message->msg_iovlen),
        done_ == 0 ? REAL(sendmsg)(file, message, flags)
                   : send_rest(file, message, flags, (size_t)done_));
}

INTERPOSE ssize_t
recvmsg(int file, struct msghdr *message, int flags)
{
    return TRANSFERRED(ssize_t, file, INWARD,
                       REAL(recvmsg)(file, message, flags));
}

INTERPOSE int
sendmmsg(int file, struct mmsghdr *messages, unsigned count, int flags)
{
    return TRANSFERRED(int, file, OUTWARD,
                       REAL(sendmmsg)(file, messages, count, flags));
}

INTERPOSE int
recvmmsg(int file, struct mmsghdr *messages, unsigned count, int flags,
         struct timespec *timeout)
{
    return TRANSFERRED(
        int, file, INWARD,
        REAL(recvmmsg)(file, messages, count, flags, timeout));
}

/* --- Connections --- */

INTERPOSE int
accept(int file, __SOCKADDR_ARG address, socklen_t *length)
{
    return TRANSFERRED(int, file, INWARD,
                       REAL(accept)(file, address, length));
}

INTERPOSE int
accept4(int file, __SOCKADDR_ARG address, socklen_t *length, int flags)
{
    return TRANSFERRED(int, file, INWARD,
                       REAL(accept4)(file, address, length, flags));
}

/* Made again it waits for the connection that was begun. */
INTERPOSE int
connect(int file, __CONST_SOCKADDR_ARG address, socklen_t length)
{
    struct transfer transfer;
    int result;

    if (!is_watched())
        return REAL(connect)(file, address, length);
    transfer = transfer_begin(file, OUTWARD);
    if (address.__sockaddr__ != NULL
        && address.__sockaddr__->sa_family != AF_UNIX)
        transfer.late = EINPROGRESS;
    do
        result = REAL(connect)(file, address, length);
    while (result == -1 && transfer_again(&transfer));
    return result;
}
