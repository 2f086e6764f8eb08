/*
 * scopes.c: malloc on a thread that has pushed an arena; see interposer.h.
 *
 * What the program asks for comes from the arena.  What libc and the like ask
 * for does not: it may be kept for longer than the arena.  Whose a call is
 * says the address that it returns to.
 */

#include "config.h"

#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "../include/arena/heap.h"
#include "interposer.h"

/* libarena's, with libc's rounding of alignments. */
void *arena_legacy_memalign(size_t align, size_t size);

/* --- Whose code is it? --- */

#define RANGES 64

/* Code of those that keep their memory to themselves.  Ranges are added, and
 * never taken away: that of a library which was unloaded only means the heap
 * for what is loaded there later. */
static struct {
    unsigned long long loads; /* of libraries by then */
    _Atomic unsigned count;
    struct range {
        uintptr_t lo, hi;
    } range[RANGES];
} system_code;

static bool
is_system(const void *address)
{
    uintptr_t a = (uintptr_t)address;
    unsigned count =
        atomic_load_explicit(&system_code.count, memory_order_acquire);

    for (unsigned i = 0; i < count; i++)
        if (a >= system_code.range[i].lo && a < system_code.range[i].hi)
            return true;
    return false;
}

static bool
is_system_name(const char *path)
{
    static const char *const names[] = {
        "libc.so.",   "ld-linux",     "libstdc++.so.", "libc++",
        "libgcc_s.",  "libpthread.",  "libdl.",        "libresolv.",
        "libnss_",    "libarena.so",  "libgc.so.",     "libarena-malloc.so",
    };
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void
add_range(uintptr_t lo, uintptr_t hi)
{
    unsigned count = atomic_load(&system_code.count);

    if (count == RANGES || is_system((void *)lo))
        return;
    system_code.range[count] = (struct range){lo, hi};
    atomic_store_explicit(&system_code.count, count + 1,
                          memory_order_release);
}

/* Of each library; ends the walk if there are no new ones.  The loader's lock
 * is held: no two walk at a time, and one of ours could be waited for in vain
 * by who walks already, and pushes an arena there. */
static int
add_library(struct dl_phdr_info *info, size_t size, void *first)
{
    (void)size;
    if (*(bool *)first && info->dlpi_adds == system_code.loads)
        return 1;
    *(bool *)first = false;
    system_code.loads = info->dlpi_adds;
    if (!is_system_name(info->dlpi_name))
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t lo = info->dlpi_addr + part->p_vaddr;

        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0)
            add_range(lo, lo + part->p_memsz);
    }
    return 0;
}

static void
learn_code(void)
{
    bool first = true;

    dl_iterate_phdr(add_library, &first);
}

/* --- The functions of malloc --- */

/* Called by libarena. */
static void
pushed(bool any)
{
    arenap_inside &= ~INSIDE_SCOPED;
    if (!any)
        return;
    /* From now on any block that is freed may be one of an arena. */
    if (atomic_load(&arenap_answer) == ANSWER_SYSTEM)
        atomic_store(&arenap_answer, ANSWER_SLOWLY);
    arenap_inside++;
    learn_code();
    arenap_inside--;
    arenap_inside |= INSIDE_SCOPED;
}

static bool
is_for_heap(const void *caller)
{
    return arenap_is_inside() || is_system(caller);
}

/* Do something as if nothing were pushed. */
#define WITHOUT_SCOPES(statement)                                             \
    do {                                                                      \
        struct scope *hidden_ = arena_interpose_hide();                       \
                                                                              \
        arenap_inside &= ~INSIDE_SCOPED;                                      \
        statement;                                                            \
        arenap_inside |= INSIDE_SCOPED;                                       \
        arena_interpose_show(hidden_);                                        \
    } while (0)

void *
arenap_scopes_alloc(size_t size, const void *caller)
{
    void *block;

    if (is_for_heap(caller)) {
        WITHOUT_SCOPES(block = malloc(size));
        return block;
    }
    arenap_inside++;
    block = arena_malloc(size);
    arenap_inside--;
    return block;
}

void *
arenap_scopes_calloc(size_t count, size_t size, const void *caller)
{
    void *block;

    if (is_for_heap(caller)) {
        WITHOUT_SCOPES(block = calloc(count, size));
        return block;
    }
    arenap_inside++;
    block = arena_calloc(count, size);
    arenap_inside--;
    return block;
}

void *
arenap_scopes_memalign(size_t align, size_t size, const void *caller)
{
    void *block;

    if (is_for_heap(caller)) {
        WITHOUT_SCOPES(block = memalign(align, size));
        return block;
    }
    arenap_inside++;
    block = arena_legacy_memalign(align, size);
    arenap_inside--;
    return block;
}

void *
arenap_scopes_realloc(void *block, size_t size, const void *caller)
{
    if (is_for_heap(caller)
        || (block != NULL && !arena_interpose_in_arena(block))) {
        WITHOUT_SCOPES(block = realloc(block, size));
        return block;
    }
    arenap_inside++;
    block = arena_realloc(block, size);
    arenap_inside--;
    return block;
}

void
arenap_scopes_start(void)
{
    arena_interpose_scopes(pushed);
}
