"""The table of when a server is left out: it is whole, and what it says is what happens."""

from __future__ import annotations

from redislab.ring.proxy.ejection import RULES, Action, Event, Health, State


def test_there_is_a_rule_for_whatever_can_happen() -> None:
    lines = {(rule.state, rule.event) for rule in RULES}
    assert len(lines) == len(RULES)
    # Nobody waits for the time of a server that is live.
    every = {(state, event) for state in State for event in Event}
    assert every - lines == {(State.LIVE, Event.TIME_UP)}


def test_ejection_and_return_change_the_state_and_nothing_else_does() -> None:
    for rule in RULES:
        if Action.EJECT in rule.actions:
            assert rule.leads_to is State.EJECTED
        elif Action.RETURN in rule.actions:
            assert rule.leads_to is State.LIVE
        else:
            assert rule.leads_to is rule.state


def test_failures_in_a_row_eject_and_a_reply_between_them_does_not() -> None:
    health = Health(3)
    for event in (Event.FAILURE, Event.FAILURE, Event.REPLY, Event.FAILURE, Event.FAILURE):
        assert Action.EJECT not in health.happened(event)
    assert health.failures == 2
    assert Action.EJECT in health.happened(Event.FAILURE)
    assert (health.state, health.failures) == (State.EJECTED, 0)


def test_who_comes_back_dead_needs_as_many_failures_again() -> None:
    health = Health(2)
    health.happened(Event.FAILURE)
    health.happened(Event.FAILURE)
    assert health.happened(Event.TIME_UP) == (Action.RETURN,)
    assert health.state is State.LIVE
    assert Action.EJECT not in health.happened(Event.FAILURE)
    assert Action.EJECT in health.happened(Event.FAILURE)


def test_requests_that_fail_late_count_against_an_ejected_server() -> None:
    """As with the original, where its time begins anew then."""
    health = Health(1)
    assert Action.EJECT in health.happened(Event.FAILURE)
    assert Action.EJECT in health.happened(Event.FAILURE)
    assert health.state is State.EJECTED
