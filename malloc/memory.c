/* memory.c: malloc and its family; see interposer.h. */

#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../include/arena/budget.h"
#include "../include/arena/heap.h"
#include "interposer.h"

/* libarena's, with libc's rounding of alignments. */
void *arena_legacy_memalign(size_t align, size_t size);

#define NOT_OURS SIZE_MAX

/* --- Collected memory --- */

/* A collection takes more stack than libc's malloc does.  A thread that begins
 * with little, as those by which libc runs timers, gets libc's memory. */
#define ROOM_LEAST ((size_t)32 * 1024)
#define ROOM_STEP ((size_t)4096)

static INTERPOSE_TLS enum { ROOM_UNKNOWN, ROOM_ENOUGH, ROOM_SMALL } room_below;

/* Each page down to there can be read.  The main thread's stack grows. */
static __attribute__((noinline)) bool
find_room(void)
{
    struct iovec theirs[ROOM_LEAST / ROOM_STEP], ours;
    size_t count = sizeof theirs / sizeof theirs[0];
    char bytes[sizeof theirs / sizeof theirs[0]];
    int saved = errno;
    ssize_t read;

    for (size_t i = 0; i < count; i++) {
        theirs[i].iov_base =
            (char *)__builtin_frame_address(0) - (i + 1) * ROOM_STEP;
        theirs[i].iov_len = 1;
    }
    ours.iov_base = bytes;
    ours.iov_len = sizeof bytes;
    room_below = ROOM_ENOUGH;
    if (syscall(SYS_gettid) != getpid()) {
        read = process_vm_readv(getpid(), &ours, 1, theirs, count, 0);
        if (read >= 0 ? (size_t)read < count : errno == EFAULT)
            room_below = ROOM_SMALL;
    }
    errno = saved;
    return room_below == ROOM_ENOUGH;
}

/* The call is the program's, which has pushed no arena, and what it gets is
 * collected. */
static bool
collects(void)
{
    return LIKELY(arenap_mode_now() == MODE_COLLECT && arenap_inside == 0)
           && (LIKELY(room_below == ROOM_ENOUGH)
               || (room_below == ROOM_UNKNOWN && find_room()));
}

/* What is asked of libarena: a block is kept by pointers to each of its bytes,
 * so one more byte makes it those to its end, too. */
static size_t
with_end(size_t size)
{
    return UNLIKELY(arenap_options.past_end) && size < PTRDIFF_MAX ? size + 1
                                                                   : size;
}

/* A collection once in so many bytes of the thread's requests. */
static void
collect_at_times(size_t size)
{
    static INTERPOSE_TLS size_t since;

    since += size;
    if (since >= arenap_options.gc_every) {
        since = 0;
        arena_interpose_collect();
    }
}

static void
collected_begin(size_t size)
{
    arenap_inside++;
    if (UNLIKELY(arenap_options.gc_every != 0))
        collect_at_times(size);
}

static void
collected_end(void)
{
    arenap_inside--;
    if (UNLIKELY(arena_interpose_gave_up()))
        arenap_mode_give_up();
}

static bool
collected_free(void *block)
{
    bool ours;

    /* While the process forks the collector cannot be asked to free. */
    if (UNLIKELY(arenap_is_inside()))
        return arena_interpose_room(block) != NOT_OURS;
    arenap_inside++;
    errno = 0;
    ours = arenap_options.ignore_free
               ? arena_interpose_room(block) != NOT_OURS
               : arena_interpose_free(block);
    arenap_inside--;
    if (UNLIKELY(ours && errno == EINVAL))
        arenap_report_fault("free: %s", arena_error());
    return ours;
}

static size_t
collected_room(void *block)
{
    size_t room;

    if (arenap_mode_now() == MODE_EARLY)
        return NOT_OURS;
    arenap_inside++;
    room = arena_interpose_room(block);
    arenap_inside--;
    return room;
}

/* --- libc's memory, accounted in explicit mode --- */

/* Bytes that a thread reserves in advance, and keeps when it frees; one that
 * nobody would hear of when it ends, or that is about to, none. */
#define CREDIT_STEP ((size_t)64 * 1024)

static INTERPOSE_TLS size_t credit, credit_most; /* bytes; most: kept */
static INTERPOSE_TLS bool credit_is_over;
static bool system_has_headers;

static bool
accounts(void)
{
    return LIKELY(arenap_mode_now() == MODE_EXPLICIT && !arenap_is_inside());
}

/* Close to the limit a reservation waits: for what is needed, not for what is
 * reserved in advance. */
static bool
fits(size_t size)
{
    arena_usage_t usage;

    arena_usage(&usage, sizeof usage);
    return usage.reserved <= usage.limit
           && size <= usage.limit - usage.reserved;
}

/* The bytes that this thread may have in advance.  Threads are made in other
 * ways than by pthread_create, too: so the end of each is waited for from the
 * first time on that it has something. */
static size_t
credit_step(void)
{
    if (credit_most == 0 && !credit_is_over) {
        credit_most = 2 * CREDIT_STEP; /* first: libc may ask us for memory */
        if (!arenap_threads_tell_end()) {
            credit_most = 0;
            credit_is_over = true;
        }
    }
    return credit_most / 2;
}

static __attribute__((noinline)) bool
credit_borrow(size_t size)
{
    size_t step = credit_step(), more = size - credit;
    bool done = true;

    if (credit >= size) {
        credit -= size;
        return true;
    }
    arenap_inside++;
    if (step != 0 && fits(more + step) && arena_reserve(more + step) == 0)
        credit += more + step;
    else if (arena_reserve(more) == 0)
        credit += more;
    else
        done = false;
    arenap_inside--;
    if (done)
        credit -= size;
    return done;
}

static bool
credit_take(size_t size)
{
    if (UNLIKELY(credit < size))
        return credit_borrow(size);
    credit -= size;
    return true;
}

/* Give back all but so much.  What was not taken, before the beginning, cannot
 * be given back. */
static void
credit_shrink(size_t keep)
{
    size_t rest = credit - keep;
    int saved = errno;

    credit = keep;
    if (rest == 0)
        return;
    arenap_inside++;
    arena_unreserve(rest);
    arenap_inside--;
    errno = saved;
}

static __attribute__((noinline)) void
credit_return(void)
{
    size_t step = credit_step();

    if (credit > 2 * step)
        credit_shrink(step);
}

static void
credit_give(size_t size)
{
    credit += size;
    if (UNLIKELY(credit > credit_most))
        credit_return();
}

/* What others' destructors free after this, and libc, is given back block by
 * block. */
void
arenap_memory_settle(void)
{
    credit_is_over = true;
    credit_most = 0;
    credit_shrink(0);
}

/* The bytes that a block of libc's takes: the word before it has them, and
 * three flags. */
static size_t
system_size(void *block)
{
    return LIKELY(system_has_headers) ? ((size_t *)block)[-1] & ~(size_t)7
                                      : LIBC(malloc_usable_size)(block);
}

/* See whether that is so: __libc_malloc can be another allocator's. */
void
arenap_memory_start(void)
{
    size_t *block = __libc_malloc(1000);

    if (block == NULL)
        return;
    system_has_headers = (block[-1] & ~(size_t)7)
                         == LIBC(malloc_usable_size)(block) + sizeof *block;
    __libc_free(block);
}

/* A block of libc's, or NULL: taken from the budget, or given back. */
static void *
system_account(void *block)
{
    if (UNLIKELY(block == NULL) || !accounts()
        || LIKELY(credit_take(system_size(block))))
        return block;
    __libc_free(block);
    errno = ENOMEM;
    return NULL;
}

/* No block of libarena's: libc's, or nobody's. */
static bool
is_wild(const char *function, const void *block)
{
    if (LIKELY(arenap_mode_now() != MODE_COLLECT
               || !arena_interpose_holds(block)))
        return false;
    arenap_report_wild(function, block);
    return true;
}

static void
system_free(void *block)
{
    if (UNLIKELY(arenap_options.ignore_free) || is_wild("free", block))
        return;
    if (UNLIKELY(arenap_options.report != NULL))
        arenap_report_foreign("free", block);
    if (accounts())
        credit_give(system_size(block));
    __libc_free(block);
}

static void *
system_realloc(void *block, size_t size)
{
    bool account = accounts();
    size_t before = account && block != NULL ? system_size(block) : 0;
    void *moved;

    if (block != NULL && is_wild("realloc", block)) {
        errno = ENOMEM;
        return NULL;
    }
    if (UNLIKELY(arenap_options.report != NULL) && block != NULL)
        arenap_report_foreign("realloc", block);
    if (account && size > before && !credit_take(size - before)) {
        errno = ENOMEM;
        return NULL;
    }
    moved = __libc_realloc(block, size);
    if (!account)
        return moved;
    /* Now what it really is. */
    if (size > before)
        credit_give(size - before);
    if (moved != NULL || size == 0) {
        size_t now = moved == NULL ? 0 : system_size(moved);

        if (now < before)
            credit_give(before - now);
        else if (!credit_take(now - before))
            credit = 0;
    }
    return moved;
}

static void *
system_memalign(size_t align, size_t size)
{
    return system_account(__libc_memalign(align, size));
}

/* --- The functions: the short ways first --- */

static enum answer
answer(void)
{
    return LIKELY(arenap_inside == 0)
               ? (enum answer)atomic_load_explicit(&arenap_answer,
                                                   memory_order_relaxed)
               : ANSWER_SLOWLY;
}

static __attribute__((noinline)) void *
malloc_slowly(size_t size, const void *caller)
{
    void *block;

    if (!collects())
        return arenap_is_scoped() ? arenap_scopes_alloc(size, caller)
                                  : system_account(__libc_malloc(size));
    collected_begin(size);
    block = arena_malloc(with_end(size));
    collected_end();
    if (UNLIKELY(block == NULL))
        arenap_report_fault("malloc(%zu): %s", size, arena_error());
    return block;
}

INTERPOSE void *
malloc(size_t size)
{
    enum answer how = answer();
    void *block;

    if (how == ANSWER_AT_HAND) {
        block = arena_interpose_alloc_at_hand(size);
        if (LIKELY(block != NULL))
            return block;
    } else if (how == ANSWER_SYSTEM) {
        return system_account(__libc_malloc(size));
    }
    return malloc_slowly(size, CALLER);
}

static __attribute__((noinline)) void *
calloc_slowly(size_t count, size_t size, const void *caller)
{
    size_t bytes;
    void *block;

    if (!collects())
        return arenap_is_scoped()
                   ? arenap_scopes_calloc(count, size, caller)
                   : system_account(__libc_calloc(count, size));
    collected_begin(size);
    if (UNLIKELY(arenap_options.past_end)
        && !__builtin_mul_overflow(count, size, &bytes))
        block = arena_calloc(1, with_end(bytes));
    else
        block = arena_calloc(count, size);
    collected_end();
    if (UNLIKELY(block == NULL))
        arenap_report_fault("calloc(%zu, %zu): %s", count, size,
                            arena_error());
    return block;
}

INTERPOSE void *
calloc(size_t count, size_t size)
{
    size_t bytes;
    void *block;

    if (answer() == ANSWER_AT_HAND
        && !__builtin_mul_overflow(count, size, &bytes)
        && (block = arena_interpose_alloc_at_hand(bytes)) != NULL)
        return memset(block, 0, bytes);
    return calloc_slowly(count, size, CALLER);
}

static __attribute__((noinline)) void
free_slowly(void *block)
{
    int saved = errno;

    if (block == NULL)
        return;
    if (arenap_mode_now() == MODE_EARLY || !collected_free(block))
        system_free(block);
    errno = saved;
}

INTERPOSE void
free(void *block)
{
    enum answer how = answer();

    if (how == ANSWER_AT_HAND) {
        if (LIKELY(arena_interpose_free_at_hand(block)))
            return;
    } else if (how == ANSWER_SYSTEM) {
        if (LIKELY(block != NULL)) {
            credit_give(system_size(block));
            __libc_free(block);
        }
        return;
    }
    free_slowly(block);
}

INTERPOSE void
cfree(void *block)
{
    free(block);
}

/* A block of ours becomes one of libc's: the collector is not to be used. */
static void *
realloc_away(void *block, size_t room, size_t size)
{
    void *moved = malloc(size);

    if (moved != NULL) {
        memcpy(moved, block, room < size ? room : size);
        free(block);
    }
    return moved;
}

/* While nothing may be collected, or freed. */
static void *
realloc_uncollected(void *block, size_t room, size_t size)
{
    if (arena_interpose_in_arena(block)) {
        room = arena_interpose_extent(block);
        return room != 0 ? realloc_away(block, room, size) : NULL;
    }
    return size <= room && size >= room / 2 ? block
                                            : realloc_away(block, room, size);
}

static void *
realloc_for(void *block, size_t size, const void *caller)
{
    size_t room;

    if (arenap_is_scoped())
        return arenap_scopes_realloc(block, size, caller);
    if (block == NULL)
        return malloc(size);
    if (answer() == ANSWER_SYSTEM)
        return system_realloc(block, size);
    room = collected_room(block);
    if (room == NOT_OURS)
        return system_realloc(block, size);
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (!collects() || arenap_options.ignore_free)
        return realloc_uncollected(block, room, size);
    collected_begin(size);
    block = arena_realloc(block, with_end(size));
    collected_end();
    if (UNLIKELY(block == NULL))
        arenap_report_fault("realloc(%zu): %s", size, arena_error());
    return block;
}

INTERPOSE void *
realloc(void *block, size_t size)
{
    return realloc_for(block, size, CALLER);
}

INTERPOSE void *
reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc_for(block, bytes, CALLER);
}

static void *
memalign_for(size_t align, size_t size, const void *caller)
{
    void *block;

    if (!collects())
        return arenap_is_scoped()
                   ? arenap_scopes_memalign(align, size, caller)
                   : system_memalign(align, size);
    collected_begin(size);
    block = arena_legacy_memalign(align, with_end(size));
    collected_end();
    if (UNLIKELY(block == NULL))
        arenap_report_fault("memalign(%zu, %zu): %s", align, size,
                            arena_error());
    return block;
}

INTERPOSE void *
memalign(size_t align, size_t size)
{
    return memalign_for(align, size, CALLER);
}

INTERPOSE void *
aligned_alloc(size_t align, size_t size)
{
    return memalign_for(align, size, CALLER);
}

INTERPOSE int
posix_memalign(void **out, size_t align, size_t size)
{
    int saved = errno;
    void *block;

    if (align % sizeof(void *) != 0 || align == 0
        || (align & (align - 1)) != 0) {
        arenap_report_fault("posix_memalign: an alignment of %zu is not a "
                            "power of two and a multiple of %zu",
                            align, sizeof(void *));
        return EINVAL;
    }
    block = memalign_for(align, size, CALLER);
    errno = saved;
    if (block == NULL)
        return ENOMEM;
    *out = block;
    return 0;
}

#define PAGE ((size_t)4096)

INTERPOSE void *
valloc(size_t size)
{
    return memalign_for(PAGE, size, CALLER);
}

INTERPOSE void *
pvalloc(size_t size)
{
    if (size > SIZE_MAX - PAGE) {
        errno = ENOMEM;
        return NULL;
    }
    return memalign_for(PAGE, (size + PAGE - 1) & ~(PAGE - 1), CALLER);
}

INTERPOSE size_t
malloc_usable_size(void *block)
{
    size_t room;

    if (block == NULL)
        return 0;
    room = collected_room(block);
    if (room == NOT_OURS)
        return LIBC(malloc_usable_size)(block);
    return room - (arenap_options.past_end && room != 0);
}

/* --- What else malloc.h has --- */

INTERPOSE int
malloc_trim(size_t pad)
{
    if (arenap_mode_now() == MODE_COLLECT && !arenap_is_inside()) {
        arenap_inside++;
        arena_interpose_collect();
        arenap_inside--;
    }
    return LIBC(malloc_trim)(pad);
}

/* There is nothing to choose here; it is no error to try. */
INTERPOSE int
mallopt(int parameter, int value)
{
    (void)parameter;
    (void)value;
    return 1;
}

static void
usage(arena_usage_t *out)
{
    arenap_inside++;
    arena_usage(out, sizeof *out);
    arenap_inside--;
}

INTERPOSE struct mallinfo2
mallinfo2(void)
{
    struct mallinfo2 info = {0};
    arena_usage_t now;

    usage(&now);
    info.arena = now.reserved + now.cached;
    info.usmblks = now.peak;
    info.uordblks = now.requested < now.reserved ? now.requested
                                                 : now.reserved;
    info.fordblks = info.arena - info.uordblks;
    return info;
}

/* As libc's: numbers that do not fit wrap. */
INTERPOSE struct mallinfo
mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    struct mallinfo info = {0};

    info.arena = (int)wide.arena;
    info.usmblks = (int)wide.usmblks;
    info.uordblks = (int)wide.uordblks;
    info.fordblks = (int)wide.fordblks;
    return info;
}

INTERPOSE void
malloc_stats(void)
{
    struct mallinfo2 info = mallinfo2();

    fprintf(stderr, "system bytes     = %10zu\nin use bytes     = %10zu\n"
                    "max system bytes = %10zu\n",
            info.arena, info.uordblks, info.usmblks);
}

INTERPOSE int
malloc_info(int options, FILE *stream)
{
    struct mallinfo2 info;

    if (options != 0)
        return EINVAL;
    info = mallinfo2();
    fprintf(stream,
            "<malloc version=\"1\">\n"
            "<system type=\"current\" size=\"%zu\"/>\n"
            "<system type=\"max\" size=\"%zu\"/>\n"
            "</malloc>\n",
            info.arena, info.usmblks);
    return 0;
}
