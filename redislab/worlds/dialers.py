"""Whose a connection on this machine is, asked of the system, where its address does not tell.

Linux is asked over netlink (sock_diag, `linux/inet_diag.h`) for the one socket that is meant: the
table in /proc/net/tcp has every connection of the machine, and takes long to read when there are
many. Elsewhere the package psutil knows, if it is installed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from redislab.worlds.base import Address

Processes = Callable[[], Iterable[tuple[str, int]]]
Finder = Callable[[Address, Address], str | None]

_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_ALL_STATES = 0xFFFFFFFF
_ANY_COOKIE = 0xFFFFFFFF
# A header of 16 bytes; then of an `inet_diag_msg` the 68 that come before its inode.
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI")
_SOCKET_ID = struct.Struct("!HH4s12x4s12x")
_INTERFACE_AND_COOKIE = struct.Struct("=III")
_INODE = struct.Struct("=I")
_INODE_OFFSET = _HEADER.size + 68
_WAIT_SECONDS = 0.2


def finder(processes: Processes) -> Finder:
    """What tells whose the near end of a connection is, by its two addresses; None is nobody's.

    Args:
        processes: names and process ids of those that it may be, as they are when it is asked.
    """
    if hasattr(socket, "AF_NETLINK"):
        return lambda near, far: _of_linux(processes, near, far)
    try:
        import psutil
    except ImportError:
        return lambda _near, _far: None

    def find(near: Address, _far: Address) -> str | None:
        for name, pid in processes():
            with contextlib.suppress(psutil.Error):
                for connection in psutil.Process(pid).net_connections("tcp"):
                    if connection.laddr and connection.laddr.port == near[1]:
                        return name
        return None

    return find


def _of_linux(processes: Processes, near: Address, far: Address) -> str | None:
    inode = socket_inode(near, far)
    if inode is None:
        return None
    link = f"socket:[{inode}]"
    for name, pid in processes():
        # It may be ending this moment.
        with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if str(Path(entry).readlink()) == link:
                        return name
    return None


def socket_inode(near: Address, far: Address) -> int | None:
    """The number of the socket of a TCP connection over IPv4, from its near to its far address."""
    ends = _SOCKET_ID.pack(
        near[1], far[1], socket.inet_aton(near[0]), socket.inet_aton(far[0])
    ) + _INTERFACE_AND_COOKIE.pack(0, _ANY_COOKIE, _ANY_COOKIE)
    request = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + ends
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as netlink:
            netlink.settimeout(_WAIT_SECONDS)
            netlink.send(header + request)
            answer = netlink.recv(4096)
    except OSError:
        return None
    if len(answer) < _INODE_OFFSET + _INODE.size:
        return None
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    inode: int = _INODE.unpack_from(answer, _INODE_OFFSET)[0]
    return inode or None
