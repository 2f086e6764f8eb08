/*
 * case_serialize.c: deep copies into an arena by a layout, beside a function
 * written by hand for the same structure, per structure; and numbers to the
 * other byte order and back, per number.
 *
 * What is written by hand checks nothing, and copies twice what is shared.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arena.h>
#include <arena/layout.h>

#include "bench.h"

#define COPIES 100 /* in each arena */

static arena_t *
open_arena(void)
{
    return bench_need(arena_confined(), "arena_confined");
}

/* --- Three strings --- */

struct texts {
    uint32_t id;
    char *first, *second, *third;
};

ARENA_STRUCT(texts_layout, struct texts,
             ARENA_MEMBER(struct texts, id, arena_layout_u32),
             ARENA_MEMBER(struct texts, first, arena_layout_string),
             ARENA_MEMBER(struct texts, second, arena_layout_string),
             ARENA_MEMBER(struct texts, third, arena_layout_string));

static char first[] = "a first text", second[] = "and one more",
            third[] = "the third of them is the longest one by far";
static struct texts texts = {1, first, second, third};

static struct texts *
copy_texts(arena_t *arena, const struct texts *from)
{
    struct texts *copy = arena_new(arena, struct texts);

    if (copy == NULL)
        return NULL;
    copy->id = from->id;
    copy->first = arena_strdup(arena, from->first);
    copy->second = arena_strdup(arena, from->second);
    copy->third = arena_strdup(arena, from->third);
    if (copy->first == NULL || copy->second == NULL || copy->third == NULL)
        return NULL;
    return copy;
}

static void
run_texts_by_hand(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        arena_t *arena = open_arena();

        for (int i = 0; i < COPIES; i++)
            bench_touch(bench_need(copy_texts(arena, &texts), "copy"));
        arena_close(arena);
    }
}

static void
run_texts_serialize(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        arena_t *arena = open_arena();

        for (int i = 0; i < COPIES; i++)
            bench_touch(bench_need(
                arena_serialize(arena, &texts_layout, &texts), "serialize"));
        arena_close(arena);
    }
}

static void
run_texts_deserialize(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        arena_t *arena = open_arena();

        for (int i = 0; i < COPIES; i++)
            bench_touch(bench_need(
                arena_deserialize(arena, &texts_layout, &texts, sizeof texts),
                "deserialize"));
        arena_close(arena);
    }
}

/* --- A structure that leads to others --- */

enum state { STATE_NEW, STATE_PAID, STATE_SENT };

struct item {
    uint32_t article, amount;
    double price;
    char *note;
};

struct customer {
    char *name, *street, *city;
    int32_t number;
};

struct order {
    uint64_t id;
    enum state state;
    struct customer *customer;
    size_t count;
    struct item *items;
    struct order *earlier;
};

ARENA_STRUCT(item_layout, struct item,
             ARENA_MEMBER(struct item, article, arena_layout_u32),
             ARENA_MEMBER(struct item, amount, arena_layout_u32),
             ARENA_MEMBER(struct item, price, arena_layout_f64),
             ARENA_MEMBER(struct item, note, arena_layout_string));
ARENA_STRUCT(customer_layout, struct customer,
             ARENA_MEMBER(struct customer, name, arena_layout_string),
             ARENA_MEMBER(struct customer, street, arena_layout_string),
             ARENA_MEMBER(struct customer, city, arena_layout_string),
             ARENA_MEMBER(struct customer, number, arena_layout_i32));
ARENA_ENUM(state_layout, enum state, ARENA_VARIANT(STATE_NEW),
           ARENA_VARIANT(STATE_PAID), ARENA_VARIANT(STATE_SENT));
ARENA_FORWARD(order_layout, struct order);
ARENA_POINTER(customer_pointer, customer_layout);
ARENA_POINTER(items_pointer, item_layout);
ARENA_POINTER(order_pointer, order_layout);
ARENA_STRUCT(order_layout, struct order,
             ARENA_MEMBER(struct order, id, arena_layout_u64),
             ARENA_MEMBER(struct order, state, state_layout),
             ARENA_MEMBER(struct order, customer, customer_pointer),
             ARENA_MEMBER(struct order, count, arena_layout_size_t),
             ARENA_MEMBER_BY(struct order, items, items_pointer, count),
             ARENA_MEMBER(struct order, earlier, order_pointer));

#define ITEMS 8

static struct customer customer = {first, second, third, 7};
static struct item items[ITEMS];
static struct order earlier = {1, STATE_SENT, &customer, 0, NULL, NULL};
static struct order order = {2, STATE_PAID, &customer, ITEMS, items, &earlier};

static void
order_begin(const struct bench_work *work)
{
    (void)work;
    for (size_t i = 0; i < ITEMS; i++)
        items[i] =
            (struct item){(uint32_t)i, 1, 9.5, i % 2 == 0 ? second : NULL};
}

static struct customer *
copy_customer(arena_t *arena, const struct customer *from)
{
    struct customer *copy = arena_new(arena, struct customer);

    if (copy == NULL)
        return NULL;
    *copy = *from;
    copy->name = arena_strdup(arena, from->name);
    copy->street = arena_strdup(arena, from->street);
    copy->city = arena_strdup(arena, from->city);
    if (copy->name == NULL || copy->street == NULL || copy->city == NULL)
        return NULL;
    return copy;
}

static struct item *
copy_items(arena_t *arena, const struct item *from, size_t count)
{
    struct item *copy = arena_memdup(arena, from, count * sizeof *from);

    for (size_t i = 0; copy != NULL && i < count; i++) {
        if (from[i].note == NULL)
            continue;
        copy[i].note = arena_strdup(arena, from[i].note);
        if (copy[i].note == NULL)
            return NULL;
    }
    return copy;
}

static struct order *
copy_order(arena_t *arena, const struct order *from)
{
    struct order *copy = arena_new(arena, struct order);

    if (copy == NULL)
        return NULL;
    *copy = *from;
    copy->customer = copy_customer(arena, from->customer);
    if (copy->customer == NULL)
        return NULL;
    if (from->items != NULL
        && (copy->items = copy_items(arena, from->items, from->count)) == NULL)
        return NULL;
    if (from->earlier != NULL
        && (copy->earlier = copy_order(arena, from->earlier)) == NULL)
        return NULL;
    return copy;
}

static void
run_order_by_hand(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        arena_t *arena = open_arena();

        for (int i = 0; i < COPIES; i++)
            bench_touch(bench_need(copy_order(arena, &order), "copy"));
        arena_close(arena);
    }
}

static void
run_order_serialize(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        arena_t *arena = open_arena();

        for (int i = 0; i < COPIES; i++)
            bench_touch(bench_need(
                arena_serialize(arena, &order_layout, &order), "serialize"));
        arena_close(arena);
    }
}

/* --- A list --- */

#define NODES 1000

static struct order list[NODES];

static void
list_begin(const struct bench_work *work)
{
    (void)work;
    for (size_t i = 0; i < NODES; i++) {
        list[i] = earlier;
        list[i].customer = NULL;
        list[i].earlier = i + 1 < NODES ? &list[i + 1] : NULL;
    }
}

static struct order *
copy_list(arena_t *arena, const struct order *from)
{
    struct order *copy = NULL, **at = &copy;

    for (; from != NULL; from = from->earlier, at = &(*at)->earlier) {
        *at = arena_memdup(arena, from, sizeof *from);
        if (*at == NULL)
            return NULL;
    }
    return copy;
}

static void
run_list_by_hand(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        arena_t *arena = open_arena();

        bench_touch(bench_need(copy_list(arena, list), "copy"));
        arena_close(arena);
    }
}

static void
run_list_serialize(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        arena_t *arena = open_arena();

        bench_touch(bench_need(arena_serialize(arena, &order_layout, list),
                               "serialize"));
        arena_close(arena);
    }
}

/* --- Numbers in the other order --- */

#define NUMBERS 1024

struct header {
    uint16_t kind, flags;
    uint32_t length;
    int64_t time;
};

struct packet {
    struct header header;
    uint32_t numbers[NUMBERS];
};

ARENA_STRUCT(header_layout, struct header,
             ARENA_MEMBER(struct header, kind, arena_layout_u16_be),
             ARENA_MEMBER(struct header, flags, arena_layout_u16_be),
             ARENA_MEMBER(struct header, length, arena_layout_u32_be),
             ARENA_MEMBER(struct header, time, arena_layout_i64_be));
ARENA_ARRAY(numbers_layout, arena_layout_u32_be, NUMBERS);
ARENA_STRUCT(packet_layout, struct packet,
             ARENA_MEMBER(struct packet, header, header_layout),
             ARENA_MEMBER(struct packet, numbers, numbers_layout));

static struct packet packet, wire;

static void
run_packet_by_hand(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        wire.header.kind = __builtin_bswap16(packet.header.kind);
        wire.header.flags = __builtin_bswap16(packet.header.flags);
        wire.header.length = __builtin_bswap32(packet.header.length);
        wire.header.time =
            (int64_t)__builtin_bswap64((uint64_t)packet.header.time);
        for (size_t i = 0; i < NUMBERS; i++)
            wire.numbers[i] = __builtin_bswap32(packet.numbers[i]);
        bench_touch(&wire);
    }
}

static void
run_packet_serialize(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        if (arena_serialize_into(&wire, sizeof wire, NULL, &packet_layout,
                                 &packet)
            != 0)
            bench_fail("arena_serialize_into");
        bench_touch(&wire);
    }
}

static void
run_packet_deserialize(const struct bench_work *work, size_t loops)
{
    (void)work;
    while (loops-- > 0) {
        if (arena_deserialize_into(&packet, sizeof packet, NULL,
                                   &packet_layout, &wire, sizeof wire)
            != 0)
            bench_fail("arena_deserialize_into");
        bench_touch(&packet);
    }
}

/* --- The case --- */

static const struct bench_impl strings_impls[] = {
    {"arena_serialize", BENCH_OURS, .run = run_texts_serialize},
    {"arena_deserialize", BENCH_OURS, .run = run_texts_deserialize},
    {"by hand", BENCH_PEER, .run = run_texts_by_hand},
};

static const struct bench_impl order_impls[] = {
    {"arena_serialize", BENCH_OURS, order_begin, .run = run_order_serialize},
    {"by hand", BENCH_PEER, order_begin, .run = run_order_by_hand},
};

static const struct bench_impl list_impls[] = {
    {"arena_serialize", BENCH_OURS, list_begin, .run = run_list_serialize},
    {"by hand", BENCH_PEER, list_begin, .run = run_list_by_hand},
};

static const struct bench_impl numbers_impls[] = {
    {"arena_serialize_into", BENCH_OURS, .run = run_packet_serialize},
    {"arena_deserialize_into", BENCH_OURS, .run = run_packet_deserialize},
    {"by hand", BENCH_PEER, .run = run_packet_by_hand},
};

static const struct bench_group groups[] = {
    {"three strings", .work = {COPIES, 0, 1}, BENCH_IMPLS(strings_impls)},
    {"an order, with its customer and items", .work = {COPIES, 0, 1},
     BENCH_IMPLS(order_impls)},
    {"a list, each node", .work = {NODES, 0, 1}, BENCH_IMPLS(list_impls)},
    {"numbers of a packet, each", .work = {NUMBERS, 0, 1},
     BENCH_IMPLS(numbers_impls)},
};

const struct bench_case case_serialize = {
    .name = "serialize",
    .title = "deep copies by a layout, and by hand",
    .weight = 1,
    .groups = groups,
    .count = BENCH_COUNT(groups),
};
