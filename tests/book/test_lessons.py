"""What every lesson must have, read from its notebook, and that the commands it gives work."""

import contextlib
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest

from book.tools.lessons import lessons
from redislab.worlds.ports import free_port
from tests.book.conftest import ROOT

LESSONS = [pytest.param(lesson, id=lesson.name) for lesson in lessons(ROOT)]
SECTIONS = ("## Check yourself", "## One step on: real Redis", "## Summary", "## Exercises")
# Those that lessons use for servers and proxies of the reader's own.
PORTS = r"\b(?:639\d|760\d|22121|22222)\b"

# A person waits for a server that comes up in the background, and a busy machine takes its time.
PATIENCE = """
redis-cli() {
  until command redis-cli "$1" "$2" PING >/dev/null 2>&1; do sleep 0.1; done
  command redis-cli "$@"
}
"""


def cells(lesson, kind):
    notebook = nbformat.read(lesson.path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def prose(lesson):
    return "\n".join(cell.source for cell in cells(lesson, "markdown"))


def session(lesson):
    """Return the shell commands from the first that starts a server to the last that stops one."""
    blocks = re.findall(r"(?ms)^```bash\n(.*?)^```", prose(lesson))
    starts = [at for at, block in enumerate(blocks) if re.search(r"(?m)^redis-server ", block)]
    stops = [at for at, block in enumerate(blocks) if "SHUTDOWN" in block]
    return "\n".join(blocks[starts[0] : stops[-1] + 1]) if starts and stops else ""


def sessions():
    """Return the sessions of all lessons that have one, as parameters of a test."""
    found = [pytest.param(session(lesson), id=lesson.name) for lesson in lessons(ROOT)]
    return [one for one in found if one.values[0]]


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_begins_with_a_question_and_has_all_its_parts_in_order(lesson):
    text = prose(lesson)
    question = text.splitlines()[2]
    assert question.startswith("**")
    assert question.endswith("?**")
    places = [text.index(f"{section}\n") for section in SECTIONS]
    assert places == sorted(places)


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_prediction_is_asked_before_the_run_and_checked_after_it(lesson):
    code = [cell.source for cell in cells(lesson, "code")]
    asked = {
        name: at
        for at, source in enumerate(code)
        for name in re.findall(r"(?m)^(\w+) = predict\(", source)
    }
    checked = {
        name: at
        for at, source in enumerate(code)
        for name in re.findall(r"(?m)^check\(\s*(\w+)", source)
    }
    assert len(asked) >= 3
    assert set(asked) == set(checked)
    assert all(checked[name] > asked[name] for name in asked)


@pytest.mark.parametrize("lesson", LESSONS)
def test_what_explains_an_answer_is_folded_away_until_then(lesson):
    for cell in cells(lesson, "code"):
        if re.search(r"(?m)^check\(", cell.source):
            assert "hide-input" in cell.metadata.tags, cell.source
            assert cell.metadata.jupyter.source_hidden, cell.source


@pytest.mark.parametrize("lesson", LESSONS)
def test_three_exercises_have_their_solutions_folded(lesson):
    exercises = prose(lesson).split("## Exercises\n")[1]
    assert re.findall(r"(?m)^### (\d)\. ", exercises) == ["1", "2", "3"]
    for exercise in re.split(r"(?m)^### \d\. ", exercises)[1:]:
        solution = re.search(
            r"(?s)<details>\n<summary>Solution.*?</summary>\n\n(.+?)</details>", exercise
        )
        assert solution, exercise[:40]
        assert len(solution[1]) > 100
    folded = [
        cell for cell in cells(lesson, "code") if "hide-cell" in cell.metadata.get("tags", [])
    ]
    assert len(folded) == 3
    assert all(cell.metadata.jupyter.outputs_hidden for cell in folded)


@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.parametrize("commands", sessions())
def test_the_commands_for_a_machine_of_ones_own_work(commands, tmp_path):
    if shutil.which("redis-server") is None or shutil.which("redis-benchmark") is None:
        pytest.skip("redis-server and its tools are not installed (apt install redis-server)")
    if re.search(r"(?m)^nutcracker ", commands) and shutil.which("nutcracker") is None:
        pytest.skip("nutcracker is not installed (apt install nutcracker)")
    ports = {name: str(free_port()) for name in sorted(set(re.findall(PORTS, commands)))}
    commands = re.sub(PORTS, lambda found: ports[found[0]], commands)
    commands = re.sub(r"-n (\d+)0\b", r"-n \1", commands)  # a tenth of the requests will do
    try:
        done = subprocess.run(
            ["bash", "-e", "-c", PATIENCE + commands],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    finally:
        left = [port for port in ports.values() if answers(port)]
        end_daemons(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Could not connect" not in done.stdout + done.stderr
    assert done.stdout.strip()
    assert not left, "a server was left"


def answers(port):
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def daemons_in(folder):
    """Return the processes whose working directory is in a folder: daemons belong to no group."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


def end_daemons(folder):
    """End what a session that broke off has left: it may wait for a directory that is gone."""
    for process in daemons_in(folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(5)


def test_a_session_that_breaks_off_leaves_nothing(tmp_path):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt install redis-server)")
    start = f"redis-server --port {free_port()} --daemonize yes --dir {tmp_path}"
    subprocess.run(["bash", "-e", "-c", f"{start}; false"], cwd=tmp_path, check=False)
    assert daemons_in(tmp_path)
    end_daemons(tmp_path)
    assert not daemons_in(tmp_path)


def configuration_files():
    """Return the configuration files that lessons write, as parameters of a test."""
    return [
        pytest.param(text, id=name)
        for lesson in lessons(ROOT)
        for name, text in re.findall(r"(?ms)^cat > (\S+) <<'CONF'\n(.*?)^CONF$", prose(lesson))
    ]


@pytest.mark.parametrize("text", configuration_files())
def test_our_command_takes_the_configuration_file_of_a_lesson(text, tmp_path):
    for folder in re.findall(r"(?m)^dir (\S+)$", text):
        (tmp_path / folder).mkdir(parents=True)
    path = tmp_path / "redis.conf"
    path.write_text(re.sub(r"(?m)^port \d+$", "port 0", text), encoding="utf-8")
    program = "sentinel" if re.search(r"(?m)^sentinel ", text) else "server"
    command = [sys.executable, "-m", "redislab", program, str(path), "--maxmemory", "lots"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    # Every line of the file was taken: the only mistake is the one that was added to it.
    assert done.returncode == 1
    assert ">>> 'maxmemory \"lots\"'" in done.stdout + done.stderr


def proxies_files():
    """Return the configuration files of proxies that lessons show, as parameters of a test."""
    return [
        pytest.param(text, id=f"{lesson.name}-{number}")
        for lesson in lessons(ROOT)
        for number, text in enumerate(
            re.findall(r"(?ms)^(alpha:\n.*?)^(?:YAML$|```)", prose(lesson))
        )
    ]


@pytest.mark.parametrize("text", proxies_files())
def test_both_proxies_take_the_configuration_file_of_a_lesson(text, tmp_path):
    (tmp_path / "nutcracker.yml").write_text(text, encoding="utf-8")
    ours = [sys.executable, "-m", "redislab", "proxy"]
    programs = [ours, ["nutcracker"]] if shutil.which("nutcracker") else [ours]
    for program in programs:
        command = [*program, "-t", "-c", "nutcracker.yml"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "syntax is ok" in done.stderr
