/* buffer.c: see buffer.h and arena/buffer.h. */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "budget.h"
#include "buffer.h"
#include "cleaner.h"
#include "collected.h"
#include "collector.h"
#include "error.h"
#include "internal.h"
#include "payload.h"
#include "phantom.h"
#include "thread.h"

_Static_assert(sizeof(struct arena_buffer) % ARENA_GRANULE == 0,
               "a payload behind the handle is aligned");

/* The largest payload behind a handle, and what its alignment takes: with the
 * collector's own byte still a small block of its. */
#define INSIDE_LAST (ARENA_PAGE / 2 - sizeof(struct arena_buffer) - 1)

/* A handle of this size is reported by the collection that finds it dead,
 * whatever its neighbours are: the collector passes over blocks of smaller
 * ones that are nearly full. */
#define PROMPT_REQUEST ((size_t)448)

/* --- Death --- */

static struct payload *
payload_of(struct arena_buffer *root)
{
    return (struct payload *)(void *)(root + 1);
}

/* Free the payload of a root whose tag was claimed, and settle its account.
 * Takes no lock but malloc's. */
static inline void
root_end(struct arena_buffer *root, bool by_hand)
{
    size_t length = 0, kept = 0;

    if (ARENA_UNLIKELY(root->outside)) {
        length = payload_of(root)->length;
        if (by_hand)
            arenap_payload_free(payload_of(root));
        else if (!arenap_payload_dead(payload_of(root)))
            kept = length;
    }
    arenap_collected_uncount(POOL_BUFFERS, root->charge + length,
                             root->capacity, 1);
    arenap_budget_release_quietly(root->charge + length - kept);
}

int
arenap_buffer_dead(void *handle)
{
    struct arena_buffer *buffer = handle;
    uint64_t tag = atomic_load_explicit(&buffer->tag, memory_order_relaxed);

    /* Free slots come here too. */
    if (tag != BUFFER_ARMED && tag != BUFFER_VIEW && tag != BUFFER_OVER)
        return 0;
    /* Nobody can reach it: nobody else can claim the tag. */
    atomic_store_explicit(&buffer->tag, 0, memory_order_relaxed);
    if (tag == BUFFER_ARMED)
        root_end(buffer, false);
    else if (tag == BUFFER_OVER)
        arenap_buffer_over_dead();
    else
        arenap_collected_uncount(POOL_HANDLES, buffer->charge, 0, 0);
    return 0;
}

int
arena_buffer_free(arena_buffer_t *buffer)
{
    uint64_t tag = BUFFER_ARMED;

    if (buffer == NULL)
        return 0;
    if (buffer->root != NULL)
        return arenap_fail(EINVAL,
                           "the buffer is a view, of another buffer or of a "
                           "segment: it has no memory of its own to free");
    if (!atomic_compare_exchange_strong(&buffer->tag, &tag, BUFFER_VIEW))
        return 0;
    /* From here on it counts as dead. */
    arenap_collected_uncount(POOL_HANDLES, (size_t)0 - buffer->charge, 0, 0);
    root_end(buffer, true);
    arenap_phantom_freed(buffer);
    arenap_budget_serve_by_hand();
    arena_keep_alive(buffer);
    return 0;
}

/* --- Birth --- */

/* Fill in a root whose payload is there; then it is registered. */
static arena_buffer_t *
root_arm(struct thread *self, struct arena_buffer *root, char *data,
         size_t capacity, size_t handle, size_t charge)
{
    root->data = data;
    root->capacity = root->limit = capacity;
    root->mark = BUFFER_NO_MARK;
    root->charge = (uint32_t)handle;
    arenap_collected_account(self, POOL_BUFFERS, charge, capacity, 1);
    atomic_store_explicit(&root->tag, BUFFER_ARMED, memory_order_release);
    return root;
}

static arena_buffer_t *
root_make_inside(struct thread *self, size_t capacity, size_t align)
{
    size_t slack = align > ARENA_GRANULE ? align - ARENA_GRANULE : 0, charge;
    /* The byte that the collector adds is the payload's last one: the handle
     * is what keeps the payload, not a pointer past its end. */
    size_t request = sizeof(struct arena_buffer) + slack
                     + (capacity != 0 ? capacity - 1 : 0);
    struct arena_buffer *root = arenap_collected_block(
        self, BLOCK_BUFFER, request, 0, &charge);

    if (ARENA_UNLIKELY(root == NULL))
        return NULL;
    return root_arm(self, root,
                    (char *)arenap_round_up((uintptr_t)(root + 1), align),
                    capacity, charge, charge);
}

static arena_buffer_t *
root_make_outside(struct thread *self, size_t capacity, size_t align)
{
    struct payload payload;
    struct arena_buffer *root;
    size_t handle; /* bytes charged for it */

    arenap_payload_begin(&payload, capacity, align);
    root = arenap_collected_block(self, BLOCK_BUFFER, PROMPT_REQUEST,
                                  payload.base == NULL ? payload.length : 0,
                                  &handle);
    if (root == NULL) {
        arenap_payload_cancel(&payload);
        return NULL;
    }
    if (!arenap_payload_complete(&payload, align)) {
        arenap_collector_free(self, root);
        arenap_budget_release(handle + payload.length);
        arenap_fail_system(payload.length);
        return NULL;
    }
    *payload_of(root) = payload;
    root->outside = true;
    return root_arm(self, root,
                    (char *)arenap_round_up((uintptr_t)payload.base, align),
                    capacity, handle, handle + payload.length);
}

static arena_buffer_t *
root_make(size_t capacity, size_t align)
{
    struct thread *self = arenap_thread_self();

    if (ARENA_UNLIKELY(self == NULL)) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    if (ARENA_LIKELY(capacity <= INSIDE_LAST
                     && align <= INSIDE_LAST - capacity))
        return root_make_inside(self, capacity, align);
    if (align > PTRDIFF_MAX / 2 || capacity > PTRDIFF_MAX / 2)
        return arenap_fail_null(ENOMEM,
                                "cannot allocate a buffer of %zu bytes, "
                                "aligned to %zu: no object is that large",
                                capacity, align);
    return root_make_outside(self, capacity, align);
}

arena_buffer_t *
arena_buffer_allocate(size_t capacity)
{
    return root_make(capacity, 1);
}

arena_buffer_t *
arena_buffer_allocate_aligned(size_t capacity, size_t align)
{
    if (!arenap_is_pow2(align))
        return arenap_fail_null(
            EINVAL, "an alignment of %zu is not a power of two", align);
    return root_make(capacity, align);
}

/* --- Faults --- */

int
arenap_buffer_fail_null(void)
{
    return arenap_fail(EINVAL, "no buffer was given");
}

static int
fail_stale(void)
{
    return arenap_fail(ESTALE, "the buffer was freed, or the arena of its "
                               "segment closed");
}

int
arenap_buffer_check(const struct arena_buffer *buffer)
{
    if (buffer == NULL)
        return arenap_buffer_fail_null();
    return arenap_buffer_is_alive(buffer)
                   || arenap_buffer_over_is_alive(buffer)
               ? 0
               : fail_stale();
}

ARENA_COLD int
arenap_buffer_bounds(const struct arena_buffer *buffer, size_t index,
                     size_t n, bool writes)
{
    if (buffer == NULL)
        return arenap_buffer_fail_null();
    if (writes && buffer->read_only)
        return arenap_fail(EACCES, "the buffer is read-only");
    if (n > buffer->limit || index > buffer->limit - n)
        return arenap_fail(ERANGE,
                           "%zu bytes from index %zu go past the limit %zu",
                           n, index, buffer->limit);
    return 0;
}

/* --- Views --- */

void *
arenap_buffer_handle(struct thread *self, size_t size)
{
    void *handle;

    if (arenap_collector_attach(self) != 0)
        return NULL;
    handle = arenap_collector_alloc_listed(self, BLOCK_BUFFER, size);
    if (handle == NULL && arenap_cleaner_reclaim())
        handle = arenap_collector_alloc_listed(self, BLOCK_BUFFER, size);
    if (handle == NULL)
        arenap_fail_system(size);
    else
        arenap_collected_account(self, POOL_HANDLES, size, 0, 0);
    return handle;
}

arena_buffer_t *
arenap_buffer_view(struct arena_buffer *root, char *data, size_t size)
{
    struct thread *self = arenap_thread_self();
    struct arena_buffer *view;

    if (self == NULL) {
        arenap_fail_system(sizeof *self);
        return NULL;
    }
    view = arenap_buffer_handle(self, sizeof *view);
    if (view == NULL)
        return NULL;
    view->charge = sizeof *view;
    view->root = root;
    view->data = data;
    view->capacity = view->limit = size;
    view->mark = BUFFER_NO_MARK;
    atomic_store_explicit(&view->tag, BUFFER_VIEW, memory_order_release);
    return view;
}

/* A view of the bytes from an index, all of them to be read. */
static arena_buffer_t *
view_make(arena_buffer_t *source, size_t index, size_t size)
{
    arena_buffer_t *view =
        arenap_buffer_view(source->root != NULL ? source->root : source,
                           source->data + index, size);

    if (view != NULL) {
        view->read_only = source->read_only;
        view->swapped = source->swapped;
    }
    arena_keep_alive(source);
    return view;
}

arena_buffer_t *
arena_buffer_duplicate(arena_buffer_t *buffer)
{
    arena_buffer_t *view;

    if (arenap_buffer_check(buffer) != 0)
        return NULL;
    view = view_make(buffer, 0, buffer->capacity);
    if (view == NULL)
        return NULL;
    view->limit = buffer->limit;
    view->position = buffer->position;
    view->mark = buffer->mark;
    return view;
}

arena_buffer_t *
arena_buffer_read_only(arena_buffer_t *buffer)
{
    arena_buffer_t *view = arena_buffer_duplicate(buffer);

    if (view != NULL)
        view->read_only = true;
    return view;
}

arena_buffer_t *
arena_buffer_slice(arena_buffer_t *buffer)
{
    if (arenap_buffer_check(buffer) != 0)
        return NULL;
    return view_make(buffer, buffer->position,
                     buffer->limit - buffer->position);
}

arena_buffer_t *
arena_buffer_slice_at(arena_buffer_t *buffer, size_t index, size_t size)
{
    if (arenap_buffer_bounds(buffer, index, size, false) != 0
        || arenap_buffer_check(buffer) != 0)
        return NULL;
    return view_make(buffer, index, size);
}

static int
check_unit(size_t unit)
{
    if (!arenap_is_pow2(unit))
        return arenap_fail(EINVAL, "a unit of %zu is not a power of two",
                           unit);
    return 0;
}

arena_buffer_t *
arena_buffer_aligned_slice(arena_buffer_t *buffer, size_t unit)
{
    size_t before, after, remaining;

    if (buffer == NULL) {
        arenap_buffer_fail_null();
        return NULL;
    }
    if (check_unit(unit) != 0 || arenap_buffer_check(buffer) != 0)
        return NULL;
    remaining = buffer->limit - buffer->position;
    before =
        (size_t)(-(uintptr_t)(buffer->data + buffer->position) & (unit - 1));
    after = (size_t)((uintptr_t)(buffer->data + buffer->limit) & (unit - 1));
    /* No multiple in between, or just one. */
    if (before > remaining || after > remaining - before)
        return view_make(buffer, buffer->position, 0);
    return view_make(buffer, buffer->position + before,
                     remaining - before - after);
}

/* --- Asking --- */

void *
arena_buffer_address(const arena_buffer_t *buffer)
{
    return arenap_buffer_check(buffer) == 0 ? buffer->data : NULL;
}

size_t
arena_buffer_capacity(const arena_buffer_t *buffer)
{
    return buffer != NULL ? buffer->capacity : 0;
}

size_t
arena_buffer_position(const arena_buffer_t *buffer)
{
    return arenap_buffer_position(buffer);
}

size_t
arena_buffer_limit(const arena_buffer_t *buffer)
{
    return buffer != NULL ? buffer->limit : 0;
}

size_t
arena_buffer_remaining(const arena_buffer_t *buffer)
{
    return buffer != NULL ? buffer->limit - buffer->position : 0;
}

bool
arena_buffer_is_read_only(const arena_buffer_t *buffer)
{
    return buffer != NULL && buffer->read_only;
}

#define SWAPPED_ENDIAN                                                        \
    (ARENA_NATIVE_ENDIAN == ARENA_BIG_ENDIAN ? ARENA_LITTLE_ENDIAN            \
                                             : ARENA_BIG_ENDIAN)

arena_order_t
arena_buffer_order(const arena_buffer_t *buffer)
{
    return buffer != NULL && buffer->swapped ? SWAPPED_ENDIAN
                                             : ARENA_NATIVE_ENDIAN;
}

int
arena_buffer_alignment_offset(const arena_buffer_t *buffer, size_t index,
                              size_t unit, size_t *out)
{
    if (buffer == NULL)
        return arenap_buffer_fail_null();
    if (out == NULL)
        return arenap_fail(EINVAL, "no place for the offset");
    if (check_unit(unit) != 0 || arenap_buffer_check(buffer) != 0)
        return -1;
    *out = (size_t)(((uintptr_t)buffer->data + index) & (unit - 1));
    return 0;
}

/* --- Position, limit and mark --- */

static void
drop_mark_past(arena_buffer_t *buffer, size_t place)
{
    if (buffer->mark != BUFFER_NO_MARK && buffer->mark > place)
        buffer->mark = BUFFER_NO_MARK;
}

int
arena_buffer_set_position(arena_buffer_t *buffer, size_t position)
{
    if (buffer == NULL)
        return arenap_buffer_fail_null();
    if (position > buffer->limit)
        return arenap_fail(EINVAL, "a position of %zu is past the limit %zu",
                           position, buffer->limit);
    if (arenap_buffer_check(buffer) != 0)
        return -1;
    buffer->position = position;
    drop_mark_past(buffer, position);
    return 0;
}

int
arena_buffer_set_limit(arena_buffer_t *buffer, size_t limit)
{
    if (buffer == NULL)
        return arenap_buffer_fail_null();
    if (limit > buffer->capacity)
        return arenap_fail(EINVAL, "a limit of %zu is past the capacity %zu",
                           limit, buffer->capacity);
    if (arenap_buffer_check(buffer) != 0)
        return -1;
    buffer->limit = limit;
    if (buffer->position > limit)
        buffer->position = limit;
    drop_mark_past(buffer, limit);
    return 0;
}

int
arena_buffer_set_order(arena_buffer_t *buffer, arena_order_t order)
{
    if (buffer == NULL)
        return arenap_buffer_fail_null();
    if (order != ARENA_LITTLE_ENDIAN && order != ARENA_BIG_ENDIAN)
        return arenap_fail(EINVAL, "%d is no byte order", (int)order);
    if (arenap_buffer_check(buffer) != 0)
        return -1;
    buffer->swapped = order != ARENA_NATIVE_ENDIAN;
    return 0;
}

int
arena_buffer_mark(arena_buffer_t *buffer)
{
    if (arenap_buffer_check(buffer) != 0)
        return -1;
    buffer->mark = buffer->position;
    return 0;
}

int
arena_buffer_reset(arena_buffer_t *buffer)
{
    if (buffer == NULL)
        return arenap_buffer_fail_null();
    if (buffer->mark == BUFFER_NO_MARK)
        return arenap_fail(EINVAL, "the buffer has no mark");
    if (arenap_buffer_check(buffer) != 0)
        return -1;
    buffer->position = buffer->mark;
    return 0;
}

/* Start from 0 up to a limit. */
static int
start_over(arena_buffer_t *buffer, size_t limit)
{
    buffer->position = 0;
    buffer->limit = limit;
    buffer->mark = BUFFER_NO_MARK;
    return 0;
}

int
arena_buffer_flip(arena_buffer_t *buffer)
{
    return arenap_buffer_check(buffer) == 0
               ? start_over(buffer, buffer->position)
               : -1;
}

int
arena_buffer_clear(arena_buffer_t *buffer)
{
    return arenap_buffer_check(buffer) == 0
               ? start_over(buffer, buffer->capacity)
               : -1;
}

int
arena_buffer_rewind(arena_buffer_t *buffer)
{
    return arenap_buffer_check(buffer) == 0 ? start_over(buffer, buffer->limit)
                                            : -1;
}

/* Over a segment. */
static ARENA_COLD int
compact_over(arena_buffer_t *buffer, size_t remaining)
{
    arena_segment_t to, from;

    if (arenap_buffer_part(buffer, arenap_buffer_position(buffer), remaining,
                           true, &from)
            != 0
        || arenap_buffer_part(buffer, 0, remaining, true, &to) != 0)
        return -1;
    return arena_segment_copy(&to, 0, &from, 0, remaining);
}

int
arena_buffer_compact(arena_buffer_t *buffer)
{
    size_t remaining = arena_buffer_remaining(buffer);
    char *from = arenap_buffer_span(buffer, arenap_buffer_position(buffer),
                                    remaining, true);

    if (from != NULL)
        memmove(buffer->data, from, remaining);
    else if (compact_over(buffer, remaining) != 0)
        return -1;
    start_over(buffer, buffer->capacity);
    buffer->position = remaining;
    arena_keep_alive(buffer);
    return 0;
}
