#!/bin/sh
# install.sh - an installed libarena serves a user's programs, in C and C++,
# with the flags that pkg-config gives.  Run by `make installcheck`:
#
#     install.sh DESTDIR PREFIX LIBDIR BINDIR MANDIR
set -eu

destdir=$1 prefix=$2 libdir=$3 bindir=$4 mandir=$5
pkg_config=${PKG_CONFIG:-pkg-config}
PKG_CONFIG_PATH=$destdir$libdir/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
LD_LIBRARY_PATH=$destdir$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PKG_CONFIG_PATH LD_LIBRARY_PATH

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/user.c" <<'END'
#include <arena.h>
#include <arena/budget.h>
#include <arena/heap.h>

#include <string.h>

int
main(void)
{
    arena_t *arena = arena_confined();
    char *text = arena_printf(arena, "%d blocks", 2);
    void *block = arena_malloc(100);
    int good = text != NULL && strcmp(text, "2 blocks") == 0 && block != NULL
               && arena_of(text) == arena && arena_limit() != 0;

    arena_free(block);
    return good && arena_close(arena) == 0 ? 0 : 1;
}
END
cp "$tmp/user.c" "$tmp/user.cc"

# query OPTION...: what pkg-config answers, for files under DESTDIR
query()
{
    $pkg_config --define-variable=prefix="$destdir$prefix" "$@" libarena
}

# try COMPILER SOURCE FLAG...: build the program, and run it
try()
{
    echo "$1 $2"
    compiler=$1 source=$2
    shift 2
    # Compilers may be several words.
    # shellcheck disable=SC2086
    $compiler -o "$tmp/user" "$tmp/$source" "$@"
    "$tmp/user"
}

# Flags are meant to be split.
# shellcheck disable=SC2046
{
    try "${CC:-cc}" user.c $(query --cflags --libs)
    [ -z "${CXX:-}" ] || try "$CXX" user.cc $(query --cflags --libs)
    [ ! -e "$destdir$libdir/libarena.a" ] \
        || try "${CC:-cc}" user.c $(query --cflags) \
            "$destdir$libdir/libarena.a" \
            $($pkg_config --libs bdw-gc) -pthread
}

# A program that is already built, under the installed arena-run: it finds its
# libraries, wherever all were put.
if [ -e "$destdir$libdir/libarena-malloc.so" ]; then
    echo arena-run
    unset LD_LIBRARY_PATH ARENA_MALLOC_LIBRARY
    "$destdir$bindir/arena-run" --stats env echo hello \
        >"$tmp/out" 2>"$tmp/err"
    grep -q '^hello$' "$tmp/out"
    grep -q '^arena: collect, ' "$tmp/err"
fi

# A manual page is found by each of its names.
echo man
for name in arena_mark arena_rewind ARENA_MEMBER_BY arena_set_u16_be_at; do
    page=$destdir$mandir/man3/$name.3
    leads=$(sed -n 's/^\.so //p' "$page")
    [ -z "$leads" ] || page=$destdir$mandir/$leads
    grep -q '^\.TH ' "$page"
done
