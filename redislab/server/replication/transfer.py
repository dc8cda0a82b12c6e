"""Full resynchronization on the master's side: a point-in-time image of all data, sent to replicas.

Replicas that ask within `repl-diskless-sync-delay` of each other share one image. It is made in
slices on the event loop, and goes straight to the sockets as `$EOF:<mark>`, the data, and the mark
once more; or, without `repl-diskless-sync`, into the RDB file first, whose length is then known and
sent before it. What is written meanwhile is held for the replica, and follows. Where Redis has a
child process that sees memory as it was at the fork, there is a `Snapshot` here; where Redis kills
that process, the work ends here.

Follows `syncCommand`, `startBgsaveForReplication`, `updateSlavesWaitingBgsave` and
`sendBulkToSlave` in `src/replication.c`, and `rdbSaveToSlavesSockets` and `killRDBChild` in
`src/rdb.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from redislab.server.persistence.background import delay_keys
from redislab.server.persistence.saving import KILLED_BY
from redislab.server.replication.image import take_image
from redislab.server.replication.replica import Replica, State
from redislab.wire.resp import error, simple

if TYPE_CHECKING:
    from redislab.engine.rdbsave import RdbImage
    from redislab.server.replication.masterside import MasterSide

# A slice of the image: how long the loop may be kept, and how many bytes at most.
_SLICE_SECONDS = 0.002
_SLICE_BYTES = 256 * 1024
# No more of it is made while a replica has so much unread.
_UNREAD_MAX = 1024 * 1024
_LOOK_SECONDS = 0.005
_MARK_BYTES = 20
_FILE_READ_BYTES = 64 * 1024
_ATTACHED = "Waiting for end of BGSAVE for SYNC"
_NO_ATTACHING = "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"
_BUSY = "No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed"
_FAILED = "SYNC failed. BGSAVE child returned an error"
_DONE_READING = "Diskless rdb transfer, done reading from pipe, {} replicas still up."
_STREAMED = (
    "Streamed RDB transfer with replica {} succeeded (socket). Waiting for REPLCONF ACK from slave "
    "to enable streaming"
)


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
        self._image: RdbImage | None = None
        self._senders: dict[Replica, asyncio.Task[None]] = {}
        self._made_file = False

    # -- who waits -------------------------------------------------------------------------------

    def admit(self, replica: Replica) -> None:
        """A replica needs the data set."""
        log, config = self.node.log, self.node.config
        if config.repl_disable_tcp_nodelay:
            _collect_small_packets(replica)
        if self.target == "socket":
            log.notice("Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC")
        elif self.target == "disk":
            log.notice(
                "Waiting for end of BGSAVE for SYNC" if self._attach(replica) else _NO_ATTACHING
            )
        elif self.node.persistence.active == "RDB":
            log.notice(_NO_ATTACHING)
        elif config.repl_diskless_sync and replica.takes_eof and config.repl_diskless_sync_delay:
            log.notice("Delay next BGSAVE for diskless SYNC")
        elif self._other_work:
            log.notice(_BUSY)
        else:
            # Once the command that asks is done.
            self.node.loop.call_soon(self._start, replica.without)

    def _attach(self, replica: Replica) -> bool:
        """Let a replica have the image that is being saved for others; whether that goes."""
        first = next(
            (
                each
                for each in self._batch
                if each.state is State.WAIT_END and (not each.only_rdb or replica.only_rdb)
            ),
            None,
        )
        if first is None or first.without != replica.without:
            return False
        if first.takes_eof > replica.takes_eof or first.knows_psync2 > replica.knows_psync2:
            return False
        if not replica.only_rdb:
            replica.hold_as(first)
        self._greet(replica, first.first_offset)
        return True

    def tick(self) -> None:
        """Begin what was delayed for long enough (`shouldStartChildReplication`)."""
        self._remove_file()
        waiting = self._waiting()
        if not waiting or self.target or self._other_work:
            return
        config, now = self.node.config, self.node.loop_time()
        most = config.repl_diskless_sync_max_replicas
        longest = max(now - each.asked_at for each in waiting)
        if (
            not config.repl_diskless_sync
            or (most and len(waiting) >= most)
            or longest >= config.repl_diskless_sync_delay
        ):
            self._start(waiting[0].without)

    def forget(self, replica: Replica) -> None:
        """A replica is gone."""
        if replica in self._batch:
            self._batch.remove(replica)
            self.node.call_later(0.0, self._end_if_unwanted)
        sender = self._senders.pop(replica, None)
        if sender is not None:
            sender.cancel()

    def _end_if_unwanted(self) -> None:
        """End a save that no replica waits for, unless the node wants its file all the same."""
        if self.target == "disk" and not self._batch and not self.node.config.save:
            self.end()

    def end(self) -> None:
        """End the making of an image, as if its process had been killed; its replicas have to go.

        What is on its way to replicas that have a file already goes on.
        """
        task, image, log = self._task, self._image, self.node.log
        if task is None or image is None:
            return
        task.cancel()
        batch, self._batch = self._batch, []
        if self.target == "disk":
            self.node.persistence.saving.killed()
        else:
            log.warning(_DONE_READING.format(len(batch)))
            log.warning(f"Background transfer terminated by signal {KILLED_BY}")
        self._made(image)
        for replica in batch:
            log.warning(_FAILED)
            self.node.close(replica.client)
        self.node.call_later(0.0, self.tick)

    def stop(self) -> None:
        """Give up what is under way."""
        for task in (self._task, *self._senders.values()):
            if task is not None:
                task.cancel()
        self._senders.clear()
        self._batch.clear()
        if self._image is not None:
            self._made(self._image)

    def _made(self, image: RdbImage) -> None:
        """The making of an image is over, one way or the other; it may have been told before."""
        image.close()
        if image is self._image:
            self._task, self._image, self.target = None, None, ""

    def _waiting(self) -> list[Replica]:
        """The replicas that wait for an image to be begun, and want the same as the first one."""
        everybody = self.side.replicas.values()
        waiting = [each for each in everybody if each.state is State.WAIT_START]
        return [each for each in waiting if each.without == waiting[0].without]

    @property
    def _other_work(self) -> bool:
        """Whether something else is written in the background, or the data are half changed."""
        return self.node.persistence.active is not None or self.node.scripts.slow.client is not None

    # -- making the image ------------------------------------------------------------------------

    def _start(self, without: frozenset[str]) -> None:
        """Begin an image for all who wait for one of this kind."""
        batch = [each for each in self._waiting() if each.without == without]
        if not batch or self.target or self.node.stopping:
            return
        diskless = self.node.config.repl_diskless_sync or bool(without)
        self.target = "socket" if diskless and all(each.takes_eof for each in batch) else "disk"
        name = "replicas sockets" if self.target == "socket" else "disk"
        self.node.log.notice(f"Starting BGSAVE for SYNC with target: {name}")
        self.side.flush()
        facts = self.node.replication.image_facts()
        if not facts:
            self.node.log.warning(
                "BGSAVE for replication: replication information not available, can't generate the "
                "RDB file right now. Try later."
            )
            self._refuse(batch)
            return
        image = self._image = take_image(self.node, facts, without)
        for replica in batch:
            self._greet(replica, self.side.history.offset)
        if self.target == "socket":
            self.node.log.notice(
                f"Background RDB transfer started by pid {self.node.environment.process_id}"
            )
            work = self._to_sockets(image)
        else:
            work = self._to_disk(image, self.node.engine.dirty)
        self._task = self.node.loop.create_task(work, name="full resynchronization")

    def _refuse(self, batch: list[Replica]) -> None:
        self.target = ""
        self.node.log.warning("BGSAVE for replication failed")
        for replica in batch:
            replica.session.write(error("ERR BGSAVE failed, replication can't continue"))
            replica.session.transport.close()

    def _greet(self, replica: Replica, offset: int) -> None:
        """Tell a replica where in the stream its data set stands."""
        replica.state = State.WAIT_END
        replica.first_offset = offset
        replica.stuck_since = None
        # What follows the image begins with a SELECT.
        self.side.encoder.database = -1
        self._batch.append(replica)
        if replica.psync:
            greeting = f"FULLRESYNC {self.side.history.id} {offset}"
            replica.session.write(simple(greeting.encode()))

    async def _to_sockets(self, image: RdbImage) -> None:
        log = self.node.log
        mark = b"%040x" % self.node.random.getrandbits(8 * _MARK_BYTES)
        self._send(b"$EOF:" + mark + b"\r\n")
        try:
            keys = 0
            for piece in self._slices(iter(image)):
                if self.node.config.rdb_key_save_delay:
                    await delay_keys(self.node, image.keys_done - keys)
                    keys = image.keys_done
                self._send(piece)
                await self._room(self._batch)
                if not self._batch:
                    log.warning("Diskless rdb transfer, last replica dropped, killing fork child.")
                    break
            else:
                self._send(mark)
                log.warning(_DONE_READING.format(len(self._batch)))
        finally:
            self._made(image)
        batch, self._batch = self._batch, []
        if batch:
            log.notice("Background RDB transfer terminated with success")
        for replica in batch:
            log.notice(_STREAMED.format(replica.address))
            self._put_online(replica)
        self.tick()

    async def _to_disk(self, image: RdbImage, dirty: int) -> None:
        self._made_file = self.node.config.rdb_del_sync_files
        path = None
        try:
            with suppress(OSError):  # the log has told of it
                path = await self.node.persistence.saving.save_for_replicas(image, dirty)
        finally:
            self._made(image)
        batch, self._batch = self._batch, []
        for replica in batch:
            if path is None:
                self.node.log.warning(_FAILED)
                self.node.close(replica.client)
                continue
            replica.state = State.SENDING
            work = self._send_file(replica, path)
            self._senders[replica] = self.node.loop.create_task(work, name=f"bulk to {replica}")
        self.tick()

    async def _send_file(self, replica: Replica, path: str) -> None:
        """Send the RDB file to a replica, its length first."""
        log = self.node.log
        try:
            file = self.node.environment.disk.open(path, "read")
        except OSError as failure:
            reason = os.strerror(failure.errno or 0)
            log.warning(f"SYNC failed. Can't open/stat DB after BGSAVE: {reason}")
            self.node.close(replica.client)
            return
        try:
            missing = file.size()
            self._write(replica, b"$%d\r\n" % missing)
            while missing:
                piece = file.read(min(missing, _FILE_READ_BYTES))
                if not piece:
                    log.warning("Read error sending DB to replica: premature EOF")
                    self.node.close(replica.client)
                    return
                missing -= len(piece)
                self._write(replica, piece)
                await self._room([replica])
        finally:
            file.close()
            self._senders.pop(replica, None)
        if self._put_online(replica):
            self.side.start_streaming(replica)

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
        before: dict[Replica, int] = {}
        while True:
            full = {each: unread for each in replicas if (unread := _unread(each)) > _UNREAD_MAX}
            now = self.node.loop_time()
            for replica in replicas:
                if replica not in full:
                    replica.stuck_since = None
                elif full[replica] != before.get(replica):
                    replica.stuck_since = now
            if not full:
                return
            before = full
            # There is no event for "less than that is unread", and there are several connections.
            await asyncio.sleep(_LOOK_SECONDS)

    def _send(self, data: bytes) -> None:
        for replica in list(self._batch):
            self._write(replica, data)

    def _write(self, replica: Replica, data: bytes) -> None:
        replica.session.write(data)
        self.side.bytes_out += len(data)

    def _put_online(self, replica: Replica) -> bool:
        """The replica has the data set. False for one that wants nothing else, and is let go."""
        if replica.only_rdb:
            self.node.log.notice(
                f"RDB transfer completed, rdb only replica ({replica.address}) should be "
                "disconnected asap"
            )
            replica.state = State.TRANSMITTED
            replica.session.transport.close()
            return False
        replica.state = State.ONLINE
        replica.acked_at = self.node.loop_time()
        self.side.count_good_replicas()
        self.node.log.notice(f"Synchronization with replica {replica.address} succeeded")
        return True

    def _remove_file(self) -> None:
        """Leave no RDB file on the disk of a node that is to have none (`rdb-del-sync-files`)."""
        config, disk = self.node.config, self.node.environment.disk
        if not config.rdb_del_sync_files:
            self._made_file = False
        if not self._made_file or config.save or config.appendonly:
            return
        if any(each.state is not State.ONLINE for each in self.side.replicas.values()):
            return
        self._made_file = False
        path = config.absolute(config.dbfilename)
        if disk.size(path) is not None:
            self.node.log.notice(
                "Removing the RDB file used to feed replicas in a persistence-less instance"
            )
            disk.unlink(path)


def _collect_small_packets(replica: Replica) -> None:
    """Let the kernel send a replica fewer and larger packets (`repl-disable-tcp-nodelay`)."""
    connection = replica.session.transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)


def _unread(replica: Replica) -> int:
    """How many bytes were written to a replica that its connection has not taken."""
    return replica.session.transport.get_write_buffer_size()
