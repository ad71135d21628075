"""The examples in the docstrings of the package run, and print what they say."""

import builtins
import contextlib
import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import tensorgrad

# JAX draws from NumPy's generator where it is imported: not in the middle of a test.
with contextlib.suppress(ImportError):
    importlib.import_module("jax")

EXTRAS = {
    "tensorgrad.capture.kernels.chain": "llvmlite",
    "tensorgrad.capture.kernels.disk": "llvmlite",
    "tensorgrad.capture.kernels.elementary": "llvmlite",
    "tensorgrad.capture.kernels.intrinsics": "llvmlite",
    "tensorgrad.capture.kernels.machine": "llvmlite",
    "tensorgrad.capture.kernels.translate": "llvmlite",
    "tensorgrad.capture.gemm.tiles": "llvmlite",
    "tensorgrad.capture.xla.": "jax",
    "tensorgrad.plot": "matplotlib",
    "tensorgrad.sklearn": "sklearn",
    "tensorgrad.testing.strategies": "hypothesis",
}
"""What the examples of a module, or of a package, need besides NumPy."""

FLAGS = (
    doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
)
MODULES = [
    "tensorgrad",
    *(
        module.name
        for module in pkgutil.walk_packages(tensorgrad.__path__, "tensorgrad.")
        if not module.name.endswith("__main__")
    ),
]


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """Return the docstrings of a module with examples, those of operations too."""
    # An example means Python's `round`, where the module has NumPy's.
    names = {n: v for n, v in vars(module).items() if not hasattr(builtins, n)}
    tests = doctest.DocTestFinder(exclude_empty=True).find(module, globs=names)
    return [test for test in tests if test.examples]


def report(test: doctest.DocTest) -> str:
    """Run the examples of a docstring and return what went wrong."""
    lines: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=lines.append)
    return "".join(lines)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name):
    for start, package in EXTRAS.items():
        if name.startswith(start):
            pytest.importorskip(package)
    module = importlib.import_module(name)
    assert "".join(map(report, examples(module))) == ""


def test_examples_are_found():
    module = importlib.import_module("tensorgrad.core.primitive")
    assert "tensorgrad.core.primitive.primitive" in {t.name for t in examples(module)}


def test_an_operation_with_a_wrong_example_would_be_seen():
    module = ModuleType("planted")
    source = '''
import tensorgrad

@tensorgrad.primitive
def twice(x):
    """Two of it.

    >>> twice(2)
    5
    """
    return 2 * x
'''
    exec(source, vars(module))
    (test,) = examples(module)
    assert "Expected:\n    5\nGot:\n    4" in report(test)
