"""Configuration files that are refused, one for each way of being wrong, by a name."""

from __future__ import annotations

GOOD = """\
alpha:
  listen: 127.0.0.1:22121
  hash: fnv1a_64
  distribution: ketama
  auto_eject_hosts: true
  redis: true
  server_retry_timeout: 2000
  server_failure_limit: 1
  servers:
   - 127.0.0.1:7601:1
   - 127.0.0.1:7602:1
   - 127.0.0.1:7603:1
"""


def _with(directive: str) -> str:
    """The good file with one line more."""
    return GOOD.replace("  servers:", f"  {directive}\n  servers:")


def _listen(where: str) -> str:
    return GOOD.replace("127.0.0.1:22121", where)


def _server(text: str) -> str:
    return f"{GOOD}   - {text}\n"


BAD = {
    # YAML that is none.
    "a tab": "alpha:\n\tlisten: 127.0.0.1:22121\n",
    "a quote that stays open": 'alpha:\n  hash_tag: "{}\n',
    "a mapping that ends too early": "alpha:\n  listen: a\n beta: c\n",
    "not UTF-8": "alpha:\n  listen: \udcff\n",
    "a control character": "alpha:\n  listen: \x01\n",
    "an alias of nothing": "alpha:\n  listen: *x\n",
    "a bracket": "alpha: ]\n",
    # Documents.
    "nothing": "",
    "a comment": "# nothing\n",
    "two documents": f"{GOOD}---\n{GOOD}",
    # Tokens.
    "a version": f"%YAML 1.1\n---\n{GOOD}",
    "a tag directive": f"%TAG ! tag:x:\n---\n{GOOD}",
    "a document start": f"---\n{GOOD}",
    "a document end": f"{GOOD}...\n",
    "a flow list": _with("hash: [a]"),
    "a flow mapping": _with("hash: {a: b}"),
    "an anchor": _with("hash_tag: &a '{}'"),
    "a tag": _with("timeout: !!int 400"),
    # Structure.
    "a scalar": "alpha\n",
    "a list": "- alpha\n",
    "a pool that is a scalar": "alpha: beta\n",
    "a pool that is a list": "alpha:\n  - beta\n",
    "a pool of nothing": "alpha:\n",
    "a mapping too deep": "alpha:\n  listen:\n    a: b\n",
    "no list of servers": "alpha:\n  listen: 127.0.0.1:22121\n",
    "two lists": f"{GOOD}  servers:\n   - 127.0.0.1:7604:1\n",
    "a list in a list": "alpha:\n  servers:\n   - - a\n",
    "a list for a key": "alpha:\n  ? - a\n  : b\n",
    # Directives.
    "an unknown one": _with("hsh: md5"),
    "one in capitals": _with("Timeout: 4"),
    "listen twice": _with("listen: 127.0.0.1:22122"),
    "hash twice": _with("hash: md5"),
    "distribution twice": _with("distribution: ketama"),
    "redis twice": _with("redis: true"),
    "a number twice": _with("server_failure_limit: 3"),
    "hash_tag twice": _with('hash_tag: "{}"\n  hash_tag: "{}"'),
    "redis_auth twice": _with("redis_auth: a\n  redis_auth: b"),
    "an unknown hash": GOOD.replace("fnv1a_64", "sha1"),
    "an unknown distribution": GOOD.replace("ketama", "rendezvous"),
    "a timeout in words": _with("timeout: soon"),
    "a negative number": _with("timeout: -1"),
    "a number with a point": _with("timeout: 1.5"),
    "a switch in words": _with("preconnect: yes"),
    "a switch in capitals": _with("preconnect: True"),
    "a hash tag of one": _with('hash_tag: "{"'),
    "a hash tag of three": _with('hash_tag: "{}{"'),
    "listen without a port": _listen("127.0.0.1"),
    "listen on port 0": _listen("127.0.0.1:0"),
    "listen on port 65536": _listen("127.0.0.1:65536"),
    "listen on a word": _listen("127.0.0.1:redis"),
    "listen on a host that is none": _listen("no such host:22121"),
    "a socket's permissions": _listen("/tmp/nutcracker.sock 1777"),
    "a server without weight": _server("127.0.0.1:7604"),
    "a server that is a word": _server("redis"),
    "a server of weight 0": _server("127.0.0.1:7604:0"),
    "a server with a weight in words": _server("127.0.0.1:7604:one"),
    "a server on port 0": _server("127.0.0.1:0:1"),
    "a server on port 65536": _server("127.0.0.1:65536:1"),
    "a server on a word": _server("127.0.0.1:redis:1"),
    "a path without weight": _server("/tmp/redis.sock"),
    # What does not fit together.
    "no listen": "alpha:\n  redis: true\n  servers:\n   - 127.0.0.1:7601:1\n",
    "no server_connections": _with("server_connections: 0"),
    "a password for memcached": GOOD.replace("redis: true", "redis_auth: a"),
    "a server twice": _server("127.0.0.1:7601:2"),
    "a name twice": _server("127.0.0.1:7604:1 a\n   - 127.0.0.1:7605:1 a"),
    "an address twice": GOOD + GOOD.replace("alpha", "beta"),
    "a pool twice": GOOD + GOOD.replace("22121", "22122"),
}
