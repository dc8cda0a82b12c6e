"""The view of proxies and their shards: what goes where, who is ejected, what the clients see.

`ProxyWatch` is the logic: it takes snapshots of a `RingLab`, turns them into frames of a recording,
and does what the buttons do, all through the lab; so it works wherever the lab does and on real
programs. Above are clients, proxies and shards, with the requests a second that the proxies'
statistics tell; below, on one time axis, the faults, each shard's requests with the times in which
it was ejected, and what the clients saw. `ProxyView` puts it into a notebook, with buttons.
"""

from __future__ import annotations

import html
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redislab.labs.load import Load, Request
from redislab.labs.ring import RingLab
from redislab.labs.ringstate import RingSnapshot
from redislab.views.fallback import cell_text, fallback_for, table_html
from redislab.views.labview import LabView, LabWatch
from redislab.views.recording import TIME_DIGITS, Frame, Json, Recorder, Recording

FRAMES_MAX = 240  # a frame of one proxy and three shards is about 900 bytes of JSON
RATE_SECONDS = 1.0  # over which requests a second are counted: statistics come in steps
BUCKET_SECONDS = 0.25  # what a client saw is counted by
LOAD_RATE = 50.0  # requests a second, of the client that the button starts
LOAD_KEYS = 1000


@dataclass(slots=True)
class Tally:
    """What a client has seen so far, counted.

    Attributes:
        load: the client.
        taken: how many of its requests were looked at.
        waiting: those of them that had not ended.
        buckets: by number of the bucket, how often which end was seen; "" is an answer.
    """

    load: Load
    taken: int = 0
    waiting: list[Request] = field(default_factory=list)
    buckets: dict[int, Counter[str]] = field(default_factory=dict)

    def count(self) -> None:
        """Take in what has ended since the last time."""
        fresh = [*self.waiting, *self.load.requests[self.taken :]]
        self.taken = len(self.load.requests)
        self.waiting = [each for each in fresh if each.ended is None]
        for each in fresh:
            if each.ended is not None:
                bucket = self.buckets.setdefault(int(each.ended // BUCKET_SECONDS), Counter())
                bucket[each.error] += 1

    def total(self) -> Counter[str]:
        """How often which end was seen in all."""
        return sum(self.buckets.values(), Counter())


class ProxyWatch(LabWatch):
    """Watches proxies and shards.

    Args:
        lab: which.

    Attributes:
        recorder: of what is seen.
    """

    lab: RingLab

    def __init__(self, lab: RingLab) -> None:
        super().__init__(lab)
        self._tallies: dict[str, Tally] = {}
        self._before: deque[tuple[float, dict[tuple[str, str], int]]] = deque()
        proxies, shards = len(lab.proxies), len(lab.shards)
        self.recorder = Recorder(
            "proxy",
            f"{proxies} {'proxy' if proxies == 1 else 'proxies'}, {shards} shards",
            now=lambda: self.lab.now,
            sample=dict,
            meta={"world": lab.world, "bucket": BUCKET_SECONDS, "loads": [], "errors": []},
            frames_max=FRAMES_MAX,
        )

    def sample(self) -> None:
        """Record a frame now."""
        with self._lock:
            snapshot = self.lab.snapshot()
            self._count()
            state = self._state(snapshot, self._rates(snapshot))
            self.add(self.recorder, Frame(round(snapshot.time, TIME_DIGITS), state))

    def run_for(self, seconds: float) -> None:
        """Let time pass, recording as it does."""
        self.let_pass(seconds)

    def start_load(self, rate: float = LOAD_RATE) -> Load:
        """Start a client that writes, `rate` times a second."""
        self.sample()
        load = self.lab.load("set", rate=rate, keys=LOAD_KEYS)
        self.sample()
        return load

    # -- inside ----------------------------------------------------------------------------------

    def _count(self) -> None:
        """Bring what the clients saw up to date."""
        for load in self.lab.loads:
            self._tallies.setdefault(load.name, Tally(load)).count()
        totals = [tally.total() for tally in self._tallies.values()]
        errors = list(dict.fromkeys(text for total in totals for text in total if text))
        loads: list[Json] = [
            {"name": name, "kind": tally.load.kind, "buckets": _buckets(tally, errors)}
            for name, tally in self._tallies.items()
        ]
        known = self.recorder.meta
        if loads != known["loads"]:
            self.recorder.set_meta(loads=loads, errors=list(errors))

    def _rates(self, snapshot: RingSnapshot) -> dict[tuple[str, str], float]:
        """Requests a second from each proxy to each shard, over the last second."""
        counts = {
            (proxy.name, server.name): server.requests
            for proxy in snapshot.proxies
            for server in proxy.servers
        }
        while len(self._before) > 1 and self._before[1][0] <= snapshot.time - RATE_SECONDS:
            self._before.popleft()
        since, before = self._before[0] if self._before else (snapshot.time, {})
        self._before.append((snapshot.time, counts))
        span = snapshot.time - since
        if span <= 0:
            return dict.fromkeys(counts, 0.0)
        # One that was started again counts from zero.
        return {
            pair: max(0, count - before.get(pair, count)) / span for pair, count in counts.items()
        }

    def _state(
        self, snapshot: RingSnapshot, rates: Mapping[tuple[str, str], float]
    ) -> dict[str, Json]:
        proxies: list[Json] = [
            {
                "name": proxy.name,
                "state": _state_of(proxy),
                "clients": proxy.clients,
                "ejections": proxy.ejections,
                "rate": _sum(rates, 0, proxy.name),
            }
            for proxy in snapshot.proxies
        ]
        shards: list[Json] = [
            {
                "name": shard.name,
                "state": _state_of(shard),
                "keys": shard.keys,
                "weight": shard.weight,
                "ejected": list(shard.ejected),
                "rate": _sum(rates, 1, shard.name),
                "failures": shard.failures,
            }
            for shard in snapshot.shards
        ]
        total = sum((tally.total() for tally in self._tallies.values()), Counter[str]())
        answered = total.pop("", 0)
        return {
            "proxies": proxies,
            "shards": shards,
            "links": [[*pair, round(rate, 1)] for pair, rate in rates.items()],
            "answered": answered,
            "failed": sum(total.values()),
            "cuts": [list(pair) for pair in snapshot.cuts],
            "delays": [list(delay) for delay in snapshot.delays],
        }


def _state_of(node: Any) -> str:
    """How a node is; "silent" if it runs and does not answer."""
    return "silent" if node.state == "running" and not node.up else str(node.state)


def _sum(rates: Mapping[tuple[str, str], float], side: int, name: str) -> float:
    return round(sum(rate for pair, rate in rates.items() if pair[side] == name), 1)


def _buckets(tally: Tally, errors: Sequence[str]) -> list[Json]:
    """[number of the bucket, answers, [[number of the error, how often]]], in order."""
    return [
        [at, bucket[""], [[errors.index(text), n] for text, n in bucket.items() if text]]
        for at, bucket in sorted(tally.buckets.items())
    ]


class ProxyView(LabView):
    """Clients, proxies and shards, and what happened on one time axis."""

    watch: ProxyWatch

    def __init__(self, watch: ProxyWatch) -> None:
        super().__init__(watch, watch.recorder)

    def rows(self) -> list[list[Any]]:
        """Buttons for a node, for a link, for time, for clients."""
        return [
            self.node_row(),
            self.link_row(),
            [
                *self.time_controls(),
                self.button("run 1 s", lambda: self.watch.run_for(1.0), "let a second pass"),
                self.button("run 10 s", lambda: self.watch.run_for(10.0), "let ten seconds pass"),
                self.button("start a client", self._start_load, "one that writes"),
            ],
        ]

    def _start_load(self) -> None:
        self.watch.start_load()


@fallback_for("proxy")
def _proxy_fallback(recording: Recording) -> str:
    if not recording.frames:
        return "<p>Nothing was recorded.</p>"
    state = recording.frames[-1].state
    said = (
        f"<p>The clients saw {cell_text(state['answered'])} answers and"
        f" {cell_text(state['failed'])} errors.</p>"
    )
    texts = recording.meta.get("errors")
    if isinstance(texts, list) and texts:
        said += f"<p>The errors: {html.escape('; '.join(map(str, texts)))}.</p>"
    shown = ("name", "state", "weight", "keys", "rate", "failures")
    head = ("shard", "state", "weight", "keys", "requests/s", "failures", "ejected by")
    shards = [
        [*(cell_text(each[name]) for name in shown), _listed(each["ejected"])]
        for each in _dicts(state["shards"])
    ]
    proxies = [
        [cell_text(each[name]) for name in ("name", "state", "clients", "rate", "ejections")]
        for each in _dicts(state["proxies"])
    ]
    return (
        said
        + table_html(head, shards, numbers=(2, 3, 4, 5))
        + table_html(
            ("proxy", "state", "clients", "requests/s", "ejections"), proxies, numbers=(2, 3, 4)
        )
    )


def _dicts(listed: Json) -> list[dict[str, Json]]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _listed(names: Json) -> str:
    return ", ".join(map(str, names)) if isinstance(names, list | tuple) else ""
