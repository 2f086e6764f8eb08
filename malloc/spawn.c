/*
 * spawn.c: processes that a thread waits for asleep; see interposer.h.
 *
 * vfork(2), and with it libc's posix_spawn, system and popen, lets the thread
 * sleep until the child has run a program: no signal reaches it, and a
 * collection would wait in vain.  So it says beforehand that it touches
 * nothing, and has its registers written down.
 *
 * Meanwhile what it asks malloc for is libc's: system and popen ask on the
 * way there, and a child of vfork, which is the same thread, may.
 */

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "interposer.h"

/* --- Going to sleep --- */

static void
sleep_begin(void)
{
    arenap_inside++;
    arena_interpose_sleep();
}

static bool
sleep_wanted(void)
{
    if (arenap_mode_now() != MODE_COLLECT || arenap_is_inside())
        return false;
    sleep_begin();
    return true;
}

static void
sleep_end(void)
{
    arena_interpose_wake();
    arenap_inside--;
}

/* The thread that sleeps in vfork, if it is this one; in the child, too. */
static INTERPOSE_TLS pid_t vfork_sleeper;

/* A handler of the program's runs on the way there.  Not of a child of vfork,
 * whose parent sleeps on. */
bool
arenap_spawn_interrupt(void)
{
    if (LIKELY(!arena_interpose_is_asleep()) || vfork_sleeper != 0)
        return false;
    sleep_end();
    return true;
}

void
arenap_spawn_resume(void)
{
    sleep_begin();
}

/* ASLEEP(call): the call, with all registers that the caller of this function
 * may have pointers in on the stack.  A thread that is cancelled wakes up. */
static void
cancelled(void *slept)
{
    if (*(bool *)slept && arena_interpose_is_asleep())
        sleep_end();
}

#define ASLEEP(call)                                                          \
    do {                                                                      \
        bool slept_;                                                          \
                                                                              \
        __builtin_unwind_init();                                              \
        slept_ = sleep_wanted();                                              \
        pthread_cleanup_push(cancelled, &slept_);                             \
        call;                                                                 \
        pthread_cleanup_pop(0);                                               \
        if (slept_)                                                           \
            sleep_end();                                                      \
    } while (0)

INTERPOSE int
posix_spawn(pid_t *child, const char *path,
            const posix_spawn_file_actions_t *actions,
            const posix_spawnattr_t *attributes, char *const argv[],
            char *const envp[])
{
    int error;

    ASLEEP(error = REAL(posix_spawn)(child, path, actions, attributes, argv,
                                     envp));
    return error;
}

INTERPOSE int
posix_spawnp(pid_t *child, const char *name,
             const posix_spawn_file_actions_t *actions,
             const posix_spawnattr_t *attributes, char *const argv[],
             char *const envp[])
{
    int error;

    ASLEEP(error = REAL(posix_spawnp)(child, name, actions, attributes, argv,
                                      envp));
    return error;
}

INTERPOSE int
system(const char *command)
{
    int status;

    ASLEEP(status = REAL(system)(command));
    return status;
}

INTERPOSE FILE *
popen(const char *command, const char *mode)
{
    FILE *file;

    ASLEEP(file = REAL(popen)(command, mode));
    return file;
}

/* --- vfork ---
 *
 * It returns twice on one stack, the first time in the child, which then
 * overwrites what is below.  So nothing may be kept there: the return address
 * is in a register, as in libc's own, and what the caller has in registers is
 * in thread-local storage, where a collection finds it. */

#if defined(__x86_64__)

struct vfork_kept {
    uintptr_t registers[6];
};

static INTERPOSE_TLS struct vfork_kept vfork_kept;

__attribute__((used)) struct vfork_kept *arenap_vfork_begin(void);
__attribute__((used)) void arenap_vfork_sleep(void);
__attribute__((used)) long arenap_vfork_end(long result);

/* Where to keep the registers.  A child of vfork must not overwrite what its
 * parent, which is this very thread, left there. */
struct vfork_kept *
arenap_vfork_begin(void)
{
    static struct vfork_kept others;

    return vfork_sleeper != 0 ? &others : &vfork_kept;
}

/* They are kept. */
void
arenap_vfork_sleep(void)
{
    if (sleep_wanted())
        vfork_sleeper = getpid();
}

/* In the parent, with what the system call returned. */
long
arenap_vfork_end(long result)
{
    if (vfork_sleeper == getpid()) {
        vfork_sleeper = 0;
        sleep_end();
    }
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)

__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, @function\n"
        "vfork:\n"
        "    .cfi_startproc\n"
        "    subq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    call arenap_vfork_begin\n"
        "    movq %rbx, (%rax)\n"
        "    movq %rbp, 8(%rax)\n"
        "    movq %r12, 16(%rax)\n"
        "    movq %r13, 24(%rax)\n"
        "    movq %r14, 32(%rax)\n"
        "    movq %r15, 40(%rax)\n"
        "    call arenap_vfork_sleep\n"
        "    addq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    popq %rdi\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_register %rip, %rdi\n"
        "    movl $" STRING(SYS_vfork) ", %eax\n"
        "    syscall\n"
        "    pushq %rdi\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_offset %rip, -8\n"
        "    testq %rax, %rax\n"
        "    jz 1f\n"
        "    subq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    movq %rax, %rdi\n"
        "    call arenap_vfork_end\n"
        "    addq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "1:  ret\n"
        "    .cfi_endproc\n"
        ".size vfork, .-vfork\n");

#endif
