/* module.c - a library that the victim loads: thread-local storage of its
 * own, and memory that crosses its border. */

#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT void **module_slots(void);
EXPORT void *module_malloc(size_t size);
EXPORT void module_free(void *block);

static __thread void *slots[8];

void **
module_slots(void)
{
    return slots;
}

void *
module_malloc(size_t size)
{
    return malloc(size);
}

void
module_free(void *block)
{
    free(block);
}
