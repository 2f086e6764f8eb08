/*
 * report.c: which arenas are open, and how much do they hold?
 */

#define _POSIX_C_SOURCE 200809L
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arena.h>
#include <arena/budget.h>

static arena_t *
open_named(arena_kind_t kind, const char *name)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_t *a;

    options.name = name;
    a = arena_open(kind, &options);
    assert(a != NULL);
    return a;
}

/* The report as a text, to be freed. */
static char *
report(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    assert(stream != NULL);
    assert(arena_report(stream) == 0);
    assert(fclose(stream) == 0);
    return text;
}

int
main(void)
{
    arena_t *config = open_named(ARENA_SHARED, "configuration");
    arena_t *request = open_named(ARENA_CONFINED, "request");
    arena_usage_t usage;
    char *text;

    assert(arena_alloc(config, 100000) != NULL);
    assert(arena_strdup(request, "GET /") != NULL);
    text = report();
    printf("%s", text);
    assert(strstr(text, "configuration") != NULL);
    assert(strstr(text, "request") != NULL);
    free(text);

    arena_usage(&usage, sizeof(usage));
    printf("reserved %zu bytes for %zu that were asked for\n", usage.reserved,
           usage.requested);
    assert(usage.kind[ARENA_SHARED].count == 1);
    assert(usage.kind[ARENA_SHARED].reserved >= 100000);
    assert(usage.kind[ARENA_SHARED].reserved == arena_bytes(config));

    /* What is closed is not listed. */
    assert(arena_close(request) == 0);
    text = report();
    assert(strstr(text, "configuration") != NULL);
    assert(strstr(text, "request") == NULL);
    free(text);
    assert(arena_close(config) == 0);
    return 0;
}
