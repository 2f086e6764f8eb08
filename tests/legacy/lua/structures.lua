-- Tables, strings and closures that come and go; prints what must not change.

local function tree(depth)
  if depth == 0 then return {leaf = true} end
  return {tree(depth - 1), tree(depth - 1)}
end

local function count(t)
  return t.leaf and 1 or count(t[1]) + count(t[2])
end

local kept = tree(14)
for i = 1, 30 do
  assert(count(tree(10)) == 1024)
end
print("leaves", count(kept))

-- Strings, short and long, as keys and as values.
local words, order = {}, {}
for i = 1, 60000 do
  local word = ("w%d"):format(i * 7919 % 10007)
  if not words[word] then order[#order + 1] = word end
  words[word] = (words[word] or 0) + 1
end
table.sort(order)
print("words", #order, order[1], order[#order], words[order[5000]])
local parts = {}
for i = 1, 20000 do parts[i] = tostring(i) .. ("x"):rep(i % 50) end
local text = table.concat(parts, ",")
print("text", #text, select(2, text:gsub("x+", "")), text:find("19999", 1, true))

-- Closures, coroutines, errors.
local function counter()
  local n = 0
  return function() n = n + 1 return n end
end
local all = {}
for i = 1, 5000 do all[i] = counter() end
for round = 1, 5 do for i = 1, #all do assert(all[i]() == round) end end
local sum = 0
for i = 1, 2000 do
  local co = coroutine.wrap(function(a)
    for j = 1, 3 do a = coroutine.yield(a + j) end
    return a
  end)
  sum = sum + co(i) + co(1) + co(2) + co(3)
end
print("coroutines", sum)
local failures = 0
for i = 1, 2000 do
  local ok, why = pcall(error, {code = i})
  if not ok and why.code == i then failures = failures + 1 end
  ok, why = pcall(string.rep, "x", -1, nil, {})
end
print("errors", failures, (select(2, pcall(load, nil))))

-- Metatables, weak tables, finalizers.
local finalized = 0
for i = 1, 1000 do
  setmetatable({}, {__gc = function() finalized = finalized + 1 end})
end
collectgarbage() collectgarbage()
print("finalized", finalized)
local weak = setmetatable({}, {__mode = "k"})
for i = 1, 1000 do weak[{}] = ("v"):rep(100) end
collectgarbage()
print("weak", next(weak))
