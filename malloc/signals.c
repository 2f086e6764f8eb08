/* signals.c: see interposer.h. */

#include "config.h"

#include <signal.h>

#include "interposer.h"

INTERPOSE_TLS volatile unsigned arenap_signals_handled;

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
