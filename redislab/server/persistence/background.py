"""Writing an image of the data to a file, a little at a time.

Redis forks, and the child writes the data as they were at that moment. Here the image itself stays
what it was (`redislab.engine.snapshot`), and is written between the commands of clients: for two
milliseconds at a time, then the loop is left alone for as long. So nobody waits for longer than
that, and a save takes at most half of the node's time. In a simulation, where code takes no time, a
quarter of a megabyte is written in a millisecond.

A save that somebody waits for, as SAVE, is written as quickly as it goes; the node serves nobody
meanwhile (`exclusive.py`), but its loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from redislab.server.persistence.disk import write_all

if TYPE_CHECKING:
    from redislab.server.environment import DiskFile
    from redislab.server.node import Node

# What may be written in the background, as Redis names its child process; one at a time.
RDB, AOF = "RDB", "AOF"

SLICE_S = 0.002
SLICE_BYTES = 1 << 18
_REST_LEAST_S = 0.001
# So many bytes are brought to the medium at a time (`REDIS_AUTOSYNC_BYTES`): a large fsync at the
# end would keep the disk from everybody else for long.
_SYNC_BYTES = 4 << 20
_DELAY_STEP_S = 0.1  # so often it is looked whether the delay still holds


class Image(Protocol):
    """The data as they were at one moment, as the bytes of a file."""

    @property
    def keys_total(self) -> int:
        """How many keys there were."""
        ...

    @property
    def keys_done(self) -> int:
        """How many of them have been written."""
        ...

    @property
    def copied_bytes(self) -> int:
        """What had to be kept aside because it was changed meanwhile."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, in pieces."""
        ...

    def close(self) -> None:
        """Let go of the data. May be called again."""
        ...


class Pace:
    """How an image is written.

    Args:
        node: the node whose image it is.
        gently: leave the loop alone half of the time.
        incremental_fsync: bring it to the medium little by little; never, for None.
    """

    def __init__(self, node: Node, *, gently: bool, incremental_fsync: bool | None) -> None:
        self.node = node
        self.gently = gently
        self.incremental_fsync = incremental_fsync

    async def write(self, image: Image, file: DiskFile) -> int:
        """Write an image to a file, and bring the file to the medium.

        Returns:
            How many bytes it has.

        Raises:
            OSError: the disk did not take it.
        """
        clock = self.node.clock
        total = unsynced = 0
        began, in_slice, keys = clock(), 0, image.keys_done
        for piece in image:
            write_all(file, piece)
            total += len(piece)
            unsynced += len(piece)
            in_slice += len(piece)
            spent = clock() - began
            delay = self.node.config.rdb_key_save_delay
            if delay:
                await delay_keys(self.node, image.keys_done - keys)
            elif spent >= SLICE_S or in_slice >= SLICE_BYTES:
                await self._rest(spent)
            else:
                continue
            if self.incremental_fsync and unsynced >= _SYNC_BYTES:
                await file.sync()
                unsynced = 0
            began, in_slice, keys = clock(), 0, image.keys_done
        if self.incremental_fsync is not None:
            await file.sync()
        return total

    async def _rest(self, spent: float) -> None:
        await asyncio.sleep(max(spent, _REST_LEAST_S) if self.gently else 0)


async def delay_keys(node: Node, keys: int) -> None:
    """For tests (`rdb-key-save-delay`): take longer for so many keys that have been written.

    It is in microseconds a key; below zero, a microsecond for every so many.
    """
    microseconds = node.config.rdb_key_save_delay
    each_us = 1 / -microseconds if microseconds < 0 else microseconds
    left = keys * each_us / 1e6
    while left > 0 and node.config.rdb_key_save_delay:
        step = min(left, _DELAY_STEP_S)
        await asyncio.sleep(step)
        left -= step
