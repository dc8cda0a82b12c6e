"""Users and what they may do: the model behind the ACL commands (`src/acl.c` of Redis 7.0).

A user has passwords and one or more selectors, the first of which is its own ("root"). A request
is allowed if one selector allows all of it: the command, each key, each channel. Rules are the
words of ACL SETUSER (`+get`, `~key:*`, `>password`); `User.apply` takes one, `User.describe` writes
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from redislab.engine.glob import matches
from redislab.server.facts import CATEGORIES, COMMANDS, Catalog, CommandFact
from redislab.server.facts.keys import find_keys, has_keys
from redislab.wire.requests import split_words

READ, WRITE = 1, 2
# Why a request is denied, mildest last: of several selectors the reason furthest on is told.
ALLOWED, DENIED_COMMAND, DENIED_KEY, DENIED_CHANNEL, DENIED_AUTH = range(5)

_WRITING = frozenset({"insert", "delete", "update"})
# Where the channels of a command stand: the first position, whether all that follow are channels
# too, and whether they are patterns.
_CHANNELS = {
    b"publish": (1, False, False),
    b"spublish": (1, False, False),
    b"subscribe": (1, True, False),
    b"ssubscribe": (1, True, False),
    b"psubscribe": (1, True, True),
}
_HASH_DIGITS = frozenset(b"0123456789abcdef")

UNKNOWN_COMMAND = "Unknown command or category name in ACL"
SYNTAX = "Syntax error"
_PATTERN_AFTER_ALL = (
    "Adding a pattern after the * pattern (or the '{0}' flag) is not valid and does not have any "
    "effect. Try '{1}' to start with an empty list of {2}"
)


class RuleError(Exception):
    """A rule that ACL SETUSER refuses; the text is what Redis says of it."""


class Selector:
    """A set of permissions: commands, keys, channels.

    Attributes:
        catalog: all commands that there are.
        commands: full names of the commands allowed.
        future: whether commands unknown today are allowed: rules began with `+@all`.
        first_args: of a command that is denied, the first arguments it may have nevertheless.
        patterns: key patterns with READ, WRITE or both; None stands for every key.
        channels: channel patterns; None stands for every channel.
    """

    def __init__(self, *, every_channel: bool = False, catalog: Catalog = COMMANDS) -> None:
        self.catalog = catalog
        self.commands: set[bytes] = set()
        self.future = False
        self.first_args: dict[bytes, list[bytes]] = {}
        self.patterns: dict[bytes, int] | None = {}
        self.channels: dict[bytes, None] | None = None if every_channel else {}

    @property
    def unrestricted(self) -> bool:
        """Whether it allows everything."""
        return (
            self.future
            and self.patterns is None
            and self.channels is None
            and len(self.commands) == len(self.catalog)
        )

    def copy(self) -> Selector:
        """An equal selector of its own."""
        twin = Selector(catalog=self.catalog)
        twin.commands = self.commands.copy()
        twin.future = self.future
        twin.first_args = {name: list(words) for name, words in self.first_args.items()}
        twin.patterns = None if self.patterns is None else self.patterns.copy()
        twin.channels = None if self.channels is None else self.channels.copy()
        return twin

    # -- questions -----------------------------------------------------------------------------

    def check(self, fact: CommandFact, args: Sequence[bytes]) -> tuple[int, int]:
        """Why a request is denied, and the position of the argument at fault."""
        if fact.name not in self.commands and "no_auth" not in fact.flags:
            words = self.first_args.get(fact.name)
            if words is None or len(args) < 2 or args[1].lower() not in words:
                return DENIED_COMMAND, 0
        if self.patterns is not None and has_keys(fact):
            for position, flags in find_keys(fact, args):
                if not self.allows_key(args[position], key_use(flags)):
                    return DENIED_KEY, position
        if self.channels is not None and fact.name in _CHANNELS:
            first, many, is_pattern = _CHANNELS[fact.name]
            for position in range(first, len(args) if many else first + 1):
                if not self.allows_channel(args[position], is_pattern=is_pattern):
                    return DENIED_CHANNEL, position
        return ALLOWED, 0

    def allows_key(self, key: bytes, use: int) -> bool:
        """Whether a key may be used so (READ, WRITE, both, or 0 for its name alone)."""
        return self.patterns is None or any(
            allowed & use == use and matches(pattern, key)
            for pattern, allowed in self.patterns.items()
        )

    def allows_channel(self, channel: bytes, *, is_pattern: bool) -> bool:
        """Whether a channel may be used; a pattern of PSUBSCRIBE must be listed literally."""
        if self.channels is None:
            return True
        if is_pattern:
            return channel in self.channels
        return any(matches(pattern, channel) for pattern in self.channels)

    # -- rules ---------------------------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Apply one rule.

        Raises:
            RuleError: it is none.
        """
        lowered = rule.lower()
        if lowered in {b"allkeys", b"~*"}:
            self.patterns = None
        elif lowered == b"resetkeys":
            self.patterns = {}
        elif lowered in {b"allchannels", b"&*"}:
            self.channels = None
        elif lowered == b"resetchannels":
            self.channels = {}
        elif lowered in {b"allcommands", b"+@all"}:
            self.commands, self.future, self.first_args = set(self.catalog), True, {}
        elif lowered in {b"nocommands", b"-@all"}:
            self.commands, self.future, self.first_args = set(), False, {}
        elif rule[:1] in {b"~", b"%"}:
            self._add_keys(rule)
        elif rule[:1] == b"&":
            self._add_channels(rule[1:])
        elif rule[:2] in {b"+@", b"-@"}:
            self._allow_category(rule[2:], rule[:1] == b"+")
        elif rule[:1] == b"+" and b"|" in rule:
            self._allow_part(lowered[1:])
        elif rule[:1] in {b"+", b"-"}:
            if lowered[1:] not in self.catalog:
                raise RuleError(UNKNOWN_COMMAND)
            self.allow(lowered[1:], rule[:1] == b"+")
        else:
            raise RuleError(SYNTAX)

    def allow(self, name: bytes, allowed: bool) -> None:
        """Allow or deny a command with its subcommands."""
        names = (name, *self.catalog[name].subcommands)
        self.first_args.pop(name, None)
        if allowed:
            self.commands.update(names)
        else:
            self.commands.difference_update(names)

    def _allow_category(self, name: bytes, allowed: bool) -> None:
        category = "@" + name.decode("latin-1").lower()
        if category not in CATEGORIES:
            raise RuleError(UNKNOWN_COMMAND)
        for command in self.catalog.by_category[category]:
            self.allow(command, allowed)

    def _allow_part(self, name: bytes) -> None:
        """`+container|subcommand`, or `+command|first-argument`."""
        container, _, part = name.rpartition(b"|")
        fact = self.catalog.get(container)
        if fact is None:
            raise RuleError(UNKNOWN_COMMAND)
        if b"|" in container:
            raise RuleError("Allowing first-arg of a subcommand is not supported")
        if not part:
            raise RuleError(SYNTAX)
        if fact.subcommands:
            if name not in self.catalog:
                raise RuleError(UNKNOWN_COMMAND)
            self.allow(name, True)
        elif part not in self.first_args.setdefault(container, []):
            self.first_args[container].append(part)

    def _add_keys(self, rule: bytes) -> None:
        if self.patterns is None:
            raise RuleError(_PATTERN_AFTER_ALL.format("allkeys", "resetkeys", "patterns"))
        use, _, pattern = rule.partition(b"~")
        allowed = READ | WRITE
        if use:
            letters = use[1:].upper()
            if letters not in {b"R", b"W", b"RW", b"WR"}:
                raise RuleError(SYNTAX)  # that there is no pattern is none, as in Redis
            allowed = (READ if b"R" in letters else 0) | (WRITE if b"W" in letters else 0)
        if has_spaces(pattern):
            raise RuleError(SYNTAX)
        self.patterns[pattern] = self.patterns.get(pattern, 0) | allowed

    def _add_channels(self, pattern: bytes) -> None:
        if self.channels is None:
            raise RuleError(_PATTERN_AFTER_ALL.format("allchannels", "resetchannels", "channels"))
        if has_spaces(pattern):
            raise RuleError(SYNTAX)
        self.channels[pattern] = None

    # -- descriptions --------------------------------------------------------------------------

    def describe(self) -> bytes:
        """Its rules in one line."""
        keys = self.describe_keys()
        channels = self.describe_channels()
        if self.channels is not None:
            channels = b"resetchannels " + channels if channels else b"resetchannels"
        return b" ".join(part for part in (keys, channels, self.describe_commands()) if part)

    def describe_keys(self) -> bytes:
        """The rules about keys."""
        if self.patterns is None:
            return b"~*"
        prefixes = {READ: b"%R~", WRITE: b"%W~", READ | WRITE: b"~"}
        return b" ".join(prefixes[use] + pattern for pattern, use in self.patterns.items())

    def describe_channels(self) -> bytes:
        """The rules about channels."""
        if self.channels is None:
            return b"&*"
        return b" ".join(b"&" + pattern for pattern in self.channels)

    def describe_commands(self) -> bytes:
        """The rules about commands: `+@all` or `-@all`, then what differs, categories first.

        Categories are chosen greedily, the one that is off for the fewest commands first, as long
        as it is right for more commands than it is wrong for; single commands correct the rest.
        """
        adding = not self.future
        rules = [b"-@all" if adding else b"+@all"]
        sign = b"+@" if adding else b"-@"
        drawn = Selector(catalog=self.catalog)
        drawn.apply(rules[0])
        wanted = self.commands if adding else set(self.catalog) - self.commands
        remaining = set(wanted)
        candidates = list(CATEGORIES)
        while True:
            best, fewest, most = "", len(self.catalog), 0
            for category in candidates:
                names = self.catalog.by_category[category]
                right = sum(name in remaining for name in names)
                wrong = len(names) - right
                if right > wrong and (wrong < fewest or (wrong == fewest and right > most)):
                    best, fewest, most = category, wrong, right
            if not best:
                break
            candidates.remove(best)
            rule = sign + best[1:].encode()
            drawn.apply(rule)
            for name in self.catalog.by_category[best]:
                remaining.discard(name)
                remaining.difference_update(self.catalog[name].subcommands)
            rules.append(rule)
        for name in self.catalog.containers_first:
            allowed = name in self.commands
            if allowed != (name in drawn.commands):
                rules.append((b"+" if allowed else b"-") + name)
                drawn.allow(name, allowed)
            if not allowed:
                rules += [b"+" + name + b"|" + word for word in self.first_args.get(name, ())]
        return b" ".join(rules)


class User:
    """A user. The one named `default` is who a client is before it says more.

    Attributes:
        plain: may do everything, so that nothing needs to be asked.
    """

    def __init__(
        self, name: bytes, *, every_channel: bool = False, catalog: Catalog = COMMANDS
    ) -> None:
        self.name = name
        self.catalog = catalog
        self.enabled = False
        self.no_password = False
        self.sanitize: bool | None = None
        self.passwords: dict[bytes, None] = {}
        self.every_channel = every_channel
        self.selectors = [Selector(every_channel=every_channel, catalog=catalog)]
        self.plain = False

    @classmethod
    def default(cls, catalog: Catalog = COMMANDS) -> User:
        """The default user as it is before any configuration."""
        user = cls(b"default", catalog=catalog)
        for rule in (b"+@all", b"~*", b"&*", b"on", b"nopass"):
            user.apply(rule)
        return user

    @property
    def root(self) -> Selector:
        """The selector that rules without parentheses change."""
        return self.selectors[0]

    def take(self, other: User) -> None:
        """Become equal to another user."""
        self.enabled, self.no_password = other.enabled, other.no_password
        self.sanitize = other.sanitize
        self.passwords = other.passwords.copy()
        self.selectors = [selector.copy() for selector in other.selectors]
        self.plain = other.plain

    # -- questions -----------------------------------------------------------------------------

    def accepts(self, password: bytes) -> bool:
        """Whether one may log in as this user with this password."""
        if not self.enabled:
            return False
        return self.no_password or digest(password) in self.passwords

    def check(self, fact: CommandFact, args: Sequence[bytes]) -> tuple[int, int]:
        """Why a request is denied (ALLOWED if it is not), and the argument at fault."""
        worst = (DENIED_COMMAND, 0)
        for selector in self.selectors:
            verdict = selector.check(fact, args)
            if verdict[0] == ALLOWED:
                return verdict
            worst = max(worst, verdict)
        return worst

    def may_read_every_key(self, fact: CommandFact) -> bool:
        """Whether a command that this user may run may read whatever key it likes."""
        return any(
            fact.name in each.commands and (each.patterns is None or _reads_all(each.patterns))
            for each in self.selectors
        )

    # -- rules ---------------------------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Apply one rule of ACL SETUSER; an empty one changes nothing.

        Raises:
            RuleError: it is none.
        """
        lowered = rule.lower()
        if lowered in {b"on", b"off"}:
            self.enabled = lowered == b"on"
        elif lowered in {b"sanitize-payload", b"skip-sanitize-payload"}:
            self.sanitize = lowered == b"sanitize-payload"
        elif lowered in {b"nopass", b"resetpass"}:
            self.no_password = lowered == b"nopass"
            self.passwords.clear()
        elif rule[:1] in {b">", b"#"}:
            self.passwords[self._hash(rule)] = None
            self.no_password = False
        elif rule[:1] in {b"<", b"!"}:
            if self.passwords.pop(self._hash(rule), self) is self:
                raise RuleError(
                    "The password you are trying to remove from the user does not exist"
                )
        elif rule[:1] == b"(" and rule[-1:] == b")":
            selector = Selector(every_channel=self.every_channel, catalog=self.catalog)
            for inner in split_words(rule[1:-1]) or ():
                selector.apply(inner)
            self.selectors.append(selector)
        elif lowered == b"clearselectors":
            del self.selectors[1:]
        elif lowered == b"reset":
            self._reset()
        elif rule:
            self.root.apply(rule)
        self.plain = self.selectors[0].unrestricted

    def _reset(self) -> None:
        self.no_password = self.enabled = False
        self.sanitize = True
        self.passwords.clear()
        self.selectors = [Selector(every_channel=self.every_channel, catalog=self.catalog)]

    @staticmethod
    def _hash(rule: bytes) -> bytes:
        if rule[:1] in {b">", b"<"}:
            return digest(rule[1:])
        if len(rule) != 65 or not _HASH_DIGITS.issuperset(rule[1:]):
            message = (
                "The password hash must be exactly 64 characters and contain only lowercase "
                "hexadecimal characters"
            )
            raise RuleError(message)
        return rule[1:]

    # -- descriptions --------------------------------------------------------------------------

    def flags(self) -> list[bytes]:
        """Its flags as ACL GETUSER lists them."""
        flags = [b"on" if self.enabled else b"off"]
        if self.no_password:
            flags.append(b"nopass")
        if self.sanitize is not None:
            flags.append(b"sanitize-payload" if self.sanitize else b"skip-sanitize-payload")
        return flags

    def describe(self) -> bytes:
        """Its rules in one line, as in the configuration file."""
        parts = [*self.flags(), *(b"#" + password for password in self.passwords)]
        parts.append(self.root.describe())
        parts += [b"(" + selector.describe() + b")" for selector in self.selectors[1:]]
        return b" ".join(parts)


def _reads_all(patterns: dict[bytes, int]) -> bool:
    return bool(patterns.get(b"*", 0) & READ)


def sort_refusal(user: User, fact: CommandFact, args: Sequence[bytes]) -> str | None:
    """Why SORT may not look at keys by pattern, which no permission for its own key allows."""
    if fact.name not in {b"sort", b"sort_ro"} or user.may_read_every_key(fact):
        return None
    words = iter(args[2:])
    for word in words:
        option = word.lower()
        if option in {b"by", b"get", b"store", b"limit"}:
            value = next(words, b"")
            if option == b"get" or (option == b"by" and b"*" in value):
                name = option.decode().upper()
                return f"ERR {name} option of SORT denied due to insufficient ACL permissions."
    return None


def merge_selectors(rules: Sequence[bytes]) -> tuple[list[bytes], bytes | None]:
    """Join rules in parentheses that were sent as several words.

    Returns:
        The rules, and the word whose parenthesis was not closed, or None.
    """
    merged: list[bytes] = []
    opened: list[bytes] = []
    for rule in rules:
        if opened or (rule[:1] == b"(" and rule[-1:] != b")"):
            opened.append(rule)
            if rule[-1:] == b")":
                merged.append(b" ".join(opened))
                opened = []
        else:
            merged.append(rule)
    return merged, opened[0] if opened else None


def key_use(flags: Sequence[str]) -> int:
    """What a command does to a key, from the flags of its key spec."""
    return (READ if "access" in flags else 0) | (WRITE if _WRITING.intersection(flags) else 0)


def digest(password: bytes) -> bytes:
    """A password as it is kept: SHA-256 in hexadecimal."""
    return sha256(password).hexdigest().encode()


def has_spaces(text: bytes) -> bool:
    """Whether a name or pattern has white space or a null in it."""
    return any(byte in b" \t\n\v\f\r\0" for byte in text)
