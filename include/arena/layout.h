/*
 * arena/layout.h - layouts describe C data; serialize and deserialize copy
 * what they describe, with all that it points to, into an arena.
 *
 * A layout describes data in two forms:
 *
 *   value  the C object that a program works with, as the compiler lays it
 *          out for this machine
 *   data   the bytes that the outside wants: of some byte order, packed, of
 *          other widths
 *
 * Where nothing else is said both are the same, and a layout simply says
 * what is where in a C structure.  arena_serialize makes data of a value,
 * arena_deserialize a value of data; both copy deeply, through pointers and
 * strings, and check every number on the way.
 *
 * Layouts of types that the compiler knows are static tables, made by the
 * macros ARENA_STRUCT, ARENA_ARRAY ..., which the compiler checks against the
 * types.  Others are built at run time in an arena (arena_layout_struct, ...).
 * Either kind may refer to the other.  A layout is never changed by its use;
 * all threads may use one at the same time.
 *
 * Errors, as in arena.h.  When several things are wrong the first of this
 * list is reported:
 *
 *   EINVAL  bad argument, layout or path; a value that means nothing (no
 *           variant of the enumeration, an unknown flag, no member for a tag)
 *   ERANGE  a number that does not fit, a count or an index past its bound,
 *           memory that is too small
 *   EFAULT  NULL on the way of a path
 *   EPERM, ESTALE, ENOMEM  as arena_alloc
 *
 * The sentence names the field: "friend->marks[3] of struct person: 300 does
 * not fit u8".
 *
 * The model is coffi's mem layer (serialize, serialize-into, deserialize),
 * and MemoryLayout of the JDK for sizes, alignments and paths.
 */
#ifndef ARENA_LAYOUT_H
#define ARENA_LAYOUT_H

#include "buffer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Types ------------------------------------------------------------- */

/** A layout.  Its fields are for the macros below; do not set them by hand,
 *  and do not write to them. */
typedef struct arena_layout arena_layout_t;

/** What a layout describes. */
typedef enum {
    ARENA_LAYOUT_INT = 1, /**< a signed or unsigned number of 1 to 8 bytes */
    ARENA_LAYOUT_FLOAT,   /**< float or double */
    ARENA_LAYOUT_BOOL,    /**< one byte, 0 or 1 */
    ARENA_LAYOUT_STRING,  /**< a pointer to a string that ends with 0 */
    ARENA_LAYOUT_POINTER, /**< to what is copied too; or untyped */
    ARENA_LAYOUT_ARRAY,
    ARENA_LAYOUT_STRUCT,
    ARENA_LAYOUT_UNION,
    ARENA_LAYOUT_ENUM,    /**< a number that has one of the variants */
    ARENA_LAYOUT_FLAGS,   /**< a number with bits of the variants alone */
    ARENA_LAYOUT_PADDING, /**< skipped; written as zeroes */
    ARENA_LAYOUT_RAW      /**< bytes, copied as they are */
} arena_layout_kind_t;

/** The two forms of what a layout describes. */
typedef enum {
    ARENA_FORM_DATA, /**< as the layout says */
    ARENA_FORM_VALUE /**< as the compiler does */
} arena_form_t;

/**
 * A member of a structure or union.
 *
 * For the builders set name, layout, by and tag; they set the offsets.
 */
typedef struct arena_layout_member {
    const char *name; /**< NULL: its own members are found through it */
    const arena_layout_t *layout;
    size_t offset;       /**< in the data, in bytes */
    size_t value_offset; /**< in the value, in bytes */
    /** NULL; or the name of another member of the same structure, a number
     *  that says: of a pointer, how many elements it points to; of an array,
     *  how many of its elements are used, the others being zero; of a union,
     *  the tag of the member that it holds. */
    const char *by;
    int64_t tag; /**< member of a union: when the number of by is this; for
                      one over INT64_MAX see arena_layout_variant_t */
} arena_layout_member_t;

/** A name for a number of an enumeration, or for a bit or some bits of a
 *  flag set. */
typedef struct arena_layout_variant {
    const char *name;
    /** Of a flag set: a mask.  A uint64_t over INT64_MAX is converted. */
    int64_t value;
} arena_layout_variant_t;

/**
 * Says which member a union holds, by looking at its bytes.
 *
 * @param bytes  of the union, perhaps not aligned
 * @param form   of these bytes
 *
 * @return the index of the member; or -1: none, which is EINVAL.
 */
typedef int (*arena_layout_choose_t)(const void *bytes, arena_form_t form);

/** A layout, see above. */
struct arena_layout {
    unsigned char kind;  /**< arena_layout_kind_t */
    unsigned char order; /**< of the data: arena_order_t */
    unsigned char flags; /**< ARENA_LAYOUT_SIGNED_... */
    unsigned char depth; /**< how far structures and arrays nest; 0: unknown */
    const char *name;    /**< for sentences; may be NULL */
    size_t size, align;  /**< of the data, in bytes */
    size_t value_size, value_align;
    size_t count; /**< of elements, members or variants */
    const arena_layout_t *element; /**< of an array; what a pointer points to,
                                        NULL for an untyped one */
    const arena_layout_member_t *members;
    const arena_layout_variant_t *variants;
    arena_layout_choose_t choose; /**< union; may be NULL */
    const void *spare[2];         /**< NULL */
};

#define ARENA_LAYOUT_SIGNED_DATA 1u
#define ARENA_LAYOUT_SIGNED_VALUE 2u

/* --- Scalars ----------------------------------------------------------- */

/* Each layout L has types L_value and L_data; the macros check with them. */
#define ARENA_SCALAR_(name, type)                                             \
    extern ARENA_API const arena_layout_t name;                               \
    ARENA_C99_ typedef type name##_value;                                     \
    ARENA_C99_ typedef type name##_data
#define ARENA_SCALARS_(name, type)                                            \
    ARENA_SCALAR_(name, type);                                                \
    ARENA_SCALAR_(name##_le, type);                                           \
    ARENA_SCALAR_(name##_be, type)

/** Numbers, in the machine's byte order; with _le and _be, in that order in
 *  the data. */
ARENA_SCALAR_(arena_layout_i8, int8_t);
ARENA_SCALAR_(arena_layout_u8, uint8_t);
ARENA_SCALARS_(arena_layout_i16, int16_t);
ARENA_SCALARS_(arena_layout_u16, uint16_t);
ARENA_SCALARS_(arena_layout_i32, int32_t);
ARENA_SCALARS_(arena_layout_u32, uint32_t);
ARENA_SCALARS_(arena_layout_i64, int64_t);
ARENA_SCALARS_(arena_layout_u64, uint64_t);
ARENA_SCALARS_(arena_layout_f32, float);
ARENA_SCALARS_(arena_layout_f64, double);

/** short, int ... by their own names; the machine's order. */
ARENA_SCALAR_(arena_layout_char, char);
ARENA_SCALAR_(arena_layout_bool, bool);
ARENA_SCALAR_(arena_layout_short, short);
ARENA_SCALAR_(arena_layout_int, int);
ARENA_SCALAR_(arena_layout_uint, unsigned);
ARENA_SCALAR_(arena_layout_long, long);
ARENA_SCALAR_(arena_layout_ulong, unsigned long);
ARENA_SCALAR_(arena_layout_size_t, size_t);

/** char *: the string is copied too; NULL stays NULL. */
ARENA_SCALAR_(arena_layout_string, char *);

/** void *, or a function: the address is copied as it is. */
ARENA_SCALAR_(arena_layout_address, void *);

/* --- Static tables ----------------------------------------------------- */

#if defined(__cplusplus)                                                      \
    || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L)

/* 0; or no program: the field must have the size and the sort of the layout's
 * type. */
#if defined(__GNUC__) && !defined(__cplusplus)
#define ARENA_IS_ARRAY_(a)                                                    \
    (!__builtin_types_compatible_p(__typeof__(a),                             \
                                   __typeof__(((void)0, (a)))))
#define ARENA_SORT_(a, b)                                                     \
    (__builtin_classify_type(a) == __builtin_classify_type(b)                 \
     && ARENA_IS_ARRAY_(a) == ARENA_IS_ARRAY_(b))
#else
#define ARENA_SORT_(a, b) 1
#endif
#define ARENA_MATCH_(field, type)                                             \
    (0                                                                        \
     * sizeof(char[sizeof(field) == sizeof(type)                              \
                           && ARENA_SORT_(field, *(type *)0)                  \
                       ? 1                                                    \
                       : -1]))
#define ARENA_FIELD_(type, field) (((type *)0)->field)

/* In C++ an enumeration need not have room for -1; what is behind it has. */
#if defined(__cplusplus) && defined(__GNUC__)
extern "C++" {
template <typename type, bool is_enum> struct arena_number_ {
    typedef type of;
};
template <typename type> struct arena_number_<type, true> {
    typedef __underlying_type(type) of;
};
}
#define ARENA_NUMBER_(type) arena_number_<type, __is_enum(type)>::of
#define ARENA_IS_SIGNED_(type)                                                \
    (static_cast<ARENA_NUMBER_(type)>(-1)                                     \
     < static_cast<ARENA_NUMBER_(type)>(1))
#else
#define ARENA_IS_SIGNED_(type) ((type)-1 < (type)1)
#endif
#define ARENA_SIGNS_(data_type, type)                                         \
    ((ARENA_IS_SIGNED_(data_type) ? ARENA_LAYOUT_SIGNED_DATA : 0u)            \
     | (ARENA_IS_SIGNED_(type) ? ARENA_LAYOUT_SIGNED_VALUE : 0u))

#define ARENA_TABLE_(kind, order, flags, text, data_type, type, count,        \
                     element, members, variants, choose)                      \
    {                                                                         \
        kind, order, flags, 0, text, sizeof(data_type),                       \
            ARENA_ALIGNOF(data_type), sizeof(type), ARENA_ALIGNOF(type),      \
            count, element, members, variants, choose, {0, 0}                 \
    }

#define ARENA_TYPES_(name, type, data_type)                                   \
    typedef type name##_value;                                                \
    typedef data_type name##_data

/**
 * Define the layout of a structure, a static constant called name.
 *
 *     struct point { int32_t x, y; };
 *     ARENA_STRUCT(point_layout, struct point,
 *                  ARENA_MEMBER(struct point, x, arena_layout_i32),
 *                  ARENA_MEMBER(struct point, y, arena_layout_i32));
 *
 * Its data are laid out as the structure itself is, packed ones too.  What no
 * member describes is padding.
 */
#define ARENA_STRUCT(name, type, ...)                                         \
    ARENA_STRUCT_AS(name, type, type, __VA_ARGS__)

/** As ARENA_STRUCT; but the data are laid out as another structure is, with
 *  fields of the same names: a packed one, say.  Of members made by
 *  ARENA_MEMBER_AS. */
#define ARENA_STRUCT_AS(name, type, data_type, ...)                           \
    ARENA_TYPES_(name, type, data_type);                                      \
    static const arena_layout_member_t name##_members[] = {__VA_ARGS__};      \
    static const arena_layout_t name = ARENA_TABLE_(                          \
        ARENA_LAYOUT_STRUCT, 0, 0, #type, data_type, type,                    \
        sizeof(name##_members) / sizeof(name##_members[0]), 0,                \
        name##_members, 0, 0)

/** A member: field of the structure or union type has the layout. */
#define ARENA_MEMBER(type, field, layout)                                     \
    ARENA_MEMBER_AS(type, type, field, layout)

/** As ARENA_MEMBER; the field called number says how many elements are
 *  pointed to, or used, or which member of a union is held (see
 *  arena_layout_member_t, by). */
#define ARENA_MEMBER_BY(type, field, layout, number)                          \
    ARENA_MEMBER_BY_AS(type, type, field, layout, number)

/** A member of a union, held when the number of by is tag. */
#define ARENA_CASE(type, field, layout, tag)                                  \
    ARENA_CASE_AS(type, type, field, layout, tag)

/** As those; the data are laid out as data_type is. */
#define ARENA_MEMBER_AS(type, data_type, field, layout)                       \
    ARENA_MEMBER_(type, data_type, field, layout, 0, 0)
#define ARENA_MEMBER_BY_AS(type, data_type, field, layout, number)            \
    ARENA_MEMBER_(type, data_type, field, layout,                             \
                  &#number[0 * sizeof(ARENA_FIELD_(type, number))], 0)
#define ARENA_CASE_AS(type, data_type, field, layout, tag)                    \
    ARENA_MEMBER_(type, data_type, field, layout, 0, tag)

#define ARENA_MEMBER_(type, data_type, field, layout, by, tag)                \
    {                                                                         \
        #field, &layout,                                                      \
            offsetof(data_type, field)                                        \
                + ARENA_MATCH_(ARENA_FIELD_(data_type, field),                \
                               layout##_data),                                \
            offsetof(type, field)                                             \
                + ARENA_MATCH_(ARENA_FIELD_(type, field), layout##_value),    \
            by, tag                                                           \
    }

/** Define the layout of a union, of members made by ARENA_CASE.  choose says
 *  which member it holds; 0 where the structure around it does.  With
 *  neither, all of its bytes are copied as they are, and no number in them is
 *  checked; that needs members without pointers that are followed, and of the
 *  same form in data and value. */
#define ARENA_UNION(name, type, choose, ...)                                  \
    ARENA_UNION_AS(name, type, type, choose, __VA_ARGS__)
#define ARENA_UNION_AS(name, type, data_type, choose, ...)                    \
    ARENA_TYPES_(name, type, data_type);                                      \
    static const arena_layout_member_t name##_members[] = {__VA_ARGS__};      \
    static const arena_layout_t name = ARENA_TABLE_(                          \
        ARENA_LAYOUT_UNION, 0, 0, #type, data_type, type,                     \
        sizeof(name##_members) / sizeof(name##_members[0]), 0,                \
        name##_members, 0, choose)

/** Define the layout of an array of length elements. */
#define ARENA_ARRAY(name, layout, length)                                     \
    typedef layout##_value name##_value[length];                              \
    typedef layout##_data name##_data[length];                                \
    static const arena_layout_t name =                                        \
        ARENA_TABLE_(ARENA_LAYOUT_ARRAY, 0, 0, 0, name##_data, name##_value,  \
                     length, &layout, 0, 0, 0)

/** Define the layout of a pointer to something that has a layout.  One to
 *  several elements is a member made by ARENA_MEMBER_BY. */
#define ARENA_POINTER(name, layout)                                           \
    ARENA_TYPES_(name, layout##_value *, layout##_data *);                    \
    static const arena_layout_t name =                                        \
        ARENA_TABLE_(ARENA_LAYOUT_POINTER, 0, 0, 0, void *, void *, 1,        \
                     &layout, 0, 0, 0)

/** Declare the layout of a structure or union that is defined below: for
 *  types that point to themselves.  Not in C++: there is
 *  arena_layout_pointer(arena, NULL) and arena_layout_set_target. */
#define ARENA_FORWARD(name, type)                                             \
    ARENA_FORWARD_AS(name, type, type)
#define ARENA_FORWARD_AS(name, type, data_type)                               \
    ARENA_TYPES_(name, type, data_type);                                      \
    static const arena_layout_t name

/** Define the layout of an enumeration type, or of an integer type that is
 *  used as one, with its variants, made by ARENA_VARIANT. */
#define ARENA_ENUM(name, type, ...)                                           \
    ARENA_ENUM_AS(name, type, type, ARENA_NATIVE_ENDIAN, __VA_ARGS__)

/** As ARENA_ENUM, of bits; a variant's value is a mask. */
#define ARENA_FLAGS(name, type, ...)                                          \
    ARENA_FLAGS_AS(name, type, type, ARENA_NATIVE_ENDIAN, __VA_ARGS__)

/** As those; the data are of an integer type and a byte order. */
#define ARENA_ENUM_AS(name, type, data_type, order, ...)                      \
    ARENA_NAMED_(ARENA_LAYOUT_ENUM, name, type, data_type, order, __VA_ARGS__)
#define ARENA_FLAGS_AS(name, type, data_type, order, ...)                     \
    ARENA_NAMED_(ARENA_LAYOUT_FLAGS, name, type, data_type, order,            \
                 __VA_ARGS__)

#define ARENA_NAMED_(kind, name, type, data_type, order, ...)                 \
    ARENA_TYPES_(name, type, data_type);                                      \
    static const arena_layout_variant_t name##_variants[] = {__VA_ARGS__};    \
    static const arena_layout_t name = ARENA_TABLE_(                          \
        kind, order, ARENA_SIGNS_(data_type, type), #type, data_type, type,   \
        sizeof(name##_variants) / sizeof(name##_variants[0]), 0, 0,           \
        name##_variants, 0)

/** A variant, called as it is written here: "RED", of a scoped enumeration
 *  of C++ "colour::RED". */
#define ARENA_VARIANT(constant)                                               \
    {                                                                         \
        #constant, (int64_t)(constant)                                        \
    }

/** Define the layout of a number that has another type, or order, in the
 *  data: both integers, or both floating. */
#define ARENA_INT_AS(name, type, data_type, order)                            \
    ARENA_TYPES_(name, type, data_type);                                      \
    static const arena_layout_t name =                                        \
        ARENA_TABLE_(ARENA_LAYOUT_INT, order, ARENA_SIGNS_(data_type, type),  \
                     #data_type, data_type, type, 0, 0, 0, 0, 0)
#define ARENA_FLOAT_AS(name, type, data_type, order)                          \
    ARENA_TYPES_(name, type, data_type);                                      \
    static const arena_layout_t name =                                        \
        ARENA_TABLE_(ARENA_LAYOUT_FLOAT, order, 0, #data_type, data_type,     \
                     type, 0, 0, 0, 0, 0)

/** Define the layout of bytes that are copied as they are. */
#define ARENA_RAW(name, type)                                                 \
    ARENA_TYPES_(name, type, type);                                           \
    static const arena_layout_t name = ARENA_TABLE_(                          \
        ARENA_LAYOUT_RAW, 0, 0, #type, type, type, 0, 0, 0, 0, 0)

#endif

/* --- Building layouts -------------------------------------------------- */

/*
 * Builders allocate the layout in an arena, and copy names, members and
 * variants there; layouts that are referred to must live as long.  So build
 * all that belong together in one arena.  The implicit arena and NULL are
 * refused (EINVAL): their blocks do not keep each other.
 *
 * All of them return the layout; or NULL with errno EINVAL: as said, or a
 * NULL where a layout is needed; or as arena_alloc (ENOMEM too when a size
 * is over PTRDIFF_MAX).
 *
 * Threads, Collects: as arena_alloc.  Lifetime: the arena's.
 */

/** A number: its data as the first layout says, its value as the second:
 *  two integers, or two floating ones. */
ARENA_API arena_layout_t *arena_layout_number(arena_t *arena,
                                              const arena_layout_t *data,
                                              const arena_layout_t *value);

/** An array.  EINVAL: the element's size is not a multiple of its
 *  alignment. */
ARENA_API arena_layout_t *arena_layout_array(arena_t *arena,
                                             const arena_layout_t *element,
                                             size_t count);

/** A pointer; target may be NULL: what it points to is given later, by
 *  arena_layout_set_target, for types that point to themselves; until then
 *  it is an untyped one. */
ARENA_API arena_layout_t *arena_layout_pointer(arena_t *arena,
                                               const arena_layout_t *target);

/** Say what a pointer points to, before it is used.
 *  @return 0; or -1 with errno EINVAL: NULL, no pointer, or it has one. */
ARENA_API int arena_layout_set_target(arena_layout_t *pointer,
                                      const arena_layout_t *target);

/** How to lay out a structure or union.  Start from
 *  ARENA_LAYOUT_OPTIONS_INIT. */
typedef struct arena_layout_options {
    size_t size; /**< sizeof(arena_layout_options_t), by the initialiser */
    /** Of the data: no member is aligned to more; as #pragma pack.  A power
     *  of two: 1 packs them without a gap.  0: as the compiler does. */
    size_t pack;
    size_t align; /**< of the data: at least this; as aligned().  0: none */
    size_t value_pack;  /**< the same of the value */
    size_t value_align;
} arena_layout_options_t;

/** Initialiser of arena_layout_options_t: everything as the compiler does. */
#define ARENA_LAYOUT_OPTIONS_INIT                                             \
    {                                                                         \
        sizeof(arena_layout_options_t), 0, 0, 0, 0                            \
    }

/**
 * A structure: members in their order, each at the next offset that it is
 * aligned at, and padding at the end, as the C compiler does it.
 *
 * @param name     for sentences; or NULL
 * @param members  count of them; name, layout, by and tag are read
 * @param options  or NULL: the compiler's way
 *
 * @return also EINVAL: options or alignments that are no power of two; a
 *         member's by that names no number of the structure, or is given for
 *         a layout that has no use for it; nested more than 64 deep.
 */
ARENA_API arena_layout_t *arena_layout_struct(
    arena_t *arena, const char *name, const arena_layout_member_t *members,
    size_t count, const arena_layout_options_t *options);

/** As arena_layout_struct, of a union.  For choose see ARENA_UNION. */
ARENA_API arena_layout_t *arena_layout_union(
    arena_t *arena, const char *name, const arena_layout_member_t *members,
    size_t count, arena_layout_choose_t choose,
    const arena_layout_options_t *options);

/** An enumeration; its numbers are as those of an integer layout. */
ARENA_API arena_layout_t *arena_layout_enum(
    arena_t *arena, const char *name, const arena_layout_t *number,
    const arena_layout_variant_t *variants, size_t count);

/** A flag set, likewise. */
ARENA_API arena_layout_t *arena_layout_flags(
    arena_t *arena, const char *name, const arena_layout_t *number,
    const arena_layout_variant_t *variants, size_t count);

/** Bytes of padding, aligned to 1.  EINVAL: size 0. */
ARENA_API arena_layout_t *arena_layout_padding(arena_t *arena, size_t size);

/** Bytes that are copied as they are. */
ARENA_API arena_layout_t *arena_layout_raw(arena_t *arena, size_t size,
                                           size_t align);

/** The same as a layout, but with data (and when it is more, a value) aligned
 *  to align.  EINVAL: not a power of two; a structure, union or array below
 *  its members' alignment. */
ARENA_API arena_layout_t *arena_layout_aligned(arena_t *arena,
                                               const arena_layout_t *layout,
                                               size_t align);

/* --- Asking ------------------------------------------------------------ */

/** Size and alignment of one form, in bytes; of NULL 0. */
ARENA_API size_t arena_layout_size(const arena_layout_t *layout,
                                   arena_form_t form);
ARENA_API size_t arena_layout_align(const arena_layout_t *layout,
                                    arena_form_t form);

/** The number of a variant of an enumeration or flag set, the first of that
 *  name.
 *  @return 0; or -1 with errno EINVAL: no such layout, or no such name. */
ARENA_API int arena_layout_variant_value(const arena_layout_t *layout,
                                         const char *name, int64_t *out);

/** The name of the first variant that has just this number; NULL, which is
 *  no failure: none. */
ARENA_API const char *arena_layout_variant_name(const arena_layout_t *layout,
                                                int64_t value);

/* --- Paths ------------------------------------------------------------- */

/** How often a path may be indexed from outside or go through a pointer. */
#define ARENA_PATH_STEPS 16

/** A compiled path.  Opaque; copy it freely.  Good while the layout is. */
typedef struct arena_path {
    const arena_layout_t *layout; /**< of where it leads: may be read */
    size_t offset[2];             /**< after the last step, by arena_form_t */
    unsigned steps, indices;
    struct arena_path_step {
        size_t offset[2]; /**< before this step */
        size_t stride[2]; /**< of an index */
        size_t bound;     /**< of an index */
        unsigned kind;
    } step[ARENA_PATH_STEPS];
} arena_path_t;

/**
 * Compile a path into offsets.
 *
 * Written as in C: "points[2].x", "next->name", "table[3][4]".  "[]" is an
 * index that is given when the path is used.  A pointer is followed by "->"
 * or by an index.  Of members with the same name the first is meant.
 *
 * @return 0; or -1 with errno EINVAL: NULL; not a path; no such member; an
 *         index past the end; a structure's member of something else; more
 *         than ARENA_PATH_STEPS open indices and pointers.
 *
 * Threads: any.  Lifetime: out refers to the layout.  Collects: never.
 * As MemoryLayout.PathElement of the JDK.
 */
ARENA_API int arena_layout_path(const arena_layout_t *layout,
                                const char *path, arena_path_t *out);

/**
 * The offset that a path leads to.
 *
 * @param indices  count of them, for the open ones from the left
 *
 * @return 0; or -1 with errno set:
 *         EINVAL  NULL, another number of indices, or the path goes through a
 *                 pointer
 *         ERANGE  an index past the end
 */
ARENA_API int arena_path_offset(const arena_path_t *path, arena_form_t form,
                                const size_t *indices, size_t count,
                                size_t *out);

/**
 * The address that a path leads to in the memory at base, through pointers.
 *
 * Pointers are followed as they are: nothing is known of where they lead.
 *
 * @return the address, perhaps not aligned; or NULL with errno as
 *         arena_path_offset, and EFAULT: a pointer on the way is NULL.
 */
ARENA_API void *arena_path_at(const arena_path_t *path, arena_form_t form,
                              const void *base, const size_t *indices,
                              size_t count);

/* --- Serializing ------------------------------------------------------- */

/**
 * Make data of a value, with all that it points to, in an arena.
 *
 * Everything lies in one block, the root first: nothing of it can be freed
 * before the rest, and with the implicit arena (NULL) arena_free of the
 * result frees all.  Padding, the unused end of arrays and the unused bytes
 * of unions are zero.
 *
 * What was shared stays shared: an address that is reached twice with one
 * layout (and count) is copied once, so that cycles are copied as cycles.
 * Lists may be of any length; nothing recurses along pointers.
 *
 * Pointers into memory of the library's are checked before they are followed:
 * the memory must be the thread's to use, and what is read must lie within
 * it.  Pointers to other memory are trusted.
 *
 * On failure the arena is as it was.
 *
 * @param arena   where; NULL: the implicit arena
 * @param layout  of the value
 * @param value   in ARENA_FORM_VALUE; need not be aligned; no other thread
 *                changes what it leads to meanwhile
 *
 * @return the data, in ARENA_FORM_DATA; or NULL with errno as at the top of
 *         this file.
 *
 * What is copied is put together in memory of the system's malloc first, large
 * strings and arrays of plain numbers apart; that is given back at the end,
 * and not charged to the budget.
 *
 * Threads, Collects: as arena_alloc.
 * Lifetime: the arena's.  What untyped pointers point to is not copied, and
 *           not kept, either, unless the arena is ARENA_TRACED and the layout
 *           has them aligned: packed ones are not seen there.
 * As coffi's serialize.
 */
ARENA_API void *arena_serialize(arena_t *arena, const arena_layout_t *layout,
                                const void *value);

/**
 * As arena_serialize; but the root goes to memory of the caller's.
 *
 * On failure that memory, too, is as it was; bytes past the layout's size are
 * not touched.
 *
 * @param out    need not be aligned
 * @param size   of out, in bytes; ERANGE: less than the layout's
 * @param arena  for what is pointed to; not the implicit one (EINVAL), since
 *               only out would keep it.  NULL: nothing is pointed to, else
 *               EINVAL.  An auto arena must be kept, or out be where the
 *               collector looks
 *
 * @return 0; or -1 with errno, also EINVAL: out overlaps what is read.
 *
 * As coffi's serialize-into.
 */
ARENA_API int arena_serialize_into(void *out, size_t size, arena_t *arena,
                                   const arena_layout_t *layout,
                                   const void *value);

/**
 * Make a value of data: as arena_serialize, the other way.
 *
 * @param data  in ARENA_FORM_DATA; need not be aligned.  The pointers in it
 *              are addresses in this process: never read what came from
 *              elsewhere with a layout that has pointers.  Not memory of a
 *              mapped file that can become shorter: arena_get_bytes first
 * @param size  of data, in bytes; ERANGE: less than the layout's
 *
 * @return the value, in ARENA_FORM_VALUE, aligned for it; or NULL with errno.
 *
 * As coffi's deserialize.
 */
ARENA_API void *arena_deserialize(arena_t *arena, const arena_layout_t *layout,
                                  const void *data, size_t size);

/** As arena_deserialize, into memory of the caller's; for out_size and arena
 *  see arena_serialize_into. */
ARENA_API int arena_deserialize_into(void *out, size_t out_size,
                                     arena_t *arena,
                                     const arena_layout_t *layout,
                                     const void *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif
