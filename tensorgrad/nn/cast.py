"""What a layer is called with, as an array of the layer's own type."""

from typing import Any

import numpy as np

from ..core.foreign import NATIVE, values
from ..core.tensor import Tensor


def samples(x: Any, parameter: Tensor, name: str) -> Any:
    """Return an input as a tensor or array of the dtype of a parameter.

    A model computes in the type of its parameters: a batch in float64 would else make
    every layer of a float32 model, and its backward, take twice the time.
    """
    if type(x) is Tensor and x._value.dtype is parameter._value.dtype:
        return x
    if type(x) not in NATIVE or not hasattr(x, "shape"):
        if isinstance(x, tuple) and any(isinstance(part, Tensor) for part in x):
            raise TypeError(
                f"{name}: expected one array, got a tuple of {len(x)}; of what a "
                "recurrent layer returns, (output, state), pass the output"
            )
        x = np.asarray(values(x, name))
    dtype = parameter._value.dtype
    return x if x.dtype is dtype else x.astype(dtype)
