/* collector_hooks.c: what we do when a collection begins, and marks. */

#include "config.h"

#include <pthread.h>

#include "cleaner.h"
#include "collector.h"
#include "collector_gc.h"
#include "credit.h"
#include "internal.h"
#include "magazine.h"
#include "payload.h"
#include "phantom.h"
#include "roots.h"
#include "stop.h"
#include "thread.h"

/* --- Hooks ---
 *
 * A program that sets a hook after us usually calls the one it found, but
 * need not.  When another one than ours is found in the place, ours goes in
 * front of it, and calls it.  So each hook of ours is a ladder of functions,
 * each with its own next one: if the program's hook calls what it found, that
 * is a lower rung, and if the program puts back what it found, only what it
 * had added is gone.  The outermost does our own work, once. */

#define RUNGS 4

typedef void(GC_CALLBACK *hook_proc)(void);

struct ladder {
    hook_proc rung[RUNGS]; /* ours */
    hook_proc next[RUNGS]; /* what each calls */
    bool inside[RUNGS];    /* what it calls has not returned */
    unsigned count;        /* of rungs in use */
    unsigned depth;        /* of rungs that are being called */
    void (*before)(void); /* or NULL: before anything is called */
    void (*work)(void);
};

/* The collector's lock is held.  A hook that a program puts back in front of
 * us calls the rung that calls it: then the next lower one is meant. */
static void
ladder_call(struct ladder *ladder, unsigned rung)
{
    while (rung > 0 && ladder->inside[rung])
        rung--;
    if (ladder->inside[rung])
        return;
    if (ladder->depth++ == 0 && ladder->before != NULL)
        ladder->before();
    ladder->inside[rung] = true;
    if (ladder->next[rung] != NULL)
        ladder->next[rung]();
    ladder->inside[rung] = false;
    if (--ladder->depth == 0)
        ladder->work();
}

/* The rung to be put into the place, where found was.  When there is none
 * left, found itself, which may call one. */
static hook_proc
ladder_climb(struct ladder *ladder, hook_proc found)
{
    unsigned i;

    for (i = 0; i < ladder->count; i++)
        if (found == ladder->rung[i])
            return found;
    for (i = 0; i < ladder->count; i++)
        if (found == ladder->next[i])
            return ladder->rung[i];
    if (ladder->count == RUNGS)
        return found;
    ladder->next[ladder->count] = found;
    return ladder->rung[ladder->count++];
}

#define RUNG(ladder, i)                                                       \
    static void GC_CALLBACK ladder##_rung_##i(void)                           \
    {                                                                         \
        ladder_call(&ladder, i);                                              \
    }
#define RUNGS_OF(ladder)                                                      \
    {                                                                         \
        ladder##_rung_0, ladder##_rung_1, ladder##_rung_2, ladder##_rung_3    \
    }

static struct ladder on_start, on_roots;

RUNG(on_start, 0)
RUNG(on_start, 1)
RUNG(on_start, 2)
RUNG(on_start, 3)
RUNG(on_roots, 0)
RUNG(on_roots, 1)
RUNG(on_roots, 2)
RUNG(on_roots, 3)

/* The collector's lock is held. */
static void *
roots_hook(void *unused)
{
    hook_proc found = GC_get_push_other_roots();
    hook_proc ours = ladder_climb(&on_roots, found);

    if (ours != found)
        GC_set_push_other_roots(ours);
    return unused;
}

static void
start_hook(void)
{
    hook_proc found = GC_get_start_callback();
    hook_proc ours = ladder_climb(&on_start, found);

    if (ours != found)
        GC_set_start_callback(ours);
}

/* Before threads are stopped. */
static void
start_work(void)
{
    arenap_gc.began = true;
    roots_hook(NULL);
    arenap_roots_prepare();
    arenap_payload_collecting();
    arenap_phantom_collecting();
}

/* Each has a stack, which the collector pushes. */
static unsigned
threads_attached(void)
{
    unsigned count = 0;

    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next)
        count += atomic_load(&t->attached) != ATTACHED_NOT;
    return count;
}

/* All threads are stopped, and the collector has not looked at their
 * stacks. */
static void
roots_before(void)
{
    arenap_gc.pushes = threads_attached();
    arenap_magazine_mark(GC_get_gc_no());
    arenap_credit_drop_all();
    arenap_stop_before_stacks(__builtin_frame_address(0));
}

static void
roots_work(void)
{
    arenap_stop_after_stacks();
    /* The other hook takes the collector's lock to be set. */
    if (!arenap_gc.began)
        arenap_cleaner_kick();
    arenap_gc.began = false;
    arenap_roots_push();
}

static struct ladder on_start = {.rung = RUNGS_OF(on_start),
                                 .work = start_work};
static struct ladder on_roots = {.rung = RUNGS_OF(on_roots),
                                 .before = roots_before,
                                 .work = roots_work};

void
arenap_gc_hook(void)
{
    start_hook();
    GC_call_with_alloc_lock(roots_hook, NULL);
}

void
arenap_collector_rehook(void)
{
    if (!arenap_collector_started()
        || pthread_mutex_trylock(&arenap_gc.lock) != 0)
        return;
    arenap_gc_hook();
    pthread_mutex_unlock(&arenap_gc.lock);
}
