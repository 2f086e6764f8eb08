/*
 * peers.h - the functions of other allocators, if they are installed.
 *
 * They are loaded at run time, so that no header of theirs is needed, a
 * missing one is no fault, and those that would replace malloc if they were
 * linked replace nothing.  A call costs what one through the linkage table
 * does.  What is a macro in a peer's header is written as it is there.
 */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "bench.h"

/* Functions only, in the order of the names in peers.c. */

struct peer_apr {
    int (*initialize)(void);
    int (*allocator_create)(void **allocator);
    int (*pool_create)(void **pool, void *parent, int (*abort)(int status),
                       void *allocator); /* ..._ex, which all of them are */
    void *(*palloc)(void *pool, size_t size);
    void (*pool_destroy)(void *pool);
};

struct peer_talloc {
    void *(*named)(const void *context, size_t size, const char *name);
    void *(*zero)(const void *context, size_t size, const char *name);
    void *(*pool)(const void *context, size_t size);
    int (*free)(void *block, const char *location);
};

struct peer_mimalloc {
    void *(*malloc)(size_t size);
    void *(*zalloc)(size_t size);
    void (*free)(void *block);
    void *(*heap_new)(void);
    void *(*heap_malloc)(void *heap, size_t size);
    void *(*heap_zalloc)(void *heap, size_t size);
    void (*heap_destroy)(void *heap);
};

struct peer_jemalloc {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void (*free)(void *block);
};

extern struct peer_apr apr;
extern struct peer_talloc tallocs;
extern struct peer_mimalloc mimalloc;
extern struct peer_jemalloc jemalloc;

/* Load one; if that cannot be done the implementation is absent. */
void peer_apr_begin(const struct bench_work *work);
void peer_talloc_begin(const struct bench_work *work);
void peer_mimalloc_begin(const struct bench_work *work);
void peer_jemalloc_begin(const struct bench_work *work);

#endif
