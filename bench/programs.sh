#!/bin/sh
# programs.sh - programs that exist already, with libarena in place of malloc.
#
#     programs.sh [-n ROUNDS] [-s FACTOR] [-o FILE] [PROGRAM...]
#
# Run by `make bench-programs` in the build directory, with srcdir set.  -n:
# rounds, five unless told; -s: sizes in percent of the usual ones.  Without
# names it takes all programs that are installed.
set -eu

rounds=5 percent=100 csv=bench/programs.csv
while getopts n:o:s: option; do
    case $option in
    n) rounds=$OPTARG ;;
    o) csv=$OPTARG ;;
    s) percent=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- python node gcc gdb git sqlite lua jq gawk vim perl \
    bash small transfer grow large

BUILDDIR=$PWD
SRCDIR=$(cd "${srcdir:-.}" && pwd)
case $csv in
/*) ;;
*) csv=$PWD/$csv ;;
esac
run=$BUILDDIR/tools/arena-run
ARENA_MALLOC_LIBRARY=$BUILDDIR/malloc/.libs/libarena-malloc.so
LD_LIBRARY_PATH=$BUILDDIR/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export BUILDDIR SRCDIR ARENA_MALLOC_LIBRARY LD_LIBRARY_PATH
unset ARENA_MODE ARENA_STATS ARENA_REPORT ARENA_IGNORE_FREE ARENA_GC_EVERY \
    ARENA_LIMIT RUN
if [ ! -e "$ARENA_MALLOC_LIBRARY" ]; then
    echo "configured without libarena-malloc" >&2
    exit 1
fi
workload=$SRCDIR/tests/legacy/workloads/workload.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$csv"

# About a second each.
size_of()
{
    case $1 in
    bash) size=1 ;;
    gdb | jq) size=2 ;;
    node | python | transfer | git | small) size=3 ;;
    gawk) size=5 ;;
    lua | perl | sqlite | gcc) size=8 ;;
    vim) size=4 ;;
    grow) size=15 ;;
    large) size=20 ;;
    esac
    size=$((size * percent / 100))
    [ "$size" -gt 0 ] || size=1
}

# compare NAME COMMAND...: the runs of one program, in a directory of its own
compare()
{
    name=$1
    shift
    "$BUILDDIR/bench/programs" -n "$rounds" -o "$csv" "$name" "$run" "$@" \
        2>"$name.err" </dev/null && return
    echo "$name: $(tail -n 1 "$name.err")" | tee -a "$csv.failed"
}

rm -f "$csv.failed"
for name; do
    [ ! -t 2 ] || printf '%s \r' "$name" >&2
    size_of "$name"
    mkdir "$work/$name"
    cd "$work/$name"
    case $name in
    small | transfer | grow | large)
        # RUN is to be split, by the inner shell.
        # shellcheck disable=SC2016
        compare "$name" sh -c '$RUN "$@"' sh \
            "$BUILDDIR/bench/malloc_workloads" "$name" "$size"
        ;;
    *)
        if ! "$workload" probe "$name"; then
            echo "$name: not installed"
            continue
        fi
        "$workload" prepare "$name" "$size"
        compare "$name" "$workload" run "$name" "$size"
        ;;
    esac
done

awk -F , '
    function line(name, s, wall, cpu, ewall, ecpu, mb, rss, erss) {
        printf "%-10s %8s %8s %7s %8s %7s %8s %8s %8s\n",
               name, s, wall, cpu, ewall, ecpu, mb, rss, erss
    }
    BEGIN {
        line("", "plain", "collect", "", "explicit", "", "plain", "collect",
             "explicit")
        line("program", "s", "time", "cpu", "time", "cpu", "MB", "RSS", "RSS")
    }
    {
        line($1, sprintf("%.2f", $2), sprintf("%.2f", $11),
             sprintf("%.2f", $12), sprintf("%.2f", $14),
             sprintf("%.2f", $15), sprintf("%.1f", $4 / 1024),
             sprintf("%.2f", $13), sprintf("%.2f", $16))
        for (i = 11; i <= 16; i++)
            sum[i] += log($i)
    }
    function mean(i) {
        return sprintf("%.2f", exp(sum[i] / NR))
    }
    END {
        if (NR > 0)
            line("geo. mean", "", mean(11), mean(12), mean(14), mean(15),
                 "", mean(13), mean(16))
    }' "$csv"
[ ! -e "$csv.failed" ]
