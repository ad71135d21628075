"""Grad mode: whether operations are recorded, per thread and per task."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_grad_mode: ContextVar[bool] = ContextVar("tensorgrad_grad_mode", default=True)

enabled = _grad_mode.get
"""What `is_grad_enabled` returns, for every operation: without a call in between."""


def is_grad_enabled() -> bool:
    """Whether operations on tensors that need a gradient are recorded.

    Returns
    -------
    bool
        False within :func:`no_grad`, in the same thread or task.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> with tg.no_grad():
    ...     tg.is_grad_enabled()
    False
    """
    return enabled()


@contextmanager
def _grad_mode_set(enabled: bool) -> Iterator[None]:
    token = _grad_mode.set(enabled)
    try:
        yield
    finally:
        _grad_mode.reset(token)


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside: a context manager and a decorator.

    The mode belongs to the thread or task that sets it, and is restored however
    the block ends. In-place writes to leaves are allowed inside.

    Yields
    ------
    None
        Nothing of use: the mode is what changes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     y = w * 2
    >>> y.requires_grad
    False
    """
    with _grad_mode_set(False):
        yield


@contextmanager
def enable_grad() -> Iterator[None]:
    """Record inside, even within :func:`no_grad`: context manager and decorator.

    Yields
    ------
    None
        Nothing of use: the mode is what changes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.Tensor(3.0, requires_grad=True)
    >>> with tg.no_grad(), tg.enable_grad():
    ...     y = w * w
    >>> y.requires_grad
    True
    """
    with _grad_mode_set(True):
        yield
