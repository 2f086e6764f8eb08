/*
 * mapped_file.c: a file mapped into an arena: written as memory, read back,
 * and an error where it has become shorter.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arena/segment.h>

int
main(void)
{
    FILE *file = tmpfile();
    arena_t *arena = arena_confined();
    arena_segment_t map, header;
    char line[32] = "";
    uint32_t count = 0;

    assert(file != NULL && arena != NULL);
    /* The file is empty: it is made longer. */
    assert(arena_map(arena, fileno(file), 0, 10000, ARENA_MAP_WRITE, &map)
           == 0);
    assert(arena_segment_slice(&map, 0, 64, &header) == 0);
    assert(arena_set_u32_be(&header, 0, 3) == 0); /* whatever machine reads */
    assert(arena_set_string(&header, 4, "three records") == 0);
    assert(arena_map_sync(&map) == 0);

    assert(fseek(file, 4, SEEK_SET) == 0);
    assert(fread(line, 1, 13, file) == 13);
    printf("the file says: %s\n", line);
    assert(strcmp(line, "three records") == 0);

    assert(ftruncate(fileno(file), 100) == 0);
    assert(arena_get_u32_be(&header, 0, &count) == 0 && count == 3);
    assert(arena_get_u32(&map, 8000, &count) == -1 && errno == EIO);
    printf("behind its new end: %s\n", arena_error());

    assert(arena_close(arena) == 0); /* unmaps it */
    assert(arena_get_u32(&header, 0, &count) == -1 && errno == ESTALE);
    fclose(file);
    return 0;
}
