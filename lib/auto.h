/*
 * auto.h: auto arenas.  auto.c opens them, has their close actions, and hears
 * of their death; auto_parts.c allocates in them.
 *
 * An auto arena is a small collected block, its control, with room for a few
 * small blocks of the user; and parts: further blocks, each with a header.
 * They form a ring of pointers that the collector sees, control -> newest
 * part -> ... -> oldest part, and each part -> control: so a pointer to
 * anything keeps everything, and all dies in one collection.
 *
 * The thread that opened an arena allocates from it without a lock; others
 * share a part, under one.
 *
 * Each carries its own account, settled when the collector finds it dead.
 *
 * An arena with a name, a limit or actions has an extra, which its parts
 * share; see extra.h.
 */
#ifndef ARENA_LIB_AUTO_H
#define ARENA_LIB_AUTO_H

#include "collected.h"
#include "collector.h"
#include "internal.h"
#include "thread.h"

/* One without options, if a block for it is at hand; or NULL. */
struct arena *arenap_auto_open_at_hand(void);

struct arena *arenap_auto_open(struct thread *self,
                               const arena_options_t *options);

/* A zero-filled block of an arena that the calling thread opened, if its run
 * has so much that is zero; or false.  Blocks of size 0 take the long way. */
static ARENA_INLINE bool
arenap_auto_alloc_at_hand(struct arena *arena, size_t size, void **out)
{
    char *block = arena->bump;

    if (ARENA_UNLIKELY(size - 1 >= (size_t)(arena->end - block)))
        return false;
    __atomic_store_n(&arena->bump,
                     block + arenap_round_up(size, ARENA_GRANULE),
                     __ATOMIC_RELAXED);
    arena->tally += size;
    arenap_count(&arenap_tls.record->counts[ARENA_AUTO].requested, size);
    *out = block;
    return true;
}

/* A block; arguments are valid.  NULL with errno set. */
void *arenap_auto_alloc(struct thread *self, struct arena *arena, size_t size,
                        size_t align, bool zero);

bool arenap_auto_resize(struct arena *arena, char *block, size_t old_size,
                        size_t new_size);

int arenap_auto_on_close(struct thread *self, struct arena *arena,
                         void (*run)(void *), void *arg);

/* Its close actions are about to run. */
void arenap_auto_close(struct arena *arena);

/* False from then on. */
bool arenap_auto_is_alive(const struct arena *arena);

const char *arenap_auto_name(const struct arena *arena);
size_t arenap_auto_bytes(const struct arena *arena);

/* The room of a part, or of a control, that may have blocks, of which the
 * collector says base and size.  False: there is no arena. */
bool arenap_auto_extent(enum block kind, void *base, size_t size,
                        const char **start, const char **end);

/* --- For the collector ---
 *
 * Called for each dead block, under its lock: they take no lock and touch no
 * other block.  Nonzero: not yet. */

int arenap_auto_control_dead(void *block);
int arenap_auto_part_dead(void *block);

/* --- For auto.c and auto_parts.c --- */

/* A control has room for 5 granules of the user's. */
#define CONTROL_BYTES ((size_t)176)

/* The first part, unless it is for a block that is too large. */
#define PART_FIRST (2 * ARENA_PAGE)

/* A part, a chunk of the collector's, which sees words 0 and 1. */
struct part {
    struct part *next;   /* older, or NULL */
    struct arena *arena; /* NULL until it is linked and accounted */
    size_t bytes;        /* accounted */
    struct arena_extra *extra;
    size_t asked; /* bytes that guests asked for */
    char *bump;   /* of the guests' part */
};

/* An arena's control.  The thread that opened it is at home: it alone touches
 * bump, end, limit and tally, and takes no lock for that.  All others are
 * guests; they share a part, under the arena's lock. */
struct control {
    char head[ARENA_AUTO_HEAD]; /* as struct arena begins */
    char *limit;                /* of the run that begins with bump */
    struct part *guests;        /* where they allocate, or NULL */
};

_Static_assert(sizeof(struct part) % 16 == 0, "blocks are aligned");
_Static_assert(sizeof(struct control) % 16 == 0, "blocks are aligned");
_Static_assert(sizeof(struct part) <= BLOCK_CHUNK_HEAD,
               "a new one is all zero");
_Static_assert(offsetof(struct arena, chunks) == sizeof(void *),
               "the ring goes through word 1 of the control");
_Static_assert(offsetof(struct arena, owner) == 0, "the tag is word 0");

#endif
