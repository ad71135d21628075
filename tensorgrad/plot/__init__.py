"""Pictures of training, from runs that were recorded; needs the extra `plot`."""

from .flow import gradient_flow, updates
from .jacobian import jacobian
from .pictures import comparison, training
from .recorder import Recorder

__all__ = [
    "Recorder",
    "comparison",
    "gradient_flow",
    "jacobian",
    "training",
    "updates",
]
