/*
 * os.h: the system.  Calls that allocate return NULL when it refuses; errno
 * is not theirs to set: they keep it.
 */
#ifndef ARENA_LIB_OS_H
#define ARENA_LIB_OS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- Memory --- */

/* Zero-filled pages of the library's own, never given back, 64-byte aligned.
 * The collector does not look into them: nothing there keeps a block. */
void *arenap_os_meta(size_t size);

/* Call visit for each range that arenap_os_meta took from the system.  Takes
 * no lock. */
void arenap_os_meta_each(void (*visit)(uintptr_t lo, uintptr_t hi, void *),
                         void *context);

/* Zero-filled pages, a multiple of the page size; to be unmapped. */
void *arenap_os_map(size_t size);
/* The same, of which only the first page can be used, and costs anything. */
void *arenap_os_map_room(size_t size);
void arenap_os_unmap(void *address, size_t size);

/* Make pages inaccessible.  Returns false when the system refuses. */
bool arenap_os_guard(void *address, size_t size);

/* May the 8 bytes at an address be read?  Asks the system. */
bool arenap_os_readable(const void *address);

/* Copy between memory of the process, of which one side may be pages of a file
 * that is gone.  False then; a part may have been copied. */
bool arenap_os_copy(void *to, const void *from, size_t n);

/* Is malloc libc's own?  Not under a checker, or with another one in front. */
bool arenap_os_malloc_is_libc(void);

/* It is, whatever other libraries get by that name. */
void arenap_os_malloc_is_bypassed(void);

/* malloc_usable_size. */
size_t arenap_os_usable(void *block);

/* Give the pages of a block of collected memory back, where that can be done
 * at once: what is in it is not defined any more. */
void arenap_os_discard(void *block, size_t size);

/* Set to zero, of a block of collected memory: its pages are given back, to
 * come back as zeroes when they are touched. */
void arenap_os_clear(void *block, size_t size);

/* Let malloc give free memory back to the system. */
void arenap_os_trim(void);

/* Overwrite the stack below the caller, and registers that hold nothing now:
 * addresses of blocks that were used by calls that have returned would keep
 * them. */
void arenap_os_scrub(void);

/* --- Time --- */

#define ARENA_OS_NEVER UINT64_MAX

uint64_t arenap_os_now(void);    /* monotonic, ns */
uint64_t arenap_os_coarse(void); /* the same clock to a few ms, cheaper */

/* --- Waiting: unhurt by the collector's signals --- */

/* Sleep while *word is expected, up to a deadline of arenap_os_now.  May
 * return early.  Returns false when the deadline has passed. */
bool arenap_os_wait(_Atomic uint32_t *word, uint32_t expected,
                    uint64_t deadline);
void arenap_os_wake(_Atomic uint32_t *word, int how_many);

/* Sleep so long.  No point where a thread can be cancelled. */
void arenap_os_sleep(uint64_t nanoseconds);

/* Between two looks at a word that another thread is about to change. */
static inline void
arenap_os_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* --- Asymmetric barriers ---
 *
 * Thread A: store x; light; load y.  Thread B: store y; heavy; load x.  At
 * least one sees the other's store.  Light costs nothing: the work is done by
 * membarrier(2), or, for the thread sanitizer, by real fences on both sides.
 * Without either, arenap_os_has_heavy is false and light does nothing: who
 * looks at that first makes a barrier of its own.  It becomes false, too, when
 * the program forbids itself that call (a seccomp filter): heavy then takes
 * the time in which all threads hear of it. */

#if defined(__SANITIZE_THREAD__)
#define ARENA_OS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ARENA_OS_TSAN 1
#endif
#endif
#ifndef ARENA_OS_TSAN
#define ARENA_OS_TSAN 0
#endif

extern _Atomic bool arenap_os_has_heavy;

static inline void
arenap_os_light(void)
{
    if (ARENA_OS_TSAN)
        atomic_thread_fence(memory_order_seq_cst);
    else
        atomic_signal_fence(memory_order_seq_cst);
}

/* The same where there is no heavy one. */
static inline void
arenap_os_light_or_full(void)
{
    if (__builtin_expect(atomic_load_explicit(&arenap_os_has_heavy,
                                              memory_order_relaxed),
                         1))
        arenap_os_light();
    else
        atomic_thread_fence(memory_order_seq_cst);
}

void arenap_os_heavy(void);

/* --- The process --- */

/* Bytes that this process may use: its control group's limit, else RAM. */
size_t arenap_os_memory(void);

int arenap_os_tid(void);

/* A number that is different in each process, but for forked ones. */
uint64_t arenap_os_random(void);

/* Has the thread of this process with this id ended? */
bool arenap_os_tid_gone(int tid);

/* Once, before anything else here. */
void arenap_os_init(void);
void arenap_os_fork_prepare(void);
void arenap_os_fork_done(void); /* parent and child */

#endif
