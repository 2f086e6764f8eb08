#!/bin/sh
# check_routes.sh - an old program is compiled again with arena/malloc.h by
# every compiler at hand, in every C standard, and in the ways that programs
# are: nothing keeps libc's names, and it runs.
set -u

# Run by `make check` in the build directory, with srcdir, CC and NM set.
build=$PWD
source=$(cd "${srcdir:-.}" && pwd)
[ -e "$build/lib/.libs/libarena.so" ] || exit 77 # --disable-shared

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0
renamed='malloc|calloc|realloc|free|strdup|getcwd|__getcwd_chk'

# run_as COMPILER NAME FLAG...: compile, link and run tests/route/NAME
run_as()
{
    compiler=$1 file=$2 name=${2%.*}
    shift 2
    # A compiler may be several words.
    # shellcheck disable=SC2086
    if ! $compiler "$@" -g -I"$source/include" \
        -include "$source/include/arena/malloc.h" \
        -c "$source/tests/route/$file" -o "$tmp/$name.o" 2>"$tmp/err" \
        || ! $compiler "$@" "$tmp/$name.o" "$tmp/other.o" \
            -L"$build/lib/.libs" -larena -Wl,-rpath,"$build/lib/.libs" \
            -o "$tmp/$name" 2>"$tmp/err"; then
        echo "does not build: $compiler $*"
        cat "$tmp/err"
        status=1
    elif ! "$tmp/$name" 2>"$tmp/err"; then
        echo "does not run: $compiler $*"
        cat "$tmp/err"
        status=1
    fi
}

# Nothing but libc's own is left under the old names.
expect_renamed()
{
    if "${NM:-nm}" --undefined-only "$tmp/old.o" \
        | grep -E " ($renamed)\$"; then
        echo "not renamed: $*"
        status=1
    fi
}

compilers=${CC:-cc}
for compiler in gcc clang; do
    case " $compilers " in
    *" $compiler "*) ;;
    *) ! command -v $compiler >/dev/null || compilers="$compilers $compiler" ;;
    esac
done

# shellcheck disable=SC2086
${CC:-cc} -I"$source/include" -c "$source/tests/route/other.c" \
    -o "$tmp/other.o" || exit 1
for compiler in $compilers; do
    for standard in c89 gnu89 c99 gnu99 c11 gnu11 c17 gnu17; do
        run_as "$compiler" old.c -std=$standard -O2
        expect_renamed "$compiler" -std=$standard
    done
    for flags in -O0 -O3 -Os '-O2 -flto' '-O3 -fno-builtin' -fPIE \
        '-O1 -D_FORTIFY_SOURCE=1' '-O2 -D_FORTIFY_SOURCE=2' \
        '-O2 -D_FORTIFY_SOURCE=3'; do
        # shellcheck disable=SC2086
        run_as "$compiler" old.c $flags
        # Compilers' own form of objects says nothing of symbols.
        case $flags in
        *lto*) ;;
        *) expect_renamed "$compiler" "$flags" ;;
        esac
    done
    run_as "$compiler" old.c -std=gnu89 -O2 -w -DOLD_DECLARATIONS
    expect_renamed "$compiler" 'own declarations'
    run_as "$compiler" careless.c -DARENA_IGNORE_FREE -O0 -w
    run_as "$compiler" careless.c -DARENA_IGNORE_FREE -O1 -w -fno-builtin
done
# Where the preprocessor's output is looked at there is nothing but directives.
if ${CC:-cc} -include "$source/include/arena/malloc.h" -E -x c /dev/null \
    | grep -v '#' | grep '[^ ]'; then
    echo "the header is seen in what the preprocessor gives"
    status=1
fi

# The standard library of C++ keeps its new and delete.
for compiler in ${CXX:-c++} clang++; do
    ! command -v "$compiler" >/dev/null || run_as "$compiler" plus.cc -O2
done
exit $status
