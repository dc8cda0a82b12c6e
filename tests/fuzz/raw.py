"""Random bytes as a client might send them: requests, most of them damaged, cut into chunks.

The same seed gives the same bytes. The requests are such that both servers answer them alike
whenever they are asked.
"""

from __future__ import annotations

import contextlib
import re
import socket
from random import Random

from tests.servers import Address

TIMEOUT_S = 10.0
_CLIENT_ID = re.compile(rb"\$2\r\nid\r\n:\d+")


def request(*words: bytes) -> bytes:
    """A request in the form that clients use."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


REQUESTS = (
    request(b"PING"),
    request(b"ECHO", b"hi"),
    request(b"ECHO", b""),
    request(b"SET", b"k", b"v"),
    request(b"GET", b"k"),
    request(b"MGET", b"k", b"", b"k"),
    request(b"LPUSH", b"l", b"a\r\n$1"),
    request(b"LRANGE", b"l", b"0", b"1"),
    request(b"DEL", b"l", b"n"),
    request(b"MULTI"),
    request(b"EXEC"),
    request(b"DISCARD"),
    request(b"WATCH", b"k"),
    request(b"SUBSCRIBE", b"c"),
    request(b"HELLO", b"3"),
    request(b"RESET"),
    request(b"QUIT"),
    request(b"NOSUCH", b"a\r\nb"),
    b"PING\r\n",
    b"PING\n",
    b"ECHO hi\r\n",
    b"ECHO 'it\\'s' \r\n",
    b'ECHO "a\\x41\\n"\r\n',
    b"\r\n",
    b"*0\r\n",
    b"*-1\r\n",
)
PIECES = (
    *(
        b"*",
        b"$",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"'",
        b'"',
        b"-",
        b"+",
        b"0",
        b"1",
        b"=",
        b":",
    ),
    *(b"%1\r\n", b"~2\r\n", b">3\r\n", b"#t\r\n", b"_\r\n", b"(1\r\n", b"!3\r\nERR\r\n", b"|1\r\n"),
    *(
        b",1.5\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"$-1\r\n",
        b"*1\r\n",
        b"*3\r\n",
        b"$0\r\n\r\n",
        b"$?\r\n",
    ),
    *(b"99999999999", b"2147483648", b"-1", b"x" * 300, b"\xff", b"\x85", b"$1\r\nk\r\n"),
)


def damaged(random: Random) -> bytes:
    """Some requests in a row, with up to three mistakes."""
    data = b"".join(random.choice(REQUESTS) for _ in range(random.randint(1, 12)))
    for _ in range(random.choice([0, 0, 1, 1, 2, 3])):
        at = random.randrange(len(data) + 1)
        lost = random.choice([0, 0, 1, 1, 2, 4])
        piece = random.choice([b"", random.choice(PIECES), bytes([random.randrange(256)])])
        data = data[:at] + piece + data[at + lost :]
    return data


def chunks(random: Random, data: bytes) -> list[bytes]:
    """The same bytes whole, in pieces, or one by one."""
    size = random.choice([len(data) or 1, 1, 30])
    cut = []
    while data:
        length = random.randint(1, size) if size == 30 else size
        cut.append(data[:length])
        data = data[length:]
    return cut


def answer_to(address: Address, sent: list[bytes]) -> bytes:
    """Everything a server sends for some chunks, after which we send no more."""
    received = b""
    with socket.create_connection((address.host, address.port), TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):  # it may end the connection before we are done
            for chunk in sent:
                connection.sendall(chunk)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):  # closed with our bytes unread
            while chunk := connection.recv(65536):
                received += chunk
    return _CLIENT_ID.sub(b"$2\r\nid\r\n:0", received)
