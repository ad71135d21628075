"""`tensorgrad check`: a gradient beside its function, in a module or a file."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import inspect
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import testing
from ..core.primitive import Primitive
from .errors import UsageError

GRADIENTS = (
    *("{}_grad", "grad_{}", "{}_gradient", "gradient_{}", "{}_jac", "jac_{}"),
    *("{}_jacobian", "jacobian_{}", "{}_der", "d{}", "d_{}", "{}_prime"),
)
"""How a gradient is called after its function, in the order it is looked for in."""

VJPS = ("{}_vjp", "vjp_{}", "{}_backward", "backward_{}")

SHAPES: tuple[tuple[int, ...], ...]
SHAPES = ((3,), (3, 3), (), (2, 3), (4, 3, 3), (1,), (2,), (4,), (5,), (10,))
"""Shapes of points that are drawn, until function and gradient take one."""

MIXED = 3
"""Of several arguments, each has one of the first so many shapes, or all have one."""


@dataclass(frozen=True)
class Claim:
    """What is said to be the derivative of a function.

    Attributes
    ----------
    df : callable or True or None
        A gradient; True where the function returns both; None where its own backward
        pass is meant.
    by : str
        Where the derivative comes from, for the heading.
    is_vjp : bool
        Whether `df` takes the incoming gradient first.
    """

    df: Any
    by: str
    is_vjp: bool = False


def check(args: argparse.Namespace) -> int:
    """Check as the options say, print the report, and return the exit status."""
    place, name = _parted(args.function)
    module = _module(place)
    f = _function(module, place, name)
    claim = _claim(args, module, f)
    points = _points(args, module, f)
    if claim.df is True and not _gives_both(f, points[0][0]):
        raise UsageError(
            f"{args.function}: no gradient was found; name it {name}_grad, give it by "
            "--grad NAME, or return (value, gradient)"
        )
    options = {"rng": args.seed, "atol": args.atol, "rtol": args.rtol}
    result, where = _first_valid(args.function, f, claim, points, options)
    if args.json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        print(f"{args.function}, {claim.by}, at {where}")
        print(result)
    return 0 if result.ok else 1


def _first_valid(
    name: str,
    f: Callable[..., Any],
    claim: Claim,
    points: list[tuple[Any, str]],
    options: dict[str, Any],
) -> tuple[testing.Result, str]:
    """Return the result at the first point where the gradient does not raise."""
    results = []
    for point, where in points:
        try:
            result = _result(f, claim, point, options | {"raise_on_failure": False})
        except Exception as error:
            raise UsageError(f"{name}: {_one_line(error)}") from None
        if result.last.error is None:
            return result, where
        results.append((result, where))
    return results[0]


def _result(
    f: Callable[..., Any], claim: Claim, point: Any, options: dict[str, Any]
) -> testing.Result:
    if claim.df is None:
        return testing.gradcheck(f, *_several(point), **options)
    if claim.is_vjp:
        return testing.check_vjp(f, claim.df, point, **options)
    return testing.check_gradient(f, claim.df, point, **options)


def _several(point: Any) -> tuple[Any, ...]:
    return point if type(point) is tuple else (point,)


def _parted(text: str) -> tuple[str, str]:
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise UsageError(
            "expected MODULE:FUNCTION, such as losses:huber or src/losses.py:huber, "
            f"got {text!r:.60}"
        )
    return place, name


def _module(place: str) -> ModuleType:
    """Import a module by its name or from its file."""
    is_file = place.endswith(".py")
    if is_file and not os.path.isfile(place):
        raise UsageError(f"{place}: there is no such file")
    folder = str(Path(place).resolve().parent) if is_file else os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return _from_file(place) if is_file else importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise UsageError(
                f"there is no module {place!r}; name one that Python can import from "
                "here, or a file such as losses.py"
            ) from None
        raise UsageError(f"{place}: importing it raised {_one_line(error)}") from None
    except (Exception, SystemExit) as error:
        raise UsageError(f"{place}: importing it raised {_one_line(error)}") from None


def _from_file(path: str) -> ModuleType:
    name = Path(path).stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles look their module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _one_line(error: BaseException) -> str:
    """Return the type and message of an exception in one line."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _function(module: Any, place: str, name: str) -> Callable[..., Any]:
    member = _reached(module, name)
    if callable(member):
        function: Callable[..., Any] = member
        return function
    if member is not None:
        kind = type(member).__name__
        raise UsageError(f"{place}:{name} is no function, but {kind}")
    names = [n for n, v in vars(module).items() if callable(v) and n[0] != "_"]
    raise UsageError(
        f"{place} has no function {name!r}; it has {', '.join(names[:12]) or 'none'}"
    )


def _reached(module: Any, name: str) -> Any:
    """Return the object of a dotted name in a module, None if there is none."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def _claim(
    args: argparse.Namespace, module: ModuleType, f: Callable[..., Any]
) -> Claim:
    """Return the derivative of the option, or the one defined beside the function."""
    place, name = _parted(args.function)
    if args.grad is not None:
        elsewhere = ":" in args.grad
        place, name = _parted(args.grad) if elsewhere else (place, args.grad)
        df = _function(_module(place) if elsewhere else module, place, name)
        return Claim(df, f"gradient {name}")
    *holder, last = name.split(".")
    beside = _reached(module, ".".join(holder)) if holder else module
    for kind in (*GRADIENTS, *VJPS):
        derivative = getattr(beside, kind.format(last), None)
        if callable(derivative):
            return Claim(derivative, f"gradient {kind.format(last)}", kind in VJPS)
    if isinstance(f, Primitive):
        return Claim(None, "by its own rules")
    return Claim(True, "which returns value and gradient")


def _gives_both(f: Callable[..., Any], point: Any) -> bool:
    try:
        result = f(*_several(point))
    except Exception:
        return False
    return isinstance(result, tuple | list) and len(result) == 2


def _points(
    args: argparse.Namespace, module: ModuleType, f: Callable[..., Any]
) -> list[tuple[Any, str]]:
    """Return points to check at, each with its description."""
    if args.at is not None:
        if args.shape is not None:
            raise UsageError("--shape draws a point and --at gives one; leave one out")
        arguments = [_parse_argument(text, module) for text in args.at]
        point = arguments[0] if len(arguments) == 1 else tuple(arguments)
        return [(point, " ".join(args.at))]
    drawn = _drawn(_shapes(args, f), np.random.default_rng(args.seed))
    points = []
    for point in drawn:
        if _is_finite(f, point):
            shapes = ", ".join(str(np.shape(x)) for x in point)
            where = f"a point drawn of shape {shapes}, seed {args.seed}"
            points.append((point[0] if len(point) == 1 else point, where))
    if not points:
        raise UsageError(
            f"{args.function}: no point was found at which it is finite; give one, as "
            "by --at 1.5,2 --at 0.1"
        )
    return points


def _shapes(
    args: argparse.Namespace, f: Callable[..., Any]
) -> list[list[tuple[int, ...]]]:
    """Return the shapes of the arguments to try."""
    count = _arguments(f)
    if args.shape is None:
        alike = [[shape] * count for shape in SHAPES]
        few = SHAPES[:MIXED] if 1 < count < 5 else SHAPES[:1]
        return alike[:1] + list(map(list, itertools.product(few, repeat=count))) + alike
    if len(args.shape) not in (1, count):
        raise UsageError(
            f"--shape: expected one shape, or one for each of the {count} arguments, "
            f"got {len(args.shape)}"
        )
    return [args.shape * (count if len(args.shape) == 1 else 1)]


def _arguments(f: Callable[..., Any]) -> int:
    """Return the number of required arguments."""
    function = f.forward if isinstance(f, Primitive) else f
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in kinds and p.default is p.empty]
    return max(1, len(needed))


def _drawn(
    shapes: list[list[tuple[int, ...]]], rng: np.random.Generator
) -> Iterator[tuple[Any, ...]]:
    """Yield points: of either sign first, then between 0 and 1, where most functions
    are defined.
    """
    for each in shapes:
        yield tuple(np.asarray(rng.normal(size=shape)) for shape in each)
        yield tuple(np.asarray(rng.uniform(0.2, 0.8, shape)) for shape in each)


def _is_finite(f: Callable[..., Any], point: tuple[Any, ...]) -> bool:
    try:
        with np.errstate(all="ignore"):
            result = f(*(x.copy()[()] for x in point))
        several = result if isinstance(result, tuple | list) else [result]
        return all(np.isfinite(np.asarray(y, np.float64)).all() for y in several)
    except Exception:
        return False


def _parse_argument(text: str, module: ModuleType) -> Any:
    """Return the argument that `--at` describes."""
    if text.endswith(".npy"):
        try:
            return np.load(text, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UsageError(f"--at {text}: {_one_line(error)}") from None
    try:
        return _floats(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = _reached(module, text) if text.isidentifier() else None
    if value is None or callable(value):
        raise UsageError(
            "--at: expected numbers such as 1.5,2 or [[1,2],[3,4]], a file .npy or a "
            f"name in the module, got {text!r:.60}"
        )
    return value


def _floats(value: Any) -> Any:
    """Return numbers, and lists of them, as arrays of floating-point numbers."""
    if isinstance(value, dict):
        return {key: _floats(v) for key, v in value.items()}
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ValueError("no numbers")
    return array.astype(np.float64)
