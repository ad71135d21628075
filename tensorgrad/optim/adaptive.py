"""Rates for each element, which follow from its gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack, final

import numpy as np

from ..core.tensor import Tensor
from .moments import move_mean, scaled
from .optimizer import Optimizer
from .schedules import Schedule
from .settings import Shared, at_least_zero, below_one

__all__ = ["AdaGrad", "Adadelta", "Adagrad", "RMSProp", "RMSprop", "Rprop"]

Array = np.ndarray[Any, Any]


@final
class AdaGrad(Optimizer):
    """Adaptive gradient descent: rates shrink with the squares seen so far.

    ``c = c + g**2``, ``w = w - lr * g / (sqrt(c) + eps)`` [1]_. `Adagrad` is another
    name of it.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    eps : float
        Keeps the quotient finite.
    initial_accumulator_value : float
        What the squares start from.
    **shared
        ``decay``, ``weight_decay`` and ``maximize``, as of `Optimizer`.

    References
    ----------
    .. [1] Duchi, Hazan, Singer, "Adaptive subgradient methods", JMLR 12, 2011.
    """

    buffers = 1
    temporaries = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 1.0,
        *,
        eps: float = 1e-7,
        initial_accumulator_value: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        self.eps = at_least_zero(self, "eps", eps)
        self.initial_accumulator_value = at_least_zero(
            self, "initial_accumulator_value", initial_accumulator_value
        )
        super().__init__(params, lr, **shared)

    def _start(self) -> list[float]:
        return [self.initial_accumulator_value]

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (cache,), (rate,) = state, self.numbers
        cache += np.multiply(g, g, out=self.scratch[0])
        w -= scaled(g, rate, cache, self.eps, self.scratch)


@final
class RMSProp(Optimizer):
    """Root mean square propagation: rates follow a moving mean of squares.

    ``c = rho * c + (1 - rho) * g**2``, ``w = w - lr * g / (sqrt(c) + eps)`` [1]_.
    `RMSprop` is another name of it.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    eps : float
        Keeps the quotient finite.
    rho : float
        Weight of the past in the mean, from 0 to below 1.
    momentum : float
        With it, steps are collected: ``v = momentum * v + g / (sqrt(c) + eps)``,
        ``w = w - lr * v``.
    centered : bool
        Divide by the root of the variance, ``c - m**2`` with a mean m of gradients
        that moves as c does [2]_.
    **shared
        ``decay``, ``weight_decay`` and ``maximize``, as of `Optimizer`.

    References
    ----------
    .. [1] Tieleman, Hinton, "Lecture 6.5 - rmsprop", 2012.
    .. [2] Graves, "Generating sequences with recurrent neural networks", 2013.
    """

    temporaries = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.001,
        *,
        eps: float = 1e-7,
        rho: float = 0.9,
        momentum: float = 0.0,
        centered: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        self.eps = at_least_zero(self, "eps", eps)
        self.rho = below_one(self, "rho", rho)
        self.momentum = below_one(self, "momentum", momentum)
        self.centered = centered
        super().__init__(params, lr, **shared)

    def _count(self) -> int:
        return 1 + bool(self.momentum) + self.centered

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (rate,), (cache, *rest) = self.numbers, state
        move_mean(cache, self.rho, np.multiply(g, g, out=self.scratch[0]))
        if self.centered:
            cache = self._variance(cache, g, rest[-1])
        if self.momentum:
            v = rest[0]
            v *= self.momentum
            v += scaled(g, 1.0, cache, self.eps, self.scratch)
            w -= np.multiply(v, rate, out=self.scratch[0])
        else:
            w -= scaled(g, rate, cache, self.eps, self.scratch)

    def _variance(self, square: Array, g: Array, mean: Array) -> Array:
        upper, lower = self.scratch
        np.copyto(upper, g)
        move_mean(mean, self.rho, upper)
        np.multiply(mean, mean, out=lower)
        return np.subtract(square, lower, out=lower)


@final
class Adadelta(Optimizer):
    """Adaptive steps in the units of the parameter, which need no rate.

    ``c = rho * c + (1 - rho) * g**2``, ``d = g * sqrt(a + eps) / sqrt(c + eps)``,
    ``a = rho * a + (1 - rho) * d**2``, ``w = w - lr * d`` [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        What steps are multiplied with, or a schedule that gives it from step 0.
    eps : float
        Keeps the quotient finite, and sets the size of the first steps.
    rho : float
        Weight of the past in both means, from 0 to below 1.
    **shared
        ``decay``, ``weight_decay`` and ``maximize``, as of `Optimizer`.

    References
    ----------
    .. [1] Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
    """

    buffers = 2
    temporaries = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 1.0,
        *,
        eps: float = 1e-6,
        rho: float = 0.9,
        **shared: Unpack[Shared],
    ) -> None:
        self.eps = at_least_zero(self, "eps", eps)
        self.rho = below_one(self, "rho", rho)
        super().__init__(params, lr, **shared)

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (cache, steps), (change, lower), (rate,) = state, self.scratch, self.numbers
        move_mean(cache, self.rho, np.multiply(g, g, out=change))
        np.add(steps, self.eps, out=change)
        change /= np.add(cache, self.eps, out=lower)
        np.sqrt(change, out=change)
        change *= g
        move_mean(steps, self.rho, np.multiply(change, change, out=lower))
        change *= rate
        w -= change


@final
class Rprop(Optimizer):
    """Resilient propagation: the sign of the gradient, and a step for each element.

    A step grows by ``increase`` while the sign stays, and shrinks by ``decrease`` when
    it turns; then the element rests for one step [1]_. For whole batches: it takes
    no notice of how large gradients are.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float
        The first step of each element; what it is set to later has no effect.
    decrease, increase : float
        Factors of a step, ``0 < decrease < 1 < increase``.
    smallest, largest : float
        Bounds of a step.
    **shared
        ``decay``, ``weight_decay`` and ``maximize``, as of `Optimizer`.

    Raises
    ------
    ValueError
        If the factors or the bounds are in no such order.

    References
    ----------
    .. [1] Riedmiller, Braun, "A direct adaptive method for faster backpropagation
       learning: the RPROP algorithm", ICNN 1993; in the form of Igel, Huesken, 2000.
    """

    buffers = 2
    temporaries = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.01,
        *,
        decrease: float = 0.5,
        increase: float = 1.2,
        smallest: float = 1e-6,
        largest: float = 50.0,
        **shared: Unpack[Shared],
    ) -> None:
        if not 0 < decrease < 1 < increase or not 0 <= smallest <= largest:
            raise ValueError(
                "Rprop: expected 0 < decrease < 1 < increase and 0 <= smallest <= "
                f"largest, got {decrease}, {increase}, {smallest} and {largest}"
            )
        self.decrease, self.increase = float(decrease), float(increase)
        self.smallest, self.largest = float(smallest), float(largest)
        super().__init__(params, lr, **shared)

    def _start(self) -> list[float]:
        return [0.0, self.lr]

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (before, step), (factor, change) = state, self.scratch
        np.sign(np.multiply(before, g, out=change), out=change)
        np.maximum(change, 0, out=factor)
        factor *= self.increase - 1
        np.minimum(change, 0, out=change)
        factor += 1
        step *= factor
        step *= np.add(
            np.multiply(change, 1 - self.decrease, out=factor), 1, out=factor
        )
        np.clip(step, self.smallest, self.largest, out=step)
        # 0 where the sign has turned, the gradient elsewhere.
        np.multiply(np.add(change, 1, out=change), g, out=before)
        w -= np.multiply(np.sign(before, out=change), step, out=change)


Adagrad, RMSprop = AdaGrad, RMSProp
