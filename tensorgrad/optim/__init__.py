"""Optimizers: each updates its parameters in place, by one recurrence.

State follows the order of the parameters, float32 parameters keep float32
state, and a step allocates nothing the size of a parameter.
"""

from typing import TYPE_CHECKING

from ..core import elsewhere
from ..core.public import publish
from . import adam, adaptive, clipping, schedules, sgd
from .adam import *  # noqa: F403
from .adaptive import *  # noqa: F403
from .averages import EMA
from .clipping import *  # noqa: F403
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .param_groups import Groups
from .schedules import inverse_time
from .sgd import *  # noqa: F403

__all__ = ["EMA", "LBFGS", "Groups", "Optimizer", "inverse_time", "schedules"]
for _module in (adam, adaptive, clipping, sgd):
    __all__ += _module.__all__

publish(globals())

if not TYPE_CHECKING:  # A checker would take any name to be there.
    __getattr__ = elsewhere.of_module(__name__, elsewhere.OPTIMIZERS)
