"""Client-side caching: who has read which key, and word to them when it changes.

Follows `src/tracking.c` of Redis 7.0. In the default mode the node remembers the keys that a
tracking client reads and sends one invalidation when such a key changes; in BCAST mode the client
is told of every change under its prefixes. A client's own invalidations follow the reply of the
command that caused them; those of BCAST are gathered until the commands at hand are done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.keyspace import REPLACED, Keyspace
from redislab.engine.table import Reply, command
from redislab.server.arguments import integer_argument
from redislab.server.facts.keys import find_keys
from redislab.server.help import unknown_form
from redislab.wire.resp import NULL, OK, bulk, bulks, integer, map_, push, set_

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.commands import Entry
    from redislab.server.node import Node

CHANNEL = b"__redis__:invalidate"


@dataclass(slots=True)
class Tracker:
    """How one client wants to be told.

    Attributes:
        redirect: the id of the client that gets the messages, 0 for the client itself.
        prefixes: for BCAST, what it wants to hear of.
        caching: CLIENT CACHING was given for the next command.
        broken: the client it redirects to is gone.
    """

    redirect: int = 0
    bcast: bool = False
    optin: bool = False
    optout: bool = False
    noloop: bool = False
    caching: bool = False
    broken: bool = False
    prefixes: dict[bytes, None] = field(default_factory=dict)


class Tracking:
    """What the clients of one node have read.

    Attributes:
        readers: ids of the clients to be told, by key.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.clients: dict[Client, Tracker] = {}
        self.readers: dict[bytes, dict[int, None]] = {}
        # Changes that BCAST clients are still to be told of, each with the client that made it.
        self.changes: dict[bytes, Client | None] = {}
        # Invalidations that wait for the reply of the command at hand; None for all keys.
        self.pending: list[bytes | None] = []

    @property
    def items(self) -> int:
        """How many pairs of key and reader are remembered."""
        return sum(len(ids) for ids in self.readers.values())

    @property
    def prefixes(self) -> int:
        """How many different prefixes are listened to."""
        return len({prefix: None for each in self.clients.values() for prefix in each.prefixes})

    def enable(self, client: Client, tracker: Tracker) -> None:
        """Track for a client."""
        if not self.clients:
            self.node.engine.observers.append(self.on_change)
            self.node.engine.on_flushed = self.on_flush
        self.clients[client] = client.tracker = tracker
        client.refresh()

    def disable(self, client: Client) -> None:
        """Stop tracking for a client; what it has read is forgotten as keys change."""
        client.tracker = None
        if self.clients.pop(client, None) is not None and not self.clients:
            self.node.engine.observers.remove(self.on_change)
            self.node.engine.on_flushed = None
            self.readers.clear()
            self.changes.clear()
        client.refresh()

    def remember(self, client: Client, entry: Entry, args: list[bytes]) -> None:
        """Remember the keys of a command that has read, or of a script that has called one."""
        tracker = client.tracker
        if tracker is None or tracker.bcast:
            return
        if (tracker.optin and not tracker.caching) or (tracker.optout and tracker.caching):
            return
        if "pubsub" in entry.flags:
            return
        for position, _ in find_keys(entry.fact, args):
            self.readers.setdefault(args[position], {})[client.id] = None
        self.limit()

    def after_command(self, client: Client, entry: Entry, args: list[bytes], reply: Reply) -> Reply:
        """The reply of a tracking client's command, and after it the invalidations it caused."""
        tracker = client.tracker
        if tracker is not None and client.multi is None and entry.name != "client|caching":
            tracker.caching = False
        pending, self.pending = self.pending, []
        if not pending or not isinstance(reply, bytes):
            return reply
        messages = [self._message(client, key) for key in pending]
        return reply + b"".join(messages)

    def on_change(self, db: Keyspace, event: bytes, key: bytes) -> None:
        """A key has changed."""
        if event == REPLACED:
            return
        if any(tracker.bcast for tracker in self.clients.values()):
            if not self.changes:
                self.node.loop.call_soon(self._broadcast)
            self.changes[key] = self.node.current
        self.invalidate(key, self.node.current)

    def invalidate(self, key: bytes, author: Client | None) -> None:
        """Tell the readers of a key, its author apart, that it is not what they have read."""
        for client_id in self.readers.pop(key, ()):
            client = self.node.clients.get(client_id)
            tracker = None if client is None else client.tracker
            if client is None or tracker is None or tracker.bcast:
                continue
            own = client is author
            if own and tracker.noloop:
                continue
            if own and not tracker.redirect:
                self.pending.append(key)
            else:
                self._send(client, key)

    def on_flush(self) -> None:
        """A database was emptied: every tracking client is told to forget all keys."""
        for client in list(self.clients):
            if client is self.node.current:
                self.pending.append(None)
            else:
                self._send(client, None)
        self.readers.clear()

    # -- messages ------------------------------------------------------------------------------

    def _broadcast(self) -> None:
        changes, self.changes = self.changes, {}
        for client, tracker in list(self.clients.items()):
            if not tracker.bcast:
                continue
            for prefix in tracker.prefixes:
                keys = [
                    key
                    for key, author in changes.items()
                    if key.startswith(prefix) and not (tracker.noloop and author is client)
                ]
                if keys:
                    self._deliver(client, bulks(sorted(keys)))

    def _send(self, client: Client, key: bytes | None) -> None:
        self._deliver(client, None if key is None else bulks([key]))

    def _message(self, client: Client, key: bytes | None) -> bytes:
        """An invalidation for the client itself, or nothing where its protocol has no pushes."""
        tracker = client.tracker
        if tracker is not None and tracker.redirect:
            self._send(client, key)
            return b""
        if client.resp < 3:
            return b""
        keys = NULL[3] if key is None else bulks([key])
        return push((bulk(b"invalidate"), keys), 3)

    def _deliver(self, client: Client, keys: bytes | None) -> None:
        tracker = client.tracker
        assert tracker is not None
        reader = client
        if tracker.redirect:
            found = self.node.clients.get(tracker.redirect)
            if found is None:
                tracker.broken = True
                if client.resp > 2:
                    client.send(
                        push((bulk(b"tracking-redir-broken"), integer(tracker.redirect)), 3)
                    )
                return
            reader = found
        body = NULL[reader.resp] if keys is None else keys
        if reader.resp > 2:
            reader.send(push((bulk(b"invalidate"), body), 3))
        elif reader is not client and reader.subscribed:
            reader.send(push((bulk(b"message"), bulk(CHANNEL), body), 2))

    def limit(self) -> None:
        """Keep to tracking-table-max-keys: keys too many are declared changed."""
        most = self.node.config.tracking_table_max_keys
        while most and len(self.readers) > most:
            self.invalidate(next(iter(self.readers)), None)


# -- commands ----------------------------------------------------------------------------------


@command("client|tracking")
def client_tracking(c: Client, args: list[bytes]) -> Reply:
    """CLIENT TRACKING ON|OFF [REDIRECT id] [BCAST] [PREFIX prefix ...] [OPTIN|OPTOUT] [NOLOOP]."""
    wanted = _parse(c, args)
    mode = args[2].lower()
    if mode == b"off":
        c.node.tracking.disable(c)
        return OK
    if mode != b"on":
        raise syntax_error()
    before = c.tracker
    if not wanted.bcast and wanted.prefixes:
        raise CommandError("ERR PREFIX option requires BCAST mode to be enabled")
    if before is not None and before.bcast != wanted.bcast:
        raise CommandError(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and "
            "then re-enabling it with a different mode."
        )
    if wanted.bcast and (wanted.optin or wanted.optout):
        raise CommandError("ERR OPTIN and OPTOUT are not compatible with BCAST")
    if wanted.optin and wanted.optout:
        raise CommandError("ERR You can't specify both OPTIN mode and OPTOUT mode")
    if before is not None and (
        (wanted.optin and before.optout) or (wanted.optout and before.optin)
    ):
        raise CommandError(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and "
            "then re-enabling it with a different mode."
        )
    if wanted.bcast:
        _check_prefixes(list(wanted.prefixes), [] if before is None else list(before.prefixes))
        if before is not None:
            wanted.prefixes = before.prefixes | wanted.prefixes
        wanted.prefixes = wanted.prefixes or {b"": None}
    c.node.tracking.enable(c, wanted)
    return OK


def _parse(c: Client, args: list[bytes]) -> Tracker:
    tracker = Tracker()
    at = 3
    while at < len(args):
        word, more = args[at].lower(), len(args) - at - 1
        if word == b"redirect" and more:
            at += 1
            if tracker.redirect:
                raise CommandError("ERR A client can only redirect to a single other client")
            tracker.redirect = integer_argument(args[at])
            if tracker.redirect not in c.node.clients:
                raise CommandError("ERR The client ID you want redirect to does not exist")
        elif word == b"prefix" and more:
            at += 1
            tracker.prefixes[args[at]] = None
        elif word in {b"bcast", b"optin", b"optout", b"noloop"}:
            setattr(tracker, word.decode(), True)
        else:
            raise syntax_error()
        at += 1
    return tracker


def _check_prefixes(wanted: list[bytes], existing: list[bytes]) -> None:
    for position, prefix in enumerate(wanted):
        for others, what in (
            (sorted(existing), "an existing prefix"),
            (wanted[position + 1 :], "another provided prefix"),
        ):
            for other in others:
                if prefix.startswith(other) or other.startswith(prefix):
                    first, second = (
                        each.decode("utf-8", "surrogateescape") for each in (prefix, other)
                    )
                    message = (
                        f"ERR Prefix '{first}' overlaps with {what} '{second}'. "
                        "Prefixes for a single client must not overlap."
                    )
                    raise CommandError(message)


@command("client|caching")
def client_caching(c: Client, args: list[bytes]) -> Reply:
    """CLIENT CACHING YES|NO: whether the keys of the next command are tracked."""
    tracker = c.tracker
    if tracker is None:
        raise CommandError(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN "
            "or OPTOUT mode enabled"
        )
    word = args[2].lower()
    if word not in {b"yes", b"no"}:
        raise syntax_error()
    mode = "OPTIN" if word == b"yes" else "OPTOUT"
    if not (tracker.optin if word == b"yes" else tracker.optout):
        message = (
            f"ERR CLIENT CACHING {word.decode().upper()} is only valid when tracking is enabled "
            f"in {mode} mode."
        )
        raise CommandError(message)
    tracker.caching = True
    return OK


@command("client|getredir")
def client_getredir(c: Client, args: list[bytes]) -> Reply:
    """CLIENT GETREDIR: the client the invalidations go to, 0 for none, -1 without tracking."""
    if len(args) != 2:
        raise unknown_form(args)
    return integer(-1 if c.tracker is None else c.tracker.redirect)


@command("client|trackinginfo")
def client_trackinginfo(c: Client, args: list[bytes]) -> Reply:
    """CLIENT TRACKINGINFO: flags, redirection and prefixes."""
    tracker = c.tracker
    flags = [b"off" if tracker is None else b"on"]
    if tracker is not None:
        for name in ("bcast", "optin", "optout", "noloop"):
            if getattr(tracker, name):
                flags.append(name.encode())
            if name == "optin" and tracker.optin and tracker.caching:
                flags.append(b"caching-yes")
            if name == "optout" and tracker.optout and tracker.caching:
                flags.append(b"caching-no")
        if tracker.broken:
            flags.append(b"broken_redirect")
    return map_(
        (
            bulk(b"flags"),
            set_([bulk(flag) for flag in flags], c.resp),
            bulk(b"redirect"),
            integer(-1 if tracker is None else tracker.redirect),
            bulk(b"prefixes"),
            bulks([] if tracker is None else sorted(tracker.prefixes)),
        ),
        c.resp,
    )
