/* cell.c: see cell.h. */

#include "config.h"

#include "cell.h"
#include "explicit.h"
#include "internal.h"
#include "os.h"
#include "thread.h"

/* As many as are made at a time. */
#define CELLS 64

static struct cell *
cells_make(void)
{
    struct cell *cells = arenap_os_meta(CELLS * sizeof *cells);

    if (cells != NULL)
        for (size_t i = 0; i + 1 < CELLS; i++)
            cells[i].next = &cells[i + 1];
    return cells;
}

static void
advance(struct cell *cell)
{
    __atomic_store_n(&cell->epoch, cell->epoch + 1, __ATOMIC_RELEASE);
}

struct cell *
arenap_cell_of(struct thread *self, struct mark *mark)
{
    struct cell *cell = mark->cell;

    if (cell != NULL)
        return cell;
    cell = self->cells != NULL ? self->cells : cells_make();
    if (cell != NULL) {
        self->cells = cell->next;
        mark->cell = cell;
    }
    return cell;
}

void
arenap_cells_drop(struct arena *arena, const struct mark *last)
{
    struct thread *self = arenap_tls.record;

    for (struct mark *m = arena->marks; m != last; m = m->next)
        if (m->cell != NULL) {
            advance(m->cell);
            m->cell->next = self->cells;
            self->cells = m->cell;
            m->cell = NULL;
        }
}

void
arenap_cell_advance(const struct mark *mark)
{
    if (mark->cell != NULL)
        advance(mark->cell);
}
