"""An engine with a clock of its own, and a caller for its commands: no node, no sockets."""

from __future__ import annotations

from random import Random

from redislab.engine import load_commands
from redislab.engine.keyspace import Engine
from redislab.engine.table import HANDLERS, Caller

START_MS = 1_700_000_000_000


class TestCaller(Caller):
    """Calls commands on database 0 of a new engine.

    Attributes:
        now_ms: what the engine takes for the time.
        events: what observers were told: (event, key).
    """

    __test__ = False

    def __init__(self, resp: int = 2, seed: int = 1) -> None:
        load_commands()
        self.now_ms = START_MS
        self.engine = Engine(16, lambda: self.now_ms, Random(seed))
        self.db = self.engine.databases[0]
        self.resp = resp
        self.deny_blocking = self.in_script = False
        self.rewritten = None
        self.events: list[tuple[bytes, bytes]] = []
        self.engine.observers.append(lambda _, event, key: self.events.append((event, key)))

    def __call__(self, *words: object) -> bytes:
        """The encoded reply of a command; the name may be `object|encoding`."""
        args = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        reply = HANDLERS[args[0].lower()](self, args)
        assert isinstance(reply, bytes)
        return reply

    def sent_on(self, *words: object) -> list[list[bytes]] | None:
        """What replicas get for a command: None for the request itself."""
        self.engine.propagating = True
        self.rewritten = None
        self(*words)
        return self.rewritten
