"""HyperLogLogs: PFADD, PFCOUNT, PFMERGE and the commands for looking inside.

A HyperLogLog is an ordinary string, so GET, DUMP and the rest work on it; `hll.py` knows its bytes.
Follows the commands of `src/hyperloglog.c` in Redis 7.0.
"""

from __future__ import annotations

from redislab.engine import hll
from redislab.engine.errors import CommandError, shown, wrong_type
from redislab.engine.strings import String, writable_string
from redislab.engine.table import Caller, Reply, command
from redislab.wire.resp import OK, ONE, ZERO, array, bulk, integer, simple

_CORRUPTED = "INVALIDOBJ Corrupted HLL object detected"
_NOT_ONE = "WRONGTYPE Key is not a valid HyperLogLog string value."
_NO_KEY = "ERR The specified key does not exist"
_FEW_ELEMENTS = 8  # to take all runs apart does not pay for fewer
_NOT_SPARSE = "ERR HLL encoding is not sparse"
_SELF_TEST_ELEMENTS = 1000


@command("pfadd")
def pfadd(c: Caller, args: list[bytes]) -> Reply:
    """PFADD key [element ...]: 1 if the estimate may have changed or the key is new."""
    db, key = c.db, args[1]
    value = _existing(db.lookup(key))
    changes = 0
    if value is None:
        string = db.values[key] = hll.empty()
        changes = 1
    else:
        string = writable_string(c, key, value)
    sparse_max = c.engine.limits.hll_sparse_max_bytes
    try:
        if len(args) > _FEW_ELEMENTS:
            changes += hll.raise_registers(string, map(hll.place, args[2:]), sparse_max)
        else:
            for element in args[2:]:
                changes += hll.raise_register(string, *hll.place(element), sparse_max)
    except hll.CorruptedError:
        raise CommandError(_CORRUPTED) from None
    if not changes:
        return ZERO
    hll.forget_count(string)
    db.changed(key, b"pfadd", changes)
    return ONE


@command("pfcount")
def pfcount(c: Caller, args: list[bytes]) -> Reply:
    """PFCOUNT key [key ...]: the estimate, of several keys that of their union."""
    if len(args) > 2:
        return integer(hll.estimate(_union(c, args[1:])[0]))
    value = _existing(c.db.lookup_read(args[1]))
    if value is None:
        return ZERO
    count = hll.cached_count(value)
    if count is None:
        count = hll.estimate(_registers(value))
        hll.cache_count(writable_string(c, args[1], value), count)
        # Counting changes the string, so it is a write for WATCH and replicas.
        c.db.touched(args[1])
    return integer(count)


@command("pfmerge")
def pfmerge(c: Caller, args: list[bytes]) -> Reply:
    """PFMERGE destkey [sourcekey ...]: the destination is one of those merged."""
    db, key = c.db, args[1]
    values, is_dense = _union(c, args[1:])
    value = db.lookup(key)
    if value is None:
        string = db.values[key] = hll.empty()
    else:
        string = writable_string(c, key, value)
    sparse_max = c.engine.limits.hll_sparse_max_bytes
    try:
        if is_dense:
            hll.make_dense(string)
            hll.set_registers(string, values)
        else:
            wanted = (pair for pair in enumerate(values) if pair[1])
            hll.raise_registers(string, wanted, sparse_max)
    except hll.CorruptedError:
        raise CommandError(_CORRUPTED) from None
    hll.forget_count(string)
    db.changed(key, b"pfadd")
    return OK


@command("pfdebug")
def pfdebug(c: Caller, args: list[bytes]) -> Reply:
    """PFDEBUG GETREG|DECODE|ENCODING|TODENSE key."""
    name, key = args[1].lower(), args[2]
    value = _existing(c.db.lookup(key))
    if value is None:
        raise CommandError(_NO_KEY)
    string = writable_string(c, key, value)
    is_sparse = string[4] == hll.SPARSE
    if name == b"encoding":
        return simple(b"sparse" if is_sparse else b"dense")
    if name == b"decode":
        if not is_sparse:
            raise CommandError(_NOT_SPARSE)
        return bulk(" ".join(_describe(run) for run in hll.runs(string)).encode())
    if name in {b"getreg", b"todense"}:
        values = _registers(string)
        if is_sparse:
            hll.make_dense(string)
            c.engine.dirty += 1
        if name == b"todense":
            return ONE if is_sparse else ZERO
        return array([integer(register) for register in values])
    raise CommandError(f"ERR Unknown PFDEBUG subcommand '{shown(args[1])}'")


@command("pfselftest")
def pfselftest(c: Caller, args: list[bytes]) -> Reply:
    """PFSELFTEST: dense and sparse must agree, and estimate what was added; smaller than Redis'."""
    sparse, dense = hll.empty(), hll.empty()
    hll.make_dense(dense)
    salt = c.engine.random.getrandbits(64)
    for number in range(1, _SELF_TEST_ELEMENTS + 1):
        element = (number ^ salt).to_bytes(8, "little")
        for string in (sparse, dense):
            hll.raise_register(string, *hll.place(element), c.engine.limits.hll_sparse_max_bytes)
    count = hll.estimate(hll.registers(dense))
    if hll.registers(sparse) != hll.registers(dense):
        raise CommandError("TESTFAILED dense/sparse disagree")
    if abs(count - _SELF_TEST_ELEMENTS) > 0.05 * _SELF_TEST_ELEMENTS:
        message = f"TESTFAILED Too big error. card:{_SELF_TEST_ELEMENTS} abserr:{count}"
        raise CommandError(message)
    return OK


# -- helpers ------------------------------------------------------------------------------------


def _existing(value: object) -> String | None:
    """The value, if it is a HyperLogLog or missing.

    Raises:
        CommandError: it is of another type, or another string.
    """
    if value is None:
        return None
    if not isinstance(value, bytes | bytearray):
        raise wrong_type()
    if not hll.is_valid(value):
        raise CommandError(_NOT_ONE)
    return value


def _registers(string: String) -> bytes:
    try:
        return hll.registers(string)
    except hll.CorruptedError:
        raise CommandError(_CORRUPTED) from None


def _union(c: Caller, keys: list[bytes]) -> tuple[bytes, bool]:
    """The largest value of each register over several keys, and whether one of them is dense."""
    union = bytes(hll.REGISTERS)
    is_dense = False
    for key in keys:
        value = _existing(c.db.lookup_read(key))
        if value is not None:
            is_dense |= value[4] == hll.DENSE
            union = hll.greatest(union, _registers(value))
    return union, is_dense


def _describe(run: hll.Run) -> str:
    if run.value:
        return f"v:{run.value},{run.length}"
    return f"{'z' if run.size == 1 else 'Z'}:{run.length}"
