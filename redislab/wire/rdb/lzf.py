"""LZF, as Redis' strings are compressed in RDB (`src/lzf_c.c` and `lzf_d.c` of Redis 7.0).

A compressed string is a sequence of instructions. A byte below 32 says that this many bytes and one
more follow as they are. Any other byte says to repeat what has come out before: its first three
bits are the length less two (7 means that the next byte is to be added), the rest and the byte
after are the distance back, less one.

An instruction makes seven bytes or so, and takes Python a fifth of a microsecond; so where the
package `python-neo-lzf` is installed (extra `fast`), its function in C decompresses. To compress
takes Python longer still, a tenth of a microsecond a byte and more, so that is done in C or not at
all.
"""

from __future__ import annotations

from collections.abc import Callable

_MOST_A_BYTE = 88  # three bytes repeat 264 at the most
_GAIN = 4  # bytes that compression has to save


def decompress_in_python(data: bytes, length: int) -> bytes | None:
    """The string that was compressed, or None if it is not of this length or the data are bad."""
    out = bytearray()
    at, end = 0, len(data)
    size = 0  # of what has come out, if there was as much to copy as the instructions say
    try:
        while at < end:
            control = data[at]
            at += 1
            if control < 32:
                stop = at + control + 1
                out += data[at:stop]
                size += control + 1
                if stop >= end:
                    at = stop
                    break
                control = data[stop]  # most often something is repeated next
                at = stop + 1
                if control < 32:
                    at = stop
                    continue
            if control < 224:
                count = (control >> 5) + 2
                begin = size - ((control & 31) << 8 | data[at]) - 1
                at += 1
            else:
                count = data[at] + 9
                begin = size - ((control & 31) << 8 | data[at + 1]) - 1
                at += 2
            if begin < 0:
                return None
            stop = begin + count
            if stop <= size:
                out += out[begin:stop]
            else:  # it repeats what it is writing
                out += (out[begin:] * (count // (size - begin) + 1))[:count]
            size += count
    except IndexError:
        return None
    return bytes(out) if at == end and len(out) == size == length else None


def _choose() -> Callable[[bytes, int], bytes | None]:
    try:
        from lzf import decompress as in_c
    except ImportError:
        return decompress_in_python

    def checked(data: bytes, length: int) -> bytes | None:
        if not data or length > _MOST_A_BYTE * len(data):  # so much space is not even to be made
            return None if length else b""
        try:
            out: bytes | None = in_c(data, length)
        except ValueError:
            return None
        return out if out is not None and len(out) == length else None

    return checked


def _choose_compression() -> Callable[[bytes], bytes | None] | None:
    try:
        from lzf import compress as in_c
    except ImportError:
        return None

    def checked(data: bytes) -> bytes | None:
        """A string of at least six bytes, compressed; None if that does not save four of them."""
        # The function has room for one byte more than it is told.
        out: bytes | None = in_c(data, len(data) - _GAIN - 1)
        return out

    return checked


decompress = _choose()

# None without the package. Its table of what has come before is not cleared between two strings, as
# in Redis, so the same one may come out in different ways: every one is right, none is foreseeable.
compress = _choose_compression()
