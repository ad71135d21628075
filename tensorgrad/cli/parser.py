"""The options of the command, each checked as it is read."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from .. import __version__
from .errors import UsageError
from .models import ACTIVATIONS
from .recipes import OPTIONS, RECIPES, SCHEDULES

Number = TypeVar("Number", int, float)


class Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong as one sentence."""

    def __init__(self, **options: Any) -> None:
        # An option added later must not change what an abbreviation means.
        super().__init__(**options, allow_abbrev=False)
        # argparse takes -1e-3 for an option, and then misses the number.
        self._negative_number_matcher = re.compile(r"-\.?\d|-inf|-nan")

    def take(
        self,
        name: str,
        metavar: str | None,
        meaning: str,
        kind: Callable[[str], Any] = str,
        default: Any = None,
        choices: Sequence[str] | None = None,
    ) -> None:
        """Add an option that takes a value."""
        self.add_argument(
            f"--{name}",
            metavar=metavar,
            help=meaning,
            type=kind,
            default=default,
            choices=choices,
        )

    def flag(self, name: str, meaning: str) -> None:
        """Add an option that takes none."""
        self.add_argument(f"--{name}", action="store_true", help=meaning)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")


def parser() -> Parser:
    """Return the parser of the whole command."""
    top = Parser(
        prog="tensorgrad",
        description="Train small networks and use them, check gradients, repeat a "
        "textbook's runs.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    # argparse names no public type for what holds the commands.
    commands: Any = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_uses(commands)
    _add_check(commands)
    _add_reproduce(commands)
    return top


def _add_train(commands: Any) -> None:
    train: Parser = commands.add_parser(
        "train",
        help="train a network on a data set or a file",
        description=(
            "Train a network of fully connected layers. A file has a column to "
            "predict, classes or numbers, and columns of numbers, categories and "
            "dates; a fifth of its rows is held out and scored."
        ),
    )
    train.add_argument("data", metavar="{spiral,vertical,FILE}", help="what to learn")
    _add_model(train)
    _add_optimizer(train)
    _add_training(train)
    _add_file(train)
    _add_pictures(train, "the trained model, its weights and its curves")


def _add_model(train: Parser) -> None:
    tasks = ["classification", "regression"]
    kinds = list(ACTIVATIONS)
    train.take("target", "COLUMN", "what to predict; default: the last column")
    train.take("task", None, "default: told by the target's values", choices=tasks)
    train.take("layers", "N,M", "units of hidden layers; default: 64", layers, (64,))
    train.take("activation", None, "default: relu", default="relu", choices=kinds)
    what = "share of zeros behind each hidden layer; default: 0"
    train.take("dropout", "X", what, below_one, 0.0)


def _add_optimizer(train: Parser) -> None:
    names = list(RECIPES)
    train.take("optimizer", None, "default: adam", default="adam", choices=names)
    for option, kind, meaning in (
        ("lr", positive, "initial learning rate"),
        ("decay", not_negative, "the rate is lr / (1 + decay * step)"),
        ("momentum", below_one, "of sgd"),
        ("rho", below_one, "weight of the past in a mean"),
        ("weight-decay", not_negative, "how strongly weights are drawn to 0"),
    ):
        default = _defaults(option.replace("-", "_"))
        train.take(option, "X", f"{meaning}; default: {default}", kind)
    train.take("schedule", None, "of the rate, without decay", choices=list(SCHEDULES))


def _defaults(option: str) -> str:
    """Say the default of an option for each optimizer that has it."""
    defaults = {name: r.options[option] for name, r in RECIPES.items() if option in r}
    words = [f"{value:g} for {name}" for name, value in defaults.items()]
    return ", ".join(words if option in OPTIONS else [*words, "0 for the others"])


def _add_training(train: Parser) -> None:
    what = "passes over the data; default: 10001, for a file 201"
    train.take("epochs", "N", what, count)
    what = (
        "samples in a step, shuffled in each epoch; default: all, unshuffled; of more "
        "than 2000 rows 256"
    )
    train.take("batch-size", "N", what, count)
    what = "end when rows held out are no longer predicted better; keep the best epoch"
    train.flag("early-stopping", what)
    train.take("patience", "N", "epochs to wait for that; default: 20", count)
    train.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="compile the step in kernels, with llvmlite; default: record and "
        "replay it in a training of 2000 steps and more",
    )
    what = "of data, held-out rows, weights and shuffling; default: 0"
    train.take("seed", "N", what, seed, 0)
    train.take("save", "FILE.tg", "write the trained model there")
    train.take("checkpoints", "FOLDER", "write the state there now and then")
    train.flag("resume", "go on from the last of --checkpoints")


def _add_file(command: Parser) -> None:
    command.take("separator", "X", "of columns; default: told by the first lines")
    command.take("encoding", "NAME", "of text; default: UTF-8 or UTF-16")


def _add_uses(commands: Any) -> None:
    """Add the commands that use a saved model."""
    predict = _add_use(commands, "predict", "predict the rows of a file, as CSV", True)
    predict.take("output", "FILE", "default: standard output")
    predict.flag("probabilities", "of each class, a column each")
    evaluate = _add_use(commands, "evaluate", "score a model on a file", True)
    evaluate.take("plot", "FILE.png", "draw the confusion; or .svg, .pdf")
    _add_use(commands, "info", "say what a saved model is", False)
    export = _add_use(commands, "export", "write a model for other programs", False)
    export.take("onnx", "FILE.onnx", "for ONNX runtimes")
    export.take("weights", "FILE.npz", "arrays by name; or .safetensors")


def _add_use(commands: Any, name: str, what: str, takes_data: bool) -> Parser:
    command: Parser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    command.add_argument("model", metavar="MODEL.tg", help="what train --save wrote")
    if takes_data:
        command.add_argument("data", metavar="FILE", help="of the columns trained with")
        _add_file(command)
    return command


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
    check.take("grad", "NAME", "its gradient, or MODULE:NAME")
    _add_point(check)
    what = "allowed besides the error bar of the numerical derivative"
    for option in ("atol", "rtol"):
        check.take(option, "X", what, not_negative)
    check.flag("json", "print the result as JSON instead")


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
    check.take("seed", "N", "of all draws; default: 0", seed, 0)


def shape(text: str) -> tuple[int, ...]:
    """Return lengths separated by commas as a shape; () is that of a number."""
    lengths = [part for part in text.strip("() ").split(",") if part.strip()]
    if not all(re.fullmatch(r" *\d{1,6} *", part) for part in lengths):
        raise argparse.ArgumentTypeError(
            f"expected lengths such as 3 or 2,3, got {text!r:.40}"
        )
    return tuple(map(int, lengths))


def layers(text: str) -> tuple[int, ...]:
    """Return units of layers separated by commas."""
    return tuple(units(part) for part in text.split(","))


def _add_reproduce(commands: Any) -> None:
    reproduce: Parser = commands.add_parser(
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
    reproduce.take("epochs", "N", "stop early; default: 10001", count)
    _add_pictures(reproduce, "the runs, and one of Adam, side by side")


def _add_pictures(command: Parser, what: str) -> None:
    command.take("plot", "FILE.png", f"draw {what}; or .svg, .pdf")
    what = "the same in 100 frames over the run; or .webp, .gif, .html"
    command.take("animate", "FILE.mp4", what)
    command.flag("raw", "show changes as fast as they are, which may flash")


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
