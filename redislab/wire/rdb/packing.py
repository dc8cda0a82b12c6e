"""The compact encodings that 7.0 writes: listpack, intset, and the nodes of a list.

What `packed.py` takes apart is put together here (`src/listpack.c`, `intset.c`, `quicklist.c` of
Redis 7.0). A listpack is made of elements, each encoded by one of two functions, and comes out as
Redis makes it, byte for byte; so does an intset. How the elements of a list are spread over nodes
depends in Redis on how they came; here it is as if all had been pushed at the tail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from struct import pack

from redislab.wire.rdb.opcodes import NODE_PACKED
from redislab.wire.rdb.packed import COUNT_UNKNOWN, LISTPACK_HEADER, back_length
from redislab.wire.rdb.strings import WriteString, is_spelled_integer, length

_INTEGER_DIGITS = 20
_WHOLE_MAX = 2.0**62  # no score beyond is looked at whether it is a whole number (`double2ll`)

# -- listpack -------------------------------------------------------------------------------------


def integer(number: int) -> bytes:
    """An integer of 64 bits as an element of a listpack."""
    if 0 <= number < 1 << 7:
        return _SMALL[number]
    if -(1 << 12) <= number < 1 << 12:
        return (0xC000 | number & 0x1FFF).to_bytes(2, "big") + b"\x02"
    width = next(w for w in (2, 3, 4, 8) if -(1 << 8 * w - 1) <= number < 1 << 8 * w - 1)
    return _FIRST[width] + number.to_bytes(width, "little", signed=True) + bytes((width + 1,))


def element(text: bytes) -> bytes:
    """A string as an element of a listpack; as an integer where it is the digits of one."""
    size = len(text)
    if size <= _INTEGER_DIGITS and is_spelled_integer(text):
        number = int(text)
        if -(1 << 63) <= number < 1 << 63:
            return integer(number)
    if size < 1 << 6:
        return _HEADS[size] + text + _BACKS[size]
    if size < 1 << 12:
        return (0xE000 | size).to_bytes(2, "big") + text + back_length(size + 2)
    return b"\xf0" + size.to_bytes(4, "little") + text + back_length(size + 5)


def score(number: float) -> bytes:
    """The score of a sorted set as an element of a listpack."""
    if -_WHOLE_MAX <= number <= _WHOLE_MAX and number == int(number):
        return integer(int(number))
    text = b"%.17g" % number
    return _HEADS[len(text)] + text + _BACKS[len(text)]


def listpack_of(elements: Collection[bytes]) -> bytes:
    """A listpack of encoded elements."""
    body = b"".join(elements)
    size = LISTPACK_HEADER.size + len(body) + 1
    head = LISTPACK_HEADER.pack(size, min(len(elements), COUNT_UNKNOWN))
    return b"%b%b\xff" % (head, body)


_SMALL = tuple(bytes((number, 1)) for number in range(1 << 7))
_HEADS = tuple(bytes((0x80 | size,)) for size in range(1 << 6))
_BACKS = tuple(bytes((size + 1,)) for size in range(1 << 6))
_FIRST = {2: b"\xf1", 3: b"\xf2", 4: b"\xf3", 8: b"\xf4"}

# -- intset ---------------------------------------------------------------------------------------


def intset_of(members: Iterable[bytes]) -> bytes:
    """An intset of the digits of integers of 64 bits, one at least."""
    numbers = sorted(map(int, members))
    least, most = numbers[0], numbers[-1]
    fits = (
        (width, code)
        for width, code in ((2, "h"), (4, "i"), (8, "q"))
        if -(1 << 8 * width - 1) <= least and most < 1 << 8 * width - 1
    )
    width, code = next(fits)
    return pack(f"<II{len(numbers)}{code}", width, len(numbers), *numbers)


# -- list -----------------------------------------------------------------------------------------


def write_nodes(elements: Iterable[bytes], fill: int, write: WriteString) -> Iterator[bytes]:
    """A list that is not empty, as Type.LIST_QUICKLIST_2: how many nodes there are, and each.

    That is known when all of them are made: until then every piece is empty.

    Args:
        elements: of the list.
        fill: how many elements may stand in a node; below zero, how many bytes a node may have
            that has more than one (`list-max-listpack-size`).
        write: writes a string.
    """
    count_max = fill if fill >= 0 else _ANY
    bytes_max = _NODE_BYTES[min(-fill, len(_NODE_BYTES)) - 1] if fill < 0 else _SAFE_BYTES
    nodes: list[bytes] = []
    node: list[bytes] = []
    size = _LISTPACK_BYTES
    for text in elements:
        if node and (size + len(text) + _ESTIMATE > bytes_max or len(node) >= count_max):
            nodes.append(write(listpack_of(node)))
            node.clear()
            size = _LISTPACK_BYTES
            yield b""
        encoded = element(text)
        node.append(encoded)
        size += len(encoded)
    nodes.append(write(listpack_of(node)))
    yield length(len(nodes))
    for blob in nodes:
        yield _PACKED + blob


_NODE_BYTES = (4096, 8192, 16384, 32768, 65536)
_SAFE_BYTES = 8192
_ESTIMATE = 8  # what an element takes beside its text, as Redis reckons before it is encoded
_LISTPACK_BYTES = LISTPACK_HEADER.size + 1  # of one without elements
_ANY = 1 << 32
_PACKED = length(NODE_PACKED)
