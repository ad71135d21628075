"""Optimizers: each updates its parameters in place, by one recurrence.

State follows the order of the parameters, float32 parameters keep float32
state, and a step allocates nothing the size of a parameter.
"""

from ..core.public import publish
from .optimizer import Optimizer, inverse_time
from .recurrences import SGD, AdaGrad, Adam, RMSProp

__all__ = ["SGD", "AdaGrad", "Adam", "Optimizer", "RMSProp", "inverse_time"]

publish(globals())
