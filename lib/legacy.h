/*
 * legacy.h: what arena/malloc.h and arena/threads.h rename libc's functions
 * to.  They are exported, and in no public header: programs know them by
 * libc's declarations only.  Each has the contract of the function of the
 * same name, from arena_legacy_ on; only what differs is said here.
 *
 * Three cases.  A function whose result the program frees allocates from us
 * here, so that what is forgotten is collected.  One that reallocates or
 * frees what the program allocated must be here: libc would do it to our
 * block.  All others are left to libc, since arena_free and arena_realloc
 * know its memory: scanf's %m, open_wmemstream, backtrace_symbols.
 */
#ifndef ARENA_LIB_LEGACY_H
#define ARENA_LIB_LEGACY_H

#include <dirent.h>
#include <pthread.h>
#include <regex.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <threads.h>
#include <wchar.h>

#include "internal.h"

/* A program that has a function of libc's name itself defines the new name,
 * too: so the modules that define them (LEGACY_MODULE) define them weakly, and
 * the static library can be linked with it.  Others must not refer to them
 * weakly: that would not fetch a module from the static library. */
#ifdef LEGACY_MODULE
#define LEGACY_API ARENA_API __attribute__((weak))
#else
#define LEGACY_API ARENA_API
#endif

/* --- Threads: legacy_threads.c --- */

/* Attaches the new thread before the routine runs.  Returns an error number;
 * EAGAIN, too, when there is no memory for what is passed to the thread. */
ARENA_API int arena_pthread_create(pthread_t *thread,
                                   const pthread_attr_t *attr,
                                   void *(*routine)(void *), void *arg);
LEGACY_API int arena_legacy_thrd_create(thrd_t *thread, thrd_start_t routine,
                                        void *arg);

/* --- Blocks: legacy_blocks.c; the first ones are those of heap.h --- */

LEGACY_API void *arena_legacy_malloc(size_t size);
LEGACY_API void *arena_legacy_calloc(size_t count, size_t size);
LEGACY_API void *arena_legacy_realloc(void *block, size_t size);
LEGACY_API void *arena_legacy_reallocarray(void *block, size_t count,
                                           size_t size);
LEGACY_API void arena_legacy_free(void *block);

/* With ARENA_IGNORE_FREE: free; and realloc, which leaves the old block as it
 * was when it gives another. */
LEGACY_API void arena_legacy_ignore(void *block);
LEGACY_API void *arena_legacy_realloc_keep(void *block, size_t size);
LEGACY_API void *arena_legacy_reallocarray_keep(void *block, size_t count,
                                                size_t size);

LEGACY_API void *arena_legacy_aligned_alloc(size_t align, size_t size);
LEGACY_API int arena_legacy_posix_memalign(void **out, size_t align,
                                           size_t size);
LEGACY_API size_t arena_legacy_malloc_usable_size(void *block);
LEGACY_API void *arena_legacy_memalign(size_t align, size_t size);
LEGACY_API void *arena_legacy_valloc(size_t size);
LEGACY_API void *arena_legacy_pvalloc(size_t size);

/* --- Strings: legacy_strings.c --- */

LEGACY_API char *arena_legacy_strdup(const char *s);
LEGACY_API char *arena_legacy_strndup(const char *s, size_t n);
LEGACY_API wchar_t *arena_legacy_wcsdup(const wchar_t *s);

/* *out is NULL after a failure. */
LEGACY_API int arena_legacy_asprintf(char **out, const char *format, ...)
    ARENA_ATTR_FORMAT(2, 3);
LEGACY_API int arena_legacy_vasprintf(char **out, const char *format,
                                      va_list args) ARENA_ATTR_FORMAT(2, 0);

/* As these, fortified when flag is over 0. */
LEGACY_API int arena_legacy_asprintf_chk(char **out, int flag,
                                         const char *format, ...)
    ARENA_ATTR_FORMAT(3, 4);
LEGACY_API int arena_legacy_vasprintf_chk(char **out, int flag,
                                          const char *format, va_list args)
    ARENA_ATTR_FORMAT(3, 0);

/* --- Streams: legacy_lines.c, memstream.c --- */

LEGACY_API ssize_t arena_legacy_getline(char **line, size_t *size,
                                        FILE *stream);
LEGACY_API ssize_t arena_legacy_getdelim(char **line, size_t *size,
                                         int delimiter, FILE *stream);

/* Not buffered: *text and *size are good after each write. */
LEGACY_API FILE *arena_legacy_open_memstream(char **text, size_t *size);

/* --- Files: legacy_files.c --- */

LEGACY_API char *arena_legacy_realpath(const char *path, char *resolved);
LEGACY_API char *arena_legacy_realpath_chk(const char *path, char *resolved,
                                           size_t room);
LEGACY_API char *arena_legacy_canonicalize_file_name(const char *path);
LEGACY_API char *arena_legacy_getcwd(char *buffer, size_t size);
LEGACY_API char *arena_legacy_getcwd_chk(char *buffer, size_t size,
                                         size_t room);
LEGACY_API char *arena_legacy_get_current_dir_name(void);
LEGACY_API char *arena_legacy_tempnam(const char *dir, const char *prefix);

LEGACY_API int arena_legacy_scandir(
    const char *path, struct dirent ***list,
    int (*filter)(const struct dirent *),
    int (*compare)(const struct dirent **, const struct dirent **));
LEGACY_API int arena_legacy_scandir64(
    const char *path, struct dirent64 ***list,
    int (*filter)(const struct dirent64 *),
    int (*compare)(const struct dirent64 **, const struct dirent64 **));

/* --- Functions that grow or free what the program allocated:
 * legacy_patterns.c, legacy_vectors.c --- */

LEGACY_API void arena_legacy_regfree(regex_t *pattern);
LEGACY_API const char *arena_legacy_re_compile_pattern(
    const char *text, size_t length, struct re_pattern_buffer *pattern);

/* Return -2, too, when there is no memory. */
LEGACY_API regoff_t arena_legacy_re_match(
    struct re_pattern_buffer *pattern, const char *text, regoff_t length,
    regoff_t start, struct re_registers *regs);
LEGACY_API regoff_t arena_legacy_re_match_2(
    struct re_pattern_buffer *pattern, const char *text1, regoff_t length1,
    const char *text2, regoff_t length2, regoff_t start,
    struct re_registers *regs, regoff_t stop);
LEGACY_API regoff_t arena_legacy_re_search(
    struct re_pattern_buffer *pattern, const char *text, regoff_t length,
    regoff_t start, regoff_t range, struct re_registers *regs);
LEGACY_API regoff_t arena_legacy_re_search_2(
    struct re_pattern_buffer *pattern, const char *text1, regoff_t length1,
    const char *text2, regoff_t length2, regoff_t start, regoff_t range,
    struct re_registers *regs, regoff_t stop);

/* Return 0, ENOMEM or EINVAL, as in argz.h and envz.h. */
LEGACY_API int arena_legacy_argz_append(char **argz, size_t *length,
                                        const char *more, size_t more_length);
LEGACY_API int arena_legacy_argz_add(char **argz, size_t *length,
                                     const char *s);
LEGACY_API int arena_legacy_argz_add_sep(char **argz, size_t *length,
                                         const char *s, int separator);
LEGACY_API void arena_legacy_argz_delete(char **argz, size_t *length,
                                         char *entry);
LEGACY_API int arena_legacy_argz_insert(char **argz, size_t *length,
                                        char *before, const char *s);
LEGACY_API int arena_legacy_argz_replace(char **argz, size_t *length,
                                         const char *s, const char *with,
                                         unsigned *count);
LEGACY_API int arena_legacy_envz_add(char **envz, size_t *length,
                                     const char *name, const char *value);
LEGACY_API int arena_legacy_envz_merge(char **envz, size_t *length,
                                       const char *more, size_t more_length,
                                       int override);
LEGACY_API void arena_legacy_envz_remove(char **envz, size_t *length,
                                         const char *name);

#endif
