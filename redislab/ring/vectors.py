"""Many keys at once: their hashes and their owners, with numpy where it is installed.

Keys are laid side by side, a row each and filled up with zeros; those of one length then go through
the arithmetic of `hashes.py` a column at a time. On the circle a table tells, for the first bits of
a hash, where in the list of points to begin; from there it is mostly no step or one. All of it is
done in blocks that fit the processor's cache. Without numpy the same functions give lists.

numpy is imported at the first use: a proxy, which has one key at a time, starts without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, cast
from zlib import crc32

from redislab.ring.hashes import BY_CHARACTERS, BY_WORDS, HASHES, hash_named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Keys that are taken together, and how long one may be to be among them.
BLOCK_KEYS = 16_384
KEY_BYTES_MAX = 256
# Of fewer keys of a length each is hashed by itself, which is faster.
GROUP_MIN = 24
# The first bits of a hash that the table of a circle is asked with.
TABLE_BITS = 16
# If more points than that have the same first bits, it is searched by halving.
STEPS_MAX = 16
HASH_BITS = 32


@cache
def has_numpy() -> bool:
    """Whether numpy is there."""
    try:
        import numpy as np
    except ImportError:
        return False
    return bool(np.__version__)


def as_list(numbers: Sequence[int]) -> list[int]:
    """Numbers that may be an array as a list of plain ones."""
    return numbers if isinstance(numbers, list) else cast("NDArray[np.int64]", numbers).tolist()


def hashes_of(name: str, keys: Sequence[bytes]) -> Sequence[int]:
    """The hashes of many keys, in their order; that of an empty key is 0, as in a pool.

    Args:
        name: of the hash; ValueError if there is none of that name.
        keys: any number of them.

    Returns:
        An array of unsigned 32-bit numbers, or a list without numpy.
    """
    function = hash_named(name)
    if not has_numpy():
        return [function(key) if key else 0 for key in keys]
    import numpy as np

    count = len(keys)
    if name == "crc32a":
        values = np.fromiter(map(crc32, keys), np.uint32, count)
    elif name == "crc32":
        values = np.fromiter((crc32(key) >> 16 & 0x7FFF for key in keys), np.uint32, count)
    elif name in BY_CHARACTERS or name in BY_WORDS:
        values = np.empty(count, np.uint32)
        for begin in range(0, count, BLOCK_KEYS):
            block = keys[begin : begin + BLOCK_KEYS]
            values[begin : begin + BLOCK_KEYS] = _hashes_of_block(name, block)
    else:
        values = np.fromiter((function(key) if key else 0 for key in keys), np.uint32, count)
    return cast("Sequence[int]", values)


def _hashes_of_block(name: str, keys: Sequence[bytes]) -> NDArray[np.uint32]:
    import numpy as np

    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    counts = np.bincount(np.minimum(lengths, KEY_BYTES_MAX + 1), minlength=KEY_BYTES_MAX + 2)
    groups = np.flatnonzero(counts[1 : KEY_BYTES_MAX + 1] >= GROUP_MIN) + 1
    values = np.zeros(len(keys), np.uint32)
    is_left = lengths > 0
    if len(groups):
        width = -(-int(groups[-1]) // 4) * 4
        # What is longer is cut here, and left for below.
        matrix = np.array(keys, f"S{width}").view(np.uint8).reshape(len(keys), width)
        for length in groups.tolist():
            if counts[length] == len(keys):
                return _hashes_of_length(name, matrix, length)
            rows = lengths == length
            values[rows] = _hashes_of_length(name, matrix[rows], length)
            is_left &= ~rows
    one = HASHES[name]
    for row in np.flatnonzero(is_left).tolist():
        values[row] = one(keys[row])
    return values


def _hashes_of_length(name: str, matrix: NDArray[np.uint8], length: int) -> NDArray[np.uint32]:
    """The hashes of keys of one length, a row each, with zeros after it up to whole words."""
    import numpy as np

    if name in BY_WORDS:
        words = np.ascontiguousarray(matrix[:, : -(-length // 4) * 4]).view("<u4")
        columns = list(np.ascontiguousarray(words.T).astype(np.uint32, copy=False))
        values = BY_WORDS[name](columns, length)
    else:
        # As signed characters, each as a word of 32 bits.
        characters = np.ascontiguousarray(matrix[:, :length].T).view(np.int8).astype(np.uint32)
        values = BY_CHARACTERS[name](characters)
    return cast("NDArray[np.uint32]", values)


class Circle:
    """The points of a continuum as arrays, for many hashes at once.

    Args:
        places: where the points are, in order.
        owners: whose they are.
    """

    __slots__ = ("_first", "_owners", "_places", "_steps")

    def __init__(self, places: Sequence[int], owners: Sequence[int]) -> None:
        import numpy as np

        # One more point that no hash is beyond; its owner is that of the first.
        self._places = np.array([*places, 2**HASH_BITS - 1], np.uint32)
        self._owners = np.array([*owners, *owners[:1]], np.int32)
        begins = np.arange(2**TABLE_BITS, dtype=np.uint32) << (HASH_BITS - TABLE_BITS)
        first = np.searchsorted(self._places[:-1], begins).astype(np.int32)
        self._first = first
        self._steps = int(np.diff(first, append=len(places)).max())

    def owners_of(self, values: Sequence[int]) -> Sequence[int]:
        """Whose these hashes are, an array; raises IndexError if there is no point at all."""
        import numpy as np

        hashes = np.asarray(values, np.uint32)
        owners = np.empty(len(hashes), np.int32)
        for begin in range(0, len(hashes), BLOCK_KEYS):
            block = hashes[begin : begin + BLOCK_KEYS]
            if self._steps > STEPS_MAX:
                at = np.searchsorted(self._places[:-1], block)
            else:
                at = self._first[block >> (HASH_BITS - TABLE_BITS)]
                for _ in range(self._steps):
                    at += self._places[at] < block
            owners[begin : begin + BLOCK_KEYS] = self._owners[at]
        return cast("Sequence[int]", owners)


def slot_owners(
    ends: Sequence[int], numbers: Sequence[int], values: Sequence[int]
) -> Sequence[int]:
    """Whose slots these hashes fall into, an array.

    Args:
        ends: of each owner the slot after its last.
        numbers: of each owner the number.
        values: the hashes.
    """
    import numpy as np

    slots = np.asarray(values, np.uint32).astype(np.int64) % ends[-1]
    at = np.searchsorted(np.array(ends), slots, side="right")
    return cast("Sequence[int]", np.array(numbers, np.int32)[at])
