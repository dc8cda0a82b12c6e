"""A crash at any byte: every file cut at every byte, and what the node makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import pytest

from redislab.server.persistence.records import select
from tests.persistence.crashlab import CrashLab, crash_lab
from tests.persistence.programs import server

pytestmark = pytest.mark.timeout(300)

AOF = {"appendonly": "yes", "auto-aof-rewrite-percentage": "0"}
FORMS = {
    "rdb base": AOF,
    "command base": AOF | {"aof-use-rdb-preamble": "no"},
    "timestamps": AOF | {"aof-timestamp-enabled": "yes"},
    "strict": AOF | {"aof-load-truncated": "no"},
    "rdb": {"save": "3600 1"},
}
MANIFEST = "appendonlydir/appendonly.aof.manifest"


def written(crash: CrashLab, form: str, count: int) -> dict[str, bytes]:
    """Let the node write, in two parts with a rewrite between them; its files."""
    for number in range(count):
        crash.push(str(number))
    if form == "rdb":
        assert crash.client.save()
    else:
        assert crash.client.bgrewriteaof()
        crash.lab.run_for(1)
        for number in range(count, 2 * count):
            crash.push(str(number))
        crash.push("transaction.0", "transaction.1")
        crash.push("last")
    files = crash.lab.files()
    assert len(files) == (1 if form == "rdb" else 3)
    return files


def cuts(files: Mapping[str, bytes]) -> Iterator[tuple[str, int]]:
    for name, data in files.items():
        for size in range(len(data)):
            yield name, size


def is_whole_to_redis(name: str, data: bytes, size: int) -> bool:
    """Cuts that no server can see: no base at all, or fewer commands, or fewer lines.

    No crash leaves any of these, for such files get their names when they are whole.
    """
    if name.endswith(".manifest"):
        return data[:size].endswith(b"\n")
    return ".base." in name and data[:size] in {b"", data[: len(select(0))]}


@pytest.mark.parametrize("form", FORMS)
def test_each_file_cut_at_each_byte(form: str) -> None:
    outcomes: dict[tuple[str, bool], int] = {}
    with crash_lab(FORMS[form]) as crash:
        files = written(crash, form, 6)
        whole = crash.start_on(files)
        assert whole is not None
        crash.check(whole, len(crash.acked))
        for name, size in cuts(files):
            cut = dict(files) | {name: files[name][:size]}
            found = crash.start_on(cut)
            outcomes[name, found is not None] = outcomes.get((name, found is not None), 0) + 1
            if found is None:
                assert crash.lab.files() == cut, "what is refused is left as it was"
                continue
            if not name.endswith(".incr.aof"):
                assert is_whole_to_redis(name, files[name], size), f"half of {name} was taken"
                continue
            crash.check(found, 6)
            # It goes on from there, and what it writes now is there at the next start as well.
            assert crash.push(f"after {size}")
            crash.lab.kill()
            assert crash.restart() == [*found, f"after {size}"]
            crash.acked = {k: v for k, v in crash.acked.items() if v[0] in whole}
    increment = [n for (name, ok), n in outcomes.items() if name.endswith("incr.aof") and ok]
    if form == "rdb":
        assert outcomes == {("dump.rdb", False): len(files["dump.rdb"])}
    elif form == "strict":
        assert increment == [9]  # where a command ends, but not within the transaction
    else:
        ((name, data),) = ((n, d) for n, d in files.items() if n.endswith("incr.aof"))
        assert increment == [len(data)], name


def test_large_files_cut_at_random_places() -> None:
    random = Random(7)
    with crash_lab(AOF, seed=3) as crash:
        files = written(crash, "large", 1500)
        for _ in range(60):
            name = random.choice(sorted(files))
            size = random.randrange(len(files[name]))
            found = crash.start_on(dict(files) | {name: files[name][:size]})
            if name.endswith(".incr.aof"):
                assert found is not None
                crash.check(found, 1500)
            else:
                assert (found is None) != is_whole_to_redis(name, files[name], size), (name, size)


@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_real_server_makes_the_same_of_it(form: str, tmp_path: Path) -> None:
    random = Random(form)
    config = FORMS[form]
    options = [word for name, value in config.items() for word in (f"--{name}", value)]
    if "save" not in config:
        options += ["--save", ""]
    with crash_lab(config) as crash:
        files = written(crash, form, 6)
        sample = random.sample(list(cuts(files)), 14)
        for number, (name, size) in enumerate(sample):
            cut = dict(files) | {name: files[name][:size]}
            ours = crash.start_on(cut)
            folder = tmp_path / str(number)
            with server("real", folder, *options) as real:
                for path, data in cut.items():
                    (folder / path).parent.mkdir(exist_ok=True)
                    (folder / path).write_bytes(data)
                if ours is None:
                    assert real.refusal() == 1, (name, size)
                    continue
                real.start()
                items = real.call("LRANGE", "log", "0", "-1").items or ()
                assert [(item.text or b"").decode() for item in items] == ours, (name, size)
