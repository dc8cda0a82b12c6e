"""Sentinels as programs of their own, the real one and ours, and the servers they watch."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import Address, free_port, started

OUR_SENTINEL = (sys.executable, "-m", "redislab", "sentinel")
OUR_SERVER = (sys.executable, "-m", "redislab", "server")


def real_sentinel() -> tuple[str, ...]:
    """The words that start the real redis-sentinel."""
    program = shutil.which("redis-sentinel")
    if program is None:
        pytest.skip("redis-sentinel is not installed (Debian package redis-sentinel)")
    return (program,)


def real_program() -> tuple[str, ...]:
    """The words that start the real redis-server."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian package redis-server)")
    return (program,)


@dataclass(frozen=True)
class Sentinel(Address):
    """A Sentinel that runs, and its configuration file."""

    file: Path = Path()


@contextlib.contextmanager
def sentinel(
    program: tuple[str, ...], text: str = "", *, file: Path | None = None
) -> Iterator[Sentinel]:
    """Run a Sentinel with a configuration until the block ends.

    Args:
        program: the words that start it, before the name of the file.
        text: of the file, but for its port, which is put in front.
        file: where the file is to be; one that is there is taken as it is, and has to name a port.
    """
    with tempfile.TemporaryDirectory(prefix="redislab-sentinel-") as folder:
        path = file or Path(folder) / "sentinel.conf"
        if not path.exists():
            path.write_text(f"port {free_port()}\n{text}")
        port = next(
            int(line.split()[1])
            for line in path.read_text().splitlines()
            if line.startswith("port ")
        )
        with started([*program, str(path)], port) as address:
            yield Sentinel(address.port, address.process, file=path)


@contextlib.contextmanager
def server(program: tuple[str, ...], *options: str, port: int = 0) -> Iterator[Address]:
    """Run a server until the block ends; it saves nothing."""
    port = port or free_port()
    with started([*program, "--port", str(port), "--save", "", *options], port) as address:
        yield address
