"""The optimizer: parameters, their state, and a step that updates each in place."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from operator import is_not
from typing import Any

import numpy as np

from ..core import recording
from ..core.errors import GraphError
from ..core.node import Leaf
from ..core.recording import host
from ..core.tensor import Tensor, memories
from ..core.writes import record_write, stamp, watched
from .joined import joined, shared_scratch

Array = np.ndarray[Any, Any]
Schedule = Callable[[int], float]


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
    return lambda step: lr * (1 / (1 + decay * step))


class Optimizer:
    """What the optimizers share: parameters, the rate in force, the step.

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
        Steps taken.
    """

    buffers = 0
    """Arrays of state for each parameter, zero at first."""

    scratch = 1
    """Arrays an update of a parameter may overwrite."""

    def __init__(
        self, params: Iterable[Any], lr: float | Schedule, decay: float = 0.0
    ) -> None:
        self.params: list[Tensor] = list(params)
        name = type(self).__name__
        if not self.params:
            raise ValueError(f"{name}: expected at least one parameter, got none")
        for i, p in enumerate(self.params):
            if type(p) is not Tensor or type(p.node) is not Leaf:
                raise TypeError(
                    f"{name}: parameter {i} must be a Tensor made with "
                    f"requires_grad=True, got {p!r:.60}"
                )
        if len(set(self.params)) < len(self.params):
            raise ValueError(f"{name}: a parameter is given twice; pass each once")
        self.decay = _at_least_zero(name, "decay", decay)
        self._steps = 0
        self.lr = lr
        self.state = [
            [np.zeros_like(p.data) for _ in range(self.buffers)] for p in self.params
        ]
        self._scratch = shared_scratch(self.params, self.scratch)
        self._joined = joined(self.params, self.state, self.scratch)
        self._seen: list[Array] | None = None
        """The arrays of the last step; `_owners` are the ids of their memory."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Optimizer:
        twin = copy.copy(self)
        memo[id(self)] = twin
        # A copy of each view would not share memory with what it is a view of.
        own = vars(self) | {"_joined": None, "_seen": None}
        vars(twin).update(copy.deepcopy(own, memo))
        twin._joined = joined(twin.params, twin.state, twin.scratch)
        return twin

    @property
    def lr(self) -> float:
        """The rate in force."""
        rate: float = _read(self, "_rate")
        return rate

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        _set_rate(self, lr)

    def _begin_with(self, lr: float | Schedule) -> None:
        if callable(lr):
            if self.decay:
                raise ValueError("give either a schedule or decay, not both")
            self._schedule = lr
        else:
            lr = _at_least_zero(type(self).__name__, "lr", lr)
            decay = self.decay
            self._schedule = inverse_time(lr, decay) if decay else lambda step: lr
        self._rate = self._rate_now()

    @property
    def steps(self) -> int:
        """Steps taken."""
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
        """
        gradients = self._gradients()
        if recording.recorders:
            recording.part(f"{type(self).__name__}.step", self._recorded, gradients)
        else:
            self._apply_joined(gradients, self._advance())

    def _recorded(self, gradients: list[Array]) -> None:
        state = recording.adopted_rows(self.state)
        scratch = recording.adopted_rows(self._scratch, scratch=True)
        self._apply(gradients, state, scratch, _advanced(self))

    def _apply_joined(self, gradients: list[Array], factors: tuple[float, ...]) -> None:
        """Update the parameters, small ones together: NumPy's calls cost them most."""
        arrays = memories(self.params)
        alone: Iterable[int] = range(len(arrays))
        if self._joined is not None:
            alone = self._joined.others
            self.update(*self._joined.gathered(arrays, gradients), factors)
            self._joined.hand_back(arrays)
        for i in alone:
            given = arrays[i], gradients[i], self.state[i], self._scratch[i]
            self.update(*given, factors)
        if self._seen is None or any(map(is_not, arrays, self._seen)):
            self._seen, self._owners = arrays, watched(arrays)
        stamp(self._owners, f"{type(self).__name__}.step")

    def _apply(
        self,
        gradients: list[Array],
        state: list[list[Array]],
        scratch: list[list[Array]],
        factors: tuple[float, ...],
    ) -> None:
        arrays = [p._memory() for p in self.params]
        for given in zip(arrays, gradients, state, scratch, strict=True):
            self.update(*given, factors)
        record_write(arrays, f"{type(self).__name__}.step")

    def _advance(self) -> tuple[float, ...]:
        """Set the rate of this step, count it, and return what it is made with."""
        self._rate = self._rate_now()
        factors = self.factors()
        self._steps += 1
        return factors

    def factors(self) -> tuple[float, ...]:
        """Return the numbers of this step that `update` is given: here the rate.

        Whatever differs from step to step belongs here, and not into `update`, which
        a captured step does not run again.

        Returns
        -------
        tuple of float
            Here the rate alone.
        """
        return (self._rate,)

    def _rate_now(self) -> float:
        rate = self._schedule(self._steps)
        return _at_least_zero(type(self).__name__, "the scheduled lr", rate)

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

    def update(
        self,
        w: Array,
        g: Array,
        state: list[Array],
        scratch: list[Array],
        factors: tuple[float, ...],
    ) -> None:
        """Write the updated parameter into `w`, and the new state in place.

        Parameters
        ----------
        w : ndarray
            The parameter's values, overwritten.
        g : ndarray
            Its gradient, left as it is.
        state : list of ndarray
            As many arrays as `buffers` says, zero before the first step; overwritten.
        scratch : list of ndarray
            As many as the class's `scratch` says; what they hold is of no interest.
        factors : tuple of float
            The numbers of this step, from `factors`.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update")


@host
def _advanced(optimizer: Optimizer) -> tuple[float, ...]:
    return optimizer._advance()


@host
def _set_rate(optimizer: Optimizer, lr: float | Schedule) -> None:
    optimizer._begin_with(lr)


@host
def _read(optimizer: Optimizer, name: str) -> Any:
    """Return a number that each step changes."""
    return getattr(optimizer, name)


def _at_least_zero(name: str, what: str, value: float) -> float:
    """Return a setting that must not be negative, nor infinite."""
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: {what} must be finite and at least 0, got {value}")
    return float(value)


def _below_one(name: str, what: str, value: float) -> float:
    """Return a setting that must be from 0 to below 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name}: {what} must be from 0 to below 1, got {value}")
    return float(value)
