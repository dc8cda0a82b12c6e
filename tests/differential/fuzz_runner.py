"""Runs one sequence of calls on two servers, and tells the first thing in which they differ.

Compared are the replies, who is blocked and who is served, the messages that subscribers get, the
keyspace events, and in the end the data itself (DEBUG DIGEST, then key by key: type, encoding,
expiry, the order of what has one) and what INFO has counted.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

from redislab.wire.replies import Reply
from tests.differential.fuzz_generator import SETTINGS, SUBSCRIBERS, Plan, Step
from tests.differential.harness import show
from tests.servers import Address, Wire

LATE_S = 0.003  # a reply that takes longer: ask whether the client is blocked
HANGS_S = 10.0
SHOWN_MAX = 1500  # characters of a reply
TIME_TOLERANCE = 3000  # milliseconds between two calls of one step, at the most
# INCRBYFLOAT leaves a whole number as text. Ours takes it for the integer it is: in these replies.
TELLTALE = {(b"OBJECT", b"ENCODING"), (b"OBJECT", b"REFCOUNT")}
EPOCH_MS = 10**12  # an integer beyond is a moment
# Counted differently often on either side: the runner's own questions.
NOT_COUNTED = re.compile(rb"cmdstat_(client\|list|client\|id|info|config\|\w+|debug|[hsz]?scan)$")
INFO_FIELDS = (
    b"keyspace_hits keyspace_misses expired_keys total_error_replies pubsub_channels "
    b"pubsub_patterns pubsubshard_channels blocked_clients rdb_changes_since_last_save "
    b"unexpected_error_replies"
).split()
HANGS = "a server hangs"
T = TypeVar("T")
Difference = tuple[str, str]  # what kind of difference, and how it looks


class DiffersError(Exception):
    """The two servers differ: a `Difference` in `args`."""


@dataclass
class Side:
    """One of the two servers, and the connections to it."""

    address: Address
    control: Wire
    listener: Wire
    clients: list[Wire]
    ids: list[bytes]

    def ask(self, *words: bytes) -> Reply:
        """Ask over the control connection."""
        return self.control.call(*words)

    def blocked(self) -> set[int]:
        """Which clients wait."""
        lines = (self.ask(b"CLIENT", b"LIST").text or b"").splitlines()
        waiting = {_field(line, b"id") for line in lines if b"b" in _field(line, b"flags")}
        return {client for client, its_id in enumerate(self.ids) if its_id in waiting}


def _field(line: bytes, name: bytes) -> bytes:
    found = re.search(rb"(?:^| )" + name + rb"=(\S*)", line)
    assert found is not None
    return found[1]


class Runner:
    """Runs sequences on a real server and on ours."""

    def __init__(self, real: Address, ours: Address) -> None:
        self.addresses = (real, ours)
        self.controls = [Wire(address) for address in self.addresses]
        self.calls = 0

    def close(self) -> None:
        """Close what is open."""
        for control in self.controls:
            control.close()

    def run(self, plan: Plan) -> Difference | None:
        """Run a sequence; what differs, or None."""
        sides = [
            self._prepare(*each, plan) for each in zip(self.addresses, self.controls, strict=True)
        ]
        try:
            self.begin(sides).run(plan)
        except DiffersError as found:
            return found.args[0], found.args[1]
        except OSError as broken:
            return HANGS, f"{HANGS}: {broken}"
        finally:
            for side in sides:
                for wire in (*side.clients, side.listener):
                    wire.close()
        return None

    def begin(self, sides: list[Side]) -> _Run:
        """A sequence on servers that are prepared; other runners compare more, or other things."""
        return _Run(sides, self)

    def _prepare(self, address: Address, control: Wire, plan: Plan) -> Side:
        control.call(b"CLIENT", b"KILL", b"TYPE", b"normal")
        control.call(b"CLIENT", b"KILL", b"TYPE", b"pubsub")
        control.call(b"SELECT", b"0")
        control.call(b"FLUSHALL")
        control.call(b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0")
        for name, (default, *_) in SETTINGS.items():
            value = plan.settings.get(name, default)
            reply = control.call(b"CONFIG", b"SET", name.encode(), value.encode())
            assert not reply.is_error, f"{name} {value}: {show(reply)}"
        clients = [Wire(address, protocol) for protocol in plan.protocols]
        ids = [wire.call(b"CLIENT", b"ID").text or b"" for wire in clients]
        listener = Wire(address, 3)
        listener.call(b"PSUBSCRIBE", b"__key*")
        control.call(b"CONFIG", b"RESETSTAT")
        return Side(address, control, listener, clients, ids)


class _Run:
    """One sequence under way."""

    def __init__(self, sides: list[Side], runner: Runner) -> None:
        self.sides = sides
        self.runner = runner
        self.waiting: dict[int, Step] = {}  # clients that are blocked, and by what
        self.queued: dict[int, list[Step]] = {}  # in MULTI, what is queued
        self.transactions: set[int] = set()  # clients in MULTI
        self.where = ""
        self.has_float = False
        self.iterated = False  # each side in as many steps as it likes
        # Of each side, the IDs that XADD made of its clock, and what both sides' are called here.
        self.clock_ids: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
        self.dirty = [_changes(side) for side in sides]

    def run(self, plan: Plan) -> None:
        """Run it all.

        Raises:
            DiffersError: at the first difference.
        """
        for number, atom in enumerate(plan.atoms):
            for step in atom:
                self.has_float |= _name(step) == "INCRBYFLOAT"
                if step.client in self.waiting:
                    continue
                self.where = f"call {number}, {shown(step)}"
                self.runner.calls += 1
                if step.client in SUBSCRIBERS:
                    self.listen(step)
                else:
                    self.call(step)
                if self.waiting:
                    self.look_for_served()
        self.where = "at the end"
        self.finish()

    # -- calls -----------------------------------------------------------------------------------

    def call(self, step: Step) -> None:
        """One call of a client that is not subscribed."""
        if step.mark == "s" and step.client not in self.transactions:
            self.iterated = True
            self.compare(
                step, [_iterate(side.clients[step.client], step.words) for side in self.sides]
            )
            return
        for side in self.sides:
            side.clients[step.client].send(*step.words)
        replies = [self.reply_or_none(side, step.client) for side in self.sides]
        if replies[0] is None or replies[1] is None:
            if replies[0] is not replies[1]:
                shown_replies = ["waits" if each is None else show(each) for each in replies]
                self.differ(f"waits {_name(step)}", *shown_replies)
            self.waiting[step.client] = step
            return
        self.answered(step, [each for each in replies if each is not None])

    def answered(self, step: Step, replies: list[Reply]) -> None:
        """A call was answered: compare, and keep track of transactions."""
        first = replies[0]
        wait_ms = step.wait_ms
        if _name(step) == "MULTI" and first.text == b"OK":
            self.transactions.add(step.client)
        elif _name(step) in {"EXEC", "DISCARD", "RESET"}:
            self.transactions.discard(step.client)
        if first.kind == "+" and first.text == b"QUEUED":
            self.compare(step, replies, "")
            self.queued.setdefault(step.client, []).append(step)
            return
        if step.words[0].upper() == b"EXEC" and first.items is not None:
            queued = self.queued.pop(step.client, [])
            self.compare_exec(step, queued, replies)
            wait_ms = max([each.wait_ms for each in queued], default=0)
        else:
            self.compare(step, replies)
            if step.client not in self.transactions:
                self.queued.pop(step.client, None)
        if wait_ms:
            time.sleep(wait_ms / 1000)

    def compare_exec(self, step: Step, queued: list[Step], replies: list[Reply]) -> None:
        """The replies of a transaction, each by the mark of its call."""
        parts = [each.items or () for each in replies]
        if len(parts[0]) != len(parts[1]) or len(parts[0]) != len(queued):
            self.differ("EXEC", *map(show, replies))
        for one, *pair in zip(queued, *parts, strict=True):
            if one.mark != "s":
                self.compare(one, list(pair))

    def reply_or_none(self, side: Side, client: int) -> Reply | None:
        """A client's reply, or None if it is blocked."""
        wire = side.clients[client]
        deadline = time.monotonic() + HANGS_S
        while not _readable(wire, LATE_S):
            if client in side.blocked() and not _readable(wire, 0):
                return None
            if time.monotonic() > deadline:
                self.differ("hangs", f"no reply on port {side.address.port}", "")
        return _read(wire)

    def look_for_served(self) -> None:
        """See whether blocked clients were served by the last call."""
        while self.waiting:
            blocked = [side.blocked() & self.waiting.keys() for side in self.sides]
            if blocked[0] != blocked[1]:
                names = [str({c: shown(self.waiting[c]) for c in sorted(each)}) for each in blocked]
                self.differ("who waits", *names)
            served = [client for client in self.waiting if client not in blocked[0]]
            if not served:
                return
            for client in served:
                step = self.waiting.pop(client)
                self.answered(step, [_read(side.clients[client]) for side in self.sides])

    # -- pub/sub ---------------------------------------------------------------------------------

    def listen(self, step: Step) -> None:
        """A call of a subscriber: everything it has received up to the answer of a PING."""
        received = []
        for side in self.sides:
            wire = side.clients[step.client]
            wire.send(*step.words)
            wire.send(b"PING", b"sentinel")
            received.append(_runs_sorted(_up_to_sentinel(wire), _message))
        mark = "?" if step.words[0].upper().endswith(b"UNSUBSCRIBE") else None
        self.compare(step, [Reply("*", items=tuple(each)) for each in received], mark)

    # -- the end ---------------------------------------------------------------------------------

    def finish(self) -> None:
        """Compare what is left: messages, events, counters, data."""
        for client in SUBSCRIBERS:
            self.listen(Step(client, (b"PING",)))
        events = []
        for side in self.sides:
            side.listener.send(b"PING", b"sentinel")
            told = [_event(each) for each in _up_to_sentinel(side.listener)]
            events.append(_runs_sorted(told, _left_open))
        self.same_lists("events", events)
        counted = [
            _changes(side) - before for side, before in zip(self.sides, self.dirty, strict=True)
        ]
        if counted[0] != counted[1]:
            self.differ("changes counted", *map(str, counted))
        counters = [_counters(side) for side in self.sides]
        for name in sorted(counters[0].keys() | counters[1].keys()):
            if name == b"keyspace_hits" and self.iterated:
                continue
            figures = [each.get(name, b"none").decode() for each in counters]
            if figures[0] != figures[1]:
                self.differ(f"INFO {name.decode()}", *figures)
        self.compare_data()

    def compare_data(self) -> None:
        """The data of both servers, key by key."""
        spaces = [_keyspace(side) for side in self.sides]
        if spaces[0] != spaces[1]:
            self.differ("INFO keyspace", *map(str, spaces))
        for number in spaces[0]:
            for side in self.sides:
                side.ask(b"SELECT", number)
            keys = [sorted(_texts(side.ask(b"KEYS", b"*"))) for side in self.sides]
            self.same_lists(f"keys of database {number.decode()}", keys)
            for key in keys[0]:
                self.compare_key(key)
        for side in self.sides:
            side.ask(b"SELECT", b"0")
        digests = [show(side.ask(b"DEBUG", b"DIGEST")) for side in self.sides]
        if digests[0] != digests[1]:
            self.differ("DEBUG DIGEST", *digests)

    def compare_key(self, key: bytes) -> None:
        """Type, encoding, expiry and content of one key."""
        kind = (self.sides[0].ask(b"TYPE", key).text or b"").decode()
        encoding = self.sides[0].ask(b"OBJECT", b"ENCODING", key).text
        open_order = encoding in {b"hashtable", b"skiplist"}
        reads: dict[str, tuple[bytes, ...]] = {
            "string": (b"GET", key),
            "list": (b"LRANGE", key, b"0", b"-1"),
            "set": (b"SMEMBERS", key),
            "hash": (b"HGETALL", key),
            "zset": (b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"),
            "stream": (b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"),
        }
        checks = [
            Step(0, (b"TYPE", key)),
            Step(0, (b"OBJECT", b"ENCODING", key)),
            Step(0, (b"PEXPIRETIME", key), "t"),
        ]
        if kind in reads:
            mark = (
                "t" if kind == "stream" else "~" if open_order and kind in {"set", "hash"} else ""
            )
            checks.append(Step(0, reads[kind], mark))
        for check in checks:
            self.compare(check, [side.ask(*check.words) for side in self.sides])

    # -- comparing -------------------------------------------------------------------------------

    def compare(self, step: Step, replies: list[Reply], mark: str | None = None) -> None:
        """Two replies to one call."""
        normal = _NORMAL[step.mark if mark is None else mark]
        if draws_clock_id(step):
            self.note_clock_ids([each.text for each in replies if each.kind == "$"])
        real, ours = map(_with_names, replies, self.clock_ids)
        if real == ours:
            return
        if step.mark == "t" and _near(real, ours):
            return
        if normal(real) != normal(ours):
            if self.has_float and step.words[:2] in TELLTALE:
                return
            self.differ(_name(step), show(real), show(ours), shown(step))

    def note_clock_ids(self, told: list[bytes | None]) -> None:
        """What XADD has answered on either side: the same entry, under another ID."""
        if len(told) != len(self.clock_ids) or None in told:
            return
        pairs = [(ids, each or b"") for ids, each in zip(self.clock_ids, told, strict=True)]
        known = [ids[each] for ids, each in pairs if each in ids]
        name = known[0] if known else b"clock-id-%d" % len(self.clock_ids[0])
        for ids, each in pairs:
            ids[each] = name

    def same_lists(self, kind: str, lists: list[list[bytes]]) -> None:
        """Two lists that must be equal."""
        for place in range(max(map(len, lists))):
            pair = [each[place : place + 1] for each in lists]
            if pair[0] != pair[1]:
                around = [str(each[max(0, place - 3) : place + 4]) for each in lists]
                self.differ(kind, *around)

    def differ(self, kind: str, real: str, ours: str, what: str = "") -> None:
        """Tell of a difference.

        Raises:
            DiffersError: always.
        """
        where = self.where if not what or what in self.where else f"{self.where}: {what}"
        raise DiffersError(kind, f"{kind} ({where})\n  real: {_cut(real)}\n  ours: {_cut(ours)}")


def shown(step: Step) -> str:
    """A call on one line."""
    words = " ".join(word.decode("latin-1").__repr__()[1:-1] or '""' for word in step.words)
    return f"{step.client}> {words if len(words) < 300 else words[:300] + '...'}"


def draws_clock_id(step: Step) -> bool:
    """Whether it is an XADD whose ID the server makes of its clock."""
    return _name(step) == "XADD" and b"*" in step.words


def _with_names(reply: Reply, names: dict[bytes, bytes]) -> Reply:
    """A reply with other words in the place of some texts."""
    if not names:
        return reply
    if reply.items is not None:
        return replace(reply, items=tuple(_with_names(each, names) for each in reply.items))
    return replace(reply, text=names.get(reply.text, reply.text)) if reply.text else reply


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."


def _name(step: Step) -> str:
    return step.words[0].decode("latin-1").upper() if step.words else ""


# -- replies made comparable -----------------------------------------------------------------------


def _exact(reply: Reply) -> object:
    return reply


def _unordered(reply: Reply) -> object:
    if reply.items is None:
        return reply
    if reply.kind == "%":
        pairs = zip(reply.items[::2], reply.items[1::2], strict=True)
        return sorted(repr((_unordered(name), _unordered(value))) for name, value in pairs)
    return reply.kind, sorted(repr(_unordered(item)) for item in reply.items)


def _shape(reply: Reply) -> object:
    if reply.items is not None:
        return reply.kind, [_shape(item) for item in reply.items]
    return reply.kind, reply.is_null, reply.text if reply.is_error else None


def _nothing(reply: Reply) -> object:
    return None


def _near(real: Reply, ours: Reply) -> bool:
    """Equal but for times: integers that differ by what may pass between two calls."""
    if real.kind != ours.kind:
        return False
    if real.items is None or ours.items is None:
        if real.kind != ":" or real.text is None or ours.text is None:
            return real == ours
        one, other = int(real.text), int(ours.text)
        if one <= 0 or other <= 0 or max(one, other) < EPOCH_MS // 1000:
            return one == other or (min(one, other) >= 0 and abs(one - other) <= TIME_TOLERANCE)
        return abs(one - other) <= TIME_TOLERANCE
    if len(real.items) != len(ours.items):
        return False
    masked = False
    for left, right in zip(real.items, ours.items, strict=True):
        if not masked and not _near(left, right):
            return False
        masked = left.text == b"radix-tree-nodes"  # the one figure that is not Redis' own
    return True


_NORMAL: dict[str, Callable[[Reply], object]] = {
    "": _exact,
    "~": _unordered,
    "?": _shape,
    "t": _exact,
    "s": _unordered,
    "!": _nothing,
}


# -- talking to a server ---------------------------------------------------------------------------


def _readable(wire: Wire, timeout_s: float) -> bool:
    if wire._replies:
        return True
    return bool(select.select([wire.socket], [], [], timeout_s)[0])


def _read(wire: Wire) -> Reply:
    try:
        return wire.read()
    except (OSError, ValueError) as broken:
        return Reply("-", f"{type(broken).__name__}: {broken}".encode())


def _up_to_sentinel(wire: Wire) -> list[Reply]:
    received: list[Reply] = []
    while True:
        reply = _read(wire)
        if reply.is_error and b"Error: " in (reply.text or b""):
            return [*received, reply]
        last = reply.items[-1] if reply.items else reply
        if last.text == b"sentinel":
            return received
        received.append(reply)


def _iterate(wire: Wire, words: tuple[bytes, ...]) -> Reply:
    """All that SCAN or one of its kin finds, from cursor 0 back to cursor 0."""
    at = 1 if words[0].upper() == b"SCAN" else 2
    pairs = words[0].upper() in {b"HSCAN", b"ZSCAN"}
    found: dict[bytes, Reply] = {}
    cursor = b"0"
    while True:
        reply = wire.call(*words[:at], cursor, *words[at + 1 :])
        if not reply.items or len(reply.items) != 2 or reply.items[1].items is None:
            return reply
        items = reply.items[1].items
        step = 2 if pairs else 1
        for place in range(0, len(items), step):
            name = items[place]
            value = items[place + 1] if pairs else name
            found[name.text or b""] = Reply("*", items=(name, value))
        cursor = reply.items[0].text or b""
        if cursor == b"0":
            return Reply("*", items=tuple(found.values()))


def _runs_sorted(items: list[T], key: Callable[[T], object]) -> list[T]:
    """The items, sorted within each run of those that have the same key, if that is true.

    The order is left open in which patterns get one message, and that of the keys that SORT asks
    for as it walks through a set.
    """
    ordered: list[T] = []
    for told, run in groupby(items, key):
        items_of_run = list(run)
        ordered += sorted(items_of_run, key=repr) if told else items_of_run
    return ordered


def _left_open(event: bytes) -> bool:
    """Whether an event is of those that come in the order in which a hash table is walked."""
    return b"keymiss" in event or b"expired" in event


def _message(reply: Reply) -> object:
    """What tells that a message of several patterns is one."""
    items = reply.items or ()
    if not items or items[0].text != b"pmessage":
        return None
    return "open" if any(_left_open(item.text or b"") for item in items[2:]) else items[2:]


def _event(message: Reply) -> bytes:
    items = message.items or ()
    return b" ".join(item.text or b"" for item in items[2:]) or show(message).encode()


def _texts(reply: Reply) -> list[bytes]:
    return [item.text or b"" for item in reply.items or ()]


def _info(side: Side, section: bytes) -> Iterable[tuple[bytes, bytes]]:
    for line in (side.ask(b"INFO", section).text or b"").splitlines():
        name, colon, value = line.partition(b":")
        if colon:
            yield name, value


def _changes(side: Side) -> int:
    return int(dict(_info(side, b"persistence"))[b"rdb_changes_since_last_save"])


def _counters(side: Side) -> dict[bytes, bytes]:
    counters = dict(_info(side, b"errorstats"))
    for name, value in _info(side, b"commandstats"):
        if not NOT_COUNTED.match(name):
            figures = dict(pair.split(b"=") for pair in value.split(b","))
            wanted = (b"calls", b"rejected_calls", b"failed_calls")
            counters[name] = b",".join(figures[each] for each in wanted)
    for section in (b"stats", b"clients"):
        counters |= {name: value for name, value in _info(side, section) if name in INFO_FIELDS}
    counters.pop(b"rdb_changes_since_last_save", None)
    return counters


def _keyspace(side: Side) -> dict[bytes, bytes]:
    return {name[2:]: value.partition(b",avg_ttl")[0] for name, value in _info(side, b"keyspace")}
