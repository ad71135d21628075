"""Values that Python or plain NumPy takes out of a tensor, and with them its gradient.

What asks for the number in so many words, ``item()``, ``numpy()``, ``tolist()``, a
format, a comparison, gets it. What a function asks for behind the caller's back,
``__float__`` and its like, is refused where a gradient would be lost.
"""

import dis
import operator
import sys
from types import FrameType, ModuleType
from typing import Any

from .dispatch import counterpart, public_module
from .place import Place, outer_frame, user_frame

_REMEDY = (
    "t.item() where only the number is wanted, .detach() or .numpy() where only the "
    "values are, np.stack, tg.stack or tg.index_update where the gradient is"
)


def lost_gradient(taker: str, protocol: bool = False) -> TypeError:
    """Return the error for values that are taken out of a tensor, with the line.

    With `protocol` the taker is what Python or NumPy calls on behalf of a function,
    which is named where that is certain.
    """
    outer = outer_frame()
    frame = user_frame(outer)
    remedy = _REMEDY
    if protocol:
        function = _callee(frame)
        taker = f"{taker}, or a function that calls it,"
        module = public_module(function)
        if library := _library(outer):
            taker = library
            remedy += f", or compute with NumPy arrays in place of those of {library}"
        if module.partition(".")[0] not in ("", "builtins", "tensorgrad"):
            taker = f"{module}.{function.__name__}"
            if instead := counterpart(module, function.__name__):
                remedy = f"{instead}, which takes tensors, or {_REMEDY}"
    return TypeError(
        f"{Place(frame.f_code, frame.f_lasti)}: {taker} takes the value out of a "
        f"Tensor that needs a gradient, which would cut the graph; use {remedy}"
    )


def _library(frame: FrameType) -> str:
    """Return the library whose arrays a frame computes with, "" for NumPy's own."""
    module: str = frame.f_globals.get("__name__", "")
    if module.startswith("numpy.ma."):
        return "numpy.ma"
    name = module.partition(".")[0]
    is_standard = name in sys.stdlib_module_names or name in ("numpy", "scipy")
    return "" if is_standard or user_frame(frame) is frame else name


def formats_text(frame: FrameType) -> bool:
    """Whether a frame is at a ``%``, which asks for a number to write it in a text."""
    *_, now = _instructions(frame)
    if now.opname == "BINARY_OP":
        return now.argrepr in ("%", "%=")
    return _callee(frame) in (operator.mod, operator.imod)


def _instructions(frame: FrameType) -> list[dis.Instruction]:
    """Return the instructions of a frame's code up to the one it is at."""
    every = dis.get_instructions(frame.f_code)
    return [step for step in every if step.offset <= frame.f_lasti]


def _callee(frame: FrameType) -> Any:
    """Return the function that a frame is calling, if names in its code say it.

    A call and the expression of its function begin at the same place of the source,
    and the byte code knows the place of each of its instructions.
    """
    *before, now = _instructions(frame)
    call = now.positions
    if not now.opname.startswith("CALL") or call is None or call.lineno is None:
        return None
    value: Any = None
    for step in before:
        at = step.positions
        if at and at[:1] + at[2:3] == call[:1] + call[2:3] and at != call:
            value = _loaded(step, value, frame)
    return value if callable(value) else None


def _loaded(step: dis.Instruction, value: Any, frame: FrameType) -> Any:
    """Return what an instruction loads by name: a variable, or part of a module."""
    if not step.opname.startswith("LOAD_") or step.opname == "LOAD_CONST":
        return value
    if step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
        is_module = isinstance(value, ModuleType)
        return getattr(value, step.argval, None) if is_module else None
    for scope in (frame.f_locals, frame.f_globals):
        if step.argval in scope:
            return scope[step.argval]
    return None
