"""Cluster mode: which masters there are, and a hash tag for a slot of each.

Follows `fetchClusterConfiguration` in `src/redis-benchmark.c` of Redis 7.0: all keys that go to a
master carry one tag, that of its first slot.
"""

from __future__ import annotations

from binascii import crc_hqx
from functools import cache
from itertools import product

from redislab.benchmark.connection import ask
from redislab.benchmark.settings import BenchmarkError, Node, Settings

SLOTS = 16384
TAG_LENGTH = 3
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


def masters(settings: Settings, node: Node) -> tuple[Node, ...]:
    """The masters that have slots, as one node of the cluster tells them.

    Raises:
        ConnectError: the node was not reached.
        BenchmarkError: it is no cluster.
    """
    reply = ask(settings, node, [b"CLUSTER", b"NODES"])[0]
    text = (reply.text or b"").decode()
    if reply.is_error:
        raise BenchmarkError(
            f"Cluster node {node.host}:{node.port} replied with error:\n{text}\n"
            f"Failed to fetch cluster configuration from {node.host}:{node.port}"
        )
    found = []
    for line in text.splitlines():
        name, address, flags, _, _, _, _, _, *slots = line.split()
        owned = [slot for slot in slots if not slot.startswith("[")]
        if "master" not in flags.split(",") or not owned:
            continue
        host, _, port = address.split("@")[0].split(",")[0].rpartition(":")
        tag = slot_tag(int(owned[0].split("-")[0]))
        found.append(Node(host or node.host, int(port), name, tag))
    return tuple(found)


@cache
def slot_tag(slot: int) -> str:
    """A hash tag of five characters, braces included, that hashes to a slot."""
    for letters in product(_LETTERS, repeat=TAG_LENGTH):
        tag = "".join(letters)
        if crc_hqx(tag.encode(), 0) % SLOTS == slot:
            return "{" + tag + "}"
    for letters in product(_LETTERS + _LETTERS.upper(), repeat=TAG_LENGTH):
        tag = "".join(letters)
        if crc_hqx(tag.encode(), 0) % SLOTS == slot:
            return "{" + tag + "}"
    raise AssertionError(f"no tag of {TAG_LENGTH} letters for slot {slot}")
