"""The rules of the house that a program can check, read off the source."""

import ast
import re

import pytest

from tests.tidy.tree import ROOT, files, name, tree

NODE_CODE = (
    *("redislab/wire", "redislab/engine", "redislab/server"),
    *("redislab/ring", "redislab/worlds/sim"),
)

ALLOWED_CLOCKS = {
    "redislab/server/main.py": "`redislab server` is a process; it hands its clock to the node",
}
"""Files of node code that may name a clock or a random source of the process, and why."""

MODULES_OF_CHANCE = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep"},
    "random": None,  # everything but the class Random
    "secrets": None,
    "uuid": {"uuid1", "uuid4"},
    "os": {"urandom", "getrandom"},
    "datetime": {"now", "utcnow", "today"},
}

ROOMS_BELOW = {
    "wire": set(),
    "engine": {"wire"},
    "server": {"engine", "wire"},
    "sentinel": {"server", "engine", "wire"},
    "ring": {"server", "engine", "wire"},
    "benchmark": {"wire"},
    "worlds": {"ring", "sentinel", "server", "engine", "wire"},
    "labs": {"worlds", "benchmark", "ring", "sentinel", "server", "engine", "wire"},
    "chaos": {"labs", "worlds", "ring", "sentinel", "server", "engine", "wire"},
    "views": {
        *("chaos", "labs", "worlds", "benchmark", "ring", "sentinel", "server", "engine", "wire"),
    },
}

ALLOWED_UPWARD = {
    # `lab.view()` is where a reader looks for the view of a lab; it is imported when it is called.
    ("labs", "views"),
    # Likewise the diagram of a run of a schedule.
    ("chaos", "views"),
}

LINES_MAX = 600
LONG_FILES: dict[str, str] = {}
"""Tables of data written by hand, which are looked up and not read: file to reason."""


def uses_of_chance(module: ast.Module) -> list[tuple[int, str]]:
    """Return each use of a clock or random source of the process: line and name."""
    aliases = {}
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for entry in node.names:
                if entry.name in MODULES_OF_CHANCE:
                    aliases[entry.asname or entry.name] = entry.name
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES_OF_CHANCE:
            for entry in node.names:
                if _banned(node.module, entry.name):
                    found.append((node.lineno, f"{node.module}.{entry.name}"))
                elif node.module == "datetime":
                    aliases[entry.asname or entry.name] = "datetime"
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            source = aliases.get(node.value.id)
            if source and _banned(source, node.attr):
                found.append((node.lineno, f"{source}.{node.attr}"))
    return found


def _banned(module: str, attribute: str) -> bool:
    names = MODULES_OF_CHANCE[module]
    return attribute != "Random" if names is None else attribute in names


def imported_rooms(module: ast.Module, package: str) -> list[tuple[int, str]]:
    """Return each room of redislab that a file of `package` imports: line and room."""
    found = []
    for node in ast.walk(module):
        names = []
        if isinstance(node, ast.Import):
            names = [entry.name for entry in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{entry.name}" for entry in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: -(node.level - 1) or None]
            names = [".".join([*base, node.module or "", entry.name]) for entry in node.names]
        for full in names:
            parts = full.split(".")
            if parts[0] == "redislab" and len(parts) > 1:
                found.append((node.lineno, parts[1]))
    return found


def test_the_clock_rule_sees_what_it_forbids():
    module = ast.parse(
        "import time, random as r\nfrom time import sleep\nfrom datetime import datetime\n"
        "time.time(); r.randint(1, 2); datetime.now(); r.Random(7)\n"
    )
    assert [use for _, use in uses_of_chance(module)] == [
        "time.sleep",
        "time.time",
        "random.randint",
        "datetime.now",
    ]


def test_node_code_has_no_clock_and_no_chance_of_its_own():
    broken = [
        f"{name(path)}:{line} uses {use}"
        for folder in NODE_CODE
        for path in files(".py", under=folder)
        for line, use in uses_of_chance(tree(path))
        if name(path) not in ALLOWED_CLOCKS
    ]
    assert broken == []


def test_imports_run_downward():
    broken = []
    for path in files(".py", under="redislab"):
        parts = path.relative_to(ROOT / "redislab").parts
        room = parts[0]
        if len(parts) == 1 or room not in ROOMS_BELOW:
            continue
        package = ".".join(["redislab", *parts[:-1]])
        for line, other in imported_rooms(tree(path), package):
            if other == room or other in ROOMS_BELOW[room] or (room, other) in ALLOWED_UPWARD:
                continue
            if other in ROOMS_BELOW or (ROOT / "redislab" / f"{other}.py").exists():
                broken.append(f"{name(path)}:{line} imports redislab.{other}")
    assert broken == []


def test_every_room_is_known():
    rooms = {
        path.name
        for path in (ROOT / "redislab").iterdir()
        if path.is_dir() and (path / "__init__.py").exists()
    }
    assert rooms <= set(ROOMS_BELOW)


def test_only_the_engine_imports_fakeredis():
    broken = [
        f"{name(path)}:{node.lineno}"
        for path in files(".py", under="redislab")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and "fakeredis" in f"{getattr(node, 'module', '')} {[e.name for e in node.names]}"
        and not name(path).startswith("redislab/engine/")
    ]
    assert broken == []


def test_a_file_can_be_read_in_one_sitting():
    too_long = {
        name(path): count
        for path in files(".py", ".js", ".mjs", ".css")
        if (count := path.read_text(encoding="utf-8").count("\n")) > LINES_MAX
        and name(path) not in LONG_FILES
    }
    assert too_long == {}


def test_every_file_says_what_lives_in_it():
    silent = [
        name(path)
        for path in files(".py", under="redislab")
        if tree(path).body and not ast.get_docstring(tree(path))
    ]
    assert silent == []


def test_nothing_is_left_for_later():
    word = re.compile(r"\b(TO" r"DO|FIX" r"ME)\b")
    left = [
        f"{name(path)}: {line.strip()[:60]}"
        for path in files(".py", ".js", ".css", ".md", ".toml", ".yml", ".yaml", ".ipynb")
        for line in path.read_text(encoding="utf-8").splitlines()
        if word.search(line)
    ]
    assert left == []


ASSERTING_CALLS = re.compile(
    r"^(assert|check|expect|verify|compare|raises|warns|fail)", re.IGNORECASE
)


def asserts_something(function: ast.AST) -> bool:
    """Whether a test function can fail by more than an exception nobody expected."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if ASSERTING_CALLS.match(called):
                return True
    return False


@pytest.mark.parametrize("folder", sorted(p.name for p in (ROOT / "tests").iterdir() if p.is_dir()))
def test_every_test_asserts_something(folder):
    empty = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path in files(".py", under=f"tests/{folder}")
        if path.name.startswith("test_")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not asserts_something(node)
    ]
    assert empty == []
