"""Full resynchronization on the master's side: a point-in-time image of all data, sent to replicas.

Replicas that ask within `repl-diskless-sync-delay` of each other share one image. It is made in
slices on the event loop, and goes straight to the sockets as `$EOF:<mark>`, the data, and the mark
once more; or, without `repl-diskless-sync`, into the RDB file first, whose length is then known and
sent before it. What is written meanwhile is held for the replica, and follows. Where Redis has a
child process that sees memory as it was at the fork, there is a `Snapshot` here.

Follows `startBgsaveForReplication` and `sendBulkToSlave` in `src/replication.c` and
`rdbSaveToSlavesSockets` in `src/rdb.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from redislab.engine.rdbsave import rdb_chunks
from redislab.server.replication.replica import Replica, State
from redislab.wire.resp import simple

if TYPE_CHECKING:
    from redislab.server.replication.masterside import MasterSide

# A slice of the image: how long the loop may be kept, and how many bytes at most.
_SLICE_SECONDS = 0.002
_SLICE_BYTES = 256 * 1024
# No more of it is made while a replica has so much unread.
_UNREAD_MAX = 1024 * 1024
_LOOK_SECONDS = 0.005
_MARK_BYTES = 20
_FILE_READ_BYTES = 64 * 1024


class Transfers:
    """The full resynchronizations of one node: at most one image at a time.

    Attributes:
        target: "socket" or "disk" while an image is being made, else "".
    """

    def __init__(self, side: MasterSide) -> None:
        self.side = side
        self.node = side.node
        self.target = ""
        self._batch: list[Replica] = []
        self._task: asyncio.Task[None] | None = None
        self._senders: dict[Replica, asyncio.Task[None]] = {}
        self._asked_at = 0.0

    # -- who waits -------------------------------------------------------------------------------

    def admit(self, replica: Replica) -> None:
        """A replica needs the data set."""
        log, config = self.node.log, self.node.config
        self._asked_at = self.node.loop_time()
        if self._task is not None:
            if self.target == "socket":
                log.notice("Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC")
            else:
                log.notice(
                    "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for "
                    "SYNC"
                )
        elif config.repl_diskless_sync and replica.takes_eof and config.repl_diskless_sync_delay:
            if self._enough(self._waiting()):
                self.start()
            else:
                log.notice("Delay next BGSAVE for diskless SYNC")
        else:
            # Once the command that asks is done: what it answers stands before the image.
            self.node.loop.call_soon(self.start)

    def tick(self) -> None:
        """Once a second: begin what was delayed for long enough."""
        waiting = self._waiting()
        if not waiting or self._task is not None:
            return
        config = self.node.config
        waited = self.node.loop_time() - self._asked_at
        if (
            not config.repl_diskless_sync
            or waited >= config.repl_diskless_sync_delay
            or self._enough(waiting)
        ):
            self.start()

    def forget(self, replica: Replica) -> None:
        """A replica is gone."""
        if replica in self._batch:
            self._batch.remove(replica)
        sender = self._senders.pop(replica, None)
        if sender is not None:
            sender.cancel()

    def streams_to(self, replica: Replica) -> bool:
        """Whether the image goes straight to this replica's socket now."""
        return replica in self._batch and self.target == "socket"

    def stop(self) -> None:
        """Give up what is under way."""
        for task in (self._task, *self._senders.values()):
            if task is not None:
                task.cancel()
        self._task = None
        self._senders.clear()
        self._batch.clear()
        self.target = ""

    def _waiting(self) -> list[Replica]:
        everybody = self.side.replicas.values()
        return [each for each in everybody if each.state is State.WAIT_START]

    def _enough(self, waiting: list[Replica]) -> bool:
        most = self.node.config.repl_diskless_sync_max_replicas
        return bool(most) and len(waiting) >= most

    # -- making the image ------------------------------------------------------------------------

    def start(self) -> None:
        """Begin an image for all who wait."""
        batch = self._waiting()
        if not batch or self._task is not None or self.node.stopping:
            return
        is_diskless = self.node.config.repl_diskless_sync and all(r.takes_eof for r in batch)
        self.target = "socket" if is_diskless else "disk"
        name = "replicas sockets" if is_diskless else "disk"
        self.node.log.notice(f"Starting BGSAVE for SYNC with target: {name}")
        side = self.side
        side.flush()
        # Replicas begin with no database selected.
        side.encoder.database = -1
        offset = side.history.offset
        greeting = simple(f"FULLRESYNC {side.history.id} {offset}".encode())
        for replica in batch:
            replica.state = State.SENDING
            replica.acked = 0
            replica.moved_at = self.node.loop_time()
            if replica.psync:
                replica.session.write(greeting)
        self._batch = batch
        chunks = rdb_chunks(self.node.engine, self.facts())
        work = self._to_sockets(chunks) if is_diskless else self._to_disk(chunks)
        self._task = self.node.loop.create_task(work, name="full resynchronization")

    def facts(self) -> dict[str, object]:
        """What the image says of itself beside its data: where in the history it stands."""
        history = self.side.history
        return self.node.image_facts() | {
            "repl-stream-db": 0,
            "repl-id": history.id,
            "repl-offset": history.offset,
        }

    async def _to_sockets(self, chunks: Iterator[bytes]) -> None:
        mark = b"%040x" % self.node.random.getrandbits(8 * _MARK_BYTES)
        self._send(b"$EOF:" + mark + b"\r\n")
        try:
            for piece in self._slices(chunks):
                self._send(piece)
                await self._room(self._batch)
                if not self._batch:
                    self.node.log.warning(
                        "Diskless rdb transfer, last replica dropped, killing fork child."
                    )
                    return
            self._send(mark)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
            self._task, self.target = None, ""
        self.node.log.notice("Background RDB transfer terminated with success")
        batch, self._batch = self._batch, []
        for replica in batch:
            self.node.log.notice(
                f"Streamed RDB transfer with replica {replica.address} succeeded (socket). "
                "Waiting for REPLCONF ACK from slave to enable streaming"
            )
            self._put_online(replica)
        self.start()

    async def _to_disk(self, chunks: Iterator[bytes]) -> None:
        try:
            path = await self.node.persistence.save_image(chunks)
        except OSError as failure:
            self.node.log.warning(f"SYNC failed. BGSAVE child returned an error: {failure}")
            for replica in list(self._batch):
                self.node.close(replica.client)
            return
        finally:
            self._task, self.target = None, ""
        batch, self._batch = self._batch, []
        for replica in batch:
            work = self._send_file(replica, path)
            self._senders[replica] = self.node.loop.create_task(work, name=f"bulk to {replica}")
        self.start()

    async def _send_file(self, replica: Replica, path: str) -> None:
        """Send the RDB file to a replica, its length first."""
        file = self.node.environment.disk.open(path, "read")
        try:
            self._write(replica, b"$%d\r\n" % file.size())
            while piece := file.read(_FILE_READ_BYTES):
                self._write(replica, piece)
                await self._room([replica])
        finally:
            file.close()
            self._senders.pop(replica, None)
        self._put_online(replica)
        # The length told the replica where the stream begins: nothing has to be waited for.
        self.side.acknowledge(replica.client, 0)

    def _slices(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The image in pieces, each made in one short run of the loop."""
        clock = self.node.clock
        while True:
            ends = clock() + _SLICE_SECONDS
            parts: list[bytes] = []
            size = 0
            for chunk in chunks:
                parts.append(chunk)
                size += len(chunk)
                if size >= _SLICE_BYTES or clock() >= ends:
                    break
            else:
                if parts:
                    yield b"".join(parts)
                return
            yield b"".join(parts)

    async def _room(self, replicas: list[Replica]) -> None:
        """Let the loop run, and wait until none of these replicas has too much unread."""
        await asyncio.sleep(0)
        # There is no event for "less than that is unread", and there are several connections.
        while any(_unread(each) > _UNREAD_MAX for each in replicas):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)

    def _send(self, data: bytes) -> None:
        for replica in list(self._batch):
            self._write(replica, data)

    def _write(self, replica: Replica, data: bytes) -> None:
        replica.session.write(data)
        self.side.bytes_out += len(data)
        if _unread(replica) <= _UNREAD_MAX:
            replica.moved_at = self.node.loop_time()

    def _put_online(self, replica: Replica) -> None:
        """The replica has the data set; the stream follows when it acknowledges."""
        if replica.only_rdb:
            self.node.log.notice(
                f"RDB transfer completed, rdb only replica ({replica.address}) should be "
                "disconnected asap"
            )
        replica.state = State.ONLINE
        replica.acked_at = self.node.loop_time()
        self.node.log.notice(f"Synchronization with replica {replica.address} succeeded")
        self.side.count_good_replicas()


def _unread(replica: Replica) -> int:
    """How many bytes were written to a replica that its connection has not taken."""
    return replica.session.transport.get_write_buffer_size()
