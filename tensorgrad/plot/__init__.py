"""Pictures of training, from runs that were recorded; needs the extra `plot`."""

from ..core.public import publish
from .descent import Descent, descent, descents, losses
from .flow import gradient_flow, updates
from .history import History
from .jacobian import jacobian
from .pictures import comparison, training

__all__ = [
    "Descent",
    "History",
    "comparison",
    "descent",
    "descents",
    "gradient_flow",
    "jacobian",
    "losses",
    "training",
    "updates",
]

publish(globals())
