"""Opening connections: TCP, Unix sockets, TLS, and what is said before the load begins.

A connection introduces itself with the commands that redis-benchmark sends ahead of its first
request, in the same order: AUTH, CLIENT TRACKING on, SELECT, HELLO 3. Errors carry the words of the
original, which are hiredis' words.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

from redislab.benchmark.replies import new_parser
from redislab.benchmark.settings import (
    ConnectError,
    Node,
    ReplyError,
    Settings,
    Tls,
    auth_words,
    prefix,
)
from redislab.benchmark.workload import encode
from redislab.wire.replies import Reply, ReplyParser

CONNECT_TIMEOUT_S = 10.0
RECEIVE_BYTES = 65536

# A socket that is not ready: plain, and under TLS.
NOT_READY = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def connect(settings: Settings, node: Node, timeout_s: float = CONNECT_TIMEOUT_S) -> socket.socket:
    """A connection that has introduced itself, in non-blocking mode.

    Raises:
        ConnectError: nothing listens there, or it hung up.
        ReplyError: the server did not accept the introduction.
    """
    sock = _open(settings, node, timeout_s)
    hello = prefix(settings)
    if hello.replies:
        parse, wanted = new_parser(), hello.replies
        sock.sendall(hello.data)
        while wanted:
            for error in parse(_receive(sock)):
                wanted -= 1
                if error is not None:
                    sock.close()
                    raise ReplyError(f"Error from server: {error}")
    sock.setblocking(False)
    return sock


def begin_connect(settings: Settings, node: Node) -> socket.socket:
    """A non-blocking socket that is connecting; with TLS one that has connected.

    Raises:
        ConnectError: it was refused at once.
    """
    if settings.tls is not None:
        sock = _open(settings, node)
        sock.setblocking(False)
        return sock
    try:
        if _is_local(settings):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            address: Any = settings.unix_socket
        else:
            found = socket.getaddrinfo(node.host, node.port, type=socket.SOCK_STREAM)[0]
            sock, address = socket.socket(found[0], socket.SOCK_STREAM), found[4]
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        code = sock.connect_ex(address)
    except OSError as error:
        raise ConnectError(refusal(settings, node, error)) from None
    if code not in {0, errno.EINPROGRESS, errno.EAGAIN}:
        sock.close()
        raise ConnectError(refusal(settings, node, OSError(code, os.strerror(code))))
    return sock


def ask(settings: Settings, node: Node, *commands: list[bytes]) -> list[Reply]:
    """Ask a server something before the run, on a connection of its own that logs in only.

    Raises:
        ConnectError: nothing listens there, or it hung up.
        ReplyError: AUTH failed, or the server wants one.
    """
    questions = list(commands)
    if settings.password is not None:
        questions.insert(0, auth_words(settings))
    parser = ReplyParser()
    replies: list[Reply] = []
    with _open(settings, node) as sock:
        sock.sendall(b"".join(map(encode, questions)))
        while len(replies) < len(questions):
            replies += parser.feed(_receive(sock))
    refused = [reply for reply in replies if reply.is_error and _is_auth_error(reply)]
    if refused or (settings.password is not None and replies[0].is_error):
        text = (refused or replies)[0].text or b""
        place = settings.unix_socket or f"{node.host}:{node.port}"
        raise ReplyError(f"Node {place} replied with error:\n{text.decode('utf-8', 'replace')}")
    return replies[len(questions) - len(commands) :]


def refusal(settings: Settings, node: Node, error: OSError) -> str:
    """The line that says which server was not reached, and why."""
    place = settings.unix_socket if _is_local(settings) else f"{node.host}:{node.port}"
    if isinstance(error, TimeoutError):
        reason = "Connection timed out"
    else:
        reason = error.strerror or str(error)
    return f"Could not connect to Redis at {place}: {reason}"


def receiver(sock: socket.socket) -> Callable[[int], bytes]:
    """The function that reads from a socket all that is there; under TLS, record after record."""
    if not isinstance(sock, ssl.SSLSocket):
        return sock.recv

    def receive(size: int) -> bytes:
        data = sock.recv(size)
        while data and sock.pending():
            data += sock.recv(size)
        return data

    return receive


def _is_local(settings: Settings) -> bool:
    return settings.unix_socket is not None and not settings.nodes


def _is_auth_error(reply: Reply) -> bool:
    return (reply.text or b"").startswith((b"NOAUTH", b"WRONGPASS"))


def _open(settings: Settings, node: Node, timeout_s: float = CONNECT_TIMEOUT_S) -> socket.socket:
    try:
        if _is_local(settings):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(timeout_s)
            sock.connect(settings.unix_socket or "")
        else:
            sock = socket.create_connection((node.host, node.port), timeout_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise ConnectError(refusal(settings, node, error)) from None
    return sock if settings.tls is None else _secure(sock, settings.tls)


def _secure(sock: socket.socket, tls: Tls) -> socket.socket:
    try:
        return tls_context(tls).wrap_socket(
            sock, server_hostname=tls.sni, suppress_ragged_eofs=True
        )
    except OSError as error:
        sock.close()
        raise ConnectError(f"Could not negotiate a TLS connection: {error}") from None


def tls_context(tls: Tls) -> ssl.SSLContext:
    """What the TLS options ask for. As in Redis, host names are not checked, certificates are.

    Raises:
        OSError: a file cannot be read, or a cipher is unknown.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if tls.insecure:
        context.verify_mode = ssl.CERT_NONE
    elif tls.cacert or tls.cacertdir:
        context.load_verify_locations(tls.cacert, tls.cacertdir)
    else:
        context.load_default_certs()
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    if tls.ciphers:
        context.set_ciphers(tls.ciphers)
    return context


def _receive(sock: socket.socket) -> bytes:
    try:
        data = sock.recv(RECEIVE_BYTES)
    except OSError as error:
        raise ConnectError(f"Error: {error.strerror or error}") from None
    if not data:
        raise ConnectError("Error: Server closed the connection")
    return data
