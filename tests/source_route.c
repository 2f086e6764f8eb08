/*
 * source_route.c: an old program.  It is written as such programs are, with
 * everything that a renaming could trip over, and is compiled with
 * -include arena/malloc.h.
 */

/* After the renaming header, as far as the compiler is concerned. */
#define _GNU_SOURCE
#if defined(__OPTIMIZE__) && !defined(_FORTIFY_SOURCE)
#define _FORTIFY_SOURCE 2
#endif

#include <argz.h>
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <limits.h>
#include <malloc.h>
#include <regex.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "source_route.h"

/* The program's own declarations of what the headers declare. */
extern void *malloc(size_t size);
extern void free(void *block);
extern int pthread_create(pthread_t *, const pthread_attr_t *,
                          void *(*)(void *), void *);

#define NEED(condition)                                                       \
    do {                                                                      \
        if (!(condition))                                                     \
            return #condition;                                                \
    } while (0)

/* --- Names --- */

/* Members, parameters, variables and macros of libc's names. */
struct methods {
    void *(*malloc)(size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    char *(*strdup)(const char *);
    int getline;
};

static struct methods methods = {malloc, realloc, free, strdup, 80};

#define strdup_or_empty(s) strdup((s) != NULL ? (s) : "")

/* A function of the program's own, of a name that libc had once. */
static int
cfree(int getline)
{
    return getline + methods.getline;
}

const char *
route_names(void)
{
    struct methods *m = &methods;
    char *(*getcwd)(const char *) = m->strdup;
    char *text = getcwd("abc"), *empty = strdup_or_empty(NULL);
    void *block = m->malloc(10);

    NEED(text != NULL && strcmp(text, "abc") == 0);
    NEED(empty != NULL && *empty == '\0');
    NEED((block = m->realloc(block, 5000)) != NULL);
    m->free(block);
    (*m->free)(text);
    free(empty);
    NEED(cfree(1) == 81);
    return NULL;
}

const char *
route_pointers(void)
{
    void (*volatile by_name)(void *) = free;
    void (*volatile by_address)(void *) = &free;
    void *(*volatile make)(size_t) = &malloc;

    NEED(by_name == by_address);
    NEED(by_name == methods.free);
    by_name(make(100));
    by_address((malloc)(100));
    return NULL;
}

/* --- The program's own arenas --- */

/* Names that the library has, too. */
typedef struct {
    char *block;
    size_t used;
} arena_t;

static void *
arena_malloc(arena_t *arena, size_t size)
{
    void *piece = arena->block + arena->used;

    arena->used += size;
    return piece;
}

static void
arena_free(arena_t *arena)
{
    free(arena->block);
    arena->block = NULL;
}

const char *
route_own_arena(void)
{
    arena_t arena = {malloc(100), 0};
    char *first = arena_malloc(&arena, 60), *second = arena_malloc(&arena, 40);

    NEED(arena.block != NULL);
    NEED(first == arena.block && second == first + 60);
    arena_free(&arena);
    NEED(arena.block == NULL);
    return NULL;
}

/* --- Blocks --- */

const char *
route_blocks(void)
{
    size_t i;
    int *numbers = calloc(1000, sizeof *numbers);

    NEED(numbers != NULL);
    for (i = 0; i < 1000; i++)
        NEED(numbers[i] == 0);
    memset(numbers, 1, 1000 * sizeof *numbers);
    numbers = reallocarray(numbers, 5000, sizeof *numbers);
    NEED(numbers != NULL && numbers[999] == 0x01010101);
    NEED(malloc_usable_size(numbers) >= 5000 * sizeof *numbers);
    free(numbers);
    free(NULL);
    NEED((numbers = realloc(NULL, 10)) != NULL);
    free(numbers);
    NEED((numbers = malloc(0)) != NULL);
    free(numbers);
    return NULL;
}

const char *
route_aligned(void)
{
    volatile size_t odd = 48; /* no power of two */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *block = NULL;

    NEED(posix_memalign(&block, 256, 100) == 0);
    NEED((uintptr_t)block % 256 == 0);
    free(block);
    NEED((uintptr_t)(block = aligned_alloc(64, 128)) % 64 == 0);
    free(block);
    NEED((uintptr_t)(block = memalign(odd, 100)) % 64 == 0);
    free(block);
    NEED((uintptr_t)(block = valloc(100)) % page == 0);
    free(block);
    NEED((uintptr_t)(block = pvalloc(1)) % page == 0);
    NEED(malloc_usable_size(block) >= page);
    free(block);
    return NULL;
}

const char *
route_errno(void)
{
    volatile size_t much = PTRDIFF_MAX;
    char *text;

    errno = 77;
    free(malloc(10));
    NEED(errno == 77);
    free(text = strdup("text"));
    NEED(errno == 77);
    NEED(malloc(much + 1) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(calloc(much, 4) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(reallocarray(NULL, much, 4) == NULL && errno == ENOMEM);
    return NULL;
}

/* As glibc documents. */
const char *
route_impossible(void)
{
    volatile size_t most = SIZE_MAX, odd = 24, tiny = 2;
    char place, *untouched = &place;
    void *block = untouched;

    errno = 0;
    NEED(malloc(most) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(realloc(NULL, most - 100) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(memalign(4096, most - 4096) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(valloc(most) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(pvalloc(most) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(memalign(most, 1) == NULL && errno == EINVAL);
    errno = 77;
    NEED(posix_memalign(&block, odd, 8) == EINVAL);
    NEED(posix_memalign(&block, tiny, 8) == EINVAL);
    NEED(posix_memalign(&block, 64, most) == ENOMEM);
    NEED(errno == 77 && block == untouched);
    return NULL;
}

void
route_free(void *block)
{
    free(block);
}

void *
route_realloc(void *block, size_t size)
{
    return realloc(block, size);
}

/* --- Printing --- */

static int
print_list(char **out, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vasprintf(out, format, args);
    va_end(args);
    return length;
}

/* From nothing up to many times any first buffer, in one call each. */
const char *
route_print(void)
{
    static const int widths[] = {1, 2, 254, 255, 256, 257, 1000, 100000};
    size_t i;
    char *text;

    for (i = 0; i < sizeof widths / sizeof *widths; i++) {
        NEED(print_list(&text, "%*d", widths[i], 7) == widths[i]);
        NEED(strlen(text) == (size_t)widths[i]);
        NEED(text[widths[i] - 1] == '7');
        NEED(malloc_usable_size(text) > strlen(text));
        free(text);
    }
    NEED(print_list(&text, "%s", "") == 0 && *text == '\0');
    free(text);
    return NULL;
}

/* Called by the names that the headers give them with _FORTIFY_SOURCE. */
const char *
route_print_fortified(void)
{
    char small[8], *text;

    NEED(asprintf(&text, "%s-%03d", "abc", 7) == 7);
    NEED(strcmp(text, "abc-007") == 0);
    NEED(snprintf(small, sizeof small, "%s", text) == 7);
    free(text);
    NEED(asprintf(&text, "%300s|", small) == 301);
    NEED(text[299] == '7' && text[300] == '|' && text[301] == '\0');
    free(text);
    return NULL;
}

/* --- Lines --- */

static const size_t line_lengths[] = {0,   1,   118, 119,  120,   121,
                                      239, 240, 241, 5000, 100000};

#define LINES (sizeof line_lengths / sizeof *line_lengths)

/* A file of lines of these lengths, the last one without its end. */
static FILE *
lines_file(int end)
{
    FILE *file = tmpfile();
    size_t i, j;

    for (i = 0; file != NULL && i < LINES; i++) {
        for (j = 0; j < line_lengths[i]; j++)
            putc('a' + (int)(j % 26), file);
        if (i + 1 < LINES)
            putc(end, file);
    }
    if (file != NULL)
        rewind(file);
    return file;
}

static int
line_is_right(const char *line, size_t number, int end)
{
    size_t j, length = line_lengths[number];

    for (j = 0; j < length; j++)
        if (line[j] != 'a' + (int)(j % 26))
            return 0;
    if (number + 1 < LINES && line[length++] != end)
        return 0;
    return line[length] == '\0';
}

/* Into a buffer that grows by and by, first by getline, then by getdelim. */
const char *
route_lines(void)
{
    char *line = NULL;
    size_t size = 0, i;
    FILE *file = lines_file('\n');

    NEED(file != NULL);
    for (i = 0; i < LINES; i++) {
        NEED(getline(&line, &size, file)
             == (ssize_t)(line_lengths[i] + (i + 1 < LINES)));
        NEED(line_is_right(line, i, '\n'));
        NEED(size > strlen(line) && malloc_usable_size(line) >= size);
    }
    NEED(getline(&line, &size, file) == -1 && feof(file));
    fclose(file);
    free(line);
    line = NULL;
    file = lines_file(':');
    for (i = 0; i < LINES; i++) {
        NEED(getdelim(&line, &size, ':', file) >= 0);
        NEED(line_is_right(line, i, ':'));
    }
    NEED(getdelim(&line, &size, ':', file) == -1);
    fclose(file);
    free(line);
    return NULL;
}

/* Into buffers of the program's, and one that libc made. */
const char *
route_lines_into(void)
{
    size_t size = 2;
    char *line = malloc(size), *word = NULL;
    FILE *file = lines_file('\n');

    NEED(file != NULL);
    NEED(getline(&line, &size, file) == 1 && size >= 2);
    NEED(getline(&line, &size, file) == 2 && size >= 3);
    free(line);
    NEED(sscanf("word", "%ms", &word) == 1);
    size = 5;
    NEED(getline(&word, &size, file) == 119 && line_is_right(word, 2, '\n'));
    free(word);
    fclose(file);
    return NULL;
}

/* --- Streams into memory --- */

const char *
route_memstream(void)
{
    char *text = NULL;
    size_t size = 99, i;
    FILE *stream = open_memstream(&text, &size);

    NEED(stream != NULL);
    NEED(fflush(stream) == 0 && size == 0 && *text == '\0');
    NEED(fprintf(stream, "%s=%d", "a", 1) == 3 && fflush(stream) == 0);
    NEED(size == 3 && strcmp(text, "a=1") == 0);
    for (i = 0; i < 100000; i++)
        NEED(putc('0' + (int)(i % 10), stream) != EOF);
    NEED(ftell(stream) == 100003);
    NEED(fclose(stream) == 0 && size == 100003);
    NEED(strlen(text) == size && memcmp(text, "a=1012", 6) == 0);
    NEED(text[size - 1] == '9');
    free(text);
    stream = open_memstream(&text, &size);
    NEED(stream != NULL && fclose(stream) == 0);
    NEED(size == 0 && *text == '\0');
    free(text);
    return NULL;
}

const char *
route_memstream_seek(void)
{
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    NEED(stream != NULL && fputs("0123456789", stream) >= 0);
    NEED(fseek(stream, 2, SEEK_SET) == 0 && putc('x', stream) == 'x');
    NEED(fflush(stream) == 0 && size == 3);
    NEED(memcmp(text, "01x3456789", 10) == 0);
    NEED(fseek(stream, 0, SEEK_END) == 0 && putc('y', stream) == 'y');
    NEED(fflush(stream) == 0 && size == 11);
    NEED(fseek(stream, 4, SEEK_CUR) == 0 && putc('z', stream) == 'z');
    NEED(fflush(stream) == 0 && size == 16);
    NEED(memcmp(text, "01x3456789y\0\0\0\0z", 17) == 0);
    NEED(fseek(stream, -1, SEEK_SET) == -1);
    NEED(fseek(stream, 5, SEEK_SET) == 0 && fclose(stream) == 0);
    NEED(size == 5 && strcmp(text, "01x34") == 0);
    free(text);
    return NULL;
}

/* --- Names of files --- */

const char *
route_paths(void)
{
    char buffer[PATH_MAX], *path, *again;

    NEED(getcwd(buffer, sizeof buffer) == buffer);
    NEED((path = getcwd(NULL, 0)) != NULL && strcmp(path, buffer) == 0);
    free(path);
    NEED((path = getcwd(NULL, 5000)) != NULL && strcmp(path, buffer) == 0);
    NEED((again = realloc(path, 6000)) != NULL);
    free(again);
    NEED(getcwd(NULL, 1) == NULL && errno == ERANGE);
    NEED(realpath("/usr/..", buffer) == buffer && strcmp(buffer, "/") == 0);
    NEED((path = realpath("/usr/..", NULL)) != NULL);
    NEED(strcmp(path, "/") == 0);
    free(path);
    NEED(realpath("/no/such/file", NULL) == NULL && errno == ENOENT);
    NEED((path = canonicalize_file_name("/usr/.")) != NULL);
    free(path);
    NEED((path = get_current_dir_name()) != NULL);
    free(path);
    return NULL;
}

static int
scandir_filter(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int
scandir_none(const struct dirent *entry)
{
    return entry == NULL;
}

const char *
route_scandir(void)
{
    struct dirent **list = NULL;
    int i, count = scandir("/", &list, scandir_filter, alphasort);

    NEED(count > 3 && list != NULL);
    for (i = 0; i < count; i++) {
        NEED(list[i]->d_name[0] != '.' && list[i]->d_name[0] != '\0');
        NEED(i == 0 || strcoll(list[i - 1]->d_name, list[i]->d_name) <= 0);
    }
    while (count-- > 0)
        free(list[count]);
    free(list);
    list = NULL;
    NEED(scandir("/", &list, scandir_none, NULL) == 0);
    free(list);
    NEED(scandir("/no/such/dir", &list, NULL, NULL) == -1);
    NEED(errno == ENOENT);
    return NULL;
}

const char *
route_tempnam(void)
{
    struct stat status;
    char *first = tempnam("/no/such/dir", "abcdefgh");
    char *second = tempnam("/", NULL);

    NEED(first != NULL && second != NULL && strcmp(first, second) != 0);
    NEED(strstr(first, "/abcde") != NULL && strstr(second, "/file") != NULL);
    NEED(strlen(strrchr(first, '/')) == strlen("/abcdeXXXXXX"));
    NEED(stat(first, &status) == -1 && stat(second, &status) == -1);
    free(first);
    free(second);
    return NULL;
}

/* --- What libc frees and grows --- */

/* GNU programs give the pattern a map, and an old one its first buffer. */
const char *
route_pattern(void)
{
    struct re_pattern_buffer pattern;

    memset(&pattern, 0, sizeof pattern);
    pattern.fastmap = malloc(256);
    pattern.translate = calloc(1, 256);
    NEED(pattern.translate != NULL);
    pattern.translate['B'] = 'b';
    pattern.translate['b'] = 'b';
    pattern.buffer = malloc(16);
    pattern.allocated = 16;
    NEED(re_compile_pattern("b", 1, &pattern) == NULL);
    NEED(re_search(&pattern, "aaB", 3, 0, 3, NULL) == 2);
    regfree(&pattern);
    return NULL;
}

/* Registers that the program allocated, too few of them. */
const char *
route_registers(void)
{
    struct re_pattern_buffer pattern;
    struct re_registers regs;

    memset(&pattern, 0, sizeof pattern);
    re_syntax_options = RE_SYNTAX_POSIX_EXTENDED;
    NEED(re_compile_pattern("(b)(c*)(d)", 10, &pattern) == NULL);
    regs.num_regs = 2;
    regs.start = malloc(2 * sizeof *regs.start);
    regs.end = malloc(2 * sizeof *regs.end);
    pattern.regs_allocated = REGS_REALLOCATE;
    NEED(re_search(&pattern, "aabccd", 6, 0, 6, &regs) == 2);
    NEED(regs.num_regs >= 4 && regs.start[3] == 5 && regs.end[2] == 5);
    regs.start = realloc(regs.start, 100 * sizeof *regs.start);
    regs.end = realloc(regs.end, 100 * sizeof *regs.end);
    regs.num_regs = 100;
    NEED(re_match(&pattern, "bd", 2, 0, &regs) == 2);
    NEED(regs.start[2] == 1 && regs.end[2] == 1);
    free(regs.start);
    free(regs.end);
    regfree(&pattern);
    return NULL;
}

/* A vector of strings that the program allocated. */
const char *
route_vector(void)
{
    static const char start[] = "one\0two";
    size_t length = sizeof start;
    char *vector = malloc(length);

    NEED(vector != NULL);
    memcpy(vector, start, length);
    NEED(argz_add(&vector, &length, "three") == 0);
    NEED(argz_insert(&vector, &length, vector + 4, "half") == 0);
    NEED(length == 19 && memcmp(vector, "one\0half\0two\0three", 19) == 0);
    argz_delete(&vector, &length, vector);
    NEED(length == 15 && strcmp(vector, "half") == 0);
    free(vector);
    vector = strdup("x");
    length = 2;
    argz_delete(&vector, &length, vector);
    NEED(vector == NULL && length == 0);
    return NULL;
}

/* --- Who makes a block --- */

static void *
make_malloc(void)
{
    return malloc(100);
}

/* What gcc turns into a call of calloc. */
static void *
make_cleared(void)
{
    volatile size_t size = 100;
    size_t n = size;
    void *block = malloc(n);

    if (block != NULL)
        memset(block, 0, n);
    return block;
}

static void *
make_calloc(void)
{
    return calloc(10, 10);
}

static void *
make_realloc(void)
{
    return realloc(malloc(10), 1000);
}

static void *
make_strdup(void)
{
    return strdup("copied");
}

static void *
make_strndup(void)
{
    return strndup("copied", 3);
}

static void *
make_wcsdup(void)
{
    return wcsdup(L"copied");
}

static void *
make_asprintf(void)
{
    char *text = NULL;

    return asprintf(&text, "%d", 12) == 2 ? text : NULL;
}

static void *
make_getline(void)
{
    char *line = NULL;
    size_t size = 0;
    FILE *file = lines_file('\n');
    ssize_t length = file == NULL ? -1 : getline(&line, &size, file);

    if (file != NULL)
        fclose(file);
    return length == 1 ? line : NULL;
}

static void *
make_memstream(void)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    if (stream == NULL || fputs("text", stream) < 0 || fclose(stream) != 0)
        return NULL;
    return text;
}

static void *
make_canonical(void)
{
    return canonicalize_file_name("/");
}

static void *
make_scandir(void)
{
    struct dirent **list = NULL;
    void *entry;
    int count = scandir("/", &list, NULL, NULL);

    if (count < 2)
        return NULL;
    while (--count > 0)
        free(list[count]);
    entry = list[0];
    free(list);
    return entry;
}

static void *
make_tempnam(void)
{
    return tempnam(NULL, NULL);
}

const struct route_maker route_makers[] = {
    {"malloc", make_malloc},
    {"malloc and memset", make_cleared},
    {"calloc", make_calloc},
    {"realloc", make_realloc},
    {"strdup", make_strdup},
    {"strndup", make_strndup},
    {"wcsdup", make_wcsdup},
    {"asprintf", make_asprintf},
    {"getline", make_getline},
    {"open_memstream", make_memstream},
    {"canonicalize_file_name", make_canonical},
    {"scandir", make_scandir},
    {"tempnam", make_tempnam},
    {NULL, NULL},
};

/* Fortified, these have libc's symbols in the headers, and are renamed only
 * if _FORTIFY_SOURCE is defined before arena/malloc.h. */
static void *
make_realpath(void)
{
    return realpath("/", NULL);
}

static void *
make_getcwd(void)
{
    return getcwd(NULL, 0);
}

const struct route_maker route_fortified[] = {
    {"realpath", make_realpath},
    {"getcwd", make_getcwd},
    {NULL, NULL},
};

static void *
make_scanf(void)
{
    char *word = NULL;

    return sscanf("word", "%ms", &word) == 1 ? word : NULL;
}

static void *
make_wmemstream(void)
{
    wchar_t *text = NULL;
    size_t size;
    FILE *stream = open_wmemstream(&text, &size);

    if (stream == NULL || fputws(L"text", stream) < 0 || fclose(stream) != 0)
        return NULL;
    return text;
}

static void *
make_backtrace(void)
{
    void *frames[4];

    return backtrace_symbols(frames, backtrace(frames, 4));
}

const struct route_maker route_foreign[] = {
    {"scanf", make_scanf},
    {"open_wmemstream", make_wmemstream},
    {"backtrace_symbols", make_backtrace},
    {NULL, NULL},
};

/* --- Threads --- */

struct job {
    pthread_barrier_t *gate;
    int id;
    unsigned char filling[1000];
};

/* Waits without allocating anything, then looks at the job. */
static void *
job_run(void *arg)
{
    struct job *job = arg;
    void *result = NULL;
    size_t i = 0;

    pthread_barrier_wait(job->gate);
    pthread_barrier_wait(job->gate);
    while (i < sizeof job->filling
           && job->filling[i] == (unsigned char)(job->id + (int)i))
        i++;
    if (i == sizeof job->filling)
        result = route_thread_result(job->id);
    free(job);
    return result;
}

int
route_thread_start(pthread_t *thread, pthread_barrier_t *gate, int id)
{
    struct job *job = malloc(sizeof *job);
    size_t i;

    if (job == NULL)
        return ENOMEM;
    job->gate = gate;
    job->id = id;
    for (i = 0; i < sizeof job->filling; i++)
        job->filling[i] = (unsigned char)(id + (int)i);
    return pthread_create(thread, NULL, job_run, job);
}

void *
route_thread_result(int id)
{
    static char results[100];

    return &results[id];
}
