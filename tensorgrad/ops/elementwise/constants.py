"""Questions about arrays and functions of integers: on Tensors they give constants."""

import numpy as np

from ..support.define import answer, constant

__all__ = [
    "all", "allclose", "angle", "any", "argmax", "argmin", "array2string",
    "array_equal", "array_equiv", "array_repr", "array_str", "bitwise_and",
    "bitwise_count", "bitwise_invert", "bitwise_left_shift", "bitwise_not",
    "bitwise_or", "bitwise_right_shift", "bitwise_xor", "can_cast", "common_type",
    "equal", "gcd", "greater", "greater_equal", "imag", "invert", "isclose",
    "iscomplex", "iscomplexobj", "isfinite", "isinf", "isnan", "isneginf", "isposinf",
    "isreal", "isrealobj", "lcm", "left_shift", "less", "less_equal", "logical_and",
    "logical_not", "logical_or", "logical_xor", "may_share_memory", "min_scalar_type",
    "ndim", "not_equal", "result_type", "right_shift", "shape", "shares_memory",
    "signbit", "size", "spacing",
]  # fmt: skip

less = constant(np.less)
less_equal = constant(np.less_equal)
greater = constant(np.greater)
greater_equal = constant(np.greater_equal)
equal = constant(np.equal)
not_equal = constant(np.not_equal)
isclose = constant(np.isclose)
isnan = constant(np.isnan)
isinf = constant(np.isinf)
isfinite = constant(np.isfinite)
isposinf = constant(np.isposinf)
isneginf = constant(np.isneginf)
signbit = constant(np.signbit)
isreal = constant(np.isreal)
iscomplex = constant(np.iscomplex)
logical_and = constant(np.logical_and)
logical_or = constant(np.logical_or)
logical_xor = constant(np.logical_xor)
logical_not = constant(np.logical_not)
bitwise_and = constant(np.bitwise_and)
bitwise_or = constant(np.bitwise_or)
bitwise_xor = constant(np.bitwise_xor)
bitwise_count = constant(np.bitwise_count)
invert = bitwise_invert = bitwise_not = constant(np.invert)
left_shift = bitwise_left_shift = constant(np.left_shift)
right_shift = bitwise_right_shift = constant(np.right_shift)
gcd = constant(np.gcd)
lcm = constant(np.lcm)
spacing = constant(np.spacing)
angle = constant(np.angle)
imag = constant(np.imag)
argmax = constant(np.argmax)
argmin = constant(np.argmin)
any = constant(np.any)
all = constant(np.all)

# Answered in Python.
allclose = answer(np.allclose)
array_equal = answer(np.array_equal)
array_equiv = answer(np.array_equiv)
isrealobj = answer(np.isrealobj)
iscomplexobj = answer(np.iscomplexobj)
shape = answer(np.shape)
ndim = answer(np.ndim)
size = answer(np.size)
result_type = answer(np.result_type)
can_cast = answer(np.can_cast)
min_scalar_type = answer(np.min_scalar_type)
common_type = answer(np.common_type)
shares_memory = answer(np.shares_memory)
may_share_memory = answer(np.may_share_memory)
array2string = answer(np.array2string)
array_repr = answer(np.array_repr)
array_str = answer(np.array_str)
