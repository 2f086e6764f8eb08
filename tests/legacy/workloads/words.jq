# Objects, strings and sorting of a long list.
(group_by(.kind) | map({kind: .[0].kind, count: length,
    total: (map(.number) | add), first: (map(.name) | min)})),
(map(select(.number % 3 == 0) | {key: .name, value: (.tags | join("+"))})
    | from_entries | [length, (keys | .[0:3]), (tojson | length)]),
([.[] | .name | ascii_upcase | explode | add] | add),
(map(.deep.list) | flatten | unique | length)
