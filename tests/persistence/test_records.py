"""The commands of an append-only file, read in any pieces, and what is made of damaged ones."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from redislab.server.persistence.records import (
    EndedEarlyError,
    MalformedError,
    Records,
    UnreadableError,
    timestamp,
)
from redislab.wire.resp import request
from tests.persistence.programs import server

FAULTS = (EndedEarlyError, MalformedError, UnreadableError)
COMMANDS = [
    [b"SELECT", b"0"],
    [b"SET", b"key", b"value"],
    [b"SET", b"empty", b""],
    [b"SET", b"lines", b"a\r\nb\n*3\r\n$1\r\n"],
    [b"RPUSH", b"list", *(b"%d" % n for n in range(40))],
    [b"MULTI"],
    [b"SET", b"long", b"x" * 3000],
    [b"EXEC"],
]
FILE = b"".join(
    timestamp(1_700_000_000 + n) + request(words) if n % 3 == 1 else request(words)
    for n, words in enumerate(COMMANDS)
)


def read(data: bytes, piece: int) -> tuple[list[list[bytes]], int, type | None]:
    """The commands of a file fed in pieces, the offset behind the last, and the fault met."""
    records = Records()
    found: list[list[bytes]] = []
    at, ended = 0, False
    try:
        while True:
            words = records.next()
            if words is not None:
                found.append(words)
            elif ended:
                return found, records.offset, None
            else:
                part = data[at : at + piece]
                at, ended = at + len(part), not part
                records.feed(part)
    except FAULTS as fault:
        return found, records.offset, type(fault)


@pytest.mark.parametrize("piece", [1, 2, 7, 100, 1 << 20])
def test_a_file_is_read_in_any_pieces(piece: int) -> None:
    assert read(FILE, piece) == (COMMANDS, len(FILE), None)


def test_every_cut_is_the_end_of_a_command_or_ends_early() -> None:
    ends = {0}
    for words in COMMANDS:
        begin = FILE.index(request(words), max(ends))
        ends.add(begin + len(request(words)))
    for size in range(len(FILE)):
        found, offset, fault = read(FILE[:size], 1 << 20)
        assert offset in ends
        assert found == COMMANDS[: len(found)]
        rest = FILE[offset:size]
        if fault is None:
            # A comment that is cut is a comment all the same.
            assert not rest or (rest.startswith(b"#") and b"\r\n*" not in rest)
        else:
            assert fault is EndedEarlyError


def test_damaged_files_are_read_the_same_in_any_pieces() -> None:
    random = Random(1)
    faults: dict[type | None, int] = {}
    for _ in range(1500):
        data = bytearray(FILE[: random.randrange(300, 1200)])
        for _ in range(random.randint(1, 3)):
            place = random.randrange(len(data))
            match random.randrange(3):
                case 0:
                    data[place] = random.choice(b"*$#\r\n\0019-x")
                case 1:
                    del data[place]
                case _:
                    data.insert(place, random.choice(b"*$#\r\n\0019-x"))
        whole = read(bytes(data), 1 << 20)
        assert read(bytes(data), 5) == whole
        faults[whole[2]] = faults.get(whole[2], 0) + 1
    assert faults.keys() >= {EndedEarlyError, MalformedError}


@pytest.mark.redis
def test_a_real_server_finds_the_same_commands_in_damaged_files(tmp_path: Path) -> None:
    random = Random(2)
    plain = b"".join(request((b"RPUSH", b"log", b"%d" % n)) for n in range(30))
    for number in range(25):
        data = bytearray(plain)
        for _ in range(random.randint(1, 2)):
            data[random.randrange(60, len(data))] = random.choice(b"*$#\r\n019x\0")
        found, _, fault = read(bytes(data), 1 << 20)
        refused = fault is not None or any(w[0].lower() != b"rpush" or len(w) < 3 for w in found)
        folder = tmp_path / str(number)
        options = ("--save", "", "--appendonly", "yes", "--aof-load-truncated", "no")
        with server("real", folder, *options) as real:
            (folder / "appendonlydir").mkdir()
            (folder / "appendonlydir/appendonly.aof.1.incr.aof").write_bytes(data)
            (folder / "appendonlydir/appendonly.aof.manifest").write_bytes(
                b"file appendonly.aof.1.incr.aof seq 1 type i\n"
            )
            if refused:
                assert real.refusal() == 1, bytes(data)
                continue
            real.start()
            length = sum(len(words) - 2 for words in found if words[1] == b"log")
            assert real.text("LLEN", "log") == str(length), bytes(data)
