"""The options of the command, each checked as it is read."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from .. import __version__
from .errors import UsageError
from .recipes import RECIPES

Number = TypeVar("Number", int, float)


class Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong as one sentence."""

    def __init__(self, **options: Any) -> None:
        # An option added later must not change what an abbreviation means.
        super().__init__(**options, allow_abbrev=False)
        # argparse takes -1e-3 for an option, and then misses the number.
        self._negative_number_matcher = re.compile(r"-\.?\d|-inf|-nan")

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")


def parser() -> Parser:
    """Return the parser of the whole command."""
    top = Parser(
        prog="tensorgrad",
        description="Train small networks, check gradients, repeat a textbook's runs.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    # argparse names no public type for what holds the commands.
    commands: Any = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_check(commands)
    _add_reproduce(commands)
    return top


def _add_train(commands: Any) -> None:
    train: Parser = commands.add_parser(
        "train",
        help="train a classifier on a data set or a CSV file",
        description=(
            "Train a network of one hidden layer. A CSV file has a header, numeric "
            "features and a column of labels; a fifth of its rows is held out and "
            "scored."
        ),
        epilog=_saved_arrays,
    )
    train.add_argument(
        "data", metavar="{spiral,vertical,FILE.csv}", help="what to learn"
    )
    _add_optimizer(train)
    _add_training(train)
    _add_pictures(train, "the trained model, its weights and its curves")


_saved_arrays = (
    "The file of --save holds each parameter under its name, such as layers.0.weight, "
    "and for a CSV file also feature_mean and feature_std (features are fed as (x - "
    "mean) / std), columns, target and classes."
)


def _add_optimizer(train: Parser) -> None:
    train.add_argument(
        "--optimizer", choices=list(RECIPES), default="adam", help="default: adam"
    )
    for option, kind, meaning in (
        ("lr", positive, "initial learning rate"),
        ("decay", not_negative, "the rate is lr / (1 + decay * step)"),
        ("momentum", below_one, "of sgd"),
        ("rho", below_one, "weight of the past in rmsprop's mean"),
    ):
        train.add_argument(
            f"--{option}",
            type=kind,
            metavar="X",
            help=f"{meaning}; default: {_defaults(option)}",
        )


def _defaults(option: str) -> str:
    """Say the default of an option for each optimizer that has it."""
    defaults = {name: r.options[option] for name, r in RECIPES.items() if option in r}
    return ", ".join(f"{value:g} for {name}" for name, value in defaults.items())


def _add_training(train: Parser) -> None:
    train.add_argument(
        "--hidden",
        type=units,
        default=64,
        metavar="N",
        help="units of the hidden layer; default: 64",
    )
    train.add_argument(
        "--epochs",
        type=count,
        metavar="N",
        help="passes over the data; default: 10001, for a CSV file 201",
    )
    train.add_argument(
        "--batch-size",
        type=count,
        metavar="N",
        help="samples in a step, shuffled in each epoch; default: all, unshuffled",
    )
    train.add_argument(
        "--compile",
        action="store_true",
        help="record the step once and replay it: faster, and the same without numba",
    )
    train.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="N",
        help="of data, held-out rows, weights and shuffling; default: 0",
    )
    train.add_argument(
        "--target", metavar="COLUMN", help="label column; default: the last one"
    )
    train.add_argument(
        "--save", metavar="FILE.npz", help="write the trained parameters there"
    )


def _add_check(commands: Any) -> None:
    check: Parser = commands.add_parser(
        "check",
        help="check a gradient written by hand",
        description=(
            "Check the gradient of a function against numerical derivatives. The "
            "gradient is FUNCTION_grad beside it (or grad_FUNCTION, FUNCTION_jac, "
            "FUNCTION_vjp, ...), or the function returns (value, gradient). Exit "
            "status: 0 where it agrees, 1 where not, 2 where it cannot be checked."
        ),
    )
    check.add_argument(
        "function",
        metavar="MODULE:FUNCTION",
        help="what to check: losses:huber, or src/losses.py:huber",
    )
    check.add_argument("--grad", metavar="NAME", help="its gradient, or MODULE:NAME")
    _add_point(check)
    for option in ("atol", "rtol"):
        check.add_argument(
            f"--{option}",
            type=not_negative,
            metavar="X",
            help="allowed besides the error bar of the numerical derivative",
        )
    check.add_argument(
        "--json", action="store_true", help="print the result as JSON instead"
    )


def _add_point(check: Parser) -> None:
    check.add_argument(
        "--at",
        action="append",
        metavar="X",
        help="the point: numbers, a file .npy or a name in the module; repeated for "
        "several arguments; default: drawn",
    )
    check.add_argument(
        "--shape",
        type=shape,
        action="append",
        metavar="N,M",
        help="shape of a point that is drawn",
    )
    check.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of all draws; default: 0"
    )


def shape(text: str) -> tuple[int, ...]:
    """Return lengths separated by commas as a shape; () is that of a number."""
    lengths = [part for part in text.strip("() ").split(",") if part.strip()]
    if not all(re.fullmatch(r" *\d{1,6} *", part) for part in lengths):
        raise argparse.ArgumentTypeError(
            f"expected lengths such as 3 or 2,3, got {text!r:.40}"
        )
    return tuple(map(int, lengths))


def _add_reproduce(commands: Any) -> None:
    reproduce = commands.add_parser(
        "reproduce",
        help="repeat nine training runs of a textbook",
        description="Repeat nine training runs from two textbook chapters on "
        "backpropagation and optimizers, and print the published figures beside ours.",
    )
    reproduce.add_argument(
        "--run",
        type=run,
        action="append",
        metavar="N",
        help="one run, from 1 to 9; may be repeated; default: all",
    )
    reproduce.add_argument(
        "--epochs", type=count, metavar="N", help="stop early; default: 10001"
    )
    _add_pictures(reproduce, "the runs, and one of Adam, side by side")


def _add_pictures(command: Parser, what: str) -> None:
    command.add_argument(
        "--plot", metavar="FILE.png", help=f"draw {what}; or .svg, .pdf"
    )
    command.add_argument(
        "--animate",
        metavar="FILE.mp4",
        help="the same in 100 frames over the run; or .webp, .gif, .html",
    )
    command.add_argument(
        "--raw",
        action="store_true",
        help="show changes as fast as they are, which may flash",
    )


def _number(
    kind: Callable[[str], Number], fits: Callable[[Number], bool], expected: str
) -> Callable[[str], Number]:
    """Return what converts an option's text, or says what it expected."""

    def convert(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r:.40}")
        return value

    return convert


positive = _number(float, lambda x: 0 < x < math.inf, "a finite number above 0")
not_negative = _number(
    float, lambda x: 0 <= x < math.inf, "a finite number of at least 0"
)
below_one = _number(float, lambda x: 0 <= x < 1, "a number from 0 to below 1")
count = _number(int, lambda n: n >= 1, "a whole number of at least 1")
units = _number(int, lambda n: 1 <= n <= 10**6, "a whole number from 1 to 1000000")
seed = _number(int, lambda n: 0 <= n < 2**32, "a whole number from 0 to 4294967295")
run = _number(int, lambda n: 1 <= n <= 9, "a run from 1 to 9")
