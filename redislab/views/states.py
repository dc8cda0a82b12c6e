"""State machines as pictures, drawn from the tables that the code runs on.

`StatesView` takes a table {state: {answer: next state}} with names for both, and draws it; given
the steps of a real run it walks through them. `handshake` does so for the way in which a replica
meets its master (`server/replication/handshake.py`), and reads the steps off a journal's messages,
with the functions by which the replica itself reads them. `failover` does so for the way in which
a Sentinel replaces a master (`sentinel/failover.py`), and reads the steps off the lines that the
table says are told of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from redislab.sentinel.failover import TABLE as FAILOVER
from redislab.sentinel.failover import Outcome
from redislab.sentinel.model import FailoverState
from redislab.server.replication.handshake import (
    HANDSHAKE,
    SAYS,
    TABLE,
    Answer,
    IllegalAnswerError,
    Step,
    advance,
    classify,
)
from redislab.views.display import View
from redislab.views.fallback import fallback_for, table_html
from redislab.views.recording import Frame, Json, Recorder, Recording
from redislab.wire.requests import RequestParser
from redislab.worlds.base import Event
from redislab.worlds.sim.journal import Message

Machine = Mapping[str, Mapping[str, str]]
"""{state: {answer: next state}}."""


@dataclass(frozen=True)
class Walk:
    """One step of a run through a machine.

    Attributes:
        time: in seconds.
        state: the state that is entered.
        before: the state that was left; "" for the first.
        answer: what led from one to the other.
        detail: the words that were said, or anything else worth telling.
    """

    time: float
    state: str
    before: str = ""
    answer: str = ""
    detail: str = ""


class StatesView(View):
    """A state machine, and a run through it.

    Args:
        machine: the table.
        title: the title, also for a screen reader.
        says: what is said on entering a state.
        walk: the steps of a run; none is a picture without a replay.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        title: str,
        says: Mapping[str, str] | None = None,
        walk: Sequence[Walk] = (),
    ) -> None:
        edges: list[Json] = [
            [state, answer, target]
            for state, answers in machine.items()
            for answer, target in answers.items()
        ]
        states: list[Json] = list(machine)
        recorder = Recorder(
            "states",
            title,
            now=lambda: 0.0,
            sample=dict,
            meta={"states": states, "edges": edges, "says": dict(says or {}), "pace": "steps"},
        )
        for step in walk or (Walk(0.0, ""),):
            recorder.add(Frame(step.time, asdict(step)))
        super().__init__(recorder)

    def controls(self) -> list[Any]:
        """None: the drawing has all."""
        return []


def handshake(
    lab: Any = None, replica: Any = None, *, since: float = 0.0, title: str = ""
) -> StatesView:
    """The handshake between a replica and its master, as its table has it.

    Args:
        lab: a lab in `sim`, to walk through what its journal tells; None draws the table alone.
        replica: whose handshake to follow.
        since: from when on, in seconds.
        title: the title; one is made if empty.
    """
    machine = {
        step.value: {answer.value: target.value for answer, target in answers.items()}
        for step, answers in TABLE.items()
    }
    says = {step.value: words for step, words in SAYS.items()}
    steps: Sequence[Walk] = ()
    if lab is not None:
        steps = list(walk_handshake(lab.journal.messages, str(replica), since=since))
    made = title or (
        "How a replica meets its master" if lab is None else f"How {replica} meets its master"
    )
    return StatesView(machine, title=made, says=says, walk=steps)


def walk_handshake(messages: Iterable[Message], replica: str, *, since: float = 0.0) -> list[Walk]:
    """The states that a replica went through, read off the messages of a simulation.

    A replica opens no connections but those to its master. What the master answers is read with
    `classify` and led on with `advance`, as the replica does itself.
    """
    walk: list[Walk] = []
    step, connection = Step.CONNECT, -1
    asked: list[Step] = []  # questions that were sent and not answered yet
    for message in messages:
        if message.sent < since:
            continue
        arrived = message.sent if message.delivered is None else message.delivered
        if message.source == replica and message.kind == "open":
            if step is not Step.CONNECT:
                _answer(walk, message.sent, step, Answer.LOST, "")
            connection, asked = message.connection, []
            step = _answer(walk, message.sent, Step.CONNECT, Answer.YES, "")
        if message.connection != connection:
            continue
        if message.source == replica and message.kind == "data":
            asked += _questions(message.data)
            if step is Step.CONNECTING:
                step = _answer(walk, message.sent, step, Answer.OPENED, "")
            if step is Step.TRANSFER and b"ACK" in message.data:
                step = _answer(walk, message.sent, step, Answer.LOADED, _line(message.data))
        elif message.kind in {"fin", "rst"}:
            step = _answer(walk, arrived, step, Answer.LOST, "")
            connection = -1
        elif message.kind == "data" and step in HANDSHAKE:
            for line in message.data.split(b"\r\n"):
                if not line or not asked or step not in HANDSHAKE:
                    continue
                # What was not asked was not sent: a lab without a password sends no AUTH.
                while step in HANDSHAKE and step is not asked[0]:
                    step = _answer(walk, arrived, step, Answer.YES, "not asked")
                asked.pop(0)
                step = _answer(walk, arrived, step, classify(step, line), line.decode("latin-1"))
    return walk


_BY_WORD = {
    b"ping": Step.RECEIVE_PING,
    b"auth": Step.RECEIVE_AUTH,
    b"listening-port": Step.RECEIVE_PORT,
    b"ip-address": Step.RECEIVE_IP,
    b"capa": Step.RECEIVE_CAPA,
    b"psync": Step.RECEIVE_PSYNC,
}


def failover(lab: Any = None, sentinel: Any = None, *, title: str = "") -> StatesView:
    """A failover, as the table has it by which a Sentinel carries it out.

    Args:
        lab: a lab with Sentinels, in any world, to walk through what their logs tell; None draws
            the table alone.
        sentinel: whose failovers to follow; None is the one that was elected last, or the first.
        title: the title; one is made if empty.
    """
    machine = {
        state.value: {outcome.value: way.target.value for outcome, way in stage.ways.items()}
        for state, stage in FAILOVER.items()
    }
    says = {state.value: stage.does for state, stage in FAILOVER.items()}
    steps: Sequence[Walk] = ()
    made = title or "How a Sentinel replaces a master"
    if lab is not None:
        events = list(lab.events)
        elected = [event.node for event in events if event.kind == "+elected-leader"]
        who = str(sentinel or (elected or [lab.sentinels[0].name])[-1])
        steps = walk_failover(events, who)
        made = title or f"How {who} replaces the master"
    return StatesView(machine, title=made, says=says, walk=steps)


def walk_failover(events: Iterable[Event], sentinel: str) -> list[Walk]:
    """The states that a Sentinel's failovers went through, read off its events.

    The first line that only one way out of a state tells of says that this way was gone; of a
    failover that was overtaken, what overtook it does. A Sentinel that ends forgets its failover.
    """
    walk: list[Walk] = []
    state = FailoverState.NONE
    for event in events:
        if event.node != sentinel:
            continue
        if event.kind in _ENDS and state is not FailoverState.NONE:
            state = FailoverState.NONE
            walk.append(Walk(event.time, state.value, "", "", event.kind))
        outcome = _outcome(state, event.kind)
        if outcome is not None:
            target = FAILOVER[state].ways[outcome].target
            detail = f"{event.kind} {event.detail}".rstrip()
            walk.append(Walk(event.time, target.value, state.value, outcome.value, detail))
            state = target
    return walk


_ENDS = frozenset({"kill", "crash", "stop"})
_OVERTAKES = frozenset({"+config-update-from", "+reset-master"})


def _outcome(state: FailoverState, kind: str) -> Outcome | None:
    """What an event says has come of a state; None if it says nothing of it."""
    ways = FAILOVER[state].ways
    if kind in _OVERTAKES and Outcome.OVERTAKEN in ways:
        return Outcome.OVERTAKEN
    for outcome, way in ways.items():
        # A new epoch is told of by those who only vote in it, too.
        if any(line.kind == kind and line.about != "epoch" for line in way.lines):
            return outcome
    return None


def _questions(data: bytes) -> list[Step]:
    """The questions of the handshake that a replica's message asks."""
    found = []
    for words in RequestParser().feed(data):
        word = words[1] if words[0].lower() == b"replconf" else words[0]
        step = _BY_WORD.get(word.lower())
        if step is not None:
            found.append(step)
    return found


def _answer(walk: list[Walk], time: float, step: Step, answer: Answer, detail: str) -> Step:
    try:
        target = advance(step, answer)
    except IllegalAnswerError:
        return step
    walk.append(Walk(time, target.value, step.value, answer.value, detail))
    return target


def _line(data: bytes) -> str:
    """A command as one line of words."""
    return " ".join(part.decode("latin-1") for part in data.split(b"\r\n")[2::2])


@fallback_for("states")
def _states_fallback(recording: Recording) -> str:
    edges = recording.meta["edges"]
    listed = edges if isinstance(edges, list) else []
    rows = [[str(part) for part in edge] for edge in listed if isinstance(edge, list)]
    return table_html(("state", "answer", "next state"), rows)
