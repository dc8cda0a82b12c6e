"""Who needs which right, and how a password is changed while everybody works.

The rights are those that Redis's documentation names. Real Redis, asked the same, said the same.
"""

from __future__ import annotations

import pytest
import redis

from redislab import SentinelLab
from tests.servers import WORLDS

REPLICA = "+psync +replconf +ping"
SENTINEL = (
    "allchannels +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info"
    " +client|setname +client|kill +script|kill"
)
# What becomes of a lab whose Sentinels lack a right: it never gets to know itself, it does until
# there is to be a failover, or nobody minds.
NEVER, LATE, WELL = "never", "late", "well"
WITHOUT = {
    "allchannels": NEVER,
    "+multi": WELL,
    "+slaveof": LATE,
    "+ping": NEVER,
    "+exec": LATE,
    "+subscribe": NEVER,
    "+config|rewrite": LATE,
    "+role": WELL,
    "+publish": NEVER,
    "+info": NEVER,
    "+client|setname": WELL,
    "+client|kill": LATE,
    "+script|kill": WELL,
}
# A busy machine lets a node wait; in simulated time none is busy.
PATIENCE_SECONDS = 60


def guarded(world, rules=SENTINEL, **options):
    """A lab whose replicas and Sentinels come as users with rights of their own."""
    return SentinelLab(
        world=world,
        seed=7,
        password="data",
        down_after_ms=1000,
        failover_timeout_ms=2000,
        config={
            "user": (f"replica-user on >r3plica {REPLICA}", f"sentinel-user on >s3ntry {rules}"),
            "masteruser": "replica-user",
            "masterauth": "r3plica",
        },
        sentinel_config={
            "sentinel": ("auth-user mymaster sentinel-user", "auth-pass mymaster s3ntry")
        },
        **options,
    )


def refused(lab):
    """What the servers that run have turned down, besides passwords."""
    running = [node.name for node in lab.snapshot().nodes if node.up]
    logs = [lab.client(name, decode_responses=True).acl_log() for name in running]
    return {each["object"] for log in logs for each in log if each["reason"] != "auth"}


@pytest.mark.parametrize("world", WORLDS[::2])
def test_the_documented_rights_are_enough_and_one_fewer_shows_in_the_failover(world):
    with guarded(world) as lab:
        lab.kill("redis-1")
        lab.wait_until(lambda now: now.master.up, timeout=PATIENCE_SECONDS)
        assert refused(lab) == set()
        # Before any other failover may begin, twice the failover-timeout has to pass.
        heir = lab.master
        for node in lab.replicas:
            if lab.place.state(node.name) == "running":
                lab.cli("ACL SETUSER sentinel-user -config|rewrite", node, password="data")
        lab.run_for(1)
        lab.wait_until(lambda _: forced(lab), timeout=PATIENCE_SECONDS, every=0.5)
        lab.wait_until(
            lambda _: "-failover-abort-slave-timeout" in {event.kind for event in lab.told()},
            timeout=PATIENCE_SECONDS,
        )
        assert lab.master == heir
        assert refused(lab) == {"config|rewrite"}


def forced(lab):
    """Whether a Sentinel has begun a failover at our command."""
    try:
        lab.failover()
    except redis.ResponseError:
        return False
    return True


@pytest.mark.parametrize(("rule", "fate"), WITHOUT.items(), ids=WITHOUT)
def test_what_a_sentinel_lacks_shows_at_once_or_in_the_failover(rule, fate):
    rules = " ".join(each for each in SENTINEL.split() if each != rule)
    with guarded("sim", rules, replicas=1, ready=False) as lab:
        lab.run_for(12)
        assert lab.snapshot().settled == (fate != NEVER)
        if fate != NEVER:
            lab.kill("redis-1")
            lab.run_for(8)
            assert lab.snapshot().master.up == (fate == WELL)
        never_said = rule in {"+role", "+script|kill"}
        assert bool(refused(lab)) != never_said


@pytest.mark.parametrize("world", WORLDS[::2])
def test_with_two_passwords_at_a_time_nobody_is_turned_away(world):
    with SentinelLab(world=world, seed=7, password="old", down_after_ms=1000) as lab:

        def on_every_server(command, password):
            for node in lab.servers:
                lab.cli(command, node, password=password)

        def break_all(password):
            """Break every connection to a server; how often somebody was turned away then."""
            for kind in ("replica", "normal", "pubsub"):
                on_every_server(f"CLIENT KILL TYPE {kind}", password)
            lab.run_for(1.5)
            clients = [lab.client(node, password=password) for node in lab.servers]
            return sum(each["count"] for client in clients for each in client.acl_log())

        on_every_server("ACL SETUSER default >new", "old")
        assert break_all("old") == 0
        on_every_server("CONFIG SET masterauth new", "old")
        for sentinel in lab.sentinels:
            lab.cli("SENTINEL SET mymaster auth-pass new", sentinel)
        assert break_all("old") == 0
        on_every_server("CONFIG SET requirepass new", "old")
        assert break_all("new") == 0
        for node in lab.servers:
            with pytest.raises(redis.AuthenticationError):
                lab.client(node, password="old").ping()
        links = [lab.client(node, password="new").info("replication") for node in lab.servers]
        assert [each["role"] for each in links] == ["master", "slave", "slave"]
        assert [each["master_link_status"] for each in links[1:]] == ["up", "up"]
        assert not any(each.s_down for each in lab.snapshot().sentinels)
