/* legacy_strings.c: copies of strings, and text that is printed. */

#include "config.h"

#include <string.h>

#include "../include/arena/heap.h"
#define LEGACY_MODULE
#include "legacy.h"

/* What glibc's headers declare under _FORTIFY_SOURCE only. */
int __vsnprintf_chk(char *text, size_t size, int flag, size_t room,
                    const char *format, va_list args);

/* --- Copies --- */

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

/* --- Text --- */

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
