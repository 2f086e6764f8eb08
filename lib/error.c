/* error.c: arena_error, and the end of the program when an assertion fails. */

#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "internal.h"
#include "thread.h"

/* What a thread says that has no room for a sentence of its own. */
static const char no_record[] = "the system refused memory for the thread's "
                                "record";

static void
error_set(int error, const char *format, va_list args)
{
    struct thread *self = arenap_thread_self();

    if (self != NULL)
        vsnprintf(self->error, sizeof self->error, format, args);
    errno = error;
}

int
arenap_fail(int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_set(error, format, args);
    va_end(args);
    return -1;
}

void *
arenap_fail_null(int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_set(error, format, args);
    va_end(args);
    return NULL;
}

int
arenap_fail_system(unsigned long size)
{
    return arenap_fail(ENOMEM, "the system refused %lu bytes", size);
}

void
arenap_assert_failed(const char *condition, const char *file, int line)
{
    char text[256];
    int length = snprintf(text, sizeof text, "libarena: %s:%d: %s\n", file,
                          line, condition);

    if (length > 0 && write(STDERR_FILENO, text, strlen(text)) < 0)
        abort();
    abort();
}

const char *
arena_error(void)
{
    struct thread *self = arenap_thread_self();

    return self != NULL ? self->error : no_record;
}
