"""Work that the whole server stands still for, such as SAVE, without stopping the event loop.

Redis does such work in one go, and its clients wait because nobody looks at their requests. Here
the work is a coroutine that lets the loop run from time to time, and the node serves nobody until
it is done, as under DEBUG SLEEP. Inside a transaction there is no waiting: there the work is done
in one go here too, and must not wait for the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redislab.engine.errors import CommandError
from redislab.engine.table import Block, Reply
from redislab.server.persistence.disk import in_background

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node

# Given whether it may wait for the disk, returns a reply, or raises CommandError.
Work = Callable[[bool], Coroutine[Any, Any, bytes]]


@contextmanager
def standing_still(node: Node) -> Iterator[None]:
    """Serve nobody until the block ends."""
    node.stand_still()
    try:
        yield
    finally:
        node.go_on()


def reply_after(client: Client, work: Work) -> Reply:
    """The reply of a command that takes its time.

    Args:
        client: who has sent it.
        work: what is to be done.
    """
    if client.deny_blocking or client.session is None:
        return _at_once(work(False))
    node, entry = client.node, client.executing
    block = Block((), 0, lambda _c, _key: None, b"")

    async def run() -> None:
        try:
            reply = await work(True)
        except CommandError as failed:
            reply = node.failed(entry, failed)
        if client.blocked is block:
            node.blocking.release(client, reply)

    in_background(node, run())
    return block


def _at_once(work: Coroutine[Any, Any, bytes]) -> bytes:
    """Run a coroutine that only ever lets the loop run, without letting it."""
    while True:
        try:
            waits_for = work.send(None)
        except StopIteration as finished:
            reply: bytes = finished.value
            return reply
        assert waits_for is None, "this must not wait for anything"
