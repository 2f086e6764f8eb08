/*
 * arena/budget.h - one budget for all memory that the library holds.
 *
 * Every kind of arena takes its memory from the budget, by chunk or page as
 * it is taken; arena_reserve takes from it for memory of the program's own.
 * The limit bounds what is reserved and what is cached (free chunks kept for
 * reuse).  Small control blocks of the library are not counted.
 *
 * A reservation that does not fit drops the caches and does what the
 * collector has found already; then it collects; then it tries up to 9 more
 * times with sleeps of 1, 2, 4 ... 256 ms, each cut short by any release,
 * each followed by a collection shared among all who wait; then it fails with
 * ENOMEM and the sentence
 *
 *   cannot reserve 1048576 bytes of off-heap memory (reserved: 268435456,
 *   limit: 268435456)
 *
 * Who waits is served in order of arrival; a request up to 64 KiB may pass a
 * larger one that does not fit yet.  A request over the limit fails at once.
 *
 * Environment, read once:
 *   ARENA_LIMIT        the limit: bytes, with K, M, G or T in either case, or
 *                      a percentage of the memory that this process may use
 *                      ("50%"); 0 means zero; anything else is refused with a
 *                      line on stderr
 *   ARENA_EXPLICIT_GC  0: a reservation never forces a collection
 * A variable that is set and empty is as one that is not set.
 *
 * The model is java.nio.Bits of the JDK with its -XX:MaxDirectMemorySize.
 */
#ifndef ARENA_BUDGET_H
#define ARENA_BUDGET_H

#include "../arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The limit that limits nothing. */
#define ARENA_UNLIMITED SIZE_MAX

/** What one kind of memory holds. */
typedef struct arena_usage_pool {
    size_t reserved;  /**< bytes taken from the budget */
    size_t requested; /**< bytes that the program asked for */
    size_t count;     /**< how many; of what, see arena_usage_t */
} arena_usage_pool_t;

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a type and a call of one name */
#endif

/** A snapshot of the budget. */
typedef struct arena_usage {
    size_t limit;         /**< as arena_limit */
    size_t reserved;      /**< the sum of all pools */
    size_t requested;     /**< the sum of all pools */
    size_t count;         /**< the sum of all pools */
    size_t cached;        /**< free memory kept for reuse, of buffers too */
    size_t peak;          /**< the most of reserved and cached together */
    size_t pending;       /**< notifications and actions not yet done */
    uint64_t collections; /**< by the collector, since the process began */
    uint64_t waits;       /**< reservations that did not fit at once */
    uint64_t wait_ns;     /**< nanoseconds that they took, all together */
    uint64_t failures;    /**< reservations that failed */
    /** By arena_kind_t.  count: open arenas, for ARENA_IMPLICIT blocks. */
    arena_usage_pool_t kind[5];
    /** arena_malloc and its family.  Taken from the collector's own figures,
     *  by page: what the program takes from libgc itself is in it, too;
     *  requested and count are estimates between collections. */
    arena_usage_pool_t heap;
    arena_usage_pool_t buffers; /**< direct buffers; count: without views */
    arena_usage_pool_t mapped;  /**< arena_map; not bounded by the limit */
    arena_usage_pool_t manual;  /**< arena_reserve; count: reservations */
    uint64_t reclaimed; /**< bytes that collections gave back so far, those
                         *   of direct buffers included */
} arena_usage_t;

/**
 * Take bytes from the budget for memory of the program's own (mmap, devices).
 *
 * @param size  in bytes; 0 takes nothing, and is counted
 *
 * @return 0; or -1 with errno ENOMEM.
 *
 * Threads:  any.
 * Collects: may, when it does not fit at once and a collector runs.
 * As java.nio.Bits.reserveMemory of the JDK.
 */
ARENA_API int arena_reserve(size_t size);

/** Give back bytes taken by arena_reserve, with the size of one such call.
 *  @return 0; or -1 with errno EINVAL: more than is reserved by hand.
 *  Threads: any.  Collects: never. */
ARENA_API int arena_unreserve(size_t size);

/** Set the limit of the budget, in bytes; 0 means zero; ARENA_UNLIMITED.  A
 *  limit below what is reserved frees nothing: reservations fail until use
 *  has fallen.
 *  @return 0.
 *  Threads: any.  Collects: never. */
ARENA_API int arena_set_limit(size_t bytes);

/** The limit, in bytes.  By default the memory that this process may use: its
 *  control group's limit, else the machine's memory. */
ARENA_API size_t arena_limit(void);

/** May a reservation force collections?  On by default.
 *  @return 0. */
ARENA_C99_ ARENA_API int arena_set_explicit_gc(bool enabled);

/**
 * A full collection; then what it found is done, close actions included, and
 * the memory of arenas that had such actions is collected too.
 *
 * Hold no lock that an action takes.  In a close action, or a
 * cleaner's, it only collects.
 * Does nothing where no collector runs.
 *
 * Threads: any; attaches the calling thread.  Collects: yes.
 */
ARENA_API void arena_collect(void);

/** Give cached and free memory back to the system; collects.
 *  @return 0.
 *  Threads: any.  Collects: yes, when a collector runs. */
ARENA_API int arena_trim(void);

/**
 * Take one consistent snapshot.
 *
 * @param out   receives it
 * @param size  sizeof *out: a program built with an older header gets what
 *              its structure has room for
 *
 * Threads: any.  Collects: never.
 */
ARENA_API void arena_usage(arena_usage_t *out, size_t size);

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#ifdef __cplusplus
}
#endif

#endif
