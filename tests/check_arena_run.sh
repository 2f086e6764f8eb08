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
    ARENA_LIMIT ARENA_TRACE ARENA_PID ARENA_PAST_END GC_INITIAL_HEAP_SIZE

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
expect 2 '' 'no file' --trace '' true
expect 2 '' 'needs a value' --trace
expect 126 '' 'missing/file: No such' --report "$tmp/missing/file" true
expect 126 '' 'Is a directory' --trace "$tmp" true
expect 2 '' 'is no size' --limit foo true
expect 2 '' 'is no size' --limit 101% true
expect 2 '' 'is no size' --limit 99999999999T true
ARENA_LIMIT=lots expect 2 '' "ARENA_LIMIT: 'lots' is no size" true
ARENA_MODE=fast expect 2 '' "ARENA_MODE: 'fast' is neither" true
ARENA_GC_EVERY=often expect 2 '' "ARENA_GC_EVERY: 'often' is no size" true
ARENA_GC_EVERY=50% expect 2 '' "ARENA_GC_EVERY: '50%' is no size" true
ARENA_MODE=fast expect 0 '' '^arena: explicit, ' --stats --mode explicit true
ARENA_MODE='' ARENA_GC_EVERY=0 expect 0 '' '' true
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

ln -s "$tmp/nowhere" "$tmp/dangling"
expect 127 '' 'No such file' "$tmp/dangling"
expect 126 '' 'not a program' /dev/null
mkfifo "$tmp/fifo"
chmod +x "$tmp/fifo"
expect 126 '' 'not a program' "$tmp/fifo"
head -c 40 /bin/true >"$tmp/short"
chmod +x "$tmp/short"
expect 126 '' 'is not a program' "$tmp/short"
# The fifth byte says how wide addresses are.
cp /bin/true "$tmp/narrow"
printf '\001' | dd of="$tmp/narrow" bs=1 seek=4 conv=notrunc 2>/dev/null
expect 126 '' 'another kind of machine' "$tmp/narrow"

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
# shellcheck disable=SC2086
${CC:-cc} -c -o "$tmp/object" "$tmp/empty.c" && chmod +x "$tmp/object"
expect 126 '' 'is not a program' "$tmp/object"
cp "$library" "$tmp/shared.so"
chmod +x "$tmp/shared.so"
expect 126 '' 'is a library' "$tmp/shared.so"
if [ "$(id -u)" -ne 0 ] && command -v setcap >/dev/null; then
    cp /bin/true "$tmp/capable"
    setcap cap_net_raw+ep "$tmp/capable" 2>/dev/null \
        && expect 126 '' 'file capabilities' "$tmp/capable"
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

# No thread of ours, in a program that has one itself: but with much memory.
# threads COUNT COMMAND...: which prints its status
threads()
{
    want=$1
    shift
    got=$("$run" "$@" | awk '/^Threads:/ { print $2 }')
    [ "$got" "$want" 1 ] || fault "$got threads: $*"
}
threads -eq --gc-every 64K cat /proc/self/status
if [ "$(nproc)" -gt 1 ]; then
    threads -gt awk 'BEGIN {
        for (i = 0; i < 600000; i++) keep[i] = i ""
        while ((getline line <"/proc/self/status") > 0) print line }'
fi
# What a process with threads may not do, or by pieces only.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    expect 0 65534 '' setpriv --reuid=65534 --regid=65534 --clear-groups id -u
fi

# The limit holds, in both modes.
for mode in collect explicit; do
    "$run" --mode $mode --limit 2M awk 'BEGIN {
        for (i = 0; i < 2000000; i++) keep[i] = i "" } ' \
        >"$tmp/out" 2>"$tmp/err" && fault "no limit in mode $mode"
done

victim=$build/tests/interpose/victim

expect 0 '' '' --past-end --gc-every 256K "$victim" past_end
expect 0 '' '' --past-end --gc-every 256K "$victim" errors
# The figures do not go to a file that the program has where stderr was kept.
expect 0 '' '' --stats "$victim" own_files "$tmp/own"
[ -e "$tmp/own" ] && [ ! -s "$tmp/own" ] || fault "figures in another file"

# --- Reports ------------------------------------------------------------------

# reports COUNT: so many files there are, as soon as what goes on behind the
# program has written its own
reports()
{
    for _ in $(seq 300); do
        [ "$(find "$tmp/reports" -type f | wc -l)" -ne "$1" ] || return 0
        sleep 0.1
    done
    fault "not $1 files: $(ls "$tmp/reports")"
}

mkdir "$tmp/reports"
report=$tmp/reports/report

# says PATTERN: the report has such a line
says()
{
    grep -q -e "$1" "$report" || {
        sed 's/^/    /' "$report"
        fault "no '$1' in the report"
    }
}

echo 'from before' >"$report"
expect 0 '' '' --report "$report" "$victim" bad_sizes
says '^fault: malloc(18446744073709551515): cannot allocate'
says '^fault: calloc(18446744073709551515, 10): cannot allocate'
says '^fault: posix_memalign: an alignment of 3'
says '^victim: faults: 3$'
says '^victim: collect, '
grep -q before "$report" && fault "what was in the file stays"

expect 0 '' '' --report "$report" "$victim" free_twice
says '^fault: free: the block at 0x[0-9a-f]* has been freed already$'
says '^victim: faults: 1$'

# Faults that end the process, as they do without the library.
for case in free_inside free_large_twice free_static realloc_inside; do
    expect 134 '' '(): invalid pointer' --report "$report" "$victim" $case
    says '^fault: [a-z]*(0x[0-9a-f]*): not '
done
for case in free_inside free_large_twice free_static; do
    expect 0 '' '' --report "$report" --ignore-free "$victim" $case
done

# However it leaves.
for case in exit_ Exit quick_exit vfork; do
    expect 7 '' '^arena: collect' --stats --report "$report" "$victim" \
        leave_$case
    says '^victim: collect, '
done
expect 134 '' '^arena: collect' --stats --report "$report" "$victim" \
    leave_abort
says '^victim: collect, '
expect 7 '' '' --stats --report "$report" "$victim" leave_handler
expect 0 'after' '' --report "$report" "$victim" leave_exec
says '^echo: collect, '

# What the C library sees to is not said to be without a fault.
expect 0 'after' '' --mode explicit --report "$report" "$victim" leave_exec
says '^echo: explicit, '
grep -q 'faults:' "$report" && fault "faults that nobody looked for"

# Variables that mean nothing, of a program that arena-run does not start.
(
    export LD_PRELOAD="$library" ARENA_MODE=fast ARENA_GC_EVERY=often
    export ARENA_ROOTS=precise ARENA_STATS=1 ARENA_REPORT="$report"
    exec /bin/true
) 2>"$tmp/err"
for variable in ARENA_MODE=fast ARENA_GC_EVERY=often ARENA_ROOTS=precise; do
    grep -q "^arena: ignored: $variable\$" "$tmp/err" \
        || fault "$variable is ignored in silence"
    says "^ignored: $variable\$"
done

# Each process has its own: but one that was forked, and leaves by _exit.
rm -f "$report".*
expect 0 '' '' --report "$report" "$victim" fork_ways
reports 2
rm -f "$report".*
expect 0 '' '' --report "$report" "$victim" daemon
reports 2
rm -f "$report".*
(
    cd "$tmp/reports" || exit 1
    LD_PRELOAD=$library ARENA_REPORT=$report sh -c '/bin/true; /bin/true;:'
)
says '^sh: collect, '
reports 3

# --- The log of events --------------------------------------------------------

trace=$tmp/trace
expect 0 '' '' --trace "$trace" --gc-every 2M "$victim" leak
awk '{ if ($1 !~ /^[0-9]+$/ || $1 + 0 < last) exit 1; last = $1 + 0 }
    NR == 1 && $0 !~ / start version=1 pid=[0-9]+ limit=[0-9]+$/ { exit 1 }
    $2 == "collect" { begun++; in_use = $4 }
    $2 == "collected" { ended++; if ($6 !~ /^stopped=[0-9]+$/) exit 1 }
    $2 == "usage" && $9 ~ /^heap=[1-9]/ { usage++ }
    END { if ($2 != "end" || begun < 50 || begun != ended || usage < 50)
        exit 1 }' "$trace" || fault "the log is not as it should be"
"$run" --trace "$trace" --limit 8M awk 'BEGIN {
    for (i = 0; i < 2000000; i++) keep[i] = i "" } ' >"$tmp/out" 2>"$tmp/err"
grep -q '^[0-9]* wait size=' "$trace" || fault "no wait in the log"
grep -q '^[0-9]* waited size=.* granted=0 ' "$trace" || fault "no end of it"
grep -q '^[0-9]* refuse size=.* limit=8388608$' "$trace" \
    || fault "no refusal in the log"
grep -q ' collect' "$trace" || fault "no collection in the log"
expect 0 '' '' --trace "$trace" --gc-every 256K "$victim" fork_ways
[ "$(find "$tmp" -name 'trace.*' | wc -l)" -eq 2 ] \
    || fault "not a log for each child"

# --- A thread that cannot be stopped ------------------------------------------

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

# --- With rights that who runs it has not --------------------------------------

cat >"$tmp/rights.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

int
main(void)
{
    puts(getauxval(AT_SECURE) != 0 ? "secure" : "plain");
    return malloc(1000) == NULL;
}
END
# run_rights: with files named that it could write
run_rights()
{
    ARENA_STATS=1 ARENA_REPORT=$tmp/open/report ARENA_TRACE=$tmp/open/trace \
        GC_LOG_FILE=$tmp/open/log "$tmp/rights" 2>"$tmp/err" >"$tmp/out"
}

# The loader takes no path from the environment there.
# shellcheck disable=SC2086
${CC:-cc} -fno-builtin -o "$tmp/rights" "$tmp/rights.c" \
    -L"$build/malloc/.libs" -L"$build/lib/.libs" -larena-malloc \
    -Wl,--disable-new-dtags \
    -Wl,-rpath,"$build/malloc/.libs:$build/lib/.libs" \
    || fault "cannot be linked"
mkdir "$tmp/open"
chmod 777 "$tmp/open"
chmod 755 "$tmp"
run_rights || fault "linked: fails"
[ "$(find "$tmp/open" -type f | wc -l)" -eq 3 ] || fault "not three files"
if [ "$(id -u)" -eq 0 ]; then
    rm -f "$tmp/open"/*
    chown nobody "$tmp/rights"
    chmod u+s "$tmp/rights"
    if run_rights && grep -q secure "$tmp/out"; then
        [ ! -s "$tmp/err" ] || fault "figures of a program with rights"
        [ -z "$(ls "$tmp/open")" ] || fault "files of a program with rights"
    fi
fi

# --- A program that sets up the collector itself -------------------------------

cat >"$tmp/master.c" <<'END'
void GC_set_all_interior_pointers(int);
void GC_init(void);

int
main(void)
{
    GC_set_all_interior_pointers(0);
    GC_init();
    return 0;
}
END
# shellcheck disable=SC2086
if ${CC:-cc} -o "$tmp/master" "$tmp/master.c" -lgc 2>"$tmp/err"; then
    expect 0 '' 'not collected: the program sets up' --stats "$tmp/master"
fi

# --- A program that loads the library, and puts it away ------------------------

cat >"$tmp/loads.c" <<'END'
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *
thread(void *block)
{
    return block;
}

int
main(int argc, char **argv)
{
    for (int i = 0; i < 2; i++) {
        void *library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
        pthread_t other;
        pid_t child;
        int status;

        if (library == NULL || dlclose(library) != 0)
            return 1;
        pthread_create(&other, NULL, thread, NULL);
        pthread_join(other, NULL);
        child = fork();
        if (child == 0)
            exit(0);
        if (waitpid(child, &status, 0) != child || status != 0)
            return 2;
    }
    return 0;
}
END
# shellcheck disable=SC2086
${CC:-cc} -o "$tmp/loads" "$tmp/loads.c" -pthread -ldl \
    || fault "cannot be linked"
"$tmp/loads" "$library" || fault "the library cannot be put away"

# --- A program that is linked with an allocator of its own --------------------

cat >"$tmp/other.c" <<'END'
#include <stdlib.h>

size_t
malloc_usable_size(void *block)
{
    (void)block;
    abort(); /* none of its blocks */
}

int
malloc_trim(size_t pad)
{
    (void)pad;
    abort();
}

int
other(void)
{
    return 1;
}
END
cat >"$tmp/user.c" <<'END'
#include <malloc.h>
#include <stdlib.h>

int other(void);

int
main(void)
{
    char *block = malloc(1000);

    block = realloc(block, 3000 * (size_t)other());
    malloc_trim(0);
    return malloc_usable_size(block) < 3000;
}
END
# shellcheck disable=SC2086
${CC:-cc} -shared -fPIC -o "$tmp/libother.so" "$tmp/other.c" \
    && ${CC:-cc} -fno-builtin -o "$tmp/user" "$tmp/user.c" -L"$tmp" -lother \
        -Wl,-rpath,"$tmp" || fault "cannot be linked with its own"
expect 0 '' '' "$tmp/user"
expect 0 '' '' --mode explicit "$tmp/user"

exit "$status"
