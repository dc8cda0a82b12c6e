"""The ring for notebooks, what it is compared with, and the four measures."""

import math

import pytest

from redislab.ring import (
    Jump,
    Modulo,
    Placement,
    Rendezvous,
    Ring,
    Server,
    balance,
    load,
    monotonicity,
    spread,
    vectors,
)
from redislab.ring.distributions import CIRCLE
from redislab.ring.others import jump
from redislab.ring.sharding import Moved

KINDS = [Ring, Modulo, Rendezvous, Jump]
WEIGHED = [Ring, Modulo, Rendezvous]
KEYS = [f"user:{number * 7919}" for number in range(6000)]


@pytest.mark.parametrize("kind", KINDS)
def test_many_keys_have_the_owners_that_each_has(kind, monkeypatch):
    sharding = kind(["a", "b", "c", "d"])
    keys = [*KEYS[:800], "", b"", b"\xff\x80", "größer"]
    one_by_one = [sharding.owner(key) for key in keys]
    assert sharding.owners(keys) == one_by_one
    assert sharding.owner("größer") == sharding.owner("größer".encode())
    assert sum(sharding.counts(keys).values()) == len(keys)
    monkeypatch.setattr(vectors, "has_numpy", lambda: False)
    assert kind(["a", "b", "c", "d"]).owners(keys) == one_by_one


@pytest.mark.parametrize("kind", WEIGHED)
def test_weights_are_shares(kind, monkeypatch):
    sharding = kind({"a": 1, "b": 2, "c": 5}, hash="md5")
    counts = sharding.counts(KEYS)
    for node, weight in sharding.weights.items():
        assert counts[node] == pytest.approx(len(KEYS) * weight / 8, rel=0.25)
    monkeypatch.setattr(vectors, "has_numpy", lambda: False)
    assert kind({"a": 1, "b": 2, "c": 5}, hash="md5").counts(KEYS) == counts


@pytest.mark.parametrize("kind", KINDS)
def test_a_sharding_does_not_change_when_a_node_is_added(kind):
    sharding = kind(["a", "b"])
    before = sharding.owners(KEYS)
    larger = sharding.add("c")
    assert (sharding.nodes, larger.nodes) == (("a", "b"), ("a", "b", "c"))
    assert sharding.owners(KEYS) == before
    assert larger.remove("c").owners(KEYS) == before
    assert isinstance(larger, kind)
    assert "c" in larger.owners(KEYS)


@pytest.mark.parametrize("kind", [Ring, Rendezvous])
def test_any_node_may_leave_and_only_its_keys_move(kind):
    sharding = kind(["a", "b", "c", "d", "e"], hash="md5")
    moved = sharding.moved(sharding.remove("b"), KEYS)
    assert {old for old, _ in moved.flows} == {"b"}
    assert moved.moved == sharding.counts(KEYS)["b"]
    assert {new for _, new in moved.flows} == {"a", "c", "d", "e"}


def test_with_modulo_nearly_all_keys_move():
    four = Modulo(["a", "b", "c", "d"], hash="md5")
    assert four.moved(four.add("e"), KEYS).share == pytest.approx(0.8, abs=0.03)


def test_jump_moves_as_few_as_possible_at_the_end_and_many_from_the_middle():
    five = Jump(["a", "b", "c", "d", "e"])
    assert monotonicity(five.remove("e"), five, KEYS).is_monotone
    assert five.moved(five.remove("e"), KEYS).share == pytest.approx(0.2, abs=0.03)
    assert not monotonicity(five.remove("a"), five, KEYS).is_monotone


def test_jump_is_what_the_package_computes():
    compiled = pytest.importorskip("jump").hash
    for value in (0, 1, 2**31, 2**32 - 1, *range(1000, 90_000, 991)):
        for count in (1, 2, 3, 10, 1000):
            assert jump(value, count) == compiled(value, count)


def test_jump_has_no_weights():
    with pytest.raises(ValueError, match="jump hashing has no weights"):
        Jump(["a"]).add("b", weight=2)


def test_a_ring_places_keys_where_ketama_does():
    servers = [Server("127.0.0.1", 7601 + number) for number in range(7)]
    placement = Placement(servers)
    ring = Ring([server.address for server in servers])
    assert [ring.owner(key) for key in KEYS] == [
        placement.owner(key.encode()).address for key in KEYS
    ]


def test_a_key_belongs_to_the_next_point():
    ring = Ring(["a", "b", "c"], points_per_weight=5)
    points = ring.points
    assert len(points) == 15
    assert points == sorted(points)
    for key in KEYS[:300]:
        place = ring.place(key)
        following = next((point for point in points if point.place >= place), points[0])
        assert ring.point(key) == following
        assert ring.owner(key) == following.node == ring.successors(key, 1)[0]
        assert sorted(ring.successors(key, 3)) == ["a", "b", "c"]


def test_the_first_points_stay_when_there_are_more():
    few, many = (Ring(["a"], points_per_weight=count).points for count in (3, 10))
    assert set(few) < set(many)


def test_shares_of_the_circle_are_what_counts_tend_to():
    ring = Ring(["a", "b", "c"], hash="md5", points_per_weight=3)
    assert sum(ring.shares().values()) == pytest.approx(1)
    for node, count in ring.counts(KEYS).items():
        assert count / len(KEYS) == pytest.approx(ring.shares()[node], abs=0.03)
    assert Ring(["a"], points_per_weight=1).shares() == {"a": 1.0}


def test_four_nodes_of_which_two_are_lost_one_after_the_other():
    four = Ring.placed({"A": 0.0, "B": 0.25, "C": 0.5, "D": 0.75})
    assert set(four.shares().values()) == {0.25}
    assert four.remove("B").remove("C").shares() == {"A": 0.25, "D": 0.75}
    assert four.add("E").shares()["A"] <= 0.25


def test_points_put_by_hand_are_put_there():
    ring = Ring.placed({"A": [0.5, 0.9], "B": 0.25})
    assert [point.place for point in ring.points] == [
        CIRCLE // 4,
        CIRCLE // 2,
        int(CIRCLE * 0.9),
    ]
    for wrong in ({"A": 1.0}, {"A": -0.1}, {"A": []}):
        with pytest.raises(ValueError, match="'A' needs places from 0 up to 1"):
            Ring.placed(wrong)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "there has to be a node"),
        (["a", "b", "a"], "'a' is there twice"),
        ({"a": 0}, "the weight of 'a' is 0"),
    ],
)
def test_what_makes_no_sharding_is_refused(nodes, message):
    with pytest.raises(ValueError, match=message):
        Ring(nodes)


def test_what_cannot_be_added_or_removed_is_named():
    ring = Ring(["a", "b"])
    with pytest.raises(ValueError, match="'a' is there already"):
        ring.add("a")
    with pytest.raises(KeyError, match="there is no node 'x'; there are a, b"):
        ring.remove("x")
    with pytest.raises(ValueError, match="there has to be a node"):
        ring.remove("a").remove("b")
    with pytest.raises(TypeError, match="nodes are a list of names"):
        Ring("abc")
    with pytest.raises(ValueError, match="points_per_weight is 0"):
        Ring(["a"], points_per_weight=0)


@pytest.mark.parametrize(
    "sharding",
    [
        Ring(["a", "b"], hash="md5", points_per_weight=4),
        Ring({"a": 1, "b": 2}),
        Modulo(["a"]),
        Rendezvous({"a": 3, "b": 1}),
        Jump(["a", "b"], hash="murmur"),
        Ring.placed({"a": [0.5], "b": [0.0, 0.25]}),
    ],
)
def test_it_is_printed_as_it_is_made(sharding):
    again = eval(repr(sharding))
    assert again.owners(KEYS[:200]) == sharding.owners(KEYS[:200])
    assert again.weights == sharding.weights
    assert repr(again) == repr(sharding)


def test_many_nodes_are_not_all_printed():
    text = repr(Modulo([f"n{number}" for number in range(30)]))
    assert text.endswith("'n7', ...], hash='fnv1a_64') with 30 nodes>")


def test_a_notebook_shows_a_table_and_names_do_no_harm():
    page = Ring({"<b>a": 2, "c": 1}, points_per_weight=2)._repr_html_()
    assert "<td>&lt;b&gt;a</td><td>2</td><td>4</td>" in page
    assert "points_per_weight 2" in page
    assert "share of the circle" in page
    assert "<th scope='col'>weight</th>" in Jump(["a"])._repr_html_()


def test_moved_says_from_where_to_where():
    moved = Moved(200, {("a", "c"): 30, ("b", "c"): 20})
    assert (moved.moved, moved.share) == (50, 0.25)
    assert str(moved) == "50 of 200 keys moved, 25.0%"
    assert Moved(0, {}).share == 0


def test_balance_is_counted_against_what_is_due_by_weight():
    # Of the numbers 0 to 7 as hashes, slots of 1 and 3 get a quarter and three quarters.
    found = balance(Modulo({"a": 1, "b": 3}, hash="md5"), KEYS)
    assert found.fair == {"a": 1500.0, "b": 4500.0}
    ratios = [found.counts["a"] / 1500, found.counts["b"] / 4500]
    assert (found.low, found.peak) == (min(ratios), max(ratios))
    assert found.deviation == pytest.approx(math.hypot(ratios[0] - 1, ratios[1] - 1) / 2**0.5)
    with pytest.raises(ValueError, match="balance needs keys"):
        balance(Ring(["a"]), [])


def test_more_points_make_a_ring_more_even():
    nodes = [f"n{number}" for number in range(10)]
    deviations = [
        balance(Ring(nodes, hash="md5", points_per_weight=count), KEYS).deviation
        for count in (1, 20, 400)
    ]
    assert deviations == sorted(deviations, reverse=True)
    assert deviations[0] > 0.5
    assert deviations[2] < 0.1


def test_monotonicity_counts_what_moved_for_nothing():
    ring = Ring(["a", "b", "c"])
    found = monotonicity(ring, ring.add("d"), KEYS)
    assert (found.is_monotone, found.between_old, found.keys) == (True, 0, len(KEYS))
    assert found.to_new == ring.add("d").counts(KEYS)["d"]
    modulo = Modulo(["a", "b", "c"])
    found = monotonicity(modulo, modulo.add("d"), KEYS)
    assert not found.is_monotone
    assert found.to_new + found.between_old == modulo.moved(modulo.add("d"), KEYS).moved
    with pytest.raises(ValueError, match="the larger view lacks c"):
        monotonicity(ring, ring.remove("c"), KEYS)


def views(kind):
    """What six clients know of six nodes: each misses others, and one to three of them."""
    nodes = [f"n{number}" for number in range(6)]
    lost = [nodes[number:] + nodes[:number] for number in range(6)]
    known = [set(nodes) - set(some[: 1 + number // 2]) for number, some in enumerate(lost)]
    return [kind([node for node in nodes if node in some], hash="md5") for some in known]


def test_spread_and_load_are_small_on_a_ring_and_large_with_modulo():
    ring, modulo = (spread(views(kind), KEYS) for kind in (Ring, Modulo))
    assert ring.mean < 0.75 * modulo.mean
    assert ring.largest < modulo.largest
    for found in (ring, modulo):
        assert sum(found.counts.values()) == len(KEYS)
        assert max(found.counts) == found.largest
        weighed = sum(owners * count for owners, count in found.counts.items())
        assert found.mean == weighed / len(KEYS)
    ring_load, modulo_load = (load(views(kind), KEYS) for kind in (Ring, Modulo))
    assert ring_load.ratio < 0.8 * modulo_load.ratio
    # Each pair of a key and an owner counts once in either measure.
    assert sum(ring_load.counts.values()) == round(ring.mean * len(KEYS))
    assert ring_load.largest == max(ring_load.counts.values())
    assert ring_load.ratio == ring_load.largest / (len(KEYS) / 6)


def test_spread_and_load_of_one_view_are_its_owners_and_counts():
    ring = Ring(["a", "b", "c"])
    assert spread([ring], KEYS * 2).counts == {1: len(KEYS)}
    assert load([ring], KEYS * 2).counts == ring.counts(KEYS)
    for measure in (spread, load):
        with pytest.raises(ValueError, match="there has to be a view, and a key"):
            measure([], KEYS)
        with pytest.raises(ValueError, match="there has to be a view, and a key"):
            measure([ring], [])
