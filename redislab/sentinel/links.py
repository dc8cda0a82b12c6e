"""The connections to those who are watched: one for commands, one for Pub/Sub.

Commands are sent without waiting for answers, which come in the same order; what is to become of an
answer is kept beside it. What has been said in a row goes out in one piece. Whoever sends what was
not asked for, or no RESP at all, is hung up on and called again a second later. Follows
`sentinelReconnectInstance`, `releaseInstanceLink` and their neighbors in `src/sentinel.c` of Redis
7.0, and what hiredis does for them.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from redislab.sentinel import answers, events, hello
from redislab.sentinel.addresses import ip_of, is_ip, look_up
from redislab.sentinel.crash import CrashError
from redislab.sentinel.model import Address, Instance, Link, Peer, master_of
from redislab.sentinel.reader import Failure, GarbageError, Reply, ReplyReader
from redislab.sentinel.timing import HELLO_CHANNEL
from redislab.wire.resp import bulks

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch

# What is done with an answer.
Answered = Callable[["Watch", Instance, Reply], None]


class Links:
    """All connections of a Sentinel.

    Attributes:
        watch: whose they are.
        commands, pubsub: the connections of a link, as long as they are there.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.commands: dict[Link, Wire] = {}
        self.pubsub: dict[Link, Wire] = {}
        self._unsent: dict[Wire, None] = {}
        self._encoded: dict[bytes, bytes] = {}

    # -- making connections ----------------------------------------------------------------------

    def reconnect(self, instance: Instance, now: int) -> None:
        """Begin what connections an instance should have and has not, once a second at most."""
        link = instance.link
        if not instance.address.port:
            return
        if now - link.tried < self.watch.state.timing.ping_period:
            return
        link.tried = now
        if not link.has_commands:
            link.pending = 0
            link.commands_since = now
            link.has_commands = True
            self.commands[link] = wire = Wire(self, instance)
            self._introduce(instance, wire, "cmd")
            answers.send_ping(self.watch, instance, now)
        if not isinstance(instance, Peer) and not link.has_pubsub:
            link.pubsub_since = now
            link.has_pubsub = True
            self.pubsub[link] = wire = Wire(self, instance, is_pubsub=True)
            self._introduce(instance, wire, "pubsub")
            wire.say(bulks((self.name(instance, "SUBSCRIBE"), HELLO_CHANNEL)))
        link.is_disconnected = False

    def _introduce(self, instance: Instance, wire: Wire, kind: str) -> None:
        """Log in where there is a password, and give the connection a name."""
        words = self._credentials(instance)
        if words:
            self._send(wire, instance, "AUTH", words, answers.take_auth)
        name = f"sentinel-{self.watch.state.my_id[:8]}-{kind}"
        self._send(wire, instance, "CLIENT", (b"SETNAME", name.encode()), answers.discard)

    def _credentials(self, instance: Instance) -> tuple[bytes, ...]:
        """User and password for an instance, or the password alone, or nothing."""
        state = self.watch.state
        if isinstance(instance, Peer):
            user, password = state.auth_user, state.auth_pass
            if not password:
                user, password = "", self.watch.host.password
        else:
            master = master_of(instance)
            user, password = master.auth_user, master.auth_pass
        if not password:
            return ()
        words = (user, password) if user else (password,)
        return tuple(word.encode("utf-8", "surrogateescape") for word in words)

    # -- saying something ------------------------------------------------------------------------

    def send(
        self,
        instance: Instance,
        command: str,
        arguments: tuple[bytes, ...] = (),
        answered: Answered | None = None,
    ) -> bool:
        """Send a command to an instance.

        Args:
            instance: to whom.
            command: its name, in capitals, before any renaming.
            arguments: of it.
            answered: what is done with the answer; None is nothing.

        Returns:
            Whether there is a connection to send it on.
        """
        wire = self.commands.get(instance.link)
        if wire is None:
            return False
        self._send(wire, instance, command, arguments, answered or answers.discard)
        return True

    def _send(
        self,
        wire: Wire,
        instance: Instance,
        command: str,
        arguments: tuple[bytes, ...],
        answered: Answered,
    ) -> None:
        name = self.name(instance, command)
        if arguments:
            data = bulks((name, *arguments))
        else:
            data = self._encoded.get(name, b"")
            if not data:
                data = self._encoded[name] = bulks((name,))
        wire.waiting.append((answered, instance))
        instance.link.pending += 1
        wire.say(data)

    def name(self, instance: Instance, command: str) -> bytes:
        """The name of a command, as the servers of an instance's master know it."""
        renamed = master_of(instance).renamed_commands
        if renamed:
            command = renamed.get(command.lower(), command)
        return command.encode("utf-8", "surrogateescape")

    def local_host(self, instance: Instance) -> str:
        """Our own IP address, as an instance sees it; empty while there is no connection."""
        wire = self.commands.get(instance.link)
        if wire is None or wire.transport is None:
            return ""
        return str(wire.transport.get_extra_info("sockname", ("",))[0])

    def flush(self) -> None:
        """Send what was said."""
        if self._unsent:
            unsent, self._unsent = self._unsent, {}
            for wire in unsent:
                wire.flush()

    # -- ending connections ----------------------------------------------------------------------

    def close_commands(self, link: Link) -> None:
        """Hang up the connection for commands; what was asked on it stays without answer."""
        wire = self.commands.get(link)
        if wire is not None:
            self.lost(wire)
            link.pending = 0
            wire.close()

    def close_pubsub(self, link: Link) -> None:
        """Hang up the one for Pub/Sub."""
        wire = self.pubsub.get(link)
        if wire is not None:
            self.lost(wire)
            wire.close()

    def release(self, instance: Instance) -> None:
        """An instance is gone: hang up, unless others share its link."""
        link = instance.link
        link.owners -= 1
        if link.owners:
            wire = self.commands.get(link)
            if wire is not None:
                wire.forget(instance)
            return
        self.close_commands(link)
        self.close_pubsub(link)

    def share(self, peer: Peer) -> bool:
        """Use the link to the same Sentinel that is there for another master, if there is one."""
        if not peer.run_id or peer.link.owners > 1:
            return False
        for master in self.watch.state.masters.values():
            twin = master.peers.get(peer.run_id)
            if master is peer.master or twin is None or twin is peer:
                continue
            self.release(peer)
            peer.link = twin.link
            peer.link.owners += 1
            return True
        return False

    def lost(self, wire: Wire) -> None:
        """A connection is one no more: it has ended by itself, or is to be ended."""
        link = wire.link
        if self.commands.get(link) is wire:
            del self.commands[link]
            link.has_commands = False
            link.is_disconnected = True
        elif self.pubsub.get(link) is wire:
            del self.pubsub[link]
            link.has_pubsub = False
            link.is_disconnected = True

    def unsent(self, wire: Wire) -> None:
        """Something was said on a connection."""
        self._unsent[wire] = None

    def stop(self) -> None:
        """Hang up everywhere."""
        for link in list(self.commands):
            self.close_commands(link)
        for link in list(self.pubsub):
            self.close_pubsub(link)

    def complain(self, instance: Instance, words: str) -> None:
        """Log what is wrong with an instance, but not again and again."""
        self.watch.complain(f"{events.identify(self.watch.state, instance)} {words}")


class Wire(asyncio.Protocol):
    """One connection, from the moment at which it is begun.

    Args:
        links: what it is one of.
        instance: whom it leads to.
        is_pubsub: it is the one for Pub/Sub.

    Attributes:
        link: which link it is a part of.
        transport: None before TCP has connected.
        waiting: what is to be done with the answers that are due, and whose they are.
    """

    def __init__(self, links: Links, instance: Instance, *, is_pubsub: bool = False) -> None:
        self.links = links
        self.instance = instance
        self.link = instance.link
        self.is_pubsub = is_pubsub
        self.transport: asyncio.Transport | None = None
        self.waiting: deque[tuple[Answered, Instance]] = deque()
        self._outgoing: list[bytes] = []
        self._reader = ReplyReader()
        self._is_closed = False
        self._dialing = links.watch.host.loop.create_task(
            self._dial(instance.address), name="dial an instance"
        )

    async def _dial(self, address: Address) -> None:
        watch = self.links.watch
        loop, source = watch.host.loop, watch.host.source_address
        try:
            if not is_ip(address.host):
                await look_up(loop, watch.state, address.host)
            await loop.create_connection(
                lambda: self,
                ip_of(watch.state, address.host),
                address.port,
                local_addr=(source, 0) if source else None,
            )
        except OSError as failure:
            kind = "-pubsub-link-reconnection" if self.is_pubsub else "-cmd-link-reconnection"
            reason = os.strerror(failure.errno) if failure.errno else str(failure)
            if not self._is_closed:
                events.about(watch, events.DEBUG, kind, self.instance, f" #{reason}")
            self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP has connected: what was said meanwhile is sent."""
        self.transport = cast("asyncio.Transport", transport)
        if self._is_closed:
            self.transport.abort()
        else:
            self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whatever cause."""
        self._end()

    def say(self, data: bytes) -> None:
        """Send bytes, together with what else is said in a row."""
        self._outgoing.append(data)
        self.links.unsent(self)

    def flush(self) -> None:
        """Send what was said."""
        if self.transport is not None and self._outgoing and not self._is_closed:
            self.transport.write(b"".join(self._outgoing))
            self._outgoing.clear()

    def forget(self, instance: Instance) -> None:
        """An instance is gone: nothing is done with what it was going to be told."""
        self.waiting = deque(
            (answers.discard if whose is instance else answered, whose)
            for answered, whose in self.waiting
        )

    def close(self) -> None:
        """Hang up."""
        if self._is_closed:
            return
        self._is_closed = True
        if self.transport is None:
            self._dialing.cancel()
        else:
            self.transport.abort()

    def _end(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.links.lost(self)

    def data_received(self, data: bytes) -> None:
        """Answers and messages."""
        watch = self.links.watch
        try:
            for reply in self._reader.feed(data):
                self._take(watch, reply)
                if self._is_closed:
                    break
        except GarbageError as garbage:
            self.links.complain(self.instance, f"sends {garbage}")
            self._hang_up()
        except CrashError:
            return
        self.links.flush()

    def _take(self, watch: Watch, reply: Reply) -> None:
        if self.waiting:
            answered, instance = self.waiting.popleft()
            if self.link.pending:
                self.link.pending -= 1
            answered(watch, instance, reply)
        elif self.is_pubsub and isinstance(reply, list):
            self.link.pubsub_heard = watch.host.now_ms()
            hello.hear(watch, reply)
        elif isinstance(reply, Failure):
            # It has no room for another client, or it does not let us subscribe.
            self._hang_up()
        else:
            raise GarbageError("what it was not asked for")

    def _hang_up(self) -> None:
        (self.links.close_pubsub if self.is_pubsub else self.links.close_commands)(self.link)
