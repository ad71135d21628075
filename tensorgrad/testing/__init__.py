"""Checks of gradients, of Tensors and of plain NumPy functions."""

from .check import check_gradient, check_vjp, gradcheck, gradgradcheck
from .result import GradientError, Result

__all__ = [
    "GradientError",
    "Result",
    "check_gradient",
    "check_vjp",
    "gradcheck",
    "gradgradcheck",
]
