"""The model of Cluster's bus: its arithmetic, and its agreement with itself."""

import pytest

from redislab.labs import gossip


@pytest.mark.parametrize(
    ("nodes", "entries"), [(2, 0), (3, 1), (4, 2), (5, 3), (6, 3), (39, 3), (40, 4), (1000, 100)]
)
def test_a_message_speaks_of_a_tenth_of_the_nodes_and_of_three_at_least(nodes, entries):
    assert gossip.entries(nodes) == entries
    assert gossip.message_bytes(nodes) == 2256 + 104 * entries


def test_a_simulation_depends_on_its_seed_alone():
    one, again, other = (gossip.traffic(20, 2, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_two_nodes_ping_each_other_once_a_second_where_the_timeout_is_long():
    counted = gossip.traffic(2, 15)
    assert counted.pings == 2 * 15
    assert counted.messages_per_node == 2
    assert counted.bytes_per_node == 2 * 2256
    assert counted.bytes_per_second == 2 * counted.bytes_per_node


def test_a_bus_of_one_node_is_refused():
    with pytest.raises(ValueError, match="it takes two to talk"):
        gossip.traffic(1)


@pytest.mark.parametrize("nodes", [10, 40])
@pytest.mark.parametrize("timeout", [1, 2, 5, 15])
def test_traffic_lies_between_one_ping_a_second_and_everybody_in_each_half_of_the_timeout(
    nodes, timeout
):
    believing = gossip.traffic(nodes, timeout)
    doubting = gossip.traffic(nodes, timeout, trusts=False)
    most = gossip.most_messages(nodes, timeout)
    assert 2 <= believing.messages_per_node <= doubting.messages_per_node * 1.02
    # A ping at random spares the one that would have been due: a tenth at these sizes.
    assert 0.55 * most < doubting.messages_per_node <= most
    assert doubting.believed == 0


def test_belief_saves_most_where_the_cluster_is_large_and_the_timeout_long():
    saved = {
        nodes: gossip.traffic(nodes, trusts=False).pings / gossip.traffic(nodes).pings
        for nodes in (12, 50, 100)
    }
    assert saved[12] < saved[50] < saved[100]
    assert saved[100] > 2


@pytest.mark.parametrize("nodes", [6, 30, 100])
def test_a_silent_node_is_found_out_in_one_timeout_and_a_half_whatever_the_number_of_nodes(nodes):
    for seed in range(3):
        found = gossip.detection(nodes, 5, seed=seed)
        assert 5 <= found.first_suspected <= found.last_suspected
        # Half a timeout until the last ping, a timeout, and some messages.
        assert 5 <= found.failed <= 5 * 1.5 + 1.5
        assert found.first_suspected <= found.failed


def test_a_majority_of_two_that_are_left_of_three_is_both():
    found = gossip.detection(3, 2)
    assert found.failed >= found.last_suspected


def test_news_reaches_everybody_and_one_first():
    heard = gossip.news(30, 5)
    assert len(heard) == 30
    assert heard == sorted(heard)
    assert heard[0] == 0
    assert 0 < heard[-1] < 30
