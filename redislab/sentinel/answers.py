"""What is asked of those who are watched, and what their answers change: all but INFO and hellos.

PING tells who is alive; other Sentinels are asked whether they take a master to be down, and for
their vote; replicas are told whom to follow. Follows `sentinelPingReplyCallback`,
`sentinelReceiveIsMasterDownReply`, `sentinelAskMasterStateToOtherSentinels` and
`sentinelSendSlaveOf` in `src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.sentinel import votes
from redislab.sentinel.addresses import shown
from redislab.sentinel.model import Address, Instance, Master, Peer, Replica
from redislab.sentinel.reader import Failure, Reply, Status

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch

# Answers to a PING that come from a process that lives.
_ALIVE = (b"PONG", b"LOADING", b"MASTERDOWN")


def discard(_watch: Watch, _instance: Instance, _reply: Reply) -> None:
    """Whatever the answer is: what was asked for shows elsewhere."""


def take_auth(watch: Watch, instance: Instance, reply: Reply) -> None:
    """The answer to AUTH: what it says of a wrong password, PING will say too; log it."""
    if isinstance(reply, Failure):
        watch.links.complain(instance, f"refuses our password: {reply.decode('utf-8', 'replace')}")


# -- PING ----------------------------------------------------------------------------------------


def send_ping(watch: Watch, instance: Instance, now: int) -> None:
    """Ask whether an instance is alive."""
    if watch.links.send(instance, "PING", answered=take_ping):
        link = instance.link
        link.ping_sent = now
        # Of several that are not answered, the first one counts.
        link.asked = link.asked or now


def take_ping(watch: Watch, instance: Instance, reply: Reply) -> None:
    """The answer to a PING."""
    link, now = instance.link, watch.host.now_ms()
    link.ping_answered = now
    if not isinstance(reply, Status | Failure):
        return
    if reply.startswith(_ALIVE):
        link.available, link.asked = now, 0
        if isinstance(instance, Master) and reply.startswith(b"PONG"):
            instance.rebooted = False
    elif reply.startswith(b"BUSY") and instance.s_down and not instance.kill_sent:
        # It runs a script that does not end.
        watch.links.send(instance, "SCRIPT", (b"KILL",))
        instance.kill_sent = True


# -- other Sentinels -----------------------------------------------------------------------------


def ask_peers(watch: Watch, master: Master, now: int, *, at_once: bool = False) -> None:
    """Ask the other Sentinels whether they take a master to be down, and for their vote.

    They are asked while it is down in our own eyes, once a second, or at once; for their vote while
    a failover is under way. What they said is forgotten after five seconds.
    """
    state, period = watch.state, watch.state.timing.ask_period
    for peer in master.peers.values():
        heard = now - peer.master_down_heard
        if heard > period * 5:
            peer.master_down, peer.leader = False, ""
        if not master.s_down or peer.link.is_disconnected or (heard < period and not at_once):
            continue
        words = (
            "is-master-down-by-addr",
            shown(state, master.address),
            str(master.address.port),
            str(state.current_epoch),
            state.my_id if master.in_failover else votes.NOBODY,
        )
        encoded = tuple(word.encode() for word in words)
        watch.links.send(peer, "SENTINEL", encoded, take_master_down)


def take_master_down(watch: Watch, instance: Instance, reply: Reply) -> None:
    """What another Sentinel says of a master, and whom it has voted for."""
    assert isinstance(instance, Peer)
    match reply:
        case [int(is_down), bytes(said), int(epoch)] if not isinstance(said, Status | Failure):
            leader = said.decode("utf-8", "replace")
        case Failure():
            return  # what it said before is forgotten in time
        case _:
            watch.links.complain(instance, "makes no sense about its master")
            return
    if not votes.makes_sense(leader, epoch):
        watch.links.complain(instance, f"votes for {leader!r} in epoch {epoch}")
        return
    instance.master_down_heard = watch.host.now_ms()
    instance.master_down = is_down == 1
    if leader == votes.NOBODY:
        return
    if instance.leader_epoch != epoch:
        watch.host.log.warning(f"{instance.name} voted for {leader} {epoch}")
    instance.leader, instance.leader_epoch = leader, epoch


# -- whom to follow ------------------------------------------------------------------------------


def send_replicaof(watch: Watch, replica: Replica, address: Address | None) -> bool:
    """Tell a replica to follow the master at this address, or nobody.

    It is one transaction: it also writes that down and hangs up on its clients, which then ask who
    the master is. Whether it worked, its INFO will say.

    Returns:
        Whether there is a connection to send it on.
    """
    host, port = ("NO", "ONE")
    if address is not None:
        host, port = shown(watch.state, address), str(address.port)
    send = watch.links.send
    return (
        send(replica, "MULTI")
        and send(replica, "SLAVEOF", (host.encode(), port.encode()))
        and send(replica, "CONFIG", (b"REWRITE",))
        and send(replica, "CLIENT", (b"KILL", b"TYPE", b"normal"))
        and send(replica, "CLIENT", (b"KILL", b"TYPE", b"pubsub"))
        and send(replica, "EXEC")
    )
