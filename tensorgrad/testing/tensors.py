"""The problem of a function of Tensors: its gradient is what backward gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.backward import interior, walk
from ..core.mode import enable_grad, no_grad
from ..core.tensor import Tensor
from .identities import changed, coarse, narrowed, present, shared, unreached, varying
from .problem import EPS, Array, Arrays, Back, Finding, Problem, UnusableError, reported

Function = Callable[..., Any]


@dataclass
class TensorProblem(Problem):
    """The problem of a function of Tensors, in float64 or in some dtypes."""

    f: Function
    kinds: Sequence[Any] = ()
    compares_precisions = True

    def leaves(self, arrays: Arrays, requires_grad: bool) -> list[Tensor]:
        """Return fresh tensors of some arrays."""
        pairs = zip(arrays, self.kinds or [np.float64] * len(arrays), strict=True)
        return [Tensor(a, requires_grad, dtype=kind) for a, kind in pairs]

    def recorded(self, arrays: Arrays) -> tuple[list[Tensor], list[Tensor]]:
        """Return leaves and the outputs recorded from them."""
        xs = self.leaves(arrays, True)
        with enable_grad():
            return xs, floating(self.f(*xs))

    def call(self, arrays: list[Array]) -> list[Array]:
        """Return the values."""
        with no_grad():
            return [y.numpy() for y in floating(self.f(*self.leaves(arrays, False)))]

    def pullback(self, arrays: list[Array]) -> Back:
        """Return the pass back from a point."""
        xs, ys = self.recorded(arrays)
        return lambda cotangents: backward(xs, ys, cotangents)

    def derivative(self, cotangents: list[Array]) -> Problem:
        """Return the problem of the gradient, in the inputs and the cotangents."""
        gradient = gradient_of(self.f, len(self.inputs))
        # The gradient of what is linear in every entry is so too, and in cotangents.
        return TensorProblem([*self.inputs, *cotangents], gradient, exact=self.exact)

    def in_dtypes(self, kinds: Sequence[Any]) -> Problem:
        """Return the problem on tensors of other dtypes."""
        return replace(self, kinds=kinds)

    def uses(self, cotangents: Arrays) -> list[list[Array]]:
        """Return what each use of each input contributes to its gradient."""
        return contributions(*self.recorded(self.inputs), cotangents)

    def inspect(self) -> list[Finding]:
        """Return what one forward and one backward pass do besides."""
        with no_grad():
            constants = self.leaves(self.inputs, False)
            first = tensors(self.f(*constants))
        written = changed([t.numpy() for t in constants], self.inputs, "f")
        if written:
            return written
        xs = self.leaves(self.inputs, True)
        with reported(), enable_grad():
            several = tensors(self.f(*xs))
        unlike = varying([y.numpy() for y in first], [y.numpy() for y in several])
        return unlike or _of_backward(xs, floating(several))


def _of_backward(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> list[Finding]:
    """Return findings about outputs, and about one pass back from them."""
    values, outputs = [x.numpy() for x in xs], [y.numpy() for y in ys]
    findings = shared(outputs, values, "output", "input")
    findings += coarse(outputs, values, "output")
    before = [a.copy() for a in (*values, *outputs)]
    with reported():
        gradients = backward(xs, ys, [np.ones_like(y) for y in outputs])
    findings += changed(values, before[: len(values)], "a gradient rule")
    findings += changed(outputs, before[len(values) :], "a gradient rule", "output")
    findings += unreached(
        gradients, "input {} does not reach the output: no gradient arrives at it"
    )
    pairs = zip(values, gradients, strict=True)
    reached, arrived = [x for x, g in pairs if g is not None], present(gradients)
    findings += coarse(arrived, reached, "gradient", fatal=True)
    findings += _narrow(xs, ys)
    return findings + shared(arrived, values, "gradient", "input", fatal=True)


def _narrow(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> list[Finding]:
    """Return a finding for each float64 gradient in coarser numbers."""
    if any(t.dtype.itemsize < 8 for t in (*xs, *ys)):
        return []
    rng = np.random.default_rng(0)
    once, twice = (
        backward(xs, ys, [np.asarray(100 * rng.normal(size=y.shape)) for y in ys])
        for _ in range(2)
    )
    pairs = [
        (k, g, other)
        for k, (g, other) in enumerate(zip(once, twice, strict=True))
        if g is not None and other is not None
    ]
    sentence = (
        "the gradient of input {} comes in {}, though it is {}: a rule rounds on its "
        "way; where f does too, let it return what it computes in"
    )
    # What does not change with the cotangent says nothing about precision, nor does
    # what rounding leaves of terms that cancel: that is powers of two.
    largest = max(np.max(np.abs(y.numpy()), initial=0) for y in ys)
    residue = 64 * EPS * 100 * largest * sum(y.size for y in ys)
    return [
        Finding("dtype", sentence.format(k, narrowed(g), g.dtype))
        for k, g, other in pairs
        if narrowed(g) and not np.array_equal(g, other) and np.max(np.abs(g)) > residue
    ]


def backward(
    xs: Sequence[Tensor], ys: Sequence[Tensor], cotangents: Arrays
) -> list[Array | None]:
    """Return the gradients of <cotangents, ys> in leaves `xs`, which keep none."""
    gradients = _backward(xs, ys, cotangents)
    return [None if g is None else g.numpy() for g in gradients]


def _backward(
    xs: Sequence[Tensor],
    ys: Sequence[Tensor],
    cotangents: Sequence[Any],
    create_graph: bool = False,
) -> list[Tensor | None]:
    for y, v in zip(ys, cotangents, strict=True):
        if y.requires_grad:
            y.backward(v, retain_graph=True, create_graph=create_graph)
    gradients = [x.grad for x in xs]
    for x in xs:
        x.grad = None
    return gradients


def contributions(
    xs: Sequence[Tensor], ys: Sequence[Tensor], cotangents: Arrays
) -> list[list[Array]]:
    """Return what arrives at each of the leaves `xs` from each of its uses."""
    table: dict[Any, Any] = {}
    for y, v in zip(ys, cotangents, strict=True):
        if y.node is not None:
            table[y.node] = table[y.node] + v if y.node in table else v
    arrived: dict[Any, list[Array]] = {x.node: [] for x in xs}

    def note(node: Any, parent: Any, g: Any, raw: Any, dx: Any) -> None:
        if parent in arrived:
            arrived[parent].append(np.asarray(dx))

    walk(interior(table), table, watchful=False, note=note)
    return [arrived[x.node] for x in xs]


def tensors(result: Any) -> list[Tensor]:
    """Return the tensors in what `f` gave; plain arrays beside them are constants."""
    several = list(result) if isinstance(result, tuple | list) else [result]
    outputs = [y for y in several if isinstance(y, Tensor)]
    if not outputs:
        kinds = ", ".join(type(y).__name__ for y in several) or "nothing"
        raise UnusableError(
            "no tensor",
            f"f must return a Tensor or a tuple of Tensors, got {kinds}; a value "
            "taken out with .item(), .numpy() or float() carries no gradient",
        )
    return outputs


def floating(result: Any) -> list[Tensor]:
    """Return the floating-point outputs; the others have no gradient."""
    outputs = tensors(result)
    floats = [y for y in outputs if y.dtype.kind == "f"]
    if not floats:
        kinds = ", ".join(str(y.dtype) for y in outputs)
        raise UnusableError(
            "dtype",
            f"f returns {kinds}, which has no gradient; return floating-point tensors",
        )
    return floats


def gradient_of(f: Function, count: int) -> Function:
    """Return the gradient of <v, f(x)> as a function of `count` Tensors x, and v."""

    def gradient(*arguments: Tensor) -> tuple[Tensor, ...]:
        recorded = any(a.requires_grad for a in arguments)
        xs: Sequence[Tensor] = arguments[:count]
        if not recorded:
            xs = [Tensor(x, requires_grad=True) for x in xs]
        with enable_grad():
            ys = floating(f(*xs))
            gradients = _backward(xs, ys, arguments[count:], create_graph=recorded)
        pairs = zip(gradients, xs, strict=True)
        return tuple(
            Tensor(np.zeros_like(x.numpy())) if g is None else g for g, x in pairs
        )

    return gradient
