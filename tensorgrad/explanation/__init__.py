"""Explanations of a computation: ``explain`` and what it shows."""

from .explain import Explanation, explain
from .watch import watching

__all__ = ["Explanation", "explain", "watching"]
