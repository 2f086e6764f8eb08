/* arena.c: allocation: fast paths, checks, dispatch. */

#include "config.h"

#include <errno.h>
#include <stdint.h>

#include "auto.h"
#include "error.h"
#include "explicit.h"
#include "implicit.h"
#include "internal.h"
#include "thread.h"

/* --- Allocation: the slow half --- */

ARENA_NOINLINE static void *
alloc_slow(struct arena *arena, size_t size, size_t align, bool zero)
{
    struct thread *self = arenap_thread_self();

    if (ARENA_UNLIKELY(self == NULL)) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    if (arena == NULL)
        arena = &arenap_implicit;
    /* Room for headers and rounding is within the other half. */
    if (ARENA_UNLIKELY(size > PTRDIFF_MAX || align > PTRDIFF_MAX / 2
                       || size + align > PTRDIFF_MAX - 4 * ARENA_PAGE)) {
        if (arenap_usable(self, arena) == 0)
            arenap_fail(ENOMEM,
                        "cannot allocate %zu bytes: no object is that large",
                        size);
        return NULL;
    }
    if (align < ARENA_GRANULE && (arena->flags & ARENA_GUARDED) == 0)
        align = ARENA_GRANULE;
    switch ((arena_kind_t)arena->kind) {
    case ARENA_AUTO:
        return arenap_auto_alloc(self, arena, size, align, zero);
    case ARENA_IMPLICIT:
        return arenap_implicit_alloc(self, size, align);
    default:
        return arenap_explicit_alloc(self, arena, size, align, zero);
    }
}

/* --- Allocation: the fast half --- */

/*
 * What is not the shortest way is a function of its own that is called last,
 * as a jump: so that the shortest ways have nothing to save on the stack.
 */

static ARENA_INLINE char *
run_take(struct arena *arena, size_t size)
{
    char *block = arena->bump;

    arena->bump = block + arenap_round_up(size, ARENA_GRANULE);
    arenap_tally_add(arena, size + TALLY_BLOCK);
    return block;
}

/* Of an arena whose run was lent, and where nothing is short. */
static ARENA_NOINLINE void *
alloc_rest(struct arena *arena, size_t size, bool zero)
{
    uint64_t owner =
        atomic_load_explicit(&arena->owner, memory_order_relaxed);
    void *block;

    if (owner == ARENA_LENT(arenap_tls.serial)
        && arenap_run_fits(arena->bump, size, arena->end)) {
        block = run_take(arena, size);
        return zero ? arenap_block_clear(block, size) : block;
    }
    return alloc_slow(arena, size, ARENA_GRANULE, zero);
}

/* Of an arena of the calling thread whose run has no room. */
static ARENA_NOINLINE void *
alloc_next(struct arena *arena, size_t size, bool zero)
{
    void *block = arenap_confined_next(arena, size);

    if (ARENA_UNLIKELY(block == NULL))
        return alloc_slow(arena, size, ARENA_GRANULE, zero);
    return zero ? arenap_block_clear(block, size) : block;
}

/* Of a shared or global arena, from whose last piece there was none; or of one
 * that is closed. */
static ARENA_NOINLINE void *
alloc_shared(struct arena *arena, size_t size, bool zero)
{
    struct thread *self = arenap_tls.record;

    if (ARENA_UNLIKELY(self == NULL || size - 1 >= PIECE_BLOCK
                       || (arena->kind != ARENA_SHARED
                           && arena->kind != ARENA_GLOBAL)
                       || (arena->flags & ARENA_GUARDED) != 0))
        return alloc_slow(arena, size, ARENA_GRANULE, zero);
    return arenap_shared_alloc_small(self, arena, size, zero);
}

/* From an auto arena; and where nothing was at hand. */
static ARENA_NOINLINE void *
alloc_other(struct arena *arena, size_t size, bool zero)
{
    uint64_t owner =
        atomic_load_explicit(&arena->owner, memory_order_relaxed);
    void *block;

    if (ARENA_MOSTLY(owner == ARENA_HOME(arenap_tls.serial)))
        return ARENA_LIKELY(arenap_auto_alloc_at_hand(arena, size, &block))
                   ? block
                   : alloc_slow(arena, size, ARENA_GRANULE, zero);
    if (owner == arenap_tls.serial)
        return alloc_next(arena, size, zero);
    if (owner != ARENA_NOBODY)
        return alloc_rest(arena, size, zero);
    return alloc_shared(arena, size, zero);
}

static ARENA_NOINLINE void *
alloc_implicit(size_t size, bool zero)
{
    void *block = arenap_implicit_alloc_at_hand(size);

    return ARENA_LIKELY(block != NULL)
               ? block
               : alloc_slow(NULL, size, ARENA_GRANULE, zero);
}

/* From an arena of the calling thread: from its run, or the first block.
 * False when there is no room. */
static ARENA_INLINE bool
alloc_own(struct arena *arena, size_t size, bool zero, void **out)
{
    if (ARENA_MOSTLY(arenap_run_fits(arena->bump, size, arena->end)))
        *out = run_take(arena, size);
    else if (arena->chunks != NULL || !arenap_explicit_is_short(arena)
             || !arenap_explicit_first(arenap_tls.record, arena, size, out))
        return false;
    if (zero)
        arenap_block_clear(*out, size);
    return true;
}

/* The same, or from the piece that the thread used last. */
static ARENA_INLINE bool
alloc_at_hand(struct arena *arena, size_t size, bool zero, void **out)
{
    if (ARENA_MOSTLY(
            atomic_load_explicit(&arena->owner, memory_order_relaxed)
            == arenap_tls.serial))
        return alloc_own(arena, size, zero, out);
    return ARENA_LIKELY((zero ? arenap_tls.zeroed : arenap_tls.shared)
                        == arena)
           && arenap_piece_alloc(arenap_tls.piece, arena, size, out);
}

ARENA_ALIGNED void *
arena_alloc(arena_t *arena, size_t size)
{
    void *block;

    if (ARENA_UNLIKELY(arena == NULL))
        return alloc_implicit(size, true);
    return ARENA_LIKELY(alloc_at_hand(arena, size, true, &block))
               ? block
               : alloc_other(arena, size, true);
}

ARENA_ALIGNED void *
arena_alloc_uninit(arena_t *arena, size_t size)
{
    void *block;

    if (ARENA_UNLIKELY(arena == NULL))
        return alloc_implicit(size, false);
    return ARENA_LIKELY(alloc_at_hand(arena, size, false, &block))
               ? block
               : alloc_other(arena, size, false);
}

void *
arena_alloc_aligned(arena_t *arena, size_t size, size_t align)
{
    if (ARENA_UNLIKELY(!arenap_is_pow2(align)))
        return arenap_fail_null(EINVAL, "an alignment of %zu is not a power "
                                        "of two",
                                align);
    if (align <= ARENA_GRANULE
        && (arena == NULL || (arena->flags & ARENA_GUARDED) == 0))
        return arena_alloc(arena, size);
    return alloc_slow(arena, size, align, true);
}

void *
arena_alloc_array(arena_t *arena, size_t count, size_t size)
{
    size_t bytes;

    if (ARENA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        bytes = SIZE_MAX; /* refused, after the arena's own faults */
    return arena_alloc(arena, bytes);
}
