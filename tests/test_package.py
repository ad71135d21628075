"""The package as a whole: what it imports, what it exports, how it is laid out."""

import ast
import copy
import importlib
import json
import os
import pickle
import re
import runpy
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib import resources
from operator import attrgetter
from pathlib import Path
from types import FunctionType, ModuleType
from typing import get_overloads

import pytest

import tensorgrad
from tensorgrad.core.primitive import Primitive

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tensorgrad"

# What each part of the package imports of the others.
LAYERS: dict[str, set[str]] = {
    "core": {"facts"},
    "capture": {"core", "extras", "facts", "files"},
    "ops": {"core"},
    "transforms": {"core", "facts"},
    "testing": {"core", "extras", "ops"},
    "facts": set(),
    "random": set(),
    "loading": set(),
    "extras": set(),
    "linalg": {"core", "ops"},
    "nn": {"core", "ops", "random"},
    "optim": {"core"},
    "data": {"random"},
    "plot": {"core", "extras", "transforms"},
    "files": set(),
    "xla": {"capture", "core"},
    "bar": set(),
    "formats": {"core", "extras", "files", "nn"},
    "train": {"bar", "capture", "core", "extras", "files", "nn", "optim", "random"},
    "explanation": {"core", "facts", "nn"},
    "sklearn": {"bar", "capture", "core", "extras", "nn", "ops", "optim"},
}
# What each room of capture imports of its other files: rooms, or the modules beside
# them. `compiled` joins the rooms, and nothing in them imports it.
ROOMS: dict[str, set[str]] = {
    "recording": {"program"},
    "numpy": {"listing", "program"},
    "kernels": {"program", "repeats"},
    "gemm": {"kernels", "program"},
    "xla": {"numpy", "program", "recording"},
    "values": set(),
    "repeats": {"values"},
    "listing": {"repeats", "values"},
    "program": {"listing", "values"},
    "profile": {"listing", "program"},
}

ABOVE = {"__init__", "__main__", "cli"}
"""Parts that may import any other."""

LONGEST_BODY = 40

# Names that files of several parts have, with the meaning they share.
SHARED_NAMES = {
    "activations": "activation functions: the operations, and PyTorch's names for them",
    "attention": "attention: the operation, and PyTorch's names for it",
    "check": "the check of a gradient: the functions, and the command that calls them",
    "convolutions": "convolutions: the operations, and PyTorch's names for them",
    "errors": "the exceptions of a part",
    "pooling": "pooling: the operation, and PyTorch's names for it",
    "pictures": "pictures of runs: the functions, and the options that ask for them",
}


# What importing costs.


def run(code: str) -> str:
    """Return what a fresh interpreter prints."""
    child = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=ROOT,
        text=True,
    )
    return child.stdout


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Modules that ``import tensorgrad`` loads and ``import numpy`` does not."""
    code = (
        "import json, sys, numpy; before = set(sys.modules); import tensorgrad; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    return set(json.loads(run(code)))


def foreign(modules: set[str]) -> set[str]:
    """Return the top-level names that are neither ours, NumPy's nor Python's."""
    ours = {"numpy", "tensorgrad", *sys.stdlib_module_names}
    names = {m.partition(".")[0] for m in modules}
    # The runtime of NumPy's compiled modules enters itself under names of its own.
    compiled = {n for n in names if re.match(r"_cython_\d|cython_runtime$", n)}
    return names - ours - compiled


def test_import_loads_numpy_and_the_standard_library_alone(loaded):
    assert "tensorgrad.core.tensor" in loaded
    assert not foreign(loaded)


def test_a_foreign_module_would_be_seen():
    assert foreign({"tqdm.auto", "numpy.random", "json", "_cython_3_2_4"}) == {"tqdm"}


# Each takes long to load, and none has a part in computing a gradient.
HEAVY = """
    argparse asyncio concurrent csv ctypes difflib doctest email http logging
    multiprocessing numpy.f2py numpy.polynomial numpy.random numpy.testing optparse pdb
    pydoc shutil socket sqlite3 ssl subprocess tempfile tomllib typing_extensions
    unittest urllib xml zipfile
"""


def test_import_loads_nothing_heavy(loaded):
    assert not loaded.intersection(HEAVY.split())


@pytest.mark.slow
def test_import_time_is_reported():
    # How long it takes is printed, never judged: that depends on the machine.
    command = [sys.executable, "benchmarks/import_time.py", "--runs", "1"]
    child = subprocess.run(
        command, capture_output=True, check=True, cwd=ROOT, text=True
    )
    print(child.stdout)
    assert re.search(r"^beyond numpy: +[\d.]+ ms", child.stdout, re.MULTILINE)


# What is exported.


def test_all_is_sorted_and_complete():
    names = {name for name in vars(tensorgrad) if not name.startswith("_")}
    modules = {n for n in names if isinstance(getattr(tensorgrad, n), ModuleType)}
    assert list(tensorgrad.__all__) == sorted(tensorgrad.__all__)
    assert names - modules <= set(tensorgrad.__all__)
    assert all(hasattr(tensorgrad, name) for name in tensorgrad.__all__)


def test_dir_shows_the_public_names_alone():
    assert {"Tensor", "compile", "nn"} < set(dir(tensorgrad))
    assert not {"core", "ops", "typing"} & set(dir(tensorgrad))


PUBLIC = ["tensorgrad", *(f"tensorgrad.{n}" for n in ("nn", "optim", "testing"))]


@pytest.mark.parametrize("module", PUBLIC)
def test_public_classes_show_the_public_module(module):
    module = importlib.import_module(module)
    for name in module.__all__:
        kind = getattr(module, name)
        if isinstance(kind, type):
            assert kind.__module__ in PUBLIC
            assert getattr(sys.modules[kind.__module__], name) is kind


EXPORTED = [n for n in tensorgrad.__all__ if n != "plot"]


@pytest.mark.parametrize(
    "name", [*EXPORTED, *(f"linalg.{n}" for n in tensorgrad.linalg.__all__)]
)
def test_what_is_exported_is_pickled_by_name(name):
    exported = attrgetter(name)(tensorgrad)
    if isinstance(exported, type | FunctionType | Primitive):
        assert pickle.loads(pickle.dumps(exported)) is exported
        assert copy.deepcopy(exported) is exported


def test_operations_show_the_public_module():
    assert tensorgrad.sin.__module__ == tensorgrad.sum.__module__ == "tensorgrad"
    assert tensorgrad.linalg.inv.__module__ == "tensorgrad.linalg"
    assert tensorgrad.linalg.matmul.__module__ == "tensorgrad"
    # Its overloads are found under the module where they stand.
    assert get_overloads(tensorgrad.primitive)


def test_annotations_are_declared_to_type_checkers():
    assert resources.files("tensorgrad").joinpath("py.typed").is_file()


# The layers.


def module_names() -> dict[str, Path]:
    """Return the files of the package by dotted name within it."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = list(file.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] == "__init__" and len(parts) > 1:
            parts.pop()
        found[".".join(parts)] = file
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def import_statements(tree: ast.AST, *, for_types: bool) -> Iterator[ast.stmt]:
    """Yield imports wherever they stand, those for annotations only where asked."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif for_types or not is_type_checking(node):
            yield from import_statements(node, for_types=for_types)


def absolute(name: str, node: ast.ImportFrom, is_package: bool) -> str:
    """Return the full name that ``from ... import`` in a module starts from."""
    if not node.level:
        return node.module or ""
    home = ["tensorgrad", *([] if name == "__init__" else name.split("."))]
    up = node.level - (1 if is_package else 0)
    return ".".join([*home[: len(home) - up], *filter(None, [node.module])])


def imports(
    name: str, source: str, known: Mapping[str, object], *, for_types: bool = True
) -> set[str]:
    """Return which modules of the package the source of another one imports."""
    is_package = name == "__init__" or any(k.startswith(f"{name}.") for k in known)
    wanted = set()
    for node in import_statements(ast.parse(source), for_types=for_types):
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = absolute(name, node, is_package)
            # What is imported from a package may be one of its modules.
            names = [
                f"{base}.{n}"
                if f"{base}.{n}".removeprefix("tensorgrad.") in known
                else base
                for n in names
            ]
        wanted |= {n for n in names if n.partition(".")[0] == "tensorgrad"}
    return {
        "__init__" if n == "tensorgrad" else n[len("tensorgrad.") :] for n in wanted
    }


def part(name: str) -> str:
    """Return the part of the package that a module belongs to."""
    return name.partition(".")[0]


def trespasses(name: str, imported: set[str]) -> list[str]:
    """Return a sentence for each import that the layers do not allow."""
    if part(name) in ABOVE:
        return []
    allowed = LAYERS.get(part(name))
    if allowed is None:
        return [f"{name} has no place among the layers: give it one here and in docs"]
    allowed = allowed | {part(name)}
    return [f"{name} imports {i}" for i in sorted(imported) if part(i) not in allowed]


def test_imports_follow_the_layers():
    known = module_names()
    found = [
        sentence
        for name, file in known.items()
        for sentence in trespasses(name, imports(name, file.read_text("utf-8"), known))
    ]
    assert not found


def unused(layers: Mapping[str, set[str]]) -> list[str]:
    """Return a sentence for each import between parts that no file makes."""
    known = module_names()
    made = {
        (part(name), part(i))
        for name, file in known.items()
        for i in imports(name, file.read_text("utf-8"), known)
    }
    return [
        f"no file of {user} imports {used}"
        for user, every in layers.items()
        for used in sorted(every)
        if (user, used) not in made
    ]


def arrows(part: str) -> dict[str, set[str]]:
    """Return which rooms and files right inside a part import which others of it."""
    known = module_names()
    found: dict[str, set[str]] = {}
    for name, file in known.items():
        home, _, rest = name.partition(".")
        if home == part and rest:
            room = rest.partition(".")[0]
            used = imports(name, file.read_text("utf-8"), known, for_types=False)
            inside = {i.split(".")[1] for i in used if i.startswith(f"{part}.")}
            found.setdefault(room, set()).update(inside - {room})
    return found


def test_rooms_of_capture_import_what_is_allowed_and_no_more():
    found = arrows("capture")
    assert {room: used for room, used in found.items() if room in ROOMS} == ROOMS
    TopologicalSorter(found).prepare()  # Rooms, too, import one another in no circle.


def test_the_layers_are_as_narrow_as_is_true():
    assert not unused(LAYERS)
    assert unused({"optim": {"core", "nn"}}) == ["no file of optim imports nn"]


def test_the_drawing_of_the_layers_is_that_of_the_imports():
    drawing = runpy.run_path(str(ROOT / "docs" / "pictures_design.py"))
    assert set(drawing["PARTS"]) == {*LAYERS, "cli"}
    for user, used in drawing["USES"]:
        assert used in LAYERS[user], f"{user} does not use {used}"


def test_no_import_cycles():
    known = module_names()
    graph = {
        name: imports(name, file.read_text("utf-8"), known, for_types=False) - {name}
        for name, file in known.items()
    }
    assert "core.tensor" in graph["ops.support.define"]
    TopologicalSorter(graph).prepare()


def test_every_layer_is_there():
    assert set(LAYERS) <= {part(name) for name in module_names()}


@pytest.mark.parametrize(
    ("name", "source", "seen"),
    [
        ("core.node", "from ..ops import index", "core.node imports ops.index"),
        ("core.node", "from ..ops.index import f", "core.node imports ops.index"),
        ("core", "from ..ops import index", "core imports ops.index"),
        ("optim", "from .nn import Module", "optim imports nn"),
        ("data", "import tensorgrad.core.node", "data imports core.node"),
        ("data", "import tensorgrad as tg", "data imports __init__"),
        ("ops.index", "def f():\n    from .. import nn", "ops.index imports nn"),
        ("utils", "", "utils has no place among the layers"),
    ],
)
def test_a_trespass_would_be_seen(name, source, seen):
    known = dict.fromkeys(["core", "core.node", "nn", "ops", "ops.index", "__init__"])
    (sentence,) = trespasses(name, imports(name, source, known))
    assert sentence.startswith(seen)


def test_a_cycle_would_be_seen():
    known = dict.fromkeys(["core", "core.a", "core.b"])
    graph = {
        "core.a": imports("core.a", "from . import b", known),
        "core.b": imports("core.b", "from .a import f", known),
    }
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


# House rules.


def shared_names(files: Iterable[str]) -> dict[str, set[str]]:
    """Return the file names that occur in several rooms, with the rooms."""
    rooms: dict[str, set[str]] = {}
    for file in files:
        room, _, name = file.rpartition(".")
        rooms.setdefault(name, set()).add(room)
    return {name: found for name, found in rooms.items() if len(found) > 1}


def test_files_of_one_name_mean_the_same():
    files = [n for n, file in module_names().items() if file.stem != "__init__"]
    assert set(shared_names(files)) == set(SHARED_NAMES)


def test_a_name_of_two_meanings_would_be_seen():
    found = shared_names(["capture.plan", "core.plan", "core.tree", "nn"])
    assert found == {"plan": {"capture", "core"}}


def test_lines_of_each_room_are_reported():
    # They are printed, never judged: a room may grow where that is worth it.
    rooms: dict[str, list[int]] = {}
    for name, file in module_names().items():
        lines = len(file.read_text("utf-8").splitlines())
        rooms.setdefault(part(name), []).append(lines)
    for room, lengths in sorted(rooms.items(), key=lambda pair: -sum(pair[1])):
        print(f"{room:12} {sum(lengths):6} lines in {len(lengths):3} files")
    assert set(LAYERS) <= set(rooms)


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function after its signature and docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return function.end_lineno - body[0].lineno + 1 if body else 0


def long_functions(source: str) -> list[str]:
    """Return the name and length of each function that is too long."""
    functions = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return [
        f"{f.name}: {body_length(f)} lines"
        for f in functions
        if body_length(f) > LONGEST_BODY
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", module_names())
def test_functions_fit_on_a_screen(name):
    assert not long_functions(module_names()[name].read_text("utf-8"))


def test_a_long_function_would_be_seen():
    statements = "\n    pass" * (LONGEST_BODY + 1)
    assert long_functions(f'def f():\n    """Say."""{statements}') == ["f: 41 lines"]
    assert not long_functions(f'def f():\n    """Say."""{statements[9:]}')


@pytest.mark.unmeasured
def test_what_is_unmeasured_has_no_tracer():
    assert sys.gettrace() is None
    assert "COVERAGE_PROCESS_CONFIG" not in os.environ
