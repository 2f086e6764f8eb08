/*
 * ager.h: a thread that ages the stock of chunks (stock.h) when nobody comes
 * by.  It exists only while the stock is large.
 */
#ifndef ARENA_LIB_AGER_H
#define ARENA_LIB_AGER_H

#include <stdbool.h>

/* Start it, if it is not there.  False when the system refuses a thread. */
bool arenap_ager_start(void);

bool arenap_ager_is_running(void);

/* In a child: it is gone. */
void arenap_ager_fork_child(void);

#endif
