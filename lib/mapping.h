/*
 * mapping.h: mapped files.
 *
 * In explicit and global arenas a mapping is a chunk of the arena: a page of
 * ours with the chunk's header, and behind it the pages of the file; so it
 * goes when the arena's chunks go.  In an auto arena it is unmapped by a close
 * action.
 */
#ifndef ARENA_LIB_MAPPING_H
#define ARENA_LIB_MAPPING_H

#include "../include/arena/budget.h"
#include "../include/arena/segment.h"
#include "chunk.h"
#include "internal.h"

/* A segment in a chunk of source CHUNK_FILE: say what is special about it. */
void arenap_mapping_describe(const struct chunk *chunk, arena_segment_t *out);

/* The chunk goes back to the system; its header's page too. */
void arenap_mapping_release(struct chunk *chunk);

/* What is mapped. */
void arenap_mapping_figures(arena_usage_pool_t *out);

#endif
