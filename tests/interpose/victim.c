/*
 * victim.c - a program that knows nothing of any collector, and hides its
 * pointers where programs do:
 *
 *     victim CASE [MODULE]
 *
 * Each case puts the only pointers to eight blocks in one place, asks for
 * some megabytes that it forgets, and looks at the blocks again.  It exits
 * with 0 if they are what they were, 1 if not.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <malloc.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define SLOTS 8
#define WORDS 12
#define CHURN ((size_t)6 << 20)
#define NOINLINE __attribute__((noinline))

static const char *module_path;

static void
fail(const char *what)
{
    fprintf(stderr, "victim: %s\n", what);
    _exit(1);
}

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition))                                                     \
            fail(#condition);                                                 \
    } while (0)

/* --- Blocks ------------------------------------------------------------ */

static uint64_t
word(unsigned slot, unsigned at)
{
    return 0x5eed0000u + slot * 100u + at;
}

static void *
block_new(unsigned slot)
{
    uint64_t *block = malloc(WORDS * sizeof *block);

    CHECK(block != NULL);
    for (unsigned i = 0; i < WORDS; i++)
        block[i] = word(slot, i);
    return block;
}

static void
block_check(const void *ptr, unsigned slot)
{
    const uint64_t *block = ptr;

    for (unsigned i = 0; i < WORDS; i++)
        if (block[i] != word(slot, i))
            fail("a block was lost");
}

static NOINLINE void
fill(void **slots)
{
    for (unsigned i = 0; i < SLOTS; i++)
        slots[i] = block_new(i);
}

static NOINLINE void
look(void **slots)
{
    for (unsigned i = 0; i < SLOTS; i++)
        block_check(slots[i], i);
}

/* Nothing of what earlier calls left on the stack. */
static NOINLINE void
wipe(void)
{
    char below[32768];

    memset(below, 0, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
}

/* Ask for much, of the blocks' size mostly, and forget it. */
static NOINLINE void
churn_bytes(size_t bytes)
{
    unsigned random = 1;

    wipe();
    for (size_t done = 0; done < bytes;) {
        size_t size = WORDS * 8;
        char *block;

        random = random * 1103515245u + 12345u;
        if (random >> 28 == 0)
            size = 16 + (random >> 8) % 3000;
        block = malloc(size);
        CHECK(block != NULL);
        memset(block, 0x77, size);
        if ((random >> 16) % 4 == 0)
            free(block);
        done += size;
    }
    wipe();
}

static NOINLINE void
churn(void)
{
    churn_bytes(CHURN);
}

static void *
churn_thread(void *unused)
{
    churn();
    return unused;
}

static pthread_t
thread_start(void *(*routine)(void *), void *arg)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, routine, arg) == 0);
    return thread;
}

static double
seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long
resident_pages(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    CHECK(file != NULL && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages;
}

/* Write over all blocks of that size that nobody keeps. */
static NOINLINE void
fill_blocks(size_t size)
{
    void *block[80];

    for (int i = 0; i < 80; i++) {
        block[i] = malloc(size);
        CHECK(block[i] != NULL);
        memset(block[i], 0x55, size);
    }
    memset(block, 0, sizeof block);
    wipe();
}

/* What is forgotten comes back: 300 MB in a process that may not grow. */
static void
case_leak(void)
{
    for (int i = 0; i < 50; i++)
        churn();
    CHECK(resident_pages() < 64 << 8);
}

/* --- Places ------------------------------------------------------------ */

static __thread void *tls_slots[SLOTS];
static void *static_slots[SLOTS];

static void
case_static(void)
{
    fill(static_slots);
    churn();
    look(static_slots);
}

static void
case_tls(void)
{
    fill(tls_slots);
    churn();
    look(tls_slots);
}

static sem_t filled, churned;

static void *
hold_tls(void *unused)
{
    fill(tls_slots);
    wipe();
    sem_post(&filled);
    while (sem_wait(&churned) != 0)
        ;
    look(tls_slots);
    return unused;
}

static void
hold_while_churning(void *(*holder)(void *))
{
    pthread_t thread;

    sem_init(&filled, 0, 0);
    sem_init(&churned, 0, 0);
    thread = thread_start(holder, NULL);
    while (sem_wait(&filled) != 0)
        ;
    churn();
    sem_post(&churned);
    pthread_join(thread, NULL);
}

static void
case_tls_thread(void)
{
    hold_while_churning(hold_tls);
}

/* Many threads that come and go, each with blocks of its own. */
static void *
short_life(void *unused)
{
    fill(tls_slots);
    churn_bytes((size_t)300 << 10);
    look(tls_slots);
    return unused;
}

static void
case_short_threads(void)
{
    for (int round = 0; round < 40; round++) {
        pthread_t thread[4];

        for (int i = 0; i < 4; i++)
            thread[i] = thread_start(short_life, NULL);
        for (int i = 0; i < 4; i++)
            pthread_join(thread[i], NULL);
    }
}

static atomic_bool stop_churning;
static void **(*module_slots)(void);

static void
module_open(int flags)
{
    void *module = dlopen(module_path, flags);

    CHECK(module != NULL);
    *(void **)&module_slots = dlsym(module, "module_slots");
    CHECK(module_slots != NULL);
}

static void *
hold_module(void *unused)
{
    fill(module_slots());
    wipe();
    sem_post(&filled);
    while (sem_wait(&churned) != 0)
        ;
    look(module_slots());
    return unused;
}

static void
case_tls_module(void)
{
    module_open(RTLD_NOW);
    fill(module_slots());
    churn();
    look(module_slots());
    hold_while_churning(hold_module);
}

/* Memory from inside the loader's lock. */
static int
visit_module(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)info;
    (void)size;
    (void)unused;
    free(malloc(1000));
    churn_bytes((size_t)20 << 10);
    return 0;
}

static void *
visit_modules(void *unused)
{
    for (int i = 0; i < 100; i++)
        dl_iterate_phdr(visit_module, NULL);
    atomic_store(&stop_churning, true);
    return unused;
}

static void
case_loader_lock(void)
{
    pthread_t thread = thread_start(visit_modules, NULL);

    while (!atomic_load(&stop_churning))
        churn_bytes((size_t)1 << 20);
    pthread_join(thread, NULL);
}

/* A library that prefers its own symbols has our malloc all the same. */
static void
case_deepbind(void)
{
    void *module = dlopen(module_path, RTLD_NOW | RTLD_DEEPBIND);
    void *(*get)(size_t);
    void (*put)(void *);

    CHECK(module != NULL);
    *(void **)&get = dlsym(module, "module_malloc");
    *(void **)&put = dlsym(module, "module_free");
    for (int i = 0; i < 1000; i++) {
        free(get(100));
        put(malloc(100));
    }
    churn();
}

static void *
hold_specific(void *unused)
{
    pthread_key_t key[SLOTS];

    for (unsigned i = 0; i < SLOTS; i++) {
        CHECK(pthread_key_create(&key[i], NULL) == 0);
        pthread_setspecific(key[i], block_new(i));
    }
    churn();
    for (unsigned i = 0; i < SLOTS; i++)
        block_check(pthread_getspecific(key[i]), i);
    return unused;
}

static void
case_specific(void)
{
    hold_specific(NULL);
    pthread_join(thread_start(hold_specific, NULL), NULL);
}

static void
in_mapping(int flags)
{
    char *map = mmap(NULL, (size_t)1 << 20, PROT_READ | PROT_WRITE,
                     flags | MAP_ANONYMOUS, -1, 0);

    CHECK(map != MAP_FAILED);
    fill((void **)(void *)(map + 700000));
    churn();
    look((void **)(void *)(map + 700000));
}

static void
case_mmap(void)
{
    in_mapping(MAP_PRIVATE);
}

static void
case_mmap_often(void)
{
    for (int i = 0; i < 30; i++)
        in_mapping(MAP_PRIVATE);
}

static void
case_mmap_shared(void)
{
    in_mapping(MAP_SHARED);
}

/* As programs did before there was MAP_ANONYMOUS. */
static void
case_mmap_zero(void)
{
    int file = open("/dev/zero", O_RDWR);
    void **map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file,
                      0);

    CHECK(map != MAP_FAILED && close(file) == 0);
    fill(map);
    churn();
    look(map);
}

/* Arrays that are known by where they end, or by their second element. */
static void *ends[SLOTS];

static void
case_past_end(void)
{
    fill(ends);
    for (unsigned i = 0; i < SLOTS; i++)
        ends[i] = (char *)ends[i] + WORDS * 8;
    churn();
    for (unsigned i = 0; i < SLOTS; i++)
        ends[i] = (char *)ends[i] - WORDS * 8;
    look(ends);
}

static void
case_mmap_protected(void)
{
    void **map = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(map != MAP_FAILED);
    fill(map);
    mprotect(map, 4096, PROT_READ);
    churn();
    look(map);
}

static void
case_sbrk(void)
{
    void **slots = sbrk(4096);

    CHECK(slots != (void *)-1);
    fill(slots);
    churn();
    look(slots);
}

static char **arguments;
extern char **environ;

static void
case_argv(void)
{
    arguments[0] = block_new(3);
    churn();
    block_check(arguments[0], 3);
}

static void
case_environ(void)
{
    char *own = malloc(64);

    strcpy(own, "VICTIM=own");
    putenv(own);
    own = NULL;
    setenv("VICTIM_TOO", "set", 1);
    churn();
    CHECK(strcmp(getenv("VICTIM"), "own") == 0);
    CHECK(strcmp(getenv("VICTIM_TOO"), "set") == 0);
}

static void
case_epoll(void)
{
    int epoll = epoll_create1(0), pipes[2];
    struct epoll_event event = {.events = EPOLLIN};

    CHECK(epoll >= 0 && pipe(pipes) == 0);
    event.data.ptr = block_new(5);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &event) == 0);
    memset(&event, 0, sizeof event);
    churn();
    CHECK(write(pipes[1], "x", 1) == 1);
    CHECK(epoll_wait(epoll, &event, 1, 1000) == 1);
    block_check(event.data.ptr, 5);
}

static atomic_int expirations;

static void
expired(union sigval value)
{
    fill(tls_slots);
    churn_bytes((size_t)300 << 10);
    look(tls_slots);
    block_check(value.sival_ptr, 2);
    atomic_fetch_add(&expirations, 1);
}

static void
churn_in_handler(int number)
{
    (void)number;
    churn_bytes((size_t)300 << 10);
}

/* One file that two instances watch, and one that was watched before. */
static NOINLINE void
watch_file(int epoll, int operation, int file, unsigned slot)
{
    struct epoll_event event = {.events = EPOLLIN};

    event.data.ptr = block_new(slot);
    CHECK(epoll_ctl(epoll, operation, file, &event) == 0);
    errno = 0;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event) == -1
          && errno == EEXIST);
}

static void
case_epoll_many(void)
{
    int one = epoll_create1(0), two = epoll_create1(0), pipes[2];
    struct epoll_event event;

    CHECK(one >= 0 && two >= 0 && pipe(pipes) == 0);
    watch_file(one, EPOLL_CTL_ADD, pipes[0], 1);
    watch_file(two, EPOLL_CTL_ADD, pipes[0], 2);
    CHECK(epoll_ctl(two, EPOLL_CTL_DEL, pipes[0], NULL) == 0);
    watch_file(two, EPOLL_CTL_ADD, pipes[0], 3);
    watch_file(two, EPOLL_CTL_MOD, pipes[0], 4);
    churn();
    CHECK(write(pipes[1], "x", 1) == 1);
    CHECK(epoll_wait(one, &event, 1, 1000) == 1);
    block_check(event.data.ptr, 1);
    CHECK(epoll_wait(two, &event, 1, 1000) == 1);
    block_check(event.data.ptr, 4);
}

/* What comes with signals of timers and message queues, and of one's own. */
static void *volatile signalled;
static atomic_int signals_seen;

static void
take_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    signalled = info->si_value.sival_ptr;
    atomic_fetch_add(&signals_seen, 1);
}

static void
handle_values(void)
{
    struct sigaction action = {.sa_sigaction = take_signal,
                               .sa_flags = SA_SIGINFO | SA_RESTART};

    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
}

static void
await_signal(int count)
{
    for (double end = seconds() + 20;
         atomic_load(&signals_seen) < count && seconds() < end;)
        usleep(1000);
    CHECK(atomic_load(&signals_seen) >= count);
}

static NOINLINE timer_t
timer_new(unsigned slot)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGRTMIN};
    timer_t timer;

    event.sigev_value.sival_ptr = block_new(slot);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    return timer;
}

static void
case_timer(void)
{
    struct itimerspec soon = {.it_value = {.tv_nsec = 1000000}};
    timer_t timer[200];

    handle_values();
    for (unsigned i = 0; i < 200; i++)
        timer[i] = timer_new(i % SLOTS);
    for (unsigned i = 0; i < 200; i += 2)
        CHECK(timer_delete(timer[i]) == 0);
    churn();
    for (unsigned i = 1; i < 200; i += 2) {
        CHECK(timer_settime(timer[i], 0, &soon, NULL) == 0);
        await_signal((int)(i / 2 + 1));
        block_check(signalled, i % SLOTS);
    }
}

/* The memory of timers that are gone is not kept. */
static void
case_timer_leak(void)
{
    handle_values();
    for (int i = 0; i < 2000; i++) {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                                 .sigev_signo = SIGRTMIN};
        timer_t timer;

        event.sigev_value.sival_ptr = malloc(100000);
        memset(event.sigev_value.sival_ptr, 1, 100000);
        CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
        CHECK(timer_delete(timer) == 0);
    }
    CHECK(resident_pages() < 64 << 8);
}

static NOINLINE void
queue_signal(unsigned slot)
{
    union sigval value = {.sival_ptr = block_new(slot)};

    CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
}

/* Numbers above all, which are never used again, and are waited for. */
static void
case_sigqueue_often(void)
{
    siginfo_t info;
    sigset_t set;
    int number;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (unsigned i = 1; i <= 90000; i++) {
        CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_ptr =
                       (void *)(uintptr_t)i}) == 0);
        if (i % 3 == 0)
            CHECK(sigwaitinfo(&set, NULL) == SIGRTMIN);
        else
            CHECK(sigwait(&set, &number) == 0 && number == SIGRTMIN);
    }
    queue_signal(0);
    churn();
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN);
    block_check(info.si_value.sival_ptr, 0);
}

/* Read a signal, queue its value again, and send the bytes that were read
 * through a pipe. */
static NOINLINE void
queue_again(int file)
{
    struct signalfd_siginfo info;
    union sigval value;
    int sides[2];

    CHECK(read(file, &info, sizeof info) == sizeof info);
    value.sival_ptr = (void *)(uintptr_t)info.ssi_ptr;
    CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
    CHECK(pipe(sides) == 0);
    CHECK(write(sides[1], &info, sizeof info) == sizeof info);
    CHECK(read(sides[0], &info, sizeof info) == sizeof info);
    memset(&info, 0, sizeof info);
    memset(&value, 0, sizeof value);
}

static NOINLINE void
read_and_check(int file, unsigned slot)
{
    struct signalfd_siginfo info;

    CHECK(read(file, &info, sizeof info) == sizeof info);
    block_check((void *)(uintptr_t)info.ssi_ptr, slot);
}

/* The same, read from a file. */
static void
case_sigqueue_files(void)
{
    struct signalfd_siginfo info;
    sigset_t set;
    int file;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    CHECK((file = signalfd(-1, &set, SFD_CLOEXEC)) >= 0);
    for (unsigned i = 1; i <= 90000; i++) {
        CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_ptr =
                       (void *)(uintptr_t)i}) == 0);
        CHECK(read(file, &info, sizeof info) == sizeof info);
        CHECK(info.ssi_ptr == i);
    }
    queue_signal(0);
    churn();
    read_and_check(file, 0);
    queue_signal(1);
    queue_again(file);
    churn();
    read_and_check(file, 1);
}

static void
case_sigqueue(void)
{
    const struct timespec none = {0, 0};
    sigset_t set;

    handle_values();
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (unsigned i = 0; i < 100; i++)
        queue_signal(i);
    churn();
    for (unsigned i = 0; i < 50; i++) {
        siginfo_t info;

        CHECK(sigtimedwait(&set, &info, &none) == SIGRTMIN);
        block_check(info.si_value.sival_ptr, i);
    }
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    await_signal(50);
    block_check(signalled, 99);
}

static NOINLINE void
queue_notify(mqd_t queue, int how, unsigned slot)
{
    pthread_attr_t attributes;
    struct sigevent event = {.sigev_notify = how, .sigev_signo = SIGRTMIN};

    if (how == SIGEV_THREAD) {
        CHECK(pthread_attr_init(&attributes) == 0);
        CHECK(pthread_attr_setstacksize(&attributes, 1 << 20) == 0);
        event.sigev_notify_function = expired;
        event.sigev_notify_attributes = &attributes;
    }
    event.sigev_value.sival_ptr = block_new(slot);
    CHECK(mq_notify(queue, &event) == 0);
    memset(&event, 0, sizeof event);
}

static void
case_mqueue(void)
{
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
    char name[32], text[8];
    mqd_t queue;

    snprintf(name, sizeof name, "/victim-%d", (int)getpid());
    queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    if (queue == (mqd_t)-1) /* not everywhere */
        return;
    mq_unlink(name);
    handle_values();
    queue_notify(queue, SIGEV_SIGNAL, 6);
    churn();
    CHECK(mq_send(queue, "x", 1, 0) == 0);
    await_signal(1);
    block_check(signalled, 6);
    CHECK(mq_receive(queue, text, sizeof text, NULL) == 1);
    queue_notify(queue, SIGEV_THREAD, 2);
    churn();
    CHECK(mq_send(queue, "x", 1, 0) == 0);
    for (double end = seconds() + 20;
         atomic_load(&expirations) < 1 && seconds() < end;)
        churn_bytes((size_t)1 << 20);
    CHECK(atomic_load(&expirations) == 1);
}

/* Where it begins, inverted. */
static NOINLINE uintptr_t
alternate_stack(void)
{
    stack_t stack = {.ss_size = (size_t)128 << 10};
    uintptr_t where;

    stack.ss_sp = malloc(stack.ss_size);
    memset(stack.ss_sp, 0x33, 1000);
    CHECK(sigaltstack(&stack, NULL) == 0);
    where = ~(uintptr_t)stack.ss_sp;
    memset(&stack, 0, sizeof stack);
    return where;
}

/* Only the kernel knows of a stack for handlers; it is a block. */
static void *
handle_on_block(void *unused)
{
    struct sigaction action = {.sa_handler = churn_in_handler,
                               .sa_flags = SA_ONSTACK};

    volatile uintptr_t where = alternate_stack();

    wipe();
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        fill_blocks((size_t)128 << 10);
        CHECK(*(const char *)~where == 0x33);
        fill(tls_slots);
        raise(SIGUSR1);
        look(tls_slots);
    }
    return unused;
}

static void
case_sigaltstack_block(void)
{
    handle_on_block(NULL);
    pthread_join(thread_start(handle_on_block, NULL), NULL);
}

static void
case_aligned(void)
{
    for (size_t align = 16; align <= 65536; align *= 2)
        for (int i = 0; i < 20; i++) {
            char *block = memalign(align, 100), *other;

            CHECK(block != NULL && (uintptr_t)block % align == 0);
            CHECK(malloc_usable_size(block) >= 100);
            memset(block, 1, 100);
            CHECK(posix_memalign((void **)&other, align, 10) == 0);
            block = realloc(block, 5000);
            CHECK(block != NULL && block[99] == 1);
            free(other);
            free(block);
        }
    churn();
}

/* --- Stacks ------------------------------------------------------------ */

static ucontext_t main_context, coroutine_context;

static NOINLINE void
on_stack_slots(void (*between)(void))
{
    void *volatile slots[SLOTS];

    for (unsigned i = 0; i < SLOTS; i++)
        slots[i] = block_new(i);
    wipe();
    between();
    for (unsigned i = 0; i < SLOTS; i++)
        block_check(slots[i], i);
}

static void
leave_coroutine(void)
{
    swapcontext(&coroutine_context, &main_context);
}

static void
suspended_coroutine(void)
{
    on_stack_slots(leave_coroutine);
}

static void
coroutine(void *stack, size_t size, void (*body)(void))
{
    CHECK(getcontext(&coroutine_context) == 0);
    coroutine_context.uc_stack.ss_sp = stack;
    coroutine_context.uc_stack.ss_size = size;
    coroutine_context.uc_link = &main_context;
    makecontext(&coroutine_context, body, 0);
    swapcontext(&main_context, &coroutine_context);
}

#define STACK ((size_t)128 << 10)

static void *
stack_map(void)
{
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(stack != MAP_FAILED);
    return stack;
}

/* Suspended, with its stack in a mapping and in a block. */
static void
case_coroutine(void)
{
    coroutine(stack_map(), STACK, suspended_coroutine);
    churn();
    swapcontext(&main_context, &coroutine_context);
    coroutine(malloc(STACK), STACK, suspended_coroutine);
    churn();
    swapcontext(&main_context, &coroutine_context);
}

/* Collecting while on it. */
static void
churning_coroutine(void)
{
    on_stack_slots(churn);
}

/* As churn_bytes, of large blocks, and on a stack that has no room to wipe. */
static NOINLINE void
churn_shallow(void)
{
    for (size_t done = 0; done < CHURN; done += 1000) {
        char *volatile block = malloc(1000);

        CHECK(block != NULL);
        block[0] = 1;
    }
}

/* A stack among other blocks, too small for what the collector would clear
 * below it. */
#define STACK_SMALL ((size_t)12 << 10)

static void
case_coroutine_small(void)
{
    enum { BLOCKS = 16 };
    unsigned char *block[BLOCKS];

    for (int i = 0; i < BLOCKS; i++)
        memset(block[i] = malloc(STACK_SMALL), 0x5a, STACK_SMALL);
    coroutine(block[BLOCKS / 2], STACK_SMALL, churn_shallow);
    for (int i = 0; i < BLOCKS; i++)
        for (size_t at = 0; i != BLOCKS / 2 && at < STACK_SMALL; at++)
            CHECK(block[i][at] == 0x5a);
}

/* Most of a thread's stack is in use, which was empty when it began. */
static NOINLINE void
churn_deep(size_t left)
{
    volatile char used[1024];

    used[0] = 0;
    if (left > sizeof used)
        churn_deep(left - sizeof used);
    else
        churn_shallow();
    used[1] = used[0];
}

static void *
deep_thread(void *unused)
{
    churn_shallow();
    churn_deep((size_t)40 << 10);
    return unused;
}

static void
case_deep_stack(void)
{
    pthread_attr_t attr;
    pthread_t thread;

    CHECK(pthread_attr_init(&attr) == 0);
    CHECK(pthread_attr_setstacksize(&attr, (size_t)64 << 10) == 0);
    CHECK(pthread_create(&thread, &attr, deep_thread, NULL) == 0);
    pthread_join(thread, NULL);
}

static void
on_main_and_coroutine(void)
{
    coroutine(stack_map(), STACK, churning_coroutine);
    coroutine(malloc(STACK), STACK, churning_coroutine);
}

static void
case_coroutine_collects(void)
{
    on_stack_slots(on_main_and_coroutine);
}

/* Stopped by another thread while on it. */
static void
spin(void)
{
    while (!atomic_load(&stop_churning))
        ;
}

static void
spinning_coroutine(void)
{
    on_stack_slots(spin);
}

static void *
churn_then_stop(void *unused)
{
    churn();
    atomic_store(&stop_churning, true);
    return unused;
}

static void
stopped_coroutines(void)
{
    for (int i = 0; i < 2; i++) {
        void *stack = i == 0 ? stack_map() : malloc(STACK);
        pthread_t thread;

        atomic_store(&stop_churning, false);
        thread = thread_start(churn_then_stop, NULL);
        coroutine(stack, STACK, spinning_coroutine);
        pthread_join(thread, NULL);
    }
}

static void
case_coroutine_stopped(void)
{
    on_stack_slots(stopped_coroutines);
}

static void *
coroutines_in_thread(void *unused)
{
    on_stack_slots(stopped_coroutines);
    return unused;
}

static void
case_coroutine_thread(void)
{
    pthread_join(thread_start(coroutines_in_thread, NULL), NULL);
}

static void
spinning_handler(int number)
{
    (void)number;
    on_stack_slots(spin);
}

static void
raise_usr1(void)
{
    pthread_t thread = thread_start(churn_then_stop, NULL);

    raise(SIGUSR1);
    pthread_join(thread, NULL);
}

static void
case_sigaltstack(void)
{
    stack_t stack = {.ss_sp = stack_map(), .ss_size = STACK};
    struct sigaction action = {.sa_handler = spinning_handler,
                               .sa_flags = SA_ONSTACK};

    CHECK(sigaltstack(&stack, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    on_stack_slots(raise_usr1);
}

/* --- Threads ----------------------------------------------------------- */

static void *
return_block(void *slot)
{
    return block_new((unsigned)(uintptr_t)slot);
}

static void *
exit_with_block(void *slot)
{
    pthread_exit(block_new((unsigned)(uintptr_t)slot));
}

static void
case_exit_value(void)
{
    for (int round = 0; round < 10; round++) {
        pthread_t thread[SLOTS];
        void *value;

        for (unsigned i = 0; i < SLOTS; i++)
            thread[i] = thread_start(i % 2 ? return_block : exit_with_block,
                                     (void *)(uintptr_t)i);
        churn_bytes((size_t)1 << 20);
        for (unsigned i = 0; i < SLOTS; i++) {
            pthread_join(thread[i], &value);
            block_check(value, i);
        }
    }
}

static pthread_key_t ending_key;

/* Memory at the very end of a thread, in every round. */
static void
ending(void *value)
{
    uintptr_t round = *(uintptr_t *)value;

    free(value);
    churn_bytes((size_t)300 << 10);
    if (round < PTHREAD_DESTRUCTOR_ITERATIONS + 2) {
        uintptr_t *next = malloc(sizeof *next);

        *next = round + 1;
        pthread_setspecific(ending_key, next);
    }
}

static void *
end_with_destructors(void *unused)
{
    uintptr_t *first = malloc(sizeof *first);

    *first = 1;
    pthread_setspecific(ending_key, first);
    return unused;
}

static void
case_destructors(void)
{
    CHECK(pthread_key_create(&ending_key, ending) == 0);
    for (int round = 0; round < 10; round++) {
        pthread_t one = thread_start(end_with_destructors, NULL);
        pthread_t two = thread_start(end_with_destructors, NULL);

        churn_bytes((size_t)1 << 20);
        pthread_join(one, NULL);
        pthread_join(two, NULL);
    }
}

/* A key that was never made: whatever has it must not mind. */
static void *
wrong_key(void *unused)
{
    for (pthread_key_t key = 0; key < 8; key++)
        pthread_setspecific(key, NULL);
    churn_bytes((size_t)300 << 10);
    for (pthread_key_t key = 0; key < 8; key++)
        pthread_setspecific(key, (void *)16);
    return unused;
}

static void
case_wrong_key(void)
{
    for (int round = 0; round < 10; round++)
        pthread_join(thread_start(wrong_key, NULL), NULL);
    churn();
}

static void
case_timer_thread(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD,
                             .sigev_notify_function = expired};
    struct itimerspec times = {{0, 20000000}, {0, 20000000}};
    void *volatile block = block_new(2);
    timer_t timer;

    event.sigev_value.sival_ptr = block;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &times, NULL) == 0);
    for (double end = seconds() + 60;
         atomic_load(&expirations) < 10 && seconds() < end;)
        churn_bytes((size_t)1 << 20);
    CHECK(atomic_load(&expirations) >= 10);
    timer_delete(timer);
    usleep(100000);
    block_check(block, 2);
}

/* Threads that libc makes account for what they use, and no more. */
static void
expired_briefly(union sigval value)
{
    void *volatile block = malloc(100);

    (void)value;
    free(block);
    atomic_fetch_add(&expirations, 1);
}

static void
case_timer_account(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD,
                             .sigev_notify_function = expired_briefly};
    struct itimerspec times = {{0, 500000}, {0, 500000}};
    size_t before = mallinfo2().arena;
    timer_t timer;

    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &times, NULL) == 0);
    for (double end = seconds() + 60;
         atomic_load(&expirations) < 200 && seconds() < end;)
        usleep(10000);
    CHECK(atomic_load(&expirations) >= 200);
    timer_delete(timer);
    CHECK(mallinfo2().arena < before + ((size_t)4 << 20));
}

static void *
cancelled(void *unused)
{
    for (;;) {
        churn_bytes((size_t)100 << 10);
        pthread_testcancel();
    }
    return unused;
}

static void *
cancelled_asleep(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static void
case_cancel(void)
{
    for (int round = 0; round < 10; round++) {
        pthread_t one = thread_start(cancelled, NULL);
        pthread_t two = thread_start(cancelled_asleep, NULL);
        void *value;

        churn_bytes((size_t)1 << 20);
        pthread_cancel(one);
        pthread_cancel(two);
        pthread_join(one, &value);
        CHECK(value == PTHREAD_CANCELED);
        pthread_join(two, &value);
        CHECK(value == PTHREAD_CANCELED);
    }
}

/* --- Signals ----------------------------------------------------------- */

static void *
block_all_and_wait(void *unused)
{
    sigset_t all;
    int number = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    sem_post(&filled);
    CHECK(sigwait(&all, &number) == 0);
    CHECK(number == SIGUSR2);
    return unused;
}

static void *
block_all_and_poll(void *unused)
{
    struct timespec time = {.tv_sec = 1};
    sigset_t all;
    double begin = seconds();

    sigfillset(&all);
    sem_post(&filled);
    CHECK(ppoll(NULL, 0, &time, &all) == 0);
    CHECK(seconds() - begin > 0.95 && seconds() - begin < 3);
    return unused;
}

static void
case_full_masks(void)
{
    double begin = seconds();
    pthread_t one, two;

    sem_init(&filled, 0, 0);
    one = thread_start(block_all_and_wait, NULL);
    two = thread_start(block_all_and_poll, NULL);
    while (sem_wait(&filled) != 0)
        ;
    while (sem_wait(&filled) != 0)
        ;
    churn();
    pthread_kill(one, SIGUSR2);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    CHECK(seconds() - begin < 12);
}

static void
slow_handler(int number)
{
    double end = seconds() + 0.2;

    (void)number;
    while (seconds() < end)
        ;
}

static void *
handle_with_full_mask(void *unused)
{
    struct sigaction action = {.sa_handler = slow_handler}, before;

    sigfillset(&action.sa_mask);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(sigaction(SIGUSR1, NULL, &before) == 0);
    CHECK(before.sa_handler == slow_handler);
    for (int i = 0; i < 5; i++)
        raise(SIGUSR1);
    return unused;
}

/* Every signal may be reset, as some programs check. */
static void
case_handlers(void)
{
    pthread_t thread = thread_start(handle_with_full_mask, NULL);

    churn();
    pthread_join(thread, NULL);
    for (int number = 1; number <= SIGRTMAX; number++)
        if (number != SIGKILL && number != SIGSTOP
            && (number < 32 || number >= SIGRTMIN))
            CHECK(signal(number, SIG_DFL) != SIG_ERR);
    pthread_join(thread_start(churn_thread, NULL), NULL);
    churn();
}

static void *
sleep_a_second(void *unused)
{
    struct timespec time = {.tv_sec = 1};
    double begin = seconds();

    CHECK(nanosleep(&time, NULL) == 0);
    CHECK(seconds() - begin > 0.98 && seconds() - begin < 2);
    begin = seconds();
    CHECK(poll(NULL, 0, 1000) == 0);
    CHECK(seconds() - begin > 0.98 && seconds() - begin < 2);
    begin = seconds();
    CHECK(sleep(1) == 0);
    CHECK(seconds() - begin > 0.98 && seconds() - begin < 2);
    atomic_store(&stop_churning, true);
    return unused;
}

static void
case_eintr(void)
{
    pthread_t thread = thread_start(sleep_a_second, NULL);

    while (!atomic_load(&stop_churning))
        churn_bytes((size_t)1 << 20);
    pthread_join(thread, NULL);
}

/* Calls that end in time, whatever collections there are meanwhile. */
static void
in_time(double begin, double wanted, const char *what)
{
    double took = seconds() - begin;

    if (took < wanted - 0.02 || took > wanted + 1) {
        fprintf(stderr, "victim: %s took %.3f s, not %.3f\n", what, took,
                wanted);
        _exit(1);
    }
}

#define IN_TIME(condition)                                                    \
    do {                                                                      \
        double begin_ = seconds();                                            \
                                                                              \
        CHECK(condition);                                                     \
        in_time(begin_, 0.2, #condition);                                     \
    } while (0)

static struct timespec
clock_in(clockid_t clock, long ns)
{
    struct timespec time;

    clock_gettime(clock, &time);
    time.tv_nsec += ns;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

/* With a timeout that is longer than its nanoseconds can be counted. */
static void
wait_for_long(void)
{
    const struct itimerspec fifth = {.it_value.tv_nsec = 200000000};
    struct timeval time = {.tv_sec = 10000000000};
    int file = timerfd_create(CLOCK_MONOTONIC, 0);
    fd_set files;

    FD_ZERO(&files);
    FD_SET(file, &files);
    CHECK(timerfd_settime(file, 0, &fifth, NULL) == 0);
    IN_TIME(select(file + 1, &files, NULL, NULL, &time) == 1);
    close(file);
}

static void
wait_for_files(void)
{
    const struct timespec fifth = {.tv_nsec = 200000000};
    struct timeval time = {.tv_usec = 200000};
    struct epoll_event event;
    int epoll = epoll_create1(0);

    IN_TIME(select(0, NULL, NULL, NULL, &time) == 0);
    IN_TIME(pselect(0, NULL, NULL, NULL, &fifth, NULL) == 0);
    IN_TIME(ppoll(NULL, 0, &fifth, NULL) == 0);
    IN_TIME(epoll_wait(epoll, &event, 1, 200) == 0);
    IN_TIME(epoll_pwait(epoll, &event, 1, 200, NULL) == 0);
    wait_for_long();
}

static void
wait_for_signals(void)
{
    const struct timespec fifth = {.tv_nsec = 200000000};
    struct timespec until;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    IN_TIME(sigtimedwait(&set, NULL, &fifth) == -1 && errno == EAGAIN);
    IN_TIME(thrd_sleep(&fifth, NULL) == 0);
    IN_TIME(usleep(200000) == 0);
    until = clock_in(CLOCK_MONOTONIC, 200000000);
    IN_TIME(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)
            == 0);
    IN_TIME(clock_nanosleep(CLOCK_MONOTONIC, 0, &fifth, NULL) == 0);
}

static void
wait_for_semaphores(void)
{
    const struct timespec fifth = {.tv_nsec = 200000000};
    int set = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf take = {.sem_op = -1};
    struct timespec until;
    sem_t sem;

    sem_init(&sem, 0, 0);
    until = clock_in(CLOCK_REALTIME, 200000000);
    IN_TIME(sem_timedwait(&sem, &until) == -1 && errno == ETIMEDOUT);
    if (set != -1) {
        IN_TIME(semtimedop(set, &take, 1, &fifth) == -1 && errno == EAGAIN);
        semctl(set, 0, IPC_RMID);
    }
}

static socklen_t
listen_at(int file, struct sockaddr_un *address)
{
    socklen_t length = sizeof *address;

    /* Linux gives it a name. */
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    CHECK(bind(file, (struct sockaddr *)address, sizeof(sa_family_t)) == 0);
    CHECK(getsockname(file, (struct sockaddr *)address, &length) == 0);
    CHECK(listen(file, 0) == 0);
    return length;
}

static void
set_timeouts(int file)
{
    struct timeval time = {.tv_usec = 200000};

    CHECK(setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0);
    CHECK(setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) == 0);
}

static void
wait_for_sockets(void)
{
    static char bytes[1 << 20];
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct sockaddr_un address;
    socklen_t length;
    int pair[2], server = socket(AF_UNIX, SOCK_STREAM, 0), client[3];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    set_timeouts(pair[0]);
    IN_TIME(read(pair[0], bytes, 1) == -1 && errno == EAGAIN);
    IN_TIME(recv(pair[0], bytes, 1, 0) == -1 && errno == EAGAIN);
    IN_TIME(recvfrom(pair[0], bytes, 1, 0, NULL, NULL) == -1
            && errno == EAGAIN);
    IN_TIME(recvmsg(pair[0], &message, 0) == -1 && errno == EAGAIN);
    while (send(pair[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    IN_TIME(write(pair[0], bytes, sizeof bytes) == -1 && errno == EAGAIN);
    IN_TIME(send(pair[0], bytes, sizeof bytes, 0) == -1 && errno == EAGAIN);
    IN_TIME(sendmsg(pair[0], &message, 0) == -1 && errno == EAGAIN);
    length = listen_at(server, &address);
    set_timeouts(server);
    IN_TIME(accept(server, NULL, NULL) == -1 && errno == EAGAIN);
    for (int i = 0; i < 3; i++) {
        client[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(client[i], (struct sockaddr *)&address, length);
    }
    client[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    set_timeouts(client[0]);
    IN_TIME(connect(client[0], (struct sockaddr *)&address, length) == -1
            && errno == EAGAIN);
}

static void *
wait_for_all(void *unused)
{
    wait_for_files();
    wait_for_signals();
    wait_for_semaphores();
    wait_for_sockets();
    atomic_store(&stop_churning, true);
    return unused;
}

static void
case_waits(void)
{
    pthread_t thread = thread_start(wait_for_all, NULL);

    while (!atomic_load(&stop_churning))
        churn_bytes((size_t)1 << 20);
    pthread_join(thread, NULL);
}

/* Much is written at once, and all of it arrives, though the reader takes its
 * time. */
#define MUCH ((size_t)1 << 20)

static int to_write;
static ssize_t (*write_all)(int, const char *);

static ssize_t
by_write(int file, const char *bytes)
{
    return write(file, bytes, MUCH);
}

static ssize_t
by_writev(int file, const char *bytes)
{
    struct iovec part[3] = {{(void *)(uintptr_t)bytes, 1000},
                            {(void *)(uintptr_t)bytes, MUCH - 2000},
                            {(void *)(uintptr_t)bytes, 1000}};

    return writev(file, part, 3);
}

static ssize_t
by_send(int file, const char *bytes)
{
    return send(file, bytes, MUCH, 0);
}

static ssize_t
by_sendmsg(int file, const char *bytes)
{
    struct iovec part[2] = {{(void *)(uintptr_t)bytes, 1000},
                            {(void *)(uintptr_t)bytes, MUCH - 1000}};
    struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};

    return sendmsg(file, &message, 0);
}

static void *
write_much(void *unused)
{
    char *bytes = calloc(1, MUCH);

    CHECK(write_all(to_write, bytes) == (ssize_t)MUCH);
    free(bytes);
    close(to_write);
    return unused;
}

static void
read_slowly(int from, int to, ssize_t (*how)(int, const char *))
{
    char some[8192];
    size_t total = 0;
    pthread_t thread;
    ssize_t got;

    to_write = to;
    write_all = how;
    thread = thread_start(write_much, NULL);
    while ((got = read(from, some, sizeof some)) > 0) {
        total += (size_t)got;
        churn_bytes((size_t)40 << 10);
    }
    CHECK(got == 0 && total == MUCH);
    pthread_join(thread, NULL);
    close(from);
}

static void
case_transfers(void)
{
    ssize_t (*const how[])(int, const char *) = {by_write, by_writev, by_send,
                                                 by_sendmsg};
    int file[2];

    for (int i = 0; i < 4; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, file) == 0);
        read_slowly(file[0], file[1], how[i]);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(pipe(file) == 0);
        read_slowly(file[0], file[1], how[i]);
    }
}

/* All of it, or nothing: given in parts. */
static void *
give_in_parts(void *unused)
{
    static char part[1000];

    for (int i = 0; i < 100; i++) {
        CHECK(send(to_write, part, sizeof part, 0) == sizeof part);
        churn_bytes((size_t)300 << 10);
    }
    return unused;
}

static void
case_wait_for_all(void)
{
    static char bytes[100000];
    pthread_t thread;
    int file[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, file) == 0);
    to_write = file[1];
    thread = thread_start(give_in_parts, NULL);
    CHECK(recv(file[0], bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes);
    pthread_join(thread, NULL);
}

static void
nothing(int number)
{
    (void)number;
}

static void *
be_interrupted(void *unused)
{
    double begin = seconds();

    sem_post(&filled);
    CHECK(sleep(10) > 0);
    CHECK(seconds() - begin < 9);
    return unused;
}

/* A signal of the program's own does end a call. */
static void
case_own_eintr(void)
{
    struct sigaction action = {.sa_handler = nothing};
    pthread_t thread;

    sem_init(&filled, 0, 0);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    thread = thread_start(be_interrupted, NULL);
    while (sem_wait(&filled) != 0)
        ;
    churn();
    usleep(100000);
    pthread_kill(thread, SIGUSR1);
    churn();
    pthread_join(thread, NULL);
}

/* --- Processes --------------------------------------------------------- */

static void
child_ends_well(pid_t child)
{
    int status;

    CHECK(child > 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *
churn_until_told(void *unused)
{
    while (!atomic_load(&stop_churning))
        churn_bytes((size_t)1 << 20);
    return unused;
}

static void
case_fork(void)
{
    pthread_t thread = thread_start(churn_until_told, NULL);

    fill(static_slots);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();

        if (child == 0) {
            fill(tls_slots);
            churn();
            look(static_slots);
            look(tls_slots);
            pthread_join(thread_start(short_life, NULL), NULL);
            _exit(0);
        }
        child_ends_well(child);
    }
    atomic_store(&stop_churning, true);
    pthread_join(thread, NULL);
    look(static_slots);
}

/* A thread that makes a child is asleep until that runs a program. */
static NOINLINE void
vfork_for(int ms)
{
    pid_t child = vfork();

    if (child == 0) {
        struct pollfd none = {.fd = -1};

        free(malloc(100));
        poll(&none, 1, ms);
        execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
        _exit(127);
    }
    child_ends_well(child);
}

static void
vfork_slowly(void)
{
    vfork_for(0);
    vfork_for(1500);
}

static void *
hold_and_vfork(void *unused)
{
    on_stack_slots(vfork_slowly);
    atomic_store(&stop_churning, true);
    return unused;
}

/* Meanwhile others go on at full speed. */
static void
case_vfork(void)
{
    pthread_t thread = thread_start(hold_and_vfork, NULL);
    double worst = 0;
    int rounds = 0;

    fill(static_slots);
    for (; !atomic_load(&stop_churning); rounds++) {
        double begin = seconds();

        churn_bytes((size_t)256 << 10);
        if (seconds() - begin > worst)
            worst = seconds() - begin;
    }
    pthread_join(thread, NULL);
    churn();
    look(static_slots);
    CHECK(rounds > 40);
    CHECK(worst < 0.9);
}

static void
run_programs(void)
{
    for (int i = 0; i < 20; i++) {
        char *arguments_of[] = {"sh", "-c", "exit 0", NULL};
        char line[16] = "";
        pid_t child;
        FILE *file;

        CHECK(system("exit 3") == 3 << 8);
        CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments_of,
                          environ)
              == 0);
        child_ends_well(child);
        CHECK(posix_spawnp(&child, "sh", NULL, NULL, arguments_of, environ)
              == 0);
        child_ends_well(child);
        CHECK(posix_spawn(&child, "/missing", NULL, NULL, arguments_of,
                          environ)
              == ENOENT);
        file = popen("echo text", "r");
        CHECK(file != NULL && fgets(line, sizeof line, file) == line);
        CHECK(strcmp(line, "text\n") == 0 && pclose(file) == 0);
    }
}

static void *
hold_and_run(void *unused)
{
    on_stack_slots(run_programs);
    atomic_store(&stop_churning, true);
    return unused;
}

static void
case_programs(void)
{
    pthread_t thread = thread_start(hold_and_run, NULL);

    while (!atomic_load(&stop_churning))
        churn_bytes((size_t)1 << 20);
    pthread_join(thread, NULL);
}

/* A thread that waits for a program is cancelled, or leaves by a jump, and
 * goes on with memory of its own. */
static sigjmp_buf out_of_system;

static void
jump_out(int number)
{
    siglongjmp(out_of_system, number);
}

static void
use_after_system(void *unused)
{
    (void)unused;
    fill(tls_slots);
    churn();
    look(tls_slots);
}

static void *
cancelled_in_system(void *unused)
{
    pthread_cleanup_push(use_after_system, NULL);
    system("exec sleep 20");
    pthread_cleanup_pop(0);
    return unused;
}

static void
case_system_left(void)
{
    struct sigaction action = {.sa_handler = jump_out};
    pthread_t thread = thread_start(cancelled_in_system, NULL);
    double begin = seconds();
    void *value;

    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    if (sigsetjmp(out_of_system, 1) == 0) {
        ualarm(300000, 0);
        system("exec sleep 20");
        fail("nothing came");
    }
    use_after_system(NULL);
    pthread_cancel(thread);
    churn();
    pthread_join(thread, &value);
    CHECK(value == PTHREAD_CANCELED);
    CHECK(seconds() - begin < 15);
}

/* Nothing says that this one sleeps, and no signal wakes it. */
static int
sleep_as_child(void *ms)
{
    struct pollfd none = {.fd = -1};

    poll(&none, 1, (int)(intptr_t)ms);
    _exit(0);
}

static void *
stuck_for(void *ms)
{
    static _Alignas(16) char stack[65536];

    child_ends_well(clone(sleep_as_child, stack + sizeof stack,
                          CLONE_VM | CLONE_VFORK | SIGCHLD, ms));
    atomic_store(&stop_churning, true);
    return NULL;
}

static void
churn_while_stuck(int ms)
{
    pthread_t thread = thread_start(stuck_for, (void *)(intptr_t)ms);

    fill(static_slots);
    while (!atomic_load(&stop_churning)) {
        churn_bytes((size_t)128 << 10);
        usleep(5000); /* nothing comes back meanwhile */
    }
    pthread_join(thread, NULL);
    look(static_slots);
}

/* A collection or two are for nothing, and those after them are not. */
static void
case_stuck(void)
{
    churn_while_stuck(500);
    for (double end = seconds() + 2; seconds() < end;)
        churn();
    case_leak();
    look(static_slots);
}

static void
case_stuck_long(void)
{
    churn_while_stuck(6000);
}

/* --- Leaks ------------------------------------------------------------- */

static void
case_errors(void)
{
    volatile size_t huge = SIZE_MAX;
    void *block = NULL;

    errno = 0;
    CHECK(malloc(huge) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(calloc(huge / 2, 4) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(reallocarray(NULL, huge / 2, 4) == NULL && errno == ENOMEM);
    errno = 5;
    CHECK(posix_memalign(&block, 3, 10) == EINVAL && errno == 5);
    CHECK(posix_memalign(&block, 64, huge - 4096) == ENOMEM && errno == 5);
    block = malloc(0);
    CHECK(block != NULL);
    errno = 5;
    free(block);
    CHECK(errno == 5);
    CHECK(realloc(malloc(10), 0) == NULL);
    CHECK(malloc_usable_size(NULL) == 0);
    churn();
    CHECK(mallinfo2().arena != 0);
    CHECK(mallopt(M_MMAP_MAX, 0) == 1);
    block = strdup("text");
    CHECK(malloc_usable_size(block) >= 5);
    free(block);
}

/* --- Faults and ends: what check_arena_run.sh looks at ------------------ */

static void *volatile faulty;

static void
case_free_inside(void)
{
    faulty = malloc(100);
    free((char *)faulty + 16);
}

/* Once more is not once too often. */
static void
case_free_twice(void)
{
    faulty = malloc(100);
    free(faulty);
    free(faulty);
    churn();
}

static void
case_free_large_twice(void)
{
    faulty = malloc(1 << 20);
    free(faulty);
    free(faulty);
}

static void
case_realloc_inside(void)
{
    faulty = malloc(100);
    faulty = realloc((char *)faulty + 16, 200);
}

static void
case_free_static(void)
{
    static char bytes[64];

    faulty = bytes + 16;
    free(faulty);
}

static void
case_bad_sizes(void)
{
    volatile size_t huge = SIZE_MAX - 100, three = 3;
    void *block;

    CHECK(malloc(huge) == NULL);
    CHECK(calloc(huge, 10) == NULL);
    CHECK(posix_memalign(&block, three, 10) == EINVAL);
}

static void
leave_by_exit_(void)
{
    _exit(7);
}

static void
leave_by_Exit(void)
{
    _Exit(7);
}

static void
leave_by_quick_exit(void)
{
    quick_exit(7);
}

static void
leave_in_handler(int number)
{
    _exit(number == SIGUSR1 ? 7 : 1);
}

static void
case_leave_handler(void)
{
    signal(SIGUSR1, leave_in_handler);
    raise(SIGUSR1);
}

static void
case_leave_vfork(void)
{
    vfork_for(0);
    _exit(7);
}

static void
case_leave_exec(void)
{
    execl("/bin/echo", "echo", "after", (char *)NULL);
}

/* Children, by all ways there are, and how they end. */
static void
case_fork_ways(void)
{
    pid_t child = fork();

    if (child == 0) {
        churn();
        exit(0);
    }
    child_ends_well(child);
    child = fork();
    if (child == 0) {
        churn();
        _exit(0);
    }
    child_ends_well(child);
}

/* Without the handlers of pthread_atfork: one thread, and malloc works as it
 * does with libc. */
/* Threads that allocate and free when they are about to end. */
static pthread_key_t last_key;

static void
end_late(void *block)
{
    free(block);
    free(malloc(100));
}

static void *
end_thread(void *unused)
{
    pthread_setspecific(last_key, malloc(50000));
    return unused;
}

static void
case_thread_ends(void)
{
    size_t before;

    CHECK(pthread_key_create(&last_key, end_late) == 0);
    for (int i = 0; i < 10; i++)
        CHECK(pthread_join(thread_start(end_thread, NULL), NULL) == 0);
    before = mallinfo2().arena;
    for (int i = 0; i < 200; i++)
        CHECK(pthread_join(thread_start(end_thread, NULL), NULL) == 0);
    CHECK(mallinfo2().arena < before + (1 << 20));
}

/* Close what is open, and have all numbers for one file of its own. */
static void
case_own_files(void)
{
    int file;

    for (file = 3; file < 256; file++)
        close(file);
    file = open(module_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    CHECK(file == 3);
    while (file < 200)
        file = dup(file);
}

static void
case_fork_bare(void)
{
    fill(static_slots);
    for (int i = 0; i < 4; i++) {
        pid_t child = i % 2 == 0 ? _Fork() : (pid_t)syscall(SYS_clone,
                                                            SIGCHLD, 0, 0, 0,
                                                            0);

        if (child == 0) {
            look(static_slots);
            for (unsigned j = 0; j < SLOTS; j++)
                free(static_slots[j]);
            churn();
            fill(tls_slots);
            churn();
            look(tls_slots);
            _exit(0);
        }
        child_ends_well(child);
    }
    churn();
    look(static_slots);
}

/* From a thread, while others ask for much: soon done. */
static void *
fork_often(void *unused)
{
    for (int i = 0; i < 20; i++) {
        double begin = seconds();
        pid_t child = fork();

        if (child == 0) {
            fill(tls_slots);
            churn_bytes((size_t)1 << 20);
            look(tls_slots);
            _exit(0);
        }
        CHECK(seconds() - begin < 2);
        child_ends_well(child);
    }
    atomic_store(&stop_churning, true);
    return unused;
}

static void
case_fork_thread(void)
{
    pthread_t forker = thread_start(fork_often, NULL), other[3];

    for (int i = 0; i < 3; i++)
        other[i] = thread_start(churn_until_told, NULL);
    pthread_join(forker, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(other[i], NULL);
}

/* More threads than there are processors, by far; some end at any time. */
static void *
live_and_end(void *left)
{
    fill(tls_slots);
    churn_bytes((size_t)600 << 10);
    look(tls_slots);
    if (left != NULL)
        pthread_join(thread_start(live_and_end, (char *)left - 1), NULL);
    look(tls_slots);
    return NULL;
}

static void
case_many_threads(void)
{
    pthread_t thread[64];

    for (int i = 0; i < 64; i++)
        thread[i] = thread_start(live_and_end, (void *)(uintptr_t)3);
    for (int i = 0; i < 64; i++)
        pthread_join(thread[i], NULL);
}

static void
case_daemon(void)
{
    int done[2];
    char byte = 0;
    pid_t child;

    CHECK(pipe(done) == 0);
    child = fork();
    if (child == 0) {
        CHECK(daemon(1, 1) == 0);
        fill(tls_slots);
        pthread_join(thread_start(churn_thread, NULL), NULL);
        churn();
        look(tls_slots);
        CHECK(write(done[1], "x", 1) == 1);
        exit(0);
    }
    child_ends_well(child);
    CHECK(read(done[0], &byte, 1) == 1 && byte == 'x');
}

/* --- Main -------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"static", case_static},
    {"tls", case_tls},
    {"tls_thread", case_tls_thread},
    {"tls_module", case_tls_module},
    {"short_threads", case_short_threads},
    {"deepbind", case_deepbind},
    {"loader_lock", case_loader_lock},
    {"specific", case_specific},
    {"mmap", case_mmap},
    {"mmap_often", case_mmap_often},
    {"mmap_shared", case_mmap_shared},
    {"mmap_protected", case_mmap_protected},
    {"mmap_zero", case_mmap_zero},
    {"past_end", case_past_end},
    {"sbrk", case_sbrk},
    {"argv", case_argv},
    {"environ", case_environ},
    {"epoll", case_epoll},
    {"epoll_many", case_epoll_many},
    {"timer", case_timer},
    {"timer_leak", case_timer_leak},
    {"sigqueue", case_sigqueue},
    {"sigqueue_often", case_sigqueue_often},
    {"sigqueue_files", case_sigqueue_files},
    {"mqueue", case_mqueue},
    {"aligned", case_aligned},
    {"coroutine", case_coroutine},
    {"coroutine_collects", case_coroutine_collects},
    {"coroutine_stopped", case_coroutine_stopped},
    {"coroutine_thread", case_coroutine_thread},
    {"coroutine_small", case_coroutine_small},
    {"deep_stack", case_deep_stack},
    {"sigaltstack", case_sigaltstack},
    {"sigaltstack_block", case_sigaltstack_block},
    {"exit_value", case_exit_value},
    {"destructors", case_destructors},
    {"wrong_key", case_wrong_key},
    {"timer_thread", case_timer_thread},
    {"timer_account", case_timer_account},
    {"cancel", case_cancel},
    {"full_masks", case_full_masks},
    {"handlers", case_handlers},
    {"eintr", case_eintr},
    {"waits", case_waits},
    {"transfers", case_transfers},
    {"wait_for_all", case_wait_for_all},
    {"own_eintr", case_own_eintr},
    {"fork", case_fork},
    {"vfork", case_vfork},
    {"programs", case_programs},
    {"system_left", case_system_left},
    {"stuck", case_stuck},
    {"stuck_long", case_stuck_long},
    {"leak", case_leak},
    {"errors", case_errors},
    {"thread_ends", case_thread_ends},
    {"own_files", case_own_files},
    {"fork_bare", case_fork_bare},
    {"fork_ways", case_fork_ways},
    {"daemon", case_daemon},
    {"fork_thread", case_fork_thread},
    {"many_threads", case_many_threads},
    {"free_inside", case_free_inside},
    {"free_twice", case_free_twice},
    {"free_large_twice", case_free_large_twice},
    {"free_static", case_free_static},
    {"realloc_inside", case_realloc_inside},
    {"bad_sizes", case_bad_sizes},
    {"leave_exit_", leave_by_exit_},
    {"leave_Exit", leave_by_Exit},
    {"leave_quick_exit", leave_by_quick_exit},
    {"leave_abort", abort},
    {"leave_handler", case_leave_handler},
    {"leave_vfork", case_leave_vfork},
    {"leave_exec", case_leave_exec},
};

int
main(int argc, char **argv)
{
    if (argc < 2)
        fail("no case");
    module_path = argc > 2 ? argv[2] : NULL;
    arguments = argv;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            return 0;
        }
    fail("no such case");
    return 1;
}
