#!/bin/sh
# binaries.sh - programs of the system run unmodified on libarena: they print
# the same as without it, and end the same way.
#
#     binaries.sh [PROGRAM...]
#
# Run by `make check-legacy` in the build directory, with srcdir set.  Installs
# what is missing when it may (Debian, as root or with sudo; not with
# LEGACY_INSTALL=no), and skips it otherwise.  LEGACY_SIZE=2 doubles the work.
set -u

[ $# -gt 0 ] || set -- bash perl python gcc gdb git sqlite vim nginx redis \
    lua jq gawk node

BUILDDIR=$PWD
SRCDIR=$(cd "${srcdir:-.}" && pwd)
run=$BUILDDIR/tools/arena-run
ARENA_MALLOC_LIBRARY=$BUILDDIR/malloc/.libs/libarena-malloc.so
LD_LIBRARY_PATH=$BUILDDIR/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export BUILDDIR SRCDIR ARENA_MALLOC_LIBRARY LD_LIBRARY_PATH
unset ARENA_MODE ARENA_STATS ARENA_REPORT ARENA_IGNORE_FREE ARENA_GC_EVERY \
    ARENA_LIMIT ARENA_ROOTS GC_INITIAL_HEAP_SIZE RUN
[ -e "$ARENA_MALLOC_LIBRARY" ] || exit 77 # configured with --disable-shared

workload=$SRCDIR/tests/legacy/workloads/workload.sh
size=${LEGACY_SIZE:-1}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

# --- Packages -----------------------------------------------------------------

as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# install PACKAGE...: what belongs to servers is not started
install()
{
    [ "${LEGACY_INSTALL:-yes}" != no ] || return 1
    command -v apt-get >/dev/null && as_root true 2>/dev/null || return 1
    if [ ! -e "$tmp/updated" ]; then
        as_root apt-get update
        : >"$tmp/updated"
    fi
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y --no-install-recommends "$@"
}

# installed NAME: is there what it takes?  If not, after installing it?
installed()
{
    "$workload" probe "$1" && return
    # The list is meant to be split.
    # shellcheck disable=SC2046
    install $("$workload" package "$1") >"$tmp/install" 2>&1
    "$workload" probe "$1"
}

# --- Runs ---------------------------------------------------------------------

# run_as TITLE RUN: the workload of name; its output and its exit status
run_as()
{
    RUN=$2 timeout -k 10 300 "$workload" run "$name" "$size" \
        >"out.$1" 2>"err.$1" </dev/null
    echo "exit status $?" >>"out.$1"
}

# compare TITLE OPTIONS: under arena-run as without it
compare()
{
    run_as "$1" "$run${2:+ $2}"
    if ! cmp -s out.plain "out.$1"; then
        echo "$name, $1: not the same as without libarena"
        diff out.plain "out.$1" | head -n 20 | sed 's/^/    /'
        tail -n 20 "err.$1" | sed 's/^/    /'
        status=1
        same=no
    fi
}

check_program()
{
    mkdir "$tmp/$name"
    cd "$tmp/$name" || exit 1
    if ! "$workload" prepare "$name" "$size" >prepared 2>&1; then
        echo "$name: cannot be prepared"
        sed 's/^/    /' prepared
        status=1
        return
    fi
    run_as plain ''
    if [ "$(tail -n 1 out.plain)" != 'exit status 0' ]; then
        echo "$name: fails without libarena, too"
        tail -n 20 err.plain | sed 's/^/    /'
        status=1
        return
    fi
    same=yes
    compare normal ''
    compare often '--gc-every 1M'
    compare explicit '--mode explicit'
    [ "$same" = no ] || echo "$name: same"
}

# The comparisons mean something only if there are collections.
check_collections()
{
    "$run" --stats --gc-every 1M awk 'BEGIN {
        for (i = 0; i < 300000; i++) text[i % 100] = i "" }' 2>"$tmp/stats"
    grep -q '^arena: collect, .* [1-9][0-9]* collections$' "$tmp/stats" && return
    echo "nothing is collected here:"
    sed 's/^/    /' "$tmp/stats"
    exit 1
}

check_collections
done=0
for name; do
    if installed "$name"; then
        check_program
        cd "$tmp" && rm -rf "${tmp:?}/$name"
        done=$((done + 1))
    else
        echo "$name: not installed, skipped"
    fi
done
[ "$done" -gt 0 ] || exit 77
exit "$status"
