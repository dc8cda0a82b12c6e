"""The errors that commands answer, in the words of Redis 7.0 (`src/server.c`, shared objects)."""

from __future__ import annotations


class CommandError(Exception):
    """An error reply. The message begins with its code: `ERR syntax error`, `WRONGTYPE ...`."""

    @property
    def message(self) -> str:
        """The text after the `-` on the wire."""
        return str(self.args[0])


WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_INTEGER = "ERR value is not an integer or out of range"
NOT_FLOAT = "ERR value is not a valid float"
NO_SUCH_KEY = "ERR no such key"
OUT_OF_RANGE = "ERR index out of range"
WOULD_OVERFLOW = "ERR increment or decrement would overflow"


def shown(word: bytes) -> str:
    """A word as an error message shows it: up to the first null, for messages are C strings."""
    return word.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def shown_last(word: bytes) -> str:
    """The same where the message ends: `addReplyErrorFormat` takes line breaks off its end."""
    return shown(word).rstrip("\r\n")


def wrong_type() -> CommandError:
    """The key holds another type than the command works on."""
    return CommandError(WRONG_TYPE)


def syntax_error() -> CommandError:
    """The arguments do not follow the command's grammar."""
    return CommandError(SYNTAX)


def wrong_arity(name: str) -> CommandError:
    """Too few or too many arguments; `name` as in the command table, `config|get` for GET."""
    return CommandError(f"ERR wrong number of arguments for '{name}' command")
