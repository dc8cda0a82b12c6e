"""Why a command is refused, in words: for pools that say so instead of closing the connection.

Each server of a pool knows nothing of the others, and their connections are shared by all clients.
Nearly every refusal follows from one of the two. What remains are commands that would work, but
that the original does not know: a command goes through it only where somebody has taught it to find
the key.
"""

from __future__ import annotations

from typing import Final

from redislab.ring.proxy.commands import ANY, COMMANDS
from redislab.server.facts import COMMANDS as FACTS

_REASONS: Final = (
    (
        "it is about all keys, and each server has only some of them",
        b"dbsize flushall flushdb keys migrate randomkey scan swapdb",
    ),
    (
        "a transaction needs a connection of its own, and those to the servers are shared",
        b"discard exec multi unwatch watch",
    ),
    (
        "it changes the connection, and those to the servers are shared",
        b"asking client hello readonly readwrite reset select",
    ),
    (
        "who waits on a connection to a server keeps all others waiting, who share it",
        (
            b"blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin monitor wait xread "
            b"xreadgroup"
        ),
    ),
    (
        "who listens needs a connection of its own, and those to the servers are shared",
        (
            b"psubscribe publish pubsub punsubscribe spublish ssubscribe subscribe sunsubscribe "
            b"unsubscribe"
        ),
    ),
    (
        "it is about one server, and there is no saying which; ask that server itself",
        (
            b"acl bgrewriteaof bgsave cluster config debug failover function info lastsave latency "
            b"memory module pfdebug pfselftest psync replconf replicaof restore-asking role save "
            b"script shutdown slaveof slowlog sync time"
        ),
    ),
    (
        "its keys can be on different servers",
        b"bitop lcs lmpop msetnx rename renamenx sintercard zintercard zmpop",
    ),
)
_WHY: Final = {name: reason for reason, names in _REASONS for name in names.split()}
_NO_KEY_FOUND: Final = "the proxy does not know where its key is"


def why(words: list[bytes]) -> str:
    """Why a request is refused, as the error reply says it.

    Args:
        words: the request; one that `commands.find` does not find.

    Returns:
        The reply without its sign, such as "ERR 'keys' does not go through this proxy: ...".
    """
    name = words[0].lower()
    shown = name[:64].decode("utf-8", "replace").replace("\r", " ").replace("\n", " ")
    command = COMMANDS.get(name)
    if command is None and name not in FACTS:
        return f"ERR unknown command '{shown}'"
    if command is None:
        return f"ERR '{shown}' does not go through this proxy: {_WHY.get(name, _NO_KEY_FOUND)}"
    if command.key == 3 and len(words) >= command.least:
        return f"ERR '{shown}' goes through this proxy only with a key, which says to which server"
    if command.step == 2:
        number = "a value for each key"
    elif command.most == ANY:
        number = f"at least {command.least - 1} arguments"
    elif command.least == 1:
        number = "no argument"
    else:
        number = f"{command.least - 1} argument{'s' if command.least > 2 else ''}"
    return f"ERR wrong number of arguments for '{shown}': this proxy takes it with {number}"


def too_long(words: list[bytes], most: int) -> str:
    """What is said of a key that is longer than a proxy takes."""
    return f"ERR a key of '{words[0].lower().decode('latin-1')}' has more than {most} bytes"
