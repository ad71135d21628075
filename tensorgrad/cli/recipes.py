"""The optimizers and schedules one can name, and rates that suit a small network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from .. import optim
from ..optim import schedules
from ..optim.schedules import Plateau
from .errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """An optimizer and the hyperparameters it has, each with its default."""

    make: Callable[..., optim.Optimizer]
    options: dict[str, float]

    def __contains__(self, option: str) -> bool:
        return option in self.options


def _recipe(
    make: Callable[..., optim.Optimizer], lr: float, **options: float
) -> Recipe:
    return Recipe(make, {"lr": lr, "decay": 1e-3, **options})


RECIPES = {
    "sgd": _recipe(optim.SGD, 1.0, momentum=0.9),
    "adagrad": _recipe(optim.AdaGrad, 0.1, decay=1e-4),
    "rmsprop": _recipe(optim.RMSProp, 0.02, rho=0.9),
    "adam": _recipe(optim.Adam, 0.05),
    "adamw": _recipe(optim.AdamW, 0.05, weight_decay=0.01),
    "adamax": _recipe(optim.Adamax, 0.05),
    "nadam": _recipe(optim.NAdam, 0.02),
    "radam": _recipe(optim.RAdam, 0.05),
    "adadelta": _recipe(optim.Adadelta, 1.0, rho=0.9, decay=0.0),
    "asgd": _recipe(optim.ASGD, 0.5, decay=0.0),
    "rprop": _recipe(optim.Rprop, 0.01, decay=0.0),
}
"""All of `tensorgrad.optim` but LBFGS, whose steps search along a line."""

OPTIONS = ("lr", "decay", "momentum", "rho")


def chosen(name: str, options: dict[str, Any]) -> dict[str, float]:
    """Return the hyperparameters of an optimizer: the options, else the defaults.

    Raises
    ------
    UsageError
        If an option is set that the optimizer does not have, or one beside a schedule
        that it replaces.
    """
    recipe = RECIPES[name]
    for option in OPTIONS:
        if options[option] is not None and option not in recipe:
            having = [other for other, r in RECIPES.items() if option in r]
            raise UsageError(
                f"--{option} belongs to --optimizer {' or '.join(having)}, got "
                f"--optimizer {name}; leave it out or choose another optimizer"
            )
    settings = {
        option: default if options.get(option) is None else options[option]
        for option, default in recipe.options.items()
    }
    if options["weight_decay"] is not None:
        settings["weight_decay"] = options["weight_decay"]
    if options["schedule"]:
        if options["decay"] is not None:
            raise UsageError(
                "--decay is a schedule of its own, got --schedule "
                f"{options['schedule']} as well; leave one of them out"
            )
        del settings["decay"]
    return settings


SCHEDULES: dict[str, Callable[[float, int], Any]] = {
    "constant": lambda lr, steps: lr,
    "exponential": lambda lr, steps: schedules.exponential(lr, 0.01 ** (1 / steps)),
    "linear": lambda lr, steps: schedules.linear(lr, 0.0, steps),
    "steps": lambda lr, steps: schedules.staircase(lr, -(-steps // 3)),
    "cosine": schedules.cosine,
    "warmup": lambda lr, steps: schedules.warmup(
        schedules.cosine(lr, steps - steps // 20), max(1, steps // 20)
    ),
    "one-cycle": schedules.one_cycle,
    "plateau": lambda lr, steps: Plateau(lr),
}
"""Each takes the first rate and the steps of the whole training."""


@final
class Reporter:
    """Tells a `Plateau` a figure after each epoch."""

    def __init__(self, schedule: Plateau, figure: str) -> None:
        self.schedule, self.figure = schedule, figure
        self.state_dict = schedule.state_dict
        self.load_state_dict = schedule.load_state_dict

    def __call__(self, run: Any) -> None:
        """Report the figure of the epoch."""
        self.schedule.report(run.log.last[self.figure])
