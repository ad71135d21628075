"""An explanation for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .steps import Step, Variable, Way, summary

if TYPE_CHECKING:
    from .explain import Explanation

MOST = 40
"""Steps that are told one by one; of more, the first and the last."""


def as_text(told: Explanation) -> str:
    """Return the forward pass, the pass back, and the gradients, line by line."""
    steps = told.steps
    lines = [f"{steps[-1].name}: {len(steps)} operations", "", "forward"]
    for step in _shown(steps):
        lines += _forward(step) if isinstance(step, Step) else [step]
    lines += ["", "backward, g is the gradient that comes in"]
    for step in _shown(steps[::-1]):
        lines += _backward(step) if isinstance(step, Step) else [step]
    lines += ["", "gradients"]
    lines += [_gradient(v) for v in told.variables]
    return "\n".join(lines)


def _shown(steps: list[Step]) -> list[Any]:
    if len(steps) <= MOST:
        return list(steps)
    half = MOST // 2
    return [*steps[:half], f"  ... {len(steps) - MOST} more ...", *steps[-half:]]


def _forward(step: Step) -> list[str]:
    inside = f"   in {' > '.join(step.modules)}" if step.modules else ""
    kind = f"{step.dtype} {step.shape}"
    return [
        f"  {step.name} = {step.expression}",
        f"      {kind}: {summary(step.value)}   line {step.place.line}{inside}",
    ]


def _backward(step: Step) -> list[str]:
    if step.incoming is None and not step.ways:
        return []
    lines = [f"  {step.operation}: g {summary(step.incoming)}"]
    return lines + [f"      d/d{way.to.name} = {_told(way)}" for way in step.ways]


def _told(way: Way) -> str:
    summed = ""
    if way.summed:
        axes = ", ".join(map(str, way.summed))
        summed = f", summed over axis {axes} of {way.before}"
    return f"{way.rule}{summed}: {summary(way.gradient)}"


def _gradient(v: Variable) -> str:
    arrived = "nothing arrives" if v.gradient is None else summary(v.gradient)
    return f"  d/d{v.name}, {v.dtype} {v.shape}: {arrived}"
