"""The ACL command, the users of a node and the log of what they were denied.

Follows `aclCommand` and `addACLLogEntry` in `src/acl.c` of Redis 7.0. The rules themselves, and
what they allow, are in `users.py`; ACL LOAD and SAVE are in `aclfile.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, shown
from redislab.engine.table import Reply, command
from redislab.server import aclfile, users
from redislab.server.arguments import integer_argument
from redislab.server.clients import describe
from redislab.server.facts import CATEGORIES
from redislab.server.help import help_reply, unknown_form
from redislab.server.users import RuleError, Selector, User
from redislab.wire.resp import NULL, OK, array, bulk, bulks, double, integer, map_, set_

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node

_GROUPING_S = 60.0
_PASSWORD_BITS_MAX = 4096
_HELP = (
    ("CAT [<category>]", "List the commands of a category, or the categories."),
    ("DELUSER <username> [<username> ...]", "Delete users."),
    (
        "DRYRUN <username> <command> [<arg> ...]",
        "Tell whether a user may run this, and run nothing.",
    ),
    ("GETUSER <username>", "Describe a user."),
    ("GENPASS [<bits>]", "Make up a password, of 256 bits unless told otherwise."),
    ("LIST", "Show the users as they stand in a configuration file."),
    ("LOAD", "Read the users again from the ACL file."),
    ("LOG [<count> | RESET]", "Show what was denied lately, or forget it."),
    ("SAVE", "Write the users to the ACL file."),
    ("SETUSER <username> <attribute> [<attribute> ...]", "Make or change a user."),
    ("USERS", "List the names of the users."),
    ("WHOAMI", "Return the name of this connection's user."),
)
_REASONS = {
    users.DENIED_COMMAND: b"command",
    users.DENIED_KEY: b"key",
    users.DENIED_CHANNEL: b"channel",
    users.DENIED_AUTH: b"auth",
}


@dataclass(slots=True)
class Denial:
    """One entry of ACL LOG: something denied, once or several times in a minute."""

    reason: int
    context: bytes
    name: bytes
    user: bytes
    at: float
    client: str
    count: int = 1


class Acl:
    """The users of one node.

    Attributes:
        catalog: the commands that rules can be about.
        default: who a client is before it says more; always there.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.catalog = node.config.commands
        self.default = User.default(self.catalog)
        self.users: dict[bytes, User] = {b"default": self.default}
        self.log: list[Denial] = []

    def set_password(self, password: str) -> None:
        """Follow `requirepass`: the password of the default user."""
        if password:
            self.default.apply(b"resetpass")
            self.default.apply(b">" + password.encode("utf-8", "surrogateescape"))
        else:
            self.default.apply(b"nopass")
        self.node.refresh_clients()

    def names(self) -> list[bytes]:
        """All names, in order."""
        return sorted(self.users)

    def new_user(self, name: bytes) -> User:
        """A user without any rights, not yet among the users."""
        every_channel = self.node.config.acl_pubsub_default == "allchannels"
        return User(name, every_channel=every_channel, catalog=self.catalog)

    def put(self, user: User) -> None:
        """Add a user, or change the one of that name; subscribers who lose a channel are closed."""
        known = self.users.get(user.name)
        if known is None:
            self.users[user.name] = user
            return
        self._close_subscribers(known, user)
        known.take(user)
        self.node.refresh_clients()

    def replace(self, fresh: dict[bytes, User]) -> None:
        """Take these users in place of all; the connections of those from before are closed."""
        default = fresh.pop(b"default", None)
        self.default.take(default or User.default(self.catalog))
        self.users = {b"default": self.default, **fresh}
        for client in list(self.node.clients.values()):
            if client.user is not self.default:
                client.user, client.authenticated = self.default, False
                self._close(client)
        self.node.refresh_clients()

    def start_up(self) -> None:
        """Read the ACL file of a node that starts.

        Raises:
            ExitError: it cannot be read.
        """
        aclfile.start_up(self.node)

    def remove(self, name: bytes) -> bool:
        """Delete a user and close its connections; tell whether there was one."""
        user = self.users.pop(name, None)
        if user is None:
            return False
        for client in list(self.node.clients.values()):
            if client.user is user:
                self._close(client)
        return True

    def note_denied(
        self, client: Client, reason: int, name: bytes, context: bytes | None = None
    ) -> None:
        """Remember that something was denied; a script's commands have a context of their own."""
        self._note(client, reason, name, client.user.name, context)

    def note_failed_login(self, client: Client, command: bytes, user: bytes) -> None:
        """Remember a failed login, with the command as it was typed."""
        self._note(client, users.DENIED_AUTH, command, user)

    def _note(
        self, client: Client, reason: int, name: bytes, user: bytes, context: bytes | None = None
    ) -> None:
        context = context or (b"toplevel" if client.multi is None else b"multi")
        now = self.node.environment.unix_time()
        for entry in self.log[:10]:
            same = (entry.reason, entry.context, entry.name, entry.user)
            if same == (reason, context, name, user) and now - entry.at <= _GROUPING_S:
                self.log.remove(entry)
                self.log.insert(0, entry)
                entry.count += 1
                entry.at, entry.client = now, describe(client)
                return
        self.log.insert(0, Denial(reason, context, name, user, now, describe(client)))
        del self.log[self.node.config.acllog_max_len :]

    def _close_subscribers(self, known: User, changed: User) -> None:
        """Close the clients of a user that listen to what it may not hear any more."""
        if any(selector.channels is None for selector in changed.selectors):
            return
        for client in list(self.node.clients.values()):
            if client.user is not known:
                continue
            asked = [(name, False) for name in (*client.channels, *client.shard_channels)]
            asked += [(pattern, True) for pattern in client.patterns]
            if not all(
                any(each.allows_channel(name, is_pattern=pattern) for each in changed.selectors)
                for name, pattern in asked
            ):
                self._close(client)

    def _close(self, client: Client) -> None:
        if client is self.node.current:
            client.close_soon()
        else:
            self.node.close(client)


@command("acl|whoami")
def acl_whoami(c: Client, args: list[bytes]) -> Reply:
    """ACL WHOAMI."""
    return bulk(c.user.name)


@command("acl|users")
def acl_users(c: Client, args: list[bytes]) -> Reply:
    """ACL USERS."""
    return bulks(c.node.acl.names())


@command("acl|list")
def acl_list(c: Client, args: list[bytes]) -> Reply:
    """ACL LIST."""
    acl = c.node.acl
    return bulks([b"user %b %b" % (name, acl.users[name].describe()) for name in acl.names()])


@command("acl|getuser")
def acl_getuser(c: Client, args: list[bytes]) -> Reply:
    """ACL GETUSER name."""
    user = c.node.acl.users.get(args[2])
    if user is None:
        return NULL[c.resp]
    parts = [bulk(b"flags"), set_([bulk(flag) for flag in user.flags()], c.resp)]
    parts += [bulk(b"passwords"), bulks(list(user.passwords))]
    parts += _describe(user.root)
    others = [map_(_describe(selector), c.resp) for selector in user.selectors[1:]]
    return map_([*parts, bulk(b"selectors"), array(others)], c.resp)


def _describe(selector: Selector) -> list[bytes]:
    return [
        bulk(b"commands"),
        bulk(selector.describe_commands()),
        bulk(b"keys"),
        bulk(selector.describe_keys()),
        bulk(b"channels"),
        bulk(selector.describe_channels()),
    ]


@command("acl|setuser")
def acl_setuser(c: Client, args: list[bytes]) -> Reply:
    """ACL SETUSER name [rule ...]: all rules or none."""
    name = args[2]
    if users.has_spaces(name):
        raise CommandError("ERR Usernames can't contain spaces or null characters")
    acl = c.node.acl
    known = acl.users.get(name)
    user = acl.new_user(name)
    if known is not None:
        user.take(known)
    rules, opened = users.merge_selectors(args[3:])
    if opened is not None:
        shown = opened.decode("utf-8", "surrogateescape")
        message = f"ERR Unmatched parenthesis in acl selector starting at '{shown}'."
        raise CommandError(message)
    for rule in rules:
        try:
            user.apply(rule)
        except RuleError as wrong:
            shown = rule.decode("utf-8", "surrogateescape")
            message = f"ERR Error in ACL SETUSER modifier '{shown}': {wrong}"
            raise CommandError(message) from None
    acl.put(user)
    return OK


@command("acl|deluser")
def acl_deluser(c: Client, args: list[bytes]) -> Reply:
    """ACL DELUSER name [name ...]."""
    if b"default" in args[2:]:
        raise CommandError("ERR The 'default' user cannot be removed")
    return integer(sum(c.node.acl.remove(name) for name in args[2:]))


@command("acl|cat")
def acl_cat(c: Client, args: list[bytes]) -> Reply:
    """ACL CAT [category]."""
    if len(args) > 3:
        raise unknown_form(args)
    if len(args) == 2:
        return bulks([category[1:].encode() for category in CATEGORIES])
    name = args[2].decode("utf-8", "surrogateescape")
    if "@" + name.lower() not in CATEGORIES:
        message = f"ERR Unknown category '{name[:128]}'"
        raise CommandError(message)
    return bulks(c.node.acl.catalog.by_category["@" + name.lower()])


@command("acl|genpass")
def acl_genpass(c: Client, args: list[bytes]) -> Reply:
    """ACL GENPASS [bits]: hexadecimal digits from the node's random source."""
    if len(args) > 3:
        raise unknown_form(args)
    bits = integer_argument(args[2]) if len(args) == 3 else 256
    if not 0 < bits <= _PASSWORD_BITS_MAX:
        message = (
            "ERR ACL GENPASS argument must be the number of bits for the output password, a "
            f"positive number up to {_PASSWORD_BITS_MAX}"
        )
        raise CommandError(message)
    digits = (bits + 3) // 4
    return bulk(b"%0*x" % (digits, c.node.random.getrandbits(4 * digits)))


@command("acl|log")
def acl_log(c: Client, args: list[bytes]) -> Reply:
    """ACL LOG [count | RESET]."""
    if len(args) > 3:
        raise unknown_form(args)
    acl = c.node.acl
    count = 10
    if len(args) == 3:
        if args[2].lower() == b"reset":
            acl.log.clear()
            return OK
        count = max(integer_argument(args[2]), 0)
    now = c.node.environment.unix_time()
    replies = []
    for entry in acl.log[:count]:
        fields: tuple[tuple[bytes, bytes], ...] = (
            (b"count", integer(entry.count)),
            (b"reason", bulk(_REASONS[entry.reason])),
            (b"context", bulk(entry.context)),
            (b"object", bulk(entry.name)),
            (b"username", bulk(entry.user)),
            (b"age-seconds", double(round((now - entry.at) * 1000) / 1000, c.resp)),
            (b"client-info", bulk(entry.client.encode("utf-8", "surrogateescape"))),
        )
        replies.append(map_([part for key, value in fields for part in (bulk(key), value)], c.resp))
    return array(replies)


@command("acl|dryrun")
def acl_dryrun(c: Client, args: list[bytes]) -> Reply:
    """ACL DRYRUN name command [argument ...]."""
    user = c.node.acl.users.get(args[2])
    if user is None:
        raise CommandError(f"ERR User '{shown(args[2])}' not found")
    words = args[3:]
    entry = c.node.commands.get(words[0].lower())
    if entry is not None and entry.subcommands and len(words) > 1:
        entry = entry.subcommands.get(words[1].lower())
    if entry is None:
        raise CommandError(f"ERR Command '{shown(words[0])}' not found")
    if not entry.least <= len(words) <= entry.most:
        message = f"ERR wrong number of arguments for '{entry.name}' command"
        raise CommandError(message)
    reason, position = user.check(entry.fact, words)
    if reason == users.ALLOWED:
        return OK
    if reason == users.DENIED_COMMAND:
        return bulk(f"This user has no permissions to run the '{entry.name}' command".encode())
    kind = b"key" if reason == users.DENIED_KEY else b"channel"
    return bulk(b"This user has no permissions to access the '%b' %b" % (words[position], kind))


@command("acl|help")
def acl_help(c: Client, args: list[bytes]) -> Reply:
    """ACL HELP."""
    return help_reply("ACL", _HELP)
