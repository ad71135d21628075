"""The documentation as a whole: complete, validated, its cells run when it is built."""

import ast
import importlib
import inspect
import os
import re
import runpy
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from listed import DOCS, REFERENCE, ROOT, entries

import tensorgrad

# tests/test_public_names.py looks at tensorgrad itself, and at tensorgrad.linalg.
PUBLIC = [
    "tensorgrad.data",
    "tensorgrad.explanation",
    "tensorgrad.nn",
    "tensorgrad.nn.functional",
    "tensorgrad.optim",
    "tensorgrad.plot",
    *(["tensorgrad.sklearn"] if find_spec("sklearn") else []),
    "tensorgrad.testing",
    "tensorgrad.testing.strategies",
]
MADE_LATER = (
    "tensorgrad/ops",
    "tensorgrad/nn",
    "tensorgrad/testing/strategies",
)
"""What is not in the source as it is called: sections are added to the docstrings of
operations and functions, layers inherit constructors, and Hypothesis takes the first
parameter away."""

TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skip a test where a tool of the extra "docs" is missing, and name it."""
    missing = [m for m in modules if find_spec(m) is None]
    reason = f"needs {', '.join(missing)}: pip install -e '.[docs]'"
    return pytest.mark.skipif(bool(missing), reason=reason)


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of this Python in the repository."""
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        cwd=ROOT,
        text=True,
        **options,
    )


# The reference is complete.


def resolved(name: str) -> Any:
    """Return the object of a name such as ``tensorgrad.nn.Dense``."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


@pytest.fixture(scope="module")
def listed() -> list[Any]:
    """The objects that the reference lists."""
    return [resolved(name) for name in REFERENCE]


def public(module: str) -> dict[str, Any]:
    """Return the functions and classes that a module makes public."""
    names = importlib.import_module(module).__all__
    found = {name: getattr(importlib.import_module(module), name) for name in names}
    return {n: v for n, v in found.items() if not isinstance(v, ModuleType)}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module, listed):
    missing = [
        name
        for name, value in public(module).items()
        if not any(value is entry for entry in listed)
    ]
    assert not missing


def test_what_is_named_exists():
    """Messages and pages name functions as they are called: tg.stack."""
    texts = [
        *(ROOT / "tensorgrad").rglob("*.py"),
        *DOCS.rglob("*.md"),
        *(DOCS / "gallery").glob("*.py"),
    ]
    found = {
        name
        for path in texts
        for name in re.findall(r"\btg((?:\.[A-Za-z_]\w*)+)", path.read_text("utf-8"))
    }
    assert len(found) > 40
    missing = []
    for name in found:
        value: Any = importlib.import_module("tensorgrad")
        for part in name[1:].split("."):
            value = getattr(value, part, missing)
        missing += [name] * (value is missing)
    assert not missing


def test_nothing_is_listed_twice():
    assert sorted(REFERENCE) == sorted(set(REFERENCE))


def test_a_name_that_is_not_listed_would_be_seen():
    text = ".. currentmodule:: tensorgrad.nn\n\n.. autosummary::\n\n   Dense\n   ReLU\n"
    assert list(entries(text)) == ["tensorgrad.nn.Dense", "tensorgrad.nn.ReLU"]


# Docstrings, by numpydoc.


def methods(name: str) -> list[str]:
    """Return an entry of the reference and, for a class, its public methods."""
    value = resolved(name)
    if not inspect.isclass(value) or issubclass(value, BaseException):
        return [name]
    own = [n for n, v in inspect.getmembers(value) if callable(v) and n[0] != "_"]
    # Estimators have methods of scikit-learn's.
    own = [n for n in own if not is_scikit_learns(getattr(value, n))]
    return [name, *(f"{name}.{n}" for n in own if not isinstance(value, ModuleType))]


def is_scikit_learns(method: Any) -> bool:
    """Whether a method was defined by scikit-learn."""
    return getattr(method, "__module__", "").startswith("sklearn.")


def complaints(name: str) -> list[str]:
    """Return what numpydoc finds wrong with a docstring, as pyproject.toml has it."""
    from numpydoc import validate

    config = TOOLS["numpydoc_validation"]
    checks = validate.get_validation_checks(set(config["checks"]))
    # As in docs/conf.py: the rest make up for what cannot be seen in the source.
    if re.search("|".join(config["exclude"][:2]), name):
        return []
    try:
        errors = validate.validate(name)["errors"]
    except OSError:  # Made by a decorator: what its source returns is out of reach.
        return []
    return [f"{name}: {code} {text}" for code, text in errors if code in checks]


@needs("numpydoc")
@pytest.mark.parametrize("name", REFERENCE)
def test_docstrings_are_valid(name):
    assert [c for n in methods(name) for c in complaints(n)] == []


@needs("numpydoc")
def test_an_undocumented_parameter_would_be_seen():
    # What ops/support/docstrings.py does for an operation, undone.
    doc = tensorgrad.exp.__doc__
    tensorgrad.exp.__doc__ = "Exponential."
    try:
        assert any("PR01" in c for c in complaints("tensorgrad.exp"))
    finally:
        tensorgrad.exp.__doc__ = doc


def lint(*files: Path | str) -> subprocess.CompletedProcess[str]:
    """Run ``numpydoc lint`` with the configuration of the repository."""
    return run("-m", "numpydoc", "lint", *files)


@needs("numpydoc")
def test_numpydoc_lint_is_clean():
    files = [p.relative_to(ROOT) for p in (ROOT / "tensorgrad").rglob("*.py")]
    found = lint(*files)
    assert (found.returncode, found.stderr) == (0, "")


def source_files(name: str) -> list[str]:
    """Return where something public is defined; it shows where it is public."""
    value = resolved(name)
    if isinstance(value, tensorgrad.Primitive):
        value = value.forward
    if not isinstance(value, type):
        if not inspect.isfunction(value):
            return []
        home = value.__module__
        if hasattr(sys.modules[home], "__path__"):
            home = inspect.unwrap(value).__globals__["__name__"]
        return [f"{home.replace('.', '/')}.py"]
    home = ROOT / value.__module__.replace(".", "/")
    files = [*home.parent.glob(f"{home.name}.py"), *home.rglob("*.py")]
    definition = re.compile(rf"^class {value.__name__}\b", re.MULTILINE)
    found = [f for f in files if definition.search(f.read_text("utf-8"))]
    return [f.relative_to(ROOT).as_posix() for f in found]


@needs("numpydoc")
def test_numpydoc_lint_reads_the_files_of_what_is_public():
    outside = re.compile("|".join(TOOLS["numpydoc_validation"]["exclude_files"]))
    for name in REFERENCE:
        for file in source_files(name):
            if not file.startswith(MADE_LATER):
                assert not outside.match(file), f"{name} is in {file}"


# Pages with cells are run when they are built.

PLANTED = """
import runpy

conf = runpy.run_path({conf!r})
extensions = ["myst_nb"]
globals().update((name, conf[name]) for name in conf if name.startswith("nb_"))
"""
PAGE = """---
file_format: mystnb
kernelspec:
  name: python3
---

# Page

```{code-cell}
print(6 * 7 / divisor)
```
"""


@needs("myst_nb")
@pytest.mark.parametrize("divisor", ["1", "0"])
def test_a_failing_cell_fails_the_build(tmp_path, divisor):
    source, made = tmp_path / "source", tmp_path / "html"
    source.mkdir()
    conf = PLANTED.format(conf=str(DOCS / "conf.py"))
    (source / "conf.py").write_text(conf, "utf-8")
    page = PAGE.replace("divisor", divisor)
    (source / "index.md").write_text(page, "utf-8")
    quiet = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "IPYTHONDIR": str(tmp_path)}
    done = run("-m", "sphinx", "-q", source, made, env={**os.environ, **quiet})
    if divisor == "0":
        assert done.returncode
        assert re.search(r"ExecutionError: .*index\.md", done.stderr)
    else:
        assert done.returncode == 0, done.stderr
        assert "42.0" in (made / "index.html").read_text("utf-8")


# Pictures.


def test_pictures_of_the_design_are_there():
    for name in ("layers.svg", "backward.svg"):
        assert (DOCS / "_static" / name).read_text("utf-8").lstrip().startswith("<?xml")


def test_the_pass_back_is_drawn_with_the_numbers_of_a_run():
    drawing = runpy.run_path(str(DOCS / "pictures_design.py"))
    found = drawing["run_back"](drawing["neuron"]())
    assert found["w"].tolist() == [12.0, -24.0, 36.0]
    assert found["b"].tolist() == 12.0


# The repository, by the review of the Scientific Python developers, and its spelling.


@needs("repo_review", "sp_repo_review")
def test_repository_review_passes():
    done = run("-m", "repo_review", "--format", "json", ".")
    assert done.returncode == 0, done.stdout


def test_what_the_review_ignores_is_given_a_reason():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for code in TOOLS["repo-review"]["ignore"]:
        assert re.search(rf'^  "{code}", # \w', text, re.MULTILINE)


@needs("codespell_lib")
def test_spelling():
    done = run("-m", "codespell_lib")
    assert done.returncode == 0, done.stdout


@needs("rumdl")
def test_markdown_is_tidy():
    pages = [*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), "docs"]
    program = Path(sys.executable).with_name("rumdl")
    done = subprocess.run(
        [program, "check", "--no-cache", *pages],
        capture_output=True,
        cwd=ROOT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_scripts_of_the_pages_say_how_they_are_run():
    for script in sorted(DOCS.glob("*.py")):
        doc = ast.get_docstring(ast.parse(script.read_text("utf-8"))) or ""
        assert script.name == "conf.py" or script.name in doc
