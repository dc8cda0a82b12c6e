"""Placements: order and labels of servers, tables, ejection, hash tags, what is remembered."""

from collections import Counter
from random import Random

import pytest

from redislab.ring import vectors
from redislab.ring.distributions import Continuum, Slots, ketama_counts, points_of
from redislab.ring.hashes import HASHES
from redislab.ring.placement import Placement
from redislab.ring.remembered import KEY_LENGTH_MAX, KEYS_MAX, Remembered
from redislab.ring.servers import Server, in_order

THREE = [Server("127.0.0.1", port) for port in (7601, 7602, 7603)]
KEYS = [b"key:%d" % number for number in range(3000)]
UNEVEN = (4, 6, 10, 4, 11, 17, 14, 17, 7, 10)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("10.0.0.1:7601:1", b"10.0.0.1:7601"),
        ("10.0.0.1:7601:1 shard-a", b"shard-a"),
        ("10.0.0.1:11211:1", b"10.0.0.1"),
        ("10.0.0.1:11211:1 shard-a", b"shard-a"),
        ("10.0.0.1:07601:1", b"10.0.0.1:07601"),
        ("10.0.0.1:011211:1", b"10.0.0.1"),
        ("/run/redis.sock:1", b"/run/redis.sock:"),
        ("/run/redis.sock:1 größer", "größer".encode()),
    ],
)
def test_what_is_hashed_of_a_server(text, label):
    assert Server.parse(text).label == label


@pytest.mark.parametrize("text", ["127.0.0.1:7601:3", "::1:7601:1 six", "/run/redis.sock:2 a"])
def test_a_server_is_written_as_it_was_read(text):
    assert str(Server.parse(text)) == text


def test_a_weight_that_fits_no_int_is_refused():
    with pytest.raises(ValueError, match="has an invalid weight"):
        Server.parse("127.0.0.1:7601:99999999999")


def test_servers_are_numbered_by_length_of_the_label_and_then_its_bytes():
    names = ["b", "aa", "Z", "ä", "a"]
    servers = in_order([Server("h", 1, 1, name) for name in names])
    assert [server.name for server in servers] == ["Z", "a", "b", "aa", "ä"]


def test_points_are_counted_in_floats_of_32_bits():
    exact = [weight * 400 // sum(UNEVEN) * 4 for weight in UNEVEN]
    counted = ketama_counts(UNEVEN)
    assert exact == [64, 96, 160, 64, 176, 272, 224, 272, 112, 160]
    assert counted == [60, 92, 160, 60, 176, 272, 224, 272, 112, 160]
    assert ketama_counts([1] * 24) == [160] * 24
    assert ketama_counts([1] * 25) == [156] * 25


def test_a_hash_goes_to_the_first_point_that_is_not_before_it():
    continuum = Continuum([(7, [10, 30]), (3, [20])])
    owners = {0: 7, 10: 7, 11: 3, 20: 3, 21: 7, 30: 7, 31: 7, 2**32 - 1: 7}
    assert {value: continuum.owner(value) for value in owners} == owners
    assert [continuum.point(value) for value in (0, 11, 30, 31)] == [10, 20, 30, 10]
    assert list(continuum.owners_of(list(owners))) == list(owners.values())


def test_of_points_at_one_place_the_first_owner_has_it():
    continuum = Continuum([(1, [5]), (0, [9]), (2, [5])])
    assert [continuum.owner(value) for value in (0, 5, 6, 10)] == [1, 1, 0, 1]


def test_a_continuum_whose_points_lie_close_is_searched_all_the_same():
    random = Random(3)
    places = random.sample(range(5000), 1000)
    continuum = Continuum([(0, places[:500]), (1, places[500:])])
    values = [random.randrange(6000) for _ in range(2000)] + [2**32 - 1]
    assert list(continuum.owners_of(values)) == [continuum.owner(value) for value in values]


def test_slots_are_as_many_as_the_weights():
    slots = Slots([(4, 1), (9, 3)])
    assert [slots.owner(value) for value in range(8)] == [4, 9, 9, 9] * 2
    assert list(slots.owners_of(list(range(8)))) == [4, 9, 9, 9] * 2
    assert slots.point(2**32 - 1) == 3


@pytest.mark.parametrize("table", [Continuum([]), Slots([])])
def test_a_table_without_points_has_no_owner(table):
    with pytest.raises((IndexError, ZeroDivisionError)):
        table.owner(1)
    with pytest.raises((IndexError, ZeroDivisionError)):
        table.owners_of([1])


@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("distribution", ["ketama", "modula"])
def test_many_keys_are_placed_as_one_by_one(hash_name, distribution, monkeypatch):
    servers = [Server("10.0.0.1", 7000 + n, weight) for n, weight in enumerate(UNEVEN)]
    placement = Placement(servers, hash=hash_name, distribution=distribution, hash_tag="{}")
    placement.rebuild([0, 2, 3, 7])
    keys = [*KEYS[:400], b"", b"{}", b"a{b}c", b"\xff{\x80}" * 40]
    one_by_one = [placement.index_of(key) for key in keys]
    assert list(placement.indexes_of(keys)) == one_by_one
    monkeypatch.setattr(vectors, "has_numpy", lambda: False)
    assert list(placement.indexes_of(keys)) == one_by_one


@pytest.mark.parametrize(
    ("key", "part"),
    [
        (b"plain", b"plain"),
        (b"a{tag}b", b"tag"),
        (b"{x}{y}", b"x"),
        (b"a{}b{c}", b"a{}b{c}"),
        (b"{{}}", b"{"),
        (b"}{", b"}{"),
        (b"a{b", b"a{b"),
    ],
)
def test_what_is_hashed_of_a_key(key, part):
    placement = Placement(THREE, hash_tag="{}")
    assert placement.hashed_part(key) == part
    assert placement.owner(key) == Placement(THREE).owner(part)
    assert placement.explain(key).hashed == part


@pytest.mark.parametrize("distribution", ["ketama", "modula"])
def test_ejection_moves_the_keys_of_who_went_and_return_brings_them_back(distribution):
    placement = Placement(THREE, distribution=distribution)
    index_of = placement.index_of
    before = [index_of(key) for key in KEYS]
    placement.rebuild([0, 2])
    during = [index_of(key) for key in KEYS]
    assert set(during) == {0, 2}
    assert placement.live == (0, 2)
    stayed = [old for old, new in zip(before, during, strict=True) if old == new]
    others = len(KEYS) - before.count(1)
    assert len(stayed) == others if distribution == "ketama" else len(stayed) < others * 0.8
    placement.rebuild(range(3))
    assert [index_of(key) for key in KEYS] == before


@pytest.mark.parametrize("distribution", ["ketama", "modula", "random"])
@pytest.mark.parametrize("count", [1, 3])
def test_without_a_live_server_nobody_has_a_key(distribution, count):
    placement = Placement(THREE[:count], distribution=distribution, random=Random(1))
    placement.index_of(b"remembered")
    placement.rebuild([])
    for ask in (placement.index_of, placement.owner, placement.explain):
        with pytest.raises(LookupError, match="no server of the pool is live"):
            ask(b"remembered")
    with pytest.raises(LookupError, match="no server of the pool is live"):
        placement.indexes_of([b"remembered"])


def test_one_server_has_everything_and_nothing_is_hashed():
    placement = Placement(THREE[:1])
    told = placement.explain(b"key")
    assert (told.index, told.value, told.point, told.server) == (0, None, None, THREE[0])
    assert list(placement.indexes_of([b"a", b""])) == [0, 0]


def test_random_takes_every_live_server_alike_whatever_its_weight():
    servers = [Server("10.0.0.1", 7000 + number, 1 + 9 * number) for number in range(4)]
    placement = Placement(servers, distribution="random", random=Random(7))
    placement.rebuild([0, 1, 3])
    counts = Counter(placement.index_of(b"key") for _ in range(3000))
    assert sorted(counts) == [0, 1, 3]
    assert all(850 < count < 1150 for count in counts.values())
    assert set(placement.indexes_of([b"key"] * 50)) == {0, 1, 3}
    again = Placement(servers, distribution="random", random=Random(7))
    placement = Placement(servers, distribution="random", random=Random(7))
    assert list(again.indexes_of(KEYS)) == list(placement.indexes_of(KEYS))


def test_an_explanation_says_hash_point_and_server():
    placement = Placement(THREE)
    for key in KEYS[:200]:
        told = placement.explain(key)
        assert told.value == HASHES["fnv1a_64"](key)
        assert told.point in [place for server in THREE for place in points_of(server.label, 160)]
        assert told.point in points_of(told.server.label, 160)
        assert told.server == placement.servers[told.index] == placement.owner(key)
    slot = Placement(THREE, distribution="modula").explain(b"key")
    assert slot.point == HASHES["fnv1a_64"](b"key") % 3 == slot.index


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"servers": []}, "a pool needs a server"),
        ({"hash": "sha1"}, "'sha1' is not a valid hash"),
        ({"distribution": "ring"}, "'ring' is not a valid distribution"),
        ({"hash_tag": "{"}, "a hash tag is two characters"),
        ({"hash_tag": "{}}"}, "a hash tag is two characters"),
        ({"distribution": "random"}, "needs a source of chance"),
    ],
)
def test_what_makes_no_pool_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Placement(**{"servers": THREE, **settings})


def test_what_was_found_is_remembered_within_a_bound():
    asked = []

    def find(key):
        asked.append(key)
        return len(key)

    remembered = Remembered(find)
    assert [remembered[b"ab"], remembered[b"ab"]] == [2, 2]
    assert asked == [b"ab"]
    for number in range(KEYS_MAX * 2):
        assert remembered[b"%d" % number] == len(str(number))
        assert len(remembered) <= KEYS_MAX
    long = b"x" * (KEY_LENGTH_MAX + 1)
    assert remembered[long] == remembered[long] == len(long)
    assert asked.count(long) == 2
