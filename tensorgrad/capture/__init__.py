"""Capture: one call of a training step, written down and replayed."""

from .compiled import compile  # noqa: A004

__all__ = ["compile"]
