"""Explanations of a computation: ``explain`` and what it shows."""

from ..core.public import publish
from .explain import Explanation, explain
from .observer import watching

__all__ = ["Explanation", "explain", "watching"]

publish(globals())
