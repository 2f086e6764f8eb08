/* mapping.c: see mapping.h and arena_map in arena/segment.h. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access.h"
#include "cleaner.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "mapping.h"
#include "os.h"
#include "segment.h"
#include "thread.h"

/* Behind the chunk's header; of an auto arena malloc'd. */
struct mapping {
    void *base; /* of the pages */
    size_t length; /* of the pages */
    size_t skip;   /* bytes of the first page before the user's */
    size_t size;   /* the user's */
    uint32_t flags;
    bool guarded;
};

/* --- Counting --- */

static struct {
    _Atomic size_t reserved, requested, count;
} mapped;

void
arenap_mapping_figures(arena_usage_pool_t *out)
{
    out->reserved = atomic_load(&mapped.reserved);
    out->requested = atomic_load(&mapped.requested);
    out->count = atomic_load(&mapped.count);
}

static void
mapped_add(const struct mapping *mapping)
{
    atomic_fetch_add(&mapped.reserved, mapping->skip + mapping->size);
    atomic_fetch_add(&mapped.requested, mapping->size);
    atomic_fetch_add(&mapped.count, 1);
}

static void
mapped_subtract(const struct mapping *mapping)
{
    atomic_fetch_sub(&mapped.reserved, mapping->skip + mapping->size);
    atomic_fetch_sub(&mapped.requested, mapping->size);
    atomic_fetch_sub(&mapped.count, 1);
}

/* --- Asking the system --- */

static int
fail_call(const char *what, int fd)
{
    int error = errno;
    char text[128];

    return arenap_fail(error, "cannot %s descriptor %d: %s", what, fd,
                       strerror_r(error, text, sizeof text));
}

/* Which part of a file is mapped, by pages, and how. */
struct file {
    int fd;
    unsigned mode; /* arena_map_mode_t */
    off_t from;
    off_t reach; /* how long it must become, or 0 */
};

/* See whether a file is long enough, or can be made so. */
static int
file_look(struct file *file, off_t offset, size_t size)
{
    struct stat status;
    off_t end;

    if (fstat(file->fd, &status) != 0)
        return fail_call("look at", file->fd);
    if (size > PTRDIFF_MAX
        || __builtin_add_overflow(offset, (off_t)size, &end))
        return arenap_fail(ENOMEM, "cannot map %zu bytes: no object is that "
                                   "large",
                           size);
    if (!S_ISREG(status.st_mode) || end <= status.st_size)
        return 0;
    if (file->mode != ARENA_MAP_WRITE)
        return arenap_fail(ERANGE,
                           "the file has %lld bytes: %zu from %lld are not "
                           "all there",
                           (long long)status.st_size, size,
                           (long long)offset);
    file->reach = end;
    return 0;
}

/* Make the file as long as it must be.  Others may be making it longer too:
 * so its last byte is asked for, where the system can, not a length. */
static int
file_extend(const struct file *file)
{
    if (file->reach == 0 || fallocate(file->fd, 0, file->reach - 1, 1) == 0
        || (errno == EOPNOTSUPP && ftruncate(file->fd, file->reach) == 0))
        return 0;
    return fail_call("make longer", file->fd);
}

/* Map the file at an address of ours, or anywhere (NULL).  MAP_FAILED with
 * errno set by the system. */
static void *
file_map(void *at, const struct mapping *mapping, const struct file *file)
{
    int protection = file->mode == ARENA_MAP_READ ? PROT_READ
                                                  : PROT_READ | PROT_WRITE;
    int flags = file->mode == ARENA_MAP_PRIVATE ? MAP_PRIVATE : MAP_SHARED;

    return mmap(at, mapping->length, protection,
                flags | MAP_NORESERVE | (at != NULL ? MAP_FIXED : 0), file->fd,
                file->from);
}

/* --- In an explicit arena --- */

static struct mapping *
mapping_of(const struct chunk *chunk)
{
    return (struct mapping *)(void *)(uintptr_t)(chunk + 1);
}

void
arenap_mapping_describe(const struct chunk *chunk, arena_segment_t *out)
{
    const struct mapping *mapping = mapping_of(chunk);

    out->flags |= mapping->flags;
    if (mapping->guarded)
        out->asks |= ASKS_GUARDED;
}

void
arenap_mapping_release(struct chunk *chunk)
{
    const struct mapping mapping = *mapping_of(chunk);
    size_t page = (size_t)((char *)mapping.base - (char *)chunk);

    mapped_subtract(&mapping);
    munmap(chunk, page + mapping.length);
}

/* The file is made longer after all else that the system can refuse, and
 * before others see the mapping. */
static int
chunk_map(struct thread *self, struct arena *arena, struct mapping *mapping,
          const struct file *file)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t length = page + mapping->length;
    struct chunk *chunk =
        arenap_chunk_take_file(self, arena, page, length);
    int result = 0;

    if (chunk == NULL)
        return -1;
    mapping->base = (char *)chunk + page;
    if (file_map(mapping->base, mapping, file) == MAP_FAILED)
        result = fail_call("map", file->fd);
    *mapping_of(chunk) = *mapping;
    mapped_add(mapping);
    chunk->start = (char *)chunk + page + mapping->skip;
    chunk->end = chunk->start + mapping->size;
    if (result == 0 && file_extend(file) == 0
        && arenap_explicit_add(self, arena, chunk, 0) == 0)
        return 0;
    arenap_chunk_give(self, arena, chunk, chunk->next);
    return -1;
}

/* A shared arena may be closed meanwhile. */
static int
map_chunk(struct thread *self, struct arena *arena, struct mapping *mapping,
          const struct file *file)
{
    bool enters = arena->kind != ARENA_CONFINED;
    int result;

    if (enters && arenap_explicit_enter(self, arena) != 0)
        return -1;
    result = chunk_map(self, arena, mapping, file);
    if (enters)
        arenap_explicit_leave(self, arena);
    return result;
}

/* --- In an auto arena --- */

static void
unmap_action(void *arg)
{
    struct mapping *mapping = arg;

    if (mapping->base != NULL) {
        mapped_subtract(mapping);
        munmap(mapping->base, mapping->length);
    }
    free(mapping);
}

/* The longest that is waited for actions that run already. */
#define ROOM_WAIT_NS 500000000u

/* When the system has no room, arenas that are dead may have it: one
 * collection, what it finds is unmapped by the cleaner's thread, and one more
 * try. */
static void *
file_map_anywhere(const struct mapping *mapping, const struct file *file)
{
    void *base = file_map(NULL, mapping, file);

    if (base != MAP_FAILED || errno != ENOMEM)
        return base;
    arenap_cleaner_reclaim();
    arenap_cleaner_drain(arenap_os_now() + ROOM_WAIT_NS);
    return file_map(NULL, mapping, file);
}

/* The file is made longer when nothing else can fail.  If that does, an action
 * is left that does nothing. */
static int
map_collected(struct arena *arena, struct mapping *mapping,
              const struct file *file)
{
    struct mapping *kept = calloc(1, sizeof *kept);
    int result;

    if (kept == NULL)
        return arenap_fail_system(sizeof *kept);
    mapping->base = file_map_anywhere(mapping, file);
    if (mapping->base == MAP_FAILED) {
        fail_call("map", file->fd);
        free(kept);
        return -1;
    }
    result = arena_on_close(arena, unmap_action, kept);
    if (result != 0)
        free(kept);
    else
        result = file_extend(file);
    if (result == 0) {
        *kept = *mapping;
        mapped_add(kept);
    } else {
        arenap_os_unmap(mapping->base, mapping->length);
    }
    return result;
}

/* --- Mapping --- */

static int
map_check(struct arena *arena, off_t offset, unsigned mode,
          const arena_segment_t *out)
{
    struct thread *self = arenap_thread_self();
    unsigned plain = mode & ~ARENA_MAP_TRUSTED;

    if (arena == NULL || out == NULL)
        return arenap_fail(EINVAL, "no arena, or no place for the segment");
    if (plain > ARENA_MAP_PRIVATE)
        return arenap_fail(EINVAL, "%#x is no mode of mapping", mode);
    if (offset < 0)
        return arenap_fail(EINVAL, "an offset of %lld in a file",
                           (long long)offset);
    if (self == NULL)
        return arenap_fail_system(sizeof *self);
    if (arena->kind == ARENA_IMPLICIT)
        return arenap_fail(ENOTSUP, "the implicit arena has no mappings");
    return arenap_usable(self, arena);
}

/* Which pages of the file it takes, and how many bytes they have. */
static void
mapping_plan(struct mapping *mapping, struct file *file, off_t offset,
             size_t size, bool trusted)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    *mapping = (struct mapping){.size = size, .flags = ARENA_SEGMENT_MAPPED};
    mapping->skip = (size_t)offset % page;
    mapping->length = arenap_round_up(mapping->skip + size, page);
    mapping->guarded = !trusted;
    if (file->mode == ARENA_MAP_READ)
        mapping->flags |= ARENA_SEGMENT_READ_ONLY;
    file->from = offset - (off_t)mapping->skip;
}

/* Of 0 bytes nothing is mapped; the file is made longer all the same. */
static int
map_pages(struct thread *self, struct arena *arena, struct mapping *mapping,
          const struct file *file)
{
    if (mapping->size == 0)
        return file_extend(file);
    return arena->kind == ARENA_AUTO ? map_collected(arena, mapping, file)
                                     : map_chunk(self, arena, mapping, file);
}

static void
mapping_fill(const struct mapping *mapping, arena_segment_t *out)
{
    out->flags = mapping->flags;
    out->size = mapping->size;
    if (mapping->size == 0)
        return;
    out->addr = (char *)mapping->base + mapping->skip;
    if (mapping->guarded)
        out->asks |= ASKS_GUARDED;
    if (out->arena->kind == ARENA_AUTO)
        arenap_access_keep(out, out->arena);
}

int
arena_map(arena_t *arena, int fd, off_t offset, size_t size, unsigned mode,
          arena_segment_t *out)
{
    struct file file = {.fd = fd, .mode = mode & ~ARENA_MAP_TRUSTED};
    struct thread *self = arenap_thread_self();
    struct mapping mapping;
    arena_segment_t made;
    int saved = errno;

    if (map_check(arena, offset, mode, out) != 0
        || file_look(&file, offset, size) != 0
        || arenap_segment_begin(self, arena,
                                arena->kind == ARENA_CONFINED ? arena->marks
                                                              : NULL,
                                &made)
               != 0)
        return -1;
    mapping_plan(&mapping, &file, offset, size,
                 (mode & ARENA_MAP_TRUSTED) != 0);
    if (map_pages(self, arena, &mapping, &file) != 0)
        return -1;
    if (!arenap_segment_hold(&made))
        return arenap_fail(ESTALE, "the arena is closed");
    mapping_fill(&mapping, &made);
    arena_keep_alive(arena);
    errno = saved;
    *out = made;
    return 0;
}

/* --- Using the pages of a mapping --- */

/* The pages of a segment of a mapped file, entered.  0; or -1 with errno. */
static int
pages_begin(const arena_segment_t *segment, char **first, size_t *length)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at;

    if (segment != NULL && segment->live != NULL
        && (segment->flags & ARENA_SEGMENT_MAPPED) == 0)
        return arenap_fail(ENOTSUP, "the segment is not of a mapped file");
    if (arenap_access_begin(segment, 0, 0, false) != 0)
        return -1;
    at = (uintptr_t)segment->addr;
    *first = (char *)(at & ~(page - 1));
    *length = at - (uintptr_t)*first + segment->size;
    return 0;
}

int
arena_map_sync(const arena_segment_t *segment)
{
    char *first, last;
    size_t length;
    int result = 0, error = 0;
    bool there = true;

    if (pages_begin(segment, &first, &length) != 0)
        return -1;
    if (segment->size != 0) {
        result = msync(first, length, MS_SYNC);
        error = errno;
        /* Of pages that the file does not have any more it says nothing. */
        there = arenap_os_copy(
            &last, (char *)segment->addr + segment->size - 1, 1);
    }
    arenap_access_leave(segment, 0);
    if (!there)
        return arenap_access_fail(segment, 0, segment->size, 0, EIO);
    return result == 0 ? 0
                       : arenap_fail(error, "cannot write %zu bytes to the "
                                            "file",
                                     segment->size);
}

/* Bytes of a range that lie on pages in memory.  -1: the system fails. */
static ssize_t
count_resident(char *first, size_t length, char *at)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = 0, step;
    unsigned char in[256];

    for (size_t done = 0; done < length; done += step) {
        step = length - done < sizeof in * page ? length - done
                                                : sizeof in * page;
        if (mincore(first + done, step, in) != 0)
            return -1;
        for (size_t i = 0; i * page < step; i++) {
            char *from = first + done + i * page;
            char *to = from + page;

            if ((in[i] & 1) == 0)
                continue;
            if (from < at)
                from = at;
            if (to > first + length)
                to = first + length;
            bytes += (size_t)(to - from);
        }
    }
    return (ssize_t)bytes;
}

int
arena_map_resident(const arena_segment_t *segment, size_t *bytes)
{
    char *first;
    size_t length;
    ssize_t resident = 0;
    int error;

    if (bytes == NULL)
        return arenap_fail(EINVAL, "no place for the number");
    if (pages_begin(segment, &first, &length) != 0)
        return -1;
    if (segment->size != 0)
        resident = count_resident(first, length, segment->addr);
    error = errno;
    arenap_access_leave(segment, 0);
    if (resident < 0)
        return arenap_fail(error, "the system does not say what is in memory");
    *bytes = (size_t)resident;
    return 0;
}

int
arena_map_advise(const arena_segment_t *segment, arena_advice_t advice)
{
    static const int advices[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL,
                                  MADV_WILLNEED, MADV_COLD};
    int saved = errno;
    char *first;
    size_t length;

    if ((unsigned)advice >= sizeof advices / sizeof *advices)
        return arenap_fail(EINVAL, "%d is no advice", (int)advice);
    if (pages_begin(segment, &first, &length) != 0)
        return -1;
    if (segment->size != 0)
        madvise(first, length, advices[advice]);
    arenap_access_leave(segment, 0);
    errno = saved;
    return 0;
}
