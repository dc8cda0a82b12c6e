"""What a script or function says of itself, its flags, and what they make of EVAL and FCALL.

A script says it in its first line, `#!lua flags=no-writes`, a function where it is registered
(`src/script.c` and `evalExtractShebangFlags` in `src/eval.c` of Redis 7.0). A script without such a
line has declared nothing (None here), and its commands are looked at one by one.
"""

from __future__ import annotations

from redislab.engine.errors import CommandError
from redislab.wire.requests import split_words

Flags = frozenset[str] | None

FLAGS = ("no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys")
_BY_DECLARATION = frozenset({"stale", "denyoom", "write", "may_replicate"})


def read_shebang(body: bytes) -> tuple[Flags, bytes]:
    """The flags in a script's first line, and the script without it; lines keep their numbers.

    Raises:
        CommandError: the line asks for what there is not.
    """
    if not body.startswith(b"#!"):
        return None, body
    line, newline, rest = body.partition(b"\n")
    if not newline:
        raise CommandError("ERR Invalid script shebang")
    words = split_words(line)
    if not words:
        raise CommandError("ERR Invalid engine in script shebang")
    if words[0] != b"#!lua":
        raise CommandError(f"ERR Unexpected engine in script shebang: {_text(words[0])}")
    flags: set[str] = set()
    for word in words[1:]:
        if not word.startswith(b"flags="):
            raise CommandError(f"ERR Unknown lua shebang option: {_text(word)}")
        listed = _text(word.removeprefix(b"flags="))
        for flag in listed.split(",") if listed else ():
            if flag not in FLAGS:
                raise CommandError(f"ERR Unexpected flag in script shebang: {flag}")
            flags.add(flag)
    return frozenset(flags), b"\n" + rest


def command_flags(flags: frozenset[str], declared: frozenset[str]) -> frozenset[str]:
    """The flags of EVAL or FCALL, when what they run has declared something."""
    result = set(flags - _BY_DECLARATION)
    if not declared & {"allow-oom", "no-writes"}:
        result.add("denyoom")
    if "no-writes" not in declared:
        result.add("write")
    if "allow-stale" in declared:
        result.add("stale")
    return frozenset(result)


def keys_and_arguments(args: list[bytes], count: int) -> tuple[list[bytes], list[bytes]]:
    """The keys and the arguments of EVAL or FCALL.

    Raises:
        CommandError: there are not so many keys.
    """
    if count > len(args) - 3:
        raise CommandError("ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError("ERR Number of keys can't be negative")
    return args[3 : 3 + count], args[3 + count :]


def _text(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")
