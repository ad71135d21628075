"""Values that Python or plain NumPy takes out of a tensor, and with them its gradient.

What asks for the number in so many words, ``item()``, ``numpy()``, ``tolist()``, a
format, a comparison, gets it. What a function asks for behind the caller's back,
``__float__`` and its like, is refused where a gradient would be lost.
"""

import dis
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from .dispatch import is_implemented, operations
from .place import outer_frame, user_line

_OTHERS = {"fabs": "np.abs", "fsum": "np.sum", "sumprod": "np.dot", "pow": "np.power"}
"""Names of NumPy for functions of ``math`` that it has under another."""

_NOT_THE_SAME = {"remainder"}
"""Functions of ``math`` whose name means another one in NumPy."""


_REMEDY = (
    "t.item() where only the number is wanted, .detach() or .numpy() where only the "
    "values are, np.stack, tg.stack or tg.index_update where the gradient is"
)


def lost_gradient(taker: str) -> TypeError:
    """Return the error for values that are taken out of a tensor, with the line."""
    caller = outer_frame()
    function = _called_by(caller)
    name, remedy = getattr(function, "__name__", ""), _REMEDY
    if name and getattr(function, "__module__", None) == "math":
        taker, instead = f"math.{name}", _counterpart(name)
        differentiable = f"{instead}, which is differentiable, or " if instead else ""
        remedy = f"{differentiable}t.item() where only the number is wanted"
    return TypeError(
        f"{user_line(caller)}: {taker} takes the value out of a Tensor that needs a "
        f"gradient, which would cut the graph; use {remedy}"
    )


def _counterpart(name: str) -> str:
    """Return what stands for a function of ``math``, nothing where there is none."""
    if name in _OTHERS:
        return _OTHERS[name]
    if name in _NOT_THE_SAME:
        return ""
    if hasattr(np, name) and is_implemented(getattr(np, name)):
        return f"np.{name}"
    return f"tg.{name}" if name in operations else ""


def formats_text(frame: FrameType) -> bool:
    """Whether a frame is at a ``%``, which asks for a number to write it in a text."""
    *_, now = _instructions(frame)
    return now.opname == "BINARY_OP" and now.argrepr in ("%", "%=")


def _instructions(frame: FrameType) -> list[dis.Instruction]:
    """Return the instructions of a frame's code up to the one it is at."""
    every = dis.get_instructions(frame.f_code)
    return [step for step in every if step.offset <= frame.f_lasti]


def _called_by(frame: FrameType) -> Callable[..., Any] | None:
    """Return the function that a frame is calling, where names in its code tell it.

    A call and the expression of its function begin at the same place of the source,
    and the byte code knows the place of each of its instructions.
    """
    *before, now = _instructions(frame)
    call = now.positions
    if not now.opname.startswith("CALL") or call is None or call.lineno is None:
        return None
    found: Any = None
    for step in before:
        at = step.positions
        if at and at[:1] + at[2:3] == call[:1] + call[2:3] and at != call:
            found = _named(step, found, frame)
    return found if callable(found) else None


def _named(step: dis.Instruction, found: Any, frame: FrameType) -> Any:
    """Return what an instruction loads by name: a variable, or part of a module."""
    if not step.opname.startswith("LOAD_") or step.opname == "LOAD_CONST":
        return found
    if step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
        known = isinstance(found, ModuleType)
        return getattr(found, step.argval, None) if known else None
    for scope in (frame.f_locals, frame.f_globals):
        if step.argval in scope:
            return scope[step.argval]
    return None
