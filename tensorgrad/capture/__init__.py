"""Capture: one call of a training step, written down and replayed."""
