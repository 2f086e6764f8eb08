/* access.c: see access.h; and getting and setting single numbers. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "access.h"
#include "error.h"
#include "handshake.h"
#include "internal.h"
#include "os.h"
#include "thread.h"

/* --- Checks --- */

int
arenap_access_bounds(const arena_segment_t *segment, size_t offset, size_t n,
                     size_t mask, bool writes)
{
    if (segment == NULL || segment->live == NULL)
        return EINVAL;
    if (writes && (segment->flags & ARENA_SEGMENT_READ_ONLY) != 0)
        return EACCES;
    if (n > segment->size || offset > segment->size - n)
        return ERANGE;
    return (((uintptr_t)segment->addr + offset) & mask) != 0 ? EFAULT : 0;
}

static inline bool
is_current(const arena_segment_t *segment)
{
    return __atomic_load_n(segment->live, __ATOMIC_ACQUIRE) == segment->epoch;
}

int
arenap_access_enter(const arena_segment_t *segment, unsigned slot)
{
    struct arena *shared = arenap_access_shared(segment->asks);
    struct thread *self;

    if (((segment->owner ^ arenap_tls.serial) & segment->confined) != 0)
        return EPERM;
    if (shared == NULL)
        return is_current(segment) ? 0 : ESTALE;
    self = arenap_thread_self();
    if (ARENA_UNLIKELY(self == NULL))
        return ENOMEM;
    arenap_handshake_enter(self, slot, shared);
    if (ARENA_LIKELY(is_current(segment)))
        return 0;
    arenap_handshake_leave(self, slot);
    return ESTALE;
}

void
arenap_access_leave(const arena_segment_t *segment, unsigned slot)
{
    if (arenap_access_shared(segment->asks) != NULL)
        arenap_handshake_leave(arenap_tls.record, slot);
    arena_keep_alive(segment->addr);
    arena_keep_alive(segment->live);
}

/* --- Faults --- */

int
arenap_access_first(int fault, int other)
{
    static const int order[] = {EINVAL, ENOTSUP, EACCES, ERANGE,
                                EFAULT, EPERM,   ESTALE};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (fault == order[i] || other == order[i])
            return order[i];
    return fault != 0 ? fault : other;
}

static int
fail_argument(const arena_segment_t *segment)
{
    if (segment == NULL)
        return arenap_fail(EINVAL, "the segment is NULL");
    if (segment->live == NULL)
        return arenap_fail(EINVAL, "the segment is all zero: it was not made");
    return arenap_fail(EINVAL, "the pointer given with the segment is NULL");
}

static int
fail_range(const arena_segment_t *segment, size_t offset, size_t n)
{
    if (offset == SIZE_MAX)
        return arenap_fail(ERANGE,
                           "an index or a count overflows; the segment has "
                           "%zu bytes",
                           segment->size);
    return arenap_fail(ERANGE,
                       "%zu bytes at offset %zu are not in a segment of %zu "
                       "bytes",
                       n, offset, segment->size);
}

ARENA_COLD int
arenap_access_fail(const arena_segment_t *segment, size_t offset, size_t n,
                   size_t mask, int fault)
{
    switch (fault) {
    case EINVAL:
        return fail_argument(segment);
    case EACCES:
        return arenap_fail(EACCES, "the segment is read-only");
    case ERANGE:
        return fail_range(segment, offset, n);
    case EFAULT:
        return arenap_fail(EFAULT, "address %p is not a multiple of %zu",
                           (void *)((char *)segment->addr + offset), mask + 1);
    case EPERM:
        return arenap_fail(EPERM, "the arena is confined to another thread");
    case EIO:
        return arenap_fail(EIO, "the mapped file has become shorter: %zu "
                                "bytes at offset %zu are not there",
                           n, offset);
    case ENOMEM:
        return arenap_fail_system(sizeof(struct thread));
    default:
        return arenap_fail(ESTALE, "the memory is gone: its arena was "
                                   "closed, reset or rewound, or its buffer "
                                   "freed");
    }
}

int
arenap_access_begin(const arena_segment_t *segment, size_t offset, size_t n,
                    bool writes)
{
    int fault = arenap_access_bounds(segment, offset, n, 0, writes);

    if (ARENA_LIKELY(fault == 0))
        fault = arenap_access_enter(segment, 0);
    if (ARENA_LIKELY(fault == 0))
        return 0;
    return arenap_access_fail(segment, offset, n, 0, fault);
}

int
arena_segment_fail_(const arena_segment_t *segment, size_t offset,
                    size_t width, size_t mask, int fault)
{
    if (fault == 0)
        fault = arenap_access_bounds(segment, offset, width, mask, false);
    if (fault == 0) {
        fault = arenap_access_enter(segment, 0);
        if (fault == 0)
            arenap_access_leave(segment, 0);
    }
    return arenap_access_fail(segment, offset, width, mask, fault);
}

/* --- Numbers --- */

/* Copy a number, which lies anywhere. */
static inline void
number_copy(void *to, const void *from, size_t width)
{
    switch (width) {
    case 1:
        memcpy(to, from, 1);
        break;
    case 2:
        memcpy(to, from, 2);
        break;
    case 4:
        memcpy(to, from, 4);
        break;
    default:
        memcpy(to, from, 8);
        break;
    }
}

/* Its lowest bytes in memory, whatever the machine's order. */
static inline void *
number_at(uint64_t *bits, size_t width)
{
    return ARENA_NATIVE_ENDIAN == ARENA_BIG_ENDIAN
               ? (char *)bits + (sizeof *bits - width)
               : (char *)bits;
}

static inline uint64_t
number_load(const void *from, size_t width)
{
    uint8_t n8;
    uint16_t n16;
    uint32_t n32;
    uint64_t n64;

    switch (width) {
    case 1:
        memcpy(&n8, from, sizeof n8);
        return n8;
    case 2:
        memcpy(&n16, from, sizeof n16);
        return n16;
    case 4:
        memcpy(&n32, from, sizeof n32);
        return n32;
    default:
        memcpy(&n64, from, sizeof n64);
        return n64;
    }
}

static inline arena_segment_word_
word_fault(int fault)
{
    return (arena_segment_word_)(unsigned)fault << 64;
}

ARENA_COLD static arena_segment_word_
guarded_load(const void *addr, size_t width)
{
    uint64_t bits = 0;

    return arenap_os_copy(number_at(&bits, width), addr, width)
               ? bits
               : word_fault(EIO);
}

/* The memory is there; it may be of a file that is not. */
static inline arena_segment_word_
load_entered(uintptr_t asks, const void *addr, size_t width)
{
    return ARENA_LIKELY((asks & ASKS_GUARDED) == 0)
               ? number_load(addr, width)
               : guarded_load(addr, width);
}

ARENA_COLD static arena_segment_word_
load_first(uintptr_t asks, const void *addr, uint64_t epoch, size_t width)
{
    return arenap_thread_bind() != NULL
               ? arena_segment_load_(asks, addr, epoch, width)
               : word_fault(ENOMEM);
}

arena_segment_word_
arena_segment_load_(uintptr_t asks, const void *addr, uint64_t epoch,
                    size_t width)
{
    struct arena *shared = arenap_access_shared(asks);
    struct thread *self = arenap_tls.record;
    arena_segment_word_ word;

    if (ARENA_UNLIKELY(shared == NULL)) {
        word = load_entered(asks, addr, width);
        arena_keep_alive((void *)asks);
        return word;
    }
    if (ARENA_UNLIKELY(self == NULL))
        return load_first(asks, addr, epoch, width);
    arenap_handshake_enter(self, 0, shared);
    word = ARENA_LIKELY(atomic_load_explicit(&shared->epoch,
                                             memory_order_acquire)
                        == epoch)
               ? load_entered(asks, addr, width)
               : word_fault(ESTALE);
    arenap_handshake_leave(self, 0);
    return word;
}

int
arena_segment_store_(const arena_segment_t *segment, size_t offset,
                     size_t width, size_t mask, uint64_t bits)
{
    int fault = arenap_access_bounds(segment, offset, width, mask, true);
    char *at;

    if (ARENA_LIKELY(fault == 0))
        fault = arenap_access_enter(segment, 0);
    if (ARENA_UNLIKELY(fault != 0))
        return arenap_access_fail(segment, offset, width, mask, fault);
    at = (char *)segment->addr + offset;
    if (!arenap_access_is_guarded(segment))
        number_copy(at, number_at(&bits, width), width);
    else if (!arenap_os_copy(at, number_at(&bits, width), width))
        fault = EIO;
    arenap_access_leave(segment, 0);
    return fault == 0 ? 0
                      : arenap_access_fail(segment, offset, width, mask, EIO);
}
