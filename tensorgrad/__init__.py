"""tensorgrad: reverse-mode automatic differentiation on NumPy alone."""

from . import loading as loading  # first, for Ctrl-C while the others load

# isort: split
import importlib
import sys
import typing

from . import data, linalg, nn, optim
from .core.elsewhere import PACKAGE as _PACKAGE
from .core.elsewhere import no_attribute as _no_attribute
from .core.errors import (
    CaptureError,
    GradientWarning,
    GraphError,
    MutationError,
    NonFiniteError,
    PerformanceWarning,
    RuleError,
    TensorgradError,
)
from .core.mode import enable_grad, is_grad_enabled, no_grad
from .core.primitive import Primitive, primitive
from .core.public import publish as _publish
from .core.tensor import Tensor, TensorLike
from .core.writes import debug
from .ops.elementwise.arithmetic import *
from .ops.elementwise.constants import *
from .ops.elementwise.logspace import *
from .ops.elementwise.piecewise import *
from .ops.elementwise.rounding import *
from .ops.elementwise.special import *
from .ops.elementwise.trigonometric import *
from .ops.linalg.einsum import *
from .ops.linalg.products import *
from .ops.networks.activations import *
from .ops.networks.losses import *
from .ops.networks.neural import *
from .ops.numerical.apply import *
from .ops.numerical.convolution import *
from .ops.numerical.diff import *
from .ops.numerical.interpolation import *
from .ops.numerical.polynomials import *
from .ops.reductions.log_sums import *
from .ops.reductions.nan_reduce import *
from .ops.reductions.quantiles import *
from .ops.reductions.reduce import *
from .ops.reductions.scan import *
from .ops.reductions.statistics import *
from .ops.shapes.creation import *
from .ops.shapes.diagonal import *
from .ops.shapes.gather import *
from .ops.shapes.index import *
from .ops.shapes.joining import *
from .ops.shapes.length import *
from .ops.shapes.padding import *
from .ops.shapes.rearrange import *
from .ops.shapes.shape import *
from .ops.shapes.sorting import *
from .ops.shapes.splitting import *
from .ops.shapes.update import *
from .transforms import (
    checkpoint,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    value_and_grad,
    vjp,
    vmap,
)

if typing.TYPE_CHECKING:
    from . import capture as capture
    from . import formats, plot, testing, train, xla
    from .capture import compile
    from .explanation import explain, watching
    from .testing import GradientError, gradcheck, gradgradcheck

__version__ = "0.1.0"

tensor = Tensor

__all__ = [
    "CaptureError",
    "GradientError",
    "GradientWarning",
    "GraphError",
    "MutationError",
    "NonFiniteError",
    "PerformanceWarning",
    "Primitive",
    "RuleError",
    "Tensor",
    "TensorLike",
    "TensorgradError",
    "checkpoint",
    "compile",
    "data",
    "debug",
    "enable_grad",
    "explain",
    "formats",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "hessian",
    "hvp",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "linalg",
    "linearize",
    "nn",
    "no_grad",
    "optim",
    "plot",
    "primitive",
    "tensor",
    "testing",
    "train",
    "value_and_grad",
    "vjp",
    "vmap",
    "watching",
    "xla",
]
# Besides, what the files of the operations export.
__all__ += {
    name
    for name, value in globals().items()
    if callable(value) and not name.startswith("_") and name not in __all__
}
__all__.sort()


# What few programs need is loaded on first use: name, module it is in.
_LATER = {
    "GradientError": "testing",
    "capture": "capture",
    "compile": "capture",
    "explain": "explanation",
    "formats": "formats",
    "gradcheck": "testing",
    "gradgradcheck": "testing",
    "plot": "plot",
    "sklearn": "sklearn",
    "testing": "testing",
    "train": "train",
    "watching": "explanation",
    "xla": "xla",
}


def _load(name: str) -> typing.Any:
    """Load a name that was left for later."""
    if name not in _LATER:
        raise _no_attribute(sys.modules[__name__], name, _PACKAGE)
    module = importlib.import_module(f".{_LATER[name]}", __name__)
    return module if name == _LATER[name] else getattr(module, name)


if not typing.TYPE_CHECKING:  # A checker would take any name to be there.
    __getattr__ = _load


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


_publish(globals())
