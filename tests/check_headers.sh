#!/bin/sh
# check_headers.sh - every public header compiles alone, without a warning,
# as C89, C11 and C++17.
set -eu

# Run by `make check`, with srcdir, CC and CXX set.
srcdir=${srcdir:-.}
status=0

# compiles COMPILER LANGUAGE STANDARD HEADER
compiles()
{
    # A compiler may be several words.
    # shellcheck disable=SC2086
    if ! printf '#include <%s>\ntypedef int not_empty;\n' "$4" \
        | $1 -x "$2" -std="$3" -Wall -Wextra -Wpedantic -Wconversion \
            -Wshadow -Wundef -Werror -I"$srcdir/include" -fsyntax-only -; then
        echo "$4 does not compile alone as $3 by $1"
        status=1
    fi
}

for path in "$srcdir"/include/arena.h "$srcdir"/include/arena/*.h; do
    header=${path#"$srcdir"/include/}
    for compiler in "${CC:-cc}" clang; do
        command -v "${compiler%% *}" >/dev/null || continue
        compiles "$compiler" c c89 "$header"
        compiles "$compiler" c c11 "$header"
    done
    [ -z "${CXX:-}" ] || compiles "$CXX" c++ c++17 "$header"
done
exit "$status"
