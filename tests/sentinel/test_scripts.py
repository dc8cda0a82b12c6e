"""Programs that a Sentinel runs at events: when, with what, how many, and what if they fail."""

from redislab.sentinel import events, timer
from redislab.sentinel.failover import promoted
from redislab.sentinel.model import FailoverState
from redislab.sentinel.scripts import QUEUE_MAX, RUNNING_MAX
from redislab.server.log import NOTICE, WARNING
from tests.sentinel.desk import Desk


def started(desk):
    return [arguments for arguments, _ in desk.ran]


def run(desk):
    desk.watch.scripts.run(desk.now)


def test_a_warning_about_a_master_or_what_is_its_own_runs_its_script():
    desk = Desk()
    master = desk.master(notification_script="/notify")
    desk.master(name="other")
    replica = next(iter(master.replicas.values()))
    events.about(desk.watch, WARNING, "+sdown", master)
    events.about(desk.watch, WARNING, "+sdown", replica)
    events.about(desk.watch, NOTICE, "+slave", replica)
    events.about(desk.watch, WARNING, "+sdown", desk.state.masters["other"])
    events.tell(desk.watch, WARNING, "+tilt", "#tilt mode entered")
    run(desk)
    at = "@ mymaster 10.0.0.1 6379"
    assert started(desk) == [
        ("/notify", "+sdown", "master mymaster 10.0.0.1 6379"),
        ("/notify", "+sdown", f"slave 10.0.1.1:6380 10.0.1.1 6380 {at}"),
    ]


def test_the_leader_reconfigures_clients():
    desk = Desk()
    master = desk.master(client_reconfig_script="/moved", state=FailoverState.WAIT_PROMOTION)
    replica = next(iter(master.replicas.values()))
    master.promoted, replica.is_promoted = replica, True
    promoted(desk.watch, master, replica)
    run(desk)
    expected = ("/moved", "mymaster", "leader", "start", "10.0.0.1", "6379", "10.0.1.1", "6380")
    assert started(desk) == [expected]


def test_sixteen_run_at_a_time_and_the_oldest_that_waits_is_dropped():
    desk = Desk()
    for number in range(RUNNING_MAX):
        desk.watch.scripts.schedule("/s", str(number))
    run(desk)
    for number in range(RUNNING_MAX, QUEUE_MAX + 4):
        desk.watch.scripts.schedule("/s", str(number))
    run(desk)
    queue = desk.watch.scripts.queue
    assert (len(queue), desk.watch.scripts.running, len(desk.ran)) == (QUEUE_MAX, 16, 16)
    assert [int(job.arguments[1]) for job in queue[:18]] == [*range(16), 20, 21]
    desk.ran[3][1](4, 0, 0)
    run(desk)
    assert started(desk)[-1] == ("/s", "20")


def test_one_that_asks_to_be_run_again_is_with_ever_more_patience():
    desk = Desk()
    desk.watch.scripts.schedule("/s")
    delays = []
    for number in range(1, 11):
        run(desk)
        assert len(desk.ran) == number
        desk.ran[-1][1](number, 1, 0)
        if number < 10:
            (job,) = desk.watch.scripts.queue
            delays.append((job.since - desk.now) // 1000)
            desk.now = job.since - 1
            run(desk)
            assert len(desk.ran) == number
            desk.now += 1
    assert delays == [30, 60, 120, 240, 480, 960, 1920, 3840, 7680]
    assert desk.watch.scripts.queue == []
    assert desk.published == [("-script-error", "/s 0 1")]


def test_one_that_fails_is_not_run_again():
    desk = Desk()
    desk.watch.scripts.schedule("/s")
    run(desk)
    desk.ran[0][1](1, 2, 0)
    assert desk.watch.scripts.queue == []
    assert desk.published == [("-script-error", "/s 0 2")]


def test_one_that_does_well_is_not_told_of():
    desk = Desk()
    desk.watch.scripts.schedule("/s")
    run(desk)
    desk.ran[0][1](1, 0, 0)
    assert (desk.watch.scripts.queue, desk.published) == ([], [])
    assert [line.split()[1] for line in desk.lines] == ["+script-child", "-script-child"]


def test_one_that_does_not_end_is_killed_and_run_again():
    desk = Desk()
    desk.watch.scripts.schedule("/s")
    run(desk)
    desk.now += 60_000
    run(desk)
    assert desk.published == []
    desk.now += 1
    run(desk)
    assert desk.published == [("-script-timeout", "/s 1")]
    (job,) = desk.watch.scripts.queue
    assert (job.is_running, job.tries, job.since) == (False, 1, desk.now + 30_000)


def test_one_that_is_killed_is_told_of_once_though_its_end_is_seen_later():
    desk = Desk()
    ends = []
    desk.kill_script = ends.append
    desk.watch.scripts.schedule("/s")
    run(desk)
    for _ in range(3):
        desk.now += 60_001
        run(desk)
    assert (desk.published, ends) == ([("-script-timeout", "/s 1")], [1])
    desk.ran[0][1](1, 0, 9)
    for _ in range(2):
        desk.now += 60_001
        run(desk)
    assert desk.events == ["-script-timeout", "-script-timeout"]


def test_where_no_programs_can_be_run_none_waits():
    desk = Desk()
    desk.run_script = lambda _arguments, _ended: None
    desk.watch.scripts.schedule("/s")
    run(desk)
    assert (desk.watch.scripts.queue, desk.watch.scripts.running) == ([], 0)


def test_where_no_process_can_be_made_it_is_tried_again():
    desk = Desk()

    def refuse(_arguments, _ended):
        raise OSError("no more processes")

    desk.run_script = refuse
    desk.watch.scripts.schedule("/s")
    run(desk)
    assert desk.published == [("-script-error", "/s 99 0")]
    assert desk.watch.scripts.queue[0].since == desk.now + 30_000


def test_a_late_timer_is_tilt_and_ends_after_half_a_minute():
    desk = Desk()
    master = desk.master(replicas=0, peers=0)
    master.address = master.address._replace(port=0)  # that is called by nobody
    desk.state.previous_time = desk.now - 2000
    assert 0.05 <= timer.run(desk.watch) <= 0.1
    assert desk.events == []
    desk.now += 2001
    timer.run(desk.watch)
    assert desk.published == [("+tilt", "#tilt mode entered")]
    desk.now -= 1
    timer.run(desk.watch)
    assert desk.events == ["+tilt", "+tilt"]
    since = desk.now
    while desk.now < since + 29_500:
        desk.now += 500
        timer.run(desk.watch)
    assert desk.events == ["+tilt", "+tilt"]
    desk.now += 500
    timer.run(desk.watch)
    # Then it acts at once.
    assert desk.events[2:] == ["-tilt", "+sdown"]


def test_the_timer_is_drawn_anew_each_time():
    desk = Desk()
    desk.state.previous_time = desk.now
    periods = {timer.run(desk.watch) for _ in range(500)}
    assert periods == {0.1, 0.09, 0.083, 0.076, 0.071, 0.066, 0.062, 0.058, 0.055, 0.052}
