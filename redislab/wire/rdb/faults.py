"""What can be wrong with RDB data, in the words of Redis 7.0 (`src/rdb.c`).

`RdbError` is the one exception of this package. A `Fault` is a reason as Redis logs it, with the
line of `rdb.c` that its log tells and that the log of a node here tells too. What the whole log
looks like stands in `report.py`.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Fault(NamedTuple):
    """A reason, and the line of `rdb.c` in Redis 7.0.15 that gives it."""

    line: int
    reason: str


class Ending(Enum):
    """How a server ends that finds such a fault in its file."""

    CHECKED = "it checks the file once more, reports, and exits"
    REFUSED = "loading fails with 'Invalid argument', and it exits"
    EXITS = "it exits at once"


class RdbError(Exception):
    """Data that is no RDB, or damaged.

    Attributes:
        reason: what is wrong, as Redis says it.
        line: the line of `rdb.c`, or 0 where Redis tells none.
        at: where in the data at hand it was found, or -1 where the parser has read on.
        offset: how many bytes were read before; -1 until the reader has filled it in.
        ending: how a server ends on it.
        before: a line that Redis logs before the reason.
        checked: how the checker of files says it, where that differs.
        short: the data ended too early; all that is missing may still be on its way.
    """

    def __init__(
        self,
        fault: Fault,
        *,
        at: int = -1,
        ending: Ending = Ending.CHECKED,
        before: str = "",
        checked: str = "",
        short: bool = False,
    ) -> None:
        super().__init__(fault.reason)
        self.line, self.reason = fault
        self.at = at
        self.offset = -1
        self.ending = ending
        self.before = before
        self.checked = checked
        self.short = short

    def __str__(self) -> str:
        return self.reason if self.offset < 0 else f"{self.reason} (offset {self.offset})"


UNEXPECTED_END = Fault(3249, "Unexpected EOF reading RDB file")
_LOST = "Short read or OOM loading DB. Unrecoverable error, aborting now."


def cut_short() -> RdbError:
    """The data ended in the middle of something, or made no sense as Redis reads it."""
    return RdbError(UNEXPECTED_END, before=_LOST, short=True)


def unreadable(at: int = -1) -> RdbError:
    """Something Redis says no more of than that it could not read it."""
    return RdbError(UNEXPECTED_END, at=at, before=_LOST)


def no_signature() -> RdbError:
    """The first five bytes are others."""
    reason = "Wrong signature trying to load DB from file"
    return RdbError(Fault(0, reason), ending=Ending.REFUSED)


def unknown_version(version: int) -> RdbError:
    """A version that Redis 7.0 does not read."""
    reason = f"Can't handle RDB format version {version}"
    return RdbError(Fault(0, reason), ending=Ending.REFUSED)


def unknown_type(number: int) -> RdbError:
    """Neither a value's type nor an opcode."""
    fault = Fault(2681, f"Unknown RDB encoding type {number}")
    return RdbError(fault, checked=f"Invalid object type: {number}")


def unknown_length(at: int) -> RdbError:
    """The first byte of a length is none."""
    return RdbError(Fault(236, "Unknown length encoding 2 in rdbLoadLen()"), at=at)


def unknown_string(number: int, at: int) -> RdbError:
    """A string written in a way that does not exist."""
    return RdbError(Fault(529, f"Unknown RDB string encoding type {number}"), at=at)


def wrong_checksum(computed: int, found: int) -> RdbError:
    """The data are not those that were written."""
    before = f"Wrong RDB checksum expected: ({computed:x}) but got ({found:x}). Aborting now."
    return RdbError(Fault(3225, "RDB CRC error"), before=before, checked="RDB CRC error")


def unknown_database(databases: int) -> RdbError:
    """A key for a database that the server does not have."""
    reason = (
        "FATAL: Data file was created with a Redis server configured to handle more than "
        f"{databases} databases. Exiting"
    )
    return RdbError(Fault(0, reason), ending=Ending.EXITS)


def duplicated_key(key: bytes, database: int) -> RdbError:
    """A key stands in the file twice."""
    reason = f"RDB has duplicated key '{shown(key)}' in DB {database}"
    return RdbError(Fault(0, reason), ending=Ending.EXITS)


def module_value(module: int) -> RdbError:
    """A value of a module: there are no modules here."""
    reason = (
        "The RDB file contains module data I can't load: no matching module type "
        f"'{module_name(module)}'"
    )
    return RdbError(Fault(2636, reason))


def module_aux(module: int) -> RdbError:
    """A module's data apart from keys."""
    reason = (
        "The RDB file contains AUX module data I can't load: no matching module "
        f"'{module_name(module)}'"
    )
    return RdbError(Fault(0, reason), ending=Ending.EXITS)


def bad_module_aux() -> RdbError:
    """A module's data apart from keys, in a form that does not exist."""
    return RdbError(Fault(3066, "bad when_opcode"), checked="bad when_opcode")


def bad_library(problem: str, *, short: bool = False) -> RdbError:
    """A library of functions that does not load."""
    what = f"Failed loading library, {problem}"
    return RdbError(UNEXPECTED_END, before=f"{what}\n{_LOST}", checked=what, short=short)


_NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def module_name(number: int) -> str:
    """The nine characters in the upper 54 bits of a module's number (`moduleTypeNameByID`)."""
    return "".join(_NAME_CHARACTERS[number >> 10 + 6 * place & 63] for place in range(8, -1, -1))


def shown(text: bytes) -> str:
    """Bytes as they come out in a log: what follows a zero byte is not shown."""
    return text.partition(b"\0")[0].decode("utf-8", "surrogateescape")


INVALID_LZF = Fault(413, "Invalid LZF compressed string")
DUPLICATE_MEMBERS = Fault(1829, "Duplicate set members detected")
SCORE_IS_NAN = Fault(1882, "Zset with NAN score detected")
DUPLICATE_SORTED_MEMBERS = Fault(1894, "Duplicate zset fields detected")
DUPLICATE_FIELDS = Fault(1951, "Hash with dup elements")
DUPLICATE_FIELDS_OF_MANY = Fault(2019, "Duplicate hash fields detected")
BAD_QUICKLIST = Fault(2048, "Quicklist integrity check failed.")
BAD_LISTPACK = Fault(2071, "Listpack integrity check failed.")
BAD_ZIPLIST = Fault(2081, "Ziplist integrity check failed.")
BAD_ZIPMAP = Fault(2130, "Zipmap integrity check failed.")
BAD_LIST_ZIPLIST = Fault(2189, "List ziplist integrity check failed.")
BAD_INTSET = Fault(2214, "Intset integrity check failed.")
BAD_ZSET_ZIPLIST = Fault(2229, "Zset ziplist integrity check failed.")
BAD_ZSET_LISTPACK = Fault(2255, "Zset listpack integrity check failed.")
BAD_HASH_ZIPLIST = Fault(2275, "Hash ziplist integrity check failed.")
BAD_HASH_LISTPACK = Fault(2301, "Hash listpack integrity check failed.")
STREAM_NODES_CUT = Fault(2327, "Stream listpacks len loading failed.")
STREAM_MASTER_ID_CUT = Fault(
    2338, "Stream master ID loading failed: invalid encoding or I/O error."
)
STREAM_MASTER_ID_SIZE = Fault(2343, "Stream node key entry is not the size of a stream ID")
STREAM_LISTPACK_CUT = Fault(2355, "Stream listpacks loading failed.")
BAD_STREAM_LISTPACK = Fault(2362, "Stream listpack integrity check failed.")
REPEATED_STREAM_LISTPACK = Fault(2386, "Listpack re-added with existing key")
STREAM_FACTS_CUT = Fault(2424, "Stream object metadata loading failed.")
STREAM_LENGTH_WRONG = Fault(2430, "Stream length inconsistent with rax entries")
GROUPS_CUT = Fault(2438, "Stream cgroup count loading failed.")
GROUP_NAME_CUT = Fault(2449, "Error reading the consumer group name from Stream")
GROUP_ID_CUT = Fault(2458, "Stream cgroup ID loading failed.")
GROUP_OFFSET_CUT = Fault(2469, "Stream cgroup offset loading failed.")
PENDING_COUNT_CUT = Fault(2495, "Stream PEL size loading failed.")
PENDING_ID_CUT = Fault(2502, "Stream PEL ID loading failed.")
PENDING_CUT = Fault(2510, "Stream PEL NACK loading failed.")
DUPLICATE_PENDING = Fault(2516, "Duplicated global PEL entry loading stream consumer group")
CONSUMERS_CUT = Fault(2527, "Stream consumers num loading failed.")
CONSUMER_NAME_CUT = Fault(2534, "Error reading the consumer name from Stream group.")
DUPLICATE_CONSUMER = Fault(2543, "Duplicate stream consumer detected.")
SEEN_TIME_CUT = Fault(2549, "Stream short read reading seen time.")
CONSUMER_PENDING_COUNT_CUT = Fault(2558, "Stream consumer PEL num loading failed.")
CONSUMER_PENDING_ID_CUT = Fault(2566, "Stream short read reading PEL streamID.")
CONSUMER_PENDING_UNKNOWN = Fault(2573, "Consumer entry not found in group global PEL")
CONSUMER_PENDING_TAKEN = Fault(2583, "Stream consumer PEL entry already has a consumer assigned")
PENDING_WITHOUT_CONSUMER = Fault(2611, "Stream CG PEL entry without consumer")


def duplicated_group(name: bytes) -> Fault:
    """Two groups of a stream have one name."""
    return Fault(2480, f"Duplicated consumer group name {shown(name)}")
