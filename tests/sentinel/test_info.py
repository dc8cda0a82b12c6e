"""What a Sentinel reads in an INFO, true or not, and what it makes of it."""

import pytest

from redislab.sentinel import info
from redislab.sentinel.model import Address, FailoverState, Reconf, Role
from tests.sentinel.desk import MASTER, NOW, OWN_ID, Desk

RUN_ID = "9" * 40
MASTER_INFO = (
    f"# Server\r\nrun_id:{RUN_ID}\r\n# Replication\r\nrole:master\r\nconnected_slaves:2\r\n"
    "slave0:ip=10.0.1.1,port=6380,state=online,offset=14,lag=1\r\n"
    "slave1:10.0.1.1,6381,online\r\n"
).encode()


def replica_info(**fields):
    shown = {
        "role": "slave",
        "master_host": MASTER.host,
        "master_port": MASTER.port,
        "master_link_status": "up",
        "slave_repl_offset": 77,
        "slave_priority": 90,
        "replica_announced": 1,
    } | fields
    return "".join(f"{name}:{value}\r\n" for name, value in shown.items()).encode()


def test_what_a_master_tells():
    report = info.read(MASTER_INFO)
    assert report.role is Role.MASTER
    assert report.run_id == RUN_ID
    assert report.replicas == [Address("10.0.1.1", 6380), Address("10.0.1.1", 6381)]


def test_what_a_replica_tells():
    report = info.read(replica_info(master_link_down_since_seconds=12, master_link_status="down"))
    assert (report.role, report.master_host, report.master_port) == (Role.REPLICA, *MASTER)
    assert (report.link_is_up, report.link_down_ms) == (False, 12_000)
    assert (report.offset, report.priority, report.announced) == (77, 90, True)


def test_a_master_has_no_master_whatever_it_says():
    report = info.read(replica_info(role="master"))
    assert (report.role, report.master_host, report.offset) == (Role.MASTER, None, None)


# Lines, and what is read in them.
NUMBERS = [
    ("slave_repl_offset:-5", "offset", 0),
    ("slave_repl_offset:99999999999999999999999999", "offset", 2**63 - 1),
    ("slave_repl_offset:12abc", "offset", 12),
    ("slave_repl_offset:abc", "offset", 0),
    ("slave_repl_offset:", "offset", 0),
    ("slave_priority:-5", "priority", -5),
    ("slave_priority:99999999999", "priority", 2**31 - 1),
    ("master_port:\x00", "master_port", 0),
    ("master_link_down_since_seconds:-1", "link_down_ms", -1000),
    ("run_id:tooshort", "run_id", None),
]


@pytest.mark.parametrize(("line", "field", "value"), NUMBERS)
def test_numbers_that_are_none(line, field, value):
    assert getattr(info.read(b"role:slave\r\n" + line.encode()), field) == value


def test_a_master_names_its_replicas():
    desk = Desk()
    master = desk.master(replicas=0)
    info.take(desk.watch, master, MASTER_INFO)
    info.take(desk.watch, master, MASTER_INFO)
    assert list(master.replicas) == ["10.0.1.1:6380", "10.0.1.1:6381"]
    assert master.run_id == RUN_ID
    assert desk.published == [
        ("+slave", f"slave 10.0.1.1:{port} 10.0.1.1 {port} @ mymaster 10.0.0.1 6379")
        for port in (6380, 6381)
    ]
    assert desk.saved == 2


@pytest.mark.parametrize(
    "line",
    [
        "slave0:ip=10.0.1.1,port=66000,state=online",
        "slave0:ip=10.0.1.1,port=-1,state=online",
        "slave0:ip=no.such.host,port=6390,state=online",
        "slave0:ip=10.0.1.1\nsentinel monitor x,port=6390,state=online",
        "slave0:ip=,port=6390,state=online",
        "slave0:\x00\xff,\x00,",
    ],
)
def test_a_replica_at_no_address_is_logged_and_not_taken(line):
    desk = Desk()
    master = desk.master(replicas=0)
    for _ in range(3):
        info.take(desk.watch, master, f"role:master\r\n{line}\r\n".encode())
    assert (master.replicas, desk.published, desk.saved) == ({}, [], 0)
    assert len(desk.lines) == 1
    assert "\n" not in desk.lines[0]


@pytest.mark.parametrize("line", ["slave0:", "slave0:ip=10.0.1.1", "slave0:10.0.1.1,6380", "slave"])
def test_half_a_replica_is_none(line):
    desk = Desk()
    master = desk.master(replicas=0)
    info.take(desk.watch, master, f"role:master\r\n{line}\r\n".encode())
    assert (master.replicas, desk.lines) == ({}, [])


@pytest.mark.parametrize("text", [b"", b"\x00\xff" * 99, b"role:king\r\n", b"run_id:" + b"5" * 40])
def test_an_info_without_a_role_changes_no_mind(text):
    desk = Desk()
    master = desk.master()
    for instance in (master, *master.replicas.values()):
        before = instance.role_reported, instance.run_id
        info.take(desk.watch, instance, text)
        info.take(desk.watch, instance, text)
        assert (instance.role_reported, instance.run_id) == before
    assert (desk.published, len(desk.lines)) == ([], 3)


def test_another_run_id_is_a_reboot():
    desk = Desk()
    master = desk.master(replicas=0)
    info.take(desk.watch, master, MASTER_INFO)
    assert "+reboot" not in desk.events
    info.take(desk.watch, master, MASTER_INFO.replace(b"9" * 40, b"8" * 40))
    assert (desk.events[-1], master.run_id, master.rebooted) == ("+reboot", "8" * 40, False)
    master.reboot_down_after = 1000
    info.take(desk.watch, master, MASTER_INFO)
    assert (master.rebooted, master.rebooted_since) == (True, NOW)


def test_a_role_that_changes_is_told_once():
    desk = Desk()
    master = desk.master()
    replica = next(iter(master.replicas.values()))
    desk.now += 5
    for text in (b"role:master\r\n", b"role:master\r\n", replica_info()):
        info.take(desk.watch, replica, text)
    who = "slave 10.0.1.1:6380 10.0.1.1 6380 @ mymaster 10.0.0.1 6379 new reported role is"
    assert desk.published == [("-role-change", f"{who} master"), ("+role-change", f"{who} slave")]
    # The log has it only at the level verbose.
    assert [line[0] for line in desk.lines] == ["-", "-"]
    assert replica.role_reported_time == replica.conf_changed == NOW + 5


def test_a_master_that_calls_itself_a_replica_is_not_believed_at_once():
    desk = Desk()
    master = desk.master()
    info.take(desk.watch, master, replica_info(master_host="10.9.9.9"))
    assert (desk.events, master.role_reported) == (["-role-change"], Role.REPLICA)
    assert (master.address, master.s_down, master.in_failover) == (MASTER, False, False)


def test_an_info_says_master_and_nobody_is_promoted():
    """Only the replica that was told to be a master ends the wait for it."""
    desk = Desk()
    master = desk.master(state=FailoverState.WAIT_PROMOTION, failover_epoch=3)
    first, second = master.replicas.values()
    master.promoted, first.is_promoted = first, True
    info.take(desk.watch, second, b"role:master\r\n")
    assert (master.state, master.config_epoch) == (FailoverState.WAIT_PROMOTION, 0)
    info.take(desk.watch, first, b"role:master\r\n")
    assert (master.state, master.config_epoch) == (FailoverState.RECONF_REPLICAS, 3)
    assert desk.events[-2:] == ["+promoted-slave", "+failover-state-reconf-slaves"]


def test_in_tilt_it_is_only_noted():
    desk = Desk(tilt=True)
    master = desk.master(state=FailoverState.WAIT_PROMOTION)
    replica = next(iter(master.replicas.values()))
    master.promoted, replica.is_promoted = replica, True
    info.take(desk.watch, replica, b"role:master\r\n")
    assert (master.state, replica.role_reported) == (FailoverState.WAIT_PROMOTION, Role.MASTER)


def test_a_replica_on_its_way_to_the_new_master():
    desk = Desk()
    master = desk.master(state=FailoverState.RECONF_REPLICAS)
    chosen, other = master.replicas.values()
    master.promoted, chosen.is_promoted = chosen, True
    other.reconf = Reconf.SENT
    info.take(desk.watch, other, replica_info())
    assert other.reconf is Reconf.SENT
    moved = {"master_host": chosen.address.host, "master_port": chosen.address.port}
    info.take(desk.watch, other, replica_info(**moved, master_link_status="down"))
    assert other.reconf is Reconf.IN_PROGRESS
    info.take(desk.watch, other, replica_info(**moved))
    assert other.reconf is Reconf.DONE
    assert desk.events == ["+slave-reconf-inprog", "+slave-reconf-done"]


def test_a_replica_that_is_both_at_once():
    desk = Desk()
    master = desk.master(state=FailoverState.RECONF_REPLICAS)
    chosen, other = master.replicas.values()
    master.promoted, chosen.is_promoted, other.reconf = chosen, True, Reconf.SENT
    text = replica_info(master_host=chosen.address.host, master_port=chosen.address.port)
    info.take(desk.watch, other, text)
    assert desk.events == ["+slave-reconf-inprog", "+slave-reconf-done"]


def test_whom_a_master_looks_sane_to():
    desk = Desk()
    master = desk.master()
    master.info_time = NOW - 19_999
    assert info.looks_sane(desk.watch, master, NOW)
    for field, value in (
        ("role_reported", Role.REPLICA),
        ("s_down", True),
        ("o_down", True),
        ("info_time", NOW - 20_000),
    ):
        before = getattr(master, field)
        setattr(master, field, value)
        assert not info.looks_sane(desk.watch, master, NOW)
        setattr(master, field, before)


def test_an_info_may_say_our_own_id():
    desk = Desk()
    master = desk.master()
    info.take(desk.watch, master, f"run_id:{OWN_ID}\r\nrole:master\r\n".encode())
    assert (master.run_id, desk.published) == (OWN_ID, [])
