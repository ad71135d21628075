"""What type checkers are told of the public names, and that it holds when they run."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tempfile
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typing_examples

import tensorgrad

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "tests" / "typing_examples.py"

PLANTED = """
import tensorgrad as tg
x = tg.Tensor(1.0) * 2
right: tg.Tensor = x.sum()
wrong: int = x.sum()
x.sum(axis="no")
tg.softmax(x, axs=1)
tg.sinn(x)
"""


@pytest.mark.slow
def test_a_checker_finds_the_types(tmp_path):
    pytest.importorskip("mypy")
    planted = tmp_path / "planted.py"
    planted.write_text(PLANTED, "utf-8")
    # Kept from run to run, without which it takes half a minute.
    cache = Path(tempfile.gettempdir()) / f"tensorgrad-mypy-{tensorgrad.__version__}"
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    command += ["--hide-error-context", "--cache-dir", str(cache)]
    child = subprocess.run(
        [*command, str(EXAMPLES), str(planted)],
        capture_output=True,
        cwd=ROOT,
        text=True,
    )
    errors = re.findall(r"(\S+):(\d+): error: .*\[(\S+)\]$", child.stdout, re.MULTILINE)
    wrong = {(Path(file).name, int(line), code) for file, line, code in errors}
    assert wrong == {
        ("planted.py", 5, "assignment"),
        ("planted.py", 6, "arg-type"),
        ("planted.py", 7, "call-overload"),
        ("planted.py", 8, "attr-defined"),
    }, child.stdout + child.stderr


def is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, as far as the types of the examples go."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return any(is_of(value, k) for k in args)
    if not isinstance(value, origin or kind):
        return False
    if origin is list:
        return all(is_of(v, args[0]) for v in value)
    if origin is tuple:
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return all(is_of(v, k) for v, k in zip(value, kinds, strict=True))
    return True


@pytest.mark.parametrize("example", typing_examples.EXAMPLES)
def test_the_types_hold_when_they_run(example, monkeypatch):
    def assert_type(value: Any, kind: Any) -> None:
        assert is_of(value, kind), f"{value!r} is no {kind}"

    monkeypatch.setattr(typing_examples, "assert_type", assert_type)
    example()


def test_another_type_would_be_seen():
    x = tensorgrad.Tensor([1.0])
    assert is_of([x], list[tensorgrad.Tensor])
    assert not is_of((x, 1), tuple[tensorgrad.Tensor, tensorgrad.Tensor])
    assert not is_of(x.numpy(), tensorgrad.Tensor)


# Where anything may come or be returned, a comment says why.

BARE = ("Callable[..., Any]", "Callable[[Any], Any]", "ndarray[Any, Any]", "dtype[Any]")
"""What is no more than the name of a class with its parameters written out."""

PUBLIC = [f"tensorgrad{m}" for m in ("", ".data", ".nn", ".optim", ".plot", ".testing")]


def signatures(module: str) -> Iterator[Any]:
    """Yield the functions that a checker reads the signatures of public names from."""
    names = importlib.import_module(module)
    for name in names.__all__:
        value = inspect.unwrap(getattr(names, name))
        members = vars(value).values() if isinstance(value, type) else [value]
        for member in members:
            member = member.fget if isinstance(member, property) else member
            if isinstance(member, types.FunctionType) and is_declared(member):
                yield from typing.get_overloads(member) or [member]


SPECIAL = {"__init__", "__call__", "__getitem__", "__setitem__"}


def is_declared(function: Any) -> bool:
    """Whether a function is public, and written in a file."""
    if "<locals>" in function.__qualname__:
        return False
    name, file = function.__name__, function.__code__.co_filename
    return (name in SPECIAL or not name.startswith("_")) and Path(file).is_file()


def unexplained(source: str) -> bool:
    """Whether Any stands in the signature of a function without a comment."""
    (function,) = ast.parse(source).body
    arguments = [n for n in ast.walk(function.args) if isinstance(n, ast.arg)]
    notes = [a.annotation for a in arguments if a.arg != "self"]
    text = " ".join(ast.unparse(n) for n in [*notes, function.returns] if n)
    for bare in BARE:
        text = text.replace(bare, "")
    head = source.splitlines()[: function.body[0].lineno - 1]
    return "Any" in re.findall(r"\w+", text) and not any("# " in line for line in head)


def source(function: Any) -> str:
    """Return the source of a function, with the comment above it."""
    text = textwrap.dedent(inspect.getsource(function))
    return (inspect.getcomments(function) or "") + text


@pytest.mark.parametrize("module", PUBLIC)
def test_no_public_signature_says_any_without_a_reason(module):
    if module == "tensorgrad.plot":
        pytest.importorskip("matplotlib")
    found = [
        f"{f.__module__}.{f.__qualname__}"
        for f in signatures(module)
        if unexplained(source(f))
    ]
    assert found == []


def test_any_would_be_seen():
    assert unexplained("def f(x: Any) -> int: ...")
    assert unexplained("def f(x: int) -> tuple[Any, int]:\n    ...")
    assert not unexplained("# Of any class.\ndef f(x: Any) -> int: ...")
    assert not unexplained("def f(x: Callable[..., Any]) -> int: ...")
