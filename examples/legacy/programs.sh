#!/bin/sh
# programs.sh - programs of the system, and a loop that leaks, under arena-run.
#
# Environment: SRCDIR, BUILDDIR (top directories, absolute), CC.
# Exit status: 0 fine; 1 a run failed, outputs differ or the loop grew.
set -eu

run=$BUILDDIR/tools/arena-run
ARENA_MALLOC_LIBRARY=$BUILDDIR/malloc/.libs/libarena-malloc.so
LD_LIBRARY_PATH=$BUILDDIR/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export SRCDIR BUILDDIR ARENA_MALLOC_LIBRARY LD_LIBRARY_PATH
unset ARENA_MODE ARENA_STATS ARENA_REPORT ARENA_IGNORE_FREE ARENA_GC_EVERY \
    ARENA_LIMIT RUN
workload=$SRCDIR/tests/legacy/workloads/workload.sh
here=$SRCDIR/examples/legacy
work=$BUILDDIR/examples/legacy/demo

ROUNDS=2
REQUESTS=1500000
LIMIT=64 # MiB, of the loop that leaks

if [ ! -e "$ARENA_MALLOC_LIBRARY" ]; then
    echo "No libarena-malloc: this build has no shared libraries."
    exit 0
fi
status=0

# --- Programs -----------------------------------------------------------------

row()
{
    printf '  %-8s %8s %9s %9s %9s %13s  %s\n' "$@"
}

# collections NAME SIZE: how many there were in all of its processes
collections()
{
    RUN="$run --stats" "$workload" run "$1" "$2" 2>&1 >/dev/null \
        | awk '/^arena: collect/ { n += $(NF - 1) } END { print n + 0 }'
}

# show_program NAME SIZE: a row of the table
show_program()
{
    if ! "$workload" probe "$1"; then
        echo "  $1: not installed, skipped"
        return
    fi
    rm -rf "${work:?}/$1"
    mkdir "$work/$1"
    cd "$work/$1"
    "$workload" prepare "$1" "$2"
    if ! figures=$("$BUILDDIR/bench/programs" -c -n $ROUNDS "$1" "$run" \
        "$workload" run "$1" "$2" 2>err); then
        echo "  $1: $(tail -n 1 err)"
        status=1
        return
    fi
    IFS=, read -r name time _ memory time2 _ memory2 _ <<EOF
$figures
EOF
    row "$name" "$(printf '%.1f s' "$time")" "$((${memory%.*} / 1024)) MiB" \
        "$(printf '%.1f s' "$time2")" "$((${memory2%.*} / 1024)) MiB" \
        "$(collections "$1" "$2")" identical
}

cat <<'END2'

Programs that nobody here wrote, as they were installed.

arena-run starts a program with libarena in place of the C library's malloc.
Nothing is compiled; each works on some data of its kind, with malloc and on
libarena by turns:

  arena-run lua5.4 lua.lua 6
  arena-run sqlite3 :memory: <sqlite.sql
  arena-run python3 python.py 4

END2
echo '             malloc             libarena'
row program time memory time memory collections output
show_program lua 6
show_program sqlite 6
show_program python 4

# --- A loop that leaks --------------------------------------------------------

# The loop takes 1.1 KiB for each request, as it is.
requests_that_fit()
{
    awk -v most=$REQUESTS '/^MemAvailable:/ {
        fit = int($2 / 2 / 1.1)
        print fit < most ? fit : most
    }' /proc/meminfo
}

# loop THREADS TITLE COMMAND...: a row; the last but one figure is its peak
loop()
{
    threads=$1 title=$2
    shift 2
    if ! figures=$("$@" "$work/requests" "$requests" "$threads"); then
        echo "  $title: it failed"
        status=1
        return
    fi
    # Meant to be split.
    # shellcheck disable=SC2086
    printf '  %-8s %2s %5s %4s %4s %4s %4s %4s %4s %4s %4s %4s %5s %4s s\n' \
        "$title" "$threads" $figures
    peak=$(echo "$figures" | awk '{ print $(NF - 1) }')
}

requests=$(requests_that_fit)
# CC may be several words.
# shellcheck disable=SC2086
$CC -O2 -o "$work/requests" "$here/requests.c" -lpthread
cat <<END2

A server's loop that forgets 1 KiB at each of $requests requests.

examples/legacy/requests.c, as it is and under arena-run --limit ${LIMIT}M; resident
memory in MiB at each tenth of the way:

     threads                                                   peak   time
END2
for threads in 1 2; do
    loop "$threads" malloc env
    loop "$threads" libarena "$run" --limit ${LIMIT}M
    if [ "$peak" -ge $LIMIT ]; then
        echo "  It grew beyond the limit."
        status=1
    fi
done
exit $status
