"""Publish and subscribe: channels, patterns, shard channels (`src/pubsub.c` of Redis 7.0).

Subscriptions are kept twice, at the client and here by channel, because a message must find its
readers and a reader that leaves must find its channels. Everything a subscriber gets is a push: an
array in RESP2, `>` in RESP3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.glob import compiled, matches
from redislab.engine.table import Reply, command
from redislab.server.help import help_reply, unknown_form
from redislab.wire.resp import NULL, array, bulk, bulks, integer, push

if TYPE_CHECKING:
    from redislab.server.client import Client

Readers = dict[bytes, dict["Client", None]]

_HELP = (
    ("CHANNELS [<pattern>]", "List channels somebody listens to, all or those that match."),
    ("NUMPAT", "Count the distinct patterns subscribed to."),
    ("NUMSUB [<channel> ...]", "Count the subscribers of each channel, patterns left out."),
    ("SHARDCHANNELS [<pattern>]", "List shard channels somebody listens to."),
    ("SHARDNUMSUB [<shardchannel> ...]", "Count the subscribers of each shard channel."),
)


class PubSub:
    """Who listens to what at one node."""

    def __init__(self) -> None:
        self.channels: Readers = {}
        self.patterns: Readers = {}
        self._expressions: dict[bytes, re.Pattern[bytes]] = {}
        self.shard_channels: Readers = {}

    def publish(self, channel: bytes, message: bytes) -> int:
        """Send a message to a channel's subscribers and matching patterns; count the receivers."""
        receivers = 0
        encoded = bulk(channel), bulk(message)
        for client in self.channels.get(channel, ()):
            client.send(push((_MESSAGE, *encoded), client.resp))
            receivers += 1
        if len(self._expressions) > 2 * len(self.patterns) + 100:
            self._expressions.clear()  # most of them are of patterns that nobody listens to now
        for pattern, clients in self.patterns.items():
            expression = self._expressions.get(pattern)
            if expression is None:
                expression = self._expressions[pattern] = compiled(pattern)
            if expression.fullmatch(channel) is None:
                continue
            for client in clients:
                client.send(push((_PMESSAGE, bulk(pattern), *encoded), client.resp))
                receivers += 1
        return receivers

    def publish_shard(self, channel: bytes, message: bytes) -> int:
        """Send a message to a shard channel's subscribers; count them."""
        clients = self.shard_channels.get(channel, ())
        for client in clients:
            client.send(push((_SMESSAGE, bulk(channel), bulk(message)), client.resp))
        return len(clients)

    def forget(self, client: Client) -> None:
        """A client is gone or reset: it listens to nothing any more."""
        for own, all_ in (
            (client.channels, self.channels),
            (client.patterns, self.patterns),
            (client.shard_channels, self.shard_channels),
        ):
            for name in own:
                _leave(all_, name, client)
            own.clear()


_MESSAGE, _PMESSAGE, _SMESSAGE = bulk(b"message"), bulk(b"pmessage"), bulk(b"smessage")


@command("subscribe")
def subscribe(c: Client, args: list[bytes]) -> Reply:
    """SUBSCRIBE channel [channel ...]."""
    return _join(c, b"subscribe", args[1:], c.channels, c.node.pubsub.channels)


@command("psubscribe")
def psubscribe(c: Client, args: list[bytes]) -> Reply:
    """PSUBSCRIBE pattern [pattern ...]."""
    return _join(c, b"psubscribe", args[1:], c.patterns, c.node.pubsub.patterns)


@command("ssubscribe")
def ssubscribe(c: Client, args: list[bytes]) -> Reply:
    """SSUBSCRIBE shardchannel [shardchannel ...]."""
    return _join(c, b"ssubscribe", args[1:], c.shard_channels, c.node.pubsub.shard_channels)


@command("unsubscribe")
def unsubscribe(c: Client, args: list[bytes]) -> Reply:
    """UNSUBSCRIBE [channel ...]: without a channel, from all."""
    return _part(c, b"unsubscribe", args[1:], c.channels, c.node.pubsub.channels)


@command("punsubscribe")
def punsubscribe(c: Client, args: list[bytes]) -> Reply:
    """PUNSUBSCRIBE [pattern ...]: without a pattern, from all."""
    return _part(c, b"punsubscribe", args[1:], c.patterns, c.node.pubsub.patterns)


@command("sunsubscribe")
def sunsubscribe(c: Client, args: list[bytes]) -> Reply:
    """SUNSUBSCRIBE [shardchannel ...]: without a channel, from all."""
    return _part(c, b"sunsubscribe", args[1:], c.shard_channels, c.node.pubsub.shard_channels)


@command("publish")
def publish(c: Client, args: list[bytes]) -> Reply:
    """PUBLISH channel message."""
    receivers = c.node.pubsub.publish(args[1], args[2])
    c.node.force_propagation()
    return integer(receivers)


@command("spublish")
def spublish(c: Client, args: list[bytes]) -> Reply:
    """SPUBLISH shardchannel message."""
    receivers = c.node.pubsub.publish_shard(args[1], args[2])
    c.node.force_propagation()
    return integer(receivers)


@command("pubsub|channels")
def pubsub_channels(c: Client, args: list[bytes]) -> Reply:
    """PUBSUB CHANNELS [pattern]."""
    return _list(c, args, c.node.pubsub.channels)


@command("pubsub|shardchannels")
def pubsub_shardchannels(c: Client, args: list[bytes]) -> Reply:
    """PUBSUB SHARDCHANNELS [pattern]."""
    return _list(c, args, c.node.pubsub.shard_channels)


@command("pubsub|numsub")
def pubsub_numsub(c: Client, args: list[bytes]) -> Reply:
    """PUBSUB NUMSUB [channel ...]."""
    return _count(args[2:], c.node.pubsub.channels)


@command("pubsub|shardnumsub")
def pubsub_shardnumsub(c: Client, args: list[bytes]) -> Reply:
    """PUBSUB SHARDNUMSUB [shardchannel ...]."""
    return _count(args[2:], c.node.pubsub.shard_channels)


@command("pubsub|numpat")
def pubsub_numpat(c: Client, args: list[bytes]) -> Reply:
    """PUBSUB NUMPAT."""
    return integer(len(c.node.pubsub.patterns))


@command("pubsub|help")
def pubsub_help(c: Client, args: list[bytes]) -> Reply:
    """PUBSUB HELP."""
    return help_reply("PUBSUB", _HELP)


def leave_all(c: Client) -> None:
    """Drop a client's subscriptions without a word, as RESET does."""
    c.node.pubsub.forget(c)


def _join(
    c: Client, kind: bytes, names: Iterable[bytes], own: dict[bytes, None], all_: Readers
) -> bytes:
    if c.deny_blocking and not c.in_exec:
        message = f"ERR {kind.upper().decode()} isn't allowed for a DENY BLOCKING client"
        raise CommandError(message)
    replies = []
    for name in names:
        if name not in own:
            own[name] = None
            all_.setdefault(name, {})[c] = None
        replies.append(_confirmation(c, kind, bulk(name)))
    c.refresh()
    return _push(c, b"".join(replies))


def _part(
    c: Client, kind: bytes, names: list[bytes], own: dict[bytes, None], all_: Readers
) -> bytes:
    replies = []
    for name in names or list(own):
        if own.pop(name, c) is not c:
            _leave(all_, name, c)
        replies.append(_confirmation(c, kind, bulk(name)))
    c.refresh()
    return _push(c, b"".join(replies) or _confirmation(c, kind, NULL[c.resp]))


def _push(c: Client, messages: bytes) -> bytes:
    """Confirmations are messages rather than replies: CLIENT REPLY OFF does not stop them."""
    if c.reply_mode == "on":
        return messages
    c.send(messages)
    return b""


def _confirmation(c: Client, kind: bytes, name: bytes) -> bytes:
    shards = kind in {b"ssubscribe", b"sunsubscribe"}
    count = len(c.shard_channels) if shards else len(c.channels) + len(c.patterns)
    return push((bulk(kind), name, integer(count)), c.resp)


def _leave(all_: Readers, name: bytes, client: Client) -> None:
    clients = all_.get(name)
    if clients is not None:
        clients.pop(client, None)
        if not clients:
            del all_[name]


def _list(c: Client, args: list[bytes], all_: Readers) -> bytes:
    if len(args) > 3:
        raise unknown_form(args)
    return bulks([name for name in all_ if len(args) == 2 or matches(args[2], name)])


def _count(names: list[bytes], all_: Readers) -> bytes:
    parts = []
    for name in names:
        parts += [bulk(name), integer(len(all_.get(name, ())))]
    return array(parts)
