-- Tables, strings, closures and coroutines; SIZE is the argument.
local size = tonumber(arg[1])

local function tree(depth)
  if depth == 0 then return {} end
  return { tree(depth - 1), tree(depth - 1) }
end

local function count(node)
  if not node[1] then return 1 end
  return 1 + count(node[1]) + count(node[2])
end

local sum = 0
for _ = 1, 4 * size do sum = sum + count(tree(12)) end
print(sum)

local words, order = {}, {}
for i = 1, 40000 * size do
  local word = "word" .. i * 7919 % (15000 * size)
  if not words[word] then
    words[word] = {}
    order[#order + 1] = word
  end
  local list = words[word]
  list[#list + 1] = tostring(i)
  if i % 5 == 0 then words[order[i % #order + 1]] = nil end
end
table.sort(order)
local length = 0
for _, word in ipairs(order) do
  if words[word] then length = length + #table.concat(words[word], " ") end
end
print(#order, length)

local parts = {}
for i = 1, 3000 * size do
  parts[i] = string.rep(string.char(97 + i % 26), i % 200)
end
local text = table.concat(parts)
print(#text, #text:gsub("a+", "<%0>"), select(2, text:gsub("%a", "%0")))

local makers = {}
for i = 1, 2000 * size do
  makers[i] = coroutine.wrap(function(n)
    while true do n = n + coroutine.yield(n * i) end
  end)
end
sum = 0
for round = 1, 3 do
  for _, maker in ipairs(makers) do sum = sum + maker(round) end
end
print(sum)
