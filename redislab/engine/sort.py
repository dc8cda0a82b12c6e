"""SORT and SORT_RO (`src/sort.c` of Redis 7.0).

Elements are sorted as numbers or, with ALPHA, as bytes; by themselves or by the values of other
keys (BY); and shown as they are or as the values of other keys (GET). BY with a pattern that has no
`*` leaves the order as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isinf, isnan
from sys import float_info
from typing import Any

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, syntax_error, wrong_type
from redislab.engine.keyspace import Keyspace
from redislab.engine.lists import elements
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import HashValue, ListValue, SetValue, SortedSetValue
from redislab.wire.resp import integer, nullable_bulks

_PLAIN_NUMBER = re.compile(rb"-?[0-9]{1,15}(?:\.[0-9]{1,15})?").fullmatch
_NOT_NUMBERS = "ERR One or more scores can't be converted into double"


@command("sort")
def sort(c: Caller, args: list[bytes]) -> Reply:
    """SORT key [BY ...] [LIMIT offset count] [GET ...] [ASC|DESC] [ALPHA] [STORE key]."""
    return _sort(c, _parse(args, may_store=True), args[1])


@command("sort_ro")
def sort_ro(c: Caller, args: list[bytes]) -> Reply:
    """SORT_RO key [BY ...] [LIMIT offset count] [GET ...] [ASC|DESC] [ALPHA]."""
    return _sort(c, _parse(args, may_store=False), args[1])


@dataclass(slots=True)
class _Options:
    descending: bool = False
    alpha: bool = False
    offset: int = 0
    count: int = -1
    by: bytes | None = None
    gets: list[bytes] = field(default_factory=list)
    store: bytes | None = None

    @property
    def keeps_order(self) -> bool:
        """Whether BY names no other keys, so that there is nothing to sort by."""
        return self.by is not None and b"*" not in self.by


def _parse(args: list[bytes], *, may_store: bool) -> _Options:
    options = _Options()
    at = 2
    while at < len(args):
        word = args[at].lower()
        left = len(args) - at - 1
        if word in {b"asc", b"desc"}:
            options.descending = word == b"desc"
        elif word == b"alpha":
            options.alpha = True
        elif word == b"limit" and left >= 2:
            options.offset, options.count = parse_int(args[at + 1]), parse_int(args[at + 2])
            at += 2
        elif word == b"store" and left >= 1 and may_store:
            options.store = args[at + 1]
            at += 1
        elif word == b"by" and left >= 1:
            options.by = args[at + 1]
            at += 1
        elif word == b"get" and left >= 1:
            options.gets.append(args[at + 1])
            at += 1
        else:
            raise syntax_error()
        at += 1
    return options


def _sort(c: Caller, options: _Options, key: bytes) -> Reply:
    db = c.db
    value = db.lookup_read(key)
    if value is not None and type(value) not in {ListValue, SetValue, SortedSetValue}:
        raise wrong_type()
    settled = c.in_script or options.store is not None
    if options.keeps_order and type(value) is SetValue and settled:
        # A set has no order of its own; what is stored, or told to a script, must not depend on
        # chance.
        options.alpha, options.by = True, None
    if type(value) is SortedSetValue:
        value.packed = False  # Redis makes a skip list of it to walk along
    chosen = _selected(db, value, options)
    shown: list[bytes | None] = list(chosen)
    if options.gets:
        shown = [_value_of(db, each, pattern) for each in chosen for pattern in options.gets]
    if options.store is None:
        return nullable_bulks(shown, c.resp)
    return _store(c, options.store, ListValue(each or b"" for each in shown))


def _store(c: Caller, key: bytes, result: ListValue) -> Reply:
    db = c.db
    count = len(result)
    if count:
        db.put(key, result)
        db.changed(key, b"sortstore", count)
    elif db.remove(key):
        db.changed(key, b"del")
    return integer(count)


def _selected(db: Keyspace, value: Any, options: _Options) -> list[bytes]:
    """The elements asked for, in the order asked for."""
    if value is None:
        return []
    start = max(options.offset, 0)
    stop = len(value) if options.count < 0 else min(start + options.count, len(value))
    if options.keeps_order and type(value) is not SetValue:
        return _in_own_order(value, start, stop, backwards=options.descending)
    return _ordered(db, value, options)[start:stop]


def _in_own_order(
    value: ListValue | SortedSetValue, start: int, stop: int, *, backwards: bool
) -> list[bytes]:
    """A part of what has an order, counted from the end it begins with."""
    if start >= stop:
        return []
    if backwards:
        start, stop = len(value) - stop, len(value) - start
    if isinstance(value, ListValue):
        part = elements(value, start, stop)
    else:
        part = [member for _, member in value.order.islice(start, stop)]
    if backwards:
        part.reverse()
    return part


def _ordered(db: Keyspace, value: Any, options: _Options) -> list[bytes]:
    """All elements, sorted; those of a set as they are where BY names no other keys."""
    words = list(value)
    if options.keeps_order:
        return words
    if options.by is None:
        weights: list[bytes | None] = list(words)
    else:
        weights = [_value_of(db, word, options.by) for word in words]
    backwards = options.descending
    # What is shown is compared as C strings are, what is stored byte by byte.
    text = _up_to_null if options.store is None else bytes
    if options.alpha and options.by is None:
        return sorted(words, key=text, reverse=backwards)
    places = list(range(len(words)))
    if options.alpha:
        # Elements whose weights are equal stay as they were; those without one come first.
        keys = [(weight is not None, text(weight or b"")) for weight in weights]
        places.sort(key=keys.__getitem__, reverse=backwards)
    else:
        scores = [_parse_score(weight) for weight in weights]
        # Elements with equal scores stand in their own order, so they are sorted by that first.
        places.sort(key=words.__getitem__, reverse=backwards)
        places.sort(key=scores.__getitem__, reverse=backwards)
    return [words[place] for place in places]


def _up_to_null(text: bytes) -> bytes:
    return text.partition(b"\0")[0]


def _parse_score(text: bytes | None) -> float:
    """A number as `strtod` takes it, white space before it and an empty text (zero) included."""
    if text is None:
        return 0.0
    if _PLAIN_NUMBER(text):
        return float(text)
    before = text.partition(b"\0")[0]
    digits = before.lstrip()
    if not digits:
        if before:
            raise CommandError(_NOT_NUMBERS)
        return 0.0
    try:
        is_hexadecimal = b"x" in digits.lower()
        number = float.fromhex(digits.decode("ascii")) if is_hexadecimal else float(digits)
    except (ValueError, OverflowError):
        raise CommandError(_NOT_NUMBERS) from None
    strange = b"_" in digits or digits[-1:].isspace()
    if strange or isnan(number) or _is_out_of_range(number, digits.lower()):
        raise CommandError(_NOT_NUMBERS)
    return number


def _is_out_of_range(number: float, digits: bytes) -> bool:
    """Whether `strtod` would set ERANGE: an overflow, or digits lost next to zero."""
    if isinf(number):
        return b"inf" not in digits
    if number == 0:
        return bool(digits.partition(b"e")[0].strip(b"+-0."))
    return abs(number) < float_info.min


def _value_of(db: Keyspace, element: bytes, pattern: bytes) -> bytes | None:
    """What a pattern of BY or GET means for an element (`lookupKeyByPattern`).

    The element takes the place of the first `*`; `->field` at the end picks a field of a hash; `#`
    is the element itself.
    """
    if pattern == b"#":
        return element
    before, star, after = pattern.partition(b"*")
    if not star:
        return None
    hash_field = b""
    name, arrow, rest = after.partition(b"->")
    if arrow and rest:
        after, hash_field = name, rest
    value = db.lookup_read(before + element + after)
    if hash_field:
        return value.get(hash_field) if type(value) is HashValue else None
    return bytes(value) if isinstance(value, bytes | bytearray) else None
