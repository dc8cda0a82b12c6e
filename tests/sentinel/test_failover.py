"""A failover, as a table and in a simulation: every way of the table, with its lines in order."""

import itertools

import pytest

from redislab.sentinel import report
from redislab.sentinel.failover import TABLE, Outcome, move
from redislab.sentinel.model import FailoverState, Reconf
from tests.sentinel.desk import Desk
from tests.sentinel.town import MASTER, Town

# What a real Sentinel that leads tells, in its order.
LEADER = [
    "+sdown",
    "+odown",
    "+new-epoch",
    "+try-failover",
    "+vote-for-leader",
    "+elected-leader",
    "+failover-state-select-slave",
    "+selected-slave",
    "+failover-state-send-slaveof-noone",
    "+failover-state-wait-promotion",
    "+promoted-slave",
    "+failover-state-reconf-slaves",
    "+slave-reconf-sent",
    "+slave-reconf-inprog",
    "+slave-reconf-done",
    "+failover-end",
    "+switch-master",
    "+slave",
    "+slave",
]
FOLLOWER = ["+new-epoch", "+vote-for-leader", "+config-update-from", "+switch-master"]
ABORTS = {
    "-failover-abort-not-elected",
    "-failover-abort-no-good-slave",
    "-failover-abort-slave-timeout",
}


def test_the_table_is_whole():
    assert set(TABLE) == set(FailoverState)
    ways = [way for stage in TABLE.values() for way in stage.ways.values()]
    assert {way.target for way in ways} == set(FailoverState)
    assert {outcome for stage in TABLE.values() for outcome in stage.ways} == set(Outcome)
    lines = {line.kind for way in ways for line in way.lines}
    assert lines >= ABORTS
    assert lines - ABORTS <= {*LEADER, "+failover-end-for-timeout"}
    aborting = {
        (state, line.kind)
        for state, stage in TABLE.items()
        for way in stage.ways.values()
        for line in way.lines
        if line.kind in ABORTS and way.target is FailoverState.NONE
    }
    assert {kind for _, kind in aborting} == ABORTS


def test_there_is_one_way_to_the_end_and_it_tells_what_real_sentinels_tell():
    told, state = [], FailoverState.NONE
    for outcome in (
        Outcome.STARTED,
        Outcome.ELECTED,
        Outcome.SELECTED,
        Outcome.SENT,
        Outcome.PROMOTED,
        Outcome.ALL_RECONFIGURED,
        Outcome.SWITCHED,
    ):
        way = TABLE[state].ways[outcome]
        told += [line.kind for line in way.lines]
        state = way.target
    assert state is FailoverState.NONE
    assert told == [kind for kind in LEADER if kind in set(told)]


def test_there_is_no_way_back_once_a_replica_is_promoted():
    for state in (FailoverState.RECONF_REPLICAS, FailoverState.UPDATE_CONFIG):
        assert {
            outcome
            for outcome, way in TABLE[state].ways.items()
            if way.target is FailoverState.NONE
        } <= {Outcome.SWITCHED, Outcome.OVERTAKEN}


def without(events, *prefixes):
    return [event for event in events if not event.startswith(prefixes)]


def test_the_whole_way():
    with Town() as town:
        town.world.run_for(20)
        town.world.kill(MASTER)
        town.world.run_for(60)
        leader = town.leader()
        assert without(town.events(leader), "-odown") == LEADER
        for follower in town.sentinels:
            if follower is leader:
                continue
            events = without(
                town.events(follower, since=""), "+sdown", "+odown", "-odown", "+slave"
            )
            assert [event for event in events if event in FOLLOWER] == FOLLOWER
        (address,) = {town.address(each) for each in town.sentinels}
        assert address in [(each.host, each.port) for each in town.replicas]
        promoted, other = sorted(town.replicas, key=lambda each: each.port != address[1])
        assert town.ask(promoted, "ROLE")[0] == b"master"
        assert town.ask(other, "ROLE")[:3] == [b"slave", address[0].encode(), address[1]]
        for each in town.sentinels:
            assert town.shown(each)["config-epoch"] == "1"


def test_the_old_master_comes_back_as_a_replica():
    with Town(down_after_milliseconds=1000) as town:
        town.world.run_for(12)
        town.world.kill(MASTER)
        town.wait(lambda: all("+sdown slave" in town.log(each) for each in town.sentinels))
        town.world.restart(MASTER)
        town.world.run_for(20)
        role, host, port, *_ = town.ask(town.master, "ROLE")
        assert (role, host.decode(), port) == (b"slave", *town.address(town.sentinels[0]))
        assert any("+convert-to-slave slave" in town.log(each) for each in town.sentinels)
        town.wait(lambda: all("-sdown slave" in town.log(each) for each in town.sentinels))


def test_a_replica_that_follows_another_one_is_put_right():
    with Town(failover_timeout=5000) as town:
        town.world.run_for(12)
        first, second = town.replicas
        town.ask(first, "REPLICAOF", second.host, second.port)
        town.wait(lambda: town.ask(first, "ROLE")[2] == town.master.port)
        assert any("+fix-slave-config" in town.log(each) for each in town.sentinels)


def test_a_replica_that_is_made_a_master_by_hand_is_put_right():
    with Town() as town:
        town.world.run_for(12)
        town.ask(town.replicas[0], "REPLICAOF", "NO", "ONE")
        town.wait(lambda: town.ask(town.replicas[0], "ROLE")[0] == b"slave")
        assert any("+convert-to-slave" in town.log(each) for each in town.sentinels)


def test_by_command_while_the_master_is_up():
    with Town() as town:
        town.world.run_for(12)
        first = town.sentinels[0]
        assert town.ask(first, "SENTINEL", "FAILOVER", "mymaster")
        town.world.run_for(10)
        expected = LEADER[2:]
        assert town.events(first, since="+new-epoch") == expected
        assert "Executing user requested FAILOVER of 'mymaster'" in town.log(first)
        assert len({town.address(each) for each in town.sentinels}) == 1
        town.wait(lambda: town.ask(town.master, "ROLE")[0] == b"slave")


def test_a_minority_is_not_elected():
    with Town(failover_timeout=20_000, down_after_milliseconds=1000, quorum=1) as town:
        town.world.run_for(12)
        first, *others = town.sentinels
        for each in (*others, town.master):
            town.world.kill(each.name)
        town.wait_for(first, "-failover-abort-not-elected", 30)
        events = without(town.events(first), "+sdown")
        assert events == ["+odown", *LEADER[2:5], "-failover-abort-not-elected"]
        assert "Next failover delay: I will not start a failover before" not in town.log(first)
        town.world.run_for(1)
        assert town.log(first).count("Next failover delay: I will not start a failover before") == 1
        assert town.shown(first)["flags"] == "s_down,o_down,master,disconnected"
        town.wait(lambda: town.log(first).count("+try-failover") == 2, 45)


def test_a_quorum_that_is_not_reached():
    with Town(quorum=3, down_after_milliseconds=1000) as town:
        town.world.run_for(12)
        town.world.kill(town.sentinels[2].name)
        town.world.kill(MASTER)
        town.world.run_for(30)
        for each in town.sentinels[:2]:
            assert "+sdown master" in town.log(each)
            assert "+odown" not in town.log(each)


def test_no_replica_is_fit():
    with Town(config={"replica-priority": "0"}, down_after_milliseconds=1000) as town:
        town.world.run_for(12)
        town.world.kill(MASTER)
        leader = town.sentinels[0]
        town.wait(lambda: any("-failover-abort-no-good" in town.log(s) for s in town.sentinels))
        leader = town.leader()
        events = without(town.events(leader), "-odown")
        assert events == [*LEADER[:7], "-failover-abort-no-good-slave"]


def test_the_chosen_replica_never_says_that_it_is_a_master():
    settings = {"failover_timeout": 4000, "down_after_milliseconds": 60_000}
    with Town(replicas=1, **settings) as town:
        town.world.run_for(12)
        first = town.sentinels[0]
        town.ask(first, "SENTINEL", "FAILOVER", "mymaster")
        town.wait_for(first, "+selected-slave", 5)
        town.world.pause(town.replicas[0].name)
        town.wait_for(first, "-failover-abort-slave-timeout", 30)
        events = town.events(first, since="+new-epoch")
        assert events == [*LEADER[2:10], "-failover-abort-slave-timeout"]
        assert town.address(first)[1] == town.master.port
        assert "promoted" not in town.shown(first, "REPLICAS")[0]["flags"]


def test_a_replica_that_cannot_follow_ends_the_failover_by_time():
    with Town(failover_timeout=8000, down_after_milliseconds=30_000) as town:
        town.world.run_for(12)
        first = town.sentinels[0]
        town.ask(first, "SENTINEL", "FAILOVER", "mymaster")
        town.wait_for(first, "+promoted-slave", 5)
        promoted = f"redis-{town.address(first)[1]}"
        other = next(each.name for each in town.replicas if each.name != promoted)
        # It is told to follow the new master, and cannot reach it.
        town.world.cut(promoted, other)
        town.wait_for(first, "+switch-master", 40)
        events = town.events(first, since="+slave-reconf-sent")
        assert events[:4] == [
            "+slave-reconf-sent",
            "+slave-reconf-inprog",
            "+failover-end-for-timeout",
            "+failover-end",
        ]


def test_a_replica_that_does_not_hear_is_given_up_after_ten_seconds():
    # With one place, and that one taken, nobody looks at how long it has been.
    settings = {"failover_timeout": 30_000, "down_after_milliseconds": 60_000, "parallel_syncs": 2}
    with Town(**settings) as town:
        town.world.run_for(12)
        first = town.sentinels[0]
        town.ask(first, "SENTINEL", "FAILOVER", "mymaster")
        town.wait_for(first, "+promoted-slave", 5)
        promoted = f"redis-{town.address(first)[1]}"
        other = next(each for each in town.replicas if each.name != promoted)
        town.world.pause(other.name)
        town.wait_for(first, "+switch-master", 40)
        assert town.events(first, since="+slave-reconf-sent")[:4] == [
            "+slave-reconf-sent",
            "-slave-reconf-sent-timeout",
            "+slave-reconf-sent",
            "+failover-end",
        ]


def test_who_was_given_up_is_shown_as_one_that_has_arrived():
    desk = Desk()
    replica = next(iter(desk.master().replicas.values()))
    replica.reconf, replica.is_given_up = Reconf.SENT, True
    shown = report.instance(desk.state, replica, desk.now, 2)
    assert b"\r\nslave,reconf_sent,reconf_done\r\n" in shown


@pytest.mark.parametrize("parallel", [1, 3])
def test_replicas_are_sent_to_the_new_master_so_many_at_a_time(parallel):
    with Town(replicas=4, parallel_syncs=parallel) as town:
        town.world.run_for(12)
        first = town.sentinels[0]
        town.ask(first, "SENTINEL", "FAILOVER", "mymaster")
        town.wait_for(first, "+failover-end", 30)
        at_once = most = 0
        for event in town.events(first, since="+slave-reconf-sent"):
            at_once += (event == "+slave-reconf-sent") - (event == "+slave-reconf-done")
            most = max(most, at_once)
        assert most == parallel


@pytest.mark.parametrize("point", ["election", "promotion"])
def test_simulated_failures(point):
    with Town(down_after_milliseconds=2000, failover_timeout=10_000) as town:
        town.world.run_for(12)
        for each in town.sentinels:
            town.ask(each, "SENTINEL", "SIMULATE-FAILURE", f"crash-after-{point}")
        town.world.kill(MASTER)
        town.wait(lambda: any("simulate-failure" in town.log(each) for each in town.sentinels))
        (dead,) = [each for each in town.sentinels if town.world.state(each.name) == "stopped"]
        *_, event, crash = town.log(dead).splitlines()
        assert {"election": "+elected-leader", "promotion": "+promoted-slave"}[point] in event
        assert crash.endswith("# Sentinel CRASH because of SENTINEL simulate-failure")
        # The others finish it: with the master that was promoted, or one that they promote.
        rest = [each for each in town.sentinels if each is not dead]
        for each in rest:
            town.ask(each, "SENTINEL", "SIMULATE-FAILURE", "HELP")
        town.wait(lambda: all(town.address(s)[1] != town.master.port for s in rest), 120)
        town.world.run_for(30)
        (address,) = {town.address(each) for each in rest}
        assert town.ask(town.server(address[1]), "ROLE")[0] == b"master"


def test_a_clock_that_jumps_makes_a_sentinel_watch_and_not_act():
    with Town(down_after_milliseconds=1000) as town:
        town.world.run_for(12)
        first, second, _ = town.sentinels
        town.world.jump(first.name, 10)
        town.world.run_for(1)
        assert "+tilt #tilt mode entered" in town.log(first)
        assert "sdown" not in town.log(first)
        assert b"sentinel_tilt:1" in town.ask(first, "INFO", "sentinel")
        town.world.kill(MASTER)
        town.world.run_for(5)
        assert "+sdown master" in town.log(second)
        assert "+sdown" not in town.log(first)
        town.world.run_for(30)
        assert "-tilt #tilt mode exited" in town.log(first)


def test_a_sentinel_that_stood_still_is_in_tilt():
    with Town() as town:
        town.world.run_for(5)
        first = town.sentinels[0]
        town.world.pause(first.name)
        town.world.run_for(3)
        town.world.resume(first.name)
        town.world.run_for(1)
        assert "+tilt #tilt mode entered" in town.log(first)


def test_a_master_that_restarts_is_down_after_its_own_time():
    settings = {"master_reboot_down_after_period": 1500, "down_after_milliseconds": 60_000}
    with Town(**settings) as town:
        town.world.run_for(12)
        town.world.restart(MASTER)
        town.world.run_for(12)
        for each in town.sentinels:
            assert "+reboot master mymaster" in town.log(each)
            assert "+sdown" not in town.log(each)


def test_several_masters_have_one_link_to_each_sentinel():
    with Town() as town:
        other = town.add_replica(6390)
        town.ask(other, "REPLICAOF", "NO", "ONE")
        for each in town.sentinels:
            town.ask(each, "SENTINEL", "MONITOR", "other", other.host, other.port, 2)
        town.world.run_for(12)
        for each in town.sentinels:
            peers = town.shown(each, "SENTINELS")
            assert [peer["link-refcount"] for peer in peers] == ["2", "2"]
        town.world.kill(MASTER)
        town.world.run_for(60)
        assert {town.address(each)[1] for each in town.sentinels} <= {6380, 6381}
        for each in town.sentinels:
            assert "+sdown master other" not in town.log(each)
            assert "+switch-master mymaster" in town.log(each)


def test_histories_are_the_same_for_the_same_seed():
    def history(seed):
        with Town(seed=seed, down_after_milliseconds=3000) as town:
            town.world.run_for(12)
            town.world.kill(MASTER)
            town.world.run_for(20)
            return [town.log(each) for each in town.sentinels]

    assert history(3) == history(3)
    assert history(3) != history(4)


def test_a_failover_needs_its_steps():
    desk = Desk()
    master = desk.master()
    for state, outcome in itertools.product(FailoverState, Outcome):
        if outcome not in TABLE[state].ways:
            master.state = state
            with pytest.raises(KeyError):
                move(desk.watch, master, outcome)
