"""sentinel.conf: a redis.conf with lines `sentinel ...`, read as redis-sentinel reads it.

Whatever holds for a server's file holds here too (`redislab.server.configfile`). The lines of the
Sentinel are put aside until the rest was read, and then taken in three turns, whatever their order
in the file: what concerns the Sentinel as a whole, the masters, and what is said of the masters.
Follows `queueSentinelConfig`, `loadSentinelConfigFromQueue`, `sentinelHandleConfiguration` and
`sentinelCheckConfigFile` in `src/sentinel.c` of Redis 7.0, whose words the refusals are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import ClassVar, Self

from redislab.sentinel.addresses import is_usable
from redislab.sentinel.instances import (
    InstanceError,
    add_master,
    add_peer,
    add_replica,
    spread_down_after,
)
from redislab.sentinel.model import Address, Master, SentinelState
from redislab.server.config import Config
from redislab.server.configfile import ConfigError, SentinelLine, fatal
from redislab.server.directive_kinds import RefusedError, to_text
from redislab.server.facts import SENTINEL_COMMANDS, Catalog

PORT = 26379
ID_LENGTH = 40
_NO_FILE = "Sentinel needs config file on disk to save state. Exiting..."
_UNKNOWN = "Unrecognized sentinel configuration statement."
_NO_MASTER = "No such master with specified name."
NOTIFICATION_SCRIPT = "Notification script seems non existing or non executable"
RECONFIG_SCRIPT = "Client reconfiguration script seems non existing or non executable"

_USAGE = """Usage: redislab sentinel /path/to/sentinel.conf [options]
       redislab server /path/to/sentinel.conf --sentinel [options]
       redislab sentinel -v or --version
       redislab sentinel -h or --help

A Sentinel watches masters, agrees with other Sentinels that one is down, and puts a replica in its
place. It keeps what it knows in its configuration file and rewrites that file as it learns, so it
needs one of its own that it can write.

A sentinel.conf that watches one master, and needs two Sentinels to agree that it is down:
       port 26379
       sentinel monitor mymaster 127.0.0.1 6379 2
       sentinel down-after-milliseconds mymaster 5000
       sentinel failover-timeout mymaster 60000
       sentinel parallel-syncs mymaster 1

It finds the replicas and the other Sentinels by itself. An option is a directive of the file with
two hyphens in front, and its values after it:
       redislab sentinel sentinel.conf --port 26380
       redislab sentinel sentinel.conf --logfile sentinel.log --loglevel verbose

Ask it, and make it act:
       redis-cli -p 26379 sentinel get-master-addr-by-name mymaster
       redis-cli -p 26379 sentinel replicas mymaster
       redis-cli -p 26379 psubscribe '*'
       redis-cli -p 26379 sentinel failover mymaster
"""


class SentinelConfig(Config):
    """The configuration of one Sentinel.

    Attributes:
        sentinel_lines: its lines `sentinel ...`, in the order of the file.
    """

    commands: ClassVar[Catalog] = SENTINEL_COMMANDS
    usage: ClassVar[str] = _USAGE

    def __init__(self, *, directory: str = "") -> None:
        super().__init__(directory=directory)
        self.port = PORT
        self.protected_mode = False
        self.sentinel_lines: list[SentinelLine] = []

    @classmethod
    def from_args(
        cls, argv: Sequence[str], *, stdin: Callable[[], bytes] | None = None, directory: str = ""
    ) -> Self:
        """Read a command line without the program's name, as redis-sentinel does.

        Raises:
            ConfigError: something cannot be read, or the file cannot be written later.
            StartupExit: --help and the like came first.
        """
        config = super().from_args(argv, stdin=stdin, directory=directory)
        config.first_state(0)
        if not config.file:
            raise ConfigError(1, log=_NO_FILE)
        if not os.access(config.file, os.W_OK):
            reason = os.strerror(_write_error(config.file))
            message = f"Sentinel config file {config.file} is not writable: {reason}. Exiting..."
            raise ConfigError(1, log=message)
        return config

    @classmethod
    def from_text(cls, text: bytes, *, file: str = "", directory: str = "") -> Self:
        """Read the lines of a configuration file.

        Raises:
            ConfigError: one of them cannot be read; it says what to print.
        """
        config = super().from_text(text, file=file, directory=directory)
        config.first_state(0)
        return config

    def take_sentinel_line(self, line: SentinelLine) -> None:
        """Put a line `sentinel ...` aside."""
        self.sentinel_lines.append(line)

    def first_state(self, now: int) -> SentinelState:
        """What a Sentinel knows when it starts.

        Args:
            now: the time of its start, in milliseconds since the epoch.

        Raises:
            ConfigError: a line is none, with redis-sentinel's report.
        """
        reader = _Lines(self, now)
        turns: tuple[list[SentinelLine], ...] = ([], [], [])
        for line in self.sentinel_lines:
            name = to_text(line.words[0]).lower()
            turns[0 if name in _WHOLE else 1 if name == "monitor" else 2].append(line)
        for line in (each for turn in turns for each in turn):
            try:
                reader.take(line.words)
            except (RefusedError, InstanceError) as refused:
                end = fatal(str(refused), line.number, line.line)
                end.log = "\n".join(reader.notes)
                raise end from None
        self.notes += [each for each in reader.notes if each not in self.notes]
        return reader.state


class _Lines:
    """Takes lines one after the other.

    Attributes:
        state: what they have told so far.
        notes: lines for the log.
    """

    def __init__(self, config: SentinelConfig, now: int) -> None:
        self.config = config
        self.now = now
        self.state = SentinelState()
        self.notes: list[str] = []

    def take(self, words: Sequence[bytes]) -> None:
        """Take the words of a line, those after `sentinel`.

        Raises:
            RefusedError: with the reason.
            InstanceError: likewise.
        """
        name, *values = (to_text(word) for word in words)
        name = name.lower()
        known = _TAKE.get(name)
        if known is None or len(values) not in known[1]:
            raise RefusedError(_UNKNOWN)
        known[0](self, values)

    def master(self, name: str) -> Master:
        """The master of a name; raises RefusedError if there is none."""
        master = self.state.masters.get(name)
        if master is None:
            raise RefusedError(_NO_MASTER)
        return master

    def address(self, host: str, port: str) -> Address:
        """An address, and the note that it makes no sense, if so."""
        address = Address(host, to_int(port))
        if 0 <= address.port <= 65535 and not is_usable(self.state, address.host):
            self.notes.append(f"Failed to resolve hostname '{host}'")
        return address

    def script(self, path: str, refusal: str) -> str:
        """The path of a program that can be run; raises RefusedError if it cannot."""
        if not can_run(self.config, path):
            raise RefusedError(refusal + ".")
        return path


def can_run(config: Config, path: str) -> bool:
    """Whether there is such a program."""
    return path != "" and "\0" not in path and os.access(config.absolute(path), os.X_OK)


def to_int(word: str) -> int:
    """What C makes of a word as an `int`: the number that it begins with, or 0."""
    match = re.match(r"\s*([+-]?\d+)", word)
    number = min(max(int(match[1]), -(2**63)), 2**63 - 1) if match else 0
    return (number + 2**31) % 2**32 - 2**31


def _to_epoch(word: str) -> int:
    """What C's strtoull makes of a word."""
    match = re.match(r"\s*([+-]?)(\d+)", word)
    if not match:
        return 0
    number = min(int(match[2]), 2**64 - 1)
    return -number % 2**64 if match[1] == "-" and number < 2**64 - 1 else number


def to_bool(word: str) -> bool | None:
    """What yes and no mean; None for another word."""
    return {"yes": True, "no": False}.get(word.lower())


def _write_error(path: str) -> int:
    """Why a file cannot be written, as an errno."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    except OSError as failure:
        return failure.errno or 0
    return 0


# -- lines about masters -------------------------------------------------------------------------


def _monitor(lines: _Lines, values: list[str]) -> None:
    name, host, port, quorum = values
    votes = to_int(quorum)
    if votes <= 0:
        raise RefusedError("Quorum must be 1 or greater.")
    add_master(lines.state, name, lines.address(host, port), votes, lines.now)


def _down_after(lines: _Lines, values: list[str]) -> None:
    master = lines.master(values[0])
    master.down_after = _positive(values[1])
    spread_down_after(master)


def _failover_timeout(lines: _Lines, values: list[str]) -> None:
    lines.master(values[0]).failover_timeout = _positive(values[1])


def _positive(word: str) -> int:
    milliseconds = to_int(word)
    if milliseconds <= 0:
        raise RefusedError("negative or zero time parameter.")
    return milliseconds


def _reboot_down_after(lines: _Lines, values: list[str]) -> None:
    master = lines.master(values[0])
    milliseconds = to_int(values[1])
    if milliseconds < 0:
        raise RefusedError("negative time parameter.")
    master.reboot_down_after = milliseconds


def _parallel_syncs(lines: _Lines, values: list[str]) -> None:
    lines.master(values[0]).parallel_syncs = to_int(values[1])


def _notification_script(lines: _Lines, values: list[str]) -> None:
    master = lines.master(values[0])
    master.notification_script = lines.script(values[1], NOTIFICATION_SCRIPT)


def _reconfig_script(lines: _Lines, values: list[str]) -> None:
    master = lines.master(values[0])
    master.client_reconfig_script = lines.script(values[1], RECONFIG_SCRIPT)


def _auth_pass(lines: _Lines, values: list[str]) -> None:
    lines.master(values[0]).auth_pass = values[1]


def _auth_user(lines: _Lines, values: list[str]) -> None:
    lines.master(values[0]).auth_user = values[1]


def _rename_command(lines: _Lines, values: list[str]) -> None:
    if values[1].lower() in lines.master(values[0]).renamed_commands:
        raise RefusedError("Same command renamed multiple times with rename-command.")
    rename_command(lines.master(values[0]), values[1], values[2])


def rename_command(master: Master, name: str, new: str) -> None:
    """The servers of a master know a command by another name."""
    master.renamed_commands[name.lower()] = new
    master.spelled[name.lower()] = name


def _config_epoch(lines: _Lines, values: list[str]) -> None:
    master = lines.master(values[0])
    master.config_epoch = _to_epoch(values[1])
    lines.state.current_epoch = max(lines.state.current_epoch, master.config_epoch)


def _leader_epoch(lines: _Lines, values: list[str]) -> None:
    lines.master(values[0]).leader_epoch = _to_epoch(values[1])


def _known_replica(lines: _Lines, values: list[str]) -> None:
    master = lines.master(values[0])
    add_replica(lines.state, master, lines.address(values[1], values[2]), lines.now)


def _known_sentinel(lines: _Lines, values: list[str]) -> None:
    if len(values) == 3:
        return  # of versions that knew no ids
    master = lines.master(values[0])
    address = lines.address(values[1], values[2])
    peer = add_peer(lines.state, master, address, values[3], lines.now)
    for other in lines.state.masters.values():
        twin = other.peers.get(peer.run_id)
        if twin is not None and twin is not peer:
            peer.link = twin.link
            peer.link.owners += 1
            return


# -- lines about the Sentinel as a whole ---------------------------------------------------------


def _my_id(lines: _Lines, values: list[str]) -> None:
    if len(values[0]) != ID_LENGTH:
        raise RefusedError("Malformed Sentinel id in myid option.")
    lines.state.my_id = values[0]


def _current_epoch(lines: _Lines, values: list[str]) -> None:
    lines.state.current_epoch = max(lines.state.current_epoch, _to_epoch(values[0]))


def _announce_ip(lines: _Lines, values: list[str]) -> None:
    lines.state.announce_ip = values[0] or lines.state.announce_ip


def _announce_port(lines: _Lines, values: list[str]) -> None:
    lines.state.announce_port = to_int(values[0])


def _sentinel_user(lines: _Lines, values: list[str]) -> None:
    lines.state.auth_user = values[0] or lines.state.auth_user


def _sentinel_pass(lines: _Lines, values: list[str]) -> None:
    lines.state.auth_pass = values[0] or lines.state.auth_pass


def _deny_scripts_reconfig(lines: _Lines, values: list[str]) -> None:
    refusal = "Please specify yes or no for the deny-scripts-reconfig options."
    lines.state.deny_scripts_reconfig = _switch(values[0], refusal)


def _resolve_hostnames(lines: _Lines, values: list[str]) -> None:
    refusal = "Please specify yes or no for the resolve-hostnames option."
    lines.state.resolve_hostnames = _switch(values[0], refusal)


def _announce_hostnames(lines: _Lines, values: list[str]) -> None:
    refusal = "Please specify yes or no for the announce-hostnames option."
    lines.state.announce_hostnames = _switch(values[0], refusal)


def _switch(word: str, refusal: str) -> bool:
    value = to_bool(word)
    if value is None:
        raise RefusedError(refusal)
    return value


_Take = Callable[[_Lines, list[str]], None]
# What takes a line, and how many values it may have.
_OF_MASTERS: dict[str, tuple[_Take, tuple[int, ...]]] = {
    "monitor": (_monitor, (4,)),
    "down-after-milliseconds": (_down_after, (2,)),
    "failover-timeout": (_failover_timeout, (2,)),
    "master-reboot-down-after-period": (_reboot_down_after, (2,)),
    "parallel-syncs": (_parallel_syncs, (2,)),
    "notification-script": (_notification_script, (2,)),
    "client-reconfig-script": (_reconfig_script, (2,)),
    "auth-pass": (_auth_pass, (2,)),
    "auth-user": (_auth_user, (2,)),
    "rename-command": (_rename_command, (3,)),
    "config-epoch": (_config_epoch, (2,)),
    "leader-epoch": (_leader_epoch, (2,)),
    "known-replica": (_known_replica, (3,)),
    "known-slave": (_known_replica, (3,)),
    "known-sentinel": (_known_sentinel, (3, 4)),
}
_WHOLE: dict[str, tuple[_Take, tuple[int, ...]]] = {
    "myid": (_my_id, (1,)),
    "current-epoch": (_current_epoch, (1,)),
    "announce-ip": (_announce_ip, (1,)),
    "announce-port": (_announce_port, (1,)),
    "sentinel-user": (_sentinel_user, (1,)),
    "sentinel-pass": (_sentinel_pass, (1,)),
    "deny-scripts-reconfig": (_deny_scripts_reconfig, (1,)),
    "resolve-hostnames": (_resolve_hostnames, (1,)),
    "announce-hostnames": (_announce_hostnames, (1,)),
}
_TAKE = _OF_MASTERS | _WHOLE
