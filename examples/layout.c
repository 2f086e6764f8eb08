/*
 * layout.c: a packet's header described by a layout that is built at run
 * time; a path compiled once finds its fields in the bytes.
 */

#undef NDEBUG
#include <assert.h>
#include <stdio.h>

#include <arena.h>
#include <arena/layout.h>

int
main(void)
{
    /* As it came: big-endian, and without gaps. */
    static const unsigned char packet[] = {7, 0, 2, 0, 0, 1, 44,
                                           0, 0, 0, 80};
    arena_t *arena = arena_confined();
    const arena_layout_member_t members[] = {
        {"kind", &arena_layout_u8, 0, 0, NULL, 0},
        {"used", &arena_layout_u16_be, 0, 0, NULL, 0},
        {"ports", arena_layout_array(arena, &arena_layout_u32_be, 2), 0, 0,
         "used", 0}};
    arena_layout_options_t options = ARENA_LAYOUT_OPTIONS_INIT;
    const arena_layout_t *header;
    arena_path_t port;

    options.pack = 1; /* of the data; a value is as C has it */
    header = arena_layout_struct(arena, "header", members, 3, &options);
    assert(header != NULL);
    printf("%zu bytes as data, %zu as a value\n",
           arena_layout_size(header, ARENA_FORM_DATA),
           arena_layout_size(header, ARENA_FORM_VALUE));

    assert(arena_layout_path(header, "ports[]", &port) == 0);
    for (size_t i = 0; i < 2; i++) {
        const unsigned char *at =
            arena_path_at(&port, ARENA_FORM_DATA, packet, &i, 1);

        assert(at != NULL && at == packet + 3 + 4 * i);
        printf("port %zu: %u\n", i, (unsigned)at[2] << 8 | at[3]);
    }

    /* All of it at once, as the C structure that it stands for. */
    const struct {
        uint8_t kind;
        uint16_t used;
        uint32_t ports[2];
    } *value = arena_deserialize(arena, header, packet, sizeof packet);

    assert(value != NULL && value->kind == 7 && value->used == 2);
    assert(value->ports[0] == 300 && value->ports[1] == 80);
    arena_close(arena);
    return 0;
}
