"""A replica of ours in simulated time, and masters that play what a test has written for them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any

import redis

from redislab.engine.keyspace import Engine
from redislab.engine.rdbsave import rdb_chunks
from redislab.labs.base import Lab
from redislab.server import Environment
from redislab.server.config import Config
from redislab.wire.requests import RequestParser
from redislab.wire.resp import bulks
from redislab.worlds.base import NodeSpec
from redislab.worlds.nodes import Runnable, redis_node

ID = "a" * 40
MARK = b"f" * 40
MASTER, REPLICA = "master", "replica"


class Talk:
    """One connection of a replica to a master that is played.

    Attributes:
        said: what the replica has said, as commands.
        at: when it came, in virtual seconds.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._parser = RequestParser()
        self.said: list[list[bytes]] = []
        self.at = asyncio.get_running_loop().time()

    async def hear(self, name: bytes) -> list[bytes]:
        """The replica's next command of this name; those before it are answered."""
        while True:
            data = await self._reader.read(1 << 16)
            if not data:
                raise ConnectionError("the replica has hung up")
            for command in self._parser.feed(data):
                self.said.append(command)
                if command[0].upper() == name:
                    return command
                self.say(b"+PONG\r\n" if command[0].upper() == b"PING" else b"+OK\r\n")

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)

    async def say_for_ever(self, data: bytes) -> None:
        """Send bytes as long as the replica takes them."""
        while True:
            self.say(data)
            await self._writer.drain()
            await asyncio.sleep(0.001)

    def offer(self, payload: bytes, offset: int = 100) -> None:
        """Answer PSYNC with a data set of known length."""
        self.say(b"+FULLRESYNC %b %d\r\n$%d\r\n" % (ID.encode(), offset, len(payload)))
        self.say(payload)

    def send(self, *words: bytes) -> None:
        """Add a command to the stream."""
        self.say(bulks(words))

    async def until_it_hangs_up(self) -> None:
        """Wait for the end of the connection."""
        while data := await self._reader.read(1 << 16):
            self.said += self._parser.feed(data)

    def hang_up(self) -> None:
        """End the connection."""
        self._writer.close()


Script = Callable[[Talk], Coroutine[Any, Any, None]]


class Player:
    """A master that plays one script after the other, one a connection; the last one again."""

    def __init__(self, scripts: list[Script], config: Config) -> None:
        self._scripts = scripts
        self._config = config
        self._tasks: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None
        self.talks: list[Talk] = []

    async def start(self) -> None:
        host = self._config.listen_addresses[0].host
        self._server = await asyncio.start_server(self._meet, host, self._config.port)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk(reader, writer)
        script = self._scripts[min(len(self.talks), len(self._scripts) - 1)]
        self.talks.append(talk)
        try:
            await script(talk)
            await talk.until_it_hangs_up()
        except OSError:
            pass  # the replica has hung up, as it should on a liar
        finally:
            writer.close()

    async def stop(self) -> None:
        self.abort()

    def abort(self) -> None:
        if self._server is not None:
            self._server.close()


class LiarLab(Lab):
    """A master that is played, and a replica of it.

    Args:
        scripts: what the master plays, a connection each.
        config: directives of the replica.
        follows: the replica begins to follow the master at once.
    """

    relayed = False

    def __init__(
        self, *scripts: Script, config: Mapping[str, str] | None = None, follows: bool = True
    ) -> None:
        self.player: Player | None = None

        def make_node(file: str, environment: Environment) -> Runnable:
            if environment.name == MASTER:
                config = Config.from_text(environment.disk.read(file))
                self.player = Player(list(scripts), config)
                return self.player
            return redis_node(file, environment)

        super().__init__("sim", 3, make_node=make_node)
        self._start(NodeSpec(MASTER, {}))
        where = self.find(MASTER)
        directives = {"repl-timeout": "10", "enable-debug-command": "yes"} | dict(config or {})
        self._start(NodeSpec(REPLICA, directives))
        self.replica: redis.Redis = self.client(REPLICA)
        self.replica.set("mine", "old")  # what it has before it knows the master
        if follows:
            self.replica.execute_command("REPLICAOF", where.host, where.port)

    @property
    def talks(self) -> list[Talk]:
        """The connections so far."""
        assert self.player is not None
        return self.player.talks

    @property
    def pauses(self) -> list[float]:
        """How long the replica has waited between two attempts, in seconds."""
        times = [talk.at for talk in self.talks]
        return [after - before for before, after in itertools.pairwise(times)]

    @property
    def is_linked(self) -> bool:
        """Whether the replica says that it follows its master."""
        return self.replica.info("replication")["master_link_status"] == "up"

    def snapshot(self) -> Any:
        """What the replica says of itself."""
        return self.replica.info("replication")


def rdb(**strings: str) -> bytes:
    """An RDB file with these strings."""
    engine = Engine(16, lambda: 0, Random(1))
    for key, value in strings.items():
        engine.databases[0].values[key.encode()] = value.encode()
    return b"".join(rdb_chunks(engine, {"redis-ver": "7.0.15"}))
