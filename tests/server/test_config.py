"""The configuration of a node, without a peer: what each part promises."""

from __future__ import annotations

import io
import subprocess
import sys
import typing

import pytest

from redislab.server import directive_kinds as kinds
from redislab.server.config import BufferLimit, Config, ConfigError, RefusedError, StartupExit
from redislab.server.configfile import options_as_lines
from redislab.server.configrewrite import SIGNATURE, rewrite_file, rewritten
from redislab.server.configvalues import Settings
from redislab.server.directive_kinds import format_memory, parse_memory
from redislab.server.directives import ALL, DIRECTIVES
from redislab.server.files import FileSystem

DEFAULT_USER = b"default on nopass sanitize-payload ~* &* +@all"
TYPES = {
    kinds.Bool: bool,
    kinds.Text: str,
    kinds.Choice: str,
    kinds.Choices: str,
    kinds.Number: int,
    kinds.Save: tuple[tuple[int, int], ...],
    kinds.Buffers: tuple[BufferLimit, BufferLimit, BufferLimit],
    kinds.Scores: tuple[int, int, int],
    kinds.Events: str,
    kinds.Addresses: tuple[str, ...],
    kinds.ReplicaOf: tuple[str, int] | None,
    kinds.Percentiles: tuple[float, ...],
    kinds.Directory: str,
}


def change(config: Config, *words: str) -> list[str]:
    return config.change([(n, v.encode()) for n, v in zip(words[::2], words[1::2], strict=True)])


def test_the_typed_attributes_are_those_of_the_table():
    typed = typing.get_type_hints(Settings)
    assert typed == {d.attribute: TYPES[type(d.kind)] for d in ALL}
    assert list(typed) == [d.attribute for d in ALL]


def test_every_default_is_shown_and_read_back_as_itself():
    config = Config()
    for directive in ALL:
        shown = config.show(directive.name)
        if directive.name == "replicaof":
            assert shown == b""
            continue
        words = shown.split() if directive.kind.multi else [shown]
        value = directive.kind.parse(words, config.value(directive.name), first=None)
        assert value == config.value(directive.name)


def test_older_names_mean_the_same():
    config = Config.from_mapping({"slave-priority": 7, "lua-time-limit": 8})
    assert config.replica_priority == 7
    assert config.show("slave-priority") == config.show("replica-priority") == b"7"
    assert config.busy_reply_threshold == 8


@pytest.mark.parametrize(
    ("word", "size"),
    [
        (b"0", 0),
        (b"1b", 1),
        (b"1k", 1000),
        (b"1kb", 1024),
        (b"2M", 2_000_000),
        (b"2mB", 2 * 2**20),
        (b"3g", 3 * 10**9),
        (b"3gb", 3 * 2**30),
        (b"", 0),
        (b"kb", 0),
        (b"18446744073709551615", -1),
        (b"1tb", None),
        (b"-1", None),
        (b"1.5gb", None),
        (b"1 gb", None),
        (b"0x10", None),
    ],
)
def test_sizes_are_read_with_their_units(word, size):
    assert parse_memory(word) == size


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, b"0"),
        (1000, b"1000"),
        (1024, b"1kb"),
        (2**20, b"1mb"),
        (3 * 2**30, b"3gb"),
        (2**20 + 1, b"1048577"),
    ],
)
def test_sizes_are_written_in_the_largest_unit_that_fits(size, shown):
    assert format_memory(size) == shown


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--port", "6380"], 'port "6380" '),
        (["--port 6380"], "port 6380 "),
        (["--save", "1", "2", "--hz", "5"], 'save "1" "2" \nhz "5" '),
        (["--save", "", "--hz", "5"], 'save "" \nhz "5" '),
        (["--save", "--hz", "5"], 'save ""\nhz "5" '),
        (["--save"], 'save ""'),
        (["--requirepass", "--x"], 'requirepass "--x" '),
        (["--requirepass", 'a"\n\x01'], 'requirepass "a\\"\\n\\x01" '),
        (["-", "--hz", "5"], 'hz "5" '),
        (["--hz", "5", "-"], 'hz "5" '),
        (["--hz", "-", "5"], 'hz "-" "5" '),
    ],
)
def test_options_become_lines(argv, text):
    assert options_as_lines(argv).decode() == text


def test_the_last_word_counts_file_then_input_then_options(tmp_path):
    (tmp_path / "redis.conf").write_text("hz 11\ntimeout 11\nport 11\n")
    config = Config.from_args(
        ["redis.conf", "--hz", "33", "-"],
        stdin=io.BytesIO(b"timeout 22\nhz 22\n").read,
        directory=str(tmp_path),
    )
    assert (config.port, config.timeout, config.hz) == (11, 22, 33)
    assert config.file == str(tmp_path / "redis.conf")
    assert config.notes == ["Reading config from stdin"]


def test_settings_can_come_from_a_mapping(tmp_path):
    (tmp_path / "redis.conf").write_text("hz 11\nport 11\n")
    settings = {
        "port": 6380,
        "appendonly": True,
        "save": "",
        "requirepass": "-",
        "maxmemory_policy": "allkeys-lru",
        "server_cpulist": "0-1",
        "client-output-buffer-limit": "normal 1kb 2kb 3",
        "proc-title-template": "--x",
    }
    config = Config.from_mapping(settings, file="redis.conf", directory=str(tmp_path))
    assert (config.port, config.hz, config.appendonly, config.save) == (6380, 11, True, ())
    assert config.requirepass == "-"
    assert config.maxmemory_policy == "allkeys-lru"
    assert config.server_cpulist == "0-1"
    assert config.client_output_buffer_limit[0] == BufferLimit(1024, 2048, 3)
    assert config.proc_title_template == "--x"
    with pytest.raises(ConfigError, match="Bad directive"):
        Config.from_mapping({"prot": 1})


def test_bytes_that_are_no_text_survive():
    config = Config.from_mapping({"requirepass": "\udcff\udc80\x00x"})
    assert config.show("requirepass") == b"\xff\x80\x00x"


def test_only_loopback_is_listened_to_unless_told_otherwise():
    assert Config().listen_addresses == [("127.0.0.1", True), ("::1", False)]
    config = Config.from_mapping({"bind": "* -::* 10.0.0.1"})
    assert config.listen_addresses == [("0.0.0.0", True), ("::", False), ("10.0.0.1", True)]


def test_what_is_not_built_is_named_once_and_only_if_asked_for():
    config = Config.from_mapping({"io-threads": 4, "tls-session-cache-timeout": 300, "hz": 20})
    (line,) = config.warnings()
    assert "'io-threads'" in line
    assert Config().warnings() == []
    assert Config.from_args(["--loadmodule", "x.so"]).unbuilt() == ["loadmodule"]


def test_commands_can_be_renamed_and_taken_away():
    config = Config.from_args(["--rename-command", "GET", "fetch", "--rename-command", "set", ""])
    assert config.renamed_commands == {b"get": b"fetch", b"set": b""}


def test_users_are_kept_for_the_node():
    config = Config.from_args(["--user", "ann", "on", ">p", "(", "+get", "~x", ")"])
    assert config.users == [[b"ann", b"on", b">p", b"( +get ~x )"]]


def test_endless_inclusion_is_reported(tmp_path):
    path = tmp_path / "redis.conf"
    path.write_text(f"include {path}\n")
    with pytest.raises(ConfigError, match="include each other"):
        Config.from_args([str(path)])


def test_relative_paths_are_seen_from_dir(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.conf").write_text("hz 77\n")
    argv = ["--dir", "sub", "--include", "more.conf"]
    config = Config.from_args(argv, directory=str(tmp_path))
    assert config.dir == str(tmp_path / "sub")
    assert config.hz == 77


@pytest.mark.parametrize(
    ("argv", "code", "where", "text"),
    [
        (["--version"], 0, "stdout", "v=7.0.15 "),
        (["-v"], 0, "stdout", "redislab"),
        (["--help"], 1, "stderr", "Usage: redislab server"),
        (["-h"], 1, "stderr", "--port 7777"),
        (["--test-memory"], 1, "stderr", "Please specify the amount of memory"),
        (["--test-memory", "10"], 1, "stderr", "cannot test memory"),
        (["--check-system"], 0, "stdout", "Nothing to check"),
    ],
)
def test_special_options_are_answered(argv, code, where, text):
    with pytest.raises(StartupExit) as ended:
        Config.from_args(argv)
    assert ended.value.code == code
    assert text in getattr(ended.value, where)


def test_the_program_prints_what_redis_prints_and_ends_with_1(tmp_path):
    (tmp_path / "redis.conf").write_text("port 0\n\nprot 6379\n")
    done = subprocess.run(
        [sys.executable, "-m", "redislab", "server", "redis.conf"],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\n"
        "Reading the configuration file, at line 3\n"
        ">>> 'prot 6379'\n"
        "Bad directive or wrong number of arguments\n"
    )


# -- changes -------------------------------------------------------------------------------------


def test_listeners_hear_of_what_changed_and_of_nothing_else():
    config = Config()
    heard: list[str] = []
    config.on_change("hz", lambda: heard.append(f"hz {config.hz}"))
    config.on_change("slave-priority", lambda: heard.append("priority"))
    config.on_change("timeout", lambda: heard.append("timeout"))
    assert change(config, "hz", "20", "timeout", "0", "replica-priority", "7") == [
        "hz",
        "replica-priority",
    ]
    assert heard == ["hz 20", "priority"]


def test_a_listener_that_refuses_undoes_the_whole_change():
    config = Config()
    seen: list[int] = []

    def refuse() -> None:
        raise RefusedError("Unable to listen on this port. Check server logs.")

    config.on_change("hz", lambda: seen.append(config.hz))
    config.on_change("port", refuse)
    with pytest.raises(RefusedError, match=r"argument 'port'\) - Unable to listen"):
        change(config, "hz", "20", "port", "7000", "timeout", "5")
    assert (config.hz, config.port, config.timeout) == (10, 6379, 0)
    assert seen == [20, 10]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hz", "20", "nosuch", "1"], "Unknown option or number of arguments"),
        (["hz", "20", "databases", "1"], "can't set immutable config"),
        (["hz", "20", "hz", "30"], "duplicate parameter"),
        (["hz", "20", "maxmemory", "x"], "argument must be a memory value"),
        (["hz", "20", "dir", "/"], "can't set protected config"),
    ],
)
def test_nothing_changes_if_one_of_several_is_wrong(words, message):
    config = Config()
    with pytest.raises(RefusedError, match=message):
        change(config, *words)
    assert config.hz == 10


def test_protected_directives_may_be_allowed_for_clients_on_this_machine(tmp_path):
    config = Config.from_mapping({"enable-protected-configs": "local"})
    pairs = [("dir", str(tmp_path).encode())]
    with pytest.raises(RefusedError, match="protected"):
        config.change(pairs, local=False)
    assert config.change(pairs, local=True) == ["dir"]
    assert config.dir == str(tmp_path)


def test_hidden_directives_are_shown_by_their_exact_name_only():
    config = Config()
    hidden = [d.name.encode() for d in ALL if d.hidden]
    assert hidden
    assert not set(hidden) & set(config.matching([b"*"]))
    assert list(config.matching(hidden)) == hidden
    assert len(config.matching([b"*"])) == len(DIRECTIVES) - len(hidden)


# -- rewriting -----------------------------------------------------------------------------------


def test_a_rewritten_file_keeps_comments_and_order_and_appends_the_rest():
    config = Config.from_mapping({"hz": 20, "timeout": 5, "requirepass": 'a "b"', "save": ""})
    old = b"# mine\n\n\n\ntimeout 1\ntimeout 2\n# end\nbogus 1\nslave-priority 3\n"
    lines = rewritten(config, [DEFAULT_USER], old).decode().split("\n")
    assert lines[:6] == ["# mine", "", "timeout 5", "", "# end", "# ??? bogus 1"]
    assert lines[6:8] == ["replica-priority 100", ""]
    appended = lines[lines.index(SIGNATURE.decode()) + 1 :]
    assert 'requirepass "a \\"b\\""' in appended
    assert {'save ""', "hz 20", f"user {DEFAULT_USER.decode()}"} <= set(appended)


def test_a_rewritten_file_reads_back_as_the_same_settings(tmp_path):
    path = tmp_path / "redis.conf"
    path.write_text("save 900 1\nclient-output-buffer-limit pubsub 1mb 1mb 1\n")
    config = Config.from_args(["redis.conf", "--maxmemory", "5gb"], directory=str(tmp_path))
    change(config, "latency-tracking-info-percentiles", "50 99.5", "save", "1 2 3 4")
    change(config, "masterauth", "é\x01", "maxmemory-clients", "7%", "bind", "127.0.0.1")
    rewrite_file(config, [DEFAULT_USER], FileSystem())
    again = Config.from_args([str(path)], directory=str(tmp_path))
    for directive in ALL:
        assert again.value(directive.name) == config.value(directive.name), directive.name
    rewrite_file(config, [DEFAULT_USER], FileSystem())
    assert path.read_bytes().count(SIGNATURE) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["redis.conf"]
