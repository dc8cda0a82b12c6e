"""The registry of commands, and what a command sees of its caller.

A command is a plain function `handler(c, args) -> bytes`: `c` is the client it runs for, `args` the
whole request, the command's name first, and the result the encoded reply (`redislab.wire.resp`).
An error reply is raised as `CommandError`. A command that has to wait returns a `Block` instead.

```python
@command("llen")
def llen(c: Caller, args: list[bytes]) -> Reply:
    value = c.db.typed_read(args[1], ListValue)
    return integer(0 if value is None else len(value))
```

Before a handler runs, the server has checked that the name is known and the number of arguments
fits; arity, flags and key positions are facts of the command and stand in `redislab.server.facts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from redislab.engine.keyspace import Engine, Keyspace


class Caller:
    """What a command may know of the client it runs for. The server's `Client` extends it."""

    __slots__ = ("db", "deny_blocking", "engine", "in_script", "resp", "rewritten")

    db: Keyspace
    engine: Engine
    resp: int  # the protocol the client speaks, 2 or 3
    deny_blocking: bool  # inside MULTI or a script: answer at once instead of waiting
    in_script: bool
    # What to send to replicas and the append-only file in place of the request: None for the
    # request itself, an empty list for nothing.
    rewritten: list[list[bytes]] | None

    def rewrite(self, *argv: bytes) -> None:
        """Send this command on in place of the request; more than one call adds commands."""
        if self.engine.propagating:
            if self.rewritten is None:
                self.rewritten = []
            self.rewritten.append(list(argv))

    def rewrite_nothing(self) -> None:
        """Send nothing on, though data changed."""
        if self.engine.propagating:
            self.rewritten = []


@dataclass(slots=True)
class Block:
    """The reply of a command that has to wait for one of its keys.

    Attributes:
        keys: what it waits for, in order of preference.
        timeout_s: how long, in seconds; 0 means without end.
        serve: called as `serve(client, key)` when a key has received data. It returns the encoded
            reply, or None if there was nothing for it after all and the wait goes on.
        on_timeout: the encoded reply when the time is over.
        unblocked_by_deletion: whether a deleted or retyped key also wakes it (XREADGROUP).
    """

    keys: Sequence[bytes]
    timeout_s: float
    serve: Callable[[Caller, bytes], bytes | None]
    on_timeout: bytes
    unblocked_by_deletion: bool = False


Reply = bytes | Block
Handler = Callable[..., Reply]
H = TypeVar("H", bound=Handler)

HANDLERS: dict[bytes, Handler] = {}


def command(*names: str) -> Callable[[H], H]:
    """Register a function as the handler of these commands: `"get"`, or `"object|encoding"`."""

    def register(handler: H) -> H:
        for name in names:
            assert name.encode() not in HANDLERS, f"two handlers for {name}"
            HANDLERS[name.encode()] = handler
        return handler

    return register
