"""Who is down, who leads, who is promoted: each decision over plain state, without any loop."""

import pytest

from redislab.sentinel import choosing, down, votes
from redislab.sentinel.model import Address, Reconf, Role
from redislab.sentinel.timing import Timing
from tests.sentinel.desk import MASTER, NOW, OWN_ID, Desk

TIMING = Timing()
A, B, C = "b" * 40, "c" * 40, "d" * 40

# -- down ------------------------------------------------------------------------------------------

SUBJECTIVELY = [
    ("it answers", {}, {}, False),
    ("a PING waits, but not for long", {}, {"asked": NOW - 30_000}, False),
    ("a PING waits for too long", {}, {"asked": NOW - 30_001}, True),
    ("no connection, and silence", {}, {"is_disconnected": True, "available": NOW - 30_001}, True),
    ("no connection since lately", {}, {"is_disconnected": True, "available": NOW - 9}, False),
    ("silence that nobody has asked into", {}, {"available": NOW - 99_999}, False),
    (
        "it calls itself a replica for too long",
        {"role_reported": Role.REPLICA, "role_reported_time": NOW - 50_001},
        {},
        True,
    ),
    (
        "it calls itself a replica, but not for long",
        {"role_reported": Role.REPLICA, "role_reported_time": NOW - 50_000},
        {},
        False,
    ),
    (
        "it has restarted, and has not answered in time",
        {"rebooted": True, "rebooted_since": NOW - 1001, "reboot_down_after": 1000},
        {},
        True,
    ),
    (
        "it has restarted just now",
        {"rebooted": True, "rebooted_since": NOW - 1000, "reboot_down_after": 1000},
        {},
        False,
    ),
]


@pytest.mark.parametrize(
    ("fields", "link", "expected"),
    [case[1:] for case in SUBJECTIVELY],
    ids=[c[0] for c in SUBJECTIVELY],
)
def test_a_master_is_subjectively_down(fields, link, expected):
    master = Desk().master(**fields)
    master.link.is_disconnected = False
    for name, value in link.items():
        setattr(master.link, name, value)
    assert down.is_subjectively_down(master, NOW, TIMING) is expected


def test_a_replica_that_calls_itself_a_master_is_not_down():
    replica = next(iter(Desk().master().replicas.values()))
    replica.role_reported, replica.role_reported_time = Role.MASTER, 0
    assert not down.is_subjectively_down(replica, NOW, TIMING)


@pytest.mark.parametrize(
    ("s_down", "agree", "quorum", "expected"),
    [
        (False, 2, 1, False),
        (True, 0, 1, True),
        (True, 0, 2, False),
        (True, 1, 2, True),
        (True, 1, 3, False),
        (True, 2, 3, True),
    ],
)
def test_a_master_is_objectively_down(s_down, agree, quorum, expected):
    master = Desk().master(quorum=quorum, s_down=s_down)
    for peer in list(master.peers.values())[:agree]:
        peer.master_down = True
    assert down.is_objectively_down(master) is expected


@pytest.mark.parametrize(
    ("quorum", "lost", "expected"),
    [
        (2, 0, (3, True, True)),
        (2, 1, (2, True, True)),
        (2, 2, (1, False, False)),
        (1, 2, (1, True, False)),
        (3, 1, (2, False, True)),
    ],
)
def test_how_many_sentinels_can_be_reached(quorum, lost, expected):
    master = Desk().master(quorum=quorum)
    for peer in list(master.peers.values())[:lost]:
        peer.s_down = True
    assert down.reach(master) == expected


def test_a_connection_is_stale_when_a_ping_waits_for_half_the_time():
    link = Desk().master().link
    link.has_commands, link.commands_since = True, NOW - 15_001
    link.asked = link.ping_answered = NOW - 15_001
    assert down.commands_are_stale(link, 30_000, NOW, TIMING)
    for field, value in (
        ("has_commands", False),
        ("commands_since", NOW - 15_000),
        ("asked", 0),
        ("asked", NOW - 15_000),
        ("ping_answered", NOW - 15_000),
    ):
        before = getattr(link, field)
        setattr(link, field, value)
        assert not down.commands_are_stale(link, 30_000, NOW, TIMING), (field, value)
        setattr(link, field, before)


def test_pubsub_is_stale_when_hellos_do_not_come_back():
    link = Desk().master().link
    link.has_pubsub, link.pubsub_since, link.pubsub_heard = True, NOW - 15_001, NOW - 6001
    assert down.pubsub_is_stale(link, NOW, TIMING)
    link.pubsub_heard = NOW - 6000
    assert not down.pubsub_is_stale(link, NOW, TIMING)
    link.pubsub_heard, link.pubsub_since = 0, NOW - 15_000
    assert not down.pubsub_is_stale(link, NOW, TIMING)


# -- votes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("voted", "current", "asked", "expected"),
    [
        (0, 0, 1, True),
        (1, 1, 1, False),  # given in this epoch
        (1, 1, 2, True),
        (2, 2, 1, False),  # an epoch of the past
        (0, 2, 1, False),  # a greater one was heard of
        (0, 1, 1, True),
    ],
)
def test_there_is_one_vote_in_an_epoch(voted, current, asked, expected):
    master = Desk().master(leader_epoch=voted)
    assert votes.may_vote(master, current, asked) is expected


def test_whoever_asks_first_has_the_vote():
    desk = Desk()
    master = desk.master()
    assert votes.vote(desk.watch, master, 1, A) == (A, 1)
    assert votes.vote(desk.watch, master, 1, B) == (A, 1)
    assert votes.vote(desk.watch, master, 2, B) == (B, 2)
    assert votes.vote(desk.watch, master, 1, C) == (B, 2)
    assert desk.events == ["+new-epoch", "+vote-for-leader"] * 2
    assert desk.published[1] == ("+vote-for-leader", f"{A} 1")
    assert desk.saved == 4
    # Having voted for another, it leaves it the time to do it.
    assert NOW <= master.failover_start < NOW + 1000


def test_a_vote_for_oneself_delays_nothing():
    desk = Desk()
    master = desk.master()
    assert votes.vote(desk.watch, master, 1, OWN_ID) == (OWN_ID, 1)
    assert master.failover_start == 0


# Votes of others, own vote of before (None: not cast yet), voters, quorum, and who leads.
ELECTIONS = [
    ([], None, 1, 1, OWN_ID),
    ([], None, 3, 2, ""),
    ([OWN_ID], None, 3, 2, OWN_ID),
    ([OWN_ID], None, 3, 3, ""),  # a majority, and less than the quorum
    ([OWN_ID, OWN_ID], None, 3, 3, OWN_ID),
    ([A], None, 3, 2, A),  # our vote goes to whoever has most
    ([A, B], None, 4, 2, ""),  # and of two with one vote each to the first: 2 of 4
    ([A, B, A], None, 4, 2, A),
    ([B, A, A], None, 4, 2, A),
    ([A], OWN_ID, 3, 2, ""),
    ([A, A], OWN_ID, 3, 2, A),
    ([OWN_ID], A, 3, 2, ""),
    ([OWN_ID, A], OWN_ID, 5, 2, ""),  # enough for the quorum, not for a majority
    ([OWN_ID, A, OWN_ID], OWN_ID, 5, 2, OWN_ID),
]


@pytest.mark.parametrize(("others", "own", "voters", "quorum", "expected"), ELECTIONS)
def test_who_leads(others, own, voters, quorum, expected):
    desk = Desk(current_epoch=7)
    master = desk.master(peers=voters - 1, quorum=quorum)
    for peer, leader in zip(master.peers.values(), others, strict=False):
        peer.leader, peer.leader_epoch = leader, 7
    if own is not None:
        master.leader, master.leader_epoch = own, 7
    assert votes.find_leader(desk.watch, master, 7) == expected


def test_votes_of_another_epoch_do_not_count():
    desk = Desk(current_epoch=7)
    master = desk.master()
    for peer in master.peers.values():
        peer.leader, peer.leader_epoch = OWN_ID, 6
    assert votes.count(master, 7) == {}
    assert votes.find_leader(desk.watch, master, 7) == ""


def test_the_answer_to_is_master_down_by_addr():
    desk = Desk()
    master = desk.master()
    ask = votes.answer_is_master_down
    assert ask(desk.watch, MASTER, 0, "*") == (False, "*", 0)
    master.s_down = True
    assert ask(desk.watch, MASTER, 0, "*") == (True, "*", 0)
    assert ask(desk.watch, Address("10.0.0.1", 1), 5, A) == (False, "*", 0)
    assert ask(desk.watch, MASTER, 5, A) == (True, A, 5)
    assert ask(desk.watch, MASTER, 5, B) == (True, A, 5)
    desk.state.tilt = True
    assert ask(desk.watch, MASTER, 6, B) == (False, B, 6)


@pytest.mark.parametrize(
    ("epoch", "candidate"), [(-1, A), (2**63 - 1, A), (3, "x\ny"), (3, ""), (3, "a" * 41)]
)
def test_who_makes_no_sense_gets_no_vote(epoch, candidate):
    desk = Desk()
    master = desk.master(s_down=True)
    assert votes.answer_is_master_down(desk.watch, MASTER, epoch, candidate) == (True, "*", 0)
    assert (master.leader, desk.state.current_epoch, desk.published) == ("", 0, [])
    assert len(desk.lines) == 1


# -- which replica ---------------------------------------------------------------------------------

UNFIT = [
    ("it is down", {"s_down": True}),
    ("there is no connection to it", {"is_disconnected": True}),
    ("it has not answered for too long", {"available": NOW - 5001}),
    ("its priority is 0", {"priority": 0}),
    ("what is known of it is too old", {"info_time": NOW - 30_001}),
    ("its link to its master was down for too long", {"master_link_down": 300_001}),
]
FIT = [
    {},
    {"available": NOW - 5000},
    {"priority": 1},
    {"info_time": NOW - 30_000},
    {"master_link_down": 300_000},
    {"reconf": Reconf.DONE},
]


def _replica(desk, fields):
    replica = next(iter(desk.master(replicas=1).replicas.values()))
    for name, value in fields.items():
        setattr(replica.link if hasattr(replica.link, name) else replica, name, value)
    return replica


@pytest.mark.parametrize(("reason", "fields"), UNFIT, ids=[case[0] for case in UNFIT])
def test_why_a_replica_is_not_fit(reason, fields):
    replica = _replica(Desk(), fields)
    assert choosing.unfit(replica, NOW, TIMING) == reason
    assert choosing.best(replica.master, NOW, TIMING) is None


@pytest.mark.parametrize("fields", FIT, ids=str)
def test_a_replica_is_fit_at_the_limit(fields):
    replica = _replica(Desk(), fields)
    assert choosing.unfit(replica, NOW, TIMING) == ""
    assert choosing.best(replica.master, NOW, TIMING) is replica


def test_of_a_master_that_is_down_more_is_known_and_more_forgiven():
    replica = _replica(Desk(), {"info_time": NOW - 5001, "master_link_down": 340_000})
    replica.master.s_down, replica.master.s_down_since = True, NOW - 40_000
    assert choosing.unfit(replica, NOW, TIMING) == "what is known of it is too old"
    replica.info_time = NOW - 5000
    assert choosing.unfit(replica, NOW, TIMING) == ""
    replica.master_link_down = 340_001
    assert choosing.unfit(replica, NOW, TIMING) == "its link to its master was down for too long"


# Priority, offset and run id of each; the last of them is the best.
RANKS = [
    [(100, 5, "a"), (99, 0, "b")],  # the smaller priority, whatever the offset
    [(100, 5, "a"), (-1, 0, "b")],
    [(100, 5, "a"), (100, 6, "b")],  # the greater offset, whatever the run id
    [(100, 5, "b"), (100, 5, "a")],  # the smaller run id
    [(100, 5, "B"), (100, 5, "a")],  # in whatever case
    [(100, 5, ""), (100, 5, "f")],  # one that is known
    [(100, 5, "b"), (100, 5, "c"), (50, 1, "b"), (50, 1, ""), (50, 2, "z")],
]


@pytest.mark.parametrize("replicas", RANKS, ids=str)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_the_best_replica(replicas, is_reversed):
    master = Desk().master(replicas=len(replicas))
    found = list(master.replicas.values())
    if is_reversed:
        found.reverse()
    for replica, (priority, offset, run_id) in zip(found, replicas, strict=True):
        replica.priority, replica.offset, replica.run_id = priority, offset, run_id
    assert choosing.best(master, NOW, TIMING) is found[-1]


def test_of_equals_the_first_is_the_best():
    master = Desk().master()
    for replica in master.replicas.values():
        replica.run_id = ""
    assert choosing.best(master, NOW, TIMING) is next(iter(master.replicas.values()))


def test_a_replica_that_is_not_fit_is_not_chosen_for_its_offset():
    master = Desk().master()
    first, second = master.replicas.values()
    first.offset, first.priority = 100, 0
    assert choosing.best(master, NOW, TIMING) is second
