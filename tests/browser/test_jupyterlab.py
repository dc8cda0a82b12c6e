"""The lessons in JupyterLab, as a reader runs them: its real front end, a kernel, a browser.

`jupyter lab` runs on a copy of the notebooks, with a token, on the loopback interface, and with
folders of its own for everything that it remembers. Every process that comes out of it carries a
mark in its environment, by which the last test finds what is left.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from redislab.worlds.ports import free_port
from tests.book.conftest import FLAGS

ROOT = Path(__file__).parents[2]
LESSON_1 = "01-measure/first-server.ipynb"
LESSON_2 = "01-measure/benchmark.ipynb"
LESSON_3 = "02-replication/read-write-split.ipynb"
CONTROLS = "controls.ipynb"
MARK = "REDISLAB_TEST_MARK"
QUIET = {"fetchNews": "false", "checkForUpdates": False}  # no question that covers the page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("jupyterlab"),
]


class JupyterLab:
    """A running `jupyter lab`: where it is, and what has come out of it."""

    def __init__(self, folder):
        self.folder = folder
        self.mark = secrets.token_hex(8)
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))
        (folder / "home").mkdir()
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=self.env())

    def command(self):
        return [
            str(Path(sys.executable).parent / "jupyter"),
            "lab",
            "--no-browser",
            "--allow-root",
            f"--ServerApp.root_dir={self.folder / 'notebooks'}",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.expose_app_in_browser=True",
        ]

    def env(self):
        places = {
            "HOME": "home",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        ours = {name: str(self.folder / place) for name, place in places.items()}
        return {**os.environ, **ours, MARK: self.mark, "TMPDIR": str(self.folder)}

    def wait_until_it_listens(self):
        ends = time.monotonic() + 60
        while time.monotonic() < ends and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        pytest.fail((self.folder / "log").read_text())

    def processes(self, *words):
        """Return what has come out of it and still runs, with all of these words in its command."""
        found = []
        for process in psutil.process_iter():
            try:
                command = " ".join(process.cmdline())
                if process.environ().get(MARK) == self.mark and all(w in command for w in words):
                    found.append(command)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def stop(self):
        """End it as a closed terminal does, and wait; return what is left of it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        ends = time.monotonic() + 10
        while self.processes() and time.monotonic() < ends:
            time.sleep(0.1)
        return self.processes()


class Workbench:
    """A reader in front of JupyterLab."""

    def __init__(self, browser, lab):
        self.browser = browser
        self.lab = lab

    def run(self, script, *arguments):
        """Run a script in the page; `book` is the notebook's widget, `cells` are its cells."""
        return self.browser.execute_script(
            "const book = window.jupyterapp?.shell.currentWidget; "
            f"const cells = book?.content?.widgets ?? []; {script}",
            *arguments,
        )

    def wait(self, script, *arguments, seconds=60):
        """Wait until a script in the page returns something true; return that."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            found = self.run(script, *arguments)
            if found:
                return found
            time.sleep(0.05)
        self.browser.save_screenshot(str(self.lab.folder / "late.png"))
        raise TimeoutError(script)

    def command(self, name, seconds=120):
        """Run one of JupyterLab's commands and wait for its end."""
        self.run(
            "window.done = null; window.jupyterapp.commands.execute(arguments[0])"
            ".then(() => { window.done = 'yes'; }, (e) => { window.done = String(e); })",
            name,
        )
        assert self.wait("return window.done", seconds=seconds) == "yes"

    def open(self, path, least=10):
        """Save what is open, open a notebook of so many cells and wait for its kernel."""
        if self.run("return book?.context?.model.dirty"):
            self.command("docmanager:save")
        self.browser.get(f"{self.lab.origin}/lab/tree/{path}?token={self.lab.token}")
        self.wait(
            "return cells.length > arguments[1] && book.context.path === arguments[0]"
            " && book.sessionContext.session?.kernel?.status === 'idle'",
            path,
            least,
        )

    def choose(self, text):
        """Make the code cell that holds this text the active one, in view; return its number."""
        at = self.run(
            "return cells.findIndex((cell) => cell.model.type === 'code'"
            " && cell.model.sharedModel.source.includes(arguments[0]))",
            text,
        )
        assert at >= 0, text
        self.run("book.content.activeCellIndex = arguments[0]", at)
        self.run("book.content.scrollToItem(arguments[0], 'start')", at)
        self.wait("return cells[arguments[0]].node.isConnected", at)
        return at

    def within(self, at, selector, which=0):
        """Wait for an element in a cell's output and return it, in the middle of the window."""
        script = "return cells[arguments[0]].node.querySelectorAll(arguments[1])[arguments[2]]"
        found = self.wait(script, at, selector, which)
        self.run("arguments[0].scrollIntoView({block: 'center'})", found)
        return found

    def button(self, at, name):
        """Return the button of a cell's output that bears this name."""
        script = (
            "return [...cells[arguments[0]].node.querySelectorAll('button')]"
            ".find((one) => one.textContent.trim() === arguments[1])"
        )
        found = self.wait(script, at, name)
        self.run("arguments[0].scrollIntoView({block: 'center'})", found)
        return found

    def text(self, at, selector):
        """Return what an element of a cell's output says, in letters or as a label."""
        return self.run(
            "const one = cells[arguments[0]].node.querySelector(arguments[1]);"
            "return one ? one.textContent + ' ' + (one.getAttribute('aria-label') ?? '') : ''",
            at,
            selector,
        )

    def says(self, at, selector, words, seconds=30):
        """Wait until an element of a cell's output says these words."""
        self.wait(
            "const one = cells[arguments[0]].node.querySelector(arguments[1]);"
            "return one && (one.textContent + ' ' + (one.getAttribute('aria-label') ?? ''))"
            ".includes(arguments[2])",
            at,
            selector,
            words,
            seconds=seconds,
        )

    def outputs(self):
        """Return [number, type, text] of every output."""
        return self.run(
            "return cells.flatMap((cell, at) => cell.model.type !== 'code' ? [] :"
            " [...Array(cell.model.outputs.length).keys()].map((i) =>"
            " cell.model.outputs.get(i)).map((one) => [at, one.type,"
            " String(one.data['text/plain'] ?? one.data['application/vnd.jupyter.error'] ?? '')]))"
        )

    def python(self, expression):
        """Evaluate an expression in the notebook's kernel; return its repr."""
        return self.browser.execute_async_script(
            """
            const [expression, done] = arguments;
            const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
            kernel.requestExecute({ code: "", silent: true, user_expressions: { it: expression } })
              .done.then(({ content }) => done(content.user_expressions.it.data["text/plain"]));
            """,
            expression,
        )

    def complaints(self):
        """Return what went wrong on the console, and requests that left this machine."""
        found = [
            entry["message"]
            for entry in self.browser.get_log("browser")
            if entry["level"] == "SEVERE"
        ]
        names = self.run("return performance.getEntriesByType('resource').map((one) => one.name)")
        ours = (self.lab.origin, "data:", "blob:")
        return found + [f"asked for {name}" for name in names if not name.startswith(ours)]


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    """Run JupyterLab on a copy of the notebooks, quick ones."""
    folder = tmp_path_factory.mktemp("jupyterlab")
    shutil.copytree(
        ROOT / "notebooks",
        folder / "notebooks",
        ignore=shutil.ignore_patterns(".ipynb_checkpoints"),
    )
    set_parameters(folder / "notebooks" / LESSON_1, 'world = "live"', 'world = "sim"')
    set_parameters(folder / "notebooks" / LESSON_3, 'world = "live"', 'world = "sim"')
    set_parameters(folder / "notebooks" / LESSON_2, "requests = 100_000", "requests = 1_000")
    set_parameters(folder / "notebooks" / LESSON_2, "seconds = 1.5", "seconds = 0.5")
    cells = [
        "import redislab\nlab = redislab.SentinelLab(seed=7, down_after_ms=1000)",
        "view = lab.view()\nview",
        "for _ in range(20):\n    lab.run_for(0.05)",
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(book, folder / "notebooks" / CONTROLS)
    lab = JupyterLab(folder)
    try:
        lab.wait_until_it_listens()
        yield lab
    finally:
        if lab.process.poll() is None:
            lab.stop()


def set_parameters(path, old, new):
    """Change a line of a notebook's parameters, as a reader would."""
    notebook = nbformat.read(path, as_version=4)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    assert old in cell.source
    cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Start Chromium once."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("chromium and chromedriver are not installed (apt install chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.add_argument("--window-size=1280,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chromium = webdriver.Chrome(options=options, service=Service(driver, port=free_port()))
    chromium.set_page_load_timeout(60)
    chromium.set_script_timeout(30)
    yield chromium
    chromium.quit()


@pytest.fixture
def workbench(browser, jupyterlab):
    """Return a reader, who finds nothing to complain of at the end."""
    reader = Workbench(browser, jupyterlab)
    yield reader
    assert reader.complaints() == []


def test_lesson_1_runs_and_its_widgets_answer(workbench):
    workbench.open(LESSON_1)
    # Commit to a prediction first, and then run everything: Python knows the answer by then.
    workbench.choose("bytes_guess = predict")
    workbench.command("notebook:run-all-above")
    workbench.command("notebook:run-cell")
    asked = workbench.choose("bytes_guess = predict")
    workbench.within(asked, "input[type=number]").send_keys("33")
    workbench.within(asked, ".rl-commit").click()
    workbench.says(asked, ".redislab-view", "locked")
    workbench.choose("talk = WireView")
    workbench.command("notebook:run-all-below")

    outputs = workbench.outputs()
    assert [one for one in outputs if one[1] == "error"] == []
    never = "(cell) => cell.model.type === 'code' && !cell.model.executionCount"
    assert workbench.run(f"return cells.filter({never}).length") == 0
    assert any(text.startswith("You said 33 bytes: right.") for _, _, text in outputs)

    # The conversation: what is typed goes to the server, and its bytes come back.
    talk = workbench.choose("talk = WireView")
    workbench.within(talk, ".rl-form input").send_keys("ECHO hello\n")
    workbench.says(talk, ".rl-talk", "ECHO hello")
    workbench.says(talk, ".rl-message:last-of-type", "server → client")
    assert workbench.python("talk.recording.frames[-1].state['segments'][1]['text']") == "'5'"
    # By keyboard: to the beginning, and a step on.
    slider = workbench.within(talk, ".rl-slider")
    slider.send_keys("\ue011")
    workbench.says(talk, ".rl-clock", "step 1 of")
    slider.send_keys("\ue014")
    workbench.says(talk, ".rl-clock", "step 2 of")

    # A choice by keyboard: the arrow goes to the next one and not to the next cell, Enter commits.
    choice = workbench.choose("memory_guess = predict")
    workbench.run("arguments[0].focus()", workbench.within(choice, "input[type=radio]"))
    workbench.browser.switch_to.active_element.send_keys(" \ue015")
    assert workbench.run("return document.activeElement.value") == "1.1 to 1.5 bytes"
    workbench.browser.switch_to.active_element.send_keys("\ue007")
    workbench.says(choice, ".redislab-view", "locked")
    assert workbench.python("memory_guess.guess") == "'1.1 to 1.5 bytes'"
    assert workbench.run("return book.content.activeCellIndex") == choice

    # A chart is drawn by JupyterLab's own plotly.
    chart = workbench.choose("figures.house_figure")
    workbench.within(chart, ".main-svg")

    # The node: its buttons do what they say.
    view = workbench.choose("view = lab.view()")
    before = workbench.python("view.recording.frames[-1].state['keys']")
    workbench.button(view, "write 1,000 keys").click()
    workbench.says(view, ".rl-stage > svg", f"{int(before) + 1000:,} keys")
    workbench.button(view, "kill -9").click()
    workbench.says(view, ".rl-stage > svg", "is down")
    workbench.button(view, "write 1,000 keys").click()
    workbench.says(view, ".widget-html-content", "ConnectionError")
    workbench.button(view, "restart").click()
    workbench.says(view, ".rl-stage > svg", "is up: ")


def test_a_cell_that_is_run_again_takes_the_place_of_its_lab_and_of_its_view(workbench):
    workbench.open(LESSON_1)
    workbench.choose("world = ")
    workbench.command("notebook:run-cell")
    workbench.choose("lab = SingleLab(world=world")
    workbench.command("notebook:run-cell")
    workbench.python("globals().update(first=lab)")
    workbench.command("notebook:run-cell")
    assert workbench.python("(first.closed, lab.closed, first is lab)") == "(True, False, False)"
    # A view follows the cells that come after it, until its own is run again.
    workbench.choose("bytes_guess = predict")
    workbench.command("notebook:run-cell")
    following = "len(get_ipython().events.callbacks['post_run_cell'])"
    before = workbench.python(following)
    workbench.command("notebook:run-cell")
    workbench.command("notebook:run-cell")
    assert workbench.python(following) == before


def test_the_dashboard_of_lesson_2_starts_and_stops_and_an_interrupt_leaves_nothing(
    workbench, jupyterlab
):
    workbench.open(LESSON_2)
    # `dashboard.wait` belongs to the recording; here the buttons do it all.
    board = workbench.choose("dashboard = BenchmarkDashboard.of")
    source = "from redislab.views import BenchmarkDashboard\n"
    source += "dashboard = BenchmarkDashboard.of(lab, seconds=30)\ndashboard"
    workbench.run("cells[arguments[0]].model.sharedModel.source = arguments[1]", board, source)
    for text in ("world = ", "lab = SingleLab(world=world", "def measure(lab"):
        workbench.choose(text)
        workbench.command("notebook:run-cell")
    board = workbench.choose("dashboard = BenchmarkDashboard.of")
    workbench.command("notebook:run-cell")
    workbench.says(board, ".rl-stage", "No run yet.")
    assert len(jupyterlab.processes("redislab server")) == 1

    workbench.button(board, "Start").click()
    workbench.says(board, ".rl-stage table", "SET, 50 clients")
    assert len(jupyterlab.processes("redislab.benchmark.worker")) >= 1
    workbench.button(board, "Start").click()
    workbench.says(board, ".jp-OutputArea-output", "stop it first")
    workbench.button(board, "Stop").click()
    ends = time.monotonic() + 10
    while jupyterlab.processes("redislab.benchmark.worker") and time.monotonic() < ends:
        time.sleep(0.1)
    assert jupyterlab.processes("redislab.benchmark.worker") == []
    frames = "len(dashboard.recording.frames)"
    assert int(workbench.python(frames)) < 30 * 4

    # A cell that measures for a minute is interrupted: its generator goes with it.
    at = workbench.choose("lengths = [1, 2, 4")
    workbench.run(
        "cells[arguments[0]].model.sharedModel.source = 'measure(lab, duration_s=60.0)'", at
    )
    workbench.run("window.jupyterapp.commands.execute('notebook:run-cell').catch(() => null)")
    ends = time.monotonic() + 20
    while not jupyterlab.processes("redislab.benchmark.worker") and time.monotonic() < ends:
        time.sleep(0.1)
    assert jupyterlab.processes("redislab.benchmark.worker")
    workbench.command("notebook:interrupt-kernel")
    workbench.wait("return book.sessionContext.session.kernel.status === 'idle'")
    assert jupyterlab.processes("redislab.benchmark.worker") == []
    assert [one for one in workbench.outputs() if one[1] == "error" and one[0] == at]
    assert workbench.python("lab.client().ping()") == "True"

    # A live view watches its node from a thread: one, however often its cell is run.
    workbench.run("cells[arguments[0]].model.sharedModel.source = 'view = lab.view()\\nview'", at)
    for _ in range(3):
        workbench.command("notebook:run-cell")
    names = "[one.name for one in __import__('threading').enumerate()]"
    ends = time.monotonic() + 5
    while time.monotonic() < ends and workbench.python(names).count("redislab-view") > 1:
        time.sleep(0.1)
    assert workbench.python(names).count("redislab-view") == 1


def test_the_replicas_of_lesson_3_do_what_buttons_say_and_the_meter_what_its_slider_says(workbench):
    workbench.open(LESSON_3)
    view = workbench.choose("view = lab.view()")
    workbench.command("notebook:run-all-above")
    workbench.command("notebook:run-cell")
    drawing = ".rl-stage > svg"
    workbench.says(view, drawing, "redis-6381: replica, follows redis-6379, link up, in step")

    # What is pressed in the drawing is what the buttons are for.
    link = "cells[arguments[0]].node.querySelectorAll('.rl-pick')[1]"
    workbench.run(f"{link}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))", view)
    workbench.wait(
        "return [...cells[arguments[0]].node.querySelectorAll('select')]"
        ".some((one) => one.selectedOptions[0]?.text.endsWith('redis-6381'))",
        view,
    )
    workbench.button(view, "cut").click()
    workbench.says(view, drawing, "link cut, not noticed yet")
    workbench.button(view, "write 1,000 keys").click()
    workbench.says(view, drawing, "not noticed yet, 140,0")
    workbench.button(view, "heal all").click()
    workbench.button(view, "run 10 s").click()
    workbench.says(view, drawing, "redis-6381: replica, follows redis-6379, link up, in step")
    for button, words in {
        "pause": "redis-6379: paused",
        "resume": "redis-6379: master",
        "kill -9": "redis-6379: killed",
        "restart": "redis-6379: master",
    }.items():
        workbench.button(view, button).click()
        workbench.says(view, drawing, words)

    # The meter: one step of its slider by keyboard, and what is measured follows the law.
    for text in ("view.close()", "meter = StaleReadMeter", "for lag in (0.0"):
        meter = workbench.choose(text)
        workbench.command("notebook:run-cell")
    workbench.says(meter, drawing, "is 200 ms late")
    workbench.within(meter, ".noUi-handle").send_keys("\ue014")
    workbench.button(meter, "Measure 1.2 s").click()
    workbench.says(meter, drawing, "is 100 ms late; each key is written 10 times a second")
    share = float(workbench.python("meter.runs[-1].reads.share"))
    assert 0.5 < share < 0.75


def test_time_runs_while_a_reader_looks_and_goes_back_to_where_it_is_forked(workbench, jupyterlab):
    workbench.open(CONTROLS, least=2)
    view = workbench.choose("view = lab.view()")
    workbench.command("notebook:run-all-above")
    workbench.command("notebook:run-cell")
    drawing = ".rl-stage > svg"
    workbench.says(view, drawing, "The Sentinels name redis-1")
    workbench.button(view, "start a client").click()

    # Time runs, also while cells run that let time pass themselves.
    workbench.button(view, "play time").click()
    workbench.button(view, "pause time")
    cell = workbench.choose("lab.run_for(0.05)")
    for _ in range(3):
        workbench.command("notebook:run-cell")
    assert [one for one in workbench.outputs() if one[1] == "error" and one[0] == cell] == []
    workbench.choose("view = lab.view()")
    workbench.button(view, "kill -9").click()
    workbench.says(view, drawing, "redis-1: killed")
    workbench.says(view, drawing, "epoch 1", seconds=60)
    workbench.button(view, "pause time").click()
    workbench.button(view, "play time")
    stands = workbench.python("lab.now")
    assert float(stands) > 6
    assert workbench.python("view._status.value") == "''"

    # Back to three seconds, by keyboard to the beginning of the recording, and on from there.
    workbench.within(view, ".rl-slider").send_keys("\ue011")
    workbench.says(view, ".rl-clock", "2.31 s /")
    workbench.button(view, "Fork from here").send_keys("\ue007")
    workbench.says(view, ".rl-said", "Forked at 2.31 s")
    workbench.says(view, drawing, "redis-1: master")
    workbench.button(view, "run 10 s").click()
    workbench.says(view, ".rl-clock", "/ 12.3")
    assert workbench.python("lab.now, view.lab.master.name") == f"({stands}, 'redis-1')"

    # Out as a file, and in again.
    folder = jupyterlab.folder / "downloads"
    workbench.browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    workbench.button(view, "Export scenario").click()
    path = folder / "scenario.json"
    ends = time.monotonic() + 20
    while not path.exists() and time.monotonic() < ends:
        time.sleep(0.05)
    exported = json.loads(path.read_text())
    assert (exported["seed"], exported["setup"]["down_after_ms"]) == (7, 1000)
    workbench.button(view, "run 1 s").click()
    field = workbench.run(
        "return cells[arguments[0]].node.querySelector('.rl-tools input[type=file]')", view
    )
    field.send_keys(str(path))
    workbench.says(view, ".rl-said", "Imported a scenario of 12.3")
    (folder / "bad.json").write_text('{"version": 2}')
    field.send_keys(str(folder / "bad.json"))
    workbench.says(view, ".rl-said", "Import scenario: this is version 2")
    workbench.says(view, ".rl-clock", "/ 12.3")


def test_nothing_is_left_when_jupyterlab_has_ended(jupyterlab):
    assert jupyterlab.processes("ipykernel_launcher")
    assert jupyterlab.stop() == []
    left = [path.name for path in jupyterlab.folder.iterdir() if path.name.startswith("redislab")]
    assert left == []
