"""One suite over the three worlds: a lab behaves the same in each."""

import asyncio
import shutil

import pytest
import redis

from redislab import SingleLab
from redislab.labs.snapshot import Snapshot
from redislab.worlds.base import ProgramMissingError

WORLDS = ["sim", "live", pytest.param("redis", marks=pytest.mark.redis)]


@pytest.fixture(params=WORLDS)
def lab(request):
    if request.param == "redis" and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here")
    with SingleLab(world=request.param, seed=7) as made:
        yield made


def quick(lab, **options):
    return lab.client(socket_timeout=0.3, socket_connect_timeout=0.3, **options)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_stock_client_writes_and_reads(lab, protocol):
    client = lab.client(protocol=protocol, decode_responses=True)
    assert client.set("greeting", "hello")
    assert client.get("greeting") == "hello"
    with client.pipeline() as pipeline:
        assert pipeline.incr("n").incr("n").execute() == [1, 2]


@pytest.mark.parametrize("protocol", [2, 3])
def test_pubsub_reaches_a_subscriber(lab, protocol):
    client = lab.client(protocol=protocol)
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("news")
        assert pubsub.get_message(timeout=1) is None
        assert client.publish("news", "one") == 1
        assert pubsub.get_message(timeout=1)["data"] == b"one"
        assert pubsub.get_message(timeout=0.01) is None


def test_an_asyncio_client_runs_on_the_labs_loop(lab):
    async def work():
        client = lab.async_client()
        await client.set("a", 1)
        values = await asyncio.gather(*(client.incr("a") for _ in range(5)))
        await client.aclose()
        return sorted(values)

    assert lab.run(work(), timeout=10) == [2, 3, 4, 5, 6]


def test_the_command_line_prints_what_redis_cli_prints(lab):
    assert lab.cli("SET a 1") == "OK"
    assert lab.cli("INCR a") == "(integer) 2"
    assert lab.cli("GET a") == '"2"'
    assert "used_memory:" in lab.cli("INFO memory")


def test_a_killed_node_refuses_and_a_restarted_one_is_empty(lab):
    client = lab.client()
    client.set("a", 1)
    lab.kill(lab.node)
    with pytest.raises(redis.ConnectionError):
        client.get("a")
    assert not lab.snapshot().node.up
    lab.restart(lab.node)
    assert client.get("a") is None
    assert [event.kind for event in lab.events] == ["start", "kill", "start"]


def test_a_paused_node_takes_connections_and_says_nothing(lab):
    client = quick(lab)
    client.set("a", 1)
    lab.pause(lab.node)
    with pytest.raises(redis.TimeoutError):
        client.get("a")
    lab.resume(lab.node)
    assert client.get("a") == b"1"


def test_a_cut_is_silence_until_it_is_healed(lab):
    client = quick(lab)
    client.set("a", 1)
    lab.cut("client", lab.node)
    with pytest.raises(redis.TimeoutError):
        client.get("a")
    assert lab.snapshot().node.up
    lab.heal()
    assert client.get("a") == b"1"


def test_a_delay_takes_time(lab):
    client = lab.client()
    lab.delay("client", lab.node, 0.05)
    client.ping()
    before = lab.now
    client.ping()
    assert lab.now - before >= 0.1


def test_wait_until_returns_the_snapshot_or_shows_the_last(lab):
    lab.client().set("a", 1)
    assert lab.wait_until(lambda now: now.node.keys == 1, timeout=5).node.up
    with pytest.raises(TimeoutError, match="last seen: Snapshot"):
        lab.wait_until(lambda now: now.node.keys == 99, timeout=0.1)
    assert isinstance(lab.snapshot(), Snapshot)


def test_shutdown_is_noticed(lab):
    with pytest.raises(redis.ConnectionError):
        lab.client().execute_command("SHUTDOWN", "NOSAVE")
    assert not lab.wait_until(lambda now: now.node.state == "stopped", timeout=5).node.up
    lab.restart(lab.node)
    assert lab.client().ping()


def test_the_log_can_be_read(lab):
    assert lab.wait_until(lambda _: "Ready to accept" in lab.log(lab.node), timeout=5).node.up


def test_an_unknown_node_names_the_known_ones(lab):
    with pytest.raises(KeyError, match=lab.node.name):
        lab.kill("nobody")
    with pytest.raises(KeyError, match="client"):
        lab.cut("nobody", lab.node)
    with pytest.raises(ValueError, match="direction"):
        lab.cut("client", lab.node, direction="sideways")


def test_a_lab_shows_itself_open_and_closed(lab):
    assert lab.node.name in repr(lab)
    assert "<table>" in lab.events._repr_html_()
    assert str(lab.node.port) in lab._repr_html_()
    lab.close()
    lab.close()
    assert repr(lab).endswith("closed>")


def test_an_unknown_world_is_answered_with_the_three():
    with pytest.raises(ValueError, match="sim, live, redis"):
        SingleLab(world="moon")


def test_a_missing_program_names_the_package(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ProgramMissingError, match="apt install redis-server"):
        SingleLab(world="redis")
