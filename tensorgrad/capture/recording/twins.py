"""Operations as they are called while a step is recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ...core.backward import adds
from ...core.parts import Parts
from ...core.primitive import Primitive
from ...core.saves import Plan, Rule
from ...facts import named
from .reads import unnoted
from .structure import Steady
from .traced import TracedNumber

if TYPE_CHECKING:
    from .recorder import Recorder


def twin(op: Primitive, recorder: Recorder) -> Primitive:
    """Return an operation whose forward and rules are recorded."""
    # Not copy.copy: an operation is copied by name, as the same one.
    other = type(op).__new__(type(op))
    vars(other).update(vars(op))
    other.forward = _quietly(op, partial(_forward, recorder, op))
    other.plans = _Plans(op, recorder)  # type: ignore[assignment]
    return other


def _quietly(op: Primitive, function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a forward or rule of the library run unnoted: no user's code runs in it."""
    module = getattr(op.forward, "__module__", None) or ""
    ours = module.startswith("tensorgrad.ops.")
    return unnoted(function) if ours else function


def _forward(recorder: Recorder, op: Primitive, *args: Any, **kwargs: Any) -> Any:
    numbers = any(type(a) is TracedNumber for a in (*args, *kwargs.values()))
    with recorder.within(op.name):
        if numbers and not named(op.name).weak:
            return recorder.call_opaque(Steady(op.forward), args, kwargs)
        return recorder.run(op.forward, args, kwargs)


class _Plans(dict[Any, Plan]):
    """The plans of an operation, with rules that are recorded."""

    def __init__(self, op: Primitive, recorder: Recorder) -> None:
        self.op = op
        self.recorder = recorder

    def __missing__(self, key: Any) -> Plan:
        plan: Plan = copy.copy(self.op.plans[key])
        rules = [self.op.rule_for(argument)[0] for argument, _ in plan.inputs]
        plan.steps = tuple(
            (self._recorded(rule, argument, item), pick)
            for rule, (argument, item), (_, pick) in zip(
                rules, plan.inputs, plan.steps, strict=True
            )
        )
        self[key] = plan
        return plan

    def _recorded(self, rule: Rule, argument: int, item: int) -> Callable[..., Any]:
        place = (item,) if argument == self.op.variadic else ()

        def recorded(g: Any, *saved: Any) -> Any:
            g = g.filled() if type(g) is Parts else g
            with self.recorder.within(f"gradient of {self.op.name}"):
                return self.recorder.apply_rule(rule, (*place, g, *saved))

        add: Any = getattr(rule, "add", None)

        def added(*args: Any) -> bool:
            with self.recorder.within(f"gradient of {self.op.name}"):
                return bool(add(*args))

        if add is not None:
            recorded = adds(added)(recorded)
        return _quietly(self.op, recorded)
