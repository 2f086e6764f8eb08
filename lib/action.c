/* action.c: close actions. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "auto.h"
#include "collector.h"
#include "error.h"
#include "explicit.h"
#include "internal.h"
#include "lifecycle.h"
#include "sync.h"
#include "thread.h"
#include "usage.h"

struct action *
arenap_action_make(void (*run)(void *), void *arg)
{
    /* Only the argument matters: memory that is not collected is not kept. */
    bool scanned = arenap_collector_holds(arg);
    struct action *action;

    action = scanned ? arenap_collector_alloc_traced(sizeof *action)
                     : malloc(sizeof *action);
    if (action == NULL) {
        arenap_fail_system(sizeof *action);
        return NULL;
    }
    action->run = run;
    action->arg = arg;
    action->place = scanned ? ACTION_SCANNED : ACTION_MALLOCED;
    return action;
}

void
arenap_action_free(struct action *action)
{
    if (action->place == ACTION_SCANNED)
        arenap_collector_free_traced(action);
    else if (action->place == ACTION_MALLOCED)
        free(action);
}

void
arenap_actions_run(struct thread *self, struct action *actions,
                   const struct action *last)
{
    if (self != NULL)
        self->acting++;
    while (actions != last) {
        struct action *next = actions->next;

        actions->run(actions->arg);
        arenap_action_free(actions);
        actions = next;
    }
    if (self != NULL)
        self->acting--;
}

static int
on_close_explicit(struct thread *self, struct arena *arena,
                  struct action *action)
{
    int result;

    arenap_sync_lock(arena);
    result = arenap_explicit_check(self, arena);
    if (result == 0) {
        action->next = arena->actions;
        arena->actions = action;
        arenap_explicit_complicate(arena);
    }
    arenap_sync_unlock(arena);
    return result;
}

int
arena_on_close(arena_t *arena, void (*action)(void *), void *arg)
{
    struct thread *self = arenap_thread_self();
    struct action *made;
    int result;

    if (arena == NULL || action == NULL)
        return arenap_fail(EINVAL, "no arena or no action");
    if (self == NULL)
        return arenap_fail_system(sizeof(struct thread));
    if (arena->kind == ARENA_GLOBAL || arena->kind == ARENA_IMPLICIT)
        return arenap_fail(ENOTSUP, "%s arenas are never closed",
                           arenap_kind_name(arena->kind));
    if (arena->kind == ARENA_AUTO)
        return arenap_auto_on_close(self, arena, action, arg);
    if (arenap_explicit_check(self, arena) != 0)
        return -1;
    made = arenap_action_make(action, arg);
    if (made == NULL)
        return -1;
    result = on_close_explicit(self, arena, made);
    if (result != 0)
        arenap_action_free(made);
    return result;
}
