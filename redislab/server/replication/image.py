"""The image of a node's data: as it goes to the replicas, and as it comes from a master."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.rdbload import RdbLoader
from redislab.engine.rdbsave import RdbImage
from redislab.server.persistence.images import tell_end
from redislab.wire.rdb import report
from redislab.wire.rdb.faults import bad_library

if TYPE_CHECKING:
    from redislab.engine.keyspace import Keyspace
    from redislab.server.node import Node


def take_image(node: Node, facts: Mapping[str, object], without: frozenset[str]) -> RdbImage:
    """An RDB file of a node's data as they are now.

    Args:
        node: the node.
        facts: where in which history the data stand (aux fields).
        without: what to leave out: "data", "functions".
    """
    return RdbImage(
        node.engine,
        node.image_facts() | dict(facts) | {"aof-base": 0},
        () if "functions" in without else node.scripts.libraries.sources(),
        with_data="data" not in without,
        checksum=node.config.rdbchecksum,
    )


class Loader:
    """Builds the data of an RDB file, apart from those that the node has."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._loader = RdbLoader(
            node.new_engine(),
            keep_expired=True,
            checksum=node.config.rdbchecksum,
            on_aux=self._tell_fact,
        )

    def _tell_fact(self, name: bytes, value: bytes) -> None:
        line = report.aux_line(name, value, int(self._node.environment.unix_time()))
        if line is not None:
            self._node.log.notice(line)

    def feed(self, data: bytes) -> None:
        """Read some more bytes.

        Raises:
            RdbError: they are damaged.
        """
        self._loader.feed(data)

    def finish(self) -> None:
        """No more bytes will come.

        Raises:
            RdbError: the file is not at its end.
        """
        self._loader.finish()
        tell_end(self._node, self._loader)

    @property
    def done(self) -> bool:
        """Whether the end of the file was read."""
        return self._loader.reader.done

    @property
    def rest(self) -> bytes:
        """What came after the end."""
        return self._loader.reader.rest

    @property
    def stream_database(self) -> int:
        """The database that the stream is in which follows the data."""
        found = self._loader.stream_database
        return found if found < len(self._node.engine.databases) else 0

    def take_over(self) -> Sequence[Keyspace]:
        """Let the data take the place of those of the node.

        Returns:
            The databases that were the node's until now.

        Raises:
            RdbError: a library of functions does not load; everything is as it was.
        """
        libraries = self._node.scripts.libraries
        try:
            libraries.join(self._loader.libraries, policy="flush", limited=False)
        except CommandError as failed:
            raise bad_library(failed.message.removeprefix("ERR ")) from None
        self._node.adopt(self._loader.engine)
        return self._loader.engine.databases
