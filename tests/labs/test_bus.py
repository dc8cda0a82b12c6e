"""The model of Cluster's bus against real clusters: what they send, and when they find out."""

import shutil

import pytest

from redislab.labs import gossip
from redislab.labs.bus import SLOTS, BusLab

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(
        shutil.which("redis-server") is None,
        reason="redis-server is not installed (apt install redis-server)",
    ),
]


def test_a_real_bus_carries_what_the_model_says_and_finds_out_when_it_says():
    timeout = 1.0
    with BusLab(8, timeout, metered=True) as lab:
        assert f"0-{SLOTS // 8 - 1}" in lab.cli("CLUSTER NODES", next(iter(lab.nodes)))
        lab.run_for(timeout)
        measured = lab.traffic(2.0)
        model = gossip.traffic(8, timeout, seconds=10 * timeout)
        assert measured.messages_per_node == pytest.approx(model.messages_per_node, rel=0.25)
        # Nothing but pings and pongs, and they are as long as they should be.
        messages = measured.pings + measured.pongs
        assert measured.bytes / messages == pytest.approx(gossip.message_bytes(8), rel=0.02)
        sizes = {size for _, size in lab.sizes}
        assert max(sizes) == gossip.message_bytes(8)
        for ping in lab.samples["ping"]:
            assert ping.startswith(b"RCmb")
            assert len(ping) == int.from_bytes(ping[4:8])

        heard = lab.news()
        assert len(heard) == 8
        found = lab.detection()
        assert timeout <= found.first_suspected <= found.failed
        assert found.failed <= 2.5 * timeout
    assert lab.closed


def test_what_has_begun_ends_when_the_cluster_does_not_come_up(monkeypatch):
    monkeypatch.setattr("redislab.labs.bus._READY_SECONDS", -1.0)
    with pytest.raises(TimeoutError, match="did not come up"):
        BusLab(3)
