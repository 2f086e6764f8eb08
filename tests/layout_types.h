/*
 * layout_types.h - members of structures and unions, from which check_layout
 * makes types for the compiler and layouts for the library.  Each list is
 * used four times: a structure, one that is packed, one of pack 2, a union.
 *
 * M(type, name, brackets, layout): one member.
 */
#ifndef LAYOUT_TYPES_H
#define LAYOUT_TYPES_H

#define LIST_t00(M)                                                           \
    M(bool, a, , SCALAR(bool))

#define LIST_t01(M)                                                           \
    M(unsigned long, a, , SCALAR(ulong))                                      \
    M(unsigned, b, , SCALAR(uint))                                            \
    M(uint64_t, c, [1], ARRAY(SCALAR(u64), 1))                                \
    M(uint16_t, d, [3], ARRAY(SCALAR(u16), 3))                                \
    M(uint64_t, e, , SCALAR(u64))                                             \
    M(uint16_t, f, , SCALAR(u16))                                             \
    M(int8_t, g, , SCALAR(i8))                                                \
    M(int, h, , SCALAR(int))

#define LIST_t02(M)                                                           \
    M(short, a, , SCALAR(short))                                              \
    M(int16_t, b, , SCALAR(i16))                                              \
    M(void *, c, , SCALAR(address))                                           \
    M(int32_t, d, , SCALAR(i32))

#define LIST_t03(M)                                                           \
    M(int8_t, a, [2], ARRAY(SCALAR(i8), 2))                                   \
    M(uint32_t, b, [2], ARRAY(SCALAR(u32), 2))

#define LIST_t04(M)                                                           \
    M(int64_t, a, , SCALAR(i64))                                              \
    M(int64_t, b, , SCALAR(i64))                                              \
    M(int64_t, c, , SCALAR(i64))                                              \
    M(short, d, [3], ARRAY(SCALAR(short), 3))

#define LIST_t05(M)                                                           \
    M(uint32_t, a, , SCALAR(u32))                                             \
    M(float, b, [1], ARRAY(SCALAR(f32), 1))

#define LIST_t06(M)                                                           \
    M(void *, a, , SCALAR(address))                                           \
    M(void *, b, [3], ARRAY(SCALAR(address), 3))                              \
    M(bool, c, , SCALAR(bool))                                                \
    M(struct t03_pack2, d, , MADE(t03_pack2))

#define LIST_t07(M)                                                           \
    M(uint32_t, a, , SCALAR(u32))                                             \
    M(int8_t, b, , SCALAR(i8))                                                \
    M(union t02_union, c, [2], ARRAY(MADE(t02_union), 2))

#define LIST_t08(M)                                                           \
    M(union t05_union, a, , MADE(t05_union))                                  \
    M(int8_t, b, [5], ARRAY(SCALAR(i8), 5))                                   \
    M(uint32_t, c, , SCALAR(u32))                                             \
    M(int64_t, d, [1], ARRAY(SCALAR(i64), 1))                                 \
    M(struct t07_pack2, e, , MADE(t07_pack2))                                 \
    M(unsigned long, f, , SCALAR(ulong))

#define LIST_t09(M)                                                           \
    M(struct t02_pack2, a, , MADE(t02_pack2))                                 \
    M(union t01_union, b, , MADE(t01_union))                                  \
    M(struct t02_packed, c, [3], ARRAY(MADE(t02_packed), 3))                  \
    M(bool, d, , SCALAR(bool))

#define LIST_t10(M)                                                           \
    M(size_t, a, , SCALAR(size_t))                                            \
    M(char, b, , SCALAR(char))                                                \
    M(int16_t, c, , SCALAR(i16))

#define LIST_t11(M)                                                           \
    M(double, a, , SCALAR(f64))                                               \
    M(struct t05, b, [2], ARRAY(MADE(t05), 2))                                \
    M(struct t09, c, [2], ARRAY(MADE(t09), 2))                                \
    M(bool, d, [3], ARRAY(SCALAR(bool), 3))                                   \
    M(int, e, , SCALAR(int))                                                  \
    M(uint8_t, f, , SCALAR(u8))                                               \
    M(struct t08_packed, g, , MADE(t08_packed))

#define LIST_t12(M)                                                           \
    M(union t06_union, a, [2], ARRAY(MADE(t06_union), 2))                     \
    M(bool, b, , SCALAR(bool))                                                \
    M(int, c, , SCALAR(int))

#define LIST_t13(M)                                                           \
    M(void *, a, , SCALAR(address))                                           \
    M(union t12_union, b, , MADE(t12_union))                                  \
    M(char, c, [5], ARRAY(SCALAR(char), 5))                                   \
    M(long, d, , SCALAR(long))

#define LIST_t14(M)                                                           \
    M(union t07_union, a, [2], ARRAY(MADE(t07_union), 2))                     \
    M(long, b, [3], ARRAY(SCALAR(long), 3))                                   \
    M(long, c, , SCALAR(long))                                                \
    M(size_t, d, , SCALAR(size_t))                                            \
    M(struct t11, e, , MADE(t11))

#define LIST_t15(M)                                                           \
    M(struct t12, a, , MADE(t12))                                             \
    M(struct t12_pack2, b, , MADE(t12_pack2))                                 \
    M(struct t11_pack2, c, , MADE(t11_pack2))                                 \
    M(struct t12_packed, d, [2], ARRAY(MADE(t12_packed), 2))                  \
    M(float, e, , SCALAR(f32))                                                \
    M(float, f, , SCALAR(f32))                                                \
    M(unsigned long, g, , SCALAR(ulong))                                      \
    M(bool, h, [3], ARRAY(SCALAR(bool), 3))

#define LIST_t16(M)                                                           \
    M(int, a, [3], ARRAY(SCALAR(int), 3))                                     \
    M(union t10_union, b, [3], ARRAY(MADE(t10_union), 3))                     \
    M(struct t10_packed, c, [2], ARRAY(MADE(t10_packed), 2))                  \
    M(struct t15_pack2, d, , MADE(t15_pack2))

#define LIST_t17(M)                                                           \
    M(int, a, , SCALAR(int))                                                  \
    M(char *, b, , SCALAR(string))                                            \
    M(int, c, , SCALAR(int))                                                  \
    M(size_t, d, , SCALAR(size_t))                                            \
    M(struct t13, e, , MADE(t13))                                             \
    M(char *, f, , SCALAR(string))                                            \
    M(uint32_t, g, , SCALAR(u32))

#define LIST_t18(M)                                                           \
    M(struct t12, a, , MADE(t12))                                             \
    M(struct t13_packed, b, [2], ARRAY(MADE(t13_packed), 2))                  \
    M(struct t11_pack2, c, , MADE(t11_pack2))

#define LIST_t19(M)                                                           \
    M(size_t, a, , SCALAR(size_t))                                            \
    M(unsigned, b, , SCALAR(uint))                                            \
    M(void *, c, , SCALAR(address))

#define LIST_t20(M)                                                           \
    M(uint64_t, a, [3], ARRAY(SCALAR(u64), 3))                                \
    M(short, b, , SCALAR(short))

#define LIST_t21(M)                                                           \
    M(struct t14_pack2, a, , MADE(t14_pack2))                                 \
    M(struct t17, b, [3], ARRAY(MADE(t17), 3))                                \
    M(char, c, , SCALAR(char))                                                \
    M(struct t17_pack2, d, [2], ARRAY(MADE(t17_pack2), 2))

#define LIST_t22(M)                                                           \
    M(char *, a, , SCALAR(string))                                            \
    M(bool, b, [5], ARRAY(SCALAR(bool), 5))                                   \
    M(void *, c, , SCALAR(address))                                           \
    M(long, d, , SCALAR(long))                                                \
    M(struct t16, e, [3], ARRAY(MADE(t16), 3))

#define LIST_t23(M)                                                           \
    M(union t15_union, a, , MADE(t15_union))                                  \
    M(char *, b, , SCALAR(string))                                            \
    M(struct t17_pack2, c, [3], ARRAY(MADE(t17_pack2), 3))                    \
    M(uint64_t, d, , SCALAR(u64))                                             \
    M(long, e, , SCALAR(long))                                                \
    M(union t21_union, f, [2], ARRAY(MADE(t21_union), 2))                     \
    M(float, g, [3], ARRAY(SCALAR(f32), 3))                                   \
    M(int, h, , SCALAR(int))

#define EACH_LIST(X)                                                          \
    X(t00) X(t01) X(t02) X(t03) X(t04) X(t05) X(t06) X(t07)                   \
    X(t08) X(t09) X(t10) X(t11) X(t12) X(t13) X(t14) X(t15)                   \
    X(t16) X(t17) X(t18) X(t19) X(t20) X(t21) X(t22) X(t23)

#endif
