"""A description of each operation besides its code.

The tests, the checker and the tables of coverage and kinks are driven by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]
Kind = Literal["linear", "multilinear", "smooth", "piecewise", "constant"]


@dataclass(frozen=True)
class Domain:
    """Where to sample an argument: an interval, away from given points.

    Samples are pairwise distinct and far apart compared with a difference step, and
    arguments sampled with different `phase` are distinct from each other too.
    """

    low: float = -3.0
    high: float = 3.0
    away_from: tuple[float, ...] = ()
    margin: float = 0.05
    shaped: Callable[[Array], Array] | None = None

    def sample(
        self, rng: np.random.Generator, shape: tuple[int, ...], phase: float = 0.5
    ) -> Array:
        """Return a float64 array of `shape`."""
        size = int(np.prod(shape, dtype=int))
        cells = max(2 * size, 64)
        width = (self.high - self.low) / cells
        at = rng.permutation(cells)[:size] + phase
        x = self.low + width * at.reshape(shape)
        for point in self.away_from:
            off = x - point
            pushed = point + np.copysign(self.margin + np.abs(off), off)
            x = np.where(np.abs(off) < self.margin, pushed, x)
        return np.asarray(x if self.shaped is None else self.shaped(x))


REAL = Domain()
NONZERO = Domain(away_from=(0.0,), margin=0.3)
POSITIVE = Domain(0.3, 3.0)
INSIDE_ONE = Domain(-0.9, 0.9)
ABOVE_ONE = Domain(1.2, 4.0)


@dataclass(frozen=True)
class Case:
    """One way to call an operation: shapes of its arrays, and the other arguments.

    A shape may be a list of shapes, for an operation that takes a list of arrays.
    """

    shapes: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def case(*shapes: Any, **kwargs: Any) -> Case:
    """Return a case: shapes of the array arguments, then the keywords of the call."""
    return Case(shapes, kwargs)


@dataclass(frozen=True)
class Entry:
    """One operation of the library.

    Attributes
    ----------
    name : str
    function : callable
        What is called on tensors.
    reference : callable
        The NumPy function it equals on arrays.
    kind : {"linear", "multilinear", "smooth", "piecewise", "constant"}
        Of the operation as a function of all its array arguments; "smooth", of which
        the tests require the least, where nothing is said.
    domains : tuple of Domain
        Where to sample each array argument; the last serves for the rest.
    cases : sequence of Case
        Calls to test. Empty for an elementwise operation: any broadcastable shapes.
    kinks : str
        Where the operation has no derivative, and what is taken there.
    arity : int
        Array arguments of an elementwise operation.
    """

    name: str
    function: Callable[..., Any]
    reference: Callable[..., Any]
    kind: Kind
    domains: tuple[Domain, ...]
    cases: Sequence[Case]
    kinks: str
    arity: int

    @property
    def elementwise(self) -> bool:
        """Whether arguments broadcast against each other, element by element."""
        return not self.cases

    def domain(self, argument: int) -> Domain:
        """Where to sample the array argument of that number."""
        return self.domains[min(argument, len(self.domains) - 1)]


registry: dict[str, Entry] = {}


def describe(
    function: Callable[..., Any],
    reference: Callable[..., Any],
    *,
    kind: Kind = "smooth",
    domains: Domain | tuple[Domain, ...] = REAL,
    cases: Sequence[Case] = (),
    kinks: str = "",
    arity: int = 1,
    name: str | None = None,
) -> None:
    """Enter an operation into the registry."""
    domains = domains if isinstance(domains, tuple) else (domains,)
    name = name or function.__name__.strip("_")
    if name in registry:
        raise ValueError(f"{name} is described twice")
    if kind == "piecewise" and not kinks:
        raise ValueError(f"{name} is piecewise: say what is taken at its kinks")
    registry[name] = Entry(
        name, function, reference, kind, domains, cases, kinks, arity
    )
