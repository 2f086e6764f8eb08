#!/bin/sh
# check_layout_macros.sh - the macros of arena/layout.h refuse a table that
# does not fit its type, when the program is compiled; and they give no
# warnings, in C++ either.
set -eu

# Run by `make check`, with srcdir, CC and CXX set.
srcdir=${srcdir:-.}
status=0

# table MEMBERS OF THE STRUCTURE, FIELD, LAYOUT: does it compile?
table()
{
    # A compiler may be several words.
    # shellcheck disable=SC2086
    printf '%s\n' '#include <arena/layout.h>' \
        'ARENA_ARRAY(bytes8, arena_layout_u8, 8);' \
        'ARENA_POINTER(bytes, arena_layout_u8);' \
        "struct s { $1 };" \
        "ARENA_STRUCT(s_layout, struct s, ARENA_MEMBER(struct s, $2, $3));" \
        'const arena_layout_t *use[] = {&s_layout, &bytes8, &bytes};' \
        | ${CC:-cc} -x c -std=c11 -Wall -Wextra -Wpedantic -Werror \
            -I"$srcdir/include" -fsyntax-only - 2>/dev/null
}

accepts()
{
    if ! table "$@"; then
        echo "$2 of { $1 } is refused as $3"
        status=1
    fi
}

refuses()
{
    if table "$@"; then
        echo "$2 of { $1 } is taken for $3"
        status=1
    fi
}

accepts 'char *a;' a arena_layout_string
accepts 'const char *a;' a arena_layout_string
accepts 'unsigned char a[8];' a bytes8
accepts 'char *a;' a bytes
accepts 'void *a;' a arena_layout_address
accepts 'int a;' a arena_layout_i32
refuses 'char a[8];' a arena_layout_string
refuses 'char a[8];' a bytes
refuses 'char *a;' a bytes8
refuses 'long a;' a arena_layout_string
refuses 'char *a;' a arena_layout_u64
refuses 'double a;' a arena_layout_u64
refuses 'int a;' a arena_layout_u64
refuses 'struct { char b[8]; } a;' a bytes8
refuses 'int a;' b arena_layout_i32

# --- Signs of enumerations ----------------------------------------------------

# signs COMPILER LANGUAGE STANDARD
signs()
{
    # A compiler may be several words.
    # shellcheck disable=SC2086
    if ! $1 -x "$2" -std="$3" -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
        -Werror -I"$srcdir/include" -fsyntax-only - <<'END'
#include <arena/layout.h>
enum colour { RED, GREEN };
enum turn { LEFT = -1, RIGHT = 1 };
ARENA_ENUM(colours, enum colour, ARENA_VARIANT(RED), ARENA_VARIANT(GREEN));
ARENA_ENUM_AS(short_colours, enum colour, uint8_t, ARENA_BIG_ENDIAN,
              ARENA_VARIANT(RED));
ARENA_ENUM(turns, enum turn, ARENA_VARIANT(LEFT), ARENA_VARIANT(RIGHT));
ARENA_FLAGS(bits, uint64_t, ARENA_VARIANT(1u));
#ifdef __cplusplus
enum class wide : unsigned long { ONE = 1 };
ARENA_FLAGS(wides, wide, ARENA_VARIANT(wide::ONE));
static_assert(ARENA_IS_SIGNED_(enum turn) && !ARENA_IS_SIGNED_(wide)
                  && !ARENA_IS_SIGNED_(enum colour),
              "as what is behind them");
const arena_layout_t *used_wides = &wides;
#endif
const arena_layout_t *used[] = {&colours, &short_colours, &turns, &bits};
END
    then
        echo "enumerations do not compile without warnings as $3"
        status=1
    fi
}

signs "${CC:-cc}" c c11
[ -z "${CXX:-}" ] || for standard in c++11 c++17; do
    signs "$CXX" c++ "$standard"
done
exit "$status"
