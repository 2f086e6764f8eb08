/*
 * pools.h - everything that gives blocks which are freed together: opens one,
 * takes as many blocks of a size as the work says, touching each, closes it.
 *
 * A function with _zeroed in its name gives zero-filled memory.
 */
#ifndef BENCH_POOLS_H
#define BENCH_POOLS_H

#include "bench.h"
#include "peers.h"

#define POOL(name)                                                            \
    void pool_##name(const struct bench_work *work, size_t loops);            \
    void pool_##name##_zeroed(const struct bench_work *work, size_t loops)

POOL(confined);
POOL(cursor); /* of a confined arena, compiled into the loop */
POOL(shared);
POOL(talloc);
POOL(talloc_pool); /* of a size known before */
POOL(obstack);
POOL(mi_heap);

/* By hand, in a chunk that is made before: in a variable of the loop, which a
 * compiler keeps in a register; and in a structure that others know. */
POOL(bump);
POOL(bump_known);

/* From a parent, as APR's users do; its allocator is the process's, which
 * takes a mutex, or its own, which takes none. */
POOL(apr);
POOL(apr_own);

/* No pools: all blocks, 10000 at most, live until the end; then each is
 * freed. */
POOL(malloc);
POOL(mimalloc);
POOL(jemalloc);

#undef POOL

/* Before those of APR, and those by hand; before other peers', as in peers.h.
 */
void pool_begin_apr(const struct bench_work *work);
void pool_begin_bump(const struct bench_work *work);

/* The other arena allocators, as implementations of a case: of blocks whose
 * contents are not defined. */
#define POOL_PEERS                                                            \
    {"APR pool", BENCH_PEER, pool_begin_apr, .run = pool_apr},                \
        {"APR pool, own allocator", BENCH_PEER, pool_begin_apr,               \
         .run = pool_apr_own},                                                \
        {"glibc obstack", BENCH_PEER, .run = pool_obstack},                   \
        {"talloc", BENCH_PEER, peer_talloc_begin, .run = pool_talloc},        \
        {"talloc_pool", BENCH_PEER, peer_talloc_begin,                        \
         .run = pool_talloc_pool},                                            \
        {"mimalloc mi_heap, destroy", BENCH_PEER, peer_mimalloc_begin,        \
         .run = pool_mi_heap}

#endif
