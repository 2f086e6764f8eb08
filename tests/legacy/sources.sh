#!/bin/bash
# sources.sh - old programs, compiled again with arena/malloc.h, and their own
# tests.
#
#     tests/legacy/sources.sh [PROGRAM...]
#
# Run by `make check-legacy` in the build directory, with srcdir, CC and MAKE
# set.  Each program is a Debian source package, fetched by apt-get from where
# this machine gets its packages; nothing of the machine's configuration is
# written, and nothing outside $LEGACY_DIR (by default legacy/ here).  It is
# built twice, as it is and with the header included, and what its tests say
# must be the same: as the collector sees fit, and with a collection every
# megabyte.  Exits with 77 if there are no sources to be had.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -u

build=$PWD
src=$(cd "${srcdir:-.}" && pwd)
work=${LEGACY_DIR:-$build/legacy}
CC=${CC:-cc}
MAKE=${MAKE:-make}
every=${LEGACY_GC_EVERY:-1M}
limit=${LEGACY_SECONDS:-900} # for one run of a program's tests

route_flags="-include $src/include/arena/malloc.h"
route_libs="-L$build/lib/.libs -Wl,-rpath,$build/lib/.libs -larena"

unset MAKEFLAGS MAKELEVEL MFLAGS ARENA_LIMIT ARENA_MODE ARENA_GC_EVERY \
    ARENA_ROOTS GC_INITIAL_HEAP_SIZE CFLAGS CPPFLAGS LDFLAGS LIBS
export LC_ALL=C

status=0 done=0
mkdir -p "$work" && cd "$work" || exit 1

say()
{
    echo "$*"
}

fault()
{
    say "FAIL: $*"
    status=1
}

# --- Packages -----------------------------------------------------------------

apt=(-qq
    -o "Dir::Etc::SourceList=/dev/null"
    -o "Dir::Etc::SourceParts=$work/apt/parts"
    -o "Dir::State::lists=$work/apt/lists"
    -o "Dir::Cache=$work/apt/cache"
    -o "APT::Sandbox::User=root")

# The machine's own registries, asked for sources.
apt_prepare()
{
    command -v apt-get >/dev/null && command -v dpkg-source >/dev/null \
        || return 1
    mkdir -p apt/parts apt/lists/partial apt/cache/archives/partial
    rm -f apt/parts/*
    local file name
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        [ -r "$file" ] || continue
        grep -q debian "$file" || continue
        name=apt/parts/$(basename "$file")
        case $file in
        *.sources) sed 's/^Types:.*/Types: deb-src/' "$file" >"$name" ;;
        *.list) sed -n 's/^deb /deb-src /p' "$file" >"$name" ;;
        esac
    done
    apt-get "${apt[@]}" update >apt/log 2>&1
    [ -n "$(apt-cache "${apt[@]}" showsrc zlib 2>/dev/null)" ]
}

# fetch PACKAGE: its newest version that can be had, as upstream wrote it if
# the second argument is --skip-patches
fetch()
{
    local version
    rm -rf "$1" && mkdir "$1"
    for version in $(apt-cache "${apt[@]}" showsrc --only-source "$1" \
        | sed -n 's/^Version: //p' | sort -rV); do
        (cd "$1" \
            && apt-get "${apt[@]}" source --download-only "$1=$version" \
            && dpkg-source ${2:-} -x ./*.dsc tree) >"$1.log" 2>&1 \
            || { rm -f "$1"/* && continue; }
        echo "$version" >"$1/version"
        cp -a "$1/tree" "$1/plain" && mv "$1/tree" "$1/route"
        return 0
    done
    say "SKIP: $1: no source package"
    return 1
}

# --- Building and comparing ---------------------------------------------------

# in_tree PROGRAM TREE FUNCTION ARGUMENT...: build_PROGRAM or test_PROGRAM,
# where it may take $limit seconds
in_tree()
{
    local dir=$work/$1/$2 function=$3_${1%%[0-9]*}
    shift 3
    (cd "$dir" && timeout "$limit" bash -c "$function \"\$@\"" "$0" "$@") \
        2>&1 </dev/null
}

# both PROGRAM: build it both ways with build_PROGRAM FLAGS LIBS, in the tree
both()
{
    in_tree "$1" plain build "" "" >"$1.plain.log" \
        || { say "SKIP: $1: it does not build as it is" && return 1; }
    in_tree "$1" route build "$route_flags" "$route_libs" >"$1.route.log" \
        || { fault "$1: does not build ($work/$1.route.log)" && return 1; }
}

# compare PROGRAM: what test_PROGRAM prints is the same; it is run in the tree
# and prints only what does not change from one run to the next
compare()
{
    local want=$work/$1.want got=$work/$1.got schedule

    in_tree "$1" plain test >"$want"
    [ -s "$want" ] || { say "SKIP: $1: its tests say nothing" && return; }
    for schedule in 0 "$every"; do
        export ARENA_GC_EVERY="$schedule"
        in_tree "$1" route test >"$got"
        unset ARENA_GC_EVERY
        if cmp -s "$want" "$got"; then
            say "PASS: $1 $(cat "$1/version"), $(summary "$got")," \
                "a collection every $schedule"
        else
            cp "$got" "$got.$schedule"
            fault "$1, a collection every $schedule:" \
                "diff $want $got.$schedule"
            diff "$want" "$got" | head -20
        fi
    done
    done=$((done + 1))
}

summary()
{
    grep -c . "$1" | sed 's/$/ results/'
}

# The renaming reached the program: libarena is called.
uses_arena()
{
    nm -D --undefined-only "$1" | grep -q arena_legacy_malloc \
        || fault "$1 does not use the library"
}

# The outcomes of automake's and gnulib's tests, of all logs.
outcomes()
{
    grep -hE '^(PASS|FAIL|XFAIL|XPASS|SKIP|ERROR): ' "$@" | sort
}

export -f outcomes

# --- The programs -------------------------------------------------------------

# Upstream's tests are no part of its tarball: scripts of our own, whose
# output is compared.
build_lua()
{
    $MAKE -C src -j2 CC="$CC" linux-noreadline MYCFLAGS="$1" MYLIBS="$2"
}

test_lua()
{
    local script
    for script in "$LEGACY_SCRIPTS"/*.lua; do
        ./src/lua "$script"
        echo "$(basename "$script"): exit status $?"
    done
}

build_sed()
{
    ./configure --disable-nls --disable-acl CC="$CC" \
        CFLAGS="-O2 -g -D_FORTIFY_SOURCE=2" CPPFLAGS="$1" LIBS="$2" \
        && $MAKE -j2
}

# Without those that ask valgrind for uninitialised bytes, which are just what
# a conservative collector looks at.
test_sed()
{
    mkdir -p bin && ln -sf "$(type -P false)" bin/valgrind
    PATH=$PWD/bin:$PATH $MAKE check >check.out 2>&1
    outcomes check.out
}

build_jq()
{
    { [ -x configure ] || autoreconf -fi; } \
        && ./configure --without-oniguruma --disable-docs \
            --disable-maintainer-mode --disable-valgrind --disable-shared \
            CC="$CC" CFLAGS="-O2 -g" CPPFLAGS="$1" LIBS="$2" \
        && $MAKE -j2
}

test_jq()
{
    $MAKE check >check.out 2>&1
    outcomes check.out
    # What each test file says of itself.
    grep -hE '^[0-9]+ of [0-9]+ tests' tests/*.log | sort
}

build_zlib()
{
    CC="$CC" CFLAGS="-O3 $1" LDFLAGS="$2" ./configure --static \
        && $MAKE -j2 LDSHAREDLIBC="-lc $2" \
            LDFLAGS="$2 -L. libz.a $2" static
}

test_zlib()
{
    local size
    $MAKE -s teststatic 2>&1 | grep -v '^make'
    for size in 1 1000 1000000; do
        head -c "$size" "$LEGACY_LIBRARY" | ./minigzip | ./minigzip -d \
            | cksum
    done
    ./minigzip <"$LEGACY_LIBRARY" | cksum
}

export -f build_lua test_lua build_sed test_sed build_jq test_jq \
    build_zlib test_zlib
export CC MAKE LEGACY_SCRIPTS=$src/tests/legacy/lua
LEGACY_LIBRARY=$(ls "$build"/lib/.libs/libarena.so.*.*.*)
export LEGACY_LIBRARY

# program NAME BINARY [--skip-patches]
program()
{
    fetch "$1" "${3:-}" && both "$1" || return
    uses_arena "$1/route/$2"
    compare "$1"
}

apt_prepare || { say "SKIP: no registry of source packages" && exit 77; }
[ $# -ne 0 ] || set -- lua5.4 sed jq zlib
for name; do
    case $name in
    lua5.4) program lua5.4 src/lua --skip-patches ;;
    sed) program sed sed/sed ;;
    jq) program jq jq ;;
    zlib) program zlib minigzip ;;
    *) fault "no such program: $name" ;;
    esac
done
[ "$done" -ne 0 ] || [ "$status" -ne 0 ] || exit 77
exit "$status"
