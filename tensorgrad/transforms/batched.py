"""Arrays with a hidden first axis: what a function is mapped over.

A `Batched` stands for the array of one sample, and holds those of all, stacked. A call
of a NumPy function is made for all at once where `batching` has a rule for it, else for
one after the other.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..core.duck import DuckArray
from ..core.errors import PerformanceWarning
from ..core.foreign import DISPATCHED, NATIVE, invoke, memory_of
from ..core.place import Place, user_level, user_place
from ..core.tree import leaves, mapped, refilled
from ..facts import Facts, facts_of
from .batching import outline, rule_of

Function = Callable[..., Any]


class BatchError(TypeError):
    """A function cannot be mapped: its Python depends on the values of a sample."""


def refusal(what: str, remedy: str) -> BatchError:
    """Return the error for what a mapped function does, with the user's line."""
    return BatchError(f"tg.vmap: {Place(*user_place())}: the function {what}; {remedy}")


class Batched(DuckArray):
    """An array for each sample, of which a mapped function sees one.

    Attributes
    ----------
    array : array
        All of them, stacked along the first axis; of any kind.
    lanes : Lanes
        The mapping that it belongs to.
    """

    __slots__ = ("__weakref__", "array", "lanes")
    precedence = 1

    def __init__(self, array: Any, lanes: Lanes) -> None:
        self.array = array
        self.lanes = lanes

    # An array to those who ask, as the operations do.
    __class__ = property(lambda self: np.ndarray)
    shape = property(lambda self: self.array.shape[1:])
    dtype = property(lambda self: self.array.dtype)
    scalar = property(lambda self: self.array.ndim == 1)
    strides = property(lambda self: self.array.strides[1:])
    flags = property(lambda self: self.array.flags)
    base = property(lambda self: self.array.base)
    memory = property(lambda self: memory_of(self.array))

    def call(
        self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a function for all samples at once."""
        if (
            type(function) is np.ufunc
            and not kwargs
            and not _LISTS & {*map(type, args)}
        ):
            return _of_elements(function, args)
        every = [x.lanes for x in leaves((args, kwargs)) if type(x) is Batched]
        return max(every, key=_path).call(function, args, kwargs)

    def unreadable(self, how: str) -> Exception:
        """Return the error for a value that Python reads."""
        return refusal(
            f"reads a value in Python, by {how}, which differs from sample to sample",
            "choose with np.where, index with tg.Tensor(table)[index], or map over "
            "something else (in_axes)",
        )

    def unassignable(self) -> Exception:
        """Return the error for replacing the array of a tensor."""
        return refusal("assigns .data", "return a new tensor")

    def __repr__(self) -> str:
        return f"<array for each of {self.lanes.size} samples, shape {self.shape}>"

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()


_path = operator.attrgetter("path")
_LISTS = {list, tuple}


def _of_elements(function: np.ufunc, args: tuple[Any, ...]) -> Any:
    """Call a ufunc by the rule of elementwise functions, in a fraction of its time."""
    lanes = max([x.lanes for x in args if type(x) is Batched], key=_path)
    if function.signature is not None or len(args) > function.nin:
        return lanes.call(function, args, {})
    ndim = max([getattr(x, "ndim", 0) for x in args])
    y = invoke(function, tuple([lanes.full(x, ndim) for x in args]), {})
    return Batched(y, lanes) if type(y) is not tuple else lanes.wrap(y)


class Lanes:
    """One mapping: where it stands among others, and over how many samples it goes.

    A mapping within another, and one whose backward pass is mapped over later, hold
    arrays of that one: they are the greater.
    """

    __slots__ = ("path", "quiet", "size")

    def __init__(self, path: tuple[int, ...], size: int, quiet: bool) -> None:
        self.path = path
        self.size = size
        self.quiet = quiet

    def has(self, x: Any) -> bool:
        """Whether `x` differs from sample to sample."""
        return type(x) is Batched and x.lanes is self

    def full(self, x: Any, ndim: int = 0) -> Any:
        """Return the arrays of all samples, with `ndim` axes behind the hidden one."""
        if not self.has(x):
            return x
        missing = ndim - x.ndim
        if missing <= 0:
            return x.array
        return x.array.reshape((self.size, *[1] * missing, *x.shape))

    def stretched(self, x: Any) -> Any:
        """Return the same, also of an array that all samples share."""
        if self.has(x):
            return x.array
        return np.broadcast_to(x, (self.size, *np.shape(x)))

    def stacked(self, x: Any) -> Any:
        """Return the same, in memory of its own where all samples share the array."""
        return x.array if self.has(x) else self.stretched(x).copy()

    def wrap(self, result: Any) -> Any:
        """Return results, stacked, as those of one sample."""
        return mapped(result, self._wrapped)

    def _wrapped(self, x: Any) -> Any:
        is_array = isinstance(x, np.ndarray | np.generic)
        return Batched(x, self) if is_array else x

    def sample(self, x: Any, i: int) -> Any:
        """Return what one sample has."""
        if not self.has(x):
            return x
        return x.array[i]

    def call(
        self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a function for all samples: at once where there is a line for it."""
        facts = facts_of(function)
        if facts.kind == "question":
            return function(*mapped(args, outline), **mapped(kwargs, outline))
        target = kwargs.get("out")
        # Binding the arguments takes long.
        asks = facts.writes is not Facts.writes
        writes = DISPATCHED.get(function) or (
            asks and facts.writes(facts.bound(args, kwargs))
        )
        for x in (target, args[0] if writes else None):
            if x is not None and not self.has(x):
                raise refusal(
                    "writes the results of samples to an array that all of them share",
                    "return them, or make the array of an argument (np.zeros_like)",
                )
        rule = rule_of(function, facts)
        answer = rule(self, function, args, kwargs) if rule else NotImplemented
        if answer is NotImplemented:
            answer = self._loop(function, args, kwargs)
        return self.wrap(answer) if target is None else target

    def _loop(self, function: Function, args: Any, kwargs: Any) -> Any:
        """Call a function for each sample, and stack the results."""
        if function not in DISPATCHED and not self.quiet:
            warnings.warn(
                f"tg.vmap: {facts_of(function).name} is called for each of "
                f"{self.size} samples in turn",
                PerformanceWarning,
                stacklevel=user_level(),
            )
        results = []
        for i in range(self.size):
            sample = partial(self.sample, i=i)
            results.append(
                _of_sample(function, mapped(args, sample), mapped(kwargs, sample))
            )
        every = zip(*map(leaves, results), strict=True)
        return refilled(results[0], map(_stacked, every))


def _stacked(results: Sequence[Any]) -> Any:
    """Return the stacked results of samples, None where there is none."""
    if not hasattr(results[0], "dtype"):
        if any(r != results[0] for r in results):
            raise refusal("has other results in Python for some samples", "use arrays")
        return results[0]
    if len({np.shape(r) for r in results}) > 1:
        shapes = sorted({np.shape(r) for r in results})
        raise refusal(
            f"has results of different shapes for some samples, {shapes[0]} and "
            f"{shapes[1]}",
            "use np.where, which keeps the shape",
        )
    return np.stack(results)


def _of_sample(function: Function, args: Any, kwargs: Any) -> Any:
    """Call a function for a sample, whose scalars have methods of their own."""
    name = getattr(function, "__name__", "")
    if isinstance(args[0], np.generic) and getattr(np.ndarray, name, None) is function:
        function = getattr(type(args[0]), name)
    return invoke(function, args, kwargs)


NATIVE.add(Lanes)
