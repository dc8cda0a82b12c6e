"""Which arguments of a request are keys, and what the command does with them.

Follows COMMAND GETKEYS and GETKEYSANDFLAGS (`getKeysFromCommandWithSpecs` in `src/db.c` of Redis
7.0). The key specs answer for most commands. Where they cannot (a spec that is unknown, incomplete
or has flags that depend on the call), a small function of the command reads the arguments itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from redislab.engine.values import INT64_MAX, INT64_MIN
from redislab.server.facts.model import CommandFact, KeySpec

KeyUse = tuple[int, tuple[str, ...]]  # position in the request, flags of the key
_NO_FLAGS: tuple[str, ...] = ()
_LEADING_NUMBER = re.compile(rb"\s*([+-]?\d+)")


def has_keys(fact: CommandFact) -> bool:
    """Whether a command can have keys at all."""
    return fact.name in _OWN_WAYS or any("not_key" not in spec.flags for spec in fact.key_specs)


def find_keys(fact: CommandFact, argv: Sequence[bytes]) -> list[KeyUse]:
    """The keys of a request, as positions and flags, in the order of Redis; empty for none.

    Args:
        fact: of the command or the subcommand.
        argv: the whole request; a subcommand is the second word.
    """
    specs = [spec for spec in fact.key_specs if "not_key" not in spec.flags]
    if specs and not any("variable_flags" in spec.flags for spec in specs):
        found = _by_specs(specs, argv)
        if found is not None:
            return found
    own_way = _OWN_WAYS.get(fact.name)
    return own_way(argv) if own_way else []


def _by_specs(specs: list[KeySpec], argv: Sequence[bytes]) -> list[KeyUse] | None:
    """The keys by their specs; None if a spec does not fit the request."""
    found: list[KeyUse] = []
    for spec in specs:
        if spec.begin == "unknown":
            return None
        first = spec.index if spec.begin == "index" else _after_keyword(spec, argv)
        if not first:
            continue
        if spec.find == "keynum":
            count = _number(argv[first]) if first < len(argv) else None
            if count is None or count < 0:
                return None
            first += 1
            last = first + count - 1
        elif spec.last_key >= 0:
            last = first + spec.last_key
        elif spec.limit:
            last = first + (len(argv) - first) // spec.limit + spec.last_key
        else:
            last = len(argv) + spec.last_key
        if last >= len(argv) or last < first:
            return None
        found += [(at, spec.flags) for at in range(first, last + 1, spec.step)]
        if "incomplete" in spec.flags:
            return None
    return found


def _after_keyword(spec: KeySpec, argv: Sequence[bytes]) -> int:
    """The position after a spec's keyword, 0 if the request does not have it."""
    positions = (
        range(spec.start_from, len(argv) - 1)
        if spec.start_from > 0
        else range(len(argv) + spec.start_from, 1, -1)
    )
    for at in positions:
        if not 1 <= at < len(argv):
            break
        if argv[at].upper() == spec.keyword.encode():
            return at + 1
    return 0


def _number(word: bytes) -> int | None:
    """An integer written the way Redis accepts it: no spaces, no plus sign, no leading zero."""
    digits = word.removeprefix(b"-")
    plain = digits.isdigit() and digits.isascii() and (word == b"0" or digits[:1] != b"0")
    return int(word) if plain else None


def _leading_number(word: bytes) -> int:
    """The number that a word begins with, 0 for none: what C's atoi says, 32 bits of 64."""
    found = _LEADING_NUMBER.match(word)
    number = max(min(int(found[1]), INT64_MAX), INT64_MIN) if found else 0
    return (number + 2**31) % 2**32 - 2**31


def _counted(at: int) -> Callable[[Sequence[bytes]], list[KeyUse]]:
    """Keys after a number of keys at a position."""

    def read(argv: Sequence[bytes]) -> list[KeyUse]:
        count = _leading_number(argv[at])
        if not 1 <= count <= len(argv) - at - 1:
            return []
        return [(at + 1 + i, _NO_FLAGS) for i in range(count)]

    return read


def _counted_store(argv: Sequence[bytes]) -> list[KeyUse]:
    """ZUNIONSTORE and its kin: the sources, then the destination in front of them."""
    found = _counted(2)(argv)
    return [*found, (1, _NO_FLAGS)] if found else []


def _sort_ro(_argv: Sequence[bytes]) -> list[KeyUse]:
    return [(1, ("RO", "access"))]


def _sort(argv: Sequence[bytes]) -> list[KeyUse]:
    """The sorted key and the last STORE that is not the value of another option."""
    skip = {b"limit": 2, b"get": 1, b"by": 1}
    stored = 0
    at = 2
    while at < len(argv):
        word = argv[at].lower()
        if word == b"store" and at + 1 < len(argv):
            stored = at + 1
        at += skip.get(word, 0) + 1
    found: list[KeyUse] = [(1, ("RO", "access"))]
    return [*found, (stored, ("OW", "update"))] if stored else found


def _migrate(argv: Sequence[bytes]) -> list[KeyUse]:
    """One key in its place, or those after KEYS with an empty string in that place."""
    flags = ("RW", "access", "delete")
    skip = {b"auth": 1, b"auth2": 2}
    at = 6
    while at < len(argv):
        word = argv[at].lower()
        if word == b"keys":
            return [] if argv[3] else [(i, flags) for i in range(at + 1, len(argv))]
        at += skip.get(word, 0) + 1
    return [(3, flags)]


def _georadius(argv: Sequence[bytes]) -> list[KeyUse]:
    """The index, and the key of the last STORE or STOREDIST."""
    stored = 0
    at = 5
    while at < len(argv):
        if argv[at].lower() in {b"store", b"storedist"} and at + 1 < len(argv):
            stored = at + 1
            at += 1
        at += 1
    return [(1, _NO_FLAGS), (stored, _NO_FLAGS)] if stored else [(1, _NO_FLAGS)]


def _xread(argv: Sequence[bytes]) -> list[KeyUse]:
    """The first half of what follows STREAMS."""
    skip = {b"block": 1, b"count": 1, b"group": 2, b"noack": 0}
    at = 1
    while at < len(argv) and argv[at].lower() in skip:
        at += skip[argv[at].lower()] + 1
    if at >= len(argv) or argv[at].lower() != b"streams":
        return []
    count, odd = divmod(len(argv) - at - 1, 2)
    return [] if odd else [(at + 1 + i, _NO_FLAGS) for i in range(count)]


def _set(argv: Sequence[bytes]) -> list[KeyUse]:
    """SET reads the key as well if GET is given."""
    if any(word.lower() == b"get" for word in argv[3:]):
        return [(1, ("RW", "access", "update"))]
    return [(1, ("OW", "update"))]


def _bitfield(argv: Sequence[bytes]) -> list[KeyUse]:
    """BITFIELD only reads if all that it does is GET."""
    writes: list[KeyUse] = [(1, ("RW", "access", "update"))]
    at = 2
    while at < len(argv):
        word, remaining = argv[at].lower(), len(argv) - at - 1
        if word == b"get" and remaining >= 2:
            at += 3
        elif word == b"overflow" and remaining >= 1:
            at += 2
        else:
            return writes
    return [(1, ("RO", "access"))]


_OWN_WAYS: dict[bytes, Callable[[Sequence[bytes]], list[KeyUse]]] = {
    b"bitfield": _bitfield,
    b"blmpop": _counted(2),
    b"bzmpop": _counted(2),
    b"eval": _counted(2),
    b"eval_ro": _counted(2),
    b"evalsha": _counted(2),
    b"evalsha_ro": _counted(2),
    b"fcall": _counted(2),
    b"fcall_ro": _counted(2),
    b"georadius": _georadius,
    b"georadiusbymember": _georadius,
    b"lmpop": _counted(1),
    b"migrate": _migrate,
    b"set": _set,
    b"sintercard": _counted(1),
    b"sort": _sort,
    b"sort_ro": _sort_ro,
    b"xread": _xread,
    b"xreadgroup": _xread,
    b"zdiff": _counted(1),
    b"zdiffstore": _counted_store,
    b"zinter": _counted(1),
    b"zintercard": _counted(1),
    b"zinterstore": _counted_store,
    b"zmpop": _counted(1),
    b"zunion": _counted(1),
    b"zunionstore": _counted_store,
}
