"""The view of a partition: who is on which side, what the reader says of it, and what comes of it.

A reader puts every server, Sentinel and client on side A or side B, commits to four answers, cuts,
and heals. `foretell` says from the sides alone what must come of it; it is plain arithmetic. What
did come of it is asked of the lab: SENTINEL CKQUORUM on either side, the events of a failover, what
the clients had acknowledged at the end of the cut, and which of it is gone after it is healed. Both
are shown beside the reader's answers, and not before them.

`PartitionWatch` is the logic, and `PartitionView` puts it into a notebook, with a toggle for each
host. On a page the recording replays every partition that was tried, and takes the answers itself.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import redis

from redislab.labs.sentinel import SentinelLab
from redislab.labs.sentinelstate import Opinion, SentinelSnapshot
from redislab.labs.writer import Lost, Writer
from redislab.views.fallback import fallback_for, table_html
from redislab.views.labview import LabView, LabWatch
from redislab.views.recording import Frame, Json, Recorder, Recording
from redislab.worlds.base import OBSERVER

SIDES = ("A", "B")
CHOICES = ("side A", "side B", "both", "neither")
QUESTIONS = {
    "quorum": "Where are enough Sentinels to agree that a master is down?",
    "majority": "Where are enough Sentinels to elect one of them?",
    "failover": "Where is a new master put in the place of the old one?",
    "writes": "Whose clients have their writes acknowledged in the end?",
}

FRAMES_MAX = 200
STEP_SECONDS = 1.0  # between two frames
CUT_SECONDS = 10.0  # how long a cut lasts: time to notice, to vote, and to promote
END_SECONDS = 2.0  # writes of so many last seconds of it are those "in the end"
SETTLE_SECONDS = 90.0
WRITE_RATE = 5.0  # writes a second of each client
LOST_SHOWN = 30


# -- what must come of it --------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """Who is on one side.

    Attributes:
        sentinels: how many.
        replicas: how many.
        has_master: the master is.
        has_client: a client that writes is.
    """

    sentinels: int
    replicas: int
    has_master: bool
    has_client: bool


@dataclass(frozen=True)
class Rules:
    """What a partition is judged by.

    Attributes:
        voters: how many Sentinels there are in all.
        quorum: how many have to agree that the master is down.
        min_replicas: `min-replicas-to-write` of the servers.
    """

    voters: int
    quorum: int
    min_replicas: int = 0

    @property
    def majority(self) -> int:
        """How many Sentinels are more than half of them all."""
        return self.voters // 2 + 1


def has_quorum(side: Side, rules: Rules) -> bool:
    """Whether a side has enough Sentinels to agree that a master is down."""
    return side.sentinels >= rules.quorum


def has_majority(side: Side, rules: Rules) -> bool:
    """Whether a side has enough Sentinels to elect a leader."""
    return side.sentinels >= rules.majority


def fails_over(side: Side, rules: Rules) -> bool:
    """Whether a side replaces a master that it cannot see."""
    able = has_quorum(side, rules) and has_majority(side, rules)
    return able and not side.has_master and side.replicas > 0


def takes_writes(side: Side, rules: Rules) -> bool:
    """Whether clients on a side still have writes acknowledged when all that can happen has."""
    replicas = side.replicas
    if not side.has_master:
        if not fails_over(side, rules):
            return False
        replicas -= 1  # one of them is the master now
    return side.has_client and replicas >= rules.min_replicas


def foretell(a: Side, b: Side, rules: Rules) -> dict[str, str]:
    """The answers to `QUESTIONS`, from who is on which side."""
    judges = {
        "quorum": has_quorum,
        "majority": has_majority,
        "failover": fails_over,
        "writes": takes_writes,
    }
    return {
        key: choice(in_a=judge(a, rules), in_b=judge(b, rules)) for key, judge in judges.items()
    }


def choice(*, in_a: bool, in_b: bool) -> str:
    """What holds on which side, as one of `CHOICES`."""
    return CHOICES[{(True, False): 0, (False, True): 1, (True, True): 2}.get((in_a, in_b), 3)]


# -- what came of it -------------------------------------------------------------------------------


@dataclass
class Round:
    """One partition.

    Attributes:
        sides: {host: "A" or "B"}.
        master: who it is before the cut.
        foretold: the answers to `QUESTIONS` by the rules.
        answers: the reader's; None before they are given.
        outcome: the lab's; None before the end of the cut.
        said: what CKQUORUM answered on either side.
        lost: the acknowledged writes that are gone, in words; None before it is healed.
        total: how many of them there are.
    """

    sides: dict[str, str]
    master: str = ""
    foretold: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] | None = None
    outcome: dict[str, str] | None = None
    said: dict[str, str] = field(default_factory=dict)
    lost: list[str] | None = None
    total: int = 0


class PartitionWatch(LabWatch):
    """Puts hosts on sides, cuts, heals, and records what came of it.

    Two clients of its own write from the beginning, on hosts of theirs, `client-1` and `client-2`.
    Whoever else is in the lab (the host "client") reaches everybody all the time.

    Args:
        lab: with Sentinels; all is well in it.

    Attributes:
        recorder: of what is seen.
        rounds: the partitions so far; the last one may not be cut yet.
        writers: the two clients.
        changed: is called when something about a round has changed.
    """

    lab: SentinelLab
    changed: Callable[[], None]

    def __init__(self, lab: SentinelLab) -> None:
        super().__init__(lab)
        self.changed = lambda: None
        self.writers = {
            name: lab.writer(rate=WRITE_RATE, at=name) for name in ("client-1", "client-2")
        }
        self.hosts = [*lab.nodes, *self.writers]
        self.rules = self._rules()
        self.rounds: list[Round] = []
        self.is_cut = False
        self._known: set[str] = set()  # writes whose loss an earlier round has told of
        self._cut_at = 0.0
        meta: dict[str, Json] = {
            "questions": [list(pair) for pair in QUESTIONS.items()],
            "choices": list(CHOICES),
            **asdict(self.rules),
        }
        self.recorder = Recorder(
            "partition",
            "Who is on which side, and what comes of it",
            now=lambda: self.lab.now,
            sample=dict,
            meta=meta,
            frames_max=FRAMES_MAX,
        )
        self._begin_round(self._first_sides())

    # -- what the reader does ----------------------------------------------------------------------

    def put(self, side: str, *hosts: object) -> None:
        """Put hosts on a side, before the answers are given.

        Raises:
            ValueError: there is no such side or host, or it is too late for this partition.
        """
        if side not in SIDES:
            raise ValueError(f"no side {side!r}: there are A and B")
        unknown = [str(host) for host in hosts if str(host) not in self.hosts]
        if unknown:
            raise ValueError(f"no host {unknown[0]!r}; there are {', '.join(self.hosts)}")
        last = self.rounds[-1]
        if self.is_cut:
            raise ValueError("the network is cut: heal it before anybody changes sides")
        if last.lost is None and last.answers is not None:
            raise ValueError("the answers for these sides are given: cut now")
        if last.lost is not None:
            self._begin_round(dict(last.sides))
        self.rounds[-1].sides.update(dict.fromkeys(map(str, hosts), side))
        self._foretell()

    def answer(self, **answers: str) -> None:
        """Commit to an answer to each of `QUESTIONS`.

        Raises:
            ValueError: one is missing or cannot be given, or they were given before.
        """
        last = self.rounds[-1]
        if last.answers is not None:
            raise ValueError("the answers for these sides are given")
        for key in QUESTIONS:
            if answers.get(key) not in CHOICES:
                raise ValueError(f"{key}: one of {', '.join(CHOICES)}, not {answers.get(key)!r}")
        last.answers = {key: answers[key] for key in QUESTIONS}
        self._show()

    def split(self, seconds: float = CUT_SECONDS) -> Round:
        """Cut the sides off from each other, let time pass, and see what has come of it.

        Args:
            seconds: of the lab's clock.

        Raises:
            ValueError: the network is cut already.
        """
        if self.is_cut:
            raise ValueError("the network is cut already: heal it first")
        if self.rounds[-1].lost is not None:
            self._begin_round(dict(self.rounds[-1].sides))
        self._foretell()
        last = self.rounds[-1]
        others = [host for host in self.lab.place.hosts if host not in self.hosts]
        a, b = ([host for host in self.hosts if last.sides[host] == side] for side in SIDES)
        self._cut_at = self.lab.now
        self.is_cut = True
        self.do(lambda: self.lab.partition(a, b, between=others))
        self.let_pass(seconds)
        last.said = {side: self._quorum_on(side) for side in SIDES}
        last.outcome = self._outcome()
        self._show()
        return last

    def heal(self) -> None:
        """Heal the network, wait until all is well, and look for writes that are gone.

        Raises:
            TimeoutError: it did not become well.
        """
        self.do(self.lab.heal)
        self.is_cut = False
        ends = self.lab.now + SETTLE_SECONDS
        while not self.lab.snapshot().settled:
            if self.lab.now >= ends:
                raise TimeoutError(
                    f"all was not well {SETTLE_SECONDS:g} s after the cut was healed"
                )
            self.let_pass(STEP_SECONDS)
        last = self.rounds[-1]
        if last.outcome is None:
            return
        lost = self._lost()
        last.total = len(lost)
        last.lost = [str(each) for each in lost[:LOST_SHOWN]]
        self._show()

    def let_pass(self, seconds: float) -> None:
        """Let time pass on the lab's clock, with a frame a second."""
        steps = max(1, round(seconds / STEP_SECONDS))
        for _ in range(steps):
            self.lab.run_for(seconds / steps)
            self.sample()

    def stop(self) -> None:
        """Let the clients write no more."""
        for writer in self.writers.values():
            writer.stop()

    # -- what is seen ------------------------------------------------------------------------------

    def sample(self) -> None:
        """Record a frame now."""
        with self._lock:
            snapshot = self.lab.snapshot()
            hosts: list[Json] = [self._host(name, snapshot) for name in self.hosts]
            state: dict[str, Json] = {
                "round": len(self.rounds),
                "cut": self.is_cut,
                "master": snapshot.named,
                "hosts": hosts,
            }
            last = self.recorder.last
            # Who does not answer while the lab is closed has ended with it.
            if not self.lab.closed and (last is None or last.state != state):
                self.recorder.add(Frame(snapshot.time, state))

    def _host(self, name: str, snapshot: SentinelSnapshot) -> dict[str, Json]:
        if name in self.writers:
            kind, (word, tone) = "client", client_word(self.writers[name], self.lab.now)
        elif any(each.name == name for each in snapshot.sentinels):
            kind, (word, tone) = "Sentinel", sentinel_word(snapshot.sentinel(name))
        else:
            kind, (word, tone) = "replica", server_word(name, snapshot)
        return {"name": name, "kind": kind, "word": word, "tone": tone}

    def _show(self) -> None:
        """Tell of the rounds as they are now, and of the moment."""
        rounds: list[Json] = [asdict(each) for each in self.rounds]
        self.recorder.set_meta(rounds=rounds)
        self.sample()
        self.changed()

    def _begin_round(self, sides: dict[str, str]) -> None:
        self.rounds.append(Round(sides))
        self._foretell()

    def _foretell(self) -> None:
        last = self.rounds[-1]
        last.master = self.lab.master.name
        a, b = (self._side(side) for side in SIDES)
        last.foretold = foretell(a, b, self.rules)
        self._show()

    def _side(self, side: str) -> Side:
        here = [host for host in self.hosts if self.rounds[-1].sides[host] == side]
        master = self.rounds[-1].master
        servers = {each.name for each in self.lab.servers}
        return Side(
            sentinels=sum(each.name in here for each in self.lab.sentinels),
            replicas=sum(host in servers and host != master for host in here),
            has_master=master in here,
            has_client=any(host in self.writers for host in here),
        )

    def _first_sides(self) -> dict[str, str]:
        """The master, a Sentinel and a client alone: the partition that everybody should know."""
        alone = {self.lab.master.name, self.lab.sentinels[0].name, "client-1"}
        return {host: "A" if host in alone else "B" for host in self.hosts}

    def _rules(self) -> Rules:
        snapshot = self.lab.snapshot()
        client: Any = self.lab.client(snapshot.named, at=OBSERVER, decode_responses=True)
        told = client.config_get("min-replicas-to-write")
        return Rules(
            voters=len(snapshot.sentinels),
            quorum=max(each.quorum for each in snapshot.sentinels),
            min_replicas=int(told["min-replicas-to-write"]),
        )

    # -- the outcome -------------------------------------------------------------------------------

    def _outcome(self) -> dict[str, str]:
        said = self.rounds[-1].said
        promoted = {
            self.rounds[-1].sides[event.node]
            for event in self.lab.told()
            if event.kind == "+promoted-slave" and event.time >= self._cut_at
        }
        recent = self.lab.now - END_SECONDS
        writing = {
            self.rounds[-1].sides[name]
            for name, writer in self.writers.items()
            if any(each.ended is not None and each.ended >= recent for each in writer.acknowledged)
        }
        found = {
            "quorum": [bool(said[side]) and "quorum for" not in said[side] for side in SIDES],
            "majority": [bool(said[side]) and "majority" not in said[side] for side in SIDES],
            "failover": [side in promoted for side in SIDES],
            "writes": [side in writing for side in SIDES],
        }
        return {key: choice(in_a=a, in_b=b) for key, (a, b) in found.items()}

    def _quorum_on(self, side: str) -> str:
        """What SENTINEL CKQUORUM says on a side; "" where there is no Sentinel to ask."""
        for each in self.lab.sentinels:
            if self.rounds[-1].sides[each.name] == side:
                client: Any = self.lab.sentinel_client(each, at=OBSERVER, decode_responses=True)
                try:
                    return str(client.execute_command("SENTINEL", "CKQUORUM", self.lab.service))
                except redis.ResponseError as refusal:
                    return str(refusal)
        return ""

    def _lost(self) -> list[Lost]:
        lost = [each for writer in self.writers.values() for each in writer.lost()]
        fresh = [each for each in lost if each.key not in self._known]
        self._known |= {each.key for each in lost}
        return sorted(fresh, key=lambda each: each.acknowledged)


def server_word(name: str, snapshot: SentinelSnapshot) -> tuple[str, str]:
    """What a server is at this moment, and in which color."""
    node = snapshot.node(name)
    if not node.up:
        return "no answer", "red"
    if node.role == "master":
        return "master", "teal" if name == snapshot.named else "violet"
    (follower,) = [each for each in snapshot.followers if each.name == name]
    link = "" if follower.link == "up" else ", link down"
    return f"replica of {follower.master}{link}", "blue" if follower.link == "up" else "amber"


def sentinel_word(opinion: Opinion) -> tuple[str, str]:
    """What a Sentinel thinks at this moment, and in which color."""
    if not opinion.up:
        return "no answer", "red"
    down = "o_down" if opinion.o_down else "s_down" if opinion.s_down else "up"
    tone = {"o_down": "red", "s_down": "amber", "up": "teal"}[down]
    leads = ", leads a failover" if opinion.failover not in {"", "none"} else ""
    return f"{opinion.master} is {down}{leads}", tone


def client_word(writer: Writer, now: float) -> tuple[str, str]:
    """What became of a client's last write, and in which color."""
    ended = [each for each in writer.writes[-3:] if each.ended is not None]
    if not ended:
        return "has not written yet", "muted"
    last = ended[-1]
    assert last.ended is not None, "it has ended"
    if now - last.ended > 2 * END_SECONDS:
        return "waits", "amber"
    if last.acknowledged:
        return f"writes to {last.node}", "teal"
    refused = "NOREPLICAS" if "NOREPLICAS" in last.error or "good replicas" in last.error else ""
    return f"refused: {refused}" if refused else "finds no master", "amber"


# -- the view --------------------------------------------------------------------------------------


class PartitionView(LabView):
    """A toggle for each host, and what comes of the sides."""

    watch: PartitionWatch

    def __init__(self, lab: SentinelLab) -> None:
        watch = PartitionWatch(lab)
        super().__init__(watch, watch.recorder)
        watch.changed = self._pass_on

    def rows(self) -> list[list[Any]]:
        """A toggle for each host; cut and heal."""
        return [
            [self._toggle(host) for host in self.watch.hosts],
            [
                self.button("cut", self._cut, f"nothing crosses for {CUT_SECONDS:g} s"),
                self.button("heal", self.watch.heal, "and wait until all is well"),
            ],
        ]

    def receive(self, message: dict[str, Any]) -> None:
        """Take the reader's answers from the drawing."""
        try:
            self.watch.answer(**message["answers"])
        except ValueError as refusal:
            self.tell(str(refusal))

    def _pass_on(self) -> None:
        """Tell a live drawing of the rounds; frames it is told of as they come."""
        if self._replay is not None:
            self._replay.grow([], meta=self.recorder.meta)

    def _toggle(self, host: str) -> Any:
        import ipywidgets

        made = ipywidgets.ToggleButtons(
            options=list(SIDES),
            value=self.watch.rounds[-1].sides[host],
            description=host,
            # Narrower, and a notebook cuts the one letter off, or runs two names together.
            style={"button_width": "3.4em"},
            layout=ipywidgets.Layout(margin="0 12px 4px 0"),
        )

        def move(change: Mapping[str, Any]) -> None:
            side = change["new"]
            if self.watch.rounds[-1].sides[host] == side:
                return
            self._press(host, lambda: self.watch.put(side, host))
            made.value = self.watch.rounds[-1].sides[host]  # where it was, if that was refused

        made.observe(move, names="value")
        return made

    def _cut(self) -> None:
        """A reader who cuts has answered before."""
        last = self.watch.rounds[-1]
        if last.answers is None or last.lost is not None:
            raise ValueError("say first what will come of it, under the two sides")
        self.watch.split()


@fallback_for("partition")
def _partition_fallback(recording: Recording) -> str:
    rounds = recording.meta["rounds"]
    questions = dict(_pairs(recording.meta["questions"]))
    parts = []
    for number, each in enumerate(_dicts(rounds), 1):
        sides = [
            ", ".join(host for host, at in _items(each["sides"]) if at == side) or "nobody"
            for side in SIDES
        ]
        where = "".join(
            f"<br>Side {side}: {html.escape(hosts)}"
            for side, hosts in zip(SIDES, sides, strict=True)
        )
        foretold, outcome = dict(_items(each["foretold"])), dict(_items(each["outcome"]))
        rows = [
            (text, foretold.get(key, ""), outcome.get(key, "")) for key, text in questions.items()
        ]
        lost = each["lost"]
        gone = f"<p>Acknowledged writes lost: {each['total']}.</p>" if lost is not None else ""
        parts.append(
            f"<p><b>Partition {number}</b>{where}</p><details><summary>What comes of it</summary>"
            + table_html(("question", "by the rules", "what happened"), rows)
            + gone
            + "</details>"
        )
    return "".join(parts)


def _dicts(listed: Json) -> list[dict[str, Json]]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _items(mapping: Json) -> list[tuple[str, str]]:
    return [(k, str(v)) for k, v in mapping.items()] if isinstance(mapping, dict) else []


def _pairs(listed: Json) -> list[tuple[str, str]]:
    found: Iterable[Json] = listed if isinstance(listed, list) else ()
    return [(str(pair[0]), str(pair[1])) for pair in found if isinstance(pair, list | tuple)]
