/*
 * sync.h: the locks of arenas.
 *
 * Arenas share a fixed set of stripe locks, chosen by address: so that fork
 * can take them all, and a child finds every arena in a consistent state.  A
 * thread holds one stripe at a time, except under the tree lock, where
 * arenap_sync_lock_set takes several in order.
 */
#ifndef ARENA_LIB_SYNC_H
#define ARENA_LIB_SYNC_H

#include "internal.h"

void arenap_sync_lock(const struct arena *arena);
void arenap_sync_unlock(const struct arena *arena);

/* A set of stripes, to be taken together. */
typedef uint64_t sync_set;

sync_set arenap_sync_stripe(const struct arena *arena);
void arenap_sync_lock_set(sync_set set);
void arenap_sync_unlock_set(sync_set set);

/* Guards parents, children and siblings of all arenas. */
void arenap_sync_tree_lock(void);
void arenap_sync_tree_unlock(void);

void arenap_sync_fork_prepare(void);
void arenap_sync_fork_done(void);

#endif
