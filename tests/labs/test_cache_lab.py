"""Caches that know nothing of each other: what one has, no other has, and one can go alone."""

import shutil

import pytest
import redis

from redislab.labs.caches import CacheLab

WORLDS = ["sim", "live", pytest.param("redis", marks=pytest.mark.redis)]


@pytest.fixture(params=WORLDS)
def lab(request):
    if request.param == "redis" and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here")
    with CacheLab(world=request.param, caches=3, seed=7) as made:
        yield made


def test_a_key_is_in_the_cache_that_it_was_written_to_and_in_no_other(lab):
    assert [str(each) for each in lab.caches] == ["cache-1", "cache-2", "cache-3"]
    lab.client("cache-2").set("city", "Paris")
    assert [lab.client(each).get("city") for each in lab.caches] == [None, b"Paris", None]
    assert [each.keys for each in lab.snapshot().nodes] == [0, 1, 0]


def test_one_dies_alone_and_comes_back_empty(lab):
    for each in lab.caches:
        lab.client(each).set("city", "Paris")
    lab.kill("cache-1")
    with pytest.raises(redis.ConnectionError):
        lab.client("cache-1").get("city")
    assert [each.up for each in lab.snapshot().nodes] == [False, True, True]
    assert lab.client("cache-3").get("city") == b"Paris"
    lab.restart("cache-1")
    lab.wait_until(lambda now: now.nodes[0].up, timeout=10)
    assert lab.client("cache-1").get("city") is None
    assert lab.snapshot().to_dict()["nodes"][2]["keys"] == 1


def test_a_lab_without_a_cache_is_refused():
    with pytest.raises(ValueError, match="1 cache or more, not 0"):
        CacheLab(caches=0)
