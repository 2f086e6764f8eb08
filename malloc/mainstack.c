/* mainstack.c: where the main thread's stack is; see interposer.h.
 *
 * libc's pthread_getattr_np reads the mappings with fopen, getline and sscanf:
 * pages of libc's that a program has in memory from then on, for nothing.  The
 * answer is the same. */

#include "config.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "interposer.h"

#define PAGE ((uintptr_t)4096)

extern void *__libc_stack_end; /* the loader's */

struct search {
    uintptr_t bound[2]; /* of the line's mapping, as far as it was read */
    unsigned which;     /* of them comes next; 2: the line's rest */
    uintptr_t before;   /* the end of the mapping below, once it was found */
    uintptr_t end;      /* 0: not found */
};

static void
line_end(struct search *search)
{
    uintptr_t in_stack = (uintptr_t)__libc_stack_end;

    if (search->end == 0 && search->bound[0] <= in_stack
        && in_stack < search->bound[1])
        search->end = search->bound[1];
    else if (search->end == 0)
        search->before = search->bound[1];
    search->bound[0] = search->bound[1] = 0;
    search->which = 0;
}

static void
line_go_on(struct search *search, char c)
{
    if (c == '\n')
        line_end(search);
    else if (search->which == 2)
        return;
    else if (c == '-' || c == ' ')
        search->which++;
    else
        search->bound[search->which] =
            search->bound[search->which] << 4
            | (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* By the system's own calls: those of the program's are watched. */
static void
search_mappings(struct search *search)
{
    char text[1024];
    long file = syscall(SYS_openat, AT_FDCWD, "/proc/self/maps",
                        O_RDONLY | O_CLOEXEC);
    long count;

    if (file < 0)
        return;
    while ((count = syscall(SYS_read, file, text, sizeof text)) > 0)
        for (long i = 0; i < count; i++)
            line_go_on(search, text[i]);
    syscall(SYS_close, file);
}

bool
arenap_mainstack_find(void **stack, size_t *size)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uintptr_t top = ((uintptr_t)__libc_stack_end + PAGE - 1) & ~(PAGE - 1);
    struct search search = {{0, 0}, 0, 0, 0};
    struct rlimit limit;
    size_t room;

    if (syscall(SYS_gettid) != getpid()
        || getrlimit(RLIMIT_STACK, &limit) != 0)
        return false;
    search_mappings(&search);
    if (search.end == 0)
        return false;
    /* It may grow to the limit, which counts what is above, too; but not into
     * the mapping below. */
    room = (limit.rlim_cur - (search.end - top)) & ~(PAGE - 1);
    if (room > top - search.before)
        room = top - search.before;
    *stack = (void *)(top - room);
    *size = room;
    /* In a child, the thread that forked is the main one. */
    return here >= top - room && here < top;
}
