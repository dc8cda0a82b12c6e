"""A Sentinel as a node in simulated time: what it remembers, and what its settings change."""

import errno

import pytest
import redis

from tests.sentinel.town import MASTER, Town

FILE = "sentinel.conf"


def file_of(town, sentinel):
    (content,) = (
        data for path, data in town.world.disk(sentinel.name).files().items() if path.endswith(FILE)
    )
    return content.decode()


def test_what_it_knows_survives_a_power_failure_at_any_moment():
    """The file on the medium is always the last one that was written, however much is lost."""
    for moment in range(8):
        with Town(seed=moment, down_after_milliseconds=1000, failover_timeout=10000) as town:
            town.world.run_for(12)
            watcher = town.sentinels[moment % 3]
            before = town.shown(watcher)
            my_id = town.ask(watcher, "SENTINEL", "MYID")
            town.world.kill(MASTER)
            town.world.run_for(1.0 + moment * 0.15)
            epoch = epoch_of(file_of(town, watcher))
            town.world.power_off(watcher.name, kept=0.0)
            assert epoch_of(file_of(town, watcher)) == epoch
            town.world.restart(watcher.name)
            town._clients.pop(watcher.name)
            town.wait(lambda town=town, watcher=watcher: town.address(watcher)[1] != 6379)
            assert town.ask(watcher, "SENTINEL", "MYID") == my_id
            after = town.shown(watcher)
            assert int(after["config-epoch"]) > int(before["config-epoch"])
            assert after["num-other-sentinels"] == before["num-other-sentinels"]
            assert after["num-slaves"] == before["num-slaves"]


def epoch_of(text):
    return int(text.partition("sentinel current-epoch ")[2].split()[0])


def test_a_vote_is_on_the_medium_before_it_is_told():
    with Town(replicas=0, sentinels=1) as town:
        (sentinel,) = town.sentinels
        host, port = town.address(sentinel)
        call = ("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", host, port)
        assert town.ask(sentinel, *call, 7, "b" * 40) == [0, b"b" * 40, 7]
        town.world.power_off(sentinel.name, kept=0.0)
        town.world.restart(sentinel.name)
        town._clients.pop(sentinel.name)
        # Who got it is not kept; that nobody else gets it is what counts.
        assert town.ask(sentinel, *call, 7, "c" * 40) == [0, b"*", 7]
        assert "+vote-for-leader " + "c" * 40 not in town.log(sentinel)


def test_a_disk_that_fails_is_told_of_and_the_old_file_stays():
    with Town(replicas=0, sentinels=1) as town:
        (sentinel,) = town.sentinels
        before = file_of(town, sentinel)
        for operation in ("open", "write", "sync", "rename"):
            town.world.disk(sentinel.name).inject(operation, "sentinel.conf*", error=errno.ENOSPC)
            with pytest.raises(redis.ResponseError, match="Failed to save config file"):
                town.ask(sentinel, "SENTINEL", "SET", "mymaster", "quorum", "5")
            assert file_of(town, sentinel) == before
            assert "No space left on device" in town.log(sentinel)
        town.ask(sentinel, "SENTINEL", "FLUSHCONFIG")
        assert " 6379 5\n" in file_of(town, sentinel)


def test_a_command_renamed_there_and_back_is_sent_under_its_name():
    with Town(replicas=0, sentinels=1, down_after_milliseconds=1500) as town:
        (sentinel,) = town.sentinels
        rename = ("SENTINEL", "SET", "mymaster", "rename-command", "PING")
        town.ask(sentinel, *rename, "PONG")
        town.world.run_for(3)
        assert town.shown(sentinel)["flags"] == "s_down,master"
        town.ask(sentinel, *rename, "PING")
        town.world.run_for(3)
        assert town.shown(sentinel)["flags"] == "master"


def test_down_after_holds_for_all_that_belong_to_a_master():
    with Town() as town:
        town.world.run_for(12)
        (watcher, *_) = town.sentinels
        town.ask(watcher, "SENTINEL", "SET", "mymaster", "down-after-milliseconds", "777")
        shown = [town.shown(watcher), *town.shown(watcher, "REPLICAS")]
        shown += town.shown(watcher, "SENTINELS")
        assert len(shown) == 5
        assert {each["down-after-milliseconds"] for each in shown} == {"777"}


def test_a_password_or_a_user_guards_it():
    config = {"requirepass": "secret", "user": "joe on >pw resetchannels -@all +sentinel|masters"}
    with Town(replicas=0, sentinels=0) as town:
        town.add_sentinel("sentinel-0", config=config)
        (sentinel,) = town.sentinels
        with pytest.raises(redis.AuthenticationError):
            town.ask(sentinel, "SENTINEL", "MASTERS")
        town.ask(sentinel, "AUTH", "secret")
        assert len(town.ask(sentinel, "SENTINEL", "MASTERS")) == 1
        town.ask(sentinel, "AUTH", "joe", "pw")
        assert len(town.ask(sentinel, "SENTINEL", "MASTERS")) == 1
        for call in (("SENTINEL", "RESET", "*"), ("INFO",), ("SHUTDOWN",)):
            with pytest.raises(redis.exceptions.NoPermissionError):
                town.ask(sentinel, *call)
        assert f"user joe on {'#'}" in file_of(town, sentinel)


def test_a_removed_master_is_left_alone_and_may_come_back():
    with Town(replicas=1, sentinels=1) as town:
        (sentinel,) = town.sentinels
        host, port = town.address(sentinel)
        assert b"sentinel-" in town.ask(town.master, "CLIENT", "LIST")
        town.ask(sentinel, "SENTINEL", "REMOVE", "mymaster")
        town.world.run_for(1)
        assert b"sentinel-" not in town.ask(town.master, "CLIENT", "LIST")
        assert "monitor" not in file_of(town, sentinel)
        town.ask(sentinel, "SENTINEL", "MONITOR", "mymaster", host, port, 1)
        town.wait(lambda: town.shown(sentinel)["num-slaves"] == "1")


def test_a_reset_forgets_and_finds_again():
    with Town() as town:
        town.world.run_for(12)
        (watcher, *_) = town.sentinels
        assert town.ask(watcher, "SENTINEL", "RESET", "my*") == 1
        shown = town.shown(watcher)
        assert (shown["num-slaves"], shown["num-other-sentinels"]) == ("0", "0")
        town.wait(lambda: town.shown(watcher)["num-other-sentinels"] == "2")
        town.wait(lambda: town.shown(watcher)["num-slaves"] == "2")
        assert "+reset-master master mymaster" in town.log(watcher)
