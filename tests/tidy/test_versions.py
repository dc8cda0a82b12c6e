"""One set of versions: pyproject.toml, environment.yml and constraints.txt say the same."""

import re
import tomllib

import yaml

from tests.tidy.tree import ROOT

BOOK_EXTRAS = ("fast", "scripts", "book")


def pins(requirements):
    """Return {name: version} of `name==version` lines; anything else is an error."""
    found = {}
    for line in requirements:
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)==([^;\s]+)(\s*;.*)?", line)
        assert match, f"not pinned: {line}"
        found[match[1].lower().replace("_", "-")] = match[2]
    return found


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def conda_dependencies():
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]


def conda_pip_lines():
    return next(entry["pip"] for entry in conda_dependencies() if isinstance(entry, dict))


def test_conda_and_binder_install_the_versions_of_the_project():
    extras = project()["optional-dependencies"]
    wanted = pins(project()["dependencies"])
    for extra in BOOK_EXTRAS:
        wanted |= pins(extras[extra])
    lines = [line for line in conda_pip_lines() if not line.startswith("--")]
    assert pins(lines) == wanted


def test_conda_and_binder_install_the_package_itself_under_the_constraints():
    assert conda_pip_lines()[-2:] == ["--constraint constraints.txt", "--editable ."]


def test_conda_brings_a_real_redis_of_the_version_that_the_book_follows():
    assert any(str(entry).startswith("redis-server=7.0.") for entry in conda_dependencies())


def test_conda_brings_a_python_that_the_project_allows():
    python = next(entry for entry in conda_dependencies() if str(entry).startswith("python="))
    lowest = project()["requires-python"].removeprefix(">=")
    assert python == f"python={lowest}"


def test_every_dependency_is_pinned_and_the_constraints_agree():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints = pins(line for line in lines if line and not line.startswith("#"))
    named = pins(project()["dependencies"])
    for extra in project()["optional-dependencies"].values():
        named |= pins(extra)
    assert {name: constraints.get(name) for name in named} == named


def test_the_build_tool_is_pinned():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert pins(tomllib.loads(text)["build-system"]["requires"])
