"""What a Sentinel makes of hellos: of new Sentinels, new addresses, new configurations, garbage."""

import pytest

from redislab.sentinel import hello
from redislab.sentinel.configfile import SentinelConfig
from redislab.sentinel.model import Address, FailoverState
from tests.sentinel.desk import MASTER, OWN_ID, Desk

NEW_ID = "e" * 40


def text(
    *,
    host="10.0.2.9",
    port=26399,
    run_id=NEW_ID,
    epoch=0,
    name="mymaster",
    master=MASTER,
    config_epoch=0,
):
    return f"{host},{port},{run_id},{epoch},{name},{master.host},{master.port},{config_epoch}"


def who(run_id=NEW_ID, host="10.0.2.9", port=26399):
    return f"sentinel {run_id} {host} {port} @ mymaster 10.0.0.1 6379"


def test_a_new_sentinel():
    desk = Desk()
    master = desk.master(peers=0)
    for _ in range(2):
        hello.take(desk.watch, text())
    assert desk.published == [("+sentinel", who())]
    assert desk.saved == 1
    peer = master.peers[NEW_ID]
    assert (peer.address, peer.run_id, peer.name) == (("10.0.2.9", 26399), NEW_ID, NEW_ID)


def test_an_id_is_whatever_a_file_may_give():
    named = "sentinel-of-the-second-rack/0123456789-xy"[:40]
    desk = Desk()
    master = desk.master(peers=0)
    hello.take(desk.watch, text(run_id=named))
    assert list(master.peers) == [named]
    line = b"port 0\nsentinel myid " + named.encode()
    assert SentinelConfig.from_text(line).first_state(0).my_id == named


def test_a_hello_is_remembered():
    desk = Desk()
    master = desk.master(peers=0)
    hello.take(desk.watch, text())
    desk.now += 2000
    hello.take(desk.watch, text())
    assert master.peers[NEW_ID].hello_heard == desk.now


def test_a_sentinel_at_a_new_address():
    desk = Desk()
    master, other = desk.master(peers=0), desk.master(name="other", peers=0)
    for name in ("mymaster", "other"):
        hello.take(desk.watch, text(name=name))
    desk.published.clear()
    hello.take(desk.watch, text(port=26400))
    assert desk.published == [
        (
            "+sentinel-address-switch",
            f"master mymaster 10.0.0.1 6379 ip 10.0.2.9 port 26400 for {NEW_ID}",
        ),
        ("+sentinel-address-update", f"{who(port=26400)} 1 additional matching instances"),
    ]
    assert master.peers[NEW_ID].address == other.peers[NEW_ID].address == ("10.0.2.9", 26400)


def test_a_new_sentinel_at_the_address_of_another():
    desk = Desk()
    master, other = desk.master(), desk.master(name="other")
    first = next(iter(master.peers))
    hello.take(desk.watch, text(host="10.0.2.1", port=26380))
    assert desk.published == [
        ("+sentinel-invalid-addr", who(first, "10.0.2.1", 26380)),
        ("+sentinel", who(NEW_ID, "10.0.2.1", 26380)),
    ]
    assert first not in master.peers
    assert first not in other.peers


def test_two_masters_share_the_link_to_a_sentinel():
    desk = Desk()
    master, other = desk.master(peers=0), desk.master(name="other", peers=0)
    hello.take(desk.watch, text())
    hello.take(desk.watch, text(name="other"))
    one, two = master.peers[NEW_ID], other.peers[NEW_ID]
    assert one.link is two.link
    assert one.link.owners == 2
    desk.watch.links.release(two)
    assert one.link.owners == 1


def test_a_greater_epoch():
    desk = Desk(current_epoch=3)
    desk.master()
    hello.take(desk.watch, text(epoch=3))
    assert desk.events == ["+sentinel"]
    hello.take(desk.watch, text(epoch=9))
    assert (desk.published[-1], desk.state.current_epoch) == (("+new-epoch", "9"), 9)
    hello.take(desk.watch, text(epoch=5))
    assert desk.state.current_epoch == 9


def test_a_newer_configuration():
    desk = Desk()
    master = desk.master(config_epoch=4, state=FailoverState.WAIT_START, client_reconfig_script="r")
    master.o_down = master.s_down = True
    address = Address("10.0.1.1", 6380)
    hello.take(desk.watch, text(master=address, config_epoch=5))
    at = "@ mymaster 10.0.1.1 6380"
    assert desk.published == [
        ("+sentinel", who()),
        ("+config-update-from", who()),
        ("+switch-master", "mymaster 10.0.0.1 6379 10.0.1.1 6380"),
        ("+slave", f"slave 10.0.1.1:6381 10.0.1.1 6381 {at}"),
        ("+slave", f"slave 10.0.0.1:6379 10.0.0.1 6379 {at}"),
    ]
    assert (master.address, master.config_epoch) == (address, 5)
    assert (master.s_down, master.o_down, master.state) == (False, False, FailoverState.NONE)
    assert len(master.peers) == 3
    assert [job.arguments for job in desk.watch.scripts.queue] == [
        ("r", "mymaster", "observer", "start", "10.0.0.1", "6379", "10.0.1.1", "6380")
    ]


@pytest.mark.parametrize(
    ("epoch", "address"), [(4, Address("10.0.1.1", 6380)), (3, Address("10.0.1.1", 6380))]
)
def test_an_older_configuration_changes_nothing(epoch, address):
    desk = Desk()
    master = desk.master(config_epoch=4)
    hello.take(desk.watch, text(master=address, config_epoch=epoch))
    assert (master.address, master.config_epoch, desk.events) == (MASTER, 4, ["+sentinel"])


def test_a_newer_configuration_of_the_same_master():
    desk = Desk()
    master = desk.master(config_epoch=4)
    hello.take(desk.watch, text(config_epoch=6))
    assert (master.config_epoch, len(master.replicas), desk.events) == (6, 2, ["+sentinel"])


def test_a_master_that_is_not_watched():
    desk = Desk()
    desk.master()
    hello.take(desk.watch, text(name="theirs", epoch=99))
    assert (desk.published, desk.lines, desk.state.current_epoch) == ([], [], 0)


GARBAGE = [
    "",
    ",,,,,,,",
    "hello",
    text() + ",more",
    text(port=0),
    text(port=65536),
    text(port=-1),
    text(port="1e3"),
    text(host="example.com"),
    text(host=""),
    text(host="10.0.0.1\nsentinel myid 1"),
    text(run_id=""),
    text(run_id="e" * 39),
    text(run_id="e" * 39 + "\n"),
    text(run_id="../../etc/passwd"),
    text(epoch=-1),
    text(epoch=2**63 - 1),
    text(epoch=2**64),
    text(config_epoch=2**63),
    text(config_epoch="x"),
    text(master=Address("", 6379)),
    text(master=Address("nowhere", 6379), config_epoch=9),
    text(master=Address("10.0.0.1", 99999), config_epoch=9),
    "\x00\xff\ufffd" * 1000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_logged_and_changes_no_mind(garbage):
    desk = Desk(current_epoch=2)
    master = desk.master(config_epoch=1)
    for _ in range(3):
        hello.take(desk.watch, garbage)
    assert (desk.published, desk.saved, len(desk.lines)) == ([], 0, 1)
    assert len(desk.lines[0]) < 400
    assert "\n" not in desk.lines[0]
    assert (len(master.peers), master.address, master.config_epoch) == (2, MASTER, 1)
    assert desk.state.current_epoch == 2


def test_our_own_id_is_logged_and_changes_no_mind():
    desk = Desk()
    master = desk.master(peers=0)
    claim = text(run_id=OWN_ID, epoch=9, config_epoch=9, master=Address("10.0.1.1", 6380))
    for _ in range(3):
        hello.take(desk.watch, claim)
    assert (master.peers, desk.published, desk.state.current_epoch) == ({}, [], 0)
    assert desk.lines == ["# Ignoring the Sentinel at 10.0.2.9:26399: it has our own id"]


def test_our_own_hellos_come_back_and_are_nothing_new():
    desk = Desk()
    desk.master()
    desk.watch.own_prefixes[b"10.0.2.1,26379,"] = None
    own = text(host="10.0.2.1", port=26379, run_id=OWN_ID).encode()
    hello.hear(desk.watch, [b"message", b"__sentinel__:hello", own])
    assert (desk.published, desk.lines) == ([], [])
    theirs = text(run_id=OWN_ID).encode()
    hello.hear(desk.watch, [b"message", b"__sentinel__:hello", theirs])
    assert (desk.published, len(desk.lines)) == ([], 1)


@pytest.mark.parametrize(
    "message", [[], [b"subscribe", b"c", 1], [b"message", b"c"], [None, None, None], [1, 2, 3]]
)
def test_what_is_no_message_is_none(message):
    desk = Desk()
    desk.master()
    hello.hear(desk.watch, message)
    assert (desk.published, desk.lines) == ([], [])


def test_names_of_hosts_are_taken_where_they_are_wanted():
    known = {"sentinel-1.example": "10.0.2.9"}
    desk = Desk(resolve_hostnames=True, announce_hostnames=True, resolved=known)
    master = desk.master(peers=0)
    hello.take(desk.watch, text(host="sentinel-1.example", port=26380))
    assert desk.published == [("+sentinel", who(host="sentinel-1.example", port=26380))]
    assert master.peers[NEW_ID].address.host == "sentinel-1.example"


@pytest.mark.parametrize(
    "host", ["-a", "a-", "a..b", ".", "a b", "a\n", "a" * 64, ".".join(["a" * 60] * 5), "é"]
)
def test_what_cannot_be_the_name_of_a_host_is_none(host):
    desk = Desk(resolve_hostnames=True)
    master = desk.master(peers=0)
    hello.take(desk.watch, text(host=host))
    assert (master.peers, desk.published, len(desk.lines)) == ({}, [], 1)


def test_a_master_whose_name_is_no_text():
    desk = Desk()
    name = b"m\xff".decode("utf-8", "surrogateescape")
    master = desk.master(name=name, peers=0)
    said = text(name=name).encode("utf-8", "surrogateescape")
    hello.hear(desk.watch, [b"message", b"__sentinel__:hello", said])
    assert list(master.peers) == [NEW_ID]
