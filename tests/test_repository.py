"""The files around the package agree: version, addresses, releases of Python, NumPy."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

import tensorgrad

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOW = ".github/workflows/ci.yml"
VERSION = tensorgrad.__version__
CHANGES = (
    f"# Changes\n\n## [{VERSION}] - 2030-01-31\n\n- A.\n\n## [0.0.1] - 2029-01-31\n"
)


def match(pattern, file):
    """Return the first group of the first match in a file of the repository."""
    found = re.search(pattern, (ROOT / file).read_text("utf-8"), re.MULTILINE)
    assert found, f"{file} has no line like {pattern}"
    return found[1]


# The version stands in tensorgrad/__init__.py, where the build takes it from.


def test_version_is_that_of_the_changelog():
    assert match(r"^## \[(\d[^\]]*)\]", "CHANGELOG.md") == VERSION


def test_version_is_that_of_the_citation():
    assert match(r"^version: (\S+)$", "CITATION.cff") == VERSION


@pytest.fixture
def notes():
    return runpy.run_path(str(ROOT / ".ci" / "release.py"))["notes"]


def test_a_release_is_announced_by_its_section_of_the_changelog(notes):
    assert notes(f"v{VERSION}", CHANGES) == "- A."


@pytest.mark.parametrize(
    ("tag", "changes", "words"),
    [
        ("v9.9.9", CHANGES, f"expected v{VERSION}, as tensorgrad/__init__.py says"),
        (f"v{VERSION}", CHANGES.replace("2030-01-31", "Unreleased"), "the date of the"),
        (f"v{VERSION}", CHANGES.replace(VERSION, "9.9.9"), r"got '\[9.9.9\] - 2030"),
    ],
)
def test_what_does_not_agree_is_not_released(notes, tag, changes, words):
    with pytest.raises(SystemExit, match=words):
        notes(tag, changes)


# Tools, interpreters, addresses.


@pytest.mark.parametrize("tool", ["ruff", "mypy"])
def test_commit_hooks_use_the_release_that_is_checked_with(tool):
    extras = PROJECT["optional-dependencies"]["dev"]
    held = next(r.split("==")[1] for r in extras if r.startswith(f"{tool}=="))
    hook = match(rf"{tool}[\w-]*\n *rev: v(\S+)$", ".pre-commit-config.yaml")
    assert hook.startswith(held.removesuffix("*"))


def test_every_python_that_is_named_is_tested():
    tested = re.findall(r'"([\d.]+)"', match(r"^ +python: \[(.+)\]$", WORKFLOW))
    named = [c.split(" :: ")[-1] for c in PROJECT["classifiers"] if ":: 3." in c]
    assert named == tested
    assert PROJECT["requires-python"] == f">={tested[0]}"


def test_the_oldest_numpy_is_tested_on_the_oldest_python():
    python = PROJECT["requires-python"].removeprefix(">=")
    numpy = match(rf'"{python}", numpy: "([\d.]+)\.\*"', WORKFLOW)
    assert PROJECT["dependencies"] == [f"numpy>={numpy}"]


def test_the_address_is_the_same_everywhere():
    address = PROJECT["urls"]["Repository"]
    assert match(r'^repository-code: "(.+)"$', "CITATION.cff") == address
    assert PROJECT["urls"]["Issues"] == f"{address}/issues"
    assert PROJECT["urls"]["Changelog"].startswith(f"{address}/blob/main/")


# What tests share stands in modules of its own.


def imported(source):
    """Return the names of the modules that a source imports from."""
    return re.findall(r"^ *(?:from|import) (\w+)", source, re.MULTILINE)


def test_no_test_module_imports_another():
    for file in sorted((ROOT / "tests").glob("*.py")):
        names = imported(file.read_text("utf-8"))
        assert not [n for n in names if n.startswith("test_")], file.name


def test_an_import_of_a_test_module_would_be_seen():
    assert imported("import os\n    from test_docs import run\n") == ["os", "test_docs"]
