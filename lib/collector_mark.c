/* collector_mark.c: what is asked of the collector while it marks, or with its
 * lock held. */

#include "config.h"

#include "collector.h"
#include "collector_gc.h"
#include "internal.h"

/* More ranges than this, stacks among them, are marked from one by one: the
 * collector's stack of ranges is bounded, and it aborts when that is full. */
#define PUSHES_AT_ONCE 1000

void
arenap_collector_push(const void *lo, const void *hi)
{
    /* The collector's prototypes want no const. */
    union {
        const void *in;
        void *out;
    } from = {lo}, to = {hi};

    if (++arenap_gc.pushes <= PUSHES_AT_ONCE)
        GC_push_all(from.out, to.out);
    else
        GC_push_all_eager(from.out, to.out);
}

void
arenap_collector_push_now(const void *lo, const void *hi)
{
    union {
        const void *in;
        void *out;
    } from = {lo}, to = {hi};

    GC_push_all_eager(from.out, to.out);
}

void
arenap_collector_mark(const void *base)
{
    GC_set_mark_bit(base);
}

bool
arenap_collector_is_marked(const void *base)
{
    return GC_is_marked(base) != 0;
}

void
arenap_collector_keep_all(uintptr_t lo, uintptr_t hi)
{
    while (lo < hi) {
        char *base = GC_base((void *)lo);
        size_t size;

        if (base == NULL) {
            lo += ARENA_PAGE;
            continue;
        }
        size = GC_size(base);
        if (size > ARENA_PAGE / 2) {
            GC_set_mark_bit(base);
            lo = arenap_round_up((uintptr_t)base + size, ARENA_PAGE);
            continue;
        }
        for (; (uintptr_t)base + size <= lo + ARENA_PAGE; base += size)
            GC_set_mark_bit(base);
        lo += ARENA_PAGE;
    }
}

void
arenap_collector_stack_base(void *handle, uintptr_t base)
{
    struct GC_stack_base bottom = {.mem_base = (void *)base};

    GC_set_stackbottom(handle, &bottom);
}

void *
arenap_collector_locked(void *(*function)(void *), void *context)
{
    return GC_call_with_alloc_lock(function, context);
}
