"""Which operation makes NaN or infinity of finite numbers: checked in debug mode."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from .errors import NonFiniteError
from .foreign import KINDS, memory_of
from .node import Leaf, Node
from .observe import observed
from .parts import Parts

_inspecting: ContextVar[bool] = ContextVar("tensorgrad_inspecting", default=False)
_inspected: "weakref.WeakSet[Node]" = weakref.WeakSet()
"""The nodes made under this check: their gradients are checked too."""

_REMEDY = "; tg.debug(nan=False) does not look for this"


@contextmanager
def finite_outputs() -> Iterator[None]:
    """Raise where an operation makes NaN or infinity out of finite numbers."""
    token = _inspecting.set(True)
    try:
        with observed(_check_output):
            yield
    finally:
        _inspecting.reset(token)


@contextmanager
def unchecked() -> Iterator[None]:
    """Check no operation within the block."""
    token = _inspecting.set(False)
    try:
        yield
    finally:
        _inspecting.reset(token)


def _check_output(node: Node, arguments: Sequence[Any], output: Any) -> None:
    # Within a recorded backward pass the inspector checks.
    if not _inspecting.get():
        return
    _inspected.add(node)
    if is_finite(output) or not is_finite(arguments):
        return
    bad = next(y for y in _arrays(output) if not np.isfinite(y).all())
    at = _first_bad(bad)
    names = zip(node.plan.op.names, arguments, strict=False)
    inputs = [_describe(n, a, at, node.name) for n, a in names if _is_number(a)]
    raise NonFiniteError(
        f"{node.name}, called at {node.place}, made {_describe_bad(bad, at)} out of "
        f"finite numbers: {', '.join(inputs)}{_REMEDY}"
    )


class Inspector:
    """Checks each gradient of one walk."""

    def __init__(self, roots: Sequence[Any]) -> None:
        self.spoiled: set[Any] = set(roots)
        """Where what is not finite has come from what was not."""

    def steps(
        self, node: Node, g: Any, fit: Callable[[Any, Any, Node], Any]
    ) -> list[Any]:
        """Return the rules of a node, each with a check of its result."""
        self.check_sum(node, g)

        def step(parent: Any, rule: Any, pick: Any) -> tuple[Any, Any]:
            def checked(g: Any, *saved: Any) -> Any:
                dx = rule(g, *saved)
                if getattr(dx, "shape", None) is not None:
                    dx = fit(dx, parent, node)
                if not is_finite(dx):
                    self._bad(node, parent, dx, (g, saved))
                return dx

            return checked, pick

        pairs = zip(node.parents, node.plan.steps, strict=True)
        return [step(parent, *pair) for parent, pair in pairs]

    def _bad(self, node: Node, parent: Any, dx: Any, inputs: Any) -> None:
        if parent in self.spoiled or not is_finite(inputs):
            self.spoiled.add(parent)
            return
        bad = next(y for y in _arrays(dx) if not np.isfinite(y).all())
        g, saved = inputs
        parts = [_describe("the incoming gradient", a, None, "") for a in _arrays(g)]
        parts += [_describe("kept", a, None, "") for a in _arrays(saved)]
        raise NonFiniteError(
            f"the gradient of {node.name}, called at {node.place}, is "
            f"{_describe_bad(bad, _first_bad(bad))} out of finite numbers: "
            f"{', '.join(parts)}{_REMEDY}"
        )

    def check_sum(self, node: Node | Leaf, g: Any) -> None:
        """Raise where finite gradients add up to one that is not."""
        if node in self.spoiled or is_finite(g):
            return
        bad = next(y for y in _arrays(g) if not np.isfinite(y).all())
        what = f"a tensor of shape {node.shape}"
        if isinstance(node, Node):
            what = f"the result of {node.name}, called at {node.place},"
        raise NonFiniteError(
            f"the gradients that arrive at {what} add up to "
            f"{_describe_bad(bad, _first_bad(bad))}, each of them finite{_REMEDY}"
        )


def inspector(nodes: Sequence[Node], roots: Sequence[Any]) -> Inspector | None:
    """Return one for a walk in debug mode, or over nodes that were made in it."""
    if _inspecting.get() or (_inspected and any(n in _inspected for n in nodes)):
        return Inspector(roots)
    return None


def is_finite(value: Any) -> bool:
    """Whether there is no NaN and no infinity in an array, or a nest of them."""
    return all(bool(np.isfinite(a).all()) for a in _arrays(value))


def _arrays(value: Any) -> Iterator[Any]:
    """Yield the floating-point arrays and numbers in a nest."""
    if type(value) is Parts:
        value = tuple(value.parts.values())
    value = getattr(value, "_value", value)  # a tensor, in a recorded pass
    if isinstance(value, tuple | list):
        for item in value:
            yield from _arrays(item)
    elif isinstance(value, float) or (
        isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fc"
    ):
        yield _readable(value)


def _readable(value: Any) -> Any:
    """Return an array of numbers: of a kind of ours, the one that it stands for."""
    memory = memory_of(value)
    return np.asarray(value if memory is None else memory)


def _is_number(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | float | int | tuple)


def _first_bad(y: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(~np.isfinite(y))[0])


def _describe_bad(y: Any, at: tuple[int, ...]) -> str:
    count = int(np.sum(~np.isfinite(y)))
    where = f" at index {at} ({count} of {y.size} entries)" if y.ndim else ""
    return f"{y[at]}{where}"


def _describe(name: str, value: Any, at: Any, operation: str) -> str:
    """Describe an argument: its range, and for ufuncs the element there."""
    if isinstance(value, tuple):
        return ", ".join(_describe(name, v, None, "") for v in value)
    x = _readable(value)
    if x.ndim == 0:
        return f"{name} = {x[()]}"
    if x.size == 0 or x.dtype.kind not in "fiub":
        return f"{name} of shape {x.shape} and dtype {x.dtype}"
    there = ""
    ufunc = getattr(np, operation, None)
    if type(value) in KINDS and at is not None and x.ndim < len(at):
        at = None  # Its first axis is not the one that it broadcasts to.
    if at is not None and isinstance(ufunc, np.ufunc) and ufunc.signature is None:
        index = at[len(at) - x.ndim :]
        index = tuple(0 if n == 1 else i for n, i in zip(x.shape, index, strict=True))
        there = f" and {x[index]} there"
    return (
        f"{name} of shape {x.shape} and dtype {x.dtype}, {x.min()} to {x.max()}{there}"
    )
