"""Optimizers: each updates its parameters in place, by one recurrence.

State stands beside its parameter in the order given, float32 parameters keep float32
state, and a step allocates nothing the size of a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, final

import numpy as np

from .core import recording
from .core.errors import GraphError
from .core.node import Leaf
from .core.recording import host
from .core.tensor import Tensor
from .core.writes import record_write

__all__ = ["SGD", "AdaGrad", "Adam", "Optimizer", "RMSProp", "inverse_time"]

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
        self._scratch = _shared_scratch(self.params, self.scratch)
        self._joined = _joined(self.params, self.state, self.scratch)

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
            p.grad = None

    def step(self) -> None:
        """Update every parameter from its gradient, in place.

        Raises
        ------
        GraphError
            If a parameter has no gradient. Nothing has been updated then.
        """
        gradients = [self._gradient(i, p) for i, p in enumerate(self.params)]
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
        arrays = [p._memory() for p in self.params]
        alone: Iterable[int] = range(len(arrays))
        if self._joined is not None:
            alone = self._joined.others
            self.update(*self._joined.gathered(arrays, gradients), factors)
            self._joined.hand_back(arrays)
        for i in alone:
            given = arrays[i], gradients[i], self.state[i], self._scratch[i]
            self.update(*given, factors)
        record_write(arrays, f"{type(self).__name__}.step")

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

    def _gradient(self, i: int, p: Tensor) -> Array:
        if p._grad is None:
            raise GraphError(
                f"{type(self).__name__}.step: parameter {i}, of shape {p.shape}, has "
                "no gradient; call backward() on a loss that depends on it first"
            )
        gradient: Array = p._grad._memory()
        return gradient

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


@final
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    ``v = momentum * v - lr * g``, ``w = w + v``.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    decay : float
        The rate is lr / (1 + decay * step).
    momentum : float
        From 0, plain descent, to below 1.
    lr_in_velocity : bool
        With False the rate multiplies the velocity only when it is applied:
        ``v = momentum * v + g``, ``w = w - lr * v``, as PyTorch does. The two differ
        once the rate changes.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 1.0,
        *,
        decay: float = 0.0,
        momentum: float = 0.0,
        lr_in_velocity: bool = True,
    ) -> None:
        self.momentum = _below_one("SGD", "momentum", momentum)
        self.lr_in_velocity = lr_in_velocity
        self.buffers = 1 if momentum else 0
        super().__init__(params, lr, decay)

    def update(
        self,
        w: Array,
        g: Array,
        state: list[Array],
        scratch: list[Array],
        factors: tuple[float, ...],
    ) -> None:
        """Apply the recurrence to one parameter."""
        (change,), (rate,) = scratch, factors
        if not self.momentum:
            w -= np.multiply(g, rate, out=change)
            return
        (v,) = state
        v *= self.momentum
        if self.lr_in_velocity:
            v -= np.multiply(g, rate, out=change)
            w += v
        else:
            v += g
            w -= np.multiply(v, rate, out=change)


@final
class AdaGrad(Optimizer):
    """Adaptive gradient descent: rates shrink with the squares seen so far.

    ``c = c + g**2``, ``w = w - lr * g / (sqrt(c) + eps)`` [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    decay : float
        The rate is lr / (1 + decay * step).
    eps : float
        Keeps the quotient finite.

    References
    ----------
    .. [1] Duchi, Hazan, Singer, "Adaptive subgradient methods", JMLR 12, 2011.
    """

    buffers = 1
    scratch = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 1.0,
        *,
        decay: float = 0.0,
        eps: float = 1e-7,
    ) -> None:
        self.eps = _at_least_zero("AdaGrad", "eps", eps)
        super().__init__(params, lr, decay)

    def update(
        self,
        w: Array,
        g: Array,
        state: list[Array],
        scratch: list[Array],
        factors: tuple[float, ...],
    ) -> None:
        """Apply the recurrence to one parameter."""
        (cache,), (rate,) = state, factors
        cache += np.multiply(g, g, out=scratch[0])
        w -= _scaled(g, rate, cache, self.eps, scratch)


@final
class RMSProp(Optimizer):
    """Root mean square propagation: rates follow a moving mean of squares.

    ``c = rho * c + (1 - rho) * g**2``, ``w = w - lr * g / (sqrt(c) + eps)`` [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    decay : float
        The rate is lr / (1 + decay * step).
    eps : float
        Keeps the quotient finite.
    rho : float
        Weight of the past in the mean, from 0 to below 1.

    References
    ----------
    .. [1] Tieleman, Hinton, "Lecture 6.5 - rmsprop", 2012.
    """

    buffers = 1
    scratch = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.001,
        *,
        decay: float = 0.0,
        eps: float = 1e-7,
        rho: float = 0.9,
    ) -> None:
        self.eps = _at_least_zero("RMSProp", "eps", eps)
        self.rho = _below_one("RMSProp", "rho", rho)
        super().__init__(params, lr, decay)

    def update(
        self,
        w: Array,
        g: Array,
        state: list[Array],
        scratch: list[Array],
        factors: tuple[float, ...],
    ) -> None:
        """Apply the recurrence to one parameter."""
        (cache,), (rate,) = state, factors
        _move_mean(cache, self.rho, np.multiply(g, g, out=scratch[0]))
        w -= _scaled(g, rate, cache, self.eps, scratch)


@final
class Adam(Optimizer):
    """Adaptive moments: momentum over a moving mean of squares, bias corrected.

    ``m = beta1 * m + (1 - beta1) * g``, ``c = beta2 * c + (1 - beta2) * g**2``,
    ``w = w - lr * (m / (1 - beta1**t)) / (sqrt(c / (1 - beta2**t)) + eps)`` with t
    from 1 [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    decay : float
        The rate is lr / (1 + decay * step).
    eps : float
        Keeps the quotient finite.
    beta1, beta2 : float
        Weights of the past in the two means, from 0 to below 1.

    References
    ----------
    .. [1] Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    buffers = 2
    scratch = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.001,
        *,
        decay: float = 0.0,
        eps: float = 1e-7,
        beta1: float = 0.9,
        beta2: float = 0.999,
    ) -> None:
        self.eps = _at_least_zero("Adam", "eps", eps)
        self.beta1 = _below_one("Adam", "beta1", beta1)
        self.beta2 = _below_one("Adam", "beta2", beta2)
        super().__init__(params, lr, decay)

    def factors(self) -> tuple[float, ...]:
        """Return the rate and eps of this step, each with its bias correction.

        Returns
        -------
        rate : float
            What the first moment is multiplied with.
        eps : float
            What is added to the root of the second.
        """
        t = self._steps + 1
        # Both corrections are scalars: they go into the rate and into eps.
        root = math.sqrt(1 - self.beta2**t)
        return self._rate * root / (1 - self.beta1**t), self.eps * root

    def update(
        self,
        w: Array,
        g: Array,
        state: list[Array],
        scratch: list[Array],
        factors: tuple[float, ...],
    ) -> None:
        """Apply the recurrence to one parameter."""
        (m, cache), (rate, eps) = state, factors
        m *= self.beta1
        m += np.multiply(g, 1 - self.beta1, out=scratch[0])
        _move_mean(cache, self.beta2, np.multiply(g, g, out=scratch[0]))
        w -= _scaled(m, rate, cache, eps, scratch)


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


_SMALL = 2048
"""Elements up to which copying a parameter costs less than a call of its own."""


_MANY = 6
"""Small parameters from which on joining them pays."""


class _Joined:
    """The small parameters of one dtype, updated as one.

    Parameters
    ----------
    members : list of int
        Their positions among the parameters.
    params : list of Tensor
    state : list of list of ndarray
        Replaced, for the members, by views of state that they share.
    scratch : int
        Arrays an update may overwrite.

    Attributes
    ----------
    others : list of int
        Positions of the parameters that are updated alone.
    """

    def __init__(
        self,
        members: list[int],
        params: list[Tensor],
        state: list[list[Array]],
        scratch: int,
    ) -> None:
        self.members = members
        self.others = [i for i in range(len(params)) if i not in set(members)]
        ends = np.cumsum([params[i].size for i in members])
        dtype = params[members[0]].dtype
        rows = np.zeros((2 + scratch + len(state[0]), ends[-1]), dtype)
        self.w, self.g, *rest = rows
        self.scratch, self.state = rest[:scratch], rest[scratch:]
        self.pieces = []
        for i, end in zip(members, ends, strict=True):
            part, shape = slice(end - params[i].size, end), params[i].shape
            state[i][:] = [row[part].reshape(shape) for row in self.state]
            self.pieces.append(self.w[part].reshape(shape))

    def gathered(
        self, arrays: list[Array], gradients: list[Array]
    ) -> tuple[Array, Array, list[Array], list[Array]]:
        """Return weights, gradients, state and scratch as one array each."""
        np.concatenate([arrays[i] for i in self.members], axis=None, out=self.w)
        np.concatenate([gradients[i] for i in self.members], axis=None, out=self.g)
        return self.w, self.g, self.state, self.scratch

    def hand_back(self, arrays: list[Array]) -> None:
        """Write the updated weights to where they belong."""
        for i, piece in zip(self.members, self.pieces, strict=True):
            np.copyto(arrays[i], piece)


def _joined(
    params: list[Tensor], state: list[list[Array]], scratch: int
) -> _Joined | None:
    """Return the small parameters of the first such dtype, None where they are few."""
    small = [i for i, p in enumerate(params) if p.size <= _SMALL]
    same = [i for i in small if params[i].dtype == params[small[0]].dtype]
    return _Joined(same, params, state, scratch) if len(same) >= _MANY else None


def _shared_scratch(params: list[Tensor], count: int) -> list[list[Array]]:
    """Return scratch arrays of each parameter's shape, all in the same memory."""
    size = max(p.size for p in params)
    rows = {p.dtype: np.empty((count, size), dtype=p.dtype) for p in params}
    return [[row[: p.size].reshape(p.shape) for row in rows[p.dtype]] for p in params]


def _move_mean(mean: Array, past: float, new: Array) -> None:
    """Set mean to past * mean + (1 - past) * new; `new` is overwritten."""
    mean *= past
    new *= 1 - past
    mean += new


def _scaled(
    g: Array, rate: float, cache: Array, eps: float, scratch: list[Array]
) -> Array:
    """Return rate * g / (sqrt(cache) + eps), in the memory of `scratch`."""
    upper, lower = scratch
    np.sqrt(cache, out=lower)
    lower += eps
    np.multiply(g, rate, out=upper)
    upper /= lower
    return upper


def _at_least_zero(name: str, what: str, value: float) -> float:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: {what} must be finite and at least 0, got {value}")
    return float(value)


def _below_one(name: str, what: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"{name}: {what} must be from 0 to below 1, got {value}")
    return float(value)
