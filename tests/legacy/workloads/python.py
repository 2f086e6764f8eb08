"""Dictionaries, strings, JSON and threads; SIZE is the argument."""
import json
import random
import sys
import threading
import zlib

size = int(sys.argv[1])


def dictionaries(seed):
    rand = random.Random(seed)
    table = {}
    for i in range(20000 * size):
        key = "key%d" % rand.randrange(10000 * size)
        table.setdefault(key, []).append((i, str(i)))
        if i % 3 == 0:
            table.pop("key%d" % rand.randrange(10000 * size), None)
    return sum(len(v) for v in table.values())


def documents():
    document = [{"id": i, "name": "n" * (i % 50), "tags": [str(i)] * 5}
                for i in range(4000 * size)]
    text = json.dumps(document)
    back = json.loads(text)
    assert back == document
    return zlib.crc32(text.encode())


class Node:
    def __init__(self, left, right):
        self.left, self.right = left, right


def tree(depth):
    if depth == 0:
        return Node(None, None)
    return Node(tree(depth - 1), tree(depth - 1))


def count(node):
    if node.left is None:
        return 1
    return 1 + count(node.left) + count(node.right)


results = {}


def work(number):
    results[number] = dictionaries(number)


threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for t in threads:
    t.start()
print(documents())
print(sum(count(tree(12)) for _ in range(size)))
big = [bytearray(b"x" * (i * 37 % 20000)) for i in range(2000 * size)]
for b in big:
    b.extend(b"y" * 100)
print(sum(len(b) for b in big))
for t in threads:
    t.join()
print(sorted(results.items()))
