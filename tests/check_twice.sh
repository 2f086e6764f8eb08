#!/bin/sh
# check_twice.sh - a program that was linked with the static library, and
# loads the shared one, is told of it by the report of its own.
set -eu

# Run by `make check` in the build directory, with srcdir and CC set.
srcdir=${srcdir:-.}
libraries=$PWD/lib/.libs
for library in libarena.a libarena.so; do
    [ -e "$libraries/$library" ] || exit 77 # configured without
done

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/twice.c" <<'END'
#include <arena.h>
#include <dlfcn.h>

int
main(int argc, char **argv)
{
    if (argc > 1 && dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) == NULL)
        return 2;
    return arena_report(stdout) == 0 ? 0 : 1;
}
END
# Compilers and flags may be several words.
# shellcheck disable=SC2086
${CC:-cc} -I"$srcdir/include" -o "$tmp/twice" "$tmp/twice.c" \
    "$libraries/libarena.a" ${BDW_GC_LIBS:--lgc} -lpthread

"$tmp/twice" >"$tmp/out"
if grep 'another libarena' "$tmp/out"; then
    exit 1
fi
"$tmp/twice" "$libraries/libarena.so" >"$tmp/out"
grep -q 'another libarena' "$tmp/out"
