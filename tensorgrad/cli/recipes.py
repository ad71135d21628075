"""The optimizers one can name, and rates that suit a small network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import optim
from .errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """An optimizer and the hyperparameters it has, each with its default."""

    make: Callable[..., optim.Optimizer]
    options: dict[str, float]

    def __contains__(self, option: str) -> bool:
        return option in self.options


RECIPES = {
    "sgd": Recipe(optim.SGD, {"lr": 1.0, "decay": 1e-3, "momentum": 0.9}),
    "adagrad": Recipe(optim.AdaGrad, {"lr": 0.1, "decay": 1e-4}),
    "rmsprop": Recipe(optim.RMSProp, {"lr": 0.02, "decay": 1e-3, "rho": 0.9}),
    "adam": Recipe(optim.Adam, {"lr": 0.05, "decay": 1e-3}),
}
OPTIONS = ("lr", "decay", "momentum", "rho")


def chosen(name: str, options: dict[str, Any]) -> dict[str, float]:
    """Return the hyperparameters of an optimizer: the options, else the defaults.

    Raises
    ------
    UsageError
        If an option is set that the optimizer does not have.
    """
    recipe = RECIPES[name]
    for option in OPTIONS:
        if options[option] is not None and option not in recipe:
            having = [other for other, r in RECIPES.items() if option in r]
            raise UsageError(
                f"--{option} belongs to --optimizer {' or '.join(having)}, got "
                f"--optimizer {name}; leave it out or choose another optimizer"
            )
    return {
        option: default if options[option] is None else options[option]
        for option, default in recipe.options.items()
    }
