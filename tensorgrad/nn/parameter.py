"""What the layers make their parameters by."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..core.tensor import Tensor
from .functional.common import integer
from .init import Initialiser, Random


def initial(init: Initialiser, shape: tuple[int, ...], rng: Random) -> Any:
    """Return initial values from an initialiser."""
    if not callable(init):
        raise TypeError(
            "init: expected a function of shape and rng, such as tg.nn.init.he_normal, "
            f"got {init!r:.60}"
        )
    return init(shape, rng)


def drawn(
    init: Initialiser, shape: tuple[int, ...], rng: Random, dtype: DTypeLike
) -> Tensor:
    """Return a parameter of initial values from an initialiser."""
    return Tensor(initial(init, shape, rng), requires_grad=True, dtype=dtype)


def filled(value: float, shape: tuple[int, ...], dtype: DTypeLike) -> Tensor:
    """Return a parameter whose elements are all alike."""
    return Tensor(np.full(shape, value, dtype), requires_grad=True)


def sizes(name: str, **numbers: Any) -> None:
    """Raise ValueError where a number of features, channels or layers is below 1."""
    for what, number in numbers.items():
        integer(name, what, number)
