-- The standard library: code that is loaded, patterns, packing, files.

for i = 1, 500 do
  local f = assert(load(("local a = %d; return a * 2, function() return a end")
    :format(i)))
  local twice, get = f()
  assert(twice == 2 * i and get() == i)
end
local dumped = string.dump(function(a, b) return a .. b end)
print("dumped", load(dumped, "chunk", "b")("x", "y"))

print(("%5.2f|%-8s|%08x|%q"):format(math.pi, "left", 48879, "a\nb\0c"))
print(("key = value; other=thing"):gsub("(%w+)%s*=%s*(%w+)", "%2=%1"))
for k, v in ("a=1, b=22, c=333"):gmatch("(%w)=(%d+)") do io.write(k, v, " ") end
print()
print(string.unpack("<i4 z s2 d", string.pack("<i4 z s2 d", -7, "z", "str", 1.5)))
print(utf8.char(228, 8364, 128512), utf8.len("äöü"), utf8.codepoint("€", 1))
print(math.tointeger("8"), 7 // 2, -7 // 2, 7 % -3, 2 ^ 53, 1 << 62, ~0)
print(table.unpack(table.move({1, 2, 3}, 1, 3, 2)))

-- A file of lines, written, read in all ways, and removed.
local name = os.tmpname()
local file = assert(io.open(name, "w"))
file:setvbuf("full", 4096)
for i = 1, 20000 do file:write("line ", i, "\n") end
file:close()
local lines, bytes = 0, 0
for line in io.lines(name) do lines, bytes = lines + 1, bytes + #line end
print("lines", lines, bytes)
file = assert(io.open(name))
print(file:read("l"), file:read("n"), file:seek("set", 5), file:read(6))
file:seek("set")
print(#file:read("a"))
file:close()
assert(os.remove(name))
print(io.open(name) == nil)

-- A process, and what it prints.
local pipe = io.popen("echo from a pipe")
print(pipe:read("a"))
print(pipe:close())
print(pcall(string.rep, "x", 1 << 40))
print(#arg, arg[0]:match("[^/]*$"))
