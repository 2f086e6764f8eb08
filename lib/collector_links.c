/* collector_links.c: what is cleared when a block is gone. */

#include "config.h"

#include <errno.h>

#include "collector.h"
#include "collector_gc.h"
#include "internal.h"
#include "thread.h"

void
arenap_gc_links_begin(void)
{
    static void *slot;
    void *block = GC_malloc_atomic(1);

    if (block == NULL)
        return;
    slot = (void *)GC_HIDE_POINTER(block);
    if (GC_register_long_link(&slot, block) == GC_SUCCESS)
        GC_unregister_long_link(&slot);
    slot = NULL;
}

bool
arenap_collector_link(struct thread *self, _Atomic uintptr_t *slot,
                      void *base)
{
    int saved = errno, result = GC_NO_MEMORY;
    struct visit visit;

    if (arenap_gc_enter(self, &visit)) {
        result = GC_register_long_link((void **)(void *)slot, base);
        arenap_gc_leave(self, &visit);
    }
    errno = saved;
    return result != GC_NO_MEMORY;
}

/* The collector takes its entry out of a table under its lock, and frees it
 * after that.  Meanwhile nothing but the thread's stack keeps the entry from
 * being collected: so the thread must be known, or nobody may collect. */
void
arenap_collector_unlink(_Atomic uintptr_t *slot)
{
    struct thread *self = arenap_thread_self();
    int saved = errno;
    struct visit visit;

    if (self != NULL && arenap_collector_attach(self) == 0
        && arenap_gc_enter(self, &visit)) {
        GC_unregister_long_link((void **)(void *)slot);
        arenap_gc_leave(self, &visit);
    } else {
        GC_disable();
        GC_unregister_long_link((void **)(void *)slot);
        GC_enable();
    }
    errno = saved;
}
