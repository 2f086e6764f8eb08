/* legacy_patterns.c: regular expressions, whose parts libc grows and frees. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#define LEGACY_MODULE
#include "legacy.h"

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
