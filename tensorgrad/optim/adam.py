"""Adaptive moments: a mean of gradients over a measure of their size, and variants."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Unpack, final

import numpy as np

from ..core.tensor import Tensor
from .moments import move_mean, move_moments, scaled
from .optimizer import Optimizer
from .schedules import Schedule
from .settings import Shared, at_least_zero, below_one

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]

Array = np.ndarray[Any, Any]


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
    eps : float
        Keeps the quotient finite.
    beta1, beta2 : float
        Weights of the past in the two means, from 0 to below 1.
    amsgrad : bool
        Divide by the largest c so far [2]_.
    **shared
        ``decay``, ``weight_decay`` and ``maximize``, as of `Optimizer`.

    References
    ----------
    .. [1] Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    .. [2] Reddi, Kale, Kumar, "On the convergence of Adam and beyond", ICLR 2018.
    """

    temporaries = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.001,
        *,
        eps: float = 1e-7,
        beta1: float = 0.9,
        beta2: float = 0.999,
        amsgrad: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        self.eps = at_least_zero(self, "eps", eps)
        self.beta1 = below_one(self, "beta1", beta1)
        self.beta2 = below_one(self, "beta2", beta2)
        self.amsgrad = amsgrad
        super().__init__(params, lr, **shared)

    def _count(self) -> int:
        return 2 + self.amsgrad

    def step_numbers(self) -> tuple[float, float]:
        """Return the rate and eps of this step, each with its bias correction.

        Returns
        -------
        rate : float
            What the first moment is multiplied with.
        eps : float
            What is added to the root of the second.
        """
        t = self.steps
        # Both corrections are scalars: they go into the rate and into eps.
        root = math.sqrt(1 - self.beta2**t)
        return self._rate * root / (1 - self.beta1**t), self.eps * root

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (m, cache), (rate, eps) = state[:2], self.numbers
        move_moments(m, cache, g, self.beta1, self.beta2, self.scratch[0])
        if self.amsgrad:
            cache = np.maximum(state[2], cache, out=state[2])
        w -= scaled(m, rate, cache, eps, self.scratch)


@final
class AdamW(Adam):
    """Adam, with weight decay beside the gradient instead of in it.

    ``w = w * (1 - lr * weight_decay)``, and then a step of `Adam` [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    eps, beta1, beta2 : float
        As of `Adam`.
    amsgrad : bool
        As of `Adam`.
    weight_decay : float
        What the weights shrink by, times the rate.
    decay : float
        As of `Optimizer`.
    maximize : bool
        As of `Optimizer`.

    References
    ----------
    .. [1] Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    decoupled_weight_decay = True

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.001,
        *,
        eps: float = 1e-7,
        beta1: float = 0.9,
        beta2: float = 0.999,
        amsgrad: bool = False,
        weight_decay: float = 0.01,
        decay: float = 0.0,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            eps=eps,
            beta1=beta1,
            beta2=beta2,
            amsgrad=amsgrad,
            weight_decay=weight_decay,
            decay=decay,
            maximize=maximize,
        )


@final
class Adamax(Optimizer):
    """Adam with the largest gradient in place of the root of the mean of squares.

    ``m = beta1 * m + (1 - beta1) * g``, ``u = max(beta2 * u, |g| + eps)``,
    ``w = w - lr / (1 - beta1**t) * m / u`` with t from 1 [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    eps : float
        Keeps the quotient finite.
    beta1, beta2 : float
        Weights of the past, from 0 to below 1.
    **shared
        ``decay``, ``weight_decay`` and ``maximize``, as of `Optimizer`.

    References
    ----------
    .. [1] Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, 7.1.
    """

    buffers = 2
    temporaries = 1

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.002,
        *,
        eps: float = 1e-7,
        beta1: float = 0.9,
        beta2: float = 0.999,
        **shared: Unpack[Shared],
    ) -> None:
        self.eps = at_least_zero(self, "eps", eps)
        self.beta1 = below_one(self, "beta1", beta1)
        self.beta2 = below_one(self, "beta2", beta2)
        super().__init__(params, lr, **shared)

    def step_numbers(self) -> tuple[float]:
        """Return the rate with its bias correction.

        Returns
        -------
        tuple of float
            What the quotient is multiplied with.
        """
        return (self._rate / (1 - self.beta1**self.steps),)

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (m, most), (change,), (rate,) = state, self.scratch, self.numbers
        np.copyto(change, g)
        move_mean(m, self.beta1, change)
        np.abs(g, out=change)
        change += self.eps
        most *= self.beta2
        np.maximum(most, change, out=most)
        np.divide(m, most, out=change)
        change *= rate
        w -= change


@final
class NAdam(Optimizer):
    """Adam with Nesterov's momentum: the mean of gradients one step ahead.

    With ``mu(t) = beta1 * (1 - 0.96**(t * momentum_decay) / 2)``, their product p(t)
    and m and c as of `Adam`, ``w = w - lr * (g * (1 - mu(t)) / (1 - p(t)) + m *
    mu(t + 1) / (1 - p(t + 1))) / (sqrt(c / (1 - beta2**t)) + eps)`` [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    eps : float
        Keeps the quotient finite.
    beta1, beta2 : float
        Weights of the past in the two means, from 0 to below 1.
    momentum_decay : float
        How fast mu rises from beta1 / 2 to beta1.
    decoupled_weight_decay : bool
        Decay the weights as `AdamW` does.
    **shared
        ``decay``, ``weight_decay`` and ``maximize``, as of `Optimizer`.

    References
    ----------
    .. [1] Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.
    """

    buffers = 2
    temporaries = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.002,
        *,
        eps: float = 1e-7,
        beta1: float = 0.9,
        beta2: float = 0.999,
        momentum_decay: float = 0.004,
        decoupled_weight_decay: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        self.eps = at_least_zero(self, "eps", eps)
        self.beta1 = below_one(self, "beta1", beta1)
        self.beta2 = below_one(self, "beta2", beta2)
        self.momentum_decay = at_least_zero(self, "momentum_decay", momentum_decay)
        self.decoupled_weight_decay = decoupled_weight_decay
        super().__init__(params, lr, **shared)

    def step_numbers(self) -> tuple[float, float, float]:
        """Return the rates of gradient and mean, and eps, with bias corrections.

        Returns
        -------
        tuple of float
            As `update` uses them.
        """
        t = self.steps
        # Factors are at most beta1: beyond these the product is less than rounding.
        last = min(t, int(40 / (1 - self.beta1)))
        product = float(np.prod(self._mu(np.arange(1, last + 1))))
        now, ahead = self._mu(t), self._mu(t + 1)
        root = math.sqrt(1 - self.beta2**t)
        of_gradient = self._rate * root * (1 - now) / (1 - product)
        of_mean = self._rate * root * ahead / (1 - product * ahead)
        return of_gradient, of_mean, self.eps * root

    def _mu(self, t: Any) -> Any:
        return self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (m, cache), (change, other) = state, self.scratch
        of_gradient, of_mean, eps = self.numbers
        move_moments(m, cache, g, self.beta1, self.beta2, change)
        np.multiply(g, of_gradient, out=change)
        change += np.multiply(m, of_mean, out=other)
        np.sqrt(cache, out=other)
        other += eps
        change /= other
        w -= change


@final
class RAdam(Optimizer):
    """Rectified Adam: descent along the mean until the squares are known well enough.

    With m and c as of `Adam` and ``rho(t) = rho - 2 * t * beta2**t / (1 - beta2**t)``,
    ``rho = 2 / (1 - beta2) - 1``: where rho(t) > 5, ``w = w - lr * r(t) * m / (1 -
    beta1**t) * sqrt(1 - beta2**t) / (sqrt(c) + eps)`` with ``r(t)**2 = (rho(t) - 4) *
    (rho(t) - 2) * rho / ((rho - 4) * (rho - 2) * rho(t))``, before that ``w = w - lr *
    m / (1 - beta1**t)`` [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    eps : float
        Keeps the quotient finite.
    beta1, beta2 : float
        Weights of the past in the two means, from 0 to below 1.
    decoupled_weight_decay : bool
        Decay the weights as `AdamW` does.
    **shared
        ``decay``, ``weight_decay`` and ``maximize``, as of `Optimizer`.

    References
    ----------
    .. [1] Liu et al., "On the variance of the adaptive learning rate and beyond",
       ICLR 2020.
    """

    buffers = 2
    temporaries = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.001,
        *,
        eps: float = 1e-7,
        beta1: float = 0.9,
        beta2: float = 0.999,
        decoupled_weight_decay: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        self.eps = at_least_zero(self, "eps", eps)
        self.beta1 = below_one(self, "beta1", beta1)
        self.beta2 = below_one(self, "beta2", beta2)
        self.decoupled_weight_decay = decoupled_weight_decay
        super().__init__(params, lr, **shared)

    def step_numbers(self) -> tuple[float, float, float]:
        """Return the rate, and what the root of c enters the divisor with.

        Returns
        -------
        tuple of float
            The divisor is ``of_root * sqrt(c) + rest``.
        """
        t = self.steps
        rate, square = self._rate / (1 - self.beta1**t), 1 - self.beta2**t
        limit = 2 / (1 - self.beta2) - 1
        length = limit - 2 * t * self.beta2**t / square
        if length <= 5:
            return rate, 0.0, 1.0
        upper = (length - 4) * (length - 2) * limit
        lower = (limit - 4) * (limit - 2) * length
        return rate * math.sqrt(square * upper / lower), 1.0, self.eps

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (m, cache), (change, lower) = state, self.scratch
        rate, of_root, rest = self.numbers
        move_moments(m, cache, g, self.beta1, self.beta2, change)
        np.sqrt(cache, out=lower)
        lower *= of_root
        lower += rest
        np.multiply(m, rate, out=change)
        change /= lower
        w -= change
