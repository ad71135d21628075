"""Optimizers: each updates its parameters in place, by one recurrence.

State follows the order of the parameters, float32 parameters keep float32
state, and a step allocates nothing the size of a parameter.
"""

from ..core.public import publish
from . import recurrences
from .optimizer import Optimizer, inverse_time
from .recurrences import *  # noqa: F403

__all__ = ["Optimizer", "inverse_time"]
__all__ += recurrences.__all__

publish(globals())
