"""The views of a master and its replicas: the same in every world, live and as a replay."""

import pytest

from redislab import ReplicationLab
from redislab.labs.replication import Follower, ReplicationSnapshot
from redislab.labs.snapshot import NodeSnapshot
from redislab.views.fallback import fallback_html
from redislab.views.replication import node_states, ring_state
from tests.servers import WORLDS


def node(frame, name):
    return next(each for each in frame.state["nodes"] if each["name"] == name)


@pytest.mark.parametrize("world", WORLDS)
def test_the_view_sees_what_is_done_to_nodes_and_links(world):
    with ReplicationLab(world, seed=7, replicas=2) as lab:
        master, first, second = lab.nodes
        view, ring = lab.view(), lab.view("backlog")
        watch = view.watch
        assert ring.watch is watch
        watch.write_keys(100)
        lab.wait_until(lambda now: now.in_sync, timeout=10)
        watch.sample()
        in_step = view.recording.frames[-1]
        watch.cut(master, first)
        watch.run_for(0.3, bytes_per_second=50_000)
        apart = view.recording.frames[-1]
        apart_ring = ring.recording.frames[-1]
        watch.heal()
        watch.pause(second)
        watch.run_for(0.2, bytes_per_second=50_000)
        paused = view.recording.frames[-1]
        watch.resume(second)
        watch.kill(first)
        killed = view.recording.frames[-1]
        watch.restart(first)
        lab.wait_until(lambda now: now.linked, timeout=20)
        view.close()
        ring.close()
    assert node(in_step, master)["keys"] == node(in_step, first)["keys"] == 100
    assert node(in_step, first)["behind"] == 0
    assert node(in_step, first)["follows"] == master
    assert sorted(apart.state["cuts"]) == sorted([[master, first], [first, master]])
    assert node(apart, first)["behind"] > 10_000
    place = next(each for each in apart_ring.state["replicas"] if each["name"] == first)
    assert place["cut"]
    assert place["room"] == apart_ring.state["size"] - node(apart, first)["behind"]
    assert node(paused, second)["state"] == "paused"
    assert node(paused, second)["offset"] >= node(in_step, second)["offset"]
    assert node(paused, second)["behind"] > 5_000
    assert node(killed, first)["state"] == "killed"
    assert node(killed, first)["behind"] is None
    kinds = [event.kind for event in view.recording.events]
    assert [kind for kind in kinds if kind not in {"start", "cut"}] == [
        "heal",
        "pause",
        "resume",
        "kill",
    ]


def test_a_chain_shows_who_follows_whom():
    with ReplicationLab("sim", replicas=2, chain=True) as lab:
        first, second, third = lab.nodes
        frame = lab.view().recording.frames[-1]
    assert [node(frame, name)["follows"] for name in (first, second, third)] == ["", first, second]


def test_a_lab_has_no_other_view():
    with (
        ReplicationLab("sim", replicas=1) as lab,
        pytest.raises(ValueError, match="topology, backlog"),
    ):
        lab.view("clouds")


def test_the_buttons_do_what_they_say_and_tell_what_goes_wrong():
    with ReplicationLab("sim", replicas=1) as lab:
        master, replica = lab.nodes
        view = lab.view()
        *rows, status = view.controls()
        buttons = {
            each.description: each
            for row in rows
            for each in row.children
            if hasattr(each, "click")
        }
        view.receive({"type": "pick", "target": f"{master} - {replica}"})
        buttons["cut"].click()
        assert lab.snapshot().cuts
        buttons["heal all"].click()
        assert not lab.snapshot().cuts
        view.receive({"type": "pick", "target": replica})
        buttons["pause"].click()
        assert lab.snapshot().node(replica).state == "paused"
        buttons["resume"].click()
        before = lab.now
        buttons["run 1 s"].click()
        assert lab.now >= before + 1
        assert lab.client().info("replication")["master_repl_offset"] > 45_000
        keys = lab.client().dbsize()
        buttons["write 1,000 keys"].click()
        assert lab.client().dbsize() == keys + 1000
        view.receive({"type": "pick", "target": master})
        buttons["kill -9"].click()
        assert status.value == ""
        buttons["write 1,000 keys"].click()
        assert "LookupError" in status.value


def snapshot(offset, *, first, length, size, at, lag=0, cuts=()):
    info = {
        "repl_backlog_active": 1,
        "repl_backlog_size": size,
        "repl_backlog_first_byte_offset": first,
        "repl_backlog_histlen": length,
        "master_repl_offset": offset,
    }
    nodes = (
        NodeSnapshot("a", "127.0.0.1", 1, up=True, state="running", role="master", info=info),
        NodeSnapshot("b", "127.0.0.1", 2, up=True, state="running", role="slave"),
    )
    follower = Follower("b", "a", "up", at, offset - at, lag, syncing=False)
    return ReplicationSnapshot(1.0, nodes, "a", (follower,), cuts)


@pytest.mark.parametrize(
    ("case", "room"),
    [
        # Nothing is overwritten before the backlog is full.
        ({"offset": 100, "first": 1, "length": 100, "size": 1000, "at": 100}, 1000),
        ({"offset": 100, "first": 1, "length": 100, "size": 1000, "at": 0}, 900),
        # Full: what is left is the size less what is missing.
        ({"offset": 5000, "first": 4001, "length": 1000, "size": 1000, "at": 4500}, 500),
        ({"offset": 5000, "first": 4001, "length": 1000, "size": 1000, "at": 4000}, 0),
        ({"offset": 5000, "first": 4001, "length": 1000, "size": 1000, "at": 3990}, -10),
    ],
)
def test_the_room_of_a_replica_is_what_may_still_be_written(case, room):
    shot = snapshot(**case)
    ring = ring_state(shot, node_states(shot, {}))
    assert [place.room for place in ring.replicas] == [room]
    assert ring.master == "a"


def test_a_lab_without_a_master_has_an_empty_ring():
    with ReplicationLab("sim", replicas=1) as lab:
        lab.kill(lab.master)
        ring = lab.view("backlog").recording.frames[-1].state
    assert ring["master"] == ""
    assert not ring["active"]


def test_a_view_of_a_closed_lab_has_no_buttons_and_no_frames_where_nothing_changes():
    with ReplicationLab("sim", replicas=1) as lab:
        view = lab.view()
        view.refresh()
        view.refresh()
        assert len(view.recording.frames) == 1
        lab.client().set("a", 1)
        view.refresh()
        assert len(view.recording.frames) == 2
        assert view.controls()
        view.open_at(0)
        view.close()
        lab.run_for(1)
        view.refresh()
    assert len(view.recording.frames) == 2
    assert view.recording.meta["open"] == 0
    assert view.controls() == []


def test_without_scripts_there_is_a_table_and_a_chart():
    with ReplicationLab("sim", replicas=1) as lab:
        view, ring = lab.view(), lab.view("backlog")
        view.watch.run_for(0.5, bytes_per_second=10_000)
        page, ring_page = fallback_html(view.recording), fallback_html(ring.recording)
    assert "bytes behind" in page
    assert "<svg" in page
    assert "redis-6380" in page
    assert "redis-6379 keeps" in ring_page
    assert "of at most 1,048,576 bytes" in ring_page
