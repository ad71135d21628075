"""What is checked: a function of arrays, and the gradient that is claimed for it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from ..core.errors import RuleError


@dataclass(frozen=True)
class Finding:
    """A fact about a function or its gradient, and its remedy; a note if not fatal."""

    fault: str
    sentence: str
    fatal: bool = True

    def renamed(self, names: Mapping[str, str]) -> Finding:
        """Return it with names for numbers, unless it quotes the user's code."""
        if self.fault in ("raises", "rule"):
            return self
        return replace(self, sentence=renamed(self.sentence, names))


def renamed(sentence: str, names: Mapping[str, str]) -> str:
    """Return a sentence with the names of inputs and outputs for their numbers."""
    pattern = r"\b(?:input|output) \d+\b"
    return re.sub(pattern, lambda match: names.get(match[0], match[0]), sentence)


Array = np.ndarray[Any, Any]
Arrays = Sequence[Array]
Shape = tuple[int, ...]
Back = Callable[[Arrays], "list[Array | None]"]
"""From cotangents, one for each output, to gradients, None for an input not reached."""


class UnusableError(Exception):
    """The function or its gradient breaks a condition that every check rests on."""

    def __init__(self, fault: str, sentence: str) -> None:
        super().__init__(sentence)
        self.fault, self.sentence = fault, sentence

    def __reduce__(self) -> tuple[Any, ...]:
        return UnusableError, (self.fault, self.sentence)


class GradientShapeError(UnusableError):
    """A gradient came in another shape than its input."""

    def __init__(self, number: int, gradient: Array, shape: Shape) -> None:
        super().__init__(
            "shape",
            f"the gradient of input {number} has shape {gradient.shape}, expected "
            f"{shape}, that of the input",
        )
        self.number, self.gradient, self.shape = number, gradient, shape


class Packing:
    """Several arrays as one vector, and back."""

    def __init__(self, arrays: Arrays) -> None:
        self.shapes = [a.shape for a in arrays]
        self.orders: list[Literal["C", "F"]] = [
            "F" if a.flags.fnc else "C" for a in arrays
        ]
        self.ends = np.cumsum([0, *(a.size for a in arrays)]).tolist()
        self.size: int = self.ends[-1]

    def pack(self, arrays: Arrays) -> Array:
        """Return a float64 vector of all entries."""
        parts = [np.asarray(a, dtype=np.float64).ravel() for a in arrays]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float64)

    def unpack(self, vector: Array) -> list[Array]:
        """Return fresh arrays of the packed shapes, Fortran's order kept."""
        spans = zip(self.shapes, self.orders, self.ends, self.ends[1:], strict=False)
        return [vector[a:b].reshape(s).copy(order) for s, order, a, b in spans]

    def part(self, number: int) -> slice:
        """The slice of an array in the vector, by its number."""
        return slice(self.ends[number], self.ends[number + 1])

    def entry(self, k: int) -> tuple[int, tuple[int, ...]]:
        """Return which array, and which index in it, entry `k` of the vector is."""
        number = int(np.searchsorted(self.ends, k, side="right")) - 1
        at = np.unravel_index(k - self.ends[number], self.shapes[number])
        return number, tuple(map(int, at))


@dataclass
class Problem:
    """A function of float64 arrays at a point, with the gradient claimed for it.

    A kind of function is a subclass with :meth:`call` and :meth:`pullback`, and what
    else of the methods before `packing` it knows of.
    """

    inputs: list[Array]
    evaluations: int = field(default=0, kw_only=True)
    claimed_eps: float = field(default=0.0, kw_only=True)
    takes_complex: bool = field(default=False, kw_only=True)
    # Whether along every axis the function is linear, so that any step is exact.
    exact: bool = field(default=False, kw_only=True)
    # Whether the gradient in the precision of the inputs is compared with this one.
    compares_precisions: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.inputs = [np.asarray(x, dtype=np.float64) for x in self.inputs]

    def __getstate__(self) -> dict[str, Any]:
        # The functions of a user cannot be pickled in general, and a report needs none.
        return {k: None if callable(v) else v for k, v in vars(self).items()}

    def call(self, arrays: list[Array]) -> list[Array]:
        """Return the outputs, recording nothing; it may write to the arrays."""
        raise NotImplementedError

    def pullback(self, arrays: list[Array]) -> Back:
        """Return the way back from a forward pass made once."""
        raise NotImplementedError

    def derivative(self, cotangents: list[Array]) -> Problem:
        """Return the problem of the gradient, in the inputs and the cotangents."""
        raise ValueError("order: derivatives of plain functions are checked one by one")

    def analytic(self, arrays: list[Array]) -> list[Array]:
        """As :meth:`call`, for complex arrays too."""
        raise NotImplementedError

    def in_dtypes(self, kinds: Sequence[Any]) -> Problem:
        """Return the same problem computed in the dtype of each input."""
        raise NotImplementedError

    def inspect(self) -> list[Finding]:
        """Return what function and gradient do besides, in one call of each."""
        return []

    def uses(self, cotangents: Arrays) -> list[list[Array]] | None:
        """Return what arrives at each input from each use of it; None if unknown."""
        return None

    def at(self, inputs: list[Array]) -> Problem:
        """Return the same problem at another point."""
        return replace(self, inputs=inputs)

    @cached_property
    def packing(self) -> Packing:
        """How the inputs lie in one vector."""
        return Packing(self.inputs)

    @cached_property
    def point(self) -> Array:
        """The inputs as one vector."""
        return self.packing.pack(self.inputs)

    @cached_property
    def outputs(self) -> list[Array]:
        """What the function returns at the point."""
        with np.errstate(all="ignore"):
            return self.call([x.copy("K") for x in self.inputs])

    @cached_property
    def out(self) -> Packing:
        """How the outputs lie in one vector."""
        return Packing(self.outputs)

    @cached_property
    def precision(self) -> float:
        """The coarsest machine epsilon among the outputs."""
        kinds = [y.dtype for y in self.outputs if y.dtype.kind == "f"]
        return max((float(np.finfo(d).eps) for d in kinds), default=EPS)

    @property
    def rounding(self) -> float:
        """The coarsest machine epsilon among outputs and gradients."""
        return max(self.precision, self.claimed_eps)

    @property
    def scale(self) -> Array:
        """The size of a step for each entry of the point, max(1, |x|)."""
        magnitude: Array = np.maximum(1.0, np.abs(self.point))
        return magnitude

    @property
    def unit(self) -> Array:
        """The size of each entry of the point; for 0 the largest of its input, or 1."""
        size = np.abs(self.point)
        for k in range(len(self.inputs)):
            part = self.packing.part(k)
            largest = np.max(size[part], initial=0) or 1.0
            size[part] = np.where(size[part] == 0, largest, size[part])
        return np.asarray(size)

    def value(self, vector: Array) -> Array:
        """Return the outputs at a vector as one vector; NaN where there are none."""
        self.evaluations += 1
        try:
            with np.errstate(all="ignore"):
                outputs = self.call(self.packing.unpack(vector))
                packed = self.out.pack(outputs)
        # Whatever it raises beside the point, it has no value there.
        except Exception:
            packed = np.zeros(0)
        return (
            packed if packed.size == self.out.size else np.full(self.out.size, np.nan)
        )

    def imaginary(self, direction: Array) -> Array | None:
        """Return the derivative along a direction by a step in the imaginary direction,
        Im f(x + ihd) / h, or None where f does not take complex numbers.
        """
        if not self.takes_complex:
            return None
        size = np.abs(self.point[(direction != 0) & (self.point != 0)])
        h = 1e-30 * float(np.min(size, initial=1.0))
        parts = self.packing.unpack(direction)
        moved = [x + 1j * h * d for x, d in zip(self.inputs, parts, strict=True)]
        self.evaluations += 1
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                # Each library warns in its own words of an imaginary part it drops.
                warnings.simplefilter("error")
                outputs = self.analytic(moved)
            if any(y.dtype.kind != "c" for y in outputs):
                return None
            derivative = self.out.pack([y.imag / h for y in outputs])
        # A function need not take complex numbers, and may say so as it likes.
        except (Exception, SystemExit):
            self.takes_complex = False
            return None
        return derivative if derivative.size == self.out.size else None

    def pulled(self) -> Back:
        """Return the way back from the point; whatever raises is an UnusableError."""
        with reported():
            return self.pullback(self.packing.unpack(self.point))

    def pull_back(self, back: Back, cotangent: Array) -> Array:
        """Return the gradient for a vector of cotangents as one vector."""
        with reported(), np.errstate(all="ignore"):
            gradients = back(self.out.unpack(cotangent))
        for g in gradients:
            if g is not None and g.dtype.kind == "f" and g.dtype.itemsize < 8:
                self.claimed_eps = max(self.claimed_eps, float(np.finfo(g.dtype).eps))
        pairs = zip(gradients, self.inputs, strict=True)
        return self.packing.pack(
            [np.zeros_like(x) if g is None else g for g, x in pairs]
        )


@contextmanager
def reported() -> Iterator[None]:
    """Turn whatever a gradient raises into an UnusableError."""
    try:
        yield
    except UnusableError:
        raise
    except Exception as error:
        fault = "rule" if isinstance(error, RuleError) else "raises"
        what = f"{type(error).__name__}: {error}"
        raise UnusableError(fault, f"the gradient raised {what}") from error


EPS = float(np.finfo(np.float64).eps)
