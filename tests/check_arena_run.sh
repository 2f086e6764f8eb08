#!/bin/sh
# check_arena_run.sh - arena-run: what it refuses, and what it hands on.
set -u

# Run by `make check` in the build directory, with srcdir, CC and NM set.
build=$PWD
run=$build/tools/arena-run
library=$build/malloc/.libs/libarena-malloc.so
[ -e "$library" ] || exit 77 # configured with --disable-shared

ARENA_MALLOC_LIBRARY=$library
LD_LIBRARY_PATH=$build/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export ARENA_MALLOC_LIBRARY LD_LIBRARY_PATH
unset ARENA_MODE ARENA_STATS ARENA_REPORT ARENA_IGNORE_FREE ARENA_GC_EVERY \
    ARENA_LIMIT GC_INITIAL_HEAP_SIZE

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

fault()
{
    echo "$*"
    sed 's/^/    /' "$tmp/out" "$tmp/err"
    status=1
}

# expect STATUS OUT ERR ARGUMENT...: how arena-run exits, what it prints to
# stdout exactly, and what is in its stderr; '' for nothing at all
expect()
{
    want=$1 out=$2 err=$3
    shift 3
    "$run" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    got=$?
    [ "$got" -eq "$want" ] || fault "exit status $got, not $want: $*"
    [ "$(cat "$tmp/out")" = "$out" ] || fault "stdout is not '$out': $*"
    if [ -z "$err" ]; then
        [ ! -s "$tmp/err" ] || fault "something on stderr: $*"
    else
        grep -q -e "$err" "$tmp/err" || fault "no '$err' on stderr: $*"
    fi
}

# --- Usage --------------------------------------------------------------------

expect 2 '' 'no program to run'
expect 2 '' 'no program to run' --stats
expect 2 '' 'no program to run' --
expect 2 '' 'no option --nonsense' --nonsense true
expect 2 '' 'no option -x' -x true
expect 2 '' 'needs a value' --limit
for size in '' x 1X 1KB -1 1.5G '1 G' 99999999999999999999; do
    expect 2 '' 'is no size' --limit "$size" true
    expect 2 '' 'is no size' --gc-every "$size" true
done
expect 2 '' 'is no size' --gc-every 0 true
expect 2 '' 'is no size' --gc-every 50% true
expect 2 '' 'neither collect nor explicit' --mode fast true
expect 2 '' 'no file' --report '' true
"$run" --help >"$tmp/out" 2>"$tmp/err" || fault "--help fails"
grep -q '^usage: arena-run' "$tmp/out" || fault "--help prints no usage"

# --- What cannot work ---------------------------------------------------------

expect 127 '' 'no such program' there-is-no-such-program
expect 127 '' 'no such program' ''
expect 127 '' 'No such file' "$tmp/missing"
expect 126 '' 'not a program' "$tmp"
echo 'some text' >"$tmp/text"
expect 126 '' 'not a program that may be run' "$tmp/text"
chmod +x "$tmp/text"
expect 126 '' 'is not a program' "$tmp/text"
: >"$tmp/empty"
chmod +x "$tmp/empty"
expect 126 '' 'is not a program' "$tmp/empty"
printf '#!%s/missing\n' "$tmp" >"$tmp/script"
chmod +x "$tmp/script"
expect 126 '' 'without an interpreter' "$tmp/script"

echo 'int main(void) { return 0; }' >"$tmp/empty.c"
# The compiler may be several words.
# shellcheck disable=SC2086
if ${CC:-cc} -static -o "$tmp/static" "$tmp/empty.c" 2>/dev/null; then
    expect 126 '' 'linked statically' "$tmp/static"
    printf '#!%s/static\n' "$tmp" >"$tmp/script"
    expect 126 '' 'linked statically' "$tmp/script"
fi
if [ "$(id -u)" -eq 0 ]; then
    cp /bin/true "$tmp/setid"
    chown nobody "$tmp/setid"
    chmod u+s "$tmp/setid"
    expect 126 '' 'set-id' "$tmp/setid"
fi
ARENA_MALLOC_LIBRARY=$tmp/missing.so expect 126 '' 'missing.so: No such' true

# --- What is handed on --------------------------------------------------------

expect 0 '' '' true
expect 1 '' '' false
expect 7 'a b|c' '' sh -c 'echo "$1|$2"; exit 7' sh 'a b' c
expect 0 'option' '' sh -c 'echo option' --stats
expect 3 '' 'to stderr' sh -c 'echo to stderr >&2; exit 3'
echo 'from stdin' >"$tmp/in"
[ "$("$run" cat <"$tmp/in")" = 'from stdin' ] || fault "stdin is lost"

# A signal ends it, and not something that becomes an exit status.
cat >"$tmp/outer" <<END
"$run" sh -c 'kill -TERM \$\$'
END
sh "$tmp/outer" >"$tmp/out" 2>"$tmp/err"
[ $? -eq 143 ] || fault "the signal is not passed through"

expect 0 '' '^arena: collect, .* collections$' --stats true
expect 0 '' '^arena: explicit, ' --stats --mode explicit true
expect 0 'hello' '^arena: collect, ' --stats env echo hello
expect 0 '' '' --limit 50% true
expect 0 '' '' --ignore-free --gc-every 64k true
expect 0 '' '' --report "$tmp/report" true
grep -q . "$tmp/report" || fault "--report writes nothing"

printf '#!/bin/sh\necho script "$@"\n' >"$tmp/script"
expect 0 'script 1 2' '' "$tmp/script" 1 2

# The limit holds, in both modes.
for mode in collect explicit; do
    "$run" --mode $mode --limit 2M awk 'BEGIN {
        for (i = 0; i < 2000000; i++) keep[i] = i "" } ' \
        >"$tmp/out" 2>"$tmp/err" && fault "no limit in mode $mode"
done

# --- A thread that cannot be stopped -------------------------------------------

victim=$build/tests/interpose/victim
expect 0 '' '^arena: collect, ' --stats --gc-every 256K "$victim" stuck
expect 0 '' '^arena: explicit, ' --stats --gc-every 256K "$victim" stuck_long
grep -q '^arena: not collected: threads do not stop$' "$tmp/err" \
    || fault "no reason why nothing is collected"

# --- Linked, not preloaded ----------------------------------------------------

cat >"$tmp/linked.c" <<'END'
#include <stdlib.h>

int
main(void)
{
    for (int i = 0; i < 1000; i++)
        if (malloc(1000) == NULL)
            return 1;
    return 0;
}
END
# shellcheck disable=SC2086
${CC:-cc} -fno-builtin -o "$tmp/linked" "$tmp/linked.c" \
    -L"$build/malloc/.libs" -L"$build/lib/.libs" -larena-malloc \
    -Wl,-rpath,"$build/malloc/.libs" || fault "cannot be linked"
ARENA_STATS=1 "$tmp/linked" >"$tmp/out" 2>"$tmp/err" || fault "linked: fails"
grep -q '^arena: collect, ' "$tmp/err" || fault "linked: does not collect"

exit "$status"
