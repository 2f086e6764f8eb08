/* usage.h: snapshots, and what is called by its name. */
#ifndef ARENA_LIB_USAGE_H
#define ARENA_LIB_USAGE_H

#include "internal.h"

/* The global arena; arena.c. */
extern struct arena arenap_global;

/* Bytes reserved under a kind. */
size_t arenap_usage_reserved(arena_kind_t kind);

/* Bytes reserved under anything: all that is charged but for caches. */
size_t arenap_usage_reserved_all(void);

/* "confined" and so on. */
const char *arenap_kind_name(unsigned kind);

#endif
