"""tensorgrad: reverse-mode automatic differentiation on NumPy alone."""

from . import data, nn, optim
from .core.errors import GraphError, MutationError, RuleError, TensorgradError
from .core.mode import enable_grad, is_grad_enabled, no_grad
from .core.primitive import Primitive, primitive
from .core.tensor import Tensor
from .core.writes import debug
from .ops.elementwise import (
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
from .ops.linalg import dot, matmul
from .ops.losses import categorical_cross_entropy, one_hot, softmax_cross_entropy
from .ops.neural import dense, relu, softmax, softmax_jacobian
from .ops.piecewise import absolute, clip, maximum, minimum, where
from .ops.reduce import max, mean, min, sum
from .ops.shape import (
    broadcast_to,
    concatenate,
    expand_dims,
    reshape,
    squeeze,
    stack,
    swapaxes,
    transpose,
)
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

__version__ = "0.1.0"

tensor = Tensor
abs = absolute

__all__ = [
    "checkpoint",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "value_and_grad",
    "vjp",
    "data",
    "GraphError",
    "MutationError",
    "Primitive",
    "RuleError",
    "Tensor",
    "TensorgradError",
    "abs",
    "absolute",
    "add",
    "broadcast_to",
    "categorical_cross_entropy",
    "clip",
    "concatenate",
    "data",
    "debug",
    "dense",
    "divide",
    "dot",
    "enable_grad",
    "exp",
    "expand_dims",
    "is_grad_enabled",
    "log",
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
    "power",
    "primitive",
    "relu",
    "reshape",
    "softmax",
    "softmax_cross_entropy",
    "softmax_jacobian",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "subtract",
    "sum",
    "swapaxes",
    "tanh",
    "tensor",
    "transpose",
    "where",
]
