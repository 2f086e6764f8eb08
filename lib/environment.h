/*
 * environment.h: the variables that the library reads.
 *
 * A value that means nothing is passed over: the library prints nothing (but
 * for ARENA_LIMIT), and which one it was shows where it is asked for.
 */
#ifndef ARENA_LIB_ENVIRONMENT_H
#define ARENA_LIB_ENVIRONMENT_H

#include "internal.h"

/* The value; NULL: it has none, as shells that clear a variable leave it, or
 * the program has gained rights. */
const char *arenap_environment_get(const char *name);

/* Note that it was passed over.  Any thread; only the first few are kept. */
void arenap_environment_ignore(const char *name, const char *value);

/* The index-th of these, as "NAME=VALUE"; NULL: there are no more. */
const char *arenap_environment_ignored(size_t index);

#endif
