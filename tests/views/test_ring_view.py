"""The view of a hash ring: what is counted when nodes come and go, and what a reader sees of it."""

import shutil
from bisect import bisect_left

import pytest

from redislab.ring.distributions import points_of
from redislab.ring.hashes import hash_named
from redislab.ring.ring import Ring
from redislab.views import RingView
from redislab.views.recording import Recording
from redislab.views.static import page_html, recording_html


def last(view):
    return view.recording.frames[-1].state


def owners_by_hand(nodes, keys, points=1, hash_name="md5"):
    """The nodes of keys on a ring of nodes without weights, in the plainest way."""
    circle = sorted((at, node) for node in nodes for at in points_of(node.encode(), points))
    places = [at for at, _ in circle]
    find = hash_named(hash_name)
    return [
        circle[bisect_left(places, find(key.encode())) % len(circle)][1] for key in keys
    ]  # fmt: skip


def test_a_node_that_comes_takes_keys_from_others_and_nobody_else_gets_any():
    view = RingView("ABC", sample=2000, points_per_weight=20)
    keys = [f"key:{number}" for number in range(2000)]
    before, after = owners_by_hand("ABC", keys, 20), owners_by_hand("ABCD", keys, 20)
    step = view.add("D")
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert step.ring_moved == len(moved)
    assert set(moved) == {"D"}
    counted = {node["name"]: node["keys"] for node in last(view)["nodes"]}
    assert counted == {node: after.count(node) for node in "ABCD"}
    assert counted["D"] == step.ring_moved
    assert last(view)["moved"]["to"] == ["D"]
    # By modulo only a key whose hash has the same remainder by 3 and 4 may stay: 3 of 12.
    values = [hash_named("md5")(key.encode()) for key in keys]
    assert step.modulo_moved == sum(value % 3 != value % 4 for value in values)
    assert 0.7 < step.modulo_moved / step.keys < 0.8


def test_a_node_that_goes_leaves_its_keys_to_others_and_theirs_stay():
    view = RingView(list("ABCD"), points_per_weight=3, keys=["one", "two", "three", "four", "five"])
    before = dict(zip(["one", "two", "three", "four", "five"], last(view)["owners"], strict=True))
    view.remove("B")
    state = last(view)
    after = dict(zip(before, state["owners"], strict=True))
    moved = [at for at, key in enumerate(before) if before[key] == "B"]
    assert state["ring_moved"] == moved
    assert all(after[key] == before[key] for key in before if before[key] != "B")
    assert ["B", "B 3"] in state["before"]
    assert [node["name"] for node in state["nodes"]] == ["A", "C", "D"]


def test_weights_and_points_change_the_shares():
    view = RingView({"A": 1, "B": 3}, points_per_weight=160)
    state = last(view)
    shares = {node["name"]: node["keys"] / 10_000 for node in state["nodes"]}
    assert [node["fair"] for node in state["nodes"]] == [0.25, 0.75]
    assert shares["A"] == pytest.approx(0.25, abs=0.05)
    assert [len(view.recording.meta["points"][f"{name}"]) for name in ("A 160", "B 480")] == [
        160,
        480,
    ]
    view.weigh("B", 1)
    assert last(view)["nodes"][1]["keys"] == pytest.approx(5000, abs=700)
    step = view.set_points(1)
    assert step.modulo_moved == 0
    assert "1 point for" in step.what
    assert [row[0] for row in view.table.rows] == [each.what for each in view.steps]


def test_a_ring_that_is_given_keeps_its_points_until_there_are_others():
    view = RingView(Ring.placed({"A": 0.25, "D": [0.0, 0.5]}, hash="md5"))
    assert view.recording.meta["points"] == {"A 1": [2**30], "D 2": [0, 2**31]}
    shares = {node["name"]: node["keys"] / 10_000 for node in last(view)["nodes"]}
    assert shares == {"A": pytest.approx(0.25, abs=0.02), "D": pytest.approx(0.75, abs=0.02)}
    view.add("E")
    assert view.recording.meta["points"]["D 2"] == [0, 2**31]
    view.set_points(1)
    state = last(view)
    assert state["before"] == [["A", "A 1"], ["D", "D 2"], ["E", "E 1"]]
    assert [node["points"] for node in state["nodes"]] == ["A 1'", "D 1", "E 1"]
    assert view.recording.meta["points"]["A 1'"] == list(points_of(b"A", 1))


def test_a_key_is_shown_on_its_way_and_that_counts_as_no_change():
    view = RingView("ABC")
    assert view.find("user:7") == owners_by_hand("ABC", ["user:7"])[0]
    looked = last(view)["looked"]
    assert looked["hash"] == hash_named("md5")(b"user:7")
    assert [looked["point"]] == list(points_of(looked["node"].encode(), 1))
    assert last(view)["moved"] is None
    assert view.steps == []


def test_what_cannot_be_is_refused_and_nothing_changes():
    view = RingView("A")
    frames = len(view.recording.frames)
    for wrong, said in (
        (lambda: view.add("A"), "'A' is there already"),
        (lambda: view.add("  "), "a node has a name"),
        (lambda: view.add("B", 0), "a weight is a whole number from 1 to 10, not 0"),
        (lambda: view.remove("A"), "A is the last node"),
        (lambda: view.remove("Z"), "no node 'Z'; there are A"),
        (lambda: view.set_points(0), "a node has 1 to 1000 points for a weight of 1, not 0"),
        (lambda: RingView([]), "there has to be a node"),
        (lambda: RingView("AB", hash="sha1"), "sha1"),
    ):
        with pytest.raises(ValueError, match=said):
            wrong()
    assert list(view.ring.nodes) == ["A"]
    assert len(view.recording.frames) == frames


def test_the_buttons_do_what_they_say_and_tell_what_went_wrong():
    pytest.importorskip("ipywidgets")
    view = RingView("AB")
    rows = view.controls()
    widgets = {
        getattr(one, "description", "") or "choice": one for row in rows[:2] for one in row.children
    }
    assert widgets["node"].value == "C"
    widgets["add"].click()
    assert list(view.ring.nodes) == ["A", "B", "C"]
    assert widgets["node"].value == "D"
    assert widgets["choice"].options == ("A", "B", "C")
    widgets["choice"].value = "A"
    widgets["remove"].click()
    assert list(view.ring.nodes) == ["B", "C"]
    widgets["weight"].value = 4
    widgets["choice"].value = "C"
    widgets["weigh"].click()
    assert view.ring.weights["C"] == 4
    widgets["points"].value = 40
    assert view.ring.points_per_weight == 40
    widgets["find"].click()
    assert last(view)["looked"]["key"] == "user:7"
    widgets["node"].value = "B"
    widgets["add"].click()
    assert "is there already" in rows[-1].value
    view.set_points(7)
    assert widgets["points"].value == 7


def test_the_recording_stands_for_itself():
    view = RingView("ABC")
    view.add("D")
    again = Recording.from_json(view.recording.to_json())
    assert again == Recording.from_json(again.to_json())
    page = recording_html(again)
    assert "moved on the ring" in page
    assert f"{view.steps[0].ring_moved / 10_000:.1%}" in page


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromedriver")
def test_a_page_says_and_shows_what_moved(show):
    from selenium.webdriver.common.keys import Keys

    view = RingView("ABC", points_per_weight=2)
    step = view.add("D")
    view.find("user:7")
    driver = show(page_html(view.recording), width=390, dark=True)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390

    def drawn():
        return driver.find_element("css selector", "svg[role=img]").get_attribute("aria-label")

    slider = driver.find_element("css selector", "input[type=range]")
    slider.send_keys(Keys.END)
    assert f"of {last(view)['looked']['node']}; by modulo" in drawn()
    slider.send_keys(Keys.ARROW_LEFT)
    assert f"on the ring {step.ring_moved:,} of 10,000 keys moved" in drawn()
    assert f"({step.ring_moved / 10_000:.1%}, all to D)".replace("%", " %") in drawn()
    note = driver.find_element("css selector", "p[aria-live=polite]").text
    assert f"by modulo {step.modulo_moved:,}" in note
    ringed = driver.find_elements("css selector", 'circle[style*="stroke: var(--rl-red)"] title')
    told = [one.get_attribute("textContent") for one in ringed]
    state = view.recording.frames[1].state
    assert len([one for one in told if ": hash " in one]) == len(state["ring_moved"])
    slider.send_keys(Keys.HOME)
    assert drawn().startswith("nodes at first: A, B and C. A: 2 points")


def test_points_can_be_put_by_hand_while_a_node_has_one():
    quarters = {name: at / 4 for at, name in enumerate("ABCD")}
    view = RingView("ABCD", places=quarters)
    view.remove("B")
    view.remove("C")
    # D has the place at three quarters, and with its own quarter those of B and C before it.
    shares = {node["name"]: node["keys"] / 10_000 for node in last(view)["nodes"]}
    assert shares == {"A": pytest.approx(0.25, abs=0.02), "D": pytest.approx(0.75, abs=0.02)}
    view.set_points(2)
    assert sorted(view.recording.meta["points"]["D 2"]) == sorted(points_of(b"D", 2))
    view.set_points(1)
    assert [node["points"] for node in last(view)["nodes"]] == ["A 1", "D 1"]
    view.add("Z")
    assert view.recording.meta["points"]["Z 1"] == list(points_of(b"Z", 1))
    with pytest.raises(ValueError, match="from 0 up to 1, not"):
        RingView("AB", places={"A": 1.0})
