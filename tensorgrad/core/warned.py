"""NumPy's warnings point to the line of the user that led to them.

NumPy warns of the Python frame that called it, which is a forward in this package. What
is about to be shown is warned of again at the line outside: there the user's filters
by module and once for each line apply. It costs nothing until there is a warning.
"""

import os
import sys
import warnings
from types import FrameType
from typing import Any

import numpy as np

from .place import is_inside

_NUMPY = os.path.dirname(np.__file__) + os.sep
_REGISTRY = "__warningregistry__"

PLACES = "__places__"
"""A variable of generated code: the places of which its lines do the work."""


def point_to_the_user() -> None:
    """Let warnings of arithmetic in this package be those of its callers."""
    show = getattr(warnings, "_showwarnmsg", None)
    if show is None:
        return

    def show_where_asked(message: Any) -> None:
        where = _asking(message) if message.category is RuntimeWarning else None
        if where is None:
            show(message)
        else:
            warnings.warn_explicit(message.message, message.category, *where)

    warnings._showwarnmsg = show_where_asked  # type: ignore[attr-defined]


def _asking(message: Any) -> tuple[Any, ...] | None:
    """Return the line outside this package that led to a warning within it."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename != message.filename:
        frame = frame.f_back
    while frame is not None and frame.f_code.co_filename.startswith(_NUMPY):
        frame = frame.f_back
    if frame is None:
        return None
    replayed = frame.f_globals.get(PLACES)
    ours = is_inside(frame.f_code) if replayed is None else frame.f_lineno in replayed
    if not ours:
        return None
    # A warning shown for this line here must not silence it for other callers.
    frame.f_globals.pop(_REGISTRY, None)
    if replayed is not None:
        place = replayed[frame.f_lineno]
        shown = frame.f_globals.setdefault(f"{PLACES}shown", {})
        file = place.code.co_filename
        return file, place.line, _module_of(file), shown
    while frame is not None and _is_between(frame):
        frame = frame.f_back
    return frame and _warning_at(frame)


def _module_of(file: str) -> str:
    names = (n for n, m in [*sys.modules.items()] if getattr(m, "__file__", "") == file)
    return next(names, file.removesuffix(".py"))


def _warning_at(frame: FrameType) -> tuple[Any, ...]:
    module = frame.f_globals.get("__name__")
    shown = frame.f_globals.setdefault(_REGISTRY, {})
    return frame.f_code.co_filename, frame.f_lineno, module, shown


def _is_between(frame: FrameType) -> bool:
    return is_inside(frame.f_code) or frame.f_code.co_filename.startswith(_NUMPY)
