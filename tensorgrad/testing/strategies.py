"""Hypothesis strategies for arrays to check gradients at.

Values are pairwise different and far apart compared with a difference step, so that a
property that fails does so for its gradient and not for a tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

try:
    from hypothesis import strategies as st
    from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes
except ImportError as error:
    from ..extras import missing

    raise missing("hypothesis", "test", "tensorgrad.testing.strategies") from error

from ..ops.support.registry import Domain, Entry, registry
from .calls import LAYOUTS, Call, lay_out
from .problem import Array

__all__ = [
    "arrays",
    "broadcastable",
    "calls",
    "domains",
    "layouts",
    "repeated",
    "shapes",
]


def layouts() -> st.SearchStrategy[str]:
    """Draw a memory layout: C, F, strided, reversed (negative strides), read-only.

    Returns
    -------
    strategy of str
        The name of a layout.
    """
    return st.sampled_from(LAYOUTS)


def shapes(
    max_dims: int = 3, max_side: int = 4, empty: bool = True
) -> st.SearchStrategy[tuple[int, ...]]:
    """Draw a shape, of no axes and empty ones too.

    Parameters
    ----------
    max_dims : int
        Most axes.
    max_side : int
        Greatest length of an axis.
    empty : bool
        Whether a length may be 0.

    Returns
    -------
    strategy of tuple of int
        Shapes.
    """
    least = 0 if empty else 1
    return array_shapes(
        min_dims=0, max_dims=max_dims, min_side=least, max_side=max_side
    )


def domains(
    low: float = -3.0,
    high: float = 3.0,
    away_from: Sequence[float] = (),
    margin: float = 0.05,
) -> Domain:
    """Return an interval to draw from, at least `margin` from some points.

    Parameters
    ----------
    low, high : float
        Its ends.
    away_from : sequence of float
        Points to keep away from, such as kinks and poles.
    margin : float
        How far.

    Returns
    -------
    Domain
        To be passed to :func:`arrays` or :func:`broadcastable`.
    """
    return Domain(low, high, tuple(away_from), margin)


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]] | None = None,
    domain: Domain | None = None,
    dtype: DTypeLike | st.SearchStrategy[DTypeLike] = np.float64,
    layout: str | st.SearchStrategy[str] | None = None,
) -> Array:
    """Draw an array of different values.

    Parameters
    ----------
    shape : tuple of int or strategy, optional
        Any of :func:`shapes` by default.
    domain : Domain, optional
        The range of the values; -3 to 3 by default. See :func:`domains`.
    dtype : dtype or strategy
        Of the array.
    layout : str or strategy, optional
        Any of :func:`layouts` by default.

    Returns
    -------
    strategy of array
        Arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given
    >>> from tensorgrad.testing import gradcheck, strategies
    >>> @given(strategies.arrays(domain=strategies.domains(away_from=[0.0])))
    ... def test_absolute(x):
    ...     gradcheck(np.absolute, x)
    """
    size = _drawn(draw, shapes() if shape is None else shape)
    order = _drawn(draw, layouts() if layout is None else layout)
    x = (domain or Domain()).sample(_rng(draw), size)
    return lay_out(x.astype(_drawn(draw, dtype)), order)


@st.composite
def broadcastable(
    draw: st.DrawFn,
    count: int = 2,
    domain: Domain | Sequence[Domain] | None = None,
    max_dims: int = 3,
    max_side: int = 4,
) -> tuple[Array, ...]:
    """Draw arrays whose shapes broadcast, of values that differ between them too.

    Parameters
    ----------
    count : int
        How many.
    domain : Domain or sequence of Domain, optional
        From where the values are, of each array.
    max_dims, max_side : int
        Of the shapes.

    Returns
    -------
    strategy of tuple of array
        As many arrays as `count` says.
    """
    several = mutually_broadcastable_shapes(
        num_shapes=count, max_dims=max_dims, min_side=0, max_side=max_side
    )
    kinds = list(domain) if isinstance(domain, Sequence) else [domain] * count
    rng, order = _rng(draw), draw(layouts())
    drawn = []
    for k, shape in enumerate(draw(several).input_shapes):
        x = (kinds[k] or Domain()).sample(rng, shape, (k + 1) / (count + 1))
        drawn.append(lay_out(x, order))
    return tuple(drawn)


@st.composite
def repeated(draw: st.DrawFn, /, count: int = 2, **options: Any) -> tuple[Array, ...]:
    """Draw an array and give it `count` times, for f(x, x).

    Parameters
    ----------
    count : int
        How many times.
    **options : as in :func:`arrays`
        What to draw.

    Returns
    -------
    strategy of tuple of array
        The same array each time.
    """
    return (draw(arrays(**options)),) * count


@st.composite
def calls(draw: st.DrawFn, operation: str | Entry) -> Call:
    """Draw a call of a described operation: a function, and its ``arrays``.

    Parameters
    ----------
    operation : str or Entry
        Name in the registry, or its entry.

    Returns
    -------
    strategy of Call
        Calls.
    """
    entry = registry[operation] if isinstance(operation, str) else operation
    if entry.elementwise:
        several = mutually_broadcastable_shapes(
            num_shapes=entry.arity, max_dims=3, min_side=0, max_side=3
        )
        sizes: Any = draw(several).input_shapes
        kwargs: Any = {}
    else:
        chosen = draw(st.sampled_from(list(entry.cases)))
        sizes, kwargs = chosen.shapes, chosen.kwargs
    return Call(entry, sizes, kwargs, _rng(draw), draw(layouts()))


def _rng(draw: st.DrawFn) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def _drawn(draw: st.DrawFn, value: Any) -> Any:
    return draw(value) if isinstance(value, st.SearchStrategy) else value
