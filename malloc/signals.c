/*
 * signals.c: what the program does with signals; see interposer.h.
 *
 * Two signals belong to the collector.  They are taken out of every set that
 * the program blocks or waits for, and a handler of the program's for one of
 * them is written down and never installed, so that a program which tries
 * all signals finds nothing odd.
 *
 * Handlers of the program's are called by one of ours, which counts: a call
 * that a signal interrupted is only taken up again if no handler of the
 * program's ran meanwhile (waits.c).
 */

#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "interposer.h"

#define SIGNALS 65 /* and 0 */

typedef void handler_full(int number, siginfo_t *info, void *context);

INTERPOSE_TLS volatile unsigned arenap_signals_handled;
INTERPOSE_TLS volatile unsigned arenap_signals_depth;

static _Atomic(__sighandler_t) handlers[SIGNALS];
static struct sigaction pretended[2];

/* Near the end of the list, where no program that was seen has its own. */
int
arenap_signals_suspend(void)
{
    return SIGRTMAX - 3;
}

int
arenap_signals_restart(void)
{
    return SIGRTMAX - 4;
}

static bool
is_taken(int number)
{
    return arenap_mode_now() == MODE_COLLECT
           && (number == arenap_signals_suspend()
               || number == arenap_signals_restart());
}

/* Not in a child of vfork: it has signals of its own, but its parent's
 * memory. */
static bool
is_minded(int number)
{
    return number > 0 && number < SIGNALS && arenap_mode_now() != MODE_EARLY
           && !arena_interpose_is_asleep();
}

const sigset_t *
arenap_signals_strip(const sigset_t *set, sigset_t *copy)
{
    if (set == NULL || arenap_mode_now() != MODE_COLLECT)
        return set;
    *copy = *set;
    sigdelset(copy, arenap_signals_suspend());
    sigdelset(copy, arenap_signals_restart());
    return copy;
}

/* --- Handlers --- */

/* Three arguments, for all handlers: the others take no notice. */
static void
handle(int number, siginfo_t *info, void *context)
{
    union {
        __sighandler_t plain;
        handler_full *full;
    } program = {.plain = atomic_load(&handlers[number])};

    bool slept = arenap_spawn_interrupt();

    arenap_signals_handled++;
    arenap_signals_depth++;
    arenap_kernel_signalled(info);
    program.full(number, info, context);
    arenap_signals_depth--;
    if (slept)
        arenap_spawn_resume();
}

static __sighandler_t
ours(void)
{
    union {
        handler_full *full;
        __sighandler_t plain;
    } handler = {handle};

    return handler.plain;
}

/* What to install for a handler of the program's, now written down. */
static __sighandler_t
wrap(int number, __sighandler_t handler)
{
    if (number <= 0 || number >= SIGNALS || handler == SIG_DFL
        || handler == SIG_IGN || handler == SIG_ERR || handler == SIG_HOLD
        || handler == ours())
        return handler;
    atomic_store(&handlers[number], handler);
    return ours();
}

static int
pretend(int number, const struct sigaction *action, struct sigaction *before)
{
    struct sigaction *kept = &pretended[number == arenap_signals_suspend()];
    struct sigaction was = *kept;

    if (action != NULL)
        *kept = *action;
    if (before != NULL)
        *before = was;
    return 0;
}

INTERPOSE int
sigaction(int number, const struct sigaction *action,
          struct sigaction *before)
{
    struct sigaction installed;
    __sighandler_t last = SIG_DFL;
    int result;

    if (!is_minded(number))
        return REAL(sigaction)(number, action, before);
    if (is_taken(number))
        return pretend(number, action, before);
    last = atomic_load(&handlers[number]);
    if (action != NULL) {
        installed = *action;
        installed.sa_handler = wrap(number, action->sa_handler);
        arenap_signals_strip(&action->sa_mask, &installed.sa_mask);
    }
    result = REAL(sigaction)(number, action == NULL ? NULL : &installed,
                             before);
    if (result == 0 && before != NULL && before->sa_handler == ours())
        before->sa_handler = last;
    return result;
}

/* Where no mask is given: signal and its like. */
typedef __sighandler_t signal_function(int number, __sighandler_t handler);

static __sighandler_t
signal_by(signal_function *real, int number, __sighandler_t handler)
{
    struct sigaction before, action = {.sa_handler = handler};
    __sighandler_t last;

    if (!is_minded(number))
        return real(number, handler);
    if (is_taken(number)) {
        pretend(number, &action, &before);
        return before.sa_handler;
    }
    last = atomic_load(&handlers[number]);
    handler = real(number, wrap(number, handler));
    return handler == ours() ? last : handler;
}

__sighandler_t __sysv_signal(int number, __sighandler_t handler);

INTERPOSE __sighandler_t
signal(int number, __sighandler_t handler)
{
    return signal_by(REAL(signal), number, handler);
}

INTERPOSE __sighandler_t
__sysv_signal(int number, __sighandler_t handler)
{
    return signal_by(REAL(__sysv_signal), number, handler);
}

/* The other names that they have. */
INTERPOSE __sighandler_t bsd_signal(int number, __sighandler_t handler)
    __attribute__((nothrow, leaf, alias("signal")));
INTERPOSE __sighandler_t ssignal(int number, __sighandler_t handler)
    __attribute__((alias("signal")));
INTERPOSE __sighandler_t sysv_signal(int number, __sighandler_t handler)
    __attribute__((alias("__sysv_signal")));

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

INTERPOSE __sighandler_t
sigset(int number, __sighandler_t handler)
{
    return signal_by(REAL(sigset), number, handler);
}

INTERPOSE int
sighold(int number)
{
    return is_taken(number) ? 0 : REAL(sighold)(number);
}

/* --- Masks --- */

INTERPOSE int
sigprocmask(int how, const sigset_t *set, sigset_t *before)
{
    sigset_t copy;

    if (how != SIG_UNBLOCK)
        set = arenap_signals_strip(set, &copy);
    return REAL(sigprocmask)(how, set, before);
}

INTERPOSE int
pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
    sigset_t copy;

    if (how != SIG_UNBLOCK)
        set = arenap_signals_strip(set, &copy);
    return REAL(pthread_sigmask)(how, set, before);
}

INTERPOSE int
signalfd(int file, const sigset_t *set, int flags)
{
    sigset_t copy;

    return REAL(signalfd)(file, arenap_signals_strip(set, &copy), flags);
}
