"""What the simulated network does to messages, as one frozen value.

TCP hides the loss of a packet by sending it again, so a program never sees one: it sees that bytes
come late, or that the connection broke. The probabilities below are therefore about packets and
connections, and what programs see of them is TCP's doing (see `transport.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

# Linux's smallest retransmission timeout, and how often it doubles before TCP gives the connection
# up (tcp_retries2 = 15: after about 15 minutes, RFC 1122 asks for at least 100 seconds).
RETRANSMISSION_SECONDS_MIN = 0.2
RETRANSMISSION_SECONDS_MAX = 120.0
RETRANSMISSION_GIVES_UP_SECONDS = 924.6

# When an unanswered SYN is sent again (tcp_syn_retries = 6), and when connect() gives up.
SYN_SECONDS = (0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0)
CONNECT_GIVES_UP_SECONDS = 127.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The network's behavior. The default is that of one healthy data center.

    Attributes:
        latency_seconds: one way, on every link.
        jitter_seconds: up to this much more for a message, drawn evenly.
        bandwidth_bytes_per_second: of a link in one direction; None is unlimited.
        loss_probability: of a packet; it is sent again after a timeout that doubles each time,
            and all that follows it on its connection waits.
        reset_probability: that a message breaks its connection, as a middlebox that forgot it.
        stall_probability: that a message is held up on its way, and all that follows it.
        stall_seconds_max: how long at most, drawn evenly.
        clock_drift_max: each host's clock is fast or slow by up to this fraction (1e-4 is 100
            parts in a million), drawn evenly when the host joins.
    """

    latency_seconds: float = 0.000_25
    jitter_seconds: float = 0.000_05
    bandwidth_bytes_per_second: float | None = None
    loss_probability: float = 0.0
    reset_probability: float = 0.0
    stall_probability: float = 0.0
    stall_seconds_max: float = 1.0
    clock_drift_max: float = 0.0

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if value is None:
                continue
            if value < 0:
                raise ValueError(f"{option.name} cannot be negative: {value}")
            if option.name.endswith("_probability") and value >= 1:
                raise ValueError(f"{option.name} is below 1, so that something gets through")
        if self.bandwidth_bytes_per_second == 0:
            raise ValueError("bandwidth_bytes_per_second is above 0, or None for unlimited")
        if self.clock_drift_max >= 1:
            raise ValueError("clock_drift_max is a fraction below 1, such as 1e-4")
