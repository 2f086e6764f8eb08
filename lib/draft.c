/* draft.c: bytes, and pointers among them. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "../include/arena/budget.h"
#include "draft.h"

/* Up to so many bytes or links it grows fast. */
#define DRAFT_STEEP ((size_t)4096)

void
arenap_draft_init(struct draft *draft)
{
    draft->bytes = draft->few_bytes;
    draft->size = 0;
    draft->room = sizeof draft->few_bytes;
    draft->lead = 0;
    draft->align = 1;
    draft->tail_size = 0;
    draft->tail_align = 1;
    draft->links = draft->few_links;
    draft->link_count = 0;
    draft->link_room = DRAFT_FEW_LINKS;
}

void
arenap_draft_free(struct draft *draft)
{
    if (draft->bytes != draft->few_bytes)
        free(draft->bytes);
    if (draft->links != draft->few_links)
        free(draft->links);
}

void
arenap_draft_lead(struct draft *draft)
{
    draft->lead = draft->size;
    draft->align = 1;
}

/* Room for size bytes, of which used are in memory that is few, or malloc'd.
 * NULL when the system refuses. */
static void *
grow(void *memory, const void *few, size_t used, size_t size)
{
    void *grown = realloc(memory != few ? memory : NULL, size);

    if (grown != NULL && memory == few)
        memcpy(grown, few, used);
    return grown;
}

bool
arenap_draft_grow(struct draft *draft, size_t least)
{
    size_t room = least <= DRAFT_STEEP ? 4 * least : least + least / 2;
    char *bytes;

    if (least - draft->lead > arena_limit())
        return false;
    bytes = grow(draft->bytes, draft->few_bytes, draft->size, room);
    if (bytes == NULL)
        return false;
    draft->bytes = bytes;
    draft->room = room;
    return true;
}

/* As far as can be without a size over PTRDIFF_MAX. */
static bool
place_behind(size_t used, size_t size, size_t align, size_t *place)
{
    if (align > PTRDIFF_MAX)
        return false;
    *place = arenap_round_up(used, align);
    return *place <= PTRDIFF_MAX && size <= PTRDIFF_MAX - *place;
}

bool
arenap_draft_place(struct draft *draft, size_t size, size_t align,
                   size_t *place)
{
    size_t end;

    size += size == 0;
    if (!place_behind(draft->size - draft->lead, size, align, place)
        || draft->lead > PTRDIFF_MAX - size - *place)
        return false;
    *place += draft->lead;
    end = *place + size;
    if (ARENA_UNLIKELY(end > draft->room) && !arenap_draft_grow(draft, end))
        return false;
    memset(draft->bytes + draft->size, 0, end - draft->size);
    draft->size = end;
    if (align > draft->align)
        draft->align = align;
    return true;
}

bool
arenap_draft_place_tail(struct draft *draft, size_t size, size_t align,
                        size_t *place)
{
    if (!place_behind(draft->tail_size, size, align, place))
        return false;
    draft->tail_size = *place + size;
    if (align > draft->tail_align)
        draft->tail_align = align;
    return true;
}

bool
arenap_draft_grow_links(struct draft *draft)
{
    size_t room = draft->link_room <= DRAFT_STEEP ? 4 * draft->link_room
                                                  : 2 * draft->link_room;
    struct link *links =
        grow(draft->links, draft->few_links,
             draft->link_count * sizeof *links, room * sizeof *links);

    if (links == NULL)
        return false;
    draft->links = links;
    draft->link_room = room;
    return true;
}

bool
arenap_draft_measure(const struct draft *draft, size_t *size, size_t *tail)
{
    bool fits = place_behind(draft->size - draft->lead, draft->tail_size,
                             draft->tail_align, tail);

    if (draft->tail_size == 0)
        *tail = draft->size - draft->lead;
    *size = *tail + draft->tail_size;
    return fits;
}
