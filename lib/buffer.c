/* buffer.c: see buffer.h and arena/buffer.h. */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../include/arena/budget.h"
#include "../include/arena/buffer.h"
#include "budget.h"
#include "buffer.h"
#include "cleaner.h"
#include "collected.h"
#include "collector.h"
#include "error.h"
#include "internal.h"
#include "os.h"
#include "thread.h"
#include "usage.h"

/* --- Handles --- */

/* Where a payload is. */
enum source {
    SOURCE_HANDLE, /* behind the handle, in its block */
    SOURCE_MALLOC, /* calloc */
    SOURCE_MAPPED  /* own pages */
};

struct arena_buffer {
    _Atomic uint64_t tag;      /* BUFFER_... */
    struct arena_buffer *root; /* of a view; NULL: it is a root */
    /* --- not seen by the collector, from here on --- */
    char *data;
    size_t capacity, limit, position;
    size_t mark;     /* or NO_MARK */
    uint32_t charge; /* of the handle's block; of a root */
    uint8_t source;  /* enum source; of a root */
    bool read_only;
    bool swapped; /* its byte order is not the machine's */
};

#define NO_MARK SIZE_MAX

/* Behind the handle of a root whose payload is not there. */
struct outside {
    void *base; /* what to free */
    size_t length;
};

_Static_assert(sizeof(struct arena_buffer) % ARENA_GRANULE == 0,
               "a payload behind the handle is aligned");

/* The largest payload behind a handle, and what its alignment takes: with the
 * collector's own byte still a small block of its. */
#define INSIDE_LAST (ARENA_PAGE / 2 - sizeof(struct arena_buffer) - 1)

/* A handle of this size is reported by the collection that finds it dead,
 * whatever its neighbours are: the collector passes over blocks of smaller
 * ones that are nearly full. */
#define PROMPT_REQUEST ((size_t)448)

/* From here on the system's malloc maps pages of its own every time. */
#define MAPPED_FIRST ((size_t)32 << 20)

static bool
is_alive(const struct arena_buffer *buffer)
{
    const struct arena_buffer *root =
        buffer->root != NULL ? buffer->root : buffer;

    return atomic_load_explicit(&root->tag, memory_order_relaxed)
           == BUFFER_ARMED;
}

static struct outside *
outside_of(struct arena_buffer *root)
{
    return (struct outside *)(void *)(root + 1);
}

/* --- Pressure: the collector sees handles only ---
 *
 * Payloads outside of its heap make it collect as its own blocks do: when
 * those allocated since the last collection, and not freed by hand, are half
 * of all that it has to look after, and not just a few. */

#define PRESSURE_LEAST ((size_t)64 << 20)

static struct {
    _Atomic size_t held;  /* bytes outside */
    _Atomic size_t fresh; /* of these, since the last collection began */
} outside;

void
arenap_buffer_collecting(void)
{
    atomic_store_explicit(&outside.fresh, 0, memory_order_relaxed);
}

ARENA_COLD static void
pressure_collect(size_t least)
{
    struct collector_figures figures;

    arenap_collector_figures(&figures);
    if (!arenap_budget_may_collect()
        || atomic_load(&outside.fresh) < figures.in_use / 2)
        return;
    /* One of those who come here at the same time. */
    if (atomic_exchange(&outside.fresh, 0) >= least)
        arenap_cleaner_collect();
}

static void
pressure_add(size_t length)
{
    size_t fresh = atomic_fetch_add(&outside.fresh, length) + length;
    size_t least = arena_limit() / 2;

    if (least > PRESSURE_LEAST)
        least = PRESSURE_LEAST;
    if (ARENA_UNLIKELY(fresh >= least
                       && fresh >= atomic_load(&outside.held) / 2))
        pressure_collect(least);
}

static void
pressure_sub(size_t length)
{
    size_t fresh = atomic_load(&outside.fresh), less;

    do
        less = fresh > length ? fresh - length : 0;
    while (!atomic_compare_exchange_weak(&outside.fresh, &fresh, less));
}

size_t
arenap_buffer_handles(void)
{
    size_t held = atomic_load(&outside.held);
    size_t reserved = arenap_usage_reserved(POOL_BUFFERS);

    return reserved > held ? reserved - held : 0;
}

/* --- Payloads outside --- */

/* Pages for a payload that begins at a multiple of align; nothing else is
 * kept. */
static char *
mapped_get(size_t length, size_t align)
{
    size_t extra = align > ARENA_PAGE ? align : 0;
    char *base = arenap_os_map(length + extra), *data;

    if (base == NULL || extra == 0)
        return base;
    data = (char *)arenap_round_up((uintptr_t)base, align);
    if (data != base)
        arenap_os_unmap(base, (size_t)(data - base));
    if (base + extra != data)
        arenap_os_unmap(data + length, (size_t)(base + extra - data));
    return data;
}

/* What the system gives, zero-filled; NULL if it refuses. */
static void *
outside_get(enum source source, size_t length, size_t align)
{
    int saved = errno;
    void *base = source == SOURCE_MAPPED ? mapped_get(length, align)
                                         : calloc(1, length);

    errno = saved;
    return base;
}

/* The same, having collected if need be. */
static bool
outside_make(enum source source, struct outside *payload, size_t align)
{
    payload->base = outside_get(source, payload->length, align);
    if (payload->base == NULL && arenap_cleaner_reclaim())
        payload->base = outside_get(source, payload->length, align);
    return payload->base != NULL;
}

static void
outside_put(enum source source, const struct outside *payload)
{
    if (source == SOURCE_MAPPED)
        arenap_os_unmap(payload->base, payload->length);
    else
        free(payload->base);
}

/* --- The cache ---
 *
 * A collection finds many payloads dead at once.  The system's malloc would
 * give so many pages back, to be mapped and cleared again one by one.  So
 * some are kept, charged but counted under nothing, until the next ones of
 * the same length are asked for.  What is freed by hand goes back at once,
 * and so does everything while the budget is short. */

#define CACHE_SLOTS 128
#define CACHE_BYTES PRESSURE_LEAST
#define CACHE_SMALLEST ((size_t)64 * 1024)

static struct {
    _Atomic size_t bytes;
    /* Payloads, each of which begins with what is known of it.  Whoever takes
     * one out of its slot owns it. */
    _Atomic(struct outside *) slot[CACHE_SLOTS];
} cache;

/* Keep a dead payload and its charge.  From inside the collector. */
static bool
cache_keep(enum source source, const struct outside *payload)
{
    size_t length = payload->length;

    if (source != SOURCE_MALLOC || length < CACHE_SMALLEST
        || arenap_budget_is_short())
        return false;
    if (atomic_fetch_add(&cache.bytes, length) + length <= CACHE_BYTES)
        for (int i = 0; i < CACHE_SLOTS; i++) {
            struct outside *none = NULL;

            if (atomic_load_explicit(&cache.slot[i], memory_order_relaxed)
                != NULL)
                continue;
            *(struct outside *)payload->base = *payload;
            if (atomic_compare_exchange_strong(&cache.slot[i], &none,
                                               payload->base))
                return true;
        }
    atomic_fetch_sub(&cache.bytes, length);
    return false;
}

/* Take any one out.  False: there is none. */
static bool
cache_take(struct outside *out)
{
    if (atomic_load(&cache.bytes) == 0)
        return false;
    for (int i = 0; i < CACHE_SLOTS; i++) {
        struct outside *kept = NULL;

        if (atomic_load_explicit(&cache.slot[i], memory_order_relaxed)
            != NULL)
            kept = atomic_exchange(&cache.slot[i], NULL);
        if (kept != NULL) {
            *out = *kept;
            atomic_fetch_sub(&cache.bytes, out->length);
            return true;
        }
    }
    return false;
}

/* Give what was taken out back to the system. */
static void
cache_free(const struct outside *kept)
{
    if (kept->base == NULL)
        return;
    free(kept->base);
    arenap_budget_release(kept->length);
}

/* A payload of just this length, or NULL.  One of another length goes back to
 * malloc: so what nobody wants does not stay. */
static void *
cache_find(enum source source, size_t length)
{
    struct outside kept;

    if (source != SOURCE_MALLOC || length < CACHE_SMALLEST
        || !cache_take(&kept))
        return NULL;
    if (kept.length == length)
        return kept.base;
    cache_free(&kept);
    return NULL;
}

void
arenap_buffer_flush(void)
{
    struct outside kept;

    while (cache_take(&kept))
        cache_free(&kept);
}

size_t
arenap_buffer_cached(void)
{
    return atomic_load(&cache.bytes);
}

/* The bytes to take for a payload. */
static size_t
outside_length(size_t capacity, size_t align, enum source *source)
{
    size_t slack = align > ARENA_GRANULE ? align : 0;

    if (capacity + slack < MAPPED_FIRST) {
        *source = SOURCE_MALLOC;
        return capacity + slack;
    }
    *source = SOURCE_MAPPED;
    return arenap_round_up(capacity + (capacity == 0), ARENA_PAGE);
}

/* --- Death --- */

/* Free a payload.  False: the cache keeps it, and its charge. */
static bool
outside_end(struct arena_buffer *root, bool by_hand)
{
    const struct outside *payload = outside_of(root);

    atomic_fetch_sub(&outside.held, payload->length);
    if (!by_hand && cache_keep(root->source, payload))
        return false;
    outside_put(root->source, payload);
    return true;
}

/* Free the payload of a root whose tag was claimed, and settle its account.
 * Takes no lock but malloc's. */
static inline void
root_end(struct arena_buffer *root, bool by_hand)
{
    size_t length = 0, kept = 0;

    if (ARENA_UNLIKELY(root->source != SOURCE_HANDLE)) {
        length = outside_of(root)->length;
        kept = outside_end(root, by_hand) ? 0 : length;
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
    if (tag != BUFFER_ARMED && tag != BUFFER_VIEW)
        return 0;
    /* Nobody can reach it: nobody else can claim the tag. */
    atomic_store_explicit(&buffer->tag, 0, memory_order_relaxed);
    if (tag == BUFFER_ARMED)
        root_end(buffer, false);
    return 0;
}

int
arena_buffer_free(arena_buffer_t *buffer)
{
    uint64_t tag = BUFFER_ARMED;

    if (buffer == NULL)
        return 0;
    if (buffer->root != NULL)
        return arenap_fail(EINVAL, "the buffer is a view: only the first one "
                                   "can be freed");
    if (!atomic_compare_exchange_strong(&buffer->tag, &tag, BUFFER_VIEW))
        return 0;
    /* From here on it counts as dead: phantoms are told of it here. */
    if (buffer->source != SOURCE_HANDLE)
        pressure_sub(outside_of(buffer)->length);
    root_end(buffer, true);
    arenap_budget_serve();
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
    root->mark = NO_MARK;
    root->charge = (uint32_t)handle;
    arenap_collected_account(self, POOL_BUFFERS, charge, capacity, 1);
    atomic_store_explicit(&root->tag, BUFFER_ARMED, memory_order_release);
    return root;
}

static arena_buffer_t *
root_make_inside(struct thread *self, size_t capacity, size_t align)
{
    size_t slack = align > ARENA_GRANULE ? align - ARENA_GRANULE : 0, charge;
    struct arena_buffer *root = arenap_collected_block(
        self, BLOCK_BUFFER, sizeof *root + capacity + slack, 0, &charge);

    if (ARENA_UNLIKELY(root == NULL))
        return NULL;
    return root_arm(self, root,
                    (char *)arenap_round_up((uintptr_t)(root + 1), align),
                    capacity, charge, charge);
}

static arena_buffer_t *
root_make_outside(struct thread *self, size_t capacity, size_t align)
{
    struct outside payload;
    struct arena_buffer *root;
    enum source source;
    size_t handle; /* bytes charged for it */

    payload.length = outside_length(capacity, align, &source);
    pressure_add(payload.length);
    /* Its charge is held already. */
    payload.base = cache_find(source, payload.length);
    root = arenap_collected_block(
        self, BLOCK_BUFFER, PROMPT_REQUEST,
        payload.base == NULL ? payload.length : 0, &handle);
    if (root == NULL) {
        cache_free(&payload);
        return NULL;
    }
    if (payload.base != NULL)
        memset(payload.base, 0, payload.length);
    else if (!outside_make(source, &payload, align)) {
        arenap_collector_free(root);
        arenap_budget_release(handle + payload.length);
        arenap_fail_system(payload.length);
        return NULL;
    }
    *outside_of(root) = payload;
    root->source = (uint8_t)source;
    atomic_fetch_add(&outside.held, payload.length);
    return root_arm(self, root,
                    (char *)arenap_round_up((uintptr_t)payload.base, align),
                    capacity, handle, handle + payload.length);
}

static arena_buffer_t *
root_make(size_t capacity, size_t align)
{
    struct thread *self = arenap_thread_self();

    if (ARENA_UNLIKELY(self == NULL))
        return arenap_fail_null(ENOMEM, "%s", arena_error());
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

static int
fail_null_buffer(void)
{
    return arenap_fail(EINVAL, "no buffer was given");
}

static int
fail_stale(void)
{
    return arenap_fail(ESTALE, "the buffer was freed");
}

/* 0, or what every call that touches the buffer fails with. */
static int
check(const arena_buffer_t *buffer)
{
    if (buffer == NULL)
        return fail_null_buffer();
    return is_alive(buffer) ? 0 : fail_stale();
}

/* Say why span gave none. */
ARENA_COLD static char *
span_fail(const arena_buffer_t *buffer, size_t index, size_t n, bool writes)
{
    if (buffer == NULL)
        fail_null_buffer();
    else if (writes && buffer->read_only)
        arenap_fail(EACCES, "the buffer is read-only");
    else if (n > buffer->limit || index > buffer->limit - n)
        arenap_fail(ERANGE, "%zu bytes from index %zu go past the limit %zu",
                    n, index, buffer->limit);
    else
        fail_stale();
    return NULL;
}

/* The n bytes at an index, below the limit; NULL with errno set. */
static inline char *
span(const arena_buffer_t *buffer, size_t index, size_t n, bool writes)
{
    if (ARENA_LIKELY(buffer != NULL && !(writes && buffer->read_only)
                     && n <= buffer->limit && index <= buffer->limit - n
                     && is_alive(buffer)))
        return buffer->data + index;
    return span_fail(buffer, index, n, writes);
}

static inline size_t
position_of(const arena_buffer_t *buffer)
{
    return buffer != NULL ? buffer->position : 0;
}

/* --- Views --- */

/* A view of the bytes from an index, all of them to be read. */
static arena_buffer_t *
view_make(arena_buffer_t *source, size_t index, size_t size)
{
    struct thread *self = arenap_thread_self();
    struct arena_buffer *view;

    if (self == NULL)
        return arenap_fail_null(ENOMEM, "%s", arena_error());
    if (arenap_collector_attach(self) != 0)
        return NULL;
    view = arenap_collector_alloc(self, BLOCK_BUFFER, sizeof *view);
    if (view == NULL && arenap_cleaner_reclaim())
        view = arenap_collector_alloc(self, BLOCK_BUFFER, sizeof *view);
    if (view == NULL) {
        arenap_fail_system(sizeof *view);
        return NULL;
    }
    view->root = source->root != NULL ? source->root : source;
    view->data = source->data + index;
    view->capacity = view->limit = size;
    view->mark = NO_MARK;
    view->read_only = source->read_only;
    view->swapped = source->swapped;
    atomic_store_explicit(&view->tag, BUFFER_VIEW, memory_order_release);
    arena_keep_alive(source);
    return view;
}

arena_buffer_t *
arena_buffer_duplicate(arena_buffer_t *buffer)
{
    arena_buffer_t *view;

    if (check(buffer) != 0)
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
    if (check(buffer) != 0)
        return NULL;
    return view_make(buffer, buffer->position,
                     buffer->limit - buffer->position);
}

arena_buffer_t *
arena_buffer_slice_at(arena_buffer_t *buffer, size_t index, size_t size)
{
    if (span(buffer, index, size, false) == NULL)
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
        fail_null_buffer();
        return NULL;
    }
    if (check_unit(unit) != 0 || check(buffer) != 0)
        return NULL;
    remaining = buffer->limit - buffer->position;
    before = (size_t)(-(uintptr_t)(buffer->data + buffer->position)
                      & (unit - 1));
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
    return check(buffer) == 0 ? buffer->data : NULL;
}

size_t
arena_buffer_capacity(const arena_buffer_t *buffer)
{
    return buffer != NULL ? buffer->capacity : 0;
}

size_t
arena_buffer_position(const arena_buffer_t *buffer)
{
    return position_of(buffer);
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
        return fail_null_buffer();
    if (out == NULL)
        return arenap_fail(EINVAL, "no place for the offset");
    if (check_unit(unit) != 0 || check(buffer) != 0)
        return -1;
    *out = (size_t)(((uintptr_t)buffer->data + index) & (unit - 1));
    return 0;
}

/* --- Position, limit and mark --- */

static void
drop_mark_past(arena_buffer_t *buffer, size_t place)
{
    if (buffer->mark != NO_MARK && buffer->mark > place)
        buffer->mark = NO_MARK;
}

int
arena_buffer_set_position(arena_buffer_t *buffer, size_t position)
{
    if (buffer == NULL)
        return fail_null_buffer();
    if (position > buffer->limit)
        return arenap_fail(EINVAL, "a position of %zu is past the limit %zu",
                           position, buffer->limit);
    if (check(buffer) != 0)
        return -1;
    buffer->position = position;
    drop_mark_past(buffer, position);
    return 0;
}

int
arena_buffer_set_limit(arena_buffer_t *buffer, size_t limit)
{
    if (buffer == NULL)
        return fail_null_buffer();
    if (limit > buffer->capacity)
        return arenap_fail(EINVAL, "a limit of %zu is past the capacity %zu",
                           limit, buffer->capacity);
    if (check(buffer) != 0)
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
        return fail_null_buffer();
    if (order != ARENA_LITTLE_ENDIAN && order != ARENA_BIG_ENDIAN)
        return arenap_fail(EINVAL, "%d is no byte order", (int)order);
    if (check(buffer) != 0)
        return -1;
    buffer->swapped = order != ARENA_NATIVE_ENDIAN;
    return 0;
}

int
arena_buffer_mark(arena_buffer_t *buffer)
{
    if (check(buffer) != 0)
        return -1;
    buffer->mark = buffer->position;
    return 0;
}

int
arena_buffer_reset(arena_buffer_t *buffer)
{
    if (buffer == NULL)
        return fail_null_buffer();
    if (buffer->mark == NO_MARK)
        return arenap_fail(EINVAL, "the buffer has no mark");
    if (check(buffer) != 0)
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
    buffer->mark = NO_MARK;
    return 0;
}

int
arena_buffer_flip(arena_buffer_t *buffer)
{
    return check(buffer) == 0 ? start_over(buffer, buffer->position) : -1;
}

int
arena_buffer_clear(arena_buffer_t *buffer)
{
    return check(buffer) == 0 ? start_over(buffer, buffer->capacity) : -1;
}

int
arena_buffer_rewind(arena_buffer_t *buffer)
{
    return check(buffer) == 0 ? start_over(buffer, buffer->limit) : -1;
}

int
arena_buffer_compact(arena_buffer_t *buffer)
{
    size_t remaining = arena_buffer_remaining(buffer);
    char *from = span(buffer, position_of(buffer), remaining, true);

    if (from == NULL)
        return -1;
    memmove(buffer->data, from, remaining);
    start_over(buffer, buffer->capacity);
    buffer->position = remaining;
    arena_keep_alive(buffer);
    return 0;
}

/* --- Numbers --- */

/* Copy a number of 1, 2, 4 or 8 bytes, turned around. */
static inline void
copy_swapped(void *to, const void *from, size_t n)
{
    uint64_t eight;
    uint32_t four;
    uint16_t two;

    switch (n) {
    case 8:
        memcpy(&eight, from, n);
        eight = __builtin_bswap64(eight);
        memcpy(to, &eight, n);
        break;
    case 4:
        memcpy(&four, from, n);
        four = __builtin_bswap32(four);
        memcpy(to, &four, n);
        break;
    case 2:
        memcpy(&two, from, n);
        two = __builtin_bswap16(two);
        memcpy(to, &two, n);
        break;
    default:
        memcpy(to, from, n);
        break;
    }
}

static inline int
number_get(const arena_buffer_t *buffer, size_t index, void *out, size_t n)
{
    const char *from;

    if (ARENA_UNLIKELY(out == NULL))
        return arenap_fail(EINVAL, "no place for the number");
    from = span(buffer, index, n, false);
    if (ARENA_UNLIKELY(from == NULL))
        return -1;
    if (buffer->swapped)
        copy_swapped(out, from, n);
    else
        memcpy(out, from, n);
    arena_keep_alive(buffer);
    return 0;
}

static inline int
number_put(arena_buffer_t *buffer, size_t index, const void *value, size_t n)
{
    char *to = span(buffer, index, n, true);

    if (ARENA_UNLIKELY(to == NULL))
        return -1;
    if (buffer->swapped)
        copy_swapped(to, value, n);
    else
        memcpy(to, value, n);
    arena_keep_alive(buffer);
    return 0;
}

/* Advance the position when the call succeeded. */
static inline int
advance(arena_buffer_t *buffer, size_t n, int result)
{
    if (result == 0)
        buffer->position += n;
    return result;
}

#define NUMBER(name, type)                                                    \
    int arena_buffer_get_##name(arena_buffer_t *buffer, type *out)            \
    {                                                                         \
        return advance(buffer, sizeof *out,                                   \
                       number_get(buffer, position_of(buffer), out,           \
                                  sizeof *out));                              \
    }                                                                         \
    int arena_buffer_put_##name(arena_buffer_t *buffer, type value)           \
    {                                                                         \
        return advance(buffer, sizeof value,                                  \
                       number_put(buffer, position_of(buffer), &value,        \
                                  sizeof value));                             \
    }                                                                         \
    int arena_buffer_get_##name##_at(const arena_buffer_t *buffer,            \
                                     size_t index, type *out)                 \
    {                                                                         \
        return number_get(buffer, index, out, sizeof *out);                   \
    }                                                                         \
    int arena_buffer_put_##name##_at(arena_buffer_t *buffer, size_t index,    \
                                     type value)                              \
    {                                                                         \
        return number_put(buffer, index, &value, sizeof value);               \
    }

NUMBER(i8, int8_t)
NUMBER(u8, uint8_t)
NUMBER(i16, int16_t)
NUMBER(u16, uint16_t)
NUMBER(i32, int32_t)
NUMBER(u32, uint32_t)
NUMBER(i64, int64_t)
NUMBER(u64, uint64_t)
NUMBER(f32, float)
NUMBER(f64, double)

/* --- Bytes --- */

int
arena_buffer_get_at(const arena_buffer_t *buffer, size_t index, void *out,
                    size_t n)
{
    const char *from;

    if (out == NULL && n != 0)
        return arenap_fail(EINVAL, "no place for the bytes");
    from = span(buffer, index, n, false);
    if (from == NULL)
        return -1;
    if (n != 0)
        memmove(out, from, n);
    arena_keep_alive(buffer);
    return 0;
}

int
arena_buffer_put_at(arena_buffer_t *buffer, size_t index, const void *data,
                    size_t n)
{
    char *to;

    if (data == NULL && n != 0)
        return arenap_fail(EINVAL, "no bytes were given");
    to = span(buffer, index, n, true);
    if (to == NULL)
        return -1;
    if (n != 0)
        memmove(to, data, n);
    arena_keep_alive(buffer);
    return 0;
}

int
arena_buffer_get(arena_buffer_t *buffer, void *out, size_t n)
{
    return advance(buffer, n,
                   arena_buffer_get_at(buffer, position_of(buffer), out, n));
}

int
arena_buffer_put(arena_buffer_t *buffer, const void *data, size_t n)
{
    return advance(buffer, n,
                   arena_buffer_put_at(buffer, position_of(buffer), data, n));
}

int
arena_buffer_put_buffer(arena_buffer_t *buffer, arena_buffer_t *source)
{
    size_t n = arena_buffer_remaining(source);
    const char *from;
    char *to;

    if (source == NULL)
        return fail_null_buffer();
    if (source == buffer)
        return arenap_fail(EINVAL, "a buffer cannot be put into itself");
    to = span(buffer, position_of(buffer), n, true);
    if (to == NULL)
        return -1;
    from = span(source, source->position, n, false);
    if (from == NULL)
        return -1;
    memmove(to, from, n);
    buffer->position += n;
    source->position += n;
    arena_keep_alive(buffer);
    arena_keep_alive(source);
    return 0;
}

/* --- Comparing --- */

#define STRIDE ((size_t)256)

/* How many bytes are the same at the front of both. */
static size_t
common(const unsigned char *a, const unsigned char *b, size_t n)
{
    size_t i = 0;

    while (n - i >= STRIDE && memcmp(a + i, b + i, STRIDE) == 0)
        i += STRIDE;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* What remains in both, up to the shorter one's end: how much of it is the
 * same, and the bytes behind that. */
struct meeting {
    size_t length, same;
    const unsigned char *a, *b;
};

static int
meet(const arena_buffer_t *a, const arena_buffer_t *b, struct meeting *out)
{
    size_t of_a = arena_buffer_remaining(a), of_b = arena_buffer_remaining(b);

    if (a == NULL || b == NULL)
        return fail_null_buffer();
    if (check(a) != 0 || check(b) != 0)
        return -1;
    out->length = of_a < of_b ? of_a : of_b;
    out->a = (const unsigned char *)a->data + a->position;
    out->b = (const unsigned char *)b->data + b->position;
    out->same = common(out->a, out->b, out->length);
    return 0;
}

ptrdiff_t
arena_buffer_mismatch(const arena_buffer_t *a, const arena_buffer_t *b)
{
    struct meeting meeting;

    if (meet(a, b, &meeting) != 0)
        return -2;
    arena_keep_alive(a);
    arena_keep_alive(b);
    if (meeting.same == meeting.length
        && arena_buffer_remaining(a) == arena_buffer_remaining(b))
        return -1;
    return (ptrdiff_t)meeting.same;
}

static int
compare_sizes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

int
arena_buffer_compare(const arena_buffer_t *a, const arena_buffer_t *b)
{
    struct meeting meeting;
    int order;

    if (meet(a, b, &meeting) != 0)
        return INT_MIN;
    order = meeting.same == meeting.length
                ? compare_sizes(arena_buffer_remaining(a),
                                arena_buffer_remaining(b))
                : compare_sizes(meeting.a[meeting.same],
                                meeting.b[meeting.same]);
    arena_keep_alive(a);
    arena_keep_alive(b);
    return order;
}

/* --- Files --- */

static ssize_t
fail_transfer(const char *what, int fd)
{
    int error = errno;
    char text[128];

    return arenap_fail(error, "cannot %s descriptor %d: %s", what, fd,
                       strerror_r(error, text, sizeof text));
}

/* Move what remains in or out, in as many steps as it takes. */
static ssize_t
transfer(arena_buffer_t *buffer, int fd, bool in)
{
    size_t left = arena_buffer_remaining(buffer), done = 0;
    char *bytes = span(buffer, position_of(buffer), left, in);
    int saved = errno;

    if (bytes == NULL)
        return -1;
    while (done < left) {
        ssize_t n = in ? read(fd, bytes + done, left - done)
                       : write(fd, bytes + done, left - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && done == 0)
            return fail_transfer(in ? "read from" : "write to", fd);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    errno = saved;
    buffer->position += done;
    arena_keep_alive(buffer);
    return (ssize_t)done;
}

ssize_t
arena_buffer_read_fd(arena_buffer_t *buffer, int fd)
{
    return transfer(buffer, fd, true);
}

ssize_t
arena_buffer_write_fd(arena_buffer_t *buffer, int fd)
{
    return transfer(buffer, fd, false);
}
