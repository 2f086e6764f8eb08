/*
 * arena/segment.h - checked memory: an address with its bounds and its arena.
 *
 * A segment is a plain value: copy it, keep it where you like, throw it away.
 * Each access through it checks the bounds, the alignment, the thread and
 * whether the memory is still there; what fails has changed nothing.  A
 * segment of an arena that was closed or reset, or rewound past its block,
 * answers ESTALE for ever, also when its memory and its arena's control block
 * have been used again since.
 *
 * On shared arenas an access and a close never overlap: a close, or reset,
 * that has begun waits for the accesses that are going on, and all later ones
 * get ESTALE.  That costs the accessing thread no atomic read-modify-write.
 * What is used by its plain address is covered by arena_acquire alone.
 *
 * Errors, as in arena.h.  When several things are wrong the first of this
 * list is reported, for operations on no bytes too:
 *
 *   EINVAL   bad argument: NULL where an object is needed, an alignment that
 *            is not a power of two, a segment that is all zero
 *   ENOTSUP  the arena, or a segment that is not of a file, does not offer it
 *   EACCES   writing to a read-only segment
 *   ERANGE   bytes that are not all in the segment; an index that overflows;
 *            a string without its end
 *   EFAULT   the address is not aligned for the type
 *   EPERM    a confined arena, used by a thread that does not own it
 *   ESTALE   the arena is closed, or was reset or rewound; the buffer freed
 *   EIO      a mapped file has become shorter: the bytes are not there
 *   ENOMEM   as in arena.h
 *
 * Slices and questions about bounds look at the segment alone: they work in
 * any thread, and when the arena is closed.
 *
 * Threads: a segment may be used by many threads at once, if its arena may;
 * bytes that one writes while another uses them are a data race as with plain
 * pointers, but for the atomic operations.  "Collects" as in arena.h: where a
 * comment does not say, a call never collects.  No call may be made in a
 * signal handler.
 *
 * Lifetime: a segment keeps no explicit arena open.  One of collected memory
 * (auto, implicit, a buffer) keeps that alive wherever the collector sees the
 * segment.  A block of the implicit arena that arena_free has freed is not
 * known to its segments.
 *
 * The model is java.lang.foreign.MemorySegment of the JDK.  Different are: an
 * index or a count that overflows is ERANGE (the JDK 25 wraps), writes are
 * all or nothing, operations on no bytes check as all others do, and pointers
 * found in memory get the bounds and the lifetime of their block.
 */
#ifndef ARENA_SEGMENT_H
#define ARENA_SEGMENT_H

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "../arena.h"
#include "buffer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A compiler that inlines all this warns of a segment that was not made,
 * where it cannot follow the checks. */
#if defined(__GNUC__)
#define ARENA_INLINE_ static __inline__ __attribute__((unused))
#define ARENA_SEGMENT_UNKNOWN_(made) __asm__("" : "+m"(made))
#else
#define ARENA_INLINE_ static inline
#define ARENA_SEGMENT_UNKNOWN_(made) ((void)(made))
#endif

/* --- Types ------------------------------------------------------------- */

/** Checked memory.  Read addr, size and arena; change nothing by hand. */
typedef struct arena_segment {
    void *addr;     /**< of the first byte */
    size_t size;    /**< in bytes */
    arena_t *arena; /**< that the memory belongs to */
    uint64_t epoch; /**< the memory is there as long as this is the epoch */
    const uint64_t *live; /* where that is looked up */
    uint64_t owner;       /* serial of the thread that may use it */
    uint64_t confined;    /* the bits of owner that count: all or none */
    uintptr_t asks;       /* not 0: each access is a call, about this */
    uint32_t flags;       /* ARENA_SEGMENT_... */
    uint32_t spare;
    uintptr_t reserved;
} arena_segment_t;

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a type and a call of one name */
#endif

/** Bits of flags: it cannot be written; it is of a mapped file; over memory
 *  that the caller vouched for. */
#define ARENA_SEGMENT_READ_ONLY 1u
#define ARENA_SEGMENT_MAPPED 2u
#define ARENA_SEGMENT_WRAPPED 4u

/* --- Making ------------------------------------------------------------ */

/* What arena_segment calls. */
ARENA_API int arena_segment_make_(arena_t *arena, size_t size, size_t align,
                                  arena_segment_t *out);

/**
 * Allocate zero-filled memory, as arena_alloc_aligned, as a segment.
 *
 * @param arena  any kind
 * @param size   in bytes; 0 gives an empty segment with an address of its own
 * @param align  of the address; a power of two
 * @param out    receives the segment; unchanged on failure
 *
 * @return 0; or -1 with errno as arena_alloc_aligned, also EINVAL: arena or
 *         out is NULL.
 *
 * Threads, Lifetime, Collects: as arena_alloc.
 * As Arena.allocate of the JDK.
 *
 *     arena_segment_t s;
 *     if (arena_segment(arena, 4096, 8, &s) != 0
 *         || arena_set_i32_at(&s, 7, 42) != 0)
 *         return -1;
 */
ARENA_INLINE_ int
arena_segment(arena_t *arena, size_t size, size_t align, arena_segment_t *out)
{
    arena_segment_t made;

    if (arena_segment_make_(arena, size, align, out != NULL ? &made : NULL)
        != 0) {
        if (out != NULL)
            ARENA_SEGMENT_UNKNOWN_(*out);
        return -1;
    }
    *out = made;
    out->size = size; /* which the compiler may know */
    return 0;
}

/**
 * The segment that a pointer into memory of the library's leads to, from
 * there on: to the end of its block where that is known (blocks of the
 * implicit arena, of arena_malloc, of ARENA_GUARDED arenas, and those larger
 * than 64 KiB; in small arenas, those larger than 16 KiB), else of the part of
 * its chunk that is in use: for small blocks of an arena that is no check of
 * their bounds.  What a cursor holds counts as used.
 *
 * A segment of a confined arena dies with the next rewind to a mark that was
 * taken before the block was allocated, not with others.
 *
 * @return 0; or -1 with errno set:
 *         EINVAL  out is NULL; ptr leads to no block of the library's, or
 *                 into a direct buffer (there is arena_buffer_segment)
 *         EPERM   the arena is confined to another thread
 *
 * The cost grows with the number of chunks of the arena.
 */
ARENA_API int arena_segment_of(const void *ptr, arena_segment_t *out);

/**
 * A segment over memory that the caller vouches for (malloc'd, static, of a
 * device), with an arena's lifetime.
 *
 * Memory of another arena is kept as long: that arena is acquired, or its
 * block pinned, until this one is closed or reset.
 *
 * @param arena  any kind
 * @param addr   NULL only for size 0
 *
 * @return 0; or -1 with errno set: EINVAL; EPERM or ESTALE of either arena;
 *         EBUSY: the other arena is about to be closed; ENOTSUP: it would
 *         have to be kept, and arena has no close actions, or is closed with
 *         it in front (the memory is a child's); ENOMEM.
 *
 * Two arenas that wrap each other's memory keep each other open.
 *
 * Collects: as arena_on_close.
 * As MemorySegment.reinterpret(size, arena, null) of the JDK, which does not
 * keep the other arena.
 */
ARENA_API int arena_segment_wrap(arena_t *arena, void *addr, size_t size,
                                 arena_segment_t *out);

/**
 * The same memory with another size, up to the end of the memory that is
 * known there (as arena_segment_of); ERANGE past that.  Of memory that
 * arena_segment_wrap vouched for the caller vouches again.
 *
 * @return 0; or -1 with errno EINVAL, ERANGE, EPERM or ESTALE.
 *
 * As MemorySegment.reinterpret(size) of the JDK, which believes any size.
 */
ARENA_API int arena_segment_reinterpret(const arena_segment_t *segment,
                                        size_t size, arena_segment_t *out);

/** The bytes from the position of a buffer to its limit; read-only if it is.
 *  The segment keeps the bytes alive, and answers ESTALE when they are freed
 *  by hand.
 *  @return 0; or -1 with errno EINVAL or ESTALE.
 *  As MemorySegment.ofBuffer of the JDK. */
ARENA_API int arena_buffer_segment(const arena_buffer_t *buffer,
                                   arena_segment_t *out);

/**
 * A buffer over the bytes of a segment: a view, with position 0 and its size
 * as capacity and limit, in the machine's byte order; read-only if it is.
 *
 * Each call that gets or puts checks what an access through the segment does:
 * also EPERM and EIO, and ESTALE when its arena is closed.  Reading from and
 * writing to a descriptor acquires the arena as long as it takes.  Over the
 * segment of a direct buffer it is a view of that.
 *
 * @return the buffer; or NULL with errno set: EINVAL, ESTALE, ENOMEM (the
 *         system refused), ENOTSUP (the collector runs in a mode that cannot
 *         be used).
 *
 * Threads:  any may make one, also of a confined arena of another thread's.
 * Lifetime: it keeps what the segment does, and has nothing to be freed.
 * Collects: may.
 * As MemorySegment.asByteBuffer of the JDK, without its limit of 2 GiB.
 */
ARENA_API arena_buffer_t *
arena_buffer_of_segment(const arena_segment_t *segment);

/* --- Parts and views --------------------------------------------------- */

/** Part of a segment: size bytes from an offset.  An empty part at the end is
 *  allowed.  out may be segment.
 *  @return 0; or -1 with errno EINVAL or ERANGE.
 *  As MemorySegment.asSlice of the JDK. */
ARENA_API int arena_segment_slice(const arena_segment_t *segment,
                                  size_t offset, size_t size,
                                  arena_segment_t *out);

/** As arena_segment_slice; the address must be a multiple of align.
 *  @return also -1 with errno EINVAL: align is no power of two; EFAULT. */
ARENA_API int arena_segment_slice_aligned(const arena_segment_t *segment,
                                          size_t offset, size_t size,
                                          size_t align, arena_segment_t *out);

/** The same memory, not to be written; so all its parts.
 *  @return 0; or -1 with errno EINVAL.
 *  As MemorySegment.asReadOnly of the JDK. */
ARENA_API int arena_segment_read_only(const arena_segment_t *segment,
                                      arena_segment_t *out);

/**
 * One of several disjoint parts that together are the segment, for parallel
 * work: of nearly the same number of elements each.
 *
 * @param element  their size in bytes: the segment's is a multiple of it
 * @param parts    how many; some are empty if there are fewer elements
 * @param index    which, below parts
 *
 * @return 0; or -1 with errno set:
 *         EINVAL  element or parts is 0, the size is no multiple of element
 *         ERANGE  index is not below parts
 *
 * As MemorySegment.spliterator of the JDK.
 */
ARENA_API int arena_segment_split(const arena_segment_t *segment,
                                  size_t element, size_t parts, size_t index,
                                  arena_segment_t *out);

/** What two segments have in common, as a part of the first.
 *  @return 1; 0 when that is nothing, out unchanged; -1 with errno EINVAL.
 *  As MemorySegment.asOverlappingSlice of the JDK. */
ARENA_API int arena_segment_overlap(const arena_segment_t *segment,
                                    const arena_segment_t *other,
                                    arena_segment_t *out);

/* --- Asking ------------------------------------------------------------ */

/** Is the memory still there?  Any thread; never fails; NULL: no. */
ARENA_C99_ ARENA_API bool
arena_segment_is_alive(const arena_segment_t *segment);

/** Is it there, and may the calling thread use it? */
ARENA_C99_ ARENA_API bool
arena_segment_is_accessible(const arena_segment_t *segment);

/** Do two segments begin at the same address?
 *  As MemorySegment.equals of the JDK for native segments. */
ARENA_C99_ ARENA_INLINE_ bool
arena_segment_same_address(const arena_segment_t *a, const arena_segment_t *b)
{
    return a != NULL && b != NULL && a->addr == b->addr;
}

/* --- Bytes ------------------------------------------------------------- */

/** Get n bytes at an offset.  out may be NULL if n is 0.
 *  @return 0; or -1 with errno as at the top of this file. */
ARENA_API int arena_get_bytes(const arena_segment_t *segment, size_t offset,
                              void *out, size_t n);

/** Set n bytes at an offset; all of them or none. */
ARENA_API int arena_set_bytes(const arena_segment_t *segment, size_t offset,
                              const void *data, size_t n);

/** Set all bytes of a segment to one value.  As MemorySegment.fill. */
ARENA_API int arena_segment_fill(const arena_segment_t *segment,
                                 uint8_t value);

/** Copy n bytes; all or none.  The two may overlap, as for memmove.
 *  As MemorySegment.copy of the JDK. */
ARENA_API int arena_segment_copy(const arena_segment_t *to, size_t to_offset,
                                 const arena_segment_t *from,
                                 size_t from_offset, size_t n);

/**
 * Copy elements of 1, 2, 4 or 8 bytes from one byte order to another; all or
 * none.  The two may overlap.  Addresses need not be aligned.
 *
 * @return 0; or -1 with errno as at the top of this file; EINVAL: another
 *         element size; ERANGE: also when count * element overflows.
 */
ARENA_API int arena_segment_copy_array(const arena_segment_t *to,
                                       size_t to_offset,
                                       arena_order_t to_order,
                                       const arena_segment_t *from,
                                       size_t from_offset,
                                       arena_order_t from_order, size_t count,
                                       size_t element);

/** Where two segments begin to differ.
 *  @return -1 when they are the same; the length of the shorter one when the
 *          longer one begins with it; -2 with errno set.
 *  As MemorySegment.mismatch of the JDK. */
ARENA_API ptrdiff_t arena_segment_mismatch(const arena_segment_t *a,
                                           const arena_segment_t *b);

/* --- Arrays ------------------------------------------------------------ */

/** Get an array of count elements of 1, 2, 4 or 8 bytes, which lie in the
 *  segment in a byte order.  Addresses need not be aligned.
 *  @return 0; or -1 with errno as at the top of this file; EINVAL: another
 *          element size; ERANGE: also when count * element overflows. */
ARENA_API int arena_get_array(const arena_segment_t *segment, size_t offset,
                              void *out, size_t count, size_t element,
                              arena_order_t order);

/** Set one; all of it or nothing. */
ARENA_API int arena_set_array(const arena_segment_t *segment, size_t offset,
                              const void *data, size_t count, size_t element,
                              arena_order_t order);

/* --- Strings ----------------------------------------------------------- */

/**
 * The length of the string at an offset, in units, without its end.
 *
 * No byte past the segment is looked at.
 *
 * @param unit  1 for UTF-8 and the like, 2 for UTF-16, 4 for UTF-32; the
 *              string ends with a unit that is zero
 *
 * @return 0; or -1 with errno as at the top of this file; ERANGE: there is no
 *         end in the segment; EINVAL: another unit.
 */
ARENA_API int arena_string_length(const arena_segment_t *segment,
                                  size_t offset, size_t unit, size_t *out);

/**
 * A copy of the string at an offset, in an arena.
 *
 * @param to  where the copy goes; NULL: the implicit arena
 *
 * @return the copy; or NULL with errno as arena_string_length or arena_alloc.
 *
 * Threads, Lifetime, Collects: as arena_strdup.
 * As MemorySegment.getString of the JDK.
 */
ARENA_API char *arena_get_string(const arena_segment_t *segment,
                                 size_t offset, arena_t *to);

/** Set a string with its end at an offset; all of it or nothing.
 *  As MemorySegment.setString of the JDK, which may leave a part. */
ARENA_API int arena_set_string(const arena_segment_t *segment, size_t offset,
                               const char *s);

/* --- Pointers ---------------------------------------------------------- */

/** Get a pointer and follow it: as arena_get_ptr, then arena_segment_of.  NULL
 *  gives an empty segment at NULL, of the global arena.
 *  @return 0; or -1 with errno of either. */
ARENA_API int arena_get_segment(const arena_segment_t *segment, size_t offset,
                                arena_segment_t *out);

/* --- Mapped files ------------------------------------------------------ */

/** How a file is mapped. */
typedef enum {
    ARENA_MAP_READ,   /**< read-only */
    ARENA_MAP_WRITE,  /**< what is written goes to the file, which is made
                       *   longer if it is too short */
    ARENA_MAP_PRIVATE /**< what is written is seen here alone */
} arena_map_mode_t;

/** To be added to a mode: nobody makes the file shorter meanwhile.  Accesses
 *  are then as fast as to other memory; if somebody does, the next one ends
 *  the program by SIGBUS. */
#define ARENA_MAP_TRUSTED 16u

/**
 * Map part of a file; it is unmapped when the arena is closed, reset, or
 * rewound to an earlier mark.
 *
 * When the file becomes shorter, an access to what is gone fails with EIO;
 * what is left of its last page reads as zero, and what is written there is
 * lost.  To make sure of that, each access without ARENA_MAP_TRUSTED is a
 * system call: prefer arrays and copies to single numbers.  Where the system
 * does not let a process copy its own memory (a seccomp filter), it is asked
 * before the access instead, and a file that becomes shorter between the two
 * ends the program; so does one during an atomic operation.
 *
 * The bytes are counted in the pool mapped of arena_usage (size and what is
 * before it in its first page), of no arena; no limit applies to them.  The
 * arena takes a page for each mapping.  The descriptor may be closed.
 *
 * @param arena   any kind but implicit
 * @param offset  in the file; any
 * @param size    0 gives an empty segment
 * @param mode    arena_map_mode_t, perhaps with ARENA_MAP_TRUSTED
 *
 * @return 0; or -1 with errno set:
 *         EINVAL   NULL, an unknown mode, offset is negative
 *         ENOTSUP  the implicit arena
 *         EPERM, ESTALE  as arena_alloc
 *         ERANGE   past the end of a file that is not to be made longer
 *         ENOMEM   as arena_alloc
 *         or that of fstat(2), mmap(2), fallocate(2): EBADF, EACCES ...
 *         The file is as long as before, unless the arena was closed
 *         meanwhile.
 *
 * Threads, Collects: as arena_alloc, and when the system has no room for it in
 * an auto arena; then close actions are waited for, for half a second at
 * most.  In an auto arena arena_of does not know
 * its address, and it is unmapped in its turn among the close actions.
 * As FileChannel.map(mode, offset, size, arena) of the JDK.
 */
ARENA_API int arena_map(arena_t *arena, int fd, off_t offset, size_t size,
                        unsigned mode, arena_segment_t *out);

/** Wait until what was written is in the file.
 *  @return 0; or -1 with errno EINVAL, ENOTSUP (not a mapped file), EPERM,
 *          ESTALE, EIO (the file has become shorter), or that of msync(2); so
 *          all of these.
 *  As MemorySegment.force of the JDK. */
ARENA_API int arena_map_sync(const arena_segment_t *segment);

/** How many of its bytes are in memory now, by page. */
ARENA_API int arena_map_resident(const arena_segment_t *segment,
                                 size_t *bytes);

/** What the program is going to do with it. */
typedef enum {
    ARENA_ADVICE_NORMAL,
    ARENA_ADVICE_RANDOM,     /**< do not read ahead */
    ARENA_ADVICE_SEQUENTIAL, /**< read far ahead */
    ARENA_ADVICE_WILLNEED,   /**< read it now */
    ARENA_ADVICE_DONTNEED    /**< not soon; nothing that was written is lost */
} arena_advice_t;

/** Tell the system.  It may not listen: that is no failure. */
ARENA_API int arena_map_advise(const arena_segment_t *segment,
                               arena_advice_t advice);

/* --- Atomic operations --------------------------------------------------
 *
 * Below, for each of i32, u32, i64 and u64:
 *
 *   int arena_atomic_load_i32(segment, offset, int32_t *out);
 *   int arena_atomic_store_i32(segment, offset, int32_t value);
 *   int arena_atomic_exchange_i32(segment, offset, value, int32_t *old);
 *   int arena_atomic_compare_exchange_i32(segment, offset,
 *                                         int32_t *expected, value);
 *   int arena_atomic_fetch_add_i32(segment, offset, value, int32_t *old);
 *   and fetch_and, fetch_or, fetch_xor.
 *
 * All are sequentially consistent.  The address must be aligned: EFAULT.  All
 * but load are writes: EACCES.  old may be NULL.  compare_exchange gives 1
 * when it has stored value, else 0 and in *expected what was found; all
 * others 0; -1 with errno set.
 * As the access modes of VarHandle of the JDK.
 */
#define ARENA_ATOMIC_LOAD_ 0
#define ARENA_ATOMIC_STORE_ 1
#define ARENA_ATOMIC_EXCHANGE_ 2
#define ARENA_ATOMIC_COMPARE_EXCHANGE_ 3
#define ARENA_ATOMIC_FETCH_ADD_ 4
#define ARENA_ATOMIC_FETCH_AND_ 5
#define ARENA_ATOMIC_FETCH_OR_ 6
#define ARENA_ATOMIC_FETCH_XOR_ 7

/* What they call: on 4 or 8 bytes.  *seen receives what was there; of
 * compare_exchange it is what is expected, before. */
ARENA_API int arena_segment_atomic_(const arena_segment_t *segment,
                                    size_t offset, size_t width, int operation,
                                    uint64_t value, uint64_t *seen);

#define ARENA_ATOMIC_UPDATE_(op, code, name, type, bits)                      \
    ARENA_INLINE_ int arena_atomic_##op##_##name(                             \
        const arena_segment_t *segment, size_t offset, type value, type *old) \
    {                                                                         \
        uint64_t seen = 0;                                                    \
                                                                              \
        if (arena_segment_atomic_(segment, offset, sizeof(type), code,        \
                                  (bits)value, &seen)                         \
            != 0)                                                             \
            return -1;                                                        \
        if (old != NULL)                                                      \
            *old = (type)(bits)seen;                                          \
        return 0;                                                             \
    }

#define ARENA_ATOMIC_(name, type, bits)                                       \
    ARENA_INLINE_ int arena_atomic_load_##name(                               \
        const arena_segment_t *segment, size_t offset, type *out)             \
    {                                                                         \
        uint64_t seen = 0;                                                    \
                                                                              \
        if (arena_segment_atomic_(segment, offset, sizeof(type),              \
                                  ARENA_ATOMIC_LOAD_, 0,                      \
                                  out != NULL ? &seen : NULL)                 \
            != 0)                                                             \
            return -1;                                                        \
        *out = (type)(bits)seen;                                              \
        return 0;                                                             \
    }                                                                         \
    ARENA_INLINE_ int arena_atomic_store_##name(                              \
        const arena_segment_t *segment, size_t offset, type value)            \
    {                                                                         \
        uint64_t seen = 0;                                                    \
                                                                              \
        return arena_segment_atomic_(segment, offset, sizeof(type),           \
                                     ARENA_ATOMIC_STORE_, (bits)value,        \
                                     &seen);                                  \
    }                                                                         \
    ARENA_INLINE_ int arena_atomic_compare_exchange_##name(                   \
        const arena_segment_t *segment, size_t offset, type *expected,        \
        type value)                                                           \
    {                                                                         \
        uint64_t seen = expected != NULL ? (bits)*expected : 0;               \
        int result = arena_segment_atomic_(                                   \
            segment, offset, sizeof(type), ARENA_ATOMIC_COMPARE_EXCHANGE_,    \
            (bits)value, expected != NULL ? &seen : NULL);                    \
                                                                              \
        if (result == 0)                                                      \
            *expected = (type)(bits)seen;                                     \
        return result;                                                        \
    }                                                                         \
    ARENA_ATOMIC_UPDATE_(exchange, ARENA_ATOMIC_EXCHANGE_, name, type, bits)  \
    ARENA_ATOMIC_UPDATE_(fetch_add, ARENA_ATOMIC_FETCH_ADD_, name, type,      \
                         bits)                                                \
    ARENA_ATOMIC_UPDATE_(fetch_and, ARENA_ATOMIC_FETCH_AND_, name, type,      \
                         bits)                                                \
    ARENA_ATOMIC_UPDATE_(fetch_or, ARENA_ATOMIC_FETCH_OR_, name, type, bits)  \
    ARENA_ATOMIC_UPDATE_(fetch_xor, ARENA_ATOMIC_FETCH_XOR_, name, type, bits)

ARENA_ATOMIC_(i32, int32_t, uint32_t)
ARENA_ATOMIC_(u32, uint32_t, uint32_t)
ARENA_ATOMIC_(i64, int64_t, uint64_t)
ARENA_ATOMIC_(u64, uint64_t, uint64_t)

/* --- Numbers ------------------------------------------------------------
 *
 * Below, for each of i8, u8, i16, u16, i32, u32, i64, u64, f32, f64 and ptr:
 *
 *   int arena_get_i32(segment, offset, int32_t *out);
 *   int arena_set_i32(segment, offset, int32_t value);
 *
 * at an offset in bytes, where the address must be a multiple of the type's
 * size; and with these suffixes, of which the first two may be joined to the
 * others, as in arena_get_i32_le_at:
 *
 *   _le, _be    in that byte order, not the machine's
 *   _at         at an index: the offset is index times the size
 *   _unaligned  at any address
 *
 * bool: any byte but 0 is true; 1 or 0 is written.
 *
 * They are compiled into the caller: in a loop the compiler can do all checks
 * of a segment of one thread before it begins.  Each returns 0; or -1 with
 * errno as at the top of this file, and then *out is unchanged.
 * As MemorySegment.get and set, getAtIndex and setAtIndex of the JDK.
 */

#if defined(__GNUC__)
#define ARENA_SEGMENT_ACCESS_                                                 \
    static __inline__ __attribute__((unused, always_inline))
#define ARENA_SEGMENT_LIKELY_(x) __builtin_expect(!!(x), 1)
#define ARENA_SEGMENT_PURE_ __attribute__((pure, nothrow))
#define ARENA_SEGMENT_TLS_ __extension__ extern __thread
#else
#define ARENA_SEGMENT_ACCESS_ static inline
#define ARENA_SEGMENT_LIKELY_(x) (x)
#define ARENA_SEGMENT_PURE_
#define ARENA_SEGMENT_TLS_ extern _Thread_local
#endif

/* The thread sanitizer should see that others may be changing it. */
#if defined(__SANITIZE_THREAD__)
#define ARENA_SEGMENT_EPOCH_(segment)                                         \
    __atomic_load_n((segment)->live, __ATOMIC_ACQUIRE)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ARENA_SEGMENT_EPOCH_(segment)                                         \
    __atomic_load_n((segment)->live, __ATOMIC_ACQUIRE)
#endif
#endif
#ifndef ARENA_SEGMENT_EPOCH_
#define ARENA_SEGMENT_EPOCH_(segment) (*(segment)->live)
#endif

/* Serial of the calling thread, as in owner; 0: it is not known yet. */
ARENA_SEGMENT_TLS_ ARENA_API uint64_t arena_self_;

/* What a load by a call gives: the bytes as a number; above bit 63 the errno
 * of what is wrong. */
__extension__ typedef unsigned __int128 arena_segment_word_;

/* A load by a call: to the program it is as a plain one. */
ARENA_API arena_segment_word_
arena_segment_load_(uintptr_t asks, const void *addr, uint64_t epoch,
                    size_t width) ARENA_SEGMENT_PURE_;

/* All checks, then a store. */
ARENA_API int arena_segment_store_(const arena_segment_t *segment,
                                   size_t offset, size_t width, size_t mask,
                                   uint64_t bits);

/* Set errno and the sentence: of a fault, or, 0, of what is wrong with an
 * access.  Returns -1. */
ARENA_API int arena_segment_fail_(const arena_segment_t *segment,
                                  size_t offset, size_t width, size_t mask,
                                  int fault);

/* As the accessors call them: known to fail; and with a copy, so that the
 * segment which they look at may be in registers. */
ARENA_SEGMENT_ACCESS_ int
arena_segment_missing_(size_t width)
{
    arena_segment_fail_(NULL, 0, width, 0, EINVAL);
    return -1;
}

ARENA_SEGMENT_ACCESS_ int
arena_segment_fail_copy_(const arena_segment_t *segment, size_t offset,
                         size_t width, size_t mask, int fault)
{
    arena_segment_t copy = *segment;

    arena_segment_fail_(&copy, offset, width, mask, fault);
    return -1;
}

ARENA_SEGMENT_ACCESS_ int
arena_segment_store_copy_(const arena_segment_t *segment, size_t offset,
                          size_t width, size_t mask, uint64_t bits)
{
    arena_segment_t copy = *segment;

    return arena_segment_store_(&copy, offset, width, mask, bits);
}

/* Is all well, as can be seen at a glance, but for the bounds?  No bit is set
 * then: one number that depends on the segment alone, so that a loop asks once
 * what it is.  also: what must be 0, too. */
ARENA_SEGMENT_ACCESS_ uint64_t
arena_segment_odd_(const arena_segment_t *segment, uint64_t also)
{
    return (ARENA_SEGMENT_EPOCH_(segment) ^ segment->epoch)
           | ((segment->owner ^ arena_self_) & segment->confined) | also;
}

ARENA_C99_ ARENA_SEGMENT_ACCESS_ bool
arena_segment_holds_(const arena_segment_t *segment, size_t offset,
                     size_t width)
{
    return width <= segment->size && offset <= segment->size - width;
}

/* The offset of an element; out of all bounds if there is none. */
ARENA_SEGMENT_ACCESS_ size_t
arena_segment_offset_(size_t index, size_t width)
{
    return index <= SIZE_MAX / 2 / width ? index * width : SIZE_MAX;
}

ARENA_SEGMENT_ACCESS_ uint8_t
arena_swap_8_(uint8_t n)
{
    return n;
}

ARENA_SEGMENT_ACCESS_ uint16_t
arena_swap_16_(uint16_t n)
{
    return (uint16_t)(n >> 8 | n << 8);
}

ARENA_SEGMENT_ACCESS_ uint32_t
arena_swap_32_(uint32_t n)
{
    return (uint32_t)arena_swap_16_((uint16_t)n) << 16
           | arena_swap_16_((uint16_t)(n >> 16));
}

ARENA_SEGMENT_ACCESS_ uint64_t
arena_swap_64_(uint64_t n)
{
    return (uint64_t)arena_swap_32_((uint32_t)n) << 32
           | arena_swap_32_((uint32_t)(n >> 32));
}

#define ARENA_SWAP_none_(width, n) (n)
#define ARENA_SWAP_turn_(width, n) arena_swap_##width##_(n)
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define ARENA_SWAP_le_ ARENA_SWAP_turn_
#define ARENA_SWAP_be_ ARENA_SWAP_none_
#else
#define ARENA_SWAP_le_ ARENA_SWAP_none_
#define ARENA_SWAP_be_ ARENA_SWAP_turn_
#endif

/* One pair of functions.  bits_t is the unsigned type of that width; at is
 * the offset of place, the parameter, if it is within bounds, offset in any
 * case; askew is not 0 if the address is not aligned.  What depends on the
 * segment alone stands where a compiler can take it out of a loop: the copy,
 * and one condition.  The slow way of a get takes no address, lest its call
 * should seem to change something. */
#define ARENA_SEGMENT_PAIR_(name, type, bits_t, width, swap, place, at,       \
                            offset, within, askew, mask)                      \
    ARENA_SEGMENT_ACCESS_ int arena_get_##name(                               \
        const arena_segment_t *segment, size_t place, type *out)              \
    {                                                                         \
        arena_segment_t s;                                                    \
        arena_segment_word_ word;                                             \
        bits_t bits;                                                          \
                                                                              \
        if (!ARENA_SEGMENT_LIKELY_(segment != NULL && out != NULL))           \
            return arena_segment_missing_(sizeof bits);                       \
        s = *segment;                                                         \
        if (!ARENA_SEGMENT_LIKELY_(within))                                   \
            return arena_segment_fail_copy_(&s, offset, sizeof bits, mask,    \
                                            0);                               \
        if (ARENA_SEGMENT_LIKELY_(arena_segment_odd_(&s, (askew) | s.asks)    \
                                  == 0)) {                                    \
            memcpy(&bits, (const char *)s.addr + (at), sizeof bits);          \
        } else {                                                              \
            if (s.asks == 0 || arena_segment_odd_(&s, askew) != 0)            \
                return arena_segment_fail_copy_(&s, offset, sizeof bits,      \
                                                mask, 0);                     \
            word = arena_segment_load_(s.asks, (const char *)s.addr + (at),   \
                                       s.epoch, sizeof bits);                 \
            if (word >> 64 != 0)                                              \
                return arena_segment_fail_copy_(&s, offset, sizeof bits,      \
                                                mask, (int)(word >> 64));     \
            bits = (bits_t)word;                                              \
        }                                                                     \
        bits = swap(width, bits);                                             \
        memcpy(out, &bits, sizeof bits);                                      \
        return 0;                                                             \
    }                                                                         \
    ARENA_SEGMENT_ACCESS_ int arena_set_##name(                               \
        const arena_segment_t *segment, size_t place, type value)             \
    {                                                                         \
        arena_segment_t s;                                                    \
        bits_t bits;                                                          \
                                                                              \
        memcpy(&bits, &value, sizeof bits);                                   \
        bits = swap(width, bits);                                             \
        if (!ARENA_SEGMENT_LIKELY_(segment != NULL))                          \
            return arena_segment_missing_(sizeof bits);                       \
        s = *segment;                                                         \
        if (ARENA_SEGMENT_LIKELY_(within)                                     \
            && ARENA_SEGMENT_LIKELY_(                                         \
                arena_segment_odd_(                                           \
                    &s, (askew) | s.asks                                      \
                            | (s.flags & ARENA_SEGMENT_READ_ONLY))            \
                == 0)) {                                                      \
            memcpy((char *)s.addr + (at), &bits, sizeof bits);                \
            return 0;                                                         \
        }                                                                     \
        return arena_segment_store_copy_(&s, offset, sizeof bits, mask,       \
                                         (uint64_t)bits);                     \
    }

#define ARENA_SEGMENT_ORDER_(name, type, bits_t, width, swap)                 \
    ARENA_SEGMENT_PAIR_(name, type, bits_t, width, swap, offset, offset,      \
                        offset,                                               \
                        arena_segment_holds_(&s, offset, sizeof bits),        \
                        ((uintptr_t)s.addr + offset) & (sizeof(bits_t) - 1),  \
                        sizeof(bits_t) - 1)                                   \
    ARENA_SEGMENT_PAIR_(name##_unaligned, type, bits_t, width, swap, offset,  \
                        offset, offset,                                       \
                        arena_segment_holds_(&s, offset, sizeof bits), 0, 0)  \
    ARENA_SEGMENT_PAIR_(name##_at, type, bits_t, width, swap, index,          \
                        index * sizeof bits,                                  \
                        arena_segment_offset_(index, sizeof bits),            \
                        index < s.size / sizeof bits,                         \
                        (uintptr_t)s.addr & (sizeof(bits_t) - 1),             \
                        sizeof(bits_t) - 1)

#define ARENA_SEGMENT_NUMBER_(name, type, bits_t, width)                      \
    ARENA_SEGMENT_ORDER_(name, type, bits_t, width, ARENA_SWAP_none_)         \
    ARENA_SEGMENT_ORDER_(name##_le, type, bits_t, width, ARENA_SWAP_le_)      \
    ARENA_SEGMENT_ORDER_(name##_be, type, bits_t, width, ARENA_SWAP_be_)

ARENA_SEGMENT_NUMBER_(i8, int8_t, uint8_t, 8)
ARENA_SEGMENT_NUMBER_(u8, uint8_t, uint8_t, 8)
ARENA_SEGMENT_NUMBER_(i16, int16_t, uint16_t, 16)
ARENA_SEGMENT_NUMBER_(u16, uint16_t, uint16_t, 16)
ARENA_SEGMENT_NUMBER_(i32, int32_t, uint32_t, 32)
ARENA_SEGMENT_NUMBER_(u32, uint32_t, uint32_t, 32)
ARENA_SEGMENT_NUMBER_(i64, int64_t, uint64_t, 64)
ARENA_SEGMENT_NUMBER_(u64, uint64_t, uint64_t, 64)
ARENA_SEGMENT_NUMBER_(f32, float, uint32_t, 32)
ARENA_SEGMENT_NUMBER_(f64, double, uint64_t, 64)
#if UINTPTR_MAX > 0xffffffff
ARENA_SEGMENT_NUMBER_(ptr, void *, uint64_t, 64)
#else
ARENA_SEGMENT_NUMBER_(ptr, void *, uint32_t, 32)
#endif

ARENA_C99_ ARENA_INLINE_ int
arena_get_bool(const arena_segment_t *segment, size_t offset, bool *out)
{
    uint8_t byte = 0;

    if (arena_get_u8(segment, offset, out != NULL ? &byte : NULL) != 0)
        return -1;
    *out = byte != 0;
    return 0;
}

ARENA_C99_ ARENA_INLINE_ int
arena_set_bool(const arena_segment_t *segment, size_t offset, bool value)
{
    return arena_set_u8(segment, offset, value);
}

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#ifdef __cplusplus
}
#endif

#endif
