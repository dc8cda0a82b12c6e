"""Programs that are run at events: to notify somebody, or to reconfigure clients.

A queue of at most 256, of which 16 run at a time. One that ends with exit code 1, or by a signal,
is run again after half a minute, a minute, two, and so on, ten times at most; one that runs for a
minute is killed. Follows the part "script execution" of `src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redislab.sentinel import events
from redislab.sentinel.addresses import shown
from redislab.sentinel.model import Address, Master

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch

QUEUE_MAX = 256
RUNNING_MAX = 16
TRIES_MAX = 10
_TRY_AGAIN = 1  # exit code
# What the event says in the place of a signal where no process could be made.
_NO_PROCESS = 99


@dataclass(slots=True, eq=False)
class Job:
    """A program that is to be run.

    Attributes:
        arguments: its path, and what it is given.
        is_running: whether it runs now.
        process_id: of it; 0 if it does not run.
        since: when it was started last, or from when on it may be started again; 0 is at once.
        tries: how often it was started.
        is_killed: it has run for too long; its end is still to be seen.
    """

    arguments: tuple[str, ...]
    is_running: bool = False
    process_id: int = 0
    since: int = 0
    tries: int = 0
    is_killed: bool = False


class Scripts:
    """The programs of one Sentinel.

    Attributes:
        queue: those that wait and those that run, the oldest first.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.queue: list[Job] = []
        self.running = 0

    def schedule(self, *arguments: str) -> None:
        """Run a program soon; if there are too many, the oldest that waits is dropped."""
        self.queue.append(Job(arguments))
        if len(self.queue) > QUEUE_MAX:
            self.queue.remove(next(job for job in self.queue if not job.is_running))

    def reconfigure_clients(
        self, master: Master, role: str, before: Address, after: Address
    ) -> None:
        """Run the `client-reconfig-script` of a master that is another one from now on.

        It is given `<master-name> <role> <state> <from-ip> <from-port> <to-ip> <to-port>`, where
        the role is "leader" or "observer" and the state is always "start".
        """
        if master.client_reconfig_script:
            state = self.watch.state
            self.schedule(
                master.client_reconfig_script,
                master.name,
                role,
                "start",
                shown(state, before),
                str(before.port),
                shown(state, after),
                str(after.port),
            )

    def run(self, now: int) -> None:
        """Start what may be started, and kill what runs for too long."""
        for job in list(self.queue):
            if self.running >= RUNNING_MAX:
                break
            if not job.is_running and job.since <= now:
                self._start(job, now)
        runtime_max = self.watch.state.timing.script_max_runtime
        for job in list(self.queue):
            if job.is_running and not job.is_killed and now - job.since > runtime_max:
                job.is_killed = True
                words = f"{job.arguments[0]} {job.process_id}"
                events.tell(self.watch, events.WARNING, "-script-timeout", words)
                self.watch.host.kill_script(job.process_id)

    def _start(self, job: Job, now: int) -> None:
        job.since = now
        job.tries += 1
        job.is_killed = False

        def ended(process_id: int, exit_code: int, signal: int) -> None:
            self._ended(job, process_id, exit_code, signal)

        try:
            process_id = self.watch.host.run_script(job.arguments, ended)
        except OSError:
            words = f"{job.arguments[0]} {_NO_PROCESS} 0"
            events.tell(self.watch, events.WARNING, "-script-error", words)
            self._try_again(job)
            return
        if process_id is None:
            self.queue.remove(job)
            return
        job.is_running, job.process_id = True, process_id
        self.running += 1
        events.tell(self.watch, events.DEBUG, "+script-child", str(process_id))

    def _ended(self, job: Job, process_id: int, exit_code: int, signal: int) -> None:
        if not self.watch.is_running:
            return
        words = f"{process_id} {exit_code} {signal}"
        events.tell(self.watch, events.DEBUG, "-script-child", words)
        self.running -= 1
        job.is_running, job.process_id = False, 0
        if (signal or exit_code == _TRY_AGAIN) and job.tries < TRIES_MAX:
            self._try_again(job)
            return
        if signal or exit_code:
            words = f"{job.arguments[0]} {signal} {exit_code}"
            events.tell(self.watch, events.WARNING, "-script-error", words)
        self.queue.remove(job)

    def _try_again(self, job: Job) -> None:
        delay = self.watch.state.timing.script_retry_delay * 2 ** (job.tries - 1)
        job.since = self.watch.host.now_ms() + delay
