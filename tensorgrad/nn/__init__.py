"""Layers: small modules that own parameters and call the operations."""

from ..core.public import publish as _publish
from . import functional, init
from .activation import ReLU, Softmax
from .containers import Sequential
from .linear import Dense, Linear
from .module import Module
from .summary import Summary

__all__ = [
    "Dense",
    "Linear",
    "Module",
    "ReLU",
    "Sequential",
    "Softmax",
    "Summary",
    "functional",
    "init",
]

_publish(globals())
