"""Docstrings of operations, completed from their signatures.

An operation says in a sentence what it computes. What it takes is as a rule what its
NumPy function takes, so the sections on parameters and result are written here, once
for all operations that do not bring their own.
"""

import re
from collections.abc import Callable, Sequence
from inspect import CO_VARARGS, CO_VARKEYWORDS, cleandoc
from typing import Any

import numpy as np

from .registry import Case

_LATER = re.compile(r"^(Raises|Notes|References|Examples)\n---", re.MULTILINE)

_OPERAND = "array_like or Tensor"

_PARAMETERS = """
Parameters
----------
{arrays} : {kind}
    {shapes}"""

_OTHERS = """\
{others} : as in ``{name}``
    With the same meaning and defaults{but}."""

_RETURNS = """
Returns
-------
Tensor or ndarray
    {what}; a Tensor where an argument is one."""


def complete(
    function: Callable[..., Any], reference: Any, cases: Sequence[Case]
) -> str | None:
    """Return the docstring with sections on parameters and result where it has none.

    What an operation takes that neither stands for a NumPy function nor works element
    by element is described beside it, and so is a result that is not of the shape to
    which the arguments broadcast.
    """
    text = function.__doc__
    if text is None:  # Python was started with -OO.
        return None
    # Cleaning them all would be a tenth of the time of `import tensorgrad`.
    text = cleandoc(text) if "\n" in text else text
    later = _LATER.search(text)
    at = later.start() if later else len(text)
    parts = [text[:at].rstrip()]
    name = numpy_name(function, reference)
    if "\nParameters\n" not in text:
        parts += _parameters(function, name, cases)
    if "\nReturns\n" not in text:
        parts.append(_result(function, name, cases))
    if later:
        parts.append(f"\n{text[at:]}")
    return "\n".join(parts)


def _parameters(
    function: Callable[..., Any], name: str | None, cases: Sequence[Case]
) -> list[str]:
    arrays, others = _arrays(function, cases)
    if name is None and (others or cases):
        return []
    broadcast = "Of any shape." if len(arrays) < 2 else "Of shapes that broadcast."
    sections = [
        _PARAMETERS.format(
            arrays=", ".join(arrays),
            kind="sequence of array_like or Tensor" if _joins(cases) else _OPERAND,
            shapes=f"As in ``{name}``." if cases else broadcast,
        )
    ]
    if others:
        but = "; `out` is refused with Tensors" if "out" in others else ""
        others_named = _OTHERS.format(others=", ".join(others), name=name, but=but)
        sections.append(others_named)
    return sections


def _joins(cases: Sequence[Case]) -> bool:
    """Whether the operation takes its arrays in a list."""
    return bool(cases) and type(next(iter(cases[0].shapes), None)) is list


def _arrays(
    function: Callable[..., Any], cases: Sequence[Case]
) -> tuple[list[str], list[str]]:
    """Return the parameters that are arrays, and the others."""
    names = parameter_names(function)
    count = max((len(c.shapes) for c in cases), default=len(names))
    return names[:count], names[count:]


def _result(
    function: Callable[..., Any], name: str | None, cases: Sequence[Case]
) -> str:
    if name and cases:
        return _RETURNS.format(what=f"What ``{name}`` returns")
    arrays, _ = _arrays(function, cases)
    shape = f"of `{arrays[0]}`" if len(arrays) == 1 else "the arguments broadcast to"
    return _RETURNS.format(what=f"Of the shape {shape}")


def numpy_name(function: Callable[..., Any], reference: Any) -> str | None:
    """Return the NumPy function an operation stands for, such as numpy.linalg.inv."""
    within = getattr(reference, "__module__", None) or ""  # older ufuncs have none
    module = np.linalg if "linalg" in within else np
    for name in (getattr(reference, "__name__", ""), function.__name__.strip("_")):
        if reference is not None and name and hasattr(module, name):
            return f"{module.__name__}.{name}"
    return None


def parameter_names(function: Callable[..., Any]) -> list[str]:
    """Return the parameters of a function, with the stars of its signature."""
    # `inspect.signature` would double the time of `import tensorgrad`.
    bound = len(getattr(function, "args", ()))
    code = getattr(function, "func", function).__code__
    end = code.co_argcount + code.co_kwonlyargcount
    names = list(code.co_varnames[bound:end])
    if code.co_flags & CO_VARARGS:
        names.insert(code.co_argcount, f"*{code.co_varnames[end]}")
        end += 1
    if code.co_flags & CO_VARKEYWORDS:
        names.append(f"**{code.co_varnames[end]}")
    return names
