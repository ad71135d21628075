"""Functions of one sample, called for all at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import count
from typing import Any, Literal, TypeVar

import numpy as np

from ..core.draws import Draws, generators_of
from ..core.node import clock
from ..core.observe import current_recorder, recorded_by
from ..core.primitive import primitive
from ..core.tensor import Tensor, as_array, wrap
from ..core.tree import leaves, mapped, nest, refilled
from .batched import Batched, Lanes, refusal
from .trace import tracked

R = TypeVar("R")
Axes = Any
Randomness = Literal["different", "same"]

_serial = count(1)


@primitive
def hidden(x, lanes, axis):  # type: ignore[no-untyped-def]
    """The array of one sample, of all along an axis."""
    return Batched(np.moveaxis(x, axis, 0), lanes)


@primitive
def stacked(x, lanes, axis):  # type: ignore[no-untyped-def]
    """The arrays of all samples along an axis, of that of one."""
    return np.moveaxis(lanes.stacked(x), 0, axis)


@primitive
def shared(x, lanes):  # type: ignore[no-untyped-def]
    """An array that all samples share: its gradient is the sum of theirs."""
    return x


@primitive
def total(x, lanes):  # type: ignore[no-untyped-def]
    """The sum over all samples, once for what all of them share."""
    return np.add.reduce(x.array, axis=0) if lanes.has(x) else x


hidden.vjp(x=lambda g, lanes, axis: stacked(g, lanes, axis))
stacked.vjp(x=lambda g, lanes, axis: hidden(g, lanes, axis))
shared.vjp(x=lambda g, lanes: total(g, lanes))
total.vjp(x=lambda g, lanes: shared(g, lanes))


class Nobody:
    """What is asked where no recorder takes part."""

    writer = None

    def entered(self, op: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
        """Return an operation and its arguments as they are."""
        return op, args, kwargs

    def array(self, x: Any) -> Any:
        """Return the array of a tensor; anything else as it is."""
        return x._value if type(x) is Tensor else x

    def receive(self, tensor: Any) -> None:
        """Note nothing."""

    def host(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call a function."""
        return function(*args, **kwargs)

    def scratch(self, x: Any) -> Any:
        """Return an array as it is."""
        return x

    def within(self, origin: str) -> AbstractContextManager[None]:
        """Label nothing."""
        return nullcontext()


class Mapper:
    """Takes part in the operations of a mapped function.

    A tensor of before the mapping is shared by all samples. Where one is used, what
    flows back to it is summed. Random numbers are drawn for each sample, or once.

    Parameters
    ----------
    size : int
        Number of samples.
    randomness : {"different", "same"}, optional
        As of `vmap`.
    quiet : bool
        Whether nothing is said about what is called for each sample in turn.
    before : Mapper, optional
        That of the chunk before: what it drew once is the same for this one.
    """

    def __init__(
        self,
        size: int,
        randomness: Randomness | None,
        quiet: bool = False,
        before: Mapper | None = None,
    ) -> None:
        recorder = current_recorder()
        path = recorder.lanes.path if isinstance(recorder, Mapper) else ()
        self.lanes: Lanes = Lanes((*path, -next(_serial)), size, quiet)
        self.start = next(clock)
        self.randomness = randomness
        self.numbers: list[Any] = []
        self.earlier = iter(before.numbers if before else ())
        self.draws = Draws()
        self.outer: Any = recorder or Nobody()
        self.writer: Any = self.outer.writer
        self.receive: Any = self.outer.receive
        self.scratch: Any = self.outer.scratch
        self.within: Any = self.outer.within

    def entered(self, op: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
        """Return an operation with arguments that it can be called with."""
        if op is not shared:
            args, kwargs = mapped((args, kwargs), self._entering)
        if any(map(_is_batched, leaves((args, kwargs)))):
            # The calls within are written down.
            return op, mapped(args, self._value), mapped(kwargs, self._value)
        entered: tuple[Any, Any, Any] = self.outer.entered(op, args, kwargs)
        return entered

    def _entering(self, x: Any) -> Any:
        if type(x) is not Tensor or x.node is None or x.node.index > self.start:
            return x
        return shared(x, self.lanes)

    def _value(self, x: Any) -> Any:
        if type(x) is Tensor:
            value = self.array(x)
            return x if value is x._value else wrap(value, x.node)
        return self.array(x) if isinstance(x, np.ndarray) else x

    def array(self, x: Any) -> Any:
        """Return what stands for the array of a tensor, for an array, or a number."""
        if _is_batched(x):
            return x._value if type(x) is Tensor else x
        return self.outer.array(x)

    def host(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Draw random numbers, for each sample or for all."""
        if self.randomness is None:
            raise refusal(
                f"calls {function.__name__}, as random numbers are drawn",
                "say randomness='different' (for each sample) or 'same'",
            )
        draw = functools.partial(self.outer.host, function, args, kwargs)
        if self.randomness == "same":
            earlier = next(self.earlier, None)
            self.numbers.append(draw() if earlier is None else earlier)
            return self.numbers[-1]
        self.draws.look()
        drawn = np.stack([draw() for _ in range(self.lanes.size)])
        self.draws.mark()
        return self.lanes.wrap(drawn)

    def run(self, f: Callable[..., R], args: Any, kwargs: Any) -> R:
        """Call a function; refuse what it draws past the engine, once for all."""
        if self.randomness != "same":
            self.draws = Draws(generators_of(f))
        output = f(*args, **kwargs)
        self.draws.look()
        if self.draws.drawn is not None:
            raise refusal(
                f"draws from a {type(self.draws.drawn).__name__} itself, which gives "
                "the same numbers for all samples",
                "draw before and map over the numbers, or say randomness='same'",
            )
        return output

    def stacked(self, y: Any, axis: int | None) -> Any:
        """Return a result of all samples."""
        if axis is None:
            if _is_batched(y):
                raise refusal(
                    "has a result that differs from sample to sample, where out_axes "
                    "is None",
                    "say where to stack it",
                )
            return y
        is_array = isinstance(y, Tensor | np.ndarray | np.generic | int | float)
        return stacked(y, self.lanes, axis) if is_array else y


def _is_batched(x: Any) -> bool:
    return type(x._value if type(x) is Tensor else x) is Batched


def vmap(
    f: Callable[..., R],
    in_axes: Axes = 0,
    out_axes: Axes = 0,
    *,
    randomness: Randomness | None = None,
    chunk_size: int | None = None,
) -> Callable[..., R]:
    """Return a function that calls `f`, written for one sample, for all at once.

    The result is that of a loop over the samples with its results stacked, computed
    by NumPy's own batching. It goes inside and outside of all transforms and of
    :func:`compile`. `f` is called once, so what it prints or counts happens once, and
    what it draws from NumPy itself is the same for all samples. That is refused where
    `f` names the generator, unless `randomness` is "same".

    Parameters
    ----------
    f : callable
        Takes and returns numbers, arrays and tensors, nested or not.
    in_axes : int, None or nest
        The axis of the samples in each positional argument, None for what all share:
        one for all of them, or a tuple with one for each, which may be nested as the
        argument is. Keyword arguments are shared.
    out_axes : int, None or nest
        Where to stack results; None for what is the same for all samples.
    randomness : {"different", "same"}, optional
        Whether each sample has random numbers of its own. There must be one where `f`
        draws some.
    chunk_size : int, optional
        Samples that are computed at once, which bounds the memory; all by default.

    Returns
    -------
    callable
        Of the same arguments with an axis more, where `in_axes` says so. Plain arrays
        give plain arrays.

    Raises
    ------
    TypeError, ValueError
        When called: an argument without the axis, no axis at all, different numbers
        of samples, Python that looks at values, results of different shapes.

    Warns
    -----
    PerformanceWarning
        Where a function is called for each sample in turn.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> xs = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.vmap(tg.grad(lambda w, x: (x @ w) ** 2), (None, 0))(np.ones(2), xs)
    array([[ 6., 12.],
           [42., 56.]])
    """
    if randomness not in (None, "different", "same"):
        raise ValueError(
            f"vmap: randomness must be 'different' or 'same', got {randomness!r}"
        )

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        axes = _spread(in_axes, args, "in_axes")
        xs = [*map(_with_axis, leaves(args, nest), axes)]
        step = chunk_size or _size(xs, axes) or 1
        results, mapper = [], None
        for some in _chunks(xs, axes, step):
            mapper = Mapper(_size(some, axes), randomness, before=mapper)
            output, ys, out = _call(mapper, f, args, some, axes, kwargs, out_axes)
            results.append(ys)
        ys = results[0] if len(results) == 1 else [*map(_join, out, *results)]
        return refilled(output, _in_kind(ys, leaves(args, nest)), nest)

    return transformed


def map_quietly(f: Callable[..., list[Any]], x: Any, chunk_size: int) -> list[Any]:
    """Map over the first axis of one array, without a warning of what is looped."""
    results = []
    for start in range(0, len(x), chunk_size):
        some = x[start : start + chunk_size]
        mapper = Mapper(len(some), None, quiet=True)
        some = some if type(some) is Tensor else wrap(some, None)
        results.append(_call(mapper, f, (some,), [some], [0], {}, 0)[1])
    ys = (
        results[0]
        if len(results) == 1
        else [*map(_join, [0] * len(results[0]), *results)]
    )
    return _in_kind(ys, [x])


def _call(
    mapper: Mapper,
    f: Callable[..., Any],
    args: Any,
    xs: Sequence[Any],
    axes: Sequence[int | None],
    kwargs: Any,
    out_axes: Axes,
) -> tuple[Any, list[Any], list[int | None]]:
    """Return the output of a mapped call, its stacked leaves, and where they are."""
    hide = partial(_hide, lanes=mapper.lanes)
    with recorded_by(mapper):
        output = mapper.run(f, refilled(args, map(hide, xs, axes), nest), kwargs)
        out = _spread(out_axes, output, "out_axes")
        return output, [*map(mapper.stacked, leaves(output, nest), out)], out


def _in_kind(ys: list[Any], inputs: list[Any]) -> list[Any]:
    """Return plain arrays of plain arguments, outside of the graph of others."""
    if any(type(x) is Tensor for x in inputs) or any(map(tracked, ys)):
        return ys
    return [y._value if type(y) is Tensor else y for y in ys]


def _spread(axes: Axes, tree: Any, name: str) -> list[int | None]:
    """Return the axis of each leaf of a nest."""
    if axes is None or isinstance(axes, int):
        return [axes] * len(leaves(tree, nest))
    ours, theirs = nest(axes), nest(tree)
    if ours is None or theirs is None or {*ours.keys(axes)} != {*theirs.keys(tree)}:
        raise ValueError(
            f"vmap: {name} must be an integer, None, or a nest of these like what it "
            f"is for, got {axes!r}"
        )
    by_key = dict(zip(ours.keys(axes), ours.values(axes), strict=True))
    items = zip(theirs.keys(tree), theirs.values(tree), strict=True)
    return [axis for key, x in items for axis in _spread(by_key[key], x, name)]


def _with_axis(x: Any, axis: int | None) -> Any:
    """Return a tensor of what is mapped over, anything else as it is."""
    if axis is None:
        return x
    x = x if type(x) is Tensor else wrap(as_array(x), None)
    if x.dtype.kind not in "fiub" or not -x.ndim <= axis < x.ndim:
        raise TypeError(
            f"vmap: expected an array of real numbers with an axis {axis} to map over, "
            f"got shape {x.shape} and dtype {x.dtype}; what all samples share has None "
            "in in_axes"
        )
    return x


def _size(xs: Sequence[Any], axes: Sequence[int | None]) -> int:
    """Return the number of samples."""
    sizes = {
        x.shape[axis]: i
        for i, (x, axis) in enumerate(zip(xs, axes, strict=True))
        if axis is not None
    }
    if len(sizes) != 1:
        raise ValueError(
            f"vmap: expected mapped axes of one length, got {[*sizes]}; what all "
            "samples share has None in in_axes"
        )
    return int(next(iter(sizes)))


def _chunks(
    xs: Sequence[Any], axes: Sequence[int | None], step: int
) -> Iterator[Sequence[Any]]:
    """Yield what to map over, `step` samples at a time."""
    size = _size(xs, axes)
    if step >= size:
        yield xs
        return
    for start in range(0, size, step):
        yield [
            x if axis is None else x[along(axis, x.ndim, slice(start, start + step))]
            for x, axis in zip(xs, axes, strict=True)
        ]


def along(axis: int, ndim: int, part: Any) -> tuple[Any, ...]:
    """Return the index of a part along an axis."""
    return (*[slice(None)] * (axis % ndim), part)


def _hide(x: Any, axis: int | None, lanes: Lanes) -> Any:
    return x if axis is None else hidden(x, lanes, axis)


def _join(axis: int | None, *parts: Any) -> Any:
    return parts[0] if axis is None else np.concatenate(parts, axis)
