#!/bin/sh
# check_man.sh - every public function, type, macro and layout has a manual
# page, or is found in that of another (man/links.sh); the pages are about,
# and speak of, nothing that is not there; and mandoc finds no fault in them.
set -eu

# Run by `make check`, with srcdir and CC set.
srcdir=${srcdir:-.}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

# nothing TITLE FILE: it must be empty
nothing()
{
    if [ -s "$2" ]; then
        echo "$1:"
        sed 's/^/    /' "$2"
        status=1
    fi
}

# words PATTERN: what of the standard input matches; names that end with _ are
# the headers' own
words()
{
    grep -oE "$1" | grep -v '_$' | LC_ALL=C sort -u
}

# --- What is public -----------------------------------------------------------

headers=$(cd "$srcdir/include" && ls arena.h arena/*.h)
for header in $headers; do
    # The compiler may be several words.
    # shellcheck disable=SC2086
    ${CC:-cc} -E -P -I"$srcdir/include" "$srcdir/include/$header"
done | tr '\n' ' ' >"$tmp/text"
[ -s "$tmp/text" ]

# What only headers need is left out.
# shellcheck disable=SC2086
{
    words '\barena_[a-z0-9_]+ *\(' <"$tmp/text" | tr -d ' ('
    words '\barena_([a-z0-9_]+_)?t\b' <"$tmp/text"
    grep -oE 'const arena_layout_t arena_layout_[a-z0-9_]+' "$tmp/text" \
        | sed 's/.* //'
    (cd "$srcdir/include" && cat $headers) \
        | sed -nE 's/^ *# *define +((ARENA|arena)_[A-Za-z0-9_]*).*/\1/p' \
        | grep -vE '_$|^ARENA_([A-Z]+_)?H$|^ARENA_(API(_SHORT)?|ALIGNOF|ATTR_.*)$'
} | grep -v '_$' | LC_ALL=C sort -u >"$tmp/public"

# Beside these: what a program knows by libc's declarations, and topics.
{
    cat "$srcdir/lib/libarena.sym"
    printf '%s\n' arena_budget libarena libarena-malloc
} | LC_ALL=C sort -u - "$tmp/public" >"$tmp/known"

# --- What the pages are about -------------------------------------------------

sh "$srcdir/man/links.sh" "$srcdir"/man/*.3 >"$tmp/links"
cut -d' ' -f1 "$tmp/links" | LC_ALL=C sort -u >"$tmp/named"
[ -s "$tmp/named" ]

LC_ALL=C comm -23 "$tmp/public" "$tmp/named" >"$tmp/diff"
nothing 'without a page' "$tmp/diff"
LC_ALL=C comm -13 "$tmp/known" "$tmp/named" >"$tmp/diff"
nothing 'in the names of a page, but nowhere else' "$tmp/diff"
LC_ALL=C sort -u "$tmp/links" | cut -d' ' -f1 | uniq -d >"$tmp/diff"
nothing 'in two pages' "$tmp/diff"
sed -n 's/^[^ ]* //p' "$tmp/links" | LC_ALL=C sort -u >"$tmp/pages"
LC_ALL=C comm -23 "$tmp/pages" "$tmp/named" >"$tmp/diff"
nothing 'pages that do not name themselves' "$tmp/diff"

# --- What the pages speak of --------------------------------------------------

# Words of the library's, and references.  Numbers of enumerations, fields and
# variables of the environment are in the headers and the sources.
sed '/^[.]TH/d; /^[.]\\"/d; s/\\[fF][A-Z]//g; s/\\[&-]/-/g' "$srcdir"/man/*.[135] \
    >"$tmp/prose"
words '\b(arena|ARENA)_[A-Za-z0-9_]+' <"$tmp/prose" >"$tmp/spoken"
{
    cat "$tmp/known"
    cat "$srcdir"/include/arena.h "$srcdir"/include/arena/*.h \
        "$srcdir"/lib/*.c "$srcdir"/malloc/*.c "$srcdir"/tools/*.c \
        | grep -oE '\b(arena|ARENA)_[A-Za-z0-9_]+'
    sed -n 's/^.TH \([^ ]*\) [15] .*/\1/p' "$srcdir"/man/*.[15] \
        | tr '[:upper:]' '[:lower:]'
} | LC_ALL=C sort -u >"$tmp/there"
LC_ALL=C comm -13 "$tmp/there" "$tmp/spoken" >"$tmp/diff"
nothing 'spoken of in a page, but not there' "$tmp/diff"
sed -nE 's/^\.BR ((arena|ARENA|libarena)[A-Za-z0-9_-]*) \(3\).*/\1/p' \
    "$tmp/prose" | LC_ALL=C sort -u >"$tmp/referred"
LC_ALL=C comm -23 "$tmp/referred" "$tmp/named" >"$tmp/diff"
nothing 'pages that are referred to, but not there' "$tmp/diff"

# --- How they are written -----------------------------------------------------

if command -v mandoc >/dev/null; then
    mandoc -Tlint -Wwarning "$srcdir"/man/*.[135] >"$tmp/diff" 2>&1 || :
    nothing 'mandoc says' "$tmp/diff"
fi
exit "$status"
