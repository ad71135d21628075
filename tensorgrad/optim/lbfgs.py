"""L-BFGS: steps along directions that take curvature into account."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, final

import numpy as np

from ..core.errors import CaptureError
from ..core.observe import current_recorder
from ..core.tensor import Tensor, memories
from ..core.writes import record_write
from .optimizer import Optimizer
from .schedules import Schedule
from .settings import StateDict

__all__ = ["LBFGS"]

Array = np.ndarray[Any, Any]
Closure = Callable[[], Tensor]

_ENOUGH, _FLAT = 1e-4, 0.9
"""What a step must gain of its slope, and by how much the slope must fall: Wolfe's."""


class _Point(NamedTuple):
    """A point of the line: how far, the loss, its gradient, its slope."""

    t: float
    loss: float
    g: Array
    slope: float


@final
class LBFGS(Optimizer):
    """Limited-memory BFGS: Newton's direction, estimated from the last gradients [1]_.

    For smooth losses of whole batches. A step evaluates the loss several times, so it
    takes a closure; it runs eagerly, not in a compiled step.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient, in one group.
    lr : float, or callable of the step
        How far to go along a direction, or at first where that is searched for.
    max_iter : int
        Directions in a step.
    max_eval : int, optional
        Evaluations in a step, ``max_iter * 5 // 4`` by default.
    tolerance_grad, tolerance_change : float
        A step ends at a gradient, or after a change of the loss or of all parameters,
        that is nowhere larger.
    history_size : int
        How many gradients are remembered.
    line_search_fn : {None, "strong_wolfe"}
        Whether to search along each direction for a point that meets the strong Wolfe
        conditions [2]_.

    References
    ----------
    .. [1] Liu, Nocedal, "On the limited memory BFGS method for large scale
       optimization", Mathematical Programming 45, 1989.
    .. [2] Nocedal, Wright, "Numerical optimization", 2006, 3.5; as in minFunc.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.Tensor([-1.2, 1.0], requires_grad=True)
    >>> optimizer = tg.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     loss = optimizer.step(closure)
    >>> w.numpy().round(3)
    array([1., 1.])
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 1.0,
        *,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(
                f"LBFGS: line_search_fn must be None or 'strong_wolfe', got "
                f"{line_search_fn!r}"
            )
        self.max_iter = max_iter
        self.max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        self.tolerance_grad, self.tolerance_change = tolerance_grad, tolerance_change
        self.history_size, self.line_search_fn = history_size, line_search_fn
        self._past: dict[str, Any] = {"y": [], "s": [], "scale": 1.0}
        super().__init__(params, lr)

    def _take_step(self, gradients: list[Any], absent: int) -> None:
        raise TypeError(
            "LBFGS takes all parameters in one group, and not beside other optimizers"
        )

    def step(self, closure: Closure | None = None) -> Tensor:  # type: ignore[override]
        """Follow some directions downwards.

        Parameters
        ----------
        closure : callable
            Forgets the gradients, computes the loss, calls ``backward`` on it, and
            returns it.

        Returns
        -------
        Tensor
            The loss before the step.
        """
        if closure is None:
            raise TypeError("LBFGS.step: expected a function that returns the loss")
        if current_recorder():
            raise CaptureError(
                "tg.compile: LBFGS.step looks at values of the loss; call it outside "
                "the compiled step"
            )
        self._note_changes()
        first = closure()
        loss, g, evaluations = float(first.item()), self._flat(), 1
        self._rate = self._rate_now()
        self._steps += 1
        for i in range(1, self.max_iter + 1):
            if np.abs(g).max() <= self.tolerance_grad:
                break
            d, t = self._direction(g)
            slope = float(g @ d)
            if slope > -self.tolerance_change:
                break
            before = loss
            start = _Point(0.0, loss, g, slope)
            if self.line_search_fn:
                most = self.max_eval - evaluations
                point, used = self._searched(closure, start, d, t, most)
                self._move(point.t, d)
            else:
                self._move(t, d)
                point, used = start._replace(t=t), 0
                if i < self.max_iter:
                    point, used = self._point(closure, t, d), 1
            (t, loss, g, _), evaluations = point, evaluations + used
            self._past["t"] = t
            small = np.abs(t * d).max() <= self.tolerance_change
            if evaluations >= self.max_eval or small:
                break
            if abs(loss - before) < self.tolerance_change:
                break
        return first

    def _direction(self, g: Array) -> tuple[Array, float]:
        """Return where to go, and how far at first."""
        past = self._past
        if "d" not in past:
            d, t = -g, min(1.0, 1 / float(np.abs(g).sum())) * self._rate
        else:
            self._remember(g - past["g"], past["t"] * past["d"])
            d, t = self._newton(-g), self._rate
        past |= {"d": d, "t": t, "g": g}
        return d, t

    def _remember(self, y: Array, s: Array) -> None:
        past, curvature = self._past, float(y @ s)
        if curvature > 1e-10:
            past["y"] = [*past["y"], y][-self.history_size :]
            past["s"] = [*past["s"], s][-self.history_size :]
            past["scale"] = curvature / float(y @ y)

    def _newton(self, q: Array) -> Array:
        """Return the estimate of the inverse Hessian times q."""
        pairs = [*zip(self._past["y"], self._past["s"], strict=True)]
        shares = []
        for y, s in reversed(pairs):
            shares.append((s @ q) / (y @ s))
            q = q - shares[-1] * y
        q = q * self._past["scale"]
        for (y, s), share in zip(pairs, reversed(shares), strict=True):
            q = q + (share - (y @ q) / (y @ s)) * s
        return q

    def _searched(
        self, closure: Closure, start: _Point, d: Array, t: float, most: int
    ) -> tuple[_Point, int]:
        arrays = memories(self.params)
        origin = [a.copy() for a in arrays]

        def at(t: float) -> _Point:
            self._move(t, d)
            point = self._point(closure, t, d)
            for a, before in zip(arrays, origin, strict=True):
                a[...] = before
            return point

        least = self.tolerance_change / float(np.abs(d).max())
        return _strong_wolfe(at, start, t, most, least)

    def _point(self, closure: Closure, t: float, d: Array) -> _Point:
        loss, g = float(closure().item()), self._flat()
        return _Point(t, loss, g, float(g @ d))

    def _flat(self) -> Array:
        gradients = (p._grad for p in self.params)
        parts = [
            np.zeros(p.size) if g is None else g.numpy().ravel()
            for p, g in zip(self.params, gradients, strict=True)
        ]
        return np.concatenate(parts)

    def _move(self, t: float, d: Array) -> None:
        arrays, begin = memories(self.params), 0
        for a in arrays:
            a += t * d[begin : begin + a.size].reshape(a.shape)
            begin += a.size
        record_write(arrays, "LBFGS.step")

    def state_dict(self) -> StateDict:
        """Return a copy of settings, counts and history, to be saved.

        Returns
        -------
        dict
            Of strings, numbers, lists and arrays.
        """
        return super().state_dict() | {"past": copy.deepcopy(self._past)}

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Go on from what `state_dict` returned, with the same parameters in order.

        Parameters
        ----------
        state_dict : dict
            From another LBFGS.
        """
        super().load_state_dict(state_dict)
        self._past = copy.deepcopy(state_dict["past"])


def _strong_wolfe(
    at: Callable[[float], _Point], start: _Point, t: float, most: int, least: float
) -> tuple[_Point, int]:
    """Return a point that meets the strong Wolfe conditions, and the evaluations.

    Or the best one after `most` more, or where what is left is shorter than `least`.
    """
    before, now, tries = start, at(t), 0
    while tries < most:
        if _rises(now, start) or (tries > 1 and now.loss >= before.loss):
            break
        if abs(now.slope) <= -_FLAT * start.slope:
            return now, tries + 1
        if now.slope >= 0:
            break
        nearest, farthest = now.t + 0.01 * (now.t - before.t), 10 * now.t
        t = _lowest(before, now, nearest, farthest)
        before, now, tries = now, at(t), tries + 1
    else:
        before = start
    low, high = sorted([before, now], key=lambda point: point.loss)
    stalled = False
    while tries < most and abs(high.t - low.t) >= least:
        t, stalled = _inside(low, high, stalled)
        now, tries = at(t), tries + 1
        if _rises(now, start) or now.loss >= low.loss:
            low, high = sorted([low, now], key=lambda point: point.loss)
        elif abs(now.slope) <= -_FLAT * start.slope:
            return now, tries + 1
        else:
            turned = now.slope * (high.t - low.t) >= 0
            low, high = now, low if turned else high
    return low, tries + 1


def _rises(now: _Point, start: _Point) -> bool:
    return now.loss > start.loss + _ENOUGH * now.t * start.slope


def _inside(a: _Point, b: _Point, stalled: bool) -> tuple[float, bool]:
    """Return where to look between two points, not twice in a row close to one."""
    left, right = sorted([a.t, b.t])
    t, margin = _lowest(a, b, left, right), 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if not stalled and left < t < right:
        return t, True
    return (right - margin if right - t < t - left else left + margin), False


def _lowest(a: _Point, b: _Point, left: float, right: float) -> float:
    """Return where the cubic through two points is lowest, within bounds."""
    if a.t > b.t:
        a, b = b, a
    mean = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = mean**2 - a.slope * b.slope
    if not square >= 0:
        return (left + right) / 2
    root = math.sqrt(square)
    share = (b.slope + root - mean) / (b.slope - a.slope + 2 * root)
    return min(max(b.t - (b.t - a.t) * share, left), right)
