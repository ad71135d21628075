"""Linear algebra: each function of `numpy.linalg` that works on tensors."""

from .core.public import publish as _publish
from .ops.linalg.chains import *
from .ops.linalg.decompositions import *
from .ops.linalg.determinants import *
from .ops.linalg.namesakes import *
from .ops.linalg.systems import *
from .ops.reductions.norms import *

__all__ = sorted(name for name in globals() if not name.startswith("_"))

_publish(globals())
