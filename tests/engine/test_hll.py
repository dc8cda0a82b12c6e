from __future__ import annotations

from random import Random

import pytest

from redislab.engine import hll
from tests.engine.callers import TestCaller

SPARSE_MAX = 3000


def filled(count: int, sparse_max: int = SPARSE_MAX) -> bytearray:
    string = hll.empty()
    for number in range(count):
        hll.raise_register(string, *hll.place(b"element:%d" % number), sparse_max)
    return string


@pytest.mark.parametrize("count", [0, 1, 10, 100, 1000, 5000])
def test_estimates_within_a_few_per_cent(count: int) -> None:
    assert abs(hll.estimate(hll.registers(filled(count))) - count) <= 0.03 * count + 1


def test_sparse_and_dense_hold_the_same_registers() -> None:
    sparse, dense = filled(400), filled(400, sparse_max=0)
    assert (sparse[4], dense[4]) == (hll.SPARSE, hll.DENSE)
    assert hll.registers(sparse) == hll.registers(dense)
    assert len(dense) == hll.DENSE_SIZE


def test_random_registers_survive_packing() -> None:
    random = Random(3)
    string = hll.empty()
    hll.make_dense(string)
    wanted = bytearray(hll.REGISTERS)
    for _ in range(5000):
        index, value = random.randrange(hll.REGISTERS), random.randrange(1, 52)
        raised = hll.raise_register(string, index, value, SPARSE_MAX)
        assert raised == (value > wanted[index])
        wanted[index] = max(wanted[index], value)
    assert hll.registers(string) == wanted


def test_sparse_runs_cover_every_register_after_each_change() -> None:
    random = Random(4)
    string = hll.empty()
    wanted = bytearray(hll.REGISTERS)
    for _ in range(300):
        index, value = random.randrange(200), random.randrange(1, 8)
        hll.raise_register(string, index, value, SPARSE_MAX)
        wanted[index] = max(wanted[index], value)
        assert hll.registers(string) == wanted
    assert string[4] == hll.SPARSE


def test_the_count_is_cached_until_something_changes() -> None:
    c = TestCaller()
    c("PFADD", "k", "a", "b")
    assert hll.cached_count(c.db.values[b"k"]) is None
    assert c("PFCOUNT", "k") == b":2\r\n"
    assert hll.cached_count(c.db.values[b"k"]) == 2
    assert c("PFADD", "k", "a") == b":0\r\n"
    assert hll.cached_count(c.db.values[b"k"]) == 2


@pytest.mark.parametrize("seed", range(20))
def test_many_at_once_come_to_the_same_bytes(seed: int) -> None:
    random = Random(seed)
    one_by_one, at_once = hll.empty(), hll.empty()
    registers, most = random.choice([20, 300, hll.REGISTERS]), random.choice([2, 5, 40])
    sparse_max = random.choice([0, 60, 3000])
    for _ in range(random.randint(1, 6)):
        wanted = [
            (random.randrange(registers), random.randint(1, most))
            for _ in range(random.choice([1, 10, 400]))
        ]
        raised = [hll.raise_register(one_by_one, *each, sparse_max) for each in wanted]
        assert hll.raise_registers(at_once, wanted, sparse_max) == sum(raised)
        for string in (at_once, one_by_one):
            hll.forget_count(string)
        assert at_once == one_by_one


def test_the_greatest_of_two_is_taken_register_by_register() -> None:
    random = Random(6)
    left, right = (bytes(random.randrange(64) for _ in range(hll.REGISTERS)) for _ in range(2))
    assert hll.greatest(left, right) == bytes(map(max, left, right))
    string = hll.empty()
    hll.make_dense(string)
    hll.set_registers(string, left)
    assert hll.registers(string) == left
