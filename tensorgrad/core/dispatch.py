"""Which operation implements which NumPy function.

`Tensor` finds its operators and methods here by name, and NumPy's protocols find
theirs by function; the operations themselves are defined above the core.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

Operation = Callable[..., Any]

operations: dict[str, Operation] = {}
"""Operations by their own name: `operations["multiply"]`."""

_numpy: dict[Any, Operation] = {}
_hints: dict[str, str] = {}


def _key(function: Any) -> Any:
    """Return what stands for a NumPy function, whoever has since replaced it.

    Ufuncs stand for themselves. Other functions go by name, because the attribute of
    `numpy` may be a wrapper while NumPy's dispatch passes the original.
    """
    if isinstance(function, np.ufunc):
        return function
    module = getattr(function, "__module__", None) or ""
    return f"{module.replace('numpy._core', 'numpy')}.{function.__name__}"


def implement(name: str, operation: Operation, *references: Any) -> None:
    """Let `operation` answer to its name, and to NumPy functions or their names."""
    operations[name] = operation
    for reference in references:
        _numpy[reference if isinstance(reference, str) else _key(reference)] = operation


def implement_method(ufunc: np.ufunc, method: str, operation: Operation) -> None:
    """Let `operation` stand for a method of a ufunc, such as ``np.add.reduce``."""
    _numpy[ufunc, method] = operation


def implementation(function: Any, method: str | None = None) -> Operation:
    """Return the operation for a NumPy function, or for a method of a ufunc.

    Raises
    ------
    TypeError
        If there is none; the message names the function and the remedy.
    """
    if method is not None:
        if (function, method) not in _numpy:
            raise unsupported(function, method)
        return _numpy[function, method]
    operation = _numpy.get(function)
    if operation is None:
        operation = _numpy.get(_key(function))
        if operation is None:
            raise unsupported(function)
        _numpy[function] = operation
    return operation


def is_implemented(function: Any) -> bool:
    """Whether some operation implements a NumPy function."""
    return function in _numpy or _key(function) in _numpy


def hint(function: str, remedy: str) -> None:
    """Say in the error for an unsupported NumPy function what to use instead."""
    _hints[function] = remedy


_ELSEWHERE = {
    "math": {"fabs": "absolute", "fsum": "sum", "sumprod": "dot", "remainder": ""},
    "scipy.special": {"expit": "sigmoid", "round": ""},
}
"""Functions of other modules that are the same here, but for their name, or are not."""


def counterpart(module: str, name: str) -> str:
    """Return what is the same here as a function elsewhere, "" if there is nothing."""
    if module not in _ELSEWHERE:
        return ""
    name = _ELSEWHERE[module].get(name, name)
    if hasattr(np, name) and is_implemented(getattr(np, name)):
        return f"np.{name}"
    return f"tg.{name}" if name in sys.modules["tensorgrad"].__all__ else ""


def public_module(function: Any) -> str:
    """Return the public module of a function, "" if it has none."""
    short = getattr(function, "__name__", "")
    name = getattr(function, "__module__", None) or ""
    modules: list[Any] = [*sys.modules.values()]
    if not isinstance(function, np.ufunc):
        parts = name.split(".")
        above = (".".join(parts[:i]) for i in range(1, len(parts)))
        modules = [sys.modules.get(package) for package in above]
    # A ufunc from elsewhere has nothing but its name.
    homes = [
        module.__name__
        for module in modules
        if isinstance(module, ModuleType)
        and short in vars(module).get("__all__", ())
        and vars(module).get(short) is function
    ]
    name = min(homes, key=len, default=name)
    return ".".join(p for p in name.split(".") if not p.startswith("_"))


def unsupported(function: Any, method: str | None = None) -> TypeError:
    """Return the error for a NumPy function, or any ufunc, without a gradient rule."""
    short = function.__name__
    if isinstance(function, np.ufunc):
        module = public_module(function)
        name = f"{module}.{short}" if module else short
    else:
        module, name = "", _key(function)
    name += f".{method}" if method else ""
    remedy = _hints.get(name.removeprefix("numpy.")) or _hints.get(
        short,
        "apply it to tensor.numpy() (or tensor.detach().numpy()) if no gradient is "
        "to flow through it, or add a rule with tensorgrad.primitive",
    )
    if instead := counterpart(module, short):
        remedy = f"use {instead}, which is the same"
    return TypeError(f"{name} has no rule for Tensors; {remedy}")
