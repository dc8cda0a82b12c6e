"""Decompression of LZF, as Redis' strings are compressed in RDB (`src/lzf_d.c` of Redis 7.0).

A compressed string is a sequence of instructions. A byte below 32 says that this many bytes and one
more follow as they are. Any other byte says to repeat what has come out before: its first three
bits are the length less two (7 means that the next byte is to be added), the rest and the byte
after are the distance back, less one.
"""

from __future__ import annotations


def decompress(data: bytes, length: int) -> bytes | None:
    """The string that was compressed, or None if it is not of this length or the data are bad."""
    out = bytearray()
    at, end = 0, len(data)
    size = 0  # of what has come out, if there was as much to copy as the instructions say
    try:
        while at < end:
            control = data[at]
            if control < 32:
                stop = at + control + 2
                out += data[at + 1 : stop]
                size += control + 1
                at = stop
                continue
            count = control >> 5
            if count == 7:
                count += data[at + 1]
                at += 1
            count += 2
            distance = ((control & 31) << 8 | data[at + 1]) + 1
            at += 2
            begin = size - distance
            if begin < 0:
                return None
            if distance >= count:
                out += out[begin : begin + count]
            else:  # it repeats what it is writing
                out += (out[begin:] * (count // distance + 1))[:count]
            size += count
    except IndexError:
        return None
    return bytes(out) if len(out) == size == length else None
