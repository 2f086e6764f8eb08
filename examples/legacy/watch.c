/*
 * watch.c - writes down the library's figures when the program ends.
 *
 * Linked into the demo's bounded program beside concordance.c, which knows
 * nothing of it.  The figures go to the file that DEMO_FIGURES names, as one
 * line of name=value pairs; demo.c reads them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <arena/budget.h>

__attribute__((destructor)) static void
watch_write(void)
{
    const char *path = getenv("DEMO_FIGURES");
    arena_usage_t usage;
    FILE *out;

    if (path == NULL)
        return;
    out = fopen(path, "w");
    if (out == NULL)
        return;
    arena_usage(&usage, sizeof usage);
    fprintf(out,
            "limit=%zu peak=%zu waits=%" PRIu64 " collections=%" PRIu64
            " reclaimed=%" PRIu64 "\n",
            usage.limit, usage.peak, usage.waits, usage.collections,
            usage.reclaimed);
    fclose(out);
}
