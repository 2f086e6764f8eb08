#!/bin/sh
# demo.sh - an old program, as it is and on libarena, over real input.
#
#     demo.sh [-n passes] [-m MiB] [FILE-OR-DIRECTORY ...]
#
# Without arguments the input is all files under /usr/include and
# /usr/share/common-licenses.  -n chooses how often the program reads it, -m
# the limit.
#
# Environment: SRCDIR, BUILDDIR (top directories), CC.
# Exit status: 0 fine; 1 a run failed, outputs differ or the limit was
# exceeded; 2 the demo cannot run here.
set -eu

refuse()
{
    echo "demo: $*" >&2
    exit 2
}

# The absolute path of a directory.
absolute()
{
    (cd "$1" 2>/dev/null && pwd) || refuse "no directory $1"
}

# All files under the arguments, one on each line, in order.
list_files()
{
    for place; do
        case $place in
        /*) ;;
        *) place=$PWD/$place ;;
        esac
        [ ! -e "$place" ] || find "$place" -type f
    done | LC_ALL=C sort -u
}

# Show a command, then run it.
show()
{
    echo "$*" | awk '{
        line = "  " $1
        for (i = 2; i <= NF; i++) {
            if (length(line) + length($i) > 70) {
                print line " \\"
                line = "     "
            }
            line = line " " $i
        }
        print line
    }'
    "$@" || refuse "the command failed"
}

# compile [show] ARGUMENTS: CC may be several words.
compile()
{
    # shellcheck disable=SC2086
    $CC -O2 "$@" || refuse "$CC failed"
}

compile_shown()
{
    # shellcheck disable=SC2086
    show $CC -O2 "$@"
}

options=
while getopts m:n: option; do
    case $option in
    m | n) options="$options -$option $OPTARG" ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- /usr/include /usr/share/common-licenses

here=$(absolute "$(dirname "$0")")
source=$(absolute "${SRCDIR:-$here/../..}")
build=$(absolute "${BUILDDIR:-$source/build}")
CC=${CC:-cc}
libs=$build/lib/.libs
work=$build/examples/legacy/demo

# shellcheck disable=SC2086
command -v ${CC%% *} >/dev/null || refuse "no compiler $CC"
ls "$libs"/libarena.* >/dev/null 2>&1 || refuse "no library in $libs"
mkdir -p "$work" || refuse "cannot write to $work"
list_files "$@" >"$work/files"
[ -s "$work/files" ] || refuse "no input in $*"

cat <<END
An old program, run twice over real input.

examples/legacy/concordance.c lists every word of its input and where it
occurs.  It builds that list several times over, each time from nothing, out
of malloc, strdup and realloc, and never frees anything.  Its source is not
touched; it is compiled as it is, and once more onto libarena, where what it
drops is collected and what it holds is limited.  (watch.o only writes down
the library's figures at the end.)

END
cd "$work"
compile -o demo "$here/demo.c"
compile -I"$source/include" -c -o watch.o "$here/watch.c"
compile_shown -o plain "$here/concordance.c"
compile_shown -o bounded -I"$source/include" -include arena/malloc.h \
    "$here/concordance.c" watch.o -L"$libs" -Wl,-rpath,"$libs" -larena -lgc
echo

# shellcheck disable=SC2086
exec ./demo $options files ./plain ./bounded "$work"
