"""How a replica meets its master, as a table: everything that decides what comes next is here.

The replica asks one thing at a time and waits for the answer. `TABLE` says for every state which
answers lead where; an answer that is not in the table ends the attempt, and the replica tries again
a second later. The book draws its picture of the handshake from this table. States and their order
are those of `REPL_STATE_...` in `src/server.h` and `syncWithMaster` in `src/replication.c` of
Redis 7.0.
"""

from __future__ import annotations

from enum import Enum


class Step(Enum):
    """How far a replica is with its master."""

    NONE = "none"  # it is a master
    CONNECT = "connect"  # it has to connect
    CONNECTING = "connecting"
    RECEIVE_PING = "receive-ping-reply"
    RECEIVE_AUTH = "receive-auth-reply"
    RECEIVE_PORT = "receive-port-reply"
    RECEIVE_IP = "receive-ip-reply"
    RECEIVE_CAPA = "receive-capa-reply"
    RECEIVE_PSYNC = "receive-psync-reply"
    TRANSFER = "transfer"  # it receives all data
    CONNECTED = "connected"  # it follows the stream


class Answer(Enum):
    """What a master's answer means, whatever its words."""

    OPENED = "connection opened"
    YES = "accepted"
    NO = "refused"
    UNKNOWN_OPTION = "does not know this option"
    CONTINUE = "+CONTINUE"
    FULL = "+FULLRESYNC"
    LATER = "-NOMASTERLINK or -LOADING"
    NO_PSYNC = "does not know PSYNC"
    LOADED = "data set loaded"
    LOST = "connection lost"


# From a state and an answer to the next state. AUTH, port, IP and capabilities are sent in one go,
# so their answers come in this order; which of them were sent decides `after`.
TABLE: dict[Step, dict[Answer, Step]] = {
    Step.CONNECT: {Answer.YES: Step.CONNECTING},
    Step.CONNECTING: {Answer.OPENED: Step.RECEIVE_PING, Answer.LOST: Step.CONNECT},
    Step.RECEIVE_PING: {
        Answer.YES: Step.RECEIVE_AUTH,
        Answer.NO: Step.CONNECT,
        Answer.LOST: Step.CONNECT,
    },
    Step.RECEIVE_AUTH: {
        Answer.YES: Step.RECEIVE_PORT,
        Answer.NO: Step.CONNECT,
        Answer.LOST: Step.CONNECT,
    },
    Step.RECEIVE_PORT: {
        Answer.YES: Step.RECEIVE_IP,
        Answer.UNKNOWN_OPTION: Step.RECEIVE_IP,
        Answer.LOST: Step.CONNECT,
    },
    Step.RECEIVE_IP: {
        Answer.YES: Step.RECEIVE_CAPA,
        Answer.UNKNOWN_OPTION: Step.RECEIVE_CAPA,
        Answer.LOST: Step.CONNECT,
    },
    Step.RECEIVE_CAPA: {
        Answer.YES: Step.RECEIVE_PSYNC,
        Answer.UNKNOWN_OPTION: Step.RECEIVE_PSYNC,
        Answer.LOST: Step.CONNECT,
    },
    Step.RECEIVE_PSYNC: {
        Answer.CONTINUE: Step.CONNECTED,
        Answer.FULL: Step.TRANSFER,
        Answer.NO_PSYNC: Step.TRANSFER,
        Answer.LATER: Step.CONNECT,
        Answer.LOST: Step.CONNECT,
    },
    Step.TRANSFER: {Answer.LOADED: Step.CONNECTED, Answer.LOST: Step.CONNECT},
    Step.CONNECTED: {Answer.LOST: Step.CONNECT},
}

# What a replica says on entering a state; the words in angle brackets are its own.
SAYS: dict[Step, str] = {
    Step.RECEIVE_PING: "PING",
    Step.RECEIVE_AUTH: "AUTH <masteruser> <masterauth>",
    Step.RECEIVE_PORT: "REPLCONF listening-port <port>",
    Step.RECEIVE_IP: "REPLCONF ip-address <ip>",
    Step.RECEIVE_CAPA: "REPLCONF capa eof capa psync2",
    Step.RECEIVE_PSYNC: "PSYNC <replication id> <offset>",
    Step.CONNECTED: "REPLCONF ACK <offset>",
}

# The states in which it is a question and an answer that is waited for (`slaveIsInHandshakeState`).
HANDSHAKE = frozenset(
    {
        Step.RECEIVE_PING,
        Step.RECEIVE_AUTH,
        Step.RECEIVE_PORT,
        Step.RECEIVE_IP,
        Step.RECEIVE_CAPA,
        Step.RECEIVE_PSYNC,
    }
)


class IllegalAnswerError(Exception):
    """An answer came that the table has no place for."""


def advance(step: Step, answer: Answer) -> Step:
    """The state after an answer.

    Raises:
        IllegalAnswerError: there is no such answer in this state.
    """
    try:
        return TABLE[step][answer]
    except KeyError:
        raise IllegalAnswerError(f"{answer.value} in state {step.value}") from None


def classify(step: Step, line: bytes) -> Answer:
    """What a line from the master means in a state that waits for one.

    PING is refused for want of a password too; that is taken for an answer, as in Redis, since the
    password comes next.
    """
    if step is Step.RECEIVE_PING:
        known = line.startswith((b"+", b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted"))
        return Answer.YES if known else Answer.NO
    if step is Step.RECEIVE_PSYNC:
        if line.startswith(b"+CONTINUE"):
            return Answer.CONTINUE
        if line.startswith(b"+FULLRESYNC"):
            return Answer.FULL
        if line.startswith((b"-NOMASTERLINK", b"-LOADING")):
            return Answer.LATER
        return Answer.NO_PSYNC
    if not line.startswith(b"-"):
        return Answer.YES
    return Answer.NO if step is Step.RECEIVE_AUTH else Answer.UNKNOWN_OPTION
