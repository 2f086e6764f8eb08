/* credit.c: see credit.h. */

#include "config.h"

#include "budget.h"
#include "credit.h"
#include "internal.h"
#include "thread.h"

/* Take note of what was dropped.  Who drops in between sees too little rather
 * than too much. */
static ptrdiff_t
credit_refresh(struct credit *credit)
{
    ptrdiff_t dropped = atomic_load(&credit->dropped);
    ptrdiff_t bytes =
        atomic_load(&credit->bytes) - (dropped - atomic_load(&credit->seen));

    atomic_store(&credit->bytes, bytes);
    atomic_store(&credit->seen, dropped);
    return bytes;
}

static void
credit_add(struct credit *credit, ptrdiff_t bytes)
{
    atomic_store(&credit->bytes, atomic_load(&credit->bytes) + bytes);
}

/* What cannot be had at once is waited for by itself: the budget must see who
 * waits for how much. */
int
arenap_credit_take(struct credit *credit, size_t size)
{
    ptrdiff_t left;

    if (size <= CREDIT_STEP && !arenap_budget_is_short()) {
        left = credit_refresh(credit);
        if (left < (ptrdiff_t)size
            && arenap_budget_try(size + CREDIT_STEP - (size_t)left))
            credit_add(credit, (ptrdiff_t)(size + CREDIT_STEP) - left);
        if (arenap_credit_take_at_hand(credit, size))
            return 0;
    }
    return arenap_budget_reserve(size);
}

/* Keep so much, and release the rest. */
static void
credit_shrink(struct credit *credit, size_t keep)
{
    ptrdiff_t excess = credit_refresh(credit) - (ptrdiff_t)keep;

    if (excess > 0) {
        credit_add(credit, -excess);
        arenap_budget_release_quietly((size_t)excess);
    }
}

void
arenap_credit_give_slow(struct credit *credit, size_t size)
{
    credit_add(credit, (ptrdiff_t)size);
    credit_shrink(credit, arenap_budget_is_short() ? 0 : CREDIT_MOST / 2);
}

void
arenap_credit_flush(struct credit *credit)
{
    credit_shrink(credit, 0);
}

/* Take away what is left; by whomever. */
static size_t
credit_drop(struct credit *credit)
{
    ptrdiff_t dropped = atomic_load(&credit->dropped);
    ptrdiff_t seen = atomic_load(&credit->seen);
    ptrdiff_t left = atomic_load(&credit->bytes) - (dropped - seen);

    /* Unless its thread, or another one, has just done the same. */
    return left > 0 && atomic_load(&credit->seen) == seen
                   && atomic_compare_exchange_strong(
                       &credit->dropped, &dropped, dropped + left)
               ? (size_t)left
               : 0;
}

void
arenap_credit_drop_all(void)
{
    size_t dropped = 0;

    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next)
        dropped += credit_drop(&t->credit);
    if (dropped != 0)
        arenap_budget_release_quietly(dropped);
}

size_t
arenap_credit_fork_child(void)
{
    struct thread *self = arenap_tls.record;

    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next)
        if (t != self) {
            atomic_store(&t->credit.bytes, 0);
            atomic_store(&t->credit.seen, atomic_load(&t->credit.dropped));
        }
    return self != NULL ? (size_t)credit_refresh(&self->credit) : 0;
}
