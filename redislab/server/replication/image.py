"""The image of a node's data: as it goes to the replicas, and as it comes from a master."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from redislab.engine.rdbload import RdbLoader
from redislab.engine.rdbsave import rdb_chunks

if TYPE_CHECKING:
    from redislab.server.node import Node


def image_chunks(
    node: Node, facts: Mapping[str, object], without: frozenset[str]
) -> Iterator[bytes]:
    """An RDB file of a node's data as they are now, in pieces.

    Args:
        node: the node.
        facts: where in which history the data stand (aux fields).
        without: what to leave out: "data", "functions".
    """
    return rdb_chunks(node.engine, node.image_facts() | dict(facts))


class Loader:
    """Builds the data of an RDB file, apart from those that the node has."""

    def __init__(self, node: Node) -> None:
        self._loader = RdbLoader(node.new_engine(), keep_expired=True)

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
        return self._loader.stream_database

    def take_over(self, node: Node) -> None:
        """Let the data take the place of those of a node."""
        node.adopt(self._loader.engine)
