"""The compact encodings that older and newer versions write: listpack, ziplist, zipmap, intset.

Each is one string that holds many short ones; each function takes one apart and checks all of it,
as Redis does with `sanitize-dump-payload yes` (`src/listpack.c`, `ziplist.c`, `zipmap.c`,
`intset.c` of Redis 7.0). They return None for a string that is damaged anywhere. Integers come back
as their decimal digits. `packing.py` makes those that are written.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct, error, unpack_from

_SMALL = tuple(b"%d" % number for number in range(128))
_END = 0xFF
COUNT_UNKNOWN = 0xFFFF

# -- listpack: total bytes (4), elements (2), then each element and how long it is, backwards ------

LISTPACK_HEADER = Struct("<IH")


def listpack(data: bytes) -> list[bytes] | None:
    """The elements of a listpack."""
    size = len(data)
    if size <= LISTPACK_HEADER.size or data[-1] != _END:
        return None
    total, count = LISTPACK_HEADER.unpack_from(data)
    if total != size:
        return None
    found: list[bytes] = []
    add = found.append
    at = LISTPACK_HEADER.size
    try:
        while True:
            first = data[at]
            if first < 0x80:  # an integer of 7 bits
                if data[at + 1] != 1:
                    return None
                add(_SMALL[first])
                at += 2
            elif first < 0xC0:  # a string shorter than 64 bytes
                length = first - 0x7F
                end = at + length
                if data[end] != length:
                    return None
                add(data[at + 1 : end])
                at = end + 1
            elif first == _END:
                break
            else:
                element, at = listpack_element(data, at)
                add(element)
    except (IndexError, BadError):
        return None
    if at != size - 1 or (count != COUNT_UNKNOWN and count != len(found)):
        return None
    return found


class BadError(Exception):
    """Something is not what it must be."""


def listpack_element(data: bytes, at: int) -> tuple[bytes, int]:
    """An element of any kind, and where what follows it begins.

    Raises:
        BadError: it is damaged.
        IndexError: the data end too early.
    """
    first = data[at]
    if first < 0x80:
        element, end = _SMALL[first], at + 1
    elif first < 0xC0:
        end = at + 1 + (first & 0x3F)
        element = data[at + 1 : end]
    elif first < 0xE0:  # an integer of 13 bits
        number = (first & 0x1F) << 8 | data[at + 1]
        element, end = b"%d" % (number - (1 << 13) if number >= 1 << 12 else number), at + 2
    elif first < 0xF0:
        begin = at + 2
        end = begin + ((first & 0x0F) << 8 | data[at + 1])
        element = data[begin:end]
    elif first == 0xF0:
        begin = at + 5
        end = begin + int.from_bytes(data[at + 1 : begin], "little")
        element = data[begin:end]
    else:
        width = _LISTPACK_WIDTHS.get(first)
        if width is None:
            raise BadError
        end = at + 1 + width
        element = b"%d" % int.from_bytes(data[at + 1 : end], "little", signed=True)
    length = end - at
    if length < 0x80:
        if data[end] != length:
            raise BadError
        return element, end + 1
    expected = back_length(length)
    if not data.startswith(expected, end):
        raise BadError
    return element, end + len(expected)


_LISTPACK_WIDTHS = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}


def back_length(length: int) -> bytes:
    """An element's length as it stands behind the element: seven bits a byte, to be read backwards.

    All bytes but the first have their highest bit set. Redis takes one byte more than it needs for
    the last length before each limit.
    """
    if length < 128:
        return bytes((length,))
    width = 2 + bisect_right(_BACK_LENGTH_LIMITS, length)
    lower = (length >> 7 * place & 127 | 128 for place in range(width - 2, -1, -1))
    return bytes((length >> 7 * (width - 1), *lower))


_BACK_LENGTH_LIMITS = ((1 << 14) - 1, (1 << 21) - 1, (1 << 28) - 1)


# -- ziplist: total bytes (4), where the last element begins (4), elements (2), the elements ------
# An element is the length of the one before it (1 byte, or 5), its own encoding and its bytes.

_ZIPLIST_HEADER = Struct("<IIH")
_ZIPLIST_WIDTHS = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}
_BIG = 0xFE  # as a length of one byte, that it stands in four more


def ziplist(data: bytes) -> list[bytes] | None:
    """The elements of a ziplist."""
    size = len(data)
    if size <= _ZIPLIST_HEADER.size or data[-1] != _END:
        return None
    total, tail, count = _ZIPLIST_HEADER.unpack_from(data)
    if total != size or tail > size - 1:
        return None
    found: list[bytes] = []
    at = _ZIPLIST_HEADER.size
    before = last = 0
    try:
        while data[at] != _END:
            last = at
            length, at = _length_of_1_or_5(data, at)
            if length != before:
                return None
            element, at = _ziplist_element(data, at)
            before = at - last
            found.append(element)
    except (IndexError, error, BadError):
        return None
    if at != size - 1 or (last and last != tail):
        return None
    if count != COUNT_UNKNOWN and count != len(found):
        return None
    return found


def _length_of_1_or_5(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < _BIG:
        return first, at + 1
    return unpack_from("<I", data, at + 1)[0], at + 5


def _ziplist_element(data: bytes, at: int) -> tuple[bytes, int]:
    first = data[at]
    if first < 0xC0:  # a string; its length in 6, 14 or 32 bits
        if first < 0x40:
            begin = at + 1
            end = begin + first
        elif first < 0x80:
            begin = at + 2
            end = begin + ((first & 0x3F) << 8 | data[at + 1])
        else:
            begin = at + 5
            end = begin + int.from_bytes(data[at + 1 : begin], "big")
        if end >= len(data):
            raise BadError
        return data[begin:end], end
    if 0xF1 <= first <= 0xFD:  # an integer from 0 to 12
        return _SMALL[first - 0xF1], at + 1
    width = _ZIPLIST_WIDTHS.get(first)
    if width is None:
        raise BadError
    end = at + 1 + width
    if end >= len(data):
        raise BadError
    return b"%d" % int.from_bytes(data[at + 1 : end], "little", signed=True), end


# -- zipmap: elements (1), then a length (1 byte, or 5) and the field, and for the value as well a
# count of bytes that are not in use behind it


def zipmap(data: bytes) -> list[bytes] | None:
    """Fields and values of a zipmap in turn."""
    size = len(data)
    if size < 2 or data[-1] != _END:
        return None
    found: list[bytes] = []
    at = 1
    try:
        while data[at] != _END:
            unused = 0
            for is_value in (False, True):
                begin = at
                length, at = _length_of_1_or_5(data, at)
                if length < _BIG and at - begin != 1:
                    return None
                if is_value:
                    unused = data[at]
                    at += 1
                found.append(data[at : at + length])
                at += length
                if at >= size:
                    return None
            at += unused
    except (IndexError, error):
        return None
    pairs = len(found) // 2
    if at != size - 1 or not pairs or (data[0] < _BIG and data[0] != pairs):
        return None
    return found


# -- intset: bytes of an integer (4), how many there are (4), the integers, rising ----------------

_INTSET_HEADER = Struct("<II")
_INTSET_CODES = {2: "h", 4: "i", 8: "q"}


def intset(data: bytes) -> list[bytes] | None:
    """The members of an intset, rising."""
    if len(data) < _INTSET_HEADER.size:
        return None
    width, count = _INTSET_HEADER.unpack_from(data)
    code = _INTSET_CODES.get(width)
    if code is None or not count or _INTSET_HEADER.size + width * count != len(data):
        return None
    numbers = unpack_from(f"<{count}{code}", data, _INTSET_HEADER.size)
    members: list[bytes] = (b"%d " * count % numbers).split()
    if sorted(numbers) != list(numbers) or len(set(members)) != count:
        return None
    return members
