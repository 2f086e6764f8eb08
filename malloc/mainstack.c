/* mainstack.c: where the main thread's stack is; see interposer.h.
 *
 * libc's pthread_getattr_np reads the mappings with fopen, getline and sscanf:
 * pages of libc's that a program has in memory from then on, for nothing.  The
 * answer is the same. */

#include "config.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "interposer.h"

#define PAGE ((uintptr_t)4096)

extern void *__libc_stack_end; /* the loader's */

struct search {
    uintptr_t before; /* the end of the mapping below, once it was found */
    uintptr_t end;    /* 0: not found */
};

static void
search_visit(uintptr_t lo, uintptr_t hi, void *context)
{
    struct search *search = context;
    uintptr_t in_stack = (uintptr_t)__libc_stack_end;

    if (search->end == 0 && lo <= in_stack && in_stack < hi)
        search->end = hi;
    else if (search->end == 0)
        search->before = hi;
}

bool
arenap_mainstack_find(void **stack, size_t *size)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uintptr_t top = ((uintptr_t)__libc_stack_end + PAGE - 1) & ~(PAGE - 1);
    struct search search = {0, 0};
    struct rlimit limit;
    size_t room;

    if (syscall(SYS_gettid) != getpid()
        || getrlimit(RLIMIT_STACK, &limit) != 0)
        return false;
    if (!arena_interpose_mappings(search_visit, &search) || search.end == 0)
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
