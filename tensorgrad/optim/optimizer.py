"""The optimizer: parameters, their state, and a step that updates each in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from operator import is_not, length_hint
from typing import Any

import numpy as np

from ..core.errors import GraphError
from ..core.node import Leaf
from ..core.observe import Recorder, current_recorder, host, observers
from ..core.tensor import Tensor, memories
from ..core.writes import addresses, record_write, stamp, watched
from .joined import joined, share_memory, shared_scratch
from .settings import at_least_zero

Array = np.ndarray[Any, Any]
Schedule = Callable[[int], float]
Group = tuple[Array, Array, list[Array], list[Array]]
"""Weights, gradients, state and scratch of what is updated at once."""


_DERIVED = ("_scratch", "_joined", "_taken", "_rows", "_arrays", "_memory")
"""Attributes that follow from the parameters and their state."""


def inverse_time(lr: float, decay: float) -> Schedule:
    """Learning rate lr / (1 + decay * step), as a function of the step from 0.

    Parameters
    ----------
    lr : float
        The rate at step 0.
    decay : float
        How fast it falls: it is halved at step ``1 / decay``.

    Returns
    -------
    callable
        Takes the step, returns the rate.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> rate = tg.optim.inverse_time(1.0, 0.01)
    >>> rate(0), rate(100)
    (1.0, 0.5)
    """
    return partial(_inverse_time, lr, decay)


def _inverse_time(lr: float, decay: float, step: int) -> float:
    return lr * (1 / (1 + decay * step))


class Optimizer:
    """What the optimizers share: parameters, the rate in force, the step.

    A subclass defines `update`, and says how many arrays of state that needs.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    decay : float
        With it, the rate is lr / (1 + decay * step).

    Attributes
    ----------
    lr : float
        The rate in force: that of the last step, at first the initial one. Assigning
        it sets a new initial rate.
    steps : int
        Steps taken; during an update, with this one: the t of the papers, from 1.
    params : list of Tensor
        May be changed between steps: the state of a parameter goes with it, and that
        of a new one is zero.
    state : list of list of ndarray
        For each parameter its arrays. What is assigned, or written to them, is what
        the next step uses and updates. Small parameters are updated together, which
        is faster, until one of their arrays is replaced: so write to them instead,
        ``optimizer.state[i][j][...] = saved``.
    """

    buffers = 0
    """Arrays of state for each parameter, zero at first."""

    temporaries = 0
    """Arrays of `scratch` that an update needs."""

    scratch: Sequence[Array] = ()
    """During an update, arrays like the parameter, to be overwritten with anything."""

    numbers: tuple[Any, ...] = ()
    """During an update, the numbers of the step, from `step_numbers`."""

    _set_in_each_step = ("scratch", "numbers")
    """What a replay need not compare with before, as nothing reads it between steps."""

    def __init__(
        self, params: Iterable[Tensor], lr: float | Schedule, decay: float = 0.0
    ) -> None:
        self.params: list[Tensor] = list(params)
        name = type(self).__name__
        _check_parameters(name, self.params)
        self.decay = at_least_zero(name, "decay", decay)
        self._steps = 0
        self.lr = lr
        self.state = [self._fresh(p, []) for p in self.params]
        self._begin()

    def _begin(self) -> None:
        """Compute what depends on the parameters and their state."""
        self._scratch = shared_scratch(self.params, self.temporaries)
        self._joined = joined(self.params, self.state, self.temporaries)
        self._take()

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to copy or pickle, without views of shared memory."""
        self._note_changes()
        state = vars(self).copy()
        for name in _DERIVED:
            del state[name]
        return state

    def __copy__(self) -> Optimizer:
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    @property
    def lr(self) -> float:
        """The rate in force."""
        rate: float = _read(self, "_rate")
        return rate

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        _set_rate(self, lr)

    def _begin_with(self, lr: float | Schedule) -> None:
        rate = lr if callable(lr) else at_least_zero(type(self).__name__, "lr", lr)
        self._initial: float | Schedule = rate
        self._rate = self._rate_now()

    @property
    def steps(self) -> int:
        """Steps taken, with the one that is being taken."""
        steps: int = _read(self, "_steps")
        return steps

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next backward starts afresh."""
        for p in self.params:
            p._grad = None

    def step(self) -> None:
        """Update every parameter from its gradient, in place.

        Raises
        ------
        GraphError
            If a parameter has no gradient. Nothing has been updated then.
        ValueError, TypeError
            If `params` or `state` were assigned what they cannot be.
        """
        self._note_changes()
        gradients, name = self._gradients(), f"{type(self).__name__}.step"
        if observers and (recorder := current_recorder()):
            self._record(recorder, gradients, name)
            return
        arrays = memories(self.params)
        if any(map(is_not, arrays, self._arrays)):
            self._take_memory(arrays)
        numbers = self._advance()
        try:
            self._update_all(self._groups(arrays, gradients), numbers)
        finally:
            stamp(self._memory, name)

    def _record(self, recorder: Recorder, gradients: list[Array], name: str) -> None:
        with recorder.within(name):
            arrays = [p._memory() for p in self.params]
            state = [[*map(recorder.array, row)] for row in self.state]
            scratch = [[*map(recorder.scratch, row)] for row in self._scratch]
            groups = zip(arrays, gradients, state, scratch, strict=True)
            self._update_all(groups, _advanced(self))
            record_write(arrays, name)

    def _groups(self, arrays: list[Array], gradients: list[Array]) -> Iterator[Group]:
        """Yield what is updated at once: small parameters together, others alone.

        NumPy's calls cost the small ones most.
        """
        alone: Iterable[int] = range(len(arrays))
        if self._joined is not None:
            alone = self._joined.others
            yield self._joined.gathered(arrays, gradients)
            self._joined.hand_back(arrays)
        for i in alone:
            yield arrays[i], gradients[i], self.state[i], self._scratch[i]

    def _update_all(self, groups: Iterable[Group], numbers: tuple[Any, ...]) -> None:
        self.numbers = numbers
        try:
            for w, g, state, self.scratch in groups:
                self.update(w, g, state)
        finally:
            # What a step leaves is the same after each: a captured one watches it.
            self.numbers = self.scratch = ()

    def _note_changes(self) -> None:
        """Adopt parameters and arrays of state that were replaced."""
        # An iterator would be empty when the step comes.
        self.params, self.state = _as_list(self.params), _as_list(self.state)
        rows = self.state
        now = (*self.params, *rows, *chain.from_iterable(rows), self._count())
        if len(now) != len(self._taken) or any(map(is_not, now, self._taken)):
            self._align()

    def _align(self) -> None:
        name, rows_of = type(self).__name__, self._rows
        _check_parameters(name, self.params)
        assigned = any(map(is_not, self.state, rows_of.values()))
        if len(self.state) == len(rows_of) and not assigned:
            rows = [self._fresh(p, rows_of.get(p, [])) for p in self.params]
            self.state[:] = rows
        _check_state(name, self.params, self.state, self._count(), rows_of)
        self.state[:] = map(_as_list, self.state)
        self._scratch = shared_scratch(self.params, self.temporaries)
        # Assigned arrays are updated themselves, one by one, not copies of them.
        self._joined = None
        self._take()

    def _take(self) -> None:
        """Note the parameters and their state, to see when they are replaced."""
        arrays = chain.from_iterable(self.state)
        self._taken = (*self.params, *self.state, *arrays, self._count())
        self._rows = dict(zip(self.params, self.state, strict=True))
        self._take_memory(memories(self.params))

    def _take_memory(self, arrays: list[Array]) -> None:
        self._arrays, self._memory = arrays, watched(arrays)
        if self._joined is not None and share_memory(arrays):
            self._joined = None

    def _count(self) -> int:
        """Return how many arrays of state each parameter needs now."""
        return self.buffers

    def _fresh(self, p: Tensor, row: list[Array]) -> list[Array]:
        """Return the state of a parameter, with zeros for what it lacks."""
        missing = self._count() - len(row)
        row.extend(np.zeros_like(p._value) for _ in range(missing))
        return row

    def _advance(self) -> tuple[Any, ...]:
        """Count a step, and return its numbers."""
        self._rate = self._rate_now()
        self._steps += 1
        return self.step_numbers()

    # Of whatever types `update` reads.
    def step_numbers(self) -> tuple[Any, ...]:
        """Return what `update` finds in `numbers`: here the rate.

        It is called once before each step, and before each replay of a captured one.
        So what differs from step to step belongs here if it uses Python's `math`.

        Returns
        -------
        tuple of float
            Here the rate alone.
        """
        return (self._rate,)

    def _rate_now(self) -> float:
        lr = self._initial
        if not callable(lr):
            lr = inverse_time(lr, self.decay)
        elif self.decay:
            raise ValueError("give either a schedule or decay, not both")
        rate = lr(self._steps)
        return at_least_zero(type(self).__name__, "the scheduled lr", rate)

    def _gradients(self) -> list[Array]:
        tensors: list[Any] = [p._grad for p in self.params]
        for i, gradient in enumerate(tensors):
            if gradient is None:
                raise GraphError(
                    f"{type(self).__name__}.step: parameter {i}, of shape "
                    f"{self.params[i].shape}, has no gradient; call backward() on a "
                    "loss that depends on it first"
                )
        return memories(tensors)

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Write the updated parameter into `w`, and its new state into `state`.

        It reads `lr` and `steps`, or faster `numbers`; with `out=` arrays of `scratch`
        it allocates nothing.

        Parameters
        ----------
        w : ndarray
            The values of a parameter, or of several small ones; overwritten.
        g : ndarray
            The gradient, left as it is.
        state : list of ndarray
            As many arrays as `buffers` says, zero before the first step; overwritten.
        """
        raise NotImplementedError(
            f"{type(self).__name__} defines no update(self, w, g, state)"
        )

    def __repr__(self) -> str:
        settings = {"lr": self.lr} | {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and isinstance(value, bool | int | float)
        }
        shown = (f"{name}={value:.4g}" for name, value in settings.items())
        count = length_hint(self.params)
        return f"{type(self).__name__}({', '.join(shown)}) of {count} parameters"


@host
def _advanced(optimizer: Optimizer) -> tuple[Any, ...]:
    return optimizer._advance()


@host
def _set_rate(optimizer: Optimizer, lr: float | Schedule) -> None:
    optimizer._begin_with(lr)


@host
def _read(optimizer: Optimizer, name: str) -> Any:
    """Return a number that each step changes."""
    return getattr(optimizer, name)


def _as_list(arrays: Iterable[Any]) -> list[Any]:
    return arrays if isinstance(arrays, list) else list(arrays)


def _check_parameters(name: str, params: list[Tensor]) -> None:
    """Raise for parameters that an optimizer cannot update."""
    if not params:
        raise ValueError(f"{name}: expected at least one parameter, got none")
    for i, p in enumerate(params):
        if type(p) is not Tensor or type(p.node) is not Leaf:
            raise TypeError(
                f"{name}: parameter {i} must be a Tensor made with "
                f"requires_grad=True, got {p!r:.60}"
            )
    if len(set(params)) < len(params):
        raise ValueError(f"{name}: a parameter is passed twice; pass each once")


def _check_state(
    name: str,
    params: list[Tensor],
    state: list[list[Array]],
    count: int,
    rows: dict[Tensor, list[Array]],
) -> None:
    """Raise for state that does not fit the parameters, or belongs to others."""
    if len(state) != len(params):
        raise ValueError(
            f"{name}.state: expected a list for each of {len(params)} parameters, got "
            f"{len(state)}; give the state of all, or change params alone"
        )
    owner = {id(row): p for p, row in rows.items()}
    for i, (p, row) in enumerate(zip(params, state, strict=True)):
        kinds = [(getattr(a, "shape", None), getattr(a, "dtype", None)) for a in row]
        arrays = all(type(a) is np.ndarray for a in row)
        if not arrays or len(row) < count or {*kinds} - {(p.shape, p.dtype)}:
            raise ValueError(
                f"{name}.state: expected {count} arrays of shape {p.shape} and dtype "
                f"{p.dtype} for parameter {i}, got {row!r:.60}"
            )
        if owner.get(id(row), p) is not p:
            raise ValueError(
                f"{name}.state: the state of parameter {i} is that of another one; "
                "keep the order of params and state the same"
            )
    _check_apart(name, [*memories(params), *chain.from_iterable(state)], len(params))


def _check_apart(name: str, arrays: list[Array], count: int) -> None:
    """Raise where state is the same memory as what comes before it among `arrays`.

    The first `count` are the parameters, which may share theirs.
    """
    seen = {*map(addresses, arrays[:count])}
    for a in arrays[count:]:
        if a.size and addresses(a) in seen:
            raise ValueError(
                f"{name}.state: two arrays are the same memory, which an update of one "
                "would change for the other; give each one of its own, as .copy() does"
            )
        seen.add(addresses(a))
