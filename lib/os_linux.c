/* os_linux.c: os.h on Linux. */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "os.h"

/* --- Memory --- */

#define META_FIRST ((size_t)1 << 20)
#define META_LAST ((size_t)1 << 26)
#define META_SEGMENTS 1024

/* Segments are appended, never removed: readers take no lock. */
static struct {
    pthread_mutex_t lock;
    char *bump, *end;
    size_t next_size;
    _Atomic size_t count;
    struct {
        uintptr_t lo, hi;
    } segment[META_SEGMENTS];
} meta = {.lock = PTHREAD_MUTEX_INITIALIZER, .next_size = META_FIRST};

void *
arenap_os_map(size_t size)
{
    int saved = errno;
    void *address = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    errno = saved;
    return address == MAP_FAILED ? NULL : address;
}

void *
arenap_os_map_room(size_t size)
{
    int saved = errno;
    char *address = mmap(NULL, size, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (address != MAP_FAILED
        && mprotect(address, (size_t)sysconf(_SC_PAGESIZE),
                    PROT_READ | PROT_WRITE)
               != 0) {
        munmap(address, size);
        address = MAP_FAILED;
    }
    errno = saved;
    return address == MAP_FAILED ? NULL : address;
}

void
arenap_os_unmap(void *address, size_t size)
{
    int saved = errno;

    munmap(address, size);
    errno = saved;
}

bool
arenap_os_guard(void *address, size_t size)
{
    int saved = errno;
    bool done = mprotect(address, size, PROT_NONE) == 0;

    errno = saved;
    return done;
}

#define SCRUB_BYTES 8192

/* A stopped thread's vector registers are on its stack, in the frame of the
 * signal; and a new thread begins with those of its maker.  The compiler
 * knows of no value in them across a call. */
#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void
scrub_vectors_512(void)
{
    __asm__ volatile("vzeroall\n\t"
                     ".irp r,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"
                     "\n\tvpxord %zmm\\r,%zmm\\r,%zmm\\r\n\t"
                     ".endr");
}

__attribute__((target("avx"))) static void
scrub_vectors_256(void)
{
    __asm__ volatile("vzeroall");
}

static void
scrub_vectors(void)
{
    if (__builtin_cpu_supports("avx512f"))
        scrub_vectors_512();
    else if (__builtin_cpu_supports("avx"))
        scrub_vectors_256();
}
#else
static void
scrub_vectors(void)
{
}
#endif

ARENA_NOINLINE void
arenap_os_scrub(void)
{
    char below[SCRUB_BYTES];

    memset(below, 0, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
    scrub_vectors();
}

bool
arenap_os_readable(const void *address)
{
    int saved = errno;
    bool fault;

    /* The mask is read before the call finds that -1 is no way to set it. */
    fault = syscall(SYS_rt_sigprocmask, -1, address, NULL, 8) == -1
            && errno == EFAULT;
    errno = saved;
    return !fault;
}

/* The same page by page, where the system does not copy. */
static bool
copy_asking(char *to, const char *from, size_t n)
{
    const uintptr_t word = sizeof(uint64_t), page = ARENA_PAGE;

    for (size_t step; n != 0; to += step, from += step, n -= step) {
        size_t left_from = page - (uintptr_t)from % page;
        size_t left_to = page - (uintptr_t)to % page;

        step = left_from < left_to ? left_from : left_to;
        step = step < n ? step : n;
        if (!arenap_os_readable((void *)((uintptr_t)from & ~(word - 1)))
            || !arenap_os_readable((void *)((uintptr_t)to & ~(word - 1))))
            return false;
        memcpy(to, from, step);
    }
    return true;
}

/* The system takes whichever side it is told is another process's for one
 * that may not be there; this process's own side is copied as by read(2) and
 * write(2), which find out, too. */
bool
arenap_os_copy(void *to, const void *from, size_t n)
{
    char *at = to;
    const char *source = from;
    int saved = errno;
    bool done = true;

    while (n != 0 && done) {
        struct iovec ours = {at, n};
        struct iovec theirs = {(void *)(uintptr_t)source, n};
        ssize_t moved = process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0);

        if (moved > 0) {
            at += moved;
            source += moved;
            n -= (size_t)moved;
        } else if (moved < 0 && (errno == EPERM || errno == ENOSYS)) {
            done = copy_asking(at, source, n);
            n = 0;
        } else {
            done = false;
        }
    }
    errno = saved;
    return done;
}

static _Atomic int malloc_known; /* 0: not yet, 1: it is, 2: it is not */

void
arenap_os_malloc_is_bypassed(void)
{
    atomic_store(&malloc_known, 1);
}

bool
arenap_os_malloc_is_libc(void)
{
    void *function, *other;
    Dl_info of_malloc, of_libc;

    if (atomic_load_explicit(&malloc_known, memory_order_relaxed) == 0) {
        function = dlsym(RTLD_DEFAULT, "malloc");
        other = dlsym(RTLD_DEFAULT, "getenv");
        atomic_store(&malloc_known,
                     dladdr(function, &of_malloc) != 0
                             && dladdr(other, &of_libc) != 0
                             && of_malloc.dli_fbase == of_libc.dli_fbase
                         ? 1
                         : 2);
    }
    return atomic_load_explicit(&malloc_known, memory_order_relaxed) == 1;
}

size_t
arenap_os_usable(void *block)
{
    return malloc_usable_size(block);
}

/* The whole pages of a block, from *lo to *hi.  False: there are none, or the
 * system keeps them as they are: those that are locked. */
static bool
discard(void *block, size_t size, char **lo, char **hi)
{
    int saved = errno;
    bool done;

    *lo = (char *)arenap_round_up((uintptr_t)block, ARENA_PAGE);
    *hi = (char *)(((uintptr_t)block + size) & ~(ARENA_PAGE - 1));
    done = *hi > *lo && madvise(*lo, (size_t)(*hi - *lo), MADV_DONTNEED) == 0;
    errno = saved;
    return done;
}

void
arenap_os_discard(void *block, size_t size)
{
    char *lo, *hi;

    (void)discard(block, size, &lo, &hi);
}

void
arenap_os_clear(void *block, size_t size)
{
    char *lo, *hi;

    if (!discard(block, size, &lo, &hi))
        lo = hi = (char *)block + size;
    memset(block, 0, (size_t)(lo - (char *)block));
    memset(hi, 0, (size_t)((char *)block + size - hi));
}

void
arenap_os_trim(void)
{
    malloc_trim(0);
}

static bool
meta_grow(size_t size)
{
    size_t count = atomic_load_explicit(&meta.count, memory_order_relaxed);
    size_t bytes = size > meta.next_size ? arenap_round_up(size, META_FIRST)
                                         : meta.next_size;
    char *lo;

    if (count == META_SEGMENTS || (lo = arenap_os_map(bytes)) == NULL)
        return false;
    meta.segment[count].lo = (uintptr_t)lo;
    meta.segment[count].hi = (uintptr_t)lo + bytes;
    atomic_store_explicit(&meta.count, count + 1, memory_order_release);
    meta.bump = lo;
    meta.end = lo + bytes;
    if (meta.next_size < META_LAST)
        meta.next_size *= 2;
    return true;
}

void *
arenap_os_meta(size_t size)
{
    void *block = NULL;

    size = arenap_round_up(size, 64);
    pthread_mutex_lock(&meta.lock);
    if (size <= (size_t)(meta.end - meta.bump) || meta_grow(size)) {
        block = meta.bump;
        meta.bump += size;
    }
    pthread_mutex_unlock(&meta.lock);
    return block;
}

void
arenap_os_meta_each(void (*visit)(uintptr_t lo, uintptr_t hi, void *),
                    void *context)
{
    size_t count = atomic_load_explicit(&meta.count, memory_order_acquire);

    for (size_t i = 0; i < count; i++)
        visit(meta.segment[i].lo, meta.segment[i].hi, context);
}

/* --- Time --- */

static uint64_t
clock_read(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t
arenap_os_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

uint64_t
arenap_os_coarse(void)
{
    return clock_read(CLOCK_MONOTONIC_COARSE);
}

/* --- Waiting --- */

bool
arenap_os_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline)
{
    struct timespec until, *timeout = NULL;
    int saved = errno;
    bool in_time = true;

    if (deadline != ARENA_OS_NEVER) {
        until.tv_sec = (time_t)(deadline / 1000000000u);
        until.tv_nsec = (long)(deadline % 1000000000u);
        timeout = &until;
    }
    /* The bitset form takes an absolute time of the monotonic clock, so that
     * a signal does not stretch the wait. */
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, timeout,
                NULL, FUTEX_BITSET_MATCH_ANY)
            == -1
        && errno == ETIMEDOUT)
        in_time = false;
    errno = saved;
    return in_time;
}

void
arenap_os_wake(_Atomic uint32_t *word, int how_many)
{
    int saved = errno;

    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, how_many, NULL, NULL, 0);
    errno = saved;
}

void
arenap_os_sleep(uint64_t nanoseconds)
{
    static _Atomic uint32_t never;
    uint64_t deadline = arenap_os_now() + nanoseconds;

    while (arenap_os_wait(&never, 0, deadline))
        ;
}

/* --- Barriers --- */

_Atomic bool arenap_os_has_heavy;

/* All threads know that there is none. */
static _Atomic bool heavy_settled;

/* No processor holds a store back for so long, and no thread goes on with what
 * it has read of arenap_os_has_heavy. */
#define HEAVY_LOST_NS 5000000u

static void
barrier_init(void)
{
    int saved = errno;

    arenap_os_has_heavy =
        ARENA_OS_TSAN
        || syscall(SYS_membarrier,
                   MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0)
               == 0;
    heavy_settled = !arenap_os_has_heavy;
    errno = saved;
}

/* Others that find it lost meanwhile wait just as long. */
static ARENA_COLD void
heavy_lost(void)
{
    atomic_store(&arenap_os_has_heavy, false);
    arenap_os_sleep(HEAVY_LOST_NS);
    atomic_store(&heavy_settled, true);
}

void
arenap_os_heavy(void)
{
    int saved = errno;

    atomic_thread_fence(memory_order_seq_cst);
    if (!ARENA_OS_TSAN && !atomic_load(&heavy_settled)
        && (!atomic_load(&arenap_os_has_heavy)
            || syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0)
                   != 0))
        heavy_lost();
    errno = saved;
}

/* --- The process --- */

int
arenap_os_tid(void)
{
    return (int)syscall(SYS_gettid);
}

/* The kernel gives each program 16 random bytes; libc takes the first eight
 * for itself. */
uint64_t
arenap_os_random(void)
{
    const unsigned char *bytes = (const unsigned char *)getauxval(AT_RANDOM);
    uint64_t random = arenap_os_now();

    if (bytes != NULL)
        memcpy(&random, bytes + 8, sizeof random);
    return random;
}

bool
arenap_os_tid_gone(int tid)
{
    int saved = errno;
    bool gone = syscall(SYS_tgkill, getpid(), tid, 0) == -1 && errno == ESRCH;

    errno = saved;
    return gone;
}

/* The number in a file; SIZE_MAX for anything else, such as "max". */
static size_t
read_number(const char *path)
{
    char text[64], *end;
    unsigned long long number;
    ssize_t length;
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file == -1)
        return SIZE_MAX;
    length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return SIZE_MAX;
    text[length] = '\0';
    number = strtoull(text, &end, 10);
    return end == text || number > SIZE_MAX ? SIZE_MAX : (size_t)number;
}

/* The lowest limit of a control group and its ancestors.  path is absolute
 * within the hierarchy mounted at mount. */
static size_t
group_limit(const char *mount, char *path, const char *file)
{
    char name[PATH_MAX];
    size_t lowest = SIZE_MAX;

    for (;;) {
        char *slash = strrchr(path, '/');
        size_t limit;

        if (snprintf(name, sizeof name, "%s%s/%s", mount,
                     strcmp(path, "/") == 0 ? "" : path, file)
            < (int)sizeof name) {
            limit = read_number(name);
            lowest = limit < lowest ? limit : lowest;
        }
        if (slash == NULL || *path == '\0')
            return lowest;
        *slash = '\0'; /* up to the parent, and once for the root itself */
    }
}

static size_t
cgroup_memory(void)
{
    char line[PATH_MAX];
    size_t lowest = SIZE_MAX, limit = SIZE_MAX;
    FILE *groups = fopen("/proc/self/cgroup", "re");

    if (groups == NULL)
        return SIZE_MAX;
    while (fgets(line, sizeof line, groups) != NULL) {
        char *end = strchr(line, '\n');

        if (end != NULL)
            *end = '\0';
        if (strncmp(line, "0::", 3) == 0) {
            limit = group_limit("/sys/fs/cgroup", line + 3, "memory.max");
        } else {
            char *names = strchr(line, ':');
            char *path = names ? strchr(names + 1, ':') : NULL;

            if (path == NULL || strstr(names, "memory") == NULL)
                continue;
            limit = group_limit("/sys/fs/cgroup/memory", path + 1,
                                "memory.limit_in_bytes");
        }
        lowest = limit < lowest ? limit : lowest;
    }
    fclose(groups);
    return lowest;
}

size_t
arenap_os_memory(void)
{
    int saved = errno;
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    size_t group = cgroup_memory(), machine = SIZE_MAX;

    if (pages > 0 && size > 0)
        machine = (size_t)pages * (size_t)size;
    errno = saved;
    return group < machine ? group : machine;
}

void
arenap_os_init(void)
{
    barrier_init();
}

void
arenap_os_fork_prepare(void)
{
    pthread_mutex_lock(&meta.lock);
}

void
arenap_os_fork_done(void)
{
    pthread_mutex_unlock(&meta.lock);
}
