"""tensorgrad: reverse-mode automatic differentiation on NumPy alone."""

from . import loading as loading  # first, for Ctrl-C while the others load

# isort: split
import importlib
import typing

from . import data, nn, optim
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
from .ops.elementwise.arithmetic import (
    add,
    divide,
    exp,
    log,
    multiply,
    negative,
    power,
    sqrt,
    square,
    subtract,
    tanh,
)
from .ops.elementwise.logspace import log_softmax, logsumexp, sigmoid, softplus
from .ops.elementwise.piecewise import absolute, clip, maximum, minimum, where
from .ops.elementwise.special import erf, erfc
from .ops.linalg.products import dot, matmul
from .ops.networks.activations import dropout, elu, gelu, leaky_relu, silu
from .ops.networks.losses import (
    categorical_cross_entropy,
    one_hot,
    softmax_cross_entropy,
)
from .ops.networks.neural import dense, relu, softmax, softmax_jacobian
from .ops.reductions.reduce import max, mean, min, sum
from .ops.shapes.creation import full_like
from .ops.shapes.joining import array, concatenate, stack
from .ops.shapes.shape import (
    broadcast_to,
    expand_dims,
    reshape,
    squeeze,
    swapaxes,
    transpose,
)
from .ops.shapes.update import index_add, index_update, put, put_along_axis
from .transforms import (
    checkpoint,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)

if typing.TYPE_CHECKING:
    from . import plot, testing
    from .capture import compile
    from .explanation import explain, watching
    from .testing import GradientError, gradcheck, gradgradcheck

__version__ = "0.1.0"

tensor = Tensor
abs = absolute

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
    "abs",
    "absolute",
    "add",
    "array",
    "broadcast_to",
    "categorical_cross_entropy",
    "checkpoint",
    "clip",
    "compile",
    "concatenate",
    "data",
    "debug",
    "dense",
    "divide",
    "dot",
    "dropout",
    "elu",
    "enable_grad",
    "erf",
    "erfc",
    "exp",
    "expand_dims",
    "explain",
    "full_like",
    "gelu",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "hessian",
    "hvp",
    "index_add",
    "index_update",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "leaky_relu",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "multiply",
    "negative",
    "nn",
    "no_grad",
    "one_hot",
    "optim",
    "plot",
    "power",
    "primitive",
    "put",
    "put_along_axis",
    "relu",
    "reshape",
    "sigmoid",
    "silu",
    "softmax",
    "softmax_cross_entropy",
    "softmax_jacobian",
    "softplus",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "subtract",
    "sum",
    "swapaxes",
    "tanh",
    "tensor",
    "testing",
    "transpose",
    "value_and_grad",
    "vjp",
    "watching",
    "where",
]


# What few programs need is loaded on first use: name, module it is in.
_LATER = {
    "GradientError": "testing",
    "capture": "capture",
    "compile": "capture",
    "explain": "explanation",
    "gradcheck": "testing",
    "gradgradcheck": "testing",
    "plot": "plot",
    "testing": "testing",
    "watching": "explanation",
}


def __getattr__(name: str) -> typing.Any:
    """Load a name that was left for later."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f".{_LATER[name]}", __name__)
    return module if name == _LATER[name] else getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


_publish(globals())
