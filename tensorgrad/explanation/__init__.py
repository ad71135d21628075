"""Explanations of a computation: ``explain`` and what it shows."""

from .explain import Explanation, explain
from .observer import watching

__all__ = ["Explanation", "explain", "watching"]
