/*
 * peer_apr.h - APR's pools, as the cases use them.  Only with HAVE_APR.
 *
 * Pools are made from a parent that is made once, as APR's users do.  APR
 * gives a parent the process's allocator, which takes a mutex; a parent with
 * an allocator of its own takes none.  Both are measured.
 */
#ifndef PEER_APR_H
#define PEER_APR_H

#include <apr_general.h>
#include <apr_pools.h>

#include "bench.h"

static apr_allocator_t *apr_own_allocator;
static apr_pool_t *apr_parent;     /* allocator of the process */
static apr_pool_t *apr_parent_own; /* allocator of its own */

static void
apr_begin(void)
{
    if (apr_parent != NULL)
        return;
    if (apr_initialize() != APR_SUCCESS
        || apr_pool_create(&apr_parent, NULL) != APR_SUCCESS
        || apr_allocator_create(&apr_own_allocator) != APR_SUCCESS
        || apr_pool_create_ex(&apr_parent_own, NULL, NULL, apr_own_allocator)
               != APR_SUCCESS)
        bench_fail("APR");
}

static inline apr_pool_t *
apr_open(apr_pool_t *parent)
{
    apr_pool_t *pool;

    if (apr_pool_create(&pool, parent) != APR_SUCCESS)
        bench_fail("apr_pool_create");
    return pool;
}

#endif
