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


def point_to_the_user() -> None:
    """Let warnings of arithmetic in this package be those of its callers."""
    show = getattr(warnings, "_showwarnmsg", None)
    if show is None:
        return

    def show_where_asked(message: Any) -> None:
        frame = _asking(message) if message.category is RuntimeWarning else None
        if frame is None:
            show(message)
            return
        warnings.warn_explicit(
            message.message,
            message.category,
            frame.f_code.co_filename,
            frame.f_lineno,
            frame.f_globals.get("__name__"),
            frame.f_globals.setdefault(_REGISTRY, {}),
        )

    warnings._showwarnmsg = show_where_asked  # type: ignore[attr-defined]


def _asking(message: Any) -> FrameType | None:
    """Return the frame outside that led to a warning within this package."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename != message.filename:
        frame = frame.f_back
    while frame is not None and frame.f_code.co_filename.startswith(_NUMPY):
        frame = frame.f_back
    if frame is None or not is_inside(frame.f_code):
        return None
    # That it was shown for this line here must not silence it for other callers.
    frame.f_globals.pop(_REGISTRY, None)
    while frame is not None and _is_between(frame):
        frame = frame.f_back
    return frame


def _is_between(frame: FrameType) -> bool:
    return is_inside(frame.f_code) or frame.f_code.co_filename.startswith(_NUMPY)
