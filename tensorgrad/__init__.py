"""tensorgrad: reverse-mode automatic differentiation on NumPy."""

from . import nn, optim
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
from .ops.index import getitem
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

tensor = Tensor
abs = absolute
__version__ = "0.1.0"
