#!/bin/sh
# check_exports.sh - the public functions are those of lib/libarena.sym: the
# shared library exports exactly these, and the public headers declare no
# function, and rename none to one, that is not among them.  libarena-malloc
# stands before the functions of malloc/libarena-malloc.sym and no others.
set -eu

# Run by `make check` in the build directory, with srcdir, CC and NM set.
srcdir=${srcdir:-.}
library=lib/.libs/libarena.so
[ -e "$library" ] || exit 77 # configured with --disable-shared

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

# compare TITLE OPTION FILE FILE: what comm OPTION prints must be nothing
compare()
{
    if ! LC_ALL=C comm "$2" "$3" "$4" >"$tmp/diff" || [ -s "$tmp/diff" ]; then
        echo "$1:"
        sed 's/^/    /' "$tmp/diff"
        status=1
    fi
}

# exports LIBRARY: the names
exports()
{
    # The compiler's NM may be several words.
    # shellcheck disable=SC2086
    ${NM:-nm} -D --defined-only "$1" | awk '{ print $NF }' | LC_ALL=C sort -u
}

LC_ALL=C sort -u "$srcdir/lib/libarena.sym" >"$tmp/listed"
exports "$library" >"$tmp/exported"
LC_ALL=C sort -u "$srcdir/malloc/libarena-malloc.sym" >"$tmp/stood_before"
exports malloc/.libs/libarena-malloc.so >"$tmp/answered"

for header in "$srcdir"/include/arena.h "$srcdir"/include/arena/*.h; do
    # shellcheck disable=SC2086
    ${CC:-cc} -E -P -I"$srcdir/include" "$header"
done >"$tmp/text"
{
    tr '\n' ' ' <"$tmp/text" \
        | grep -oE 'visibility\("default"\)\)\) [^(;{]*\(' \
        | sed -E 's/ *\($//; s/.*[ *]//'
    sed -n 's/^ *#pragma redefine_extname [^ ]* //p' "$tmp/text"
} | LC_ALL=C sort -u >"$tmp/declared"
[ -s "$tmp/declared" ]

compare 'exported, but not in libarena.sym' -23 "$tmp/exported" "$tmp/listed"
compare 'in libarena.sym, but not exported' -13 "$tmp/exported" "$tmp/listed"
compare 'in a header, but not in libarena.sym' -23 "$tmp/declared" \
    "$tmp/listed"
compare 'libarena-malloc exports other functions than it lists' -3 \
    "$tmp/answered" "$tmp/stood_before"
exit "$status"
