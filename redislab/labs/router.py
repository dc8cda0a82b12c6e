"""Read-write splitting: a client that writes to the master and reads from its replicas.

What is a read is decided by the server: `COMMAND INFO` names the commands that are `readonly`.
Everything else goes to the master, and so does a read when no replica answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis


class Router(redis.Redis):
    """A redis-py client over several connections; commands are methods as in `redis.Redis`.

    A pipeline and a subscription go to the master.

    Args:
        master: the client that takes the writes.
        replicas: the clients that take the reads, in turn.

    Attributes:
        sent: how many commands each node was sent: "master", "replica 1" ...
    """

    def __init__(self, master: redis.Redis, replicas: Sequence[redis.Redis]) -> None:
        super().__init__(connection_pool=master.connection_pool)
        self.master: Any = master
        self.replicas: list[Any] = list(replicas)
        self.sent: dict[str, int] = {"master": 0}
        self.sent |= {f"replica {number}": 0 for number in range(1, len(replicas) + 1)}
        self._reads = _read_commands(self.master)
        self._turn = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command where it belongs."""
        if str(args[0]).split()[0].lower() in self._reads:
            for _ in self.replicas:
                number = self._turn % len(self.replicas)
                self._turn += 1
                try:
                    reply = self.replicas[number].execute_command(*args, **options)
                except (redis.ConnectionError, redis.TimeoutError):
                    continue
                self.sent[f"replica {number + 1}"] += 1
                return reply
        self.sent["master"] += 1
        return self.master.execute_command(*args, **options)

    def close(self) -> None:
        """Close the connections to all nodes."""
        for client in (self.master, *self.replicas):
            client.close()

    def __repr__(self) -> str:
        shares = ", ".join(f"{name}: {count}" for name, count in self.sent.items())
        return f"<Router {shares}>"


def _read_commands(client: Any) -> frozenset[str]:
    """The names of the commands that only read, as the server tells."""
    rows = client.execute_command("COMMAND")
    found = rows.values() if isinstance(rows, dict) else rows
    return frozenset(_name(row) for row in found if "readonly" in _flags(row))


def _name(row: Any) -> str:
    name = row["name"] if isinstance(row, dict) else row[0]
    return name.decode() if isinstance(name, bytes) else str(name)


def _flags(row: Any) -> set[str]:
    flags = row["flags"] if isinstance(row, dict) else row[2]
    return {flag.decode() if isinstance(flag, bytes) else str(flag) for flag in flags}
