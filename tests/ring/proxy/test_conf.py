"""Configuration files, held against nutcracker: what is refused, and in which words."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
import yaml

from redislab.ring.proxy import conf
from redislab.ring.proxy.conf import ConfError, read_conf
from redislab.ring.proxy.main import _resolves
from tests.ring.nutcracker import nutcracker
from tests.ring.proxy.bad_files import BAD, GOOD

# Lines that nutcracker logs beside its message about the file.
_OTHER = ("address resolution", "nutcracker-", "run, rabbit", "done, rabbit")
# What ours says more: what YAML has to say, and where it is.
_MORE = re.compile(r"(: [^(]+)?( \(line \d+, column \d+\))?").fullmatch
AT_ONCE = 8
FILE = "nutcracker.yml"


def refused(text: str) -> str:
    with pytest.raises(ConfError) as caught:
        read_conf(text.encode("utf-8", "surrogateescape"), FILE, resolves=_resolves)
    return str(caught.value)


async def _real(folder: Path, number: int, text: str) -> tuple[int | None, list[str]]:
    """Nutcracker's exit code for a file, and what it logs of it; in the folder it is FILE."""
    where = folder / str(number)
    where.mkdir()
    (where / FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    argv = ["-c", FILE, "-o", "log", "-p", "pid", "-a", "127.0.0.1"]
    process = await asyncio.create_subprocess_exec(nutcracker(), *argv, cwd=where, stderr=-3)
    try:
        code = await asyncio.wait_for(process.wait(), 20)
    except TimeoutError:
        process.kill()
        await process.wait()
        code = None
    # [date time] file.c:line message
    lines = [line.split(" ", 3)[3] for line in (where / "log").read_text().splitlines()]
    return code, [line for line in lines if not line.startswith(_OTHER)]


def test_nutcracker_refuses_each_in_the_same_words(tmp_path: Path) -> None:
    """Ours says after them where it is, and what YAML says."""

    async def judge() -> dict[str, tuple[int | None, list[str]]]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, name: str) -> tuple[int | None, list[str]]:
            async with gate:
                return await _real(tmp_path, number, BAD[name])

        results = await asyncio.gather(*(one(at, name) for at, name in enumerate(BAD)))
        return dict(zip(BAD, results, strict=True))

    for name, (code, lines) in asyncio.run(judge()).items():
        ours = refused(BAD[name])
        assert (code, len(lines)) == (1, 1), name
        assert ours.startswith(lines[0]), name
        assert _MORE(ours[len(lines[0]) :]), name


@pytest.mark.parametrize(
    ("name", "line", "column"),
    [
        ("a tab", 2, 1),
        ("an anchor", 9, 13),
        ("two lists", 14, 4),
        ("an unknown one", 9, 3),
        ("an unknown hash", 3, 9),
        ("a server of weight 0", 13, 6),
        ("no listen", 1, 1),
    ],
)
def test_it_is_told_where(name: str, line: int, column: int) -> None:
    assert refused(BAD[name]).endswith(f" (line {line}, column {column})")


def test_the_words_are_the_same_where_yaml_is_python_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what YAML itself says of its failures differs."""
    compiled = {name: refused(text) for name, text in BAD.items()}
    monkeypatch.setattr(conf, "_LOADER", yaml.Loader)
    for name, text in BAD.items():
        if compiled[name].startswith("conf: failed (err"):
            head = compiled[name].split(":")[1]
            assert refused(text).startswith(f"conf:{head}:"), name
        else:
            assert refused(text) == compiled[name]


def test_the_file_of_the_course_is_taken_as_it_stands() -> None:
    (pool,) = read_conf(GOOD.encode(), FILE).pools
    assert pool.name == "alpha"
    assert (pool.listen.host, pool.listen.port) == ("127.0.0.1", 22121)
    assert (pool.hash, pool.distribution, pool.timeout) == ("fnv1a_64", "ketama", -1)
    assert pool.auto_eject_hosts
    assert (pool.server_retry_timeout, pool.server_failure_limit) == (2000, 1)
    assert [server.port for server in pool.servers] == [7601, 7602, 7603]


def test_what_is_not_said_is_what_nutcracker_takes() -> None:
    text = "a:\n  listen: /tmp/a.sock 600\n  redis: true\n  servers:\n   - /tmp/b.sock:2 b\n"
    (pool,) = read_conf(text.encode(), FILE).pools
    assert (pool.listen.host, pool.listen.port, pool.listen.permissions) == (
        "/tmp/a.sock",
        0,
        0o600,
    )
    assert (pool.backlog, pool.server_connections, pool.server_failure_limit) == (512, 1, 2)
    assert (pool.server_retry_timeout, pool.preconnect, pool.redis_db) == (30_000, False, 0)
    (server,) = pool.servers
    assert (server.host, server.port, server.weight, server.name) == ("/tmp/b.sock", 0, 2, "b")


def test_a_pool_of_memcached_is_refused_by_name() -> None:
    for other in ("redis: false", "timeout: 1"):
        message = refused(GOOD.replace("redis: true", other))
        assert "pool 'alpha' is one of memcached" in message


def test_a_number_that_no_int_holds_is_none() -> None:
    """Nutcracker takes 4294967297 for 1."""
    line = GOOD.replace("2000", "4294967297")
    assert 'directive "server_retry_timeout" is not a number' in refused(line)


def test_pools_are_in_the_order_of_nutcracker() -> None:
    """The shorter name first: that is the order of the stats."""
    text = "".join(
        GOOD.replace("alpha", name).replace("22121", str(port))
        for name, port in (("beta", 22122), ("omega", 22123), ("a", 22124))
    )
    assert [pool.name for pool in read_conf(text.encode(), FILE).pools] == ["a", "beta", "omega"]
