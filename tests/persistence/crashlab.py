"""A lab of one simulated node whose disk is made to fail, and what is promised then.

Every write appends to one list, so what survives a crash is a prefix of what was done exactly if
the list is a prefix of what its clients were told.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from redislab import SingleLab
from redislab.worlds.base import WorldError

LOG = "log"


class CrashLab:
    """A node, a client, and the items of the list whose writing was acknowledged, with the times.

    Attributes:
        acked: items by their place in the list, and when they were acknowledged.
        asked: items that were sent, acknowledged or not.
        numbers: to name items with.
    """

    def __init__(self, config: Mapping[str, str], seed: int = 0) -> None:
        self.lab = SingleLab("sim", seed=seed, config={"save": ""} | dict(config))
        self.acked: dict[int, tuple[str, float]] = {}
        self.asked: dict[str, None] = {}
        self.numbers = itertools.count()
        self.client = self._client()

    def _client(self) -> redis.Redis:
        retry = Retry(NoBackoff(), 0)  # what was sent twice would be done twice
        return self.lab.client(socket_timeout=5, decode_responses=True, retry=retry)

    def push(self, *items: str) -> bool:
        """Append items, one command each, in one transaction if they are several; whether it went.

        A node that refuses, or dies of it, is no error here.
        """
        self.asked |= dict.fromkeys(items)
        try:
            if len(items) == 1:
                lengths = [self.client.rpush(LOG, items[0])]
            else:
                pipe = self.client.pipeline(transaction=True)
                for item in items:
                    pipe.rpush(LOG, item)
                lengths = pipe.execute()
        except redis.RedisError:
            return False
        for length, item in zip(lengths, items, strict=True):
            self.acked[length - 1] = item, self.lab.now
        return True

    def restart(self) -> list[str] | None:
        """Start the node on its disk; the list as it is now, None if it refuses to start."""
        self.lab.disk().faults.clear()
        self.lab.disk().capacity_bytes = None
        try:
            self.lab.restart()
        except WorldError:
            return None
        self.client = self._client()
        items: list[str] = self.client.lrange(LOG, 0, -1)
        return items

    def start_on(self, files: Mapping[str, bytes]) -> list[str] | None:
        """Start the node on these files and no others; see `restart`."""
        self.lab.kill()
        disk = self.lab.disk()
        settings = {path: data for path, data in disk.files().items() if path.endswith(".conf")}
        disk.wipe()
        disk.put(settings)
        self.lab.put_files(files)
        return self.restart()

    def check(self, found: list[str], promised: int) -> None:
        """That a list is a prefix of what was done, and has at least what was promised.

        Args:
            found: the list.
            promised: how many of its items must be there.
        """
        for place, item in enumerate(found):
            told = self.acked.get(place)
            assert told is None or told[0] == item, (place, item, told)
            assert item in self.asked, f"nobody wrote {item}"
        assert len(set(found)) == len(found), "something was done twice"
        assert len(found) >= promised, f"{promised} were promised, {len(found)} are there"
        # Of a transaction there is all or nothing: its items are called 7.0, 7.1, 7.2.
        parts: dict[str, list[str]] = {}
        for item in self.asked:
            if "." in item:
                parts.setdefault(item.partition(".")[0], []).append(item)
        there = set(found)
        for whole in parts.values():
            assert len(there.intersection(whole)) in {0, len(whole)}, whole

    def forget_what_is_lost(self, found: list[str]) -> None:
        """From now on these items are what was done."""
        self.acked = {place: (item, self.lab.now) for place, item in enumerate(found)}
        self.asked = dict.fromkeys(found)

    def acked_before(self, time: float) -> int:
        """How many items of the list were acknowledged by then, those before them counted too."""
        return max((place + 1 for place, (_, at) in self.acked.items() if at <= time), default=0)

    def close(self) -> None:
        self.lab.close()


@contextlib.contextmanager
def crash_lab(config: Mapping[str, str], seed: int = 0) -> Iterator[CrashLab]:
    made = CrashLab(config, seed)
    try:
        yield made
    finally:
        made.close()
