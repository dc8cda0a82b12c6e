"""The commands that are a Sentinel's own: SENTINEL, but for its settings, and INFO ROLE PUBLISH.

What changes settings is in `settings.py`, what they tell of instances in `report.py`. Follows
`sentinelCommand` and its neighbors in `src/sentinel.c` of Redis 7.0; the other commands of a
Sentinel are those of a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from redislab.engine.errors import CommandError
from redislab.engine.glob import matches
from redislab.engine.table import Handler, Reply
from redislab.sentinel import choosing, down, events, failover, hello, instances, report, votes
from redislab.sentinel.addresses import is_usable, shown
from redislab.sentinel.model import Address, Instance, Master
from redislab.sentinel.settings import (
    config,
    debug,
    find_master,
    flush_and_reply,
    saved,
    set_,
    to_text,
)
from redislab.sentinel.timing import HELLO_CHANNEL
from redislab.server import info as server_info
from redislab.server.arguments import integer_argument
from redislab.server.help import help_reply
from redislab.wire.resp import (
    NULL,
    NULL_ARRAY,
    OK,
    ONE,
    array,
    bulk,
    bulks,
    integer,
    map_,
    simple,
)

if TYPE_CHECKING:
    from redislab.sentinel.node import SentinelNode
    from redislab.sentinel.scripts import Job
    from redislab.server.client import Client

_HELP = (
    ("CKQUORUM <master-name>", "Tell whether enough Sentinels are there for a failover."),
    ("CONFIG SET <param> <value>", "Change a setting of the Sentinel as a whole."),
    ("CONFIG GET <param>", "Return the settings whose names match."),
    (
        "DEBUG [<param> <value> ...]",
        "Return the constants of its timing, in milliseconds, or change some of them.",
    ),
    ("GET-MASTER-ADDR-BY-NAME <master-name>", "Return the ip and port of a master."),
    ("FAILOVER <master-name>", "Begin a failover without asking the other Sentinels."),
    ("FLUSHCONFIG", "Write the configuration file, with all that is known now."),
    ("INFO-CACHE <master-name>", "Return the last INFO of a master and of its replicas."),
    (
        "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
        "Say whether the master at an address seems to be down, and give a vote if asked for one.",
    ),
    ("MASTER <master-name>", "Describe a master."),
    ("MASTERS", "Describe all masters that are watched."),
    ("MONITOR <name> <ip> <port> <quorum>", "Watch a master from now on."),
    ("MYID", "Return the id of this Sentinel."),
    ("PENDING-SCRIPTS", "List the scripts that run or wait to be run."),
    ("REMOVE <master-name>", "Watch a master no longer."),
    ("REPLICAS <master-name>", "Describe the replicas of a master."),
    ("RESET <pattern>", "Forget what was found out about the masters whose names match."),
    ("SENTINELS <master-name>", "Describe the other Sentinels of a master."),
    ("SET <master-name> <option> <value> [<option> <value> ...]", "Change settings of a master."),
    (
        "SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
        "End this Sentinel in the middle of the next failover that it leads.",
    ),
)


def node_of(c: Client) -> SentinelNode:
    """The Sentinel that a client talks to."""
    return cast("SentinelNode", c.node)


# -- commands that servers have too --------------------------------------------------------------


def info(c: Client, args: list[bytes]) -> Reply:
    """INFO [section ...]."""
    wanted = [to_text(word).lower() for word in args[1:]]
    text = server_info.report(c.node, wanted, report.INFO_SECTIONS)
    return bulk(text.encode("utf-8", "surrogateescape"))


def role(c: Client, args: list[bytes]) -> Reply:
    """ROLE: "sentinel", and the names of the masters."""
    names = [name.encode("utf-8", "surrogateescape") for name in node_of(c).state.masters]
    return array([bulk(b"sentinel"), bulks(names)])


def publish(c: Client, args: list[bytes]) -> Reply:
    """PUBLISH to the one channel on which Sentinels say hello to each other."""
    if args[1] != HELLO_CHANNEL:
        raise CommandError("ERR Only HELLO messages are accepted by Sentinel instances.")
    hello.take(node_of(c).watch, to_text(args[2]))
    return ONE


# -- questions -----------------------------------------------------------------------------------


def masters(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL MASTERS."""
    return _describe_all(c, node_of(c).state.masters)


def master(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL MASTER name."""
    node = node_of(c)
    return report.instance(node.state, find_master(c, args[2]), node.now_ms(), c.resp)


def replicas(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL REPLICAS name."""
    return _describe_all(c, find_master(c, args[2]).replicas)


def sentinels(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL SENTINELS name."""
    return _describe_all(c, find_master(c, args[2]).peers)


def _describe_all(c: Client, found: Mapping[str, Instance]) -> bytes:
    node = node_of(c)
    return report.instances(node.state, found.values(), node.now_ms(), c.resp)


def my_id(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL MYID."""
    return bulk(node_of(c).state.my_id.encode())


def get_master_addr_by_name(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL GET-MASTER-ADDR-BY-NAME name: what clients ask."""
    state = node_of(c).state
    found = state.masters.get(to_text(args[2]))
    if found is None:
        return NULL_ARRAY[c.resp]
    address = instances.current_address(found)
    return bulks([shown(state, address).encode(), b"%d" % address.port])


def is_master_down_by_addr(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL IS-MASTER-DOWN-BY-ADDR ip port epoch runid: what other Sentinels ask."""
    port, epoch = integer_argument(args[3]), integer_argument(args[4])
    address = Address(to_text(args[2]), port)
    answer = votes.answer_is_master_down(node_of(c).watch, address, epoch, to_text(args[5]))
    return array([integer(answer.is_down), bulk(answer.leader.encode()), integer(answer.epoch)])


def ckquorum(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL CKQUORUM name."""
    reach = down.reach(find_master(c, args[2]))
    if reach.has_quorum and reach.has_majority:
        text = "usable Sentinels. Quorum and failover authorization can be reached"
        return simple(f"OK {reach.usable} {text}".encode())
    reasons = []
    if not reach.has_quorum:
        reasons.append(
            "Not enough available Sentinels to reach the specified quorum for this master"
        )
    if not reach.has_majority:
        reasons.append(
            "Not enough available Sentinels to reach the majority and authorize a failover"
        )
    message = f"NOQUORUM {reach.usable} usable Sentinels. {'. '.join(reasons)}"
    raise CommandError(message)


def info_cache(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL INFO-CACHE name [name ...]: names of no master are passed over."""
    node = node_of(c)
    known = node.state.masters
    names = dict.fromkeys(name for name in map(to_text, args[2:]) if name in known)
    now = node.now_ms()
    parts: list[bytes] = []
    for name in names:
        found = known[name]
        # Redis asks the master's time whether a replica's is there.
        ages = [now - each.info_time if found.info_time else 0 for each in _family(found)]
        texts = [bulk(each.info) if each.info else NULL[c.resp] for each in _family(found)]
        parts.append(bulk(name.encode("utf-8", "surrogateescape")))
        pairs = zip(ages, texts, strict=True)
        parts.append(array([array([integer(age), text]) for age, text in pairs]))
    return array(parts)


def _family(found: Master) -> list[Instance]:
    return [found, *found.replicas.values()]


def pending_scripts(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL PENDING-SCRIPTS."""
    node = node_of(c)
    now = node.now_ms()
    return array([_describe_job(job, now, c.resp) for job in node.watch.scripts.queue])


def _describe_job(job: Job, now: int, resp: int) -> bytes:
    arguments = [word.encode("utf-8", "surrogateescape") for word in job.arguments]
    if job.is_running:
        time = (b"run-time", now - job.since)
    else:
        time = (b"run-delay", max(job.since - now, 0) if job.since else 0)
    fields = (
        (b"argv", bulks(arguments)),
        (b"flags", bulk(b"running" if job.is_running else b"scheduled")),
        (b"pid", bulk(b"%d" % job.process_id)),
        (time[0], bulk(b"%d" % time[1])),
        (b"retry-num", bulk(b"%d" % job.tries)),
    )
    return map_([part for name, value in fields for part in (bulk(name), value)], resp)


def help_(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL HELP."""
    return help_reply("SENTINEL", _HELP)


# -- orders --------------------------------------------------------------------------------------


def monitor(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL MONITOR name ip port quorum."""
    node = node_of(c)
    quorum = _number(args[5], "ERR Invalid quorum")
    port = _number(args[4], "ERR Invalid port")
    if quorum <= 0:
        raise CommandError("ERR Quorum must be 1 or greater.")
    address = Address(to_text(args[3]), port)
    if not is_usable(node.state, address.host):
        raise CommandError("ERR Invalid IP address or hostname specified")
    try:
        added = instances.add_master(node.state, to_text(args[2]), address, quorum, node.now_ms())
    except instances.InstanceError as refused:
        raise CommandError(f"ERR {refused}") from None
    went_well = node.flush_config()
    words = f" quorum {added.quorum}"
    events.about(node.watch, events.WARNING, "+monitor", added, words)
    return saved(went_well)


def _number(word: bytes, message: str) -> int:
    try:
        return integer_argument(word)
    except CommandError:
        raise CommandError(message) from None


def remove(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL REMOVE name."""
    node = node_of(c)
    return saved(instances.remove_master(node.watch, find_master(c, args[2])))


def reset(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL RESET pattern: the number of masters that it fits."""
    node = node_of(c)
    found = [
        each
        for name, each in node.state.masters.items()
        if matches(args[2], name.encode("utf-8", "surrogateescape"))
    ]
    for each in found:
        instances.reset_master(node.watch, each)
        events.about(node.watch, events.WARNING, "+reset-master", each)
    return integer(len(found))


def failover_(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL FAILOVER name."""
    node = node_of(c)
    found = find_master(c, args[2])
    if found.in_failover:
        raise CommandError("INPROG Failover already in progress")
    if choosing.best(found, node.now_ms(), node.state.timing) is None:
        raise CommandError("NOGOODSLAVE No suitable replica to promote")
    failover.force(node.watch, found)
    return OK


def flushconfig(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL FLUSHCONFIG."""
    return flush_and_reply(node_of(c))


def simulate_failure(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL SIMULATE-FAILURE what [what]: words before a wrong one count."""
    node = node_of(c)
    state = node.state
    state.crash_after_election = state.crash_after_promotion = False
    for word in args[2:]:
        match word.lower():
            case b"crash-after-election":
                state.crash_after_election = True
                when = "being successfully elected as failover leader"
            case b"crash-after-promotion":
                state.crash_after_promotion = True
                when = "promoting the selected replica to master"
            case b"help":
                return bulks([b"crash-after-election", b"crash-after-promotion"])
            case _:
                raise CommandError("ERR Unknown failure simulation specified")
        node.log.warning(f"Failure simulation: this Sentinel will crash after {when}")
    return OK


HANDLERS: dict[bytes, Handler] = {
    b"info": info,
    b"role": role,
    b"publish": publish,
    b"sentinel|ckquorum": ckquorum,
    b"sentinel|config": config,
    b"sentinel|debug": debug,
    b"sentinel|failover": failover_,
    b"sentinel|flushconfig": flushconfig,
    b"sentinel|get-master-addr-by-name": get_master_addr_by_name,
    b"sentinel|help": help_,
    b"sentinel|info-cache": info_cache,
    b"sentinel|is-master-down-by-addr": is_master_down_by_addr,
    b"sentinel|master": master,
    b"sentinel|masters": masters,
    b"sentinel|monitor": monitor,
    b"sentinel|myid": my_id,
    b"sentinel|pending-scripts": pending_scripts,
    b"sentinel|remove": remove,
    b"sentinel|replicas": replicas,
    b"sentinel|reset": reset,
    b"sentinel|sentinels": sentinels,
    b"sentinel|set": set_,
    b"sentinel|simulate-failure": simulate_failure,
    b"sentinel|slaves": replicas,
}
