"""One client of a pool: requests in, to the servers of their keys, replies out in the same order.

This file is the hot path. A chunk of requests is taken apart as a whole, and each server is sent
those that are its own in one piece, as they came; the end of the turn writes all of that, and the
replies that have come meanwhile, each in one write. Memory stays bounded: no more is read from a
client that has much under way or does not read its replies, and one that lets too much lie is hung
up on. Follows `src/nc_client.c`, `src/nc_request.c` and `src/nc_response.c` of twemproxy 0.5.0.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import repeat
from typing import TYPE_CHECKING, Final, cast

from redislab.ring.proxy import refusals
from redislab.ring.proxy.batches import Batch, Split
from redislab.ring.proxy.commands import Command, find, keys, spelled
from redislab.ring.proxy.requests import (
    QUICK_BYTES,
    BrokenError,
    RequestReader,
    cut,
    glued,
    quick,
)
from redislab.ring.proxy.servers import Connection

if TYPE_CHECKING:
    from redislab.ring.proxy.pool import Pool

# A client has so many requests under way, and a chunk more; less once it reads slowly, for then
# their replies pile up. With each turn in which it does not lag it may have one more again.
WINDOW: Final = 512
SLOW_WINDOW: Final = 16
# So much of a chunk is looked at for each request of the window; then the others have their turn.
REQUEST_BYTES: Final = 32
# Nor does it have more under way than this, in bytes.
UNDER_WAY_BYTES: Final = 1024 * 1024
# One whose socket takes no more is not read from, from here on; and from there on hung up on.
SLOW_READER_BYTES: Final = 64 * 1024
UNREAD_BYTES: Final = 256 * 1024 * 1024
_CRLF: Final = b"\r\n"
_PONG: Final = b"+PONG"
_OK: Final = b"+OK"
_WRONG_PASSWORD: Final = b"-ERR invalid password"
_NO_PASSWORD: Final = b"-ERR Client sent AUTH, but no password is set"
_NOT_AUTHENTICATED: Final = b"-NOAUTH Authentication required"


class Session(asyncio.Protocol):
    """A client's connection.

    Attributes:
        pool: whose client it is.
        touched: replies have come, and the turn knows.
        batches: what it has asked and was not yet answered, oldest first.
        authenticated: it may ask; always so where there is no `redis_auth`.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.touched = False
        self.batches: deque[Batch] = deque()
        self.authenticated = not pool.config.redis_auth
        self._reader = RequestReader()
        self._under_way = 0  # bytes of the requests in `batches`
        self._asked = 0  # how many they are
        self._window = WINDOW
        self._rest = b""  # what came and was not looked at
        self._is_paused = self._is_slow = False
        # The connection ends with the last reply; after QUIT nothing is looked at any more.
        self._is_ending = self._has_quit = self._is_gone = self._is_faulty = False
        # Nothing is under way but whole requests of a client who may ask: the short way is open.
        self._is_quick = self.authenticated
        # With several connections to a server: the one that requests under way went to.
        self._used: dict[int, Connection] = {}

    # -- the connection ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come; there may be too many."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=SLOW_READER_BYTES)
        self.pool.came(self, self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, by either side's doing; what it asked is answered to nobody."""
        self._is_gone = True
        self._is_quick = False
        self.batches.clear()
        self._rest = b""
        self.pool.left(self, failed=self._is_faulty or exc is not None)

    def eof_received(self) -> bool:
        """It will ask no more, and still wants to hear what it has asked."""
        self._is_ending = True
        return bool(self.batches or self._rest)

    def pause_writing(self) -> None:
        """It reads more slowly than it asks."""
        self._is_slow = True
        self._window = SLOW_WINDOW

    def resume_writing(self) -> None:
        """It has caught up."""
        self._is_slow = False
        if self._is_paused:
            self.pool.loop.call_soon(self._go_on)

    def close(self) -> None:
        """Hang up now."""
        self._is_gone = True
        self._is_quick = False
        self.batches.clear()
        self._transport.abort()

    # -- requests ----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """What the client has sent: most often one request, and then there is a short way."""
        if self._is_quick and len(data) <= QUICK_BYTES:
            words = quick(data)
            if words is not None:
                command = spelled(words[0])
                pool = self.pool
                if (
                    command is not None
                    and command.plain
                    and command.least <= len(words) <= command.most
                    and len(words[1]) <= pool.key_max
                ):
                    self._forward_one(words[1], data)
                    return
        self._receive(data)
        self._is_quick = (
            self.authenticated
            and not self._rest
            and not self._reader.unfinished
            and not self._has_quit
            and not self._is_gone
        )

    def _forward_one(self, key: bytes, data: bytes) -> None:
        """Send on a request that came by itself."""
        pool = self.pool
        batch = Batch(self, 1, len(data), pool.loop.time())
        self.batches.append(batch)
        self._under_way += len(data)
        self._asked += 1
        try:
            index = pool.index_of(key)
        except LookupError:
            pool.nobody(batch, 0)
            return
        connection = pool.only[index] or self._connection(index)
        connection.waiting.append((batch, 0))
        connection.unsent.append(data)
        connection.unsent_requests += 1
        if not connection.touched:
            connection.touch()
        if self._is_slow or self._asked > self._window:
            self._pause()

    def _receive(self, data: bytes) -> None:
        """What the client has sent, which may be much."""
        if self._has_quit or self._is_gone:
            return
        if self._rest:
            self._rest += data
            return
        most = self._window * REQUEST_BYTES
        if len(data) > most and not self._reader.unfinished:
            at = data.rfind(b"\r\n*", 0, most) + 2  # before a request, if that can be
            if at > 1:
                self._rest = data[at:]
                data = data[:at]
        self._take(data)
        if self._rest or self._is_full:
            self._pause()

    @property
    def _is_full(self) -> bool:
        """No more may be under way."""
        return self._is_slow or self._asked > self._window or self._under_way > UNDER_WAY_BYTES

    def _pause(self) -> None:
        """Read no more for now."""
        if not self._is_gone:
            self._transport.pause_reading()
            self._is_paused = True
            if self._rest and not self._is_full:
                self.pool.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Read on, unless there is still too much under way."""
        if self._is_gone or not self._is_paused:
            return
        if self._is_full:
            return
        self._is_paused = False
        rest, self._rest = self._rest, b""
        self._transport.resume_reading()
        if rest:
            self._is_quick = False
            self.data_received(rest)

    def _take(self, data: bytes) -> None:
        """A chunk of requests."""
        requests = self._reader.fast(data)
        if requests is None:
            try:
                parsed = self._reader.feed(data)
            except BrokenError as broken:
                self._take_all(broken.before, len(data))
                self._hang_up()
            else:
                self._take_all(parsed, len(data))
            return
        self._run(requests, cut(data), len(data))

    def _take_all(self, parsed: list[tuple[list[bytes], bytes]], size: int) -> None:
        """Requests that the slower parser has read."""
        if parsed:
            self._run([words for words, _ in parsed], [raw[1:-2] for _, raw in parsed], size)

    def _run(self, requests: list[list[bytes]], pieces: list[bytes], size: int) -> None:
        """Send requests to the servers of their keys, in order.

        Args:
            requests: the words of each.
            pieces: the bytes of each, as `requests.cut` has them.
            size: how many bytes they are.
        """
        pool = self.pool
        batch = Batch(self, len(requests), size, pool.loop.time())
        self.batches.append(batch)
        self._under_way += size
        self._asked += len(requests)
        index_of, key_max = pool.index_of, pool.key_max
        is_plain = self.authenticated
        groups: dict[int, tuple[list[int], list[bytes]]] = {}
        for place, words in enumerate(requests):
            command = spelled(words[0])
            if (
                is_plain
                and command is not None
                and command.plain
                and command.least <= len(words) <= command.most
                and len(words[1]) <= key_max
            ):
                try:
                    index = index_of(words[1])
                except LookupError:
                    pool.nobody(batch, place)
                    continue
                group = groups.get(index)
                if group is None:
                    groups[index] = ([place], [pieces[place]])
                else:
                    group[0].append(place)
                    group[1].append(pieces[place])
                continue
            # Anything else may go anywhere: what came before it goes first.
            self._send(groups, batch)
            groups = {}
            if not self._run_other(words, pieces[place], batch, place):
                return
            is_plain = self.authenticated
        self._send(groups, batch)

    def _send(self, groups: dict[int, tuple[list[int], list[bytes]]], batch: Batch) -> None:
        """Hand requests to the connections of their servers.

        Args:
            groups: by the number of the server, places in the batch and the bytes of the requests.
            batch: which they belong to.
        """
        only = self.pool.only
        for index, (places, pieces) in groups.items():
            connection = only[index] or self._connection(index)
            connection.waiting.extend(zip(repeat(batch), places))
            connection.unsent.append(glued(pieces))
            connection.unsent_requests += len(places)
            if not connection.touched:
                connection.touch()

    def _connection(self, index: int) -> Connection:
        """One of several connections to a server: the same one while requests are under way."""
        if len(self.batches) <= 1:
            self._used.clear()
        connection = self._used.get(index)
        if connection is None or connection.shard is not self.pool.shards[index]:
            connection = self._used[index] = self.pool.shards[index].next_connection()
        return connection

    # -- requests that need a closer look --------------------------------------------------------

    def _run_other(self, words: list[bytes], piece: bytes, batch: Batch, place: int) -> bool:
        """A request that is not plainly sent on.

        Args:
            words: it.
            piece: its bytes, as `requests.cut` has them.
            batch: which it belongs to.
            place: which of them it is.

        Returns:
            Whether those after it are looked at.
        """
        pool = self.pool
        command = find(words)
        if command is None or any(len(key) > pool.key_max for key in keys(command, words)):
            if pool.config.explain_refusals:
                why = (
                    refusals.why(words)
                    if command is None
                    else refusals.too_long(words, pool.key_max)
                )
                batch.answer(place, b"-" + why.encode())
                return True
            pool.refused(words)
            self._hang_up()
            return False
        if command.name == b"quit":
            self._end_at(batch, place)
            return False
        if command.name == b"auth":
            batch.answer(place, self._authenticate(words[1]))
        elif not self.authenticated:
            batch.answer(place, _NOT_AUTHENTICATED)
        elif command.how == "answer":
            batch.answer(place, _PONG)
        elif command.how == "split" and len(words) > 1 + command.step:
            self._split(command, words, batch, place)
        else:
            self._forward(words[command.key] if command.key else b"", piece, batch, place)
        return True

    def _forward(self, key: bytes, piece: bytes, batch: Batch, place: int) -> None:
        """Send a request to the server of a key."""
        try:
            index = self.pool.index_of(key)
        except LookupError:
            self.pool.nobody(batch, place)
            return
        self._send({index: ([place], [piece])}, batch)

    def _split(self, command: Command, words: list[bytes], batch: Batch, place: int) -> None:
        """Send each server its part of a request."""
        pool = self.pool
        try:
            targets = [pool.index_of(key) for key in words[1 :: command.step]]
        except LookupError:
            pool.nobody(batch, place)
            return
        split = Split(command, words, batch, place, targets)
        pool.fragments += len(split.parts)
        for number, (index, part) in enumerate(split.parts):
            connection = pool.only[index] or self._connection(index)
            connection.send(part, split, number)

    def _authenticate(self, password: bytes) -> bytes:
        wanted = self.pool.config.redis_auth
        if not wanted:
            return _NO_PASSWORD
        self.authenticated = password == wanted
        return _OK if self.authenticated else _WRONG_PASSWORD

    def _end_at(self, batch: Batch, place: int) -> None:
        """QUIT: nothing from this place on is answered, and then the connection ends."""
        left = len(batch.replies) - place
        del batch.replies[place:]
        batch.missing -= left
        batch.count -= left
        self._asked -= left
        self._is_ending = self._has_quit = True
        self._rest = b""
        batch.touch()

    def _hang_up(self) -> None:
        """The client has sent what a proxy does not take."""
        self._is_faulty = True
        self.close()

    # -- replies -----------------------------------------------------------------------------

    def flush(self) -> None:
        """Write the replies that have come, as far as none is missing before them."""
        self.touched = False
        if self._is_gone:
            return
        batches = self.batches
        if len(batches) == 1 and not self._is_slow:
            batch = batches[0]
            if batch.count == 1 and not batch.missing:
                self._flush_one()
                return
        out: list[bytes] = []
        while batches:
            batch = batches[0]
            if batch.missing:
                _take_first(batch, out)
                break
            batches.popleft()
            self._under_way -= batch.size
            self._asked -= batch.count
            out += batch.replies[batch.written :] if batch.written else batch.replies  # type: ignore[arg-type]
        if out:
            if self._is_slow and self._transport.get_write_buffer_size() > UNREAD_BYTES:
                self.pool.log.notice("a client leaves too much unread, and is hung up on")
                self._hang_up()
                return
            self._transport.write(b"%b\r\n" % _CRLF.join(out))
        self._flushed()

    def _flush_one(self) -> None:
        """Write the only reply that was missing."""
        batch = self.batches.popleft()
        self._under_way -= batch.size
        self._asked -= 1
        self._transport.write(b"%b\r\n" % batch.replies[0])  # type: ignore[str-format]
        if self._is_ending or self._is_paused or self._window < WINDOW:
            self._flushed()

    def _flushed(self) -> None:
        """Replies were written: the connection may be at its end, or there is room for more."""
        if self._is_ending:
            if not self.batches and not self._rest:
                self._transport.close()
        elif not self._is_slow:
            if self._window < WINDOW:
                self._window += 1
            if self._is_paused:
                self._go_on()


def _take_first(batch: Batch, out: list[bytes]) -> None:
    """Move the replies that have come, up to the first that has not, from a batch."""
    replies = batch.replies
    at = batch.written
    while (reply := replies[at]) is not None:
        out.append(reply)
        replies[at] = b""  # its memory is not needed twice
        at += 1
    batch.written = at
