"""What every lesson must have, read from its notebook, and that the commands it gives work."""

import re
import shutil
import socket
import subprocess
import sys

import nbformat
import pytest

from book.tools.lessons import lessons
from tests.book.conftest import ROOT

LESSONS = [pytest.param(lesson, id=lesson.name) for lesson in lessons(ROOT)]
SECTIONS = ("## Check yourself", "## One step on: real Redis", "## Summary", "## Exercises")
PORT = "6390"  # the one that lessons use for a server of the reader's own


def cells(lesson, kind):
    notebook = nbformat.read(lesson.path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def prose(lesson):
    return "\n".join(cell.source for cell in cells(lesson, "markdown"))


def shell_blocks(lesson):
    """Return the blocks of shell commands that start a server and stop it again."""
    blocks = re.findall(r"(?ms)^```bash\n(.*?)^```", prose(lesson))
    return [block for block in blocks if "redis-server" in block and "SHUTDOWN" in block]


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
@pytest.mark.parametrize("lesson", LESSONS)
def test_the_commands_for_a_machine_of_ones_own_work(lesson, tmp_path):
    if shutil.which("redis-server") is None or shutil.which("redis-benchmark") is None:
        pytest.skip("redis-server and its tools are not installed (apt install redis-server)")
    blocks = shell_blocks(lesson)
    assert blocks
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    patience = "until redis-cli -p {} PING >/dev/null 2>&1; do sleep 0.1; done"
    for block in blocks:
        assert "\nsleep 1 " in block  # enough for a person; a busy machine may need more
        commands = block.replace("sleep 1 ", patience.format(PORT)).replace(PORT, port)
        done = subprocess.run(
            ["bash", "-e", "-c", commands.replace("-n 100000", "-n 10000")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Could not connect" not in done.stdout + done.stderr
        assert "_clients:" in done.stdout or "used_memory:" in done.stdout
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0, "a server was left"


def configuration_files():
    """Return the configuration files that lessons write, as parameters of a test."""
    return [
        pytest.param(text, id=name)
        for lesson in lessons(ROOT)
        for name, text in re.findall(r"(?ms)^cat > (\S+) <<'CONF'\n(.*?)^CONF$", prose(lesson))
    ]


@pytest.mark.parametrize("text", configuration_files())
def test_our_command_takes_the_configuration_file_of_a_lesson(text, tmp_path):
    path = tmp_path / "redis.conf"
    path.write_text(text.replace(f"port {PORT}", "port 0"), encoding="utf-8")
    command = [sys.executable, "-m", "redislab", "server", str(path), "--maxmemory", "lots"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    # Every line of the file was taken: the only mistake is the one that was added to it.
    assert done.returncode == 1
    assert ">>> 'maxmemory \"lots\"'" in done.stdout + done.stderr
