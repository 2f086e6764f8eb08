/* environment.c: see environment.h. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "environment.h"

#define IGNORED_MOST 8 /* more than there are variables with such values */

/* The program may change its environment: the values are copied. */
static struct {
    _Atomic bool complete;
    char text[80];
} ignored[IGNORED_MOST];

static _Atomic size_t ignored_count;

const char *
arenap_environment_get(const char *name)
{
    const char *value = secure_getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

void
arenap_environment_ignore(const char *name, const char *value)
{
    size_t index = atomic_fetch_add(&ignored_count, 1);

    if (index >= IGNORED_MOST)
        return;
    snprintf(ignored[index].text, sizeof ignored[index].text, "%s=%s", name,
             value);
    atomic_store(&ignored[index].complete, true);
}

const char *
arenap_environment_ignored(size_t index)
{
    return index < IGNORED_MOST && atomic_load(&ignored[index].complete)
               ? ignored[index].text
               : NULL;
}
