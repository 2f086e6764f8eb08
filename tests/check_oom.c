/*
 * check_oom.c: the system refuses memory, at each place where it could.
 *
 * The linker puts the functions below between the library and those that it
 * takes memory from (--wrap, see tests.am).  For each call the first, the
 * second, the third ... request is refused, once alone and once with all that
 * follow, until the call has had what it wanted.  Each time the call fails
 * with ENOMEM, or succeeds in spite of it; it succeeds when it is repeated;
 * and after that nothing is left of it.
 */

#include "config.h"

#include <arena/buffer.h>
#include <arena/heap.h>
#include <arena/layout.h>
#include <arena/phantom.h>
#include <arena/segment.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gc_harness.h"

#define REFUSALS_MOST 2000    /* requests of one call */
/* A collection, but no 511 ms of sleeps. */
#define IN_TIME (test_patience() * 450 * MS_NS)

/* --- Refusing --- */

/* Of the calling thread. */
static __thread struct {
    bool armed;
    bool all;            /* that request, and all that follow */
    bool mappings;       /* mmap is refused too */
    bool no_links;       /* links to referents are not */
    unsigned long skip;  /* requests before that one */
    unsigned long count; /* refused so far */
} refusal;

static void
refuse(unsigned long skip, bool all, bool mappings)
{
    refusal.skip = skip;
    refusal.all = all;
    refusal.mappings = mappings;
    refusal.no_links = false;
    refusal.count = 0;
    refusal.armed = true;
}

/* Returns how many requests were refused. */
static unsigned long
refuse_no_more(void)
{
    refusal.armed = false;
    return refusal.count;
}

/* Is this request refused? */
static bool
is_refused(void)
{
    if (!refusal.armed)
        return false;
    if (refusal.skip > 0) {
        refusal.skip--;
        return false;
    }
    if (refusal.count > 0 && !refusal.all)
        return false;
    refusal.count++;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
int __real_posix_memalign(void **out, size_t align, size_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags,
                  int file, off_t offset);
void *__real_GC_generic_malloc(size_t size, int kind);
void __real_GC_generic_malloc_many(size_t size, int kind, void **list);
void *__real_GC_malloc_uncollectable(size_t size);
int __real_GC_register_long_link(void **link, const void *object);
void *__real_arenap_os_meta(size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
int __wrap_posix_memalign(void **out, size_t align, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags,
                  int file, off_t offset);
void *__wrap_GC_generic_malloc(size_t size, int kind);
void __wrap_GC_generic_malloc_many(size_t size, int kind, void **list);
void *__wrap_GC_malloc_uncollectable(size_t size);
int __wrap_GC_register_long_link(void **link, const void *object);
void *__wrap_arenap_os_meta(size_t size);

void *
__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *block, size_t size)
{
    return is_refused() ? NULL : __real_realloc(block, size);
}

/* Reports by its result, and leaves errno alone. */
int
__wrap_posix_memalign(void **out, size_t align, size_t size)
{
    int before = errno;

    if (!is_refused())
        return __real_posix_memalign(out, align, size);
    errno = before;
    return ENOMEM;
}

void *
__wrap_mmap(void *address, size_t size, int protection, int flags, int file,
            off_t offset)
{
    if (refusal.mappings && is_refused())
        return MAP_FAILED;
    return __real_mmap(address, size, protection, flags, file, offset);
}

/* The collector does not set errno. */
void *
__wrap_GC_generic_malloc(size_t size, int kind)
{
    int before = errno;

    if (!is_refused())
        return __real_GC_generic_malloc(size, kind);
    errno = before;
    return NULL;
}

void
__wrap_GC_generic_malloc_many(size_t size, int kind, void **list)
{
    int before = errno;

    if (!is_refused())
        __real_GC_generic_malloc_many(size, kind, list);
    else
        *list = NULL;
    errno = before;
}

void *
__wrap_GC_malloc_uncollectable(size_t size)
{
    int before = errno;

    if (!is_refused())
        return __real_GC_malloc_uncollectable(size);
    errno = before;
    return NULL;
}

#define NO_MEMORY 2 /* gc.h: GC_NO_MEMORY */

int
__wrap_GC_register_long_link(void **link, const void *object)
{
    int before = errno;

    if (refusal.no_links || !is_refused())
        return __real_GC_register_long_link(link, object);
    errno = before;
    return NO_MEMORY;
}

/* Of every thread: no record, for one. */
static atomic_bool no_meta;

/* The library's own pages, which are taken many at a time. */
void *
__wrap_arenap_os_meta(size_t size)
{
    int before = errno;

    if (!atomic_load(&no_meta) && (!refusal.mappings || !is_refused()))
        return __real_arenap_os_meta(size);
    errno = before;
    return NULL;
}

/* --- Calls --- */

#define TIMES 40 /* how often small things are done, so that tables grow */

/* What a call works on. */
struct site {
    arena_t *arena;  /* of the call's kind */
    char *block;     /* in it, of BLOCK bytes */
    arena_t *opened[TIMES];
    void *made[TIMES];
    size_t done; /* of TIMES: a call that failed goes on from there */
    FILE *stream;
};

#define BLOCK ((size_t)300)

struct call {
    const char *name;
    arena_kind_t kind; /* of the arena, ARENA_GLOBAL for none */
    unsigned flags;    /* of the arena */
    bool (*run)(struct site *site);
    void (*undo)(struct site *site);
};

static char root_bytes[TIMES][64];

static void
ignore(void *arg)
{
    (void)arg;
}

/* Do something TIMES times, or until it fails. */
static bool
do_times(struct site *site, bool (*step)(struct site *site, size_t i))
{
    while (site->done < TIMES) {
        if (!step(site, site->done))
            return false;
        site->done++;
    }
    return true;
}

/* Opening. */

static bool
open_kind(struct site *site, size_t i, arena_kind_t kind,
          const arena_options_t *options)
{
    site->opened[i] = arena_open(kind, options);
    return site->opened[i] != NULL;
}

static bool
open_one_auto(struct site *site, size_t i)
{
    return open_kind(site, i, ARENA_AUTO, NULL);
}

static bool
open_one_confined(struct site *site, size_t i)
{
    return open_kind(site, i, ARENA_CONFINED, NULL);
}

static bool
open_one_shared(struct site *site, size_t i)
{
    return open_kind(site, i, ARENA_SHARED, NULL);
}

static bool
open_one_named(struct site *site, size_t i)
{
    static const arena_kind_t kinds[] = {ARENA_AUTO, ARENA_CONFINED,
                                         ARENA_SHARED};
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.name = "an arena with a name that is not very short";
    options.chunk_size = 100 * KIB;
    return open_kind(site, i, kinds[i % 3], &options);
}

static bool
open_one_traced(struct site *site, size_t i)
{
    static const arena_kind_t kinds[] = {ARENA_AUTO, ARENA_CONFINED,
                                         ARENA_SHARED};
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.flags = ARENA_TRACED;
    return open_kind(site, i, kinds[i % 3], &options);
}

static bool
open_one_guarded(struct site *site, size_t i)
{
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.flags = ARENA_GUARDED;
    return open_kind(site, i, i % 2 == 0 ? ARENA_CONFINED : ARENA_SHARED,
                     &options);
}

static bool
open_one_child(struct site *site, size_t i)
{
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.parent = site->arena;
    return open_kind(site, i, arena_kind(site->arena), &options);
}

static bool
run_open_auto(struct site *site)
{
    return do_times(site, open_one_auto);
}

static bool
run_open_confined(struct site *site)
{
    return do_times(site, open_one_confined);
}

static bool
run_open_shared(struct site *site)
{
    return do_times(site, open_one_shared);
}

static bool
run_open_named(struct site *site)
{
    return do_times(site, open_one_named);
}

static bool
run_open_traced(struct site *site)
{
    return do_times(site, open_one_traced);
}

static bool
run_open_guarded(struct site *site)
{
    return do_times(site, open_one_guarded);
}

static bool
run_open_child(struct site *site)
{
    return do_times(site, open_one_child);
}

static void
undo_open(struct site *site)
{
    for (size_t i = 0; i < site->done; i++) {
        if (arena_kind(site->opened[i]) != ARENA_AUTO)
            (void)arena_close(site->opened[i]);
        site->opened[i] = NULL;
    }
}

/* Allocating: from the arena of the site, NULL for the implicit one. */

static bool
run_alloc_small(struct site *site)
{
    char *block = arena_alloc(site->arena, 100);

    site->made[0] = block;
    return block != NULL && block_is_zero(block, 100);
}

static bool
run_alloc_page(struct site *site)
{
    char *block = arena_alloc(site->arena, 40 * KIB);

    site->made[0] = block;
    return block != NULL && block_is_zero(block, 40 * KIB);
}

static bool
run_alloc_big(struct site *site)
{
    char *block = arena_alloc(site->arena, 5 * MIB);

    site->made[0] = block;
    return block != NULL && block_is_zero(block, 5 * MIB);
}

static bool
run_alloc_huge(struct site *site)
{
    site->made[0] = arena_alloc_uninit(site->arena, 64 * MIB);
    return site->made[0] != NULL;
}

static bool
run_alloc_aligned(struct site *site)
{
    site->made[0] = arena_alloc_aligned(site->arena, 1000, 64 * KIB);
    return site->made[0] != NULL && is_aligned(site->made[0], 64 * KIB);
}

static bool
run_alloc_array(struct site *site)
{
    site->made[0] = arena_alloc_array(site->arena, 1000, 100);
    return site->made[0] != NULL;
}

static bool
alloc_one(struct site *site, size_t i)
{
    site->made[i] = arena_alloc(site->arena, 1000 * i);
    return site->made[i] != NULL;
}

static bool
run_alloc_many(struct site *site)
{
    return do_times(site, alloc_one);
}

static bool
run_memdup(struct site *site)
{
    static const char data[30000];

    site->made[0] = arena_memdup(site->arena, data, sizeof data);
    return site->made[0] != NULL;
}

static bool
run_strdup(struct site *site)
{
    static char text[20000];

    memset(text, 'x', sizeof text - 1);
    site->made[0] = arena_strdup(site->arena, text);
    return site->made[0] != NULL;
}

static bool
run_strndup(struct site *site)
{
    site->made[0] = arena_strndup(site->arena, "some text", 4);
    return site->made[0] != NULL;
}

static bool
run_printf(struct site *site)
{
    site->made[0] = arena_printf(site->arena, "%05000d %s", 7, "text");
    return site->made[0] != NULL;
}

static bool
resize_to(struct site *site, size_t size)
{
    char *block = arena_resize(site->arena, site->block, BLOCK, size);

    if (block == NULL)
        return false;
    site->block = NULL;
    site->made[0] = block;
    return block_holds(block, BLOCK, 1)
           && block_is_zero(block + BLOCK, size - BLOCK);
}

static bool
run_resize_small(struct site *site)
{
    return resize_to(site, 2 * BLOCK);
}

static bool
run_resize_big(struct site *site)
{
    return resize_to(site, 3 * MIB);
}

static void
undo_nothing(struct site *site)
{
    (void)site;
}

static void
undo_free(struct site *site)
{
    arena_free(site->made[0]);
}

/* Bookkeeping. */

static bool
mark_one(struct site *site, size_t i)
{
    arena_mark_t mark;

    (void)i;
    return arena_mark(site->arena, &mark) == 0;
}

static bool
run_mark(struct site *site)
{
    return do_times(site, mark_one);
}

static bool
on_close_one(struct site *site, size_t i)
{
    (void)i;
    return arena_on_close(site->arena, ignore, NULL) == 0;
}

static bool
run_on_close(struct site *site)
{
    return do_times(site, on_close_one);
}

static bool
acquire_one(struct site *site, size_t i)
{
    (void)i;
    return arena_acquire(site->arena) == 0;
}

static bool
run_acquire(struct site *site)
{
    return do_times(site, acquire_one);
}

static void
undo_acquire(struct site *site)
{
    for (size_t i = 0; i < site->done; i++)
        (void)arena_release(site->arena);
}

static bool
pin_one(struct site *site, size_t i)
{
    return arena_pin(site->block + i) == 0;
}

static bool
run_pin(struct site *site)
{
    return do_times(site, pin_one);
}

static void
undo_pin(struct site *site)
{
    for (size_t i = 0; i < site->done; i++)
        (void)arena_unpin(site->block + i);
}

static bool
add_roots_one(struct site *site, size_t i)
{
    (void)site;
    return arena_add_roots(root_bytes[i], root_bytes[i] + 64) == 0;
}

static bool
run_add_roots(struct site *site)
{
    return do_times(site, add_roots_one);
}

static void
undo_add_roots(struct site *site)
{
    for (size_t i = 0; i < site->done; i++)
        (void)arena_remove_roots(root_bytes[i], root_bytes[i] + 64);
}

static bool
run_attach(struct site *site)
{
    (void)site;
    return arena_thread_attach() == 0;
}

static bool
reserve_one(struct site *site, size_t i)
{
    (void)site;
    return arena_reserve(1000 * i) == 0;
}

static bool
run_reserve(struct site *site)
{
    return do_times(site, reserve_one);
}

static void
undo_reserve(struct site *site)
{
    for (size_t i = 0; i < site->done; i++)
        (void)arena_unreserve(1000 * i);
}

/* Phantoms and cleaners of the site's arena. */

static bool
phantom_one(struct site *site, size_t i)
{
    site->made[i] = arena_phantom_new(site->arena, NULL, NULL);
    return site->made[i] != NULL;
}

static bool
run_phantoms(struct site *site)
{
    return do_times(site, phantom_one);
}

static void
undo_phantoms(struct site *site)
{
    for (size_t i = 0; i < site->done; i++)
        arena_phantom_free(site->made[i]);
}

static bool
cleaner_one(struct site *site, size_t i)
{
    site->made[i] = arena_cleaner_register(site->arena, ignore, NULL);
    return site->made[i] != NULL;
}

static bool
run_cleaners(struct site *site)
{
    return do_times(site, cleaner_one);
}

static void
undo_cleaners(struct site *site)
{
    for (size_t i = 0; i < site->done; i++)
        (void)arena_clean(site->made[i]);
}

static bool
run_queue(struct site *site)
{
    site->made[0] = arena_queue_new();
    return site->made[0] != NULL;
}

static void
undo_queue(struct site *site)
{
    arena_queue_free(site->made[0]);
}

static bool
run_collect(struct site *site)
{
    (void)site;
    arena_collect();
    return true;
}

static bool
run_trim(struct site *site)
{
    (void)site;
    return arena_trim() == 0;
}

static bool
run_report(struct site *site)
{
    return arena_report(site->stream) == 0;
}

static bool
run_usage(struct site *site)
{
    arena_usage_t usage = usage_now();

    (void)site;
    return usage.limit > 0;
}

/* The family of arena_malloc. */

static bool
run_heap_malloc(struct site *site)
{
    site->made[0] = arena_malloc(100);
    return site->made[0] != NULL;
}

static bool
run_heap_malloc_big(struct site *site)
{
    site->made[0] = arena_malloc(3 * MIB);
    return site->made[0] != NULL;
}

static bool
run_heap_calloc(struct site *site)
{
    site->made[0] = arena_calloc(100, 70);
    return site->made[0] != NULL && block_is_zero(site->made[0], 7000);
}

/* Of a block that is there, or of one that this makes. */
static bool
run_heap_realloc(struct site *site)
{
    void *larger;

    if (site->made[0] == NULL) {
        site->made[0] = arena_realloc(NULL, 50);
        if (site->made[0] == NULL)
            return false;
        memcpy(site->made[0], "contents", 9);
    }
    larger = arena_realloc(site->made[0], 200 * KIB);
    if (larger != NULL)
        site->made[0] = larger;
    return larger != NULL && strcmp(larger, "contents") == 0;
}

static bool
run_heap_reallocarray(struct site *site)
{
    void *larger = arena_reallocarray(site->made[0], 1000, 10);

    if (larger != NULL)
        site->made[0] = larger;
    return larger != NULL;
}

static bool
run_heap_aligned_alloc(struct site *site)
{
    site->made[0] = arena_aligned_alloc(4096, 1000);
    return site->made[0] != NULL && is_aligned(site->made[0], 4096);
}

/* Its answer becomes errno, for which it does not use errno itself. */
static bool
run_heap_posix_memalign(struct site *site)
{
    static char untouched;
    void *block = &untouched;
    int error;

    errno = ERRNO_UNTOUCHED;
    error = arena_posix_memalign(&block, 256, 1000);
    if (errno != ERRNO_UNTOUCHED || (error != 0 && block != &untouched))
        error = EPROTO;
    errno = error;
    site->made[0] = error == 0 ? block : NULL;
    return error == 0;
}

/* Direct buffers: in the handle, beside it, mapped, and a view. */

static bool
run_buffer(struct site *site, size_t capacity, size_t align)
{
    arena_buffer_t *buffer = arena_buffer_allocate_aligned(capacity, align);

    site->made[0] = buffer;
    return buffer != NULL
           && block_is_zero(arena_buffer_address(buffer), capacity);
}

static bool
run_buffer_small(struct site *site)
{
    return run_buffer(site, 64, 1);
}

static bool
run_buffer_large(struct site *site)
{
    return run_buffer(site, 100000, 4096);
}

static bool
run_buffer_mapped(struct site *site)
{
    return run_buffer(site, 33 * MIB, 1 * MIB);
}

static bool
run_buffer_view(struct site *site)
{
    if (site->made[0] == NULL && !run_buffer(site, 64, 1))
        return false;
    return arena_buffer_duplicate(site->made[0]) != NULL;
}

static void
undo_buffer(struct site *site)
{
    (void)arena_buffer_free(site->made[0]);
}

/* A list that is longer than the tables of a small one, with a string that is
 * copied apart. */

#define LINKS 100
#define LONG_TEXT 3000

struct link {
    struct link *next;
    char *text;
};

ARENA_FORWARD(link_layout, struct link);
ARENA_POINTER(link_pointer, link_layout);
ARENA_STRUCT(link_layout, struct link,
             ARENA_MEMBER(struct link, next, link_pointer),
             ARENA_MEMBER(struct link, text, arena_layout_string));

static char link_texts[LINKS][8], long_text[LONG_TEXT + 1];
static struct link links[LINKS];

static const struct link *
links_make(void)
{
    memset(long_text, 'x', LONG_TEXT);
    for (size_t i = 0; i < LINKS; i++) {
        links[i].next = i + 1 < LINKS ? &links[i + 1] : NULL;
        links[i].text = link_texts[i];
        snprintf(link_texts[i], sizeof link_texts[i], "%zu", i);
    }
    links[LINKS / 2].text = long_text;
    return links;
}

static bool
links_hold(const struct link *copy)
{
    size_t length = 0;

    for (; copy != NULL; copy = copy->next)
        length += strcmp(copy->text, links[length].text) == 0;
    return length == LINKS;
}

static bool
run_serialize(struct site *site)
{
    site->made[0] = arena_serialize(site->arena, &link_layout, links_make());
    return links_hold(site->made[0]);
}

static bool
run_deserialize(struct site *site)
{
    site->made[0] = arena_deserialize(site->arena, &link_layout, links_make(),
                                      sizeof links[0]);
    return links_hold(site->made[0]);
}

/* What fails leaves the caller's memory alone: another errno says so. */
static bool
into_result(int result, const struct link *out)
{
    static const struct link untouched;

    if (result == 0)
        return links_hold(out);
    if (memcmp(out, &untouched, sizeof *out) != 0)
        errno = EIO;
    return false;
}

static bool
run_serialize_into(struct site *site)
{
    struct link out = {NULL, NULL};

    return into_result(arena_serialize_into(&out, sizeof out, site->arena,
                                            &link_layout, links_make()),
                       &out);
}

static bool
run_deserialize_into(struct site *site)
{
    struct link out = {NULL, NULL};

    return into_result(arena_deserialize_into(&out, sizeof out, site->arena,
                                              &link_layout, links_make(),
                                              sizeof links[0]),
                       &out);
}

/* Every builder; what is made first is part of what is made last. */

static const arena_layout_variant_t link_variants[] = {{"one", 1}, {"two", 2}};

static const arena_layout_t *
build_step(struct site *site, size_t step)
{
    arena_layout_member_t members[] = {
        {"x", &arena_layout_int, 0, 0, NULL, 0},
        {"y", site->made[0], 0, 0, NULL, 0}};
    arena_t *arena = site->arena;

    switch (step) {
    case 0:
        return arena_layout_pointer(arena, NULL);
    case 1:
        return arena_layout_number(arena, &arena_layout_u16_be,
                                   &arena_layout_int);
    case 2:
        return arena_layout_array(arena, site->made[0], 3);
    case 3:
        return arena_layout_enum(arena, "e", &arena_layout_int, link_variants,
                                 2);
    case 4:
        return arena_layout_flags(arena, "f", &arena_layout_int, link_variants,
                                  2);
    case 5:
        return arena_layout_padding(arena, 4);
    case 6:
        return arena_layout_raw(arena, 8, 8);
    case 7:
        return arena_layout_aligned(arena, &arena_layout_int, 16);
    case 8:
        return arena_layout_union(arena, "u", members, 2, NULL, NULL);
    default:
        return arena_layout_struct(arena, "s", members, 2, NULL);
    }
}

#define BUILD_STEPS 10

static bool
run_layouts(struct site *site)
{
    for (; site->done < BUILD_STEPS * TIMES; site->done++) {
        const arena_layout_t *made = build_step(site,
                                                site->done % BUILD_STEPS);

        if (made == NULL)
            return false;
        if (site->done % BUILD_STEPS == 0)
            site->made[0] = (void *)(uintptr_t)made;
    }
    return true;
}

/* Segments. */

static bool
segment_one(struct site *site, size_t i)
{
    arena_segment_t s;

    return arena_segment(site->arena, 100 * i * i, 64, &s) == 0;
}

static bool
run_segment(struct site *site)
{
    return do_times(site, segment_one);
}

/* After marks, each of which gets a word of its own. */
static bool
segment_marked_one(struct site *site, size_t i)
{
    arena_mark_t mark;
    arena_segment_t s, of;

    return arena_mark(site->arena, &mark) == 0 && segment_one(site, i)
           && arena_segment(site->arena, 10, 1, &s) == 0
           && arena_segment_of(s.addr, &of) == 0;
}

static bool
run_segment_marked(struct site *site)
{
    return do_times(site, segment_marked_one);
}

/* Of another arena, of all kinds in turn.  An auto arena is dead too late for
 * those that must be closed. */
static bool
wrap_one(struct site *site, size_t i)
{
    static const arena_kind_t kinds[] = {ARENA_IMPLICIT, ARENA_AUTO,
                                         ARENA_CONFINED, ARENA_SHARED};
    size_t which = i % (arena_kind(site->arena) == ARENA_AUTO ? 2 : 4);
    arena_segment_t s;

    if (site->opened[which] == NULL
        && !open_kind(site, which, kinds[which], NULL))
        return false;
    if (site->made[i] == NULL)
        site->made[i] = arena_alloc(site->opened[which], 16);
    return site->made[i] != NULL
           && arena_segment_wrap(site->arena, site->made[i], 16, &s) == 0;
}

static bool
run_wrap(struct site *site)
{
    return do_times(site, wrap_one);
}

/* What was kept can be closed after what kept it. */
static void
undo_wrap(struct site *site)
{
    if (arena_kind(site->arena) != ARENA_AUTO)
        (void)arena_close(site->arena);
    (void)arena_close(site->opened[2]);
    (void)arena_close(site->opened[3]);
    memset(site->made, 0, sizeof site->made);
    memset(site->opened, 0, sizeof site->opened);
}

static int mapped_file = -1; /* of 100 bytes, made longer by each mapping */

static bool
map_one(struct site *site, size_t i)
{
    off_t size = (off_t)(100 + 10000 * (i + 1));
    arena_segment_t s;
    int error;

    if (arena_map(site->arena, mapped_file, 50, (size_t)size - 50,
                  ARENA_MAP_WRITE, &s)
        == 0)
        return arena_set_u8(&s, 5, 1) == 0;
    error = errno;
    errno = lseek(mapped_file, 0, SEEK_END) == size - 10000 ? error : EPROTO;
    return false;
}

static bool
run_map(struct site *site)
{
    if (site->done == 0 && ftruncate(mapped_file, 100) != 0)
        return false;
    return do_times(site, map_one);
}

static bool
run_string(struct site *site)
{
    static char text[20000];
    arena_segment_t s;

    memset(text, 'x', sizeof text - 1);
    if (arena_segment_wrap(arena_global(), text, sizeof text, &s) != 0)
        return false;
    site->made[0] = arena_get_string(&s, 0, site->arena);
    return site->made[0] != NULL;
}

static bool
over_one(struct site *site, size_t i)
{
    arena_segment_t s;

    if (arena_segment(site->arena, 10, 1, &s) != 0)
        return false;
    site->made[i] = arena_buffer_of_segment(&s);
    return site->made[i] != NULL
           && arena_buffer_put_u8(site->made[i], 1) == 0;
}

static bool
run_over(struct site *site)
{
    return do_times(site, over_one);
}

#define NO_ARENA ARENA_GLOBAL, 0
#define ALLOCATING(kind, flags, of, undo)                                     \
    {"alloc small" of, kind, flags, run_alloc_small, undo},                   \
        {"alloc page" of, kind, flags, run_alloc_page, undo},                 \
        {"alloc big" of, kind, flags, run_alloc_big, undo},                   \
        {"alloc huge" of, kind, flags, run_alloc_huge, undo},                 \
        {"alloc aligned" of, kind, flags, run_alloc_aligned, undo},           \
        {"alloc array" of, kind, flags, run_alloc_array, undo},               \
        {"memdup" of, kind, flags, run_memdup, undo},                         \
        {"strdup" of, kind, flags, run_strdup, undo},                         \
        {"strndup" of, kind, flags, run_strndup, undo},                       \
        {"printf" of, kind, flags, run_printf, undo},                         \
        {"resize small" of, kind, flags, run_resize_small, undo},             \
        {"resize big" of, kind, flags, run_resize_big, undo}
#define ALLOCATING_MANY(kind, flags, of)                                      \
    ALLOCATING(kind, flags, of, undo_nothing),                                \
        {"alloc many" of, kind, flags, run_alloc_many, undo_nothing},         \
        {"on_close" of, kind, flags, run_on_close, undo_nothing},             \
        {"acquire" of, kind, flags, run_acquire, undo_acquire}

#define SEGMENTS(kind, of)                                                    \
    {"segment" of, kind, 0, run_segment, undo_nothing},                       \
        {"wrap" of, kind, 0, run_wrap, undo_wrap},                            \
        {"map" of, kind, 0, run_map, undo_nothing},                           \
        {"string" of, kind, 0, run_string, undo_nothing},                     \
        {"buffer over segment" of, kind, 0, run_over, undo_nothing}

static const struct call calls[] = {
    {"open auto", NO_ARENA, run_open_auto, undo_open},
    {"open confined", NO_ARENA, run_open_confined, undo_open},
    {"open shared", NO_ARENA, run_open_shared, undo_open},
    {"open with a name", NO_ARENA, run_open_named, undo_open},
    {"open traced", NO_ARENA, run_open_traced, undo_open},
    {"open guarded", NO_ARENA, run_open_guarded, undo_open},
    {"open confined child", ARENA_CONFINED, 0, run_open_child, undo_open},
    {"open shared child", ARENA_SHARED, 0, run_open_child, undo_open},
    ALLOCATING(ARENA_IMPLICIT, 0, ", implicit", undo_free),
    ALLOCATING_MANY(ARENA_AUTO, 0, ", auto"),
    ALLOCATING_MANY(ARENA_AUTO, ARENA_TRACED, ", traced auto"),
    ALLOCATING_MANY(ARENA_CONFINED, 0, ", confined"),
    ALLOCATING_MANY(ARENA_CONFINED, ARENA_TRACED, ", traced confined"),
    ALLOCATING_MANY(ARENA_CONFINED, ARENA_GUARDED, ", guarded confined"),
    ALLOCATING_MANY(ARENA_SHARED, 0, ", shared"),
    {"mark", ARENA_CONFINED, 0, run_mark, undo_nothing},
    {"pin", ARENA_AUTO, 0, run_pin, undo_pin},
    {"pin, implicit", ARENA_IMPLICIT, 0, run_pin, undo_pin},
    {"add_roots", NO_ARENA, run_add_roots, undo_add_roots},
    {"thread_attach", NO_ARENA, run_attach, undo_nothing},
    {"reserve", NO_ARENA, run_reserve, undo_reserve},
    {"phantoms", ARENA_AUTO, 0, run_phantoms, undo_phantoms},
    {"cleaners", ARENA_AUTO, 0, run_cleaners, undo_cleaners},
    {"queue", NO_ARENA, run_queue, undo_queue},
    {"collect", NO_ARENA, run_collect, undo_nothing},
    {"trim", NO_ARENA, run_trim, undo_nothing},
    {"report", ARENA_CONFINED, 0, run_report, undo_nothing},
    {"usage", ARENA_SHARED, 0, run_usage, undo_nothing},
    {"malloc", NO_ARENA, run_heap_malloc, undo_free},
    {"malloc big", NO_ARENA, run_heap_malloc_big, undo_free},
    {"calloc", NO_ARENA, run_heap_calloc, undo_free},
    {"realloc", NO_ARENA, run_heap_realloc, undo_free},
    {"reallocarray", NO_ARENA, run_heap_reallocarray, undo_free},
    {"aligned_alloc", NO_ARENA, run_heap_aligned_alloc, undo_free},
    {"posix_memalign", NO_ARENA, run_heap_posix_memalign, undo_free},
    {"buffer", NO_ARENA, run_buffer_small, undo_buffer},
    {"large buffer", NO_ARENA, run_buffer_large, undo_buffer},
    {"mapped buffer", NO_ARENA, run_buffer_mapped, undo_buffer},
    {"view", NO_ARENA, run_buffer_view, undo_buffer},
    {"serialize", ARENA_CONFINED, 0, run_serialize, undo_nothing},
    {"serialize, shared", ARENA_SHARED, 0, run_serialize, undo_nothing},
    {"serialize, auto", ARENA_AUTO, 0, run_serialize, undo_nothing},
    {"serialize, implicit", ARENA_IMPLICIT, 0, run_serialize, undo_free},
    {"serialize_into", ARENA_CONFINED, 0, run_serialize_into, undo_nothing},
    {"serialize_into, auto", ARENA_AUTO, 0, run_serialize_into, undo_nothing},
    {"deserialize", ARENA_CONFINED, 0, run_deserialize, undo_nothing},
    {"deserialize, implicit", ARENA_IMPLICIT, 0, run_deserialize, undo_free},
    {"deserialize_into", ARENA_SHARED, 0, run_deserialize_into, undo_nothing},
    {"layouts", ARENA_CONFINED, 0, run_layouts, undo_nothing},
    {"layouts, shared", ARENA_SHARED, 0, run_layouts, undo_nothing},
    {"layouts, auto", ARENA_AUTO, 0, run_layouts, undo_nothing},
    SEGMENTS(ARENA_AUTO, ", auto"),
    SEGMENTS(ARENA_CONFINED, ", confined"),
    SEGMENTS(ARENA_SHARED, ", shared"),
    {"segment, marked", ARENA_CONFINED, 0, run_segment_marked, undo_nothing},
    {"segment, guarded", ARENA_SHARED, ARENA_GUARDED, run_segment,
     undo_nothing},
    {"segment, implicit", ARENA_IMPLICIT, 0, run_segment, undo_nothing}};

/* --- One attempt --- */

/* A call with its skip-th request refused, on a thread of its own, so that
 * it finds none of the thread's caches filled. */
struct attempt {
    const struct call *call;
    unsigned long skip;
    bool all;
    /* What came of it. */
    bool prepared_well, succeeded, repeated;
    unsigned long refused;
    int error;
    uint64_t ns;
    bool sentence; /* arena_error() said something */
};

/* The arena and the block that the call is about. */
static bool
site_prepare(struct site *site, const struct call *call)
{
    arena_options_t options = ARENA_OPTIONS_INIT;

    options.flags = call->flags;
    site->stream = fopen("/dev/null", "w");
    if (site->stream == NULL)
        return false;
    if (call->kind == ARENA_GLOBAL)
        return true;
    site->arena = arena_open(call->kind, &options);
    if (site->arena == NULL)
        return false;
    if (call->run != run_resize_small && call->run != run_resize_big
        && call->run != run_pin)
        return true;
    site->block = arena_alloc(site->arena, BLOCK);
    if (site->block != NULL)
        fill_block(site->block, BLOCK, 1);
    return site->block != NULL;
}

static void
site_clear(struct site *site, const struct call *call)
{
    call->undo(site);
    if (call->kind == ARENA_IMPLICIT)
        arena_free(site->block);
    if (call->kind == ARENA_CONFINED || call->kind == ARENA_SHARED)
        (void)arena_close(site->arena);
    fclose(site->stream);
}

static void *
attempt_main(void *arg)
{
    struct attempt *attempt = arg;
    struct site site = {.arena = NULL};
    uint64_t start;

    attempt->prepared_well = site_prepare(&site, attempt->call);
    if (!attempt->prepared_well)
        return NULL;
    start = clock_ns();
    errno = 0;
    refuse(attempt->skip, attempt->all, true);
    attempt->succeeded = attempt->call->run(&site);
    attempt->error = errno;
    attempt->refused = refuse_no_more();
    attempt->ns = clock_ns() - start;
    attempt->sentence = arena_error()[0] != '\0';
    attempt->repeated = attempt->succeeded || attempt->call->run(&site);
    site_clear(&site, attempt->call);
    arena_keep_alive(site.arena);
    return NULL;
}

/* --- Tests --- */

static arena_usage_t base;

static void
setup(void)
{
    expect_ok(arena_thread_attach());
    expect_ok(arena_set_roots(ARENA_ROOTS_PRECISE));
    mapped_file = memfd_create("mapped", MFD_CLOEXEC);
    ck_assert_int_ge(mapped_file, 0);
    collect_times(3);
    base = usage_now();
}

/* Nothing is left of an attempt, the caches included, so that the next one
 * has to ask the system again.  What arena_malloc holds is an estimate. */
static void
expect_nothing_left(const struct attempt *attempt)
{
    arena_usage_t expected = base;
    const char *difference;

    for (size_t i = 0; i < COLLECTIONS_MOST; i++) {
        arena_usage_t now = usage_now();

        expected = base;
        usage_forgive(&expected, &expected.heap, &now.heap);
        if (now.cached > 0)
            (void)arena_trim();
        if (usage_difference(&expected) == NULL && usage_now().cached == 0)
            return;
        if (i >= 3)
            stir();
        collect_scrubbed();
    }
    difference = usage_difference(&expected);
    ck_abort_msg("%s, request %lu%s refused: %s, %zu bytes astray",
                 attempt->call->name, attempt->skip + 1,
                 attempt->all ? " and more" : "",
                 difference != NULL ? difference : "pools as before",
                 usage_now().cached);
}

static void
expect_good_outcome(const struct attempt *attempt)
{
    const char *name = attempt->call->name;
    unsigned long which = attempt->skip + 1;

    if (!attempt->prepared_well)
        ck_abort_msg("%s: not even prepared", name);
    if (!attempt->succeeded && attempt->refused == 0)
        ck_abort_msg("%s: failed with nothing refused, errno %d", name,
                     attempt->error);
    if (!attempt->succeeded && attempt->error != ENOMEM)
        ck_abort_msg("%s: request %lu: errno %d", name, which,
                     attempt->error);
    if (!attempt->succeeded && !attempt->sentence)
        ck_abort_msg("%s: request %lu: no sentence", name, which);
    if (!attempt->repeated)
        ck_abort_msg("%s: request %lu: fails when repeated", name, which);
    if (attempt->ns > IN_TIME)
        ck_abort_msg("%s: request %lu: took %.0f ms", name, which,
                     (double)attempt->ns / 1e6);
}

/* Refuse one request after the other until there are no more; returns how
 * many there were. */
static unsigned long
refuse_each(const struct call *call, bool all)
{
    for (unsigned long skip = 0; skip < REFUSALS_MOST; skip++) {
        struct attempt attempt = {.call = call, .skip = skip, .all = all};

        run_in_thread(attempt_main, &attempt);
        expect_good_outcome(&attempt);
        expect_nothing_left(&attempt);
        if (attempt.refused == 0)
            return skip;
    }
    ck_abort_msg("%s: no end of requests", call->name);
}

START_TEST(test_call_refused_memory_fails_enomem_or_succeeds)
{
    refuse_each(&calls[_i], false);
    refuse_each(&calls[_i], true);
}
END_TEST

/* That the functions above are really in between. */
START_TEST(test_refusal_reaches_the_library)
{
    size_t asked = 0, failed = 0;

    for (size_t i = 0; i < LENGTH(calls); i++) {
        struct attempt attempt = {.call = &calls[i], .all = true};

        run_in_thread(attempt_main, &attempt);
        asked += attempt.refused > 0;
        failed += !attempt.succeeded;
    }
    ck_assert_uint_gt(asked, LENGTH(calls) / 2);
    ck_assert_uint_gt(failed, LENGTH(calls) / 4);
}
END_TEST

/* --- Threads that no record can be made for --- */

struct stranger {
    arena_segment_t segment;
    struct answer answers[4];
    int32_t number;
    unsigned long refused;
};

static void *
stranger_main(void *arg)
{
    struct stranger *stranger = arg;
    const arena_segment_t *s = &stranger->segment;

    refuse(0, true, true);
    record_answer(&stranger->answers[0],
                  arena_get_i32(s, 0, &stranger->number));
    record_answer(&stranger->answers[1], arena_set_i32(s, 0, 7));
    record_answer(&stranger->answers[2], arena_segment_fill(s, 7));
    record_answer(&stranger->answers[3], arena_segment_copy(s, 0, s, 0, 4));
    stranger->refused = refuse_no_more();
    return NULL;
}

START_TEST(test_access_in_a_thread_without_a_record)
{
    struct stranger stranger = {.number = 42};
    arena_t *shared = arena_shared();
    int32_t number;

    expect_ok(arena_segment(shared, 64, 8, &stranger.segment));
    run_in_thread(stranger_main, &stranger);
    ck_assert_uint_gt(stranger.refused, 0);
    for (size_t i = 0; i < LENGTH(stranger.answers); i++)
        expect_answer(&stranger.answers[i], ENOMEM, "");
    ck_assert_int_eq(stranger.number, 42);
    expect_ok(arena_get_i32(&stranger.segment, 0, &number));
    ck_assert_int_eq(number, 0);
    expect_ok(arena_close(shared));
}
END_TEST

/* The cleaner is one, too. */
static atomic_uint strange_actions;
static sem_t stranger_may_go;

static void
strange_action(void *unused)
{
    (void)unused;
    atomic_fetch_add(&strange_actions, 1);
}

static void *
open_and_forget(void *unused)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena = arena_auto();

    /* What a name or an action needs is taken for many at a time. */
    options.name = "first";
    expect_ok(arena_open(ARENA_AUTO, &options));
    atomic_store(&no_meta, true);
    expect_ok(arena_on_close(arena, strange_action, NULL));
    sleep_ms(50); /* by now it has asked for a record */
    return unused;
}

/* Takes the record that the other one left. */
static void *
take_record(void *unused)
{
    expect_ok(arena_thread_attach());
    semaphore_wait(&stranger_may_go);
    return unused;
}

START_TEST(test_actions_run_on_a_cleaner_without_a_record)
{
    pthread_t taker;

    sem_init(&stranger_may_go, 0, 0);
    expect_ok(arena_thread_attach());
    expect_ok(arena_set_roots(ARENA_ROOTS_PRECISE));
    run_in_thread(open_and_forget, NULL);
    taker = start_thread(take_record, NULL);
    sleep_ms(50);
    for (int i = 0; i < 10 && atomic_load(&strange_actions) == 0; i++)
        arena_collect();
    ck_assert_uint_eq(atomic_load(&strange_actions), 1);
    sem_post(&stranger_may_go);
    pthread_join(taker, NULL);
    atomic_store(&no_meta, false);
}
END_TEST

/* --- First use --- */

/* The first call of a process, which starts the library. */
struct first_use {
    const char *name;
    bool (*run)(void);
};

static bool
first_auto(void)
{
    arena_t *arena = arena_auto();

    return arena != NULL && arena_alloc(arena, 100) != NULL;
}

static bool
first_confined(void)
{
    arena_t *arena = arena_confined();

    return arena != NULL && arena_alloc(arena, 100) != NULL;
}

static bool
first_shared(void)
{
    arena_t *arena = arena_shared();

    return arena != NULL && arena_alloc(arena, 100) != NULL;
}

static bool
first_global(void)
{
    return arena_alloc(arena_global(), 100) != NULL;
}

static bool
first_implicit(void)
{
    return arena_alloc(NULL, 100) != NULL;
}

static bool
first_attach(void)
{
    return arena_thread_attach() == 0;
}

static bool
first_reserve(void)
{
    return arena_reserve(100) == 0;
}

/* Refused as it should be: what is pinned is no collected memory. */
static bool
first_pin(void)
{
    return arena_pin(&calls) == -1 && errno == EINVAL;
}

static bool
first_add_roots(void)
{
    return arena_add_roots(root_bytes, root_bytes + 1) == 0;
}

static bool
first_malloc(void)
{
    return arena_malloc(100) != NULL;
}

static bool
first_buffer(void)
{
    return arena_buffer_allocate(100000) != NULL;
}

static bool
first_traced(void)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *arena;

    options.flags = ARENA_TRACED;
    arena = arena_open(ARENA_CONFINED, &options);
    return arena != NULL && arena_alloc(arena, 100) != NULL;
}

static bool
first_phantom(void)
{
    return arena_phantom_new(NULL, NULL, NULL) != NULL;
}

static bool
first_cleaner(void)
{
    static void *volatile block;

    if (block == NULL)
        block = arena_alloc(NULL, 100);
    return block != NULL && arena_cleaner_register(block, ignore, NULL);
}

/* So many that tables grow. */
static bool
first_phantoms(void)
{
    static void *volatile block;
    static size_t made;

    refusal.no_links = true; /* or there were too many to refuse */
    if (block == NULL)
        block = arena_alloc(NULL, 100);
    for (; block != NULL && made < 2500; made++)
        if (arena_phantom_new(block, NULL, NULL) == NULL)
            return false;
    return block != NULL;
}

static const struct first_use first_uses[] = {
    {"auto", first_auto},           {"confined", first_confined},
    {"shared", first_shared},       {"global", first_global},
    {"implicit", first_implicit},   {"thread_attach", first_attach},
    {"reserve", first_reserve},     {"pin", first_pin},
    {"add_roots", first_add_roots}, {"malloc", first_malloc},
    {"traced", first_traced},       {"buffer", first_buffer},
    {"phantom", first_phantom},     {"cleaner", first_cleaner},
    {"phantoms", first_phantoms}};

enum { FIRST_UNDISTURBED, FIRST_GOOD, FIRST_ERRNO, FIRST_NOT_REPEATED };

/* In a child of its own: nothing was used before.  Mappings are granted: the
 * collector takes some through the library when it starts, and ends the
 * process when it does not get them. */
static void
first_use_child(const struct first_use *use, unsigned long skip, bool all)
{
    bool good;
    int error;
    unsigned long refused;

    alarm(20);
    errno = 0;
    refuse(skip, all, false);
    good = use->run();
    error = errno;
    refused = refuse_no_more();
    if (!good && error != ENOMEM)
        _exit(FIRST_ERRNO);
    if (!good && !use->run())
        _exit(FIRST_NOT_REPEATED);
    if (!first_auto() || !first_confined() || !first_implicit())
        _exit(FIRST_NOT_REPEATED);
    arena_collect();
    _exit(refused == 0 ? FIRST_UNDISTURBED : FIRST_GOOD);
}

/* Returns whether a request was refused. */
static bool
first_use_attempt(const struct first_use *use, unsigned long skip, bool all)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        first_use_child(use, skip, all);
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "%s, request %lu: signal %d", use->name,
                  skip + 1, WTERMSIG(status));
    ck_assert_msg(WEXITSTATUS(status) <= FIRST_GOOD, "%s, request %lu: %s",
                  use->name, skip + 1,
                  WEXITSTATUS(status) == FIRST_ERRNO
                      ? "errno is not ENOMEM"
                      : "cannot be used afterwards");
    return WEXITSTATUS(status) == FIRST_GOOD;
}

START_TEST(test_first_use_refused_memory_can_be_repeated)
{
    for (int all = 0; all < 2; all++) {
        unsigned long skip = 0;

        while (first_use_attempt(&first_uses[_i], skip, all == 1)) {
            skip++;
            ck_assert_uint_lt(skip, REFUSALS_MOST);
        }
    }
}
END_TEST

/* What is wrong with the arguments is said even where memory is short. */
START_TEST(test_open_under_closed_parent_fails_estale_not_enomem)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    struct answer answer;

    options.parent = arena_shared();
    ck_assert_ptr_nonnull(options.parent);
    expect_ok(arena_close(options.parent));
    options.name = "child";
    refuse(0, true, true);
    record_answer(&answer, arena_open(ARENA_SHARED, &options));
    refuse_no_more();
    expect_answer(&answer, ESTALE, "closed");
}
END_TEST

/* --- Suite --- */

int
main(void)
{
    Suite *suite = suite_create("oom");
    TCase *first = tcase_create("first use");
    TCase *each = tcase_create("calls");

    tcase_set_timeout(first, 120);
    tcase_add_loop_test(first, test_first_use_refused_memory_can_be_repeated,
                        0, LENGTH(first_uses));
    suite_add_tcase(suite, first);
    tcase_add_checked_fixture(each, setup, NULL);
    tcase_set_timeout(each, 120);
    tcase_add_loop_test(each,
                        test_call_refused_memory_fails_enomem_or_succeeds, 0,
                        LENGTH(calls));
    tcase_add_test(each, test_refusal_reaches_the_library);
    tcase_add_test(first, test_access_in_a_thread_without_a_record);
    tcase_add_test(first, test_actions_run_on_a_cleaner_without_a_record);
    tcase_add_test(first,
                   test_open_under_closed_parent_fails_estale_not_enomem);
    suite_add_tcase(suite, each);
    return run_suite(suite);
}
