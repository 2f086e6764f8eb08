/*
 * legacy.c: libc's other allocating functions, and thread creation, for
 * programs that are only compiled again (arena/malloc.h, arena/threads.h).
 * open_memstream is in memstream.c.
 *
 * Three cases.  A function whose result the program frees allocates from us
 * here, so that what is forgotten is collected.  One that reallocates or
 * frees what the program allocated must be here: libc would do it to our
 * block.  All others are left to libc, since arena_free and arena_realloc
 * know its memory: scanf's %m, open_wmemstream, backtrace_symbols.
 *
 * Where libc's function does the work its result is copied and freed at once,
 * by the free that belongs to the malloc that libc uses.
 */

#include "config.h"

#include <argz.h>
#include <dlfcn.h>
#include <envz.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../include/arena/heap.h"
#include "legacy.h"

/* What glibc's headers declare under _FORTIFY_SOURCE only. */
int __vsnprintf_chk(char *text, size_t size, int flag, size_t room,
                    const char *format, va_list args);
char *__realpath_chk(const char *path, char *resolved, size_t room);
char *__getcwd_chk(char *buffer, size_t size, size_t room);

/* --- Copies of what libc made --- */

/* Move a block of libc's into one of ours with room for size bytes, of which
 * the first used ones are copied.  The block is freed in any case. */
static void *
legacy_take(void *block, size_t used, size_t size)
{
    void *copy = NULL;

    if (block != NULL) {
        copy = arena_malloc(size);
        if (copy != NULL)
            memcpy(copy, block, used);
        free(block);
    }
    return copy;
}

static char *
legacy_take_string(char *text)
{
    size_t size = text == NULL ? 0 : strlen(text) + 1;

    return legacy_take(text, size, size);
}

/* --- Threads --- */

/*
 * What a new thread is told.  Until it is attached and holds arg itself, the
 * collector looks for the pointer here: the creator may drop its own, and
 * the stack of a thread that is not attached is not searched.
 */
struct start {
    void *arg; /* a root */
    union {
        void *(*posix)(void *);
        thrd_start_t c11;
    } routine;
};

/* Returns NULL when there is no memory. */
static struct start *
start_new(void *arg)
{
    struct start *start = malloc(sizeof *start);

    if (start == NULL)
        return NULL;
    start->arg = arg;
    /* Where no collector can run, nothing needs to be kept. */
    if (arena_add_roots(&start->arg, &start->arg + 1) != 0
        && errno == ENOMEM) {
        free(start);
        return NULL;
    }
    return start;
}

static void
start_free(struct start *start)
{
    arena_remove_roots(&start->arg, &start->arg + 1);
    free(start);
}

/* Take over, on the new thread.  If it cannot be attached nobody will see
 * what it holds, and so the root stays. */
static struct start
start_take(struct start *start)
{
    struct start taken = *start;

    if (arena_thread_attach() == 0)
        start_free(start);
    errno = 0;
    return taken;
}

static void *
start_posix(void *arg)
{
    struct start start = start_take(arg);

    return start.routine.posix(start.arg);
}

static int
start_c11(void *arg)
{
    struct start start = start_take(arg);

    return start.routine.c11(start.arg);
}

int
arena_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                     void *(*routine)(void *), void *arg)
{
    int saved = errno, error = EAGAIN;
    struct start *start = start_new(arg);

    if (start != NULL) {
        start->routine.posix = routine;
        error = pthread_create(thread, attr, start_posix, start);
        if (error != 0)
            start_free(start);
    }
    errno = saved;
    return error;
}

int
arena_legacy_thrd_create(thrd_t *thread, thrd_start_t routine, void *arg)
{
    int saved = errno, result = thrd_nomem;
    struct start *start = start_new(arg);

    if (start != NULL) {
        start->routine.c11 = routine;
        result = thrd_create(thread, start_c11, start);
        if (result != thrd_success)
            start_free(start);
    }
    errno = saved;
    return result;
}

/* --- Blocks --- */

/* Not renamed to heap.h's names at once: a program may have an arena_malloc
 * and an arena_free itself, and its free must not end there.  For the same
 * reason the shared library is to be linked so that these calls stay in it. */
#define LEGACY_HEAP(type, name, target, parameters, arguments)                \
    type arena_legacy_##name parameters                                       \
    {                                                                         \
        return target arguments;                                              \
    }

LEGACY_HEAP(void *, malloc, arena_malloc, (size_t size), (size))
LEGACY_HEAP(void *, calloc, arena_calloc, (size_t count, size_t size),
            (count, size))
LEGACY_HEAP(void *, realloc, arena_realloc, (void *block, size_t size),
            (block, size))
LEGACY_HEAP(void *, reallocarray, arena_reallocarray,
            (void *block, size_t count, size_t size), (block, count, size))
LEGACY_HEAP(void *, aligned_alloc, arena_aligned_alloc,
            (size_t align, size_t size), (align, size))
LEGACY_HEAP(int, posix_memalign, arena_posix_memalign,
            (void **out, size_t align, size_t size), (out, align, size))
LEGACY_HEAP(size_t, malloc_usable_size, arena_usable_size, (void *block),
            (block))

/* A pointer into an arena is nothing to free, and no fault. */
void
arena_legacy_free(void *block)
{
    int saved = errno;

    arena_free(block);
    errno = saved;
}

void
arena_legacy_ignore(void *block)
{
    (void)block;
}

/* What is no block of a size that is known is arena_realloc's to judge. */
void *
arena_legacy_realloc_keep(void *block, size_t size)
{
    size_t room = arena_usable_size(block);
    void *moved;

    if (room == 0)
        return arena_realloc(block, size);
    if (size == 0)
        return NULL;
    if (size <= room)
        return block;
    moved = arena_malloc(size);
    return moved == NULL ? NULL : memcpy(moved, block, room);
}

void *
arena_legacy_reallocarray_keep(void *block, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX; /* refused */
    return arena_legacy_realloc_keep(block, bytes);
}

/* As in glibc an alignment that is no power of two is rounded up to one, and
 * it is no error to ask for less than malloc gives. */
void *
arena_legacy_memalign(size_t align, size_t size)
{
    size_t power = ARENA_GRANULE;

    while (power < align && power <= SIZE_MAX / 2)
        power *= 2;
    if (power < align) {
        errno = EINVAL;
        return NULL;
    }
    return arena_aligned_alloc(power, size);
}

void *
arena_legacy_valloc(size_t size)
{
    return arena_aligned_alloc((size_t)sysconf(_SC_PAGESIZE), size);
}

/* As valloc, of whole pages. */
void *
arena_legacy_pvalloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (size > SIZE_MAX - page) {
        errno = ENOMEM;
        return NULL;
    }
    return arena_aligned_alloc(page, arenap_round_up(size, page));
}

/* --- Strings --- */

char *
arena_legacy_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = arena_malloc(size);

    return copy == NULL ? NULL : memcpy(copy, s, size);
}

char *
arena_legacy_strndup(const char *s, size_t n)
{
    size_t length = strnlen(s, n);
    char *copy = arena_malloc(length + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, s, length);
    copy[length] = '\0';
    return copy;
}

wchar_t *
arena_legacy_wcsdup(const wchar_t *s)
{
    size_t size = (wcslen(s) + 1) * sizeof *s;
    wchar_t *copy = arena_malloc(size);

    return copy == NULL ? NULL : memcpy(copy, s, size);
}

/* As vsnprintf, or what it is called with _FORTIFY_SOURCE: that one ends the
 * program for a %n in memory that can be written to. */
ARENA_ATTR_FORMAT(4, 0)
static int
print_into(char *text, size_t size, int flag, const char *format,
           va_list args)
{
    if (flag > 0)
        return __vsnprintf_chk(text, size, flag, size, format, args);
    return vsnprintf(text, size, format, args);
}

/* Most texts fit into the first buffer; others are printed twice, since their
 * length is known only then. */
ARENA_ATTR_FORMAT(3, 0)
static int
print_new(char **out, int flag, const char *format, va_list args)
{
    char first[256];
    va_list again;
    int length;

    *out = NULL;
    va_copy(again, args);
    length = print_into(first, sizeof first, flag, format, args);
    if (length >= 0) {
        size_t size = (size_t)length + 1;

        *out = arena_malloc(size);
        if (*out == NULL)
            length = -1;
        else if (size <= sizeof first)
            memcpy(*out, first, size);
        else
            length = print_into(*out, size, flag, format, again);
    }
    va_end(again);
    if (length < 0) {
        arena_free(*out);
        *out = NULL;
    }
    return length;
}

int
arena_legacy_vasprintf(char **out, const char *format, va_list args)
{
    return print_new(out, 0, format, args);
}

int
arena_legacy_vasprintf_chk(char **out, int flag, const char *format,
                           va_list args)
{
    return print_new(out, flag, format, args);
}

int
arena_legacy_asprintf(char **out, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = print_new(out, 0, format, args);
    va_end(args);
    return length;
}

int
arena_legacy_asprintf_chk(char **out, int flag, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = print_new(out, flag, format, args);
    va_end(args);
    return length;
}

/* --- Lines --- */

/* libc's getline grows the line by its own realloc, which must not see a
 * block of ours.  So the line is read here, a character at a time: those of
 * libc that find its end faster are not to be had from outside. */

#define LINE_FIRST 120

/* Make room for need bytes in a line that may be ours, libc's or NULL.  It
 * doubles, so that a long line is copied a few times only. */
static bool
line_grow(char **line, size_t *size, size_t need)
{
    size_t wish = *size <= SSIZE_MAX / 2 ? 2 * *size : SSIZE_MAX;
    char *wider;

    if (need <= *size)
        return true;
    if (need > SSIZE_MAX) {
        errno = EOVERFLOW;
        return false;
    }
    wish = wish < LINE_FIRST ? LINE_FIRST : wish;
    wider = arena_realloc(*line, wish < need ? need : wish);
    if (wider == NULL)
        return false;
    *size = wish < need ? need : wish;
    *line = wider;
    return true;
}

/* With the stream locked.  *line and *size agree at every moment, since the
 * thread may be cancelled while it reads. */
static ssize_t
line_read(char **line, size_t *size, int delimiter, FILE *stream)
{
    size_t length = 0;
    int c;

    if (*line == NULL)
        *size = 0;
    if (!line_grow(line, size, 1))
        return -1;
    do {
        c = getc_unlocked(stream);
        if (c == EOF)
            break;
        if (!line_grow(line, size, length + 2)) /* c and the end */
            return -1;
        (*line)[length++] = (char)c;
    } while (c != delimiter);
    if (length == 0)
        return -1;
    (*line)[length] = '\0';
    return (ssize_t)length;
}

/* A thread that is cancelled in here must not leave the stream locked. */
static void
line_unlock(void *stream)
{
    funlockfile(stream);
}

static ssize_t
line_get(char **line, size_t *size, int delimiter, FILE *stream)
{
    ssize_t length;

    if (line == NULL || size == NULL) {
        errno = EINVAL;
        return -1;
    }
    flockfile(stream);
    pthread_cleanup_push(line_unlock, stream);
    length = line_read(line, size, delimiter, stream);
    pthread_cleanup_pop(1);
    return length;
}

ssize_t
arena_legacy_getdelim(char **line, size_t *size, int delimiter, FILE *stream)
{
    return line_get(line, size, delimiter, stream);
}

/*
 * Old programs have a getline(text, limit) of their own.  gcc renames its
 * callers, but not a definition that no declaration comes before: then the
 * call arrives here, and is passed on, its two arguments where they were.
 */
typedef ssize_t own_getline(char **text, size_t *limit, FILE *unused);

static struct {
    pthread_once_t once;
    own_getline *function; /* NULL: the program has none */
} own_line = {PTHREAD_ONCE_INIT, NULL};

/* One of the program itself: another library's is as libc's. */
static void
own_line_find(void)
{
    void *first = dlsym(RTLD_DEFAULT, "getline");
    Dl_info program, owner;

    if (first != NULL && dladdr(first, &owner) != 0
        && dladdr((const void *)getauxval(AT_ENTRY), &program) != 0
        && owner.dli_fbase == program.dli_fbase
        && dlsym(RTLD_NEXT, "getline") != first)
        memcpy(&own_line.function, &first, sizeof first);
}

ssize_t
arena_legacy_getline(char **line, size_t *size, FILE *stream)
{
    pthread_once(&own_line.once, own_line_find);
    if (own_line.function != NULL)
        return own_line.function(line, size, stream);
    return line_get(line, size, '\n', stream);
}

/* --- Names of files --- */

/* These allocate only when they are given no buffer. */

char *
arena_legacy_realpath(const char *path, char *resolved)
{
    char *result = realpath(path, resolved);

    return resolved == NULL ? legacy_take_string(result) : result;
}

char *
arena_legacy_realpath_chk(const char *path, char *resolved, size_t room)
{
    if (resolved == NULL)
        return legacy_take_string(realpath(path, NULL));
    return __realpath_chk(path, resolved, room);
}

char *
arena_legacy_canonicalize_file_name(const char *path)
{
    return legacy_take_string(realpath(path, NULL));
}

/* As getcwd(NULL, size): a block of size bytes, or of what it takes. */
static char *
path_getcwd(size_t size)
{
    char *path = getcwd(NULL, size);
    size_t used = path == NULL ? 0 : strlen(path) + 1;

    return legacy_take(path, used, size == 0 ? used : size);
}

char *
arena_legacy_getcwd(char *buffer, size_t size)
{
    return buffer == NULL ? path_getcwd(size) : getcwd(buffer, size);
}

char *
arena_legacy_getcwd_chk(char *buffer, size_t size, size_t room)
{
    if (buffer == NULL)
        return path_getcwd(size);
    return __getcwd_chk(buffer, size, room);
}

char *
arena_legacy_get_current_dir_name(void)
{
    return legacy_take_string(get_current_dir_name());
}

/* Could a temporary file be there? */
static bool
path_is_dir(const char *path)
{
    struct stat status;

    return path != NULL && stat(path, &status) == 0
           && S_ISDIR(status.st_mode);
}

/* Put other letters in the place of the last six. */
static bool
path_vary(char *path)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char *end = path + strlen(path);
    uint64_t bits;

    if (getrandom(&bits, sizeof bits, 0) != sizeof bits)
        return false;
    for (int i = 1; i <= 6; i++) {
        end[-i] = letters[bits % (sizeof letters - 1)];
        bits /= sizeof letters - 1;
    }
    return true;
}

/* Not by libc's: the linker warns everybody who refers to that.  A name that
 * nothing has when it is looked up is all that can be promised. */
char *
arena_legacy_tempnam(const char *dir, const char *prefix)
{
    const char *places[] = {secure_getenv("TMPDIR"), dir, P_tmpdir, "/tmp"};
    size_t place = 0, size;
    struct stat status;
    char *path;

    while (!path_is_dir(places[place]))
        if (++place == sizeof places / sizeof *places)
            return NULL;
    size = strlen(places[place]) + sizeof "/abcdeXXXXXX";
    path = arena_malloc(size);
    if (path == NULL)
        return NULL;
    snprintf(path, size, "%s/%.5sXXXXXX", places[place],
             prefix != NULL ? prefix : "file");
    while (path_vary(path))
        if (lstat(path, &status) != 0 && errno == ENOENT)
            return path;
    arena_free(path);
    return NULL;
}

/* --- Directories --- */

/* libc calls the program's functions on entries of its own; what is chosen is
 * then moved.  Programs free each entry, and the list, or forget them. */

static size_t
entry_size(const void *entry)
{
    return ((const struct dirent *)entry)->d_reclen;
}

static size_t
entry_size64(const void *entry)
{
    return ((const struct dirent64 *)entry)->d_reclen;
}

/* Move entries of libc's into blocks of ours.  After the first failure the
 * others are freed and not tried: when the budget is short each try takes its
 * time.  to is zero-filled. */
static bool
entries_take(void **from, void **to, size_t length,
             size_t (*size_of)(const void *))
{
    bool complete = true;

    for (size_t i = 0; i < length; i++) {
        size_t size = size_of(from[i]);

        if (complete)
            to[i] = legacy_take(from[i], size, size);
        else
            free(from[i]);
        complete = complete && to[i] != NULL;
    }
    for (size_t i = 0; !complete && i < length; i++)
        arena_free(to[i]);
    return complete;
}

/* Move what scandir gave, count entries or a failure, into blocks of ours.
 * Returns count; or -1 with everything freed. */
static int
list_take(void ***list, int count, size_t (*size_of)(const void *))
{
    size_t length = count > 0 ? (size_t)count : 0;
    void **from = *list, **to;

    if (count < 0)
        return count;
    to = arena_calloc(length, sizeof *to);
    if (to == NULL) {
        for (size_t i = 0; i < length; i++)
            free(from[i]);
        count = -1;
    } else if (!entries_take(from, to, length, size_of)) {
        arena_free(to);
        count = -1;
    } else {
        *list = to;
    }
    free(from);
    return count;
}

int
arena_legacy_scandir(const char *path, struct dirent ***list,
                     int (*filter)(const struct dirent *),
                     int (*compare)(const struct dirent **,
                                    const struct dirent **))
{
    int count = scandir(path, list, filter, compare);

    return list_take((void ***)list, count, entry_size);
}

int
arena_legacy_scandir64(const char *path, struct dirent64 ***list,
                       int (*filter)(const struct dirent64 *),
                       int (*compare)(const struct dirent64 **,
                                      const struct dirent64 **))
{
    int count = scandir64(path, list, filter, compare);

    return list_take((void ***)list, count, entry_size64);
}

/* --- Patterns --- */

/* A part of a pattern that libc is about to free or grow: free it here if it
 * is ours.  Returns whether it was. */
static bool
pattern_drop(void *part)
{
    if (part == NULL || arena_of(part) == NULL)
        return false;
    arena_free(part);
    return true;
}

/* GNU programs allocate these two themselves, and let libc free them. */
void
arena_legacy_regfree(regex_t *pattern)
{
    if (pattern_drop(pattern->fastmap))
        pattern->fastmap = NULL;
    if (pattern_drop(pattern->translate))
        pattern->translate = NULL;
    regfree(pattern);
}

/* Old ones allocate the first buffer, too, which libc grows.  What is in it
 * does not matter. */
const char *
arena_legacy_re_compile_pattern(const char *text, size_t length,
                                struct re_pattern_buffer *pattern)
{
    if (pattern_drop(pattern->buffer)) {
        pattern->buffer = NULL;
        pattern->allocated = 0;
    }
    return re_compile_pattern(text, length, pattern);
}

/* Let libc have an array of registers that it is about to grow. */
static bool
registers_give(regoff_t **registers, size_t count)
{
    size_t size = count * sizeof **registers;
    regoff_t *given;

    if (*registers == NULL || arena_of(*registers) == NULL)
        return true;
    given = malloc(size + 1);
    if (given == NULL)
        return false;
    memcpy(given, *registers, size);
    arena_free(*registers);
    *registers = given;
    return true;
}

/* Before a search: are the registers such that libc can do with them what it
 * does?  It wants one more than there are. */
static bool
registers_ready(const struct re_pattern_buffer *pattern,
                struct re_registers *regs)
{
    return regs == NULL || pattern->regs_allocated != REGS_REALLOCATE
           || regs->num_regs > pattern->re_nsub + 1
           || (registers_give(&regs->start, regs->num_regs)
               && registers_give(&regs->end, regs->num_regs));
}

#define PATTERN_ERROR (-2)

#define LEGACY_SEARCH(name, parameters, arguments)                            \
    regoff_t arena_legacy_##name parameters                                   \
    {                                                                         \
        return registers_ready(pattern, regs) ? name arguments                \
                                              : PATTERN_ERROR;                \
    }

LEGACY_SEARCH(re_match,
              (struct re_pattern_buffer *pattern, const char *text,
               regoff_t length, regoff_t start, struct re_registers *regs),
              (pattern, text, length, start, regs))
LEGACY_SEARCH(re_search,
              (struct re_pattern_buffer *pattern, const char *text,
               regoff_t length, regoff_t start, regoff_t range,
               struct re_registers *regs),
              (pattern, text, length, start, range, regs))
LEGACY_SEARCH(re_match_2,
              (struct re_pattern_buffer *pattern, const char *text1,
               regoff_t length1, const char *text2, regoff_t length2,
               regoff_t start, struct re_registers *regs, regoff_t stop),
              (pattern, text1, length1, text2, length2, start, regs, stop))
LEGACY_SEARCH(re_search_2,
              (struct re_pattern_buffer *pattern, const char *text1,
               regoff_t length1, const char *text2, regoff_t length2,
               regoff_t start, regoff_t range, struct re_registers *regs,
               regoff_t stop),
              (pattern, text1, length1, text2, length2, start, range, regs,
               stop))

/* --- Vectors of strings: argz.h and envz.h --- */

/* Make a vector of ours libc's, which is about to grow or free it.  Vectors
 * that libc makes are its own from the beginning. */
static int
vector_give(char **argz, size_t length)
{
    char *given;

    if (*argz == NULL || arena_of(*argz) == NULL)
        return 0;
    given = malloc(length + 1);
    if (given == NULL)
        return ENOMEM;
    memcpy(given, *argz, length);
    arena_free(*argz);
    *argz = given;
    return 0;
}

/* By hand: it cannot fail, and so cannot ask for memory. */
static void
vector_delete(char **argz, size_t *length, char *entry)
{
    size_t size;

    if (entry == NULL)
        return;
    size = strlen(entry) + 1;
    *length -= size;
    memmove(entry, entry + size, *length - (size_t)(entry - *argz));
    if (*length == 0) {
        arena_free(*argz);
        *argz = NULL;
    }
}

void
arena_legacy_argz_delete(char **argz, size_t *length, char *entry)
{
    vector_delete(argz, length, entry);
}

void
arena_legacy_envz_remove(char **envz, size_t *length, const char *name)
{
    vector_delete(envz, length, envz_entry(*envz, *length, name));
}

/* The others: libc's, on a vector of libc's. */
#define LEGACY_VECTOR(name, parameters, arguments)                            \
    int arena_legacy_##name parameters                                        \
    {                                                                         \
        int error = vector_give(argz, *length);                               \
                                                                              \
        return error != 0 ? error : name arguments;                           \
    }

LEGACY_VECTOR(argz_append,
              (char **argz, size_t *length, const char *more, size_t extent),
              (argz, length, more, extent))
LEGACY_VECTOR(argz_add, (char **argz, size_t *length, const char *s),
              (argz, length, s))
LEGACY_VECTOR(argz_add_sep,
              (char **argz, size_t *length, const char *s, int separator),
              (argz, length, s, separator))
LEGACY_VECTOR(argz_replace,
              (char **argz, size_t *length, const char *s, const char *with,
               unsigned *count),
              (argz, length, s, with, count))
LEGACY_VECTOR(envz_add,
              (char **argz, size_t *length, const char *name,
               const char *value),
              (argz, length, name, value))
LEGACY_VECTOR(envz_merge,
              (char **argz, size_t *length, const char *more, size_t extent,
               int override),
              (argz, length, more, extent, override))

int
arena_legacy_argz_insert(char **argz, size_t *length, char *before,
                         const char *s)
{
    /* Elsewhere than in the vector: libc refuses it. */
    bool inside = before >= *argz && before < *argz + *length;
    size_t at = inside ? (size_t)(before - *argz) : 0;
    int error = vector_give(argz, *length);

    if (error != 0)
        return error;
    return argz_insert(argz, length, inside ? *argz + at : before, s);
}
