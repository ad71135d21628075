"""Capture: one call of a training step, recorded and replayed."""

from .compiled import compile  # noqa: A004
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
    "Program",
    "Result",
    "Value",
    "View",
    "compile",
]
