"""The servers of a pool: how nutcracker.yml writes one, what is hashed of it, and their order.

What ketama hashes is a server's label: the name that the file gives it, else its host and port as
they stand there, without the port where that is memcached's 11211. Before servers get their
numbers they are sorted by label, shorter ones first; which number a server has depends on that and
not on its place in the file. Follows `conf_add_server` and `conf_validate_server` in
`src/nc_conf.c` of twemproxy 0.5.0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Left out of a label, so that ketama agrees with the clients of memcached, whose port this is.
UNSAID_PORT = 11211
PORT_MAX = 65535
WEIGHT_MAX = 2**31 - 1

_FORM = '"hostname:port:weight [name]"'
NOT_IN_FORM = f'has an invalid {_FORM}or "/path/unix_socket:weight [name]" format string'
BAD_WEIGHT = f"has an invalid weight in {_FORM} format string"
NO_WEIGHT = f"has a zero weight in {_FORM} format string"
BAD_PORT = f"has an invalid port in {_FORM} format string"


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a pool.

    Attributes:
        host: its host, or the path of its socket, which begins with a slash.
        port: its port; 0 for a path.
        weight: its share, as a whole number from 1 on.
        name: the name that the file gives it, empty for none.
    """

    host: str
    port: int
    weight: int = 1
    name: str = ""

    @property
    def label(self) -> bytes:
        """What is hashed of it: bytes, as they stand in the file."""
        if self.name:
            return self.name.encode(errors="surrogateescape")
        if self.port == UNSAID_PORT:
            return self.host.encode(errors="surrogateescape")
        # A path is followed by the colon, and by no port.
        return f"{self.host}:{self.port or ''}".encode(errors="surrogateescape")

    @property
    def address(self) -> str:
        """Where it listens: "host:port", or the path of its socket."""
        return f"{self.host}:{self.port}" if self.port else self.host

    def __str__(self) -> str:
        """As it is written in the file."""
        return f"{self.address}:{self.weight}" + (f" {self.name}" if self.name else "")

    @classmethod
    def parse(cls, text: str) -> Server:
        """Read "host:port:weight [name]" or "/path:weight [name]".

        It is taken apart from its end, as the original does, so that a host may have colons. A
        weight that does not fit an int is refused, where the original counts on with what is left.

        Raises:
            ValueError: it is none; the message is nutcracker's, without the directive before it.
        """
        address, _, name = text.rpartition(" ") if " " in text else (text, "", "")
        is_path = text.startswith("/")
        host, colon, weight_text = address.rpartition(":")
        port_text = ""
        if colon and not is_path:
            host, colon, port_text = host.rpartition(":")
        if not colon:
            raise ValueError(NOT_IN_FORM)
        weight = _number(weight_text)
        if weight is None or weight > WEIGHT_MAX:
            raise ValueError(BAD_WEIGHT)
        if weight == 0:
            raise ValueError(NO_WEIGHT)
        port = 0 if is_path else _number(port_text)
        if port is None or not (is_path or 0 < port <= PORT_MAX):
            raise ValueError(BAD_PORT)
        if not name and port_text != str(port) and not is_path and port != UNSAID_PORT:
            # 07601 is the port 7601, but it is hashed as it was written.
            name = f"{host}:{port_text}"
        return cls(host, port, weight, name)


def in_order(servers: Iterable[Server]) -> tuple[Server, ...]:
    """The servers as nutcracker numbers them: by length of the label, then by its bytes."""
    return tuple(sorted(servers, key=lambda server: (len(server.label), server.label)))


def _number(text: str) -> int | None:
    """A number of decimal digits and nothing else; None if it is none."""
    return int(text) if text.isascii() and text.isdigit() else None
