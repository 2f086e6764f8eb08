#!/bin/sh
# check_layout_macros.sh - the macros of arena/layout.h refuse a table that
# does not fit its type, when the program is compiled.
set -eu

# Run by `make check`, with srcdir and CC set.
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
exit "$status"
