"""A moving mean of parameters, which generalises better than the last of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, final

import numpy as np

from ..core.mode import no_grad
from ..core.tensor import Tensor
from .optimizer import Optimizer
from .settings import StateDict, below_one

__all__ = ["EMA"]

Array = np.ndarray[Any, Any]


@final
class EMA:
    """Exponential moving average of parameters: call `update` after each step.

    ``a = decay * a + (1 - decay) * w``; the first update copies [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        The parameters, as the optimizer gets them.
    decay : float
        Weight of the past, from 0 to below 1.

    Attributes
    ----------
    averages : list of Tensor
        One for each parameter, of its dtype.

    References
    ----------
    .. [1] Polyak, Juditsky, "Acceleration of stochastic approximation by averaging",
       SIAM J. Control Optim. 30, 1992.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.Tensor([0.0], requires_grad=True)
    >>> ema = tg.optim.EMA([w], decay=0.75)
    >>> ema.update()
    >>> with tg.no_grad():
    ...     w += 1.0
    >>> ema.update()
    >>> with ema.applied():
    ...     print(w.item())
    0.25
    """

    def __init__(self, params: Iterable[Tensor], decay: float = 0.999) -> None:
        self.params = [*params]
        self._mean = _Mean(self.params, below_one("EMA", "decay", decay))

    @property
    def averages(self) -> list[Tensor]:
        """The means."""
        return self._mean.params

    def update(self) -> None:
        """Move the means towards the parameters."""
        self._mean.step()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the parameters hold the means inside, as for a validation.

        Yields
        ------
        None
            Nothing of use: the parameters are what changes.
        """
        before = [p.numpy().copy() for p in self.params]
        self._write([a.numpy() for a in self.averages])
        try:
            yield
        finally:
            self._write(before)

    def _write(self, arrays: list[Array]) -> None:
        with no_grad():
            for p, a in zip(self.params, arrays, strict=True):
                p[...] = a

    def state_dict(self) -> StateDict:
        """Return a copy of the means and their count, to be saved.

        Returns
        -------
        dict
            Of numbers, lists and arrays.
        """
        means = [a.numpy().copy() for a in self.averages]
        return {"averages": means, "mean": self._mean.state_dict()}

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Go on from what `state_dict` returned, with the same parameters in order.

        Parameters
        ----------
        state_dict : dict
            From as many parameters of the same shapes.
        """
        self._mean.load_state_dict(state_dict["mean"])
        with no_grad():
            for a, mean in zip(self.averages, state_dict["averages"], strict=True):
                a[...] = mean


class _Mean(Optimizer):
    """The means as parameters, and what they follow as their gradients."""

    temporaries = 1

    def __init__(self, params: list[Tensor], past: float) -> None:
        self.past, self._followed = past, params
        super().__init__([Tensor(p.numpy(), requires_grad=True) for p in params], 0.0)

    def _gradients(self) -> list[Tensor | None]:
        return [*self._followed]

    def step_numbers(self) -> tuple[float, float]:
        past = self.past if self.steps > 1 else 0.0
        return past, 1 - past

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        (change,), (past, share) = self.scratch, self.numbers
        w *= past
        w += np.multiply(g, share, out=change)
