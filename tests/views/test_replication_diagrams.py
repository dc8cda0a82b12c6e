"""The space-time diagram, the handshake's picture and the stale-read meter."""

import pytest

from redislab import ReplicationLab
from redislab.labs.staleness import law, stale_reads
from redislab.server.replication.handshake import TABLE, Answer, Step
from redislab.views.fallback import fallback_html
from redislab.views.messages import Label, SpaceTimeView, describe, entries, spacetime
from redislab.views.staleness import StaleReadMeter
from redislab.views.states import handshake, walk_handshake
from redislab.worlds.base import Event
from redislab.worlds.sim.journal import Message
from tests.servers import WORLDS

EDGES = {
    (step.value, answer.value, target.value)
    for step, answers in TABLE.items()
    for answer, target in answers.items()
}


def message(data, *, kind="data", sent=0.0, source="a", target="b", arrives=True, connection=1):
    delivered = sent + 0.001 if arrives else None
    return Message(sent, delivered, source, target, connection, kind, data, 0)


@pytest.mark.parametrize(
    ("data", "text", "tone"),
    [
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n", "SET a 1", "request"),
        (b"PING\r\n", "data", "data"),
        (b"*1\r\n$4\r\nPING\r\n", "PING", "quiet"),
        (b"*1\r\n$4\r\nPING\r\n" * 5, "PING · PING · PING · 2 more", "quiet"),
        (b"+OK\r\n", "+OK", "reply"),
        (b"$5\r\nhello\r\n", "hello", "reply"),
        (b"$-1\r\n", "null", "reply"),
        (b":1\r\n:2\r\n", ":1 · 1 more", "reply"),
        (b"-ERR no\r\n", "-ERR no", "error"),
        (b"%1\r\n+a\r\n:1\r\n", "2 values", "reply"),
        (b"+FULLRESYNC " + b"a1" * 20 + b" 7\r\n", "+FULLRESYNC a1a1a1… 7", "reply"),
        (b"+CONTINUE\r\n", "+CONTINUE", "reply"),
        (
            b"+CONTINUE\r\n*1\r\n$4\r\nPING\r\n",
            "+CONTINUE · 14 bytes of the stream",
            "reply",
        ),
        (b"\n", "a bare newline: be patient", "quiet"),
        (b"$EOF:" + b"a" * 40 + b"\r\n", "data set", "data"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$900\r\nxxxx", "data", "data"),
        (b"RCmb\x00\x01", "data", "data"),
    ],
)
def test_a_message_is_described_by_what_it_says(data, text, tone):
    assert describe(message(data)) == Label(text, tone)


@pytest.mark.parametrize("kind", ["open", "fin", "rst"])
def test_the_ends_of_a_connection_are_described(kind):
    assert describe(message(b"", kind=kind)).text


def test_greetings_of_clients_are_left_out_with_their_replies():
    talk = [
        message(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", sent=0.1),
        message(b"%1\r\n+a\r\n:1\r\n", sent=0.2, source="b", target="a"),
        message(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", sent=0.3),
        message(b"$1\r\nv\r\n", sent=0.4, source="b", target="a"),
    ]
    assert [one.text for one in entries(talk)] == ["GET k", "v"]
    assert len(list(entries(talk, greetings=True))) == 4


def test_pieces_of_data_that_leave_together_are_one_arrow():
    pieces = [message(b"REDIS0010", sent=1.0), message(b"xyz", sent=1.0), message(b"+OK\r\n")]
    pieces[2] = message(b"+OK\r\n", sent=1.5)
    drawn = [frame.state for frame in SpaceTimeView(entries(pieces)).recording.frames]
    assert [one["text"] for one in drawn] == ["data set: 12 bytes in 2 messages", "+OK"]
    assert drawn[0]["size"] == 12


def test_hosts_times_and_a_describer_choose_what_is_drawn():
    talk = [
        message(b"+1\r\n", sent=1.0),
        Event(1.5, "c", "kill"),
        message(b"+2\r\n", sent=2.0, source="b", target="c"),
        Event(2.5, "", "cut", "a -> b"),
        message(b"+3\r\n", sent=3.0, arrives=False),
    ]
    assert [one.text for one in entries(talk)] == ["+1", "kill", "+2", "cut a -> b", "+3"]
    assert [one.text for one in entries(talk, hosts=["a", "b"])] == ["+1", "cut a -> b", "+3"]
    assert [one.text for one in entries(talk, since=1.2, until=2.2)] == ["kill", "+2"]
    assert [one.text for one in entries(talk, events=False, describe=lambda _: None)] == []
    assert next(entries(talk, since=3.0)).delivered is None


def test_there_must_be_something_to_draw_and_not_too_much():
    with pytest.raises(ValueError, match="no messages"):
        SpaceTimeView([])
    many = [message(b"+1\r\n", sent=float(at)) for at in range(401)]
    with pytest.raises(ValueError, match="401"):
        SpaceTimeView(entries(many))


def test_the_same_seed_draws_the_same_diagram():
    pages = []
    for _ in range(2):
        with ReplicationLab("sim", replicas=1, seed=4) as lab:
            lab.client().set("a", 1)
            lab.run_for(1.1)
            pages.append(spacetime(lab, hosts=["client", *lab.nodes]).recording.to_json())
    assert pages[0] == pages[1]
    assert "SELECT 0 · SET a 1" in pages[0]


def test_the_handshake_is_drawn_from_its_table():
    meta = handshake().recording.meta
    edges = [tuple(edge) for edge in meta["edges"]]
    table = {
        (s.value, a.value, t.value) for s, answers in TABLE.items() for a, t in answers.items()
    }
    assert set(edges) == table
    assert meta["states"] == [step.value for step in TABLE]
    assert handshake().recording.frames[0].state["state"] == ""


def test_a_real_handshake_walks_through_the_table():
    config = {"repl-timeout": "3", "repl-ping-replica-period": "1"}
    with ReplicationLab("sim", replicas=1, seed=4, config=config) as lab:
        master, replica = lab.nodes
        lab.run_for(1.5)
        lab.cut(master, replica)
        lab.run_for(4)
        lab.heal()
        lab.run_for(5)
        assert lab.snapshot().linked
        walk = walk_handshake(lab.journal.messages, replica)
        title = handshake(lab, replica).recording.title
    states = [step.state for step in walk]
    assert states[0] == Step.CONNECTING.value
    assert states.count(Step.CONNECTED.value) == 2
    assert Step.TRANSFER.value in states
    answers = [step.answer for step in walk]
    assert answers.index(Answer.FULL.value) < answers.index(Answer.LOST.value)
    assert answers.index(Answer.LOST.value) < answers.index(Answer.CONTINUE.value)
    edges = {
        (s.value, a.value, t.value) for s, answers in TABLE.items() for a, t in answers.items()
    }
    assert all((step.before, step.answer, step.state) in edges for step in walk)
    assert title == f"How {replica} meets its master"


def test_a_password_shows_in_the_handshake():
    with ReplicationLab("sim", replicas=1, config={"requirepass": "secret"}) as lab:
        walk = walk_handshake(lab.journal.messages, list(lab.nodes)[1])
    after_auth = next(step for step in walk if step.before == Step.RECEIVE_AUTH.value)
    assert after_auth.detail == "+OK"


@pytest.mark.parametrize("world", WORLDS)
def test_lag_makes_reads_stale_as_the_law_says(world):
    with ReplicationLab(world, replicas=1, seed=4) as lab:
        master, replica = lab.nodes
        # On a busy machine a replica may be late without a delay; not three times in a row.
        looks = 1 if world == "sim" else 3
        while looks:
            prompt = stale_reads(lab, seconds=1.0, write_rate=100, keys=5)
            looks = 0 if prompt.share < 0.1 else looks - 1
        lab.delay(master, replica, 0.1)
        lab.run_for(0.3)
        late = stale_reads(lab, seconds=2.0, write_rate=50, keys=5)
        waited = stale_reads(lab, seconds=2.0, write_rate=5, keys=5, wait=1)
    # A busy machine makes a replica later than it was told to be, and never earlier.
    slack = 0.1 if world == "sim" else 0.5
    assert prompt.reads > 300
    assert prompt.share < slack
    assert law(10, 0.1) - 0.2 < late.share < law(10, 0.1) + slack
    assert 0.05 < max(late.ages) < 0.1 + slack
    assert waited.stale == 0
    assert waited.writes > 0


def test_the_meter_keeps_its_runs_and_says_what_is_expected():
    with ReplicationLab("sim", replicas=1, seed=4) as lab:
        meter = StaleReadMeter(lab, seconds=1.0)
        assert meter.measure(0.0).reads.stale == 0
        run = meter.measure(0.2, rate=5.0)
        *_, button, note = meter.controls()
        button.click()
        assert note.value == ""
        lab.kill(lab.master)
        button.click()
        assert "LookupError" in note.value
    assert run.expected == pytest.approx(0.632, abs=0.001)
    assert [one.lag for one in meter.runs] == [0.0, 0.2, 0.05]
    last = meter.recording.frames[-1].state
    assert last["stale"] == sum(meter.runs[-1].reads.recent)
    assert len(last["recent"]) <= 160
    assert "expected (%)" in fallback_html(meter.recording)


def test_diagrams_have_words_without_scripts():
    with ReplicationLab("sim", replicas=1) as lab:
        page = fallback_html(spacetime(lab).recording)
    assert "PSYNC ? -1" in page
    assert "+CONTINUE" in fallback_html(handshake().recording)
