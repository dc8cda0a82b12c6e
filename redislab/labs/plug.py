"""Pulling the plug: what is left of acknowledged writes when a process or a machine dies.

A client counts upward with INCR, one write after the other, and remembers when each was
acknowledged. Then the process is killed, or in `sim` the machine loses its power. What is left is
the value of the counter after a restart: since each write is one more, it says exactly which of
them survived. `where_writes_are` looks, meanwhile, at how far they have got: into the server's
memory, into the operating system's page cache, onto the disk.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from posixpath import basename
from random import Random
from typing import Any, Literal

from redislab.labs.single import SingleLab
from redislab.wire.rdb.faults import RdbError
from redislab.wire.rdb.reader import RdbReader
from redislab.wire.resp import bulks

Fault = Literal["kill -9", "power failure"]

COUNTER = b"writes"
_ONE = bulks((b"INCRBY", COUNTER, b"1"))
_LOOK_SECONDS = 0.25
# The kernel looks every five seconds for what has waited for thirty.
_KERNEL_SECONDS = 35.0
# Of `appendfsync everysec`: the next whole second, the cron that notices it, the sync itself.
_EVERYSEC_SECONDS = 1.2


@dataclass(frozen=True, slots=True)
class Mode:
    """A way of keeping data, and what it promises.

    Attributes:
        name: as a table says it.
        config: its directives.
        killed: how old a write may be, in seconds, that a killed process loses.
        unplugged: the same for a machine without power.
    """

    name: str
    config: Mapping[str, str]
    killed: float
    unplugged: float

    def promise(self, fault: Fault) -> float:
        """How old a lost write may be at most, in seconds; infinity is no promise."""
        return self.killed if fault == "kill -9" else self.unplugged


def modes(save_seconds: int = 10) -> tuple[Mode, ...]:
    """Every way of keeping data, from none to every write.

    Args:
        save_seconds: how often the mode with snapshots takes one.
    """

    def appending(policy: str, unplugged: float) -> Mode:
        config = {"save": "", "appendonly": "yes", "appendfsync": policy}
        return Mode(f"AOF, {policy}", config, 0.0, unplugged)

    # A snapshot is due after so many seconds, is noticed by the next cron, and takes its time.
    snapshot = save_seconds + 0.5
    return (
        Mode("nothing", {"save": "", "appendonly": "no"}, float("inf"), float("inf")),
        Mode("RDB", {"save": f"{save_seconds} 1", "appendonly": "no"}, snapshot, snapshot),
        appending("no", _KERNEL_SECONDS),
        appending("everysec", _EVERYSEC_SECONDS),
        appending("always", 0.0),
    )


@dataclass(frozen=True, slots=True)
class Plug:
    """One time that the plug was pulled.

    Attributes:
        mode: how data were kept.
        fault: what happened.
        moment: after how many seconds.
        acknowledged: writes that the client had a reply to.
        recovered: the counter after the restart.
        lost: acknowledged writes that are gone.
        age: of the oldest of them, in seconds before the fault; 0 if none is lost.
        promised: how large that may be.
    """

    mode: str
    fault: Fault
    moment: float
    acknowledged: int
    recovered: int
    lost: int
    age: float
    promised: float

    @property
    def kept_promise(self) -> bool:
        """Whether no more was lost than may be."""
        return self.age <= self.promised


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """How far the writes have got at one moment, each the number of the latest one.

    Attributes:
        acknowledged: the client had a reply, so the server has it in its memory.
        cached: it is in a file, as programs see it.
        stored: it is on the disk.
    """

    acknowledged: int
    cached: int
    stored: int


def pull_the_plug(
    mode: Mode,
    fault: Fault,
    moment: float,
    *,
    world: str = "sim",
    seed: int = 0,
    rate: float = 20.0,
    kept: float | None = None,
    on_look: Callable[[SingleLab, Whereabouts], object] | None = None,
) -> Plug:
    """Write for a while, let the process or the machine die, and see what is left.

    Args:
        mode: how to keep the data.
        fault: what happens; a power failure only in `sim`.
        moment: when, in seconds.
        world: where.
        seed: of everything that is left to chance.
        rate: writes a second.
        kept: see `Lab.power_off`.
        on_look: in `sim`, told four times a second how far the writes have got.

    Raises:
        WorldError: the power was to fail in a real world.
    """
    with SingleLab(world, seed=seed, config=dict(mode.config)) as lab:
        times: list[float] = []
        lab.run(_write(lab, times, moment, rate, on_look), timeout=moment + 60)
        if on_look is not None:
            on_look(lab, where_writes_are(lab, len(times)))
        died_at = lab.now
        if fault == "kill -9":
            lab.kill()
        else:
            lab.power_off(kept=kept)
        lab.restart()
        recovered = int(lab.client().get(COUNTER) or 0)
        if on_look is not None:
            on_look(lab, Whereabouts(recovered, recovered, recovered))
    lost = max(0, len(times) - recovered)
    age = died_at - times[recovered] if lost else 0.0
    return Plug(mode.name, fault, moment, len(times), recovered, lost, age, mode.promise(fault))


async def _write(
    lab: SingleLab,
    times: list[float],
    seconds: float,
    rate: float,
    on_look: Callable[[SingleLab, Whereabouts], object] | None,
) -> None:
    """Count upward until the time is over."""
    loop = asyncio.get_running_loop()
    client: Any = lab.async_client()
    begun = loop.time()
    look = asyncio.ensure_future(_look(lab, times, on_look)) if on_look is not None else None
    try:
        while (due := len(times) / rate) < seconds:
            await asyncio.sleep(max(0.0, begun + due - loop.time()))
            await client.incr(COUNTER)
            times.append(lab.now)
        await asyncio.sleep(max(0.0, begun + seconds - loop.time()))
    finally:
        if look is not None:
            look.cancel()
        await client.aclose()


async def _look(
    lab: SingleLab, times: list[float], on_look: Callable[[SingleLab, Whereabouts], object]
) -> None:
    while True:
        on_look(lab, where_writes_are(lab, len(times)))
        await asyncio.sleep(_LOOK_SECONDS)


def where_writes_are(lab: SingleLab, acknowledged: int) -> Whereabouts:
    """How far the writes of a lab in `sim` have got, of which so many were acknowledged."""
    disk = lab.disk()
    return Whereabouts(acknowledged, counted(disk.files()), counted(disk.medium()))


def counted(files: Mapping[str, bytes]) -> int:
    """The value of the counter that a server would find in these files.

    That is the value in the base, or in `dump.rdb`, and one more for each write in the increments.
    """
    manifest = next((data for path, data in files.items() if path.endswith(".manifest")), None)
    by_name = {basename(path): data for path, data in files.items()}
    if manifest is None:
        return _in_snapshot(by_name.get("dump.rdb", b""))
    value = 0
    for name in re.findall(rb"^file (\S+) seq", manifest, re.MULTILINE):
        data = by_name.get(name.decode(), b"")
        value += _in_snapshot(data) if data.startswith(b"REDIS") else data.count(_ONE)
    return value


def _in_snapshot(data: bytes) -> int:
    """The value of the counter in an RDB file; 0 if it has none, or is not whole."""
    found = _Counter()
    if not data:
        return 0
    try:
        reader = RdbReader(found)
        reader.feed(data)
        reader.finish()
    except RdbError:
        return 0
    return found.value


class _Counter:
    """Looks for the counter among the keys of a file, and minds nothing else."""

    def __init__(self) -> None:
        self.value = 0

    def select(self, database: int) -> None:
        """The keys that follow belong to this database."""

    def key(self, key: bytes, kind: int, value: Any, *_: Any, **__: Any) -> None:
        """A key with its value."""
        if key == COUNTER:
            self.value = int(value)

    def empty(self, key: bytes) -> None:
        """A key whose value has no elements."""

    def aux(self, name: bytes, value: bytes) -> None:
        """A fact about the file."""

    def resize(self, keys: int, expiring: int) -> None:
        """How many keys there are."""

    def library(self, source: bytes) -> str | None:
        """The source of a library."""
        return None


def random_moments(seed: int, count: int, earliest: float, latest: float) -> list[float]:
    """So many moments, drawn evenly between two, in seconds."""
    random = Random(f"moments/{seed}")
    return [round(random.uniform(earliest, latest), 3) for _ in range(count)]
