/*
 * linkage.h: what a shared library calls by way of its linkage table can be
 * answered by another function, without a change to that library.
 */
#ifndef ARENA_LIB_LINKAGE_H
#define ARENA_LIB_LINKAGE_H

#include "internal.h"

/*
 * In the shared library that the address lies in, let every reference to name
 * mean the function.  False if there is no reference, or the table cannot be
 * written.  Call it before other threads use the library.
 */
bool arenap_linkage_replace(const void *inside, const char *name,
                            void *function);

/*
 * The name of a module, other than the two that the addresses lie in, that was
 * linked with a library (the beginning of its name) and refers to one of some
 * names there, of which NULL is the last; NULL if there is none.
 */
const char *arenap_linkage_user(const char *library, const char *const *names,
                                const void *but, const void *nor);

/* Is the shared library in the process, and this another copy of it?  One
 * that is linked statically cannot be seen. */
bool arenap_linkage_is_twice(void);

#endif
