"""nutcracker.yml: read, and refused with nutcracker's messages.

The original goes over a file four times, and so does this: its documents, its tokens (no flow
style, anchors, tags), its structure (pools, directives, one list of servers), and then what it
says. The first thing that is wrong is told. nutcracker does not say where it is; here the line and
column are added where YAML has them. Follows `src/nc_conf.c` of twemproxy 0.5.0.

Three things differ. `explain_refusals` is a directive of our own. A pool without `redis: true` is
one of memcached to the original, and is refused here. `client_connections` is read by the original
and then ignored; here it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import yaml

from redislab.ring.distributions import DISTRIBUTIONS
from redislab.ring.hashes import HASHES
from redislab.ring.proxy.settings import Listen, PoolConfig, ProxyConfig
from redislab.ring.servers import PORT_MAX, Server, in_order

_NUMBER_MAX: Final = 2**31 - 1
_DEPTH_MAX: Final = 2
_PERMISSIONS_MAX: Final = 0o777
_INVALID: Final = "has an invalid value"
# Libyaml's own reader where PyYAML was built with it, as nutcracker is.
_LOADER: Final[Any] = getattr(yaml, "CLoader", yaml.Loader)
# The kinds of failure of YAML, by the numbers that libyaml and so nutcracker's messages give them.
_FAILURES: Final = (
    (yaml.reader.ReaderError, 2),
    (yaml.scanner.ScannerError, 3),
    (yaml.parser.ParserError, 4),
    (yaml.composer.ComposerError, 5),
)
# What a file may not have, with libyaml's numbers.
_TOKENS: Final = {
    yaml.DirectiveToken: ("directive", 4),
    yaml.DocumentStartToken: ("document start", 5),
    yaml.DocumentEndToken: ("document end", 6),
    yaml.FlowSequenceStartToken: ("flow sequence start", 10),
    yaml.FlowSequenceEndToken: ("flow sequence end", 11),
    yaml.FlowMappingStartToken: ("flow mapping start", 12),
    yaml.FlowMappingEndToken: ("flow mapping end", 13),
    yaml.FlowEntryToken: ("flow entry", 15),
    yaml.AliasToken: ("alias", 18),
    yaml.AnchorToken: ("anchor", 19),
    yaml.TagToken: ("tag", 20),
}


class ConfError(Exception):
    """A file is refused: the message is nutcracker's line of the log, and where it went wrong.

    Attributes:
        line, column: from 1 on; 0 where the whole file is at fault.
    """

    def __init__(self, message: str, mark: yaml.Mark | None = None) -> None:
        self.line = mark.line + 1 if mark is not None else 0
        self.column = mark.column + 1 if mark is not None else 0
        where = f" (line {self.line}, column {self.column})" if mark is not None else ""
        super().__init__(f"conf: {message}{where}")


@dataclass(frozen=True, slots=True)
class _Word:
    """A scalar and where it stands."""

    text: str
    mark: yaml.Mark


@dataclass
class _Pool:
    """A pool as it stands in the file: each directive's value, and its servers."""

    name: _Word
    values: dict[str, Any]
    servers: list[Server]


def read_conf(
    text: bytes, file: str, *, resolves: Callable[[str, int], bool] = lambda _host, _port: True
) -> ProxyConfig:
    """Read a configuration.

    Args:
        text: of the file.
        file: its name, for messages.
        resolves: whether there is an address to listen on by this host (or path, with port 0).

    Raises:
        ConfError: nutcracker would not take it, or we do not speak its protocol.
    """
    try:
        _check_documents(text, file)
        _check_tokens(text)
        _check_structure(text, file)
        pools = _read_pools(text, resolves)
    except yaml.YAMLError as failure:
        # Every pass has seen all of the file, so this is the first; nutcracker names the failure
        # by its number only.
        raise _failure(failure, "to get next event") from None
    if not pools:
        raise ConfError(f"'{file}' has no pools")
    configs = [_checked(pool) for pool in pools]
    _check_twins(configs, file)
    return ProxyConfig(file, tuple(sorted(configs, key=lambda pool: _order(pool.name))))


def _failure(failure: yaml.YAMLError, what: str) -> ConfError:
    number = next((number for kind, number in _FAILURES if isinstance(failure, kind)), 1)
    mark = getattr(failure, "problem_mark", None) or getattr(failure, "context_mark", None)
    return ConfError(f"failed (err {number}) {what}{_problem(failure)}", mark)


def _problem(failure: yaml.YAMLError) -> str:
    """What YAML itself says, which nutcracker keeps to itself."""
    problem = getattr(failure, "problem", None) or getattr(failure, "reason", None)
    return f": {problem}" if problem else ""


# -- the four passes -------------------------------------------------------------------------------


def _check_documents(text: bytes, file: str) -> None:
    """There has to be one document."""
    try:
        count = sum(1 for node in yaml.compose_all(text, _LOADER) if node is not None)
    except yaml.YAMLError as failure:
        raise _failure(failure, "to get the next yaml document") from None
    if count != 1:
        raise ConfError(f"'{file}' must contain only 1 document; found {count} documents")


def _check_tokens(text: bytes) -> None:
    """Only mappings, lists and scalars in block style are allowed."""
    for token in yaml.scan(text, _LOADER):
        if type(token) in _TOKENS:
            name, number = _TOKENS[type(token)]
            if isinstance(token, yaml.DirectiveToken) and token.name == "YAML":
                name, number = "version directive", 3
            elif isinstance(token, yaml.DirectiveToken):
                name = "tag directive"
            raise ConfError(f"{name} token ({number}) is disallowed", token.start_mark)


def _check_structure(text: bytes, file: str) -> None:
    """Pools, in each directives with values, and one list of servers in each."""
    depth = 0
    counts = [0] * (_DEPTH_MAX + 1)
    has_list = False
    for event in yaml.parse(text, _LOADER):
        problem = ""
        if isinstance(event, yaml.MappingStartEvent):
            if depth == 1 and counts[depth] != 1:
                problem = f'has more than one "key:value" at depth {depth}'
            elif depth >= _DEPTH_MAX:
                problem = f"has a depth greater than {_DEPTH_MAX}"
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent):
            if depth == _DEPTH_MAX:
                if not has_list:
                    problem = f"missing sequence directive at depth {depth}"
                has_list = False
            depth -= 1
            counts[depth] = 0
        elif isinstance(event, yaml.SequenceStartEvent):
            if has_list:
                problem = "has more than one sequence directive"
            elif depth != _DEPTH_MAX:
                problem = f"has sequence at depth {depth} instead of {_DEPTH_MAX}"
            elif counts[depth] != 1:
                problem = f'has invalid "key:value" at depth {depth}'
            has_list = True
        elif isinstance(event, yaml.SequenceEndEvent):
            counts[depth] = 0
        elif isinstance(event, yaml.ScalarEvent):
            if depth == 0:
                problem = f'has invalid empty "key:" at depth {depth}'
            elif depth == 1 and counts[depth] != 0:
                problem = f'has invalid mapping "key:" at depth {depth}'
            elif depth == _DEPTH_MAX and counts[depth] == 2:
                counts[depth] = 0  # a directive and its value are over
            counts[depth] += 1
        if problem:
            raise ConfError(f"'{file}' {problem}", event.start_mark)


def _read_pools(text: bytes, resolves: Callable[[str, int], bool]) -> list[_Pool]:
    """What the file says, with its first mistake told."""
    pools: list[_Pool] = []
    for name, directives in _trees(yaml.parse(text, _LOADER)):
        if not name.text:
            raise ConfError("a pool has no name", name.mark)
        pool = _Pool(name, {}, [])
        pools.append(pool)
        for key, value in directives:
            for word in (key, value):
                if not word.text:
                    raise ConfError("a directive or its value is empty", word.mark)
            setter = _DIRECTIVES.get(key.text)
            if setter is None:
                raise ConfError(f'directive "{key.text}" is unknown', key.mark)
            try:
                setter(pool, key.text, value.text)
            except ValueError as wrong:
                raise ConfError(f'directive "{key.text}" {wrong}', value.mark) from None
            if key.text == "listen" and not _resolves(pool.values["listen"], resolves):
                raise ConfError(f'directive "{key.text}" {_INVALID}', value.mark)
    return pools


def _trees(events: Iterable[yaml.Event]) -> Iterator[tuple[_Word, Iterator[tuple[_Word, _Word]]]]:
    """The pools of a file of the right structure: a name, and pairs of directive and value.

    A list of servers is as many pairs. The pairs of a pool have to be used up before the next.
    """
    rest = iter(events)
    for event in rest:
        if isinstance(event, yaml.ScalarEvent):
            next(rest)  # the pool's mapping begins
            yield _Word(event.value, event.start_mark), _pairs(rest)


def _pairs(rest: Iterator[yaml.Event]) -> Iterator[tuple[_Word, _Word]]:
    key: _Word | None = None
    is_list = False
    for event in rest:
        if isinstance(event, yaml.MappingEndEvent):
            return
        if isinstance(event, yaml.SequenceStartEvent):
            is_list = True
        elif isinstance(event, yaml.SequenceEndEvent):
            key, is_list = None, False
        elif isinstance(event, yaml.ScalarEvent):
            word = _Word(event.value, event.start_mark)
            if key is None:
                key = word
                continue
            yield key, word
            if not is_list:
                key = None


# -- directives ------------------------------------------------------------------------------------


def _once(pool: _Pool, key: str) -> None:
    if key in pool.values:
        raise ValueError("is a duplicate")


def _set_number(pool: _Pool, key: str, text: str) -> None:
    _once(pool, key)
    pool.values[key] = number = _number(text)
    if number is None:
        raise ValueError("is not a number")


def _set_bool(pool: _Pool, key: str, text: str) -> None:
    _once(pool, key)
    if text not in {"true", "false"}:
        raise ValueError('is not "true" or "false"')
    pool.values[key] = text == "true"


def _set_password(pool: _Pool, key: str, text: str) -> None:
    _once(pool, key)
    pool.values[key] = text.encode()


def _set_hash(pool: _Pool, key: str, text: str) -> None:
    _once(pool, key)
    if text not in HASHES:
        raise ValueError("is not a valid hash")
    pool.values[key] = text


def _set_distribution(pool: _Pool, key: str, text: str) -> None:
    _once(pool, key)
    if text not in DISTRIBUTIONS:
        raise ValueError("is not a valid distribution")
    pool.values[key] = text


def _set_hash_tag(pool: _Pool, key: str, text: str) -> None:
    _once(pool, key)
    if len(text.encode()) != 2:
        raise ValueError("is not a valid hash tag string with two characters")
    pool.values[key] = text


def _set_listen(pool: _Pool, key: str, text: str) -> None:
    _once(pool, key)
    pool.values[key] = _listen(text)


def _listen(text: str) -> Listen:
    if text.startswith("/"):
        path, space, digits = text.rpartition(" ")
        if not space:
            return Listen(text, text, 0)
        permissions = int(digits, 8) if digits and set(digits) <= set("01234567") else 0
        if permissions > _PERMISSIONS_MAX:
            raise ValueError(
                'has an invalid file permission in "socket_path permission" format string'
            )
        return Listen(text, path, 0, permissions)
    host, colon, digits = text.rpartition(":")
    if not colon:
        raise ValueError('has an invalid "hostname:port" format string')
    port = _number(digits)
    if port is None or not 0 < port <= PORT_MAX:
        raise ValueError('has an invalid port in "hostname:port" format string')
    return Listen(text, host, port)


def _resolves(listen: Listen, resolves: Callable[[str, int], bool]) -> bool:
    return resolves(listen.host, listen.port)


def _add_server(pool: _Pool, key: str, text: str) -> None:
    pool.servers.append(Server.parse(text))


def _number(text: str) -> int | None:
    """A number of decimal digits that an int of C holds; None if it is none."""
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text[:20])
    return number if number <= _NUMBER_MAX else None


_DIRECTIVES: Final[dict[str, Callable[[_Pool, str, str], None]]] = {
    "listen": _set_listen,
    "hash": _set_hash,
    "hash_tag": _set_hash_tag,
    "distribution": _set_distribution,
    "timeout": _set_number,
    "backlog": _set_number,
    "client_connections": _set_number,
    "redis": _set_bool,
    "tcpkeepalive": _set_bool,
    "redis_auth": _set_password,
    "redis_db": _set_number,
    "preconnect": _set_bool,
    "auto_eject_hosts": _set_bool,
    "server_connections": _set_number,
    "server_retry_timeout": _set_number,
    "server_failure_limit": _set_number,
    "servers": _add_server,
    "explain_refusals": _set_bool,
}


# -- what has to fit together ----------------------------------------------------------------------


def _checked(pool: _Pool) -> PoolConfig:
    """A pool with its defaults; raises ConfError for what is missing or does not fit."""
    name, values, mark = pool.name.text, pool.values, pool.name.mark
    if "listen" not in values:
        raise ConfError('directive "listen:" is missing', mark)
    if values.get("server_connections") == 0:
        raise ConfError('directive "server_connections:" cannot be 0', mark)
    if "redis_auth" in values and not values.get("redis"):
        raise ConfError('directive "redis_auth:" is only valid for a redis pool', mark)
    if not pool.servers:
        raise ConfError(f"pool '{name}' has no servers", mark)
    servers = in_order(pool.servers)
    for one, other in pairwise(servers):
        if one.label == other.label:
            label = one.label.decode("utf-8", "surrogateescape")
            raise ConfError(f"pool '{name}' has servers with same name '{label}'", mark)
    config = PoolConfig(name, values.pop("listen"), servers)
    config = replace(config, **values)
    if not config.redis:
        raise ConfError(
            f"pool '{name}' is one of memcached, which this proxy does not speak; "
            'say "redis: true"',
            mark,
        )
    return config


def _check_twins(configs: list[PoolConfig], file: str) -> None:
    """No two pools listen on one address or have one name."""
    by_address = sorted(configs, key=lambda pool: _order(pool.listen.text))
    for one, other in pairwise(by_address):
        if one.listen.text == other.listen.text:
            raise ConfError(
                f"pools '{one.name}' and '{other.name}' have the same listen address "
                f"'{one.listen.text}'"
            )
    by_name = sorted(configs, key=lambda pool: _order(pool.name))
    for one, other in pairwise(by_name):
        if one.name == other.name:
            raise ConfError(f"'{file}' has pools with same name {one.name}'")


def _order(text: str) -> tuple[int, bytes]:
    """How nutcracker compares: the shorter first, then by bytes."""
    data = text.encode()
    return len(data), data
