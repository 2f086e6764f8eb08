/* counter.h: counters that one thread at a time writes and any reads. */
#ifndef ARENA_LIB_COUNTER_H
#define ARENA_LIB_COUNTER_H

#include "os.h"

/* Add to a counter that nobody else writes meanwhile. */
static inline void
arenap_count(_Atomic size_t *counter, size_t n)
{
    /* Compilers make three instructions of an atomic load and store, and one
     * of an addition to memory; which is as atomic to a reader. */
    if (ARENA_OS_TSAN)
        atomic_store_explicit(
            counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
            memory_order_relaxed);
    else
        *(size_t *)(void *)counter += n;
}

#endif
