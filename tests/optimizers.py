"""The optimizers that tests go through, found in the module."""

import pytest

import tensorgrad as tg
from tensorgrad.optim import SGD, Adam, Optimizer, RMSProp

# Those that are recurrences; another name of one is no other.
OPTIMIZERS = [
    c
    for c in dict.fromkeys(getattr(tg.optim, name) for name in tg.optim.__all__)
    if isinstance(c, type) and issubclass(c, Optimizer)
    if c.update is not Optimizer.update
]
every_form = pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, {}) for kind in OPTIMIZERS),
        (SGD, {"momentum": 0.9}),
        (SGD, {"momentum": 0.9, "lr_in_velocity": False}),
        (SGD, {"momentum": 0.9, "nesterov": True}),
        (SGD, {"momentum": 0.9, "lr_in_velocity": False, "dampening": 0.5}),
        (RMSProp, {"momentum": 0.9, "centered": True, "weight_decay": 0.1}),
        (Adam, {"amsgrad": True, "maximize": True}),
    ],
)
every_optimizer = pytest.mark.parametrize("kind", OPTIMIZERS)
