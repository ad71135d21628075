"""Checks of gradients, of functions of Tensors and of plain NumPy functions.

``strategies`` (of Hypothesis, an extra) is imported when asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..core.public import publish
from .check import check_gradient, check_model, check_vjp, gradcheck, gradgradcheck
from .result import GradientError, Result
from .slopes import numerical_jacobian, taylor_slope

if TYPE_CHECKING:
    from . import strategies

__all__ = [
    "GradientError",
    "Result",
    "check_gradient",
    "check_model",
    "check_vjp",
    "gradcheck",
    "gradgradcheck",
    "numerical_jacobian",
    "strategies",
    "taylor_slope",
]


def __getattr__(name: str) -> Any:
    if name == "strategies":
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


publish(globals())
