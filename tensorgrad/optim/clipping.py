"""Gradients made smaller between ``backward`` and the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core.mode import no_grad
from ..core.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def clip_grad_norm_(
    params: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    *,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale gradients in place so that their common norm is at most `max_norm`.

    They are multiplied with ``min(1, max_norm / (norm + 1e-6))`` [1]_, where norm is
    that of all of them as one vector.

    Parameters
    ----------
    params : Tensor or iterable of Tensor
        Those without a gradient are left out.
    max_norm : float
        The largest norm let pass; with ``inf`` the norm is only measured.
    norm_type : float
        The power of the norm; ``inf`` for the largest absolute value.
    error_if_nonfinite : bool
        Raise where the norm is NaN or infinite, instead of scaling with it. This
        reads a value, which a compiled step cannot do.

    Returns
    -------
    Tensor
        The norm before.

    Raises
    ------
    ValueError
        If a limit is negative, or the norm is not finite where that is asked.

    References
    ----------
    .. [1] Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural
       networks", ICML 2013.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.Tensor([1.0, 1.0], requires_grad=True)
    >>> (w @ [3.0, 4.0]).backward()
    >>> tg.optim.clip_grad_norm_([w], 1.0)
    Tensor(5.)
    >>> w.grad.round(3)
    Tensor([0.6, 0.8])
    """
    _check_limit("clip_grad_norm_", "max_norm", max_norm)
    if not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: norm_type must be above 0, got {norm_type}")
    gradients = _gradients(params)
    with no_grad():
        norm: Tensor = _norm(gradients, norm_type)
        if error_if_nonfinite and not np.isfinite(norm.item()):
            raise ValueError(
                f"clip_grad_norm_: the norm of the gradients is {norm.item()}; find "
                "where by tg.debug(), or scale the loss down"
            )
        scale = np.minimum(max_norm / (norm + 1e-6), 1.0)
        for g in gradients:
            g *= scale.astype(g.dtype)
    return norm


def clip_grad_value_(params: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clip each element of the gradients in place to ``[-clip_value, clip_value]``.

    Parameters
    ----------
    params : Tensor or iterable of Tensor
        Those without a gradient are left out.
    clip_value : float
        The largest absolute value let pass.

    Raises
    ------
    ValueError
        If the limit is negative.
    """
    _check_limit("clip_grad_value_", "clip_value", clip_value)
    with no_grad():
        for g in _gradients(params):
            g[...] = np.clip(g, -clip_value, clip_value)


def _check_limit(name: str, what: str, limit: float) -> None:
    if not limit >= 0:
        raise ValueError(f"{name}: {what} must be at least 0, got {limit}")


def _gradients(params: Tensor | Iterable[Tensor]) -> list[Tensor]:
    params = [params] if isinstance(params, Tensor) else params
    return [p.grad for p in params if p.grad is not None]


def _norm(gradients: list[Any], power: float) -> Any:
    if not gradients:
        return Tensor(0.0)
    if power == math.inf:
        return np.max(np.stack([np.abs(g).max() for g in gradients]))
    if power == 2:
        return np.sqrt(sum((g * g).sum() for g in gradients))
    return sum((np.abs(g) ** power).sum() for g in gradients) ** (1 / power)
