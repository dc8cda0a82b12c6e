"""A replica's connection to its master: one attempt, from dialing to the end of the link.

`handshake.py` decides what each answer leads to; here is what is said on the way, in the words and
with the log lines of `syncWithMaster`, `slaveTryPartialResynchronization` and
`readSyncBulkPayload` in `src/replication.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, cast

from redislab.server.replication.handshake import (
    HANDSHAKE,
    Answer,
    Step,
    advance,
    classify,
)
from redislab.server.replication.payload import Payload, PayloadError
from redislab.wire.resp import bulks

if TYPE_CHECKING:
    from redislab.server.replication.replicaside import ReplicaSide

# A line of the handshake is no longer than this (`PROTO_INLINE_MAX_SIZE` bounds it in Redis).
_LINE_MAX = 64 * 1024
_NOT_CRITICAL = {
    Step.RECEIVE_PORT: "listening-port",
    Step.RECEIVE_IP: "ip-address",
    Step.RECEIVE_CAPA: "capa",
}


class MasterLink(asyncio.Protocol):
    """One connection to a master.

    Attributes:
        step: how far the two are.
        last_io: when something came from the master last, on the loop's clock.
        speaks_psync: the master acknowledges offsets; false for one from before 2.8.
    """

    def __init__(self, side: ReplicaSide) -> None:
        self.side = side
        self.node = side.node
        self.step = Step.CONNECT
        self.last_io = self.node.loop_time()
        self.speaks_psync = True
        self.transport: asyncio.Transport | None = None
        self.payload: Payload | None = None
        self._line = bytearray()
        self._dialing: asyncio.Task[None] | None = None
        self._closed = self._asked = False

    # -- the connection --------------------------------------------------------------------------

    def dial(self, host: str, port: int) -> None:
        """Connect; what comes of it shows in `step`."""
        self.step = advance(self.step, Answer.YES)
        self._dialing = self.node.loop.create_task(self._dial(host, port), name="dial the master")

    async def _dial(self, host: str, port: int) -> None:
        source = self.node.config.bind_source_addr
        try:
            await self.node.loop.create_connection(
                lambda: self, host, port, local_addr=(source, 0) if source else None
            )
        except OSError as failure:
            reason = os.strerror(failure.errno) if failure.errno else str(failure)
            self.node.log.warning(f"Error condition on socket for SYNC: {reason}")
            self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands: begin with a PING."""
        self.transport = cast("asyncio.Transport", transport)
        if self._closed:
            self.transport.abort()
            return
        self.last_io = self.node.loop_time()
        self.node.log.notice("Non blocking connect for SYNC fired the event.")
        self.step = advance(self.step, Answer.OPENED)
        self.say(b"PING")

    def connection_lost(self, exc: Exception | None) -> None:
        """The link is gone, by whatever cause."""
        self.close()

    def close(self) -> None:
        """End the link, and tell the replica once."""
        if self._closed:
            return
        self._closed = True
        was = self.step
        self.step = Step.CONNECT
        if self._dialing is not None and self.transport is None:
            self._dialing.cancel()
        if self.transport is not None:
            self.transport.abort()
        if self.payload is not None:
            self.payload.discard()
        self.side.link_lost(self, was)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._closed

    def say(self, *words: bytes) -> None:
        """Send a command to the master."""
        if self.transport is not None and not self._closed:
            self.transport.write(bulks(words))

    def say_newline(self) -> None:
        """Show the master that we are alive, in a place where no command can be sent."""
        if self.transport is not None and not self._closed:
            self.transport.write(b"\n")

    # -- what comes ------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the master."""
        self.last_io = self.node.loop_time()
        self.side.bytes_in += len(data)
        rest = data
        while rest and not self._closed:
            if self.step is Step.CONNECTED:
                self.side.receive(self, rest)
                return
            if self.step is Step.TRANSFER and self.payload is not None and self.payload.begun:
                self._take_payload(rest)
                return
            line, rest = self._take_line(rest)
            if line is None:
                return
            if line:
                self._answered(line)

    def _take_line(self, data: bytes) -> tuple[bytes | None, bytes]:
        """A line and what follows it; None for the line while its end has not come."""
        end = data.find(b"\n")
        if end < 0:
            self._line += data
            if len(self._line) > _LINE_MAX:
                self.node.log.warning("Failed to read response from the server: line too long")
                self.close()
            return None, b""
        line = bytes(self._line) + data[:end]
        self._line.clear()
        return line.rstrip(b"\r"), data[end + 1 :]

    def _answered(self, line: bytes) -> None:
        if self.step is Step.TRANSFER:
            self._begin_payload(line)
            return
        step, answer = self.step, classify(self.step, line)
        text = line.decode("utf-8", "replace")
        self.step = advance(step, answer)
        if step is Step.RECEIVE_PING:
            if answer is Answer.NO:
                self.node.log.warning(f"Error reply to PING from master: '{text}'")
                self.close()
                return
            self.node.log.notice("Master replied to PING, replication can continue...")
            self._introduce()
        elif step is Step.RECEIVE_AUTH and answer is Answer.NO:
            self.node.log.warning(f"Unable to AUTH to MASTER: {text}")
            self.close()
        elif step is Step.RECEIVE_PSYNC:
            self._answered_psync(answer, text)
        elif answer is Answer.UNKNOWN_OPTION:
            option = _NOT_CRITICAL[step]
            self.node.log.notice(
                f"(Non critical) Master does not understand REPLCONF {option}: {text}"
            )
        self._pass_over()

    def _introduce(self) -> None:
        """Say who we are, all at once; the answers come in the order of the table."""
        config = self.node.config
        if config.masterauth:
            user = [config.masteruser.encode()] if config.masteruser else []
            self.say(b"AUTH", *user, config.masterauth.encode())
        port = config.replica_announce_port or config.port
        self.say(b"REPLCONF", b"listening-port", b"%d" % port)
        if config.replica_announce_ip:
            self.say(b"REPLCONF", b"ip-address", config.replica_announce_ip.encode())
        self.say(b"REPLCONF", b"capa", b"eof", b"capa", b"psync2")

    def _pass_over(self) -> None:
        """Leave out the states whose question was not asked, and ask for the stream at the end."""
        config = self.node.config
        if self.step is Step.RECEIVE_AUTH and not config.masterauth:
            self.step = advance(self.step, Answer.YES)
        if self.step is Step.RECEIVE_IP and not config.replica_announce_ip:
            self.step = advance(self.step, Answer.YES)
        if self.step is Step.RECEIVE_PSYNC and not self._asked:
            self._asked = True
            self.say(*self.side.request())

    def _answered_psync(self, answer: Answer, text: str) -> None:
        log = self.node.log
        words = text.split()
        if answer is Answer.CONTINUE:
            self.side.continue_with(self, words[1] if len(words) > 1 else "")
        elif answer is Answer.FULL:
            if len(words) != 3 or len(words[1]) != 40 or not words[2].isdigit():
                log.warning("Master replied with wrong +FULLRESYNC syntax.")
                self.close()
                return
            log.notice(f"Full resync from master: {words[1]}:{words[2]}")
            self.payload = Payload(self.node, words[1], int(words[2]))
        elif answer is Answer.LATER:
            log.notice(f"Master is currently unable to PSYNC but should be in the future: {text}")
            self.close()
        else:
            if text.startswith("-ERR"):
                log.notice(f"Master does not support PSYNC or is in error state (reply: {text})")
            else:
                log.warning(f"Unexpected reply to PSYNC from master: {text}")
            log.notice("Retrying with SYNC...")
            self.speaks_psync = False
            self.payload = Payload(self.node, "", 0)
            self.say(b"SYNC")

    # -- the data set ----------------------------------------------------------------------------

    def _begin_payload(self, line: bytes) -> None:
        assert self.payload is not None
        try:
            self.payload.begin(line)
        except PayloadError as wrong:
            self.node.log.warning(str(wrong))
            self.close()

    def _take_payload(self, data: bytes) -> None:
        payload = self.payload
        assert payload is not None
        try:
            is_complete = payload.take(data)
        except (PayloadError, OSError) as wrong:
            self.node.log.warning(str(wrong))
            self.close()
            return
        if is_complete:
            self.node.log.notice("MASTER <-> REPLICA sync: Loading DB in memory")
            self.side.load(self, payload)

    def loaded(self) -> None:
        """The data set is in place: follow the stream."""
        self.step = advance(self.step, Answer.LOADED)
        self.payload = None

    def pause(self, *, paused: bool) -> None:
        """Read nothing while the data set is loaded; the kernel keeps what comes."""
        if self.transport is None or self._closed:
            return
        if paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    @property
    def in_handshake(self) -> bool:
        """Whether an answer is waited for."""
        return self.step in HANDSHAKE
