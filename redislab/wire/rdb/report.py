"""What Redis says of a file that it loads or refuses (`src/rdb.c`, `redis-check-rdb.c`, 7.0).

On most faults a server logs what it found, runs its checker on the file, whose report goes to the
standard output, and exits; `checker_report` makes the same report.
"""

from __future__ import annotations

from redislab.wire.rdb.faults import Ending, RdbError, shown
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.reader import Progress, RdbReader

_TYPE_NAMES = (
    *("string", "list-linked", "set-hashtable", "zset-v1", "hash-hashtable", "zset-v2"),
    *("module-value", "", "", "hash-zipmap", "list-ziplist", "set-intset", "zset-ziplist"),
    *("hash-ziplist", "quicklist", "stream", "hash-listpack", "zset-listpack", "quicklist-v2"),
)
assert _TYPE_NAMES[Type.LIST_QUICKLIST_2] == "quicklist-v2"

LOADED_WITHOUT_CHECKSUM = "RDB file was saved with checksum disabled: no check performed."
TERMINATING = "Terminating server after rdb file reading failure."


def fault_lines(error: RdbError, loaded: int = 0) -> list[str]:
    """The lines that a server logs as warnings when it finds a fault.

    Args:
        error: the fault.
        loaded: how many bytes had been loaded when the server last looked (`loading_loaded_bytes`);
            it looks every `loading-process-events-interval-bytes`.
    """
    before = error.before.splitlines()
    if error.ending is not Ending.CHECKED:
        return [*before, error.reason]
    return [*before, internal_error(error, loaded)]


def internal_error(error: RdbError, loaded: int = 0) -> str:
    """A fault with its line of `rdb.c`, as Redis logs it."""
    place = f"reading offset {loaded}, function at rdb.c:{error.line}"
    return f"Internal error in RDB {place} -> {error.reason}"


def aux_line(name: bytes, value: bytes, now_s: int) -> str | None:
    """The line that a server logs as a notice when it reads a fact about the file.

    Args:
        name: the fact.
        value: its value.
        now_s: the time, in seconds since the epoch.
    """
    if name.startswith(b"%"):
        return f"RDB '{shown(name)}': {shown(value)}"
    match name.lower():
        case b"redis-ver":
            return f"Loading RDB produced by version {shown(value)}"
        case b"ctime":
            return f"RDB age {max(now_s - leading_integer(value), 0)} seconds"
        case b"used-mem":
            megabytes = leading_integer(value) / (1024 * 1024)
            return f"RDB memory usage when created {megabytes:.2f} Mb"
        case b"aof-preamble" if leading_integer(value):
            return "RDB has an AOF tail"
        case b"aof-base" if leading_integer(value):
            return "RDB is base AOF"
    return None


def leading_integer(text: bytes) -> int:
    """The integer that a text begins with, or 0 (C's `strtoll`)."""
    text = text.strip()
    end = 1 if text[:1] in {b"-", b"+"} else 0
    while text[end : end + 1].isdigit():
        end += 1
    try:
        return int(text[:end])
    except ValueError:
        return 0


def checker_report(
    name: str, reader: RdbReader, error: RdbError | None, expired: int = 0
) -> list[str]:
    """What `redis-check-rdb` prints of a file, line by line.

    Args:
        name: the file's.
        reader: has read it, to its end or to the fault.
        error: the fault, or None.
        expired: how many of the keys had expired.
    """
    progress = reader.progress
    lines = [f"[offset 0] Checking RDB file {name}"]
    lines += [f"[offset {offset}] {what}" for offset, what in progress.told]
    if error is None:
        checked = "Checksum OK" if not reader.unchecked else LOADED_WITHOUT_CHECKSUM
        lines += [f"[offset {reader.offset}] {checked}"]
        lines += [f"[offset {reader.offset}] \\o/ RDB looks OK! \\o/"]
    else:
        lines += _fault_report(error, progress)
    return [
        *lines,
        f"[info] {progress.keys} keys read",
        f"[info] {progress.expiring} expires",
        f"[info] {expired} already expired",
    ]


def _fault_report(error: RdbError, progress: Progress) -> list[str]:
    what = error.checked or error.reason
    if error.ending is Ending.CHECKED and error.line and not (error.checked or error.before):
        what = internal_error(error)
    lines = [
        "--- RDB ERROR DETECTED ---",
        f"[offset {error.offset}] {what}",
        f"[additional info] While doing: {progress.doing}",
    ]
    if progress.key is not None:
        lines.append(f"[additional info] Reading key '{shown(progress.key)}'")
    kind = progress.kind
    if kind >= 0:
        known = _TYPE_NAMES[kind] if kind < len(_TYPE_NAMES) else "unknown"
        lines.append(f"[additional info] Reading type {kind} ({known})")
    return lines
