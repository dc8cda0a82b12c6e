"""Fault schedules: plain data, checks that see what they forbid, and labs that come through."""

import json
import random
import shutil
from dataclasses import replace

import pytest

from redislab import SentinelLab
from redislab.chaos.checks import Checks, Failure, unfitness
from redislab.chaos.command import carry_out, main, seeds
from redislab.chaos.compare import Comparison, summary
from redislab.chaos.draw import draw
from redislab.chaos.run import Run, settle_seconds
from redislab.chaos.schedule import Action, Schedule, Setup
from redislab.chaos.shrink import shrink
from redislab.chaos.sights import Sight
from redislab.labs.writer import Lost, Reign
from redislab.sentinel import choosing
from redislab.sentinel.node import SentinelNode
from redislab.worlds.base import LogLine
from tests.sentinel.desk import Desk

needs_redis = pytest.mark.skipif(
    not (shutil.which("redis-server") and shutil.which("redis-sentinel")),
    reason="no redis-server or no redis-sentinel",
)
MINUTES = 1.5
A, B = "a" * 40, "b" * 40


# -- schedules as data -----------------------------------------------------------------------------


def test_a_schedule_survives_json_and_is_the_same_for_the_same_seed():
    schedule = draw(7, 300.0)
    assert schedule == draw(7, 300.0) != draw(8, 300.0)
    assert Schedule.from_json(schedule.to_json()) == schedule
    assert [action.at for action in schedule.actions] == sorted(a.at for a in schedule.actions)
    assert {action.do for seed in range(20) for action in draw(seed, 300.0).actions} == {
        *("kill", "power_off", "restart", "pause", "resume"),
        *("cut", "delay", "heal", "drift", "jump"),
    }
    real = schedule.for_world("live")
    assert {action.do for action in real.actions}.isdisjoint({"power_off", "drift", "jump"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "an object with seed"),
        ('{"seed": 1, "seconds": 2, "setup": {"nodes": 3}}', "nodes: of Setup there is replicas"),
        ('{"seed": 1, "seconds": 2, "actions": [{"at": 1, "do": "sing"}]}', "can 'sing'"),
        ('{"seed": 1, "seconds": 2, "actions": [{"at": 1}]}', "missing"),
        ('{"seed": 1, "seconds": 2, "actions": [3]}', "not 3"),
        ('{"seed": 1, "seconds": 2, "actions": [{"at": 1, "do": "kill", "a": "x"}]}', "of 'x'"),
        ('{"seed": 1, "seconds": 2, "actions": [{"at": 1, "do": "cut", "a": "redis-1"}]}', "of ''"),
    ],
)
def test_a_schedule_that_is_none_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Schedule.from_json(text)


def test_a_schedule_as_a_program_does_the_same():
    actions = (
        Action(0.5, "cut", "redis-1", "sentinel-1", "a->b"),
        Action(1.0, "kill", "redis-2"),
        Action(1.0, "delay", "redis-1", "redis-3", seconds=0.2),
        Action(1.5, "heal", "redis-1", "redis-3"),
        Action(2.0, "restart", "redis-2"),
        Action(2.0, "drift", "redis-2", rate=1.01),
        Action(2.5, "heal"),
    )
    schedule = Schedule(5, 3.0, Setup(), actions)
    scope = {}
    exec(schedule.code(), scope)
    with scope["lab"] as lab:
        done = [event.kind for event in lab.events if event.time > 2 and event.kind[0] not in "+-"]
        assert done == ["cut", "kill", "delay", "heal", "start", "drift", "heal"]


def test_what_is_not_needed_to_fail_is_left_out():
    schedule = draw(3, 300.0)
    needed = random.Random(1).sample(schedule.actions, 3)
    asked = []

    def fails(shorter):
        asked.append(shorter)
        return set(needed) <= set(shorter.actions)

    short = shrink(schedule, fails)
    assert sorted(needed, key=lambda action: action.at) == list(short.actions)
    assert short.seconds == pytest.approx(max(action.at for action in needed) + 1)
    assert len(asked) < len(schedule.actions) / 2


# -- checks ----------------------------------------------------------------------------------------


def told(checks, name, *events, at=1.0):
    for event in events:
        checks.line(name, LogLine(at, f"7:X 01 Jan 2025 00:00:01.000 # {event}"))
    return [failure.what for failure in checks.failures]


def test_two_votes_in_an_epoch_are_seen_also_over_a_restart():
    checks = Checks()
    assert told(checks, "one", f"+vote-for-leader {A} 1", f"+vote-for-leader {A} 1") == []
    assert told(checks, "one", f"+vote-for-leader {B} 2") == []
    assert told(checks, "two", f"+vote-for-leader {B} 1") == []
    (failure,) = told(checks, "one", f"+vote-for-leader {B} 1")
    assert failure == f"one votes for {B} in epoch 1, after {A}"


def test_two_leaders_in_an_epoch_are_seen():
    checks = Checks()
    steps = ("+new-epoch 4", "+try-failover master", "+new-epoch 5", "+elected-leader master")
    assert told(checks, "one", *steps) == []
    assert told(checks, "two", "+new-epoch 5", "+try-failover m", "+elected-leader m") == []
    assert checks.leaders == {4: "one", 5: "two"}
    (failure,) = told(checks, "two", "+new-epoch 4", "+try-failover m", "+elected-leader m")
    assert failure == "two is elected in epoch 4, in which one was"


@pytest.mark.parametrize("what", ["epoch", "config_epoch", "leader_epoch"])
def test_an_epoch_that_goes_back_is_seen(what):
    checks = Checks()
    sight = Sight("one", 5, 5, 5, A, "127.0.0.1:6379")
    checks.look(1.0, [sight])
    checks.look(2.0, [replace(sight, leader=B)])
    assert not checks.failures
    checks.look(3.0, [replace(sight, **{what: 4})])
    assert f"at 3.000 s: the {what} of one goes back from 5 to 4" in map(str, checks.failures)


def test_a_vote_that_could_not_be_asked_for_is_no_step_back():
    """A real Sentinel has gone on to another master between two questions."""
    checks = Checks()
    sight = Sight("one", -1, 5, 5, A, "127.0.0.1:6379")
    for epoch, leader in ((-1, ""), (5, A), (-1, ""), (-1, ""), (5, A), (6, B)):
        checks.look(1.0, [replace(sight, leader=leader, leader_epoch=epoch)])
    assert not checks.failures
    checks.look(2.0, [replace(sight, leader="", leader_epoch=-1)])
    checks.look(3.0, [sight])
    assert [str(each) for each in checks.failures] == [
        "at 3.000 s: the leader_epoch of one goes back from 6 to 5"
    ]


def test_two_masters_in_an_epoch_are_seen():
    checks = Checks()
    sight = Sight("one", 5, 5, 5, A, "127.0.0.1:6379")
    checks.look(1.0, [sight, replace(sight, name="two")])
    assert not checks.failures
    checks.look(2.0, [replace(sight, name="two", master="127.0.0.1:6380")])
    assert [failure.what for failure in checks.failures] == [
        "two names 127.0.0.1:6380 in epoch 5, in which one named 127.0.0.1:6379"
    ]


def test_a_leader_that_is_overtaken_is_only_noted():
    checks = Checks()
    told(checks, "one", "+new-epoch 5", "+try-failover master", "+elected-leader master")
    told(checks, "two", "+new-epoch 6", "+try-failover master", "+elected-leader master")
    leading = Sight("one", 5, 5, 5, A, "127.0.0.1:6380", leads=True)
    other = Sight("two", 6, 6, 6, B, "127.0.0.1:6379")
    checks.look(1.0, [leading])
    checks.look(2.0, [other, replace(leading, config_epoch=6)])
    checks.look(3.0, [replace(leading, config_epoch=6, leads=False)])
    # Whoever hears of it names it as well.
    checks.look(4.0, [replace(other, name="three", master="127.0.0.1:6380")])
    assert not checks.failures
    (note,) = checks.notes
    assert note.what == (
        "one, overtaken in its failover, names 127.0.0.1:6380 in epoch 6,"
        " the master of which is 127.0.0.1:6379"
    )


@pytest.mark.parametrize(
    "world", ["sim", pytest.param("redis", marks=[pytest.mark.redis, needs_redis])]
)
def test_a_leader_takes_over_a_later_epoch_of_its_old_master_and_goes_on(world):
    patient = {"down_after_ms": 60_000, "failover_timeout_ms": 60_000}
    with SentinelLab(world=world, seed=7, sentinels=1, quorum=1, **patient) as lab:
        first, second, third = lab.servers
        lab.pause(third)
        lab.run_for(6)  # it is not fit any more
        lab.failover()
        lab.wait_until(lambda now: now.sentinels[0].failover == "reconf_slaves", timeout=30)
        hello = f"127.0.0.1,26399,{B},9,{lab.service},{first.host},{first.port},9"
        lab.sentinel_client().publish("__sentinel__:hello", hello)
        lab.resume(third)
        now = lab.wait_until(lambda now: not now.sentinels[0].failover, timeout=30)
        assert (now.named, now.sentinels[0].config_epoch) == (second.name, 9)
        assert "+config-update-from" not in [event.kind for event in lab.events]


def test_an_epoch_that_was_not_in_the_file_is_only_noted():
    checks = Checks()
    sight = Sight("one", 5, 5, 5, A, "127.0.0.1:6379")
    checks.look(1.0, [sight])
    checks.ended("one")
    checks.look(2.0, [replace(sight, config_epoch=4)])
    assert not checks.failures
    assert "not in its file" in checks.notes[0].what
    checks.look(3.0, [replace(sight, config_epoch=3)])
    assert len(checks.failures) == 1


@pytest.mark.parametrize(
    "world", ["sim", pytest.param("redis", marks=[pytest.mark.redis, needs_redis])]
)
def test_a_sentinel_does_not_write_an_epoch_alone_into_its_file(world):
    with SentinelLab(world=world, seed=7, replicas=1, sentinels=1, quorum=1) as lab:
        first, _ = lab.servers
        hello = f"127.0.0.1,26399,{B},0,{lab.service},{first.host},{first.port},"
        client = lab.sentinel_client()
        client.publish("__sentinel__:hello", hello + "0")  # it gets to know who says so
        client.publish("__sentinel__:hello", hello + "9")
        assert lab.snapshot().sentinels[0].config_epoch == 9
        lab.kill("sentinel-1")
        lab.restart("sentinel-1")
        assert lab.snapshot().sentinels[0].config_epoch == 0


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"s_down": True}, "down"),
        ({"priority": 0}, "never"),
        ({"info_time": 1}, "not heard"),
        ({"master_link_down": 10 * 30_000 + 1}, "without its master"),
        ({}, ""),
    ],
)
def test_a_replica_that_was_not_fit_is_seen(changes, wrong):
    desk = Desk()
    master = desk.master()
    first, second = master.replicas.values()
    for replica in (first, second):
        replica.link.has_commands = True
    second.offset = 10
    for name, value in changes.items():
        setattr(second, name, value)
    problem = unfitness(master, second, desk.now)
    assert wrong in problem
    assert bool(problem) == bool(wrong)
    checks = Checks()
    for replica in (first, second):
        detail = f"slave {replica.name} 10.0.1.1 6380 @ mymaster 10.0.0.1 6379"
        checks.choice(1.0, "one", detail, desk.state, desk.now)
    expected = f"one promotes {second.name}, {problem}"
    if not wrong:
        expected = f"one promotes {first.name}, and {second.name} is better"
    assert [failure.what for failure in checks.failures] == [expected]


# -- labs that come through ------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(1, 41, 5))
def test_nothing_fails_in_these_schedules(first):
    for seed in range(first, first + 5):
        report = carry_out(draw(seed, 60 * MINUTES))
        assert report.is_good, f"{report.line()}\n{report.failures}"
        assert report.acknowledged > report.writes / 2
        assert report.reads


def test_a_server_whose_clock_was_set_back_syncs_late_and_its_losses_say_so():
    report = carry_out(draw(507, 600.0))
    assert report.is_good, f"{report.line()}\n{report.failures}"
    lost = [each for each in report.lost if each.reason == "power failure"]
    assert max(each.since - each.acknowledged for each in lost) > 2.5


def forgets(monkeypatch):
    monkeypatch.setattr(SentinelNode, "flush_config", lambda _self: True)


def takes_the_worst(monkeypatch):
    monkeypatch.setattr(choosing, "rank", lambda replica: (replica.offset, replica.name))


def takes_any(monkeypatch):
    monkeypatch.setattr(choosing, "unfit", lambda *_: "")


@pytest.mark.parametrize(
    ("bug", "replicas", "actions", "found"),
    [
        (
            forgets,
            2,
            [(1, "kill", "redis-1"), (8, "power_off", "sentinel-1"), (9, "restart", "sentinel-1")],
            "the epoch of sentinel-1 goes back from 1 to 0",
        ),
        (
            takes_the_worst,
            2,
            [(1, "cut", "redis-1", "redis-2"), (4, "kill", "redis-1")],
            "promotes 127.0.0.1:6380, and 127.0.0.1:6381 is better",
        ),
        (
            takes_any,
            1,
            [(1, "pause", "redis-2"), (4, "kill", "redis-1")],
            "promotes 127.0.0.1:6380, which is down",
        ),
    ],
)
def test_a_sentinel_with_a_bug_is_found_out(monkeypatch, bug, replicas, actions, found):
    setup = Setup(replicas=replicas, down_after_ms=1000, failover_timeout_ms=6000)
    schedule = Schedule(7, 12.0, setup, tuple(Action(*action) for action in actions))
    assert carry_out(schedule).is_good
    bug(monkeypatch)
    failures = carry_out(schedule).failures
    assert any(found in failure.what for failure in failures), failures


def test_the_same_seed_has_the_same_history():
    def history():
        run = Run(draw(13, 60.0), keep_journal=True)
        report = run.run()
        journal = run.lab.journal.to_json()
        run.close()
        return replace(report, wall_s=0.0), journal

    assert history() == history()


def test_a_leader_that_ends_when_it_has_promoted_finds_that_in_its_file():
    with SentinelLab(seed=7, down_after_ms=1000, failover_timeout_ms=6000) as lab:
        ended = []

        def end(name, line):
            if "+promoted-slave" in line.text:
                ended.append(name)
                lab.place.loop.schedule(lab.now, lambda _: lab.kill(name), None)

        lab.place.log_watchers.append(end)
        lab.kill("redis-1")
        lab.wait_until(lambda _: ended, timeout=10)
        assert lab.place.state(ended[0]) == "killed"
        promoted = lab.reigns()[-1].node
        for name in lab.nodes:
            if name != ended[0]:
                lab.cut(ended[0], name)
        lab.restart(ended[0])
        assert lab.snapshot().sentinel(ended[0]).master == promoted


@pytest.mark.slow
@pytest.mark.redis
@needs_redis
def test_the_same_schedule_on_real_programs_comes_out_alike(tmp_path, capsys):
    actions = (
        Action(0.1, "pause", "sentinel-2"),
        Action(0.2, "jump", "sentinel-3", seconds=3.0),
        Action(0.5, "kill", "redis-1"),
        Action(0.7, "delay", "sentinel-1", "redis-3", seconds=0.05),
        Action(3.0, "resume", "sentinel-2"),
        Action(4.0, "restart", "redis-1"),
        Action(4.5, "cut", "sentinel-3", "redis-2", "a->b"),
        Action(5.5, "heal", "sentinel-3", "redis-2"),
    )
    setup = Setup(down_after_ms=1000, failover_timeout_ms=6000, write_rate=20.0)
    path = tmp_path / "short.json"
    path.write_text(Schedule(7, 6.0, setup, actions).to_json())
    assert main(["--schedule", str(path), "--against", "redis", "--journal", str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in shown if "faults" in line] == [
        "sim, seed 7",
        "redis, seed 7",
    ]
    assert "    1 actions left out that not both worlds can do" in shown
    assert shown[-1].startswith("1 schedules in two worlds: ")
    assert shown[-1].endswith("0 failed in sim, 0 failed in redis")
    for world in ("sim", "redis"):
        report = json.loads((tmp_path / world / "seed-7.report.json").read_text())
        assert report["reigns"][0]["node"] == "redis-1"
        assert len(report["reigns"]) >= 2
        assert report["failovers"] >= 1
        reasons = {each["reason"] for each in report["lost"]}
        assert reasons <= {"asynchronous replication", "split brain"}
        # A failover takes a second to notice and another to do; all were refused meanwhile.
        assert 0.5 < report["acknowledged"] / report["writes"] < 0.99


def test_what_came_out_otherwise_is_told_in_words():
    one = carry_out(Schedule(7, 3.0, Setup(), (Action(1.0, "pause", "redis-1"),)))
    same = replace(one, world="redis", settled_s=4.2)
    assert Comparison(one, same).differences == []
    assert Comparison(one, same).lines()[0] == "  sim / redis: alike"
    assert Comparison(one, same).lines()[1].endswith(f"well after {one.settled_s:.1f} s / 4.2 s")
    lost = Lost("k", 1.0, "redis-1", "split brain")
    other = replace(
        same,
        failures=(Failure(1.0, "so"),),
        reigns=(*one.reigns, Reign(2.0, "redis-9")),
        failovers=one.failovers + 1,
        lost=(lost,),
        settled_s=None,
        writes=0,
    )
    found = Comparison(one, other)
    masters = ", ".join(reign.node for reign in one.reigns)
    assert found.differences == [
        "how it ended: well / failed",
        f"masters: {masters} / {masters}, redis-9",
        f"elections won: {one.failovers} / {one.failovers + 1}",
        "ways of loss: none / split brain",
    ]
    assert found.lines()[1].endswith("/ nothing, lost 0 / 1, well after 1.0 s / never")
    assert summary([Comparison(one, same), found]) == (
        "2 schedules in two worlds: 1 came out alike; 0 failed in sim, 1 failed in redis"
    )


def test_what_is_undone_is_no_fault():
    drift = (Action(0.5, "drift", "redis-1", rate=1.01), Action(0.6, "drift", "redis-1"))
    cut = (Action(1.0, "cut", "redis-1", "redis-2"), Action(2.0, "heal", "redis-1", "redis-2"))
    kill = (Action(3.0, "kill", "redis-1"), Action(4.0, "restart", "redis-1"))
    assert Schedule(7, 9.0, Setup(), (*drift, *cut, *kill)).faults == 3


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"), [("7", [7]), ("1..3", [1, 2, 3]), ("1..2,9", [1, 2, 9])]
)
def test_seeds_are_ranges_and_lists(text, expected):
    assert seeds(text) == expected


@pytest.mark.parametrize(
    "words",
    [
        ["--seeds", "x"],
        ["--seeds", "3..1"],
        ["--minutes", "0"],
        ["--jobs", "-1"],
        ["--against", "sim"],
    ],
)
def test_bad_arguments_are_refused(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_what_cannot_be_written_or_run_is_told_in_a_line(tmp_path, monkeypatch, capsys):
    missing = tmp_path / "missing" / "short.json"
    assert main(["--export", str(missing), "--minutes", "0.1"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        f"redislab chaos: error: [Errno 2] No such file or directory: '{missing}'"
    ]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--world", "redis", "--minutes", "0.1"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    [line] = told.err.splitlines()
    assert "apt install redis-server" in line


def test_a_run_leaves_its_schedule_its_report_and_a_diagram(tmp_path, capsys):
    out = tmp_path / "out"
    short = Schedule(7, 8.0, Setup(down_after_ms=1000), (Action(1.0, "kill", "redis-1"),))
    (tmp_path / "short.json").write_text(short.to_json())
    assert main(["--schedule", str(tmp_path / "short.json"), "--journal", str(out)]) == 0
    assert capsys.readouterr().out.startswith("seed 7: ok, 1 faults, 1 failovers")
    assert Schedule.from_json((out / "seed-7.json").read_text()) == short
    report = json.loads((out / "seed-7.report.json").read_text())
    assert report["failures"] == []
    assert len(report["reigns"]) == 2
    assert report["settle_max_s"] == settle_seconds(short.setup)
    page = (out / "seed-7.html").read_text()
    for word in ("is-master-down-by-addr", "+odown", "SLAVEOF", "sentinel-3"):
        assert word in page
    assert "+switch-master" in (out / "seed-7.log").read_text()


def test_a_run_that_breaks_off_fails_and_names_the_command_that_does_it_again(capsys, tmp_path):
    impossible = Schedule(7, 1.0, Setup(quorum=0))
    report = carry_out(impossible)
    assert not report.is_good
    assert "broke off" in report.failures[0].what
    path = tmp_path / "impossible.json"
    path.write_text(impossible.to_json())
    assert main(["--schedule", str(path)]) == 1
    shown = capsys.readouterr().out
    assert f"again: redislab chaos --lab sentinel --schedule {path} --journal chaos-7" in shown
    assert str(Failure(1.0, "so")) == "at 1.000 s: so"
