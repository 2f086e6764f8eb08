# Arrays, strings and fields; SIZE is given with -v.
BEGIN {
    for (i = 0; i < 50000 * size; i++) {
        key = "k" i * 7919 % (20000 * size)
        count[key]++
        text[key] = text[key] "," i
        table[i % 100][key] = i
        if (i % 4 == 0) {
            key = "k" i * 31 % (20000 * size)
            delete count[key]
            delete text[key]
        }
    }
    n = asorti(text, order)
    for (i = 1; i <= n; i++) {
        bytes += length(text[order[i]])
        fields += split(text[order[i]], parts, ",")
        gsub(/9/, "<&>", text[order[i]])
        sum += length(text[order[i]])
    }
    print n, bytes, fields, sum
    for (i = 0; i < 100; i++)
        total += length(table[i])
    print total
}
