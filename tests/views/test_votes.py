"""A vote as a diagram: who asked whom in which epoch, and what was answered."""

import pytest

from redislab import SentinelLab
from redislab.views.votes import describe_vote, votes
from redislab.worlds.sim.journal import Message

QUICK = {"down_after_ms": 1000, "failover_timeout_ms": 6000}


def told(recording):
    """Every line of the diagram: (source, target, text)."""
    return [(f.state["source"], f.state["target"], f.state["text"]) for f in recording.frames]


def election(one_way=0.0, seconds=8.0, **options):
    with SentinelLab(seed=7, **QUICK, **options) as lab:
        for at, a in enumerate(lab.sentinels):
            for b in lab.sentinels[at + 1 :]:
                lab.delay(a, b, one_way)
        began = lab.now
        lab.kill("redis-1")
        lab.run_for(seconds)
        return told(votes(lab, since=began).recording), lab.told()


def test_an_election_is_told_in_the_order_in_which_it_happens():
    lines, events = election()
    (leader,) = [event.node for event in events if event.kind == "+elected-leader"]
    others = [f"sentinel-{number}" for number in (1, 2, 3) if f"sentinel-{number}" != leader]
    asked = [(leader, other, f"is it down? Vote for {leader} in epoch 1") for other in others]
    given = [(other, leader, f"down; my vote of epoch 1: {leader}") for other in others]
    own = (leader, "", f"+vote-for-leader {leader} 1")
    story = [(leader, "", "+try-failover"), *asked, own, *given, (leader, "", "+elected-leader")]
    places = [lines.index(line) for line in story]
    assert places[0] < min(places[1:3])
    assert max(places[1:3]) < places[3] < min(places[4:6])
    assert max(places[4:6]) < places[6]
    for other in others:
        vote = lines.index((other, "", f"+vote-for-leader {leader} 1"))
        assert lines.index((other, "", "+new-epoch 1")) < vote
        assert vote < lines.index((other, leader, f"down; my vote of epoch 1: {leader}"))
    # Asked again every second, and not told again.
    assert len(set(lines)) == len(lines)


def test_a_split_vote_has_one_ballot_for_each_and_a_second_epoch():
    lines, events = election(one_way=0.15, seconds=20.0)
    ballots = [text.split()[1:] for _, _, text in lines if text.startswith("+vote-for-leader")]
    assert sorted(ballots[:3]) == [[f"sentinel-{number}", "1"] for number in (1, 2, 3)]
    assert len([text for *_, text in lines if text == "-failover-abort-not-elected"]) == 3
    (leader,) = [event.node for event in events if event.kind == "+elected-leader"]
    assert ballots[3:] == [[leader, "2"]] * 3
    assert any(text.startswith("+switch-master to redis-") for *_, text in lines)


def message(data, kind="data"):
    return Message(1.0, 1.1, "sentinel-1", "sentinel-2", 1, kind, data, 0)


QUESTION = b"*6\r\n$8\r\nSENTINEL\r\n$22\r\nis-master-down-by-addr\r\n$1\r\nh\r\n$1\r\n1\r\n$1\r\n"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (QUESTION + b"3\r\n$1\r\n*\r\n", "is it down? (epoch 3, *)"),
        (QUESTION + b"3\r\n$2\r\nid\r\n", "is it down? Vote for sentinel-9 in epoch 3"),
        (QUESTION + b"3\r\n$2\r\nno\r\n", "is it down? Vote for no in epoch 3"),
        (b"*3\r\n:1\r\n$1\r\n*\r\n:0\r\n", "down"),
        (b"*3\r\n:0\r\n$1\r\n*\r\n:0\r\n", "not down"),
        (b"+PONG\r\n*3\r\n:1\r\n$2\r\nid\r\n:4\r\n", "down; my vote of epoch 4: sentinel-9"),
        (b"*3\r\n:0\r\n$2\r\nid\r\n:4\r\n", "not down; my vote of epoch 4: sentinel-9"),
        (QUESTION + b"3\r\n", None),
        (b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n", None),
        (b"+PONG\r\n", None),
        (b"*1\r\n$4\r\nPING\r\n", None),
        (b"\xff\xfe", None),
    ],
)
def test_what_stands_on_an_arrow(data, text):
    label = describe_vote(message(data), {"id": "sentinel-9"})
    assert (label and label.text) == text
    assert describe_vote(message(data, "fin"), {}) is None


def test_there_is_nothing_to_draw_where_nobody_asks():
    with SentinelLab(seed=7, **QUICK) as lab, pytest.raises(ValueError, match="no messages"):
        votes(lab)
