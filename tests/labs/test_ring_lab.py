"""Proxies before shards as a lab: the same in every world, ours and real ones mixed."""

import json
import os
import shutil

import pytest
import redis

from redislab import RingLab
from redislab.labs.load import Interval
from redislab.worlds.base import WorldError

needs_programs = pytest.mark.skipif(
    not (shutil.which("redis-server") and shutil.which("nutcracker", path="/usr/bin:/usr/sbin")),
    reason="no redis-server or no nutcracker",
)


def real(name, **options):
    return pytest.param(options, id=name, marks=[pytest.mark.redis, needs_programs])


WORLDS = [
    pytest.param({"world": "sim"}, id="sim"),
    pytest.param({"world": "live"}, id="live"),
    real("redis", world="redis"),
    real("ours-before-real", world="live", real_servers=True),
    real("real-before-ours", world="redis", real_servers=False),
]
# What the shards are asked for: keys with a hash tag and without, ASCII and not.
KEYS = [f"user:{n * 7919}".encode() for n in range(60)]
KEYS += [b"{order:%d}:line:%d" % (n % 5, n) for n in range(20)]
KEYS += [bytes([200 + n, 0, 255 - n, 13, 10]) for n in range(20)]
QUICK = {"server_retry_timeout_ms": 600, "timeout_ms": 300}


def placed(lab, keys):
    """On which shards each key is found."""
    shards = [(each.name, lab.shard_client(each)) for each in lab.shards]
    return {key: [name for name, client in shards if client.exists(key)] for key in keys}


@pytest.fixture(scope="module")
def expected():
    """Where keys are in the simulation, for every pool of the test below."""
    return {}


POOLS = {
    "ketama": {},
    "weights": {"hash": "murmur", "weights": [3, 1, 2], "hash_tag": "{}"},
    "modula": {"hash": "hsieh", "distribution": "modula", "shards": 4},
}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("where", WORLDS)
def test_a_key_has_the_same_shard_in_every_world_and_no_other(where, pool, expected):
    with RingLab(seed=7, **POOLS[pool], **where) as lab:
        client = lab.client()
        for key in KEYS:
            assert client.set(key, key)
        assert client.mget(KEYS) == KEYS
        found = placed(lab, KEYS)
        assert found == {key: [lab.owner(key).name] for key in KEYS}
        assert found == expected.setdefault(pool, found)
        assert len({name for names in found.values() for name in names}) == len(lab.shards)
        if lab.placement.hash_tag:
            assert len({lab.owner(b"{order:3}:line:%d" % n).name for n in range(9)}) == 1
        assert lab.explain(KEYS[0]).server.name == lab.owner(KEYS[0]).name


@pytest.mark.parametrize("where", WORLDS)
def test_a_shard_that_dies_under_load_is_ejected_and_comes_back(where):
    with RingLab(seed=7, hash="md5", **QUICK, **where) as lab:
        load = lab.load(rate=200, keys=300, clients=2)
        lab.run_for(0.4)
        lab.kill("redis-2")
        lab.wait_until(lambda now: now.ejected == ("redis-2",), timeout=10)
        lab.run_for(0.2)
        away = lab.now
        lab.run_for(0.2)
        lab.restart("redis-2")
        lab.wait_until(lambda now: not now.ejected and now.shard("redis-2").keys > 5, timeout=10)
        load.stop()
        told = [event for event in lab.events if event.kind in {"eject", "return"}]
        assert {event.detail.split(" ")[0] for event in told} == {"redis-2"}
        assert [event.kind for event in told][:2] == ["eject", "return"]
        assert told[-1].kind == "return"
        assert told[1].time - told[0].time == pytest.approx(0.6, abs=0.01)
        # One request meets each ejection; all others are answered.
        assert set(load.errors) <= {"Connection refused", "Connection reset by peer", "unknown"}
        assert len(load.failed) <= 2 * len(told)
        assert len(load.answered) > 100
        # While it was away, its keys were written to others.
        strays = {r.key for r in load.answered if r.shard == "redis-2" and r.ended < away}
        strays &= {r.key for r in load.answered if r.shard == "redis-2" and r.sent > told[0].time}
        others = [lab.shard_client(name) for name in ("redis-1", "redis-3")]
        assert any(client.exists(key) for key in strays for client in others)
        state = lab.snapshot()
        assert state.proxy("proxy-1").ejections == len(told) / 2
        assert state.shard("redis-2").failures >= 1
        assert json.loads(json.dumps(state.to_dict()))["shards"][1]["name"] == "redis-2"


@pytest.mark.parametrize(
    "where", [*WORLDS[1:3], real("shared", world="redis", own_addresses=False)]
)
def test_faults_act_between_a_proxy_and_a_shard_and_nowhere_else(where):
    with RingLab(seed=7, hash="md5", auto_eject=False, proxies=2, **QUICK, **where) as lab:
        first, second = lab.client("proxy-1"), lab.client("proxy-2")
        key = next(key for key in KEYS if lab.owner(key).name == "redis-1")
        assert first.set(key, "1")
        lab.cut("proxy-1", "redis-1")
        with pytest.raises(redis.ResponseError, match="Connection timed out"):
            first.get(key)
        assert second.get(key) == b"1"
        lab.heal()
        lab.kill("proxy-2")
        with pytest.raises(redis.ConnectionError):
            second.get(key)
        lab.restart("proxy-2")
        assert second.get(key) == b"1"
        lab.pause("proxy-2")
        with pytest.raises(redis.TimeoutError):
            second.get(key)
        lab.resume("proxy-2")
        assert lab.client("proxy-2").get(key) == b"1"


@pytest.mark.redis
@needs_programs
def test_a_real_proxy_leaves_nothing_behind():
    with RingLab(world="redis", seed=7) as lab:
        process = lab.place.process_id("proxy-1")
        home = lab.place.directory / "proxy-1"
        # Debian's nutcracker writes the file with its process id only as a daemon.
        names = {each.name for each in home.iterdir()}
        assert names - {"nutcracker.pid"} == {"nutcracker.log", "nutcracker.yml", "output"}
        assert "nutcracker-0.5.0 built for" in lab.log("proxy-1")
        assert lab.place.log_lines("proxy-1")[0].time == pytest.approx(lab.events[-1].time, abs=1)
        assert lab.files("proxy-1") == {}
    assert not home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_our_proxy_can_be_a_program_of_its_own():
    with RingLab(world="live", seed=7, own_process=True, shards=2) as lab:
        assert lab.client().set("city", "Paris")
        assert lab.shard_client(lab.owner("city")).get("city") == b"Paris"
        assert lab.stats()["alpha"]["redis-1"].keys() >= {"requests", "server_ejected_at"}
        assert lab.measure("SET", "proxy-1", requests=200, clients=4).requests == 200


class TestInSim:
    def test_the_same_seed_gives_the_same_run(self):
        def run(seed):
            with RingLab(seed=seed, hash="md5", **QUICK) as lab:
                load = lab.load("cache", rate=300, keys=100, zipf=1.0, clients=3)
                lab.run_for(1)
                lab.kill("redis-3")
                lab.run_for(2)
                return repr(load.requests), list(lab.events), lab.journal.to_json()

        assert run(3) == run(3)
        assert run(3)[0] != run(4)[0]

    def test_who_is_not_ejected_is_refused_each_time(self):
        with RingLab(seed=7, hash="md5", auto_eject=False) as lab:
            lab.kill("redis-1")
            load = lab.load(rate=100, keys=60)
            lab.run_for(2)
            mine = [each for each in load.requests if each.shard == "redis-1" and each.ended]
            assert len(mine) > 10
            assert load.errors == {"Connection refused": len(mine)}
            assert {each.shard for each in load.failed} == {"redis-1"}
            assert lab.snapshot().ejected == ()

    def test_when_all_shards_are_down_the_answer_comes_at_once(self):
        with RingLab(seed=7) as lab:
            for shard in lab.shards:
                lab.kill(shard)
            load = lab.load(rate=20)
            lab.run_for(1)
            assert load.answered == []
            assert load.errors == {"Connection refused": len(load.failed)}
            assert max(each.ended - each.sent for each in load.failed) < 0.01

    def test_a_shard_that_stands_still_costs_a_timeout_and_then_nothing(self):
        with RingLab(seed=7, hash="md5", timeout_ms=200, server_retry_timeout_ms=5000) as lab:
            load = lab.load(rate=200, keys=200)
            lab.run_for(1)
            lab.pause("redis-2")
            lab.run_for(2)
            assert load.errors == {"Connection timed out": 1}
            slow = load.failed[0]
            assert slow.ended - slow.sent == pytest.approx(0.2, abs=0.01)
            (shard,) = lab.snapshot().proxies[0].servers[1:2]
            assert (shard.name, shard.ejected, shard.timeouts) == ("redis-2", True, 1)

    def test_a_cache_warms_and_a_client_tells_how(self):
        with RingLab(seed=7, hash="md5") as lab:
            load = lab.load("cache", rate=200, keys=50, zipf=0.5)
            lab.run_for(4)
            load.stop()
            load.stop()
            rates = [each.hit_rate for each in load.over_time(1.0)]
            assert rates[0] < 0.9 < rates[-1]
            assert "stopped" in repr(load)
            total = load.over_time(10.0)[0]
            assert (total.hits + total.misses, total.failed) == (len(load.answered), 0)
            keys = [each.key for each in load.requests]
            assert keys.count("key:0") > 2 * keys.count("key:40")
        assert Interval(0, 1, 0, 0, 0).hit_rate is None

    def test_two_writers_have_keys_of_their_own(self):
        with RingLab(seed=7, shards=1) as lab:
            first, second = lab.writer(rate=10), lab.writer(rate=20)
            lab.run_for(1)
            keys = {each.key for load in (first, second) for each in load.answered}
            assert len(keys) == len(first.answered) + len(second.answered)
            assert lab.snapshot().keys == len(keys)
            assert lab.loads == [first, second]

    def test_a_password_is_asked_for_on_both_sides(self):
        with RingLab(seed=7, password="open-sesame") as lab:
            assert lab.client().set("city", "Paris")
            assert lab.shard_client(lab.owner("city")).get("city") == b"Paris"
            for node in ("proxy-1", "redis-1"):
                with pytest.raises(redis.AuthenticationError):
                    lab.client(node, password=None).get("city")

    def test_without_names_addresses_are_hashed(self):
        with RingLab(seed=7, named=False) as lab:
            client = lab.client()
            for key in KEYS:
                client.set(key, key)
            assert placed(lab, KEYS) == {key: [lab.owner(key).name] for key in KEYS}
            assert lab.explain(KEYS[0]).server.label.startswith(b"127.0.0.1:63")
            assert lab.snapshot().shard("redis-2").requests > 0

    def test_random_puts_a_key_anywhere(self):
        with RingLab(seed=7, distribution="random") as lab:
            client = lab.client()
            for _ in range(30):
                client.set("city", "Paris")
            assert placed(lab, [b"city"]) == {b"city": ["redis-1", "redis-2", "redis-3"]}

    def test_further_lines_and_options_reach_the_proxy(self):
        config = {"server_connections": "3", "mbuf_size": "512"}
        with RingLab(seed=7, shards=1, proxy_config=config, timeout_ms=None) as lab:
            for number in range(5):
                lab.client().set("city", number)
            assert lab.snapshot().proxies[0].servers[0].connections == 3
            with pytest.raises(redis.ConnectionError):
                lab.client().set("k" * 600, "too long a key for so small a buffer")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"shards": 0}, "1 shard or more and 1 proxy or more, not 0 and 1"),
            ({"proxies": 0}, "not 3 and 0"),
            ({"weights": [1, 2]}, "3 shards have 3 weights, not 2"),
            ({"weights": [1, 2, 0]}, "weight"),
            ({"distribution": "best"}, "'best' is not a valid distribution"),
            ({"hash": "sha1"}, "sha1"),
            ({"hash_tag": "{"}, "two characters"),
            ({"world": "moon"}, "no world 'moon'"),
        ],
    )
    def test_what_cannot_be_is_refused(self, options, said):
        with pytest.raises(ValueError, match=said):
            RingLab(**options)

    def test_a_line_that_nutcracker_would_not_take_is_refused_in_its_words(self):
        with pytest.raises(WorldError, match=r'proxy-1 .*: conf: directive "backlog" is not a n'):
            RingLab(proxy_config={"backlog": "many"})

    def test_loads_that_cannot_be_are_refused(self):
        with RingLab(seed=7) as lab:
            with pytest.raises(ValueError, match="one of set, get, cache, not 'take'"):
                lab.load("take")
            with pytest.raises(ValueError, match="above zero, and there is 1 client or more"):
                lab.load(rate=0)
            with pytest.raises(ValueError, match="above zero, not 0"):
                lab.load().over_time(0)
