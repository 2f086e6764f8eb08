/* start.c: see interposer.h. */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "../include/arena/budget.h"
#include "interposer.h"

_Atomic int arenap_mode = MODE_EARLY;
_Atomic int arenap_answer = ANSWER_SLOWLY;
struct options arenap_options;
INTERPOSE_TLS unsigned arenap_inside;

void *
arenap_real_find(const char *name)
{
    int saved = errno;
    void *function;

    arenap_inside++;
    function = dlsym(RTLD_NEXT, name);
    arenap_inside--;
    errno = saved;
    return function;
}

void *
arenap_libc_find(const char *name)
{
    int saved = errno;
    void *libc, *function = NULL;

    arenap_inside++;
    libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    if (libc != NULL) {
        function = dlsym(libc, name);
        dlclose(libc);
    }
    arenap_inside--;
    errno = saved;
    return function != NULL ? function : arenap_real_find(name);
}

/* Of all places in the library; the linker knows where they are. */
extern struct real __start_arena_real[], __stop_arena_real[];

static void
real_find_all(void)
{
    for (struct real *r = __start_arena_real; r < __stop_arena_real; r++)
        atomic_store(&r->function, r->find(r->name));
}

/* --- What libarena and the collector call --- */

static int
memalign_quietly(void **out, size_t align, size_t size)
{
    int saved = errno;
    void *block = __libc_memalign(align, size);

    errno = saved;
    if (block == NULL)
        return ENOMEM;
    *out = block;
    return 0;
}

#define BYPASS(name) {#name, (void *)REAL(name)}

static void
bypass(void)
{
    const struct arena_interposed own[] = {
        {"malloc", (void *)__libc_malloc},
        {"calloc", (void *)__libc_calloc},
        {"realloc", (void *)__libc_realloc},
        {"free", (void *)__libc_free},
        {"posix_memalign", (void *)memalign_quietly},
        {"aligned_alloc", (void *)__libc_memalign},
        {"pthread_create", (void *)arenap_threads_create_quietly},
        {"pthread_getattr_np", (void *)arenap_threads_attr_quietly},
        {"malloc_usable_size", (void *)LIBC(malloc_usable_size)},
        {"malloc_trim", (void *)LIBC(malloc_trim)},
        BYPASS(sigaction),
        BYPASS(signal),
        BYPASS(pthread_sigmask),
        BYPASS(sigsuspend),
        BYPASS(sem_wait),
        BYPASS(sem_timedwait),
        BYPASS(select),
        BYPASS(usleep),
    };

    arena_interpose_bypass(own, sizeof own / sizeof *own);
}

/* --- The environment --- */

static const char *
wish(const char *name)
{
    const char *value = secure_getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

static bool
wish_is_on(const char *name)
{
    const char *value = wish(name);

    return value != NULL && strcmp(value, "0") != 0;
}

static bool
wants_collection(void)
{
    const char *mode = wish("ARENA_MODE");

    if (mode != NULL && strcmp(mode, "collect") != 0
        && strcmp(mode, "explicit") != 0)
        arena_interpose_ignore("ARENA_MODE", mode);
    return mode == NULL || strcmp(mode, "explicit") != 0;
}

/* It is for programs that call libarena themselves. */
static void
ignore_roots(void)
{
    const char *roots = wish("ARENA_ROOTS");

    if (roots != NULL)
        arena_interpose_ignore("ARENA_ROOTS", roots);
}

/* --- The beginning --- */

void
arenap_mode_give_up(void)
{
    arenap_report_reason("threads do not stop");
    atomic_store(&arenap_answer, ANSWER_SLOWLY);
    atomic_store(&arenap_mode, MODE_EXPLICIT);
}

/*
 * What ran before has libc's memory, and is searched like any other.  With
 * the first call of malloc there may be no environment yet, nor a thread to
 * be sure of; here there is.
 */
__attribute__((constructor)) static void
interposer_start(void)
{
    int saved = errno, mode = MODE_EXPLICIT;

    arenap_inside++;
    arenap_options.ignore_free = wish_is_on("ARENA_IGNORE_FREE");
    arenap_options.past_end = wish_is_on("ARENA_PAST_END");
    arenap_options.stats = wish_is_on("ARENA_STATS");
    arenap_options.report = wish("ARENA_REPORT");
    real_find_all();
    arenap_report_start();
    bypass();
    arenap_memory_start();
    /* What libarena begins with asks libc for memory, which must not be
     * accounted before it has begun. */
    (void)arena_error();
    ignore_roots();
    if (wants_collection()) {
        if (arena_interpose_start(arenap_signals_suspend(),
                                  arenap_signals_restart())
            == 0) {
            mode = MODE_COLLECT;
            arenap_options.gc_every = arena_interpose_gc_every();
        } else {
            arenap_report_reason(arena_error());
        }
    }
    arenap_threads_start();
    arenap_scopes_start();
    atomic_store(&arenap_mode, mode);
    if (mode == MODE_EXPLICIT)
        atomic_store(&arenap_answer, ANSWER_SYSTEM);
    else if (arenap_options.gc_every == 0 && !arenap_options.ignore_free
             && !arenap_options.past_end)
        atomic_store(&arenap_answer, ANSWER_AT_HAND);
    arenap_inside--;
    errno = saved;
}
