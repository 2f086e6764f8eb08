/* extra.c: see extra.h. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "error.h"
#include "extra.h"
#include "os.h"

/* --- Free ones: a list of each thread's, and lists that it has too much ---
 *
 * Threads that open arenas are not always those that find them dead.  So a
 * thread that has two batches of free ones passes one on.  Lists are only ever
 * taken all together, so none comes back while somebody looks at it. */

#define BATCH 64

static _Atomic(struct arena_extra *) batches; /* linked by batch */

static struct arena_extra *
next_free(const struct arena_extra *extra)
{
    return (struct arena_extra *)extra->node.next;
}

/* Put lists back that were taken together. */
static void
batches_put(struct arena_extra *first)
{
    struct arena_extra *head = NULL, *last = first;

    if (first == NULL || atomic_compare_exchange_strong(&batches, &head, first))
        return;
    while (last->batch != NULL)
        last = last->batch;
    do
        last->batch = head;
    while (!atomic_compare_exchange_weak(&batches, &head, first));
}

static struct arena_extra *
batch_make(void)
{
    struct arena_extra *extras =
        arenap_os_meta(BATCH * sizeof(struct arena_extra));

    if (extras != NULL)
        for (size_t i = 0; i + 1 < BATCH; i++)
            extras[i].node.next = &extras[i + 1].node;
    return extras;
}

ARENA_COLD static bool
extras_fill(struct thread *self)
{
    struct arena_extra *first = atomic_exchange(&batches, NULL);

    if (first != NULL) {
        batches_put(first->batch);
        self->extras_count = atomic_load(&first->parts);
    } else {
        first = batch_make();
        self->extras_count = BATCH;
    }
    self->extras = first;
    return first != NULL;
}

/* Pass on what was put into the list last. */
ARENA_COLD static void
extras_pass(struct thread *self)
{
    struct arena_extra *first = self->extras, *last = first;

    for (int i = 1; i < BATCH; i++)
        last = next_free(last);
    self->extras = next_free(last);
    self->extras_count -= BATCH;
    last->node.next = NULL;
    atomic_store(&first->parts, BATCH);
    first->batch = NULL;
    batches_put(first);
}

static void
extra_free(struct arena_extra *extra)
{
    struct thread *self = arenap_tls.record;

    if (ARENA_UNLIKELY(extra->is_told))
        free(extra->name);
    if (ARENA_UNLIKELY(self == NULL)) {
        extra->node.next = NULL;
        atomic_store(&extra->parts, 1);
        extra->batch = NULL;
        batches_put(extra);
        return;
    }
    extra->node.next = (struct pending *)self->extras;
    self->extras = extra;
    if (ARENA_UNLIKELY(++self->extras_count == 2 * BATCH))
        extras_pass(self);
}

/* --- An arena's --- */

/* The first that was registered comes last. */
static void
extra_act(struct arena_extra *extra)
{
    struct action first = {.run = extra->run, .arg = extra->arg,
                           .place = ACTION_LODGED};
    struct action *actions = extra->actions, **end = &actions;

    extra->actions = NULL;
    if (first.run != NULL) {
        while (*end != NULL)
            end = &(*end)->next;
        *end = &first;
    }
    arenap_actions_run(arenap_thread_self(), actions, NULL);
}

/* Run the actions of a dead arena; the cleaner's thread. */
static void
extra_run(struct pending *node)
{
    struct arena_extra *extra = (struct arena_extra *)node;
    struct arena *arena = (struct arena *)~extra->hidden;

    atomic_store_explicit(&extra->acting, true, memory_order_release);
    arenap_auto_close(arena);
    extra_act(extra);
    /* The next collection frees the parts; the last of them frees this. */
    atomic_store_explicit(&extra->retained, false, memory_order_release);
}

static struct arena_extra *
extra_take(struct thread *self)
{
    struct arena_extra *extra;

    if (self->extras == NULL && !extras_fill(self)) {
        arenap_fail_system(sizeof *extra);
        return NULL;
    }
    extra = self->extras;
    self->extras = next_free(extra);
    self->extras_count--;
    extra->node = (struct pending){NULL, extra_run, true};
    extra->actions = NULL;
    extra->run = NULL;
    atomic_store_explicit(&extra->reported, false, memory_order_relaxed);
    atomic_store_explicit(&extra->retained, false, memory_order_relaxed);
    atomic_store_explicit(&extra->acting, false, memory_order_relaxed);
    atomic_store_explicit(&extra->parts, 1, memory_order_relaxed);
    extra->is_told = false;
    return extra;
}

struct arena_extra *
arenap_extra_make(struct thread *self, const char *name, size_t limit,
                  size_t reserved)
{
    struct arena_extra *extra = extra_take(self);

    if (extra == NULL)
        return NULL;
    extra->is_told = true;
    extra->limit = limit;
    extra->name = name != NULL ? arenap_name_copy(name) : NULL;
    atomic_store_explicit(&extra->reserved, reserved, memory_order_relaxed);
    if (name != NULL && extra->name == NULL) {
        extra_free(extra);
        return NULL;
    }
    return extra;
}

struct arena_extra *
arenap_extra_make_plain(struct thread *self)
{
    return extra_take(self);
}

const char *
arenap_extra_name(const struct arena_extra *extra)
{
    return extra != NULL && extra->is_told && extra->name != NULL ? extra->name
                                                                  : "";
}

bool
arenap_extra_take(struct arena_extra *extra, size_t bytes)
{
    size_t held;

    if (extra == NULL || !extra->is_told || extra->limit == 0)
        return true;
    held = atomic_fetch_add(&extra->reserved, bytes);
    if (held <= extra->limit && bytes <= extra->limit - held)
        return true;
    atomic_fetch_sub(&extra->reserved, bytes);
    arenap_fail(ENOMEM,
                "cannot take %zu bytes for the arena (held: %zu, its limit: "
                "%zu)",
                bytes, held, extra->limit);
    return false;
}

void
arenap_extra_give(struct arena_extra *extra, size_t bytes)
{
    if (extra != NULL && extra->is_told && extra->limit != 0)
        atomic_fetch_sub(&extra->reserved, bytes);
}

bool
arenap_extra_dead(struct arena_extra *extra)
{
    if (extra == NULL || !atomic_load(&extra->retained))
        return false;
    if (!atomic_load_explicit(&extra->reported, memory_order_relaxed)
        && !atomic_exchange(&extra->reported, true))
        arenap_cleaner_push(&extra->node);
    return true;
}

/* The only one that is left has it for itself. */
void
arenap_extra_leave(struct arena_extra *extra)
{
    if (extra != NULL
        && (atomic_load(&extra->parts) == 1
            || atomic_fetch_sub(&extra->parts, 1) == 1))
        extra_free(extra);
}

void
arenap_extra_fork_child(void)
{
    for (struct thread *t = arenap_thread_first(); t != NULL; t = t->next)
        if (t != arenap_tls.record) {
            t->extras = NULL;
            t->extras_count = 0;
        }
}
