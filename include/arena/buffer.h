/*
 * arena/buffer.h - direct buffers: bytes outside the collected heap that are
 * freed when nobody can reach the buffer any more.
 *
 * A buffer is a small collected handle over zero-filled bytes, with a
 * position, a limit and perhaps a mark:
 *
 *   0 <= mark <= position <= limit <= capacity
 *
 * Reading and writing go from the position (relative calls, which advance
 * it) or from an index (calls in _at, which do not), and never past the
 * limit.  Views share the bytes of a buffer and have a position, a limit and
 * a byte order of their own.  They keep the bytes alive: the first buffer,
 * their root, lives as long as any of them; views that only led to another
 * view are collected.
 *
 * The handle is what keeps the bytes alive, wherever the collector looks (see
 * arena.h); do not count on a pointer from arena_buffer_address, which does so
 * only where the bytes are small and lie in the handle.  arena_buffer_free
 * frees the bytes at once; from then on the buffer and all its views answer
 * ESTALE.  The bytes are not searched for pointers.
 *
 * Errors, as in arena.h.  When several things are wrong the first of this
 * list is reported; nothing has moved then, neither bytes nor the position:
 *
 *   EINVAL  bad argument: NULL where an object is needed, an alignment that
 *           is not a power of two, a position past the limit, a limit past
 *           the capacity, no mark to reset to, a buffer put into itself
 *   ENOTSUP the collector runs in a mode that cannot be used (allocation)
 *   EACCES  writing to a read-only view
 *   ERANGE  bytes past the limit
 *   ESTALE  the buffer, or the root of the view, was freed
 *   EPERM, EIO  of buffers over segments alone (arena/segment.h)
 *   ENOMEM  over the budget, or the system refused
 *
 * Threads: a buffer, or a view, is used by one thread at a time, as in the
 * JDK; so is each byte, by whatever view.  Different buffers may be made, used
 * and freed by any threads.  "Collects" below: whether the call may run a
 * collection, see arena.h.  Where a comment does not say, a call never
 * collects.
 *
 * The model is java.nio.ByteBuffer of the JDK, allocateDirect.  Different
 * are: no limit of 2 GiB; the byte order is the machine's until it is set,
 * and views inherit it; freeing by hand is offered, and checked.
 */
#ifndef ARENA_BUFFER_H
#define ARENA_BUFFER_H

#include <sys/types.h>

#include "../arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Types ------------------------------------------------------------- */

/** A direct buffer, or a view of one.  Opaque. */
typedef struct arena_buffer arena_buffer_t;

/** How the bytes of a number follow each other. */
typedef enum {
    ARENA_LITTLE_ENDIAN, /**< the least significant first */
    ARENA_BIG_ENDIAN     /**< the most significant first: network order */
} arena_order_t;

/** The order of this machine. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define ARENA_NATIVE_ENDIAN ARENA_BIG_ENDIAN
#else
#define ARENA_NATIVE_ENDIAN ARENA_LITTLE_ENDIAN
#endif

/* --- Making and freeing ------------------------------------------------ */

/**
 * A buffer of zero-filled bytes, aligned for max_align_t.
 *
 * Its position is 0, its limit the capacity; it has no mark, and the
 * machine's byte order.  Capacity 0 is allowed.
 *
 * @param capacity  in bytes; up to PTRDIFF_MAX
 *
 * @return the buffer; or NULL with errno set:
 *         ENOTSUP  the collector runs in a mode that cannot be used
 *         ENOMEM   capacity over PTRDIFF_MAX (at once), over the budget, or
 *                  the system refused: nothing is left reserved
 *
 * Threads:  any; attaches the calling thread.
 * Lifetime: the bytes are freed, and their share of the budget given back,
 *           after nothing reachable points to the buffer or a view of it.
 * Collects: may, near the limit of the budget, and after much was allocated.
 * As ByteBuffer.allocateDirect of the JDK.
 */
ARENA_API arena_buffer_t *arena_buffer_allocate(size_t capacity);

/**
 * As arena_buffer_allocate; but the first byte is aligned to align, any power
 * of two: the page size, say, for O_DIRECT.  What the alignment takes counts
 * in the budget as reserved, not as requested.
 *
 * @return the buffer; or NULL with errno set, also EINVAL: align is not a
 *         power of two.
 *
 * As -XX:+PageAlignDirectMemory of the JDK, for one buffer.
 */
ARENA_API arena_buffer_t *arena_buffer_allocate_aligned(size_t capacity,
                                                        size_t align);

/**
 * Free the bytes of a buffer now.
 *
 * Only the first buffer, not a view, can be freed.  It and all its views
 * answer ESTALE from then on; the handles themselves are left to the
 * collector.  No thread may be using the bytes.  Phantoms of the buffer are
 * told, and its cleaners run (arena/phantom.h).
 *
 * @param buffer  NULL: 0, nothing done
 *
 * @return 0, and 0 when it was freed already; or -1 with errno EINVAL: it is
 *         a view.
 *
 * Threads: any, for buffers that no other thread uses; of several calls for
 * one buffer one frees it.
 * As sun.misc.Unsafe.invokeCleaner of the JDK, which leaves views dangling.
 */
ARENA_API int arena_buffer_free(arena_buffer_t *buffer);

/* --- Views ------------------------------------------------------------- */

/**
 * A view of the same bytes, with the same capacity, position, limit and mark,
 * which from now on are independent.
 *
 * All views inherit the byte order, and views of a read-only one are
 * read-only.  A view costs a small collected block, which the budget does not
 * count.
 *
 * @return the view; or NULL with errno EINVAL, ESTALE or ENOMEM (the system
 *         refused).
 *
 * Threads: as the buffer.  Lifetime: keeps the bytes alive.  Collects: may.
 * As ByteBuffer.duplicate of the JDK, and its order(source.order()).
 */
ARENA_API arena_buffer_t *arena_buffer_duplicate(arena_buffer_t *buffer);

/** As arena_buffer_duplicate; but nothing can be put into the view.
 *  As ByteBuffer.asReadOnlyBuffer of the JDK. */
ARENA_API arena_buffer_t *arena_buffer_read_only(arena_buffer_t *buffer);

/** As arena_buffer_duplicate; but the view begins at the position and ends at
 *  the limit.  Its position is 0, its limit its capacity; it has no mark.
 *  As ByteBuffer.slice() of the JDK. */
ARENA_API arena_buffer_t *arena_buffer_slice(arena_buffer_t *buffer);

/** As arena_buffer_slice; but of size bytes from an index, up to the limit.
 *  @return also NULL with errno ERANGE: bytes past the limit.
 *  As ByteBuffer.slice(int, int) of the JDK. */
ARENA_API arena_buffer_t *arena_buffer_slice_at(arena_buffer_t *buffer,
                                                size_t index, size_t size);

/** As arena_buffer_slice; but both ends are moved inwards to addresses that
 *  are multiples of unit, a power of two; of capacity 0 when there are none.
 *  @return also NULL with errno EINVAL: unit is not a power of two.
 *  As ByteBuffer.alignedSlice of the JDK. */
ARENA_API arena_buffer_t *arena_buffer_aligned_slice(arena_buffer_t *buffer,
                                                     size_t unit);

/* --- Asking ------------------------------------------------------------ */

/**
 * The address of byte 0.
 *
 * @return the address; or NULL with errno EINVAL or ESTALE.
 *
 * Lifetime: while the buffer or a view of it is reachable and it is not
 *           freed.  Do not count on the address to keep it: end a stretch of
 *           code that uses it with arena_keep_alive(buffer).
 * Of a read-only view, too: nothing may be written there then.
 */
ARENA_API void *arena_buffer_address(const arena_buffer_t *buffer);

/** These answer for a freed buffer, too; of NULL they are 0 and false. */
ARENA_API size_t arena_buffer_capacity(const arena_buffer_t *buffer);
ARENA_API size_t arena_buffer_position(const arena_buffer_t *buffer);
ARENA_API size_t arena_buffer_limit(const arena_buffer_t *buffer);

/** The bytes from the position to the limit. */
ARENA_API size_t arena_buffer_remaining(const arena_buffer_t *buffer);

ARENA_C99_ ARENA_API bool
arena_buffer_is_read_only(const arena_buffer_t *buffer);

/** The byte order in which numbers are read and written; of NULL the
 *  machine's. */
ARENA_API arena_order_t arena_buffer_order(const arena_buffer_t *buffer);

/**
 * How far the address of the byte at an index is past a multiple of unit.
 *
 * @param index  any; the limit does not matter
 * @param unit   a power of two
 * @param out    receives 0 to unit - 1
 *
 * @return 0; or -1 with errno EINVAL or ESTALE.
 *
 * As ByteBuffer.alignmentOffset of the JDK.
 */
ARENA_API int arena_buffer_alignment_offset(const arena_buffer_t *buffer,
                                            size_t index, size_t unit,
                                            size_t *out);

/* --- Position, limit and mark ------------------------------------------ */

/** Set the position, up to the limit.  A mark past it is discarded.
 *  @return 0; or -1 with errno EINVAL or ESTALE; so all of these. */
ARENA_API int arena_buffer_set_position(arena_buffer_t *buffer,
                                        size_t position);

/** Set the limit, up to the capacity.  A position past it moves to it, a mark
 *  past it is discarded. */
ARENA_API int arena_buffer_set_limit(arena_buffer_t *buffer, size_t limit);

/** Set the byte order of this buffer or view alone. */
ARENA_API int arena_buffer_set_order(arena_buffer_t *buffer,
                                     arena_order_t order);

/** Remember the position. */
ARENA_API int arena_buffer_mark(arena_buffer_t *buffer);

/** Return to the mark.  EINVAL: there is none. */
ARENA_API int arena_buffer_reset(arena_buffer_t *buffer);

/** What was written is to be read: limit = position, position = 0, no
 *  mark. */
ARENA_API int arena_buffer_flip(arena_buffer_t *buffer);

/** All is to be written: limit = capacity, position = 0, no mark.  The bytes
 *  stay as they are. */
ARENA_API int arena_buffer_clear(arena_buffer_t *buffer);

/** The same is to be read again: position = 0, no mark. */
ARENA_API int arena_buffer_rewind(arena_buffer_t *buffer);

/** What was not read is moved to the front, and writing goes on behind it:
 *  position = the bytes that remained, limit = capacity, no mark.
 *  @return also -1 with errno EACCES. */
ARENA_API int arena_buffer_compact(arena_buffer_t *buffer);

/* --- Numbers at the position ------------------------------------------- */

/**
 * Get the number at the position, in the buffer's byte order, and advance
 * the position by its size.  It need not be aligned.
 *
 * @return 0; or -1 with errno EINVAL, ERANGE (fewer bytes remain: nothing
 *         was moved) or ESTALE.
 *
 * As ByteBuffer.get, getShort ... of the JDK, with BufferUnderflowException.
 */
ARENA_API int arena_buffer_get_i8(arena_buffer_t *buffer, int8_t *out);
ARENA_API int arena_buffer_get_u8(arena_buffer_t *buffer, uint8_t *out);
ARENA_API int arena_buffer_get_i16(arena_buffer_t *buffer, int16_t *out);
ARENA_API int arena_buffer_get_u16(arena_buffer_t *buffer, uint16_t *out);
ARENA_API int arena_buffer_get_i32(arena_buffer_t *buffer, int32_t *out);
ARENA_API int arena_buffer_get_u32(arena_buffer_t *buffer, uint32_t *out);
ARENA_API int arena_buffer_get_i64(arena_buffer_t *buffer, int64_t *out);
ARENA_API int arena_buffer_get_u64(arena_buffer_t *buffer, uint64_t *out);
ARENA_API int arena_buffer_get_f32(arena_buffer_t *buffer, float *out);
ARENA_API int arena_buffer_get_f64(arena_buffer_t *buffer, double *out);

/**
 * Put a number at the position, in the buffer's byte order, and advance the
 * position by its size.
 *
 * @return 0; or -1 with errno EINVAL, EACCES, ERANGE (fewer bytes remain:
 *         nothing was moved) or ESTALE.
 *
 * As ByteBuffer.put, putShort ... of the JDK, with BufferOverflowException.
 */
ARENA_API int arena_buffer_put_i8(arena_buffer_t *buffer, int8_t value);
ARENA_API int arena_buffer_put_u8(arena_buffer_t *buffer, uint8_t value);
ARENA_API int arena_buffer_put_i16(arena_buffer_t *buffer, int16_t value);
ARENA_API int arena_buffer_put_u16(arena_buffer_t *buffer, uint16_t value);
ARENA_API int arena_buffer_put_i32(arena_buffer_t *buffer, int32_t value);
ARENA_API int arena_buffer_put_u32(arena_buffer_t *buffer, uint32_t value);
ARENA_API int arena_buffer_put_i64(arena_buffer_t *buffer, int64_t value);
ARENA_API int arena_buffer_put_u64(arena_buffer_t *buffer, uint64_t value);
ARENA_API int arena_buffer_put_f32(arena_buffer_t *buffer, float value);
ARENA_API int arena_buffer_put_f64(arena_buffer_t *buffer, double value);

/* --- Numbers at an index ----------------------------------------------- */

/** As those above; but at an index in bytes, which need not be aligned, and
 *  the position does not move.  ERANGE: past the limit. */
ARENA_API int arena_buffer_get_i8_at(const arena_buffer_t *buffer,
                                     size_t index, int8_t *out);
ARENA_API int arena_buffer_get_u8_at(const arena_buffer_t *buffer,
                                     size_t index, uint8_t *out);
ARENA_API int arena_buffer_get_i16_at(const arena_buffer_t *buffer,
                                      size_t index, int16_t *out);
ARENA_API int arena_buffer_get_u16_at(const arena_buffer_t *buffer,
                                      size_t index, uint16_t *out);
ARENA_API int arena_buffer_get_i32_at(const arena_buffer_t *buffer,
                                      size_t index, int32_t *out);
ARENA_API int arena_buffer_get_u32_at(const arena_buffer_t *buffer,
                                      size_t index, uint32_t *out);
ARENA_API int arena_buffer_get_i64_at(const arena_buffer_t *buffer,
                                      size_t index, int64_t *out);
ARENA_API int arena_buffer_get_u64_at(const arena_buffer_t *buffer,
                                      size_t index, uint64_t *out);
ARENA_API int arena_buffer_get_f32_at(const arena_buffer_t *buffer,
                                      size_t index, float *out);
ARENA_API int arena_buffer_get_f64_at(const arena_buffer_t *buffer,
                                      size_t index, double *out);

ARENA_API int arena_buffer_put_i8_at(arena_buffer_t *buffer, size_t index,
                                     int8_t value);
ARENA_API int arena_buffer_put_u8_at(arena_buffer_t *buffer, size_t index,
                                     uint8_t value);
ARENA_API int arena_buffer_put_i16_at(arena_buffer_t *buffer, size_t index,
                                      int16_t value);
ARENA_API int arena_buffer_put_u16_at(arena_buffer_t *buffer, size_t index,
                                      uint16_t value);
ARENA_API int arena_buffer_put_i32_at(arena_buffer_t *buffer, size_t index,
                                      int32_t value);
ARENA_API int arena_buffer_put_u32_at(arena_buffer_t *buffer, size_t index,
                                      uint32_t value);
ARENA_API int arena_buffer_put_i64_at(arena_buffer_t *buffer, size_t index,
                                      int64_t value);
ARENA_API int arena_buffer_put_u64_at(arena_buffer_t *buffer, size_t index,
                                      uint64_t value);
ARENA_API int arena_buffer_put_f32_at(arena_buffer_t *buffer, size_t index,
                                      float value);
ARENA_API int arena_buffer_put_f64_at(arena_buffer_t *buffer, size_t index,
                                      double value);

/* --- Bytes ------------------------------------------------------------- */

/** Get n bytes at the position and advance it by n; all of them or, with
 *  ERANGE, none.
 *  @param out  of n bytes; may be NULL if n is 0
 *  @return 0; or -1 with errno EINVAL, ERANGE or ESTALE. */
ARENA_API int arena_buffer_get(arena_buffer_t *buffer, void *out, size_t n);

/** Put n bytes at the position and advance it by n; all of them or, with
 *  ERANGE, none.
 *  @param data  of n bytes; may be NULL if n is 0
 *  @return 0; or -1 with errno EINVAL, EACCES, ERANGE or ESTALE. */
ARENA_API int arena_buffer_put(arena_buffer_t *buffer, const void *data,
                               size_t n);

/** As arena_buffer_get and arena_buffer_put; but at an index, and the
 *  position does not move. */
ARENA_API int arena_buffer_get_at(const arena_buffer_t *buffer, size_t index,
                                  void *out, size_t n);
ARENA_API int arena_buffer_put_at(arena_buffer_t *buffer, size_t index,
                                  const void *data, size_t n);

/** Put all that remains in source, and advance both positions; all of it or,
 *  with ERANGE, nothing.  The two may be views of the same bytes.
 *  @return 0; or -1 with errno EINVAL (also: source is the buffer itself),
 *          EACCES, ERANGE or ESTALE.
 *  As ByteBuffer.put(ByteBuffer) of the JDK. */
ARENA_API int arena_buffer_put_buffer(arena_buffer_t *buffer,
                                      arena_buffer_t *source);

/**
 * Where the remaining bytes of two buffers begin to differ, from their
 * positions.
 *
 * @return -1 when they are the same; the length of the shorter one when the
 *         longer one begins with it; -2 with errno EINVAL or ESTALE.
 *
 * As ByteBuffer.mismatch of the JDK.
 */
ARENA_API ptrdiff_t arena_buffer_mismatch(const arena_buffer_t *a,
                                          const arena_buffer_t *b);

/**
 * Compare the remaining bytes of two buffers, as unsigned ones; if the longer
 * begins with the shorter, the shorter is less.
 *
 * @return -1, 0 or 1; INT_MIN with errno EINVAL or ESTALE.
 *
 * As ByteBuffer.compareTo of the JDK, which takes bytes as signed.
 */
ARENA_API int arena_buffer_compare(const arena_buffer_t *a,
                                   const arena_buffer_t *b);

/* --- Files ------------------------------------------------------------- */

/**
 * Read from a file, pipe or socket into the remaining bytes, until these are
 * full or the file ends; advance the position by what was read.
 *
 * Goes on after reads that were short or interrupted by a signal; so from a
 * pipe or socket it waits for more unless the descriptor does not block.
 * Takes no memory: it works when the budget is used up.
 *
 * @return the bytes read; 0 at the end of the file, and when nothing remains;
 *         -1 with errno EINVAL, EACCES, ESTALE, or that of read(2).  After an
 *         error of read(2) behind some bytes: the count of these; the next
 *         call meets the error again.
 *
 * As ReadableByteChannel.read of the JDK, repeated.
 */
ARENA_API ssize_t arena_buffer_read_fd(arena_buffer_t *buffer, int fd);

/**
 * Write the remaining bytes, all of them, to a file, pipe or socket; advance
 * the position by what was written.  As arena_buffer_read_fd.
 *
 * @return the bytes written; 0 when nothing remains; -1 with errno EINVAL,
 *         ESTALE, or that of write(2).  After an error behind some bytes: the
 *         count of these.
 */
ARENA_API ssize_t arena_buffer_write_fd(arena_buffer_t *buffer, int fd);

#ifdef __cplusplus
}
#endif

#endif
