"""Whose a connection is, as the system tells."""

import contextlib
import os
import socket
import subprocess
import sys

import pytest

from redislab.worlds.dialers import finder, socket_inode

DIAL = (
    "import socket, sys\n"
    "dialed = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
    "sys.stdin.read()\n"
)


@pytest.fixture(params=["system", "psutil"])
def way(request, monkeypatch):
    """Linux's own way to tell, and that of the other systems."""
    if request.param == "psutil":
        pytest.importorskip("psutil")
        monkeypatch.delattr(socket, "AF_NETLINK", raising=False)


@contextlib.contextmanager
def dialed_by_another_process():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-c", DIAL, str(port)], stdin=subprocess.PIPE
        ) as process:
            taken, peer = server.accept()
            with taken:
                yield process.pid, peer, taken.getsockname()
                process.stdin.close()


@pytest.mark.usefixtures("way")
def test_a_connection_belongs_to_the_process_that_has_it_open():
    with dialed_by_another_process() as (pid, peer, here):
        find = finder(lambda: [("gone", 2**22 - 1), ("other", pid), ("me", os.getpid())])
        assert find(peer, here) == "other"


@pytest.mark.usefixtures("way")
def test_a_connection_of_nobody_known_is_nobodys():
    with dialed_by_another_process() as (_, peer, here):
        assert finder(lambda: [("me", os.getpid())])(peer, here) is None
        assert finder(list)(peer, here) is None
        assert finder(lambda: [("me", os.getpid())])(("127.0.0.1", 1), here) is None


@pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")
def test_linux_names_the_one_socket_that_is_meant():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as near, server.accept()[0] as far:
            ends = near.getsockname(), far.getsockname()
            assert socket_inode(*ends) == os.fstat(near.fileno()).st_ino
            assert socket_inode(*reversed(ends)) == os.fstat(far.fileno()).st_ino
        assert socket_inode(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
