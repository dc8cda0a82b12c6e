"""A simulated node that is busy: who waits, how long, and what becomes of it in faults."""

import pytest
import redis

from redislab import SingleLab
from redislab.worlds.sim import Faults, Work
from redislab.worlds.sim.work import commands_in

NEAR = Faults(latency_seconds=20e-6, jitter_seconds=5e-6)
SLOW = Work(read_seconds=0.5, command_seconds=0.0, byte_seconds=0.0)


def busy_lab(work=None):
    return SingleLab(world="sim", seed=1, faults=NEAR, work=work or Work())


def load(lab, test="GET", **options):
    return lab.measure(test, requests=None, duration_s=0.05, **options)


def test_the_throughput_is_that_of_the_course():
    with busy_lab() as lab:
        load(lab, "SET", clients=50)
        assert load(lab, clients=50).throughput == pytest.approx(52_110, rel=0.01)
        load(lab, "SET", clients=100, payload=2048)
        assert load(lab, clients=100, payload=2048).throughput == pytest.approx(42_955, rel=0.01)


def test_more_clients_than_keep_it_busy_only_wait():
    with busy_lab() as lab:
        ten, hundred = load(lab, clients=10), load(lab, clients=100)
    assert hundred.throughput == pytest.approx(ten.throughput, rel=0.01)
    assert hundred.p50_ms == pytest.approx(10 * ten.p50_ms, rel=0.02)
    assert hundred.max_ms < 1.1 * hundred.p50_ms  # first come, first served


def test_a_pipeline_shares_the_read():
    work = Work(read_seconds=100e-6, command_seconds=1e-6, byte_seconds=0.0)
    with busy_lab(work) as lab:
        assert load(lab, clients=10).throughput == pytest.approx(1e6 / 101, rel=0.02)
        assert load(lab, clients=10, pipeline=20).throughput == pytest.approx(20e6 / 120, rel=0.02)


def test_nothing_is_slow_unless_it_is_told_so():
    with SingleLab(world="sim", seed=1, faults=NEAR) as lab:
        assert load(lab, clients=100).throughput > 1e6


def test_the_same_seed_gives_the_same_history():
    def history():
        with busy_lab() as lab:
            load(lab, clients=7, pipeline=3)
            return lab.journal.messages

    assert list(history()) == list(history())


def test_a_pause_in_the_middle_of_a_command_only_makes_it_late():
    with busy_lab(SLOW) as lab:
        client = lab.client(socket_timeout=None)
        client.ping()
        before = lab.now
        lab.after(0.1, lab.pause)
        lab.after(2.1, lab.resume)
        assert client.set("a", 1)
        assert lab.now - before == pytest.approx(2.1, abs=0.01)
        assert client.get("a") == b"1"


def test_a_node_that_stood_still_while_idle_serves_what_came_meanwhile():
    with busy_lab(SLOW) as lab:
        client = lab.client(socket_timeout=None)
        client.ping()
        lab.pause()
        lab.after(1.0, lab.resume)
        before = lab.now
        client.ping()
        assert lab.now - before == pytest.approx(1.5, abs=0.01)


def test_a_kill_in_the_middle_of_a_command_is_heard_and_survived():
    with busy_lab(SLOW) as lab:
        client = lab.client(socket_timeout=None)
        client.ping()
        lab.after(0.1, lab.kill)
        with pytest.raises(redis.ConnectionError):
            client.set("a", 1)
        lab.restart()
        assert client.get("a") is None


def test_a_client_that_leaves_while_it_waits_is_skipped():
    with busy_lab(SLOW) as lab:
        patient, hasty = lab.client(socket_timeout=None), lab.client(socket_timeout=0.1)
        patient.ping()
        with pytest.raises(redis.TimeoutError):
            hasty.set("a", 1)
        assert patient.ping()


@pytest.mark.parametrize(
    ("data", "commands"),
    [(b"*1\r\n$4\r\nPING\r\n" * 3, 3), (b"PING\r\nPING\r\n", 2), (b"PIN", 1), (b"*2\r\n$3\r\n", 1)],
)
def test_commands_are_counted_by_how_they_begin(data, commands):
    assert commands_in(data) == commands


def test_work_takes_time_or_none():
    with pytest.raises(ValueError, match="byte_seconds cannot be negative"):
        Work(byte_seconds=-1.0)


def test_the_report_of_a_simulated_node_is_redis_benchmarks():
    with busy_lab() as lab:
        report = lab.benchmark("-t", "get", "-n", "2000", "-c", "20")
        assert "====== GET ======\n  2000 requests completed in 0.04 seconds" in report
        assert 'host configuration "appendonly": no' in report
        assert lab.benchmark("-t", "get", "-n", "2000", "-q").startswith("GET: 52")
        assert lab.benchmark("-t", "set,get", "-n", "100", "--csv").count("\n") == 3
        for refused in (["-l"], ["--threads", "2"], ["-I"], ["--cluster"]):
            with pytest.raises(RuntimeError, match=f"{refused[0]}: not in simulated time"):
                lab.benchmark(*refused)
        with pytest.raises(RuntimeError, match="Invalid option"):
            lab.benchmark("--nosuch")
