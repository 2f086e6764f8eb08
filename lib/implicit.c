/* implicit.c: see implicit.h. */

#include "config.h"

#include "budget.h"
#include "collected.h"
#include "collector.h"
#include "implicit.h"
#include "internal.h"
#include "phantom.h"
#include "thread.h"

struct implicit {
    _Atomic uint64_t tag; /* ARENA_TAG, and the charge above bit 8 */
    uint64_t shape;       /* size in bytes << 6 | log2 of the alignment */
};

#define TAG_CHARGE_SHIFT 8
#define SHAPE_SHIFT 6
#define SHAPE_ALIGN(shape) ((size_t)1 << ((shape) & 63))

static void *
implicit_user(struct implicit *block)
{
    return (void *)arenap_round_up((uintptr_t)(block + 1),
                                   SHAPE_ALIGN(block->shape));
}

/* Fill in a block that came with a charge; then it is registered. */
static inline void
implicit_arm(struct thread *self, struct implicit *block, size_t charge,
             size_t size, size_t align)
{
    block->shape = (uint64_t)size << SHAPE_SHIFT
                   | (unsigned)__builtin_ctzl(align);
    arenap_collected_account(self, ARENA_IMPLICIT, charge, size, 1);
    atomic_store_explicit(&block->tag,
                          (uint64_t)charge << TAG_CHARGE_SHIFT | ARENA_TAG,
                          memory_order_release);
}

void *
arenap_implicit_alloc_at_hand(size_t size)
{
    struct thread *self = arenap_tls.record;
    struct implicit *block;
    size_t bytes;

    if (ARENA_UNLIKELY(self == NULL
                       || size > LIST_LAST - sizeof *block - COLLECTED_SLOP))
        return NULL;
    bytes = arenap_round_up(sizeof *block + size + COLLECTED_SLOP,
                            ARENA_GRANULE);
    block = arenap_collected_at_hand(self, BLOCK_IMPLICIT, bytes);
    if (ARENA_UNLIKELY(block == NULL))
        return NULL;
    implicit_arm(self, block, bytes, size, ARENA_GRANULE);
    return block + 1;
}

void *
arenap_implicit_alloc(struct thread *self, size_t size, size_t align)
{
    size_t request = sizeof(struct implicit) + size
                     + (align > ARENA_GRANULE ? align : 0);
    struct implicit *block;
    size_t charge;

    block = arenap_collected_block(self, BLOCK_IMPLICIT, request, 0, &charge);
    if (block == NULL)
        return NULL;
    implicit_arm(self, block, charge, size, align);
    return implicit_user(block);
}

int
arenap_implicit_dead(void *object)
{
    struct implicit *block = object;
    uint64_t tag = atomic_load_explicit(&block->tag, memory_order_relaxed);

    if ((tag & ARENA_TAG) == 0)
        return 0;
    /* Nobody can reach it: nobody else can claim the tag. */
    atomic_store_explicit(&block->tag, 0, memory_order_relaxed);
    arenap_collected_settle(ARENA_IMPLICIT, (size_t)(tag >> TAG_CHARGE_SHIFT),
                            (size_t)(block->shape >> SHAPE_SHIFT), 1);
    return 0;
}

bool
arenap_implicit_free(const void *ptr, void *base)
{
    struct implicit *block = base;
    uint64_t tag = atomic_load_explicit(&block->tag, memory_order_acquire);
    size_t size = (size_t)(block->shape >> SHAPE_SHIFT);
    struct thread *self = arenap_thread_self();

    if ((tag & ARENA_TAG) == 0 || implicit_user(block) != ptr)
        return false;
    if (!arenap_collector_stops(self))
        return true; /* left to the collector, whose it may be already */
    /* The tag goes once, here or in the collector: so does the account. */
    if (!atomic_compare_exchange_strong(&block->tag, &tag, 0))
        return false;
    arenap_collected_settle(ARENA_IMPLICIT,
                            (size_t)(tag >> TAG_CHARGE_SHIFT), size, 1);
    arenap_phantom_freed(block);
    arenap_collector_free(self, block);
    arenap_budget_serve_by_hand();
    return true;
}

bool
arenap_implicit_size(const void *ptr, void *base, size_t *size)
{
    struct implicit *block = base;

    *size = (size_t)(block->shape >> SHAPE_SHIFT);
    return (atomic_load(&block->tag) & ARENA_TAG) != 0
           && implicit_user(block) == ptr;
}

bool
arenap_implicit_extent(void *base, const char **start, const char **end)
{
    struct implicit *block = base;

    if ((atomic_load(&block->tag) & ARENA_TAG) == 0)
        return false;
    *start = implicit_user(block);
    *end = *start + (block->shape >> SHAPE_SHIFT);
    return true;
}
