/*
 * direct_buffer.c: a direct buffer of 1 GiB in the resident memory of the
 * process; when nobody can reach it any more it is gone from there.
 */

#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arena.h>
#include <arena/budget.h>
#include <arena/buffer.h>

#define MIB ((size_t)1 << 20)

static arena_buffer_t *volatile view; /* a global: the collector looks here */
static size_t size = 1024 * MIB;

static size_t
resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t all = 0, pages = 0;

    assert(file != NULL && fscanf(file, "%zu %zu", &all, &pages) == 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t
show(const char *when)
{
    arena_usage_t usage;

    arena_usage(&usage, sizeof(usage));
    printf("%-12s %5zu MiB resident, %zu buffer(s) with %zu MiB\n", when,
           resident() / MIB, usage.buffers.count,
           usage.buffers.requested / MIB);
    return resident();
}

/* Fill the buffer, and keep no more than a view of a few bytes of it. */
static void *
use_buffer(void *unused)
{
    arena_buffer_t *buffer = arena_buffer_allocate(size);

    assert(buffer != NULL);
    memset(arena_buffer_address(buffer), 'x', size);
    assert(arena_buffer_put_u32(buffer, 4711) == 0);
    assert(arena_buffer_flip(buffer) == 0);
    view = arena_buffer_slice(buffer);
    assert(view != NULL);
    return unused;
}

int
main(void)
{
    size_t before, filled, after;
    uint32_t number = 0;
    pthread_t user;

    assert(arena_thread_attach() == 0);
    while (size > arena_limit() / 4)
        size /= 2; /* a small machine */
    before = show("at first:");

    assert(pthread_create(&user, NULL, use_buffer, NULL) == 0);
    pthread_join(user, NULL); /* its stack is gone, and its pointers */
    arena_collect();
    filled = show("filled:");
    assert(filled >= before + size); /* the view keeps all of it */
    assert(arena_buffer_get_u32(view, &number) == 0 && number == 4711);

    view = NULL;
    arena_collect();
    after = show("dropped:");
    assert(after < before + size / 4);
    return 0;
}
