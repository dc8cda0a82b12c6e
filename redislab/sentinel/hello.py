"""Hellos: how Sentinels find each other, and learn of a newer configuration.

Every two seconds a Sentinel publishes who it is and whom it takes to be the master, on the channel
`__sentinel__:hello` of every master and replica, and to every other Sentinel:

    ip,port,id,current epoch,master's name,master's ip,master's port,epoch of that configuration

Who reads of an unknown Sentinel knows one more; who reads of a configuration of a greater epoch
takes it over. Follows `sentinelProcessHelloMessage` and `sentinelSendHello` in `src/sentinel.c` of
Redis 7.0, but for this: what cannot be a hello is logged, and so is a Sentinel that has our own id,
and neither changes anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from redislab.sentinel import events, votes
from redislab.sentinel.addresses import PORT_MAX, is_same, is_usable, shown
from redislab.sentinel.instances import (
    add_peer,
    current_address,
    find_peer,
    forget_peer,
    switch_master,
)
from redislab.sentinel.model import Address, Instance, Master, Peer, SentinelState, master_of
from redislab.sentinel.reader import Failure, Reply
from redislab.sentinel.timing import HELLO_CHANNEL

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch

# Most are hexadecimal digits, but `sentinel myid` takes what it is given.
_ID = re.compile(r"[!-~]{40}")
_NUMBER = re.compile(r"[0-9]{1,19}")
_SHOWN_MAX = 200  # characters of a hello that is none


class Hello(NamedTuple):
    """What a hello says.

    Attributes:
        sender: where the Sentinel is.
        run_id: its id.
        epoch: the greatest epoch that it has heard of.
        name: of the master.
        master: where it takes it to be.
        config_epoch: the epoch of that.
    """

    sender: Address
    run_id: str
    epoch: int
    name: str
    master: Address
    config_epoch: int


def read(state: SentinelState, text: str) -> Hello | None:
    """A hello, or None for what cannot be one."""
    words = text.split(",")
    if len(words) != 8:
        return None
    host, port, run_id, epoch, name, master_host, master_port, config_epoch = words
    numbers = (port, epoch, master_port, config_epoch)
    if not all(map(_NUMBER.fullmatch, numbers)) or _ID.fullmatch(run_id) is None:
        return None
    said = Hello(
        Address(host, int(port)),
        run_id,
        int(epoch),
        name,
        Address(master_host, int(master_port)),
        int(config_epoch),
    )
    if max(said.epoch, said.config_epoch) > votes.EPOCH_MAX:
        return None
    for address in (said.sender, said.master):
        if not 0 < address.port <= PORT_MAX or not is_usable(state, address.host):
            return None
    return said


def hear(watch: Watch, message: list[Reply]) -> None:
    """What came on the channel of hellos."""
    match message:
        case [b"message", bytes(), bytes(text)]:
            is_ours = watch.state.my_id.encode() in text
            if not is_ours or not text.startswith(tuple(watch.own_prefixes)):
                take(watch, text.decode("utf-8", "surrogateescape"))
        case _:
            return  # the answer to SUBSCRIBE


def take(watch: Watch, text: str) -> None:
    """A hello, heard on a channel or sent to us."""
    state, now = watch.state, watch.host.now_ms()
    said = read(state, text)
    if said is None:
        watch.complain(f"Ignoring a hello that makes no sense: {repr(text)[:_SHOWN_MAX]}")
        return
    master = state.masters.get(said.name)
    if master is None:
        return  # others may watch it
    if said.run_id.lower() == state.my_id.lower():
        watch.complain(f"Ignoring the Sentinel at {said.sender}: it has our own id")
        return
    if not watch.knows((said.sender.host, said.master.host), lambda: take(watch, text)):
        return
    peer = find_peer(state, master, said.sender, said.run_id) or _meet(watch, master, said)
    if said.epoch > state.current_epoch:
        votes.raise_epoch(watch, master, said.epoch)
    if said.config_epoch > master.config_epoch:
        _learn(watch, master, peer, said)
    peer.hello_heard = now


def _meet(watch: Watch, master: Master, said: Hello) -> Peer:
    """Another Sentinel is new here, or at a new address."""
    state = watch.state
    has_moved = forget_peer(watch, master, said.run_id)
    if has_moved:
        words = f" ip {said.sender.host} port {said.sender.port} for {said.run_id}"
        events.about(watch, events.NOTICE, "+sentinel-address-switch", master, words)
    else:
        other = find_peer(state, master, said.sender, "")
        if other is not None:
            # Nobody else can be where this one is.
            events.about(watch, events.NOTICE, "+sentinel-invalid-addr", other)
            for each in state.masters.values():
                forget_peer(watch, each, other.run_id)
    peer = add_peer(state, master, said.sender, said.run_id, watch.host.now_ms())
    if not has_moved:
        events.about(watch, events.NOTICE, "+sentinel", peer)
    watch.links.share(peer)
    if has_moved:
        _move_twins(watch, peer)
    watch.host.flush_config()
    return peer


def _move_twins(watch: Watch, peer: Peer) -> None:
    """A Sentinel has moved: call it at its new address for the sake of all masters."""
    moved = 0
    for master in watch.state.masters.values():
        twin = master.peers.get(peer.run_id)
        if twin is None:
            continue
        watch.links.close_commands(twin.link)
        watch.links.close_pubsub(twin.link)
        if twin is not peer:
            twin.address = peer.address
            moved += 1
    if moved:
        words = f" {moved} additional matching instances"
        events.about(watch, events.NOTICE, "+sentinel-address-update", peer, words)


def _learn(watch: Watch, master: Master, peer: Peer, said: Hello) -> None:
    """The configuration of another Sentinel is newer than ours: take it over."""
    master.config_epoch = said.config_epoch
    if is_same(watch.state, master.address, said.master):
        return
    before = master.address
    events.about(watch, events.WARNING, "+config-update-from", peer)
    tell_switch(watch, master, said.master)
    switch_master(watch, master, said.master)
    watch.scripts.reconfigure_clients(master, "observer", before, master.address)


def tell_switch(watch: Watch, master: Master, address: Address) -> None:
    """Tell that the master is another one from now on."""
    state, before = watch.state, master.address
    words = (
        f"{master.name} {shown(state, before)} {before.port} {shown(state, address)} {address.port}"
    )
    events.tell(watch, events.WARNING, "+switch-master", words, master)


# -- our own -------------------------------------------------------------------------------------


def send(watch: Watch, instance: Instance) -> bool:
    """Tell an instance who we are and whom we take to be the master; returns whether we could."""
    state, master = watch.state, master_of(instance)
    if instance.link.is_disconnected:
        return False
    host = state.announce_ip or watch.links.local_host(instance)
    if not host:
        return False
    port = state.announce_port or watch.host.port
    address = current_address(master)
    prefix = f"{host},{port},".encode()
    watch.own_prefixes[prefix] = None
    words = (
        f"{state.my_id},{state.current_epoch},"
        f"{master.name},{shown(state, address)},{address.port},{master.config_epoch}"
    )
    text = prefix + words.encode("utf-8", "surrogateescape")
    return watch.links.send(instance, "PUBLISH", (HELLO_CHANNEL, text), take_published)


def take_published(watch: Watch, instance: Instance, reply: Reply) -> None:
    """Our hello was published, or not: then it is sent again at once."""
    if not isinstance(reply, Failure):
        instance.hello_sent = watch.host.now_ms()


def hurry(watch: Watch, master: Master) -> None:
    """Send a hello to everybody around a master as soon as the timer runs."""
    late = watch.state.timing.publish_period + 1
    for instance in (master, *master.peers.values(), *master.replicas.values()):
        instance.hello_sent = max(0, instance.hello_sent - late)
