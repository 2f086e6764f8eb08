#!/bin/sh
# links.sh - under which names manual pages are found: prints a line
# "NAME PAGE" for each, the page's own name included.
#
#     links.sh PAGE...
#
# The names are those of a page's NAME section, and those of its lines that
# begin with `.\" also:', which may have alternatives: arena_{get,set}_u8.
set -eu

awk '
# Print a word with each of its alternatives.
function names(word,    at, size, before, after, parts, count, i) {
    if (!match(word, /[{][^{}]*[}]/)) {
        print word, page
        return
    }
    at = RSTART
    size = RLENGTH
    before = substr(word, 1, at - 1)
    after = substr(word, at + size)
    count = split(substr(word, at + 1, size - 2), parts, ",")
    for (i = 1; i <= count; i++)
        names(before parts[i] after)
}

function line(text,    words, count, i) {
    count = split(text, words, " ")
    for (i = 1; i <= count; i++)
        names(words[i])
}

FNR == 1 {
    page = FILENAME
    sub(/.*\//, "", page)
    sub(/[.][0-9]$/, "", page)
}

/^[.]\\" also:/ {
    sub(/^[^:]*:/, "")
    line($0)
}

/^[.]SH/ {
    in_names = $2 == "NAME"
    next
}

in_names {
    if (sub(/[ ]*\\-.*/, ""))
        in_names = 0
    gsub(/,/, " ")
    line($0)
}
' "$@"
