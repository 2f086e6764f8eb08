/* peers.c: see peers.h. */

#include "peers.h"

#include <dlfcn.h>
#include <string.h>

struct peer_apr apr;
struct peer_talloc tallocs;
struct peer_mimalloc mimalloc;
struct peer_jemalloc jemalloc;

/* What such a library itself calls malloc is its own, if it has one.  One
 * that is there can still fail to load: jemalloc wants thread-local memory,
 * of which `make bench` reserves more than there is by default. */
static void
load(const char *library, const char *const *names, size_t count,
     void *functions)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);

    for (size_t i = 0; handle != NULL && i < count; i++) {
        void *function = dlsym(handle, names[i]);

        memcpy((char *)functions + i * sizeof function, &function,
               sizeof function);
        if (function == NULL)
            handle = NULL;
    }
    if (handle == NULL)
        bench_absent(dlerror());
}

#define LOAD(library, names, functions)                                       \
    do {                                                                      \
        _Static_assert(sizeof(functions)                                      \
                           == BENCH_COUNT(names) * sizeof(void *),            \
                       "a name for each function");                           \
        load(library, names, BENCH_COUNT(names), &(functions));               \
    } while (0)

void
peer_apr_begin(const struct bench_work *work)
{
    static const char *const names[] = {
        "apr_initialize", "apr_allocator_create", "apr_pool_create_ex",
        "apr_palloc",     "apr_pool_destroy",
    };

    (void)work;
    LOAD("libapr-1.so.0", names, apr);
}

void
peer_talloc_begin(const struct bench_work *work)
{
    static const char *const names[] = {
        "talloc_named_const",
        "_talloc_zero",
        "talloc_pool",
        "_talloc_free",
    };

    (void)work;
    LOAD("libtalloc.so.2", names, tallocs);
}

void
peer_mimalloc_begin(const struct bench_work *work)
{
    static const char *const names[] = {
        "mi_malloc",      "mi_zalloc",      "mi_free",         "mi_heap_new",
        "mi_heap_malloc", "mi_heap_zalloc", "mi_heap_destroy",
    };

    (void)work;
    LOAD("libmimalloc.so.2", names, mimalloc);
}

void
peer_jemalloc_begin(const struct bench_work *work)
{
    static const char *const names[] = {"malloc", "calloc", "free"};

    (void)work;
    LOAD("libjemalloc.so.2", names, jemalloc);
}
