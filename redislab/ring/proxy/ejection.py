"""When a server is left out for a while: a table of states.

With `auto_eject_hosts` each connection to a server that ends counts as a failure, whatever ended
it: nobody listens, a request took longer than `timeout`, the server hung up or sent no reply. At
`server_failure_limit` of them the server is ejected: its keys go to the others. A reply sets the
count back, and so does the ejection. After `server_retry_timeout` the server has its keys again;
one that is still dead costs as many failures again. Follows `server_failure`, `server_ok` and
`server_pool_update` in `src/nc_server.c` of twemproxy 0.5.0.

It is a table so that there is one place to look, and so that the book draws its picture from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """What a pool thinks of a server."""

    LIVE = "live"
    EJECTED = "ejected"


class Event(StrEnum):
    """What happens to a server."""

    REPLY = "a reply came"
    FAILURE = "a connection ended"
    LAST_FAILURE = "a connection ended, and that makes server_failure_limit"
    TIME_UP = "server_retry_timeout is over"


class Action(StrEnum):
    """What is done then."""

    RESET = "set the count of failures to 0"
    COUNT = "count one more failure"
    EJECT = "give its keys to the others, and begin server_retry_timeout"
    RETURN = "give it its keys back"


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of the table.

    Attributes:
        state, event: when it holds.
        actions: what is done, in order.
        leads_to: the state after it.
    """

    state: State
    event: Event
    actions: tuple[Action, ...]
    leads_to: State


RULES: Final = (
    Rule(State.LIVE, Event.REPLY, (Action.RESET,), State.LIVE),
    Rule(State.LIVE, Event.FAILURE, (Action.COUNT,), State.LIVE),
    Rule(State.LIVE, Event.LAST_FAILURE, (Action.RESET, Action.EJECT), State.EJECTED),
    # Requests that were sent before may still be answered, or fail.
    Rule(State.EJECTED, Event.REPLY, (Action.RESET,), State.EJECTED),
    Rule(State.EJECTED, Event.FAILURE, (Action.COUNT,), State.EJECTED),
    Rule(State.EJECTED, Event.LAST_FAILURE, (Action.RESET, Action.EJECT), State.EJECTED),
    Rule(State.EJECTED, Event.TIME_UP, (Action.RETURN,), State.LIVE),
)
_BY_STATE: Final = {(rule.state, rule.event): rule for rule in RULES}


class Health:
    """What a pool knows of one server's health.

    Args:
        limit: `server_failure_limit`; 0 where no server is ever ejected.

    Attributes:
        state: what it is.
        failures: those since the last reply or ejection.
    """

    __slots__ = ("failures", "limit", "state")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.state = State.LIVE
        self.failures = 0

    def happened(self, event: Event) -> tuple[Action, ...]:
        """Go by the table.

        Args:
            event: REPLY, FAILURE (which becomes LAST_FAILURE by itself) or TIME_UP.

        Returns:
            What was done; EJECT and RETURN are left to the caller.
        """
        if event is Event.FAILURE and self.failures + 1 >= self.limit:
            event = Event.LAST_FAILURE
        rule = _BY_STATE[self.state, event]
        for action in rule.actions:
            if action is Action.RESET:
                self.failures = 0
            elif action is Action.COUNT:
                self.failures += 1
        self.state = rule.leads_to
        return rule.actions
