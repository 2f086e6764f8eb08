/* usage.h: snapshots, and what is called by its name. */
#ifndef ARENA_LIB_USAGE_H
#define ARENA_LIB_USAGE_H

#include "internal.h"

/* Bytes reserved under a pool: a kind of arena, or as thread.h says. */
size_t arenap_usage_reserved(unsigned pool);

/* Bytes reserved under anything: all that is charged but for caches. */
size_t arenap_usage_reserved_all(void);

/* "confined" and so on. */
const char *arenap_kind_name(unsigned kind);

#endif
