"""Checks of gradients, of functions of Tensors and of plain NumPy functions.

``strategies`` (of Hypothesis, an extra) is imported when asked for. What a check does,
file by file::

    check          what is called: its arguments become a Point and a Problem
    arguments      Point: the floating-point arrays in nests of inputs
    problem        Problem: a function, and the gradient that is claimed for it;
                   of Tensors (tensors), plain (plain), a loss of a model (model)
    procedure      order after order, then the diagnosis: the Result
    examine        Examination: all comparisons and identities at one order
    identities     what holds without differences
    experiment     Experiment: lines through the point, and what of the outputs to take
    differences    derivatives along these lines, with error bars
    scales         one line in doubt at every scale, with the noise of the values
    verdict        Comparison: agrees, kink, too noisy or disagrees, entry by entry
    locate         the wrong entry of a large Jacobian, the smallest input that fails
    diagnosis      the likeliest fault, by patterns of single blocks (patterns)
    result         Result: with its report (report) and its picture (chart)
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
