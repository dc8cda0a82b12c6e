"""Ports drawn for servers are nobody else's, neither another process's nor the kernel's."""

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from redislab.worlds import ports
from redislab.worlds.ports import BUS_PORT_OFFSET, LOCALHOST, Blocks, Walk

PROCESSES, DRAWS = 8, 250
DRAW = """
import sys
from redislab.worlds.ports import free_port, source_port
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[1])):
    print(source_port() if number % 5 == 0 else free_port(with_bus=number % 5 == 1))
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def make_walk():
    """Makes one over blocks within a block that nobody else has."""
    with ports.port_block() as block:
        made = []

        def make(size, count):
            made.append(Walk(Blocks(block[0], size, count), 1))
            return made[0], block[0]

        yield make
        made[0].forget()


def ports_of_connections():
    """The range from which the kernel takes the ports of outgoing connections."""
    setting = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if setting.exists():
        first, last = setting.read_text().split()
        return range(int(first), int(last) + 1)
    return range(32_768, 65_536)


def test_of_many_processes_that_draw_at_once_no_two_draw_the_same_port():
    started = [
        subprocess.Popen(
            [sys.executable, "-c", DRAW, str(DRAWS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    drawn = []
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        drawn += [int(line) for line in iter(process.stdout.readline, "done\n")]
    for process in started:
        process.communicate("end\n")
        assert process.returncode == 0
    buses = [port + BUS_PORT_OFFSET for port in drawn]
    assert len({*drawn, *buses}) == 2 * PROCESSES * DRAWS
    assert not {*drawn, *buses} & {*ports_of_connections()}


def draw_into(queue):
    queue.put([ports.free_port() for _ in range(150)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_does_not_draw_what_its_parent_draws():
    context = multiprocessing.get_context("fork")
    before, queue = ports.free_port(), context.Queue()
    child = context.Process(target=draw_into, args=(queue,))
    child.start()
    here = [before, *(ports.free_port() for _ in range(150))]
    there = queue.get(timeout=30)
    child.join()
    assert len({*here, *there}) == len(here) + len(there)


def listening(port):
    return socket.create_server((LOCALHOST, port))


def test_a_port_that_somebody_has_is_not_drawn(make_walk):
    walk, first = make_walk(5, 1)
    with listening(first + 2):
        assert [walk.draw() - first for _ in range(3)] == [1, 3, 4]
    assert [walk.draw() - first for _ in range(2)] == [1, 2]
    with listening(first + 3 + BUS_PORT_OFFSET):
        assert walk.draw(with_bus=True) - first == 4


def test_more_blocks_than_usual_are_claimed_only_if_all_ports_are_in_use(make_walk):
    walk, first = make_walk(3, 2)
    with contextlib.ExitStack() as stack:
        drawn = [walk.draw() for _ in range(4)]
        assert drawn[:2] == drawn[2:]
        for port in drawn[:2]:
            stack.enter_context(listening(port))
        more = [walk.draw() for _ in range(2)]
        assert {*drawn, *more} == {first + at for at in (1, 2, 4, 5)}
        stack.enter_context(listening(more[0]))
        with listening(more[1]), pytest.raises(OSError, match="in use"):
            walk.draw()
        assert walk.draw() == more[1]


def test_a_block_is_somebody_elses_once_it_was_given_back():
    with ports.port_block() as block:
        assert len(block) == 99
        with pytest.raises(OSError, match="in use"), socket.socket() as probe:
            probe.bind((LOCALHOST, block[0] - 1))
    with socket.socket() as probe:
        probe.bind((LOCALHOST, block[0] - 1))
