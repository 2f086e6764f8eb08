/*
 * arena/malloc.h - give an old program collected memory by compiling it
 * again:
 *
 *   cc $(pkg-config --cflags libarena) -include arena/malloc.h legacy.c \
 *       -larena -lgc
 *
 * Every source file of the program is compiled so, C89 to C17, none is
 * edited.  What it allocates is freed by free, as before, or after nothing
 * reachable points to it; and all of it counts in the budget (arena/budget.h).
 *
 * The header includes nothing, declares nothing, and defines no macro but its
 * guard.  It renames symbols: malloc in the source is arena_legacy_malloc in
 * the object file, which is arena_malloc of arena/heap.h.  So &free, members
 * named free, the program's own declarations, old-style ones too, and feature
 * macros that it defines later keep working, and so do functions of its own
 * that are named as the library's are (arena_malloc, arena_free), except with
 * the static library.
 *
 * Memory that libc allocates in functions not listed here may be given to
 * free and realloc all the same: they know it and give it to libc's.  It is
 * not collected, nor counted.
 *
 * What cannot work: another library, compiled without this header, that
 * frees or reallocates a block of the program's.  That library must be
 * compiled so, too.
 *
 * C++ may be compiled so as well; new and delete, which are functions of its
 * library's, are not renamed.
 *
 * What takes an option on the command line:
 *   - A program that frees what it still uses: -DARENA_IGNORE_FREE.  Then free
 *     and cfree do nothing, realloc leaves the old block as it was, and the
 *     collector alone frees.  For all files, or for those that free wrongly.
 *   - A function of the program's own that has one of the names below (its
 *     own scandir, say) is renamed like its callers; but gcc does not rename
 *     it in a file that defines it and never declares it before.  If it is
 *     called from other files give it another name: -Dscandir=own_scandir.
 *     Not needed for a getline of the program's, nor for static functions.
 *   - A file that defines a static function, or a variable, of the name
 *     malloc, calloc, realloc or free: -DARENA_MALLOC_NO_ASSEMBLY, see the
 *     end.
 */
#ifndef ARENA_MALLOC_H
#define ARENA_MALLOC_H

/* Flags for all files reach the .S files among them. */
#ifndef __ASSEMBLER__

#ifndef __GNUC__
#error "arena/malloc.h needs gcc or clang (#pragma redefine_extname)"
#endif

/* A name that is a macro is left alone: the pragma would rename what the
 * macro stands for (-Dmalloc=debug_malloc). */

/* clang warns of each static function that has such a name and is therefore
 * not renamed, which is right. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpragmas"
#endif

/* --- malloc and its family --------------------------------------------- */

#ifndef malloc
#pragma redefine_extname malloc arena_legacy_malloc
#endif
#ifndef calloc
#pragma redefine_extname calloc arena_legacy_calloc
#endif
#ifdef ARENA_IGNORE_FREE
#ifndef realloc
#pragma redefine_extname realloc arena_legacy_realloc_keep
#endif
#ifndef reallocarray
#pragma redefine_extname reallocarray arena_legacy_reallocarray_keep
#endif
#ifndef free
#pragma redefine_extname free arena_legacy_ignore
#endif
#ifndef cfree
#pragma redefine_extname cfree arena_legacy_ignore
#endif
#else
#ifndef realloc
#pragma redefine_extname realloc arena_legacy_realloc
#endif
#ifndef reallocarray
#pragma redefine_extname reallocarray arena_legacy_reallocarray
#endif
#ifndef free
#pragma redefine_extname free arena_legacy_free
#endif
#ifndef cfree
#pragma redefine_extname cfree arena_legacy_free
#endif
#endif
#ifndef aligned_alloc
#pragma redefine_extname aligned_alloc arena_legacy_aligned_alloc
#endif
#ifndef posix_memalign
#pragma redefine_extname posix_memalign arena_legacy_posix_memalign
#endif
#ifndef memalign
#pragma redefine_extname memalign arena_legacy_memalign
#endif
#ifndef valloc
#pragma redefine_extname valloc arena_legacy_valloc
#endif
#ifndef pvalloc
#pragma redefine_extname pvalloc arena_legacy_pvalloc
#endif
#ifndef malloc_usable_size
#pragma redefine_extname malloc_usable_size arena_legacy_malloc_usable_size
#endif

/* --- Strings ----------------------------------------------------------- */

#ifndef strdup
#pragma redefine_extname strdup arena_legacy_strdup
#endif
#ifndef __strdup
#pragma redefine_extname __strdup arena_legacy_strdup
#endif
#ifndef strndup
#pragma redefine_extname strndup arena_legacy_strndup
#endif
#ifndef __strndup
#pragma redefine_extname __strndup arena_legacy_strndup
#endif
#ifndef wcsdup
#pragma redefine_extname wcsdup arena_legacy_wcsdup
#endif
#ifndef asprintf
#pragma redefine_extname asprintf arena_legacy_asprintf
#endif
#ifndef __asprintf
#pragma redefine_extname __asprintf arena_legacy_asprintf
#endif
#ifndef __asprintf_chk
#pragma redefine_extname __asprintf_chk arena_legacy_asprintf_chk
#endif
#ifndef vasprintf
#pragma redefine_extname vasprintf arena_legacy_vasprintf
#endif
#ifndef __vasprintf_chk
#pragma redefine_extname __vasprintf_chk arena_legacy_vasprintf_chk
#endif

/* --- Streams ----------------------------------------------------------- */

#ifndef getline
#pragma redefine_extname getline arena_legacy_getline
#endif
#ifndef getdelim
#pragma redefine_extname getdelim arena_legacy_getdelim
#endif
#ifndef __getdelim
#pragma redefine_extname __getdelim arena_legacy_getdelim
#endif
#ifndef open_memstream
#pragma redefine_extname open_memstream arena_legacy_open_memstream
#endif

/* --- Files ------------------------------------------------------------- */

#ifndef realpath
#pragma redefine_extname realpath arena_legacy_realpath
#endif
#ifndef __realpath_chk
#pragma redefine_extname __realpath_chk arena_legacy_realpath_chk
#endif
#ifndef canonicalize_file_name
#pragma redefine_extname canonicalize_file_name \
arena_legacy_canonicalize_file_name
#endif
#ifndef getcwd
#pragma redefine_extname getcwd arena_legacy_getcwd
#endif
#ifndef __getcwd_chk
#pragma redefine_extname __getcwd_chk arena_legacy_getcwd_chk
#endif
#ifndef get_current_dir_name
#pragma redefine_extname get_current_dir_name \
arena_legacy_get_current_dir_name
#endif
#ifndef tempnam
#pragma redefine_extname tempnam arena_legacy_tempnam
#endif
#ifndef scandir
#pragma redefine_extname scandir arena_legacy_scandir
#endif
#ifndef scandir64
#pragma redefine_extname scandir64 arena_legacy_scandir64
#endif

/* --- Functions that grow or free what the program allocated ------------ */

#ifndef regfree
#pragma redefine_extname regfree arena_legacy_regfree
#endif
#ifndef re_compile_pattern
#pragma redefine_extname re_compile_pattern arena_legacy_re_compile_pattern
#endif
#ifndef re_match
#pragma redefine_extname re_match arena_legacy_re_match
#endif
#ifndef re_match_2
#pragma redefine_extname re_match_2 arena_legacy_re_match_2
#endif
#ifndef re_search
#pragma redefine_extname re_search arena_legacy_re_search
#endif
#ifndef re_search_2
#pragma redefine_extname re_search_2 arena_legacy_re_search_2
#endif
#ifndef argz_append
#pragma redefine_extname argz_append arena_legacy_argz_append
#endif
#ifndef argz_add
#pragma redefine_extname argz_add arena_legacy_argz_add
#endif
#ifndef argz_add_sep
#pragma redefine_extname argz_add_sep arena_legacy_argz_add_sep
#endif
#ifndef argz_delete
#pragma redefine_extname argz_delete arena_legacy_argz_delete
#endif
#ifndef argz_insert
#pragma redefine_extname argz_insert arena_legacy_argz_insert
#endif
#ifndef argz_replace
#pragma redefine_extname argz_replace arena_legacy_argz_replace
#endif
#ifndef envz_add
#pragma redefine_extname envz_add arena_legacy_envz_add
#endif
#ifndef envz_merge
#pragma redefine_extname envz_merge arena_legacy_envz_merge
#endif
#ifndef envz_remove
#pragma redefine_extname envz_remove arena_legacy_envz_remove
#endif

/* --- Threads: as arena/threads.h --------------------------------------- */

#ifndef pthread_create
#pragma redefine_extname pthread_create arena_pthread_create
#endif
#ifndef thrd_create
#pragma redefine_extname thrd_create arena_legacy_thrd_create
#endif

/* --- What no pragma reaches -------------------------------------------- */

/*
 * Some references bear a name that the compiler chose, so the assembler
 * renames these:
 *   - gcc: functions that the program declares by other types than the
 *     standard's (char *malloc(); int free();), and the calloc that gcc makes
 *     of malloc and memset;
 *   - clang: functions that the program never declares;
 *   - libc's headers give some functions a symbol by name: realpath and
 *     getcwd under _FORTIFY_SOURCE, scandir when files are large.
 * The price: a call of a static function, or a use of a variable, that has
 * such a name itself and stands before its definition is renamed, too.  No
 * file that includes stdlib.h can have one.
 *
 * The assembler ignores the comments.  Scripts that use the preprocessor's
 * output, configure scripts of gnulib's among them, ignore lines that have a
 * number sign, as those of pragmas do.
 */
#ifndef ARENA_MALLOC_NO_ASSEMBLY
__asm__(".set malloc, arena_legacy_malloc /*#*/");
__asm__(".set calloc, arena_legacy_calloc /*#*/");
#ifdef ARENA_IGNORE_FREE
__asm__(".set realloc, arena_legacy_realloc_keep /*#*/");
__asm__(".set free, arena_legacy_ignore /*#*/");
#else
__asm__(".set realloc, arena_legacy_realloc /*#*/");
__asm__(".set free, arena_legacy_free /*#*/");
#endif
__asm__(".set scandir64, arena_legacy_scandir64 /*#*/");
#if defined(_FORTIFY_SOURCE) && _FORTIFY_SOURCE > 0
__asm__(".set realpath, arena_legacy_realpath /*#*/");
__asm__(".set getcwd, arena_legacy_getcwd /*#*/");
#endif
#endif

#endif

#endif
