"""A memory of what was found for keys that come often, with a bound.

It is a dictionary that finds what is missing. When it is full it is emptied: that costs each key
that comes often one more search in a hundred thousand, whereas to keep the keys in an order would
cost every lookup something. Long keys are not kept, so that it has some tens of megabytes at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

KEYS_MAX = 131_072
# In bytes or characters.
KEY_LENGTH_MAX = 128

K = TypeVar("K", bound=str | bytes)
V = TypeVar("V")


class Remembered(dict[K, V]):
    """What a function gives for keys; `remembered[key]` calls it only for a key that is new.

    Args:
        find: the function; what it raises comes out of the lookup, and nothing is kept.
    """

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[K], V]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, key: K) -> V:
        value = self._find(key)
        if len(key) <= KEY_LENGTH_MAX:
            if len(self) >= KEYS_MAX:
                self.clear()
            self[key] = value
        return value
