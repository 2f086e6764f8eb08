#!/bin/sh
# run.sh - build each fuzz target with clang's libFuzzer and run it for
# FUZZ_SECONDS (10).  Without clang: says so, and that is no failure.
set -eu

# Run by `make check-fuzz` in the build directory, with srcdir, GC_CFLAGS and
# GC_LIBS set.
srcdir=${srcdir:-.}
seconds=${FUZZ_SECONDS:-10}
clang=${CLANG:-clang}
work=tests/fuzz
mkdir -p "$work"

if ! echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n);
int LLVMFuzzerTestOneInput(const char *d, unsigned long n)
{ return d == 0 && n == 1; }' \
    | "$clang" -fsanitize=fuzzer -x c - -o "$work/probe" 2>/dev/null; then
    echo "check-fuzz: skipped: there is no $clang with -fsanitize=fuzzer"
    exit 0
fi

# Leaks are not looked for: what only the collector's heap points to would be
# called one.
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0
for source in "$srcdir"/tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    echo "$name: $seconds s"
    # The flags are several words each.
    # shellcheck disable=SC2086
    "$clang" -g -O1 -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=undefined -pthread -DHAVE_CONFIG_H -I. \
        -I"$srcdir/include" -iquote "$srcdir/lib" ${GC_CFLAGS:-} \
        "$source" "$srcdir"/lib/*.c -o "$work/$name" ${GC_LIBS:--lgc} -ldl
    mkdir -p "$work/$name.corpus"
    "$work/$name" -max_total_time="$seconds" -max_len=1024 -timeout=10 -verbosity=0 \
        -artifact_prefix="$work/$name-" "$work/$name.corpus"
done
