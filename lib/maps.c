/* maps.c: see maps.h. */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "collector.h"
#include "internal.h"
#include "linkage.h"
#include "maps.h"
#include "os.h"

/* --- The collector's own ranges: appended, never removed --- */

#define RANGES 8192

static struct {
    _Atomic bool done;
    _Atomic bool lost; /* a range did not fit the table */
    _Atomic size_t count;
    struct {
        _Atomic uintptr_t lo, hi;
    } range[RANGES];
} watch;

static bool
watch_extend(size_t count, uintptr_t lo, uintptr_t hi)
{
    for (size_t i = 0; i < count; i++) {
        uintptr_t l = atomic_load(&watch.range[i].lo);
        uintptr_t h = atomic_load(&watch.range[i].hi);

        if (l <= lo && hi <= h)
            return true;
        if (h == lo && atomic_compare_exchange_strong(&watch.range[i].hi, &h,
                                                      hi))
            return true;
        if (l == hi && atomic_compare_exchange_strong(&watch.range[i].lo, &l,
                                                      lo))
            return true;
    }
    return false;
}

static void
watch_add(uintptr_t lo, uintptr_t hi)
{
    size_t count = atomic_load(&watch.count);

    if (watch_extend(count < RANGES ? count : RANGES, lo, hi))
        return;
    count = atomic_fetch_add(&watch.count, 1);
    if (count >= RANGES) {
        atomic_store(&watch.lost, true);
        return;
    }
    atomic_store(&watch.range[count].lo, lo);
    atomic_store(&watch.range[count].hi, hi);
}

void
arenap_maps_notes(void **lo, void **hi)
{
    *lo = watch.range;
    *hi = watch.range + RANGES;
}

void
arenap_maps_collector_each(maps_visit *visit, void *context)
{
    size_t count = atomic_load(&watch.count);

    for (size_t i = 0; i < count && i < RANGES; i++)
        visit(atomic_load(&watch.range[i].lo),
              atomic_load(&watch.range[i].hi), context);
}

void
arenap_maps_point_visit(uintptr_t lo, uintptr_t hi, void *context)
{
    struct maps_point *point = context;

    point->inside |= point->address >= lo && point->address < hi;
}

bool
arenap_maps_watched(void)
{
    return atomic_load(&watch.done) && !atomic_load(&watch.lost);
}

/* --- What the collector calls instead --- */

static void *
watched_mmap(void *address, size_t length, int protection, int flags, int fd,
             off_t offset)
{
    void *result = mmap(address, length, protection, flags, fd, offset);

    if (result != MAP_FAILED)
        watch_add((uintptr_t)result,
                  (uintptr_t)result + arenap_round_up(length, ARENA_PAGE));
    return result;
}

static _Atomic bool threads_refused;

void
arenap_maps_refuse_threads(bool refuse)
{
    atomic_store(&threads_refused, refuse);
}

/* The stack of a marking thread is full of addresses of blocks. */
static int
watched_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                       void *(*start)(void *), void *arg)
{
    pthread_attr_t real;
    void *stack;
    size_t size;
    int error;

    if (atomic_load(&threads_refused))
        return EAGAIN;
    error = pthread_create(thread, attr, start, arg);
    if (error != 0 || pthread_getattr_np(*thread, &real) != 0)
        return error;
    if (pthread_attr_getstack(&real, &stack, &size) == 0)
        watch_add((uintptr_t)stack, (uintptr_t)stack + size);
    pthread_attr_destroy(&real);
    return error;
}

/* --- Putting them into the collector's linkage table --- */

/* The library's own data: the collector scans what it must of it. */
static int
library_data(struct dl_phdr_info *info, size_t size, void *context)
{
    const struct link_map *module = context;

    (void)size;
    if (info->dlpi_addr != module->l_addr)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_LOAD && (p->p_flags & PF_W) != 0)
            watch_add(info->dlpi_addr + p->p_vaddr,
                      info->dlpi_addr + p->p_vaddr + p->p_memsz);
    }
    return 1;
}

/* If the collector was started before: the mappings that hold its heap. */
static void
watch_earlier(uintptr_t lo, uintptr_t hi, void *context)
{
    uintptr_t heap_lo, heap_hi;

    (void)context;
    arenap_collector_bounds(&heap_lo, &heap_hi);
    if (lo < heap_lo)
        lo = heap_lo & ~(ARENA_PAGE - 1);
    if (hi > heap_hi)
        hi = heap_hi;
    for (uintptr_t page = lo; page < hi; page += ARENA_PAGE)
        if (arenap_collector_is_heap((void *)page)) {
            watch_add(lo, arenap_round_up(hi, ARENA_PAGE));
            return;
        }
}

void
arenap_maps_watch(void)
{
    void *collector = dlsym(RTLD_DEFAULT, "GC_gcollect");
    struct link_map *module = NULL;
    Dl_info info;

    if (collector == NULL
        || dladdr1(collector, &info, (void **)&module, RTLD_DL_LINKMAP) == 0
        || module == NULL
        || !arenap_linkage_replace(collector, "mmap", (void *)watched_mmap))
        return;
    arenap_linkage_replace(collector, "pthread_create",
                           (void *)watched_pthread_create);
    dl_iterate_phdr(library_data, module);
    if (!arenap_collector_is_earlier()
        || arenap_maps_each(watch_earlier, NULL))
        atomic_store(&watch.done, true);
}

/* --- Reading memory that others may take away --- */

static long
raw_open(const char *path)
{
    return syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

long
arenap_maps_copy(void *to, uintptr_t from, size_t size)
{
    struct iovec local = {to, size}, remote = {(void *)from, size};
    int saved = errno;
    long got = syscall(SYS_process_vm_readv, getpid(), &local, 1UL, &remote,
                       1UL, 0UL);

    if (got < 0)
        got = errno == EFAULT || errno == ENOMEM ? 0 : -1;
    errno = saved;
    return got;
}

/* The kernel's interface since 6.7, which older headers do not have. */
struct page_region {
    uint64_t start, end, categories;
};

struct pm_scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask;
    uint64_t return_mask;
};

#ifndef PAGEMAP_SCAN
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#endif
#define PAGE_PRESENT_BIT ((uint64_t)1 << 3)
#define PAGE_SWAPPED_BIT ((uint64_t)1 << 4)
#define PAGE_ZERO_BIT ((uint64_t)1 << 5)

/* Without that interface, ranges up to this size are taken whole. */
#define RESIDENT_BLIND ((uintptr_t)4 << 30)
#define RESIDENT_SMALL ((uintptr_t)64 << 10)
#define REGIONS 64

static bool
resident_scan(long file, uintptr_t lo, uintptr_t hi, maps_visit *visit,
              void *context)
{
    struct page_region region[REGIONS];
    struct pm_scan_arg arg = {
        .size = sizeof arg,
        .end = arenap_round_up(hi, ARENA_PAGE),
        .vec = (uintptr_t)region,
        .vec_len = REGIONS,
        .category_inverted = PAGE_ZERO_BIT,
        .category_mask = PAGE_ZERO_BIT,
        .category_anyof_mask = PAGE_PRESENT_BIT | PAGE_SWAPPED_BIT,
        .return_mask = PAGE_PRESENT_BIT,
    };

    for (arg.start = lo & ~(ARENA_PAGE - 1); arg.start < hi;
         arg.start = arg.walk_end) {
        long found = syscall(SYS_ioctl, file, PAGEMAP_SCAN, &arg);

        if (found < 0 || (found == 0 && arg.walk_end <= arg.start))
            return false;
        for (long i = 0; i < found; i++) {
            uintptr_t from = (uintptr_t)region[i].start;
            uintptr_t to = (uintptr_t)region[i].end;

            visit(from > lo ? from : lo, to < hi ? to : hi, context);
        }
    }
    return true;
}

bool
arenap_maps_resident(uintptr_t lo, uintptr_t hi, maps_visit *visit,
                     void *context)
{
    int saved = errno;
    bool done = false;
    long file;

    if (hi - lo > RESIDENT_SMALL
        && (file = raw_open("/proc/self/pagemap")) >= 0) {
        done = resident_scan(file, lo, hi, visit, context);
        syscall(SYS_close, file);
    }
    /* Parts that were visited twice do no harm. */
    if (!done && hi - lo <= RESIDENT_BLIND) {
        visit(lo, hi, context);
        done = true;
    }
    errno = saved;
    return done;
}

/* --- Reading the mappings --- */

/* A line, without its end. */
typedef void line_visit(const char *line, void *context);

static uintptr_t
parse_hex(const char **text)
{
    uintptr_t value = 0;

    for (;; ++*text) {
        unsigned digit = (unsigned)**text - '0';

        if (digit > 9)
            digit = (unsigned)**text - 'a' + 10;
        if (digit > 15 || (digit > 9 && **text < 'a'))
            return value;
        value = value << 4 | digit;
    }
}

static bool
starts_with(const char *text, const char *prefix)
{
    while (*prefix != '\0')
        if (*text++ != *prefix++)
            return false;
    return true;
}

/* Writable; or anonymous and written before it was protected; shared only
 * where it is memory, not a file or a device. */
static bool
line_counts(const char *mode, const char *path)
{
    bool file = *path == '/';

    if (mode[0] != 'r' || starts_with(path, "[v"))
        return false;
    if (mode[3] == 's')
        return mode[1] == 'w'
               && (starts_with(path, "/memfd:") || starts_with(path, "/SYSV")
                   || starts_with(path, "/anon_hugepage")
                   || starts_with(path, "/dev/zero")
                   || starts_with(path, "/dev/shm/"));
    if (starts_with(path, "/dev/") && !starts_with(path, "/dev/zero"))
        return false;
    return mode[1] == 'w' || !file;
}

struct maps_range {
    uintptr_t lo, hi;
};

/* One line: "lo-hi mode offset device inode   path".  What follows the
 * range. */
static const char *
line_range(const char *line, struct maps_range *range)
{
    range->lo = parse_hex(&line);
    line++;
    range->hi = parse_hex(&line);
    return line + 1;
}

/* A line that does not fit the buffer is a path longer than any.  False, after
 * some visits or none: the mappings cannot be read. */
static bool
lines_each(char *buffer, size_t size, line_visit *visit, void *context)
{
    int saved = errno;
    long file = raw_open("/proc/self/maps"), got;
    size_t have = 0;

    if (file < 0) {
        errno = saved;
        return false;
    }
    while ((got = syscall(SYS_read, file, buffer + have, size - 1 - have))
           > 0) {
        char *line = buffer, *end;

        have += (size_t)got;
        buffer[have] = '\0';
        while ((end = strchr(line, '\n')) != NULL) {
            *end = '\0';
            visit(line, context);
            line = end + 1;
        }
        have -= (size_t)(line - buffer);
        memmove(buffer, line, have);
    }
    syscall(SYS_close, file);
    errno = saved;
    return got == 0 && have == 0;
}

struct maps_visitor {
    maps_visit *visit;
    void *context;
};

static void
visit_any(const char *line, void *context)
{
    const struct maps_visitor *visitor = context;
    struct maps_range range;

    line_range(line, &range);
    visitor->visit(range.lo, range.hi, visitor->context);
}

static void
visit_if_it_counts(const char *line, void *context)
{
    const struct maps_visitor *visitor = context;
    struct maps_range range;
    const char *mode = line_range(line, &range), *path = mode;

    for (int field = 0; field < 4; field++) {
        while (*path != ' ' && *path != '\0')
            path++;
        while (*path == ' ')
            path++;
    }
    if (line_counts(mode, path))
        visitor->visit(range.lo, range.hi, visitor->context);
}

/* Most that a path takes, and what comes before it. */
#define LINE_MOST (PATH_MAX + 100)

bool
arenap_maps_all(maps_visit *visit, void *context)
{
    struct maps_visitor visitor = {visit, context};
    char buffer[LINE_MOST];

    return lines_each(buffer, sizeof buffer, visit_any, &visitor);
}

/* Read with the world stopped, by one thread at a time. */
#define MAPS_BUFFER 65536

bool
arenap_maps_each(maps_visit *visit, void *context)
{
    static char buffer[MAPS_BUFFER];
    struct maps_visitor visitor = {visit, context};

    return lines_each(buffer, sizeof buffer, visit_if_it_counts, &visitor);
}
