/* ager.c: see ager.h. */

#include "config.h"

#include <errno.h>
#include <stdatomic.h>

#include "ager.h"
#include "chunk.h"
#include "os.h"
#include "stock.h"
#include "thread.h"

#define STEP 50000000u /* ns */
/* Of the stock, in each step; or STOCK_STEP, if that is more. */
#define SHARE 16

static _Atomic bool running;

bool
arenap_ager_is_running(void)
{
    return atomic_load_explicit(&running, memory_order_relaxed);
}

/* Who made the stock large after the last look relied on this thread. */
static bool
may_end(void)
{
    bool none = false;

    if (arenap_stock_is_large())
        return false;
    atomic_store(&running, false);
    return !arenap_stock_is_large()
           || !atomic_compare_exchange_strong(&running, &none, true);
}

static void *
ager_main(void *unused)
{
    do {
        size_t part = arenap_stock_bytes() / SHARE;

        arenap_chunk_age_by(part > STOCK_STEP ? part : STOCK_STEP);
        arenap_os_sleep(STEP);
    } while (!may_end());
    return unused;
}

bool
arenap_ager_start(void)
{
    bool none = false, started;
    int saved = errno;

    if (!atomic_compare_exchange_strong(&running, &none, true))
        return true;
    started = arenap_thread_spawn(ager_main) == 0;
    if (!started)
        atomic_store(&running, false);
    errno = saved;
    return started;
}

void
arenap_ager_fork_child(void)
{
    atomic_store(&running, false);
}
