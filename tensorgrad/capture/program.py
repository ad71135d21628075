"""The program: the NumPy calls of one step, in order, and the values between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..core.place import Place
from ..facts import Kind, described
from .listing import listing
from .values import Array as Array
from .values import Constant as Constant
from .values import Input as Input
from .values import Live as Live
from .values import Number as Number
from .values import Result as Result
from .values import Value as Value
from .values import View as View
from .values import filled as filled
from .values import layout as layout
from .values import leaves as leaves
from .values import owner as owner


@dataclass(eq=False)
class Call:
    """One call of the program.

    Parameters
    ----------
    function : callable
        A ufunc, a bound method of one (``np.add.reduce``), a function of NumPy's, or
        any function of arrays and numbers: called with the arrays at replay. One with
        a true attribute ``into`` takes arrays to write its results to as its last
        arguments; they share no memory with the others. Where calls follow one another
        whose functions have an attribute ``chained``, it makes one function of them.
    args : tuple
        What it is called with; values and numbers stand anywhere within tuples, lists
        and dicts, all else is the same in every call.
    kwargs : dict
        The like, by name.
    results : tuple of Value or Number
        What comes back: Results, new with this call, Views of what it is called with,
        or Numbers. Several where the function returns a tuple, none where it returns
        nothing.
    writes : tuple of Value
        What the call writes in place; ``out=`` of a ufunc is among the kwargs then.
    pure : bool
        Nothing happens besides: without use of its results it need not be made. Host
        calls (the count of steps, a draw of random numbers) are not pure.
    origin : str
        For the reader: "matmul", "gradient of relu", "SGD.step".
    quiet : bool
        Overflow and invalid values are no news in it, as in the walk of eager mode.
    place : Place, optional
        The line of the user's code it came from.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    results: tuple[Value | Number, ...] = ()
    writes: tuple[Value, ...] = ()
    pure: bool = True
    origin: str = ""
    quiet: bool = False
    place: Place | None = None

    @cached_property
    def reads(self) -> list[Value | Number]:
        """The values and numbers among the arguments, repeated ones too."""
        return leaves(*self.args, *self.kwargs.values())

    @property
    def name(self) -> str:
        """NumPy's name for what is called: ``np.add.reduce`` is a "sum"."""
        return described(self.function).name

    @property
    def label(self) -> str:
        """Its name, and the operation that it is part of."""
        part = self.origin not in ("", self.name)
        return f"{self.name} ({self.origin})" if part else self.name

    @property
    def writes_last(self) -> bool:
        """Whether the function takes arrays to write to as its last arguments."""
        return getattr(self.function, "into", False)

    @property
    def kind(self) -> Kind:
        """What it does: "elementwise", "reduction", "shape", "linear algebra", ..."""
        return described(self.function).kind

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by name, with defaults; by position where there is no name."""
        return described(self.function).bound(self.args, self.kwargs)


@dataclass
class Program:
    """The NumPy calls of a step, and the results that it returns.

    Iterating gives the calls in order; printing shows them.

    Parameters
    ----------
    inputs : list of Input
        Arrays the step is called with.
    numbers : list of Number
        Numbers the step is called with.
    calls : list of Call
        Also those that only make a view: a transpose, a reshape, a slice.
    returned : list of Value or Number
        What the step returns, in order.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> w = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    >>> step = tg.compile(lambda x: (x @ w.T).sum())
    >>> for _ in range(2):
    ...     loss = step(np.ones((3, 2)))
    >>> (program,) = step.programs
    >>> [call.name for call in program]
    ['transpose', 'matmul', 'sum']
    >>> print(program)
    arrays from outside
      x1  float64(3, 2)  argument
      p1  float64(1, 2)  live, outside
    <BLANKLINE>
    calls
      1  v1 = transpose(p1, None)                 float64(2, 1)  transpose
      2  r1 = matmul(x1, v1)                      float64(3, 1)  matmul
      3  r2 = sum(r1, axis=None, keepdims=False)  float64()      sum
    <BLANKLINE>
    returns r2
    """

    inputs: list[Input]
    numbers: list[Number]
    calls: list[Call]
    returned: list[Value | Number]

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    @cached_property
    def lives(self) -> list[Live]:
        """The arrays from outside that are read or written to.

        Returns
        -------
        list of Live
            Each once.
        """
        used = [v for c in self.calls for v in (*c.reads, *c.writes, *c.results)]
        owners = dict.fromkeys(map(owner, [*used, *self.returned]))
        return [v for v in owners if isinstance(v, Live)]

    def __str__(self) -> str:
        return listing(self)


def written_by(program: Program) -> list[Live]:
    """Return the arrays outside that a program writes to."""
    owners = (owner(w) for call in program.calls for w in call.writes)
    return [v for v in dict.fromkeys(owners) if isinstance(v, Live)]


def without_views(program: Program) -> Program:
    """Return the program without calls that only make views.

    A replay needs none: it makes each view once, by where it lies in memory.
    """
    calls = map(_without_views, program.calls)
    return replace(
        program, calls=[c for c in calls if c.results or c.writes or not c.pure]
    )


def _without_views(call: Call) -> Call:
    new = tuple(r for r in call.results if not isinstance(r, View))
    return call if len(new) == len(call.results) else replace(call, results=new)
