"""Two nodes in each world: what is between them can be cut, and nothing else is."""

import shutil
import subprocess
import time

import pytest
import redis

from redislab.worlds.base import WorldError
from tests.labs.pair import ALL_REAL, KINDS, Pair, real

BOTH_WAYS = [("one", "two"), ("two", "one")]
OUTSIDE = [kind for kind in KINDS if kind != "sim"]
"""The kinds that other programs can connect to."""


@pytest.fixture(params=KINDS)
def lab(request):
    with Pair(request.param) as made:
        yield made


def redis_cli(node, *words):
    program = shutil.which("redis-cli")
    if program is None:
        pytest.skip("no redis-cli here")
    return subprocess.run(
        [program, "-h", node.host, "-p", str(node.port), *words],
        capture_output=True,
        text=True,
        timeout=1,
        check=True,
    ).stdout.strip()


def test_nodes_are_known_as_127_0_0_1_and_reach_each_other(lab):
    assert [handle.host for handle in lab.nodes.values()] == ["127.0.0.1", "127.0.0.1"]
    assert [lab.reaches(*way) for way in BOTH_WAYS] == [True, True]
    assert [node.up for node in lab.snapshot()] == [True, True]


def test_a_cut_between_nodes_cuts_nothing_else(lab):
    assert lab.reaches("one", "two")
    lab.cut("one", "two")
    assert [lab.reaches(*way) for way in BOTH_WAYS] == [False, False]
    for name in lab.nodes:
        assert lab.quick(name).ping()
        assert lab.quick(name, at="elsewhere").ping()
    lab.heal()
    assert [lab.reaches(*way) for way in BOTH_WAYS] == [True, True]


def test_one_link_is_healed_and_no_other(lab):
    lab.cut("one", "two")
    lab.delay("one", "two", 0.01)
    lab.cut("client", "two")
    lab.heal("two", "one")
    assert [lab.reaches(*way) for way in BOTH_WAYS] == [True, True]
    with pytest.raises(redis.TimeoutError):
        lab.quick("two").ping()
    lab.heal("client", "two")
    assert lab.quick("two").ping()
    assert [e.detail for e in lab.events if e.kind == "heal"] == ["two - one", "client - two"]
    with pytest.raises(ValueError, match="two ends"):
        lab.heal("one")
    with pytest.raises(KeyError, match="no host 'three'"):
        lab.heal("one", "three")


def test_a_cut_between_clients_and_a_node_cuts_nothing_else(lab):
    elsewhere = lab.quick("one", at="elsewhere")
    elsewhere.ping()
    lab.cut("client", "one")
    with pytest.raises(redis.TimeoutError):
        lab.quick("one").ping()
    assert lab.quick("two").ping()
    assert elsewhere.ping()
    assert lab.reaches("two", "one")
    lab.heal()
    lab.cut("elsewhere", "one")
    assert lab.quick("one").ping()
    with pytest.raises(redis.TimeoutError):
        elsewhere.ping()


@pytest.mark.parametrize("direction", ["client->one", "one->client"])
def test_a_one_way_cut_lets_requests_or_answers_through(lab, direction):
    client = lab.quick("one")
    client.set("key", "before")
    lab.cut("client", "one", direction)
    with pytest.raises(redis.TimeoutError):
        client.set("key", "after")
    arrived = {"client->one": b"before", "one->client": b"after"}[direction]
    assert lab.client("one", at="observer").get("key") == arrived


@pytest.mark.parametrize("direction", ["a->b", "b->a"])
def test_no_connection_begins_through_a_one_way_cut(lab, direction):
    lab.cut("one", "two", direction)
    assert [lab.reaches(*way) for way in BOTH_WAYS] == [False, False]
    lab.heal()
    assert lab.reaches("one", "two")


def test_a_delay_between_nodes_takes_time_there_and_back(lab):
    lab.reaches("one", "two")
    lab.delay("one", "two", 0.05)
    before = lab.now
    assert lab.reaches("one", "two")
    assert lab.now - before >= 0.1
    before = lab.now
    assert lab.client("one").ping()
    assert lab.now - before < 0.1


def test_a_killed_node_refuses_and_a_restarted_one_is_where_it_was(lab):
    address = lab.find("two")
    lab.kill("two")
    before = lab.now
    assert not lab.reaches("one", "two")
    with pytest.raises(redis.ConnectionError, match=r"(?i)refused|Connect call failed"):
        lab.quick("two").ping()
    assert lab.now - before < 0.5
    lab.restart("two")
    assert lab.find("two") == address
    assert lab.reaches("one", "two")


def test_a_killed_node_behind_a_cut_is_silent(lab):
    lab.cut("client", "two")
    lab.kill("two")
    with pytest.raises(redis.TimeoutError):
        lab.quick("two").ping()
    lab.heal()
    with pytest.raises(redis.ConnectionError):
        lab.quick("two").ping()


def test_a_paused_node_takes_connections_and_answers_later(lab):
    lab.pause("two")
    assert not lab.reaches("one", "two")
    with pytest.raises(redis.TimeoutError):
        lab.quick("two").ping()
    lab.resume("two")
    assert lab.reaches("one", "two")


@pytest.mark.parametrize("lab", [*ALL_REAL, real("mixed")], indirect=True)
def test_a_node_that_ends_by_itself_refuses(lab):
    with pytest.raises(redis.ConnectionError):
        lab.client("two").execute_command("SHUTDOWN", "NOSAVE")
    assert not lab.reaches("one", "two")
    with pytest.raises(redis.ConnectionError, match="refused"):
        lab.quick("two").ping()
    assert [event.kind for event in lab.events if event.node == "two"] == ["start"]
    assert not lab.snapshot()[1].up
    assert [event.kind for event in lab.events if event.node == "two"] == ["start", "stop"]
    lab.restart("two")
    assert lab.reaches("one", "two")


def test_files_outlive_a_kill_and_are_gone_when_wiped(lab):
    for name, is_real in lab.real.items():
        client = lab.client(name)
        client.set("key", "value")
        client.execute_command("SAVE" if is_real else "KEEP")
        lab.kill(name)
        lab.restart(name)
        assert client.get("key") == b"value"
        (file,) = lab.files(name)
        assert file == ("dump.rdb" if is_real else "toy.data")
        lab.restart(name, wipe=True)
        assert client.get("key") is None
        assert lab.files(name) == {}


def test_a_backup_is_put_back(lab):
    for name, is_real in lab.real.items():
        client = lab.client(name)
        client.set("key", "value")
        client.execute_command("SAVE" if is_real else "KEEP")
        backup = lab.files(name)
        lab.restart(name, wipe=True)
        lab.kill(name)
        lab.put_files(backup, name)
        lab.restart(name)
        assert client.get("key") == b"value"


def test_only_the_simulation_takes_a_hosts_power(lab):
    if lab.kind != "sim":
        with pytest.raises(WorldError, match="sim"):
            lab.power_off("one")
        with pytest.raises(WorldError, match="sim"):
            lab.disk("one")
        return
    client = lab.client("one")
    client.set("key", "kept")
    client.execute_command("KEEP")
    lab.disk("one").inject("sync", seconds=5.0, times=None)
    client.set("key", "lost")
    with pytest.raises(redis.TimeoutError):
        lab.quick("one").execute_command("KEEP")
    lab.power_off("one", kept=0.0)
    assert lab.snapshot()[0].state == "crashed"
    lab.restart("one")
    # The file had been emptied to be written anew, which the medium never heard of.
    assert lab.client("one").get("key") == b"kept"


def test_a_node_must_be_named_where_there_are_two(lab):
    for call in (lab.kill, lab.client, lab.log, lab.files):
        with pytest.raises(KeyError, match="one, two"):
            call()
    with pytest.raises(KeyError, match="three"):
        lab.cut("one", "three")


def test_the_command_line_talks_to_the_node_that_is_named(lab):
    lab.client("two").set("key", "value")
    assert lab.cli("GET key", "two") == '"value"'
    assert lab.cli("GET key", "one") == "(nil)"
    lab.kill("two")
    port = lab.find("two").port
    assert lab.cli("PING", "two") == (
        f"Could not connect to Redis at 127.0.0.1:{port}: Connection refused"
    )


@pytest.mark.redis
@pytest.mark.parametrize("lab", OUTSIDE, indirect=True)
def test_programs_that_are_no_part_of_the_lab_come_from_the_clients_host(lab):
    node = lab.find("one")
    assert redis_cli(node, "SET", "key", "value") == "OK"
    assert lab.client("one").get("key") == b"value"
    lab.cut("two", "one")
    assert redis_cli(node, "PING") == "PONG"
    lab.cut("client", "one")
    with pytest.raises(subprocess.TimeoutExpired):
        redis_cli(node, "PING")


@pytest.mark.parametrize("lab", ALL_REAL, indirect=True)
def test_real_replication_goes_on_after_a_cut_without_anyone_noticing(lab):
    """As in life: a cut that is over before a timeout breaks no connection."""
    master, replica = lab.find("one"), lab.find("two")
    writes, reads = lab.client(master), lab.client(replica)
    reads.replicaof(master.host, master.port)
    expect_soon(lambda: reads.info("replication")["master_link_status"] == "up")
    found = writes.info("replication")["slave0"]
    assert (found["ip"], found["port"]) == (replica.host, replica.port)
    writes.set("key", "one")
    expect_soon(lambda: reads.get("key") == b"one")
    lab.cut(master, replica)
    writes.set("key", "two")
    time.sleep(0.2)
    assert reads.get("key") == b"one"
    assert reads.info("replication")["master_link_status"] == "up"
    lab.heal()
    expect_soon(lambda: reads.get("key") == b"two")
    assert writes.info("stats")["sync_full"] == 1
    assert writes.info("stats")["sync_partial_ok"] == 0


@pytest.mark.parametrize("lab", ALL_REAL, indirect=True)
def test_real_nodes_meet_over_the_bus_of_a_cluster(lab):
    lab.close()
    with ClusterPair(lab.kind) as pair:
        one, two = (pair.find(name) for name in ("one", "two"))
        pair.client(one).execute_command("CLUSTER MEET", two.host, two.port)

        def lines(name):
            return pair.client(name).execute_command("CLUSTER NODES")

        expect_soon(lambda: all(len(lines(name)) == 2 for name in ("one", "two")))
        known = {f"{node.host}:{node.port}" for node in (one, two)}
        expect_soon(lambda: set(lines("one")) == set(lines("two")) == known)
        expect_soon(lambda: all(peer["connected"] for peer in lines("one").values()))
        pair.cut(one, two)
        expect_soon(lambda: any("fail" in peer["flags"] for peer in lines("one").values()))
        pair.heal()
        expect_soon(lambda: not any("fail" in peer["flags"] for peer in lines("one").values()))


class ClusterPair(Pair):
    """The same two as nodes of a cluster."""

    def _start(self, spec):
        spec.config.update({"cluster-enabled": "yes", "cluster-node-timeout": "500"})
        return super()._start(spec)


def expect_soon(condition, seconds=10.0):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come to hold"
        time.sleep(0.02)
