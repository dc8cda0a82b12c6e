"""A replica's connection to its master: one attempt, from dialing to the end of the link.

`handshake.py` decides what each answer leads to; here is what is said on the way, in the words and
with the log lines of `syncWithMaster`, `slaveTryPartialResynchronization` and
`readSyncBulkPayload` in `src/replication.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
import os
import socket
from enum import Enum
from typing import TYPE_CHECKING, cast

from redislab.server.replication.handshake import (
    HANDSHAKE,
    Answer,
    Step,
    advance,
    classify,
)
from redislab.server.replication.history import NO_ID, OFFSET_MAX
from redislab.server.replication.payload import Payload, PayloadError
from redislab.wire.resp import bulks

if TYPE_CHECKING:
    from redislab.server.replication.replicaside import ReplicaSide

# A line of the handshake is no longer than this (`PROTO_INLINE_MAX_SIZE` bounds it in Redis).
_LINE_MAX = 64 * 1024
# What is held of the stream while it cannot be applied; the rest waits in the kernel.
_HELD_MAX = 1024 * 1024
_OFFSET_DIGITS = 19
_NOT_CRITICAL = {
    Step.RECEIVE_PORT: "listening-port",
    Step.RECEIVE_IP: "ip-address",
    Step.RECEIVE_CAPA: "capa",
}
_NO_RESPONSE = "Master did not respond to command during SYNC handshake"
_LOST_IN_TRANSFER = "I/O error trying to sync with MASTER: connection lost"


class Ending(Enum):
    """Why a link ends, as far as it matters for the next attempt."""

    LOST = "the connection is gone, or not wanted any more"
    FAILED = "something went wrong on the way"
    LIED = "the master has sent what makes no sense"


class MasterLink(asyncio.Protocol):
    """One connection to a master.

    Attributes:
        step: how far the two are.
        last_io: when something came from the master last, on the loop's clock.
        payload: the data set that it sends.
    """

    def __init__(self, side: ReplicaSide) -> None:
        self.side = side
        self.node = side.node
        self.step = Step.CONNECT
        self.last_io = self.node.loop_time()
        self.transport: asyncio.Transport | None = None
        self.payload: Payload | None = None
        self._line = bytearray()
        self._held = bytearray()
        self._dialing: asyncio.Task[None] | None = None
        self._closed = self._asked = self._paused = self._greets_later = False

    # -- the connection --------------------------------------------------------------------------

    def dial(self, host: str, port: int) -> None:
        """Connect; what comes of it shows in `step`."""
        self.step = advance(self.step, Answer.YES)
        is_name = not _is_ip_address(host)
        if not is_name:
            self.node.log.notice("MASTER <-> REPLICA sync started")
        work = self._dial(host, port, is_name=is_name)
        self._dialing = self.node.loop.create_task(work, name="dial the master")

    async def _dial(self, host: str, port: int, *, is_name: bool) -> None:
        loop, log = self.node.loop, self.node.log
        addresses = [(host, port)]
        if is_name:
            try:
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except OSError as failure:
                log.warning(f"Unable to connect to MASTER: {failure.strerror or failure}")
                self.close(Ending.FAILED)
                return
            log.notice("MASTER <-> REPLICA sync started")
            addresses = [(str(address[0]), int(address[1])) for *_, address in found]
        source = self.node.config.bind_source_addr
        here = (source, 0) if source else None
        reason = ""
        for where in addresses:
            try:
                await loop.create_connection(lambda: self, *where, local_addr=here)
            except OSError as failure:
                reason = os.strerror(failure.errno) if failure.errno else str(failure)
            else:
                return
        log.warning(f"Error condition on socket for SYNC: {reason}")
        self.close(Ending.FAILED)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self.transport = cast("asyncio.Transport", transport)
        if self._closed:
            self.transport.abort()
        elif self.node.asleep:
            self._greets_later = True
        else:
            self._greet()

    def _greet(self) -> None:
        """Begin with a PING."""
        self.last_io = self.node.loop_time()
        self.node.log.notice("Non blocking connect for SYNC fired the event.")
        self.step = advance(self.step, Answer.OPENED)
        self.say(b"PING")

    def connection_lost(self, exc: Exception | None) -> None:
        """The link is gone, by whatever cause."""
        if self._closed:
            return
        log, ending = self.node.log, Ending.LOST
        if self.step in HANDSHAKE:
            reason = os.strerror(exc.errno or 0) if isinstance(exc, OSError) else "connection lost"
            log.warning(f"Failed to read response from the server: {reason}")
            if self.step is Step.RECEIVE_PSYNC:
                log.warning("Master did not reply to PSYNC, will try later")
            else:
                log.warning(_NO_RESPONSE)
            ending = Ending.FAILED
        elif self.step is Step.TRANSFER:
            log.warning(_LOST_IN_TRANSFER)
        self.close(ending)

    def close(self, ending: Ending) -> None:
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
        self.side.link_lost(self, was, ending)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._closed

    def say(self, *words: bytes) -> None:
        """Send a command to the master."""
        self.write(bulks(words))

    def write(self, data: bytes) -> None:
        """Send bytes to the master as they are."""
        if self.transport is not None and not self._closed:
            self.transport.write(data)

    # -- what comes ------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the master."""
        self.last_io = self.node.loop_time()
        self.side.bytes_in += len(data)
        if not self._held and not self.side.must_wait(self):
            self._take(data)
            return
        self._held += data
        if len(self._held) > _HELD_MAX:
            self.pause(paused=True)

    def resume(self) -> None:
        """What has kept the node from listening may be over."""
        if self._closed or self.side.must_wait(self):
            return
        if self._greets_later:
            self._greets_later = False
            self._greet()
        if self._held:
            held, self._held = bytes(self._held), bytearray()
            self._take(held)
        if self.payload is None or self.side.loading_task is None:
            self.pause(paused=False)

    def go_on(self, data: bytes) -> None:
        """Read on after the data set; these bytes of the stream came with its end."""
        self._held[:0] = data
        self.pause(paused=False)
        self.resume()

    @property
    def held_bytes(self) -> int:
        """How much has come that nobody has looked at."""
        return len(self._held)

    def _take(self, data: bytes) -> None:
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
                self.close(Ending.LIED)
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
                self.close(Ending.FAILED)
                return
            self.node.log.notice("Master replied to PING, replication can continue...")
            self._introduce()
        elif step is Step.RECEIVE_AUTH and answer is Answer.NO:
            self.node.log.warning(f"Unable to AUTH to MASTER: {text}")
            self.close(Ending.FAILED)
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
        log, failover = self.node.log, self.node.replication.failover
        words = text.split()
        if answer is Answer.CONTINUE and self.side.knows_history:
            failover.answered(accepted=True)
            self.side.continue_with(self, words[1] if len(words) > 1 else "")
        elif answer is Answer.FULL:
            if not _is_full_answer(words):
                log.warning("Master replied with wrong +FULLRESYNC syntax.")
                self.close(Ending.LIED)
                return
            log.notice(f"Full resync from master: {words[1]}:{words[2]}")
            failover.answered(accepted=True)
            self.payload = Payload(self.node, words[1], int(words[2]))
        elif answer is Answer.CONTINUE:
            log.warning(f"Unexpected reply to PSYNC from master: {text}")
            self.close(Ending.LIED)
        elif answer is Answer.LATER:
            log.notice(f"Master is currently unable to PSYNC but should be in the future: {text}")
            if not failover.answered(accepted=False):
                self.close(Ending.FAILED)
        else:
            if text.startswith("-ERR"):
                log.notice(f"Master does not support PSYNC or is in error state (reply: {text})")
            else:
                log.warning(f"Unexpected reply to PSYNC from master: {text}")
            if failover.answered(accepted=False):
                return
            log.notice("Retrying with SYNC...")
            self.payload = Payload(self.node, "", 0)
            self.write(b"SYNC\r\n")

    # -- the data set ----------------------------------------------------------------------------

    def _begin_payload(self, line: bytes) -> None:
        assert self.payload is not None
        try:
            self.payload.begin(line)
        except PayloadError as wrong:
            self.give_up(wrong)
        else:
            self.side.begin_load(self.payload)

    def _take_payload(self, data: bytes) -> None:
        payload = self.payload
        assert payload is not None
        try:
            is_complete = payload.take(data)
        except PayloadError as wrong:
            self.give_up(wrong)
            return
        if is_complete:
            self.side.load(self, payload)

    def give_up(self, wrong: PayloadError) -> None:
        """The data set is not to be had this time."""
        self.node.log.warning(str(wrong))
        self.close(Ending.LIED if wrong.is_masters_fault else Ending.FAILED)

    def loaded(self) -> None:
        """The data set is in place: follow the stream."""
        self.step = advance(self.step, Answer.LOADED)
        self.payload = None

    def pause(self, *, paused: bool) -> None:
        """Read nothing, or go on; the kernel keeps what comes."""
        if self.transport is None or self._closed or paused == self._paused:
            return
        self._paused = paused
        if paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    @property
    def in_handshake(self) -> bool:
        """Whether an answer is waited for."""
        return self.step in HANDSHAKE


def _is_full_answer(words: list[str]) -> bool:
    """Whether these are the words of a +FULLRESYNC: a replication ID and an offset."""
    if len(words) != 3 or len(words[1]) != len(NO_ID) or not words[2].isdigit():
        return False
    return len(words[2]) <= _OFFSET_DIGITS and int(words[2]) <= OFFSET_MAX


def _is_ip_address(host: str) -> bool:
    """Whether a host is no name that has to be looked up."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False
