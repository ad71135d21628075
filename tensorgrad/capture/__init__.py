"""Capture: one call of a training step, recorded and replayed."""

from .compiled import compile  # noqa: A004
from .profile import Profile, Row
from .program import (
    Call,
    Constant,
    Input,
    Live,
    Number,
    Program,
    Result,
    Value,
    View,
)

__all__ = [
    "Call",
    "Constant",
    "Input",
    "Live",
    "Number",
    "Profile",
    "Program",
    "Result",
    "Row",
    "Value",
    "View",
    "compile",
]
