"""When the keys of a database expire, and what that was before a snapshot was taken.

A copy of half a million times takes ten milliseconds, in which nobody is served. A snapshot does
without: from its begin on, the first change of a key's time puts aside what it was. That costs time
at every change, so a dictionary does it only while there is a snapshot: it changes its class.
"""

from __future__ import annotations

from typing import Any


class Expires(dict[bytes, int]):
    """By key, when it expires, in milliseconds since the epoch.

    Changed with no other methods than those that `_Kept` has.
    """

    __slots__ = ("_before",)

    def __init__(self) -> None:
        super().__init__()
        # For each snapshot: what its keys had that were changed since, None for no time.
        self._before: tuple[dict[bytes, int | None], ...] = ()

    def keep(self) -> ExpiresThen:
        """What they are now; let go of it with `close`."""
        before: dict[bytes, int | None] = {}
        self._before = (*self._before, before)
        self.__class__ = _Kept
        return ExpiresThen(self, before)

    def let_go(self, before: dict[bytes, int | None]) -> None:
        """Put nothing more aside there."""
        self._before = tuple(each for each in self._before if each is not before)
        if not self._before:
            self.__class__ = Expires


class ExpiresThen:
    """When keys expired at one moment.

    Attributes:
        count: how many did.
    """

    __slots__ = ("_before", "_now", "count")

    def __init__(self, now: Expires, before: dict[bytes, int | None]) -> None:
        self._now = now
        self._before = before
        self.count = len(now)

    def get(self, key: bytes) -> int | None:
        """When a key expired, or None if it did not."""
        return self._before[key] if key in self._before else self._now.get(key)

    def close(self) -> None:
        """Let go. May be called again; `get` must not be called any more."""
        self._now.let_go(self._before)


class _Kept(Expires):
    """The same, while there is a snapshot."""

    __slots__ = ()

    def _keep(self, key: bytes) -> None:
        at_ms = self.get(key)
        for before in self._before:
            before.setdefault(key, at_ms)

    def __setitem__(self, key: bytes, at_ms: int) -> None:
        self._keep(key)
        super().__setitem__(key, at_ms)

    def __delitem__(self, key: bytes) -> None:
        self._keep(key)
        super().__delitem__(key)

    def pop(self, key: bytes, *default: Any) -> Any:
        self._keep(key)
        return super().pop(key, *default)

    def update(self, times: dict[bytes, int]) -> None:  # type: ignore[override]
        for key in times:
            self._keep(key)
        super().update(times)

    def clear(self) -> None:
        for before in self._before:
            changed = dict(before)
            before.update(self)
            before.update(changed)
        super().clear()
