"""The ACL file: ACL LOAD, ACL SAVE, and the users of a node that starts with `aclfile`.

Follows `ACLLoadFromFile` and `ACLSaveToFile` in `src/acl.c` of Redis 7.0. A file is taken as a
whole or not at all, and all that is wrong with it is told in one line. The connections of the users
from before are closed, but for those of the default user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.table import Reply, command
from redislab.server import users
from redislab.server.exits import ExitError
from redislab.server.persistence.disk import error_text, read_file, remove, write_all
from redislab.server.users import UNKNOWN_COMMAND, RuleError, User
from redislab.wire.resp import OK

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node

_NO_FILE = (
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    "configuration file set) in order to store users in the Redis configuration."
)
_BOTH = (
    "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path "
    "is invalid. This setup is very likely to lead to configuration errors and security holes, "
    "please define either an ACL file or declare users directly in your redis.conf, but not both."
)
_NOT_SAVED = (
    "ERR There was an error trying to save the ACLs. Please check the server logs for more "
    "information"
)
_NOTHING_CHANGED = (
    "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
)


class AclFileError(Exception):
    """The ACL file cannot be read; the text is all that is wrong with it, in one line."""


def start_up(node: Node) -> None:
    """Read the file of a node that starts, if it has one.

    Raises:
        ExitError: it cannot be read; the log says why.
    """
    if not node.config.aclfile:
        return
    if node.config.users:
        node.log.warning(_BOTH)
        raise ExitError(1)
    try:
        _load(node)
    except AclFileError as wrong:
        node.log.warning(f"Aborting Redis startup because of ACL errors: {wrong}")
        raise ExitError(1) from None


@command("acl|load")
def acl_load(c: Client, args: list[bytes]) -> Reply:
    """ACL LOAD: the users of the file in place of those there are."""
    if not c.node.config.aclfile:
        raise CommandError(_NO_FILE)
    try:
        _load(c.node)
    except AclFileError as wrong:
        raise CommandError(f"ERR {wrong}") from None
    return OK


@command("acl|save")
def acl_save(c: Client, args: list[bytes]) -> Reply:
    """ACL SAVE: the users into the file."""
    node = c.node
    if not node.config.aclfile:
        raise CommandError(_NO_FILE)
    content = b"".join(b"user %b\n" % line for line in node.user_lines())
    path = node.config.absolute(node.config.aclfile)
    environment = node.environment
    temporary = f"{path}.tmp-{environment.process_id}-{node.now_ms() % 2**31}"
    step = "Opening temp ACL file"
    try:
        file = environment.disk.open(temporary, "create")
        try:
            step = "Writing ACL file"
            write_all(file, content)
        finally:
            file.close()
        step = "Renaming ACL file"
        environment.disk.rename(temporary, path)
    except OSError as failure:
        node.log.warning(f"{step} for ACL SAVE: {error_text(failure)}")
        remove(environment.disk, temporary)
        raise CommandError(_NOT_SAVED) from None
    return OK


def _load(node: Node) -> None:
    """Take the users of the file.

    Raises:
        AclFileError: what is wrong with it; nothing has changed then.
    """
    name = node.config.aclfile
    try:
        content = read_file(node.environment.disk, node.config.absolute(name))
    except OSError as failure:
        raise AclFileError(
            f"Error loading ACLs, opening file '{name}': {error_text(failure)}"
        ) from None
    fresh: dict[bytes, User] = {}
    errors = []
    for number, line in enumerate(content.partition(b"\0")[0].split(b"\n"), 1):
        if words := line.strip(b" \t\r\n"):
            errors += _read_user(node, fresh, words.split(b" "), f"{name}:{number}", number)
    if errors:
        raise AclFileError("".join(errors) + _NOTHING_CHANGED)
    node.acl.replace(fresh)


def _read_user(
    node: Node, fresh: dict[bytes, User], words: list[bytes], place: str, number: int
) -> list[str]:
    """Add the user of a line to those that were read; return what is wrong with it."""
    if words[0] != b"user" or len(words) < 2:
        return [f"{place} should start with user keyword followed by the username. "]
    name = words[1]
    shown = _text(name)
    if users.has_spaces(name):
        return [f"'{place}: username '{shown}' contains invalid characters. "]
    if name in fresh:
        return [f"WARNING: Duplicate user '{shown}' found on line {number}. "]
    user = fresh[name] = node.acl.new_user(name)
    rules, opened = users.merge_selectors(words[2:])
    if opened is not None:
        return [f"{place}: Unmatched parenthesis in selector definition."]
    errors = []
    told = False
    for rule in (each.strip(b"\t\r\n") for each in rules):
        try:
            user.apply(rule)
        except RuleError as wrong:
            if str(wrong) == UNKNOWN_COMMAND:
                errors.append(f"{place}: Error in applying operation '{_text(rule)}': {wrong}. ")
            elif not told:
                errors.append(f"{place}: {wrong}. ")
                told = True
    return errors


def _text(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")
