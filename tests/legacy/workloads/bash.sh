# Arrays, expansions, functions and subshells; SIZE is the argument.
declare -A count
declare -a list
for ((i = 0; i < 8000 * $1; i++)); do
    key=k$((i * 7919 % 2000))
    count[$key]=$((${count[$key]:-0} + 1))
    list+=("item $i")
    word=${list[i]/item/entry}
    total=$((total + ${#word}))
done
echo "${#count[@]} ${#list[@]} $total"
for key in "${!count[@]}"; do echo "$key ${count[$key]}"; done | sort | tail -3
fib() { (($1 < 2)) && echo "$1" || echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); }
fib 9
text=$(printf '%s,' "${list[@]}")
IFS=, read -r -a parts <<<"$text"
echo "${#text} ${#parts[@]} ${parts[*]:5:3}"
text=${text//item/x}
echo "${#text} $(md5sum <<<"$text")"
