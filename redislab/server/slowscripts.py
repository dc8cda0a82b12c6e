"""Scripts that take long: BUSY, SCRIPT KILL and FUNCTION KILL.

Follows `scriptInterrupt` and `scriptKill` in `src/script.c` of Redis 7.0. A script that has run for
`busy-reply-threshold` milliseconds is slow. From then on the node lets its loop run between two
pieces of the script, and answers BUSY to whoever asks for more than an end of it. That needs the
package greenlet, with which a function can be left in the middle and entered again, on the same
thread; so is a command left that waits for another node (`wait_for`). Where it is not installed
nobody is served while a script runs, and a script that never ends is ended after a thousand million
instructions.

Time is what the clock says. Where it stands still while a script runs, as in a simulation, a
hundred million instructions are a second of it, and a script is ended after ten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from redislab.engine.errors import CommandError
from redislab.engine.table import Block, Reply
from redislab.server.lua import INSTRUCTIONS_PER_TICK, UncountedError
from redislab.server.persistence.disk import in_background
from redislab.wire.resp import OK

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.commands import Entry
    from redislab.server.node import Node

try:
    import greenlet
except ImportError:
    greenlet = None

TICK_S = 0.001  # what INSTRUCTIONS_PER_TICK take where no clock says it
LIMIT_S = 10.0
_CALLS_PER_TICK = 200  # calls of commands, which take more time than instructions
_CALLS_S = 0.0002
_SLICE_S = 0.01  # of a slow script at a time
_LOAD_LIMIT_S = 0.5

_BUSY = "BUSY Redis is busy running a script. You can only call {0} KILL or SHUTDOWN NOSAVE."
_KILLED = "ERR Script killed by user with SCRIPT KILL..."
_ENDLESS = (
    f"ERR Script killed: it ran for more than {int(LIMIT_S / TICK_S) * INSTRUCTIONS_PER_TICK} "
    "instructions"
)
_LOAD_TIMEOUT = "ERR FUNCTION LOAD timeout"
_NOT_BUSY = "NOTBUSY No scripts in execution right now."
_UNKILLABLE = (
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can "
    "either wait the script termination or kill the server in a hard way using the SHUTDOWN "
    "NOSAVE command."
)


T = TypeVar("T")

# What came of a piece of work: its reply, or the exception that it raised.
_Outcome = tuple[bytes, None] | tuple[None, Exception]


def _work_off(work: Callable[[], bytes]) -> None:
    """What the worker does: one piece of work after the other, each when it is switched to.

    A new greenlet for each would cost more time than a short script.
    """
    while True:
        try:
            outcome: _Outcome = work(), None
        except Exception as raised:
            outcome = None, raised
        work = greenlet.getcurrent().parent.switch(outcome)


def _result(outcome: _Outcome) -> bytes:
    """The reply of a piece of work, or raise what it raised."""
    reply, raised = outcome
    if raised is not None:
        raise raised
    assert reply is not None, "what has raised nothing has a reply"
    return reply


def _settle(outcome: asyncio.Future[bytes], done: _Outcome) -> None:
    """Hand a result to who waits for it, unless it has given up."""
    reply, raised = done
    if outcome.done():
        return
    if raised is not None:
        outcome.set_exception(raised)
    else:
        assert reply is not None, "what has raised nothing has a reply"
        outcome.set_result(reply)


class SlowScripts:
    """Minds the time that the scripts of one node take.

    Attributes:
        client: whose script, or transaction, has been left in the middle and has not ended.
        outcome: what comes of that script, where its client has no connection (`waits_itself`).
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.client: Client | None = None
        self.outcome: asyncio.Future[bytes] | None = None
        self._worker: Any = None  # the greenlet that scripts run in
        self._inside = False  # whether it has work to do
        self._owner: Client | None = None  # whose work that is
        self._is_slow = False  # whether that was noticed
        self._awaited: asyncio.Task[Any] | None = None  # what it waits for
        self._out: list[bytes] | None = None  # where the client's replies go while it runs
        self._request: list[bytes] = []  # of that client
        self._entry: Entry | None = None
        self._began = self._told = 0.0  # on the node's clock: the command, its first count
        self._elapsed = self._slice = self._last = 0.0
        self._nominal = 0.0  # what has elapsed, counted in instructions
        self._clock_moves = False
        self._calls = 0
        self._limit_s = 0.0  # of the load of a library that is under way
        self._loading = self._killed = False

    @property
    def milliseconds(self) -> int:
        """How long the script that runs has taken so far."""
        return int(self._elapsed * 1000)

    # -- running -------------------------------------------------------------------------------

    def run(self, client: Client, request: list[bytes], work: Callable[[], bytes]) -> Reply:
        """Do work of a client that runs a script; a Block if it does not end in time.

        Args:
            client: the client.
            request: what it has sent.
            work: returns the encoded reply.

        Raises:
            CommandError: whatever the work raises.
        """
        node = self.node
        self._start()
        session = client.session
        if greenlet is None or self._inside or (session is None and not client.waits_itself):
            return work()
        self._owner = client
        self._began = self._last
        self._request, self._entry = request, client.executing
        outer = None if session is None else session.out
        self._inside = True
        done = self._hand_over(work)
        if done is not None:
            self._inside = False
            return _result(done)
        self._leave_slice()
        if session is None:
            self.outcome = node.loop.create_future()
        else:
            # The session goes on with what came before this command.
            if self._out is outer:
                self._out = None
            session.out = outer
        self._told = node.clock()
        client.rewrite_nothing()  # what it writes is sent on by itself, once it has ended
        return Block((), 0, lambda _c, _key: None, b"")

    def _hand_over(self, work: Callable[[], bytes]) -> _Outcome | None:
        """Let the worker do something; what came of it, or None if it is not done yet."""
        if self._worker is not None:
            with suppress(greenlet.error):  # it may belong to a thread that drove the loop before
                return cast("_Outcome | None", self._worker.switch(work))
        self._worker = greenlet.greenlet(_work_off)
        return cast("_Outcome | None", self._worker.switch(work))

    def _start(self) -> None:
        self._elapsed = self._nominal = self._slice = 0.0
        self._calls = 0
        self._clock_moves = self._killed = False
        self._last = self.node.clock()

    def tick(self) -> str | None:
        """A tick's worth of instructions has run; the text of an error if the script is to end."""
        return self._pass_time(TICK_S)

    def called(self) -> None:
        """The script has called a command.

        Raises:
            UncountedError: the script is to end.
        """
        self._calls += 1
        if self._calls % _CALLS_PER_TICK == 0:
            message = self._pass_time(_CALLS_S)
            if message is not None:
                raise UncountedError(message)

    def _pass_time(self, nominal_s: float) -> str | None:
        now = self.node.clock()
        measured, self._last = now - self._last, now
        self._clock_moves = self._clock_moves or measured > 0
        passed = measured if self._clock_moves else nominal_s
        self._elapsed += passed
        self._slice += passed
        self._nominal += nominal_s
        if self._loading:
            too_long = self._limit_s and self._elapsed > self._limit_s
            return _LOAD_TIMEOUT if too_long else None
        if not self._inside:
            return _ENDLESS if self._nominal > LIMIT_S else None
        if not self._killed:
            self._let_others_run()
        if self._killed:
            return _KILLED
        return _ENDLESS if self._nominal > LIMIT_S and not self._clock_moves else None

    def _let_others_run(self) -> None:
        if not self._is_slow:
            threshold_ms = self.node.config.busy_reply_threshold
            if not threshold_ms or self._elapsed * 1000 < threshold_ms:
                return
            self._become_slow()
        elif self._slice < _SLICE_S:
            return
        greenlet.getcurrent().parent.switch(None)
        self._slice = 0.0
        self._last = self.node.clock()

    # -- waiting -------------------------------------------------------------------------------

    @property
    def can_wait(self) -> bool:
        """Whether the command that runs now, in a script or a transaction, may wait."""
        return self._inside and greenlet.getcurrent() is self._worker

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes of some work that needs the loop; until then the script stands still.

        Raises:
            CommandError: the node ends.
        """
        task: asyncio.Task[T] = in_background(self.node, work)
        self._awaited = task
        task.add_done_callback(lambda done: self._resume() if self._awaited is done else None)
        self.client = self._owner
        greenlet.getcurrent().parent.switch(None)
        self._awaited = None
        if not task.done():
            raise CommandError(_KILLED)
        found: T = task.result()
        return found

    # -- a slow script -------------------------------------------------------------------------

    def _become_slow(self) -> None:
        node, running = self.node, self.node.scripts.running
        assert running is not None, "only a script that runs is slow"
        self.client = running.caller
        self._is_slow = True
        kill = "SCRIPT KILL" if running.is_eval else "FUNCTION KILL"
        node.log.warning(
            f"Slow script detected: still in execution after {self.milliseconds} milliseconds. "
            f"You can try killing the script using the {kill} command. Script name is: "
            f"{running.name.decode()}."
        )
        node.more_gates.append(self._gate)
        node.refresh()

    def _leave_slice(self) -> None:
        """Between two pieces of the script: its client's replies are not those of the loop."""
        client = self.client
        assert client is not None, "a slow script has a client"
        session = client.session
        if session is not None:
            self._out, session.out = session.out, None
        if self._awaited is not None:
            return
        # Where no clock has moved, the loop's own is to move on as far as the script did.
        delay = 0.0 if self._clock_moves else self._slice
        self.node.call_later(delay, self._resume)

    def _resume(self) -> None:
        client = self.client
        assert client is not None, "a slow script has a client"
        session = client.session
        if session is not None:
            session.out = self._out
        self.node.current = client
        done = self._worker.switch()
        self.node.current = None
        if done is None:
            self._leave_slice()
            return
        if self.outcome is not None:
            outcome, self.outcome = self.outcome, None
            _settle(outcome, done)
            self._end(client, b"")
            return
        if session is not None:
            session.out = None
        try:
            reply = _result(done)
        except CommandError as failed:
            reply = self.node.failed(self._entry, failed)
        except Exception as bug:
            reply = self.node.crashed(self._request, bug)
        self._end(client, reply)

    def _end(self, client: Client, reply: bytes) -> None:
        node = self.node
        self.client = self._out = None
        self._inside = False
        if self._is_slow:
            self._is_slow = False
            node.more_gates.remove(self._gate)
            node.refresh()
        client.rewritten = None
        self._note(client)
        if node.clients.get(client.id) is client:
            node.blocking.release(client, reply)
        if node.engine.ready:
            node.blocking.serve_ready()
        node.replication.resume()

    def _note(self, client: Client) -> None:
        """Count the time since the script was found to be slow, and note the slow command."""
        now = self.node.clock()
        client.executing = entry = self._entry
        if entry is None:
            return
        entry.fold()
        entry._seconds += now - self._told
        if now - self._began >= self.node.slow_seconds:
            self.node.note_slow(client, self._request, now - self._began)

    def _gate(self, client: Client, entry: Entry, args: list[bytes]) -> None:
        """Refuse what may not be asked for while a slow script runs, but not to the script."""
        if client.session is not None and "allow_busy" not in entry.flags:
            raise CommandError(self.busy_message())

    def busy_message(self) -> str:
        """The error for everybody else while a script runs."""
        running = self.node.scripts.running
        return _BUSY.format("SCRIPT" if running is not None and running.is_eval else "FUNCTION")

    def kill(self, *, is_eval: bool) -> bytes:
        """End the script (SCRIPT KILL) or function (FUNCTION KILL) that runs.

        Raises:
            CommandError: none runs, it has written, or it is one of the other kind.
        """
        running = self.node.scripts.running
        if running is None:
            raise CommandError(_NOT_BUSY)
        if running.wrote:
            raise CommandError(_UNKILLABLE)
        if running.is_eval != is_eval:
            raise CommandError(self.busy_message())
        self.node.log.warning("Lua script killed by user with SCRIPT KILL.")
        self._killed = True
        return OK

    def abandon(self) -> None:
        """The node ends: so do the script that runs and the worker."""
        self._killed = True
        if self.client is not None:
            while self._worker.switch() is None:
                pass
            self.client = self._awaited = None
            self._inside = False
            if self.outcome is not None:
                self.outcome.cancel()
        worker, self._worker = self._worker, None
        if worker is not None and not self._inside:
            with suppress(greenlet.error):  # where it belongs to another thread
                worker.throw()

    # -- the load of a library -----------------------------------------------------------------

    def begin_load(self, *, limited: bool) -> None:
        """The code of a library runs from here on."""
        self._start()
        self._loading = True
        self._limit_s = _LOAD_LIMIT_S if limited else 0.0

    def end_load(self) -> None:
        """It has run."""
        self._loading = False
