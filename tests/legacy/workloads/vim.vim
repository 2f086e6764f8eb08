" Substitutions, sorting, registers, undo and lists over all lines.
set nocompatible undolevels=1000 maxmempattern=100000
%s/word/WORD/g
%s/\v(\d+) (\w+)/\2 \1/
g/7$/normal! Ahello
g/13/delete
sort
%yank a
$put a
undo
redo
let words = {}
for line in getline(1, 2000)
  for word in split(line)
    let words[word] = get(words, word, 0) + 1
  endfor
endfor
call append(0, string(len(words)) . ' ' . string(len(keys(words))))
1,100m$
write! vim.out
qall!
